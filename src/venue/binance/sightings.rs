//! Which numbers of a stream have come already, where several connections bring it: exact for the newest `SPAN`, whatever their order.
//!
//! ```text
//!        never      | one bit a number, at number % SPAN: set = seen |
//!   ----------------+------------------------------------------------+--------------> numbers
//!                last - SPAN                                       last    first sight
//! ```
//! The greatest number alone would not do: a quick copy that comes back runs ahead of what a slow one still has to bring, and that is no repetition.
//! What lies before the first number ever seen counts as seen.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

const WORDS: usize = 16;
const SPAN: u64 = 64 * WORDS as u64;

#[derive(Clone, Debug)]
pub struct Sightings {
    /// The greatest number seen; zero before the first.
    last: u64,
    seen: [u64; WORDS],
}

impl Default for Sightings {
    fn default() -> Self {
        Self { last: 0, seen: [u64::MAX; WORDS] }
    }
}

impl Sightings {
    /// Whether this is the first time.
    #[inline]
    pub fn is_first(&mut self, number: u64) -> bool {
        let is_newest = number > self.last;
        if is_newest {
            if self.last != 0 {
                self.forget_up_to(number);
            }
            self.last = number;
        } else if self.last - number >= SPAN {
            return false;
        }
        let Some(word) = self.seen.get_mut((number / 64) as usize % WORDS) else { return false };
        let bit = 1 << (number % 64);
        let first = is_newest || *word & bit == 0;
        *word |= bit;
        first
    }

    /// The numbers after `last` take the places of those that are `SPAN` older.
    #[inline]
    fn forget_up_to(&mut self, number: u64) {
        let newest = self.last.saturating_add(SPAN).min(number);
        let mut next = self.last + 1;
        while next <= newest {
            if let Some(word) = self.seen.get_mut((next / 64) as usize % WORDS) {
                *word &= !(1 << (next % 64));
            }
            next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_that_comes_twice_is_seen_once_and_one_that_comes_late_is_not_a_repetition() {
        let mut seen = Sightings::default();
        assert!(seen.is_first(1_000));
        assert!(!seen.is_first(1_000) && !seen.is_first(999), "what lies before the first is over");
        assert!(seen.is_first(1_005));
        assert!([1_001, 1_003, 1_002, 1_004].into_iter().all(|late| seen.is_first(late)));
        assert!((1_000..=1_005).all(|again| !seen.is_first(again)));
    }

    #[test]
    fn it_agrees_with_a_set_of_all_numbers_within_its_span() {
        let mut dice = 0x9E37_79B9_7F4A_7C15u64;
        let mut throw = |below: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % below
        };
        let (mut seen, mut all, mut last) = (Sightings::default(), BTreeSet::new(), 5_000);
        assert!(seen.is_first(last));
        all.insert(last);
        let begin = last;
        for _ in 0..200_000 {
            let number = match throw(20) {
                0 => last + 1 + throw(3_000),
                1..8 => last + 1,
                _ => last.saturating_sub(throw(1_500)),
            };
            let within = number > last || (last - number < SPAN && number >= begin);
            assert_eq!(seen.is_first(number), within && !all.contains(&number), "{number} at {last}");
            all.insert(number);
            last = last.max(number);
        }
    }
}
