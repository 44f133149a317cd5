//! The venue without a network: the embedded venue's engine, its readers of requests and its shapes of answers, joined by
//! queues with seeded latency. It speaks the streams, the WebSocket API and the REST bodies that the engine uses.
//!
//! Promises: on one connection messages keep their order unless a fault says otherwise; what a broken connection had under
//! way towards the venue may have arrived or not, and what it had under way towards the engine is lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use linchpin::exchange::front::json::Object;
use linchpin::exchange::front::limits::LimitsConfig;
use linchpin::exchange::front::params::Params;
use linchpin::exchange::front::requests;
use linchpin::exchange::front::shapes::{self, OrderAnswer, Places, Version};
use linchpin::exchange::front::streams::{Address, Feed, Subscription};
use linchpin::exchange::{
    AccountId, AgentsConfig, ApiError, Command, Decimal, DepthReply, DepthSnapshot, Exchange, ExchangeConfig,
    ExecutionType, MarketConfig, Order, Output, Product, Reply, Symbol, UserTrade, Window,
};
use linchpin::net::websocket::{Closed, Phase, SendError};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dice::Dice;
use crate::faults::Faults;

/// The one account that trades here.
pub const ACCOUNT: AccountId = AccountId(1);

const MS: u64 = 1_000_000;

pub struct Venue {
    pub faults: Faults,
    pub counts: Counts,
    exchange: Exchange,
    dice: Dice,
    links: BTreeMap<u64, Link>,
    next_link: u64,
    key: Option<String>,
    keys: u64,
    now: u64,
    /// Every client order id that a place request ever brought.
    placed: BTreeSet<String>,
    /// What the venue saw that must never happen.
    pub outrages: Vec<String>,
    /// Headers of every REST answer from now on: a test's word about what was used.
    pub headers: Vec<(&'static str, &'static str)>,
}

/// What happened here, so that a test can say that its faults did happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub placed: u64,
    /// Texts that the order-entry sockets took.
    pub api_sent: u64,
    pub cancels: u64,
    pub modifies: u64,
    pub refused: u64,
    pub fills: u64,
    pub private_messages: u64,
    pub cuts: u64,
    pub doubled: u64,
    pub swapped: u64,
    pub late: u64,
    pub depth_lost: u64,
    pub answers_lost: u64,
    pub answers_unknown: u64,
    pub rest_reads: u64,
    pub rest_failed: u64,
    pub sockets_full: u64,
    pub half_written: u64,
    pub snapshots: u64,
    pub keys_expired: u64,
}

/// Towards the engine.
#[derive(Clone, Debug)]
pub enum Down {
    Text(String),
    End(Closed),
}

enum Door {
    Market(Address),
    Private { listens: bool },
    Api { logged_on: bool },
}

struct Link {
    door: Door,
    open_at: u64,
    subscriptions: Vec<Subscription>,
    /// With the time of arrival, in order.
    to_venue: VecDeque<(u64, String)>,
    to_engine: VecDeque<(u64, Down)>,
    /// The engine's end is gone.
    hung_up: bool,
    /// The venue's end is gone: nothing more is put on it, and nothing of it is read.
    cut: bool,
}

#[derive(Deserialize)]
struct ApiRequest<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    method: String,
    #[serde(borrow, default)]
    params: BTreeMap<String, &'a RawValue>,
}

impl Venue {
    pub fn new(dice: Dice, faults: Faults, actions_per_second: u32, now: u64) -> Self {
        let agents =
            AgentsConfig { seed: dice.fork("agents").throw(), actions_per_second, ..Default::default() };
        let config = ExchangeConfig { market: MarketConfig::Agents(agents), ..Default::default() };
        Self {
            faults,
            counts: Counts::default(),
            exchange: Exchange::new(config, now).expect("the default exchange stands"),
            dice: dice.fork("venue"),
            links: BTreeMap::new(),
            next_link: 0,
            key: None,
            keys: 0,
            now,
            placed: BTreeSet::new(),
            outrages: Vec::new(),
            headers: Vec::new(),
        }
    }

    // -------------------------------------------------------------------------------------------- time

