//! THE table: which thread sits on which CPU, which ring joins whom, how deep it is, and what happens when it is full.
//!
//! ```text
//!            market, private                 dispatches                order entry
//!   venue ------------------> receiver --.                .--> sender ------------> venue
//!            REST                        |--> core_loop --|
//!   venue <-----------------> requester -'                '--> requester
//!                             operator --'
//! ```
//! `RINGS` is the list; `docs/ARCHITECTURE.md` is printed from it.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use crate::config::{Cpu, Layout, Rings, Threads, Wait};
use crate::control::names::Names;
use crate::core::event::Event;
use crate::core::limits::PositionMode;
use crate::core::time::Nanos;
use crate::core::turn::Core;
use crate::journal::Writer;
use crate::journal::snapshot::Shelf;
use crate::kill_flag::KillFlag;
use crate::kill_gate::{GateCheck, GateControl, GateState, KillGate};
use crate::net::Endpoint;
use crate::net::http::HttpClient;
use crate::net::tls::TlsClient;
use crate::net::websocket::WebSocketOptions;
use crate::ring::{Consumer, Producer, ring};
use crate::sys::clock::Clock;
use crate::sys::cpu;
use crate::sys::signal::StopFlag;
use crate::telemetry::counters::{CoreCounters, HostCounters, JournalCounters, Owned, Registry};
use crate::telemetry::hops::{Hop, HopHistograms};
use crate::telemetry::live::LiveReader;
use crate::telemetry::log::{LogBuilder, Logger};
use crate::threads::Pass;
use crate::threads::connection::Upkeep;
use crate::threads::core_loop::{CoreEnd, CoreLoop, CoreWiring, Inlets, VenueInlets, VenueOutlets};
use crate::threads::operator::{Asked, Operator, OperatorOptions, OperatorWiring};
use crate::threads::paper::PaperLoop;
use crate::threads::receiver::{Receiver, ReceiverEnd, ReceiverOptions, ReceiverWiring};
use crate::threads::requester::{Requester, RequesterOptions, RequesterWiring, Rest};
use crate::threads::resolver::Resolver;
use crate::threads::sender::courier::Courier;
use crate::threads::sender::fallback::Fallback;
use crate::threads::sender::{Door, Sender, SenderEnd, SenderOptions, SenderWiring};
use crate::threads::wait::{Waiter, Waiting};
use crate::threads::world::NetDial;
use crate::venue::Directory;
use crate::venue::binance::feed::MarketFeed;
use crate::venue::binance::orders::OrderEntry;
use crate::venue::binance::private::PrivateStream;

/// One row of the table.
pub struct RingRow {
    /// `<producer>_<consumer>`.
    pub name: &'static str,
    pub carries: &'static str,
    pub depth: fn(&Rings) -> usize,
    pub when_full: &'static str,
}

/// Every ring of one venue's threads; `operator_core` and `core_operator` are one for all venues. With several venues their names end in the
/// venue's: `receiver_core.spot`.
pub const RINGS: &[RingRow] = &[
    RingRow {
        name: "receiver_core",
        carries: "market and private events",
        depth: |rings| rings.receiver_core,
        when_full: "the receiver stops reading, market data first, so the venue is back-pressured; after a second all books are given up and resynchronised; private messages wait as long as they must",
    },
    RingRow {
        name: "core_sender",
        carries: "dispatches",
        depth: |rings| rings.core_sender,
        when_full: "the gate shuts, the core is told that the dispatch was not sent, and is killed",
    },
    RingRow {
        name: "sender_core",
        carries: "answers to requests, what was not sent, order-entry link changes",
        depth: |rings| rings.sender_core,
        when_full: "only cancels go out from then on, and the core is killed; what did not fit waits in the sender, in order",
    },
    RingRow {
        name: "core_requester",
        carries: "questions about accounts and orders",
        depth: |rings| rings.core_requester,
        when_full: "the core is told that the question failed, and asks again",
    },
    RingRow {
        name: "requester_core",
        carries: "hydrations",
        depth: |rings| rings.requester_core,
        when_full: "what did not fit waits in the requester, in order; nothing new is asked",
    },
    RingRow {
        name: "receiver_requester",
        carries: "wishes for snapshots, listen keys, and to have the venue's clock measured",
        depth: |_| SMALL,
        when_full: "the wish is made again after its timeout",
    },
    RingRow {
        name: "sender_requester",
        carries: "wishes to have the venue's clock measured",
        depth: |_| SMALL,
        when_full: "the wish is made again in the next pass",
    },
    RingRow {
        name: "requester_sender",
        carries: "how far off our clock is",
        depth: |_| SMALL,
        when_full: "it is measured again after its interval",
    },
    RingRow {
        name: "sender_courier",
        carries: "requests that go over REST while the session is down",
        depth: |_| SMALL,
        when_full: "the request is not sent, and the core is told",
    },
    RingRow {
        name: "courier_sender",
        carries: "what became of them",
        depth: |_| SMALL,
        when_full: "never: the sender lends no more than it has room for",
    },
    RingRow {
        name: "sender_paper",
        carries: "requests of a DRY_RUN",
        depth: |rings| rings.core_sender,
        when_full: "the request's line is lost, and the log says so",
    },
    RingRow {
        name: "requester_receiver",
        carries: "snapshots, listen keys, and how far off our clock is",
        depth: |_| SMALL,
        when_full: "what did not fit waits in the requester, in order",
    },
    RingRow {
        name: "operator_core",
        carries: "commands",
        depth: |rings| rings.operator_core,
        when_full: "the command is refused, and the operator is told",
    },
    RingRow {
        name: "core_operator",
        carries: "what became of commands, and what was asked to be shown",
        depth: |_| CORE_OPERATOR,
        when_full: "rows wait until there is room; answers to commands have places of their own; nothing holds up the core",
    },
];

