//! `kill -9` of the engine at seeded moments of a busy session, each followed by a warm start: positions and open orders equal
//! the venue's, no order was sent twice, no fill is lost.
//!
//! The venue is a process of its own and outlives every engine. What is true is asked of the venue itself, over its REST and its
//! control port, never of the engine. `LINCHPIN_CRASHES` is the number of kills, `LINCHPIN_CRASH_SEED` their seed; the table at the end says
//! what each kill met.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use linchpin::core::event::{Body, Event, HydrationPhase, RequestKind};
use linchpin::core::record::RecordKind;
use support::desk::Desk;
use support::{Dice, Running, knob};

/// Long enough for a start to connect, hydrate and trade on a busy machine.
const LONGEST_LIFE: u64 = 4_000;

#[test]
fn after_a_kill_at_any_moment_a_warm_start_knows_what_the_venue_knows_and_sends_nothing_twice() {
    let crashes = knob("LINCHPIN_CRASHES", 6);
    let seed = knob("LINCHPIN_CRASH_SEED", 1);
    let mut dice = Dice(seed);
    let mut desk = Desk::open(&busy());
    let mut met: BTreeMap<&'static str, u64> = BTreeMap::new();
    let began = Instant::now();
    for crash in 0..crashes {
        let line = format!("LINCHPIN_CRASH_SEED={seed} cargo test --test crash_matrix (kill {crash})");
        let engine = Running::start(desk.engine(&[]));
        std::thread::sleep(Duration::from_micros(dice.below(LONGEST_LIFE * 1_000)));
        engine.signal("-KILL");
        let told = engine.ended();
        assert!(support::died_of(&told, 9), "{line}: it ended by itself\n{told}");
        for what in what_it_met(&desk) {
            *met.entry(what).or_default() += 1;
        }

        // The next one goes on, gets its gates open, and stops as a person would stop it.
        let mut engine = Running::start(desk.engine(&[]));
        engine.wait_for("open gates", |line| line.contains("gates open"));
        engine.signal("-INT");
        let told = engine.ended();
        assert_eq!(told.code(), Some(0), "{line}\n{told}");
        agrees_with_the_venue(&mut desk, &told.stdout, &line);
    }
    println!("{crashes} kills in {:.0?}; each met one or more of:", began.elapsed());
    met.iter().for_each(|(what, times)| println!("  {times:>4}  {what}"));
}

/// Quotes that follow every tick, and a journal whose segments are over in moments.
fn busy() -> String {
    "segment_size = \"64KiB\"".to_owned()
}

fn agrees_with_the_venue(desk: &mut Desk, summary: &str, line: &str) {
    let truth = desk.account();
    for (symbol, position) in &truth.positions {
        let ours = desk.position_in(summary, symbol);
        assert_eq!(ours, *position, "{line}: {symbol} is {ours} here and {position} there\n{summary}");
    }
    assert_eq!(truth.open_orders, 0, "{line}: the drain left orders open at the venue\n{summary}");
    let fills = support::number_before(summary, "  fills  ", "(");
    assert_eq!(fills, truth.trades, "{line}: fills here and trades there\n{summary}");
    for (order, asked) in desk.asked() {
        assert_eq!(asked, 1, "{line}: {order} was asked for {asked} times");
    }
    assert!(!summary.contains("position_mismatch"), "{line}\n{summary}");
}

/// What the newest session was in the middle of when it was killed.
fn what_it_met(desk: &Desk) -> Vec<&'static str> {
    let Some(session) = support::sessions(&desk.home()).pop() else { return vec!["before its folder"] };
    if !has_records(&session) {
        return vec!["before its first record"];
    }
    let (_, records) = support::records(&session);
    let mut met = Vec::new();
    let (mut hydrating, mut trading) = (false, false);
    let mut unanswered: BTreeMap<u64, RequestKind> = BTreeMap::new();
    for record in &records {
        match record.kind {
            RecordKind::Event => match Event::decode(&record.payload).expect("an event").body {
                Body::Hydration(hydration) => hydrating = hydration.phase == HydrationPhase::Begin,
                Body::Outcome(outcome) => drop(unanswered.remove(&outcome.dispatch)),
                _ => {}
            },
            RecordKind::Dispatch => {
                trading = true;
                let dispatch =
                    linchpin::core::dispatch::Dispatch::decode(&record.payload).expect("a dispatch");
                unanswered.insert(dispatch.number, dispatch.request);
            }
            _ => {}
        }
    }
    if hydrating {
        met.push("in the middle of a hydration");
    }
    if !trading {
        met.push("before its first dispatch");
    }
    if records.last().is_some_and(|last| last.kind == RecordKind::Dispatch) {
        met.push("right after a dispatch was recorded");
    }
    for (kind, words) in [
        (RequestKind::New, "with a new order unanswered"),
        (RequestKind::Replace, "with a replace unanswered"),
        (RequestKind::Cancel, "with a cancel unanswered"),
    ] {
        if unanswered.values().any(|request| *request == kind) {
            met.push(words);
        }
    }
    if support::segments(&session).len() > 2 {
        met.push("after its journal had rolled");
    }
    if met.is_empty() {
        met.push("between two turns");
    }
    met
}

fn has_records(session: &Path) -> bool {
    linchpin::journal::Reader::open(session).is_ok_and(|mut reader| matches!(reader.next(), Ok(Some(_))))
}
