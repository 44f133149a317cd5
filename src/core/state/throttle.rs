//! Token buckets: refilled as a function of event time only, so that a replay draws the same tokens.
//!
//! Tokens are counted in nanotokens (a token is `interval` units, a nanosecond brings `refill` of them): no rounding.
//! Hot.

use alloc::vec::Vec;

use crate::event::RequestKind;
use crate::id::VenueId;
use crate::limits::{BucketLimit, Configuration, MAX_VENUES};
use crate::time::Nanos;

#[derive(Clone, Debug)]
pub struct Throttle {
    venues: Vec<Vec<Bucket>>,
    /// Until when each venue wants to hear nothing from us (429, 418).
    held_until: [Nanos; MAX_VENUES],
}

crate::saved! { table Throttle { venues, held_until } }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    limit: BucketLimit,
    /// In units of 1/interval token.
    level: u128,
    refilled: Nanos,
}

crate::saved! { table Bucket { level, refilled } kept { limit } }

impl Throttle {
    pub fn new(configuration: &Configuration) -> Self {
        let buckets = |limits: &Vec<BucketLimit>| limits.iter().map(|limit| Bucket::full(*limit)).collect();
        Self {
            venues: configuration.venues.iter().map(|venue| buckets(&venue.buckets)).collect(),
            held_until: [Nanos::ZERO; MAX_VENUES],
        }
    }

    /// Draws on every bucket of the venue, or on none; where one lacks room, says when it will have it.
    #[inline]
    pub(crate) fn draw(&mut self, venue: VenueId, request: RequestKind, now: Nanos) -> Result<(), Nanos> {
        let Some(buckets) = self.venues.get_mut(venue.index()) else { return Ok(()) };
        let mut ready = now.later(self.held_until.get(venue.index()).copied().unwrap_or(Nanos::ZERO));
        for bucket in buckets.iter_mut() {
            bucket.refill(now);
            ready = ready.later(bucket.ready_at(request));
        }
        if ready > now {
            return Err(ready);
        }
        for bucket in buckets.iter_mut() {
            bucket.take(request);
        }
        Ok(())
    }

    /// The venue said when it will listen again.
    pub(crate) fn hold(&mut self, venue: VenueId, until: Nanos) {
        if let Some(held) = self.held_until.get_mut(venue.index()) {
            *held = held.later(until);
        }
    }

    #[inline]
    pub fn held_until(&self, venue: VenueId) -> Nanos {
        self.held_until.get(venue.index()).copied().unwrap_or(Nanos::ZERO)
    }

    /// A request that never left has used nothing up.
    pub(crate) fn refund(&mut self, venue: VenueId, request: RequestKind) {
        for bucket in self.venues.get_mut(venue.index()).into_iter().flatten() {
            bucket.give_back(request);
        }
    }

    /// Whole tokens left, per bucket: for display.
    pub fn tokens(&self, venue: VenueId) -> impl Iterator<Item = u64> + '_ {
        self.venues.get(venue.index()).into_iter().flatten().map(|bucket| bucket.tokens())
    }
}

impl Bucket {
    fn full(limit: BucketLimit) -> Self {
        let level = u128::from(limit.burst) * u128::from(limit.interval.raw());
        Self { limit, level, refilled: Nanos::ZERO }
    }

    #[inline]
    fn refill(&mut self, now: Nanos) {
        let passed = u128::from(now.since(self.refilled).raw());
        let full = u128::from(self.limit.burst) * u128::from(self.limit.interval.raw());
        self.level = self.level.saturating_add(passed * u128::from(self.limit.refill)).min(full);
        self.refilled = self.refilled.later(now);
    }

    #[inline]
    fn cost(&self, request: RequestKind) -> u64 {
        let [new, replace, cancel] = self.limit.costs;
        u64::from(match request {
            RequestKind::New => new,
            RequestKind::Replace => replace,
            RequestKind::Cancel => cancel,
        })
    }

