//! The naive twin: the rules of the semantics written the dumbest way, over maps and whole lists, and held against the core
//! after every step.
//!
//! It takes each event and all that the core put out in that turn, predicts, and names the first difference.

use std::collections::{HashMap, HashSet};

use linchpin_core::dispatch::Dispatch;
use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::*;
use linchpin_core::limits::*;
use linchpin_core::num::*;
use linchpin_core::record::*;
use linchpin_core::state::execution::Exposure;
use linchpin_core::state::order::{Order, OrderState};
use linchpin_core::state::position::Position;
use linchpin_core::state::queue::Pending;
use linchpin_core::time::Nanos;

use crate::accounts::{Accounts, Agreement, Balance};
use crate::ledger::Ledger;
use crate::market::Market;

/// Which rule, and how it was broken.
macro_rules! hold {
    ($group:literal, $condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!("{}: {}", $group, format!($($why)+)));
        }
    };
}

#[path = "rules.rs"]
mod rules;

/// What a turn put out, in its order.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    Dispatch(Dispatch),
    Decision(Decision),
    Ask(Ask),
}

/// What can be seen of the core after a turn. The cheat tests doctor these.
#[derive(Clone, Debug)]
pub struct Facts {
    pub sequence: u64,
    pub now: Nanos,
    pub deadline: Nanos,
    pub outs: Vec<Out>,
    pub live: Vec<Order>,
    /// Ended, and still asked about.
    pub unresolved: Vec<ClientOrderId>,
    /// The order that the event names, as it stands after the turn.
    pub named: Option<Order>,
    /// By strategy, then the external owner; by instrument.
    pub owners: Vec<Vec<Position>>,
    pub totals: Vec<Position>,
    pub exposures: Vec<Exposure>,
    pub open_by_strategy: Vec<u32>,
    pub queue: Vec<Pending>,
    pub tops: Vec<Option<(Level, Level)>>,
    pub trusted: Vec<bool>,
    pub settled: Vec<bool>,
    pub agreement: Vec<Agreement>,
    pub balances: Vec<(VenueId, AssetId, Balance)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    Pending,
    Confirmed,
    Unknown,
}

#[derive(Clone, Debug)]
pub struct TwinOrder {
    pub key: OrderKey,
    pub instrument: InstrumentId,
    pub venue: VenueId,
    pub side: Side,
    pub state: OrderState,
    pub price: Price,
    pub is_market: bool,
    pub quantity: i64,
    pub cumulative: i64,
    pub filled: i64,
    /// It can lower a position and never turn it.
    pub closes: bool,
    /// All trades ever applied.
    pub trades: Vec<u64>,
    /// Some of what filled came without a trade's id.
    pub untraced: bool,
    pub inflight: Option<(RequestKind, u64, Price, i64)>,
    pub family: Family,
    /// Whose command the inflight one is.
    pub out_by: Family,
    pub doubt: Doubt,
    /// In doubt because the venue said that it does not know it.
    pub gone: bool,
    /// In doubt because fills are missing.
    pub missing: bool,
    /// Questions ever asked about it.
    pub asked: u32,
    pub since: Nanos,
    pub created: Nanos,
    pub reported: Nanos,
}

impl TwinOrder {
    pub fn is_live(&self) -> bool {
        !matches!(
            self.state,
            OrderState::Filled | OrderState::Cancelled | OrderState::Rejected | OrderState::Expired
        )
    }
    fn doubts(&mut self) {
        (self.doubt, self.gone, self.missing) = (Doubt::Unknown, false, false);
    }
    /// While trades are missing the order is in doubt, alive or not.
    fn note_missing(&mut self) {
        let owes = self.filled < self.cumulative;
        if owes && self.doubt != Doubt::Unknown {
            self.doubts();
            self.missing = true;
        } else if !owes && self.doubt == Doubt::Unknown && self.missing {
            self.doubt = if self.inflight.is_some() { Doubt::Pending } else { Doubt::Confirmed };
            self.missing = false;
        }
    }
    fn working(&self) -> i64 {
        if !self.is_live() {
            return 0;
        }
        let replaced = match self.inflight {
            Some((RequestKind::Replace, _, _, quantity)) => quantity,
            _ => 0,
        };
        (self.quantity.max(replaced) - self.filled).max(0)
    }
}

