//! Positions: signed lots at average cost, with realised P&L and fees, exact.
//!
//! Cost is kept as what was paid (ticks x lots), not as an average, so that nothing is lost to rounding: when part of a
//! position closes, its share of the cost is taken rounded towards zero and the rest stays, down to the last unit.
//! Hot.

use crate::event::Side;
use crate::num::{Cash, Notional, Price, Quantity};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Signed: positive is long.
    pub quantity: Quantity,
    /// What the open quantity cost, with its sign: positive for long.
    pub cost: Notional,
    pub realised: Notional,
    /// Paid in the quote asset.
    pub fees: Cash,
    /// Paid in other assets, in their own units: never added to money of another asset. The account's balances have the truth.
    pub other_fees: Cash,
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
        other_fees,
        bought,
        sold,
        fills,
        maker_fills,
        turnover,
    }
}

impl Position {
    /// Applies one fill. Closing comes before opening: a fill through zero closes all, then opens the rest at its price.
    #[inline]
    pub fn fill(&mut self, side: Side, price: Price, quantity: Quantity) {
        let signed = side.signed(quantity);
        self.fills += 1;
        self.turnover += price.notional(quantity);
        match side {
            Side::Buy => self.bought += quantity,
            Side::Sell => self.sold += quantity,
        }
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

    /// A position taken over as the venue states it: entered at `entry`, with no history of ours.
    pub fn hydrated(quantity: Quantity, cost: Notional) -> Self {
        Self { quantity, cost, ..Self::default() }
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
