//! The worth of the position, with all working and waiting orders of the side assumed filled.
//! Hot.

use super::Subject;
use crate::num::Cash;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let bound = subject.limits.max_position_notional;
    if bound == 0 {
        return false;
    }
    let price = subject.reference.unwrap_or(subject.valued_at());
    subject.definition.cash(price.notional(subject.worst)) > Cash::from_wire(bound)
}
