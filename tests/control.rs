//! The control surface as people use it: the program, its socket, and `linchpin ctl` beside it.
#![cfg(feature = "embedded-venue")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use linchpin::core::event::{Body, ControlVerb, Event};
use linchpin::core::record::RecordKind;
use linchpin::replay::Opening;
use serde_json::Value;
use support::{Running, Told, linchpin, records, replay, run, session, sessions, wait_until};

/// A demo without an end, once it trades.
fn engine(folder: &Path, more: &[&str]) -> Running {
    let mut words = vec!["run", "--home", "home", "--duration", "none", "--no-verify"];
    words.extend(more);
    let mut engine = Running::start(linchpin(folder, &words));
    engine.wait_for("the control socket", |line| line.starts_with("control "));
    engine
}

fn ctl(folder: &Path, words: &[&str]) -> Told {
    let mut all = vec!["ctl", "--home", "home"];
    all.extend(words);
    run(folder, &all)
}

/// The answer as a program reads it.
#[track_caller]
fn answer(folder: &Path, words: &[&str]) -> Value {
    let told = ctl(folder, &[words, &["--json"]].concat());
    serde_json::from_str(&told.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}\n{told}"))
}

fn trades(folder: &Path) {
    wait_until(&folder.join("home"), "it trades", || {
        answer(folder, &["status"])["control"]["fills"].as_u64().unwrap_or(0) > 0
    });
}

fn stop(folder: &Path, engine: Running) -> Told {
    ctl(folder, &["stop", "--reason", "the test is over"]).expect_code(0).says("stopped");
    engine.ended().expect_code(0)
}

#[test]
fn every_verb_does_what_it_says_before_it_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let engine = engine(here, &[]);
    let mode = std::fs::metadata(here.join("home/ctl.sock")).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    trades(here);

    let control = |words: &[&str]| answer(here, words)["control"].clone();
    assert_eq!(control(&["status"])["trading_enabled"], true);
    let standing = answer(here, &["status"])["strategies"][0].clone();
    assert_eq!((&standing["strategy"], &standing["may"]), (&"maker".into(), &"active".into()), "{standing}");
    assert_eq!(control(&["disable", "--reason", "lunch"])["trading_enabled"], false);
    assert_eq!(answer(here, &["gates"])["venues"][0]["closed"], "trading");
    assert_eq!(control(&["enable"])["trading_enabled"], true);
    assert_eq!(answer(here, &["links"])["venues"][0]["links"]["order_entry"], "up");
    wait_until(&here.join("home"), "it quotes again", || {
        answer(here, &["orders"])["orders"].as_array().is_some_and(|orders| !orders.is_empty())
    });
    let positions = answer(here, &["positions"]);
    assert!(positions["positions"].as_array().expect("a list").iter().any(|row| row["owner"] == "all"));

    let set = answer(here, &["set", "instrument.BTCUSDT.max_open_orders", "6", "--reason", "smaller"]);
    assert_eq!((&set["old"], &set["new"]), (&10.into(), &6.into()), "{set}");
    let again = answer(here, &["set", "instrument.demo/BTCUSDT.max_position", "0.05"]);
    assert_eq!((&again["old"], &again["new"]), (&100.into(), &50.into()), "{again}");

    // What risk keeps back is told while it happens, not only in the summary.
    answer(here, &["set", "instrument.BTCUSDT.max_order_quantity", "0.001"]);
    wait_until(&here.join("home"), "risk denies", || {
        let told = answer(here, &["status"]);
        told["denied"]
            .as_array()
            .is_some_and(|all| all.iter().any(|row| row["reason"] == "max_order_quantity"))
    });
    ctl(here, &["status"]).expect_code(0).says("denied by risk: ").says(" max_order_quantity");

    let killed = answer(here, &["kill", "--reason", "a test"]);
    for (name, value) in [("ok", true), ("confirmed", true), ("persisted", true)] {
        assert_eq!(killed[name], value, "{killed}");
    }
    assert_eq!(killed["gate"], "cancel");
    wait_until(&here.join("home"), "its orders are cancelled", || control(&["status"])["open_orders"] == 0);
    ctl(here, &["reset-kill", "--reason", "looked at"]).expect_code(0).says("the kill switch is off");
    ctl(here, &["reset-kill", "--reason", "again"]).expect_code(1).complains(&["nothing to reset"]);
    assert_eq!(control(&["cancel-all"])["kill"], Value::Null);
    assert_eq!(control(&["flatten"])["kill"], Value::Null);
    // Everything is read back on a person's word, and the answer waits for the venue's.
    let told = answer(here, &["read-back", "--reason", "to be sure"]);
    assert_eq!((&told["ok"], &told["venues"][0]["account"]), (&true.into(), &"trusted".into()), "{told}");
    ctl(here, &["read-back"]).expect_code(0).says("read back (event ").says("trusted");
    let drained = control(&["drain"]);
    assert_eq!((&drained["draining"], &drained["idle"]), (&true.into(), &true.into()));
    ctl(here, &["enable"]).expect_code(0).says("trading enabled, draining until the next start");
    stop(here, engine).says("an operator stopped it");
    assert!(!here.join("home/ctl.sock").exists(), "the socket goes with the engine");

    // Who asked and why stands in the journal before each command, and the replay is the same.
    let session = session(&here.join("home"));
    let (_, kept) = records(&session);
    let mut seen = Vec::new();
    for (note, event) in kept.iter().zip(&kept[1..]).filter(|(note, _)| note.kind == RecordKind::Note) {
        let event = Event::decode(&event.payload).expect("an event follows its note");
        let Body::Control(control) = event.body else { panic!("{event:?}") };
        seen.push((
            control.verb,
            control.old,
            control.new,
            String::from_utf8_lossy(&note.payload).into_owned(),
        ));
    }
    let of = |verb| seen.iter().find(|row| row.0 == verb).unwrap_or_else(|| panic!("no {verb:?}: {seen:?}"));
    let limit = of(ControlVerb::SetLimit);
    assert_eq!((limit.1, limit.2), (10, 6));
    assert!(limit.3.contains("\"reason\":\"smaller\"") && limit.3.contains("uid "), "{}", limit.3);
    assert!(of(ControlVerb::Kill).3.contains("\"reason\":\"a test\""));
    let stop = &of(ControlVerb::Stop).3;
    assert!(stop.contains("\"reason\":\"the test is over\"") && stop.contains("uid "), "{stop}");
    replay(&session).expect_code(0).says("replay identical");
}

