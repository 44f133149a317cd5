//! The core's thread: merges the rings, gives each event its place in the stream, records it, takes the turn, and records
//! and hands on what the turn decided. The only thread that touches the core and the journal.
//!
//! Promises: an event is in the journal before its turn; a dispatch is in the journal before its ring; nothing is taken
//! from a ring that is not recorded. When the journal cannot be written, the gate shuts and the loop ends: what was not
//! recorded never happened.
//! Hot.

mod telling;

use std::collections::VecDeque;

use crate::core::codec::MAX_PAYLOAD;
use crate::core::dispatch::Dispatch;
use crate::core::event::{
    Body, Control, ControlVerb, Event, Hydration, HydrationPhase, KillMode, NotSent, NotSentReason, Source,
    Timer, Verdict,
};
use crate::core::execution::Outbox;
use crate::core::id::{InstrumentId, VenueId};
use crate::core::num::Cash;
use crate::core::record::{Ask, Decision, RecordKind, RiskReason};
use crate::core::state::State;
use crate::core::time::Nanos;
use crate::core::turn::Core;
use crate::journal::snapshot::{self, Head, Shelf, SnapshotFileError};
use crate::journal::{JournalError, Sealed, Writer};
use crate::kill_gate::{Epoch, GateControl, GateState};
use crate::ring::{Consumer, Full, Producer};
use crate::telemetry::counters::{CoreCounters, JournalCounters, Owned};
use crate::telemetry::hops::{Hop, HopHistograms};
use crate::telemetry::log::Logger;
use crate::threads::Pass;
use crate::threads::talk::{Applied, Command, Looking, MOST_ROWS, Note, Said, Told};
use crate::threads::world::Clock;

/// Events taken from one ring before the others are looked at again.
const BURST: usize = 32;
/// Gauges are published at most this often.
const PUBLISH_EVERY: Nanos = Nanos::from_millis(1);

/// A dispatch on its way to the sender, and when it was handed on: not part of the record, because it is not part of the
/// decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Handed {
    pub dispatch: Dispatch,
    pub at: Nanos,
}

/// The rings that the core reads, in the order in which it looks at them: people first, then what is about our own orders,
/// then the market.
pub struct Inlets {
    pub operator: Consumer<Said>,
    pub venues: Vec<VenueInlets>,
}

pub struct VenueInlets {
    pub sender: Consumer<Event>,
    pub requester: Consumer<Event>,
    pub receiver: Consumer<Event>,
}

impl Inlets {
    /// How many rings the venues fill; `ring` takes their numbers in the order of looking.
    fn count(&self) -> usize {
        3 * self.venues.len()
    }

    #[inline]
    fn ring(&mut self, number: usize) -> Option<&mut Consumer<Event>> {
        let venues = self.venues.len();
        if venues == 1 {
            // The usual case, without a division.
            let venue = self.venues.first_mut()?;
            return match number {
                0 => Some(&mut venue.sender),
                1 => Some(&mut venue.requester),
                2 => Some(&mut venue.receiver),
                _ => None,
            };
        }
        let venue = self.venues.get_mut(number.checked_rem(venues)?)?;
        match number.checked_div(venues)? {
            0 => Some(&mut venue.sender),
            1 => Some(&mut venue.requester),
            2 => Some(&mut venue.receiver),
            _ => None,
        }
    }
}

/// The rings that the core feeds, by `VenueId`.
pub struct VenueOutlets {
    pub sender: Producer<Handed>,
    pub requester: Producer<Ask>,
}

/// The rings and shared ends that the core's thread works with.
pub struct CoreWiring {
    pub inlets: Inlets,
    /// Answers to the operator. What no operator waits for may be lost when it is full; an answer to a command has room as
    /// long as not more commands are unanswered than `ANSWERS_KEPT_FREE`.
    pub operator: Producer<Told>,
    /// By `VenueId`.
    pub outlets: Vec<VenueOutlets>,
    pub gate: GateControl,
    pub hops: HopHistograms,
    pub counters: Owned<CoreCounters>,
    pub journal_counters: Owned<JournalCounters>,
    pub log: Logger,
}

/// Room in `core_operator` that rows of a look never take: it is for the answers to commands.
pub const ANSWERS_KEPT_FREE: usize = 64;

