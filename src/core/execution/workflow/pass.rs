//! One pass of each scope: which family acts, and whose wishes come again later. The rules are the table in `family.rs`.
//! Hot.

use crate::event::{PositionSide, RequestKind};
use crate::family::Family;
use crate::id::InstrumentId;
use crate::intent::{Intent, Intents};
use crate::record::Decision;
use crate::state::State;

/// One leg of one instrument: what one family at a time acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub instrument: InstrumentId,
    pub leg: PositionSide,
}

/// What this wish is about; none where its target is gone, which risk will say.
#[inline]
pub(crate) fn scope_of(state: &State, intent: &Intent) -> Option<Scope> {
    match intent {
        Intent::New(new) => Some(Scope { instrument: new.instrument, leg: new.position_side }),
        Intent::Replace(replace) => match state.execution.live_in_slot(replace.key) {
            Some((_, order)) => Some(Scope { instrument: order.instrument, leg: order.position_side }),
            None => match state.execution.queue.pending(replace.key)?.intent {
                Intent::New(new) => Some(Scope { instrument: new.instrument, leg: new.position_side }),
                _ => None,
            },
        },
        Intent::Cancel(cancel) => {
            let known = if cancel.order.is_none() {
                state.execution.live_in_slot(cancel.key).map(|(_, order)| order)
            } else {
                state.execution.orders.order(cancel.order)
            };
            known.map(|order| Scope { instrument: order.instrument, leg: order.position_side })
        }
    }
}

/// Whose work this wish is. What claims to protect must lower what is held; else it is an entry like any other.
#[inline]
pub(crate) fn family_of(state: &State, intent: &Intent) -> Family {
    let of_order = |key| state.execution.live_in_slot(key).map_or(Family::Entry, |(_, order)| order.family);
    match intent {
        Intent::New(new) if new.family == Family::Protective => {
            let leg = state.execution.total_leg(new.instrument, new.position_side);
            let held = leg.map_or(0, |leg| leg.quantity.raw());
            let lowers = new.side.signed(new.quantity).raw().signum() == -held.signum() && held != 0;
            let protects = new.reduce_only || new.close_position || lowers;
            if protects { Family::Protective } else { Family::Entry }
        }
        Intent::New(new) => new.family,
        Intent::Replace(replace) => of_order(replace.key),
        Intent::Cancel(cancel) if cancel.family == Family::Entry => of_order(cancel.key),
        Intent::Cancel(cancel) => cancel.family,
    }
}

/// Is this wish deferred, because a higher family wishes something for its scope in this same pass? Then what is recorded.
#[inline]
pub(crate) fn deferred(state: &State, intents: &Intents, intent: &Intent) -> Option<Decision> {
    // Nearly every pass is of one family, and then nobody yields.
    let of_one_family = !intents.has_families() && state.execution.of_higher_families() == 0;
    if of_one_family || intent.request() == RequestKind::Cancel {
        return None;
    }
    let (scope, family) = (scope_of(state, intent)?, family_of(state, intent));
    let in_scope = intents.iter().filter(|other| scope_of(state, other) == Some(scope));
    let acting = in_scope.map(|other| family_of(state, &other)).min_by_key(|family| family.code())?;
    family.yields_to(acting).then(|| Decision::Deferred {
        key: intent.key(),
        instrument: scope.instrument,
        request: intent.request(),
        family,
        to: acting,
    })
}
