//! Who may trade, and how far; what was lost; and an operator's wish to hold nothing.

use linchpin_core::event::*;
use linchpin_core::id::StrategyId;
use linchpin_core::instrument::Product;
use linchpin_core::limits::LossAnswer;
use linchpin_core::num::Cash;
use linchpin_core::record::{RiskReason, Trip};
use linchpin_core::state::control::AccountTrust;

use super::WORKFLOW;
use super::{Check, Trust, Twin};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: TradingState,
    /// The bound that took it.
    pub tripped: Option<RiskReason>,
}

const ACTIVE: Standing = Standing { state: TradingState::Active, tripped: None };

/// Without what is held, and with it.
type Results = [i128; 2];

#[derive(Clone, Copy, Debug, Default)]
pub struct Losses {
    morning: Results,
    best: Results,
    now: Results,
}

impl Losses {
    pub fn of_the_day(&self) -> i128 {
        (0..2).map(|at| self.morning[at] - self.now[at]).max().unwrap()
    }

    pub fn drawdown(&self) -> i128 {
        (0..2).map(|at| self.best[at] - self.now[at]).max().unwrap()
    }

    fn measure(&mut self, now: Results) {
        self.now = now;
        self.best = [0, 1].map(|at| self.best[at].max(now[at]));
    }
}

pub struct Trading {
    pub everybody: Standing,
    pub strategies: Vec<Standing>,
    pub losses: Vec<Losses>,
    pub account: Losses,
    /// The account was read back and everything held has a price: its losses count from there.
    begun: bool,
    /// The results have changed since the bounds were looked at.
    news: bool,
    /// Who was denied for wishing too much in this turn.
    pub ran_away: Vec<Option<RiskReason>>,
    /// Some bound was reached in this run: orders from before are taken back.
    pub has_tripped: bool,
    pub kill: Option<KillMode>,
    pub draining: bool,
    /// Everything held is being closed on an operator's wish.
    pub flattening: bool,
    /// This very event asks to cancel everything.
    pub cancel_all: bool,
}

impl Trading {
    pub fn new(enabled: bool, strategies: usize) -> Self {
        let state = if enabled { TradingState::Active } else { TradingState::Halted };
        Self {
            everybody: Standing { state, tripped: None },
            strategies: vec![ACTIVE; strategies],
            losses: vec![Losses::default(); strategies],
            account: Losses::default(),
            begun: false,
            news: false,
            ran_away: vec![None; strategies],
            has_tripped: false,
            kill: None,
            draining: false,
            flattening: false,
            cancel_all: false,
        }
    }

    pub fn of(&self, strategy: StrategyId) -> TradingState {
        self.strategies.get(strategy.index()).map_or(TradingState::Active, |standing| standing.state)
    }

    /// Everything is being closed, by a kill or on an operator's wish.
    pub fn is_flattening(&self) -> bool {
        self.flattening || self.kill == Some(KillMode::Flatten)
    }

    pub fn is_closing_down(&self) -> bool {
        self.kill.is_some() || self.flattening || self.draining
    }
}

impl Twin {
    pub(super) fn operate(&mut self, control: &Control) {
        let trading = &mut self.trading;
        match control.verb {
            ControlVerb::EnableTrading => {
                trading.everybody = ACTIVE;
                self.forgive(Control::EVERYBODY);
            }
            ControlVerb::DisableTrading => {
                trading.everybody = Standing { state: TradingState::Halted, tripped: None };
            }
            ControlVerb::SetTradingState => {
                let state = TradingState::from_code(control.new as u8).unwrap();
                let standing = Standing { state, tripped: None };
                match control.target {
                    Control::EVERYBODY => trading.everybody = standing,
                    strategy => trading.strategies[strategy as usize] = standing,
                }
                if state == TradingState::Active {
                    self.forgive(control.target);
                }
            }
            ControlVerb::BeginDay => {
                for standing in trading.strategies.iter_mut().chain([&mut trading.everybody]) {
                    if matches!(standing.tripped, Some(RiskReason::DailyLoss | RiskReason::AccountDailyLoss))
                    {
                        *standing = ACTIVE;
                    }
                }
                self.measure();
                let trading = &mut self.trading;
                trading.losses.iter_mut().chain([&mut trading.account]).for_each(|of| of.morning = of.now);
            }
            ControlVerb::Kill => trading.kill = KillMode::from_code(control.target as u8).ok(),
            ControlVerb::ResetKill => trading.kill = None,
            ControlVerb::Drain => trading.draining = true,
            ControlVerb::CancelAll => trading.cancel_all = true,
            ControlVerb::Flatten => trading.flattening = true,
            ControlVerb::ReadBack => {
                for venue in self.venues.iter_mut().filter(|venue| venue.trust == Trust::Trusted) {
                    venue.trust = Trust::Doubtful;
                }
            }
            _ => {}
        }
    }

