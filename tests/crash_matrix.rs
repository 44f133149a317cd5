//! `kill -9` of the engine at chosen and at random moments of a busy session, each followed by a warm start: positions and open orders equal
//! the venue's, no order was sent twice, no fill is lost, a kill stays a kill.
//!
//! The venue is a process of its own and outlives every engine. What is true is asked of the venue itself, over its REST and its
//! control port, never of the engine. A chosen moment is made as long as it takes: the venue answers late, or one thread of the engine is
//! held while the others run on; afterwards the journal, the disk and the venue must show that the moment was met. `LINCHPIN_CRASHES` is the
//! number of kills, `LINCHPIN_CRASH_SEED` their seed; the table at the end counts what was met.
#![cfg(feature = "embedded-venue")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::{Body, ControlVerb, Event, HydrationPhase, HydrationScope, RequestKind};
use linchpin::core::record::{Decision, RecordKind};
use support::desk::Desk;
use support::held::Held;
use support::{Dice, Running, knob};

/// A thread each, so that one can be held; and segments that are over in moments.
const TABLES: &str = "[threads]\nlayout = \"split\"\nwait = \"park\"\n[journal]\nsegment_size = \"64KiB\"\nsnapshot_every = \"1s\"\n[control]\nstall_after = \"1m\"\n";
const SEGMENT: u64 = 64 * 1024;
/// How often a chosen moment is made again that was not met.
const OTHER_TRIES: u32 = 4;
/// Long enough for a start to connect, hydrate and trade on a busy machine.
const LONGEST_LIFE: u64 = 4_000_000;

/// When to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Whenever the dice say, from the first instruction on.
    Anywhere,
    /// An order is recorded, and the sender has not written it.
    Unsent,
    /// The venue has a request, and has neither answered nor told of it.
    Unanswered(RequestKind),
    /// The account is being read back.
    Hydrating,
    /// A segment is full and the next one begun; the full one is not brought to the disk.
    Rotating,
    /// The run is ending, and waits for its cancels.
    Draining,
    /// Killed by an operator, and acknowledged.
    Killed,
    /// While an operator's kill is under way between gate and disk.
    Killing,
}

/// Each in turn, the random one between all others.
const MOMENTS: [Moment; 18] = [
    Moment::Unsent,
    Moment::Unanswered(RequestKind::New),
    Moment::Hydrating,
    Moment::Rotating,
    Moment::Draining,
    Moment::Killed,
    Moment::Killing,
    Moment::Unanswered(RequestKind::Replace),
    Moment::Unanswered(RequestKind::Cancel),
    Moment::Anywhere,
    Moment::Anywhere,
    Moment::Anywhere,
    Moment::Unsent,
    Moment::Unanswered(RequestKind::New),
    Moment::Hydrating,
    Moment::Rotating,
    Moment::Anywhere,
    Moment::Anywhere,
];

#[test]
fn after_a_kill_at_any_moment_a_warm_start_knows_what_the_venue_knows_and_sends_nothing_twice() {
    let crashes = knob("LINCHPIN_CRASHES", 10);
    let seed = knob("LINCHPIN_CRASH_SEED", 1);
    let mut desk = Desk::open(TABLES);
    let mut met: BTreeMap<&'static str, u64> = BTreeMap::new();
    let began = Instant::now();
    for crash in 0..crashes {
        let moment = MOMENTS[(crash % MOMENTS.len() as u64) as usize];
        let line =
            format!("{moment:?}, kill {crash} of LINCHPIN_CRASH_SEED={seed} LINCHPIN_CRASHES={crashes}");
        let mut dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(crash));
        let mut found = one_kill(&mut desk, moment, &mut dice, &line);
        // What was on its way before the venue was told to answer late may be answered still: then it was another moment, and it is made again.
        for _ in 0..OTHER_TRIES {
            if moment.evidence().is_none_or(|wanted| found.contains(wanted)) {
                break;
            }
            found = one_kill(&mut desk, moment, &mut dice, &line);
        }
        if let Some(wanted) = moment.evidence() {
            assert!(found.contains(wanted), "{line}: no sign of \"{wanted}\", but of {found:?}");
        }
        println!("  {crash:>4}  {moment:?}: {}", found.iter().copied().collect::<Vec<_>>().join(", "));
        found.into_iter().for_each(|what| *met.entry(what).or_default() += 1);
    }
    println!("{crashes} kills in {:.0?}; each met one or more of:", began.elapsed());
    met.iter().for_each(|(what, times)| println!("  {times:>4}  {what}"));
}

