//! Both ends of the wire, which share no code: the engine's dialect reads what this venue says, and its scanner knows every market layout.

use super::*;
use crate::core::dispatch::{Dispatch, DispatchFlags};
use crate::core::event::{self, Body, Event, HydrationPhase, OrderKind, RequestKind, VenueStatus, Verdict};
use crate::core::id::{ClientOrderId, InstrumentId, OrderIndex, OrderKey, VenueId, VenueOrderId};
use crate::core::instrument::Product as CoreProduct;
use crate::core::num::{Price, Quantity};
use crate::core::record;
use crate::core::time::Nanos;
use crate::venue::Directory;
use crate::venue::binance::hydrate::{AccountBodies, Ask, Conversation, Hydrator};
use crate::venue::binance::orders::{Answer as EntryAnswer, OrderEntry, OrderEntryConfig};
use crate::venue::binance::private::{PrivateMessage, PrivateStream};
use crate::venue::binance::scan::scan;
use crate::venue::binance::sign::{Credentials, Signer};

async fn directory(venue: &Venue) -> Directory {
    let info = venue.get("/fapi/v1/exchangeInfo").await.body;
    let symbols = [(InstrumentId(0), "BTCUSDT")];
    Hydrator::default()
        .directory(VenueId(0), CoreProduct::LinearPerpetual, &symbols, info.as_bytes())
        .expect("exchangeInfo reads")
}

#[tokio::test]
async fn the_scanner_knows_every_layout_of_the_agents_market() {
    let agents = AgentsConfig { actions_per_second: 1_000, ..AgentsConfig::default() };
    let venue = Venue::start(ExchangeConfig { market: MarketConfig::Agents(agents), ..quiet() });
    let directory = directory(&venue).await;
    let streams =
        ["depth@0ms", "depth@100ms", "depth5@100ms", "bookTicker", "trade", "aggTrade", "markPrice@1s"];
    let path = streams.map(|stream| format!("btcusdt@{stream}")).join("/");
    let mut combined = venue.websocket(&format!("/stream?streams={path}")).await;
    let mut raw = venue.websocket(&format!("/ws/{path}")).await;
    let (mut levels, mut row) = (Vec::with_capacity(4096), 0);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50_000 {
        for socket in [&mut combined, &mut raw] {
            let text = socket.text().await;
            if let Err(refused) = scan(text.as_bytes(), &directory, &mut row, &mut levels) {
                panic!("{refused}: {text}");
            }
            let event: Value = serde_json::from_str(&text).expect("JSON");
            seen.insert(event.get("data").unwrap_or(&event)["e"].to_string());
        }
        if seen.len() == 5 {
            return;
        }
    }
    panic!("only {seen:?} came");
}

