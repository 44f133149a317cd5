//! The family *recovery*: what is in doubt is asked about, until the venue answers or the budget ends.
//!
//! It asks, it never guesses: an unknown outcome is resolved by asking for our client order id, and nothing is resubmitted.
//! Hot.

use crate::event::{Body, Event, HydrationScope, LinkKind, LinkState, RejectReason};
use crate::execution::Outbox;
use crate::id::{ClientOrderId, InstrumentId, OrderIndex, VenueId, VenueOrderId};
use crate::limits::{Configuration, MAX_VENUES};
use crate::record::{Ask, Decision, IncidentKind};
use crate::state::control::AccountTrust;
use crate::state::execution::Agreement;
use crate::state::order::Confirmation;
use crate::state::{Change, State};
use crate::time::Nanos;

/// The pause before a question is asked again; it doubles with each, up to `LONGEST_PAUSE`.
const ASK_AGAIN: Nanos = Nanos::from_millis(500);
const LONGEST_PAUSE: Nanos = Nanos::from_secs(30);

#[derive(Clone, Debug)]
pub(super) struct Recovery {
    asks: u64,
    confirmation_timeout: Nanos,
    attempts: u32,
    /// Failed read-backs of each venue's account in a row, and when the next may be asked.
    failures: [(u32, Nanos); MAX_VENUES],
    /// When some confirmation may be overdue, or some question is due again.
    look_at: Nanos,
}

crate::saved! {
    table Recovery { asks, failures, look_at } kept { confirmation_timeout, attempts }
}

impl Recovery {
    pub(super) fn new(configuration: &Configuration) -> Self {
        Self {
            asks: 0,
            confirmation_timeout: configuration.confirmation_timeout,
            attempts: configuration.recovery_attempts,
            failures: [(0, Nanos::ZERO); MAX_VENUES],
            look_at: Nanos::MAX,
        }
    }

    /// Asks what the event, or the time, made a question.
    #[inline]
    pub(super) fn act(&mut self, state: &mut State, event: &Event, change: Change, outbox: &mut impl Outbox) {
        match change {
            Change::Link(venue, kind) => self.after_link(state, venue, kind, outbox),
            // A balance that comes in says nothing about the read-back.
            Change::Account(venue) if matches!(event.body, Body::Hydration(_)) => {
                self.after_account(state, venue)
            }
            Change::Private(id) | Change::Settled(id) => self.look_around(state, id, outbox),
            Change::Control => self.look_at = state.now,
            _ => {}
        }
        if state.now >= self.look_at {
            self.look(state, outbox);
        }
    }

    /// Something was dispatched: its confirmation has a deadline.
    #[inline]
    pub(super) fn expect_confirmation(&mut self, now: Nanos) {
        self.look_at = self.look_at.earlier(now + self.confirmation_timeout);
    }

    #[inline]
    pub(super) fn next_deadline(&self) -> Nanos {
        self.look_at
    }

    fn after_link(&mut self, state: &mut State, venue: VenueId, kind: LinkKind, outbox: &mut impl Outbox) {
        if kind == LinkKind::Private {
            self.hydrate_account(state, venue, outbox);
        }
    }

