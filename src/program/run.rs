//! `linchpin run`: one live session, from an empty folder to a sealed journal and its replay.
//!
//! ```text
//! configuration -> (demo: start the venue) -> hydrate filters -> build core, journal, threads
//!   -> trade, one status line -> drain -> stop, seal -> summary -> replay
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::demo::Venue as DemoVenue;
use super::{Failure, Registry, RunArgs, replay};
use crate::config::{Config, Market, RunLength, Venue};
use crate::core::event::{Body, Control, ControlVerb, Event, Source};
use crate::core::id::{InstrumentId, VenueId};
use crate::core::instrument::{InstrumentDefinition, Product};
use crate::core::record::{RECORDS_VERSION, RecordKind};
use crate::core::time::Nanos;
use crate::core::turn::Core;
use crate::journal::{SessionHeader, SessionId, Writer};
use crate::kill_gate::GateState;
use crate::net::http::{HttpClient, HttpOptions};
use crate::net::tls::{TlsClient, TlsTrust};
use crate::replay::Opening;
use crate::sys::clock::Clock;
use crate::sys::signal::StopFlag;
use crate::telemetry::counters::{Registry as Counters, Snapshot};
use crate::telemetry::log::{LogBuilder, LogEvent, LogOptions, LogRecord, Logger, ShortText};
use crate::telemetry::report::{LatencyReport, write_files};
use crate::telemetry::status::{GateView, Holding, Pnl, Status, StatusPrinter};
use crate::telemetry::summary::{Fills, Orders, Summary, Verification};
use crate::telemetry::utc::Utc;
use crate::threads::requester::{Read, Rest};
use crate::topology::{Ended, Running, Seats, Shared, VenueParts, dial, socket_options, start};
use crate::venue::Directory;
use crate::venue::binance::feed::MarketFeed;
use crate::venue::binance::hydrate::{Hydrator, Requests};
use crate::venue::binance::orders::{OrderEntry, OrderEntryConfig};
use crate::venue::binance::private::PrivateStream;
use crate::venue::binance::sign::Credentials;

/// Which program wrote a journal: its version, and what it was built with.
const BUILD: &str = if cfg!(debug_assertions) {
    concat!("linchpin ", env!("CARGO_PKG_VERSION"), " debug")
} else {
    concat!("linchpin ", env!("CARGO_PKG_VERSION"), " release")
};

/// How long a drain may take before the run stops with orders left open.
const DRAIN: Duration = Duration::from_secs(5);
const STATUS_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(super) fn run(args: &RunArgs, strategies: &Registry) -> Result<(), Failure> {
    let stop = StopFlag::on_signals().context("cannot listen to signals")?;
    let config = Config::load(args.config.as_deref(), &args.overrides())?;
    config.check_kinds(&strategies.kinds())?;
    if config.venues.len() != 1 {
        let found = config.venues.len();
        return Err(Failure::Usage(anyhow::anyhow!(
            "this build runs one venue at a time; the configuration has {found}"
        )));
    }
    check_files(&config).map_err(Failure::Usage)?;
    let folder = SessionFolder::create(&config.run.home)?;
    let session = begin(config, folder, &stop, strategies).map_err(|error| match stop.is_raised() {
        true => Failure::Interrupted,
        false => Failure::Failed(error),
    })?;
    session.trade(&stop, strategies)
}

/// Everything up to the threads. Not one order can leave before it is done.
fn begin(
    mut config: Config,
    folder: SessionFolder,
    stop: &StopFlag,
    strategies: &Registry,
) -> anyhow::Result<Session> {
    let mut demo = None;
    if config.needs_embedded() {
        let venue = DemoVenue::start(&config, &folder.path, stop)?;
        config.connect_embedded(&venue.addresses);
        demo = Some(venue);
    }
    Session::open(config, folder, demo, stop, strategies)
}

/// Files that the configuration names, before anything is started.
fn check_files(config: &Config) -> anyhow::Result<()> {
    if let Market::Recording(files) = &config.demo.market {
        for file in files {
            std::fs::File::open(file)
                .with_context(|| format!("cannot open the recording {}", file.display()))?;
        }
    }
    Ok(())
}

