//! The sender: dispatches in, bytes out. The only place from which an order reaches a venue. It owns the order-entry
//! session of one venue, both directions of it, so the answers come back here too.
//!
//! Promises: the kill gate is asked immediately before every write; a dispatch that was not written is told to the core as
//! `NotSent`, one that may have been written is never told so; nothing is sent twice. While the session is down for long its courier may carry
//! requests over REST, under the same promises. In DRY_RUN there is no dial: the last request is written
//! to paper, and nothing here could send it.
//! Hot.

pub mod courier;
pub mod fallback;
mod output;
mod session;

use std::collections::VecDeque;

use self::courier::{Delivered, Fate};
use self::fallback::{Detour, Fallback, Turn};
use self::output::Output;
use self::session::{LOGON_PATIENCE, Session, Stage};
use crate::core::dispatch::{Dispatch, DispatchFlags};
use crate::core::event::{
    Body, Event, LinkChange, LinkKind, LinkReason, LinkState, NotSentReason, RequestKind, Source,
};
use crate::core::id::{InstrumentId, VenueId};
use crate::core::time::Nanos;
use crate::kill_gate::{GateCheck, GateControl, Write};
use crate::net::websocket::{Closed, SendError};
use crate::ring::{Consumer, Producer};
use crate::telemetry::counters::{Owned, SenderCounters};
use crate::telemetry::hops::{Hop, HopHistograms};
use crate::telemetry::log::{Level, LogEvent, Logger};
use crate::threads::connection::{Connection, Upkeep, reason_of};
use crate::threads::core_loop::Handed;
use crate::threads::paper::Paper;
use crate::threads::requester::{Tuning, Want};
use crate::threads::world::{Clock, Dial, Socket};
use crate::threads::{Pass, say};
use crate::venue::EventSink;
use crate::venue::binance::errors::INVALID_TIMESTAMP;
use crate::venue::binance::orders::{Answer, EncodeError, OrderCounters, OrderEntry};
use crate::venue::binance::wire::announces_shutdown;

/// Answers read, and dispatches sent, in one pass.
const BURST: usize = 32;
/// Requests whose time of writing is remembered until their answer.
const REMEMBERED: usize = 4096;

#[derive(Clone, Copy, Debug)]
pub struct SenderOptions {
    pub venue: VenueId,
    pub upkeep: Upkeep,
}

/// Where requests go.
pub enum Door<D> {
    Venue(D),
    /// DRY_RUN: the whole chain runs, and its end is a line in a file.
    Paper(Producer<Paper>),
}

pub struct SenderWiring {
    pub dispatches: Consumer<Handed>,
    pub events: Producer<Event>,
    /// How far off our clock is, as the requester has measured it.
    pub tunings: Consumer<Tuning>,
    /// The way over REST, where the configuration allows it.
    pub fallback: Option<Fallback>,
    /// To have it measured again.
    pub wishes: Producer<Want>,
    pub gate: GateCheck,
    pub gate_control: GateControl,
    pub hops: HopHistograms,
    pub counters: Owned<SenderCounters>,
    pub log: Logger,
}

pub struct Sender<C: Clock, D: Dial> {
    clock: C,
    entry: OrderEntry,
    session: Session<D>,
    paper: Option<Producer<Paper>>,
    detour: Option<Detour>,
    venue: VenueId,
    dispatches: Consumer<Handed>,
    tunings: Consumer<Tuning>,
    wishes: Producer<Want>,
    gate: GateCheck,
    frame: Vec<u8>,
    out: Output<C>,
    /// When each request was written: a row is a dispatch's number modulo the table.
    written: Vec<(u64, Nanos)>,
    stopping: bool,
}

