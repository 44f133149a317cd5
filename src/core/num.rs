//! Units as types, and exact decimal text.
//!
//! Prices are whole ticks, quantities whole lots, money an integer at its asset's scale. Decimal text becomes an integer and
//! goes back without a float between. Bare integers of money or quantity stay inside this file. Arithmetic saturates: a
//! sum that leaves the range sticks at its end, where the risk limits refuse it, and never wraps into a small number.
//! Hot.

use core::fmt;
use core::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// Every asset's money is kept at this many decimals unless its instruments need more (see `instrument`).
pub const CASH_DECIMALS: u8 = 8;
/// 10^CASH_DECIMALS.
pub const CASH_UNIT: i64 = 100_000_000;

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name($int);

        impl $name {
            pub const ZERO: Self = Self(0);
            pub const MAX: Self = Self(<$int>::MAX);
            pub const MIN: Self = Self(<$int>::MIN);
            #[inline]
            pub const fn new(units: $int) -> Self {
                Self(units)
            }
            /// The bare integer: for codecs, and for arithmetic that changes the unit.
            #[inline]
            pub const fn raw(self) -> $int {
                self.0
            }
            #[inline]
            pub const fn abs(self) -> Self {
                Self(self.0.saturating_abs())
            }
            #[inline]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }
            #[inline]
            pub const fn is_positive(self) -> bool {
                self.0 > 0
            }
            #[inline]
            pub const fn is_negative(self) -> bool {
                self.0 < 0
            }
            /// This many times the unit, saturating.
            #[inline]
            pub const fn times(self, count: $int) -> Self {
                Self(self.0.saturating_mul(count))
            }
        }
        impl $crate::snapshot::Value for $name {
            #[inline]
            fn write<S: $crate::snapshot::Sink + ?Sized>(&self, to: &mut S) {
                $crate::snapshot::Value::write(&self.0, to);
            }
            #[inline]
            fn read(from: &mut $crate::snapshot::Words<'_>) -> Result<Self, $crate::snapshot::SnapshotError> {
                $crate::snapshot::Value::read(from).map(Self)
            }
        }
        impl Add for $name {
            type Output = Self;
            #[inline]
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }
        impl Sub for $name {
            type Output = Self;
            #[inline]
            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }
        impl Neg for $name {
            type Output = Self;
            #[inline]
            fn neg(self) -> Self {
                Self(self.0.saturating_neg())
            }
        }
        impl AddAssign for $name {
            #[inline]
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl SubAssign for $name {
            #[inline]
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

unit!(
    /// A price in whole ticks of its instrument.
    Price(i64)
);
unit!(
    /// A quantity in whole lots of its instrument. Signed where it is a position: positive is long.
    Quantity(i64)
);
unit!(
    /// Price times quantity, in ticks x lots of its instrument: exact, and comparable only within the instrument.
    Notional(i128)
);
unit!(
    /// Money: an integer at its asset's scale. Exact.
    Cash(i128)
);

impl Price {
    /// The exact worth of `quantity` at this price.
    #[inline]
    pub const fn notional(self, quantity: Quantity) -> Notional {
        Notional((self.0 as i128).saturating_mul(quantity.0 as i128))
    }
}

impl Quantity {
    #[inline]
    pub fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
    #[inline]
    pub fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

impl Cash {
    /// From the 64-bit form that events carry.
    #[inline]
    pub const fn from_wire(units: i64) -> Self {
        Self(units as i128)
    }
    /// To the 64-bit form, saturating: for counters and displays, never for the ledger.
    #[inline]
    pub fn to_wire(self) -> i64 {
        self.0.clamp(i64::MIN as i128, i64::MAX as i128) as i64
    }
}

/// What is wrong with a number's text, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// No digit where one must stand.
    NotADigit { offset: usize },
    /// More digits than an `i64` holds.
    TooLarge { offset: usize },
    /// Nonzero digits beyond the decimals that the unit has.
    TooFine { offset: usize },
    /// The value is not a whole number of increments.
    OffGrid,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADigit { offset } => write!(f, "not a decimal number (byte {offset})"),
            Self::TooLarge { offset } => write!(f, "number too large (byte {offset})"),
            Self::TooFine { offset } => write!(f, "more decimals than the unit has (byte {offset})"),
            Self::OffGrid => write!(f, "not a whole number of steps"),
        }
    }
}

