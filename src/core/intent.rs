//! Intents: what a strategy or the workflow wishes. A command, not an event and not an order; gone after its turn.
//! Hot.

use crate::event::{OrderKind, PositionSide, RequestKind, Side, TimeInForce, TriggerBy};
use crate::family::Family;
use crate::id::{InstrumentId, OrderIndex, OrderKey, StrategyId};
use crate::limits::MAX_INTENTS;
use crate::num::{Price, Quantity};
use crate::time::Nanos;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    New(NewIntent),
    Replace(ReplaceIntent),
    Cancel(CancelIntent),
}

crate::saved! { choice Intent { New(intent) = 0, Replace(intent) = 1, Cancel(intent) = 2 } }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewIntent {
    pub key: OrderKey,
    pub instrument: InstrumentId,
    pub side: Side,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    /// Zero for market orders.
    pub price: Price,
    /// Zero where it closes the position, whatever that is then.
    pub quantity: Quantity,
    /// The trigger price of a conditional order; of a trailing stop the activation price, zero for at once.
    pub stop_price: Price,
    pub trigger_by: TriggerBy,
    /// A trailing stop's distance from the best price, in 1/10,000.
    pub callback: u16,
    /// Good-till-date: when the order ends by itself, in the venue's time. Zero: none.
    pub expires: Nanos,
    pub position_side: PositionSide,
    pub reduce_only: bool,
    pub close_position: bool,
    /// Entry, or protective where it only lowers what is held.
    pub family: Family,
}

/// Made by kind, then told what else it is:
/// `NewIntent::stop_market(btc, Side::Sell, stop, quantity).reduce_only().triggered_by(TriggerBy::MarkPrice)`.
impl NewIntent {
    #[inline]
    pub fn limit(instrument: InstrumentId, side: Side, price: Price, quantity: Quantity) -> Self {
        Self { price, ..Self::bare(instrument, side, OrderKind::Limit, quantity) }
    }

    #[inline]
    pub fn market(instrument: InstrumentId, side: Side, quantity: Quantity) -> Self {
        Self::bare(instrument, side, OrderKind::Market, quantity)
    }

    /// Becomes a market order when the price reaches `stop`, from the better side.
    pub fn stop_market(instrument: InstrumentId, side: Side, stop: Price, quantity: Quantity) -> Self {
        Self { stop_price: stop, ..Self::bare(instrument, side, OrderKind::StopMarket, quantity) }
    }

    /// Becomes a limit order at `price` when the price reaches `stop`, from the better side.
    pub fn stop_limit(
        instrument: InstrumentId,
        side: Side,
        stop: Price,
        price: Price,
        quantity: Quantity,
    ) -> Self {
        Self { stop_price: stop, price, ..Self::bare(instrument, side, OrderKind::StopLimit, quantity) }
    }

    /// Becomes a market order when the price reaches `target`, from the worse side.
    pub fn take_profit_market(
        instrument: InstrumentId,
        side: Side,
        target: Price,
        quantity: Quantity,
    ) -> Self {
        Self { stop_price: target, ..Self::bare(instrument, side, OrderKind::TakeProfitMarket, quantity) }
    }

    /// Becomes a limit order at `price` when the price reaches `target`, from the worse side.
    pub fn take_profit_limit(
        instrument: InstrumentId,
        side: Side,
        target: Price,
        price: Price,
        quantity: Quantity,
    ) -> Self {
        let bare = Self::bare(instrument, side, OrderKind::TakeProfitLimit, quantity);
        Self { stop_price: target, price, ..bare }
    }

    /// Becomes a market order when the price turns back by `callback` (1/10,000) from its best since `activation` (zero:
    /// since now).
    pub fn trailing_stop(
        instrument: InstrumentId,
        side: Side,
        activation: Price,
        callback: u16,
        quantity: Quantity,
    ) -> Self {
        let bare = Self::bare(instrument, side, OrderKind::TrailingStop, quantity);
        Self { stop_price: activation, callback, ..bare }
    }

    #[inline]
    pub fn valid(self, time_in_force: TimeInForce) -> Self {
        Self { time_in_force, ..self }
    }

    /// Good till this instant of the venue's time.
    pub fn until(self, expires: Nanos) -> Self {
        Self { expires, time_in_force: TimeInForce::GoodTillDate, ..self }
    }

    #[inline]
    pub fn reduce_only(self) -> Self {
        Self { reduce_only: true, ..self }
    }

    /// Of stops and take-profits at market: closes whatever the position is then.
    pub fn close_position(self) -> Self {
        Self { close_position: true, quantity: Quantity::ZERO, ..self }
    }

