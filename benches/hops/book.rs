//! The book's container against others, on the changes of the real recording: all of them in order, and a single level that
//! comes and goes at the touch and 500 levels away.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;

use criterion::{Criterion, Throughput};
use linchpin::core::event::{Body, Event, Level, Side};
use linchpin::core::num::{Price, Quantity};
use linchpin::core::state::book::Book;

use crate::rig::{self, market::Market};

const CAPACITY: usize = 8_192;

pub fn bench(criterion: &mut Criterion) {
    let market = Market::load(94_000);
    let changes = changes(&rig::market::events(&market, &rig::directory(1)));
    let (snapshot, updates) = changes.split_at(changes.iter().position(|c| !c.snapshot).unwrap_or(0));

    let mut group = criterion.benchmark_group("book/recording");
    group.throughput(Throughput::Elements(updates.len() as u64));
    group.sample_size(10);
    compare::<Chosen>(&mut group, snapshot, updates);
    compare::<SortedVec>(&mut group, snapshot, updates);
    compare::<Map>(&mut group, snapshot, updates);
    compare::<Hashed>(&mut group, snapshot, updates);
    group.finish();

    for (name, away) in [("at_the_touch", 0), ("500_levels_away", 500)] {
        let mut group = criterion.benchmark_group(format!("book/level_comes_and_goes_{name}"));
        comes_and_goes::<Chosen>(&mut group, away);
        comes_and_goes::<SortedVec>(&mut group, away);
        comes_and_goes::<Map>(&mut group, away);
        comes_and_goes::<Hashed>(&mut group, away);
        group.finish();
    }
}

/// For the count of instructions: the recording's changes through one container, and a level that comes and goes in it.
pub mod counted {
    use super::*;

    pub use super::{Change, Chosen, Container, Map, SortedVec};

    /// The snapshot's changes, and those of the updates after it.
    pub fn recording(messages: usize) -> (Vec<Change>, Vec<Change>) {
        let market = Market::load(messages);
        let mut changes = changes(&rig::market::events(&market, &rig::directory(1)));
        let updates = changes.split_off(changes.iter().position(|c| !c.snapshot).unwrap_or(0));
        (changes, updates)
    }

    pub fn apply<C: Container>(book: &mut C, changes: &[Change]) {
        for change in changes {
            book.set(change.side, change.level);
            black_box(book.best());
        }
    }

    /// A thousand levels a side, every second tick.
    pub fn deep<C: Container>() -> C {
        let mut book = C::new();
        for step in 1..=1_000 {
            book.set(Side::Buy, level(100_000 - 2 * step, 5));
            book.set(Side::Sell, level(100_000 + 2 * step, 5));
        }
        book
    }

    pub fn comes_and_goes<C: Container>(book: &mut C, away: i64) {
        let price = 99_999 - 2 * away;
        book.set(Side::Buy, black_box(level(price, 7)));
        black_box(book.best());
        book.set(Side::Buy, black_box(level(price, 0)));
        black_box(book.best());
    }
}

