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

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::config::{Cpu, Layout, Rings, Threads, Wait};
use crate::control::names::Names;
use crate::core::event::Event;
use crate::core::time::Nanos;
use crate::core::turn::Core;
use crate::journal::Writer;
use crate::journal::snapshot::Shelf;
use crate::kill_flag::KillFlag;
use crate::kill_gate::{GateControl, GateState, KillGate};
use crate::net::tls::TlsClient;
use crate::net::websocket::WebSocketOptions;
use crate::ring::ring;
use crate::sys::clock::Clock;
use crate::sys::cpu;
use crate::sys::signal::StopFlag;
use crate::telemetry::counters::{CoreCounters, HostCounters, JournalCounters, Owned, Registry};
use crate::telemetry::hops::{Hop, HopHistograms};
use crate::telemetry::live::LiveReader;
use crate::telemetry::log::LogBuilder;
use crate::threads::Pass;
use crate::threads::core_loop::{CoreEnd, CoreLoop, CoreWiring, Inlets, VenueInlets, VenueOutlets};
use crate::threads::operator::{Asked, Operator, OperatorOptions, OperatorWiring};
use crate::threads::receiver::{Receiver, ReceiverEnd, ReceiverOptions, ReceiverWiring};
use crate::threads::requester::{Requester, RequesterWiring, Rest};
use crate::threads::sender::{Sender, SenderEnd, SenderOptions, SenderWiring};
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

/// Every ring of one venue's threads; `operator_core` is one for all venues.
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
        carries: "wishes for snapshots and listen keys",
        depth: |_| SMALL,
        when_full: "the wish is made again after its timeout",
    },
    RingRow {
        name: "requester_receiver",
        carries: "snapshots and listen keys",
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
    pub directory: Arc<Directory>,
    pub feed: MarketFeed,
    pub private: PrivateStream,
    pub entry: OrderEntry,
    pub rest: Rest<Clock>,
    pub market_dial: NetDial,
    pub private_dial: NetDial,
    pub order_dial: NetDial,
    pub split_paths: bool,
    pub dry_run: bool,
    /// The pause after a first failed connection, and the longest.
    pub reconnect: (Nanos, Nanos),
    pub seed: u64,
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
    pub tick_to_trade: LiveReader,
    core: JoinHandle<CoreEnd>,
    io: Vec<JoinHandle<IoEnd>>,
    requester: JoinHandle<()>,
    operator: JoinHandle<()>,
    stop: StopFlag,
}

/// What the threads left behind.
pub struct Ended {
    pub core: CoreEnd,
    pub receiver: Option<ReceiverEnd>,
    pub sender: Option<SenderEnd>,
    /// A thread that panicked; the gate was shut by it.
    pub died: Option<&'static str>,
}

