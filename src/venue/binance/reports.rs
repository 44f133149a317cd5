//! What private events and read-backs have in common: exact numbers on the instrument's grid, marks, and the few things that must
//! be remembered between two messages.

use super::json::{Json, JsonError};
use super::private::PrivateCounters;
use super::wire::{self, Known};
use crate::core::event::{
    Body, Event, Execution, OrderKind, OrderReport, PositionSide, ReportFlags, Side, Source, TimeInForce,
    VenueStatus,
};
use crate::core::id::{AssetId, ClientOrderId, InstrumentId, VenueOrderId};
use crate::core::instrument::InstrumentDefinition;
use crate::core::num::{CASH_DECIMALS, Price, Quantity};
use crate::core::time::Nanos;
use crate::venue::Directory;

/// Balances and positions of one account update: one asset and three position sides for each of 256 instruments at most.
pub const MOST_EVENTS: usize = Directory::MAX_ASSETS + 3 * Directory::MAX_INSTRUMENTS;

/// One message being read: nothing of it is emitted before all of it was good.
pub struct Reading<'a> {
    pub directory: &'a Directory,
    pub pending: &'a mut Vec<Event>,
    pub counters: &'a mut PrivateCounters,
    pub memory: &'a mut Memory,
    pub received: Nanos,
}

impl Reading<'_> {
    pub fn put(&mut self, instrument: InstrumentId, time: Nanos, body: Body) -> Result<(), JsonError> {
        if self.pending.len() >= MOST_EVENTS {
            return Err(JsonError::TooMany { field: "a", limit: MOST_EVENTS as u32 });
        }
        let mut event =
            Event::new(self.received, Source::Receiver, body).on(self.directory.venue(), instrument);
        event.event_time = time;
        self.pending.push(event);
        Ok(())
    }

    /// The value, and a count where its text was not known.
    pub fn known<T>(&mut self, known: Known<T>) -> T {
        self.counters.unknown_values += u64::from(known.unknown);
        known.value
    }

    pub fn asset(&self, name: &str) -> AssetId {
        self.directory.asset(name.as_bytes()).unwrap_or(AssetId::NONE)
    }
}

/// What one message says that a later one leaves out.
pub struct Memory {
    /// USD-M: the order that a conditional order became, and the id that is ours.
    pub spawned: Recent<(VenueOrderId, ClientOrderId)>,
    /// Spot: orders whose cancellation was half of a replacement; the other half comes next.
    pub replacing: Recent<ClientOrderId>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { spawned: Recent::of(256), replacing: Recent::of(64) }
    }
}

impl Memory {
    /// Our id of an order that a conditional order became.
    pub fn spawned_by(&self, number: VenueOrderId) -> Option<ClientOrderId> {
        self.spawned.items.iter().find(|(known, _)| *known == number).map(|(_, ours)| *ours)
    }
}

/// The last few of something; the oldest gives way. What is forgotten costs a question to the venue and no more: the core asks for
/// an order whose request stays unconfirmed.
pub struct Recent<T> {
    items: Vec<T>,
    next: usize,
}

impl<T: PartialEq> Recent<T> {
    fn of(capacity: usize) -> Self {
        Self { items: Vec::with_capacity(capacity), next: 0 }
    }

    pub fn remember(&mut self, item: T) {
        if self.items.contains(&item) {
            return;
        }
        if self.items.len() < self.items.capacity() {
            self.items.push(item);
        } else if let Some(slot) = self.items.get_mut(self.next) {
            *slot = item;
            self.next = (self.next + 1) % self.items.capacity().max(1);
        }
    }

    /// Whether it was remembered; it is not any more.
    pub fn take(&mut self, item: &T) -> bool {
        match self.items.iter().position(|known| known == item) {
            Some(at) => {
                self.items.swap_remove(at);
                self.next = 0;
                true
            }
            None => false,
        }
    }
}

/// An order's state without any trade: what a report that tells no more leaves as it is.
pub const STATE: OrderReport = OrderReport {
    client_order_id: ClientOrderId::NONE,
    venue_order_id: VenueOrderId(0),
    price: Price::ZERO,
    quantity: Quantity::ZERO,
    cumulative_quantity: Quantity::ZERO,
    last_quantity: Quantity::ZERO,
    last_price: Price::ZERO,
    trade_id: 0,
    fee: 0,
    fee_asset: AssetId::NONE,
    execution: Execution::Status,
    status: VenueStatus::Other,
    kind: OrderKind::Other,
    time_in_force: TimeInForce::GoodTillCancel,
    side: Side::Buy,
    flags: ReportFlags(0),
};

