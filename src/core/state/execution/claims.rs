//! Orders of others, and whose they become.
//!
//! An order that nobody here made is external: shown, counted in exposure, and touched by nobody. Where configuration claims an
//! instrument's external orders for a strategy, each becomes that strategy's own from when it is first seen: in a slot behind those
//! that the strategy names itself, so that it can never stand where the strategy believes an order of its own. Its fills are booked
//! to the strategy, its stake counts in the strategy's limits, and whatever may cancel the strategy's orders may cancel it.
//! Hot.

use super::ExecutionState;
use super::exposure::Weight;
use crate::id::{InstrumentId, OrderIndex, OrderKey, StrategyId};
use crate::limits::{ALL_SLOTS, MAX_SLOTS};
use crate::record::IncidentKind;
use crate::state::order::Order;
use crate::state::stakes::{Place, Work};
use crate::state::{Finding, Findings};

impl ExecutionState {
    /// Whose the orders and the trades of others are.
    #[inline]
    pub fn owner_of_strangers(&self, instrument: InstrumentId) -> StrategyId {
        let claimant = self.claimants.get(instrument.index()).copied().flatten();
        claimant.unwrap_or(StrategyId::EXTERNAL)
    }

    /// One of our strategies sent it, and stands behind it.
    #[inline]
    pub(super) fn is_made_here(&self, order: &Order) -> bool {
        order.key.strategy.index() < self.strategies && !order.claimed && !order.is_ghost()
    }

    /// The key under which an order of others is claimed; `None` where it is left alone. It is, too, when the claimant has no slot
    /// left for it, and that is told.
    pub(super) fn claim(&self, instrument: InstrumentId, findings: &mut Findings) -> Option<OrderKey> {
        let strategy = self.owner_of_strangers(instrument);
        if strategy == StrategyId::EXTERNAL {
            return None;
        }
        let free = self.free_slot(strategy);
        if free.is_none() {
            findings.add(Finding {
                kind: IncidentKind::CapacityExhausted,
                instrument,
                order: OrderIndex::NONE,
                ours: (ALL_SLOTS - MAX_SLOTS) as i64,
                theirs: 0,
            });
        }
        free
    }

    /// The first slot behind the strategy's own in which nothing lives, and for which no command waits that was meant for an earlier one.
    pub(super) fn free_slot(&self, strategy: StrategyId) -> Option<OrderKey> {
        let mut keys = (MAX_SLOTS..ALL_SLOTS).map(|slot| OrderKey { strategy, slot: slot as u16 });
        keys.find(|key| self.live_in_slot(*key).is_none() && self.queue.pending(*key).is_none())
    }

    /// A run goes on from an earlier one's state, and may claim other orders than that one did.
    #[cold]
    pub(super) fn claim_anew(&mut self, findings: &mut Findings) {
        let mut at = 0;
        while let Some(index) = self.orders.live().get(at).copied() {
            at += 1;
            let Some(order) = self.orders.order(index) else { continue };
            let is_of_others = order.claimed || order.key.strategy == StrategyId::EXTERNAL;
            let instrument = order.instrument;
            if is_of_others && order.key.strategy != self.owner_of_strangers(instrument) {
                let key = self.claim(instrument, findings);
                self.hand_over(index, key);
            }
        }
    }

    /// A live order of others is another's from now on, or nobody's: the sums by owner follow.
    fn hand_over(&mut self, index: OrderIndex, to: Option<OrderKey>) {
        let key = to.unwrap_or(key_of_external(index));
        let Some(order) = self.orders.order_mut(index) else { return };
        let (from, work) = (order.key.strategy, Weight::of(order).work);
        let (side, instrument, leg, venue) = (order.side, order.instrument, order.position_side, order.venue);
        order.key = key;
        order.claimed = to.is_some();
        let nothing = Work::default();
        for (strategy, before, after, comes) in
            [(from, work, nothing, false), (key.strategy, nothing, work, true)]
        {
            let owner = self.owner_row(strategy);
            self.stakes.work(Place { owner, instrument, leg }, side, before, after);
            self.open.step(instrument, owner, venue, comes);
        }
        self.take_slot(key, index);
    }
}

/// The key of an order that is left alone is its row: nobody's slot.
pub(super) fn key_of_external(index: OrderIndex) -> OrderKey {
    OrderKey { strategy: StrategyId::EXTERNAL, slot: index.0 as u16 }
}
