//! Payloads that the exchange and others published, read by the code that reads them in production: every file of an endpoint or a stream
//! that we use, what it means, and what damage to it does. `docs/venues/binance-payloads.md` is printed from here.
//!
//! The payloads are not part of the project: they lie beside it (`../shared/data`, or where `LINCHPIN_SHARED` says); without them
//! these tests say so and pass.

use super::hydrate::{AccountBodies, Ask, Hydrator};
use super::json::JsonReader;
use super::market::{Incoming, Levels, MarketBody};
use super::orders::{Answer, OrderEntry, OrderEntryConfig};
use super::private::PrivateStream;
use super::recordings::data;
use super::sign::{Credentials, Signer};
use super::{parse, scan};
use crate::core::dispatch::{Dispatch, DispatchFlags};
use crate::core::event::{
    Body, Event, Level, OrderKind, OrderReport, PositionSide, ReportFlags, RequestKind, Side, TimeInForce,
    TriggerBy, Verdict,
};
use crate::core::id::{ClientOrderId, InstrumentId, OrderIndex, OrderKey, StrategyId, VenueId, VenueOrderId};
use crate::core::instrument::{InstrumentDefinition, Product};
use crate::core::num::{DecimalText, Increment, Price, Quantity};
use crate::core::time::Nanos;
use crate::venue::Directory;
use crate::venue::directory::tests::definition;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Which of our readers a payload is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A text of a market connection.
    Market,
    /// A text of the account's own stream.
    Private,
    /// An answer to a request of this kind on the order-entry session.
    Answer(RequestKind),
    Logon,
    /// The same over REST, with this status.
    Rest(RequestKind, u16),
    ExchangeInfo,
    Time,
    ListenKey,
    Depth,
    Account,
    Positions,
    OpenOrders,
    OpenAlgoOrders,
    Order,
    Trades,
}

/// The reader of a file, by what its name says; `None`: of an endpoint or a stream that we do not use.
fn reader_of(path: &str) -> Option<(Product, Reader)> {
    use Reader as R;
    use RequestKind::{Cancel, New, Replace};
    let usd_m = path.contains("usds_futures") || path.contains("UsdFutures");
    let product = if usd_m { Product::LinearPerpetual } else { Product::Spot };
    let name = path.rsplit('/').next()?;
    let stem = name.split('.').next()?;
    let reader = if path.starts_with("spot_docs/") {
        of_the_documents(stem)?
    } else if path.contains("/websocket_streams/")
        || path.contains("/ExchangeData/") && path.contains("Subscr")
    {
        let stream = stem.split("_should_").next()?;
        match stream {
            "agg_trade" | "aggregate_trade_streams" | "trade" | "book_ticker" | "diff_book_depth" => {
                R::Market
            }
            "individual_symbol_book_ticker_streams" | "all_book_tickers_stream" => R::Market,
            "diff_book_depth_streams" | "mark_price_stream" | "mark_price_stream_for_all_market" => R::Market,
            "AggregatedTrades" | "BookTicker" | "Trades" => R::Market,
            _ => return None,
        }
    } else if path.contains("Subscriptions/") {
        match stem {
            "AggTrades" | "Book" | "BookTicker" | "MarkPrice" => R::Market,
            "AccountUpdate" | "AlgoOrderUpdate" | "OrderUpdate" | "TradeUpdate" | "MarginUpdate" => {
                R::Private
            }
            "Leverage" | "GridUpdate" | "StrategyUpdate" | "ConditionalTrigger" => R::Private,
            "AccountPosition" | "Balance" | "OcoOrder" | "Order" => R::Private,
            _ => return None,
        }
    } else if path.contains("/websocket_api/") || path.contains("/Socket/") {
        match stem {
            "session_logon_success" => R::Logon,
            "user_data_stream_subscribe_signature_success" | "user_data_stream_subscribe_success" => {
                R::Private
            }
            "order_place_success" | "new_order_success" | "new_algo_order_success" => R::Answer(New),
            "order_cancel_success" | "cancel_order_success" | "cancel_algo_order_success" => {
                R::Answer(Cancel)
            }
            "order_cancel_replace_success" | "order_amend_keep_priority_success" => R::Answer(Replace),
            "modify_order_success" | "EditOrder" | "AmendOrder" | "ReplaceOrder" => R::Answer(Replace),
            "PlaceOrder" | "PlaceConditionalOrder" => R::Answer(New),
            "CancelOrder" | "CancelConditionalOrder" => R::Answer(Cancel),
            _ => return None,
        }
    } else {
        match stem {
            "exchange_information" | "exchange_info" | "GetExchangeInfo" => R::ExchangeInfo,
            "UsdFutures_GetExchangeInfoAsync1" => R::ExchangeInfo,
            "check_server_time" | "time" | "GetServerTime" => R::Time,
            "start_user_data_stream" | "keepalive_user_data_stream" | "StartUserStream" => R::ListenKey,
            "order_book" | "depth" | "GetOrderBook" => R::Depth,
            "account_information_v2" | "account_information_v3" | "get_account" => R::Account,
            "GetAccountInfo" | "GetAccountInfoV3" => R::Account,
            "futures_account_balance_v2" | "futures_account_balance_v3" => R::Account,
            "GetBalances" if usd_m => R::Account,
            "position_information_v2" | "position_information_v3" => R::Positions,
            "GetPositionInformation" | "GetPositions" => R::Positions,
            "current_all_open_orders" | "get_open_orders" | "GetOpenOrders" => R::OpenOrders,
            "current_all_algo_open_orders" | "GetOpenConditionalOrders" => R::OpenAlgoOrders,
            "query_order" | "get_order" | "GetOrder" | "query_current_open_order" | "GetOpenOrder" => {
                R::Order
            }
            "account_trade_list" | "my_trades" | "GetUserTrades" => R::Trades,
            "new_order" | "new_algo_order" | "PlaceOrder" | "PlaceConditionalOrder" => R::Rest(New, 200),
            "cancel_order" | "delete_order" | "cancel_algo_order" => R::Rest(Cancel, 200),
            "CancelOrder" | "CancelConditionalOrder" => R::Rest(Cancel, 200),
            "modify_order" | "EditOrder" | "AmendOrder" | "ReplaceOrder" => R::Rest(Replace, 200),
            "order_cancel_replace" | "order_amend_keep_priority" => R::Rest(Replace, 200),
            _ => return None,
        }
    };
    Some((product, reader))
}

