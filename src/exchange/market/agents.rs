//! The seeded market: noise, market makers and arbitrageurs around a fair price that wanders, with bursts of momentum and a rare sweep.
//!
//! All agents are the house (account 0) and trade through the same matching as everybody else. Integers only, one generator per instrument:
//! the same seed and the same commands at the same times give the same market. What one action is:
//!
//! | of a thousand | agent | does |
//! |---|---|---|
//! | first of all, every second time | arbitrageur | takes quotes that the fair price has left behind |
//! | 180 | noise taker | a small market order, with the burst's direction when there is one |
//! | 4 | sweep | a market order through a few levels |
//! | rest, a side too thin | market maker | limit orders: near the touch, or anywhere in the book |
//! | rest, else | market maker | a new order near the touch, or the cancel of an older one |
//! | also, side too deep | | the farthest order goes |

use super::super::api::PositionSide;
use super::super::api::{AccountId, AgentsConfig, SelfTradePrevention, Side, SymbolSpec};
use super::super::book::{Book, Resting};
use super::super::decimal::Decimal;
use super::super::engine::Exchange;
use super::super::instrument::Liquidity;
use super::super::matching::{Outcome, Taker};
use super::super::orders::SymbolIndex;
use super::Market;
use super::dice::{Dice, splitmix};

/// Fraction bits of the fair price, which is in ticks.
const FAIR_BITS: u32 = 8;
/// What one unit of an agent's quantity is worth, about, in quote.
const UNIT_NOTIONAL: i64 = 300;
/// Orders of one side that a desk remembers; older ones are cancelled.
const REMEMBERED: usize = 1_024;

/// The agents of one instrument.
pub struct Desk {
    pub next_ns: u64,
    symbol: SymbolIndex,
    dice: Dice,
    mean_gap_ns: u64,
    levels: usize,
    tick: Decimal,
    unit: Decimal,
    /// Ticks, with `FAIR_BITS` of fraction.
    fair: i64,
    anchor: i64,
    /// Drift per action while `burst` actions remain.
    drift: i64,
    burst: i64,
    bids: Vec<u64>,
    asks: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Quote {
        side: Side,
        price: Decimal,
        quantity: Decimal,
    },
    /// Up to `limit`, the rest forgotten.
    Take {
        side: Side,
        limit: Decimal,
        quantity: Decimal,
    },
    Cancel {
        order_id: u64,
    },
}

impl Desk {
    pub fn new(config: &AgentsConfig, index: usize, spec: &SymbolSpec, now: u64) -> Desk {
        let tick = spec.filters.tick_size;
        let step = spec.filters.step_size;
        let anchor = (spec.reference_price.0 / tick.0) << FAIR_BITS;
        let step_notional = spec.reference_price.times(step).0.max(1);
        let lots = (UNIT_NOTIONAL * Decimal::SCALE / step_notional).max(1);
        Desk {
            next_ns: now,
            symbol: SymbolIndex(index),
            dice: Dice::new(config.seed ^ splitmix(index as u64)),
            mean_gap_ns: 1_000_000_000 / u64::from(config.actions_per_second.clamp(1, 100_000)),
            levels: config.levels.clamp(5, 1_000) as usize,
            tick,
            unit: Decimal(step.0.saturating_mul(lots)),
            fair: anchor,
            anchor,
            drift: 0,
            burst: 0,
            bids: Vec::new(),
            asks: Vec::new(),
        }
    }

    /// The book before the first moment.
    fn opening(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for level in 0..self.levels as i64 {
            for side in [Side::Buy, Side::Sell] {
                for _ in 0..1 + self.dice.below(3) {
                    let ticks = self.fair_ticks() + away(side, level + i64::from(side == Side::Sell));
                    actions.push(self.quote(side, ticks, level));
                }
            }
        }
        actions
    }

    /// What the agents do next, given the book.
    fn act(&mut self, book: &Book) -> Vec<Action> {
        self.schedule();
        self.wander();
        let mut actions = Vec::new();
        if self.dice.per_mille(500)
            && let Some(action) = self.arbitrage(book)
        {
            actions.push(action);
            return actions;
        }
        let throw = self.dice.below(1000);
        let side = if self.dice.per_mille(500) { Side::Buy } else { Side::Sell };
        match throw {
            0..180 => actions.extend(self.noise(book)),
            180..184 => actions.extend(self.sweep(book, side)),
            _ => {
                let thinner =
                    if book.depth(Side::Buy) < book.depth(Side::Sell) { Side::Buy } else { Side::Sell };
                let starved = book.depth(thinner) < self.levels * 4 / 5;
                for _ in 0..if starved { 3 } else { 1 } {
                    actions.push(self.make(book, if starved { thinner } else { side }));
                }
            }
        }
        if book.depth(side) > self.levels + self.levels / 2
            && let Some(order_id) = farthest(book, side)
        {
            actions.push(Action::Cancel { order_id });
        }
        actions
    }

