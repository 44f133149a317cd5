//! What a message costs in allocations on its way through the socket, counted on the engine's thread alone.
//!
//! Plain: nothing, once the buffers are warm. Under TLS: what rustls itself takes for each record, and no more; a rise means
//! that somebody added a copy.
#![cfg(feature = "embedded-venue")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use linchpin::net::tls::{TlsClient, TlsTrust};
use linchpin::net::websocket::{Phase, WebSocket, WebSocketOptions};
use linchpin::sys::clock::Clock;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more, and nobody asks for it.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP: u64 = 50;
const MESSAGES: u64 = 500;

/// The most that rustls 0.23 takes for a record out and a record in together.
const TLS_LIMIT: f64 = 2.0;

#[test]
fn a_plain_message_costs_no_allocation_either_way() {
    let (address, server) = echo(None);
    let cost = converse(address, None);
    server.join().unwrap();
    assert_eq!(cost, 0.0);
}

#[test]
fn a_message_under_tls_costs_only_what_rustls_takes() {
    let folder = tempfile::tempdir().unwrap();
    let (config, authority) = authority();
    let path = folder.path().join("authority.pem");
    std::fs::write(&path, authority).unwrap();
    let (address, server) = echo(Some(config));
    let cost = converse(address, Some(TlsClient::new(&TlsTrust::CaFile(path)).unwrap()));
    server.join().unwrap();
    println!("under TLS: {cost} allocations for a message out and one in");
    assert!(cost <= TLS_LIMIT, "{cost} allocations");
}

#[test]
fn the_counter_counts() {
    let before = COUNT.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(COUNT.get(), before + 1);
}

/// Allocations a round trip, after the warm-up.
fn converse(address: SocketAddr, tls: Option<TlsClient>) -> f64 {
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let endpoint = format!("{scheme}://localhost:{}/", address.port()).parse().unwrap();
    let clock = Clock::new();
    let options = WebSocketOptions::default();
    let mut socket =
        WebSocket::connect(&endpoint, address, tls.as_ref(), options, clock.clone(), clock.now());
    let began = Instant::now();
    let message = [b'x'; 400];
    let (mut sent, mut got, mut before) = (0, 0, 0);
    while got < WARM_UP + MESSAGES {
        let now = clock.now();
        assert_ne!(socket.poll(now), Phase::Closed, "{:?}", socket.ending());
        assert!(began.elapsed() < Duration::from_secs(20), "stuck at message {got}");
        if socket.is_open() && sent == got {
            socket.send_text(&message).unwrap();
            sent += 1;
        }
        match socket.read(now).unwrap() {
            Some(read) => {
                assert_eq!(read.payload, message);
                got += 1;
                if got == WARM_UP {
                    before = COUNT.get();
                }
            }
            None => std::thread::yield_now(),
        }
    }
    let cost = (COUNT.get() - before) as f64 / MESSAGES as f64;
    socket.abort();
    cost
}

/// A blocking echo server on tungstenite, for one connection.
fn echo(tls: Option<rustls::ServerConfig>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        match tls {
            None => echo_all(stream),
            Some(config) => {
                let session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
                echo_all(rustls::StreamOwned::new(session, stream));
            }
        }
    });
    (address, server)
}

fn echo_all<S: Read + Write>(stream: S) {
    let Ok(mut socket) = tungstenite::accept(stream) else { panic!("no upgrade") };
    while let Ok(message) = socket.read() {
        if socket.send(message).is_err() {
            return;
        }
    }
}

fn authority() -> (rustls::ServerConfig, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let named = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = named.signed_by(&server_key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
    (config, root.pem())
}
