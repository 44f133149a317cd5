//! The sender: dispatches in, bytes out. The only place from which an order reaches a venue. It owns the order-entry
//! session of one venue, both directions of it, so the answers come back here too.
//!
//! Promises: the kill gate is asked immediately before every write; a dispatch that was not written is told to the core as
//! `NotSent`, one that may have been written is never told so; nothing is sent twice.
//! Hot.

use std::collections::VecDeque;

use crate::core::dispatch::{Dispatch, DispatchFlags};
use crate::core::event::{Body, Control, Event, KillMode, NotSent, NotSentReason, RequestKind, Source};
use crate::core::id::VenueId;
use crate::core::time::Nanos;
use crate::kill_gate::{GateCheck, GateControl, GateState, Write};
use crate::net::backoff::Backoff;
use crate::net::websocket::{Closed, Phase, SendError};
use crate::ring::{Consumer, Producer};
use crate::telemetry::counters::{Owned, SenderCounters};
use crate::telemetry::hops::{Hop, HopHistograms};
use crate::telemetry::log::{Level, LogEvent, Logger};
use crate::threads::core_loop::Handed;
use crate::threads::receiver::reason_of;
use crate::threads::world::{Clock, Dial, Socket};
use crate::threads::{Pass, say};
use crate::venue::EventSink;
use crate::venue::binance::orders::{Answer, EncodeError, OrderCounters, OrderEntry};

/// Answers read, and dispatches sent, in one pass.
const BURST: usize = 32;
/// Requests whose time of writing is remembered until their answer.
const REMEMBERED: usize = 4096;

#[derive(Clone, Copy, Debug)]
pub struct SenderOptions {
    pub venue: VenueId,
    /// The whole chain runs; the final request is logged instead of written.
    pub dry_run: bool,
    /// The pause after a first failed connection, and the longest.
    pub reconnect: (Nanos, Nanos),
    pub seed: u64,
}

pub struct SenderWiring {
    pub dispatches: Consumer<Handed>,
    pub events: Producer<Event>,
    pub gate: GateCheck,
    pub gate_control: GateControl,
    pub hops: HopHistograms,
    pub counters: Owned<SenderCounters>,
    pub log: Logger,
}

pub struct Sender<C: Clock, D: Dial> {
    clock: C,
    options: SenderOptions,
    entry: OrderEntry,
    dial: D,
    socket: Option<D::Socket>,
    backoff: Backoff,
    was_open: bool,
    dispatches: Consumer<Handed>,
    gate: GateCheck,
    frame: Vec<u8>,
    out: Output<C>,
    /// When each request was written: a row is a dispatch's number modulo the table.
    written: Vec<(u64, Nanos)>,
    stopping: bool,
}

/// The ring to the core. What does not fit waits here, in order, and from then on only cancels go out.
struct Output<C: Clock> {
    clock: C,
    ring: Producer<Event>,
    backlog: VecDeque<Event>,
    gate: GateControl,
    hops: HopHistograms,
    counters: Owned<SenderCounters>,
    log: Logger,
}

