//! The account's own stream: order, balance and position reports, exact. This is money: what cannot be read is never let go
//! in silence. It becomes `Link(Private, Down, Protocol)`, so the core distrusts the account and hydrates, and the caller gets the error with the
//! text still in hand for its log.
//!
//! How the two products open it:
//!
//! ```text
//! USD-M                  a listen key from REST, then the connection itself is the stream                   up when it opens
//! spot, an Ed25519 key   on the WebSocket API session.logon, and when it is answered userDataStream.subscribe    up when that is answered
//! spot, any other key    on the WebSocket API userDataStream.subscribe.signature: these cannot log on            up when that is answered
//! ```
//! What the messages mean stands in `usdm/reports.rs`
//! and `spot/reports.rs`. An event's time here is `T`, when the matching engine did it: read-backs say their `updateTime` in the same terms.
//! (USD-M "User Data Streams / Connect"; Spot "WebSocket API / User Data Stream requests".)

use super::json::{Json, JsonError, JsonReader};
use super::orders::params::{JsonParams, ParamSink, finish};
use super::reports::{MOST_EVENTS, Memory, Reading};
use super::sign::Credentials;
use super::wire::Dialect;
use super::{spot, usdm};
use crate::core::event::{Body, Event, LinkChange, LinkKind, LinkReason, LinkState, Source};
use crate::core::id::InstrumentId;
use crate::core::instrument::Product;
use crate::core::time::Nanos;
use crate::venue::{Directory, EventSink};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("private message: {0}")]
pub struct PrivateError(#[from] pub JsonError);

/// What a private message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateMessage {
    Order,
    Account,
    TradeLite,
    /// The venue took the logon: now `subscribe`.
    LoggedOn,
    /// The venue took the subscription: the stream is up.
    Subscribed,
    /// The venue refused the logon or the subscription: close the connection. Whether the link is down depends on whether another one
    /// carries the stream, so nothing is emitted.
    Refused {
        code: i64,
    },
    /// The listen key is no longer valid, or the subscription has ended: dial again, with another key.
    KeyExpired,
    /// The venue takes this connection down soon: open the next one before it ends.
    ShuttingDown,
    /// About an instrument that is not ours: counted, nothing emitted.
    Foreign,
    /// Of a kind that we do not need (margin call, leverage change, order list, an answer): counted.
    Other,
}

/// Counted since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivateCounters {
    pub orders: u64,
    pub accounts: u64,
    pub trades: u64,
    pub foreign: u64,
    pub foreign_assets: u64,
    /// Spot: what moved a balance from outside; the balance itself comes with the account update.
    pub transfers: u64,
    /// Spot: states of order lists, whose orders report for themselves.
    pub lists: u64,
    pub other: u64,
    pub bad: u64,
    /// Texts of enums that we do not know.
    pub unknown_values: u64,
}

pub struct PrivateStream {
    directory: Arc<Directory>,
    reader: JsonReader,
    counters: PrivateCounters,
    memory: Memory,
    /// Events of the message being read: nothing of a message that turns out bad half-way is emitted.
    pending: Vec<Event>,
    /// `None`: the connection itself is the stream, by its listen key.
    subscription: Option<Subscription>,
    connection: u8,
}

struct Subscription {
    credentials: Arc<Credentials>,
    recv_window: Option<u32>,
    clock_offset_millis: i64,
    payload: Vec<u8>,
    /// The answer must have come by then.
    due: Nanos,
}

/// The ids of the requests.
const LOGON_ID: &str = "private-logon";
const SUBSCRIBE_ID: &str = "private";
const ANSWER_TIMEOUT: Nanos = Nanos::from_secs(5);

impl PrivateStream {
    /// A stream that a listen key opens. `connection` is the number that its link events carry.
    pub fn new(directory: Arc<Directory>, connection: u8) -> Self {
        Self {
            directory,
            reader: JsonReader::with_capacity(64 * 1024),
            counters: PrivateCounters::default(),
            memory: Memory::default(),
            pending: Vec::with_capacity(MOST_EVENTS),
            subscription: None,
            connection,
        }
    }

