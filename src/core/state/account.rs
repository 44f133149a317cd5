//! The account as the venue states it, and the settle windows of its scopes.
//! Hot.

use alloc::vec::Vec;

use crate::event::{BalanceReport, PositionReport};
use crate::id::{AssetId, InstrumentId};
use crate::num::{Cash, Quantity};
use crate::time::Nanos;

/// Assets that balances are kept for.
pub const MAX_ASSETS: usize = 64;

#[derive(Clone, Debug)]
pub struct AccountState {
    balances: Vec<Balance>,
    positions: Vec<VenuePosition>,
    windows: Vec<SettleWindow>,
    /// Windows that are open now: instruments, unordered.
    open: Vec<InstrumentId>,
    /// Settled scopes that get another pass, and when: at most one an instrument.
    revisits: Vec<Revisit>,
}

crate::saved! { table AccountState { balances, positions, windows } lists { open, revisits } }

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub wallet: Cash,
    pub available: Option<Cash>,
    pub updated: Nanos,
    pub known: bool,
}

crate::saved! { value Balance { wallet, available, updated, known } }

/// The venue's own word about a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VenuePosition {
    pub quantity: Quantity,
    /// At 8 decimals.
    pub entry_price: i64,
    pub unrealised: i64,
    pub updated: Nanos,
    pub known: bool,
}

crate::saved! { value VenuePosition { quantity, entry_price, unrealised, updated, known } }

/// A settled scope that gets another pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Revisit {
    instrument: InstrumentId,
    at: Nanos,
}

crate::saved! { value Revisit { instrument, at } }

/// A short bounded wait in which related private events arrive before anything plans from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SettleWindow {
    open: bool,
    first: Nanos,
    latest: Nanos,
}

crate::saved! { value SettleWindow { open, first, latest } }

impl AccountState {
    pub fn new(instruments: usize) -> Self {
        Self {
            balances: alloc::vec![Balance::default(); MAX_ASSETS],
            positions: alloc::vec![VenuePosition::default(); instruments],
            windows: alloc::vec![SettleWindow::default(); instruments],
            open: Vec::with_capacity(instruments),
            revisits: Vec::with_capacity(instruments),
        }
    }

    pub fn balance(&self, asset: AssetId) -> Option<&Balance> {
        self.balances.get(asset.index()).filter(|balance| balance.known)
    }

    pub fn balances(&self) -> impl Iterator<Item = (AssetId, &Balance)> {
        self.balances.iter().enumerate().filter(|(_, b)| b.known).map(|(at, b)| (AssetId(at as u8), b))
    }

    pub fn position(&self, instrument: InstrumentId) -> Option<&VenuePosition> {
        self.positions.get(instrument.index()).filter(|position| position.known)
    }

    /// A balance event older than what is known changes nothing.
    pub(crate) fn apply_balance(&mut self, report: &BalanceReport, stamp: Nanos) {
        if let Some(balance) = self.balances.get_mut(report.asset.index())
            && (report.hydrated || stamp >= balance.updated)
        {
            balance.wallet = Cash::from_wire(report.wallet);
            if report.available != i64::MIN {
                balance.available = Some(Cash::from_wire(report.available));
            }
            balance.updated = stamp;
            balance.known = true;
        }
    }

    pub(crate) fn apply_position(&mut self, instrument: InstrumentId, report: &PositionReport, stamp: Nanos) {
        if let Some(position) = self.positions.get_mut(instrument.index())
            && (report.hydrated || stamp >= position.updated)
        {
            position.quantity = report.quantity;
            position.entry_price = report.entry_price;
            position.unrealised = report.unrealised;
            position.updated = stamp;
            position.known = true;
        }
    }

    /// A hydration replaces its scope: an instrument that it does not name is flat.
    pub(crate) fn begin_hydration(&mut self, instruments: impl Iterator<Item = InstrumentId>) {
        for instrument in instruments {
            if let Some(position) = self.positions.get_mut(instrument.index()) {
                *position = VenuePosition { known: true, ..VenuePosition::default() };
            }
        }
    }

    #[inline]
    pub fn is_settled(&self, instrument: InstrumentId) -> bool {
        self.windows.get(instrument.index()).is_none_or(|window| !window.open)
    }

    /// A private event touched this scope: its window opens, or goes on.
    #[inline]
    pub(crate) fn disturb(&mut self, instrument: InstrumentId, now: Nanos) {
        if let Some(window) = self.windows.get_mut(instrument.index()) {
            if !window.open {
                window.open = true;
                window.first = now;
                self.open.push(instrument);
            }
            window.latest = now;
        }
    }

    /// This scope gets another settled pass at `at`, if nothing settles it before.
    pub(crate) fn revisit(&mut self, instrument: InstrumentId, at: Nanos) {
        let known = self.revisits.iter().any(|known| known.instrument == instrument);
        if !known && self.revisits.len() < self.revisits.capacity() {
            self.revisits.push(Revisit { instrument, at });
        }
    }

    /// The next scope whose other pass has come. One that is unsettled meanwhile has it when it settles.
    fn revisit_one(&mut self, now: Nanos) -> Option<InstrumentId> {
        let at = self.revisits.iter().position(|revisit| revisit.at <= now)?;
        let Revisit { instrument, .. } = self.revisits.remove(at);
        self.is_settled(instrument).then_some(instrument)
    }

    /// Closes one window whose time has come, and names its scope.
    pub(crate) fn settle_one(&mut self, now: Nanos, quiet: Nanos, max: Nanos) -> Option<InstrumentId> {
        let due = self
            .open
            .iter()
            .position(|id| self.windows.get(id.index()).is_some_and(|window| window.due(quiet, max) <= now));
        let Some(at) = due else { return self.revisit_one(now) };
        let instrument = self.open.remove(at);
        if let Some(window) = self.windows.get_mut(instrument.index()) {
            window.open = false;
        }
        Some(instrument)
    }

    /// The earliest instant at which an open window ends.
    #[inline]
    pub(crate) fn next_settle(&self, quiet: Nanos, max: Nanos) -> Option<Nanos> {
        let windows = self.open.iter().filter_map(|id| self.windows.get(id.index()));
        windows.map(|w| w.due(quiet, max)).chain(self.revisits.iter().map(|revisit| revisit.at)).min()
    }
}

impl SettleWindow {
    #[inline]
    fn due(&self, quiet: Nanos, max: Nanos) -> Nanos {
        (self.latest + quiet).earlier(self.first + max)
    }
}
