//! How much may go out: token buckets by the definition, what a venue says that it has counted, and requests for each fill.
//!
//! A bucket is the venue's, a session's, or each instrument's own. Beside the tokens stands what they are for: in no window of a bucket's
//! interval more than its burst and one refill, and until a venue's own window ends no more than it has said to be left.

use linchpin_core::event::{RateUsage, RequestKind};
use linchpin_core::id::InstrumentId;
use linchpin_core::limits::{BucketLimit, BucketScope, StrategyLimits};
use linchpin_core::time::Nanos;

/// One request that went out, as far as rates go.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub at: Nanos,
    pub instrument: InstrumentId,
    pub request: RequestKind,
    pub number: u64,
}

#[derive(Clone, Debug)]
struct Bucket {
    limit: BucketLimit,
    /// `None`: of all of them.
    of: Option<InstrumentId>,
    /// In units of 1/interval token.
    level: i128,
    /// Up to when it is filled; later than now while its refill pauses.
    filled_at: Nanos,
    /// The venue's own limit, once it has told it.
    published: i128,
    /// What the venue has said to be left in its window, and when that ends.
    left: Option<(i128, Nanos)>,
    /// The last that went out before its session began: that does not count.
    began: u64,
}

/// Of one venue.
#[derive(Clone, Debug)]
pub struct Rates {
    buckets: Vec<Bucket>,
    /// Everything that went out and was not taken back.
    sent: Vec<Sent>,
    /// The number of the last of them, taken back or not.
    last: u64,
    /// Until when the venue wants to hear nothing.
    held_until: Nanos,
}

/// Why a request must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Everything at the venue waits.
    Common,
    /// What the instrument has to itself is used up.
    Own,
}

impl Bucket {
    fn unit(&self) -> i128 {
        i128::from(self.limit.interval.raw())
    }

    fn full(&self) -> i128 {
        i128::from(self.limit.burst) * self.unit()
    }

    fn cost(&self, request: RequestKind) -> i128 {
        i128::from(self.limit.costs[usize::from(request.code())])
    }

    fn concerns(&self, instrument: InstrumentId) -> bool {
        self.of.is_none_or(|own| own == instrument)
    }

    fn fill(&mut self, now: Nanos) {
        let passed = (i128::from(now.raw()) - i128::from(self.filled_at.raw())).max(0);
        self.level = (self.level + passed * i128::from(self.limit.refill)).min(self.full());
        self.filled_at = self.filled_at.max(now);
    }

    fn has_room(&self, request: RequestKind) -> bool {
        let kept = if request == RequestKind::Cancel { 0 } else { i128::from(self.limit.cancel_reserve) };
        let cost = self.cost(request);
        cost == 0 || self.level >= (cost + kept) * self.unit()
    }

    /// What is here and what comes until the venue's window ends is no more than what it has left there.
    fn hear(&mut self, usage: &RateUsage, now: Nanos, stamp: Nanos) {
        self.fill(now);
        if usage.limit != 0 {
            self.published = i128::from(usage.limit);
        }
        let (unit, refill) = (self.unit(), i128::from(self.limit.refill));
        let allowed = match self.published {
            0 => i128::from(self.limit.burst) + refill,
            published => published,
        };
        let left = (allowed - i128::from(usage.used)).max(0);
        let window = self.limit.interval.raw();
        let end = now + Nanos::new(window - stamp.raw() % window);
        self.left = Some((left, end));
        self.level = self.level.min(left * unit);
        let comes = (i128::from(end.raw()) - i128::from(self.filled_at.raw())).max(0) * refill;
        let excess = (comes - (left * unit - self.level)).max(0);
        let pause = (excess + refill.max(1) - 1) / refill.max(1);
        self.filled_at = self.filled_at + Nanos::new(pause as u64);
    }
}

impl Rates {
    pub fn new(limits: &[BucketLimit], instruments: usize) -> Self {
        let bucket = |limit: &BucketLimit, of| Bucket {
            limit: *limit,
            of,
            level: i128::from(limit.burst) * i128::from(limit.interval.raw()),
            filled_at: Nanos::ZERO,
            published: 0,
            left: None,
            began: 0,
        };
        let of_each = |limit: &BucketLimit| -> Vec<Bucket> {
            if limit.per == BucketScope::Instrument {
                (0..instruments as u16).map(|at| bucket(limit, Some(InstrumentId(at)))).collect()
            } else {
                vec![bucket(limit, None)]
            }
        };
        Self {
            buckets: limits.iter().flat_map(of_each).collect(),
            sent: Vec::new(),
            last: 0,
            held_until: Nanos::ZERO,
        }
    }

