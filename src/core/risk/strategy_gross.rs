//! The sum of the worths of all positions of the strategy, all working and waiting orders assumed filled.
//! Hot.

use super::Subject;
use crate::num::Cash;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let bound = subject.strategy_limits.map_or(0, |limits| limits.max_gross);
    bound != 0 && subject.exposed(subject.place.owner).gross > Cash::from_wire(bound)
}
