//! What may leave the core and what must not: verdicts, admissions, dispatches, asks; and the comparison of states.

use linchpin_core::dispatch::DispatchFlags;
use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::*;
use linchpin_core::intent::{Intent, NewIntent};
use linchpin_core::num::*;
use linchpin_core::record::*;
use linchpin_core::state::order::{Confirmation, Order};
use linchpin_core::time::Nanos;

use super::families::Wish;
use super::private::lowers;
use super::trading::Standing;
use crate::rates::{Lack, Sent};

use super::{Check, Doubt, Facts, Trust, Twin, TwinOrder, Waiting, ledger_leg, take_wish};

/// What closes at market is nobody's slot.
pub const WORKFLOW: StrategyId = StrategyId::WORKFLOW;

/// The order that the workflow closes a position with.
pub(super) fn closing_order(record: &IntentRecord) -> NewIntent {
    let new = NewIntent::market(record.instrument, record.side, record.quantity).reduce_only();
    NewIntent { key: record.key, family: Family::Closing, ..new.on_leg(ledger_leg(record.key.slot)) }
}

impl Twin {
    // ---- decide: verdicts and dominance ----

    pub(super) fn intent(&mut self, record: &IntentRecord) -> Check {
        self.counts.intents += 1;
        let allowed = record.verdict == RiskReason::Allowed;
        self.counts.denials += u64::from(!allowed);
        let new = self.new_of(record.key, record.request, || closing_order(record))?;
        let said = new.map_or(record.family, |new| new.family);
        let wish = Wish { key: record.key, request: record.request, new, said };
        let (family, higher) = (self.family_of(&wish), self.yields_to(&wish));
        hold!("family", record.family == family, "{record:?} is of {family}");
        hold!("family", higher.is_none(), "{record:?} gave way to nobody, but {higher:?} acts");
        self.workflow_may(record, family)?;
        let (objections, weighed) = self.objections(record, new);
        if !allowed {
            hold!("risk", objections.contains(&record.verdict), "{record:?}: only {objections:?} objects");
            hold!("risk", record.admission == Admission::None, "{record:?} was admitted");
            if let (RiskReason::IntentRate | RiskReason::MessageRatio, Some(ran)) =
                (record.verdict, self.trading.ran_away.get_mut(record.key.strategy.index()))
            {
                *ran = Some(record.verdict);
            }
            return Ok(());
        }
        hold!("risk", objections.is_empty(), "{record:?} was allowed although {objections:?}");
        if let Some(weighed) = &weighed {
            self.note_allowed(record, weighed);
        }
        let expected = self.admit(record, weighed);
        hold!("dominance", record.admission == expected, "{record:?}, expected {expected}");
        Ok(())
    }

    /// All that a New says, which its record does not.
    fn new_of(
        &mut self,
        key: OrderKey,
        request: RequestKind,
        closing: impl FnOnce() -> NewIntent,
    ) -> Result<Option<NewIntent>, String> {
        match (request, key.strategy) {
            (RequestKind::New, WORKFLOW) => Ok(Some(closing())),
            (RequestKind::New, _) => match take_wish(&mut self.wishes, key) {
                Some(new) => Ok(Some(new)),
                None => Err(format!("wishes: nobody wished a New of {key:?}")),
            },
            _ => Ok(None),
        }
    }

    /// It gave way, and to whom it must.
    pub(super) fn deferred(
        &mut self,
        key: OrderKey,
        request: RequestKind,
        (family, to): (Family, Family),
    ) -> Check {
        self.counts.deferrals += 1;
        hold!("family", key.strategy != WORKFLOW, "closing gave way to {to}");
        let new = self.new_of(key, request, || unreachable!("no closing order is deferred"))?;
        let wish = Wish { key, request, new, said: new.map_or(family, |new| new.family) };
        let expected = (self.family_of(&wish), self.yields_to(&wish));
        hold!(
            "family",
            expected == (family, Some(to)),
            "{wish:?} gave way: {family} to {to}, not {expected:?}"
        );
        Ok(())
    }

