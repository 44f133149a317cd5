//! Any body gives a bracket that is whole, or one `Failed` or `NotFound`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use linchpin::core::event::{Body, Event, HydrationPhase};
use linchpin::core::id::{ClientOrderId, InstrumentId, VenueId};
use linchpin::core::instrument::Product;
use linchpin::core::time::Nanos;
use linchpin::venue::binance::hydrate::{AccountBodies, Ask, Hydrator};

const INFO: &[u8] = br#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.10","minPrice":"0.10","maxPrice":"1000000"},{"filterType":"LOT_SIZE","stepSize":"0.001","minQty":"0.001","maxQty":"1000"}]}]}"#;

fn whole(events: &[Event]) -> bool {
    let phase = |event: Option<&Event>| match event.map(|event| event.body) {
        Some(Body::Hydration(hydration)) => Some(hydration.phase),
        _ => None,
    };
    match phase(events.first()) {
        Some(HydrationPhase::Begin) => phase(events.last()) == Some(HydrationPhase::End),
        Some(HydrationPhase::Failed | HydrationPhase::NotFound) => events.len() == 1,
        _ => false,
    }
}

fuzz_target!(|text: &[u8]| {
    let mut hydrator = Hydrator::default();
    let symbols = [(InstrumentId(0), "BTCUSDT")];
    let product = Product::LinearPerpetual;
    let directory = hydrator.directory(VenueId(0), product, &symbols, INFO).expect("the text above");
    let _ = hydrator.directory(VenueId(0), product, &symbols, text);
    let ask = Ask { request: 1, as_of: Nanos::ZERO, now: Nanos::ZERO };
    for bodies in [
        AccountBodies { account: text, positions: None, open_orders: b"[]" },
        AccountBodies { account: b"[]", positions: Some(text), open_orders: b"[]" },
        AccountBodies { account: b"[]", positions: None, open_orders: text },
    ] {
        let mut events: Vec<Event> = Vec::new();
        let _ = hydrator.account_snapshot(&directory, ask, bodies, &mut events);
        assert!(whole(&events));
    }
    let mut events: Vec<Event> = Vec::new();
    let _ = hydrator.order_snapshot(&directory, InstrumentId(0), ClientOrderId::NONE, ask, text, &mut events);
    assert!(whole(&events));
});