impl core::error::Error for NumberError {}

/// Decimal text to an integer at `decimals`: `"61800.20"` at 1 is `618002`. Exact, or an error: never rounded.
pub fn parse_decimal(text: &[u8], decimals: u8) -> Result<i64, NumberError> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let sign_length = text.len() - digits.len();
    let mut value: i64 = 0;
    let mut seen_digits = 0usize;
    let mut after_point: Option<u8> = None;
    for (index, &byte) in digits.iter().enumerate() {
        let offset = index + sign_length;
        match (byte, after_point) {
            (b'0'..=b'9', Some(places)) if places >= decimals => {
                if byte != b'0' {
                    return Err(NumberError::TooFine { offset });
                }
                seen_digits += 1;
            }
            (b'0'..=b'9', _) => {
                value = value
                    .checked_mul(10)
                    .and_then(|v| v.checked_add(i64::from(byte - b'0')))
                    .ok_or(NumberError::TooLarge { offset })?;
                after_point = after_point.map(|places| places + 1);
                seen_digits += 1;
            }
            (b'.', None) => after_point = Some(0),
            _ => return Err(NumberError::NotADigit { offset }),
        }
    }
    if seen_digits == 0 {
        return Err(NumberError::NotADigit { offset: text.len() });
    }
    let missing = decimals - after_point.unwrap_or(0).min(decimals);
    let value = pow10(missing)
        .and_then(|unit| value.checked_mul(unit))
        .ok_or(NumberError::TooLarge { offset: text.len() })?;
    Ok(if negative { -value } else { value })
}

/// 10^exponent, where an `i64` holds it.
#[inline]
pub const fn pow10(exponent: u8) -> Option<i64> {
    10i64.checked_pow(exponent as u32)
}

/// A step of price or quantity: `mantissa` x 10^-`decimals`. Tick 0.10 is `1 x 10^-1`; tick 0.05 is `5 x 10^-2`.
///
/// `text_decimals` is how many decimals the venue prints in its own messages (0.10 prints as `61800.20`: two).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Increment {
    pub mantissa: u32,
    pub decimals: u8,
    pub text_decimals: u8,
}

crate::saved! { value Increment { mantissa, decimals, text_decimals } }

impl Increment {
    /// No venue's step is finer, and `DecimalText` has room for what it makes.
    pub const MAX_DECIMALS: u8 = 18;

