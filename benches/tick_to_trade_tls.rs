//! Tick-to-trade over loopback TLS, beside a bare echo of the same sizes in the same run.
//!
//! ```text
//!   venue thread (rustls + tungstenite, blocking)          engine thread (this project's WebSocket over rustls, spinning)
//!   send message i, stamp ---------- TLS, loopback ------> read, feed, core with journal, gate, encode
//!   receive order, stamp <---------- TLS, loopback ------- write
//!
//!   the same venue thread           --- same sizes --->     echo: rustls + tungstenite as they come, spinning
//! ```
//! Both times are the venue's: from before its write to after its read. Only messages that lead to an order are answered, so
//! only they are timed; the echo repeats exactly their sizes, and those of their orders. What the engine's side adds is the
//! difference; most of both is the kernel's loopback.

#[path = "rig/mod.rs"]
mod rig;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use linchpin::core::time::Nanos;
use linchpin::net::tls::{TlsClient, TlsTrust};
use linchpin::net::websocket::{Phase, WebSocket, WebSocketOptions};
use linchpin::sys::clock::Clock;
use linchpin::sys::{cpu, gaps};
use linchpin::threads::Pass;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rig::line::Line;
use rig::market::Market;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tungstenite::{Message, WebSocket as Peer};

const SEGMENT: u64 = 64 * 1024 * 1024;
/// The least time between two messages.
const PACE: Duration = Duration::from_micros(50);
/// How long the venue waits for an order before it sends the next message.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let (rounds, messages) = if full { (5, 20_000) } else { (1, 600) };
    let market = Market::load(messages);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, root) = authority();
    let root_file = folder.path().join("authority.pem");
    std::fs::write(&root_file, &root).expect("a temporary file");
    let tls = TlsClient::new(&TlsTrust::CaFile(root_file)).expect("the authority just made");
    let clock = Clock::new();
    let cpus = cpu::available().to_vec();
    println!("tick to trade over loopback TLS: {} ({} messages), {rounds} rounds", market.name, market.len());
    println!(
        "{}",
        gaps::measure(&clock, None, Duration::from_millis(if full { 1_000 } else { 20 })).expect("no pin")
    );

    let mut results = Vec::new();
    for round in 0..rounds {
        let session = folder.path().join(format!("round{round}"));
        let plan = which_lead_to_orders(&market, &session.join("plan"), &clock);
        let engine = engine_round(&market, &plan, &server, &tls, &session.join("run"), &clock, &cpus);
        let sizes: Vec<(usize, usize)> = plan
            .iter()
            .filter(|step| step.order > 0)
            .map(|step| (market.message(step.message).len(), step.order))
            .collect();
        let echo = echo_round(&sizes, &server, &root, &cpus);
        results.push((engine, echo));
    }
    report(&results);
}

/// A message, and the size of the first order that it led to; zero where it led to none.
struct Step {
    message: usize,
    order: usize,
}

/// A dry run on this thread: which messages lead to orders, given that the venue answers at once.
fn which_lead_to_orders(market: &Market, session: &std::path::Path, clock: &Clock) -> Vec<Step> {
    let mut line = Line::new(session, SEGMENT, clock);
    let mut plan = Vec::with_capacity(market.len());
    for message in 0..market.len() {
        line.receiving.take(market, message, Nanos::new(clock.now()));
        let order = follow(&mut line, |_| {});
        plan.push(Step { message, order });
    }
    plan
}

/// Lets the core take what waits, hands every order to `send`, has the venue answer it, until nothing moves. Returns the size of
/// the first order.
fn follow(line: &mut Line, mut send: impl FnMut(&[u8])) -> usize {
    let mut first = 0;
    loop {
        while line.core.pass() == Pass::Busy {}
        let Some(handed) = line.sending.take() else { return first };
        if first == 0 {
            first = line.sending.frame.len();
            send(&line.sending.frame);
        }
        line.sending.answer(&handed.dispatch);
    }
}

