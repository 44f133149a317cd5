//! The venue's side of the world: it takes what the core sent, late or twice or never, fills and ends orders, and reads itself back.

use super::*;

impl World {
    /// One message of those on their way: in any order, sometimes twice, sometimes never.
    pub(super) fn deliver(&mut self) -> Result<(), String> {
        if self.pool.is_empty() {
            return Ok(());
        }
        let recent = self.pool.len().min(12) as u64;
        let at = if self.dice.percent(70) { 0 } else { self.dice.below(recent) as usize };
        let (venue, instrument, stamp, body) = self.pool[at];
        if !self.dice.percent(8) {
            self.pool.remove(at);
        }
        if self.dice.permille(4) {
            return Ok(());
        }
        self.give_at(venue, instrument, stamp, body)
    }

    // ---- the venue ----

    pub(super) fn tell(&mut self, of: &Resting, execution: Execution, last: i64, flags: ReportFlags) {
        let body = Body::Order(self.report(of, execution, last, flags));
        self.pool.push((of.venue, of.instrument, self.now, body));
    }

    pub(super) fn report(
        &mut self,
        of: &Resting,
        execution: Execution,
        last: i64,
        flags: ReportFlags,
    ) -> OrderReport {
        let trade = execution == Execution::Trade;
        if trade {
            self.trades += 1;
        }
        let (fee_asset, fee) = match (of.venue, of.side) {
            (SPOT, Side::Buy) => (SPOT_BASE, last * LOT / 11),
            _ if self.trades.is_multiple_of(9) => (COIN, last * 7),
            _ => (QUOTE, last * 3),
        };
        let flags = flags
            .with(ReportFlags::LONG_SIDE, of.leg == PositionSide::Long)
            .with(ReportFlags::SHORT_SIDE, of.leg == PositionSide::Short);
        OrderReport {
            client_order_id: of.id,
            venue_order_id: VenueOrderId(of.number),
            price: Price::new(of.price),
            quantity: Quantity::new(of.quantity),
            cumulative_quantity: Quantity::new(of.done),
            last_quantity: Quantity::new(last),
            last_price: if trade { Price::new(self.fills_at(of)) } else { Price::ZERO },
            trade_id: if trade { self.trades } else { 0 },
            fee: if trade { fee } else { 0 },
            fee_asset,
            execution,
            status: of.status,
            kind: of.kind,
            time_in_force: TimeInForce::GoodTillCancel,
            side: of.side,
            flags,
        }
    }

    /// What bears no price fills at the market.
    pub(super) fn fills_at(&self, of: &Resting) -> i64 {
        if of.price > 0 { of.price } else { self.middles[of.instrument.index()] }
    }

    /// The venue takes one request off the wire.
    pub(super) fn handle(&mut self) {
        if self.wire.is_empty() {
            return;
        }
        let at = self.dice.below(self.wire.len().min(4) as u64) as usize;
        let sent = self.wire.remove(at);
        let answer = |verdict, reason| {
            Body::Outcome(RequestOutcome {
                client_order_id: sent.client_order_id,
                venue_order_id: VenueOrderId(sent.number),
                dispatch: sent.number,
                code: 0,
                request: sent.request,
                verdict,
                reason,
            })
        };
        let now = self.now;
        let mut push = |body| self.pool.push((sent.venue, sent.instrument, now, body));
        match self.dice.below(100) {
            0..4 => {
                let shut = self.dice.percent(5);
                let reason = if shut { NotSentReason::KillGate } else { NotSentReason::SocketFull };
                let (client_order_id, dispatch) = (sent.client_order_id, sent.number);
                push(Body::NotSent(NotSent { client_order_id, dispatch, request: sent.request, reason }));
                return;
            }
            4..7 => return, // lost with its answer
            7..11 => {
                push(answer(Verdict::Unknown, RejectReason::NoAnswer));
                if self.dice.percent(50) {
                    return;
                }
            }
            11..17 => {
                push(answer(Verdict::Rejected, RejectReason::Filter));
                return;
            }
            17..80 => push(answer(Verdict::Accepted, RejectReason::None)),
            _ => {}
        }
        let known = self.book.get(&sent.client_order_id).copied().filter(Resting::is_open);
        let (execution, changed) = match (sent.request, known) {
            (RequestKind::New, _) => {
                let resting = Resting {
                    id: sent.client_order_id,
                    number: sent.number + 9_000,
                    venue: sent.venue,
                    instrument: sent.instrument,
                    side: sent.side,
                    leg: sent.position_side,
                    kind: sent.kind,
                    active: !sent.kind.is_conditional(),
                    reduces: sent.flags.has(DispatchFlags::REDUCE_ONLY),
                    closes_whole: sent.flags.has(DispatchFlags::CLOSE_POSITION),
                    expires: sent.expires,
                    price: sent.price.raw(),
                    quantity: sent.quantity.raw(),
                    done: 0,
                    status: VenueStatus::New,
                };
                self.ids.push(resting.id);
                (Execution::New, resting)
            }
            (_, None) => {
                push(answer(Verdict::Rejected, RejectReason::UnknownOrder));
                return;
            }
            (RequestKind::Replace, Some(order)) if sent.quantity.raw() <= order.done => {
                push(answer(Verdict::Rejected, RejectReason::NoChange));
                return;
            }
            (RequestKind::Replace, Some(order)) => {
                let (price, quantity) = (sent.price.raw(), sent.quantity.raw());
                (Execution::Replaced, Resting { price, quantity, ..order })
            }
            (RequestKind::Cancel, Some(order)) => {
                (Execution::Cancelled, Resting { status: VenueStatus::Cancelled, ..order })
            }
        };
        self.book.insert(changed.id, changed);
        self.tell(&changed, execution, 0, ReportFlags::default());
    }

