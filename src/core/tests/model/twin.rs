//! The naive twin: the rules of the semantics written the dumbest way, over maps and whole lists, and held against the core
//! after every step.
//!
//! It takes each event and all that the core put out in that turn, predicts, and names the first difference.

use std::collections::{HashMap, HashSet, VecDeque};

use linchpin_core::dispatch::Dispatch;
use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::*;
use linchpin_core::intent::NewIntent;
use linchpin_core::limits::*;
use linchpin_core::num::*;
use linchpin_core::record::*;
use linchpin_core::state::control::AccountTrust;
use linchpin_core::state::execution::Exposure;
use linchpin_core::state::order::{Order, OrderState};
use linchpin_core::state::position::Position;
use linchpin_core::state::queue::Pending;
use linchpin_core::time::Nanos;

use crate::accounts::{Accounts, Agreement, Balance};
use crate::ledger::Ledger;
use crate::market::{Market, Moved};
use crate::rates::{Rates, Traffic};
use families::Wish;
use money::{AssetStake, Worth};
use trading::{Standing, Trading};

/// Which rule, and how it was broken.
macro_rules! hold {
    ($group:literal, $condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!("{}: {}", $group, format!($($why)+)));
        }
    };
}

#[path = "families.rs"]
mod families;
#[path = "money.rs"]
pub mod money;
#[path = "private.rs"]
mod private;
#[path = "risk.rs"]
mod risk;
#[path = "rules.rs"]
mod rules;
#[path = "trading.rs"]
pub mod trading;

pub use rules::WORKFLOW;

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
    /// Every New that strategies wished in this turn.
    pub wishes: Vec<NewIntent>,
    pub live: Vec<Order>,
    /// Ended, and still asked about.
    pub unresolved: Vec<ClientOrderId>,
    /// The order that the event names, as it stands after the turn.
    pub named: Option<Order>,
    /// By strategy, then the external owner; by instrument.
    pub owners: Vec<Vec<Position>>,
    /// The same rows; the long and the short leg of each instrument that has them.
    pub legs: Vec<Vec<(InstrumentId, PositionSide, Position)>>,
    pub totals: Vec<Position>,
    /// By owner, the account last.
    pub worths: Vec<Worth>,
    pub assets: Vec<((VenueId, AssetId), AssetStake)>,
    /// Everybody's, then the strategies'.
    pub standings: Vec<Standing>,
    pub flattening: bool,
    pub trust: Vec<AccountTrust>,
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
    /// Others made it, and its strategy claims it.
    pub claimed: bool,
    pub instrument: InstrumentId,
    pub venue: VenueId,
    pub side: Side,
    pub leg: PositionSide,
    pub kind: OrderKind,
    pub state: OrderState,
    pub price: Price,
    pub stop: Price,
    /// Its trigger has fired, if it has one.
    pub triggered: bool,
    /// Good till this instant; zero: none.
    pub expires: Nanos,
    pub expiry_asked: bool,
    pub quantity: i64,
    pub cumulative: i64,
    pub filled: i64,
    /// It can lower a position and never turn it.
    pub closes: bool,
    pub reduce_only: bool,
    /// It closes whatever is held when it triggers.
    pub closes_whole: bool,
    /// All trades ever applied.
    pub trades: Vec<u64>,
    /// All trades whose fees were ever booked.
    pub paid: Vec<u64>,
    /// What has filled, nobody has said at what fee.
    pub unpaid: i64,
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
    /// When it was last given terms.
    pub touched: Nanos,
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
    fn conditional(&self) -> bool {
        !matches!(self.kind, OrderKind::Limit | OrderKind::Market | OrderKind::Other)
    }
    /// What it may still cost: at its own price, or at the keener of two while a Replace is out.
    fn working_cost(&self) -> i128 {
        let price = match self.inflight {
            Some((RequestKind::Replace, _, price, _)) => price.max(self.price),
            _ => self.price.max(self.stop),
        };
        i128::from(price.raw()) * i128::from(self.working())
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
    /// All that a New says.
    pub new: Option<NewIntent>,
    /// The family that it says it is of.
    pub said: Family,
    pub reducing: bool,
    /// Of the strategy's own position.
    pub reduces_own: bool,
    /// Its place among those of its rank.
    pub admitted: u64,
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
    /// Up to when the read-back under way includes what happened.
    as_of: Nanos,
    /// The bracket that is being told answers no present ask.
    ignored: bool,
    rates: Rates,
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
    admissions: u64,
    intents: HashMap<StrategyId, (u64, u32)>,
    /// By strategy.
    traffic: Vec<Traffic>,
    /// The last wish of each key that was allowed, and when.
    allowed: HashMap<OrderKey, (LastWish, Nanos)>,
    trading: Trading,
    held: HashSet<Gate>,
    /// News of this turn that no record has spoken of yet, and every wish of it.
    wishes: VecDeque<NewIntent>,
    turn_wishes: Vec<Wish>,
    incidents: Vec<IncidentKind>,
    accounts: Accounts,
    /// Spot wallets that were read back, and nobody has held against our books yet.
    unjudged: Vec<(VenueId, AssetId)>,
    /// The venue's stamp of the newest trade that was booked.
    traded_at: HashMap<InstrumentId, Nanos>,
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
    pub trips: u64,
    pub deferrals: u64,
    pub triggers: u64,
    pub expiries: u64,
    pub funding: u64,
    pub flattened: u64,
    pub claimed: u64,
    pub ghosts: u64,
    pub other_modes: u64,
    pub crossed: u64,
    pub usages: u64,
    pub ratio_trips: u64,
}

