//! How much of a CPU the host takes for itself.
//!
//! A thread that does nothing but read the clock sees every moment in which it was not run: interrupts, other threads, a
//! hypervisor. Shown beside latency tails, so that nobody mends the engine for what the host did.

use std::fmt;
use std::thread;
use std::time::Duration;

use super::clock::Clock;
use super::cpu::{self, PinError};

/// What a spinner saw. Each class counts the gaps longer than its name says, so a long one is in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gaps {
    /// How long the spinner ran, in nanoseconds.
    pub observed: u64,
    pub over_1us: u64,
    pub over_10us: u64,
    pub over_100us: u64,
    /// The longest gap and the sum of all over 1 us, in nanoseconds.
    pub longest: u64,
    pub lost: u64,
}

/// Spins on `cpu` (or wherever the host puts it) for `duration` and counts. The caller waits, and should be elsewhere.
pub fn measure(clock: &Clock, cpu: Option<usize>, duration: Duration) -> Result<Gaps, PinError> {
    let clock = clock.clone();
    // On a thread of its own, so that the caller does not keep the pin.
    let spinner = thread::spawn(move || {
        if let Some(cpu) = cpu {
            cpu::pin_current(cpu)?;
        }
        Ok(spin(&clock, duration))
    });
    spinner.join().expect("the spinner has nothing that could panic")
}

fn spin(clock: &Clock, duration: Duration) -> Gaps {
    let span = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut gaps = Gaps::default();
    let began = clock.now();
    let mut last = began;
    while last.saturating_sub(began) < span {
        let now = clock.now();
        gaps.count(now.saturating_sub(last));
        last = now;
    }
    gaps.observed = last.saturating_sub(began);
    gaps
}

impl Gaps {
    #[inline]
    fn count(&mut self, gap: u64) {
        if gap <= 1_000 {
            return;
        }
        self.over_1us += 1;
        self.over_10us += u64::from(gap > 10_000);
        self.over_100us += u64::from(gap > 100_000);
        self.longest = self.longest.max(gap);
        self.lost += gap;
    }
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = if self.observed == 0 { 0.0 } else { self.lost as f64 * 100.0 / self.observed as f64 };
        write!(
            f,
            "host gaps in {:.1} ms: {} over 1 us, {} over 10 us, {} over 100 us, longest {:.1} us, {share:.2} % of the time",
            self.observed as f64 / 1e6,
            self.over_1us,
            self.over_10us,
            self.over_100us,
            self.longest as f64 / 1e3,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gap_is_counted_in_every_class_it_exceeds() {
        let mut gaps = Gaps::default();
        for gap in [10, 1_000, 1_001, 10_001, 100_001, 5_000_000] {
            gaps.count(gap);
        }
        assert_eq!((gaps.over_1us, gaps.over_10us, gaps.over_100us), (4, 3, 2));
        assert_eq!((gaps.longest, gaps.lost), (5_000_000, 5_111_003));
    }

    #[test]
    fn a_measurement_lasts_as_long_as_asked_and_loses_no_more_than_it_observed() {
        let gaps = measure(&Clock::new(), Some(cpu::available()[0]), Duration::from_millis(20)).unwrap();
        assert!(gaps.observed >= 20_000_000 && gaps.lost <= gaps.observed && gaps.longest <= gaps.lost);
        assert!(gaps.over_1us >= gaps.over_10us && gaps.over_10us >= gaps.over_100us);
        assert!(gaps.to_string().starts_with("host gaps in "));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error() {
        assert!(measure(&Clock::new(), Some(4_095), Duration::from_millis(1)).is_err());
    }
}