    pub(super) fn open(&mut self) -> Option<Resting> {
        let book = &self.book;
        self.ids.retain(|id| book[id].is_open());
        let at = self.dice.below(self.ids.len() as u64) as usize;
        self.ids.get(at).map(|id| self.book[id])
    }

    pub(super) fn trade(&mut self) {
        let Some(mut order) = self.open() else { return };
        if !order.expires.is_zero() && order.expires <= self.now {
            return self.end(order, Execution::Expired, VenueStatus::Expired);
        }
        if !order.active {
            return self.trigger(order);
        }
        let left = (order.quantity - order.done).min(self.most_it_may(&order));
        if left <= 0 {
            return self.end(order, Execution::Expired, VenueStatus::Expired);
        }
        let part = if self.dice.percent(40) { left } else { self.dice.between(1, left).min(left) };
        order.done += part;
        order.status =
            if order.done == order.quantity { VenueStatus::Filled } else { VenueStatus::PartiallyFilled };
        self.book.insert(order.id, order);
        let signed = if order.side == Side::Buy { part } else { -part };
        self.positions[order.instrument.index()][usize::from(order.leg.code())] += signed;
        if self.dice.percent(15) {
            // As USD-M tells it, or as a list of trades does.
            let told = if self.dice.percent(80) { ReportFlags::FEE_TO_COME } else { 0 };
            let lite = ReportFlags(ReportFlags::TRADE_ONLY | told);
            let lite = self.report(&order, Execution::Trade, part, lite);
            self.trades -= 1; // the same trade comes again with its order
            let cumulative = if self.dice.percent(50) { Quantity::ZERO } else { lite.cumulative_quantity };
            let lite = OrderReport { cumulative_quantity: cumulative, status: VenueStatus::Other, ..lite };
            self.pool.push((order.venue, order.instrument, self.now, Body::Order(lite)));
        }
        self.tell(&order, Execution::Trade, part, ReportFlags::default());
        if order.venue == SPOT {
            let fee = if order.side == Side::Buy { part * LOT / 11 } else { 0 };
            self.coins += signed * LOT - fee;
            let body = self.coins(0, BalanceCause::Order, false);
            self.pool.push((SPOT, InstrumentId::NONE, self.now, body));
        } else if self.dice.percent(50) {
            let body = self.position(order.instrument, order.leg, false);
            self.pool.push((order.venue, order.instrument, self.now, body));
        }
    }

