//! Spot's private events, and its orders read back. (Spot "User Data Stream"; "Query order".)
//!
//! Two ids stand in an executionReport: `c` is that of the request that caused it, `C` that of the order where the request was about
//! one. So an order's own id is `C` where there is any, else `c`.
//!
//! ```text
//! a cancel-replace of ours                what the core hears
//! CANCELED, c = "replacing-.."            nothing: the order goes on
//! NEW under the same id                   Replaced, with the new number, price and quantity
//! REJECTED under the same id              Cancelled: the old order is gone, and no new one came
//! ```

use super::super::json::{Json, JsonError};
use super::super::private::PrivateMessage;
use super::super::reports::{Reading, read_back, streamed};
use super::super::wire;
use super::orders::REPLACING;
use crate::core::event::{
    BalanceCause, BalanceReport, Body, Execution, OrderKind, OrderReport, ReportFlags, TimeInForce,
    VenueStatus,
};
use crate::core::id::{ClientOrderId, InstrumentId};
use crate::core::num::CASH_DECIMALS;
use crate::core::time::Nanos;
use crate::venue::Listing;

/// executionReport.
pub fn order(reading: &mut Reading<'_>, order: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
    let Some(listing) = reading.directory.find(order.text("s")?.as_bytes()) else {
        return Ok(PrivateMessage::Foreign);
    };
    let grid = &listing.definition;
    let (cause, original) = (order.text("c")?, order.text_or_empty("C")?);
    let text = if original.is_empty() { cause } else { original };
    let client_order_id = ClientOrderId::from_text(text.as_bytes());
    let streamed = streamed(reading, order, grid)?;
    let (mut execution, mut status) = (streamed.execution, streamed.status);
    match execution {
        Execution::Cancelled if cause.starts_with(REPLACING) => {
            reading.memory.replacing.remember(client_order_id);
            return Ok(PrivateMessage::Order);
        }
        Execution::New if reading.memory.replacing.take(&client_order_id) => {
            execution = Execution::Replaced;
        }
        Execution::Rejected if reading.memory.replacing.take(&client_order_id) => {
            (execution, status) = (Execution::Cancelled, VenueStatus::Cancelled);
        }
        _ => {}
    }
    let kind_text = order.text("o")?;
    let kind = kind(reading.known(wire::spot_order_kind(kind_text)), order.has("d"));
    let flags = ReportFlags::default()
        .with(ReportFlags::MAKER, order.flag_or("m", false)?)
        // `w`: it stands on the book, which a stop does only once it has triggered.
        .with(ReportFlags::TRIGGERED, kind.is_conditional() && order.flag_or("w", false)?);
    let report = OrderReport {
        client_order_id,
        execution,
        status,
        kind,
        time_in_force: if kind_text == "LIMIT_MAKER" {
            TimeInForce::PostOnly
        } else {
            reading.known(wire::time_in_force(order.text("f")?))
        },
        flags,
        ..streamed
    };
    let time = Nanos::from_millis(order.uint("T")?);
    reading.put(listing.id, time, Body::Order(report))?;
    Ok(PrivateMessage::Order)
}

/// A stop with a trailing delta is a trailing stop.
fn kind(kind: OrderKind, trails: bool) -> OrderKind {
    match kind {
        OrderKind::StopMarket | OrderKind::TakeProfitMarket if trails => OrderKind::TrailingStop,
        other => other,
    }
}

/// outboundAccountPosition: free and locked of the assets that may have changed.
pub fn account(reading: &mut Reading<'_>, data: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
    let time = Nanos::from_millis(data.uint("u")?);
    for row in data.list("B")? {
        let asset = reading.asset(row.text("a")?);
        if asset.is_none() {
            reading.counters.foreign_assets += 1;
            continue;
        }
        let free = row.decimal("f", CASH_DECIMALS)?;
        let wallet = free.saturating_add(row.decimal("l", CASH_DECIMALS)?);
        let cause = BalanceCause::Other;
        let report = BalanceReport { asset, wallet, available: free, change: 0, cause, hydrated: false };
        reading.put(InstrumentId::NONE, time, Body::Balance(report))?;
    }
    Ok(PrivateMessage::Account)
}

/// An order as REST and the WebSocket API answer it: a state read back, not news.
pub fn order_read_back(order: Json<'_, '_>, listing: &Listing) -> Result<(OrderReport, Nanos), JsonError> {
    let kind_text = order.text("type")?;
    let trails = order.field("trailingDelta").is_some_and(|delta| delta.as_uint() != Some(0));
    let kind = kind(wire::spot_order_kind(kind_text).value, trails);
    let works = order.flag_or("isWorking", false)?;
    let flags = ReportFlags::default()
        .with(ReportFlags::TRIGGERED, kind.is_conditional() && works)
        .with(ReportFlags::HYDRATED, true);
    let mut report = OrderReport { kind, flags, ..read_back(order, &listing.definition)? };
    if kind_text == "LIMIT_MAKER" {
        report.time_in_force = TimeInForce::PostOnly;
    }
    Ok((report, Nanos::from_millis(order.uint_or("updateTime", 0)?)))
}
