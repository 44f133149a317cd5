//! Limits that a control event may change while the run goes on: one table, with the unit and the range of each.
//!
//! `Control::target` is the code in the high 16 bits and the index of the venue, instrument or strategy in the low ones; the
//! value is in the limit's own unit. Zero means "no limit" where the table says so, and is refused elsewhere.

use super::Configuration;
use super::values::{ANY, Numbered, Unit, Values};

const COUNT: i64 = 1_000_000;
const ORDERS: i64 = 100_000;
const MILLI: i64 = 1_000_000;
/// Of a second.
const TENTH: i64 = 100 * MILLI;
const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
const MONTH: i64 = 30 * DAY;

/// One row a limit: its code, its name, what it belongs to, its unit, its least and greatest value, whether zero stands for "no
/// limit", and where the configuration keeps it.
macro_rules! limits {
    ($($key:ident = $code:literal $name:literal $scope:ident $unit:ident $least:tt $most:tt $or_none:ident $place:tt;)*) => {
        crate::coded! {
            pub enum LimitKey { $($key = $code $name),* }
        }

        impl LimitKey {
            pub const fn scope(self) -> LimitScope {
                match self {
                    $(Self::$key => LimitScope::$scope,)*
                }
            }

            pub const fn values(self) -> Values {
                match self {
                    $(Self::$key => Values::new(Unit::$unit, $least, $most, $or_none),)*
                }
            }
        }

        impl Configuration {
            /// The present value of a limit, in its own unit; `None` where there is no such limit.
            pub fn limit(&self, target: u32) -> Option<i64> {
                let (key, index) = LimitKey::of_target(target)?;
                Some(match key {
                    $(LimitKey::$key => place!(get self index $place)?.number(),)*
                })
            }

            fn put_limit(&mut self, key: LimitKey, index: usize, value: i64) -> Option<()> {
                match key {
                    $(LimitKey::$key => *place!(get_mut self index $place)? = Numbered::of_number(value)?,)*
                }
                Some(())
            }
        }
    };
}

/// A field of a table's row, or of the configuration itself.
macro_rules! place {
    (get $of:ident $index:ident ($table:ident[].$field:ident)) => { $of.$table.get($index).map(|row| &row.$field) };
    (get_mut $of:ident $index:ident ($table:ident[].$field:ident)) => { $of.$table.get_mut($index).map(|row| &mut row.$field) };
    (get $of:ident $index:ident ($($field:ident).+)) => { Some(&$of.$($field).+) };
    (get_mut $of:ident $index:ident ($($field:ident).+)) => { Some(&mut $of.$($field).+) };
}

limits! {
    MaxOrderQuantity = 0 "instrument.max_order_quantity" Instrument Lots 1 ANY false (instruments[].max_order_quantity);
    MaxPosition = 1 "instrument.max_position" Instrument Lots 1 ANY false (instruments[].max_position);
    InstrumentMaxOpenOrders = 2 "instrument.max_open_orders" Instrument Count 1 ORDERS false (instruments[].max_open_orders);
    Collar = 3 "instrument.collar" Instrument Share 1 10_000 true (instruments[].collar);
    StrategyMaxOpenOrders = 4 "strategy.max_open_orders" Strategy Count 1 ORDERS false (strategies[].max_open_orders);
    MaxIntentsPerSecond = 5 "strategy.max_intents_per_second" Strategy Count 1 COUNT true (strategies[].max_intents_per_second);
    MaxDailyLoss = 6 "strategy.max_daily_loss" Strategy Money 1 ANY true (strategies[].max_daily_loss);
    MaxOrderNotional = 7 "instrument.max_order_notional" Instrument Notional 1 ANY false (instruments[].max_order_notional);
    MaxPositionNotional = 8 "instrument.max_position_notional" Instrument Money 1 ANY true (instruments[].max_position_notional);
    StaleAfter = 9 "instrument.stale_after" Instrument Span MILLI HOUR false (instruments[].stale_after);
    Leverage = 10 "instrument.leverage" Instrument Count 1 1_000 true (instruments[].leverage);
    MaxDrawdown = 11 "strategy.max_drawdown" Strategy Money 1 ANY true (strategies[].max_drawdown);
    MaxGross = 12 "strategy.max_gross" Strategy Money 1 ANY true (strategies[].max_gross);
    MaxNet = 13 "strategy.max_net" Strategy Money 1 ANY true (strategies[].max_net);
    DuplicateWithin = 14 "strategy.duplicate_within" Strategy Span 1 HOUR true (strategies[].duplicate_within);
    MaxMessagesPerFill = 15 "strategy.max_messages_per_fill" Strategy Count 1 COUNT true (strategies[].max_messages_per_fill);
    MessageWindow = 16 "strategy.message_window" Strategy Span MILLI DAY false (strategies[].message_window);
    MessageMinimum = 17 "strategy.message_minimum" Strategy Count 1 COUNT false (strategies[].message_minimum);
    VenueMaxOpenOrders = 18 "venue.max_open_orders" Venue Count 1 ORDERS true (venues[].max_open_orders);
    AccountMaxGross = 19 "risk.max_gross" Account Money 1 ANY true (account.max_gross);
    AccountMaxNet = 20 "risk.max_net" Account Money 1 ANY true (account.max_net);
    AccountMaxDailyLoss = 21 "risk.max_daily_loss" Account Money 1 ANY true (account.max_daily_loss);
    AccountMaxDrawdown = 22 "risk.max_drawdown" Account Money 1 ANY true (account.max_drawdown);
    ReportWait = 23 "risk.report_wait" Account Span MILLI HOUR true (report_wait);
    QuoteWorth = 24 "instrument.quote_worth" Instrument Money 1 ANY true (instruments[].quote_worth);
    LeastValidity = 25 "venue.least_validity" Venue Span 1 DAY true (venues[].least_validity);
    MaxOrderAge = 26 "strategy.max_order_age" Strategy Span TENTH MONTH true (strategies[].max_order_age);
}

