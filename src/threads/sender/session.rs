//! The connections of an order-entry session: the one that requests leave on, and a second one while the first is replaced.
//!
//! ```text
//!   Alone --old--> Opening --open--> LoggingOn --logged on--> Draining --answers are in--> Alone
//!                                                  '-- from here on requests leave on the younger one
//! ```
//! Requests that left on the old connection are answered there, or their time runs out there; only then is it closed. A session that
//! breaks in the middle of a change begins anew: what was under way on it is unknown, as after every break.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use crate::core::time::Nanos;
use crate::net::EndpointError;
use crate::threads::connection::{Connection, Upkeep};
use crate::threads::world::{Dial, Socket};

/// How long an old connection is kept for the answers to what left on it: longer than a request waits for its answer.
pub(super) const DRAIN: Nanos = Nanos::from_secs(6);
/// A younger connection that is not logged on by then is given up.
pub(super) const LOGON_PATIENCE: Nanos = Nanos::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Alone,
    Opening,
    LoggingOn { until: Nanos },
    Draining { until: Nanos },
}

/// `dial` is `None` in DRY_RUN: there is nothing that could send.
pub(super) struct Session<D: Dial> {
    dial: Option<D>,
    connections: [Connection<D::Socket>; 2],
    chosen: usize,
    pub stage: Stage,
}

impl<D: Dial> Session<D> {
    pub const PLACES: usize = 2;

    pub fn new(dial: Option<D>, upkeep: &Upkeep) -> Self {
        let connections = [Connection::new(upkeep, FIRST), Connection::new(upkeep, FIRST + 1)];
        Self { dial, connections, chosen: 0, stage: Stage::Alone }
    }

    /// Nothing is ever dialled.
    #[inline]
    pub fn is_offline(&self) -> bool {
        self.dial.is_none()
    }

    #[inline]
    pub fn is_chosen(&self, at: usize) -> bool {
        at == self.chosen
    }

    #[inline]
    pub fn at(&mut self, at: usize) -> Option<&mut Connection<D::Socket>> {
        self.connections.get_mut(at)
    }

    /// Where requests leave.
    #[inline]
    pub fn socket(&mut self) -> Option<&mut D::Socket> {
        self.connections.get_mut(self.chosen)?.socket.as_mut()
    }

    /// Nothing of ours is half-written anywhere.
    #[inline]
    pub fn is_flushed(&self) -> bool {
        self.connections.iter().all(|one| one.socket.as_ref().is_none_or(Socket::is_flushed))
    }

    /// Begins to connect this place if it is to be connected and its pause is over; true if it tried.
    pub fn dial(&mut self, at: usize, path: &str, now: Nanos) -> Result<bool, EndpointError> {
        let wanted = self.is_chosen(at) || self.stage == Stage::Opening;
        let (Some(dial), Some(connection)) = (self.dial.as_mut(), self.connections.get_mut(at)) else {
            return Ok(false);
        };
        if !wanted || !connection.is_due(now) {
            return Ok(false);
        }
        connection.dial(dial, path, now).map(|()| true)
    }

    /// The session's connection is old, and nothing has been begun yet.
    #[inline]
    pub fn is_due_for_change(&self, now: Nanos) -> bool {
        self.stage == Stage::Alone && self.connections.get(self.chosen).is_some_and(|one| now >= one.old_at())
    }

    /// Requests leave on the other connection from here on.
    pub fn move_over(&mut self, now: Nanos) {
        self.chosen = 1 - self.chosen;
        self.stage = Stage::Draining { until: now + DRAIN };
    }

    /// The connection that is not the session's own goes, whatever it was there for.
    pub fn drop_other(&mut self, now: Nanos) {
        let other = 1 - self.chosen;
        if let Some(other) = self.connections.get_mut(other) {
            other.close(now);
            other.gone();
        }
        self.stage = Stage::Alone;
    }

    pub fn close(&mut self, now: Nanos) {
        self.connections.iter_mut().for_each(|one| one.close(now));
    }

    pub fn is_closed(&self) -> bool {
        self.connections.iter().all(Connection::is_closed)
    }
}

/// The order-entry connections' numbers, behind those of the private stream.
const FIRST: usize = 508;