/// Request, instrument, side, price, trigger, quantity.
type LastWish = (RequestKind, InstrumentId, Side, Price, Price, Quantity);

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
            as_of: Nanos::ZERO,
            rates: Rates::new(&limits.buckets, configuration.instruments.len()),
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
            admissions: 0,
            intents: HashMap::new(),
            traffic: configuration.strategies.iter().map(|_| Traffic::new()).collect(),
            allowed: HashMap::new(),
            trading: Trading::new(configuration.trading_enabled, configuration.strategies.len()),
            held: HashSet::new(),
            wishes: VecDeque::new(),
            turn_wishes: Vec::new(),
            incidents: Vec::new(),
            accounts: Accounts::new(instruments),
            unjudged: Vec::new(),
            traded_at: HashMap::new(),
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
        self.judge_wallets();
        self.let_go(facts)?;
        let found: Vec<IncidentKind> = facts.outs.iter().filter_map(derived_incident).collect();
        let contradicts = |kind: &&IncidentKind| **kind == IncidentKind::Contradiction;
        self.counts.contradictions += found.iter().filter(contradicts).count() as u64;
        hold!("incidents", found == self.incidents, "found {found:?}, expected {:?}", self.incidents);
        self.measure();
        let mut outs = facts.outs.iter().peekable();
        // What a flatten does to two owners comes later, and what it trips.
        let crosses = |kind: &IncidentKind| *kind == IncidentKind::OwnersCrossed;
        while let Some(out) = outs.next_if(|out| match out {
            Out::Decision(Decision::Incident { kind, .. }) => !crosses(kind),
            Out::Decision(Decision::Gate { .. } | Decision::Trip(_)) => true,
            _ => false,
        }) {
            if let Out::Decision(Decision::Trip(trip)) = out {
                self.trip(trip)?;
            }
        }
        if self.trading.ran_away.iter().all(Option::is_none) {
            self.no_bound_is_passed_over()?;
        }
        self.plan_flatten();
        self.hear_wishes(facts);
        let mut rank = 0;
        for out in outs {
            match out {
                Out::Decision(Decision::Intent(record)) => self.intent(record)?,
                Out::Decision(Decision::Trip(trip)) => self.trip(trip)?,
                Out::Decision(Decision::Closed { key, request, why }) => self.closed(*key, *request, *why)?,
                Out::Dispatch(dispatch) => self.dispatch(dispatch, facts.sequence, &mut rank)?,
                Out::Ask(ask) => self.ask(ask)?,
                Out::Decision(Decision::Deferred { key, instrument, request, family, to }) => {
                    self.deferred(*key, *request, (*family, *to))?;
                    self.revisit(*instrument);
                }
                Out::Decision(_) => {}
            }
        }
        hold!("wishes", self.wishes.is_empty(), "nobody answered {:?}", self.wishes);
        self.no_bound_is_passed_over()?;
        self.trading.cancel_all = false;
        self.nothing_waits_without_reason()
            .map_err(|why| format!("{why}; the core holds {:?}", facts.queue))?;
        self.compare(facts)?;
        self.obligation(facts)
    }

    /// An ended order leaves doubt by an answer, or when the budget of questions about it is used up.
    fn let_go(&mut self, facts: &Facts) -> Check {
        let attempts = self.configuration.recovery_attempts;
        for id in &self.unresolved.clone() {
            let Some(order) = self.orders.get_mut(id).filter(|order| order.doubt == Doubt::Unknown) else {
                continue;
            };
            if !facts.unresolved.contains(id) {
                hold!("recovery", order.asked >= attempts, "let go without an answer: {order:?}");
                order.doubt = Doubt::Confirmed;
                if order.filled < order.cumulative {
                    let (instrument, leg) = (order.instrument, order.leg);
                    self.distrust(instrument, leg);
                }
            }
        }
        let orders = &self.orders;
        self.unresolved.retain(|id| orders[id].doubt == Doubt::Unknown);
        let stray = facts.unresolved.iter().find(|id| !self.unresolved.contains(id));
        hold!("recovery", stray.is_none(), "{stray:?} is asked about for no reason");
        Ok(())
    }

    /// All that was wished in this turn, as the records and the strategies tell it.
    fn hear_wishes(&mut self, facts: &Facts) {
        self.wishes = facts.wishes.iter().copied().collect();
        self.turn_wishes.clear();
        let mut told = self.wishes.clone();
        for out in &facts.outs {
            let (key, request, said) = match out {
                Out::Decision(Decision::Intent(record)) => (record.key, record.request, record.family),
                Out::Decision(Decision::Deferred { key, request, family, .. }) => (*key, *request, *family),
                _ => continue,
            };
            let new = match (request, out) {
                (RequestKind::New, Out::Decision(Decision::Intent(record))) if key.strategy == WORKFLOW => {
                    Some(rules::closing_order(record))
                }
                (RequestKind::New, _) => take_wish(&mut told, key),
                _ => None,
            };
            let said = new.map_or(said, |new| new.family);
            self.turn_wishes.push(Wish { key, request, new, said });
        }
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
                self.position(event, report);
                self.disturb(id);
            }
            Body::Balance(report) => {
                if !self.waits(event, report.hydrated) {
                    self.balance(event, report);
                }
            }
            Body::RateUsage(usage) => {
                let stamp = if event.event_time.is_zero() { self.now } else { event.event_time };
                self.venues[event.venue.index()].rates.hear(usage, self.now, stamp);
                self.counts.usages += 1;
            }
            Body::Outcome(outcome) => self.outcome(outcome),
            Body::NotSent(not_sent) => {
                // Somebody shut the gate before the core did: then the core is killed too.
                if not_sent.reason == NotSentReason::KillGate && self.trading.kill.is_none() {
                    self.trading.kill = Some(KillMode::Cancel);
                }
                let Some(order) = self.orders.get_mut(&not_sent.client_order_id) else { return };
                if order.inflight.is_none_or(|i| i.1 != not_sent.dispatch) {
                    return;
                }
                let instrument = order.instrument;
                if not_sent.request == RequestKind::New && order.filled > 0 {
                    order.doubts();
                    self.incidents.push(IncidentKind::Contradiction);
                    self.venues[event.venue.index()].rates.give_back(
                        not_sent.dispatch,
                        instrument,
                        not_sent.request,
                    );
                    return;
                }
                order.inflight = None;
                if not_sent.request == RequestKind::New || order.doubt != Doubt::Unknown {
                    order.doubt = Doubt::Confirmed;
                }
                if not_sent.request == RequestKind::New {
                    order.state = OrderState::Rejected;
                }
                self.venues[event.venue.index()].rates.give_back(
                    not_sent.dispatch,
                    instrument,
                    not_sent.request,
                );
            }
            Body::Link(link) => {
                let venue = &mut self.venues[event.venue.index()];
                match link.state {
                    LinkState::Up => venue.up.insert(link.link, true),
                    LinkState::Down => venue.up.insert(link.link, false),
                    _ => None,
                };
                if link.link == LinkKind::OrderEntry && link.state == LinkState::Up {
                    venue.rates.begin_session(self.now);
                }
                if link.link == LinkKind::Private && link.state == LinkState::Down {
                    venue.trust = Trust::Doubtful;
                    venue.buffered.clear();
                    self.forget_wallets(event.venue);
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
                ControlVerb::SetLimit => set_limit(&mut self.configuration, control.target, control.new),
                ControlVerb::CloseGate => {
                    self.held.insert(Gate::from_code(control.target as u8).unwrap());
                }
                ControlVerb::OpenGate => {
                    self.held.remove(&Gate::from_code(control.target as u8).unwrap());
                }
                _ => self.operate(control),
            },
            Body::Instrument(definition) => self.markets[id.index()].definition = Some(*definition),
            Body::Timer(_) => self.timer(),
            body => {
                let Some(market) = self.markets.get_mut(id.index()) else { return };
                match market.apply(now, body) {
                    Moved::Nothing => {}
                    Moved::Prices => market.revalue(now),
                    Moved::Broken => self.incidents.push(IncidentKind::BookChainBroken),
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
            self.compare_position(instrument, None);
            return;
        }
        // A scope that is unsettled meanwhile has its other pass when it settles.
        if let Some(at) = self.revisits.iter().position(|(_, at)| *at <= now) {
            let (instrument, _) = self.revisits.remove(at);
            if !self.windows.iter().any(|window| window.0 == instrument) {
                self.compare_position(instrument, None);
            }
        }
    }

    fn revisit(&mut self, instrument: InstrumentId) {
        if !self.revisits.iter().any(|(known, _)| *known == instrument) {
            let pause = self.configuration.settle_max.max(Nanos::from_millis(1));
            self.revisits.push((instrument, self.now + pause));
        }
    }
}

