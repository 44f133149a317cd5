//! How many orders may be open: per strategy and per instrument, pending ones counted.
//! Hot.

use super::{Subject, Verdict};
use crate::event::RequestKind;
use crate::record::RiskReason;

#[inline]
pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    if !subject.is(RequestKind::New) {
        return Ok(());
    }
    let execution = &subject.state.execution;
    let key = subject.intent.key();
    let (mut on_instrument, mut by_strategy) =
        (execution.exposure(subject.instrument).open_orders, execution.open_orders_of(subject.strategy));
    // What waits under this intent's own key is replaced by it.
    let waiting = execution.queue.iter().filter(|p| p.intent.request() == RequestKind::New);
    for pending in waiting.filter(|pending| pending.intent.key() != key) {
        on_instrument += u32::from(pending.instrument == subject.instrument);
        by_strategy += u32::from(pending.intent.key().strategy == subject.strategy);
    }
    let strategy_bound = subject.strategy_limits.map_or(u32::MAX, |limits| limits.max_open_orders);
    if on_instrument >= subject.limits.max_open_orders
        || by_strategy >= strategy_bound
        || !execution.orders.has_room()
    {
        return Err(RiskReason::TooManyOpenOrders);
    }
    Ok(())
}
