//! A live session as a user meets it: it trades, it stops when told, it survives being killed, and its replay is the proof.
//!
//! `LINCHPIN_KILL_ROUNDS` and `LINCHPIN_SIGNAL_ROUNDS` make the tests with seeded moments longer; `LINCHPIN_SEED` moves the moments.
#![cfg(feature = "embedded-venue")]

mod support;

use std::path::Path;
use std::time::Duration;

use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::{Body, Event};
use linchpin::core::num::Price;
use linchpin::core::record::RecordKind;
use linchpin::journal::journal_folder;
use linchpin::journal::snapshot::newest_first;
use serde_json::Value;
use support::{
    Dice, Kept, Running, Told, died_of, expect_gone, knob, linchpin, number_before, records, replay, run,
    session, sessions, wait_until, write_journal,
};

const LONG: &[&str] = &["run", "--duration", "none", "--home", "home"];

#[test]
fn a_session_trades_fills_and_its_replay_is_identical() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = Running::start(linchpin(folder.path(), LONG));
    demo.wait_for("a fill", |line| line.contains("fills") && !line.contains("fills 0"));
    let venues = demo.children();
    assert_eq!(venues.len(), 1, "the venue is a process of its own");
    demo.signal_group("-INT");
    let told = demo.ended().expect_code(0);
    told.says("(ended: Ctrl-C)")
        .says("0 left open")
        .says("0 gaps, 0 resyncs")
        .says("replay                 identical");
    assert!(number_before(&told.stdout, "  orders  ", " sent") > 0, "{told}");
    assert!(number_before(&told.stdout, "  fills  ", " (") > 0, "{told}");
    expect_gone(&venues);

    let session = session(&folder.path().join("home"));
    told.says(&format!(
        "folder                 {}",
        Path::new("home/sessions").join(session.file_name().expect("a name")).display()
    ));
    let summary = std::fs::read_to_string(session.join("summary.txt")).expect("a summary");
    told.says(summary.trim());
    for hop in ["parse", "ring_in", "turn", "ring_out", "encode", "write", "tick_to_trade"] {
        assert!(session.join(format!("{hop}.hgrm")).is_file(), "{hop}.hgrm");
    }
    let log = std::fs::read_to_string(session.join("log.jsonl")).expect("a log");
    for event in ["cold_start", "loop_shutdown"] {
        assert!(log.contains(&format!("\"event\":\"{event}\"")), "{event} in\n{log}");
    }
    let again = replay(&session).expect_code(0);
    again.says("replay identical").says("journal sealed: nothing is missing");
}

/// The demo on spot: everything embedded. `rest` is what stands behind its venue.
fn spot(folder: &Path, rest: &str) {
    let addresses = ["rest", "market", "private", "order_entry"].map(|key| format!("{key} = \"embedded\"\n"));
    let text = format!(
        "mode = \"DEMO\"\n[[venue]]\nname = \"demo\"\ndialect = \"binance-spot\"\n{}[venue.key]\nid = \"embedded\"\nsecret = \"embedded\"\n{rest}",
        addresses.concat()
    );
    std::fs::write(folder.join("spot.toml"), text).expect("written");
}

const SPOT: &[&str] = &["run", "--config", "spot.toml", "--duration", "none", "--home", "home"];

/// A strategy that buys, on an account that holds ten coins already.
const BUYER: &str = r#"
[[instrument]]
venue = "demo"
symbol = "BTCUSDT"
max_order_quantity = "1"
max_order_notional = "50000"
max_position = "20"
[[strategy]]
name = "buyer"
kind = "dca-entry"
instruments = ["BTCUSDT"]
[strategy.parameters]
side = "buy"
base_quantity = "0.01"
safety_quantity = "0.005"
max_position = "0.05"
"#;

/// Spot in earnest: the private stream is a subscription, a replacement is a cancellation and a new order, and there are no position rows.
#[test]
fn a_spot_session_trades_replaces_and_its_replay_is_identical() {
    let folder = tempfile::tempdir().expect("a folder");
    spot(folder.path(), "");
    let mut demo = Running::start(linchpin(folder.path(), SPOT));
    demo.wait_for("a fill", |line| line.contains("fills") && !line.contains("fills 0"));
    std::thread::sleep(Duration::from_secs(2));
    demo.signal_group("-INT");
    let told = demo.ended().expect_code(0);
    told.says("0 left open").says("0 gaps, 0 resyncs").says("replay                 identical");
    // A cancel-replace that crosses a fill is an unknown outcome until it has been asked about: no more than that.
    for serious in ["position_mismatch", "contradiction", "recovery_exhausted", "late_fill"] {
        assert!(!told.stdout.contains(serious), "{told}");
    }
    assert!(number_before(&told.stdout, " sent, ", " replaces") > 0, "{told}");
}