/// From the keyboard to the strategy, to the journal, and back in a replay.
#[test]
fn a_strategys_parameter_changes_while_it_trades_and_the_replay_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let engine = engine(here, &[]);
    trades(here);
    let key = "strategy.maker.parameters.quantity";
    let set = answer(here, &["set", key, "0.002", "--reason", "smaller"]);
    assert_eq!((&set["old"], &set["new"]), (&5.into(), &2.into()), "{set}");
    let of_two = |order: &Value| order["quantity"] == "0.002";
    wait_until(&here.join("home"), "its orders are smaller", || {
        answer(here, &["orders"])["orders"].as_array().is_some_and(|orders| orders.iter().any(of_two))
    });
    ctl(here, &["set", key, "0.0001"]).expect_code(2).complains(&[key, "whole number of lots of 0.001"]);
    ctl(here, &["set", "strategy.maker.parameters.quantty", "0.002"])
        .expect_code(2)
        .complains(&["quantty is no parameter of the strategy", "did you mean \"quantity\""]);
    let risk = answer(here, &["set", "risk.max_gross", "50000"]);
    assert_eq!((&risk["old"], &risk["new"]), (&0.into(), &5_000_000_000_000_i64.into()), "{risk}");
    stop(here, engine);

    let session = session(&here.join("home"));
    let (_, kept) = records(&session);
    let parameter = kept.iter().zip(&kept[1..]).find_map(|(note, event)| {
        let Ok(Event { body: Body::Control(control), .. }) = Event::decode(&event.payload) else {
            return None;
        };
        let is_it = note.kind == RecordKind::Note && control.verb == ControlVerb::SetParameter;
        is_it.then(|| (control.old, control.new, String::from_utf8_lossy(&note.payload).into_owned()))
    });
    let (old, new, note) = parameter.expect("the change is in the journal, its note before it");
    assert_eq!((old, new), (5, 2));
    assert!(note.contains("\"reason\":\"smaller\"") && note.contains("uid "), "{note}");
    replay(&session).expect_code(0).says("replay identical");
}

