//! An invariant that does not hold trips the kill switch of the running program: in the core, at the gate, and on the disk; the log and the
//! journal have both numbers; the next start is killed.
//!
//! No event of a venue can break one, and the program has no door for it. So the state in which the run begins is wrong: an engine trades and
//! ends as meant, one counter in its last snapshot is falsified by the library's own encoder, under a right checksum and hash, and the
//! next engine goes on from there. The venue knows of nothing: position, orders and fills are all as it says.
#![cfg(feature = "embedded-venue")]

mod support;

use std::path::Path;

use linchpin::core::id::{InstrumentId, StrategyId};
use linchpin::core::num::Quantity;
use linchpin::core::record::{Decision, IncidentKind, RecordKind};
use linchpin::core::snapshot::Value as _;
use linchpin::core::state::position::Position;
use linchpin::journal::snapshot::{self, Snapshot, newest_first};
use linchpin::kill_flag::KillFlag;
use linchpin::replay::{Begin, replay};
use linchpin_kit::audit::build;
use serde_json::Value;
use support::desk::Desk;
use support::{Running, Told};

/// What the falsified counter has too much.
const LOTS: i64 = 7;

#[test]
fn a_broken_invariant_kills_the_running_program_which_says_why_and_stays_killed() {
    let mut desk = Desk::open("");
    // A healthy life, which holds something at its end.
    let engine = start(&desk);
    desk.wait_until("it has traded", || desk.look(&["status"])["control"]["fills"].as_u64() > Some(3));
    end(&desk, engine, 1);
    falsify(&support::session(&desk.home()));

    // The next one meets what is wrong with its first fill.
    let engine = start(&desk);
    desk.wait_until("it kills itself", || desk.look(&["status"])["control"]["kill"] == "cancel");
    let status = desk.look(&["status"]);
    assert_eq!(status["gate"], "cancel", "{status}");
    desk.wait_until("nothing of its own is open", || desk.look(&["status"])["control"]["open_orders"] == 0);
    assert_eq!(desk.account().open_orders, Vec::<String>::new(), "at the venue neither");
    stays_still(&desk);
    let flag = KillFlag::of(&desk.home()).read().expect("a flag on the disk");
    assert_eq!((flag.mode.as_str(), flag.who.as_str()), ("cancel", "the engine itself"));
    assert!(flag.reason.contains("an invariant is broken"), "{flag:?}");
    let told = end(&desk, engine, 2);
    desk.agrees_with_the_venue(&told, "only the counter was wrong");

    let session = support::sessions(&desk.home()).remove(1);
    let (held, accounted) = broken(&session);
    assert_eq!(accounted - held, LOTS, "held and accounted for");
    let incident = logged(&session, "incident", |line| line["kind"] == IncidentKind::BrokenPosition.name());
    assert_eq!((&incident["level"], &incident["instrument"]), (&"error".into(), &0.into()), "{incident}");
    assert_eq!(
        (&incident["ours"], &incident["theirs"]),
        (&held.into(), &accounted.into()),
        "both numbers: {incident}"
    );
    let kill = logged(&session, "kill_switch", |line| line["state"] == "cancel");
    assert!(kill["cause"].as_str().is_some_and(|cause| cause.contains("an invariant is broken")), "{kill}");
    assert_eq!(kill["sequence"], incident["sequence"], "the kill is of that turn: {kill} {incident}");

    // A third one begins killed, and trades when a person says so, until it meets the same again.
    let engine = start(&desk);
    desk.wait_until("it knows the account", || desk.look(&["links"])["venues"][0]["account"] == "trusted");
    let status = desk.look(&["status"]);
    assert_eq!((&status["control"]["kill"], &status["gate"]), (&"block".into(), &"block".into()), "{status}");
    assert!(status["kill_flag"]["reason"].as_str().is_some_and(|why| why.contains("invariant")), "{status}");
    stays_still(&desk);
    desk.ctl(&["reset-kill", "--reason", "the test wants to see it again"]).expect_code(0);
    desk.wait_until("it kills itself again", || desk.look(&["status"])["control"]["kill"] == "cancel");
    end(&desk, engine, 3);
    assert!(KillFlag::of(&desk.home()).read().is_some());
}

fn start(desk: &Desk) -> Running {
    let mut engine = Running::start(desk.engine(&[]));
    engine.wait_for("the control socket", |said| said.starts_with("control "));
    engine
}

/// Ctrl-C; what it decided in that life comes out of its journal again.
#[track_caller]
fn end(desk: &Desk, engine: Running, lives: usize) -> Told {
    engine.signal("-INT");
    let told = engine.ended().expect_code(0);
    let sessions = support::sessions(&desk.home());
    assert_eq!(sessions.len(), lives);
    support::replay(&sessions[lives - 1]).expect_code(0).says("replay identical").says("journal sealed");
    told
}

/// Rewrites the session's last snapshot: what the first strategy has bought of the first instrument is more than its fills and its position say.
fn falsify(session: &Path) {
    let report = replay(session, Begin::AfterSnapshot, &build).expect("its last state");
    let held = report.core.state().execution.position(StrategyId(0), InstrumentId(0)).expect("a position");
    assert!(!held.bought.is_zero() || !held.sold.is_zero(), "it has traded: {held:?}");
    let wrong = Position { bought: held.bought + Quantity::new(LOTS), ..*held };
    let place = newest_first(session).expect("snapshots").remove(0);
    let Snapshot { head, mut form, .. } = Snapshot::read(&place).expect("a sound one");
    assert_eq!(head.sequence, report.last_sequence, "it ended as meant: nothing follows its snapshot");
    let (was, becomes) = (words(held), words(&wrong));
    let at = form.windows(was.len()).position(|found| found == was).expect("its words are in the form");
    form[at..at + becomes.len()].copy_from_slice(&becomes);
    snapshot::write_file(&place, &head, &form).expect("written");
}

fn words(position: &Position) -> Vec<u8> {
    let mut words = Vec::new();
    position.write(&mut words);
    words
}

/// Nothing new leaves while the market goes on.
#[track_caller]
fn stays_still(desk: &Desk) {
    let taken = desk.venue.orders_taken();
    let seen = |desk: &Desk| desk.look(&["status"])["as_of"].as_u64().unwrap_or(0);
    let now = seen(desk);
    desk.wait_until("the market goes on", || seen(desk) > now + 300);
    assert_eq!(desk.venue.orders_taken(), taken, "an order left while it was killed");
}

/// Both numbers of the one broken position in the journal.
fn broken(session: &Path) -> (i64, i64) {
    let (_, records) = support::records(session);
    let decisions = records.iter().filter(|record| record.kind == RecordKind::Decision);
    let found: Vec<(i64, i64)> = decisions
        .filter_map(|record| match Decision::decode(&record.payload) {
            Ok(Decision::Incident { kind: IncidentKind::BrokenPosition, ours, theirs, .. }) => {
                Some((ours, theirs))
            }
            _ => None,
        })
        .collect();
    assert!(!found.is_empty(), "no broken position in the journal");
    found[0]
}

/// The first such line of the session's log.
fn logged(session: &Path, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let log = std::fs::read_to_string(session.join("log.jsonl")).expect("a log");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let found = lines.into_iter().find(|line| line["event"] == event && wanted(line));
    found.unwrap_or_else(|| panic!("no {event} in\n{log}"))
}
