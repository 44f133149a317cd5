//! The one clock of the engine: unix nanoseconds at the price of a register read (about 11 ns).
//!
//! It counts the CPU's own time stamp counter, and is anchored to the system's time once, when made. So it never steps and
//! never runs backwards, whatever happens to the system's time; the price is that it drifts from it by some parts in a
//! million. [`Clock::offset_to_system`] tells how far, and [`Clock::reanchored`] is the only, explicit correction.
//!
//! It must never be read by the core: time reaches the core as a stamp in an event.
//! Hot.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Cheap to clone and to send: clones share the anchor, so their stamps can be compared across threads.
#[derive(Debug, Clone)]
pub struct Clock {
    counter: quanta::Clock,
    anchor_raw: u64,
    anchor_unix: u64,
}

impl Clock {
    /// Anchors a new clock to the system's time. The first call in a process takes up to 200 ms: the counter's frequency is
    /// measured then. Make one clock at start and clone it; two clocks made apart differ by their drift.
    pub fn new() -> Self {
        let counter = quanta::Clock::new();
        let (anchor_raw, anchor_unix) = anchor(&counter);
        Self { counter, anchor_raw, anchor_unix }
    }

    /// Nanoseconds since the unix epoch. Never less than an earlier call's answer on the same thread.
    #[inline]
    pub fn now(&self) -> u64 {
        self.at(self.counter.raw())
    }

    /// How far this clock is ahead of the system's time now, in nanoseconds (negative: behind). Cold.
    pub fn offset_to_system(&self) -> i64 {
        let (raw, unix) = anchor(&self.counter);
        let ours = self.at(raw);
        ours.wrapping_sub(unix) as i64
    }

    /// A clock anchored anew. It never starts before this one's present: where the system's time is behind, the new clock
    /// keeps our lead, so a thread may change over at any moment. Threads that compare stamps must change over together.
    #[must_use]
    pub fn reanchored(&self) -> Self {
        let (anchor_raw, system_unix) = anchor(&self.counter);
        let anchor_unix = system_unix.max(self.at(anchor_raw));
        Self { counter: self.counter.clone(), anchor_raw, anchor_unix }
    }

    #[inline]
    fn at(&self, raw: u64) -> u64 {
        self.anchor_unix.wrapping_add(self.counter.delta_as_nanos(self.anchor_raw, raw))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// The counter and the system's time at one moment: of several pairs, the one read within the shortest span, so that a
/// thread put aside between the two reads does not become a constant error.
fn anchor(counter: &quanta::Clock) -> (u64, u64) {
    let mut best = read_pair(counter);
    for _ in 0..15 {
        let pair = read_pair(counter);
        if pair.span < best.span {
            best = pair;
        }
    }
    (best.raw, best.unix)
}

struct Pair {
    raw: u64,
    unix: u64,
    span: u64,
}

fn read_pair(counter: &quanta::Clock) -> Pair {
    let before = counter.raw();
    let unix = system_nanos();
    let span = counter.raw().saturating_sub(before);
    Pair { raw: before.wrapping_add(span / 2), unix, span }
}

fn system_nanos() -> u64 {
    // A host whose time is before 1970 gets zero; the clock-skew gate then keeps it from trading.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: i64 = 1_000_000;

    #[test]
    fn time_never_runs_backwards() {
        let clock = Clock::new();
        let mut last = clock.now();
        for _ in 0..200_000 {
            let now = clock.now();
            assert!(now >= last, "{now} came after {last}");
            last = now;
        }
    }

    #[test]
    fn a_new_clock_agrees_with_the_system() {
        let offset = Clock::new().offset_to_system();
        assert!(offset.abs() < 5 * MILLISECOND, "offset {offset} ns");
    }

    #[test]
    fn clones_share_the_anchor() {
        let clock = Clock::new();
        let other = clock.clone();
        let (a, b, c) = (clock.now(), other.now(), clock.now());
        assert!(a <= b && b <= c);
    }

    #[test]
    fn a_clock_that_runs_ahead_reports_it_and_does_not_step_back_when_reanchored() {
        let mut clock = Clock::new();
        clock.anchor_unix += 1_000_000_000;
        assert!(clock.offset_to_system() > 900 * MILLISECOND);
        let before = clock.now();
        assert!(clock.reanchored().now() >= before);
    }

    #[test]
    fn a_clock_that_runs_behind_is_corrected_when_reanchored() {
        let mut clock = Clock::new();
        clock.anchor_unix -= 1_000_000_000;
        assert!(clock.offset_to_system() < -900 * MILLISECOND);
        assert!(clock.reanchored().offset_to_system().abs() < 5 * MILLISECOND);
    }
}
