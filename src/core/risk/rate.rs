//! A runaway loop trips here: intents per strategy in one second of event time.
//! Hot.

use crate::record::RiskReason;
use crate::time::Nanos;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IntentRate {
    window: u64,
    count: u32,
}

crate::saved! { value IntentRate { window, count } }

impl IntentRate {
    #[inline]
    pub(super) fn check(&mut self, now: Nanos, bound: u32) -> Result<(), RiskReason> {
        let window = now.raw() / 1_000_000_000;
        if window != self.window {
            self.window = window;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        if bound != 0 && self.count > bound { Err(RiskReason::IntentRate) } else { Ok(()) }
    }
}
