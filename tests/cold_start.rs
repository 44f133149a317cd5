//! A start whose venue is not there yet: it asks again, with growing pauses, says so, and ends by itself, by Ctrl-C, or with orders.
#![cfg(feature = "embedded-venue")]

mod support;

use std::fs::{File, read_to_string};
use support::faulty::Venue;
use support::{Running, linchpin, session, sessions};
use tempfile::TempDir;

/// A venue that has been killed, and a configuration that names it. `run` goes into the table of that name.
fn without_its_venue(run: &str) -> (TempDir, Venue) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut venue = Venue::start(folder.path(), &["--symbols", "BTCUSDT"]);
    let table = venue.table("demo", "binance-usdm", "");
    let text = format!(
        "mode = \"DEMO\"\n[run]\nhome = \"home\"\nduration = \"none\"\n{run}\n[threads]\nlayout = \"merged\"\nwait = \"park\"\n{table}"
    );
    std::fs::write(folder.path().join("desk.toml"), text).expect("written");
    venue.kill();
    (folder, venue)
}

/// The engine, whose complaints go into a file.
fn start(folder: &TempDir) -> Running {
    let mut command = linchpin(folder.path(), &["run", "--config", "desk.toml", "--no-verify"]);
    command.stderr(File::create(folder.path().join("stderr")).expect("a file"));
    Running::start(command)
}

fn complaints(folder: &TempDir) -> String {
    read_to_string(folder.path().join("stderr")).expect("text")
}

fn wait_for_try(number: u32, engine: &mut Running, folder: &TempDir) {
    let words = format!("linchpin: try {number} at \"demo\"");
    engine.wait_until(&words, || complaints(folder).contains(&words));
    assert!(engine.is_alive(), "it goes on:\n{}", complaints(folder));
}

#[test]
fn a_venue_that_comes_up_later_is_reached_and_traded_at() {
    let (folder, mut venue) = without_its_venue("start_within = \"none\"");
    let mut engine = start(&folder);
    wait_for_try(3, &mut engine, &folder);
    venue.come_back();
    engine.wait_until("orders are taken", || venue.orders_taken() > 0);
    engine.signal_group("-INT");
    engine.ended().expect_code(0);
    let log = read_to_string(session(&folder.path().join("home")).join("log.jsonl")).expect("a log");
    assert!(log.contains("\"try\":3"), "the tries are in the log too:\n{log}");
    assert!(complaints(&folder).contains("refused"), "and why:\n{}", complaints(&folder));
}

#[test]
fn a_pause_that_the_venue_asks_for_outlasts_the_bound() {
    let (folder, mut venue) = without_its_venue("start_within = \"1s\"");
    venue.come_back();
    venue.fault(
        r#"{"fault":"request","request":"GET /fapi/v1/time","how":{"refuse":{"status":418,"code":-1003,"msg":"Banned.","retry_after_ms":4000}}}"#,
    );
    let mut engine = start(&folder);
    engine.wait_until("orders are taken", || venue.orders_taken() > 0);
    let told = complaints(&folder);
    assert!(told.contains("try 1") && told.contains("status 418"), "{told}");
    engine.signal_group("-INT");
    engine.ended().expect_code(0);
}

#[test]
fn ctrl_c_ends_the_wait_for_a_venue_at_once() {
    let (folder, _venue) = without_its_venue("start_within = \"none\"");
    let mut engine = start(&folder);
    wait_for_try(1, &mut engine, &folder);
    engine.signal_group("-INT");
    engine.ended().expect_code(130);
    assert!(complaints(&folder).contains("no order was sent"), "{}", complaints(&folder));
}

#[test]
fn a_venue_that_stays_away_ends_the_start_when_its_time_is_over() {
    let (folder, _venue) = without_its_venue("start_within = \"1s\"");
    let engine = start(&folder);
    engine.ended().expect_code(1);
    let told = complaints(&folder);
    for words in ["try 1", "run.start_within", "\"demo\"", "refused"] {
        assert!(told.contains(words), "{words} in\n{told}");
    }
    let home = folder.path().join("home");
    assert_eq!(sessions(&home), Vec::<std::path::PathBuf>::new(), "a start that failed leaves no session");
}

#[test]
fn what_waiting_cannot_mend_ends_the_start_at_once() {
    let (folder, mut venue) = without_its_venue("start_within = \"none\"");
    venue.come_back();
    let config = folder.path().join("desk.toml");
    let text = read_to_string(&config).expect("text");
    let another = tempfile::tempdir().expect("a folder");
    let stranger = Venue::start(another.path(), &[]);
    let ours = venue.authority.display().to_string();
    let theirs = stranger.authority.display().to_string();
    for (wrong, words) in [
        (text.replace(&ours, &theirs), "certificate"),
        (
            format!(
                "strategy = []\n{text}\n[[instrument]]\nvenue = \"demo\"\nsymbol = \"NOSUCHUSDT\"\nmax_order_quantity = \"1\"\nmax_order_notional = \"20000\"\nmax_position = \"1\"\n"
            ),
            "NOSUCHUSDT",
        ),
    ] {
        std::fs::write(&config, wrong).expect("written");
        let ended = start(&folder).ended();
        let told = complaints(&folder);
        assert_eq!(ended.code(), Some(1), "{told}");
        assert!(told.contains(words) && !told.contains("try 1"), "{words} alone in\n{told}");
    }
}
