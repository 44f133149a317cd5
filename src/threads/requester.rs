//! The requester: the cold path. It asks the venue over REST what the core or the receiver must know at a trust boundary,
//! and hands the answers on as events (to the core) or as bodies (to the receiver's feed). It may block; nobody waits for it.
//!
//! It holds no type that can place an order: read requests and listen keys are all that it can make.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::core::event::{Event, HydrationScope};
use crate::core::id::InstrumentId;
use crate::core::record::Ask;
use crate::core::time::Nanos;
use crate::net::http::{HttpClient, HttpError, HttpRequest};
use crate::net::{Endpoint, EndpointError};
use crate::ring::{Consumer, Full, Producer};
use crate::telemetry::counters::{Owned, RequesterCounters};
use crate::telemetry::log::{Level, LogEvent, Logger};
use crate::threads::world::Clock;
use crate::threads::{Pass, say};
use crate::venue::Directory;
use crate::venue::binance::hydrate::{
    self, API_KEY_HEADER, Conversation, HydrateError, Hydrator, Method, Requests, RestRequest, Security,
    Unaskable,
};
use crate::venue::binance::sign::Credentials;

/// What the receiver asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Snapshot { instrument: InstrumentId, limit: u16 },
    ListenKey,
}

/// What the receiver gets: `None` where it could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Snapshot { instrument: InstrumentId, body: Option<Vec<u8>> },
    ListenKey(Option<String>),
}

/// How long a listen key is used before it is renewed; the venue lets it live twice as long.
const KEY_RENEWAL: Nanos = Nanos::from_secs(30 * 60);

