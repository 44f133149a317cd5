//! A private message either is read whole, or gives exactly one event: that the private link is not to be trusted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use linchpin::core::event::{Body, Event, LinkState};
use linchpin::core::id::{InstrumentId, VenueId};
use linchpin::core::instrument::Product;
use linchpin::core::time::Nanos;
use linchpin::venue::binance::hydrate::Hydrator;
use linchpin::venue::binance::private::PrivateStream;
use std::sync::Arc;

const INFO: &[u8] = br#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.10","minPrice":"0.10","maxPrice":"1000000"},{"filterType":"LOT_SIZE","stepSize":"0.001","minQty":"0.001","maxQty":"1000"}]}]}"#;

fuzz_target!(|text: &[u8]| {
    let symbols = [(InstrumentId(0), "BTCUSDT")];
    let directory = Hydrator::default().directory(VenueId(0), Product::LinearPerpetual, &symbols, INFO);
    let mut stream = PrivateStream::new(Arc::new(directory.expect("the text above")), 0);
    let mut events: Vec<Event> = Vec::new();
    if stream.on_message(text, Nanos::ZERO, || Nanos::ZERO, &mut events).is_err() {
        assert!(matches!(events[..], [Event { body: Body::Link(link), .. }] if link.state == LinkState::Down));
    }
});
