//! Which values a setting takes, a limit or a strategy's parameter: its unit, and its bounds. Events carry the number in that unit.

use core::ops::RangeInclusive;

use fixed::types::I48F16;

use crate::num::{Notional, Price, Quantity};
use crate::time::Nanos;

crate::coded! {
    pub enum Unit {
        Lots = 0 "lots",
        /// Ticks x lots of the instrument.
        Notional = 1 "ticks x lots",
        /// At `CASH_DECIMALS`.
        Money = 2 "money",
        Count = 3 "count",
        /// 1/10,000.
        Share = 4 "1/10,000",
        Span = 5 "ns",
        Ticks = 6 "ticks",
        TickFraction = 7 "1/65,536 tick",
    }
}

/// A range without an upper end.
pub const ANY: i64 = i64::MAX;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    pub unit: Unit,
    pub range: RangeInclusive<i64>,
    /// Zero stands for "none", also where the range does not begin there.
    pub may_be_none: bool,
}

impl Values {
    pub const fn new(unit: Unit, least: i64, most: i64, may_be_none: bool) -> Self {
        Self { unit, range: RangeInclusive::new(least, most), may_be_none }
    }

    pub fn takes(&self, value: i64) -> bool {
        self.range.contains(&value) || (self.may_be_none && value == 0)
    }
}

/// What a setting is kept as, and its number in events.
pub trait Numbered: Sized {
    fn number(&self) -> i64;
    /// `None` for a number that this type does not hold.
    fn of_number(number: i64) -> Option<Self>;
}

impl Numbered for i64 {
    fn number(&self) -> i64 {
        *self
    }
    fn of_number(number: i64) -> Option<Self> {
        Some(number)
    }
}

impl Numbered for u16 {
    fn number(&self) -> i64 {
        i64::from(*self)
    }
    fn of_number(number: i64) -> Option<Self> {
        Self::try_from(number).ok()
    }
}

impl Numbered for u32 {
    fn number(&self) -> i64 {
        i64::from(*self)
    }
    fn of_number(number: i64) -> Option<Self> {
        Self::try_from(number).ok()
    }
}

impl Numbered for Nanos {
    fn number(&self) -> i64 {
        i64::try_from(self.raw()).unwrap_or(i64::MAX)
    }
    fn of_number(number: i64) -> Option<Self> {
        u64::try_from(number).ok().map(Self::new)
    }
}

impl Numbered for Quantity {
    fn number(&self) -> i64 {
        self.raw()
    }
    fn of_number(number: i64) -> Option<Self> {
        Some(Self::new(number))
    }
}

impl Numbered for Notional {
    fn number(&self) -> i64 {
        i64::try_from(self.raw()).unwrap_or(i64::MAX)
    }
    fn of_number(number: i64) -> Option<Self> {
        Some(Self::new(i128::from(number)))
    }
}

impl Numbered for I48F16 {
    fn number(&self) -> i64 {
        self.to_bits()
    }
    fn of_number(number: i64) -> Option<Self> {
        Some(Self::from_bits(number))
    }
}

/// Zero is none.
impl Numbered for Option<Price> {
    fn number(&self) -> i64 {
        self.map_or(0, Price::raw)
    }
    fn of_number(number: i64) -> Option<Self> {
        Some(Some(Price::new(number)).filter(|price| price.is_positive()))
    }
}
