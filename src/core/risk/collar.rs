//! Price collar: a limit price far on the taking side of the trusted reference is a mistake.
//! Hot.

use super::{Subject, Verdict, filters};
use crate::record::RiskReason;

#[inline]
pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    if subject.limits.collar == 0 || !subject.kind.is_priced() {
        return Ok(());
    }
    // A conditional order's limit price is for the market that triggers it.
    if subject.kind.is_conditional() {
        return Ok(());
    }
    let Some(reference) = filters::reference(subject) else {
        return Err(RiskReason::NoReferencePrice);
    };
    let distance = i128::from((subject.price - reference).abs().raw()) * 10_000;
    if distance > i128::from(reference.raw()) * i128::from(subject.limits.collar) {
        return Err(RiskReason::OutsideCollar);
    }
    Ok(())
}
