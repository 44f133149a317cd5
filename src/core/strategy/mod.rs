//! The strategy's seam: it reads state, and returns intents. It holds no clock, no socket, no order; what it wishes goes
//! through risk and the queue like everything else.
//! Hot.

pub mod bracket;
pub mod chaser;
pub mod dca;
pub mod distance;
pub mod market_maker;
pub mod quote;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::event::{PositionSide, Side};
use crate::family::Claim;
use crate::id::{AssetId, InstrumentId, OrderIndex, OrderKey, StrategyId};
use crate::instrument::InstrumentDefinition;
use crate::intent::Intents;
use crate::limits::{Configuration, StrategyLimits};
use crate::num::Quantity;
use crate::snapshot::{Saved, Sink, SnapshotError, Value, Words, save_section};
use crate::state::market::{InstrumentMarket, Top};
use crate::state::order::Order;
use crate::state::position::{Position, ProfitAndLoss};
use crate::state::queue::Pending;
use crate::state::{Change, State};
use crate::time::Nanos;

/// A trading strategy. The same object runs live, in the demo, in a backtest and in a replay.
///
/// It must be a function of what it is shown: no clock, no randomness of its own, no hash-map iteration. What it keeps
/// between calls it saves and loads, so that the state's hash proves it in a replay, and a snapshot brings it back.
pub trait Strategy: Send {
    /// Called after each event that this strategy wakes on, with what the event changed.
    fn decide(&mut self, view: &View<'_>, change: Change, intents: &mut Intents);

    /// What wakes it. The default is all that a quoting strategy needs.
    fn wakes_on(&self) -> Wakes {
        Wakes::TOP | Wakes::BOOK | Wakes::SETTLED | Wakes::LOST
    }

    /// Its own memory: every field that events changed, parameters that may change at run time included. `saved!` writes
    /// both halves from one list. Nothing where it keeps nothing.
    fn save(&self, to: &mut dyn Sink);

    /// Back to what `save` wrote, in a strategy made anew by the same configuration.
    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError>;

    /// Whether it stands behind its live order in this slot: cleanup asks at each settled pass of the order's scope.
    fn claim(&self, _view: &View<'_>, _slot: u16) -> Claim {
        Claim::Unsaid
    }

    /// How far it has come with a work that has an end.
    fn progress(&self, _view: &View<'_>) -> Option<Progress> {
        None
    }

    /// Changes a parameter at run time, as an event; false: no such parameter, or not a value for it.
    fn set_parameter(&mut self, _parameter: u32, _value: i64) -> bool {
        false
    }
}

/// A work that has an end, and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub instrument: InstrumentId,
    pub side: Side,
    pub wanted: Quantity,
    pub filled: Quantity,
    /// In the strategy's own word.
    pub phase: &'static str,
}

/// Bit for bit, so that a strategy's opinion comes back as it was.
impl Value for f64 {
    #[inline]
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        to.word(self.to_bits());
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        from.word().map(f64::from_bits)
    }
}

/// A set of wake reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wakes(u16);

impl Wakes {
    pub const TOP: Self = Self(1);
    pub const BOOK: Self = Self(2);
    pub const TRADE: Self = Self(4);
    pub const MARK: Self = Self(8);
    pub const PRIVATE: Self = Self(16);
    pub const SETTLED: Self = Self(32);
    pub const LOST: Self = Self(64);
    pub const CONTROL: Self = Self(128);

    #[inline]
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl core::ops::BitOr for Wakes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a strategy may see: the state, and its own things by its own names.
#[derive(Clone, Copy)]
pub struct View<'a> {
    state: &'a State,
    strategy: StrategyId,
    limits: &'a StrategyLimits,
}

