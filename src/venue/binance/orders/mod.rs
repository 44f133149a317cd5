//! Order entry over the WebSocket API: dispatches to request texts, answers to outcomes.
//!
//! With an Ed25519 key the session logs on once and requests carry no signature; with another key each one is signed. Every
//! request that was encoded is in the in-flight table until exactly one outcome for it has been emitted: its answer, its time
//! running out, or the link breaking. An answer proves that the venue took or refused the request, and no more.
//! What is one product's alone stands in `usdm/orders.rs` and `spot/orders.rs`. (USD-M "WebSocket API General Info"; Spot "WebSocket API".)
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub(super) mod answer;
mod in_flight;
pub(super) mod params;

use self::answer::{AnswerId, MOST_RATES, Read, VenueNow};
use self::in_flight::{InFlight, Request};
use self::params::{JsonParams, ParamSink, QueryParams, RequestEnvelope, finish};
use super::json::{JsonError, JsonReader};
use super::sign::{Credentials, percent_encode};
use super::wire::{Dialect, Hold};
use super::{errors, spot, usdm, wire};
use crate::core::dispatch::Dispatch;
use crate::core::event::{
    Body, Event, LinkChange, LinkKind, LinkReason, LinkState, RateUsage, RejectReason, RequestOutcome,
    Source, Verdict,
};
use crate::core::id::{InstrumentId, VenueOrderId};
use crate::core::instrument::Product;
use crate::core::time::Nanos;
use crate::venue::{Directory, EventSink, Listing};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct OrderEntryConfig {
    /// Requests without an answer at one time; one more is not encoded.
    pub in_flight: usize,
    pub answer_timeout: Nanos,
    /// Milliseconds for which a request stays valid at the venue; `None` leaves the venue's default (5000).
    pub recv_window: Option<u32>,
    /// Log on once where the key allows it.
    pub log_on: bool,
    /// Which producer's ring the events go to.
    pub source: Source,
}

impl Default for OrderEntryConfig {
    fn default() -> Self {
        Self {
            in_flight: 256,
            answer_timeout: Nanos::from_secs(5),
            recv_window: None,
            log_on: true,
            source: Source::Sender,
        }
    }
}

/// Why a dispatch could not become a request. It has not been sent, and nothing is in flight for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("the session is not ready")]
    NotReady,
    #[error("the instrument is not listed here")]
    UnknownInstrument,
    #[error("the venue does not take this kind of order or request")]
    Unsupported,
    #[error("the order has neither a venue order id nor an id text of its own")]
    NoId,
    #[error("too many requests without an answer")]
    InFlightFull,
    #[error("this dispatch is in flight already")]
    Twice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("order entry answer: {0}")]
