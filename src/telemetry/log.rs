//! Structured logs: a record of fixed size goes through a bounded lane to one writer thread, and never waits.
//!
//! Each thread that logs owns a [`Logger`], the filling end of its lane. A full lane drops the record and counts it; the writer
//! says how many are missing where they are missing. The writer makes JSON lines for the session folder and lines for
//! people on stderr; only it allocates, formats or calls the system.
//!
//! A record must never carry a secret: its texts are short names and numbers, not messages of a venue.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::counters::{LogCounters, Owned, Registry};
use super::utc::Utc;

macro_rules! log_events {
    ($($variant:ident $name:literal $level:ident $meaning:literal;)+) => {
        /// What a record is about: `event="..."` in the log. The table in this file is the only list of them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum LogEvent { $(#[doc = $meaning] $variant),+ }

        impl LogEvent {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The level that it usually has.
            pub const fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level),+ }
            }

            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

log_events! {
    ColdStart         "cold_start"         Info  "The run begins without earlier state.";
    WarmStart         "warm_start"         Info  "The run goes on from an earlier session's state.";
    Connected         "connected"          Info  "A link to a venue is up.";
    Disconnected      "disconnected"       Warn  "A link to a venue is down.";
    Reconnect         "reconnect"          Info  "A link to a venue is up again after it was lost, or a younger connection takes its place.";
    Hydration         "hydration"          Info  "A scope's state was read from the venue.";
    BookSynced        "book_synced"        Info  "An instrument's book can be trusted.";
    BookLost          "book_lost"          Warn  "An instrument's book cannot be trusted until it is synchronised again.";
    Gate              "gate"               Info  "A gate opened or closed.";
    KillSwitch        "kill_switch"        Error "The kill switch tripped or was reset.";
    Incident          "incident"           Error "Something that a person may have to look at.";
    DataInconsistency "data_inconsistency" Error "Our numbers and the venue's disagree.";
    PositionSnapshot  "position_snapshot"  Info  "An instrument's position, read back.";
    Heartbeat         "heartbeat"          Info  "The periodic read-back from a venue.";
    OrderRejected     "order_rejected"     Warn  "A venue refused a request.";
    OrderNotSent      "order_not_sent"     Warn  "A request was never begun.";
    ClockSkew         "clock_skew"         Warn  "The venue's clock and ours have moved apart, or together again.";
    BadMessage        "bad_message"        Warn  "A message of a venue was not understood.";
    RingFull          "ring_full"          Warn  "A ring was full.";
    JournalRoll       "journal_roll"       Info  "The journal goes on in the next segment.";
    JournalFailure    "journal_failure"    Error "The journal cannot be written.";
    TradingEnabled    "trading_enabled"    Info  "Strategies may trade.";
    TradingDisabled   "trading_disabled"   Warn  "Strategies may not trade.";
    Operator          "operator"           Info  "An operator's command took effect.";
    ParameterChange   "parameter_change"   Info  "A limit or a parameter was changed.";
    Schedule          "schedule"           Info  "A trading window opened or closed, or a trading day began.";
    Drain             "drain"              Info  "The run is ending: no new orders.";
    LoopShutdown      "loop_shutdown"      Info  "A loop has ended.";
    LogDropped        "log_dropped"        Warn  "Records are missing here: their lane was full.";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub const ALL: &'static [Self] = &[Self::Debug, Self::Info, Self::Warn, Self::Error];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Fields of one record; more are cut off.
pub const MAX_FIELDS: usize = 6;
/// Bytes of a text field; longer text is cut at a character.
pub const MAX_TEXT: usize = 159;

/// One record: `Copy`, fixed size, no pointer but to static names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogRecord {
    /// Unix nanoseconds, as the thread was told or read them.
    pub time: u64,
    pub level: Level,
    pub event: LogEvent,
    count: u8,
    fields: [(&'static str, Field); MAX_FIELDS],
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Field {
    None,
    Unsigned(u64),
    Signed(i64),
    Flag(bool),
    /// A name from a table of the program: no copy.
    Name(&'static str),
    Text(ShortText),
}

/// Text within the record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortText {
    length: u8,
    bytes: [u8; MAX_TEXT],
}

impl LogRecord {
    /// At the event's usual level.
    #[inline]
    pub fn new(time: u64, event: LogEvent) -> Self {
        Self { time, level: event.level(), event, count: 0, fields: [("", Field::None); MAX_FIELDS] }
    }

    #[inline]
    #[must_use]
    pub fn at(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    #[inline]
    #[must_use]
    pub fn with(mut self, name: &'static str, field: impl Into<Field>) -> Self {
        if let Some(slot) = self.fields.get_mut(usize::from(self.count)) {
            *slot = (name, field.into());
            self.count += 1;
        }
        self
    }

    pub fn fields(&self) -> &[(&'static str, Field)] {
        self.fields.get(..usize::from(self.count)).unwrap_or(&[])
    }
}

impl ShortText {
    #[inline]
    pub fn new(text: &str) -> Self {
        let kept = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or("");
        let mut bytes = [0; MAX_TEXT];
        if let Some(room) = bytes.get_mut(..kept.len()) {
            room.copy_from_slice(kept.as_bytes());
        }
        Self { length: u8::try_from(kept.len()).unwrap_or(0), bytes }
    }

    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or(&[]);
        std::str::from_utf8(bytes).unwrap_or("")
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

macro_rules! field_from {
    ($($from:ty => |$value:ident| $field:expr;)+) => { $(
        impl From<$from> for Field {
            #[inline]
            fn from($value: $from) -> Self {
                $field
            }
        }
    )+ };
}

field_from! {
    u64 => |value| Self::Unsigned(value);
    u32 => |value| Self::Unsigned(u64::from(value));
    i64 => |value| Self::Signed(value);
    i32 => |value| Self::Signed(i64::from(value));
    bool => |value| Self::Flag(value);
    &'static str => |value| Self::Name(value);
    ShortText => |value| Self::Text(value);
}

/// One thread's end of its lane.
#[derive(Debug)]
pub struct Logger {
    // rtrb itself rather than `ring`: telemetry depends on nothing of ours but the core and the system.
    lane: rtrb::Producer<LogRecord>,
    counters: Owned<LogCounters>,
    least: Level,
}

impl Logger {
    /// Hands a record over, or counts it as dropped. Never waits, allocates or calls the system.
    #[inline]
    pub fn log(&mut self, record: LogRecord) {
        if record.level < self.least {
            return;
        }
        match self.lane.push(record) {
            Ok(()) => self.counters.records.one(),
            Err(_) => self.counters.dropped.one(),
        }
    }
}

/// Where records go, and which.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// JSON lines, appended. `None` keeps no file.
    pub file: Option<PathBuf>,
    /// Records below it are not kept at all.
    pub least: Level,
    /// Records from it on are also shown on stderr. `None` shows none.
    pub shown: Option<Level>,
    /// Records that wait in one lane at most.
    pub depth: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { file: None, least: Level::Info, shown: Some(Level::Warn), depth: 1_024 }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("cannot open log file {}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot write log file {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot start the log's thread: {0}")]
    Thread(io::Error),
    #[error("the log's thread has died")]
    Died,
}

/// Lanes are made here, one a thread; then the writer starts.
pub struct LogBuilder {
    options: LogOptions,
    registry: Registry,
    lanes: Vec<Lane>,
}

struct Lane {
    thread: String,
    records: rtrb::Consumer<LogRecord>,
    registry: Registry,
    dropped_told: u64,
}

impl LogBuilder {
    pub fn new(options: LogOptions, registry: &Registry) -> Self {
        Self { options, registry: registry.clone(), lanes: Vec::new() }
    }

    /// The logger of the thread of this name.
    pub fn lane(&mut self, thread: &str) -> Logger {
        let (lane, records) = rtrb::RingBuffer::new(self.options.depth.max(1));
        self.lanes.push(Lane {
            thread: thread.into(),
            records,
            registry: self.registry.clone(),
            dropped_told: 0,
        });
        Logger { lane, counters: self.registry.block(thread), least: self.options.least }
    }

    /// Opens the file and starts the writer. What was logged before is not lost, as far as lanes are deep.
    pub fn start(self) -> Result<LogWriter, LogError> {
        self.start_showing(Box::new(io::stderr()))
    }

    fn start_showing(self, shown_to: Box<dyn Write + Send>) -> Result<LogWriter, LogError> {
        let file = match &self.options.file {
            Some(path) => Some(open(path)?),
            None => None,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let mut work = Work {
            lanes: self.lanes,
            file,
            path: self.options.file.unwrap_or_default(),
            shown: self.options.shown,
            shown_to,
            line: String::with_capacity(512),
        };
        let asked = stop.clone();
        let thread = thread::Builder::new()
            .name("log".into())
            .spawn(move || work.run(&asked))
            .map_err(LogError::Thread)?;
        Ok(LogWriter { stop, thread: Some(thread) })
    }
}

fn open(path: &Path) -> Result<BufWriter<File>, LogError> {
    let file = File::options().create(true).append(true).open(path);
    file.map(BufWriter::new).map_err(|source| LogError::Open { path: path.into(), source })
}

/// The writer thread. Dropping it stops it too, without saying how it went.
#[must_use = "dropped, it stops"]
pub struct LogWriter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), LogError>>>,
}

impl LogWriter {
    /// Writes what is waiting, and ends.
    pub fn stop(mut self) -> Result<(), LogError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LogError> {
        // Release: pairs with the Acquire in `run`; what this thread logged before is in the lanes.
        self.stop.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.thread().unpark();
        thread.join().unwrap_or(Err(LogError::Died))
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// How long a record may wait before the writer looks: hot threads do not wake it, since waking is a system call.
const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Work {
    lanes: Vec<Lane>,
    file: Option<BufWriter<File>>,
    path: PathBuf,
    shown: Option<Level>,
    shown_to: Box<dyn Write + Send>,
    line: String,
}

impl Work {
    /// A failing file does not end the log: it goes on to stderr, and the first error is the answer at the end.
    fn run(&mut self, stop: &AtomicBool) -> Result<(), LogError> {
        let mut failed = None;
        loop {
            // Acquire: pairs with the Release in `LogWriter::end`. Read before the lanes, so that the last pass sees all.
            let last = stop.load(Ordering::Acquire);
            if let Err(source) = self.pass() {
                let path = self.path.clone();
                let _ = writeln!(self.shown_to, "log: cannot write {}: {source}", path.display());
                self.file = None;
                failed.get_or_insert(LogError::Write { path, source });
            }
            if last {
                return failed.map_or(Ok(()), Err);
            }
            thread::park_timeout(LOOK_EVERY);
        }
    }

    fn pass(&mut self) -> io::Result<()> {
        let Self { lanes, file, shown, shown_to, line, .. } = self;
        let mut result = Ok(());
        for lane in lanes.iter_mut() {
            let mut write = |record: &LogRecord, thread: &str| {
                if shown.is_some_and(|least| record.level >= least) {
                    line.clear();
                    person_line(line, record, thread);
                    // Nobody may be listening on stderr.
                    let _ = shown_to.write_all(line.as_bytes());
                }
                if let Some(file) = file.as_mut().filter(|_| result.is_ok()) {
                    line.clear();
                    json_line(line, record, thread);
                    result = file.write_all(line.as_bytes());
                }
            };
            let mut latest = 0;
            // At most a lane's depth in one pass: a thread that logs without end does not keep the others waiting.
            for _ in 0..lane.records.buffer().capacity() {
                let Ok(record) = lane.records.pop() else { break };
                latest = record.time;
                write(&record, &lane.thread);
            }
            let dropped = lane.dropped();
            if dropped > lane.dropped_told {
                let missing = dropped - lane.dropped_told;
                lane.dropped_told = dropped;
                write(&LogRecord::new(latest, LogEvent::LogDropped).with("records", missing), &lane.thread);
            }
        }
        result?;
        file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Lane {
    fn dropped(&self) -> u64 {
        let mut dropped = 0;
        self.registry.each(|reading| {
            if reading.block == "log" && reading.owner == self.thread && reading.metric == "dropped" {
                dropped = u64::try_from(reading.value).unwrap_or(0);
            }
        });
        dropped
    }
}

fn json_line(line: &mut String, record: &LogRecord, thread: &str) {
    let _ = write!(
        line,
        r#"{{"time":"{}","level":"{}","event":"{}","thread":{}"#,
        Utc(record.time),
        record.level.name(),
        record.event.name(),
        Quoted(thread)
    );
    for (name, field) in record.fields() {
        let _ = write!(line, ",{}:", Quoted(name));
        let _ = match field {
            Field::None => line.write_str("null"),
            Field::Unsigned(value) => write!(line, "{value}"),
            Field::Signed(value) => write!(line, "{value}"),
            Field::Flag(value) => write!(line, "{value}"),
            Field::Name(text) => write!(line, "{}", Quoted(text)),
            Field::Text(text) => write!(line, "{}", Quoted(text.as_str())),
        };
    }
    line.push_str("}\n");
}

fn person_line(line: &mut String, record: &LogRecord, thread: &str) {
    let _ = write!(
        line,
        "{} {:<5} {thread} {}",
        Utc(record.time).of_day(),
        record.level.name(),
        record.event.name()
    );
    for (name, field) in record.fields() {
        let _ = match field {
            Field::None => write!(line, " {name}=-"),
            Field::Unsigned(value) => write!(line, " {name}={value}"),
            Field::Signed(value) => write!(line, " {name}={value}"),
            Field::Flag(value) => write!(line, " {name}={value}"),
            Field::Name(text) => write!(line, " {name}={}", Plain(text)),
            Field::Text(text) => write!(line, " {name}={}", Plain(text.as_str())),
        };
    }
    line.push('\n');
}

/// A JSON string.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                control if control.is_control() => write!(f, "\\u{:04x}", u32::from(control))?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

/// Text that cannot steer a terminal.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c.is_control() { '?' } else { c }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// 2024-08-08 11:26:40.123456789 UTC.
    const TIME: u64 = 1_723_116_400_123_456_789;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn record() -> LogRecord {
        LogRecord::new(TIME, LogEvent::OrderRejected)
            .with("order", ShortText::new("k3f9a-0000000011"))
            .with("code", -2010i64)
            .with("count", 3u64)
            .with("reason", "balance")
            .with("again", false)
    }

    #[test]
    fn a_record_becomes_one_json_object_and_one_line_for_people() {
        let (mut json, mut person) = (String::new(), String::new());
        json_line(&mut json, &record(), "core");
        person_line(&mut person, &record(), "core");
        assert_eq!(
            json,
            concat!(
                r#"{"time":"2024-08-08T11:26:40.123456789Z","level":"warn","event":"order_rejected","thread":"core","#,
                r#""order":"k3f9a-0000000011","code":-2010,"count":3,"reason":"balance","again":false}"#,
                "\n"
            )
        );
        assert_eq!(
            person,
            "11:26:40.123456 warn  core order_rejected order=k3f9a-0000000011 code=-2010 count=3 reason=balance again=false\n"
        );
    }

    #[test]
    fn any_text_comes_back_whole_from_the_json_and_cannot_steer_a_terminal() {
        let nasty = "\"\\\n\u{1b}[2J\u{7f}é\u{85}";
        let record = LogRecord::new(TIME, LogEvent::Operator).with("text", ShortText::new(nasty));
        let (mut json, mut person) = (String::new(), String::new());
        json_line(&mut json, &record, "operator \"1\"");
        person_line(&mut person, &record, "operator");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["text"], nasty);
        assert_eq!(read["thread"], "operator \"1\"");
        assert!(!person.trim_end().contains(char::is_control), "{person:?}");
        assert_eq!(json.lines().count(), 1);
    }

    #[test]
    fn long_text_is_cut_at_a_character_and_fields_beyond_the_last_are_dropped() {
        let text = ShortText::new(&"é".repeat(MAX_TEXT));
        assert_eq!(text.as_str().len(), MAX_TEXT - 1);
        let full =
            (0..9).fold(LogRecord::new(0, LogEvent::Gate), |record, at| record.with("field", at as u64));
        assert_eq!(full.fields().len(), MAX_FIELDS);
    }

    #[test]
    fn every_record_of_every_thread_is_in_the_file_in_its_order_once_the_writer_has_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let registry = Registry::new();
        let options =
            LogOptions { file: Some(path.clone()), depth: 1_000, shown: None, ..LogOptions::default() };
        let mut log = LogBuilder::new(options, &registry);
        let loggers = [log.lane("one"), log.lane("two")];
        let writer = log.start().unwrap();
        let threads = loggers.map(|mut logger| {
            thread::spawn(move || {
                for at in 0..500u64 {
                    logger.log(LogRecord::new(TIME + at, LogEvent::Heartbeat).with("at", at));
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        writer.stop().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for name in ["one", "two"] {
            let numbers: Vec<u64> = text
                .lines()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
                .filter(|line| line["thread"] == name)
                .map(|line| line["at"].as_u64().unwrap())
                .collect();
            assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        }
        assert_eq!(registry.snapshot().log.records, 1_000);
    }

    #[test]
    fn a_full_lane_drops_and_the_log_says_how_many_where_they_are_missing() {
        let registry = Registry::new();
        let screen = Screen::default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let options = LogOptions {
            depth: 4,
            shown: Some(Level::Info),
            file: Some(path.clone()),
            ..LogOptions::default()
        };
        let mut log = LogBuilder::new(options, &registry);
        let mut logger = log.lane("core");
        for _ in 0..7 {
            logger.log(LogRecord::new(TIME, LogEvent::Heartbeat));
        }
        logger.log(LogRecord::new(TIME, LogEvent::Heartbeat).at(Level::Debug));
        log.start_showing(Box::new(screen.clone())).unwrap().stop().unwrap();
        assert_eq!(registry.snapshot().log.dropped, 3);
        let lines: Vec<String> = screen.text().lines().map(str::to_string).collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[4], "11:26:40.123456 warn  core log_dropped records=3");
        let kept = std::fs::read_to_string(path).unwrap();
        let last: serde_json::Value = serde_json::from_str(kept.lines().last().unwrap()).unwrap();
        assert_eq!((&last["event"], &last["level"]), (&"log_dropped".into(), &"warn".into()));
        assert_eq!((&last["thread"], &last["records"]), (&"core".into(), &3.into()));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not there").join("log.jsonl");
        let options = LogOptions { file: Some(path), ..LogOptions::default() };
        let Err(error) = LogBuilder::new(options, &Registry::new()).start() else { panic!("it opened") };
        assert!(error.to_string().contains("log.jsonl"), "{error}");
    }

    #[test]
    fn a_disk_that_is_full_leaves_the_log_on_the_screen_and_is_told_at_the_end() {
        let registry = Registry::new();
        let screen = Screen::default();
        let options = LogOptions { file: Some("/dev/full".into()), ..LogOptions::default() };
        let mut log = LogBuilder::new(options, &registry);
        log.lane("core").log(LogRecord::new(TIME, LogEvent::KillSwitch));
        let error = log.start_showing(Box::new(screen.clone())).unwrap().stop().unwrap_err();
        assert!(error.to_string().contains("/dev/full"), "{error}");
        assert!(screen.text().contains("kill_switch") && screen.text().contains("cannot write"));
    }
}