/// Where one session's files are: `<home>/sessions/<stamp>-<tag>`.
struct SessionFolder {
    path: PathBuf,
    tag: [u8; 5],
    id: SessionId,
    created: u64,
}

impl SessionFolder {
    fn create(home: &Path) -> anyhow::Result<Self> {
        let created = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let sessions = home.join("sessions");
        std::fs::create_dir_all(&sessions)
            .with_context(|| format!("cannot create {}", sessions.display()))?;
        let mut nanos = created.as_nanos() as u64;
        loop {
            let tag = tag_of(nanos);
            let name = format!("{}-{}", stamp(nanos / 1_000_000_000), String::from_utf8_lossy(&tag));
            let path = sessions.join(name);
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    let mut id = [0; 16];
                    id[..8].copy_from_slice(&nanos.to_le_bytes());
                    id[8..12].copy_from_slice(&std::process::id().to_le_bytes());
                    return Ok(Self { path, tag, id: SessionId(id), created: nanos });
                }
                // Two runs in one tick of the tag: the later one takes the next.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => nanos += TAG_TICK,
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot create {}", path.display()));
                }
            }
        }
    }
}

/// A tag lasts so long: 2^25 of them are 388 days.
const TAG_TICK: u64 = 1_000_000_000;

fn tag_of(nanos: u64) -> [u8; 5] {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut rest = nanos / TAG_TICK;
    let mut tag = [b'0'; 5];
    for slot in tag.iter_mut().rev() {
        *slot = DIGITS[(rest % 32) as usize];
        rest /= 32;
    }
    tag
}

/// `20261121T073500Z`.
fn stamp(seconds: u64) -> String {
    let text = Utc(seconds * 1_000_000_000).to_string();
    let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    format!("{}Z", digits.get(..15).unwrap_or(&digits))
}

/// A session that is ready to run, or runs.
struct Session {
    config: Config,
    folder: SessionFolder,
    demo: Option<DemoVenue>,
    clock: Clock,
    counters: Counters,
    directory: Arc<Directory>,
    running: Running,
    log: Logger,
    log_writer: crate::telemetry::log::LogWriter,
    begun: Instant,
}

impl Session {
    /// Hydrates the filters, builds core, journal and threads, and starts them.
    fn open(
        config: Config,
        folder: SessionFolder,
        demo: Option<DemoVenue>,
        stop: &StopFlag,
        strategies: &Registry,
    ) -> anyhow::Result<Self> {
        let clock = Clock::new();
        let counters = Counters::new();
        let venue = &config.venues[0];
        let tls = trust(venue, demo.as_ref())?;
        let credentials = credentials(venue, demo.as_ref())?;
        let addresses = venue.addresses().context("the venue has no addresses")?;
        let http = HttpClient::new(Some(&tls), HttpOptions::default());
        let mut rest = Rest::new(http, addresses.rest.clone(), Some(credentials.clone()), clock.clone());
        let mut hydrator = Hydrator::default();
        let requests = Requests::of(Product::LinearPerpetual);
        let offset =
            rest.measure_clock(requests, &mut hydrator).context("cannot ask the venue for its time")?;
        not_stopped(stop)?;
        check_key(venue, &mut rest, requests, &mut hydrator)?;
        not_stopped(stop)?;
        let directory = Arc::new(read_directory(&config, &mut rest, requests, &mut hydrator)?);

        let definitions: Vec<InstrumentDefinition> =
            directory.listings().iter().map(|listing| listing.definition).collect();
        let core_configuration = config.core(&definitions, folder.tag)?;
        let core = Core::new(core_configuration, strategies.make(&config, &definitions)?);
        let journal = open_journal(&config, &folder, &directory)?;
        let mut first = Vec::new();
        hydrator.definitions(&directory, Nanos::new(clock.now()), &mut first);

        let options = LogOptions { file: Some(folder.path.join("log.jsonl")), ..LogOptions::default() };
        let mut log_lanes = LogBuilder::new(options, &counters);
        let mut log = log_lanes.lane("main");
        log.log(
            LogRecord::new(clock.now(), LogEvent::ColdStart)
                .with("clock_offset_ms", offset)
                .with("instruments", definitions.len() as u64),
        );
        let seats = Seats::of(&config.threads, crate::sys::cpu::available().len(), demo.is_some());
        let parts =
            venue_parts(venue, &tls, credentials, &directory, rest, offset, &clock, &config, folder.created)?;
        let shared = Shared {
            clock: clock.clone(),
            registry: &counters,
            log: &mut log_lanes,
            initial_gate: GateState::Open,
        };
        let running = start(seats, &config.rings, core, journal, &first, parts, shared)?;
        let log_writer = log_lanes.start()?;
        Ok(Self {
            config,
            folder,
            demo,
            clock,
            counters,
            directory,
            running,
            log,
            log_writer,
            begun: Instant::now(),
        })
    }