pub struct AnswerError(#[from] pub JsonError);

/// What a text of the venue was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To the request of this dispatch.
    Request {
        dispatch: u64,
    },
    LoggedOn,
    LogonFailed {
        code: i32,
    },
    /// To a request that is not in flight any more, or never was.
    Late,
    /// No answer to a request.
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderCounters {
    pub encoded: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub unknown: u64,
    pub late: u64,
    pub other: u64,
    pub bad: u64,
}

pub struct OrderEntry {
    directory: Arc<Directory>,
    dialect: &'static Dialect,
    credentials: Arc<Credentials>,
    config: OrderEntryConfig,
    state: State,
    /// A logon is under way on a younger connection, while this session goes on.
    hands_over: bool,
    in_flight: InFlight,
    /// The text to sign, reused.
    payload: Vec<u8>,
    reader: JsonReader,
    counters: OrderCounters,
    clock_offset_millis: i64,
    due: Nanos,
    rates: Vec<RateUsage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    LoggingOn { due: Nanos },
    Ready { signed: bool },
}

impl OrderEntry {
    /// The longest request text; a frame buffer of this capacity never grows.
    pub const MOST_BYTES: usize = 2048;
    /// Events of one answer: the outcome and its rate limits, or the link's change.
    pub const MOST_EVENTS_PER_MESSAGE: usize = 1 + MOST_RATES;

    pub fn new(directory: Arc<Directory>, credentials: Arc<Credentials>, config: OrderEntryConfig) -> Self {
        Self {
            dialect: Dialect::of(directory.product()),
            directory,
            credentials,
            state: State::Closed,
            hands_over: false,
            in_flight: InFlight::new(config.in_flight.max(1)),
            config,
            payload: Vec::with_capacity(Self::MOST_BYTES),
            reader: JsonReader::with_capacity(16 * 1024),
            counters: OrderCounters::default(),
            clock_offset_millis: 0,
            due: Nanos::MAX,
            rates: Vec::with_capacity(MOST_RATES),
        }
    }

    /// What to dial, after the host.
    pub fn path(&self) -> &'static str {
        self.dialect.websocket_api
    }
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. })
    }
    pub fn in_flight(&self) -> usize {
        self.in_flight.count
    }
    pub fn counters(&self) -> &OrderCounters {
        &self.counters
    }
    /// When `poll` has something to do next.
    pub fn next_deadline(&self) -> Nanos {
        self.due
    }
    /// The venue's clock minus ours: what request timestamps are corrected by.
    pub fn set_clock_offset(&mut self, millis: i64) {
        self.clock_offset_millis = millis;
    }

    /// The WebSocket handshake is done. `true`: send `frame`, which logs on; else the session is ready already.
    pub fn on_open<O: EventSink>(&mut self, now: Nanos, frame: &mut Vec<u8>, out: &mut O) -> bool {
        if !self.logs_on() {
            self.state = State::Ready { signed: true };
            out.event(self.link(LinkState::Up, LinkReason::None, now));
            return false;
        }
        let due = now + self.config.answer_timeout;
        self.state = State::LoggingOn { due };
        self.due = self.due.earlier(due);
        self.logon(now, frame);
        true
    }

    /// A younger connection is open, while this session goes on. `true`: send `frame` on it, which logs on there too, and move over when it
    /// is answered by `LoggedOn`; else requests may leave on it at once. What is in flight stays so, whichever connection brings its answer.
    pub fn begin_handover(&mut self, now: Nanos, frame: &mut Vec<u8>) -> bool {
        if !self.logs_on() {
            return false;
        }
        self.hands_over = true;
        self.logon(now, frame);
        true
    }

    /// The younger connection is gone: its logon will not be answered.
    pub fn end_handover(&mut self) {
        self.hands_over = false;
    }

    fn logs_on(&self) -> bool {
        self.config.log_on && self.credentials.signer().can_log_on()
    }

    fn logon(&mut self, now: Nanos, frame: &mut Vec<u8>) {
        frame.clear();
        frame.extend_from_slice(b"{\"id\":\"logon\",\"method\":\"session.logon\",\"params\":{");
        self.payload.clear();
        let mut params = JsonParams { json: frame, payload: Some(&mut self.payload) };
        params.text("apiKey", self.credentials.api_key());
        params.number("timestamp", venue_millis(now, self.clock_offset_millis));
        finish(frame, Some(self.credentials.signer().sign(&self.payload).as_str()));
    }

    /// Writes the request of `dispatch` into `frame` and holds it in flight. The id of the request is the dispatch's number.
    pub fn encode(
        &mut self,
        dispatch: &Dispatch,
        now: Nanos,
        frame: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let State::Ready { signed } = self.state else { return Err(EncodeError::NotReady) };
        let listing = self.directory.of(dispatch.instrument).ok_or(EncodeError::UnknownInstrument)?;
        let endpoint = endpoint(self.dialect.product, dispatch)?;
        frame.clear();
        frame.extend_from_slice(b"{\"id\":\"");
        frame.extend_from_slice(itoa::Buffer::new().format(dispatch.number).as_bytes());
        frame.extend_from_slice(b"\",\"method\":\"");
        frame.extend_from_slice(endpoint.method.as_bytes());
        frame.extend_from_slice(b"\",\"params\":{");
        let envelope = RequestEnvelope {
            api_key: signed.then(|| self.credentials.api_key()),
            recv_window: self.config.recv_window,
            timestamp: venue_millis(now, self.clock_offset_millis),
        };
        if signed {
            self.payload.clear();
            let mut params = JsonParams { json: frame, payload: Some(&mut self.payload) };
            order_params(self.dialect.product, dispatch, listing, &envelope, &mut params)?;
            finish(frame, Some(self.credentials.signer().sign(&self.payload).as_str()));
        } else {
            let mut params = JsonParams { json: frame, payload: None };
            order_params(self.dialect.product, dispatch, listing, &envelope, &mut params)?;
            finish(frame, None);
        }
        let due = now + self.config.answer_timeout;
        self.in_flight.put(Request {
            number: dispatch.number,
            client_order_id: dispatch.client_order_id,
            venue_order_id: dispatch.venue_order_id,
            due,
            instrument: dispatch.instrument,
            kind: dispatch.request,
        })?;
        self.due = self.due.earlier(due);
        self.counters.encoded += 1;
        Ok(())
    }

    /// Not one byte of the request of this dispatch was written: it is not in flight after all.
    pub fn withdraw(&mut self, dispatch: u64) -> bool {
        self.in_flight.take(dispatch).is_some()
    }

    /// One text from the venue. An error is for the log; requests stay in flight until their time runs out.
    pub fn on_message<O: EventSink>(
        &mut self,
        text: &[u8],
        received: Nanos,
        parsed_clock: impl Fn() -> Nanos,
        out: &mut O,
    ) -> Result<Answer, AnswerError> {
        self.rates.clear();
        let (product, rates) = (self.dialect.product, &mut self.rates);
        let now = VenueNow { ours: received, offset_millis: self.clock_offset_millis };
        let read = match self.reader.read(text, |json| answer::answer(product, json, now, rates)) {
            Ok(read) => read,
            Err(error) => {
                self.counters.bad += 1;
                return Err(error.into());
            }
        };
        let parsed = u32::try_from(parsed_clock().since(received).raw()).unwrap_or(u32::MAX);
        let answer = match read.id {
            AnswerId::Logon => self.on_logon(&read, received, out),
            AnswerId::None => {
                self.counters.other += 1;
                Answer::Other
            }
            AnswerId::Dispatch(number) => match self.in_flight.take(number) {
                Some(request) => {
                    let venue_order_id =
                        if read.order_id == 0 { request.venue_order_id } else { VenueOrderId(read.order_id) };
                    let request = Request { venue_order_id, ..request };
                    let event = self.outcome(&request, read.code, read.verdict, read.reason, received);
                    out.event(Event { parsed, ..event });
                    Answer::Request { dispatch: number }
                }
                None => {
                    self.counters.late += 1;
                    Answer::Late
                }
            },
        };
        for usage in &self.rates {
            out.event(Event { parsed, ..self.usage(*usage, received) });
        }
        Ok(answer)
    }

    /// Keeps the deadlines: a request without an answer becomes unknown; a logon without one drops the link, which is told
    /// by `true`: close the connection.
    pub fn poll<O: EventSink>(&mut self, now: Nanos, out: &mut O) -> bool {
        if now < self.due {
            return false;
        }
        while let Some(request) = self.in_flight.take_due(now) {
            out.event(self.outcome(&request, 0, Verdict::Unknown, RejectReason::NoAnswer, now));
        }
        let logon_due = match self.state {
            State::LoggingOn { due } => due,
            _ => Nanos::MAX,
        };
        self.due = self.in_flight.earliest().earlier(logon_due);
        now >= logon_due
    }

    /// The link is gone: what was in flight may have been done, or not.
    pub fn on_closed<O: EventSink>(&mut self, reason: LinkReason, now: Nanos, out: &mut O) {
        self.state = State::Closed;
        self.due = Nanos::MAX;
        while let Some(request) = self.in_flight.take_due(Nanos::MAX) {
            out.event(self.outcome(&request, 0, Verdict::Unknown, RejectReason::LinkLost, now));
        }
        out.event(self.link(LinkState::Down, reason, now));
    }

    /// The same request over REST: the fallback while the session is down. Nothing is held in flight for it here.
    pub fn rest(&self, dispatch: &Dispatch, now: Nanos) -> Result<RestOrder, EncodeError> {
        let listing = self.directory.of(dispatch.instrument).ok_or(EncodeError::UnknownInstrument)?;
        let endpoint = endpoint(self.dialect.product, dispatch)?;
        let envelope = RequestEnvelope {
            api_key: None,
            recv_window: self.config.recv_window,
            timestamp: venue_millis(now, self.clock_offset_millis),
        };
        let mut params = QueryParams { query: String::with_capacity(512) };
        order_params(self.dialect.product, dispatch, listing, &envelope, &mut params)?;
        let mut query = params.query;
        let signature = self.credentials.signer().sign(query.as_bytes());
        query.push_str("&signature=");
        percent_encode(signature.as_str(), &mut query);
        Ok(RestOrder { method: endpoint.verb, path: endpoint.path, query })
    }

    /// The answer to a REST request: its outcome, and what it says of our limits.
    #[cold]
    pub fn rest_answer<O: EventSink>(
        &mut self,
        dispatch: &Dispatch,
        answer: &RestAnswer,
        now: Nanos,
        out: &mut O,
    ) {
        out.event(self.rest_outcome(dispatch, answer.status, &answer.body, now));
        for usage in wire::usage_of_headers(&answer.headers, answer.hold()) {
            out.event(self.usage(usage, now));
        }
    }

    fn usage(&self, usage: RateUsage, now: Nanos) -> Event {
        let event = Event::new(now, self.config.source, Body::RateUsage(usage));
        event.on(self.directory.venue(), InstrumentId::NONE)
    }

    /// The outcome of a REST request: `status` and body as they came; status 0 with an empty body means no answer.
    pub fn rest_outcome(&mut self, dispatch: &Dispatch, status: u16, body: &[u8], now: Nanos) -> Event {
        let product = self.dialect.product;
        let read = self.reader.read(body, |json| answer::rest(product, status, json));
        // A body that cannot be read says nothing: the status alone decides, and an unread 200 proves nothing.
        let (code, order_id, (verdict, reason)) = match (status, read) {
            (0, _) => (0, 0, (Verdict::Unknown, RejectReason::NoAnswer)),
            (_, Ok(read)) => (read.code, read.order_id, (read.verdict, read.reason)),
            (200, Err(_)) => (0, 0, (Verdict::Unknown, RejectReason::Other)),
            (_, Err(_)) => (0, 0, errors::verdict(product, status, 0, "")),
        };
        let venue_order_id = if order_id == 0 { dispatch.venue_order_id } else { VenueOrderId(order_id) };
        let request = Request {
            number: dispatch.number,
            client_order_id: dispatch.client_order_id,
            venue_order_id,
            due: Nanos::MAX,
            instrument: dispatch.instrument,
            kind: dispatch.request,
        };
        self.outcome(&request, code, verdict, reason, now)
    }

    fn on_logon<O: EventSink>(&mut self, read: &Read, now: Nanos, out: &mut O) -> Answer {
        if std::mem::take(&mut self.hands_over) {
            return match read.verdict {
                Verdict::Accepted => Answer::LoggedOn,
                _ => Answer::LogonFailed { code: read.code },
            };
        }
        if !matches!(self.state, State::LoggingOn { .. }) {
            self.counters.late += 1;
            return Answer::Late;
        }
        if read.verdict == Verdict::Accepted {
            self.state = State::Ready { signed: false };
            out.event(self.link(LinkState::Up, LinkReason::None, now));
            return Answer::LoggedOn;
        }
        self.state = State::Closed;
        out.event(self.link(LinkState::Down, LinkReason::LogonFailed, now));
        Answer::LogonFailed { code: read.code }
    }

    fn outcome(
        &mut self,
        request: &Request,
        code: i32,
        verdict: Verdict,
        reason: RejectReason,
        now: Nanos,
    ) -> Event {
        match verdict {
            Verdict::Accepted => self.counters.accepted += 1,
            Verdict::Rejected => self.counters.rejected += 1,
            Verdict::Unknown => self.counters.unknown += 1,
        }
        let outcome = RequestOutcome {
            client_order_id: request.client_order_id,
            venue_order_id: request.venue_order_id,
            dispatch: request.number,
            code,
            request: request.kind,
            verdict,
            reason,
        };
        Event::new(now, self.config.source, Body::Outcome(outcome))
            .on(self.directory.venue(), request.instrument)
    }

    fn link(&self, state: LinkState, reason: LinkReason, now: Nanos) -> Event {
        let change = LinkChange { link: LinkKind::OrderEntry, state, reason, connection: 0 };
        Event::new(now, self.config.source, Body::Link(change)).on(self.directory.venue(), InstrumentId::NONE)
    }
}

