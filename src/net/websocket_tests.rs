//! The WebSocket client against peers of another stack, over real loopback sockets.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tungstenite::Message as Theirs;
use tungstenite::protocol::CloseFrame;

use super::frame::FrameError;
use super::http::{HttpClient, HttpError, HttpOptions, HttpRequest, Method};
use super::test_peer::{Authority, peer, plain_peer, raw_peer, read_head, reset, tls_peer};
use super::tls::TlsClient;
use super::websocket::{Closed, Phase, READ_STEPS, SendError, WebSocket, WebSocketOptions};
use crate::sys::clock::Clock;

const SECOND: u64 = 1_000_000_000;

/// The client under test, and the time that it is told: the real one, plus what a test adds.
struct Client {
    socket: WebSocket,
    clock: Clock,
    ahead: u64,
}

impl Client {
    fn start(address: SocketAddr, tls: Option<&TlsClient>, options: WebSocketOptions) -> Self {
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let endpoint = format!("{scheme}://localhost:{}/ws", address.port()).parse().unwrap();
        let clock = Clock::new();
        let socket = WebSocket::connect(&endpoint, address, tls, options, clock.clone(), clock.now());
        Self { socket, clock, ahead: 0 }
    }

    fn open(address: SocketAddr, tls: Option<&TlsClient>, options: WebSocketOptions) -> Self {
        let mut client = Self::start(address, tls, options);
        client.until(|socket, _| match socket.phase() {
            Phase::Open => Some(()),
            Phase::Closed => panic!("{:?}", socket.ending()),
            _ => None,
        });
        client
    }

    fn now(&self) -> u64 {
        self.clock.now() + self.ahead
    }

    /// Polls until `done` gives something.
    fn until<T>(&mut self, mut done: impl FnMut(&mut WebSocket, u64) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            let now = self.now();
            self.socket.poll(now);
            if let Some(found) = done(&mut self.socket, now) {
                return found;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "stuck in phase {:?}", self.socket.phase());
            std::thread::yield_now();
        }
    }

    fn next(&mut self) -> Result<(Vec<u8>, u64), Closed> {
        self.until(|socket, now| match socket.read(now) {
            Ok(message) => message.map(|message| Ok((message.payload.to_vec(), message.received_at))),
            Err(closed) => Some(Err(closed)),
        })
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.next().unwrap().0).unwrap()
    }

    fn ended(&mut self) -> Closed {
        self.next().unwrap_err()
    }
}

fn options() -> WebSocketOptions {
    WebSocketOptions::default()
}

async fn echo<S>(mut socket: tokio_tungstenite::WebSocketStream<S>) -> usize
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut count = 0;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() {
            count += 1;
            socket.send(message).await.unwrap();
        }
    }
    count
}

fn converse(mut client: Client) {
    for number in 0..50 {
        let sent = format!("{{\"number\":{number},\"pad\":\"{}\"}}", "x".repeat(number * 40));
        let before = client.now();
        client.socket.send_text(sent.as_bytes()).unwrap();
        let (got, stamp) = client.next().unwrap();
        assert_eq!(got, sent.as_bytes());
        assert!(before <= stamp && stamp <= client.now(), "the stamp lies between sending and having");
    }
    let now = client.now();
    client.socket.close(now);
    assert_eq!(client.ended(), Closed::ByUs);
}

#[test]
fn a_conversation_over_each_version_of_tls() {
    for version in rustls::ALL_VERSIONS {
        let authority = Authority::with_versions("localhost", &[version]);
        let peer = tls_peer(&authority, echo);
        converse(Client::open(peer.address, Some(&authority.client()), options()));
        assert_eq!(peer.findings(), 50);
    }
}

#[test]
fn a_conversation_without_tls() {
    let peer = plain_peer(echo);
    converse(Client::open(peer.address, None, options()));
    assert_eq!(peer.findings(), 50);
}

