//! Recordings: played verbatim and in time, the book exact, who waits for whom, and what our orders get. The real files are others' data and
//! stay outside the project: those tests say loudly when they are not there.

use super::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

// ------------------------------------------------------------------------------------------------ the real thing

#[test]
fn a_real_recording_plays_verbatim_and_ends_with_the_same_book_as_a_naive_rebuild() {
    real_recording(&["btcusdt_20240808.gz"], 93_953);
}

#[test]
fn continuation_files_play_as_one_recording() {
    real_recording(&["btcusdt_20240718.gz", "btcusdt_20240719.gz"], 11_413 + 60_570);
}

#[test]
fn recordings_stamped_in_microseconds_play_too() {
    real_recording(&["btcusdt_20230404.dat.gz", "btcusdt_20230405.dat.gz"], 13_383 + 60_381);
}

fn real_recording(names: &[&str], frames: usize) {
    let Some(files) = real_files(names) else { return };
    let mut expected = naive(&files);
    assert_eq!(expected.messages.len(), frames);

    let mut desk = playing(files, Speed::Max);
    let ticket = match desk.exchange.depth(desk.now, "BTCUSDT", Some(1000)) {
        Ok(DepthReply::Pending(ticket)) => ticket,
        other => panic!("the snapshot is still in the file: {other:?}"),
    };
    desk.exchange.start(desk.now);
    let mut messages = expected.messages.drain(..);
    let mut snapshot = None;
    let mut ending = None;
    while let Some(due) = desk.exchange.next_wake() {
        desk.now = desk.now.max(due) + MS;
        desk.exchange.advance(desk.now, &mut |output| match output {
            Output::Recorded(frame) => {
                let json = messages.next().expect("no more frames than lines");
                assert!(*frame.frame == *json.as_bytes(), "changed: {json}");
            }
            Output::DepthReady(of, depth) => {
                assert_eq!(of, ticket);
                snapshot = depth.verbatim;
            }
            Output::MarkPrice(_) => {}
            Output::Ended(how) => ending = Some(how),
            other => panic!("not the recording's: {other:?}"),
        });
    }
    assert_eq!(messages.next(), None);
    assert_eq!(snapshot.as_deref(), Some(expected.snapshot.as_bytes()));
    assert_eq!(ending, Some(Ending::Complete { lines: expected.lines }));
    let instrument::Liquidity::Recorded(recorded) = &desk.exchange.instruments[0].liquidity else { panic!() };
    assert_eq!((recorded.gaps, recorded.last_update_id()), (0, expected.last_update_id));
    let levels = |side| recorded.levels(side).collect::<Vec<_>>();
    assert!(levels(Side::Buy) == expected.bids.into_iter().rev().collect::<Vec<_>>(), "bids differ");
    assert!(levels(Side::Sell) == expected.asks.into_iter().collect::<Vec<_>>(), "asks differ");
}

#[test]
fn quotes_at_the_touch_of_a_real_recording_are_filled_on_both_sides_and_money_is_conserved() {
    let Some(files) = real_files(&["btcusdt_20240808.gz"]) else { return };
    let mut desk = playing(files, Speed::Times(1));
    let Ok(DepthReply::Pending(_)) = desk.exchange.depth(desk.now, "BTCUSDT", Some(1000)) else { panic!() };
    desk.exchange.start(desk.now);
    let mut quotes: [Option<Order>; 2] = [None, None];
    let mut fills = [0, 0];
    for _ in 0..1_200 {
        desk.now += 50 * MS;
        while desk.exchange.next_wake().is_some_and(|due| due <= desk.now) {
            desk.exchange.advance(desk.now, &mut |output| {
                if let Output::Order(_, update) = output
                    && update.execution == ExecutionType::Trade
                {
                    assert!(update.maker);
                    fills[usize::from(update.order.side == Side::Sell)] += 1;
                }
            });
        }
        let ticker = desk.exchange.book_ticker(desk.now, "BTCUSDT").expect("a book");
        for (slot, side, price) in [(0, Side::Buy, ticker.bid.0), (1, Side::Sell, ticker.ask.0)] {
            if price.is_zero() {
                continue;
            }
            let order =
                quotes[slot].take().and_then(|order| desk.exchange.orders.by_id(order.order_id).cloned());
            quotes[slot] = match order.filter(|order| order.status.is_open()) {
                Some(order) if order.price == price => Some(order),
                other => {
                    if let Some(order) = other {
                        desk.exchange.execute(desk.now, ONE, cancel_of(&order)).expect("open");
                    }
                    let order = timed(TimeInForce::Gtx, NewOrder::limit("BTCUSDT", side, d("0.005"), price));
                    match desk.exchange.execute(desk.now, ONE, Command::Place(order)) {
                        Ok(Reply::Order(order)) => Some(order),
                        _ => None,
                    }
                }
            };
        }
    }
    assert!(fills[0] > 5 && fills[1] > 5, "a minute of quotes: {fills:?} fills");
    let ledger = &desk.exchange.ledger;
    let holdings: Vec<_> = ledger
        .accounts()
        .map(|id| *ledger.wallet(id).holding(orders::SymbolIndex(0), PositionSide::Both))
        .collect();
    assert!(holdings.iter().map(|holding| holding.quantity).sum::<Decimal>().is_zero());
    let wallets: Decimal = ledger.accounts().map(|id| ledger.wallet(id).balance).sum();
    assert_eq!(wallets - d("200000") + ledger.fee_pot, holdings.iter().map(|holding| holding.cost).sum());
}

