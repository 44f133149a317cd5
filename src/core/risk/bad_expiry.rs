//! A good-till-date order lives at least as long as the venue asks.
//! (Binance USD-M "New Order", goodTillDate: later than now plus 600 s.)
//! Hot.

use super::Subject;
use crate::event::TimeInForce;
use crate::time::Nanos;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let Some(new) = subject.new.filter(|new| new.time_in_force == TimeInForce::GoodTillDate) else {
        return false;
    };
    let least = subject.venue_limits.map_or(Nanos::ZERO, |limits| limits.least_validity);
    new.expires <= subject.state.now + least
}
