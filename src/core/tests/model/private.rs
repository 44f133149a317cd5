//! What the private stream and read-backs say, and what follows from it for orders, positions and balances.

use std::collections::BTreeSet;

use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::*;
use linchpin_core::instrument::Product;
use linchpin_core::limits::{InstrumentLimits, PositionMode};
use linchpin_core::num::Price;
use linchpin_core::record::IncidentKind;
use linchpin_core::state::order::OrderState;
use linchpin_core::time::Nanos;

use super::{Doubt, Trust, Twin, TwinOrder};
use crate::accounts::Agreement;
use crate::ledger::{Fill, LOT};

impl Twin {
    pub(super) fn report(&mut self, event: &Event, report: &OrderReport) {
        self.tell(event, report);
        let id = report.client_order_id;
        let Some(order) = self.orders.get(&id) else { return };
        if !order.is_live() && order.doubt == Doubt::Unknown && !self.unresolved.contains(&id) {
            self.unresolved.push(id);
        }
    }

    /// Where configuration claims what others do, it is the strategy's own: in the first free of the slots that it cannot name.
    fn claim(&self, instrument: InstrumentId) -> Option<OrderKey> {
        self.free_slot(self.configuration.instruments[instrument.index()].claimant?)
    }

    fn free_slot(&self, strategy: StrategyId) -> Option<OrderKey> {
        let mut keys = (1024..1024 + 256).map(|slot| OrderKey { strategy, slot });
        keys.find(|key| self.live_in(*key).is_none() && !self.waiting.contains_key(key))
    }

