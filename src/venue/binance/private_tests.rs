//! The account's stream, message by message: exact, whole or not at all.

use super::*;
use crate::core::event::{BalanceCause, OrderKind, Side, TimeInForce};
use crate::core::event::{
    BalanceReport, Execution, OrderReport, PositionReport, PositionSide, ReportFlags, VenueStatus,
};
use crate::core::id::{AssetId, ClientOrderId, VenueOrderId};
use crate::core::num::{Price, Quantity};
use crate::venue::directory::tests::directory;

fn read(text: &str) -> (Result<PrivateMessage, PrivateError>, Vec<Event>, PrivateCounters) {
    let mut stream = PrivateStream::new(Arc::new(directory(Product::LinearPerpetual)), 3);
    let mut events = Vec::new();
    let now = Nanos::from_secs(1);
    let message = stream.on_message(text.as_bytes(), now, || now + Nanos::new(700), &mut events);
    (message, events, *stream.counters())
}

const TRADE: &str = r#"{"e":"ORDER_TRADE_UPDATE","E":1568879465651,"T":1568879465650,"o":{"s":"BTCUSDT","c":"k3f9a-0000000011","S":"SELL","o":"LIMIT","f":"GTX","q":"0.500","p":"61800.1","ap":"61800.1","sp":"0","x":"TRADE","X":"PARTIALLY_FILLED","i":8886774,"l":"0.200","z":"0.300","L":"61800.10","N":"USDT","n":"-0.00123456","T":1568879465650,"t":42,"b":"0","a":"9.91","m":true,"R":true,"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"BOTH","cp":false,"rp":"0","pP":false,"si":0,"ss":0,"V":"NONE","pm":"NONE","gtd":0}}"#;

#[test]
fn a_fill_is_read_exactly() {
    let (message, events, _) = read(TRADE);
    assert_eq!(message, Ok(PrivateMessage::Order));
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.parsed, event.event_time.as_millis()), (700, 1_568_879_465_650));
    let expected = OrderReport {
        client_order_id: ClientOrderId::from_text(b"k3f9a-0000000011"),
        venue_order_id: VenueOrderId(8_886_774),
        price: Price::new(618_001),
        quantity: Quantity::new(500),
        cumulative_quantity: Quantity::new(300),
        last_quantity: Quantity::new(200),
        last_price: Price::new(618_001),
        trade_id: 42,
        fee: -123_456,
        fee_asset: AssetId(1),
        execution: Execution::Trade,
        status: VenueStatus::PartiallyFilled,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::PostOnly,
        side: Side::Sell,
        flags: ReportFlags(ReportFlags::MAKER | ReportFlags::REDUCE_ONLY),
    };
    assert_eq!(event.body, Body::Order(expected));
}

#[test]
fn an_account_update_gives_every_balance_and_position() {
    let text = r#"{"stream":"x","data":{"e":"ACCOUNT_UPDATE","E":2,"T":1,"a":{"m":"FUNDING_FEE","B":[{"a":"USDT","wb":"122624.12345678","cw":"1","bc":"-50.5"},{"a":"BUSD","wb":"1","cw":"0","bc":"0"}],"P":[{"s":"BTCUSDT","pa":"-10","ep":"6563.866500000000001","up":"-1423.15600","ps":"SHORT"},{"s":"XRPUSDT","pa":"1","ep":"1","up":"1","ps":"BOTH"}]}}}"#;
    let (message, events, counters) = read(text);
    assert_eq!(message, Ok(PrivateMessage::Account));
    let balance = BalanceReport {
        asset: AssetId(1),
        wallet: 12_262_412_345_678,
        available: i64::MIN,
        change: -5_050_000_000,
        cause: BalanceCause::Funding,
        hydrated: false,
    };
    let position = PositionReport {
        quantity: Quantity::new(-10_000),
        entry_price: 656_386_650_000,
        unrealised: -142_315_600_000,
        side: PositionSide::Short,
        hydrated: false,
    };
    assert_eq!(
        events.iter().map(|e| e.body).collect::<Vec<_>>(),
        [Body::Balance(balance), Body::Position(position)]
    );
    assert_eq!((counters.foreign, counters.foreign_assets), (1, 1));
}