/// One life and death at that moment, and the life after it, which must know everything. What it was in the middle of.
fn one_kill(desk: &mut Desk, moment: Moment, dice: &mut Dice, line: &str) -> BTreeSet<&'static str> {
    let life = live_and_die(desk, moment, dice, line);
    desk.venue.heal();
    go_on(desk, &life, line);
    what_it_met(desk, &life)
}

impl Moment {
    /// What must be found afterwards, if it was met.
    fn evidence(self) -> Option<&'static str> {
        Some(match self {
            Moment::Anywhere | Moment::Killing => return None,
            Moment::Unsent => UNSENT,
            Moment::Unanswered(kind) => unanswered(kind),
            Moment::Hydrating => "while the account was read back",
            Moment::Rotating => "with a full segment not yet settled",
            Moment::Draining => "while it drained",
            Moment::Killed => "while it was killed",
        })
    }
}

const UNSENT: &str = "between a new order's dispatch and its sending";

fn unanswered(kind: RequestKind) -> &'static str {
    match kind {
        RequestKind::New => "between a new order's sending and its acknowledgement",
        RequestKind::Replace => "with a replace unanswered",
        RequestKind::Cancel => "with a cancel unanswered",
    }
}

/// What a life left behind.
struct Life {
    /// Sessions in the home before it.
    others: usize,
    /// An operator's kill was begun.
    had_a_kill: bool,
    /// And was answered: it is done.
    acknowledged_kill: bool,
}

