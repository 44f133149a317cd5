//! Loss of the strategy from its best.
//! Hot.

use super::Subject;
use super::losses::reached;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let bound = subject.strategy_limits.map_or(0, |limits| limits.max_drawdown);
    bound != 0 && reached(subject.memory.losses(subject.strategy).drawdown(), bound)
}