    /// Room in everything that it draws on, at this time.
    pub fn room(&mut self, now: Nanos, instrument: InstrumentId, request: RequestKind) -> Result<(), Lack> {
        let (mut common, mut own) = (now < self.held_until, false);
        for bucket in self.buckets.iter_mut().filter(|bucket| bucket.concerns(instrument)) {
            bucket.fill(now);
            let lacks = !bucket.has_room(request);
            common |= lacks && bucket.of.is_none();
            own |= lacks && bucket.of.is_some();
        }
        match (common, own) {
            (true, _) => Err(Lack::Common),
            (false, true) => Err(Lack::Own),
            (false, false) => Ok(()),
        }
    }

    /// It goes out. What must hold of every window is said where it does not.
    pub fn draw(&mut self, sent: Sent) -> Result<(), String> {
        self.room(sent.at, sent.instrument, sent.request)
            .map_err(|lack| format!("without tokens: {lack:?}"))?;
        self.sent.push(sent);
        self.last = sent.number;
        for bucket in self.buckets.iter_mut().filter(|bucket| bucket.concerns(sent.instrument)) {
            let cost = bucket.cost(sent.request);
            bucket.level -= cost * bucket.unit();
            let recent = self.sent.iter().rev();
            let recent =
                recent.take_while(|s| s.at + bucket.limit.interval > sent.at && s.number > bucket.began);
            let used: i128 =
                recent.filter(|s| bucket.concerns(s.instrument)).map(|s| bucket.cost(s.request)).sum();
            let most = i128::from(bucket.limit.burst) + i128::from(bucket.limit.refill);
            if used > most {
                return Err(format!("{used} of {most} in one window of {bucket:?}"));
            }
            if let Some((left, end)) = &mut bucket.left
                && sent.at < *end
            {
                *left -= cost;
                if *left < 0 {
                    return Err(format!("more than the venue has left in its window: {bucket:?}"));
                }
            }
        }
        Ok(())
    }

    /// What never left has used nothing up.
    pub fn give_back(&mut self, number: u64, instrument: InstrumentId, request: RequestKind) {
        self.sent.retain(|sent| sent.number != number);
        for bucket in self.buckets.iter_mut().filter(|bucket| bucket.concerns(instrument)) {
            let cost = bucket.cost(request);
            bucket.level = (bucket.level + cost * bucket.unit()).min(bucket.full());
            if let Some((left, _)) = &mut bucket.left {
                *left += cost;
            }
        }
    }

    pub fn hear(&mut self, usage: &RateUsage, now: Nanos, stamp: Nanos) {
        self.held_until = self.held_until.max(usage.retry_at);
        let counted = |bucket: &&mut Bucket| {
            bucket.limit.per == BucketScope::Venue && bucket.limit.counted_as == Some(usage.bucket)
        };
        self.buckets.iter_mut().filter(counted).for_each(|bucket| bucket.hear(usage, now, stamp));
    }

    /// Order entry has logged on: what counts by session begins anew.
    pub fn begin_session(&mut self, now: Nanos) {
        let last = self.last;
        for bucket in self.buckets.iter_mut().filter(|bucket| bucket.limit.per == BucketScope::Session) {
            (bucket.level, bucket.filled_at, bucket.began) = (bucket.full(), now, last);
        }
    }
}

/// What one strategy has sent and had filled, and the windows in which that is counted.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub messages: u64,
    pub fills: u64,
    /// When each window began, and what there was by then. One that comes after a silence counts alone.
    windows: Vec<(Nanos, u64, u64)>,
    alone: bool,
}

impl Traffic {
    pub fn new() -> Self {
        Self { messages: 0, fills: 0, windows: vec![(Nanos::ZERO, 0, 0)], alone: true }
    }

    /// A wish: the window that it falls into may be a new one.
    pub fn wish(&mut self, now: Nanos, length: Nanos) {
        let began = self.windows.last().map_or(Nanos::ZERO, |window| window.0);
        if !length.is_zero() && now.since(began) >= length {
            self.alone = now.since(began) >= length + length;
            self.windows.push((now, self.messages, self.fills));
        }
    }

    /// What was before is forgiven.
    pub fn forgive(&mut self, now: Nanos) {
        self.alone = true;
        self.windows.push((now, self.messages, self.fills));
    }

    /// Requests and fills of this window and of the one before.
    pub fn counted(&self) -> (u64, u64) {
        let back = if self.alone { 1 } else { 2 };
        let (_, messages, fills) = self.windows[self.windows.len() - back];
        (self.messages - messages, self.fills - fills)
    }

    pub fn is_too_much(&self, limits: &StrategyLimits) -> bool {
        let (messages, fills) = self.counted();
        let bound = u64::from(limits.max_messages_per_fill);
        bound != 0 && messages >= u64::from(limits.message_minimum) && messages > fills.max(1) * bound
    }
}
