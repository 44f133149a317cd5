//! State, and the one way in which it changes: `apply(event)`.
//!
//! Three domains and no fourth: market, execution, control.
//! Hot.

pub mod account;
pub mod book;
mod chains;
pub mod control;
pub mod execution;
mod levels;
pub mod market;
pub mod open;
pub mod order;
pub mod position;
pub mod queue;
pub mod stakes;
pub mod throttle;
pub mod trade_ids;
pub mod trading;

use alloc::vec::Vec;

use crate::event::{
    BalanceCause, BalanceReport, Body, BookLoss, Control, ControlVerb, Event, Execution, Hydration,
    HydrationPhase, HydrationScope, KillMode, LinkChange, LinkKind, LinkState, NotSentReason, Orphans,
    PositionReport, PositionSide, ReportFlags, TradingState,
};
use crate::id::{AssetId, InstrumentId, OrderIndex, StrategyId, VenueId};
use crate::instrument::{InstrumentDefinition, Product};
use crate::limits::{Configuration, MAX_INSTRUMENTS};
use crate::num::Cash;
use crate::record::{Decision, IncidentKind};
use crate::time::Nanos;
use account::{AccountState, VenuePosition};
use control::{AccountTrust, ControlState};
use execution::{ExecutionState, Word};
use market::{InstrumentMarket, MarketChange, MarketState};
use position::{Position, ProfitAndLoss};

#[derive(Clone, Debug)]
pub struct State {
    /// The processing time of the present event; never runs backwards.
    pub now: Nanos,
    /// The present event's place in the stream.
    pub sequence: u64,
    pub market: MarketState,
    pub execution: ExecutionState,
    pub account: AccountState,
    pub control: ControlState,
    /// No market goes stale before this: known lazily, because nearly every event moves it.
    pub(crate) stale_at: Nanos,
    settle_quiet: Nanos,
    settle_max: Nanos,
}

crate::saved! {
    table State { now, sequence, control, account, execution, market, stale_at } kept { settle_quiet, settle_max }
}

/// What an event changed, for those who decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that anyone decides on.
    None,
    /// Market of this instrument.
    Top(InstrumentId),
    Book(InstrumentId),
    Trade(InstrumentId),
    Mark(InstrumentId),
    BookLost(InstrumentId),
    /// An order or position of this instrument; its settle window is open.
    Private(InstrumentId),
    /// The settle window of this instrument has ended: plan now.
    Settled(InstrumentId),
    Link(VenueId, LinkKind),
    Account(VenueId),
    Control,
}

/// What an event brought to light that a person or the workflow must look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: IncidentKind,
    pub instrument: InstrumentId,
    pub order: OrderIndex,
    pub ours: i64,
    pub theirs: i64,
}

/// The findings of one event. Made once: a turn that finds nothing touches nothing.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    items: Vec<Finding>,
    /// More than one event should ever bring; counted, so that no silence hides them.
    pub overflow: u64,
}

/// A deferred pass comes again not sooner than this, however short the settle window is.
const SHORTEST_REVISIT: Nanos = Nanos::from_millis(1);
/// A read-back of every instrument can find something about each.
const MOST_FINDINGS: usize = 2 * crate::limits::MAX_INSTRUMENTS;

impl Findings {
    pub fn new() -> Self {
        Self { items: Vec::with_capacity(MOST_FINDINGS), overflow: 0 }
    }

    pub fn add(&mut self, finding: Finding) {
        if self.items.len() < self.items.capacity() {
            self.items.push(finding);
        } else {
            self.overflow += 1;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.items.iter()
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.items.clear();
    }
}

impl State {
    pub fn new(configuration: &Configuration) -> Self {
        Self {
            now: Nanos::ZERO,
            sequence: 0,
            market: MarketState::new(configuration),
            execution: ExecutionState::new(configuration),
            account: AccountState::new(configuration.venues.len(), configuration.instruments.len()),
            control: ControlState::new(configuration),
            stale_at: Nanos::MAX,
            settle_quiet: configuration.settle_quiet,
            settle_max: configuration.settle_max,
        }
    }

