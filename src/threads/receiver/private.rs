//! The account's private stream: a listen key, a connection, its messages; and a second connection while the first is replaced.
//!
//! While both are open, what comes on both is handed on once, whichever brings it first: a message is known by its bytes. Where the
//! venue words it otherwise on each, the core's own rule holds: a report that brings nothing new changes nothing. The core is told that the
//! link is down only when no connection carries the stream any more: a younger one that is refused, or breaks before it carries anything, takes
//! nothing with it.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::output::Output;
use super::{BURST, ReceiverOptions};
use crate::core::event::{Body, Event, LinkChange, LinkKind, LinkReason, LinkState, Source};
use crate::core::id::{InstrumentId, VenueId};
use crate::core::time::Nanos;
use crate::net::websocket::Closed;
use crate::telemetry::log::{Level, LogEvent};
use crate::threads::connection::{Connection, reason_of};
use crate::threads::requester::Want;
use crate::threads::say;
use crate::threads::world::{Clock, Dial, Socket};
use crate::venue::EventSink;
use crate::venue::binance::errors::INVALID_TIMESTAMP;
use crate::venue::binance::private::{PrivateMessage, PrivateStream};

/// How long both connections are read before the old one goes: longer than a message can be under way.
const OVERLAP: Nanos = Nanos::from_secs(2);
/// Asked once for a listen key; asked again when no answer came for so long.
const KEY_PATIENCE: Nanos = Nanos::from_secs(15);

/// `None` in the place of the dial: there is no account, so its stream is up by definition and nothing ever comes.
pub(super) struct PrivateLink<D: Dial> {
    dial: Option<D>,
    pub stream: PrivateStream,
    connections: [Connection<D::Socket>; 2],
    /// Which of the two is the stream; the other one is idle, or on its way to take its place.
    chosen: usize,
    /// Which of them carry the stream: open, and subscribed where the venue wants that.
    carries: [bool; 2],
    /// Both carry it since then.
    doubled_since: Option<Nanos>,
    seen: Seen,
    /// The text of a subscription, reused.
    frame: Vec<u8>,
    key: Option<String>,
    key_wanted_at: Option<Nanos>,
    /// A subscription was refused for its time: the venue's clock is to be measured again.
    clock_doubted: bool,
    /// The core has been told that the link is up.
    is_up: bool,
}

impl<D: Dial> PrivateLink<D> {
    pub fn new(
        dial: Option<D>,
        stream: PrivateStream,
        connection: impl Fn(usize) -> Connection<D::Socket>,
    ) -> Self {
        Self {
            dial,
            stream,
            connections: [connection(FIRST), connection(FIRST + 1)],
            chosen: 0,
            carries: [false; 2],
            doubled_since: None,
            seen: Seen::default(),
            frame: Vec::with_capacity(512),
            key: None,
            key_wanted_at: None,
            clock_doubted: false,
            is_up: false,
        }
    }

    #[inline]
    pub fn pass<C: Clock>(
        &mut self,
        options: &ReceiverOptions,
        stopping: bool,
        now: Nanos,
        out: &mut Output<C>,
    ) -> bool {
        if self.dial.is_none() {
            self.tell_up(options.venue, now, out);
            return false;
        }
        let mut moved = false;
        for at in 0..self.connections.len() {
            moved |= self.pass_one(at, options, stopping, now, out);
        }
        if self.stream.poll(now) {
            let text = format_args!("private: no answer to the subscription");
            say(&mut out.log, now, Level::Error, LogEvent::Disconnected, text);
            self.close_one(if self.is_up { 1 - self.chosen } else { self.chosen }, now);
        }
        if self.clock_doubted && out.wants.push(Want::Clock).is_ok() {
            self.clock_doubted = false;
        }
        self.renew(now, out);
        moved
    }

    #[inline]
    fn pass_one<C: Clock>(
        &mut self,
        at: usize,
        options: &ReceiverOptions,
        stopping: bool,
        now: Nanos,
        out: &mut Output<C>,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(at) else { return false };
        if connection.socket.is_none() {
            let wanted = at == self.chosen || self.is_old(now);
            return wanted && !stopping && self.dial(at, options, now, out);
        }
        if connection.poll(now) {
            self.opened(at, now, out);
        }
        let mut moved = false;
        for _ in 0..BURST {
            if out.ring.room() < self.stream.most_events_per_message() {
                return moved;
            }
            let Some(connection) = self.connections.get_mut(at) else { return moved };
            let Some(socket) = connection.socket.as_mut() else { return moved };
            match socket.read(now) {
                Ok(Some(message)) => {
                    moved = true;
                    if self.doubled_since.is_some() && !self.seen.is_new(message.payload) {
                        out.counters.private_twice.one();
                        continue;
                    }
                    out.counters.messages_private.one();
                    let clock = out.clock.clone();
                    let received = Nanos::new(message.received_at);
                    let read = self.stream.on_message(message.payload, received, || clock.now(), out);
                    match read {
                        Ok(PrivateMessage::LoggedOn) => {
                            self.stream.subscribe(now, &mut self.frame);
                            self.send_frame(at, now, out);
                        }
                        Ok(PrivateMessage::Subscribed) => {
                            connection.proved();
                            self.works(at, now);
                        }
                        Ok(PrivateMessage::ShuttingDown) => connection.is_ending_soon(now),
                        Ok(PrivateMessage::Refused { code }) => {
                            self.refused(at, code, options.venue, now, out);
                            return true;
                        }
                        Ok(PrivateMessage::KeyExpired) => {
                            let text = format_args!("private stream: the listen key has expired");
                            say(&mut out.log, now, Level::Warn, LogEvent::Disconnected, text);
                            self.begin_anew(now, out);
                            return true;
                        }
                        Ok(_) => connection.proved(),
                        Err(error) => {
                            out.counters.messages_bad.one();
                            let text = String::from_utf8_lossy(message.payload);
                            let text = format_args!("private: {error}: {text}");
                            say(&mut out.log, now, Level::Error, LogEvent::BadMessage, text);
                            // The stream told the core to distrust the account; new connections begin it anew.
                            self.begin_anew(now, out);
                            return true;
                        }
                    }
                }
                Ok(None) => return moved,
                Err(closed) => {
                    self.lost(at, &closed, options, stopping, now, out);
                    return true;
                }
            }
        }
        moved
    }