/// A kill that flattens must not sell the coins that a person keeps on the account, and must get past the sender's gate.
#[test]
fn a_kill_that_flattens_on_spot_sells_what_the_strategy_holds_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    spot(folder.path(), BUYER);
    let demo = Running::start(linchpin(folder.path(), SPOT));
    let ctl = |words: &[&str]| run(folder.path(), &[&["ctl", "--home", "home"], words, &["--json"]].concat());
    let held = |owner: &str| -> f64 {
        let told: Value = serde_json::from_str(&ctl(&["positions"]).stdout).unwrap_or_default();
        let rows = told["positions"].as_array().cloned().unwrap_or_default();
        let row = rows.into_iter().find(|row| row["owner"] == owner && row["symbol"] == "BTCUSDT");
        row.and_then(|row| {
            row["quantity"].as_str().map(|text| text.trim_start_matches('+').parse().expect("a number"))
        })
        .unwrap_or(0.0)
    };
    let home = folder.path().join("home");
    wait_until(&home, "the buyer holds something", || held("buyer") > 0.004);
    let kept = held("external");
    assert!(kept > 1.0, "the wallet has coins of its own: {kept}");
    ctl(&["kill", "--mode", "flatten", "--reason", "a test"]).expect_code(0);
    wait_until(&home, "the buyer holds nothing", || held("buyer").abs() < 0.001);
    assert!((held("external") - kept).abs() < 0.001, "{} of {kept} are left", held("external"));
    demo.signal_group("-INT");
    let told = demo.ended().expect_code(0);
    assert!(!told.stdout.contains("not sent"), "nothing was wished that the gate stops: {told}");
    told.says("replay                 identical");
}

#[test]
fn a_session_saves_snapshots_and_its_replay_from_one_ends_as_the_full_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "mode = \"DEMO\"\n[journal]\nsnapshot_every = \"1s\"\n";
    std::fs::write(folder.path().join("often.toml"), text).expect("written");
    run(folder.path(), &["run", "--config", "often.toml", "--duration", "4s", "--home", "home"])
        .expect_code(0)
        .says("replay                 identical");
    let session = session(&folder.path().join("home"));
    let hash = |told: &Told| {
        let (_, rest) = told.stdout.split_once("(last ").expect("a hash");
        rest.split_once(')').expect("its end").0.to_owned()
    };
    let full = replay(&session).expect_code(0);
    let path = session.display().to_string();
    let from_snapshot = || run(folder.path(), &["replay", "--from-snapshot", &path]);

    let newest = || newest_first(&session).expect("listed").remove(0);
    let last = newest();
    let told = from_snapshot().expect_code(0);
    told.says("replay identical: 0 events").says("journal sealed: nothing is missing");
    assert_eq!(hash(&told), hash(&full));

    // One that was saved while it traded.
    std::fs::remove_file(&last).expect("removed");
    let told = from_snapshot().expect_code(0);
    told.says("from the snapshot after event ").says("journal sealed: nothing is missing");
    assert_eq!(hash(&told), hash(&full));
    assert!(number_before(&told.stdout, "replay identical: ", " events") > 0, "{told}");

    let mut bytes = std::fs::read(newest()).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(newest(), bytes).expect("written");
    from_snapshot().expect_code(1).complains(&[&newest().display().to_string(), "checksum"]);
}

#[test]
fn a_session_ends_when_its_duration_is_over_and_without_a_command_it_is_the_demo() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = run(folder.path(), &["--duration", "1s", "--no-verify"]).expect_code(0);
    told.says("linchpin DEMO session").says("(ended: the duration was over)").says("not asked for");
    replay(&session(&folder.path().join("var"))).expect_code(0).says("replay identical");
}

