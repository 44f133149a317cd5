//! `linchpin run`: one live session, from an empty folder to a sealed journal and its replay.
//!
//! ```text
//! configuration -> (demo: start the venue) -> hydrate filters -> build core, journal, threads
//!   -> trade, one status line -> drain -> stop, seal -> summary -> replay
//! ```

mod folder;
mod open;
mod people;
mod sum_up;
mod trade;
mod venue;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;

use self::folder::SessionFolder;
use self::people::People;
use super::demo::Venue as DemoVenue;
use super::{Failure, Registry, RunArgs};
use crate::config::{Config, Market};
use crate::sys::clock::Clock;
use crate::sys::signal::StopFlag;
use crate::telemetry::counters::Registry as Counters;
use crate::telemetry::log::{LogWriter, Logger};
use crate::topology::Running;
use crate::venue::Directory;

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
    let session = begin(config, folder, &stop, strategies, args.reset_kill.as_deref()).map_err(|error| {
        match stop.is_raised() {
            true => Failure::Interrupted,
            false => Failure::Failed(error),
        }
    })?;
    session.trade(&stop, strategies)
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
    people: People,
    log: Logger,
    log_writer: LogWriter,
    begun: Instant,
}

/// Everything up to the threads. Not one order can leave before it is done.
fn begin(
    mut config: Config,
    folder: SessionFolder,
    stop: &StopFlag,
    strategies: &Registry,
    reset_kill: Option<&str>,
) -> anyhow::Result<Session> {
    let mut demo = None;
    if config.needs_embedded() {
        let venue = DemoVenue::start(&config, &folder.path, stop)?;
        config.connect_embedded(&venue.addresses);
        demo = Some(venue);
    }
    Session::open(config, folder, demo, stop, strategies, reset_kill)
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

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
