//! What the core's thread says in the log: what a person looks for there, and never what happens all the time. A record is a
//! fixed number of bytes into a bounded lane; the numbers are the core's own, because this thread knows no names.
//! Hot.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use crate::core::event::{Body, Event, Verdict};
use crate::core::record::{Decision, IncidentKind, RiskReason};
use crate::core::time::Nanos;
use crate::telemetry::log::{LogEvent, LogRecord, Logger};

/// Events that a person may look for.
#[inline]
pub(super) fn is_told(event: &Event) -> bool {
    match &event.body {
        Body::BookLost(_) => true,
        Body::Depth(depth) => depth.part.snapshot,
        Body::Position(report) => report.hydrated,
        Body::Outcome(outcome) => outcome.verdict == Verdict::Rejected,
        _ => false,
    }
}

#[cold]
pub(super) fn event(log: &mut Logger, now: Nanos, event: &Event) {
    let record = |about| {
        LogRecord::new(now.raw(), about)
            .with("venue", u32::from(event.venue.0))
            .with("instrument", u32::from(event.instrument.0))
    };
    log.log(match &event.body {
        Body::BookLost(why) => record(LogEvent::BookLost).with("why", why.name()),
        Body::Depth(depth) => record(LogEvent::BookSynced).with("update_id", depth.last_update),
        Body::Position(report) => record(LogEvent::PositionSnapshot)
            .with("lots", report.quantity.raw())
            .with("side", report.side.name()),
        Body::Outcome(outcome) => record(LogEvent::OrderRejected)
            .with("request", outcome.request.name())
            .with("reason", outcome.reason.name())
            .with("code", outcome.code)
            .with("dispatch", outcome.dispatch),
        _ => return,
    });
}

/// Decisions that a person may look for.
#[inline]
pub(super) fn is_decision_told(decision: &Decision) -> bool {
    matches!(decision, Decision::Gate { .. } | Decision::Incident { .. } | Decision::Trip(_))
}

/// What a kill that comes with this decision is said to be for.
#[cold]
pub(super) fn why_killed(decision: &Decision) -> Option<&'static str> {
    match decision {
        Decision::Incident { kind, .. } if kind.is_broken_invariant() => {
            Some("an invariant is broken: our bug (keep the session's folder: it replays)")
        }
        Decision::Trip(trip) if trip.strategy.is_none() => Some(match trip.why {
            RiskReason::AccountDailyLoss => "the account's loss of the day has reached its bound",
            RiskReason::AccountDrawdown => "the account's drawdown has reached its bound",
            _ => "a bound of the account was reached",
        }),
        _ => None,
    }
}

#[cold]
pub(super) fn decision(log: &mut Logger, now: Nanos, sequence: u64, decision: &Decision) {
    let record = |about| LogRecord::new(now.raw(), about).with("sequence", sequence);
    log.log(match decision {
        Decision::Gate { gate, venue, open, .. } => record(LogEvent::Gate)
            .with("gate", gate.name())
            .with("venue", u32::from(venue.0))
            .with("state", if *open { "open" } else { "closed" }),
        Decision::Trip(trip) => record(LogEvent::Incident)
            .with("kind", trip.why.name())
            .with("strategy", u32::from(trip.strategy.0))
            .with("from_now_on", trip.from_now_on.name())
            .with("reached", trip.reached)
            .with("bound", trip.bound),
        Decision::Incident { kind, instrument, ours, theirs, .. } => {
            let about = match kind {
                IncidentKind::PositionMismatch | IncidentKind::Contradiction => LogEvent::DataInconsistency,
                _ => LogEvent::Incident,
            };
            record(about)
                .with("kind", kind.name())
                .with("instrument", u32::from(instrument.0))
                .with("ours", *ours)
                .with("theirs", *theirs)
        }
        _ => return,
    });
}

#[cold]
pub(super) fn journal_roll(log: &mut Logger, now: Nanos, segments: u64, late: u64) {
    let record = LogRecord::new(now.raw(), LogEvent::JournalRoll);
    log.log(record.with("segments", segments).with("late", late));
}

/// The error's own words are the run's last ones: the thread that seals has them.
#[cold]
pub(super) fn journal_failure(log: &mut Logger, now: Nanos, sequence: u64) {
    let record = LogRecord::new(now.raw(), LogEvent::JournalFailure).with("sequence", sequence);
    log.log(record.with("consequence", "the gate is shut, and the core ends"));
}