    /// The stream of this product: on spot, a subscription by `credentials`.
    pub fn of_product(
        directory: Arc<Directory>,
        connection: u8,
        credentials: Arc<Credentials>,
        recv_window: Option<u32>,
    ) -> Self {
        let subscription = (directory.product() == Product::Spot).then(|| Subscription {
            credentials,
            recv_window,
            clock_offset_millis: 0,
            payload: Vec::with_capacity(256),
            due: Nanos::MAX,
        });
        Self { subscription, ..Self::new(directory, connection) }
    }

    /// Whether `path` wants a listen key from REST.
    pub fn needs_listen_key(&self) -> bool {
        self.subscription.is_none()
    }

    /// The path to dial. (USD-M "User Data Streams / Connect": today's split path, or the former one; spot: the WebSocket API's.)
    pub fn path(&self, split: bool, listen_key: &str) -> String {
        match (&self.subscription, split) {
            (Some(_), _) => Dialect::of(self.directory.product()).websocket_api.to_string(),
            (None, true) => format!("/private/ws?listenKey={listen_key}"),
            (None, false) => format!("/ws/{listen_key}"),
        }
    }

    pub fn counters(&self) -> &PrivateCounters {
        &self.counters
    }
    /// The ring must have this much room before a message is handed over.
    pub const fn most_events_per_message(&self) -> usize {
        MOST_EVENTS
    }
    /// The venue's clock minus ours: what the subscription's timestamp is corrected by.
    pub fn set_clock_offset(&mut self, millis: i64) {
        if let Some(subscription) = &mut self.subscription {
            subscription.clock_offset_millis = millis;
        }
    }

    /// The WebSocket handshake is done. `true`: send `frame`, which logs on or subscribes; else the stream is up already.
    pub fn on_open<O: EventSink>(&mut self, now: Nanos, frame: &mut Vec<u8>, out: &mut O) -> bool {
        let Some(subscription) = &mut self.subscription else {
            out.event(self.link(LinkState::Up, LinkReason::None, now));
            return false;
        };
        subscription.due = now + ANSWER_TIMEOUT;
        match subscription.credentials.signer().can_log_on() {
            true => subscription.signed(LOGON_ID, "session.logon", now, frame),
            false => subscription.signed(SUBSCRIBE_ID, "userDataStream.subscribe.signature", now, frame),
        }
        true
    }

    /// The logon was answered: send `frame`, which subscribes.
    pub fn subscribe(&mut self, now: Nanos, frame: &mut Vec<u8>) {
        if let Some(subscription) = &mut self.subscription {
            subscription.due = now + ANSWER_TIMEOUT;
        }
        frame.clear();
        frame.extend_from_slice(b"{\"id\":\"");
        frame.extend_from_slice(SUBSCRIBE_ID.as_bytes());
        frame.extend_from_slice(b"\",\"method\":\"userDataStream.subscribe\"}");
    }

    /// Keeps the deadline of the subscription. `true`: no answer came, close the connection.
    pub fn poll(&mut self, now: Nanos) -> bool {
        match &mut self.subscription {
            Some(subscription) if now >= subscription.due => {
                subscription.due = Nanos::MAX;
                true
            }
            _ => false,
        }
    }

    /// The connection is gone: nothing is waited for on it.
    pub fn on_closed(&mut self) {
        if let Some(subscription) = &mut self.subscription {
            subscription.due = Nanos::MAX;
        }
    }

    pub fn on_message<O: EventSink>(
        &mut self,
        text: &[u8],
        received: Nanos,
        parsed_clock: impl Fn() -> Nanos,
        out: &mut O,
    ) -> Result<PrivateMessage, PrivateError> {
        self.pending.clear();
        let mut reading = Reading {
            directory: &self.directory,
            pending: &mut self.pending,
            counters: &mut self.counters,
            memory: &mut self.memory,
            received,
        };
        let subscribes = self.subscription.is_some();
        let read = self.reader.read(text, |json| match answer(json, subscribes)? {
            Some(answer) => Ok(answer),
            None => message(&mut reading, event_of(json)),
        });
        let message = match read {
            Ok(message) => message,
            Err(error) => {
                self.counters.bad += 1;
                out.event(self.link(LinkState::Down, LinkReason::Protocol, received));
                return Err(error.into());
            }
        };
        match message {
            PrivateMessage::Subscribed => {
                self.on_closed();
                out.event(self.link(LinkState::Up, LinkReason::None, received));
            }
            PrivateMessage::Refused { .. } => self.on_closed(),
            PrivateMessage::KeyExpired => {
                out.event(self.link(LinkState::Down, LinkReason::KeyExpired, received));
            }
            _ => {}
        }
        let parsed = u32::try_from(parsed_clock().since(received).raw()).unwrap_or(u32::MAX);
        for event in &self.pending {
            out.event(Event { parsed, ..*event });
        }
        Ok(message)
    }