#[test]
fn what_cannot_be_read_makes_the_account_distrusted_and_emits_nothing_else() {
    let down = |reason| {
        Body::Link(LinkChange { link: LinkKind::Private, state: LinkState::Down, reason, connection: 3 })
    };
    for (from, to) in [
        ("\"0.500\"", "\"0.5001\""),
        ("\"z\":\"0.300\",", ""),
        ("\"SELL\"", "\"HOLD\""),
        ("\"i\":8886774", "\"i\":\"8886774\""),
        ("\"-0.00123456\"", "\"0.000000001\""),
        ("}}", "}"),
    ] {
        let (message, events, counters) = read(&TRADE.replace(from, to));
        assert!(message.is_err(), "{to}");
        assert_eq!(events.iter().map(|e| e.body).collect::<Vec<_>>(), [down(LinkReason::Protocol)], "{to}");
        assert_eq!(counters.bad, 1);
    }
    let (message, events, _) = read(r#"{"e":"listenKeyExpired","E":1,"listenKey":"x"}"#);
    assert_eq!((message, events[0].body), (Ok(PrivateMessage::KeyExpired), down(LinkReason::KeyExpired)));
}

#[test]
fn every_cut_of_a_message_is_an_error_and_never_a_panic() {
    for end in 0..TRADE.len() {
        assert!(read(&TRADE[..end]).0.is_err(), "{end}");
    }
}

#[test]
fn an_unknown_value_is_counted_and_the_status_decides() {
    let (message, events, counters) = read(&TRADE.replace("\"x\":\"TRADE\"", "\"x\":\"NEWLY_INVENTED\""));
    assert_eq!((message, counters.unknown_values), (Ok(PrivateMessage::Order), 1));
    assert!(matches!(events[0].body, Body::Order(report) if report.execution == Execution::Other));
}

#[test]
fn the_venues_own_orders_are_marked_by_their_ids() {
    let (_, events, _) = read(&TRADE.replace("k3f9a-0000000011", "autoclose-1568879465650"));
    assert!(matches!(events[0].body, Body::Order(r) if r.flags.has(ReportFlags::LIQUIDATION)));
    let (_, events, _) = read(&TRADE.replace("k3f9a-0000000011", "adl_autoclose"));
    assert!(matches!(events[0].body, Body::Order(r) if r.flags.has(ReportFlags::ADL)));
}

/// One message after another on one stream: what the core hears.
fn hear(product: Product, texts: &[&str]) -> Vec<OrderReport> {
    let mut stream = PrivateStream::new(Arc::new(directory(product)), 0);
    let mut events: Vec<Event> = Vec::new();
    for text in texts {
        let message = stream.on_message(text.as_bytes(), Nanos::ZERO, || Nanos::ZERO, &mut events);
        assert_eq!(message, Ok(PrivateMessage::Order), "{text}");
    }
    let report = |event: &Event| match event.body {
        Body::Order(report) => report,
        other => panic!("{other:?}"),
    };
    events.iter().map(report).collect()
}

const ALGO: &str = r#"{"e":"ALGO_UPDATE","T":1750515742297,"E":1750515742303,"o":{"caid":"k3f9a-0000000011","aid":2148719,"at":"CONDITIONAL","o":"STOP_MARKET","s":"BTCUSDT","S":"SELL","ps":"BOTH","f":"GTC","q":"0.014","X":"NEW","ai":"","ap":"0.00000","aq":"0.00000","act":"0","tp":"60000","p":"0","V":"EXPIRE_MAKER","wt":"CONTRACT_PRICE","pm":"NONE","cp":false,"pP":false,"R":true,"tt":0,"gtd":0}}"#;

#[test]
fn a_conditional_order_is_one_order_before_and_after_its_trigger() {
    let triggered = ALGO.replace("\"X\":\"NEW\",\"ai\":\"\"", "\"X\":\"TRIGGERED\",\"ai\":\"555\"");
    // The order that it became, under an id that is not ours: the number says whose it is.
    let filled = TRADE
        .replace("k3f9a-0000000011", "electron_xyz")
        .replace("8886774", "555")
        .replace("\"o\":\"LIMIT\",\"f\"", "\"o\":\"MARKET\",\"f\"")
        .replace("\"ot\":\"LIMIT\"", "\"ot\":\"STOP_MARKET\"");
    let heard = hear(Product::LinearPerpetual, &[ALGO, &triggered, &filled]);
    let ours = ClientOrderId::from_text(b"k3f9a-0000000011");
    assert!(
        heard.iter().all(|report| report.client_order_id == ours && report.kind == OrderKind::StopMarket)
    );
    let says = |report: &OrderReport| {
        (report.execution, report.status, report.venue_order_id.0, report.flags.has(ReportFlags::TRIGGERED))
    };
    assert_eq!(
        heard.iter().map(says).collect::<Vec<_>>(),
        [
            (Execution::New, VenueStatus::New, 0, false),
            (Execution::New, VenueStatus::New, 555, true),
            (Execution::Trade, VenueStatus::PartiallyFilled, 555, true),
        ]
    );
    assert!(heard[0].flags.has(ReportFlags::REDUCE_ONLY) && heard[0].quantity == Quantity::new(14));
}

#[test]
fn each_status_of_a_conditional_order_is_told_in_the_words_of_orders() {
    for (text, expected) in [
        ("CANCELED", Some((Execution::Cancelled, VenueStatus::Cancelled))),
        ("EXPIRED", Some((Execution::Expired, VenueStatus::Expired))),
        ("REJECTED", Some((Execution::Rejected, VenueStatus::Expired))),
        ("TRIGGERING", Some((Execution::New, VenueStatus::New))),
        ("FINISHED", None),
        ("NEWLY_INVENTED", Some((Execution::Other, VenueStatus::Other))),
    ] {
        let heard =
            hear(Product::LinearPerpetual, &[&ALGO.replace("\"X\":\"NEW\"", &format!("\"X\":\"{text}\""))]);
        assert_eq!(heard.first().map(|r| (r.execution, r.status)), expected, "{text}");
    }
}

#[test]
fn a_conditional_order_that_closes_the_position_has_no_quantity() {
    let closes = ALGO.replace("\"q\":\"0.014\"", "\"q\":\"\"").replace("\"cp\":false", "\"cp\":true");
    let heard = hear(Product::LinearPerpetual, &[&closes]);
    assert_eq!(heard[0].quantity, Quantity::ZERO);
    assert!(heard[0].flags.has(ReportFlags::CLOSE_POSITION));
}

const EXECUTION: &str = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1499405658658,"s":"BTCUSDT","c":"k3f9a-0000000011","S":"BUY","o":"LIMIT","f":"GTC","q":"1.00000000","p":"610.26000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"NEW","X":"NEW","r":"NONE","i":4293153,"l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0","N":null,"T":1499405658657,"t":-1,"I":8641984,"w":true,"m":false,"M":false,"O":1499405658657,"Z":"0","Y":"0","Q":"0","W":1499405658657,"V":"NONE"}}"#;

#[test]
fn a_spot_cancellation_is_about_the_order_and_not_about_the_request() {
    let cancelled = EXECUTION
        .replace("\"c\":\"k3f9a-0000000011\"", "\"c\":\"91fe37ce9e69c90d6358c0\"")
        .replace("\"C\":\"\"", "\"C\":\"k3f9a-0000000011\"")
        .replace("\"x\":\"NEW\",\"X\":\"NEW\"", "\"x\":\"CANCELED\",\"X\":\"CANCELED\"");
    let heard = hear(Product::Spot, &[EXECUTION, &cancelled]);
    let ours = ClientOrderId::from_text(b"k3f9a-0000000011");
    assert!(heard.iter().all(|report| report.client_order_id == ours && report.trade_id == 0));
    assert_eq!(heard[1].execution, Execution::Cancelled);
    assert_eq!((heard[0].price, heard[0].quantity), (Price::new(61_026), Quantity::new(100_000)));
}

#[test]
fn a_spot_replacement_is_one_order_that_goes_on_or_ends() {
    let half = EXECUTION
        .replace("\"c\":\"k3f9a-0000000011\"", "\"c\":\"replacing-7\"")
        .replace("\"C\":\"\"", "\"C\":\"k3f9a-0000000011\"")
        .replace("\"x\":\"NEW\",\"X\":\"NEW\"", "\"x\":\"CANCELED\",\"X\":\"CANCELED\"");
    let next = EXECUTION.replace("4293153", "4293154").replace("610.26", "610.27");
    let heard = hear(Product::Spot, &[EXECUTION, &half, &next]);
    assert_eq!(heard.len(), 2, "the cancellation of a replacement ends nothing");
    assert_eq!(
        (heard[1].execution, heard[1].status, heard[1].venue_order_id.0, heard[1].price),
        (Execution::Replaced, VenueStatus::New, 4_293_154, Price::new(61_027))
    );
    let refused = next.replace("\"x\":\"NEW\",\"X\":\"NEW\"", "\"x\":\"REJECTED\",\"X\":\"REJECTED\"");
    let heard = hear(Product::Spot, &[EXECUTION, &half, &refused]);
    assert_eq!((heard[1].execution, heard[1].status), (Execution::Cancelled, VenueStatus::Cancelled));
    // A refusal that no cancellation stands before is a refusal.
    assert_eq!(hear(Product::Spot, &[&refused])[0].status, VenueStatus::Rejected);
}

#[test]
fn spot_kinds_and_their_trigger_are_told_apart() {
    for (kind, delta, expected) in [
        ("STOP_LOSS", "", OrderKind::StopMarket),
        ("STOP_LOSS", "\"d\":4,", OrderKind::TrailingStop),
        ("TAKE_PROFIT", "", OrderKind::TakeProfitMarket),
        ("TAKE_PROFIT_LIMIT", "", OrderKind::TakeProfitLimit),
        ("LIMIT_MAKER", "", OrderKind::Limit),
    ] {
        let text = EXECUTION
            .replace("\"o\":\"LIMIT\"", &format!("{delta}\"o\":\"{kind}\""))
            .replace("\"w\":true", "\"w\":false");
        let waits = hear(Product::Spot, &[&text])[0];
        assert_eq!((waits.kind, waits.flags.has(ReportFlags::TRIGGERED)), (expected, false), "{kind}");
        let works = hear(Product::Spot, &[&text.replace("\"w\":false", "\"w\":true")])[0];
        assert_eq!(works.flags.has(ReportFlags::TRIGGERED), expected.is_conditional(), "{kind}");
    }
}

#[test]
fn a_spot_stream_is_up_only_when_its_subscription_was_answered() {
    let spot = |signer| {
        let credentials = Arc::new(Credentials::new("theKey", signer).unwrap());
        PrivateStream::of_product(Arc::new(directory(Product::Spot)), 0, credentials, Some(5_000))
    };
    let stream = || spot(crate::venue::binance::sign::tests::ed25519().0);
    let now = Nanos::from_millis(1_700_000_000_123);
    let params = r#""params":{"apiKey":"theKey","recvWindow":5000,"timestamp":1700000000000,"signature":""#;
    let up = |events: &[Event]| matches!(events, [Event { body: Body::Link(link), .. }] if link.state == LinkState::Up);
    let taken = br#"{"id":"private","status":200,"result":{"subscriptionId":0}}"#;

    // A key that can log on signs once, and subscribes by its session.
    let (mut one, mut frame, mut events) = (stream(), Vec::new(), Vec::<Event>::new());
    assert!(!one.needs_listen_key());
    assert_eq!(one.path(true, ""), "/ws-api/v3");
    one.set_clock_offset(-123);
    assert!(one.on_open(now, &mut frame, &mut events) && events.is_empty());
    let text = String::from_utf8(frame.clone()).unwrap();
    assert!(
        text.starts_with(&format!(r#"{{"id":"private-logon","method":"session.logon",{params}"#)),
        "{text}"
    );
    let logged_on =
        br#"{"id":"private-logon","status":200,"result":{"apiKey":"theKey","authorizedSince":1}}"#;
    assert_eq!(one.on_message(logged_on, now, || now, &mut events), Ok(PrivateMessage::LoggedOn));
    assert!(events.is_empty(), "nothing is subscribed yet");
    let later = now + Nanos::from_secs(4);
    one.subscribe(later, &mut frame);
    assert_eq!(frame, br#"{"id":"private","method":"userDataStream.subscribe"}"#);
    assert!(!one.poll(now + Nanos::from_secs(6)), "the subscription has a time of its own");
    assert_eq!(one.on_message(taken, later, || later, &mut events), Ok(PrivateMessage::Subscribed));
    assert!(up(&events));
    assert!(!one.poll(now + Nanos::from_secs(60)), "it was answered");

    // One that cannot signs its subscription.
    let hmac = crate::venue::binance::sign::Signer::from_key_text("a secret of letters").unwrap();
    let (mut other, mut events) = (spot(hmac), Vec::<Event>::new());
    other.set_clock_offset(-123);
    assert!(other.on_open(now, &mut frame, &mut events));
    let text = String::from_utf8(frame.clone()).unwrap();
    let method = "userDataStream.subscribe.signature";
    assert!(text.starts_with(&format!(r#"{{"id":"private","method":"{method}",{params}"#)), "{text}");
    assert_eq!(other.on_message(taken, now, || now, &mut events), Ok(PrivateMessage::Subscribed));
    assert!(up(&events));

    let (mut two, mut events) = (stream(), Vec::<Event>::new());
    assert!(two.on_open(now, &mut frame, &mut events));
    assert!(!two.poll(now + Nanos::from_secs(4)) && two.poll(now + Nanos::from_secs(5)), "no answer");
    let refusal = br#"{"id":"private-logon","status":401,"error":{"code":-2015,"msg":"Invalid API-key."}}"#;
    assert_eq!(
        two.on_message(refusal, now, || now, &mut events),
        Ok(PrivateMessage::Refused { code: -2015 })
    );
    assert!(
        events.is_empty(),
        "whether the link is down is the receiver's to say: another connection may carry it"
    );

    // USD-M: the connection itself is the stream.
    let usd_m = Arc::new(directory(Product::LinearPerpetual));
    let signer = crate::venue::binance::sign::tests::ed25519().0;
    let credentials = Arc::new(Credentials::new("theKey", signer).unwrap());
    let mut key = PrivateStream::of_product(usd_m, 0, credentials, None);
    assert!(key.needs_listen_key() && !key.on_open(now, &mut frame, &mut events));
    assert_eq!(key.path(true, "abc"), "/private/ws?listenKey=abc");
    assert_eq!(key.path(false, "abc"), "/ws/abc");
}

#[test]
fn what_ends_a_stream_or_is_not_needed_is_told_apart() {
    let mut stream = PrivateStream::new(Arc::new(directory(Product::Spot)), 0);
    let mut events: Vec<Event> = Vec::new();
    let mut read =
        |text: &str| stream.on_message(text.as_bytes(), Nanos::ZERO, || Nanos::ZERO, &mut events).unwrap();
    let event = |kind: &str| format!(r#"{{"subscriptionId":0,"event":{{"e":"{kind}","E":1}}}}"#);
    assert_eq!(read(&event("eventStreamTerminated")), PrivateMessage::KeyExpired);
    assert_eq!(read(&event("serverShutdown")), PrivateMessage::ShuttingDown);
    for kind in ["balanceUpdate", "externalLockUpdate", "listStatus", "NEWLY_INVENTED"] {
        assert_eq!(read(&event(kind)), PrivateMessage::Other, "{kind}");
    }
    let counters = stream.counters();
    assert_eq!((counters.transfers, counters.lists), (2, 1));
    assert_eq!(events.len(), 1, "only the end of the stream is told");
}
