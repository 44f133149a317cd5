//! USD-M's order requests. Parameters are sorted by key, as their signature wants them.
//!
//! ```text
//! request    order                              WebSocket API        REST
//! New        limit, market                      order.place          POST   /fapi/v1/order
//! New        conditional                        algoOrder.place      POST   /fapi/v1/algoOrder
//! Cancel     conditional that waits             algoOrder.cancel     DELETE /fapi/v1/algoOrder
//! Cancel     any other, a triggered one too     order.cancel         DELETE /fapi/v1/order
//! Replace    limit                              order.modify         PUT    /fapi/v1/order
//! ```
//! A conditional order waits in the venue's algo service under our id (`clientAlgoId`) and has no number of the matching engine until
//! it triggers: so "no venue order id yet" is what tells the two cancellations apart. The old order requests refuse it with -4120.
//! (USD-M "New Order", "Modify Order", "Cancel Order", "New Algo Order", "Cancel Algo Order".)
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

const PLACE: Endpoint = Endpoint::new("order.place", "POST", "/fapi/v1/order");
const MODIFY: Endpoint = Endpoint::new("order.modify", "PUT", "/fapi/v1/order");
const CANCEL: Endpoint = Endpoint::new("order.cancel", "DELETE", "/fapi/v1/order");
const PLACE_ALGO: Endpoint = Endpoint::new("algoOrder.place", "POST", "/fapi/v1/algoOrder");
const CANCEL_ALGO: Endpoint = Endpoint::new("algoOrder.cancel", "DELETE", "/fapi/v1/algoOrder");

#[inline]
pub fn endpoint(dispatch: &Dispatch) -> Result<Endpoint, EncodeError> {
    match (dispatch.request, dispatch.kind.is_conditional()) {
        (RequestKind::New, false) => Ok(PLACE),
        (RequestKind::New, true) => Ok(PLACE_ALGO),
        (RequestKind::Cancel, true) if dispatch.venue_order_id.0 == 0 => Ok(CANCEL_ALGO),
        (RequestKind::Cancel, _) => Ok(CANCEL),
        (RequestKind::Replace, false) => Ok(MODIFY),
        // "Only limit order is supported" (-5025).
        (RequestKind::Replace, true) => Err(EncodeError::Unsupported),
    }
}

#[inline(always)]
pub fn params<S: ParamSink>(
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) -> Result<(), EncodeError> {
    match (dispatch.request, dispatch.kind.is_conditional()) {
        (RequestKind::New, false) => new_order(dispatch, listing, envelope, to),
        (RequestKind::New, true) => new_algo(dispatch, listing, envelope, to),
        (RequestKind::Cancel, true) if dispatch.venue_order_id.0 == 0 => {
            cancel_algo(dispatch, listing, envelope, to)
        }
        (RequestKind::Cancel, _) => by_its_id(dispatch, listing, envelope, to),
        (RequestKind::Replace, _) => modify(dispatch, listing, envelope, to),
    }
}

#[inline(always)]
fn new_order<S: ParamSink>(
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) -> Result<(), EncodeError> {
    let client_order_id = dispatch.client_order_id.text().ok_or(EncodeError::NoId)?;
    let kind = wire::order_kind_text(Product::LinearPerpetual, dispatch.kind, false);
    let kind = kind.ok_or(EncodeError::Unsupported)?;
    envelope.api_key(to);
    if dispatch.kind.is_priced() {
        good_till_date(dispatch, to)?;
    }
    to.text("newClientOrderId", client_order_id);
    position_side_to_timestamp(dispatch, listing, envelope, to);
    to.text("type", kind);
    Ok(())
}

