//! The floor: the one place where the exchange engine, the clock, the limits and the sockets' queues meet.
//!
//! Everything runs on one thread, so a command is carried out, and what others see of it is put on their queues, before anything else
//! happens: no lock, no channel, and on every socket the engine's own order. No borrow is ever held across an await.
//! [`Floor::play`] is the market's clock: it sleeps until the engine wants to be woken, and with a recording it waits for slow readers.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, oneshot};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::super::*;
use super::FrontConfig;
use super::answers::Ask;
use super::diary::Diary;
use super::faults::{Faults, Kind};
use super::hub::{Connection, Hub};
use super::keys::{ApiKey, KeyRing, random_text};
use super::limits::{Limits, OrderCost, OrderCounts, Over};
use super::listen_keys::ListenKeys;
use super::params::{Params, Signed};
use super::streams::{Address, Feed, Subscription};
use super::{requests, shapes};

pub struct Floor {
    pub config: FrontConfig,
    pub keys: KeyRing,
    pub limits: RefCell<Limits>,
    pub hub: RefCell<Hub>,
    pub listen_keys: RefCell<ListenKeys>,
    pub faults: Faults,
    exchange: RefCell<Exchange>,
    /// Where the venue is to survive its process.
    diary: RefCell<Option<Diary>>,
    /// Why the venue has to end: its diary could not be written.
    broken: RefCell<Option<anyhow::Error>>,
    /// Wakes [`Floor::play`] before its time.
    wake: Notify,
    last_now_ns: Cell<u64>,
    /// How wrong the clock is that clients see.
    clock_offset_ms: Cell<i64>,
    start: Cell<Start>,
    is_recording: bool,
    pub product: Product,
    shutting_down: Cell<bool>,
}

/// When a recording begins: as soon as somebody has subscribed and seems to be done with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Nobody listens, or it is no recording.
    Idle,
    Settling {
        until_ns: u64,
    },
    Done,
}

/// A client that has subscribed is given this long for its further subscriptions before a recording begins.
const SETTLE_NS: u64 = 200_000_000;
const MS: u64 = 1_000_000;

impl Floor {
    pub fn new(config: FrontConfig, keys: KeyRing, exchange: ExchangeConfig) -> anyhow::Result<Rc<Floor>> {
        let product = exchange.product();
        let is_recording = matches!(exchange.market, MarketConfig::Recording(_));
        let last_now_ns = Cell::new(0);
        let now = wall_ns(&last_now_ns);
        let mut hub = Hub::new(&exchange.symbols);
        let faults = Faults::default();
        let (diary, exchange) = match &config.state {
            Some(folder) => {
                let (diary, exchange) = Diary::open(folder, exchange, now, &mut hub, &faults)?;
                (Some(diary), exchange)
            }
            None => (None, Exchange::new(exchange, now)?),
        };
        Ok(Rc::new(Floor {
            limits: RefCell::new(Limits::new(config.limits.clone())),
            hub: RefCell::new(hub),
            listen_keys: RefCell::new(ListenKeys::new(config.listen_key_validity.as_millis() as u64)),
            keys,
            exchange: RefCell::new(exchange),
            diary: RefCell::new(diary),
            broken: RefCell::new(None),
            wake: Notify::new(),
            last_now_ns,
            clock_offset_ms: Cell::new(0),
            faults,
            start: Cell::new(Start::Idle),
            is_recording,
            product,
            shutting_down: Cell::new(false),
            config,
        }))
    }

    /// The venue's clock: wall time that does not run backwards.
    pub fn now_ns(&self) -> u64 {
        wall_ns(&self.last_now_ns)
    }

    pub fn now_ms(&self) -> u64 {
        self.now_ns() / MS
    }

    /// The time as clients are told it and judged by it.
    pub fn shown_ms(&self) -> u64 {
        self.now_ms().saturating_add_signed(self.clock_offset_ms.get())
    }

    pub fn set_clock_offset(&self, offset_ms: i64) {
        self.clock_offset_ms.set(offset_ms);
    }

    // -------------------------------------------------------------------------------------------- requests

