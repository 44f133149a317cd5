//! `linchpin run`: one live session, from an empty folder to a sealed journal and its replay.
//!
//! ```text
//! configuration -> (demo: start the venue) -> hydrate filters -> build core, journal, threads
//!   -> trade, one status line -> drain -> stop, seal -> summary -> replay
//! ```

mod calendar;
mod directories;
mod folder;
mod open;
mod patience;
mod people;
mod sum_up;
mod trade;
mod venue;
mod warm;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use self::directories::Directories;
use self::folder::SessionFolder;
use self::people::People;
use super::demo::Venues as DemoVenues;
use super::{Failure, Registry, RunArgs};
use crate::config::{Config, Market};
use crate::sys::clock::Clock;
use crate::sys::signal::StopFlag;
use crate::telemetry::counters::Registry as Counters;
use crate::telemetry::log::{LogWriter, Logger};
use crate::topology::Running;

pub(super) fn run(args: &RunArgs, strategies: &Registry) -> Result<(), Failure> {
    let stop = StopFlag::on_signals().context("cannot listen to signals")?;
    let config = Config::load(args.config.as_deref(), &args.overrides())?;
    config.check_kinds(&strategies.kinds())?;
    check_files(&config).map_err(Failure::Usage)?;
    let earlier = warm::earlier(&config, strategies)?;
    let folder = SessionFolder::create(&config.run.home, config.mode)?;
    let place = folder.path.clone();
    let session = begin_or_stop(config, folder, earlier, &stop, strategies, args.reset_kill.clone())
        .map_err(|error| {
            folder::put_away(&place, &error);
            if stop.is_raised() { Failure::Interrupted } else { Failure::Failed(error) }
        })?;
    session.trade(&stop, strategies)
}

/// A session that is ready to run, or runs.
struct Session {
    config: Config,
    folder: SessionFolder,
    /// What a warm start goes on from, in words.
    earlier: Option<String>,
    demo: Option<DemoVenues>,
    clock: Clock,
    counters: Counters,
    directories: Directories,
    running: Running,
    people: People,
    log: Logger,
    log_writer: LogWriter,
    begun: Instant,
}

/// Begins on a thread of its own: a question to a venue may hang for long, and a raised `stop` is heard at once all the same. What
/// is left of the start then ends with the process.
fn begin_or_stop(
    config: Config,
    folder: SessionFolder,
    earlier: Option<warm::Earlier>,
    stop: &StopFlag,
    strategies: &Registry,
    reset_kill: Option<String>,
) -> anyhow::Result<Session> {
    let (tell, told) = mpsc::channel();
    let (heard, known) = (stop.clone(), strategies.clone());
    let starter = move || {
        let _ = tell.send(begin(config, folder, earlier, &heard, &known, reset_kill.as_deref()));
    };
    std::thread::Builder::new().name("start".into()).spawn(starter).context("cannot start a thread")?;
    loop {
        match told.recv_timeout(LOOK_EVERY) {
            Ok(begun) => return begun,
            Err(mpsc::RecvTimeoutError::Timeout) if !stop.is_raised() => {}
            Err(mpsc::RecvTimeoutError::Timeout) => {
                // It may be about to look at `stop` itself, and to clean up behind it.
                return told.recv_timeout(GRACE).unwrap_or_else(|_| bail!("stopped"));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("the start has panicked"),
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a start that hears of the end by itself may take for it.
const GRACE: Duration = Duration::from_millis(500);

/// Everything up to the threads. Not one order can leave before it is done.
fn begin(
    mut config: Config,
    folder: SessionFolder,
    earlier: Option<warm::Earlier>,
    stop: &StopFlag,
    strategies: &Registry,
    reset_kill: Option<&str>,
) -> anyhow::Result<Session> {
    let demo = match config.needs_embedded() {
        true => Some(DemoVenues::start(&mut config, &folder.path, stop)?),
        false => None,
    };
    Session::open(config, folder, earlier, demo, stop, strategies, reset_kill)
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