pub struct CoreLoop<C: Clock> {
    core: Core,
    inlets: Inlets,
    desk: Desk<C>,
    sequence: u64,
    now: Nanos,
    deadline: Nanos,
    published: Nanos,
    /// The kill mode that the gate follows.
    kill: Option<KillMode>,
    operator: Producer<Told>,
    /// What an operator looks at.
    looking: Option<Looking>,
    snapshots: Option<Snapshots>,
}

/// The state is saved now and then: when the rings are empty, for the copy takes longer than a turn; at the latest a whole
/// pause after it was due.
struct Snapshots {
    shelf: Shelf,
    pause: Nanos,
    due: Nanos,
}

/// Everything that a turn's output goes through.
struct Desk<C: Clock> {
    clock: C,
    journal: Writer,
    outlets: Vec<VenueOutlets>,
    gate: GateControl,
    hops: HopHistograms,
    /// What the runtime itself must tell the core: refusals of full rings. Bounded by the rings' depths.
    notices: VecDeque<Event>,
    sequence: u64,
    now: Nanos,
    dispatched: bool,
    failure: Option<JournalError>,
    counters: Owned<CoreCounters>,
    journal_counters: Owned<JournalCounters>,
    log: Logger,
    /// Journal segments that the log knows of.
    rolls_told: u64,
    /// Why this turn has killed, where the core has said so.
    cause: Option<&'static str>,
}

