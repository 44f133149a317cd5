//! A venue for tests of strategies: it takes the desk's dispatches, matches them against the touch, and tells what happened, or loses
//! some of what it should have told.
//!
//! Promises: every order ends as a venue would end it; what is lost is chosen by a seed; a question about an order is always answered.
#![allow(dead_code, reason = "each test program uses the words that it needs")]

use linchpin_core::dispatch::{Dispatch, DispatchFlags};
use linchpin_core::event::*;
use linchpin_core::id::{ClientOrderId, VenueOrderId};
use linchpin_core::num::{Price, Quantity};
use linchpin_core::time::Nanos;

use super::desk::{BTC, Desk};

pub struct Floor {
    pub orders: Vec<Open>,
    pub bid: i64,
    pub ask: i64,
    /// What the account holds, by the venue's book.
    pub held: i64,
    /// All that ever traded, both sides.
    pub bought: i64,
    pub sold: i64,
    trades: u64,
    asked: usize,
    /// One report in so many is lost; zero: none.
    pub loses_one_in: u64,
    seed: u64,
    /// Times that a dispatch named an order twice or an order that never was.
    pub faults: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
pub struct Open {
    pub order: Dispatch,
    pub price: i64,
    pub quantity: i64,
    pub filled: i64,
    pub status: VenueStatus,
    pub fired: bool,
}

impl Open {
    pub fn is_live(&self) -> bool {
        matches!(self.status, VenueStatus::New | VenueStatus::PartiallyFilled)
    }
    pub fn leaves(&self) -> i64 {
        self.quantity - self.filled
    }
    fn rests(&self) -> bool {
        self.is_live() && (self.fired || !self.order.kind.is_conditional())
    }
}

impl Floor {
    pub fn new(seed: u64) -> Self {
        Self {
            orders: vec![],
            bid: 10_000,
            ask: 10_010,
            held: 0,
            bought: 0,
            sold: 0,
            trades: 0,
            asked: 0,
            loses_one_in: 0,
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            faults: vec![],
        }
    }

    pub fn dice(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % below
    }

    /// The touch moves; stops fire; the strategies see it.
    pub fn market(&mut self, desk: &mut Desk, bid: i64, ask: i64) {
        (self.bid, self.ask) = (bid, ask);
        for at in 0..self.orders.len() {
            let open = self.orders[at];
            let stop = open.order.stop_price.raw();
            let reached = match (open.order.kind, open.order.side) {
                (OrderKind::StopMarket, Side::Sell) => bid <= stop,
                (OrderKind::StopMarket, Side::Buy) => ask >= stop,
                _ => false,
            };
            if open.is_live() && !open.fired && reached {
                self.orders[at].fired = true;
                let flags = ReportFlags::default().with(ReportFlags::TRIGGERED, true);
                self.tell(desk, at, Execution::New, flags, None);
                self.trade(desk, at, if open.order.side == Side::Sell { bid } else { ask }, i64::MAX);
                self.end(desk, at, VenueStatus::Expired);
            }
        }
        desk.market(BTC, bid, ask);
        self.work(desk);
    }

    /// Someone trades through the resting orders at the touch or better, up to `quantity` of each.
    pub fn hit(&mut self, desk: &mut Desk, quantity: i64) {
        for at in 0..self.orders.len() {
            let open = self.orders[at];
            let touched = match open.order.side {
                Side::Buy => open.price >= self.bid,
                Side::Sell => open.price <= self.ask,
            };
            if open.rests() && open.order.kind == OrderKind::Limit && touched {
                self.trade(desk, at, open.price, quantity);
            }
        }
        self.work(desk);
    }

    /// The venue ends an order by itself.
    pub fn evict(&mut self, desk: &mut Desk, kind: OrderKind) {
        for at in 0..self.orders.len() {
            if self.orders[at].is_live() && self.orders[at].order.kind == kind {
                self.end(desk, at, VenueStatus::Cancelled);
            }
        }
        self.work(desk);
    }

    pub fn live(&self) -> Vec<Open> {
        self.orders.iter().filter(|open| open.is_live()).copied().collect()
    }

    pub fn live_of(&self, kind: OrderKind) -> Vec<Open> {
        self.live().into_iter().filter(|open| open.order.kind == kind).collect()
    }