#[test]
fn two_sessions_in_one_home_at_once_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["run", "--duration", "2s", "--home", "a home with spaces"];
    let both = [(); 2].map(|()| Running::start(linchpin(folder.path(), &arguments)));
    for told in both.map(Running::ended) {
        told.expect_code(0).says("replay                 identical");
    }
    let home = folder.path().join("a home with spaces");
    assert_eq!(sessions(&home).len(), 2);
    for session in sessions(&home) {
        replay(&session).expect_code(0).says("journal sealed");
    }
}

#[test]
fn a_closed_stdout_does_not_stop_a_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = linchpin(folder.path(), &["run", "--duration", "1s", "--home", "home"]);
    let mut child = demo.spawn().expect("starts");
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("ends").code(), Some(0));
    replay(&session(&folder.path().join("home"))).expect_code(0).says("journal sealed");
}

/// Where in its life a session is, as seen from outside.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Begun,
    VenueStarting,
    Connecting,
    Hydrating,
    Trading,
}

const MOMENTS: [Moment; 5] =
    [Moment::Begun, Moment::VenueStarting, Moment::Connecting, Moment::Hydrating, Moment::Trading];

impl Moment {
    /// Waits until there, then up to a few milliseconds more.
    fn reach(self, demo: &mut Running, home: &Path, dice: &mut Dice) {
        let seen = |name: &str| sessions(home).last().is_some_and(|session| session.join(name).exists());
        match self {
            Moment::Begun => {}
            Moment::VenueStarting => demo.wait_until("the venue's log", || seen("venue.log")),
            Moment::Connecting => demo.wait_until("the journal", || seen("journal")),
            Moment::Hydrating => {
                demo.wait_for("the session's folder", |line| line.starts_with("session "));
            }
            Moment::Trading => {
                demo.wait_for("an open order", |line| line.contains("open 1") || line.contains("open 2"));
            }
        }
        std::thread::sleep(Duration::from_micros(dice.below(40_000)));
    }
}

#[test]
fn ctrl_c_at_any_moment_gives_a_summary_or_one_clear_line_and_leaves_no_venue() {
    let mut dice = Dice(knob("LINCHPIN_SEED", 1));
    for round in 0..knob("LINCHPIN_SIGNAL_ROUNDS", 2) {
        for moment in MOMENTS {
            let folder = tempfile::tempdir().expect("a folder");
            let mut demo = Running::start(linchpin(folder.path(), LONG));
            moment.reach(&mut demo, &folder.path().join("home"), &mut dice);
            let venues = demo.children();
            demo.signal_group(["-INT", "-TERM", "-HUP"][(round % 3) as usize]);
            let told = demo.ended();
            stopped_well(&told, moment);
            expect_gone(&venues);
        }
    }
}

fn stopped_well(told: &Told, moment: Moment) {
    // Before the program's first instruction has run, a signal is the system's business.
    let not_begun = matches!(moment, Moment::Begun) && [1, 2, 15].iter().any(|signal| died_of(told, *signal));
    let before = told.code() == Some(130)
        && told.stderr.trim_end() == "linchpin: stopped before the session began; no order was sent";
    let drained = told.code() == Some(0)
        && told.stdout.contains("(ended: Ctrl-C)")
        && told.stdout.contains("0 left open")
        && told.stdout.contains("replay                 identical");
    assert!(not_begun || before || drained, "{moment:?}: {told}");
    let late = matches!(moment, Moment::Hydrating | Moment::Trading);
    assert!(!late || drained, "{moment:?}: {told}");
}

#[test]
fn a_second_ctrl_c_ends_it_at_once_and_nothing_recorded_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let mut demo = Running::start(linchpin(folder.path(), LONG));
    demo.wait_for("an open order", |line| line.contains("open 1") || line.contains("open 2"));
    let venues = demo.children();
    let session = session(&home);
    demo.signal_group("-INT");
    demo.wait_until("the drain", || {
        std::fs::read_to_string(session.join("log.jsonl"))
            .is_ok_and(|log| log.contains("\"event\":\"drain\""))
    });
    demo.signal_group("-INT");
    let told = demo.ended();
    assert_eq!(told.code(), Some(130), "{told}");
    assert!(!told.stdout.contains("Latency by hop"), "{told}");
    expect_gone(&venues);
    replay(&session).expect_code(0).says("replay identical").says("journal not sealed");
}

