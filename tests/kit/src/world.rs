//! The world: it joins the production loops to the simulated venue and moves time. Each step gives every loop that is awake
//! one pass, in an order of the dice; then time moves a little where something happened, or to the next thing that will.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use base64::Engine;
use linchpin::config::{Config, Overrides, Rings};
use linchpin::control::names::Names;
use linchpin::core::event::{Body, Control, ControlVerb, Event, KillMode, Source};
use linchpin::core::id::{InstrumentId, VenueId};
use linchpin::core::instrument::{InstrumentDefinition, Product};
use linchpin::core::limits::{LimitKey, PositionMode};
use linchpin::core::record::{Ask, RECORDS_VERSION, RecordKind};
use linchpin::core::state::State;
use linchpin::core::time::Nanos;
use linchpin::core::turn::Core;
use linchpin::journal::{self, Segments, SessionHeader, SessionId, Writer};
use linchpin::kill_flag::KillFlag;
use linchpin::kill_gate::{GateControl, GateState, KillGate};
use linchpin::program::Registry as Strategies;
use linchpin::replay::{Opening, book_lines};
use linchpin::ring::{Consumer, Producer, ring};
use linchpin::sys::signal::StopFlag;
use linchpin::telemetry::counters::{Registry, Snapshot};
use linchpin::telemetry::hops::HopHistograms;
use linchpin::telemetry::log::{LogBuilder, LogOptions};
use linchpin::threads::Pass;
use linchpin::threads::connection::Upkeep;
use linchpin::threads::core_loop::{CoreEnd, CoreLoop, CoreWiring, Inlets, VenueInlets, VenueOutlets};
use linchpin::threads::operator::{Asked, Operator, OperatorOptions, OperatorWiring};
use linchpin::threads::receiver::{Receiver, ReceiverEnd, ReceiverOptions, ReceiverWiring};
use linchpin::threads::requester::{Read, Requester, RequesterOptions, RequesterWiring};
use linchpin::threads::sender::{Door, Sender, SenderEnd, SenderOptions, SenderWiring};
use linchpin::threads::talk::{Command, Look, Note, Said, Sight, Told};
use linchpin::threads::world::Clock;
use linchpin::venue::Directory;
use linchpin::venue::binance::feed::MarketFeed;
use linchpin::venue::binance::hydrate::{Hydrator, Requests};
use linchpin::venue::binance::orders::{OrderEntry, OrderEntryConfig};
use linchpin::venue::binance::private::PrivateStream;
use linchpin::venue::binance::sign::{Credentials, Signer};

use crate::clock::VirtualClock;
use crate::dice::Dice;
use crate::faults::Faults;
use crate::rest::SimRest;
use crate::venue::{Counts, Venue};
use crate::wire::SimDial;

/// The pauses between attempts to connect, in simulated time.
pub(crate) const RECONNECT: (Nanos, Nanos) = (Nanos::from_millis(100), Nanos::from_secs(10));

/// What a world is made from. Equal plans make equal worlds.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub faults: Faults,
    pub rings: Rings,
    /// Depth of the two rings between receiver and requester.
    pub small_rings: usize,
    pub actions_per_second: u32,
    pub segment_size: u64,
    /// How long `receiver_core` may be full.
    pub patience: Nanos,
    /// How old a connection may become.
    pub max_age: Nanos,
    pub clock_every: Nanos,
    /// The heartbeat and the audit, so often; `None`: never.
    pub heartbeat: Option<Nanos>,
    pub audit: Option<Nanos>,
}

impl Plan {
    pub(crate) fn upkeep(&self) -> Upkeep {
        Upkeep { reconnect: RECONNECT, max_age: self.max_age, seed: self.seed }
    }

    /// A healthy world with the rings of the built-in configuration.
    pub fn healthy(seed: u64) -> Self {
        let config = demo();
        Self {
            seed,
            faults: Faults::default(),
            rings: config.rings,
            small_rings: 64,
            actions_per_second: 60,
            // Small, so that a few seconds roll many times.
            segment_size: 64 * 1024,
            patience: Nanos::from_secs(1),
            max_age: Nanos::from_secs(23 * 3600),
            clock_every: Nanos::from_secs(60),
            heartbeat: None,
            audit: None,
        }
    }