#[test]
fn a_thread_that_parks_on_readiness_misses_nothing() {
    let authority = Authority::new("localhost");
    let peer = tls_peer(&authority, echo);
    let mut client = Client::start(peer.address, Some(&authority.client()), options());
    let mut poll = mio::Poll::new().unwrap();
    let mut events = mio::Events::with_capacity(8);
    let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
    poll.registry().register(client.socket.source().unwrap(), mio::Token(0), both).unwrap();
    let mut got = 0;
    let mut sent = 0;
    while got < 20 {
        let now = client.now();
        client.socket.poll(now);
        while client.socket.read(now).unwrap().is_some() {
            got += 1;
        }
        assert!(client.socket.is_drained());
        if client.socket.is_open() && sent == got && got < 20 {
            client.socket.send_text(b"again").unwrap();
            sent += 1;
        }
        if got < 20 {
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(!events.is_empty(), "nobody woke us in phase {:?}", client.socket.phase());
        }
    }
    client.socket.abort();
    assert_eq!(peer.findings(), 20);
}

#[test]
fn a_message_of_megabytes_arrives_whole_between_small_ones() {
    let authority = Authority::new("localhost");
    let peer = tls_peer(&authority, async |mut socket| {
        for text in ["before".to_owned(), "x".repeat(5 << 20), "after".to_owned()] {
            socket.send(Theirs::text(text)).await.unwrap();
        }
        while let Some(Ok(_)) = socket.next().await {}
    });
    let mut client = Client::open(peer.address, Some(&authority.client()), options());
    assert_eq!(client.text(), "before");
    let big = client.next().unwrap().0;
    assert!(big.len() == 5 << 20 && big.iter().all(|byte| *byte == b'x'));
    assert_eq!(client.text(), "after");
    drop(client);
    peer.findings();
}

#[test]
fn messages_that_one_read_brought_share_its_stamp() {
    let peer = raw_peer(b"", |mut stream| {
        stream.write_all(&[0x81, 1, b'a', 0x81, 1, b'b']).unwrap();
        let _ = stream.read(&mut [0; 1]);
    });
    let mut client = Client::open(peer.address, None, options());
    let (first, second) = (client.next().unwrap(), client.next().unwrap());
    assert_eq!((&first.0[..], &second.0[..]), (&b"a"[..], &b"b"[..]));
    assert_eq!(first.1, second.1);
    client.socket.abort();
    peer.findings();
}

#[test]
fn an_unknown_authority_a_foreign_name_and_a_missing_trust_are_refused() {
    let known = Authority::new("localhost");
    let unknown = Authority::new("localhost");
    let foreign = Authority::new("elsewhere.example");
    for (server, client) in [(&unknown, &known), (&foreign, &foreign)] {
        let config = server.server.clone();
        let peer = peer(move |mut stream| {
            let mut session = rustls::ServerConnection::new(config).unwrap();
            session.complete_io(&mut stream).map(drop).map_err(|error| error.to_string())
        });
        let ended = Client::start(peer.address, Some(&client.client()), options()).ended();
        assert!(matches!(&ended, Closed::Tls { why } if why.contains("certificate")), "{ended:?}");
        assert!(peer.findings().unwrap_err().contains("alert"), "the peer is told");
    }
    let endpoint = "wss://localhost:1/".parse().unwrap();
    let address = "127.0.0.1:1".parse().unwrap();
    let mut socket = WebSocket::connect(&endpoint, address, None, options(), Clock::new(), 0);
    assert!(matches!(socket.read(0), Err(Closed::Tls { why }) if why.contains("no trust")));
}

#[test]
fn a_frame_that_comes_byte_by_byte_is_whole_and_one_behind_the_upgrade_is_not_lost() {
    let peer = raw_peer(&[0x81, 5, b'f', b'i', b'r', b's', b't', 0x81], |mut stream| {
        let mut rest = vec![126, 1, 0];
        rest.extend([b'y'; 256]);
        for byte in rest {
            stream.write_all(&[byte]).unwrap();
        }
        let _ = stream.read(&mut [0; 1]);
    });
    let mut client = Client::open(peer.address, None, options());
    assert_eq!(client.text(), "first");
    assert_eq!(client.text(), "y".repeat(256));
    client.socket.abort();
    peer.findings();
}

#[test]
fn a_ping_is_answered_with_its_own_payload_and_ours_measures_the_round_trip() {
    let authority = Authority::new("localhost");
    let peer = tls_peer(&authority, async |mut socket| {
        socket.send(Theirs::Ping("are you there".into())).await.unwrap();
        let mut pings = 0;
        let mut pong = None;
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Theirs::Ping(_) => pings += 1,
                Theirs::Pong(payload) => pong = Some(payload),
                _ => {}
            }
        }
        (pings, pong)
    });
    let options = WebSocketOptions { ping_interval: SECOND, ..options() };
    let mut client = Client::open(peer.address, Some(&authority.client()), options);
    client.ahead = SECOND;
    let round_trip = client.until(|socket, now| {
        assert_eq!(socket.read(now), Ok(None));
        socket.round_trip()
    });
    assert!(round_trip < 20 * SECOND);
    let now = client.now();
    client.socket.close(now);
    client.ended();
    let (pings, pong) = peer.findings();
    assert_eq!((pings, pong.as_deref()), (1, Some(&b"are you there"[..])));
}

