//! Where the receiver's words go: the ring to the core, the wishes to the requester, and what the feed asked for while it held a
//! message. What finds no room waits here, in order; nothing is read before it is gone.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use std::collections::VecDeque;

use crate::core::event::{Event, LinkReason, Source};
use crate::core::id::InstrumentId;
use crate::core::time::Nanos;
use crate::ring::{Full, Producer};
use crate::telemetry::counters::{Owned, ReceiverCounters};
use crate::telemetry::hops::{Hop, HopHistograms};
use crate::telemetry::log::Logger;
use crate::threads::requester::Want;
use crate::threads::world::Clock;
use crate::venue::EventSink;
use crate::venue::binance::feed::FeedOutput;

pub(super) struct Output<C: Clock> {
    pub clock: C,
    pub ring: Producer<Event>,
    pub wants: Producer<Want>,
    pub sends: Vec<(usize, String)>,
    pub drops: Vec<(usize, LinkReason)>,
    pub renewals: Vec<usize>,
    pub backlog: VecDeque<Event>,
    /// Since when market data finds no room.
    pub full_since: Option<Nanos>,
    /// The books were given up since then: not again before there was room.
    pub shed: bool,
    pub hops: HopHistograms,
    pub counters: Owned<ReceiverCounters>,
    pub log: Logger,
}

impl<C: Clock> EventSink for Output<C> {
    #[inline]
    fn event(&mut self, mut event: Event) {
        let now = self.clock.now();
        event.ringed = u32::try_from(now.since(event.received).raw()).unwrap_or(u32::MAX);
        if event.source == Source::Receiver {
            self.hops.record(Hop::Parse, u64::from(event.parsed));
        }
        if !self.backlog.is_empty() {
            self.backlog.push_back(event);
        } else if let Err(Full(event)) = self.ring.push(event) {
            // Room was made sure of before a message was read; changes of links and deadlines have none reserved.
            self.backlog.push_back(event);
        }
    }
}

impl<C: Clock> Output<C> {
    /// True when nothing waits any more.
    #[inline]
    pub fn flush_backlog(&mut self) -> bool {
        while let Some(event) = self.backlog.pop_front() {
            if let Err(Full(event)) = self.ring.push(event) {
                self.backlog.push_front(event);
                return false;
            }
        }
        true
    }
}

impl<C: Clock> FeedOutput for Output<C> {
    #[cold]
    fn send(&mut self, connection: usize, text: &str) {
        self.sends.push((connection, text.to_owned()));
    }
    fn want_snapshot(&mut self, instrument: InstrumentId, limit: u16) {
        // A full ring to the requester: the feed's own timeout asks again.
        let _ = self.wants.push(Want::Snapshot { instrument, limit });
    }
    fn drop_connection(&mut self, connection: usize, reason: LinkReason) {
        self.drops.push((connection, reason));
    }
    fn renew_connection(&mut self, connection: usize) {
        self.renewals.push(connection);
    }
}