    /// The account's read-back has ended; a failed one is tried again after a pause.
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
            after_trade: 0,
            since: Nanos::ZERO,
        };
        outbox.decision(&Decision::Ask(ask));
        outbox.ask(&ask);
    }

    /// What a private event can have made a question: its instrument's. Others have their own times.
    #[inline]
    fn look_around(&mut self, state: &mut State, instrument: InstrumentId, outbox: &mut impl Outbox) {
        let mut next =
            self.look_at_position(state, instrument).earlier(self.look_at_account(state, instrument));
        let mut last = None;
        while let Some(index) = state.execution.orders.next_live_on(instrument, last) {
            next = next.earlier(self.look_at_order(state, index, outbox));
            last = Some(index);
        }
        next = next.earlier(self.look_at_unresolved(state, |of| of == instrument, outbox));
        self.look_at = self.look_at.earlier(next.earlier(self.read_trades(state, instrument, outbox)));
    }

    /// Overdue confirmations become doubts, doubts become questions.
    fn look(&mut self, state: &mut State, outbox: &mut impl Outbox) {
        let now = state.now;
        let mut next = Nanos::MAX;
        for at in 0..state.market.count() {
            let due = self.look_at_position(state, InstrumentId(at as u16));
            // What is due now is asked for below.
            next = if due > now { next.earlier(due) } else { next };
        }
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
        next = next.earlier(self.look_at_unresolved(state, |_| true, outbox));
        // After the orders: what is of none of them is somebody else's.
        for at in 0..state.market.count() {
            next = next.earlier(self.read_trades(state, InstrumentId(at as u16), outbox));
        }
        self.look_at = next;
    }

    /// Orders that have ended and are still asked about: as a rule there is none.
    #[inline]
    fn look_at_unresolved(
        &mut self,
        state: &mut State,
        is_meant: impl Fn(InstrumentId) -> bool,
        outbox: &mut impl Outbox,
    ) -> Nanos {
        let (mut next, mut at) = (Nanos::MAX, 0);
        while let Some(index) = state.execution.orders.unresolved().get(at).copied() {
            if state.execution.orders.order(index).is_some_and(|order| is_meant(order.instrument)) {
                next = next.earlier(self.look_at_order(state, index, outbox));
            }
            // What was given up has left the list.
            at += usize::from(state.execution.orders.unresolved().get(at) == Some(&index));
        }
        next
    }

    /// After a warm start: the trades of an instrument that came while nobody looked. Returns when to look again.
    fn read_trades(
        &mut self,
        state: &mut State,
        instrument: InstrumentId,
        outbox: &mut impl Outbox,
    ) -> Nanos {
        let Some((ask_at, after_trade)) = state.execution.trades_to_ask(instrument) else {
            return Nanos::MAX;
        };
        if state.now < ask_at {
            return ask_at;
        }
        let Some(venue) = state.execution.venue_of(instrument) else { return Nanos::MAX };
        let trusted = state.control.venue(venue).is_some_and(|v| v.account == AccountTrust::Trusted);
        if !trusted {
            // The account is read back first, and wakes this look.
            return Nanos::MAX;
        }
        state.execution.asked_for_trades(instrument);
        self.asks += 1;
        let ask = Ask {
            number: self.asks,
            venue,
            scope: HydrationScope::Trades,
            instrument,
            client_order_id: ClientOrderId::NONE,
            venue_order_id: VenueOrderId(0),
            after_trade,
            since: state.execution.warm_start.since,
        };
        outbox.decision(&Decision::Ask(ask));
        outbox.ask(&ask);
        Nanos::MAX
    }

    /// A position that differs from the venue's for longer than any report takes puts the account in doubt: it is read
    /// back at the next look. Returns when that is.
    #[inline]
    fn look_at_position(&mut self, state: &mut State, instrument: InstrumentId) -> Nanos {
        let Agreement::DiffersSince(since) = state.execution.agreement(instrument) else { return Nanos::MAX };
        let due = since + self.confirmation_timeout;
        if state.now < due {
            return due;
        }
        let venue = state.execution.venue_of(instrument);
        let account = venue.and_then(|venue| state.control.venue_mut(venue));
        if let Some(control) = account
            && control.account == AccountTrust::Trusted
        {
            control.account = AccountTrust::Doubtful;
            // The read-back is asked for in this same turn.
            return state.now;
        }
        Nanos::MAX
    }

    /// What has just been told may have put the account in doubt. Returns when it can be read back.
    #[inline]
    fn look_at_account(&self, state: &State, instrument: InstrumentId) -> Nanos {
        let Some(venue) = state.execution.venue_of(instrument) else { return Nanos::MAX };
        let waits = state.control.venue(venue).is_some_and(|control| {
            control.account == AccountTrust::Doubtful && control.link(LinkKind::Private) == LinkState::Up
        });
        let not_before = self.failures.get(venue.index()).map_or(Nanos::ZERO, |(_, next)| *next);
        if waits { not_before.later(state.now) } else { Nanos::MAX }
    }

    /// Returns when this order must be looked at again.
    fn look_at_order(&mut self, state: &mut State, index: OrderIndex, outbox: &mut impl Outbox) -> Nanos {
        let now = state.now;
        let Some(order) = state.execution.orders.order(index).copied() else { return Nanos::MAX };
        let overdue_from = match order.confirmation {
            Confirmation::Confirmed if order.is_live() && !order.look_into_at.is_zero() => {
                order.look_into_at + self.confirmation_timeout
            }
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
        // An audit missed it, and nobody has said anything about it since: what we believe rests, and what the book shows there.
        if order.confirmation == Confirmation::Confirmed && order.expires.is_zero() {
            let book = state.market.instrument(order.instrument).map(|market| &market.book);
            outbox.decision(&Decision::Incident {
                kind: IncidentKind::Contradiction,
                instrument: order.instrument,
                order: index,
                ours: order.leaves().raw(),
                theirs: book.map_or(0, |book| book.quantity_at(order.side, order.price).raw()),
            });
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
            if !order.is_live() {
                state.execution.give_up(index);
            }
            return Nanos::MAX;
        }
        let exhausted = order.asked + 1 == self.attempts;
        let timeout = self.confirmation_timeout;
        state.execution.change(index, |order| {
            let asked = order.asked;
            order.asked += 1;
            if !order.look_into_at.is_zero() && order.look_into_at + timeout <= now {
                // A venue that says it still lives is asked again, and not at once.
                order.look_into_at = order.look_into_at.later(now + LONGEST_PAUSE);
            }
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
            after_trade: 0,
            since: Nanos::ZERO,
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