#[test]
fn a_flood_of_pings_takes_no_more_than_its_steps_and_hides_nothing_behind_it() {
    let peer = raw_peer(b"", |mut stream| {
        let mut flood = [0x89, 0].repeat(3 * READ_STEPS as usize);
        flood.extend([0x81, 3, b'e', b'n', b'd']);
        stream.write_all(&flood).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut client = Client::open(peer.address, None, options());
    let mut interrupted = 0;
    let text = client.until(|socket, now| {
        let text = socket.read(now).unwrap().map(|message| message.payload.to_vec());
        interrupted += u32::from(!socket.is_drained());
        text
    });
    assert_eq!(text, b"end");
    assert!(interrupted >= 2, "{interrupted}");
    client.socket.abort();
    peer.findings();
}

#[test]
fn a_half_open_connection_is_given_up_after_the_silence() {
    let (hang_up, wait) = mpsc::channel::<()>();
    let peer = raw_peer(b"", move |stream| {
        let _ = wait.recv();
        drop(stream);
    });
    let mut client =
        Client::open(peer.address, None, WebSocketOptions { silence_timeout: 5 * SECOND, ..options() });
    client.ahead = 4 * SECOND;
    let now = client.now();
    assert_eq!(client.socket.read(now), Ok(None));
    client.ahead = 6 * SECOND;
    assert!(matches!(client.ended(), Closed::Silence { nanos } if nanos >= 5 * SECOND));
    drop(hang_up);
    peer.findings();
}

#[test]
fn a_thread_that_slept_reads_what_waits_before_it_blames_the_peer() {
    let (go, wait) = mpsc::channel();
    let peer = raw_peer(b"", move |mut stream| {
        wait.recv().unwrap();
        stream.write_all(&[0x81, 4, b'h', b'e', b'r', b'e']).unwrap();
        let _ = stream.read(&mut [0; 1]);
    });
    let options = WebSocketOptions { silence_timeout: SECOND, ..options() };
    let mut client = Client::open(peer.address, None, options);
    go.send(()).unwrap();
    // Until the bytes are certainly here: a peek takes nothing.
    client.until(|socket, _| socket.source().unwrap().peek(&mut [0; 6]).ok().filter(|count| *count == 6));
    client.ahead = 100 * SECOND;
    assert_eq!(client.text(), "here");
    client.socket.abort();
    peer.findings();
}

/// Fills the queue against a peer that does not read, then lets it read: all that was taken arrives, in order.
fn slow_reader(mut client: Client, go: mpsc::Sender<()>) -> usize {
    let mut taken = 0;
    let full = loop {
        let now = client.now();
        client.socket.poll(now);
        match client.socket.send_text(format!("{taken:08}{}", "z".repeat(2_000)).as_bytes()) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 100_000, "the queue has no bound");
    };
    assert_eq!(full, SendError::Full);
    assert!(!client.socket.is_flushed() && client.socket.is_open());
    go.send(()).unwrap();
    client.until(|socket, _| socket.is_flushed().then_some(()));
    client.socket.send_text(b"and on").unwrap();
    let now = client.now();
    client.socket.close(now);
    assert_eq!(client.ended(), Closed::ByUs);
    taken
}

async fn read_all<S>(mut socket: tokio_tungstenite::WebSocketStream<S>, go: mpsc::Receiver<()>) -> Vec<String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    go.recv().unwrap();
    let mut seen = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        if let Theirs::Text(text) = message {
            seen.push(text.as_str()[..text.len().min(8)].to_owned());
        }
    }
    seen
}

fn all_in_order(seen: Vec<String>, taken: usize) {
    let mut expected: Vec<_> = (0..taken).map(|number| format!("{number:08}")).collect();
    expected.push("and on".to_owned());
    assert_eq!(seen, expected);
}

