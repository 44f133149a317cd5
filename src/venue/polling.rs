//! A private feed for a venue that has no private stream: it asks for open orders, trades and balances at an interval, and tells what
//! changed as the same reports that a stream would have brought. Sans-IO, and of no venue: a `Poll` says what to ask for, and the answer is
//! the venue's own read-back, as events.
//!
//! ```text
//! a round   open orders -> trades of each instrument -> each order that is gone from the list -> balances and positions
//!              '- held until the trades that led there were told, so that no fill is booked without its price
//! ```
//! Promises: the first round is silent, it only learns what there is; then the link is up, and the core reads the account back as after
//! any connection. Each trade is told once, by its id. A round that fails takes the link down, because something may have been missed; the next that succeeds
//! takes it up again. It tells nothing that it did not see: what came and went between two rounds is seen in its trades alone.

use crate::core::event::{
    BalanceReport, Body, Event, Execution, LinkChange, LinkKind, LinkReason, LinkState, OrderReport,
    PositionReport, ReportFlags, Source, VenueStatus,
};
use crate::core::id::{ClientOrderId, InstrumentId, VenueId, VenueOrderId};
use crate::core::time::Nanos;
use crate::venue::EventSink;
use std::collections::VecDeque;

/// What to ask the venue for. The answer goes to `on_answer`, whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Every open order of the account.
    OpenOrders,
    /// Trades of the account with an id above `after`, oldest first; 0: the newest there are.
    Trades { instrument: InstrumentId, after: u64 },
    /// One order, whatever has become of it.
    Order { instrument: InstrumentId, client_order_id: ClientOrderId, venue_order_id: VenueOrderId },
    /// Balances and positions.
    Account,
}

#[derive(Clone, Copy, Debug)]
pub struct PollingConfig {
    /// From the beginning of a round to that of the next.
    pub interval: Nanos,
    /// An answer that takes longer has failed.
    pub timeout: Nanos,
}

impl Default for PollingConfig {
    fn default() -> Self {
        Self { interval: Nanos::from_secs(1), timeout: Nanos::from_secs(10) }
    }
}

/// Counted since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollingCounters {
    pub rounds: u64,
    pub failures: u64,
    pub reports: u64,
    pub trades: u64,
}

pub struct PollingFeed {
    venue: VenueId,
    config: PollingConfig,
    /// The instruments whose trades are asked for, with the last id that was told.
    instruments: Vec<(InstrumentId, u64)>,
    /// Open orders as they were told last.
    open: Vec<(InstrumentId, OrderReport)>,
    positions: Vec<(InstrumentId, PositionReport)>,
    balances: Vec<BalanceReport>,
    /// The polls of this round that are still to be asked.
    queue: VecDeque<Poll>,
    asked: Option<(Poll, Nanos)>,
    /// Changes of open orders, until the trades that led to them were told.
    held: Vec<Event>,
    next_round: Nanos,
    /// What there was before is known.
    learnt: bool,
    up: bool,
    counters: PollingCounters,
}

impl PollingFeed {
    pub fn new(venue: VenueId, instruments: &[InstrumentId], config: PollingConfig) -> Self {
        Self {
            venue,
            config,
            instruments: instruments.iter().map(|id| (*id, 0)).collect(),
            open: Vec::new(),
            positions: Vec::new(),
            balances: Vec::new(),
            queue: VecDeque::new(),
            asked: None,
            held: Vec::new(),
            next_round: Nanos::ZERO,
            learnt: false,
            up: false,
            counters: PollingCounters::default(),
        }
    }

    pub fn counters(&self) -> &PollingCounters {
        &self.counters
    }
    pub fn is_up(&self) -> bool {
        self.up
    }
    /// When `poll` has something to do next.
    pub fn next_deadline(&self) -> Nanos {
        match (&self.asked, self.queue.is_empty()) {
            (Some((_, due)), _) => *due,
            (None, false) => Nanos::ZERO,
            (None, true) => self.next_round,
        }
    }

