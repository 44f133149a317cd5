//! The sender by itself, with both its rings in the test's hands: for what no core would ever do to it.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use linchpin::core::dispatch::{Dispatch, DispatchFlags};
use linchpin::core::event::{Event, OrderKind, PositionSide, RequestKind, Side, TimeInForce, TriggerBy};
use linchpin::core::id::{ClientOrderId, InstrumentId, OrderIndex, OrderKey, VenueId, VenueOrderId};
use linchpin::core::num::{Price, Quantity};
use linchpin::core::time::Nanos;
use linchpin::kill_gate::{GateControl, GateState, KillGate};
use linchpin::ring::{Consumer, Producer, ring};
use linchpin::telemetry::counters::Registry;
use linchpin::telemetry::hops::HopHistograms;
use linchpin::telemetry::log::{LogBuilder, LogOptions, LogWriter};
use linchpin::threads::core_loop::Handed;
use linchpin::threads::paper::Paper;
use linchpin::threads::requester::{Tuning, Want};
use linchpin::threads::sender::fallback::Fallback;
use linchpin::threads::sender::{Door, Sender, SenderOptions, SenderWiring};
use linchpin::threads::world::Clock;
use linchpin::venue::binance::orders::{OrderEntry, OrderEntryConfig};

use crate::clock::VirtualClock;
use crate::venue::Venue;
use crate::wire::SimDial;
use crate::world::{Plan, World};

pub struct LoneSender {
    pub sender: Sender<VirtualClock, SimDial>,
    pub dispatches: Producer<Handed>,
    pub events: Consumer<Event>,
    pub wants: Consumer<Want>,
    pub tuner: Producer<Tuning>,
    pub gate: GateControl,
    pub clock: VirtualClock,
    pub venue: Rc<RefCell<Venue>>,
    log: LogWriter,
}

impl LoneSender {
    /// Its venue exists, and nobody has dialled it yet.
    pub fn new(core_sender: usize, sender_core: usize) -> Self {
        Self::with(core_sender, sender_core, None, None, None)
    }

    /// With a way over REST, whose other end is the test's.
    pub fn with_fallback(core_sender: usize, sender_core: usize, fallback: Fallback) -> Self {
        Self::with(core_sender, sender_core, None, Some(fallback), None)
    }

    /// As in DRY_RUN.
    pub fn on_paper(core_sender: usize, sender_core: usize, paper: Producer<Paper>) -> Self {
        Self::with(core_sender, sender_core, Some(paper), None, None)
    }

    /// What it says goes into a file, which is whole after `end_log`.
    pub fn logging(
        core_sender: usize,
        sender_core: usize,
        paper: Option<Producer<Paper>>,
        file: &Path,
    ) -> Self {
        Self::with(core_sender, sender_core, paper, None, Some(file))
    }

    pub fn end_log(self) {
        self.log.stop().expect("the log is written");
    }

    fn with(
        core_sender: usize,
        sender_core: usize,
        paper: Option<Producer<Paper>>,
        fallback: Option<Fallback>,
        log_file: Option<&Path>,
    ) -> Self {
        let plan = Plan::healthy(1);
        let (clock, venue, directory) = World::venue_of(&plan);
        let venue: Rc<RefCell<_>> = venue;
        let counters = Registry::new();
        let options = LogOptions { shown: None, file: log_file.map(Path::to_owned), ..LogOptions::default() };
        let mut log = LogBuilder::new(options, &counters);
        let (dispatches, from_core) = ring("core_sender", core_sender);
        let (to_core, events) = ring("sender_core", sender_core);
        let (wishes, wants) = ring("sender_requester", 4);
        let (tuner, tunings) = ring("requester_sender", 4);
        let (gate, check) = KillGate::new(GateState::Open);
        let sender = Sender::new(
            SenderOptions { venue: VenueId(0), upkeep: plan.upkeep() },
            OrderEntry::new(
                directory,
                crate::world::credentials(),
                OrderEntryConfig { log_on: paper.is_none(), ..OrderEntryConfig::default() },
            ),
            match paper {
                Some(paper) => Door::Paper(paper),
                None => Door::Venue(SimDial::new(venue.clone())),
            },
            SenderWiring {
                dispatches: from_core,
                events: to_core,
                tunings,
                fallback,
                wishes,
                gate: check,
                gate_control: gate.clone(),
                hops: HopHistograms::new(),
                counters: counters.block("sender"),
                log: log.lane("sender"),
            },
            clock.clone(),
        );
        let log = log.start().expect("the log's thread starts");
        Self { sender, dispatches, events, wants, tuner, gate, clock, venue, log }
    }

    /// Hands over a small buy order with this number; false where `core_sender` has no room.
    #[must_use]
    pub fn hand(&mut self, number: u64) -> bool {
        let now = self.clock.now();
        self.hand_over(order(number, now))
    }

    #[must_use]
    pub fn hand_over(&mut self, dispatch: Dispatch) -> bool {
        let at = self.clock.now();
        self.dispatches.push(Handed { dispatch, at }).is_ok()
    }
}

pub fn order(number: u64, now: Nanos) -> Dispatch {
    Dispatch {
        number,
        cause: number,
        decided: now,
        trigger: now,
        client_order_id: ClientOrderId::compose(*b"lone0", number),
        venue_order_id: VenueOrderId(0),
        price: Price::new(600_000),
        quantity: Quantity::new(5),
        stop_price: Price::ZERO,
        expires: Nanos::ZERO,
        order: OrderIndex(0),
        instrument: InstrumentId(0),
        key: OrderKey::default(),
        venue: VenueId(0),
        request: RequestKind::New,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::PostOnly,
        side: Side::Buy,
        position_side: PositionSide::Both,
        trigger_by: TriggerBy::LastPrice,
        callback: 0,
        flags: DispatchFlags::default(),
    }
}