    fn link(&self, state: LinkState, reason: LinkReason, now: Nanos) -> Event {
        let change = LinkChange { link: LinkKind::Private, state, reason, connection: self.connection };
        Event::new(now, Source::Receiver, Body::Link(change)).on(self.directory.venue(), InstrumentId::NONE)
    }
}

impl Subscription {
    fn signed(&mut self, id: &str, method: &str, now: Nanos, frame: &mut Vec<u8>) {
        frame.clear();
        for part in ["{\"id\":\"", id, "\",\"method\":\"", method, "\",\"params\":{"] {
            frame.extend_from_slice(part.as_bytes());
        }
        self.payload.clear();
        let mut params = JsonParams { json: frame, payload: Some(&mut self.payload) };
        params.text("apiKey", self.credentials.api_key());
        if let Some(window) = self.recv_window {
            params.number("recvWindow", u64::from(window));
        }
        params.number("timestamp", now.as_millis().saturating_add_signed(self.clock_offset_millis));
        finish(frame, Some(self.credentials.signer().sign(&self.payload).as_str()));
    }
}

/// The answer to the logon or the subscription, where this text is one. `{"id":..,"status":200,"result":{"subscriptionId":0}}`.
fn answer(json: Json<'_, '_>, subscribes: bool) -> Result<Option<PrivateMessage>, JsonError> {
    if !subscribes || !json.has("status") {
        return Ok(None);
    }
    let taken = match json.text_or_empty("id") {
        Ok(LOGON_ID) => PrivateMessage::LoggedOn,
        Ok(SUBSCRIBE_ID) => PrivateMessage::Subscribed,
        _ => return Ok(Some(PrivateMessage::Other)),
    };
    Ok(Some(match (json.uint("status")?, json.field("error")) {
        (200, None) => taken,
        (status, None) => PrivateMessage::Refused { code: i64::try_from(status).unwrap_or(i64::MAX) },
        (_, Some(error)) => PrivateMessage::Refused { code: error.int("code")? },
    }))
}

/// Without what stands around it: `{"stream":..,"data":{..}}` or `{"subscriptionId":..,"event":{..}}`.
fn event_of<'t, 'i>(json: Json<'t, 'i>) -> Json<'t, 'i> {
    json.field("data").or(json.field("event")).unwrap_or(json)
}

fn message(reading: &mut Reading<'_>, data: Json<'_, '_>) -> Result<PrivateMessage, JsonError> {
    let message = match data.text_or_empty("e")? {
        "ORDER_TRADE_UPDATE" => usdm::reports::order(reading, data)?,
        "ALGO_UPDATE" => usdm::reports::algo(reading, data)?,
        "ACCOUNT_UPDATE" => usdm::reports::account(reading, data)?,
        "TRADE_LITE" => usdm::reports::trade_lite(reading, data)?,
        "executionReport" => spot::reports::order(reading, data)?,
        "outboundAccountPosition" => spot::reports::account(reading, data)?,
        "balanceUpdate" | "externalLockUpdate" => {
            reading.counters.transfers += 1;
            PrivateMessage::Other
        }
        "listStatus" => {
            reading.counters.lists += 1;
            PrivateMessage::Other
        }
        "listenKeyExpired" | "eventStreamTerminated" => PrivateMessage::KeyExpired,
        "serverShutdown" => PrivateMessage::ShuttingDown,
        _ => PrivateMessage::Other,
    };
    match message {
        PrivateMessage::Order => reading.counters.orders += 1,
        PrivateMessage::Account => reading.counters.accounts += 1,
        PrivateMessage::TradeLite => reading.counters.trades += 1,
        PrivateMessage::Foreign => reading.counters.foreign += 1,
        _ => reading.counters.other += 1,
    }
    Ok(message)
}

#[cfg(test)]
#[path = "private_tests.rs"]
mod tests;
