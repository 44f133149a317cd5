//! USD-M's private events, and its orders read back. (USD-M "User Data Streams"; "Query Order"; "Query Algo Order".)
//!
//! A conditional order is one order for the core, under one client order id, while the venue has two: first the algo order, which
//! waits, then the order that it becomes.
//!
//! ```text
//! algo status   what the core hears                              the order's number
//! NEW           New                                              none
//! TRIGGERING    New, with its trigger's mark                     none: it is on its way into the matching engine
//! TRIGGERED     New, with its trigger's mark                     that of the new order, under which ORDER_TRADE_UPDATE goes on
//! CANCELED      Cancelled
//! EXPIRED       Expired
//! REJECTED      Expired: the matching engine refused it when it triggered, long after the venue had taken it
//! FINISHED      nothing: ORDER_TRADE_UPDATE has said it
//! ```

use super::super::json::{Json, JsonError};
use super::super::private::PrivateMessage;
use super::super::reports::{
    Reading, STATE, position_flags, price, price_or_zero, quantity, quantity_or_zero, read_back, streamed,
    venue_made,
};
use super::super::wire::{self, Known};
use crate::core::event::{
    BalanceReport, Body, Execution, OrderReport, PositionReport, ReportFlags, VenueStatus,
};
use crate::core::id::{ClientOrderId, InstrumentId, VenueOrderId};
use crate::core::num::CASH_DECIMALS;
use crate::core::time::Nanos;
use crate::venue::Listing;

/// ORDER_TRADE_UPDATE.
pub fn order(reading: &mut Reading<'_>, data: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
    let time = Nanos::from_millis(data.uint("T")?);
    let order = data.need("o")?;
    let Some(listing) = reading.directory.find(order.text("s")?.as_bytes()) else {
        return Ok(PrivateMessage::Foreign);
    };
    let grid = &listing.definition;
    let text = order.text("c")?;
    let streamed = streamed(reading, order, grid)?;
    let spawned_by = reading.memory.spawned_by(streamed.venue_order_id);
    let kind_text = order.text("o")?;
    let now_a = reading.known(wire::order_kind(kind_text));
    // What it was sent as: a stop that has triggered is a market or a limit order by `o`.
    let sent_as = match order.text_or_empty("ot")? {
        "" => now_a,
        original => reading.known(wire::order_kind(original)),
    };
    let triggered = spawned_by.is_some() || (sent_as.is_conditional() && !now_a.is_conditional());
    let flags = position_flags("ps", order.text_or_empty("ps")?)?
        .with(ReportFlags::MAKER, order.flag_or("m", false)?)
        .with(ReportFlags::REDUCE_ONLY, order.flag_or("R", false)?)
        .with(ReportFlags::CLOSE_POSITION, order.flag_or("cp", false)?)
        .with(ReportFlags::TRIGGERED, triggered);
    let report = OrderReport {
        client_order_id: spawned_by.unwrap_or_else(|| ClientOrderId::from_text(text.as_bytes())),
        kind: if sent_as.is_conditional() { sent_as } else { now_a },
        time_in_force: reading.known(wire::time_in_force(order.text("f")?)),
        flags: venue_made(flags, text, kind_text, order.text("X")?),
        ..streamed
    };
    reading.put(listing.id, time, Body::Order(report))?;
    Ok(PrivateMessage::Order)
}

/// ALGO_UPDATE: a conditional order until it triggers.
pub fn algo(reading: &mut Reading<'_>, data: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
    let time = Nanos::from_millis(data.uint("T")?);
    let order = data.need("o")?;
    let Some(listing) = reading.directory.find(order.text("s")?.as_bytes()) else {
        return Ok(PrivateMessage::Foreign);
    };
    let grid = &listing.definition;
    let ours = ClientOrderId::from_text(order.text("caid")?.as_bytes());
    let spawned = spawned_number(order, "ai")?;
    if spawned.0 != 0 {
        reading.memory.spawned.remember((spawned, ours));
    }
    let life = algo_life(order.text("X")?);
    let Some(life) = reading.known(life) else { return Ok(PrivateMessage::Order) };
    let flags = position_flags("ps", order.text_or_empty("ps")?)?
        .with(ReportFlags::REDUCE_ONLY, order.flag_or("R", false)?)
        .with(ReportFlags::CLOSE_POSITION, order.flag_or("cp", false)?)
        .with(ReportFlags::TRIGGERED, life.triggered);
    let report = OrderReport {
        client_order_id: ours,
        venue_order_id: spawned,
        price: price_or_zero(order, "p", grid)?,
        quantity: quantity_or_zero(order, "q", grid)?,
        cumulative_quantity: quantity_or_zero(order, "aq", grid)?,
        execution: life.execution,
        status: life.status,
        kind: reading.known(wire::order_kind(order.text("o")?)),
        time_in_force: reading.known(wire::time_in_force(order.text("f")?)),
        side: wire::side(order.text("S")?).ok_or(JsonError::Unknown { field: "S" })?,
        flags,
        ..STATE
    };
    reading.put(listing.id, time, Body::Order(report))?;
    Ok(PrivateMessage::Order)
}

