//! Who may trade, and how far: everybody together, and each strategy by itself. The stricter word holds.
//!
//! An operator sets these through a control event. A bound that is reached sets them too (a trip): then what the strategy had
//! open before is cancelled (what can only reduce stays), and only an operator, or for a daily loss the next day, gives it back.
//! Hot.

use alloc::vec::Vec;

use crate::event::{Control, TradingState};
use crate::id::StrategyId;
use crate::limits::MAX_STRATEGIES;
use crate::record::RiskReason;
use crate::state::order::Order;
use crate::time::Nanos;

#[derive(Clone, Debug)]
pub struct Trading {
    everybody: Standing,
    strategies: Vec<Standing>,
    /// Strategies whose orders from before a trip may still be open, a bit each.
    sweeping: u16,
}

crate::saved! { table Trading { everybody, strategies, sweeping } }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: TradingState,
    /// The bound that was reached; `None` where a person set the state.
    pub tripped: Option<RiskReason>,
    /// When it tripped: orders from before are cancelled.
    pub since: Nanos,
}

crate::saved! { value Standing { state, tripped, since } }

impl Standing {
    const fn of(state: TradingState) -> Self {
        Self { state, tripped: None, since: Nanos::ZERO }
    }
}

impl Trading {
    /// A run that is not enabled begins halted.
    pub fn new(enabled: bool, strategies: usize) -> Self {
        let everybody = if enabled { TradingState::Active } else { TradingState::Halted };
        Self {
            everybody: Standing::of(everybody),
            strategies: alloc::vec![Standing::of(TradingState::Active); strategies.min(MAX_STRATEGIES)],
            sweeping: 0,
        }
    }

    /// A run goes on from an earlier one: the switch is this run's; what a bound took stays taken.
    pub(crate) fn start_again(&mut self, enabled: bool) {
        if self.everybody.tripped.is_none() {
            let state = if enabled { TradingState::Active } else { TradingState::Halted };
            self.everybody = Standing::of(state);
        }
    }

    #[inline]
    pub fn everybody(&self) -> TradingState {
        self.everybody.state
    }

    /// The strategy's own word; the workflow and strangers have none, and are active.
    #[inline]
    pub fn of(&self, strategy: StrategyId) -> TradingState {
        self.strategies.get(strategy.index()).map_or(TradingState::Active, |standing| standing.state)
    }

    /// With why; `StrategyId::NONE` is everybody.
    pub fn standing(&self, strategy: StrategyId) -> Option<Standing> {
        if strategy.is_none() { Some(self.everybody) } else { self.strategies.get(strategy.index()).copied() }
    }

    /// A person's word; false where there is no such strategy.
    pub(crate) fn set(&mut self, target: u32, state: TradingState) -> bool {
        match self.target(target) {
            Some(standing) => {
                *standing = Standing::of(state);
                true
            }
            None => false,
        }
    }

    /// A bound was reached: never makes anything laxer. `StrategyId::NONE` is everybody.
    pub(crate) fn trip(&mut self, strategy: StrategyId, state: TradingState, why: RiskReason, now: Nanos) {
        let target = if strategy.is_none() { Control::EVERYBODY } else { u32::from(strategy.0) };
        let Some(standing) = self.target(target) else { return };
        *standing = Standing { state: standing.state.max(state), tripped: Some(why), since: now };
        self.sweeping |= if strategy.is_none() { u16::MAX } else { bit(strategy) };
    }

    /// A new day gives back what a daily loss took.
    pub(crate) fn begin_day(&mut self) {
        for standing in self.strategies.iter_mut().chain([&mut self.everybody]) {
            if matches!(standing.tripped, Some(RiskReason::DailyLoss | RiskReason::AccountDailyLoss)) {
                *standing = Standing::of(TradingState::Active);
            }
        }
    }

    #[inline]
    pub(crate) fn is_sweeping(&self) -> bool {
        self.sweeping != 0
    }

    /// Every order from before the trips is gone.
    pub(crate) fn swept(&mut self) {
        self.sweeping = 0;
    }

    /// Is this an order from before its strategy's trip, and one that may open something?
    pub(crate) fn sweeps(&self, order: &Order) -> bool {
        let strategy = order.key.strategy;
        let is_ours = strategy.index() < self.strategies.len();
        if !is_ours || self.sweeping & bit(strategy) == 0 || order.only_closes() {
            return false;
        }
        let own = self.strategies.get(strategy.index());
        let tripped = |standing: &&Standing| standing.tripped.is_some() && order.created <= standing.since;
        own.into_iter().chain([&self.everybody]).any(|standing| tripped(&standing))
    }

    fn target(&mut self, target: u32) -> Option<&mut Standing> {
        if target == Control::EVERYBODY {
            Some(&mut self.everybody)
        } else {
            self.strategies.get_mut(usize::try_from(target).ok()?)
        }
    }
}

#[inline]
fn bit(strategy: StrategyId) -> u16 {
    1u16.checked_shl(u32::from(strategy.0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trip_never_makes_anything_laxer_and_a_person_may() {
        let mut trading = Trading::new(true, 2);
        let one = StrategyId(1);
        assert!(trading.set(1, TradingState::Halted));
        trading.trip(one, TradingState::Reducing, RiskReason::Drawdown, Nanos::new(5));
        assert_eq!(trading.of(one), TradingState::Halted);
        assert!(trading.set(1, TradingState::Active));
        assert_eq!(
            (trading.of(one), trading.of(StrategyId(0))),
            (TradingState::Active, TradingState::Active)
        );
        assert!(!trading.set(2, TradingState::Halted), "nobody's");
    }

    #[test]
    fn a_new_day_gives_back_what_a_daily_loss_took_and_nothing_else() {
        let mut trading = Trading::new(true, 3);
        trading.trip(StrategyId(0), TradingState::Reducing, RiskReason::DailyLoss, Nanos::ZERO);
        trading.trip(StrategyId(1), TradingState::Reducing, RiskReason::Drawdown, Nanos::ZERO);
        trading.set(2, TradingState::Halted);
        trading.begin_day();
        let states = [0, 1, 2].map(|at| trading.of(StrategyId(at)));
        assert_eq!(states, [TradingState::Active, TradingState::Reducing, TradingState::Halted]);
    }
}