    /// After a load: the stakes are saved without what they are worth.
    pub(crate) fn value_stakes(&mut self) {
        let definitions = self.market.iter().map(|(id, market)| (id, market.definition.as_ref()));
        self.execution.stakes.recall(definitions);
    }

    /// Everything that an event changes, changes here.
    #[inline]
    pub fn apply(&mut self, event: &Event, findings: &mut Findings) -> Change {
        let change = self.advance(event, findings);
        if let Change::Top(id) | Change::Book(id) | Change::Trade(id) = change {
            let price = self.market.instrument(id).and_then(|market| market.mark_to());
            self.execution.stakes.mark_to(id, self.now, price);
        }
        // What comes to light of a wallet comes at the newest price.
        if self.execution.has_unjudged_wallets() {
            self.execution.judge_wallets(&self.market, &self.account, findings);
        }
        change
    }

    #[inline]
    fn advance(&mut self, event: &Event, findings: &mut Findings) -> Change {
        let id = event.instrument;
        let now = self.now;
        match &event.body {
            Body::BookTicker(ticker) => match self.market.instrument_mut(id) {
                Some(market) => market_change(id, market.apply_ticker(now, ticker), findings),
                None => Change::None,
            },
            Body::Depth(depth) => match self.market.instrument_mut(id) {
                Some(market) => market_change(id, market.apply_depth(now, depth), findings),
                None => Change::None,
            },
            Body::DepthMore(more) => match self.market.instrument_mut(id) {
                Some(market) => market_change(id, market.apply_depth_more(more), findings),
                None => Change::None,
            },
            Body::BookLost(why) => match self.market.instrument_mut(id) {
                Some(market) => market_change(id, market.lose(*why), findings),
                None => Change::None,
            },
            Body::Trade(trade) => match self.market.instrument_mut(id) {
                Some(market) => market_change(id, market.apply_trade(trade), findings),
                None => Change::None,
            },
            Body::MarkPrice(mark) => match self.market.instrument_mut(id) {
                Some(market) => {
                    market.mark = Some(*mark);
                    Change::Mark(id)
                }
                None => Change::None,
            },
            Body::Order(report) => {
                if self.must_wait(event, report.flags.has(ReportFlags::HYDRATED)) {
                    return Change::None;
                }
                let definition = definition_of(&self.market, id);
                self.execution.apply_report(now, event, report, definition, findings);
                self.account.disturb(id, now);
                Change::Private(id)
            }
            Body::Position(report) => {
                if self.must_wait(event, report.hydrated) {
                    return Change::None;
                }
                self.apply_position(event, report, findings);
                self.account.disturb(id, now);
                Change::Private(id)
            }
            Body::Balance(report) => {
                if self.must_wait(event, report.hydrated) {
                    return Change::None;
                }
                self.apply_balance(event, report);
                Change::Account(event.venue)
            }
            Body::Outcome(outcome) => match self.execution.apply_outcome(now, outcome, findings) {
                Some(id) => {
                    self.account.disturb(id, now);
                    Change::Private(id)
                }
                None => Change::None,
            },
            Body::NotSent(not_sent) => {
                // The gate was shut by somebody else than the core (a full ring): then the core is killed too, so that
                // everyone knows.
                if not_sent.reason == NotSentReason::KillGate && self.control.kill.is_none() {
                    self.control.kill = Some(KillMode::Cancel);
                }
                match self.execution.apply_not_sent(now, not_sent, findings) {
                    Some(id) => {
                        self.execution.throttle.refund(event.venue, id, not_sent.request);
                        Change::Private(id)
                    }
                    None => Change::None,
                }
            }
            Body::Link(link) => self.apply_link(event.venue, link),
            Body::Hydration(hydration) => self.apply_hydration(event.venue, id, hydration, findings),
            Body::Instrument(definition) => match self.market.instrument_mut(id) {
                Some(market) => {
                    market.definition = Some(*definition);
                    self.execution.stakes.define(id, definition);
                    Change::Control
                }
                None => Change::None,
            },
            Body::RateUsage(usage) => {
                // A venue counts by its own clock, where it tells the time.
                let stamp = if event.event_time.is_zero() { now } else { event.event_time };
                self.execution.throttle.note_usage(event.venue, usage, now, stamp);
                Change::None
            }
            Body::Control(control) => self.apply_control(control, findings),
            Body::Timer(_) => self.apply_timer(findings),
        }
    }