fn cancel_of(order: &Order) -> Command {
    Command::Cancel { symbol: order.symbol.clone(), order: OrderRef::Id(order.order_id), name: None }
}

/// A recording read in the simplest way there is.
struct Naive {
    messages: Vec<String>,
    snapshot: String,
    lines: u64,
    bids: BTreeMap<Decimal, Decimal>,
    asks: BTreeMap<Decimal, Decimal>,
    last_update_id: u64,
}

fn naive(files: &[PathBuf]) -> Naive {
    let mut raw = Vec::new();
    for file in files {
        let mut text = String::new();
        let packed = std::fs::File::open(file).expect("looked for before");
        std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(packed), &mut text)
            .expect("gzip");
        raw.extend(text.lines().map(|line| line.split_once(' ').expect("a stamp").1.to_owned()));
    }
    let snapshot =
        raw.iter().find(|json| json.starts_with("{\"lastUpdateId\"")).expect("one snapshot").clone();
    let parsed: serde_json::Value = serde_json::from_str(&snapshot).expect("JSON");
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    let mut book = Naive {
        messages: raw.iter().filter(|json| json.starts_with("{\"stream\"")).cloned().collect(),
        lines: raw.len() as u64,
        bids: BTreeMap::new(),
        asks: BTreeMap::new(),
        last_update_id: number(&parsed["lastUpdateId"]),
        snapshot,
    };
    set(&mut book.bids, &parsed["bids"]);
    set(&mut book.asks, &parsed["asks"]);
    for json in raw.iter().filter(|json| json.contains("@depth")) {
        let parsed: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let data = &parsed["data"];
        if number(&data["u"]) < book.last_update_id {
            continue;
        }
        set(&mut book.bids, &data["b"]);
        set(&mut book.asks, &data["a"]);
        book.last_update_id = number(&data["u"]);
    }
    book
}

fn set(side: &mut BTreeMap<Decimal, Decimal>, levels: &serde_json::Value) {
    for level in levels.as_array().expect("levels") {
        let text = |at: usize| d(level[at].as_str().expect("text"));
        if text(1).is_zero() {
            side.remove(&text(0));
        } else {
            side.insert(text(0), text(1));
        }
    }
}

