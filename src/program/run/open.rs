//! Everything up to the threads: read what the venue lists, build core and journal, start. Not one order can leave before it
//! is done.

use std::time::Instant;

use super::directories::Directories;
use super::folder::SessionFolder;
use super::patience::Patience;
use super::people::{People, earlier_kill};
use super::venue::{Reached, not_stopped};
use super::{Session, names, warm};
use crate::config::{Config, Mode};
use crate::core::id::VenueId;
use crate::core::record::{RECORDS_VERSION, RecordKind};
use crate::core::time::Nanos;
use crate::core::turn::Core;
use crate::journal::snapshot::Shelf;
use crate::journal::{SessionHeader, Writer};
use crate::kill_gate::GateState;
use crate::program::Registry;
use crate::program::demo::Venues as DemoVenues;
use crate::replay::{Earlier, Opening};
use crate::sys::clock::Clock;
use crate::sys::memory;
use crate::sys::signal::StopFlag;
use crate::telemetry::counters::Registry as Counters;
use crate::telemetry::log::{Level, LogBuilder, LogEvent, LogOptions, LogRecord, Logger, ShortText};
use crate::topology::{Seats, Shared, start};
use crate::venue::Directory;

/// Which program wrote a journal: its version, and what it was built with.
const BUILD: &str = if cfg!(debug_assertions) {
    concat!("linchpin ", env!("CARGO_PKG_VERSION"), " debug")
} else {
    concat!("linchpin ", env!("CARGO_PKG_VERSION"), " release")
};

impl Session {
    /// Hydrates the filters, builds core, journal and threads, and starts them.
    pub(super) fn open(
        config: Config,
        folder: SessionFolder,
        earlier: Option<warm::Earlier>,
        demo: Option<DemoVenues>,
        stop: &StopFlag,
        strategies: &Registry,
        reset_kill: Option<&str>,
    ) -> anyhow::Result<Self> {
        let clock = Clock::new();
        let counters = Counters::new();
        let options = LogOptions { file: Some(folder.path.join("log.jsonl")), ..LogOptions::default() };
        let mut log_lanes = LogBuilder::new(options, &counters);
        let mut venues = Vec::new();
        let mut read: Vec<Directory> = Vec::new();
        // Assets keep the numbers that the earlier session's state has them under.
        let known = earlier.as_ref().map(warm::Earlier::asset_numbers).transpose()?;
        for at in 0..config.venues.len() {
            let id = VenueId(at as u8);
            let (within, log) = (config.run.start_within, log_lanes.lane("start"));
            let patience = Patience::new(&config.venues[at], within, folder.created, &clock, stop, log);
            let mut venue = Reached::new(id, &config, demo.as_ref(), &clock, patience)?;
            let directory = venue.directory(&config, read.last().or(known.as_ref()))?;
            venue.check_leverage(&config)?;
            read.push(directory);
            venues.push(venue);
            not_stopped(stop)?;
        }
        let directories = Directories::new(read);

        let definitions = directories.definitions();
        let (flag, killed) = earlier_kill(&config, &clock, reset_kill)?;
        let mut core_configuration = config.core(&definitions, folder.tag)?;
        core_configuration.killed = killed.is_some();
        let mut core = Core::new(core_configuration, strategies.make(&config, &definitions)?);
        let mut first = Vec::new();
        let mut opening = None;
        if let Some(earlier) = &earlier {
            earlier.check_names(&directories)?;
            opening = Some(earlier.hand_over(&folder.path, &mut core)?);
            first.extend(earlier.events(&config, reset_kill.is_some(), Nanos::new(clock.now())));
        }
        let kill = core.state().control.kill.filter(|_| reset_kill.is_none());
        let journal = open_journal(&config, &folder, &directories, killed.is_some(), reset_kill, opening)?;
        let snapshots = Shelf::spawn(&folder.path, room_for_state(&core, &config))?;

        let mut log = log_lanes.lane("main");
        let begins = if earlier.is_some() { LogEvent::WarmStart } else { LogEvent::ColdStart };
        let mut parts = Vec::new();
        for ((at, venue), directory) in venues.into_iter().enumerate().zip(directories.each()) {
            venue.definitions(directory, &mut first);
            log.log(
                LogRecord::new(clock.now(), begins)
                    .with("venue", at as u64)
                    .with("clock_offset_ms", venue.clock_offset)
                    .with("instruments", directory.listings().len() as u64),
            );
            if venue.is_without_account() {
                warn_of_no_account(&config.venues[at].name, clock.now(), &mut log);
            }
            parts.push(venue.into_parts(directory, &folder.path, folder.created)?);
        }
        let seats = Seats::of(&config.threads, crate::sys::cpu::available().len(), demo.is_some());
        let shared = Shared {
            clock: clock.clone(),
            registry: &counters,
            log: &mut log_lanes,
            // A run that begins killed begins with a shut gate: the core and the gate say the same from the first turn on.
            initial_gate: if kill.is_some() { GateState::Shut } else { GateState::Open },
            snapshots,
            snapshot_every: config.snapshot_every,
        };
        if let Some(killed) = &killed {
            log.log(
                LogRecord::new(clock.now(), LogEvent::KillSwitch)
                    .with("state", "block")
                    .with("cause", "the kill of an earlier run stands")
                    .with("reason", ShortText::new(&killed.reason))
                    .with("who", ShortText::new(&killed.who)),
            );
        }
        let (people, operator) = People::open(&config, &folder, &directories, &core, flag, killed, &clock)?;
        let running = start(seats, &config.rings, core, journal, &first, parts, operator, shared)?;
        let log_writer = log_lanes.start()?;
        if config.threads.lock_memory {
            lock_memory(config.mode);
        }
        Ok(Self {
            config,
            folder,
            earlier: earlier.map(|earlier| earlier.in_words()),
            demo,
            clock,
            counters,
            directories,
            running,
            people,
            log,
            log_writer,
            begun: Instant::now(),
        })
    }
}