#[tokio::test]
async fn the_private_stream_reads_without_a_doubt() {
    let venue = Venue::start(quiet());
    let directory = Arc::new(directory(&venue).await);
    let mut reader = PrivateStream::new(directory, 0);
    let key = venue.listen_key().await;
    let mut private = venue.websocket(&reader.path(true, &key)).await;
    private.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#).await;
    // The forms of client order ids that the engine sends are its own affair; it is told of any.
    let sell = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.010&price=60000.0";
    venue.signed_as(OTHER_KEY, "POST", "/fapi/v1/order", sell).await;
    venue.signed("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010").await;
    let order =
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=59000.0&newClientOrderId=q";
    venue.signed("POST", "/fapi/v1/order", order).await;
    let modify = "symbol=BTCUSDT&origClientOrderId=q&side=BUY&quantity=0.020&price=58999.0";
    venue.signed("PUT", "/fapi/v1/order", modify).await;
    venue.signed("DELETE", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=q").await;
    venue.signed("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=10").await;
    let mut events = Vec::new();
    let mut orders = 0;
    loop {
        let text = private.text().await;
        let read = reader.on_message(text.as_bytes(), Nanos::ZERO, || Nanos::ZERO, &mut events);
        match read.unwrap_or_else(|error| panic!("{error}: {text}")) {
            PrivateMessage::Order => orders += 1,
            PrivateMessage::Other => break,
            PrivateMessage::Account | PrivateMessage::TradeLite => {}
            PrivateMessage::Foreign
            | PrivateMessage::KeyExpired
            | PrivateMessage::LoggedOn
            | PrivateMessage::Subscribed
            | PrivateMessage::Refused { .. }
            | PrivateMessage::ShuttingDown => panic!("{text}"),
        }
    }
    // NEW and TRADE of the market order; NEW, AMENDMENT and CANCELED of the other.
    assert_eq!(orders, 5);
    let counters = reader.counters();
    assert_eq!(
        (counters.unknown_values, counters.bad, counters.foreign_assets, counters.other),
        (0, 0, 0, 1)
    );
    assert!(events.iter().any(|event| matches!(event.body, Body::Position(_))));
}

#[tokio::test]
async fn a_hydration_reads_whole() {
    let venue = Venue::start(quiet());
    let directory = directory(&venue).await;
    let sell = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.010&price=60000.0";
    venue.signed_as(OTHER_KEY, "POST", "/fapi/v1/order", sell).await;
    let buy = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.020&price=60000.0";
    venue.signed("POST", "/fapi/v1/order", buy).await;
    let account = venue.signed("GET", "/fapi/v3/account", "").await.body;
    let positions = venue.signed("GET", "/fapi/v3/positionRisk", "").await.body;
    let open_orders = venue.signed("GET", "/fapi/v1/openOrders", "").await.body;
    let trades = venue.signed("GET", "/fapi/v1/userTrades", "symbol=BTCUSDT").await.body;
    let mut hydrator = Hydrator::default();
    let ask = Ask { request: 1, as_of: Nanos::ZERO, now: Nanos::ZERO };
    let bodies = AccountBodies {
        account: account.as_bytes(),
        positions: Some(positions.as_bytes()),
        open_orders: open_orders.as_bytes(),
        open_algo_orders: Some(b"[]"),
    };
    let mut events = Vec::new();
    hydrator.account_snapshot(&directory, ask, bodies, &mut events).expect("reads");
    let count = |wanted: fn(&Body) -> bool| events.iter().filter(|event| wanted(&event.body)).count();
    assert_eq!(count(|body| matches!(body, Body::Order(_))), 1);
    assert_eq!(count(|body| matches!(body, Body::Position(_))), 1);
    assert_eq!(count(|body| matches!(body, Body::Balance(_))), 1);
    assert_eq!(
        count(|body| matches!(body, Body::Hydration(bracket) if bracket.phase == HydrationPhase::End)),
        1
    );
    let last =
        hydrator.trade_reports(&directory, Nanos::ZERO, trades.as_bytes(), &mut events).expect("reads");
    assert!(last.is_some());
    let time = venue.get("/fapi/v1/time").await.body;
    hydrator.server_time(time.as_bytes()).expect("reads");
    assert_eq!(
        hydrator.rate_limits(venue.get("/fapi/v1/exchangeInfo").await.body.as_bytes()).expect("reads").len(),
        3
    );
}

fn dispatch(number: u64, request: RequestKind, price: i64) -> Dispatch {
    Dispatch {
        number,
        cause: 1,
        decided: Nanos::ZERO,
        trigger: Nanos::ZERO,
        client_order_id: ClientOrderId::from_text(b"k3f9a-0000000011"),
        venue_order_id: VenueOrderId(0),
        price: Price::new(price),
        quantity: Quantity::new(14),
        stop_price: Price::ZERO,
        expires: Nanos::ZERO,
        order: OrderIndex(0),
        instrument: InstrumentId(0),
        key: OrderKey::default(),
        venue: VenueId(0),
        request,
        kind: OrderKind::Limit,
        time_in_force: event::TimeInForce::PostOnly,
        side: event::Side::Buy,
        position_side: event::PositionSide::Both,
        trigger_by: event::TriggerBy::LastPrice,
        callback: 0,
        flags: DispatchFlags::default(),
    }
}

#[tokio::test]
async fn order_entry_logs_on_and_every_request_is_accepted_on_a_session_and_signed() {
    let venue = Venue::start(quiet());
    let directory = Arc::new(directory(&venue).await);
    for (api_key, text) in [(ED25519_KEY, ED25519_PRIVATE), (HMAC_KEY, HMAC_SECRET)] {
        let credentials =
            Credentials::new(api_key, Signer::from_key_text(text).expect("a key")).expect("credentials");
        let mut entry =
            OrderEntry::new(directory.clone(), Arc::new(credentials), OrderEntryConfig::default());
        let now = || Nanos::from_millis(now_ms());
        let mut socket = venue.websocket(entry.path()).await;
        let (mut frame, mut events) = (Vec::new(), Vec::new());
        if entry.on_open(now(), &mut frame, &mut events) {
            socket.send(std::str::from_utf8(&frame).expect("text")).await;
            let answer = socket.text().await;
            let read = entry.on_message(answer.as_bytes(), now(), now, &mut events);
            assert_eq!(read, Ok(EntryAnswer::LoggedOn), "{answer}");
        }
        assert!(entry.is_ready());
        let requests =
            [(RequestKind::New, 590_000), (RequestKind::Replace, 590_010), (RequestKind::Cancel, 0)];
        for (number, (request, price)) in (1..).zip(requests) {
            entry.encode(&dispatch(number, request, price), now(), &mut frame).expect("encodes");
            socket.send(std::str::from_utf8(&frame).expect("text")).await;
            let answer = socket.text().await;
            let read = entry.on_message(answer.as_bytes(), now(), now, &mut events);
            assert_eq!(read, Ok(EntryAnswer::Request { dispatch: number }), "{answer}");
        }
        let verdicts: Vec<_> = events
            .iter()
            .filter_map(|event| match &event.body {
                Body::Outcome(outcome) => Some(outcome.verdict),
                _ => None,
            })
            .collect();
        assert_eq!(verdicts, [Verdict::Accepted; 3]);
    }
}

/// A conditional order by the engine's own texts, from its placing to its trigger and its fill: one order, under one id, with the
/// number of what it became, and a read-back that says the same.
#[tokio::test]
async fn a_conditional_order_lives_as_one_order_through_its_trigger() {
    let venue = Venue::start(quiet());
    let directory = Arc::new(directory(&venue).await);
    let credentials =
        Credentials::new(HMAC_KEY, Signer::from_key_text(HMAC_SECRET).expect("a key")).expect("credentials");
    let mut reader = PrivateStream::new(directory.clone(), 0);
    let mut entry = OrderEntry::new(directory.clone(), Arc::new(credentials), OrderEntryConfig::default());
    let now = || Nanos::from_millis(now_ms());
    let key = venue.listen_key().await;
    let mut private = venue.websocket(&reader.path(true, &key)).await;
    let mut socket = venue.websocket(entry.path()).await;
    // A long position at 60,000, and a bid at 59,400 for the stop to meet.
    for (key, order) in [
        (OTHER_KEY, "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.100&price=60000.0"),
        (HMAC_KEY, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.100"),
        (OTHER_KEY, "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.100&price=59400.0"),
    ] {
        venue.signed_as(key, "POST", "/fapi/v1/order", order).await;
    }
    let (mut frame, mut events) = (Vec::new(), Vec::new());
    entry.on_open(now(), &mut frame, &mut events);
    let stop = Dispatch {
        kind: event::OrderKind::StopMarket,
        side: event::Side::Sell,
        stop_price: Price::new(595_000),
        flags: DispatchFlags(DispatchFlags::REDUCE_ONLY),
        ..dispatch(1, RequestKind::New, 0)
    };
    entry.encode(&stop, now(), &mut frame).expect("encodes");
    socket.send(std::str::from_utf8(&frame).expect("text")).await;
    let answer = socket.text().await;
    entry.on_message(answer.as_bytes(), now(), now, &mut events).expect("reads");
    let accepted = |event: &Event| matches!(event.body, Body::Outcome(o) if o.verdict == Verdict::Accepted);
    assert!(events.iter().any(accepted), "{answer}");
    // A trade at 59,400 triggers it.
    let sell = "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.010";
    venue.signed("POST", "/fapi/v1/order", sell).await;

    let ours = stop.client_order_id;
    let mut life: Vec<(VenueStatus, bool, bool)> = Vec::new();
    while !life.iter().any(|(status, ..)| *status == VenueStatus::Filled) {
        let text = private.text().await;
        let mut events = Vec::new();
        reader.on_message(text.as_bytes(), now(), now, &mut events).unwrap_or_else(|e| panic!("{e}: {text}"));
        for event in &events {
            let Body::Order(report) = event.body else { continue };
            let lite = report.flags.has(event::ReportFlags::TRADE_ONLY);
            if report.client_order_id == ours && !lite {
                assert_eq!(report.kind, event::OrderKind::StopMarket, "{text}");
                let triggered = report.flags.has(event::ReportFlags::TRIGGERED);
                life.push((report.status, triggered, report.venue_order_id.0 != 0));
            }
        }
    }
    life.dedup();
    assert_eq!(life.first(), Some(&(VenueStatus::New, false, false)), "it waits, and has no number");
    assert_eq!(life.last(), Some(&(VenueStatus::Filled, true, true)), "{life:?}");

    let ask = record::Ask {
        number: 1,
        venue: VenueId(0),
        scope: event::HydrationScope::Order,
        instrument: InstrumentId(0),
        client_order_id: ours,
        venue_order_id: VenueOrderId(0),
        after_trade: 0,
        since: Nanos::ZERO,
    };
    let mut hydrator = Hydrator::default();
    let mut talk = Conversation::of(&directory, &ask, Nanos::ZERO).expect("it can be asked");
    while let Some(request) = talk.next_request() {
        let target = request.target(None, 0, None);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let body = venue.signed(request.method.name(), path, query).await.body;
        talk.on_body(&mut hydrator, &directory, body.into_bytes(), Nanos::ZERO);
    }
    let mut events: Vec<Event> = Vec::new();
    talk.finish(&mut hydrator, &directory, Nanos::ZERO, &mut events).expect("reads");
    let says = |wanted: fn(&event::OrderReport) -> bool| {
        events.iter().any(|e| matches!(&e.body, Body::Order(r) if r.client_order_id == ours && wanted(r)))
    };
    assert!(
        says(|r| r.status == VenueStatus::Filled && r.flags.has(event::ReportFlags::TRIGGERED)),
        "{events:?}"
    );
    assert!(says(|r| r.flags.has(event::ReportFlags::TRADE_ONLY) && r.trade_id != 0), "{events:?}");
}
