//! Control state: may we trade, and if not, which gate says so.
//! Hot.

use alloc::vec::Vec;

use crate::event::{KillMode, LinkChange, LinkKind, LinkState, TradingState};
use crate::id::VenueId;
use crate::limits::Configuration;
use crate::record::Gate;
use crate::state::trading::Trading;

#[derive(Clone, Debug)]
pub struct ControlState {
    /// Who may trade, and how far.
    pub trading: Trading,
    pub kill: Option<KillMode>,
    /// No new intents; what is open is cancelled.
    pub draining: bool,
    pub stopped: bool,
    /// What is held is being closed on an operator's wish; new risk waits until it is.
    pub flattening: bool,
    /// Closed by an operator, or by the runtime (journal, clock).
    pub held: Held,
    /// Commands that named what there is not: they did nothing.
    pub refused: u64,
    venues: Vec<VenueControl>,
}

crate::saved! {
    table ControlState { trading, kill, draining, stopped, flattening, held, refused, venues }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub journal: bool,
    pub clock: bool,
    pub operator: bool,
    /// By the runtime's calendar: no new risk outside of the trading windows, but what closes a position may.
    pub schedule: bool,
    /// The drain under way is the calendar's: it ends when the window opens. One that a person asked for stays.
    pub schedule_drain: bool,
}

crate::saved! { value Held { journal, clock, operator, schedule, schedule_drain } }

impl Held {
    /// The gate of this code, where it is one that can be held.
    pub(crate) fn gate(&mut self, code: u32) -> Option<&mut bool> {
        let gate = Gate::from_code(u8::try_from(code).ok()?).ok()?;
        match gate {
            Gate::Journal => Some(&mut self.journal),
            Gate::Clock => Some(&mut self.clock),
            Gate::Operator => Some(&mut self.operator),
            Gate::Schedule => Some(&mut self.schedule),
            // These follow from what happens: nobody opens or closes them.
            Gate::Trading
            | Gate::Kill
            | Gate::MarketLink
            | Gate::PrivateLink
            | Gate::OrderEntryLink
            | Gate::Account
            | Gate::Book
            | Gate::Recovery
            | Gate::Confirmation => None,
        }
    }
}

/// What a venue's links and account allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VenueControl {
    links: [Link; 4],
    pub account: AccountTrust,
}

crate::saved! { value VenueControl { links, account } }

/// One kind of link, over all its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Link {
    /// Connections that have been up and should be, a bit each.
    wanted: u32,
    up: u32,
    /// Connections that ended as meant.
    ended: u32,
}

crate::saved! { value Link { wanted, up, ended } }

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

crate::saved! { choice AccountTrust { Doubtful = 0, Hydrating { ask } = 1, Trusted = 2 } }

impl ControlState {
    pub fn new(configuration: &Configuration) -> Self {
        let venue = VenueControl { links: [Link::default(); 4], account: AccountTrust::Doubtful };
        Self {
            trading: Trading::new(configuration.trading_enabled, configuration.strategies.len()),
            kill: configuration.killed.then_some(KillMode::Block),
            draining: false,
            stopped: false,
            flattening: false,
            held: Held::default(),
            refused: 0,
            venues: alloc::vec![venue; configuration.venues.len()],
        }
    }

    /// The run goes on from an earlier one's state: nothing is connected, nothing is trusted, and nobody is leaving. A kill, an
    /// operator's gate and a flatten under way stay.
    pub(crate) fn start_again(&mut self, trading_enabled: bool) {
        self.trading.start_again(trading_enabled);
        self.draining = false;
        self.stopped = false;
        self.held = Held { operator: self.held.operator, ..Held::default() };
        self.venues.fill(VenueControl { links: [Link::default(); 4], account: AccountTrust::Doubtful });
    }

    /// A person's drain is stronger than the calendar's, whichever came first.
    pub(crate) fn drain(&mut self, by_schedule: bool) {
        self.held.schedule_drain = by_schedule && (!self.draining || self.held.schedule_drain);
        self.draining = true;
    }

