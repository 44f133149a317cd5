//! The operator's thread: it hears people, commands the core, and watches that the core lives.
//!
//! ```text
//!  doors ---Asked--->  operator  ---Said--->  core_loop
//!        <--Answer---      |     <--Told----
//!                          |---> kill gate (tightens at once; the core follows)
//!                          '---> kill flag on the disk
//! ```
//!
//! Promises: an answer of success means that what was asked is in the core's state; for a kill moreover that every sender
//! has confirmed the gate and that the flag is on the disk. The gate comes first, then the core, then the disk: a power cut in
//! between leaves nothing sent and nobody told. Whatever else shuts the gate (a thread that died, a full ring, a broken
//! invariant, a limit, a journal that cannot be written) is kept on the disk too, within a pass of this loop.
//!
//! A core that does not answer within `stall_after` while something waits for it is stalled: that trips the switch as well.
//! No one who asks can hold up anybody else: what they send and how slowly they read is their door's affair.

mod show;

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::control::names::Names;
use crate::control::request::{done, refused};
use crate::control::{Answer, Refusal, Refused, Request, Verb, Who};
use crate::core::event::{Control, ControlVerb, KillMode};
use crate::core::state::control::AccountTrust;
use crate::core::time::Nanos;
use crate::kill_flag::{KillFlag, Killed};
use crate::kill_gate::{Epoch, GateControl, GateState};
use crate::ring::{Consumer, Producer};
use crate::sys::signal::StopFlag;
use crate::telemetry::log::{Level, LogEvent, LogRecord, Logger, ShortText};
use crate::telemetry::utc::Utc;
use crate::threads::Pass;
use crate::threads::core_loop::ANSWERS_KEPT_FREE;
use crate::threads::talk::{Applied, Command, Look, Note, Row, Said, Sight, Told};
use crate::threads::world::Clock;

/// A request on its way to the operator's thread, and where its answer goes.
pub struct Asked {
    pub who: Who,
    pub what: What,
    /// One answer. A receiver that is gone is no error.
    pub reply: SyncSender<Answer>,
}

/// What the operator's thread is asked.
pub enum What {
    Person(Request),
    /// The run itself: its end (drain, then stop), and what its calendar says. Answered when the core has taken it.
    Run {
        verb: ControlVerb,
        target: u32,
        why: &'static str,
    },
}

/// Requests that wait for the operator's thread at most; more are refused at the door.
pub const MOST_WAITING: usize = 64;

pub struct OperatorOptions {
    /// A core that is silent for so long while something waits is stalled; `None`: nobody looks.
    pub stall_after: Option<Nanos>,
    /// The session's folder, for the flag.
    pub session: String,
    /// Beside the state: mode, build, what `status` says of the run as such.
    pub about: Map<String, Value>,
}

pub struct OperatorWiring {
    pub said: Producer<Said>,
    pub told: Consumer<Told>,
    pub gate: GateControl,
    pub asked: Receiver<Asked>,
    pub flag: KillFlag,
    /// Raised when a person wants the run to end.
    pub wants_stop: StopFlag,
    pub log: Logger,
}

pub struct Operator<C: Clock> {
    clock: C,
    options: OperatorOptions,
    names: Names,
    line: Line,
    gate: GateControl,
    asked: Receiver<Asked>,
    jobs: Vec<Job>,
    watch: Watch,
    wants_stop: StopFlag,
    /// Who waits for the end of the run.
    stoppers: Vec<(Who, SyncSender<Answer>)>,
    /// Who wanted the end of the run first, and why: the note before the commands by which it ends.
    stop_note: Option<String>,
    log: Logger,
}

/// The two rings, and what is under way on them.
struct Line {
    said: Producer<Said>,
    told: Consumer<Told>,
    next: u32,
    /// The look that the core is asked for, and since when.
    look: Option<(u32, Nanos)>,
    pulsed: Nanos,
    /// The command that ends the core. Its answer may come when nobody waits for it any more.
    ends_by: Option<u32>,
    /// The core has taken its last turn as it was told to.
    core_stopped: bool,
    /// The core's end of the rings is gone, and everything that it said has been heard.
    gone: bool,
}

