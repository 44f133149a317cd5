//! The receiver: venue sockets in, events out. It owns the market connections and the private stream of one venue.
//!
//! Promises: a message is read only when the ring has room for all that it may become, and market data leaves room for the
//! private stream and for snapshots, so that neither starves. The ring's answer to "full" is back-pressure first (the
//! kernel's buffer, then the venue's); if the core does not catch up within `patience`, every book is marked lost and
//! resynchronised. Private messages only ever wait. Nothing is dropped in silence. No connection reaches the age at which the venue would
//! end it: a younger one takes its place while it is still open.
//! Hot.

mod market;
mod output;
mod private;

use std::collections::VecDeque;

use self::market::Slot;
use self::output::Output;
use self::private::PrivateLink;
use crate::core::event::{Event, LinkReason};
use crate::core::id::VenueId;
use crate::core::time::Nanos;
use crate::ring::{Consumer, Producer};
use crate::telemetry::counters::{Owned, ReceiverCounters};
use crate::telemetry::hops::HopHistograms;
use crate::telemetry::log::{Level, LogEvent, Logger};
use crate::threads::connection::{Connection, Upkeep};
use crate::threads::requester::{Answer, Want};
use crate::threads::world::{Clock, Dial, Socket};
use crate::threads::{Pass, say};
use crate::venue::binance::feed::MarketFeed;
use crate::venue::binance::private::PrivateStream;

/// Messages taken from one socket in one pass.
const BURST: usize = 32;

#[derive(Clone, Copy, Debug)]
pub struct ReceiverOptions {
    pub venue: VenueId,
    /// Private streams by today's split path, or by the former one.
    pub split_paths: bool,
    /// How long market data may find the ring full before the books are given up.
    pub patience: Nanos,
    pub upkeep: Upkeep,
}

pub struct Receiver<C: Clock, D: Dial> {
    clock: C,
    options: ReceiverOptions,
    feed: MarketFeed,
    market: Vec<Slot<D::Socket>>,
    market_dial: D,
    /// When a market connection is old, or at once while one is being replaced.
    renew_at: Nanos,
    private: PrivateLink<D>,
    answers: Consumer<Answer>,
    out: Output<C>,
    stopping: bool,
}

/// What is left when the loop has ended.
pub struct ReceiverEnd {
    pub feed: crate::venue::binance::feed::FeedCounters,
    pub private: crate::venue::binance::private::PrivateCounters,
    pub hops: HopHistograms,
    /// Pushes that met a full ring to the core.
    pub ring_full: (&'static str, u64),
}

/// The rings and shared ends that a receiver works with.
pub struct ReceiverWiring {
    pub events: Producer<Event>,
    pub wants: Producer<Want>,
    pub answers: Consumer<Answer>,
    pub counters: Owned<ReceiverCounters>,
    pub log: Logger,
}

impl<C: Clock, D: Dial> Receiver<C, D> {
    /// `private_dial` is `None` where there is no account: then its stream counts as up, and brings nothing.
    pub fn new(
        options: ReceiverOptions,
        feed: MarketFeed,
        private: PrivateStream,
        market_dial: D,
        private_dial: Option<D>,
        wiring: ReceiverWiring,
        clock: C,
    ) -> Self {
        let connection = |number: usize| Connection::new(&options.upkeep, number);
        Self {
            market: market::slots(&feed, connection),
            renew_at: Nanos::MAX,
            private: PrivateLink::new(private_dial, private, connection),
            feed,
            market_dial,
            answers: wiring.answers,
            out: Output {
                clock: clock.clone(),
                ring: wiring.events,
                wants: wiring.wants,
                sends: Vec::with_capacity(16),
                drops: Vec::with_capacity(16),
                renewals: Vec::with_capacity(16),
                backlog: VecDeque::with_capacity(64),
                full_since: None,
                shed: false,
                hops: HopHistograms::new(),
                counters: wiring.counters,
                log: wiring.log,
            },
            options,
            clock,
            stopping: false,
        }
    }

    /// One bounded round: private first, because it is about our money; then the market.
    #[inline]
    pub fn pass(&mut self) -> Pass {
        let now = self.clock.now();
        if !self.out.flush_backlog() {
            return Pass::Idle;
        }
        let mut moved = self.take_answers(now);
        moved |= self.private.pass(&self.options, self.stopping, now, &mut self.out);
        for at in 0..self.market.len() {
            moved |= self.pass_market(at, now);
        }
        self.feed.poll(now, &mut self.out);
        self.follow_up(now);
        self.renew_market(now);
        Pass::busy_if(moved)
    }

