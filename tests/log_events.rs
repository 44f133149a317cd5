//! Every `event="..."` that the documentation lists is written by somebody, and those that a desk sees in the course of its days
//! are seen here: one engine that is commanded, hurt by its venue, killed and started again. Each of the others has a test of its own, of the
//! program where a venue can bring it about, else of the thread that writes it; what its fields say is checked.
#![cfg(feature = "embedded-venue")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::{Body, NotSent};
use linchpin::core::id::InstrumentId;
use linchpin::telemetry::log::LogEvent;
use linchpin::threads::world::Clock as _;
use linchpin_kit::{LoneSender, order};
use serde_json::Value;
use support::faulty::Desk;
use support::truth::Truth;
use support::{PATIENCE, Running, run, sessions};

/// What a desk's good and bad days do not show: the test, and its file, that brings it about and reads its fields.
const BY_THEMSELVES: &[(LogEvent, &str, &str)] = &[
    (LogEvent::BadMessage, "tests/log_events.rs", "a_message_that_is_none_is_shown"),
    (LogEvent::ClockSkew, "tests/log_events.rs", "a_venues_clock_that_jumps_is_told_with_both_numbers"),
    (
        LogEvent::DataInconsistency,
        "tests/log_events.rs",
        "a_trade_by_hand_behind_our_back_is_told_with_both_numbers",
    ),
    (
        LogEvent::JournalFailure,
        "tests/log_events.rs",
        "a_journal_that_cannot_go_on_is_told_before_the_run_ends",
    ),
    (LogEvent::OrderNotSent, "tests/log_events.rs", "an_order_that_cannot_be_written_is_named"),
    (LogEvent::RingFull, "tests/log_events.rs", "a_full_ring_is_named_with_what_follows"),
    (
        LogEvent::LogDropped,
        "src/telemetry/log.rs",
        "a_full_lane_drops_and_the_log_says_how_many_where_they_are_missing",
    ),
    (
        LogEvent::Incident,
        "tests/broken_invariant.rs",
        "a_broken_invariant_kills_the_running_program_which_says_why_and_stays_killed",
    ),
];

#[test]
fn every_documented_event_is_written_somewhere() {
    for event in LogEvent::ALL {
        let name = format!("LogEvent::{event:?}");
        assert!(
            writes(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &name),
            "nobody writes {}",
            event.name()
        );
    }
    for (event, file, test) in BY_THEMSELVES {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file);
        assert!(text.contains(&format!("fn {test}()")), "{file} has no {test}, which shows {}", event.name());
    }
}

/// Some file below `folder` names it, the table of events itself apart, which names none in this way.
fn writes(folder: &Path, name: &str) -> bool {
    std::fs::read_dir(folder).expect("a folder").flatten().any(|entry| {
        let path = entry.path();
        match path.is_dir() {
            true => writes(&path, name),
            false => std::fs::read_to_string(&path).is_ok_and(|text| {
                text.match_indices(name)
                    .any(|(at, _)| !text[at + name.len()..].starts_with(|next: char| next.is_alphanumeric()))
            }),
        }
    })
}

