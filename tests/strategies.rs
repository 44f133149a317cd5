//! The built-in strategies as a user runs them: each example's configuration in the demo for a few seconds, and its replay.
#![cfg(feature = "embedded-venue")]

mod support;

use std::path::Path;

use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::{OrderKind, RequestKind};
use linchpin::core::family::Family;
use linchpin::core::record::{Decision, RecordKind};
use support::{Told, number_before, records, replay, run, session};

/// A session of `examples/<name>.toml`, and what it sent and decided.
struct Session {
    told: Told,
    dispatches: Vec<Dispatch>,
    decisions: Vec<Decision>,
}

fn play(name: &str, duration: &str) -> Session {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).with_extension("toml");
    let config = config.display().to_string();
    let told = run(folder.path(), &["run", "--config", &config, "--duration", duration, "--home", "home"])
        .expect_code(0);
    told.says("replay                 identical");
    let session = session(&folder.path().join("home"));
    replay(&session).expect_code(0).says("replay identical");
    let (_, kept) = records(&session);
    let of = |wanted: RecordKind| kept.iter().filter(move |record| record.kind == wanted);
    let dispatches = of(RecordKind::Dispatch).filter_map(|record| Dispatch::decode(&record.payload).ok());
    let decisions = of(RecordKind::Decision).filter_map(|record| Decision::decode(&record.payload).ok());
    Session { told, dispatches: dispatches.collect(), decisions: decisions.collect() }
}

impl Session {
    fn sent(&self, kind: OrderKind) -> usize {
        let new = |sent: &&Dispatch| sent.request == RequestKind::New && sent.kind == kind;
        self.dispatches.iter().filter(new).count()
    }

    fn fills(&self) -> u64 {
        number_before(&self.told.stdout, "  fills  ", " (")
    }
}

#[test]
fn the_chaser_buys_its_parent_and_no_more() {
    let session = play("chaser", "20s");
    assert!(session.fills() > 0, "{}", session.told);
    // All of the parent, to the lot, and nothing left open.
    session.told.says("0.050").says("0 left open");
}

#[test]
fn the_bracket_guards_what_the_maker_holds_with_conditional_orders() {
    let session = play("bracket", "10s");
    assert!(session.fills() > 0, "{}", session.told);
    assert!(session.sent(OrderKind::StopMarket) > 0, "{}", session.told);
    let protective = |d: &&Decision| matches!(d, Decision::Intent(wish) if wish.family == Family::Protective);
    assert!(session.decisions.iter().filter(protective).count() > 0);
    // The families met: some quote of the maker's gave way, or waited.
    session.told.says("0 left open");
}

#[test]
fn the_dca_entry_takes_a_position_on_and_its_profit_stands_over_it() {
    let session = play("dca_entry", "12s");
    assert!(session.fills() > 0, "{}", session.told);
    let reduces = |sent: &&Dispatch| {
        sent.flags.has(linchpin::core::dispatch::DispatchFlags::REDUCE_ONLY) && sent.kind == OrderKind::Limit
    };
    assert!(session.dispatches.iter().filter(reduces).count() > 0, "{}", session.told);
    assert!(
        session.sent(OrderKind::Limit) >= 3,
        "a base order, its safety orders, a take-profit: {}",
        session.told
    );
}