/// A screenful of rows at once, and the answers that are kept room for.
const CORE_OPERATOR: usize = 256;

/// Rings on which a handful is much.
const SMALL: usize = 64;

/// How long `receiver_core` may be full before the books are given up.
const PATIENCE: Nanos = Nanos::from_secs(1);

/// The threads of a run, resolved against the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seats {
    pub merged: bool,
    pub waiting: Waiting,
    pub core: Cpu,
    pub receiver: Cpu,
    pub sender: Cpu,
}

impl Seats {
    /// `auto`: merged where receiver, core and sender cannot have a CPU each with one left over; spinning only where they can.
    pub fn of(threads: &Threads, cpus: usize, shares_host_with_venue: bool) -> Self {
        let merged = match threads.layout {
            Layout::Merged => true,
            Layout::Split => false,
            Layout::Auto => cpus < 4,
        };
        let needed = if merged { 2 } else { 3 } + usize::from(shares_host_with_venue);
        let waiting = match threads.wait {
            Wait::Spin => Waiting::Spin,
            Wait::Yield => Waiting::Yield,
            Wait::Park => Waiting::Park,
            Wait::Auto if cpus > needed => Waiting::Spin,
            Wait::Auto => Waiting::Yield,
        };
        Self { merged, waiting, core: threads.core, receiver: threads.receiver, sender: threads.sender }
    }
}

impl std::fmt::Display for Seats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seats = if self.merged {
            format!("core_loop on CPU {}, receiver and sender together on CPU {}", self.core, self.receiver)
        } else {
            format!(
                "core_loop on CPU {}, receiver on {}, sender on {}",
                self.core, self.receiver, self.sender
            )
        };
        write!(f, "{seats}; they wait by {:?}", self.waiting)
    }
}

/// What one venue's threads are made of.
pub struct VenueParts {
    pub name: String,
    pub directory: Arc<Directory>,
    pub feed: MarketFeed,
    pub private: PrivateStream,
    pub entry: OrderEntry,
    pub rest: Rest<Clock>,
    pub market_dial: NetDial,
    /// `None`: there is no account.
    pub private_dial: Option<NetDial>,
    pub orders: Orders,
    pub split_paths: bool,
    pub upkeep: Upkeep,
    pub clock_every: Nanos,
    /// Positions and open orders are read back so often though nothing is in doubt; `None`: never.
    pub heartbeat: Option<Nanos>,
    pub audit: Option<Nanos>,
    /// Request weight a minute, as the venue publishes it.
    pub weight_limit: Option<u32>,
    pub position_mode: PositionMode,
}

/// Where a venue's requests go.
#[allow(clippy::large_enum_variant, reason = "one for each venue, made once at start")]
pub enum Orders {
    Venue {
        dial: NetDial,
        /// The way over REST while the session is down.
        rest: Option<Box<OverRest>>,
    },
    /// DRY_RUN: into a file of this folder.
    Paper(PathBuf),
}

