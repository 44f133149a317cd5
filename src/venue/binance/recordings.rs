//! Tests against data that others made: real recordings of the exchange's streams, and published payloads. The data is not
//! part of the project: it lies beside it (`../shared/data`, or where `LINCHPIN_SHARED` says); without it these tests say so and pass.

use super::feed::{Envelope, FeedConfig, FeedOutput, MarketFeed, PathStyle};
use super::hydrate::Hydrator;
use super::json::JsonReader;
use super::market::{Incoming, Levels, MarketBody};
use super::{parse, scan};
use crate::core::event::{Body, Event, Level, LinkReason};
use crate::core::id::{InstrumentId, VenueId};
use crate::core::instrument::Product;
use crate::core::num::DecimalText;
use crate::core::time::Nanos;
use crate::venue::directory::tests::directory;
use crate::venue::{Directory, EventSink};
use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

pub(super) fn data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LINCHPIN_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let full = root.join("data").join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("SKIPPED: {} is not there (set LINCHPIN_SHARED)", full.display());
    None
}

type Lines = Vec<(u64, String)>;

/// The lines of a recording: receive time, text.
fn recording(path: &str) -> Option<Lines> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(data(path)?).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let line = |line: &str| line.split_once(' ').map(|(at, text)| (at.parse().unwrap(), text.to_string()));
    Some(text.lines().filter_map(line).collect())
}

/// The recording that several tests use, read once.
fn main_recording() -> Option<&'static Lines> {
    static LINES: OnceLock<Option<Lines>> = OnceLock::new();
    LINES.get_or_init(|| recording(USD_M_2024)).as_ref()
}

const USD_M_2024: &str = "binance_ws/usdm/btcusdt_20240808.gz";
const SPOT_2024: &str = "binance_ws/spot/btcusdt_20240808.gz";

/// The first three are small; all of them, each line judged, with `LINCHPIN_FULL=1`.
const RECORDINGS: [(&str, Product); 6] = [
    ("binance_ws/usdm/btcusdt_20240718.gz", Product::LinearPerpetual),
    ("binance_ws/usdm/btcusdt_20230404.dat.gz", Product::LinearPerpetual),
    (SPOT_2024, Product::Spot),
    ("binance_ws/usdm/btcusdt_20240719.gz", Product::LinearPerpetual),
    ("binance_ws/usdm/btcusdt_20230405.dat.gz", Product::LinearPerpetual),
    (USD_M_2024, Product::LinearPerpetual),
];

/// Both readers over one text. What the scanner takes, the parser must take with the same meaning.
struct Judge {
    directory: Directory,
    reader: JsonReader,
    scanned: Levels,
    parsed: Levels,
    rows: [usize; 2],
}

impl Judge {
    fn new(product: Product) -> Self {
        let reader = JsonReader::with_capacity(64 * 1024);
        Self {
            directory: directory(product),
            reader,
            scanned: Levels::new(),
            parsed: Levels::new(),
            rows: [0; 2],
        }
    }

    /// Whether the scanner took it.
    fn compare(&mut self, text: &[u8]) -> bool {
        let [scan_row, parse_row] = &mut self.rows;
        let Ok(scanned) = scan::scan(text, &self.directory, scan_row, &mut self.scanned) else {
            return false;
        };
        let (directory, levels) = (&self.directory, &mut self.parsed);
        let parsed = self
            .reader
            .read(text, |json| parse::incoming(json, directory, parse_row, levels).map_err(|bad| bad.error));
        assert_eq!(parsed, Ok(Incoming::Market(scanned)), "{}", String::from_utf8_lossy(text));
        if let MarketBody::Depth(_) = scanned.body {
            assert_eq!(self.scanned, self.parsed, "{}", String::from_utf8_lossy(text));
        }
        true
    }

    fn is_finer_than_the_lot(&self, text: &[u8]) -> bool {
        // On the spot grid of the test, the last three printed places are beyond the lot.
        self.directory.product() == Product::Spot
            && text
                .windows(5)
                .any(|w| w.ends_with(b"\"]") && w[..3].iter().all(u8::is_ascii_digit) && &w[..3] != b"000")
    }
}

