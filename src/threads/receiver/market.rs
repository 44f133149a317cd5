//! The market connections of one venue: as many as the feed wants, and one more of a kind while an old one is replaced.
//!
//! ```text
//!   slot 0   ======== open, grows old =========|x            closed when the younger one carries the feed
//!   spare                           ...dial, subscribe, acknowledged, first message ======= takes its place ====
//! ```
//! While both are open the feed drops what comes twice, so the core sees one stream without a break. An old connection that ends
//! before the younger one is there is what it would have been anyway: a lost connection, and the younger one replaces it.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::output::Output;
use super::{BURST, Receiver};
use crate::core::event::LinkState;
use crate::core::time::Nanos;
use crate::net::websocket::Closed;
use crate::telemetry::log::{Level, LogEvent};
use crate::threads::connection::{Connection, reason_of};
use crate::threads::say;
use crate::threads::world::{Clock, Dial, Socket};
use crate::venue::binance::feed::MarketFeed;

/// What the venue says when a recording is over: it will not come back.
const ENDED_CODE: u16 = 1001;
const ENDED_REASON: &str = "recording ended";

/// A younger connection whose streams are so quiet that no message came counts as working after this long.
const QUIET: Nanos = Nanos::from_secs(5);

/// One of the feed's slots.
pub(super) struct Slot<S> {
    pub connection: Connection<S>,
    /// To be kept open. The spare of a kind is not, until it is needed.
    wanted: bool,
    /// It ended as meant, and will not return.
    ended: bool,
    /// Whose place it takes once it works.
    replaces: Option<usize>,
    /// When it began to carry its streams, and whether anything has come since.
    up_at: Option<Nanos>,
    heard: bool,
}

impl<S: Socket> Slot<S> {
    pub fn new(connection: Connection<S>, wanted: bool) -> Self {
        Self { connection, wanted, ended: false, replaces: None, up_at: None, heard: false }
    }

    /// It carries the feed as well as the one that it replaces.
    fn works(&self, now: Nanos) -> bool {
        self.up_at.is_some_and(|at| self.heard || now.since(at) >= QUIET)
    }
}

impl<C: Clock, D: Dial> Receiver<C, D> {
    #[inline]
    pub(super) fn pass_market(&mut self, at: usize, now: Nanos) -> bool {
        let Some(slot) = self.market.get_mut(at) else { return false };
        if slot.connection.socket.is_none() {
            return self.dial_market(at, now);
        }
        if slot.connection.poll(now) {
            self.market_opened(at, now);
        }
        let mut moved = false;
        for _ in 0..BURST {
            if self.out.ring.room() < self.market_needs() {
                self.out.full_since.get_or_insert(now);
                return moved;
            }
            self.out.full_since = None;
            self.out.shed = false;
            let Some(slot) = self.market.get_mut(at) else { return moved };
            let Some(socket) = slot.connection.socket.as_mut() else { return moved };
            match socket.read(now) {
                Ok(Some(message)) => {
                    moved = true;
                    self.out.counters.socket_bytes.add(message.payload.len() as u64);
                    let clock = &self.clock;
                    let received = Nanos::new(message.received_at);
                    let read =
                        self.feed.on_message(at, message.payload, received, || clock.now(), &mut self.out);
                    if let Err(error) = read {
                        bad_message(&mut self.out, message.payload, &error, now);
                    }
                    slot.heard |= slot.up_at.is_some();
                    slot.connection.proved();
                }
                Ok(None) => return moved,
                Err(closed) => {
                    self.market_closed(at, &closed, now);
                    return true;
                }
            }
        }
        moved
    }

    fn dial_market(&mut self, at: usize, now: Nanos) -> bool {
        let Some(slot) = self.market.get_mut(at) else { return false };
        if !slot.wanted || slot.ended || self.stopping || !slot.connection.is_due(now) {
            return false;
        }
        let Some(target) = self.feed.slots().get(at) else { return false };
        if let Err(error) = slot.connection.dial(&mut self.market_dial, &target.path, now) {
            let text = format_args!("market: {error}");
            say(&mut self.out.log, now, Level::Error, LogEvent::Reconnect, text);
        }
        true
    }

    #[cold]
    fn market_opened(&mut self, at: usize, now: Nanos) {
        let text = format_args!("market connection {at} is open");
        let event = self.market.get_mut(at).map_or(LogEvent::Connected, |slot| slot.connection.opening());
        say(&mut self.out.log, now, Level::Info, event, text);
        self.feed.on_open(at, now, &mut self.out);
        self.plan_renewal();
    }