/// The examples of the spot documents, by document and number.
fn of_the_documents(stem: &str) -> Option<Reader> {
    use Reader as R;
    use RequestKind::{Cancel, New, Replace};
    let mut parts = stem.splitn(3, "__");
    let (document, number) = (parts.next()?, parts.next()?.parse::<u32>().ok()?);
    Some(match (document, number) {
        ("errors", 1) | ("rest-api", 1) => R::Rest(New, 400),
        ("rest-api", 3) => R::Time,
        ("rest-api", 4) => R::ExchangeInfo,
        ("rest-api", 6) => R::Depth,
        ("rest-api", 36..=38) => R::Rest(New, 200),
        ("rest-api", 41) => R::Rest(Cancel, 200),
        ("rest-api", 43) => R::Rest(Cancel, 400),
        ("rest-api", 45 | 48) => R::Rest(Replace, 400),
        ("rest-api", 46 | 47 | 50) => R::Rest(Replace, 409),
        ("rest-api", 49) => R::Rest(Replace, 429),
        ("rest-api", 51 | 52) => R::Rest(Replace, 200),
        ("rest-api", 63) => R::Account,
        ("rest-api", 64) => R::Order,
        ("rest-api", 65) => R::OpenOrders,
        ("rest-api", 70) => R::Trades,
        ("user-data-stream", _) => R::Private,
        ("web-socket-api", 2..=3 | 6 | 8 | 10..=13) => R::Answer(New),
        ("web-socket-api", 5 | 158 | 164) => R::Private,
        ("web-socket-api", 80) => R::Logon,
        ("web-socket-api", 86..=88) => R::Answer(New),
        ("web-socket-api", 93) => R::Answer(Cancel),
        ("web-socket-api", 95 | 96) => R::Rest(Cancel, 400),
        ("web-socket-api", 98..=104 | 106..=107) => R::Answer(Replace),
        ("web-socket-streams", 1 | 2 | 4 | 6 | 14 | 15 | 24 | 27) => R::Market,
        _ => return None,
    })
}

/// The JSON of a payload file: most are bare, the `jkorf` ones carry a protocol around it.
fn payload(text: &str) -> Option<String> {
    let body = match text.find("\n=") {
        Some(at) => &text[at + 2..],
        None if text.starts_with(['{', '[']) => text,
        None => &text[text.find(['{', '['])?..],
    };
    Some(body.replace("\"|1|\"", "\"1\"").replace("|1|", "1").trim().to_string())
}