#[test]
fn a_kill_outlives_the_process_until_a_person_resets_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let engine_one = engine(here, &[]);
    trades(here);
    ctl(here, &["kill", "--reason", "enough"]).expect_code(0);
    engine_one.signal("-KILL");
    engine_one.ended();

    let mut engine_two = engine(here, &[]);
    engine_two.wait_for("its status", |line| line.contains("CLOSED: demo (kill)"));
    let status = answer(here, &["status"]);
    assert_eq!((&status["control"]["kill"], &status["gate"]), (&"block".into(), &"block".into()));
    assert_eq!(status["kill_flag"]["reason"], "enough");
    assert_eq!(status["control"]["dispatches"], 0, "not one order while killed");
    let told = stop(here, engine_two);
    told.says("KILLED: nothing goes out").says("enough");
    let newest = sessions(&here.join("home")).pop().expect("a session");
    let (_, kept) = records(&newest);
    let opening: Opening = serde_json::from_slice(&kept[0].payload).expect("an opening");
    assert!(opening.killed);
    replay(&newest).expect_code(0).says("replay identical");

    let engine_three = engine(here, &["--reset-kill", "looked into"]);
    trades(here);
    assert!(!here.join("home/kill.json").exists());
    stop(here, engine_three);
    let history = std::fs::read_to_string(here.join("home/kills.jsonl")).expect("a history");
    assert!(history.contains("enough") && history.contains("looked into"), "{history}");
    let newest = sessions(&here.join("home")).pop().expect("a session");
    let opening: Opening = serde_json::from_slice(&records(&newest).1[0].payload).expect("an opening");
    assert_eq!((opening.killed, opening.kill_reset.as_deref()), (false, Some("looked into")));
}

/// The power cut between gate and disk: the flag's draft is a pipe that nobody reads, so the write to it never ends.
#[test]
fn success_is_never_said_before_the_flag_is_on_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let first = engine(here, &[]);
    trades(here);
    let made = Command::new("mkfifo").arg(here.join("home/kill.json.draft")).status().expect("mkfifo runs");
    assert!(made.success());
    let session = session(&here.join("home"));
    let told = ctl(here, &["kill", "--reason", "then the power goes", "--timeout", "3s"]);
    told.expect_code(5).complains(&["no answer within 3"]);
    // The gate and the core came first: nothing has been dispatched for a while although the disk hangs.
    let dispatches = || {
        let (_, kept) = records(&session);
        kept.iter().filter(|record| record.kind == RecordKind::Dispatch).count()
    };
    let count = dispatches();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(dispatches(), count);
    first.signal("-KILL");
    first.ended();
    std::fs::remove_file(here.join("home/kill.json.draft")).expect("the pipe");

    // Nobody was told that the kill is kept, and it is not: the next start trades.
    assert!(!here.join("home/kill.json").exists());
    let second = engine(here, &[]);
    trades(here);
    stop(here, second);
}

#[test]
fn a_kill_that_cannot_be_kept_kills_all_the_same_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let engine = engine(here, &[]);
    trades(here);
    // A folder in the place of the draft cannot be written to, by root neither.
    std::fs::create_dir(here.join("home/kill.json.draft")).expect("a folder");
    let told = ctl(here, &["kill", "--reason", "the disk is odd"]);
    told.expect_code(6).complains(&["killed, but", "cannot write", "a restart would not be killed"]);
    assert_eq!(answer(here, &["status"])["control"]["kill"], "cancel");
    // It is tried again until it is kept.
    std::fs::remove_dir(here.join("home/kill.json.draft")).expect("a folder");
    wait_until(&here.join("home"), "the flag is kept after all", || here.join("home/kill.json").exists());
    let log = stop(here, engine);
    assert!(log.stderr.contains("KILLED, BUT NOT PERSISTED"), "{log}");
}

