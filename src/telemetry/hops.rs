//! Latency by hop: how long each stretch of the way from socket to socket took, as distributions and never as a mean alone.
//!
//! [`HopHistograms`] belongs to one thread and is plain memory: recording adds one to a bucket that was allocated and
//! touched at start, and never waits, allocates or fails. Threads' histograms are merged when they have ended. For
//! the status line, chosen hops are also counted in a [`live`](crate::telemetry::live) histogram that another thread may read
//! meanwhile.
//!
//! Values stop at [`LONGEST`]: a longer one is counted there. Precision is three significant digits.
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

use hdrhistogram::Histogram;

use super::live::{LiveHistogram, LiveReader};

macro_rules! hops {
    ($($variant:ident $name:literal: $from:literal -> $to:literal, $meaning:literal;)+) => {
        /// A stretch of the way from a venue's bytes to ours. The table in this file is the only list of them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Hop { $(#[doc = concat!($from, " -> ", $to, ": ", $meaning)] $variant),+ }

        impl Hop {
            /// In the order in which a message meets them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As in tables and file names.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The two moments between which it is measured.
            pub const fn span(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($from, $to)),+ }
            }

            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

hops! {
    Parse          "parse":            "socket readable" -> "parsed",                "read, decrypt, unframe, scan";
    RingIn         "ring in":          "parsed" -> "taken by the core",              "the wait in the ring to the core";
    Turn           "turn":             "turn start" -> "turn end",                   "journal, derive, decide, risk, queue";
    RingOut        "ring out":         "handed over" -> "taken by the sender",       "the wait in the ring to the sender";
    Encode         "encode":           "taken by the sender" -> "bytes ready",       "kill gate, encode, sign";
    Write          "write":            "bytes ready" -> "written",                   "encrypt and send";
    TickToDecision "tick to decision": "socket readable" -> "turn end",              "events that led to a dispatch";
    TickToTrade    "tick to trade":    "socket readable" -> "written",               "the whole way, for each request sent";
    ResponseTime   "response time":    "written" -> "private confirmation",          "the venue and the network, not us";
}

impl Hop {
    #[inline]
    const fn index(self) -> usize {
        self as usize
    }
}

/// The longest latency that is told apart, in nanoseconds: one minute.
pub const LONGEST: u64 = 60_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// One thread's latencies, all hops. About 2 MB, all of it touched at construction.
#[derive(Debug)]
pub struct HopHistograms {
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    histogram: Histogram<u64>,
    live: Option<Arc<LiveHistogram>>,
}

/// One hop's distribution in a line; nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quantiles {
    pub count: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl HopHistograms {
    pub fn new() -> Self {
        Self { lanes: Hop::ALL.iter().map(|_| Lane { histogram: histogram(), live: None }).collect() }
    }

    /// Histograms of which one hop can also be read by another thread while they are written.
    pub fn with_live(hop: Hop) -> (Self, LiveReader) {
        let mut histograms = Self::new();
        let live = Arc::new(LiveHistogram::new());
        let reader = LiveReader::new(live.clone());
        if let Some(lane) = histograms.lanes.get_mut(hop.index()) {
            lane.live = Some(live);
        }
        (histograms, reader)
    }

    /// Counts one latency.
    #[inline]
    pub fn record(&mut self, hop: Hop, nanos: u64) {
        let value = nanos.min(LONGEST);
        let Some(lane) = self.lanes.get_mut(hop.index()) else { return };
        let recorded = lane.histogram.record(value);
        debug_assert!(recorded.is_ok(), "every value up to LONGEST has its bucket");
        if let Some(live) = &lane.live {
            live.count(value);
        }
    }

    /// Adds what another thread counted. Cold.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.lanes.iter_mut().zip(&other.lanes) {
            let added = ours.histogram.add(&theirs.histogram);
            debug_assert!(added.is_ok(), "all are made with the same bounds");
        }
    }

    /// Forgets everything: between a warm-up and what is to be measured. Keeps its memory.
    pub fn clear(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.histogram.reset());
    }

    /// `None` where nothing was recorded.
    pub fn quantiles(&self, hop: Hop) -> Option<Quantiles> {
        self.histogram(hop).map(|histogram| Quantiles {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        })
    }

    /// The histogram of a hop that has values.
    pub fn histogram(&self, hop: Hop) -> Option<&Histogram<u64>> {
        self.lanes.get(hop.index()).map(|lane| &lane.histogram).filter(|histogram| !histogram.is_empty())
    }

    /// Hops that have values, in the order of the way.
    pub fn recorded(&self) -> impl Iterator<Item = (Hop, Quantiles)> + '_ {
        Hop::ALL.iter().filter_map(|&hop| self.quantiles(hop).map(|quantiles| (hop, quantiles)))
    }
}

