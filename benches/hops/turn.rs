//! One turn of the core, without journal and rings: a change at the top of the book with the market maker (which must think,
//! and moves nothing), the same where it moves both quotes and the venue answers, a depth update, a trade that wakes nobody.
//! Beside it: what the outbox costs that does nothing, by a turn on an event that changes nothing.

use std::hint::black_box;

use criterion::Criterion;
use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::{
    Body, BookTicker, Depth, DepthPart, Event, Level, RateUsage, Side, Source, Timer, Trade,
};
use linchpin::core::execution::Outbox;
use linchpin::core::id::InstrumentId;
use linchpin::core::num::{Price, Quantity};
use linchpin::core::record::{Ask, Decision};
use linchpin::core::time::Nanos;
use linchpin::core::turn::Core;

use crate::rig;

pub fn bench(criterion: &mut Criterion) {
    for instruments in [1, 64] {
        let mut group = criterion.benchmark_group(format!("turn/{instruments}_instruments"));
        let mut desk = Desk::quoting(instruments);
        group.bench_function("nothing_changes", |bencher| {
            let usage = RateUsage { bucket: 0, used: 1, limit: 2, retry_at: Nanos::ZERO };
            bencher.iter(|| desk.give(Body::RateUsage(usage)));
        });
        group.bench_function("top_moves_no_quote", |bencher| {
            bencher.iter(|| desk.top(100_000, 10));
        });
        group.bench_function("trade", |bencher| {
            let trade = Trade {
                trade_id: 1,
                price: Price::new(100_000),
                quantity: Quantity::new(1),
                aggressor: Side::Buy,
            };
            bencher.iter(|| desk.give(Body::Trade(trade)));
        });
        group.bench_function("depth_3_levels", |bencher| {
            bencher.iter(|| desk.depth(100_000, false));
        });
        assert_eq!(desk.seen.dispatches, 0, "nothing so far was to move a quote");
        group.bench_function("top_moves_both_quotes_answered", |bencher| {
            let mut bid = 100_000;
            bencher.iter(|| {
                bid = if bid == 100_000 { 100_005 } else { 100_000 };
                desk.top(bid, 10);
                desk.answer();
            });
        });
        assert!(desk.seen.dispatches > 1);
        group.finish();
    }
}

/// Keeps the last dispatches for their answers and counts the rest.
#[derive(Default)]
struct Seen {
    open: Vec<Dispatch>,
    dispatches: u64,
}

impl Outbox for Seen {
    #[inline]
    fn dispatch(&mut self, dispatch: &Dispatch) {
        self.dispatches += 1;
        self.open.push(*dispatch);
    }
    #[inline]
    fn decision(&mut self, decision: &Decision) {
        black_box(decision);
    }
    fn ask(&mut self, ask: &Ask) {
        black_box(ask);
    }
}

struct Desk {
    core: Core,
    seen: Seen,
    sequence: u64,
    update: u64,
    now: Nanos,
    deadline: Nanos,
    instrument: InstrumentId,
}

impl Desk {
    /// Both sides quoted and confirmed in the last instrument.
    fn quoting(instruments: u16) -> Self {
        let mut desk = Self {
            core: rig::core(instruments),
            seen: Seen { open: Vec::with_capacity(64), dispatches: 0 },
            sequence: 0,
            update: 100,
            now: Nanos::from_secs(1_000),
            deadline: Nanos::MAX,
            instrument: InstrumentId(instruments - 1),
        };
        for event in rig::opening(instruments, desk.now) {
            desk.turn(&event);
        }
        desk.depth(100_000, true);
        assert_eq!(desk.seen.open.len(), 2, "it quotes both sides");
        desk.answer();
        desk.seen.dispatches = 0;
        desk
    }

    fn top(&mut self, bid: i64, quantity: i64) {
        self.update += 1;
        let level = |price| Level { price: Price::new(price), quantity: Quantity::new(quantity) };
        self.give(Body::BookTicker(BookTicker {
            update_id: self.update,
            bid: level(bid),
            ask: level(bid + 1),
        }));
    }

    fn depth(&mut self, bid: i64, snapshot: bool) {
        let level = |price, quantity| Level { price: Price::new(price), quantity: Quantity::new(quantity) };
        let previous = self.update_of_book();
        self.update += 1;
        self.give(Body::Depth(Depth {
            first_update: previous + 1,
            last_update: self.update,
            previous_update: previous,
            part: DepthPart { count: 3, bids: 2, snapshot, last: true },
            levels: [level(bid, 10), level(bid - 40, self.update as i64 % 90 + 1), level(bid + 1, 10)],
        }));
    }

    fn update_of_book(&self) -> u64 {
        self.core.state().market.instrument(self.instrument).map_or(0, |market| market.last_update)
    }

    /// The venue does what was asked, and the timers that this makes due come.
    fn answer(&mut self) {
        while let Some(dispatch) = self.seen.open.pop() {
            for event in rig::answers(&dispatch, self.now) {
                self.turn(&event);
            }
        }
        while self.deadline <= self.now {
            let due = self.deadline;
            self.turn(&Event::new(self.now, Source::Timer, Body::Timer(Timer { due })));
        }
    }

    #[inline]
    fn give(&mut self, body: Body) {
        let event = Event::new(self.now, Source::Receiver, body).on(rig::VENUE, self.instrument);
        self.turn(black_box(&event));
    }

    #[inline]
    fn turn(&mut self, event: &Event) {
        self.sequence += 1;
        self.now = self.now + Nanos::new(100);
        self.deadline = self.core.turn(self.sequence, self.now, event, &mut self.seen);
    }
}
