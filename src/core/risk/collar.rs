//! Price collar: a limit price far from the trusted reference is a mistake. What waits for a trigger is measured from its trigger.
//! Hot.

use super::Subject;
use crate::num::Price;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let Some(reference) = reference(subject) else { return false };
    let distance = i128::from((subject.price - reference).abs().raw()) * 10_000;
    measures(subject) && distance > i128::from(reference.raw()) * i128::from(subject.limits.collar)
}

#[inline]
pub(super) fn measures(subject: &Subject<'_>) -> bool {
    subject.limits.collar != 0 && subject.kind.is_priced()
}

#[inline]
pub(super) fn reference(subject: &Subject<'_>) -> Option<Price> {
    if subject.kind.is_conditional() { Some(subject.stop_price) } else { subject.reference }
}