#[derive(Clone, Debug)]
pub struct Waiting {
    pub request: RequestKind,
    pub instrument: InstrumentId,
    pub side: Side,
    pub price: Price,
    pub quantity: i64,
    pub reducing: bool,
    pub family: Family,
    /// When this key's command first entered, and whether it was looked at and left since.
    pub since: Nanos,
    pub looked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Doubtful,
    Hydrating(u64),
    Trusted,
}

#[derive(Clone, Debug)]
struct Venue {
    up: HashMap<LinkKind, bool>,
    trust: Trust,
    hydrated_before: bool,
    seen: HashSet<ClientOrderId>,
    buffered: Vec<Event>,
    /// The bracket that is being told answers no present ask.
    ignored: bool,
    /// Every dispatch that was not taken back: when, what it was, its number.
    sent: Vec<(Nanos, RequestKind, u64)>,
    buckets: Vec<(i128, Nanos)>,
    /// Until when the venue wants to hear nothing.
    held_until: Nanos,
}

pub struct Twin {
    pub configuration: Configuration,
    now: Nanos,
    pub orders: HashMap<ClientOrderId, TwinOrder>,
    /// Those that lived when the turn began, and later ones: so that a whole run need not be walked each time.
    alive: Vec<ClientOrderId>,
    /// Ended, and in doubt about their fills.
    unresolved: Vec<ClientOrderId>,
    ids_used: HashSet<ClientOrderId>,
    pub waiting: HashMap<OrderKey, Waiting>,
    pub ledger: Ledger,
    pub markets: Vec<Market>,
    windows: Vec<(InstrumentId, Nanos, Nanos)>,
    /// Scopes whose deferred wishes get another settled pass, and when.
    revisits: Vec<(InstrumentId, Nanos)>,
    venues: Vec<Venue>,
    dispatched: u64,
    rates: HashMap<StrategyId, (u64, u32)>,
    trading: bool,
    halted: HashSet<StrategyId>,
    reducing: HashSet<StrategyId>,
    kill: Option<KillMode>,
    draining: bool,
    held: HashSet<Gate>,
    incidents: Vec<IncidentKind>,
    accounts: Accounts,
    pub counts: Counts,
}

/// What a run has seen, so that a test can show that it went everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub events: u64,
    pub intents: u64,
    pub denials: u64,
    pub dispatches: u64,
    pub fills: u64,
    pub late_fills: u64,
    pub contradictions: u64,
    pub asks: u64,
    pub terminal: u64,
    pub purged: u64,
    pub stale: u64,
    pub snapshots: u64,
    pub limits: u64,
}

type Check = Result<(), String>;

impl Twin {
    pub fn new(configuration: &Configuration) -> Self {
        let venue = |limits: &VenueLimits| Venue {
            up: HashMap::new(),
            trust: Trust::Doubtful,
            hydrated_before: false,
            seen: HashSet::new(),
            buffered: Vec::new(),
            ignored: false,
            sent: Vec::new(),
            held_until: Nanos::ZERO,
            buckets: limits
                .buckets
                .iter()
                .map(|b| (i128::from(b.burst) * i128::from(b.interval.raw()), Nanos::ZERO))
                .collect(),
        };
        let instruments = configuration.instruments.len();
        Self {
            now: Nanos::ZERO,
            orders: HashMap::new(),
            alive: Vec::new(),
            unresolved: Vec::new(),
            ids_used: HashSet::new(),
            waiting: HashMap::new(),
            ledger: Ledger::new(configuration.strategies.len(), instruments),
            markets: configuration.instruments.iter().map(|i| Market::new(i.stale_after)).collect(),
            windows: Vec::new(),
            revisits: Vec::new(),
            venues: configuration.venues.iter().map(venue).collect(),
            dispatched: 0,
            rates: HashMap::new(),
            trading: configuration.trading_enabled,
            halted: HashSet::new(),
            reducing: HashSet::new(),
            kill: None,
            draining: false,
            held: HashSet::new(),
            incidents: Vec::new(),
            accounts: Accounts::new(instruments),
            counts: Counts::default(),
            configuration: configuration.clone(),
        }
    }

