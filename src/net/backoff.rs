//! When to try again: exponential growth, with jitter from a seed.
//!
//! Two runs with the same seed wait the same; two desks with different seeds do not knock on a recovering venue in step.
//! Time is told, never read.

/// Delays in nanoseconds.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: u64,
    longest: u64,
    failures: u32,
    next_at: u64,
    dice: u64,
}

impl Backoff {
    /// Waits about `first` after the first failure, twice that after the second, and so on up to `longest`.
    pub fn new(first: u64, longest: u64, seed: u64) -> Self {
        Self { first: first.max(1), longest: longest.max(first).max(1), failures: 0, next_at: 0, dice: seed }
    }

    /// A try failed at `now`. Returns when the next may begin.
    pub fn failed(&mut self, now: u64) -> u64 {
        let delay = self.next_delay();
        self.failures = self.failures.saturating_add(1);
        self.next_at = now.saturating_add(delay);
        self.next_at
    }

    /// Somebody asks for a longer pause than ours: a venue's Retry-After.
    pub fn not_before(&mut self, at: u64) {
        self.next_at = self.next_at.max(at);
    }

    /// It worked: the next failure waits as little as the first. Call it when the connection has proved itself, not when it
    /// was merely accepted, or a venue that accepts and closes is hammered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.next_at = 0;
    }

    /// May a try begin now?
    pub fn is_due(&self, now: u64) -> bool {
        now >= self.next_at
    }

    /// When the next try may begin; 0 if at once.
    pub fn next_at(&self) -> u64 {
        self.next_at
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Between half of the ceiling and the ceiling: never a pointless immediate retry, never two desks in step for long.
    fn next_delay(&mut self) -> u64 {
        let factor = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let ceiling = self.first.saturating_mul(factor).min(self.longest);
        let half = ceiling / 2;
        half + self.roll() % (ceiling - half + 1)
    }

    /// splitmix64.
    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(seed: u64, count: usize) -> Vec<u64> {
        let mut backoff = Backoff::new(100, 10_000, seed);
        (0..count).map(|_| backoff.failed(0)).collect()
    }

    #[test]
    fn each_delay_lies_between_half_of_its_ceiling_and_the_ceiling() {
        for seed in 0..200 {
            for (failure, delay) in delays(seed, 80).into_iter().enumerate() {
                let ceiling = (100_u64 << failure.min(20)).min(10_000);
                assert!((ceiling / 2..=ceiling).contains(&delay), "seed {seed}, failure {failure}: {delay}");
            }
        }
    }

    #[test]
    fn the_same_seed_waits_the_same_and_another_does_not() {
        assert_eq!(delays(7, 20), delays(7, 20));
        assert_ne!(delays(7, 20), delays(8, 20));
    }

    #[test]
    fn a_try_is_due_only_after_the_delay_and_a_success_begins_anew() {
        let mut backoff = Backoff::new(100, 10_000, 1);
        assert!(backoff.is_due(0));
        for _ in 0..10 {
            backoff.failed(1_000);
        }
        let next = backoff.next_at();
        assert!(next >= 6_000 && !backoff.is_due(next - 1) && backoff.is_due(next));
        backoff.succeeded();
        assert!(backoff.is_due(0) && backoff.failures() == 0);
        assert!(backoff.failed(1_000) <= 1_100);
    }

    #[test]
    fn a_longer_pause_than_ours_is_kept_and_a_shorter_one_changes_nothing() {
        let mut backoff = Backoff::new(100, 10_000, 1);
        let ours = backoff.failed(0);
        backoff.not_before(ours - 1);
        assert_eq!(backoff.next_at(), ours);
        backoff.not_before(60_000);
        assert!(!backoff.is_due(59_999) && backoff.is_due(60_000));
    }

    #[test]
    fn senseless_settings_neither_panic_nor_spin() {
        let mut backoff = Backoff::new(0, 0, 0);
        for _ in 0..100 {
            backoff.failed(u64::MAX);
        }
        let mut huge = Backoff::new(u64::MAX, 1, 0);
        assert!(huge.failed(0) >= u64::MAX / 2);
    }
}
