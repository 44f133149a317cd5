//! Spot's private stream on its two connections: what the venue refuses on one takes nothing from the other, and a refusal for our time has
//! the clock measured.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::*;
use crate::core::instrument::Product;
use crate::net::EndpointError;
use crate::net::websocket::{Message, Phase, SendError};
use crate::ring::{Consumer, ring};
use crate::telemetry::counters::Registry;
use crate::telemetry::hops::HopHistograms;
use crate::telemetry::log::{LogBuilder, LogOptions};
use crate::threads::connection::Upkeep;
use crate::venue::binance::sign::Credentials;
use crate::venue::binance::sign::tests::ed25519;
use crate::venue::directory::tests::directory;

/// What the venue's end of each connection has heard, and what it will say next.
#[derive(Default)]
struct Far {
    heard: Vec<String>,
    says: VecDeque<String>,
    is_gone: bool,
}

type Venue = Rc<RefCell<Vec<Far>>>;

struct TestDial(Venue);

struct TestSocket {
    venue: Venue,
    number: usize,
    current: String,
    ending: Option<Closed>,
}

impl Dial for TestDial {
    type Socket = TestSocket;

    fn dial(&mut self, _path: &str, _now: Nanos) -> Result<TestSocket, EndpointError> {
        let number = self.0.borrow().len();
        self.0.borrow_mut().push(Far::default());
        Ok(TestSocket { venue: self.0.clone(), number, current: String::new(), ending: None })
    }
}

impl Socket for TestSocket {
    fn poll(&mut self, _now: Nanos) -> Phase {
        Phase::Open
    }
    fn read(&mut self, now: Nanos) -> Result<Option<Message<'_>>, Closed> {
        if let Some(ending) = &self.ending {
            return Err(ending.clone());
        }
        let Some(text) = self.venue.borrow_mut()[self.number].says.pop_front() else { return Ok(None) };
        self.current = text;
        Ok(Some(Message { payload: self.current.as_bytes(), is_text: true, received_at: now.raw() }))
    }
    fn send_text(&mut self, text: &[u8]) -> Result<(), SendError> {
        let text = String::from_utf8(text.to_vec()).unwrap();
        self.venue.borrow_mut()[self.number].heard.push(text);
        Ok(())
    }
    fn is_flushed(&self) -> bool {
        true
    }
    fn close(&mut self, _now: Nanos) {
        self.ending.get_or_insert(Closed::ByUs);
    }
    fn ending(&self) -> Option<&Closed> {
        self.ending.as_ref()
    }
}

impl Drop for TestSocket {
    fn drop(&mut self) {
        self.venue.borrow_mut()[self.number].is_gone = true;
    }
}

/// The time that passes is told to each pass; nobody asks this one for more than a duration.
#[derive(Clone)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Nanos {
        Nanos::ZERO
    }
}

struct Desk {
    link: PrivateLink<TestDial>,
    out: Output<Still>,
    events: Consumer<Event>,
    wants: Consumer<Want>,
    venue: Venue,
    options: ReceiverOptions,
    now: Nanos,
}

const MAX_AGE: Nanos = Nanos::from_secs(1_000);

impl Desk {
    fn new() -> Self {
        let venue = Venue::default();
        let upkeep =
            Upkeep { reconnect: (Nanos::from_millis(50), Nanos::from_millis(50)), max_age: MAX_AGE, seed: 1 };
        let credentials = Arc::new(Credentials::new("theKey", ed25519().0).unwrap());
        let stream = PrivateStream::of_product(Arc::new(directory(Product::Spot)), 0, credentials, None);
        let (to_core, events) = ring("receiver_core", 1_024);
        let (wishes, wants) = ring("receiver_requester", 4);
        let counters = Registry::new();
        let mut log = LogBuilder::new(LogOptions { shown: None, ..LogOptions::default() }, &counters);
        let out = Output {
            clock: Still,
            ring: to_core,
            wants: wishes,
            sends: Vec::new(),
            drops: Vec::new(),
            renewals: Vec::new(),
            backlog: VecDeque::new(),
            full_since: None,
            shed: false,
            hops: HopHistograms::new(),
            counters: counters.block("receiver"),
            log: log.lane("receiver"),
        };
        Self {
            link: PrivateLink::new(Some(TestDial(venue.clone())), stream, |number| {
                Connection::new(&upkeep, number)
            }),
            out,
            events,
            wants,
            venue,
            options: ReceiverOptions {
                venue: VenueId(0),
                split_paths: true,
                patience: Nanos::from_secs(1),
                upkeep,
            },
            now: Nanos::from_secs(1_700_000_000),
        }
    }

