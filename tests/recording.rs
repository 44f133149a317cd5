//! The demo on a real recording: what the engine's book became is what the recorded lines say, rebuilt here in the simplest way.
//!
//! The recordings were made by others and lie beside the project (`LINCHPIN_SHARED`); without them these tests say so and pass.
//! `LINCHPIN_FULL=1` plays the whole of one at its real pace, which takes its 345 s.
#![cfg(feature = "embedded-venue")]

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use support::{Running, Told, knob, linchpin, number_before, replay, run, session, shared};

/// The whole recording at its real pace, and as much again.
const LONGEST: Duration = Duration::from_secs(700);
const AUGUST: &str = "binance_ws/usdm/btcusdt_20240808.gz";

#[test]
fn as_fast_as_it_can_be_read_the_book_is_the_recordings() {
    let Some(file) = shared(AUGUST) else { return };
    let played = Played::of(&[file], &["--speed", "max"]);
    played.expect_the_recorded_book(6_547, 503);
}

#[test]
fn a_second_file_continues_the_first() {
    let (Some(one), Some(other)) =
        (shared("binance_ws/usdm/btcusdt_20240718.gz"), shared("binance_ws/usdm/btcusdt_20240719.gz"))
    else {
        return;
    };
    let played = Played::of(&[one, other], &["--speed", "max"]);
    played.expect_the_recorded_book(9_017, 519);
}

/// These begin with their snapshot: before any depth update has told a client that it needs one.
#[test]
fn the_recordings_of_2023_with_stamps_in_microseconds_play_as_well() {
    let (Some(one), Some(other)) = (
        shared("binance_ws/usdm/btcusdt_20230404.dat.gz"),
        shared("binance_ws/usdm/btcusdt_20230405.dat.gz"),
    ) else {
        return;
    };
    let played = Played::of(&[one, other], &["--speed", "max"]);
    played.expect_the_recorded_book(16_110, 1_565);
}

#[test]
fn at_the_recorded_pace_an_excerpt_takes_its_time_and_loses_nothing() {
    let Some(file) = shared(AUGUST) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let excerpt = folder.path().join("excerpt.gz");
    let span = first_seconds(&file, &excerpt, 6);
    let begun = Instant::now();
    let played = Played::of(&[excerpt], &["--speed", "1"]);
    assert!(begun.elapsed() >= span, "{span:?} were played in {:?}", begun.elapsed());
    played.expect_no_gaps();
    played.expect_the_recorded_book(111, 7);
}

#[test]
fn at_its_real_pace_the_whole_recording_has_no_gap_and_503_agreements() {
    if knob("LINCHPIN_FULL", 0) == 0 {
        eprintln!("not asked for: LINCHPIN_FULL=1 plays 345 s at real pace");
        return;
    }
    let Some(file) = shared(AUGUST) else { return };
    let played = Played::of(&[file], &[]);
    played.expect_no_gaps();
    played.expect_the_recorded_book(6_547, 503);
}

/// A session that has played recordings to their end.
struct Played {
    files: Vec<PathBuf>,
    told: Told,
    /// What `replay --books` said: the book on stdout, the verdict on stderr.
    books: Told,
    _folder: tempfile::TempDir,
}

impl Played {
    #[track_caller]
    fn of(files: &[PathBuf], flags: &[&str]) -> Played {
        let folder = tempfile::tempdir().expect("a folder");
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let market = format!("recording:{}", names.join(","));
        let mut arguments = vec!["run", "--home", "home", "--market", &market];
        arguments.extend_from_slice(flags);
        let told = Running::start(linchpin(folder.path(), &arguments)).ended_within(LONGEST).expect_code(0);
        told.says("(ended: the market feed is over)").says("replay                 identical");
        let session = session(&folder.path().join("home"));
        replay(&session).expect_code(0).says("journal sealed: nothing is missing");
        let books = run(folder.path(), &["replay", "--books", &session.display().to_string()]).expect_code(0);
        Played { files: files.to_vec(), told, books, _folder: folder }
    }

    /// The engine's last book is the rebuilt one, which came from so many updates; and wherever an update of the recording ends
    /// at the id of an earlier book ticker, the engine found that they agree.
    #[track_caller]
    fn expect_the_recorded_book(&self, updates: usize, agreements: u64) {
        let rebuilt = Rebuilt::of(&self.files);
        assert_eq!((rebuilt.updates, rebuilt.agreements), (updates, agreements), "this is another recording");
        let verdict = &self.books.stderr;
        assert_eq!(number_before(verdict, "book against book ticker", " differ"), 0, "{verdict}");
        // Updates that were kept until the snapshot came are applied late, and may then meet a ticker that came after them.
        assert!(number_before(verdict, "book against book ticker", " agree") >= agreements, "{verdict}");
        let (engine, raw) = (self.books.stdout.lines(), rebuilt.lines());
        for (at, (engine, raw)) in engine.zip(&raw).enumerate() {
            assert_eq!(engine, raw, "line {at} of the book\n{}", self.told);
        }
        assert_eq!(self.books.stdout.lines().count(), raw.len(), "{}", self.told);
    }

