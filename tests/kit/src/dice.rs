//! The world's only chance: splitmix64. One seed, and a fork for each who throws, so that one's throws do not move another's.

#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x6c69_6e63_6870_696e)
    }

    /// Dice of their own for somebody: the same name under the same seed throws the same.
    pub fn fork(&self, name: &str) -> Self {
        let mut forked = self.clone();
        for byte in name.bytes() {
            forked.0 = forked.0.wrapping_mul(0x0000_0100_0000_01b3) ^ u64::from(byte);
        }
        forked.throw();
        forked
    }

    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from `0..bound`; zero for a bound of zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.throw()) * u128::from(bound)) >> 64) as u64
    }

    /// Evenly from `low..high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// True `parts` times in ten thousand. Throws nothing for an event that cannot happen.
    pub fn happens(&mut self, parts: u32) -> bool {
        parts > 0 && self.below(10_000) < u64::from(parts)
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same_and_a_fork_throws_its_own() {
        let throws = |mut dice: Dice| (0..50).map(|_| dice.below(1000)).collect::<Vec<_>>();
        assert_eq!(throws(Dice::new(7)), throws(Dice::new(7)));
        assert_ne!(throws(Dice::new(7)), throws(Dice::new(8)));
        assert_ne!(throws(Dice::new(7).fork("wire")), throws(Dice::new(7).fork("rest")));
        assert_eq!(throws(Dice::new(7).fork("wire")), throws(Dice::new(7).fork("wire")));
    }
}