    /// What to ask for now, one question at a time.
    pub fn poll<O: EventSink>(&mut self, now: Nanos, out: &mut O) -> Option<Poll> {
        if let Some((_, due)) = self.asked {
            if now >= due {
                self.fail(now, out);
            }
            return None;
        }
        if self.queue.is_empty() {
            if now < self.next_round {
                return None;
            }
            self.next_round = now + self.config.interval;
            self.queue.push_back(Poll::OpenOrders);
        }
        let poll = self.queue.pop_front()?;
        self.asked = Some((poll, now + self.config.timeout));
        Some(poll)
    }

    /// The answer to the question that is out: the read-back's events, or `None` where it could not be had. Brackets in it are left
    /// out; an order that was asked for and is not known is no event at all.
    pub fn on_answer<O: EventSink>(&mut self, events: Option<&[Event]>, now: Nanos, out: &mut O) {
        let Some((poll, _)) = self.asked.take() else { return };
        let Some(events) = events else { return self.fail(now, out) };
        match poll {
            Poll::OpenOrders => self.on_open_orders(events),
            Poll::Trades { instrument, .. } => self.on_trades(instrument, events, now, out),
            Poll::Order { .. } => {
                if !self.on_order(events, now, out) {
                    // It was open, and the venue knows it no more: only a whole read-back can tell what it came to.
                    return self.fail(now, out);
                }
            }
            Poll::Account => self.on_account(events, now, out),
        }
        let trades_are_told = !self.queue.iter().any(|poll| matches!(poll, Poll::Trades { .. }));
        if trades_are_told {
            for event in std::mem::take(&mut self.held) {
                self.tell(event, now, out);
            }
        }
        if self.queue.is_empty() && poll == Poll::Account {
            self.end_round(now, out);
        }
    }

    fn on_open_orders(&mut self, events: &[Event]) {
        let rows: Vec<(InstrumentId, OrderReport, Nanos)> = events
            .iter()
            .filter_map(|event| match event.body {
                Body::Order(report) => Some((event.instrument, report, event.event_time)),
                _ => None,
            })
            .collect();
        for (instrument, row, time) in &rows {
            let execution = match self.open.iter().find(|(_, known)| is_same(known, row)) {
                None => Execution::New,
                Some((_, known)) if (known.price, known.quantity) != (row.price, row.quantity) => {
                    Execution::Replaced
                }
                Some((_, known)) if known.status != row.status || grew(known, row) => Execution::Status,
                Some(_) => continue,
            };
            let report = OrderReport { execution, flags: news(row.flags), ..*row };
            self.held.push(self.event(*instrument, *time, Body::Order(report)));
        }
        let gone = self.open.iter().filter(|(_, known)| !rows.iter().any(|(_, row, _)| is_same(known, row)));
        let gone: Vec<Poll> = gone
            .map(|(instrument, known)| Poll::Order {
                instrument: *instrument,
                client_order_id: known.client_order_id,
                venue_order_id: known.venue_order_id,
            })
            .collect();
        for (instrument, after) in &self.instruments {
            self.queue.push_back(Poll::Trades { instrument: *instrument, after: *after });
        }
        self.queue.extend(gone);
        self.queue.push_back(Poll::Account);
        self.open = rows.into_iter().map(|(instrument, row, _)| (instrument, row)).collect();
        if !self.learnt {
            self.held.clear();
        }
    }

    fn on_trades<O: EventSink>(
        &mut self,
        instrument: InstrumentId,
        events: &[Event],
        now: Nanos,
        out: &mut O,
    ) {
        let mut last = self.instruments.iter().find(|(id, _)| *id == instrument).map_or(0, |(_, last)| *last);
        for event in events {
            let Body::Order(trade) = event.body else { continue };
            if trade.trade_id <= last {
                continue;
            }
            last = trade.trade_id;
            if self.learnt {
                self.counters.trades += 1;
                let report = OrderReport { flags: news(trade.flags), ..trade };
                self.tell(self.event(instrument, event.event_time, Body::Order(report)), now, out);
            }
        }
        if let Some((_, known)) = self.instruments.iter_mut().find(|(id, _)| *id == instrument) {
            *known = last;
        }
    }

