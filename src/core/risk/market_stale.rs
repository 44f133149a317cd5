//! New risk needs a market that was heard of lately.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.market.stale
}
