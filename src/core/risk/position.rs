//! The position bound, with all working and pending orders of the side assumed filled.
//! Hot.

use super::{Subject, Verdict};
use crate::event::Side;
use crate::id::InstrumentId;
use crate::num::Quantity;
use crate::record::RiskReason;
use crate::state::State;
use crate::state::order::Order;

#[inline]
pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let worst = worst_case(subject.state, subject.instrument, subject.side) + subject.added;
    if worst > subject.limits.max_position {
        return Err(RiskReason::PositionLimit);
    }
    Ok(())
}

/// The position towards `side` if everything that works there fills.
#[inline]
fn worst_case(state: &State, instrument: InstrumentId, side: Side) -> Quantity {
    let held = state.execution.total(instrument).map_or(Quantity::ZERO, |total| total.quantity);
    let exposure = state.execution.exposure(instrument);
    let working = match side {
        Side::Buy => exposure.working_buy,
        Side::Sell => exposure.working_sell,
    };
    side.signed(held) + working + state.execution.queue.pending_quantity(instrument, side)
}

/// It lowers exposure: even with all that works on its side filled, the position does not pass zero; or it only
/// shrinks a working order.
#[inline]
pub(super) fn reduces(
    state: &State,
    instrument: InstrumentId,
    side: Side,
    added: Quantity,
    replaced: Option<&Order>,
) -> bool {
    (replaced.is_some() && added.is_negative()) || {
        let after = worst_case(state, instrument, side) + added;
        !after.is_positive()
    }
}
