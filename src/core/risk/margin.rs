//! Linear perpetuals: the initial margin of the worst case is covered by the wallet, less what open positions have lost. Profit that is
//! not realised covers nothing. A balance that the venue never told is not measured against.
//! Hot.

use super::Subject;
use crate::instrument::Product;
use crate::num::Cash;
use crate::state::stakes::Place;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    if subject.definition.product != Product::LinearPerpetual || subject.limits.leverage == 0 {
        return false;
    }
    let (venue, quote) = (subject.limits.venue, subject.definition.quote);
    let Some(balance) = subject.state.account.balance(venue, quote) else { return false };
    let stakes = &subject.state.execution.stakes;
    let place = Place { owner: stakes.account(), ..subject.place };
    let needed = stakes.margin_with(place, subject.side, &subject.swap);
    let lost = stakes.asset(venue, quote).unrealised.min(Cash::ZERO);
    needed > balance.wallet + lost
}
