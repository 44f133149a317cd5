//! Everybody may only lower exposure.
//! Hot.

use super::Subject;
use crate::event::TradingState;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.state.control.trading.everybody() == TradingState::Reducing
}
