//! Who listens to what: takes the engine's outputs in order and puts each on the connections that subscribed to it.
//!
//! Order on every socket is the engine's order. A message is made once per form (raw or combined) and shared. A recording's messages go out byte for byte.
//! Depth at 100, 250 and 500 ms is gathered here; the update ids still join without a gap.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::super::*;
use super::algos;
use super::faults::line::Line;
use super::faults::{Mischief, Target};
use super::json::array;
use super::outbox::Outbox;
use super::shapes::{self, Places};
use super::spot;
use super::streams::{Address, Feed, Subscription};
use super::tickers::{self, Day};

/// One WebSocket, as far as deliveries are concerned.
pub struct Connection {
    pub outbox: Outbox,
    pub address: Address,
    /// Whether events are wrapped as `{"stream":...,"data":...}`.
    pub combined: Cell<bool>,
    pub subscriptions: RefCell<Vec<Subscription>>,
    /// Private events that the client wants; empty: all (`&events=` of the private address).
    pub events: Vec<String>,
    /// When the writer last got a frame out.
    pub progress: Cell<Instant>,
    /// What the control endpoint can do to it, when there is one.
    pub line: Option<Arc<Line>>,
    /// What goes wrong with how many of the next depth updates.
    pub mischief: Cell<Option<(Mischief, u32)>>,
    /// A depth update that waits for the next one to go first.
    swapped: RefCell<Option<Utf8Bytes>>,
}

impl Connection {
    pub fn new(
        address: Address,
        combined: bool,
        events: Vec<String>,
        outbox_limit: usize,
        line: Option<Arc<Line>>,
    ) -> Rc<Connection> {
        Rc::new(Connection {
            outbox: Outbox::new(outbox_limit),
            address,
            combined: Cell::new(combined),
            subscriptions: RefCell::default(),
            events,
            progress: Cell::new(Instant::now()),
            line,
            mischief: Cell::new(None),
            swapped: RefCell::default(),
        })
    }

    pub fn has_market(&self) -> bool {
        self.subscriptions.borrow().iter().any(|subscription| subscription.feed.is_market())
    }

    pub fn is_private(&self) -> bool {
        self.subscriptions.borrow().iter().any(|subscription| matches!(subscription.feed, Feed::User { .. }))
    }

    pub fn line_number(&self) -> Option<u64> {
        self.line.as_ref().map(|line| line.number)
    }

    pub fn is_hit(&self, target: Target) -> bool {
        self.line.as_ref().is_some_and(|line| target.hits(line))
    }

    /// How much later than queued a message is to leave.
    pub fn lag(&self) -> Duration {
        self.line.as_ref().map_or(Duration::ZERO, |line| line.lag())
    }

    /// A depth update, unless it was ordered that something goes wrong with it.
    fn depth(&self, frame: Utf8Bytes) {
        let Some((what, left)) = self.mischief.get() else {
            self.outbox.text(frame);
            if let Some(late) = self.swapped.take() {
                self.outbox.text(late);
            }
            return;
        };
        self.mischief.set((left > 1).then_some((what, left - 1)));
        match what {
            Mischief::Skip => {}
            Mischief::Cut => self.outbox.text(frame.get(..frame.len() / 2).unwrap_or_default().to_owned()),
            Mischief::Double => {
                self.outbox.text(frame.clone());
                self.outbox.text(frame);
            }
            Mischief::Swap => match self.swapped.take() {
                None => *self.swapped.borrow_mut() = Some(frame),
                Some(late) => {
                    self.outbox.text(frame);
                    self.outbox.text(late);
                }
            },
        }
    }
}

pub struct Hub {
    connections: BTreeMap<u64, Rc<Connection>>,
    next_connection: u64,
    product: Product,
    places: BTreeMap<Symbol, Places>,
    gathering: BTreeMap<(Symbol, u32), Gathered>,
    depth_waiters: BTreeMap<DepthTicket, oneshot::Sender<DepthSnapshot>>,
    ended: Option<Ending>,
    /// Spot numbers its reports.
    execution_ids: u64,
    last_second: u64,
    event_delay: Duration,
    /// Private events whose time has not come yet, oldest first.
    held: VecDeque<Held>,
}

/// A private event that leaves later than it happened.
struct Held {
    due: Instant,
    account: AccountId,
    event: &'static str,
    text: String,
}

