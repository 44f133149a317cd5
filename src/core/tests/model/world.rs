//! A seeded world: markets that move, tear and go silent; a venue that is slow, forgetful and says things twice; people at
//! the controls; strategies that wish anything.
//!
//! It drives a core one event at a time, keeps time as a runtime would (timers come when the core asked), and hands every
//! turn to the twin.

use std::collections::{HashMap, VecDeque};

use linchpin_core::dispatch::{Dispatch, DispatchFlags};
use linchpin_core::event::*;
use linchpin_core::execution::Outbox;
use linchpin_core::id::*;
use linchpin_core::instrument::Product;
use linchpin_core::limits::*;
use linchpin_core::num::*;
use linchpin_core::record::{Ask, Decision, Gate};
use linchpin_core::state;
use linchpin_core::strategy::Strategy;
use linchpin_core::time::Nanos;
use linchpin_core::turn::Core;

use crate::accounts::{Agreement, Balance};
use crate::restless::{Dice, Restless, Wished};
use crate::shadow::Shadow;
use crate::twin::money::{AssetStake, Worth};
use crate::twin::trading::Standing;
use crate::twin::{Counts, Facts, Out, Twin};

#[path = "venue.rs"]
mod venue;

/// Perpetuals at two venues, the second of which may be in hedge mode, and two spot markets of one base at a third.
pub const INSTRUMENTS: u16 = 6;
const VENUE_OF: [VenueId; INSTRUMENTS as usize] =
    [VenueId(0), VenueId(0), VenueId(0), VenueId(1), VenueId(2), VenueId(2)];
const VENUES: [VenueId; 3] = [VenueId(0), VenueId(1), VenueId(2)];
const SPOT: VenueId = VenueId(2);
const QUOTE: AssetId = AssetId(0);
const COIN: AssetId = AssetId(1);
const SPOT_BASE: AssetId = AssetId(3);
const ASSETS: [AssetId; 4] = [QUOTE, COIN, AssetId(2), SPOT_BASE];
/// A lot of the spot base, at 8 decimals.
const LOT: i64 = 100_000;
const DAY: LimitChoice = LimitChoice::Money(1_000_000, 60_000_000);
const STRATEGIES: u8 = 3;
pub const SLOTS: u64 = 10;
/// What a venue counts: so many things.
pub const COUNTS: u8 = 2;

/// What leaves a turn, in its order.
#[derive(Default)]
pub struct Outs(pub Vec<Out>);

impl Outbox for Outs {
    fn dispatch(&mut self, dispatch: &Dispatch) {
        self.0.push(Out::Dispatch(*dispatch));
    }
    fn decision(&mut self, decision: &Decision) {
        self.0.push(Out::Decision(*decision));
    }
    fn ask(&mut self, ask: &Ask) {
        self.0.push(Out::Ask(*ask));
    }
}

/// An order as the venue has it.
#[derive(Clone, Copy, Debug)]
struct Resting {
    id: ClientOrderId,
    number: u64,
    venue: VenueId,
    instrument: InstrumentId,
    side: Side,
    leg: PositionSide,
    kind: OrderKind,
    /// It waits for its trigger no longer.
    active: bool,
    reduces: bool,
    closes_whole: bool,
    expires: Nanos,
    price: i64,
    quantity: i64,
    done: i64,
    status: VenueStatus,
}

impl Resting {
    fn is_open(&self) -> bool {
        matches!(self.status, VenueStatus::New | VenueStatus::PartiallyFilled)
    }
}

struct Recipe {
    configuration: Configuration,
    strategies: Vec<Dice>,
}

impl Recipe {
    fn core(&self, wished: &Wished) -> Core {
        let strategy = |dice: &Dice| -> Box<dyn Strategy> { Box::new(Restless::new(*dice, wished.clone())) };
        Core::new(self.configuration.clone(), self.strategies.iter().map(strategy).collect())
    }
}

/// Changes the facts before the twin sees them; true when it found something to change.
pub type Doctor = fn(&mut Facts) -> bool;