/// Everything of the folder that is for one of our readers, sorted.
fn files() -> Vec<(String, Product, Reader, String)> {
    let Some(root) = data("binance_json") else { return Vec::new() };
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            let Some((product, reader)) = reader_of(&name) else { continue };
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            if let Some(text) = payload(&text) {
                found.push((name, product, reader, text));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Every symbol and asset that the payload names, on the finest grid.
fn directory_of(json: &Value, product: Product) -> Directory {
    let mut directory = Directory::new(VenueId(0), product);
    let (mut symbols, mut assets) = (Vec::new(), Vec::new());
    names(json, &mut symbols, &mut assets);
    for asset in assets {
        let _ = directory.intern_asset(&asset);
    }
    for symbol in symbols {
        let id = InstrumentId(directory.listings().len() as u16);
        let _ = directory.list(id, &symbol, definition("0.00000001", "0.00000001", product));
    }
    directory
}

fn names(json: &Value, symbols: &mut Vec<String>, assets: &mut Vec<String>) {
    match json {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value.as_str()) {
                    ("s" | "symbol", Some(text)) => symbols.push(text.to_string()),
                    ("a" | "asset" | "N" | "commissionAsset", Some(text))
                        if text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
                            && text.parse::<u64>().is_err() =>
                    {
                        assets.push(text.to_string());
                    }
                    _ => names(value, symbols, assets),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, symbols, assets)),
        _ => {}
    }
}

/// What a payload means, in one line; an error where it is refused.
fn meaning(
    product: Product,
    reader: Reader,
    directory: &Arc<Directory>,
    text: &[u8],
) -> Result<String, String> {
    let now = Nanos::from_secs(1);
    let ask = Ask { request: 1, as_of: now, now };
    let mut events: Vec<Event> = Vec::new();
    let mut hydrator = Hydrator::default();
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let empty = AccountBodies { account: b"[]", positions: None, open_orders: b"[]", open_algo_orders: None };
    let mut bracket = |bodies: AccountBodies<'_>| {
        hydrator.account_snapshot(directory, ask, bodies, &mut events).map_err(|e| told(&e))?;
        Ok(events.iter().filter_map(|event| says(directory, event)).collect::<Vec<_>>().join("; "))
    };
    match reader {
        Reader::Market => market(directory, text),
        Reader::Private => {
            let credentials = Arc::new(Credentials::new("k", Signer::from_key_text("s").unwrap()).unwrap());
            let mut stream = PrivateStream::of_product(directory.clone(), 0, credentials, None);
            // The id of the publisher's subscription is another's: ours has an id of its own.
            let text = match serde_json::from_slice::<Value>(text) {
                Ok(mut json) if json["id"].is_string() => {
                    json["id"] = "private".into();
                    text_of(&json)
                }
                _ => String::from_utf8_lossy(text).into_owned(),
            };
            let message =
                stream.on_message(text.as_bytes(), now, || now, &mut events).map_err(|e| told(&e))?;
            let said: Vec<_> = events.iter().filter_map(|event| says(directory, event)).collect();
            Ok(if said.is_empty() { format!("{message:?}, nothing told") } else { said.join("; ") })
        }
        Reader::Answer(kind) => answer(product, kind, directory, text),
        Reader::Logon => logon(directory, text),
        Reader::Rest(kind, status) => {
            let mut entry = entry(directory, "s");
            let event = entry.rest_outcome(&dispatch(kind), status, text, now);
            match event.body {
                Body::Outcome(o) if o.verdict == Verdict::Unknown && status == 200 => {
                    Err("unreadable".into())
                }
                _ => says(directory, &event).ok_or_else(|| "nothing".into()),
            }
        }
        Reader::ExchangeInfo => exchange_info(&mut hydrator, product, text),
        Reader::Time => {
            hydrator.server_time(text).map(|t| format!("{} ms", t.as_millis())).map_err(|e| told(&e))
        }
        Reader::ListenKey => {
            hydrator.listen_key(text).map(|key| format!("key of {} letters", key.len())).map_err(|e| told(&e))
        }
        Reader::Depth => depth_snapshot(directory, text),
        Reader::Account => bracket(AccountBodies { account: text, ..empty }),
        Reader::Positions => bracket(AccountBodies { positions: Some(text), ..empty }),
        Reader::OpenOrders => bracket(AccountBodies { open_orders: text, ..empty }),
        Reader::OpenAlgoOrders => bracket(AccountBodies { open_algo_orders: Some(text), ..empty }),
        Reader::Order => {
            let id = ClientOrderId::from_text(b"abc");
            hydrator
                .order_snapshot(directory, InstrumentId(0), id, ask, text, &mut events)
                .map_err(|e| told(&e))?;
            Ok(events.iter().filter_map(|event| says(directory, event)).collect::<Vec<_>>().join("; "))
        }
        Reader::Trades => {
            hydrator.trade_reports(directory, now, text, &mut events).map_err(|e| told(&e))?;
            Ok(events.iter().filter_map(|event| says(directory, event)).collect::<Vec<_>>().join("; "))
        }
    }
}

