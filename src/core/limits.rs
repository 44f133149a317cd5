//! The core's configuration: every limit and every deadline, checked once outside and read here. Its hash is in the journal.

use alloc::vec::Vec;

use crate::id::VenueId;
use crate::num::{Notional, Quantity};
use crate::snapshot::{Saved, StateHasher};
use crate::time::Nanos;

/// Hard bounds of the tables, so that ids stay small.
pub const MAX_VENUES: usize = 8;
pub const MAX_INSTRUMENTS: usize = 256;
pub const MAX_STRATEGIES: usize = 16;
/// Order keys of one strategy.
pub const MAX_SLOTS: usize = 1024;
/// Intents of one turn; a strategy that wants more waits for the next event.
pub const MAX_INTENTS: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// The first five characters of every client order id of this run.
    pub run_tag: [u8; 5],
    pub venues: Vec<VenueLimits>,
    pub instruments: Vec<InstrumentLimits>,
    pub strategies: Vec<StrategyLimits>,
    /// Rows of the order table; terminal orders stay known until their row is needed.
    pub order_rows: u32,
    /// Levels a side that a book keeps; the farthest falls off.
    pub book_levels: u32,
    pub settle_quiet: Nanos,
    pub settle_max: Nanos,
    /// A request not confirmed by the private stream for so long is asked about.
    pub confirmation_timeout: Nanos,
    /// How long a new order may be invisible at the venue before "not found" means "never was".
    pub visibility_delay: Nanos,
    /// Questions about one doubt before a person is needed.
    pub recovery_attempts: u32,
    /// Trading starts enabled (a demo), or waits for an operator.
    pub trading_enabled: bool,
    /// The run starts killed: the flag of an earlier run was not reset.
    pub killed: bool,
    /// Events between two state hashes in the journal; zero: only the last.
    pub state_hash_every: u64,
}