fn level(price: i64, quantity: i64) -> Level {
    Level { price: Price::new(price), quantity: Quantity::new(quantity) }
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn compare<C: Container>(group: &mut Group<'_>, snapshot: &[Change], updates: &[Change]) {
    group.bench_function(C::NAME, |bencher| {
        bencher.iter(|| {
            let mut book = C::new();
            for change in snapshot.iter().chain(updates) {
                book.set(change.side, change.level);
                black_box(book.best());
            }
        });
    });
}

fn comes_and_goes<C: Container>(group: &mut Group<'_>, away: i64) {
    let mut book = counted::deep::<C>();
    group.bench_function(C::NAME, |bencher| {
        bencher.iter(|| counted::comes_and_goes(&mut book, away));
    });
}

pub struct Change {
    side: Side,
    level: Level,
    snapshot: bool,
}

/// Every level that the recording sets, in order.
fn changes(events: &[Event]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut put = |levels: &[Level], part: linchpin::core::event::DepthPart| {
        for (at, level) in levels.iter().take(usize::from(part.count)).enumerate() {
            let side = if at < usize::from(part.bids) { Side::Buy } else { Side::Sell };
            changes.push(Change { side, level: *level, snapshot: part.snapshot });
        }
    };
    for event in events {
        match &event.body {
            Body::Depth(depth) => put(&depth.levels, depth.part),
            Body::DepthMore(more) => put(&more.levels, more.part),
            _ => {}
        }
    }
    changes
}

pub trait Container {
    const NAME: &'static str;
    fn new() -> Self;
    fn set(&mut self, side: Side, level: Level);
    fn best(&self) -> (Option<Level>, Option<Level>);
}

pub struct Chosen(Book);

impl Container for Chosen {
    const NAME: &'static str = "chosen_sorted_chunks";
    fn new() -> Self {
        Self(Book::new(CAPACITY))
    }
    #[inline]
    fn set(&mut self, side: Side, level: Level) {
        self.0.set(side, level);
    }
    #[inline]
    fn best(&self) -> (Option<Level>, Option<Level>) {
        (self.0.best_bid(), self.0.best_ask())
    }
}

/// The usual first try: sorted, best first, searched by halves.
pub struct SortedVec([Vec<Level>; 2]);

impl Container for SortedVec {
    const NAME: &'static str = "sorted_arrays_best_first";
    fn new() -> Self {
        Self([Vec::with_capacity(CAPACITY), Vec::with_capacity(CAPACITY)])
    }
    #[inline]
    fn set(&mut self, side: Side, level: Level) {
        let [bids, asks] = &mut self.0;
        let (levels, found) = match side {
            Side::Buy => {
                let found = bids.binary_search_by(|known| level.price.cmp(&known.price));
                (bids, found)
            }
            Side::Sell => {
                let found = asks.binary_search_by(|known| known.price.cmp(&level.price));
                (asks, found)
            }
        };
        match (found, level.quantity.is_zero()) {
            (Ok(at), false) => levels[at] = level,
            (Ok(at), true) => drop(levels.remove(at)),
            (Err(at), false) => levels.insert(at, level),
            (Err(_), true) => {}
        }
    }
    #[inline]
    fn best(&self) -> (Option<Level>, Option<Level>) {
        (self.0[0].first().copied(), self.0[1].first().copied())
    }
}

pub struct Map(BTreeMap<Price, Quantity>, BTreeMap<Price, Quantity>);

impl Container for Map {
    const NAME: &'static str = "btree_map";
    fn new() -> Self {
        Self(BTreeMap::new(), BTreeMap::new())
    }
    #[inline]
    fn set(&mut self, side: Side, level: Level) {
        let levels = if side == Side::Buy { &mut self.0 } else { &mut self.1 };
        if level.quantity.is_zero() {
            levels.remove(&level.price);
        } else {
            levels.insert(level.price, level.quantity);
        }
    }
    #[inline]
    fn best(&self) -> (Option<Level>, Option<Level>) {
        let level = |(price, quantity): (&Price, &Quantity)| Level { price: *price, quantity: *quantity };
        (self.0.last_key_value().map(level), self.1.first_key_value().map(level))
    }
}

/// Quantities by price, and the best kept beside them; when the best goes, the next is looked for tick by tick.
struct Hashed {
    sides: [HashMap<i64, Quantity>; 2],
    best: [i64; 2],
}

impl Hashed {
    const NONE: [i64; 2] = [i64::MIN, i64::MAX];
    /// How far the next level is looked for: beyond it, over all levels.
    const STEPS: i64 = 1_000;

    #[cold]
    fn next(&self, at: usize, from: i64, step: i64) -> i64 {
        let near = (1..Self::STEPS).map(|n| from + n * step).find(|price| self.sides[at].contains_key(price));
        let all = || {
            let keys = self.sides[at].keys().copied();
            if at == 0 { keys.max() } else { keys.min() }
        };
        near.or_else(all).unwrap_or(Self::NONE[at])
    }
}

impl Container for Hashed {
    const NAME: &'static str = "hash_map_and_best_price";
    fn new() -> Self {
        Self { sides: [HashMap::new(), HashMap::new()], best: Self::NONE }
    }
    #[inline]
    fn set(&mut self, side: Side, level: Level) {
        let (at, step) = if side == Side::Buy { (0, -1) } else { (1, 1) };
        let price = level.price.raw();
        if !level.quantity.is_zero() {
            self.sides[at].insert(price, level.quantity);
            self.best[at] = if at == 0 { self.best[0].max(price) } else { self.best[1].min(price) };
        } else if self.sides[at].remove(&price).is_some() && self.best[at] == price {
            self.best[at] = self.next(at, price, step);
        }
    }
    #[inline]
    fn best(&self) -> (Option<Level>, Option<Level>) {
        let level = |at: usize| {
            let quantity = self.sides[at].get(&self.best[at])?;
            Some(Level { price: Price::new(self.best[at]), quantity: *quantity })
        };
        (level(0), level(1))
    }
}