fn market(directory: &Directory, text: &[u8]) -> Result<String, String> {
    let (mut row, mut levels) = (0, Levels::new());
    let read = JsonReader::with_capacity(4096).read(text, |json| {
        // Streams of all symbols come as lists: each entry is a message.
        let messages: Vec<_> = if json.is_list() { json.items("list")?.collect() } else { vec![json] };
        let mut said = Vec::new();
        for message in messages {
            let incoming =
                parse::incoming(message, directory, &mut row, &mut levels).map_err(|bad| bad.error)?;
            said.push(match incoming {
                Incoming::Market(message) => body(directory, message.row, &message.body, &levels),
                other => format!("{other:?}"),
            });
        }
        Ok(said.join("; "))
    });
    let said = read.map_err(|error| error.to_string())?;
    // What the scanner takes, it must mean likewise.
    let (mut scan_row, mut scanned) = (0, Levels::new());
    if let Ok(message) = scan::scan(text, directory, &mut scan_row, &mut scanned) {
        assert_eq!(body(directory, message.row, &message.body, &scanned), said);
    }
    Ok(said)
}

fn body(directory: &Directory, row: usize, body: &MarketBody, levels: &[Level]) -> String {
    let listing = &directory.listings()[row];
    let (grid, symbol) = (&listing.definition, listing.symbol());
    let level = |l: &Level| format!("{} x {}", price(grid, l.price), quantity(grid, l.quantity));
    match body {
        MarketBody::BookTicker(t) => {
            format!("book ticker {symbol} at {}: bid {}, ask {}", t.update_id, level(&t.bid), level(&t.ask))
        }
        MarketBody::Depth(d) => format!(
            "depth {symbol} {}..{} after {}: {} bids, {} asks, first {}",
            d.first_update,
            d.last_update,
            d.previous_update,
            d.bids,
            levels.len() - d.bids,
            levels.first().map_or_else(|| "none".into(), level),
        ),
        MarketBody::Trade(t) => format!(
            "trade {symbol} {}: {} x {}, taken by a {}",
            t.trade_id,
            price(grid, t.price),
            quantity(grid, t.quantity),
            t.aggressor
        ),
        MarketBody::MarkPrice(m) => {
            format!(
                "mark price {symbol}: {} index {} funding {}",
                cash(m.mark),
                cash(m.index),
                cash(m.funding_rate)
            )
        }
    }
}

fn depth_snapshot(directory: &Directory, text: &[u8]) -> Result<String, String> {
    let grid = definition("0.00000001", "0.00000001", directory.product());
    let mut levels = Levels::new();
    let read =
        JsonReader::with_capacity(64).read(text, |json| parse::depth_snapshot(json, &grid, &mut levels));
    let snapshot = read.map_err(|error| error.to_string())?;
    let level = |l: &Level| format!("{} x {}", price(&grid, l.price), quantity(&grid, l.quantity));
    let side = |levels: &[Level]| levels.first().map_or_else(|| "none".into(), level);
    let (bids, asks) = levels.split_at(snapshot.bids);
    Ok(format!(
        "book as of {}: {} bids from {}, {} asks from {}",
        snapshot.last_update,
        bids.len(),
        side(bids),
        asks.len(),
        side(asks)
    ))
}

