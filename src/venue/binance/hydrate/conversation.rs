//! One question of the core, asked in as many requests as the venue needs. Sans-IO: it says which request is next, is given each body,
//! and in the end tells the events of its bracket.
//!
//! ```text
//! account      account, positions, open orders, conditional orders that wait
//! instrument   its open orders, its conditional orders that wait
//! trades       an instrument's trades after one that is known, page by page
//! order        the order by our id -- found ----------------------------------> its trades, where it has filled
//!                '- not found -> the conditional order by our id -- waits ----> itself
//!                                  '- not found: NotFound   '- has triggered -> the order that it became -> its trades
//! ```
//! Trades stand before the state that they led to, so that no fill is booked without its price and fee.

use super::super::json::JsonError;
use super::super::{errors, usdm};
use super::requests::TRADES_PAGE;
use super::{
    AccountBodies, Ask, Bracket, HydrateError, Hydrator, Requests, RestRequest, Skipped, TradesFrom,
    order_read_back, report_event,
};
use crate::core::event::{Body, Event, HydrationPhase, HydrationScope, OrderReport, ReportFlags};
use crate::core::id::{ClientOrderId, InstrumentId, VenueOrderId};
use crate::core::record;
use crate::core::time::Nanos;
use crate::venue::{Directory, EventSink};
use std::collections::VecDeque;

/// The question cannot be put into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the instrument is not listed at this venue, or the order has no id to ask by")]
pub struct Unaskable;

pub struct Conversation {
    ask: record::Ask,
    requests: Requests,
    symbol: String,
    /// The venue's time before the first request left.
    as_of: Nanos,
    next: VecDeque<RestRequest>,
    bodies: Vec<Vec<u8>>,
    order: OrderSearch,
}

/// Where the search for one order stands.
#[derive(Default)]
struct OrderSearch {
    stage: Stage,
    found: Option<(OrderReport, InstrumentId, Nanos)>,
    trades: Vec<Event>,
    failed: Option<HydrateError>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    ByOurId,
    Conditional,
    Spawned,
    Trades,
    Done,
}

impl Conversation {
    pub fn of(directory: &Directory, ask: &record::Ask, as_of: Nanos) -> Result<Self, Unaskable> {
        let requests = Requests::of(directory.product());
        let symbol = directory.of(ask.instrument).map_or("", |listing| listing.symbol());
        let mut next = VecDeque::new();
        match ask.scope {
            HydrationScope::Account => {
                next.push_back(requests.account());
                next.extend(requests.position_risk());
                next.push_back(requests.open_orders());
                next.extend(requests.open_algo_orders(None));
            }
            _ if symbol.is_empty() => return Err(Unaskable),
            HydrationScope::Instrument => {
                next.push_back(requests.open_orders_of(symbol));
                next.extend(requests.open_algo_orders(Some(symbol)));
            }
            HydrationScope::Order => {
                let request = requests.query_order(symbol, &ask.client_order_id, ask.venue_order_id);
                next.push_back(request.ok_or(Unaskable)?);
            }
            HydrationScope::Trades => {
                let from = match ask.after_trade {
                    0 => TradesFrom::Time(ask.since),
                    known => TradesFrom::Id(known + 1),
                };
                next.push_back(requests.user_trades(symbol, from));
            }
        }
        let symbol = symbol.to_string();
        let order = OrderSearch::default();
        Ok(Self { ask: *ask, requests, symbol, as_of, next, bodies: Vec::new(), order })
    }

    /// What to ask next; `None`: the venue has said all, `finish`.
    pub fn next_request(&mut self) -> Option<RestRequest> {
        self.next.pop_front()
    }

    /// The body of the request before.
    pub fn on_body(&mut self, hydrator: &mut Hydrator, directory: &Directory, body: Vec<u8>, now: Nanos) {
        let read = match self.ask.scope {
            HydrationScope::Order => self.on_order_body(hydrator, directory, &body, now),
            HydrationScope::Trades => self.on_trades_page(hydrator, directory, &body, now),
            HydrationScope::Account | HydrationScope::Instrument => {
                self.bodies.push(body);
                Ok(())
            }
        };
        if let Err(error) = read {
            self.order.stage = Stage::Done;
            self.order.failed = Some(error);
        }
    }

    /// Tells the bracket: whole, or that it failed, or that the order is not known.
    pub fn finish<O: EventSink>(
        self,
        hydrator: &mut Hydrator,
        directory: &Directory,
        now: Nanos,
        out: &mut O,
    ) -> Result<Skipped, HydrateError> {
        let ask = Ask { request: self.ask.number, as_of: self.as_of, now };
        let mut bodies = self.bodies.iter().map(Vec::as_slice);
        let mut body = || bodies.next().unwrap_or(b"");
        match self.ask.scope {
            HydrationScope::Account => {
                let bodies = AccountBodies {
                    account: body(),
                    positions: self.requests.position_risk().map(|_| body()),
                    open_orders: body(),
                    open_algo_orders: self.requests.open_algo_orders(None).map(|_| body()),
                };
                hydrator.account_snapshot(directory, ask, bodies, out)
            }
            HydrationScope::Instrument => {
                let open_orders = body();
                let waiting = self.requests.open_algo_orders(None).map(|_| body());
                hydrator.instrument_snapshot(directory, self.ask.instrument, ask, open_orders, waiting, out)
            }
            HydrationScope::Order => self.finish_order(directory, ask, out).map(|()| Skipped::default()),
            HydrationScope::Trades => {
                let (venue, order) = (directory.venue(), ClientOrderId::NONE);
                let bracket = Bracket { venue, scope: HydrationScope::Trades, ask, order };
                let read = self.order.failed.map_or(Ok(self.order.trades), Err);
                bracket.close(read, self.ask.instrument, out).map(|()| Skipped::default())
            }
        }
    }

