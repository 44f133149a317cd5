//! What is at stake, in money: exposure and result of each owner and of the whole account, kept as running sums, so that nobody adds
//! up instruments or orders for one intent.
//!
//! A stake is one owner's part on one leg of one instrument: what is held, and what works or waits to be sent, all of it assumed
//! filled. Each is valued when it changes, and all of an instrument when its price has moved, at most every `EVERY`; the sums take the
//! difference, in integers, so that they never drift.
//! Hot.

use alloc::vec::Vec;

use crate::event::{PositionSide, Side};
use crate::id::{AssetId, InstrumentId, VenueId};
use crate::instrument::{InstrumentDefinition, Product};
use crate::intent::NewIntent;
use crate::limits::{Configuration, InstrumentLimits};
use crate::num::{CASH_DECIMALS, CASH_UNIT, Cash, Notional, Price, Quantity, pow10};
use crate::snapshot::{Saved, Sink, SnapshotError, Value, Words};
use crate::state::account::MAX_ASSETS;
use crate::state::order::Order;
use crate::state::position::Position;
use crate::time::Nanos;

/// A market is followed this often: a bound is not passed by much in that time, and a busy market is not valued at each change.
const EVERY: Nanos = Nanos::from_millis(10);
const LEGS: usize = PositionSide::ALL.len();

#[derive(Clone, Debug)]
pub struct Stakes {
    instruments: usize,
    /// Owners, the external one included; the row after them is the whole account.
    owners: usize,
    pricings: Vec<Pricing>,
    /// Rows: owners, then the account. Columns: instruments x legs.
    stakes: Vec<Stake>,
    totals: Vec<Worth>,
    /// Rows: venues. Columns: assets.
    assets: Vec<AssetStake>,
    /// Counts every change of a sum: who follows them sees at one glance whether there is news.
    changes: u64,
}

/// Whose, of what, on which leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub owner: usize,
    pub instrument: InstrumentId,
    pub leg: PositionSide,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stake {
    pub held: Quantity,
    buys: Work,
    sells: Work,
    cost: Notional,
    /// What was brought in or taken away, at the price of that moment: no gain and no loss.
    brought: Notional,
    realised: Notional,
    /// Fees, less what funding brought.
    paid: Cash,
    /// What this adds to the sums now.
    worth: Worth,
    assets: AssetWorth,
}

/// What may still fill on one side, new orders that wait to be sent included; conditional ones as if triggered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub quantity: Quantity,
    /// The part of it that can only lower a position, never turn it.
    pub closing: Quantity,
    /// Orders without a quantity, which close whatever is held when they trigger.
    pub whole_closes: i64,
    /// What it would cost at its own prices.
    pub cost: Notional,
}

crate::saved! { value Work { quantity, closing, whole_closes, cost } }

/// A wish tried out: what it would bring, and the order that waits under its key and would go for it, wherever that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swap {
    pub comes: Work,
    pub goes: Option<Gone>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    pub instrument: InstrumentId,
    pub leg: PositionSide,
    pub side: Side,
    pub work: Work,
}

/// Money in the reporting asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worth {
    /// The larger of the two worst cases of each stake, whatever its sign.
    pub gross: Cash,
    /// All that is being bought is filled; all that is being sold is.
    pub long: Cash,
    pub short: Cash,
    /// The result without and with what is still held, fees taken off.
    pub realised: Cash,
    pub marked: Cash,
}

/// Of one asset, in it: what working orders bind, and what a margin account answers for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssetStake {
    /// Spot: offered for sale, or set aside for buying, fees included.
    pub bound: Cash,
    /// Linear perpetuals: initial margin of the worst case.
    pub margin: Cash,
    pub unrealised: Cash,
}

/// One instrument's part in its two assets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct AssetWorth {
    base_bound: Cash,
    quote: AssetStake,
}

/// What an instrument is valued with.
#[derive(Clone, Copy, Debug, Default)]
struct Pricing {
    venue: VenueId,
    definition: Option<InstrumentDefinition>,
    /// The newest price that the market gave; zero before the first. A market that is lost keeps its last.
    mark: Price,
    priced: Nanos,
    quote_worth: i64,
    leverage: u32,
}