/// Where a conditional order stands, in the words of orders.
pub(in super::super) struct AlgoLife {
    pub execution: Execution,
    pub status: VenueStatus,
    pub triggered: bool,
}

/// `None`: the order that it became says the rest.
pub(in super::super) fn algo_life(text: &str) -> Known<Option<AlgoLife>> {
    let life = |execution, status, triggered| Some(AlgoLife { execution, status, triggered });
    let known = |value| Known { value, unknown: false };
    match text {
        "NEW" => known(life(Execution::New, VenueStatus::New, false)),
        "TRIGGERING" | "TRIGGERED" => known(life(Execution::New, VenueStatus::New, true)),
        "CANCELED" => known(life(Execution::Cancelled, VenueStatus::Cancelled, false)),
        "EXPIRED" => known(life(Execution::Expired, VenueStatus::Expired, false)),
        // An order that the venue had accepted cannot be rejected any more: it ended by the venue's will.
        "REJECTED" => known(life(Execution::Rejected, VenueStatus::Expired, false)),
        "FINISHED" => known(None),
        _ => Known { value: life(Execution::Other, VenueStatus::Other, false), unknown: true },
    }
}

/// The number of the order that an algo order became, as text, number or nothing yet.
fn spawned_number(order: Json<'_, '_>, field: &'static str) -> Result<VenueOrderId, JsonError> {
    let Some(value) = order.field(field) else { return Ok(VenueOrderId(0)) };
    if let Some(number) = value.as_uint() {
        return Ok(VenueOrderId(number));
    }
    match value.as_text() {
        Some("") => Ok(VenueOrderId(0)),
        Some(text) => text.parse().map(VenueOrderId).map_err(|_| JsonError::WrongType(field)),
        None => Err(JsonError::WrongType(field)),
    }
}

/// ACCOUNT_UPDATE.
pub fn account(reading: &mut Reading<'_>, data: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
    let time = Nanos::from_millis(data.uint("T")?);
    let account = data.need("a")?;
    let cause = reading.known(wire::balance_cause(account.text_or_empty("m")?));
    if account.has("B") {
        for row in account.list("B")? {
            let asset = reading.asset(row.text("a")?);
            if asset.is_none() {
                reading.counters.foreign_assets += 1;
                continue;
            }
            let wallet = row.decimal("wb", CASH_DECIMALS)?;
            let change = if row.field("bc").is_some() { row.decimal("bc", CASH_DECIMALS)? } else { 0 };
            let report = BalanceReport { asset, wallet, available: i64::MIN, change, cause, hydrated: false };
            reading.put(InstrumentId::NONE, time, Body::Balance(report))?;
        }
    }
    if account.has("P") {
        for row in account.list("P")? {
            let Some(listing) = reading.directory.find(row.text("s")?.as_bytes()) else {
                reading.counters.foreign += 1;
                continue;
            };
            let report = PositionReport {
                quantity: quantity(row, "pa", &listing.definition)?,
                entry_price: row.decimal_towards_zero("ep", 8)?,
                unrealised: row.decimal_towards_zero("up", CASH_DECIMALS)?,
                side: wire::position_side(row.text("ps")?).ok_or(JsonError::Unknown { field: "ps" })?,
                hydrated: false,
            };
            reading.put(listing.id, time, Body::Position(report))?;
        }
    }
    Ok(PrivateMessage::Account)
}