    /// Answers what the desk sent and asked, until it is silent, and lets every window settle.
    pub fn work(&mut self, desk: &mut Desk) {
        for _ in 0..200 {
            let sent = desk.take_dispatches();
            let asks: Vec<_> = desk.seen.asks[self.asked..].to_vec();
            self.asked = desk.seen.asks.len();
            if sent.is_empty() && asks.is_empty() {
                desk.settle();
                if desk.seen.dispatches.is_empty() && desk.seen.asks.len() == self.asked {
                    return;
                }
                continue;
            }
            for order in sent {
                self.take(desk, order);
            }
            for ask in asks {
                match ask.scope {
                    HydrationScope::Order => self.read_back(desk, &ask),
                    _ => self.read_account(desk),
                }
            }
        }
        panic!("it never rests: {:?}", desk.seen.decisions.iter().rev().take(12).collect::<Vec<_>>());
    }

    /// Time for what was lost to be found out.
    pub fn pass(&mut self, desk: &mut Desk, span: Nanos) {
        let until = desk.now + span;
        while desk.now < until {
            desk.pass(Nanos::from_millis(500));
            self.work(desk);
        }
    }

    fn take(&mut self, desk: &mut Desk, order: Dispatch) {
        match order.request {
            RequestKind::New => self.open(desk, order),
            RequestKind::Cancel => {
                let Some(at) = self.find(order.client_order_id) else { return };
                if self.orders[at].is_live() {
                    self.end(desk, at, VenueStatus::Cancelled);
                } else {
                    desk.outcome(&order, Verdict::Rejected, RejectReason::UnknownOrder);
                }
            }
            RequestKind::Replace => {
                let Some(at) = self.find(order.client_order_id) else { return };
                let (price, quantity) = (order.price.raw(), order.quantity.raw());
                if !self.orders[at].is_live() || quantity <= self.orders[at].filled {
                    desk.outcome(&order, Verdict::Rejected, RejectReason::UnknownOrder);
                    return;
                }
                (self.orders[at].price, self.orders[at].quantity) = (price, quantity);
                self.tell(desk, at, Execution::Replaced, ReportFlags::default(), None);
                self.cross(desk, at);
            }
        }
    }

    fn open(&mut self, desk: &mut Desk, order: Dispatch) {
        if self.find(order.client_order_id).is_some() {
            self.faults.push(format!("sent twice: {order:?}"));
            return;
        }
        let (price, quantity) = (order.price.raw(), order.quantity.raw());
        let (status, fired) = (VenueStatus::New, false);
        self.orders.push(Open { order, price, quantity, filled: 0, status, fired });
        let at = self.orders.len() - 1;
        let crosses = match order.side {
            Side::Buy => price >= self.ask,
            Side::Sell => price <= self.bid,
        };
        if order.time_in_force == TimeInForce::PostOnly && crosses {
            self.end(desk, at, VenueStatus::Expired);
            return;
        }
        self.tell(desk, at, Execution::New, ReportFlags::default(), None);
        match order.kind {
            OrderKind::Market => {
                self.trade(desk, at, if order.side == Side::Buy { self.ask } else { self.bid }, i64::MAX);
                self.end(desk, at, VenueStatus::Expired);
            }
            OrderKind::Limit => {
                self.cross(desk, at);
                if order.time_in_force == TimeInForce::ImmediateOrCancel {
                    self.end(desk, at, VenueStatus::Expired);
                }
            }
            _ => {}
        }
    }

    fn cross(&mut self, desk: &mut Desk, at: usize) {
        let Open { order, price, .. } = self.orders[at];
        match order.side {
            Side::Buy if price >= self.ask => self.trade(desk, at, self.ask, i64::MAX),
            Side::Sell if price <= self.bid => self.trade(desk, at, self.bid, i64::MAX),
            _ => {}
        }
    }