/// A request for the cold path. The signature is in the query, the key goes into the header X-MBX-APIKEY.
#[derive(Clone, PartialEq, Eq)]
pub struct RestOrder {
    pub method: &'static str,
    pub path: &'static str,
    pub query: String,
}

/// What came back for a [`RestOrder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub received: Nanos,
}

impl RestAnswer {
    /// The limit that it closes.
    #[cold]
    pub fn hold(&self) -> Option<Hold> {
        let code = JsonReader::with_capacity(256).read(&self.body, |json| json.int("code"));
        let code = code.ok().and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
        let now = self.received;
        Hold::of(self.status, code, wire::retry_after(&self.headers, now), now)
    }
}

/// One request of the venue, in both of its interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// WebSocket API.
    pub method: &'static str,
    /// REST.
    pub verb: &'static str,
    pub path: &'static str,
}

impl Endpoint {
    pub const fn new(method: &'static str, verb: &'static str, path: &'static str) -> Self {
        Self { method, verb, path }
    }
}

#[inline(always)]
fn endpoint(product: Product, dispatch: &Dispatch) -> Result<Endpoint, EncodeError> {
    match product {
        Product::LinearPerpetual => usdm::orders::endpoint(dispatch),
        Product::Spot => spot::orders::endpoint(dispatch),
    }
}

