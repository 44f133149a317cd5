//! The account's own stream: order, balance and position reports, exact. This is money: what cannot be read is never let go
//! in silence. It becomes `Link(Private, Down, Protocol)`, so the core distrusts the account and hydrates, and the caller gets the error with the
//! text still in hand for its log.
//!
//! An event's time here is `T`, when the matching engine did it: read-backs say their `updateTime` in the same terms.

use super::json::{Json, JsonError, JsonReader};
use super::wire;
use crate::core::event::{
    BalanceReport, Body, Event, Execution, LinkChange, LinkKind, LinkReason, LinkState, OrderReport,
    PositionReport, PositionSide, ReportFlags, Source, VenueStatus,
};
use crate::core::id::{AssetId, ClientOrderId, InstrumentId, VenueOrderId};
use crate::core::instrument::{InstrumentDefinition, Product};
use crate::core::num::{CASH_DECIMALS, Price, Quantity};
use crate::core::time::Nanos;
use crate::venue::{Directory, EventSink, Listing};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("private message: {0}")]
pub struct PrivateError(#[from] pub JsonError);

/// What a private message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateMessage {
    Order,
    Account,
    TradeLite,
    /// The listen key is no longer valid: get another, dial again.
    KeyExpired,
    /// About an instrument that is not ours: counted, nothing emitted.
    Foreign,
    /// Of a kind that we do not need (margin call, leverage change, an answer): counted.
    Other,
}

/// Counted since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivateCounters {
    pub orders: u64,
    pub accounts: u64,
    pub trades: u64,
    pub foreign: u64,
    pub foreign_assets: u64,
    pub other: u64,
    pub bad: u64,
    /// Texts of enums that we do not know.
    pub unknown_values: u64,
}

pub struct PrivateStream {
    directory: Arc<Directory>,
    reader: JsonReader,
    counters: PrivateCounters,
    /// Events of the message being read: nothing of a message that turns out bad half-way is emitted.
    pending: Vec<Event>,
    connection: u8,
}

impl PrivateStream {
    /// `connection` is the number that its link events carry.
    pub fn new(directory: Arc<Directory>, connection: u8) -> Self {
        Self {
            directory,
            reader: JsonReader::with_capacity(64 * 1024),
            counters: PrivateCounters::default(),
            pending: Vec::with_capacity(MOST_EVENTS),
            connection,
        }
    }

    /// The path to dial. (USD-M "User Data Streams / Connect": today's split path, or the former one.)
    pub fn path(split: bool, listen_key: &str) -> String {
        if split { format!("/private/ws?listenKey={listen_key}") } else { format!("/ws/{listen_key}") }
    }

    pub fn counters(&self) -> &PrivateCounters {
        &self.counters
    }
    /// The ring must have this much room before a message is handed over.
    pub const fn most_events_per_message(&self) -> usize {
        MOST_EVENTS
    }

    pub fn on_message<O: EventSink>(
        &mut self,
        text: &[u8],
        received: Nanos,
        parsed_clock: impl Fn() -> Nanos,
        out: &mut O,
    ) -> Result<PrivateMessage, PrivateError> {
        self.pending.clear();
        let mut reading = Reading {
            directory: &self.directory,
            pending: &mut self.pending,
            counters: &mut self.counters,
            received,
        };
        let read = self.reader.read(text, |json| reading.message(json.field("data").unwrap_or(json)));
        let message = match read {
            Ok(message) => message,
            Err(error) => {
                self.counters.bad += 1;
                out.event(self.link(LinkReason::Protocol, received));
                return Err(error.into());
            }
        };
        if message == PrivateMessage::KeyExpired {
            out.event(self.link(LinkReason::KeyExpired, received));
        }
        let parsed = u32::try_from(parsed_clock().since(received).raw()).unwrap_or(u32::MAX);
        for event in &self.pending {
            out.event(Event { parsed, ..*event });
        }
        Ok(message)
    }