fn exchange_info(hydrator: &mut Hydrator, product: Product, text: &[u8]) -> Result<String, String> {
    let json: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let listed = json["symbols"].as_array().cloned().unwrap_or_default();
    let symbols: Vec<_> = listed.iter().filter_map(|entry| entry["symbol"].as_str()).collect();
    let numbered: Vec<_> =
        symbols.iter().enumerate().map(|(at, name)| (InstrumentId(at as u16), *name)).collect();
    let directory =
        hydrator.directory(VenueId(0), product, &numbered, text).map_err(|error| error.to_string())?;
    let limits = hydrator.rate_limits(text).map(|limits| limits.len());
    let mut said =
        limits.map_or_else(|_| "no rate limits".to_string(), |limits| format!("{limits} rate limits"));
    for listing in directory.listings().iter().take(2) {
        let grid = &listing.definition;
        let step =
            |step: &Increment| format!("{}", f64::from(step.mantissa) / 10f64.powi(step.decimals.into()));
        let _ = write!(
            said,
            "; {} tick {} lot {}, prices {} to {}, quantities {} to {} (market {}), notional from {}, percent {}/{}, {}",
            listing.symbol(),
            step(&grid.tick),
            step(&grid.lot),
            price(grid, grid.min_price),
            price(grid, grid.max_price),
            quantity(grid, grid.min_quantity),
            quantity(grid, grid.max_quantity),
            quantity(grid, grid.max_market_quantity),
            cash(grid.min_notional),
            grid.percent_up,
            grid.percent_down,
            grid.status,
        );
    }
    if directory.listings().len() > 2 {
        let _ = write!(said, "; and {} more", directory.listings().len() - 2);
    }
    Ok(said)
}

fn entry(directory: &Arc<Directory>, secret: &str) -> OrderEntry {
    let credentials = Credentials::new("k", Signer::from_key_text(secret).unwrap()).unwrap();
    OrderEntry::new(directory.clone(), Arc::new(credentials), OrderEntryConfig::default())
}

/// The payload's own id is another's: the answer is given to a request of ours.
fn answer(
    product: Product,
    kind: RequestKind,
    directory: &Arc<Directory>,
    text: &[u8],
) -> Result<String, String> {
    let text = String::from_utf8_lossy(text);
    let mut json: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if json.get("id").is_none_or(|id| !id.is_string() && !id.is_number()) {
        return Err("no id".into());
    }
    json["id"] = "1".into();
    let text = text_of(&json);
    // The request needs an instrument of its own, which the payload may not name.
    let listed = if directory.listings().is_empty() {
        Arc::new(crate::venue::directory::tests::directory(product))
    } else {
        directory.clone()
    };
    let mut entry = entry(&listed, "s");
    let mut events: Vec<Event> = Vec::new();
    let now = Nanos::from_secs(1);
    entry.on_open(now, &mut Vec::new(), &mut events);
    entry.encode(&dispatch(kind), now, &mut Vec::new()).unwrap();
    events.clear();
    match entry.on_message(text.as_bytes(), now, || now, &mut events).map_err(|error| error.to_string())? {
        Answer::Request { dispatch: 1 } => {}
        other => return Err(format!("{other:?}")),
    }
    Ok(events.iter().filter_map(|event| says(directory, event)).collect::<Vec<_>>().join("; "))
}

fn logon(directory: &Arc<Directory>, text: &[u8]) -> Result<String, String> {
    let mut json: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if !json["id"].is_string() {
        return Err("no id".into());
    }
    json["id"] = "logon".into();
    let credentials = Credentials::new("k", super::sign::tests::ed25519().0).unwrap();
    let mut entry = OrderEntry::new(directory.clone(), Arc::new(credentials), OrderEntryConfig::default());
    let mut events: Vec<Event> = Vec::new();
    assert!(entry.on_open(Nanos::ZERO, &mut Vec::new(), &mut events));
    let read = entry.on_message(text_of(&json).as_bytes(), Nanos::ZERO, || Nanos::ZERO, &mut events);
    match read.map_err(|error| error.to_string())? {
        Answer::LoggedOn => Ok("logged on".into()),
        other => Err(format!("{other:?}")),
    }
}

fn text_of(json: &Value) -> String {
    serde_json::to_string(json).unwrap()
}

fn dispatch(request: RequestKind) -> Dispatch {
    Dispatch {
        number: 1,
        cause: 1,
        decided: Nanos::ZERO,
        trigger: Nanos::ZERO,
        client_order_id: ClientOrderId::from_text(b"ours"),
        venue_order_id: VenueOrderId(0),
        price: Price::new(100),
        quantity: Quantity::new(100),
        stop_price: Price::ZERO,
        expires: Nanos::ZERO,
        order: OrderIndex(0),
        instrument: InstrumentId(0),
        key: OrderKey { strategy: StrategyId(0), slot: 0 },
        venue: VenueId(0),
        request,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        side: Side::Buy,
        position_side: PositionSide::Both,
        trigger_by: TriggerBy::LastPrice,
        callback: 0,
        flags: DispatchFlags::default(),
    }
}

