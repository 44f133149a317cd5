//! A runaway loop: intents per strategy in one second of event time. Cancels are not counted.
//! Hot.

use super::Subject;
use crate::time::Nanos;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let bound = subject.strategy_limits.map_or(0, |limits| limits.max_intents_per_second);
    bound != 0 && subject.memory.intents(subject.strategy) > bound
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IntentCount {
    second: u64,
    pub count: u32,
}

crate::saved! { value IntentCount { second, count } }

impl IntentCount {
    #[inline]
    pub fn one_more(&mut self, now: Nanos) {
        let second = now.raw() / 1_000_000_000;
        if second != self.second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(1);
    }
}