    /// One turn: predict, then compare.
    pub fn step(&mut self, given: Nanos, event: &Event, facts: &Facts) -> Check {
        self.counts.events += 1;
        hold!("time", facts.now == self.now.max(given), "now is {:?} after {:?}", facts.now, self.now);
        self.now = facts.now;
        self.incidents.clear();
        let (orders, before) = (&self.orders, self.alive.len());
        self.alive.retain(|id| orders.get(id).is_some_and(TwinOrder::is_live));
        self.counts.terminal += (before - self.alive.len()) as u64;
        self.derive(event);
        self.let_go(facts)?;
        let found: Vec<IncidentKind> = facts.outs.iter().filter_map(derived_incident).collect();
        let contradicts = |kind: &&IncidentKind| **kind == IncidentKind::Contradiction;
        self.counts.contradictions += found.iter().filter(contradicts).count() as u64;
        hold!("incidents", found == self.incidents, "found {found:?}, expected {:?}", self.incidents);
        let mut rank = 0;
        for out in &facts.outs {
            match out {
                Out::Decision(Decision::Intent(record)) => self.intent(record)?,
                Out::Decision(Decision::Trip(trip)) => self.trip(trip)?,
                Out::Decision(Decision::Closed { key, request, why }) => self.closed(*key, *request, *why)?,
                Out::Dispatch(dispatch) => self.dispatch(dispatch, facts.sequence, &mut rank)?,
                Out::Ask(ask) => self.ask(ask)?,
                Out::Decision(Decision::Deferred { instrument, .. }) => self.revisit(*instrument),
                Out::Decision(_) => {}
            }
        }
        self.nothing_waits_without_reason()?;
        self.compare(facts)?;
        self.obligation(facts)
    }

    /// An ended order leaves doubt by an answer, or when the budget of questions about it is used up.
    fn let_go(&mut self, facts: &Facts) -> Check {
        let (orders, attempts) = (&mut self.orders, self.configuration.recovery_attempts);
        for id in &self.unresolved {
            let Some(order) = orders.get_mut(id).filter(|order| order.doubt == Doubt::Unknown) else {
                continue;
            };
            if !facts.unresolved.contains(id) {
                hold!("recovery", order.asked >= attempts, "let go without an answer: {order:?}");
                if order.filled < order.cumulative {
                    self.accounts.agreement[order.instrument.index()] = Agreement::Inconsistent;
                }
                order.doubt = Doubt::Confirmed;
            }
        }
        self.unresolved.retain(|id| orders[id].doubt == Doubt::Unknown);
        let stray = facts.unresolved.iter().find(|id| !self.unresolved.contains(id));
        hold!("recovery", stray.is_none(), "{stray:?} is asked about for no reason");
        Ok(())
    }

    // ---- derive ----

