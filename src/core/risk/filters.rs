//! The venue's own filters, so that it never has to refuse: price range, lot range, least notional, percent price.
//! Hot.

use super::{Subject, Verdict};
use crate::intent::Intent;
use crate::num::{CASH_DECIMALS, Cash, Price, pow10};
use crate::record::RiskReason;

#[inline]
pub(super) fn check(subject: &Subject<'_>) -> Verdict {
    let definition = subject.definition;
    let is_market = !subject.kind.is_priced();
    let max_quantity = if is_market { definition.max_market_quantity } else { definition.max_quantity };
    let closes_whole = matches!(subject.intent, Intent::New(new) if new.close_position);
    if closes_whole {
        // What it will be is known at its trigger, and the venue's own rule.
        return Ok(());
    }
    if subject.quantity < definition.min_quantity || subject.quantity > max_quantity {
        return Err(RiskReason::OffLotRange);
    }
    let price = if is_market { reference(subject).unwrap_or(Price::ZERO) } else { subject.price };
    if !is_market {
        let above = definition.max_price.is_positive() && price > definition.max_price;
        if !price.is_positive() || price < definition.min_price || above {
            return Err(RiskReason::OffTickRange);
        }
        percent_price(subject, price)?;
    }
    let reduces = subject.reducing;
    if !reduces
        && definition.cash(price.notional(subject.quantity)) < Cash::from_wire(definition.min_notional)
    {
        return Err(RiskReason::BelowMinNotional);
    }
    Ok(())
}

/// Against the mark price, which is what the venue takes; where it gives none, the trusted mid.
#[inline]
fn percent_price(subject: &Subject<'_>, price: Price) -> Verdict {
    let definition = subject.definition;
    if definition.percent_up == 0 {
        return Ok(());
    }
    let mark = match subject.market.mark {
        Some(mark) => {
            let decimals = CASH_DECIMALS.saturating_sub(definition.tick.decimals);
            let tick = pow10(decimals).unwrap_or(1).saturating_mul(i64::from(definition.tick.mantissa));
            Price::new(mark.mark.checked_div(tick).unwrap_or(0))
        }
        None => match reference(subject) {
            Some(price) => price,
            None => return Ok(()),
        },
    };
    let scaled = i128::from(price.raw()) * 10_000;
    let (up, down) = (i128::from(definition.percent_up), i128::from(definition.percent_down));
    let mark = i128::from(mark.raw());
    if scaled > mark * up || scaled < mark * down {
        return Err(RiskReason::OutsidePercentPrice);
    }
    Ok(())
}

/// A price to measure against: the middle of the top, rounded down to a tick.
#[inline]
pub(super) fn reference(subject: &Subject<'_>) -> Option<Price> {
    subject.market.top.map(|top| Price::new((top.bid.price + top.ask.price).raw() >> 1))
}
