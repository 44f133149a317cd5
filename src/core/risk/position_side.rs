//! In hedge mode an order names the leg that it is about; in one-way mode there is only the position.
//! Hot.

use super::Subject;
use crate::event::PositionSide;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let Some(new) = subject.new else { return false };
    let hedged = subject.state.execution.is_hedged(subject.instrument);
    hedged == (new.position_side == PositionSide::Both)
}
