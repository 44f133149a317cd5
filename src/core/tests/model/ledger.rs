//! A ledger as a person would keep it: a book for each owner and for the account, each with its own long and short page where the
//! venue keeps two; and every fill in a list, from which the sums are made again at the end.

use std::collections::HashMap;

use linchpin_core::event::{PositionSide, Side};
use linchpin_core::id::{AssetId, InstrumentId, StrategyId};
use linchpin_core::instrument::{InstrumentDefinition, Product};
use linchpin_core::state::position::Position;

/// What one lot is at 8 decimals of the base asset: every instrument of the model has lots of 0.001.
pub const LOT: i128 = 100_000;
/// What one tick is at 8 decimals: ticks of 0.10.
pub const TICK: i128 = 10_000_000;
pub const LEGS: [PositionSide; 3] = [PositionSide::Both, PositionSide::Long, PositionSide::Short];

/// One page: what is held, what it cost, what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub held: i64,
    pub cost: i128,
    pub realised: i128,
    /// In the quote asset.
    pub fees: i128,
    pub funding: i128,
    /// Fees in the base asset that do not make a lot yet.
    pub owed: i128,
    pub elsewhere: i128,
    pub fills: u64,
    /// Brought in or taken away at the price of the moment.
    pub brought: i128,
}

impl Page {
    /// What closes, closes at the average that it cost, rounded towards zero.
    fn trade(&mut self, signed: i64, price: i64) {
        let mut rest = signed;
        if self.held.signum() * rest.signum() < 0 {
            let closing = rest.abs().min(self.held.abs());
            let share = self.cost * i128::from(closing) / i128::from(self.held.abs());
            let closed = closing * self.held.signum();
            self.realised += i128::from(price) * i128::from(closed) - share;
            self.cost -= share;
            self.held -= closed;
            rest += closed;
        }
        self.held += rest;
        self.cost += i128::from(price) * i128::from(rest);
    }

    /// Returns the lots that paid it: they leave for nothing.
    fn pay(&mut self, fee: i128, asset: AssetId, definition: &InstrumentDefinition) -> i64 {
        if pays_in_base(asset, definition) {
            self.owed += fee;
            let used = (self.owed / LOT) as i64;
            self.owed -= i128::from(used) * LOT;
            self.trade(-used, 0);
            return used;
        }
        if definition.quote == asset {
            self.fees += fee;
        } else {
            self.elsewhere += fee;
        }
        0
    }

    fn sum(self, other: Self) -> Self {
        Self {
            held: self.held + other.held,
            cost: self.cost + other.cost,
            realised: self.realised + other.realised,
            fees: self.fees + other.fees,
            funding: self.funding + other.funding,
            owed: self.owed + other.owed,
            elsewhere: self.elsewhere + other.elsewhere,
            fills: self.fills + other.fills,
            brought: self.brought + other.brought,
        }
    }

    fn check(&self, what: impl Fn() -> String, position: &Position) -> Result<(), String> {
        if position.quantity.raw() != self.held {
            return Err(format!("position: {} holds {position:?}, not {self:?}", what()));
        }
        let found = (
            position.cost.raw(),
            position.realised.raw(),
            position.fees.raw(),
            position.funding.raw(),
            position.base_owed.raw(),
            position.fees_elsewhere.iter().map(|(_, fee)| fee.raw()).sum::<i128>(),
            position.fills,
        );
        let expected =
            (self.cost, self.realised, self.fees, self.funding, self.owed, self.elsewhere, self.fills);
        if found != expected {
            return Err(format!("ledger: {}: {found:?}, not {expected:?}", what()));
        }
        Ok(())
    }
}

fn pays_in_base(asset: AssetId, definition: &InstrumentDefinition) -> bool {
    definition.product == Product::Spot && definition.base == asset
}

/// A trade, as it is told.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    pub side: Side,
    pub price: i64,
    pub quantity: i64,
    /// Where it is told.
    pub fee: Option<(AssetId, i64)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    owner: usize,
    instrument: usize,
    leg: usize,
    fill: Fill,
    /// Not a trade at the venue, but with the other owners.
    crossed: bool,
}

pub struct Ledger {
    strategies: usize,
    instruments: usize,
    /// Owner, instrument, leg; the external owner after the strategies, then the account.
    pages: Vec<Page>,
    fills: Vec<Entry>,
    /// By instrument and leg: what everybody closed in the latest trade of a flatten.
    closed: HashMap<(usize, usize), Vec<i64>>,
}

impl Ledger {
    pub fn new(strategies: usize, instruments: usize) -> Self {
        let pages = vec![Page::default(); (strategies + 2) * instruments * LEGS.len()];
        Self { strategies, instruments, pages, fills: Vec::new(), closed: HashMap::new() }
    }

    pub fn external(&self) -> usize {
        self.strategies
    }

    pub fn account(&self) -> usize {
        self.strategies + 1
    }

    pub fn owner(&self, strategy: StrategyId) -> usize {
        strategy.index().min(self.strategies)
    }