    /// Which leg of the position it is about, where the venue is in hedge mode.
    pub fn on_leg(self, position_side: PositionSide) -> Self {
        Self { position_side, ..self }
    }

    /// Of the protective family: it goes before whatever takes a position on. Only what reduces is taken at its word.
    #[inline]
    pub fn protective(self) -> Self {
        Self { family: Family::Protective, ..self }
    }

    pub fn triggered_by(self, trigger_by: TriggerBy) -> Self {
        Self { trigger_by, ..self }
    }

    /// It can lower a position and never turn it.
    #[inline]
    pub fn only_closes(&self) -> bool {
        self.reduce_only || self.close_position || self.position_side.is_closed_by(self.side)
    }

    pub(crate) fn keyed(self, key: OrderKey) -> Self {
        Self { key, ..self }
    }

    #[inline]
    fn bare(instrument: InstrumentId, side: Side, kind: OrderKind, quantity: Quantity) -> Self {
        Self {
            key: OrderKey::default(),
            instrument,
            side,
            kind,
            time_in_force: TimeInForce::GoodTillCancel,
            price: Price::ZERO,
            quantity,
            stop_price: Price::ZERO,
            trigger_by: TriggerBy::LastPrice,
            callback: 0,
            expires: Nanos::ZERO,
            position_side: PositionSide::Both,
            reduce_only: false,
            close_position: false,
            family: Family::Entry,
        }
    }
}

crate::saved! {
    value NewIntent {
        key,
        instrument,
        side,
        kind,
        time_in_force,
        price,
        quantity,
        stop_price,
        trigger_by,
        callback,
        expires,
        position_side,
        reduce_only,
        close_position,
        family,
    }
}

/// New terms for the live order in a slot. `quantity` is the whole order's, what has filled included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplaceIntent {
    pub key: OrderKey,
    pub price: Price,
    pub quantity: Quantity,
}

crate::saved! { value ReplaceIntent { key, price, quantity } }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelIntent {
    pub key: OrderKey,
    /// A row where the wish is about one order whatever stands in the slot now; else none.
    pub order: OrderIndex,
    /// Whose work it is: a strategy's own cancel is of its order's family.
    pub family: Family,
}

crate::saved! { value CancelIntent { key, order, family } }

impl Intent {
    #[inline]
    pub fn key(&self) -> OrderKey {
        match self {
            Self::New(new) => new.key,
            Self::Replace(replace) => replace.key,
            Self::Cancel(cancel) => cancel.key,
        }
    }

    /// It says that it is of another family than entry. A Replace says nothing: it is of its order's.
    #[inline]
    fn claims_family(&self) -> bool {
        match self {
            Self::New(new) => new.family != Family::Entry,
            Self::Replace(_) => false,
            Self::Cancel(cancel) => cancel.family != Family::Entry,
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
    /// Something else than an entry is among them.
    families: bool,
    /// Whose turn it is: every wish is made in this name.
    strategy: StrategyId,
    /// Wishes beyond the bound of a turn: dropped and counted.
    pub overflow: u64,
}

impl Default for Intents {
    fn default() -> Self {
        Self { items: [None; MAX_INTENTS], count: 0, families: false, strategy: StrategyId(0), overflow: 0 }
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
        self.new_order(slot, NewIntent::limit(instrument, side, price, quantity).valid(time_in_force));
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
        let new = NewIntent::market(instrument, side, quantity);
        self.new_order(slot, NewIntent { reduce_only, ..new });
    }

    #[inline]
    pub fn replace(&mut self, slot: u16, price: Price, quantity: Quantity) {
        let key = self.key(slot);
        self.push(Intent::Replace(ReplaceIntent { key, price, quantity }));
    }

    #[inline]
    pub fn cancel(&mut self, slot: u16) {
        let key = self.key(slot);
        self.push(Intent::Cancel(CancelIntent { key, order: OrderIndex::NONE, family: Family::Entry }));
    }

    /// Any order at all in one of the strategy's own slots: its key says whose turn it is, whatever it said before.
    #[inline]
    pub fn new_order(&mut self, slot: u16, new: NewIntent) {
        let key = self.key(slot);
        self.push(Intent::New(new.keyed(key)));
    }

    pub(crate) fn begin(&mut self, strategy: StrategyId) {
        self.strategy = strategy;
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.families = false;
    }

    #[inline]
    pub(crate) fn push(&mut self, intent: Intent) {
        match self.items.get_mut(self.count) {
            Some(slot) => {
                self.families |= intent.claims_family();
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

    /// Some wish of this turn says that it is no entry.
    #[inline]
    pub(crate) fn has_families(&self) -> bool {
        self.families
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = Intent> {
        self.items.iter().take(self.count).copied().flatten()
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
