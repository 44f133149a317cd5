//! What the venue says about positions and balances: its newest word, and whether our positions agree with it.

use std::collections::{BTreeSet, HashMap};

use linchpin_core::event::{BalanceReport, PositionReport, PositionSide};
use linchpin_core::id::{AssetId, InstrumentId, VenueId};
use linchpin_core::time::Nanos;

use crate::ledger::{LEGS, leg_at};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agreement {
    #[default]
    Agrees,
    Differs,
    Inconsistent,
}

/// What is known of one balance, at 8 decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Balance {
    pub wallet: i128,
    /// What of it new orders may use.
    pub available: Option<i128>,
    /// Funding that no one position explains.
    pub unassigned: i128,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    balance: Option<Balance>,
    updated: Nanos,
    unassigned: i128,
    funded: Option<(Nanos, i64)>,
}

#[derive(Debug)]
pub struct Accounts {
    /// By instrument and leg: lots and stamp of the newest word; `None` before there was any.
    positions: Vec<[Option<(i64, Nanos)>; LEGS.len()]>,
    agreement: Vec<[Agreement; LEGS.len()]>,
    /// The venue holds these in another position mode than configured, until a read-back says otherwise.
    pub other_mode: BTreeSet<InstrumentId>,
    balances: HashMap<(VenueId, AssetId), Known>,
}

impl Accounts {
    pub fn new(instruments: usize) -> Self {
        Self {
            positions: vec![Default::default(); instruments],
            agreement: vec![Default::default(); instruments],
            other_mode: BTreeSet::new(),
            balances: HashMap::new(),
        }
    }

    /// A read-back begins: what it will not name is flat.
    pub fn begin(&mut self, instrument: InstrumentId) {
        self.positions[instrument.index()] = [Some((0, Nanos::ZERO)); LEGS.len()];
    }

    pub fn position(&mut self, instrument: InstrumentId, report: &PositionReport, stamp: Nanos) {
        let known = &mut self.positions[instrument.index()][leg_at(report.side)];
        if report.hydrated || known.is_none_or(|(_, updated)| stamp >= updated) {
            *known = Some((report.quantity.raw(), stamp));
        }
    }

    pub fn balance(&mut self, venue: VenueId, report: &BalanceReport, stamp: Nanos) {
        let known = self.balances.entry((venue, report.asset)).or_default();
        if !report.hydrated && stamp < known.updated {
            return;
        }
        let before = known.balance.and_then(|balance| balance.available);
        let said = (report.available != i64::MIN).then_some(i128::from(report.available));
        let wallet = i128::from(report.wallet);
        known.balance = Some(Balance { wallet, available: said.or(before), unassigned: 0 });
        known.updated = stamp;
    }

    /// Told for the first time, and not again?
    pub fn is_new_funding(&mut self, venue: VenueId, report: &BalanceReport, stamp: Nanos) -> bool {
        let known = self.balances.entry((venue, report.asset)).or_default();
        known.funded.replace((stamp, report.wallet)) != Some((stamp, report.wallet))
    }

    pub fn leave_unassigned(&mut self, venue: VenueId, asset: AssetId, payment: i128) {
        self.balances.entry((venue, asset)).or_default().unassigned += payment;
    }

    pub fn wallet(&self, venue: VenueId, asset: AssetId) -> Option<i128> {
        self.balances.get(&(venue, asset))?.balance.map(|balance| balance.wallet)
    }

    /// The stamp of the newest word about a wallet.
    pub fn told(&self, venue: VenueId, asset: AssetId) -> Nanos {
        self.balances.get(&(venue, asset)).map_or(Nanos::ZERO, |known| known.updated)
    }

    /// A read-back begins: what it will not name is not there.
    pub fn forget_balances(&mut self, venue: VenueId) {
        for ((_, _), known) in self.balances.iter_mut().filter(|((of, _), _)| *of == venue) {
            known.balance = known.balance.map(|_| Balance::default());
            known.updated = Nanos::ZERO;
        }
    }

    /// By venue, then asset.
    pub fn all_balances(&self) -> Vec<(VenueId, AssetId, Balance)> {
        let known = self.balances.iter().filter_map(|((venue, asset), known)| {
            let balance = known.balance?;
            Some((*venue, *asset, Balance { unassigned: known.unassigned, ..balance }))
        });
        let mut all: Vec<_> = known.collect();
        all.sort();
        all
    }

    /// Of the leg that agrees the least.
    pub fn agreement(&self, instrument: InstrumentId) -> Agreement {
        if self.other_mode.contains(&instrument) {
            return Agreement::Inconsistent;
        }
        self.agreement[instrument.index()].into_iter().max().unwrap()
    }

    /// Evidence against evidence. `leg` is `Both` where there are no legs.
    pub fn distrust(&mut self, instrument: InstrumentId, leg: PositionSide) {
        self.agreement[instrument.index()][leg_at(leg)] = Agreement::Inconsistent;
    }

    pub fn trust(&mut self, instrument: InstrumentId) {
        self.agreement[instrument.index()] = Default::default();
    }

    /// Holds ours against the newest word, which `judges` by its stamp. True where it turns out to be inconsistent just now.
    pub fn compare(
        &mut self,
        instrument: InstrumentId,
        leg: PositionSide,
        ours: i64,
        judges: impl Fn(Nanos) -> bool,
    ) -> bool {
        // Of what is no instrument, nobody says anything.
        let word = self.positions.get(instrument.index()).and_then(|legs| legs[leg_at(leg)]);
        let Some((theirs, stamp)) = word else { return false };
        let agreement = &mut self.agreement[instrument.index()][leg_at(leg)];
        *agreement = match *agreement {
            _ if ours == theirs => Agreement::Agrees,
            Agreement::Inconsistent => return false,
            _ if judges(stamp) => {
                *agreement = Agreement::Inconsistent;
                return true;
            }
            _ => Agreement::Differs,
        };
        false
    }
}
