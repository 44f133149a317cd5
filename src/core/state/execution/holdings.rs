//! Who holds what: the positions of each owner and of the whole account, by instrument, and in hedge mode by leg.
//!
//! ```text
//! nets   strategy 0 | strategy 1 | ... | external owner | account      each: one position an instrument
//! legs   the same rows, each position in two: long and short           only where a venue is in hedge mode
//! closings   every owner's part of the latest trade that closed for all   its fee, if told later, is shared by it
//! ```
//! In hedge mode a net is the sum of its legs: right in every sum of money and in what is held on balance. An average price
//! has a leg only.
//! Hot.

use alloc::vec::Vec;

use crate::event::{PositionSide, Side};
use crate::id::{AssetId, InstrumentId, StrategyId};
use crate::instrument::{InstrumentDefinition, Product};
use crate::num::{Cash, Notional, Price, Quantity};
use crate::state::position::Position;

#[derive(Clone, Debug)]
pub(super) struct Holdings {
    strategies: usize,
    instruments: usize,
    nets: Vec<Position>,
    legs: Vec<[Position; 2]>,
    /// Lots, unsigned: of a net or a long leg, of a short one.
    closings: Vec<[Quantity; 2]>,
}

crate::saved! { table Holdings { nets, legs, closings } kept { strategies, instruments } }

/// Whose position, of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub strategy: StrategyId,
    pub instrument: InstrumentId,
    pub leg: PositionSide,
}

/// What one trade did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub side: Side,
    pub price: Price,
    pub quantity: Quantity,
    pub maker: bool,
    /// None where it is not told, or not yet.
    pub fee: Option<Fee>,
}

/// In which asset, how much.
pub(super) type Fee = (AssetId, Cash);

impl Holdings {
    pub(super) fn new(strategies: usize, instruments: usize, hedged: bool) -> Self {
        let rows = (strategies + 2) * instruments;
        let legs = if hedged { rows } else { 0 };
        Self {
            strategies,
            instruments,
            nets: alloc::vec![Position::default(); rows],
            legs: alloc::vec![[Position::default(); 2]; legs],
            closings: alloc::vec![[Quantity::ZERO; 2]; (strategies + 1) * instruments],
        }
    }

