//! Fat finger: the quantity of one order.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.quantity > subject.limits.max_order_quantity
}
