//! A warm start: the newest session's last state, taken from its journal by replay, becomes the state that this session begins with.
//!
//! The earlier session's folder is read and never written. Its state goes into a file of the new folder, named by the opening
//! record, so that the new session replays from its own folder alone. What the venue did meanwhile is read back by the core,
//! beginning with the `WarmStart` event.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::directories::Directories;
use crate::config::{Config, OrphanPolicy, Start};
use crate::core::event::{Body, Control, ControlVerb, Event, Orphans, Source};
use crate::core::id::VenueId;
use crate::core::instrument::Product;
use crate::core::snapshot::hash_of;
use crate::core::time::Nanos;
use crate::core::turn::Core;
use crate::journal::snapshot::{self, Head};
use crate::journal::{JournalError, is_being_written};
use crate::program::replay::replay_with;
use crate::program::{Failure, Registry};
use crate::replay::{self, Begin, Opening, ReplayError};
use crate::venue::Directory;

/// An earlier session, and what it knew at its end.
pub(super) struct Earlier {
    folder: PathBuf,
    opening: Opening,
    form: Vec<u8>,
    /// Whose state it is, and after which event.
    head: Head,
    keeps_limits: bool,
    open_orders: usize,
    sealed: bool,
}

/// The session to go on from, as configuration and command line say; `None`: a cold start.
pub(super) fn earlier(config: &Config, strategies: &Registry) -> Result<Option<Earlier>, Failure> {
    let usage = |text: String| Failure::Usage(anyhow::anyhow!(text));
    match config.run.start {
        Start::Cold => return Ok(None),
        Start::Warm if config.needs_embedded() => {
            return Err(usage(
                "--warm: the embedded venue begins anew with each run, so there is nothing to go on from; start a venue of its own (linchpin venue), or start cold".to_owned(),
            ));
        }
        Start::Auto if config.needs_embedded() => return Ok(None),
        Start::Auto | Start::Warm => {}
    }
    let found = newest(config, strategies).map_err(|error| {
        let advice = "nothing was changed; to begin without its state: --cold";
        Failure::Failed(error.context(format!("cannot start warm ({advice})")))
    })?;
    match found {
        None if config.run.start == Start::Warm => {
            let home = config.run.home.display();
            Err(usage(format!("--warm: no session in {home} has a state to go on from; start cold")))
        }
        found => Ok(found),
    }
}

/// The newest session that got as far as its first event. One that failed before has no state, and is passed over.
fn newest(config: &Config, strategies: &Registry) -> anyhow::Result<Option<Earlier>> {
    let sessions = config.run.home.join("sessions");
    let entries = match std::fs::read_dir(&sessions) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", sessions.display())),
    };
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    // Their names begin with the time at which they began.
    folders.sort();
    for folder in folders.into_iter().rev() {
        if is_being_written(&folder) {
            let name = folder.display();
            bail!("{name} is still running: give this engine a home of its own (--home)");
        }
        match last_state(&folder, strategies) {
            Ok(report) => return Earlier::new(config, folder, report).map(Some),
            // It ended before its first event.
            Err(
                ReplayError::NoInstruments
                | ReplayError::Empty
                | ReplayError::Journal(JournalError::Absent { .. } | JournalError::Unstarted { .. }),
            ) => {}
            Err(error) => return Err(error).with_context(|| folder.display().to_string()),
        }
    }
    Ok(None)
}

/// From the newest snapshot on, which is quick; where there is none that fits the journal, from the first event.
fn last_state(folder: &Path, strategies: &Registry) -> Result<replay::Report, ReplayError> {
    match replay_with(folder, Begin::AfterSnapshot, strategies) {
        Err(
            ReplayError::NoSnapshot
            | ReplayError::Snapshot { .. }
            | ReplayError::SnapshotFile(_)
            | ReplayError::OtherSnapshot { .. }
            | ReplayError::SnapshotAhead { .. },
        ) => replay_with(folder, Begin::AtFirstEvent, strategies),
        other => other,
    }
}

impl Earlier {
    fn new(config: &Config, folder: PathBuf, report: replay::Report) -> anyhow::Result<Self> {
        let then = Config::from_resolved(&report.opening.configuration)
            .with_context(|| format!("{}: its configuration", folder.display()))?;
        check_tables(&then, config).with_context(|| folder.display().to_string())?;
        let mut form = Vec::new();
        report.core.save(&mut form);
        let head = Head {
            session: report.session.session,
            configuration: report.session.configuration_hash,
            sequence: report.last_sequence,
            time: report.core.state().now.raw(),
        };
        Ok(Self {
            keeps_limits: then.hash() == config.hash(),
            open_orders: report.core.open_orders(),
            sealed: report.is_complete(),
            head,
            opening: report.opening,
            form,
            folder,
        })
    }

    fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub fn in_words(&self) -> String {
        let end = if self.sealed { "it ended as meant" } else { "it was cut off" };
        let limits =
            if self.keeps_limits { "its limits are kept" } else { "the limits are this configuration's" };
        format!("warm start from {}: {end}, with {} orders open; {limits}", self.name(), self.open_orders)
    }

    /// Its assets under their numbers, for the directories of this session to go on from.
    pub fn asset_numbers(&self) -> anyhow::Result<Directory> {
        let mut known = Directory::new(VenueId(0), Product::LinearPerpetual);
        for asset in &self.opening.assets {
            known.intern_asset(asset)?;
        }
        Ok(known)
    }

    /// Ids mean the same as then.
    pub fn check_names(&self, directories: &Directories) -> anyhow::Result<()> {
        let assets = directories.assets();
        let known = self.opening.assets.iter().map(String::as_str);
        for (at, asset) in known.enumerate() {
            match assets.get(at) {
                Some(now) if *now == asset => {}
                _ => bail!(
                    "cannot start warm from {}: the venue lists its assets otherwise now (number {at} was {asset}); start cold (--cold)",
                    self.name()
                ),
            }
        }
        Ok(())
    }

    /// Writes the state into the new session's folder, and gives it to the new core.
    pub fn hand_over(&self, session: &Path, core: &mut Core) -> anyhow::Result<replay::Earlier> {
        snapshot::write_file(&replay::Earlier::path(session), &self.head, &self.form)?;
        let earlier = replay::Earlier {
            session: self.name(),
            keeps_limits: self.keeps_limits,
            state_hash: hash_of(&self.form),
        };
        let refused =
            || format!("cannot start warm from {} (to begin without its state: --cold)", self.name());
        earlier.succeed(session, core).with_context(refused)?;
        Ok(earlier)
    }

    /// The first events of the new session.
    pub fn events(&self, config: &Config, resets_kill: bool, now: Nanos) -> Vec<Event> {
        let orphans = match config.run.orphans {
            OrphanPolicy::Close => Orphans::Close,
            OrphanPolicy::Requeue => Orphans::Requeue,
        };
        let control = Control {
            verb: ControlVerb::WarmStart,
            target: u32::from(orphans.code()),
            old: i64::try_from(self.head.time).unwrap_or(i64::MAX),
            new: i64::from(config.run.trading_enabled),
            who: 0,
        };
        let mut verbs = vec![control];
        if resets_kill {
            verbs.push(Control { verb: ControlVerb::ResetKill, target: 0, old: 0, new: 0, who: 0 });
        }
        verbs.into_iter().map(|verb| Event::new(now, Source::Operator, Body::Control(verb))).collect()
    }
}

/// State is rows in tables whose numbers come from the configuration's lists: these must be the same. Limits and parameters
/// may differ.
fn check_tables(then: &Config, now: &Config) -> anyhow::Result<()> {
    let differs = |list: &str, then: Vec<String>, now: Vec<String>| {
        let (then, now) = (then.join(", "), now.join(", "));
        anyhow::anyhow!("it had other {list} ({then}) than the configuration has now ({now})")
    };
    let venues = |config: &Config| -> Vec<String> {
        config
            .venues
            .iter()
            .map(|venue| format!("{} with {} limits", venue.name, venue.limits.len()))
            .collect()
    };
    let instruments = |config: &Config| -> Vec<String> {
        config
            .instruments
            .iter()
            .map(|instrument| format!("{}/{}", instrument.venue, instrument.symbol))
            .collect()
    };
    let strategies = |config: &Config| -> Vec<String> {
        config
            .strategies
            .iter()
            .map(|strategy| format!("{} ({})", strategy.name, strategy.kind.name()))
            .collect()
    };
    for (list, read) in [
        ("venues", &venues as &dyn Fn(&Config) -> Vec<String>),
        ("instruments", &instruments),
        ("strategies", &strategies),
    ] {
        if read(then) != read(now) {
            return Err(differs(list, read(then), read(now)));
        }
    }
    Ok(())
}