    /// Runs until something ends it, drains, seals, sums up, and replays.
    fn trade(mut self, stop: &StopFlag, strategies: &Registry) -> Result<(), Failure> {
        tell!(
            "linchpin {} session, {} on {}; Ctrl-C drains and stops\nsession {}",
            self.config.mode,
            names(self.config.strategies.iter().map(|strategy| strategy.name.as_str())),
            names(self.directory.listings().iter().map(|listing| listing.symbol())),
            self.folder.path.display()
        );
        let mut printer = StatusPrinter::stdout();
        let why = self.watch(stop, &mut printer);
        self.log
            .log(LogRecord::new(self.clock.now(), LogEvent::Drain).with("why", ShortText::new(why.text())));
        self.drain(&mut printer);
        let _ = printer.finish();
        self.command(ControlVerb::Stop);
        let traded = self.begun.elapsed();

        let Self { config, folder, demo, clock, counters, directory, running, mut log, log_writer, .. } =
            self;
        let gaps = crate::sys::gaps::measure(&clock, None, Duration::from_millis(300)).ok();
        let ended = running.join().map_err(|error| Failure::Failed(error.into()))?;
        log.log(LogRecord::new(clock.now(), LogEvent::LoopShutdown).with("events", ended.core.events));
        drop(log);
        if let Err(error) = log_writer.stop() {
            complain!("linchpin: {error}");
        }
        drop(demo);
        let mut summary = sum_up(&config, &folder, &counters.snapshot(), &directory, &ended);
        summary.duration = traded;
        summary.ended = why.text().to_owned();
        summary.host = gaps;
        let latency = all_hops(&ended);
        // A full disk must not take the summary along: what could not be written is said at the end.
        let histograms = write_files(&latency, &folder.path).context("cannot write the latency histograms");
        summary.latency = LatencyReport::of(&latency);

        let sealed =
            ended.core.seal.as_ref().map(|_| ()).map_err(|error| format!("the journal failed: {error}"));
        let verified =
            if config.run.verify { verify(&folder.path, strategies) } else { Ok(Verification::NotAsked) };
        summary.verification = match &verified {
            Ok(verification) => verification.clone(),
            Err(Failure::Different(error)) => Verification::Different(format!("{error:#}")),
            Err(Failure::Failed(error) | Failure::Usage(error) | Failure::Unfit(error)) => {
                Verification::Failed(format!("{error:#}"))
            }
            Err(Failure::Interrupted) => Verification::NotAsked,
        };
        tell!("{summary}");
        let text = summary.to_string();
        let place = folder.path.join("summary.txt");
        let written =
            std::fs::write(&place, text).with_context(|| format!("cannot write {}", place.display()));
        sealed.map_err(|why| Failure::Failed(anyhow::anyhow!(why)))?;
        verified?;
        histograms?;
        written?;
        match why {
            _ if ended.died.is_some() => {
                let name = ended.died.unwrap_or_default();
                Err(Failure::Failed(anyhow::anyhow!("the {name} thread panicked; the gate was shut")))
            }
            Ending::AsMeant(_) => Ok(()),
            Ending::Broken(what) => {
                Err(Failure::Failed(anyhow::anyhow!("the session was cut short: {what}")))
            }
        }
    }

