//! The one list of what is counted. Each thread owns a block of its own; a [`Registry`] reads them all.
//!
//! A block is a struct of cells on cache lines that no other thread writes. Its owner holds it as [`Owned`], which cannot be
//! cloned, so that no number has two writers. `docs/METRICS.md` is printed from the list below.
//!
//! Money is in units of 10^-8 of the quote asset (the core's `CASH_DECIMALS`).
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

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use linchpin_core::event::{NotSentReason, RejectReason, RequestKind, Source};
use linchpin_core::id::{InstrumentId, VenueId};
use linchpin_core::limits::MAX_VENUES;
use linchpin_core::record::{Gate, IncidentKind, RiskReason};

use super::cell::{Cell, Counter, Family, Gauge, Peak};

/// Instruments whose position is published. The others' are in the control surface, not here.
pub const SHOWN_INSTRUMENTS: usize = 8;

type BySource<C> = Family<C, Source, { Source::ALL.len() }>;
type ByRequest<C> = Family<C, RequestKind, { RequestKind::ALL.len() }>;
type ByRiskReason<C> = Family<C, RiskReason, { RiskReason::ALL.len() }>;
type ByRejectReason<C> = Family<C, RejectReason, { RejectReason::ALL.len() }>;
type ByNotSentReason<C> = Family<C, NotSentReason, { NotSentReason::ALL.len() }>;
type ByIncident<C> = Family<C, IncidentKind, { IncidentKind::ALL.len() }>;
type ByInstrument<C> = Family<C, InstrumentId, SHOWN_INSTRUMENTS>;
type ByVenue<C> = Family<C, VenueId, MAX_VENUES>;