    #[cold]
    fn opened<C: Clock>(&mut self, at: usize, now: Nanos, out: &mut Output<C>) {
        let text = format_args!("private stream: connection {at} is open");
        let event = self.connections.get_mut(at).map_or(LogEvent::Connected, Connection::opening);
        say(&mut out.log, now, Level::Info, event, text);
        // A second connection with the same listen key needs no word to the core, which has been told of the first.
        let subscribes = if self.is_up && self.stream.needs_listen_key() {
            false
        } else {
            self.stream.on_open(now, &mut self.frame, out)
        };
        match subscribes {
            true => self.send_frame(at, now, out),
            false => self.works(at, now),
        }
    }

    #[cold]
    fn send_frame<C: Clock>(&mut self, at: usize, now: Nanos, out: &mut Output<C>) {
        let socket = self.connections.get_mut(at).and_then(|connection| connection.socket.as_mut());
        if let Some(Err(error)) = socket.map(|socket| socket.send_text(&self.frame)) {
            let text = format_args!("private: the subscription could not be sent: {error}");
            say(&mut out.log, now, Level::Error, LogEvent::Disconnected, text);
            self.close_one(at, now);
        }
    }

    /// This connection carries the stream, and the core has been told.
    #[cold]
    fn works(&mut self, at: usize, now: Nanos) {
        self.is_up = true;
        self.now_carries(at, true);
        if self.carries == [true; 2] {
            self.doubled_since = Some(now);
        }
    }

    fn now_carries(&mut self, at: usize, carries: bool) {
        if let Some(slot) = self.carries.get_mut(at) {
            *slot = carries;
        }
    }

    fn is_carried_by(&self, at: usize) -> bool {
        self.carries.get(at).is_some_and(|carries| *carries)
    }

    /// The venue refused the logon or the subscription of this connection. Where the other one carries the stream, that one goes on.
    #[cold]
    fn refused<C: Clock>(&mut self, at: usize, code: i64, venue: VenueId, now: Nanos, out: &mut Output<C>) {
        let text = format_args!("private: the venue refused the subscription (code {code})");
        say(&mut out.log, now, Level::Error, LogEvent::Disconnected, text);
        self.clock_doubted |= code == i64::from(INVALID_TIMESTAMP);
        if self.is_carried_by(1 - at) {
            if let Some(connection) = self.connections.get_mut(at) {
                connection.gone();
                connection.failed(now);
            }
            return;
        }
        out.event(link_event(venue, LinkState::Down, LinkReason::LogonFailed, now));
        self.begin_anew(now, out);
    }

    /// The stream's own connection is to be replaced.
    #[inline]
    fn is_old(&self, now: Nanos) -> bool {
        self.connections.get(self.chosen).is_some_and(|chosen| now >= chosen.old_at())
    }

    /// Both have been read for long enough: the younger one is the stream from here on.
    #[inline]
    fn renew<C: Clock>(&mut self, now: Nanos, out: &mut Output<C>) {
        if self.doubled_since.is_some_and(|since| now.since(since) >= OVERLAP) {
            let text = format_args!("private stream: the younger connection takes over");
            say(&mut out.log, now, Level::Info, LogEvent::Reconnect, text);
            let old = self.chosen;
            self.chosen = 1 - old;
            self.now_carries(old, false);
            if let Some(old) = self.connections.get_mut(old) {
                old.close(now);
                // What it still brings came on the other one too.
                old.gone();
            }
            self.doubled_since = None;
            self.seen.forget();
            out.counters.renewals.one();
        }
    }

