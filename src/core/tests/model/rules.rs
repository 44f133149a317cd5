//! What may leave the core and what must not: verdicts, admissions, dispatches, asks; and the comparison of states.

use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::*;
use linchpin_core::intent::Intent;
use linchpin_core::num::*;
use linchpin_core::record::*;
use linchpin_core::state::order::{Confirmation, Order};
use linchpin_core::time::Nanos;

use super::{Agreement, Check, Doubt, Facts, Trust, Twin, TwinOrder, Waiting};

/// The workflow's own name: what it closes at market is nobody's slot.
const WORKFLOW: StrategyId = StrategyId(u8::MAX - 2);

impl Twin {
    // ---- decide: verdicts and dominance ----

    pub(super) fn intent(&mut self, record: &IntentRecord) -> Check {
        self.counts.intents += 1;
        let allowed = record.verdict == RiskReason::Allowed;
        self.counts.denials += u64::from(!allowed);
        let (objections, weighed) = self.objections(record);
        if allowed {
            hold!("risk", objections.is_empty(), "{record:?} was allowed although {objections:?}");
        } else {
            hold!("risk", objections.contains(&record.verdict), "{record:?}: only {objections:?} objects");
            hold!("risk", record.admission == Admission::None, "{record:?} was admitted");
            return Ok(());
        }
        let expected = self.admit(record, weighed);
        hold!("dominance", record.admission == expected, "{record:?}, expected {expected}");
        Ok(())
    }

