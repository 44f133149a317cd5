//! One side of a book: levels in chunks, farthest first, the best at the end of the last chunk.
//!
//! ```text
//!   order:   [ 4 ][ 0 ][ 2 ]                 chunk numbers, from far to near
//!              |    |    '-- .. .. .. best   up to 64 levels each, sorted
//!              |    '------- .. ..
//!              '------------ far ..
//! ```
//! A change moves at most one chunk's levels (1 KiB), wherever it is: deep books (thousands of levels, whose far ends come
//! and go) cost what shallow ones do. Near the touch the search is a few steps in the last chunk. Two neighbours always hold
//! more than `JOINED` levels together, so that the chunks made at the start are enough for every order of changes; nothing
//! allocates beyond the capacity given. How levels stand in chunks is seen by nobody: what falls off the far end is counted
//! in levels, not in chunks.
//! Hot.

use alloc::vec::Vec;

use crate::event::Level;
use crate::num::{Price, Quantity};
use crate::snapshot::{Saved, Sink, SnapshotError, Value, Words};

const CHUNK: usize = 64;
/// Two neighbours that hold so many together, or fewer, become one. Less than a chunk, so that one does not split again at
/// the next level.
const JOINED: usize = 48;

/// How near a price is to the touch: greater is nearer. A bid's price is its own nearness, an ask's is its negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    Higher,
    Lower,
}

#[derive(Clone, Debug)]
pub struct Levels {
    towards: Towards,
    chunks: Vec<Chunk>,
    /// Chunks in use, farthest first.
    order: Vec<u16>,
    free: Vec<u16>,
    count: usize,
    /// At least so many are kept, the nearest.
    capacity: usize,
    dropped: u64,
}

/// The levels alone, from the farthest: how they stand in chunks decides nothing.
impl Saved for Levels {
    fn save<S: Sink + ?Sized>(&self, to: &mut S) {
        let Self { towards: _, chunks: _, order: _, free: _, count, capacity: _, dropped } = self;
        to.word(*dropped);
        to.word(*count as u64);
        for place in 0..self.order.len() {
            let chunk = self.chunk(place);
            let levels = chunk.and_then(|chunk| chunk.levels.get(..chunk.count)).unwrap_or(&[]);
            levels.iter().for_each(|level| level.write(to));
        }
    }
    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        self.clear();
        let dropped = from.word()?;
        let count = from.bounded("count of levels", self.capacity + CHUNK)?;
        let mut before = i64::MIN;
        for _ in 0..count {
            let level = Level::read(from)?;
            let nearness = self.nearness(level.price);
            if nearness <= before || level.quantity.is_zero() {
                return Err(from.unfit("level in its order", level.price.raw() as u64));
            }
            before = nearness;
            self.set(level);
        }
        self.dropped = dropped;
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Chunk {
    levels: [Level; CHUNK],
    count: usize,
}

impl Levels {
    pub fn new(towards: Towards, capacity: usize) -> Self {
        // Two neighbours hold more than `JOINED` together, so all but one of the chunks hold more than half of that each. One
        // more while a full one splits, and the level before the farthest fall off.
        let most = (2 * (capacity + CHUNK + 1) / JOINED + 3).min(usize::from(u16::MAX));
        Self {
            towards,
            chunks: Vec::with_capacity(most),
            order: Vec::with_capacity(most),
            free: Vec::with_capacity(most),
            count: 0,
            capacity: capacity.max(1),
            dropped: 0,
        }
    }

    pub fn clear(&mut self) {
        self.free.append(&mut self.order);
        self.count = 0;
        self.dropped = 0;
    }

    /// Levels that fell off the far end since the last clearing.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    #[inline]
    pub fn best(&self) -> Option<Level> {
        let last = self.chunk(self.order.len().wrapping_sub(1))?;
        last.levels.get(last.count.wrapping_sub(1)).copied()
    }

    /// From the best to the farthest.
    pub fn iter(&self) -> Iter<'_> {
        Iter { levels: self, place: self.order.len(), at: 0, left: self.count }
    }

    /// The quantity at a price, zero where there is none.
    pub fn quantity_at(&self, price: Price) -> Quantity {
        let nearness = self.nearness(price);
        let chunk = self.chunk(self.place_of(nearness));
        chunk
            .and_then(|chunk| chunk.find(self.towards, nearness).ok().and_then(|at| chunk.levels.get(at)))
            .map_or(Quantity::ZERO, |level| level.quantity)
    }

