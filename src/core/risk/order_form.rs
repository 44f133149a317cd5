//! The order's form: what its kind needs, and what its kind cannot have.
//!
//! | kind | price | trigger | callback | may close the position |
//! |---|---|---|---|---|
//! | limit | needs | no | no | no |
//! | market | no | no | no | no |
//! | stop, take-profit at market | no | needs | no | yes: then without a quantity |
//! | stop, take-profit at a limit | needs | needs | no | no |
//! | trailing stop | no | may (its activation) | needs | no |
//!
//! Immediate-or-cancel, fill-or-kill, post-only and good-till-date are for orders with a price; a date is for the last only.
//! Hot.

use super::Subject;
use crate::event::{OrderKind, TimeInForce};
use crate::instrument::Product;
use crate::intent::NewIntent;

/// A trailing stop follows at 0.1 % at least and 10 % at most (Binance USD-M, New Algo Order, callbackRate), in 1/10,000.
const CALLBACKS: core::ops::RangeInclusive<u16> = 10..=1_000;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let Some(new) = subject.new else { return false };
    // The form of most orders.
    let plain = new.kind == OrderKind::Limit && !new.close_position && new.callback == 0;
    !(if plain { is_sound_limit(new) } else { is_sound(new, subject.definition.product) })
}

#[inline]
fn is_sound_limit(new: &NewIntent) -> bool {
    new.stop_price.is_zero() && has_sound_date(new)
}

fn is_sound(new: &NewIntent, product: Product) -> bool {
    let at_market = matches!(new.kind, OrderKind::StopMarket | OrderKind::TakeProfitMarket);
    let trails = new.kind == OrderKind::TrailingStop;
    let priced = new.kind.is_priced();
    let triggered = new.kind.is_conditional() && !trails;
    let spot = product == Product::Spot;
    new.kind != OrderKind::Other
        && new.price.is_positive() == priced
        && (!triggered || new.stop_price.is_positive())
        && (new.kind.is_conditional() || new.stop_price.is_zero())
        && !new.stop_price.is_negative()
        && (if trails { CALLBACKS.contains(&new.callback) } else { new.callback == 0 })
        && (!new.close_position || at_market && !spot && !new.reduce_only && new.quantity.is_zero())
        && (priced || new.time_in_force == TimeInForce::GoodTillCancel)
        && has_sound_date(new)
}

#[inline]
fn has_sound_date(new: &NewIntent) -> bool {
    (new.time_in_force == TimeInForce::GoodTillDate) != new.expires.is_zero()
}