    /// A venue lets what only reduces fill to flat, and nobody sell what he has not.
    pub(super) fn most_it_may(&self, order: &Resting) -> i64 {
        let held = self.positions[order.instrument.index()][usize::from(order.leg.code())];
        let towards = if order.side == Side::Buy { held } else { -held };
        let closes = order.reduces || order.closes_whole || order.leg.is_closed_by(order.side);
        match (order.venue, order.side) {
            (SPOT, Side::Sell) => self.coins / LOT,
            (SPOT, Side::Buy) => i64::MAX,
            _ if closes => -towards,
            _ => i64::MAX,
        }
    }

    /// The price has reached it: it becomes a limit or a market order, ends, or is refused.
    pub(super) fn trigger(&mut self, mut order: Resting) {
        if order.closes_whole {
            order.quantity = self.most_it_may(&order).max(0);
        }
        if order.closes_whole && order.quantity == 0 {
            return self.end(order, Execution::Expired, VenueStatus::Expired);
        }
        if self.dice.percent(5) {
            return self.end(order, Execution::Rejected, VenueStatus::Rejected);
        }
        order.active = true;
        self.book.insert(order.id, order);
        self.tell(&order, Execution::New, 0, ReportFlags(ReportFlags::TRIGGERED));
    }

    pub(super) fn end_one(&mut self) {
        let Some(order) = self.open() else { return };
        let (execution, status) = match self.dice.below(3) {
            0 => (Execution::Expired, VenueStatus::Expired),
            1 => (Execution::TradePrevention, VenueStatus::Expired),
            _ => (Execution::Cancelled, VenueStatus::Cancelled),
        };
        self.end(order, execution, status);
    }

    pub(super) fn end(&mut self, order: Resting, execution: Execution, status: VenueStatus) {
        let order = Resting { status, ..order };
        self.book.insert(order.id, order);
        self.tell(&order, execution, 0, ReportFlags::default());
    }

    /// A balance, old or new; funding; a deposit; and now and then a wish to be left alone.
    pub(super) fn say_balance(&mut self) -> Result<(), String> {
        let venue = self.dice.one_of(&VENUES);
        let stamp = self.now - Nanos::from_millis(self.dice.below(40));
        if self.dice.percent(10) {
            let retry_at = self.now + Nanos::from_millis(self.dice.below(300));
            let usage = RateUsage { bucket: u8::MAX, used: 1, limit: 2, retry_at };
            return self.give_at(venue, InstrumentId::NONE, stamp, Body::RateUsage(usage));
        }
        if self.dice.percent(25) {
            // What it has counted in its window, others' included; now and then with its limit.
            let limit = if self.dice.percent(30) { self.dice.between(10, 80) as u32 } else { 0 };
            let (bucket, used) = (self.dice.below(u64::from(COUNTS)) as u8, self.dice.below(40) as u32);
            let usage = RateUsage { bucket, used, limit, retry_at: Nanos::ZERO };
            return self.give_at(venue, InstrumentId::NONE, stamp, Body::RateUsage(usage));
        }
        if venue == SPOT && self.dice.percent(50) {
            let change = self.dice.between(-3 * LOT, 5 * LOT).max(-self.coins);
            let cause = if change > 0 { BalanceCause::Deposit } else { BalanceCause::Withdrawal };
            self.coins += change;
            let body = self.coins(change, cause, false);
            return self.give(SPOT, InstrumentId::NONE, body);
        }
        let funding = self.dice.percent(40);
        let instrument = match self.dice.below(2) {
            0 if funding => InstrumentId(self.dice.below(u64::from(INSTRUMENTS)) as u16),
            _ => InstrumentId::NONE,
        };
        let available = if self.dice.percent(30) { i64::MIN } else { self.dice.between(0, 1_000) };
        let report = BalanceReport {
            asset: if funding { QUOTE } else { self.dice.one_of(&[QUOTE, COIN, AssetId(2)]) },
            wallet: self.dice.between(-10, 4_000_000_000),
            available,
            change: if funding { self.dice.between(-50_000, 50_000) } else { 0 },
            cause: if funding { BalanceCause::Funding } else { BalanceCause::Order },
            hydrated: false,
        };
        let venue = if instrument.is_none() { venue } else { self.venue_of(instrument) };
        // Told twice, now and then: it is paid once.
        for _ in 0..=u8::from(self.dice.percent(20)) {
            self.give_at(venue, instrument, stamp, Body::Balance(report))?;
        }
        Ok(())
    }