/// Depth changes since the last push of one speed.
struct Gathered {
    diff: DepthDiff,
    bids: BTreeMap<Decimal, Decimal>,
    asks: BTreeMap<Decimal, Decimal>,
    due_ms: u64,
}

/// The reason in the close frame (code 1001) behind a recording's last message.
pub const RECORDING_ENDED: &str = "recording ended";
/// The beginning of the reason in the close frame (code 1011) where a recording's line cannot be used; the line's number and what is wrong follow.
pub const RECORDING_DAMAGED: &str = "recording damaged";

impl Hub {
    pub fn new(specs: &[SymbolSpec]) -> Self {
        Self {
            connections: BTreeMap::new(),
            next_connection: 0,
            product: specs.first().map_or(Product::UsdmPerpetual, |spec| spec.product),
            execution_ids: 0,
            last_second: 0,
            places: specs.iter().map(|spec| (spec.symbol.clone(), Places::of(spec))).collect(),
            gathering: BTreeMap::new(),
            depth_waiters: BTreeMap::new(),
            ended: None,
            event_delay: Duration::ZERO,
            held: VecDeque::new(),
        }
    }

    pub fn join(&mut self, connection: Rc<Connection>) -> u64 {
        self.next_connection += 1;
        self.connections.insert(self.next_connection, connection);
        self.next_connection
    }

    pub fn leave(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }

    pub fn connections(&self) -> impl Iterator<Item = &Rc<Connection>> {
        self.connections.values()
    }

    /// The decimals of a symbol's texts; an unknown one's do not matter.
    pub fn places(&self, symbol: &str) -> Places {
        self.places.get(symbol).copied().unwrap_or(Places { price: 8, quantity: 8 })
    }

    pub fn known(&self, symbol: &str) -> Option<Symbol> {
        self.places.get_key_value(symbol).map(|(symbol, _)| symbol.clone())
    }

    pub fn await_depth(&mut self, ticket: DepthTicket) -> oneshot::Receiver<DepthSnapshot> {
        let (sender, receiver) = oneshot::channel();
        self.depth_waiters.retain(|_, waiter| !waiter.is_closed());
        self.depth_waiters.insert(ticket, sender);
        receiver
    }

    pub fn ended(&self) -> Option<&Ending> {
        self.ended.as_ref()
    }

    /// Bytes that wait for the slowest reader.
    pub fn most_waiting(&self) -> usize {
        self.connections.values().map(|connection| connection.outbox.bytes()).max().unwrap_or(0)
    }

    /// An output of the time before the venue was killed: it was told then, and only its number counts.
    pub fn relive(&mut self, output: &Output) {
        if matches!(output, Output::Order(..)) && self.product == Product::Spot {
            self.execution_ids += 1;
        }
    }

