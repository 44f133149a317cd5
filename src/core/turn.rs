//! One turn of the core: record (the runtime did that), derive, decide, risk, admit, process, obligation.
//! Hot.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::event::{Body, Control, ControlVerb, Event, KillMode, TradingState};
use crate::execution::workflow::Workflow;
use crate::execution::workflow::pass::{deferred, family_of};
use crate::execution::{ExecutionControl, Outbox};
use crate::id::{InstrumentId, OrderKey, StrategyId, VenueId};
use crate::intent::{Intent, Intents};
use crate::limits::{Configuration, LimitKey, LossAnswer, MAX_VENUES};
use crate::num::{Price, Quantity};
use crate::record::{Admission, Decision, Gate, IntentRecord, RiskReason, Trip};
use crate::risk::Risk;
use crate::snapshot::{
    Saved, Sink, SnapshotError, StateHasher, WordCount, Words, hash_of, load_header, save_header,
    save_section, skip_header,
};
use crate::state::{Change, Finding, Findings, State};
use crate::strategy::changeable::Parameter;
use crate::strategy::{Progress, Strategies, Strategy};
use crate::time::Nanos;

/// The whole core: state, and what works on it.
pub struct Core {
    /// As it is now: control events change limits.
    configuration: Configuration,
    /// Of the configuration that the run opened with.
    fingerprint: u64,
    state: State,
    strategies: Strategies,
    risk: Risk,
    execution: ExecutionControl,
    workflow: Workflow,
    intents: Intents,
    findings: Findings,
    gates: [Option<Gate>; MAX_VENUES],
    /// A bound was reached in this very turn: the next one must come at once.
    sweep_at: Nanos,
    /// An invariant was found broken in this turn.
    broke: bool,
}

impl Core {
    /// Sizes every table; nothing allocates after this.
    pub fn new(configuration: Configuration, strategies: Vec<Box<dyn Strategy>>) -> Self {
        Self {
            state: State::new(&configuration),
            strategies: Strategies::new(&configuration, strategies),
            risk: Risk::new(&configuration),
            execution: ExecutionControl::new(&configuration),
            workflow: Workflow::new(&configuration),
            intents: Intents::default(),
            findings: Findings::new(),
            gates: [None; MAX_VENUES],
            sweep_at: Nanos::MAX,
            broke: false,
            fingerprint: configuration.fingerprint(),
            configuration,
        }
    }

    /// Takes the event at `sequence`, at processing time `now`. Returns the earliest instant at which the core must be
    /// given a `Timer`, or `Nanos::MAX`.
    #[inline]
    pub fn turn(&mut self, sequence: u64, now: Nanos, event: &Event, outbox: &mut impl Outbox) -> Nanos {
        self.state.sequence = sequence;
        self.state.now = self.state.now.later(now);
        self.execution.begin(event.received);
        self.broke = false;

        let change = self.derive(event, outbox); // what happened
        self.watch(outbox); // what must stop
        self.decide(event, change, outbox); // what we want
        self.check_and_admit(outbox); // what we may
        // Who ran away in this turn is halted in it; what it had open is cancelled at once, in the next.
        let tripped = self.watch(outbox);
        self.carry_out(outbox); // what we do, now
        self.stop_if_broken(outbox);
        self.sweep_at = if tripped || self.broke { self.state.now } else { Nanos::MAX };

        self.close_turn(sequence, event, change, outbox)
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The present value of the limit or the parameter that this event would change; `None` where it names none.
    pub fn setting(&self, control: &Control) -> Option<i64> {
        match control.verb {
            ControlVerb::SetLimit => self.configuration.limit(control.target),
            ControlVerb::SetParameter => self.strategies.parameter(control.target),
            _ => None,
        }
    }

    /// What may change of a strategy while the run goes on.
    pub fn changeable(&self, strategy: StrategyId) -> &'static [Parameter] {
        self.strategies.changeable(strategy)
    }

    pub fn dispatches(&self) -> u64 {
        self.execution.dispatches()
    }

    /// How far a strategy has come with a work that has an end.
    pub fn progress(&self, strategy: StrategyId) -> Option<Progress> {
        self.strategies.progress(&self.state, &self.configuration, strategy)
    }

    /// Nothing of ours is open, under way, waiting or still asked about: a drained run may stop, and what it then says it holds is
    /// what it holds. Orders of others do not hold it.
    pub fn is_idle(&self) -> bool {
        let execution = &self.state.execution;
        let external = |key: OrderKey| key.strategy == StrategyId::EXTERNAL;
        execution.queue.is_empty()
            && execution.orders.live_orders().all(|(_, order)| external(order.key))
            && execution.orders.unresolved().is_empty()
            && !execution.must_read_any_trades()
    }