    /// Everything that is due up to `now`, in the order of time.
    pub fn advance(&mut self, now: u64) {
        while let Some((at, link)) = self.next_event()
            && at <= now
        {
            self.now = self.now.max(at);
            match link {
                Some(link) => self.request_arrives(link),
                None => self.play(),
            }
        }
        self.now = self.now.max(now);
    }

    /// When something happens here, or arrives at the engine, next after `now`.
    pub fn next_due(&self, now: u64) -> Option<u64> {
        let arriving = self.links.values().filter(|link| !link.hung_up);
        let arriving =
            arriving.flat_map(|link| [Some(link.open_at), link.to_engine.front().map(|(at, _)| *at)]);
        let happening = self.next_event().map(|(at, _)| at);
        arriving.flatten().chain(happening).filter(|at| *at > now).min()
    }

    fn next_event(&self) -> Option<(u64, Option<u64>)> {
        let request = self
            .links
            .iter()
            .filter_map(|(number, link)| Some((link.to_venue.front()?.0, Some(*number))))
            .min();
        let market = self.exchange.next_wake().map(|at| (at, None));
        request.into_iter().chain(market).min()
    }

    fn play(&mut self) {
        let mut outputs = Vec::new();
        self.exchange.advance(self.now, &mut |output| outputs.push(output));
        for output in outputs {
            self.deliver(output);
        }
    }

    fn millis(&self) -> u64 {
        self.now / MS
    }

    // -------------------------------------------------------------------------------------------- connections

    /// A dial: the number of the new connection.
    pub fn accept(&mut self, path: &str, now: u64) -> u64 {
        self.now = self.now.max(now);
        let open_at = self.now + self.dice.between(200_000, 3 * MS);
        let mut to_engine = VecDeque::new();
        let door = match path {
            "/public/ws" => Door::Market(Address::Public),
            "/market/ws" => Door::Market(Address::Market),
            "/ws-fapi/v1" => Door::Api { logged_on: false },
            _ => {
                let key = path.strip_prefix("/private/ws?listenKey=").expect("a path that the dialect knows");
                let listens = self.key.as_deref() == Some(key);
                if !listens {
                    let refused = Closed::UpgradeRefused { status: 400, retry_after: None };
                    to_engine.push_back((open_at, Down::End(refused)));
                }
                Door::Private { listens }
            }
        };
        let (subscriptions, to_venue) = (Vec::new(), VecDeque::new());
        let link = Link { door, open_at, subscriptions, to_venue, to_engine, hung_up: false, cut: false };
        self.next_link += 1;
        self.links.insert(self.next_link, link);
        self.next_link
    }

    pub fn is_open(&self, link: u64, now: u64) -> bool {
        self.links.get(&link).is_some_and(|link| {
            let refused = matches!(link.door, Door::Private { listens: false });
            link.open_at <= now && !refused
        })
    }

    /// Takes a text of the engine. Returns when the socket has written all of it.
    pub fn send(&mut self, link: u64, text: &str, now: u64) -> Result<u64, SendError> {
        if self.dice.happens(self.faults.socket_full) {
            self.counts.sockets_full += 1;
            return Err(SendError::Full);
        }
        let mut flushed = now;
        if self.dice.happens(self.faults.half_written) {
            self.counts.half_written += 1;
            flushed += self.dice.below(2 * MS);
        }
        let arrives = flushed + self.latency();
        let link = self.links.get_mut(&link).expect("a socket has its link");
        if matches!(link.door, Door::Api { .. }) {
            self.counts.api_sent += 1;
        }
        if !link.cut {
            let after = link.to_venue.back().map_or(0, |(at, _)| *at);
            link.to_venue.push_back((arrives.max(after), text.to_owned()));
        }
        Ok(flushed)
    }

    /// The next message that has arrived at the engine.
    pub fn take(&mut self, link: u64, now: u64) -> Option<Down> {
        let waiting = &mut self.links.get_mut(&link)?.to_engine;
        if waiting.front().is_some_and(|(at, _)| *at <= now) {
            waiting.pop_front().map(|(_, down)| down)
        } else {
            None
        }
    }

    pub fn hang_up(&mut self, link: u64) {
        if let Some(found) = self.links.get_mut(&link) {
            found.hung_up = true;
            found.to_engine.clear();
        }
        self.sweep();
    }

