//! Reading state back: the REST requests of a trust boundary, and what their bodies say. Cold.
//!
//! A hydration is a bracket in the event stream: `Hydration Begin`, the reports with their hydrated mark, `Hydration End`.
//! Bodies are read whole before the first event leaves, so a bad body gives `Hydration Failed` and no half-read state.
//!
//! ```text
//! boot      exchange_info -> directory(..)                   time -> server_time(..)
//! account   account, position_risk, open_orders, open_algo_orders            scope Account
//! order     query_order, else query_algo_order; then trades_of               scope Order; NotFound where the venue knows none
//! trades    user_trades -> trade_reports(..)                                 evidence of fills, not of open orders
//! stream    listen_key(POST | PUT | DELETE) -> listen_key(..)
//! book      depth -> `MarketFeed::on_snapshot`
//! ```
//! `Conversation` asks what one question of the core needs, request by request; this file reads bodies, `requests` makes requests,
//! `definitions` reads instruments.

mod conversation;
mod definitions;
mod polled;
mod requests;

pub use conversation::{Conversation, Unaskable};
pub use requests::{API_KEY_HEADER, Method, Requests, RestRequest, Security, TradesFrom};

use self::conversation::Found;
use self::definitions::add_listing;
use super::json::{Json, JsonError, JsonReader};
use super::reports::{position_flags, price, quantity};
use super::wire;
use super::{spot, usdm};
use crate::core::event::{
    BalanceCause, BalanceReport, Body, Event, Execution, Hydration, HydrationPhase, HydrationScope,
    OrderKind, OrderReport, PositionReport, PositionSide, RateUsage, ReportFlags, Side, Source, TimeInForce,
    VenueStatus,
};
use crate::core::id::{AssetId, ClientOrderId, InstrumentId, VenueId, VenueOrderId};
use crate::core::instrument::Product;
use crate::core::limits::PositionMode;
use crate::core::num::{CASH_DECIMALS, Price, Quantity};
use crate::core::time::Nanos;
use crate::venue::{Directory, DirectoryError, EventSink, Listing};

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
    /// Conditional orders that wait: USD-M only.
    pub open_algo_orders: Option<&'a [u8]>,
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
        self.list(Directory::new(venue, product), symbols, body)
    }

    /// The same into a directory that knows assets already.
    pub fn list(
        &mut self,
        mut directory: Directory,
        symbols: &[(InstrumentId, &str)],
        body: &[u8],
    ) -> Result<Directory, HydrateError> {
        let product = directory.product();
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

    /// The answer to a renewal of a listen key: taken, or refused.
    pub fn renewed(&mut self, body: &[u8]) -> Result<(), HydrateError> {
        self.read("listenKey", body, |_| Ok(()))
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

    /// What leverage the account has at the venue, by symbol.
    pub fn leverages(&mut self, body: &[u8]) -> Result<Vec<(String, u64)>, HydrateError> {
        self.read("symbolConfig", body, |json| {
            let rows = json.items("symbols")?;
            rows.map(|row| Ok((row.text("symbol")?.to_owned(), row.uint("leverage")?))).collect()
        })
    }

    /// Positions as the private stream would tell them, though nothing was in doubt: outside of any bracket, by their own stamps. The
    /// venue leaves out a symbol without a position or an order (USD-M "Position Information V3"): that is empty as of `asked`, its time
    /// before the question.
    pub fn positions(
        &mut self,
        directory: &Directory,
        now: Nanos,
        asked: Nanos,
        mode: PositionMode,
        body: &[u8],
        out: &mut Vec<Event>,
    ) -> Result<(), HydrateError> {
        let before = out.len();
        self.position_reports(directory, now, body, false, out)?;
        let named: Vec<InstrumentId> = out.iter().skip(before).map(|event| event.instrument).collect();
        let sides: &[PositionSide] = match mode {
            PositionMode::OneWay => &[PositionSide::Both],
            PositionMode::Hedge => &[PositionSide::Long, PositionSide::Short],
        };
        for listing in directory.listings().iter().filter(|listing| !named.contains(&listing.id)) {
            for side in sides {
                let (quantity, side) = (Quantity::ZERO, *side);
                let report =
                    PositionReport { quantity, entry_price: 0, unrealised: 0, side, hydrated: false };
                out.push(report_event(directory.venue(), listing.id, now, asked, Body::Position(report)));
            }
        }
        Ok(())
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
        open_algo_orders: Option<&[u8]>,
        out: &mut O,
    ) -> Result<Skipped, HydrateError> {
        let scope = HydrationScope::Instrument;
        let bracket = Bracket { venue: directory.venue(), scope, ask, order: ClientOrderId::NONE };
        let (mut events, mut skipped) = (Vec::new(), Skipped::default());
        let read = self
            .order_reports(directory, ask, open_orders, &mut events, &mut skipped)
            .and_then(|()| self.algo_reports(directory, ask, open_algo_orders, &mut events, &mut skipped));
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
        let read = match self.one_order(directory, body) {
            Ok(None) => {
                out.event(bracket.event(HydrationPhase::NotFound, instrument));
                return Ok(());
            }
            Ok(Some((report, listed, time))) => {
                Ok(vec![report_event(directory.venue(), listed, ask.now, time, Body::Order(report))])
            }
            Err(error) => Err(error),
        };
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
        let events = self.trades(directory, ClientOrderId::NONE, now, body)?;
        let last = events.iter().map(|(id, _)| *id).max();
        events.into_iter().for_each(|(_, event)| out.event(event));
        Ok(last)
    }

    /// The rows of userTrades or myTrades, as trades of the order `ours` where that is known: a row has the venue's number alone.
    fn trades(
        &mut self,
        directory: &Directory,
        ours: ClientOrderId,
        now: Nanos,
        body: &[u8],
    ) -> Result<Vec<(u64, Event)>, HydrateError> {
        self.read("userTrades", body, |json| {
            let mut events = Vec::new();
            for row in json.items("trades")? {
                let Some(listing) = directory.find(row.text("symbol")?.as_bytes()) else { continue };
                let grid = &listing.definition;
                let buyer = match row.field("side") {
                    Some(_) => row.text("side")? == "BUY",
                    None => row.flag("isBuyer")?,
                };
                let maker = if row.has("maker") { row.flag("maker")? } else { row.flag("isMaker")? };
                let flags = position_flags("positionSide", row.text_or_empty("positionSide")?)?
                    .with(ReportFlags::MAKER, maker)
                    .with(ReportFlags::HYDRATED | ReportFlags::TRADE_ONLY, true);
                let asset = directory.asset(row.text("commissionAsset")?.as_bytes());
                let report = OrderReport {
                    client_order_id: ours,
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
                    side: if buyer { Side::Buy } else { Side::Sell },
                    flags,
                };
                let time = Nanos::from_millis(row.uint("time")?);
                let body = Body::Order(report);
                events.push((report.trade_id, report_event(directory.venue(), listing.id, now, time, body)));
            }
            Ok(events)
        })
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
            skipped.positions = self.position_reports(directory, ask.now, body, true, events)?;
        }
        self.order_reports(directory, ask, bodies.open_orders, events, skipped)?;
        self.algo_reports(directory, ask, bodies.open_algo_orders, events, skipped)
    }

    /// The rows of positionRisk; how many are of no instrument of ours.
    fn position_reports(
        &mut self,
        directory: &Directory,
        now: Nanos,
        body: &[u8],
        hydrated: bool,
        events: &mut Vec<Event>,
    ) -> Result<u32, HydrateError> {
        self.read("positionRisk", body, |json| {
            let mut skipped = 0;
            for row in json.items("positions")? {
                let Some(listing) = directory.find(row.text("symbol")?.as_bytes()) else {
                    skipped += 1;
                    continue;
                };
                let report = PositionReport {
                    quantity: quantity(row, "positionAmt", &listing.definition)?,
                    entry_price: row.decimal_towards_zero("entryPrice", 8)?,
                    unrealised: row.decimal_towards_zero("unRealizedProfit", CASH_DECIMALS)?,
                    side: wire::position_side(row.text("positionSide")?)
                        .ok_or(JsonError::Unknown { field: "positionSide" })?,
                    hydrated,
                };
                let time = Nanos::from_millis(row.uint_or("updateTime", 0)?);
                events.push(report_event(directory.venue(), listing.id, now, time, Body::Position(report)));
            }
            Ok(skipped)
        })
    }

    /// Conditional orders that wait. One that has triggered meanwhile is told by the order that it became.
    fn algo_reports(
        &mut self,
        directory: &Directory,
        ask: Ask,
        body: Option<&[u8]>,
        events: &mut Vec<Event>,
        skipped: &mut Skipped,
    ) -> Result<(), HydrateError> {
        let Some(body) = body else { return Ok(()) };
        self.read("openAlgoOrders", body, |json| {
            for row in json.items("orders")? {
                let Some(listing) = directory.find(row.text("symbol")?.as_bytes()) else {
                    skipped.orders += 1;
                    continue;
                };
                let (report, _) = usdm::reports::algo_read_back(row, listing)?;
                if let Some((report, time)) = report {
                    let body = Body::Order(report);
                    events.push(report_event(directory.venue(), listing.id, ask.now, time, body));
                }
            }
            Ok(())
        })
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

/// The account of a session that has none: empty, and as such read back whole.
pub fn no_account(directory: &Directory, ask: Ask) -> [Event; 2] {
    let order = ClientOrderId::NONE;
    let bracket = Bracket { venue: directory.venue(), scope: HydrationScope::Account, ask, order };
    [HydrationPhase::Begin, HydrationPhase::End].map(|phase| bracket.event(phase, InstrumentId::NONE))
}

/// Whether a body is the refusal of a request whose timestamp lay outside of the venue's window. (USD-M and Spot "Error Codes", -1021.)
pub fn is_refused_for_time(body: &[u8]) -> bool {
    const CODE: &[u8] = b"-1021";
    // A refusal is short; a long body is data.
    body.len() < 512 && body.windows(CODE.len()).any(|window| window == CODE)
}

/// An order as this product's REST answers it.
fn order_read_back(order: Json<'_, '_>, listing: &Listing) -> Result<(OrderReport, Nanos), JsonError> {
    match listing.definition.product {
        Product::LinearPerpetual => usdm::reports::order_read_back(order, listing),
        Product::Spot => spot::reports::order_read_back(order, listing),
    }
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

#[cfg(test)]
mod tests;