/// The limits that the driver changes, by their meaning.
fn set_limit(configuration: &mut Configuration, target: u32, value: i64) {
    let index = (target & 0xFFFF) as usize;
    let Ok(key) = LimitKey::from_code((target >> 16) as u8) else { return };
    use LimitKey as K;
    let count = value as u32;
    let account = &mut configuration.account;
    match key {
        K::AccountMaxGross => account.max_gross = value,
        K::AccountMaxNet => account.max_net = value,
        K::AccountMaxDailyLoss => account.max_daily_loss = value,
        K::AccountMaxDrawdown => account.max_drawdown = value,
        _ => {}
    }
    if let Some(limits) = configuration.instruments.get_mut(index) {
        match key {
            K::MaxOrderQuantity => limits.max_order_quantity = Quantity::new(value),
            K::MaxPosition => limits.max_position = Quantity::new(value),
            K::InstrumentMaxOpenOrders => limits.max_open_orders = count,
            K::Collar => limits.collar = count,
            K::MaxPositionNotional => limits.max_position_notional = value,
            K::Leverage => limits.leverage = count,
            _ => {}
        }
    }
    if let Some(limits) = configuration.strategies.get_mut(index) {
        match key {
            K::StrategyMaxOpenOrders => limits.max_open_orders = count,
            K::MaxIntentsPerSecond => limits.max_intents_per_second = count,
            K::MaxDailyLoss => limits.max_daily_loss = value,
            K::MaxDrawdown => limits.max_drawdown = value,
            K::MaxGross => limits.max_gross = value,
            K::MaxNet => limits.max_net = value,
            _ => {}
        }
    }
    if let (LimitKey::VenueMaxOpenOrders, Some(limits)) = (key, configuration.venues.get_mut(index)) {
        limits.max_open_orders = count;
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

fn take_wish(wishes: &mut VecDeque<NewIntent>, key: OrderKey) -> Option<NewIntent> {
    let at = wishes.iter().position(|new| new.key == key)?;
    wishes.remove(at)
}

/// A slot of the workflow says the leg that it closes.
fn ledger_leg(slot: u16) -> PositionSide {
    crate::ledger::LEGS[usize::from(slot) / linchpin_core::limits::MAX_INSTRUMENTS]
}