impl<'a> View<'a> {
    pub fn new(state: &'a State, strategy: StrategyId, limits: &'a StrategyLimits) -> Self {
        Self { state, strategy, limits }
    }
    /// The processing time of the present event.
    #[inline]
    pub fn now(&self) -> Nanos {
        self.state.now
    }
    /// The instruments that configuration gave this strategy, in its order.
    pub fn instruments(&self) -> impl Iterator<Item = InstrumentId> + 'a {
        self.limits.instruments.iter().map(|id| InstrumentId(*id))
    }
    #[inline]
    pub fn market(&self, instrument: InstrumentId) -> Option<&'a InstrumentMarket> {
        self.state.market.instrument(instrument)
    }
    #[inline]
    pub fn definition(&self, instrument: InstrumentId) -> Option<&'a InstrumentDefinition> {
        self.market(instrument)?.definition.as_ref()
    }
    /// Best bid and ask, if the market may be believed.
    #[inline]
    pub fn trusted_top(&self, instrument: InstrumentId) -> Option<Top> {
        self.market(instrument).filter(|market| market.is_trusted())?.top
    }
    /// No related private event is still expected: plans may be made.
    #[inline]
    pub fn is_settled(&self, instrument: InstrumentId) -> bool {
        self.state.account.is_settled(instrument)
    }
    /// This strategy's own position.
    #[inline]
    pub fn position(&self, instrument: InstrumentId) -> Position {
        self.state.execution.position(self.strategy, instrument).copied().unwrap_or_default()
    }
    /// Another strategy's position, to look at.
    pub fn position_of(&self, strategy: StrategyId, instrument: InstrumentId) -> Position {
        self.state.execution.position(strategy, instrument).copied().unwrap_or_default()
    }
    /// One leg of a strategy's position; where the venue is in one-way mode, the position itself.
    pub fn leg(&self, strategy: StrategyId, instrument: InstrumentId, leg: PositionSide) -> Position {
        self.state.execution.leg(strategy, instrument, leg).copied().unwrap_or_default()
    }
    /// One leg of what the account holds.
    pub fn account_leg(&self, instrument: InstrumentId, leg: PositionSide) -> Position {
        self.state.execution.total_leg(instrument, leg).copied().unwrap_or_default()
    }
    /// The legs that a position of this instrument has.
    pub fn legs(&self, instrument: InstrumentId) -> &'static [PositionSide] {
        self.state.execution.legs_of(instrument)
    }
    /// Its positions have a long and a short leg, and an order must say which it is about.
    pub fn is_hedged(&self, instrument: InstrumentId) -> bool {
        self.state.execution.is_hedged(instrument)
    }
    /// Whose view this is.
    pub fn strategy(&self) -> StrategyId {
        self.strategy
    }
    /// What the account holds, all owners together.
    pub fn account_position(&self, instrument: InstrumentId) -> Position {
        self.state.execution.total(instrument).copied().unwrap_or_default()
    }
    /// What this strategy made of an instrument, realised and marked.
    pub fn profit(&self, instrument: InstrumentId) -> Option<ProfitAndLoss> {
        self.state.profit(self.strategy, instrument)
    }
    /// What this strategy made of all its instruments that are quoted in this asset.
    pub fn profit_in(&self, quote: AssetId) -> ProfitAndLoss {
        self.state.profit_in(self.strategy, quote)
    }
    /// The live order in one of its slots.
    #[inline]
    pub fn order(&self, slot: u16) -> Option<&'a Order> {
        let key = OrderKey { strategy: self.strategy, slot };
        self.state.execution.live_in_slot(key).map(|(_, order)| order)
    }
    #[inline]
    pub fn order_index(&self, slot: u16) -> Option<OrderIndex> {
        let key = OrderKey { strategy: self.strategy, slot };
        self.state.execution.live_in_slot(key).map(|(index, _)| index)
    }
    /// The newest order in one of its slots, ended or not, while it is known.
    #[inline]
    pub fn latest(&self, slot: u16) -> Option<&'a Order> {
        let key = OrderKey { strategy: self.strategy, slot };
        self.state.execution.in_slot(key).map(|(_, order)| order)
    }
    /// Nothing of ours is live or waits in the slot, and all fills of what was there are known.
    #[inline]
    pub fn is_clear(&self, slot: u16) -> bool {
        let whole = |last: &Order| !last.is_live() && last.filled >= last.cumulative;
        self.latest(slot).is_none_or(whole) && !self.has_pending(slot)
    }
    /// A command of this slot waits in the queue.
    #[inline]
    pub fn has_pending(&self, slot: u16) -> bool {
        self.pending(slot).is_some()
    }
    /// The command of this slot that waits in the queue.
    #[inline]
    pub fn pending(&self, slot: u16) -> Option<&'a Pending> {
        let queue = &self.state.execution.queue;
        if queue.is_empty() {
            return None;
        }
        queue.pending(OrderKey { strategy: self.strategy, slot })
    }
    /// What may still fill on both sides, all owners.
    pub fn working(&self, instrument: InstrumentId) -> (Quantity, Quantity) {
        let exposure = self.state.execution.exposure(instrument);
        (exposure.working_buy, exposure.working_sell)
    }
    /// The whole state, read-only.
    pub fn state(&self) -> &'a State {
        self.state
    }
}

