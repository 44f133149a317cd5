//! The position bound, with all working and pending orders of the side assumed filled.
//! Hot.

use super::{Subject, Verdict};
use crate::event::{PositionSide, Side};
use crate::id::{InstrumentId, OrderKey};
use crate::instrument::Product;
use crate::intent::{Intent, NewIntent};
use crate::num::{Price, Quantity};
use crate::record::RiskReason;
use crate::state::State;
use crate::state::order::Order;
use crate::state::queue::Pending;

#[inline]
pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let leg = leg_of(subject.state, subject.intent);
    let worst = worst_case(subject.state, subject.intent.key(), subject.instrument, leg, subject.side)
        + subject.added;
    if worst > subject.limits.max_position {
        return Err(RiskReason::PositionLimit);
    }
    Ok(())
}

/// The position towards `side` if everything that works or waits there fills, but for what waits under `key`: the intent
/// that is weighed takes its place.
#[inline]
fn worst_case(
    state: &State,
    key: OrderKey,
    instrument: InstrumentId,
    leg: PositionSide,
    side: Side,
) -> Quantity {
    let working = state.execution.worst_case(instrument, leg, side);
    let waiting = state.execution.queue.iter().filter(|pending| pending.intent.key() != key);
    let waiting = waiting.filter(|pending| leg_of(state, &pending.intent) == leg);
    waiting.fold(working, |sum, pending| sum + waits(state, pending, instrument, side))
}

/// The leg that an intent is about: a new order says it, any other is about its order's.
#[inline]
fn leg_of(state: &State, intent: &Intent) -> PositionSide {
    match intent {
        Intent::New(new) => new.position_side,
        Intent::Replace(replace) => match state.execution.queue.pending(replace.key).map(|p| p.intent) {
            Some(Intent::New(new)) => new.position_side,
            _ => {
                state.execution.live_in_slot(replace.key).map_or(PositionSide::Both, |(_, o)| o.position_side)
            }
        },
        Intent::Cancel(_) => PositionSide::Both,
    }
}

/// What a waiting command would add on this side.
#[inline]
fn waits(state: &State, pending: &Pending, instrument: InstrumentId, side: Side) -> Quantity {
    match pending.intent {
        Intent::New(new) if closes(state, &new) => Quantity::ZERO,
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
        Intent::New(new) => closes(state, new),
        _ => replaced.is_some_and(|(order, _)| order.only_closes()),
    };
    let only_shrinks = replaced.is_some_and(|(order, price)| {
        let keener = match side {
            Side::Buy => price > order.price,
            Side::Sell => price < order.price,
        };
        added.is_negative() && !keener
    });
    let leg = leg_of(state, intent);
    only_closes
        || only_shrinks
        || !(worst_case(state, intent.key(), instrument, leg, side) + added).is_positive()
}

/// The venue will let it close only. A spot account makes no such promise.
#[inline]
fn closes(state: &State, new: &NewIntent) -> bool {
    let promises = || {
        let definition = state.market.instrument(new.instrument).and_then(|market| market.definition);
        definition.is_some_and(|definition| definition.product != Product::Spot)
    };
    new.only_closes() && promises()
}