    #[track_caller]
    fn expect_no_gaps(&self) {
        self.told.says("0 gaps, 0 resyncs, 0 reconnects").says("full rings             none");
    }
}

/// A book, from the raw lines: the snapshot, then every update that does not end before it. Prices sort as numbers,
/// texts stay as they were sent.
#[derive(Default)]
struct Rebuilt {
    bids: BTreeMap<u64, (String, String)>,
    asks: BTreeMap<u64, (String, String)>,
    snapshot: Option<u64>,
    before: Vec<Value>,
    updates: usize,
    tickers: BTreeMap<u64, Value>,
    agreements: u64,
}

impl Rebuilt {
    fn of(files: &[PathBuf]) -> Rebuilt {
        let mut book = Rebuilt::default();
        for line in files.iter().flat_map(|file| raw_lines(file)) {
            let (_, json) = line.split_once(' ').expect("a stamp and JSON");
            // Trades are most of the rest; the words are looked for first because reading JSON takes time.
            if ["lastUpdateId", "depthUpdate", "bookTicker"].iter().any(|word| json.contains(word)) {
                book.take(serde_json::from_str(json).expect("JSON"));
            }
        }
        book
    }

    fn take(&mut self, message: Value) {
        if let Some(last) = message["lastUpdateId"].as_u64() {
            if self.snapshot.is_none() {
                self.snapshot = Some(last);
                self.set(&message["bids"], &message["asks"]);
                for update in std::mem::take(&mut self.before) {
                    self.take(update);
                }
            }
            return;
        }
        let update = &message["data"];
        match self.snapshot {
            _ if update["e"] == "bookTicker" => {
                self.tickers.insert(update["u"].as_u64().expect("u"), update.clone());
            }
            None => self.before.push(message),
            Some(last) if update["u"].as_u64().expect("u") >= last => {
                self.set(&update["b"], &update["a"]);
                self.updates += 1;
                self.meet(update["u"].as_u64().expect("u"));
            }
            Some(_) => {}
        }
    }

    /// Where an update ends at the id of an earlier ticker, both say the same.
    fn meet(&mut self, id: u64) {
        let Some(ticker) = self.tickers.get(&id) else { return };
        let level = |price: &str, quantity: &str| {
            Some([price, quantity].map(|field| ticker[field].as_str().expect("text").to_owned()))
        };
        let best = |level: Option<(&u64, &(String, String))>| level.map(|(_, (p, q))| [p.clone(), q.clone()]);
        assert_eq!(best(self.bids.last_key_value()), level("b", "B"), "at {id}");
        assert_eq!(best(self.asks.first_key_value()), level("a", "A"), "at {id}");
        self.agreements += 1;
    }

    fn set(&mut self, bids: &Value, asks: &Value) {
        for (side, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            for level in levels.as_array().expect("levels") {
                let [price, quantity] = [0, 1].map(|at| level[at].as_str().expect("text").to_owned());
                let key = price.replace('.', "").parse().expect("a price");
                match quantity.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
                    true => side.remove(&key),
                    false => side.insert(key, (price, quantity)),
                };
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let bids = self.bids.values().rev().map(|(price, quantity)| format!("B {price} {quantity}"));
        let asks = self.asks.values().map(|(price, quantity)| format!("A {price} {quantity}"));
        bids.chain(asks).collect()
    }
}

fn raw_lines(file: &Path) -> impl Iterator<Item = String> + use<> {
    let file = File::open(file).expect("opens");
    BufReader::new(MultiGzDecoder::new(file)).lines().map(|line| line.expect("text"))
}

/// Copies what was received in the first seconds; gives the span between its first and its last line.
fn first_seconds(file: &Path, excerpt: &Path, seconds: u64) -> Duration {
    let mut out = GzEncoder::new(File::create(excerpt).expect("creates"), Compression::fast());
    let (mut first, mut last) = (None, 0);
    for line in raw_lines(file) {
        let received: u64 = line.split(' ').next().and_then(|stamp| stamp.parse().ok()).expect("a stamp");
        let first = *first.get_or_insert(received);
        if received - first > seconds * 1_000_000_000 {
            break;
        }
        last = received - first;
        writeln!(out, "{line}").expect("writes");
    }
    out.finish().expect("writes");
    Duration::from_nanos(last)
}
