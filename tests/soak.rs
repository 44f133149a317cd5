//! A soak: a busy session with a connection reset every few seconds, after which memory, file descriptors, threads, disk per event and latency
//! are what they were in its first quarter.
//!
//! `LINCHPIN_SOAK` is the number of seconds. What is compared are quarters of one run on one machine, by their best or middle values, so that a machine
//! with other work shows in the table and not in the verdict. Latency is told twice: of every event, from the socket's readiness to its processing, as the
//! journal has it; and of the whole way to the order's write, as the status line shows it to people.
#![cfg(feature = "embedded-venue")]

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use linchpin::core::event::{Body, Event, LinkState, Source};
use linchpin::core::record::RecordKind;
use linchpin::journal::Reader;
use linchpin::journal::layout::{CLOSING_RESERVE, HEADER_SIZE, record_size};
use support::desk::Desk;
use support::{Running, knob};

const QUARTERS: usize = 4;
/// Seconds from which on the latency of the last quarter must be like the first one's.
const JUDGES_LATENCY: u64 = 300;
/// KiB that a process may ask for more between its first and its last quarter, however long they are.
const MOST_GROWTH: u64 = 1024;
/// So often a connection is reset, each kind in turn.
const RESET_EVERY: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Small segments, so that rolling and settling are part of every quarter.
const TABLES: &str =
    "[journal]\nsegment_size = \"256KiB\"\nsnapshot_every = \"2s\"\n[control]\nstall_after = \"1m\"\n";

/// One look at the process from outside.
struct Look {
    at: u64,
    /// Memory of its own, and pages of files that it has mapped (the program, the journal), in KiB.
    anonymous: u64,
    mapped: u64,
    /// All that it has asked for, touched or not: what grows without end grows here.
    asked: u64,
    /// Every page of it was touched at the start.
    locked: bool,
    files: u64,
    threads: u64,
}

/// What a quarter came to.
struct Quarter {
    events: u64,
    links_lost: u64,
    anonymous: u64,
    mapped: u64,
    asked: u64,
    locked: bool,
    files: u64,
    threads: u64,
    /// Appended to the journal, decisions and dispatches included.
    bytes: u64,
    /// Socket to processing, of every event of the receiver.
    to_core: Histogram<u64>,
    /// Tick to trade: the status lines' p50 and p99, each the middle one of the quarter's, in nanoseconds.
    to_trade: [u64; 2],
}

impl Quarter {
    fn bytes_per_event(&self) -> f64 {
        self.bytes as f64 / self.events.max(1) as f64
    }
}

#[test]
fn a_long_run_ends_with_the_memory_files_threads_disk_and_latency_that_it_began_with() {
    let seconds = knob("LINCHPIN_SOAK", 20);
    let mut desk = Desk::open(TABLES);
    let mut engine = Running::start(desk.engine(&[]));
    engine.wait_for("the control socket", |said| said.starts_with("control "));
    while desk.venue.orders_taken() < 20 {
        assert!(engine.is_alive(), "the engine has ended");
        std::thread::sleep(LOOK_EVERY);
    }
    let session = support::session(&desk.home());
    let (began, mut reset_at) = (Instant::now(), Instant::now());
    let mut kinds = ["market", "private", "api"].into_iter().cycle();
    let mut looks = vec![look(&engine)];
    while began.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(LOOK_EVERY);
        assert!(engine.is_alive(), "the engine has ended");
        if reset_at.elapsed() >= RESET_EVERY {
            reset_at = Instant::now();
            let kind = kinds.next().expect("for ever");
            desk.venue.fault(&format!(r#"{{"fault":"reset","target":"{kind}"}}"#));
        }
        looks.push(look(&engine));
    }
    engine.signal("-INT");
    let told = engine.ended().expect_code(0);
    desk.agrees_with_the_venue(&told, "after the soak");
    support::replay(&session).expect_code(0).says("replay identical").says("journal sealed");

    let mut quarters = quarters(&looks, &session);
    add_tick_to_trade(&mut quarters, &told.stdout);
    show(&quarters);
    is_flat(&quarters, seconds);
    takes_what_it_holds(&session);
}

fn look(engine: &Running) -> Look {
    let process = format!("/proc/{}", engine.id());
    let status = fs::read_to_string(format!("{process}/status")).expect("it runs");
    let row = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a row of the status");
        line.split_whitespace().next().expect("a number").parse().expect("a number")
    };
    Look {
        at: SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64,
        anonymous: row("RssAnon:"),
        mapped: row("RssFile:"),
        asked: row("VmData:"),
        locked: row("VmLck:") > 0,
        files: fs::read_dir(format!("{process}/fd")).expect("it runs").count() as u64,
        threads: row("Threads:"),
    }
}

fn quarters(looks: &[Look], session: &Path) -> Vec<Quarter> {
    let (first, last) = (looks[0].at, looks[looks.len() - 1].at);
    let span = (last - first) / QUARTERS as u64;
    let edge = |quarter: usize| first + span * quarter as u64;
    let mut quarters: Vec<Quarter> = (0..QUARTERS)
        .map(|quarter| {
            let its: Vec<&Look> =
                looks.iter().filter(|look| (edge(quarter)..=edge(quarter + 1)).contains(&look.at)).collect();
            let least = |of: &dyn Fn(&Look) -> u64| its.iter().map(|look| of(look)).min().expect("looks");
            Quarter {
                events: 0,
                links_lost: 0,
                anonymous: least(&|look| look.anonymous),
                mapped: least(&|look| look.mapped),
                asked: least(&|look| look.asked),
                locked: its.iter().all(|look| look.locked),
                files: least(&|look| look.files),
                threads: least(&|look| look.threads),
                bytes: 0,
                to_core: Histogram::new(3).expect("three digits"),
                to_trade: [0; 2],
            }
        })
        .collect();
    let mut reader = Reader::open(session).expect("a journal");
    while let Some(record) = reader.next().expect("sound") {
        let Some(since) = record.time.checked_sub(first) else { continue };
        let Some(quarter) = quarters.get_mut((since / span.max(1)) as usize) else { continue };
        quarter.bytes += record_size(record.payload.len()) as u64;
        if record.kind != RecordKind::Event.code() {
            continue;
        }
        quarter.events += 1;
        let event = Event::decode(record.payload).expect("an event");
        if matches!(event.body, Body::Link(change) if change.state == LinkState::Down) {
            quarter.links_lost += 1;
        }
        if event.source == Source::Receiver {
            let way = record.time.saturating_sub(event.received.raw());
            quarter.to_core.record(way).expect("it grows with its values");
        }
    }
    quarters
}