impl Orders {
    fn has_courier(&self) -> bool {
        matches!(self, Self::Venue { rest: Some(_), .. })
    }
}

/// What a courier is made of.
pub struct OverRest {
    pub client: HttpClient,
    pub base: Endpoint,
    pub api_key: String,
    /// How long the session must have been down.
    pub after: Nanos,
}

/// What the operator's thread is made of.
pub struct OperatorParts {
    pub options: OperatorOptions,
    pub names: Names,
    pub flag: KillFlag,
    pub asked: mpsc::Receiver<Asked>,
    /// Raised when a person wants the run to end.
    pub wants_stop: StopFlag,
}

/// The shared ends of a run's machinery.
pub struct Shared<'a> {
    pub clock: Clock,
    pub registry: &'a Registry,
    pub log: &'a mut LogBuilder,
    pub initial_gate: GateState,
    pub snapshots: Shelf,
    /// The pause between two snapshots; `None`: only the last.
    pub snapshot_every: Option<Nanos>,
}

/// A run: its threads, and the ends that the main thread holds.
pub struct Running {
    pub gate: GateControl,
    /// By venue.
    pub tick_to_trade: Vec<LiveReader>,
    core: JoinHandle<CoreEnd>,
    io: Vec<JoinHandle<IoEnd>>,
    /// Requesters, the operator, and what else is cold.
    cold: Vec<JoinHandle<()>>,
    stop: StopFlag,
}

/// What the threads left behind.
pub struct Ended {
    pub core: CoreEnd,
    /// By venue; without those of a thread that died.
    pub receivers: Vec<ReceiverEnd>,
    pub senders: Vec<SenderEnd>,
    /// A thread that panicked; the gate was shut by it.
    pub died: Option<String>,
}