/// What the switch looked like at the last pass.
struct Watch {
    flag: KillFlag,
    /// The gate's epoch for which the flag is on the disk, or for which it was tried in vain.
    kept: Option<Epoch>,
    trouble: Option<String>,
    tried: Nanos,
    cause: String,
    stalled: bool,
    core_lost: bool,
    /// A trip of our own is on its way to the core, whose word on it is no news.
    tripped: bool,
}

/// One request under way.
struct Job {
    request: Request,
    who: Who,
    reply: SyncSender<Answer>,
    begun: Nanos,
    /// The command's number, where it commands.
    number: Option<u32>,
    applied: Option<Applied>,
    /// The gate's epoch that must be confirmed.
    epoch: Option<Epoch>,
    sights: VecDeque<Sight>,
    /// The look under way for it.
    look: Option<u32>,
    rows: Vec<Row>,
    /// The state that it saw last: sequence, and the core's time.
    seen: (u64, Nanos),
}

/// How long an answer may take before the one who asked is told that there is none.
const PATIENCE: Nanos = Nanos::from_secs(5);
/// A drain may take longer: venues answer when they like.
const DRAIN_PATIENCE: Nanos = Nanos::from_secs(30);
/// Between two attempts to write a flag that could not be written.
const KEEP_EVERY: Nanos = Nanos::from_secs(1);
/// Between two looks at whether the core lives.
const PULSE_EVERY: Nanos = Nanos::from_millis(200);
/// How long the thread waits for people when nothing is under way, and when something is.
const NAP: Duration = Duration::from_millis(2);
const SHORT_NAP: Duration = Duration::from_micros(100);

impl<C: Clock> Operator<C> {
    /// `killed`: the run starts so, and the flag is on the disk already.
    pub fn new(options: OperatorOptions, names: Names, wiring: OperatorWiring, clock: C) -> Self {
        let shut_from_start = wiring.gate.state() != GateState::Open;
        let kept = shut_from_start.then(|| wiring.gate.epoch());
        let pulsed = clock.now();
        Self {
            clock,
            options,
            names,
            line: Line {
                said: wiring.said,
                told: wiring.told,
                next: 1,
                look: None,
                pulsed,
                ends_by: None,
                core_stopped: false,
                gone: false,
            },
            gate: wiring.gate,
            asked: wiring.asked,
            jobs: Vec::new(),
            watch: Watch {
                flag: wiring.flag,
                kept,
                trouble: None,
                tried: Nanos::ZERO,
                cause: String::new(),
                stalled: false,
                core_lost: false,
                tripped: false,
            },
            wants_stop: wiring.wants_stop,
            stoppers: Vec::new(),
            stop_note: None,
            log: wiring.log,
        }
    }

    /// One round: requests, answers, the watch. It waits for requests for a moment where nothing else is to do.
    pub fn pass(&mut self) -> Pass {
        let nap = if self.jobs.is_empty() { NAP } else { SHORT_NAP };
        match self.asked.recv_timeout(nap) {
            Ok(asked) => self.begin(asked),
            Err(RecvTimeoutError::Timeout) => {}
            // Nobody can ask any more; the watch goes on, at its own pace.
            Err(RecvTimeoutError::Disconnected) => std::thread::park_timeout(NAP),
        }
        while let Ok(asked) = self.asked.try_recv() {
            self.begin(asked);
        }
        // In this order: what the core said before it went is heard before it is missed.
        self.line.gone = self.line.told.abandoned();
        self.hear();
        self.advance();
        self.keep_watch();
        if self.line.core_stopped && self.jobs.is_empty() { Pass::Done } else { Pass::Idle }
    }