    /// A person gave it back: drawdown counts from here, the day's loss stands.
    fn forgive(&mut self, target: u32) {
        self.measure();
        let trading = &mut self.trading;
        match target {
            Control::EVERYBODY => trading.account.best = trading.account.now,
            strategy => {
                let losses = &mut trading.losses[strategy as usize];
                losses.best = losses.now;
                self.traffic[strategy as usize].forgive(self.now);
            }
        }
    }

    /// What everybody has made of it all by now.
    pub(super) fn measure(&mut self) {
        let strategies: Vec<Results> =
            (0..self.trading.losses.len()).map(|owner| self.results(owner)).collect();
        let account = self.results(self.ledger.account());
        let trusted = self.venues.iter().all(|venue| venue.trust == Trust::Trusted);
        let priced = self.markets.iter().enumerate().all(|(at, market)| {
            let id = linchpin_core::id::InstrumentId(at as u16);
            let holds = |leg| self.ledger.page(self.ledger.account(), id, leg).held != 0;
            market.valued.is_positive() || !crate::ledger::LEGS.into_iter().any(holds)
        });
        let trading = &mut self.trading;
        for (losses, now) in trading.losses.iter_mut().zip(strategies) {
            trading.news |= losses.now != now;
            losses.measure(now);
        }
        trading.news |= trading.account.now != account;
        if trading.begun {
            trading.account.measure(account);
        } else {
            trading.account = Losses { morning: account, best: account, now: account };
            trading.begun = trusted && priced;
        }
    }

    /// The next bound that is reached and has not tripped.
    fn next_trip(&self) -> Option<Trip> {
        use RiskReason as R;
        let (trading, limits) = (&self.trading, &self.configuration.account);
        let reached = |loss: i128, bound: i64| bound != 0 && loss >= i128::from(bound);
        let first =
            |bounds: [(R, i128, i64); 2]| bounds.into_iter().find(|(_, loss, bound)| reached(*loss, *bound));
        let answer =
            if limits.on_loss == LossAnswer::Reduce { TradingState::Reducing } else { TradingState::Halted };
        if trading.kill.is_none() && trading.everybody.state.code() < answer.code() {
            let bounds = [
                (R::AccountDailyLoss, trading.account.of_the_day(), limits.max_daily_loss),
                (R::AccountDrawdown, trading.account.drawdown(), limits.max_drawdown),
            ];
            if let Some((why, loss, bound)) = first(bounds) {
                let reached = Cash::new(loss).to_wire();
                return Some(Trip { strategy: StrategyId::NONE, why, from_now_on: answer, reached, bound });
            }
        }
        for (at, standing) in trading.strategies.iter().enumerate() {
            let (strategy, limits) = (StrategyId(at as u8), &self.configuration.strategies[at]);
            if let Some(why) = trading.ran_away[at]
                && standing.state != TradingState::Halted
            {
                let wished = self.intents.get(&strategy).copied().unwrap_or_default().1;
                let (reached, bound) = match why {
                    RiskReason::IntentRate => (i64::from(wished), limits.max_intents_per_second),
                    _ => (self.traffic[at].counted().0 as i64, limits.max_messages_per_fill),
                };
                let from_now_on = TradingState::Halted;
                return Some(Trip { strategy, why, from_now_on, reached, bound: i64::from(bound) });
            }
            if standing.state != TradingState::Active {
                continue;
            }
            let bounds = [
                (R::DailyLoss, trading.losses[at].of_the_day(), limits.max_daily_loss),
                (R::Drawdown, trading.losses[at].drawdown(), limits.max_drawdown),
            ];
            if let Some((why, loss, bound)) = first(bounds) {
                let (from_now_on, reached) = (TradingState::Reducing, Cash::new(loss).to_wire());
                return Some(Trip { strategy, why, from_now_on, reached, bound });
            }
        }
        None
    }