/// What events made of it is saved: prices, and the stakes that hold anything. What they are worth, and the sums, follow.
impl Saved for Stakes {
    fn save<S: Sink + ?Sized>(&self, to: &mut S) {
        let Self { instruments: _, owners: _, pricings, stakes, totals: _, assets: _, changes } = self;
        for Pricing { venue: _, definition: _, mark, priced, quote_worth, leverage } in pricings {
            (*mark, *priced).write(to);
            (*quote_worth, *leverage).write(to);
        }
        changes.write(to);
        let some = || stakes.iter().enumerate().filter(|(_, stake)| **stake != Stake::default());
        (some().count() as u64).write(to);
        for (at, Stake { held, buys, sells, cost, brought, realised, paid, worth: _, assets: _ }) in some() {
            (at as u64).write(to);
            (*held, *cost).write(to);
            (*realised, *paid).write(to);
            brought.write(to);
            (*buys, *sells).write(to);
        }
    }

    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        for pricing in &mut self.pricings {
            (pricing.mark, pricing.priced) = Value::read(from)?;
            (pricing.quote_worth, pricing.leverage) = Value::read(from)?;
        }
        self.changes = u64::read(from)?;
        self.stakes.fill(Stake::default());
        self.totals.fill(Worth::default());
        self.assets.fill(AssetStake::default());
        for _ in 0..from.bounded("count of stakes", self.stakes.len())? {
            let at = from.bounded("place of a stake", self.stakes.len())?;
            let (held, cost) = Value::read(from)?;
            let (realised, paid) = Value::read(from)?;
            let brought = Value::read(from)?;
            let (buys, sells) = Value::read(from)?;
            if let Some(stake) = self.stakes.get_mut(at) {
                *stake = Stake { held, buys, sells, cost, brought, realised, paid, ..Stake::default() };
            }
        }
        Ok(())
    }
}

impl Stakes {
    pub fn new(configuration: &Configuration) -> Self {
        let instruments = configuration.instruments.len();
        let owners = configuration.strategies.len() + 1;
        let pricing = configuration.instruments.iter().map(|limits| Pricing {
            venue: limits.venue,
            quote_worth: limits.quote_worth,
            leverage: limits.leverage,
            ..Pricing::default()
        });
        Self {
            instruments,
            owners,
            pricings: pricing.collect(),
            stakes: alloc::vec![Stake::default(); (owners + 1) * instruments * LEGS],
            totals: alloc::vec![Worth::default(); owners + 1],
            assets: alloc::vec![AssetStake::default(); configuration.venues.len() * MAX_ASSETS],
            changes: 0,
        }
    }

    /// The row of the whole account.
    #[inline]
    pub fn account(&self) -> usize {
        self.owners
    }

    #[inline]
    pub fn total(&self, owner: usize) -> Worth {
        self.totals.get(owner).copied().unwrap_or_default()
    }

    #[inline]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    #[inline]
    pub fn stake(&self, place: Place) -> Stake {
        self.at(place).and_then(|at| self.stakes.get(at)).copied().unwrap_or_default()
    }

    #[inline]
    pub fn asset(&self, venue: VenueId, asset: AssetId) -> AssetStake {
        self.assets.get(asset_at(venue, asset)).copied().unwrap_or_default()
    }

    #[inline]
    pub fn is_spot(&self, instrument: InstrumentId) -> bool {
        let definition =
            self.pricings.get(instrument.index()).and_then(|pricing| pricing.definition.as_ref());
        definition.is_some_and(|definition| definition.product == Product::Spot)
    }

    /// The price that everything of the instrument is valued at; `None` before the first.
    #[inline]
    pub fn mark(&self, instrument: InstrumentId) -> Option<Price> {
        self.pricings.get(instrument.index()).map(|pricing| pricing.mark).filter(|mark| mark.is_positive())
    }

    /// What so many lots are worth in the reporting asset.
    pub fn worth_of(&self, instrument: InstrumentId, lots: Quantity) -> Cash {
        let Some(pricing) = self.pricings.get(instrument.index()) else { return Cash::ZERO };
        let Some(definition) = pricing.definition.as_ref() else { return Cash::ZERO };
        pricing.reported(definition.cash(pricing.mark.notional(lots)))
    }

