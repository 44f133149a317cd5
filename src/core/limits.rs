//! The core's configuration: every limit and every deadline, checked once outside and read here. Its hash is in the journal.

mod key;
mod values;

use alloc::vec::Vec;

use crate::id::{StrategyId, VenueId};
use crate::num::{Notional, Quantity};
use crate::snapshot::{Saved, StateHasher};
use crate::time::Nanos;

pub use key::{LimitKey, LimitScope};
pub use values::{ANY, Numbered, Unit, Values};

/// Hard bounds of the tables, so that ids stay small.
pub const MAX_VENUES: usize = 8;
pub const MAX_INSTRUMENTS: usize = 256;
pub const MAX_STRATEGIES: usize = 16;
/// Order keys of one strategy.
pub const MAX_SLOTS: usize = 1024;
/// Keys behind those, for orders of others that configuration claims for it.
pub const CLAIMED_SLOTS: usize = 256;
/// Both together.
pub const ALL_SLOTS: usize = MAX_SLOTS + CLAIMED_SLOTS;
/// Intents of one turn; a strategy that wants more waits for the next event.
pub const MAX_INTENTS: usize = 64;

#[derive(Clone, Debug, Default, PartialEq)]
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
    pub account: AccountLimits,
    /// A command that waits longer in the queue is recorded with the reason why it waits. Zero: none is.
    pub report_wait: Nanos,
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
        account,
        report_wait,
    }
}

/// Bounds of the whole account, others' orders and positions on it included; money in the reporting asset at
/// `CASH_DECIMALS`. Zero: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    pub max_gross: i64,
    pub max_net: i64,
    pub max_daily_loss: i64,
    pub max_drawdown: i64,
    pub on_loss: LossAnswer,
}

crate::saved! { value AccountLimits { max_gross, max_net, max_daily_loss, max_drawdown, on_loss } }

crate::coded! {
    /// What happens when the account's loss is at its bound.
    #[derive(Default)]
    pub enum LossAnswer {
        /// The kill switch, mode `cancel`.
        #[default]
        Kill = 0 "kill",
        /// No new orders; what is open is cancelled.
        Halt = 1 "halt",
        /// Only what lowers exposure; what is open is cancelled.
        Reduce = 2 "reduce",
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct VenueLimits {
    pub buckets: Vec<BucketLimit>,
    /// Live and waiting orders at one time; zero: no limit.
    pub max_open_orders: u32,
    /// A good-till-date order must live at least so long: the venue's own rule.
    pub least_validity: Nanos,
    pub position_mode: PositionMode,
}

crate::saved! { table VenueLimits { buckets, max_open_orders, least_validity } kept { position_mode } }

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

/// A token bucket: `burst` tokens at most, `refill` more per `interval`. In no window of `interval` go out more than
/// `burst + refill`, so the two together stay within the venue's published limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketLimit {
    pub burst: u32,
    pub refill: u32,
    pub interval: Nanos,
    /// Tokens drawn by New, Replace, Cancel.
    pub costs: [u16; 3],
    /// Tokens that only a Cancel may take.
    pub cancel_reserve: u32,
    pub per: BucketScope,
    /// The venue's own count of the same thing: the `bucket` of a `RateUsage`. `None`: the venue does not tell.
    pub counted_as: Option<u8>,
}

crate::saved! {
    value BucketLimit { burst, refill, interval, costs, cancel_reserve, per, counted_as }
}

crate::coded! {
    /// What has a bucket of its own.
    #[derive(Default)]
    pub enum BucketScope {
        #[default]
        Venue = 0 "venue",
        Instrument = 1 "instrument",
        /// Full again with each logon of order entry.
        Session = 2 "session",
    }
}

/// The default allows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
    /// Worth of the largest position, all working orders assumed filled, in the quote asset at `CASH_DECIMALS`; zero: no limit.
    pub max_position_notional: i64,
    /// What the account's leverage is here: initial margin is worth / leverage. Zero: margin is not checked.
    pub leverage: u32,
    /// What one unit of the quote asset counts for in the reporting asset, at `CASH_DECIMALS`; zero: it is the reporting asset.
    pub quote_worth: i64,
    /// Whose own the orders of others become here; `None`: they are left alone.
    pub claimant: Option<StrategyId>,
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
        max_position_notional,
        leverage,
        quote_worth,
        claimant,
    }
}

/// Money in the reporting asset at `CASH_DECIMALS`. Zero: no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StrategyLimits {
    /// Instruments it may trade, by index.
    pub instruments: Vec<u16>,
    pub max_open_orders: u32,
    /// Intents per second that are taken for a runaway loop.
    pub max_intents_per_second: u32,
    /// Of the realised result and of the marked one, whichever is worse.
    pub max_daily_loss: i64,
    /// From the highest result to the present one, realised and marked.
    pub max_drawdown: i64,
    /// All working orders assumed filled, over all its instruments: the sum of the worths, and the worth of the sum.
    pub max_gross: i64,
    pub max_net: i64,
    /// The same wish again within this span is taken for a mistake. Zero: only where nothing would change.
    pub duplicate_within: Nanos,
    /// Requests for each fill that are taken for a loop without sense; zero: no limit.
    pub max_messages_per_fill: u32,
    /// The span over which they are counted, and how many must be counted before the ratio means something.
    pub message_window: Nanos,
    pub message_minimum: u32,
    /// An order that its strategy gave no terms for so long and does not claim is cleaned up. Zero: no limit.
    pub max_order_age: Nanos,
}

crate::saved! {
    table StrategyLimits {
        instruments,
        max_open_orders,
        max_intents_per_second,
        max_daily_loss,
        max_drawdown,
        max_gross,
        max_net,
        duplicate_within,
        max_messages_per_fill,
        message_window,
        message_minimum,
        max_order_age,
    }
}

impl Configuration {
    /// Tells configurations apart: a saved state is loaded only under the one that made its tables.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = StateHasher::default();
        self.save(&mut hasher);
        hasher.finish()
    }
}
