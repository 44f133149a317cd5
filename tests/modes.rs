//! Modes and venues over real sockets: a DRY_RUN cannot send, with a key or without one; two venues run side by side; a start that hangs
//! or fails is over at once and leaves nothing behind.
#![cfg(feature = "embedded-venue")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use linchpin::core::event::Body;
use serde_json::Value;
use support::faulty::Venue;
use support::{Running, linchpin, number_before, replay, run, session, sessions, wait_until};

const HEAD: &str =
    "[run]\nhome = \"home\"\nduration = \"none\"\n[threads]\nlayout = \"merged\"\nwait = \"park\"\n";

fn instrument(venue: &str) -> String {
    // The spot account begins with 10 BTC, which count: below that, nothing could be bought.
    let most = if venue == "spot" { "20" } else { "0.1" };
    format!(
        "[[instrument]]\nvenue = \"{venue}\"\nsymbol = \"BTCUSDT\"\nmax_order_quantity = \"0.1\"\nmax_order_notional = \"20000\"\nmax_position = \"{most}\"\n"
    )
}

fn maker(name: &str, instrument: &str) -> String {
    format!(
        "[[strategy]]\nname = \"{name}\"\nkind = \"market-maker\"\ninstruments = [\"{instrument}\"]\n[strategy.parameters]\nquantity = \"0.005\"\nmax_position = \"0.03\"\n"
    )
}

