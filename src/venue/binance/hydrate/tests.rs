//! Read-backs: every body gives its bracket whole, or says that it failed; every request is what the documents say.

use super::*;
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

/// The venue's own example: USD-M "Symbol Configuration (USER_DATA)".
#[test]
fn leverages_are_read_by_symbol() {
    let body = r#"[{"symbol":"BTCUSDT","marginType":"CROSSED","isAutoAddMargin":false,"leverage":21,"maxNotionalValue":"1000000"}]"#;
    let mut hydrator = Hydrator::default();
    assert_eq!(hydrator.leverages(body.as_bytes()), Ok(vec![("BTCUSDT".to_owned(), 21)]));
    assert!(hydrator.leverages(br#"[{"symbol":"BTCUSDT"}]"#).is_err());
    assert!(hydrator.leverages(br#"{"code":-2015,"msg":"Invalid API-key"}"#).is_err());
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
    let ours = ClientOrderId::from_text(b"a/b:c");
    let request = requests.query_order("BTCUSDT", &ours, VenueOrderId(0)).unwrap();
    let target = request.target(Some(&credentials), 1_700, Some(5000));
    let (signed, signature) = target.split_once("&signature=").unwrap();
    assert_eq!(
        signed,
        "/fapi/v1/order?symbol=BTCUSDT&origClientOrderId=a%2Fb%3Ac&recvWindow=5000&timestamp=1700"
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

#[test]
fn spots_documented_filters_become_a_definition() {
    let filters = r#"[{"filterType":"PRICE_FILTER","minPrice":"0.00000100","maxPrice":"100000.00000000","tickSize":"0.00000100"},{"filterType":"PERCENT_PRICE_BY_SIDE","bidMultiplierUp":"1.2","bidMultiplierDown":"0.2","askMultiplierUp":"5","askMultiplierDown":"0.8","avgPriceMins":1},{"filterType":"LOT_SIZE","minQty":"0.00100000","maxQty":"100000.00000000","stepSize":"0.00100000"},{"filterType":"NOTIONAL","minNotional":"10.00000000","applyMinToMarket":false,"maxNotional":"10000.00000000","applyMaxToMarket":false,"avgPriceMins":5},{"filterType":"ICEBERG_PARTS","limit":10},{"filterType":"MARKET_LOT_SIZE","minQty":"0.00000000","maxQty":"800.12345678","stepSize":"0.00000000"},{"filterType":"MAX_NUM_ORDERS","maxNumOrders":25},{"filterType":"MAX_NUM_ALGO_ORDERS","maxNumAlgoOrders":5},{"filterType":"MAX_POSITION","maxPosition":"10.00000000"},{"filterType":"TRAILING_DELTA","minTrailingAboveDelta":10,"maxTrailingAboveDelta":2000,"minTrailingBelowDelta":10,"maxTrailingBelowDelta":2000},{"filterType":"NEWLY_INVENTED","anything":[1]}]"#;
    let body = format!(
        r#"{{"rateLimits":[],"symbols":[{{"symbol":"ETHBTC","status":"BREAK","baseAsset":"ETH","quoteAsset":"BTC","quotePrecision":8,"filters":{filters}}}]}}"#
    );
    let symbols = [(InstrumentId(0), "ETHBTC")];
    let mut hydrator = Hydrator::default();
    let directory = hydrator.directory(VenueId(0), Product::Spot, &symbols, body.as_bytes()).unwrap();
    let grid = directory.listings()[0].definition;
    assert_eq!((grid.tick.mantissa, grid.tick.decimals, grid.tick.text_decimals), (1, 6, 8));
    assert_eq!((grid.lot.mantissa, grid.lot.decimals, grid.lot.text_decimals), (1, 3, 8));
    assert_eq!((grid.min_price, grid.max_price), (Price::new(1), Price::new(100_000_000_000)));
    assert_eq!((grid.min_quantity, grid.max_quantity), (Quantity::new(1), Quantity::new(100_000_000)));
    assert_eq!(grid.max_market_quantity, Quantity::new(800_123), "never more than the venue takes");
    assert_eq!(grid.min_notional, 10_00000000);
    assert_eq!((grid.percent_up, grid.percent_down), (12_000, 8_000), "the narrower of the two sides");
    assert_eq!(grid.status, InstrumentStatus::Halted);
}

/// A venue of scripted answers: `(what the target holds, body)`, in this order.
fn converse(product: Product, ask: &crate::core::record::Ask, script: &[(&str, &str)]) -> Vec<Event> {
    let directory = directory(product);
    let (mut hydrator, mut events) = (Hydrator::default(), Vec::new());
    let mut conversation = Conversation::of(&directory, ask, ASK.as_of).unwrap();
    let mut script = script.iter();
    while let Some(request) = conversation.next_request() {
        let (part, body) = script.next().unwrap_or_else(|| panic!("not expected: {request:?}"));
        let target = request.target(None, 0, None);
        assert!(target.contains(part), "{target}, not {part}");
        conversation.on_body(&mut hydrator, &directory, body.as_bytes().to_vec(), ASK.now);
    }
    assert!(script.next().is_none(), "not all was asked");
    let _ = conversation.finish(&mut hydrator, &directory, ASK.now, &mut events);
    events
}

fn about(scope: HydrationScope) -> crate::core::record::Ask {
    crate::core::record::Ask {
        number: 3,
        venue: VenueId(0),
        scope,
        instrument: InstrumentId(0),
        client_order_id: ClientOrderId::from_text(b"ours-1"),
        venue_order_id: VenueOrderId(0),
        after_trade: 0,
        since: Nanos::ZERO,
    }
}

const NOT_THERE: &str = r#"{"code":-2013,"msg":"Order does not exist."}"#;
const ALGO_ROW: &str = r#"{"algoId":5,"clientAlgoId":"ours-1","algoType":"CONDITIONAL","orderType":"STOP_MARKET","symbol":"BTCUSDT","side":"SELL","positionSide":"BOTH","timeInForce":"GTC","quantity":"0.014","algoStatus":"NEW","actualOrderId":"","triggerPrice":"60000.0","price":"0","closePosition":false,"reduceOnly":true,"updateTime":7}"#;
const ORDER_ROW: &str = r#"{"symbol":"BTCUSDT","orderId":77,"clientOrderId":"theirs","status":"FILLED","type":"MARKET","origType":"STOP_MARKET","side":"SELL","positionSide":"BOTH","timeInForce":"GTC","price":"0","origQty":"0.014","executedQty":"0.014","reduceOnly":true,"updateTime":9}"#;
const TRADE_ROWS: &str = r#"[{"symbol":"BTCUSDT","id":4,"orderId":77,"side":"SELL","price":"59999.9","qty":"0.014","commission":"0.5","commissionAsset":"USDT","time":8,"maker":false,"positionSide":"BOTH"}]"#;

#[test]
fn a_conditional_order_is_found_where_it_waits_and_what_it_became_is_told_under_its_own_id() {
    let order = about(HydrationScope::Order);
    let usd_m = Product::LinearPerpetual;
    let by_our_id = "/fapi/v1/order?symbol=BTCUSDT&origClientOrderId=ours-1";
    let waits = converse(
        usd_m,
        &order,
        &[(by_our_id, NOT_THERE), ("/fapi/v1/algoOrder?clientAlgoId=ours-1", ALGO_ROW)],
    );
    assert_eq!(phases(&waits), [HydrationPhase::Begin, HydrationPhase::End]);
    let report = |event: &Event| if let Body::Order(report) = event.body { Some(report) } else { None };
    let reports = |events: &[Event]| -> Vec<OrderReport> { events.iter().filter_map(report).collect() };
    let [waiting] = reports(&waits)[..] else { panic!("{waits:?}") };
    assert_eq!(
        (waiting.venue_order_id.0, waiting.status, waiting.kind),
        (0, VenueStatus::New, OrderKind::StopMarket)
    );

    let triggered = ALGO_ROW.replace(r#""NEW","actualOrderId":"""#, r#""FINISHED","actualOrderId":"77""#);
    let became = converse(
        usd_m,
        &order,
        &[
            (by_our_id, NOT_THERE),
            ("clientAlgoId=ours-1", &triggered),
            ("/fapi/v1/order?symbol=BTCUSDT&orderId=77", ORDER_ROW),
            ("/fapi/v1/userTrades?symbol=BTCUSDT&orderId=77", TRADE_ROWS),
        ],
    );
    let [trade, state] = reports(&became)[..] else { panic!("{became:?}") };
    let ours = ClientOrderId::from_text(b"ours-1");
    assert_eq!((trade.client_order_id, trade.trade_id, trade.fee), (ours, 4, 50_000_000));
    assert_eq!(
        (state.client_order_id, state.venue_order_id.0, state.status),
        (ours, 77, VenueStatus::Filled)
    );
    assert!(state.flags.has(ReportFlags::TRIGGERED));
}

#[test]
fn an_order_that_nobody_knows_is_not_found_and_one_that_cannot_be_read_failed() {
    let order = about(HydrationScope::Order);
    let usd_m = Product::LinearPerpetual;
    let nowhere = converse(
        usd_m,
        &order,
        &[("origClientOrderId=ours-1", NOT_THERE), ("clientAlgoId=ours-1", NOT_THERE)],
    );
    assert_eq!(phases(&nowhere), [HydrationPhase::NotFound]);
    let spot = converse(Product::Spot, &order, &[("/api/v3/order?symbol=BTCUSDT", NOT_THERE)]);
    assert_eq!(phases(&spot), [HydrationPhase::NotFound], "spot has no second place to look at");
    for script in [
        &[("origClientOrderId", r#"{"code":-1001,"msg":"Internal error."}"#)][..],
        &[("origClientOrderId", NOT_THERE), ("clientAlgoId", r#"{"code":-1003,"msg":"Too many requests."}"#)],
        &[("origClientOrderId", ORDER_ROW), ("userTrades", r#"[{"symbol":"BTCUSDT"}]"#)],
        &[("origClientOrderId", "<html>")],
    ] {
        let events = converse(usd_m, &order, script);
        assert_eq!(phases(&events), [HydrationPhase::Failed], "{script:?}");
    }
}

#[test]
fn an_account_of_usd_m_has_its_waiting_orders_and_spots_has_none() {
    let account = about(HydrationScope::Account);
    let waiting = format!("[{ALGO_ROW}]");
    let events = converse(
        Product::LinearPerpetual,
        &account,
        &[
            ("/fapi/v3/account", "[]"),
            ("/fapi/v3/positionRisk", "[]"),
            ("/fapi/v1/openOrders", "[]"),
            ("/fapi/v1/openAlgoOrders", &waiting),
        ],
    );
    assert_eq!(phases(&events), [HydrationPhase::Begin, HydrationPhase::End]);
    assert!(events.iter().any(|e| matches!(e.body, Body::Order(r) if r.kind == OrderKind::StopMarket)));
    let balances = r#"{"balances":[{"asset":"BTC","free":"1","locked":"0.5"}]}"#;
    let spot =
        converse(Product::Spot, &account, &[("/api/v3/account", balances), ("/api/v3/openOrders", "[]")]);
    let told = |event: &Event| matches!(event.body, Body::Balance(b) if b.wallet == 150_000_000 && b.available == 100_000_000);
    assert!(spot.iter().any(told));
    let order = about(HydrationScope::Order);
    let nameless = crate::core::record::Ask { client_order_id: ClientOrderId::NONE, ..order };
    assert!(Conversation::of(&directory(Product::Spot), &nameless, ASK.as_of).is_err());
}

#[test]
fn what_a_list_of_positions_does_not_name_is_empty_as_of_the_question() {
    let directory = directory(Product::LinearPerpetual);
    let (now, asked) = (Nanos::from_secs(9), Nanos::from_secs(8));
    let told = |mode, body: &str| {
        let (mut hydrator, mut events) = (Hydrator::default(), Vec::new());
        hydrator.positions(&directory, now, asked, mode, body.as_bytes(), &mut events).unwrap();
        let row = |event: &Event| match event.body {
            Body::Position(report) => {
                assert!(!report.hydrated);
                (event.instrument, report.side, report.quantity.raw(), event.event_time)
            }
            ref other => panic!("{other:?}"),
        };
        events.iter().map(row).collect::<Vec<_>>()
    };
    let [first, ..] = directory.listings() else { panic!("no listing") };
    let symbol = first.symbol();
    let others: Vec<InstrumentId> = directory.listings().iter().skip(1).map(|listing| listing.id).collect();
    let row = format!(
        r#"[{{"symbol":"{symbol}","positionSide":"BOTH","positionAmt":"-0.005","entryPrice":"1","unRealizedProfit":"0","updateTime":9}}]"#
    );
    let mut expected = vec![(first.id, PositionSide::Both, -5, Nanos::from_millis(9))];
    expected.extend(others.iter().map(|id| (*id, PositionSide::Both, 0, asked)));
    assert_eq!(told(PositionMode::OneWay, &row), expected);
    let both: Vec<_> = directory
        .listings()
        .iter()
        .flat_map(|of| [PositionSide::Long, PositionSide::Short].map(|side| (of.id, side, 0, asked)))
        .collect();
    assert_eq!(told(PositionMode::Hedge, "[]"), both, "a hedged position has its two legs");
}
