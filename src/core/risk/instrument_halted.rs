//! The venue says that the instrument is not trading.
//! Hot.

use super::Subject;
use crate::instrument::InstrumentStatus;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.definition.status != InstrumentStatus::Trading
}
