//! What the venue tells the world. See the head of [`api`](super) for when and in what order.

use std::fmt;

use super::*;

/// What the venue tells the world. See the file's head for when and in what order.
#[derive(Clone, Debug)]
pub enum Output {
    Depth(DepthDiff),
    BookTicker(BookTicker),
    Trade(PublicTrade),
    AggTrade(AggTrade),
    MarkPrice(MarkPrice),
    /// A recording's message: in a recorded market these replace the five above (but `MarkPrice`, when none is recorded).
    Recorded(RecordedFrame),
    Order(AccountId, OrderUpdate),
    Account(AccountId, AccountUpdate),
    Algo(AccountId, Algo),
    /// A liquidation, as everybody may see it.
    ForceOrder(Order),
    DepthReady(DepthTicket, DepthSnapshot),
    /// The recording is over; nothing public will follow. Comes once.
    Ended(Ending),
}

/// How a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    Complete {
        lines: u64,
    },
    /// A line that cannot be used. Playback stopped before it: a hole in the market must not pass for a quiet market.
    BadLine {
        file: String,
        line: u64,
        why: String,
    },
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Complete { lines } => write!(f, "recording ended after {lines} lines"),
            Ending::BadLine { file, line, why } => write!(f, "recording {file}, line {line}: {why}"),
        }
    }
}