    /// From the venue's text of the step (`"0.10"`) and the decimals of its messages. Trailing zeros are dropped from the step.
    pub fn parse(step: &[u8], text_decimals: u8) -> Result<Self, NumberError> {
        let point = step.iter().position(|&b| b == b'.');
        let written = point.map_or(0, |p| step.len() - p - 1);
        let mut decimals = u8::try_from(written).map_err(|_| NumberError::TooLarge { offset: step.len() })?;
        let mut mantissa = parse_decimal(step, decimals)?;
        if mantissa <= 0 {
            return Err(NumberError::OffGrid);
        }
        while decimals > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            decimals -= 1;
        }
        let mantissa = u32::try_from(mantissa).map_err(|_| NumberError::TooLarge { offset: step.len() })?;
        let text_decimals = text_decimals.max(decimals);
        if text_decimals > Self::MAX_DECIMALS {
            return Err(NumberError::TooFine { offset: step.len() });
        }
        Ok(Self { mantissa, decimals, text_decimals })
    }

    /// Venue text to whole steps; text between two steps is an error, never rounded.
    pub fn steps(&self, text: &[u8]) -> Result<i64, NumberError> {
        let value = parse_decimal(text, self.decimals)?;
        if self.mantissa == 1 {
            return Ok(value);
        }
        let mantissa = i64::from(self.mantissa);
        match (value.checked_rem(mantissa), value.checked_div(mantissa)) {
            (Some(0), Some(steps)) => Ok(steps),
            _ => Err(NumberError::OffGrid),
        }
    }

    /// What so many steps of an asset are, as money of it; what lies below the last decimal is dropped.
    pub fn cash(&self, steps: i64) -> Cash {
        let value = i128::from(steps) * i128::from(self.mantissa);
        let (coarser, finer) = self.scales();
        Cash(value.saturating_mul(coarser).checked_div(finer).unwrap_or(0))
    }

    /// How many whole steps some money of the asset is, rounded towards zero.
    pub fn whole_steps(&self, cash: Cash) -> i64 {
        let (coarser, finer) = self.scales();
        let unit = i128::from(self.mantissa).saturating_mul(coarser);
        let steps = cash.0.saturating_mul(finer).checked_div(unit).unwrap_or(0);
        steps.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// What a step's own scale must be multiplied with, and divided by, to be the scale of money.
    fn scales(&self) -> (i128, i128) {
        let power = |exponent| pow10(exponent).map_or(i128::MAX, i128::from);
        (
            power(CASH_DECIMALS.saturating_sub(self.decimals)),
            power(self.decimals.saturating_sub(CASH_DECIMALS)),
        )
    }

    /// Whole steps to the venue's text, with its number of decimals. Returns the used length.
    pub fn write(&self, steps: i64, text: &mut DecimalText) -> usize {
        let value = i128::from(steps) * i128::from(self.mantissa);
        text.write(value, self.decimals, self.text_decimals)
    }
}

/// Room for any decimal that this file writes.
#[derive(Clone, Copy)]
pub struct DecimalText {
    bytes: [u8; DecimalText::CAPACITY],
    start: usize,
}

impl Default for DecimalText {
    fn default() -> Self {
        Self { bytes: [b'0'; Self::CAPACITY], start: Self::CAPACITY }
    }
}

impl DecimalText {
    const CAPACITY: usize = 64;

    pub const fn new() -> Self {
        Self { bytes: [b'0'; Self::CAPACITY], start: Self::CAPACITY }
    }

    /// `value` x 10^-`decimals`, printed with `text_decimals` (padded with zeros). Returns the length.
    #[inline]
    pub fn write(&mut self, value: i128, decimals: u8, text_decimals: u8) -> usize {
        self.start = Self::CAPACITY;
        let mut rest = value.unsigned_abs();
        for _ in decimals..text_decimals {
            self.put(b'0');
        }
        for _ in 0..decimals {
            self.put(pop_digit(&mut rest));
        }
        if decimals.max(text_decimals) > 0 {
            self.put(b'.');
        }
        self.put(pop_digit(&mut rest));
        while rest > 0 {
            self.put(pop_digit(&mut rest));
        }
        if value < 0 {
            self.put(b'-');
        }
        Self::CAPACITY - self.start
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or(&[])
    }

    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    #[inline]
    fn put(&mut self, byte: u8) {
        if let Some(at) = self.start.checked_sub(1)
            && let Some(slot) = self.bytes.get_mut(at)
        {
            *slot = byte;
            self.start = at;
        }
    }
}

