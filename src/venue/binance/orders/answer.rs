//! What the venue answers to a request, over the WebSocket API and over REST, and the rate limits that an answer states.
//! (USD-M and Spot "WebSocket API / Response format"; Spot "Cancel and replace order", "Order Amend Keep Priority"; USD-M "New Algo
//! Order", "Cancel Algo Order".)
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::super::errors;
use super::super::json::{Json, JsonError};
use super::super::wire::{Hold, bucket};
use crate::core::event::{RateUsage, RejectReason, Verdict};
use crate::core::instrument::Product;
use crate::core::time::Nanos;

/// What an answer says.
pub(super) struct Read {
    pub id: AnswerId,
    pub code: i32,
    /// Zero where it names no order of the matching engine: a conditional order that waits has none.
    pub order_id: u64,
    pub verdict: Verdict,
    pub reason: RejectReason,
}

/// Our time, and how far ahead of it the venue's clock is.
#[derive(Clone, Copy)]
pub(super) struct VenueNow {
    pub ours: Nanos,
    pub offset_millis: i64,
}

impl VenueNow {
    /// An instant of the venue's clock, by ours.
    fn ours(self, venue_millis: u64) -> Nanos {
        Nanos::from_millis(venue_millis.saturating_add_signed(self.offset_millis.saturating_neg()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerId {
    Dispatch(u64),
    Logon,
    None,
}

/// What an answer says of limits: the entries of `rateLimits` that are read, the rest of which is left, and what it closes.
pub(super) const MOST_RATES: usize = 8;

/// One text of the WebSocket API, which came at `now`.
pub(super) fn answer(
    product: Product,
    json: Json<'_, '_>,
    now: VenueNow,
    rates: &mut Vec<RateUsage>,
) -> Result<Read, JsonError> {
    let id = match json.field("id") {
        Some(id) => match (id.as_uint(), id.as_text()) {
            (Some(number), _) => AnswerId::Dispatch(number),
            (None, Some("logon")) => AnswerId::Logon,
            (None, Some(text)) => text.parse().map_or(AnswerId::None, AnswerId::Dispatch),
            (None, None) => AnswerId::None,
        },
        None => AnswerId::None,
    };
    let mut read = Read { id, code: 0, order_id: 0, verdict: Verdict::Unknown, reason: RejectReason::Other };
    let Some(_) = json.field("status") else {
        return Ok(Read { id: AnswerId::None, ..read });
    };
    let status = u16::try_from(json.uint("status")?).unwrap_or(0);
    let mut asked = None;
    if let Some(error) = json.field("error") {
        let told = refusal(product, status, error)?;
        (read.code, read.verdict, read.reason) = (told.code, told.verdict, told.reason);
        if let Some(data) = error.field("data")
            && data.has("retryAfter")
        {
            asked = Some(now.ours(data.uint("retryAfter")?));
        }
    } else {
        (read.verdict, read.reason) = errors::verdict(product, status, 0, "");
    }
    if let Some(result) = json.field("result") {
        read.order_id = order_id(result)?;
    }
    if json.field("rateLimits").is_some() {
        for limit in json.list("rateLimits")?.take(MOST_RATES - 1) {
            if let Some(usage) = rate_usage(limit)? {
                rates.push(usage);
            }
        }
    }
    if let Some(hold) = Hold::of(status, read.code, asked, now.ours) {
        hold.note(rates);
    }
    Ok(read)
}

/// The body of a REST answer with this status.
pub(super) fn rest(product: Product, status: u16, json: Json<'_, '_>) -> Result<Read, JsonError> {
    // USD-M's algo service says its success in the same field, as the text "200".
    let refused = json.field("code").is_some_and(|code| code.as_text() != Some("200"));
    let mut read = Read {
        id: AnswerId::None,
        code: 0,
        order_id: order_id(json)?,
        verdict: Verdict::Unknown,
        reason: RejectReason::Other,
    };
    if refused {
        let told = refusal(product, status, json)?;
        (read.code, read.verdict, read.reason) = (told.code, told.verdict, told.reason);
    } else {
        (read.verdict, read.reason) = errors::verdict(product, status, 0, "");
    }
    Ok(read)
}

struct Refusal {
    code: i32,
    verdict: Verdict,
    reason: RejectReason,
}

/// `{"code":..,"msg":..}`. Of a cancel-replace in which both halves failed, the half that failed first says why.
fn refusal(product: Product, status: u16, error: Json<'_, '_>) -> Result<Refusal, JsonError> {
    const CANCEL_REPLACE_FAILED: i32 = -2022;
    let code_of = |json: Json<'_, '_>| Ok(i32::try_from(json.int("code")?).unwrap_or(i32::MIN));
    let code = code_of(error)?;
    let halves = error.field("data").and_then(|data| data.field("cancelResponse"));
    if let (Product::Spot, CANCEL_REPLACE_FAILED, Some(cancel)) = (product, code, halves)
        && cancel.has("code")
    {
        let code = code_of(cancel)?;
        let (verdict, reason) = errors::verdict(product, status, code, cancel.text_or_empty("msg")?);
        return Ok(Refusal { code, verdict, reason });
    }
    let (verdict, reason) = errors::verdict(product, status, code, error.text_or_empty("msg")?);
    Ok(Refusal { code, verdict, reason })
}

/// The matching engine's number of the order that lives on after the request.
fn order_id(result: Json<'_, '_>) -> Result<u64, JsonError> {
    for inner in ["newOrderResponse", "amendedOrder"] {
        if let Some(order) = result.field(inner) {
            return order.uint_or("orderId", 0);
        }
    }
    result.uint_or("orderId", 0)
}

fn rate_usage(limit: Json<'_, '_>) -> Result<Option<RateUsage>, JsonError> {
    let kind = limit.text("rateLimitType")?;
    let Some(bucket) = bucket::of(kind, limit.text("interval")?, limit.uint("intervalNum")?) else {
        return Ok(None);
    };
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let used = small(limit.uint_or("count", 0)?);
    Ok(Some(RateUsage { bucket, used, limit: small(limit.uint("limit")?), retry_at: Nanos::ZERO }))
}
