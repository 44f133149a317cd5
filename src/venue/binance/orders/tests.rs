//! Order entry: the texts that leave, the outcomes that come, and that no request is ever without exactly one.

use super::*;
use crate::core::dispatch::DispatchFlags;
use crate::core::event::{OrderKind, PositionSide, RequestKind, Side, TimeInForce, TriggerBy};
use crate::core::id::{ClientOrderId, OrderIndex, OrderKey, VenueId};
use crate::core::num::{Price, Quantity};
use crate::venue::binance::sign::{Signer, tests::ed25519};
use crate::venue::binance::wire::bucket;
use crate::venue::directory::tests::directory;

const NOW: Nanos = Nanos::from_millis(1_700_000_000_123);

fn dispatch(number: u64, request: RequestKind) -> Dispatch {
    Dispatch {
        number,
        cause: 1,
        decided: NOW,
        trigger: NOW,
        client_order_id: ClientOrderId::from_text(b"k3f9a-0000000011"),
        venue_order_id: VenueOrderId(0),
        price: Price::new(618_002),
        quantity: Quantity::new(14),
        stop_price: Price::ZERO,
        expires: Nanos::ZERO,
        order: OrderIndex(0),
        instrument: InstrumentId(0),
        key: OrderKey::default(),
        venue: VenueId(0),
        request,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::PostOnly,
        side: Side::Buy,
        position_side: PositionSide::Both,
        trigger_by: TriggerBy::LastPrice,
        callback: 0,
        flags: DispatchFlags::default(),
    }
}

fn entry(signer: Signer, config: OrderEntryConfig) -> OrderEntry {
    let credentials = Credentials::new("theKey", signer).unwrap();
    OrderEntry::new(Arc::new(directory(Product::LinearPerpetual)), Arc::new(credentials), config)
}

/// A session that is logged on: its requests carry no signature.
fn logged_on() -> OrderEntry {
    let (mut entry, mut out) = (entry(ed25519().0, OrderEntryConfig::default()), Vec::new());
    assert!(entry.on_open(NOW, &mut Vec::new(), &mut out));
    let answer = br#"{"id":"logon","status":200,"result":{"apiKey":"theKey","authorizedSince":1}}"#;
    assert_eq!(entry.on_message(answer, NOW, || NOW, &mut out), Ok(Answer::LoggedOn));
    entry
}

fn text_of(entry: &mut OrderEntry, dispatch: &Dispatch) -> String {
    let mut frame = Vec::new();
    entry.encode(dispatch, NOW, &mut frame).unwrap();
    let text = String::from_utf8(frame).unwrap();
    let _: serde_json::Value = serde_json::from_str(&text).unwrap();
    text
}

fn outcomes(events: &[Event]) -> Vec<(u64, Verdict, RejectReason, i32)> {
    let outcome = |event: &Event| match event.body {
        Body::Outcome(o) => Some((o.dispatch, o.verdict, o.reason, o.code)),
        _ => None,
    };
    events.iter().filter_map(outcome).collect()
}