    /// Everything that speaks against an intent, by the table of the semantics, all of it each time.
    fn objections(&mut self, record: &IntentRecord) -> (Vec<RiskReason>, Option<Waiting>) {
        use RiskReason as R;
        let mut against = Vec::new();
        let (key, strategy) = (record.key, record.key.strategy);
        let live = self.live_in(key).cloned();
        let waiting = self.waiting.get(&key).cloned();
        if record.request == RequestKind::Cancel {
            let known = live.is_some() || waiting.is_some() || strategy == WORKFLOW;
            return (if known { vec![] } else { vec![R::NoSuchOrder] }, None);
        }
        let bound = self.configuration.strategies.get(strategy.index()).cloned();
        let mut too_many = false;
        if let Some(limits) = &bound {
            let second = self.now.raw() / 1_000_000_000;
            let rate = self.rates.entry(strategy).or_default();
            *rate = if rate.0 == second { (second, rate.1 + 1) } else { (second, 1) };
            too_many = limits.max_intents_per_second != 0 && rate.1 > limits.max_intents_per_second;
        }
        // Whose terms these are: a New's own, those of a waiting New, or those of a live order.
        let folds = waiting.as_ref().filter(|w| w.request == RequestKind::New);
        let (instrument, side, added, shrinks) = match (record.request, folds, &live) {
            (RequestKind::New, ..) => (record.instrument, record.side, record.quantity.raw(), false),
            (_, Some(new), _) => (new.instrument, new.side, record.quantity.raw(), false),
            (_, None, Some(order)) => {
                let added = record.quantity.raw() - order.filled - order.working();
                (order.instrument, order.side, added, added < 0)
            }
            _ => return (vec![R::NoSuchOrder], None),
        };
        let unnamed = match folds {
            Some(new) => new.price.is_zero(),
            None => live.as_ref().is_some_and(|order| order.is_market),
        };
        let at = instrument.index();
        let Some(limits) = self.configuration.instruments.get(at).copied() else {
            return (vec![R::InstrumentUnknown], None);
        };
        let market = &self.markets[at];
        let Some(definition) = market.definition else { return (vec![R::InstrumentUnknown], None) };
        let keener = live.as_ref().is_some_and(|order| match side {
            Side::Buy => record.price > order.price,
            Side::Sell => record.price < order.price,
        });
        let shrinks = shrinks && !keener;
        let worst = self.worst(key, instrument, side) + added;
        // What the workflow closes positions with is reduce-only.
        let reducing = shrinks || worst <= 0 || strategy == WORKFLOW;
        let flatten = self.kill == Some(KillMode::Flatten);
        let mut object = |is: bool, reason: R| {
            if is {
                against.push(reason);
            }
        };
        object(self.kill.is_some() && !(flatten && reducing), R::Killed);
        object(too_many, R::IntentRate);
        object(!(self.trading || flatten && reducing), R::TradingDisabled);
        object(self.halted.contains(&strategy), R::StrategyHalted);
        object(self.reducing.contains(&strategy) && !reducing, R::StrategyReducing);
        object(record.request == RequestKind::Replace && unnamed, R::NotReplaceable);
        object(self.changes_nothing(record), R::DuplicateIntent);
        object(self.draining && !flatten, R::Draining);
        object(bound.as_ref().is_some_and(|b| !b.instruments.contains(&instrument.0)), R::NotOurInstrument);
        object(self.windows.iter().any(|window| window.0 == instrument), R::Unsettled);
        object(usize::from(key.slot) >= linchpin_core::limits::MAX_SLOTS, R::BadSlot);
        let being_cancelled = |o: &TwinOrder| matches!(o.inflight, Some((RequestKind::Cancel, ..)));
        let occupied = live.as_ref().is_some_and(|order| !being_cancelled(order));
        object(record.request == RequestKind::New && occupied, R::DuplicateOrder);
        object(!reducing && self.accounts.agreement[at] == Agreement::Inconsistent, R::PositionInconsistent);
        object(!reducing && !market.is_whole(), R::BookNotWhole);
        object(!reducing && market.stale, R::MarketStale);
        object(!reducing && market.is_crossed(), R::MarketCrossed);
        let (quantity, price) = (record.quantity, record.price);
        // The record does not say market or limit; the driver's limit prices are never zero.
        let is_market = price.is_zero();
        object(quantity < definition.min_quantity || quantity > definition.max_quantity, R::OffLotRange);
        object(is_market && quantity > definition.max_market_quantity, R::MarketLotRange);
        let reference = market.top().map(|(bid, ask)| (bid.price.raw() + ask.price.raw()).div_euclid(2));
        let valued = if is_market { Price::new(reference.unwrap_or(0)) } else { price };
        object(!is_market && (price < definition.min_price || price > definition.max_price), R::OffTickRange);
        let worth = definition.cash(valued.notional(quantity)).raw();
        let too_little = worth < i128::from(definition.min_notional);
        object(too_little && strategy != WORKFLOW, R::BelowMinNotional);
        object(quantity > limits.max_order_quantity, R::OrderTooLarge);
        object(valued.notional(quantity) > limits.max_order_notional, R::OrderNotionalTooLarge);
        if !is_market && limits.collar != 0 {
            match reference {
                None => object(true, R::NoReferencePrice),
                Some(reference) => object(
                    (price.raw() - reference).abs() * 10_000 > reference * i64::from(limits.collar),
                    R::OutsideCollar,
                ),
            }
        }
        if record.request == RequestKind::New && !reducing {
            let news = || self.waiting.iter().filter(|(k, w)| **k != key && w.request == RequestKind::New);
            let on = self.live().filter(|o| o.instrument == instrument).count()
                + news().filter(|(_, w)| w.instrument == instrument).count();
            let by = self.live().filter(|o| o.key.strategy == strategy).count()
                + news().filter(|(k, _)| k.strategy == strategy).count();
            let most = bound.as_ref().map_or(usize::MAX, |b| b.max_open_orders as usize);
            object(on >= limits.max_open_orders as usize, R::TooManyOpenOrders);
            object(by >= most, R::StrategyOpenOrders);
        }
        object(!reducing && worst > limits.max_position.raw(), R::PositionLimit);
        let crosses = |other: Price| match side {
            Side::Buy => price >= other,
            Side::Sell => price <= other,
        };
        let ours = self.live().any(|order| {
            let moved = order.inflight.is_some_and(|i| i.2.is_positive() && crosses(i.2));
            order.instrument == instrument
                && order.side != side
                && order.price.is_positive()
                && !order.is_market
                && (is_market || crosses(order.price) || moved)
                && order.working() > 0
        });
        object(ours && bound.is_some() && !(is_market && reducing), R::SelfCross);
        let weighed = Waiting {
            family: record.family,
            request: record.request,
            instrument,
            side,
            price,
            quantity: quantity.raw(),
            reducing,
            since: self.now,
            looked: false,
        };
        (against, Some(weighed))
    }

    /// What waits, is on its way, or rests says the same already.
    fn changes_nothing(&self, record: &IntentRecord) -> bool {
        let terms = (record.price, record.quantity.raw());
        if let Some(waiting) = self.waiting.get(&record.key) {
            let about = (waiting.instrument, waiting.side) == (record.instrument, record.side);
            let same = terms == (waiting.price, waiting.quantity);
            return match (waiting.request, record.request) {
                (RequestKind::New, RequestKind::New) => same && about,
                (RequestKind::New | RequestKind::Replace, RequestKind::Replace) => same,
                _ => false,
            };
        }
        let live = self.live_in(record.key).filter(|_| record.request == RequestKind::Replace);
        live.is_some_and(|order| match order.inflight {
            Some((RequestKind::Replace, _, price, quantity)) => terms == (price, quantity),
            _ => terms == (order.price, order.quantity),
        })
    }

