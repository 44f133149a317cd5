//! Requests for each fill: a strategy that sends and sends and never trades wastes the venue's patience.
//!
//! Counted over the present window and the one before it, so that the count never begins from nothing in the middle of a storm. It says
//! nothing before a least number of requests was sent.
//! Hot.

use super::Subject;
use crate::limits::StrategyLimits;
use crate::state::execution::Traffic;
use crate::time::Nanos;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let Some(limits) = subject.strategy_limits else { return false };
    let now = subject.state.execution.traffic(subject.strategy);
    subject.memory.messages(subject.strategy).is_some_and(|window| window.exceeds(limits, now))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MessageWindow {
    began: Nanos,
    /// What had been sent and filled when the window before this one began, and when this one did.
    before: Traffic,
    at_start: Traffic,
}

crate::saved! { value MessageWindow { began, before, at_start } }

impl MessageWindow {
    #[inline]
    pub fn roll(&mut self, now: Nanos, length: Nanos, traffic: Traffic) {
        let passed = now.since(self.began);
        if passed < length {
            return;
        }
        // After a longer silence the window before this one was empty.
        let before = if passed.since(length) < length { self.at_start } else { traffic };
        *self = Self { began: now, before, at_start: traffic };
    }

    /// Counts from here: what was before is forgiven.
    pub fn forgive(&mut self, now: Nanos, traffic: Traffic) {
        *self = Self { began: now, before: traffic, at_start: traffic };
    }

    /// Requests sent and fills had in the two windows.
    #[inline]
    pub fn counted(&self, now: Traffic) -> Traffic {
        Traffic {
            messages: now.messages.saturating_sub(self.before.messages),
            fills: now.fills.saturating_sub(self.before.fills),
        }
    }

    #[inline]
    pub fn exceeds(&self, limits: &StrategyLimits, now: Traffic) -> bool {
        if limits.max_messages_per_fill == 0 {
            return false;
        }
        let Traffic { messages, fills } = self.counted(now);
        let allowed = fills.max(1).saturating_mul(u64::from(limits.max_messages_per_fill));
        messages >= u64::from(limits.message_minimum) && messages > allowed
    }
}