    fn tell(&mut self, event: &Event, report: &OrderReport) {
        let id = report.client_order_id;
        let hydrated = report.flags.has(ReportFlags::HYDRATED);
        let only_trade = report.flags.has(ReportFlags::TRADE_ONLY);
        if !self.orders.contains_key(&id) {
            if only_trade {
                return;
            }
            self.incidents.push(IncidentKind::ExternalOrder);
            let told = report.cumulative_quantity.raw().min(report.quantity.raw());
            let before = if hydrated { told } else { told - report.last_quantity.raw() }.max(0);
            let claimed_by = self.claim(event.instrument);
            self.counts.claimed += u64::from(claimed_by.is_some());
            let order = TwinOrder {
                key: claimed_by.unwrap_or(OrderKey { strategy: StrategyId::EXTERNAL, slot: 0 }),
                claimed: claimed_by.is_some(),
                instrument: event.instrument,
                venue: event.venue,
                side: report.side,
                leg: report.flags.position_side(),
                kind: report.kind,
                state: OrderState::Submitted,
                price: report.price,
                stop: Price::ZERO,
                triggered: !conditional(report.kind),
                expires: Nanos::ZERO,
                expiry_asked: false,
                quantity: report.quantity.raw(),
                cumulative: before,
                filled: before,
                closes: report.flags.has(ReportFlags::REDUCE_ONLY)
                    || report.flags.has(ReportFlags::CLOSE_POSITION)
                    || lowers(report.flags.position_side(), report.side),
                reduce_only: report.flags.has(ReportFlags::REDUCE_ONLY),
                closes_whole: report.flags.has(ReportFlags::CLOSE_POSITION),
                trades: Vec::new(),
                paid: Vec::new(),
                unpaid: 0,
                untraced: before > 0,
                inflight: None,
                doubt: Doubt::Pending,
                gone: false,
                missing: false,
                asked: 0,
                since: self.now,
                created: self.now,
                touched: self.now,
                reported: Nanos::ZERO,
                family: Family::Entry,
                out_by: Family::Entry,
            };
            self.orders.insert(id, order);
            self.alive.push(id);
        }
        if hydrated {
            self.venues[event.venue.index()].seen.insert(id);
        }
        let order = self.orders.get_mut(&id).unwrap();
        let (quantity, cumulative) = (report.quantity.raw(), report.cumulative_quantity.raw());
        let read_back = report.execution == Execution::Status;
        let takes_terms = quantity > 0 && (read_back || report.execution == Execution::Replaced);
        let nonsense = cumulative > order.quantity.max(quantity)
            || (!only_trade && !read_back && report.last_quantity.raw() > cumulative)
            || (takes_terms && !only_trade && order.is_live() && quantity < order.cumulative);
        if nonsense {
            self.incidents.push(IncidentKind::Contradiction);
            if order.is_live() {
                order.doubts();
            }
            return;
        }
        // Money.
        let (part, price) = if read_back {
            let price = if report.last_price.is_zero() { report.price } else { report.last_price };
            (cumulative - order.filled, price)
        } else {
            (report.last_quantity.raw(), report.last_price)
        };
        if part > 0 {
            let recent = &order.trades[order.trades.len().saturating_sub(8)..];
            let told = !read_back && report.trade_id != 0 && recent.contains(&report.trade_id);
            let newest = recent.iter().copied().max().unwrap_or(0);
            let news = report.trade_id != 0
                && !order.untraced
                && (order.trades.len() < 8 || report.trade_id > newest);
            let alone = if only_trade && news { order.filled + part } else { 0 };
            let ceiling = order.cumulative.max(cumulative).max(alone);
            let beyond = !read_back && order.filled + part > ceiling;
            let ambiguous = !read_back
                && report.trade_id != 0
                && order.filled < order.cumulative
                && cumulative <= order.cumulative
                && order.trades.len() >= 8;
            let said = !read_back && !report.flags.has(ReportFlags::FEE_TO_COME);
            let fee = said.then_some((report.fee_asset, report.fee));
            let definition = self.markets[order.instrument.index()].definition.unwrap();
            if told || beyond {
                // Its fee may be what is new of it.
                let latest = &order.paid[order.paid.len().saturating_sub(8)..];
                let unheard = report.trade_id != 0
                    && !latest.contains(&report.trade_id)
                    && (latest.len() < 8 || latest.iter().all(|paid| *paid < report.trade_id));
                if let Some(fee) = fee.filter(|_| unheard && part <= order.unpaid) {
                    order.paid.push(report.trade_id);
                    order.unpaid -= part;
                    let owner = order.key.strategy;
                    self.ledger.pay(owner, order.instrument, order.leg, fee, &definition);
                }
            } else if ambiguous || order.filled + part > order.quantity.max(quantity) {
                self.incidents.push(IncidentKind::Contradiction);
                if order.is_live() {
                    order.doubts();
                }
            } else {
                let late =
                    !order.is_live() && order.state != OrderState::Filled && ceiling > order.cumulative;
                order.filled += part;
                order.cumulative = ceiling;
                order.quantity = order.quantity.max(ceiling);
                order.triggered = true;
                if report.trade_id != 0 && !read_back {
                    order.trades.push(report.trade_id);
                } else {
                    order.untraced = true;
                }
                if late {
                    order.doubts();
                } else if only_trade && order.doubt == Doubt::Confirmed && order.is_live() {
                    (order.doubt, order.since) = (Doubt::Pending, self.now);
                }
                if fee.is_none() {
                    order.unpaid += part;
                } else if report.trade_id != 0 {
                    order.paid.push(report.trade_id);
                }
                self.counts.fills += 1;
                if let Some(traffic) = self.traffic.get_mut(order.key.strategy.index()) {
                    traffic.fills += 1;
                }
                let traded = self.traded_at.entry(order.instrument).or_default();
                *traded = (*traded).max(event.event_time);
                let fill = Fill { side: order.side, price: price.raw(), quantity: part, fee };
                if order.key.strategy == StrategyId::WORKFLOW {
                    self.ledger.close(order.instrument, order.leg, fill, &definition);
                } else {
                    self.ledger.fill(order.key.strategy, order.instrument, order.leg, fill, &definition);
                }
                if late {
                    self.counts.late_fills += 1;
                    self.incidents.push(IncidentKind::LateFill);
                }
            }
        }
        if only_trade {
            order.note_missing();
            return;
        }
        if !order.is_live() {
            order.note_missing();
            // A ghost: ended for us, alive at the venue, and neither late nor behind. Late fills speak of the past.
            let alive = matches!(report.status, VenueStatus::New | VenueStatus::PartiallyFilled)
                && report.execution != Execution::Trade;
            let news = order.state == OrderState::Rejected || event.event_time > order.reported;
            if alive && news && cumulative >= order.cumulative {
                self.incidents.push(IncidentKind::Contradiction);
                self.haunt(id);
            }
            return;
        }
        // Life.
        use VenueStatus as V;
        let ends = matches!(report.status, V::Filled | V::Cancelled | V::Rejected | V::Expired);
        if (cumulative < order.cumulative || event.event_time < order.reported) && !ends {
            order.note_missing();
            return;
        }
        // A venue may refuse a conditional order when it triggers.
        let refusable = order.state == OrderState::Submitted || order.conditional() && order.cumulative == 0;
        if report.status == V::Rejected && (!refusable || order.filled > 0) {
            order.note_missing();
            self.incidents.push(IncidentKind::Contradiction);
            return;
        }
        let fired = report.flags.has(ReportFlags::TRIGGERED) && !order.triggered;
        self.counts.triggers += u64::from(fired);
        order.triggered |= fired || order.cumulative > 0;
        order.cumulative = order.cumulative.max(cumulative);
        order.reported = order.reported.max(event.event_time);
        if takes_terms {
            order.price = report.price;
            order.quantity = quantity;
        } else if order.closes_whole {
            order.quantity = order.quantity.max(quantity);
        }
        order.quantity = order.quantity.max(order.cumulative);
        order.state = match report.status {
            V::New | V::PendingCancel if order.state == OrderState::Submitted => OrderState::Accepted,
            V::PartiallyFilled => OrderState::PartiallyFilled,
            V::Filled => OrderState::Filled,
            V::Cancelled => OrderState::Cancelled,
            V::Expired => OrderState::Expired,
            V::Rejected => OrderState::Rejected,
            V::New | V::PendingCancel | V::Other => order.state,
        };
        if order.cumulative > 0 && matches!(order.state, OrderState::Submitted | OrderState::Accepted) {
            order.state = OrderState::PartiallyFilled;
        }
        let answered = match order.inflight {
            None | Some((RequestKind::New, ..)) => true,
            Some((RequestKind::Replace, ..)) => {
                !order.is_live() || read_back || report.execution == Execution::Replaced
            }
            Some((RequestKind::Cancel, ..)) => !order.is_live() || read_back,
        };
        if answered {
            order.inflight = None;
            if order.doubt != Doubt::Unknown || !order.missing {
                order.doubt = Doubt::Confirmed;
            }
        }
        order.note_missing();
    }