    fn derive(&mut self, event: &Event) {
        let (id, now) = (event.instrument, self.now);
        match &event.body {
            Body::Order(report) => {
                if self.waits(event, report.flags.has(ReportFlags::HYDRATED)) {
                    return;
                }
                self.report(event, report);
                self.disturb(id);
            }
            Body::Position(report) => {
                if self.waits(event, report.hydrated) {
                    return;
                }
                if report.hydrated && !self.venues[event.venue.index()].hydrated_before {
                    self.ledger.hydrate(id, report.quantity.raw());
                }
                self.accounts.position(id, report, event.event_time);
                self.disturb(id);
            }
            Body::Balance(report) => {
                if !self.waits(event, report.hydrated) {
                    self.accounts.balance(event.venue, report, event.event_time);
                }
            }
            Body::RateUsage(usage) => {
                let venue = &mut self.venues[event.venue.index()];
                venue.held_until = venue.held_until.max(usage.retry_at);
            }
            Body::Outcome(outcome) => self.outcome(outcome),
            Body::NotSent(not_sent) => {
                let Some(order) = self.orders.get_mut(&not_sent.client_order_id) else { return };
                if order.inflight.is_none_or(|i| i.1 != not_sent.dispatch) {
                    return;
                }
                if not_sent.request == RequestKind::New && order.filled > 0 {
                    order.doubts();
                    self.incidents.push(IncidentKind::Contradiction);
                    self.give_back(event.venue, not_sent);
                    return;
                }
                order.inflight = None;
                if not_sent.request == RequestKind::New || order.doubt != Doubt::Unknown {
                    order.doubt = Doubt::Confirmed;
                }
                if not_sent.request == RequestKind::New {
                    order.state = OrderState::Rejected;
                }
                self.give_back(event.venue, not_sent);
            }
            Body::Link(link) => {
                let venue = &mut self.venues[event.venue.index()];
                match link.state {
                    LinkState::Up => venue.up.insert(link.link, true),
                    LinkState::Down => venue.up.insert(link.link, false),
                    _ => None,
                };
                if link.link == LinkKind::Private && link.state == LinkState::Down {
                    venue.trust = Trust::Doubtful;
                    venue.buffered.clear();
                }
                if link.link == LinkKind::Market && link.state == LinkState::Down {
                    for (at, limits) in self.configuration.instruments.iter().enumerate() {
                        if limits.venue == event.venue {
                            self.markets[at].lose();
                        }
                    }
                }
            }
            Body::Hydration(hydration) => self.hydration(event.venue, hydration),
            Body::Control(control) => match control.verb {
                ControlVerb::EnableTrading => self.trading = true,
                ControlVerb::DisableTrading => self.trading = false,
                ControlVerb::SetTradingState => {
                    let strategy = StrategyId(control.target as u8);
                    self.halted.remove(&strategy);
                    self.reducing.remove(&strategy);
                    match TradingState::from_code(control.new as u8).unwrap() {
                        TradingState::Active => {}
                        TradingState::Reducing => _ = self.reducing.insert(strategy),
                        TradingState::Halted => _ = self.halted.insert(strategy),
                    }
                }
                ControlVerb::Kill => self.kill = KillMode::from_code(control.target as u8).ok(),
                ControlVerb::ResetKill => self.kill = None,
                ControlVerb::Drain => self.draining = true,
                ControlVerb::SetLimit => set_limit(&mut self.configuration, control.target, control.new),
                ControlVerb::CloseGate => {
                    self.held.insert(Gate::from_code(control.target as u8).unwrap());
                }
                ControlVerb::OpenGate => {
                    self.held.remove(&Gate::from_code(control.target as u8).unwrap());
                }
                _ => {}
            },
            Body::Instrument(definition) => self.markets[id.index()].definition = Some(*definition),
            Body::Timer(_) => self.timer(),
            body => {
                if let Some(market) = self.markets.get_mut(id.index())
                    && market.apply(now, body)
                {
                    self.incidents.push(IncidentKind::BookChainBroken);
                }
            }
        }
    }

    fn waits(&mut self, event: &Event, hydrated: bool) -> bool {
        let venue = &mut self.venues[event.venue.index()];
        if hydrated {
            return venue.ignored;
        }
        let waits = matches!(venue.trust, Trust::Hydrating(_));
        if waits {
            venue.buffered.push(*event);
        }
        waits
    }

    fn disturb(&mut self, id: InstrumentId) {
        let now = self.now;
        match self.windows.iter_mut().find(|window| window.0 == id) {
            Some(window) => window.2 = now,
            None => self.windows.push((id, now, now)),
        }
    }

    fn window_end(&self, window: &(InstrumentId, Nanos, Nanos)) -> Nanos {
        (window.2 + self.configuration.settle_quiet).min(window.1 + self.configuration.settle_max)
    }

    /// One thing a timer: a market that went stale, else a window that ended.
    fn timer(&mut self) {
        let now = self.now;
        if let Some(market) = self.markets.iter_mut().find(|m| !m.stale && now >= m.updated + m.stale_after) {
            market.stale = true;
            return;
        }
        if let Some(at) = self.windows.iter().position(|window| self.window_end(window) <= now) {
            let (instrument, ..) = self.windows.remove(at);
            self.compare_position(instrument, false);
            return;
        }
        // A scope that is unsettled meanwhile has its other pass when it settles.
        if let Some(at) = self.revisits.iter().position(|(_, at)| *at <= now) {
            let (instrument, _) = self.revisits.remove(at);
            if !self.windows.iter().any(|window| window.0 == instrument) {
                self.compare_position(instrument, false);
            }
        }
    }

    fn revisit(&mut self, instrument: InstrumentId) {
        if !self.revisits.iter().any(|(known, _)| *known == instrument) {
            let pause = self.configuration.settle_max.max(Nanos::from_millis(1));
            self.revisits.push((instrument, self.now + pause));
        }
    }

