//! The WebSocket API: log on once or sign each, and the private events of what it does.

use super::*;

async fn logged_on(venue: &Venue) -> Socket {
    let mut api = venue.websocket("/ws-fapi/v1").await;
    let answer = api.ask(&api_request("session.logon", ED25519_KEY, ed25519, &[])).await;
    assert_eq!(
        (&answer["status"], &answer["result"]["apiKey"]),
        (&200.into(), &ED25519_KEY.into()),
        "{answer}"
    );
    api
}

fn place(id: u64, side: &str, price: &str, client_id: &str) -> String {
    format!(
        "{{\"id\":{id},\"method\":\"order.place\",\"params\":{{\"symbol\":\"BTCUSDT\",\"side\":\"{side}\",\"type\":\"LIMIT\",\
         \"timeInForce\":\"GTC\",\"quantity\":\"0.010\",\"price\":\"{price}\",\"newClientOrderId\":\"{client_id}\",\"timestamp\":{}}}}}",
        now_ms()
    )
}

#[tokio::test]
async fn a_session_is_logged_on_shown_and_logged_out() {
    let venue = Venue::start(quiet());
    let mut api = logged_on(&venue).await;
    let status = api.ask(r#"{"id":"s","method":"session.status"}"#).await;
    assert_eq!((&status["id"], &status["result"]["apiKey"]), (&"s".into(), &ED25519_KEY.into()));
    let out = api.ask(r#"{"id":2,"method":"session.logout"}"#).await;
    assert_eq!(out["result"]["apiKey"], Value::Null);
    let told = api.ask(&place(3, "BUY", "59000", "c1")).await;
    assert_eq!((&told["status"], &told["error"]["code"]), (&400.into(), &(-1102).into()), "{told}");
}

#[tokio::test]
async fn logon_wants_a_good_ed25519_signature() {
    let venue = Venue::start(quiet());
    let mut api = venue.websocket("/ws-fapi/v1").await;
    let told = api.ask(&api_request("session.logon", ED25519_KEY, hmac, &[])).await;
    assert_eq!(told["error"]["code"], -1022, "{told}");
    let told = api.ask(&api_request("session.logon", HMAC_KEY, hmac, &[])).await;
    assert_eq!(told["error"]["code"], -4056, "{told}");
    let told = api.ask(&api_request("session.logon", "UnknownButWellFormedKey", ed25519, &[])).await;
    assert_eq!((&told["status"], &told["error"]["code"]), (&401.into(), &(-2015).into()), "{told}");
}

#[tokio::test]
async fn orders_are_placed_modified_queried_and_cancelled_on_a_session() {
    let venue = Venue::start(quiet());
    let mut api = logged_on(&venue).await;
    let placed = api.ask(&place(1, "BUY", "59000", "c1")).await;
    assert_eq!(
        (&placed["id"], &placed["status"], &placed["result"]["status"]),
        (&1.into(), &200.into(), &"NEW".into()),
        "{placed}"
    );
    let kinds: Vec<_> = placed["rateLimits"]
        .as_array()
        .expect("limits")
        .iter()
        .map(|limit| limit["rateLimitType"].clone())
        .collect();
    assert_eq!(kinds, ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]);
    let id = &placed["result"]["orderId"];
    let request = |method: &str, more: &str| {
        format!(
            "{{\"id\":2,\"method\":\"{method}\",\"params\":{{\"symbol\":\"BTCUSDT\",\"orderId\":{id}{more},\"timestamp\":{}}}}}",
            now_ms()
        )
    };
    let modified =
        api.ask(&request("order.modify", r#","side":"BUY","quantity":0.020,"price":59001.5"#)).await;
    assert_eq!(
        (&modified["result"]["price"], &modified["result"]["origQty"]),
        (&"59001.50".into(), &"0.020".into()),
        "{modified}"
    );
    let status = api.ask(&request("order.status", "")).await;
    assert_eq!(status["result"]["price"], "59001.50", "{status}");
    let canceled = api.ask(&request("order.cancel", "")).await;
    assert_eq!(canceled["result"]["status"], "CANCELED", "{canceled}");
    let told = api.ask(&request("order.cancel", "")).await;
    assert_eq!((&told["status"], &told["error"]["code"]), (&400.into(), &(-2011).into()), "{told}");
}

#[tokio::test]
async fn each_request_may_carry_its_own_signature_over_the_text_of_its_numbers() {
    let venue = Venue::start(quiet());
    let mut api = venue.websocket("/ws-fapi/v1").await;
    let params = [
        ("price", "59000.10"),
        ("quantity", "0.0100"),
        ("side", "BUY"),
        ("symbol", "BTCUSDT"),
        ("timeInForce", "GTC"),
        ("type", "LIMIT"),
    ];
    for (key, sign) in [(HMAC_KEY, hmac as fn(&str) -> String), (ED25519_KEY, ed25519)] {
        let placed = api.ask(&api_request("order.place", key, sign, &params)).await;
        assert_eq!(placed["status"], 200, "{placed}");
    }
    let forged = api_request("order.place", HMAC_KEY, hmac, &params).replace("59000.10", "59000.1");
    let told = api.ask(&forged).await;
    assert_eq!(told["error"]["code"], -1022, "{told}");
}

#[tokio::test]
async fn reads_and_refusals_have_the_documented_form() {
    let venue = Venue::start(quiet());
    let mut api = logged_on(&venue).await;
    for method in [
        "account.status",
        "v2/account.status",
        "account.balance",
        "v2/account.balance",
        "account.position",
        "v2/account.position",
    ] {
        let request =
            format!("{{\"id\":null,\"method\":\"{method}\",\"params\":{{\"timestamp\":{}}}}}", now_ms());
        let answer = api.ask(&request).await;
        assert_eq!((&answer["id"], &answer["status"]), (&Value::Null, &200.into()), "{method}: {answer}");
    }
    let started = api.ask(r#"{"id":1,"method":"userDataStream.start"}"#).await;
    assert_eq!(started["result"]["listenKey"].as_str().map(str::len), Some(64), "{started}");
    assert_eq!(api.ask(r#"{"id":1,"method":"userDataStream.ping"}"#).await["result"], started["result"]);
    assert_eq!(api.ask(r#"{"id":1,"method":"userDataStream.stop"}"#).await["result"].to_string(), "{}");

    assert_eq!(api.ask("nonsense").await["error"]["code"], -1135);
    assert_eq!(api.ask(r#"{"id":{},"method":"time"}"#).await["error"]["code"], -1135);
    assert_eq!(api.ask(r#"{"id":1,"method":"order.sing"}"#).await["error"]["code"], -1020);
    let quiet = api.ask(r#"{"id":1,"method":"time","params":{"returnRateLimits":false}}"#).await;
    assert_eq!(quiet.get("rateLimits"), None);
}

#[tokio::test]
async fn an_order_over_the_api_shows_on_the_private_stream_and_in_order() {
    let venue = Venue::start(quiet());
    let key = venue.listen_key().await;
    let mut private = venue.websocket(&format!("/private/ws?listenKey={key}")).await;
    let mut former = venue.websocket(&format!("/ws/{key}")).await;
    let mut api = logged_on(&venue).await;
    // An answered request proves that the connection has been served; the streams have joined when they answer too.
    for stream in [&mut private, &mut former] {
        let listed = stream.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#).await;
        assert_eq!(listed["result"][0], key.as_str());
    }
    api.ask(&place(1, "BUY", "60000", "c1")).await;
    for stream in [&mut private, &mut former] {
        let event = stream.json().await;
        assert_eq!(
            (&event["e"], &event["o"]["x"], &event["o"]["c"]),
            (&"ORDER_TRADE_UPDATE".into(), &"NEW".into(), &"c1".into()),
            "{event}"
        );
    }
    let sell = "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.004";
    assert_eq!(venue.signed_as(OTHER_KEY, "POST", "/fapi/v1/order", sell).await.status, 200);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = private.json().await;
        if event["e"] == "ORDER_TRADE_UPDATE" {
            assert_eq!(
                (&event["o"]["X"], &event["o"]["l"], &event["o"]["m"]),
                (&"PARTIALLY_FILLED".into(), &"0.004".into(), &true.into())
            );
        }
        seen.push(event["e"].as_str().expect("a kind").to_owned());
    }
    seen.sort();
    assert_eq!(seen, ["ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE", "TRADE_LITE"]);
    api.ask(&format!(
        "{{\"id\":9,\"method\":\"order.cancel\",\"params\":{{\"symbol\":\"BTCUSDT\",\"origClientOrderId\":\"c1\",\"timestamp\":{}}}}}",
        now_ms()
    ))
    .await;
    let event = private.event("ORDER_TRADE_UPDATE").await;
    assert_eq!((&event["o"]["x"], &event["o"]["z"]), (&"CANCELED".into(), &"0.004".into()));
}

#[tokio::test]
async fn an_expired_listen_key_is_told_and_then_silent() {
    let config = FrontConfig { listen_key_validity: Duration::from_millis(300), ..FrontConfig::default() };
    let venue = Venue::start_with(quiet(), config);
    let key = venue.listen_key().await;
    let mut private = venue.websocket(&format!("/private/ws?listenKey={key}")).await;
    let event = private.json().await;
    assert_eq!((&event["e"], &event["listenKey"]), (&"listenKeyExpired".into(), &key.as_str().into()));
    let listed = private.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#).await;
    assert_eq!(listed["result"], Value::Array(vec![]));
}

#[tokio::test]
async fn many_requests_at_once_are_answered_in_their_order() {
    let venue = Venue::start(quiet());
    let mut api = logged_on(&venue).await;
    for id in 0..100 {
        api.send(&place(id, "BUY", "59000", &format!("c{id}"))).await;
    }
    for id in 0..100 {
        let answer = api.json().await;
        assert_eq!((&answer["id"], &answer["status"]), (&id.into(), &200.into()), "{answer}");
    }
}
