//! The sum of the worths of all positions of the whole account, all working and waiting orders assumed filled.
//! Hot.

use super::Subject;
use crate::num::Cash;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let bound = subject.account_limits.max_gross;
    bound != 0 && subject.exposed(subject.state.execution.stakes.account()).gross > Cash::from_wire(bound)
}
