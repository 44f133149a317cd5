//! Exact decimals of the venue: an `i64` count of 1e-8 units, so one unit is the smallest amount that a wallet can hold.
//!
//! Promises: text in and text out without a float between; products and quotients go through `i128`; arithmetic saturates
//! at ±92 billion, far outside every filter, and never wraps or panics. Not shared with the engine's core on purpose.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// A decimal number with eight places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decimal(pub i64);

/// Why a text is not a [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    #[error("empty number")]
    Empty,
    #[error("not a decimal number")]
    Syntax,
    #[error("more than eight decimal places")]
    Precision,
    #[error("number out of range")]
    Range,
}

impl Decimal {
    pub const ZERO: Decimal = Decimal(0);
    pub const ONE: Decimal = Decimal(Self::SCALE);
    pub const MAX: Decimal = Decimal(i64::MAX);
    pub const SCALE: i64 = 100_000_000;
    const PLACES: usize = 8;

    /// `mantissa` units of `10^-places`; `places` above eight truncates.
    pub const fn new(mantissa: i64, places: u32) -> Decimal {
        if places <= 8 {
            Decimal(mantissa.saturating_mul(10i64.pow(8 - places)))
        } else {
            Decimal(mantissa / 10i64.pow(places - 8))
        }
    }

    /// Reads `-12.345`; an exponent, a sign `+`, spaces, or a lone point are refused, trailing zeros beyond eight places are not.
    pub fn parse(text: &str) -> Result<Decimal, DecimalError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if digits.is_empty() {
            return Err(DecimalError::Empty);
        }
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || (digits.contains('.') && fraction.is_empty()) {
            return Err(DecimalError::Syntax);
        }
        let mut units: i128 = 0;
        let mut places = 0;
        for byte in whole.bytes() {
            units = Self::push_digit(units, byte)?;
        }
        for byte in fraction.bytes() {
            if places < Self::PLACES {
                units = Self::push_digit(units, byte)?;
                places += 1;
            } else if byte.is_ascii_digit() {
                if byte != b'0' {
                    return Err(DecimalError::Precision);
                }
            } else {
                return Err(DecimalError::Syntax);
            }
        }
        for _ in places..Self::PLACES {
            units = Self::push_digit(units, b'0')?;
        }
        let units = i64::try_from(units).map_err(|_| DecimalError::Range)?;
        Ok(Decimal(if negative { -units } else { units }))
    }

    fn push_digit(units: i128, byte: u8) -> Result<i128, DecimalError> {
        if !byte.is_ascii_digit() {
            return Err(DecimalError::Syntax);
        }
        let units = units * 10 + i128::from(byte - b'0');
        if units > i128::from(i64::MAX) { Err(DecimalError::Range) } else { Ok(units) }
    }

    /// Product, rounded towards zero.
    pub fn times(self, other: Decimal) -> Decimal {
        Self::clamp(i128::from(self.0) * i128::from(other.0) / i128::from(Self::SCALE))
    }

    /// Quotient, rounded towards zero; zero when `other` is zero, because every caller asks for an average over a quantity that may be none.
    pub fn over(self, other: Decimal) -> Decimal {
        if other.0 == 0 {
            return Decimal::ZERO;
        }
        Self::clamp(i128::from(self.0) * i128::from(Self::SCALE) / i128::from(other.0))
    }

    /// `self * numerator / denominator` with one rounding, towards zero; zero when `denominator` is zero.
    pub fn ratio(self, numerator: i64, denominator: i64) -> Decimal {
        if denominator == 0 {
            return Decimal::ZERO;
        }
        Self::clamp(i128::from(self.0) * i128::from(numerator) / i128::from(denominator))
    }

    pub const fn abs(self) -> Decimal {
        Decimal(self.0.saturating_abs())
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether `self - base` is a whole number of `step`s.
    pub const fn is_multiple_of(self, step: Decimal) -> bool {
        step.0 == 0 || self.0 % step.0 == 0
    }

    /// The greatest multiple of `step` that is not above `self` (for values that are not negative).
    pub const fn floor_to(self, step: Decimal) -> Decimal {
        if step.0 == 0 { self } else { Decimal(self.0 - self.0.rem_euclid(step.0)) }
    }

    /// How many decimal places `self` needs.
    pub fn places(self) -> u32 {
        let mut units = self.0;
        let mut places = Self::PLACES as u32;
        while places > 0 && units % 10 == 0 {
            units /= 10;
            places -= 1;
        }
        places
    }

    /// Text with exactly `places` decimals (at most eight), further digits cut off.
    pub fn fixed(self, places: u32) -> Fixed {
        Fixed { value: self, places: places.min(8) }
    }

    fn clamp(value: i128) -> Decimal {
        Decimal(value.clamp(i128::from(-i64::MAX), i128::from(i64::MAX)) as i64)
    }
}

