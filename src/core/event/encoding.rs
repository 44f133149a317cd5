//! The journal's bytes of an event: the header's fields, the kind's code, then the body's fields in their order.
//!
//! ```text
//! received 8 | event_time 8 | parsed 4 | ringed 4 | instrument 2 | venue 1 | source 1 | kind 1 | body
//! ```
//! Codes are forever: a kind that goes leaves its code unused.
//! Hot.

use super::*;
use crate::codec::MAX_PAYLOAD;
use crate::instrument::{InstrumentStatus, Product};
use crate::num::Increment;
use crate::snapshot::{Sink, SnapshotError, Value, Words};

impl Body {
    /// The kind's code in the journal.
    #[inline]
    pub const fn code(&self) -> u8 {
        match self {
            Self::BookTicker(_) => 1,
            Self::Depth(_) => 2,
            Self::DepthMore(_) => 3,
            Self::BookLost(_) => 4,
            Self::Trade(_) => 5,
            Self::MarkPrice(_) => 6,
            Self::Order(_) => 16,
            Self::Position(_) => 17,
            Self::Balance(_) => 18,
            Self::Outcome(_) => 19,
            Self::NotSent(_) => 20,
            Self::Link(_) => 32,
            Self::Hydration(_) => 33,
            Self::Instrument(_) => 34,
            Self::RateUsage(_) => 35,
            Self::Control(_) => 48,
            Self::Timer(_) => 49,
        }
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::BookTicker(_) => "book_ticker",
            Self::Depth(_) => "depth",
            Self::DepthMore(_) => "depth_more",
            Self::BookLost(_) => "book_lost",
            Self::Trade(_) => "trade",
            Self::MarkPrice(_) => "mark_price",
            Self::Order(_) => "order",
            Self::Position(_) => "position",
            Self::Balance(_) => "balance",
            Self::Outcome(_) => "outcome",
            Self::NotSent(_) => "not_sent",
            Self::Link(_) => "link",
            Self::Hydration(_) => "hydration",
            Self::Instrument(_) => "instrument",
            Self::RateUsage(_) => "rate_usage",
            Self::Control(_) => "control",
            Self::Timer(_) => "timer",
        }
    }
}

