//! The kill gate at a real socket: the production sender under full load, thousands of kills, and not one byte of new risk
//! after an acknowledgement. Two witnesses: a wrapper of the sender's own socket, and the peer at the other end. The same storm once more
//! while orders go over REST, by the production courier: there the peer alone is witness enough, because the courier confirms only
//! between requests, so what it sent before has arrived before.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use linchpin::core::dispatch::{Dispatch, DispatchFlags};
use linchpin::core::event::{OrderKind, PositionSide, RequestKind, Side, TimeInForce, TriggerBy};
use linchpin::core::id::{AssetId, ClientOrderId, InstrumentId, OrderIndex, OrderKey, VenueId, VenueOrderId};
use linchpin::core::instrument::{InstrumentDefinition, InstrumentStatus, Product};
use linchpin::core::num::{Increment, Price, Quantity};
use linchpin::core::time::Nanos;
use linchpin::kill_gate::{GateCheck, GateControl, GateState, KillGate};
use linchpin::net::EndpointError;
use linchpin::net::http::{HttpClient, HttpOptions};
use linchpin::net::tcp::TcpOptions;
use linchpin::net::websocket::{Closed, Message, Phase, SendError, WebSocket, WebSocketOptions};
use linchpin::ring::{Consumer, Producer, ring};
use linchpin::sys::clock::Clock;
use linchpin::telemetry::counters::Registry;
use linchpin::telemetry::hops::HopHistograms;
use linchpin::telemetry::log::{LogBuilder, LogOptions};
use linchpin::threads::Pass;
use linchpin::threads::connection::Upkeep;
use linchpin::threads::core_loop::Handed;
use linchpin::threads::sender::courier::Courier;
use linchpin::threads::sender::fallback::Fallback;
use linchpin::threads::sender::{Door, Sender, SenderOptions, SenderWiring};
use linchpin::threads::world::{Dial, NetDial, Socket};
use linchpin::venue::Directory;
use linchpin::venue::binance::orders::{OrderEntry, OrderEntryConfig};
use linchpin::venue::binance::sign::{Credentials, Signer};

const KILLS: u64 = 2_000;
/// A cheat sender confirms whenever it is asked to: it must be caught, at the latest after so many kills in the middle of an order.
const CHEAT_KILLS: u64 = 2_000;

/// What both ends see, and whether a kill stands acknowledged.
#[derive(Default)]
struct Wire {
    acknowledged: AtomicBool,
    /// Bytes of a new order that left, or could have, while a kill stood acknowledged.
    broken: AtomicU64,
    new_orders: AtomicU64,
    cancels: AtomicU64,
    half_written: AtomicU64,
    passes: AtomicU64,
    /// Part of a new order waits in the socket at this moment, or a whole one in the peer's hands.
    half_waits: AtomicBool,
    received_new_orders: AtomicU64,
    received_cancels: AtomicU64,
    stop: AtomicBool,
}

