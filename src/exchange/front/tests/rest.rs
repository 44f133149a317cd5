//! REST: who may, when, and what is refused how.

use super::*;

#[tokio::test]
async fn open_endpoints_answer_without_a_key() {
    let venue = Venue::start(quiet());
    assert_eq!(venue.get("/fapi/v1/ping").await.body, "{}");
    let time = venue.get("/fapi/v1/time").await;
    assert_eq!(time.status, 200);
    assert!(time.json()["serverTime"].as_u64().expect("a number").abs_diff(now_ms()) < 5_000);
    let info = venue.get("/fapi/v1/exchangeInfo").await.json();
    assert_eq!(info["symbols"][0]["symbol"], "BTCUSDT");
    assert_eq!(info["symbols"][0]["filters"][0]["tickSize"], "0.10");
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_refused_as_the_exchange_does() {
    let venue = Venue::start(quiet());
    let told = venue.get("/fapi/v1/nonsense").await.refusal();
    assert_eq!(told, (404, -5000, "Path /fapi/v1/nonsense, Method GET is invalid".into()));
    let told = venue.http("PATCH", "/fapi/v1/order", None, "").await.refusal();
    assert_eq!(told, (404, -5000, "Path /fapi/v1/order, Method PATCH is invalid".into()));
}

#[tokio::test]
async fn keys_are_checked_before_anything_else() {
    let venue = Venue::start(quiet());
    let told = venue.get("/fapi/v3/balance").await.refusal();
    assert_eq!(told, (401, -2014, "API-key format invalid.".into()));
    let told = venue.http("GET", "/fapi/v3/balance", Some("bad key!"), "").await.refusal();
    assert_eq!(told, (401, -2014, "API-key format invalid.".into()));
    let told = venue.http("GET", "/fapi/v3/balance", Some("UnknownButWellFormedKey"), "").await.refusal();
    assert_eq!(told, (401, -2015, "Invalid API-key, IP, or permissions for action.".into()));
}

#[tokio::test]
async fn signature_and_timestamp_are_mandatory_and_checked() {
    let venue = Venue::start(quiet());
    let path = "/fapi/v1/multiAssetsMargin";
    let ask = |query: String| {
        let target = format!("{path}?{query}");
        let venue = &venue;
        async move { venue.http("GET", &target, Some(HMAC_KEY), "").await }
    };
    let told = ask("timestamp=1".into()).await.refusal();
    assert_eq!((told.1, told.2.contains("'signature'")), (-1102, true));
    let told = ask(format!("signature={}", hmac(""))).await.refusal();
    assert_eq!((told.1, told.2.contains("'timestamp'")), (-1102, true));

    let good = stamped("");
    assert_eq!(ask(format!("{good}&signature={}", hmac(&good))).await.json()["multiAssetsMargin"], false);
    let told = ask(format!("{good}&signature={}", hmac("another payload"))).await.refusal();
    assert_eq!(told, (400, -1022, "Signature for this request is not valid.".into()));

    let old = format!("timestamp={}", now_ms() - 6_000);
    let told = ask(format!("{old}&signature={}", hmac(&old))).await.refusal();
    assert_eq!(told, (400, -1021, "Timestamp for this request is outside of the recvWindow.".into()));
    let patient = format!("recvWindow=60000&{old}");
    assert_eq!(ask(format!("{patient}&signature={}", hmac(&patient))).await.status, 200);
    let early = format!("timestamp={}", now_ms() + 4_000);
    let told = ask(format!("{early}&signature={}", hmac(&early))).await.refusal();
    assert_eq!(
        told,
        (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.".into())
    );
    let wide = format!("recvWindow=60001&timestamp={}", now_ms());
    assert_eq!(ask(format!("{wide}&signature={}", hmac(&wide))).await.refusal().1, -1131);
}

#[tokio::test]
async fn a_signature_may_stand_in_query_or_body_with_parameters_in_either() {
    let venue = Venue::start(quiet());
    let query = "symbol=BTCUSDT&side=BUY&type=LIMIT";
    let body = stamped("timeInForce=GTC&quantity=0.010&price=50000");
    // Mixed: query then body with nothing between.
    let signature = hmac(&format!("{query}{body}"));
    let path = "/fapi/v1/order/test";
    let mixed = venue
        .http("POST", &format!("{path}?{query}"), Some(HMAC_KEY), &format!("{body}&signature={signature}"))
        .await;
    assert_eq!((mixed.status, mixed.body.as_str()), (200, "{}"));
    // Body alone.
    let all = format!("{query}&{body}");
    let alone = venue.http("POST", path, Some(HMAC_KEY), &format!("{all}&signature={}", hmac(&all))).await;
    assert_eq!(alone.status, 200, "{}", alone.body);
    // Query alone, with the Ed25519 key; base64 percent-encoded.
    let signature = ed25519(&all).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let target = format!("{path}?{all}&signature={signature}");
    let alone = venue.http("POST", &target, Some(ED25519_KEY), "").await;
    assert_eq!(alone.status, 200, "{}", alone.body);
    // The same signature for the other key is none.
    let told = venue.http("POST", &target, Some(HMAC_KEY), "").await.refusal();
    assert_eq!(told.1, -1022);
}

#[tokio::test]
async fn an_order_lives_its_life_over_rest() {
    let venue = Venue::start(quiet());
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=59000.0&newClientOrderId=mine-1";
    let placed = venue.signed("POST", "/fapi/v1/order", order).await;
    assert_eq!(placed.status, 200, "{}", placed.body);
    assert_eq!(
        (placed.header("x-mbx-order-count-10s"), placed.header("x-mbx-order-count-1m")),
        (Some(1), Some(1))
    );
    let placed = placed.json();
    assert_eq!(
        (&placed["status"], &placed["price"], &placed["origQty"]),
        (&"NEW".into(), &"59000.00".into(), &"0.010".into())
    );
    let id = placed["orderId"].as_u64().expect("an id");

    let modified = venue
        .signed(
            "PUT",
            "/fapi/v1/order",
            &format!("symbol=BTCUSDT&orderId={id}&side=BUY&quantity=0.020&price=59001.0"),
        )
        .await;
    assert_eq!(modified.json()["origQty"], "0.020", "{}", modified.body);

    let open = venue.signed("GET", "/fapi/v1/openOrders", "symbol=BTCUSDT").await.json();
    assert_eq!((open.as_array().map(Vec::len), &open[0]["clientOrderId"]), (Some(1), &"mine-1".into()));
    let one =
        venue.signed("GET", "/fapi/v1/openOrder", "symbol=BTCUSDT&origClientOrderId=mine-1").await.json();
    assert_eq!(one["orderId"], id);

    let canceled = venue.signed("DELETE", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=mine-1").await;
    assert_eq!(canceled.json()["status"], "CANCELED", "{}", canceled.body);
    let told =
        venue.signed("DELETE", "/fapi/v1/order", &format!("symbol=BTCUSDT&orderId={id}")).await.refusal();
    assert_eq!(told, (400, -2011, "Unknown order sent.".into()));
    let queried = venue.signed("GET", "/fapi/v1/order", &format!("symbol=BTCUSDT&orderId={id}")).await.json();
    assert_eq!(queried["status"], "CANCELED");
    let told = venue.signed("GET", "/fapi/v1/order", "symbol=BTCUSDT&orderId=999999").await.refusal();
    assert_eq!(told, (400, -2013, "Order does not exist.".into()));
    let all = venue.signed("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT").await.json();
    assert_eq!(all["code"], 200);
}

#[tokio::test]
async fn one_accounts_orders_are_invisible_to_another() {
    let venue = Venue::start(quiet());
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=59000.0&newClientOrderId=mine-1";
    assert_eq!(venue.signed("POST", "/fapi/v1/order", order).await.status, 200);
    let others = venue.signed_as(OTHER_KEY, "GET", "/fapi/v1/openOrders", "").await.json();
    assert_eq!(others, Value::Array(vec![]));
    let told = venue
        .signed_as(OTHER_KEY, "DELETE", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=mine-1")
        .await;
    assert_eq!(told.refusal().1, -2011);
}

#[tokio::test]
async fn a_trade_shows_in_positions_balances_and_trades() {
    let venue = Venue::start(quiet());
    let sell = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.010&price=60000.0";
    assert_eq!(venue.signed_as(OTHER_KEY, "POST", "/fapi/v1/order", sell).await.status, 200);
    let buy = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010&newOrderRespType=RESULT";
    let bought = venue.signed("POST", "/fapi/v1/order", buy).await.json();
    assert_eq!((&bought["status"], &bought["avgPrice"]), (&"FILLED".into(), &"60000.00".into()), "{bought}");

    let positions = venue.signed("GET", "/fapi/v3/positionRisk", "").await.json();
    assert_eq!(
        (&positions[0]["positionAmt"], positions.as_array().map(Vec::len)),
        (&"0.010".into(), Some(1))
    );
    let trades = venue.signed("GET", "/fapi/v1/userTrades", "symbol=BTCUSDT").await.json();
    assert_eq!((&trades[0]["price"], &trades[0]["maker"]), (&"60000.00".into(), &false.into()));
    // 100 000 less 0.05 % of 600.
    let balance = venue.signed("GET", "/fapi/v3/balance", "").await.json();
    assert_eq!(balance[0]["balance"], "99999.70000000");
}

#[tokio::test]
async fn listen_keys_start_renew_and_close_without_a_signature() {
    let venue = Venue::start(quiet());
    let told = venue.http("PUT", "/fapi/v1/listenKey", Some(HMAC_KEY), "").await.refusal();
    assert_eq!(told, (400, -1125, "This listenKey does not exist.".into()));
    let first = venue.listen_key().await;
    assert_eq!(first.len(), 64);
    assert_eq!(first, venue.listen_key().await);
    let renewed = venue.http("PUT", "/fapi/v1/listenKey", Some(HMAC_KEY), "").await.json();
    assert_eq!(renewed["listenKey"], first.as_str());
    assert_eq!(venue.http("DELETE", "/fapi/v1/listenKey", Some(HMAC_KEY), "").await.body, "{}");
    assert_ne!(first, venue.listen_key().await);
}

#[tokio::test]
async fn a_client_that_does_not_have_the_authority_refuses_the_venue() {
    let venue = Venue::start(quiet());
    let other = Venue::start(quiet());
    let tcp = TcpStream::connect(("127.0.0.1", venue.port)).await.expect("connects");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    assert!(other.tls.connect(name, tcp).await.is_err());
    // And the venue is none the worse for it.
    assert_eq!(venue.get("/fapi/v1/ping").await.status, 200);
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::open_or_create(folder.path()).expect("an authority");
    let keys = KeyRing::parse("[[key]]\nkind='hmac'\naccount=1\napi_key='0123456789abcdef'\nsecret='s'")
        .expect("keys");
    let refused = Front::bind(port, None, authority, keys, FrontConfig::default()).err().expect("taken");
    assert!(format!("{refused:#}").contains(&port.to_string()), "{refused:#}");
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    let venue = Venue::start(quiet());
    for garbage in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let mut stream = venue.connect().await;
        stream.write_all(garbage.as_bytes()).await.expect("writes");
        let mut bytes = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("ends");
    }
    let long = "x".repeat(70_000);
    assert_eq!(venue.http("POST", "/fapi/v1/order", Some(HMAC_KEY), &long).await.status, 413);
    assert_eq!(venue.get("/ws").await.status, 400);
    assert_eq!(venue.get("/fapi/v1/ping").await.status, 200);
}

#[tokio::test]
async fn a_batch_answers_each_of_its_orders() {
    let venue = Venue::start(quiet());
    let order = |price: &str, id: &str| {
        format!(
            r#"{{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","quantity":"0.010","price":"{price}","newClientOrderId":"{id}"}}"#
        )
    };
    let list = |items: &[String]| {
        let text = format!("[{}]", items.join(","));
        text.replace('"', "%22")
            .replace('{', "%7B")
            .replace('}', "%7D")
            .replace('[', "%5B")
            .replace(']', "%5D")
    };
    let orders = list(&[order("59000.0", "a"), order("59000.05", "b"), order("59001.0", "c")]);
    let placed = venue.signed("POST", "/fapi/v1/batchOrders", &format!("batchOrders={orders}")).await;
    let placed = placed.json();
    assert_eq!((&placed[0]["status"], &placed[2]["clientOrderId"]), (&"NEW".into(), &"c".into()), "{placed}");
    assert_eq!(placed[1]["code"], -4014, "{placed}");
    let change =
        r#"{"symbol":"BTCUSDT","origClientOrderId":"a","side":"BUY","quantity":"0.020","price":"59000.0"}"#
            .to_owned();
    let changed =
        venue.signed("PUT", "/fapi/v1/batchOrders", &format!("batchOrders={}", list(&[change]))).await.json();
    assert_eq!(changed[0]["origQty"], "0.020", "{changed}");
    let ids = list(&["\"a\"".into(), "\"none\"".into()]);
    let gone = venue
        .signed("DELETE", "/fapi/v1/batchOrders", &format!("symbol=BTCUSDT&origClientOrderIdList={ids}"))
        .await
        .json();
    assert_eq!((&gone[0]["status"], &gone[1]["code"]), (&"CANCELED".into(), &(-2011).into()), "{gone}");
    let six: Vec<String> = (0..6).map(|n| order("58000.0", &format!("s{n}"))).collect();
    let told =
        venue.signed("POST", "/fapi/v1/batchOrders", &format!("batchOrders={}", list(&six))).await.refusal();
    assert_eq!((told.0, told.1), (400, -1130));
}

#[tokio::test]
async fn what_is_wrong_in_a_request_is_said_in_the_exchanges_words() {
    let venue = Venue::start(quiet());
    for (target, code, text) in [
        ("/fapi/v1/depth", -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ("/fapi/v1/depth?symbol=NOPEUSDT", -1121, "Invalid symbol."),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=7", -4021, "'7' is not valid depth limit."),
        ("/fapi/v1/ticker/bookTicker?symbol=", -1105, "Parameter 'symbol' was empty."),
        ("/fapi/v1/trades?symbol=BTCUSDT&limit=0", -1130, "Data sent for parameter 'limit' is not valid."),
    ] {
        let told = venue.get(target).await.refusal();
        assert_eq!((told.0, told.1, told.2.as_str()), (400, code, text), "{target}");
    }
    let limit = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC";
    for (order, code) in [
        ("&quantity=0.010&price=59000.05", -4014),
        ("&quantity=0.010&price=59000.055", -1111),
        ("&quantity=0.0105&price=59000", -1111),
        ("&quantity=0.001&price=59000", -4164),
        ("&quantity=0&price=59000", -4003),
        ("&quantity=0.010&price=99000", -4016),
        ("&quantity=100&price=59000", -2019),
        ("&quantity=0.010&price=59000&newClientOrderId=a%20space", -4015),
        ("&quantity=0.010&price=59000&reduceOnly=true", -2022),
    ] {
        let told = venue.signed("POST", "/fapi/v1/order", &format!("{limit}{order}")).await.refusal();
        assert_eq!((told.0, told.1), (400, code), "{order}: {}", told.2);
    }
}
