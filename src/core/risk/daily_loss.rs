//! Loss of the strategy since the trading day began.
//! Hot.

use super::Subject;
use super::losses::reached;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let bound = subject.strategy_limits.map_or(0, |limits| limits.max_daily_loss);
    bound != 0 && reached(subject.memory.losses(subject.strategy).of_the_day(), bound)
}
