//! Open and waiting orders of the strategy.
//! Hot.

use super::Subject;
use crate::event::RequestKind;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let Some(limits) = subject.strategy_limits else { return false };
    let room = subject.makes_room(|_| true);
    let open = subject.state.execution.open_counts().of(subject.strategy);
    subject.is(RequestKind::New) && open - room >= limits.max_open_orders
}
