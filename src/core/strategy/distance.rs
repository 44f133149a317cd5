//! Prices at a distance from another, the distance in 1/10,000: exact, each with its rounding in its name.
//! Hot.

use crate::event::Side;
use crate::num::Price;

/// One whole, in the unit of a distance.
const WHOLE: i128 = 10_000;

/// `distance` worse for whoever trades `side`: higher for a buyer, lower for a seller. Rounded towards `from`, so that a bound
/// is never loosened.
#[inline]
pub fn worse_within(side: Side, from: Price, distance: u32) -> Price {
    match side {
        Side::Buy => Price::new(floor(from, WHOLE + i128::from(distance))),
        Side::Sell => Price::new(ceiling(from, WHOLE - i128::from(distance))),
    }
}

/// `distance` better for whoever trades `side`: lower for a buyer, higher for a seller. Rounded away from `from`, so that no
/// order comes nearer than it was said.
#[inline]
pub fn better_beyond(side: Side, from: Price, distance: u32) -> Price {
    match side {
        Side::Buy => Price::new(floor(from, WHOLE - i128::from(distance))),
        Side::Sell => Price::new(ceiling(from, WHOLE + i128::from(distance))),
    }
}

/// Is `price` worse than `bound` for whoever trades `side`?
#[inline]
pub fn is_worse(side: Side, price: Price, bound: Price) -> bool {
    match side {
        Side::Buy => price > bound,
        Side::Sell => price < bound,
    }
}

/// The one of two that is better for whoever trades `side`.
#[inline]
pub fn better(side: Side, one: Price, other: Price) -> Price {
    if is_worse(side, one, other) { other } else { one }
}

fn floor(price: Price, parts: i128) -> i64 {
    let scaled = i128::from(price.raw()).saturating_mul(parts);
    i64::try_from(scaled.div_euclid(WHOLE)).unwrap_or(i64::MAX)
}

fn ceiling(price: Price, parts: i128) -> i64 {
    let scaled = i128::from(price.raw()).saturating_mul(parts);
    i64::try_from(scaled.saturating_add(WHOLE - 1).div_euclid(WHOLE)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_never_loosened_and_distances_never_cut() {
        let from = Price::new(10_001);
        // 0.1 % of 10,001 is 10.001: a buyer may go up to 10,011 and a seller down to 9,991.
        assert_eq!(worse_within(Side::Buy, from, 10), Price::new(10_011));
        assert_eq!(worse_within(Side::Sell, from, 10), Price::new(9_991));
        assert_eq!(better_beyond(Side::Buy, from, 10), Price::new(9_990));
        assert_eq!(better_beyond(Side::Sell, from, 10), Price::new(10_012));
    }

    #[test]
    fn the_better_price_is_the_lower_for_a_buyer() {
        let (low, high) = (Price::new(1), Price::new(2));
        assert_eq!((better(Side::Buy, low, high), better(Side::Sell, low, high)), (low, high));
    }
}
