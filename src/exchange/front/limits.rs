//! Request limits as the exchange counts them: weight per address and minute, orders per account and 10 seconds and minute.
//!
//! Windows are aligned to the clock (a minute window ends at the next full minute). Over the weight limit is 429 with the seconds until the
//! window ends; who goes on asking gets 418, and the ban doubles each time ("IP limits": two minutes up to three days).
//! Everything is bounded: addresses and accounts are few, and an idle address is forgotten when the table is full.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// How much is allowed. The defaults are what the exchange's `exchangeInfo` states for USD-M futures.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    pub weight_per_minute: u32,
    pub orders_per_10_seconds: u32,
    /// Zero: not counted, as on spot.
    pub orders_per_minute: u32,
    /// Zero: not counted, as on USD-M.
    pub orders_per_day: u32,
    /// How many refused requests in one window turn 429 into a ban.
    pub refusals_before_ban: u32,
    pub first_ban_ms: u64,
    pub longest_ban_ms: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            weight_per_minute: 2400,
            orders_per_10_seconds: 300,
            orders_per_minute: 1200,
            orders_per_day: 0,
            refusals_before_ban: 20,
            first_ban_ms: 2 * 60_000,
            longest_ban_ms: 3 * 24 * 3_600_000,
        }
    }
}

impl LimitsConfig {
    /// What `exchangeInfo` states for spot.
    pub fn spot() -> Self {
        Self {
            weight_per_minute: 6000,
            orders_per_10_seconds: 100,
            orders_per_minute: 0,
            orders_per_day: 200_000,
            ..Self::default()
        }
    }
}

/// Why a request is not served now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// 429: the weight of this minute is used up.
    Weight { retry_after_ms: u64 },
    /// 418: the address is banned until this time.
    Banned { until_ms: u64, retry_after_ms: u64 },
    /// 429 and -1015: too many orders in this interval.
    Orders { limit: u32, interval: &'static str, retry_after_ms: u64 },
}

/// What one request counts: as much in the minute as in the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderCost {
    pub per_10_seconds: u32,
    pub other: u32,
}

/// Orders counted in the current windows of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderCounts {
    pub per_10_seconds: u32,
    pub per_minute: u32,
    pub per_day: u32,
}

pub struct Limits {
    pub config: LimitsConfig,
    addresses: BTreeMap<IpAddr, Address>,
    accounts: BTreeMap<u32, Account>,
}

#[derive(Default)]
struct Address {
    minute: Window,
    refusals: u32,
    banned_until_ms: u64,
    bans: u32,
}

#[derive(Default)]
struct Account {
    ten_seconds: Window,
    minute: Window,
    day: Window,
}

/// A count that belongs to one aligned interval.
#[derive(Default)]
struct Window {
    index: u64,
    count: u32,
}

const TEN_SECONDS: u64 = 10_000;
const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
const MOST_ADDRESSES: usize = 1024;

impl Limits {
    pub fn new(config: LimitsConfig) -> Self {
        Self { config, addresses: BTreeMap::new(), accounts: BTreeMap::new() }
    }

    /// Counts a request of `weight`; returns the weight used in this minute.
    pub fn request(&mut self, now_ms: u64, address: IpAddr, weight: u32) -> Result<u32, Over> {
        if self.addresses.len() >= MOST_ADDRESSES && !self.addresses.contains_key(&address) {
            self.addresses
                .retain(|_, seen| seen.banned_until_ms > now_ms || seen.minute.index == now_ms / MINUTE);
        }
        let seen = self.addresses.entry(address).or_default();
        if seen.banned_until_ms > now_ms {
            return Err(Over::Banned {
                until_ms: seen.banned_until_ms,
                retry_after_ms: seen.banned_until_ms - now_ms,
            });
        }
        if seen.minute.advance(now_ms, MINUTE) {
            seen.refusals = 0;
        }
        if seen.minute.count.saturating_add(weight) <= self.config.weight_per_minute {
            seen.minute.count += weight;
            return Ok(seen.minute.count);
        }
        seen.refusals += 1;
        if seen.refusals <= self.config.refusals_before_ban {
            return Err(Over::Weight { retry_after_ms: MINUTE - now_ms % MINUTE });
        }
        let length =
            self.config.first_ban_ms.saturating_mul(1 << seen.bans.min(20)).min(self.config.longest_ban_ms);
        seen.bans += 1;
        seen.refusals = 0;
        seen.banned_until_ms = now_ms + length;
        Err(Over::Banned { until_ms: seen.banned_until_ms, retry_after_ms: length })
    }

    /// Weight used by `address` in this minute.
    pub fn weight_used(&mut self, now_ms: u64, address: IpAddr) -> u32 {
        self.addresses.get_mut(&address).map_or(0, |seen| {
            seen.minute.advance(now_ms, MINUTE);
            seen.minute.count
        })
    }