    /// Closes the sockets; the loop may be dropped when `is_closed`.
    pub fn stop(&mut self) {
        self.stopping = true;
        let now = self.clock.now();
        self.market.iter_mut().for_each(|slot| slot.connection.close(now));
        self.private.close(now);
    }

    pub fn is_closed(&self) -> bool {
        self.market.iter().all(|slot| slot.connection.is_closed()) && self.private.is_closed()
    }

    pub fn finish(self) -> ReceiverEnd {
        ReceiverEnd {
            feed: *self.feed.counters(),
            private: *self.private.stream.counters(),
            ring_full: (self.out.ring.name(), self.out.ring.full_hits()),
            hops: self.out.hops,
        }
    }

    pub fn feed(&self) -> &MarketFeed {
        &self.feed
    }

    /// What the ring must be deep enough for, whatever comes.
    pub fn least_depth(feed: &MarketFeed, private: &PrivateStream) -> usize {
        feed.least_room() + private.most_events_per_message()
    }

    fn take_answers(&mut self, now: Nanos) -> bool {
        let mut moved = false;
        while let Some(answer) = self.answers.peek() {
            let needs = match answer {
                Answer::Snapshot { .. } => self.feed.most_events_per_snapshot(),
                Answer::ListenKey(_) | Answer::Clock(_) => 0,
            };
            if self.out.ring.room() < needs {
                return moved;
            }
            moved = true;
            match self.answers.pop() {
                Some(Answer::Snapshot { instrument, body }) => {
                    if let Err(error) = self.feed.on_snapshot(instrument, body.as_deref(), now, &mut self.out)
                    {
                        let text = format_args!("snapshot: {error}");
                        say(&mut self.out.log, now, Level::Warn, LogEvent::BadMessage, text);
                    }
                }
                Some(Answer::ListenKey(key)) => self.private.take_key(key, now),
                Some(Answer::Clock(tuning)) => self.private.stream.set_clock_offset(tuning.offset_millis),
                None => break,
            }
        }
        moved
    }

    /// What the feed asked for while it held a message, and the answer to a ring that stays full.
    #[inline]
    fn follow_up(&mut self, now: Nanos) {
        for (connection, text) in std::mem::take(&mut self.out.sends) {
            let socket = self.market.get_mut(connection).and_then(|slot| slot.connection.socket.as_mut());
            if let Some(Err(error)) = socket.map(|socket| socket.send_text(text.as_bytes())) {
                let text = format_args!("subscribe: {error}");
                say(&mut self.out.log, now, Level::Warn, LogEvent::Disconnected, text);
                self.out.drops.push((connection, LinkReason::Protocol));
            }
        }
        while let Some((connection, _)) = self.out.drops.pop() {
            if let Some(slot) = self.market.get_mut(connection) {
                slot.connection.close(now);
            }
        }
        while let Some(connection) = self.out.renewals.pop() {
            self.market_ends_soon(connection, now);
        }
        if !self.market.iter().any(|slot| slot.connection.is_open()) {
            self.out.full_since = None;
        }
        if let Some(since) = self.out.full_since
            && !self.out.shed
            && now.since(since) > self.options.patience
        {
            self.out_of_patience(now);
        }
    }

    /// A market message may become so many events, and must leave room for the private stream's next message and for a
    /// snapshot that waits.
    #[inline]
    fn market_needs(&self) -> usize {
        let snapshot = if self.answers.is_empty() { 0 } else { self.feed.most_events_per_snapshot() };
        self.feed.most_events_per_message() + self.private.stream.most_events_per_message() + snapshot
    }

    #[cold]
    fn out_of_patience(&mut self, now: Nanos) {
        if self.out.ring.room() <= 2 * self.market.len() + 256 {
            return;
        }
        self.out.shed = true;
        self.out.counters.sheds.one();
        let patience = self.options.patience.as_millis();
        let text = format_args!("receiver_core was full for {patience} ms: books are resynchronised");
        say(&mut self.out.log, now, Level::Warn, LogEvent::RingFull, text);
        self.feed.shed(now, &mut self.out);
    }
}