    /// During a hydration, private events wait and are applied on top of it.
    #[inline]
    fn must_wait(&mut self, event: &Event, hydrated: bool) -> bool {
        if hydrated {
            return !self.execution.accepts_hydrated(event.venue);
        }
        let hydrating = self
            .control
            .venue(event.venue)
            .is_some_and(|venue| matches!(venue.account, AccountTrust::Hydrating { .. }));
        hydrating && self.execution.buffer(event)
    }

    fn apply_link(&mut self, venue: VenueId, change: &LinkChange) -> Change {
        let Some(control) = self.control.venue_mut(venue) else { return Change::None };
        control.note(change);
        // What happened while we did not look must be read back.
        if change.link == LinkKind::Private && change.state == LinkState::Down {
            control.account = AccountTrust::Doubtful;
            // What waited for the read-back under way is older than the break: the next read-back has it.
            self.execution.forget_buffered(venue);
        }
        if change.link == LinkKind::OrderEntry && change.state == LinkState::Up {
            self.execution.throttle.begin_session(venue, self.now);
        }
        let blind = change.link == LinkKind::Market
            && change.state == LinkState::Down
            && control.is_dark(LinkKind::Market);
        if blind {
            for (_, market) in self.market.iter_mut().filter(|(_, market)| market.venue == venue) {
                market.lose(BookLoss::Disconnected);
            }
        }
        Change::Link(venue, change.link)
    }

    fn apply_hydration(
        &mut self,
        venue: VenueId,
        id: InstrumentId,
        hydration: &Hydration,
        findings: &mut Findings,
    ) -> Change {
        // An account is read back once an ask: the answer to an ask from before a break says nothing about the break.
        let asked = self.control.venue(venue).map(|control| control.account);
        let answers = asked == Some(AccountTrust::Hydrating { ask: hydration.request });
        let accepted = hydration.scope != HydrationScope::Account || answers;
        self.execution.note_bracket(venue, hydration.scope, hydration.phase, accepted);
        match (hydration.scope, hydration.phase) {
            (HydrationScope::Account, _) if !answers => Change::None,
            (HydrationScope::Account, HydrationPhase::Begin) => {
                self.execution.begin_account_hydration(venue, hydration.as_of);
                // A spot account has balances and no positions.
                let has_positions = |market: &InstrumentMarket| {
                    market.venue == venue
                        && market.definition.is_none_or(|definition| definition.product != Product::Spot)
                };
                let own = self.market.iter().filter(|(_, market)| has_positions(market));
                self.account.begin_hydration(venue, own.map(|(instrument, _)| instrument));
                Change::None
            }
            (HydrationScope::Account, HydrationPhase::End) => {
                let whole = self.execution.end_account_hydration(self.now, venue, findings);
                if let Some(control) = self.control.venue_mut(venue) {
                    // Private events were lost while it ran: it must be read again.
                    control.account = if whole { AccountTrust::Trusted } else { AccountTrust::Doubtful };
                }
                self.execution.judge_wallets_of(venue, &self.market);
                let as_of = self.execution.read_back_as_of(venue);
                let mut traded_since = [false; MAX_INSTRUMENTS];
                while let Some(event) = self.execution.take_buffered(venue) {
                    self.apply_buffered(&event, findings);
                    if event.event_time > as_of
                        && matches!(&event.body, Body::Order(report) if report.execution == Execution::Trade)
                        && let Some(traded) = traded_since.get_mut(event.instrument.index())
                    {
                        *traded = true;
                    }
                }
                self.compare_positions(venue, as_of, &traded_since, findings);
                Change::Account(venue)
            }
            (HydrationScope::Account, HydrationPhase::Failed | HydrationPhase::NotFound) => {
                if let Some(control) = self.control.venue_mut(venue) {
                    control.account = AccountTrust::Doubtful;
                }
                Change::Account(venue)
            }
            (HydrationScope::Order, phase) => {
                match self.execution.end_order_hydration(self.now, hydration, phase, findings) {
                    Some(id) => Change::Private(id),
                    None => Change::None,
                }
            }
            (HydrationScope::Trades, HydrationPhase::Begin) => Change::None,
            (HydrationScope::Trades, phase) => {
                self.execution.end_trades(self.now, id, phase == HydrationPhase::End);
                Change::Private(id)
            }
            (HydrationScope::Instrument, HydrationPhase::Begin) => {
                self.execution.begin_audit(venue);
                Change::None
            }
            (HydrationScope::Instrument, HydrationPhase::End) => {
                if let Some(market) = self.market.instrument(id) {
                    self.execution.end_audit(self.now, venue, id, hydration.as_of, market);
                }
                Change::Private(id)
            }
            (HydrationScope::Instrument, _) => Change::Private(id),
        }
    }

