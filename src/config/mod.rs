//! The configuration: a TOML file, or the built-in demo, read once into types that cannot be wrong.
//!
//! `default.toml` beside this file is the manual, the schema and the demo's configuration in one; `docs/CONFIGURATION.md` is printed from it. A
//! file holds only what differs. Every mistake of a file is told at once, with its line, key and value and what is allowed. Nothing
//! else is read, but the environment's word for LIVE, and secrets where a key says so; a secret never becomes part of a [`Config`].
//!
//! ```text
//!   file + default.toml --document--> sections --read--> Config --limits (+ definitions of the venue)--> core's Configuration
//!                                                          '--resolved--> text for the journal --> the same Config, in a replay
//! ```

mod bounds;
mod control;
mod document;
mod error;
mod hosts;
mod key;
mod limits;
#[cfg(test)]
mod manual;
mod read;
mod resolved;
mod schedule;
mod strategy;
#[cfg(test)]
mod tests;
mod text;
mod written;

use std::fmt;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use linchpin_core::instrument::Product;
use linchpin_core::limits::{BucketLimit, LossAnswer};
use linchpin_core::time::Nanos;

pub use bounds::Bounds;
pub use control::{Control, ControlHttps, ControlSocket};
pub use error::{ConfigError, ConfigErrors};
pub use key::{Key, KeyKind, Source, check_private};
pub use limits::InstrumentCaps;
pub use schedule::{AtClose, Change as ScheduleChange, Schedule, Window, Zone};
pub use strategy::{Bracket, Chaser, DcaEntry, Kind, MarketMaker, ParameterValue, Parameters};
pub use text::nearest;
pub use text::{Decimal, Wrong, parse_percent, parse_size, parse_span, show_percent, show_size, show_span};
pub use written::setting_number;

use crate::journal;
use crate::net::Endpoint;
use crate::venue::binance::feed::{DepthSpeed, FeedConfig, PathStyle, TradeStream};
use crate::venue::binance::wire;
use linchpin_core::limits::PositionMode;
use text::words;

/// The manual, and what runs without a file.
pub const DEFAULT: &str = include_str!("default.toml");

/// A whole configuration: checked, complete, without secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub mode: Mode,
    pub run: Run,
    pub schedule: Schedule,
    /// Bytes of a journal segment.
    pub segment_size: u64,
    /// `None`: only the last.
    pub snapshot_every: Option<Nanos>,
    pub threads: Threads,
    pub rings: Rings,
    pub control: Control,
    pub core: Core,
    pub risk: Risk,
    pub demo: Demo,
    /// By `VenueId`.
    pub venues: Vec<Venue>,
    /// By `InstrumentId`.
    pub instruments: Vec<Instrument>,
    /// By `StrategyId`.
    pub strategies: Vec<Strategy>,
}

/// What the command line says over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub mode: Option<Mode>,
    pub home: Option<PathBuf>,
    pub duration: Option<RunLength>,
    pub verify: Option<bool>,
    pub start: Option<Start>,
    pub orphans: Option<OrphanPolicy>,
    pub trading_enabled: Option<bool>,
    pub layout: Option<Layout>,
    pub wait: Option<Wait>,
    pub market: Option<Market>,
    pub seed: Option<u64>,
    pub speed: Option<Pace>,
}

impl Config {
    /// Reads the file, or without one takes the built-in demo, under the command line's overrides.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigErrors> {
        let live = std::env::var(LIVE_VARIABLE).ok();
        let Some(path) = path else {
            return read::config(None, overrides, live.as_deref());
        };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            place: name.clone(),
            key: String::new(),
            value: None,
            problem: format!("cannot be read: {error}"),
        })?;
        read::config(Some((&name, &text)), overrides, live.as_deref())
    }

    /// Reads what `resolved_text` wrote: for a replay, which dials nothing and so asks no environment.
    pub fn from_resolved(text: &str) -> Result<Self, ConfigErrors> {
        read::config(Some(("resolved configuration", text)), &Overrides::default(), Some("LIVE"))
    }

    /// Gives every embedded venue of a dialect the addresses of the process that was started for it. They belong to this run, not to the
    /// configuration: neither `resolved_text` nor `hash` shows them. It serves TLS on this `port` of this machine.
    pub fn connect_embedded(&mut self, dialect: Dialect, port: NonZeroU16) {
        for venue in self.venues.iter_mut().filter(|venue| venue.dialect == dialect) {
            if let Endpoints::Embedded(known) = &mut venue.endpoints {
                *known = Addresses::embedded(venue.dialect, port);
            }
        }
    }

    /// By name, whose external orders are whose own: the strategy, and its venue and symbol.
    pub fn external_claims(&self) -> impl Iterator<Item = (&str, String)> {
        let claims = |strategy: &Strategy| strategy.claims_external.clone();
        let all =
            self.strategies.iter().flat_map(move |s| claims(s).into_iter().map(|at| (s.name.as_str(), at)));
        all.filter_map(|(strategy, at)| {
            let instrument = self.instruments.get(usize::from(at))?;
            let venue = self.venues.get(usize::from(instrument.venue))?;
            Some((strategy, format!("{}/{}", venue.name, instrument.symbol)))
        })
    }

    /// Whether any venue is an embedded one.
    pub fn needs_embedded(&self) -> bool {
        self.venues.iter().any(Venue::is_embedded)
    }

    /// The dialects of the embedded venues, each once: a process speaks one.
    pub fn embedded_dialects(&self) -> Vec<Dialect> {
        let mut found = Vec::new();
        for venue in self.venues.iter().filter(|venue| venue.is_embedded()) {
            if !found.contains(&venue.dialect) {
                found.push(venue.dialect);
            }
        }
        found
    }

    pub fn journal_options(&self) -> journal::Options {
        journal::Options { segment_size: self.segment_size, ..journal::Options::default() }
    }
}