    /// Everything that is held has a price.
    pub fn are_all_marked(&self) -> bool {
        let columns = self.instruments * LEGS;
        let account = self.stakes.get(self.owners * columns..).unwrap_or(&[]);
        account.chunks(LEGS).zip(&self.pricings).all(|(legs, pricing)| {
            pricing.mark.is_positive() || legs.iter().all(|stake| stake.held.is_zero())
        })
    }

    /// The owner's sums if this were swapped here.
    #[inline]
    pub fn with(&self, place: Place, side: Side, swap: &Swap) -> Worth {
        let mut sum = self.total(place.owner);
        let mut change = |place: Place, after: Stake| {
            if let Some(pricing) = self.pricings.get(place.instrument.index()) {
                sum.move_by(self.stake(place).worth, after.valued(pricing));
            }
        };
        change(place, self.swapped(place, side, swap));
        if let Some((place, after)) = self.elsewhere(place, swap) {
            change(place, after);
        }
        sum
    }

    /// The quote asset's margin if this were swapped here.
    pub fn margin_with(&self, place: Place, side: Side, swap: &Swap) -> Cash {
        let Some(pricing) = self.pricings.get(place.instrument.index()) else { return Cash::ZERO };
        let Some(definition) = pricing.definition.as_ref() else { return Cash::ZERO };
        let account = (pricing.venue, definition.quote);
        let mut margin = self.asset(pricing.venue, definition.quote).margin;
        let mut change = |place: Place, after: Stake| {
            let Some(pricing) = self.pricings.get(place.instrument.index()) else { return };
            let Some(definition) = pricing.definition.as_ref() else { return };
            if (pricing.venue, definition.quote) == account {
                margin += after.in_assets(pricing).quote.margin - self.stake(place).assets.quote.margin;
            }
        };
        change(place, self.swapped(place, side, swap));
        if let Some((place, after)) = self.elsewhere(place, swap) {
            change(place, after);
        }
        margin
    }

    /// The stake here as it would be.
    #[inline]
    pub fn swapped(&self, place: Place, side: Side, swap: &Swap) -> Stake {
        let mut stake = self.stake(place);
        stake.on_mut(side).move_by(Work::default(), swap.comes);
        if let Some(gone) = swap.goes.filter(|gone| gone.is_at(place)) {
            stake.on_mut(gone.side).move_by(gone.work, Work::default());
        }
        stake
    }

    /// Another stake of the same owner, which would lose what goes.
    #[inline]
    fn elsewhere(&self, place: Place, swap: &Swap) -> Option<(Place, Stake)> {
        let gone = swap.goes.filter(|gone| !gone.is_at(place))?;
        let other = Place { instrument: gone.instrument, leg: gone.leg, ..place };
        let mut stake = self.stake(other);
        stake.on_mut(gone.side).move_by(gone.work, Work::default());
        Some((other, stake))
    }

    /// What works or waits changed: of the owner, and so of the account.
    #[inline]
    pub(crate) fn work(&mut self, place: Place, side: Side, before: Work, after: Work) {
        if before == after {
            return;
        }
        for owner in [place.owner, self.owners] {
            self.change(Place { owner, ..place }, |stake| stake.on_mut(side).move_by(before, after));
        }
    }

    /// The same without what it is worth now: `hold` of the same owner and of the account follows, and values both.
    #[inline]
    pub(crate) fn work_before_hold(&mut self, place: Place, side: Side, before: Work, after: Work) {
        for owner in [place.owner, self.owners] {
            if let Some(stake) = self.at(Place { owner, ..place }).and_then(|at| self.stakes.get_mut(at)) {
                stake.on_mut(side).move_by(before, after);
            }
        }
    }

    /// The position of this owner (the account has its own) is now so.
    #[inline]
    pub(crate) fn hold(&mut self, place: Place, position: &Position) {
        self.change(place, |stake| {
            stake.held = position.quantity;
            stake.cost = position.cost;
            stake.realised = position.realised;
            stake.paid = position.fees - position.funding;
        });
    }

