//! What a polling feed asks for (see `venue::polling`), in this venue's requests, and its bodies as events. Binance has private streams
//! and needs no polling; a desk whose network lets no WebSocket through does, and a second venue may have nothing else.

use super::{
    AccountBodies, Ask, Found, HydrateError, Hydrator, Requests, RestRequest, Skipped, TradesFrom, Unaskable,
    report_event,
};
use crate::core::event::{Body, Event};
use crate::core::id::ClientOrderId;
use crate::core::time::Nanos;
use crate::venue::Directory;
use crate::venue::polling::Poll;

impl Requests {
    /// The requests of one poll, to be asked in this order.
    pub fn of_poll(&self, directory: &Directory, poll: &Poll) -> Result<Vec<RestRequest>, Unaskable> {
        let symbol = |id| directory.of(id).map(|listing| listing.symbol()).ok_or(Unaskable);
        Ok(match poll {
            Poll::OpenOrders => {
                let waiting = self.open_algo_orders(None);
                [self.open_orders()].into_iter().chain(waiting).collect()
            }
            Poll::Trades { instrument, after } => {
                let from = if *after == 0 { TradesFrom::Newest } else { TradesFrom::Id(after + 1) };
                vec![self.user_trades(symbol(*instrument)?, from)]
            }
            // A conditional order that waits has no number, and stands with the algo service.
            Poll::Order { client_order_id, venue_order_id, .. } if venue_order_id.0 == 0 => {
                vec![self.query_algo_order(client_order_id).ok_or(Unaskable)?]
            }
            Poll::Order { instrument, venue_order_id, .. } => {
                let symbol = symbol(*instrument)?;
                vec![self.query_order(symbol, &ClientOrderId::NONE, *venue_order_id).ok_or(Unaskable)?]
            }
            Poll::Account => [self.account()].into_iter().chain(self.position_risk()).collect(),
        })
    }
}

impl Hydrator {
    /// The events of one poll's bodies; an order that the venue does not know is none.
    pub fn polled(
        &mut self,
        directory: &Directory,
        poll: &Poll,
        bodies: &[Vec<u8>],
        now: Nanos,
    ) -> Result<Vec<Event>, HydrateError> {
        let ask = Ask { request: 0, as_of: now, now };
        let body = |at: usize| bodies.get(at).map_or(&b""[..], Vec::as_slice);
        let second = bodies.get(1).map(Vec::as_slice);
        let (mut events, mut skipped) = (Vec::new(), Skipped::default());
        match poll {
            Poll::OpenOrders => {
                self.order_reports(directory, ask, body(0), &mut events, &mut skipped)?;
                self.algo_reports(directory, ask, second, &mut events, &mut skipped)?;
            }
            Poll::Trades { .. } => {
                let trades = self.trades(directory, ClientOrderId::NONE, now, body(0))?;
                events.extend(trades.into_iter().map(|(_, event)| event));
            }
            Poll::Order { venue_order_id, .. } => {
                let found = if venue_order_id.0 == 0 {
                    self.one_algo_order(directory, body(0))?.and_then(|(found, _)| found)
                } else {
                    self.one_order(directory, body(0))?
                };
                events.extend(found.map(|(report, instrument, time): Found| {
                    report_event(directory.venue(), instrument, now, time, Body::Order(report))
                }));
            }
            Poll::Account => {
                let bodies = AccountBodies {
                    account: body(0),
                    positions: second,
                    open_orders: b"[]",
                    open_algo_orders: None,
                };
                self.account_reports(directory, ask, bodies, &mut events, &mut skipped)?;
            }
        }
        Ok(events)
    }
}