    fn pass(&mut self) {
        self.now = self.now + Nanos::from_millis(100);
        self.link.pass(&self.options, false, self.now, &mut self.out);
    }

    /// The venue says this on its connection of this number, and it is read.
    fn hears(&mut self, connection: usize, text: &str) {
        self.venue.borrow_mut()[connection].says.push_back(text.to_owned());
        self.pass();
    }

    fn subscribes(&mut self, connection: usize) {
        self.hears(connection, r#"{"id":"private-logon","status":200,"result":{"apiKey":"theKey"}}"#);
        self.hears(connection, r#"{"id":"private","status":200,"result":{"subscriptionId":0}}"#);
    }

    /// The next connection is dialled, and asks to be logged on.
    fn waits_for_connection(&mut self, connection: usize) {
        for _ in 0..10 {
            if self.venue.borrow().get(connection).is_some_and(|far| !far.heard.is_empty()) {
                return;
            }
            self.pass();
        }
        panic!("connection {connection} does not come");
    }

    fn grows_old(&mut self) {
        self.now = self.now + MAX_AGE;
    }

    fn links(&mut self) -> Vec<(LinkState, LinkReason)> {
        let mut links = Vec::new();
        while let Some(event) = self.events.pop() {
            if let Body::Link(change) = event.body {
                links.push((change.state, change.reason));
            }
        }
        links
    }

    fn gone(&self) -> Vec<bool> {
        self.venue.borrow().iter().map(|far| far.is_gone).collect()
    }
}

const FOR_ITS_TIME: &str = r#"{"id":"private-logon","status":400,"error":{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}}"#;
const UP: (LinkState, LinkReason) = (LinkState::Up, LinkReason::None);

#[test]
fn a_logon_refused_for_its_time_has_the_clock_measured_and_the_next_one_carries_the_right_time() {
    let mut desk = Desk::new();
    desk.waits_for_connection(0);
    assert!(desk.wants.pop().is_none());
    desk.hears(0, FOR_ITS_TIME);
    desk.pass();
    assert_eq!(desk.wants.pop(), Some(Want::Clock));
    assert_eq!(desk.wants.pop(), None, "once for one refusal");
    assert_eq!(desk.links(), [(LinkState::Down, LinkReason::LogonFailed)]);
    desk.link.stream.set_clock_offset(60_000);
    desk.waits_for_connection(1);
    let heard = desk.venue.borrow()[1].heard[0].clone();
    let told = heard.split("\"timestamp\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let told: u64 = told.parse().unwrap();
    assert!(told >= 1_700_000_060_000, "{heard}");
    desk.subscribes(1);
    assert_eq!(desk.links(), [UP]);
}

#[test]
fn a_younger_connection_that_is_refused_leaves_the_older_one_alone() {
    let mut desk = Desk::new();
    desk.waits_for_connection(0);
    desk.subscribes(0);
    assert_eq!(desk.links(), [UP]);
    desk.grows_old();
    desk.waits_for_connection(1);
    desk.hears(1, FOR_ITS_TIME);
    assert_eq!(desk.gone(), [false, true]);
    desk.pass();
    assert_eq!(desk.wants.pop(), Some(Want::Clock));
    assert_eq!(desk.links(), [], "the link was never down");
    // The next try is taken, and then the older one may go.
    desk.waits_for_connection(2);
    desk.subscribes(2);
    desk.now = desk.now + OVERLAP;
    desk.pass();
    assert_eq!(desk.gone(), [true, true, false]);
    assert!(desk.links().iter().all(|link| *link == UP));
}

#[test]
fn a_younger_connection_without_an_answer_leaves_the_older_one_alone() {
    let mut desk = Desk::new();
    desk.waits_for_connection(0);
    desk.subscribes(0);
    desk.grows_old();
    desk.waits_for_connection(1);
    desk.now = desk.now + Nanos::from_secs(6);
    desk.pass();
    desk.pass();
    assert_eq!(desk.gone()[..2], [false, true]);
    assert_eq!(desk.links(), [UP], "the link was never down");
}

#[test]
fn a_younger_connection_that_carries_nothing_yet_is_no_substitute_for_the_older_one() {
    let mut desk = Desk::new();
    desk.waits_for_connection(0);
    desk.subscribes(0);
    desk.grows_old();
    desk.waits_for_connection(1);
    let mut older = desk.link.connections[0].socket.take().unwrap();
    older.ending = Some(Closed::Eof { phase: Phase::Open });
    desk.link.connections[0].socket = Some(older);
    desk.pass();
    assert_eq!(desk.gone()[..2], [true, true]);
    assert_eq!(desk.links(), [UP, (LinkState::Down, LinkReason::ClosedByVenue)]);
}
