//! A recording's lines: `<local receive time> <raw JSON>`, in plain or gzip files, one file after the other.
//!
//! Read as a stream, never as a whole. A line that cannot be used is an error with file, line number and reason: a hole in a market must not pass for
//! a quiet market. Receive times come in nanoseconds, microseconds or milliseconds since 1970 and are told apart by their magnitude.

use super::super::api::{Filters, PriceLevel, StreamKind, SymbolSpec};
use super::super::decimal::Decimal;
use super::super::error::SetupError;
use super::recorded::RecordedDiff;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Far above a snapshot of a thousand levels; a line beyond it is not a line.
const LONGEST_LINE: u64 = 16 << 20;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// One line, understood.
#[derive(Clone, Debug)]
pub struct Line {
    pub received_ns: u64,
    pub json: Arc<[u8]>,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    Stream {
        stream: Arc<str>,
        symbol: String,
        kind: StreamKind,
        data: Range<usize>,
        message: Message,
    },
    /// The recorded answer to a REST depth request. It does not name its symbol.
    Snapshot {
        last_update_id: u64,
        event_time_ms: u64,
        transaction_time_ms: u64,
        bids: Vec<PriceLevel>,
        asks: Vec<PriceLevel>,
    },
}

/// What a stream message does to the recorded market.
#[derive(Clone, Debug)]
pub enum Message {
    Depth(RecordedDiff),
    Trade {
        price: Decimal,
        quantity: Decimal,
        buyer_is_maker: bool,
        time_ms: u64,
        trade_id: u64,
    },
    Mark(Decimal),
    /// Passed on, otherwise without effect.
    Other,
}

/// Where a recording went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    pub file: String,
    pub line: u64,
    pub why: String,
}

/// The lines of a list of files.
pub struct Lines {
    waiting: VecDeque<PathBuf>,
    file: String,
    reader: Option<Box<dyn BufRead + Send>>,
    line: u64,
    /// Lines read so far, over all files.
    pub count: u64,
}

impl Lines {
    /// Opens the first file and looks whether the others are there.
    pub fn open(files: &[PathBuf]) -> Result<Lines, SetupError> {
        for file in files {
            open(file)
                .map_err(|source| SetupError::RecordingFile { file: file.display().to_string(), source })?;
        }
        if files.is_empty() {
            return Err(SetupError::NoRecording);
        }
        Ok(Lines {
            waiting: files.iter().cloned().collect(),
            file: String::new(),
            reader: None,
            line: 0,
            count: 0,
        })
    }

    /// The next line, or `None` after the last.
    pub fn next(&mut self) -> Result<Option<Line>, BadLine> {
        loop {
            let Some(reader) = &mut self.reader else {
                let Some(path) = self.waiting.pop_front() else { return Ok(None) };
                self.file = path.display().to_string();
                self.line = 0;
                self.reader =
                    Some(open(&path).map_err(|error| self.bad(format!("cannot be opened: {error}")))?);
                continue;
            };
            let mut text = Vec::new();
            let read = reader.take(LONGEST_LINE).read_until(b'\n', &mut text);
            self.line += 1;
            match read {
                Err(error) => return Err(self.bad(format!("cannot be read: {error}"))),
                Ok(0) => {
                    self.reader = None;
                    continue;
                }
                Ok(_) => {}
            }
            if text.last() == Some(&b'\n') {
                text.pop();
            } else if text.len() as u64 == LONGEST_LINE {
                return Err(self.bad("line is too long".to_owned()));
            }
            if text.last() == Some(&b'\r') {
                text.pop();
            }
            self.count += 1;
            return parse(&text).map(Some).map_err(|why| self.bad(why));
        }
    }

    fn bad(&self, why: String) -> BadLine {
        BadLine { file: self.file.clone(), line: self.line, why }
    }
}

fn open(path: &Path) -> std::io::Result<Box<dyn BufRead + Send>> {
    let mut file = File::open(path)?;
    let mut magic = [0; 2];
    let got = file.read(&mut magic)?;
    file.rewind()?;
    let plain = BufReader::with_capacity(1 << 16, file);
    if got == 2 && magic == GZIP_MAGIC {
        Ok(Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(plain))))
    } else {
        Ok(Box::new(plain))
    }
}

/// How many lines [`infer_symbols`] looks at.
const INFERENCE_LINES: usize = 5_000;

