//! The workflow: what is done about orders and accounts beside what strategies wish. One owner, one family a pass, by
//! priority: recovery, kill and flatten, cleanup; then the strategies. One file a family.
//! Hot.

mod cleanup;
mod closing;
mod orphans;
pub(crate) mod pass;
mod recovery;

use crate::event::{Event, RequestKind};
use crate::execution::Outbox;
use crate::family::{Claim, Family};
use crate::id::{OrderIndex, OrderKey};
use crate::intent::{CancelIntent, Intent, Intents};
use crate::limits::Configuration;
use crate::state::{Change, State};
use crate::time::Nanos;
use cleanup::Cleanup;
use closing::Closing;
use recovery::Recovery;

/// After a cancel was refused or could not be sent, the next one waits so long.
const CANCEL_AGAIN: Nanos = Nanos::from_millis(250);

#[derive(Clone, Debug)]
pub struct Workflow {
    recovery: Recovery,
    closing: Closing,
    cleanup: Cleanup,
}

crate::saved! { table Workflow { recovery, closing, cleanup } }

impl Workflow {
    pub fn new(configuration: &Configuration) -> Self {
        Self {
            recovery: Recovery::new(configuration),
            closing: Closing::new(configuration.instruments.len()),
            cleanup: Cleanup::new(),
        }
    }

    /// Looks at what the event changed; asks what must be asked; wishes what must be wished. `claim` is a strategy's word about
    /// one of its orders.
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "the turn's whole world, and where its wishes go")]
    pub fn plan(
        &mut self,
        state: &mut State,
        configuration: &Configuration,
        event: &Event,
        change: Change,
        claim: impl Fn(&State, OrderKey) -> Claim,
        intents: &mut Intents,
        outbox: &mut impl Outbox,
    ) {
        self.recovery.act(state, event, change, outbox);
        if self.closing.act(state, configuration, event, intents, outbox) {
            self.cleanup.be_silent();
        } else {
            orphans::wish_anew(state, intents);
            self.cleanup.act(state, configuration, change, claim, intents);
        }
    }

    /// Something was dispatched: its confirmation has a deadline, and it grows old.
    #[inline]
    pub fn expect_confirmation(&mut self, now: Nanos, configuration: &Configuration) {
        self.recovery.expect_confirmation(now);
        self.cleanup.expect_age(now, configuration);
    }

    #[inline]
    pub fn next_deadline(&self) -> Nanos {
        self.recovery
            .next_deadline()
            .earlier(self.closing.next_deadline())
            .earlier(self.cleanup.next_deadline())
    }
}

/// Wishes the cancel of one live order, unless one is on its way, or the venue has just refused one.
fn cancel_order(state: &State, index: OrderIndex, family: Family, intents: &mut Intents) {
    let Some(order) = state.execution.orders.order(index) else { return };
    let on_its_way = order.inflight.is_some_and(|inflight| inflight.request == RequestKind::Cancel)
        || state
            .execution
            .queue
            .pending(order.key)
            .is_some_and(|pending| pending.intent.request() == RequestKind::Cancel);
    let too_soon = !order.refused_at.is_zero() && state.now < order.refused_at + CANCEL_AGAIN;
    if !on_its_way && !too_soon {
        intents.push(Intent::Cancel(CancelIntent { key: order.key, order: index, family }));
    }
}
