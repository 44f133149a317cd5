//! A ledger as a person would keep it: every fill in a list, and the sums made from the list each time.

use linchpin_core::event::Side;
use linchpin_core::id::{InstrumentId, StrategyId};
use linchpin_core::state::position::Position;

#[derive(Clone, Copy, Debug)]
struct Fill {
    owner: usize,
    instrument: usize,
    signed: i64,
    price: i64,
    fee: i64,
}

pub struct Ledger {
    fills: Vec<Fill>,
    strategies: usize,
    /// What the hydrated start said beyond our own fills.
    start: Vec<i64>,
    /// Sums of quantities, kept along; `recount` proves them.
    sums: Vec<Vec<i64>>,
}

impl Ledger {
    pub fn new(strategies: usize, instruments: usize) -> Self {
        let sums = vec![vec![0; instruments]; strategies + 1];
        Self { fills: Vec::new(), strategies, start: vec![0; instruments], sums }
    }

    pub fn fill(
        &mut self,
        strategy: StrategyId,
        instrument: InstrumentId,
        side: Side,
        price: i64,
        quantity: i64,
        fee: i64,
    ) {
        let signed = if side == Side::Buy { quantity } else { -quantity };
        let (owner, instrument) = (strategy.index().min(self.strategies), instrument.index());
        self.sums[owner][instrument] += signed;
        self.fills.push(Fill { owner, instrument, signed, price, fee });
    }

    /// The external owner holds what our fills do not explain; what it did before is in that.
    pub fn hydrate(&mut self, instrument: InstrumentId, quantity: i64) {
        let (at, external) = (instrument.index(), self.strategies);
        self.fills.retain(|fill| fill.owner != external || fill.instrument != at);
        let ours: i64 = self.sums.iter().take(external).map(|row| row[at]).sum();
        self.start[at] = quantity - ours;
        self.sums[external][at] = self.start[at];
    }

    pub fn total(&self, instrument: usize) -> i64 {
        self.sums.iter().map(|row| row[instrument]).sum()
    }

    /// Every owner's position by every fill again.
    pub fn check(&self, owners: &[Vec<Position>], totals: &[Position]) -> Result<(), String> {
        for (instrument, total) in totals.iter().enumerate() {
            if total.quantity.raw() != self.total(instrument) {
                return Err(format!(
                    "position: {instrument} is {:?}, the fills and the start make {}",
                    total.quantity,
                    self.total(instrument)
                ));
            }
        }
        for (owner, row) in owners.iter().enumerate() {
            for (instrument, position) in row.iter().enumerate() {
                if position.quantity.raw() != self.sums[owner][instrument] {
                    return Err(format!("position: owner {owner} on {instrument} holds {position:?}"));
                }
            }
        }
        Ok(())
    }

    /// Cash by cash: what was paid, what is held, what was realised. For our strategies, exactly.
    pub fn recount(&self, owners: &[Vec<Position>]) -> Result<(), String> {
        for (owner, row) in owners.iter().enumerate().take(self.strategies) {
            for (instrument, position) in row.iter().enumerate() {
                let mine = || self.fills.iter().filter(|f| f.owner == owner && f.instrument == instrument);
                let (mut held, mut cost, mut realised) = (0i64, 0i128, 0i128);
                for fill in mine() {
                    let mut rest = fill.signed;
                    if held.signum() * rest.signum() < 0 {
                        let closing = rest.abs().min(held.abs());
                        let share = cost * i128::from(closing) / i128::from(held.abs());
                        let closed = closing * held.signum();
                        realised += i128::from(fill.price) * i128::from(closed) - share;
                        cost -= share;
                        held -= closed;
                        rest += closed;
                    }
                    held += rest;
                    cost += i128::from(fill.price) * i128::from(rest);
                }
                let paid: i128 = mine().map(|f| i128::from(f.price) * i128::from(f.signed)).sum();
                let fees: i128 = mine().map(|f| i128::from(f.fee)).sum();
                let found = (
                    position.quantity.raw(),
                    position.cost.raw(),
                    position.realised.raw(),
                    position.fees.raw(),
                    position.fills,
                );
                let expected = (held, cost, realised, fees, mine().count() as u64);
                if found != expected {
                    return Err(format!("ledger: {owner} on {instrument}: {found:?}, not {expected:?}"));
                }
                if cost - realised != paid {
                    return Err(format!("ledger: {owner} on {instrument}: money appeared or vanished"));
                }
            }
        }
        Ok(())
    }
}
