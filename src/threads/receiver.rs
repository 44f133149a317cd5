//! The receiver: venue sockets in, events out. It owns the market connections and the private stream of one venue.
//!
//! Promises: a message is read only when the ring has room for all that it may become, and market data leaves room for the
//! private stream and for snapshots, so that neither starves. The ring's answer to "full" is back-pressure first (the
//! kernel's buffer, then the venue's); if the core does not catch up within `patience`, every book is marked lost and
//! resynchronised. Private messages only ever wait. Nothing is dropped in silence.
//! Hot.

use std::collections::VecDeque;

use crate::core::event::{Body, Event, LinkChange, LinkKind, LinkReason, LinkState, Source};
use crate::core::id::{InstrumentId, VenueId};
use crate::core::time::Nanos;
use crate::net::backoff::Backoff;
use crate::net::websocket::{Closed, Phase};
use crate::ring::{Consumer, Full, Producer};
use crate::telemetry::counters::{Owned, ReceiverCounters};
use crate::telemetry::hops::{Hop, HopHistograms};
use crate::telemetry::log::{Level, LogEvent, Logger};
use crate::threads::requester::{Answer, Want};
use crate::threads::world::{Clock, Dial, Socket};
use crate::threads::{Pass, say};
use crate::venue::EventSink;
use crate::venue::binance::feed::{FeedOutput, MarketFeed};
use crate::venue::binance::private::{PrivateMessage, PrivateStream};

/// Messages taken from one socket in one pass.
const BURST: usize = 32;

/// What the venue says when a recording is over: it will not come back.
const ENDED_CODE: u16 = 1001;
const ENDED_REASON: &str = "recording ended";

#[derive(Clone, Copy, Debug)]
pub struct ReceiverOptions {
    pub venue: VenueId,
    /// Private streams by today's split path, or by the former one.
    pub split_paths: bool,
    /// How long market data may find the ring full before the books are given up.
    pub patience: Nanos,
    /// The pause after a first failed connection, and the longest.
    pub reconnect: (Nanos, Nanos),
    pub seed: u64,
}

pub struct Receiver<C: Clock, D: Dial> {
    clock: C,
    options: ReceiverOptions,
    feed: MarketFeed,
    market: Vec<Connection<D::Socket>>,
    market_dial: D,
    private: PrivateLink<D>,
    answers: Consumer<Answer>,
    out: Output<C>,
    stopping: bool,
}

struct Connection<S> {
    socket: Option<S>,
    backoff: Backoff,
    was_open: bool,
    ended: bool,
}

struct PrivateLink<D: Dial> {
    dial: D,
    stream: PrivateStream,
    connection: Connection<D::Socket>,
    key: Option<String>,
    key_wanted_at: Option<Nanos>,
    /// The text of a subscription, reused.
    frame: Vec<u8>,
}

/// The end of the ring, and what the feed asked for while it held the message.
struct Output<C: Clock> {
    clock: C,
    ring: Producer<Event>,
    wants: Producer<Want>,
    sends: Vec<(usize, String)>,
    drops: Vec<(usize, LinkReason)>,
    /// What found no room, in order. Nothing is read before it is gone.
    backlog: VecDeque<Event>,
    /// Since when market data finds no room.
    full_since: Option<Nanos>,
    /// The books were given up since then: not again before there was room.
    shed: bool,
    hops: HopHistograms,
    counters: Owned<ReceiverCounters>,
    log: Logger,
}

