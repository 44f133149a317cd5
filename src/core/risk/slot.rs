//! One live order a key: a New into a slot that holds a live order is a duplicate.
//! Hot.

use super::{Subject, Verdict};
use crate::event::RequestKind;
use crate::limits::MAX_SLOTS;
use crate::record::RiskReason;

#[inline]
pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let key = subject.intent.key();
    if usize::from(key.slot) >= MAX_SLOTS {
        return Err(RiskReason::BadSlot);
    }
    if !subject.is(RequestKind::New) {
        return Ok(());
    }
    match subject.state.execution.live_in_slot(key) {
        // A cancel is on its way: the New waits for it in the queue.
        Some((_, order)) if order.inflight.is_some_and(|i| i.request == RequestKind::Cancel) => Ok(()),
        Some(_) => Err(RiskReason::DuplicateOrder),
        None => Ok(()),
    }
}
