//! The requests without an answer: a table of fixed room in which each stands until exactly one outcome for it was told.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::EncodeError;
use crate::core::event::RequestKind;
use crate::core::id::{ClientOrderId, InstrumentId, VenueOrderId};
use crate::core::time::Nanos;

/// One request that has no answer yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub number: u64,
    pub client_order_id: ClientOrderId,
    pub venue_order_id: VenueOrderId,
    pub due: Nanos,
    pub instrument: InstrumentId,
    pub kind: RequestKind,
}

/// The requests without an answer. Fixed room; a number's home is its remainder, so the usual search is one look.
pub(super) struct InFlight {
    slots: Vec<Option<Request>>,
    pub count: usize,
}

impl InFlight {
    pub fn new(capacity: usize) -> Self {
        Self { slots: vec![None; capacity], count: 0 }
    }

    /// The slots in the order in which a number's request is looked for: its home first.
    #[inline]
    fn search_order(&self, number: u64) -> impl Iterator<Item = usize> + use<> {
        let capacity = self.slots.len().max(1);
        let home = (number % capacity as u64) as usize;
        (home..capacity).chain(0..home)
    }

    #[inline]
    pub fn put(&mut self, request: Request) -> Result<(), EncodeError> {
        if self.count >= self.slots.len() {
            return Err(EncodeError::InFlightFull);
        }
        for at in self.search_order(request.number) {
            match self.slots.get_mut(at) {
                Some(Some(taken)) if taken.number == request.number => return Err(EncodeError::Twice),
                Some(slot @ None) => {
                    *slot = Some(request);
                    self.count += 1;
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(EncodeError::InFlightFull)
    }

    #[inline]
    pub fn take(&mut self, number: u64) -> Option<Request> {
        let at = self.search_order(number).find(|at| {
            self.slots
                .get(*at)
                .is_some_and(|slot| slot.as_ref().is_some_and(|request| request.number == number))
        })?;
        self.count -= 1;
        self.slots.get_mut(at)?.take()
    }

    /// Takes the request with the lowest number of those that are due: the order does not depend on where they lie.
    pub fn take_due(&mut self, now: Nanos) -> Option<Request> {
        let due = self.slots.iter().flatten().filter(|request| request.due <= now);
        let number = due.map(|request| request.number).min()?;
        self.take(number)
    }

    pub fn earliest(&self) -> Nanos {
        self.slots.iter().flatten().map(|request| request.due).min().unwrap_or(Nanos::MAX)
    }
}
