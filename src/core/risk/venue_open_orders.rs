//! Open and waiting orders at the venue, others' on the account included.
//! Hot.

use super::Subject;
use crate::event::RequestKind;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let bound = subject.venue_limits.map_or(0, |limits| limits.max_open_orders);
    let room = subject.makes_room(|id| subject.state.execution.venue_of(id) == Some(subject.limits.venue));
    let open = subject.state.execution.open_counts().at(subject.limits.venue);
    bound != 0 && subject.is(RequestKind::New) && open - room >= bound
}
