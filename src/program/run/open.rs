//! Everything up to the threads: read what the venue lists, build core and journal, start. Not one order can leave before it
//! is done.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};

use super::folder::SessionFolder;
use super::people::{People, earlier_kill};
use super::{Session, names, venue};
use crate::config::Config;
use crate::core::instrument::InstrumentDefinition;
use crate::core::record::{RECORDS_VERSION, RecordKind};
use crate::core::time::Nanos;
use crate::core::turn::Core;
use crate::journal::snapshot::Shelf;
use crate::journal::{SessionHeader, Writer};
use crate::kill_gate::GateState;
use crate::net::http::{HttpClient, HttpOptions};
use crate::program::Registry;
use crate::program::demo::Venue as DemoVenue;
use crate::replay::Opening;
use crate::sys::clock::Clock;
use crate::sys::signal::StopFlag;
use crate::telemetry::counters::Registry as Counters;
use crate::telemetry::log::{LogBuilder, LogEvent, LogOptions, LogRecord, ShortText};
use crate::threads::requester::Rest;
use crate::topology::{Seats, Shared, start};
use crate::venue::Directory;
use crate::venue::binance::hydrate::{Hydrator, Requests};

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
        demo: Option<DemoVenue>,
        stop: &StopFlag,
        strategies: &Registry,
        reset_kill: Option<&str>,
    ) -> anyhow::Result<Self> {
        let clock = Clock::new();
        let counters = Counters::new();
        let venue = &config.venues[0];
        let tls = venue::trust(venue, demo.as_ref())?;
        let credentials = venue::credentials(venue, demo.as_ref())?;
        let addresses = venue.addresses().context("the venue has no addresses")?;
        let http = HttpClient::new(Some(&tls), HttpOptions::default());
        let mut rest = Rest::new(http, addresses.rest.clone(), Some(credentials.clone()), clock.clone())
            .with_recv_window(venue.recv_window_millis());
        let mut hydrator = Hydrator::default();
        let requests = Requests::of(venue.dialect.product());
        let offset =
            rest.measure_clock(requests, &mut hydrator).context("cannot ask the venue for its time")?;
        not_stopped(stop)?;
        venue::check_key(venue, &mut rest, requests, &mut hydrator)?;
        not_stopped(stop)?;
        let directory = Arc::new(venue::read_directory(&config, &mut rest, requests, &mut hydrator)?);

        let definitions: Vec<InstrumentDefinition> =
            directory.listings().iter().map(|listing| listing.definition).collect();
        let (flag, killed) = earlier_kill(&config, &clock, reset_kill)?;
        let mut core_configuration = config.core(&definitions, folder.tag)?;
        core_configuration.killed = killed.is_some();
        let core = Core::new(core_configuration, strategies.make(&config, &definitions)?);
        let journal = open_journal(&config, &folder, &directory, killed.is_some(), reset_kill)?;
        let snapshots = Shelf::spawn(&folder.path, room_for_state(&core, &config))?;
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
        let parts = venue::parts(
            venue,
            &tls,
            credentials,
            &directory,
            rest,
            offset,
            &clock,
            &config,
            folder.created,
        )?;
        let shared = Shared {
            clock: clock.clone(),
            registry: &counters,
            log: &mut log_lanes,
            // A run that begins killed begins with a shut gate: the core and the gate say the same from the first turn on.
            initial_gate: if killed.is_some() { GateState::Shut } else { GateState::Open },
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
        let (people, operator) = People::open(&config, &folder, &directory, flag, killed)?;
        let running = start(seats, &config.rings, core, journal, &first, parts, operator, shared)?;
        let log_writer = log_lanes.start()?;
        Ok(Self {
            config,
            folder,
            demo,
            clock,
            counters,
            directory,
            running,
            people,
            log,
            log_writer,
            begun: Instant::now(),
        })
    }
}

/// What the state of a busy session takes: every row of the order table, books of usual depth. More is found out and made
/// room for while it trades.
fn room_for_state(core: &Core, config: &Config) -> usize {
    const ROW: usize = 512;
    const BOOK: usize = 64 * 1024;
    core.saved_size() + config.core.order_rows as usize * ROW + config.instruments.len() * BOOK
}

/// A first Ctrl-C before there is a session to drain.
fn not_stopped(stop: &StopFlag) -> anyhow::Result<()> {
    if stop.is_raised() { bail!("stopped") } else { Ok(()) }
}

fn open_journal(
    config: &Config,
    folder: &SessionFolder,
    directory: &Directory,
    killed: bool,
    kill_reset: Option<&str>,
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
        symbols: directory.listings().iter().map(|listing| listing.symbol().to_owned()).collect(),
        assets: directory.assets().map(|(_, name)| name.to_owned()).collect(),
        killed,
        kill_reset: kill_reset.map(str::to_owned),
    };
    journal.append(RecordKind::Opening.code(), 0, folder.created, &serde_json::to_vec(&opening)?)?;
    Ok(journal)
}