impl Wire {
    fn note_if_killed(&self) {
        if self.acknowledged.load(Ordering::SeqCst) {
            self.broken.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The real socket, watched: before and after every write of a new order, and while part of one waits.
struct Watched {
    inner: WebSocket,
    wire: Arc<Wire>,
    /// The last message is a new order, and part of it may not have left.
    new_order_waits: bool,
    /// The cheat: says that all is written when it is not.
    lies: bool,
}

impl Watched {
    fn mark(&mut self, new_order_waits: bool) {
        self.new_order_waits = new_order_waits;
        self.wire.half_waits.store(new_order_waits, Ordering::SeqCst);
    }
}

impl Socket for Watched {
    fn poll(&mut self, now: Nanos) -> Phase {
        if self.new_order_waits && !self.inner.is_flushed() {
            self.wire.note_if_killed();
            self.wire.half_written.fetch_add(1, Ordering::Relaxed);
        }
        self.wire.passes.fetch_add(1, Ordering::SeqCst);
        let phase = Socket::poll(&mut self.inner, now);
        self.mark(self.new_order_waits && !self.inner.is_flushed());
        phase
    }
    fn read(&mut self, now: Nanos) -> Result<Option<Message<'_>>, Closed> {
        Socket::read(&mut self.inner, now)
    }
    fn send_text(&mut self, text: &[u8]) -> Result<(), SendError> {
        let is_new = text.windows(11).any(|word| word == b"order.place");
        if !is_new {
            self.wire.cancels.fetch_add(1, Ordering::Relaxed);
            return Socket::send_text(&mut self.inner, text);
        }
        self.wire.note_if_killed();
        let sent = Socket::send_text(&mut self.inner, text);
        self.wire.note_if_killed();
        self.mark(!self.inner.is_flushed());
        // What is not taken is not on its way.
        self.wire.new_orders.fetch_add(u64::from(sent.is_ok()), Ordering::SeqCst);
        sent
    }
    fn is_flushed(&self) -> bool {
        self.lies || self.inner.is_flushed()
    }
    fn close(&mut self, now: Nanos) {
        Socket::close(&mut self.inner, now);
    }
    fn ending(&self) -> Option<&Closed> {
        Socket::ending(&self.inner)
    }
}

struct WatchedDial {
    inner: NetDial,
    wire: Arc<Wire>,
    lies: bool,
}

impl Dial for WatchedDial {
    type Socket = Watched;
    fn dial(&mut self, path: &str, now: Nanos) -> Result<Watched, EndpointError> {
        let (wire, lies) = (self.wire.clone(), self.lies);
        Ok(Watched { inner: self.inner.dial(path, now)?, wire, new_order_waits: false, lies })
    }
}

#[test]
fn thousands_of_kills_under_full_load_and_no_new_risk_leaves_after_an_acknowledgement() {
    let (wire, obeyed) = storm_on_the_session(KILLS, false);
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    println!(
        "{KILLS} kills; {} new orders and {} cancels written, {} passes met a half-written order, {obeyed} long kills watched by the peer",
        count(&wire.new_orders),
        count(&wire.cancels),
        count(&wire.half_written)
    );
    assert_eq!(count(&wire.broken), 0);
    assert!(count(&wire.new_orders) > KILLS, "it was under load");
    assert!(count(&wire.cancels) > KILLS, "and cancels went on");
    assert!(count(&wire.half_written) > 0, "with messages half written");
    assert!(obeyed > 0);
}

/// The cheat: a socket that calls itself flushed lets the sender confirm in the middle of an order.
#[test]
fn a_sender_that_confirms_while_an_order_is_half_written_is_caught() {
    let (wire, _) = storm_on_the_session(CHEAT_KILLS, true);
    assert!(wire.broken.load(Ordering::SeqCst) > 0);
}

#[test]
fn thousands_of_kills_while_orders_go_over_rest_and_no_new_order_arrives_after_an_acknowledgement() {
    let wire = storm_over_rest(KILLS, false);
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    println!(
        "{KILLS} kills; {} new orders and {} cancels arrived over REST",
        count(&wire.received_new_orders),
        count(&wire.received_cancels)
    );
    assert_eq!(count(&wire.broken), 0);
    assert!(count(&wire.received_new_orders) > KILLS, "it was under load");
    assert!(count(&wire.received_cancels) > KILLS, "and cancels went on");
}

/// The cheat: whoever calls a kill done before the courier has confirmed it lies, and the peer sees it.
#[test]
fn a_kill_that_does_not_wait_for_the_courier_is_caught() {
    let wire = storm_over_rest(CHEAT_KILLS, true);
    assert!(wire.broken.load(Ordering::SeqCst) > 0);
}

/// The production sender under full load, and who it works with: one door, one peer.
struct Way<D> {
    dial: D,
    fallback: Option<Fallback>,
    reconnect: (Nanos, Nanos),
    in_flight: usize,
    gate: GateControl,
    check: GateCheck,
    /// The peer, and the courier where there is one.
    others: Vec<JoinHandle<()>>,
}

/// Sends that way as fast as it takes, and lets `kill` strike once orders arrive. Gives what that gives.
fn storm<D>(wire: &Arc<Wire>, clock: &Clock, way: Way<D>, kill: impl FnOnce(&GateControl) -> u64) -> u64
where
    D: Dial + Send + 'static,
{
    let Way { dial, fallback, reconnect, in_flight, gate, check, mut others } = way;
    let (to_sender, from_core) = ring("core_sender", 256);
    let (to_core, events) = ring("sender_core", 1 << 14);
    others.push(thread::spawn({
        let (gate, clock, wire) = (gate.clone(), clock.clone(), wire.clone());
        move || {
            let counters = Registry::new();
            let mut log = LogBuilder::new(LogOptions { shown: None, ..LogOptions::default() }, &counters);
            let wiring = SenderWiring {
                dispatches: from_core,
                events: to_core,
                tunings: ring("requester_sender", 4).1,
                fallback,
                wishes: ring("sender_requester", 4).0,
                gate: check,
                gate_control: gate,
                hops: HopHistograms::new(),
                counters: counters.block("sender"),
                log: log.lane("sender"),
            };
            let upkeep = Upkeep { reconnect, max_age: Nanos::from_secs(3_600), seed: 1 };
            let options = SenderOptions { venue: VenueId(0), upkeep };
            let config = OrderEntryConfig { in_flight, ..OrderEntryConfig::default() };
            let entry = OrderEntry::new(directory(), credentials(), config);
            let mut sender = Sender::new(options, entry, Door::Venue(dial), wiring, clock);
            while !wire.stop.load(Ordering::Relaxed) {
                if sender.pass() == Pass::Idle {
                    thread::yield_now();
                }
            }
        }
    }));
    others.push(thread::spawn({
        let (wire, clock) = (wire.clone(), clock.clone());
        move || feed(to_sender, events, &wire, &clock)
    }));
    while wire.received_new_orders.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    let given = kill(&gate);
    wire.stop.store(true, Ordering::SeqCst);
    for thread in others {
        thread.join().expect("it lives");
    }
    given
}

/// Kills a busy sender again and again while orders go over REST: its session cannot be made. What the peer saw.
fn storm_over_rest(kills: u64, lies: bool) -> Arc<Wire> {
    let (wire, clock) = (Arc::new(Wire::default()), Clock::new());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("an option");
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port");
    let peer = thread::spawn({
        let wire = wire.clone();
        move || serve_rest(&listener, &wire)
    });
    let (errands, to_carry) = ring("sender_courier", 64);
    let (delivered, back) = ring("courier_sender", 64);
    let (gate, mut checks) = KillGate::for_senders(GateState::Open, 2);
    let courier = thread::spawn({
        let base = format!("http://{address}").parse().expect("an endpoint");
        let client = HttpClient::new(None, HttpOptions::default());
        let check = checks.pop().expect("a check each");
        let (wire, clock) = (wire.clone(), clock.clone());
        let mut courier = Courier::new(client, base, "key".to_owned(), check, to_carry, delivered, clock);
        move || {
            while !wire.stop.load(Ordering::Relaxed) {
                if courier.pass() == Pass::Idle {
                    thread::yield_now();
                }
            }
        }
    });
    let endpoint = format!("ws://{nobody}/ws-fapi/v1").parse().expect("an endpoint");
    let way = Way {
        dial: NetDial::new(endpoint, vec![nobody], None, WebSocketOptions::default(), clock.clone()),
        fallback: Some(Fallback { errands, back, after: Nanos::from_millis(1) }),
        reconnect: (Nanos::from_secs(1), Nanos::from_secs(1)),
        in_flight: OrderEntryConfig::default().in_flight,
        gate,
        check: checks.pop().expect("a check each"),
        others: vec![peer, courier],
    };
    storm(&wire, &clock, way, |gate| {
        for _ in 0..kills {
            kill_over_rest(gate, &wire, lies);
            if lies && wire.broken.load(Ordering::SeqCst) > 0 {
                break;
            }
        }
        kills
    });
    wire
}

fn kill_over_rest(gate: &GateControl, wire: &Wire, lies: bool) {
    let cancels = wire.received_cancels.load(Ordering::SeqCst);
    if lies {
        // The moment at which it matters: the peer has a new order in its hands.
        until(|| wire.half_waits.load(Ordering::SeqCst));
    }
    let epoch = gate.tighten(GateState::CancelOnly);
    while !lies && gate.confirmed() < epoch {
        thread::yield_now();
    }
    wire.acknowledged.store(true, Ordering::SeqCst);
    // Once a cancel has arrived, the courier has had the new orders before it in its hands.
    until(|| wire.received_cancels.load(Ordering::SeqCst) > cancels + 1);
    wire.acknowledged.store(false, Ordering::SeqCst);
    gate.replace(epoch, GateState::Open).expect("nobody else changes it");
    let flowing = wire.received_new_orders.load(Ordering::SeqCst);
    until(|| wire.received_new_orders.load(Ordering::SeqCst) != flowing);
}

/// The peer at the end of the courier's way: refuses every order, and looks at the kill when it arrives and when it is answered.
fn serve_rest(listener: &TcpListener, wire: &Wire) {
    while !wire.stop.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        stream.set_nonblocking(false).expect("an option");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("an option");
        let mut answers = stream.try_clone().expect("a second handle");
        let mut requests = BufReader::new(stream);
        while !wire.stop.load(Ordering::Relaxed) {
            match read_request(&mut requests, wire) {
                Some(is_new) => answer(&mut answers, is_new, wire),
                None => break,
            }
        }
    }
}

/// Whether a request is for a new order; nothing once the connection, or the test, is over.
fn read_request(requests: &mut BufReader<TcpStream>, wire: &Wire) -> Option<bool> {
    let (mut first, mut body) = (String::new(), 0);
    loop {
        let mut line = String::new();
        loop {
            match requests.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => break,
                Err(_) if wire.stop.load(Ordering::Relaxed) => return None,
                // What came so far is kept in `line`.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return None,
            }
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            body = length.trim().parse().expect("a length");
        }
        if first.is_empty() {
            first = line.to_owned();
        }
    }
    requests.read_exact(&mut vec![0; body]).ok()?;
    Some(first.starts_with("POST"))
}

