//! Spot's dialect from the outside: its session and private events on the WebSocket API, its own order requests, its filters.

use super::*;

fn spot() -> Venue {
    Venue::start(ExchangeConfig {
        market: MarketConfig::Quiet,
        accounts: vec![AccountSpec::spot(); 2],
        ..ExchangeConfig::spot()
    })
}

const BUY: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01000&price=59000.00";

impl Socket {
    /// The next message that has this field, others skipped: answers and events share one socket here.
    async fn with(&mut self, field: &str) -> Value {
        loop {
            let message = self.json().await;
            if !message[field].is_null() {
                return message;
            }
        }
    }

    /// Asks, and waits for the answer to it.
    async fn answer(&mut self, request: &str) -> Value {
        self.send(request).await;
        self.with("id").await
    }

    async fn private_event(&mut self, kind: &str) -> Value {
        loop {
            let message = self.with("event").await;
            if message["event"]["e"] == kind {
                assert_eq!(message["subscriptionId"], 0, "{message}");
                return message["event"].clone();
            }
        }
    }
}

#[tokio::test]
async fn a_session_logs_on_once_subscribes_by_it_and_hears_of_its_orders() {
    let venue = spot();
    let mut api = venue.websocket("/ws-api/v3").await;
    let told = api.ask(r#"{"id":1,"method":"userDataStream.subscribe"}"#).await;
    assert_ne!(told["status"], 200, "without a logon there is nobody to subscribe: {told}");
    let told = api.ask(&api_request("session.logon", ED25519_KEY, ed25519, &[])).await;
    assert_eq!(told["result"]["apiKey"], ED25519_KEY, "{told}");
    let told = api.ask(r#"{"id":2,"method":"userDataStream.subscribe"}"#).await;
    assert_eq!(told["result"]["subscriptionId"], 0, "{told}");
    let told = api.ask(r#"{"id":3,"method":"userDataStream.subscribe"}"#).await;
    assert_eq!(told["error"]["code"], -2035, "once for each account: {told}");

    // No key and no signature: the session says who it is.
    let place = format!(
        r#"{{"id":4,"method":"order.place","params":{{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","quantity":"0.01000","price":"59000.00","newClientOrderId":"own-1","newOrderRespType":"ACK","timestamp":{}}}}}"#,
        now_ms()
    );
    api.send(&place).await;
    let (mut answer, mut report) = (Value::Null, Value::Null);
    while answer.is_null() || report.is_null() {
        let message = api.json().await;
        if message["id"] == 4 {
            answer = message;
        } else if message["event"]["e"] == "executionReport" {
            report = message["event"].clone();
        }
    }
    assert_eq!((&answer["status"], &answer["result"]["clientOrderId"]), (&200.into(), &"own-1".into()));
    assert_eq!(
        (&report["x"], &report["X"], &report["c"], &report["i"]),
        (&"NEW".into(), &"NEW".into(), &"own-1".into(), &answer["result"]["orderId"])
    );
    let sold = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=IOC&quantity=0.01000&price=59000.00";
    let told = venue.signed_as(OTHER_KEY, "POST", "/api/v3/order", sold).await.json();
    assert_eq!((&told["status"], &told["fills"][0]["price"]), (&"FILLED".into(), &"59000.00000000".into()));
    let traded = api.private_event("executionReport").await;
    assert_eq!(
        (&traded["x"], &traded["X"], &traded["l"]),
        (&"TRADE".into(), &"FILLED".into(), &"0.01000000".into())
    );
    assert!(traded["I"].as_u64() > report["I"].as_u64(), "reports are numbered upwards: {traded}");
    let told = api.answer(r#"{"id":5,"method":"userDataStream.unsubscribe"}"#).await;
    assert_eq!(told["status"], 200, "{told}");
    venue.signed("POST", "/api/v3/order", BUY).await;
    let told = api.answer(r#"{"id":6,"method":"session.subscriptions"}"#).await;
    assert_eq!((&told["id"], told["result"].as_array().map(Vec::len)), (&6.into(), Some(0)), "{told}");
}

#[tokio::test]
async fn a_key_that_cannot_log_on_subscribes_by_its_signature() {
    let venue = spot();
    let mut api = venue.websocket("/ws-api/v3").await;
    let told = api.ask(&api_request("userDataStream.subscribe.signature", HMAC_KEY, ed25519, &[])).await;
    assert_eq!(told["error"]["code"], -1022, "{told}");
    let told = api.ask(&api_request("userDataStream.subscribe.signature", HMAC_KEY, hmac, &[])).await;
    assert_eq!(told["result"]["subscriptionId"], 0, "{told}");
    venue.signed("POST", "/api/v3/order", BUY).await;
    assert_eq!(api.private_event("executionReport").await["x"], "NEW");
}

#[tokio::test]
async fn an_order_is_amended_replaced_queried_and_cancelled() {
    let venue = spot();
    let placed = venue.signed("POST", "/api/v3/order", &format!("{BUY}&newClientOrderId=own-1")).await.json();
    let id = placed["orderId"].as_u64().expect("a number");
    let told = venue
        .signed(
            "PUT",
            "/api/v3/order/amend/keepPriority",
            &format!("symbol=BTCUSDT&orderId={id}&newQty=0.00500"),
        )
        .await
        .json();
    assert_eq!(told["amendedOrder"]["qty"], "0.00500000", "{told}");
    let replace = format!(
        "{}&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId={id}&newClientOrderId=own-1",
        BUY.replace("59000", "58000")
    );
    let told = venue.signed("POST", "/api/v3/order/cancelReplace", &replace).await.json();
    assert_eq!(
        (&told["cancelResult"], &told["newOrderResult"]),
        (&"SUCCESS".into(), &"SUCCESS".into()),
        "{told}"
    );
    let open = venue.signed("GET", "/api/v3/openOrders", "symbol=BTCUSDT").await.json();
    assert_eq!(open.as_array().map(Vec::len), Some(1));
    assert_eq!((&open[0]["price"], &open[0]["clientOrderId"]), (&"58000.00000000".into(), &"own-1".into()));
    let account = venue.signed("GET", "/api/v3/account", "").await.json();
    let usdt = account["balances"].as_array().expect("assets").iter().find(|row| row["asset"] == "USDT");
    assert_eq!(usdt.expect("held")["locked"], "580.00000000");
    let query = "symbol=BTCUSDT&origClientOrderId=own-1";
    assert_eq!(venue.signed("GET", "/api/v3/order", query).await.json()["status"], "NEW");
    assert_eq!(venue.signed("DELETE", "/api/v3/order", query).await.json()["status"], "CANCELED");
    assert_eq!(venue.signed("DELETE", "/api/v3/order", query).await.refusal().1, -2011);
}

#[tokio::test]
async fn each_filter_refuses_by_its_name() {
    let venue = spot();
    for (wrong, filter) in [
        (BUY.replace("59000.00", "59000.001"), "PRICE_FILTER"),
        (BUY.replace("0.01000", "0.000001"), "LOT_SIZE"),
        (BUY.replace("0.01000", "0.00001"), "NOTIONAL"),
        (BUY.replace("59000.00", "900000.00"), "PERCENT_PRICE_BY_SIDE"),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=101".to_owned(), "MARKET_LOT_SIZE"),
    ] {
        let (status, code, text) = venue.signed("POST", "/api/v3/order", &wrong).await.refusal();
        assert_eq!((status, code), (400, -1013), "{wrong}: {text}");
        assert!(text.ends_with(filter), "{wrong}: {text}");
    }
    let dear = BUY.replace("0.01000", "8.00000");
    assert_eq!(venue.signed("POST", "/api/v3/order", &dear).await.refusal().1, -2010, "no money for it");
}
