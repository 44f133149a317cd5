//! Positions: signed lots at average cost, with realised P&L, fees and funding, exact.
//!
//! Cost is kept as what was paid (ticks x lots), not as an average, so that nothing is lost to rounding: when part of a
//! position closes, its share of the cost is taken rounded towards zero and the rest stays, down to the last unit. The rules:
//! docs/decisions/positions.md.
//! Hot.

use crate::event::Side;
use crate::id::AssetId;
use crate::instrument::InstrumentDefinition;
use crate::num::{Cash, Increment, Notional, Price, Quantity};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Signed: positive is long.
    pub quantity: Quantity,
    /// What the open quantity cost, with its sign: positive for long.
    pub cost: Notional,
    pub realised: Notional,
    /// Paid in the quote asset.
    pub fees: Cash,
    pub fees_elsewhere: FeesElsewhere,
    /// Received in the quote asset for what was held; paid is negative.
    pub funding: Cash,
    /// Spot: fees in the base asset that do not make a lot yet.
    pub base_owed: Cash,
    /// Came without a trade of ours: what was held at the start, deposits; less what left so, base fees among it.
    pub brought: Quantity,
    pub bought: Quantity,
    pub sold: Quantity,
    pub fills: u64,
    pub maker_fills: u64,
    pub turnover: Notional,
}

crate::saved! {
    value Position {
        quantity,
        cost,
        realised,
        fees,
        fees_elsewhere,
        funding,
        base_owed,
        brought,
        bought,
        sold,
        fills,
        maker_fills,
        turnover,
    }
}

/// Fees in other assets than the quote's, each in its own units and never added to another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeesElsewhere {
    paid: [(AssetId, Cash); FeesElsewhere::ASSETS],
}

impl FeesElsewhere {
    /// A venue takes its fees in the quote's asset, the base's, or one of its own.
    const ASSETS: usize = 3;

    pub fn in_asset(&self, asset: AssetId) -> Cash {
        self.iter().find(|(known, _)| *known == asset).map_or(Cash::ZERO, |(_, fee)| fee)
    }

    pub fn iter(&self) -> impl Iterator<Item = (AssetId, Cash)> + '_ {
        self.paid.iter().copied().filter(|(asset, _)| !asset.is_none())
    }

    /// False where there is no room for another asset.
    pub(crate) fn add(&mut self, asset: AssetId, fee: Cash) -> bool {
        if fee.is_zero() {
            return true;
        }
        let known = self.paid.iter().position(|(known, _)| *known == asset);
        let place = known.or_else(|| self.paid.iter().position(|(known, _)| known.is_none()));
        match place.and_then(|at| self.paid.get_mut(at)) {
            Some(place) => {
                *place = (asset, place.1 + fee);
                true
            }
            None => false,
        }
    }
}

impl Default for FeesElsewhere {
    fn default() -> Self {
        Self { paid: [(AssetId::NONE, Cash::ZERO); Self::ASSETS] }
    }
}

crate::saved! { value FeesElsewhere { paid } }

/// A result in the quote asset, in its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfitAndLoss {
    pub realised: Cash,
    pub unrealised: Cash,
    /// Paid; a rebate is negative.
    pub fees: Cash,
    /// Received; paid is negative.
    pub funding: Cash,
}

impl ProfitAndLoss {
    /// What is left of it all. Fees in other assets are not in it.
    pub fn net(&self) -> Cash {
        self.realised + self.unrealised - self.fees + self.funding
    }
}

impl core::ops::Add for ProfitAndLoss {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            realised: self.realised + other.realised,
            unrealised: self.unrealised + other.unrealised,
            fees: self.fees + other.fees,
            funding: self.funding + other.funding,
        }
    }
}

impl Position {
    /// The result so far, with what is held valued at `mark`; without one it counts as what it cost.
    pub fn profit(&self, definition: &InstrumentDefinition, mark: Option<Price>) -> ProfitAndLoss {
        ProfitAndLoss {
            realised: definition.cash(self.realised),
            unrealised: mark.map_or(Cash::ZERO, |price| definition.cash(self.unrealised(price))),
            fees: self.fees,
            funding: self.funding,
        }
    }

    /// Applies one fill. Closing comes before opening: a fill through zero closes all, then opens the rest at its price.
    #[inline]
    pub fn fill(&mut self, side: Side, price: Price, quantity: Quantity) {
        self.fills += 1;
        self.turnover += price.notional(quantity);
        match side {
            Side::Buy => self.bought += quantity,
            Side::Sell => self.sold += quantity,
        }
        self.move_lots(side, price, quantity);
    }

    /// Lots come or go at a price.
    #[inline]
    fn move_lots(&mut self, side: Side, price: Price, quantity: Quantity) {
        let signed = side.signed(quantity);
        let opposite = self.quantity.raw().signum() * signed.raw().signum() < 0;
        if !opposite {
            self.cost += price.notional(signed);
            self.quantity += signed;
            return;
        }
        let closing = quantity.min(self.quantity.abs());
        let closed = if signed.is_negative() { closing } else { -closing };
        let share = self
            .cost
            .raw()
            .saturating_mul(i128::from(closing.raw()))
            .checked_div(i128::from(self.quantity.abs().raw()))
            .unwrap_or(0);
        let share = Notional::new(share);
        // `closed` has the sign of the position: selling a long realises price x closed - cost of it.
        self.realised += price.notional(closed) - share;
        self.cost -= share;
        self.quantity -= closed;
        let opening = quantity - closing;
        if opening.is_positive() {
            let signed = side.signed(opening);
            self.cost += price.notional(signed);
            self.quantity += signed;
        }
    }

