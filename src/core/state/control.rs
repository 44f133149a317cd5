//! Control state: may we trade, and if not, which gate says so.
//! Hot.

use alloc::vec::Vec;

use crate::event::{KillMode, LinkKind, LinkState};
use crate::id::VenueId;
use crate::limits::Configuration;
use crate::record::Gate;

#[derive(Clone, Debug)]
pub struct ControlState {
    pub trading_enabled: bool,
    pub kill: Option<KillMode>,
    /// No new intents; what is open is cancelled.
    pub draining: bool,
    pub stopped: bool,
    /// Closed by an operator, or by the runtime (journal, clock).
    pub held: Held,
    venues: Vec<VenueControl>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub journal: bool,
    pub clock: bool,
    pub operator: bool,
}

/// What a venue's links and account allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VenueControl {
    pub links: [LinkState; 4],
    pub account: AccountTrust,
    /// The market feed has ended by itself and will not return.
    pub feed_ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountTrust {
    /// Nothing is known yet, or what is known is in doubt: a hydration must come.
    Doubtful,
    /// Asked; private events wait until it is here.
    Hydrating {
        ask: u64,
    },
    Trusted,
}

impl ControlState {
    pub fn new(configuration: &Configuration) -> Self {
        let venue =
            VenueControl { links: [LinkState::Down; 4], account: AccountTrust::Doubtful, feed_ended: false };
        Self {
            trading_enabled: configuration.trading_enabled,
            kill: configuration.killed.then_some(KillMode::Block),
            draining: false,
            stopped: false,
            held: Held::default(),
            venues: alloc::vec![venue; configuration.venues.len()],
        }
    }

    #[inline]
    pub fn venue(&self, id: VenueId) -> Option<&VenueControl> {
        self.venues.get(id.index())
    }

    #[inline]
    pub(crate) fn venue_mut(&mut self, id: VenueId) -> Option<&mut VenueControl> {
        self.venues.get_mut(id.index())
    }

    pub fn venues(&self) -> impl Iterator<Item = (VenueId, &VenueControl)> {
        self.venues.iter().enumerate().map(|(at, venue)| (VenueId(at as u8), venue))
    }

    /// The first closed gate of the venue-wide ones, in the order in which they are checked.
    #[inline]
    pub fn closed_gate(&self, venue: VenueId) -> Option<Gate> {
        if self.kill.is_some() {
            return Some(Gate::Kill);
        }
        if !self.trading_enabled || self.draining {
            return Some(Gate::Trading);
        }
        if self.held.journal {
            return Some(Gate::Journal);
        }
        if self.held.clock {
            return Some(Gate::Clock);
        }
        if self.held.operator {
            return Some(Gate::Operator);
        }
        let venue = self.venue(venue)?;
        if !venue.is_up(LinkKind::OrderEntry) {
            return Some(Gate::OrderEntryLink);
        }
        if !venue.is_up(LinkKind::Private) {
            return Some(Gate::PrivateLink);
        }
        if venue.account != AccountTrust::Trusted {
            return Some(Gate::Account);
        }
        if !venue.is_up(LinkKind::Market) {
            return Some(Gate::MarketLink);
        }
        None
    }
}

impl VenueControl {
    #[inline]
    pub fn link(&self, kind: LinkKind) -> LinkState {
        let [market, private, order_entry, rest] = self.links;
        match kind {
            LinkKind::Market => market,
            LinkKind::Private => private,
            LinkKind::OrderEntry => order_entry,
            LinkKind::Rest => rest,
        }
    }

    pub(crate) fn set_link(&mut self, kind: LinkKind, state: LinkState) {
        if let Some(link) = self.links.get_mut(usize::from(kind.code())) {
            *link = state;
        }
    }

    #[inline]
    pub fn is_up(&self, kind: LinkKind) -> bool {
        self.link(kind) == LinkState::Up
    }
}