/// Must say LIVE, or LIVE does not run.
pub const LIVE_VARIABLE: &str = "LINCHPIN_MODE";

words! {
    /// What may be dialled, and whether anything is sent.
    pub enum Mode {
        Demo = "DEMO",
        DryRun = "DRY_RUN",
        Testnet = "TESTNET",
        Live = "LIVE",
    }
}

impl Mode {
    /// Whether a signed order may leave this machine's memory.
    pub fn sends(self) -> bool {
        !matches!(self, Self::DryRun)
    }

    /// Whether what it sends may be taken by somebody who is not ours.
    pub fn reaches_an_exchange(self) -> bool {
        matches!(self, Self::Testnet | Self::Live)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub home: PathBuf,
    pub duration: RunLength,
    /// For how long the start asks a venue that does not answer; `None`: for ever.
    pub start_within: Option<Nanos>,
    pub trading_enabled: bool,
    pub state_hash_every: u64,
    pub verify: bool,
    pub start: Start,
    pub orphans: OrphanPolicy,
}

words! {
    /// Which state a run begins with.
    pub enum Start {
        Auto = "auto",
        Warm = "warm",
        Cold = "cold",
    }
}

words! {
    /// What becomes of orders of the earlier session of which the venue knows nothing.
    pub enum OrphanPolicy {
        Close = "close",
        Requeue = "requeue",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunLength {
    For(Nanos),
    /// Until a person, or the end of a recording, stops it.
    Unbounded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    pub layout: Layout,
    pub wait: Wait,
    pub core: Cpu,
    pub receiver: Cpu,
    pub sender: Cpu,
    pub lock_memory: bool,
}

words! {
    pub enum Layout {
        Auto = "auto",
        /// Receiver, core and sender have a thread each.
        Split = "split",
        /// Receiver and sender share one.
        Merged = "merged",
    }
}

words! {
    pub enum Wait {
        Auto = "auto",
        Spin = "spin",
        Yield = "yield",
        Park = "park",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    Any,
    Number(usize),
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Depths, in entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rings {
    pub receiver_core: usize,
    pub core_sender: usize,
    pub sender_core: usize,
    pub core_requester: usize,
    pub requester_core: usize,
    pub operator_core: usize,
}

/// The home of a run whose configuration does not say another one: `default.toml` has the same, and a test compares them.
pub const DEFAULT_HOME: &str = "var";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Core {
    pub order_rows: u32,
    pub book_levels: u32,
    pub settle_quiet: Nanos,
    pub settle_max: Nanos,
    pub confirmation_timeout: Nanos,
    pub visibility_delay: Nanos,
    pub recovery_attempts: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demo {
    pub market: Market,
    pub seed: u64,
    pub speed: Pace,
    /// In USDT.
    pub balance: Decimal,
}

/// Bounds of the whole account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    pub bounds: Bounds,
    pub on_loss: LossAnswer,
}

/// Where the embedded venue's prices come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Market {
    Agents,
    /// At least one file.
    Recording(Vec<PathBuf>),
}

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Times(u32),
    Max,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Venue {
    pub name: String,
    pub dialect: Dialect,
    pub position_mode: PositionMode,
    pub endpoints: Endpoints,
    pub paths: Paths,
    /// Who may vouch for the venue; `None`: whom the operating system trusts.
    pub ca_file: Option<PathBuf>,
    /// `None`: public data only.
    pub key: Option<Key>,
    pub depth: Depth,
    pub trades: Trades,
    pub copies: u8,
    /// How long a signed request stays valid at the venue.
    pub recv_window: Nanos,
    pub connection: Connection,
    pub bounds: Bounds,
    /// Rate buckets.
    pub limits: Vec<NamedLimit>,
}

impl Venue {
    pub fn is_embedded(&self) -> bool {
        matches!(self.endpoints, Endpoints::Embedded(_))
    }

    /// Where it is; `None` for an embedded venue that has not been started.
    pub fn addresses(&self) -> Option<&Addresses> {
        match &self.endpoints {
            Endpoints::Embedded(addresses) => addresses.as_ref(),
            Endpoints::At(addresses) => Some(addresses),
        }
    }

    /// As requests say it: in milliseconds.
    pub fn recv_window_millis(&self) -> u32 {
        u32::try_from(self.recv_window.as_millis()).unwrap_or(u32::MAX)
    }

    /// The market feed's share of it.
    pub fn feed(&self) -> FeedConfig {
        FeedConfig {
            paths: match self.paths {
                Paths::Split => PathStyle::Split,
                Paths::Unified => PathStyle::Unified,
            },
            depth: Some(match self.depth {
                Depth::Fastest => DepthSpeed::Fastest,
                Depth::Millis100 => DepthSpeed::Millis100,
            }),
            trades: match self.trades {
                Trades::Trade => Some(TradeStream::Trade),
                Trades::Aggregate => Some(TradeStream::Aggregate),
                Trades::None => None,
            },
            copies: self.copies,
            ..FeedConfig::default()
        }
    }
}

words! {
    pub enum Dialect {
        BinanceUsdm = "binance-usdm",
        BinanceSpot = "binance-spot",
    }
}

impl Dialect {
    /// What such a venue tells of how much it has counted, in its own words.
    pub fn counts(self) -> &'static [wire::bucket::Count] {
        wire::bucket::counts(self.product())
    }

    /// What is traded in this dialect.
    pub fn product(self) -> Product {
        match self {
            Self::BinanceUsdm => Product::LinearPerpetual,
            Self::BinanceSpot => Product::Spot,
        }
    }
}

words! {
    pub enum Paths {
        Split = "split",
        Unified = "unified",
    }
}

words! {
    pub enum Depth {
        Fastest = "0ms",
        Millis100 = "100ms",
    }
}

words! {
    pub enum Trades {
        Trade = "trade",
        Aggregate = "aggTrade",
        None = "none",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// The demo's own venue; its addresses are known once it runs.
    Embedded(Option<Addresses>),
    At(Addresses),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub rest: Endpoint,
    /// Base of the market streams, without their paths.
    pub market: Endpoint,
    /// Base of the private stream, without its path.
    pub private: Endpoint,
    /// The WebSocket API, with its path.
    pub order_entry: Endpoint,
}

impl Addresses {
    /// Of the embedded venue that speaks this dialect.
    fn embedded(dialect: Dialect, port: NonZeroU16) -> Option<Self> {
        let at = |scheme: &str, path: &str| format!("{scheme}://127.0.0.1:{port}{path}").parse().ok();
        Some(Self {
            rest: at("https", "")?,
            market: at("wss", "")?,
            private: at("wss", "")?,
            order_entry: at("wss", wire::Dialect::of(dialect.product()).websocket_api)?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    pub connect_timeout: Nanos,
    /// `None`: no pings of our own.
    pub ping_interval: Option<Nanos>,
    pub silence_timeout: Nanos,
    pub reconnect_first: Nanos,
    pub reconnect_longest: Nanos,
    /// An open connection so old is replaced by a younger one.
    pub max_connection_age: Nanos,
    /// The venue's clock is measured this often.
    pub clock_interval: Nanos,
    /// Positions are read back so often; `None`: never.
    pub heartbeat: Option<Nanos>,
    /// Open orders are read back so often, an instrument at a time; `None`: never.
    pub audit: Option<Nanos>,
    /// Orders go over REST when the session has been down for so long; `None`: never.
    pub rest_fallback_after: Option<Nanos>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedLimit {
    pub name: String,
    pub bucket: BucketLimit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Index into `venues`.
    pub venue: u8,
    pub symbol: String,
    pub caps: InstrumentCaps,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Strategy {
    pub name: String,
    pub kind: Kind,
    /// Indices into `instruments`; none twice.
    pub instruments: Vec<u16>,
    /// Those of them whose external orders are its own; no other strategy claims them.
    pub claims_external: Vec<u16>,
    pub bounds: Bounds,
}

impl FromStr for RunLength {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        if text == "none" {
            return Ok(Self::Unbounded);
        }
        match parse_span(text) {
            Ok(span) if span >= Nanos::from_secs(1) => Ok(Self::For(span)),
            Ok(_) => Err(Wrong::new("expected a span from \"1s\", or \"none\"")),
            Err(wrong) => Err(wrong.or_none()),
        }
    }
}

impl fmt::Display for RunLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(span) => f.write_str(&show_span(*span)),
            Self::Unbounded => f.write_str("none"),
        }
    }
}

impl FromStr for Market {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text.split_once(':') {
            None if text == "agents" => Ok(Self::Agents),
            Some(("recording", files)) if !files.is_empty() && files.split(',').all(|f| !f.is_empty()) => {
                Ok(Self::Recording(files.split(',').map(PathBuf::from).collect()))
            }
            _ => Err(Wrong::new("expected \"agents\", or \"recording:FILE\" (several with commas between)")),
        }
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agents => f.write_str("agents"),
            Self::Recording(files) => {
                let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
                write!(f, "recording:{}", files.join(","))
            }
        }
    }
}

impl FromStr for Pace {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text {
            "max" => Ok(Self::Max),
            _ => match text.parse() {
                Ok(times @ 1..=1_000_000) => Ok(Self::Times(times)),
                _ => Err(Wrong::new("expected \"max\", or a whole number from 1 to 1000000")),
            },
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}"),
            Self::Max => f.write_str("max"),
        }
    }
}
