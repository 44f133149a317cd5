//! The matching book of one instrument: price-time priority, exact, nothing hidden.
//!
//! Keeps the order of arrival within a price and remembers which prices changed since the last public diff. Knows no accounts' money and no rules:
//! whoever calls it has already decided that the order may rest.

use super::api::{AccountId, PriceLevel, Side};
use super::decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// One order at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    pub order_id: u64,
    pub account: AccountId,
    pub leaves: Decimal,
}

#[derive(Default)]
struct Level {
    total: Decimal,
    queue: VecDeque<Resting>,
}

/// Bids and asks with their queues.
#[derive(Default)]
pub struct Book {
    bids: BTreeMap<Decimal, Level>,
    asks: BTreeMap<Decimal, Level>,
    /// Where an order is. Only looked up, never iterated: its order would be the hash's.
    places: HashMap<u64, (Side, Decimal)>,
    changed: BTreeSet<(Side, Decimal)>,
}

impl Book {
    /// The best price of `side` and its displayed quantity.
    pub fn best(&self, side: Side) -> Option<PriceLevel> {
        let (price, level) = match side {
            Side::Buy => self.bids.last_key_value()?,
            Side::Sell => self.asks.first_key_value()?,
        };
        Some((*price, level.total))
    }

    /// The order that trades next on `side`.
    pub fn front(&self, side: Side) -> Option<(Decimal, Resting)> {
        let (price, level) = match side {
            Side::Buy => self.bids.last_key_value()?,
            Side::Sell => self.asks.first_key_value()?,
        };
        level.queue.front().map(|resting| (*price, *resting))
    }

    /// Levels of `side`, best first.
    pub fn levels(&self, side: Side) -> Box<dyn Iterator<Item = PriceLevel> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.iter().rev().map(|(price, level)| (*price, level.total))),
            Side::Sell => Box::new(self.asks.iter().map(|(price, level)| (*price, level.total))),
        }
    }

    /// Orders of `side` in the order in which they would trade.
    pub fn queue(&self, side: Side) -> Box<dyn Iterator<Item = (Decimal, &Resting)> + '_> {
        match side {
            Side::Buy => Box::new(
                self.bids
                    .iter()
                    .rev()
                    .flat_map(|(price, level)| level.queue.iter().map(|resting| (*price, resting))),
            ),
            Side::Sell => Box::new(
                self.asks
                    .iter()
                    .flat_map(|(price, level)| level.queue.iter().map(|resting| (*price, resting))),
            ),
        }
    }

    /// The same from the far end, worst price first.
    pub fn queue_from_far(&self, side: Side) -> Box<dyn Iterator<Item = (Decimal, &Resting)> + '_> {
        match side {
            Side::Buy => Box::new(
                self.bids
                    .iter()
                    .flat_map(|(price, level)| level.queue.iter().map(|resting| (*price, resting))),
            ),
            Side::Sell => Box::new(
                self.asks
                    .iter()
                    .rev()
                    .flat_map(|(price, level)| level.queue.iter().map(|resting| (*price, resting))),
            ),
        }
    }

    pub fn depth(&self, side: Side) -> usize {
        self.side(side).len()
    }

    pub fn quantity_at(&self, side: Side, price: Decimal) -> Decimal {
        self.side(side).get(&price).map_or(Decimal::ZERO, |level| level.total)
    }

    /// Puts an order at the end of its price's queue.
    pub fn insert(&mut self, side: Side, price: Decimal, resting: Resting) {
        self.places.insert(resting.order_id, (side, price));
        let level = self.side_mut(side).entry(price).or_default();
        level.total += resting.leaves;
        level.queue.push_back(resting);
        self.changed.insert((side, price));
    }

    /// Takes `quantity` off an order, which keeps its place; an order with nothing left leaves the book.
    pub fn reduce(&mut self, order_id: u64, quantity: Decimal) {
        let Some(&(side, price)) = self.places.get(&order_id) else { return };
        let Some(level) = self.side_mut(side).get_mut(&price) else { return };
        let Some(at) = level.queue.iter().position(|resting| resting.order_id == order_id) else { return };
        let leaves = level.queue[at].leaves;
        if quantity >= leaves {
            self.remove(order_id);
            return;
        }
        level.queue[at].leaves = leaves - quantity;
        level.total -= quantity;
        self.changed.insert((side, price));
    }

    /// Takes an order out of the book.
    pub fn remove(&mut self, order_id: u64) -> Option<Resting> {
        let (side, price) = self.places.remove(&order_id)?;
        let levels = self.side_mut(side);
        let level = levels.get_mut(&price)?;
        let at = level.queue.iter().position(|resting| resting.order_id == order_id)?;
        let resting = level.queue.remove(at)?;
        level.total -= resting.leaves;
        if level.queue.is_empty() {
            levels.remove(&price);
        }
        self.changed.insert((side, price));
        Some(resting)
    }

    /// The prices that changed since the last call, with their quantities now: bids descending, asks ascending.
    pub fn take_changes(&mut self) -> (Vec<PriceLevel>, Vec<PriceLevel>) {
        let changed = std::mem::take(&mut self.changed);
        let with_quantity = |&(side, price): &(Side, Decimal)| (price, self.quantity_at(side, price));
        let bids = changed.iter().filter(|(side, _)| *side == Side::Buy).rev().map(with_quantity).collect();
        let asks = changed.iter().filter(|(side, _)| *side == Side::Sell).map(with_quantity).collect();
        (bids, asks)
    }

    fn side(&self, side: Side) -> &BTreeMap<Decimal, Level> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Decimal, Level> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resting(order_id: u64, lots: i64) -> Resting {
        Resting { order_id, account: AccountId(1), leaves: Decimal::new(lots, 3) }
    }

    #[test]
    fn a_reduced_order_keeps_its_place_and_a_new_one_queues_behind() {
        let mut book = Book::default();
        let price = Decimal::new(100, 0);
        book.insert(Side::Buy, price, resting(1, 10));
        book.insert(Side::Buy, price, resting(2, 10));
        book.reduce(1, Decimal::new(4, 3));
        assert_eq!(book.front(Side::Buy), Some((price, resting(1, 6))));
        assert_eq!(book.best(Side::Buy), Some((price, Decimal::new(16, 3))));
        book.reduce(1, Decimal::new(6, 3));
        assert_eq!(book.front(Side::Buy), Some((price, resting(2, 10))));
    }

    #[test]
    fn an_emptied_level_is_reported_once_with_quantity_zero() {
        let mut book = Book::default();
        let price = Decimal::new(100, 0);
        book.insert(Side::Sell, price, resting(1, 10));
        assert_eq!(book.take_changes(), (vec![], vec![(price, Decimal::new(10, 3))]));
        book.remove(1);
        assert_eq!(book.take_changes(), (vec![], vec![(price, Decimal::ZERO)]));
        assert_eq!(book.take_changes(), (vec![], vec![]));
        assert_eq!(book.best(Side::Sell), None);
    }
}