    #[cold]
    fn market_closed(&mut self, at: usize, closed: &Closed, now: Nanos) {
        let Some(slot) = self.market.get_mut(at) else { return };
        let ended =
            matches!(closed, Closed::ByPeer { code: ENDED_CODE, reason } if &**reason == ENDED_REASON);
        slot.ended = ended;
        slot.up_at = None;
        slot.heard = false;
        let meant = ended || self.stopping || !slot.wanted;
        let was_open = match meant {
            true => slot.connection.gone(),
            false => slot.connection.lost(closed, now),
        };
        let level = if meant { Level::Info } else { Level::Warn };
        let text = format_args!("market connection {at}: {closed}");
        say(&mut self.out.log, now, level, LogEvent::Disconnected, text);
        if !meant {
            self.out.counters.reconnects.one();
        }
        if was_open || ended {
            let state = if ended { LinkState::Ended } else { LinkState::Down };
            self.feed.on_closed(at, state, reason_of(closed), now, &mut self.out);
        }
        // Its successor is on its way already.
        if let Some(successor) = self.market.iter_mut().find(|slot| slot.replaces == Some(at)) {
            successor.replaces = None;
            if let Some(slot) = self.market.get_mut(at) {
                slot.wanted = false;
            }
        }
        self.plan_renewal();
    }

    /// The venue will end this connection soon.
    #[cold]
    pub(super) fn market_ends_soon(&mut self, at: usize, now: Nanos) {
        let text = format_args!("market connection {at}: the venue announced that it will end it");
        say(&mut self.out.log, now, Level::Info, LogEvent::Reconnect, text);
        if let Some(slot) = self.market.get_mut(at) {
            slot.connection.is_ending_soon(now);
        }
        self.renew_at = now;
    }

    /// Begins what is due, and ends what has been replaced.
    #[inline]
    pub(super) fn renew_market(&mut self, now: Nanos) {
        if now >= self.renew_at {
            self.renew(now);
        }
    }

    #[cold]
    fn renew(&mut self, now: Nanos) {
        if self.stopping {
            self.renew_at = Nanos::MAX;
            return;
        }
        for at in 0..self.market.len() {
            if self.feed.is_up(at)
                && let Some(slot) = self.market.get_mut(at)
            {
                slot.up_at.get_or_insert(now);
            }
            let Some(slot) = self.market.get(at) else { continue };
            if let Some(old) = slot.replaces.filter(|_| slot.works(now)) {
                self.retire(at, old, now);
            } else if slot.wanted && slot.connection.old_at() <= now {
                self.begin_renewal(at, now);
            }
        }
        self.plan_renewal();
    }

    /// Dials the spare of the same kind, if it is free.
    fn begin_renewal(&mut self, old: usize, now: Nanos) {
        if self.market.iter().any(|slot| slot.replaces == Some(old)) {
            return;
        }
        let kind = |at: usize| self.feed.slots().get(at).map(|slot| slot.kind);
        let free = |at: &usize| {
            kind(*at) == kind(old)
                && self.market.get(*at).is_some_and(|slot| !slot.wanted && slot.connection.socket.is_none())
        };
        let Some(spare) = (0..self.market.len()).find(free) else { return };
        let text = format_args!("market connection {old} is old: connection {spare} takes its place");
        say(&mut self.out.log, now, Level::Info, LogEvent::Reconnect, text);
        if let Some(slot) = self.market.get_mut(spare) {
            slot.wanted = true;
            slot.ended = false;
            slot.replaces = Some(old);
        }
    }

    /// The younger one works: the old one goes.
    fn retire(&mut self, young: usize, old: usize, now: Nanos) {
        if let Some(slot) = self.market.get_mut(young) {
            slot.replaces = None;
        }
        if let Some(slot) = self.market.get_mut(old) {
            slot.wanted = false;
            slot.connection.close(now);
        }
        self.out.counters.renewals.one();
    }

    /// When `renew` has something to look at next: at once while a change is under way, which is seldom.
    fn plan_renewal(&mut self) {
        let under_way = self.market.iter().any(|slot| slot.replaces.is_some());
        let oldest = self.market.iter().filter(|slot| slot.wanted).map(|slot| slot.connection.old_at());
        self.renew_at = if under_way { Nanos::ZERO } else { oldest.min().unwrap_or(Nanos::MAX) };
    }
}

#[cold]
fn bad_message<C: Clock>(
    out: &mut Output<C>,
    payload: &[u8],
    error: &crate::venue::binance::feed::FeedError,
    now: Nanos,
) {
    out.counters.messages_bad.one();
    let text = String::from_utf8_lossy(payload);
    let shown: String = text.chars().take(200).collect();
    say(&mut out.log, now, Level::Warn, LogEvent::BadMessage, format_args!("market: {error}: {shown}"));
}

/// One slot for each of the feed's; the spares wait.
pub(super) fn slots<S: Socket>(
    feed: &MarketFeed,
    connection: impl Fn(usize) -> Connection<S>,
) -> Vec<Slot<S>> {
    let configured = feed.connections().len();
    (0..feed.slots().len()).map(|at| Slot::new(connection(at), at < configured)).collect()
}