    /// What ended for its strategy lives at the venue: somebody must ask about it, and cancel it. It stands in nobody's way.
    fn haunt(&mut self, id: ClientOrderId) {
        let owner = self.orders[&id].key.strategy;
        let ours = owner.index() < self.ledger.external();
        let free = if ours { self.free_slot(owner) } else { None };
        let now = self.now;
        let order = self.orders.get_mut(&id).unwrap();
        order.doubts();
        order.state = if order.cumulative > 0 { OrderState::PartiallyFilled } else { OrderState::Submitted };
        order.key = free.unwrap_or(order.key);
        if ours {
            order.family = Family::Cleanup;
        }
        order.inflight = None;
        order.expiry_asked = false;
        (order.created, order.touched) = (now, now);
        self.unresolved.retain(|known| *known != id);
        if !self.alive.contains(&id) {
            self.alive.push(id);
        }
        self.counts.ghosts += 1;
    }

    pub(super) fn outcome(&mut self, outcome: &RequestOutcome) {
        let Some(order) = self.orders.get_mut(&outcome.client_order_id) else { return };
        let Some((request, number, ..)) = order.inflight else { return };
        if number != outcome.dispatch {
            return;
        }
        let id = order.instrument;
        match (outcome.verdict, request) {
            (Verdict::Accepted, _) => {}
            (Verdict::Rejected, RequestKind::New) if order.filled > 0 => {
                order.doubts();
                self.incidents.push(IncidentKind::Contradiction);
            }
            (Verdict::Rejected, RequestKind::New) => {
                order.state = OrderState::Rejected;
                order.inflight = None;
                order.doubt = Doubt::Confirmed;
            }
            (Verdict::Rejected, _) => {
                order.inflight = None;
                let gone = outcome.reason == RejectReason::UnknownOrder;
                let unknown = gone || order.doubt == Doubt::Unknown;
                if order.doubt != Doubt::Unknown {
                    order.doubt = if unknown { Doubt::Unknown } else { Doubt::Confirmed };
                    order.gone = gone;
                }
            }
            (Verdict::Unknown, _) => {
                order.doubts();
                self.incidents.push(IncidentKind::UnknownOutcome);
            }
        }
        self.disturb(id);
    }

