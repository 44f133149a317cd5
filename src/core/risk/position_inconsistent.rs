//! Our position and the venue's still disagree after a read-back: nothing is added to what nobody knows.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.state.execution.is_inconsistent(subject.instrument)
}
