//! Loss of the whole account since the trading day began.
//! Hot.

use super::Subject;
use super::losses::reached;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    reached(subject.memory.account_losses().of_the_day(), subject.account_limits.max_daily_loss)
}