    pub(crate) fn end_scheduled_drain(&mut self) {
        if core::mem::take(&mut self.held.schedule_drain) {
            self.draining = false;
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

    /// A kill, a flatten or a drain is at work.
    #[inline]
    pub fn is_closing_down(&self) -> bool {
        self.kill.is_some() || self.flattening || self.draining
    }

    /// What is held is being closed: by a kill, or on an operator's wish.
    #[inline]
    pub fn is_flattening(&self) -> bool {
        self.flattening || self.kill == Some(KillMode::Flatten)
    }

    /// The first closed gate of the venue-wide ones, in the order in which they are checked.
    #[inline]
    pub fn closed_gate(&self, venue: VenueId) -> Option<Gate> {
        if self.kill.is_some() {
            return Some(Gate::Kill);
        }
        // The calendar's drain is told as what it is: nobody has to enable anything after it.
        let by_calendar = self.draining && self.held.schedule_drain;
        let by_person = self.draining && !by_calendar;
        if self.trading.everybody() != TradingState::Active || by_person || self.flattening {
            return Some(Gate::Trading);
        }
        if self.held.schedule || by_calendar {
            return Some(Gate::Schedule);
        }
        self.closed_passage(venue)
    }

    /// The same for what lowers exposure: it also goes outside of the trading windows, while everybody may only reduce, and on
    /// a kill or an operator's wish to close.
    #[inline]
    pub fn closed_gate_to_reducing(&self, venue: VenueId) -> Option<Gate> {
        let closing = self.is_flattening();
        let reducing =
            self.kill.is_none() && !self.draining && self.trading.everybody() == TradingState::Reducing;
        if closing || reducing {
            return self.closed_passage(venue);
        }
        match self.closed_gate(venue) {
            Some(Gate::Schedule) if !self.draining => self.closed_passage(venue),
            gate => gate,
        }
    }

    /// The gates that hold even what closes a position on a kill or on an operator's wish: those without which sending is
    /// impossible or blind.
    #[inline]
    pub fn closed_passage(&self, venue: VenueId) -> Option<Gate> {
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
    /// Up when every connection of the kind is; `Ended` when all have ended as meant.
    #[inline]
    pub fn link(&self, kind: LinkKind) -> LinkState {
        let [market, private, order_entry, rest] = self.links;
        let link = match kind {
            LinkKind::Market => market,
            LinkKind::Private => private,
            LinkKind::OrderEntry => order_entry,
            LinkKind::Rest => rest,
        };
        match (link.wanted, link.ended) {
            (0, 0) => LinkState::Down,
            (0, _) => LinkState::Ended,
            (wanted, _) if wanted == link.up => LinkState::Up,
            _ => LinkState::Down,
        }
    }

    /// No connection of the kind is up.
    pub fn is_dark(&self, kind: LinkKind) -> bool {
        self.links.get(usize::from(kind.code())).is_none_or(|link| link.up == 0)
    }

    pub(crate) fn note(&mut self, change: &LinkChange) {
        let bit = 1u32 << (change.connection & 31);
        let Some(link) = self.links.get_mut(usize::from(change.link.code())) else { return };
        match change.state {
            LinkState::Connecting => {}
            LinkState::Up => {
                link.wanted |= bit;
                link.up |= bit;
                link.ended &= !bit;
            }
            LinkState::Down => link.up &= !bit,
            LinkState::Ended => {
                link.wanted &= !bit;
                link.up &= !bit;
                link.ended |= bit;
            }
        }
    }

    #[inline]
    pub fn is_up(&self, kind: LinkKind) -> bool {
        self.link(kind) == LinkState::Up
    }

    /// The market feed has ended by itself and will not return.
    pub fn has_feed_ended(&self) -> bool {
        self.link(LinkKind::Market) == LinkState::Ended
    }
}