#[test]
fn a_desks_days_are_told_in_its_log() {
    let mut desk =
        Desk::open(&[], "heartbeat = \"1s\"\naudit = \"1s\"", "[journal]\nsegment_size = \"8KiB\"\n");
    desk.wait_for_log("\"event\":\"heartbeat\"");
    desk.wait_for_log("\"event\":\"journal_roll\"");
    desk.venue.fault(r#"{"fault":"reset","target":"all"}"#);
    desk.wait_for_log("\"event\":\"book_lost\"");
    desk.trades_on(3);
    let refusal = r#"{"fault":"request","request":"*","times":3,"how":{"refuse":{"status":400,"code":-2019,"msg":"Margin is insufficient."}}}"#;
    desk.venue.fault(refusal);
    desk.wait_for_log("\"event\":\"order_rejected\"");
    desk.venue.heal();
    for words in [
        &["disable", "--reason", "lunch"][..],
        &["enable"],
        &["cancel-all"],
        &["set", "instrument.BTCUSDT.max_open_orders", "6"],
        &["kill", "--reason", "to see it"],
        &["reset-kill", "--reason", "seen"],
    ] {
        desk.ctl(words);
    }
    let folder = desk.folder().to_owned();
    let mut seen = BTreeSet::new();
    // The engine dies, and the next one goes on from its state, outside of its window.
    desk.crash();
    names(&folder, &mut seen);
    let config = std::fs::read_to_string(folder.join("desk.toml")).expect("a configuration");
    let closed = format!("[schedule]\nwindows = [\"{} 12:00-12:01\"]\n", some_other_day());
    std::fs::write(folder.join("warm.toml"), format!("{config}\n{closed}")).expect("written");
    let mut warm =
        Running::start(support::linchpin(&folder, &["run", "--config", "warm.toml", "--no-verify"]));
    warm.wait_for("the control socket", |line| line.starts_with("control "));
    let until = Instant::now() + PATIENCE;
    while !seen.contains("schedule") {
        assert!(Instant::now() < until, "{seen:?}");
        std::thread::sleep(Duration::from_millis(50));
        names(&folder, &mut seen);
    }
    run(&folder, &["ctl", "--home", "home", "stop"]).expect_code(0);
    warm.ended().expect_code(0);
    names(&folder, &mut seen);

    let by_themselves: BTreeSet<&str> = BY_THEMSELVES.iter().map(|(event, ..)| event.name()).collect();
    let missing: Vec<&str> = LogEvent::ALL
        .iter()
        .map(|event| event.name())
        .filter(|name| !seen.contains(*name) && !by_themselves.contains(name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new(), "seen: {seen:?}");
}

#[test]
fn a_message_that_is_none_is_shown() {
    let mut desk = Desk::open(&[], "", "");
    desk.venue.fault(r#"{"fault":"depth","target":"market","what":"cut","messages":1}"#);
    desk.wait_for_log("\"event\":\"bad_message\"");
    // What was missed is a gap like any other.
    desk.trades_on(3);
    let told = line(&desk.close().log, LogEvent::BadMessage);
    assert_eq!((&told["level"], &told["thread"]), (&"warn".into(), &"receiver".into()), "{told}");
    let text = told["text"].as_str().expect("a text");
    assert!(text.starts_with("market: ") && text.contains("{\"e\":\"depthUpdate\""), "{told}");
}

#[test]
fn a_venues_clock_that_jumps_is_told_with_both_numbers() {
    let mut desk = Desk::open(&[], "", "");
    desk.venue.fault(r#"{"fault":"clock","offset_ms":3600000}"#);
    desk.wait_for_log("\"event\":\"clock_skew\"");
    desk.trades_on(3);
    let told = line(&desk.close().log, LogEvent::ClockSkew);
    assert_eq!((&told["level"], &told["thread"]), (&"warn".into(), &"requester".into()), "{told}");
    let text = told["text"].as_str().expect("a text");
    let numbers: Vec<i64> =
        text.split(|c: char| !c.is_ascii_digit() && c != '-').filter_map(|word| word.parse().ok()).collect();
    let [now, before] = numbers[..] else { panic!("{told}") };
    // A measurement is off by the time that it takes, which is the patience of a request at most.
    assert!((3_590_000..3_610_000).contains(&now) && (-10_000..10_000).contains(&before), "{told}");
}

/// While our private stream is down somebody trades on the same account; no order of ours explains it.
#[test]
fn a_trade_by_hand_behind_our_back_is_told_with_both_numbers() {
    let mut desk = Desk::open(&[], "", "");
    desk.venue.fault(r#"{"fault":"down","target":"private","for_ms":600000}"#);
    desk.wait_for_event("private down (reset)");
    let key = desk.venue.key();
    Truth::at(desk.venue.port, &desk.venue.authority, &key).buys_at_market("BTCUSDT", "0.500");
    desk.venue.heal();
    desk.wait_for_log("\"event\":\"data_inconsistency\"");
    let told = line(&desk.close().log, LogEvent::DataInconsistency);
    assert_eq!((&told["level"], &told["kind"]), (&"error".into(), &"position_mismatch".into()), "{told}");
    assert_eq!(told["instrument"], 0, "{told}");
    let lots = |side: &str| told[side].as_i64().expect("lots");
    assert_eq!(lots("theirs") - lots("ours"), 500, "{told}");
}

#[test]
fn a_journal_that_cannot_go_on_is_told_before_the_run_ends() {
    let desk = support::desk::Desk::open("[journal]\nsegment_size = \"64KiB\"\n");
    let mut engine = Running::start(desk.engine(&[]));
    engine.wait_for("the control socket", |said| said.starts_with("control "));
    let session = support::session(&desk.home());
    // The segment in use goes on; the next one has nowhere to go.
    std::fs::rename(linchpin::journal::journal_folder(&session), desk.folder().join("away")).expect("moved");
    engine.ended().expect_code(1).complains(&["journal"]);
    let told =
        line(&std::fs::read_to_string(session.join("log.jsonl")).expect("a log"), LogEvent::JournalFailure);
    assert_eq!((&told["level"], &told["thread"]), (&"error".into(), &"core_loop".into()), "{told}");
    assert!(told["sequence"].as_u64() > Some(0), "{told}");
    assert_eq!(told["consequence"], "the gate is shut, and the core ends", "{told}");
    let flag = linchpin::kill_flag::KillFlag::of(&desk.home()).read().expect("the next start is killed");
    assert_eq!(flag.reason, "the journal cannot be written");
}

#[test]
fn an_order_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log.jsonl");
    let (paper, _papers) = linchpin::ring::ring("sender_paper", 4);
    let mut lone = LoneSender::logging(4, 4, Some(paper), &file);
    lone.sender.pass();
    while lone.events.pop().is_some() {}
    let sound = order(7, lone.clock.now());
    assert!(lone.hand_over(Dispatch { instrument: InstrumentId(200), ..sound }));
    lone.sender.pass();
    let event = lone.events.pop().expect("the core is told");
    assert!(matches!(event.body, Body::NotSent(NotSent { dispatch: 7, .. })), "{event:?}");
    lone.end_log();
    let told = line(&std::fs::read_to_string(file).expect("a log"), LogEvent::OrderNotSent);
    assert_eq!((&told["level"], &told["thread"]), (&"error".into(), &"sender".into()), "{told}");
    let named = format!("{}: the instrument is not listed here", sound.client_order_id);
    assert_eq!(told["text"], named, "{told}");
}

#[test]
fn a_full_ring_is_named_with_what_follows() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log.jsonl");
    let mut lone = LoneSender::logging(64, 4, None, &file);
    // Nobody has dialled, so each of them becomes an answer, and the core takes none.
    for number in 1..=20 {
        assert!(lone.hand(number));
    }
    lone.sender.pass();
    lone.end_log();
    let told = line(&std::fs::read_to_string(file).expect("a log"), LogEvent::RingFull);
    assert_eq!((&told["level"], &told["thread"]), (&"error".into(), &"sender".into()), "{told}");
    assert_eq!(told["text"], "sender_core is full: only cancels", "{told}");
}

/// The first line of this event.
#[track_caller]
fn line(log: &str, event: LogEvent) -> Value {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let found = lines.into_iter().find(|line| line["event"] == event.name());
    found.unwrap_or_else(|| panic!("no {} in\n{log}", event.name()))
}

/// A day of the week that is days away from now, in UTC.
fn some_other_day() -> &'static str {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    // The first day of 1970 was a Thursday.
    let today = (now / 86_400 + 3) % 7;
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][((today + 3) % 7) as usize]
}

/// The events in all logs of the desk. Every line is JSON with a time, a level and an event.
fn names(folder: &Path, seen: &mut BTreeSet<String>) {
    for session in sessions(&folder.join("home")) {
        let log = std::fs::read_to_string(session.join("log.jsonl")).unwrap_or_default();
        // A line under way has no end yet.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        for line in whole.lines() {
            let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            seen.insert(record["event"].as_str().expect("an event").to_owned());
        }
    }
}