    fn report(&mut self, event: &Event, report: &OrderReport) {
        self.tell(event, report);
        let id = report.client_order_id;
        let Some(order) = self.orders.get(&id) else { return };
        if !order.is_live() && order.doubt == Doubt::Unknown && !self.unresolved.contains(&id) {
            self.unresolved.push(id);
        }
    }

    fn tell(&mut self, event: &Event, report: &OrderReport) {
        let id = report.client_order_id;
        let hydrated = report.flags.has(ReportFlags::HYDRATED);
        let only_trade = report.flags.has(ReportFlags::TRADE_ONLY);
        if !self.orders.contains_key(&id) {
            if only_trade {
                return;
            }
            self.incidents.push(IncidentKind::ExternalOrder);
            let told = report.cumulative_quantity.raw().min(report.quantity.raw());
            let before = if hydrated { told } else { told - report.last_quantity.raw() }.max(0);
            let order = TwinOrder {
                key: OrderKey { strategy: StrategyId::EXTERNAL, slot: 0 },
                instrument: event.instrument,
                venue: event.venue,
                side: report.side,
                state: OrderState::Submitted,
                price: report.price,
                is_market: false,
                quantity: report.quantity.raw(),
                cumulative: before,
                filled: before,
                closes: false,
                trades: Vec::new(),
                untraced: before > 0,
                inflight: None,
                doubt: Doubt::Pending,
                gone: false,
                missing: false,
                asked: 0,
                since: self.now,
                created: self.now,
                reported: Nanos::ZERO,
                family: Family::Entry,
                out_by: Family::Entry,
            };
            self.orders.insert(id, order);
            self.alive.push(id);
        }
        if hydrated {
            self.venues[event.venue.index()].seen.insert(id);
        }
        let order = self.orders.get_mut(&id).unwrap();
        let (quantity, cumulative) = (report.quantity.raw(), report.cumulative_quantity.raw());
        let read_back = report.execution == Execution::Status;
        let takes_terms = quantity > 0 && (read_back || report.execution == Execution::Replaced);
        let nonsense = cumulative > order.quantity.max(quantity)
            || (!only_trade && !read_back && report.last_quantity.raw() > cumulative)
            || (takes_terms && !only_trade && order.is_live() && quantity < order.cumulative);
        if nonsense {
            self.incidents.push(IncidentKind::Contradiction);
            if order.is_live() {
                order.doubts();
            }
            return;
        }
        // Money.
        let (part, price) = if read_back {
            let price = if report.last_price.is_zero() { report.price } else { report.last_price };
            (cumulative - order.filled, price)
        } else {
            (report.last_quantity.raw(), report.last_price)
        };
        if part > 0 {
            let recent = &order.trades[order.trades.len().saturating_sub(8)..];
            let told = !read_back && report.trade_id != 0 && recent.contains(&report.trade_id);
            let newest = recent.iter().copied().max().unwrap_or(0);
            let news = report.trade_id != 0
                && !order.untraced
                && (order.trades.len() < 8 || report.trade_id > newest);
            let alone = if only_trade && news { order.filled + part } else { 0 };
            let ceiling = order.cumulative.max(cumulative).max(alone);
            let beyond = !read_back && order.filled + part > ceiling;
            let ambiguous = !read_back
                && report.trade_id != 0
                && order.filled < order.cumulative
                && cumulative <= order.cumulative
                && order.trades.len() >= 8;
            if told || beyond {
            } else if ambiguous || order.filled + part > order.quantity.max(quantity) {
                self.incidents.push(IncidentKind::Contradiction);
                if order.is_live() {
                    order.doubts();
                }
            } else {
                let late =
                    !order.is_live() && order.state != OrderState::Filled && ceiling > order.cumulative;
                order.filled += part;
                order.cumulative = ceiling;
                order.quantity = order.quantity.max(ceiling);
                if report.trade_id != 0 && !read_back {
                    order.trades.push(report.trade_id);
                } else {
                    order.untraced = true;
                }
                if late {
                    order.doubts();
                } else if only_trade && order.doubt == Doubt::Confirmed && order.is_live() {
                    (order.doubt, order.since) = (Doubt::Pending, self.now);
                }
                let fee = if read_back { 0 } else { report.fee };
                self.counts.fills += 1;
                self.ledger.fill(order.key.strategy, order.instrument, order.side, price.raw(), part, fee);
                if late {
                    self.counts.late_fills += 1;
                    self.incidents.push(IncidentKind::LateFill);
                }
            }
        }
        if only_trade {
            order.note_missing();
            return;
        }
        if !order.is_live() {
            order.note_missing();
            // A ghost: ended for us, alive at the venue, and not merely late.
            let alive = matches!(report.status, VenueStatus::New | VenueStatus::PartiallyFilled);
            if alive && (order.state == OrderState::Rejected || event.event_time > order.reported) {
                self.incidents.push(IncidentKind::Contradiction);
                self.accounts.agreement[event.instrument.index()] = Agreement::Inconsistent;
            }
            return;
        }
        // Life.
        use VenueStatus as V;
        let ends = matches!(report.status, V::Filled | V::Cancelled | V::Rejected | V::Expired);
        if (cumulative < order.cumulative || event.event_time < order.reported) && !ends {
            order.note_missing();
            return;
        }
        if report.status == V::Rejected && (order.state != OrderState::Submitted || order.filled > 0) {
            order.note_missing();
            self.incidents.push(IncidentKind::Contradiction);
            return;
        }
        order.cumulative = order.cumulative.max(cumulative);
        order.reported = order.reported.max(event.event_time);
        if takes_terms {
            order.price = report.price;
            order.quantity = quantity;
        }
        order.quantity = order.quantity.max(order.cumulative);
        order.state = match report.status {
            V::New | V::PendingCancel if order.state == OrderState::Submitted => OrderState::Accepted,
            V::PartiallyFilled => OrderState::PartiallyFilled,
            V::Filled => OrderState::Filled,
            V::Cancelled => OrderState::Cancelled,
            V::Expired => OrderState::Expired,
            V::Rejected => OrderState::Rejected,
            V::New | V::PendingCancel | V::Other => order.state,
        };
        if order.cumulative > 0 && matches!(order.state, OrderState::Submitted | OrderState::Accepted) {
            order.state = OrderState::PartiallyFilled;
        }
        let answered = match order.inflight {
            None | Some((RequestKind::New, ..)) => true,
            Some((RequestKind::Replace, ..)) => {
                !order.is_live() || read_back || report.execution == Execution::Replaced
            }
            Some((RequestKind::Cancel, ..)) => !order.is_live() || read_back,
        };
        if answered {
            order.inflight = None;
            if order.doubt != Doubt::Unknown || !order.missing {
                order.doubt = Doubt::Confirmed;
            }
        }
        order.note_missing();
    }