    #[inline]
    pub(super) fn position(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<&Position> {
        self.nets.get(self.place(self.owner_row(strategy), instrument)?)
    }

    /// A leg of a position: the position itself where there are none.
    pub(super) fn leg(&self, holder: Holder) -> Option<&Position> {
        self.at(self.owner_row(holder.strategy), holder.instrument, holder.leg)
    }

    #[inline]
    pub(super) fn total(&self, instrument: InstrumentId) -> Option<&Position> {
        self.nets.get(self.place(self.account_row(), instrument)?)
    }

    pub(super) fn total_leg(&self, instrument: InstrumentId, leg: PositionSide) -> Option<&Position> {
        self.at(self.account_row(), instrument, leg)
    }

    /// Of every owner, the account's own row left out.
    pub(super) fn owners(&self) -> &[Position] {
        self.nets.get(..self.account_row() * self.instruments).unwrap_or(&[])
    }

    pub(super) fn of(&self, strategy: StrategyId) -> &[Position] {
        self.row(self.owner_row(strategy))
    }

    pub(super) fn totals(&self) -> &[Position] {
        self.row(self.account_row())
    }

    /// What the strategies hold together, without the external owner.
    pub(super) fn of_strategies(&self, instrument: InstrumentId, leg: PositionSide) -> Quantity {
        (0..self.strategies)
            .filter_map(|row| self.at(row, instrument, leg))
            .fold(Quantity::ZERO, |sum, position| sum + position.quantity)
    }

    /// Books one trade for who made it and for the account; one of the workflow's own orders for everybody who holds a part of
    /// what it closes. False where its fee is in one asset more than are kept apart.
    #[inline]
    pub(super) fn book(
        &mut self,
        holder: Holder,
        fill: &Fill,
        definition: Option<&InstrumentDefinition>,
    ) -> bool {
        if holder.strategy == StrategyId::WORKFLOW {
            self.close_for_all(holder, fill, definition);
        } else {
            self.trade(self.owner_row(holder.strategy), holder, fill);
        }
        self.trade(self.account_row(), holder, fill);
        fill.fee.is_none_or(|fee| self.pay(holder, fee, definition))
    }

    /// The fee of a trade that was booked. False where it is in one asset more than are kept apart.
    #[inline]
    pub(super) fn pay(
        &mut self,
        holder: Holder,
        fee: Fee,
        definition: Option<&InstrumentDefinition>,
    ) -> bool {
        let (used, kept) = if holder.strategy == StrategyId::WORKFLOW {
            self.pay_for_closing(holder, fee, definition)
        } else {
            self.pay_from(self.owner_row(holder.strategy), holder, fee, definition)
        };
        let (asset, amount) = fee;
        let mut kept_in_all = true;
        self.change(self.account_row(), holder.instrument, holder.leg, |position| {
            match pays_in_base(definition, asset) {
                // Which lots it used up, its owners' books say.
                Some(_) => position.give_away(used),
                None => kept_in_all = position.pay(asset, amount, definition),
            }
        });
        kept && kept_in_all
    }

    #[inline]
    fn trade(&mut self, row: usize, holder: Holder, fill: &Fill) {
        self.change(row, holder.instrument, holder.leg, |position| {
            position.fill(fill.side, fill.price, fill.quantity);
            position.maker_fills += u64::from(fill.maker);
        });
    }

    /// What a kill or an operator's wish closes: the account's position; on spot what the strategies hold together, for a person's
    /// coins are no position of ours.
    pub(super) fn to_close(&self, instrument: InstrumentId, leg: PositionSide, is_spot: bool) -> Quantity {
        let total = self.total_leg(instrument, leg).map_or(Quantity::ZERO, |total| total.quantity);
        if is_spot { self.of_strategies(instrument, leg).min(total).max(Quantity::ZERO) } else { total }
    }

    /// A trade that closes on a kill or an operator's wish, or by the venue's force.
    ///
    /// Each owner closes the same share of what it holds (long or short) as the trade closes of what is to be closed; what rounding
    /// leaves is the external owner's. So who is closed out is flat in its own book when the account is, whatever the others
    /// hold. A trade that closes more than is held is nobody's closing.
    #[cold]
    fn close_for_all(&mut self, holder: Holder, fill: &Fill, definition: Option<&InstrumentDefinition>) {
        let Holder { instrument, leg, .. } = holder;
        let is_spot = definition.is_some_and(|definition| definition.product == Product::Spot);
        let external = self.owner_row(StrategyId::EXTERNAL);
        let whole = i128::from(self.to_close(instrument, leg, is_spot).raw());
        let signed = i128::from(fill.side.signed(fill.quantity).raw());
        let closes = whole.signum() == -signed.signum() && signed.abs() <= whole.abs();
        let mut left = signed;
        for row in 0..=external {
            let held = i128::from(self.at(row, instrument, leg).map_or(0, |own| own.quantity.raw()));
            let part = match (row == external, closes) {
                (true, _) => left,
                (false, true) => held * signed / whole,
                (false, false) => 0,
            };
            left -= part;
            let lots = Quantity::new(i64::try_from(part).unwrap_or(0));
            if let Some(closing) = self.closing_mut(row, instrument, leg) {
                *closing = lots.abs();
            }
            if !lots.is_zero() {
                let side = if lots.is_positive() { Side::Buy } else { Side::Sell };
                self.trade(row, holder, &Fill { side, quantity: lots.abs(), ..*fill });
            }
        }
    }

    /// Owners hold against each other what the account is flat of: each closes at this price with the others, without a trade and
    /// without a fee. Returns the lots that changed hands; the account's own row stays as it is.
    #[cold]
    pub(super) fn cross(&mut self, instrument: InstrumentId, leg: PositionSide, price: Price) -> Quantity {
        let mut crossed = Quantity::ZERO;
        for row in 0..self.account_row() {
            self.change(row, instrument, leg, |position| {
                crossed += position.quantity.max(Quantity::ZERO);
                position.hand_over(price);
            });
        }
        crossed
    }

    /// One owner's fee. Returns the lots that a fee in the base asset has used up, and whether the fee's asset is kept apart.
    #[inline]
    fn pay_from(
        &mut self,
        row: usize,
        holder: Holder,
        (asset, fee): Fee,
        definition: Option<&InstrumentDefinition>,
    ) -> (Quantity, bool) {
        let (mut used, mut kept) = (Quantity::ZERO, true);
        self.change(row, holder.instrument, holder.leg, |position| match pays_in_base(definition, asset) {
            Some(definition) => {
                used = position.owe_base(fee, &definition.lot);
                position.give_away(used);
            }
            None => kept = position.pay(asset, fee, definition),
        });
        (used, kept)
    }

    /// The fee of a closing is shared by the lots that each closed in the latest one: the shares of one closing's trades differ by
    /// rounding only. What nobody closed, the external owner pays.
    #[cold]
    fn pay_for_closing(
        &mut self,
        holder: Holder,
        (asset, fee): Fee,
        definition: Option<&InstrumentDefinition>,
    ) -> (Quantity, bool) {
        let external = self.owner_row(StrategyId::EXTERNAL);
        let closed = |holdings: &mut Self, row: usize| {
            let lots = holdings.closing_mut(row, holder.instrument, holder.leg);
            lots.map_or(0, |lots| i128::from(lots.raw()))
        };
        let mut unshared: i128 = (0..=external).map(|row| closed(self, row)).sum();
        let (mut unpaid, mut used, mut kept) = (fee, Quantity::ZERO, true);
        for row in 0..=external {
            let part = closed(self, row);
            // Of what is not paid yet, so that nothing of it is lost to rounding.
            let own = if row == external {
                unpaid
            } else {
                Cash::new(unpaid.raw().saturating_mul(part).checked_div(unshared).unwrap_or(0))
            };
            unshared -= part;
            unpaid -= own;
            if !own.is_zero() {
                let (own_used, own_kept) = self.pay_from(row, holder, (asset, own), definition);
                used += own_used;
                kept &= own_kept;
            }
        }
        (used, kept)
    }

    #[inline]
    fn closing_mut(
        &mut self,
        row: usize,
        instrument: InstrumentId,
        leg: PositionSide,
    ) -> Option<&mut Quantity> {
        let place = self.place(row, instrument)?;
        let [long, short] = self.closings.get_mut(place)?;
        Some(if leg == PositionSide::Short { short } else { long })
    }

    /// A payment on what is held: each owner has the part that its position has in the account's, and what rounding leaves
    /// is the external owner's. Where the account is flat on balance, all of it is.
    pub(super) fn fund(&mut self, instrument: InstrumentId, legs: &[PositionSide], payment: Cash) {
        let whole = self.total(instrument).map_or(0, |total| i128::from(total.quantity.raw()));
        let mut unpaid = payment;
        for (at, leg) in legs.iter().enumerate() {
            let part = |row: usize, holdings: &Self| {
                let held = holdings.at(row, instrument, *leg).map_or(0, |position| position.quantity.raw());
                let part = payment.raw().saturating_mul(i128::from(held)).checked_div(whole);
                Cash::new(part.unwrap_or(0))
            };
            let last = at + 1 == legs.len();
            let of_account = if last { unpaid } else { part(self.account_row(), self) };
            unpaid -= of_account;
            let mut rest = of_account;
            for row in 0..self.strategies {
                let own = part(row, self);
                rest -= own;
                self.change(row, instrument, *leg, |position| position.funding += own);
            }
            let external = self.owner_row(StrategyId::EXTERNAL);
            self.change(external, instrument, *leg, |position| position.funding += rest);
            self.change(self.account_row(), instrument, *leg, |total| total.funding += of_account);
        }
    }

    /// The external owner holds this from now on, and the account as much more or less.
    pub(super) fn adopt(
        &mut self,
        instrument: InstrumentId,
        leg: PositionSide,
        quantity: Quantity,
        cost: Notional,
    ) {
        let external = self.owner_row(StrategyId::EXTERNAL);
        let Some(before) = self.at(external, instrument, leg).copied() else { return };
        for row in [external, self.account_row()] {
            self.change(row, instrument, leg, |position| {
                position.bring(quantity - before.quantity);
                position.cost += cost - before.cost;
            });
        }
    }

    /// Lots come to the external owner or leave it without a trade (a deposit, a withdrawal), for nothing.
    pub(super) fn transfer(&mut self, instrument: InstrumentId, quantity: Quantity) {
        for row in [self.owner_row(StrategyId::EXTERNAL), self.account_row()] {
            self.change(row, instrument, PositionSide::Both, |position| position.bring(quantity));
        }
    }

    /// Behind the back of everything that keeps the sums true.
    #[cfg(test)]
    pub(super) fn cheat(&mut self, holder: Holder, act: impl FnOnce(&mut Position)) {
        self.change(self.owner_row(holder.strategy), holder.instrument, holder.leg, act);
    }

    /// The one way to change a position: where it is a leg, its net follows.
    #[inline]
    fn change(
        &mut self,
        row: usize,
        instrument: InstrumentId,
        leg: PositionSide,
        act: impl FnOnce(&mut Position),
    ) {
        let Some(at) = self.place(row, instrument) else { return };
        let Some(net) = self.nets.get_mut(at) else { return };
        match (leg, self.legs.get_mut(at)) {
            (PositionSide::Both, _) | (_, None) => act(net),
            (_, Some(legs)) => {
                let [long, short] = legs;
                act(if leg == PositionSide::Long { long } else { short });
                *net = long.with(short);
            }
        }
    }

    fn at(&self, row: usize, instrument: InstrumentId, leg: PositionSide) -> Option<&Position> {
        let at = self.place(row, instrument)?;
        match (leg, self.legs.get(at)) {
            (PositionSide::Both, _) | (_, None) => self.nets.get(at),
            (PositionSide::Long, Some([long, _])) => Some(long),
            (PositionSide::Short, Some([_, short])) => Some(short),
        }
    }

    fn row(&self, row: usize) -> &[Position] {
        self.nets.get(row * self.instruments..(row + 1) * self.instruments).unwrap_or(&[])
    }

    #[inline]
    fn place(&self, row: usize, instrument: InstrumentId) -> Option<usize> {
        (instrument.index() < self.instruments).then(|| row * self.instruments + instrument.index())
    }

    #[inline]
    fn owner_row(&self, strategy: StrategyId) -> usize {
        strategy.index().min(self.strategies)
    }

    #[inline]
    fn account_row(&self) -> usize {
        self.strategies + 1
    }
}

impl Position {
    /// A fee that is not in the base asset. False where its asset is one more than are kept apart.
    #[inline]
    fn pay(&mut self, asset: AssetId, fee: Cash, definition: Option<&InstrumentDefinition>) -> bool {
        if definition.is_some_and(|definition| definition.quote == asset) {
            self.fees += fee;
            return true;
        }
        self.fees_elsewhere.add(asset, fee)
    }
}

/// Spot: a fee in the base asset is paid with what was bought.
#[inline]
fn pays_in_base(definition: Option<&InstrumentDefinition>, asset: AssetId) -> Option<&InstrumentDefinition> {
    definition.filter(|definition| definition.product == Product::Spot && definition.base == asset)
}