    fn schedule(&mut self) {
        let mean = self.mean_gap_ns;
        // Activity comes in clusters: three gaps in ten are short.
        let gap = if self.dice.per_mille(300) {
            self.dice.below(mean / 8 + 1)
        } else {
            self.dice.below(mean * 21 / 8 + 1)
        };
        self.next_ns += gap.max(1);
    }

    /// The fair price takes a step: noise, a burst's drift, and a weak pull home.
    fn wander(&mut self) {
        if self.burst > 0 {
            self.burst -= 1;
        } else {
            self.drift = 0;
            if self.dice.per_mille(4) {
                self.burst = self.dice.between(20, 120);
                self.drift = self.dice.between(60, 300) * if self.dice.per_mille(500) { 1 } else { -1 };
            }
        }
        let noise = self.dice.between(-280, 280);
        let home = (self.anchor - self.fair) >> 14;
        self.fair = (self.fair + noise + self.drift + home).clamp(self.anchor / 2, self.anchor * 2);
    }

    /// Takes what stands on the wrong side of the fair price.
    fn arbitrage(&mut self, book: &Book) -> Option<Action> {
        let fair = self.fair_ticks();
        let bound = |ticks: i64| Decimal(ticks.saturating_mul(self.tick.0));
        if let Some((ask, quantity)) = book.best(Side::Sell)
            && ask < bound(fair - 1)
        {
            return Some(Action::Take {
                side: Side::Buy,
                limit: bound(fair - 1),
                quantity: self.some_of(quantity),
            });
        }
        let (bid, quantity) = book.best(Side::Buy)?;
        if bid > bound(fair + 1) {
            return Some(Action::Take {
                side: Side::Sell,
                limit: bound(fair + 1),
                quantity: self.some_of(quantity),
            });
        }
        None
    }

    fn noise(&mut self, book: &Book) -> Option<Action> {
        let buys = match self.drift.signum() {
            1 => 800,
            -1 => 200,
            _ => 500,
        };
        let side = if self.dice.per_mille(buys) { Side::Buy } else { Side::Sell };
        let (price, _) = book.best(side.opposite())?;
        let most = if self.dice.per_mille(100) { 80 } else { 12 };
        let quantity = self.units(1, most);
        // A noise taker walks a few ticks at most.
        let limit = Decimal(price.0 + away(side.opposite(), 5) * self.tick.0);
        Some(Action::Take { side, limit, quantity })
    }

    fn sweep(&mut self, book: &Book, side: Side) -> Option<Action> {
        let count = self.dice.between(2, 8) as usize;
        let swept: Vec<_> = book.levels(side.opposite()).take(count).collect();
        let limit = swept.last()?.0;
        Some(Action::Take { side, limit, quantity: swept.iter().map(|(_, quantity)| *quantity).sum() })
    }

    fn make(&mut self, book: &Book, side: Side) -> Action {
        let thin = book.depth(side) < self.levels;
        if !thin
            && self.dice.per_mille(450)
            && let Some(order_id) = self.an_older_order(side)
        {
            return Action::Cancel { order_id };
        }
        let wide = book
            .best(Side::Buy)
            .zip(book.best(Side::Sell))
            .is_some_and(|(bid, ask)| ask.0 - bid.0 > self.tick);
        let eager = wide && self.dice.per_mille(600);
        let deep = self.dice.per_mille(if thin { 600 } else { 150 });
        let distance = match (eager, deep) {
            // A wide spread is an invitation to quote inside it.
            (true, _) => 0,
            (false, true) => self.dice.between(1, self.levels as i64 * 5 / 4),
            (false, false) => self.dice.run(450, 8),
        };
        // Passive: never across the other side's best, and not beyond the fair price.
        let opposite = book.best(side.opposite()).map(|(price, _)| price.0 / self.tick.0);
        let ticks = match side {
            Side::Buy => opposite.map_or(self.fair_ticks(), |ask| (ask - 1).min(self.fair_ticks())),
            Side::Sell => opposite.map_or(self.fair_ticks() + 1, |bid| (bid + 1).max(self.fair_ticks() + 1)),
        };
        self.quote(side, ticks + away(side, distance), distance)
    }

