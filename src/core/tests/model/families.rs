//! Families: whose work a wish is, what it is about, and who gives way to whom.

use linchpin_core::event::{PositionSide, RequestKind};
use linchpin_core::family::Family;
use linchpin_core::id::{InstrumentId, OrderKey};
use linchpin_core::intent::NewIntent;
use linchpin_core::record::IntentRecord;

use super::WORKFLOW;
use super::{Check, Doubt, Twin, Waiting};

/// What one family at a time acts on.
pub type Scope = (InstrumentId, PositionSide);

/// One wish of a turn, as far as families go.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub key: OrderKey,
    pub request: RequestKind,
    pub new: Option<NewIntent>,
    /// What it says of itself: a cancel of the workflow says whose it is.
    pub said: Family,
}

/// Highest first.
fn rank(family: Family) -> u8 {
    match family {
        Family::Recovery => 0,
        Family::Closing => 1,
        Family::Cleanup => 2,
        Family::Protective => 3,
        Family::Entry => 4,
    }
}

pub fn must_yield(family: Family, to: Family) -> bool {
    rank(to) < rank(family)
}

impl Twin {
    pub(super) fn family_of(&self, wish: &Wish) -> Family {
        let of_order = || self.live_in(wish.key).map_or(Family::Entry, |order| order.family);
        match (wish.request, wish.new) {
            // It says that it protects: then it must lower what is held, or be able to do nothing else.
            (RequestKind::New, Some(new)) if wish.said == Family::Protective => {
                let account = self.ledger.account();
                let has_leg = new.position_side != PositionSide::Both && self.is_hedged(new.instrument);
                let held = if has_leg {
                    self.ledger.page(account, new.instrument, new.position_side).held
                } else {
                    self.ledger.net(account, new.instrument).held
                };
                let signed = new.side.signed(new.quantity).raw();
                let lowers = held > 0 && signed < 0 || held < 0 && signed > 0;
                if new.reduce_only || new.close_position || lowers {
                    Family::Protective
                } else {
                    Family::Entry
                }
            }
            (RequestKind::New, _) => wish.said,
            (RequestKind::Cancel, _) if matches!(wish.said, Family::Closing | Family::Cleanup) => wish.said,
            (RequestKind::Replace | RequestKind::Cancel, _) => of_order(),
        }
    }

    pub(super) fn scope_of(&self, wish: &Wish) -> Option<Scope> {
        let of_order = || self.live_in(wish.key).map(|order| (order.instrument, order.leg));
        let of_new = |new: NewIntent| (new.instrument, new.position_side);
        match wish.request {
            RequestKind::New => wish.new.map(of_new),
            RequestKind::Replace => of_order().or_else(|| self.waiting.get(&wish.key)?.new.map(of_new)),
            RequestKind::Cancel => of_order(),
        }
    }

    pub(super) fn family_of_waiting(&self, key: OrderKey, waiting: &Waiting) -> Family {
        self.family_of(&Wish { key, request: waiting.request, new: waiting.new, said: waiting.said })
    }

    /// The family to which this wish gives way in this turn, if to any.
    pub(super) fn yields_to(&self, wish: &Wish) -> Option<Family> {
        if wish.request == RequestKind::Cancel {
            return None;
        }
        let scope = self.scope_of(wish)?;
        let in_scope = self.turn_wishes.iter().filter(|other| self.scope_of(other) == Some(scope));
        let acting = in_scope.map(|other| self.family_of(other)).min_by_key(|family| rank(*family))?;
        must_yield(self.family_of(wish), acting).then_some(acting)
    }

    /// A higher family has something out in this scope that the venue has not confirmed.
    pub(super) fn is_held(&self, key: OrderKey, waiting: &Waiting) -> bool {
        let wish = Wish { key, request: waiting.request, new: waiting.new, said: waiting.said };
        let Some(scope) = self.scope_of(&wish) else { return false };
        let family = self.family_of(&wish);
        let out = self.live().filter(|o| (o.instrument, o.leg) == scope && o.doubt != Doubt::Confirmed);
        let mut by = out.map(|o| if o.inflight.is_some() { o.out_by } else { o.family });
        by.any(|other| other != Family::Recovery && must_yield(family, other))
    }

    /// What the workflow may wish, and when.
    pub(super) fn workflow_may(&self, record: &IntentRecord, family: Family) -> Check {
        let trading = &self.trading;
        let strategies = self.configuration.strategies.len();
        if record.key.strategy.index() < strategies && family != Family::Closing && family != Family::Cleanup
        {
            hold!("family", !trading.is_closing_down(), "{record:?} while everything is closed down");
        }
        if family == Family::Closing {
            let wished = trading.kill.is_some() || trading.is_closing_down() || trading.cancel_all;
            hold!("family", wished || trading.has_tripped, "{record:?}: nobody wished it");
        }
        if family == Family::Cleanup {
            let Some(order) = self.live_in(record.key) else { return Ok(()) };
            let age = self.configuration.strategies[record.key.strategy.index()].max_order_age;
            let old = !age.is_zero() && self.now.since(order.touched) >= age;
            let known = order.doubt != Doubt::Unknown && order.inflight.is_none();
            // What lives although it had ended has nobody who stands behind it.
            let ghost = order.family == Family::Cleanup;
            // What a strategy claims it sees, and may cancel itself; that it was the workflow, nobody can tell then.
            let own = order.claimed;
            hold!("family", (old || ghost) && known || own, "cleaned up for nothing: {order:?}");
        }
        if record.key.strategy == WORKFLOW {
            let leg = super::ledger_leg(record.key.slot);
            let held = self.to_close(record.instrument, leg);
            let signed = record.side.signed(record.quantity).raw();
            let closes = held.signum() == -signed.signum() && signed.abs() <= held.abs();
            hold!("flatten", closes && trading.is_flattening(), "{record:?} of {held}");
            let ours = self.live().find(|o| o.key.strategy.index() < strategies);
            hold!("flatten", ours.is_none(), "{record:?} while {ours:?} is open");
        }
        Ok(())
    }
}
