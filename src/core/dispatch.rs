//! Dispatches: everything that leaves the core. What was dispatched is never rewritten.
//!
//! ```text
//! number 8 | cause 8 | decided 8 | trigger 8 | client_order_id 16 | venue_order_id 8 | price 8 | quantity 8 | stop_price 8
//! expires 8 | order 4 | instrument 2 | slot 2 | callback 2
//! strategy 1 | venue 1 | request 1 | kind 1 | tif 1 | side 1 | position_side 1 | trigger_by 1 | flags 1
//! ```
//! Hot.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::event::{OrderKind, PositionSide, RequestKind, Side, TimeInForce, TriggerBy};
use crate::id::{ClientOrderId, InstrumentId, OrderIndex, OrderKey, StrategyId, VenueId, VenueOrderId};
use crate::num::{Price, Quantity};
use crate::time::Nanos;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dispatch {
    /// 1, 2, 3 ... in the run; answers name it.
    pub number: u64,
    /// The event in whose turn it was decided.
    pub cause: u64,
    /// The processing time of that turn.
    pub decided: Nanos,
    /// When the socket became readable for that event: tick-to-trade counts from here.
    pub trigger: Nanos,
    pub client_order_id: ClientOrderId,
    /// Zero while the venue has not told.
    pub venue_order_id: VenueOrderId,
    /// New: the order's; Replace: the new ones; Cancel: unused (zero).
    pub price: Price,
    pub quantity: Quantity,
    /// The trigger price of a conditional order; of a trailing stop the activation price, zero for at once.
    pub stop_price: Price,
    /// Good-till-date: when the order ends by itself, in the venue's time. Zero: none.
    pub expires: Nanos,
    pub order: OrderIndex,
    pub instrument: InstrumentId,
    pub key: OrderKey,
    pub venue: VenueId,
    pub request: RequestKind,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    pub side: Side,
    pub position_side: PositionSide,
    pub trigger_by: TriggerBy,
    /// A trailing stop's distance from the best price, in 1/10,000.
    pub callback: u16,
    pub flags: DispatchFlags,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DispatchFlags(pub u8);

impl DispatchFlags {
    pub const REDUCE_ONLY: u8 = 1;
    pub const CLOSE_POSITION: u8 = 2;
    /// It lowers exposure: what a kill mode may still permit.
    pub const RISK_REDUCING: u8 = 4;
    /// A replacement that only lowers the quantity: where the venue can, the order keeps its place in the queue.
    pub const SHRINKS: u8 = 8;

    #[inline]
    pub const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
    #[inline]
    pub const fn with(self, bit: u8, on: bool) -> Self {
        if on { Self(self.0 | bit) } else { self }
    }
}

impl Dispatch {
    pub const ENCODED: usize = 4 * 8 + 16 + 5 * 8 + 4 + 3 * 2 + 9;

    #[inline]
    pub fn encode(&self, slot: &mut [u8]) -> usize {
        let mut to = Encoder::new(slot);
        to.u64(self.number);
        to.u64(self.cause);
        to.u64(self.decided.raw());
        to.u64(self.trigger.raw());
        to.bytes(self.client_order_id.0);
        to.u64(self.venue_order_id.0);
        to.i64(self.price.raw());
        to.i64(self.quantity.raw());
        to.i64(self.stop_price.raw());
        to.u64(self.expires.raw());
        to.u32(self.order.0);
        to.u16(self.instrument.0);
        to.u16(self.key.slot);
        to.u16(self.callback);
        to.bytes([
            self.key.strategy.0,
            self.venue.0,
            self.request.code(),
            self.kind.code(),
            self.time_in_force.code(),
            self.side.code(),
            self.position_side.code(),
            self.trigger_by.code(),
            self.flags.0,
        ]);
        to.length()
    }

    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(payload);
        let number = from.u64()?;
        let cause = from.u64()?;
        let decided = Nanos::new(from.u64()?);
        let trigger = Nanos::new(from.u64()?);
        let client_order_id = ClientOrderId(from.bytes()?);
        let venue_order_id = VenueOrderId(from.u64()?);
        let price = Price::new(from.i64()?);
        let quantity = Quantity::new(from.i64()?);
        let stop_price = Price::new(from.i64()?);
        let expires = Nanos::new(from.u64()?);
        let order = OrderIndex(from.u32()?);
        let instrument = InstrumentId(from.u16()?);
        let slot = from.u16()?;
        let callback = from.u16()?;
        let [strategy, venue, request, kind, time_in_force, side, position_side, trigger_by, flags] =
            from.bytes()?;
        from.finish()?;
        Ok(Self {
            number,
            cause,
            decided,
            trigger,
            client_order_id,
            venue_order_id,
            price,
            quantity,
            stop_price,
            expires,
            order,
            instrument,
            key: OrderKey { strategy: StrategyId(strategy), slot },
            venue: VenueId(venue),
            request: RequestKind::from_code(request)?,
            kind: OrderKind::from_code(kind)?,
            time_in_force: TimeInForce::from_code(time_in_force)?,
            side: Side::from_code(side)?,
            position_side: PositionSide::from_code(position_side)?,
            trigger_by: TriggerBy::from_code(trigger_by)?,
            callback,
            flags: DispatchFlags(flags),
        })
    }
}
