//! How many orders are open or wait to be opened: by instrument, by owner, by venue.
//! Hot.

use alloc::vec::Vec;

use crate::id::{InstrumentId, StrategyId, VenueId};
use crate::limits::Configuration;

#[derive(Clone, Debug)]
pub struct OpenCounts {
    by_instrument: Vec<u32>,
    /// The strategies', then everybody else's.
    by_owner: Vec<u32>,
    by_venue: Vec<u32>,
}

crate::saved! { table OpenCounts { by_instrument, by_owner, by_venue } }

impl OpenCounts {
    pub fn new(configuration: &Configuration) -> Self {
        Self {
            by_instrument: alloc::vec![0; configuration.instruments.len()],
            by_owner: alloc::vec![0; configuration.strategies.len() + 1],
            by_venue: alloc::vec![0; configuration.venues.len()],
        }
    }

    #[inline]
    pub fn on(&self, instrument: InstrumentId) -> u32 {
        self.by_instrument.get(instrument.index()).copied().unwrap_or(0)
    }

    #[inline]
    pub fn of(&self, strategy: StrategyId) -> u32 {
        let others = self.by_owner.len().saturating_sub(1);
        self.by_owner.get(strategy.index().min(others)).copied().unwrap_or(0)
    }

    #[inline]
    pub fn at(&self, venue: VenueId) -> u32 {
        self.by_venue.get(venue.index()).copied().unwrap_or(0)
    }

    /// One more, or one less.
    #[inline]
    pub(super) fn step(&mut self, instrument: InstrumentId, owner: usize, venue: VenueId, more: bool) {
        let counts = [
            self.by_instrument.get_mut(instrument.index()),
            self.by_owner.get_mut(owner),
            self.by_venue.get_mut(venue.index()),
        ];
        for count in counts.into_iter().flatten() {
            *count = if more { count.saturating_add(1) } else { count.saturating_sub(1) };
        }
    }
}