fn answer(answers: &mut TcpStream, is_new: bool, wire: &Wire) {
    if is_new {
        wire.note_if_killed();
        wire.half_waits.store(true, Ordering::SeqCst);
        wire.received_new_orders.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        wire.note_if_killed();
        wire.half_waits.store(false, Ordering::SeqCst);
    } else {
        wire.received_cancels.fetch_add(1, Ordering::SeqCst);
    }
    let body = r#"{"code":-2010,"msg":"no"}"#;
    let length = body.len();
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    // The courier may have gone: then the test is over.
    let _ = answers.write_all(format!("{head}{body}").as_bytes());
}

/// Kills a busy sender on its session again and again, a lying one in the middle of its orders until it is caught. Gives what the witnesses saw, and how
/// many kills the peer watched for long.
fn storm_on_the_session(kills: u64, lies: bool) -> (Arc<Wire>, u64) {
    let (wire, clock) = (Arc::new(Wire::default()), Clock::new());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let peer = thread::spawn({
        let wire = wire.clone();
        move || serve(&listener, &wire)
    });
    let (gate, check) = KillGate::new(GateState::Open);
    let endpoint = format!("ws://{address}/ws-fapi/v1").parse().expect("an endpoint");
    // A small buffer, so that requests are cut in the middle; the receiver on the other end is slow on purpose.
    let tcp = TcpOptions { send_buffer: Some(4_096), ..TcpOptions::default() };
    let options =
        WebSocketOptions { tcp, ping_interval: 0, silence_timeout: 0, ..WebSocketOptions::default() };
    let inner = NetDial::new(endpoint, vec![address], None, options, clock.clone());
    let way = Way {
        dial: WatchedDial { inner, wire: wire.clone(), lies },
        fallback: None,
        reconnect: (Nanos::from_millis(1), Nanos::from_millis(10)),
        in_flight: 4_096,
        gate,
        check,
        others: vec![peer],
    };
    let watched = storm(&wire, &clock, way, |gate| {
        if lies { kill_until_caught(kills, gate, &wire) } else { kill_again_and_again(kills, gate, &wire) }
    });
    (wire, watched)
}

