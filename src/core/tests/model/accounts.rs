//! What the venue says about positions and balances: its newest word, and whether our position agrees with it.

use std::collections::HashMap;

use linchpin_core::event::{BalanceReport, PositionReport};
use linchpin_core::id::{AssetId, InstrumentId, VenueId};
use linchpin_core::time::Nanos;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    Agrees,
    Differs,
    Inconsistent,
}

/// Wallet and what of it new orders may use, at 8 decimals.
pub type Balance = (i128, Option<i128>);

#[derive(Debug)]
pub struct Accounts {
    /// By instrument: lots and stamp of the newest word; `None` before there was any.
    positions: Vec<Option<(i64, Nanos)>>,
    pub agreement: Vec<Agreement>,
    balances: HashMap<(VenueId, AssetId), (Balance, Nanos)>,
}

impl Accounts {
    pub fn new(instruments: usize) -> Self {
        Self {
            positions: vec![None; instruments],
            agreement: vec![Agreement::Agrees; instruments],
            balances: HashMap::new(),
        }
    }

    /// A read-back begins: what it will not name is flat.
    pub fn begin(&mut self, instrument: InstrumentId) {
        self.positions[instrument.index()] = Some((0, Nanos::ZERO));
    }

    pub fn position(&mut self, instrument: InstrumentId, report: &PositionReport, stamp: Nanos) {
        let known = &mut self.positions[instrument.index()];
        if report.hydrated || known.is_none_or(|(_, updated)| stamp >= updated) {
            *known = Some((report.quantity.raw(), stamp));
        }
    }

    pub fn balance(&mut self, venue: VenueId, report: &BalanceReport, stamp: Nanos) {
        let known = self.balances.get(&(venue, report.asset)).copied();
        if known.is_some_and(|(_, updated)| !report.hydrated && stamp < updated) {
            return;
        }
        let before = known.and_then(|((_, available), _)| available);
        let said = (report.available != i64::MIN).then_some(i128::from(report.available));
        let balance = (i128::from(report.wallet), said.or(before));
        self.balances.insert((venue, report.asset), (balance, stamp));
    }

    /// By venue, then asset.
    pub fn all_balances(&self) -> Vec<(VenueId, AssetId, Balance)> {
        let mut all: Vec<_> = self.balances.iter().map(|((v, a), (balance, _))| (*v, *a, *balance)).collect();
        all.sort();
        all
    }

    /// Holds ours against the newest word. True where it turns out to be inconsistent just now.
    pub fn compare(&mut self, instrument: InstrumentId, ours: i64, in_doubt: bool, read_back: bool) -> bool {
        let Some((theirs, _)) = self.positions[instrument.index()] else { return false };
        let agreement = &mut self.agreement[instrument.index()];
        *agreement = match *agreement {
            _ if ours == theirs => Agreement::Agrees,
            Agreement::Inconsistent => return false,
            _ if read_back && !in_doubt => {
                *agreement = Agreement::Inconsistent;
                return true;
            }
            _ => Agreement::Differs,
        };
        false
    }
}
