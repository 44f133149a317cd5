//! Limits as clients meet them: headers, 429, 418, and the same numbers over the WebSocket API.

use super::super::LimitsConfig;
use super::*;

fn limited(limits: LimitsConfig) -> Venue {
    Venue::start_with(quiet(), FrontConfig { limits, ..FrontConfig::default() })
}

#[tokio::test]
async fn weight_is_shown_then_429_with_retry_after_then_418() {
    let venue =
        limited(LimitsConfig { weight_per_minute: 4, refusals_before_ban: 2, ..LimitsConfig::default() });
    // The window is a minute of the clock; when one ends in the middle of this test, the next round does not.
    for _round in 0..3 {
        let mut statuses = Vec::new();
        let mut last = None;
        for _ in 0..4 {
            let answer = venue.get("/fapi/v1/time").await;
            assert!(answer.header("x-mbx-used-weight-1m").is_some_and(|used| (1..=4).contains(&used)));
            statuses.push(answer.status);
        }
        for _ in 0..3 {
            let answer = venue.get("/fapi/v1/time").await;
            statuses.push(answer.status);
            last = Some(answer);
        }
        let last = last.expect("an answer");
        if statuses == [200, 200, 200, 200, 429, 429, 418] {
            let (_, code, text) = last.refusal();
            assert!(code == -1003 && text.contains("banned until"), "{text}");
            assert!(last.header("retry-after").is_some_and(|seconds| seconds > 60));
            return;
        }
        assert!(statuses.contains(&200), "{statuses:?}");
    }
    panic!("the minute never held still");
}

#[tokio::test]
async fn orders_over_the_limit_are_refused_by_name() {
    let venue =
        limited(LimitsConfig { orders_per_10_seconds: 1, orders_per_minute: 1, ..LimitsConfig::default() });
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=59000.0";
    let mut refusals = 0;
    for _ in 0..3 {
        let answer = venue.signed("POST", "/fapi/v1/order", order).await;
        if answer.status == 429 {
            let (_, code, text) = answer.refusal();
            assert!(code == -1015 && text.contains("current limit is 1 orders per"), "{text}");
            assert!(answer.header("retry-after").is_some());
            refusals += 1;
        }
    }
    assert!(refusals > 0);
}

#[tokio::test]
async fn the_websocket_api_says_429_in_its_status() {
    let venue = limited(LimitsConfig { weight_per_minute: 2, ..LimitsConfig::default() });
    let mut api = venue.websocket("/ws-fapi/v1").await;
    let mut refused = None;
    for _ in 0..6 {
        let answer = api.ask(r#"{"id":1,"method":"time"}"#).await;
        if answer["status"] == 429 {
            refused = Some(answer);
        }
    }
    let refused = refused.expect("over the limit");
    assert_eq!(refused["error"]["code"], -1003);
    assert!(
        refused["error"]["data"]["retryAfter"].as_u64() > refused["error"]["data"]["serverTime"].as_u64()
    );
    assert_eq!(refused["rateLimits"][0]["limit"], 2);
}

#[tokio::test]
async fn a_batch_costs_five_in_ten_seconds_and_an_algo_one() {
    let venue = Venue::start_with(quiet(), FrontConfig { control: true, ..FrontConfig::default() });
    let order = |id: &str| {
        format!(
            r#"{{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","quantity":"0.010","price":"59000","newClientOrderId":"{id}"}}"#
        )
    };
    let both = format!("[{},{}]", order("one"), order("two"));
    let list: String = both.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let batch = venue.signed("POST", "/fapi/v1/batchOrders", &format!("batchOrders={list}")).await;
    assert_eq!(batch.json().as_array().map(Vec::len), Some(2), "{}", batch.body);
    let counted =
        |answer: &Answer| (answer.header("x-mbx-order-count-10s"), answer.header("x-mbx-order-count-1m"));
    assert_eq!(counted(&batch), (Some(5), Some(1)));
    assert_eq!(batch.header("x-mbx-used-weight-1m"), Some(5));
    let stop = "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=0.010&triggerPrice=50000&clientAlgoId=three";
    let algo = venue.signed("POST", "/fapi/v1/algoOrder", stop).await;
    assert_eq!(algo.status, 200, "{}", algo.body);
    // Windows are aligned to the clock, so a new one may have begun in between.
    assert!(
        [(Some(6), Some(2)), (Some(1), Some(2)), (Some(1), Some(1))].contains(&counted(&algo)),
        "{:?}",
        counted(&algo)
    );
    let port = venue.control.expect("a control port");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    stream
        .write_all(b"GET /orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .expect("writes");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("reads");
    let orders = Answer::read(&String::from_utf8(bytes).expect("text")).json();
    for id in ["one", "two", "three"] {
        assert_eq!((&orders[id]["asked"], &orders[id]["taken"]), (&1.into(), &1.into()), "{id}: {orders}");
    }
}