/// Each status line has the p50 and the p99 of its moment: `t2t 8.12 us / 31.4 us`. They come evenly, so a quarter of them is a quarter of the run.
fn add_tick_to_trade(quarters: &mut [Quarter], stdout: &str) {
    let told: Vec<[u64; 2]> = stdout
        .lines()
        .filter_map(|line| line.split_once("t2t ")?.1.split("  ").next()?.split_once(" / "))
        .map(|(p50, p99)| [nanos(p50), nanos(p99)])
        .collect();
    assert!(told.len() >= 4 * QUARTERS, "too few status lines: {}", told.len());
    for (quarter, its) in quarters.iter_mut().zip(told.chunks(told.len().div_ceil(QUARTERS))) {
        quarter.to_trade = [0, 1].map(|which| {
            let mut values: Vec<u64> = its.iter().map(|both| both[which]).collect();
            values.sort_unstable();
            values[values.len() / 2]
        });
    }
}

fn nanos(text: &str) -> u64 {
    let (number, unit) = text.split_once(' ').unwrap_or_else(|| panic!("no unit in {text:?}"));
    let scale = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => panic!("what is {text:?}?"),
    };
    (number.parse::<f64>().unwrap_or_else(|_| panic!("no number in {text:?}")) * scale) as u64
}

fn show(quarters: &[Quarter]) {
    println!(
        "| quarter | events | links lost | memory, MiB | of files, MiB | asked for, MiB | files | threads | bytes an event | socket to core p50 | p99 | p99.9 | max | tick to trade p50 | p99 |"
    );
    println!("|{}", "---|".repeat(15));
    for (at, quarter) in quarters.iter().enumerate() {
        let micros = |value: u64| format!("{:.1} us", value as f64 / 1e3);
        let to_core = [0.5, 0.99, 0.999, 1.0].map(|q| micros(quarter.to_core.value_at_quantile(q)));
        println!(
            "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {} | {} | {:.1} | {} | {} |",
            at + 1,
            quarter.events,
            quarter.links_lost,
            quarter.anonymous as f64 / 1024.0,
            quarter.mapped as f64 / 1024.0,
            quarter.asked as f64 / 1024.0,
            quarter.files,
            quarter.threads,
            quarter.bytes_per_event(),
            to_core.join(" | "),
            quarter.to_trade.map(micros).join(" | ")
        );
    }
}

/// Room for what a busy machine does to a short run; a leak that matters shows in a long one. A latency is judged only there: in a
/// quarter of seconds it says what else the machine did.
fn is_flat(quarters: &[Quarter], seconds: u64) {
    let (first, last) = (&quarters[0], &quarters[QUARTERS - 1]);
    for quarter in quarters {
        assert!(quarter.events > 100, "it was not busy");
    }
    let lost: u64 = quarters.iter().map(|quarter| quarter.links_lost).sum();
    assert!(lost >= 3, "its connections were reset: {lost}");
    // Tables are made once: what is asked for may grow by what an allocator keeps for a thread, and not with what happens.
    assert!(last.asked <= first.asked + MOST_GROWTH, "memory grows: {} KiB, {} KiB", first.asked, last.asked);
    // Where the system did not let it be locked, a table's page counts from its first use: then the tables are the bound.
    let bound = if first.locked { first.anonymous } else { first.asked } + MOST_GROWTH;
    assert!(last.anonymous <= bound, "memory grows: {} KiB, and {bound} at most", last.anonymous);
    assert!(last.files <= first.files + 1, "file descriptors grow");
    assert!(last.threads <= first.threads, "threads grow");
    assert!(last.bytes_per_event() <= first.bytes_per_event() * 1.5, "the journal takes more an event");
    if seconds < JUDGES_LATENCY {
        println!(
            "NOT JUDGED: the latency, which is only shown (LINCHPIN_SOAK={JUDGES_LATENCY} or longer judges it)"
        );
        return;
    }
    let middle = |quarter: &Quarter| quarter.to_core.value_at_quantile(0.5);
    assert!(middle(last) <= 5 * middle(first), "the way to the core grows longer");
    assert!(last.to_trade[0] <= 5 * first.to_trade[0], "the way to the order grows longer");
}

/// The journal's files are as long as what is in them: full segments are cut, spares are gone.
fn takes_what_it_holds(session: &Path) {
    let mut reader = Reader::open(session).expect("a journal");
    let mut held = 0;
    while let Some(record) = reader.next().expect("sound") {
        held += record_size(record.payload.len()) as u64;
    }
    let files = support::segments(session);
    let taken: u64 = files.iter().map(|file| fs::metadata(file).expect("a segment").len()).sum();
    let room = files.len() as u64 * (HEADER_SIZE + CLOSING_RESERVE) as u64;
    assert!(taken <= held + room, "{taken} bytes on the disk for {held} in {} segments", files.len());
}