    /// Shows the status line until the run must end; says why.
    fn watch(&mut self, stop: &StopFlag, printer: &mut StatusPrinter) -> Ending {
        let mut shown: Option<Instant> = None;
        let mut seen = self.counters.snapshot();
        loop {
            std::thread::sleep(LOOK_EVERY);
            if stop.is_raised() {
                return Ending::AsMeant("Ctrl-C");
            }
            if self.running.has_ended() {
                return Ending::Broken("a thread has ended by itself".to_owned());
            }
            if let RunLength::For(span) = self.config.run.duration
                && self.begun.elapsed() >= Duration::from_nanos(span.raw())
            {
                return Ending::AsMeant("the duration was over");
            }
            let now = self.counters.snapshot();
            if now.core.feeds_over != 0 {
                return Ending::AsMeant("the market feed is over");
            }
            if let Some(trouble) = self.demo.as_mut().and_then(DemoVenue::trouble) {
                return Ending::Broken(trouble);
            }
            let due = shown.is_none_or(|at| at.elapsed() >= STATUS_EVERY);
            if due {
                let span = shown.map_or(STATUS_EVERY, |at| at.elapsed());
                shown = Some(Instant::now());
                let status = self.status(&now, &seen, span);
                // A closed stdout is no reason to stop trading.
                let _ = printer.show(&status);
                seen = now;
            }
        }
    }

    /// Stops intents, cancels what is open, waits for the venue's word.
    fn drain(&mut self, printer: &mut StatusPrinter) {
        self.command(ControlVerb::Drain);
        let begun = Instant::now();
        let mut seen = self.counters.snapshot();
        while begun.elapsed() < DRAIN && self.running.can_drain() {
            std::thread::sleep(LOOK_EVERY);
            let now = self.counters.snapshot();
            // The gauge must be younger than the command.
            if now.core.idle != 0 && begun.elapsed() > Duration::from_millis(100) {
                let _ = printer.show(&self.status(&now, &seen, STATUS_EVERY));
                return;
            }
            seen = now;
        }
    }