    /// Lots came in from outside, or went out: at the present price, for nobody's gain or loss.
    pub(crate) fn bring(&mut self, place: Place, lots: Quantity) {
        let Some(mark) = self.pricings.get(place.instrument.index()).map(|pricing| pricing.mark) else {
            return;
        };
        for owner in [place.owner, self.owners] {
            self.change(Place { owner, ..place }, |stake| stake.brought += mark.notional(lots));
        }
    }

    /// The market's newest price; taken when the last one is old enough.
    #[inline]
    pub(crate) fn mark_to(&mut self, instrument: InstrumentId, now: Nanos, price: Option<Price>) {
        let Some(pricing) = self.pricings.get_mut(instrument.index()) else { return };
        let first = pricing.mark.is_zero();
        if !first && now.since(pricing.priced) < EVERY {
            return;
        }
        let Some(price) = price.filter(|price| price.is_positive() && *price != pricing.mark) else { return };
        pricing.mark = price;
        pricing.priced = now;
        self.revalue(instrument);
    }

    /// After a load: what the instruments are, and so what everything is worth.
    pub(crate) fn recall<'a>(
        &mut self,
        definitions: impl Iterator<Item = (InstrumentId, Option<&'a InstrumentDefinition>)>,
    ) {
        let changes = self.changes;
        for (instrument, definition) in definitions {
            if let Some(definition) = definition {
                self.define(instrument, definition);
            }
        }
        self.changes = changes;
    }

    /// What the instrument is became known, or changed.
    pub(crate) fn define(&mut self, instrument: InstrumentId, definition: &InstrumentDefinition) {
        if let Some(pricing) = self.pricings.get_mut(instrument.index()) {
            pricing.definition = Some(*definition);
            self.revalue(instrument);
        }
    }

    /// What the account's leverage is here, or what the quote asset counts for, has changed.
    pub(crate) fn follow(&mut self, instrument: InstrumentId, limits: &InstrumentLimits) {
        if let Some(pricing) = self.pricings.get_mut(instrument.index()) {
            (pricing.leverage, pricing.quote_worth) = (limits.leverage, limits.quote_worth);
            self.revalue(instrument);
        }
    }

    fn revalue(&mut self, instrument: InstrumentId) {
        for owner in 0..=self.owners {
            for leg in PositionSide::ALL {
                let place = Place { owner, instrument, leg: *leg };
                if self.stake(place) != Stake::default() {
                    self.change(place, |_| {});
                }
            }
        }
    }

    #[inline]
    fn change(&mut self, place: Place, act: impl FnOnce(&mut Stake)) {
        let Some(at) = self.at(place) else { return };
        let Some(stake) = self.stakes.get_mut(at) else { return };
        let Some(pricing) = self.pricings.get(place.instrument.index()) else { return };
        act(stake);
        let worth = stake.valued(pricing);
        self.changes += 1;
        if let Some(total) = self.totals.get_mut(place.owner) {
            total.move_by(stake.worth, worth);
        }
        stake.worth = worth;
        if place.owner != self.owners {
            return;
        }
        let Some(definition) = pricing.definition.as_ref() else { return };
        let assets = stake.in_assets(pricing);
        let before = core::mem::replace(&mut stake.assets, assets);
        if let Some(base) = self.assets.get_mut(asset_at(pricing.venue, definition.base)) {
            base.bound += assets.base_bound - before.base_bound;
        }
        if let Some(quote) = self.assets.get_mut(asset_at(pricing.venue, definition.quote)) {
            quote.bound += assets.quote.bound - before.quote.bound;
            quote.margin += assets.quote.margin - before.quote.margin;
            quote.unrealised += assets.quote.unrealised - before.quote.unrealised;
        }
    }

    #[inline]
    fn at(&self, place: Place) -> Option<usize> {
        let (instrument, leg) = (place.instrument.index(), usize::from(place.leg.code()));
        (instrument < self.instruments && place.owner <= self.owners)
            .then_some((place.owner * self.instruments + instrument) * LEGS + leg)
    }
}