#[test]
fn each_request_has_its_exact_text() {
    let mut entry = logged_on();
    assert_eq!(
        text_of(&mut entry, &dispatch(7, RequestKind::New)),
        r#"{"id":"7","method":"order.place","params":{"newClientOrderId":"k3f9a-0000000011","price":"61800.20","quantity":"0.014","side":"BUY","symbol":"BTCUSDT","timeInForce":"GTX","timestamp":1700000000123,"type":"LIMIT"}}"#
    );
    assert_eq!(
        text_of(&mut entry, &dispatch(8, RequestKind::Replace)),
        r#"{"id":"8","method":"order.modify","params":{"origClientOrderId":"k3f9a-0000000011","price":"61800.20","quantity":"0.014","side":"BUY","symbol":"BTCUSDT","timestamp":1700000000123}}"#
    );
    let known = Dispatch { venue_order_id: VenueOrderId(99), ..dispatch(9, RequestKind::Cancel) };
    assert_eq!(
        text_of(&mut entry, &known),
        r#"{"id":"9","method":"order.cancel","params":{"orderId":99,"symbol":"BTCUSDT","timestamp":1700000000123}}"#
    );
    let market = Dispatch {
        kind: OrderKind::Market,
        side: Side::Sell,
        flags: DispatchFlags(DispatchFlags::REDUCE_ONLY),
        ..dispatch(10, RequestKind::New)
    };
    entry.set_clock_offset(-123);
    assert_eq!(
        text_of(&mut entry, &market),
        r#"{"id":"10","method":"order.place","params":{"newClientOrderId":"k3f9a-0000000011","quantity":"0.014","reduceOnly":"true","side":"SELL","symbol":"BTCUSDT","timestamp":1700000000000,"type":"MARKET"}}"#
    );
    assert_eq!(entry.in_flight(), 4);
}

#[test]
fn without_a_logon_each_request_is_signed_over_its_sorted_parameters() {
    let config = OrderEntryConfig { recv_window: Some(2_000), ..Default::default() };
    let (mut entry, mut out) = (entry(Signer::from_key_text("hush").unwrap(), config), Vec::new());
    assert!(!entry.on_open(NOW, &mut Vec::new(), &mut out));
    for request in [RequestKind::New, RequestKind::Replace, RequestKind::Cancel] {
        let flags = DispatchFlags(DispatchFlags::REDUCE_ONLY);
        let text = text_of(&mut entry, &Dispatch { flags, ..dispatch(request.code().into(), request) });
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (key, value) in json["params"].as_object().unwrap() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
            pairs.push((key.clone(), value));
        }
        pairs.sort();
        let at = pairs.iter().position(|(key, _)| key == "signature").unwrap();
        let (_, signature) = pairs.remove(at);
        let payload = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("&");
        assert!(payload.starts_with("apiKey=theKey&") && payload.contains("&recvWindow=2000&"), "{payload}");
        assert_eq!(signature, Signer::from_key_text("hush").unwrap().sign(payload.as_bytes()).as_str());
    }
}

#[test]
fn the_logon_is_signed_and_its_refusal_takes_the_link_down() {
    let (signer, verifying) = ed25519();
    let (mut entry, mut out, mut frame) =
        (entry(signer, OrderEntryConfig::default()), Vec::new(), Vec::new());
    assert!(entry.on_open(NOW, &mut frame, &mut out));
    let json: serde_json::Value = serde_json::from_slice(&frame).unwrap();
    assert_eq!(
        (&json["method"], &json["params"]["timestamp"]),
        (&"session.logon".into(), &1_700_000_000_123u64.into())
    );
    use base64::Engine as _;
    let signature = json["params"]["signature"].as_str().unwrap();
    let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    verifying.verify_strict(b"apiKey=theKey&timestamp=1700000000123", &signature).unwrap();
    assert_eq!(entry.encode(&dispatch(1, RequestKind::New), NOW, &mut frame), Err(EncodeError::NotReady));
    let refusal = br#"{"id":"logon","status":401,"error":{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}}"#;
    assert_eq!(entry.on_message(refusal, NOW, || NOW, &mut out), Ok(Answer::LogonFailed { code: -2015 }));
    let last = out.last().unwrap().body;
    assert!(
        matches!(last, Body::Link(l) if l.state == LinkState::Down && l.reason == LinkReason::LogonFailed)
    );
    let mut entry = super::tests::entry(ed25519().0, OrderEntryConfig::default());
    entry.on_open(NOW, &mut frame, &mut out);
    assert!(!entry.poll(NOW, &mut out));
    assert!(entry.poll(NOW + Nanos::from_secs(5), &mut out), "a logon without an answer drops the link");
}