    /// Sets one level; quantity zero removes it. Removing what is not there changes nothing.
    #[inline]
    pub fn set(&mut self, level: Level) {
        let nearness = self.nearness(level.price);
        let place = self.place_of(nearness);
        let towards = self.towards;
        let found = match self.chunk(place) {
            Some(chunk) => chunk.find(towards, nearness),
            None if level.quantity.is_zero() => return,
            None => return self.begin(level),
        };
        match (found, level.quantity.is_zero()) {
            (Ok(at), false) => {
                if let Some(known) = self.chunk_mut(place).and_then(|chunk| chunk.levels.get_mut(at)) {
                    known.quantity = level.quantity;
                }
            }
            (Ok(at), true) => self.remove(place, at),
            (Err(_), true) => {}
            (Err(at), false) => self.insert(place, at, level),
        }
    }

    /// The first level of an empty side.
    #[cold]
    fn begin(&mut self, level: Level) {
        let Some(number) = self.take_free() else { return };
        self.order.push(number);
        self.insert(0, 0, level);
    }

    #[inline]
    fn insert(&mut self, place: usize, at: usize, level: Level) {
        let full = self.chunk(place).is_some_and(|chunk| chunk.count == CHUNK);
        if full {
            return self.insert_full(place, at, level);
        }
        if let Some(chunk) = self.chunk_mut(place) {
            chunk.insert(at, level);
            self.count += 1;
        }
        if self.count > self.capacity + CHUNK {
            self.drop_farthest(self.count - self.capacity);
        }
    }

    /// Splits a full chunk into two halves; the level goes into the one it belongs to.
    fn insert_full(&mut self, place: usize, at: usize, level: Level) {
        const HALF: usize = CHUNK / 2;
        let Some(number) = self.take_free() else {
            // By the arithmetic of `new` this is not reached; a level lost at the far end is a level that fell off.
            self.dropped += 1;
            return;
        };
        let Some(lower) = self.chunk_mut(place) else { return };
        let mut upper = [Level::default(); CHUNK];
        for (to, from) in upper.iter_mut().zip(lower.levels.iter().skip(HALF)) {
            *to = *from;
        }
        lower.count = HALF;
        if let Some(chunk) = self.chunks.get_mut(usize::from(number)) {
            *chunk = Chunk { levels: upper, count: CHUNK - HALF };
        }
        self.order.insert(place + 1, number);
        match at.checked_sub(HALF) {
            Some(at) if at > 0 => self.insert(place + 1, at, level),
            _ => self.insert(place, at, level),
        }
        // The halves are smaller than the whole was: a neighbour that was too much for it may not be for them. The farther
        // pair last, so that the nearer place still is what it was.
        self.join_if_small(place + 1);
        if let Some(before) = place.checked_sub(1) {
            self.join_if_small(before);
        }
    }

    #[inline]
    fn remove(&mut self, place: usize, at: usize) {
        let Some(chunk) = self.chunk_mut(place) else { return };
        chunk.remove(at);
        let left = chunk.count;
        self.count -= 1;
        if left == 0 {
            self.give_back(place);
        }
        self.join_if_small(place);
        if let Some(before) = place.checked_sub(1) {
            self.join_if_small(before);
        }
    }

    /// The chunk at `place` takes over its nearer neighbour where one chunk holds both with room to spare.
    #[inline]
    fn join_if_small(&mut self, place: usize) {
        if let (Some(lower), Some(upper)) = (self.chunk(place), self.chunk(place + 1))
            && lower.count + upper.count <= JOINED
        {
            self.join(place);
        }
    }

    /// Moves the levels of the chunk behind `place` into it.
    fn join(&mut self, place: usize) {
        let Some(upper) = self.chunk(place + 1).cloned() else { return };
        let Some(lower) = self.chunk_mut(place) else { return };
        for level in upper.levels.iter().take(upper.count) {
            let at = lower.count;
            lower.insert(at, *level);
        }
        self.give_back(place + 1);
    }

    /// So many levels of the far end go: whole chunks, then the beginning of one.
    fn drop_farthest(&mut self, mut surplus: usize) {
        self.count -= surplus;
        self.dropped += surplus as u64;
        while let Some(farthest) = self.chunk_mut(0) {
            if farthest.count > surplus {
                farthest.levels.copy_within(surplus..farthest.count, 0);
                farthest.count -= surplus;
                break;
            }
            surplus -= farthest.count;
            self.give_back(0);
        }
        self.join_if_small(0);
    }

    fn take_free(&mut self) -> Option<u16> {
        if let Some(number) = self.free.pop() {
            if let Some(chunk) = self.chunks.get_mut(usize::from(number)) {
                chunk.count = 0;
            }
            return Some(number);
        }
        if self.chunks.len() == self.chunks.capacity() {
            return None;
        }
        self.chunks.push(Chunk { levels: [Level::default(); CHUNK], count: 0 });
        u16::try_from(self.chunks.len() - 1).ok()
    }

    fn give_back(&mut self, place: usize) {
        if place < self.order.len() {
            let number = self.order.remove(place);
            self.free.push(number);
        }
    }

