//! What the requester may use of the venue's request weight: questions about a doubt before snapshots, snapshots before rounds, and a part is
//! left to what goes over REST when order entry is down.
//!
//! The venue counts by the address and by its own minutes ("General Info / IP Limits" of USD-M and Spot; `X-MBX-USED-WEIGHT-1M` in every answer).
//! A span of a minute that ends now holds never less than the venue's present minute does, so it is counted here over that; what the
//! venue counts beyond it is somebody else's on the address, and is counted with it.

use std::collections::VecDeque;

use crate::core::time::Nanos;

const MINUTE: Nanos = Nanos::from_secs(60);

/// For whom something is asked: the later, the more of the limit must be free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The core's questions: a doubt holds orders.
    Doubt,
    /// The receiver's: a book waits for it.
    Snapshot,
    /// Heartbeats and audits: nothing waits.
    Round,
}

impl Purpose {
    /// In hundredths of the published limit. One question may need several requests, and is not begun above this; the weightiest
    /// (a whole account) is below 4 of them.
    const fn share(self) -> u64 {
        match self {
            Self::Doubt => 80,
            Self::Snapshot => 60,
            Self::Round => 40,
        }
    }
}

pub(super) struct Budget {
    /// Weight a minute, as the venue publishes it; `None`: unknown, and nothing is held back.
    limit: Option<u32>,
    /// When, and how much; the oldest first.
    spent: VecDeque<(Nanos, u32)>,
    sum: u32,
}

impl Budget {
    pub fn new(limit: Option<u32>) -> Self {
        Self { limit, spent: VecDeque::new(), sum: 0 }
    }

    pub fn allows(&mut self, purpose: Purpose, now: Nanos) -> bool {
        self.forget(now);
        self.limit.is_none_or(|limit| u64::from(self.sum) * 100 < u64::from(limit) * purpose.share())
    }

    pub fn spend(&mut self, weight: u32, now: Nanos) {
        if self.limit.is_some() && weight > 0 {
            self.spent.push_back((now, weight));
            self.sum = self.sum.saturating_add(weight);
        }
    }

    /// The venue's own count of its present minute.
    pub fn told(&mut self, used: u32, now: Nanos) {
        self.forget(now);
        self.spend(used.saturating_sub(self.sum), now);
    }

    fn forget(&mut self, now: Nanos) {
        while let Some((_, weight)) = self.spent.front().copied().filter(|(at, _)| now.since(*at) >= MINUTE) {
            self.spent.pop_front();
            self.sum -= weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(at: u64) -> Nanos {
        Nanos::from_secs(at)
    }

    #[test]
    fn two_hundred_snapshots_do_not_pass_the_limit_and_a_doubt_goes_first() {
        // Spot: 200 instruments, 50 a snapshot, 6,000 a minute.
        let mut budget = Budget::new(Some(6_000));
        let (mut asked, mut minute) = (0, [0; 10]);
        for tick in 0..600 {
            let now = second(tick);
            while asked < 200 && budget.allows(Purpose::Snapshot, now) {
                budget.spend(50, now);
                minute[tick as usize / 60] += 50;
                asked += 1;
            }
            if tick == 30 {
                assert!(budget.allows(Purpose::Doubt, now), "there is room left for a doubt");
                assert!(!budget.allows(Purpose::Round, now));
            }
        }
        assert_eq!(asked, 200, "all of them, in the end");
        assert!(minute.iter().all(|used| *used <= 6_000 * 60 / 100), "{minute:?}");
    }

    #[test]
    fn what_others_on_the_address_use_is_counted_with_ours() {
        let mut budget = Budget::new(Some(1_000));
        budget.spend(100, second(1));
        budget.told(100, second(1));
        assert!(budget.allows(Purpose::Round, second(1)), "the same, told again, is not more");
        budget.told(900, second(2));
        assert!(!budget.allows(Purpose::Doubt, second(2)));
        // A new minute of the venue's begins again from nothing, and does not give back what a minute from now has used.
        budget.told(5, second(30));
        assert!(!budget.allows(Purpose::Doubt, second(61)));
        assert!(budget.allows(Purpose::Round, second(62)));
    }

    #[test]
    fn a_venue_that_publishes_no_limit_is_asked_what_is_to_be_asked() {
        let mut budget = Budget::new(None);
        budget.spend(u32::MAX, second(1));
        assert!(budget.allows(Purpose::Round, second(1)));
    }
}