#[test]
fn answers_become_outcomes_of_their_dispatches_and_usage_of_the_limits() {
    let (mut entry, mut out) = (logged_on(), Vec::new());
    for number in 1..=4 {
        text_of(&mut entry, &dispatch(number, RequestKind::New));
    }
    let accepted = br#"{"id":"2","status":200,"result":{"orderId":325078477,"status":"NEW"},"rateLimits":[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300,"count":2},{"rateLimitType":"NEW_KIND","interval":"DAY","intervalNum":1,"limit":1,"count":1}]}"#;
    assert_eq!(entry.on_message(accepted, NOW, || NOW, &mut out), Ok(Answer::Request { dispatch: 2 }));
    assert!(matches!(out[0].body, Body::Outcome(o) if o.venue_order_id == VenueOrderId(325_078_477)));
    let usage = RateUsage { bucket: bucket::ORDERS_10S, used: 2, limit: 300, retry_at: Nanos::ZERO };
    assert_eq!(out[1].body, Body::RateUsage(usage));
    let rejected = br#"{"id":1,"status":400,"error":{"code":-2019,"msg":"Margin is insufficient."}}"#;
    assert_eq!(entry.on_message(rejected, NOW, || NOW, &mut out), Ok(Answer::Request { dispatch: 1 }));
    let limited = br#"{"id":"3","status":429,"error":{"code":-1003,"msg":"Too many.","data":{"serverTime":1,"retryAfter":1700000009000}}}"#;
    entry.on_message(limited, NOW, || NOW, &mut out).unwrap();
    assert!(
        matches!(out.last().unwrap().body, Body::RateUsage(u) if u.retry_at == Nanos::from_secs(1_700_000_009))
    );
    let unknown = br#"{"id":"4","status":503,"error":{"code":-1000,"msg":"Unknown error"}}"#;
    entry.on_message(unknown, NOW, || NOW, &mut out).unwrap();
    assert_eq!(
        outcomes(&out),
        [
            (2, Verdict::Accepted, RejectReason::None, 0),
            (1, Verdict::Rejected, RejectReason::Balance, -2019),
            (3, Verdict::Rejected, RejectReason::RateLimited, -1003),
            (4, Verdict::Unknown, RejectReason::VenueDown, -1000),
        ]
    );
    assert_eq!(entry.on_message(unknown, NOW, || NOW, &mut out), Ok(Answer::Late));
    assert_eq!(
        entry.on_message(br#"{"event":{"e":"serverShutdown"}}"#, NOW, || NOW, &mut out),
        Ok(Answer::Other)
    );
    assert!(entry.on_message(b"{\"id\":", NOW, || NOW, &mut out).is_err());
    assert_eq!(entry.in_flight(), 0);
}

#[test]
fn every_request_in_flight_gets_exactly_one_outcome_when_its_time_is_up_or_the_link_breaks() {
    let (mut entry, mut out) = (logged_on(), Vec::new());
    let mut frame = Vec::new();
    entry.encode(&dispatch(1, RequestKind::New), NOW, &mut frame).unwrap();
    entry.encode(&dispatch(2, RequestKind::New), NOW + Nanos::from_secs(3), &mut frame).unwrap();
    entry.encode(&dispatch(3, RequestKind::New), NOW + Nanos::from_secs(3), &mut frame).unwrap();
    assert_eq!(entry.encode(&dispatch(3, RequestKind::New), NOW, &mut frame), Err(EncodeError::Twice));
    assert!(entry.withdraw(3) && !entry.withdraw(3));
    assert_eq!(entry.next_deadline(), NOW + Nanos::from_secs(5));
    entry.poll(NOW + Nanos::from_secs(5), &mut out);
    assert_eq!(outcomes(&out), [(1, Verdict::Unknown, RejectReason::NoAnswer, 0)]);
    entry.on_closed(LinkReason::Reset, NOW, &mut out);
    assert_eq!(outcomes(&out)[1..], [(2, Verdict::Unknown, RejectReason::LinkLost, 0)]);
    assert_eq!((entry.in_flight(), entry.is_ready()), (0, false));
}

#[test]
fn what_cannot_be_sent_is_refused_and_leaves_nothing_in_flight() {
    let mut entry = logged_on();
    let mut frame = Vec::new();
    let base = dispatch(1, RequestKind::New);
    let foreign = Dispatch { instrument: InstrumentId(9), ..base };
    assert_eq!(entry.encode(&foreign, NOW, &mut frame), Err(EncodeError::UnknownInstrument));
    let unheard_of = Dispatch { kind: OrderKind::Other, ..base };
    assert_eq!(entry.encode(&unheard_of, NOW, &mut frame), Err(EncodeError::Unsupported));
    let digest = ClientOrderId::from_text(b"a text of somebody else's");
    let nameless = Dispatch { client_order_id: digest, request: RequestKind::Cancel, ..base };
    assert_eq!(entry.encode(&nameless, NOW, &mut frame), Err(EncodeError::NoId));
    assert_eq!(entry.in_flight(), 0);
    for number in 0..256 {
        entry.encode(&dispatch(number * 256, RequestKind::New), NOW, &mut frame).unwrap();
    }
    assert_eq!(entry.encode(&dispatch(1, RequestKind::New), NOW, &mut frame), Err(EncodeError::InFlightFull));
    for number in (0..256).rev() {
        assert!(entry.withdraw(number * 256));
    }
}

#[test]
fn over_rest_the_same_parameters_go_as_a_signed_query() {
    let mut entry = entry(ed25519().0, OrderEntryConfig::default());
    let request = entry.rest(&dispatch(1, RequestKind::New), NOW).unwrap();
    let expected = "newClientOrderId=k3f9a-0000000011&price=61800.20&quantity=0.014&side=BUY&symbol=BTCUSDT&timeInForce=GTX&timestamp=1700000000123&type=LIMIT&signature=";
    assert!(request.query.starts_with(expected), "{}", request.query);
    assert!(request.query.ends_with("%3D%3D"), "base64 is escaped: {}", request.query);
    assert_eq!((request.method, request.path), ("POST", "/fapi/v1/order"));
    let base = dispatch(5, RequestKind::Cancel);
    for (status, body, expected) in [
        (200, &br#"{"orderId":9,"status":"CANCELED"}"#[..], (Verdict::Accepted, RejectReason::None)),
        (
            400,
            br#"{"code":-2011,"msg":"Unknown order sent."}"#,
            (Verdict::Rejected, RejectReason::UnknownOrder),
        ),
        (200, b"<html>", (Verdict::Unknown, RejectReason::Other)),
        (502, b"<html>", (Verdict::Unknown, RejectReason::VenueDown)),
        (0, b"", (Verdict::Unknown, RejectReason::NoAnswer)),
    ] {
        let event = entry.rest_outcome(&base, status, body, NOW);
        assert!(
            matches!(event.body, Body::Outcome(o) if (o.verdict, o.reason) == expected && o.dispatch == 5)
        );
    }
}

#[test]
fn an_answer_over_rest_says_what_was_counted_and_what_is_closed() {
    let mut entry = entry(ed25519().0, OrderEntryConfig::default());
    let headers =
        |all: &[(&str, &str)]| all.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let counts = [("X-MBX-USED-WEIGHT-1M", "2399"), ("X-MBX-ORDER-COUNT-10S", "7")];
    let mut told = |status, body: &[u8], all: &[(&str, &str)]| {
        let mut out: Vec<Event> = Vec::new();
        let answer = RestAnswer { status, headers: headers(all), body: body.to_vec(), received: NOW };
        entry.rest_answer(&dispatch(5, RequestKind::New), &answer, NOW, &mut out);
        assert!(matches!(out[0].body, Body::Outcome(o) if o.dispatch == 5));
        let usage = out[1..].iter().map(|event| match event.body {
            Body::RateUsage(u) => (u.bucket, u.used, u.retry_at.since(NOW).as_millis()),
            _ => panic!("{event:?}"),
        });
        usage.collect::<Vec<_>>()
    };
    let (weight, orders) = (bucket::REQUEST_WEIGHT, bucket::ORDERS_10S);
    assert_eq!(told(200, br#"{"orderId":9}"#, &counts), [(weight, 2_399, 0), (orders, 7, 0)]);
    let much = br#"{"code":-1003,"msg":"Too much request weight used."}"#;
    assert_eq!(
        told(429, much, &[counts[0], counts[1], ("Retry-After", "60")]),
        [(weight, 2_399, 60_000), (orders, 7, 0)]
    );
    assert_eq!(told(418, much, &[]), [(weight, 0, 120_000)]);
    assert_eq!(told(403, b"<html>", &[]), [(weight, 0, 120_000)]);
    let many = br#"{"code":-1015,"msg":"Too many new orders; current limit is 300 orders per 10 SECOND."}"#;
    assert_eq!(told(429, many, &[]), [(orders, 0, 10_000)]);
    assert_eq!(told(400, br#"{"code":-2010,"msg":"No."}"#, &[]), []);
}

#[test]
fn a_refusal_on_the_session_closes_the_same_by_our_clock() {
    let mut session = session_of(Product::LinearPerpetual);
    session.set_clock_offset(60_000);
    let mut told = |text: &str| {
        let mut out: Vec<Event> = Vec::new();
        session.on_message(text.as_bytes(), NOW, || NOW, &mut out).unwrap();
        let usage = out.iter().map(|event| match event.body {
            Body::RateUsage(u) => (u.bucket, u.retry_at.since(NOW).as_millis()),
            _ => panic!("{event:?}"),
        });
        usage.collect::<Vec<_>>()
    };
    // Without a time: the least that it means.
    assert_eq!(
        told(r#"{"id":"7","status":429,"error":{"code":-1015,"msg":"Too many new orders."}}"#),
        [(bucket::ORDERS_10S, 10_000)]
    );
    assert_eq!(
        told(r#"{"id":"7","status":418,"error":{"code":-1003,"msg":"Banned."}}"#),
        [(bucket::REQUEST_WEIGHT, 120_000)]
    );
    // The venue gives an instant of its own clock, which is a minute ahead.
    let at = NOW.as_millis() + 60_000 + 9_000;
    let limits = r#""rateLimits":[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300,"count":2},{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":2400,"count":2400}]"#;
    assert_eq!(
        told(&format!(
            r#"{{"id":"7","status":429,"error":{{"code":-1003,"msg":"","data":{{"serverTime":1,"retryAfter":{at}}}}},{limits}}}"#
        )),
        [(bucket::ORDERS_10S, 0), (bucket::REQUEST_WEIGHT, 9_000)]
    );
}

/// The texts that a session of this product sends, without signatures.
fn session_of(product: Product) -> OrderEntry {
    let credentials = Arc::new(Credentials::new("theKey", ed25519().0).unwrap());
    let mut entry = OrderEntry::new(Arc::new(directory(product)), credentials, OrderEntryConfig::default());
    assert!(entry.on_open(NOW, &mut Vec::new(), &mut Vec::<Event>::new()));
    let answer = br#"{"id":"logon","status":200,"result":{"apiKey":"theKey","authorizedSince":1}}"#;
    entry.on_message(answer, NOW, || NOW, &mut Vec::<Event>::new()).unwrap();
    entry
}

#[test]
fn a_conditional_order_goes_to_the_algo_service_until_it_has_a_number() {
    let mut entry = session_of(Product::LinearPerpetual);
    let stop = Dispatch {
        kind: OrderKind::StopMarket,
        side: Side::Sell,
        stop_price: Price::new(600_000),
        trigger_by: TriggerBy::MarkPrice,
        flags: DispatchFlags(DispatchFlags::REDUCE_ONLY),
        ..dispatch(1, RequestKind::New)
    };
    assert_eq!(
        text_of(&mut entry, &stop),
        r#"{"id":"1","method":"algoOrder.place","params":{"algoType":"CONDITIONAL","clientAlgoId":"k3f9a-0000000011","quantity":"0.014","reduceOnly":"true","side":"SELL","symbol":"BTCUSDT","timestamp":1700000000123,"triggerPrice":"60000.00","type":"STOP_MARKET","workingType":"MARK_PRICE"}}"#
    );
    let closes = Dispatch {
        number: 2,
        kind: OrderKind::TakeProfitMarket,
        position_side: PositionSide::Long,
        flags: DispatchFlags(DispatchFlags::CLOSE_POSITION | DispatchFlags::REDUCE_ONLY),
        ..stop
    };
    assert_eq!(
        text_of(&mut entry, &closes),
        r#"{"id":"2","method":"algoOrder.place","params":{"algoType":"CONDITIONAL","clientAlgoId":"k3f9a-0000000011","closePosition":"true","positionSide":"LONG","side":"SELL","symbol":"BTCUSDT","timestamp":1700000000123,"triggerPrice":"60000.00","type":"TAKE_PROFIT_MARKET","workingType":"MARK_PRICE"}}"#
    );
    let trails = Dispatch {
        number: 3,
        kind: OrderKind::TrailingStop,
        callback: 125,
        trigger_by: TriggerBy::LastPrice,
        ..stop
    };
    assert_eq!(
        text_of(&mut entry, &trails),
        r#"{"id":"3","method":"algoOrder.place","params":{"activatePrice":"60000.00","algoType":"CONDITIONAL","callbackRate":"1.25","clientAlgoId":"k3f9a-0000000011","quantity":"0.014","reduceOnly":"true","side":"SELL","symbol":"BTCUSDT","timestamp":1700000000123,"type":"TRAILING_STOP_MARKET","workingType":"CONTRACT_PRICE"}}"#
    );
    let at_once = Dispatch { number: 4, stop_price: Price::ZERO, ..trails };
    assert!(!text_of(&mut entry, &at_once).contains("activatePrice"));
    let limit = Dispatch {
        number: 5,
        kind: OrderKind::StopLimit,
        time_in_force: TimeInForce::GoodTillDate,
        expires: Nanos::from_millis(1_700_000_900_000),
        ..stop
    };
    assert_eq!(
        text_of(&mut entry, &limit),
        r#"{"id":"5","method":"algoOrder.place","params":{"algoType":"CONDITIONAL","clientAlgoId":"k3f9a-0000000011","goodTillDate":1700000900000,"price":"61800.20","quantity":"0.014","reduceOnly":"true","side":"SELL","symbol":"BTCUSDT","timeInForce":"GTD","timestamp":1700000000123,"triggerPrice":"60000.00","type":"STOP","workingType":"MARK_PRICE"}}"#
    );
    let cancel = Dispatch { number: 6, request: RequestKind::Cancel, ..stop };
    assert_eq!(
        text_of(&mut entry, &cancel),
        r#"{"id":"6","method":"algoOrder.cancel","params":{"clientAlgoId":"k3f9a-0000000011","symbol":"BTCUSDT","timestamp":1700000000123}}"#
    );
    let triggered = Dispatch { number: 7, venue_order_id: VenueOrderId(99), ..cancel };
    assert_eq!(
        text_of(&mut entry, &triggered),
        r#"{"id":"7","method":"order.cancel","params":{"orderId":99,"symbol":"BTCUSDT","timestamp":1700000000123}}"#
    );
    let moved = Dispatch { number: 8, request: RequestKind::Replace, ..stop };
    assert_eq!(entry.encode(&moved, NOW, &mut Vec::new()), Err(EncodeError::Unsupported));
    let (place, end) = (entry.rest(&stop, NOW).unwrap(), entry.rest(&cancel, NOW).unwrap());
    assert_eq!((place.method, place.path), ("POST", "/fapi/v1/algoOrder"));
    assert_eq!((end.method, end.path), ("DELETE", "/fapi/v1/algoOrder"));
}

#[test]
fn a_good_till_date_order_says_its_date_and_without_one_does_not_go() {
    let mut entry = session_of(Product::LinearPerpetual);
    let until = Dispatch {
        time_in_force: TimeInForce::GoodTillDate,
        expires: Nanos::from_millis(1_700_000_900_000),
        ..dispatch(1, RequestKind::New)
    };
    assert!(text_of(&mut entry, &until).contains(r#"{"goodTillDate":1700000900000,"#));
    let never = Dispatch { number: 2, expires: Nanos::ZERO, ..until };
    assert_eq!(entry.encode(&never, NOW, &mut Vec::new()), Err(EncodeError::Unsupported));
}

#[test]
fn spot_has_requests_of_its_own() {
    let mut entry = session_of(Product::Spot);
    assert_eq!(entry.path(), "/ws-api/v3");
    assert_eq!(
        text_of(&mut entry, &dispatch(1, RequestKind::New)),
        r#"{"id":"1","method":"order.place","params":{"newClientOrderId":"k3f9a-0000000011","newOrderRespType":"ACK","price":"6180.02","quantity":"0.00014","side":"BUY","symbol":"BTCUSDT","timestamp":1700000000123,"type":"LIMIT_MAKER"}}"#
    );
    let moved = Dispatch {
        time_in_force: TimeInForce::GoodTillCancel,
        venue_order_id: VenueOrderId(77),
        ..dispatch(2, RequestKind::Replace)
    };
    assert_eq!(
        text_of(&mut entry, &moved),
        r#"{"id":"2","method":"order.cancelReplace","params":{"cancelNewClientOrderId":"replacing-2","cancelOrderId":77,"cancelReplaceMode":"STOP_ON_FAILURE","cancelRestrictions":"ONLY_NEW","newClientOrderId":"k3f9a-0000000011","newOrderRespType":"ACK","price":"6180.02","quantity":"0.00014","side":"BUY","symbol":"BTCUSDT","timeInForce":"GTC","timestamp":1700000000123,"type":"LIMIT"}}"#
    );
    let smaller = Dispatch { number: 3, flags: DispatchFlags(DispatchFlags::SHRINKS), ..moved };
    assert_eq!(
        text_of(&mut entry, &smaller),
        r#"{"id":"3","method":"order.amend.keepPriority","params":{"newClientOrderId":"k3f9a-0000000011","newQty":"0.00014","orderId":77,"symbol":"BTCUSDT","timestamp":1700000000123}}"#
    );
    let stop = Dispatch {
        kind: OrderKind::StopLimit,
        time_in_force: TimeInForce::GoodTillCancel,
        stop_price: Price::new(610_000),
        ..dispatch(4, RequestKind::New)
    };
    assert!(text_of(&mut entry, &stop).ends_with(
        r#""side":"BUY","stopPrice":"6100.00","symbol":"BTCUSDT","timeInForce":"GTC","timestamp":1700000000123,"type":"STOP_LOSS_LIMIT"}}"#
    ));
    let trails =
        Dispatch { number: 5, kind: OrderKind::TrailingStop, callback: 125, stop_price: Price::ZERO, ..stop };
    assert!(text_of(&mut entry, &trails).ends_with(
        r#""side":"BUY","symbol":"BTCUSDT","timestamp":1700000000123,"trailingDelta":125,"type":"STOP_LOSS"}}"#
    ));
    for unknown_here in [
        Dispatch { number: 6, time_in_force: TimeInForce::GoodTillDate, ..stop },
        Dispatch { number: 7, trigger_by: TriggerBy::MarkPrice, ..stop },
        Dispatch { number: 8, position_side: PositionSide::Short, ..stop },
        Dispatch { number: 9, flags: DispatchFlags(DispatchFlags::CLOSE_POSITION), ..stop },
        Dispatch { number: 10, time_in_force: TimeInForce::PostOnly, ..stop },
        Dispatch { number: 11, request: RequestKind::Replace, ..stop },
    ] {
        assert_eq!(entry.encode(&unknown_here, NOW, &mut Vec::new()), Err(EncodeError::Unsupported));
    }
    assert_eq!(entry.in_flight(), 5);
}

/// A cancel-replace is two requests in one, and each way in which it can end leaves another truth behind.
#[test]
fn each_end_of_a_cancel_replace_is_told_apart() {
    let told = |status: u16, body: &str| {
        let mut entry = session_of(Product::Spot);
        let moved = Dispatch {
            time_in_force: TimeInForce::GoodTillCancel,
            venue_order_id: VenueOrderId(77),
            ..dispatch(1, RequestKind::Replace)
        };
        text_of(&mut entry, &moved);
        let mut out = Vec::new();
        let text = format!(r#"{{"id":"1","status":{status},{body}}}"#);
        entry.on_message(text.as_bytes(), NOW, || NOW, &mut out).unwrap();
        let Body::Outcome(outcome) = out[0].body else { panic!("{out:?}") };
        (outcome.verdict, outcome.reason, outcome.venue_order_id.0)
    };
    assert_eq!(
        told(
            200,
            r#""result":{"cancelResult":"SUCCESS","newOrderResult":"SUCCESS","cancelResponse":{"orderId":77},"newOrderResponse":{"orderId":78}}"#
        ),
        (Verdict::Accepted, RejectReason::None, 78)
    );
    let nothing_done = r#""error":{"code":-2022,"msg":"Order cancel-replace failed.","data":{"cancelResult":"FAILURE","newOrderResult":"NOT_ATTEMPTED","cancelResponse":{"code":-2011,"msg":"Unknown order sent."},"newOrderResponse":null}}"#;
    assert_eq!(told(400, nothing_done), (Verdict::Rejected, RejectReason::UnknownOrder, 77));
    let begun_to_fill =
        nothing_done.replace("Unknown order sent.", "Order was not canceled due to cancel restrictions.");
    assert_eq!(told(400, &begun_to_fill), (Verdict::Rejected, RejectReason::NoChange, 77));
    let half_done = r#""error":{"code":-2021,"msg":"Order cancel-replace partially failed.","data":{"cancelResult":"SUCCESS","newOrderResult":"FAILURE","cancelResponse":{"orderId":77},"newOrderResponse":{"code":-2010,"msg":"Order would immediately match and take."}}}"#;
    assert_eq!(told(409, half_done), (Verdict::Unknown, RejectReason::Other, 77));
}

#[test]
fn the_algo_service_says_success_in_the_field_of_errors() {
    let mut entry = session_of(Product::LinearPerpetual);
    let cancel = Dispatch { kind: OrderKind::StopMarket, ..dispatch(5, RequestKind::Cancel) };
    for (body, expected) in [
        (r#"{"algoId":2146760,"clientAlgoId":"x","code":"200","msg":"success"}"#, Verdict::Accepted),
        (r#"{"code":-2011,"msg":"Unknown order sent."}"#, Verdict::Rejected),
        (r#"{"code":"wrong"}"#, Verdict::Unknown),
    ] {
        let status = if expected == Verdict::Rejected { 400 } else { 200 };
        let event = entry.rest_outcome(&cancel, status, body.as_bytes(), NOW);
        let Body::Outcome(outcome) = event.body else { panic!("{event:?}") };
        assert_eq!((outcome.verdict, outcome.venue_order_id.0), (expected, 0), "{body}");
    }
}
