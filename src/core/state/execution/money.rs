//! Money and lots that move without a trade: funding, deposits, lots between owners, and what a spot account holds.
//!
//! A spot account states balances and no positions. The base asset's balance is the account's holding: what the strategies'
//! fills do not explain of it is the external owner's. Where several instruments share a base, the first of them bears what others have
//! not bought or sold through the rest. A wallet that was read back is believed once nothing of its base is in doubt, and no trade is
//! booked that is later than it: else a fill would be counted twice.
//! Hot.

use super::ExecutionState;
use super::holdings::Holder;
use crate::event::{PositionReport, PositionSide};
use crate::id::{AssetId, InstrumentId, OrderIndex, StrategyId, VenueId};
use crate::instrument::{InstrumentDefinition, Product};
use crate::num::{Cash, Price, Quantity};
use crate::record::IncidentKind;
use crate::state::account::AccountState;
use crate::state::market::MarketState;
use crate::state::stakes::Place;
use crate::state::{Finding, Findings};
use crate::time::Nanos;

impl ExecutionState {
    /// Books funding to those who hold what it was paid for. Where the venue names no instrument, it is the one perpetual of
    /// that asset that is held. False where there is none, or more than one: then nobody can say.
    pub(crate) fn fund(
        &mut self,
        venue: VenueId,
        named: InstrumentId,
        asset: AssetId,
        payment: Cash,
        market: &MarketState,
    ) -> bool {
        let pays = |definition: &InstrumentDefinition| {
            definition.product == Product::LinearPerpetual && definition.quote == asset
        };
        let instrument = if named.is_none() {
            let mut held = on_venue(market, venue)
                .filter(|(id, definition)| pays(definition) && self.holds(*id))
                .map(|(id, _)| id);
            held.next().filter(|_| held.next().is_none())
        } else {
            let definition = market.instrument(named).and_then(|market| market.definition.as_ref());
            definition.filter(|definition| pays(definition)).map(|_| named)
        };
        let Some(instrument) = instrument else { return false };
        let legs = self.legs_of(instrument);
        self.holdings.fund(instrument, legs, payment);
        self.hold_all(instrument);
        true
    }

    /// Deposits and withdrawals of a spot account's base asset are the external owner's.
    pub(crate) fn move_spot(&mut self, venue: VenueId, asset: AssetId, change: Cash, market: &MarketState) {
        let lead = spot(market, venue).find(|(_, definition)| definition.base == asset);
        if let Some((instrument, definition)) = lead {
            self.transfer(instrument, Quantity::new(definition.lot.whole_steps(change)));
        }
    }

    fn transfer(&mut self, instrument: InstrumentId, lots: Quantity) {
        self.holdings.transfer(instrument, lots);
        let owner = self.owner_row(StrategyId::EXTERNAL);
        self.stakes.bring(Place { owner, instrument, leg: PositionSide::Both }, lots);
        self.hold(StrategyId::EXTERNAL, instrument, PositionSide::Both);
    }

    /// Brings owners who hold against each other to flat where the account is, at this price. Returns the lots that changed hands.
    pub(crate) fn cross_owners(
        &mut self,
        instrument: InstrumentId,
        leg: PositionSide,
        price: Price,
    ) -> Quantity {
        let owners = (0..self.strategies).map(|at| StrategyId(at as u8)).chain([StrategyId::EXTERNAL]);
        let mut held = owners.filter_map(|strategy| self.holdings.leg(Holder { strategy, instrument, leg }));
        let is_flat = self.total_leg(instrument, leg).is_some_and(|total| total.quantity.is_zero());
        if !is_flat || held.all(|position| position.quantity.is_zero()) {
            return Quantity::ZERO;
        }
        let crossed = self.holdings.cross(instrument, leg, price);
        self.hold_all(instrument);
        crossed
    }

    /// A trade was booked that happened at `stamp`, by the venue's clock.
    #[inline]
    pub(super) fn note_traded(&mut self, instrument: InstrumentId, stamp: Nanos) {
        if let Some(traded) = self.traded_at.get_mut(instrument.index()) {
            *traded = traded.later(stamp);
        }
    }

    /// A spot account was read back: its wallets are to be held against what we hold, once both say the same moment.
    pub(crate) fn judge_wallets_of(&mut self, venue: VenueId, market: &MarketState) {
        self.forget_wallets_of(venue);
        for (instrument, definition) in spot(market, venue) {
            let mut sharing = spot(market, venue).filter(|(_, other)| other.base == definition.base);
            let is_first = sharing.next().is_some_and(|(first, _)| first == instrument);
            if is_first && self.unjudged.len() < self.unjudged.capacity() {
                self.unjudged.push(instrument);
            }
        }
    }

    /// What was read back is about to be read back anew, or the stream that would go on from it has broken.
    pub(super) fn forget_wallets_of(&mut self, venue: VenueId) {
        let venues = &self.instrument_venues;
        self.unjudged.retain(|instrument| venues.get(instrument.index()) != Some(&venue));
    }

    /// As a rule there is none.
    #[inline]
    pub(crate) fn has_unjudged_wallets(&self) -> bool {
        !self.unjudged.is_empty()
    }

