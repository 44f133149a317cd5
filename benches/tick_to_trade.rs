//! Tick-to-trade without a socket: message bytes in memory -> order bytes ready to write, on two pinned threads.
//!
//! ```text
//!   thread A                         thread B
//!   scan, feed  --- receiver_core --> journal, turn (market maker), journal
//!   gate, encode <-- core_sender ---'
//! ```
//! Messages come at intended times, an equal pace apart, and each latency counts from the intended time: what a stall delays
//! is counted as late (no coordinated omission). The venue's answers enter between messages and are not measured.
//!
//! The floors are measured in the same rounds, on the same CPUs, at the same pace, one message at a time, with the cost of
//! reading the clock taken off: a bare hop there and back, the scanner on the messages that led to an order, the copy and sum
//! of the records that such a message leaves before its order goes out, the encoder on those orders. The ratio to their sum
//! is what the engine adds: everything that it decides.
//!
//! `cargo bench --bench tick_to_trade [-- --rounds N --pace-us N]`. Without `--bench` (as a test) it takes a glance.
//! `-- --instructions` runs the line on one thread, for callgrind (see `instructions.sh`).

#[path = "rig/mod.rs"]
mod rig;

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::{Body, Event, RateUsage, RequestKind, Source};
use linchpin::core::record::RecordKind;
use linchpin::core::time::Nanos;
use linchpin::journal::{Reader, layout};
use linchpin::ring::ring;
use linchpin::sys::checksum::crc32c;
use linchpin::sys::clock::Clock;
use linchpin::sys::{cpu, gaps};
use linchpin::threads::Pass;
use linchpin::threads::core_loop::Handed;
use linchpin::venue::binance::market::Levels;
use linchpin::venue::binance::scan;

use rig::line::{Line, Sending};
use rig::market::Market;

/// A round's journal fits into one segment.
const SEGMENT: u64 = 64 * 1024 * 1024;

fn main() {
    let plan = Plan::from_arguments();
    let cpus = cpu::available().to_vec();
    let market = Market::load(plan.messages);
    if plan.instructions {
        return count_instructions(&market);
    }
    let clock = Clock::new();
    let (a, b) = (cpus.first().copied(), cpus.get(1).copied());
    println!(
        "tick to trade in memory: {} ({} messages, one each {} us), {} rounds, CPUs {a:?} and {b:?}",
        market.name,
        market.len(),
        plan.pace.raw() / 1_000,
        plan.rounds
    );
    if b.is_none() {
        println!("!!! ONE CPU: the two threads take turns on it; these numbers say nothing about the engine");
    }
    let before = gaps::measure(&clock, a, plan.gap_time).expect("the CPU is there");
    println!("CPU {a:?}: {before}");
    let rounds: Vec<Round> = (0..plan.rounds).map(|_| round(&market, &plan, &clock, [a, b])).collect();
    report(&rounds);
    let after = gaps::measure(&clock, b.or(a), plan.gap_time).expect("the CPU is there");
    println!("CPU {b:?}: {after}");
}

#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    messages: usize,
    /// The first messages are played, and not counted.
    warm_up: usize,
    pace: Nanos,
    gap_time: Duration,
    full: bool,
    instructions: bool,
}

impl Plan {
    /// `cargo bench` says `--bench`; without it this is a test that the bench still runs.
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let number = |name: &str, otherwise: usize| {
            let at = arguments.iter().position(|argument| argument == name);
            at.and_then(|at| arguments.get(at + 1)).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
        };
        let full = arguments.iter().any(|argument| argument == "--bench");
        Self {
            rounds: number("--rounds", if full { 7 } else { 1 }),
            messages: number("--messages", if full { 94_000 } else { 1_500 }),
            warm_up: if full { 2_000 } else { 0 },
            pace: Nanos::from_micros(number("--pace-us", 20) as u64),
            gap_time: Duration::from_millis(if full { 1_000 } else { 20 }),
            full,
            instructions: arguments.iter().any(|argument| argument == "--instructions"),
        }
    }
}