    /// Carries out a command, and puts what others see of it on their queues.
    pub fn execute(&self, account: AccountId, command: Command) -> Result<Reply, ApiError> {
        let now = self.now_ns();
        let places = command.places();
        let reply = self.exchange.borrow_mut().execute(now, account, command);
        if !self.keep() {
            // Nobody can say what becomes of it.
            return Err(ApiError::TIMEOUT);
        }
        if let (true, true, Ok(reply)) = (self.config.control, places, &reply) {
            self.faults.has_placed(reply);
        }
        if let Ok(Reply::Leverage { symbol, leverage, .. }) = &reply {
            let text = shapes::leverage_update(now / MS, symbol, *leverage);
            self.hub.borrow_mut().private(account, "ACCOUNT_CONFIG_UPDATE", &text);
        }
        self.pump(now);
        self.wake.notify_one();
        reply
    }

    /// The book; with a recording, possibly only when playback has reached its snapshot.
    pub async fn depth(&self, symbol: &str, limit: Option<u32>) -> Result<DepthSnapshot, ApiError> {
        let waiting = self.ask_depth(symbol, limit)?;
        match waiting {
            Depth::Ready(snapshot) => Ok(snapshot),
            Depth::Later(receiver) => match tokio::time::timeout(self.config.depth_wait, receiver).await {
                Ok(Ok(snapshot)) => Ok(snapshot),
                _ => Err(ApiError::TIMEOUT),
            },
        }
    }

    fn ask_depth(&self, symbol: &str, limit: Option<u32>) -> Result<Depth, ApiError> {
        let now = self.now_ns();
        let reply = self.exchange.borrow_mut().depth(now, symbol, limit)?;
        if !self.keep() {
            return Err(ApiError::TIMEOUT);
        }
        let depth = match reply {
            DepthReply::Ready(snapshot) => Depth::Ready(snapshot),
            DepthReply::Pending(ticket) => Depth::Later(self.hub.borrow_mut().await_depth(ticket)),
        };
        self.pump(now);
        self.wake.notify_one();
        Ok(depth)
    }

    /// Looks at the exchange without changing it.
    pub fn read<T>(&self, look: impl FnOnce(&Exchange, u64) -> T) -> T {
        look(&self.exchange.borrow(), self.now_ns())
    }

    // -------------------------------------------------------------------------------------------- who may

    /// The API key of a request that needs no signature ("USER_STREAM", "MARKET_DATA").
    pub fn identify(&self, api_key: Option<&str>) -> Result<&ApiKey, ApiError> {
        let api_key = api_key.ok_or(ApiError::BAD_API_KEY_FORMAT)?;
        if !super::keys::is_api_key(api_key) {
            return Err(ApiError::BAD_API_KEY_FORMAT);
        }
        self.keys.find(api_key).ok_or(ApiError::REJECTED_API_KEY)
    }

    /// The API key of a signed request: known, in time, and signed by it.
    pub fn authenticate(
        &self,
        api_key: Option<&str>,
        params: &Params,
        signed: &Signed,
    ) -> Result<&ApiKey, ApiError> {
        let key = self.identify(api_key)?;
        let signature = signed.signature.as_deref().filter(|signature| !signature.is_empty());
        let signature = signature.ok_or_else(|| ApiError::mandatory("signature"))?;
        self.in_time(params)?;
        if !key.verifies(signed.payload.as_bytes(), signature) {
            return Err(ApiError::INVALID_SIGNATURE);
        }
        Ok(key)
    }

    /// "Timing security": not older than `recvWindow`, and at most a second ahead.
    pub fn in_time(&self, params: &Params) -> Result<(), ApiError> {
        params.mandatory("timestamp")?;
        let timestamp = params.integer("timestamp")?.ok_or_else(|| ApiError::mandatory("timestamp"))?;
        let window = params.integer("recvWindow")?.unwrap_or(5_000);
        if window > 60_000 {
            return Err(ApiError::new(-1131, "recvWindow must be less than 60000."));
        }
        // Microseconds are allowed too; nothing else is that large.
        let timestamp = if timestamp > 100_000_000_000_000 { timestamp / 1000 } else { timestamp };
        let now = self.shown_ms();
        if timestamp > now + 1_000 {
            return Err(ApiError::AHEAD_OF_SERVER_TIME);
        }
        if now.saturating_sub(timestamp) > window {
            return Err(ApiError::OUTSIDE_RECV_WINDOW);
        }
        Ok(())
    }

