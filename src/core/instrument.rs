//! What an instrument is: its grid, its filters, its assets. A definition enters as an event at a trust boundary.

use crate::id::AssetId;
use crate::num::{Cash, Increment, Notional, Price, Quantity, pow10};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstrumentDefinition {
    pub tick: Increment,
    pub lot: Increment,
    pub min_price: Price,
    pub max_price: Price,
    pub min_quantity: Quantity,
    pub max_quantity: Quantity,
    pub max_market_quantity: Quantity,
    /// At `CASH_DECIMALS` of the quote asset.
    pub min_notional: i64,
    /// Percent price filter against the mark or average price, in 1/10,000: 1.05 is 10,500. Zero: no filter.
    pub percent_up: u32,
    pub percent_down: u32,
    /// Fees in 1/1,000,000 of notional: estimates for display; the ledger takes what reports say.
    pub maker_fee_ppm: i32,
    pub taker_fee_ppm: i32,
    pub base: AssetId,
    pub quote: AssetId,
    pub product: Product,
    pub status: InstrumentStatus,
}

crate::saved! {
    value InstrumentDefinition {
        tick,
        lot,
        min_price,
        max_price,
        min_quantity,
        max_quantity,
        max_market_quantity,
        min_notional,
        percent_up,
        percent_down,
        maker_fee_ppm,
        taker_fee_ppm,
        base,
        quote,
        product,
        status,
    }
}

crate::coded! {
    pub enum Product {
        Spot = 0 "spot",
        LinearPerpetual = 1 "linear_perpetual",
    }
}

crate::coded! {
    pub enum InstrumentStatus {
        Trading = 0 "trading",
        Halted = 1 "halted",
        CancelOnly = 2 "cancel_only",
    }
}

impl InstrumentDefinition {
    /// Exact worth in the quote asset, at `CASH_DECIMALS`; what lies below the last decimal is dropped towards zero
    /// (only instruments whose tick x lot is finer than the scale have any).
    #[inline]
    pub fn cash(&self, notional: Notional) -> Cash {
        let mantissa = i128::from(self.tick.mantissa) * i128::from(self.lot.mantissa);
        let value = notional.raw().saturating_mul(mantissa);
        let decimals = self.tick.decimals.saturating_add(self.lot.decimals);
        if decimals <= crate::num::CASH_DECIMALS {
            let unit = pow10(crate::num::CASH_DECIMALS - decimals).unwrap_or(i64::MAX);
            Cash::new(value.saturating_mul(i128::from(unit)))
        } else {
            let unit = pow10(decimals - crate::num::CASH_DECIMALS).unwrap_or(i64::MAX);
            Cash::new(value.checked_div(i128::from(unit)).unwrap_or(0))
        }
    }
}