    /// The last answers: nobody is left who could do what is still asked.
    pub fn finish(mut self) {
        self.hear();
        self.advance();
        let stopped = self.line.core_stopped;
        for (_, reply) in std::mem::take(&mut self.stoppers) {
            let answer = match stopped {
                true => done(Verb::Stop, Map::new()),
                false => no_answer("the engine ended before the core had stopped as it should", Map::new()),
            };
            let _ = reply.try_send(answer);
        }
        for job in self.jobs {
            let _ = job.reply.try_send(no_answer("the engine is ending", Map::new()));
        }
    }

    fn begin(&mut self, asked: Asked) {
        let now = self.clock.now();
        let Asked { who, what, reply } = asked;
        let request = match what {
            What::Person(request) => request,
            What::Run { verb, target, why } => {
                let verb_of = match verb {
                    ControlVerb::Stop => Verb::Stop,
                    ControlVerb::CancelAll => Verb::CancelAll,
                    ControlVerb::Flatten => Verb::Flatten,
                    _ => Verb::Drain,
                };
                let mut job = Job::of(Request::Plain(verb_of, String::new()), who, reply, now);
                job.sights.clear();
                let why = self.stop_note.as_deref().unwrap_or(why);
                job.number = self.line.command(Control { verb, target, ..PLAIN }, why);
                if job.number.is_none() {
                    let gone = "the core's thread is gone: nobody takes the command";
                    return job.answer(match self.line.gone {
                        true => no_answer(gone, Map::new()),
                        false => refused(&no_room(), Map::new()),
                    });
                }
                return self.jobs.push(job);
            }
        };
        if self.jobs.len() >= MOST_WAITING.min(ANSWERS_KEPT_FREE) {
            let refusal = Refusal::new(Refused::Busy, "too many requests are under way: ask again");
            let _ = reply.try_send(refused(&refusal, Map::new()));
            return;
        }
        let mut job = Job::of(request, who, reply, now);
        if let Err(refusal) = self.act(&mut job) {
            return job.answer(refused(&refusal, Map::new()));
        }
        if job.request.verb() == Verb::Stop {
            self.note_operator(&job);
            self.stop_note.get_or_insert_with(|| job.note());
            self.wants_stop.raise();
            return self.stoppers.push((job.who, job.reply));
        }
        self.jobs.push(job);
    }

    /// What is done at once; what it waits for stands in the job.
    fn act(&mut self, job: &mut Job) -> Result<(), Refusal> {
        let control = match &job.request {
            Request::Look(_) => return Ok(()),
            Request::Kill { mode, .. } => {
                // The gate first: from here on nothing that the mode forbids begins to leave.
                let epoch = self.gate.tighten(state_of(*mode));
                self.watch.cause.clear();
                let target = u32::from(mode.code());
                Control { verb: ControlVerb::Kill, target, old: epoch.0.cast_signed(), ..PLAIN }
            }
            Request::ResetKill { .. } => {
                if self.gate.state() == GateState::Open && self.watch.flag.read().is_none() {
                    return Err(not_now("the kill switch is not on: there is nothing to reset"));
                }
                if self.watch.core_lost {
                    return Err(not_now("the core's thread is gone: start the engine anew"));
                }
                let seen = self.gate.epoch().0.cast_signed();
                Control { verb: ControlVerb::ResetKill, old: seen, ..PLAIN }
            }
            Request::Set { key, value, .. } => self.names.setting(key, value)?,
            Request::Plain(verb, _) => match verb {
                Verb::Enable => Control { verb: ControlVerb::EnableTrading, ..PLAIN },
                Verb::Disable => Control { verb: ControlVerb::DisableTrading, ..PLAIN },
                Verb::CancelAll => Control { verb: ControlVerb::CancelAll, ..PLAIN },
                Verb::Flatten => Control { verb: ControlVerb::Flatten, ..PLAIN },
                Verb::ReadBack => Control { verb: ControlVerb::ReadBack, ..PLAIN },
                Verb::Drain => Control { verb: ControlVerb::Drain, ..PLAIN },
                _ => return Ok(()),
            },
        };
        job.number = self.line.command(control, &job.note());
        let is_kill = matches!(job.request, Request::Kill { .. });
        if job.number.is_none() && !is_kill {
            return Err(no_room());
        }
        self.note_operator(job);
        if is_kill {
            let Request::Kill { mode, reason } = job.request.clone() else { return Ok(()) };
            job.epoch = Some(self.gate.epoch());
            self.keep(mode.name(), &reason, job.who.as_str().to_owned());
        }
        Ok(())
    }

