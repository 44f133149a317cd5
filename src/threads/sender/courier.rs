//! The courier: carries requests over REST while the session is down. The sender's second pair of hands, on a thread of its own because a
//! request over REST blocks.
//!
//! ```text
//!   sender --Errand--> courier --kill gate--> HTTP --> venue
//!          <-Delivered-
//! ```
//! Promises: the kill gate is asked immediately before every request, by a check of the courier's own, and what the gate forbids is confirmed only
//! between two requests; a request is made once, whatever comes of it; what certainly did not leave is told apart from what may have; and
//! while the venue has closed a limit to us nothing leaves that draws on it, though it was lent before the core could know.

use crate::core::dispatch::Dispatch;
use crate::core::event::RequestKind;
use crate::core::time::Nanos;
use crate::kill_gate::GateCheck;
use crate::net::Endpoint;
use crate::net::http::{HttpClient, HttpError, HttpRequest, HttpResponse, Method};
use crate::ring::{Consumer, Producer};
use crate::threads::Pass;
use crate::threads::sender::risk_of;
use crate::threads::world::Clock;
use crate::venue::binance::hydrate::API_KEY_HEADER;
use crate::venue::binance::orders::{RestAnswer, RestOrder};
use crate::venue::binance::wire::bucket;

/// One request to carry.
pub struct Errand {
    pub dispatch: Dispatch,
    pub request: RestOrder,
}

/// What became of it.
pub struct Delivered {
    pub dispatch: Dispatch,
    pub fate: Fate,
}

pub enum Fate {
    /// The gate is closed for it: nothing left.
    Refused,
    /// The venue has closed a limit that it draws on: nothing left.
    Held,
    /// Not one byte left.
    NeverSent(String),
    /// It left, and no whole answer came.
    Unknown(String),
    Answered(RestAnswer),
}

pub struct Courier<C: Clock> {
    clock: C,
    client: HttpClient,
    base: Endpoint,
    api_key: String,
    gate: GateCheck,
    errands: Consumer<Errand>,
    back: Producer<Delivered>,
    /// Until when the venue wants no order, and until when nothing at all.
    held: [Nanos; 2],
}

impl<C: Clock> Courier<C> {
    pub fn new(
        client: HttpClient,
        base: Endpoint,
        api_key: String,
        gate: GateCheck,
        errands: Consumer<Errand>,
        back: Producer<Delivered>,
        clock: C,
    ) -> Self {
        Self { clock, client, base, api_key, gate, errands, back, held: [Nanos::ZERO; 2] }
    }

    /// One request at most.
    pub fn pass(&mut self) -> Pass {
        // Nothing is under way here.
        let _ = self.gate.confirm();
        // The sender never lends more than there is room for on the way back.
        let Some(Errand { dispatch, request }) = self.errands.pop() else { return Pass::Idle };
        let fate = self.carry(&dispatch, &request);
        let _ = self.back.push(Delivered { dispatch, fate });
        Pass::Busy
    }

    fn carry(&mut self, dispatch: &Dispatch, request: &RestOrder) -> Fate {
        let method = match request.method {
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            other => return Fate::NeverSent(format!("no request is made with {other}")),
        };
        let endpoint = match self.base.with_path(&format!("{}?{}", request.path, request.query)) {
            Ok(endpoint) => endpoint,
            Err(error) => return Fate::NeverSent(error.to_string()),
        };
        let headers = [(API_KEY_HEADER, self.api_key.as_str())];
        let http = HttpRequest { method, endpoint: &endpoint, headers: &headers, body: &[] };
        if self.is_held(dispatch) {
            return Fate::Held;
        }
        if self.gate.permit(risk_of(dispatch)).is_err() {
            return Fate::Refused;
        }
        match self.client.send(&http) {
            Ok(HttpResponse { status, headers, body, .. }) => {
                let answer = RestAnswer { status, headers, body, received: self.clock.now() };
                self.note(&answer);
                Fate::Answered(answer)
            }
            Err(HttpError::NeverSent { why } | HttpError::Distrusted { why }) => Fate::NeverSent(why),
            Err(HttpError::Unknown { why, .. }) => Fate::Unknown(why),
        }
    }

    fn is_held(&self, dispatch: &Dispatch) -> bool {
        let [orders, everything] = self.held;
        let until =
            if dispatch.request == RequestKind::Cancel { everything } else { orders.later(everything) };
        self.clock.now() < until
    }

    fn note(&mut self, answer: &RestAnswer) {
        let Some(hold) = answer.hold() else { return };
        let [orders, everything] = &mut self.held;
        let held = if hold.bucket == bucket::REQUEST_WEIGHT { everything } else { orders };
        *held = held.later(hold.until);
    }
}