/// What ORDER_TRADE_UPDATE and executionReport say under the same letters. Whose order it is and of what kind each product says in its own way.
pub fn streamed(
    reading: &mut Reading<'_>,
    order: Json<'_, '_>,
    grid: &InstrumentDefinition,
) -> Result<OrderReport, JsonError> {
    Ok(OrderReport {
        venue_order_id: VenueOrderId(order.uint("i")?),
        price: price(order, "p", grid)?,
        quantity: quantity(order, "q", grid)?,
        cumulative_quantity: quantity(order, "z", grid)?,
        last_quantity: quantity(order, "l", grid)?,
        last_price: price(order, "L", grid)?,
        // -1 stands for "no trade", on spot.
        trade_id: u64::try_from(order.int("t")?).unwrap_or(0),
        fee: if order.field("n").is_some() { order.decimal("n", CASH_DECIMALS)? } else { 0 },
        fee_asset: reading.asset(order.text_or_empty("N")?),
        execution: reading.known(wire::execution(order.text("x")?)),
        status: reading.known(wire::venue_status(order.text("X")?)),
        side: wire::side(order.text("S")?).ok_or(JsonError::Unknown { field: "S" })?,
        ..STATE
    })
}

/// What "Query Order" says under the same names at both products.
pub fn read_back(order: Json<'_, '_>, grid: &InstrumentDefinition) -> Result<OrderReport, JsonError> {
    Ok(OrderReport {
        client_order_id: ClientOrderId::from_text(order.text("clientOrderId")?.as_bytes()),
        venue_order_id: VenueOrderId(order.uint("orderId")?),
        price: price(order, "price", grid)?,
        quantity: quantity(order, "origQty", grid)?,
        cumulative_quantity: quantity(order, "executedQty", grid)?,
        status: wire::venue_status(order.text("status")?).value,
        time_in_force: wire::time_in_force(order.text("timeInForce")?).value,
        side: wire::side(order.text("side")?).ok_or(JsonError::Unknown { field: "side" })?,
        ..STATE
    })
}

pub fn price(
    json: Json<'_, '_>,
    field: &'static str,
    grid: &InstrumentDefinition,
) -> Result<Price, JsonError> {
    let steps = grid.tick.steps(json.text(field)?.as_bytes());
    steps.map(Price::new).map_err(|error| JsonError::Number { field, error })
}

pub fn quantity(
    json: Json<'_, '_>,
    field: &'static str,
    grid: &InstrumentDefinition,
) -> Result<Quantity, JsonError> {
    let steps = grid.lot.steps(json.text(field)?.as_bytes());
    steps.map(Quantity::new).map_err(|error| JsonError::Number { field, error })
}

/// As `quantity`, zero where the field is absent or empty.
pub fn quantity_or_zero(
    json: Json<'_, '_>,
    field: &'static str,
    grid: &InstrumentDefinition,
) -> Result<Quantity, JsonError> {
    if json.text_or_empty(field)?.is_empty() {
        return Ok(Quantity::ZERO);
    }
    quantity(json, field, grid)
}

/// As `price`, zero where the field is absent or empty.
pub fn price_or_zero(
    json: Json<'_, '_>,
    field: &'static str,
    grid: &InstrumentDefinition,
) -> Result<Price, JsonError> {
    if json.text_or_empty(field)?.is_empty() {
        return Ok(Price::ZERO);
    }
    price(json, field, grid)
}

/// The leg that an order or a position is about.
pub fn position_flags(field: &'static str, text: &str) -> Result<ReportFlags, JsonError> {
    let side = wire::position_side(text).ok_or(JsonError::Unknown { field })?;
    Ok(ReportFlags::default()
        .with(ReportFlags::LONG_SIDE, side == PositionSide::Long)
        .with(ReportFlags::SHORT_SIDE, side == PositionSide::Short))
}

/// The venue marks the orders that it makes itself by their client order ids and, while they are new, by their status. (USD-M
/// "Event: Order Update", special client order ids; "Common Definition / Order status".)
pub fn venue_made(flags: ReportFlags, client_order_id: &str, kind: &str, status: &str) -> ReportFlags {
    let is = |prefix: &str| client_order_id.starts_with(prefix);
    let liquidates = is(wire::LIQUIDATION_PREFIX)
        || is(wire::SETTLEMENT_PREFIX)
        || kind == "LIQUIDATION"
        || status == "NEW_INSURANCE";
    flags
        .with(ReportFlags::LIQUIDATION, liquidates)
        .with(ReportFlags::ADL, is(wire::ADL_PREFIX) || status == "NEW_ADL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way_and_what_was_taken_is_gone() {
        let mut recent = Recent::of(3);
        for item in [1, 2, 3, 3, 4] {
            recent.remember(item);
        }
        assert!(!recent.take(&1), "the oldest of four in a room for three");
        assert!(recent.take(&3) && !recent.take(&3));
        recent.remember(5);
        assert!(recent.take(&2) && recent.take(&4) && recent.take(&5));
        assert!(recent.items.is_empty() && recent.items.capacity() >= 3);
    }
}
