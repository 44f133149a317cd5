//! The heartbeat and the audit: what is asked of a venue although nothing is in doubt, at intervals, when the requester has nothing
//! else to do.
//!
//! ```text
//! heartbeat   the positions (spot: that the account  they enter as the private stream's own words would: an older one changes nothing,
//!             answers)                               and what is not named is empty
//! audit       one instrument's open orders, in turn   a bracket of the scope `Instrument`
//! ```
//! What they find is the core's to judge. Two heartbeats missing in a row are an alert, whatever the reason.

use super::{CallError, Requester};
use crate::core::event::{Event, HydrationScope};
use crate::core::id::{ClientOrderId, InstrumentId, VenueOrderId};
use crate::core::record::Ask;
use crate::core::time::Nanos;
use crate::telemetry::log::{Level, LogEvent, LogRecord};
use crate::threads::world::Clock;
use crate::venue::binance::hydrate::Conversation;

use super::Read;

/// Our notion of the venue's time may be off by a little: what changed so shortly before the question is left to the private stream.
const CLOCK_MARGIN: Nanos = Nanos::from_secs(1);

/// When what is due, and what came of it.
pub(super) struct Rounds {
    heartbeat: Option<Nanos>,
    beat_at: Nanos,
    /// The last heartbeat that was answered, or the beginning.
    beaten: Nanos,
    is_missed: bool,
    audit: Option<Nanos>,
    audit_at: Nanos,
    /// The instrument whose turn it is, by its place in the directory.
    next: usize,
}

impl Rounds {
    pub fn new(heartbeat: Option<Nanos>, audit: Option<Nanos>, now: Nanos) -> Self {
        let first = |every: Option<Nanos>| every.map_or(Nanos::MAX, |every| now + every);
        Self {
            heartbeat,
            beat_at: first(heartbeat),
            beaten: now,
            is_missed: false,
            audit,
            audit_at: first(audit),
            next: 0,
        }
    }

    /// The heartbeat has been missing for two intervals, and nobody was told.
    fn misses(&mut self, now: Nanos) -> bool {
        let Some(every) = self.heartbeat else { return false };
        let is_late = now.since(self.beaten) > every + every;
        is_late && !std::mem::replace(&mut self.is_missed, true)
    }
}

impl<C: Clock, R: Read> Requester<C, R> {
    /// One round, where one is due: the heartbeat first.
    pub(super) fn make_rounds(&mut self, now: Nanos) -> bool {
        if now >= self.rounds.beat_at {
            self.rounds.beat_at = now + self.rounds.heartbeat.unwrap_or(Nanos::MAX);
            self.beat();
            return true;
        }
        if now >= self.rounds.audit_at {
            self.rounds.audit_at = now + self.rounds.audit.unwrap_or(Nanos::MAX);
            self.audit_next();
            return true;
        }
        false
    }

    /// Says so, once, where the heartbeat is missing; a venue that wants no request for a while is a reason like any other.
    pub(super) fn miss_heartbeat(&mut self, now: Nanos) {
        if self.rounds.misses(now) {
            let since = now.since(self.rounds.beaten).as_millis();
            let record = self.round(LogEvent::Heartbeat).at(Level::Error).with("missing_for_ms", since);
            self.wiring.log.log(record.with("state", "missing"));
        }
    }

    fn beat(&mut self) {
        self.wiring.counters.heartbeats.one();
        let asked = self.clock.now();
        match self.read_positions() {
            Ok(events) => {
                let now = self.clock.now();
                let record = self.round(LogEvent::Heartbeat).with("positions", events.len() as u64);
                self.wiring.log.log(record.with("took_us", now.since(asked).raw() / 1_000));
                self.backlog.extend(events);
                self.rounds.beaten = now;
                self.rounds.is_missed = false;
            }
            Err(error) => self.say("heartbeat", &error),
        }
    }

    fn read_positions(&mut self) -> Result<Vec<Event>, CallError> {
        let mut events = Vec::new();
        match self.requests.position_risk() {
            Some(request) => {
                let asked = self.rest.venue_time() - CLOCK_MARGIN;
                let body = self.call(&request)?;
                let (now, mode) = (self.clock.now(), self.options.position_mode);
                self.hydrator.positions(&self.directory, now, asked, mode, &body, &mut events)?;
            }
            // Spot has no positions: that the account answers is what there is to know.
            None => {
                let body = self.call(&self.requests.account())?;
                self.hydrator.account_answers(&body)?;
            }
        }
        Ok(events)
    }

    fn audit_next(&mut self) {
        self.wiring.counters.audits.one();
        let listings = self.directory.listings();
        let Some(listing) = listings.get(self.rounds.next % listings.len().max(1)) else { return };
        let instrument = listing.id;
        self.rounds.next = self.rounds.next.wrapping_add(1);
        if let Err(error) = self.audit(instrument) {
            self.say("audit of open orders", &error);
        }
    }

    fn audit(&mut self, instrument: InstrumentId) -> Result<(), CallError> {
        // Of nobody's asking: the core counts its own questions from one.
        let ask = Ask {
            number: 0,
            venue: self.directory.venue(),
            scope: HydrationScope::Instrument,
            instrument,
            client_order_id: ClientOrderId::NONE,
            venue_order_id: VenueOrderId(0),
            after_trade: 0,
            since: Nanos::ZERO,
        };
        let directory = self.directory.clone();
        let mut conversation = Conversation::of(&directory, &ask, self.rest.venue_time())?;
        while let Some(request) = conversation.next_request() {
            let body = self.call(&request)?;
            conversation.on_body(&mut self.hydrator, &directory, body, self.clock.now());
        }
        let mut events = Vec::new();
        conversation.finish(&mut self.hydrator, &directory, self.clock.now(), &mut events)?;
        self.backlog.extend(events);
        Ok(())
    }

    fn round(&self, about: LogEvent) -> LogRecord {
        LogRecord::new(self.clock.now().raw(), about).with("venue", u32::from(self.directory.venue().0))
    }
}
