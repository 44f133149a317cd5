//! The run is ending: no new orders but those of a flatten.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let control = &subject.state.control;
    control.draining && !control.is_flattening()
}