#[test]
fn slow_hostile_and_many_clients_keep_nobody_from_the_kill_switch() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let engine = engine(here, &[]);
    trades(here);
    let socket = here.join("home/ctl.sock");
    let connect = || UnixStream::connect(&socket).expect("a connection");
    // Many that say nothing, some that stop in the middle of a line, one that floods, one that never reads.
    let silent: Vec<UnixStream> = (0..100).map(|_| connect()).collect();
    let mut halves: Vec<UnixStream> = (0..5).map(|_| connect()).collect();
    halves.iter_mut().for_each(|half| half.write_all(b"{\"verb\":\"sta").expect("half a line"));
    let flood = std::thread::spawn({
        let mut stream = connect();
        move || {
            let garbage = vec![b'x'; 1 << 16];
            (0..1_000).take_while(|_| stream.write_all(&garbage).is_ok()).count()
        }
    });
    let deaf = std::thread::spawn({
        let mut stream = connect();
        move || (0..100_000).take_while(|_| stream.write_all(b"{\"verb\":\"status\"}\n").is_ok()).count()
    });
    let begun = Instant::now();
    let killed = answer(here, &["kill", "--reason", "a crowd"]);
    assert_eq!(killed["ok"], true, "{killed}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let flooded = flood.join().expect("a flood");
    assert!(flooded < 1_000, "it was shown out");
    assert!(deaf.join().expect("a deaf one") < 100_000, "it was shown out");
    drop((silent, halves));

    // A line that is too long is answered once and ends its client; what is wrong otherwise ends nothing.
    let mut stream = connect();
    let mut lines = BufReader::new(stream.try_clone().expect("a clone"));
    let mut ask = |line: &[u8]| {
        stream.write_all(line).expect("written");
        let mut answer = String::new();
        lines.read_line(&mut answer).expect("an answer");
        serde_json::from_str::<Value>(&answer).expect("JSON")["error"].clone()
    };
    assert_eq!(ask(b"not json\n"), "bad_request");
    assert_eq!(ask(b"{\"verb\":\"buy\"}\n"), "unknown_verb");
    assert_eq!(ask(b"\xff\xfe\n"), "bad_request");
    assert_eq!(ask(&[vec![b' '; 5_000], b"\n".to_vec()].concat()), "too_long");
    let mut rest = Vec::new();
    let _ = lines.read_to_end(&mut rest);
    assert_eq!(rest, b"", "and then it is closed");
    stop(here, engine);
}

#[test]
fn a_second_engine_in_the_same_home_has_a_socket_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let one = engine(here, &[]);
    let mut two =
        Running::start(linchpin(here, &["run", "--home", "home", "--duration", "none", "--no-verify"]));
    let line = two.wait_for("its socket", |line| line.starts_with("control "));
    let socket = line.trim_start_matches("control ").to_owned();
    assert!(socket.contains("/sessions/"), "{socket}");
    run(here, &["ctl", "--socket", &socket, "stop"]).expect_code(0);
    two.ended().expect_code(0);
    assert_eq!(answer(here, &["status"])["ok"], true, "the first one is as it was");
    stop(here, one);
}

#[test]
fn safe_commands_read_an_account_and_its_symbols() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let read = |words: &[&str]| {
        let told = run(here, words).expect_code(0);
        serde_json::from_str::<Value>(&told.stdout).unwrap_or_else(|error| panic!("{error}\n{told}"))
    };
    let account = read(&["account", "--json"]);
    let balances = account["venues"][0]["balances"].as_array().expect("a list").clone();
    let usdt = balances.iter().find(|row| row["asset"] == "USDT").expect("the demo's money");
    assert_eq!(usdt["wallet"], "100000.00000000", "{account}");
    assert_eq!(account["venues"][0]["open_orders"], Value::Array(Vec::new()));
    run(here, &["account"]).expect_code(0).says("USDT").says("no open orders");

    let symbols = read(&["symbols", "--json"]);
    let row = &symbols["symbols"][0];
    assert_eq!((&row["symbol"], &row["lot"]), (&"BTCUSDT".into(), &"0.001".into()), "{symbols}");
    let all = read(&["symbols", "--all", "--json"]);
    assert!(all["symbols"].as_array().expect("a list").iter().any(|row| row["symbol"] == "BTCUSDT"));
    run(here, &["symbols"]).expect_code(0).says("BTCUSDT").says("min_notional");

    // A mode in which nothing may be sent, and no key: what is public is read, the account is not.
    let told = run(here, &["account", "--mode", "DRY_RUN", "--json"]).expect_code(0);
    assert!(told.stdout.contains("100000"), "the embedded venue has its own key\n{told}");
    assert_eq!(std::fs::read_dir(here).expect("a folder").count(), 0, "nothing is left behind");
}

#[test]
fn watching_ends_with_the_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let engine = engine(here, &[]);
    let mut watch = Running::start(linchpin(here, &["ctl", "--home", "home", "watch", "--every", "50ms"]));
    watch.wait_for("a first status", |line| line.contains("trading enabled"));
    watch.wait_for("another", |line| line.contains("trading enabled"));
    stop(here, engine);
    watch.ended().expect_code(5);
}