macro_rules! blocks {
    ($(
        $(#[doc = $about:literal])+
        $block:ident, $values:ident, $field:ident {
            $($name:ident: $cell:ty, $unit:literal, $meaning:literal;)+
        }
    )+) => {
        $(
            $(#[doc = $about])+
            // Two lines: neighbours are fetched in pairs.
            #[derive(Debug, Default)]
            #[repr(align(128))]
            pub struct $block { $(#[doc = $meaning] pub $name: $cell,)+ }

            #[doc = concat!("What the blocks `", stringify!($field), "` said, together.")]
            #[derive(Debug, Clone, Copy, Default, PartialEq)]
            pub struct $values { $(#[doc = $meaning] pub $name: <$cell as Cell>::Value,)+ }

            impl Block for $block {
                fn keep(registry: &mut Blocks, name: &str, block: Arc<Self>) {
                    registry.$field.push((name.into(), block));
                }
            }
        )+

        /// What a registry keeps. Its fields are its own.
        #[doc(hidden)]
        #[derive(Debug, Default)]
        pub struct Blocks { $($field: Vec<(String, Arc<$block>)>,)+ }

        /// All numbers at about one moment, threads of a kind together.
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct Snapshot { $($(#[doc = $about])+ pub $field: $values,)+ }

        impl Blocks {
            fn snapshot(&self) -> Snapshot {
                let mut snapshot = Snapshot::default();
                $(for (_, block) in &self.$field {
                    $(block.$name.fold(&mut snapshot.$field.$name);)+
                })+
                snapshot
            }

            fn each(&self, see: &mut dyn FnMut(Reading<'_>)) {
                $(for (owner, block) in &self.$field {
                    $(block.$name.each(&mut |label, value| see(Reading {
                        block: stringify!($field), owner, metric: stringify!($name), label, value,
                    }));)+
                })+
            }
        }

        /// The list, as data: for documents and exports.
        pub const BLOCKS: &[BlockInfo] = &[$(BlockInfo {
            name: stringify!($field),
            about: &[$($about),+],
            metrics: &[$(MetricInfo {
                name: stringify!($name),
                kind: <$cell as Cell>::KIND,
                label: <$cell as Cell>::LABEL,
                unit: $unit,
                meaning: $meaning,
            }),+],
        }),+];
    };
}

blocks! {
    /// What comes in from a venue. Owner: a receiver thread.
    ReceiverCounters, ReceiverValues, receiver {
        socket_reads: Counter, "reads", "Reads that brought bytes.";
        socket_bytes: Counter, "bytes", "Bytes read from sockets, as they are on the wire.";
        messages_scanned: Counter, "messages", "Messages that the scanner of fixed layouts understood.";
        messages_parsed: Counter, "messages", "Messages that the general JSON parser had to read.";
        messages_bad: Counter, "messages", "Messages that nobody understood; each is recorded and its stream resynchronised.";
        messages_private: Counter, "messages", "Messages of the private stream, among the above.";
        events: Counter, "events", "Events handed to the core.";
        gaps: Counter, "gaps", "Breaks in a stream's own numbering.";
        sheds: Counter, "times", "Times that the ring to the core was full for so long that every book was given up.";
        lost: Counter, "events", "Events that found no room in spite of everything; the books they belong to are given up.";
        resyncs: Counter, "resyncs", "Books that were built anew from a snapshot.";
        reconnects: Counter, "connections", "Connections that were lost, and made again.";
        renewals: Counter, "connections", "Connections that grew old and were replaced while they were still open.";
        private_twice: Counter, "messages", "Private messages that came on both connections while one was replaced.";
    }

    /// What the core does. Owner: the core thread, which publishes its gauges about every millisecond.
    CoreCounters, CoreValues, core {
        events: BySource<Counter>, "events", "Events applied, by the producer they came from.";
        turns: Counter, "turns", "Turns taken.";
        last_sequence: Gauge, "sequence", "Processing Order of the last event.";
        decisions: Counter, "records", "Decisions recorded: intents, closings, gates, incidents, questions, state hashes.";
        intents: Counter, "intents", "Intents that strategies returned.";
        denials: ByRiskReason<Counter>, "intents", "Intents that risk denied.";
        dispatches: ByRequest<Counter>, "requests", "Requests handed to a sender.";
        rejects: ByRejectReason<Counter>, "requests", "Requests that a venue refused.";
        unknown_outcomes: Counter, "requests", "Requests whose outcome had to be asked for.";
        incidents: ByIncident<Counter>, "incidents", "What a person may have to look at.";
        idle: Gauge, "0 or 1", "Nothing of ours is open, under way or waiting.";
        feeds_over: Gauge, "0 or 1", "Every market feed has ended by itself and will not return.";
        open_orders: Gauge, "orders", "Orders that can still fill.";
        fills: Counter, "fills", "Fills applied.";
        maker_fills: Counter, "fills", "Fills that made liquidity, among the above.";
        position: ByInstrument<Gauge>, "lots", "Signed position.";
        realised: Gauge, "quote 1e-8", "Realised P&L before fees.";
        unrealised: Gauge, "quote 1e-8", "Unrealised P&L at the mid price.";
        fees: Gauge, "quote 1e-8", "Fees paid; negative is a rebate.";
        closed_gate: ByVenue<Gauge>, "gate", "First closed gate of a venue: 0 is none, else the gate's code plus one.";
    }

    /// What is kept. Owner: the thread that appends to the journal.
    JournalCounters, JournalValues, journal {
        records: Counter, "records", "Records appended.";
        bytes: Counter, "bytes", "Bytes appended, headers and padding included.";
        rolls: Counter, "segments", "Segments that were full and were followed by another.";
        stalls: Counter, "stalls", "Times that the next segment was not ready in time.";
    }

    /// What goes out to a venue. Owner: a sender thread.
    SenderCounters, SenderValues, sender {
        requests_sent: ByRequest<Counter>, "requests", "Requests written to the socket.";
        socket_writes: Counter, "writes", "Writes that took bytes.";
        socket_bytes: Counter, "bytes", "Bytes written to sockets, as they are on the wire.";
        kill_gate_refusals: Counter, "requests", "Requests that the kill gate stopped.";
        renewals: Counter, "connections", "Connections that grew old and were replaced while they were still open.";
        not_sent: ByNotSentReason<Counter>, "requests", "Requests that were never begun; the core is told of each.";
    }

    /// Questions to a venue off the hot path. Owner: a requester thread.
    RequesterCounters, RequesterValues, requester {
        rest_requests: Counter, "requests", "REST requests made.";
        rest_failures: Counter, "requests", "REST requests that failed or were refused.";
        hydrations: Counter, "hydrations", "Hydrations begun.";
        key_renewals: Counter, "renewals", "Renewals of the private stream's key.";
        heartbeats: Counter, "heartbeats", "Heartbeats asked for: positions read back though nothing is in doubt.";
        audits: Counter, "audits", "Audits asked for: an instrument's open orders read back though nothing is in doubt.";
    }

    /// The filling end of a ring, under the ring's name. Owner: the thread that pushes.
    RingInCounters, RingInValues, ring_in {
        pushed: Counter, "values", "Values pushed.";
        full_hits: Counter, "values", "Pushes that found the ring full.";
    }

    /// The emptying end of a ring, under the ring's name. Owner: the thread that pops.
    RingOutCounters, RingOutValues, ring_out {
        popped: Counter, "values", "Values popped.";
        high_water: Peak, "values", "The most that ever waited in it.";
    }

    /// What the host does to a hot thread, under the thread's name. Owner: that thread, outside its passes.
    HostCounters, HostValues, host {
        involuntary_switches: Counter, "switches", "Times that the host took the CPU away from the thread.";
        pins_lost: Counter, "times", "Times that the thread was found off its CPU.";
    }

    /// Structured logs, under the name of the lane. Owner: the thread that logs.
    LogCounters, LogValues, log {
        records: Counter, "records", "Records handed to the log's writer.";
        dropped: Counter, "records", "Records dropped because the lane was full.";
    }
}

/// One thread's block. It is the only way to write to it.
#[derive(Debug)]
pub struct Owned<B>(Arc<B>);

impl<B> Deref for Owned<B> {
    type Target = B;
    #[inline]
    fn deref(&self) -> &B {
        &self.0
    }
}

/// All blocks of a run. Clones are the same registry.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    // Locked at start, when blocks are made, and by readers; never by an owner that counts.
    blocks: Arc<Mutex<Blocks>>,
}

impl Registry {
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a block for one thread (or ring, or lane) of this name: `registry.block::<SenderCounters>("sender")`. Cold.
    pub fn block<B: Block>(&self, name: &str) -> Owned<B> {
        let block = Arc::new(B::default());
        B::keep(&mut self.lock(), name, block.clone());
        Owned(block)
    }

    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    /// Every number apart: by block, owner, metric and label. For exports.
    pub fn each(&self, mut see: impl FnMut(Reading<'_>)) {
        self.lock().each(&mut see);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Blocks> {
        // A reader that panicked has changed nothing.
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kind of block. Made by the list alone.
pub trait Block: Default {
    #[doc(hidden)]
    fn keep(registry: &mut Blocks, name: &str, block: Arc<Self>);
}

/// One number of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading<'a> {
    pub block: &'static str,
    pub owner: &'a str,
    pub metric: &'static str,
    pub label: Option<String>,
    pub value: i128,
}

#[derive(Debug, Clone, Copy)]
pub struct BlockInfo {
    pub name: &'static str,
    pub about: &'static [&'static str],
    pub metrics: &'static [MetricInfo],
}

#[derive(Debug, Clone, Copy)]
pub struct MetricInfo {
    pub name: &'static str,
    pub kind: &'static str,
    pub label: Option<&'static str>,
    pub unit: &'static str,
    pub meaning: &'static str,
}

impl CoreCounters {
    /// Publishes the first closed gate of a venue.
    #[inline]
    pub fn show_gate(&self, venue: VenueId, closed: Option<Gate>) {
        let shown = closed.map_or(0, |gate| i64::from(gate.code()).saturating_add(1));
        self.closed_gate.of(venue).set(shown);
    }
}

impl CoreValues {
    /// The first closed gate of a venue, as published.
    pub fn closed_gate(&self, venue: VenueId) -> Option<Gate> {
        let code = self.closed_gate.of(venue).checked_sub(1)?;
        u8::try_from(code).ok().and_then(|code| Gate::from_code(code).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sums_threads_of_a_kind_and_takes_the_highest_peak() {
        let registry = Registry::new();
        let (one, two) = (
            registry.block::<ReceiverCounters>("receiver"),
            registry.block::<ReceiverCounters>("receiver 2"),
        );
        one.socket_bytes.add(100);
        two.socket_bytes.add(23);
        let ring = registry.block::<RingOutCounters>("binance_core");
        let other = registry.block::<RingOutCounters>("core_binance");
        ring.high_water.raise(7);
        ring.high_water.raise(5);
        other.high_water.raise(6);
        let snapshot = registry.snapshot();
        assert_eq!(snapshot.receiver.socket_bytes, 123);
        assert_eq!(snapshot.ring_out.high_water, 7);
    }

    #[test]
    fn a_family_counts_by_label_and_keeps_what_lies_beyond_its_last() {
        let registry = Registry::new();
        let core = registry.block::<CoreCounters>("core");
        core.denials.of(RiskReason::PositionLimit).one();
        core.denials.of(RiskReason::PositionLimit).one();
        core.denials.of(RiskReason::SelfCross).one();
        core.position.of(InstrumentId(3)).set(-5);
        core.position.of(InstrumentId(200)).set(9);
        let core = registry.snapshot().core;
        assert_eq!(core.denials.total(), 3);
        assert_eq!(core.denials.named(), [("max_position".to_string(), 2), ("self_cross".to_string(), 1)]);
        assert_eq!(core.position.values()[3], -5);
        assert_eq!(core.position.values().iter().sum::<i64>(), -5);
        assert_eq!(core.position.of(InstrumentId(200)), 9);
    }

    #[test]
    fn a_published_gate_is_read_back_as_itself() {
        let registry = Registry::new();
        let core = registry.block::<CoreCounters>("core");
        for &gate in Gate::ALL {
            core.show_gate(VenueId(1), Some(gate));
            assert_eq!(registry.snapshot().core.closed_gate(VenueId(1)), Some(gate));
        }
        core.show_gate(VenueId(1), None);
        assert_eq!(registry.snapshot().core.closed_gate(VenueId(1)), None);
    }

    #[test]
    fn labels_are_dense_so_that_no_named_one_falls_beyond() {
        fn dense<L: super::super::cell::Label>(all: &[L]) {
            for (at, label) in all.iter().enumerate() {
                assert_eq!(label.index(), at, "{}", L::name(at));
            }
        }
        dense(Source::ALL);
        dense(RequestKind::ALL);
        dense(RiskReason::ALL);
        dense(RejectReason::ALL);
        dense(NotSentReason::ALL);
        dense(IncidentKind::ALL);
    }

    #[test]
    fn no_two_owners_share_a_cache_line() {
        assert_eq!(align_of::<SenderCounters>(), 128);
        assert_eq!(size_of::<RingInCounters>() % 128, 0);
    }

    #[test]
    fn every_number_can_be_read_apart_with_its_owner() {
        let registry = Registry::new();
        let ring = registry.block::<RingInCounters>("binance_core");
        ring.full_hits.add(4);
        let sender = registry.block::<SenderCounters>("sender");
        sender.not_sent.of(NotSentReason::SocketFull).one();
        let mut seen = Vec::new();
        registry.each(|reading| {
            if reading.value != 0 {
                seen.push(format!(
                    "{}/{}/{}/{:?}={}",
                    reading.block, reading.owner, reading.metric, reading.label, reading.value
                ));
            }
        });
        assert_eq!(
            seen,
            ["sender/sender/not_sent/Some(\"socket_full\")=1", "ring_in/binance_core/full_hits/None=4"]
        );
    }

    #[test]
    fn a_reader_never_sees_a_counter_fall_while_its_owner_counts() {
        let registry = Registry::new();
        let core = registry.block::<CoreCounters>("core");
        let writer = std::thread::spawn(move || (0..300_000).for_each(|_| core.turns.one()));
        let mut last = 0;
        while !writer.is_finished() {
            let now = registry.snapshot().core.turns;
            assert!(now >= last);
            last = now;
        }
        writer.join().unwrap();
        assert_eq!(registry.snapshot().core.turns, 300_000);
    }
}
