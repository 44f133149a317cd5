//! The worth of all positions together, long against short of the strategy, all working and waiting orders assumed filled.
//! Hot.

use super::Subject;
use crate::num::Cash;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let bound = subject.strategy_limits.map_or(0, |limits| limits.max_net);
    bound != 0 && subject.exposed(subject.place.owner).net() > Cash::from_wire(bound)
}
