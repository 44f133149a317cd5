//! One message text to its meaning: the fixed-layout scanner, beside the tolerant parser that takes over when it refuses.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use linchpin::venue::binance::json::JsonReader;
use linchpin::venue::binance::market::Levels;
use linchpin::venue::binance::{parse, scan};

use crate::rig::{self, market::Market};

pub fn bench(criterion: &mut Criterion) {
    let market = Market::load(20_000);
    let directory = rig::directory(1);
    for (name, message) in samples(&market) {
        let mut group = criterion.benchmark_group(format!("parse/{name}/{}B", message.len()));
        group.throughput(Throughput::Bytes(message.len() as u64));
        let (mut row, mut levels) = (0, Levels::with_capacity(4_096));
        group.bench_function("scanner", |bencher| {
            bencher.iter(|| {
                let message = scan::scan(black_box(message), &directory, &mut row, &mut levels);
                black_box(message.expect("a fixed layout"))
            });
        });
        let mut reader = JsonReader::with_capacity(64 * 1024);
        group.bench_function("simd_json_tape", |bencher| {
            bencher.iter(|| {
                let message = reader.read(black_box(message), |json| {
                    parse::incoming(json, &directory, &mut row, &mut levels).map_err(|bad| bad.error)
                });
                black_box(message.expect("JSON"))
            });
        });
        group.finish();
    }
}

/// A book ticker, a trade, and of the depth updates one of middling and one of large size.
fn samples(market: &Market) -> [(&'static str, &[u8]); 4] {
    let first = |kind: &str| {
        let name = format!("\"e\":\"{kind}\"");
        let mut found = market.messages().filter(move |text| contains(text, name.as_bytes()));
        found.next().expect("the market has every kind")
    };
    let mut depths: Vec<&[u8]> =
        market.messages().filter(|text| contains(text, b"\"e\":\"depthUpdate\"")).collect();
    depths.sort_by_key(|text| text.len());
    let at = |share: usize| depths[(depths.len() - 1) * share / 100];
    [
        ("book_ticker", first("bookTicker")),
        ("trade", first("trade")),
        ("depth_small", at(10)),
        ("depth_large", at(90)),
    ]
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).take(100).any(|window| window == part)
}