    pub fn rough(seed: u64) -> Self {
        // Young enough that renewals and faults meet.
        Self { faults: Faults::rough(), max_age: Nanos::from_secs(20), ..Self::healthy(seed) }
    }
}

/// The loops, as rows of the world's own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Receiver,
    Core,
    Sender,
    Requester,
}

const PARTS: [Part; 4] = [Part::Receiver, Part::Core, Part::Sender, Part::Requester];
const BEGIN: Nanos = Nanos::from_secs(1_700_000_000);
const TAG: [u8; 5] = *b"s1m00";
/// Where nothing else is due: loops have deadlines that they do not tell.
const IDLE: Nanos = Nanos::from_millis(2);
const DICE_EVERY: Nanos = Nanos::from_millis(100);

pub struct World {
    pub seed: u64,
    pub clock: VirtualClock,
    pub venue: Rc<RefCell<Venue>>,
    pub directory: Arc<Directory>,
    pub gate: GateControl,
    pub counters: Registry,
    pub folder: PathBuf,
    operator: Producer<Said>,
    /// Held, so that the core has somebody to answer.
    answers: Consumer<Told>,
    receiver: Receiver<VirtualClock, SimDial>,
    core: CoreLoop<VirtualClock>,
    sender: Sender<VirtualClock, SimDial>,
    requester: Requester<VirtualClock, SimRest>,
    dice: Dice,
    asleep_until: [Nanos; 4],
    stalled: [bool; 4],
    next_dice: Nanos,
    pub steps: u64,
}

/// What is held of the one instrument, and what its trades have cost in fees so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub lots: i64,
    /// At 8 decimals of the quote asset.
    pub fees: i128,
}

/// What a world left behind.
pub struct Remains {
    pub core: CoreEnd,
    pub receiver: ReceiverEnd,
    pub sender: SenderEnd,
    pub venue: Counts,
    pub outrages: Vec<String>,
}