impl Event {
    /// Into a slot of at least `MAX_PAYLOAD` bytes; returns the length.
    #[inline]
    pub fn encode(&self, slot: &mut [u8]) -> usize {
        let mut to = Encoder::new(slot);
        to.u64(self.received.raw());
        to.u64(self.event_time.raw());
        to.u32(self.parsed);
        to.u32(self.ringed);
        to.u16(self.instrument.0);
        to.bytes([self.venue.0, self.source.code(), self.body.code()]);
        match &self.body {
            Body::BookTicker(b) => {
                to.u64(b.update_id);
                level(&mut to, &b.bid);
                level(&mut to, &b.ask);
            }
            Body::Depth(b) => {
                to.u64(b.first_update);
                to.u64(b.last_update);
                to.u64(b.previous_update);
                part(&mut to, b.part, &b.levels);
            }
            Body::DepthMore(b) => part(&mut to, b.part, &b.levels),
            Body::BookLost(b) => to.u8(b.code()),
            Body::Trade(b) => {
                to.u64(b.trade_id);
                to.i64(b.price.raw());
                to.i64(b.quantity.raw());
                to.u8(b.aggressor.code());
            }
            Body::MarkPrice(b) => {
                to.i64(b.mark);
                to.i64(b.index);
                to.i64(b.funding_rate);
                to.u64(b.next_funding.raw());
            }
            Body::Order(b) => {
                to.bytes(b.client_order_id.0);
                to.u64(b.venue_order_id.0);
                to.i64(b.price.raw());
                to.i64(b.quantity.raw());
                to.i64(b.cumulative_quantity.raw());
                to.i64(b.last_quantity.raw());
                to.i64(b.last_price.raw());
                to.u64(b.trade_id);
                to.i64(b.fee);
                to.bytes([
                    b.fee_asset.0,
                    b.execution.code(),
                    b.status.code(),
                    b.kind.code(),
                    b.time_in_force.code(),
                    b.side.code(),
                ]);
                to.u16(b.flags.0);
            }
            Body::Position(b) => {
                to.i64(b.quantity.raw());
                to.i64(b.entry_price);
                to.i64(b.unrealised);
                to.bytes([b.side.code(), u8::from(b.hydrated)]);
            }
            Body::Balance(b) => {
                to.i64(b.wallet);
                to.i64(b.available);
                to.i64(b.change);
                to.bytes([b.asset.0, b.cause.code(), u8::from(b.hydrated)]);
            }
            Body::Outcome(b) => {
                to.bytes(b.client_order_id.0);
                to.u64(b.venue_order_id.0);
                to.u64(b.dispatch);
                to.i32(b.code);
                to.bytes([b.request.code(), b.verdict.code(), b.reason.code()]);
            }
            Body::NotSent(b) => {
                to.bytes(b.client_order_id.0);
                to.u64(b.dispatch);
                to.bytes([b.request.code(), b.reason.code()]);
            }
            Body::Link(b) => to.bytes([b.link.code(), b.state.code(), b.reason.code(), b.connection]),
            Body::Hydration(b) => {
                to.bytes(b.client_order_id.0);
                to.u64(b.request);
                to.u64(b.as_of.raw());
                to.bytes([b.scope.code(), b.phase.code()]);
            }
            Body::Instrument(b) => instrument(&mut to, b),
            Body::RateUsage(b) => {
                to.u32(b.used);
                to.u32(b.limit);
                to.u64(b.retry_at.raw());
                to.u8(b.bucket);
            }
            Body::Control(b) => {
                to.u32(b.target);
                to.u32(b.who);
                to.i64(b.old);
                to.i64(b.new);
                to.u8(b.verb.code());
            }
            Body::Timer(b) => to.u64(b.due.raw()),
        }
        to.length()
    }

    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(payload);
        let received = Nanos::new(from.u64()?);
        let event_time = Nanos::new(from.u64()?);
        let parsed = from.u32()?;
        let ringed = from.u32()?;
        let instrument = InstrumentId(from.u16()?);
        let [venue, source, kind] = from.bytes()?;
        let body = decode_body(kind, &mut from)?;
        from.finish()?;
        let source = Source::from_code(source)?;
        Ok(Self { received, event_time, parsed, ringed, venue: VenueId(venue), source, instrument, body })
    }
}

/// A saved event is its journal bytes in whole words, after their length.
impl Value for Event {
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        let mut slot = [0u8; MAX_PAYLOAD];
        let length = self.encode(&mut slot);
        to.word(length as u64);
        for word in slot.as_chunks().0.iter().take(length.div_ceil(8)) {
            to.word(u64::from_le_bytes(*word));
        }
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        let mut slot = [0u8; MAX_PAYLOAD];
        let length = from.bounded("event length", MAX_PAYLOAD)?;
        for word in slot.as_chunks_mut().0.iter_mut().take(length.div_ceil(8)) {
            *word = from.word()?.to_le_bytes();
        }
        let event = slot.get(..length).and_then(|payload| Self::decode(payload).ok());
        event.ok_or_else(|| from.unfit("event", length as u64))
    }
}

#[inline]
fn level(to: &mut Encoder<'_>, level: &Level) {
    to.i64(level.price.raw());
    to.i64(level.quantity.raw());
}

/// Only the levels that count are written.
#[inline]
fn part(to: &mut Encoder<'_>, part: DepthPart, levels: &[Level]) {
    to.bytes([u8::from(part.snapshot) | u8::from(part.last) << 1, part.count, part.bids]);
    for each in levels.iter().take(usize::from(part.count)) {
        level(to, each);
    }
}

fn instrument(to: &mut Encoder<'_>, b: &InstrumentDefinition) {
    for step in [&b.tick, &b.lot] {
        to.u32(step.mantissa);
        to.bytes([step.decimals, step.text_decimals]);
    }
    to.i64(b.min_price.raw());
    to.i64(b.max_price.raw());
    to.i64(b.min_quantity.raw());
    to.i64(b.max_quantity.raw());
    to.i64(b.max_market_quantity.raw());
    to.i64(b.min_notional);
    to.u32(b.percent_up);
    to.u32(b.percent_down);
    to.i32(b.maker_fee_ppm);
    to.i32(b.taker_fee_ppm);
    to.bytes([b.base.0, b.quote.0, b.product.code(), b.status.code()]);
}