    /// The dominance table of section 3.
    fn admit(&mut self, record: &IntentRecord, weighed: Option<Waiting>) -> Admission {
        use Admission as A;
        use RequestKind as K;
        let weighed = weighed.unwrap_or_else(|| {
            let live = self.live_in(record.key).map(|order| (order.instrument, order.side));
            let waits = self.waiting.get(&record.key).map(|w| (w.instrument, w.side));
            let (instrument, side) = live.or(waits).unwrap_or((record.instrument, record.side));
            let (price, quantity) = (Price::ZERO, 0);
            let (since, looked, new) = (self.now, false, None);
            let (reducing, said) = (true, record.family);
            Waiting {
                request: K::Cancel,
                instrument,
                side,
                price,
                quantity,
                new,
                said,
                reducing,
                reduces_own: true,
                since,
                looked,
                admitted: 0,
            }
        });
        let known = self.waiting.get(&record.key).cloned();
        let pending = known.as_ref().map(|waiting| waiting.request);
        match (pending, record.request) {
            (Some(K::New), K::Replace) => {
                let new = self.waiting.get_mut(&record.key).unwrap();
                (new.price, new.quantity) = (weighed.price, weighed.quantity);
                if let Some(new) = &mut new.new {
                    (new.price, new.quantity) = (weighed.price, Quantity::new(weighed.quantity));
                }
                // Another rank: it enters anew, with its age.
                if new.reducing != weighed.reducing {
                    self.admissions += 1;
                    (new.looked, new.admitted) = (false, self.admissions);
                }
                (new.reducing, new.reduces_own) = (weighed.reducing, weighed.reduces_own);
                A::Folded
            }
            (Some(K::New), K::Cancel) => {
                self.waiting.remove(&record.key);
                A::Removed
            }
            (Some(K::Replace), K::New) | (Some(K::Cancel), K::New | K::Replace) => A::Discarded,
            (pending, _) => {
                let since = known.map_or(weighed.since, |known| known.since);
                self.admissions += 1;
                let admitted = self.admissions;
                self.waiting.insert(record.key, Waiting { since, admitted, ..weighed });
                if pending.is_some() { A::Replaced } else { A::Entered }
            }
        }
    }

    pub(super) fn closed(&mut self, key: OrderKey, request: RequestKind, why: CloseReason) -> Check {
        let known = self.waiting.remove(&key);
        hold!("queue", known.as_ref().is_some_and(|w| w.request == request), "closed {key:?} {request}");
        match why {
            CloseReason::Purged => {
                self.counts.purged += 1;
                let taken_back = known.as_ref().is_some_and(|waiting| self.is_taken_back(key, waiting));
                hold!("queue", self.trading.kill.is_some() || taken_back, "purged {key:?} without a kill");
            }
            CloseReason::TooOld => {
                let old = known
                    .as_ref()
                    .is_some_and(|waiting| self.is_too_old(waiting) || self.has_expired(waiting));
                self.counts.expiries +=
                    u64::from(known.as_ref().is_some_and(|waiting| self.has_expired(waiting)));
                hold!("queue", old, "{known:?} was closed as too old");
            }
            CloseReason::Stale => {
                self.counts.stale += 1;
                let target = self.target(key, request);
                let stale = match (request, target) {
                    (RequestKind::New, Some(order)) => {
                        !matches!(order.inflight, Some((RequestKind::Cancel, ..)))
                    }
                    (RequestKind::New, None) => false,
                    (_, target) => target.is_none(),
                };
                hold!("queue", stale, "{request} of {key:?} was closed although its target is there");
            }
        }
        Ok(())
    }

    /// Whoever wished it may no longer.
    fn is_taken_back(&self, key: OrderKey, waiting: &Waiting) -> bool {
        let trading = &self.trading;
        // What was to close everything, once nobody wants that any more.
        if key.strategy == WORKFLOW && !trading.is_flattening() {
            return waiting.request != RequestKind::Cancel;
        }
        // A switch that a person set for everybody is a gate; a bound that was reached takes back.
        let everybody = match trading.everybody {
            Standing { state, tripped: Some(_) } if !trading.is_flattening() => state,
            _ => TradingState::Active,
        };
        let may_not = |state, reduces: bool| {
            state == TradingState::Halted || state == TradingState::Reducing && !reduces
        };
        waiting.request != RequestKind::Cancel
            && (may_not(everybody, waiting.reducing)
                || may_not(trading.of(key.strategy), waiting.reduces_own))
    }

    /// Its day came while it waited.
    fn has_expired(&self, waiting: &Waiting) -> bool {
        waiting.new.is_some_and(|new| !new.expires.is_zero() && new.expires <= self.now)
    }