    /// Puts one output where it belongs.
    pub fn deliver(&mut self, output: Output) {
        match output {
            Output::Recorded(recorded) => self.recorded(&recorded),
            Output::Depth(diff) => {
                let text = || self.depth_text(&diff);
                self.market(&diff.symbol, |feed| feed == Feed::Depth { every_ms: 0 }, text);
                self.gather(diff);
            }
            Output::BookTicker(ticker) => {
                let text = || match self.product {
                    Product::UsdmPerpetual => shapes::book_ticker(&ticker, self.places(&ticker.symbol)),
                    Product::Spot => spot::shapes::book_ticker(&ticker),
                };
                let wanted = |feed| matches!(feed, Feed::BookTicker | Feed::AllBookTickers);
                self.market(&ticker.symbol, wanted, text);
            }
            Output::Trade(trade) => {
                let text = || match self.product {
                    Product::UsdmPerpetual => shapes::trade(&trade, self.places(&trade.symbol)),
                    Product::Spot => spot::shapes::trade(&trade),
                };
                self.market(&trade.symbol, |feed| feed == Feed::Trade, text);
            }
            Output::AggTrade(trade) => {
                let text = || match self.product {
                    Product::UsdmPerpetual => shapes::agg_trade(&trade, self.places(&trade.symbol)),
                    Product::Spot => spot::shapes::agg_trade(&trade),
                };
                self.market(&trade.symbol, |feed| feed == Feed::AggTrade, text);
            }
            Output::MarkPrice(mark) => {
                let second = mark.event_time_ms / 1000;
                let due =
                    |feed| matches!(feed, Feed::MarkPrice { every_s } if second % u64::from(every_s) == 0);
                self.market(&mark.symbol, due, || shapes::mark_price(&mark));
            }
            Output::Order(account, update) if self.product == Product::Spot => {
                self.execution_ids += 1;
                let text = spot::shapes::execution_report(&update, self.execution_ids);
                self.private(account, "executionReport", &text);
            }
            Output::Account(account, update) if self.product == Product::Spot => {
                self.private(account, "outboundAccountPosition", &spot::shapes::account_position(&update));
            }
            Output::Algo(account, algo) => {
                let places = self.places(&algo.order.symbol);
                let text = algos::event(&algo, algo.update_time_ms, places);
                self.private(account, "ALGO_UPDATE", &text);
            }
            Output::ForceOrder(order) => {
                let text = || shapes::force_order(&order, self.places(&order.symbol));
                let wanted = |feed| matches!(feed, Feed::ForceOrder | Feed::AllForceOrders);
                self.market(&order.symbol, wanted, text);
            }
            Output::Order(account, update) => {
                let places = self.places(&update.order.symbol);
                if update.execution == ExecutionType::Trade {
                    self.private(account, "TRADE_LITE", &shapes::trade_lite(&update, places));
                }
                self.private(account, "ORDER_TRADE_UPDATE", &shapes::order_update(&update, places));
            }
            Output::Account(account, update) => {
                let text = shapes::account_update(&update, |symbol| self.places(symbol));
                self.private(account, "ACCOUNT_UPDATE", &text);
            }
            Output::DepthReady(ticket, snapshot) => {
                if let Some(waiter) = self.depth_waiters.remove(&ticket) {
                    // The client that asked may have gone.
                    let _ = waiter.send(snapshot);
                }
            }
            Output::Ended(ending) => {
                self.ended = Some(ending);
                for connection in self.connections.values().filter(|connection| connection.has_market()) {
                    self.tell_end(connection);
                }
            }
        }
    }

    /// Closes a market connection if the recording is over, behind everything that is still to be written.
    pub fn tell_end(&self, connection: &Connection) {
        match &self.ended {
            None => {}
            Some(Ending::Complete { .. }) => connection.outbox.close(CloseCode::Away, RECORDING_ENDED),
            Some(Ending::BadLine { file, line, why }) => {
                let name = file.rsplit('/').next().unwrap_or(file);
                let mut reason = format!("{RECORDING_DAMAGED}: line {line} of {name}: {why}");
                let mut end = reason.len().min(123);
                while !reason.is_char_boundary(end) {
                    end -= 1;
                }
                reason.truncate(end);
                connection.outbox.close(CloseCode::Error, reason);
            }
        }
    }

    /// Private events leave this much later from now on.
    pub fn delay_events(&mut self, delay: Duration) {
        self.event_delay = delay;
        if delay.is_zero() {
            self.release_events(None);
        }
    }

    /// When the next held event leaves.
    pub fn next_event(&self) -> Option<Instant> {
        self.held.front().map(|held| held.due)
    }

    /// Lets held events go whose time has come; all of them without a time.
    pub fn release_events(&mut self, now: Option<Instant>) {
        while let Some(held) = self.held.pop_front_if(|held| now.is_none_or(|now| held.due <= now)) {
            self.tell(held.account, held.event, &held.text);
        }
    }

    /// Sends `text` (an event named `event`) to the account's private streams.
    pub fn private(&mut self, account: AccountId, event: &'static str, text: &str) {
        if self.event_delay.is_zero() {
            self.tell(account, event, text);
        } else {
            let due = Instant::now() + self.event_delay;
            self.held.push_back(Held { due, account, event, text: text.to_owned() });
        }
    }

    fn tell(&self, account: AccountId, event: &str, text: &str) {
        let feed = Feed::User { account: u32::from(account.0) };
        for connection in self.connections.values() {
            if !connection.events.is_empty() && !connection.events.iter().any(|wanted| wanted == event) {
                continue;
            }
            for subscription in connection.subscriptions.borrow().iter().filter(|found| found.feed == feed) {
                let framed = if connection.address == Address::Api {
                    format!("{{\"subscriptionId\":{},\"event\":{text}}}", subscription.name)
                } else if connection.combined.get() {
                    combined(&subscription.name, text)
                } else {
                    text.to_owned()
                };
                connection.outbox.text(framed);
            }
        }
    }