/// One event in words; brackets say nothing.
fn says(directory: &Directory, event: &Event) -> Option<String> {
    let listing = directory.of(event.instrument);
    let symbol = listing.map_or("", |listing| listing.symbol());
    let fallback = definition("0.00000001", "0.00000001", directory.product());
    let grid = listing.map_or(&fallback, |listing| &listing.definition);
    let asset = |id| directory.asset_name(id).unwrap_or("-").to_string();
    Some(match event.body {
        Body::Order(report) => order(grid, symbol, &report, &asset(report.fee_asset)),
        Body::Balance(b) => {
            let available = if b.available == i64::MIN { "-".into() } else { cash(b.available) };
            format!(
                "balance {} {} (available {available}, changed {}, {})",
                asset(b.asset),
                cash(b.wallet),
                cash(b.change),
                b.cause
            )
        }
        Body::Position(p) => format!(
            "position {symbol} {} {} at {}, unrealised {}",
            p.side,
            quantity(grid, p.quantity),
            cash(p.entry_price),
            cash(p.unrealised)
        ),
        Body::Outcome(o) => format!(
            "{} {} (code {}, {}), order {}",
            o.request, o.verdict, o.code, o.reason, o.venue_order_id.0
        ),
        Body::RateUsage(r) => format!("bucket {} used {} of {}", r.bucket, r.used, r.limit),
        Body::Link(link) => format!("{} {} ({})", link.link, link.state, link.reason),
        _ => return None,
    })
}

fn order(grid: &InstrumentDefinition, symbol: &str, r: &OrderReport, fee_asset: &str) -> String {
    let id = r.client_order_id.text().map_or_else(|| "(long id)".to_string(), |text| format!("\"{text}\""));
    let mut said = format!(
        "order {symbol} {id} #{} {} {} {} {} @ {}, filled {}: {}, {}",
        r.venue_order_id.0,
        r.side,
        r.kind,
        r.time_in_force,
        quantity(grid, r.quantity),
        price(grid, r.price),
        quantity(grid, r.cumulative_quantity),
        r.execution,
        r.status,
    );
    if r.trade_id != 0 {
        let _ = write!(
            said,
            "; trade {}: {} @ {}, fee {} {fee_asset}",
            r.trade_id,
            quantity(grid, r.last_quantity),
            price(grid, r.last_price),
            cash(r.fee)
        );
    }
    for (bit, name) in [
        (ReportFlags::MAKER, "maker"),
        (ReportFlags::REDUCE_ONLY, "reduce only"),
        (ReportFlags::LONG_SIDE, "long"),
        (ReportFlags::SHORT_SIDE, "short"),
        (ReportFlags::TRADE_ONLY, "trade only"),
        (ReportFlags::FEE_TO_COME, "fee to come"),
        (ReportFlags::CLOSE_POSITION, "closes"),
        (ReportFlags::TRIGGERED, "triggered"),
        (ReportFlags::LIQUIDATION, "liquidation"),
        (ReportFlags::ADL, "adl"),
    ] {
        if r.flags.has(bit) {
            let _ = write!(said, ", {name}");
        }
    }
    said
}

fn price(grid: &InstrumentDefinition, price: Price) -> String {
    plain(&grid.tick, price.raw())
}

fn quantity(grid: &InstrumentDefinition, quantity: Quantity) -> String {
    plain(&grid.lot, quantity.raw())
}

fn cash(value: i64) -> String {
    plain(&Increment { mantissa: 1, decimals: 8, text_decimals: 8 }, value)
}

fn plain(step: &Increment, steps: i64) -> String {
    let mut text = DecimalText::new();
    step.write(steps, &mut text);
    match text.as_str().split_once('.') {
        Some((whole, places)) => match places.trim_end_matches('0') {
            "" => whole.to_string(),
            places => format!("{whole}.{places}"),
        },
        None => text.as_str().to_string(),
    }
}