fn kill_again_and_again(kills: u64, gate: &GateControl, wire: &Wire) -> u64 {
    let mut watched = 0;
    for kill in 0..kills {
        let epoch = gate.tighten(GateState::CancelOnly);
        while gate.confirmed() < epoch {
            thread::yield_now();
        }
        wire.acknowledged.store(true, Ordering::SeqCst);
        if kill % 100 == 99 {
            // All that had left before arrives, however slow the peer; and nothing more.
            let sent = wire.new_orders.load(Ordering::SeqCst);
            let patience = Instant::now() + Duration::from_secs(60);
            while wire.received_new_orders.load(Ordering::SeqCst) < sent {
                assert!(Instant::now() < patience, "what was sent does not arrive");
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis(5));
            assert_eq!(wire.received_new_orders.load(Ordering::SeqCst), sent, "the peer got a new order");
            watched += 1;
        } else {
            // Long enough for the sender to do what it must not.
            let seen = wire.passes.load(Ordering::SeqCst);
            while wire.passes.load(Ordering::SeqCst) < seen + 2 {
                thread::yield_now();
            }
        }
        wire.acknowledged.store(false, Ordering::SeqCst);
        gate.replace(epoch, GateState::Open).expect("nobody else changes it");
        // New orders flow again before the next kill.
        let flowing = wire.new_orders.load(Ordering::Relaxed);
        until(|| wire.new_orders.load(Ordering::Relaxed) != flowing);
    }
    watched
}

