//! This strategy may only lower exposure: an operator said so, or a bound of loss was reached.
//! Hot.

use super::Subject;
use crate::event::TradingState;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.state.control.trading.of(subject.strategy) == TradingState::Reducing
}
