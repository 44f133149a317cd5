//! Market streams: addresses, subscriptions, forms, and readers that are too slow.

use super::*;

/// A best bid and a best ask of account two, so that there is something to see.
async fn quote(venue: &Venue, price: &str) {
    let order = format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price={price}");
    let answer = venue.signed_as(OTHER_KEY, "POST", "/fapi/v1/order", &order).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn every_style_of_address_serves_depth() {
    let venue = Venue::start(quiet());
    let mut sockets = Vec::new();
    for path in [
        "/ws/btcusdt@depth@0ms",
        "/public/ws/btcusdt@depth@0ms",
        "/public/ws/btcusdt%40depth%400ms",
        "/stream?streams=btcusdt@bookTicker/btcusdt@depth@0ms",
        "/public/stream?streams=btcusdt@depth@0ms",
    ] {
        let mut socket = venue.websocket(path).await;
        socket.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#).await;
        sockets.push((path, socket));
    }
    quote(&venue, "59000.0").await;
    for (path, socket) in &mut sockets {
        let event = loop {
            let event = socket.json().await;
            let data = if path.contains("/stream") {
                assert!(event["stream"].is_string(), "{path}: {event}");
                event["data"].clone()
            } else {
                event
            };
            if data["e"] == "depthUpdate" {
                break data;
            }
        };
        assert_eq!(event["b"][0], serde_json::json!(["59000.00", "0.010"]), "{path}");
    }
}

#[tokio::test]
async fn streams_come_and_go_by_message() {
    let venue = Venue::start(quiet());
    let mut socket = venue.websocket("/ws").await;
    let answer = socket
        .ask(r#"{"method":"SUBSCRIBE","params":["btcusdt@bookTicker","btcusdt@depth@0ms"],"id":7}"#)
        .await;
    assert_eq!(answer.to_string(), r#"{"id":7,"result":null}"#);
    quote(&venue, "59000.0").await;
    let mut kinds = [socket.json().await["e"].to_string(), socket.json().await["e"].to_string()];
    kinds.sort();
    assert_eq!(kinds, [r#""bookTicker""#, r#""depthUpdate""#]);
    let answer = socket.ask(r#"{"method":"UNSUBSCRIBE","params":["btcusdt@depth@0ms"],"id":"x"}"#).await;
    assert_eq!(answer.to_string(), r#"{"id":"x","result":null}"#);
    let listed = socket.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#).await;
    assert_eq!(listed["result"], serde_json::json!(["btcusdt@bookTicker"]));
    quote(&venue, "59001.0").await;
    let event = socket.json().await;
    assert_eq!((&event["e"], &event["b"]), (&"bookTicker".into(), &"59001.00".into()));
    socket.ask(r#"{"method":"SET_PROPERTY","params":["combined",true],"id":4}"#).await;
    quote(&venue, "59002.0").await;
    assert_eq!(socket.json().await["stream"], "btcusdt@bookTicker");
}

#[tokio::test]
async fn wrong_requests_get_the_documented_codes_and_the_connection_lives() {
    let venue = Venue::start(quiet());
    let mut socket = venue.websocket("/ws").await;
    for (request, code) in [
        ("{", 3),
        ("[]", 2),
        (r#"{"method":"SUBSCRIBE","params":[1],"id":1}"#, 2),
        (r#"{"method":"SHOUT","params":[],"id":1}"#, 2),
        (r#"{"params":[],"id":1}"#, 2),
        (r#"{"method":"SET_PROPERTY","params":["colour",true],"id":1}"#, 0),
        (r#"{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}"#, 1),
    ] {
        let answer = socket.ask(request).await;
        assert_eq!(answer["error"]["code"], code, "{request}: {answer}");
    }
    assert_eq!(socket.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#).await["id"], 3);
}

#[tokio::test]
async fn too_many_messages_a_second_end_the_connection() {
    let venue = Venue::start(quiet());
    let mut socket = venue.websocket("/ws").await;
    for _ in 0..12 {
        socket.send(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#).await;
    }
    loop {
        if let Message::Close(frame) = socket.next().await {
            assert_eq!(u16::from(frame.expect("a reason").code), 1008);
            return;
        }
    }
}

#[tokio::test]
async fn gathered_depth_joins_up_without_a_gap() {
    let venue = Venue::start(quiet());
    let mut socket = venue.websocket("/ws/btcusdt@depth@100ms").await;
    socket.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#).await;
    for price in 0..20 {
        quote(&venue, &format!("590{price:02}.0")).await;
    }
    let mut levels = 0;
    let mut last = None;
    while levels < 20 {
        let event = socket.event("depthUpdate").await;
        if let Some(last) = last {
            assert_eq!(event["pu"], last);
        }
        last = Some(event["u"].clone());
        levels += event["b"].as_array().expect("bids").len();
    }
    assert_eq!(levels, 20);
}

#[tokio::test]
async fn a_reader_that_cannot_keep_up_with_a_live_market_is_disconnected() {
    let agents = AgentsConfig { actions_per_second: 3_000, ..AgentsConfig::default() };
    let exchange = ExchangeConfig { market: MarketConfig::Agents(agents), ..quiet() };
    let venue =
        Venue::start_with(exchange, FrontConfig { outbox_limit: 256 << 10, ..FrontConfig::default() });
    let mut slow = venue
        .narrow_websocket(
            "/stream?streams=btcusdt@depth@0ms/btcusdt@bookTicker/btcusdt@trade/btcusdt@aggTrade",
        )
        .await;
    // One that takes a small part, so that no hiccup of this machine fills its queue.
    let mut quick = venue.websocket("/ws/btcusdt@bookTicker").await;
    let mut quick_bytes = 0;
    while quick_bytes < 512 << 10 {
        quick_bytes += quick.text().await.len();
    }
    // By now several times that has been said to the slow one, which has read nothing: more than the kernel's buffers and its queue hold.
    // What had got out before the cut is still there; then the connection is over, without a close frame. Were it not cut, this would go on.
    let drained = tokio::time::timeout(PATIENCE, async {
        loop {
            match slow.socket.next().await {
                Some(Ok(Message::Close(frame))) => panic!("a polite end: {frame:?}"),
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return,
            }
        }
    });
    drained.await.expect("the slow reader was never cut");
    quick.text().await;
}

#[tokio::test]
async fn a_stopping_venue_says_so_on_every_stream() {
    let mut venue = Venue::start(quiet());
    let mut socket = venue.websocket("/stream?streams=btcusdt@trade").await;
    socket.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#).await;
    venue.stop.take();
    let event = socket.json().await;
    assert_eq!(
        (&event["stream"], &event["data"]["e"]),
        (&"!serverShutdown".into(), &"serverShutdown".into())
    );
    let Message::Close(Some(frame)) = socket.next().await else { panic!("a close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "venue shutting down"));
}

#[tokio::test]
async fn the_venue_pings_and_a_client_that_never_answers_is_disconnected() {
    let config = FrontConfig {
        ping_every: Duration::from_millis(50),
        pong_timeout: Duration::from_millis(400),
        ..FrontConfig::default()
    };
    let venue = Venue::start_with(quiet(), config);
    // One client reads, and so answers; it lives through many pings.
    let mut lively = venue.websocket("/ws").await;
    let mut pings = 0;
    while pings < 20 {
        match tokio::time::timeout(PATIENCE, lively.socket.next()).await.expect("in time") {
            Some(Ok(Message::Ping(_))) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    lively.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#).await;
    // The other one's bytes are read, and nothing is ever written back.
    let mut deaf = venue.websocket("/ws").await;
    let (stream, _) = deaf.socket.get_mut().get_mut();
    let end = tokio::time::timeout(PATIENCE, async {
        let mut bytes = [0; 4096];
        while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    });
    end.await.expect("disconnected in time");
}

#[tokio::test]
async fn a_connection_ends_at_its_age() {
    let config = FrontConfig { longest_connection: Duration::from_millis(100), ..FrontConfig::default() };
    let venue = Venue::start_with(quiet(), config);
    let mut socket = venue.websocket("/ws").await;
    let Message::Close(Some(frame)) = socket.next().await else { panic!("a close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "connection is 24 hours old"));
}
