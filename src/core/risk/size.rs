//! Fat finger: quantity and notional of one order.
//! Hot.

use super::{Subject, Verdict, filters};
use crate::num::Price;
use crate::record::RiskReason;

#[inline]
pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    if subject.quantity > subject.limits.max_order_quantity {
        return Err(RiskReason::OrderTooLarge);
    }
    let price = match subject.kind {
        kind if kind.is_priced() => subject.price,
        _ => filters::reference(subject).unwrap_or(Price::ZERO),
    };
    if price.notional(subject.quantity) > subject.limits.max_order_notional {
        return Err(RiskReason::OrderNotionalTooLarge);
    }
    Ok(())
}
