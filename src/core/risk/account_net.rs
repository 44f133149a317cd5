//! The worth of all positions together, long against short of the whole account, all working and waiting orders assumed filled.
//! Hot.

use super::Subject;
use crate::num::Cash;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let bound = subject.account_limits.max_net;
    bound != 0 && subject.exposed(subject.state.execution.stakes.account()).net() > Cash::from_wire(bound)
}
