//! A best bid at or above the best ask is no market: one of the two is old.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.market.top.is_some_and(|top| top.is_crossed())
}