    /// After a read-back: what differs now is a data inconsistency. It says nothing of what has happened since: of a trade's two reports,
    /// position and order, one may be here and the other under way.
    fn compare_positions(
        &mut self,
        venue: VenueId,
        as_of: Nanos,
        traded_since: &[bool; MAX_INSTRUMENTS],
        findings: &mut Findings,
    ) {
        for (at, traded) in traded_since.iter().enumerate().take(self.market.count()) {
            let instrument = InstrumentId(at as u16);
            if self.execution.venue_of(instrument) == Some(venue) {
                let word = |position: &VenuePosition| {
                    if *traded || position.updated > as_of { Word::AfterReadBack } else { Word::ReadBack }
                };
                self.compare_position(instrument, word, findings);
            }
        }
    }

    /// Leg by leg. A spot account states no positions: there is nothing to compare with.
    fn compare_position(
        &mut self,
        instrument: InstrumentId,
        word: impl Fn(&VenuePosition) -> Word,
        findings: &mut Findings,
    ) {
        for leg in self.execution.legs_of(instrument) {
            if let Some(position) = self.account.leg(instrument, *leg) {
                let (theirs, word) = (position.quantity, word(position));
                self.execution.compare_position(self.now, instrument, *leg, theirs, word, findings);
            }
        }
    }

    /// The venue's word about a position, or a leg of one.
    fn apply_position(&mut self, event: &Event, report: &PositionReport, findings: &mut Findings) {
        let instrument = event.instrument;
        if self.execution.is_hedged(instrument) == (report.side == PositionSide::Both) {
            // A venue may name what cannot be held in this mode, as empty.
            if !report.quantity.is_zero() {
                let is_news = self.execution.contradict_mode(instrument, report, findings);
                // What is held there, a read-back says.
                if is_news && !report.hydrated {
                    self.doubt_account(event.venue);
                }
            }
            return;
        }
        if report.hydrated {
            self.execution.hydrate_position(instrument, report, &self.market);
        }
        self.account.apply_position(instrument, report, event.event_time);
    }

    fn doubt_account(&mut self, venue: VenueId) {
        if let Some(control) = self.control.venue_mut(venue)
            && control.account == AccountTrust::Trusted
        {
            control.account = AccountTrust::Doubtful;
        }
    }

    /// To those who held the position; what cannot be told apart stays with the account.
    fn apply_funding(&mut self, event: &Event, report: &BalanceReport, change: Cash) {
        if !self.account.is_new_funding(event.venue, report, event.event_time) {
            return;
        }
        if !self.execution.fund(event.venue, event.instrument, report.asset, change, &self.market) {
            self.account.leave_unassigned(event.venue, report.asset, change);
        }
    }

