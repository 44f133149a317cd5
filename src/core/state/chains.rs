//! Live orders by instrument: who asks about one instrument does not walk through the orders of all others.
//!
//! Chains through the rows of the order table, a head an instrument; linking and unlinking are a few writes, and nothing allocates.
//! Hot.

use alloc::vec::Vec;

use crate::id::{InstrumentId, OrderIndex};
use crate::limits::MAX_INSTRUMENTS;

#[derive(Clone, Debug)]
pub(super) struct Chains {
    heads: Vec<OrderIndex>,
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    next: OrderIndex,
    previous: OrderIndex,
}

impl Chains {
    pub fn new(rows: usize) -> Self {
        let none = Link { next: OrderIndex::NONE, previous: OrderIndex::NONE };
        Self { heads: alloc::vec![OrderIndex::NONE; MAX_INSTRUMENTS], links: alloc::vec![none; rows] }
    }

    #[inline]
    pub fn link(&mut self, instrument: InstrumentId, row: OrderIndex) {
        let Some(head) = self.heads.get_mut(instrument.index()) else { return };
        let next = core::mem::replace(head, row);
        if let Some(link) = self.links.get_mut(row.index()) {
            *link = Link { next, previous: OrderIndex::NONE };
        }
        if let Some(link) = self.links.get_mut(next.index()) {
            link.previous = row;
        }
    }

    #[inline]
    pub fn unlink(&mut self, instrument: InstrumentId, row: OrderIndex) {
        let Some(Link { next, previous }) = self.links.get(row.index()).copied() else { return };
        match self.links.get_mut(previous.index()) {
            Some(link) => link.next = next,
            None => {
                if let Some(head) = self.heads.get_mut(instrument.index()) {
                    *head = next;
                }
            }
        }
        if let Some(link) = self.links.get_mut(next.index()) {
            link.previous = previous;
        }
    }

    pub fn clear(&mut self) {
        self.heads.fill(OrderIndex::NONE);
    }

    /// The chains of an earlier `rows`, in the order in which that gave them: what goes along a chain has an order to keep.
    pub fn link_again(&mut self, rows: impl Iterator<Item = (InstrumentId, OrderIndex)>) {
        let mut last = (InstrumentId::NONE, OrderIndex::NONE);
        for (instrument, row) in rows {
            if last.0 == instrument {
                if let Some(link) = self.links.get_mut(last.1.index()) {
                    link.next = row;
                }
                if let Some(link) = self.links.get_mut(row.index()) {
                    *link = Link { next: OrderIndex::NONE, previous: last.1 };
                }
            } else {
                self.link(instrument, row);
            }
            last = (instrument, row);
        }
    }

    /// Every linked row, chain by chain.
    pub fn rows(&self) -> impl Iterator<Item = OrderIndex> + '_ {
        (0..self.heads.len()).flat_map(|at| self.of(InstrumentId(at as u16)))
    }

    #[inline]
    pub fn first(&self, instrument: InstrumentId) -> Option<OrderIndex> {
        self.heads.get(instrument.index()).copied().filter(|row| !row.is_none())
    }

    #[inline]
    pub fn after(&self, row: OrderIndex) -> Option<OrderIndex> {
        self.links.get(row.index()).map(|link| link.next).filter(|next| !next.is_none())
    }

    /// The newest first.
    #[inline]
    pub fn of(&self, instrument: InstrumentId) -> impl Iterator<Item = OrderIndex> + '_ {
        core::iter::successors(self.first(instrument), |row| self.after(*row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn chains_hold_what_was_linked_and_not_unlinked() {
        let mut chains = Chains::new(64);
        let mut twin = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        let mut seed = 3u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (row, at) = ((seed >> 33) as u32 % 64, (seed >> 45) as usize % 3);
            let (index, instrument) = (OrderIndex(row), InstrumentId(at as u16));
            if twin[at].remove(&row) {
                chains.unlink(instrument, index);
            } else if twin.iter().all(|known| !known.contains(&row)) {
                twin[at].insert(row);
                chains.link(instrument, index);
            }
            let mut again = Chains::new(64);
            let instrument_of = |row: OrderIndex| {
                InstrumentId(twin.iter().position(|known| known.contains(&row.0)).unwrap() as u16)
            };
            again.link_again(chains.rows().map(|row| (instrument_of(row), row)));
            assert!(again.rows().eq(chains.rows()), "made again, each goes the same way");
            for (at, known) in twin.iter().enumerate() {
                let found: BTreeSet<u32> = chains.of(InstrumentId(at as u16)).map(|row| row.0).collect();
                assert_eq!(&found, known);
            }
        }
    }
}
