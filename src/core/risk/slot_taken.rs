//! One live order a slot: a New into a slot that holds one is a mistake.
//! Hot.

use super::Subject;
use crate::event::RequestKind;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    if !subject.is(RequestKind::New) {
        return false;
    }
    // A cancel is on its way: the New waits for it in the queue.
    let being_cancelled = |order: &crate::state::order::Order| {
        order.inflight.is_some_and(|inflight| inflight.request == RequestKind::Cancel)
    };
    let live = subject.state.execution.live_in_slot(subject.intent.key());
    live.is_some_and(|(_, order)| !being_cancelled(order))
}