impl World {
    /// Everything as `linchpin run` joins it, up to the first event.
    pub fn new(plan: &Plan, folder: &Path) -> Self {
        let dice = Dice::new(plan.seed);
        let (clock, venue, directory) = Self::venue_of(plan);
        let rest = SimRest::new(venue.clone(), clock.clone());
        let hydrator = Hydrator::default();
        let mut config = demo();
        // The rings' depths stay the world's own: some are below what a configuration allows.
        config.segment_size = plan.segment_size;
        let definitions: Vec<InstrumentDefinition> =
            directory.listings().iter().map(|listing| listing.definition).collect();

        let counters = Registry::new();
        let mut log = LogBuilder::new(LogOptions { shown: None, ..LogOptions::default() }, &counters);
        let rings = plan.rings;
        let (to_core_market, from_receiver) = ring("receiver_core", rings.receiver_core);
        let (to_sender, from_core) = ring("core_sender", rings.core_sender);
        let (to_core_orders, from_sender) = ring("sender_core", rings.sender_core);
        let (to_requester, asks) = ring::<Ask>("core_requester", rings.core_requester);
        let (to_core_read, from_requester) = ring("requester_core", rings.requester_core);
        let (wishes, wants) = ring("receiver_requester", plan.small_rings);
        let (replies, answers) = ring("requester_receiver", plan.small_rings);
        let (sender_wishes, sender_wants) = ring("sender_requester", plan.small_rings);
        let (tuner, tunings) = ring("requester_sender", plan.small_rings);
        let (operator, from_operator) = ring("operator_core", rings.operator_core);
        let (to_operator, told) = ring("core_operator", 256);
        let (gate, check) = KillGate::new(GateState::Open);

        let journal = open_journal(&config, plan.seed, folder, &directory);
        let core = core_of(&config, &definitions, TAG).expect("the demo's configuration makes a core");
        let wiring = CoreWiring {
            inlets: Inlets {
                operator: from_operator,
                venues: vec![VenueInlets {
                    sender: from_sender,
                    requester: from_requester,
                    receiver: from_receiver,
                }],
            },
            operator: to_operator,
            outlets: vec![VenueOutlets { sender: to_sender, requester: to_requester }],
            gate: gate.clone(),
            hops: HopHistograms::new(),
            counters: counters.block("core_loop"),
            journal_counters: counters.block("core_loop"),
            log: log.lane("core_loop"),
        };
        let mut core = CoreLoop::new(core, journal, wiring, clock.clone());
        let mut first = Vec::new();
        hydrator.definitions(&directory, clock.now(), &mut first);
        first.iter().for_each(|event| core.take(event));

        let receiver = Receiver::new(
            ReceiverOptions {
                venue: VenueId(0),
                split_paths: true,
                patience: plan.patience,
                upkeep: plan.upkeep(),
            },
            MarketFeed::new(directory.clone(), config.venues[0].feed()).expect("the demo's feed"),
            PrivateStream::new(directory.clone(), 0),
            SimDial::new(venue.clone()),
            Some(SimDial::new(venue.clone())),
            ReceiverWiring {
                events: to_core_market,
                wants: wishes,
                answers,
                counters: counters.block("receiver"),
                log: log.lane("receiver"),
            },
            clock.clone(),
        );
        let sender = Sender::new(
            SenderOptions { venue: VenueId(0), upkeep: plan.upkeep() },
            OrderEntry::new(directory.clone(), credentials(), OrderEntryConfig::default()),
            Door::Venue(SimDial::new(venue.clone())),
            SenderWiring {
                dispatches: from_core,
                events: to_core_orders,
                tunings,
                fallback: None,
                wishes: sender_wishes,
                gate: check,
                gate_control: gate.clone(),
                hops: HopHistograms::new(),
                counters: counters.block("sender"),
                log: log.lane("sender"),
            },
            clock.clone(),
        );
        let requester = Requester::new(
            RequesterOptions {
                clock_every: plan.clock_every,
                heartbeat: plan.heartbeat,
                audit: plan.audit,
                has_account: true,
                weight_limit: None,
                position_mode: PositionMode::OneWay,
            },
            directory.clone(),
            rest,
            RequesterWiring {
                asks,
                wants,
                events: to_core_read,
                answers: replies,
                sender_wants,
                tunings: tuner,
                counters: counters.block("requester"),
                log: log.lane("requester"),
            },
            clock.clone(),
        );
        venue.borrow_mut().faults = plan.faults;
        Self {
            seed: plan.seed,
            next_dice: clock.now() + DICE_EVERY,
            clock,
            venue,
            directory,
            gate,
            counters,
            folder: folder.to_owned(),
            operator,
            answers: told,
            receiver,
            core,
            sender,
            requester,
            dice: dice.fork("world"),
            asleep_until: [Nanos::ZERO; 4],
            stalled: [false; 4],
            steps: 0,
        }
    }

    /// A healthy venue, the clock that it shares, and what it lists of the demo's instruments.
    pub(crate) fn venue_of(plan: &Plan) -> (VirtualClock, Rc<RefCell<Venue>>, Arc<Directory>) {
        let clock = VirtualClock::at(BEGIN);
        let dice = Dice::new(plan.seed).fork("venue");
        let venue = Venue::new(dice, Faults::default(), plan.actions_per_second, BEGIN.raw());
        let venue = Rc::new(RefCell::new(venue));
        let body = SimRest::new(venue.clone(), clock.clone())
            .read(&Requests::of(Product::LinearPerpetual).exchange_info())
            .expect("a healthy venue tells its filters");
        let config = demo();
        let symbols = config.instruments.iter().enumerate();
        let symbols: Vec<(InstrumentId, &str)> =
            symbols.map(|(at, instrument)| (InstrumentId(at as u16), instrument.symbol.as_str())).collect();
        let directory = Hydrator::default()
            .directory(VenueId(0), Product::LinearPerpetual, &symbols, &body)
            .expect("the venue lists what the demo trades");
        (clock, venue, Arc::new(directory))
    }