    /// A strategy that ran away is halted before anything else happens.
    pub(super) fn trip(&mut self, trip: &Trip) -> Check {
        let (rate, bound) = (self.rates.get(&trip.strategy).copied().unwrap_or_default(), trip.bound);
        let ran_away = trip.why == RiskReason::IntentRate && i64::from(rate.1) > bound && bound > 0;
        hold!("trip", ran_away && self.halted.insert(trip.strategy), "{trip:?} with {rate:?}");
        self.reducing.remove(&trip.strategy);
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
            let (since, looked) = (self.now, false);
            let (reducing, family) = (true, record.family);
            Waiting { request: K::Cancel, instrument, side, price, quantity, reducing, family, since, looked }
        });
        let known = self.waiting.get(&record.key).cloned();
        let pending = known.as_ref().map(|waiting| waiting.request);
        match (pending, record.request) {
            (Some(K::New), K::Replace) => {
                let new = self.waiting.get_mut(&record.key).unwrap();
                (new.price, new.quantity) = (weighed.price, weighed.quantity);
                // Another rank: it enters anew, with its age.
                new.looked &= new.reducing == weighed.reducing;
                new.reducing = weighed.reducing;
                A::Folded
            }
            (Some(K::New), K::Cancel) => {
                self.waiting.remove(&record.key);
                A::Removed
            }
            (Some(K::Replace), K::New) | (Some(K::Cancel), K::New | K::Replace) => A::Discarded,
            (pending, _) => {
                let since = known.map_or(weighed.since, |known| known.since);
                self.waiting.insert(record.key, Waiting { since, ..weighed });
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
                hold!("queue", self.kill.is_some() || taken_back, "purged {key:?} without a kill");
            }
            CloseReason::TooOld => {
                let old = known.as_ref().is_some_and(|waiting| self.is_too_old(waiting));
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
        waiting.request != RequestKind::Cancel
            && (self.halted.contains(&key.strategy)
                || (self.reducing.contains(&key.strategy) && !waiting.reducing))
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
        hold!("dispatch", waiting.request == sent.request, "{sent:?} instead of {waiting:?}");
        if sent.request != RequestKind::Cancel {
            let same = (sent.price, sent.quantity.raw()) == (waiting.price, waiting.quantity);
            hold!("dispatch", same, "{sent:?} with other terms than {waiting:?}");
        }
        let mine = rank_of(&waiting);
        hold!("order", mine >= *rank, "{sent:?} went after what must wait for it");
        *rank = mine;
        if let Some(gate) = self.gate(&sent.key, &waiting) {
            return Err(format!("gate: {sent:?} went out while {gate} was closed"));
        }
        let venue = sent.venue;
        hold!("rate", self.draw(venue, sent.request).is_ok(), "{sent:?} without tokens");
        self.window_holds(venue, sent)?;
        match sent.request {
            RequestKind::New => {
                let fresh = self.ids_used.insert(sent.client_order_id)
                    && !self.orders.contains_key(&sent.client_order_id);
                hold!("ids", fresh, "{} is not new", sent.client_order_id);
                hold!("key", self.live_in(sent.key).is_none(), "{sent:?} into a slot with a live order");
                let order = TwinOrder {
                    key: sent.key,
                    instrument: sent.instrument,
                    venue,
                    side: sent.side,
                    state: linchpin_core::state::order::OrderState::Submitted,
                    price: sent.price,
                    is_market: sent.kind == OrderKind::Market,
                    quantity: sent.quantity.raw(),
                    cumulative: 0,
                    filled: 0,
                    closes: sent.flags.has(linchpin_core::dispatch::DispatchFlags::REDUCE_ONLY),
                    trades: Vec::new(),
                    untraced: false,
                    inflight: Some((RequestKind::New, sent.number, Price::ZERO, 0)),
                    doubt: Doubt::Pending,
                    gone: false,
                    missing: false,
                    asked: 0,
                    since: self.now,
                    created: self.now,
                    reported: Nanos::ZERO,
                    family: waiting.family,
                    out_by: waiting.family,
                };
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
                order.out_by = waiting.family;
                order.inflight = Some((request, sent.number, sent.price, sent.quantity.raw()));
                if order.doubt != Doubt::Unknown {
                    order.doubt = Doubt::Pending;
                }
                order.since = now;
            }
        }
        Ok(())
    }

    /// New risk that was wished so long ago that its market is gone.
    fn is_too_old(&self, waiting: &Waiting) -> bool {
        let ages = waiting.request != RequestKind::Cancel && !waiting.reducing;
        ages && waiting.looked && self.now.since(waiting.since) > Nanos::from_millis(500)
    }

    /// What never left has used nothing up.
    pub(super) fn give_back(&mut self, venue: VenueId, not_sent: &NotSent) {
        let at = venue.index();
        self.venues[at].sent.retain(|sent| sent.2 != not_sent.dispatch);
        let limits = &self.configuration.venues[at].buckets;
        for (bucket, limit) in self.venues[at].buckets.iter_mut().zip(limits) {
            let unit = i128::from(limit.interval.raw());
            let cost = i128::from(limit.costs[usize::from(not_sent.request.code())]);
            bucket.0 = (bucket.0 + cost * unit).min(i128::from(limit.burst) * unit);
        }
    }

    /// The first gate that holds this command.
    fn gate(&self, key: &OrderKey, waiting: &Waiting) -> Option<Gate> {
        let venue = &self.venues[self.configuration.instruments[waiting.instrument.index()].venue.index()];
        let up = |kind| venue.up.get(&kind).copied().unwrap_or(false);
        if waiting.request == RequestKind::Cancel {
            if self.kill == Some(KillMode::Block) {
                return Some(Gate::Kill);
            }
            if !up(LinkKind::OrderEntry) {
                return Some(Gate::OrderEntryLink);
            }
            let target = self.target(*key, waiting.request);
            let gone = target.is_some_and(|order| order.doubt == Doubt::Unknown && order.gone);
            return gone.then_some(Gate::Recovery);
        }
        let closing = waiting.reducing && self.kill == Some(KillMode::Flatten);
        let market = &self.markets[waiting.instrument.index()];
        let doubts = self.doubts_on(waiting.instrument);
        let target = self.target(*key, waiting.request).is_some_and(|o| o.doubt == Doubt::Unknown);
        let closed = [
            (self.kill.is_some() && !closing, Gate::Kill),
            ((!self.trading || self.draining) && !closing, Gate::Trading),
            (self.held.contains(&Gate::Journal), Gate::Journal),
            (self.held.contains(&Gate::Clock), Gate::Clock),
            (self.held.contains(&Gate::Operator), Gate::Operator),
            (!up(LinkKind::OrderEntry), Gate::OrderEntryLink),
            (!up(LinkKind::Private), Gate::PrivateLink),
            (venue.trust != Trust::Trusted, Gate::Account),
            (!up(LinkKind::Market), Gate::MarketLink),
            (target || (!waiting.reducing && doubts > 0), Gate::Recovery),
            (self.is_held(waiting), Gate::Confirmation),
            (!waiting.reducing && !market.is_trusted(), Gate::Book),
        ];
        closed.iter().find(|(closed, _)| *closed).map(|(_, gate)| *gate)
    }

    /// A higher family has something out on this instrument that the venue has not confirmed.
    fn is_held(&self, waiting: &Waiting) -> bool {
        let out = self.live().filter(|o| o.instrument == waiting.instrument && o.doubt != Doubt::Confirmed);
        let mut by = out.map(|o| if o.inflight.is_some() { o.out_by } else { o.family });
        by.any(|family| family != Family::Recovery && waiting.family.yields_to(family))
    }

    /// Tokens by the definition: full at first, `refill` an interval, never above `burst`.
    fn draw(&mut self, venue: VenueId, request: RequestKind) -> Result<(), ()> {
        self.tokens(venue, request)?;
        let limits = &self.configuration.venues[venue.index()].buckets;
        for (bucket, limit) in self.venues[venue.index()].buckets.iter_mut().zip(limits) {
            let cost = i128::from(limit.costs[usize::from(request.code())]);
            bucket.0 -= cost * i128::from(limit.interval.raw());
        }
        Ok(())
    }

    fn tokens(&mut self, venue: VenueId, request: RequestKind) -> Result<(), ()> {
        let limits = &self.configuration.venues[venue.index()].buckets;
        let mut room = self.now >= self.venues[venue.index()].held_until;
        for (bucket, limit) in self.venues[venue.index()].buckets.iter_mut().zip(limits) {
            let unit = i128::from(limit.interval.raw());
            let passed = i128::from(self.now.raw() - bucket.1.raw());
            bucket.0 = (bucket.0 + passed * i128::from(limit.refill)).min(i128::from(limit.burst) * unit);
            bucket.1 = self.now;
            let cost = i128::from(limit.costs[usize::from(request.code())]);
            let kept = if request == RequestKind::Cancel { 0 } else { i128::from(limit.cancel_reserve) };
            room &= cost == 0 || bucket.0 >= (cost + kept) * unit;
        }
        if room { Ok(()) } else { Err(()) }
    }

    /// In no window of a bucket's interval more than its burst and one refill.
    fn window_holds(&mut self, venue: VenueId, sent: &linchpin_core::dispatch::Dispatch) -> Check {
        let at = venue.index();
        self.venues[at].sent.push((self.now, sent.request, sent.number));
        for limit in &self.configuration.venues[at].buckets {
            let recent = self.venues[at].sent.iter().rev();
            let within = recent.take_while(|(time, ..)| *time + limit.interval > self.now);
            let used: u64 = within.map(|(_, r, _)| u64::from(limit.costs[usize::from(r.code())])).sum();
            let most = u64::from(limit.burst) + u64::from(limit.refill);
            hold!("rate", used <= most, "{used} of {most} in one window at venue {at}");
        }
        Ok(())
    }

    /// The maximal sendable prefix has gone: what is left is held by a gate, a request, or tokens.
    pub(super) fn nothing_waits_without_reason(&mut self) -> Check {
        let mut left: Vec<(OrderKey, Waiting)> = self.waiting.iter().map(|(k, w)| (*k, w.clone())).collect();
        left.sort_by_key(|(_, waiting)| rank_of(waiting));
        let mut exhausted = vec![false; self.venues.len()];
        for (key, waiting) in left {
            hold!("queue", !self.is_too_old(&waiting), "{waiting:?} of {key:?} is too old");
            let purged = waiting.request == RequestKind::Cancel || waiting.reducing || self.kill.is_none();
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
            if self.tokens(venue, waiting.request).is_err() {
                exhausted[venue.index()] = true;
                continue;
            }
            let behind = exhausted[venue.index()];
            hold!("prefix", behind, "{waiting:?} of {key:?} waits for nothing");
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
        let known = order.doubt == Doubt::Confirmed || !order.is_live() && order.doubt == Doubt::Pending;
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
        self.ledger.check(&facts.owners, &facts.totals)?;
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
                && waiting.reducing == pending.reducing
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
            let (found, expected) = (facts.agreement[at], self.accounts.agreement[at]);
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
        let fresh = self.markets.iter().filter(|market| !market.stale && market.is_trusted());
        due.extend(fresh.map(|market| (market.updated + market.stale_after, "a market")));
        let overdue = self.configuration.confirmation_timeout;
        let pending = self.live().filter(|order| order.doubt == Doubt::Pending);
        due.extend(pending.map(|order| (order.since + overdue, "a confirmation")));
        for (due, what) in due.into_iter().filter(|(due, _)| *due > now) {
            hold!("obligation", facts.deadline <= due, "{what} is due at {due:?}, not {:?}", facts.deadline);
        }
        Ok(())
    }

    // ---- small words ----

    fn live(&self) -> impl Iterator<Item = &TwinOrder> {
        self.alive.iter().filter_map(|id| self.orders.get(id)).filter(|order| order.is_live())
    }

    fn live_in(&self, key: OrderKey) -> Option<&TwinOrder> {
        if key.strategy == WORKFLOW || key.strategy == StrategyId::EXTERNAL {
            return None;
        }
        self.live().find(|order| order.key == key)
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

    /// The position towards a side if all that works or waits there fills, but for what waits under `key`. What the
    /// workflow closes with brings it to flat at most.
    fn worst(&self, key: OrderKey, instrument: InstrumentId, side: Side) -> i64 {
        let held = self.ledger.total(instrument.index());
        let towards = if side == Side::Buy { held } else { -held };
        let on = |o: &&TwinOrder| o.instrument == instrument && o.side == side;
        let works = self.live().filter(on).map(|order| (order.closes, order.working()));
        let waiting = self.waiting.iter().filter(|(k, w)| **k != key && w.instrument == instrument);
        let waits = waiting.map(|(k, w)| {
            let adds = match w.request {
                RequestKind::New if w.side == side => w.quantity,
                RequestKind::Replace => match self.live_in(*k) {
                    Some(o) if o.side == side => (w.quantity - o.filled - o.working()).max(0),
                    _ => 0,
                },
                _ => 0,
            };
            (k.strategy == WORKFLOW, adds)
        });
        // What only closes brings the position to flat, and no further.
        let (mut plain, mut closing) = (0, 0);
        for (closes, adds) in works.chain(waits) {
            *if closes { &mut closing } else { &mut plain } += adds;
        }
        towards + plain + closing.min((-towards).max(0))
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