/// Payloads that their publishers edited beyond the documented shape, and why we refuse them.
#[rustfmt::skip]
const REFUSED: &[(&str, &str)] = &[
    ("jkorf/Endpoints/Spot/ExchangeData/GetExchangeInfo.txt", "Its symbols have no filters."),
    ("official/derivatives_trading_usds_futures/rest_api/market_data_api/exchange_information.json", "Its filters are melted into one."),
    ("official/derivatives_trading_usds_futures/websocket_streams/public_api/diff_book_depth_streams_should_handle_incoming_message.json", "Its levels have a price and no quantity."),
    ("official/derivatives_trading_usds_futures/websocket_streams/public_api/diff_book_depth_streams_should_not_fire_after_unsubscribe.json", "Its levels have a price and no quantity."),
    ("official/spot/rest_api/general_api/exchange_info.json", "Its symbol has one filter of the three that an order needs."),
    ("official/spot/websocket_streams/api/agg_trade_should_handle_incoming_message.json", "Its price and quantity were left out."),
    ("official/spot/websocket_streams/api/agg_trade_should_not_fire_after_unsubscribe.json", "Its price and quantity were left out."),
    ("official/spot/websocket_streams/api/trade_should_handle_incoming_message.json", "Its price and quantity were left out."),
    ("official/spot/websocket_streams/api/trade_should_not_fire_after_unsubscribe.json", "Its price and quantity were left out."),
    ("spot_docs/rest-api__004__exchange_information.json", "Its symbols have no filters."),
];

#[test]
fn every_published_payload_means_what_the_page_says() {
    let files = files();
    if files.is_empty() {
        return;
    }
    let mut page = String::from(
        "# Binance: what published payloads mean to us\n\n\
         <!-- Printed by src/venue/binance/payloads.rs: UPDATE_DOCS=1 cargo test --lib binance::payloads -->\n\n\
         Every payload of an endpoint or a stream that we use, of those that the exchange and others published (see the brief's data), read by the \
         code that reads it in production. The meaning is what the core would hear; numbers are exact. Each file is also damaged (cut off, a field taken away or of \
         another type, a number beyond every range, nested too deep), and no damage panics.\n\n\
         | file | reader | meaning |\n|---|---|---|\n",
    );
    let mut refused = Vec::new();
    for (name, product, reader, text) in &files {
        let json: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let directory = Arc::new(directory_of(&json, *product));
        let said = match meaning(*product, *reader, &directory, text.as_bytes()) {
            Ok(said) => said,
            Err(error) => {
                refused.push(name.clone());
                let why = REFUSED.iter().find(|(file, _)| file == name).map_or("", |(_, why)| why);
                format!("refused: {error}. {why}")
            }
        };
        let shown: String = if said.chars().count() > 400 {
            said.chars().take(400).chain(" ...".chars()).collect()
        } else {
            said
        };
        let _ = writeln!(page, "| {name} | {reader:?} | {} |", shown.replace('|', "\\|"));
    }
    let _ = writeln!(page, "\n{} files, {} of them refused.", files.len(), refused.len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/venues/binance-payloads.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(files.len() >= 150, "only {}", files.len());
    let expected: Vec<_> = REFUSED.iter().map(|(file, _)| file.to_string()).collect();
    assert_eq!(refused, expected);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/venues/binance-payloads.md is stale: UPDATE_DOCS=1 cargo test --lib binance::payloads"
    );
}

/// The ways in which a copy is damaged.
const DAMAGES: [&str; 5] = ["cut off", "another type", "a field missing", "a huge number", "nested too deep"];

