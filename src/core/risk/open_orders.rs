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
    let pending = execution.queue.pending_news(subject.instrument);
    let on_instrument = execution.exposure(subject.instrument).open_orders + pending;
    let by_strategy = execution.open_orders_of(subject.strategy) + pending;
    let strategy_bound = subject.strategy_limits.map_or(u32::MAX, |limits| limits.max_open_orders);
    if on_instrument >= subject.limits.max_open_orders
        || by_strategy >= strategy_bound
        || !execution.orders.has_room()
    {
        return Err(RiskReason::TooManyOpenOrders);
    }
    Ok(())
}