    /// The chunk that a nearness belongs to: the nearest one that does not begin nearer than it.
    #[inline]
    fn place_of(&self, nearness: i64) -> usize {
        let last = self.order.len().saturating_sub(1);
        if self.begins_at(last).is_none_or(|begin| begin <= nearness) {
            return last;
        }
        let behind = self.order.partition_point(|number| {
            self.chunks
                .get(usize::from(*number))
                .and_then(|chunk| chunk.levels.first())
                .is_some_and(|first| self.nearness(first.price) <= nearness)
        });
        behind.saturating_sub(1)
    }

    #[inline]
    fn begins_at(&self, place: usize) -> Option<i64> {
        let first = self.chunk(place)?.levels.first()?;
        Some(self.nearness(first.price))
    }

    #[inline]
    fn chunk(&self, place: usize) -> Option<&Chunk> {
        self.chunks.get(usize::from(*self.order.get(place)?))
    }

    #[inline]
    fn chunk_mut(&mut self, place: usize) -> Option<&mut Chunk> {
        self.chunks.get_mut(usize::from(*self.order.get(place)?))
    }

    #[inline]
    fn nearness(&self, price: Price) -> i64 {
        self.towards.nearness(price)
    }
}

impl Towards {
    #[inline]
    fn nearness(self, price: Price) -> i64 {
        match self {
            Self::Higher => price.raw(),
            Self::Lower => price.raw().saturating_neg(),
        }
    }
}

impl Chunk {
    /// Where a nearness stands, or where it would.
    #[inline]
    fn find(&self, towards: Towards, nearness: i64) -> Result<usize, usize> {
        let known = self.levels.get(..self.count).unwrap_or(&[]);
        let at = known.partition_point(|level| towards.nearness(level.price) < nearness);
        match known.get(at) {
            Some(level) if towards.nearness(level.price) == nearness => Ok(at),
            _ => Err(at),
        }
    }

    /// There must be room.
    #[inline]
    fn insert(&mut self, at: usize, level: Level) {
        if at <= self.count && self.count < CHUNK {
            self.levels.copy_within(at..self.count, at + 1);
            if let Some(place) = self.levels.get_mut(at) {
                *place = level;
                self.count += 1;
            }
        }
    }

    #[inline]
    fn remove(&mut self, at: usize) {
        if at < self.count {
            self.levels.copy_within(at + 1..self.count, at);
            self.count -= 1;
        }
    }
}

/// From the best to the farthest.
pub struct Iter<'a> {
    levels: &'a Levels,
    /// The chunk behind the one that is read.
    place: usize,
    /// Levels left in the chunk that is read.
    at: usize,
    left: usize,
}

