//! Risk decides whether, never when. The only maker of `Approved`: an unchecked order has no type.
//!
//! One file a check, one reason a check. Checks run in the order of the table below, and the first that objects answers.
//! Risk-reducing intents skip the checks that only guard against new risk (marked `adding`).
//! Hot.

mod collar;
mod daily_loss;
mod filters;
mod form;
mod open_orders;
mod position;
mod rate;
mod self_cross;
mod size;
mod slot;
mod trading;

use alloc::vec::Vec;

use crate::event::{OrderKind, RequestKind, Side};
use crate::id::{InstrumentId, StrategyId};
use crate::instrument::InstrumentDefinition;
use crate::intent::Intent;
use crate::limits::{Configuration, InstrumentLimits, StrategyLimits};
use crate::num::{Price, Quantity};
use crate::record::RiskReason;
use crate::state::State;
use crate::state::market::InstrumentMarket;

/// An intent that risk allowed. Only this module can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved {
    intent: Intent,
    instrument: InstrumentId,
    side: Side,
    reducing: bool,
}

impl Approved {
    #[inline]
    pub fn intent(&self) -> Intent {
        self.intent
    }
    #[inline]
    pub fn instrument(&self) -> InstrumentId {
        self.instrument
    }
    #[inline]
    pub fn side(&self) -> Side {
        self.side
    }
    #[inline]
    pub fn is_reducing(&self) -> bool {
        self.reducing
    }
}

/// What the checks look at: the intent, resolved against state.
pub(crate) struct Subject<'a> {
    pub state: &'a State,
    pub limits: &'a InstrumentLimits,
    pub strategy_limits: Option<&'a StrategyLimits>,
    pub market: &'a InstrumentMarket,
    pub definition: &'a InstrumentDefinition,
    pub intent: &'a Intent,
    pub strategy: StrategyId,
    pub instrument: InstrumentId,
    pub side: Side,
    pub kind: OrderKind,
    pub price: Price,
    pub quantity: Quantity,
    /// What it adds to the working quantity of its side.
    pub added: Quantity,
    pub reducing: bool,
}

type Verdict = Result<(), RiskReason>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Not for intents that lower exposure.
    Adding,
}

type Check = fn(&Subject<'_>) -> Verdict;

/// The table of checks, in their order: what, when, by whom.
const CHECKS: &[(When, Check)] = &[
    (When::Always, trading::check),
    (When::Always, slot::check),
    (When::Always, form::check),
    (When::Adding, trading::check_market),
    (When::Always, filters::check),
    (When::Always, size::check),
    (When::Always, collar::check),
    (When::Adding, open_orders::check),
    (When::Adding, position::check),
    (When::Always, self_cross::check),
];

#[derive(Clone, Debug)]
pub struct Risk {
    rates: Vec<rate::IntentRate>,
    losses: Vec<daily_loss::DailyLoss>,
}

crate::saved! { table Risk { rates, losses } }

impl Risk {
    pub fn new(configuration: &Configuration) -> Self {
        let strategies = configuration.strategies.len();
        Self {
            rates: alloc::vec![rate::IntentRate::default(); strategies],
            losses: alloc::vec![daily_loss::DailyLoss::default(); strategies],
        }
    }

    #[inline]
    pub fn check(
        &mut self,
        state: &State,
        configuration: &Configuration,
        intent: &Intent,
    ) -> Result<Approved, RiskReason> {
        let strategy = intent.key().strategy;
        if let Intent::Cancel(_) = intent {
            return cancel(state, intent);
        }
        let strategy_limits = configuration.strategies.get(strategy.index());
        if let (Some(rate), Some(limits)) = (self.rates.get_mut(strategy.index()), strategy_limits) {
            rate.check(state.now, limits.max_intents_per_second)?;
        }
        let subject = resolve(state, configuration, intent, strategy, strategy_limits)?;
        if let (Some(loss), Some(limits)) = (self.losses.get_mut(strategy.index()), strategy_limits) {
            loss.check(state, strategy, limits, subject.reducing)?;
        }
        for (when, check) in CHECKS {
            if *when == When::Always || !subject.reducing {
                check(&subject)?;
            }
        }
        Ok(Approved {
            intent: *intent,
            instrument: subject.instrument,
            side: subject.side,
            reducing: subject.reducing,
        })
    }
}

/// A cancel adds no risk: it needs only a target, and that it is its own.
#[inline]
fn cancel(state: &State, intent: &Intent) -> Result<Approved, RiskReason> {
    let Intent::Cancel(cancel) = intent else { return Err(RiskReason::Unsupported) };
    let live = if cancel.order.is_none() {
        state.execution.live_in_slot(cancel.key).map(|(_, order)| order)
    } else {
        state.execution.orders.order(cancel.order).filter(|order| order.is_live() && order.key == cancel.key)
    };
    let found = live
        .map(|order| (order.instrument, order.side))
        .or_else(|| state.execution.queue.pending(cancel.key).map(|pending| (pending.instrument, Side::Buy)));
    let (instrument, side) = found.ok_or(RiskReason::NoSuchOrder)?;
    Ok(Approved { intent: *intent, instrument, side, reducing: true })
}

#[inline]
fn resolve<'a>(
    state: &'a State,
    configuration: &'a Configuration,
    intent: &'a Intent,
    strategy: StrategyId,
    strategy_limits: Option<&'a StrategyLimits>,
) -> Result<Subject<'a>, RiskReason> {
    let (instrument, side, kind, price, quantity, replaced, added) = match intent {
        Intent::New(new) => (new.instrument, new.side, new.kind, new.price, new.quantity, None, new.quantity),
        Intent::Replace(replace) => match state.execution.queue.pending(replace.key).map(|p| p.intent) {
            // A pending New takes the Replace's terms, also where it waits for a live order's cancel.
            Some(Intent::New(new)) => {
                (new.instrument, new.side, new.kind, replace.price, replace.quantity, None, replace.quantity)
            }
            _ => {
                let (_, order) = state.execution.live_in_slot(replace.key).ok_or(RiskReason::NoSuchOrder)?;
                let added = (replace.quantity - order.filled) - order.working();
                (
                    order.instrument,
                    order.side,
                    order.kind,
                    replace.price,
                    replace.quantity,
                    Some(order),
                    added,
                )
            }
        },
        Intent::Cancel(_) => return Err(RiskReason::Unsupported),
    };
    // A venue replaces limit orders; what waits here can take any other price, if it has one.
    let replaceable = if replaced.is_some() { kind == OrderKind::Limit } else { kind.is_priced() };
    if intent.request() == RequestKind::Replace && !replaceable {
        return Err(RiskReason::Unsupported);
    }
    let market = state.market.instrument(instrument).ok_or(RiskReason::InstrumentUnknown)?;
    let limits = configuration.instruments.get(instrument.index()).ok_or(RiskReason::InstrumentUnknown)?;
    let definition = market.definition.as_ref().ok_or(RiskReason::InstrumentUnknown)?;
    let at_price = replaced.map(|order| (order, price));
    let reducing = position::reduces(state, intent, instrument, side, added, at_price);
    Ok(Subject {
        state,
        limits,
        strategy_limits,
        market,
        definition,
        intent,
        strategy,
        instrument,
        side,
        kind,
        price,
        quantity,
        added,
        reducing,
    })
}

impl Subject<'_> {
    fn is(&self, request: RequestKind) -> bool {
        self.intent.request() == request
    }
}