/// What is left when the loop has ended.
pub struct CoreEnd {
    pub core: Core,
    pub events: u64,
    pub hops: HopHistograms,
    pub seal: Result<Sealed, JournalError>,
    /// Whether the snapshots came to the disk, the last one of the sealed journal too.
    pub snapshots: Result<snapshot::Counts, SnapshotFileError>,
    pub state_hash: u64,
    pub ring_high_water: Vec<(&'static str, usize, usize)>,
    /// Pushes of the core that met a full ring.
    pub ring_full: Vec<(&'static str, u64)>,
    pub journal_rolls: crate::journal::RollCounts,
}

impl<C: Clock> CoreLoop<C> {
    pub fn new(core: Core, journal: Writer, wiring: CoreWiring, clock: C) -> Self {
        let kill = core.state().control.kill;
        Self {
            core,
            inlets: wiring.inlets,
            desk: Desk {
                clock,
                journal,
                outlets: wiring.outlets,
                gate: wiring.gate,
                hops: wiring.hops,
                notices: VecDeque::with_capacity(4096),
                sequence: 0,
                now: Nanos::ZERO,
                dispatched: false,
                failure: None,
                counters: wiring.counters,
                journal_counters: wiring.journal_counters,
                log: wiring.log,
                rolls_told: 0,
                cause: None,
            },
            sequence: 0,
            now: Nanos::ZERO,
            deadline: Nanos::MAX,
            published: Nanos::ZERO,
            kill,
            operator: wiring.operator,
            looking: None,
            snapshots: None,
        }
    }

    /// Saves the state so often, and at the end of the run.
    pub fn saving(mut self, shelf: Shelf, pause: Nanos) -> Self {
        self.snapshots = Some(Snapshots { shelf, pause, due: self.now + pause });
        self
    }

    /// One bounded round over all rings.
    #[inline]
    pub fn pass(&mut self) -> Pass {
        if self.is_over() {
            return Pass::Done;
        }
        let mut taken = self.take_due_timer(self.desk.clock.now());
        while let Some(event) = self.desk.notices.pop_front() {
            self.take(&event);
            taken += 1;
        }
        if !self.inlets.operator.is_empty() || self.looking.is_some() {
            taken += self.hear_operator();
        }
        for number in 0..self.inlets.count() {
            taken += self.drain(number);
        }
        self.publish(taken == 0);
        self.save_if_due(taken == 0);
        Pass::busy_if(taken > 0)
    }

    /// An event that the runtime makes itself: instrument definitions at start, a control from the same thread.
    pub fn take(&mut self, event: &Event) {
        let now = self.desk.clock.now();
        self.take_at(now, event);
    }

    pub fn is_over(&self) -> bool {
        self.core.state().control.stopped || self.desk.failure.is_some()
    }

    pub fn state(&self) -> &State {
        self.core.state()
    }

    pub fn core(&self) -> &Core {
        &self.core
    }

    /// When the core wants a timer next: what the simulator's clock may jump to.
    pub fn deadline(&self) -> Nanos {
        self.deadline
    }

    /// Seals the journal. Call it once the loop is over.
    pub fn finish(mut self) -> CoreEnd {
        let state_hash = self.core.state_hash();
        let journal_rolls = self.desk.journal.roll_counts();
        self.published = Nanos::ZERO;
        self.publish(true);
        let head = self.head();
        let seal = match self.desk.failure {
            Some(failure) => {
                let (mode, cause) = (Some(KillMode::Block), "the journal cannot be written");
                let _ = self.operator.push(Told::Kill { mode, cause, sequence: self.sequence });
                Err(failure)
            }
            None => self.desk.journal.seal(),
        };
        // After the seal: a state must not be on the disk before the events that made it.
        let snapshots = match self.snapshots {
            Some(snapshots) if seal.is_ok() => snapshots.end(&head, &self.core),
            _ => Ok(snapshot::Counts::default()),
        };
        let outlets = self.desk.outlets.iter();
        let ring_full = outlets
            .flat_map(|venue| {
                let (sender, requester) = (&venue.sender, &venue.requester);
                [(sender.name(), sender.full_hits()), (requester.name(), requester.full_hits())]
            })
            .collect();
        let operator = &self.inlets.operator;
        let mut ring_high_water = vec![(operator.name(), operator.high_water(), operator.depth())];
        for number in 0..self.inlets.count() {
            if let Some(ring) = self.inlets.ring(number) {
                ring_high_water.push((ring.name(), ring.high_water(), ring.depth()));
            }
        }
        CoreEnd {
            events: self.sequence,
            hops: self.desk.hops,
            ring_high_water,
            ring_full,
            core: self.core,
            seal,
            snapshots,
            state_hash,
            journal_rolls,
        }
    }

    #[inline]
    fn save_if_due(&mut self, idle: bool) {
        let Some(snapshots) = &self.snapshots else { return };
        if self.now >= if idle { snapshots.due } else { snapshots.due + snapshots.pause } {
            self.save();
        }
    }

    #[cold]
    fn save(&mut self) {
        let head = self.head();
        let Some(snapshots) = &mut self.snapshots else { return };
        snapshots.due = self.now + snapshots.pause;
        // No buffer: the disk is slower than the pause, and the one being written is young enough.
        if let Some(mut buffer) = snapshots.shelf.take() {
            self.core.save(&mut buffer);
            snapshots.shelf.hand_over(head, buffer);
        }
    }

    fn head(&self) -> Head {
        let session = self.desk.journal.session();
        Head {
            session: session.session,
            configuration: session.configuration_hash,
            sequence: self.sequence,
            time: self.now.raw(),
        }
    }

    #[inline]
    fn drain(&mut self, number: usize) -> usize {
        let waiting = self.inlets.ring(number).map_or(0, Consumer::len);
        let mut taken = 0;
        while taken < waiting.min(BURST) {
            let Some(event) = self.inlets.ring(number).and_then(Consumer::pop) else { break };
            let now = self.desk.clock.now();
            self.take_due_timer(now);
            self.take_at(now, &event);
            taken += 1;
            if self.is_over() {
                break;
            }
        }
        taken
    }

    /// A deadline that has come is an event like any other, and comes before what arrived after it.
    #[inline]
    fn take_due_timer(&mut self, now: Nanos) -> usize {
        let mut taken = 0;
        while self.deadline <= now && taken < BURST && !self.is_over() {
            let due = self.deadline;
            let event = Event::new(now, Source::Timer, Body::Timer(Timer { due }));
            self.take_at(now, &event);
            taken += 1;
        }
        taken
    }

    #[inline]
    fn take_at(&mut self, clock: Nanos, event: &Event) {
        if self.desk.failure.is_some() {
            return;
        }
        self.now = self.now.later(clock);
        self.sequence += 1;
        let (sequence, now) = (self.sequence, self.now);
        if !self.desk.record_event(sequence, now, event) {
            return;
        }
        self.desk.cause = None;
        self.deadline = self.core.turn(sequence, now, event, &mut self.desk);
        self.desk.measure(event, now);
        self.desk.count_refusal(event);
        if telling::is_told(event) {
            telling::event(&mut self.desk.log, now, event);
        }
        let kill = self.core.state().control.kill;
        if kill != self.kill {
            self.follow_kill(kill, event);
        }
    }

    /// The kill gate follows control state: the second layer of the kill switch. Only a person's word loosens it, and only
    /// what that person has seen (the gate's epoch, in the command's `old`).
    #[cold]
    fn follow_kill(&mut self, kill: Option<KillMode>, event: &Event) {
        self.kill = kill;
        let state = match kill {
            None => GateState::Open,
            Some(KillMode::Block) => GateState::Shut,
            Some(KillMode::Cancel) => GateState::CancelOnly,
            Some(KillMode::Flatten) => GateState::ReduceOnly,
        };
        let cause = match &event.body {
            Body::Control(control) if control.who != Control::MACHINE => {
                let seen = Epoch(control.old.cast_unsigned());
                if self.desk.gate.replace(seen, state).is_err() {
                    let _ = self.desk.gate.tighten(state);
                }
                "an operator's command"
            }
            body => {
                let _ = self.desk.gate.tighten(state);
                self.desk.cause.unwrap_or(match body {
                    Body::Control(_) => "a ring was full, or a thread failed",
                    Body::NotSent(_) => "the gate refused a dispatch while the core was not killed",
                    _ => "the core has killed, and has not said why",
                })
            }
        };
        // A full ring loses only the word: whoever watches the gate sees it all the same.
        let _ = self.operator.push(Told::Kill { mode: kill, cause, sequence: self.sequence });
    }

    /// What an operator said since the last pass, and the next rows of what is looked at.
    #[cold]
    fn hear_operator(&mut self) -> usize {
        let waiting = self.inlets.operator.len().min(BURST);
        for _ in 0..waiting {
            match self.inlets.operator.pop() {
                Some(Said::Command(command)) => self.obey(&command),
                Some(Said::Look(look)) => self.looking = Some(Looking::new(look)),
                None => break,
            }
            if self.is_over() {
                break;
            }
        }
        self.show();
        waiting
    }

    /// The command's note and its event, a turn, and the answer that it has been taken.
    fn obey(&mut self, command: &Command) {
        let mut control = command.control;
        let is_setting = matches!(control.verb, ControlVerb::SetLimit | ControlVerb::SetParameter);
        if is_setting {
            control.old = self.core.setting(&control).unwrap_or(0);
        }
        let now = self.desk.clock.now();
        self.take_due_timer(now);
        if !self.desk.record_note(self.sequence + 1, self.now.later(now), &command.note) {
            return;
        }
        // The engine's own word stays its own: it only tightens a kill.
        if control.who != Control::MACHINE {
            control.who = command.number;
        }
        self.take_at(now, &Event::new(now, Source::Operator, Body::Control(control)));
        let answer = Applied {
            number: command.number,
            sequence: self.sequence,
            taken: !is_setting || self.core.setting(&control) == Some(control.new),
            old: control.old,
            new: control.new,
            epoch: self.desk.gate.epoch(),
        };
        let _ = self.operator.push(Told::Applied(answer));
    }

    fn show(&mut self) {
        let Some(mut looking) = self.looking else { return };
        if self.operator.room() < MOST_ROWS + ANSWERS_KEPT_FREE {
            return;
        }
        let look = looking.look.number;
        let operator = &mut self.operator;
        let done = looking.go_on(&self.core, &self.desk.counters, |row| {
            let _ = operator.push(Told::Row(look, row));
        });
        self.looking = Some(looking);
        if done {
            self.looking = None;
            let (sequence, now) = (self.sequence, self.now.raw());
            let _ = self.operator.push(Told::End { look, sequence, now });
        }
    }

    #[inline]
    fn publish(&mut self, idle: bool) {
        if !idle && !self.sequence.is_multiple_of(64) {
            return;
        }
        let now = self.desk.clock.now();
        if now.since(self.published) < PUBLISH_EVERY && self.published != Nanos::ZERO {
            return;
        }
        self.published = now;
        self.desk.publish(&self.core, self.sequence);
        if self.inlets.operator.abandoned() && self.inlets.operator.is_empty() {
            self.lose_operator();
        }
    }

    /// Nobody is left who could kill or stop it: it does both itself.
    #[cold]
    fn lose_operator(&mut self) {
        if self.is_over() {
            return;
        }
        let stop = Control { verb: ControlVerb::Stop, ..Control::trip(KillMode::Block) };
        for control in [Control::trip(KillMode::Block), stop] {
            self.take(&Event::new(self.now, Source::Operator, Body::Control(control)));
        }
    }
}

impl Snapshots {
    /// The last one, of the state at the journal's end.
    #[cold]
    fn end(mut self, head: &Head, core: &Core) -> Result<snapshot::Counts, SnapshotFileError> {
        let mut counts = self.shelf.stop()?;
        let mut form = Vec::new();
        core.save(&mut form);
        self.shelf.write_last(head, &form)?;
        counts.written += 1;
        Ok(counts)
    }
}

impl<C: Clock> Desk<C> {
    #[inline]
    fn record_event(&mut self, sequence: u64, now: Nanos, event: &Event) -> bool {
        self.sequence = sequence;
        self.now = now;
        self.dispatched = false;
        self.counters.turns.one();
        self.counters.events.of(event.source).one();
        self.append(RecordKind::Event, |slot| event.encode(slot))
    }

    #[cold]
    fn record_note(&mut self, sequence: u64, now: Nanos, note: &Note) -> bool {
        let bytes = note.as_bytes();
        let encode = |slot: &mut [u8]| {
            let length = bytes.len().min(slot.len());
            slot[..length].copy_from_slice(&bytes[..length]);
            length
        };
        match self.journal.append_with(RecordKind::Note.code(), sequence, now.raw(), Note::MOST, encode) {
            Ok(()) => true,
            Err(failure) => {
                self.journal_failed(failure);
                false
            }
        }
    }

    #[inline]
    fn append(&mut self, kind: RecordKind, encode: impl FnOnce(&mut [u8]) -> usize) -> bool {
        match self.journal.append_with(kind.code(), self.sequence, self.now.raw(), MAX_PAYLOAD, encode) {
            Ok(()) => true,
            Err(failure) => {
                self.journal_failed(failure);
                false
            }
        }
    }

    /// What the venue refused, by its reason.
    #[inline]
    fn count_refusal(&self, event: &Event) {
        if let Body::Outcome(outcome) = &event.body
            && outcome.verdict == Verdict::Rejected
        {
            self.counters.rejects.of(outcome.reason).one();
        }
    }

    #[inline]
    fn count(&mut self, decision: &Decision) {
        self.counters.decisions.one();
        match decision {
            Decision::Intent(intent) => {
                self.counters.intents.one();
                if intent.verdict != RiskReason::Allowed {
                    self.counters.denials.of(intent.verdict).one();
                }
            }
            Decision::Incident { kind, .. } => self.counters.incidents.of(*kind).one(),
            _ => {}
        }
    }

    #[cold]
    fn journal_failed(&mut self, failure: JournalError) {
        _ = self.gate.tighten(GateState::Shut);
        if self.failure.is_none() {
            telling::journal_failure(&mut self.log, self.now, self.sequence);
            self.failure = Some(failure);
        }
    }

    #[inline]
    fn measure(&mut self, event: &Event, started: Nanos) {
        if event.source == Source::Timer {
            return;
        }
        let ended = self.clock.now();
        self.hops.record(Hop::Turn, ended.since(started).raw());
        let parsed = event.received + Nanos::new(u64::from(event.parsed));
        self.hops.record(Hop::RingIn, started.since(parsed).raw());
        if self.dispatched {
            self.hops.record(Hop::TickToDecision, ended.since(event.received).raw());
        }
    }

    /// The gauges, for whoever looks from outside.
    fn publish(&mut self, core: &Core, sequence: u64) {
        let (state, counters) = (core.state(), &self.counters);
        let (execution, done) = (&state.execution, &state.execution.counters);
        counters.last_sequence.set(sequence as i64);
        counters.open_orders.set(execution.orders.live().len() as i64);
        counters.idle.set(i64::from(core.is_idle()));
        let over = state.control.venues().all(|(_, venue)| venue.has_feed_ended());
        counters.feeds_over.set(i64::from(over));
        counters.fills.set(done.fills);
        counters.unknown_outcomes.set(done.unknown_outcomes);
        let (mut realised, mut unrealised, mut fees, mut maker_fills) =
            (Cash::ZERO, Cash::ZERO, Cash::ZERO, 0);
        for (instrument, total) in execution.totals() {
            counters.position.of(instrument).set(total.quantity.raw());
            fees += total.fees;
            maker_fills += total.maker_fills;
            let Some(market) = state.market.instrument(instrument) else { continue };
            let Some(definition) = market.definition.as_ref() else { continue };
            realised += definition.cash(total.realised);
            if let Some(price) = market.mark_to() {
                unrealised += definition.cash(total.unrealised(price));
            }
        }
        counters.realised.set(realised.to_wire());
        counters.unrealised.set(unrealised.to_wire());
        counters.fees.set(fees.to_wire());
        counters.maker_fills.set(maker_fills);
        for (venue, _) in state.control.venues() {
            counters.show_gate(venue, state.control.closed_gate(venue));
        }
        let journal = &self.journal_counters;
        journal.records.set(self.journal.records());
        let rolls = self.journal.roll_counts();
        journal.rolls.set(rolls.rolls);
        journal.stalls.set(rolls.stalled_rolls);
        if rolls.rolls != self.rolls_told {
            self.rolls_told = rolls.rolls;
            telling::journal_roll(&mut self.log, self.now, rolls.rolls, rolls.stalled_rolls);
        }
    }

    /// The ring to the sender is full: nothing about our orders may wait unseen. The gate shuts, the core is told that this
    /// was not sent, and that it is killed.
    #[cold]
    fn refuse(&mut self, dispatch: &Dispatch) {
        _ = self.gate.tighten(GateState::Shut);
        let not_sent = NotSent {
            client_order_id: dispatch.client_order_id,
            dispatch: dispatch.number,
            request: dispatch.request,
            reason: NotSentReason::SocketFull,
        };
        self.notice(Source::Sender, Body::NotSent(not_sent), dispatch.venue, dispatch.instrument);
        let kill = Control::trip(KillMode::Block);
        self.notice(Source::Operator, Body::Control(kill), dispatch.venue, InstrumentId::NONE);
    }

    #[cold]
    fn notice(&mut self, source: Source, body: Body, venue: VenueId, instrument: InstrumentId) {
        self.notices.push_back(Event::new(self.now, source, body).on(venue, instrument));
    }
}

impl<C: Clock> Outbox for Desk<C> {
    #[inline]
    fn dispatch(&mut self, dispatch: &Dispatch) {
        self.dispatched = true;
        self.counters.dispatches.of(dispatch.request).one();
        if !self.append(RecordKind::Dispatch, |slot| dispatch.encode(slot)) {
            return;
        }
        let handed = Handed { dispatch: *dispatch, at: self.clock.now() };
        let Some(outlet) = self.outlets.get_mut(dispatch.venue.index()) else { return };
        if let Err(Full(handed)) = outlet.sender.push(handed) {
            self.refuse(&handed.dispatch);
        }
    }

    #[inline]
    fn decision(&mut self, decision: &Decision) {
        self.count(decision);
        if telling::is_decision_told(decision) {
            telling::decision(&mut self.log, self.now, self.sequence, decision);
            self.cause = telling::why_killed(decision).or(self.cause);
        }
        self.append(RecordKind::Decision, |slot| decision.encode(slot));
    }

    fn ask(&mut self, ask: &Ask) {
        let Some(outlet) = self.outlets.get_mut(ask.venue.index()) else { return };
        if outlet.requester.push(*ask).is_err() {
            let failed = Hydration {
                scope: ask.scope,
                phase: HydrationPhase::Failed,
                client_order_id: ask.client_order_id,
                request: ask.number,
                as_of: Nanos::ZERO,
            };
            self.notice(Source::Requester, Body::Hydration(failed), ask.venue, ask.instrument);
        }
    }
}
