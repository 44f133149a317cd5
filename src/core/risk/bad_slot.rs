//! A slot is a number below `MAX_SLOTS`.
//! Hot.

use super::Subject;
use crate::limits::MAX_SLOTS;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    usize::from(subject.intent.key().slot) >= MAX_SLOTS
}
