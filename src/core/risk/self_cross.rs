//! Our own resting orders are not a counterparty: an order that would trade with one of them is refused.
//! Hot.

use super::Subject;
use crate::event::{OrderKind, Side};
use crate::num::Price;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    // Closing a position on a kill comes after our own cancels; an order of others on the account may not hold it up.
    if subject.strategy_limits.is_none() {
        return false;
    }
    // What waits for a trigger meets nobody yet; what is taken at market meets everybody.
    if subject.kind.is_conditional() || (subject.kind == OrderKind::Market && subject.reducing) {
        return false;
    }
    let crosses = |theirs: Price| match (subject.kind, subject.side) {
        (OrderKind::Market, _) => true,
        (_, Side::Buy) => subject.price >= theirs,
        (_, Side::Sell) => subject.price <= theirs,
    };
    let opposite = subject.side.opposite();
    subject.state.execution.orders.live_on(subject.instrument).any(|(_, order)| {
        // An untriggered stop rests at no price.
        let rests = order.price.is_positive()
            && (matches!(order.kind, OrderKind::Limit | OrderKind::Other) || order.triggered)
            && order.working().is_positive();
        // While a Replace is out, either of its two prices may be the one that rests.
        let moving = order.inflight.is_some_and(|i| i.price.is_positive() && crosses(i.price));
        order.side == opposite && rests && (crosses(order.price) || moving)
    })
}