    pub(super) fn trip(&mut self, trip: &Trip) -> Check {
        let expected = self.next_trip();
        hold!("trip", expected.as_ref() == Some(trip), "{trip:?}, expected {expected:?}");
        self.counts.trips += 1;
        self.counts.ratio_trips += u64::from(trip.why == RiskReason::MessageRatio);
        let trading = &mut self.trading;
        let tripped = |before: Standing| Standing {
            state: if before.state.code() > trip.from_now_on.code() {
                before.state
            } else {
                trip.from_now_on
            },
            tripped: Some(trip.why),
        };
        if let Some(standing) = trading.strategies.get_mut(trip.strategy.index()) {
            *standing = tripped(*standing);
            trading.ran_away[trip.strategy.index()] = None;
        } else if self.configuration.account.on_loss == LossAnswer::Kill {
            trading.kill = Some(KillMode::Cancel);
            return Ok(());
        } else {
            trading.everybody = tripped(trading.everybody);
        }
        trading.has_tripped = true;
        Ok(())
    }

    /// After the results have changed, no bound is reached that nobody acted on. (A strategy that a person made active again at
    /// its bound trips again with the next change.)
    pub(super) fn no_bound_is_passed_over(&mut self) -> Check {
        let runs = self.trading.ran_away.iter().any(Option::is_some);
        if self.trading.news || runs {
            let passed_over = self.next_trip();
            hold!("trip", passed_over.is_none(), "nobody acted on {passed_over:?}");
        }
        self.trading.news = false;
        self.trading.ran_away.fill(None);
        Ok(())
    }

    /// What a flatten has to close: all that the account holds; on spot what the strategies hold together, if it is there.
    pub(super) fn to_close(&self, instrument: linchpin_core::id::InstrumentId, leg: PositionSide) -> i64 {
        let all = self.ledger.page(self.ledger.account(), instrument, leg).held;
        if !self.is_spot(instrument) {
            return all;
        }
        let strategies = 0..self.ledger.external();
        let ours: i64 = strategies.map(|owner| self.ledger.page(owner, instrument, leg).held).sum();
        ours.min(all).max(0)
    }

    /// An operator's flatten is done when nothing of ours is open or waits, and nothing is held. Once nothing is open, owners
    /// that hold against each other close with each other.
    pub(super) fn plan_flatten(&mut self) {
        if !self.trading.is_flattening() {
            return;
        }
        let waits = |request, strategy| request != RequestKind::Cancel && strategy != WORKFLOW;
        let open = self.waiting.iter().any(|(key, waiting)| waits(waiting.request, key.strategy))
            || self.live().any(|order| ![WORKFLOW, StrategyId::EXTERNAL].contains(&order.key.strategy));
        let under_way =
            self.waiting.iter().any(|(key, w)| waits(w.request, StrategyId(0)) && key.strategy == WORKFLOW)
                || self.live().any(|order| order.key.strategy == WORKFLOW);
        let holds = (0..self.markets.len()).any(|at| {
            let id = linchpin_core::id::InstrumentId(at as u16);
            self.legs(id).iter().any(|leg| {
                let left = self.to_close(id, *leg);
                let Some(definition) = self.markets[at].definition else { return false };
                // On spot what is worth less than the venue takes stays.
                let dust = self.markets[at].price().is_some_and(|price| {
                    let worth = Self::cash(i128::from(price.raw()) * i128::from(left));
                    definition.product == Product::Spot && worth < i128::from(definition.min_notional)
                });
                left != 0 && !dust
            })
        });
        if !open {
            self.cross_owners();
        }
        if self.trading.flattening {
            self.trading.flattening = open || under_way || holds;
            self.counts.flattened += u64::from(!self.trading.flattening);
        }
    }

    fn cross_owners(&mut self) {
        let mut crossed = 0;
        for at in 0..self.markets.len() {
            let id = linchpin_core::id::InstrumentId(at as u16);
            let market = &self.markets[at];
            let Some(price) = market.middle().or(market.last_trade) else { continue };
            for leg in self.legs(id).to_vec() {
                let slot = |key: linchpin_core::id::OrderKey| {
                    key.strategy == WORKFLOW
                        && (super::ledger_leg(key.slot), usize::from(key.slot) % 256) == (leg, at)
                };
                let under_way =
                    self.live().any(|order| slot(order.key)) || self.waiting.keys().any(|key| slot(*key));
                let is_flat = self.ledger.page(self.ledger.account(), id, leg).held == 0;
                if is_flat && !under_way && self.ledger.cross(id, leg, price.raw()) {
                    crossed += 1;
                }
            }
        }
        self.counts.crossed += crossed;
        if crossed > 0 {
            self.measure();
        }
    }

    /// The account's own word of trust, for the facts.
    pub(super) fn trusts(&self, venue: usize, trust: AccountTrust) -> bool {
        match trust {
            AccountTrust::Trusted => self.venues[venue].trust == Trust::Trusted,
            AccountTrust::Hydrating { ask } => self.venues[venue].trust == Trust::Hydrating(ask),
            AccountTrust::Doubtful => true,
        }
    }
}