#[derive(Default)]
struct IoEnd {
    receivers: Vec<ReceiverEnd>,
    senders: Vec<SenderEnd>,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A ring that one message may overfill would never be read into.
    #[error("rings.{ring} = {depth} is too few: at least {least} are needed for these instruments")]
    RingTooSmall { ring: &'static str, depth: usize, least: usize },
    #[error("cannot start the thread {name}: {source}")]
    Thread { name: String, source: std::io::Error },
    #[error("fewer checks of the kill gate than senders: a bug")]
    TooFewChecks,
    #[error("cannot make the file of the dry run's requests: {0}")]
    Paper(std::io::Error),
    #[error("the {0} thread panicked; the gate is shut")]
    Panicked(&'static str),
}

/// Joins everything as the table says and starts the threads. `first` are the events that stand before all others.
#[allow(clippy::too_many_arguments, reason = "a run is made of this many things")]
pub fn start(
    seats: Seats,
    depths: &Rings,
    core: Core,
    journal: Writer,
    first: &[Event],
    venues: Vec<VenueParts>,
    people: OperatorParts,
    shared: Shared<'_>,
) -> Result<Running, RunError> {
    for parts in &venues {
        let least = Receiver::<Clock, NetDial>::least_depth(&parts.feed, &parts.private);
        if depths.receiver_core < least {
            return Err(RunError::RingTooSmall { ring: "receiver_core", depth: depths.receiver_core, least });
        }
    }
    let Shared { clock, registry, log, initial_gate, snapshots, snapshot_every } = shared;
    let couriers = venues.iter().filter(|parts| parts.orders.has_courier()).count();
    let (gate, checks) = KillGate::for_senders(initial_gate, venues.len() + couriers);
    let mut checks = checks.into_iter();
    let stop = StopFlag::new();
    let mut house = House {
        depths,
        several: venues.len() > 1,
        waiting: seats.waiting,
        registry,
        log,
        clock: clock.clone(),
        gate: gate.clone(),
        stop: stop.clone(),
    };
    let (said, from_operator) = house.ring("operator_core", "");
    let (to_operator, told) = house.ring("core_operator", "");
    let (mut inlets, mut outlets) = (Vec::new(), Vec::new());
    let (mut receivers, mut senders, mut requesters) = (Vec::new(), Vec::new(), Vec::new());
    let (mut papers, mut carriers) = (Vec::new(), Vec::new());
    let mut tick_to_trade = Vec::new();
    for parts in venues {
        let built = house.build(parts, &mut checks)?;
        inlets.push(built.inlets);
        outlets.push(built.outlets);
        receivers.push((built.name.clone(), built.receiver));
        senders.push((built.name.clone(), built.sender));
        requesters.push((built.name.clone(), built.requester));
        papers.extend(built.paper.map(|paper| (built.name.clone(), paper)));
        carriers.extend(built.courier.map(|courier| (built.name, courier)));
        tick_to_trade.push(built.tick_to_trade);
    }
    let core_wiring = CoreWiring {
        inlets: Inlets { operator: from_operator, venues: inlets },
        operator: to_operator,
        outlets,
        gate: gate.clone(),
        hops: HopHistograms::new(),
        counters: registry.block::<CoreCounters>("core_loop"),
        journal_counters: registry.block::<JournalCounters>("core_loop"),
        log: house.lane("core_loop", ""),
    };
    let mut core_loop = CoreLoop::new(core, journal, core_wiring, clock)
        .saving(snapshots, snapshot_every.unwrap_or(Nanos::MAX));
    first.iter().for_each(|event| core_loop.take(event));

    // The core ends by its own word, when it has been told to stop.
    let core = house.spawn("core_loop", seats.core, core_loop, CoreLoop::pass, || false, CoreLoop::finish)?;
    let io = house.start_io(&seats, receivers, senders)?;
    let mut cold = Vec::new();
    for (venue, requester) in requesters {
        let name = house.named("requester", &venue);
        cold.push(house.spawn_cold(name, requester, Requester::pass, drop)?);
    }
    for (venue, courier) in carriers {
        let name = house.named("courier", &venue);
        cold.push(house.spawn_cold(name, courier, Courier::pass, drop)?);
    }
    for (venue, paper) in papers {
        let name = house.named("paper", &venue);
        let finish = |paper: PaperLoop| {
            if let Some(error) = paper.finish() {
                eprintln!("linchpin: the dry run's requests could not all be written: {error}");
            }
        };
        cold.push(house.spawn_cold(name, paper, PaperLoop::pass, finish)?);
    }
    let wiring = OperatorWiring {
        said,
        told,
        gate: gate.clone(),
        asked: people.asked,
        flag: people.flag,
        wants_stop: people.wants_stop,
        log: house.lane("operator", ""),
    };
    let operator = Operator::new(people.options, people.names, wiring, house.clock.clone());
    // It waits for people by itself, and never longer than for the core's next word.
    let seat = Seat { name: "operator", cpu: Cpu::Any, waiting: Waiting::Spin };
    let host = registry.block("operator");
    let stopped = house.stopped();
    cold.push(spawn(seat, host, gate.clone(), operator, Operator::pass, stopped, Operator::finish)?);
    Ok(Running { gate, tick_to_trade, core, io, cold, stop })
}

/// What is built for every venue in the same way.
struct House<'a> {
    depths: &'a Rings,
    several: bool,
    waiting: Waiting,
    registry: &'a Registry,
    log: &'a mut LogBuilder,
    clock: Clock,
    gate: GateControl,
    stop: StopFlag,
}

/// One venue's loops and the core's ends of its rings.
struct Built {
    name: String,
    inlets: VenueInlets,
    outlets: VenueOutlets,
    receiver: Receiver<Clock, NetDial>,
    sender: Sender<Clock, NetDial>,
    requester: Requester<Clock, Rest<Clock>>,
    paper: Option<PaperLoop>,
    courier: Option<Courier<Clock>>,
    tick_to_trade: LiveReader,
}

impl House<'_> {
    /// `checks`: one for each that can send.
    fn build(
        &mut self,
        parts: VenueParts,
        checks: &mut impl Iterator<Item = GateCheck>,
    ) -> Result<Built, RunError> {
        let name = parts.name;
        let at = name.as_str();
        let (to_core_market, from_receiver) = self.ring("receiver_core", at);
        let (to_sender, from_core) = self.ring("core_sender", at);
        let (to_core_orders, from_sender) = self.ring("sender_core", at);
        let (to_requester, asks) = self.ring("core_requester", at);
        let (to_core_read, from_requester) = self.ring("requester_core", at);
        let (wishes, wants) = self.ring("receiver_requester", at);
        let (replies, replied) = self.ring("requester_receiver", at);
        let (sender_wishes, sender_wants) = self.ring("sender_requester", at);
        let (tuner, tunings) = self.ring("requester_sender", at);
        let (hops, tick_to_trade) = HopHistograms::with_live(Hop::TickToTrade);
        let venue = parts.directory.venue();
        let has_account = parts.private_dial.is_some();
        let receiver = Receiver::new(
            ReceiverOptions {
                venue,
                split_paths: parts.split_paths,
                patience: PATIENCE,
                upkeep: parts.upkeep,
            },
            parts.feed,
            parts.private,
            parts.market_dial,
            parts.private_dial,
            ReceiverWiring {
                events: to_core_market,
                wants: wishes,
                answers: replied,
                counters: self.registry.block(self.named("receiver", at)),
                log: self.lane("receiver", at),
            },
            self.clock.clone(),
        );
        let mut check = || checks.next().ok_or(RunError::TooFewChecks);
        let (mut paper, mut courier, mut fallback) = (None, None, None);
        let door = match parts.orders {
            Orders::Venue { dial, rest } => {
                if let Some(rest) = rest {
                    let (errands, to_carry) = self.ring("sender_courier", at);
                    let (delivered, back) = self.ring("courier_sender", at);
                    let carrier = Courier::new(
                        rest.client,
                        rest.base,
                        rest.api_key,
                        check()?,
                        to_carry,
                        delivered,
                        self.clock.clone(),
                    );
                    courier = Some(carrier);
                    fallback = Some(Fallback { errands, back, after: rest.after });
                }
                Door::Venue(dial)
            }
            Orders::Paper(folder) => {
                let (to_paper, papers) = self.ring("sender_paper", at);
                let file =
                    if self.several { format!("dry_run.{name}.jsonl") } else { "dry_run.jsonl".into() };
                paper = Some(PaperLoop::create(&folder.join(file), papers).map_err(RunError::Paper)?);
                Door::Paper(to_paper)
            }
        };
        let sender = Sender::new(
            SenderOptions { venue, upkeep: parts.upkeep },
            parts.entry,
            door,
            SenderWiring {
                dispatches: from_core,
                events: to_core_orders,
                tunings,
                fallback,
                wishes: sender_wishes,
                gate: check()?,
                gate_control: self.gate.clone(),
                hops,
                counters: self.registry.block(self.named("sender", at)),
                log: self.lane("sender", at),
            },
            self.clock.clone(),
        );
        let requester = Requester::new(
            RequesterOptions {
                clock_every: parts.clock_every,
                heartbeat: parts.heartbeat,
                audit: parts.audit,
                has_account,
                weight_limit: parts.weight_limit,
                position_mode: parts.position_mode,
            },
            parts.directory,
            parts.rest,
            RequesterWiring {
                asks,
                wants,
                sender_wants,
                events: to_core_read,
                answers: replies,
                tunings: tuner,
                counters: self.registry.block(self.named("requester", at)),
                log: self.lane("requester", at),
            },
            self.clock.clone(),
        );
        let inlets = VenueInlets { sender: from_sender, requester: from_requester, receiver: from_receiver };
        let outlets = VenueOutlets { sender: to_sender, requester: to_requester };
        Ok(Built { name, inlets, outlets, receiver, sender, requester, paper, courier, tick_to_trade })
    }

