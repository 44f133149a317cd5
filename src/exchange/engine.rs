//! The venue itself: takes commands, matches, keeps the ledger, and says what happened.

use super::api::*;
use super::error::{ApiError, SetupError};

/// A whole exchange, as a value.
pub struct Exchange {
    config: ExchangeConfig,
    pending: Vec<Output>,
}

impl Exchange {
    /// A venue whose market begins at `now` (ns); a recording's first file is opened here, so that a missing one is told at once.
    pub fn new(config: ExchangeConfig, now: u64) -> Result<Exchange, SetupError> {
        let _ = now;
        Ok(Exchange { config, pending: Vec::new() })
    }

    /// Carries out one request of `account`, in full, before it returns. What others see of it waits for [`advance`](Self::advance).
    pub fn execute(&mut self, _now: u64, _account: AccountId, _command: Command) -> Result<Reply, ApiError> {
        Err(ApiError::UNSUPPORTED_OPERATION)
    }

    /// The public book, `limit` levels a side (5, 10, 20, 50, 100, 500, 1000; `None`: 500).
    pub fn depth(&mut self, _now: u64, _symbol: &str, _limit: Option<u32>) -> Result<DepthReply, ApiError> {
        Err(ApiError::UNSUPPORTED_OPERATION)
    }

    /// Best bid and ask of one symbol.
    pub fn book_ticker(&self, _now: u64, _symbol: &str) -> Result<BookTicker, ApiError> {
        Err(ApiError::UNSUPPORTED_OPERATION)
    }

    /// Mark price of one symbol (`premiumIndex`).
    pub fn mark_price(&self, _now: u64, _symbol: &str) -> Result<MarkPrice, ApiError> {
        Err(ApiError::UNSUPPORTED_OPERATION)
    }

    /// The latest public trades of one symbol, oldest first, at most `limit` (1000).
    pub fn recent_trades(&self, _symbol: &str, _limit: u32) -> Result<Vec<PublicTrade>, ApiError> {
        Err(ApiError::UNSUPPORTED_OPERATION)
    }

    /// The instruments, in configured order: the substance of `exchangeInfo`.
    pub fn symbols(&self) -> &[SymbolSpec] {
        &self.config.symbols
    }

    /// Whether `account` exists.
    pub fn has_account(&self, account: AccountId) -> bool {
        account.0 != 0 && usize::from(account.0) <= self.config.accounts.len()
    }

    /// Lets a recording begin at `now`; later calls change nothing. Agents need no start.
    pub fn start(&mut self, _now: u64) {}

    /// Hands out what is queued, then plays the market up to `now`, in order. `now` must not run backwards (an earlier one counts as the latest).
    pub fn advance(&mut self, _now: u64, sink: &mut dyn FnMut(Output)) {
        for output in self.pending.drain(..) {
            sink(output);
        }
    }

    /// When `advance` has something to do next: `Some(now or earlier)` means at once, `None` means only after a command or a `start`.
    pub fn next_wake(&self) -> Option<u64> {
        None
    }
}
