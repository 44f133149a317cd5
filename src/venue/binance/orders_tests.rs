//! Order entry: the texts that leave, the outcomes that come, and that no request is ever without exactly one.

use super::*;
use crate::core::event::{Side, TriggerBy};
use crate::core::id::{OrderIndex, OrderKey, VenueId};
use crate::core::num::{Price, Quantity};
use crate::venue::binance::sign::{Signer, tests::ed25519};
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
    let trailing = Dispatch { kind: OrderKind::TrailingStop, ..base };
    assert_eq!(entry.encode(&trailing, NOW, &mut frame), Err(EncodeError::Unsupported));
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
fn the_fast_decimal_text_is_the_exact_decimal_text() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for round in 0..100_000u64 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let decimals = (round % 11) as u8;
        let step = Increment {
            mantissa: [1, 5, 25, 1000][(seed % 4) as usize],
            decimals,
            text_decimals: decimals + (seed % 3) as u8,
        };
        let steps = (seed as i64) >> (seed % 64);
        let (mut fast, mut exact) = (StepText::new(), DecimalText::new());
        step.write(steps, &mut exact);
        assert_eq!(
            std::str::from_utf8(fast.write(&step, steps)).unwrap(),
            exact.as_str(),
            "{steps} {step:?}"
        );
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
