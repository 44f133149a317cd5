//! The venue's percent-price filter: against the mark price, which is what the venue takes; where it gives none, the middle.
//! Hot.

use super::Subject;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let definition = subject.definition;
    if definition.percent_up == 0 || !subject.kind.is_priced() {
        return false;
    }
    let Some(mark) = subject.mark_price().or(subject.reference) else { return false };
    let scaled = i128::from(subject.price.raw()) * 10_000;
    let (up, down) = (i128::from(definition.percent_up), i128::from(definition.percent_down));
    let mark = i128::from(mark.raw());
    scaled > mark * up || scaled < mark * down
}