#[test]
fn the_scanner_takes_every_recorded_message_and_means_what_the_parser_means() {
    let full = std::env::var_os("LINCHPIN_FULL").is_some();
    for (path, product) in RECORDINGS.into_iter().take(if full { 6 } else { 3 }) {
        let Some(lines) = recording(path) else { continue };
        let mut judge = Judge::new(product);
        let kept =
            |(at, (_, text)): &(usize, &(u64, String))| full || at % 4 == 0 || !text.contains("bookTicker");
        for (_, (_, text)) in lines.iter().enumerate().filter(kept) {
            let taken = judge.compare(text.as_bytes());
            let snapshot = !text.contains("\"stream\"");
            let off_book = text.contains("\"X\":\"") && !text.contains("\"X\":\"MARKET\"");
            // Old resting orders keep finer quantities than today's lot: for the parser to round.
            let finer = judge.is_finer_than_the_lot(text.as_bytes());
            assert_eq!(taken, !(snapshot || off_book || finer), "{path}: {text}");
        }
    }
}

#[test]
fn no_changed_byte_makes_the_scanner_and_the_parser_disagree() {
    let corpus: Vec<(String, Product)> = include_str!("../../../tests/fuzz/corpus/market.txt")
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(product, text)| {
            (text.to_string(), if product == "spot" { Product::Spot } else { Product::LinearPerpetual })
        })
        .collect();
    let mut judges = [Judge::new(Product::LinearPerpetual), Judge::new(Product::Spot)];
    let mut seed = 0x0dd_ba11_5eed_1234u64;
    let mut dice = |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % n as u64) as usize
    };
    let alphabet = b"0123456789.-+eE\"\\,:{}[] \n\t\x00\xffnulltruefalseuUbBaApqsSTEMm";
    let (mut taken, mut refused) = (0, 0);
    for (text, product) in &corpus {
        let judge = &mut judges[usize::from(*product == Product::Spot)];
        assert!(judge.compare(text.as_bytes()), "the scanner takes the corpus itself: {text}");
        for _ in 0..4_000 {
            let mut bytes = text.clone().into_bytes();
            for _ in 0..=dice(3) {
                let at = dice(bytes.len());
                match dice(4) {
                    0 => bytes[at] = alphabet[dice(alphabet.len())],
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, alphabet[dice(alphabet.len())]),
                    _ => bytes[at] = b'0' + dice(10) as u8,
                }
            }
            if judge.compare(&bytes) { taken += 1 } else { refused += 1 }
        }
    }
    assert!(taken > 1_000 && refused > 1_000, "{taken} {refused}");
}

/// A naive book of the core's events.
#[derive(Default)]
struct Listener {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    as_of: u64,
    in_snapshot: bool,
    deltas: u64,
    lost: u64,
    wanted: u64,
    tickers: HashMap<u64, (Level, Level)>,
    agreed: u64,
}

impl Listener {
    fn apply(&mut self, levels: &[Level], bids: usize) {
        for (index, level) in levels.iter().enumerate() {
            let side = if index < bids { &mut self.bids } else { &mut self.asks };
            match level.quantity.raw() {
                0 => side.remove(&level.price.raw()),
                quantity => side.insert(level.price.raw(), quantity),
            };
        }
    }
}

impl EventSink for Listener {
    fn event(&mut self, event: Event) {
        let last = match event.body {
            Body::Depth(depth) => {
                if depth.part.snapshot {
                    self.bids.clear();
                    self.asks.clear();
                } else {
                    self.deltas += 1;
                }
                (self.as_of, self.in_snapshot) = (depth.last_update, depth.part.snapshot);
                self.apply(&depth.levels[..usize::from(depth.part.count)], usize::from(depth.part.bids));
                depth.part.last
            }
            Body::DepthMore(more) => {
                self.apply(&more.levels[..usize::from(more.part.count)], usize::from(more.part.bids));
                more.part.last
            }
            Body::BookLost(_) => {
                self.lost += 1;
                false
            }
            Body::BookTicker(ticker) => {
                self.tickers.insert(ticker.update_id, (ticker.bid, ticker.ask));
                false
            }
            _ => false,
        };
        if last
            && !self.in_snapshot
            && let Some((bid, ask)) = self.tickers.get(&self.as_of)
        {
            let (best_bid, best_ask) =
                (self.bids.last_key_value().unwrap(), self.asks.first_key_value().unwrap());
            assert_eq!((*best_bid.0, *best_bid.1), (bid.price.raw(), bid.quantity.raw()));
            assert_eq!((*best_ask.0, *best_ask.1), (ask.price.raw(), ask.quantity.raw()));
            self.agreed += 1;
        }
    }
}

impl FeedOutput for Listener {
    fn send(&mut self, _: usize, _: &str) {}
    fn want_snapshot(&mut self, _: InstrumentId, _: u16) {
        self.wanted += 1;
    }
    fn drop_connection(&mut self, _: usize, reason: LinkReason) {
        panic!("{reason:?}");
    }
    fn renew_connection(&mut self, connection: usize) {
        panic!("the venue announced the end of connection {connection}");
    }
}