    /// What closing at `price` would add to the realised P&L, before fees.
    #[inline]
    pub fn unrealised(&self, price: Price) -> Notional {
        price.notional(self.quantity) - self.cost
    }

    /// Average entry in ticks, rounded towards zero: for display.
    pub fn average_entry(&self) -> Option<Price> {
        let average = self.cost.raw().checked_div(i128::from(self.quantity.raw()))?;
        i64::try_from(average).ok().map(Price::new)
    }

    /// A fee in the base asset is owed. Returns the whole lots that it has come to.
    pub(crate) fn owe_base(&mut self, fee: Cash, lot: &Increment) -> Quantity {
        self.base_owed += fee;
        let lots = lot.whole_steps(self.base_owed);
        self.base_owed -= lot.cash(lots);
        Quantity::new(lots)
    }

    /// Lots leave for nothing: what they cost is lost. (Lots that come back, as a rebate, come for nothing.)
    pub(crate) fn give_away(&mut self, lots: Quantity) {
        if lots.is_zero() {
            return;
        }
        let side = if lots.is_positive() { Side::Sell } else { Side::Buy };
        self.move_lots(side, Price::ZERO, lots.abs());
        self.brought -= lots;
    }

    /// All of it passes to another owner of the account, at a price.
    pub(crate) fn hand_over(&mut self, price: Price) {
        let lots = self.quantity;
        let side = if lots.is_positive() { Side::Sell } else { Side::Buy };
        self.move_lots(side, price, lots.abs());
        self.brought -= lots;
    }

    /// Lots come without a trade, or go.
    #[inline]
    pub(crate) fn bring(&mut self, lots: Quantity) {
        self.quantity += lots;
        self.brought += lots;
    }

    /// What must be held: what came without a trade, and what trades made of it.
    #[inline]
    pub fn accounted(&self) -> Quantity {
        self.brought + self.bought - self.sold
    }

    /// Two positions as one: every sum of both.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let mut fees_elsewhere = self.fees_elsewhere;
        for (asset, fee) in other.fees_elsewhere.iter() {
            fees_elsewhere.add(asset, fee);
        }
        Self {
            quantity: self.quantity + other.quantity,
            cost: self.cost + other.cost,
            realised: self.realised + other.realised,
            fees: self.fees + other.fees,
            fees_elsewhere,
            funding: self.funding + other.funding,
            base_owed: self.base_owed + other.base_owed,
            brought: self.brought + other.brought,
            bought: self.bought + other.bought,
            sold: self.sold + other.sold,
            fills: self.fills + other.fills,
            maker_fills: self.maker_fills + other.maker_fills,
            turnover: self.turnover + other.turnover,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(position: &mut Position, side: Side, price: i64, quantity: i64) {
        position.fill(side, Price::new(price), Quantity::new(quantity));
    }

    #[test]
    fn buying_averages_and_selling_realises_by_hand() {
        let mut p = Position::default();
        fill(&mut p, Side::Buy, 100, 2);
        fill(&mut p, Side::Buy, 110, 2);
        assert_eq!(p.average_entry(), Some(Price::new(105)));
        fill(&mut p, Side::Sell, 120, 1);
        assert_eq!(p.realised, Notional::new(15));
        assert_eq!(p.quantity, Quantity::new(3));
        assert_eq!(p.unrealised(Price::new(100)), Notional::new(-15));
    }

    #[test]
    fn a_fill_through_zero_closes_all_and_opens_the_rest() {
        let mut p = Position::default();
        fill(&mut p, Side::Sell, 50, 3);
        fill(&mut p, Side::Buy, 40, 5);
        assert_eq!(p.realised, Notional::new(30));
        assert_eq!(p.quantity, Quantity::new(2));
        assert_eq!(p.cost, Notional::new(80));
    }

    #[test]
    fn nothing_is_lost_to_rounding_when_a_position_goes_flat() {
        let mut seed = 11u64;
        for _ in 0..2_000 {
            let mut p = Position::default();
            let mut cash = 0i128;
            for _ in 0..40 {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                let price = 900 + (seed >> 40) as i64 % 200;
                let quantity = 1 + (seed >> 50) as i64 % 7;
                let side = if seed >> 63 == 0 { Side::Buy } else { Side::Sell };
                fill(&mut p, side, price, quantity);
                cash -= i128::from(price) * i128::from(side.signed(Quantity::new(quantity)).raw());
            }
            let rest = p.quantity;
            if !rest.is_zero() {
                let side = if rest.is_positive() { Side::Sell } else { Side::Buy };
                fill(&mut p, side, 1000, rest.abs().raw());
                cash += 1000 * i128::from(rest.raw());
            }
            assert_eq!(p.quantity, Quantity::ZERO);
            assert_eq!(p.cost, Notional::ZERO);
            assert_eq!(p.realised.raw(), cash, "realised equals the cash that moved");
        }
    }
}
