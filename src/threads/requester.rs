//! The requester: the cold path. It asks the venue over REST what the core or the receiver must know at a trust boundary,
//! and hands the answers on as events (to the core) or as bodies (to the receiver's feed). It may block; nobody waits for it.
//!
//! Between questions it makes its rounds: the heartbeat and the audit (`heartbeat`). What it asks for draws on a budget of request weight
//! (`budget`); what finds no room there waits in its ring, in order.
//!
//! It holds no type that can place an order: read requests and listen keys are all that it can make. It also keeps the time: the venue's
//! clock against ours, measured at an interval and whenever the venue has refused a request for its time.

mod budget;
mod heartbeat;

use std::collections::VecDeque;
use std::sync::Arc;

use self::budget::{Budget, Purpose};
use self::heartbeat::Rounds;
use crate::core::event::{Body, Event, HydrationScope, RateUsage, Source};
use crate::core::id::InstrumentId;
use crate::core::limits::PositionMode;
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
use crate::venue::binance::wire::{self, Hold};

/// What the receiver and the sender ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Snapshot {
        instrument: InstrumentId,
        limit: u16,
    },
    ListenKey,
    /// Measure the venue's clock now.
    Clock,
}

/// What the sender and the receiver get, whose signed requests carry the venue's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// The venue's clock minus ours.
    pub offset_millis: i64,
}

/// What the receiver gets: `None` where it could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Snapshot {
        instrument: InstrumentId,
        body: Option<Vec<u8>>,
    },
    ListenKey(Option<String>),
    /// Nobody need have asked: the clock is measured at an interval too.
    Clock(Tuning),
}

/// How long a listen key is used before it is renewed; the venue lets it live twice as long.
const KEY_RENEWAL: Nanos = Nanos::from_secs(30 * 60);
/// When a renewal that found no answer is tried again.
const KEY_RENEWAL_AGAIN: Nanos = Nanos::from_secs(60);
/// Questions wait for the end of a pause that the venue asked for, up to this long; beyond it they fail at once, in words.
const LONGEST_WAIT: Nanos = Nanos::from_secs(10);

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
    #[error(
        "{path}: not asked, because the venue wants no request for {seconds} s more (it answered 429, 418 or 403)"
    )]
    Paused { path: &'static str, seconds: u64 },
}

/// One request and its body. `Rest` is the real one; the simulator has its own.
pub trait Read {
    /// The body of a 2xx answer, or of a definite refusal (4xx), which the parsers tell apart by its code.
    fn read(&mut self, request: &RestRequest) -> Result<Vec<u8>, RestError>;
    /// The venue's time now, as far as it is known.
    fn venue_time(&self) -> Nanos;
    /// The venue's clock minus ours, from now on.
    fn set_clock_offset(&mut self, millis: i64);
    /// Until when the venue wants no request.
    fn paused_until(&self) -> Nanos;
    /// What the last answer said of our limits.
    fn rate_usage(&mut self) -> Vec<RateUsage> {
        Vec::new()
    }
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
    /// The venue wants no request before then.
    paused_until: Nanos,
    /// What the last answer's headers said.
    usage: Vec<RateUsage>,
}

impl<C: Clock> Rest<C> {
    pub fn new(client: HttpClient, base: Endpoint, credentials: Option<Arc<Credentials>>, clock: C) -> Self {
        Self {
            client,
            base,
            credentials,
            clock,
            offset_millis: 0,
            recv_window: None,
            paused_until: Nanos::ZERO,
            usage: Vec::new(),
        }
    }