    /// Receivers and senders: all on one thread, or on one each.
    fn start_io(
        &self,
        seats: &Seats,
        receivers: Vec<(String, Receiver<Clock, NetDial>)>,
        senders: Vec<(String, Sender<Clock, NetDial>)>,
    ) -> Result<Vec<JoinHandle<IoEnd>>, RunError> {
        if seats.merged {
            let all = IoLoops {
                receivers: receivers.into_iter().map(|(_, receiver)| receiver).collect(),
                senders: senders.into_iter().map(|(_, sender)| sender).collect(),
            };
            let stopped = self.stopped();
            return Ok(vec![self.spawn(
                "io",
                seats.receiver,
                all,
                IoLoops::pass,
                stopped,
                IoLoops::finish,
            )?]);
        }
        let mut threads = Vec::new();
        for (at, (venue, receiver)) in receivers.into_iter().enumerate() {
            let (name, seat) = (self.named("receiver", &venue), first_only(seats.receiver, at));
            let finish =
                |receiver| IoEnd { receivers: vec![close_receiver(receiver).finish()], senders: Vec::new() };
            threads.push(self.spawn(name, seat, receiver, Receiver::pass, self.stopped(), finish)?);
        }
        for (at, (venue, sender)) in senders.into_iter().enumerate() {
            let (name, seat) = (self.named("sender", &venue), first_only(seats.sender, at));
            let finish =
                |sender| IoEnd { receivers: Vec::new(), senders: vec![close_sender(sender).finish()] };
            threads.push(self.spawn(name, seat, sender, Sender::pass, self.stopped(), finish)?);
        }
        Ok(threads)
    }