    pub fn next_execution_id(&self) -> u64 {
        self.hub.borrow_mut().next_execution_id()
    }

    /// The account's order limits, with what is counted.
    pub fn order_limits(&self, account: u32) -> Vec<String> {
        let mut limits = self.limits.borrow_mut();
        let counts = limits.orders_counted(self.now_ms(), account);
        let config = &limits.config;
        [
            ("SECOND", 10, config.orders_per_10_seconds, counts.per_10_seconds),
            ("MINUTE", 1, config.orders_per_minute, counts.per_minute),
            ("DAY", 1, config.orders_per_day, counts.per_day),
        ]
        .into_iter()
        .filter(|(_, _, limit, _)| *limit > 0)
        .map(|(interval, number, limit, count)| {
            shapes::rate_limit("ORDERS", interval, number, limit, Some(count))
        })
        .collect()
    }

    /// The weight that is allowed per minute just now.
    pub fn weight_limit(&self) -> u32 {
        self.limits.borrow().config.weight_per_minute
    }

    /// Counts new orders that are asked for by their client ids, for tests that ask whether any was sent twice. (Spot's cancel-replace is not: its new
    /// order may bear the old one's id.)
    pub fn heard(&self, ask: Ask, params: &Params) {
        if !self.config.control {
            return;
        }
        match ask {
            Ask::Place => self.heard_of(params.raw("newClientOrderId")),
            Ask::PlaceAlgo => self.heard_of(params.raw("clientAlgoId")),
            Ask::PlaceBatch => {
                for each in requests::batch(params).unwrap_or_default() {
                    self.heard_of(each.raw("newClientOrderId"));
                }
            }
            _ => {}
        }
    }

    fn heard_of(&self, client_order_id: Option<&str>) {
        self.faults.asked_to_place(client_order_id);
        if let (Some(diary), Some(id)) = (&mut *self.diary.borrow_mut(), client_order_id)
            && let Err(error) = diary.heard(id)
        {
            self.break_off(error);
        }
    }

    pub fn weigh(&self, address: IpAddr, weight: u32) -> Result<u32, Over> {
        self.limits.borrow_mut().request(self.now_ms(), address, weight)
    }

    pub fn count_order(&self, account: u32, cost: OrderCost) -> Result<OrderCounts, Over> {
        self.limits.borrow_mut().order(self.now_ms(), account, cost)
    }

    // -------------------------------------------------------------------------------------------- listen keys

    pub fn start_listen_key(&self, account: u32) -> String {
        let text = self.listen_keys.borrow_mut().start(self.now_ms(), account, random_text::<64>);
        self.wake.notify_one();
        text
    }

    pub fn renew_listen_key(&self, account: u32) -> Result<String, ApiError> {
        self.listen_keys.borrow_mut().renew(self.now_ms(), account).ok_or(ApiError::INVALID_LISTEN_KEY)
    }

    pub fn close_listen_key(&self, account: u32) {
        if let Some(text) = self.listen_keys.borrow_mut().close(account) {
            self.forget_listen_key(&text);
        }
    }

    pub fn expire_all_listen_keys(&self) {
        self.expire_listen_keys(u64::MAX);
    }

    /// Those that end before `now_ms`; their streams are told, and hear no more.
    fn expire_listen_keys(&self, now_ms: u64) {
        for expired in self.listen_keys.borrow_mut().expire(now_ms) {
            if let Ok(account) = u16::try_from(expired.account) {
                let text = shapes::listen_key_expired(self.now_ms(), &expired.text);
                self.hub.borrow_mut().private(AccountId(account), "listenKeyExpired", &text);
            }
            self.forget_listen_key(&expired.text);
        }
    }

    fn forget_listen_key(&self, text: &str) {
        for connection in self.hub.borrow().connections() {
            connection.subscriptions.borrow_mut().retain(|subscription| subscription.name != text);
        }
    }

    // -------------------------------------------------------------------------------------------- subscriptions