fn decode_body(kind: u8, from: &mut Decoder<'_>) -> Result<Body, DecodeError> {
    Ok(match kind {
        1 => Body::BookTicker(BookTicker {
            update_id: from.u64()?,
            bid: decode_level(from)?,
            ask: decode_level(from)?,
        }),
        2 => {
            let first_update = from.u64()?;
            let last_update = from.u64()?;
            let previous_update = from.u64()?;
            let (part, levels) = decode_part(from)?;
            Body::Depth(Depth { first_update, last_update, previous_update, part, levels })
        }
        3 => {
            let (part, levels) = decode_part(from)?;
            Body::DepthMore(DepthMore { part, levels })
        }
        4 => Body::BookLost(BookLoss::from_code(from.u8()?)?),
        5 => Body::Trade(Trade {
            trade_id: from.u64()?,
            price: Price::new(from.i64()?),
            quantity: Quantity::new(from.i64()?),
            aggressor: Side::from_code(from.u8()?)?,
        }),
        6 => Body::MarkPrice(MarkPrice {
            mark: from.i64()?,
            index: from.i64()?,
            funding_rate: from.i64()?,
            next_funding: Nanos::new(from.u64()?),
        }),
        16 => decode_order(from)?,
        17 => {
            let (quantity, entry_price, unrealised) = (Quantity::new(from.i64()?), from.i64()?, from.i64()?);
            let [side, hydrated] = from.bytes()?;
            Body::Position(PositionReport {
                quantity,
                entry_price,
                unrealised,
                side: PositionSide::from_code(side)?,
                hydrated: flag("hydrated", hydrated)?,
            })
        }
        18 => {
            let (wallet, available, change) = (from.i64()?, from.i64()?, from.i64()?);
            let [asset, cause, hydrated] = from.bytes()?;
            Body::Balance(BalanceReport {
                asset: AssetId(asset),
                wallet,
                available,
                change,
                cause: BalanceCause::from_code(cause)?,
                hydrated: flag("hydrated", hydrated)?,
            })
        }
        19 => {
            let client_order_id = ClientOrderId(from.bytes()?);
            let venue_order_id = VenueOrderId(from.u64()?);
            let dispatch = from.u64()?;
            let code = from.i32()?;
            let [request, verdict, reason] = from.bytes()?;
            Body::Outcome(RequestOutcome {
                client_order_id,
                venue_order_id,
                dispatch,
                code,
                request: RequestKind::from_code(request)?,
                verdict: Verdict::from_code(verdict)?,
                reason: RejectReason::from_code(reason)?,
            })
        }
        20 => {
            let client_order_id = ClientOrderId(from.bytes()?);
            let dispatch = from.u64()?;
            let [request, reason] = from.bytes()?;
            Body::NotSent(NotSent {
                client_order_id,
                dispatch,
                request: RequestKind::from_code(request)?,
                reason: NotSentReason::from_code(reason)?,
            })
        }
        32 => {
            let [link, state, reason, connection] = from.bytes()?;
            Body::Link(LinkChange {
                link: LinkKind::from_code(link)?,
                state: LinkState::from_code(state)?,
                reason: LinkReason::from_code(reason)?,
                connection,
            })
        }
        33 => {
            let client_order_id = ClientOrderId(from.bytes()?);
            let request = from.u64()?;
            let as_of = Nanos::new(from.u64()?);
            let [scope, phase] = from.bytes()?;
            Body::Hydration(Hydration {
                scope: HydrationScope::from_code(scope)?,
                phase: HydrationPhase::from_code(phase)?,
                client_order_id,
                request,
                as_of,
            })
        }
        34 => Body::Instrument(decode_instrument(from)?),
        35 => {
            let (used, limit) = (from.u32()?, from.u32()?);
            let retry_at = Nanos::new(from.u64()?);
            Body::RateUsage(RateUsage { bucket: from.u8()?, used, limit, retry_at })
        }
        48 => {
            let (target, who) = (from.u32()?, from.u32()?);
            let (old, new) = (from.i64()?, from.i64()?);
            Body::Control(Control { verb: ControlVerb::from_code(from.u8()?)?, target, old, new, who })
        }
        49 => Body::Timer(Timer { due: Nanos::new(from.u64()?) }),
        other => return Err(DecodeError::UnknownCode { field: "event kind", code: u64::from(other) }),
    })
}

