//! What the families above entry have sent and the venue has not confirmed: it holds the lower families of its scope.
//! Hot.

use crate::event::PositionSide;
use crate::family::Family;
use crate::id::InstrumentId;

/// Position sides: one-way's, and hedge mode's two.
pub(super) const LEGS: usize = 3;

/// Live orders of one scope with a command of this family out that the venue has not confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unconfirmed {
    pub(super) closing: u32,
    pub(super) cleanup: u32,
    pub(super) protective: u32,
}

crate::saved! { value Unconfirmed { closing, cleanup, protective } }

impl Unconfirmed {
    pub(super) fn of(&mut self, family: Family) -> Option<&mut u32> {
        match family {
            Family::Closing => Some(&mut self.closing),
            Family::Cleanup => Some(&mut self.cleanup),
            Family::Protective => Some(&mut self.protective),
            Family::Recovery | Family::Entry => None,
        }
    }
}

#[inline]
pub(super) fn scope_at(instrument: InstrumentId, leg: PositionSide) -> usize {
    instrument.index() * LEGS + usize::from(leg.code())
}