    // ---- queue processing ----

    pub(super) fn dispatch(
        &mut self,
        sent: &linchpin_core::dispatch::Dispatch,
        sequence: u64,
        rank: &mut u8,
    ) -> Check {
        self.counts.dispatches += 1;
        self.dispatched += 1;
        hold!(
            "dispatch",
            sent.number == self.dispatched,
            "number {} after {}",
            sent.number,
            self.dispatched - 1
        );
        hold!("dispatch", sent.cause == sequence && sent.decided == self.now, "{sent:?}");
        let Some(waiting) = self.waiting.remove(&sent.key) else {
            return Err(format!("dispatch: without an allowed intent: {sent:?}"));
        };
        let family = self.family_of_waiting(sent.key, &waiting);
        let must = self.sends(sent.key, &waiting);
        hold!("dispatch", must == sent.request, "{sent:?} instead of {waiting:?}");
        if sent.request != RequestKind::Cancel {
            let same = (sent.price, sent.quantity.raw()) == (waiting.price, waiting.quantity);
            hold!("dispatch", same, "{sent:?} with other terms than {waiting:?}");
        }
        if let Some(new) = waiting.new {
            let spot = self.is_spot(new.instrument);
            let reduce_only = new.reduce_only && (!spot || sent.key.strategy == WORKFLOW);
            let said = (
                sent.kind,
                sent.stop_price,
                sent.trigger_by,
                sent.callback,
                sent.expires,
                sent.time_in_force,
            );
            let wished =
                (new.kind, new.stop_price, new.trigger_by, new.callback, new.expires, new.time_in_force);
            hold!("dispatch", said == wished, "{sent:?}, wished was {new:?}");
            let said = (sent.instrument, sent.side, sent.position_side);
            hold!("dispatch", said == (new.instrument, new.side, new.position_side), "{sent:?}, not {new:?}");
            let flags = [
                (DispatchFlags::REDUCE_ONLY, reduce_only),
                (DispatchFlags::CLOSE_POSITION, new.close_position),
            ];
            let same = flags.into_iter().all(|(flag, on)| sent.flags.has(flag) == on);
            hold!("dispatch", same, "{sent:?} with other flags than {new:?}");
        }
        let mine = rank_of(&waiting);
        hold!("order", mine >= *rank, "{sent:?} went after what must wait for it");
        *rank = mine;
        if let Some(gate) = self.gate(&sent.key, &waiting) {
            return Err(format!("gate: {sent:?} went out while {gate} was closed"));
        }
        let venue = sent.venue;
        let (at, request, number) = (self.now, sent.request, sent.number);
        let drawn =
            self.venues[venue.index()].rates.draw(Sent { at, instrument: sent.instrument, request, number });
        hold!("rate", drawn.is_ok(), "{sent:?}: {}", drawn.unwrap_err());
        if let Some(traffic) = self.traffic.get_mut(sent.key.strategy.index()) {
            traffic.messages += 1;
        }
        match sent.request {
            RequestKind::New => {
                let fresh = self.ids_used.insert(sent.client_order_id)
                    && !self.orders.contains_key(&sent.client_order_id);
                hold!("ids", fresh, "{} is not new", sent.client_order_id);
                hold!("key", self.live_in(sent.key).is_none(), "{sent:?} into a slot with a live order");
                let new = waiting.new.ok_or("dispatch: a New that nobody wished")?;
                let spot = self.is_spot(new.instrument);
                let reduce_only = new.reduce_only && (!spot || sent.key.strategy == WORKFLOW);
                let order = TwinOrder {
                    key: sent.key,
                    claimed: false,
                    instrument: sent.instrument,
                    venue,
                    side: sent.side,
                    leg: new.position_side,
                    kind: new.kind,
                    state: linchpin_core::state::order::OrderState::Submitted,
                    price: sent.price,
                    stop: new.stop_price,
                    triggered: false,
                    expires: new.expires,
                    expiry_asked: false,
                    quantity: sent.quantity.raw(),
                    cumulative: 0,
                    filled: 0,
                    closes: reduce_only || new.close_position || lowers(new.position_side, new.side),
                    reduce_only,
                    closes_whole: new.close_position,
                    trades: Vec::new(),
                    paid: Vec::new(),
                    unpaid: 0,
                    untraced: false,
                    inflight: Some((RequestKind::New, sent.number, Price::ZERO, 0)),
                    doubt: Doubt::Pending,
                    gone: false,
                    missing: false,
                    asked: 0,
                    since: self.now,
                    created: self.now,
                    touched: self.now,
                    reported: Nanos::ZERO,
                    family,
                    out_by: family,
                };
                let order = TwinOrder { triggered: !order.conditional(), ..order };
                self.orders.insert(sent.client_order_id, order);
                self.alive.push(sent.client_order_id);
            }
            request => {
                let now = self.now;
                let Some(order) = self.orders.get_mut(&sent.client_order_id) else {
                    return Err(format!("dispatch: of an unknown order: {sent:?}"));
                };
                hold!("key", order.is_live() && order.key == sent.key, "{sent:?} at {order:?}");
                hold!("inflight", order.inflight.is_none(), "{sent:?} while {:?} is out", order.inflight);
                order.out_by = family;
                if request == RequestKind::Replace {
                    order.touched = now;
                }
                order.inflight = Some((request, sent.number, sent.price, sent.quantity.raw()));
                if order.doubt != Doubt::Unknown {
                    order.doubt = Doubt::Pending;
                }
                order.since = now;
            }
        }
        Ok(())
    }

