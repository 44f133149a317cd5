//! A slot is a number below `MAX_SLOTS`; those behind hold orders of others that are claimed, and nothing is placed there.
//! Hot.

use super::Subject;
use crate::event::RequestKind;
use crate::limits::MAX_SLOTS;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.is(RequestKind::New) && usize::from(subject.intent.key().slot) >= MAX_SLOTS
}