impl Stake {
    /// What may still fill on a side.
    #[inline]
    pub fn on(&self, side: Side) -> Work {
        match side {
            Side::Buy => self.buys,
            Side::Sell => self.sells,
        }
    }

    /// The position towards `side` if all that works there fills. What only closes brings it to flat at most, whatever
    /// fills before it.
    #[inline]
    pub fn worst(&self, side: Side) -> Quantity {
        let work = self.on(side);
        let towards = side.signed(self.held);
        let to_close = (-towards).max(Quantity::ZERO);
        let closes = if work.whole_closes > 0 { to_close } else { work.closing.min(to_close) };
        towards + (work.quantity - work.closing) + closes
    }

    #[inline]
    fn on_mut(&mut self, side: Side) -> &mut Work {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }

    #[inline]
    fn valued(&self, pricing: &Pricing) -> Worth {
        let Some(definition) = pricing.definition.as_ref() else { return Worth::default() };
        if *self == Stake::default() {
            return Worth::default();
        }
        let money = |notional: Notional| pricing.reported(definition.cash(notional));
        let at_mark = |lots: Quantity| money(pricing.mark.notional(lots));
        let (long, short) = (at_mark(self.worst(Side::Buy)), at_mark(-self.worst(Side::Sell)));
        let realised = money(self.realised) - pricing.reported(self.paid);
        // Without a price there is nothing to say about what is held.
        let open = if pricing.mark.is_zero() { Notional::ZERO } else { self.unrealised(pricing) };
        Worth { gross: long.abs().max(short.abs()), long, short, realised, marked: realised + money(open) }
    }

    #[inline]
    fn unrealised(&self, pricing: &Pricing) -> Notional {
        pricing.mark.notional(self.held) - self.cost - self.brought
    }

    #[inline]
    fn in_assets(&self, pricing: &Pricing) -> AssetWorth {
        let Some(definition) = pricing.definition.as_ref() else { return AssetWorth::default() };
        match definition.product {
            Product::Spot => {
                let cost = definition.cash(self.buys.cost);
                AssetWorth {
                    base_bound: base_cash(definition, self.sells.quantity),
                    quote: AssetStake { bound: with_fee(definition, cost), ..AssetStake::default() },
                }
            }
            Product::LinearPerpetual => {
                let lots = self.worst(Side::Buy).abs().max(self.worst(Side::Sell).abs());
                let margin = initial_margin(definition, pricing.leverage, pricing.mark, lots);
                let marked = !pricing.mark.is_zero();
                let unrealised = if marked { definition.cash(self.unrealised(pricing)) } else { Cash::ZERO };
                AssetWorth {
                    base_bound: Cash::ZERO,
                    quote: AssetStake { bound: Cash::ZERO, margin, unrealised },
                }
            }
        }
    }
}

impl Gone {
    #[inline]
    fn is_at(&self, place: Place) -> bool {
        (self.instrument, self.leg) == (place.instrument, place.leg)
    }
}

impl Work {
    /// What of it may open a position.
    #[inline]
    pub fn opens(&self) -> Quantity {
        self.quantity - self.closing
    }

    /// What an order puts at stake.
    #[inline]
    pub(crate) fn of(order: &Order) -> Self {
        let quantity = order.working();
        Self {
            quantity,
            closing: if order.only_closes() { quantity } else { Quantity::ZERO },
            whole_closes: i64::from(order.close_position && order.is_live()),
            cost: order.working_cost(),
        }
    }

    /// The same of an order that waits to be sent.
    #[inline]
    pub(crate) fn of_new(new: &NewIntent) -> Self {
        Self {
            quantity: new.quantity,
            closing: if new.only_closes() { new.quantity } else { Quantity::ZERO },
            whole_closes: i64::from(new.close_position),
            cost: new.price.max(new.stop_price).notional(new.quantity),
        }
    }

    #[inline]
    fn move_by(&mut self, before: Self, after: Self) {
        self.quantity += after.quantity - before.quantity;
        self.closing += after.closing - before.closing;
        self.whole_closes += after.whole_closes - before.whole_closes;
        self.cost += after.cost - before.cost;
    }
}

