//! The workflow: what is done about orders and accounts beside what strategies wish. One owner, one family a pass, by
//! priority: recovery, kill and flatten, cleanup; then the strategies.
//!
//! Recovery asks, it never guesses: an unknown outcome is resolved by asking for our client order id, and nothing is
//! resubmitted.
//! Hot.

use crate::event::{
    Body, ControlVerb, Event, HydrationScope, KillMode, LinkKind, LinkState, RejectReason, RequestKind, Side,
};
use crate::id::{ClientOrderId, InstrumentId, OrderIndex, OrderKey, StrategyId, VenueId, VenueOrderId};
use crate::intent::{CancelIntent, Intent, Intents, NewIntent};
use crate::limits::{Configuration, MAX_VENUES};
use crate::num::Quantity;
use crate::record::{Ask, Decision, IncidentKind};
use crate::state::control::AccountTrust;
use crate::state::execution::Agreement;
use crate::state::hash::StateHasher;
use crate::state::order::Confirmation;
use crate::state::{Change, State};
use crate::time::Nanos;

use super::Outbox;

/// Orders that the workflow itself makes (flatten) are nobody's slot.
const WORKFLOW: StrategyId = StrategyId(u8::MAX - 2);

/// The pause before a question is asked again; it doubles with each, up to `LONGEST_PAUSE`.
const ASK_AGAIN: Nanos = Nanos::from_millis(500);
const LONGEST_PAUSE: Nanos = Nanos::from_secs(30);
/// After a cancel was refused or could not be sent, the next one waits so long.
const CANCEL_AGAIN: Nanos = Nanos::from_millis(250);

#[derive(Clone, Debug)]
pub struct Workflow {
    asks: u64,
    confirmation_timeout: Nanos,
    attempts: u32,
    /// Failed read-backs of each venue's account in a row, and when the next may be asked.
    failures: [(u32, Nanos); MAX_VENUES],
    /// When some confirmation may be overdue, or some question is due again.
    look_at: Nanos,
    /// An operator's one-shot wish to cancel everything.
    cancel_all: bool,
    /// An operator's wish to hold nothing; done when nothing is held.
    flatten: bool,
}

impl Workflow {
    pub fn new(configuration: &Configuration) -> Self {
        Self {
            asks: 0,
            confirmation_timeout: configuration.confirmation_timeout,
            attempts: configuration.recovery_attempts,
            failures: [(0, Nanos::ZERO); MAX_VENUES],
            look_at: Nanos::MAX,
            cancel_all: false,
            flatten: false,
        }
    }

    /// Looks at what the event changed; asks what must be asked; wishes what must be wished.
    #[inline]
    pub fn plan(
        &mut self,
        state: &mut State,
        configuration: &Configuration,
        event: &Event,
        change: Change,
        intents: &mut Intents,
        outbox: &mut impl Outbox,
    ) {
        match change {
            Change::Link(venue, kind) => self.after_link(state, venue, kind, outbox),
            Change::Account(venue) => self.after_account(state, venue),
            Change::Private(_) | Change::Settled(_) | Change::Control => self.look_at = state.now,
            _ => {}
        }
        if let Body::Control(control) = &event.body {
            match control.verb {
                ControlVerb::CancelAll => self.cancel_all = true,
                ControlVerb::Flatten => self.flatten = true,
                _ => {}
            }
        }
        if state.now >= self.look_at {
            self.look(state, outbox);
        }
        self.clean_up(state, configuration, intents);
    }

    /// Kill, drain and the operator's wishes: cancels first, and once nothing is open, what is held is closed.
    #[inline]
    fn clean_up(&mut self, state: &mut State, configuration: &Configuration, intents: &mut Intents) {
        let kill = state.control.kill;
        let cancelling = matches!(kill, Some(KillMode::Cancel | KillMode::Flatten)) || state.control.draining;
        let flattening = kill == Some(KillMode::Flatten) || self.flatten;
        if !(cancelling || flattening || self.cancel_all) {
            return;
        }
        let open = cancel_everything(state, intents);
        // A turn has a bound: what did not fit is wished at the next event. What opens later was not meant.
        self.cancel_all &= intents.is_full();
        if open {
            // What was refused is wished again after a pause.
            self.look_at = self.look_at.earlier(state.now + CANCEL_AGAIN);
        }
        if flattening && !open {
            let held = flatten(state, configuration, intents);
            self.flatten &= held;
        }
        state.control.flattening = self.flatten;
    }

    /// Something was dispatched: its confirmation has a deadline.
    #[inline]
    pub fn expect_confirmation(&mut self, now: Nanos) {
        self.look_at = self.look_at.earlier(now + self.confirmation_timeout);
    }

    #[inline]
    pub fn next_deadline(&self) -> Nanos {
        self.look_at
    }