#[inline(always)]
fn order_params<S: ParamSink>(
    product: Product,
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) -> Result<(), EncodeError> {
    match product {
        Product::LinearPerpetual => usdm::orders::params(dispatch, listing, envelope, to),
        Product::Spot => spot::orders::params(dispatch, listing, envelope, to),
    }
}

/// A request that says which order and no more: a cancellation, at both products.
#[inline(always)]
pub(super) fn by_its_id<S: ParamSink>(
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) -> Result<(), EncodeError> {
    envelope.api_key(to);
    order_id(dispatch, "orderId", "origClientOrderId", to)?;
    envelope.recv_window(to);
    to.text("symbol", listing.symbol());
    envelope.timestamp(to);
    Ok(())
}

/// The venue's number where it is known: it prevails there anyway. Else our text.
#[inline(always)]
pub(super) fn order_id<S: ParamSink>(
    dispatch: &Dispatch,
    number: &'static str,
    text: &'static str,
    to: &mut S,
) -> Result<(), EncodeError> {
    if dispatch.venue_order_id.0 != 0 {
        to.number(number, dispatch.venue_order_id.0);
        return Ok(());
    }
    match dispatch.client_order_id.text() {
        Some(ours) if !ours.is_empty() => {
            to.text(text, ours);
            Ok(())
        }
        _ => Err(EncodeError::NoId),
    }
}

#[inline]
fn venue_millis(now: Nanos, offset_millis: i64) -> u64 {
    now.as_millis().saturating_add_signed(offset_millis)
}

#[cfg(test)]
mod tests;