/// The instruments of a recording, in order of appearance: the known ones with the exchange's filters, others with tick, step and precision
/// as the first lines show them (the greatest steps that all prices and quantities are multiples of). A short look can only see too coarse a step:
/// who needs more than a demo configures the instrument.
pub fn infer_symbols(files: &[PathBuf]) -> Result<Vec<SymbolSpec>, SetupError> {
    let mut lines = Lines::open(files)?;
    let mut seen: Vec<(String, Grid)> = Vec::new();
    for _ in 0..INFERENCE_LINES {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(BadLine { file, line, why }) => {
                return Err(SetupError::Market(format!("recording {file}, line {line}: {why}")));
            }
        };
        let Content::Stream { symbol, message, .. } = line.content else { continue };
        let at = seen.iter().position(|(name, _)| *name == symbol).unwrap_or_else(|| {
            seen.push((symbol, Grid::default()));
            seen.len() - 1
        });
        let grid = &mut seen[at].1;
        match message {
            Message::Depth(diff) => {
                diff.bids.iter().chain(&diff.asks).for_each(|(price, quantity)| grid.add(*price, *quantity))
            }
            Message::Trade { price, quantity, .. } => grid.add(price, quantity),
            Message::Mark(_) | Message::Other => {}
        }
    }
    if seen.is_empty() {
        return Err(SetupError::Market("the recording names no instrument".to_owned()));
    }
    Ok(seen.into_iter().map(|(symbol, grid)| grid.into_spec(&symbol)).collect())
}

/// The coarsest steps that fit everything seen.
#[derive(Default)]
struct Grid {
    tick: Decimal,
    step: Decimal,
    last_price: Decimal,
}

impl Grid {
    fn add(&mut self, price: Decimal, quantity: Decimal) {
        self.tick = Decimal(greatest_common_divisor(self.tick.0, price.0));
        self.step = Decimal(greatest_common_divisor(self.step.0, quantity.0));
        if price.is_positive() {
            self.last_price = price;
        }
    }

    fn into_spec(self, symbol: &str) -> SymbolSpec {
        match symbol {
            "BTCUSDT" => return SymbolSpec::btcusdt(),
            "ETHUSDT" => return SymbolSpec::ethusdt(),
            _ => {}
        }
        let smallest = |value: Decimal| if value.is_positive() { value } else { Decimal(1) };
        let (tick, step) = (smallest(self.tick), smallest(self.step));
        let like = SymbolSpec::btcusdt();
        SymbolSpec {
            symbol: symbol.into(),
            base_asset: symbol.strip_suffix(&*like.quote_asset).unwrap_or(symbol).into(),
            price_precision: tick.places(),
            quantity_precision: step.places(),
            filters: Filters {
                min_price: tick,
                max_price: Decimal::new(10_000_000, 0),
                tick_size: tick,
                min_quantity: step,
                max_quantity: Decimal::new(10_000_000, 0),
                step_size: step,
                market_min_quantity: step,
                market_max_quantity: Decimal::new(1_000_000, 0),
                market_step_size: step,
                min_notional: Decimal::new(5, 0),
                ..like.filters.clone()
            },
            max_leverage: 50,
            reference_price: smallest(self.last_price),
            ..like
        }
    }
}

fn greatest_common_divisor(mut one: i64, mut other: i64) -> i64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// Reads one line; the error is the reason, in words.
pub fn parse(line: &[u8]) -> Result<Line, String> {
    let space =
        line.iter().position(|byte| *byte == b' ').ok_or("no space between receive time and message")?;
    let (stamp, json) = (&line[..space], &line[space + 1..]);
    let received_ns = parse_stamp(stamp)?;
    let json: Arc<[u8]> = json.into();
    let wire: Wire<'_> = serde_json::from_slice(&json).map_err(|error| format!("bad JSON: {error}"))?;
    let content = match (wire.stream, wire.data) {
        (Some(stream), Some(data)) => {
            let start = data.get().as_ptr().addr() - json.as_ptr().addr();
            let (kind, message) = message(stream, data.get())?;
            Content::Stream {
                stream: stream.into(),
                symbol: stream.split('@').next().unwrap_or_default().to_ascii_uppercase(),
                kind,
                data: start..start + data.get().len(),
                message,
            }
        }
        (None, None) => snapshot(&json)?,
        _ => return Err("a stream message needs both \"stream\" and \"data\"".to_owned()),
    };
    Ok(Line { received_ns, json: json.clone(), content })
}

