//! Orphans of a warm start: orders that the earlier run sent and that never came to be at the venue, wished anew where the operator
//! said so. Each once, in its own slot, through risk and the queue like any wish; an occupied slot has found its own way.
//! Hot.

use crate::intent::{Intent, Intents, NewIntent};
use crate::state::State;
use crate::state::order::Order;

#[inline]
pub(super) fn wish_anew(state: &mut State, intents: &mut Intents) {
    while !intents.is_full() {
        let Some(order) = state.execution.take_orphan() else { return };
        let is_taken = state.execution.live_in_slot(order.key).is_some()
            || state.execution.queue.pending(order.key).is_some();
        if !is_taken {
            intents.push(Intent::New(same_again(&order)));
        }
    }
}

fn same_again(order: &Order) -> NewIntent {
    NewIntent {
        key: order.key,
        instrument: order.instrument,
        side: order.side,
        kind: order.kind,
        time_in_force: order.time_in_force,
        price: order.price,
        quantity: order.quantity,
        stop_price: order.stop_price,
        trigger_by: order.trigger_by,
        callback: order.callback,
        expires: order.expires,
        position_side: order.position_side,
        reduce_only: order.reduce_only,
        close_position: order.close_position,
        family: order.family,
    }
}
