//! A related private event is still expected: nobody plans from half of the news.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    !subject.state.account.is_settled(subject.instrument)
}
