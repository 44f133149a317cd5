//! The production line without its sockets: the venue's feed, the core's loop with a journal, the order-entry session, and
//! the rings between them, joined as `topology` joins them.
//!
//! Nothing here stands in for production code except the two ends: texts come from memory, and a request is done when its
//! bytes are ready to write.

use std::path::Path;
use std::sync::Arc;

use linchpin::core::dispatch::{Dispatch, DispatchFlags};
use linchpin::core::event::{Event, LinkReason, RequestKind};
use linchpin::core::id::InstrumentId;
use linchpin::core::time::Nanos;
use linchpin::kill_gate::{GateCheck, GateState, KillGate, Write};
use linchpin::ring::{Consumer, Full, Producer, ring};
use linchpin::sys::clock::Clock;
use linchpin::telemetry::counters::Registry;
use linchpin::telemetry::hops::HopHistograms;
use linchpin::telemetry::log::{LogBuilder, LogOptions};
use linchpin::threads::core_loop::{CoreLoop, CoreWiring, Handed, Inlets, VenueInlets, VenueOutlets};
use linchpin::threads::talk::{Said, Told};
use linchpin::venue::EventSink;
use linchpin::venue::binance::feed::{FeedOutput, MarketFeed};
use linchpin::venue::binance::orders::OrderEntry;

use super::Proof;
use super::market::{self, Market};

/// Deep enough for the largest snapshot.
const DEPTH: usize = 4_096;

pub struct Line {
    pub receiving: Receiving,
    pub core: CoreLoop<Clock>,
    pub sending: Sending,
}

/// Texts in, events into the ring.
pub struct Receiving {
    feed: MarketFeed,
    out: ToCore,
    clock: Clock,
}

struct ToCore {
    ring: Producer<Event>,
    clock: Clock,
}

/// Dispatches out of the ring, request bytes into `frame`.
pub struct Sending {
    dispatches: Consumer<Handed>,
    entry: OrderEntry,
    gate: GateCheck,
    pub frame: Vec<u8>,
    events: Producer<Event>,
    clock: Clock,
    /// Held, so that nobody finds its ring abandoned.
    _idle_ends: (Producer<Said>, Consumer<Told>, Producer<Event>, Consumer<linchpin::core::record::Ask>),
}

impl Line {
    /// Everything up to the moment at which the first message may come: links up, account read back, session logged on.
    pub fn new(folder: &Path, segment_size: u64, clock: &Clock) -> Self {
        let directory = super::directory(1);
        let (to_core, receiver) = ring("receiver_core", DEPTH);
        let (events, sender) = ring("sender_core", DEPTH);
        let (operator_end, operator) = ring("operator_core", 16);
        let (to_operator, answers) = ring("core_operator", 16);
        let (requester_end, requester) = ring("requester_core", 16);
        let (handed, dispatches) = ring("core_sender", DEPTH);
        let (asks, asked) = ring("core_requester", 64);
        let (control, gate) = KillGate::new(GateState::Open);
        let registry = Registry::new();
        let wiring = CoreWiring {
            inlets: Inlets { operator, venues: vec![VenueInlets { sender, requester, receiver }] },
            operator: to_operator,
            outlets: vec![VenueOutlets { sender: handed, requester: asks }],
            gate: control,
            hops: HopHistograms::new(),
            counters: registry.block("core"),
            journal_counters: registry.block("journal"),
            log: LogBuilder::new(LogOptions { shown: None, ..LogOptions::default() }, &registry).lane("core"),
        };
        let journal = super::journal(folder, segment_size);
        let mut core = CoreLoop::new(super::core(1), journal, wiring, clock.clone());
        let now = Nanos::new(clock.now());
        for event in super::opening(1, now) {
            core.take(&event);
        }
        let mut receiving = Receiving {
            feed: super::feed(&directory),
            out: ToCore { ring: to_core, clock: clock.clone() },
            clock: clock.clone(),
        };
        market::open(&mut receiving.feed, now, &mut receiving.out);
        let sending = Sending {
            dispatches,
            entry: super::order_entry(&directory, Proof::Session, now),
            gate,
            frame: Vec::with_capacity(OrderEntry::MOST_BYTES),
            events,
            clock: clock.clone(),
            _idle_ends: (operator_end, answers, requester_end, asked),
        };
        Self { receiving, core, sending }
    }
}

impl Receiving {
    /// One text that was there to be read at `received`.
    #[inline]
    pub fn take(&mut self, market: &Market, at: usize, received: Nanos) {
        let clock = &self.clock;
        market::give(&mut self.feed, market, at, received, || Nanos::new(clock.now()), &mut self.out);
    }

    /// The same with a text that came from elsewhere.
    #[inline]
    pub fn take_text(&mut self, text: &[u8], is_snapshot: bool, received: Nanos) {
        let clock = &self.clock;
        let now = || Nanos::new(clock.now());
        market::give_text(&mut self.feed, text, is_snapshot, received, now, &mut self.out);
    }

    pub fn is_synced(&self) -> bool {
        self.feed.is_synced()
    }

    /// Events that the core has not taken yet.
    pub fn waiting(&self) -> usize {
        self.out.ring.depth() - self.out.ring.room()
    }
}

impl Sending {
    /// The next dispatch, if there is one: gate asked, text in `frame`.
    #[inline]
    pub fn take(&mut self) -> Option<Handed> {
        let handed = self.dispatches.pop()?;
        let now = Nanos::new(self.clock.now());
        self.entry.encode(&handed.dispatch, now, &mut self.frame).expect("an order that it knows");
        self.gate.permit(risk_of(&handed.dispatch)).expect("an open gate");
        Some(handed)
    }

    /// The venue's answers to it.
    pub fn answer(&mut self, dispatch: &Dispatch) {
        let now = Nanos::new(self.clock.now());
        self.entry.withdraw(dispatch.number);
        for event in super::answers(dispatch, now) {
            self.events.push(event).expect("room in the ring");
        }
    }
}

impl EventSink for ToCore {
    #[inline]
    fn event(&mut self, mut event: Event) {
        let now = Nanos::new(self.clock.now());
        event.ringed = u32::try_from(now.since(event.received).raw()).unwrap_or(u32::MAX);
        // A full ring is back-pressure: the message is late, and counted as late.
        let mut full = self.ring.push(event);
        while let Err(Full(event)) = full {
            assert!(!self.ring.abandoned(), "the core is gone");
            std::thread::yield_now();
            full = self.ring.push(event);
        }
    }
}

impl FeedOutput for ToCore {
    fn send(&mut self, _connection: usize, _text: &str) {}
    fn want_snapshot(&mut self, _instrument: InstrumentId, _limit: u16) {}
    fn drop_connection(&mut self, connection: usize, reason: LinkReason) {
        panic!("the feed gave up connection {connection}: {reason:?}");
    }
    fn renew_connection(&mut self, connection: usize) {
        panic!("the venue announced the end of connection {connection}");
    }
}

/// As `threads::sender` sees it.
#[inline]
fn risk_of(dispatch: &Dispatch) -> Write {
    match dispatch.request {
        RequestKind::Cancel => Write::Cancel,
        _ if dispatch.flags.has(DispatchFlags::REDUCE_ONLY) => Write::Reduce,
        _ => Write::Add,
    }
}

/// A directory shared by those who measure one end alone.
pub fn session(clock: &Clock) -> OrderEntry {
    super::order_entry(&Arc::clone(&super::directory(1)), Proof::Session, Nanos::new(clock.now()))
}
