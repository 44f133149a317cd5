//! The start's patience with a venue that does not answer: asked again after pauses that grow, by dice, and never before the venue wants to
//! hear from us again. What will not become better by waiting (a key, a certificate, a symbol) ends the start at once.
//!
//! ```text
//!   ask --answer--> go on
//!    |--definite refusal-------------------------> end
//!    |--start_within is over---------------------> end   (not while the venue itself asks for a pause: a restart would forget that)
//!    |--Ctrl-C, SIGTERM--------------------------> end
//!    '--no answer, 403, 418, 429, 5xx--pause--> ask
//! ```

use std::time::Duration;

use super::venue::not_stopped;
use crate::config::Venue;
use crate::core::time::Nanos;
use crate::net::backoff::Backoff;
use crate::net::http::HttpError;
use crate::sys::clock::Clock;
use crate::sys::signal::StopFlag;
use crate::telemetry::log::{Level, LogEvent, LogRecord, Logger, ShortText};
use crate::threads::requester::RestError;

/// A raised stop is heard within so long.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) struct Patience<'a> {
    venue: &'a str,
    backoff: Backoff,
    /// No new try begins after it.
    until: Option<Nanos>,
    clock: Clock,
    stop: StopFlag,
    log: Logger,
}

impl<'a> Patience<'a> {
    /// `within`: for how long it is tried; `None` is for ever.
    pub fn new(
        venue: &'a Venue,
        within: Option<Nanos>,
        seed: u64,
        clock: &Clock,
        stop: &StopFlag,
        log: Logger,
    ) -> Self {
        Self {
            venue: &venue.name,
            backoff: Backoff::new(
                venue.connection.reconnect_first.raw(),
                venue.connection.reconnect_longest.raw(),
                seed,
            ),
            until: within.map(|within| Nanos::new(clock.now()) + within),
            clock: clock.clone(),
            stop: stop.clone(),
            log,
        }
    }

    /// It answered; a raised stop ends the start all the same.
    pub fn succeeded(&mut self) -> anyhow::Result<()> {
        self.backoff.succeeded();
        not_stopped(&self.stop)
    }

    /// Waits until it may be asked again, where that may help; `held` is until when the venue wants no request.
    pub fn wait(&mut self, error: anyhow::Error, held: Nanos) -> anyhow::Result<()> {
        not_stopped(&self.stop)?;
        if !may_pass(&error) {
            return Err(error);
        }
        let now = self.clock.now();
        self.backoff.failed(now);
        self.backoff.not_before(held.raw());
        let next = self.backoff.next_at();
        // The time of a pause that the venue asks for is not ours to count.
        self.until = self.until.map(|until| until + held.since(Nanos::new(now)));
        if self.until.is_some_and(|until| next > until.raw()) && held.raw() <= now {
            return Err(error.context("the venue did not answer within run.start_within"));
        }
        self.say(&error, Nanos::new(next - now.min(next)));
        while self.clock.now() < next {
            not_stopped(&self.stop)?;
            std::thread::sleep(LOOK_EVERY.min(Duration::from_nanos(next.saturating_sub(self.clock.now()))));
        }
        not_stopped(&self.stop)
    }

    fn say(&mut self, error: &anyhow::Error, pause: Nanos) {
        let tries = self.backoff.failures();
        let tenths = pause.as_millis().div_ceil(100);
        let (seconds, tenth) = (tenths / 10, tenths % 10);
        complain!("linchpin: try {tries} at \"{}\": {error:#}; again in {seconds}.{tenth} s", self.venue);
        // For the file alone: the terminal has it already.
        self.log.log(
            LogRecord::new(self.clock.now(), LogEvent::Disconnected)
                .at(Level::Info)
                .with("venue", ShortText::new(self.venue))
                .with("try", u64::from(tries))
                .with("again_in_ms", pause.as_millis())
                .with("text", ShortText::new(&format!("{error:#}"))),
        );
    }
}

/// Whether asking again can help: nobody there, nothing heard, too much asked, or a venue that is not well.
fn may_pass(error: &anyhow::Error) -> bool {
    match error.chain().find_map(|cause| cause.downcast_ref::<RestError>()) {
        Some(RestError::Http { error, .. }) => !matches!(error, HttpError::Distrusted { .. }),
        Some(RestError::Status { status, .. }) => matches!(status, 403 | 408 | 418 | 429 | 500..=599),
        Some(RestError::Paused { .. }) => true,
        Some(RestError::Address { .. } | RestError::NoKey { .. }) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waiting_does_not_mend_is_not_waited_for() {
        let path = "/fapi/v1/time";
        let status = |status| RestError::Status { path, status, body: String::new() };
        let http = |error| RestError::Http { path, error };
        let why = || "because".to_owned();
        for (error, expected) in [
            (http(HttpError::NeverSent { why: why() }), true),
            (http(HttpError::Unknown { status: None, why: why() }), true),
            (http(HttpError::Distrusted { why: why() }), false),
            (RestError::Paused { path, seconds: 3 }, true),
            (RestError::NoKey { path }, false),
            (status(401), false),
            (status(403), true),
            (status(418), true),
            (status(429), true),
            (status(451), false),
            (status(502), true),
        ] {
            let words = format!("{error}");
            let error = anyhow::Error::from(error).context("cannot ask");
            assert_eq!(may_pass(&error), expected, "{words}");
        }
        assert!(!may_pass(&anyhow::anyhow!("no such symbol")));
    }
}
