//! Intents: what a strategy or the workflow wishes. A command, not an event and not an order; gone after its turn.
//! Hot.

use crate::event::{OrderKind, PositionSide, RequestKind, Side, TimeInForce};
use crate::id::{InstrumentId, OrderIndex, OrderKey, StrategyId};
use crate::limits::MAX_INTENTS;
use crate::num::{Price, Quantity};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    New(NewIntent),
    Replace(ReplaceIntent),
    Cancel(CancelIntent),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewIntent {
    pub key: OrderKey,
    pub instrument: InstrumentId,
    pub side: Side,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    /// Zero for market orders.
    pub price: Price,
    pub quantity: Quantity,
    pub stop_price: Price,
    pub position_side: PositionSide,
    pub reduce_only: bool,
}

/// New terms for the live order in a slot. `quantity` is the whole order's, what has filled included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplaceIntent {
    pub key: OrderKey,
    pub price: Price,
    pub quantity: Quantity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelIntent {
    pub key: OrderKey,
    /// A row where the wish is about one order whatever stands in the slot now; else none.
    pub order: OrderIndex,
}

impl Intent {
    #[inline]
    pub fn key(&self) -> OrderKey {
        match self {
            Self::New(new) => new.key,
            Self::Replace(replace) => replace.key,
            Self::Cancel(cancel) => cancel.key,
        }
    }

    #[inline]
    pub fn request(&self) -> RequestKind {
        match self {
            Self::New(_) => RequestKind::New,
            Self::Replace(_) => RequestKind::Replace,
            Self::Cancel(_) => RequestKind::Cancel,
        }
    }
}

/// The wishes of one turn, and the strategy's way to make them.
#[derive(Clone, Debug)]
pub struct Intents {
    items: [Option<Intent>; MAX_INTENTS],
    count: usize,
    /// Whose turn it is: every wish is made in this name.
    strategy: StrategyId,
    /// Wishes beyond the bound of a turn: dropped and counted.
    pub overflow: u64,
}

impl Default for Intents {
    fn default() -> Self {
        Self { items: [None; MAX_INTENTS], count: 0, strategy: StrategyId(0), overflow: 0 }
    }
}

impl Intents {
    /// A limit order in one of the strategy's own slots.
    #[inline]
    pub fn limit(
        &mut self,
        slot: u16,
        instrument: InstrumentId,
        side: Side,
        price: Price,
        quantity: Quantity,
        time_in_force: TimeInForce,
    ) {
        let key = self.key(slot);
        self.push(Intent::New(NewIntent {
            key,
            instrument,
            side,
            kind: OrderKind::Limit,
            time_in_force,
            price,
            quantity,
            stop_price: Price::ZERO,
            position_side: PositionSide::Both,
            reduce_only: false,
        }));
    }

    /// A market order in one of the strategy's own slots.
    pub fn market(
        &mut self,
        slot: u16,
        instrument: InstrumentId,
        side: Side,
        quantity: Quantity,
        reduce_only: bool,
    ) {
        let key = self.key(slot);
        self.push(Intent::New(NewIntent {
            key,
            instrument,
            side,
            kind: OrderKind::Market,
            time_in_force: TimeInForce::GoodTillCancel,
            price: Price::ZERO,
            quantity,
            stop_price: Price::ZERO,
            position_side: PositionSide::Both,
            reduce_only,
        }));
    }

    #[inline]
    pub fn replace(&mut self, slot: u16, price: Price, quantity: Quantity) {
        let key = self.key(slot);
        self.push(Intent::Replace(ReplaceIntent { key, price, quantity }));
    }

    #[inline]
    pub fn cancel(&mut self, slot: u16) {
        let key = self.key(slot);
        self.push(Intent::Cancel(CancelIntent { key, order: OrderIndex::NONE }));
    }

    /// Any intent at all; its key's strategy is overwritten with whose turn it is.
    pub fn new_order(&mut self, slot: u16, mut intent: NewIntent) {
        intent.key = self.key(slot);
        self.push(Intent::New(intent));
    }

    pub(crate) fn begin(&mut self, strategy: StrategyId) {
        self.strategy = strategy;
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    #[inline]
    pub(crate) fn push(&mut self, intent: Intent) {
        match self.items.get_mut(self.count) {
            Some(slot) => {
                *slot = Some(intent);
                self.count += 1;
            }
            None => self.overflow = self.overflow.saturating_add(1),
        }
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> Option<Intent> {
        if index < self.count { self.items.get(index).copied().flatten() } else { None }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bound of a turn is reached.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.count == MAX_INTENTS
    }

    fn key(&self, slot: u16) -> OrderKey {
        OrderKey { strategy: self.strategy, slot }
    }
}
