//! The venue itself: one value that holds instruments, orders, money and market, and steps through time as it is told.
//!
//! Time only moves by the `now` of a call. Commands see the agents' market as of their own `now`; a recorded market stands where the last
//! [`advance`](Exchange::advance) left it, because how far it got depends on who waited for whom.

use super::api::*;
use super::decimal::Decimal;
use super::error::{ApiError, SetupError};
use super::instrument::{Instrument, Liquidity};
use super::ledger::Ledger;
use super::market::Market;
use super::moves::Move;
use super::orders::{Orders, SymbolIndex};
use super::purses::Purses;
use super::triggers::{Algos, Triggers};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const NS_PER_MS: u64 = 1_000_000;
/// Events of the agents' market that one call plays; what is left makes the venue due at once.
const STEPS_PER_CALL: usize = 4_096;
/// Triggers and liquidations that one step may cause, before the rest waits for the next one.
const MOST_CONSEQUENCES: usize = 1_000;
/// A longer absence than this is not made up for: the market goes on from the end of the gap.
const LONGEST_CATCH_UP_NS: u64 = 60_000_000_000;

/// A whole exchange, as a value.
pub struct Exchange {
    pub(super) config: ExchangeConfig,
    pub(super) instruments: Vec<Instrument>,
    pub(super) orders: Orders,
    pub(super) trades: BTreeMap<AccountId, VecDeque<UserTrade>>,
    /// Money of USD-M accounts.
    pub(super) ledger: Ledger,
    /// Assets of spot accounts.
    pub(super) purses: Purses,
    pub(super) triggers: Triggers,
    pub(super) algos: Algos,
    pub(super) incomes: BTreeMap<AccountId, VecDeque<Income>>,
    pub(super) last_transaction_id: u64,
    pub(super) last_prevented_match: u64,
    pub(super) market: Market,
    /// When all orders of an account and symbol are cancelled unless it says that it lives (ms).
    pub(super) countdowns: BTreeMap<(AccountId, SymbolIndex), u64>,
    /// `GTD` orders and algos by the millisecond in which they end.
    pub(super) expiries: BTreeSet<(u64, u64)>,
    pub(super) outbox: Vec<Output>,
    /// Where they are kept, the moves that nobody has taken yet.
    pub(super) moves: Option<Vec<Move>>,
    next_mark_ns: u64,
    next_funding_ms: u64,
    now_ns: u64,
}