/// The venue's thread sends; this one is the engine: socket, feed, core and session by turns, as on a host of few CPUs.
fn engine_round(
    market: &Market,
    plan: &[Step],
    server: &Arc<rustls::ServerConfig>,
    tls: &TlsClient,
    session: &std::path::Path,
    clock: &Clock,
    cpus: &[usize],
) -> Histogram<u64> {
    let (listener, address) = listen();
    let mut line = Line::new(session, SEGMENT, clock);
    thread::scope(|scope| {
        let venue = scope.spawn(|| {
            pin(cpus.first());
            let mut socket = accept(&listener, server);
            let mut times = histogram();
            for step in plan {
                let text = std::str::from_utf8(market.message(step.message)).expect("text");
                // The text is made before the clock starts, as the exchange's is.
                let message = Message::text(text);
                let began = Instant::now();
                socket.send(message).expect("a living engine");
                if step.order > 0 {
                    let order = socket.read().expect("an order");
                    times.saturating_record(began.elapsed().as_nanos() as u64);
                    assert!(order.len() > 50, "an order's text");
                }
                // The engine is at rest before the next message, as the echo's peer is.
                while began.elapsed() < PACE {
                    std::hint::spin_loop();
                }
            }
            // The engine's word that it has read everything.
            let _ = socket.read();
            times
        });
        let engine = scope.spawn(|| {
            pin(cpus.get(1));
            let endpoint = format!("wss://localhost:{}/", address.port()).parse().expect("an address");
            let mut socket = WebSocket::connect(
                &endpoint,
                address,
                Some(tls),
                WebSocketOptions::default(),
                clock.clone(),
                clock.now(),
            );
            let mut waiting = Instant::now();
            let mut next = 0;
            while next < plan.len() {
                let now = clock.now();
                assert_ne!(socket.poll(now), Phase::Closed, "{:?}", socket.ending());
                let got = match socket.read(now).expect("a living venue") {
                    Some(message) => {
                        assert_eq!(message.payload.len(), market.message(next).len());
                        // The rig gives by number; the bytes are the ones just read.
                        let received = Nanos::new(now);
                        line.receiving.take_text(message.payload, next == market.snapshot, received);
                        true
                    }
                    None => false,
                };
                if got {
                    let wanted = plan[next].order > 0;
                    let mut sent = false;
                    let first = follow(&mut line, |order| {
                        if wanted {
                            socket.send_text(order).expect("room in the socket");
                            sent = true;
                        }
                    });
                    assert!(
                        !wanted || sent,
                        "message {next} led to an order in the dry run, and to {first} now"
                    );
                    next += 1;
                    waiting = Instant::now();
                } else {
                    assert!(waiting.elapsed() < PATIENCE, "no message {next}");
                    std::hint::spin_loop();
                    if cpus.len() < 2 || waiting.elapsed() > Duration::from_millis(1) {
                        thread::yield_now();
                    }
                }
            }
            socket.close(clock.now());
            let _ = socket.poll(clock.now());
        });
        engine.join().expect("the engine does not panic");
        venue.join().expect("the venue does not panic")
    })
}

