//! Loss of the whole account from its best.
//! Hot.

use super::Subject;
use super::losses::reached;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    reached(subject.memory.account_losses().drawdown(), subject.account_limits.max_drawdown)
}