/// The lines of the dry run's file.
fn papers(home: &Path) -> Vec<Value> {
    let Some(session) = sessions(home).pop() else { return Vec::new() };
    let text = std::fs::read_to_string(session.join("dry_run.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A file without a mode is a DRY_RUN: whoever writes none did not ask for anything to be sent.
#[test]
fn a_dry_run_keeps_every_signed_request_and_never_even_dials_order_entry() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let venue = Venue::start(folder.path(), &[]);
    let config =
        [HEAD, &venue.table("paper", "binance-usdm", ""), &instrument("paper"), &maker("maker", "BTCUSDT")]
            .concat();
    std::fs::write(folder.path().join("desk.toml"), config).expect("written");
    let engine = Running::start(linchpin(folder.path(), &["run", "--config", "desk.toml"]));
    wait_until(&home, "requests are on paper", || papers(&home).len() >= 5);
    assert_eq!(venue.connections("api"), Vec::<u64>::new(), "order entry was dialled");
    assert_eq!(venue.connections("private").len(), 1, "the account's own stream is read");
    engine.signal_group("-INT");
    let told = engine.ended().expect_code(0);
    told.says("linchpin DRY_RUN session").says("dry_run").says("replay                 identical");
    assert_eq!(number_before(&told.stdout, "  orders  ", " sent"), 0, "{told}");
    assert_eq!(venue.orders(), Vec::new(), "the venue heard of an order");
    let papers = papers(&home);
    for paper in &papers {
        let request = &paper["request"];
        let id = paper["client_order_id"].as_str().expect("an id");
        assert_eq!(request["id"], paper["dispatch"].to_string(), "{paper}");
        assert_eq!(request["method"], "order.place", "{paper}");
        assert_eq!(request["params"]["newClientOrderId"], id, "{paper}");
        assert!(request["params"]["signature"].as_str().is_some_and(|text| text.len() > 40), "{paper}");
        assert!(request["params"]["timestamp"].as_u64().is_some(), "{paper}");
    }
    replay(&session(&home)).expect_code(0).says("replay identical");
}

#[test]
fn a_dry_run_without_a_key_runs_on_public_data_and_says_so_loudly() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let venue = Venue::start(folder.path(), &[]);
    let table = venue.table("paper", "binance-usdm", "");
    let (before, _) = table.split_once("[venue.key]").expect("a key");
    let keyless = format!("{before}[venue.key]\nid = \"none\"\nsecret = \"none\"\n");
    let config =
        ["mode = \"DRY_RUN\"\n", HEAD, &keyless, &instrument("paper"), &maker("maker", "BTCUSDT")].concat();
    std::fs::write(folder.path().join("desk.toml"), config).expect("written");
    let engine = Running::start(linchpin(folder.path(), &["run", "--config", "desk.toml"]));
    wait_until(&home, "requests are on paper", || papers(&home).len() >= 5);
    for kind in ["api", "private"] {
        assert_eq!(venue.connections(kind), Vec::<u64>::new(), "{kind} was dialled");
    }
    engine.signal_group("-INT");
    let told = engine.ended().expect_code(0);
    told.says("replay                 identical");
    assert!(told.stderr.contains("the account is taken to be empty"), "{told}");
    assert_eq!(venue.orders(), Vec::new());
    for paper in papers(&home) {
        assert_eq!(paper["request"]["params"]["apiKey"], "DRY-RUN-WITHOUT-A-KEY", "{paper}");
    }
    // In every other mode a key is needed, and the configuration says so.
    std::fs::write(
        folder.path().join("live.toml"),
        std::fs::read_to_string(folder.path().join("desk.toml")).expect("read").replace("DRY_RUN", "DEMO"),
    )
    .expect("written");
    run(folder.path(), &["run", "--config", "live.toml"]).complains(&["key"]);
}

#[test]
fn spot_and_futures_run_side_by_side_in_one_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let (usdm_folder, spot_folder) = (folder.path().join("usdm"), folder.path().join("spot"));
    for place in [&usdm_folder, &spot_folder] {
        std::fs::create_dir(place).expect("a folder");
    }
    let usdm = Venue::start(&usdm_folder, &[]);
    let spot = Venue::start(&spot_folder, &["--product", "spot"]);
    let config = [
        "mode = \"DEMO\"\n",
        HEAD,
        &usdm.table("futures", "binance-usdm", ""),
        &spot.table("spot", "binance-spot", "depth = \"100ms\""),
        &instrument("futures"),
        &instrument("spot"),
        &maker("futures-maker", "futures/BTCUSDT"),
        &maker("spot-maker", "spot/BTCUSDT"),
    ]
    .concat();
    std::fs::write(folder.path().join("desk.toml"), config).expect("written");
    let engine = Running::start(linchpin(folder.path(), &["run", "--config", "desk.toml"]));
    wait_until(&home, "both venues take orders", || usdm.orders_taken() >= 5 && spot.orders_taken() >= 5);
    // One of them goes away: the other trades on.
    spot.fault(r#"{"fault":"down","target":"all","for_ms":2000}"#);
    let before = usdm.orders_taken();
    wait_until(&home, "the other trades on", || usdm.orders_taken() >= before + 5);
    spot.heal();
    let before = spot.orders_taken();
    wait_until(&home, "it trades again", || spot.orders_taken() >= before + 3);
    engine.signal_group("-INT");
    let told = engine.ended().expect_code(0);
    told.says("BTCUSDT, BTCUSDT").says("0 left open").says("replay                 identical");
    for venue in [&usdm, &spot] {
        let twice: Vec<_> = venue.orders().into_iter().filter(|(_, asked, _)| *asked > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}

/// One command, nothing set up by hand: a venue for each product is started, traded at, and gone afterwards.
#[test]
fn spot_and_futures_are_embedded_side_by_side_in_one_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let venue = |name: &str, dialect: &str, more: &str| {
        format!(
            "[[venue]]\nname = \"{name}\"\ndialect = \"{dialect}\"\nrest = \"embedded\"\nmarket = \"embedded\"\nprivate = \"embedded\"\norder_entry = \"embedded\"\n{more}\n[venue.key]\nid = \"embedded\"\nsecret = \"embedded\"\n"
        )
    };
    let config = [
        "mode = \"DEMO\"\n",
        HEAD,
        &venue("futures", "binance-usdm", ""),
        &venue("spot", "binance-spot", "depth = \"100ms\""),
        &instrument("futures"),
        &instrument("spot"),
        &maker("futures-maker", "futures/BTCUSDT"),
        &maker("spot-maker", "spot/BTCUSDT"),
    ]
    .concat();
    std::fs::write(folder.path().join("desk.toml"), config).expect("written");
    let home = folder.path().join("home");
    let engine = Running::start(linchpin(folder.path(), &["run", "--config", "desk.toml"]));
    let traded = |session: &Path| {
        let asked: Vec<u8> = support::events(session)
            .iter()
            .filter(|(_, event)| matches!(event.body, Body::Order(_)))
            .map(|(_, event)| event.venue.0)
            .collect();
        [0, 1].map(|venue| asked.iter().filter(|found| **found == venue).count())
    };
    wait_until(&home, "both venues have told of orders", || {
        sessions(&home).first().is_some_and(|session| traded(session).iter().all(|orders| *orders >= 6))
    });
    let venues = engine.children();
    assert_eq!(venues.len(), 2, "a process for each product");
    engine.signal_group("-INT");
    let told = engine.ended().expect_code(0);
    told.says("BTCUSDT, BTCUSDT").says("0 left open").says("replay                 identical");
    support::expect_gone(&venues);
    for log in ["binance-usdm.log", "binance-spot.log"] {
        assert!(session(&home).join(log).is_file(), "{log}");
    }
}

#[test]
fn ctrl_c_is_heard_while_the_venue_does_not_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let venue = Venue::start(folder.path(), &[]);
    venue.fault(r#"{"fault":"silence","target":"all","for_ms":60000,"new":true}"#);
    let config = ["mode = \"DEMO\"\n", HEAD, &venue.table("demo", "binance-usdm", "")].concat();
    std::fs::write(folder.path().join("desk.toml"), config).expect("written");
    let mut engine = Running::start(linchpin(folder.path(), &["run", "--config", "desk.toml"]));
    engine.wait_until("a session folder", || !sessions(&home).is_empty());
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    engine.signal_group("-INT");
    let told = engine.ended_within(Duration::from_secs(20)).expect_code(130);
    assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?}", begun.elapsed());
    told.complains(&["stopped before the session began"]);
    assert_eq!(sessions(&home), Vec::<std::path::PathBuf>::new(), "a half-made session is left");
}
