//! What the sender tells the core: its ring, and what waits when that is full.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use std::collections::VecDeque;

use crate::core::dispatch::Dispatch;
use crate::core::event::{
    Body, Control, Event, KillMode, LinkState, NotSent, NotSentReason, RejectReason, Source,
};
use crate::kill_gate::{GateControl, GateState};
use crate::ring::Producer;
use crate::telemetry::counters::{Owned, SenderCounters};
use crate::telemetry::hops::HopHistograms;
use crate::telemetry::log::{Level, LogEvent, Logger};
use crate::threads::say;
use crate::threads::world::Clock;
use crate::venue::EventSink;

/// The ring to the core. What does not fit waits here, in order, and from then on only cancels go out.
pub(super) struct Output<C: Clock> {
    pub clock: C,
    pub ring: Producer<Event>,
    pub backlog: VecDeque<Event>,
    pub gate: GateControl,
    pub hops: HopHistograms,
    pub counters: Owned<SenderCounters>,
    pub log: Logger,
    /// A request was refused for its time: the venue's clock is to be measured again.
    pub clock_doubted: bool,
    /// The core was last told that order entry is up.
    pub is_up: bool,
}

impl<C: Clock> EventSink for Output<C> {
    #[inline]
    fn event(&mut self, mut event: Event) {
        let now = self.clock.now();
        event.ringed = u32::try_from(now.since(event.received).raw()).unwrap_or(u32::MAX);
        if let Body::Outcome(outcome) = &event.body
            && outcome.reason == RejectReason::Clock
        {
            self.clock_doubted = true;
        }
        if let Body::Link(change) = &event.body {
            self.is_up = change.state == LinkState::Up;
        }
        if !self.backlog.is_empty() {
            self.backlog.push_back(event);
        } else if let Err(full) = self.ring.push(event) {
            // About our orders: only cancels go out from here on, and the core learns that it is killed.
            let _ = self.gate.tighten(GateState::CancelOnly);
            say(
                &mut self.log,
                now,
                Level::Error,
                LogEvent::RingFull,
                format_args!("sender_core is full: only cancels"),
            );
            let kill = Control::trip(KillMode::Cancel);
            self.backlog.push_back(Event::new(now, Source::Sender, Body::Control(kill)));
            self.backlog.push_back(full.0);
        }
    }
}

impl<C: Clock> Output<C> {
    pub fn flush_backlog(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            if let Err(full) = self.ring.push(event) {
                self.backlog.push_front(full.0);
                return;
            }
        }
    }

    #[cold]
    pub fn not_sent(&mut self, dispatch: &Dispatch, reason: NotSentReason) {
        self.counters.not_sent.of(reason).one();
        let body = Body::NotSent(NotSent {
            client_order_id: dispatch.client_order_id,
            dispatch: dispatch.number,
            request: dispatch.request,
            reason,
        });
        let now = self.clock.now();
        self.event(Event::new(now, Source::Sender, body).on(dispatch.venue, dispatch.instrument));
    }
}