    pub(super) fn coins(&self, change: i64, cause: BalanceCause, hydrated: bool) -> Body {
        let (asset, wallet) = (SPOT_BASE, self.coins);
        Body::Balance(BalanceReport { asset, wallet, available: i64::MIN, change, cause, hydrated })
    }

    /// Somebody else trades on our account.
    pub(super) fn stranger(&mut self) {
        let instrument = InstrumentId(self.dice.below(u64::from(INSTRUMENTS)) as u16);
        let number = self.dice.roll() >> 8;
        let leg = self.dice.one_of(self.core.state().execution.legs_of(instrument));
        let order = Resting {
            id: if self.dice.percent(50) {
                ClientOrderId::compose(*b"other", number)
            } else {
                // Longer than is kept here, as most of those are that people and other systems make.
                ClientOrderId::from_text(format!("web_{number:032}").as_bytes())
            },
            number,
            venue: self.venue_of(instrument),
            instrument,
            side: self.dice.side(),
            leg,
            kind: OrderKind::Limit,
            active: true,
            reduces: false,
            closes_whole: false,
            expires: Nanos::ZERO,
            price: self.middles[instrument.index()] + self.dice.between(-50, 50),
            quantity: self.dice.between(1, 8),
            done: 0,
            status: VenueStatus::New,
        };
        self.book.insert(order.id, order);
        self.ids.push(order.id);
        self.tell(&order, Execution::New, 0, ReportFlags::default());
    }

    pub(super) fn position(&self, instrument: InstrumentId, leg: PositionSide, hydrated: bool) -> Body {
        Body::Position(PositionReport {
            quantity: Quantity::new(self.positions[instrument.index()][usize::from(leg.code())]),
            entry_price: 9_990_000_000 + i64::from(instrument.0) * 3_333_333,
            unrealised: 0,
            side: leg,
            hydrated,
        })
    }

    /// Answers an ask, or goes on with the answer that is being delivered.
    pub(super) fn read_back(&mut self) -> Result<(), String> {
        let venue = self.dice.below(VENUES.len() as u64) as usize;
        if let Some((instrument, body)) = self.reading[venue].pop_front() {
            return self.give(VenueId(venue as u8), instrument, body);
        }
        let Some(at) = self.asks.iter().position(|ask| ask.venue.index() == venue) else { return Ok(()) };
        let ask = self.asks.remove(at);
        let now = self.now;
        let bracket = |phase| {
            Body::Hydration(Hydration {
                scope: ask.scope,
                phase,
                client_order_id: ask.client_order_id,
                request: ask.number,
                as_of: now,
            })
        };
        let hydrated = ReportFlags(ReportFlags::HYDRATED);
        let none = InstrumentId::NONE;
        if self.dice.percent(10) {
            return self.give(ask.venue, none, bracket(HydrationPhase::Failed));
        }
        if ask.scope == HydrationScope::Order {
            let phase = match self.book.get(&ask.client_order_id).copied() {
                Some(order) => {
                    let report = self.report(&order, Execution::Status, 0, hydrated);
                    self.give(ask.venue, order.instrument, Body::Order(report))?;
                    HydrationPhase::End
                }
                None => HydrationPhase::NotFound,
            };
            return self.give(ask.venue, ask.instrument, bracket(phase));
        }
        self.give(ask.venue, none, bracket(HydrationPhase::Begin))?;
        let mut open: Vec<Resting> =
            self.book.values().filter(|o| o.is_open() && o.venue == ask.venue).copied().collect();
        open.sort_by_key(|order| order.id);
        for order in open {
            let report = self.report(&order, Execution::Status, 0, hydrated);
            self.reading[venue].push_back((order.instrument, Body::Order(report)));
        }
        for at in 0..INSTRUMENTS {
            let id = InstrumentId(at);
            if self.venue_of(id) == ask.venue && ask.venue != SPOT {
                for leg in self.core.state().execution.legs_of(id) {
                    let body = self.position(id, *leg, true);
                    self.reading[venue].push_back((id, body));
                }
            }
        }
        if ask.venue == SPOT {
            let body = self.coins(0, BalanceCause::ReadBack, true);
            self.reading[venue].push_back((none, body));
        }
        self.reading[venue].push_back((none, bracket(HydrationPhase::End)));
        Ok(())
    }
}
