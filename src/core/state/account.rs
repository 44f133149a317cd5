//! The account as the venue states it, and the settle windows of its scopes.
//! Hot.

use alloc::vec::Vec;

use crate::event::{BalanceReport, PositionReport, PositionSide};
use crate::id::{AssetId, InstrumentId, VenueId};
use crate::num::{Cash, Quantity};
use crate::time::Nanos;

/// Assets that balances are kept for, at each venue.
pub const MAX_ASSETS: usize = 64;
const SIDES: usize = PositionSide::ALL.len();

#[derive(Clone, Debug)]
pub struct AccountState {
    /// By venue and asset.
    balances: Vec<Balance>,
    /// By instrument and position side; in hedge mode the first is the sum of the legs.
    positions: Vec<[VenuePosition; SIDES]>,
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
    /// Funding in this asset that no one position explains.
    pub unassigned_funding: Cash,
    /// The stamp of the newest funding, and the wallet after it: the same told again is the same.
    funded: (Nanos, Cash),
}

crate::saved! { value Balance { wallet, available, updated, known, unassigned_funding, funded } }

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
    pub fn new(venues: usize, instruments: usize) -> Self {
        Self {
            balances: alloc::vec![Balance::default(); venues * MAX_ASSETS],
            positions: alloc::vec![[VenuePosition::default(); SIDES]; instruments],
            windows: alloc::vec![SettleWindow::default(); instruments],
            open: Vec::with_capacity(instruments),
            revisits: Vec::with_capacity(instruments),
        }
    }

    pub fn balance(&self, venue: VenueId, asset: AssetId) -> Option<&Balance> {
        self.balances.get(balance_at(venue, asset)?).filter(|balance| balance.known)
    }

    pub fn balances(&self) -> impl Iterator<Item = (VenueId, AssetId, &Balance)> {
        let known = self.balances.iter().enumerate().filter(|(_, balance)| balance.known);
        known.map(|(at, balance)| {
            (VenueId((at / MAX_ASSETS) as u8), AssetId((at % MAX_ASSETS) as u8), balance)
        })
    }

    /// In hedge mode the sum of the legs.
    pub fn position(&self, instrument: InstrumentId) -> Option<&VenuePosition> {
        self.leg(instrument, PositionSide::Both)
    }

    pub fn leg(&self, instrument: InstrumentId, leg: PositionSide) -> Option<&VenuePosition> {
        let sides = self.positions.get(instrument.index())?;
        sides.get(usize::from(leg.code())).filter(|position| position.known)
    }

    /// A balance event older than what is known changes nothing.
    pub(crate) fn apply_balance(&mut self, venue: VenueId, report: &BalanceReport, stamp: Nanos) {
        if let Some(balance) = self.balance_mut(venue, report.asset)
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

    /// True where this report tells of funding for the first time.
    pub(crate) fn is_new_funding(&mut self, venue: VenueId, report: &BalanceReport, stamp: Nanos) -> bool {
        let told = (stamp, Cash::from_wire(report.wallet));
        self.balance_mut(venue, report.asset)
            .is_some_and(|balance| core::mem::replace(&mut balance.funded, told) != told)
    }

    pub(crate) fn leave_unassigned(&mut self, venue: VenueId, asset: AssetId, funding: Cash) {
        if let Some(balance) = self.balance_mut(venue, asset) {
            balance.unassigned_funding += funding;
        }
    }

    pub(crate) fn apply_position(&mut self, instrument: InstrumentId, report: &PositionReport, stamp: Nanos) {
        let Some(sides) = self.positions.get_mut(instrument.index()) else { return };
        if let Some(position) = sides.get_mut(usize::from(report.side.code()))
            && (report.hydrated || stamp >= position.updated)
        {
            position.quantity = report.quantity;
            position.entry_price = report.entry_price;
            position.unrealised = report.unrealised;
            position.updated = stamp;
            position.known = true;
        }
        if report.side != PositionSide::Both {
            let [net, long, short] = sides;
            *net = VenuePosition {
                quantity: long.quantity + short.quantity,
                entry_price: 0,
                unrealised: long.unrealised.saturating_add(short.unrealised),
                updated: long.updated.later(short.updated),
                known: true,
            };
        }
    }

    /// A hydration replaces its scope: a position that it does not name is flat, and an asset that it does not name is not there.
    pub(crate) fn begin_hydration(
        &mut self,
        venue: VenueId,
        instruments: impl Iterator<Item = InstrumentId>,
    ) {
        let from = venue.index() * MAX_ASSETS;
        for balance in self.balances.iter_mut().skip(from).take(MAX_ASSETS).filter(|balance| balance.known) {
            balance.wallet = Cash::ZERO;
            balance.available = None;
            balance.updated = Nanos::ZERO;
        }
        for instrument in instruments {
            if let Some(sides) = self.positions.get_mut(instrument.index()) {
                sides.fill(VenuePosition { known: true, ..VenuePosition::default() });
            }
        }
    }

    fn balance_mut(&mut self, venue: VenueId, asset: AssetId) -> Option<&mut Balance> {
        self.balances.get_mut(balance_at(venue, asset)?)
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

    /// A private event that names no scope: windows that are open go on, and none opens.
    #[inline]
    pub(crate) fn prolong(&mut self, now: Nanos, is_meant: impl Fn(InstrumentId) -> bool) {
        for instrument in self.open.iter().filter(|instrument| is_meant(**instrument)) {
            if let Some(window) = self.windows.get_mut(instrument.index()) {
                window.latest = now;
            }
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

fn balance_at(venue: VenueId, asset: AssetId) -> Option<usize> {
    (asset.index() < MAX_ASSETS).then(|| venue.index() * MAX_ASSETS + asset.index())
}

impl SettleWindow {
    #[inline]
    fn due(&self, quiet: Nanos, max: Nanos) -> Nanos {
        (self.latest + quiet).earlier(self.first + max)
    }
}