crate::saved! {
    table Configuration {
        run_tag,
        venues,
        instruments,
        strategies,
        order_rows,
        book_levels,
        settle_quiet,
        settle_max,
        confirmation_timeout,
        visibility_delay,
        recovery_attempts,
        trading_enabled,
        killed,
        state_hash_every,
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct VenueLimits {
    pub buckets: Vec<BucketLimit>,
    pub position_mode: PositionMode,
}

crate::coded! {
    /// Whether the account holds one position an instrument, or a long and a short one beside each other. It must be what the
    /// account is set to at the venue.
    #[derive(Default)]
    pub enum PositionMode {
        #[default]
        OneWay = 0 "one_way",
        Hedge = 1 "hedge",
    }
}

crate::saved! { table VenueLimits { buckets } kept { position_mode } }

/// A token bucket: `burst` tokens at most, `refill` more per `interval`. In no window of `interval` go out more than
/// `burst + refill`, so the two together stay within the venue's published limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketLimit {
    pub burst: u32,
    pub refill: u32,
    pub interval: Nanos,
    /// Tokens drawn by New, Replace, Cancel.
    pub costs: [u16; 3],
    /// Tokens that only a Cancel may take.
    pub cancel_reserve: u32,
}

crate::saved! { value BucketLimit { burst, refill, interval, costs, cancel_reserve } }

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InstrumentLimits {
    pub venue: VenueId,
    /// Fat finger.
    pub max_order_quantity: Quantity,
    pub max_order_notional: Notional,
    /// Long or short, all working orders assumed filled.
    pub max_position: Quantity,
    pub max_open_orders: u32,
    /// Distance of a limit price from the trusted reference, in 1/10,000.
    pub collar: u32,
    /// Market data older than this is stale.
    pub stale_after: Nanos,
}

crate::saved! {
    value InstrumentLimits {
        venue,
        max_order_quantity,
        max_order_notional,
        max_position,
        max_open_orders,
        collar,
        stale_after,
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct StrategyLimits {
    /// Instruments it may trade, by index.
    pub instruments: Vec<u16>,
    pub max_open_orders: u32,
    /// Intents per second that are taken for a runaway loop.
    pub max_intents_per_second: u32,
    /// In the quote asset at `CASH_DECIMALS`; realised and unrealised. Zero: no limit.
    pub max_daily_loss: i64,
    /// An order that its strategy gave no terms for so long and does not claim is cleaned up. Zero: no limit.
    pub max_order_age: Nanos,
}

crate::saved! {
    table StrategyLimits { instruments, max_open_orders, max_intents_per_second, max_daily_loss, max_order_age }
}

crate::coded! {
    /// A limit that a control event may change while the run goes on. `Control::target` is the code in the high 16 bits, the
    /// index of the instrument or strategy in the low ones; the value is in the limit's own unit.
    pub enum LimitKey {
        /// Lots, by instrument.
        MaxOrderQuantity = 0 "instrument.max_order_quantity",
        /// Lots, by instrument.
        MaxPosition = 1 "instrument.max_position",
        /// By instrument.
        InstrumentMaxOpenOrders = 2 "instrument.max_open_orders",
        /// In 1/10,000, by instrument; zero: no collar.
        Collar = 3 "instrument.collar",
        /// By strategy.
        StrategyMaxOpenOrders = 4 "strategy.max_open_orders",
        /// By strategy; zero: no limit.
        MaxIntentsPerSecond = 5 "strategy.max_intents_per_second",
        /// In the quote asset at `CASH_DECIMALS`, by strategy; zero: no limit.
        MaxDailyLoss = 6 "strategy.max_daily_loss",
    }
}

impl LimitKey {
    /// The target of a control event that changes this limit of the instrument or strategy `index`.
    pub const fn target(self, index: u16) -> u32 {
        (self.code() as u32) << 16 | index as u32
    }
}

impl Configuration {
    /// Tells configurations apart: a saved state is loaded only under the one that made its tables.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = StateHasher::default();
        self.save(&mut hasher);
        hasher.finish()
    }

    /// What a limit is at present, in its own unit; `None` where there is no such limit.
    pub fn limit(&self, target: u32) -> Option<i64> {
        let key = LimitKey::from_code((target >> 16) as u8).ok()?;
        let index = (target & 0xFFFF) as usize;
        let (instrument, strategy) = (self.instruments.get(index), self.strategies.get(index));
        Some(match key {
            LimitKey::MaxOrderQuantity => instrument?.max_order_quantity.raw(),
            LimitKey::MaxPosition => instrument?.max_position.raw(),
            LimitKey::InstrumentMaxOpenOrders => i64::from(instrument?.max_open_orders),
            LimitKey::Collar => i64::from(instrument?.collar),
            LimitKey::StrategyMaxOpenOrders => i64::from(strategy?.max_open_orders),
            LimitKey::MaxIntentsPerSecond => i64::from(strategy?.max_intents_per_second),
            LimitKey::MaxDailyLoss => strategy?.max_daily_loss,
        })
    }

    /// Changes a limit; false where there is no such limit or no such value for it, and then nothing has changed.
    pub fn set_limit(&mut self, target: u32, value: i64) -> bool {
        let Ok(key) = LimitKey::from_code((target >> 16) as u8) else { return false };
        let index = (target & 0xFFFF) as usize;
        let Ok(count) = u32::try_from(value.min(i64::from(u32::MAX))) else { return false };
        let (instrument, strategy) = (self.instruments.get_mut(index), self.strategies.get_mut(index));
        match (key, instrument, strategy) {
            (LimitKey::MaxOrderQuantity, Some(limits), _) => limits.max_order_quantity = Quantity::new(value),
            (LimitKey::MaxPosition, Some(limits), _) => limits.max_position = Quantity::new(value),
            (LimitKey::InstrumentMaxOpenOrders, Some(limits), _) => limits.max_open_orders = count,
            (LimitKey::Collar, Some(limits), _) => limits.collar = count,
            (LimitKey::StrategyMaxOpenOrders, _, Some(limits)) => limits.max_open_orders = count,
            (LimitKey::MaxIntentsPerSecond, _, Some(limits)) => limits.max_intents_per_second = count,
            (LimitKey::MaxDailyLoss, _, Some(limits)) => limits.max_daily_loss = value,
            _ => return false,
        }
        true
    }
}
