//! The family *cleanup*: orders that nobody stands behind are cancelled.
//!
//! | order | found | what is done |
//! |---|---|---|
//! | stray: its strategy abandons it (`Claim::Abandoned`), or another order has taken its slot | at each settled pass of its scope | cancelled |
//! | ghost: it had ended, and lives at the venue | at each settled pass of its scope | cancelled |
//! | stale: its strategy gave it no terms for `max_order_age` and does not claim it (`Claim::Unsaid`) | when it grows too old | cancelled |
//! | claimed (`Claim::Mine`) | | left alone, and asked about again an age later |
//! | in doubt, or with a request out | | left to recovery, or to its answer |
//! | of others, claimed for a strategy | | as its own: it is asked by `claim_external`, and what it says nothing of grows old from when it was first seen |
//! | of others that nobody claims (external), of a flatten | | left alone |
//!
//! It waits for the scope to settle, and is silent while a kill, a flatten or a drain is at work.
//! Hot.

use crate::family::{Claim, Family};
use crate::id::{InstrumentId, OrderIndex, OrderKey};
use crate::intent::Intents;
use crate::limits::Configuration;
use crate::state::order::{Confirmation, Order};
use crate::state::{Change, State};
use crate::time::Nanos;

use super::{CANCEL_AGAIN, cancel_order};

#[derive(Clone, Debug)]
pub(super) struct Cleanup {
    /// When some order may be too old, or a cancel that was refused is wished again.
    look_at: Nanos,
}

crate::saved! { table Cleanup { look_at } }

impl Cleanup {
    pub(super) fn new() -> Self {
        Self { look_at: Nanos::MAX }
    }

    #[inline]
    pub(super) fn act(
        &mut self,
        state: &State,
        configuration: &Configuration,
        change: Change,
        claim: impl Fn(&State, OrderKey) -> Claim,
        intents: &mut Intents,
    ) {
        // After a silence, which ends with a control event, everything may have grown old.
        let all = state.now >= self.look_at || change == Change::Control;
        let scope = match change {
            Change::Settled(instrument) => Some(instrument),
            _ => None,
        };
        if all || scope.is_some() {
            let next = sweep(state, configuration, scope.filter(|_| !all), claim, intents);
            self.look_at = if all { next } else { self.look_at.earlier(next) };
        }
    }

    /// A higher family is at work for the whole account: nothing is looked at until an event ends that.
    #[inline]
    pub(super) fn be_silent(&mut self) {
        self.look_at = Nanos::MAX;
    }

    /// An order was given terms: it grows old from here.
    #[inline]
    pub(super) fn expect_age(&mut self, now: Nanos, configuration: &Configuration) {
        for limits in configuration.strategies.iter().filter(|limits| !limits.max_order_age.is_zero()) {
            self.look_at = self.look_at.earlier(now + limits.max_order_age);
        }
    }

    #[inline]
    pub(super) fn next_deadline(&self) -> Nanos {
        self.look_at
    }
}

/// Looks at the live orders of one instrument, or of all; returns when it must look again.
fn sweep(
    state: &State,
    configuration: &Configuration,
    only: Option<InstrumentId>,
    claim: impl Fn(&State, OrderKey) -> Claim,
    intents: &mut Intents,
) -> Nanos {
    let orders = &state.execution.orders;
    let (of_one, of_all) = match only {
        Some(instrument) => (Some(orders.live_on(instrument)), None),
        None => (None, Some(orders.live_orders())),
    };
    let mut next = Nanos::MAX;
    for (index, order) in of_one.into_iter().flatten().chain(of_all.into_iter().flatten()) {
        let Some(limits) = configuration.strategies.get(order.key.strategy.index()) else { continue };
        if matches!(order.confirmation, Confirmation::Unknown { .. }) || order.inflight.is_some() {
            // Its answer, or the end of its doubt, opens a settle window, at whose end this looks again.
            continue;
        }
        let too_old =
            if limits.max_order_age.is_zero() { Nanos::MAX } else { order.touched + limits.max_order_age };
        if !state.account.is_settled(order.instrument) {
            // The end of its settle window asks again about strays; what is old stays old.
            next = next.earlier(too_old.later(state.now + CANCEL_AGAIN));
            continue;
        }
        match verdict(state, index, order, too_old, &claim) {
            Verdict::Keep { until } => next = next.earlier(until),
            Verdict::Keepsake => next = next.earlier(state.now + limits.max_order_age),
            Verdict::CleanUp => {
                cancel_order(state, index, Family::Cleanup, intents);
                next = next.earlier(state.now + CANCEL_AGAIN);
            }
        }
    }
    next
}

enum Verdict {
    Keep {
        until: Nanos,
    },
    /// Too old, and claimed all the same.
    Keepsake,
    CleanUp,
}

fn verdict(
    state: &State,
    index: OrderIndex,
    order: &Order,
    too_old: Nanos,
    claim: &impl Fn(&State, OrderKey) -> Claim,
) -> Verdict {
    let superseded = state.execution.in_slot(order.key).is_none_or(|(newest, _)| newest != index);
    if superseded || order.is_ghost() {
        return Verdict::CleanUp;
    }
    match claim(state, order.key) {
        Claim::Abandoned => Verdict::CleanUp,
        _ if state.now < too_old => Verdict::Keep { until: too_old },
        Claim::Mine => Verdict::Keepsake,
        Claim::Unsaid => Verdict::CleanUp,
    }
}