    pub(super) fn instruments_of(&self, venue: VenueId) -> Vec<InstrumentId> {
        let all = self.configuration.instruments.iter().enumerate();
        all.filter(|(_, limits)| limits.venue == venue).map(|(at, _)| InstrumentId(at as u16)).collect()
    }

    /// After a read-back: whether it may judge a position whose newest word has this stamp.
    pub(super) fn compare_position(&mut self, id: InstrumentId, read_back: Option<&dyn Fn(Nanos) -> bool>) {
        let in_doubt = self.doubts_on(id) > 0;
        for leg in self.legs(id) {
            let ours = self.ledger.page(self.ledger.account(), id, *leg).held;
            let judges = |stamp| !in_doubt && read_back.is_some_and(|judges| judges(stamp));
            if self.accounts.compare(id, *leg, ours, judges) {
                self.incidents.push(IncidentKind::PositionMismatch);
            }
        }
    }

    pub(super) fn position(&mut self, event: &Event, report: &PositionReport) {
        let id = event.instrument;
        if self.is_hedged(id) == (report.side == PositionSide::Both) {
            // The account is in another mode than configured.
            if !report.quantity.is_zero() {
                self.incidents.push(IncidentKind::Contradiction);
                let is_news = self.accounts.other_mode.insert(id);
                self.counts.other_modes += 1;
                // Which one it is in, a read-back must say.
                let venue = &mut self.venues[event.venue.index()];
                if is_news && !report.hydrated && venue.trust == Trust::Trusted {
                    venue.trust = Trust::Doubtful;
                }
            }
            return;
        }
        if report.hydrated && !self.venues[event.venue.index()].hydrated_before {
            self.ledger.hydrate(id, report.side, report.quantity.raw(), report.entry_price);
        }
        self.accounts.position(id, report, event.event_time);
    }

    pub(super) fn balance(&mut self, event: &Event, report: &BalanceReport) {
        let (venue, change) = (event.venue, i128::from(report.change));
        match report.cause {
            BalanceCause::Funding if change != 0 => self.funding(event, report),
            BalanceCause::Deposit | BalanceCause::Withdrawal if !report.hydrated => {
                let first = self.spots(venue).into_iter().find(|(_, base)| *base == report.asset);
                if let Some((id, _)) = first {
                    let mark = self.markets[id.index()].valued.raw();
                    self.ledger.bring(id, (change / LOT) as i64, mark);
                }
            }
            _ => {}
        }
        self.accounts.balance(venue, report, event.event_time);
        if !report.hydrated {
            let (now, limits) = (self.now, &self.configuration.instruments);
            let here = |window: &&mut (InstrumentId, Nanos, Nanos)| limits[window.0.index()].venue == venue;
            self.windows.iter_mut().filter(here).for_each(|window| window.2 = now);
        }
        // The fill that it counts may come after it.
        if !report.hydrated && self.unjudged.contains(&(venue, report.asset)) {
            let first = self.spots(venue).into_iter().find(|(_, base)| *base == report.asset).unwrap().0;
            self.disturb(first);
        }
    }

    /// What was read back holds no more: the stream broke, or it is being read anew.
    pub(super) fn forget_wallets(&mut self, venue: VenueId) {
        self.unjudged.retain(|(of, _)| *of != venue);
    }

