//! A collar needs something to measure from.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    super::collar::measures(subject) && super::collar::reference(subject).is_none()
}