/// The strategy instances of a run, in the order of the configuration.
pub struct Strategies {
    instances: Vec<Instance>,
    /// For each instrument, the instances that trade it, as a set of bits.
    by_instrument: Vec<u16>,
}

struct Instance {
    strategy: Box<dyn Strategy>,
    wakes: Wakes,
}

/// Each memory is a section of its own: one that reads more or less than it wrote is found out where it ends.
impl Saved for Strategies {
    fn save<S: Sink + ?Sized>(&self, mut to: &mut S) {
        let Self { instances, by_instrument: _ } = self;
        for Instance { strategy, wakes: _ } in instances {
            save_section("strategy", to);
            strategy.save(&mut to);
        }
    }
    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        self.instances.iter_mut().try_for_each(|Instance { strategy, wakes: _ }| {
            from.section("strategy")?;
            strategy.load(from)
        })
    }
}

impl Strategies {
    /// One object per configured strategy, in order.
    pub fn new(configuration: &Configuration, strategies: Vec<Box<dyn Strategy>>) -> Self {
        let mut by_instrument = alloc::vec![0u16; configuration.instruments.len()];
        for (at, limits) in configuration.strategies.iter().enumerate() {
            for instrument in &limits.instruments {
                if let Some(set) = by_instrument.get_mut(usize::from(*instrument)) {
                    *set |= 1 << at;
                }
            }
        }
        let instances =
            strategies.into_iter().map(|strategy| Instance { wakes: strategy.wakes_on(), strategy });
        Self { instances: instances.collect(), by_instrument }
    }

    /// Asks every strategy that wakes on this change, in the order of the configuration.
    #[inline]
    pub(crate) fn decide(
        &mut self,
        state: &State,
        configuration: &Configuration,
        change: Change,
        intents: &mut Intents,
    ) {
        let (reason, instrument) = match change {
            Change::None => return,
            Change::Top(id) => (Wakes::TOP, Some(id)),
            Change::Book(id) => (Wakes::BOOK, Some(id)),
            Change::Trade(id) => (Wakes::TRADE, Some(id)),
            Change::Mark(id) => (Wakes::MARK, Some(id)),
            Change::BookLost(id) => (Wakes::LOST, Some(id)),
            Change::Private(id) => (Wakes::PRIVATE, Some(id)),
            Change::Settled(id) => (Wakes::SETTLED, Some(id)),
            Change::Link(..) | Change::Account(_) | Change::Control => (Wakes::CONTROL, None),
        };
        let set = match instrument {
            Some(id) => self.by_instrument.get(id.index()).copied().unwrap_or(0),
            None => u16::MAX,
        };
        for (at, instance) in self.instances.iter_mut().enumerate() {
            if set & (1 << at) == 0 || !instance.wakes.includes(reason) {
                continue;
            }
            let Some(limits) = configuration.strategies.get(at) else { continue };
            let id = StrategyId(at as u8);
            intents.begin(id);
            instance.strategy.decide(&View::new(state, id, limits), change, intents);
        }
    }

    /// What the order's strategy says about it; of a strategy that is no more, nothing is left.
    pub(crate) fn claim(&self, state: &State, configuration: &Configuration, key: OrderKey) -> Claim {
        let instance = self.instances.get(key.strategy.index());
        let limits = configuration.strategies.get(key.strategy.index());
        match (instance, limits) {
            (Some(instance), Some(limits)) => {
                instance.strategy.claim(&View::new(state, key.strategy, limits), key.slot)
            }
            _ => Claim::Abandoned,
        }
    }

    /// How far a strategy has come.
    pub(crate) fn progress(
        &self,
        state: &State,
        configuration: &Configuration,
        id: StrategyId,
    ) -> Option<Progress> {
        let limits = configuration.strategies.get(id.index())?;
        self.instances.get(id.index())?.strategy.progress(&View::new(state, id, limits))
    }

    pub(crate) fn set_parameter(&mut self, strategy: StrategyId, parameter: u32, value: i64) -> bool {
        self.instances
            .get_mut(strategy.index())
            .is_some_and(|instance| instance.strategy.set_parameter(parameter, value))
    }
}