    /// One pass of each loop that is awake, in an order of the dice; then time moves.
    pub fn step(&mut self) {
        self.steps += 1;
        self.throw_faults();
        let now = self.clock.now();
        self.venue.borrow_mut().advance(now.raw());
        let mut order = PARTS;
        self.dice.shuffle(&mut order);
        let mut moved = false;
        for part in order {
            if !self.stalled[part as usize] && self.asleep_until[part as usize] <= now {
                moved |= self.pass(part) == Pass::Busy;
            }
        }
        if moved {
            self.clock.advance(Nanos::new(self.dice.between(100, 3_000)));
        } else {
            self.clock.advance_to(self.next_due());
        }
    }

    pub fn pass(&mut self, part: Part) -> Pass {
        match part {
            Part::Receiver => self.receiver.pass(),
            Part::Core => self.core.pass(),
            Part::Sender => self.sender.pass(),
            Part::Requester => self.requester.pass(),
        }
    }

    pub fn run_for(&mut self, span: Nanos) {
        let end = self.clock.now() + span;
        while self.clock.now() < end && !self.core.is_over() {
            self.step();
        }
    }

    /// Steps until `done`; false when it did not come true within `limit`.
    pub fn run_until(&mut self, limit: Nanos, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.clock.now() + limit;
        while !done(self) {
            if self.clock.now() >= end || self.core.is_over() {
                return false;
            }
            self.step();
        }
        true
    }

    /// The loop's thread gets no CPU until `wake`.
    pub fn stall(&mut self, part: Part) {
        self.stalled[part as usize] = true;
    }

    pub fn wake(&mut self, part: Part) {
        self.stalled[part as usize] = false;
    }

    /// No more faults, and every thread runs.
    pub fn heal(&mut self) {
        self.venue.borrow_mut().faults = Faults::default();
        self.asleep_until = [Nanos::ZERO; 4];
        self.stalled = [false; 4];
    }

    /// Stops intents and waits until nothing of ours is open here or there; then lets what is under way arrive.
    /// False when something stayed open.
    pub fn drain(&mut self) -> bool {
        self.heal();
        assert!(self.command(ControlVerb::Drain, 0), "operator_core has room for a drain");
        let drained = self.run_until(Nanos::from_secs(60), |world| {
            world.core.core().is_idle() && world.venue.borrow_mut().open_orders().is_empty()
        });
        self.run_for(Nanos::from_secs(4));
        drained && self.core.core().is_idle()
    }