/// What [`Decimal::fixed`] prints.
#[derive(Clone, Copy)]
pub struct Fixed {
    value: Decimal,
    places: u32,
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.value.0.unsigned_abs();
        let cut = 10u64.pow(8 - self.places);
        let kept = units / cut;
        let base = 10u64.pow(self.places);
        if self.value.0 < 0 && kept != 0 {
            f.write_str("-")?;
        }
        if self.places == 0 {
            write!(f, "{kept}")
        } else {
            write!(f, "{}.{:0width$}", kept / base, kept % base, width = self.places as usize)
        }
    }
}

/// Shortest exact text.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.fixed(self.places()), f)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Add for Decimal {
    type Output = Decimal;
    fn add(self, other: Decimal) -> Decimal {
        Decimal(self.0.saturating_add(other.0))
    }
}

impl Sub for Decimal {
    type Output = Decimal;
    fn sub(self, other: Decimal) -> Decimal {
        Decimal(self.0.saturating_sub(other.0))
    }
}

impl Neg for Decimal {
    type Output = Decimal;
    fn neg(self) -> Decimal {
        Decimal(self.0.saturating_neg())
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, other: Decimal) {
        *self = *self + other;
    }
}

impl SubAssign for Decimal {
    fn sub_assign(&mut self, other: Decimal) {
        *self = *self - other;
    }
}

impl Sum for Decimal {
    fn sum<I: Iterator<Item = Decimal>>(iter: I) -> Decimal {
        iter.fold(Decimal::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_of_the_wire_read_exactly() {
        assert_eq!(Decimal::parse("61800.20"), Ok(Decimal(6_180_020_000_000)));
        assert_eq!(Decimal::parse("0.00000001"), Ok(Decimal(1)));
        assert_eq!(Decimal::parse("-5"), Ok(Decimal(-500_000_000)));
        assert_eq!(Decimal::parse("1.0000000000"), Ok(Decimal::ONE));
        assert_eq!(Decimal::parse("0.000000001"), Err(DecimalError::Precision));
        for bad in ["", "-", ".", "1.", ".5", "1e3", "+1", " 1", "1 ", "1.2.3", "0x1", "NaN"] {
            assert!(Decimal::parse(bad).is_err(), "{bad:?} was taken for a number");
        }
        assert_eq!(Decimal::parse("99999999999999"), Err(DecimalError::Range));
    }

    #[test]
    fn fixed_text_has_exactly_the_places_asked_for() {
        let value = Decimal::parse("-61800.25").expect("a literal");
        assert_eq!(value.fixed(2).to_string(), "-61800.25");
        assert_eq!(value.fixed(1).to_string(), "-61800.2");
        assert_eq!(value.fixed(0).to_string(), "-61800");
        assert_eq!(value.fixed(8).to_string(), "-61800.25000000");
        assert_eq!(Decimal(-1).fixed(2).to_string(), "0.00");
        assert_eq!(value.to_string(), "-61800.25");
    }

    proptest! {
        #[test]
        fn text_round_trips(units in -i64::MAX..i64::MAX) {
            let value = Decimal(units);
            prop_assert_eq!(Decimal::parse(&value.to_string()), Ok(value));
            prop_assert_eq!(Decimal::parse(&value.fixed(8).to_string()), Ok(value));
        }
    }
}