    /// Live orders of ours; those of others are not counted.
    pub fn open_orders(&self) -> usize {
        let ours = |order: &crate::state::order::Order| order.key.strategy != StrategyId::EXTERNAL;
        self.state.execution.orders.live_orders().filter(|(_, order)| ours(order)).count()
    }

    /// The hash of everything that decides what comes next: of what `save` writes.
    pub fn state_hash(&self) -> u64 {
        let mut hasher = StateHasher::default();
        self.save(&mut hasher);
        hasher.finish()
    }

    /// Bytes that `save` writes at present.
    pub fn saved_size(&self) -> usize {
        let mut count = WordCount::default();
        self.save(&mut count);
        count.bytes()
    }

    /// Everything that decides what comes next, as of the last event taken.
    pub fn save<S: Sink + ?Sized>(&self, to: &mut S) {
        let Self {
            configuration,
            fingerprint,
            state,
            strategies,
            risk,
            execution,
            workflow,
            // What a turn begins with is cleared at its beginning.
            intents: _,
            findings: _,
            gates,
            // Only of use to whoever waits for the next event.
            sweep_at: _,
            broke: _,
        } = self;
        save_header(*fingerprint, to);
        configuration.save(to);
        save_section("state", to);
        state.save(to);
        save_section("risk", to);
        risk.save(to);
        save_section("execute", to);
        execution.save(to);
        save_section("workflow", to);
        workflow.save(to);
        save_section("turn", to);
        gates.save(to);
        strategies.save(to);
    }

    /// Takes the place of the core that saved this: it goes on with the event after. The configuration and the strategies
    /// given to `new` must be those that the saved run opened with. After an error the core is of no use.
    pub fn load(&mut self, form: &[u8]) -> Result<(), SnapshotError> {
        let mut from = Words::new(form);
        load_header(self.fingerprint, &mut from)?;
        self.configuration.load(&mut from)?;
        self.load_sections(from)?;
        // The proof that both traversals are one.
        let (found, expected) = (self.state_hash(), hash_of(form));
        if found == expected { Ok(()) } else { Err(SnapshotError::Hash { found, expected }) }
    }

    fn load_sections(&mut self, mut from: Words<'_>) -> Result<(), SnapshotError> {
        from.section("state")?;
        self.state.load(&mut from)?;
        self.state.value_stakes();
        from.section("risk")?;
        self.risk.load(&mut from)?;
        from.section("execute")?;
        self.execution.load(&mut from)?;
        from.section("workflow")?;
        self.workflow.load(&mut from)?;
        from.section("turn")?;
        self.gates.load(&mut from)?;
        self.strategies.load(&mut from)?;
        from.finish()
    }

    /// Takes over what an earlier run knew: orders, positions, accounts, strategies' memory, under this core's own run tag
    /// and deadlines. `keeps_limits`: the limits and parameters as the earlier run left them, its operator's changes included; else
    /// those that this core was made with. The tables must have the same rows: instruments, venues, strategies, buckets. The first event must
    /// be a `WarmStart`. After an error the core is of no use.
    pub fn succeed(&mut self, form: &[u8], keeps_limits: bool) -> Result<(), SnapshotError> {
        let mut from = Words::new(form);
        skip_header(&mut from)?;
        let mut earlier = self.configuration.clone();
        earlier.load(&mut from)?;
        if keeps_limits {
            // What is of this run stays: its tag, whether it begins killed or trading, and what it claims.
            let own = core::mem::replace(&mut self.configuration, earlier);
            self.configuration.run_tag = own.run_tag;
            self.configuration.killed = own.killed;
            self.configuration.trading_enabled = own.trading_enabled;
            for (limits, own) in self.configuration.instruments.iter_mut().zip(&own.instruments) {
                limits.claimant = own.claimant;
            }
        }
        let own = self.strategies.parameters();
        self.load_sections(from)?;
        if !keeps_limits {
            self.strategies.put_parameters(&own);
        }
        if self.configuration.killed {
            self.state.control.kill = Some(KillMode::Block);
        }
        Ok(())
    }

    #[inline]
    fn derive(&mut self, event: &Event, outbox: &mut impl Outbox) -> Change {
        self.findings.clear();
        let change = self.state.apply(event, &mut self.findings);
        for finding in self.findings.iter() {
            outbox.decision(&Decision::Incident {
                kind: finding.kind,
                instrument: finding.instrument,
                order: finding.order,
                ours: finding.ours,
                theirs: finding.theirs,
            });
        }
        if let Body::Control(control) = &event.body {
            self.change_settings(control, outbox);
        }
        self.stop_if_broken(outbox);
        change
    }