    fn link(&self, reason: LinkReason, now: Nanos) -> Event {
        let change = LinkChange {
            link: LinkKind::Private,
            state: LinkState::Down,
            reason,
            connection: self.connection,
        };
        Event::new(now, Source::Receiver, Body::Link(change)).on(self.directory.venue(), InstrumentId::NONE)
    }
}

/// Balances and positions of one account update: one asset and three position sides for each of 256 instruments at most.
const MOST_EVENTS: usize = Directory::MAX_ASSETS + 3 * Directory::MAX_INSTRUMENTS;

struct Reading<'a> {
    directory: &'a Directory,
    pending: &'a mut Vec<Event>,
    counters: &'a mut PrivateCounters,
    received: Nanos,
}

impl Reading<'_> {
    fn message(&mut self, data: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
        let message = match data.text_or_empty("e")? {
            "ORDER_TRADE_UPDATE" => {
                let order = data.need("o")?;
                let time = Nanos::from_millis(data.uint("T")?);
                self.order(order, time)?
            }
            "executionReport" => {
                let time = Nanos::from_millis(data.uint("T")?);
                self.order(data, time)?
            }
            "ACCOUNT_UPDATE" => self.account(data)?,
            "outboundAccountPosition" => self.spot_account(data)?,
            "TRADE_LITE" => self.trade_lite(data)?,
            "listenKeyExpired" | "eventStreamTerminated" => PrivateMessage::KeyExpired,
            _ => PrivateMessage::Other,
        };
        match message {
            PrivateMessage::Order => self.counters.orders += 1,
            PrivateMessage::Account => self.counters.accounts += 1,
            PrivateMessage::TradeLite => self.counters.trades += 1,
            PrivateMessage::Foreign => self.counters.foreign += 1,
            PrivateMessage::Other | PrivateMessage::KeyExpired => self.counters.other += 1,
        }
        Ok(message)
    }

    /// `o` of ORDER_TRADE_UPDATE, or a spot executionReport: the fields that we read have the same names in both.
    fn order(&mut self, order: Json<'_, '_>, time: Nanos) -> Result<PrivateMessage, JsonError> {
        let Some(listing) = self.directory.find(order.text("s")?.as_bytes()) else {
            return Ok(PrivateMessage::Foreign);
        };
        let grid = &listing.definition;
        let spot = self.directory.product() == Product::Spot;
        // On spot, `c` of a cancellation is the id of the cancel request, and `C` the order's own.
        let original = if spot { order.text_or_empty("C")? } else { "" };
        let client_order_id = if original.is_empty() { order.text("c")? } else { original };
        let execution = self.known(wire::execution(order.text("x")?));
        let status = self.known(wire::venue_status(order.text("X")?));
        let kind_text = order.text("o")?;
        let kind = if spot { wire::spot_order_kind(kind_text) } else { wire::order_kind(kind_text) };
        // -1 stands for "no trade" on spot, 0 on USD-M.
        let trade_id = u64::try_from(order.int("t")?).unwrap_or(0);
        let flags = position_flags(order.text_or_empty("ps")?)
            .ok_or(JsonError::Unknown { field: "ps" })?
            .with(ReportFlags::MAKER, order.flag_or("m", false)?)
            .with(ReportFlags::REDUCE_ONLY, !spot && order.flag_or("R", false)?)
            .with(
                ReportFlags::LIQUIDATION,
                client_order_id.starts_with(wire::LIQUIDATION_PREFIX) || kind_text == "LIQUIDATION",
            )
            .with(ReportFlags::ADL, client_order_id.starts_with(wire::ADL_PREFIX));
        let report = OrderReport {
            client_order_id: ClientOrderId::from_text(client_order_id.as_bytes()),
            venue_order_id: VenueOrderId(order.uint("i")?),
            price: price(order, "p", grid)?,
            quantity: quantity(order, "q", grid)?,
            cumulative_quantity: quantity(order, "z", grid)?,
            last_quantity: quantity(order, "l", grid)?,
            last_price: price(order, "L", grid)?,
            trade_id,
            fee: if order.field("n").is_some() { order.decimal("n", CASH_DECIMALS)? } else { 0 },
            fee_asset: self.asset(order.text_or_empty("N")?),
            execution,
            status,
            kind: self.known(kind),
            time_in_force: if kind_text == "LIMIT_MAKER" {
                crate::core::event::TimeInForce::PostOnly
            } else {
                self.known(wire::time_in_force(order.text("f")?))
            },
            side: wire::side(order.text("S")?).ok_or(JsonError::Unknown { field: "S" })?,
            flags,
        };
        self.put(listing.id, time, Body::Order(report))?;
        Ok(PrivateMessage::Order)
    }

    /// USD-M "Event: Balance and Position Update".
    fn account(&mut self, data: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
        let time = Nanos::from_millis(data.uint("T")?);
        let account = data.need("a")?;
        let cause = self.known(wire::balance_cause(account.text_or_empty("m")?));
        if account.has("B") {
            for row in account.list("B")? {
                let asset = self.asset(row.text("a")?);
                if asset.is_none() {
                    self.counters.foreign_assets += 1;
                    continue;
                }
                let wallet = row.decimal("wb", CASH_DECIMALS)?;
                let change = if row.field("bc").is_some() { row.decimal("bc", CASH_DECIMALS)? } else { 0 };
                let report =
                    BalanceReport { asset, wallet, available: i64::MIN, change, cause, hydrated: false };
                self.put(InstrumentId::NONE, time, Body::Balance(report))?;
            }
        }
        if account.has("P") {
            for row in account.list("P")? {
                let Some(listing) = self.directory.find(row.text("s")?.as_bytes()) else {
                    self.counters.foreign += 1;
                    continue;
                };
                let report = PositionReport {
                    quantity: quantity(row, "pa", &listing.definition)?,
                    entry_price: row.decimal_towards_zero("ep", 8)?,
                    unrealised: row.decimal_towards_zero("up", CASH_DECIMALS)?,
                    side: wire::position_side(row.text("ps")?).ok_or(JsonError::Unknown { field: "ps" })?,
                    hydrated: false,
                };
                self.put(listing.id, time, Body::Position(report))?;
            }
        }
        Ok(PrivateMessage::Account)
    }

    /// Spot "User Data Stream / Account Update": free and locked of the assets that changed.
    fn spot_account(&mut self, data: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
        let time = Nanos::from_millis(data.uint("u")?);
        for row in data.list("B")? {
            let asset = self.asset(row.text("a")?);
            if asset.is_none() {
                self.counters.foreign_assets += 1;
                continue;
            }
            let free = row.decimal("f", CASH_DECIMALS)?;
            let wallet = free.saturating_add(row.decimal("l", CASH_DECIMALS)?);
            let cause = crate::core::event::BalanceCause::Other;
            let report = BalanceReport { asset, wallet, available: free, change: 0, cause, hydrated: false };
            self.put(InstrumentId::NONE, time, Body::Balance(report))?;
        }
        Ok(PrivateMessage::Account)
    }

    /// USD-M "Event: Trade Lite": earlier than the full report, and without the order's state.
    fn trade_lite(&mut self, data: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
        let Some(listing) = self.directory.find(data.text("s")?.as_bytes()) else {
            return Ok(PrivateMessage::Foreign);
        };
        let grid = &listing.definition;
        let report = OrderReport {
            client_order_id: ClientOrderId::from_text(data.text("c")?.as_bytes()),
            venue_order_id: VenueOrderId(data.uint("i")?),
            price: price(data, "p", grid)?,
            quantity: quantity(data, "q", grid)?,
            // Not said: the trade alone.
            cumulative_quantity: Quantity::ZERO,
            last_quantity: quantity(data, "l", grid)?,
            last_price: price(data, "L", grid)?,
            trade_id: data.uint("t")?,
            fee: 0,
            fee_asset: AssetId::NONE,
            execution: Execution::Trade,
            status: VenueStatus::Other,
            kind: crate::core::event::OrderKind::Other,
            time_in_force: crate::core::event::TimeInForce::GoodTillCancel,
            side: wire::side(data.text("S")?).ok_or(JsonError::Unknown { field: "S" })?,
            flags: ReportFlags(ReportFlags::TRADE_ONLY).with(ReportFlags::MAKER, data.flag("m")?),
        };
        self.put(listing.id, Nanos::from_millis(data.uint("T")?), Body::Order(report))?;
        Ok(PrivateMessage::TradeLite)
    }

    fn put(&mut self, instrument: InstrumentId, time: Nanos, body: Body) -> Result<(), JsonError> {
        if self.pending.len() >= MOST_EVENTS {
            return Err(JsonError::TooMany { field: "a", limit: MOST_EVENTS as u32 });
        }
        let mut event =
            Event::new(self.received, Source::Receiver, body).on(self.directory.venue(), instrument);
        event.event_time = time;
        self.pending.push(event);
        Ok(())
    }

    fn known<T>(&mut self, known: wire::Known<T>) -> T {
        self.counters.unknown_values += u64::from(known.unknown);
        known.value
    }

    fn asset(&self, name: &str) -> AssetId {
        self.directory.asset(name.as_bytes()).unwrap_or(AssetId::NONE)
    }
}

