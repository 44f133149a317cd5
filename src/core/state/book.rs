//! An L2 book: its two sides, each in `levels`.
//!
//! Why that container: the touch changes most often, but far levels come and go too (on a real recording nine of ten moved
//! levels were far ones), so a change must be cheap at any depth. `benches/hops/book.rs` compares.
//! Hot.

use crate::event::{Level, Side};
use crate::num::{Price, Quantity};
use crate::state::levels::{Levels, Towards};

#[derive(Clone, Debug)]
pub struct Book {
    bids: Levels,
    asks: Levels,
}

crate::saved! { table Book { bids, asks } }

impl Book {
    /// At least `capacity` levels a side are kept, the nearest; what is beyond may fall off.
    pub fn new(capacity: usize) -> Self {
        Self { bids: Levels::new(Towards::Higher, capacity), asks: Levels::new(Towards::Lower, capacity) }
    }

    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Sets one level; quantity zero removes it. A removal of an unknown level changes nothing, as venues document.
    #[inline]
    pub fn set(&mut self, side: Side, level: Level) {
        match side {
            Side::Buy => self.bids.set(level),
            Side::Sell => self.asks.set(level),
        }
    }

    #[inline]
    pub fn best_bid(&self) -> Option<Level> {
        self.bids.best()
    }

    #[inline]
    pub fn best_ask(&self) -> Option<Level> {
        self.asks.best()
    }

    /// Bids from the best down.
    pub fn bids(&self) -> impl ExactSizeIterator<Item = Level> + '_ {
        self.bids.iter()
    }

    /// Asks from the best up.
    pub fn asks(&self) -> impl ExactSizeIterator<Item = Level> + '_ {
        self.asks.iter()
    }

    /// The quantity shown at a price, zero where there is none.
    pub fn quantity_at(&self, side: Side, price: Price) -> Quantity {
        match side {
            Side::Buy => self.bids.quantity_at(price),
            Side::Sell => self.asks.quantity_at(price),
        }
    }

    /// The quantity on the nearest `levels` of a side.
    pub fn depth(&self, side: Side, levels: usize) -> Quantity {
        let sum = |nearest: &Levels| {
            nearest.iter().take(levels).fold(Quantity::ZERO, |sum, level| sum + level.quantity)
        };
        match side {
            Side::Buy => sum(&self.bids),
            Side::Sell => sum(&self.asks),
        }
    }

    /// Both sides have levels, and the best bid is not below the best ask.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        matches!((self.best_bid(), self.best_ask()), (Some(bid), Some(ask)) if bid.price >= ask.price)
    }

    /// Levels that fell off the far ends since the last snapshot.
    pub fn dropped(&self) -> u64 {
        self.bids.dropped() + self.asks.dropped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

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
            assert!(kept.len() >= known.len().min(64) && kept.len() <= 128);
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
