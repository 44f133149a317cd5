//! Limits that a control event may change while the run goes on: one table, with the unit and the range of each.
//!
//! `Control::target` is the code in the high 16 bits and the index of the venue, instrument or strategy in the low ones; the
//! value is in the limit's own unit. Zero means "no limit" where the table says so, and is refused elsewhere.

use core::ops::RangeInclusive;

use super::Configuration;
use crate::num::{Notional, Quantity};
use crate::time::Nanos;

crate::coded! {
    pub enum LimitKey {
        MaxOrderQuantity = 0 "instrument.max_order_quantity",
        MaxPosition = 1 "instrument.max_position",
        InstrumentMaxOpenOrders = 2 "instrument.max_open_orders",
        Collar = 3 "instrument.collar",
        StrategyMaxOpenOrders = 4 "strategy.max_open_orders",
        MaxIntentsPerSecond = 5 "strategy.max_intents_per_second",
        MaxDailyLoss = 6 "strategy.max_daily_loss",
        MaxOrderNotional = 7 "instrument.max_order_notional",
        MaxPositionNotional = 8 "instrument.max_position_notional",
        StaleAfter = 9 "instrument.stale_after",
        Leverage = 10 "instrument.leverage",
        MaxDrawdown = 11 "strategy.max_drawdown",
        MaxGross = 12 "strategy.max_gross",
        MaxNet = 13 "strategy.max_net",
        DuplicateWithin = 14 "strategy.duplicate_within",
        MaxMessagesPerFill = 15 "strategy.max_messages_per_fill",
        MessageWindow = 16 "strategy.message_window",
        MessageMinimum = 17 "strategy.message_minimum",
        VenueMaxOpenOrders = 18 "venue.max_open_orders",
        AccountMaxGross = 19 "risk.max_gross",
        AccountMaxNet = 20 "risk.max_net",
        AccountMaxDailyLoss = 21 "risk.max_daily_loss",
        AccountMaxDrawdown = 22 "risk.max_drawdown",
        ReportWait = 23 "risk.report_wait",
    }
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

crate::coded! {
    pub enum LimitUnit {
        Lots = 0 "lots",
        /// Ticks x lots of the instrument.
        Notional = 1 "ticks x lots",
        /// At `CASH_DECIMALS`.
        Money = 2 "money",
        Count = 3 "count",
        /// 1/10,000.
        Share = 4 "1/10,000",
        Span = 5 "ns",
    }
}

/// Which values a limit takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitValues {
    pub scope: LimitScope,
    pub unit: LimitUnit,
    pub range: RangeInclusive<i64>,
    /// Zero stands for "no limit".
    pub may_be_none: bool,
}

impl LimitKey {
    /// The target of a control event that changes this limit of the venue, instrument or strategy `index`.
    pub const fn target(self, index: u16) -> u32 {
        (self.code() as u32) << 16 | index as u32
    }

    /// The limit, and the index of what it belongs to.
    pub fn of_target(target: u32) -> Option<(Self, usize)> {
        let key = u8::try_from(target >> 16).ok().and_then(|code| Self::from_code(code).ok())?;
        Some((key, (target & 0xFFFF) as usize))
    }

    pub const fn values(self) -> LimitValues {
        use LimitKey as K;
        use LimitScope as S;
        use LimitUnit as U;
        const ANY: i64 = i64::MAX;
        const COUNT: i64 = 1_000_000;
        const ORDERS: i64 = 100_000;
        const HOUR: i64 = 3_600_000_000_000;
        const MILLI: i64 = 1_000_000;
        let (scope, unit, least, most, may_be_none) = match self {
            K::MaxOrderQuantity => (S::Instrument, U::Lots, 1, ANY, false),
            K::MaxPosition => (S::Instrument, U::Lots, 1, ANY, false),
            K::InstrumentMaxOpenOrders => (S::Instrument, U::Count, 1, ORDERS, false),
            K::Collar => (S::Instrument, U::Share, 1, 10_000, true),
            K::StrategyMaxOpenOrders => (S::Strategy, U::Count, 1, ORDERS, false),
            K::MaxIntentsPerSecond => (S::Strategy, U::Count, 1, COUNT, true),
            K::MaxDailyLoss => (S::Strategy, U::Money, 1, ANY, true),
            K::MaxOrderNotional => (S::Instrument, U::Notional, 1, ANY, false),
            K::MaxPositionNotional => (S::Instrument, U::Money, 1, ANY, true),
            K::StaleAfter => (S::Instrument, U::Span, MILLI, HOUR, false),
            K::Leverage => (S::Instrument, U::Count, 1, 1_000, true),
            K::MaxDrawdown => (S::Strategy, U::Money, 1, ANY, true),
            K::MaxGross => (S::Strategy, U::Money, 1, ANY, true),
            K::MaxNet => (S::Strategy, U::Money, 1, ANY, true),
            K::DuplicateWithin => (S::Strategy, U::Span, 1, HOUR, true),
            K::MaxMessagesPerFill => (S::Strategy, U::Count, 1, COUNT, true),
            K::MessageWindow => (S::Strategy, U::Span, MILLI, 24 * HOUR, false),
            K::MessageMinimum => (S::Strategy, U::Count, 1, COUNT, false),
            K::VenueMaxOpenOrders => (S::Venue, U::Count, 1, ORDERS, true),
            K::AccountMaxGross => (S::Account, U::Money, 1, ANY, true),
            K::AccountMaxNet => (S::Account, U::Money, 1, ANY, true),
            K::AccountMaxDailyLoss => (S::Account, U::Money, 1, ANY, true),
            K::AccountMaxDrawdown => (S::Account, U::Money, 1, ANY, true),
            K::ReportWait => (S::Account, U::Span, MILLI, HOUR, true),
        };
        LimitValues { scope, unit, range: RangeInclusive::new(least, most), may_be_none }
    }
}

