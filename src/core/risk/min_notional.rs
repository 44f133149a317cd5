//! The venue's least worth of an order. What it knows to only reduce a position may be worth less.
//! (Binance USD-M "Filters / MIN_NOTIONAL"; error -4164: "Order's notional must be no smaller than ... (unless you choose reduce only)".)
//! Hot.

use super::Subject;
use crate::num::Cash;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let definition = subject.definition;
    let worth = definition.cash(subject.valued_at().notional(subject.quantity));
    !subject.only_reduces() && worth < Cash::from_wire(definition.min_notional)
}