/// Kills in the middle of a new order, where a confirmation is a lie, until one is seen.
fn kill_until_caught(kills: u64, gate: &GateControl, wire: &Wire) -> u64 {
    for _ in 0..kills {
        until(|| wire.half_waits.load(Ordering::SeqCst));
        let epoch = gate.tighten(GateState::CancelOnly);
        while gate.confirmed() < epoch {
            thread::yield_now();
        }
        wire.acknowledged.store(true, Ordering::SeqCst);
        let seen = wire.passes.load(Ordering::SeqCst);
        until(|| wire.passes.load(Ordering::SeqCst) >= seen + 2);
        wire.acknowledged.store(false, Ordering::SeqCst);
        gate.replace(epoch, GateState::Open).expect("nobody else changes it");
        if wire.broken.load(Ordering::SeqCst) > 0 {
            break;
        }
    }
    0
}

/// Waits for it, a moment at most.
fn until(holds: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_millis(200);
    while !holds() && Instant::now() < patience {
        thread::yield_now();
    }
}

/// Full load: new orders, and a cancel after each third, as fast as the ring takes them.
fn feed(
    mut dispatches: Producer<Handed>,
    mut events: Consumer<linchpin::core::event::Event>,
    wire: &Wire,
    clock: &Clock,
) {
    let mut number = 0;
    while !wire.stop.load(Ordering::Relaxed) {
        while events.pop().is_some() {}
        let request = if number % 4 == 3 { RequestKind::Cancel } else { RequestKind::New };
        let now = Nanos::new(clock.now());
        if dispatches.push(Handed { dispatch: dispatch(number, request, now), at: now }).is_ok() {
            number += 1;
        } else {
            thread::yield_now();
        }
    }
}

/// The peer: answers every request, and now and then does not read for a moment.
fn serve(listener: &TcpListener, wire: &Wire) {
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let mut socket = tungstenite::accept(stream).expect("a handshake");
    let patience = Some(Duration::from_millis(50));
    let get: &TcpStream = socket.get_ref();
    get.set_read_timeout(patience).expect("an option");
    let mut read = 0u64;
    while !wire.stop.load(Ordering::Relaxed) {
        let Ok(message) = socket.read() else { continue };
        let Ok(text) = message.to_text() else { continue };
        if text.contains("order.place") {
            wire.received_new_orders.fetch_add(1, Ordering::SeqCst);
        }
        let id = text.split('"').nth(3).unwrap_or_default();
        let answer = format!(r#"{{"id":"{id}","status":400,"error":{{"code":-2010,"msg":"no"}}}}"#);
        if socket.send(tungstenite::Message::text(answer)).is_err() {
            return;
        }
        read += 1;
        if read.is_multiple_of(512) {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn dispatch(number: u64, request: RequestKind, now: Nanos) -> Dispatch {
    Dispatch {
        number,
        cause: number,
        decided: now,
        trigger: now,
        client_order_id: ClientOrderId::compose(*b"storm", number),
        venue_order_id: VenueOrderId(if request == RequestKind::Cancel { 7 } else { 0 }),
        price: Price::new(600_000),
        quantity: Quantity::new(5),
        stop_price: Price::ZERO,
        expires: Nanos::ZERO,
        order: OrderIndex(0),
        instrument: InstrumentId(0),
        key: OrderKey::default(),
        venue: VenueId(0),
        request,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::PostOnly,
        side: Side::Buy,
        position_side: PositionSide::Both,
        trigger_by: TriggerBy::LastPrice,
        callback: 0,
        flags: DispatchFlags::default(),
    }
}

fn directory() -> Arc<Directory> {
    let mut directory = Directory::new(VenueId(0), Product::LinearPerpetual);
    directory.intern_asset("USDT").expect("an asset fits");
    directory.intern_asset("BTC").expect("two assets fit");
    let definition = InstrumentDefinition {
        tick: Increment::parse(b"0.10", 2).expect("a tick"),
        lot: Increment::parse(b"0.001", 3).expect("a lot"),
        min_price: Price::new(1),
        max_price: Price::new(100_000_000),
        min_quantity: Quantity::new(1),
        max_quantity: Quantity::new(1_000_000),
        max_market_quantity: Quantity::new(120_000),
        min_notional: 0,
        percent_up: 0,
        percent_down: 0,
        maker_fee_ppm: 0,
        taker_fee_ppm: 0,
        base: AssetId(1),
        quote: AssetId(0),
        product: Product::LinearPerpetual,
        status: InstrumentStatus::Trading,
    };
    directory.list(InstrumentId(0), "BTCUSDT", definition).expect("one instrument");
    Arc::new(directory)
}

/// An HMAC key: it signs each request, and needs no logon.
fn credentials() -> Arc<Credentials> {
    let signer = Signer::from_key_text("a secret of this test").expect("a secret");
    Arc::new(Credentials::new("key", signer).expect("an API key"))
}
