//! Reading state back: the REST requests of a trust boundary, and what their bodies say. Cold.
//!
//! A hydration is a bracket in the event stream: `Hydration Begin`, the reports with their hydrated mark, `Hydration End`.
//! Bodies are read whole before the first event leaves, so a bad body gives `Hydration Failed` and no half-read state.
//!
//! ```text
//! boot      exchange_info -> directory(..)                   time -> server_time(..)
//! account   account, position_risk, open_orders -> account_snapshot(..)      scope Account
//! order     query_order -> order_snapshot(..)                                scope Order; NotFound where the venue knows none
//! trades    user_trades -> trade_reports(..)                                 evidence of fills, not of open orders
//! stream    listen_key(POST | PUT | DELETE) -> listen_key_of(..)
//! book      depth -> `MarketFeed::on_snapshot`
//! ```

use super::json::{Json, JsonError, JsonReader};
use super::private::{order_read_back, position_flags, price, quantity};
use super::sign::{Credentials, percent_encode};
use super::wire::{self, Dialect};
use crate::core::event::{
    BalanceCause, BalanceReport, Body, Event, Execution, Hydration, HydrationPhase, HydrationScope,
    OrderKind, OrderReport, PositionReport, RateUsage, ReportFlags, Source, TimeInForce, VenueStatus,
};
use crate::core::id::{AssetId, ClientOrderId, InstrumentId, VenueId, VenueOrderId};
use crate::core::instrument::{InstrumentDefinition, InstrumentStatus, Product};
use crate::core::num::{CASH_DECIMALS, Increment, NumberError, Price, Quantity, parse_decimal};
use crate::core::time::Nanos;
use crate::venue::{Directory, DirectoryError, EventSink};

/// A request to make: the caller owns the connection, the key header and the weight's budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestRequest {
    pub method: Method,
    pub path: &'static str,
    /// Percent-encoded, without timestamp and signature.
    query: String,
    pub security: Security,
    /// Request weight that the venue counts.
    pub weight: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Open,
    /// The header X-MBX-APIKEY.
    Key,
    /// The header, a timestamp and a signature.
    Signed,
}

/// The header that carries the key.
pub const API_KEY_HEADER: &str = "X-MBX-APIKEY";

impl RestRequest {
    fn new(method: Method, path: &'static str, security: Security, weight: u16) -> Self {
        Self { method, path, query: String::new(), security, weight }
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(key);
        self.query.push('=');
        percent_encode(value, &mut self.query);
        self
    }

    /// Path and query as they go into the request line; signed where they must be. `venue_millis` is the venue's time.
    pub fn target(
        &self,
        credentials: Option<&Credentials>,
        venue_millis: u64,
        recv_window: Option<u32>,
    ) -> String {
        let mut query = self.query.clone();
        if let (Security::Signed, Some(credentials)) = (self.security, credentials) {
            let mut add = |text: &str| {
                if !query.is_empty() {
                    query.push('&');
                }
                query.push_str(text);
            };
            if let Some(window) = recv_window {
                add(&format!("recvWindow={window}"));
            }
            add(&format!("timestamp={venue_millis}"));
            let signature = credentials.signer().sign(query.as_bytes());
            query.push_str("&signature=");
            percent_encode(signature.as_str(), &mut query);
        }
        if query.is_empty() { self.path.to_string() } else { format!("{}?{query}", self.path) }
    }
}

/// The requests, by product. (USD-M "Market Data", "Account", "Trade", "User Data Streams"; Spot likewise.)
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    dialect: &'static Dialect,
}