#[test]
fn damage_to_a_published_payload_is_refused_and_never_panics() {
    let mut accepted = Vec::new();
    for (name, product, reader, text) in files() {
        // One that is refused as it stands may be refused for the same reason when it is damaged: of it only that nothing panics is asked.
        let as_it_stands = REFUSED.iter().any(|(file, _)| *file == name);
        let json: Value = serde_json::from_str(&text).unwrap();
        let directory = Arc::new(directory_of(&json, product));
        let read = |text: &str| meaning(product, reader, &directory, text.as_bytes());
        let whole = if as_it_stands { String::new() } else { read(&text).unwrap() };
        // What is not read in a message that we ignore, or in a refusal, may be anything.
        let ignored = as_it_stands
            || whole.contains("nothing told")
            || whole == "Other"
            || whole.starts_with("Ack")
            || matches!(reader, Reader::Rest(_, 400..) | Reader::Logon);
        let mut refused = [0usize; 5];
        let step = (text.len() / 48).max(1);
        for at in (0..text.len()).step_by(step).filter(|at| text.is_char_boundary(*at)) {
            let cut = read(&text[..at]);
            // Over REST the status alone decides about a body that cannot be read.
            assert!(
                cut.is_err() || as_it_stands || matches!(reader, Reader::Rest(_, 400..)),
                "{name} cut at {at}: {cut:?}"
            );
            refused[0] += 1;
        }
        let mut places = Vec::new();
        walk(&json, &mut Vec::new(), &mut places);
        // The large ones are damaged in fewer places, spread over the whole.
        let most = (1_000_000 / text.len()).clamp(8, 400);
        let stride = places.len().div_ceil(most).max(1);
        for place in places.iter().step_by(stride) {
            let value = at(&json, place);
            let other_type = match value {
                Value::String(_) => Value::from(17),
                Value::Number(_) => Value::from("seventeen"),
                Value::Bool(_) => Value::from("perhaps"),
                Value::Array(_) => Value::from("no list"),
                Value::Object(_) | Value::Null => Value::from(17),
            };
            refused[1] += usize::from(read(&text_of(&with(&json, place, Some(other_type)))).is_err());
            refused[2] += usize::from(read(&text_of(&with(&json, place, None))).is_err());
            let huge = match value {
                Value::String(_) => Value::from("9".repeat(60)),
                _ => serde_json::from_str(&"9".repeat(60)).unwrap(),
            };
            refused[3] += usize::from(read(&text_of(&with(&json, place, Some(huge)))).is_err());
            let deep: Value = (0..100).fold(Value::Null, |inner, _| Value::from(vec![inner]));
            let nested = read(&text_of(&with(&json, place, Some(deep))));
            assert!(
                nested.is_err() || as_it_stands || matches!(reader, Reader::Rest(_, 400..)),
                "{name} nested at {place:?}"
            );
            refused[4] += 1;
        }
        for (count, damage) in refused.iter().zip(DAMAGES) {
            if *count == 0 && !ignored && !needs_nothing(reader, &whole, damage) {
                accepted.push(format!("{name}: {damage}"));
            }
        }
    }
    assert!(accepted.is_empty(), "never refused: {accepted:#?}");
}

/// Where so little is read that this damage can do no harm.
fn needs_nothing(reader: Reader, whole: &str, damage: &str) -> bool {
    match reader {
        // That the venue took a request is all that its answer proves; of the order in it nothing is needed but its number.
        Reader::Rest(..) => damage == "a field missing" || whole.ends_with("order 0"),
        // Sixty digits are a key like any other.
        Reader::ListenKey => damage == "a huge number",
        // That a stream is up or has ended: its kind says all.
        Reader::Private => {
            whole.starts_with("private ") && matches!(damage, "a field missing" | "a huge number")
        }
        _ => false,
    }
}

/// Every place of a value, as the keys and indices that lead to it.
fn walk(json: &Value, here: &mut Vec<Step>, places: &mut Vec<Vec<Step>>) {
    let mut into = |step: Step, inner: &Value| {
        here.push(step);
        places.push(here.clone());
        walk(inner, here, places);
        here.pop();
    };
    match json {
        Value::Object(fields) => fields.iter().for_each(|(key, inner)| into(Step::Key(key.clone()), inner)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, inner)| into(Step::Index(at), inner)),
        _ => {}
    }
}

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

fn at<'v>(json: &'v Value, place: &[Step]) -> &'v Value {
    place.iter().fold(json, |value, step| match step {
        Step::Key(key) => &value[key],
        Step::Index(at) => &value[at],
    })
}

/// A copy with another value at that place, or without it.
fn with(json: &Value, place: &[Step], value: Option<Value>) -> Value {
    let mut copy = json.clone();
    let Some((last, way)) = place.split_last() else { return copy };
    let parent = way.iter().fold(&mut copy, |value, step| match step {
        Step::Key(key) => &mut value[key],
        Step::Index(at) => &mut value[at],
    });
    match (parent, last, value) {
        (Value::Object(fields), Step::Key(key), Some(value)) => drop(fields.insert(key.clone(), value)),
        (Value::Object(fields), Step::Key(key), None) => drop(fields.remove(key)),
        (Value::Array(items), Step::Index(at), Some(value)) => items[*at] = value,
        (Value::Array(items), Step::Index(at), None) => drop(items.remove(*at)),
        _ => {}
    }
    copy
}
