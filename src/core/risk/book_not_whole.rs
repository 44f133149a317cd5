//! New risk needs a book that is synchronised and whole.
//! Hot.

use super::Subject;
use crate::state::market::BookSync;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.market.sync != BookSync::Whole || subject.market.top.is_none()
}