#[test]
fn a_slow_peer_makes_sending_refuse_and_loses_nothing_over_tls() {
    let authority = Authority::new("localhost");
    let (go, wait) = mpsc::channel();
    let peer = tls_peer(&authority, |socket| read_all(socket, wait));
    let taken = slow_reader(Client::open(peer.address, Some(&authority.client()), options()), go);
    all_in_order(peer.findings(), taken);
}

#[test]
fn a_slow_peer_makes_sending_refuse_and_loses_nothing_without_tls() {
    let (go, wait) = mpsc::channel();
    let peer = plain_peer(|socket| read_all(socket, wait));
    let taken = slow_reader(Client::open(peer.address, None, options()), go);
    all_in_order(peer.findings(), taken);
}

#[test]
fn a_message_larger_than_the_queue_is_refused_for_ever_and_harms_nothing() {
    let peer = plain_peer(echo);
    let mut client = Client::open(peer.address, None, options());
    let large = vec![b'x'; options().send_capacity + 1];
    assert!(matches!(client.socket.send_text(&large), Err(SendError::TooBig { .. })));
    client.socket.send_text(b"small").unwrap();
    assert_eq!(client.text(), "small");
    client.socket.abort();
    assert_eq!(client.socket.send_text(b"late"), Err(SendError::NotOpen));
    assert_eq!(peer.findings(), 1);
}

#[test]
fn a_close_by_the_peer_gives_its_code_and_reason_and_is_answered() {
    let authority = Authority::new("localhost");
    let peer = tls_peer(&authority, async |mut socket| {
        let frame = CloseFrame { code: 1001.into(), reason: "maintenance".into() };
        socket.close(Some(frame)).await.unwrap();
        let mut answer = None;
        while let Some(Ok(message)) = socket.next().await {
            if let Theirs::Close(frame) = message {
                answer = frame.map(|frame| u16::from(frame.code));
            }
        }
        answer
    });
    let mut client = Client::open(peer.address, Some(&authority.client()), options());
    assert_eq!(client.ended(), Closed::ByPeer { code: 1001, reason: "maintenance".into() });
    assert_eq!(client.socket.phase(), Phase::Closed);
    assert_eq!(peer.findings(), Some(1001));
}

#[test]
fn after_our_close_the_peers_last_messages_still_arrive() {
    let peer = raw_peer(b"", |mut stream| {
        // Our close frame: two bytes of header, four of mask, two of code.
        stream.read_exact(&mut [0; 8]).unwrap();
        stream.write_all(&[0x81, 4, b'f', b'i', b'l', b'l', 0x88, 2, 3, 0xe8]).unwrap();
        let _ = stream.read(&mut [0; 1]);
    });
    let mut client = Client::open(peer.address, None, options());
    let now = client.now();
    client.socket.close(now);
    assert_eq!(
        (client.socket.phase(), client.socket.send_text(b"x")),
        (Phase::Closing, Err(SendError::NotOpen))
    );
    assert_eq!(client.text(), "fill");
    assert_eq!(client.ended(), Closed::ByUs);
    peer.findings();
}

#[test]
fn a_peer_that_never_answers_our_close_is_left_after_the_time_for_it() {
    let (hang_up, wait) = mpsc::channel::<()>();
    let peer = raw_peer(b"", move |stream| {
        let _ = wait.recv();
        drop(stream);
    });
    let mut client = Client::open(peer.address, None, options());
    let now = client.now();
    client.socket.close(now);
    assert_eq!(client.socket.poll(now), Phase::Closing);
    client.ahead = 2 * SECOND;
    assert_eq!(client.ended(), Closed::ByUs);
    drop(hang_up);
    peer.findings();
}

#[test]
fn a_reset_and_an_end_in_the_middle_of_a_frame_are_told_apart_and_no_half_message_comes_out() {
    for with_reset in [true, false] {
        let (seen, wait) = mpsc::channel::<()>();
        let peer = raw_peer(b"", move |mut stream| {
            stream.write_all(&[0x81, 10, b'h', b'a', b'l', b'f']).unwrap();
            wait.recv().unwrap();
            if with_reset {
                reset(stream);
            }
        });
        let mut client = Client::open(peer.address, None, options());
        for _ in 0..100 {
            let now = client.now();
            client.socket.poll(now);
            assert_eq!(client.socket.read(now), Ok(None));
        }
        seen.send(()).unwrap();
        let expected = if with_reset {
            Closed::Io { phase: Phase::Open, kind: io::ErrorKind::ConnectionReset }
        } else {
            Closed::Eof { phase: Phase::Open }
        };
        assert_eq!(client.ended(), expected);
        peer.findings();
    }
}