    fn apply_balance(&mut self, event: &Event, report: &BalanceReport) {
        let (venue, change) = (event.venue, Cash::from_wire(report.change));
        match report.cause {
            BalanceCause::Funding if !change.is_zero() => self.apply_funding(event, report, change),
            BalanceCause::Deposit | BalanceCause::Withdrawal if !report.hydrated => {
                self.execution.move_spot(venue, report.asset, change, &self.market);
            }
            _ => {}
        }
        self.account.apply_balance(venue, report, event.event_time);
        if !report.hydrated {
            // What comes beside a fill belongs to it: nothing is planned before.
            let execution = &self.execution;
            self.account.prolong(self.now, |instrument| execution.venue_of(instrument) == Some(venue));
        }
        // The fill that it counts may be told after it: a wallet is judged by what has settled.
        if !report.hydrated
            && let Some(instrument) = self.execution.waits_for_wallet(venue, report.asset, &self.market)
        {
            self.account.disturb(instrument, self.now);
        }
    }

    fn apply_buffered(&mut self, event: &Event, findings: &mut Findings) {
        let (id, now) = (event.instrument, self.now);
        match &event.body {
            Body::Order(report) => {
                if !self.execution.is_in_snapshot(event, report) {
                    let definition = definition_of(&self.market, id);
                    self.execution.apply_report(now, event, report, definition, findings);
                }
                self.account.disturb(id, now);
            }
            Body::Position(report) => self.apply_position(event, report, findings),
            Body::Balance(report) => self.apply_balance(event, report),
            _ => {}
        }
    }

    fn apply_control(&mut self, control: &Control, findings: &mut Findings) -> Change {
        match control.verb {
            ControlVerb::EnableTrading => {
                self.control.trading.set(Control::EVERYBODY, TradingState::Active);
            }
            ControlVerb::DisableTrading => {
                self.control.trading.set(Control::EVERYBODY, TradingState::Halted);
            }
            ControlVerb::SetTradingState => {
                let code = u8::try_from(control.new).ok();
                if let Some(state) = code.and_then(|code| TradingState::from_code(code).ok()) {
                    self.control.trading.set(control.target, state);
                }
            }
            ControlVerb::BeginDay => self.control.trading.begin_day(),
            ControlVerb::Kill => {
                let asked = KillMode::from_code(control.target as u8).unwrap_or(KillMode::Block);
                self.control.kill = Some(match self.control.kill {
                    // A person may choose a looser mode than the present one; the engine itself only tightens.
                    Some(present) if control.who == Control::MACHINE && present.code() < asked.code() => {
                        present
                    }
                    _ => asked,
                });
            }
            ControlVerb::ResetKill => self.control.kill = None,
            ControlVerb::Drain => self.control.drain(control.target == SCHEDULE),
            ControlVerb::Stop => self.control.stopped = true,
            ControlVerb::ReadBack => {
                for venue in 0..self.control.venues().count() {
                    self.doubt_account(VenueId(venue as u8));
                }
            }
            ControlVerb::WarmStart => self.start_again(control, findings),
            ControlVerb::CloseGate | ControlVerb::OpenGate => {
                let closed = control.verb == ControlVerb::CloseGate;
                match self.control.held.gate(control.target) {
                    Some(gate) => *gate = closed,
                    None => self.control.refused += 1,
                }
                if !closed && control.target == SCHEDULE {
                    self.control.end_scheduled_drain();
                }
            }
            // These act through the workflow and the limits, not on this state.
            ControlVerb::SetLimit
            | ControlVerb::SetParameter
            | ControlVerb::CancelAll
            | ControlVerb::Flatten => {}
        }
        Change::Control
    }

    /// The first event of a run that goes on from an earlier one's state. What happened meanwhile must be read back: every link
    /// is down, every account in doubt, every market unknown.
    #[cold]
    fn start_again(&mut self, control: &Control, findings: &mut Findings) {
        self.control.start_again(control.new == 1);
        let orphans = Orphans::from_code(control.target as u8).unwrap_or(Orphans::Close);
        let since = Nanos::new(u64::try_from(control.old).unwrap_or(0));
        self.execution.start_again(self.now, since, orphans, findings);
        for (_, market) in self.market.iter_mut() {
            market.lose(BookLoss::Disconnected);
        }
    }

