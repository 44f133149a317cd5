//! What counting costs in allocations: nothing. Counted on the hot thread alone, by the allocator itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use linchpin::core::event::{RequestKind, Source};
use linchpin::core::id::VenueId;
use linchpin::core::record::Gate;
use linchpin::telemetry::counters::{CoreCounters, Registry, RingOutCounters};
use linchpin::telemetry::hops::{Hop, HopHistograms};
use linchpin::telemetry::log::{Level, LogBuilder, LogEvent, LogOptions, LogRecord, ShortText};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more, and nobody asks for it.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

#[test]
fn the_allocator_counts_what_a_thread_takes() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7u64)))), 1);
}

#[test]
fn recording_a_latency_of_any_length_allocates_nothing() {
    let (mut histograms, _reader) = HopHistograms::with_live(Hop::TickToTrade);
    let taken = allocations(|| {
        for bit in 0..64 {
            for &hop in Hop::ALL {
                histograms.record(hop, (1 << bit) - 1);
                histograms.record(hop, u64::MAX >> bit);
            }
        }
    });
    assert_eq!(taken, 0);
    assert_eq!(histograms.quantiles(Hop::Turn).map(|quantiles| quantiles.count), Some(128));
}

#[test]
fn looking_at_the_last_second_allocates_nothing() {
    let (mut histograms, mut reader) = HopHistograms::with_live(Hop::TickToTrade);
    histograms.record(Hop::TickToTrade, 1_234);
    let mut recent = None;
    assert_eq!(allocations(|| recent = reader.recent()), 0);
    assert_eq!(recent.map(|recent| recent.count), Some(1));
}

#[test]
fn counting_and_publishing_allocate_nothing() {
    let registry = Registry::new();
    let core = registry.block::<CoreCounters>("core");
    let ring = registry.block::<RingOutCounters>("binance_core");
    let taken = allocations(|| {
        for _ in 0..1_000 {
            core.turns.one();
            core.events.of(Source::Receiver).one();
            core.dispatches.of(RequestKind::Replace).add(2);
            core.open_orders.set(2);
            core.show_gate(VenueId(0), Some(Gate::Book));
            ring.high_water.raise(9);
        }
    });
    assert_eq!(taken, 0);
    assert_eq!(registry.snapshot().core.dispatches.total(), 2_000);
}

#[test]
fn logging_allocates_nothing_whether_the_lane_has_room_or_not() {
    let registry = Registry::new();
    let options = LogOptions { depth: 8, shown: None, ..LogOptions::default() };
    let mut logger = LogBuilder::new(options, &registry).lane("core");
    let taken = allocations(|| {
        for at in 0..20u64 {
            let record = LogRecord::new(at, LogEvent::Incident)
                .with("order", ShortText::new("k3f9a-0000000011"))
                .with("ours", -3i64);
            logger.log(record);
            logger.log(record.at(Level::Debug));
        }
    });
    assert_eq!(taken, 0);
    let log = registry.snapshot().log;
    assert_eq!((log.records, log.dropped), (8, 12));
}