    /// An invariant that does not hold is our bug: nothing is done on top of it, and what is open is cancelled. One record a turn.
    #[inline]
    fn stop_if_broken(&mut self, outbox: &mut impl Outbox) {
        if let Some(broken) = self.state.execution.take_broken()
            && !self.broke
        {
            self.stop_for(broken, outbox);
        }
    }

    #[cold]
    fn stop_for(&mut self, broken: Finding, outbox: &mut impl Outbox) {
        let Finding { kind, instrument, order, ours, theirs } = broken;
        outbox.decision(&Decision::Incident { kind, instrument, order, ours, theirs });
        if self.state.control.kill.is_none() {
            self.state.control.kill = Some(KillMode::Cancel);
        }
        self.note_gates(outbox);
        self.broke = true;
    }

    /// Bounds that stop more than one order.
    #[inline]
    fn watch(&mut self, outbox: &mut impl Outbox) -> bool {
        let mut tripped = false;
        while let Some(trip) = self.risk.watch(&self.state, &self.configuration) {
            self.trip(trip, outbox);
            tripped = true;
        }
        tripped
    }

    #[cold]
    fn trip(&mut self, trip: Trip, outbox: &mut impl Outbox) {
        let control = &mut self.state.control;
        if trip.strategy.is_none() && self.configuration.account.on_loss == LossAnswer::Kill {
            control.kill = Some(KillMode::Cancel);
        } else {
            control.trading.trip(trip.strategy, trip.from_now_on, trip.why, self.state.now);
        }
        outbox.decision(&Decision::Trip(trip));
        self.note_gates(outbox);
    }

    /// A change of configuration during a session is an event like any other. The control surface has validated it.
    #[cold]
    fn change_settings(&mut self, control: &Control, outbox: &mut impl Outbox) {
        match control.verb {
            ControlVerb::SetParameter => {
                self.strategies.set_parameter(control.target, control.new);
            }
            ControlVerb::SetLimit if self.configuration.set_limit(control.target, control.new) => {
                self.follow_limit(control.target);
            }
            // What waited was wished in another world.
            ControlVerb::WarmStart => self.execution.purge(&mut self.state, outbox),
            ControlVerb::EnableTrading => self.risk.forgive(&self.state, Control::EVERYBODY),
            ControlVerb::SetTradingState if control.new == i64::from(TradingState::Active.code()) => {
                self.risk.forgive(&self.state, control.target);
            }
            ControlVerb::BeginDay => self.risk.begin_day(&self.state),
            ControlVerb::Kill | ControlVerb::ResetKill if !self.state.control.is_flattening() => {
                self.execution.purge_closing(&mut self.state, outbox);
            }
            _ => {}
        }
    }

    /// Where state keeps a limit beside it, it follows.
    #[cold]
    fn follow_limit(&mut self, target: u32) {
        self.risk.look_again();
        let Some((key, index)) = LimitKey::of_target(target) else { return };
        let id = InstrumentId(index as u16);
        match (key, self.configuration.instruments.get(index)) {
            (LimitKey::StaleAfter, Some(limits)) => {
                if let Some(market) = self.state.market.instrument_mut(id) {
                    market.stale_after = limits.stale_after;
                }
                self.look_for_staleness();
            }
            (LimitKey::Leverage | LimitKey::QuoteWorth, Some(limits)) => {
                self.state.execution.stakes.follow(id, limits);
            }
            (LimitKey::ReportWait, _) => self.execution.set_report_wait(self.configuration.report_wait),
            _ => {}
        }
    }

    #[inline]
    fn decide(&mut self, event: &Event, change: Change, outbox: &mut impl Outbox) {
        self.intents.clear();
        let (state, configuration) = (&mut self.state, &self.configuration);
        let strategies = &self.strategies;
        let claim = |state: &State, key| strategies.claim(state, configuration, key);
        self.workflow.plan(state, configuration, event, change, claim, &mut self.intents, outbox);
        // One family a pass: while a kill, a flatten or a drain is at work, strategies wish nothing.
        if change != Change::None && !self.state.control.is_closing_down() {
            self.strategies.decide(&self.state, &self.configuration, change, &mut self.intents);
        }
    }

