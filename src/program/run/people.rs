//! What a run needs for the people who command it: the kill of an earlier run, the control socket, the names of things.

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, json};

use super::directories::Directories;
use super::folder::SessionFolder;
use crate::config::{Config, ControlSocket, Strategy};
use crate::control::names::{Named, Names, ParameterNames};
use crate::control::{Refused, Who};
use crate::core::event::ControlVerb;
use crate::core::id::{StrategyId, VenueId};
use crate::core::turn::Core;
use crate::kill_flag::{KillFlag, Killed};
use crate::program::ctl::SOCKET;
use crate::sys::clock::Clock;
use crate::sys::peer::own_uid;
use crate::sys::signal::StopFlag;
use crate::telemetry::utc::Utc;
use crate::threads::doors::https::HttpsDoor;
use crate::threads::doors::unix::{DoorError, UnixDoor};
use crate::threads::operator::{Asked, MOST_WAITING, OperatorOptions, What};
use crate::topology::OperatorParts;

/// The main thread's way to the operator's thread, and the door through which people come to it.
pub(super) struct People {
    asked: SyncSender<Asked>,
    /// Raised when a person wants the run to end.
    pub(super) wants_stop: StopFlag,
    /// Held open as long as the run.
    pub(super) door: Option<UnixDoor>,
    pub(super) https: Option<HttpsDoor>,
    /// The kill with which the run began.
    pub(super) killed: Option<Killed>,
}

/// The operator's thread takes a command of the run within this, or it is gone.
const TAKEN: Duration = Duration::from_secs(8);
/// The pause before a command that found no room is given again.
const AGAIN: Duration = Duration::from_millis(10);

/// The kill of an earlier run, after the reset that the command line asks for.
pub(super) fn earlier_kill(
    config: &Config,
    clock: &Clock,
    reset: Option<&str>,
) -> anyhow::Result<(KillFlag, Option<Killed>)> {
    let flag = KillFlag::of(&config.run.home);
    if let Some(reason) = reset {
        let who = format!("uid {} by run --reset-kill", own_uid());
        flag.clear(&who, reason, &Utc(clock.now()).to_string())
            .with_context(|| format!("cannot take away {}", flag.path().display()))?;
    }
    let killed = flag.read();
    Ok((flag, killed))
}

impl People {
    /// Opens the door; what comes through it before the threads run waits for them.
    pub(super) fn open(
        config: &Config,
        folder: &SessionFolder,
        directories: &Directories,
        core: &Core,
        flag: KillFlag,
        killed: Option<Killed>,
        clock: &Clock,
    ) -> anyhow::Result<(Self, OperatorParts)> {
        let (asked, from_people) = sync_channel(MOST_WAITING);
        let wants_stop = StopFlag::new();
        let door = open_door(config, folder, &asked)?;
        // Somebody asked for it by name: without it the run does not begin.
        let https = config.control.https.as_ref();
        let https = https.map(|options| HttpsDoor::open(options, asked.clone(), clock)).transpose()?;
        let parts = OperatorParts {
            options: OperatorOptions {
                stall_after: config.control.stall_after,
                session: folder.path.display().to_string(),
                about: about(config, folder),
            },
            names: names_of(config, directories, core),
            flag,
            asked: from_people,
            wants_stop: wants_stop.clone(),
        };
        Ok((Self { asked, wants_stop, door, https, killed }, parts))
    }

    /// Ends the run, step by step; false where nobody takes the command any more.
    pub(super) fn command(&self, verb: ControlVerb) -> bool {
        self.tell(verb, 0, "the run ends")
    }

    /// Gives the core a command of the run itself, and waits until it has taken it. Where there is no room for one more it is given again:
    /// nobody else would end the run.
    pub(super) fn tell(&self, verb: ControlVerb, target: u32, why: &'static str) -> bool {
        loop {
            let (reply, answer) = sync_channel(1);
            let what = What::Run { verb, target, why };
            let asked = Asked { who: Who::new("the run itself"), what, reply };
            let Ok(()) = self.asked.send(asked) else { return false };
            match answer.recv_timeout(TAKEN) {
                Ok(answer) if answer["error"] == Refused::Busy.name() => std::thread::sleep(AGAIN),
                answer => return answer.is_ok_and(|answer| answer["ok"] == true),
            }
        }
    }
}

/// Another engine in the same home has its socket already: this one's lies in its session.
fn open_door(
    config: &Config,
    folder: &SessionFolder,
    asked: &SyncSender<Asked>,
) -> anyhow::Result<Option<UnixDoor>> {
    let path: PathBuf = match &config.control.socket {
        ControlSocket::None => return Ok(None),
        ControlSocket::At(path) => return Ok(Some(UnixDoor::open(path, asked.clone())?)),
        ControlSocket::InHome => config.run.home.join(SOCKET),
    };
    let opened = match UnixDoor::open(&path, asked.clone()) {
        Err(DoorError::Taken { .. }) => {
            let own = folder.path.join(SOCKET);
            complain!(
                "linchpin: another engine runs in this home; command this one by `linchpin ctl --socket {}`",
                own.display()
            );
            UnixDoor::open(&own, asked.clone())
        }
        other => other,
    };
    match opened {
        Ok(door) => Ok(Some(door)),
        Err(error) if config.mode.reaches_an_exchange() => Err(error.into()),
        Err(error) => {
            complain!("linchpin: {error}; this run can be commanded by signals only");
            Ok(None)
        }
    }
}

fn about(config: &Config, folder: &SessionFolder) -> Map<String, serde_json::Value> {
    let about = json!({
        "mode": config.mode.to_string(),
        "session": folder.path.display().to_string(),
        "pid": std::process::id(),
        "begun": Utc(folder.created).to_string(),
    });
    match about {
        serde_json::Value::Object(about) => about,
        _ => Map::new(),
    }
}

fn names_of(config: &Config, directories: &Directories, core: &Core) -> Names {
    let parameters = |(at, strategy): (usize, &Strategy)| ParameterNames {
        changeable: core.changeable(StrategyId(at as u8)),
        all: strategy.parameter_names(),
        grid: strategy.instruments.first().copied().map(usize::from),
    };
    Names {
        venues: config.venues.iter().map(|venue| venue.name.clone()).collect(),
        strategies: config.strategies.iter().map(|strategy| strategy.name.clone()).collect(),
        parameters: config.strategies.iter().enumerate().map(parameters).collect(),
        instruments: directories
            .listings()
            .into_iter()
            .zip(&config.instruments)
            .map(|(listing, instrument)| Named {
                symbol: listing.symbol().to_owned(),
                venue: VenueId(instrument.venue),
                definition: listing.definition,
            })
            .collect(),
        assets: directories.assets().into_iter().map(str::to_owned).collect(),
    }
}
