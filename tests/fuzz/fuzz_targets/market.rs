//! Whatever the scanner takes, the JSON parser must take with the same meaning; and nothing may panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use linchpin::core::id::{InstrumentId, VenueId};
use linchpin::core::instrument::Product;
use linchpin::venue::Directory;
use linchpin::venue::binance::hydrate::Hydrator;
use linchpin::venue::binance::json::JsonReader;
use linchpin::venue::binance::market::{Incoming, Levels, MarketBody};
use linchpin::venue::binance::{parse, scan};

const INFO: &[u8] = br#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.10","minPrice":"0.10","maxPrice":"1000000"},{"filterType":"LOT_SIZE","stepSize":"0.001","minQty":"0.001","maxQty":"1000"}]}]}"#;

fn directory(product: Product) -> Directory {
    Hydrator::default().directory(VenueId(0), product, &[(InstrumentId(0), "BTCUSDT")], INFO).expect("the text above")
}

fuzz_target!(|text: &[u8]| {
    for product in [Product::LinearPerpetual, Product::Spot] {
        let directory = directory(product);
        let (mut scanned_levels, mut parsed_levels) = (Levels::new(), Levels::new());
        let scanned = scan::scan(text, &directory, &mut 0, &mut scanned_levels);
        let mut row = 0;
        let levels = &mut parsed_levels;
        let parsed = JsonReader::with_capacity(1024)
            .read(text, |json| parse::incoming(json, &directory, &mut row, levels).map_err(|bad| bad.error));
        if let Ok(scanned) = scanned {
            assert_eq!(parsed, Ok(Incoming::Market(scanned)));
            if let MarketBody::Depth(_) = scanned.body {
                assert_eq!(scanned_levels, parsed_levels);
            }
        }
    }
});