    fn note_operator(&mut self, job: &Job) {
        let event = match &job.request {
            Request::Kill { .. } | Request::ResetKill { .. } => LogEvent::KillSwitch,
            Request::Set { .. } => LogEvent::ParameterChange,
            Request::Plain(Verb::Enable, _) => LogEvent::TradingEnabled,
            Request::Plain(Verb::Disable, _) => LogEvent::TradingDisabled,
            _ => LogEvent::Operator,
        };
        let record = LogRecord::new(self.clock.now().raw(), event)
            .with("command", job.request.verb().name())
            .with("who", ShortText::new(job.who.as_str()))
            .with("reason", ShortText::new(job.request.reason()))
            .with("number", job.number.unwrap_or(0));
        let record = match &job.request {
            Request::Kill { mode, .. } => record.with("mode", mode.name()),
            Request::Set { key, value, .. } => {
                record.with("key", ShortText::new(key)).with("value", ShortText::new(value))
            }
            _ => record,
        };
        self.log.log(record);
    }

    /// Everything that the core has told since the last pass.
    fn hear(&mut self) {
        while let Some(told) = self.line.told.pop() {
            match told {
                Told::Applied(applied) => {
                    self.line.core_stopped |= self.line.ends_by == Some(applied.number);
                    let job = self.jobs.iter_mut().find(|job| job.number == Some(applied.number));
                    if let Some(job) = job {
                        job.applied = Some(applied);
                    }
                }
                Told::Row(number, row) => {
                    if let Some(job) = self.jobs.iter_mut().find(|job| job.look == Some(number)) {
                        job.rows.push(row);
                    }
                }
                Told::End { look, sequence, now } => {
                    if self.line.look.is_some_and(|(number, _)| number == look) {
                        self.line.look = None;
                    }
                    if let Some(job) = self.jobs.iter_mut().find(|job| job.look == Some(look)) {
                        job.look = None;
                        job.sights.pop_front();
                        job.seen = (sequence, Nanos::new(now));
                    }
                }
                Told::Kill { mode, cause, sequence } => self.kill_told(mode, cause, sequence),
            }
        }
    }

    /// The core's word on its switch: an operator's own command is known already, anything else is news.
    fn kill_told(&mut self, mode: Option<KillMode>, cause: &'static str, sequence: u64) {
        let by_person = self.jobs.iter().any(|job| matches!(job.request, Request::Kill { .. }));
        let own = std::mem::take(&mut self.watch.tripped) && mode.is_some();
        let record = LogRecord::new(self.clock.now().raw(), LogEvent::KillSwitch)
            .with("state", mode.map_or("off", |mode| mode.name()))
            .with("cause", ShortText::new(if own { &self.watch.cause } else { cause }))
            .with("sequence", sequence);
        self.log.log(record);
        if let Some(mode) = mode
            && !by_person
            && !own
        {
            self.watch.cause = cause.to_owned();
            self.keep(mode.name(), cause, "the engine itself".to_owned());
        }
    }

    fn advance(&mut self) {
        let mut jobs = std::mem::take(&mut self.jobs);
        jobs.retain_mut(|job| match self.outcome(job) {
            None => true,
            Some(answer) => {
                job.answer(answer);
                false
            }
        });
        // What was begun meanwhile (nothing, in one thread) would stand behind.
        jobs.append(&mut self.jobs);
        self.jobs = jobs;
        self.look_on();
    }

