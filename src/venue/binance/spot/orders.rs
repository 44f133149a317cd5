//! Spot's order requests. Parameters are sorted by key, as their signature wants them.
//!
//! ```text
//! request    what changes          WebSocket API               REST
//! New                              order.place                 POST   /api/v3/order
//! Cancel                           order.cancel                DELETE /api/v3/order
//! Replace    less quantity alone   order.amend.keepPriority    PUT    /api/v3/order/amend/keepPriority
//! Replace    the price             order.cancelReplace         POST   /api/v3/order/cancelReplace
//! ```
//! Spot has no request that moves a price. Its cancel-replace ends the old order and places a new one under the same client order id, which is
//! free again by then. It asks for `ONLY_NEW`: an order that has begun to fill is not replaced, for the fills of the old and the new
//! one would be counted twice over. The cancellation carries an id of ours (`REPLACING`), by which the private stream knows that it ends nothing.
//! (Spot "New order", "Cancel order", "Cancel and replace order", "Order Amend Keep Priority".)
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::super::orders::params::{ParamSink, RequestEnvelope};
use super::super::orders::{EncodeError, Endpoint, by_its_id, order_id};
use super::super::wire;
use crate::core::dispatch::{Dispatch, DispatchFlags};
use crate::core::event::{OrderKind, PositionSide, RequestKind, TimeInForce, TriggerBy};
use crate::core::instrument::Product;
use crate::venue::Listing;

/// How the ids of those cancellations begin that are half of a replacement.
pub const REPLACING: &str = "replacing-";

const PLACE: Endpoint = Endpoint::new("order.place", "POST", "/api/v3/order");
const CANCEL: Endpoint = Endpoint::new("order.cancel", "DELETE", "/api/v3/order");
const CANCEL_REPLACE: Endpoint = Endpoint::new("order.cancelReplace", "POST", "/api/v3/order/cancelReplace");
const AMEND: Endpoint = Endpoint::new("order.amend.keepPriority", "PUT", "/api/v3/order/amend/keepPriority");

#[inline]
pub fn endpoint(dispatch: &Dispatch) -> Result<Endpoint, EncodeError> {
    match dispatch.request {
        RequestKind::New => Ok(PLACE),
        RequestKind::Cancel => Ok(CANCEL),
        RequestKind::Replace if dispatch.kind != OrderKind::Limit => Err(EncodeError::Unsupported),
        RequestKind::Replace if dispatch.flags.has(DispatchFlags::SHRINKS) => Ok(AMEND),
        RequestKind::Replace => Ok(CANCEL_REPLACE),
    }
}

#[inline(always)]
pub fn params<S: ParamSink>(
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) -> Result<(), EncodeError> {
    match dispatch.request {
        RequestKind::New => {
            envelope.api_key(to);
            order(dispatch, listing, envelope, to)
        }
        RequestKind::Cancel => by_its_id(dispatch, listing, envelope, to),
        RequestKind::Replace if dispatch.flags.has(DispatchFlags::SHRINKS) => {
            envelope.api_key(to);
            // Without it the venue would make an id of its own.
            to.text("newClientOrderId", dispatch.client_order_id.text().ok_or(EncodeError::NoId)?);
            to.steps("newQty", &listing.definition.lot, dispatch.quantity.raw());
            order_id(dispatch, "orderId", "origClientOrderId", to)?;
            envelope.recv_window(to);
            to.text("symbol", listing.symbol());
            envelope.timestamp(to);
            Ok(())
        }
        RequestKind::Replace => {
            envelope.api_key(to);
            replacing_id(dispatch.number, to);
            order_id(dispatch, "cancelOrderId", "cancelOrigClientOrderId", to)?;
            to.text("cancelReplaceMode", "STOP_ON_FAILURE");
            to.text("cancelRestrictions", "ONLY_NEW");
            order(dispatch, listing, envelope, to)
        }
    }
}

/// The order itself. Spot knows no position sides, no closing of positions, no reduce-only, no mark price and no date.
#[inline(always)]
fn order<S: ParamSink>(
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) -> Result<(), EncodeError> {
    let grid = &listing.definition;
    if dispatch.position_side != PositionSide::Both
        || dispatch.flags.has(DispatchFlags::CLOSE_POSITION)
        || dispatch.trigger_by != TriggerBy::LastPrice
        || dispatch.time_in_force == TimeInForce::GoodTillDate
    {
        return Err(EncodeError::Unsupported);
    }
    let post_only = dispatch.time_in_force == TimeInForce::PostOnly;
    let priced = dispatch.kind.is_priced();
    // LIMIT_MAKER is a kind here, and there is none for conditional orders.
    if post_only && priced && dispatch.kind != OrderKind::Limit {
        return Err(EncodeError::Unsupported);
    }
    let kind = wire::order_kind_text(Product::Spot, dispatch.kind, post_only);
    let kind = kind.ok_or(EncodeError::Unsupported)?;
    let trails = dispatch.kind == OrderKind::TrailingStop;
    to.text("newClientOrderId", dispatch.client_order_id.text().ok_or(EncodeError::NoId)?);
    // The private stream tells the rest; the default for limit orders would be the longest answer.
    to.text("newOrderRespType", "ACK");
    if priced {
        to.steps("price", &grid.tick, dispatch.price.raw());
    }
    to.steps("quantity", &grid.lot, dispatch.quantity.raw());
    envelope.recv_window(to);
    to.text("side", wire::side_text(dispatch.side));
    if dispatch.kind.is_conditional() && !(trails && dispatch.stop_price.is_zero()) {
        to.steps("stopPrice", &grid.tick, dispatch.stop_price.raw());
    }
    to.text("symbol", listing.symbol());
    if priced && !post_only {
        to.text("timeInForce", wire::time_in_force_text(dispatch.time_in_force));
    }
    envelope.timestamp(to);
    if trails {
        to.number("trailingDelta", u64::from(dispatch.callback));
    }
    to.text("type", kind);
    Ok(())
}

#[inline(always)]
fn replacing_id<S: ParamSink>(number: u64, to: &mut S) {
    let mut id = [0u8; 36];
    let mut digits = itoa::Buffer::new();
    let parts = REPLACING.bytes().chain(digits.format(number).bytes());
    let mut length = 0;
    for (slot, byte) in id.iter_mut().zip(parts) {
        *slot = byte;
        length += 1;
    }
    let text = id.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or(REPLACING);
    to.text("cancelNewClientOrderId", text);
}