fn real_files(names: &[&str]) -> Option<Vec<PathBuf>> {
    let shared = std::env::var_os("LINCHPIN_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let files: Vec<PathBuf> =
        names.iter().map(|name| shared.join("data/binance_ws/usdm").join(name)).collect();
    if let Some(missing) = files.iter().find(|file| !file.exists()) {
        eprintln!("!!! NOT TESTED: no recording {} (set LINCHPIN_SHARED)", missing.display());
        return None;
    }
    Some(files)
}

// ------------------------------------------------------------------------------------------------ small ones

/// A folder with a recording made of these lines: milliseconds after the start, then JSON.
fn recording(lines: &[(u64, String)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("recording.txt");
    let text: String = lines
        .iter()
        .map(|(ms, json)| format!("{} {json}\n", 1_700_000_000_000_000_000u64 + ms * MS))
        .collect();
    std::fs::write(&file, text).expect("written");
    (folder, file)
}

fn playing(files: Vec<PathBuf>, speed: Speed) -> Desk {
    Desk::with(|config| {
        config.market = MarketConfig::Recording(RecordingConfig { speed, ..RecordingConfig::new(files) });
        config.mark_price_interval_ns = 3_600 * SECOND;
    })
}

fn depth(first: u64, bids: &str, asks: &str) -> String {
    format!(
        r#"{{"stream":"btcusdt@depth@0ms","data":{{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT","U":{first},"u":{first},"pu":{},"b":[{bids}],"a":[{asks}]}}}}"#,
        first - 1
    )
}

fn trade(price: &str, quantity: &str, buyer_is_maker: bool) -> String {
    format!(
        r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":9,"p":"{price}","q":"{quantity}","X":"MARKET","m":{buyer_is_maker}}}}}"#
    )
}

fn snapshot(last: u64) -> String {
    format!(
        r#"{{"lastUpdateId":{last},"E":1,"T":1,"bids":[["60000.00","5.000"]],"asks":[["60000.10","4.000"],["60001.00","6.000"]]}}"#
    )
}

/// Advances to `ms` after the start and says what was heard (but mark prices), with the book's words only.
fn hear(desk: &mut Desk, ms: u64) -> Vec<String> {
    desk.now = START + ms * MS;
    let mut heard = Vec::new();
    for _ in 0..10 {
        desk.exchange.advance(desk.now, &mut |output| {
            if !matches!(output, Output::MarkPrice(_)) {
                heard.push(word(&output));
            }
        });
    }
    heard
}

const DEPTH: &str = "recorded btcusdt@depth@0ms";
const TRADE: &str = "recorded btcusdt@trade";

#[test]
fn lines_come_at_recorded_pace_times_the_speed() {
    let lines: Vec<_> = [0, 100, 250].iter().map(|ms| (*ms, trade("60000.00", "1", true))).collect();
    let (_folder, file) = recording(&lines);
    let mut desk = playing(vec![file], Speed::Times(2));
    assert!(hear(&mut desk, 500).is_empty(), "nothing before the start");
    desk.exchange.start(START + 1_000 * MS);
    assert_eq!(hear(&mut desk, 1_000), [TRADE]);
    assert_eq!(hear(&mut desk, 1_049), [""; 0]);
    assert_eq!(desk.exchange.next_wake(), Some(START + 1_050 * MS));
    assert_eq!(hear(&mut desk, 1_050), [TRADE]);
    assert_eq!(hear(&mut desk, 1_125), [TRADE, "ended recording ended after 3 lines"]);
    assert_eq!(hear(&mut desk, 9_999), [""; 0]);
    assert_eq!(desk.exchange.next_wake(), None);
}

#[test]
fn playback_halts_at_the_first_snapshot_until_somebody_asks_and_keeps_its_pace_after_that() {
    let lines = [(0, depth(5, "", "")), (10, snapshot(5)), (20, depth(6, "", ""))];
    let (_folder, file) = recording(&lines);
    let mut desk = playing(vec![file], Speed::Times(1));
    desk.exchange.start(START);
    assert_eq!(hear(&mut desk, 1_000), [DEPTH], "halted at 10 ms");
    let Ok(DepthReply::Pending(ticket)) = desk.exchange.depth(START + 2_000 * MS, "BTCUSDT", Some(1000))
    else {
        panic!()
    };
    let mut ready = Vec::new();
    desk.exchange.advance(START + 2_000 * MS, &mut |output| ready.push(output));
    let [Output::DepthReady(of, depth)] = &ready[..] else { panic!("{ready:?}") };
    assert_eq!((*of, depth.last_update_id), (ticket, 5));
    assert_eq!(depth.verbatim.as_deref(), Some(snapshot(5).as_bytes()), "byte for byte");
    assert_eq!(hear(&mut desk, 2_009 - 1_000 + 1_000), [""; 0], "10 ms after the snapshot, not at once");
    assert_eq!(hear(&mut desk, 3_020).first().map(String::as_str), Some(DEPTH));
    assert!(
        matches!(desk.exchange.depth(desk.now, "BTCUSDT", Some(5)), Ok(DepthReply::Ready(depth)) if depth.last_update_id == 6)
    );
}

/// A client knows that it needs a snapshot from the first depth update.
#[test]
fn a_snapshot_before_the_first_depth_update_comes_behind_it_or_as_soon_as_somebody_asks() {
    let lines = [
        (0, snapshot(5)),
        (10, trade("60000.00", "1", true)),
        (20, depth(6, "", "")),
        (30, depth(7, "", "")),
    ];
    let (_folder, file) = recording(&lines);
    let mut desk = playing(vec![file.clone()], Speed::Times(1));
    desk.exchange.start(START);
    assert_eq!(hear(&mut desk, 1_000), [TRADE, DEPTH], "halted at the snapshot, behind the first update");
    let Ok(DepthReply::Pending(_)) = desk.exchange.depth(desk.now, "BTCUSDT", Some(5)) else { panic!() };
    assert_eq!(hear(&mut desk, 1_001)[..2], ["depth ready", DEPTH]);
    assert!(
        matches!(desk.exchange.depth(desk.now, "BTCUSDT", Some(5)), Ok(DepthReply::Ready(depth)) if depth.last_update_id == 7)
    );

    let mut desk = playing(vec![file], Speed::Times(1));
    desk.exchange.start(START);
    assert_eq!(hear(&mut desk, 1), [""; 0]);
    let Ok(DepthReply::Pending(_)) = desk.exchange.depth(desk.now, "BTCUSDT", Some(5)) else { panic!() };
    assert_eq!(desk.exchange.next_wake(), Some(desk.now), "at once");
    assert_eq!(hear(&mut desk, 2), ["depth ready"]);
}

#[test]
fn a_request_before_the_snapshot_is_held_until_playback_gets_there() {
    let (_folder, file) = recording(&[(0, depth(5, "", "")), (100, snapshot(5))]);
    let mut desk = playing(vec![file], Speed::Times(1));
    desk.exchange.start(START);
    let Ok(DepthReply::Pending(_)) = desk.exchange.depth(START, "BTCUSDT", Some(5)) else { panic!() };
    assert_eq!(hear(&mut desk, 99), [DEPTH]);
    assert_eq!(hear(&mut desk, 100)[0], "depth ready");
}

#[test]
fn nobody_waits_for_ever() {
    let (_folder, file) = recording(&[(0, depth(5, "", "")), (10, snapshot(5)), (20, depth(6, "", ""))]);
    let mut desk = playing(vec![file], Speed::Times(1));
    desk.exchange.start(START);
    assert_eq!(hear(&mut desk, 4_000), [DEPTH], "playback waits");
    assert!(desk.exchange.next_wake().is_some_and(|due| due <= START + 5_010 * MS));
    assert_eq!(hear(&mut desk, 9_100)[0], DEPTH, "and goes on");

    let (_folder, file) = recording(&[(0, depth(5, r#"["60000.00","1"]"#, "")), (60_000, depth(6, "", ""))]);
    let mut desk = playing(vec![file], Speed::Times(1));
    desk.exchange.start(START);
    hear(&mut desk, 1);
    let Ok(DepthReply::Pending(_)) = desk.exchange.depth(desk.now, "BTCUSDT", Some(5)) else { panic!() };
    assert_eq!(hear(&mut desk, 4_999), [""; 0]);
    assert_eq!(hear(&mut desk, 5_001), ["depth ready"], "from what is known");
    assert_eq!(desk.book().bids, [(d("60000"), d("1"))]);
}

#[test]
fn our_orders_queue_into_the_recording_and_take_from_it_without_changing_it() {
    let lines = [
        (0, snapshot(5)),
        (100, trade("60000.00", "4.990", true)),
        (200, trade("60000.00", "0.060", true)),
        (300, depth(6, "", r#"["60000.10","4.000"]"#)),
        (400, depth(7, "", "")),
    ];
    let (_folder, file) = recording(&lines);
    let mut desk = playing(vec![file], Speed::Times(1));
    let Ok(DepthReply::Pending(_)) = desk.exchange.depth(START, "BTCUSDT", Some(5)) else { panic!() };
    desk.exchange.start(START);
    assert_eq!(hear(&mut desk, 0), ["depth ready"]);
    let order = desk.place(ONE, limit(Side::Buy, "0.1", "60000")).expect("taken");
    desk.heard();
    assert_eq!(hear(&mut desk, 100), [TRADE], "still 0.01 ahead");
    assert_eq!(hear(&mut desk, 200), [TRADE, "1 account", "1 TRADE PARTIALLY_FILLED"]);
    assert_eq!(desk.exchange.orders.by_id(order.order_id).expect("known").executed_quantity, d("0.05"));

    let taken = desk.place(TWO, limit(Side::Buy, "5", "60001")).expect("taken");
    assert_eq!(
        (taken.status, taken.cumulative_quote),
        (OrderStatus::Filled, d("300001.4")),
        "4 at 60000.1, 1 at 60001"
    );
    assert_eq!(desk.book().asks[0], (d("60000.1"), d("4")), "the public book is the recording's");
    let again = desk.place(TWO, timed(TimeInForce::Ioc, limit(Side::Buy, "1", "60000.1"))).expect("taken");
    assert_eq!(again.executed_quantity, Decimal::ZERO, "what was taken stays taken");
    hear(&mut desk, 300);
    let again = desk.place(TWO, timed(TimeInForce::Ioc, limit(Side::Buy, "1", "60000.1"))).expect("taken");
    assert_eq!(again.executed_quantity, d("1"), "until the level is updated");
}

#[test]
fn one_trade_through_two_reduce_only_orders_closes_the_position_once() {
    let lines = [(0, snapshot(5)), (100, trade("60500.00", "9", false))];
    let (_folder, file) = recording(&lines);
    let mut desk = playing(vec![file], Speed::Times(1));
    let Ok(DepthReply::Pending(_)) = desk.exchange.depth(START, "BTCUSDT", Some(5)) else { panic!() };
    desk.exchange.start(START);
    hear(&mut desk, 0);
    desk.place(ONE, market(Side::Buy, "0.1")).expect("taken");
    let near = desk.place(ONE, reduce(limit(Side::Sell, "0.1", "60300"))).expect("taken");
    let far = desk.place(ONE, reduce(limit(Side::Sell, "0.1", "60400"))).expect("taken");
    hear(&mut desk, 100);
    assert_eq!(desk.query(ONE, &near).status, OrderStatus::Filled);
    assert_eq!(desk.query(ONE, &far).status, OrderStatus::Expired);
    assert_eq!(desk.position(ONE).quantity, Decimal::ZERO);
}

#[test]
fn a_bad_line_ends_playback_and_is_named() {
    let (_folder, file) = recording(&[
        (0, depth(5, "", "")),
        (0, r#"{"stream":"btcusdt@tr"#.to_owned()),
        (0, depth(6, "", "")),
    ]);
    let mut desk = playing(vec![file.clone()], Speed::Max);
    desk.exchange.start(START);
    let heard = hear(&mut desk, 1);
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(
        heard[1].starts_with(&format!("ended recording {}, line 2: bad JSON", file.display())),
        "{}",
        heard[1]
    );
}

#[test]
fn a_missing_file_is_named_before_anything_starts() {
    let mut config = ExchangeConfig::default();
    let recording = RecordingConfig::new(vec![PathBuf::from("nowhere/recording.gz")]);
    config.market = MarketConfig::Recording(recording);
    let error = Exchange::new(config, START).err().expect("refused").to_string();
    assert!(error.contains("nowhere/recording.gz"), "{error}");
}

#[test]
fn full_speed_gives_at_most_a_burst_at_a_time() {
    let lines: Vec<_> = (0..100).map(|ms| (ms * 1_000, trade("60000.00", "1", true))).collect();
    let (_folder, file) = recording(&lines);
    let mut desk = Desk::with(|config| {
        let base = RecordingConfig::new(vec![file]);
        config.market = MarketConfig::Recording(RecordingConfig { speed: Speed::Max, burst: 30, ..base });
        config.mark_price_interval_ns = 3_600 * SECOND;
    });
    desk.exchange.start(START);
    let mut sizes = Vec::new();
    while desk.exchange.next_wake().is_some_and(|due| due <= START) {
        let mut size = 0;
        desk.exchange.advance(START, &mut |_| size += 1);
        sizes.push(size);
    }
    assert_eq!(sizes.iter().sum::<usize>(), 101, "100 lines and the end");
    assert!(sizes.iter().all(|size| *size <= 30), "{sizes:?}");
}