    pub fn fold(&self, hasher: &mut StateHasher) {
        hasher.word(self.asks);
        hasher.word(self.look_at.raw());
        hasher.word(u64::from(self.cancel_all) | u64::from(self.flatten) << 1);
        for (failures, next) in self.failures {
            hasher.word(u64::from(failures));
            hasher.word(next.raw());
        }
    }

    fn after_link(&mut self, state: &mut State, venue: VenueId, kind: LinkKind, outbox: &mut impl Outbox) {
        if kind == LinkKind::Private {
            self.hydrate_account(state, venue, outbox);
        }
    }

    /// A failed hydration is tried again after a pause.
    fn after_account(&mut self, state: &State, venue: VenueId) {
        let doubtful = state.control.venue(venue).is_some_and(|v| v.account == AccountTrust::Doubtful);
        let Some((failures, next)) = self.failures.get_mut(venue.index()) else { return };
        if doubtful {
            // The venue may have said when it wants to be asked again.
            *next = (state.now + pause(*failures)).later(state.execution.throttle.held_until(venue));
            *failures = failures.saturating_add(1);
            self.look_at = self.look_at.earlier(*next);
        } else {
            *failures = 0;
            self.look_at = state.now;
        }
    }

    /// The private stream listens, and the account is in doubt: read it back.
    fn hydrate_account(&mut self, state: &mut State, venue: VenueId, outbox: &mut impl Outbox) {
        let not_before = self.failures.get(venue.index()).map_or(Nanos::ZERO, |(_, next)| *next);
        let now = state.now;
        let Some(control) = state.control.venue_mut(venue) else { return };
        if now < not_before {
            return;
        }
        if control.account != AccountTrust::Doubtful || control.link(LinkKind::Private) != LinkState::Up {
            return;
        }
        self.asks += 1;
        control.account = AccountTrust::Hydrating { ask: self.asks };
        let ask = Ask {
            number: self.asks,
            venue,
            scope: HydrationScope::Account,
            instrument: InstrumentId::NONE,
            client_order_id: ClientOrderId::NONE,
            venue_order_id: VenueOrderId(0),
        };
        outbox.decision(&Decision::Ask(ask));
        outbox.ask(&ask);
    }

    /// Overdue confirmations become doubts, doubts become questions.
    fn look(&mut self, state: &mut State, outbox: &mut impl Outbox) {
        let now = state.now;
        let mut next = self.look_at_positions(state);
        for at in 0..state.control.venues().count() {
            let venue = VenueId(at as u8);
            self.hydrate_account(state, venue, outbox);
            let waiting = state.control.venue(venue).is_some_and(|v| {
                v.account == AccountTrust::Doubtful && v.link(LinkKind::Private) == LinkState::Up
            });
            if waiting {
                let not_before = self.failures.get(at).map_or(Nanos::ZERO, |(_, next)| *next);
                next = next.earlier(not_before.later(now + Nanos::from_millis(1)));
            }
        }
        let mut at = 0;
        while let Some(index) = state.execution.orders.live().get(at).copied() {
            at += 1;
            next = next.earlier(self.look_at_order(state, index, outbox));
        }
        self.look_at = next;
    }

    /// A position that differs from the venue's for longer than any report takes puts the account in doubt: it is read
    /// back at the next look. Returns when that is.
    fn look_at_positions(&mut self, state: &mut State) -> Nanos {
        let mut next = Nanos::MAX;
        for at in 0..state.market.count() {
            let instrument = InstrumentId(at as u16);
            let Agreement::DiffersSince(since) = state.execution.agreement(instrument) else { continue };
            let due = since + self.confirmation_timeout;
            if state.now < due {
                next = next.earlier(due);
                continue;
            }
            let venue = state.execution.venue_of(instrument);
            let account = venue.and_then(|venue| state.control.venue_mut(venue));
            if let Some(control) = account
                && control.account == AccountTrust::Trusted
            {
                // The read-back is asked for in this same look.
                control.account = AccountTrust::Doubtful;
            }
        }
        next
    }