fn new_algo<S: ParamSink>(
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) -> Result<(), EncodeError> {
    let grid = &listing.definition;
    let client_algo_id = dispatch.client_order_id.text().ok_or(EncodeError::NoId)?;
    let kind = wire::order_kind_text(Product::LinearPerpetual, dispatch.kind, false);
    let kind = kind.ok_or(EncodeError::Unsupported)?;
    let trails = dispatch.kind == OrderKind::TrailingStop;
    if trails && !dispatch.stop_price.is_zero() {
        to.steps("activatePrice", &grid.tick, dispatch.stop_price.raw());
    }
    to.text("algoType", "CONDITIONAL");
    envelope.api_key(to);
    if trails {
        to.percent("callbackRate", dispatch.callback);
    }
    to.text("clientAlgoId", client_algo_id);
    if dispatch.flags.has(DispatchFlags::CLOSE_POSITION) {
        to.text("closePosition", "true");
    }
    if dispatch.kind.is_priced() {
        good_till_date(dispatch, to)?;
    }
    position_side_to_timestamp(dispatch, listing, envelope, to);
    if !trails {
        to.steps("triggerPrice", &grid.tick, dispatch.stop_price.raw());
    }
    to.text("type", kind);
    to.text(
        "workingType",
        match dispatch.trigger_by {
            TriggerBy::LastPrice => "CONTRACT_PRICE",
            TriggerBy::MarkPrice => "MARK_PRICE",
        },
    );
    Ok(())
}

/// What every new order says between these two keys.
#[inline(always)]
fn position_side_to_timestamp<S: ParamSink>(
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) {
    let grid = &listing.definition;
    let priced = dispatch.kind.is_priced();
    let closes = dispatch.kind.is_conditional() && dispatch.flags.has(DispatchFlags::CLOSE_POSITION);
    position_side(dispatch, to);
    if priced {
        to.steps("price", &grid.tick, dispatch.price.raw());
    }
    // "Quantity must be zero with closePosition" (-4137), and reduceOnly cannot be sent with it.
    if !closes {
        to.steps("quantity", &grid.lot, dispatch.quantity.raw());
    }
    envelope.recv_window(to);
    if !closes {
        reduce_only(dispatch, to);
    }
    to.text("side", wire::side_text(dispatch.side));
    to.text("symbol", listing.symbol());
    if priced {
        to.text("timeInForce", wire::time_in_force_text(dispatch.time_in_force));
    }
    envelope.timestamp(to);
}

#[inline(always)]
fn modify<S: ParamSink>(
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) -> Result<(), EncodeError> {
    let grid = &listing.definition;
    envelope.api_key(to);
    order_id(dispatch, "orderId", "origClientOrderId", to)?;
    to.steps("price", &grid.tick, dispatch.price.raw());
    to.steps("quantity", &grid.lot, dispatch.quantity.raw());
    envelope.recv_window(to);
    to.text("side", wire::side_text(dispatch.side));
    to.text("symbol", listing.symbol());
    envelope.timestamp(to);
    Ok(())
}

fn cancel_algo<S: ParamSink>(
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) -> Result<(), EncodeError> {
    envelope.api_key(to);
    to.text("clientAlgoId", dispatch.client_order_id.text().ok_or(EncodeError::NoId)?);
    envelope.recv_window(to);
    to.text("symbol", listing.symbol());
    envelope.timestamp(to);
    Ok(())
}

/// The venue keeps whole seconds of it. ("goodTillDate: mandatory when timeInForce is GTD".)
#[inline(always)]
fn good_till_date<S: ParamSink>(dispatch: &Dispatch, to: &mut S) -> Result<(), EncodeError> {
    if dispatch.time_in_force == TimeInForce::GoodTillDate {
        if dispatch.expires.is_zero() {
            return Err(EncodeError::Unsupported);
        }
        to.number("goodTillDate", dispatch.expires.as_millis());
    }
    Ok(())
}

/// Sent only where there are two: one-way mode takes BOTH for granted.
#[inline(always)]
fn position_side<S: ParamSink>(dispatch: &Dispatch, to: &mut S) {
    if dispatch.position_side != PositionSide::Both {
        to.text("positionSide", wire::position_side_text(dispatch.position_side));
    }
}

/// In hedge mode the position's side says it, and the flag is refused.
#[inline(always)]
fn reduce_only<S: ParamSink>(dispatch: &Dispatch, to: &mut S) {
    if dispatch.flags.has(DispatchFlags::REDUCE_ONLY) && dispatch.position_side == PositionSide::Both {
        to.text("reduceOnly", "true");
    }
}