    /// Spot replaces by placing anew under the same id, which it refuses once an order has begun to fill: such an order is cancelled,
    /// and so is one of others whose id is not known whole.
    fn sends(&self, key: OrderKey, waiting: &Waiting) -> RequestKind {
        let cannot_move = self.live_in_with_id(key).is_some_and(|(id, order)| {
            let keeps_price = waiting.price == order.price && waiting.quantity < order.quantity;
            let has_no_id = order.claimed && id.text().is_none();
            self.is_spot(order.instrument) && (order.cumulative > 0 && !keeps_price || has_no_id)
        });
        match waiting.request {
            RequestKind::Replace if cannot_move => RequestKind::Cancel,
            request => request,
        }
    }

    /// New risk that was wished so long ago that its market is gone.
    fn is_too_old(&self, waiting: &Waiting) -> bool {
        let ages = waiting.request != RequestKind::Cancel && !waiting.reducing;
        ages && waiting.looked && self.now.since(waiting.since) > Nanos::from_millis(500)
    }

    /// The first gate that holds this command.
    fn gate(&self, key: &OrderKey, waiting: &Waiting) -> Option<Gate> {
        let venue = &self.venues[self.configuration.instruments[waiting.instrument.index()].venue.index()];
        let up = |kind| venue.up.get(&kind).copied().unwrap_or(false);
        if waiting.request == RequestKind::Cancel {
            if self.trading.kill == Some(KillMode::Block) {
                return Some(Gate::Kill);
            }
            if !up(LinkKind::OrderEntry) {
                return Some(Gate::OrderEntryLink);
            }
            let target = self.target(*key, waiting.request);
            let gone = target.is_some_and(|order| order.doubt == Doubt::Unknown && order.gone);
            return gone.then_some(Gate::Recovery);
        }
        let trading = &self.trading;
        let closing = waiting.reducing && trading.is_flattening();
        let market = &self.markets[waiting.instrument.index()];
        let doubts = self.doubts_on(waiting.instrument);
        let target = self.target(*key, waiting.request).is_some_and(|o| o.doubt == Doubt::Unknown);
        // While everybody may only reduce, what reduces goes; so it does while everything is being closed.
        let everybody = trading.everybody.state;
        let passes = waiting.reducing
            && trading.kill.is_none()
            && !trading.draining
            && everybody == TradingState::Reducing;
        let stopped = everybody != TradingState::Active || trading.draining || trading.flattening;
        let closed = [
            (trading.kill.is_some() && !closing, Gate::Kill),
            (stopped && !closing && !passes, Gate::Trading),
            (self.held.contains(&Gate::Schedule) && !waiting.reducing, Gate::Schedule),
            (self.held.contains(&Gate::Journal), Gate::Journal),
            (self.held.contains(&Gate::Clock), Gate::Clock),
            (self.held.contains(&Gate::Operator), Gate::Operator),
            (!up(LinkKind::OrderEntry), Gate::OrderEntryLink),
            (!up(LinkKind::Private), Gate::PrivateLink),
            (venue.trust != Trust::Trusted, Gate::Account),
            (!up(LinkKind::Market), Gate::MarketLink),
            (target || (!waiting.reducing && doubts > 0), Gate::Recovery),
            (self.is_held(*key, waiting), Gate::Confirmation),
            (!waiting.reducing && !market.is_trusted(), Gate::Book),
        ];
        closed.iter().find(|(closed, _)| *closed).map(|(_, gate)| *gate)
    }

