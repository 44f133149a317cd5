//! The desk's calendar at work: its windows and days become control events, so that a replay needs no calendar.

use super::people::People;
use crate::config::{AtClose, Schedule, ScheduleChange};
use crate::core::event::ControlVerb;
use crate::core::record::Gate;
use crate::core::time::Nanos;

pub(super) struct Calendar {
    schedule: Schedule,
    next: Option<(Nanos, ScheduleChange)>,
}

impl Calendar {
    /// Outside of every window, the gate is closed from the beginning.
    pub fn begin(schedule: &Schedule, now: u64, people: &People) -> Self {
        let now = Nanos::new(now);
        if !schedule.is_open(now) {
            let _ = people.tell(ControlVerb::CloseGate, GATE, "outside of the trading windows");
        }
        Self { schedule: schedule.clone(), next: schedule.next(now) }
    }

    /// Does what is due, and names it.
    pub fn look(&mut self, now: u64, people: &People) -> Option<&'static str> {
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
                let _ = people.tell(ControlVerb::OpenGate, GATE, "a trading window opens");
                Some("a trading window opens")
            }
            _ => {
                let _ = people.tell(ControlVerb::CloseGate, GATE, "a trading window closes");
                let verb = match self.schedule.at_close {
                    AtClose::Cancel => Some(ControlVerb::CancelAll),
                    AtClose::Flatten => Some(ControlVerb::Flatten),
                    AtClose::Keep => None,
                };
                if let Some(verb) = verb {
                    let _ = people.tell(verb, 0, "a trading window closes");
                }
                Some("a trading window closes")
            }
        }
    }
}

const GATE: u32 = Gate::Schedule.code() as u32;