    /// To those who hold the one perpetual that it can be for.
    fn funding(&mut self, event: &Event, report: &BalanceReport) {
        let (venue, payment) = (event.venue, i128::from(report.change));
        if !self.accounts.is_new_funding(venue, report, event.event_time) {
            return;
        }
        self.counts.funding += 1;
        let account = self.ledger.account();
        let pays = |id: &InstrumentId| {
            let definition = self.markets[id.index()].definition;
            definition.is_some_and(|d| d.product == Product::LinearPerpetual && d.quote == report.asset)
        };
        let holds = |id: &InstrumentId| {
            self.legs(*id).iter().any(|leg| self.ledger.page(account, *id, *leg).held != 0)
        };
        let may_be: Vec<InstrumentId> = if event.instrument.is_none() {
            self.instruments_of(venue).into_iter().filter(|id| pays(id) && holds(id)).collect()
        } else {
            [event.instrument].into_iter().filter(pays).collect()
        };
        match may_be[..] {
            [id] => self.ledger.fund(id, self.legs(id), payment),
            _ => self.accounts.leave_unassigned(venue, report.asset, payment),
        }
    }

    /// Spot instruments of a venue, and their base.
    fn spots(&self, venue: VenueId) -> Vec<(InstrumentId, AssetId)> {
        let definition = |id: &InstrumentId| self.markets[id.index()].definition;
        let all = self.instruments_of(venue).into_iter().filter(|id| self.is_spot(*id));
        all.filter_map(|id| definition(&id).map(|d| (id, d.base))).collect()
    }

    /// Wallets that were read back are held against our books when all that is known of a base speaks of the same moment: what our
    /// fills do not explain is somebody else's, and is booked on the first instrument of that base, but for what he has traded
    /// through the others; less than our strategies believe to hold cannot be.
    pub(super) fn judge_wallets(&mut self) {
        for (venue, base) in self.unjudged.clone() {
            let Some(wallet) = self.accounts.wallet(venue, base) else {
                self.unjudged.retain(|of| *of != (venue, base));
                continue;
            };
            let spots = self.spots(venue);
            let sharing: Vec<InstrumentId> =
                spots.iter().filter(|(_, b)| *b == base).map(|(id, _)| *id).collect();
            let moment = self.accounts.told(venue, base).max(self.venues[venue.index()].as_of);
            let open = |id: &InstrumentId| self.windows.iter().any(|window| window.0 == *id);
            let later = |id: &InstrumentId| self.traded_at.get(id).is_some_and(|traded| *traded > moment);
            if sharing.iter().any(|id| open(id) || later(id) || self.doubts_on(*id) > 0) {
                continue;
            }
            self.unjudged.retain(|of| *of != (venue, base));
            let strategies = 0..self.ledger.external();
            let of = |owner: usize, id: &InstrumentId| {
                let page = self.ledger.page(owner, *id, PositionSide::Both);
                i128::from(page.held) * LOT - page.owed
            };
            let ours: i128 =
                strategies.map(|owner| sharing.iter().map(|id| of(owner, id)).sum::<i128>()).sum();
            let rest = ((wallet - ours) / LOT) as i64;
            let first = sharing[0];
            let before = self.ledger.page(self.ledger.external(), first, PositionSide::Both).held;
            let mark = self.markets[first.index()].valued.raw();
            let others = sharing[1..].iter().map(|id| of(self.ledger.external(), id)).sum::<i128>();
            self.ledger.bring(first, rest.max(0) - (others / LOT) as i64 - before, mark);
            for id in sharing {
                if rest >= 0 {
                    self.accounts.trust(id);
                } else if self.accounts.agreement(id) != Agreement::Inconsistent {
                    self.accounts.distrust(id, PositionSide::Both);
                    self.incidents.push(IncidentKind::PositionMismatch);
                }
            }
        }
    }

    pub(super) fn is_hedged(&self, id: InstrumentId) -> bool {
        let mode = |limits: &InstrumentLimits| self.configuration.venues[limits.venue.index()].position_mode;
        self.configuration.instruments.get(id.index()).map(mode) == Some(PositionMode::Hedge)
    }