    pub fn with_recv_window(self, millis: u32) -> Self {
        Self { recv_window: Some(millis), ..self }
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
        let wait = self.paused_until.since(self.clock.now());
        if wait > Nanos::ZERO {
            return Err(RestError::Paused { path, seconds: wait.raw().div_ceil(Nanos::from_secs(1).raw()) });
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
        let now = self.clock.now();
        // No question counts as an order, so the code is not asked.
        let hold = Hold::of(response.status, 0, wire::retry_after(&response.headers, now), now);
        self.paused_until = hold.map_or(self.paused_until, |hold| self.paused_until.later(hold.until));
        self.usage = wire::usage_of_headers(&response.headers, hold);
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

    fn set_clock_offset(&mut self, millis: i64) {
        self.offset_millis = millis;
    }

    fn rate_usage(&mut self) -> Vec<RateUsage> {
        std::mem::take(&mut self.usage)
    }

    fn paused_until(&self) -> Nanos {
        self.paused_until
    }
}

/// The venue's clock against ours, half the round trip taken off: in milliseconds, and how long the question took. It is set, and used from
/// here on.
pub fn measure_clock<C: Clock, R: Read>(
    rest: &mut R,
    clock: &C,
    requests: Requests,
    hydrator: &mut Hydrator,
) -> anyhow::Result<(i64, Nanos)> {
    let before = clock.now();
    let body = rest.read(&requests.time())?;
    let took = clock.now().since(before);
    let middle = before + Nanos::new(took.raw() / 2);
    let offset = hydrator.server_time(&body)?.as_millis() as i64 - middle.as_millis() as i64;
    rest.set_clock_offset(offset);
    Ok((offset, took))
}

#[derive(Clone, Copy, Debug)]
pub struct RequesterOptions {
    /// The venue's clock is measured this often.
    pub clock_every: Nanos,
    /// Positions are read back so often, and open orders, though nothing is in doubt.
    pub heartbeat: Option<Nanos>,
    pub audit: Option<Nanos>,
    /// Without one every account is read back as empty: there is none (DRY_RUN without a key).
    pub has_account: bool,
    /// Request weight a minute, as the venue publishes it.
    pub weight_limit: Option<u32>,
    /// Which rows a position has.
    pub position_mode: PositionMode,
}

pub struct RequesterWiring {
    pub asks: Consumer<Ask>,
    pub wants: Consumer<Want>,
    /// The sender's wishes.
    pub sender_wants: Consumer<Want>,
    pub events: Producer<Event>,
    pub answers: Producer<Answer>,
    pub tunings: Producer<Tuning>,
    pub counters: Owned<RequesterCounters>,
    pub log: Logger,
}

pub struct Requester<C: Clock, R: Read> {
    clock: C,
    options: RequesterOptions,
    directory: Arc<Directory>,
    requests: Requests,
    hydrator: Hydrator,
    rest: R,
    wiring: RequesterWiring,
    /// What the ring to the core had no room for; nothing new is asked before it is gone.
    backlog: VecDeque<Event>,
    unanswered: VecDeque<Answer>,
    renew_key_at: Nanos,
    measure_at: Nanos,
    rounds: Rounds,
    budget: Budget,
    /// The quickest answer to the question for the time so far: a slow one says little.
    quickest: Nanos,
}

impl<C: Clock, R: Read> Requester<C, R> {
    pub fn new(
        options: RequesterOptions,
        directory: Arc<Directory>,
        rest: R,
        wiring: RequesterWiring,
        clock: C,
    ) -> Self {
        // An account that is not there has no heart.
        let rounds = |every: Option<Nanos>| every.filter(|_| options.has_account);
        Self {
            rounds: Rounds::new(rounds(options.heartbeat), rounds(options.audit), clock.now()),
            budget: Budget::new(options.weight_limit),
            measure_at: clock.now() + options.clock_every,
            quickest: Nanos::MAX,
            clock,
            options,
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

    /// One question at most: the core's before the receiver's. A key and the time are little, and are always asked for.
    pub fn pass(&mut self) -> Pass {
        if !self.hand_on() {
            return Pass::Idle;
        }
        let now = self.clock.now();
        self.miss_heartbeat(now);
        let pause = self.rest.paused_until().since(now);
        if pause > Nanos::ZERO && pause <= LONGEST_WAIT {
            return Pass::Idle;
        }
        if let Some(want) = self.wiring.sender_wants.pop() {
            self.answer_receiver(want);
        } else if self.budget.allows(Purpose::Doubt, now)
            && let Some(ask) = self.wiring.asks.pop()
        {
            self.answer_core(&ask);
        } else if self.budget.allows(Purpose::Snapshot, now)
            && let Some(want) = self.wiring.wants.pop()
        {
            self.answer_receiver(want);
        } else if now >= self.renew_key_at {
            self.renew_key();
        } else if now >= self.measure_at {
            self.measure_clock();
        } else if !(self.budget.allows(Purpose::Round, now) && self.make_rounds(now)) {
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
        if !self.options.has_account && ask.scope == HydrationScope::Account {
            let bracket = hydrate::Ask { request: ask.number, as_of, now: self.clock.now() };
            self.backlog.extend(hydrate::no_account(&self.directory, bracket));
            return Ok(());
        }
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
        if ask.scope == HydrationScope::Trades {
            let symbol = directory.of(ask.instrument).map_or("", |listing| listing.symbol());
            // The bracket's two ends are no trades.
            let trades = events.len().saturating_sub(2);
            say(
                &mut self.wiring.log,
                now,
                Level::Info,
                LogEvent::Hydration,
                format_args!("trades of {symbol} read back: {trades}"),
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
            Want::Clock => return self.measure_clock(),
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

    /// A renewal without an answer is tried again long before the key ends. One that the venue refuses means that the key has ended already:
    /// the receiver gets another, and moves over to it.
    fn renew_key(&mut self) {
        self.wiring.counters.key_renewals.one();
        let Some(request) = self.requests.listen_key(Method::Put) else {
            self.renew_key_at = Nanos::MAX;
            return;
        };
        let renewed = self.call(&request).and_then(|body| Ok(self.hydrator.renewed(&body)?));
        match renewed {
            Ok(()) => self.renew_key_at = self.clock.now() + KEY_RENEWAL,
            Err(error @ CallError::Hydrate(_)) => {
                self.say("listen key renewal", &error);
                let key = self.listen_key(Method::Post);
                self.unanswered.push_back(Answer::ListenKey(key));
            }
            Err(error) => {
                self.renew_key_at = self.clock.now() + KEY_RENEWAL_AGAIN;
                self.say("listen key renewal", &error);
            }
        }
    }

    /// Tells the sender and the receiver how far off our clock is. An answer that took much longer than others is not believed, but not for ever: the
    /// network may have become slower for good.
    fn measure_clock(&mut self) {
        self.measure_at = self.clock.now() + self.options.clock_every;
        self.wiring.counters.rest_requests.one();
        let before = self.rest.venue_time().as_millis() as i64 - self.clock.now().as_millis() as i64;
        self.budget.spend(u32::from(self.requests.time().weight), self.clock.now());
        let measured = measure_clock(&mut self.rest, &self.clock, self.requests, &mut self.hydrator);
        // In a healthy session nothing else is read: what others use of the limits is heard of here.
        self.tell_usage();
        match measured {
            Ok((_, took)) if took.raw() / 4 > self.quickest.raw() => {
                self.rest.set_clock_offset(before);
                self.quickest = Nanos::new(self.quickest.raw().saturating_mul(2));
            }
            Ok((offset_millis, took)) => {
                self.quickest = self.quickest.earlier(took);
                let tuning = Tuning { offset_millis };
                let _ = self.wiring.tunings.push(tuning);
                self.unanswered.push_back(Answer::Clock(tuning));
                if offset_millis.abs_diff(before) >= CLOCK_JUMP {
                    let text = format_args!(
                        "the venue's clock is {offset_millis} ms ahead of ours (it was {before} ms)"
                    );
                    say(&mut self.wiring.log, self.clock.now(), Level::Warn, LogEvent::ClockSkew, text);
                }
            }
            Err(error) => {
                self.wiring.counters.rest_failures.one();
                let text = format_args!("the venue's time: {error:#}");
                say(&mut self.wiring.log, self.clock.now(), Level::Warn, LogEvent::Hydration, text);
            }
        }
    }

    /// A question that the venue refused for its time is asked again, once, with the right one.
    fn call(&mut self, request: &RestRequest) -> Result<Vec<u8>, CallError> {
        self.wiring.counters.rest_requests.one();
        let body = self.read(request)?;
        if request.security != Security::Signed || !hydrate::is_refused_for_time(&body) {
            return Ok(body);
        }
        self.measure_clock();
        self.wiring.counters.rest_requests.one();
        Ok(self.read(request)?)
    }

    /// One request; the limits that its answer states are for the core to hear.
    fn read(&mut self, request: &RestRequest) -> Result<Vec<u8>, RestError> {
        self.budget.spend(u32::from(request.weight), self.clock.now());
        let answer = self.rest.read(request);
        self.tell_usage();
        answer
    }

    fn tell_usage(&mut self) {
        for usage in self.rest.rate_usage() {
            if usage.bucket == wire::bucket::REQUEST_WEIGHT {
                self.budget.told(usage.used, self.clock.now());
            }
            let event = Event::new(self.clock.now(), Source::Requester, Body::RateUsage(usage));
            self.backlog.push_back(event.on(self.directory.venue(), InstrumentId::NONE));
        }
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

/// A clock that moved by so many milliseconds between two measurements is worth a line in the log.
const CLOCK_JUMP: u64 = 100;

#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Rest(#[from] RestError),
    #[error(transparent)]
    Hydrate(#[from] HydrateError),
    #[error(transparent)]
    Unaskable(#[from] Unaskable),
}