/// Starts an engine, waits for the moment, and ends it with `kill -9`.
fn live_and_die(desk: &Desk, moment: Moment, dice: &mut Dice, line: &str) -> Life {
    let others = support::sessions(&desk.home()).len();
    let had_a_kill = matches!(moment, Moment::Killed | Moment::Killing);
    let mut life = Life { others, had_a_kill, acknowledged_kill: false };
    if moment == Moment::Hydrating {
        // The account itself is read by the start too, before anything runs.
        desk.venue.fault(&late("GET /fapi/v1/openOrders", 1));
    }
    let mut engine = Running::start(desk.engine(&[]));
    if moment == Moment::Anywhere {
        std::thread::sleep(Duration::from_micros(dice.below(LONGEST_LIFE)));
        return die(engine, None, life, line);
    }
    engine.wait_for("the control socket", |said| said.starts_with("control "));
    if moment == Moment::Hydrating {
        desk.wait_until(&format!("{line}: it reads the account back"), || {
            desk.look(&["links"])["venues"][0]["account"] == "hydrating"
        });
        return die(engine, None, life, line);
    }
    let taken = desk.venue.orders_taken();
    desk.wait_until(&format!("{line}: it trades"), || desk.venue.orders_taken() >= taken + 4);
    std::thread::sleep(Duration::from_micros(dice.below(300_000)));
    let mut held = None;
    match moment {
        Moment::Anywhere | Moment::Hydrating => unreachable!("over already"),
        Moment::Unsent => {
            held = Some(Held::seize(engine.id(), "sender"));
            desk.wait_until(&format!("{line}: an order waits for the sender"), || {
                let known: BTreeSet<String> = desk.venue.orders().into_iter().map(|(id, ..)| id).collect();
                inflight(desk, "new").iter().any(|id| !known.contains(id))
            });
        }
        Moment::Unanswered(kind) => {
            let method = match kind {
                RequestKind::New => "order.place",
                RequestKind::Replace => "order.modify",
                RequestKind::Cancel => "order.cancel",
            };
            desk.venue.fault(r#"{"fault":"delay_events","ms":60000}"#);
            desk.venue.fault(&late(method, 1_000));
            let before = asked(desk);
            desk.wait_until(&format!("{line}: the venue has it"), || match kind {
                RequestKind::New => asked(desk) > before,
                RequestKind::Replace => !inflight(desk, "replace").is_empty(),
                RequestKind::Cancel => {
                    // A maker moves its orders; who cancels is the operator, and at once there may be nothing open.
                    desk.ctl(&["cancel-all"]);
                    !inflight(desk, "cancel").is_empty()
                }
            });
        }
        Moment::Rotating => {
            let session = support::sessions(&desk.home()).pop().expect("a session");
            let before = begun_segments(&session).len();
            held = Some(Held::seize(engine.id(), "journal-keeper"));
            let more = 1 + dice.below(3) as usize;
            desk.wait_until(&format!("{line}: its journal rolls"), || {
                begun_segments(&session).len() >= before + more
            });
        }
        Moment::Draining => {
            desk.venue.fault(&late("order.cancel", 1_000));
            engine.signal("-INT");
            desk.wait_until(&format!("{line}: it drains"), || {
                support::sessions(&desk.home()).last().is_some_and(|session| drains(session))
            });
        }
        Moment::Killed => {
            desk.ctl(&["kill", "--reason", "the test says so"]).expect_code(0);
            life.acknowledged_kill = true;
        }
        Moment::Killing => {
            let words = ["ctl", "--home", "home", "kill", "--reason", "the test says so"];
            let command = Running::start(support::linchpin(desk.folder(), &words));
            std::thread::sleep(Duration::from_micros(dice.below(60_000)));
            engine.signal("-KILL");
            life.acknowledged_kill = command.ended().code() == Some(0);
        }
    }
    die(engine, held, life, line)
}

/// The answer to these requests comes far later than anybody here waits.
fn late(request: &str, times: u32) -> String {
    format!(r#"{{"fault":"request","request":"{request}","times":{times},"how":{{"delay":{{"ms":60000}}}}}}"#)
}

fn die(engine: Running, held: Option<Held>, life: Life, line: &str) -> Life {
    engine.signal("-KILL");
    drop(held);
    let told = engine.ended();
    assert!(support::died_of(&told, 9), "{line}: it ended by itself\n{told}");
    life
}

/// How often the venue was asked for a new order.
fn asked(desk: &Desk) -> u64 {
    desk.venue.orders().iter().map(|(_, asked, _)| asked).sum()
}

/// Our ids of orders with such a request under way.
fn inflight(desk: &Desk, request: &str) -> Vec<String> {
    let said = desk.look(&["orders"]);
    let orders = said["orders"].as_array().cloned().unwrap_or_default();
    let of_kind = orders.iter().filter(|order| order["inflight"] == request);
    of_kind.filter_map(|order| order["client_order_id"].as_str().map(str::to_owned)).collect()
}

/// The journal's segments that the writer has come to: a spare is all zeros.
fn begun_segments(session: &Path) -> Vec<PathBuf> {
    let is_begun = |place: &PathBuf| {
        let mut magic = [0; 8];
        let read = std::fs::File::open(place).and_then(|mut file| file.read_exact(&mut magic));
        read.is_ok() && magic != [0; 8]
    };
    support::segments(session).into_iter().filter(is_begun).collect()
}

fn drains(session: &Path) -> bool {
    std::fs::read_to_string(session.join("log.jsonl")).is_ok_and(|log| log.contains("\"event\":\"drain\""))
}

/// The next engine: it knows what the venue knows, and stays killed if it was.
fn go_on(desk: &mut Desk, life: &Life, line: &str) {
    let flag = desk.home().join("kill.json").exists();
    assert!(flag || !life.acknowledged_kill, "{line}: the acknowledged kill is not on the disk");
    let mut engine = Running::start(desk.engine(&[]));
    engine.wait_for("the control socket", |said| said.starts_with("control "));
    desk.wait_until(&format!("{line}: it knows the account"), || {
        desk.look(&["links"])["venues"][0]["account"] == "trusted"
    });
    // A kill that had reached the journal and not the flag when the process died is a kill too.
    let kill = desk.look(&["status"])["control"]["kill"].clone();
    assert!(!kill.is_null() || !flag, "{line}: the flag is there, and it is not killed");
    assert!(kill.is_null() || life.had_a_kill, "{line}: nobody killed it, and it is killed: {kill}");
    if !kill.is_null() {
        stays_killed(desk, line);
    }
    desk.wait_until(&format!("{line}: its gates are open"), || {
        let venue = &desk.look(&["gates"])["venues"][0];
        venue["account"] == "trusted" && venue["closed"].is_null()
    });
    engine.signal("-INT");
    let told = engine.ended();
    assert_eq!(told.code(), Some(0), "{line}\n{told}");
    desk.agrees_with_the_venue(&told, line);
}

/// Nothing new leaves until a person resets it.
fn stays_killed(desk: &Desk, line: &str) {
    let taken = desk.venue.orders_taken();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(desk.venue.orders_taken(), taken, "{line}: an order left while it was killed");
    desk.ctl(&["reset-kill", "--reason", "the test has looked"]).expect_code(0);
}

/// What the session was in the middle of when it was killed.
fn what_it_met(desk: &Desk, life: &Life) -> BTreeSet<&'static str> {
    let Some(session) = support::sessions(&desk.home()).into_iter().nth(life.others) else {
        return BTreeSet::from(["before its folder"]);
    };
    if !has_records(&session) {
        return BTreeSet::from(["before its first record"]);
    }
    let (_, records) = support::records(&session);
    let mut met = BTreeSet::new();
    let (mut hydrating, mut traded, mut killed) = (false, false, false);
    let mut open: BTreeMap<u64, Dispatch> = BTreeMap::new();
    for record in &records {
        match record.kind {
            RecordKind::Event => match Event::decode(&record.payload).expect("an event").body {
                Body::Hydration(hydration) if hydration.scope == HydrationScope::Account => {
                    hydrating = hydration.phase == HydrationPhase::Begin;
                }
                Body::Outcome(outcome) => drop(open.remove(&outcome.dispatch)),
                Body::Control(control) => killed |= control.verb == ControlVerb::Kill,
                _ => {}
            },
            RecordKind::Decision => {
                if let Ok(Decision::Ask(ask)) = Decision::decode(&record.payload) {
                    hydrating |= ask.scope == HydrationScope::Account;
                }
            }
            RecordKind::Dispatch => {
                traded = true;
                let dispatch = Dispatch::decode(&record.payload).expect("a dispatch");
                open.insert(dispatch.number, dispatch);
            }
            RecordKind::Opening | RecordKind::Note => {}
        }
    }
    // The venue has had all the time it needs to read what was in the socket.
    let heard: BTreeSet<String> = desk.venue.orders().into_iter().map(|(id, ..)| id).collect();
    for dispatch in open.values() {
        let id = dispatch.client_order_id.to_string();
        let unsent = dispatch.request == RequestKind::New && !heard.contains(&id);
        met.insert(if unsent { UNSENT } else { unanswered(dispatch.request) });
    }
    // All but the last are full; the keeper brings them to the disk and cuts what is unused.
    let begun = begun_segments(&session);
    let full = begun.split_last().map_or(&[][..], |(_, full)| full);
    let unsettled = full.iter().any(|place| std::fs::metadata(place).is_ok_and(|file| file.len() == SEGMENT));
    for (is_so, what) in [
        (hydrating, "while the account was read back"),
        (!traded, "before its first dispatch"),
        (
            records.last().is_some_and(|last| last.kind == RecordKind::Dispatch),
            "right after a dispatch was recorded",
        ),
        (unsettled, "with a full segment not yet settled"),
        (drains(&session), "while it drained"),
        (killed, "while it was killed"),
    ] {
        if is_so {
            met.insert(what);
        }
    }
    if met.is_empty() {
        met.insert("between two turns");
    }
    met
}

fn has_records(session: &Path) -> bool {
    linchpin::journal::Reader::open(session).is_ok_and(|mut reader| matches!(reader.next(), Ok(Some(_))))
}