#[derive(Default)]
struct IoEnd {
    receiver: Option<ReceiverEnd>,
    sender: Option<SenderEnd>,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A ring that one message may overfill would never be read into.
    #[error("rings.{ring} = {depth} is too few: at least {least} are needed for these instruments")]
    RingTooSmall { ring: &'static str, depth: usize, least: usize },
    #[error("cannot start the thread {name}: {source}")]
    Thread { name: &'static str, source: std::io::Error },
    #[error("the {0} thread panicked; the gate is shut")]
    Panicked(&'static str),
}

/// Joins everything as the table says and starts the threads. `first` are the events that stand before all others.
pub fn start(
    seats: Seats,
    depths: &Rings,
    core: Core,
    journal: Writer,
    first: &[Event],
    parts: VenueParts,
    people: OperatorParts,
    shared: Shared<'_>,
) -> Result<Running, RunError> {
    let Shared { clock, registry, log, initial_gate, snapshots, snapshot_every } = shared;
    let depth =
        |name: &str| RINGS.iter().find(|row| row.name == name).map_or(SMALL, |row| (row.depth)(depths));
    let (to_core_market, from_receiver) = ring("receiver_core", depth("receiver_core"));
    let (to_sender, from_core) = ring("core_sender", depth("core_sender"));
    let (to_core_orders, from_sender) = ring("sender_core", depth("sender_core"));
    let (to_requester, asks) = ring("core_requester", depth("core_requester"));
    let (to_core_read, from_requester) = ring("requester_core", depth("requester_core"));
    let (wishes, wants) = ring("receiver_requester", SMALL);
    let (replies, replied) = ring("requester_receiver", SMALL);
    let (said, from_operator) = ring("operator_core", depth("operator_core"));
    let (to_operator, told) = ring("core_operator", depth("core_operator"));

    let least = Receiver::<Clock, NetDial>::least_depth(&parts.feed, &parts.private);
    if depths.receiver_core < least {
        return Err(RunError::RingTooSmall { ring: "receiver_core", depth: depths.receiver_core, least });
    }
    let (gate, check) = KillGate::new(initial_gate);
    let stop = StopFlag::new();
    let operator_clock = clock.clone();
    let (sender_hops, tick_to_trade) = HopHistograms::with_live(Hop::TickToTrade);
    let venue = parts.directory.venue();

    let core_wiring = CoreWiring {
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
        counters: registry.block::<CoreCounters>("core_loop"),
        journal_counters: registry.block::<JournalCounters>("core_loop"),
    };
    let mut core_loop = CoreLoop::new(core, journal, core_wiring, clock.clone())
        .saving(snapshots, snapshot_every.unwrap_or(Nanos::MAX));
    first.iter().for_each(|event| core_loop.take(event));

    let receiver = Receiver::new(
        ReceiverOptions {
            venue,
            split_paths: parts.split_paths,
            patience: PATIENCE,
            reconnect: parts.reconnect,
            seed: parts.seed,
        },
        parts.feed,
        parts.private,
        parts.market_dial,
        parts.private_dial,
        ReceiverWiring {
            events: to_core_market,
            wants: wishes,
            answers: replied,
            counters: registry.block("receiver"),
            log: log.lane("receiver"),
        },
        clock.clone(),
    );
    let sender = Sender::new(
        SenderOptions { venue, dry_run: parts.dry_run, reconnect: parts.reconnect, seed: parts.seed },
        parts.entry,
        parts.order_dial,
        SenderWiring {
            dispatches: from_core,
            events: to_core_orders,
            gate: check,
            gate_control: gate.clone(),
            hops: sender_hops,
            counters: registry.block("sender"),
            log: log.lane("sender"),
        },
        clock.clone(),
    );
    let requester = Requester::new(
        parts.directory,
        parts.rest,
        RequesterWiring {
            asks,
            wants,
            events: to_core_read,
            answers: replies,
            counters: registry.block("requester"),
            log: log.lane("requester"),
        },
        clock,
    );

    let host = |name: &str| registry.block::<HostCounters>(name);
    let core = {
        let host = host("core_loop");
        spawn(
            "core_loop",
            seats.core,
            seats.waiting,
            host,
            gate.clone(),
            core_loop,
            CoreLoop::pass,
            || false,
            CoreLoop::finish,
        )?
    };
    let io = start_io(seats, receiver, sender, registry, &gate, &stop)?;
    let requester = {
        let flag = stop.clone();
        let done = move || flag.is_raised();
        spawn(
            "requester",
            Cpu::Any,
            Waiting::Park,
            host("requester"),
            gate.clone(),
            requester,
            Requester::pass,
            done,
            drop,
        )?
    };
    let operator = {
        let people = Operator::new(
            people.options,
            people.names,
            OperatorWiring {
                said,
                told,
                gate: gate.clone(),
                asked: people.asked,
                flag: people.flag,
                wants_stop: people.wants_stop,
                log: log.lane("operator"),
            },
            operator_clock,
        );
        let flag = stop.clone();
        let done = move || flag.is_raised();
        // It waits for people by itself, and never longer than for the core's next word.
        let waiting = Waiting::Spin;
        let host = host("operator");
        spawn(
            "operator",
            Cpu::Any,
            waiting,
            host,
            gate.clone(),
            people,
            Operator::pass,
            done,
            Operator::finish,
        )?
    };
    Ok(Running { operator, gate, tick_to_trade, core, io, requester, stop })
}

/// Receiver and sender: on one thread, or on one each.
fn start_io(
    seats: Seats,
    receiver: Receiver<Clock, NetDial>,
    sender: Sender<Clock, NetDial>,
    registry: &Registry,
    gate: &GateControl,
    stop: &StopFlag,
) -> Result<Vec<JoinHandle<IoEnd>>, RunError> {
    let stopped = |stop: &StopFlag| {
        let stop = stop.clone();
        move || stop.is_raised()
    };
    if !seats.merged {
        let on_receiver = registry.block("receiver");
        let on_sender = registry.block("sender");
        let one = spawn(
            "receiver",
            seats.receiver,
            seats.waiting,
            on_receiver,
            gate.clone(),
            receiver,
            Receiver::pass,
            stopped(stop),
            |receiver| IoEnd { receiver: Some(close_receiver(receiver).finish()), sender: None },
        )?;
        let other = spawn(
            "sender",
            seats.sender,
            seats.waiting,
            on_sender,
            gate.clone(),
            sender,
            Sender::pass,
            stopped(stop),
            |sender| IoEnd { receiver: None, sender: Some(close_sender(sender).finish()) },
        )?;
        return Ok(vec![one, other]);
    }
    let both = spawn(
        "io",
        seats.receiver,
        seats.waiting,
        registry.block("io"),
        gate.clone(),
        (receiver, sender),
        // Out before in: a dispatch never waits behind a burst of market data.
        |(receiver, sender)| sender.pass().and(receiver.pass()).and(sender.pass()),
        stopped(stop),
        |(receiver, sender)| IoEnd {
            receiver: Some(close_receiver(receiver).finish()),
            sender: Some(close_sender(sender).finish()),
        },
    )?;
    Ok(vec![both])
}

impl Running {
    /// The core has taken its last turn, or a thread has died.
    pub fn has_ended(&self) -> bool {
        self.core.is_finished()
            || self.requester.is_finished()
            || self.operator.is_finished()
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
            match thread.join() {
                Ok(part) => {
                    end.receiver = part.receiver.or(end.receiver);
                    end.sender = part.sender.or(end.sender);
                }
                Err(_) => died = Some("receiver or sender"),
            }
        }
        if self.requester.join().is_err() {
            died = Some("requester");
        }
        if self.operator.join().is_err() {
            died = Some("operator");
        }
        let core = core.map_err(|_| RunError::Panicked("core_loop"))?;
        Ok(Ended { core, receiver: end.receiver, sender: end.sender, died })
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

/// One thread: pinned, named, passing until its loop is done or it is told to stop.
#[allow(clippy::too_many_arguments, reason = "one row of the table has this many columns")]
fn spawn<L: Send + 'static, E: Send + 'static>(
    name: &'static str,
    seat: Cpu,
    waiting: Waiting,
    host: Owned<HostCounters>,
    gate: GateControl,
    mut this: L,
    pass: impl Fn(&mut L) -> Pass + Send + 'static,
    stopped: impl Fn() -> bool + Send + 'static,
    finish: impl FnOnce(L) -> E + Send + 'static,
) -> Result<JoinHandle<E>, RunError> {
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
        .map_err(|source| RunError::Thread { name, source })
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

/// A dial of one address.
pub fn dial(
    endpoint: &crate::net::Endpoint,
    tls: &TlsClient,
    options: WebSocketOptions,
    clock: &Clock,
) -> Result<NetDial, crate::net::tcp::ResolveError> {
    let addresses = crate::net::tcp::resolve(endpoint.host(), endpoint.port())?;
    Ok(NetDial::new(endpoint.clone(), addresses, Some(tls.clone()), options, clock.clone()))
}
