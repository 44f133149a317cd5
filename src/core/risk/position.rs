//! The position bound, with all working and waiting orders of the side assumed filled.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.worst > subject.limits.max_position
}