    /// The answer, once there is one.
    fn outcome(&mut self, job: &mut Job) -> Option<Answer> {
        let now = self.clock.now();
        let waited = now.since(job.begun);
        let late = waited > PATIENCE || self.line.gone;
        let verb = job.request.verb();
        let is_kill = verb == Verb::Kill;
        if (job.number.is_some() || is_kill) && job.applied.is_none() {
            let what = if is_kill {
                "the gate is shut, but the core's thread has not taken the kill"
            } else {
                "the core's thread has not taken the command in time; it may still do so"
            };
            return late.then(|| no_answer(what, self.kill_facts(job)));
        }
        let epoch = job.epoch.max(job.applied.filter(|_| is_kill).map(|applied| applied.epoch));
        if epoch.is_some_and(|epoch| self.gate.confirmed() < epoch) {
            let refusal = Refusal::new(
                Refused::NotConfirmed,
                "killed, but a sender has not confirmed the gate: what it had begun to write may still leave",
            );
            return late.then(|| refused(&refusal, self.kill_facts(job)));
        }
        if !job.sights.is_empty() {
            return late.then(|| no_answer("the core's thread does not answer", self.kill_facts(job)));
        }
        match verb {
            Verb::Kill => Some(self.killed(job)),
            Verb::ResetKill => Some(self.reset(job)),
            Verb::Set => Some(set(job)),
            Verb::Drain if !is_idle(&job.rows) && !job.rows.is_empty() => {
                self.look_again(job, Sight::Control, "draining, but orders of ours are still open")
            }
            Verb::ReadBack if !is_trusted(&job.rows) && !job.rows.is_empty() => {
                let why = "asked for, but not every account has been read back yet: see links";
                self.look_again(job, Sight::Venues, why)
            }
            _ => Some(done(verb, self.facts(job))),
        }
    }

    /// Not yet: looks again, until patience ends with `why`.
    fn look_again(&self, job: &mut Job, sight: Sight, why: &'static str) -> Option<Answer> {
        if self.clock.now().since(job.begun) > DRAIN_PATIENCE {
            return Some(refused(&Refusal::new(Refused::NoAnswer, why), self.facts(job)));
        }
        job.rows.clear();
        job.sights.push_back(sight);
        None
    }

    /// One look at a time is with the core: the next one that a job needs, or a pulse.
    fn look_on(&mut self) {
        if self.line.look.is_some() || self.line.core_stopped {
            return;
        }
        let now = self.clock.now();
        let waiting = self.jobs.iter_mut().find(|job| {
            let has_turned = job.number.is_none() || job.applied.is_some();
            has_turned && job.look.is_none() && !job.sights.is_empty()
        });
        match waiting {
            Some(job) => {
                let Some(sight) = job.sights.front().copied() else { return };
                job.look = self.line.look(sight, now);
            }
            None if now.since(self.line.pulsed) >= PULSE_EVERY => {
                self.line.pulsed = now;
                let _ = self.line.look(Sight::Pulse, now);
            }
            None => {}
        }
    }

    /// The watchdog, and the third layer for whatever shut the gate.
    fn keep_watch(&mut self) {
        let now = self.clock.now();
        let silent = self
            .line
            .look
            .is_some_and(|(_, since)| self.options.stall_after.is_some_and(|most| now.since(since) > most));
        if silent && !self.watch.stalled && !self.watch.core_lost {
            self.watch.stalled = true;
            self.trip("the core's thread is stalled: it has not answered while something waited for it");
        }
        if self.watch.stalled && self.line.look.is_none() {
            self.watch.stalled = false;
        }
        if self.line.gone && !self.line.core_stopped && !self.watch.core_lost {
            self.watch.core_lost = true;
            let cause = std::mem::take(&mut self.watch.cause);
            self.trip(if cause.is_empty() { "the core's thread has died" } else { &cause });
        }
        if self.gate.state() == GateState::Open {
            self.watch.kept = None;
        } else if self.watch.kept.is_none() || self.watch.is_due(now) {
            let cause = if self.watch.cause.is_empty() { "the gate was shut" } else { &self.watch.cause };
            let (mode, cause) = (mode_of(self.gate.state()), cause.to_owned());
            self.keep(mode, &cause, "the engine itself".to_owned());
        }
    }