/// What one round measured; every histogram in nanoseconds.
struct Round {
    messages_with_orders: u64,
    orders: u64,
    /// To the bytes of a message's first order, and of every order.
    first: Histogram<u64>,
    every: Histogram<u64>,
    stages: [Histogram<u64>; 4],
    floors: [Histogram<u64>; 4],
    clock_cost: u64,
}

const STAGES: [&str; 4] = [
    "  received -> turn begins",
    "  turn begins -> in the ring out",
    "  in the ring out -> taken",
    "  taken -> bytes",
];
const FLOORS: [&str; 4] =
    ["  ring hop, there and back", "  scanner", "  copy + CRC32C of the records", "  encoder"];

fn round(market: &Market, plan: &Plan, clock: &Clock, cpus: [Option<usize>; 2]) -> Round {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Line { mut receiving, mut core, mut sending } = Line::new(folder.path(), SEGMENT, clock);
    let stop = AtomicBool::new(false);
    let mut run = Run { seen: Vec::with_capacity(market.len()), ..Run::default() };

    thread::scope(|scope| {
        let core_thread = scope.spawn(|| {
            pin(cpus[1]);
            let mut idle = 0_u32;
            loop {
                match core.pass() {
                    Pass::Busy => idle = 0,
                    _ if stop.load(Ordering::Relaxed) => break,
                    _ => wait(&mut idle),
                }
            }
            core
        });
        scope.spawn(|| {
            pin(cpus[0]);
            let _stop = StopWhenDropped(&stop);
            run.play(market, plan, clock, &mut receiving, &mut sending);
        });
        let core = core_thread.join().expect("the core's thread does not panic");
        assert!(!core.is_over(), "the core stopped by itself");
        core.finish().seal.expect("a sealed journal");
    });
    assert!(receiving.is_synced(), "the book was in sync to the end");
    // The start is no steady state: the snapshot's thousands of levels, the first touch of every page.
    run.seen.retain(|seen| seen.message > plan.warm_up && seen.message != market.snapshot);
    assert!(!run.seen.is_empty(), "the maker traded");

    let sizes = records_before_orders(folder.path());
    let clock_cost = clock_cost(clock);
    let floors = [
        hops(plan, clock, cpus, run.seen.len()),
        scans(market, plan, clock, cpus[0], &run.seen),
        copies(plan, clock, cpus[1], &sizes),
        encodes(plan, clock, cpus[0], &run.seen),
    ];
    let floors = floors.map(|floor| less(&floor, clock_cost));
    let mut first = histogram();
    let mut every = histogram();
    let mut stages = [(); 4].map(|()| histogram());
    let mut message = usize::MAX;
    let mut messages_with_orders = 0;
    for seen in &run.seen {
        every.saturating_record(seen.done.since(seen.due).raw());
        if seen.message == message {
            continue;
        }
        message = seen.message;
        messages_with_orders += 1;
        first.saturating_record(seen.done.since(seen.due).raw());
        let stamps = [seen.due, seen.handed.dispatch.decided, seen.handed.at, seen.taken, seen.done];
        for (stage, pair) in stages.iter_mut().zip(stamps.windows(2)) {
            stage.saturating_record(pair[1].since(pair[0]).raw());
        }
    }
    Round { messages_with_orders, orders: every.len(), first, every, stages, floors, clock_cost }
}

/// Ends the core's thread also when this one panics.
struct StopWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An order, and the message that led to it.
struct Seen {
    message: usize,
    due: Nanos,
    handed: Handed,
    taken: Nanos,
    done: Nanos,
}

#[derive(Default)]
struct Run {
    seen: Vec<Seen>,
    unanswered: Vec<Dispatch>,
}

