//! A small histogram that one thread writes and another reads at the same time: the last second's quantiles for the status line.
//!
//! Buckets only ever count up, and the reader subtracts what it saw at its last look. So nobody swaps, resets or waits, and
//! no count is lost or seen twice; the alternative, two histograms that change places, needs a hand-over on the hot thread.
//!
//! ```text
//! value  0 .. 31   32 .. 63  64 .. 127        2^k .. 2^(k+1)-1
//!        one each  one each  32 of width 2    32 of width 2^(k-5)      so: never off by more than 1/32
//! ```
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

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::hops::LONGEST;

/// Buckets to each doubling: 2^5.
const STEP_BITS: u32 = 5;
const STEPS: u64 = 1 << STEP_BITS;
const BUCKETS: usize = bucket(LONGEST) + 1;

/// 4 KB of counts. One thread counts; any may look, through a [`LiveReader`].
#[derive(Debug)]
pub(super) struct LiveHistogram {
    counts: Box<[AtomicU32]>,
}

impl LiveHistogram {
    pub(super) fn new() -> Self {
        Self { counts: (0..BUCKETS).map(|_| AtomicU32::new(0)).collect() }
    }

    #[inline]
    pub(super) fn count(&self, nanos: u64) {
        if let Some(cell) = self.counts.get(bucket(nanos)) {
            // Relaxed, and no read-modify-write: the owner is the only writer, each bucket is read for itself, and
            // nothing else is published through it. It wraps; the reader's difference does too.
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }
}

/// What was counted between two looks; nanoseconds, at most 1/32 above the exact value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recent {
    pub count: u64,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

/// The reading side. Allocates nothing after it is made.
#[derive(Debug)]
pub struct LiveReader {
    histogram: Arc<LiveHistogram>,
    seen: Box<[u32]>,
    fresh: Box<[u32]>,
}

impl LiveReader {
    pub(super) fn new(histogram: Arc<LiveHistogram>) -> Self {
        let zeros = || vec![0u32; BUCKETS].into_boxed_slice();
        Self { histogram, seen: zeros(), fresh: zeros() }
    }

    /// What came since the last look. `None` where nothing did.
    pub fn recent(&mut self) -> Option<Recent> {
        let mut count = 0u64;
        for ((cell, seen), fresh) in self.histogram.counts.iter().zip(&mut self.seen).zip(&mut self.fresh) {
            // Relaxed: see `count`.
            let now = cell.load(Ordering::Relaxed);
            *fresh = now.wrapping_sub(*seen);
            *seen = now;
            count = count.saturating_add(u64::from(*fresh));
        }
        if count == 0 {
            return None;
        }
        let at = |thousandths: u64| self.value_of(count.saturating_mul(thousandths).div_ceil(1_000));
        Some(Recent { count, p50: at(500), p99: at(990), max: at(1_000) })
    }

    /// The value of the `rank`th smallest, counted from 1: the upper end of its bucket.
    fn value_of(&self, rank: u64) -> u64 {
        let mut passed = 0u64;
        for (at, fresh) in self.fresh.iter().enumerate() {
            passed = passed.saturating_add(u64::from(*fresh));
            if passed >= rank {
                return upper_end(at);
            }
        }
        0
    }
}

#[inline]
#[expect(clippy::arithmetic_side_effects, reason = "the shift is at most 59, and the sums stay below 2^11")]
const fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEP_BITS;
    ((shift as u64 * STEPS) + (value >> shift)) as usize
}

#[expect(clippy::arithmetic_side_effects, reason = "for buckets of this histogram the result is below 2^36")]
const fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    ((bucket - shift * STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::hops::{Hop, HopHistograms};

    #[test]
    fn every_value_lies_in_a_bucket_whose_end_is_at_most_a_32nd_above_it() {
        let mut last = 0;
        for value in (0..5_000).chain((13..36).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])) {
            let end = upper_end(bucket(value));
            assert!(end >= value && end - value <= value / 32, "{value} ends at {end}");
            assert!(bucket(value) >= last, "{value}");
            last = bucket(value);
        }
        assert!(upper_end(BUCKETS - 1) >= LONGEST);
    }

    #[test]
    fn buckets_follow_one_another_without_a_hole() {
        for at in 1..BUCKETS {
            assert_eq!(bucket(upper_end(at - 1) + 1), at);
        }
    }

    #[test]
    fn a_look_tells_only_what_came_since_the_last_one() {
        let (mut histograms, mut reader) = HopHistograms::with_live(Hop::TickToTrade);
        assert_eq!(reader.recent(), None);
        (1..=100).for_each(|value| histograms.record(Hop::TickToTrade, value));
        histograms.record(Hop::Turn, 7);
        assert_eq!(reader.recent(), Some(Recent { count: 100, p50: 50, p99: 99, max: 101 }));
        assert_eq!(reader.recent(), None);
        histograms.record(Hop::TickToTrade, 20);
        assert_eq!(reader.recent(), Some(Recent { count: 1, p50: 20, p99: 20, max: 20 }));
        assert_eq!(histograms.quantiles(Hop::TickToTrade).unwrap().count, 101);
    }

    #[test]
    fn a_reader_beside_a_running_writer_sees_every_count_once() {
        let (mut histograms, mut reader) = HopHistograms::with_live(Hop::TickToTrade);
        const EACH: u64 = 200_000;
        let writer = std::thread::spawn(move || {
            (0..EACH).for_each(|value| histograms.record(Hop::TickToTrade, value % 5_000));
        });
        let mut total = 0;
        while !writer.is_finished() {
            total += reader.recent().map_or(0, |recent| recent.count);
        }
        writer.join().unwrap();
        total += reader.recent().map_or(0, |recent| recent.count);
        assert_eq!(total, EACH);
    }

    #[test]
    fn counts_that_wrap_are_still_told_apart() {
        let live = Arc::new(LiveHistogram::new());
        live.counts[3].store(u32::MAX, Ordering::Relaxed);
        let mut reader = LiveReader::new(live.clone());
        reader.recent();
        live.count(3);
        live.count(3);
        assert_eq!(reader.recent().map(|recent| recent.count), Some(2));
    }
}