#[derive(Debug, thiserror::Error)]
pub enum RestError {
    #[error("{path}: {error}")]
    Http { path: &'static str, error: HttpError },
    #[error("{path}: the venue answered with status {status}: {body}")]
    Status { path: &'static str, status: u16, body: String },
    #[error("{path}: {error}")]
    Address { path: &'static str, error: EndpointError },
    #[error("{path} needs an API key, and the configuration gives none")]
    NoKey { path: &'static str },
}

/// One request and its body. `Rest` is the real one; the simulator has its own.
pub trait Read {
    /// The body of a 2xx answer, or of a definite refusal (4xx), which the parsers tell apart by its code.
    fn read(&mut self, request: &RestRequest) -> Result<Vec<u8>, RestError>;
    /// The venue's time now, as far as it is known.
    fn venue_time(&self) -> Nanos;
}

/// REST at one venue: signs, corrects the clock, keeps the connection.
pub struct Rest<C: Clock> {
    client: HttpClient,
    base: Endpoint,
    credentials: Option<Arc<Credentials>>,
    clock: C,
    /// The venue's clock minus ours.
    offset_millis: i64,
    /// Milliseconds for which a signed request stays valid; `None` leaves the venue's default.
    recv_window: Option<u32>,
}

impl<C: Clock> Rest<C> {
    pub fn new(client: HttpClient, base: Endpoint, credentials: Option<Arc<Credentials>>, clock: C) -> Self {
        Self { client, base, credentials, clock, offset_millis: 0, recv_window: None }
    }

    pub fn with_recv_window(self, millis: u32) -> Self {
        Self { recv_window: Some(millis), ..self }
    }

    /// Measures the venue's clock against ours, half the round trip taken off. Returns the offset in milliseconds.
    pub fn measure_clock(&mut self, requests: Requests, hydrator: &mut Hydrator) -> anyhow::Result<i64> {
        let before = self.clock.now();
        let body = self.read(&requests.time())?;
        let after = self.clock.now();
        let middle = before + Nanos::new(after.since(before).raw() / 2);
        let venue = hydrator.server_time(&body)?;
        self.offset_millis = venue.as_millis() as i64 - middle.as_millis() as i64;
        Ok(self.offset_millis)
    }

    pub fn offset_millis(&self) -> i64 {
        self.offset_millis
    }
}

impl<C: Clock> Read for Rest<C> {
    fn read(&mut self, request: &RestRequest) -> Result<Vec<u8>, RestError> {
        let path = request.path;
        let credentials = self.credentials.as_deref();
        if request.security != Security::Open && credentials.is_none() {
            return Err(RestError::NoKey { path });
        }
        let target = request.target(credentials, self.venue_time().as_millis(), self.recv_window);
        let endpoint = self.base.with_path(&target).map_err(|error| RestError::Address { path, error })?;
        let key = credentials.map_or("", Credentials::api_key);
        let headers = [(API_KEY_HEADER, key)];
        let headers = if request.security == Security::Open { &headers[..0] } else { &headers[..] };
        let method = match request.method {
            Method::Get => crate::net::http::Method::Get,
            Method::Post => crate::net::http::Method::Post,
            Method::Put => crate::net::http::Method::Put,
            Method::Delete => crate::net::http::Method::Delete,
        };
        let http = HttpRequest { method, endpoint: &endpoint, headers, body: &[] };
        let response = self.client.send(&http).map_err(|error| RestError::Http { path, error })?;
        match response.status {
            200..=299 | 400 | 404 => Ok(response.body),
            status => {
                let body = String::from_utf8_lossy(&response.body).chars().take(300).collect();
                Err(RestError::Status { path, status, body })
            }
        }
    }

    fn venue_time(&self) -> Nanos {
        let ours = self.clock.now().as_millis() as i64;
        Nanos::from_millis(u64::try_from(ours + self.offset_millis).unwrap_or(0))
    }
}

pub struct RequesterWiring {
    pub asks: Consumer<Ask>,
    pub wants: Consumer<Want>,
    pub events: Producer<Event>,
    pub answers: Producer<Answer>,
    pub counters: Owned<RequesterCounters>,
    pub log: Logger,
}

pub struct Requester<C: Clock, R: Read> {
    clock: C,
    directory: Arc<Directory>,
    requests: Requests,
    hydrator: Hydrator,
    rest: R,
    wiring: RequesterWiring,
    /// What the ring to the core had no room for; nothing new is asked before it is gone.
    backlog: VecDeque<Event>,
    unanswered: VecDeque<Answer>,
    renew_key_at: Nanos,
}

impl<C: Clock, R: Read> Requester<C, R> {
    pub fn new(directory: Arc<Directory>, rest: R, wiring: RequesterWiring, clock: C) -> Self {
        Self {
            clock,
            requests: Requests::of(directory.product()),
            directory,
            hydrator: Hydrator::default(),
            rest,
            wiring,
            backlog: VecDeque::new(),
            unanswered: VecDeque::new(),
            renew_key_at: Nanos::MAX,
        }
    }

    /// One question at most: the core's before the receiver's.
    pub fn pass(&mut self) -> Pass {
        if !self.hand_on() {
            return Pass::Idle;
        }
        if let Some(ask) = self.wiring.asks.pop() {
            self.answer_core(&ask);
        } else if let Some(want) = self.wiring.wants.pop() {
            self.answer_receiver(want);
        } else if self.clock.now() >= self.renew_key_at {
            self.renew_key();
        } else {
            return Pass::Idle;
        }
        self.hand_on();
        Pass::Busy
    }

    /// Moves what waits into the rings; true when nothing waits any more.
    fn hand_on(&mut self) -> bool {
        while let Some(mut event) = self.backlog.pop_front() {
            let now = self.clock.now();
            event.ringed = u32::try_from(now.since(event.received).raw()).unwrap_or(u32::MAX);
            if let Err(Full(event)) = self.wiring.events.push(event) {
                self.backlog.push_front(event);
                return false;
            }
        }
        while let Some(answer) = self.unanswered.pop_front() {
            if let Err(Full(answer)) = self.wiring.answers.push(answer) {
                self.unanswered.push_front(answer);
                return false;
            }
        }
        true
    }

    fn answer_core(&mut self, ask: &Ask) {
        self.wiring.counters.hydrations.one();
        let as_of = self.rest.venue_time();
        let done = self.converse(ask, as_of);
        if let Err(error) = done {
            self.wiring.counters.rest_failures.one();
            say(
                &mut self.wiring.log,
                self.clock.now(),
                Level::Warn,
                LogEvent::Hydration,
                format_args!("{} hydration {} failed: {error:#}", ask.scope, ask.number),
            );
            let bracket = hydrate::Ask { request: ask.number, as_of, now: self.clock.now() };
            let (scope, id, order) = (ask.scope, ask.instrument, ask.client_order_id);
            // A parser that failed after all bodies were there has said so itself; a second word changes nothing.
            self.backlog.push_back(hydrate::hydration_failed(&self.directory, scope, id, order, bracket));
        }
    }

    /// As many requests as the venue needs for one question.
    fn converse(&mut self, ask: &Ask, as_of: Nanos) -> Result<(), CallError> {
        let directory = Arc::clone(&self.directory);
        let mut conversation = Conversation::of(&directory, ask, as_of)?;
        while let Some(request) = conversation.next_request() {
            let body = self.call(&request)?;
            conversation.on_body(&mut self.hydrator, &directory, body, self.clock.now());
        }
        let now = self.clock.now();
        let mut events = Vec::new();
        let skipped = conversation.finish(&mut self.hydrator, &directory, now, &mut events)?;
        if ask.scope == HydrationScope::Account {
            say(
                &mut self.wiring.log,
                now,
                Level::Info,
                LogEvent::Hydration,
                format_args!("account read back: {} events, not ours {skipped:?}", events.len()),
            );
        }
        self.backlog.extend(events);
        Ok(())
    }

    fn answer_receiver(&mut self, want: Want) {
        let answer = match want {
            Want::Snapshot { instrument, limit } => {
                let body = match self.directory.of(instrument) {
                    Some(listing) => {
                        let request = self.requests.depth(listing.symbol(), limit);
                        self.call(&request).map_err(|error| self.say("depth snapshot", &error)).ok()
                    }
                    None => None,
                };
                Answer::Snapshot { instrument, body }
            }
            Want::ListenKey => Answer::ListenKey(self.listen_key(Method::Post)),
        };
        self.unanswered.push_back(answer);
    }

    fn listen_key(&mut self, method: Method) -> Option<String> {
        let request = self.requests.listen_key(method)?;
        let key = self.call(&request).and_then(|body| Ok(self.hydrator.listen_key(&body)?));
        match key {
            Ok(key) => {
                self.renew_key_at = self.clock.now() + KEY_RENEWAL;
                Some(key)
            }
            Err(error) => {
                self.say("listen key", &error);
                None
            }
        }
    }

    /// A key that cannot be renewed expires, which its stream tells; then the receiver asks for another.
    fn renew_key(&mut self) {
        self.renew_key_at = self.clock.now() + KEY_RENEWAL;
        self.wiring.counters.key_renewals.one();
        if let Some(request) = self.requests.listen_key(Method::Put)
            && let Err(error) = self.call(&request)
        {
            self.say("listen key renewal", &error);
        }
    }

    fn call(&mut self, request: &RestRequest) -> Result<Vec<u8>, CallError> {
        self.wiring.counters.rest_requests.one();
        Ok(self.rest.read(request)?)
    }

    fn say(&mut self, what: &str, error: &CallError) {
        self.wiring.counters.rest_failures.one();
        say(
            &mut self.wiring.log,
            self.clock.now(),
            Level::Warn,
            LogEvent::Hydration,
            format_args!("{what}: {error}"),
        );
    }
}

#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Rest(#[from] RestError),
    #[error(transparent)]
    Hydrate(#[from] HydrateError),
    #[error(transparent)]
    Unaskable(#[from] Unaskable),
}