impl Iterator for Iter<'_> {
    type Item = Level;

    fn next(&mut self) -> Option<Level> {
        while self.at == 0 {
            self.place = self.place.checked_sub(1)?;
            self.at = self.levels.chunk(self.place)?.count;
        }
        self.at -= 1;
        self.left = self.left.saturating_sub(1);
        self.levels.chunk(self.place)?.levels.get(self.at).copied()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    /// Chunks are sorted, none is empty, no two neighbours could be one, and the count is true.
    fn check(levels: &Levels) {
        let mut seen = 0;
        let mut before = i64::MIN;
        for place in 0..levels.order.len() {
            let chunk = levels.chunk(place).unwrap();
            assert!(chunk.count > 0 && chunk.count <= CHUNK);
            for level in &chunk.levels[..chunk.count] {
                let nearness = levels.nearness(level.price);
                assert!(nearness > before, "sorted");
                before = nearness;
            }
            if let Some(next) = levels.chunk(place + 1) {
                assert!(chunk.count + next.count > JOINED, "small neighbours join");
            }
            seen += chunk.count;
        }
        assert_eq!(seen, levels.count);
    }

    #[test]
    fn a_side_equals_a_sorted_map_under_random_changes_at_any_depth() {
        for towards in [Towards::Higher, Towards::Lower] {
            let mut levels = Levels::new(towards, 8192);
            let mut twin: BTreeMap<i64, i64> = BTreeMap::new();
            let mut seed = 99u64;
            for round in 0..300_000u64 {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let draw = seed >> 33;
                // Phases that grow, shrink and churn.
                let keep = match (round / 50_000) % 3 {
                    0 => 3,
                    1 => 1,
                    _ => 2,
                };
                let price = 10_000 + (draw % 4_001) as i64;
                let quantity = if (draw >> 20) % 4 < keep { 1 + (draw % 9) as i64 } else { 0 };
                levels.set(Level { price: Price::new(price), quantity: Quantity::new(quantity) });
                if quantity == 0 {
                    twin.remove(&price);
                } else {
                    twin.insert(price, quantity);
                }
                let best = match towards {
                    Towards::Higher => twin.last_key_value(),
                    Towards::Lower => twin.first_key_value(),
                };
                assert_eq!(
                    levels.best().map(|l| (l.price.raw(), l.quantity.raw())),
                    best.map(|(p, q)| (*p, *q))
                );
                assert_eq!(levels.quantity_at(Price::new(price)).raw(), quantity);
                if round % 1_000 == 0 {
                    check(&levels);
                }
            }
            check(&levels);
            let all: Vec<(i64, i64)> = levels.iter().map(|l| (l.price.raw(), l.quantity.raw())).collect();
            let mut expected: Vec<(i64, i64)> = twin.into_iter().collect();
            if towards == Towards::Higher {
                expected.reverse();
            }
            assert_eq!(all, expected);
            assert_eq!(levels.iter().len(), all.len());
        }
    }

    /// Chunks split by rising prices, then thinned one by one as far as they go without joining, then as many levels anew.
    #[test]
    fn an_order_of_changes_made_to_use_up_the_chunks_does_not() {
        let capacity = 4_096;
        let mut levels = Levels::new(Towards::Higher, capacity);
        let mut twin: BTreeMap<i64, i64> = BTreeMap::new();
        let mut set = |levels: &mut Levels, price: i64, quantity: i64| {
            levels.set(Level { price: Price::new(price), quantity: Quantity::new(quantity) });
            if quantity == 0 {
                twin.remove(&price);
            } else {
                twin.insert(price, quantity);
            }
            assert!(levels.order.len() < levels.chunks.capacity());
            twin.len()
        };
        let mut next = 0;
        for _ in 0..20 {
            while levels.count < capacity {
                set(&mut levels, next, 1);
                next += 1;
            }
            for place in (0..levels.order.len()).rev() {
                while let (Some(chunk), Some(neighbour)) = (levels.chunk(place), levels.chunk(place + 1))
                    && chunk.count + neighbour.count > JOINED + 1
                    && chunk.count > 1
                {
                    let price = chunk.levels[0].price.raw();
                    set(&mut levels, price, 0);
                }
            }
            check(&levels);
        }
        assert_eq!(levels.dropped(), 0);
        assert!(levels.iter().map(|l| l.price.raw()).eq(twin.into_keys().rev()));
    }

    #[test]
    fn a_side_comes_back_from_its_saved_form_and_forgets_the_same_levels_later() {
        let (mut kept, mut seed) = (Levels::new(Towards::Lower, 300), 3u64);
        let mut draw = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let price = Price::new((seed >> 33) as i64 % 2_000);
            Level { price, quantity: Quantity::new(i64::from(!seed.is_multiple_of(5))) }
        };
        for _ in 0..50 {
            (0..200).for_each(|_| kept.set(draw()));
            let (mut form, mut again) = (Vec::new(), Vec::new());
            kept.save(&mut form);
            let mut loaded = Levels::new(Towards::Lower, 300);
            loaded.set(draw());
            loaded.load(&mut Words::new(&form)).unwrap();
            check(&loaded);
            for _ in 0..500 {
                let level = draw();
                kept.set(level);
                loaded.set(level);
                assert!(kept.iter().eq(loaded.iter()));
            }
            form.clear();
            kept.save(&mut form);
            loaded.save(&mut again);
            assert_eq!(form, again);
        }
        assert!(kept.dropped() > 0);
    }

    #[test]
    fn a_saved_side_out_of_order_or_with_an_empty_level_is_refused() {
        for quantities in [[(5, 1), (5, 1)], [(5, 1), (4, 1)], [(4, 1), (5, 0)]] {
            let mut form = Vec::new();
            0u64.write(&mut form);
            2u64.write(&mut form);
            for (price, quantity) in quantities {
                i64::write(&price, &mut form);
                i64::write(&quantity, &mut form);
            }
            let refused = Levels::new(Towards::Higher, 8).load(&mut Words::new(&form));
            assert!(matches!(refused, Err(SnapshotError::Unfit { .. })), "{refused:?}");
        }
    }

    #[test]
    fn however_sparse_the_chunks_become_those_made_at_the_start_are_enough() {
        let capacity = 1_000;
        let mut levels = Levels::new(Towards::Higher, capacity);
        let mut seed = 5u64;
        for round in 0..400_000u64 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(11);
            let price = (seed >> 40) as i64;
            let quantity = i64::from(round % 5 != 0);
            levels.set(Level { price: Price::new(price), quantity: Quantity::new(quantity) });
            assert!(levels.order.len() < levels.chunks.capacity());
            // A random level goes, wherever it is.
            if round % 3 == 0
                && let Some(some) = levels.iter().nth((seed % 977) as usize)
            {
                levels.set(Level { price: some.price, quantity: Quantity::ZERO });
            }
        }
        check(&levels);
    }
}