pub struct World {
    pub core: Core,
    pub twin: Twin,
    /// What the core was made from, to make another.
    recipe: Recipe,
    wished: Wished,
    /// A core loaded from a snapshot of the first, while it proves itself.
    shadow: Option<Shadow>,
    dice: Dice,
    now: Nanos,
    deadline: Nanos,
    sequence: u64,
    updates: Vec<u64>,
    middles: Vec<i64>,
    /// Requests that the venue has not handled yet.
    wire: Vec<Dispatch>,
    /// Messages on their way to us, in no order.
    pool: Vec<(VenueId, InstrumentId, Nanos, Body)>,
    book: HashMap<ClientOrderId, Resting>,
    ids: Vec<ClientOrderId>,
    /// By instrument and leg.
    positions: Vec<[i64; 3]>,
    /// The spot account's base asset, at 8 decimals.
    coins: i64,
    trades: u64,
    asks: Vec<Ask>,
    /// A read-back that is being delivered.
    reading: Vec<VecDeque<(InstrumentId, Body)>>,
    pub doctor: Option<Doctor>,
    /// Everything that left, folded, for the second run.
    pub output: u64,
    /// The latest events and what they gave, for a failure's report.
    log: VecDeque<(u64, Nanos, Event, Vec<Out>)>,
}

/// A limit's values, or none.
enum LimitChoice {
    Money(i64, i64),
}

fn money(dice: &mut Dice, choice: &LimitChoice, chance: u64) -> i64 {
    let LimitChoice::Money(least, most) = choice;
    if dice.percent(chance) { dice.between(*least, *most) } else { 0 }
}

const EXPOSURE: LimitChoice = LimitChoice::Money(300_000_000, 3_000_000_000);

fn configuration(dice: &mut Dice) -> Configuration {
    let instrument = |venue: VenueId, dice: &mut Dice| InstrumentLimits {
        venue,
        max_order_quantity: Quantity::new(dice.between(15, 200)),
        max_order_notional: Notional::new(i128::from(dice.between(15_000, 200_000))),
        max_position: Quantity::new(dice.between(20, 150)),
        max_open_orders: dice.between(2, 12) as u32,
        collar: dice.below(3) as u32 * 300,
        stale_after: Nanos::from_millis(dice.between(200, 5_000) as u64),
        max_position_notional: money(dice, &EXPOSURE, 25),
        leverage: if dice.percent(40) { dice.between(1, 20) as u32 } else { 0 },
        quote_worth: dice.one_of(&[0, 0, 133_333_333, 7_000_001]),
        claimant: None,
    };
    let bucket = |dice: &mut Dice| BucketLimit {
        burst: dice.between(4, 20) as u32,
        refill: dice.between(5, 60) as u32,
        interval: Nanos::from_millis(dice.between(100, 2_000) as u64),
        costs: [1, dice.between(1, 2) as u16, dice.below(2) as u16],
        cancel_reserve: dice.below(3) as u32,
        per: dice.one_of(&[
            BucketScope::Venue,
            BucketScope::Venue,
            BucketScope::Instrument,
            BucketScope::Session,
        ]),
        counted_as: dice.percent(60).then(|| dice.below(u64::from(COUNTS)) as u8),
    };
    let strategy = |instruments: Vec<u16>, dice: &mut Dice| StrategyLimits {
        instruments,
        max_open_orders: dice.between(3, 12) as u32,
        max_intents_per_second: if dice.percent(10) { 60 } else { 0 },
        max_daily_loss: money(dice, &DAY, 40),
        max_drawdown: money(dice, &DAY, 20),
        max_gross: money(dice, &EXPOSURE, 30),
        max_net: money(dice, &EXPOSURE, 30),
        duplicate_within: Nanos::from_millis(dice.one_of(&[0, 0, 500])),
        max_order_age: Nanos::from_millis(dice.one_of(&[0, 0, 400, 3_000])),
        max_messages_per_fill: dice.one_of(&[0, 0, 8, 15]),
        message_window: Nanos::from_millis(dice.one_of(&[500, 2_000])),
        message_minimum: dice.between(10, 30) as u32,
    };
    let venue = |hedged: bool, dice: &mut Dice| VenueLimits {
        buckets: (0..dice.below(3)).map(|_| bucket(dice)).collect(),
        max_open_orders: if dice.percent(30) { dice.between(4, 14) as u32 } else { 0 },
        least_validity: Nanos::from_millis(dice.one_of(&[0, 600])),
        position_mode: if hedged { PositionMode::Hedge } else { PositionMode::OneWay },
    };
    let hedged = dice.percent(60);
    let configuration = Configuration {
        run_tag: *b"model",
        venues: vec![venue(false, dice), venue(hedged, dice), venue(false, dice)],
        instruments: VENUE_OF.into_iter().map(|venue| instrument(venue, dice)).collect(),
        strategies: vec![
            strategy(vec![0, 1, 3, 4], dice),
            strategy(vec![0, 2, 5], dice),
            strategy(vec![1, 2, 3, 4], dice),
        ],
        account: AccountLimits {
            max_gross: money(dice, &EXPOSURE, 15),
            max_net: money(dice, &EXPOSURE, 15),
            max_daily_loss: money(dice, &DAY, 15),
            max_drawdown: money(dice, &DAY, 15),
            on_loss: dice.one_of(LossAnswer::ALL),
        },
        order_rows: 1 << 14,
        book_levels: 512,
        settle_quiet: Nanos::from_millis(dice.below(4)),
        settle_max: Nanos::from_millis(10),
        confirmation_timeout: Nanos::from_millis(dice.between(200, 2_000) as u64),
        visibility_delay: Nanos::from_millis(dice.between(100, 1_000) as u64),
        recovery_attempts: dice.between(2, 6) as u32,
        trading_enabled: true,
        killed: false,
        state_hash_every: 64,
        ..Configuration::default()
    };
    with_claims(configuration, dice)
}