crate::coded! {
    /// What a limit belongs to.
    pub enum LimitScope {
        /// The whole account; the index is zero.
        Account = 0 "risk",
        Venue = 1 "venue",
        Instrument = 2 "instrument",
        Strategy = 3 "strategy",
    }
}

impl LimitKey {
    /// Without what it belongs to: as a key of the configuration's table.
    pub fn own_name(self) -> &'static str {
        self.name().split_once('.').map_or("", |(_, name)| name)
    }

    pub fn of_scope(scope: LimitScope) -> impl Iterator<Item = Self> + Clone {
        Self::ALL.iter().copied().filter(move |key| key.scope() == scope)
    }

    /// The target of a control event that changes this limit of the venue, instrument or strategy `index`.
    pub const fn target(self, index: u16) -> u32 {
        (self.code() as u32) << 16 | index as u32
    }

    /// The limit, and the index of what it belongs to.
    pub fn of_target(target: u32) -> Option<(Self, usize)> {
        let key = u8::try_from(target >> 16).ok().and_then(|code| Self::from_code(code).ok())?;
        Some((key, (target & 0xFFFF) as usize))
    }
}

impl Configuration {
    /// Changes a limit; false where there is no such limit or no such value for it, and then nothing has changed.
    pub fn set_limit(&mut self, target: u32, value: i64) -> bool {
        let Some((key, index)) = LimitKey::of_target(target) else { return false };
        key.values().takes(value) && self.put_limit(key, index, value).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{InstrumentLimits, StrategyLimits, VenueLimits};

    fn configuration() -> Configuration {
        Configuration {
            venues: alloc::vec![VenueLimits::default()],
            instruments: alloc::vec![InstrumentLimits::default()],
            strategies: alloc::vec![StrategyLimits::default()],
            ..Configuration::default()
        }
    }

    #[test]
    fn every_limit_can_be_changed_and_read_back() {
        for key in LimitKey::ALL {
            let mut with = configuration();
            let value = *key.values().range.start();
            assert!(with.set_limit(key.target(0), value), "{key}");
            assert_eq!(with.limit(key.target(0)), Some(value), "{key}");
            let changed = LimitKey::ALL
                .iter()
                .filter(|other| with.limit(other.target(0)) != configuration().limit(other.target(0)));
            assert_eq!(changed.count(), 1, "{key} changes itself and no other");
        }
    }

    #[test]
    fn a_value_outside_its_range_or_an_unknown_limit_changes_nothing() {
        for key in LimitKey::ALL {
            let mut with = configuration();
            let values = key.values();
            assert!(!with.set_limit(key.target(0), -1), "{key}");
            assert_eq!(with.set_limit(key.target(0), 0), values.may_be_none, "{key}");
            if *values.range.end() != i64::MAX {
                assert!(!with.set_limit(key.target(0), values.range.end() + 1), "{key}");
            }
            let elsewhere = with.set_limit(key.target(7), *values.range.start());
            assert_eq!(elsewhere, key.scope() == LimitScope::Account, "{key} of nobody");
        }
        assert!(!configuration().set_limit(200 << 16, 1));
        assert_eq!(configuration().limit(200 << 16), None);
    }
}