    fn dial<C: Clock>(
        &mut self,
        at: usize,
        options: &ReceiverOptions,
        now: Nanos,
        out: &mut Output<C>,
    ) -> bool {
        let (Some(dial), Some(connection)) = (self.dial.as_mut(), self.connections.get_mut(at)) else {
            return false;
        };
        if !connection.is_due(now) {
            return false;
        }
        let key = if self.stream.needs_listen_key() { self.key.as_deref() } else { Some("") };
        let Some(key) = key else {
            let due = self.key_wanted_at.is_none_or(|at| now.since(at) > KEY_PATIENCE);
            if due && out.wants.push(Want::ListenKey).is_ok() {
                self.key_wanted_at = Some(now);
            }
            return false;
        };
        let path = self.stream.path(options.split_paths, key);
        if let Err(error) = connection.dial(dial, &path, now) {
            say(&mut out.log, now, Level::Error, LogEvent::Reconnect, format_args!("private: {error}"));
        }
        true
    }

    /// The requester's answer to a wish for a key.
    #[cold]
    pub fn take_key(&mut self, key: Option<String>, now: Nanos) {
        self.key_wanted_at = None;
        if self.is_up && key.is_some() && key != self.key {
            // Nobody asked: the key of the open stream has died unheard. Its connection goes once there is another.
            if let Some(chosen) = self.connections.get_mut(self.chosen) {
                chosen.is_ending_soon(now);
            }
        }
        if key.is_none()
            && let Some(chosen) = self.connections.get_mut(self.chosen)
        {
            chosen.failed(now);
        }
        self.key = key;
    }

    #[cold]
    fn lost<C: Clock>(
        &mut self,
        at: usize,
        closed: &Closed,
        options: &ReceiverOptions,
        stopping: bool,
        now: Nanos,
        out: &mut Output<C>,
    ) {
        let level = if stopping { Level::Info } else { Level::Warn };
        let text = format_args!("private stream: {closed}");
        say(&mut out.log, now, level, LogEvent::Disconnected, text);
        let Some(connection) = self.connections.get_mut(at) else { return };
        if stopping {
            connection.gone();
        } else {
            connection.lost(closed, now);
            out.counters.reconnects.one();
        }
        self.doubled_since = None;
        self.seen.forget();
        self.now_carries(at, false);
        let other = 1 - at;
        if self.is_carried_by(other) {
            // The other one goes on alone.
            self.chosen = other;
            return;
        }
        // The other one may be on its way, and has heard nothing of what this one carried: all begins anew.
        self.chosen = at;
        if let Some(other) = self.connections.get_mut(other) {
            other.gone();
        }
        // A key may have died with the connection: get a fresh one.
        self.key = None;
        self.stream.on_closed();
        if std::mem::take(&mut self.is_up) {
            out.event(link_event(options.venue, LinkState::Down, reason_of(closed), now));
        }
    }

    /// Nothing of the stream can be trusted: no connection and no key is kept. The core has been told by whoever found out.
    #[cold]
    fn begin_anew<C: Clock>(&mut self, now: Nanos, out: &mut Output<C>) {
        for connection in &mut self.connections {
            connection.gone();
            connection.failed(now);
        }
        self.stream.on_closed();
        out.counters.reconnects.one();
        self.key = None;
        self.doubled_since = None;
        self.carries = [false; 2];
        self.seen.forget();
        self.is_up = false;
    }

    #[inline]
    fn tell_up<C: Clock>(&mut self, venue: VenueId, now: Nanos, out: &mut Output<C>) {
        if !self.is_up {
            self.is_up = true;
            out.event(link_event(venue, LinkState::Up, LinkReason::None, now));
        }
    }

    fn close_one(&mut self, at: usize, now: Nanos) {
        if let Some(connection) = self.connections.get_mut(at) {
            connection.close(now);
        }
    }

    pub fn close(&mut self, now: Nanos) {
        self.connections.iter_mut().for_each(|connection| connection.close(now));
    }

    pub fn is_closed(&self) -> bool {
        self.connections.iter().all(Connection::is_closed)
    }
}

/// The private connections' numbers, behind those of the market.
const FIRST: usize = 254;

/// What both connections have brought of late.
#[derive(Default)]
struct Seen {
    hashes: Vec<u64>,
    next: usize,
}

impl Seen {
    const MOST: usize = 4096;

    /// False for what the other connection has brought already.
    fn is_new(&mut self, payload: &[u8]) -> bool {
        let hash = hash(payload);
        if self.hashes.contains(&hash) {
            return false;
        }
        if self.hashes.len() < Self::MOST {
            self.hashes.push(hash);
        } else if let Some(slot) = self.hashes.get_mut(self.next) {
            *slot = hash;
            self.next = (self.next + 1) % Self::MOST;
        }
        true
    }

    fn forget(&mut self) {
        self.hashes.clear();
        self.next = 0;
    }
}

/// FNV-1a: the same everywhere, and fast enough for what is read during two seconds a day.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(super) fn link_event(venue: VenueId, state: LinkState, reason: LinkReason, now: Nanos) -> Event {
    let change = LinkChange { link: LinkKind::Private, state, reason, connection: 0 };
    Event::new(now, Source::Receiver, Body::Link(change)).on(venue, InstrumentId::NONE)
}

#[cfg(test)]
#[path = "private_tests.rs"]
mod tests;