impl Exchange {
    /// A venue whose market begins at `now` (ns); a recording's first file is opened here, so that a missing one is told at once.
    pub fn new(config: ExchangeConfig, now: u64) -> Result<Exchange, SetupError> {
        check(&config)?;
        let max_leverage: Vec<u32> = config.symbols.iter().map(|spec| spec.max_leverage).collect();
        let recorded = matches!(config.market, MarketConfig::Recording(_));
        let instruments = config
            .symbols
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                let liquidity = if recorded {
                    Liquidity::Recorded(Default::default())
                } else {
                    Liquidity::Book(Default::default())
                };
                Instrument::new(SymbolIndex(index), spec.clone(), liquidity)
            })
            .collect();
        let mut exchange = Exchange {
            instruments,
            orders: Orders::new(config.history_limit),
            trades: BTreeMap::new(),
            ledger: Ledger::new(&config.accounts, &max_leverage),
            purses: Purses::new(&config.accounts, &config.symbols[0].quote_asset),
            triggers: Triggers::default(),
            algos: Algos::default(),
            incomes: BTreeMap::new(),
            last_transaction_id: 0,
            last_prevented_match: 0,
            countdowns: BTreeMap::new(),
            market: Market::new(&config, now)?,
            expiries: BTreeSet::new(),
            outbox: Vec::new(),
            moves: None,
            next_mark_ns: now,
            next_funding_ms: next_multiple(now / NS_PER_MS, config.funding_interval_ms),
            now_ns: now,
            config,
        };
        exchange.open_agents();
        Ok(exchange)
    }

    /// Carries out one request of `account`, in full, before it returns. What others see of it waits for [`advance`](Self::advance).
    pub fn execute(&mut self, now: u64, account: AccountId, command: Command) -> Result<Reply, ApiError> {
        if !self.has_account(account) {
            return Err(ApiError::REJECTED_API_KEY);
        }
        if self.market.is_recording() {
            self.set_clock(now);
        } else {
            self.play(now);
        }
        if command.changes_something() {
            let at_ns = self.now_ns;
            self.moved(|| Move::Commanded { at_ns, account, command: command.clone() });
        }
        self.obey(account, command)
    }

    /// The command and what follows from it, at the clock's time.
    pub(super) fn obey(&mut self, account: AccountId, command: Command) -> Result<Reply, ApiError> {
        let reply = self.carry_out_command(account, command);
        self.consequences();
        reply
    }

    fn carry_out_command(&mut self, account: AccountId, command: Command) -> Result<Reply, ApiError> {
        match command {
            Command::Place(new) => self.place(account, new).map(Reply::Order),
            Command::Test(new) => self.admit(account, &new).map(|_| Reply::Checked),
            Command::Modify(modify) => self.modify(account, modify).map(Reply::Order),
            Command::Cancel { symbol, order, name } => {
                self.cancel(account, &symbol, &order, name).map(Reply::Order)
            }
            Command::Amend { symbol, order, quantity, name } => {
                self.amend(account, &symbol, &order, quantity, name).map(Reply::Order)
            }
            Command::PlaceAlgo(new) => self.place_algo(account, new).map(Reply::Algo),
            Command::CancelAlgo { algo } => self.cancel_algo(account, &algo).map(Reply::Algo),
            Command::CancelAllAlgos { symbol } => {
                self.cancel_all_algos(account, &symbol).map(|()| Reply::CanceledAll)
            }
            Command::CountdownCancelAll { symbol, after_ms } => self.count_down(account, &symbol, after_ms),
            Command::CancelAll { symbol } => self.cancel_all(account, &symbol).map(|()| Reply::CanceledAll),
            Command::SetLeverage { symbol, leverage } => self.set_leverage(account, &symbol, leverage),
            Command::SetPositionMode { dual } => self.set_position_mode(account, dual),
            query => self.answer(account, query),
        }
    }

    /// The public book, `limit` levels a side (5, 10, 20, 50, 100, 500, 1000; `None`: 500).
    pub fn depth(&mut self, now: u64, symbol: &str, limit: Option<u32>) -> Result<DepthReply, ApiError> {
        let symbol = self.index_of(symbol)?;
        let limit = limit.unwrap_or(500);
        if !self.is_spot() && ![5, 10, 20, 50, 100, 500, 1000].contains(&limit) {
            return Err(ApiError::depth_limit_invalid(limit));
        }
        if !self.market.is_recording() {
            self.play(now);
        }
        self.set_clock(now);
        if let Market::Recording(playback) = &mut self.market
            && let Some(ticket) = playback.hold_depth(symbol, limit as usize, now)
        {
            return Ok(DepthReply::Pending(ticket));
        }
        Ok(DepthReply::Ready(self.instruments[symbol.0].snapshot(limit as usize, self.now_ms())))
    }

    /// Best bid and ask of one symbol.
    pub fn book_ticker(&self, now: u64, symbol: &str) -> Result<BookTicker, ApiError> {
        Ok(self.instruments[self.index_of(symbol)?.0].book_ticker(now / NS_PER_MS))
    }

    /// Mark price of one symbol (`premiumIndex`).
    pub fn mark_price(&self, now: u64, symbol: &str) -> Result<MarkPrice, ApiError> {
        let instrument = &self.instruments[self.index_of(symbol)?.0];
        Ok(self.mark_price_of(instrument, now / NS_PER_MS))
    }

    fn mark_price_of(&self, instrument: &Instrument, now_ms: u64) -> MarkPrice {
        let mark = instrument.mark();
        MarkPrice {
            symbol: instrument.spec.symbol.clone(),
            event_time_ms: now_ms,
            mark_price: mark,
            index_price: mark,
            funding_rate: self.config.funding_rate,
            next_funding_time_ms: self.next_funding_ms,
        }
    }

    /// What is remembered of one symbol's public past, for tickers, candles and fundings.
    pub fn instrument(&self, symbol: &str) -> Result<&Instrument, ApiError> {
        Ok(&self.instruments[self.index_of(symbol)?.0])
    }

    /// Positions of all clients of one symbol, long side (`openInterest`).
    pub fn open_interest(&self, symbol: &str) -> Result<Decimal, ApiError> {
        let symbol = self.index_of(symbol)?;
        let long = |account: AccountId| -> Decimal {
            let wallet = self.ledger.wallet(account);
            wallet.sides().iter().map(|side| wallet.holding(symbol, *side).quantity.max(Decimal::ZERO)).sum()
        };
        Ok(self.clients().map(long).sum())
    }

    /// The latest public trades of one symbol, oldest first, at most `limit` (1000).
    pub fn recent_trades(&self, symbol: &str, limit: u32) -> Result<Vec<PublicTrade>, ApiError> {
        let recent = &self.instruments[self.index_of(symbol)?.0].tape.recent;
        let skip = recent.len().saturating_sub(limit as usize);
        Ok(recent.iter().skip(skip).cloned().collect())
    }

    /// The instruments, in configured order: the substance of `exchangeInfo`.
    pub fn symbols(&self) -> &[SymbolSpec] {
        &self.config.symbols
    }

    /// Whether `account` is one that can send commands.
    pub fn has_account(&self, account: AccountId) -> bool {
        account != AccountId::HOUSE && self.ledger.has(account)
    }

    /// Lets a recording begin at `now`; later calls change nothing. Agents need no start.
    pub fn start(&mut self, now: u64) {
        self.set_clock(now);
        if let Market::Recording(playback) = &mut self.market {
            playback.start(now);
        }
    }

    /// Hands out what is queued, then plays the market up to `now`, in order. `now` must not run backwards (an earlier one counts as the latest).
    pub fn advance(&mut self, now: u64, sink: &mut dyn FnMut(Output)) {
        self.play(now);
        self.hand_out(sink);
    }

    /// Hands out what is queued, and plays nothing.
    pub fn hand_out(&mut self, sink: &mut dyn FnMut(Output)) {
        for output in self.outbox.drain(..) {
            sink(output);
        }
    }

    /// When `advance` has something to do next: `Some(now or earlier)` means at once, `None` means only after a command or a `start`.
    pub fn next_wake(&self) -> Option<u64> {
        if !self.outbox.is_empty() {
            return Some(self.now_ns);
        }
        self.next_due().map(|(due, _)| due)
    }

    // -------------------------------------------------------------------------------------------- time

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ns / NS_PER_MS
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    pub(super) fn set_clock(&mut self, now: u64) {
        self.now_ns = self.now_ns.max(now);
    }

    /// Everything that is due up to `now`, earliest first; queues what others see of it.
    pub fn play(&mut self, now: u64) {
        let now = now.max(self.now_ns);
        if now - self.now_ns > LONGEST_CATCH_UP_NS {
            self.go_on(now);
        }
        let burst = match &self.market {
            Market::Recording(playback) => playback.burst(),
            Market::Quiet | Market::Agents(_) => STEPS_PER_CALL,
        };
        let mut budget = burst;
        while budget > 0
            && let Some((due, what)) = self.next_due()
            && due <= now
        {
            self.play_one(due, what, now);
            budget -= 1;
        }
        if budget < burst {
            self.moved(|| Move::Played((burst - budget) as u32));
        }
        if budget > 0 {
            self.set_clock(now);
            // A funding that concerned nobody is over; the next one counts.
            if self.next_funding_ms <= self.now_ms() {
                self.next_funding_ms = next_multiple(self.now_ms(), self.config.funding_interval_ms);
            }
        }
    }

    /// One thing that is due at `due`, and what follows from it. `now`: up to when is being played.
    pub(super) fn play_one(&mut self, due: u64, what: Due, now: u64) {
        self.set_clock(due);
        match what {
            Due::Expiry => self.expire_next(),
            Due::Countdown => self.countdown_over(),
            Due::Funding => {
                self.fund();
                self.next_funding_ms =
                    next_multiple(self.now_ms().max(self.next_funding_ms), self.config.funding_interval_ms);
            }
            Due::Mark => self.publish_marks(now),
            Due::Market => self.step_market(),
        }
        self.consequences();
    }

    /// The market goes on at `now`: what it would have done since its last moment does not happen.
    pub fn go_on(&mut self, now: u64) {
        self.market.skip_to(now);
        self.next_mark_ns = self.next_mark_ns.max(now);
        self.moved(|| Move::WentOn(now));
    }

    pub(super) fn next_due(&self) -> Option<(u64, Due)> {
        let expiry = self.expiries.first().map(|(ms, _)| (ms.saturating_mul(NS_PER_MS), Due::Expiry));
        let countdown =
            self.countdowns.values().min().map(|ms| (ms.saturating_mul(NS_PER_MS), Due::Countdown));
        let funding =
            self.has_funding().then_some((self.next_funding_ms.saturating_mul(NS_PER_MS), Due::Funding));
        let marks = !self.is_spot() && !matches!(self.market, Market::Quiet) && !self.market.has_ended();
        let mark = marks.then_some((self.next_mark_ns, Due::Mark));
        let market = self.market.next_due(self.now_ns).map(|due| (due, Due::Market));
        [expiry, countdown, funding, mark, market].into_iter().flatten().min()
    }

    fn expire_next(&mut self) {
        let Some((_, order_id)) = self.expiries.pop_first() else { return };
        if self.find_waiting_algo(order_id) {
            self.end_algo(order_id, AlgoStatus::Expired);
            return;
        }
        if let Some(order) = self.orders.by_id(order_id)
            && let Some(symbol) = self.symbol_index(&order.symbol)
        {
            self.expire_unfilled(order_id);
            self.publish(symbol);
        }
    }

    /// Fundings happen while the market lives, or while a client holds something.
    fn has_funding(&self) -> bool {
        !self.is_spot()
            && self.config.funding_interval_ms > 0
            && !self.market.has_ended()
            && (matches!(self.market, Market::Agents(_))
                || self.clients().any(|account| !self.ledger.wallet(account).is_flat()))
    }

    /// Every order of the account and symbol whose clock has run out.
    fn countdown_over(&mut self) {
        let now_ms = self.now_ms();
        let over = self.countdowns.iter().find(|(_, due)| **due <= now_ms).map(|(key, _)| *key);
        if let Some((account, symbol)) = over {
            self.countdowns.remove(&(account, symbol));
            let name = self.instruments[symbol.0].spec.symbol.clone();
            let _ = self.cancel_all(account, &name);
        }
    }

    fn count_down(&mut self, account: AccountId, symbol: &str, after_ms: u64) -> Result<Reply, ApiError> {
        let symbol = self.index_of(symbol)?;
        let due = self.now_ms().saturating_add(after_ms);
        match after_ms {
            0 => drop(self.countdowns.remove(&(account, symbol))),
            _ => drop(self.countdowns.insert((account, symbol), due)),
        }
        Ok(Reply::Countdown { symbol: self.instruments[symbol.0].spec.symbol.clone(), after_ms })
    }

    /// What a step of the market, or of a client, makes happen: triggers, then liquidations, until nothing is due.
    fn consequences(&mut self) {
        for _ in 0..MOST_CONSEQUENCES {
            let fired = self.fire_one_trigger();
            if !fired && (self.is_spot() || !self.liquidate_one()) {
                return;
            }
        }
    }

    pub(super) fn is_spot(&self) -> bool {
        self.config.product() == Product::Spot
    }

    /// Everybody but the house.
    pub(super) fn clients(&self) -> impl Iterator<Item = AccountId> + use<> {
        self.ledger.accounts().skip(1)
    }

    fn publish_marks(&mut self, now: u64) {
        for instrument in &self.instruments {
            if !matches!(&instrument.liquidity, Liquidity::Recorded(recorded) if recorded.recorded_mark.is_some())
            {
                let mark = self.mark_price_of(instrument, self.now_ms());
                self.outbox.push(Output::MarkPrice(mark));
            }
        }
        // A recording at full speed is not asked to print every second of a gap.
        let interval = self.config.mark_price_interval_ns.max(NS_PER_MS);
        self.next_mark_ns += interval;
        if now.saturating_sub(self.next_mark_ns) > LONGEST_CATCH_UP_NS {
            self.next_mark_ns = now;
        }
    }

    /// The public side of whatever changed in one book.
    pub(super) fn publish(&mut self, symbol: SymbolIndex) {
        let now_ms = self.now_ms();
        self.instruments[symbol.0].publish(now_ms, &mut self.outbox);
    }

    // -------------------------------------------------------------------------------------------- names

    pub(super) fn symbol_index(&self, symbol: &str) -> Option<SymbolIndex> {
        self.instruments
            .iter()
            .find(|instrument| &*instrument.spec.symbol == symbol)
            .map(|instrument| instrument.index)
    }

    pub(super) fn index_of(&self, symbol: &str) -> Result<SymbolIndex, ApiError> {
        self.symbol_index(symbol).ok_or(ApiError::INVALID_SYMBOL)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Expiry,
    Countdown,
    Funding,
    Market,
    Mark,
}