    /// The maximal sendable prefix has gone: what is left is held by a gate, a request, or tokens.
    pub(super) fn nothing_waits_without_reason(&mut self) -> Check {
        let mut left: Vec<(OrderKey, Waiting)> = self.waiting.iter().map(|(k, w)| (*k, w.clone())).collect();
        left.sort_by_key(|(_, waiting)| (rank_of(waiting), waiting.admitted));
        let mut exhausted = vec![false; self.venues.len()];
        for (key, waiting) in left {
            hold!("queue", !self.is_too_old(&waiting), "{waiting:?} of {key:?} is too old");
            hold!("queue", !self.has_expired(&waiting), "{waiting:?} of {key:?} outlives its day");
            let purged =
                waiting.request == RequestKind::Cancel || waiting.reducing || self.trading.kill.is_none();
            hold!("queue", purged, "{waiting:?} of {key:?} outlives a kill");
            hold!(
                "queue",
                !self.is_taken_back(key, &waiting),
                "{waiting:?} of {key:?} outlives its owner's halt"
            );
            if let Some(waiting) = self.waiting.get_mut(&key) {
                waiting.looked = true;
            }
            let venue = self.configuration.instruments[waiting.instrument.index()].venue;
            let inflight = self.target(key, waiting.request).is_some_and(|order| order.inflight.is_some());
            if self.gate(&key, &waiting).is_some() || inflight {
                continue;
            }
            let request = self.sends(key, &waiting);
            match self.venues[venue.index()].rates.room(self.now, waiting.instrument, request) {
                Err(Lack::Common) => exhausted[venue.index()] = true,
                Err(Lack::Own) => {}
                Ok(()) => {
                    let behind = exhausted[venue.index()];
                    hold!("prefix", behind, "{waiting:?} of {key:?} waits for nothing");
                }
            }
        }
        Ok(())
    }

    pub(super) fn ask(&mut self, ask: &Ask) -> Check {
        self.counts.asks += 1;
        let venue = &mut self.venues[ask.venue.index()];
        if ask.scope == HydrationScope::Account {
            let up = venue.up.get(&LinkKind::Private) == Some(&true);
            let hydrating = matches!(venue.trust, Trust::Hydrating(_));
            hold!("ask", up && !hydrating, "{ask:?} while {:?}", venue.trust);
            venue.trust = Trust::Hydrating(ask.number);
            return Ok(());
        }
        let trusted = venue.trust == Trust::Trusted;
        let Some(order) = self.orders.get_mut(&ask.client_order_id) else {
            return Err(format!("ask: about nobody: {ask:?}"));
        };
        // Its day is over, and nobody has told its end.
        let overdue = order.expires + self.configuration.confirmation_timeout;
        let past = order.is_live() && !order.expires.is_zero() && self.now >= overdue;
        order.expiry_asked |= past;
        let known =
            order.doubt == Doubt::Confirmed && !past || !order.is_live() && order.doubt == Doubt::Pending;
        hold!("ask", !known, "about what is known: {order:?}");
        order.asked += 1;
        order.missing &= order.doubt == Doubt::Unknown;
        hold!("ask", trusted, "about one order while the account is read back");
        order.gone &= order.doubt == Doubt::Unknown;
        order.doubt = Doubt::Unknown;
        Ok(())
    }

    // ---- compare ----