fn through_the_feed(lines: &[(u64, String)], product: Product) -> (MarketFeed, Listener) {
    let config = FeedConfig { paths: PathStyle::Unified, envelope: Envelope::Combined, ..Default::default() };
    let mut feed = MarketFeed::new(Arc::new(directory(product)), config).unwrap();
    let mut out = Listener::default();
    for (at, text) in lines {
        let now = Nanos::new(*at);
        if text.contains("\"stream\"") {
            feed.on_message(0, text.as_bytes(), now, || now, &mut out).unwrap();
        } else {
            feed.on_snapshot(InstrumentId(0), Some(text.as_bytes()), now, &mut out).unwrap();
        }
    }
    (feed, out)
}

/// The book of a file, from its raw lines and by texts alone: no number of ours is trusted here.
fn rebuild(lines: &[(u64, String)], spot: bool) -> [HashMap<String, String>; 2] {
    let mut book = [HashMap::new(), HashMap::new()];
    let put = |book: &mut [HashMap<String, String>; 2], json: &serde_json::Value, names: [&str; 2]| {
        for (side, name) in book.iter_mut().zip(names) {
            for level in json[name].as_array().unwrap() {
                let (price, quantity) = (level[0].as_str().unwrap(), level[1].as_str().unwrap());
                if quantity.bytes().all(|b| b == b'0' || b == b'.') {
                    side.remove(price);
                } else {
                    side.insert(price.to_string(), quantity.to_string());
                }
            }
        }
    };
    let parse = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    let snapshot =
        lines.iter().find(|(_, text)| !text.contains("\"stream\"")).map(|(_, text)| parse(text)).unwrap();
    let last = snapshot["lastUpdateId"].as_u64().unwrap();
    put(&mut book, &snapshot, ["bids", "asks"]);
    for (_, text) in lines.iter().filter(|(_, text)| text.contains("\"depthUpdate\"")) {
        let json = parse(text);
        let ends = json["data"]["u"].as_u64().unwrap();
        if ends > last || (ends == last && !spot) {
            put(&mut book, &json["data"], ["b", "a"]);
        }
    }
    book
}

#[test]
fn the_feeds_book_of_a_recording_is_the_book_rebuilt_from_its_raw_lines() {
    for (path, product, deltas, agreed) in [
        (USD_M_2024, Product::LinearPerpetual, Some(6_547), Some(503)),
        (SPOT_2024, Product::Spot, None, None),
    ] {
        let spot_lines;
        let lines = match product {
            Product::LinearPerpetual => main_recording(),
            Product::Spot => {
                spot_lines = recording(path);
                spot_lines.as_ref()
            }
        };
        let Some(lines) = lines else { continue };
        let (feed, out) = through_the_feed(lines, product);
        let counters = feed.counters();
        assert_eq!((out.lost, out.wanted, counters.gaps, counters.bad), (0, 1, 0, 0), "{path} {counters:?}");
        if let (Some(deltas), Some(agreed)) = (deltas, agreed) {
            assert_eq!((out.deltas, out.agreed), (deltas, agreed), "{path}");
        }
        let [bids, asks] = rebuild(lines, product == Product::Spot);
        let grid = feed_grid(product);
        for (ours, theirs) in [(&out.bids, &bids), (&out.asks, &asks)] {
            assert_eq!(ours.len(), theirs.len(), "{path}");
            for (price, quantity) in ours {
                let (mut price_text, mut quantity_text) = (DecimalText::new(), DecimalText::new());
                grid.tick.write(*price, &mut price_text);
                grid.lot.write(*quantity, &mut quantity_text);
                // Spot prints eight places; what is finer than a lot is dropped from a level's quantity.
                let (price, places) = match product {
                    Product::Spot => (format!("{}000000", price_text.as_str()), 3),
                    Product::LinearPerpetual => (price_text.as_str().to_string(), 0),
                };
                let theirs = theirs.get(&price).unwrap_or_else(|| panic!("{path}: no level at {price}"));
                assert_eq!(quantity_text.as_str(), &theirs[..theirs.len() - places], "{path} {price}");
            }
        }
    }
}

fn feed_grid(product: Product) -> crate::core::instrument::InstrumentDefinition {
    directory(product).find(b"BTCUSDT").unwrap().definition
}

/// A recording with damage: whatever happens on the way, the book in the end is the one of the raw lines.
struct Damaged<'l> {
    whole: &'l [(u64, String)],
    product: Product,
    /// Where the lines with depth updates stand, from the snapshot on.
    depth: Vec<usize>,
}

