//! This strategy is halted: by an operator, or because it ran away.
//! Hot.

use super::Subject;
use crate::event::TradingState;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.state.control.trading.of(subject.strategy) == TradingState::Halted
}
