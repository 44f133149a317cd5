//! A conditional order whose trigger has been reached already: the venue refuses it, or it fires at once, and it was meant to wait.
//! (Binance USD-M error -2021: "Order would immediately trigger".)
//! Hot.

use super::Subject;
use crate::event::{OrderKind, Side, TriggerBy};
use crate::num::Price;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let Some(new) = subject.new.filter(|new| new.kind.is_conditional()) else { return false };
    if new.stop_price.is_zero() {
        return false;
    }
    // A stop waits on the worse side of the price, a take-profit and a trailing stop's activation on the better one.
    let waits_above = match (new.kind, new.side) {
        (OrderKind::StopMarket | OrderKind::StopLimit, side) => side == Side::Buy,
        (_, side) => side == Side::Sell,
    };
    let is_reached =
        |price: Price| if waits_above { new.stop_price <= price } else { new.stop_price >= price };
    match new.trigger_by {
        TriggerBy::MarkPrice => subject.mark_price().or(subject.reference).is_some_and(is_reached),
        // The last trade may be old, and a protective order is not refused on hearsay: the market must say so too.
        TriggerBy::LastPrice => {
            let last = subject.market.last_trade.map(|trade| trade.price);
            subject.reference.is_some_and(is_reached) && last.is_none_or(is_reached)
        }
    }
}
