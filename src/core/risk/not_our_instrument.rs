//! A strategy trades the instruments that configuration gave it.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    subject.strategy_limits.is_some_and(|limits| !limits.instruments.contains(&subject.instrument.0))
}