/// The first multiple of `interval` after `now`.
fn next_multiple(now: u64, interval: u64) -> u64 {
    let interval = interval.max(1);
    (now / interval + 1) * interval
}

fn check(config: &ExchangeConfig) -> Result<(), SetupError> {
    let wrong = |symbol: &Symbol, why: &str| {
        Err(SetupError::Symbol { symbol: symbol.to_string(), why: why.to_owned() })
    };
    if config.symbols.is_empty() {
        return Err(SetupError::Market("no symbols".to_owned()));
    }
    for (at, spec) in config.symbols.iter().enumerate() {
        let filters = &spec.filters;
        if spec.product != config.product() {
            return wrong(&spec.symbol, "another product than the first symbol: one venue has one");
        }
        if config.symbols[..at].iter().any(|earlier| earlier.symbol == spec.symbol) {
            return wrong(&spec.symbol, "listed twice");
        }
        if !filters.tick_size.is_positive()
            || !filters.step_size.is_positive()
            || filters.market_step_size.is_negative()
        {
            return wrong(&spec.symbol, "tick size and step sizes must be positive");
        }
        if spec.price_precision > 8 || spec.quantity_precision > 8 {
            return wrong(&spec.symbol, "precision is eight places at most");
        }
        if !spec.reference_price.is_positive() || spec.max_leverage == 0 {
            return wrong(&spec.symbol, "reference price and maximum leverage must be positive");
        }
    }
    if config.accounts.len() >= usize::from(AccountId::NOBODY.0) {
        return Err(SetupError::Market(format!(
            "{} accounts are more than an account id can count",
            config.accounts.len()
        )));
    }
    for (at, account) in config.accounts.iter().enumerate() {
        if account.balance.is_negative() {
            return Err(SetupError::NegativeBalance(at as u16 + 1));
        }
    }
    Ok(())
}
