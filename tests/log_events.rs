//! Every `event="..."` that the documentation lists is written by somebody, and those that a desk sees in the course of its days
//! are seen here: one engine that is commanded, hurt by its venue, killed and started again.
#![cfg(feature = "embedded-venue")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use linchpin::telemetry::log::LogEvent;
use serde_json::Value;
use support::faulty::Desk;
use support::{PATIENCE, Running, run, sessions};

/// Each of these needs a world worse than a venue's process can make of itself; who provokes it stands beside it.
const ELSEWHERE: &[(LogEvent, &str, &str)] = &[
    (LogEvent::BadMessage, "src/threads/receiver/market.rs", "tests/fuzz: a message that is none"),
    (LogEvent::ClockSkew, "src/threads/requester.rs", "tests/faults.rs: the_venues_clock_jumps"),
    (
        LogEvent::DataInconsistency,
        "src/threads/core_loop/telling.rs",
        "src/core/tests: a position that differs after a read-back",
    ),
    (
        LogEvent::JournalFailure,
        "src/threads/core_loop/telling.rs",
        "tests/trips.rs: a journal that cannot be written",
    ),
    (LogEvent::LogDropped, "src/telemetry/log.rs", "src/telemetry/log.rs: a full lane"),
    (LogEvent::OrderNotSent, "src/threads/sender.rs", "tests/full.rs: a socket that takes no more"),
    (LogEvent::RingFull, "src/threads/sender/output.rs", "tests/full.rs: each ring of the table"),
    (LogEvent::Incident, "src/threads/core_loop/telling.rs", "src/core/tests: each kind"),
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
    for (event, file, _) in ELSEWHERE {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file);
        assert!(text.contains(&format!("LogEvent::{event:?}")), "{file} does not write {}", event.name());
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

    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(event, ..)| event.name()).collect();
    let missing: Vec<&str> = LogEvent::ALL
        .iter()
        .map(|event| event.name())
        .filter(|name| !seen.contains(*name) && !elsewhere.contains(name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new(), "seen: {seen:?}");
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
