//! May this strategy trade at all now, and is the market to be believed?
//! Hot.

use super::{Subject, Verdict};
use crate::event::KillMode;
use crate::instrument::InstrumentStatus;
use crate::record::RiskReason;

/// Trading switch, kill switch, drain, the instrument's own status, and whose instrument it is.
#[inline]
pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let control = &subject.state.control;
    match control.kill {
        None => {}
        Some(KillMode::Flatten) if subject.reducing => {}
        Some(_) => return Err(RiskReason::Killed),
    }
    if (!control.trading_enabled || control.flattening) && !subject.reducing {
        return Err(RiskReason::TradingDisabled);
    }
    let flattening = control.flattening || control.kill == Some(KillMode::Flatten);
    if control.draining && !flattening {
        return Err(RiskReason::Draining);
    }
    if subject.definition.status != InstrumentStatus::Trading {
        return Err(RiskReason::InstrumentHalted);
    }
    let own = |limits: &crate::limits::StrategyLimits| limits.instruments.contains(&subject.instrument.0);
    if subject.strategy_limits.is_some_and(|limits| !own(limits)) {
        return Err(RiskReason::NotOurInstrument);
    }
    if !subject.state.account.is_settled(subject.instrument) {
        return Err(RiskReason::Unsettled);
    }
    Ok(())
}

/// New risk needs a market that is synchronised, fresh and not crossed, and positions that agree with the venue's.
#[inline]
pub(super) fn check_market(subject: &Subject<'_>) -> Verdict {
    if !subject.market.is_trusted() || subject.state.execution.is_inconsistent(subject.instrument) {
        return Err(RiskReason::MarketNotTrusted);
    }
    Ok(())
}