    /// All three layers, by the engine itself.
    fn trip(&mut self, cause: &str) {
        let _ = self.gate.tighten(GateState::Shut);
        self.watch.tripped = self.line.command(Control::trip(KillMode::Block), cause).is_some();
        let record = LogRecord::new(self.clock.now().raw(), LogEvent::KillSwitch)
            .with("state", "block")
            .with("cause", ShortText::new(cause));
        self.log.log(record);
        self.watch.cause = cause.to_owned();
        self.keep("block", cause, "the engine itself".to_owned());
    }

    /// The third layer. What cannot be kept is said loudly, and the kill stands all the same.
    fn keep(&mut self, mode: &str, reason: &str, who: String) {
        let killed = Killed {
            mode: mode.to_owned(),
            reason: reason.to_owned(),
            who,
            at: Utc(self.clock.now().raw()).to_string(),
            session: self.options.session.clone(),
        };
        self.watch.kept = Some(self.gate.epoch());
        self.watch.tried = self.clock.now();
        self.watch.trouble = self.watch.flag.keep(&killed).err().map(|error| {
            format!(
                "cannot write {}: {error}; a restart would not be killed",
                self.watch.flag.path().display()
            )
        });
        if let Some(trouble) = &self.watch.trouble {
            let record = LogRecord::new(self.clock.now().raw(), LogEvent::KillSwitch)
                .at(Level::Error)
                .with("text", ShortText::new("KILLED, BUT NOT PERSISTED"))
                .with("trouble", ShortText::new(trouble));
            self.log.log(record);
        }
    }

    fn killed(&mut self, job: &Job) -> Answer {
        let facts = self.kill_facts(job);
        match &self.watch.trouble {
            None => done(Verb::Kill, facts),
            Some(trouble) => {
                let refusal = Refusal::new(Refused::NotPersisted, format!("killed, but {trouble}"));
                refused(&refusal, facts)
            }
        }
    }

    fn reset(&mut self, job: &Job) -> Answer {
        if self.gate.state() != GateState::Open {
            let words = "something tripped the switch again after the reset was asked: it stays killed";
            return refused(&not_now(words), self.facts(job));
        }
        let at = Utc(self.clock.now().raw()).to_string();
        match self.watch.flag.clear(job.who.as_str(), job.request.reason(), &at) {
            Ok(_) => {
                self.watch.kept = None;
                self.watch.cause.clear();
                done(Verb::ResetKill, self.facts(job))
            }
            Err(error) => {
                let path = self.watch.flag.path();
                let words = format!(
                    "this run is not killed any more, but {} cannot be removed: {error}; the next start will be killed",
                    path.display()
                );
                refused(&Refusal::new(Refused::NotPersisted, words), self.facts(job))
            }
        }
    }

    /// What an answer says beside its verb.
    fn facts(&self, job: &Job) -> Map<String, Value> {
        let verb = job.request.verb();
        let mut facts = show::shown(verb, &job.rows, &self.names, job.seen.1);
        if verb == Verb::Status {
            facts.extend(self.options.about.clone());
            facts.insert("kill_flag".into(), json!(self.watch.flag.read()));
            facts.insert("gate".into(), json!(mode_of(self.gate.state())));
        }
        if let Some(applied) = &job.applied {
            facts.insert("number".into(), applied.number.into());
            facts.insert("sequence".into(), applied.sequence.into());
        }
        if job.seen.0 > 0 {
            facts.insert("as_of".into(), job.seen.0.into());
            facts.insert("now".into(), Utc(job.seen.1.raw()).to_string().into());
        }
        facts
    }

    fn kill_facts(&self, job: &Job) -> Map<String, Value> {
        let mut facts = self.facts(job);
        facts.insert("gate".into(), mode_of(self.gate.state()).into());
        facts.insert("epoch".into(), self.gate.epoch().0.into());
        facts.insert("confirmed".into(), (self.gate.confirmed() >= self.gate.epoch()).into());
        if job.request.verb() == Verb::Kill {
            facts.insert("persisted".into(), self.watch.trouble.is_none().into());
        }
        facts
    }
}