/// An order as REST and the WebSocket API answer it: a state read back, not news. (USD-M "Query Order".)
pub(super) fn order_read_back(
    order: Json<'_, '_>,
    listing: &Listing,
) -> Result<(OrderReport, Nanos), JsonError> {
    let grid = &listing.definition;
    let spot = grid.product == Product::Spot;
    let kind_text = order.text("type")?;
    let kind = if spot { wire::spot_order_kind(kind_text) } else { wire::order_kind(kind_text) };
    let flags = position_flags(order.text_or_empty("positionSide")?)
        .ok_or(JsonError::Unknown { field: "positionSide" })?
        .with(ReportFlags::REDUCE_ONLY, order.flag_or("reduceOnly", false)?)
        .with(ReportFlags::HYDRATED, true);
    let report = OrderReport {
        client_order_id: ClientOrderId::from_text(order.text("clientOrderId")?.as_bytes()),
        venue_order_id: VenueOrderId(order.uint("orderId")?),
        price: price(order, "price", grid)?,
        quantity: quantity(order, "origQty", grid)?,
        cumulative_quantity: quantity(order, "executedQty", grid)?,
        last_quantity: Quantity::ZERO,
        last_price: Price::ZERO,
        trade_id: 0,
        fee: 0,
        fee_asset: AssetId::NONE,
        execution: Execution::Status,
        status: wire::venue_status(order.text("status")?).value,
        kind: kind.value,
        time_in_force: if kind_text == "LIMIT_MAKER" {
            crate::core::event::TimeInForce::PostOnly
        } else {
            wire::time_in_force(order.text("timeInForce")?).value
        },
        side: wire::side(order.text("side")?).ok_or(JsonError::Unknown { field: "side" })?,
        flags,
    };
    Ok((report, Nanos::from_millis(order.uint_or("updateTime", 0)?)))
}

pub(super) fn price(
    json: Json<'_, '_>,
    field: &'static str,
    grid: &InstrumentDefinition,
) -> Result<Price, JsonError> {
    let steps = grid.tick.steps(json.text(field)?.as_bytes());
    steps.map(Price::new).map_err(|error| JsonError::Number { field, error })
}

pub(super) fn quantity(
    json: Json<'_, '_>,
    field: &'static str,
    grid: &InstrumentDefinition,
) -> Result<Quantity, JsonError> {
    let steps = grid.lot.steps(json.text(field)?.as_bytes());
    steps.map(Quantity::new).map_err(|error| JsonError::Number { field, error })
}

pub(super) fn position_flags(text: &str) -> Option<ReportFlags> {
    let side = wire::position_side(text)?;
    Some(
        ReportFlags::default()
            .with(ReportFlags::LONG_SIDE, side == PositionSide::Long)
            .with(ReportFlags::SHORT_SIDE, side == PositionSide::Short),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{BalanceCause, OrderKind, Side, TimeInForce};
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
            assert_eq!(
                events.iter().map(|e| e.body).collect::<Vec<_>>(),
                [down(LinkReason::Protocol)],
                "{to}"
            );
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
}