    /// Nothing is held of what is no instrument.
    pub fn page(&self, owner: usize, instrument: InstrumentId, leg: PositionSide) -> Page {
        let known = instrument.index() < self.instruments;
        if known { self.pages[self.at(owner, instrument.index(), leg_at(leg))] } else { Page::default() }
    }

    /// Both legs together.
    pub fn net(&self, owner: usize, instrument: InstrumentId) -> Page {
        LEGS.iter().fold(Page::default(), |sum, leg| sum.sum(self.page(owner, instrument, *leg)))
    }

    pub fn total(&self, instrument: InstrumentId) -> i64 {
        self.net(self.account(), instrument).held
    }

    pub fn fill(
        &mut self,
        strategy: StrategyId,
        instrument: InstrumentId,
        leg: PositionSide,
        fill: Fill,
        definition: &InstrumentDefinition,
    ) {
        for page in [self.owner(strategy), self.account()] {
            self.book(page, instrument, leg, fill);
        }
        if let Some(fee) = fill.fee {
            self.pay(strategy, instrument, leg, fee, definition);
        }
    }

    /// A fill of a flatten: everybody closes the share of his that it closes of the whole, and the external owner the rest.
    pub fn close(
        &mut self,
        instrument: InstrumentId,
        leg: PositionSide,
        fill: Fill,
        definition: &InstrumentDefinition,
    ) {
        let all = self.page(self.account(), instrument, leg).held;
        let ours: i64 = (0..self.strategies).map(|owner| self.page(owner, instrument, leg).held).sum();
        // On spot nobody's coins but the strategies' are closed.
        let whole = if definition.product == Product::Spot { ours.min(all).max(0) } else { all };
        let lowers = if fill.side == Side::Buy { whole < 0 } else { whole > 0 };
        let closes = lowers && fill.quantity <= whole.abs();
        let share = |owner| {
            let held = i128::from(self.page(owner, instrument, leg).held);
            if closes { -(held * i128::from(fill.quantity) / i128::from(whole.abs())) as i64 } else { 0 }
        };
        let mut parts: Vec<i64> = (0..self.strategies).map(share).collect();
        let signed = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
        parts.push(signed - parts.iter().sum::<i64>());
        for (owner, part) in parts.iter().enumerate().filter(|(_, part)| **part != 0) {
            let side = if *part > 0 { Side::Buy } else { Side::Sell };
            self.book(owner, instrument, leg, Fill { side, quantity: part.abs(), ..fill });
        }
        self.book(self.account(), instrument, leg, fill);
        self.closed.insert((instrument.index(), leg_at(leg)), parts);
        if let Some(fee) = fill.fee {
            self.pay(StrategyId::WORKFLOW, instrument, leg, fee, definition);
        }
    }

    /// A trade's fee, told with it or later: who made the trade pays; of a flatten each by what he closed in the latest trade of it.
    pub fn pay(
        &mut self,
        strategy: StrategyId,
        instrument: InstrumentId,
        leg: PositionSide,
        (asset, fee): (AssetId, i64),
        definition: &InstrumentDefinition,
    ) {
        let owners = self.external() + 1;
        let mut weights = vec![0; owners];
        match self.closed.get(&(instrument.index(), leg_at(leg))) {
            Some(parts) if strategy == StrategyId::WORKFLOW => {
                weights = parts.iter().map(|part| i128::from(part.abs())).collect();
            }
            _ => weights[self.owner(strategy)] = 1,
        }
        let (mut left, mut used) = (i128::from(fee), 0);
        for owner in 0..owners {
            let rest: i128 = weights[owner..].iter().sum();
            let own = if owner + 1 == owners { left } else { left * weights[owner] / rest.max(1) };
            left -= own;
            used += self.page_mut(owner, instrument, leg).pay(own, asset, definition);
        }
        let account = self.account();
        let page = self.page_mut(account, instrument, leg);
        if pays_in_base(asset, definition) {
            // The lots that its owners gave.
            page.trade(-used, 0);
        } else {
            page.pay(i128::from(fee), asset, definition);
        }
    }

    /// On one page.
    fn book(&mut self, owner: usize, instrument: InstrumentId, leg: PositionSide, fill: Fill) {
        self.fills.push(Entry {
            owner,
            instrument: instrument.index(),
            leg: leg_at(leg),
            fill,
            crossed: false,
        });
        let signed = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
        let page = self.page_mut(owner, instrument, leg);
        page.trade(signed, fill.price);
        page.fills += 1;
    }

    /// Who holds against whom while the account is flat: all close with each other at this price. True where anybody did.
    pub fn cross(&mut self, instrument: InstrumentId, leg: PositionSide, price: i64) -> bool {
        let mut crossed = false;
        for owner in 0..self.account() {
            let lots = self.page(owner, instrument, leg).held;
            if lots != 0 {
                let side = if lots > 0 { Side::Sell } else { Side::Buy };
                let fill = Fill { side, price, quantity: lots.abs(), fee: None };
                let instrument_at = instrument.index();
                self.fills.push(Entry {
                    owner,
                    instrument: instrument_at,
                    leg: leg_at(leg),
                    fill,
                    crossed: true,
                });
                self.page_mut(owner, instrument, leg).trade(-lots, price);
                crossed = true;
            }
        }
        crossed
    }

