//! Open and waiting orders of the instrument.
//! Hot.

use super::Subject;
use crate::event::RequestKind;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let room = subject.makes_room(|id| id == subject.instrument);
    let open = subject.state.execution.open_counts().on(subject.instrument);
    subject.is(RequestKind::New) && open - room >= subject.limits.max_open_orders
}
