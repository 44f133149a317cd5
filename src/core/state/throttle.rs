//! Token buckets: refilled as a function of event time only, so that a replay draws the same tokens.
//!
//! Tokens are counted in nanotokens (a token is `interval` units, a nanosecond brings `refill` of them): no rounding. A venue has its buckets, a
//! session and an instrument theirs, as configured; a request draws on all that concern it, or on none. Where a venue tells how much it has counted,
//! a bucket never holds more than what is left of that: others may trade on the same account.
//! Hot.

use alloc::vec::Vec;

use crate::event::{RateUsage, RequestKind};
use crate::id::{InstrumentId, VenueId};
use crate::limits::{BucketLimit, BucketScope, Configuration, MAX_VENUES};
use crate::time::Nanos;

#[derive(Clone, Debug)]
pub struct Throttle {
    /// Of each venue, those of its session included.
    venues: Vec<Vec<Bucket>>,
    instruments: Vec<Vec<Bucket>>,
    /// Until when each venue wants to hear nothing from us (429, 418).
    held_until: [Nanos; MAX_VENUES],
}

crate::saved! { table Throttle { venues, instruments, held_until } }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    limit: BucketLimit,
    /// In units of 1/interval token.
    level: u128,
    refilled: Nanos,
    /// The venue's own limit, once it has told it; headers tell only what was used.
    published: u32,
}

crate::saved! { table Bucket { level, refilled, published } kept { limit } }

/// A bucket has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lack {
    pub until: Nanos,
    /// It is not the instrument's own: others wait for it too.
    pub is_common: bool,
}

impl Throttle {
    pub fn new(configuration: &Configuration) -> Self {
        let of_venue =
            |venue: usize| configuration.venues.get(venue).into_iter().flat_map(|v| v.buckets.iter());
        let is_own = |limit: &&BucketLimit| limit.per == BucketScope::Instrument;
        let common = |venue| of_venue(venue).filter(|limit| !is_own(limit)).map(|limit| Bucket::full(*limit));
        let own = |venue| of_venue(venue).filter(is_own).map(|limit| Bucket::full(*limit));
        Self {
            venues: (0..configuration.venues.len()).map(|venue| common(venue).collect()).collect(),
            instruments: configuration.instruments.iter().map(|i| own(i.venue.index()).collect()).collect(),
            held_until: [Nanos::ZERO; MAX_VENUES],
        }
    }

    /// Draws on every bucket that the request concerns, or on none; where one lacks room, says when it will have it.
    #[inline]
    pub(crate) fn draw(
        &mut self,
        venue: VenueId,
        instrument: InstrumentId,
        request: RequestKind,
        now: Nanos,
    ) -> Result<(), Lack> {
        let mut common = now.later(self.held_until(venue));
        let mut until = common;
        for bucket in self.concerned(venue, instrument) {
            bucket.refill(now);
            let ready = bucket.ready_at(request);
            until = until.later(ready);
            if bucket.limit.per != BucketScope::Instrument {
                common = common.later(ready);
            }
        }
        if until > now {
            return Err(Lack { until, is_common: common > now });
        }
        self.concerned(venue, instrument).for_each(|bucket| bucket.take(request));
        Ok(())
    }

    /// The venue told how much it has counted (by its clock at `stamp`), or when it will listen again.
    ///
    /// A pause that it asks for in a count to which a cancel adds nothing (orders) holds those requests that draw on it, and cancels go on. Any
    /// other pause (weight, a ban), or one in a count that no bucket stands for, is the venue's: it wants to hear nothing at all.
    pub(crate) fn note_usage(&mut self, venue: VenueId, usage: &RateUsage, now: Nanos, stamp: Nanos) {
        let mut is_for_some = false;
        let counted = |bucket: &&mut Bucket| {
            bucket.limit.counted_as == Some(usage.bucket) && bucket.limit.per == BucketScope::Venue
        };
        for bucket in self.venues.get_mut(venue.index()).into_iter().flatten().filter(counted) {
            bucket.refill(now);
            bucket.believe(usage, now, stamp);
            if usage.retry_at > now && bucket.cost(RequestKind::Cancel) == 0 {
                bucket.close(usage.retry_at);
                is_for_some = true;
            }
        }
        if let Some(held) = self.held_until.get_mut(venue.index())
            && !is_for_some
        {
            *held = held.later(usage.retry_at);
        }
    }