/// A control event that says nothing yet; its number is its `who`.
const PLAIN: Control = Control { verb: ControlVerb::Stop, target: 0, old: 0, new: 0, who: 0 };

impl Line {
    /// Gives a command; its number, or `None` where the ring is full.
    fn command(&mut self, control: Control, note: &str) -> Option<u32> {
        let number = self.next;
        let command = Command { number, control, note: Note::new(note) };
        self.said.push(Said::Command(command)).ok()?;
        self.next = self.next.wrapping_add(1);
        if control.verb == ControlVerb::Stop {
            self.ends_by = Some(number);
        }
        Some(number)
    }

    fn look(&mut self, sight: Sight, now: Nanos) -> Option<u32> {
        let number = self.next;
        self.said.push(Said::Look(Look { number, sight })).ok()?;
        self.next = self.next.wrapping_add(1);
        self.look = Some((number, now));
        Some(number)
    }
}

impl Watch {
    /// A flag that could not be written is tried again.
    fn is_due(&self, now: Nanos) -> bool {
        self.trouble.is_some() && now.since(self.tried) > KEEP_EVERY
    }
}

impl Job {
    /// What stands in the journal before its command.
    fn note(&self) -> String {
        let (who, command) = (self.who.as_str(), self.request.verb().name());
        json!({ "who": who, "command": command, "reason": self.request.reason() }).to_string()
    }

    fn of(request: Request, who: Who, reply: SyncSender<Answer>, begun: Nanos) -> Self {
        let sights = show::sights(request.verb()).iter().copied().collect();
        Self {
            request,
            who,
            reply,
            begun,
            number: None,
            applied: None,
            epoch: None,
            sights,
            look: None,
            rows: Vec::new(),
            seen: (0, Nanos::ZERO),
        }
    }

    /// Whoever asked may have gone.
    fn answer(&self, answer: Answer) {
        let _ = self.reply.try_send(answer);
    }
}

fn set(job: &Job) -> Answer {
    let Some(applied) = &job.applied else {
        return no_answer("the core's thread has not taken the change", Map::new());
    };
    let mut facts = Map::new();
    if let Request::Set { key, value, .. } = &job.request {
        facts.insert("key".into(), key.clone().into());
        facts.insert("value".into(), value.clone().into());
    }
    facts.insert("old".into(), applied.old.into());
    facts.insert("new".into(), applied.new.into());
    facts.insert("sequence".into(), applied.sequence.into());
    if applied.taken {
        done(Verb::Set, facts)
    } else {
        let refusal =
            Refusal::new(Refused::BadArgument, "the core does not take this value; nothing has changed");
        refused(&refusal, facts)
    }
}

fn is_trusted(rows: &[Row]) -> bool {
    rows.iter().all(|row| !matches!(row, Row::Venue(venue) if venue.account != AccountTrust::Trusted))
}

fn is_idle(rows: &[Row]) -> bool {
    rows.iter().any(|row| matches!(row, Row::Control(row) if row.idle))
}

fn state_of(mode: KillMode) -> GateState {
    match mode {
        KillMode::Block => GateState::Shut,
        KillMode::Cancel => GateState::CancelOnly,
        KillMode::Flatten => GateState::ReduceOnly,
    }
}

fn mode_of(state: GateState) -> &'static str {
    match state {
        GateState::Open => "open",
        GateState::ReduceOnly => "flatten",
        GateState::CancelOnly => "cancel",
        GateState::Shut => "block",
    }
}

fn no_room() -> Refusal {
    Refusal::new(Refused::Busy, "operator_core is full: the command was not given")
}

fn not_now(words: &str) -> Refusal {
    Refusal::new(Refused::NotNow, words)
}

fn no_answer(words: &str, facts: Map<String, Value>) -> Answer {
    refused(&Refusal::new(Refused::NoAnswer, words), facts)
}
