//! From the first turn to the last: the status line while it trades, the drain, the sealed journal, the summary, the replay.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use sd_notify::NotifyState;

use super::calendar::Calendar;
use super::sum_up::{all_hops, holdings, pnl, sum_up};
use super::{Session, names};
use crate::config::RunLength;
use crate::core::event::ControlVerb;
use crate::core::id::VenueId;
use crate::program::demo::Venues as DemoVenues;
use crate::program::{Failure, Registry, replay};
use crate::sys::signal::StopFlag;
use crate::telemetry::counters::Snapshot;
use crate::telemetry::live::{LiveReader, Recent};
use crate::telemetry::log::{LogEvent, LogRecord, ShortText};
use crate::telemetry::report::{LatencyReport, write_files};
use crate::telemetry::status::{GateView, Status, StatusPrinter};
use crate::telemetry::summary::Verification;

/// How long a drain may take before the run stops with orders left open.
const DRAIN: Duration = Duration::from_secs(5);
const STATUS_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Session {
    /// Runs until something ends it, drains, seals, sums up, and replays.
    pub(super) fn trade(mut self, stop: &StopFlag, strategies: &Registry) -> Result<(), Failure> {
        tell!(
            "linchpin {} session, {} on {}; Ctrl-C drains and stops\nsession {}",
            self.config.mode,
            names(self.config.strategies.iter().map(|strategy| strategy.name.as_str())),
            names(self.directories.symbols().into_iter()),
            self.folder.path.display()
        );
        if let Some(earlier) = &self.earlier {
            tell!("{earlier}");
        }
        if let Some(killed) = &self.people.killed {
            tell!(
                "KILLED: nothing goes out. By {} at {}: {}\n`linchpin ctl reset-kill --reason ...` takes it back",
                killed.who,
                killed.at,
                killed.reason
            );
        }
        if let Some(door) = &self.people.door {
            tell!("control {}", door.path().display());
        }
        if let Some(door) = &self.people.https {
            tell!("control https://{}{}", door.address(), crate::threads::doors::https::PATH);
        }
        let mut printer = StatusPrinter::stdout();
        tell_systemd(NotifyState::Ready);
        let why = self.watch(stop, &mut printer);
        tell_systemd(NotifyState::Stopping);
        self.log
            .log(LogRecord::new(self.clock.now(), LogEvent::Drain).with("why", ShortText::new(why.text())));
        self.drain(&mut printer);
        let _ = printer.finish();
        let _ = self.people.command(ControlVerb::Stop);
        let traded = self.begun.elapsed();

        let Self {
            config,
            folder,
            demo,
            clock,
            counters,
            directories,
            running,
            people,
            mut log,
            log_writer,
            ..
        } = self;
        let gaps = crate::sys::gaps::measure(&clock, None, Duration::from_millis(300)).ok();
        let ended = running.join();
        // The operator's thread has said its last: who waits for an answer has it now.
        drop(people);
        let ended = ended.map_err(|error| Failure::Failed(error.into()))?;
        log.log(LogRecord::new(clock.now(), LogEvent::LoopShutdown).with("events", ended.core.events));
        drop(log);
        if let Err(error) = log_writer.stop() {
            complain!("linchpin: {error}");
        }
        drop(demo);
        let mut summary = sum_up(&config, &folder, &counters.snapshot(), &directories, &ended);
        summary.duration = traded;
        summary.ended = why.text().to_owned();
        summary.host = gaps;
        let latency = all_hops(&ended);
        // A full disk must not take the summary along: what could not be written is said at the end.
        let histograms = write_files(&latency, &folder.path).context("cannot write the latency histograms");
        summary.latency = LatencyReport::of(&latency);

        let sealed =
            ended.core.seal.as_ref().map(|_| ()).map_err(|error| format!("the journal failed: {error}"));
        if let Err(error) = &ended.core.snapshots {
            complain!("linchpin: no snapshot for a warm start: {error}");
        }
        let verified =
            if config.run.verify { verify(&folder.path, strategies) } else { Ok(Verification::NotAsked) };
        summary.verification = match &verified {
            Ok(verification) => verification.clone(),
            Err(Failure::Different(error)) => Verification::Different(format!("{error:#}")),
            Err(Failure::Interrupted) => Verification::NotAsked,
            Err(
                Failure::Failed(error)
                | Failure::Usage(error)
                | Failure::Unfit(error)
                | Failure::Unreachable(error)
                | Failure::Unfinished(error),
            ) => Verification::Failed(format!("{error:#}")),
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
        let mut calendar = Calendar::begin(&self.config.schedule, self.clock.now(), &self.people);
        loop {
            std::thread::sleep(LOOK_EVERY);
            let is_idle = self.counters.snapshot().core.idle != 0;
            if let Some(said) = calendar.look(self.clock.now(), is_idle, &self.people) {
                self.log.log(LogRecord::new(self.clock.now(), LogEvent::Schedule).with("change", said));
            }
            if stop.is_raised() {
                return Ending::AsMeant("Ctrl-C");
            }
            if self.people.wants_stop.is_raised() {
                return Ending::AsMeant("an operator stopped it");
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
            if let Some(trouble) = self.demo.as_mut().and_then(DemoVenues::trouble) {
                return Ending::Broken(trouble);
            }
            let due = shown.is_none_or(|at| at.elapsed() >= STATUS_EVERY);
            if due {
                let span = shown.map_or(STATUS_EVERY, |at| at.elapsed());
                shown = Some(Instant::now());
                let status = self.status(&now, &seen, span);
                tell_systemd(NotifyState::Watchdog);
                // A closed stdout is no reason to stop trading.
                let _ = printer.show(&status);
                seen = now;
            }
        }
    }

    /// Stops intents, cancels what is open, waits for the venue's word.
    fn drain(&mut self, printer: &mut StatusPrinter) {
        let _ = self.people.command(ControlVerb::Drain);
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

    /// Of the venue that was sent the most.
    fn recent_latency(&mut self) -> Option<Recent> {
        let each = self.running.tick_to_trade.iter_mut().filter_map(LiveReader::recent);
        each.max_by_key(|recent| recent.count)
    }

    fn status(&mut self, now: &Snapshot, before: &Snapshot, span: Duration) -> Status {
        let events = now.core.turns.saturating_sub(before.core.turns);
        Status {
            elapsed_seconds: self.begun.elapsed().as_secs(),
            events_per_second: (events as f64 / span.as_secs_f64().max(1e-3)) as u64,
            tick_to_trade: self.recent_latency(),
            open_orders: now.core.open_orders.max(0) as u64,
            fills: now.core.fills,
            positions: holdings(now, &self.directories),
            pnl: pnl(now, &self.directories),
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

/// A supervisor that is not there, or does not listen, is no reason to stop trading.
fn tell_systemd(state: NotifyState<'_>) {
    let _ = sd_notify::notify(&[state]);
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

fn verify(session: &Path, strategies: &Registry) -> Result<Verification, Failure> {
    let begun = Instant::now();
    match replay::replay_with(session, crate::replay::Begin::AtFirstEvent, strategies) {
        Ok(report) => Ok(Verification::Identical {
            events: report.events,
            dispatches: report.dispatches,
            took: begun.elapsed(),
        }),
        Err(error @ crate::replay::ReplayError::Different(_)) => Err(Failure::Different(error.into())),
        Err(error) => Err(Failure::Failed(error.into())),
    }
}