/// The last decimal digit, taken off. 64-bit where the value is: 128-bit division is a library call.
#[inline]
fn pop_digit(rest: &mut u128) -> u8 {
    let digit = match u64::try_from(*rest) {
        Ok(small) => {
            *rest = u128::from(small / 10);
            small % 10
        }
        Err(_) => {
            let digit = (*rest % 10) as u64;
            *rest /= 10;
            digit
        }
    };
    b'0' + digit as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn text(value: i128, decimals: u8, text_decimals: u8) -> alloc::string::String {
        let mut text = DecimalText::new();
        text.write(value, decimals, text_decimals);
        text.as_str().to_string()
    }

    #[test]
    fn decimal_text_becomes_an_exact_integer() {
        assert_eq!(parse_decimal(b"61800.20", 1), Ok(618_002));
        assert_eq!(parse_decimal(b"0.001", 3), Ok(1));
        assert_eq!(parse_decimal(b"-12.5", 2), Ok(-1250));
        assert_eq!(parse_decimal(b"7", 3), Ok(7000));
        assert_eq!(parse_decimal(b"0.00000000", 3), Ok(0));
    }

    #[test]
    fn text_that_is_no_exact_number_is_refused_with_its_byte() {
        assert_eq!(parse_decimal(b"", 2), Err(NumberError::NotADigit { offset: 0 }));
        assert_eq!(parse_decimal(b"-", 2), Err(NumberError::NotADigit { offset: 1 }));
        assert_eq!(parse_decimal(b"1.2.3", 2), Err(NumberError::NotADigit { offset: 3 }));
        assert_eq!(parse_decimal(b"1e5", 2), Err(NumberError::NotADigit { offset: 1 }));
        assert_eq!(parse_decimal(b"1.25", 1), Err(NumberError::TooFine { offset: 3 }));
        assert_eq!(parse_decimal(b"99999999999999999999", 0), Err(NumberError::TooLarge { offset: 18 }));
    }

    #[test]
    fn integers_print_as_the_venue_prints_them() {
        assert_eq!(text(618_002, 1, 2), "61800.20");
        assert_eq!(text(1, 3, 3), "0.001");
        assert_eq!(text(0, 3, 3), "0.000");
        assert_eq!(text(0, 0, 0), "0");
        assert_eq!(text(5, 0, 0), "5");
        assert_eq!(text(5, 0, 2), "5.00");
        assert_eq!(text(-1250, 2, 2), "-12.50");
        assert_eq!(text(i128::from(i64::MAX) * 100, 2, 2), "9223372036854775807.00");
    }

    #[test]
    fn a_step_that_is_not_a_power_of_ten_divides_exactly_or_refuses() {
        let tick = Increment::parse(b"0.05", 2).unwrap();
        assert_eq!(tick, Increment { mantissa: 5, decimals: 2, text_decimals: 2 });
        assert_eq!(tick.steps(b"1.15"), Ok(23));
        assert_eq!(tick.steps(b"1.16"), Err(NumberError::OffGrid));
        let mut out = DecimalText::new();
        tick.write(23, &mut out);
        assert_eq!(out.as_str(), "1.15");
    }

    /// Found by the fuzz target `decimal`: the text of two such steps did not fit, and read as 2.
    #[test]
    fn a_step_finer_than_any_venues_is_refused_and_the_finest_has_room_for_its_text() {
        let finest = Increment::parse(b"0.000000000000000001", 0).unwrap();
        let mut out = DecimalText::new();
        finest.write(i64::MIN, &mut out);
        assert_eq!(out.as_str(), "-9.223372036854775808");
        assert_eq!(out.write(i128::MIN, Increment::MAX_DECIMALS, Increment::MAX_DECIMALS), 41);
        assert_eq!(Increment::parse(b"0.0000000000000000001", 0), Err(NumberError::TooFine { offset: 21 }));
        assert_eq!(Increment::parse(b"0.1", 19), Err(NumberError::TooFine { offset: 3 }));
    }

    #[test]
    fn every_value_survives_the_way_to_text_and_back() {
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        for round in 0..200_000u64 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let decimals = (round % 9) as u8;
            let printed = decimals + (seed % 4) as u8;
            let value = (seed as i64) >> (seed % 61);
            let value = value / pow10(printed - decimals).unwrap();
            let shown = text(i128::from(value), decimals, printed);
            assert_eq!(parse_decimal(shown.as_bytes(), decimals), Ok(value), "{shown} at {decimals}");
            if printed > 0 {
                let (_, fraction) = shown.split_once('.').unwrap();
                assert_eq!(fraction.len(), usize::from(printed), "{shown}");
            }
        }
    }

    #[test]
    fn sums_saturate_instead_of_wrapping() {
        assert_eq!(Price::MAX + Price::new(1), Price::MAX);
        assert_eq!(Quantity::MIN - Quantity::new(1), Quantity::MIN);
    }
}
