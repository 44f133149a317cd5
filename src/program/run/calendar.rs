//! The desk's calendar at work: its windows and days become control events, so that a replay needs no calendar.

use std::time::{Duration, Instant};

use super::people::People;
use crate::config::{AtClose, Schedule, ScheduleChange};
use crate::core::event::ControlVerb;
use crate::core::record::Gate;
use crate::core::time::Nanos;

pub(super) struct Calendar {
    schedule: Schedule,
    next: Option<(Nanos, ScheduleChange)>,
    /// The drain of a window's end, until nothing of ours is open.
    draining: Option<Instant>,
    /// What there is to say before anything changes.
    opening: Option<&'static str>,
}

/// A drain that takes longer is told as one that did not end; it goes on all the same.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);
/// The gauge that says that nothing is open must be younger than the command.
const GAUGE_AGE: Duration = Duration::from_millis(100);

impl Calendar {
    /// Outside of every window, the gate is closed from the beginning.
    pub fn begin(schedule: &Schedule, now: u64, people: &People) -> Self {
        const OUTSIDE: &str = "outside of the trading windows";
        let now = Nanos::new(now);
        let is_outside = !schedule.is_open(now);
        if is_outside {
            let _ = people.tell(ControlVerb::CloseGate, GATE, OUTSIDE);
        }
        Self {
            schedule: schedule.clone(),
            next: schedule.next(now),
            draining: None,
            opening: is_outside.then_some(OUTSIDE),
        }
    }

    /// Does what is due, and names it. `is_idle`: nothing of ours is open, under way or waiting.
    pub fn look(&mut self, now: u64, is_idle: bool, people: &People) -> Option<&'static str> {
        if let Some(said) = self.opening.take().or_else(|| self.watch_drain(is_idle)) {
            return Some(said);
        }
        let now = Nanos::new(now);
        let (_, change) = self.next.filter(|(at, _)| *at <= now)?;
        // From now on, not from then: a process that slept through several changes is in the state of the last.
        self.next = self.schedule.next(now);
        match change {
            ScheduleChange::NewDay => {
                let _ = people.tell(ControlVerb::BeginDay, 0, "a trading day begins");
                Some("a trading day begins")
            }
            _ if self.schedule.is_open(now) => {
                self.draining = None;
                // It ends the drain of the window before as well; not one that a person asked for.
                let _ = people.tell(ControlVerb::OpenGate, GATE, "a trading window opens");
                Some("a trading window opens")
            }
            _ => {
                self.close(people);
                Some("a trading window closes")
            }
        }
    }

    fn close(&mut self, people: &People) {
        const WHY: &str = "a trading window closes";
        let _ = people.tell(ControlVerb::CloseGate, GATE, WHY);
        let _ = match self.schedule.at_close {
            AtClose::Drain => {
                self.draining = Some(Instant::now());
                people.tell(ControlVerb::Drain, GATE, WHY)
            }
            AtClose::Cancel => people.tell(ControlVerb::CancelAll, 0, WHY),
            AtClose::Flatten => people.tell(ControlVerb::Flatten, 0, WHY),
            AtClose::Keep => true,
        };
    }

    fn watch_drain(&mut self, is_idle: bool) -> Option<&'static str> {
        let took = self.draining?.elapsed();
        let said = match () {
            () if is_idle && took > GAUGE_AGE => "drained: nothing of ours is open",
            () if took > DRAIN_PATIENCE => "not drained: orders of ours are still open",
            () => return None,
        };
        self.draining = None;
        Some(said)
    }
}

const GATE: u32 = Gate::Schedule.code() as u32;