impl Run {
    /// Thread A: message after message at its time, and between them whatever the core wants sent.
    fn play(
        &mut self,
        market: &Market,
        plan: &Plan,
        clock: &Clock,
        receiving: &mut rig::line::Receiving,
        sending: &mut Sending,
    ) {
        let now = || Nanos::new(clock.now());
        let begin = now() + Nanos::from_millis(2);
        for at in 0..market.len() {
            let due = begin + Nanos::new(plan.pace.raw() * at as u64);
            while now() < due {
                spin_loop();
            }
            receiving.take(market, at, due);
            // Half of the time until the next message is for orders, the other half for the venue's answers.
            self.serve(due + Nanos::new(plan.pace.raw() / 2), begin, plan.pace, clock, sending);
            self.answer(sending);
            // A glance on a busy machine must see trading, not a core that never got the CPU.
            while !plan.full && receiving.waiting() > 0 {
                self.serve(now() + plan.pace, begin, plan.pace, clock, sending);
                self.answer(sending);
                thread::yield_now();
            }
        }
        // A core that was kept from running has still to catch up.
        let mut last = now();
        while now().since(last) < Nanos::from_millis(50) {
            let before = self.seen.len();
            self.serve(now() + plan.pace, begin, plan.pace, clock, sending);
            self.answer(sending);
            last = if self.seen.len() > before { now() } else { last };
            thread::yield_now();
        }
    }

    fn answer(&mut self, sending: &mut Sending) {
        for dispatch in self.unanswered.drain(..) {
            sending.answer(&dispatch);
        }
    }

    #[inline]
    fn serve(&mut self, until: Nanos, begin: Nanos, pace: Nanos, clock: &Clock, sending: &mut Sending) {
        let now = || Nanos::new(clock.now());
        let mut taken = now();
        while taken < until {
            if let Some(handed) = sending.take() {
                let done = now();
                black_box(&sending.frame);
                self.unanswered.push(handed.dispatch);
                // An order's trigger is the intended time of its message. What a timer led to is an order as well, but not a
                // message's.
                let (since, due) = (handed.dispatch.trigger.since(begin).raw(), handed.dispatch.trigger);
                if since % pace.raw() == 0 && due >= begin {
                    let message = (since / pace.raw()) as usize;
                    self.seen.push(Seen { message, due, handed, taken, done });
                }
            }
            spin_loop();
            taken = now();
        }
    }
}

/// A bare hop of what the line carries, there and back.
fn hops(plan: &Plan, clock: &Clock, cpus: [Option<usize>; 2], count: usize) -> Histogram<u64> {
    let (mut there, mut arriving) = ring("bench_echo", 4_096);
    let (mut back, mut returning) = ring("echo_bench", 4_096);
    let usage = RateUsage { bucket: 0, used: 0, limit: 0, retry_at: Nanos::ZERO };
    let event = Event::new(Nanos::ZERO, Source::Receiver, Body::RateUsage(usage));
    let handed = Handed { dispatch: rig::dispatch(1, RequestKind::Replace), at: Nanos::ZERO };
    let mut times = histogram();
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(cpus[1]);
            let mut idle = 0;
            loop {
                if let Some(event) = arriving.pop() {
                    black_box(event);
                    back.push(handed).expect("room in the ring");
                    idle = 0;
                } else if arriving.abandoned() {
                    break;
                } else {
                    wait(&mut idle);
                }
            }
        });
        scope.spawn(|| {
            pin(cpus[0]);
            paced(
                plan,
                clock,
                count,
                |_| {
                    there.push(event).expect("room in the ring");
                    let mut idle = 0;
                    loop {
                        if let Some(handed) = returning.pop() {
                            black_box(handed);
                            break;
                        }
                        wait(&mut idle);
                    }
                },
                &mut times,
            );
            drop(there);
        });
    });
    times
}

/// The scanner alone, on the messages that led to an order.
fn scans(market: &Market, plan: &Plan, clock: &Clock, cpu: Option<usize>, seen: &[Seen]) -> Histogram<u64> {
    let directory = rig::directory(1);
    let (mut row, mut levels) = (0, Levels::with_capacity(4_096));
    alone(cpu, |times| {
        paced(
            plan,
            clock,
            seen.len(),
            |at| {
                let text = market.message(seen[at].message);
                black_box(scan::scan(text, &directory, &mut row, &mut levels).expect("a fixed layout"));
            },
            times,
        );
    })
}

