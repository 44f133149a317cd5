//! The audit: a recorded session again, turn by turn, with a core of its own, and every invariant of the execution checked
//! after each turn. It reads nothing but the journal, so it also says that the journal holds all that it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use linchpin::config::Config;
use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::{Body, Event, KillMode, RejectReason, RequestKind};
use linchpin::core::execution::Outbox;
use linchpin::core::id::ClientOrderId;
use linchpin::core::instrument::InstrumentDefinition;
use linchpin::core::record::{Ask, Decision, IncidentKind, RecordKind};
use linchpin::core::state::State;
use linchpin::core::state::control::AccountTrust;
use linchpin::core::time::Nanos;
use linchpin::core::turn::Core;
use linchpin::journal::Reader;
use linchpin::replay::{Begin, Opening, Report, replay};

use crate::world::core_of;

/// What an audit that found nothing wrong has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit {
    pub events: u64,
    pub dispatches: u64,
    pub news: u64,
    pub replaces: u64,
    pub cancels: u64,
    pub hydrations_asked: u64,
    pub incidents: u64,
    pub last_hash: u64,
}

/// Replays a session, which compares every decision byte for byte, and then walks it turn by turn. The first thing that is
/// wrong is the error.
pub fn audit(folder: &Path) -> Result<Audit, String> {
    let report = replay(folder, Begin::AtFirstEvent, &build).map_err(|error| error.to_string())?;
    if !report.is_complete() {
        return Err(format!("the journal is not sealed: {:?}", report.end));
    }
    for check in &report.cross_checks {
        if check.differed > 0 {
            return Err(format!("the book differs from the book ticker at {} update ids", check.differed));
        }
    }
    walk(folder, &report)
}

/// As `replay` calls it.
pub fn build(opening: &Opening, definitions: &[InstrumentDefinition]) -> Result<Core, String> {
    let config = Config::from_resolved(&opening.configuration).map_err(|errors| errors.to_string())?;
    let tag = opening.run_tag.as_bytes().try_into().map_err(|_| "a run tag of another length".to_owned())?;
    core_of(&config, definitions, tag)
}

fn walk(folder: &Path, report: &Report) -> Result<Audit, String> {
    let definitions: Vec<InstrumentDefinition> =
        report.core.state().market.iter().filter_map(|(_, market)| market.definition).collect();
    let mut core = build(&report.opening, &definitions)?;
    let mut seen = Audit { last_hash: report.last_hash, ..Audit::default() };
    let mut ids = BTreeSet::new();
    let mut reader = Reader::open(folder).map_err(|error| error.to_string())?;
    let mut turn = Turn::default();
    let mut unknown: BTreeMap<ClientOrderId, u32> = BTreeMap::new();
    while let Some(record) = reader.next().map_err(|error| error.to_string())? {
        if record.kind != RecordKind::Event.code() {
            continue;
        }
        let event = Event::decode(record.payload).map_err(|why| format!("{:?}: {why}", record.position))?;
        turn.dispatches.clear();
        turn.decisions.clear();
        core.turn(record.sequence, Nanos::new(record.time), &event, &mut turn);
        seen.events += 1;
        let wrong = check_state(core.state())
            .and_then(|()| check_turn(&turn, core.state(), &mut ids, &mut seen))
            .and_then(|()| check_order_of(&event, core.state()))
            .and_then(|()| check_persistence(&event, &mut unknown));
        wrong.map_err(|what| format!("after event {} ({:?}): {what}", record.sequence, event.body))?;
    }
    Ok(seen)
}

#[derive(Default)]
struct Turn {
    dispatches: Vec<Dispatch>,
    decisions: Vec<Decision>,
}

impl Outbox for Turn {
    fn dispatch(&mut self, dispatch: &Dispatch) {
        self.dispatches.push(*dispatch);
    }
    fn decision(&mut self, decision: &Decision) {
        self.decisions.push(*decision);
    }
    fn ask(&mut self, _ask: &Ask) {}
}