    pub(super) fn compare(&mut self, facts: &Facts) -> Check {
        if let Some(named) = &facts.named {
            self.same(named)?;
        }
        hold!("live", facts.live.len() == self.live().count(), "{} live orders", facts.live.len());
        for order in &facts.live {
            self.same(order)?;
        }
        for order in facts.live.iter().chain(&facts.named) {
            hold!("lifecycle", order.filled <= order.quantity, "filled above ordered: {order:?}");
            hold!("lifecycle", order.cumulative <= order.quantity, "cumulative above ordered: {order:?}");
            hold!("lifecycle", order.filled <= order.cumulative, "fills above cumulative: {order:?}");
        }
        self.ledger.check(&facts.owners, &facts.legs, &facts.totals)?;
        let piles = self.piles(None);
        for (owner, worth) in facts.worths.iter().enumerate() {
            let expected = self.worth(owner, &piles, None);
            hold!("stakes", *worth == expected, "owner {owner}: {worth:?}, not {expected:?}");
        }
        for ((venue, asset), stake) in &facts.assets {
            let expected = self.asset_stake(*venue, *asset, &piles, None);
            hold!("stakes", *stake == expected, "{asset:?} at {venue:?}: {stake:?}, not {expected:?}");
        }
        let mut standings = vec![self.trading.everybody];
        standings.extend(&self.trading.strategies);
        hold!("trading", facts.standings == standings, "{:?}, not {standings:?}", facts.standings);
        hold!("flatten", facts.flattening == self.trading.flattening, "at work: {}", facts.flattening);
        for (at, trust) in facts.trust.iter().enumerate() {
            hold!("trust", self.trusts(at, *trust), "venue {at}: {trust:?}, not {:?}", self.venues[at].trust);
        }
        for (at, exposure) in facts.exposures.iter().enumerate() {
            let id = InstrumentId(at as u16);
            let on = || self.live().filter(|order| order.instrument == id);
            let expected = (
                self.working_on(id, Side::Buy),
                self.working_on(id, Side::Sell),
                on().count() as u32,
                self.doubts_on(id) as u32,
            );
            let found = (
                exposure.working_buy.raw(),
                exposure.working_sell.raw(),
                exposure.open_orders,
                exposure.in_doubt,
            );
            hold!("exposure", found == expected, "{at}: {found:?}, not {expected:?}");
        }
        for (at, open) in facts.open_by_strategy.iter().enumerate() {
            let strategy = StrategyId(at as u8);
            let live = self.live().filter(|o| o.key.strategy == strategy).count();
            let news = self.waiting.iter().filter(|(_, w)| w.request == RequestKind::New);
            let mine = live + news.filter(|(key, _)| key.strategy == strategy).count();
            hold!("exposure", *open as usize == mine, "strategy {at} has {mine} open, not {open}");
        }
        hold!("queue", facts.queue.len() == self.waiting.len(), "{:?}", facts.queue);
        for pending in &facts.queue {
            let Some(waiting) = self.waiting.get(&pending.intent.key()) else {
                return Err(format!("queue: {pending:?} is not admitted"));
            };
            let terms = match pending.intent {
                Intent::New(new) => (new.price, new.quantity.raw()),
                Intent::Replace(replace) => (replace.price, replace.quantity.raw()),
                Intent::Cancel(_) => (Price::ZERO, 0),
            };
            let same = waiting.request == pending.intent.request()
                && waiting.reducing == pending.reduces.account
                && waiting.reduces_own == pending.reduces.own
                && (waiting.price, waiting.quantity) == terms;
            hold!("queue", same, "{pending:?}, not {waiting:?}");
        }
        let balances = self.accounts.all_balances();
        hold!("balance", facts.balances == balances, "{:?}, not {balances:?}", facts.balances);
        for (at, market) in self.markets.iter().enumerate() {
            hold!(
                "market",
                facts.tops[at] == market.top(),
                "{at}: {:?}, not {:?}",
                facts.tops[at],
                market.top()
            );
            hold!("market", facts.trusted[at] == market.is_trusted(), "trust of {at}");
            let open = self.windows.iter().any(|window| window.0.index() == at);
            hold!("settle", facts.settled[at] != open, "window of {at}");
            let (found, expected) = (facts.agreement[at], self.accounts.agreement(InstrumentId(at as u16)));
            hold!("agreement", found == expected, "of {at}: {found:?}, not {expected:?}");
        }
        Ok(())
    }