    /// Order entry has logged on anew: what counts by session begins anew.
    pub(crate) fn begin_session(&mut self, venue: VenueId, now: Nanos) {
        let buckets = self.venues.get_mut(venue.index()).into_iter().flatten();
        for bucket in buckets.filter(|bucket| bucket.limit.per == BucketScope::Session) {
            *bucket = Bucket { refilled: now, published: bucket.published, ..Bucket::full(bucket.limit) };
        }
    }

    #[inline]
    pub fn held_until(&self, venue: VenueId) -> Nanos {
        self.held_until.get(venue.index()).copied().unwrap_or(Nanos::ZERO)
    }

    /// A request that never left has used nothing up.
    pub(crate) fn refund(&mut self, venue: VenueId, instrument: InstrumentId, request: RequestKind) {
        self.concerned(venue, instrument).for_each(|bucket| bucket.give_back(request));
    }

    /// Whole tokens left, per bucket of the venue: for display.
    pub fn tokens(&self, venue: VenueId) -> impl Iterator<Item = u64> + '_ {
        self.venues.get(venue.index()).into_iter().flatten().map(|bucket| bucket.tokens())
    }

    pub fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.venues.iter().chain(&self.instruments).flatten()
    }

    #[inline]
    fn concerned(&mut self, venue: VenueId, instrument: InstrumentId) -> impl Iterator<Item = &mut Bucket> {
        let common = self.venues.get_mut(venue.index()).into_iter().flatten();
        common.chain(self.instruments.get_mut(instrument.index()).into_iter().flatten())
    }
}

