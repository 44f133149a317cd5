//! The state's hash: a stable fold over everything that decides what comes next, in a fixed order.
//!
//! Not cryptographic: it tells two states apart, it does not resist a forger. The form is versioned: a change of what is
//! folded, or in which order, raises `VERSION`.

use crate::event::LinkKind;
use crate::num::Quantity;
use crate::state::State;
use crate::state::book::Book;
use crate::state::control::AccountTrust;
use crate::state::execution::Agreement;
use crate::state::market::BookSync;
use crate::state::order::{Confirmation, Order};
use crate::state::position::Position;

pub const VERSION: u64 = 1;

/// Folds 64-bit words; strategies fold their own state into it too.
#[derive(Clone, Copy, Debug)]
pub struct StateHasher(u64);

impl Default for StateHasher {
    fn default() -> Self {
        let mut hasher = Self(0x243f_6a88_85a3_08d3);
        hasher.word(VERSION);
        hasher
    }
}

impl StateHasher {
    #[inline]
    pub fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
        self.0 = mixed ^ (mixed >> 29);
    }
    #[inline]
    pub fn signed(&mut self, word: i64) {
        self.word(word as u64);
    }
    pub fn wide(&mut self, word: u128) {
        self.word(word as u64);
        self.word((word >> 64) as u64);
    }
    pub fn finish(self) -> u64 {
        self.0
    }
}

impl State {
    pub fn fold(&self, hasher: &mut StateHasher) {
        hasher.word(self.now.raw());
        hasher.word(self.sequence);
        for (_, market) in self.market.iter() {
            fold_book(&market.book, hasher);
            hasher.word(market.last_update);
            hasher.word(match market.sync {
                BookSync::Lost(why) => u64::from(why.code()),
                BookSync::Updating => 100,
                BookSync::Whole => 101,
            });
            hasher.word(market.top.map_or(0, |top| top.update_id));
            hasher.word(u64::from(market.stale));
            hasher.word(market.counters.depth_updates ^ market.counters.tickers << 32);
        }
        for (index, order) in self.execution.orders.live_orders() {
            hasher.word(u64::from(index.0));
            fold_order(order, hasher);
        }
        for (instrument, total) in self.execution.totals() {
            fold_position(total, hasher);
            hasher.word(match self.execution.agreement(instrument) {
                Agreement::Agrees => 0,
                Agreement::DiffersSince(since) => since.raw(),
                Agreement::Inconsistent => u64::MAX,
            });
            hasher.word(u64::from(self.account.is_settled(instrument)));
            let venue = self.account.position(instrument);
            hasher.signed(venue.map_or(i64::MIN, |position| position.quantity.raw()));
        }
        for position in self.execution.positions() {
            fold_position(position, hasher);
        }
        hasher.word(self.next_deadline().map_or(0, |due| due.raw()));
        let counters = &self.execution.counters;
        for count in
            [counters.reports, counters.fills, counters.duplicates, counters.rejects, counters.cancelled]
        {
            hasher.word(count);
        }
        for (asset, balance) in self.account.balances() {
            hasher.word(u64::from(asset.0));
            hasher.wide(balance.wallet.raw() as u128);
        }
        for pending in self.execution.queue.iter() {
            hasher.word(u64::from(pending.intent.key().slot));
            hasher.word(u64::from(pending.intent.request().code()));
            hasher.word(pending.admitted);
        }
        for bucket in self.execution.throttle.buckets() {
            hasher.wide(bucket.level());
        }
        let held = self.control.held;
        let switches = [
            self.control.trading_enabled,
            self.control.draining,
            self.control.stopped,
            self.control.flattening,
            held.journal,
            held.clock,
            held.operator,
        ];
        hasher.word(switches.iter().fold(0, |word, on| word << 1 | u64::from(*on)));
        hasher.word(self.control.kill.map_or(u64::MAX, |mode| u64::from(mode.code())));
        for (_, venue) in self.control.venues() {
            hasher.word(match venue.account {
                AccountTrust::Doubtful => 0,
                AccountTrust::Hydrating { ask } => ask,
                AccountTrust::Trusted => u64::MAX,
            });
            for kind in LinkKind::ALL {
                hasher.word(u64::from(venue.link(*kind).code()));
            }
        }
    }
}

fn fold_book(book: &Book, hasher: &mut StateHasher) {
    for level in book.bids().chain(book.asks()) {
        hasher.signed(level.price.raw());
        hasher.signed(level.quantity.raw());
    }
    hasher.word(book.bids().len() as u64);
}

fn fold_order(order: &Order, hasher: &mut StateHasher) {
    hasher.wide(u128::from_le_bytes(order.client_order_id.0));
    hasher.word(order.venue_order_id.0);
    hasher.word(u64::from(order.state.code()) | u64::from(order.side.code()) << 8);
    hasher.signed(order.price.raw());
    hasher.signed(order.stop_price.raw());
    hasher.word(order.expires.raw() << 1 | u64::from(order.triggered));
    for quantity in [order.quantity, order.cumulative, order.filled] {
        hasher.signed(Quantity::raw(quantity));
    }
    hasher.word(order.inflight.map_or(0, |inflight| inflight.dispatch));
    hasher.word(match order.confirmation {
        Confirmation::Pending { since } => since.raw(),
        Confirmation::Confirmed => 1,
        Confirmation::Unknown { ask_at, .. } => !ask_at.raw(),
    });
}

fn fold_position(position: &Position, hasher: &mut StateHasher) {
    hasher.signed(position.quantity.raw());
    hasher.wide(position.cost.raw() as u128);
    hasher.wide(position.realised.raw() as u128);
    hasher.wide(position.fees.raw() as u128);
    hasher.word(position.fills);
}
