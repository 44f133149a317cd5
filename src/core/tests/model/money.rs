//! What is at stake, in money: each owner's holdings, with all that works or waits filled, valued anew from whole lists.

use linchpin_core::event::{PositionSide, RequestKind, Side};
use linchpin_core::id::{AssetId, InstrumentId, OrderKey, StrategyId, VenueId};
use linchpin_core::instrument::Product;
use linchpin_core::num::CASH_UNIT;

use super::Twin;
use crate::ledger::{LEGS, LOT, TICK, leg_at};

/// One tick x lot at 8 decimals of the quote asset.
const ONE: i128 = TICK * LOT / CASH_UNIT as i128;

/// What may still fill on one side of one page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pile {
    pub quantity: i64,
    /// The part that can lower a position and never turn it.
    pub closing: i64,
    /// Orders that close whatever is held when they trigger.
    pub whole: u32,
    pub cost: i128,
}

impl Pile {
    /// The position towards this side, of `towards` now, when all of it has filled.
    fn worst(&self, towards: i64) -> i64 {
        let to_close = (-towards).max(0);
        let closes = if self.whole > 0 { to_close } else { self.closing.min(to_close) };
        towards + (self.quantity - self.closing) + closes
    }
}

/// What works and waits: by owner (the account last), instrument and leg; buying, then selling.
pub struct Piles {
    instruments: usize,
    sides: Vec<[Pile; 2]>,
}

impl Piles {
    fn at(&self, owner: usize, instrument: InstrumentId, leg: PositionSide) -> usize {
        (owner * self.instruments + instrument.index()) * LEGS.len() + leg_at(leg)
    }

    fn add(&mut self, at: usize, side: Side, more: Pile) {
        let pile = &mut self.sides[at][usize::from(side == Side::Sell)];
        pile.quantity += more.quantity;
        pile.closing += more.closing;
        pile.whole += more.whole;
        pile.cost += more.cost;
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worth {
    pub gross: i128,
    pub long: i128,
    pub short: i128,
    pub realised: i128,
    pub marked: i128,
}

impl Worth {
    fn sum(self, other: Self) -> Self {
        Self {
            gross: self.gross + other.gross,
            long: self.long + other.long,
            short: self.short + other.short,
            realised: self.realised + other.realised,
            marked: self.marked + other.marked,
        }
    }

    pub fn net(&self) -> i128 {
        self.long.abs().max(self.short.abs())
    }
}

/// Of one asset: what orders bind of it, what holdings ask as margin, what they have gained or lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssetStake {
    pub bound: i128,
    pub margin: i128,
    pub unrealised: i128,
}

/// Something more on a page, tried out.
#[derive(Clone, Copy, Debug)]
pub struct More {
    pub instrument: InstrumentId,
    pub leg: PositionSide,
    pub side: Side,
    pub quantity: i64,
}

impl Twin {
    /// All that works and waits, but for what waits under `except`.
    pub fn piles(&self, except: Option<OrderKey>) -> Piles {
        let instruments = self.markets.len();
        let sides = vec![[Pile::default(); 2]; (self.ledger.account() + 1) * instruments * LEGS.len()];
        let mut piles = Piles { instruments, sides };
        for order in self.live() {
            let quantity = order.working();
            let price = match order.inflight {
                Some((RequestKind::Replace, _, price, _)) => price.max(order.price),
                _ => order.price.max(order.stop),
            };
            let pile = Pile {
                quantity,
                closing: if order.closes { quantity } else { 0 },
                whole: u32::from(order.closes_whole),
                cost: i128::from(price.raw()) * i128::from(quantity),
            };
            for owner in [self.ledger.owner(order.key.strategy), self.ledger.account()] {
                piles.add(piles.at(owner, order.instrument, order.leg), order.side, pile);
            }
        }
        for (key, waiting) in self.waiting.iter().filter(|(key, _)| Some(**key) != except) {
            let Some(new) = waiting.new else { continue };
            let quantity = new.quantity.raw();
            let closes = new.only_closes() && !self.is_spot(new.instrument);
            let pile = Pile {
                quantity,
                closing: if closes { quantity } else { 0 },
                whole: u32::from(new.close_position),
                cost: i128::from(new.price.raw().max(new.stop_price.raw())) * i128::from(quantity),
            };
            for owner in [self.ledger.owner(key.strategy), self.ledger.account()] {
                piles.add(piles.at(owner, new.instrument, new.position_side), new.side, pile);
            }
        }
        piles
    }

    /// The account's position on a page towards `side`, with `more` of it, if everything fills.
    pub fn worst(&self, piles: &Piles, more: More) -> i64 {
        let account = self.ledger.account();
        let held = self.ledger.page(account, more.instrument, more.leg).held;
        let towards = if more.side == Side::Buy { held } else { -held };
        let at = piles.at(account, more.instrument, more.leg);
        piles.sides[at][usize::from(more.side == Side::Sell)].worst(towards) + more.quantity
    }

    /// The same of a strategy's own.
    pub fn worst_own(&self, strategy: StrategyId, piles: &Piles, more: More) -> i64 {
        let owner = self.ledger.owner(strategy);
        let held = self.ledger.page(owner, more.instrument, more.leg).held;
        let towards = if more.side == Side::Buy { held } else { -held };
        let at = piles.at(owner, more.instrument, more.leg);
        piles.sides[at][usize::from(more.side == Side::Sell)].worst(towards) + more.quantity
    }