fn parse_stamp(stamp: &[u8]) -> Result<u64, String> {
    let shown = || String::from_utf8_lossy(&stamp[..stamp.len().min(40)]).into_owned();
    let digits = !stamp.is_empty() && stamp.iter().all(u8::is_ascii_digit);
    let value = std::str::from_utf8(stamp).ok().filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
    let in_ns = value.and_then(|value| match value {
        100_000_000_000_000_000.. => Some(value),
        100_000_000_000_000.. => value.checked_mul(1_000),
        100_000_000_000.. => value.checked_mul(1_000_000),
        _ => None,
    });
    in_ns.ok_or_else(|| format!("bad receive time {:?}", shown()))
}

fn message(stream: &str, data: &str) -> Result<(StreamKind, Message), String> {
    let name = stream.split('@').nth(1).unwrap_or_default();
    let wrong = |error: serde_json::Error| format!("bad {name} message: {error}");
    Ok(match name {
        "depth" => {
            let wire: WireDepth<'_> = serde_json::from_str(data).map_err(wrong)?;
            let diff = RecordedDiff {
                first_update_id: wire.first,
                last_update_id: wire.last,
                previous_last_update_id: wire.previous,
                bids: levels(&wire.bids)?,
                asks: levels(&wire.asks)?,
            };
            (StreamKind::Depth, Message::Depth(diff))
        }
        "trade" | "aggTrade" => {
            let wire: WireTrade<'_> = serde_json::from_str(data).map_err(wrong)?;
            let trade = Message::Trade {
                price: decimal(wire.price)?,
                quantity: decimal(wire.quantity)?,
                buyer_is_maker: wire.buyer_is_maker,
                time_ms: wire.time,
                trade_id: wire.id.or(wire.aggregate).unwrap_or_default(),
            };
            (if name == "trade" { StreamKind::Trade } else { StreamKind::AggTrade }, trade)
        }
        "markPrice" => {
            let wire: WireMark<'_> = serde_json::from_str(data).map_err(wrong)?;
            (StreamKind::MarkPrice, Message::Mark(decimal(wire.price)?))
        }
        "bookTicker" => (StreamKind::BookTicker, Message::Other),
        _ => (StreamKind::Other, Message::Other),
    })
}

fn snapshot(json: &[u8]) -> Result<Content, String> {
    let wire: WireSnapshot<'_> = serde_json::from_slice(json)
        .map_err(|error| format!("neither a stream message nor a depth snapshot: {error}"))?;
    Ok(Content::Snapshot {
        last_update_id: wire.last,
        event_time_ms: wire.event_time,
        transaction_time_ms: wire.transaction_time,
        bids: levels(&wire.bids)?,
        asks: levels(&wire.asks)?,
    })
}

fn levels(wire: &[[&str; 2]]) -> Result<Vec<PriceLevel>, String> {
    wire.iter().map(|[price, quantity]| Ok((decimal(price)?, decimal(quantity)?))).collect()
}