    /// Breaks one connection, chosen by the dice: what is under way towards the engine is lost from some moment on, what is
    /// under way towards the venue may still arrive.
    pub fn cut_one(&mut self) {
        let alive: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| !link.cut && !link.hung_up)
            .map(|(number, _)| *number)
            .collect();
        if alive.is_empty() {
            return;
        }
        let chosen = alive[self.dice.below(alive.len() as u64) as usize];
        self.cut(chosen);
    }

    fn cut(&mut self, number: u64) {
        self.counts.cuts += 1;
        let arrived = self.dice.below(2) == 0;
        let noticed = self.now + self.dice.between(0, 200 * MS);
        let now = self.now;
        let Some(link) = self.links.get_mut(&number) else { return };
        link.cut = true;
        if !arrived {
            link.to_venue.clear();
        }
        link.to_engine.retain(|(at, _)| *at <= now);
        let phase = if link.open_at <= now { Phase::Open } else { Phase::Upgrade };
        link.to_engine.push_back((noticed, Down::End(Closed::Eof { phase })));
    }

    /// Breaks the order-entry connections, or the private ones, or all.
    pub fn cut_all(&mut self, which: fn(&str) -> bool) {
        let name = |link: &Link| match link.door {
            Door::Market(_) => "market",
            Door::Private { .. } => "private",
            Door::Api { .. } => "order entry",
        };
        let chosen: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| !link.cut && !link.hung_up && which(name(link)))
            .map(|(number, _)| *number)
            .collect();
        chosen.into_iter().for_each(|number| self.cut(number));
    }

    fn sweep(&mut self) {
        self.links.retain(|_, link| !(link.hung_up && link.to_venue.is_empty()));
    }

    fn latency(&mut self) -> u64 {
        30_000 + self.dice.below(200_000)
    }

    /// Puts a text on the wire to the engine, behind what is on it already.
    fn say(&mut self, number: u64, text: String, extra: u64) {
        let arrives = self.now + self.latency() + extra;
        let Some(link) = self.links.get_mut(&number) else { return };
        if link.cut || link.hung_up {
            return;
        }
        let after = link.to_engine.back().map_or(link.open_at, |(at, _)| *at);
        link.to_engine.push_back((arrives.max(after), Down::Text(text)));
    }

    // -------------------------------------------------------------------------------------------- streams

    fn deliver(&mut self, output: Output) {
        match output {
            Output::Depth(diff) => {
                if self.dice.happens(self.faults.depth_lost) {
                    self.counts.depth_lost += 1;
                    return;
                }
                let text = shapes::depth_update(&diff, self.places(&diff.symbol));
                self.publish(&diff.symbol, Feed::Depth { every_ms: 0 }, &text);
            }
            Output::BookTicker(ticker) => {
                let text = shapes::book_ticker(&ticker, self.places(&ticker.symbol));
                self.publish(&ticker.symbol, Feed::BookTicker, &text);
            }
            Output::Trade(trade) => {
                let text = shapes::trade(&trade, self.places(&trade.symbol));
                self.publish(&trade.symbol, Feed::Trade, &text);
            }
            Output::AggTrade(trade) => {
                let text = shapes::agg_trade(&trade, self.places(&trade.symbol));
                self.publish(&trade.symbol, Feed::AggTrade, &text);
            }
            Output::Order(account, update) => {
                debug_assert_eq!(account, ACCOUNT);
                let places = self.places(&update.order.symbol);
                if update.execution == ExecutionType::Trade {
                    self.counts.fills += 1;
                    self.tell_account(shapes::trade_lite(&update, places));
                }
                self.tell_account(shapes::order_update(&update, places));
            }
            Output::Account(_, update) => {
                let text = shapes::account_update(&update, |symbol| self.places(symbol));
                self.tell_account(text);
            }
            Output::MarkPrice(_)
            | Output::Recorded(_)
            | Output::DepthReady(..)
            | Output::Ended(_)
            | Output::Algo(..)
            | Output::ForceOrder(_) => {}
        }
    }

    fn publish(&mut self, symbol: &Symbol, feed: Feed, text: &str) {
        let takers: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| {
                link.subscriptions
                    .iter()
                    .any(|found| found.feed == feed && found.symbol.as_ref() == Some(symbol))
            })
            .map(|(number, _)| *number)
            .collect();
        takers.into_iter().for_each(|number| self.say(number, text.to_owned(), 0));
    }

    fn tell_account(&mut self, text: String) {
        self.counts.private_messages += 1;
        let listening: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| matches!(link.door, Door::Private { listens: true }))
            .map(|(number, _)| *number)
            .collect();
        for number in listening {
            let mut extra = 0;
            if self.dice.happens(self.faults.private_late) {
                self.counts.late += 1;
                extra = self.dice.below(300 * MS);
            }
            self.say(number, text.clone(), extra);
            if self.dice.happens(self.faults.private_doubled) {
                self.counts.doubled += 1;
                self.say(number, text.clone(), 0);
            }
            if self.dice.happens(self.faults.private_swapped) {
                self.swap_last_two(number);
            }
        }
    }

    /// The two newest messages change places, where they are of different kinds.
    fn swap_last_two(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let length = link.to_engine.len();
        let Some(before) = length.checked_sub(2) else { return };
        let kind = |down: &Down| match down {
            Down::Text(text) => text.split('"').nth(3).map(str::to_owned),
            Down::End(_) => None,
        };
        let (one, other) = (kind(&link.to_engine[before].1), kind(&link.to_engine[length - 1].1));
        if one.is_none() || other.is_none() || one == other {
            return;
        }
        let first = link.to_engine[before].1.clone();
        link.to_engine[before].1 = std::mem::replace(&mut link.to_engine[length - 1].1, first);
        self.counts.swapped += 1;
    }

    /// The listen key ends, as it does after an hour without a renewal.
    pub fn expire_key(&mut self) {
        let Some(key) = self.key.take() else { return };
        self.counts.keys_expired += 1;
        let text = shapes::listen_key_expired(self.millis(), &key);
        let listening: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| matches!(link.door, Door::Private { listens: true }))
            .map(|(number, _)| *number)
            .collect();
        for number in listening {
            self.say(number, text.clone(), 0);
            if let Some(link) = self.links.get_mut(&number) {
                link.door = Door::Private { listens: false };
            }
        }
    }

    // -------------------------------------------------------------------------------------------- requests

    fn request_arrives(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let Some((_, text)) = link.to_venue.pop_front() else { return };
        match link.door {
            Door::Market(address) => self.subscribe(number, address, &text),
            Door::Api { logged_on } => self.api(number, logged_on, &text),
            Door::Private { .. } => {
                self.outrages.push(format!("the engine wrote on the private stream: {text}"))
            }
        }
        self.sweep();
    }

    fn subscribe(&mut self, number: u64, address: Address, text: &str) {
        #[derive(Deserialize)]
        struct Subscribe {
            method: String,
            params: Vec<String>,
            id: u64,
        }
        let wanted: Subscribe = serde_json::from_str(text).expect("a subscription");
        assert_eq!(wanted.method, "SUBSCRIBE");
        let known: Vec<Symbol> = self.exchange.symbols().iter().map(|spec| spec.symbol.clone()).collect();
        let find = |symbol: &str| known.iter().find(|known| &***known == symbol).cloned();
        let streams =
            wanted.params.iter().map(|name| Subscription::read(name, address, Product::UsdmPerpetual, find));
        let streams: Vec<Subscription> = streams.collect();
        if let Some(link) = self.links.get_mut(&number) {
            link.subscriptions.extend(streams);
        }
        let answer = Object::new().plain("result", "null").plain("id", wanted.id).close();
        self.say(number, answer, 0);
    }

    fn api(&mut self, number: u64, logged_on: bool, text: &str) {
        let request: ApiRequest<'_> = serde_json::from_str(text).expect("a request of the WebSocket API");
        let id = request.id.get().to_owned();
        if request.method == "session.logon" {
            if let Some(link) = self.links.get_mut(&number) {
                link.door = Door::Api { logged_on: true };
            }
            let session = Object::new().plain("serverTime", self.millis()).close();
            let answer = Object::new().plain("id", id).plain("status", 200).plain("result", session).close();
            return self.say(number, answer, 0);
        }
        if !logged_on {
            self.outrages.push(format!("an order before the logon: {text}"));
        }
        let result = if self.dice.happens(self.faults.time_refused) {
            Err(ApiError::OUTSIDE_RECV_WINDOW)
        } else {
            Params::from_object(&request.params)
                .and_then(|(params, _)| self.carry_out_order(&request.method, &params))
        };
        if self.dice.happens(self.faults.answer_lost) {
            self.counts.answers_lost += 1;
            return;
        }
        let result = if self.dice.happens(self.faults.answer_unknown) {
            self.counts.answers_unknown += 1;
            Err(ApiError::TIMEOUT)
        } else {
            result
        };
        let answer = Object::with_capacity(768).plain("id", id);
        let answer = match result {
            Ok(order) => answer.plain("status", 200).plain("result", order),
            Err(refusal) => {
                let status = if refusal.code == ApiError::TIMEOUT.code { 408 } else { 400 };
                self.counts.refused += 1;
                answer.plain("status", status).plain("error", shapes::error(&refusal))
            }
        };
        self.say(number, answer.close(), 0);
    }

    fn carry_out_order(&mut self, method: &str, params: &Params) -> Result<String, ApiError> {
        let (command, how) = match method {
            "order.place" => {
                self.counts.placed += 1;
                let id = params.mandatory("newClientOrderId")?;
                if !self.placed.insert(id.to_owned()) {
                    self.outrages.push(format!("order {id} was sent twice"));
                }
                requests::place(params)?
            }
            "order.modify" => {
                self.counts.modifies += 1;
                (requests::modify(params)?, OrderAnswer::Modified)
            }
            "order.cancel" => {
                self.counts.cancels += 1;
                (requests::cancel(params)?, OrderAnswer::Canceled)
            }
            other => {
                self.outrages.push(format!("method {other}"));
                return Err(ApiError::UNSUPPORTED_OPERATION);
            }
        };
        match self.exchange.execute(self.now, ACCOUNT, command)? {
            Reply::Order(order) => Ok(shapes::order(&order, self.places(&order.symbol), how)),
            other => panic!("an order command was answered with {other:?}"),
        }
    }

    // -------------------------------------------------------------------------------------------- REST

    /// How long a read takes there and back. Kept here so that one seed moves all of it.
    pub fn rest_latency(&mut self) -> (u64, u64) {
        (self.dice.between(100_000, MS), self.dice.between(100_000, MS))
    }

    /// The body of an answer or of a refusal that the exchange words, or the status of a failure.
    pub fn rest(&mut self, method: &str, target: &str) -> Result<String, u16> {
        self.counts.rest_reads += 1;
        if self.dice.happens(self.faults.rest_failed) {
            self.counts.rest_failed += 1;
            return Err(503);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let answer = Params::from_http(query, "").and_then(|(params, _)| self.read(method, path, &params));
        Ok(answer.unwrap_or_else(|refusal| shapes::error(&refusal)))
    }

    fn read(&mut self, method: &str, path: &str, params: &Params) -> Result<String, ApiError> {
        match (method, path) {
            ("GET", "/fapi/v1/time") => Ok(Object::new().plain("serverTime", self.millis()).close()),
            ("GET", "/fapi/v1/exchangeInfo") => {
                let limits = LimitsConfig::default();
                Ok(shapes::exchange_information(self.millis(), &limits, self.exchange.symbols()))
            }
            ("GET", "/fapi/v1/depth") => {
                self.counts.snapshots += 1;
                let symbol = requests::symbol(params)?;
                let limit = params.integer("limit")?.map(|limit| limit as u32);
                match self.exchange.depth(self.now, &symbol, limit)? {
                    DepthReply::Ready(snapshot) => Ok(shapes::depth(&snapshot, self.places(&symbol))),
                    DepthReply::Pending(_) => panic!("agents' depth is there at once"),
                }
            }
            ("POST", "/fapi/v1/listenKey") => {
                if self.key.is_none() {
                    self.keys += 1;
                    self.key = Some(format!("simulatedkey{:04}", self.keys));
                }
                Ok(Object::new().text("listenKey", self.key.as_deref().unwrap_or("")).close())
            }
            ("PUT", "/fapi/v1/listenKey") => match &self.key {
                Some(key) => Ok(Object::new().text("listenKey", key).close()),
                None => Err(ApiError::INVALID_LISTEN_KEY),
            },
            ("GET", "/fapi/v3/account") => match self.ask(Command::Account)? {
                Reply::Account(account) => {
                    Ok(shapes::account(&account, Version::V3, |symbol| self.places(symbol)))
                }
                other => panic!("account: {other:?}"),
            },
            ("GET", "/fapi/v3/positionRisk") => match self.ask(requests::position_risk(params)?)? {
                Reply::Positions(positions) => {
                    Ok(shapes::positions(&positions, Version::V3, |symbol| self.places(symbol)))
                }
                other => panic!("positions: {other:?}"),
            },
            ("GET", "/fapi/v1/openOrders") => match self.ask(requests::open_orders(params)?)? {
                Reply::Orders(orders) => {
                    let shape = |order: &Order| {
                        shapes::order(order, self.places(&order.symbol), OrderAnswer::Queried)
                    };
                    Ok(linchpin::exchange::front::json::array(orders.iter().map(shape)))
                }
                other => panic!("open orders: {other:?}"),
            },
            ("GET", "/fapi/v1/order") => match self.ask(requests::query_order(params)?)? {
                Reply::Order(order) => {
                    Ok(shapes::order(&order, self.places(&order.symbol), OrderAnswer::Queried))
                }
                other => panic!("order: {other:?}"),
            },
            ("GET", "/fapi/v1/userTrades") => match self.ask(requests::user_trades(params)?)? {
                Reply::Trades(trades) => {
                    let shape = |trade: &UserTrade| shapes::user_trade(trade, self.places(&trade.symbol));
                    Ok(linchpin::exchange::front::json::array(trades.iter().map(shape)))
                }
                other => panic!("trades: {other:?}"),
            },
            // Nobody places conditional orders here, so none waits and none is known.
            ("GET", "/fapi/v1/openAlgoOrders") => Ok("[]".into()),
            ("GET", "/fapi/v1/algoOrder") => Err(ApiError::NO_SUCH_ORDER),
            _ => panic!("the engine asked {method} {path}, which the simulated venue does not serve"),
        }
    }

    fn ask(&mut self, command: Command) -> Result<Reply, ApiError> {
        self.exchange.execute(self.now, ACCOUNT, command)
    }

    fn places(&self, symbol: &str) -> Places {
        let spec = self.exchange.symbols().iter().find(|spec| &*spec.symbol == symbol);
        spec.map_or(Places { price: 8, quantity: 8 }, Places::of)
    }

    // -------------------------------------------------------------------------------------------- the truth

    /// Every client order id that a place request brought.
    pub fn placed_ids(&self) -> &BTreeSet<String> {
        &self.placed
    }

    /// What the account holds of a symbol, by the venue's own books.
    pub fn position(&mut self, symbol: &str) -> Decimal {
        match self.ask(Command::PositionRisk { symbol: Some(symbol.into()) }) {
            Ok(Reply::Positions(rows)) => rows.iter().fold(Decimal::ZERO, |sum, row| sum + row.quantity),
            other => panic!("position: {other:?}"),
        }
    }

    /// What the account has paid for its trades of a symbol.
    pub fn fees(&mut self, symbol: &str) -> Decimal {
        self.trades(symbol).iter().map(|trade| trade.commission).sum()
    }

    pub fn open_orders(&mut self) -> Vec<Order> {
        match self.ask(Command::OpenOrders { symbol: None }) {
            Ok(Reply::Orders(orders)) => orders,
            other => panic!("open orders: {other:?}"),
        }
    }

    /// The account's fills, oldest first.
    pub fn trades(&mut self, symbol: &str) -> Vec<UserTrade> {
        let mut all: Vec<UserTrade> = Vec::new();
        loop {
            let from_id = Some(all.last().map_or(0, |trade| trade.trade_id + 1));
            let window = Window { from_id, limit: Some(1000), ..Window::default() };
            match self.ask(Command::UserTrades { symbol: symbol.into(), order_id: None, window }) {
                Ok(Reply::Trades(page)) if page.is_empty() => return all,
                Ok(Reply::Trades(page)) => all.extend(page),
                other => panic!("trades: {other:?}"),
            }
        }
    }

    /// The venue's whole book of a symbol, best first.
    pub fn book(&mut self, symbol: &str) -> DepthSnapshot {
        match self.exchange.depth(self.now, symbol, Some(1000)) {
            Ok(DepthReply::Ready(snapshot)) => snapshot,
            other => panic!("depth: {other:?}"),
        }
    }
}
