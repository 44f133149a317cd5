//! Spot: what is sold, or paid with its fee, is there and not bound by other orders. A balance that the venue never told is not
//! measured against.
//! Hot.

use super::Subject;
use crate::event::Side;
use crate::id::AssetId;
use crate::instrument::Product;
use crate::num::{Cash, Quantity};
use crate::state::stakes::{base_cash, with_fee};

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    if subject.definition.product != Product::Spot {
        return false;
    }
    let definition = subject.definition;
    match subject.side {
        Side::Sell => {
            let needed = base_cash(definition, subject.more.max(Quantity::ZERO));
            lacks(subject, definition.base, needed)
        }
        Side::Buy => {
            let cost = definition.cash(subject.more_cost());
            lacks(subject, definition.quote, with_fee(definition, cost))
        }
    }
}

#[inline]
fn lacks(subject: &Subject<'_>, asset: AssetId, needed: Cash) -> bool {
    let Some(balance) = subject.state.account.balance(subject.limits.venue, asset) else { return false };
    let bound = subject.state.execution.stakes.asset(subject.limits.venue, asset).bound;
    needed > Cash::ZERO && bound + needed > balance.wallet
}
