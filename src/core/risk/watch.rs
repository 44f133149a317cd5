//! Bounds that stop more than one order: losses are followed at every change of the sums, whether anybody wishes something or not.
//!
//! A strategy that has lost too much may only reduce; one that ran away is halted; what it had open is cancelled. An account that has lost
//! too much is killed, halted or may only reduce, as configured.
//! Hot.

use super::losses::reached;
use super::memory::Memory;
use super::{Risk, is_removed};
use crate::event::{Control, TradingState};
use crate::id::StrategyId;
use crate::limits::{Configuration, LossAnswer};
use crate::num::Cash;
use crate::record::{RiskReason, Trip};
use crate::state::State;
use crate::state::control::AccountTrust;

impl Risk {
    /// The next bound that is reached and has not tripped yet. The caller applies it and asks again.
    #[inline]
    pub fn watch(&mut self, state: &State, configuration: &Configuration) -> Option<Trip> {
        let changes = state.execution.stakes.changes();
        if changes != self.memory.measured || !self.memory.account_begun {
            self.memory.unwatched |= changes != self.memory.measured;
            self.memory.measured = changes;
            self.memory.measure(state);
        }
        if !self.memory.unwatched {
            return None;
        }
        let trip = self.memory.next_trip(state, configuration);
        self.memory.unwatched = trip.is_some();
        trip
    }

    /// The trading day begins: daily losses count from here.
    pub fn begin_day(&mut self, state: &State) {
        self.memory.measure(state);
        self.memory.strategies_mut().for_each(|(_, memory)| memory.losses.begin_day());
        self.memory.account.begin_day();
    }

    /// A person made a strategy (or everybody) active again: drawdown and message ratio count from here. The day's loss stands.
    pub fn forgive(&mut self, state: &State, target: u32) {
        self.memory.measure(state);
        for (strategy, memory) in self.memory.strategies_mut() {
            if target == u32::from(strategy.0) {
                memory.losses.forgive_drawdown();
                memory.messages.forgive(state.now, state.execution.traffic(strategy));
                memory.ran_away = None;
            }
        }
        if target == Control::EVERYBODY {
            self.memory.account.forgive_drawdown();
        }
    }

    /// A bound has changed: look again, though nothing was lost since.
    pub fn look_again(&mut self) {
        self.memory.unwatched = true;
    }
}

impl Memory {
    fn measure(&mut self, state: &State) {
        let stakes = &state.execution.stakes;
        for (strategy, memory) in self.strategies_mut() {
            memory.losses.measure(stakes.total(strategy.index()));
        }
        let worth = stakes.total(stakes.account());
        if self.account_begun {
            self.account.measure(worth);
        } else {
            // What the account holds when it is read for the first time is not its loss.
            self.account.begin(worth);
            let trusted = |trust: AccountTrust| trust == AccountTrust::Trusted;
            let all_read = state.control.venues().all(|(_, venue)| trusted(venue.account));
            self.account_begun = all_read && stakes.are_all_marked();
        }
    }

    fn next_trip(&mut self, state: &State, configuration: &Configuration) -> Option<Trip> {
        if let Some(trip) = self.account_trip(state, configuration) {
            return Some(trip);
        }
        let trading = &state.control.trading;
        for (strategy, memory) in self.strategies_mut() {
            let Some(limits) = configuration.strategies.get(strategy.index()) else { continue };
            let standing = trading.of(strategy);
            let ran_away = memory.ran_away.take().filter(|_| standing != TradingState::Halted);
            if let Some(why) = ran_away {
                let (reached, bound) = match why {
                    RiskReason::IntentRate => {
                        (u64::from(memory.intents.count), limits.max_intents_per_second)
                    }
                    _ => {
                        let counted = memory.messages.counted(state.execution.traffic(strategy));
                        (counted.messages, limits.max_messages_per_fill)
                    }
                };
                let reached = i64::try_from(reached).unwrap_or(i64::MAX);
                let from_now_on = TradingState::Halted;
                return Some(Trip { strategy, why, from_now_on, reached, bound: i64::from(bound) });
            }
            if standing != TradingState::Active {
                continue;
            }
            let bounds = [
                (RiskReason::DailyLoss, memory.losses.of_the_day(), limits.max_daily_loss),
                (RiskReason::Drawdown, memory.losses.drawdown(), limits.max_drawdown),
            ];
            if let Some((why, loss, bound)) = first_reached(bounds) {
                let from_now_on = TradingState::Reducing;
                return Some(Trip { strategy, why, from_now_on, reached: loss.to_wire(), bound });
            }
        }
        None
    }

    fn account_trip(&self, state: &State, configuration: &Configuration) -> Option<Trip> {
        let limits = &configuration.account;
        let from_now_on = match limits.on_loss {
            LossAnswer::Kill | LossAnswer::Halt => TradingState::Halted,
            LossAnswer::Reduce => TradingState::Reducing,
        };
        if state.control.kill.is_some() || state.control.trading.everybody() >= from_now_on {
            return None;
        }
        let bounds = [
            (RiskReason::AccountDailyLoss, self.account.of_the_day(), limits.max_daily_loss),
            (RiskReason::AccountDrawdown, self.account.drawdown(), limits.max_drawdown),
        ];
        let (why, loss, bound) = first_reached(bounds)?;
        Some(Trip { strategy: StrategyId::NONE, why, from_now_on, reached: loss.to_wire(), bound })
    }
}

fn first_reached(bounds: [(RiskReason, Cash, i64); 2]) -> Option<(RiskReason, Cash, i64)> {
    bounds.into_iter().find(|(why, loss, bound)| reached(*loss, *bound) && !is_removed(*why))
}