    fn quote(&mut self, side: Side, ticks: i64, distance: i64) -> Action {
        let most = if distance < 3 { 50 } else { 120 };
        Action::Quote {
            side,
            price: Decimal(ticks.max(1).saturating_mul(self.tick.0)),
            quantity: self.units(1, most),
        }
    }

    fn an_older_order(&mut self, side: Side) -> Option<u64> {
        let remembered = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        let older = remembered.len() as u64 * 3 / 4;
        (older > 0).then(|| remembered.remove(self.dice.below(older) as usize))
    }

    fn remember(&mut self, side: Side, order_id: u64) -> Option<u64> {
        let remembered = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        remembered.push(order_id);
        (remembered.len() > REMEMBERED).then(|| remembered.remove(0))
    }

    fn units(&mut self, least: i64, most: i64) -> Decimal {
        Decimal(self.unit.0.saturating_mul(self.dice.between(least, most)))
    }

    fn some_of(&mut self, quantity: Decimal) -> Decimal {
        quantity.max(self.unit)
    }

    fn fair_ticks(&self) -> i64 {
        self.fair >> FAIR_BITS
    }
}

impl Exchange {
    /// Lets the agents of every instrument build a book; nobody has seen anything before it stands.
    pub(in super::super) fn open_agents(&mut self) {
        let Market::Agents(desks) = &mut self.market else { return };
        let openings: Vec<_> = desks.iter_mut().map(|desk| (desk.symbol, desk.opening())).collect();
        for (at, (symbol, actions)) in openings.into_iter().enumerate() {
            for action in actions {
                self.carry_out(at, symbol, action);
            }
            self.publish(symbol);
        }
        self.outbox.clear();
    }

    /// One action of the desk whose turn it is.
    pub(in super::super) fn step_agents(&mut self) {
        let Market::Agents(desks) = &mut self.market else { return };
        let Some((at, desk)) = desks.iter_mut().enumerate().min_by_key(|(_, desk)| desk.next_ns) else {
            return;
        };
        let symbol = desk.symbol;
        let Liquidity::Book(book) = &self.instruments[symbol.0].liquidity else { return };
        for action in desk.act(book) {
            self.carry_out(at, symbol, action);
            self.publish(symbol);
        }
    }

    fn carry_out(&mut self, desk: usize, symbol: SymbolIndex, action: Action) {
        match action {
            Action::Cancel { order_id } => self.instruments[symbol.0].liquidity.withdraw(order_id),
            Action::Take { side, limit, quantity } => {
                let order_id = self.orders.next_id();
                self.take(symbol, house(order_id, side, limit, quantity));
            }
            Action::Quote { side, price, quantity } => {
                let order_id = self.orders.next_id();
                let outcome = self.take(symbol, house(order_id, side, price, quantity));
                if let Outcome::Leaves(leaves) = outcome
                    && leaves.is_positive()
                {
                    let resting = Resting { order_id, account: AccountId::HOUSE, leaves };
                    self.instruments[symbol.0].liquidity.rest(side, price, resting);
                    if let Market::Agents(desks) = &mut self.market
                        && let Some(forgotten) = desks[desk].remember(side, order_id)
                    {
                        self.instruments[symbol.0].liquidity.withdraw(forgotten);
                    }
                }
            }
        }
    }
}

fn house(order_id: u64, side: Side, limit: Decimal, leaves: Decimal) -> Taker {
    Taker {
        order_id,
        account: AccountId::HOUSE,
        side,
        position_side: PositionSide::Both,
        leaves,
        limit,
        reduce_only: false,
        self_trade_prevention: SelfTradePrevention::None,
    }
}

/// `ticks` away from the middle for a quote of `side`.
const fn away(side: Side, ticks: i64) -> i64 {
    match side {
        Side::Buy => -ticks,
        Side::Sell => ticks,
    }
}

/// The house's order that is farthest from the touch.
fn farthest(book: &Book, side: Side) -> Option<u64> {
    book.queue_from_far(side)
        .find(|(_, resting)| resting.account == AccountId::HOUSE)
        .map(|(_, resting)| resting.order_id)
}
