//! Daily loss: realised, unrealised and fees of one strategy since midnight UTC. At the bound, new risk stops until the
//! next day; what lowers exposure still passes.
//!
//! Valued at the middle of each market, at most every `EVERY` of event time: a loss does not grow past its bound by much in
//! that time, and a turn does not value every instrument for every intent.
//! Hot.

use crate::id::{InstrumentId, StrategyId};
use crate::limits::StrategyLimits;
use crate::num::Cash;
use crate::record::RiskReason;
use crate::state::State;
use crate::time::Nanos;

const EVERY: Nanos = Nanos::from_millis(10);
const DAY: u64 = 86_400_000_000_000;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DailyLoss {
    day: u64,
    /// The result at the start of the day.
    from: Cash,
    /// The result at the last valuation.
    result: Cash,
    valued: Nanos,
}

crate::saved! { value DailyLoss { day, from, result, valued } }

impl DailyLoss {
    #[inline]
    pub(super) fn check(
        &mut self,
        state: &State,
        strategy: StrategyId,
        limits: &StrategyLimits,
        reducing: bool,
    ) -> Result<(), RiskReason> {
        if limits.max_daily_loss == 0 {
            return Ok(());
        }
        if state.now.since(self.valued) >= EVERY {
            self.value(state, strategy, limits);
        }
        let loss = self.from - self.result;
        if !reducing && loss >= Cash::from_wire(limits.max_daily_loss) {
            return Err(RiskReason::DailyLoss);
        }
        Ok(())
    }

    fn value(&mut self, state: &State, strategy: StrategyId, limits: &StrategyLimits) {
        self.valued = state.now;
        self.result = limits
            .instruments
            .iter()
            .fold(Cash::ZERO, |sum, instrument| sum + result_of(state, strategy, InstrumentId(*instrument)));
        let day = state.now.raw() / DAY;
        if day != self.day {
            // A run that begins today begins the day at zero: what was before it is not its loss.
            self.from = if self.day == 0 { Cash::ZERO } else { self.result };
            self.day = day;
        }
    }
}

/// Realised and unrealised less fees, in the quote asset.
fn result_of(state: &State, strategy: StrategyId, instrument: InstrumentId) -> Cash {
    let Some(position) = state.execution.position(strategy, instrument) else { return Cash::ZERO };
    let Some(market) = state.market.instrument(instrument) else { return Cash::ZERO };
    let Some(definition) = market.definition.as_ref() else { return Cash::ZERO };
    let unrealised = market.mark_to().map_or(Cash::ZERO, |price| definition.cash(position.unrealised(price)));
    definition.cash(position.realised) + unrealised - position.fees
}