    fn outcome(&mut self, outcome: &RequestOutcome) {
        let Some(order) = self.orders.get_mut(&outcome.client_order_id) else { return };
        let Some((request, number, ..)) = order.inflight else { return };
        if number != outcome.dispatch {
            return;
        }
        let id = order.instrument;
        match (outcome.verdict, request) {
            (Verdict::Accepted, _) => {}
            (Verdict::Rejected, RequestKind::New) if order.filled > 0 => {
                order.doubts();
                self.incidents.push(IncidentKind::Contradiction);
            }
            (Verdict::Rejected, RequestKind::New) => {
                order.state = OrderState::Rejected;
                order.inflight = None;
                order.doubt = Doubt::Confirmed;
            }
            (Verdict::Rejected, _) => {
                order.inflight = None;
                let gone = outcome.reason == RejectReason::UnknownOrder;
                let unknown = gone || order.doubt == Doubt::Unknown;
                if order.doubt != Doubt::Unknown {
                    order.doubt = if unknown { Doubt::Unknown } else { Doubt::Confirmed };
                    order.gone = gone;
                }
            }
            (Verdict::Unknown, _) => {
                order.doubts();
                self.incidents.push(IncidentKind::UnknownOutcome);
            }
        }
        self.disturb(id);
    }

    fn instruments_of(&self, venue: VenueId) -> Vec<InstrumentId> {
        let all = self.configuration.instruments.iter().enumerate();
        all.filter(|(_, limits)| limits.venue == venue).map(|(at, _)| InstrumentId(at as u16)).collect()
    }