    /// Reads a stream's name for this connection: a market stream, a valid listen key, or silence.
    pub fn read_stream(&self, connection: &Connection, name: &str) -> Subscription {
        if let Some(account) = self.listen_keys.borrow().account(self.now_ms(), name) {
            return Subscription { name: name.to_owned(), symbol: None, feed: Feed::User { account } };
        }
        Subscription::read(name, connection.address, self.product, |symbol| self.hub.borrow().known(symbol))
    }

    /// Adds streams to a connection (those that it has already count once), and lets a recording begin.
    pub fn subscribe(&self, connection: &Connection, streams: Vec<Subscription>) {
        {
            let mut subscriptions = connection.subscriptions.borrow_mut();
            for stream in streams {
                if !subscriptions.contains(&stream) {
                    subscriptions.push(stream);
                }
            }
        }
        if let Some(line) = &connection.line
            && connection.is_private()
            && connection.address != Address::Api
        {
            self.faults.is_for(line, Kind::Private);
        }
        if !self.is_recording || !connection.has_market() {
            return;
        }
        self.hub.borrow().tell_end(connection);
        if self.start.get() != Start::Done {
            let until_ns = if self.all_kinds_wanted() { 0 } else { self.now_ns() + SETTLE_NS };
            self.start.set(Start::Settling { until_ns });
            self.wake.notify_one();
        }
    }

    /// Depth, trades and best prices: who has all three has no more to ask for.
    fn all_kinds_wanted(&self) -> bool {
        let hub = self.hub.borrow();
        let wanted = |kind: StreamKind| {
            hub.connections().any(|connection| {
                connection.subscriptions.borrow().iter().any(|found| found.feed.takes(kind))
            })
        };
        [StreamKind::Depth, StreamKind::Trade, StreamKind::BookTicker].into_iter().all(wanted)
    }

    // -------------------------------------------------------------------------------------------- the market's clock

    /// A writer got bytes out: playback may go on.
    pub fn drained(&self) {
        if self.is_recording && self.hub.borrow().most_waiting() < self.config.high_water / 2 {
            self.wake.notify_one();
        }
    }

    /// Plays the market for as long as the venue lives; returns when it cannot.
    pub async fn play(&self) {
        loop {
            if self.broken.borrow().is_some() {
                return;
            }
            let now = self.now_ns();
            if let Start::Settling { until_ns } = self.start.get()
                && until_ns <= now
            {
                // Whoever subscribed may have gone again; then the next one starts it.
                let wanted = self.hub.borrow().connections().any(|connection| connection.has_market());
                self.start.set(if wanted { Start::Done } else { Start::Idle });
                if wanted {
                    self.exchange.borrow_mut().start(now);
                }
            }
            self.expire_listen_keys(now / MS);
            if self.is_recording && self.hub.borrow().most_waiting() > self.config.high_water {
                self.wait_for_readers().await;
                continue;
            }
            self.pump(now);
            let next = self.next_wake();
            match next.map(|next| Duration::from_nanos(next.saturating_sub(self.now_ns()))) {
                Some(Duration::ZERO) => tokio::task::yield_now().await,
                Some(rest) => {
                    let _ = tokio::time::timeout(rest, self.wake.notified()).await;
                }
                None => self.wake.notified().await,
            }
        }
    }

    /// Hands out what the engine has to say up to `now`.
    fn pump(&self, now: u64) {
        // Past this, even what commands caused waits in the engine: a client that reads nothing is the only way to get here.
        if self.is_recording && self.hub.borrow().most_waiting() > self.config.outbox_limit {
            return;
        }
        self.exchange.borrow_mut().play(now);
        if !self.keep() {
            return;
        }
        let mut ending = None;
        self.exchange.borrow_mut().hand_out(&mut |output| {
            if let Output::Ended(how) = &output {
                ending = Some(how.clone());
            }
            self.hub.borrow_mut().deliver(output);
        });
        let best = |symbol: &str, levels: u32| {
            // In a recorded market a depth request may wait for playback, so partial depth is not offered there.
            if self.is_recording {
                return None;
            }
            match self.exchange.borrow_mut().depth(now, symbol, Some(levels)) {
                Ok(DepthReply::Ready(snapshot)) => Some(snapshot),
                _ => None,
            }
        };
        let mut hub = self.hub.borrow_mut();
        hub.push_due(now / MS, best);
        if hub.next_event().is_some() {
            hub.release_events(Some(Instant::now()));
        }
        hub.tell_second(now / MS, &self.exchange.borrow());
        drop(hub);
        if let Some(ending) = ending {
            note(&ending);
            if matches!(ending, Ending::BadLine { .. }) {
                (self.config.damaged)(&ending);
            }
        }
    }