impl Worth {
    /// Something of this instrument more, bought or sold.
    #[inline]
    pub(crate) fn add(&mut self, side: Side, worth: Cash) {
        self.gross += worth;
        match side {
            Side::Buy => self.long += worth,
            Side::Sell => self.short -= worth,
        }
    }

    #[inline]
    fn move_by(&mut self, before: Self, after: Self) {
        self.gross += after.gross - before.gross;
        self.long += after.long - before.long;
        self.short += after.short - before.short;
        self.realised += after.realised - before.realised;
        self.marked += after.marked - before.marked;
    }

    /// The farther of the two worst cases from nothing.
    #[inline]
    pub fn net(&self) -> Cash {
        self.long.abs().max(self.short.abs())
    }
}

impl Pricing {
    /// Quote money in the reporting asset.
    #[inline]
    fn reported(&self, cash: Cash) -> Cash {
        if self.quote_worth == 0 {
            return cash;
        }
        Cash::new(cash.raw().saturating_mul(i128::from(self.quote_worth)) / i128::from(CASH_UNIT))
    }
}

#[inline]
fn asset_at(venue: VenueId, asset: AssetId) -> usize {
    if asset.index() < MAX_ASSETS { venue.index() * MAX_ASSETS + asset.index() } else { usize::MAX }
}

/// Lots as money of the base asset.
#[inline]
pub fn base_cash(definition: &InstrumentDefinition, lots: Quantity) -> Cash {
    let lot = &definition.lot;
    let value = i128::from(lots.raw()).saturating_mul(i128::from(lot.mantissa));
    let unit = |decimals: u8| i128::from(pow10(decimals).unwrap_or(i64::MAX));
    Cash::new(match CASH_DECIMALS.checked_sub(lot.decimals) {
        Some(missing) => value.saturating_mul(unit(missing)),
        None => value.checked_div(unit(lot.decimals - CASH_DECIMALS)).unwrap_or(0),
    })
}

/// What buying for so much takes from the quote balance: the taker's fee on top, rounded up.
#[inline]
pub fn with_fee(definition: &InstrumentDefinition, cost: Cash) -> Cash {
    let fee = i128::from(definition.taker_fee_ppm.max(0)).saturating_mul(cost.raw());
    cost + Cash::new(fee.saturating_add(999_999) / 1_000_000)
}