impl Default for HopHistograms {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::expect_used, reason = "at start, with constant bounds")]
fn histogram() -> Histogram<u64> {
    let mut histogram =
        Histogram::new_with_bounds(1, LONGEST, SIGNIFICANT_DIGITS).expect("the bounds are in range");
    // Stores to every bucket, so that a hot thread's first use of one is no page fault.
    histogram.reset();
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_values_to_three_digits() {
        let mut seed = 7u64;
        let mut values: Vec<u64> = (0..20_000)
            .map(|_| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (seed >> 40) % (1 << (seed >> 58 & 23))
            })
            .collect();
        let mut histograms = HopHistograms::new();
        values.iter().for_each(|&value| histograms.record(Hop::Turn, value));
        values.sort_unstable();
        let q = histograms.quantiles(Hop::Turn).unwrap();
        assert_eq!((q.count, q.max / 1_000), (20_000, values[19_999] / 1_000));
        for (quantile, told) in [(0.5, q.p50), (0.9, q.p90), (0.99, q.p99), (0.999, q.p999)] {
            let exact = values[(20_000.0 * quantile) as usize - 1];
            assert!(told.abs_diff(exact) <= exact / 1_000 + 1, "{quantile}: {told}, exactly {exact}");
        }
    }

    #[test]
    fn a_latency_beyond_the_longest_is_counted_there() {
        let mut histograms = HopHistograms::new();
        histograms.record(Hop::Write, u64::MAX);
        histograms.record(Hop::Write, 0);
        let q = histograms.quantiles(Hop::Write).unwrap();
        assert_eq!(q.count, 2);
        assert!(q.max >= LONGEST && q.max < LONGEST + LONGEST / 1_000, "{}", q.max);
    }

    #[test]
    fn a_hop_without_values_is_not_reported() {
        let mut histograms = HopHistograms::new();
        histograms.record(Hop::Encode, 5);
        assert_eq!(histograms.quantiles(Hop::Parse), None);
        assert_eq!(histograms.recorded().map(|(hop, _)| hop).collect::<Vec<_>>(), [Hop::Encode]);
    }

    #[test]
    fn merging_two_threads_equals_one_thread_that_saw_both() {
        let (mut one, mut two, mut both) = (HopHistograms::new(), HopHistograms::new(), HopHistograms::new());
        for value in 0..5_000u64 {
            let half = if value % 3 == 0 { &mut one } else { &mut two };
            half.record(Hop::RingIn, value * value);
            both.record(Hop::RingIn, value * value);
        }
        one.merge(&two);
        assert_eq!(one.quantiles(Hop::RingIn), both.quantiles(Hop::RingIn));
        one.clear();
        assert_eq!(one.quantiles(Hop::RingIn), None);
    }

    #[test]
    fn hops_have_distinct_names_and_the_place_that_their_index_says() {
        for (at, hop) in Hop::ALL.iter().enumerate() {
            assert_eq!(hop.index(), at);
            assert_eq!(Hop::ALL.iter().filter(|other| other.name() == hop.name()).count(), 1);
        }
        assert_eq!(HopHistograms::new().lanes.len(), Hop::ALL.len());
    }
}