impl Requests {
    pub fn of(product: Product) -> Self {
        Self { dialect: Dialect::of(product) }
    }
    fn is_spot(&self) -> bool {
        self.dialect.product == Product::Spot
    }
    pub fn exchange_info(&self) -> RestRequest {
        RestRequest::new(
            Method::Get,
            self.dialect.exchange_info,
            Security::Open,
            if self.is_spot() { 20 } else { 1 },
        )
    }
    pub fn time(&self) -> RestRequest {
        RestRequest::new(Method::Get, self.dialect.time, Security::Open, 1)
    }
    pub fn depth(&self, symbol: &str, limit: u16) -> RestRequest {
        let limit = limit.min(self.dialect.max_depth_limit);
        RestRequest::new(Method::Get, self.dialect.depth, Security::Open, self.dialect.depth_weight(limit))
            .with("symbol", symbol)
            .with("limit", &limit.to_string())
    }
    pub fn account(&self) -> RestRequest {
        RestRequest::new(
            Method::Get,
            self.dialect.account,
            Security::Signed,
            if self.is_spot() { 20 } else { 5 },
        )
    }
    /// `None` on spot.
    pub fn balance(&self) -> Option<RestRequest> {
        self.dialect.balance.map(|path| RestRequest::new(Method::Get, path, Security::Signed, 5))
    }
    /// `None` on spot, which has no position rows.
    pub fn position_risk(&self) -> Option<RestRequest> {
        self.dialect.position_risk.map(|path| RestRequest::new(Method::Get, path, Security::Signed, 5))
    }
    /// Of every symbol: an order that is not in it is not open.
    pub fn open_orders(&self) -> RestRequest {
        let weight = if self.is_spot() { 80 } else { 40 };
        RestRequest::new(Method::Get, self.dialect.open_orders, Security::Signed, weight)
    }
    pub fn open_orders_of(&self, symbol: &str) -> RestRequest {
        let weight = if self.is_spot() { 6 } else { 1 };
        RestRequest::new(Method::Get, self.dialect.open_orders, Security::Signed, weight)
            .with("symbol", symbol)
    }
    /// By our id where it has text, else by the venue's; `None` where it has neither.
    pub fn query_order(
        &self,
        symbol: &str,
        ours: &ClientOrderId,
        venues: VenueOrderId,
    ) -> Option<RestRequest> {
        let weight = if self.is_spot() { 4 } else { 1 };
        let request = RestRequest::new(Method::Get, self.dialect.order, Security::Signed, weight)
            .with("symbol", symbol);
        match ours.text() {
            Some(text) if !text.is_empty() => Some(request.with("origClientOrderId", text)),
            _ if venues.0 != 0 => Some(request.with("orderId", &venues.0.to_string())),
            _ => None,
        }
    }
    /// Fills of a symbol, from a trade id on or from a time on.
    pub fn user_trades(&self, symbol: &str, from: TradesFrom) -> RestRequest {
        let weight = if self.is_spot() { 20 } else { 5 };
        let request = RestRequest::new(Method::Get, self.dialect.user_trades, Security::Signed, weight);
        let request = request.with("symbol", symbol).with("limit", "1000");
        match from {
            TradesFrom::Id(id) => request.with("fromId", &id.to_string()),
            TradesFrom::Time(time) => request.with("startTime", &time.as_millis().to_string()),
        }
    }
    /// POST makes or prolongs one, PUT keeps it alive (60 minutes), DELETE ends it. `None` on spot.
    pub fn listen_key(&self, method: Method) -> Option<RestRequest> {
        self.dialect.listen_key.map(|path| RestRequest::new(method, path, Security::Key, 1))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradesFrom {
    Id(u64),
    Time(Nanos),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HydrateError {
    #[error("{what}: {error}")]
    Body { what: &'static str, error: JsonError },
    /// The venue answered with an error of its own.
    #[error("{what}: the venue says {code}: {message}")]
    Venue { what: &'static str, code: i64, message: String },
    #[error("the venue does not list {0:?}")]
    NotListed(String),
    #[error("{symbol}: {error}")]
    Definition { symbol: String, error: JsonError },
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Which hydration the events belong to.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The number that the core gave it.
    pub request: u64,
    /// The venue's time before the first of its requests left: events not later than this are included.
    pub as_of: Nanos,
    pub now: Nanos,
}

/// The bodies of one account hydration. Spot has no positions.
#[derive(Clone, Copy, Debug)]
pub struct AccountBodies<'a> {
    pub account: &'a [u8],
    pub positions: Option<&'a [u8]>,
    pub open_orders: &'a [u8],
}

pub struct Hydrator {
    reader: JsonReader,
}

impl Default for Hydrator {
    fn default() -> Self {
        Self { reader: JsonReader::with_capacity(256 * 1024) }
    }
}

impl Hydrator {
    /// From exchangeInfo: the directory of the configured symbols, in that order, with every asset that may be met.
    pub fn directory(
        &mut self,
        venue: VenueId,
        product: Product,
        symbols: &[(InstrumentId, &str)],
        body: &[u8],
    ) -> Result<Directory, HydrateError> {
        let mut directory = Directory::new(venue, product);
        let mut failed = None;
        self.read("exchangeInfo", body, |json| {
            let listed: Vec<_> = json.list("symbols")?.collect();
            // Definitions first: they name the assets of the configuration before any other.
            for (id, symbol) in symbols {
                let entry =
                    listed.iter().find(|entry| entry.text("symbol").is_ok_and(|text| text == *symbol));
                let added = match entry {
                    None => Err(HydrateError::NotListed(symbol.to_string())),
                    Some(entry) => add_listing(&mut directory, *id, symbol, *entry, product),
                };
                if let Err(error) = added {
                    failed = Some(error);
                    return Ok(());
                }
            }
            let mut names = vec!["BNB"];
            if json.field("assets").is_some() {
                for asset in json.list("assets")? {
                    names.push(asset.text("asset")?);
                }
            }
            for name in names {
                if let Err(error) = directory.intern_asset(name) {
                    failed = Some(error.into());
                    return Ok(());
                }
            }
            Ok(())
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(directory),
        }
    }

    /// The limits that exchangeInfo states, as usage of nothing.
    pub fn rate_limits(&mut self, body: &[u8]) -> Result<Vec<RateUsage>, HydrateError> {
        self.read("exchangeInfo", body, |json| {
            let mut limits = Vec::new();
            for limit in json.list("rateLimits")? {
                let (kind, interval) = (limit.text("rateLimitType")?, limit.text("interval")?);
                if let Some(bucket) = wire::bucket::of(kind, interval, limit.uint("intervalNum")?) {
                    let limit = u32::try_from(limit.uint("limit")?).unwrap_or(u32::MAX);
                    limits.push(RateUsage { bucket, used: 0, limit, retry_at: Nanos::ZERO });
                }
            }
            Ok(limits)
        })
    }

    pub fn server_time(&mut self, body: &[u8]) -> Result<Nanos, HydrateError> {
        self.read("time", body, |json| json.uint("serverTime").map(Nanos::from_millis))
    }

    pub fn listen_key(&mut self, body: &[u8]) -> Result<String, HydrateError> {
        let key = self.read("listenKey", body, |json| json.text("listenKey").map(str::to_string))?;
        let plain = !key.is_empty()
            && key.len() <= 256
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if plain {
            return Ok(key);
        }
        Err(HydrateError::Body { what: "listenKey", error: JsonError::Unknown { field: "listenKey" } })
    }

    /// Every instrument's definition as an event.
    pub fn definitions<O: EventSink>(&self, directory: &Directory, now: Nanos, out: &mut O) {
        for listing in directory.listings() {
            let event = Event::new(now, Source::Requester, Body::Instrument(listing.definition));
            out.event(event.on(directory.venue(), listing.id));
        }
    }

    /// That the body is an account, and not the venue's refusal of the key that asked for it.
    pub fn account_answers(&mut self, body: &[u8]) -> Result<(), HydrateError> {
        self.read("account", body, |json| {
            json.list(if json.has("balances") { "balances" } else { "assets" }).map(|_| ())
        })
    }

    /// The account: balances, positions, open orders, in their bracket.
    pub fn account_snapshot<O: EventSink>(
        &mut self,
        directory: &Directory,
        ask: Ask,
        bodies: AccountBodies<'_>,
        out: &mut O,
    ) -> Result<Skipped, HydrateError> {
        let bracket = Bracket {
            venue: directory.venue(),
            scope: HydrationScope::Account,
            ask,
            order: ClientOrderId::NONE,
        };
        let (mut events, mut skipped) = (Vec::new(), Skipped::default());
        let read = self.account_reports(directory, ask, bodies, &mut events, &mut skipped);
        bracket.close(read.map(|()| events), InstrumentId::NONE, out)?;
        Ok(skipped)
    }

    /// The open orders of one instrument, in a bracket of its own.
    pub fn instrument_snapshot<O: EventSink>(
        &mut self,
        directory: &Directory,
        instrument: InstrumentId,
        ask: Ask,
        open_orders: &[u8],
        out: &mut O,
    ) -> Result<Skipped, HydrateError> {
        let scope = HydrationScope::Instrument;
        let bracket = Bracket { venue: directory.venue(), scope, ask, order: ClientOrderId::NONE };
        let (mut events, mut skipped) = (Vec::new(), Skipped::default());
        let read = self.order_reports(directory, ask, open_orders, &mut events, &mut skipped);
        bracket.close(read.map(|()| events), instrument, out)?;
        Ok(skipped)
    }

    /// One order, asked for by its id. A definite "does not exist" is `NotFound`; anything else that is no order is `Failed`.
    pub fn order_snapshot<O: EventSink>(
        &mut self,
        directory: &Directory,
        instrument: InstrumentId,
        order: ClientOrderId,
        ask: Ask,
        body: &[u8],
        out: &mut O,
    ) -> Result<(), HydrateError> {
        let bracket = Bracket { venue: directory.venue(), scope: HydrationScope::Order, ask, order };
        let read = self.read("order", body, |json| {
            let symbol = json.text("symbol")?;
            let listing = directory.find(symbol.as_bytes()).ok_or(JsonError::Unknown { field: "symbol" })?;
            let (report, time) = order_read_back(json, listing)?;
            Ok(vec![report_event(directory.venue(), listing.id, ask.now, time, Body::Order(report))])
        });
        if let Err(HydrateError::Venue { code, .. }) = &read
            && *code == i64::from(wire::NO_SUCH_ORDER)
        {
            out.event(bracket.event(HydrationPhase::NotFound, instrument));
            return Ok(());
        }
        bracket.close(read, instrument, out)
    }

    /// Fills as trade-only reports, oldest first as the venue gives them; the last trade id, to ask on from.
    pub fn trade_reports<O: EventSink>(
        &mut self,
        directory: &Directory,
        now: Nanos,
        body: &[u8],
        out: &mut O,
    ) -> Result<Option<u64>, HydrateError> {
        let events = self.read("userTrades", body, |json| {
            let mut events = Vec::new();
            for row in json.items("trades")? {
                let Some(listing) = directory.find(row.text("symbol")?.as_bytes()) else { continue };
                let grid = &listing.definition;
                let buyer = match row.field("side") {
                    Some(_) => row.text("side")? == "BUY",
                    None => row.flag("isBuyer")?,
                };
                let maker = if row.has("maker") { row.flag("maker")? } else { row.flag("isMaker")? };
                let flags = position_flags(row.text_or_empty("positionSide")?)
                    .ok_or(JsonError::Unknown { field: "positionSide" })?
                    .with(ReportFlags::MAKER, maker)
                    .with(ReportFlags::HYDRATED | ReportFlags::TRADE_ONLY, true);
                let asset = directory.asset(row.text("commissionAsset")?.as_bytes());
                let report = OrderReport {
                    // The row names the order by the venue's number only.
                    client_order_id: ClientOrderId::NONE,
                    venue_order_id: VenueOrderId(row.uint("orderId")?),
                    price: Price::ZERO,
                    quantity: Quantity::ZERO,
                    cumulative_quantity: Quantity::ZERO,
                    last_quantity: quantity(row, "qty", grid)?,
                    last_price: price(row, "price", grid)?,
                    trade_id: row.uint("id")?,
                    fee: row.decimal("commission", CASH_DECIMALS)?,
                    fee_asset: asset.unwrap_or(AssetId::NONE),
                    execution: Execution::Trade,
                    status: VenueStatus::Other,
                    kind: OrderKind::Other,
                    time_in_force: TimeInForce::GoodTillCancel,
                    side: if buyer { crate::core::event::Side::Buy } else { crate::core::event::Side::Sell },
                    flags,
                };
                let time = Nanos::from_millis(row.uint("time")?);
                events.push((
                    report.trade_id,
                    report_event(directory.venue(), listing.id, now, time, Body::Order(report)),
                ));
            }
            Ok(events)
        })?;
        let last = events.iter().map(|(id, _)| *id).max();
        events.into_iter().for_each(|(_, event)| out.event(event));
        Ok(last)
    }

    fn account_reports(
        &mut self,
        directory: &Directory,
        ask: Ask,
        bodies: AccountBodies<'_>,
        events: &mut Vec<Event>,
        skipped: &mut Skipped,
    ) -> Result<(), HydrateError> {
        let venue = directory.venue();
        self.read("account", bodies.account, |json| {
            // USD-M: `assets` of the account, or the rows of the balance request. Spot: `balances`.
            let (rows, spot): (Vec<_>, bool) = match (json.is_list(), json.has("balances")) {
                (true, _) => (json.items("balance")?.collect(), false),
                (false, true) => (json.list("balances")?.collect(), true),
                (false, false) => (json.list("assets")?.collect(), false),
            };
            for row in rows {
                let Some(asset) = directory.asset(row.text("asset")?.as_bytes()) else {
                    skipped.assets += 1;
                    continue;
                };
                let (wallet, available) = if spot {
                    let free = row.decimal("free", CASH_DECIMALS)?;
                    (free.saturating_add(row.decimal("locked", CASH_DECIMALS)?), free)
                } else if row.has("walletBalance") {
                    (
                        row.decimal("walletBalance", CASH_DECIMALS)?,
                        row.decimal("availableBalance", CASH_DECIMALS)?,
                    )
                } else {
                    (row.decimal("balance", CASH_DECIMALS)?, row.decimal("availableBalance", CASH_DECIMALS)?)
                };
                let cause = BalanceCause::ReadBack;
                let report = BalanceReport { asset, wallet, available, change: 0, cause, hydrated: true };
                let time = Nanos::from_millis(row.uint_or("updateTime", 0)?);
                events.push(report_event(venue, InstrumentId::NONE, ask.now, time, Body::Balance(report)));
            }
            Ok(())
        })?;
        if let Some(body) = bodies.positions {
            self.read("positionRisk", body, |json| {
                for row in json.items("positions")? {
                    let Some(listing) = directory.find(row.text("symbol")?.as_bytes()) else {
                        skipped.positions += 1;
                        continue;
                    };
                    let report = PositionReport {
                        quantity: quantity(row, "positionAmt", &listing.definition)?,
                        entry_price: row.decimal_towards_zero("entryPrice", 8)?,
                        unrealised: row.decimal_towards_zero("unRealizedProfit", CASH_DECIMALS)?,
                        side: wire::position_side(row.text("positionSide")?)
                            .ok_or(JsonError::Unknown { field: "positionSide" })?,
                        hydrated: true,
                    };
                    let time = Nanos::from_millis(row.uint_or("updateTime", 0)?);
                    events.push(report_event(venue, listing.id, ask.now, time, Body::Position(report)));
                }
                Ok(())
            })?;
        }
        self.order_reports(directory, ask, bodies.open_orders, events, skipped)
    }

    fn order_reports(
        &mut self,
        directory: &Directory,
        ask: Ask,
        body: &[u8],
        events: &mut Vec<Event>,
        skipped: &mut Skipped,
    ) -> Result<(), HydrateError> {
        self.read("openOrders", body, |json| {
            for row in json.items("orders")? {
                let Some(listing) = directory.find(row.text("symbol")?.as_bytes()) else {
                    skipped.orders += 1;
                    continue;
                };
                let (report, time) = order_read_back(row, listing)?;
                events.push(report_event(directory.venue(), listing.id, ask.now, time, Body::Order(report)));
            }
            Ok(())
        })
    }

    /// Reads a body; an error body of the venue (`{"code":..,"msg":..}`) is told apart from one that cannot be read.
    fn read<R>(
        &mut self,
        what: &'static str,
        body: &[u8],
        visit: impl FnOnce(Json<'_, '_>) -> Result<R, JsonError>,
    ) -> Result<R, HydrateError> {
        let mut refused = None;
        let read = self.reader.read(body, |json| {
            if json.has("code") && json.has("msg") {
                refused = Some((json.int("code")?, json.text("msg")?.to_string()));
                return Ok(None);
            }
            visit(json).map(Some)
        });
        match (read, refused) {
            (_, Some((code, message))) => Err(HydrateError::Venue { what, code, message }),
            (Ok(Some(value)), None) => Ok(value),
            (Ok(None), None) => Err(HydrateError::Body { what, error: JsonError::NotJson { offset: 0 } }),
            (Err(error), None) => Err(HydrateError::Body { what, error }),
        }
    }
}

/// The hydration could not even be asked for, or brought no body: its scope stays untrusted.
pub fn hydration_failed(
    directory: &Directory,
    scope: HydrationScope,
    instrument: InstrumentId,
    order: ClientOrderId,
    ask: Ask,
) -> Event {
    Bracket { venue: directory.venue(), scope, ask, order }.event(HydrationPhase::Failed, instrument)
}

/// Rows about what is not ours; counted, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    pub assets: u32,
    pub positions: u32,
    pub orders: u32,
}

struct Bracket {
    venue: VenueId,
    scope: HydrationScope,
    ask: Ask,
    order: ClientOrderId,
}

impl Bracket {
    /// All of it, or `Failed`.
    fn close<O: EventSink>(
        &self,
        read: Result<Vec<Event>, HydrateError>,
        instrument: InstrumentId,
        out: &mut O,
    ) -> Result<(), HydrateError> {
        match read {
            Ok(events) => {
                out.event(self.event(HydrationPhase::Begin, instrument));
                events.into_iter().for_each(|event| out.event(event));
                out.event(self.event(HydrationPhase::End, instrument));
                Ok(())
            }
            Err(error) => {
                out.event(self.event(HydrationPhase::Failed, instrument));
                Err(error)
            }
        }
    }

    fn event(&self, phase: HydrationPhase, instrument: InstrumentId) -> Event {
        let hydration = Hydration {
            scope: self.scope,
            phase,
            client_order_id: self.order,
            request: self.ask.request,
            as_of: self.ask.as_of,
        };
        Event::new(self.ask.now, Source::Requester, Body::Hydration(hydration)).on(self.venue, instrument)
    }
}

fn report_event(venue: VenueId, instrument: InstrumentId, now: Nanos, time: Nanos, body: Body) -> Event {
    let mut event = Event::new(now, Source::Requester, body).on(venue, instrument);
    event.event_time = time;
    event
}

fn add_listing(
    directory: &mut Directory,
    id: InstrumentId,
    symbol: &str,
    entry: Json<'_, '_>,
    product: Product,
) -> Result<(), HydrateError> {
    let wrong = |error| HydrateError::Definition { symbol: symbol.to_string(), error };
    let base = directory.intern_asset(entry.text("baseAsset").map_err(wrong)?)?;
    // USD-M profit is in the margin asset, which for linear contracts is the quote.
    let quote = directory.intern_asset(entry.text("quoteAsset").map_err(wrong)?)?;
    let definition = definition(entry, product, base, quote).map_err(wrong)?;
    Ok(directory.list(id, symbol, definition)?)
}

/// One entry of exchangeInfo's `symbols`. (USD-M "Exchange Information" and "Common Definition / Symbol filters";
/// Spot "Filters".)
fn definition(
    entry: Json<'_, '_>,
    product: Product,
    base: AssetId,
    quote: AssetId,
) -> Result<InstrumentDefinition, JsonError> {
    let filters: Vec<_> = entry.list("filters")?.collect();
    let filter = |kind: &str| {
        filters.iter().copied().find(|filter| filter.text("filterType").is_ok_and(|text| text == kind))
    };
    let prices = filter("PRICE_FILTER").ok_or(JsonError::Missing("PRICE_FILTER"))?;
    let lots = filter("LOT_SIZE").ok_or(JsonError::Missing("LOT_SIZE"))?;
    // The venue's own messages print at least as many decimals as the step itself is written with.
    let tick = increment(prices, "tickSize", entry.uint_or("pricePrecision", 0)?)?;
    let lot = increment(lots, "stepSize", entry.uint_or("quantityPrecision", 0)?)?;
    let max_quantity = inner_steps(&lot, lots, "maxQty")?;
    let max_market_quantity = match filter("MARKET_LOT_SIZE") {
        Some(market) => {
            Some(inner_steps(&lot, market, "maxQty")?).filter(|max| *max > 0).unwrap_or(max_quantity)
        }
        None => max_quantity,
    };
    let min_notional = match (filter("MIN_NOTIONAL"), filter("NOTIONAL")) {
        (Some(filter), _) if filter.has("notional") => filter.decimal("notional", CASH_DECIMALS)?,
        (Some(filter), _) => filter.decimal("minNotional", CASH_DECIMALS)?,
        (None, Some(filter)) => filter.decimal("minNotional", CASH_DECIMALS)?,
        (None, None) => 0,
    };
    let (percent_up, percent_down) = match (filter("PERCENT_PRICE"), filter("PERCENT_PRICE_BY_SIDE")) {
        (Some(filter), _) => (percent(filter, "multiplierUp")?, percent(filter, "multiplierDown")?),
        (None, Some(filter)) => (percent(filter, "bidMultiplierUp")?, percent(filter, "askMultiplierDown")?),
        (None, None) => (0, 0),
    };
    let status =
        match entry.field("status").or(entry.field("contractStatus")).and_then(|value| value.as_text()) {
            Some("TRADING") => InstrumentStatus::Trading,
            _ => InstrumentStatus::Halted,
        };
    Ok(InstrumentDefinition {
        min_price: Price::new(outer_steps(&tick, prices, "minPrice")?),
        max_price: Price::new(inner_steps(&tick, prices, "maxPrice")?),
        min_quantity: Quantity::new(outer_steps(&lot, lots, "minQty")?),
        max_quantity: Quantity::new(max_quantity),
        max_market_quantity: Quantity::new(max_market_quantity),
        min_notional,
        percent_up,
        percent_down,
        // Not in exchangeInfo: the account's commission rate says, or the configuration.
        maker_fee_ppm: 0,
        taker_fee_ppm: 0,
        base,
        quote,
        product,
        status,
        tick,
        lot,
    })
}

/// The step, with the decimals that messages print: those of its own text (`0.10` prints two), or the stated precision where
/// the text is shorter.
fn increment(filter: Json<'_, '_>, field: &'static str, precision: u64) -> Result<Increment, JsonError> {
    let text = filter.text(field)?;
    let written = text.split_once('.').map_or(0, |(_, places)| places.len());
    let printed = written.max(usize::try_from(precision).unwrap_or(0).min(18));
    let printed = u8::try_from(printed).unwrap_or(u8::MAX);
    Increment::parse(text.as_bytes(), printed).map_err(|error| JsonError::Number { field, error })
}

/// A lower bound in whole steps, rounded up where it lies between two: never looser than the venue's.
fn outer_steps(step: &Increment, filter: Json<'_, '_>, field: &'static str) -> Result<i64, JsonError> {
    let (whole, rest) = split_steps(step, filter, field)?;
    Ok(if rest { whole.saturating_add(1) } else { whole })
}

/// An upper bound in whole steps, rounded down; one beyond our range is our range.
fn inner_steps(step: &Increment, filter: Json<'_, '_>, field: &'static str) -> Result<i64, JsonError> {
    split_steps(step, filter, field).map(|(whole, _)| whole)
}

fn split_steps(
    step: &Increment,
    filter: Json<'_, '_>,
    field: &'static str,
) -> Result<(i64, bool), JsonError> {
    const FINEST: u8 = 8;
    let text = filter.text(field)?;
    let decimals = step.decimals.max(FINEST);
    let value = match parse_decimal(text.as_bytes(), decimals) {
        Ok(value) => value,
        // Bounds such as 92141578000 at a fine tick exceed the range at eight decimals, not at the tick's own.
        Err(NumberError::TooLarge { .. }) => match step.steps(text.as_bytes()) {
            Ok(steps) => return Ok((steps, false)),
            Err(NumberError::TooLarge { .. }) => return Ok((i64::MAX, false)),
            Err(error) => return Err(JsonError::Number { field, error }),
        },
        Err(error) => return Err(JsonError::Number { field, error }),
    };
    let unit = crate::core::num::pow10(decimals - step.decimals).unwrap_or(i64::MAX);
    let unit = unit.saturating_mul(i64::from(step.mantissa));
    Ok((value / unit, value % unit != 0))
}

/// `1.0500` to 10,500.
fn percent(filter: Json<'_, '_>, field: &'static str) -> Result<u32, JsonError> {
    let value = filter.decimal_towards_zero(field, 4)?;
    u32::try_from(value).map_err(|_| JsonError::Number { field, error: NumberError::TooLarge { offset: 0 } })
}

#[cfg(test)]
#[path = "hydrate_tests.rs"]
mod tests;