    /// Returns when this order must be looked at again.
    fn look_at_order(&mut self, state: &mut State, index: OrderIndex, outbox: &mut impl Outbox) -> Nanos {
        let now = state.now;
        let Some(order) = state.execution.orders.order(index).copied() else { return Nanos::MAX };
        let overdue_from = match order.confirmation {
            Confirmation::Confirmed => return Nanos::MAX,
            Confirmation::Pending { since } => since + self.confirmation_timeout,
            Confirmation::Unknown { ask_at, .. } => ask_at,
        };
        if now < overdue_from {
            return overdue_from;
        }
        let trusted =
            state.control.venue(order.venue).is_some_and(|v| matches!(v.account, AccountTrust::Trusted));
        if !trusted {
            // The account itself is being read back, which answers for this order too, and wakes this look.
            return Nanos::MAX;
        }
        if matches!(order.confirmation, Confirmation::Pending { .. }) {
            outbox.decision(&Decision::Incident {
                kind: IncidentKind::ConfirmationOverdue,
                instrument: order.instrument,
                order: index,
                ours: order.inflight.map_or(-1, |inflight| i64::from(inflight.request.code())),
                theirs: 0,
            });
        }
        if order.asked >= self.attempts {
            return Nanos::MAX;
        }
        let exhausted = order.asked + 1 == self.attempts;
        state.execution.change(index, |order| {
            let asked = order.asked;
            order.asked += 1;
            let why = match order.confirmation {
                Confirmation::Unknown { why, .. } => why,
                _ => RejectReason::NoAnswer,
            };
            order.confirmation = Confirmation::Unknown { why, ask_at: now + pause(asked) };
        });
        self.asks += 1;
        let ask = Ask {
            number: self.asks,
            venue: order.venue,
            scope: HydrationScope::Order,
            instrument: order.instrument,
            client_order_id: order.client_order_id,
            venue_order_id: order.venue_order_id,
        };
        outbox.decision(&Decision::Ask(ask));
        outbox.ask(&ask);
        if exhausted {
            outbox.decision(&Decision::Incident {
                kind: IncidentKind::RecoveryExhausted,
                instrument: order.instrument,
                order: index,
                ours: i64::from(order.asked),
                theirs: 0,
            });
        }
        now + pause(order.asked)
    }
}

/// How long to wait before the next question, after so many.
fn pause(asked: u32) -> Nanos {
    Nanos::new(ASK_AGAIN.raw() << asked.min(6)).earlier(LONGEST_PAUSE)
}

/// A cancel for every live order of ours that has none on its way; true while any of ours is open or waiting.
fn cancel_everything(state: &State, intents: &mut Intents) -> bool {
    let mut open = false;
    for pending in state.execution.queue.iter() {
        if pending.intent.request() != RequestKind::Cancel && pending.intent.key().strategy != WORKFLOW {
            open = true;
            intents.push(Intent::Cancel(CancelIntent { key: pending.intent.key(), order: OrderIndex::NONE }));
        }
    }
    for (index, order) in state.execution.orders.live_orders() {
        let strategy = order.key.strategy;
        if strategy == StrategyId::EXTERNAL || strategy == WORKFLOW {
            continue;
        }
        open = true;
        let on_its_way = order.inflight.is_some_and(|inflight| inflight.request == RequestKind::Cancel)
            || state
                .execution
                .queue
                .pending(order.key)
                .is_some_and(|pending| pending.intent.request() == RequestKind::Cancel);
        let too_soon = !order.refused_at.is_zero() && state.now < order.refused_at + CANCEL_AGAIN;
        if !on_its_way && !too_soon {
            intents.push(Intent::Cancel(CancelIntent { key: order.key, order: index }));
        }
    }
    open
}

/// As much as one closing order may have by the venue's filters and our own limits; the rest follows.
fn most_at_once(state: &State, configuration: &Configuration, instrument: InstrumentId) -> Quantity {
    let Some(market) = state.market.instrument(instrument) else { return Quantity::MAX };
    let venue =
        market.definition.as_ref().map_or(Quantity::MAX, |d| d.max_market_quantity.min(d.max_quantity));
    let Some(limits) = configuration.instruments.get(instrument.index()) else { return venue };
    let by_notional = market.mark_to().and_then(|price| {
        let lots = limits.max_order_notional.raw().checked_div(i128::from(price.raw()))?;
        i64::try_from(lots).ok().map(Quantity::new)
    });
    venue.min(limits.max_order_quantity).min(by_notional.unwrap_or(Quantity::MAX)).max(Quantity::new(1))
}

/// What is held is sold or bought back at market, reduce-only, one order an instrument at a time; true while anything is
/// held or on its way.
fn flatten(state: &State, configuration: &Configuration, intents: &mut Intents) -> bool {
    let mut held = false;
    for (instrument, total) in state.execution.totals() {
        let key = OrderKey { strategy: WORKFLOW, slot: instrument.0 };
        let under_way = state.execution.orders.live_orders().any(|(_, order)| order.key == key)
            || state.execution.queue.pending(key).is_some();
        if total.quantity.is_zero() && !under_way {
            continue;
        }
        held = true;
        if under_way || total.quantity.is_zero() {
            continue;
        }
        let side = if total.quantity.is_positive() { Side::Sell } else { Side::Buy };
        let most = most_at_once(state, configuration, instrument);
        let limits = configuration.instruments.get(instrument.index());
        let most = limits.map_or(most, |limits| most.min(limits.max_order_quantity));
        let new = NewIntent::market(instrument, side, total.quantity.abs().min(most)).reduce_only();
        intents.push(Intent::New(new.keyed(key)));
    }
    held
}