pub struct SenderEnd {
    pub orders: OrderCounters,
    pub hops: HopHistograms,
    pub ring_high_water: (&'static str, usize, usize),
    /// Pushes that met a full ring to the core.
    pub ring_full: (&'static str, u64),
}

impl<C: Clock, D: Dial> Sender<C, D> {
    pub fn new(
        options: SenderOptions,
        entry: OrderEntry,
        door: Door<D>,
        wiring: SenderWiring,
        clock: C,
    ) -> Self {
        let (dial, paper) = match door {
            Door::Venue(dial) => (Some(dial), None),
            Door::Paper(paper) => (None, Some(paper)),
        };
        Self {
            out: Output {
                clock: clock.clone(),
                ring: wiring.events,
                backlog: VecDeque::with_capacity(1024),
                gate: wiring.gate_control,
                hops: wiring.hops,
                counters: wiring.counters,
                log: wiring.log,
                clock_doubted: false,
                is_up: false,
            },
            clock,
            entry,
            session: Session::new(dial, &options.upkeep),
            paper,
            detour: wiring.fallback.map(Detour::new),
            venue: options.venue,
            dispatches: wiring.dispatches,
            tunings: wiring.tunings,
            wishes: wiring.wishes,
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
        if self.session.is_offline() {
            self.open_offline(now);
        } else {
            for at in 0..Session::<D>::PLACES {
                moved |= self.pass_place(at, now);
            }
            self.go_on_with_change(now);
        }
        if self.entry.poll(now, &mut self.out) {
            let text = format_args!("order entry: no answer to the logon");
            say(&mut self.out.log, now, Level::Error, LogEvent::Disconnected, text);
            if let Some(socket) = self.session.socket() {
                socket.close(now);
            }
        }
        moved |= self.take_detour(now);
        self.tune();
        // Only when nothing is half-written: what the new gate forbids has then surely not left after this.
        if self.session.is_flushed() {
            let _ = self.gate.confirm();
        }
        Pass::busy_if(moved)
    }

    /// Closes the session; the loop may be dropped when `is_closed`.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.session.close(self.clock.now());
    }

    pub fn is_closed(&self) -> bool {
        self.session.is_closed() && self.detour.as_ref().is_none_or(Detour::is_idle)
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
            if !self.session.is_flushed() {
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
        if self.detour.as_ref().is_some_and(Detour::is_on) {
            return self.send_by_courier(dispatch, taken);
        }
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
        if self.gate.permit(risk_of(dispatch)).is_err() {
            self.entry.withdraw(dispatch.number);
            self.out.counters.kill_gate_refusals.one();
            return self.out.not_sent(dispatch, NotSentReason::KillGate);
        }
        let Some(socket) = self.session.socket() else { return self.keep_on_paper(dispatch, taken) };
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

    /// The session is down: the courier carries it, and asks the gate.
    #[cold]
    fn send_by_courier(&mut self, dispatch: &Dispatch, now: Nanos) {
        let Some(detour) = self.detour.as_mut() else {
            return self.out.not_sent(dispatch, NotSentReason::LinkDown);
        };
        match self.entry.rest(dispatch, now) {
            Ok(request) => {
                if !detour.lend(dispatch, request) {
                    self.out.not_sent(dispatch, NotSentReason::SocketFull);
                }
            }
            Err(error) => {
                let text = format_args!("{}: {error}", dispatch.client_order_id);
                say(&mut self.out.log, now, Level::Error, LogEvent::OrderNotSent, text);
                self.out.not_sent(dispatch, NotSentReason::Unencodable);
            }
        }
    }

    /// Begins and ends the way over REST, and hears what came of what went there.
    #[inline]
    fn take_detour(&mut self, now: Nanos) -> bool {
        let Some(detour) = self.detour.as_mut() else { return false };
        let turn = detour.look(self.entry.is_ready() || self.stopping, now);
        let is_on = detour.is_on();
        let delivered = detour.delivered();
        match turn {
            Turn::No => {}
            Turn::Begins => {
                let text = format_args!("order entry: requests go over REST until the session is back");
                say(&mut self.out.log, now, Level::Warn, LogEvent::Reconnect, text);
            }
            Turn::Ends => {
                let text = format_args!("order entry: requests go over the session again");
                say(&mut self.out.log, now, Level::Info, LogEvent::Reconnect, text);
            }
        }
        if is_on && !self.out.is_up {
            self.tell_link(LinkState::Up, LinkReason::None, now);
        }
        match delivered {
            Some(delivered) => {
                self.take_delivered(&delivered, now);
                true
            }
            None => false,
        }
    }

    #[cold]
    fn take_delivered(&mut self, delivered: &Delivered, now: Nanos) {
        let dispatch = &delivered.dispatch;
        let sent = self.out.counters.requests_sent.of(dispatch.request);
        match &delivered.fate {
            Fate::Refused => {
                self.out.counters.kill_gate_refusals.one();
                self.out.not_sent(dispatch, NotSentReason::KillGate);
            }
            Fate::Held => self.out.not_sent(dispatch, NotSentReason::LinkDown),
            Fate::NeverSent(why) => {
                self.out.not_sent(dispatch, NotSentReason::LinkDown);
                self.end_detour(why, now);
            }
            Fate::Unknown(why) => {
                sent.one();
                let outcome = self.entry.rest_outcome(dispatch, 0, &[], now);
                self.out.event(outcome);
                self.end_detour(why, now);
            }
            Fate::Answered(answer) => {
                sent.one();
                self.entry.rest_answer(dispatch, answer, now, &mut self.out);
            }
        }
    }

    /// REST does not answer either.
    fn end_detour(&mut self, why: &str, now: Nanos) {
        let text = format_args!("order entry over REST: {why}");
        say(&mut self.out.log, now, Level::Warn, LogEvent::Disconnected, text);
        if let Some(detour) = self.detour.as_mut()
            && detour.is_on()
        {
            detour.give_up(now);
            self.tell_link(LinkState::Down, LinkReason::ConnectFailed, now);
        }
    }

    fn tell_link(&mut self, state: LinkState, reason: LinkReason, now: Nanos) {
        let change = LinkChange { link: LinkKind::OrderEntry, state, reason, connection: 0 };
        let event = Event::new(now, Source::Sender, Body::Link(change));
        self.out.event(event.on(self.venue, InstrumentId::NONE));
    }

    /// There is no connection: in DRY_RUN this is the end of the way, else the link is down.
    #[cold]
    fn keep_on_paper(&mut self, dispatch: &Dispatch, now: Nanos) {
        self.entry.withdraw(dispatch.number);
        let Some(paper) = self.paper.as_mut() else {
            return self.out.not_sent(dispatch, NotSentReason::LinkDown);
        };
        if paper.push(Paper::new(dispatch, now, &self.frame)).is_err() {
            let text =
                format_args!("{}: the paper's ring is full, its request is lost", dispatch.client_order_id);
            say(&mut self.out.log, now, Level::Warn, LogEvent::RingFull, text);
        }
        self.out.not_sent(dispatch, NotSentReason::DryRun);
    }

    /// DRY_RUN: the session counts as open, so that everything before it runs. Each request is signed for itself.
    fn open_offline(&mut self, now: Nanos) {
        if !self.entry.is_ready() && !self.stopping {
            self.entry.on_open(now, &mut self.frame, &mut self.out);
        }
    }

    #[inline]
    fn pass_place(&mut self, at: usize, now: Nanos) -> bool {
        let is_chosen = self.session.is_chosen(at);
        let Some(connection) = self.session.at(at) else { return false };
        if connection.socket.is_none() {
            return self.dial(at, now);
        }
        if connection.poll(now) {
            self.opened(at, now);
        }
        let mut moved = false;
        for _ in 0..BURST {
            if self.out.ring.room() < OrderEntry::MOST_EVENTS_PER_MESSAGE {
                return moved;
            }
            let Some(connection) = self.session.at(at) else { return moved };
            let Some(socket) = connection.socket.as_mut() else { return moved };
            match socket.read(now) {
                Ok(Some(message)) => {
                    moved = true;
                    let clock = &self.clock;
                    let received = Nanos::new(message.received_at);
                    let read =
                        self.entry.on_message(message.payload, received, || clock.now(), &mut self.out);
                    let ends_soon = matches!(read, Ok(Answer::Other)) && announces_shutdown(message.payload);
                    if let Err(error) = &read {
                        let text = String::from_utf8_lossy(message.payload);
                        let text = format_args!("{error}: {text}");
                        say(&mut self.out.log, now, Level::Error, LogEvent::BadMessage, text);
                    }
                    // A venue that accepts and says nothing has not been reached.
                    connection.proved();
                    if ends_soon {
                        connection.is_ending_soon(now);
                    }
                    match read {
                        Ok(Answer::Request { dispatch }) => {
                            if let Some((number, written)) = self.written.get(row(dispatch))
                                && *number == dispatch
                            {
                                self.out.hops.record(Hop::ResponseTime, received.since(*written).raw());
                            }
                        }
                        Ok(Answer::LoggedOn) if !is_chosen => {
                            self.move_over(now);
                            return true;
                        }
                        Ok(Answer::LogonFailed { code }) => self.logon_failed(at, code, now),
                        Ok(Answer::LoggedOn | Answer::Late | Answer::Other) | Err(_) => {}
                    }
                }
                Ok(None) => return moved,
                Err(closed) => {
                    self.closed(at, &closed, now);
                    return true;
                }
            }
        }
        moved
    }

    fn dial(&mut self, at: usize, now: Nanos) -> bool {
        if self.stopping {
            return false;
        }
        self.session.dial(at, self.entry.path(), now).unwrap_or_else(|error| {
            let text = format_args!("order entry: {error}");
            say(&mut self.out.log, now, Level::Error, LogEvent::Reconnect, text);
            true
        })
    }

    #[cold]
    fn opened(&mut self, at: usize, now: Nanos) {
        let text = format_args!("order entry is open");
        let event = self.session.at(at).map_or(LogEvent::Connected, Connection::opening);
        say(&mut self.out.log, now, Level::Info, event, text);
        let logs_on = if self.session.is_chosen(at) {
            self.entry.on_open(now, &mut self.frame, &mut self.out)
        } else {
            self.entry.begin_handover(now, &mut self.frame)
        };
        if logs_on {
            let Some(socket) = self.session.at(at).and_then(|connection| connection.socket.as_mut()) else {
                return;
            };
            if let Err(error) = socket.send_text(&self.frame) {
                let text = format_args!("logon: {error}");
                say(&mut self.out.log, now, Level::Error, LogEvent::Disconnected, text);
                socket.close(now);
            }
        }
        match (self.session.is_chosen(at), logs_on) {
            (true, _) => {}
            (false, true) => self.session.stage = Stage::LoggingOn { until: now + LOGON_PATIENCE },
            // Nothing to wait for: every request carries its own signature.
            (false, false) => self.move_over(now),
        }
    }

    #[cold]
    fn logon_failed(&mut self, at: usize, code: i32, now: Nanos) {
        let text = format_args!("order entry: the venue refused the logon (code {code})");
        say(&mut self.out.log, now, Level::Error, LogEvent::Disconnected, text);
        // No request follows that could be refused for its time as well.
        self.out.clock_doubted |= code == INVALID_TIMESTAMP;
        if let Some(connection) = self.session.at(at) {
            connection.close(now);
        }
    }

    #[cold]
    fn move_over(&mut self, now: Nanos) {
        self.session.move_over(now);
        self.out.counters.renewals.one();
        let text = format_args!("order entry: the younger connection takes over");
        say(&mut self.out.log, now, Level::Info, LogEvent::Reconnect, text);
    }

    /// Begins the change to a younger connection when it is due, and ends what takes too long.
    #[inline]
    fn go_on_with_change(&mut self, now: Nanos) {
        match self.session.stage {
            Stage::Alone if self.session.is_due_for_change(now) && !self.stopping => {
                self.session.stage = Stage::Opening;
            }
            Stage::LoggingOn { until } if now >= until => {
                self.entry.end_handover();
                self.session.drop_other(now);
            }
            Stage::Draining { until } if now >= until => self.session.drop_other(now),
            _ => {}
        }
    }

    #[cold]
    fn closed(&mut self, at: usize, closed: &Closed, now: Nanos) {
        let level = if self.stopping { Level::Info } else { Level::Warn };
        let text = format_args!("order entry: {closed}");
        say(&mut self.out.log, now, level, LogEvent::Disconnected, text);
        let is_chosen = self.session.is_chosen(at);
        let Some(connection) = self.session.at(at) else { return };
        let was_open = if self.stopping { connection.gone() } else { connection.lost(closed, now) };
        if is_chosen {
            self.entry.end_handover();
            self.session.drop_other(now);
            if was_open {
                self.entry.on_closed(reason_of(closed), now, &mut self.out);
            }
        } else {
            // Draining: what it still owed runs out of time. Opening or logging on: tried again, while the old one lives.
            self.entry.end_handover();
            self.session.stage = Stage::Alone;
        }
    }

    /// Our requests carry the venue's time as the requester last measured it.
    #[inline]
    fn tune(&mut self) {
        if !self.tunings.is_empty() {
            while let Some(tuning) = self.tunings.pop() {
                self.entry.set_clock_offset(tuning.offset_millis);
            }
        }
        if self.out.clock_doubted && self.wishes.push(Want::Clock).is_ok() {
            self.out.clock_doubted = false;
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
pub(in crate::threads) fn risk_of(dispatch: &Dispatch) -> Write {
    match dispatch.request {
        RequestKind::Cancel => Write::Cancel,
        RequestKind::New if dispatch.flags.has(DispatchFlags::REDUCE_ONLY) => Write::Reduce,
        RequestKind::New | RequestKind::Replace => Write::Add,
    }
}