    /// The external owner holds what our fills do not explain.
    pub fn hydrate(&mut self, instrument: InstrumentId, leg: PositionSide, quantity: i64, entry_price: i64) {
        let ours: i64 = (0..self.strategies).map(|owner| self.page(owner, instrument, leg).held).sum();
        let rest = quantity - ours;
        let cost = i128::from(entry_price) * i128::from(rest) / TICK;
        let before = self.page(self.external(), instrument, leg);
        for row in [self.external(), self.account()] {
            let page = self.page_mut(row, instrument, leg);
            page.held += rest - before.held;
            page.cost += cost - before.cost;
        }
    }

    /// Each has the part that it holds of what is held in all; what is left is the external owner's.
    pub fn fund(&mut self, instrument: InstrumentId, legs: &[PositionSide], payment: i128) {
        let whole = i128::from(self.total(instrument));
        let part = |held: i64| if whole == 0 { 0 } else { payment * i128::from(held) / whole };
        let mut unpaid = payment;
        for (at, leg) in legs.iter().enumerate() {
            let of_all = part(self.page(self.account(), instrument, *leg).held);
            let of_leg = if at + 1 == legs.len() { unpaid } else { of_all };
            unpaid -= of_leg;
            let mut rest = of_leg;
            for owner in 0..self.strategies {
                let page = self.page_mut(owner, instrument, *leg);
                let own = part(page.held);
                page.funding += own;
                rest -= own;
            }
            self.page_mut(self.external(), instrument, *leg).funding += rest;
            self.page_mut(self.account(), instrument, *leg).funding += of_leg;
        }
    }

    /// Lots come or go without a trade, worth `mark` each: nobody's gain.
    pub fn bring(&mut self, instrument: InstrumentId, lots: i64, mark: i64) {
        for row in [self.external(), self.account()] {
            let page = self.page_mut(row, instrument, PositionSide::Both);
            page.held += lots;
            page.brought += i128::from(lots) * i128::from(mark);
        }
    }

    /// Every owner's book, leg by leg and in sum, and the account's.
    pub fn check(
        &self,
        owners: &[Vec<Position>],
        legs: &[Vec<(InstrumentId, PositionSide, Position)>],
        totals: &[Position],
    ) -> Result<(), String> {
        for (instrument, total) in totals.iter().enumerate() {
            let id = InstrumentId(instrument as u16);
            self.net(self.account(), id).check(|| format!("the account on {instrument}"), total)?;
        }
        for (owner, row) in owners.iter().enumerate() {
            for (instrument, position) in row.iter().enumerate() {
                let id = InstrumentId(instrument as u16);
                self.net(owner, id).check(|| format!("owner {owner} on {instrument}"), position)?;
            }
        }
        for (owner, row) in legs.iter().enumerate() {
            for (instrument, leg, position) in row {
                let what = || format!("owner {owner} on {instrument:?} {leg}");
                self.page(owner, *instrument, *leg).check(what, position)?;
            }
        }
        Ok(())
    }

    /// Every strategy's book again from all its fills, and cash by cash: what was paid is held, or was realised.
    pub fn recount(&self, owners: &[Vec<Position>]) -> Result<(), String> {
        for (owner, row) in owners.iter().enumerate().take(self.strategies) {
            for (instrument, position) in row.iter().enumerate() {
                let mine = || self.fills.iter().filter(|f| f.owner == owner && f.instrument == instrument);
                let mut again = [Page::default(); LEGS.len()];
                let (mut paid, mut count) = (0i128, 0);
                for entry in mine() {
                    let fill = entry.fill;
                    let signed = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
                    again[entry.leg].trade(signed, fill.price);
                    paid += i128::from(fill.price) * i128::from(signed);
                    count += u64::from(!entry.crossed);
                }
                let (cost, realised) = (position.cost.raw(), position.realised.raw());
                if cost - realised != paid {
                    return Err(format!("ledger: {owner} on {instrument}: money appeared or vanished"));
                }
                let gave_away = position.base_owed.raw() != 0
                    || LEGS.iter().any(|leg| {
                        let id = InstrumentId(instrument as u16);
                        self.page(owner, id, *leg).held != again[leg_at(*leg)].held
                    });
                let sum = again.iter().fold(Page::default(), |sum, page| sum.sum(*page));
                let same = (sum.held, sum.cost, sum.realised, count);
                let found = (position.quantity.raw(), cost, realised, position.fills);
                if !gave_away && same != found {
                    return Err(format!("ledger: {owner} on {instrument}: {found:?}, not {same:?}"));
                }
            }
        }
        Ok(())
    }

    fn at(&self, owner: usize, instrument: usize, leg: usize) -> usize {
        (owner * self.instruments + instrument) * LEGS.len() + leg
    }

    fn page_mut(&mut self, owner: usize, instrument: InstrumentId, leg: PositionSide) -> &mut Page {
        let at = self.at(owner, instrument.index(), leg_at(leg));
        &mut self.pages[at]
    }
}

pub fn leg_at(leg: PositionSide) -> usize {
    LEGS.iter().position(|known| *known == leg).unwrap()
}
