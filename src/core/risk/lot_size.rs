//! The venue's least and greatest quantity of any order.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let definition = subject.definition;
    let outside = subject.quantity < definition.min_quantity || subject.quantity > definition.max_quantity;
    // What closes a position has no quantity of its own.
    outside && !subject.closes_position()
}