    /// Writes what the exchange has done into the diary, if there is one; false: it could not, and nobody may hear of it.
    fn keep(&self) -> bool {
        if let Some(diary) = &mut *self.diary.borrow_mut()
            && let Err(error) = diary.keep(&mut self.exchange.borrow_mut())
        {
            self.break_off(error);
        }
        self.broken.borrow().is_none()
    }

    fn break_off(&self, why: anyhow::Error) {
        self.broken.borrow_mut().get_or_insert(why);
        self.wake.notify_one();
    }

    fn next_wake(&self) -> Option<u64> {
        let market = self.exchange.borrow().next_wake();
        let gathered = self.hub.borrow().next_due_ms().map(|due| due * MS);
        let second = self.hub.borrow().next_second_ms().map(|due| due * MS);
        let expiry = self.listen_keys.borrow().next_expiry_ms().map(|due| due * MS);
        let settled = match self.start.get() {
            Start::Settling { until_ns } => Some(until_ns),
            _ => None,
        };
        let held = self.hub.borrow().next_event().map(|due| {
            let rest = due.saturating_duration_since(Instant::now());
            self.now_ns() + rest.as_nanos() as u64
        });
        [market, gathered, expiry, settled, held, second].into_iter().flatten().min()
    }

    /// Playback's back-pressure. A reader that takes nothing at all for too long is cut, so that it cannot hold up the others for ever.
    async fn wait_for_readers(&self) {
        if tokio::time::timeout(Duration::from_secs(1), self.wake.notified()).await.is_ok() {
            return;
        }
        for connection in self.hub.borrow().connections() {
            let stuck = connection.outbox.bytes() > self.config.high_water;
            if stuck && connection.progress.get().elapsed() > self.config.stall_timeout {
                note(&format_args!(
                    "cutting a market connection that has read nothing for {:?}",
                    self.config.stall_timeout
                ));
                connection.outbox.cut();
            }
        }
    }

    /// The limit of a new connection's queue. A recording waits at `high_water` instead, so its queues are bounded by that and one burst.
    pub fn outbox_limit(&self) -> usize {
        if self.is_recording { usize::MAX } else { self.config.outbox_limit }
    }

    // -------------------------------------------------------------------------------------------- the end

    /// Tells every stream that the venue goes, and closes it.
    pub fn shut_down(&self) {
        self.shutting_down.set(true);
        let event = shapes::server_shutdown(self.now_ms());
        for connection in self.hub.borrow().connections() {
            if !connection.subscriptions.borrow().is_empty() {
                let wrapped = || format!("{{\"stream\":\"!serverShutdown\",\"data\":{event}}}");
                connection.outbox.text(if connection.combined.get() { wrapped() } else { event.clone() });
            }
            connection.outbox.close(CloseCode::Away, "venue shutting down");
        }
    }

    /// Why the venue could not go on, if so.
    pub fn take_broken(&self) -> Option<anyhow::Error> {
        self.broken.borrow_mut().take()
    }

    /// How the recording ended, if it has.
    pub fn ending(&self) -> Option<Ending> {
        self.hub.borrow().ended().cloned()
    }

    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down.get()
    }

    pub fn has_connections(&self) -> bool {
        self.hub.borrow().connections().next().is_some()
    }
}

enum Depth {
    Ready(DepthSnapshot),
    Later(oneshot::Receiver<DepthSnapshot>),
}

/// A line for whoever runs the venue. A closed stderr (the parent is gone) is no reason to fall over, as `eprintln` would.
pub fn note(what: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "linchpin-venue: {what}");
}

fn wall_ns(last: &Cell<u64>) -> u64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    last.set(wall.max(last.get()));
    last.get()
}
