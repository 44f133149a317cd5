//! Faults on order, as a client meets each of them over real sockets.

use std::time::Instant;

use super::*;

fn controlled() -> Venue {
    Venue::start_with(quiet(), FrontConfig { control: true, ..FrontConfig::default() })
}

impl Venue {
    /// A request to the control endpoint, which speaks plain HTTP.
    async fn control(&self, method: &str, path: &str, body: &str) -> Answer {
        let port = self.control.expect("started with a control endpoint");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("writes");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("reads");
        Answer::read(&String::from_utf8(bytes).expect("text"))
    }

    async fn order_fault(&self, fault: &str) -> Value {
        let answer = self.control("POST", "/faults", fault).await;
        assert_eq!(answer.status, 200, "{fault}: {}", answer.body);
        answer.json()
    }

    async fn private_stream(&self) -> Socket {
        let key = self.listen_key().await;
        self.websocket(&format!("/ws/{key}")).await
    }
}

impl Socket {
    /// How the connection ends; what arrives before is skipped.
    async fn ends_badly(&mut self) -> bool {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("ends in time") {
                Some(Ok(Message::Close(_))) => return false,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return true,
            }
        }
    }

    async fn is_silent_for(&mut self, ms: u64) -> bool {
        tokio::time::timeout(Duration::from_millis(ms), self.socket.next()).await.is_err()
    }
}

const BUY: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=59000";

