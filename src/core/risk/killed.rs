//! The kill switch: nothing goes out, but under `flatten` what lowers exposure.
//! Hot.

use super::Subject;
use crate::event::KillMode;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    match subject.state.control.kill {
        None => false,
        Some(KillMode::Flatten) => !subject.reduces.account,
        Some(KillMode::Block | KillMode::Cancel) => true,
    }
}