/// Half of the instruments have a strategy that claims what strangers do there.
fn with_claims(mut configuration: Configuration, dice: &mut Dice) -> Configuration {
    for (at, limits) in (0u16..).zip(&mut configuration.instruments) {
        let trades =
            |strategy: &u8| configuration.strategies[usize::from(*strategy)].instruments.contains(&at);
        let own: Vec<u8> = (0..STRATEGIES).filter(trades).collect();
        limits.claimant = dice.percent(50).then(|| StrategyId(dice.one_of(&own)));
    }
    configuration
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::deaf(seed, |_| {})
    }

    /// The core's configuration lacks something that the twin's has.
    pub fn deaf(seed: u64, deafen: impl Fn(&mut Configuration)) -> Self {
        let mut dice = Dice::new(seed);
        let honest = configuration(&mut dice);
        let mut configuration = honest.clone();
        deafen(&mut configuration);
        let dice_of = |at: u8| Dice::new(dice.roll() ^ u64::from(at));
        let recipe = Recipe { strategies: (0..STRATEGIES).map(dice_of).collect(), configuration };
        let instruments = usize::from(INSTRUMENTS);
        let wished = Wished::default();
        Self {
            twin: Twin::new(&honest),
            core: recipe.core(&wished),
            recipe,
            wished,
            shadow: None,
            dice,
            now: Nanos::from_secs(1_000),
            deadline: Nanos::MAX,
            sequence: 0,
            updates: vec![100; instruments],
            middles: vec![1_000; instruments],
            wire: Vec::new(),
            pool: Vec::new(),
            book: HashMap::new(),
            ids: Vec::new(),
            positions: vec![[0; 3]; instruments],
            coins: 60 * LOT,
            trades: 0,
            asks: Vec::new(),
            reading: vec![VecDeque::new(); VENUES.len()],
            doctor: None,
            output: 0,
            log: VecDeque::new(),
        }
    }

    /// Runs so many steps; the first difference ends it, with what came before.
    pub fn run(&mut self, steps: u64) -> Result<Counts, String> {
        let outcome = self.start().and_then(|()| (0..steps).try_for_each(|_| self.step()));
        let outcome =
            outcome.and_then(|()| self.twin.ledger.recount(&self.facts(None, Outs::default()).owners));
        match outcome {
            Ok(()) => Ok(self.twin.counts),
            Err(why) => {
                let line = |(sequence, given, event, outs): &(u64, Nanos, Event, Vec<Out>)| {
                    format!("{sequence} {given:?} {event:?}\n    -> {outs:?}")
                };
                let last: Vec<String> = self.log.iter().map(line).collect();
                Err(format!("event {}: {why}\nbefore it:\n{}", self.sequence, last.join("\n")))
            }
        }
    }

    fn start(&mut self) -> Result<(), String> {
        for at in 0..INSTRUMENTS {
            let venue = self.venue_of(InstrumentId(at));
            let body = Body::Instrument(definition(InstrumentId(at)));
            self.give(venue, InstrumentId(at), body)?;
        }
        for venue in VENUES {
            for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
                self.link(venue, link, LinkState::Up)?;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        self.pass()?;
        match self.dice.below(1000) {
            0..300 => self.market(),
            300..560 => self.deliver(),
            560..730 => {
                self.handle();
                Ok(())
            }
            730..820 => {
                self.trade();
                Ok(())
            }
            820..835 => {
                self.end_one();
                Ok(())
            }
            835..842 => {
                self.stranger();
                Ok(())
            }
            842..950 => self.read_back(),
            950..970 => self.nonsense(),
            970..980 => self.say_balance(),
            980..983 => {
                let venue = self.dice.one_of(&VENUES);
                let kind = [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private];
                let kind = kind[self.dice.below(3) as usize];
                self.link(venue, kind, LinkState::Down)
            }
            983..989 => {
                for venue in VENUES {
                    for kind in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
                        self.link(venue, kind, LinkState::Up)?;
                    }
                }
                Ok(())
            }
            _ => self.operate(),
        }
    }

    /// Time passes; timers come due as the core asked.
    fn pass(&mut self) -> Result<(), String> {
        let span = match self.dice.below(1000) {
            0..960 => self.dice.below(2_000_000),
            960..998 => self.dice.below(100_000_000),
            _ => self.dice.below(6_000_000_000),
        };
        let until = self.now + Nanos::new(span);
        let mut in_a_row = 0;
        while self.deadline <= until {
            in_a_row = if self.deadline <= self.now { in_a_row + 1 } else { 0 };
            if in_a_row > 40 {
                return Err(format!("obligation: {:?} is due again and again", self.deadline));
            }
            self.now = self.now.max(self.deadline);
            let due = self.deadline;
            self.give(VenueId(0), InstrumentId::NONE, Body::Timer(Timer { due }))?;
        }
        self.now = until;
        Ok(())
    }

    // ---- events ----

    fn give(&mut self, venue: VenueId, instrument: InstrumentId, body: Body) -> Result<(), String> {
        self.give_at(venue, instrument, self.now, body)
    }

    fn give_at(
        &mut self,
        venue: VenueId,
        instrument: InstrumentId,
        stamp: Nanos,
        body: Body,
    ) -> Result<(), String> {
        self.sequence += 1;
        let mut event = Event::new(self.now, Source::Receiver, body).on(venue, instrument);
        event.event_time = stamp;
        // Sometimes the feeds merge a stamp that is a little behind.
        let given = if self.dice.percent(2) { self.now - Nanos::from_micros(50) } else { self.now };
        let mut outs = Outs::default();
        self.deadline = self.core.turn(self.sequence, given, &event, &mut outs);
        self.compare_with_shadow(given, &event, &outs.0)?;
        if self.log.len() > 12 {
            self.log.pop_front();
        }
        self.log.push_back((self.sequence, given, event, outs.0.clone()));
        for out in &outs.0 {
            match out {
                Out::Dispatch(dispatch) => self.wire.push(*dispatch),
                Out::Ask(ask) => self.asks.push(*ask),
                Out::Decision(Decision::StateHash { hash }) => {
                    self.output = self.output.rotate_left(5) ^ hash;
                }
                Out::Decision(_) => {}
            }
        }
        self.output = self.output.wrapping_mul(31).wrapping_add(outs.0.len() as u64);
        let named = match &event.body {
            Body::Order(report) => Some(report.client_order_id),
            Body::Outcome(outcome) => Some(outcome.client_order_id),
            Body::NotSent(not_sent) => Some(not_sent.client_order_id),
            _ => None,
        };
        let mut facts = self.facts(named, outs);
        facts.wishes = self.wished.take();
        if let Some(doctor) = self.doctor
            && doctor(&mut facts)
        {
            self.doctor = None;
        }
        self.twin.step(given, &event, &facts)
    }

    /// Now and then a fresh core takes over a snapshot and must do the same for a while.
    fn compare_with_shadow(&mut self, given: Nanos, event: &Event, outs: &[Out]) -> Result<(), String> {
        if let Some(shadow) = &mut self.shadow {
            let proven = shadow.turn((self.sequence, given, event), (outs, self.deadline), &self.core)?;
            if proven {
                self.shadow = None;
            }
        }
        // Where it begins is no throw of the dice, so that episodes stay what they were.
        let begins = (self.sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).is_multiple_of(700);
        if begins && self.shadow.is_none() {
            self.shadow = Some(Shadow::of(&self.core, self.recipe.core(&Wished::default()), 250)?);
            self.twin.counts.snapshots += 1;
        }
        Ok(())
    }

    fn facts(&self, named: Option<ClientOrderId>, outs: Outs) -> Facts {
        let state = self.core.state();
        let execution = &state.execution;
        let instruments = || (0..INSTRUMENTS).map(InstrumentId);
        let owners = || (0..STRATEGIES).map(StrategyId).chain([StrategyId::EXTERNAL]);
        let legs = |owner| {
            let of = move |id| [PositionSide::Long, PositionSide::Short].map(|leg| (id, leg));
            let hedged = instruments().filter(|id| execution.is_hedged(*id));
            hedged.flat_map(of).map(|(id, leg)| (id, leg, *execution.leg(owner, id, leg).unwrap())).collect()
        };
        let stakes = &execution.stakes;
        let worth = |worth: state::stakes::Worth| Worth {
            gross: worth.gross.raw(),
            long: worth.long.raw(),
            short: worth.short.raw(),
            realised: worth.realised.raw(),
            marked: worth.marked.raw(),
        };
        let asset = |(venue, asset): (VenueId, AssetId)| {
            let stake = stakes.asset(venue, asset);
            let [bound, margin, unrealised] =
                [stake.bound, stake.margin, stake.unrealised].map(|cash| cash.raw());
            ((venue, asset), AssetStake { bound, margin, unrealised })
        };
        let trading = &state.control.trading;
        let standing = |strategy| {
            let standing = trading.standing(strategy).unwrap();
            Standing { state: standing.state, tripped: standing.tripped }
        };
        let market = |id: InstrumentId| state.market.instrument(id).unwrap();
        Facts {
            sequence: state.sequence,
            now: state.now,
            deadline: self.deadline,
            outs: outs.0,
            wishes: Vec::new(),
            live: execution.orders.live_orders().map(|(_, order)| *order).collect(),
            unresolved: execution
                .orders
                .unresolved()
                .iter()
                .filter_map(|index| execution.orders.order(*index).map(|order| order.client_order_id))
                .collect(),
            named: named
                .and_then(|id| execution.orders.find(&id))
                .and_then(|index| execution.orders.order(index).copied()),
            owners: owners()
                .map(|owner| instruments().map(|id| *execution.position(owner, id).unwrap()).collect())
                .collect(),
            legs: owners().map(legs).collect(),
            worths: (0..=stakes.account()).map(|owner| worth(stakes.total(owner))).collect(),
            assets: VENUES
                .into_iter()
                .flat_map(|venue| ASSETS.map(|asset| (venue, asset)))
                .map(asset)
                .collect(),
            standings: [StrategyId::NONE]
                .into_iter()
                .chain((0..STRATEGIES).map(StrategyId))
                .map(standing)
                .collect(),
            flattening: state.control.flattening,
            trust: state.control.venues().map(|(_, venue)| venue.account).collect(),
            totals: execution.totals().map(|(_, total)| *total).collect(),
            exposures: instruments().map(|id| execution.exposure(id)).collect(),
            open_by_strategy: (0..STRATEGIES).map(|at| execution.open_counts().of(StrategyId(at))).collect(),
            queue: execution.queue.iter().copied().collect(),
            tops: instruments().map(|id| market(id).top.map(|top| (top.bid, top.ask))).collect(),
            trusted: instruments().map(|id| market(id).is_trusted()).collect(),
            settled: instruments().map(|id| state.account.is_settled(id)).collect(),
            agreement: instruments()
                .map(|id| match execution.agreement(id) {
                    state::execution::Agreement::Agrees => Agreement::Agrees,
                    state::execution::Agreement::DiffersSince(_) => Agreement::Differs,
                    state::execution::Agreement::Inconsistent => Agreement::Inconsistent,
                })
                .collect(),
            balances: state
                .account
                .balances()
                .map(|(venue, asset, known)| {
                    let available = known.available.map(|available| available.raw());
                    let unassigned = known.unassigned_funding.raw();
                    (venue, asset, Balance { wallet: known.wallet.raw(), available, unassigned })
                })
                .collect(),
        }
    }

    fn link(&mut self, venue: VenueId, link: LinkKind, state: LinkState) -> Result<(), String> {
        let change = LinkChange { link, state, reason: LinkReason::None, connection: 0 };
        self.give(venue, InstrumentId::NONE, Body::Link(change))
    }

    fn market(&mut self) -> Result<(), String> {
        let at = self.dice.below(u64::from(INSTRUMENTS)) as usize;
        let id = InstrumentId(at as u16);
        let venue = self.venue_of(id);
        self.middles[at] = (self.middles[at] + self.dice.between(-2, 2)).clamp(500, 2_000);
        let middle = self.middles[at];
        let level = |dice: &mut Dice, price: i64, chance: u64| {
            let quantity = if dice.percent(chance) { 0 } else { dice.between(1, 50) };
            Level { price: Price::new(price), quantity: Quantity::new(quantity) }
        };
        let crossed = if self.dice.percent(2) { 5 } else { 0 };
        let known = self.core.state().market.instrument(id).unwrap();
        let lost =
            known.last_update == 0 || matches!(known.sync, linchpin_core::state::market::BookSync::Lost(_));
        let last = self.updates[at];
        match self.dice.below(100) {
            0..35 => {
                let bid = level(&mut self.dice, middle - 1 + crossed, 0);
                let ask = level(&mut self.dice, middle + 1, 0);
                let update_id = if self.dice.percent(10) { last.saturating_sub(3) } else { last };
                self.give(venue, id, Body::BookTicker(BookTicker { update_id, bid, ask }))
            }
            35..85 => {
                let snapshot = (lost && self.dice.percent(60)) || self.dice.percent(3);
                self.updates[at] = last + 1 + self.dice.below(3);
                let gap = if self.dice.percent(2) { 1 } else { 0 };
                let parts = self.dice.below(3);
                let chance = if snapshot { 0 } else { 40 };
                let mut levels = [Level::default(); Depth::LEVELS];
                let bids = 2 - self.dice.below(2);
                for (place, slot) in levels.iter_mut().enumerate() {
                    let off = self.dice.between(1, 6);
                    let price = if (place as u64) < bids { middle - off + crossed } else { middle + off };
                    *slot = level(&mut self.dice, price, chance);
                }
                let part = DepthPart { count: 3, bids: bids as u8, snapshot, last: parts == 0 };
                let depth = Depth {
                    first_update: last + 1,
                    last_update: self.updates[at],
                    previous_update: last + gap,
                    part,
                    levels,
                };
                self.give(venue, id, Body::Depth(depth))?;
                for number in 0..parts {
                    let mut levels = [Level::default(); DepthMore::LEVELS];
                    for (place, slot) in levels.iter_mut().enumerate() {
                        let off = self.dice.between(1, 12);
                        let price = if place < 2 { middle - off } else { middle + off };
                        *slot = level(&mut self.dice, price, chance);
                    }
                    let part = DepthPart { count: 5, bids: 2, snapshot, last: number + 1 == parts };
                    if !self.dice.permille(15) {
                        self.give(venue, id, Body::DepthMore(DepthMore { part, levels }))?;
                    }
                }
                Ok(())
            }
            85..88 => self.give(venue, id, Body::BookLost(BookLoss::Gap)),
            88..91 => {
                let mark = (middle + self.dice.between(-3, 3)) * 10_000_000 + self.dice.between(0, 9_999_999);
                let mark = MarkPrice { mark, index: mark, funding_rate: 0, next_funding: Nanos::ZERO };
                self.give(venue, id, Body::MarkPrice(mark))
            }
            _ => {
                let aggressor = self.dice.side();
                let quantity = Quantity::new(self.dice.between(1, 9));
                let trade = Trade { trade_id: last, price: Price::new(middle), quantity, aggressor };
                self.give(venue, id, Body::Trade(trade))
            }
        }
    }

    /// A message that contradicts others or itself, or names what is not there.
    fn nonsense(&mut self) -> Result<(), String> {
        if self.dice.percent(4) {
            return self.other_mode();
        }
        let mut known: Vec<ClientOrderId> =
            self.core.state().execution.orders.live_orders().map(|o| o.1.client_order_id).collect();
        known.extend(self.ids.iter().rev().take(3));
        if known.is_empty() || self.dice.percent(70) {
            return Ok(());
        }
        let id = known[self.dice.below(known.len() as u64) as usize];
        let Some(order) = self.book.get(&id).copied() else { return Ok(()) };
        let execution = Execution::ALL[self.dice.below(Execution::ALL.len() as u64) as usize];
        let status = VenueStatus::ALL[self.dice.below(VenueStatus::ALL.len() as u64) as usize];
        let mut report = self.report(&order, execution, 0, ReportFlags::default());
        report.status = status;
        report.quantity = Quantity::new(self.dice.between(0, order.quantity + 2));
        report.cumulative_quantity = Quantity::new(self.dice.between(0, order.quantity + 2));
        report.last_quantity = Quantity::new(self.dice.between(0, 3));
        report.last_price = Price::new(self.dice.between(900, 1_100));
        report.trade_id = if self.dice.percent(50) { self.dice.below(self.trades + 1) } else { 0 };
        let stamp = self.now - Nanos::from_millis(self.dice.below(50));
        self.give_at(order.venue, order.instrument, stamp, Body::Order(report))
    }

    /// A position in another mode than configured.
    fn other_mode(&mut self) -> Result<(), String> {
        let instrument = InstrumentId(self.dice.below(4) as u16);
        let hedged = self.core.state().execution.is_hedged(instrument);
        let side = if hedged {
            PositionSide::Both
        } else {
            self.dice.one_of(&[PositionSide::Long, PositionSide::Short])
        };
        let quantity = Quantity::new(self.dice.between(-3, 3));
        let report = PositionReport { quantity, entry_price: 0, unrealised: 0, side, hydrated: false };
        self.give(self.venue_of(instrument), instrument, Body::Position(report))
    }

    // ---- people ----

    fn operate(&mut self) -> Result<(), String> {
        let (verb, target) = match self.dice.below(100) {
            0..4 => (ControlVerb::DisableTrading, 0),
            4..28 => (ControlVerb::EnableTrading, 0),
            28..34 => (ControlVerb::Kill, self.dice.below(3) as u32),
            34..58 => (ControlVerb::ResetKill, 0),
            58..60 => (ControlVerb::CancelAll, 0),
            60..63 => (ControlVerb::Flatten, 0),
            63..74 => {
                let strategy = self.dice.below(u64::from(STRATEGIES)) as u32;
                let target = if self.dice.percent(25) { Control::EVERYBODY } else { strategy };
                let state = if self.dice.percent(60) { 0 } else { self.dice.below(3) as i64 };
                return self.command(ControlVerb::SetTradingState, target, state);
            }
            74..79 => (ControlVerb::BeginDay, 0),
            79..80 if self.dice.percent(40) => (ControlVerb::Drain, 0),
            80..85 => return self.change_limit(),
            85..88 => (ControlVerb::CloseGate, self.gate()),
            88..89 => (ControlVerb::ReadBack, 0),
            _ => {
                for gate in GATES {
                    self.control(ControlVerb::OpenGate, u32::from(gate.code()))?;
                }
                return Ok(());
            }
        };
        self.control(verb, target)
    }

    fn change_limit(&mut self) -> Result<(), String> {
        let at = self.dice.below(3) as u16;
        let (exposure, day) = (money(&mut self.dice, &EXPOSURE, 50), money(&mut self.dice, &DAY, 50));
        let dice = &mut self.dice;
        let (key, value) = match dice.below(17) {
            0 => (LimitKey::MaxOrderQuantity, dice.between(15, 200)),
            1 => (LimitKey::MaxPosition, dice.between(20, 150)),
            2 => (LimitKey::InstrumentMaxOpenOrders, dice.between(2, 12)),
            3 => (LimitKey::Collar, dice.between(0, 2) * 300),
            4 => (LimitKey::StrategyMaxOpenOrders, dice.between(3, 12)),
            5 => (LimitKey::MaxIntentsPerSecond, if dice.percent(30) { 60 } else { 0 }),
            6 => (LimitKey::MaxPositionNotional, exposure),
            7 => (LimitKey::Leverage, dice.between(1, 20)),
            8 => (LimitKey::MaxDailyLoss, day),
            9 => (LimitKey::MaxDrawdown, day),
            10 => (LimitKey::MaxGross, exposure),
            11 => (LimitKey::MaxNet, exposure),
            12 => (LimitKey::VenueMaxOpenOrders, dice.between(4, 14)),
            13 => (LimitKey::AccountMaxGross, exposure),
            14 => (LimitKey::AccountMaxNet, exposure),
            15 => (LimitKey::AccountMaxDailyLoss, day),
            _ => (LimitKey::AccountMaxDrawdown, day),
        };
        let at = if matches!(key.scope(), LimitScope::Account) { 0 } else { at };
        self.twin.counts.limits += 1;
        let control =
            Control { verb: ControlVerb::SetLimit, target: key.target(at), old: 0, new: value, who: 0 };
        self.give(VenueId(0), InstrumentId::NONE, Body::Control(control))
    }

    fn gate(&mut self) -> u32 {
        u32::from(self.dice.one_of(&GATES).code())
    }

    fn control(&mut self, verb: ControlVerb, target: u32) -> Result<(), String> {
        self.command(verb, target, 0)
    }

    fn command(&mut self, verb: ControlVerb, target: u32, new: i64) -> Result<(), String> {
        let control = Control { verb, target, old: 0, new, who: 0 };
        self.give(VenueId(0), InstrumentId::NONE, Body::Control(control))
    }

    fn venue_of(&self, instrument: InstrumentId) -> VenueId {
        VENUE_OF[instrument.index()]
    }
}

const GATES: [Gate; 4] = [Gate::Journal, Gate::Clock, Gate::Operator, Gate::Schedule];

fn definition(instrument: InstrumentId) -> linchpin_core::instrument::InstrumentDefinition {
    let (product, base, quote) = match instrument.0 {
        4 => (Product::Spot, SPOT_BASE, QUOTE),
        5 => (Product::Spot, SPOT_BASE, AssetId(2)),
        _ => (Product::LinearPerpetual, COIN, QUOTE),
    };
    linchpin_core::instrument::InstrumentDefinition {
        min_price: Price::new(5),
        max_price: Price::new(2_500),
        min_quantity: Quantity::new(1),
        max_quantity: Quantity::new(300),
        max_market_quantity: Quantity::new(25),
        min_notional: CASH_UNIT / 100,
        product,
        base,
        quote,
        ..crate::desk::definition()
    }
}