/// What holds after every turn.
fn check_state(state: &State) -> Result<(), String> {
    let execution = &state.execution;
    let mut busy = BTreeSet::new();
    for (_, order) in execution.orders.live_orders() {
        if order.filled > order.cumulative {
            return Err(format!(
                "fills of {:?} above the cumulative quantity: {order:?}",
                order.client_order_id
            ));
        }
        if order.cumulative > order.quantity.max(order.working()) {
            return Err(format!("more filled than ordered: {order:?}"));
        }
        if order.inflight.is_some() && !busy.insert(order.key) {
            return Err(format!("two requests under way for one key: {order:?}"));
        }
    }
    let mut pending = BTreeSet::new();
    for waiting in execution.queue.iter() {
        if !pending.insert(waiting.intent.key()) {
            return Err(format!("two commands wait for one key: {waiting:?}"));
        }
    }
    Ok(())
}

/// What left in one turn, against the state that it left behind.
fn check_turn(
    turn: &Turn,
    state: &State,
    ids: &mut BTreeSet<ClientOrderId>,
    seen: &mut Audit,
) -> Result<(), String> {
    for dispatch in &turn.dispatches {
        seen.dispatches += 1;
        if dispatch.number != seen.dispatches {
            return Err(format!("dispatch {} is the {}th", dispatch.number, seen.dispatches));
        }
        match dispatch.request {
            RequestKind::New => {
                seen.news += 1;
                if !ids.insert(dispatch.client_order_id) {
                    return Err(format!("a second New under one id: {dispatch:?}"));
                }
            }
            RequestKind::Replace => seen.replaces += 1,
            RequestKind::Cancel => seen.cancels += 1,
        }
        let forbidden = match state.control.kill {
            None => false,
            Some(KillMode::Block) => true,
            Some(KillMode::Cancel | KillMode::Flatten) => dispatch.request != RequestKind::Cancel,
        };
        if forbidden {
            return Err(format!("dispatched while killed: {dispatch:?}"));
        }
        let trusted =
            state.control.venue(dispatch.venue).is_some_and(|venue| venue.account == AccountTrust::Trusted);
        if !trusted && dispatch.request != RequestKind::Cancel {
            return Err(format!("dispatched while the account is not trusted: {dispatch:?}"));
        }
        if state.control.draining && dispatch.request != RequestKind::Cancel {
            return Err(format!("dispatched in a drain: {dispatch:?}"));
        }
    }
    for decision in &turn.decisions {
        match decision {
            Decision::Ask(_) => seen.hydrations_asked += 1,
            Decision::Incident { kind, .. } => {
                seen.incidents += 1;
                if kind.is_broken_invariant() || *kind == IncidentKind::BookChainBroken {
                    return Err(format!("{decision:?}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// An order that the venue does not know is asked about, and not cancelled or replaced again and again.
fn check_persistence(event: &Event, unknown: &mut BTreeMap<ClientOrderId, u32>) -> Result<(), String> {
    let Body::Outcome(outcome) = &event.body else { return Ok(()) };
    if outcome.reason != RejectReason::UnknownOrder {
        return Ok(());
    }
    let times = unknown.entry(outcome.client_order_id).or_default();
    *times += 1;
    if *times > 3 {
        return Err(format!(
            "the venue said {times} times that it does not know {}",
            outcome.client_order_id
        ));
    }
    Ok(())
}

/// After a report about an order it is as much filled as the venue says, or doubt is noted.
fn check_order_of(event: &Event, state: &State) -> Result<(), String> {
    let Body::Order(report) = &event.body else { return Ok(()) };
    let orders = &state.execution.orders;
    let Some(order) = orders.find(&report.client_order_id).and_then(|index| orders.order(index)) else {
        return Ok(());
    };
    if order.cumulative < report.cumulative_quantity
        && state.control.venue(event.venue).is_some_and(|venue| venue.account == AccountTrust::Trusted)
    {
        return Err(format!("the venue reported more than {order:?} holds"));
    }
    Ok(())
}
