//! Read-backs: every body gives its bracket whole, or says that it failed; every request is what the documents say.

use super::*;
use crate::core::event::PositionSide;
use crate::core::instrument::{InstrumentDefinition, InstrumentStatus};
use crate::core::num::Increment;
use crate::venue::binance::sign::Credentials;
use crate::venue::binance::sign::Signer;
use crate::venue::directory::tests::directory;

const ASK: Ask = Ask { request: 3, as_of: Nanos::from_secs(1), now: Nanos::from_secs(2) };

fn phases(events: &[Event]) -> Vec<HydrationPhase> {
    let phase = |event: &Event| match event.body {
        Body::Hydration(hydration) => Some(hydration.phase),
        _ => None,
    };
    events.iter().filter_map(phase).collect()
}

const INFO: &str = r#"{"rateLimits":[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300}],"assets":[{"asset":"FDUSD"}],"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","pricePrecision":2,"quantityPrecision":3,"filters":[{"minPrice":"556.83","maxPrice":"4529764","filterType":"PRICE_FILTER","tickSize":"0.10"},{"stepSize":"0.001","filterType":"LOT_SIZE","maxQty":"1000","minQty":"0.001"},{"stepSize":"0.001","filterType":"MARKET_LOT_SIZE","maxQty":"120","minQty":"0.001"},{"notional":"5","filterType":"MIN_NOTIONAL"},{"multiplierDown":"0.9500","multiplierUp":"1.0500","multiplierDecimal":"4","filterType":"PERCENT_PRICE"}]}]}"#;

#[test]
fn exchange_info_becomes_the_directory_of_the_configured_symbols() {
    let mut hydrator = Hydrator::default();
    let symbols = [(InstrumentId(0), "BTCUSDT")];
    let product = Product::LinearPerpetual;
    let directory = hydrator.directory(VenueId(2), product, &symbols, INFO.as_bytes()).unwrap();
    let listing = directory.find(b"BTCUSDT").unwrap();
    let expected = InstrumentDefinition {
        tick: Increment { mantissa: 1, decimals: 1, text_decimals: 2 },
        lot: Increment { mantissa: 1, decimals: 3, text_decimals: 3 },
        min_price: Price::new(5_569),
        max_price: Price::new(45_297_640),
        min_quantity: Quantity::new(1),
        max_quantity: Quantity::new(1_000_000),
        max_market_quantity: Quantity::new(120_000),
        min_notional: 500_000_000,
        percent_up: 10_500,
        percent_down: 9_500,
        maker_fee_ppm: 0,
        taker_fee_ppm: 0,
        base: AssetId(0),
        quote: AssetId(1),
        product,
        status: InstrumentStatus::Trading,
    };
    assert_eq!(listing.definition, expected);
    assert_eq!(directory.assets().map(|(_, name)| name).collect::<Vec<_>>(), ["BTC", "USDT", "BNB", "FDUSD"]);
    let limits = hydrator.rate_limits(INFO.as_bytes()).unwrap();
    assert_eq!(
        limits,
        [RateUsage { bucket: wire::bucket::ORDERS_10S, used: 0, limit: 300, retry_at: Nanos::ZERO }]
    );
    let mut events = Vec::new();
    hydrator.definitions(&directory, ASK.now, &mut events);
    assert!(matches!(events[..], [Event { venue: VenueId(2), body: Body::Instrument(_), .. }]));
}