    fn ring<T>(&self, name: &'static str, venue: &str) -> (Producer<T>, Consumer<T>) {
        let row = RINGS.iter().find(|row| row.name == name);
        ring(self.named(name, venue), row.map_or(SMALL, |row| (row.depth)(self.depths)))
    }

    fn lane(&mut self, name: &'static str, venue: &str) -> Logger {
        let name = self.named(name, venue);
        self.log.lane(name)
    }

    /// A name that tells venues apart where there are several. It lives as long as the process, as the threads and their counters do.
    fn named(&self, name: &'static str, venue: &str) -> &'static str {
        if self.several && !venue.is_empty() {
            Box::leak(format!("{name}.{venue}").into_boxed_str())
        } else {
            name
        }
    }

    fn stopped(&self) -> impl Fn() -> bool + Send + 'static {
        let stop = self.stop.clone();
        move || stop.is_raised()
    }

    fn spawn_cold<L: Send + 'static>(
        &self,
        name: &'static str,
        this: L,
        pass: impl Fn(&mut L) -> Pass + Send + 'static,
        finish: impl FnOnce(L) + Send + 'static,
    ) -> Result<JoinHandle<()>, RunError> {
        let host = self.registry.block(name);
        let seat = Seat { name, cpu: Cpu::Any, waiting: Waiting::Park };
        spawn(seat, host, self.gate.clone(), this, pass, self.stopped(), finish)
    }

    fn spawn<L: Send + 'static, E: Send + 'static>(
        &self,
        name: &'static str,
        cpu: Cpu,
        this: L,
        pass: impl Fn(&mut L) -> Pass + Send + 'static,
        stopped: impl Fn() -> bool + Send + 'static,
        finish: impl FnOnce(L) -> E + Send + 'static,
    ) -> Result<JoinHandle<E>, RunError> {
        let host = self.registry.block(name);
        let seat = Seat { name, cpu, waiting: self.waiting };
        spawn(seat, host, self.gate.clone(), this, pass, stopped, finish)
    }
}

/// A CPU of the configuration is for the first venue's thread; those of further venues float.
fn first_only(cpu: Cpu, at: usize) -> Cpu {
    if at == 0 { cpu } else { Cpu::Any }
}

/// All receivers and senders on one thread.
struct IoLoops {
    receivers: Vec<Receiver<Clock, NetDial>>,
    senders: Vec<Sender<Clock, NetDial>>,
}

impl IoLoops {
    /// Out before in: a dispatch never waits behind a burst of market data.
    #[inline]
    fn pass(&mut self) -> Pass {
        let mut all = self.send();
        for at in 0..self.receivers.len() {
            if let Some(receiver) = self.receivers.get_mut(at) {
                all = all.and(receiver.pass());
            }
            all = all.and(self.send());
        }
        all
    }

    #[inline]
    fn send(&mut self) -> Pass {
        self.senders.iter_mut().fold(Pass::Idle, |all, sender| all.and(sender.pass()))
    }

    fn finish(self) -> IoEnd {
        IoEnd {
            receivers: self.receivers.into_iter().map(|one| close_receiver(one).finish()).collect(),
            senders: self.senders.into_iter().map(|one| close_sender(one).finish()).collect(),
        }
    }
}

impl Running {
    /// The core has taken its last turn, or a thread has died.
    pub fn has_ended(&self) -> bool {
        self.core.is_finished()
            || self.cold.iter().any(JoinHandle::is_finished)
            || self.io.iter().any(JoinHandle::is_finished)
    }

    pub fn is_core_over(&self) -> bool {
        self.core.is_finished()
    }

    /// Orders can still be cancelled: core and sender both live.
    pub fn can_drain(&self) -> bool {
        !self.core.is_finished() && !self.io.iter().any(JoinHandle::is_finished)
    }