    /// Gives the core a command. A full ring is tried again: nobody else fills it.
    fn command(&mut self, verb: ControlVerb) {
        let control = Control { verb, target: 0, old: 0, new: 0, who: 0 };
        let mut event = Event::new(Nanos::new(self.clock.now()), Source::Operator, Body::Control(control));
        while let Err(full) = self.running.operator.push(event) {
            if self.running.is_core_over() {
                return;
            }
            event = full.0;
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn status(&mut self, now: &Snapshot, before: &Snapshot, span: Duration) -> Status {
        let events = now.core.turns.saturating_sub(before.core.turns);
        Status {
            elapsed_seconds: self.begun.elapsed().as_secs(),
            events_per_second: (events as f64 / span.as_secs_f64().max(1e-3)) as u64,
            tick_to_trade: self.running.tick_to_trade.recent(),
            open_orders: now.core.open_orders.max(0) as u64,
            fills: now.core.fills,
            positions: holdings(now, &self.directory),
            pnl: pnl(now, &self.directory),
            gates: self
                .config
                .venues
                .iter()
                .enumerate()
                .map(|(at, venue)| GateView {
                    name: venue.name.clone(),
                    closed: now.core.closed_gate(VenueId(at as u8)).map(|gate| gate.name().to_owned()),
                })
                .collect(),
        }
    }
}

/// Why a session ended.
enum Ending {
    AsMeant(&'static str),
    Broken(String),
}

impl Ending {
    fn text(&self) -> &str {
        match self {
            Self::AsMeant(text) => text,
            Self::Broken(text) => text,
        }
    }
}

/// Who may vouch for the venue: the embedded venue's own authority by its file, a given file, or the system's.
fn trust(venue: &Venue, demo: Option<&DemoVenue>) -> anyhow::Result<TlsClient> {
    let trust = match (demo, &venue.ca_file) {
        (Some(demo), _) => TlsTrust::CaFile(demo.ca_file.clone()),
        (None, Some(file)) => TlsTrust::CaFile(file.clone()),
        (None, None) => TlsTrust::SystemRoots,
    };
    Ok(TlsClient::new(&trust)?)
}

fn credentials(venue: &Venue, demo: Option<&DemoVenue>) -> anyhow::Result<Arc<Credentials>> {
    let given = match &venue.key {
        Some(key) => key.read("venue[0]")?,
        None => bail!("venue[0].key: this mode needs an API key, and the configuration gives none"),
    };
    match (given, demo) {
        (Some(credentials), _) => Ok(Arc::new(credentials)),
        (None, Some(demo)) => Ok(Arc::new(demo.credentials()?)),
        (None, None) => bail!("venue[0].key: \"embedded\" is only for the embedded venue"),
    }
}

/// A key that the venue does not know, or whose signatures it does not take, is found here and in words, and not by links
/// that never open.
fn check_key(
    venue: &Venue,
    rest: &mut Rest<Clock>,
    requests: Requests,
    hydrator: &mut Hydrator,
) -> anyhow::Result<()> {
    let refused = || format!("venue \"{}\" does not take the account's key (venue.key)", venue.name);
    let body = rest.read(&requests.account()).with_context(refused)?;
    hydrator.account_answers(&body).with_context(refused)
}

/// A first Ctrl-C before there is a session to drain.
fn not_stopped(stop: &StopFlag) -> anyhow::Result<()> {
    if stop.is_raised() { bail!("stopped") } else { Ok(()) }
}

fn read_directory(
    config: &Config,
    rest: &mut Rest<Clock>,
    requests: Requests,
    hydrator: &mut Hydrator,
) -> anyhow::Result<Directory> {
    let symbols: Vec<(InstrumentId, &str)> = config
        .instruments
        .iter()
        .enumerate()
        .map(|(at, instrument)| (InstrumentId(at as u16), instrument.symbol.as_str()))
        .collect();
    let body = rest.read(&requests.exchange_info()).context("cannot read the venue's filters")?;
    Ok(hydrator.directory(VenueId(0), Product::LinearPerpetual, &symbols, &body)?)
}

fn open_journal(config: &Config, folder: &SessionFolder, directory: &Directory) -> anyhow::Result<Writer> {
    let header = SessionHeader {
        session: folder.id,
        created_at: folder.created,
        strategy: names(config.strategies.iter().map(|strategy| strategy.name.as_str())),
        configuration_hash: config.hash(),
        build: BUILD.to_owned(),
        facts: vec![("mode".into(), config.mode.to_string())],
    };
    let mut journal = Writer::create(&folder.path, header, config.journal_options())?;
    let opening = Opening {
        records: RECORDS_VERSION,
        configuration: config.resolved_text(),
        run_tag: String::from_utf8_lossy(&folder.tag).into_owned(),
        symbols: directory.listings().iter().map(|listing| listing.symbol().to_owned()).collect(),
        assets: directory.assets().map(|(_, name)| name.to_owned()).collect(),
    };
    journal.append(RecordKind::Opening.code(), 0, folder.created, &serde_json::to_vec(&opening)?)?;
    Ok(journal)
}

#[allow(clippy::too_many_arguments, reason = "a venue's threads are made of this many things")]
fn venue_parts(
    venue: &Venue,
    tls: &TlsClient,
    credentials: Arc<Credentials>,
    directory: &Arc<Directory>,
    rest: Rest<Clock>,
    clock_offset: i64,
    clock: &Clock,
    config: &Config,
    seed: u64,
) -> anyhow::Result<VenueParts> {
    let addresses = venue.addresses().context("the venue has no addresses")?;
    let options = socket_options(&venue.connection);
    let mut entry = OrderEntry::new(directory.clone(), credentials, OrderEntryConfig::default());
    entry.set_clock_offset(clock_offset);
    Ok(VenueParts {
        directory: directory.clone(),
        feed: MarketFeed::new(directory.clone(), venue.feed())?,
        private: PrivateStream::new(directory.clone(), 0),
        entry,
        rest,
        market_dial: dial(&addresses.market, tls, options, clock)?,
        private_dial: dial(&addresses.private, tls, options, clock)?,
        order_dial: dial(&addresses.order_entry, tls, options, clock)?,
        split_paths: venue.paths == crate::config::Paths::Split,
        dry_run: !config.mode.sends(),
        reconnect: (venue.connection.reconnect_first, venue.connection.reconnect_longest),
        seed,
    })
}

fn verify(session: &Path, strategies: &Registry) -> Result<Verification, Failure> {
    let begun = Instant::now();
    match replay::replay_with(session, strategies) {
        Ok(report) => Ok(Verification::Identical {
            events: report.events,
            dispatches: report.dispatches,
            took: begun.elapsed(),
        }),
        Err(error @ crate::replay::ReplayError::Different(_)) => Err(Failure::Different(error.into())),
        Err(error) => Err(Failure::Failed(error.into())),
    }
}

fn sum_up(
    config: &Config,
    folder: &SessionFolder,
    counted: &Snapshot,
    directory: &Directory,
    ended: &Ended,
) -> Summary {
    let done = ended.core.core.state().execution.counters;
    let feed = ended.receiver.as_ref().map(|receiver| receiver.feed).unwrap_or_default();
    let requests = |kind: &str| {
        let sent = counted.sender.requests_sent.named();
        sent.into_iter().find(|(name, _)| name == kind).map_or(0, |(_, count)| count)
    };
    Summary {
        mode: config.mode.to_string(),
        strategy: names(config.strategies.iter().map(|strategy| strategy.name.as_str())),
        venue: names(config.venues.iter().map(|venue| venue.name.as_str())),
        events: ended.core.events,
        turns: counted.core.turns,
        orders: Orders {
            sent: requests("new"),
            replaced: requests("replace"),
            cancelled: requests("cancel"),
            left_open: ended.core.core.open_orders() as u64,
            rejected: counted.core.rejects.named(),
            denied: counted.core.denials.named(),
            not_sent: counted.sender.not_sent.named(),
            unknown_outcomes: done.unknown_outcomes,
        },
        fills: Fills {
            maker: counted.core.maker_fills,
            taker: done.fills.saturating_sub(counted.core.maker_fills),
        },
        positions: holdings(counted, directory),
        pnl: vec![pnl(counted, directory)],
        incidents: counted.core.incidents.named(),
        gaps: feed.gaps,
        resyncs: feed.resyncs,
        reconnects: counted.receiver.reconnects,
        ring_full: full_rings(ended),
        log_dropped: counted.log.dropped,
        session: folder.path.clone(),
        ..Summary::default()
    }
}

/// The rings that a push found full, and how often.
fn full_rings(ended: &Ended) -> Vec<(String, u64)> {
    let receiver = ended.receiver.iter().map(|receiver| receiver.ring_full);
    let sender = ended.sender.iter().map(|sender| sender.ring_full);
    let all = ended.core.ring_full.iter().copied().chain(receiver).chain(sender);
    all.filter(|(_, hits)| *hits > 0).map(|(name, hits)| (name.to_owned(), hits)).collect()
}

fn all_hops(ended: &Ended) -> crate::telemetry::hops::HopHistograms {
    let mut all = crate::telemetry::hops::HopHistograms::new();
    all.merge(&ended.core.hops);
    if let Some(receiver) = &ended.receiver {
        all.merge(&receiver.hops);
    }
    if let Some(sender) = &ended.sender {
        all.merge(&sender.hops);
    }
    all
}

fn holdings(counted: &Snapshot, directory: &Directory) -> Vec<Holding> {
    let shown = directory.listings().iter().take(crate::telemetry::counters::SHOWN_INSTRUMENTS);
    shown
        .map(|listing| Holding {
            symbol: listing.symbol().to_owned(),
            lots: counted.core.position.of(listing.id),
            lot: listing.definition.lot,
        })
        .collect()
}

fn pnl(counted: &Snapshot, directory: &Directory) -> Pnl {
    let quote = directory.listings().first().map(|listing| listing.definition.quote);
    Pnl {
        realised: counted.core.realised,
        unrealised: counted.core.unrealised,
        fees: counted.core.fees,
        decimals: 2,
        asset: quote.and_then(|asset| directory.asset_name(asset)).unwrap_or("").to_owned(),
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