impl LimitValues {
    pub fn takes(&self, value: i64) -> bool {
        self.range.contains(&value) || (self.may_be_none && value == 0)
    }
}

impl Configuration {
    /// The present value of a limit, in its own unit; `None` where there is no such limit.
    pub fn limit(&self, target: u32) -> Option<i64> {
        use LimitKey as K;
        let (key, index) = LimitKey::of_target(target)?;
        let span = |span: Nanos| i64::try_from(span.raw()).unwrap_or(i64::MAX);
        let (venue, instrument, strategy) =
            (self.venues.get(index), self.instruments.get(index), self.strategies.get(index));
        Some(match key {
            K::MaxOrderQuantity => instrument?.max_order_quantity.raw(),
            K::MaxPosition => instrument?.max_position.raw(),
            K::InstrumentMaxOpenOrders => i64::from(instrument?.max_open_orders),
            K::Collar => i64::from(instrument?.collar),
            K::StrategyMaxOpenOrders => i64::from(strategy?.max_open_orders),
            K::MaxIntentsPerSecond => i64::from(strategy?.max_intents_per_second),
            K::MaxDailyLoss => strategy?.max_daily_loss,
            K::MaxOrderNotional => i64::try_from(instrument?.max_order_notional.raw()).unwrap_or(i64::MAX),
            K::MaxPositionNotional => instrument?.max_position_notional,
            K::StaleAfter => span(instrument?.stale_after),
            K::Leverage => i64::from(instrument?.leverage),
            K::MaxDrawdown => strategy?.max_drawdown,
            K::MaxGross => strategy?.max_gross,
            K::MaxNet => strategy?.max_net,
            K::DuplicateWithin => span(strategy?.duplicate_within),
            K::MaxMessagesPerFill => i64::from(strategy?.max_messages_per_fill),
            K::MessageWindow => span(strategy?.message_window),
            K::MessageMinimum => i64::from(strategy?.message_minimum),
            K::VenueMaxOpenOrders => i64::from(venue?.max_open_orders),
            K::AccountMaxGross => self.account.max_gross,
            K::AccountMaxNet => self.account.max_net,
            K::AccountMaxDailyLoss => self.account.max_daily_loss,
            K::AccountMaxDrawdown => self.account.max_drawdown,
            K::ReportWait => span(self.report_wait),
        })
    }

    /// Changes a limit; false where there is no such limit or no such value for it, and then nothing has changed.
    pub fn set_limit(&mut self, target: u32, value: i64) -> bool {
        let Some((key, index)) = LimitKey::of_target(target) else { return false };
        key.values().takes(value) && self.put_limit(key, index, value).is_some()
    }

    fn put_limit(&mut self, key: LimitKey, index: usize, value: i64) -> Option<()> {
        use LimitKey as K;
        let count = u32::try_from(value).unwrap_or(u32::MAX);
        let span = Nanos::new(u64::try_from(value).ok()?);
        let (venue, instrument, strategy) =
            (self.venues.get_mut(index), self.instruments.get_mut(index), self.strategies.get_mut(index));
        match key {
            K::MaxOrderQuantity => instrument?.max_order_quantity = Quantity::new(value),
            K::MaxPosition => instrument?.max_position = Quantity::new(value),
            K::InstrumentMaxOpenOrders => instrument?.max_open_orders = count,
            K::Collar => instrument?.collar = count,
            K::StrategyMaxOpenOrders => strategy?.max_open_orders = count,
            K::MaxIntentsPerSecond => strategy?.max_intents_per_second = count,
            K::MaxDailyLoss => strategy?.max_daily_loss = value,
            K::MaxOrderNotional => instrument?.max_order_notional = Notional::new(i128::from(value)),
            K::MaxPositionNotional => instrument?.max_position_notional = value,
            K::StaleAfter => instrument?.stale_after = span,
            K::Leverage => instrument?.leverage = count,
            K::MaxDrawdown => strategy?.max_drawdown = value,
            K::MaxGross => strategy?.max_gross = value,
            K::MaxNet => strategy?.max_net = value,
            K::DuplicateWithin => strategy?.duplicate_within = span,
            K::MaxMessagesPerFill => strategy?.max_messages_per_fill = count,
            K::MessageWindow => strategy?.message_window = span,
            K::MessageMinimum => strategy?.message_minimum = count,
            K::VenueMaxOpenOrders => venue?.max_open_orders = count,
            K::AccountMaxGross => self.account.max_gross = value,
            K::AccountMaxNet => self.account.max_net = value,
            K::AccountMaxDailyLoss => self.account.max_daily_loss = value,
            K::AccountMaxDrawdown => self.account.max_drawdown = value,
            K::ReportWait => self.report_wait = span,
        }
        Some(())
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
            assert_eq!(elsewhere, values.scope == LimitScope::Account, "{key} of nobody");
        }
        assert!(!configuration().set_limit(200 << 16, 1));
        assert_eq!(configuration().limit(200 << 16), None);
    }
}