impl<'l> Damaged<'l> {
    /// Of the beginning, up to this many depth updates.
    fn of(lines: &'l [(u64, String)], product: Product, updates: usize) -> Self {
        let is_depth = |text: &str| text.contains("\"depthUpdate\"");
        let enough = lines.iter().enumerate().filter(|(_, (_, text))| is_depth(text)).nth(updates);
        let whole = &lines[..enough.map_or(lines.len(), |(at, _)| at + 1)];
        let snapshot = whole.iter().position(|(_, text)| !text.contains("\"stream\"")).unwrap();
        let depth = (snapshot + 1..whole.len()).filter(|at| is_depth(&whole[*at].1)).collect();
        Self { whole, product, depth }
    }

    /// Every line from there on, with its number.
    fn lines_from(&self, first: usize) -> Vec<(usize, &'l str)> {
        self.whole.iter().enumerate().skip(first).map(|(at, (_, text))| (at, text.as_str())).collect()
    }

    /// The venue's own book after so many lines, as a snapshot's body.
    fn snapshot_after(&self, count: usize) -> String {
        let [bids, asks] = rebuild(&self.whole[..count], self.product == Product::Spot);
        let last = self.depth.iter().rev().find(|at| **at < count).unwrap();
        let json: serde_json::Value = serde_json::from_str(&self.whole[*last].1).unwrap();
        let side = |side: &HashMap<String, String>| {
            let rows: Vec<_> = side.iter().map(|(p, q)| format!("[\"{p}\",\"{q}\"]")).collect();
            rows.join(",")
        };
        let last = json["data"]["u"].as_u64().unwrap();
        format!(r#"{{"lastUpdateId":{last},"bids":[{}],"asks":[{}]}}"#, side(&bids), side(&asks))
    }

    /// Feeds these lines, and answers every wish for a snapshot two lines later.
    fn run(&self, lines: &[(usize, &str)]) -> (MarketFeed, Listener) {
        let config =
            FeedConfig { paths: PathStyle::Unified, envelope: Envelope::Combined, ..Default::default() };
        let mut feed = MarketFeed::new(Arc::new(directory(self.product)), config).unwrap();
        let mut out = Listener::default();
        let mut answer_at = None;
        for (step, (at, text)) in lines.iter().enumerate() {
            // So long apart that the pause between two wishes passes.
            let now = Nanos::from_millis(20 * step as u64);
            let wished = out.wanted;
            if text.contains("\"stream\"") {
                feed.on_message(0, text.as_bytes(), now, || now, &mut out).unwrap();
            }
            feed.poll(now, &mut out);
            if out.wanted > wished {
                answer_at = Some(step + 2);
            }
            if answer_at == Some(step) {
                let body = self.snapshot_after(at + 1);
                feed.on_snapshot(InstrumentId(0), Some(body.as_bytes()), now, &mut out).unwrap();
            }
        }
        (feed, out)
    }

    fn assert_the_venues_book(&self, feed: &MarketFeed, out: &Listener, what: &str) {
        assert_eq!(feed.counters().snapshots_used, out.wanted, "{what}: {:?}", feed.counters());
        let [bids, asks] = rebuild(self.whole, self.product == Product::Spot);
        let grid = feed_grid(self.product);
        for (ours, theirs) in [(&out.bids, &bids), (&out.asks, &asks)] {
            let theirs: BTreeMap<i64, i64> = theirs
                .iter()
                .map(|(price, quantity)| {
                    // Spot prints eight places, of which the lot of the test has five.
                    let kept = if self.product == Product::Spot {
                        &quantity[..quantity.len() - 3]
                    } else {
                        quantity
                    };
                    let lots = grid.lot.steps(kept.as_bytes()).unwrap();
                    (grid.tick.steps(price.as_bytes()).unwrap(), lots)
                })
                .collect();
            assert!(!theirs.is_empty() && *ours == theirs, "{what}");
        }
    }
}

fn damage_is_seen_and_healed(lines: &[(u64, String)], product: Product, updates: usize) {
    let damaged = Damaged::of(lines, product, updates);
    let depth = &damaged.depth;
    // A start in mid-stream: what was before was never heard, a snapshot is asked for and bridges.
    let begin = depth[depth.len() / 4];
    let (feed, out) = damaged.run(&damaged.lines_from(begin));
    assert!(out.lost == 0 && out.wanted >= 1);
    damaged.assert_the_venues_book(&feed, &out, "a start in mid-stream");

    // A gap: one update never comes.
    let missing = depth[depth.len() / 2];
    let without: Vec<_> = damaged.lines_from(begin).into_iter().filter(|(at, _)| *at != missing).collect();
    let (feed, out) = damaged.run(&without);
    assert_eq!((out.lost, feed.counters().gaps), (1, 1), "the hole is seen");
    damaged.assert_the_venues_book(&feed, &out, "a gap");

    // A stretch that comes twice.
    let (from, to) = (depth[depth.len() / 2], depth[depth.len() / 2 + 20]);
    let mut twice = damaged.lines_from(begin);
    twice.truncate(to - begin);
    twice.extend(damaged.lines_from(from));
    let (feed, out) = damaged.run(&twice);
    assert_eq!((out.lost, feed.counters().gaps), (0, 0), "what is known already changes nothing");
    assert!(feed.counters().stale_updates >= 19, "{:?}", feed.counters());
    damaged.assert_the_venues_book(&feed, &out, "a stretch that comes twice");

    // A stretch in another order: what does not chain on is a gap.
    let mut shuffled = damaged.lines_from(begin);
    shuffled[from - begin..to - begin].reverse();
    let (feed, out) = damaged.run(&shuffled);
    assert!(out.lost >= 1 && feed.counters().gaps >= 1, "{:?}", feed.counters());
    damaged.assert_the_venues_book(&feed, &out, "a stretch in another order");
}

#[test]
fn a_damaged_spot_recording_ends_in_the_book_of_its_raw_lines() {
    let Some(lines) = recording(SPOT_2024) else { return };
    damage_is_seen_and_healed(&lines, Product::Spot, 400);
}

#[test]
fn a_damaged_usd_m_recording_ends_in_the_book_of_its_raw_lines() {
    let Some(lines) = main_recording() else { return };
    damage_is_seen_and_healed(lines, Product::LinearPerpetual, 600);
}

#[test]
fn a_hole_in_the_middle_of_a_recording_is_a_gap_and_the_next_snapshot_heals_it() {
    let Some(lines) = main_recording() else { return };
    let mut lines = lines[..20_000].to_vec();
    let (_, whole) = through_the_feed(&lines, Product::LinearPerpetual);
    let at =
        lines.iter().enumerate().filter(|(_, (_, text))| text.contains("depthUpdate")).nth(700).unwrap().0;
    lines.remove(at);
    let (feed, out) = through_the_feed(&lines, Product::LinearPerpetual);
    assert_eq!((out.lost, out.wanted, feed.counters().gaps), (1, 2, 1));
    assert!(out.deltas < whole.deltas && !feed.is_synced(), "nothing passes while no snapshot comes");
}

#[test]
fn a_real_exchange_info_lists_every_one_of_its_symbols() {
    let Some(path) = data("binance_json/jkorf/history/UsdFutures_GetExchangeInfoAsync1.txt") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let text = &text[text.find('{').unwrap()..];
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    let names: Vec<_> =
        json["symbols"].as_array().unwrap().iter().map(|s| s["symbol"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 148);
    let symbols: Vec<_> =
        names.iter().enumerate().map(|(id, name)| (InstrumentId(id as u16), *name)).collect();
    let listed = Hydrator::default()
        .directory(VenueId(0), Product::LinearPerpetual, &symbols, text.as_bytes())
        .unwrap();
    for (listing, json) in listed.listings().iter().zip(json["symbols"].as_array().unwrap()) {
        let filters = json["filters"].as_array().unwrap();
        let text = |kind: &str, field: &str| {
            let filter = filters.iter().find(|f| f["filterType"] == kind).unwrap();
            filter[field].as_str().unwrap().parse::<f64>().unwrap()
        };
        let grid = &listing.definition;
        let step =
            |step: &crate::core::num::Increment| f64::from(step.mantissa) / 10f64.powi(step.decimals.into());
        let near = |a: f64, b: f64| (a - b).abs() <= b.abs() * 1e-12;
        assert!(near(step(&grid.tick), text("PRICE_FILTER", "tickSize")), "{}", listing.symbol());
        assert!(near(step(&grid.lot), text("LOT_SIZE", "stepSize")), "{}", listing.symbol());
        assert!(
            near(grid.max_quantity.raw() as f64 * step(&grid.lot), text("LOT_SIZE", "maxQty")),
            "{}",
            listing.symbol()
        );
        assert!(
            near(grid.min_notional as f64 / 1e8, text("MIN_NOTIONAL", "notional")),
            "{}",
            listing.symbol()
        );
    }
}