    /// Intent by intent, so that each is checked against what the ones before it added.
    #[inline]
    fn check_and_admit(&mut self, outbox: &mut impl Outbox) {
        let mut at = 0;
        while let Some(intent) = self.intents.at(at) {
            at += 1;
            if let Some(deferral) = deferred(&self.state, &self.intents, &intent) {
                self.state.defer(&deferral);
                outbox.decision(&deferral);
                continue;
            }
            let (verdict, admission) = match self.risk.check(&self.state, &self.configuration, &intent) {
                Ok(approved) => (RiskReason::Allowed, self.execution.admit(&mut self.state, &approved)),
                Err(reason) => (reason, Admission::None),
            };
            outbox.decision(&Decision::Intent(self.intent_record(&intent, verdict, admission)));
        }
    }

    #[inline]
    fn carry_out(&mut self, outbox: &mut impl Outbox) {
        if self.state.control.kill == Some(KillMode::Block) {
            self.execution.purge(&mut self.state, outbox);
        }
        if self.state.execution.queue.is_empty() {
            return;
        }
        let before = self.execution.dispatches();
        self.execution.process(&mut self.state, outbox);
        if self.execution.dispatches() != before {
            self.workflow.expect_confirmation(self.state.now, &self.configuration);
        }
    }

    #[inline]
    fn close_turn(
        &mut self,
        sequence: u64,
        event: &Event,
        change: Change,
        outbox: &mut impl Outbox,
    ) -> Nanos {
        if matches!(change, Change::Link(..) | Change::Account(_) | Change::Control) {
            self.note_gates(outbox);
        }
        // Not later than when this market goes stale, be it whole or not; one that moves on is found out at the look.
        if matches!(event.body, Body::BookTicker(_) | Body::Depth(_))
            && let Some(market) = self.state.market.instrument(event.instrument)
            && !market.stale
        {
            self.state.stale_at = self.state.stale_at.earlier(market.updated + market.stale_after);
        }
        if self.state.now >= self.state.stale_at {
            self.look_for_staleness();
        }
        let every = self.configuration.state_hash_every;
        let asked = matches!(&event.body, Body::Control(control) if control.verb == ControlVerb::Stop);
        if asked || (every != 0 && sequence.is_multiple_of(every)) {
            outbox.decision(&Decision::StateHash { hash: self.state_hash() });
        }
        self.obligation()
    }

    #[inline]
    fn obligation(&self) -> Nanos {
        let settle = self.state.next_deadline().unwrap_or(Nanos::MAX);
        let rate =
            if self.state.execution.queue.is_empty() { Nanos::MAX } else { self.execution.next_deadline() };
        settle
            .earlier(rate)
            .earlier(self.workflow.next_deadline())
            .earlier(self.state.stale_at)
            .earlier(self.sweep_at)
    }

    fn look_for_staleness(&mut self) {
        self.state.stale_at = self.state.next_staleness().unwrap_or(Nanos::MAX);
    }

    /// Records each venue's first closed gate when it changes.
    fn note_gates(&mut self, outbox: &mut impl Outbox) {
        for (at, known) in self.gates.iter_mut().enumerate().take(self.configuration.venues.len()) {
            let venue = VenueId(at as u8);
            let closed = self.state.control.closed_gate(venue);
            if closed == *known {
                continue;
            }
            let instrument = InstrumentId::NONE;
            if let Some(gate) = *known {
                outbox.decision(&Decision::Gate { gate, venue, instrument, open: true });
            }
            if let Some(gate) = closed {
                outbox.decision(&Decision::Gate { gate, venue, instrument, open: false });
            }
            *known = closed;
        }
    }

    #[inline]
    fn intent_record(&self, intent: &Intent, verdict: RiskReason, admission: Admission) -> IntentRecord {
        let key = intent.key();
        let (instrument, side, price, quantity) = match intent {
            Intent::New(new) => (new.instrument, new.side, new.price, new.quantity),
            Intent::Replace(_) | Intent::Cancel(_) => {
                let order = self.state.execution.in_slot(key).map(|(_, order)| *order);
                let instrument = order.map_or(InstrumentId::NONE, |order| order.instrument);
                let side = order.map_or(crate::event::Side::Buy, |order| order.side);
                match intent {
                    Intent::Replace(replace) => (instrument, side, replace.price, replace.quantity),
                    _ => (instrument, side, Price::ZERO, Quantity::ZERO),
                }
            }
        };
        let (request, family) = (intent.request(), family_of(&self.state, intent));
        IntentRecord { key, instrument, request, side, price, quantity, verdict, admission, family }
    }
}

#[cfg(test)]
mod tests;