/// Copy and sum alone, of records of the sizes that went before an order.
fn copies(plan: &Plan, clock: &Clock, cpu: Option<usize>, sizes: &[Vec<usize>]) -> Histogram<u64> {
    let mut memory = vec![1_u8; SEGMENT as usize];
    let record = [7_u8; 512];
    let mut at = 0;
    alone(cpu, |times| {
        paced(
            plan,
            clock,
            sizes.len(),
            |message| {
                for size in &sizes[message] {
                    if at + size > memory.len() {
                        at = 0;
                    }
                    let slot = &mut memory[at..at + size];
                    slot.copy_from_slice(black_box(&record[..*size]));
                    black_box(crc32c(0, slot));
                    at += size;
                }
            },
            times,
        );
    })
}

/// The encoder alone, on the same orders.
fn encodes(plan: &Plan, clock: &Clock, cpu: Option<usize>, seen: &[Seen]) -> Histogram<u64> {
    let mut entry = rig::line::session(clock);
    let mut frame = Vec::with_capacity(1_024);
    let mut last = 0;
    alone(cpu, |times| {
        paced(
            plan,
            clock,
            seen.len(),
            |at| {
                let dispatch = &seen[at].handed.dispatch;
                entry.withdraw(last);
                entry.encode(dispatch, seen[at].taken, &mut frame).expect("an order that it knows");
                black_box(&frame);
                last = dispatch.number;
            },
            times,
        );
    })
}

/// Does `work` once for each intended time and counts how long each took.
fn paced(plan: &Plan, clock: &Clock, count: usize, mut work: impl FnMut(usize), times: &mut Histogram<u64>) {
    let mut due = clock.now() + 100_000;
    for at in 0..count {
        due += plan.pace.raw();
        while clock.now() < due {
            spin_loop();
        }
        let began = clock.now();
        work(at);
        times.saturating_record(clock.now().saturating_sub(began));
    }
}

fn alone(cpu: Option<usize>, work: impl FnOnce(&mut Histogram<u64>) + Send) -> Histogram<u64> {
    let mut times = histogram();
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(cpu);
            work(&mut times);
        });
    });
    times
}

/// For each event in whose turn orders went out: the sizes of its records up to the first order, that one included.
fn records_before_orders(session: &std::path::Path) -> Vec<Vec<usize>> {
    let mut reader = Reader::open(session).expect("the journal just written");
    let mut found = Vec::new();
    let (mut sizes, mut open, mut market) = (Vec::new(), false, false);
    while let Some(record) = reader.next().expect("a whole journal") {
        if record.kind == RecordKind::Event.code() {
            let event = Event::decode(record.payload).expect("an event");
            market = matches!(event.body, Body::BookTicker(_) | Body::Depth(_) | Body::DepthMore(_));
            sizes.clear();
            open = true;
        }
        sizes.push(layout::record_size(record.payload.len()));
        if open && market && record.kind == RecordKind::Dispatch.code() {
            found.push(sizes.clone());
            open = false;
        }
    }
    found
}

/// The step between two readings of the clock: the most frequent cost of asking.
fn clock_cost(clock: &Clock) -> u64 {
    let mut steps = histogram();
    for _ in 0..10_000 {
        let began = clock.now();
        steps.saturating_record(clock.now().saturating_sub(began));
    }
    steps.value_at_quantile(0.5)
}

fn less(times: &Histogram<u64>, cost: u64) -> Histogram<u64> {
    let mut net = histogram();
    for step in times.iter_recorded() {
        net.saturating_record_n(step.value_iterated_to().saturating_sub(cost).max(1), step.count_at_value());
    }
    net
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("fixed bounds")
}

