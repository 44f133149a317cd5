//! The hot path takes no memory once it is warm: feed, rings, the core's loop with its journal and the market maker, kill
//! gate and encoder run some thousand messages under an allocator that is sealed on this thread.
//!
//! The allocator does not end the process when it is called while sealed (a test harness that dies says little): it counts,
//! keeps the size, and serves, and the test fails. The cheat test shows that it sees what it must see.
//! Not under the seal, by design: the sockets (`net_allocations` counts theirs), and the roll of the journal to a next segment.

#[path = "../benches/rig/mod.rs"]
mod rig;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use linchpin::core::time::Nanos;
use linchpin::sys::clock::Clock;
use linchpin::threads::Pass;
use rig::line::Line;
use rig::market::Market;

/// What was asked of the allocator on this thread since it was sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Broken {
    calls: u64,
    first_size: usize,
}

thread_local! {
    static SEALED: Cell<bool> = const { Cell::new(false) };
    static BROKEN: Cell<Broken> = const { Cell::new(Broken { calls: 0, first_size: 0 }) };
}

struct Sealable;

impl Sealable {
    #[inline]
    fn note(size: usize) {
        // A thread that is ending has no flag any more, and is not the one under test.
        let sealed = SEALED.try_with(Cell::get).unwrap_or(false);
        if sealed {
            let _ = BROKEN.try_with(|broken| {
                let mut seen = broken.get();
                seen.first_size = if seen.calls == 0 { size } else { seen.first_size };
                seen.calls += 1;
                broken.set(seen);
            });
        }
    }
}

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Sealable {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::note(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    /// To give memory back is a call of the allocator like any other.
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::note(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Sealable = Sealable;

/// Runs `work` on this thread with the allocator sealed, and tells what it asked for.
fn sealed(work: impl FnOnce()) -> Broken {
    BROKEN.set(Broken::default());
    SEALED.set(true);
    work();
    SEALED.set(false);
    BROKEN.get()
}

const WARM_UP: usize = 2_000;
const SEGMENT: u64 = 16 * 1024 * 1024;

/// Runs the messages of a market through the line on this thread; what comes after the warm-up under the seal. Returns what
/// broke the seal, and the orders that went out under it.
fn run(market: &Market) -> (Broken, u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clock = Clock::new();
    let mut line = Line::new(folder.path(), SEGMENT, &clock);
    for at in 0..WARM_UP {
        step(&mut line, market, at, &clock);
    }
    let mut orders = 0;
    let broken = sealed(|| {
        for at in WARM_UP..market.len() {
            orders += step(&mut line, market, at, &clock);
        }
    });
    assert!(line.receiving.is_synced(), "the book was in sync to the end");
    assert!(!line.core.is_over(), "the core did not stop by itself");
    (broken, orders)
}

/// One message, and all that follows from it. Returns the orders that went out.
fn step(line: &mut Line, market: &Market, at: usize, clock: &Clock) -> u64 {
    line.receiving.take(market, at, Nanos::new(clock.now()));
    let mut orders = 0;
    loop {
        while line.core.pass() == Pass::Busy {}
        let Some(handed) = line.sending.take() else { return orders };
        black_box(&line.sending.frame);
        line.sending.answer(&handed.dispatch);
        orders += 1;
    }
}

#[test]
fn the_hot_path_takes_no_memory_once_it_is_warm() {
    let (broken, orders) = run(&Market::synthetic(8_000, 7));
    assert!(orders > 100, "the maker traded: {orders} orders");
    assert_eq!(broken, Broken::default(), "an allocation on the hot path");
}

#[test]
fn nor_does_it_on_the_real_recording() {
    let market = Market::load(12_000);
    if !market.is_real {
        return;
    }
    let (broken, orders) = run(&market);
    assert!(orders > 100, "the maker traded: {orders} orders");
    assert_eq!(broken, Broken::default(), "an allocation on the hot path");
}

#[test]
fn cheat_an_allocation_under_the_seal_is_caught_on_its_thread_and_on_no_other() {
    let broken = sealed(|| drop(black_box(vec![1_u8; 4_321])));
    assert_eq!(broken, Broken { calls: 2, first_size: 4_321 }, "taken and given back");

    let mut list: Vec<u64> = Vec::with_capacity(4);
    let broken = sealed(|| (0..5).for_each(|n| black_box(&mut list).push(n)));
    assert_eq!(broken.calls, 1, "the list had to grow once");

    let other = std::thread::spawn(|| SEALED.get());
    let broken = sealed(|| {});
    assert!(!other.join().expect("it does not panic"), "a seal is one thread's");
    assert_eq!(broken, Broken::default());
}