/// Rounded up to the last decimal; nothing where leverage is not configured.
#[inline]
fn initial_margin(definition: &InstrumentDefinition, leverage: u32, mark: Price, lots: Quantity) -> Cash {
    if leverage == 0 {
        return Cash::ZERO;
    }
    let worth = definition.cash(mark.notional(lots)).raw();
    Cash::new(worth.saturating_add(i128::from(leverage) - 1) / i128::from(leverage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::InstrumentStatus;
    use crate::limits::{InstrumentLimits, StrategyLimits, VenueLimits};
    use crate::num::Increment;

    const ONE: InstrumentId = InstrumentId(0);
    const TWO: InstrumentId = InstrumentId(1);

    /// So many lots that may open something, in place of nothing.
    fn more(lots: i64) -> Swap {
        Swap { comes: Work { quantity: Quantity::new(lots), ..Work::default() }, ..Swap::default() }
    }

    /// Tick 0.10, lot 0.001: 10,000 ticks are 1,000.0, so 1 lot is worth 1.
    fn definition(product: Product) -> InstrumentDefinition {
        InstrumentDefinition {
            tick: Increment::parse(b"0.10", 2).unwrap(),
            lot: Increment::parse(b"0.001", 3).unwrap(),
            min_price: Price::new(1),
            max_price: Price::MAX,
            min_quantity: Quantity::new(1),
            max_quantity: Quantity::MAX,
            max_market_quantity: Quantity::MAX,
            min_notional: 0,
            percent_up: 0,
            percent_down: 0,
            maker_fee_ppm: 200,
            taker_fee_ppm: 1_000,
            base: AssetId(1),
            quote: AssetId(0),
            product,
            status: InstrumentStatus::Trading,
        }
    }

    fn stakes(product: Product, leverage: u32) -> Stakes {
        let limits = InstrumentLimits { leverage, ..InstrumentLimits::default() };
        let configuration = Configuration {
            venues: alloc::vec![VenueLimits::default()],
            instruments: alloc::vec![limits; 2],
            strategies: alloc::vec![StrategyLimits::default(); 2],
            ..Configuration::default()
        };
        let mut stakes = Stakes::new(&configuration);
        for instrument in [ONE, TWO] {
            stakes.define(instrument, &definition(product));
            stakes.mark_to(instrument, Nanos::from_secs(1), Some(Price::new(10_000)));
        }
        stakes
    }

    fn place(owner: usize, instrument: InstrumentId) -> Place {
        Place { owner, instrument, leg: PositionSide::Both }
    }

    fn units(units: i64) -> Cash {
        Cash::from_wire(units * CASH_UNIT)
    }

    fn hold(stakes: &mut Stakes, owner: usize, instrument: InstrumentId, lots: i64, at: i64) {
        let mut position = Position::default();
        let side = if lots < 0 { Side::Sell } else { Side::Buy };
        position.fill(side, Price::new(at), Quantity::new(lots.abs()));
        for owner in [owner, stakes.account()] {
            stakes.hold(place(owner, instrument), &position);
        }
    }

    fn works(lots: i64, price: i64) -> Work {
        let quantity = Quantity::new(lots);
        Work { quantity, cost: Price::new(price).notional(quantity), ..Work::default() }
    }

    fn work(stakes: &mut Stakes, side: Side, lots: i64, price: i64) {
        stakes.work(place(0, ONE), side, Work::default(), works(lots, price));
    }

    #[test]
    fn gross_adds_up_and_net_cancels_out_over_instruments() {
        let mut stakes = stakes(Product::LinearPerpetual, 0);
        hold(&mut stakes, 0, ONE, 30, 10_000);
        hold(&mut stakes, 0, TWO, -20, 10_000);
        let total = stakes.total(0);
        assert_eq!((total.gross, total.net()), (units(50), units(10)));
        // 25 more being bought of ONE: long 55 there; net with all buys filled 55 - 20.
        let with = stakes.with(place(0, ONE), Side::Buy, &more(25));
        assert_eq!((with.gross, with.net()), (units(75), units(35)));
        // Selling 25 of ONE goes through nothing: |30 - 25| is less than 30, so gross stays.
        let with = stakes.with(place(0, ONE), Side::Sell, &more(25));
        assert_eq!((with.gross, with.long, with.short), (units(50), units(10), units(-15)));
    }

    #[test]
    fn the_sums_are_what_a_sum_of_all_stakes_says_after_any_changes() {
        let mut stakes = stakes(Product::LinearPerpetual, 10);
        let mut seed = 5u64;
        let mut dice = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below) as i64
        };
        for step in 1..20_000u64 {
            let (owner, instrument) = (dice(3) as usize, InstrumentId(dice(2) as u16));
            let leg = PositionSide::ALL[dice(3) as usize];
            match dice(3) {
                0 => {
                    let side = if dice(2) == 0 { Side::Buy } else { Side::Sell };
                    let at = Place { owner, instrument, leg };
                    let mut after = works(dice(40) - 15, 10_000);
                    after.closing = Quantity::new(dice(5));
                    after.whole_closes = dice(2);
                    stakes.work(at, side, Work::default(), after);
                }
                1 => hold(&mut stakes, owner, instrument, dice(60) - 30, 9_000 + dice(2_000)),
                _ => {
                    let price = Some(Price::new(9_500 + dice(1_000)));
                    stakes.mark_to(instrument, Nanos::from_secs(step), price);
                }
            }
            for owner in 0..=stakes.account() {
                let mut sum = Worth::default();
                for instrument in [ONE, TWO] {
                    for leg in PositionSide::ALL {
                        let stake = stakes.stake(Place { owner, instrument, leg: *leg });
                        let pricing = &stakes.pricings[instrument.index()];
                        sum.move_by(Worth::default(), stake.valued(pricing));
                    }
                }
                assert_eq!(sum, stakes.total(owner), "row {owner} after step {step}");
            }
        }
    }

    #[test]
    fn a_perpetual_binds_initial_margin_of_its_worst_case() {
        let mut stakes = stakes(Product::LinearPerpetual, 20);
        hold(&mut stakes, 0, ONE, 30, 10_000);
        work(&mut stakes, Side::Buy, 10, 10_000);
        // 40 at leverage 20 is 2; with 60 more being sold the worst case is short 30, still less than 40.
        assert_eq!(stakes.asset(VenueId(0), AssetId(0)).margin, units(2));
        assert_eq!(stakes.margin_with(place(2 + 1, ONE), Side::Sell, &more(60)), units(2));
        assert_eq!(stakes.margin_with(place(2 + 1, ONE), Side::Sell, &more(90)), units(3));
    }

    #[test]
    fn a_perpetual_bought_lower_is_unrealised_profit_of_its_quote_asset() {
        let mut stakes = stakes(Product::LinearPerpetual, 20);
        hold(&mut stakes, 0, ONE, 30, 9_000);
        // (10,000 - 9,000) ticks x 30 lots x 0.0001 = 3
        assert_eq!(stakes.asset(VenueId(0), AssetId(0)).unrealised, units(3));
        assert_eq!(stakes.total(0).marked, units(3));
        assert_eq!(stakes.total(0).realised, units(0));
    }

    #[test]
    fn what_only_closes_brings_a_position_to_flat_and_not_beyond() {
        let mut stakes = stakes(Product::LinearPerpetual, 0);
        hold(&mut stakes, 0, ONE, 10, 10_000);
        let closing = Work { closing: Quantity::new(30), ..works(30, 10_000) };
        stakes.work(place(0, ONE), Side::Sell, Work::default(), closing);
        assert_eq!(stakes.stake(place(0, ONE)).worst(Side::Sell), Quantity::ZERO);
        // 4 plain ones more: if the closing order fills first, these open a short.
        work(&mut stakes, Side::Sell, 4, 10_000);
        assert_eq!(stakes.stake(place(0, ONE)).worst(Side::Sell), Quantity::new(4));
    }

    #[test]
    fn spot_orders_bind_what_they_sell_or_pay_with_fee() {
        let mut stakes = stakes(Product::Spot, 0);
        work(&mut stakes, Side::Buy, 10, 9_000);
        work(&mut stakes, Side::Sell, 7, 11_000);
        // 10 lots at 900.0 cost 9, and 0.1 % of it.
        assert_eq!(
            stakes.asset(VenueId(0), AssetId(0)).bound,
            Cash::from_wire(9 * CASH_UNIT + 9 * CASH_UNIT / 1_000)
        );
        assert_eq!(stakes.asset(VenueId(0), AssetId(1)).bound, Cash::from_wire(7 * CASH_UNIT / 1_000));
    }

    #[test]
    fn another_quote_asset_counts_at_its_configured_worth() {
        let mut stakes = stakes(Product::LinearPerpetual, 0);
        stakes.pricings[1].quote_worth = 3 * CASH_UNIT;
        stakes.revalue(TWO);
        hold(&mut stakes, 0, ONE, 10, 10_000);
        hold(&mut stakes, 0, TWO, 10, 10_000);
        assert_eq!(stakes.total(0).gross, units(40));
    }

    #[test]
    fn what_is_brought_in_or_taken_away_is_no_gain_and_no_loss() {
        let mut stakes = stakes(Product::Spot, 0);
        let position = Position { quantity: Quantity::new(40), ..Position::default() };
        for owner in [0, stakes.account()] {
            stakes.hold(place(owner, ONE), &position);
        }
        stakes.bring(place(0, ONE), Quantity::new(40));
        assert_eq!(stakes.total(stakes.account()).marked, units(0));
        stakes.mark_to(ONE, Nanos::from_secs(9), Some(Price::new(11_000)));
        assert_eq!(stakes.total(stakes.account()).marked, units(4));
    }

    #[test]
    fn a_market_that_is_lost_keeps_its_last_price() {
        let mut stakes = stakes(Product::LinearPerpetual, 0);
        hold(&mut stakes, 0, ONE, 10, 12_000);
        let before = stakes.total(0);
        stakes.mark_to(ONE, Nanos::from_secs(9), None);
        assert_eq!(stakes.total(0), before);
    }
}
