//! Our own orders are not a counterparty: an order that would trade with one that rests, or waits to go out, is refused.
//! Hot.

use super::Subject;
use crate::event::{OrderKind, Side};
use crate::intent::Intent;
use crate::num::Price;
use crate::state::queue::Pending;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    // Closing a position on a kill comes after our own cancels; an order of others on the account may not hold it up.
    if subject.strategy_limits.is_none() {
        return false;
    }
    // What waits for a trigger meets nobody yet; what is taken at market meets everybody.
    if subject.kind.is_conditional() || (subject.kind == OrderKind::Market && subject.reduces.account) {
        return false;
    }
    let crosses = |theirs: Price| match (subject.kind, subject.side) {
        (OrderKind::Market, _) => true,
        (_, Side::Buy) => subject.price >= theirs,
        (_, Side::Sell) => subject.price <= theirs,
    };
    let opposite = subject.side.opposite();
    let execution = &subject.state.execution;
    let rests = execution.orders.live_on(subject.instrument).any(|(_, order)| {
        // An untriggered stop rests at no price.
        let rests = order.price.is_positive()
            && (matches!(order.kind, OrderKind::Limit | OrderKind::Other) || order.triggered)
            && order.working().is_positive();
        // While a Replace is out, either of its two prices may be the one that rests.
        let moving = order.inflight.is_some_and(|i| i.price.is_positive() && crosses(i.price));
        order.side == opposite && rests && (crosses(order.price) || moving)
    });
    // What this one takes the place of in the queue will not be there; what fills at market or on a trigger does not rest.
    let waits = |pending: &Pending| match &pending.intent {
        Intent::New(new) => {
            let rests = new.kind == OrderKind::Limit && new.key != subject.intent.key();
            rests && (new.instrument, new.side) == (subject.instrument, opposite) && crosses(new.price)
        }
        Intent::Replace(replace) => execution.live_in_slot(replace.key).is_some_and(|(_, order)| {
            let is_opposite = (order.instrument, order.side) == (subject.instrument, opposite);
            is_opposite && replace.key != subject.intent.key() && crosses(replace.price)
        }),
        Intent::Cancel(_) => false,
    };
    rests || execution.queue.iter().any(waits)
}
