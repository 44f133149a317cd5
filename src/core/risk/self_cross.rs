//! Our own resting orders are not a counterparty: an order that would trade with one of them is refused.
//! Hot.

use super::{Subject, Verdict};
use crate::event::{OrderKind, Side};
use crate::num::Price;
use crate::record::RiskReason;

#[inline]
pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let is_market = matches!(subject.kind, OrderKind::Market);
    // It meets nobody until it triggers, and what rests then is not known now.
    if subject.kind.is_conditional() {
        return Ok(());
    }
    // What closes the position on a kill must not fail on an order that is not ours to cancel.
    if is_market && subject.reducing {
        return Ok(());
    }
    let opposite = subject.side.opposite();
    let exposure = subject.state.execution.exposure(subject.instrument);
    let resting = match opposite {
        Side::Buy => exposure.working_buy,
        Side::Sell => exposure.working_sell,
    };
    if resting.is_zero() {
        return Ok(());
    }
    // Closing a position on a kill comes after our own cancels; an order of others on the account may not hold it up.
    if subject.strategy_limits.is_none() {
        return Ok(());
    }
    for (_, order) in subject.state.execution.orders.live_orders() {
        // Conditional orders meet nobody until they trigger.
        let rests = order.price.is_positive() && order.triggered;
        if order.instrument != subject.instrument || order.side != opposite || !rests {
            continue;
        }
        let crosses = |theirs: Price| match subject.side {
            Side::Buy => subject.price >= theirs,
            Side::Sell => subject.price <= theirs,
        };
        // While a Replace is out, either of its two prices may be the one that rests.
        let moving = order.inflight.is_some_and(|i| i.price.is_positive() && crosses(i.price));
        if is_market || crosses(order.price) || moving {
            return Err(RiskReason::SelfCross);
        }
    }
    Ok(())
}