    fn same(&self, order: &Order) -> Check {
        let Some(twin) = self.orders.get(&order.client_order_id) else {
            return Err(format!("orders: not ours: {order:?}"));
        };
        let doubt = match order.confirmation {
            Confirmation::Pending { .. } => Doubt::Pending,
            Confirmation::Confirmed => Doubt::Confirmed,
            Confirmation::Unknown { .. } => Doubt::Unknown,
        };
        hold!("lifecycle", order.state == twin.state, "{order:?}, not {twin:?}");
        let quantities = (order.quantity.raw(), order.cumulative.raw(), order.filled.raw(), order.price);
        let expected = (twin.quantity, twin.cumulative, twin.filled, twin.price);
        hold!("orders", quantities == expected, "{order:?}, not {twin:?}");
        // The key of what nobody claims is no slot.
        let owned = (order.claimed, order.key.strategy) == (twin.claimed, twin.key.strategy)
            && (twin.key.strategy == StrategyId::EXTERNAL || order.key.slot == twin.key.slot);
        hold!("owner", owned, "{order:?}, not {twin:?}");
        let form =
            (order.kind, order.position_side, order.stop_price, order.expires, order.triggered, order.family);
        let expected = (twin.kind, twin.leg, twin.stop, twin.expires, twin.triggered, twin.family);
        hold!("orders", form == expected, "{order:?}, not {twin:?}");
        hold!("orders", order.only_closes() == twin.closes, "{order:?}, not {twin:?}");
        let inflight = order.inflight.map(|i| (i.request, i.dispatch));
        hold!("inflight", inflight == twin.inflight.map(|i| (i.0, i.1)), "{order:?}, not {twin:?}");
        hold!("confirmation", !order.is_live() || doubt == twin.doubt, "{order:?}, not {twin:?}");
        Ok(())
    }

    /// The core must be woken no later than at the first thing that is due by time alone.
    pub(super) fn obligation(&mut self, facts: &Facts) -> Check {
        let now = self.now;
        let mut due: Vec<(Nanos, &str)> = Vec::new();
        due.extend(self.windows.iter().map(|window| (self.window_end(window), "a settle window")));
        let fresh = self.markets.iter().filter(|market| !market.stale);
        due.extend(fresh.map(|market| (market.updated + market.stale_after, "a market")));
        let overdue = self.configuration.confirmation_timeout;
        let pending = self.live().filter(|order| order.doubt == Doubt::Pending);
        due.extend(pending.map(|order| (order.since + overdue, "a confirmation")));
        let dated = |order: &&TwinOrder| order.doubt == Doubt::Confirmed && !order.expires.is_zero();
        let dated = self.live().filter(dated).filter(|order| !order.expiry_asked);
        due.extend(dated.map(|order| (order.expires + overdue, "the end of a dated order")));
        for (due, what) in due.into_iter().filter(|(due, _)| *due > now) {
            hold!("obligation", facts.deadline <= due, "{what} is due at {due:?}, not {:?}", facts.deadline);
        }
        Ok(())
    }

    // ---- small words ----

    pub(super) fn live(&self) -> impl Iterator<Item = &TwinOrder> {
        self.alive.iter().filter_map(|id| self.orders.get(id)).filter(|order| order.is_live())
    }

    pub(super) fn live_in(&self, key: OrderKey) -> Option<&TwinOrder> {
        if key.strategy == WORKFLOW || key.strategy == StrategyId::EXTERNAL {
            return None;
        }
        self.live().find(|order| order.key == key)
    }

    fn live_in_with_id(&self, key: OrderKey) -> Option<(ClientOrderId, &TwinOrder)> {
        let live = self.live_in(key)?;
        let id = self
            .alive
            .iter()
            .find(|id| self.orders.get(id).is_some_and(|order| std::ptr::eq(order, live)))?;
        Some((*id, live))
    }

    fn target(&self, key: OrderKey, _request: RequestKind) -> Option<&TwinOrder> {
        self.live_in(key)
    }

    /// Orders in doubt, those that have ended included.
    pub(super) fn doubts_on(&self, instrument: InstrumentId) -> usize {
        let ended = self.unresolved.iter().filter_map(|id| self.orders.get(id)).filter(|o| !o.is_live());
        let doubtful = |o: &&TwinOrder| o.instrument == instrument && o.doubt == Doubt::Unknown;
        self.live().chain(ended).filter(doubtful).count()
    }

    fn working_on(&self, instrument: InstrumentId, side: Side) -> i64 {
        self.live().filter(|o| o.instrument == instrument && o.side == side).map(TwinOrder::working).sum()
    }
}

fn rank_of(waiting: &Waiting) -> u8 {
    let strength = match waiting.request {
        RequestKind::Cancel => 0,
        RequestKind::Replace => 2,
        RequestKind::New => 4,
    };
    strength + u8::from(!waiting.reducing)
}
