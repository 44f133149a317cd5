//! Trading is halted for everybody; what closes a position on a kill or on an operator's wish still goes. While an operator's
//! flatten is at work, new risk waits until it is done.
//! Hot.

use super::Subject;
use crate::event::TradingState;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let control = &subject.state.control;
    if control.is_flattening() {
        return control.flattening && !subject.reduces.account;
    }
    control.trading.everybody() == TradingState::Halted
}