    /// What the core has answered since the last call.
    pub fn answers(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.answers.pop()).collect()
    }

    /// An event that the runtime makes itself: the engine trips its own switch.
    pub fn trip(&mut self, mode: KillMode) {
        let body = Body::Control(Control::trip(mode));
        self.core.take(&Event::new(self.clock.now(), Source::Operator, body));
    }

    /// The operator's own thread, joined to this world: its flag lies in `home`. The world's own commands go nowhere then.
    pub fn with_operator(
        &mut self,
        home: &Path,
        stall_after: Option<Nanos>,
    ) -> (Operator<VirtualClock>, SyncSender<Asked>) {
        let said = std::mem::replace(&mut self.operator, ring("operator_core", 1).0);
        let told = std::mem::replace(&mut self.answers, ring("core_operator", 1).1);
        let mut log = LogBuilder::new(LogOptions { shown: None, ..LogOptions::default() }, &self.counters);
        let (door, asked) = sync_channel(1);
        let wiring = OperatorWiring {
            said,
            told,
            gate: self.gate.clone(),
            asked,
            flag: KillFlag::of(home),
            wants_stop: StopFlag::new(),
            log: log.lane("operator"),
        };
        let options = OperatorOptions { stall_after, session: "simulated".into(), about: Default::default() };
        (Operator::new(options, Names::default(), wiring, self.clock.clone()), door)
    }

    /// The operator's thread dies: its end of the ring is gone.
    pub fn lose_operator(&mut self) {
        self.operator = ring("operator_core", 1).0;
    }

    /// Asks the core to be shown something; false where `operator_core` had no room for it.
    #[must_use]
    pub fn look(&mut self, number: u32, sight: Sight) -> bool {
        self.operator.push(Said::Look(Look { number, sight })).is_ok()
    }

    /// Gives the core a command; false where `operator_core` had no room for it.
    #[must_use]
    pub fn command(&mut self, verb: ControlVerb, target: u32) -> bool {
        // A person who resets has seen the gate as it is.
        let old = self.gate.epoch().0.cast_signed();
        let control = Control { verb, target, old, new: 0, who: 0 };
        self.operator.push(Said::Command(Command { number: 0, control, note: Note::NONE })).is_ok()
    }

    /// A limit as `ctl set` sets it.
    pub fn set_limit(&mut self, limit: LimitKey, value: i64) {
        let control =
            Control { verb: ControlVerb::SetLimit, target: limit.target(0), old: 0, new: value, who: 1 };
        self.core.take(&Event::new(self.clock.now(), Source::Operator, Body::Control(control)));
    }

    pub fn kill(&mut self, mode: KillMode) {
        assert!(self.command(ControlVerb::Kill, u32::from(mode.code())), "operator_core has room for a kill");
    }

    /// The last event, the seal, and what is left.
    pub fn finish(mut self) -> Remains {
        if !self.core.is_over() {
            self.heal();
            assert!(self.command(ControlVerb::Stop, 0), "operator_core has room for a stop");
            assert!(self.run_until_over(), "the core ends within a second of its last event");
        }
        self.end()
    }

    /// The threads end as they stand; the journal is sealed if it can be.
    pub fn end(self) -> Remains {
        let (receiver, sender, core) = (self.receiver.finish(), self.sender.finish(), self.core.finish());
        let venue = self.venue.borrow();
        Remains { core, receiver, sender, venue: venue.counts, outrages: venue.outrages.clone() }
    }

    fn run_until_over(&mut self) -> bool {
        let end = self.clock.now() + Nanos::from_secs(1);
        while !self.core.is_over() && self.clock.now() < end {
            self.step();
        }
        self.core.is_over()
    }

    pub fn clock_millis(&self) -> u64 {
        self.clock.now().as_millis()
    }

    pub fn state(&self) -> &State {
        self.core.state()
    }

    pub fn core(&self) -> &Core {
        self.core.core()
    }

    pub fn is_over(&self) -> bool {
        self.core.is_over()
    }

    pub fn counted(&self) -> Snapshot {
        self.counters.snapshot()
    }

    /// Trading goes: links up, books whole, account trusted, no gate closed.
    pub fn is_trading(&self) -> bool {
        let state = self.state();
        state.control.closed_gate(VenueId(0)).is_none()
            && state.market.instrument(InstrumentId(0)).is_some_and(|market| market.is_trusted())
            && state.execution.counters.accepted > 0
    }

    /// The engine's book as the replay prints it, and the venue's in the same form, both of one update id.
    pub fn books(&mut self) -> Option<(Vec<String>, Vec<String>)> {
        let instrument = InstrumentId(0);
        let met = self.run_until(Nanos::from_secs(30), |world| {
            let theirs = world.venue.borrow_mut().book("BTCUSDT").last_update_id;
            let market = world.state().market.instrument(instrument);
            market.is_some_and(|market| market.is_trusted() && market.last_update == theirs)
        });
        if !met {
            return None;
        }
        let ours = book_lines(self.core(), instrument);
        let book = self.venue.borrow_mut().book("BTCUSDT");
        let bids = book.bids.iter().map(|level| ('B', level));
        let lines = bids.chain(book.asks.iter().map(|level| ('A', level)));
        let theirs =
            lines.map(|(side, (price, quantity))| format!("{side} {} {}", price.fixed(2), quantity.fixed(3)));
        Some((ours, theirs.collect()))
    }

    /// What we believe of the account and what the venue's own books say.
    pub fn accounts(&self) -> (Account, Account) {
        let total = self.state().execution.total(InstrumentId(0)).copied().unwrap_or_default();
        let ours = Account { lots: total.quantity.raw(), fees: total.fees.raw() };
        let mut venue = self.venue.borrow_mut();
        let lot = self.directory.listings()[0].definition.lot;
        let lots = lot.steps(venue.position("BTCUSDT").to_string().as_bytes());
        let fees = i128::from(venue.fees("BTCUSDT").0);
        (ours, Account { lots: lots.expect("a position of whole lots"), fees })
    }

    /// The next moment at which something can happen. What is due and was not taken waits for a loop that sleeps or stands:
    /// it does not hold up time.
    fn next_due(&self) -> Nanos {
        let now = self.clock.now();
        let venue = self.venue.borrow().next_due(now.raw()).map_or(Nanos::MAX, Nanos::new);
        let wakes = self.asleep_until.into_iter().chain([venue, self.core.deadline()]);
        wakes.filter(|due| *due > now).fold(now + IDLE, Nanos::earlier)
    }

    fn throw_faults(&mut self) {
        let now = self.clock.now();
        if now < self.next_dice {
            return;
        }
        self.next_dice = now + DICE_EVERY;
        let faults = self.venue.borrow().faults;
        let dice = &mut self.dice;
        let millis = |dice: &mut Dice, most: u64| Nanos::new(dice.below(most * 1_000_000));
        if dice.happens(faults.cut) {
            self.venue.borrow_mut().cut_one();
        }
        if dice.happens(faults.key_expired) {
            self.venue.borrow_mut().expire_key();
        }
        if dice.happens(faults.slow_core) {
            self.asleep_until[Part::Core as usize] = now + millis(dice, 1_500);
        }
        if dice.happens(faults.slow_other) {
            let part = [Part::Receiver, Part::Sender, Part::Requester][dice.below(3) as usize];
            self.asleep_until[part as usize] = now + millis(dice, 300);
        }
        if dice.happens(faults.clock_jump) {
            let span = millis(dice, 3_000);
            self.clock.advance(span);
        }
    }
}