    /// What an order that is gone from the list came to. `false`: the venue does not know.
    fn on_order<O: EventSink>(&mut self, events: &[Event], now: Nanos, out: &mut O) -> bool {
        let mut found = false;
        for event in events {
            let Body::Order(row) = event.body else { continue };
            if row.flags.has(ReportFlags::TRADE_ONLY) {
                continue;
            }
            found = true;
            let execution = match row.status {
                VenueStatus::Cancelled => Execution::Cancelled,
                VenueStatus::Expired => Execution::Expired,
                VenueStatus::Rejected => Execution::Rejected,
                _ => Execution::Status,
            };
            let report = OrderReport { execution, flags: news(row.flags), ..row };
            self.tell(self.event(event.instrument, event.event_time, Body::Order(report)), now, out);
        }
        found
    }

    fn on_account<O: EventSink>(&mut self, events: &[Event], now: Nanos, out: &mut O) {
        for event in events {
            let body = match event.body {
                Body::Position(row) => {
                    let report = PositionReport { hydrated: false, ..row };
                    let is_it = |(id, known): &&mut (InstrumentId, PositionReport)| {
                        *id == event.instrument && known.side == row.side
                    };
                    match self.positions.iter_mut().find(is_it) {
                        // The unrealised profit moves with the market and is no news of the account.
                        Some((_, known)) if known.quantity == row.quantity => continue,
                        Some((_, known)) => *known = report,
                        None => self.positions.push((event.instrument, report)),
                    }
                    Body::Position(report)
                }
                Body::Balance(row) => {
                    let report = BalanceReport { hydrated: false, ..row };
                    match self.balances.iter_mut().find(|known| known.asset == row.asset) {
                        Some(known) if known.wallet == row.wallet => continue,
                        Some(known) => *known = report,
                        None => self.balances.push(report),
                    }
                    Body::Balance(report)
                }
                _ => continue,
            };
            if self.learnt {
                self.tell(self.event(event.instrument, event.event_time, body), now, out);
            }
        }
    }

    fn end_round<O: EventSink>(&mut self, now: Nanos, out: &mut O) {
        self.counters.rounds += 1;
        self.learnt = true;
        if !self.up {
            self.up = true;
            out.event(self.link(LinkState::Up, LinkReason::None, now));
        }
    }

    /// Something may have been missed: the core distrusts the account until it has read it back.
    fn fail<O: EventSink>(&mut self, now: Nanos, out: &mut O) {
        self.counters.failures += 1;
        self.asked = None;
        self.queue.clear();
        self.held.clear();
        // Learnt anew: what changed meanwhile is told by the core's own read-back.
        self.learnt = false;
        self.next_round = now + self.config.interval;
        if self.up {
            self.up = false;
            out.event(self.link(LinkState::Down, LinkReason::Reset, now));
        }
    }

    fn tell<O: EventSink>(&mut self, mut event: Event, now: Nanos, out: &mut O) {
        event.received = now;
        self.counters.reports += 1;
        out.event(event);
    }

    fn event(&self, instrument: InstrumentId, time: Nanos, body: Body) -> Event {
        let mut event = Event::new(Nanos::ZERO, Source::Requester, body).on(self.venue, instrument);
        event.event_time = time;
        event
    }

    fn link(&self, state: LinkState, reason: LinkReason, now: Nanos) -> Event {
        let change = LinkChange { link: LinkKind::Private, state, reason, connection: 0 };
        Event::new(now, Source::Requester, Body::Link(change)).on(self.venue, InstrumentId::NONE)
    }
}

/// By the venue's number, which every open order has, but for conditional ones that wait: these by our id.
fn is_same(one: &OrderReport, other: &OrderReport) -> bool {
    if one.venue_order_id.0 != 0 || other.venue_order_id.0 != 0 {
        return one.venue_order_id == other.venue_order_id;
    }
    one.client_order_id == other.client_order_id
}

fn grew(known: &OrderReport, row: &OrderReport) -> bool {
    row.cumulative_quantity > known.cumulative_quantity
}

/// A row that was read back, as news.
fn news(flags: ReportFlags) -> ReportFlags {
    ReportFlags(flags.0 & !ReportFlags::HYDRATED)
}
