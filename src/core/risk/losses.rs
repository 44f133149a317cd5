//! What an owner has lost: of the day, and from its best. Measured twice, without what is still held and with it, and the worse counts.
//! Hot.

use crate::num::Cash;
use crate::state::stakes::Worth;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// The results when the day began.
    morning: Results,
    /// The best results since the run, or since a person forgave.
    best: Results,
    now: Results,
}

crate::saved! { value Losses { morning, best, now } }

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Results {
    realised: Cash,
    marked: Cash,
}

crate::saved! { value Results { realised, marked } }

impl Losses {
    #[inline]
    pub fn measure(&mut self, worth: Worth) {
        self.now = Results { realised: worth.realised, marked: worth.marked };
        self.best.realised = self.best.realised.max(self.now.realised);
        self.best.marked = self.best.marked.max(self.now.marked);
    }

    /// Counts from here: what was before is not its loss.
    pub fn begin(&mut self, worth: Worth) {
        let now = Results { realised: worth.realised, marked: worth.marked };
        *self = Self { morning: now, best: now, now };
    }

    pub fn begin_day(&mut self) {
        self.morning = self.now;
    }

    pub fn forgive_drawdown(&mut self) {
        self.best = self.now;
    }

    #[inline]
    pub fn of_the_day(&self) -> Cash {
        (self.morning.realised - self.now.realised).max(self.morning.marked - self.now.marked)
    }

    #[inline]
    pub fn drawdown(&self) -> Cash {
        (self.best.realised - self.now.realised).max(self.best.marked - self.now.marked)
    }
}

/// At the bound, not only past it; zero is no bound.
#[inline]
pub(super) fn reached(loss: Cash, bound: i64) -> bool {
    bound != 0 && loss >= Cash::from_wire(bound)
}
