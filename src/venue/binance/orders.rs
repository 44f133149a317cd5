//! Order entry over the WebSocket API: dispatches to request texts, answers to outcomes.
//!
//! With an Ed25519 key the session logs on once and requests carry no signature; with another key each one is signed. Every
//! request that was encoded is in the in-flight table until exactly one outcome for it has been emitted: its answer, its time
//! running out, or the link breaking. An answer proves that the venue took or refused the request, and no more.
//! (USD-M "WebSocket API General Info", "New Order", "Modify Order", "Cancel Order"; Spot "WebSocket API".)
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::json::{Json, JsonError, JsonReader};
use super::sign::{Credentials, percent_encode};
use super::wire::{self, Dialect, bucket};
use crate::core::dispatch::{Dispatch, DispatchFlags};
use crate::core::event::{
    Body, Event, LinkChange, LinkKind, LinkReason, LinkState, OrderKind, PositionSide, RateUsage,
    RejectReason, RequestKind, RequestOutcome, Source, TimeInForce, Verdict,
};
use crate::core::id::{ClientOrderId, InstrumentId, VenueOrderId};
use crate::core::instrument::Product;
use crate::core::num::{DecimalText, Increment};
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
    pub const MOST_BYTES: usize = 1024;
    /// Events of one answer: the outcome and its rate limits, or the link's change.
    pub const MOST_EVENTS_PER_MESSAGE: usize = 1 + MOST_RATES;

    pub fn new(directory: Arc<Directory>, credentials: Arc<Credentials>, config: OrderEntryConfig) -> Self {
        Self {
            dialect: Dialect::of(directory.product()),
            directory,
            credentials,
            state: State::Closed,
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
        if !(self.config.log_on && self.credentials.signer().can_log_on()) {
            self.state = State::Ready { signed: true };
            out.event(self.link(LinkState::Up, LinkReason::None, now));
            return false;
        }
        let due = now + self.config.answer_timeout;
        self.state = State::LoggingOn { due };
        self.due = self.due.earlier(due);
        frame.clear();
        frame.extend_from_slice(b"{\"id\":\"logon\",\"method\":\"session.logon\",\"params\":{");
        self.payload.clear();
        let mut params = JsonParams { json: frame, payload: Some(&mut self.payload) };
        params.text("apiKey", self.credentials.api_key());
        params.number("timestamp", venue_millis(now, self.clock_offset_millis));
        finish(frame, Some(self.credentials.signer().sign(&self.payload).as_str()));
        true
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
        let method: &[u8] = match (dispatch.request, self.dialect.product) {
            (RequestKind::New, _) => b"\",\"method\":\"order.place\",\"params\":{",
            (RequestKind::Cancel, _) => b"\",\"method\":\"order.cancel\",\"params\":{",
            (RequestKind::Replace, Product::LinearPerpetual) => {
                b"\",\"method\":\"order.modify\",\"params\":{"
            }
            (RequestKind::Replace, Product::Spot) => return Err(EncodeError::Unsupported),
        };
        frame.clear();
        frame.extend_from_slice(b"{\"id\":\"");
        frame.extend_from_slice(itoa::Buffer::new().format(dispatch.number).as_bytes());
        frame.extend_from_slice(method);
        let envelope = RequestEnvelope {
            api_key: signed.then(|| self.credentials.api_key()),
            recv_window: self.config.recv_window,
            timestamp: venue_millis(now, self.clock_offset_millis),
        };
        if signed {
            self.payload.clear();
            let mut params = JsonParams { json: frame, payload: Some(&mut self.payload) };
            order_params(dispatch, listing, &envelope, &mut params)?;
            finish(frame, Some(self.credentials.signer().sign(&self.payload).as_str()));
        } else {
            let mut params = JsonParams { json: frame, payload: None };
            order_params(dispatch, listing, &envelope, &mut params)?;
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
        let rates = &mut self.rates;
        let read = match self.reader.read(text, |json| answer(json, rates)) {
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
            let event = Event::new(received, self.config.source, Body::RateUsage(*usage));
            out.event(Event { parsed, ..event.on(self.directory.venue(), InstrumentId::NONE) });
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
        let method = match (dispatch.request, self.dialect.product) {
            (RequestKind::New, _) => "POST",
            (RequestKind::Cancel, _) => "DELETE",
            (RequestKind::Replace, Product::LinearPerpetual) => "PUT",
            (RequestKind::Replace, Product::Spot) => return Err(EncodeError::Unsupported),
        };
        let envelope = RequestEnvelope {
            api_key: None,
            recv_window: self.config.recv_window,
            timestamp: venue_millis(now, self.clock_offset_millis),
        };
        let mut params = QueryParams { query: String::with_capacity(512) };
        order_params(dispatch, listing, &envelope, &mut params)?;
        let mut query = params.query;
        let signature = self.credentials.signer().sign(query.as_bytes());
        query.push_str("&signature=");
        percent_encode(signature.as_str(), &mut query);
        Ok(RestOrder { method, path: self.dialect.order, query })
    }

    /// The outcome of a REST request: `status` and body as they came; status 0 with an empty body means no answer.
    pub fn rest_outcome(&mut self, dispatch: &Dispatch, status: u16, body: &[u8], now: Nanos) -> Event {
        let read = self.reader.read(body, |json| {
            let code = json.field("code").map_or(Ok(0), |_| json.int("code"))?;
            let code = i32::try_from(code).unwrap_or(i32::MIN);
            let told = wire::verdict(status, code, json.text_or_empty("msg")?);
            Ok((code, json.uint_or("orderId", 0)?, told))
        });
        // A body that cannot be read says nothing: the status alone decides, and an unread 200 proves nothing.
        let (code, order_id, (verdict, reason)) = match (status, read) {
            (0, _) => (0, 0, (Verdict::Unknown, RejectReason::NoAnswer)),
            (_, Ok(read)) => read,
            (200, Err(_)) => (0, 0, (Verdict::Unknown, RejectReason::Other)),
            (_, Err(_)) => (0, 0, wire::verdict(status, 0, "")),
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

struct RequestEnvelope<'a> {
    api_key: Option<&'a str>,
    recv_window: Option<u32>,
    timestamp: u64,
}

/// Takes parameters sorted by key: so a signature's text can be written along with them.
trait ParamSink {
    fn text(&mut self, key: &'static str, value: &str);
    fn number(&mut self, key: &'static str, value: u64);
    fn steps(&mut self, key: &'static str, step: &Increment, steps: i64);
}

#[inline(always)]
fn order_params<S: ParamSink>(
    dispatch: &Dispatch,
    listing: &Listing,
    envelope: &RequestEnvelope<'_>,
    to: &mut S,
) -> Result<(), EncodeError> {
    let grid = &listing.definition;
    if let Some(api_key) = envelope.api_key {
        to.text("apiKey", api_key);
    }
    match dispatch.request {
        RequestKind::New => {
            let post_only = dispatch.time_in_force == TimeInForce::PostOnly;
            let kind = wire::order_kind_text(grid.product, dispatch.kind, post_only);
            let kind = kind.ok_or(EncodeError::Unsupported)?;
            let client_order_id = dispatch.client_order_id.text().ok_or(EncodeError::NoId)?;
            let closes = dispatch.flags.has(DispatchFlags::CLOSE_POSITION);
            let stops = !matches!(dispatch.kind, OrderKind::Limit | OrderKind::Market);
            let priced =
                matches!(dispatch.kind, OrderKind::Limit | OrderKind::StopLimit | OrderKind::TakeProfitLimit);
            if closes {
                to.text("closePosition", "true");
            }
            to.text("newClientOrderId", client_order_id);
            if dispatch.position_side != PositionSide::Both {
                to.text("positionSide", wire::position_side_text(dispatch.position_side));
            }
            if priced {
                to.steps("price", &grid.tick, dispatch.price.raw());
            }
            if !closes {
                to.steps("quantity", &grid.lot, dispatch.quantity.raw());
            }
            if let Some(window) = envelope.recv_window {
                to.number("recvWindow", u64::from(window));
            }
            // In hedge mode the position's side says it, and the flag is refused.
            if dispatch.flags.has(DispatchFlags::REDUCE_ONLY)
                && dispatch.position_side == PositionSide::Both
                && !closes
                && grid.product == Product::LinearPerpetual
            {
                to.text("reduceOnly", "true");
            }
            to.text("side", wire::side_text(dispatch.side));
            if stops {
                to.steps("stopPrice", &grid.tick, dispatch.stop_price.raw());
            }
            to.text("symbol", listing.symbol());
            if priced && !(grid.product == Product::Spot && post_only) {
                to.text("timeInForce", wire::time_in_force_text(dispatch.time_in_force));
            }
            to.number("timestamp", envelope.timestamp);
            to.text("type", kind);
        }
        RequestKind::Replace => {
            order_id(dispatch, to)?;
            to.steps("price", &grid.tick, dispatch.price.raw());
            to.steps("quantity", &grid.lot, dispatch.quantity.raw());
            if let Some(window) = envelope.recv_window {
                to.number("recvWindow", u64::from(window));
            }
            to.text("side", wire::side_text(dispatch.side));
            to.text("symbol", listing.symbol());
            to.number("timestamp", envelope.timestamp);
        }
        RequestKind::Cancel => {
            order_id(dispatch, to)?;
            if let Some(window) = envelope.recv_window {
                to.number("recvWindow", u64::from(window));
            }
            to.text("symbol", listing.symbol());
            to.number("timestamp", envelope.timestamp);
        }
    }
    Ok(())
}

/// The venue's number where it is known: it prevails there anyway. Else our text.
#[inline(always)]
fn order_id<S: ParamSink>(dispatch: &Dispatch, to: &mut S) -> Result<(), EncodeError> {
    if dispatch.venue_order_id.0 != 0 {
        to.number("orderId", dispatch.venue_order_id.0);
        return Ok(());
    }
    match dispatch.client_order_id.text() {
        Some(text) if !text.is_empty() => {
            to.text("origClientOrderId", text);
            Ok(())
        }
        _ => Err(EncodeError::NoId),
    }
}

/// Writes `"key":"value",` and, where it is signed, `key=value` joined by `&`.
struct JsonParams<'a> {
    json: &'a mut Vec<u8>,
    payload: Option<&'a mut Vec<u8>>,
}

impl JsonParams<'_> {
    #[inline(always)]
    fn put(&mut self, key: &'static str, value: &[u8], quote: &[u8]) {
        self.json.extend_from_slice(b"\"");
        self.json.extend_from_slice(key.as_bytes());
        self.json.extend_from_slice(b"\":");
        self.json.extend_from_slice(quote);
        self.json.extend_from_slice(value);
        self.json.extend_from_slice(quote);
        self.json.extend_from_slice(b",");
        if let Some(payload) = &mut self.payload {
            if !payload.is_empty() {
                payload.extend_from_slice(b"&");
            }
            payload.extend_from_slice(key.as_bytes());
            payload.extend_from_slice(b"=");
            payload.extend_from_slice(value);
        }
    }
}

impl ParamSink for JsonParams<'_> {
    #[inline(always)]
    fn text(&mut self, key: &'static str, value: &str) {
        // Nothing that is sent needs escaping: symbols and keys are checked at boot, ids below.
        debug_assert!(value.bytes().all(|b| b != b'"' && b != b'\\' && b >= b' '));
        self.put(key, value.as_bytes(), b"\"");
    }
    #[inline(always)]
    fn number(&mut self, key: &'static str, value: u64) {
        self.put(key, itoa::Buffer::new().format(value).as_bytes(), b"");
    }
    #[inline(always)]
    fn steps(&mut self, key: &'static str, step: &Increment, steps: i64) {
        let mut text = StepText::new();
        self.put(key, text.write(step, steps), b"\"");
    }
}

struct QueryParams {
    query: String,
}

impl ParamSink for QueryParams {
    fn text(&mut self, key: &'static str, value: &str) {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(key);
        self.query.push('=');
        percent_encode(value, &mut self.query);
    }
    fn number(&mut self, key: &'static str, value: u64) {
        self.text(key, itoa::Buffer::new().format(value));
    }
    fn steps(&mut self, key: &'static str, step: &Increment, steps: i64) {
        let mut text = DecimalText::new();
        step.write(steps, &mut text);
        self.text(key, text.as_str());
    }
}

/// Ends the parameters, with their signature where there is one, and the request. The sinks leave a trailing comma behind.
#[inline(always)]
fn finish(frame: &mut Vec<u8>, signature: Option<&str>) {
    if let Some(signature) = signature {
        frame.extend_from_slice(b"\"signature\":\"");
        frame.extend_from_slice(signature.as_bytes());
        frame.extend_from_slice(b"\"}}");
    } else {
        frame.pop();
        frame.extend_from_slice(b"}}");
    }
}

/// The exact decimal text of whole steps, as `Increment::write` gives it, by a faster way for what fits 64 bits.
struct StepText {
    bytes: [u8; 48],
    slow: DecimalText,
}

impl StepText {
    #[inline(always)]
    fn new() -> Self {
        Self { bytes: [b'0'; 48], slow: DecimalText::new() }
    }

    #[inline(always)]
    fn write(&mut self, step: &Increment, steps: i64) -> &[u8] {
        match self.fast(step, steps) {
            Some(length) => self.bytes.get(..length).unwrap_or(&[]),
            None => {
                step.write(steps, &mut self.slow);
                self.slow.as_bytes()
            }
        }
    }

    #[inline(always)]
    fn fast(&mut self, step: &Increment, steps: i64) -> Option<usize> {
        let value = u64::try_from(steps).ok()?.checked_mul(u64::from(step.mantissa))?;
        let unit = *UNITS.get(usize::from(step.decimals))?;
        let places = usize::from(step.decimals);
        let (whole, fraction) = (value.checked_div(unit)?, value.checked_rem(unit)?);
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(whole).as_bytes();
        let mut at = digits.len();
        self.bytes.get_mut(..at)?.copy_from_slice(digits);
        if step.text_decimals == 0 {
            return Some(at);
        }
        *self.bytes.get_mut(at)? = b'.';
        at = at.checked_add(1)?;
        let end = at.checked_add(usize::from(step.text_decimals))?;
        self.bytes.get_mut(at..end)?.fill(b'0');
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(fraction).as_bytes();
        if places > 0 {
            let stop = at.checked_add(places)?;
            let start = stop.checked_sub(digits.len())?;
            self.bytes.get_mut(start..stop)?.copy_from_slice(digits);
        }
        Some(end)
    }
}

/// 10^decimals: a step has at most 18.
#[allow(clippy::indexing_slicing, reason = "it runs in the compiler, which would say so")]
const UNITS: [u64; 19] = {
    let mut table = [1u64; 19];
    let mut at = 1;
    while at < 19 {
        table[at] = table[at - 1] * 10;
        at += 1;
    }
    table
};

#[inline]
fn venue_millis(now: Nanos, offset_millis: i64) -> u64 {
    now.as_millis().saturating_add_signed(offset_millis)
}

/// What an answer says.
struct Read {
    id: AnswerId,
    code: i32,
    order_id: u64,
    verdict: Verdict,
    reason: RejectReason,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AnswerId {
    Dispatch(u64),
    Logon,
    None,
}

/// Entries of `rateLimits` that are read; the rest is left.
const MOST_RATES: usize = 8;

/// (USD-M and Spot "WebSocket API / Response format".)
fn answer(json: Json<'_, '_>, rates: &mut Vec<RateUsage>) -> Result<Read, JsonError> {
    let id = match json.field("id") {
        Some(id) => match (id.as_uint(), id.as_text()) {
            (Some(number), _) => AnswerId::Dispatch(number),
            (None, Some("logon")) => AnswerId::Logon,
            (None, Some(text)) => text.parse().map_or(AnswerId::None, AnswerId::Dispatch),
            (None, None) => AnswerId::None,
        },
        None => AnswerId::None,
    };
    let mut read = Read { id, code: 0, order_id: 0, verdict: Verdict::Unknown, reason: RejectReason::Other };
    let Some(_) = json.field("status") else {
        return Ok(Read { id: AnswerId::None, ..read });
    };
    let status = u16::try_from(json.uint("status")?).unwrap_or(0);
    let mut message = "";
    let mut retry_at = Nanos::ZERO;
    if let Some(error) = json.field("error") {
        read.code = i32::try_from(error.int("code")?).unwrap_or(i32::MIN);
        message = error.text_or_empty("msg")?;
        if let Some(data) = error.field("data") {
            retry_at = Nanos::from_millis(data.uint_or("retryAfter", 0)?);
        }
    }
    if let Some(result) = json.field("result") {
        read.order_id = result.uint_or("orderId", 0)?;
    }
    (read.verdict, read.reason) = wire::verdict(status, read.code, message);
    if json.field("rateLimits").is_some() {
        for limit in json.list("rateLimits")?.take(MOST_RATES) {
            if let Some(usage) = rate_usage(limit, retry_at)? {
                rates.push(usage);
            }
        }
    }
    if rates.is_empty() && !retry_at.is_zero() {
        rates.push(RateUsage { bucket: bucket::REQUEST_WEIGHT, used: 0, limit: 0, retry_at });
    }
    Ok(read)
}

fn rate_usage(limit: Json<'_, '_>, retry_at: Nanos) -> Result<Option<RateUsage>, JsonError> {
    let kind = limit.text("rateLimitType")?;
    let Some(bucket) = bucket::of(kind, limit.text("interval")?, limit.uint("intervalNum")?) else {
        return Ok(None);
    };
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let used = small(limit.uint_or("count", 0)?);
    Ok(Some(RateUsage { bucket, used, limit: small(limit.uint("limit")?), retry_at }))
}

#[derive(Clone, Copy, Debug)]
struct Request {
    number: u64,
    client_order_id: ClientOrderId,
    venue_order_id: VenueOrderId,
    due: Nanos,
    instrument: InstrumentId,
    kind: RequestKind,
}

/// The requests without an answer. Fixed room; a number's home is its remainder, so the usual search is one look.
struct InFlight {
    slots: Vec<Option<Request>>,
    count: usize,
}

impl InFlight {
    fn new(capacity: usize) -> Self {
        Self { slots: vec![None; capacity], count: 0 }
    }

    /// The slots in the order in which a number's request is looked for: its home first.
    #[inline]
    fn search_order(&self, number: u64) -> impl Iterator<Item = usize> + use<> {
        let capacity = self.slots.len().max(1);
        let home = (number % capacity as u64) as usize;
        (home..capacity).chain(0..home)
    }

    #[inline]
    fn put(&mut self, request: Request) -> Result<(), EncodeError> {
        if self.count >= self.slots.len() {
            return Err(EncodeError::InFlightFull);
        }
        for at in self.search_order(request.number) {
            match self.slots.get_mut(at) {
                Some(Some(taken)) if taken.number == request.number => return Err(EncodeError::Twice),
                Some(slot @ None) => {
                    *slot = Some(request);
                    self.count += 1;
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(EncodeError::InFlightFull)
    }

    #[inline]
    fn take(&mut self, number: u64) -> Option<Request> {
        let at = self.search_order(number).find(|at| {
            self.slots
                .get(*at)
                .is_some_and(|slot| slot.as_ref().is_some_and(|request| request.number == number))
        })?;
        self.count -= 1;
        self.slots.get_mut(at)?.take()
    }

    /// Takes the request with the lowest number of those that are due: the order does not depend on where they lie.
    fn take_due(&mut self, now: Nanos) -> Option<Request> {
        let due = self.slots.iter().flatten().filter(|request| request.due <= now);
        let number = due.map(|request| request.number).min()?;
        self.take(number)
    }

    fn earliest(&self) -> Nanos {
        self.slots.iter().flatten().map(|request| request.due).min().unwrap_or(Nanos::MAX)
    }
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
