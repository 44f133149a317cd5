//! The venue's greatest quantity of what fills at market.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    !subject.kind.is_priced() && subject.quantity > subject.definition.max_market_quantity
}