    pub(super) fn legs(&self, id: InstrumentId) -> &'static [PositionSide] {
        if self.is_hedged(id) { &[PositionSide::Long, PositionSide::Short] } else { &[PositionSide::Both] }
    }

    pub(super) fn distrust(&mut self, id: InstrumentId, leg: PositionSide) {
        let leg = if self.is_hedged(id) { leg } else { PositionSide::Both };
        self.accounts.distrust(id, leg);
    }

    pub(super) fn hydration(&mut self, venue: VenueId, hydration: &Hydration) {
        let at = venue.index();
        let answers = self.venues[at].trust == Trust::Hydrating(hydration.request);
        self.venues[at].ignored = hydration.scope == HydrationScope::Account
            && hydration.phase == HydrationPhase::Begin
            && !answers;
        if hydration.scope == HydrationScope::Order {
            let Some(order) = self.orders.get_mut(&hydration.client_order_id) else { return };
            if !order.is_live() && hydration.phase == HydrationPhase::End && order.filled >= order.cumulative
            {
                order.doubt = Doubt::Confirmed;
            }
            if hydration.phase != HydrationPhase::NotFound || !order.is_live() {
                return;
            }
            let old = self.now.since(order.created) >= self.configuration.visibility_delay;
            if order.state != OrderState::Submitted {
                self.incidents.push(IncidentKind::Contradiction);
            } else if old {
                order.state = OrderState::Rejected;
                order.inflight = None;
                order.doubt = Doubt::Confirmed;
            }
            return;
        }
        if !answers {
            return;
        }
        match hydration.phase {
            HydrationPhase::Begin => {
                self.venues[at].seen.clear();
                let as_of = hydration.as_of;
                self.venues[at].as_of = as_of;
                self.forget_wallets(venue);
                self.accounts.forget_balances(venue);
                // It says anew in which mode positions are held.
                for id in self.instruments_of(venue) {
                    self.accounts.other_mode.remove(&id);
                }
                // A spot account states no positions.
                let own = self.instruments_of(venue).into_iter().filter(|id| !self.is_spot(*id));
                own.collect::<Vec<_>>().into_iter().for_each(|id| self.accounts.begin(id));
            }
            HydrationPhase::Failed | HydrationPhase::NotFound => self.venues[at].trust = Trust::Doubtful,
            HydrationPhase::End => {
                let seen = std::mem::take(&mut self.venues[at].seen);
                for (id, order) in &mut self.orders {
                    if order.venue == venue && order.is_live() && !seen.contains(id) {
                        order.doubts();
                    }
                }
                self.venues[at].trust = Trust::Trusted;
                self.venues[at].hydrated_before = true;
                let mut bases: Vec<AssetId> = self.spots(venue).into_iter().map(|(_, base)| base).collect();
                bases.dedup();
                self.unjudged.extend(bases.into_iter().map(|base| (venue, base)));
                let as_of = self.venues[at].as_of;
                let mut traded_since = BTreeSet::new();
                for event in std::mem::take(&mut self.venues[at].buffered) {
                    if matches!(&event.body, Body::Order(report) if report.execution == Execution::Trade)
                        && event.event_time > as_of
                    {
                        traded_since.insert(event.instrument);
                    }
                    match &event.body {
                        Body::Order(report) => {
                            // Of others, the snapshot has what happened before it.
                            let known = self.orders.get(&report.client_order_id);
                            let ours = known.is_some_and(|o| o.key.strategy.index() < self.ledger.external());
                            if ours || event.event_time > as_of {
                                self.report(&event, report);
                            }
                            self.disturb(event.instrument);
                        }
                        Body::Position(report) => self.position(&event, report),
                        Body::Balance(report) => self.balance(&event, report),
                        _ => {}
                    }
                }
                for id in self.instruments_of(venue) {
                    let judges = |stamp| stamp <= as_of && !traded_since.contains(&id);
                    self.compare_position(id, Some(&judges));
                }
            }
        }
    }
}

fn conditional(kind: OrderKind) -> bool {
    !matches!(kind, OrderKind::Limit | OrderKind::Market | OrderKind::Other)
}

/// On a leg, the side that can only lower it.
pub(super) fn lowers(leg: PositionSide, side: Side) -> bool {
    matches!((leg, side), (PositionSide::Long, Side::Sell) | (PositionSide::Short, Side::Buy))
}
