//! The strategy's seam: it reads state, and returns intents. It holds no clock, no socket, no order; what it wishes goes
//! through risk and the queue like everything else.
//! Hot.

pub mod bracket;
pub mod changeable;
pub mod chaser;
pub mod dca;
pub mod distance;
pub mod market_maker;
pub mod quote;

use alloc::boxed::Box;
use alloc::vec::Vec;

use changeable::{Changeable, Parameter};

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

    /// Its own memory: every field that events changed, but for `changeable` parameters, which are saved for it. `saved!` writes
    /// both halves from one list. Nothing where it keeps nothing.
    fn save(&self, to: &mut dyn Sink);

    /// Back to what `save` wrote, in a strategy made anew by the same configuration.
    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError>;

    /// Whether it stands behind its live order in this slot: cleanup asks at each settled pass of the order's scope.
    fn claim(&self, _view: &View<'_>, _slot: u16) -> Claim {
        Claim::Unsaid
    }

    /// The same of a live order in one of its slots that others made, and that configuration claims for it.
    fn claim_external(&self, _view: &View<'_>, _slot: u16) -> Claim {
        Claim::Unsaid
    }

    /// How far it has come with a work that has an end.
    fn progress(&self, _view: &View<'_>) -> Option<Progress> {
        None
    }

    /// Its parameters that may change while the run goes on (`changeable!` makes the table); none: all are fixed.
    fn changeable(&self) -> Option<&dyn Changeable> {
        None
    }

    /// The same, to change one: a control event does, within the table's bounds.
    fn changeable_mut(&mut self) -> Option<&mut dyn Changeable> {
        None
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
    /// By instrument.
    places: &'a [u16],
}