    /// The instrument that waits for this wallet to be judged, if one does.
    pub(crate) fn waits_for_wallet(
        &self,
        venue: VenueId,
        asset: AssetId,
        market: &MarketState,
    ) -> Option<InstrumentId> {
        let is_of = |instrument: &&InstrumentId| {
            let definition = market.instrument(**instrument).and_then(|market| market.definition.as_ref());
            self.venue_of(**instrument) == Some(venue) && definition.is_some_and(|of| of.base == asset)
        };
        self.unjudged.iter().find(is_of).copied()
    }

    /// Judges the wallets whose time has come.
    #[cold]
    pub(crate) fn judge_wallets(
        &mut self,
        market: &MarketState,
        account: &AccountState,
        findings: &mut Findings,
    ) {
        let mut at = 0;
        while let Some(instrument) = self.unjudged.get(at).copied() {
            if self.judge_wallet(instrument, market, account, findings) {
                self.unjudged.remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// What the strategies do not explain of a base balance is the external owner's; less there than the strategies together believe
    /// to hold is a data inconsistency. False while that cannot be said: an order of that base is in doubt, trades are still read,
    /// private events are coming in, or the newest trade is later than the newest word about the wallet.
    fn judge_wallet(
        &mut self,
        instrument: InstrumentId,
        market: &MarketState,
        account: &AccountState,
        findings: &mut Findings,
    ) -> bool {
        let definition = market.instrument(instrument).and_then(|market| market.definition.as_ref());
        let (Some(venue), Some(definition)) = (self.venue_of(instrument), definition) else { return true };
        let Some(balance) = account.balance(venue, definition.base) else { return true };
        let sharing = || spot(market, venue).filter(|(_, other)| other.base == definition.base);
        let as_of = balance.updated.later(self.read_back_as_of(venue));
        let is_ready = |id: InstrumentId| {
            let traded = self.traded_at.get(id.index()).is_none_or(|traded| *traded <= as_of);
            traded && account.is_settled(id) && !self.is_in_recovery(id)
        };
        if !sharing().all(|(id, _)| is_ready(id)) {
            return false;
        }
        let ours = sharing().fold(Cash::ZERO, |sum, (id, other)| sum + self.base_of_strategies(id, other));
        let rest = definition.lot.whole_steps(balance.wallet - ours);
        // What others hold through the other markets is theirs there already.
        let elsewhere = sharing()
            .filter(|(id, _)| *id != instrument)
            .fold(Cash::ZERO, |sum, (id, other)| sum + self.base_of(StrategyId::EXTERNAL, id, other));
        let here = rest.max(0) - definition.lot.whole_steps(elsewhere);
        let external = self.position(StrategyId::EXTERNAL, instrument);
        let before = external.map_or(Quantity::ZERO, |position| position.quantity);
        self.transfer(instrument, Quantity::new(here) - before);
        for (id, _) in sharing() {
            if rest >= 0 {
                self.trust(id);
            } else if !self.is_inconsistent(id) {
                self.distrust(id, PositionSide::Both);
                findings.add(Finding {
                    kind: IncidentKind::PositionMismatch,
                    instrument: id,
                    order: OrderIndex::NONE,
                    ours: definition.lot.whole_steps(ours),
                    theirs: definition.lot.whole_steps(balance.wallet),
                });
            }
        }
        true
    }

    /// The account is in another position mode than configuration says: nothing here can be believed until a read-back shows the
    /// right one. True where that is news.
    #[cold]
    pub(crate) fn contradict_mode(
        &mut self,
        instrument: InstrumentId,
        report: &PositionReport,
        findings: &mut Findings,
    ) -> bool {
        self.counters.contradictions += 1;
        findings.add(Finding {
            kind: IncidentKind::Contradiction,
            instrument,
            order: OrderIndex::NONE,
            ours: i64::from(self.is_hedged(instrument)),
            theirs: i64::from(report.side.code()),
        });
        let known = self.in_other_mode.get_mut(instrument.index());
        known.is_some_and(|known| !core::mem::replace(known, true))
    }

    /// The base asset that the strategies hold through an instrument, less the fees that they owe of it.
    fn base_of_strategies(&self, instrument: InstrumentId, definition: &InstrumentDefinition) -> Cash {
        let strategies = (0..self.strategies).map(|at| StrategyId(at as u8));
        strategies.fold(Cash::ZERO, |sum, strategy| sum + self.base_of(strategy, instrument, definition))
    }

    fn base_of(
        &self,
        owner: StrategyId,
        instrument: InstrumentId,
        definition: &InstrumentDefinition,
    ) -> Cash {
        let own = self.position(owner, instrument);
        own.map_or(Cash::ZERO, |own| definition.lot.cash(own.quantity.raw()) - own.base_owed)
    }

    fn holds(&self, instrument: InstrumentId) -> bool {
        self.legs_of(instrument)
            .iter()
            .filter_map(|leg| self.total_leg(instrument, *leg))
            .any(|total| !total.quantity.is_zero())
    }
}

fn on_venue(
    market: &MarketState,
    venue: VenueId,
) -> impl Iterator<Item = (InstrumentId, &InstrumentDefinition)> {
    market
        .iter()
        .filter(move |(_, market)| market.venue == venue)
        .filter_map(|(id, market)| market.definition.as_ref().map(|definition| (id, definition)))
}

fn spot(market: &MarketState, venue: VenueId) -> impl Iterator<Item = (InstrumentId, &InstrumentDefinition)> {
    on_venue(market, venue).filter(|(_, definition)| definition.product == Product::Spot)
}