    /// What must be in the bucket for this request: its cost, and for others than cancels the reserve untouched.
    #[inline]
    fn required(&self, request: RequestKind) -> u128 {
        let cost = self.cost(request);
        if cost == 0 {
            return 0;
        }
        let reserve = if request == RequestKind::Cancel { 0 } else { u64::from(self.limit.cancel_reserve) };
        u128::from(cost + reserve) * u128::from(self.limit.interval.raw())
    }

    #[inline]
    fn ready_at(&self, request: RequestKind) -> Nanos {
        let missing = self.required(request).saturating_sub(self.level);
        if missing == 0 {
            return Nanos::ZERO;
        }
        let refill = u128::from(self.limit.refill);
        let wait = missing.div_ceil(refill.max(1));
        self.refilled + Nanos::new(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    #[inline]
    fn take(&mut self, request: RequestKind) {
        let cost = u128::from(self.cost(request)) * u128::from(self.limit.interval.raw());
        self.level = self.level.saturating_sub(cost);
    }

    fn give_back(&mut self, request: RequestKind) {
        let interval = u128::from(self.limit.interval.raw());
        let full = u128::from(self.limit.burst) * interval;
        self.level = (self.level + u128::from(self.cost(request)) * interval).min(full);
    }

    pub fn tokens(&self) -> u64 {
        let interval = u128::from(self.limit.interval.raw().max(1));
        u64::try_from(self.level.checked_div(interval).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::VenueLimits;

    fn throttle(burst: u32, refill: u32, reserve: u32) -> Throttle {
        let bucket = BucketLimit {
            burst,
            refill,
            interval: Nanos::from_secs(10),
            costs: [1, 1, 1],
            cancel_reserve: reserve,
        };
        Throttle {
            held_until: [Nanos::ZERO; MAX_VENUES],
            venues: alloc::vec![VenueLimits { buckets: alloc::vec![bucket], ..VenueLimits::default() }]
                .iter()
                .map(|v| v.buckets.iter().map(|b| Bucket::full(*b)).collect())
                .collect(),
        }
    }

    #[test]
    fn no_window_lets_out_more_than_burst_plus_refill() {
        let mut throttle = throttle(50, 100, 0);
        let mut sent = Vec::new();
        let mut now = Nanos::from_secs(100);
        for _ in 0..100_000 {
            if throttle.draw(VenueId(0), RequestKind::New, now).is_ok() {
                sent.push(now);
            }
            now = now + Nanos::from_millis(1);
        }
        let mut from = 0;
        for (at, time) in sent.iter().enumerate() {
            while sent[from] + Nanos::from_secs(10) <= *time {
                from += 1;
            }
            assert!(at - from < 150, "{} in one window", at - from + 1);
        }
    }

    #[test]
    fn the_answer_names_the_instant_at_which_there_is_room() {
        let mut throttle = throttle(1, 10, 0);
        let now = Nanos::from_secs(5);
        assert_eq!(throttle.draw(VenueId(0), RequestKind::New, now), Ok(()));
        let ready = throttle.draw(VenueId(0), RequestKind::New, now).unwrap_err();
        assert_eq!(ready, Nanos::from_secs(6));
        assert_eq!(throttle.draw(VenueId(0), RequestKind::New, ready), Ok(()));
    }

    #[test]
    fn reserved_tokens_are_for_cancels_only() {
        let mut throttle = throttle(3, 1, 2);
        let now = Nanos::from_secs(1);
        assert!(throttle.draw(VenueId(0), RequestKind::New, now).is_ok());
        assert!(throttle.draw(VenueId(0), RequestKind::New, now).is_err());
        assert!(throttle.draw(VenueId(0), RequestKind::Cancel, now).is_ok());
        assert!(throttle.draw(VenueId(0), RequestKind::Cancel, now).is_ok());
        assert!(throttle.draw(VenueId(0), RequestKind::Cancel, now).is_err());
    }
}