/// The core of a configuration, with the built-in strategies.
pub fn core_of(config: &Config, definitions: &[InstrumentDefinition], tag: [u8; 5]) -> Result<Core, String> {
    let configuration = config.core(definitions, tag).map_err(|errors| errors.to_string())?;
    let strategies = Strategies::built_in().make(config, definitions).map_err(|errors| errors.to_string())?;
    Ok(Core::new(configuration, strategies))
}

/// Every segment of a session's journal, by name: what must be equal, byte for byte.
pub fn journal_bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut segments: Vec<(String, Vec<u8>)> = std::fs::read_dir(journal::journal_folder(folder))
        .expect("the session has a journal")
        .map(|entry| entry.expect("a folder that can be read").path())
        .map(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (name, std::fs::read(&path).expect("a segment that can be read"))
        })
        .collect();
    segments.sort();
    segments
}

fn demo() -> Config {
    Config::load(None, &Overrides::default()).expect("the built-in configuration is whole")
}

fn open_journal(config: &Config, seed: u64, folder: &Path, directory: &Directory) -> Writer {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&seed.to_le_bytes());
    let header = SessionHeader {
        session: SessionId(id),
        created_at: BEGIN.raw(),
        strategy: "maker".into(),
        configuration_hash: config.hash(),
        build: "simulation".into(),
        facts: vec![("seed".into(), seed.to_string())],
    };
    let options = journal::Options { segments: Segments::Inline, ..config.journal_options() };
    let mut journal = Writer::create(folder, header, options).expect("an empty folder takes a journal");
    let opening = Opening {
        records: RECORDS_VERSION,
        configuration: config.resolved_text(),
        run_tag: String::from_utf8_lossy(&TAG).into_owned(),
        symbols: directory.listings().iter().map(|listing| listing.symbol().to_owned()).collect(),
        assets: directory.assets().map(|(_, name)| name.to_owned()).collect(),
        killed: false,
        kill_reset: None,
        earlier: None,
    };
    let opening = serde_json::to_vec(&opening).expect("an opening is plain data");
    journal.append(RecordKind::Opening.code(), 0, BEGIN.raw(), &opening).expect("the first record fits");
    journal
}

/// An Ed25519 key from thirty-two equal bytes: known to everybody, good for nothing else.
pub(crate) fn credentials() -> Arc<Credentials> {
    // PKCS #8 around a seed (RFC 8410).
    let mut der =
        vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    der.extend([7; 32]);
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
    let signer = Signer::from_key_text(&format!("{begin}\n{body}\n{end}\n")).expect("a PKCS #8 key");
    let key = "s".repeat(64);
    Arc::new(Credentials::new(&key, signer).expect("an API key of sixty-four letters"))
}