    /// Counts one request of an account for orders.
    pub fn order(&mut self, now_ms: u64, account: u32, cost: OrderCost) -> Result<OrderCounts, Over> {
        let windows = self.accounts.entry(account).or_default();
        windows.ten_seconds.advance(now_ms, TEN_SECONDS);
        windows.minute.advance(now_ms, MINUTE);
        windows.day.advance(now_ms, DAY);
        if windows.ten_seconds.count + cost.per_10_seconds > self.config.orders_per_10_seconds {
            let retry_after_ms = TEN_SECONDS - now_ms % TEN_SECONDS;
            return Err(Over::Orders {
                limit: self.config.orders_per_10_seconds,
                interval: "10 SECOND",
                retry_after_ms,
            });
        }
        if self.config.orders_per_day > 0 && windows.day.count + cost.other > self.config.orders_per_day {
            return Err(Over::Orders {
                limit: self.config.orders_per_day,
                interval: "DAY",
                retry_after_ms: DAY - now_ms % DAY,
            });
        }
        if self.config.orders_per_minute > 0
            && windows.minute.count + cost.other > self.config.orders_per_minute
        {
            let retry_after_ms = MINUTE - now_ms % MINUTE;
            return Err(Over::Orders {
                limit: self.config.orders_per_minute,
                interval: "MINUTE",
                retry_after_ms,
            });
        }
        windows.ten_seconds.count += cost.per_10_seconds;
        windows.minute.count += cost.other;
        windows.day.count += cost.other;
        Ok(windows.counts())
    }

    /// Orders that the account has counted in the current windows.
    pub fn orders_counted(&mut self, now_ms: u64, account: u32) -> OrderCounts {
        self.accounts.get_mut(&account).map_or(OrderCounts::default(), |windows| {
            windows.ten_seconds.advance(now_ms, TEN_SECONDS);
            windows.minute.advance(now_ms, MINUTE);
            windows.day.advance(now_ms, DAY);
            windows.counts()
        })
    }
}

impl Account {
    fn counts(&self) -> OrderCounts {
        OrderCounts {
            per_10_seconds: self.ten_seconds.count,
            per_minute: self.minute.count,
            per_day: self.day.count,
        }
    }
}

impl Window {
    /// Moves to the window that holds `now_ms`; true if it is a new one.
    fn advance(&mut self, now_ms: u64, length: u64) -> bool {
        let index = now_ms / length;
        if index == self.index {
            return false;
        }
        *self = Window { index, count: 0 };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn limits() -> Limits {
        Limits::new(LimitsConfig {
            weight_per_minute: 10,
            orders_per_10_seconds: 2,
            orders_per_minute: 3,
            orders_per_day: 0,
            refusals_before_ban: 2,
            first_ban_ms: 120_000,
            longest_ban_ms: 200_000,
        })
    }

    #[test]
    fn weight_is_counted_per_aligned_minute() {
        let mut limits = limits();
        assert_eq!(limits.request(60_500, HERE, 4), Ok(4));
        assert_eq!(limits.request(61_000, HERE, 6), Ok(10));
        assert_eq!(limits.request(119_000, HERE, 1), Err(Over::Weight { retry_after_ms: 1_000 }));
        assert_eq!(limits.request(120_000, HERE, 1), Ok(1));
    }

    #[test]
    fn who_goes_on_after_429_is_banned_and_the_next_ban_is_longer() {
        let mut limits = limits();
        assert_eq!(limits.request(0, HERE, 10), Ok(10));
        for _ in 0..2 {
            assert_eq!(limits.request(1, HERE, 1), Err(Over::Weight { retry_after_ms: 59_999 }));
        }
        assert_eq!(
            limits.request(1, HERE, 1),
            Err(Over::Banned { until_ms: 120_001, retry_after_ms: 120_000 })
        );
        assert_eq!(
            limits.request(120_000, HERE, 1),
            Err(Over::Banned { until_ms: 120_001, retry_after_ms: 1 })
        );
        assert_eq!(limits.request(120_001, HERE, 10), Ok(10));
        for _ in 0..2 {
            limits.request(120_002, HERE, 1).expect_err("429");
        }
        assert_eq!(
            limits.request(120_002, HERE, 1),
            Err(Over::Banned { until_ms: 320_002, retry_after_ms: 200_000 })
        );
    }

    const ONE: OrderCost = OrderCost { per_10_seconds: 1, other: 1 };

    const fn counts(per_10_seconds: u32, per_minute: u32, per_day: u32) -> OrderCounts {
        OrderCounts { per_10_seconds, per_minute, per_day }
    }

    #[test]
    fn orders_are_counted_per_account_in_both_windows() {
        let mut limits = limits();
        assert_eq!(limits.order(1, 7, ONE), Ok(counts(1, 1, 1)));
        assert_eq!(limits.order(2, 7, ONE), Ok(counts(2, 2, 2)));
        assert_eq!(
            limits.order(3, 7, ONE),
            Err(Over::Orders { limit: 2, interval: "10 SECOND", retry_after_ms: 9_997 })
        );
        assert_eq!(limits.order(3, 8, ONE), Ok(counts(1, 1, 1)));
        assert_eq!(limits.order(10_000, 7, ONE), Ok(counts(1, 3, 3)));
        assert_eq!(
            limits.order(20_000, 7, ONE),
            Err(Over::Orders { limit: 3, interval: "MINUTE", retry_after_ms: 40_000 })
        );
        assert_eq!(limits.orders_counted(60_000, 7), counts(0, 0, 3));
    }

    #[test]
    fn a_batch_costs_five_in_ten_seconds_and_is_refused_whole() {
        let batch = OrderCost { per_10_seconds: 5, other: 1 };
        let config = LimitsConfig { orders_per_10_seconds: 9, ..limits().config };
        let mut limits = Limits::new(config);
        assert_eq!(limits.order(1, 7, batch), Ok(counts(5, 1, 1)));
        limits.order(2, 7, batch).expect_err("ten are more than nine");
        assert_eq!(limits.order(3, 7, ONE), Ok(counts(6, 2, 2)));
    }
}