    /// One thing a timer: what is still due is due at the next.
    fn apply_timer(&mut self, findings: &mut Findings) -> Change {
        let now = self.now;
        let is_stale =
            |market: &InstrumentMarket| !market.stale && now.since(market.updated) >= market.stale_after;
        let markets = if now < self.stale_at { None } else { Some(self.market.iter_mut()) };
        let gone_stale = markets.into_iter().flatten().find(|(_, market)| is_stale(market));
        if let Some((id, market)) = gone_stale {
            market.stale = true;
            return Change::BookLost(id);
        }
        match self.account.settle_one(now, self.settle_quiet, self.settle_max) {
            Some(instrument) => {
                self.compare_position(instrument, |_| Word::Event, findings);
                Change::Settled(instrument)
            }
            None => Change::None,
        }
    }

    /// A wish gave way to a higher family: its scope has another settled pass, soon.
    #[cold]
    pub(crate) fn defer(&mut self, deferral: &Decision) {
        if let Decision::Deferred { instrument, .. } = deferral {
            self.account.revisit(*instrument, self.now + self.settle_max.later(SHORTEST_REVISIT));
        }
    }

    /// What an owner made of an instrument, valued at the middle of its market; none before its definition is known.
    pub fn profit(&self, owner: StrategyId, instrument: InstrumentId) -> Option<ProfitAndLoss> {
        self.value(instrument, self.execution.position(owner, instrument)?)
    }

    /// What the whole account made of an instrument.
    pub fn account_profit(&self, instrument: InstrumentId) -> Option<ProfitAndLoss> {
        self.value(instrument, self.execution.total(instrument)?)
    }

    /// What a position, or a leg of one, is worth beside what it cost.
    pub fn value(&self, instrument: InstrumentId, position: &Position) -> Option<ProfitAndLoss> {
        let market = self.market.instrument(instrument)?;
        Some(position.profit(market.definition.as_ref()?, market.mark_to()))
    }

    /// What an owner made of all instruments that are quoted in this asset.
    pub fn profit_in(&self, owner: StrategyId, quote: AssetId) -> ProfitAndLoss {
        self.sum_in(quote, |instrument| self.profit(owner, instrument))
    }

    /// What the whole account made of all instruments that are quoted in this asset.
    pub fn account_profit_in(&self, quote: AssetId) -> ProfitAndLoss {
        self.sum_in(quote, |instrument| self.account_profit(instrument))
    }

    fn sum_in(
        &self,
        quote: AssetId,
        profit: impl Fn(InstrumentId) -> Option<ProfitAndLoss>,
    ) -> ProfitAndLoss {
        let quoted = |market: &InstrumentMarket| market.definition.is_some_and(|d| d.quote == quote);
        let quoted = self.market.iter().filter(|(_, market)| quoted(market));
        quoted.filter_map(|(id, _)| profit(id)).fold(ProfitAndLoss::default(), |sum, one| sum + one)
    }

    /// The earliest instant at which this state changes by time alone.
    #[inline]
    pub fn next_deadline(&self) -> Option<Nanos> {
        self.account.next_settle(self.settle_quiet, self.settle_max)
    }

    /// The earliest instant at which some market goes stale.
    pub fn next_staleness(&self) -> Option<Nanos> {
        self.market.iter().filter(|(_, m)| !m.stale).map(|(_, m)| m.updated + m.stale_after).min()
    }
}

/// The target of a gate's verb, or of a drain, that is the calendar's.
const SCHEDULE: u32 = crate::record::Gate::Schedule.code() as u32;

#[inline]
fn definition_of(market: &MarketState, instrument: InstrumentId) -> Option<&InstrumentDefinition> {
    market.instrument(instrument)?.definition.as_ref()
}

#[inline]
fn market_change(id: InstrumentId, change: MarketChange, findings: &mut Findings) -> Change {
    match change {
        MarketChange::Partial => Change::None,
        MarketChange::Top => Change::Top(id),
        MarketChange::Book => Change::Book(id),
        MarketChange::Trade => Change::Trade(id),
        MarketChange::Mark => Change::Mark(id),
        MarketChange::Lost => Change::BookLost(id),
        MarketChange::ChainBroken => {
            findings.add(Finding {
                kind: IncidentKind::BookChainBroken,
                instrument: id,
                order: OrderIndex::NONE,
                ours: 0,
                theirs: 0,
            });
            Change::BookLost(id)
        }
    }
}
