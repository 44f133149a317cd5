//! An L2 book: two sorted arrays whose best level stands at the end.
//!
//! Why this container: nearly every change is near the touch, where the end of an array makes insertion a short move
//! and the search a few steps from the end; far levels cost a binary search and one `memmove`. `benches/hops/book.rs` compares.
//! Hot.

use alloc::vec::Vec;

use crate::event::{Level, Side};
use crate::num::{Price, Quantity};

/// How many levels are tried one by one from the touch before a binary search.
const NEAR: usize = 8;

#[derive(Clone, Debug)]
pub struct Book {
    /// Ascending: the best bid is last.
    bids: Vec<Level>,
    /// Descending: the best ask is last.
    asks: Vec<Level>,
    /// At least so many levels a side are kept, the nearest.
    capacity: usize,
    /// At so many the surplus falls off at once: one move of the array for many insertions, instead of one for each.
    most: usize,
    /// Levels that fell off the far end since the last snapshot.
    dropped: u64,
}

impl Book {
    pub fn new(capacity: usize) -> Self {
        let most = capacity.saturating_add(capacity / 8);
        Self { bids: Vec::with_capacity(most), asks: Vec::with_capacity(most), capacity, most, dropped: 0 }
    }

    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.dropped = 0;
    }

    /// Sets one level; quantity zero removes it. A removal of an unknown level changes nothing, as venues document.
    #[inline]
    pub fn set(&mut self, side: Side, level: Level) {
        let (levels, found) = match side {
            Side::Buy => {
                let found = search(&self.bids, |known| known < level.price, level.price);
                (&mut self.bids, found)
            }
            Side::Sell => {
                let found = search(&self.asks, |known| known > level.price, level.price);
                (&mut self.asks, found)
            }
        };
        match (found, level.quantity.is_zero()) {
            (Ok(at), false) => {
                if let Some(known) = levels.get_mut(at) {
                    known.quantity = level.quantity;
                }
            }
            (Ok(at), true) => {
                levels.remove(at);
            }
            (Err(_), true) => {}
            (Err(at), false) => {
                let mut at = at;
                if levels.len() >= self.most {
                    if at == 0 {
                        self.dropped = self.dropped.saturating_add(1);
                        return;
                    }
                    // The farthest levels are first; none that is nearer than the new one goes.
                    let surplus = levels.len().saturating_sub(self.capacity).saturating_add(1).min(at);
                    levels.drain(..surplus);
                    self.dropped = self.dropped.saturating_add(surplus as u64);
                    at = at.saturating_sub(surplus);
                }
                levels.insert(at, level);
            }
        }
    }

    #[inline]
    pub fn best_bid(&self) -> Option<Level> {
        self.bids.last().copied()
    }

    #[inline]
    pub fn best_ask(&self) -> Option<Level> {
        self.asks.last().copied()
    }

    /// Bids from the best down.
    pub fn bids(&self) -> impl ExactSizeIterator<Item = Level> + '_ {
        self.bids.iter().rev().copied()
    }

    /// Asks from the best up.
    pub fn asks(&self) -> impl ExactSizeIterator<Item = Level> + '_ {
        self.asks.iter().rev().copied()
    }

    /// The quantity shown at a price, zero where there is none.
    pub fn quantity_at(&self, side: Side, price: Price) -> Quantity {
        let (levels, found) = match side {
            Side::Buy => (&self.bids, search(&self.bids, |known| known < price, price)),
            Side::Sell => (&self.asks, search(&self.asks, |known| known > price, price)),
        };
        found.ok().and_then(|at| levels.get(at)).map_or(Quantity::ZERO, |level| level.quantity)
    }

    #[inline]
    pub fn is_crossed(&self) -> bool {
        matches!((self.best_bid(), self.best_ask()), (Some(bid), Some(ask)) if bid.price >= ask.price)
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Where `price` stands, or where it would: from the end step by step, then by halves. `farther` says that a known
/// price is farther from the touch.
#[inline]
fn search(levels: &[Level], farther: impl Fn(Price) -> bool, price: Price) -> Result<usize, usize> {
    let mut end = levels.len();
    for known in levels.iter().rev().take(NEAR) {
        if known.price == price {
            return Ok(end - 1);
        }
        if farther(known.price) {
            return Err(end);
        }
        end -= 1;
    }
    let at = levels.get(..end).unwrap_or(&[]).partition_point(|known| farther(known.price));
    match levels.get(at) {
        Some(known) if known.price == price => Ok(at),
        _ => Err(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    fn level(price: i64, quantity: i64) -> Level {
        Level { price: Price::new(price), quantity: Quantity::new(quantity) }
    }

    #[test]
    fn a_book_equals_a_sorted_map_under_random_updates() {
        let mut book = Book::new(4096);
        let mut bids = BTreeMap::new();
        let mut asks = BTreeMap::new();
        let mut seed = 7u64;
        for _ in 0..200_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let draw = seed >> 33;
            let price = 1000 + ((draw % 97) * (draw % 13)) as i64;
            let quantity = if draw.is_multiple_of(3) { 0 } else { (draw % 50) as i64 };
            let (side, twin) =
                if draw & 1024 == 0 { (Side::Buy, &mut bids) } else { (Side::Sell, &mut asks) };
            book.set(side, level(price, quantity));
            if quantity == 0 {
                twin.remove(&price);
            } else {
                twin.insert(price, quantity);
            }
            assert_eq!(book.best_bid(), bids.last_key_value().map(|(p, q)| level(*p, *q)));
            assert_eq!(book.best_ask(), asks.first_key_value().map(|(p, q)| level(*p, *q)));
        }
        assert!(book.bids().eq(bids.iter().rev().map(|(p, q)| level(*p, *q))));
        assert!(book.asks().eq(asks.iter().map(|(p, q)| level(*p, *q))));
    }

    #[test]
    fn a_full_book_keeps_the_levels_near_the_touch() {
        let mut book = Book::new(3);
        for price in [10, 9, 8, 11, 7] {
            book.set(Side::Buy, level(price, 1));
        }
        let kept: Vec<i64> = book.bids().map(|l| l.price.raw()).collect();
        assert_eq!(kept, [11, 10, 9]);
        assert_eq!(book.dropped(), 2);
    }

    #[test]
    fn a_book_that_overflows_keeps_at_least_its_capacity_and_no_hole() {
        let mut book = Book::new(64);
        let mut seed = 11u64;
        let mut known: BTreeMap<i64, i64> = BTreeMap::new();
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let price = ((seed >> 33) % 1_000) as i64;
            book.set(Side::Buy, level(price, 1));
            known.insert(price, 1);
            let kept: Vec<i64> = book.bids().map(|l| l.price.raw()).collect();
            assert!(kept.len() >= known.len().min(64) && kept.len() <= 72);
            // The nearest of all that were ever told, without a hole down to the capacity.
            assert!(kept.iter().take(64).eq(known.keys().rev().take(kept.len().min(64))));
        }
        assert!(book.dropped() > 0);
    }

    #[test]
    fn removing_an_unknown_level_changes_nothing() {
        let mut book = Book::new(8);
        book.set(Side::Sell, level(5, 2));
        book.set(Side::Sell, level(6, 0));
        assert_eq!(book.asks().len(), 1);
    }
}
