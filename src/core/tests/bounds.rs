//! The core at its bounds: 256 instruments on 8 venues, 16 strategies, every one of them trading. Ids are dense, so that each
//! lookup is an index.

mod desk;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::id::*;
use linchpin_core::intent::{Intents, NewIntent};
use linchpin_core::limits::*;
use linchpin_core::num::*;
use linchpin_core::snapshot::{Sink, SnapshotError, Words};
use linchpin_core::state::Change;
use linchpin_core::strategy::{Strategy, View, Wakes};
use linchpin_core::time::Nanos;
use linchpin_core::turn::Core;

/// One bid on each of its instruments, once its market is known.
struct Bidder;

impl Strategy for Bidder {
    fn decide(&mut self, view: &View<'_>, change: Change, intents: &mut Intents) {
        let (Change::Top(id) | Change::Book(id)) = change else { return };
        let Some(slot) = view.instruments().position(|own| own == id) else { return };
        let slot = slot as u16;
        if let Some(top) = view.trusted_top(id)
            && view.order(slot).is_none()
        {
            intents.new_order(slot, NewIntent::limit(id, Side::Buy, top.bid.price, Quantity::new(2)));
        }
    }
    fn wakes_on(&self) -> Wakes {
        Wakes::TOP | Wakes::BOOK
    }
    fn save(&self, _: &mut dyn Sink) {}
    fn load(&mut self, _: &mut Words<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }
}

fn full_house() -> Configuration {
    let plain = configuration();
    let instrument = |at: usize| InstrumentLimits {
        venue: VenueId((at % MAX_VENUES) as u8),
        max_open_orders: 64,
        ..plain.instruments[0]
    };
    let venue = |at: usize| VenueLimits {
        // Every other venue keeps two positions an instrument.
        position_mode: if at.is_multiple_of(2) { PositionMode::OneWay } else { PositionMode::Hedge },
        ..VenueLimits::default()
    };
    let strategy = |at: usize| StrategyLimits {
        // One-way venues only: a bidder names no leg.
        instruments: (0..MAX_INSTRUMENTS)
            .filter(|id| id % 2 == 0 && id / 2 % 2 == at % 2)
            .map(|id| id as u16)
            .collect(),
        max_open_orders: 1_000,
        ..plain.strategies[0].clone()
    };
    Configuration {
        venues: (0..MAX_VENUES).map(venue).collect(),
        instruments: (0..MAX_INSTRUMENTS).map(instrument).collect(),
        strategies: (0..MAX_STRATEGIES).map(strategy).collect(),
        order_rows: 4_096,
        book_levels: 16,
        ..plain
    }
}

#[test]
fn two_hundred_and_fifty_six_instruments_on_eight_venues_with_sixteen_strategies_trade_each_in_its_own_place()
{
    let strategies = (0..MAX_STRATEGIES).map(|_| Box::new(Bidder) as Box<dyn Strategy>).collect();
    let mut core = Core::new(full_house(), strategies);
    let mut seen = Seen::default();
    let (mut sequence, mut now) = (0, Nanos::from_secs(1_000));
    let mut give = |core: &mut Core, seen: &mut Seen, venue: usize, instrument: InstrumentId, body: Body| {
        sequence += 1;
        now = now + Nanos::from_micros(10);
        let mut event = Event::new(now, Source::Receiver, body).on(VenueId(venue as u8), instrument);
        event.event_time = now;
        core.turn(sequence, now, &event, seen);
    };
    let ids = || (0..MAX_INSTRUMENTS as u16).map(InstrumentId);
    for id in ids() {
        give(&mut core, &mut seen, id.index() % MAX_VENUES, id, Body::Instrument(definition()));
    }
    for venue in 0..MAX_VENUES {
        for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
            let (state, reason, connection) = (LinkState::Up, LinkReason::None, 0);
            let body = Body::Link(LinkChange { link, state, reason, connection });
            give(&mut core, &mut seen, venue, InstrumentId::NONE, body);
        }
        let request = seen.asks.last().expect("the account is read back").number;
        for phase in [HydrationPhase::Begin, HydrationPhase::End] {
            let (scope, client_order_id) = (HydrationScope::Account, ClientOrderId::NONE);
            let as_of = Nanos::ZERO;
            let body = Body::Hydration(Hydration { scope, phase, client_order_id, request, as_of });
            give(&mut core, &mut seen, venue, InstrumentId::NONE, body);
        }
    }
    for id in ids() {
        // Each market stands somewhere else, so that a mixed-up place would show in a price.
        let bid = Level { price: Price::new(10_000 + 10 * i64::from(id.0)), quantity: Quantity::new(100) };
        let ask = Level { price: bid.price + Price::new(5), ..bid };
        let mut levels = [Level::default(); Depth::LEVELS];
        (levels[0], levels[1]) = (bid, ask);
        let part = DepthPart { count: 2, bids: 1, snapshot: true, last: true };
        let (first_update, last_update, previous_update) = (2, 2, 1);
        let body = Body::Depth(Depth { first_update, last_update, previous_update, part, levels });
        give(&mut core, &mut seen, id.index() % MAX_VENUES, id, body);
    }
    let sent = std::mem::take(&mut seen.dispatches);
    // 128 instruments on one-way venues, 8 strategies on each.
    assert_eq!(sent.len(), 128 * 8);
    for dispatch in &sent {
        assert_eq!(dispatch.price, Price::new(10_000 + 10 * i64::from(dispatch.instrument.0)));
        assert_eq!(dispatch.venue.index(), dispatch.instrument.index() % MAX_VENUES);
        let fill = OrderReport {
            client_order_id: dispatch.client_order_id,
            venue_order_id: VenueOrderId(dispatch.number),
            price: dispatch.price,
            quantity: dispatch.quantity,
            cumulative_quantity: dispatch.quantity,
            last_quantity: dispatch.quantity,
            last_price: dispatch.price,
            trade_id: dispatch.number,
            fee: 0,
            fee_asset: AssetId(0),
            execution: Execution::Trade,
            status: VenueStatus::Filled,
            kind: dispatch.kind,
            time_in_force: dispatch.time_in_force,
            side: dispatch.side,
            flags: ReportFlags::default(),
        };
        give(&mut core, &mut seen, dispatch.venue.index(), dispatch.instrument, Body::Order(fill));
    }
    let state = core.state();
    for id in ids() {
        let owners = (0..MAX_STRATEGIES as u8).map(StrategyId);
        let held = owners.map(|owner| state.execution.position(owner, id).unwrap().quantity.raw());
        let held: Vec<i64> = held.collect();
        let theirs = |at: usize| id.index() % 2 == 0 && id.index() / 2 % 2 == at % 2;
        let expected: Vec<i64> = (0..MAX_STRATEGIES).map(|at| if theirs(at) { 2 } else { 0 }).collect();
        assert_eq!(held, expected, "{id:?}");
        assert_eq!(state.execution.total(id).unwrap().quantity.raw(), held.iter().sum::<i64>());
        assert_eq!(state.execution.exposure(id).open_orders, 0);
    }
}