fn decimal(text: &str) -> Result<Decimal, String> {
    Decimal::parse(text).map_err(|error| format!("{text:?}: {error}"))
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    stream: Option<&'a str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireDepth<'a> {
    #[serde(rename = "U")]
    first: u64,
    #[serde(rename = "u")]
    last: u64,
    #[serde(rename = "pu", default)]
    previous: Option<u64>,
    #[serde(rename = "b", borrow)]
    bids: Vec<[&'a str; 2]>,
    #[serde(rename = "a", borrow)]
    asks: Vec<[&'a str; 2]>,
}

#[derive(Deserialize)]
struct WireTrade<'a> {
    #[serde(rename = "p", borrow)]
    price: &'a str,
    #[serde(rename = "q", borrow)]
    quantity: &'a str,
    #[serde(rename = "m")]
    buyer_is_maker: bool,
    #[serde(rename = "T")]
    time: u64,
    #[serde(rename = "t", default)]
    id: Option<u64>,
    #[serde(rename = "a", default)]
    aggregate: Option<u64>,
}

#[derive(Deserialize)]
struct WireMark<'a> {
    #[serde(rename = "p", borrow)]
    price: &'a str,
}

#[derive(Deserialize)]
struct WireSnapshot<'a> {
    #[serde(rename = "lastUpdateId")]
    last: u64,
    #[serde(rename = "E", default)]
    event_time: u64,
    #[serde(rename = "T", default)]
    transaction_time: u64,
    #[serde(borrow)]
    bids: Vec<[&'a str; 2]>,
    #[serde(borrow)]
    asks: Vec<[&'a str; 2]>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TICKER: &str = r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":1}}"#;

    #[test]
    fn receive_times_are_told_apart_by_magnitude() {
        assert_eq!(parse_stamp(b"1723161255030314667"), Ok(1_723_161_255_030_314_667));
        assert_eq!(parse_stamp(b"1680652700423575"), Ok(1_680_652_700_423_575_000));
        assert_eq!(parse_stamp(b"1680652700423"), Ok(1_680_652_700_423_000_000));
        for bad in [
            &b""[..],
            b"12",
            b"99999999999999999",
            b"-1723161255030314667",
            b"17231612x5030314667",
            b"99999999999999999999",
        ] {
            assert!(parse_stamp(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_data_of_a_message_is_found_byte_for_byte() {
        let line = parse(format!("1723161255030314667 {TICKER}").as_bytes()).expect("a good line");
        let Content::Stream { data, stream, symbol, kind, .. } = &line.content else {
            panic!("not a stream message")
        };
        assert_eq!(&line.json[data.clone()], br#"{"e":"bookTicker","u":1}"#);
        assert_eq!((&**stream, &**symbol, *kind), ("btcusdt@bookTicker", "BTCUSDT", StreamKind::BookTicker));
    }

    #[test]
    fn a_bad_line_is_named_with_file_and_number_in_plain_and_gzip() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = format!("1723161255030314667 {TICKER}\n");
        let text = format!("{good}{good}1723161255030314667 {{\"stream\":\"btcusdt@bookTi");
        let plain = folder.path().join("plain.txt");
        std::fs::write(&plain, &text).expect("written");
        let packed = folder.path().join("packed.gz");
        let mut encoder = flate2::write::GzEncoder::new(
            File::create(&packed).expect("created"),
            flate2::Compression::fast(),
        );
        encoder.write_all(text.as_bytes()).expect("written");
        encoder.finish().expect("finished");
        for file in [plain, packed] {
            let mut lines = Lines::open(std::slice::from_ref(&file)).expect("opens");
            assert!(matches!(lines.next(), Ok(Some(_))));
            assert!(matches!(lines.next(), Ok(Some(_))));
            let bad = lines.next().expect_err("the third line is cut");
            assert_eq!((bad.line, bad.file), (3, file.display().to_string()));
            assert!(bad.why.contains("bad JSON"), "{}", bad.why);
        }
    }

    #[test]
    fn a_gzip_file_that_is_cut_is_an_error_and_no_early_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cut.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for at in 0..100 {
            writeln!(encoder, "{} {TICKER}", 1_723_161_255_030_314_667u64 + at * 7_919).expect("written");
        }
        let bytes = encoder.finish().expect("finished");
        std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("written");
        let mut lines = Lines::open(std::slice::from_ref(&file)).expect("opens");
        let bad = loop {
            match lines.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a cut file ended as if it were whole"),
                Err(bad) => break bad,
            }
        };
        assert_eq!(bad.file, file.display().to_string());
    }

    #[test]
    fn an_unknown_instruments_grid_is_read_off_its_numbers() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("recording.txt");
        let trade = |price: &str, quantity: &str| {
            format!(
                r#"1723161255030314667 {{"stream":"xyzusdt@trade","data":{{"T":1,"t":1,"p":"{price}","q":"{quantity}","m":true}}}}"#
            )
        };
        std::fs::write(&file, [trade("1.2345", "30"), trade("1.2350", "70")].join("\n")).expect("written");
        let specs = infer_symbols(&[file]).expect("inferred");
        let filters = &specs[0].filters;
        assert_eq!((&*specs[0].symbol, &*specs[0].base_asset), ("XYZUSDT", "XYZ"));
        assert_eq!((filters.tick_size, filters.step_size), (Decimal::new(5, 4), Decimal::new(10, 0)));
        assert_eq!((specs[0].price_precision, specs[0].quantity_precision), (4, 0));
    }

    #[test]
    fn each_kind_of_broken_line_says_what_is_wrong() {
        let why = |line: &str| parse(line.as_bytes()).expect_err(line);
        assert!(why("1723161255030314667").contains("no space"));
        assert!(why("yesterday {}").contains("bad receive time"));
        assert!(why("1723161255030314667 {\"a\":1}").contains("neither"));
        assert!(why("1723161255030314667 {\"stream\":\"x@depth\"}").contains("both"));
        let level = r#"1723161255030314667 {"stream":"x@depth","data":{"U":1,"u":1,"b":[["1","z"]],"a":[]}}"#;
        assert!(why(level).contains("\"z\""));
    }
}