/// Tables, rings and stacks are made: from here on no page of them is met for the first time.
fn lock_memory(mode: Mode) {
    if let Err(error) = memory::lock_present()
        && mode.reaches_an_exchange()
    {
        complain!(
            "linchpin: memory is not locked: {error} (`ulimit -l unlimited`, LimitMEMLOCK=infinity in the unit, or lock_memory = false); it trades without"
        );
    }
}

/// What the state of a busy session takes: every row of the order table, books of usual depth. More is found out and made
/// room for while it trades.
fn room_for_state(core: &Core, config: &Config) -> usize {
    const ROW: usize = 512;
    const BOOK: usize = 64 * 1024;
    core.saved_size() + config.core.order_rows as usize * ROW + config.instruments.len() * BOOK
}

/// Loudly, because an empty account that is believed is a fiction: right for looking at a market, wrong for anything else.
fn warn_of_no_account(venue: &str, now: u64, log: &mut Logger) {
    let text = "no key: the account is taken to be empty, its private stream to be up, and no order could ever leave";
    complain!("linchpin: DRY_RUN at \"{venue}\": {text}");
    log.log(LogRecord::new(now, LogEvent::ColdStart).at(Level::Warn).with("text", ShortText::new(text)));
}

fn open_journal(
    config: &Config,
    folder: &SessionFolder,
    directories: &Directories,
    killed: bool,
    kill_reset: Option<&str>,
    earlier: Option<Earlier>,
) -> anyhow::Result<Writer> {
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
        symbols: directories.symbols().into_iter().map(str::to_owned).collect(),
        assets: directories.assets().into_iter().map(str::to_owned).collect(),
        killed,
        kill_reset: kill_reset.map(str::to_owned),
        earlier,
    };
    journal.append(RecordKind::Opening.code(), 0, folder.created, &serde_json::to_vec(&opening)?)?;
    Ok(journal)
}