    /// The number of spot's next report.
    pub fn next_execution_id(&mut self) -> u64 {
        self.execution_ids += 1;
        self.execution_ids
    }

    fn depth_text(&self, diff: &DepthDiff) -> String {
        match self.product {
            Product::UsdmPerpetual => shapes::depth_update(diff, self.places(&diff.symbol)),
            Product::Spot => spot::shapes::depth_update(diff),
        }
    }

    /// The beginning of the next second, when somebody wants to be told by the second.
    pub fn next_second_ms(&self) -> Option<u64> {
        let mut wanted = self.connections.values().filter(|connection| {
            connection.subscriptions.borrow().iter().any(|found| found.feed.is_by_the_second())
        });
        wanted.next().map(|_| (self.last_second + 1) * 1000)
    }

    /// Candles and tickers, once a second.
    pub fn tell_second(&mut self, now_ms: u64, exchange: &Exchange) {
        if self.next_second_ms().is_none_or(|due| due > now_ms) {
            return;
        }
        self.last_second = now_ms / 1000;
        for connection in self.connections.values() {
            for subscription in connection.subscriptions.borrow().iter() {
                let Some(text) = self.second_of(subscription, now_ms, exchange) else { continue };
                let framed = match connection.combined.get() {
                    true => combined(&subscription.name, &text),
                    false => text,
                };
                connection.outbox.text(framed);
            }
        }
    }

    fn second_of(&self, subscription: &Subscription, now_ms: u64, exchange: &Exchange) -> Option<String> {
        let each = |text: &dyn Fn(&Day<'_>) -> String| {
            let all = exchange.symbols().iter().filter_map(|spec| exchange.instrument(&spec.symbol).ok());
            Some(array(all.map(|instrument| text(&Day::of(instrument, now_ms)))))
        };
        match subscription.feed {
            Feed::AllTickers => return each(&|day| day.event(self.product)),
            Feed::AllMiniTickers => return each(&|day| day.mini_event()),
            Feed::AllMarkPrices { every_s } if self.last_second.is_multiple_of(u64::from(every_s)) => {
                let marks = exchange
                    .symbols()
                    .iter()
                    .filter_map(|spec| exchange.mark_price(now_ms * 1_000_000, &spec.symbol).ok());
                return Some(array(marks.map(|mark| shapes::mark_price(&mark))));
            }
            _ => {}
        }
        let instrument = exchange.instrument(subscription.symbol.as_deref()?).ok()?;
        match subscription.feed {
            Feed::Ticker => Some(Day::of(instrument, now_ms).event(self.product)),
            Feed::MiniTicker => Some(Day::of(instrument, now_ms).mini_event()),
            Feed::Kline { interval } => {
                let length = tickers::length_ms(interval);
                let candles = instrument.candles(length / 60_000, now_ms.saturating_sub(length), now_ms);
                let places = Places::of(&instrument.spec);
                let symbol = &instrument.spec.symbol;
                candles.last().map(|candle| tickers::kline_event(symbol, candle, interval, now_ms, places))
            }
            _ => None,
        }
    }

