//! When the session is down for long, requests go over REST, by the courier, until it is back.
//!
//! ```text
//!   session open --down for `after`--> over REST --session logged on--> session open
//!                                          '-- REST does not answer either --> down
//! ```
//! The core sees one thing only: order entry is up, or it is not.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::courier::{Delivered, Errand};
use crate::core::dispatch::Dispatch;
use crate::core::time::Nanos;
use crate::ring::{Consumer, Producer};
use crate::venue::binance::orders::RestOrder;

/// The sender's end of the way over REST.
pub struct Fallback {
    pub errands: Producer<Errand>,
    pub back: Consumer<Delivered>,
    /// How long the session must have been down.
    pub after: Nanos,
}

pub(super) struct Detour {
    fallback: Fallback,
    down_since: Option<Nanos>,
    is_on: bool,
    /// Errands whose answer has not come back.
    lent: usize,
}

/// What the state of the session means for the way that requests take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    No,
    /// From here on they go over REST.
    Begins,
    /// The session is back.
    Ends,
}

impl Detour {
    pub fn new(fallback: Fallback) -> Self {
        Self { fallback, down_since: None, is_on: false, lent: 0 }
    }

    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    #[inline]
    pub fn is_idle(&self) -> bool {
        self.lent == 0
    }

    #[inline]
    pub fn look(&mut self, session_is_ready: bool, now: Nanos) -> Turn {
        if session_is_ready {
            self.down_since = None;
            return if std::mem::take(&mut self.is_on) { Turn::Ends } else { Turn::No };
        }
        let since = *self.down_since.get_or_insert(now);
        if !self.is_on && now.since(since) >= self.fallback.after {
            self.is_on = true;
            return Turn::Begins;
        }
        Turn::No
    }

    /// Lends it to the courier; gives it back where there is no room.
    #[cold]
    pub fn lend(&mut self, dispatch: &Dispatch, request: RestOrder) -> bool {
        if self.lent >= self.fallback.back.depth() {
            return false;
        }
        let lent = self.fallback.errands.push(Errand { dispatch: *dispatch, request }).is_ok();
        self.lent += usize::from(lent);
        lent
    }

    #[inline]
    pub fn delivered(&mut self) -> Option<Delivered> {
        let delivered = self.fallback.back.pop()?;
        self.lent = self.lent.saturating_sub(1);
        Some(delivered)
    }

    /// REST is down too: the next try only after another pause.
    #[cold]
    pub fn give_up(&mut self, now: Nanos) {
        self.is_on = false;
        self.down_since = Some(now);
    }
}