/// The same sizes there and back, between rustls and tungstenite as they come.
fn echo_round(
    sizes: &[(usize, usize)],
    server: &Arc<rustls::ServerConfig>,
    root: &str,
    cpus: &[usize],
) -> Histogram<u64> {
    let (listener, address) = listen();
    thread::scope(|scope| {
        let venue = scope.spawn(|| {
            pin(cpus.first());
            let mut socket = accept(&listener, server);
            let mut times = histogram();
            for (there, _) in sizes {
                let message = Message::text("x".repeat(*there));
                let began = Instant::now();
                socket.send(message).expect("a living peer");
                socket.read().expect("an answer");
                times.saturating_record(began.elapsed().as_nanos() as u64);
                while began.elapsed() < PACE {
                    std::hint::spin_loop();
                }
            }
            times
        });
        let peer = scope.spawn(|| {
            pin(cpus.get(1));
            let mut socket = dial(address, root);
            let answers: Vec<Message> =
                sizes.iter().map(|(_, back)| Message::text("y".repeat(*back))).collect();
            let mut waiting = Instant::now();
            for answer in answers {
                loop {
                    match socket.read() {
                        Ok(_) => break,
                        Err(tungstenite::Error::Io(error))
                            if error.kind() == std::io::ErrorKind::WouldBlock =>
                        {
                            assert!(waiting.elapsed() < PATIENCE, "no message");
                            if cpus.len() < 2 || waiting.elapsed() > Duration::from_millis(1) {
                                thread::yield_now();
                            }
                        }
                        Err(error) => panic!("the echo's peer: {error}"),
                    }
                }
                socket.send(answer).expect("room in the socket");
                waiting = Instant::now();
            }
        });
        peer.join().expect("the peer does not panic");
        venue.join().expect("the venue does not panic")
    })
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
    let address = listener.local_addr().expect("a bound listener");
    (listener, address)
}

fn accept(listener: &TcpListener, config: &Arc<rustls::ServerConfig>) -> Peer<impl Read + Write> {
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_nodelay(true).expect("an option that every kernel has");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option that every kernel has");
    let session = rustls::ServerConnection::new(Arc::clone(config)).expect("a valid configuration");
    tungstenite::accept(rustls::StreamOwned::new(session, stream)).unwrap_or_else(|_| panic!("no upgrade"))
}

fn dial(address: SocketAddr, root: &str) -> Peer<rustls::StreamOwned<rustls::ClientConnection, TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).expect("PEM")).expect("a certificate");
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider's own versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).expect("the listener is there");
    stream.set_nodelay(true).expect("an option that every kernel has");
    let name = ServerName::try_from("localhost").expect("a name");
    let session = rustls::ClientConnection::new(Arc::new(config), name).expect("a valid configuration");
    let stream = rustls::StreamOwned::new(session, stream);
    let config = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(4_096);
    let (mut socket, _) = tungstenite::client::client_with_config("ws://localhost/", stream, Some(config))
        .unwrap_or_else(|_| panic!("no upgrade"));
    socket.get_mut().sock.set_nonblocking(true).expect("an option that every kernel has");
    socket
}

fn authority() -> (Arc<rustls::ServerConfig>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let root = params.self_signed(&key).expect("a certificate");
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().expect("a key");
    let named = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = named.signed_by(&server_key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).expect("a key in DER");
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider's own versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a key that fits its certificate");
    (Arc::new(config), root.pem())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn pin(cpu: Option<&usize>) {
    if let Some(cpu) = cpu {
        cpu::pin_current(*cpu).expect("the CPU is there");
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("fixed bounds")
}

fn report(results: &[(Histogram<u64>, Histogram<u64>)]) {
    println!("microseconds: median of the rounds [lowest highest]; {} orders a round", results[0].0.len());
    println!("{:<24} {:>28} {:>28} {:>28}", "", "tick to trade", "bare echo", "ratio");
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
        let micros = |times: &Histogram<u64>| times.value_at_quantile(quantile) as f64 / 1e3;
        let engine = spread(results, |(engine, _)| micros(engine));
        let echo = spread(results, |(_, echo)| micros(echo));
        let ratio = spread(results, |(engine, echo)| micros(engine) / micros(echo));
        let show = |(middle, low, high): (f64, f64, f64)| format!("{middle:.2} [{low:.2} {high:.2}]");
        println!("{name:<24} {:>28} {:>28} {:>28}", show(engine), show(echo), show(ratio));
    }
}

fn spread<T>(rounds: &[T], value: impl Fn(&T) -> f64) -> (f64, f64, f64) {
    let mut values: Vec<f64> = rounds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}