    /// When gathered depth is to be pushed next.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.gathering.values().map(|gathered| gathered.due_ms).min()
    }

    /// Pushes the gathered depth whose time has come; `best` gives the top of a book.
    pub fn push_due(&mut self, now_ms: u64, mut best: impl FnMut(&str, u32) -> Option<DepthSnapshot>) {
        while let Some(key) =
            self.gathering.iter().find(|(_, gathered)| gathered.due_ms <= now_ms).map(|(key, _)| key.clone())
        {
            let Some(gathered) = self.gathering.remove(&key) else { return };
            let (symbol, every_ms) = key;
            let mut diff = gathered.diff;
            diff.bids = gathered.bids.into_iter().rev().collect();
            diff.asks = gathered.asks.into_iter().collect();
            self.market(&symbol, |feed| feed == Feed::Depth { every_ms }, || self.depth_text(&diff));
            for levels in [5, 10, 20] {
                let wanted = |feed| feed == Feed::PartialDepth { levels, every_ms };
                if !self.anyone(&symbol, wanted) {
                    continue;
                }
                let Some(snapshot) = best(&symbol, levels) else { continue };
                let top = DepthDiff { bids: snapshot.bids, asks: snapshot.asks, ..diff.clone() };
                self.market(&symbol, wanted, || match self.product {
                    Product::UsdmPerpetual => self.depth_text(&top),
                    Product::Spot => spot::shapes::partial_depth(&top),
                });
            }
        }
    }

    fn recorded(&self, recorded: &RecordedFrame) {
        let mut whole: Option<Utf8Bytes> = None;
        for connection in self.connections.values() {
            for subscription in connection.subscriptions.borrow().iter() {
                if !subscription.feed.takes(recorded.kind)
                    || subscription.symbol.as_ref() != Some(&recorded.symbol)
                {
                    continue;
                }
                if whole.is_none() {
                    // The recording's reader has parsed it as JSON, so it is text.
                    whole = Utf8Bytes::try_from(Bytes::from_owner(recorded.frame.clone())).ok();
                }
                let Some(whole) = &whole else { return };
                let data = || Bytes::from(whole.clone()).slice(recorded.data.clone());
                let frame = match connection.combined.get() {
                    true if *subscription.name == *recorded.stream => whole.clone(),
                    true => match std::str::from_utf8(&data()) {
                        Ok(data) => combined(&subscription.name, data).into(),
                        Err(_) => return,
                    },
                    false => match Utf8Bytes::try_from(data()) {
                        Ok(data) => data,
                        Err(_) => return,
                    },
                };
                if recorded.kind == StreamKind::Depth {
                    connection.depth(frame);
                } else {
                    connection.outbox.text(frame);
                }
            }
        }
    }

    fn market(&self, symbol: &Symbol, wanted: impl Fn(Feed) -> bool, text: impl FnOnce() -> String) {
        let mut text = Some(text);
        let mut raw: Option<Utf8Bytes> = None;
        for connection in self.connections.values() {
            for subscription in connection.subscriptions.borrow().iter() {
                let of_it = subscription.feed.is_of_all() || subscription.symbol.as_ref() == Some(symbol);
                if !wanted(subscription.feed) || !of_it {
                    continue;
                }
                if let Some(make) = text.take() {
                    raw = Some(make().into());
                }
                let Some(raw) = &raw else { return };
                let frame = if connection.combined.get() {
                    combined(&subscription.name, raw).into()
                } else {
                    raw.clone()
                };
                match subscription.feed {
                    Feed::Depth { .. } => connection.depth(frame),
                    _ => connection.outbox.text(frame),
                }
            }
        }
    }

    fn anyone(&self, symbol: &Symbol, wanted: impl Fn(Feed) -> bool) -> bool {
        self.connections.values().any(|connection| {
            let subscriptions = connection.subscriptions.borrow();
            subscriptions.iter().any(|found| wanted(found.feed) && found.symbol.as_ref() == Some(symbol))
        })
    }

    fn gather(&mut self, diff: DepthDiff) {
        for every_ms in [100, 250, 500, 1000] {
            let key = (diff.symbol.clone(), every_ms);
            let wanted = |feed| match feed {
                Feed::Depth { every_ms: at } | Feed::PartialDepth { every_ms: at, .. } => at == every_ms,
                _ => false,
            };
            if !self.gathering.contains_key(&key) && !self.anyone(&diff.symbol, wanted) {
                continue;
            }
            let interval = u64::from(every_ms);
            let gathered = self.gathering.entry(key).or_insert_with(|| Gathered {
                diff: DepthDiff { bids: Vec::new(), asks: Vec::new(), ..diff.clone() },
                bids: BTreeMap::new(),
                asks: BTreeMap::new(),
                due_ms: (diff.event_time_ms / interval + 1) * interval,
            });
            gathered.diff.last_update_id = diff.last_update_id;
            gathered.diff.event_time_ms = diff.event_time_ms;
            gathered.diff.transaction_time_ms = diff.transaction_time_ms;
            gathered.bids.extend(diff.bids.iter().copied());
            gathered.asks.extend(diff.asks.iter().copied());
        }
    }
}

fn combined(stream: &str, data: &str) -> String {
    let mut text = String::with_capacity(stream.len() + data.len() + 24);
    text.push_str("{\"stream\":\"");
    text.push_str(stream);
    text.push_str("\",\"data\":");
    text.push_str(data);
    text.push('}');
    text
}