    /// Waits for the core's end (it must have been told to stop), then closes the sockets. A thread that died is named, beside
    /// what the others left.
    pub fn join(self) -> Result<Ended, RunError> {
        let core = self.core.join();
        self.stop.raise();
        let mut end = IoEnd::default();
        let mut died = None;
        for thread in self.io {
            let name = thread.thread().name().unwrap_or("receiver or sender").to_owned();
            match thread.join() {
                Ok(part) => {
                    end.receivers.extend(part.receivers);
                    end.senders.extend(part.senders);
                }
                Err(_) => died = Some(name),
            }
        }
        for thread in self.cold {
            let name = thread.thread().name().unwrap_or("requester").to_owned();
            if thread.join().is_err() {
                died = Some(name);
            }
        }
        let core = core.map_err(|_| RunError::Panicked("core_loop"))?;
        Ok(Ended { core, receivers: end.receivers, senders: end.senders, died })
    }
}

/// A bug that unwinds a thread shuts the gate at once: nothing is sent on behalf of a state that nobody keeps.
struct ShutOnPanic(GateControl);

impl Drop for ShutOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.tighten(GateState::Shut);
        }
    }
}

/// Where a thread sits, and how it waits there.
struct Seat {
    name: &'static str,
    cpu: Cpu,
    waiting: Waiting,
}

/// One thread: pinned, named, passing until its loop is done or it is told to stop.
fn spawn<L: Send + 'static, E: Send + 'static>(
    seat: Seat,
    host: Owned<HostCounters>,
    gate: GateControl,
    mut this: L,
    pass: impl Fn(&mut L) -> Pass + Send + 'static,
    stopped: impl Fn() -> bool + Send + 'static,
    finish: impl FnOnce(L) -> E + Send + 'static,
) -> Result<JoinHandle<E>, RunError> {
    let Seat { name, cpu: seat, waiting } = seat;
    let body = move || {
        let _guard = ShutOnPanic(gate);
        if let Cpu::Number(cpu) = seat {
            // The number was checked against the machine before anything was started.
            let _ = cpu::pin_current(cpu);
        }
        let mut waiter = Waiter::new(waiting);
        let mut passes = 0u32;
        loop {
            match pass(&mut this) {
                Pass::Busy => waiter.busy(),
                Pass::Done => break,
                Pass::Idle => {
                    if stopped() {
                        break;
                    }
                    waiter.idle();
                }
            }
            passes = passes.wrapping_add(1);
            // A busy loop is told to stop too, only later.
            if passes.is_multiple_of(65_536) {
                host.involuntary_switches.set(cpu::involuntary_switches());
                if stopped() {
                    break;
                }
            }
        }
        host.involuntary_switches.set(cpu::involuntary_switches());
        finish(this)
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|source| RunError::Thread { name: name.to_owned(), source })
}

/// Close handshakes may take so long.
const CLOSING: std::time::Duration = std::time::Duration::from_millis(500);

fn close_receiver(mut receiver: Receiver<Clock, NetDial>) -> Receiver<Clock, NetDial> {
    receiver.stop();
    for _ in 0..CLOSING.as_millis() {
        if receiver.is_closed() {
            break;
        }
        let _ = receiver.pass();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    receiver
}

fn close_sender(mut sender: Sender<Clock, NetDial>) -> Sender<Clock, NetDial> {
    sender.stop();
    for _ in 0..CLOSING.as_millis() {
        if sender.is_closed() {
            break;
        }
        let _ = sender.pass();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    sender
}

/// Options of a venue's sockets, from its configuration.
pub fn socket_options(connection: &crate::config::Connection) -> WebSocketOptions {
    WebSocketOptions {
        connect_timeout: connection.connect_timeout.raw(),
        ping_interval: connection.ping_interval.map_or(0, |every| every.raw()),
        silence_timeout: connection.silence_timeout.raw(),
        ..WebSocketOptions::default()
    }
}

/// A dial of one address, whose name is resolved now, and again when it gets nowhere.
pub fn dial(
    endpoint: &crate::net::Endpoint,
    resolver: &Resolver,
    tls: &TlsClient,
    options: WebSocketOptions,
    clock: &Clock,
) -> Result<NetDial, crate::net::tcp::ResolveError> {
    let addresses = crate::net::tcp::resolve(endpoint.host(), endpoint.port())?;
    let addresses = resolver.name(endpoint, addresses);
    Ok(NetDial::new(endpoint.clone(), addresses, Some(tls.clone()), options, clock.clone()))
}
