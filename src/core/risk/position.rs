//! The position bound, with all working and pending orders of the side assumed filled.
//! Hot.

use super::{Subject, Verdict};
use crate::event::Side;
use crate::id::{InstrumentId, OrderKey};
use crate::intent::Intent;
use crate::num::{Price, Quantity};
use crate::record::RiskReason;
use crate::state::State;
use crate::state::order::Order;
use crate::state::queue::Pending;

#[inline]
pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let worst =
        worst_case(subject.state, subject.intent.key(), subject.instrument, subject.side) + subject.added;
    if worst > subject.limits.max_position {
        return Err(RiskReason::PositionLimit);
    }
    Ok(())
}

/// The position towards `side` if everything that works or waits there fills, but for what waits under `key`: the intent
/// that is weighed takes its place.
#[inline]
fn worst_case(state: &State, key: OrderKey, instrument: InstrumentId, side: Side) -> Quantity {
    let held = state.execution.total(instrument).map_or(Quantity::ZERO, |total| total.quantity);
    let working = state.execution.exposure(instrument).worst_case(held, side);
    let waiting = state.execution.queue.iter().filter(|pending| pending.intent.key() != key);
    waiting.fold(working, |sum, pending| sum + waits(state, pending, instrument, side))
}

/// What a waiting command would add on this side.
#[inline]
fn waits(state: &State, pending: &Pending, instrument: InstrumentId, side: Side) -> Quantity {
    match pending.intent {
        Intent::New(new) if new.only_closes() => Quantity::ZERO,
        Intent::New(new) if new.instrument == instrument && new.side == side => new.quantity,
        Intent::Replace(replace) if pending.instrument == instrument => {
            match state.execution.live_in_slot(replace.key) {
                Some((_, order)) if order.side == side => {
                    ((replace.quantity - order.filled) - order.working()).max(Quantity::ZERO)
                }
                _ => Quantity::ZERO,
            }
        }
        _ => Quantity::ZERO,
    }
}

/// It lowers exposure: even with all that works on its side filled, the position does not pass zero; or the venue lets it
/// close only; or it only shrinks a working order, at a price that is no keener.
#[inline]
pub(super) fn reduces(
    state: &State,
    intent: &Intent,
    instrument: InstrumentId,
    side: Side,
    added: Quantity,
    replaced: Option<(&Order, Price)>,
) -> bool {
    let only_closes = match intent {
        Intent::New(new) => new.only_closes(),
        _ => replaced.is_some_and(|(order, _)| order.only_closes()),
    };
    let only_shrinks = replaced.is_some_and(|(order, price)| {
        let keener = match side {
            Side::Buy => price > order.price,
            Side::Sell => price < order.price,
        };
        added.is_negative() && !keener
    });
    only_closes || only_shrinks || !(worst_case(state, intent.key(), instrument, side) + added).is_positive()
}