#[test]
fn a_symbol_that_is_not_there_or_has_no_grid_is_named() {
    let mut hydrator = Hydrator::default();
    let mut failure = |symbol, body: &str| {
        let symbols = [(InstrumentId(0), symbol)];
        hydrator
            .directory(VenueId(0), Product::LinearPerpetual, &symbols, body.as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(failure("BTCUSTD", INFO), "the venue does not list \"BTCUSTD\"");
    let without = INFO.replace("LOT_SIZE\",\"maxQty\":\"1000", "LOT_SIZES\",\"maxQty\":\"1000");
    assert_eq!(failure("BTCUSDT", &without), "BTCUSDT: field \"LOT_SIZE\" is missing");
    let zero = INFO.replace("\"tickSize\":\"0.10\"", "\"tickSize\":\"0.00\"");
    assert!(failure("BTCUSDT", &zero).starts_with("BTCUSDT: field \"tickSize\""));
    assert_eq!(
        failure("BTCUSDT", r#"{"code":-1003,"msg":"Too many"}"#),
        "exchangeInfo: the venue says -1003: Too many"
    );
}

const ACCOUNT: &str = r#"{"assets":[{"asset":"USDT","walletBalance":"23.72469206","availableBalance":"20.5","updateTime":7},{"asset":"XYZ","walletBalance":"1","availableBalance":"1"}]}"#;
const POSITIONS: &str = r#"[{"symbol":"BTCUSDT","positionSide":"BOTH","positionAmt":"-0.005","entryPrice":"22185.2","unRealizedProfit":"-1.06214947","updateTime":9},{"symbol":"XRPUSDT","positionSide":"BOTH","positionAmt":"1","entryPrice":"1","unRealizedProfit":"0"}]"#;
const ORDERS: &str = r#"[{"clientOrderId":"abc","executedQty":"0.1","orderId":1917641,"origQty":"0.40","price":"61000.10","reduceOnly":true,"side":"BUY","positionSide":"SHORT","status":"PARTIALLY_FILLED","symbol":"BTCUSDT","timeInForce":"GTC","type":"LIMIT","updateTime":11}]"#;

#[test]
fn an_account_is_read_back_whole_in_its_bracket() {
    let (mut hydrator, directory) = (Hydrator::default(), directory(Product::LinearPerpetual));
    let bodies = AccountBodies {
        account: ACCOUNT.as_bytes(),
        positions: Some(POSITIONS.as_bytes()),
        open_orders: ORDERS.as_bytes(),
        open_algo_orders: None,
    };
    let mut events = Vec::new();
    let skipped = hydrator.account_snapshot(&directory, ASK, bodies, &mut events).unwrap();
    assert_eq!(skipped, Skipped { assets: 1, positions: 1, orders: 0 });
    assert_eq!(phases(&events), [HydrationPhase::Begin, HydrationPhase::End]);
    let [_, balance, position, order, _] = &events[..] else { panic!("{events:?}") };
    assert!(
        matches!(balance.body, Body::Balance(b) if b.hydrated && b.wallet == 2_372_469_206 && b.available == 2_050_000_000)
    );
    assert!(
        matches!(position.body, Body::Position(p) if p.quantity == Quantity::new(-5) && p.side == PositionSide::Both)
    );
    let Body::Order(report) = order.body else { panic!("{order:?}") };
    assert_eq!(
        (report.price, report.quantity, report.cumulative_quantity, report.side, report.execution),
        (Price::new(610_001), Quantity::new(400), Quantity::new(100), Side::Buy, Execution::Status)
    );
    assert!(report.flags.has(ReportFlags::HYDRATED) && report.flags.has(ReportFlags::SHORT_SIDE));
    assert_eq!(order.event_time, Nanos::from_millis(11));
}

#[test]
fn a_body_that_is_bad_anywhere_gives_failed_and_nothing_else() {
    let (mut hydrator, directory) = (Hydrator::default(), directory(Product::LinearPerpetual));
    for (account, positions, orders) in [
        (&ACCOUNT[..50], POSITIONS, ORDERS),
        (ACCOUNT, "{}", ORDERS),
        (ACCOUNT, POSITIONS, r#"{"code":-1021,"msg":"Timestamp"}"#),
        (ACCOUNT, POSITIONS, &ORDERS.replace("61000.10", "61000.11")),
    ] {
        let bodies = AccountBodies {
            account: account.as_bytes(),
            positions: Some(positions.as_bytes()),
            open_orders: orders.as_bytes(),
            open_algo_orders: None,
        };
        let mut events = Vec::new();
        assert!(hydrator.account_snapshot(&directory, ASK, bodies, &mut events).is_err());
        assert_eq!((events.len(), phases(&events)), (1, vec![HydrationPhase::Failed]));
    }
}

#[test]
fn one_order_is_found_or_definitely_not_or_the_question_failed() {
    let (mut hydrator, directory) = (Hydrator::default(), directory(Product::LinearPerpetual));
    let order = ORDERS.trim_matches(['[', ']']);
    for (body, expected) in [
        (order, vec![HydrationPhase::Begin, HydrationPhase::End]),
        (r#"{"code":-2013,"msg":"Order does not exist."}"#, vec![HydrationPhase::NotFound]),
        (r#"{"code":-1003,"msg":"Too many requests."}"#, vec![HydrationPhase::Failed]),
        ("", vec![HydrationPhase::Failed]),
    ] {
        let mut events = Vec::new();
        let ours = ClientOrderId::from_text(b"abc");
        let _ = hydrator.order_snapshot(&directory, InstrumentId(0), ours, ASK, body.as_bytes(), &mut events);
        assert_eq!(phases(&events), expected, "{body}");
        assert!(
            events.iter().all(
                |e| !matches!(e.body, Body::Hydration(h) if h.client_order_id != ours || h.request != 3)
            )
        );
    }
}

#[test]
fn fills_are_read_as_trades_alone() {
    let (mut hydrator, directory) = (Hydrator::default(), directory(Product::LinearPerpetual));
    let body = r#"[{"buyer":false,"commission":"-0.07819010","commissionAsset":"USDT","id":698759,"maker":true,"orderId":25851813,"price":"7819.10","qty":"0.002","side":"SELL","positionSide":"SHORT","symbol":"BTCUSDT","time":1569514978020}]"#;
    let mut events = Vec::new();
    assert_eq!(hydrator.trade_reports(&directory, ASK.now, body.as_bytes(), &mut events), Ok(Some(698_759)));
    let Body::Order(report) = events[0].body else { panic!("{events:?}") };
    assert_eq!((report.fee, report.last_quantity, report.side), (-7_819_010, Quantity::new(2), Side::Sell));
    assert!(report.flags.has(ReportFlags::TRADE_ONLY) && report.flags.has(ReportFlags::MAKER));
}

#[test]
fn requests_have_their_paths_and_are_signed_over_what_is_sent() {
    let requests = Requests::of(Product::LinearPerpetual);
    assert_eq!(
        requests.depth("BTCUSDT", 5000).target(None, 0, None),
        "/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
    );
    assert_eq!(requests.listen_key(Method::Put).unwrap().target(None, 0, None), "/fapi/v1/listenKey");
    assert!(Requests::of(Product::Spot).position_risk().is_none());
    let credentials = Credentials::new("key", Signer::from_key_text("hush").unwrap()).unwrap();
    let ours = ClientOrderId::from_text(b"a b");
    let request = requests.query_order("BTCUSDT", &ours, VenueOrderId(0)).unwrap();
    let target = request.target(Some(&credentials), 1_700, Some(5000));
    let (signed, signature) = target.split_once("&signature=").unwrap();
    assert_eq!(
        signed,
        "/fapi/v1/order?symbol=BTCUSDT&origClientOrderId=a%20b&recvWindow=5000&timestamp=1700"
    );
    let payload = signed.split_once('?').unwrap().1;
    assert_eq!(signature, credentials.signer().sign(payload.as_bytes()).as_str());
    assert!(requests.query_order("BTCUSDT", &ClientOrderId::NONE, VenueOrderId(0)).is_none());
    let digest = ClientOrderId::from_text(b"a text of somebody else's");
    let by_number = requests.query_order("BTCUSDT", &digest, VenueOrderId(5)).unwrap();
    assert!(by_number.target(None, 0, None).ends_with("&orderId=5"));
}

#[test]
fn a_listen_key_that_would_break_out_of_its_url_is_refused() {
    let mut hydrator = Hydrator::default();
    assert_eq!(hydrator.listen_key(br#"{"listenKey":"pqia91"}"#), Ok("pqia91".to_string()));
    assert!(hydrator.listen_key(br#"{"listenKey":"a\r\nHost: x"}"#).is_err());
    assert!(hydrator.listen_key(br#"{"listenKey":""}"#).is_err());
    assert_eq!(
        hydrator.server_time(br#"{"serverTime":1499827319559}"#),
        Ok(Nanos::from_millis(1_499_827_319_559))
    );
}
