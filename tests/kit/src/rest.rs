//! REST at the simulated venue. A read takes time, in which the market and the account move on: so the parts of one
//! hydration are of different moments, as they are at an exchange.

use std::cell::RefCell;
use std::rc::Rc;

use linchpin::core::event::RateUsage;
use linchpin::core::time::Nanos;
use linchpin::threads::requester::{Read, RestError};
use linchpin::threads::world::Clock;
use linchpin::venue::binance::hydrate::RestRequest;
use linchpin::venue::binance::wire::usage_of_headers;

use crate::clock::VirtualClock;
use crate::venue::Venue;

pub struct SimRest {
    venue: Rc<RefCell<Venue>>,
    clock: VirtualClock,
    /// What the last answer's headers said.
    usage: Vec<RateUsage>,
}

impl SimRest {
    pub fn new(venue: Rc<RefCell<Venue>>, clock: VirtualClock) -> Self {
        Self { venue, clock, usage: Vec::new() }
    }
}

impl Read for SimRest {
    fn read(&mut self, request: &RestRequest) -> Result<Vec<u8>, RestError> {
        let mut venue = self.venue.borrow_mut();
        let (there, back) = venue.rest_latency();
        self.clock.advance(Nanos::new(there));
        venue.advance(self.clock.now().raw());
        // Unsigned: who asks is not what is tested here.
        let target = request.target(None, 0, None);
        let answer = venue.rest(request.method.name(), &target);
        self.clock.advance(Nanos::new(back));
        venue.advance(self.clock.now().raw());
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.usage = usage_of_headers(&venue.headers.iter().map(owned).collect::<Vec<_>>(), None);
        let path = request.path;
        answer.map(String::into_bytes).map_err(|status| RestError::Status {
            path,
            status,
            body: "the dice said so".into(),
        })
    }

    fn venue_time(&self) -> Nanos {
        self.clock.now()
    }

    fn set_clock_offset(&mut self, _millis: i64) {}

    fn paused_until(&self) -> Nanos {
        Nanos::ZERO
    }

    fn rate_usage(&mut self) -> Vec<RateUsage> {
        std::mem::take(&mut self.usage)
    }
}
