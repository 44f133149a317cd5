//! The texts that a market connection brought: the real recording, or a synthetic stream in the same layouts.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use linchpin::core::event::Event;
use linchpin::core::event::LinkReason;
use linchpin::core::id::InstrumentId;
use linchpin::core::time::Nanos;
use linchpin::venue::binance::feed::{FeedOutput, MarketFeed};
use linchpin::venue::{Directory, EventSink};

const RECORDING: &str = "data/binance_ws/usdm/btcusdt_20240808.gz";

/// Messages in the order of their arrival, one after the other in one block.
pub struct Market {
    pub name: String,
    pub is_real: bool,
    text: Vec<u8>,
    spans: Vec<Range<usize>>,
    /// Which message is the REST depth snapshot, not a stream's.
    pub snapshot: usize,
}

impl Market {
    /// The recording, at most `most` messages of it; without it a synthetic stream of `most` messages, or 20,000.
    pub fn load(most: usize) -> Self {
        let path = recording();
        match std::fs::File::open(&path) {
            Ok(file) => Self::read(BufReader::new(flate2::read::GzDecoder::new(file)), most),
            Err(_) => {
                eprintln!(
                    "!!! NO RECORDING at {} (set LINCHPIN_SHARED): a SYNTHETIC market instead",
                    path.display()
                );
                Self::synthetic(most.min(20_000), 7)
            }
        }
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    #[inline]
    pub fn message(&self, at: usize) -> &[u8] {
        &self.text[self.spans[at].clone()]
    }

    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|span| &self.text[span.clone()])
    }

    /// A walk by single ticks around 61,800 with updates of depth: the layouts are the exchange's, the market is nobody's.
    pub fn synthetic(messages: usize, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut market = Self::empty("synthetic".into(), false);
        let (mut bid, mut id) = (LOWEST, 1_000_u64);
        let mut line = String::new();
        let mut last_depth = 0;
        for at in 0..messages {
            line.clear();
            bid = (bid + dice.roll(3) as i64 - 1).clamp(LOWEST, HIGHEST);
            let (quantity, other, millis) =
                (1 + dice.roll(9_000), 1 + dice.roll(9_000), 1_723_161_256_000 + at as u64);
            id += 1 + dice.roll(9);
            match (at, dice.roll(10)) {
                (1, _) => {
                    market.snapshot = 1;
                    write_snapshot(&mut line, last_depth, millis, bid);
                }
                (0, _) | (_, 0) => {
                    let previous = if at == 0 { 900 } else { last_depth };
                    write_depth(&mut line, millis, id, previous, bid, &mut dice);
                    last_depth = id;
                }
                (_, 1 | 2) => {
                    let _ = write!(
                        line,
                        r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{millis},"T":{millis},"s":"BTCUSDT","t":{id},"p":"{}","q":"{}","X":"MARKET","m":true}}}}"#,
                        Tenths(bid),
                        Thousandths(quantity)
                    );
                }
                _ => {
                    let _ = write!(
                        line,
                        r#"{{"stream":"btcusdt@bookTicker","data":{{"e":"bookTicker","u":{id},"s":"BTCUSDT","b":"{}","B":"{}","a":"{}","A":"{}","T":{millis},"E":{millis}}}}}"#,
                        Tenths(bid),
                        Thousandths(quantity),
                        Tenths(bid + 1),
                        Thousandths(other)
                    );
                }
            }
            market.push(line.as_bytes());
        }
        market
    }

    fn read(lines: impl BufRead, most: usize) -> Self {
        let mut market = Self::empty(RECORDING.rsplit('/').next().unwrap_or(RECORDING).into(), true);
        for line in lines.lines().take(most) {
            let line = line.expect("a recording of whole lines");
            let (_, text) = line.split_once(' ').expect("a stamp, a blank and a message");
            if text.starts_with("{\"lastUpdateId\"") {
                market.snapshot = market.spans.len();
            }
            market.push(text.as_bytes());
        }
        market
    }

    fn empty(name: String, is_real: bool) -> Self {
        Self { name, is_real, text: Vec::new(), spans: Vec::new(), snapshot: usize::MAX }
    }

    fn push(&mut self, message: &[u8]) {
        let begin = self.text.len();
        self.text.extend_from_slice(message);
        self.spans.push(begin..self.text.len());
    }
}

fn recording() -> PathBuf {
    let named = std::env::var_os("LINCHPIN_SHARED").map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared")).join(RECORDING)
}