pub struct SenderEnd {
    pub orders: OrderCounters,
    pub hops: HopHistograms,
    pub ring_high_water: (&'static str, usize, usize),
    /// Pushes that met a full ring to the core.
    pub ring_full: (&'static str, u64),
}

impl<C: Clock> EventSink for Output<C> {
    #[inline]
    fn event(&mut self, mut event: Event) {
        let now = self.clock.now();
        event.ringed = u32::try_from(now.since(event.received).raw()).unwrap_or(u32::MAX);
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
    fn flush_backlog(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            if let Err(full) = self.ring.push(event) {
                self.backlog.push_front(full.0);
                return;
            }
        }
    }

    #[cold]
    fn not_sent(&mut self, dispatch: &Dispatch, reason: NotSentReason) {
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

impl<C: Clock, D: Dial> Sender<C, D> {
    pub fn new(options: SenderOptions, entry: OrderEntry, dial: D, wiring: SenderWiring, clock: C) -> Self {
        Self {
            out: Output {
                clock: clock.clone(),
                ring: wiring.events,
                backlog: VecDeque::with_capacity(1024),
                gate: wiring.gate_control,
                hops: wiring.hops,
                counters: wiring.counters,
                log: wiring.log,
            },
            clock,
            options,
            entry,
            dial,
            socket: None,
            backoff: Backoff::new(options.reconnect.0.raw(), options.reconnect.1.raw(), options.seed),
            was_open: false,
            dispatches: wiring.dispatches,
            gate: wiring.gate,
            frame: Vec::with_capacity(OrderEntry::MOST_BYTES),
            written: vec![(0, Nanos::ZERO); REMEMBERED],
            stopping: false,
        }
    }

    /// One bounded round: what the core wants out goes first, then the venue's answers.
    #[inline]
    pub fn pass(&mut self) -> Pass {
        let mut moved = self.send_waiting();
        let now = self.clock.now();
        self.out.flush_backlog();
        moved |= self.pass_socket(now);
        if self.entry.poll(now, &mut self.out) {
            say(
                &mut self.out.log,
                now,
                Level::Error,
                LogEvent::Disconnected,
                format_args!("order entry: no answer to the logon"),
            );
            if let Some(socket) = self.socket.as_mut() {
                socket.close(now);
            }
        }
        // Only when nothing is half-written: what the new gate forbids has then surely not left after this.
        if self.socket.as_ref().is_none_or(|socket| socket.is_flushed()) {
            let _ = self.gate.confirm();
        }
        Pass::busy_if(moved)
    }

    /// Closes the session; the loop may be dropped when `is_closed`.
    pub fn stop(&mut self) {
        self.stopping = true;
        let now = self.clock.now();
        if let Some(socket) = self.socket.as_mut() {
            socket.close(now);
        }
    }

    pub fn is_closed(&self) -> bool {
        self.socket.as_ref().is_none_or(|socket| socket.ending().is_some())
    }

    pub fn finish(mut self) -> SenderEnd {
        self.dispatches.len();
        SenderEnd {
            orders: *self.entry.counters(),
            ring_high_water: (self.dispatches.name(), self.dispatches.high_water(), self.dispatches.depth()),
            ring_full: (self.out.ring.name(), self.out.ring.full_hits()),
            hops: self.out.hops,
        }
    }

    #[inline]
    fn send_waiting(&mut self) -> bool {
        let mut moved = false;
        for _ in 0..BURST {
            // At most one message is ever half-written: the next one waits in the ring until the socket has taken it.
            if self.socket.as_ref().is_some_and(|socket| !socket.is_flushed()) {
                break;
            }
            let Some(handed) = self.dispatches.pop() else { break };
            moved = true;
            self.send(&handed);
        }
        moved
    }

    #[inline]
    fn send(&mut self, handed: &Handed) {
        let dispatch = &handed.dispatch;
        let taken = self.clock.now();
        self.out.hops.record(Hop::RingOut, taken.since(handed.at).raw());
        match self.entry.encode(dispatch, taken, &mut self.frame) {
            Ok(()) => {}
            Err(EncodeError::NotReady) => return self.out.not_sent(dispatch, NotSentReason::LinkDown),
            Err(EncodeError::InFlightFull) => return self.out.not_sent(dispatch, NotSentReason::SocketFull),
            Err(error) => {
                say(
                    &mut self.out.log,
                    taken,
                    Level::Error,
                    LogEvent::OrderNotSent,
                    format_args!("{}: {error}", dispatch.client_order_id),
                );
                return self.out.not_sent(dispatch, NotSentReason::Unencodable);
            }
        }
        let encoded = self.clock.now();
        self.out.hops.record(Hop::Encode, encoded.since(taken).raw());
        if self.options.dry_run {
            self.entry.withdraw(dispatch.number);
            let text = String::from_utf8_lossy(&self.frame);
            say(&mut self.out.log, taken, Level::Info, LogEvent::OrderNotSent, format_args!("{text}"));
            return self.out.not_sent(dispatch, NotSentReason::DryRun);
        }
        let Some(socket) = self.socket.as_mut() else {
            self.entry.withdraw(dispatch.number);
            return self.out.not_sent(dispatch, NotSentReason::LinkDown);
        };
        if self.gate.permit(risk_of(dispatch)).is_err() {
            self.entry.withdraw(dispatch.number);
            self.out.counters.kill_gate_refusals.one();
            return self.out.not_sent(dispatch, NotSentReason::KillGate);
        }
        match socket.send_text(&self.frame) {
            Ok(()) => {
                let written = self.clock.now();
                self.out.counters.requests_sent.of(dispatch.request).one();
                self.out.counters.socket_bytes.add(self.frame.len() as u64);
                self.out.hops.record(Hop::Write, written.since(encoded).raw());
                self.out.hops.record(Hop::TickToTrade, written.since(dispatch.trigger).raw());
                self.remember(dispatch.number, written);
            }
            // It may have left: it stays in flight, and the end of the link makes it unknown.
            Err(SendError::Broken) => {}
            Err(SendError::Full | SendError::TooBig { .. }) => {
                self.entry.withdraw(dispatch.number);
                self.out.not_sent(dispatch, NotSentReason::SocketFull);
            }
            Err(SendError::NotOpen) => {
                self.entry.withdraw(dispatch.number);
                self.out.not_sent(dispatch, NotSentReason::LinkDown);
            }
        }
    }

    #[inline]
    fn pass_socket(&mut self, now: Nanos) -> bool {
        let Some(socket) = self.socket.as_mut() else { return self.dial(now) };
        let phase = socket.poll(now);
        if phase == Phase::Open && !self.was_open {
            self.was_open = true;
            say(
                &mut self.out.log,
                now,
                Level::Info,
                LogEvent::Connected,
                format_args!("order entry is open"),
            );
            if self.entry.on_open(now, &mut self.frame, &mut self.out)
                && let Err(error) = socket.send_text(&self.frame)
            {
                say(
                    &mut self.out.log,
                    now,
                    Level::Error,
                    LogEvent::Disconnected,
                    format_args!("logon: {error}"),
                );
                socket.close(now);
            }
        }
        let mut moved = false;
        for _ in 0..BURST {
            if self.out.ring.room() < OrderEntry::MOST_EVENTS_PER_MESSAGE {
                return moved;
            }
            let Some(socket) = self.socket.as_mut() else { return moved };
            match socket.read(now) {
                Ok(Some(message)) => {
                    moved = true;
                    // A venue that accepts and says nothing has not been reached.
                    self.backoff.succeeded();
                    let clock = &self.clock;
                    let received = Nanos::new(message.received_at);
                    let read =
                        self.entry.on_message(message.payload, received, || clock.now(), &mut self.out);
                    match read {
                        Ok(Answer::Request { dispatch }) => {
                            if let Some((number, written)) = self.written.get(row(dispatch))
                                && *number == dispatch
                            {
                                self.out.hops.record(Hop::ResponseTime, received.since(*written).raw());
                            }
                        }
                        Ok(Answer::LoggedOn) => {}
                        Ok(Answer::LogonFailed { code }) => {
                            say(
                                &mut self.out.log,
                                now,
                                Level::Error,
                                LogEvent::Disconnected,
                                format_args!("order entry: the venue refused the logon (code {code})"),
                            );
                            if let Some(socket) = self.socket.as_mut() {
                                socket.close(now);
                            }
                        }
                        Ok(Answer::Late | Answer::Other) => {}
                        Err(error) => {
                            let text = String::from_utf8_lossy(message.payload);
                            say(
                                &mut self.out.log,
                                now,
                                Level::Error,
                                LogEvent::BadMessage,
                                format_args!("{error}: {text}"),
                            );
                        }
                    }
                }
                Ok(None) => return moved,
                Err(closed) => {
                    self.closed(&closed, now);
                    return true;
                }
            }
        }
        moved
    }

    fn dial(&mut self, now: Nanos) -> bool {
        if self.stopping || !self.backoff.is_due(now.raw()) {
            return false;
        }
        match self.dial.dial(self.entry.path(), now) {
            Ok(socket) => self.socket = Some(socket),
            Err(error) => {
                say(
                    &mut self.out.log,
                    now,
                    Level::Error,
                    LogEvent::Reconnect,
                    format_args!("order entry: {error}"),
                );
                self.backoff.failed(now.raw());
            }
        }
        true
    }

    #[cold]
    fn closed(&mut self, closed: &Closed, now: Nanos) {
        self.socket = None;
        let level = if self.stopping { Level::Info } else { Level::Warn };
        say(&mut self.out.log, now, level, LogEvent::Disconnected, format_args!("order entry: {closed}"));
        if !self.stopping {
            self.backoff.failed(now.raw());
        }
        if std::mem::take(&mut self.was_open) {
            self.entry.on_closed(reason_of(closed), now, &mut self.out);
        }
    }

    #[inline]
    fn remember(&mut self, dispatch: u64, written: Nanos) {
        if let Some(slot) = self.written.get_mut(row(dispatch)) {
            *slot = (dispatch, written);
        }
    }
}

#[inline]
fn row(dispatch: u64) -> usize {
    (dispatch % REMEMBERED as u64) as usize
}

/// What a request may do to our risk, as far as the venue itself holds it to that.
#[inline]
fn risk_of(dispatch: &Dispatch) -> Write {
    match dispatch.request {
        RequestKind::Cancel => Write::Cancel,
        RequestKind::New if dispatch.flags.has(DispatchFlags::REDUCE_ONLY) => Write::Reduce,
        RequestKind::New | RequestKind::Replace => Write::Add,
    }
}