    fn compare_position(&mut self, id: InstrumentId, read_back: bool) {
        let (ours, in_doubt) = (self.ledger.total(id.index()), self.doubts_on(id) > 0);
        if self.accounts.compare(id, ours, in_doubt, read_back) {
            self.incidents.push(IncidentKind::PositionMismatch);
        }
    }

    fn hydration(&mut self, venue: VenueId, hydration: &Hydration) {
        let at = venue.index();
        let answers = self.venues[at].trust == Trust::Hydrating(hydration.request);
        self.venues[at].ignored = hydration.scope == HydrationScope::Account
            && hydration.phase == HydrationPhase::Begin
            && !answers;
        if hydration.scope == HydrationScope::Order {
            let Some(order) = self.orders.get_mut(&hydration.client_order_id) else { return };
            if !order.is_live() && hydration.phase == HydrationPhase::End && order.filled >= order.cumulative
            {
                order.doubt = Doubt::Confirmed;
            }
            if hydration.phase != HydrationPhase::NotFound || !order.is_live() {
                return;
            }
            let old = self.now.since(order.created) >= self.configuration.visibility_delay;
            if order.state != OrderState::Submitted {
                self.incidents.push(IncidentKind::Contradiction);
            } else if old {
                order.state = OrderState::Rejected;
                order.inflight = None;
                order.doubt = Doubt::Confirmed;
            }
            return;
        }
        if !answers {
            return;
        }
        match hydration.phase {
            HydrationPhase::Begin => {
                self.venues[at].seen.clear();
                self.instruments_of(venue).into_iter().for_each(|id| self.accounts.begin(id));
            }
            HydrationPhase::Failed | HydrationPhase::NotFound => self.venues[at].trust = Trust::Doubtful,
            HydrationPhase::End => {
                let seen = std::mem::take(&mut self.venues[at].seen);
                for (id, order) in &mut self.orders {
                    if order.venue == venue && order.is_live() && !seen.contains(id) {
                        order.doubts();
                    }
                }
                self.venues[at].trust = Trust::Trusted;
                self.venues[at].hydrated_before = true;
                for event in std::mem::take(&mut self.venues[at].buffered) {
                    match &event.body {
                        Body::Order(report) => {
                            self.report(&event, report);
                            self.disturb(event.instrument);
                        }
                        Body::Position(report) => {
                            self.accounts.position(event.instrument, report, event.event_time);
                        }
                        Body::Balance(report) => self.accounts.balance(venue, report, event.event_time),
                        _ => {}
                    }
                }
                for id in self.instruments_of(venue) {
                    self.compare_position(id, true);
                }
            }
        }
    }
}

/// The limits that the driver changes, by their meaning.
fn set_limit(configuration: &mut Configuration, target: u32, value: i64) {
    let index = (target & 0xFFFF) as usize;
    let Ok(key) = LimitKey::from_code((target >> 16) as u8) else { return };
    let instrument = configuration.instruments.get_mut(index);
    let strategy = configuration.strategies.get_mut(index);
    match (key, instrument, strategy) {
        (LimitKey::MaxOrderQuantity, Some(limits), _) => limits.max_order_quantity = Quantity::new(value),
        (LimitKey::MaxPosition, Some(limits), _) => limits.max_position = Quantity::new(value),
        (LimitKey::InstrumentMaxOpenOrders, Some(limits), _) => limits.max_open_orders = value as u32,
        (LimitKey::Collar, Some(limits), _) => limits.collar = value as u32,
        (LimitKey::StrategyMaxOpenOrders, _, Some(limits)) => limits.max_open_orders = value as u32,
        (LimitKey::MaxIntentsPerSecond, _, Some(limits)) => limits.max_intents_per_second = value as u32,
        _ => {}
    }
}

/// Incidents that deriving brings; those of the workflow are not predicted.
fn derived_incident(out: &Out) -> Option<IncidentKind> {
    use IncidentKind as K;
    match out {
        Out::Decision(Decision::Incident { kind, .. }) => match kind {
            K::LateFill
            | K::ExternalOrder
            | K::UnknownOutcome
            | K::BookChainBroken
            | K::Contradiction
            | K::PositionMismatch => Some(*kind),
            _ => None,
        },
        _ => None,
    }
}
