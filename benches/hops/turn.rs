//! One turn of the core, without journal and rings: a change at the top of the book with the market maker (which must think,
//! and moves nothing), the same where it moves both quotes and the venue answers, a depth update, a trade that wakes nobody.
//! Beside it: what the outbox costs that does nothing, by a turn on an event that changes nothing.

use std::hint::black_box;

use criterion::Criterion;
use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::{
    Body, BookLoss, BookTicker, Depth, DepthPart, Event, Level, RateUsage, Side, Source, Timer, Trade,
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
            bencher.iter(|| desk.move_quotes());
            assert!(desk.seen.dispatches > 1, "the quotes were to move");
        });
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

pub struct Desk {
    pub core: Core,
    seen: Seen,
    sequence: u64,
    update: u64,
    now: Nanos,
    deadline: Nanos,
    /// Where the market moves.
    pub instrument: InstrumentId,
    bid: i64,
    /// The quotes where the market moves.
    resting: Vec<Dispatch>,
    fills: u64,
}

impl Desk {
    /// Both sides quoted and confirmed in every instrument; the market moves in the last.
    pub fn quoting(instruments: u16) -> Self {
        Self::of(rig::core(instruments), instruments)
    }

    /// The same with orders that fill lot by lot: `fill_one_lot`.
    pub fn filling(instruments: u16) -> Self {
        Self::of(rig::core_of_large_orders(instruments), instruments)
    }

    fn of(core: Core, instruments: u16) -> Self {
        let mut desk = Self {
            core,
            seen: Seen { open: Vec::with_capacity(64), dispatches: 0 },
            sequence: 0,
            update: 100,
            now: Nanos::from_secs(1_000),
            deadline: Nanos::MAX,
            instrument: rig::BTC,
            bid: 100_000,
            resting: Vec::new(),
            fills: 0,
        };
        for event in rig::opening(instruments, desk.now) {
            desk.turn(&event);
        }
        for instrument in (0..instruments).map(InstrumentId) {
            desk.instrument = instrument;
            desk.depth(100_000, true);
            assert_eq!(desk.seen.open.len(), 2, "it quotes both sides");
            desk.resting.clone_from(&desk.seen.open);
            desk.answer();
        }
        desk.seen.dispatches = 0;
        desk
    }

    /// The book is lost and found again: both quotes go, and two new orders come.
    pub fn requote(&mut self) {
        self.give(Body::BookLost(BookLoss::Gap));
        self.answer();
        self.depth(100_000, true);
        self.answer();
    }

    /// So many levels on each side of every book, around the quotes.
    pub fn fill_books(&mut self, levels: i64) {
        for market in 0..self.core.state().market.count() {
            self.instrument = InstrumentId(market as u16);
            for away in 2..=levels {
                let level = |price| Level { price: Price::new(price), quantity: Quantity::new(away) };
                let sides = [level(100_000 - away), level(100_001 + away), Level::default()];
                self.update(DepthPart { count: 2, bids: 1, snapshot: false, last: true }, sides);
            }
        }
    }

    /// The top moves, both quotes follow, and the venue does what was asked.
    pub fn move_quotes(&mut self) {
        self.bid = if self.bid == 100_000 { 100_005 } else { 100_000 };
        self.top(self.bid, 10);
        self.answer();
    }

    /// One lot of the bid fills, then one of the ask, and so on.
    pub fn fill_one_lot(&mut self) {
        let side = (self.fills % 2) as usize;
        self.fills += 1;
        let event = rig::fill(&self.resting[side], self.fills.div_ceil(2) as i64, self.fills, self.now);
        self.turn(&event);
    }

    pub fn top(&mut self, bid: i64, quantity: i64) {
        self.update += 1;
        let level = |price| Level { price: Price::new(price), quantity: Quantity::new(quantity) };
        self.give(Body::BookTicker(BookTicker {
            update_id: self.update,
            bid: level(bid),
            ask: level(bid + 1),
        }));
    }

    pub fn depth(&mut self, bid: i64, snapshot: bool) {
        let level = |price, quantity| Level { price: Price::new(price), quantity: Quantity::new(quantity) };
        let far = level(bid - 40, self.update as i64 % 90 + 1);
        let part = DepthPart { count: 3, bids: 2, snapshot, last: true };
        self.update(part, [level(bid, 10), far, level(bid + 1, 10)]);
    }

    fn update(&mut self, part: DepthPart, levels: [Level; Depth::LEVELS]) {
        let previous_update = self.update_of_book();
        self.update += 1;
        let (first_update, last_update) = (previous_update + 1, self.update);
        self.give(Body::Depth(Depth { first_update, last_update, previous_update, part, levels }));
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
