//! Every answer and event has the fields and types of the exchange's own published samples.

use super::*;

/// Fields that only other kinds of orders, positions or venues have.
const NOT_OURS: &[&str] =
    &["activatePrice", "priceRate", "code", "msg", "ps", "st", "nq", "ap", "pair", "modifyId"];

/// Where `ours` lacks a field of `sample`, or has it in another type.
fn differences(ours: &Value, sample: &Value, at: &str, out: &mut Vec<String>) {
    match (ours, sample) {
        (Value::Object(ours), Value::Object(sample)) => {
            for (name, value) in sample {
                match ours.get(name) {
                    Some(own) => differences(own, value, &format!("{at}.{name}"), out),
                    None if NOT_OURS.contains(&name.as_str()) => {}
                    None => out.push(format!("{at}.{name} is missing")),
                }
            }
        }
        (Value::Array(ours), Value::Array(sample)) => {
            if let (Some(own), Some(value)) = (ours.first(), sample.first()) {
                differences(own, value, &format!("{at}[0]"), out);
            }
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        (own, value) => out.push(format!("{at} is {own}, in the sample {value}")),
    }
}

fn compare(folder: &std::path::Path, file: &str, ours: &Value) {
    let path = folder.join("binance_json/official/derivatives_trading_usds_futures").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let sample: Value = serde_json::from_str(&text).expect("JSON");
    let mut out = Vec::new();
    differences(ours, &sample, "", &mut out);
    assert_eq!(out, Vec::<String>::new(), "{file}: {ours}");
}

#[tokio::test]
async fn rest_answers_have_the_samples_fields() {
    let Some(folder) = shared() else { return };
    let venue = Venue::start(quiet());
    let sell = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.010&price=60000.0";
    venue.signed_as(OTHER_KEY, "POST", "/fapi/v1/order", sell).await;
    let buy =
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.020&price=60000.0&newClientOrderId=a";
    let placed = venue.signed("POST", "/fapi/v1/order", buy).await.json();
    compare(&folder, "rest_api/trade_api/new_order.json", &placed);
    let modified = "symbol=BTCUSDT&origClientOrderId=a&side=BUY&quantity=0.020&price=59000.0";
    let modified = venue.signed("PUT", "/fapi/v1/order", modified).await.json();
    compare(&folder, "rest_api/trade_api/modify_order.json", &modified);
    for (path, query, file) in [
        ("/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=a", "trade_api/query_order.json"),
        (
            "/fapi/v1/openOrder",
            "symbol=BTCUSDT&origClientOrderId=a",
            "trade_api/query_current_open_order.json",
        ),
        ("/fapi/v1/openOrders", "", "trade_api/current_all_open_orders.json"),
        ("/fapi/v1/allOrders", "symbol=BTCUSDT", "trade_api/all_orders.json"),
        ("/fapi/v1/userTrades", "symbol=BTCUSDT", "trade_api/account_trade_list.json"),
        ("/fapi/v2/positionRisk", "", "trade_api/position_information_v2.json"),
        ("/fapi/v3/positionRisk", "", "trade_api/position_information_v3.json"),
        ("/fapi/v2/account", "", "account_api/account_information_v2.json"),
        ("/fapi/v3/account", "", "account_api/account_information_v3.json"),
        ("/fapi/v2/balance", "", "account_api/futures_account_balance_v2.json"),
        ("/fapi/v3/balance", "", "account_api/futures_account_balance_v3.json"),
        ("/fapi/v1/positionSide/dual", "", "account_api/get_current_position_mode.json"),
        ("/fapi/v1/multiAssetsMargin", "", "account_api/get_current_multi_assets_mode.json"),
        ("/fapi/v1/commissionRate", "symbol=BTCUSDT", "account_api/user_commission_rate.json"),
        ("/fapi/v1/leverageBracket", "", "account_api/notional_and_leverage_brackets.json"),
    ] {
        let answer = venue.signed("GET", path, query).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let rows = answer.json();
        assert!(!rows.as_array().is_some_and(Vec::is_empty), "{path}: nothing to compare");
        compare(&folder, &format!("rest_api/{file}"), &rows);
    }
    for (target, file) in [
        ("/fapi/v1/time", "check_server_time.json"),
        ("/fapi/v1/depth?symbol=BTCUSDT", "order_book.json"),
        ("/fapi/v1/trades?symbol=BTCUSDT", "recent_trades_list.json"),
        ("/fapi/v1/ticker/bookTicker?symbol=BTCUSDT", "symbol_order_book_ticker.json"),
        ("/fapi/v1/ticker/price?symbol=BTCUSDT", "symbol_price_ticker.json"),
        ("/fapi/v2/ticker/price?symbol=BTCUSDT", "symbol_price_ticker_v2.json"),
        ("/fapi/v1/premiumIndex?symbol=BTCUSDT", "mark_price.json"),
    ] {
        let answer = venue.get(target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        compare(&folder, &format!("rest_api/market_data_api/{file}"), &answer.json());
    }
    let leverage = venue.signed("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=10").await.json();
    compare(&folder, "rest_api/trade_api/change_initial_leverage.json", &leverage);
    let cancelled =
        venue.signed("DELETE", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=a").await.json();
    compare(&folder, "rest_api/trade_api/cancel_order.json", &cancelled);
    let all = venue.signed("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT").await.json();
    compare(&folder, "rest_api/trade_api/cancel_all_open_orders.json", &all);

    // The sample pours the fields of all filters into one, so filters are compared as a set.
    let mut info = venue.get("/fapi/v1/exchangeInfo").await.json();
    let filters = info["symbols"][0]["filters"].take();
    let mut poured = serde_json::Map::new();
    for filter in filters.as_array().expect("filters") {
        poured.extend(filter.as_object().expect("a filter").clone());
    }
    info["symbols"][0]["filters"] = Value::Array(vec![Value::Object(poured)]);
    compare(&folder, "rest_api/market_data_api/exchange_information.json", &info);
}

#[tokio::test]
async fn websocket_api_answers_have_the_samples_fields() {
    let Some(folder) = shared() else { return };
    let venue = Venue::start(quiet());
    let mut api = venue.websocket("/ws-fapi/v1").await;
    let order = [
        ("newClientOrderId", "a-b"),
        ("price", "59000.0"),
        ("quantity", "0.010"),
        ("side", "BUY"),
        ("symbol", "BTCUSDT"),
        ("timeInForce", "GTC"),
        ("type", "LIMIT"),
    ];
    let one = [("origClientOrderId", "a-b"), ("symbol", "BTCUSDT")];
    let other = [
        ("origClientOrderId", "a-b"),
        ("price", "59001.0"),
        ("quantity", "0.010"),
        ("side", "BUY"),
        ("symbol", "BTCUSDT"),
    ];
    let symbol = [("symbol", "BTCUSDT")];
    for (method, params, file) in [
        ("order.place", &order[..], "trade_api/new_order_success.json"),
        ("order.modify", &other, "trade_api/modify_order_success.json"),
        ("order.status", &one, "trade_api/query_order_success.json"),
        ("account.position", &[], "trade_api/position_information_success.json"),
        ("v2/account.position", &[], "trade_api/position_information_v2_success.json"),
        ("order.cancel", &one, "trade_api/cancel_order_success.json"),
        ("account.status", &[], "account_api/account_information_success.json"),
        ("v2/account.status", &[], "account_api/account_information_v2_success.json"),
        ("account.balance", &[], "account_api/futures_account_balance_success.json"),
        ("v2/account.balance", &[], "account_api/futures_account_balance_v2_success.json"),
        ("ticker.price", &symbol, "market_data_api/symbol_price_ticker_success.json"),
        ("ticker.book", &symbol, "market_data_api/symbol_order_book_ticker_success.json"),
        ("userDataStream.start", &[], "user_data_streams_api/start_user_data_stream_success.json"),
        ("userDataStream.ping", &[], "user_data_streams_api/keepalive_user_data_stream_success.json"),
        ("userDataStream.stop", &[], "user_data_streams_api/close_user_data_stream_success.json"),
    ] {
        let answer = api.ask(&api_request(method, HMAC_KEY, hmac, params)).await;
        assert_eq!(answer["status"], 200, "{method}: {answer}");
        compare(&folder, &format!("websocket_api/{file}"), &answer);
    }
    // The sample of `depth` has its levels outside `result`, against the documents; the REST sample has the same fields in one place.
    let depth = api.ask(&api_request("depth", HMAC_KEY, hmac, &symbol)).await;
    compare(&folder, "rest_api/market_data_api/order_book.json", &depth["result"]);
}

#[tokio::test]
async fn stream_events_have_the_samples_fields() {
    let Some(folder) = shared() else { return };
    let agents = AgentsConfig { actions_per_second: 500, ..AgentsConfig::default() };
    let venue = Venue::start(ExchangeConfig { market: MarketConfig::Agents(agents), ..quiet() });
    let mut market = venue
        .websocket("/ws/btcusdt@depth@0ms/btcusdt@bookTicker/btcusdt@aggTrade/btcusdt@markPrice@1s")
        .await;
    let mut wanted = BTreeMap::from([
        ("depthUpdate", "public_api/diff_book_depth_streams_should_handle_incoming_message.json"),
        (
            "bookTicker",
            "public_api/individual_symbol_book_ticker_streams_should_handle_incoming_message.json",
        ),
        ("aggTrade", "market_api/aggregate_trade_streams_should_handle_incoming_message.json"),
        ("markPriceUpdate", "market_api/mark_price_stream_should_handle_incoming_message.json"),
    ]);
    while !wanted.is_empty() {
        let event = market.json().await;
        if let Some(file) = wanted.remove(event["e"].as_str().expect("a kind")) {
            compare(&folder, &format!("websocket_streams/{file}"), &event);
        }
    }
}

/// The samples of private events are in another source, as request and response texts; the fields are copied from the documents.
#[tokio::test]
async fn private_events_have_the_documented_fields() {
    let venue = Venue::start(quiet());
    let key = venue.listen_key().await;
    let mut private = venue.websocket(&format!("/private/ws?listenKey={key}")).await;
    private.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#).await;
    let sell = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.010&price=60000.0";
    venue.signed_as(OTHER_KEY, "POST", "/fapi/v1/order", sell).await;
    venue.signed("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.010").await;
    let fields = |value: &Value| {
        let mut names: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        names.join(" ")
    };
    let mut seen = 0;
    while seen < 3 {
        let event = private.json().await;
        match event["e"].as_str().expect("a kind") {
            "ORDER_TRADE_UPDATE" if event["o"]["x"] == "TRADE" => {
                assert_eq!(fields(&event), "E T e o");
                assert_eq!(
                    fields(&event["o"]),
                    "L N R S T V X a ap b c cp er f gtd i l m n o ot p pP pm ps q rp s si sp ss t wt x z"
                );
                seen += 1;
            }
            "ACCOUNT_UPDATE" => {
                assert_eq!(fields(&event), "E T a e");
                assert_eq!(fields(&event["a"]), "B P m");
                assert_eq!(fields(&event["a"]["B"][0]), "a bc cw wb");
                assert_eq!(fields(&event["a"]["P"][0]), "bep cr ep iw ma mt pa ps s up");
                seen += 1;
            }
            "TRADE_LITE" => {
                assert_eq!(fields(&event), "E L S T c e i l m p q s t");
                seen += 1;
            }
            _ => {}
        }
    }
    // What trades nothing has no commission at all.
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=59000.0";
    venue.signed("POST", "/fapi/v1/order", order).await;
    let event = private.event("ORDER_TRADE_UPDATE").await;
    assert_eq!((event["o"].get("n"), event["o"].get("N")), (None, None));
}