#[tokio::test]
async fn a_reset_ends_the_connections_of_its_kind_and_no_others() {
    let venue = controlled();
    let mut market = venue.websocket("/ws/btcusdt@depth@100ms").await;
    let mut private = venue.private_stream().await;
    let hit = venue.order_fault(r#"{"fault":"reset","target":"market"}"#).await;
    assert_eq!(hit["connections"].as_array().map(Vec::len), Some(1), "{hit}");
    assert!(market.ends_badly().await);
    venue.signed("POST", "/fapi/v1/order", BUY).await;
    assert_eq!(private.event("ORDER_TRADE_UPDATE").await["o"]["X"], "NEW");
}

#[tokio::test]
async fn a_reset_in_a_frame_leaves_half_of_it() {
    let venue = controlled();
    let mut private = venue.private_stream().await;
    venue.order_fault(r#"{"fault":"reset","target":"private","in_frame":true}"#).await;
    assert!(private.is_silent_for(50).await, "it waits for the next write");
    venue.signed("POST", "/fapi/v1/order", BUY).await;
    assert!(private.ends_badly().await);
    // What was done stays done.
    let open = venue.signed("GET", "/fapi/v1/openOrders", "symbol=BTCUSDT").await;
    assert_eq!(open.json().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_silent_line_says_nothing_and_goes_on_where_it_was() {
    let venue = controlled();
    let mut private = venue.private_stream().await;
    venue.order_fault(r#"{"fault":"silence","target":"private","for_ms":400}"#).await;
    let began = Instant::now();
    venue.signed("POST", "/fapi/v1/order", BUY).await;
    assert_eq!(private.event("ORDER_TRADE_UPDATE").await["o"]["X"], "NEW");
    assert!(began.elapsed() > Duration::from_millis(250), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_order_can_be_taken_and_its_answer_lost() {
    let venue = controlled();
    let mut api = venue.websocket("/ws-fapi/v1").await;
    let params = [
        ("newClientOrderId", "lost-1"),
        ("price", "59000"),
        ("quantity", "0.010"),
        ("side", "BUY"),
        ("symbol", "BTCUSDT"),
        ("timeInForce", "GTC"),
        ("type", "LIMIT"),
    ];
    venue.order_fault(r#"{"fault":"request","request":"order.place","how":"lose"}"#).await;
    api.send(&api_request("order.place", ED25519_KEY, ed25519, &params)).await;
    assert!(api.is_silent_for(200).await);
    let found = venue.signed("GET", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=lost-1").await;
    assert_eq!(found.json()["status"], "NEW");
    venue.order_fault(r#"{"fault":"request","request":"order.place","how":"reset"}"#).await;
    api.send(&api_request("order.place", ED25519_KEY, ed25519, &params)).await;
    assert!(api.ends_badly().await);
    let counted = venue.control("GET", "/orders", "").await.json();
    assert_eq!(counted["lost-1"]["asked"], 2, "{counted}");
    assert_eq!(counted["lost-1"]["taken"], 1, "the second was a duplicate: {counted}");
}

#[tokio::test]
async fn a_refused_request_is_not_carried_out() {
    let venue = controlled();
    let fault = r#"{"fault":"request","request":"order.place","how":{"refuse":{"status":503,"code":-1008,"msg":"Server is currently overloaded"}}}"#;
    venue.order_fault(fault).await;
    let told = venue.signed("POST", "/fapi/v1/order", BUY).await;
    assert_eq!(told.refusal(), (503, -1008, "Server is currently overloaded".into()));
    let open = venue.signed("GET", "/fapi/v1/openOrders", "symbol=BTCUSDT").await;
    assert_eq!(open.json().as_array().map(Vec::len), Some(0));
    assert_eq!(venue.signed("POST", "/fapi/v1/order", BUY).await.status, 200, "once is once");
}

#[tokio::test]
async fn the_event_can_come_after_the_answer_or_before_it() {
    let venue = controlled();
    let mut private = venue.private_stream().await;
    venue.order_fault(r#"{"fault":"delay_events","ms":300}"#).await;
    venue.signed("POST", "/fapi/v1/order", BUY).await;
    assert!(private.is_silent_for(100).await, "the answer is there, the event is not");
    assert_eq!(private.event("ORDER_TRADE_UPDATE").await["o"]["X"], "NEW");
    venue.order_fault(r#"{"fault":"delay_events","ms":0}"#).await;
    let fault = r#"{"fault":"request","request":"POST /fapi/v1/order","how":{"delay":{"ms":300}}}"#;
    venue.order_fault(fault).await;
    let began = Instant::now();
    let event = async {
        private.event("ORDER_TRADE_UPDATE").await;
        began.elapsed()
    };
    let answer = async {
        venue.signed("POST", "/fapi/v1/order", BUY).await;
        began.elapsed()
    };
    let (event, answer) = tokio::join!(event, answer);
    assert!(event < answer && answer >= Duration::from_millis(300), "{event:?} {answer:?}");
}

#[tokio::test]
async fn a_venue_that_was_away_comes_back_with_its_orders() {
    let venue = controlled();
    let mut private = venue.private_stream().await;
    venue.signed("POST", "/fapi/v1/order", BUY).await;
    venue.order_fault(r#"{"fault":"down","target":"all","for_ms":2000}"#).await;
    assert!(private.ends_badly().await);
    let connects = async || TcpStream::connect(("127.0.0.1", venue.port)).await.is_ok();
    let until = Instant::now() + PATIENCE;
    while connects().await {
        assert!(Instant::now() < until, "it went on listening");
    }
    while !connects().await {
        assert!(Instant::now() < until, "it did not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let open = venue.signed("GET", "/fapi/v1/openOrders", "symbol=BTCUSDT").await;
    assert_eq!(open.json().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn one_door_can_be_shut_while_the_others_serve() {
    let venue = controlled();
    let mut private = venue.private_stream().await;
    let mut market = venue.websocket("/ws/btcusdt@depth@0ms").await;
    venue.order_fault(r#"{"fault":"down","target":"private","for_ms":60000}"#).await;
    assert!(private.ends_badly().await);
    venue.signed("POST", "/fapi/v1/order", BUY).await;
    assert_eq!(market.event("depthUpdate").await["s"], "BTCUSDT");
    venue.order_fault(r#"{"fault":"down","target":"rest","for_ms":60000}"#).await;
    assert_eq!(venue.get("/fapi/v1/time").await.status, 503);
    venue.control("DELETE", "/faults", "").await;
    assert_eq!(venue.get("/fapi/v1/time").await.status, 200);
}

#[tokio::test]
async fn a_wrong_certificate_is_refused_by_whoever_checks() {
    let venue = controlled();
    venue.order_fault(r#"{"fault":"wrong_certificate","for_ms":60000}"#).await;
    let tcp = TcpStream::connect(("127.0.0.1", venue.port)).await.expect("connects");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let error = venue.tls.connect(name, tcp).await.expect_err("an authority that nobody knows");
    assert!(error.to_string().contains("certificate"), "{error}");
    venue.control("DELETE", "/faults", "").await;
    assert_eq!(venue.get("/fapi/v1/time").await.status, 200);
}

#[tokio::test]
async fn listen_keys_end_on_order_and_say_so() {
    let venue = controlled();
    let mut private = venue.private_stream().await;
    venue.order_fault(r#"{"fault":"expire_listen_keys"}"#).await;
    assert_eq!(private.event("listenKeyExpired").await["e"], "listenKeyExpired");
    venue.signed("POST", "/fapi/v1/order", BUY).await;
    assert!(private.is_silent_for(100).await);
}

#[tokio::test]
async fn depth_loses_doubles_and_swaps_what_it_is_told_to() {
    let venue = controlled();
    let mut market = venue.websocket("/ws/btcusdt@depth@0ms").await;
    let ids = |event: &Value| (event["pu"].as_u64().expect("pu"), event["u"].as_u64().expect("u"));
    let place = async || venue.signed("POST", "/fapi/v1/order", BUY).await;
    place().await;
    let (_, first) = ids(&market.json().await);
    venue.order_fault(r#"{"fault":"depth","target":"market","what":"skip","messages":1}"#).await;
    place().await;
    place().await;
    let (previous, _) = ids(&market.json().await);
    assert!(previous > first, "one is missing");
    venue.order_fault(r#"{"fault":"depth","target":"market","what":"double","messages":1}"#).await;
    place().await;
    assert_eq!(ids(&market.json().await), ids(&market.json().await));
    venue.order_fault(r#"{"fault":"depth","target":"market","what":"swap","messages":1}"#).await;
    place().await;
    place().await;
    let (later, earlier) = (ids(&market.json().await), ids(&market.json().await));
    assert!(later.1 > earlier.1, "{later:?} {earlier:?}");
}

#[tokio::test]
async fn one_of_two_connections_can_lag() {
    let venue = controlled();
    let mut quick = venue.websocket("/ws/btcusdt@depth@0ms").await;
    let mut slow = venue.websocket("/ws/btcusdt@depth@0ms").await;
    let listed = venue.control("GET", "/connections", "").await.json();
    let numbers: Vec<u64> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter(|line| line["kind"] == "market")
        .filter_map(|line| line["number"].as_u64())
        .collect();
    assert_eq!(numbers.len(), 2, "{listed}");
    venue.order_fault(&format!(r#"{{"fault":"lag","target":{},"ms":300}}"#, numbers[1])).await;
    venue.signed("POST", "/fapi/v1/order", BUY).await;
    let began = Instant::now();
    quick.event("depthUpdate").await;
    let early = began.elapsed();
    slow.event("depthUpdate").await;
    assert!(began.elapsed() - early > Duration::from_millis(150), "{early:?} {:?}", began.elapsed());
}

#[tokio::test]
async fn limits_can_be_made_tight_and_who_ignores_429_gets_418() {
    let venue = controlled();
    let fault = r#"{"fault":"limits","weight_per_minute":3,"refusals_before_ban":2,"first_ban_ms":700}"#;
    venue.order_fault(fault).await;
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(venue.get("/fapi/v1/time").await.status);
    }
    assert!(seen.contains(&429) && seen.ends_with(&[418]), "{seen:?}");
}

#[tokio::test]
async fn the_clock_can_be_wrong() {
    let venue = controlled();
    venue.order_fault(r#"{"fault":"clock","offset_ms":30000}"#).await;
    let told = venue.signed("GET", "/fapi/v1/openOrders", "symbol=BTCUSDT").await;
    assert_eq!(told.refusal().1, -1021);
    let shown = venue.get("/fapi/v1/time").await.json()["serverTime"].as_u64().expect("a time");
    assert!(shown > now_ms() + 20_000);
}

#[tokio::test]
async fn without_the_flag_there_is_no_endpoint_and_a_wrong_order_is_told() {
    assert_eq!(Venue::start(quiet()).control, None);
    let venue = controlled();
    let told = venue.control("POST", "/faults", r#"{"fault":"earthquake"}"#).await;
    assert_eq!(told.status, 400);
    assert!(told.body.contains("earthquake"), "{}", told.body);
}
