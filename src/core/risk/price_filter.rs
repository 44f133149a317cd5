//! The venue's least and greatest price, of limit and of trigger prices.
//! Hot.

use super::Subject;
use crate::num::Price;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let definition = subject.definition;
    let outside = |price: Price| {
        let above = definition.max_price.is_positive() && price > definition.max_price;
        !price.is_positive() || price < definition.min_price || above
    };
    let priced = subject.kind.is_priced() && outside(subject.price);
    // A trailing stop without an activation price is active at once.
    let triggered = subject.kind.is_conditional()
        && !(subject.is_trailing() && subject.stop_price.is_zero())
        && outside(subject.stop_price);
    priced || triggered
}