    fn trade(&mut self, desk: &mut Desk, at: usize, price: i64, most: i64) {
        let open = self.orders[at];
        let mut quantity = open.leaves().min(most);
        if open.order.flags.has(DispatchFlags::REDUCE_ONLY) {
            let opposed = if open.order.side == Side::Sell { self.held } else { -self.held };
            quantity = quantity.min(opposed.max(0));
        }
        if !open.is_live() || quantity <= 0 {
            return;
        }
        self.trades += 1;
        let open = &mut self.orders[at];
        open.filled += quantity;
        open.status =
            if open.filled == open.quantity { VenueStatus::Filled } else { VenueStatus::PartiallyFilled };
        match open.order.side {
            Side::Buy => (self.held, self.bought) = (self.held + quantity, self.bought + quantity),
            Side::Sell => (self.held, self.sold) = (self.held - quantity, self.sold + quantity),
        }
        self.tell(desk, at, Execution::Trade, ReportFlags::default(), Some((quantity, price)));
        let held = self.held;
        self.maybe(|| desk.position(BTC, held, false));
        self.close_reducers(desk);
    }

    /// Reduce-only orders end when there is nothing left to reduce.
    fn close_reducers(&mut self, desk: &mut Desk) {
        for at in 0..self.orders.len() {
            let open = self.orders[at];
            let opposed = if open.order.side == Side::Sell { self.held } else { -self.held };
            let reduces = open.order.flags.has(DispatchFlags::REDUCE_ONLY);
            if open.rests() && open.order.kind == OrderKind::Limit && reduces && opposed <= 0 {
                self.end(desk, at, VenueStatus::Expired);
            }
        }
    }

    fn end(&mut self, desk: &mut Desk, at: usize, status: VenueStatus) {
        if self.orders[at].is_live() {
            self.orders[at].status = status;
            let execution =
                if status == VenueStatus::Cancelled { Execution::Cancelled } else { Execution::Expired };
            self.tell(desk, at, execution, ReportFlags::default(), None);
        }
    }

    fn tell(
        &mut self,
        desk: &mut Desk,
        at: usize,
        execution: Execution,
        flags: ReportFlags,
        traded: Option<(i64, i64)>,
    ) {
        let report = self.report(desk, at, execution, flags, traded);
        let order = self.orders[at].order;
        self.maybe(|| desk.tell(&order, report));
    }

    fn report(
        &self,
        desk: &Desk,
        at: usize,
        execution: Execution,
        flags: ReportFlags,
        traded: Option<(i64, i64)>,
    ) -> OrderReport {
        let open = self.orders[at];
        let (quantity, price) = traded.unwrap_or((0, 0));
        OrderReport {
            price: Price::new(open.price),
            quantity: Quantity::new(open.quantity),
            cumulative_quantity: Quantity::new(open.filled),
            last_quantity: Quantity::new(quantity),
            last_price: Price::new(price),
            trade_id: if traded.is_some() { self.trades } else { 0 },
            venue_order_id: VenueOrderId(at as u64 + 9_000),
            flags,
            ..desk.report(&open.order, execution, open.status)
        }
    }

    /// Says it, unless it is lost.
    fn maybe(&mut self, say: impl FnOnce()) {
        let lost = self.loses_one_in != 0 && self.dice(self.loses_one_in) == 0;
        if !lost {
            say();
        }
    }

    fn read_back(&mut self, desk: &mut Desk, ask: &linchpin_core::record::Ask) {
        let Some(at) = self.find(ask.client_order_id) else {
            desk.answer(ask, HydrationPhase::NotFound);
            return;
        };
        let flags = ReportFlags::default().with(ReportFlags::HYDRATED, true);
        let report = self.report(desk, at, Execution::Status, flags, None);
        let price = Price::new(self.orders[at].price.max(1));
        let order = self.orders[at].order;
        desk.tell(&order, OrderReport { last_price: price, ..report });
        desk.answer(ask, HydrationPhase::End);
    }

    fn read_account(&mut self, desk: &mut Desk) {
        let held = self.held;
        let live: Vec<usize> = (0..self.orders.len()).filter(|at| self.orders[*at].is_live()).collect();
        let reports: Vec<_> = live
            .into_iter()
            .map(|at| {
                let flags = ReportFlags::default().with(ReportFlags::HYDRATED, true);
                (self.orders[at].order, self.report(desk, at, Execution::Status, flags, None))
            })
            .collect();
        desk.hydrate(|desk| {
            for (order, report) in &reports {
                desk.tell(order, *report);
            }
            desk.position(BTC, held, true);
        });
    }

    fn find(&self, id: ClientOrderId) -> Option<usize> {
        self.orders.iter().position(|open| open.order.client_order_id == id)
    }
}