/// Gives message `at` of the market to the feed, whatever it is.
#[inline]
pub fn give<O: FeedOutput>(
    feed: &mut MarketFeed,
    market: &Market,
    at: usize,
    received: Nanos,
    clock: impl Fn() -> Nanos,
    out: &mut O,
) {
    give_text(feed, market.message(at), at == market.snapshot, received, clock, out);
}

#[inline]
pub fn give_text<O: FeedOutput>(
    feed: &mut MarketFeed,
    text: &[u8],
    is_snapshot: bool,
    received: Nanos,
    clock: impl Fn() -> Nanos,
    out: &mut O,
) {
    let read = if is_snapshot {
        feed.on_snapshot(InstrumentId(0), Some(text), received, out)
    } else {
        feed.on_message(0, text, received, clock, out)
    };
    if let Err(error) = read {
        panic!("{error} in {}", String::from_utf8_lossy(text));
    }
}

/// Opens the feed's one connection and acknowledges what it subscribed to.
pub fn open<O: FeedOutput>(feed: &mut MarketFeed, now: Nanos, out: &mut O) {
    feed.on_open(0, now, out);
    feed.on_message(0, br#"{"result":null,"id":1}"#, now, || now, out).expect("an acknowledgement");
}

/// Every event of the market, as the core would get them.
pub fn events(market: &Market, directory: &Arc<Directory>) -> Vec<Event> {
    let mut feed = super::feed(directory);
    let mut heard = Heard::default();
    open(&mut feed, Nanos::ZERO, &mut heard);
    for at in 0..market.len() {
        let now = Nanos::from_micros(10 * at as u64);
        give(&mut feed, market, at, now, || now, &mut heard);
    }
    heard.0
}

/// A sink that keeps everything, and does nothing that the feed asks for: snapshots come by themselves here.
#[derive(Default)]
pub struct Heard(pub Vec<Event>);

impl EventSink for Heard {
    fn event(&mut self, event: Event) {
        self.0.push(event);
    }
}

impl FeedOutput for Heard {
    fn send(&mut self, _connection: usize, _text: &str) {}
    fn want_snapshot(&mut self, _instrument: InstrumentId, _limit: u16) {}
    fn drop_connection(&mut self, connection: usize, reason: LinkReason) {
        panic!("the feed gave up connection {connection}: {reason:?}");
    }
    fn renew_connection(&mut self, connection: usize) {
        panic!("the venue announced the end of connection {connection}");
    }
}

/// Where the synthetic bid walks, in ticks.
const LOWEST: i64 = 618_000;
const HIGHEST: i64 = 618_007;

/// xorshift: the same market on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Tenths(i64);

impl std::fmt::Display for Tenths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}0", self.0 / 10, self.0 % 10)
    }
}

struct Thousandths(u64);

impl std::fmt::Display for Thousandths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

fn write_depth(line: &mut String, millis: u64, id: u64, previous: u64, bid: i64, dice: &mut Dice) {
    let _ = write!(
        line,
        r#"{{"stream":"btcusdt@depth@0ms","data":{{"e":"depthUpdate","E":{millis},"T":{millis},"s":"BTCUSDT","U":{},"u":{id},"pu":{previous},"b":["#,
        previous + 1
    );
    // Every price that the walk can reach is told, so that the book never crosses.
    let mut side = |line: &mut String, shown: &dyn Fn(i64) -> bool| {
        for price in LOWEST..=HIGHEST + 1 {
            let quantity = if shown(price) { 1 + dice.roll(5_000) } else { 0 };
            let comma = if price == LOWEST { "" } else { "," };
            let _ = write!(line, r#"{comma}["{}","{}"]"#, Tenths(price), Thousandths(quantity));
        }
    };
    side(line, &|price| price <= bid);
    line.push_str("],\"a\":[");
    side(line, &|price| price > bid);
    line.push_str("]}}");
}

fn write_snapshot(line: &mut String, last: u64, millis: u64, bid: i64) {
    let _ = write!(line, r#"{{"lastUpdateId":{last},"E":{millis},"T":{millis},"bids":["#);
    let side = |line: &mut String, price: &dyn Fn(i64) -> i64| {
        for step in 0..500 {
            let _ =
                write!(line, r#"{}["{}","1.000"]"#, if step == 0 { "" } else { "," }, Tenths(price(step)));
        }
    };
    side(line, &|step| bid - step);
    line.push_str("],\"asks\":[");
    side(line, &|step| bid + 1 + step);
    line.push_str("]}");
}
