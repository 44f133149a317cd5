//! The order table has a row for it.
//! Hot.

use super::Subject;
use crate::event::RequestKind;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.is(RequestKind::New) && !subject.state.execution.orders.has_room()
}