/// TRADE_LITE: earlier than the full report, and without the order's state.
pub fn trade_lite(reading: &mut Reading<'_>, data: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
    let Some(listing) = reading.directory.find(data.text("s")?.as_bytes()) else {
        return Ok(PrivateMessage::Foreign);
    };
    let grid = &listing.definition;
    let text = data.text("c")?;
    let number = VenueOrderId(data.uint("i")?);
    let flags = ReportFlags(ReportFlags::TRADE_ONLY | ReportFlags::FEE_TO_COME)
        .with(ReportFlags::MAKER, data.flag("m")?);
    let spawned_by = reading.memory.spawned_by(number);
    let report = OrderReport {
        client_order_id: spawned_by.unwrap_or_else(|| ClientOrderId::from_text(text.as_bytes())),
        venue_order_id: number,
        price: price(data, "p", grid)?,
        quantity: quantity(data, "q", grid)?,
        last_quantity: quantity(data, "l", grid)?,
        last_price: price(data, "L", grid)?,
        trade_id: data.uint("t")?,
        execution: Execution::Trade,
        side: wire::side(data.text("S")?).ok_or(JsonError::Unknown { field: "S" })?,
        flags: venue_made(flags, text, "", ""),
        // Not said: how the order stands.
        ..STATE
    };
    reading.put(listing.id, Nanos::from_millis(data.uint("T")?), Body::Order(report))?;
    Ok(PrivateMessage::TradeLite)
}

/// An order as REST and the WebSocket API answer it: a state read back, not news.
pub fn order_read_back(order: Json<'_, '_>, listing: &Listing) -> Result<(OrderReport, Nanos), JsonError> {
    let text = order.text("clientOrderId")?;
    let kind_text = order.text("type")?;
    let now_a = wire::order_kind(kind_text).value;
    let sent_as = match order.text_or_empty("origType")? {
        "" => now_a,
        original => wire::order_kind(original).value,
    };
    let flags = position_flags("positionSide", order.text_or_empty("positionSide")?)?
        .with(ReportFlags::REDUCE_ONLY, order.flag_or("reduceOnly", false)?)
        .with(ReportFlags::CLOSE_POSITION, order.flag_or("closePosition", false)?)
        .with(ReportFlags::TRIGGERED, sent_as.is_conditional() && !now_a.is_conditional())
        .with(ReportFlags::HYDRATED, true);
    let report = OrderReport {
        kind: if sent_as.is_conditional() { sent_as } else { now_a },
        flags: venue_made(flags, text, kind_text, order.text("status")?),
        ..read_back(order, &listing.definition)?
    };
    Ok((report, Nanos::from_millis(order.uint_or("updateTime", 0)?)))
}

/// A conditional order read back, and the number of the order that it became (zero while it waits). `None`: it triggered, and that
/// order says the rest.
pub fn algo_read_back(
    order: Json<'_, '_>,
    listing: &Listing,
) -> Result<(Option<(OrderReport, Nanos)>, VenueOrderId), JsonError> {
    let grid = &listing.definition;
    let spawned = spawned_number(order, "actualOrderId")?;
    let Some(life) = algo_life(order.text("algoStatus")?).value.filter(|_| spawned.0 == 0) else {
        return Ok((None, spawned));
    };
    let flags = position_flags("positionSide", order.text_or_empty("positionSide")?)?
        .with(ReportFlags::REDUCE_ONLY, order.flag_or("reduceOnly", false)?)
        .with(ReportFlags::CLOSE_POSITION, order.flag_or("closePosition", false)?)
        .with(ReportFlags::TRIGGERED, life.triggered)
        .with(ReportFlags::HYDRATED, true);
    let report = OrderReport {
        client_order_id: ClientOrderId::from_text(order.text("clientAlgoId")?.as_bytes()),
        price: price_or_zero(order, "price", grid)?,
        quantity: quantity_or_zero(order, "quantity", grid)?,
        status: life.status,
        kind: wire::order_kind(order.text("orderType")?).value,
        time_in_force: wire::time_in_force(order.text("timeInForce")?).value,
        side: wire::side(order.text("side")?).ok_or(JsonError::Unknown { field: "side" })?,
        flags,
        ..STATE
    };
    Ok((Some((report, Nanos::from_millis(order.uint_or("updateTime", 0)?))), spawned))
}