fn decode_order(from: &mut Decoder<'_>) -> Result<Body, DecodeError> {
    let client_order_id = ClientOrderId(from.bytes()?);
    let venue_order_id = VenueOrderId(from.u64()?);
    let price = Price::new(from.i64()?);
    let quantity = Quantity::new(from.i64()?);
    let cumulative_quantity = Quantity::new(from.i64()?);
    let last_quantity = Quantity::new(from.i64()?);
    let last_price = Price::new(from.i64()?);
    let trade_id = from.u64()?;
    let fee = from.i64()?;
    let [fee_asset, execution, status, kind, time_in_force, side] = from.bytes()?;
    let flags = from.u16()?;
    Ok(Body::Order(OrderReport {
        client_order_id,
        venue_order_id,
        price,
        quantity,
        cumulative_quantity,
        last_quantity,
        last_price,
        trade_id,
        fee,
        fee_asset: AssetId(fee_asset),
        execution: Execution::from_code(execution)?,
        status: VenueStatus::from_code(status)?,
        kind: OrderKind::from_code(kind)?,
        time_in_force: TimeInForce::from_code(time_in_force)?,
        side: Side::from_code(side)?,
        flags: ReportFlags(flags),
    }))
}

fn decode_level(from: &mut Decoder<'_>) -> Result<Level, DecodeError> {
    Ok(Level { price: Price::new(from.i64()?), quantity: Quantity::new(from.i64()?) })
}

fn decode_part<const N: usize>(from: &mut Decoder<'_>) -> Result<(DepthPart, [Level; N]), DecodeError> {
    let [flags, count, bids] = from.bytes()?;
    if usize::from(count) > N || bids > count || flags > 3 {
        return Err(DecodeError::UnknownCode { field: "depth part", code: u64::from(count) });
    }
    let mut levels = [Level::default(); N];
    for slot in levels.iter_mut().take(usize::from(count)) {
        *slot = decode_level(from)?;
    }
    Ok((DepthPart { count, bids, snapshot: flags & 1 != 0, last: flags & 2 != 0 }, levels))
}

fn decode_instrument(from: &mut Decoder<'_>) -> Result<InstrumentDefinition, DecodeError> {
    let mut step = || -> Result<Increment, DecodeError> {
        let mantissa = from.u32()?;
        let [decimals, text_decimals] = from.bytes()?;
        Ok(Increment { mantissa, decimals, text_decimals })
    };
    let tick = step()?;
    let lot = step()?;
    let min_price = Price::new(from.i64()?);
    let max_price = Price::new(from.i64()?);
    let min_quantity = Quantity::new(from.i64()?);
    let max_quantity = Quantity::new(from.i64()?);
    let max_market_quantity = Quantity::new(from.i64()?);
    let min_notional = from.i64()?;
    let percent_up = from.u32()?;
    let percent_down = from.u32()?;
    let maker_fee_ppm = from.i32()?;
    let taker_fee_ppm = from.i32()?;
    let [base, quote, product, status] = from.bytes()?;
    Ok(InstrumentDefinition {
        tick,
        lot,
        min_price,
        max_price,
        min_quantity,
        max_quantity,
        max_market_quantity,
        min_notional,
        percent_up,
        percent_down,
        maker_fee_ppm,
        taker_fee_ppm,
        base: AssetId(base),
        quote: AssetId(quote),
        product: Product::from_code(product)?,
        status: InstrumentStatus::from_code(status)?,
    })
}

fn flag(field: &'static str, code: u8) -> Result<bool, DecodeError> {
    match code {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::UnknownCode { field, code: u64::from(other) }),
    }
}
