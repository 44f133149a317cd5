//! One place at a venue that a loop keeps connected: dialled, given up, dialled again after a pause that grows; and how old a
//! connection may become before a younger one takes its place. It owns the socket and knows nothing of what is said on it.
//!
//! ```text
//!   idle --due--> dialling --open--> open --too old--> (the loop opens another, moves over, then closes this one)
//!    ^                |               |
//!    '---- pause -----'------ lost ---'
//! ```
//! Venues end every connection after a day. Whoever moves over before that day is out loses nothing.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use crate::core::event::LinkReason;
use crate::core::time::Nanos;
use crate::net::EndpointError;
use crate::net::backoff::Backoff;
use crate::net::websocket::{Closed, Phase};
use crate::telemetry::log::LogEvent;
use crate::threads::world::{Dial, Socket};

/// How connections of one venue are made and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// The pause after a first failed connection, and the longest.
    pub reconnect: (Nanos, Nanos),
    /// An open connection is replaced when it is so old.
    pub max_age: Nanos,
    pub seed: u64,
}

pub struct Connection<S> {
    pub socket: Option<S>,
    backoff: Backoff,
    is_open: bool,
    /// It was open before, and was lost.
    was_lost: bool,
    max_age: Nanos,
    old_at: Nanos,
}

impl<S: Socket> Connection<S> {
    /// `number` sets it apart from the venue's other connections: so that they neither knock nor grow old in step.
    pub fn new(upkeep: &Upkeep, number: usize) -> Self {
        let earlier = upkeep.max_age.raw() / 64 * (number as u64 % 8);
        Self {
            socket: None,
            backoff: Backoff::new(
                upkeep.reconnect.0.raw(),
                upkeep.reconnect.1.raw(),
                upkeep.seed.wrapping_add(number as u64),
            ),
            is_open: false,
            was_lost: false,
            max_age: Nanos::new(upkeep.max_age.raw().saturating_sub(earlier)),
            old_at: Nanos::MAX,
        }
    }

    /// There is no socket, and one may be made now.
    #[inline]
    pub fn is_due(&self, now: Nanos) -> bool {
        self.socket.is_none() && self.backoff.is_due(now.raw())
    }

    /// Begins to connect. An error is for the log: the pause has begun.
    pub fn dial<D: Dial<Socket = S>>(
        &mut self,
        dial: &mut D,
        path: &str,
        now: Nanos,
    ) -> Result<(), EndpointError> {
        match dial.dial(path, now) {
            Ok(socket) => {
                self.socket = Some(socket);
                Ok(())
            }
            Err(error) => {
                self.failed(now);
                Err(error)
            }
        }
    }

    /// Drives the socket; true once, when it has opened.
    #[inline]
    pub fn poll(&mut self, now: Nanos) -> bool {
        let Some(socket) = self.socket.as_mut() else { return false };
        let opened = socket.poll(now) == Phase::Open && !self.is_open;
        if opened {
            self.is_open = true;
            self.old_at = now + self.max_age;
        }
        opened
    }

    #[inline]
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// When a younger connection is to take its place.
    #[inline]
    pub fn old_at(&self) -> Nanos {
        self.old_at
    }

    /// The venue has said that it will end this connection soon.
    #[cold]
    pub fn is_ending_soon(&mut self, now: Nanos) {
        self.old_at = self.old_at.earlier(now);
    }

    /// Something came: a venue that accepts and says nothing has not been reached.
    #[inline]
    pub fn proved(&mut self) {
        self.backoff.succeeded();
    }

    /// A try failed, or what it needs was not to be had: a pause.
    pub fn failed(&mut self, now: Nanos) {
        self.backoff.failed(now.raw());
    }

    /// The socket is gone, for this cause; says whether it was open. A pause begins, as long as the venue asks for at least.
    #[cold]
    pub fn lost(&mut self, closed: &Closed, now: Nanos) -> bool {
        self.backoff.failed(now.raw());
        if let Closed::UpgradeRefused { retry_after: Some(seconds), .. } = closed {
            self.backoff.not_before((now + Nanos::from_secs(u64::from(*seconds))).raw());
        }
        let was_open = self.gone();
        self.was_lost |= was_open;
        was_open
    }

    /// What the log calls its being open now: anew, or again.
    #[cold]
    pub fn opening(&mut self) -> LogEvent {
        if std::mem::take(&mut self.was_lost) { LogEvent::Reconnect } else { LogEvent::Connected }
    }

    /// The socket is gone as we meant it; says whether it was open.
    pub fn gone(&mut self) -> bool {
        self.socket = None;
        self.old_at = Nanos::MAX;
        std::mem::take(&mut self.is_open)
    }

    pub fn close(&mut self, now: Nanos) {
        if let Some(socket) = self.socket.as_mut() {
            socket.close(now);
        }
    }

    pub fn is_closed(&self) -> bool {
        self.socket.as_ref().is_none_or(|socket| socket.ending().is_some())
    }
}

/// Why a connection ended, in the core's words.
pub fn reason_of(closed: &Closed) -> LinkReason {
    match closed {
        Closed::ByUs => LinkReason::Stopping,
        Closed::ByPeer { .. } | Closed::Eof { .. } => LinkReason::ClosedByVenue,
        Closed::ConnectTimeout { .. } => LinkReason::ConnectFailed,
        Closed::Io { phase: Phase::Connecting, .. } => LinkReason::ConnectFailed,
        Closed::Io { .. } => LinkReason::Reset,
        Closed::Tls { .. } => LinkReason::TlsFailed,
        Closed::UpgradeRefused { .. } | Closed::BadUpgrade(_) => LinkReason::HandshakeFailed,
        Closed::Protocol(_) => LinkReason::Protocol,
        Closed::Silence { .. } => LinkReason::Silence,
    }
}