    /// A page that is full has another behind it.
    fn on_trades_page(
        &mut self,
        hydrator: &mut Hydrator,
        directory: &Directory,
        body: &[u8],
        now: Nanos,
    ) -> Result<(), HydrateError> {
        let trades = hydrator.trades(directory, ClientOrderId::NONE, now, body)?;
        let last = trades.iter().map(|(id, _)| *id).max();
        if let Some(last) = last.filter(|_| trades.len() >= TRADES_PAGE) {
            self.next.push_back(self.requests.user_trades(&self.symbol, TradesFrom::Id(last + 1)));
        }
        self.order.trades.extend(trades.into_iter().map(|(_, event)| event));
        Ok(())
    }

    fn finish_order<O: EventSink>(
        self,
        directory: &Directory,
        ask: Ask,
        out: &mut O,
    ) -> Result<(), HydrateError> {
        let order = self.ask.client_order_id;
        let bracket = Bracket { venue: directory.venue(), scope: HydrationScope::Order, ask, order };
        let read = match (self.order.failed, self.order.found) {
            (Some(error), _) => Err(error),
            (None, None) => {
                out.event(bracket.event(HydrationPhase::NotFound, self.ask.instrument));
                return Ok(());
            }
            (None, Some((report, instrument, time))) => {
                let mut events = self.order.trades;
                let body = Body::Order(report);
                events.push(report_event(directory.venue(), instrument, ask.now, time, body));
                Ok(events)
            }
        };
        bracket.close(read, self.ask.instrument, out)
    }

    fn on_order_body(
        &mut self,
        hydrator: &mut Hydrator,
        directory: &Directory,
        body: &[u8],
        now: Nanos,
    ) -> Result<(), HydrateError> {
        match self.order.stage {
            Stage::ByOurId => match hydrator.one_order(directory, body)? {
                Some(found) => self.found(found, false),
                None => match self.requests.query_algo_order(&self.ask.client_order_id) {
                    Some(request) => {
                        self.next.push_back(request);
                        self.order.stage = Stage::Conditional;
                    }
                    None => self.order.stage = Stage::Done,
                },
            },
            Stage::Conditional => match hydrator.one_algo_order(directory, body)? {
                Some((Some(found), _)) => {
                    self.order.found = Some(found);
                    self.order.stage = Stage::Done;
                }
                Some((None, spawned)) => {
                    let request = self.requests.query_order(&self.symbol, &ClientOrderId::NONE, spawned);
                    self.next.extend(request);
                    self.order.stage = Stage::Spawned;
                }
                None => self.order.stage = Stage::Done,
            },
            Stage::Spawned => match hydrator.one_order(directory, body)? {
                Some(found) => self.found(found, true),
                None => {
                    let code = i64::from(errors::NO_SUCH_ORDER);
                    let message = "the order that a conditional order became".to_string();
                    return Err(HydrateError::Venue { what: "order", code, message });
                }
            },
            Stage::Trades => {
                let trades = hydrator.trades(directory, self.ask.client_order_id, now, body)?;
                self.order.trades = trades.into_iter().map(|(_, event)| event).collect();
                self.order.stage = Stage::Done;
            }
            Stage::Done => {}
        }
        Ok(())
    }

    fn found(&mut self, (report, instrument, time): (OrderReport, InstrumentId, Nanos), spawned: bool) {
        let mut report = report;
        if spawned {
            // The one order that the core knows, under the id that it gave.
            report.client_order_id = self.ask.client_order_id;
            report.flags = report.flags.with(ReportFlags::TRIGGERED, true);
        }
        self.order.stage = Stage::Done;
        if report.cumulative_quantity.is_positive() {
            self.next.push_back(self.requests.trades_of(&self.symbol, report.venue_order_id));
            self.order.stage = Stage::Trades;
        }
        self.order.found = Some((report, instrument, time));
    }
}

/// An order, its instrument, and when it changed last.
pub(super) type Found = (OrderReport, InstrumentId, Nanos);

impl Hydrator {
    /// `None`: the venue definitely knows no such order.
    pub(super) fn one_order(
        &mut self,
        directory: &Directory,
        body: &[u8],
    ) -> Result<Option<Found>, HydrateError> {
        known(self.read("order", body, |json| {
            let symbol = json.text("symbol")?;
            let listing = directory.find(symbol.as_bytes()).ok_or(JsonError::Unknown { field: "symbol" })?;
            let (report, time) = order_read_back(json, listing)?;
            Ok((report, listing.id, time))
        }))
    }

    /// A conditional order, or the number of the order that it became.
    pub(super) fn one_algo_order(
        &mut self,
        directory: &Directory,
        body: &[u8],
    ) -> Result<Option<(Option<Found>, VenueOrderId)>, HydrateError> {
        known(self.read("algoOrder", body, |json| {
            let symbol = json.text("symbol")?;
            let listing = directory.find(symbol.as_bytes()).ok_or(JsonError::Unknown { field: "symbol" })?;
            let (report, spawned) = usdm::reports::algo_read_back(json, listing)?;
            Ok((report.map(|(report, time)| (report, listing.id, time)), spawned))
        }))
    }
}

/// Tells "does not exist" apart from everything else that is no answer.
fn known<T>(read: Result<T, HydrateError>) -> Result<Option<T>, HydrateError> {
    let is_absence =
        |code: i64| code == i64::from(errors::NO_SUCH_ORDER) || code == i64::from(errors::UNKNOWN_ORDER_SENT);
    match read {
        Ok(found) => Ok(Some(found)),
        Err(HydrateError::Venue { code, .. }) if is_absence(code) => Ok(None),
        Err(error) => Err(error),
    }
}