impl Bucket {
    fn full(limit: BucketLimit) -> Self {
        let level = u128::from(limit.burst) * u128::from(limit.interval.raw());
        Self { limit, level, refilled: Nanos::ZERO, published: 0 }
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

    /// The venue's windows stand side by side on its clock, and ours refills all the time: what is here and what comes back until its
    /// window ends may not be more together than what the venue has left in it. So no more than that is here, and where too much would
    /// come back, the refill pauses. Where the venue counts as we do, that changes nothing.
    fn believe(&mut self, usage: &RateUsage, now: Nanos, stamp: Nanos) {
        if usage.limit != 0 {
            self.published = usage.limit;
        }
        let interval = self.limit.interval.raw();
        let Some(into_window) = stamp.raw().checked_rem(interval) else { return };
        // Where the refill pauses already, less comes.
        let end = now + Nanos::new(interval - into_window);
        let to_come = u128::from(end.since(self.refilled).raw()) * u128::from(self.limit.refill);
        let allowed = match self.published {
            0 => u64::from(self.limit.burst) + u64::from(self.limit.refill),
            limit => u64::from(limit),
        };
        let left = u128::from(allowed.saturating_sub(u64::from(usage.used))) * u128::from(interval);
        self.level = self.level.min(left);
        let too_much = to_come.saturating_sub(left - self.level);
        let pause = too_much.div_ceil(u128::from(self.limit.refill.max(1)));
        self.refilled = self.refilled + Nanos::new(u64::try_from(pause).unwrap_or(u64::MAX));
    }

    /// Nothing is in it before then.
    fn close(&mut self, until: Nanos) {
        self.level = 0;
        self.refilled = self.refilled.later(until);
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
    use crate::limits::{InstrumentLimits, VenueLimits};

    const HERE: (VenueId, InstrumentId) = (VenueId(0), InstrumentId(0));

    fn throttle(burst: u32, refill: u32, reserve: u32) -> Throttle {
        with(BucketLimit { burst, refill, cancel_reserve: reserve, ..bucket() })
    }

    fn bucket() -> BucketLimit {
        BucketLimit {
            burst: 1,
            refill: 1,
            interval: Nanos::from_secs(10),
            costs: [1, 1, 1],
            counted_as: Some(1),
            ..BucketLimit::default()
        }
    }

    /// One venue with this bucket, and two instruments.
    fn with(limit: BucketLimit) -> Throttle {
        Throttle::new(&Configuration {
            venues: alloc::vec![VenueLimits { buckets: alloc::vec![limit], ..VenueLimits::default() }],
            instruments: alloc::vec![InstrumentLimits::default(); 2],
            ..Configuration::default()
        })
    }

    fn draw(throttle: &mut Throttle, request: RequestKind, now: Nanos) -> Result<(), Nanos> {
        throttle.draw(HERE.0, HERE.1, request, now).map_err(|lack| lack.until)
    }

    fn usage(used: u32, limit: u32) -> RateUsage {
        RateUsage { bucket: 1, used, limit, retry_at: Nanos::ZERO }
    }

    #[test]
    fn no_window_lets_out_more_than_burst_plus_refill() {
        let mut throttle = throttle(50, 100, 0);
        let mut sent = Vec::new();
        let mut now = Nanos::from_secs(100);
        for _ in 0..100_000 {
            if draw(&mut throttle, RequestKind::New, now).is_ok() {
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
        assert_eq!(draw(&mut throttle, RequestKind::New, now), Ok(()));
        let ready = draw(&mut throttle, RequestKind::New, now).unwrap_err();
        assert_eq!(ready, Nanos::from_secs(6));
        assert_eq!(draw(&mut throttle, RequestKind::New, ready), Ok(()));
    }

    #[test]
    fn a_pause_in_the_count_of_orders_holds_orders_and_lets_cancels_go() {
        let limit = BucketLimit { burst: 9, refill: 9, costs: [1, 1, 0], ..bucket() };
        let (mut throttle, now) = (with(limit), Nanos::from_secs(100));
        let until = now + Nanos::from_secs(10);
        throttle.note_usage(VenueId(0), &RateUsage { retry_at: until, ..usage(0, 0) }, now, now);
        assert!(draw(&mut throttle, RequestKind::Cancel, now).is_ok());
        for request in [RequestKind::New, RequestKind::Replace] {
            let told = draw(&mut throttle, request, now).expect_err("held");
            assert!(told >= until, "{told:?}");
            assert!(draw(&mut throttle, request, until).is_err(), "it fills from then on");
        }
        assert!(draw(&mut throttle, RequestKind::New, until + Nanos::from_secs(2)).is_ok());
    }

    #[test]
    fn a_pause_in_what_a_cancel_draws_on_too_or_in_what_nobody_counts_holds_everything() {
        let now = Nanos::from_secs(100);
        let until = now + Nanos::from_secs(10);
        for (costs, named) in [([0, 1, 1], 1), ([1, 1, 0], 7)] {
            let mut throttle = with(BucketLimit { burst: 9, costs, ..bucket() });
            let ban = RateUsage { bucket: named, retry_at: until, ..usage(0, 0) };
            throttle.note_usage(VenueId(0), &ban, now, now);
            for request in [RequestKind::New, RequestKind::Replace, RequestKind::Cancel] {
                assert_eq!(draw(&mut throttle, request, now), Err(until));
                assert!(draw(&mut throttle, request, until).is_ok());
            }
        }
    }

    #[test]
    fn reserved_tokens_are_for_cancels_only() {
        let mut throttle = throttle(3, 1, 2);
        let now = Nanos::from_secs(1);
        assert!(draw(&mut throttle, RequestKind::New, now).is_ok());
        assert!(draw(&mut throttle, RequestKind::New, now).is_err());
        assert!(draw(&mut throttle, RequestKind::Cancel, now).is_ok());
        assert!(draw(&mut throttle, RequestKind::Cancel, now).is_ok());
        assert!(draw(&mut throttle, RequestKind::Cancel, now).is_err());
    }

    #[test]
    fn a_venue_that_counted_as_we_did_changes_nothing() {
        let mut throttle = throttle(50, 100, 0);
        let mut sent = 0;
        // From the beginning of one of the venue's windows, as fast as it goes.
        for step in 0..9_999 {
            let now = Nanos::from_secs(100) + Nanos::from_millis(step);
            sent += u32::from(draw(&mut throttle, RequestKind::New, now).is_ok());
            let level = |throttle: &Throttle| throttle.buckets().next().map(|bucket| bucket.level);
            let before = level(&throttle);
            throttle.note_usage(VenueId(0), &usage(sent, 150), now, now);
            assert_eq!(level(&throttle), before, "after {sent} in {step} ms");
        }
        assert!(sent > 140);
    }

    #[test]
    fn a_venue_that_counted_more_than_we_did_leaves_us_the_rest() {
        let mut throttle = throttle(50, 100, 0);
        // A second before its window ends, 280 of 300 are used: 20 are left, and none comes back before it ends.
        let now = Nanos::from_secs(109);
        throttle.note_usage(VenueId(0), &usage(280, 300), now, now);
        assert_eq!(throttle.tokens(VenueId(0)).next(), Some(20));
        // Told again, it pauses no longer.
        throttle.note_usage(VenueId(0), &usage(280, 300), now, now);
        let end = Nanos::from_secs(110);
        let sent = (0..1_000)
            .filter(|ms| draw(&mut throttle, RequestKind::New, now + Nanos::from_millis(*ms)).is_ok());
        assert_eq!(sent.count(), 20);
        assert_eq!(draw(&mut throttle, RequestKind::New, end), Err(end + Nanos::from_millis(100)));
        throttle.note_usage(VenueId(0), &usage(300, 300), now, now);
        assert_eq!(throttle.tokens(VenueId(0)).next(), Some(0));
        // Another limit's count is none of ours.
        let mut other = self::throttle(50, 100, 0);
        other.note_usage(VenueId(0), &RateUsage { bucket: 2, ..usage(300, 300) }, now, now);
        assert_eq!(other.tokens(VenueId(0)).next(), Some(50));
    }

    #[test]
    fn a_count_without_a_limit_is_held_against_the_limit_that_the_venue_published() {
        let now = Nanos::from_secs(109);
        let told = |used, limit: Option<u32>| {
            let mut throttle = throttle(50, 100, 0);
            if let Some(limit) = limit {
                throttle.note_usage(VenueId(0), &usage(0, limit), now, now);
            }
            throttle.note_usage(VenueId(0), &usage(used, 0), now, now);
            throttle.tokens(VenueId(0)).next()
        };
        assert_eq!(told(280, Some(300)), Some(20));
        assert_eq!(told(200, Some(300)), Some(50));
        // Before it was published: no more than what we would use ourselves.
        assert_eq!(told(130, None), Some(20));
    }

    #[test]
    fn an_instrument_has_a_bucket_of_its_own_where_configured() {
        let mut throttle = with(BucketLimit { per: BucketScope::Instrument, ..bucket() });
        let now = Nanos::from_secs(1);
        let new = RequestKind::New;
        assert!(throttle.draw(VenueId(0), InstrumentId(0), new, now).is_ok());
        assert!(throttle.draw(VenueId(0), InstrumentId(0), new, now).is_err());
        assert!(throttle.draw(VenueId(0), InstrumentId(1), new, now).is_ok());
    }

    #[test]
    fn a_new_session_begins_with_full_buckets_of_its_own() {
        let mut throttle = with(BucketLimit { per: BucketScope::Session, ..bucket() });
        let now = Nanos::from_secs(1);
        assert!(draw(&mut throttle, RequestKind::New, now).is_ok());
        assert!(draw(&mut throttle, RequestKind::New, now).is_err());
        throttle.begin_session(VenueId(0), now);
        assert!(draw(&mut throttle, RequestKind::New, now).is_ok());
        let mut of_venue = with(bucket());
        assert!(draw(&mut of_venue, RequestKind::New, now).is_ok());
        of_venue.begin_session(VenueId(0), now);
        assert!(draw(&mut of_venue, RequestKind::New, now).is_err());
    }
}