fn pin(cpu: Option<usize>) {
    if let Some(cpu) = cpu {
        cpu::pin_current(cpu).expect("the CPU is there");
    }
}

/// Spins, but not for ever: where both threads share a CPU, the other one must run.
#[inline]
fn wait(idle: &mut u32) {
    *idle = idle.saturating_add(1);
    if *idle > 100_000 {
        thread::yield_now();
    } else {
        spin_loop();
    }
}

fn report(rounds: &[Round]) {
    const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
    let row = |name: &str, of: &dyn Fn(&Round) -> &Histogram<u64>| {
        print!("{name:<38}");
        for quantile in QUANTILES {
            let (middle, low, high) = spread(rounds, |round| of(round).value_at_quantile(quantile) as f64);
            print!(" {middle:>7.0} [{low:>6.0} {high:>7.0}]");
        }
        let (middle, _, high) = spread(rounds, |round| of(round).max() as f64);
        println!(" {middle:>9.0} [{high:>9.0}]");
    };
    let (with_orders, ..) = spread(rounds, |round| round.messages_with_orders as f64);
    let (orders, ..) = spread(rounds, |round| round.orders as f64);
    let (clock_cost, ..) = spread(rounds, |round| round.clock_cost as f64);
    println!("{with_orders} messages led to {orders} orders; reading the clock: {clock_cost} ns");
    println!("nanoseconds: median of the rounds [lowest highest]");
    println!("{:<38} {:>24} {:>24} {:>24} {:>24} {:>21}", "", "p50", "p90", "p99", "p99.9", "max");
    row("tick to trade, a message's first order", &|round| &round.first);
    row("tick to trade, every order", &|round| &round.every);
    println!("of the first order:");
    for (at, name) in STAGES.iter().enumerate() {
        row(name, &|round| &round.stages[at]);
    }
    println!("floors:");
    for (at, name) in FLOORS.iter().enumerate() {
        row(name, &|round| &round.floors[at]);
    }
    let sum =
        |round: &Round| round.floors.iter().map(|floor| floor.value_at_quantile(0.5)).sum::<u64>() as f64;
    let line = |name: &str, value: &dyn Fn(&Round) -> f64, aim: &str| {
        let (middle, low, high) = spread(rounds, value);
        println!("{name:<38} {middle:>7.2} [{low:.2} {high:.2}]{aim}");
    };
    line("sum of the floors' p50, ns", &sum, "");
    let ratio =
        |quantile: f64| move |round: &Round| round.first.value_at_quantile(quantile) as f64 / sum(round);
    line("p50 / sum", &ratio(0.5), "   aim 1.5");
    line("p99 / sum", &ratio(0.99), "   aim 4");
}

/// Median, lowest and highest over the rounds.
fn spread(rounds: &[Round], value: impl Fn(&Round) -> f64) -> (f64, f64, f64) {
    let mut values: Vec<f64> = rounds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

/// The line on one thread, each part in a function of its own, for a tool that counts instructions.
fn count_instructions(market: &Market) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clock = Clock::new();
    let mut line = Line::new(folder.path(), SEGMENT, &clock);
    let (mut orders, mut messages) = (0_u64, 0_u64);
    for at in 0..market.len() {
        part_receive(&mut line, market, at, Nanos::new(clock.now()));
        messages += 1;
        while part_core(&mut line) == Pass::Busy {}
        while let Some(dispatch) = part_send(&mut line) {
            orders += 1;
            line.sending.answer(&dispatch);
        }
    }
    println!("{messages} messages, {orders} orders");
}

#[inline(never)]
fn part_receive(line: &mut Line, market: &Market, at: usize, now: Nanos) {
    line.receiving.take(market, at, now);
}

#[inline(never)]
fn part_core(line: &mut Line) -> Pass {
    line.core.pass()
}

#[inline(never)]
fn part_send(line: &mut Line) -> Option<Dispatch> {
    line.sending.take().map(|handed| handed.dispatch)
}