#[test]
fn kill_9_at_any_moment_leaves_a_journal_that_replays_to_its_last_whole_record() {
    let mut dice = Dice(knob("LINCHPIN_SEED", 2));
    // One home for all rounds: what a killed first start leaves there must not trouble the next.
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    for round in 0..knob("LINCHPIN_KILL_ROUNDS", 7) {
        let before = sessions(&home).len();
        let mut demo = Running::start(linchpin(folder.path(), LONG));
        demo.wait_until("a session folder", || sessions(&home).len() > before);
        match round % 3 {
            // While it starts.
            0 => std::thread::sleep(Duration::from_micros(dice.below(300_000))),
            // While it connects and hydrates.
            1 => Moment::Connecting.reach(&mut demo, &home, &mut dice),
            // While it trades.
            _ => {
                Moment::Trading.reach(&mut demo, &home, &mut dice);
                std::thread::sleep(Duration::from_micros(dice.below(300_000)));
            }
        }
        let venues = demo.children();
        demo.signal("-KILL");
        let told = demo.ended();
        assert!(died_of(&told, 9), "{told}");
        expect_gone(&venues);
        let session = sessions(&home).pop().expect("a session");
        let again = replay(&session);
        match again.code() {
            Some(0) => {
                again.says("replay identical").says("journal not sealed: the run was cut off");
            }
            // Killed before there was an instrument: nothing was decided, and it says so.
            _ => {
                assert!(round % 3 != 2, "{again}");
                let why = [
                    "holds no journal",
                    "ended before it began",
                    "nothing to replay",
                    "the journal is empty",
                ];
                assert!(why.iter().any(|why| again.stderr.contains(why)), "{again}");
                again.complains(&[]);
            }
        }
    }
    run(folder.path(), &["run", "--duration", "1s", "--home", "home"]).expect_code(0).says("identical");
}

#[test]
fn a_replay_that_derives_something_else_exits_with_3_and_names_the_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = Running::start(linchpin(folder.path(), LONG));
    demo.wait_for("a fill", |line| line.contains("fills") && !line.contains("fills 0"));
    demo.signal_group("-INT");
    demo.ended().expect_code(0);
    let (header, kept) = records(&session(&folder.path().join("home")));
    let rewritten = |name: &str, records: &[Kept]| {
        let place = folder.path().join(name);
        write_journal(&place, header.clone(), records);
        assert!(journal_folder(&place).is_dir());
        replay(&place)
    };

    // The control: the same records, written anew, replay as before.
    rewritten("same", &kept).expect_code(0).says("replay identical").says("journal sealed");

    let mut records = kept.clone();
    let one = records.iter_mut().find(|record| record.kind == RecordKind::Dispatch).expect("a dispatch");
    let mut dispatch = Dispatch::decode(&one.payload).expect("a dispatch");
    let recorded = dispatch.price;
    dispatch.price = Price::new(recorded.raw() + 1);
    one.payload.resize(Dispatch::ENCODED, 0);
    dispatch.encode(&mut one.payload);
    let sequence = one.sequence;
    let told = rewritten("other-dispatch", &records).expect_code(3);
    told.complains(&["other-dispatch", &format!("the turn of event {sequence}"), "field price"]);
    for price in [recorded.raw(), recorded.raw() + 1] {
        assert!(told.stderr.contains(&price.to_string()), "{told}");
    }

    // An input that was another: what follows from it is what differs.
    let mut records = kept.clone();
    let fill = records.iter_mut().find(|record| {
        let event = (record.kind == RecordKind::Event).then(|| Event::decode(&record.payload).ok()).flatten();
        matches!(event, Some(Event { body: Body::BookTicker(_), .. }))
    });
    let one = fill.expect("a ticker");
    let sequence = one.sequence;
    records.retain(|record| record.sequence != sequence || record.kind == RecordKind::Event);
    let at = records.iter().position(|record| record.sequence == sequence).expect("there");
    records.remove(at);
    // Without that event the replay may still decide the same, but not in the end reach the same state.
    rewritten("lost-event", &records).expect_code(3).complains(&["lost-event", "field"]);

    // A decision that is not there.
    let mut records = kept;
    let at = records.iter().position(|record| record.kind == RecordKind::Dispatch).expect("a dispatch");
    records.remove(at);
    rewritten("lost-dispatch", &records).expect_code(3).complains(&["lost-dispatch", "field"]);
}