/// What is left when the loop has ended.
pub struct ReceiverEnd {
    pub feed: crate::venue::binance::feed::FeedCounters,
    pub private: crate::venue::binance::private::PrivateCounters,
    pub hops: HopHistograms,
    /// Pushes that met a full ring to the core.
    pub ring_full: (&'static str, u64),
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
    fn flush_backlog(&mut self) -> bool {
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
    pub fn new(
        options: ReceiverOptions,
        feed: MarketFeed,
        private: PrivateStream,
        market_dial: D,
        private_dial: D,
        wiring: ReceiverWiring,
        clock: C,
    ) -> Self {
        let connection = |at: usize| Connection {
            socket: None,
            backoff: Backoff::new(
                options.reconnect.0.raw(),
                options.reconnect.1.raw(),
                options.seed.wrapping_add(at as u64),
            ),
            was_open: false,
            ended: false,
        };
        Self {
            market: (0..feed.connections().len()).map(connection).collect(),
            private: PrivateLink {
                dial: private_dial,
                stream: private,
                connection: connection(255),
                key: None,
                key_wanted_at: None,
                frame: Vec::with_capacity(512),
            },
            feed,
            market_dial,
            answers: wiring.answers,
            out: Output {
                clock: clock.clone(),
                ring: wiring.events,
                wants: wiring.wants,
                sends: Vec::with_capacity(16),
                drops: Vec::with_capacity(16),
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
        moved |= self.pass_private(now);
        for at in 0..self.market.len() {
            moved |= self.pass_market(at, now);
        }
        self.feed.poll(now, &mut self.out);
        self.follow_up(now);
        Pass::busy_if(moved)
    }

    /// Closes the sockets; the loop may be dropped when `is_closed`.
    pub fn stop(&mut self) {
        self.stopping = true;
        let now = self.clock.now();
        let sockets = self.market.iter_mut().chain([&mut self.private.connection]);
        for socket in sockets.filter_map(|connection| connection.socket.as_mut()) {
            socket.close(now);
        }
    }

    pub fn is_closed(&self) -> bool {
        let closed = |c: &Connection<D::Socket>| c.socket.as_ref().is_none_or(|s| s.ending().is_some());
        self.market.iter().all(closed) && closed(&self.private.connection)
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
        feed.most_events_per_message() + private.most_events_per_message() + feed.most_events_per_snapshot()
    }

    #[inline]
    fn pass_market(&mut self, at: usize, now: Nanos) -> bool {
        let Some(connection) = self.market.get_mut(at) else { return false };
        let Some(socket) = connection.socket.as_mut() else {
            if connection.ended || self.stopping || !connection.backoff.is_due(now.raw()) {
                return false;
            }
            let Some(target) = self.feed.connections().get(at) else { return false };
            match self.market_dial.dial(&target.path, now) {
                Ok(socket) => connection.socket = Some(socket),
                Err(error) => {
                    say(
                        &mut self.out.log,
                        now,
                        Level::Error,
                        LogEvent::Reconnect,
                        format_args!("market: {error}"),
                    );
                    connection.backoff.failed(now.raw());
                }
            }
            return true;
        };
        let phase = socket.poll(now);
        if phase == Phase::Open && !connection.was_open {
            connection.was_open = true;
            say(
                &mut self.out.log,
                now,
                Level::Info,
                LogEvent::Connected,
                format_args!("market connection {at} is open"),
            );
            self.feed.on_open(at, now, &mut self.out);
        }
        let mut moved = false;
        for _ in 0..BURST {
            if self.out.ring.room() < self.market_needs() {
                self.out.full_since.get_or_insert(now);
                return moved;
            }
            self.out.full_since = None;
            self.out.shed = false;
            let Some(Connection { socket: Some(socket), backoff, .. }) = self.market.get_mut(at) else {
                return moved;
            };
            match socket.read(now) {
                Ok(Some(message)) => {
                    moved = true;
                    // A venue that accepts and says nothing has not been reached.
                    backoff.succeeded();
                    self.out.counters.socket_bytes.add(message.payload.len() as u64);
                    let clock = &self.clock;
                    let received = Nanos::new(message.received_at);
                    let read =
                        self.feed.on_message(at, message.payload, received, || clock.now(), &mut self.out);
                    if let Err(error) = read {
                        self.out.counters.messages_bad.one();
                        let text = String::from_utf8_lossy(message.payload);
                        let shown: String = text.chars().take(200).collect();
                        say(
                            &mut self.out.log,
                            now,
                            Level::Warn,
                            LogEvent::BadMessage,
                            format_args!("market: {error}: {shown}"),
                        );
                    }
                }
                Ok(None) => return moved,
                Err(closed) => {
                    self.market_closed(at, &closed, now);
                    return true;
                }
            }
        }
        moved
    }

    #[cold]
    fn market_closed(&mut self, at: usize, closed: &Closed, now: Nanos) {
        let Some(connection) = self.market.get_mut(at) else { return };
        connection.socket = None;
        let was_open = std::mem::take(&mut connection.was_open);
        let ended =
            matches!(closed, Closed::ByPeer { code: ENDED_CODE, reason } if &**reason == ENDED_REASON);
        connection.ended = ended;
        let state = if ended { LinkState::Ended } else { LinkState::Down };
        let level = if ended || self.stopping { Level::Info } else { Level::Warn };
        say(
            &mut self.out.log,
            now,
            level,
            LogEvent::Disconnected,
            format_args!("market connection {at}: {closed}"),
        );
        if !ended && !self.stopping {
            connection.backoff.failed(now.raw());
            self.out.counters.reconnects.one();
        }
        if was_open || ended {
            self.feed.on_closed(at, state, reason_of(closed), now, &mut self.out);
        }
    }

    #[inline]
    fn pass_private(&mut self, now: Nanos) -> bool {
        let private = &mut self.private;
        let Some(socket) = private.connection.socket.as_mut() else {
            return self.dial_private(now);
        };
        let phase = socket.poll(now);
        if phase == Phase::Open && !private.connection.was_open {
            private.connection.was_open = true;
            say(
                &mut self.out.log,
                now,
                Level::Info,
                LogEvent::Connected,
                format_args!("private stream is open"),
            );
            if private.stream.on_open(now, &mut private.frame, &mut self.out)
                && let Err(error) = socket.send_text(&private.frame)
            {
                say(
                    &mut self.out.log,
                    now,
                    Level::Error,
                    LogEvent::Disconnected,
                    format_args!("private: the subscription could not be sent: {error}"),
                );
                socket.close(now);
            }
        }
        if private.stream.poll(now) {
            say(
                &mut self.out.log,
                now,
                Level::Error,
                LogEvent::Disconnected,
                format_args!("private: no answer to the subscription"),
            );
            socket.close(now);
        }
        let mut moved = false;
        for _ in 0..BURST {
            if self.out.ring.room() < self.private.stream.most_events_per_message() {
                return moved;
            }
            let Connection { socket: Some(socket), backoff, .. } = &mut self.private.connection else {
                return moved;
            };
            match socket.read(now) {
                Ok(Some(message)) => {
                    moved = true;
                    backoff.succeeded();
                    self.out.counters.messages_private.one();
                    let clock = &self.clock;
                    let received = Nanos::new(message.received_at);
                    let read = self.private.stream.on_message(
                        message.payload,
                        received,
                        || clock.now(),
                        &mut self.out,
                    );
                    match read {
                        Ok(PrivateMessage::KeyExpired) => {
                            self.private.key = None;
                            self.close_private(LinkReason::KeyExpired, now, false);
                            return true;
                        }
                        Ok(PrivateMessage::Refused { code }) => {
                            say(
                                &mut self.out.log,
                                now,
                                Level::Error,
                                LogEvent::Disconnected,
                                format_args!("private: the venue refused the subscription (code {code})"),
                            );
                            self.close_private(LinkReason::LogonFailed, now, false);
                            return true;
                        }
                        Ok(_) => {}
                        Err(error) => {
                            self.out.counters.messages_bad.one();
                            let text = String::from_utf8_lossy(message.payload);
                            say(
                                &mut self.out.log,
                                now,
                                Level::Error,
                                LogEvent::BadMessage,
                                format_args!("private: {error}: {text}"),
                            );
                            // The stream told the core to distrust the account; a new connection begins it anew.
                            self.close_private(LinkReason::Protocol, now, false);
                            return true;
                        }
                    }
                }
                Ok(None) => return moved,
                Err(closed) => {
                    say(
                        &mut self.out.log,
                        now,
                        if self.stopping { Level::Info } else { Level::Warn },
                        LogEvent::Disconnected,
                        format_args!("private stream: {closed}"),
                    );
                    // A key may have died with the connection: get a fresh one.
                    self.private.key = None;
                    self.close_private(reason_of(&closed), now, true);
                    return true;
                }
            }
        }
        moved
    }

    fn dial_private(&mut self, now: Nanos) -> bool {
        let private = &mut self.private;
        if self.stopping || !private.connection.backoff.is_due(now.raw()) {
            return false;
        }
        let key = if private.stream.needs_listen_key() { private.key.as_deref() } else { Some("") };
        let Some(key) = key else {
            // Asked once; asked again when no answer came for long.
            let due = private.key_wanted_at.is_none_or(|at| now.since(at) > Nanos::from_secs(15));
            if due && self.out.wants.push(Want::ListenKey).is_ok() {
                private.key_wanted_at = Some(now);
            }
            return false;
        };
        let path = private.stream.path(self.options.split_paths, key);
        match private.dial.dial(&path, now) {
            Ok(socket) => private.connection.socket = Some(socket),
            Err(error) => {
                say(
                    &mut self.out.log,
                    now,
                    Level::Error,
                    LogEvent::Reconnect,
                    format_args!("private: {error}"),
                );
                private.connection.backoff.failed(now.raw());
            }
        }
        true
    }

    #[cold]
    fn close_private(&mut self, reason: LinkReason, now: Nanos, tell: bool) {
        self.private.stream.on_closed();
        let connection = &mut self.private.connection;
        connection.socket = None;
        let was_open = std::mem::take(&mut connection.was_open);
        if !self.stopping {
            connection.backoff.failed(now.raw());
            self.out.counters.reconnects.one();
        }
        if was_open && tell {
            self.out.event(link_event(self.options.venue, LinkState::Down, reason, now));
        }
    }

    fn take_answers(&mut self, now: Nanos) -> bool {
        let mut moved = false;
        while let Some(answer) = self.answers.peek() {
            let needs = match answer {
                Answer::Snapshot { .. } => self.feed.most_events_per_snapshot(),
                Answer::ListenKey(_) => 0,
            };
            if self.out.ring.room() < needs {
                return moved;
            }
            moved = true;
            match self.answers.pop() {
                Some(Answer::Snapshot { instrument, body }) => {
                    if let Err(error) = self.feed.on_snapshot(instrument, body.as_deref(), now, &mut self.out)
                    {
                        say(
                            &mut self.out.log,
                            now,
                            Level::Warn,
                            LogEvent::BadMessage,
                            format_args!("snapshot: {error}"),
                        );
                    }
                }
                Some(Answer::ListenKey(key)) => {
                    self.private.key_wanted_at = None;
                    if key.is_none() {
                        self.private.connection.backoff.failed(now.raw());
                    }
                    self.private.key = key;
                }
                None => break,
            }
        }
        moved
    }

    /// What the feed asked for while it held a message, and the answer to a ring that stays full.
    #[inline]
    fn follow_up(&mut self, now: Nanos) {
        for (connection, text) in std::mem::take(&mut self.out.sends) {
            let socket = self.market.get_mut(connection).and_then(|c| c.socket.as_mut());
            if let Some(Err(error)) = socket.map(|socket| socket.send_text(text.as_bytes())) {
                say(
                    &mut self.out.log,
                    now,
                    Level::Warn,
                    LogEvent::Disconnected,
                    format_args!("subscribe: {error}"),
                );
                self.out.drops.push((connection, LinkReason::Protocol));
            }
        }
        for (connection, _) in std::mem::take(&mut self.out.drops) {
            if let Some(socket) = self.market.get_mut(connection).and_then(|c| c.socket.as_mut()) {
                socket.close(now);
            }
        }
        if !self.market.iter().any(|connection| connection.was_open) {
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
        if self.out.ring.room() <= self.market.len() + self.feed.connections().len() + 256 {
            return;
        }
        self.out.shed = true;
        self.out.counters.sheds.one();
        say(
            &mut self.out.log,
            now,
            Level::Warn,
            LogEvent::RingFull,
            format_args!(
                "receiver_core was full for {} ms: books are resynchronised",
                self.options.patience.as_millis()
            ),
        );
        self.feed.shed(now, &mut self.out);
    }
}

fn link_event(venue: VenueId, state: LinkState, reason: LinkReason, now: Nanos) -> Event {
    let change = LinkChange { link: LinkKind::Private, state, reason, connection: 0 };
    Event::new(now, Source::Receiver, Body::Link(change)).on(venue, InstrumentId::NONE)
}

/// Why a connection ended, in the core's words.
pub fn reason_of(closed: &Closed) -> LinkReason {
    match closed {
        Closed::ByUs => LinkReason::Stopping,
        Closed::ByPeer { .. } | Closed::Eof { .. } => LinkReason::ClosedByVenue,
        Closed::ConnectTimeout { .. } => LinkReason::ConnectFailed,
        Closed::Io { phase: Phase::Connecting, .. } => LinkReason::ConnectFailed,
        Closed::Io { .. } => LinkReason::Reset,
        Closed::Tls { .. } => LinkReason::TlsFailed,
        Closed::UpgradeRefused { .. } | Closed::BadUpgrade(_) => LinkReason::HandshakeFailed,
        Closed::Protocol(_) => LinkReason::Protocol,
        Closed::Silence { .. } => LinkReason::Silence,
    }
}