#[test]
fn a_tls_session_cut_without_its_notice_is_an_end_and_not_a_message() {
    let authority = Authority::new("localhost");
    let peer = tls_peer(&authority, async |mut socket| {
        socket.send(Theirs::text("last")).await.unwrap();
        // Dropped without a close of any layer.
    });
    let mut client = Client::open(peer.address, Some(&authority.client()), options());
    assert_eq!(client.text(), "last");
    assert_eq!(client.ended(), Closed::Eof { phase: Phase::Open });
    peer.findings();
}

#[test]
fn a_refused_upgrade_keeps_its_status_and_when_to_come_back() {
    let peer = peer(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 11\r\n\r\n").unwrap();
    });
    let ended = Client::start(peer.address, None, options()).ended();
    assert_eq!(ended, Closed::UpgradeRefused { status: 429, retry_after: Some(11) });
    peer.findings();
}

#[test]
fn a_peer_that_accepts_and_then_says_nothing_is_timed_out_in_the_phase_where_it_stands() {
    let authority = Authority::new("localhost");
    for (tls, stalled) in [(Some(authority.client()), Phase::Tls), (None, Phase::Upgrade)] {
        let (hang_up, wait) = mpsc::channel::<()>();
        let peer = peer(move |stream| {
            let _ = wait.recv();
            drop(stream);
        });
        let mut client = Client::start(peer.address, tls.as_ref(), options());
        client.until(|socket, _| (socket.phase() == stalled).then_some(()));
        client.ahead = 11 * SECOND;
        assert_eq!(client.ended(), Closed::ConnectTimeout { phase: stalled });
        drop(hang_up);
        peer.findings();
    }
}

#[test]
fn a_closed_port_is_an_error_of_the_connecting_phase() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = Client::start(address, None, options()).ended();
    assert_eq!(ended, Closed::Io { phase: Phase::Connecting, kind: io::ErrorKind::ConnectionRefused });
}

#[test]
fn a_peer_that_breaks_the_protocol_is_told_the_code_and_given_up() {
    #[rustfmt::skip]
    let table: [(&'static [u8], FrameError, u16); 2] = [
        (&[0x81, 0x81, 0, 0, 0, 0, b'x'],            FrameError::Masked,                               1002),
        (&[0x82, 127, 0, 0, 0, 0, 1, 0, 0, 1],       FrameError::TooBig { size: 16_777_217, limit: 16 << 20 }, 1009),
    ];
    for (bytes, error, code) in table {
        let peer = raw_peer(bytes, |mut stream| {
            let mut frame = [0; 8];
            stream.read_exact(&mut frame).unwrap();
            u16::from_be_bytes([frame[6] ^ frame[2], frame[7] ^ frame[3]])
        });
        let mut client = Client::open(peer.address, None, options());
        assert_eq!(client.ended(), Closed::Protocol(error));
        assert_eq!(peer.findings(), code);
    }
}

#[test]
fn http_over_tls_trusts_the_authority_of_the_file_and_no_other() {
    let known = Authority::new("localhost");
    let unknown = Authority::new("localhost");
    for (server, expect_answer) in [(&known, true), (&unknown, false)] {
        let config = server.server.clone();
        let peer = peer(move |mut stream| {
            let mut session = rustls::ServerConnection::new(config).unwrap();
            let mut stream = rustls::Stream::new(&mut session, &mut stream);
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_exact(&mut byte).is_err() {
                    return head;
                }
                head.extend(byte);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue").unwrap();
            head
        });
        let endpoint = format!("https://localhost:{}/fapi/v1/ping", peer.address.port()).parse().unwrap();
        let mut http = HttpClient::new(Some(&known.client()), HttpOptions::default());
        let answer =
            http.send(&HttpRequest { method: Method::Get, endpoint: &endpoint, headers: &[], body: b"" });
        drop(http);
        let head = String::from_utf8(peer.findings()).unwrap();
        if expect_answer {
            assert_eq!(answer.unwrap().body, b"true");
            assert!(head.starts_with("GET /fapi/v1/ping HTTP/1.1\r\n"), "{head}");
        } else {
            assert!(matches!(answer, Err(HttpError::Distrusted { why }) if why.contains("certificate")));
            assert_eq!(head, "");
        }
    }
}
