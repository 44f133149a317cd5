//! Fat finger: the worth of one order.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.valued_at().notional(subject.quantity) > subject.limits.max_order_notional
}