impl<'a> View<'a> {
    /// The processing time of the present event.
    #[inline]
    pub fn now(&self) -> Nanos {
        self.state.now
    }
    /// The instruments that configuration gave this strategy, in its order.
    pub fn instruments(&self) -> impl Iterator<Item = InstrumentId> + 'a {
        self.limits.instruments.iter().map(|id| InstrumentId(*id))
    }
    /// Where an instrument stands among this strategy's own; `None` where it is none of them.
    #[inline]
    pub fn place_of(&self, instrument: InstrumentId) -> Option<usize> {
        self.places
            .get(instrument.index())
            .filter(|place| **place != NO_PLACE)
            .map(|place| usize::from(*place))
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
    /// Its live orders of an instrument that others made and configuration claims for it, the newest first, each with its slot. It
    /// may cancel one, or change its terms, by an intent for the slot, and stands in for it in all its limits.
    pub fn claimed(&self, instrument: InstrumentId) -> impl Iterator<Item = (u16, &'a Order)> + 'a {
        let strategy = self.strategy;
        let all = self.state.execution.orders.live_on(instrument).map(|(_, order)| order);
        let own = all.filter(move |order| order.claimed && order.key.strategy == strategy);
        own.map(|order| (order.key.slot, order))
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
    /// By instrument: its place among the strategy's own.
    places: Vec<u16>,
}

const NO_PLACE: u16 = u16::MAX;

impl Instance {
    fn new(strategy: Box<dyn Strategy>, own: &[u16], instruments: usize) -> Self {
        let mut places = alloc::vec![NO_PLACE; instruments];
        for (place, instrument) in own.iter().enumerate() {
            if let Some(known) = places.get_mut(usize::from(*instrument)) {
                *known = place as u16;
            }
        }
        Self { wakes: strategy.wakes_on(), strategy, places }
    }
}

/// Each memory is a section of its own: one that reads more or less than it wrote is found out where it ends.
impl Saved for Strategies {
    fn save<S: Sink + ?Sized>(&self, mut to: &mut S) {
        let Self { instances, by_instrument: _ } = self;
        for Instance { strategy, wakes: _, places: _ } in instances {
            save_section("strategy", to);
            let changeable = strategy.changeable();
            for value in changeable.into_iter().flat_map(values) {
                value.write(to);
            }
            strategy.save(&mut to);
        }
    }
    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        self.instances.iter_mut().try_for_each(|Instance { strategy, wakes: _, places: _ }| {
            from.section("strategy")?;
            if let Some(all) = strategy.changeable_mut() {
                for at in 0..all.table().len() {
                    let value = i64::read(from)?;
                    if !all.put(at, value) {
                        return Err(from.unfit("parameter", value as u64));
                    }
                }
            }
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
        let instruments = configuration.instruments.len();
        let own = |at: usize| configuration.strategies.get(at).map_or(&[][..], |limits| &limits.instruments);
        let instances = strategies.into_iter().enumerate();
        let instances = instances.map(|(at, strategy)| Instance::new(strategy, own(at), instruments));
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
            let view = View { state, strategy: id, limits, places: &instance.places };
            instance.strategy.decide(&view, change, intents);
        }
    }

    /// What the order's strategy says about it; of a strategy that is no more, nothing is left.
    pub(crate) fn claim(&self, state: &State, configuration: &Configuration, key: OrderKey) -> Claim {
        let instance = self.instances.get(key.strategy.index());
        let limits = configuration.strategies.get(key.strategy.index());
        match (instance, limits) {
            (Some(instance), Some(limits)) => {
                let view = View { state, strategy: key.strategy, limits, places: &instance.places };
                if view.order(key.slot).is_some_and(|order| order.claimed) {
                    instance.strategy.claim_external(&view, key.slot)
                } else {
                    instance.strategy.claim(&view, key.slot)
                }
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
        let instance = self.instances.get(id.index())?;
        instance.strategy.progress(&View { state, strategy: id, limits, places: &instance.places })
    }

    /// What may change of this strategy while the run goes on.
    pub(crate) fn changeable(&self, strategy: StrategyId) -> &'static [Parameter] {
        let found = self.instances.get(strategy.index()).and_then(|instance| instance.strategy.changeable());
        found.map_or(&[], Changeable::table)
    }

    /// The present value of the parameter that a control event names.
    pub(crate) fn parameter(&self, target: u32) -> Option<i64> {
        let (strategy, at) = parameter_of(target);
        self.instances.get(strategy)?.strategy.changeable()?.value(at)
    }

    /// Changes it; false where there is no such parameter or it does not take this value, and then nothing has changed.
    pub(crate) fn set_parameter(&mut self, target: u32, value: i64) -> bool {
        let (strategy, at) = parameter_of(target);
        let instance = self.instances.get_mut(strategy);
        let Some(all) = instance.and_then(|instance| instance.strategy.changeable_mut()) else {
            return false;
        };
        let takes = all.table().get(at).is_some_and(|parameter| parameter.values.takes(value));
        takes && all.put(at, value)
    }

    /// Every changeable parameter as it is, strategy by strategy.
    pub(crate) fn parameters(&self) -> Vec<Vec<i64>> {
        let of = |instance: &Instance| -> Vec<i64> {
            instance.strategy.changeable().into_iter().flat_map(values).collect()
        };
        self.instances.iter().map(of).collect()
    }

    /// Puts back what `parameters` told.
    pub(crate) fn put_parameters(&mut self, all: &[Vec<i64>]) {
        for (instance, values) in self.instances.iter_mut().zip(all) {
            let Some(changeable) = instance.strategy.changeable_mut() else { continue };
            for (at, value) in values.iter().enumerate() {
                changeable.put(at, *value);
            }
        }
    }
}

/// The target of a control event that changes a strategy's parameter: by its place in the table.
pub const fn parameter_target(strategy: StrategyId, at: u16) -> u32 {
    (strategy.0 as u32) << 16 | at as u32
}

fn parameter_of(target: u32) -> (usize, usize) {
    ((target >> 16) as usize, (target & 0xFFFF) as usize)
}

fn values(all: &dyn Changeable) -> impl Iterator<Item = i64> + '_ {
    (0..all.table().len()).map(|at| all.value(at).unwrap_or(0))
}