    /// An owner's sums over all instruments.
    pub fn worth(&self, owner: usize, piles: &Piles, more: Option<More>) -> Worth {
        let mut sum = Worth::default();
        for at in 0..self.markets.len() {
            let id = InstrumentId(at as u16);
            for leg in self.pages(id) {
                sum = sum.sum(self.worth_of_page(owner, id, *leg, piles, more));
            }
        }
        sum
    }

    /// What an owner has made of it all: without what is still held, and with it.
    pub fn results(&self, owner: usize) -> [i128; 2] {
        let mut sum = [0; 2];
        for at in 0..self.markets.len() {
            let id = InstrumentId(at as u16);
            for leg in self.pages(id) {
                let (realised, marked) = self.result_of_page(owner, id, *leg);
                sum = [sum[0] + realised, sum[1] + marked];
            }
        }
        sum
    }

    /// Where anything can be held of it.
    fn pages(&self, id: InstrumentId) -> &'static [PositionSide] {
        if self.is_hedged(id) { &LEGS } else { &[PositionSide::Both] }
    }

    fn result_of_page(&self, owner: usize, id: InstrumentId, leg: PositionSide) -> (i128, i128) {
        if self.markets[id.index()].definition.is_none() {
            return (0, 0);
        }
        let page = self.ledger.page(owner, id, leg);
        let mark = i128::from(self.markets[id.index()].valued.raw());
        let realised = self.money(id, page.realised) - self.reported(id, page.fees - page.funding);
        let open = if mark == 0 { 0 } else { mark * i128::from(page.held) - page.cost - page.brought };
        (realised, realised + self.money(id, open))
    }

    fn sides(
        &self,
        owner: usize,
        id: InstrumentId,
        leg: PositionSide,
        piles: &Piles,
        more: Option<More>,
    ) -> (i64, i64) {
        let [mut buys, mut sells] = piles.sides[piles.at(owner, id, leg)];
        if let Some(more) = more.filter(|more| more.instrument == id && more.leg == leg) {
            let pile = if more.side == Side::Buy { &mut buys } else { &mut sells };
            pile.quantity += more.quantity;
        }
        let held = self.ledger.page(owner, id, leg).held;
        (buys.worst(held), sells.worst(-held))
    }

    fn worth_of_page(
        &self,
        owner: usize,
        id: InstrumentId,
        leg: PositionSide,
        piles: &Piles,
        more: Option<More>,
    ) -> Worth {
        if self.markets[id.index()].definition.is_none() {
            return Worth::default();
        }
        let (bought, sold) = self.sides(owner, id, leg, piles, more);
        let mark = i128::from(self.markets[id.index()].valued.raw());
        let (long, short) =
            (self.money(id, mark * i128::from(bought)), self.money(id, mark * -i128::from(sold)));
        let (realised, marked) = self.result_of_page(owner, id, leg);
        Worth { gross: long.abs().max(short.abs()), long, short, realised, marked }
    }

    /// The account's stake in each asset of a venue.
    pub fn asset_stake(
        &self,
        venue: VenueId,
        asset: AssetId,
        piles: &Piles,
        more: Option<More>,
    ) -> AssetStake {
        let mut sum = AssetStake::default();
        let account = self.ledger.account();
        for id in self.instruments_of(venue) {
            let market = &self.markets[id.index()];
            let Some(definition) = market.definition else { continue };
            for leg in self.pages(id).iter().copied() {
                let (bought, sold) = self.sides(account, id, leg, piles, more);
                let [buys, sells] = piles.sides[piles.at(account, id, leg)];
                match definition.product {
                    Product::Spot => {
                        if definition.base == asset {
                            sum.bound += i128::from(sells.quantity) * LOT;
                        }
                        if definition.quote == asset {
                            sum.bound += self.with_fee(id, buys.cost * ONE);
                        }
                    }
                    Product::LinearPerpetual if definition.quote == asset => {
                        let mark = i128::from(market.valued.raw());
                        let lots = i128::from(bought.abs().max(sold.abs()));
                        let leverage = i128::from(self.configuration.instruments[id.index()].leverage);
                        if leverage != 0 {
                            sum.margin += (mark * lots * ONE + leverage - 1) / leverage;
                        }
                        if mark != 0 {
                            let page = self.ledger.page(account, id, leg);
                            sum.unrealised += (mark * i128::from(page.held) - page.cost - page.brought) * ONE;
                        }
                    }
                    Product::LinearPerpetual => {}
                }
            }
        }
        sum
    }

    /// What buying for so much takes: the taker's fee on top, rounded up.
    pub fn with_fee(&self, id: InstrumentId, cost: i128) -> i128 {
        let rate = self.markets[id.index()].definition.map_or(0, |definition| definition.taker_fee_ppm);
        cost + (cost * i128::from(rate) + 999_999) / 1_000_000
    }

    /// Ticks x lots in the reporting asset.
    pub fn money(&self, id: InstrumentId, notional: i128) -> i128 {
        self.reported(id, notional * ONE)
    }

    fn reported(&self, id: InstrumentId, cash: i128) -> i128 {
        match self.configuration.instruments[id.index()].quote_worth {
            0 => cash,
            rate => cash * i128::from(rate) / i128::from(CASH_UNIT),
        }
    }

    /// Ticks x lots in the quote asset.
    pub fn cash(notional: i128) -> i128 {
        notional * ONE
    }

    pub fn is_spot(&self, id: InstrumentId) -> bool {
        self.markets
            .get(id.index())
            .and_then(|market| market.definition)
            .is_some_and(|d| d.product == Product::Spot)
    }
}
