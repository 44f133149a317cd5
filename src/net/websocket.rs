//! A WebSocket client that is polled: `ws://` or `wss://`, from the first SYN to the last close frame.
//!
//! ```text
//!   Connecting --> Tls --> Upgrade --> Open --> Closing --> Closed(why)
//!       |           |         |         |                      ^
//!       +-----------+---------+---------+----------------------+
//! ```
//!
//! The owner calls [`poll`](WebSocket::poll) once a pass (it drives the phases, sends what waits, pings) and then
//! [`read`](WebSocket::read) until it gives nothing. Both are told the time and never block; each has bounded work: a read
//! hands out at most one message and takes at most [`READ_STEPS`] steps, whatever the peer sends.
//!
//! Pings are answered. A peer that is silent for too long is given up, but only after a read has found nothing: a thread
//! that was itself asleep does not blame the peer. What is sent is queued up to a bound and then refused, never dropped.
//!
//! It never reconnects by itself, resolves no names, and forgets nothing silently: [`Closed`] says why it ended.
//! Hot.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;

use super::Endpoint;
use super::frame::{self, FrameError, Inbox, Item, Kind};
use super::tcp::{Connecting, TcpOptions};
use super::tls::TlsClient;
use super::transport::{Stamped, Transport};
use super::upgrade::{self, Answer};
use crate::sys::clock::Clock;

/// Times in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct WebSocketOptions {
    /// For TCP, TLS and the upgrade together.
    pub connect_timeout: u64,
    /// A ping of our own this often; 0 sends none. Venues limit how many a second they accept.
    pub ping_interval: u64,
    /// Closed when nothing at all was received for so long; 0 waits for ever. With pings, more than one interval.
    pub silence_timeout: u64,
    /// How long a close handshake may take.
    pub close_timeout: u64,
    /// The largest message taken, in bytes.
    pub max_message: usize,
    /// The receive buffer, allocated at once; messages that fit in it cost no allocation.
    pub receive_capacity: usize,
    /// How many bytes of our frames may wait for the socket, allocated at once.
    pub send_capacity: usize,
    pub tcp: TcpOptions,
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        const SECOND: u64 = 1_000_000_000;
        Self {
            connect_timeout: 10 * SECOND,
            ping_interval: 15 * SECOND,
            silence_timeout: 40 * SECOND,
            close_timeout: SECOND,
            max_message: 16 << 20,
            receive_capacity: 64 << 10,
            send_capacity: 64 << 10,
            tcp: TcpOptions::default(),
        }
    }
}

/// How many reads of the socket and control frames one `read` deals with before it lets others have their turn. A message of
/// the largest size is several calls' work.
pub const READ_STEPS: u32 = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Connecting,
    Tls,
    Upgrade,
    Open,
    /// A close frame was sent or received. Messages of the peer are still handed out until its own close.
    Closing,
    Closed,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error("closed by us")]
    ByUs,
    /// Code 1005 stands for a close without a code.
    #[error("closed by the peer with code {code}: {reason}")]
    ByPeer { code: u16, reason: Box<str> },
    #[error("not open within the time limit; it was in phase {phase:?}")]
    ConnectTimeout { phase: Phase },
    #[error("connection failed in phase {phase:?}: {kind}")]
    Io { phase: Phase, kind: io::ErrorKind },
    /// The peer ended the connection without a close frame.
    #[error("connection ended by the peer in phase {phase:?}, without a close")]
    Eof { phase: Phase },
    /// A certificate that is refused, or a damaged session.
    #[error("TLS failed: {why}")]
    Tls { why: Box<str> },
    #[error("the server refused the upgrade with HTTP status {status}")]
    UpgradeRefused { status: u16, retry_after: Option<u32> },
    #[error("the upgrade failed: {0}")]
    BadUpgrade(&'static str),
    #[error("the peer broke the protocol: {0}")]
    Protocol(FrameError),
    #[error("nothing received for {nanos} ns")]
    Silence { nanos: u64 },
}

/// What `send` could not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing was taken; what was queued before is still queued. Try again when it is flushed.
    #[error("the socket takes no more and the queue is full")]
    Full,
    /// Nothing was taken, and nothing of this size ever will be.
    #[error("a message of {size} bytes is larger than the queue of {capacity}")]
    TooBig { size: usize, capacity: usize },
    /// Nothing was taken.
    #[error("the connection is not open")]
    NotOpen,
    /// The connection broke while this was being written: **it may have left, in part or whole.**
    #[error("the connection broke during the write")]
    Broken,
}

/// A whole text or binary message, where it lies in the receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    pub payload: &'a [u8],
    pub is_text: bool,
    /// Unix nanoseconds: taken right after the read of the socket that brought the message's last byte, before decryption and
    /// framing. Messages that one read brought together carry the same stamp, so that waiting behind one's predecessor counts.
    pub received_at: u64,
}

#[derive(Debug)]
pub struct WebSocket {
    phase: Phase,
    endpoint: Endpoint,
    options: WebSocketOptions,
    clock: Clock,
    tls: Option<TlsClient>,
    connecting: Option<Connecting>,
    transport: Option<Transport>,
    inbox: Inbox,
    outbox: Outbox,
    /// Our upgrade key while the answer is awaited.
    key: String,
    /// When the present phase must be over: that of connecting, or of closing.
    deadline: u64,
    heard_at: u64,
    next_ping: u64,
    /// When the ping that is under way was sent.
    pinged_at: Option<u64>,
    round_trip: Option<u64>,
    /// The last read ended because nothing more was there, not because its steps were used up.
    drained: bool,
    /// Known while closing, final when closed.
    ending: Option<Closed>,
}

impl WebSocket {
    /// Begins to connect to one address of the endpoint's host. Whatever is wrong shows as `Closed` at the next poll.
    /// `tls` is needed for `wss`, and not looked at for `ws`.
    pub fn connect(
        endpoint: &Endpoint,
        address: SocketAddr,
        tls: Option<&TlsClient>,
        options: WebSocketOptions,
        clock: Clock,
        now: u64,
    ) -> Self {
        let mut socket = Self {
            phase: Phase::Connecting,
            endpoint: endpoint.clone(),
            options,
            clock,
            tls: tls.filter(|_| endpoint.is_tls()).cloned(),
            connecting: None,
            transport: None,
            inbox: Inbox::new(options.receive_capacity.max(upgrade::HEAD_MAX), options.max_message),
            outbox: Outbox::new(options.send_capacity),
            key: String::new(),
            deadline: now.saturating_add(options.connect_timeout),
            heard_at: now,
            next_ping: u64::MAX,
            pinged_at: None,
            round_trip: None,
            drained: true,
            ending: None,
        };
        if endpoint.is_tls() && socket.tls.is_none() {
            socket.end(Closed::Tls { why: "no trust is configured for a wss address".into() });
            return socket;
        }
        match Connecting::start(address, &options.tcp) {
            Ok(connecting) => socket.connecting = Some(connecting),
            Err(error) => socket.end_by(error),
        }
        socket
    }

    /// Drives everything but the reading of messages. Once a pass.
    #[inline]
    pub fn poll(&mut self, now: u64) -> Phase {
        match self.phase {
            Phase::Open => {
                if now >= self.next_ping {
                    self.ping(now);
                }
                self.flush();
            }
            Phase::Closed => {}
            _ => self.progress(now),
        }
        self.phase
    }

    /// The next message, or `None` if none is whole yet. The payload is good until the next call.
    #[inline]
    pub fn read(&mut self, now: u64) -> Result<Option<Message<'_>>, Closed> {
        match self.receive(now) {
            Some(item) => Ok(Some(Message {
                payload: self.inbox.payload(&item),
                is_text: item.kind == Kind::Text,
                received_at: self.transport.as_ref().map_or(0, Transport::read_at),
            })),
            None if self.phase == Phase::Closed => Err(self.ending.clone().unwrap_or(Closed::ByUs)),
            None => Ok(None),
        }
    }

    /// Queues one text message and writes as much as the socket takes. `Ok` means that all of it is queued or written;
    /// [`is_flushed`](Self::is_flushed) tells which. The text must be UTF-8.
    #[inline]
    pub fn send_text(&mut self, text: &[u8]) -> Result<(), SendError> {
        debug_assert!(std::str::from_utf8(text).is_ok(), "a text message must be UTF-8");
        if self.phase != Phase::Open {
            return Err(SendError::NotOpen);
        }
        self.outbox.push(Kind::Text, text)?;
        self.flush();
        if self.phase == Phase::Closed { Err(SendError::Broken) } else { Ok(()) }
    }

    /// Nothing of ours waits any more: all of it is with the kernel, or the connection is over (ask [`phase`](Self::phase)
    /// before taking this for a success). The sender's kill gate confirms only when this is true; who sends only when it is
    /// true has at most one message half-written.
    #[inline]
    pub fn is_flushed(&self) -> bool {
        self.outbox.is_empty() && self.transport.as_ref().is_none_or(Transport::is_flushed)
    }

    /// Begins the close handshake (code 1000). Messages of the peer are still handed out until it answers.
    pub fn close(&mut self, now: u64) {
        match self.phase {
            Phase::Open => self.begin_closing(now, 1000, Closed::ByUs),
            Phase::Closing | Phase::Closed => {}
            Phase::Connecting | Phase::Tls | Phase::Upgrade => self.end(Closed::ByUs),
        }
    }

    /// Ends it at once, without a word to the peer; what is queued is lost.
    pub fn abort(&mut self) {
        if self.phase != Phase::Closed {
            self.end(Closed::ByUs);
        }
    }

    #[inline]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    #[inline]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Why it ended, or while `Closing` why it will.
    pub fn ending(&self) -> Option<&Closed> {
        self.ending.as_ref()
    }

    /// How long the last answered ping of ours took, as the polled time saw it.
    pub fn round_trip(&self) -> Option<u64> {
        self.round_trip
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Everything that had arrived was read. A read that gives `None` without this ran out of steps: go on in the next pass,
    /// and do not park.
    #[inline]
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// The socket, to register with a `mio::Poll` for threads that park: registered once while connecting, it stays so. Its
    /// readiness is edge-triggered, so park only when a read gave `None` and [`is_drained`](Self::is_drained): part of what
    /// arrived may wait in our buffers. There is none after the end.
    pub fn source(&mut self) -> Option<&mut TcpStream> {
        match &mut self.connecting {
            Some(connecting) => connecting.source(),
            None => self.transport.as_mut().map(Transport::source),
        }
    }

    /// The next item that the caller should see. `None` if there is none now, or the connection is over.
    #[inline]
    fn receive(&mut self, now: u64) -> Option<Item> {
        if !matches!(self.phase, Phase::Open | Phase::Closing) {
            return None;
        }
        self.drained = true;
        for _ in 0..READ_STEPS {
            match self.inbox.next_message() {
                Ok(Some(item)) if matches!(item.kind, Kind::Text | Kind::Binary) => return Some(item),
                Ok(Some(item)) => {
                    self.control(&item, now);
                    if self.phase == Phase::Closed {
                        return None;
                    }
                }
                Ok(None) => {
                    if !self.fill(now) {
                        return None;
                    }
                }
                Err(error) => {
                    self.refuse(error);
                    return None;
                }
            }
        }
        self.drained = false;
        None
    }

    /// One read of the socket; false if nothing came.
    #[inline]
    fn fill(&mut self, now: u64) -> bool {
        let Some(transport) = &mut self.transport else { return false };
        match transport.read(self.inbox.space()) {
            Ok(0) => self.end_by_eof(),
            Ok(count) => {
                self.inbox.filled(count);
                self.heard_at = now;
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.check_silence(now),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(error) => self.end_by(error),
        }
        false
    }

    #[inline]
    fn check_silence(&mut self, now: u64) {
        let nanos = now.saturating_sub(self.heard_at);
        if self.options.silence_timeout > 0
            && nanos >= self.options.silence_timeout
            && self.phase == Phase::Open
        {
            self.end(Closed::Silence { nanos });
        }
    }

    #[inline]
    fn flush(&mut self) {
        if self.is_flushed() {
            return;
        }
        let Some(transport) = &mut self.transport else { return };
        match self.outbox.write_to(transport) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.end_by(error),
        }
    }

    #[cold]
    fn control(&mut self, item: &Item, now: u64) {
        match item.kind {
            Kind::Ping => {
                // A peer that pings without reading fills the queue; then it gets no pong, and that is its own doing.
                if self.phase == Phase::Open && self.outbox.push_control(Kind::Pong, self.inbox.payload(item))
                {
                    self.flush();
                }
            }
            Kind::Pong => {
                let answered = self.inbox.payload(item).first_chunk().map(|sent| u64::from_be_bytes(*sent));
                if let Some(sent) = self.pinged_at.take_if(|sent| Some(*sent) == answered) {
                    self.round_trip = Some(now.saturating_sub(sent));
                }
            }
            Kind::Close => self.closed_by_peer(item, now),
            Kind::Text | Kind::Binary => {}
        }
    }

    fn closed_by_peer(&mut self, item: &Item, now: u64) {
        let payload = self.inbox.payload(item);
        let (code, reason) = match payload.split_first_chunk::<2>() {
            Some((code, reason)) => (u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into_owned()),
            None => (1005, String::new()),
        };
        if self.phase == Phase::Closing {
            // The answer to our close.
            self.finish();
            return;
        }
        // The same code goes back; one that must not be sent is answered with the plain one.
        let answer = if matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) { code } else { 1000 };
        self.begin_closing(now, answer, Closed::ByPeer { code, reason: reason.into() });
    }

    fn begin_closing(&mut self, now: u64, code: u16, ending: Closed) {
        self.phase = Phase::Closing;
        self.ending = Some(ending);
        self.deadline = now.saturating_add(self.options.close_timeout);
        self.outbox.push_control(Kind::Close, &code.to_be_bytes());
        self.flush();
    }

    /// The peer broke the protocol: it is told, if the socket takes it now, and given up.
    #[cold]
    fn refuse(&mut self, error: FrameError) {
        self.outbox.push_control(Kind::Close, &error.close_code().to_be_bytes());
        self.flush();
        // The flush itself may have ended it; the peer's fault is the better story.
        self.ending = None;
        self.end(Closed::Protocol(error));
    }

    #[cold]
    fn ping(&mut self, now: u64) {
        self.next_ping = now.saturating_add(self.options.ping_interval);
        if self.outbox.push_control(Kind::Ping, &now.to_be_bytes()) {
            self.pinged_at = Some(now);
        }
    }

    /// The phases before and after `Open`.
    #[cold]
    fn progress(&mut self, now: u64) {
        loop {
            let before = self.phase;
            match self.phase {
                Phase::Connecting => self.progress_connecting(),
                Phase::Tls => self.progress_tls(),
                Phase::Upgrade => self.progress_upgrade(now),
                Phase::Closing => self.flush(),
                Phase::Open | Phase::Closed => return,
            }
            if self.phase == before {
                break;
            }
        }
        if now >= self.deadline {
            match self.phase {
                Phase::Closing => self.finish(),
                phase => self.end(Closed::ConnectTimeout { phase }),
            }
        }
    }

    fn progress_connecting(&mut self) {
        let Some(connecting) = &mut self.connecting else { return };
        let stream = match connecting.poll() {
            Ok(Some(stream)) => Stamped::new(stream, self.clock.clone()),
            Ok(None) => return,
            Err(error) => return self.end_by(error),
        };
        self.connecting = None;
        match &self.tls {
            Some(tls) => match tls.start(stream, self.endpoint.host()) {
                Ok(session) => {
                    self.transport = Some(Transport::Tls(Box::new(session)));
                    self.phase = Phase::Tls;
                }
                Err(error) => self.refuse_tls(&error),
            },
            None => {
                self.transport = Some(Transport::Plain(stream));
                self.begin_upgrade();
            }
        }
    }

    fn progress_tls(&mut self) {
        let Some(Transport::Tls(session)) = &mut self.transport else { return };
        match session.handshake() {
            Ok(true) => self.begin_upgrade(),
            Ok(false) => {}
            Err(error) => self.end_by(error),
        }
    }

    fn begin_upgrade(&mut self) {
        let mut nonce = [0; 16];
        let mut seed = [0; 8];
        let random = rustls::crypto::ring::default_provider().secure_random;
        if random.fill(&mut nonce).and_then(|()| random.fill(&mut seed)).is_err() {
            return self.end(Closed::BadUpgrade("the system gives no random bytes"));
        }
        let (request, key) = upgrade::request(&self.endpoint, nonce);
        self.key = key;
        self.outbox.masks = u64::from_ne_bytes(seed);
        self.outbox.bytes.extend_from_slice(&request);
        self.phase = Phase::Upgrade;
        self.flush();
    }

    fn progress_upgrade(&mut self, now: u64) {
        self.flush();
        while self.phase == Phase::Upgrade {
            match upgrade::judge(self.inbox.unread(), &self.key) {
                Answer::Partial if self.fill(now) => {}
                Answer::Partial => return,
                Answer::Open(head) => {
                    self.inbox.skip(head);
                    self.phase = Phase::Open;
                    self.heard_at = now;
                    if self.options.ping_interval > 0 {
                        self.next_ping = now.saturating_add(self.options.ping_interval);
                    }
                }
                Answer::Refused { status, retry_after } => {
                    self.end(Closed::UpgradeRefused { status, retry_after })
                }
                Answer::Wrong(why) => self.end(Closed::BadUpgrade(why)),
            }
        }
    }

    #[cold]
    fn end_by_eof(&mut self) {
        match self.phase {
            Phase::Closing => self.finish(),
            phase => self.end(Closed::Eof { phase }),
        }
    }

    #[cold]
    fn end_by(&mut self, error: io::Error) {
        if self.phase == Phase::Closing {
            // Both sides had said that they are done; how the line then broke is of no interest.
            return self.finish();
        }
        let phase = self.phase;
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.end(Closed::Eof { phase });
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => self.end(Closed::Tls { why: tls.to_string().into() }),
            None => self.end(Closed::Io { phase, kind: error.kind() }),
        }
    }

    #[cold]
    fn refuse_tls(&mut self, error: &super::tls::TlsError) {
        self.end(Closed::Tls { why: error.to_string().into() });
    }

    /// The end of an orderly close: the reason was known when it began.
    fn finish(&mut self) {
        self.flush_last();
        let ending = self.ending.take().unwrap_or(Closed::ByUs);
        self.end(ending);
    }

    fn flush_last(&mut self) {
        if let Some(transport) = &mut self.transport {
            // As far as the socket takes it now; nobody waits for more.
            let _ = self.outbox.write_to(transport);
            transport.finish();
        }
    }

    fn end(&mut self, why: Closed) {
        self.phase = Phase::Closed;
        self.connecting = None;
        self.transport = None;
        self.outbox.clear();
        self.ending = Some(why);
    }
}

/// Frames that wait for the socket, in a buffer that is allocated once.
#[derive(Debug)]
struct Outbox {
    bytes: Vec<u8>,
    /// How many of them are written.
    written: usize,
    capacity: usize,
    /// The state of the generator of masks; seeded by the system's randomness.
    masks: u64,
}

/// Kept free of messages, so that pongs and the close find room.
const CONTROL_RESERVE: usize = 1024;

impl Outbox {
    fn new(capacity: usize) -> Self {
        // The upgrade's request goes through here, too, and is longer than a page only for an absurd path.
        let capacity = capacity.max(4096);
        Self {
            bytes: Vec::with_capacity(capacity.saturating_add(CONTROL_RESERVE)),
            written: 0,
            capacity,
            masks: 0,
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline]
    fn push(&mut self, kind: Kind, payload: &[u8]) -> Result<(), SendError> {
        let size = frame::encoded_length(payload.len());
        if size > self.capacity {
            return Err(SendError::TooBig { size: payload.len(), capacity: self.capacity });
        }
        if !self.make_room(size, self.capacity) {
            return Err(SendError::Full);
        }
        let mask = self.next_mask();
        frame::encode(kind, payload, mask, &mut self.bytes);
        Ok(())
    }

    fn push_control(&mut self, kind: Kind, payload: &[u8]) -> bool {
        if !self
            .make_room(frame::encoded_length(payload.len()), self.capacity.saturating_add(CONTROL_RESERVE))
        {
            return false;
        }
        let mask = self.next_mask();
        frame::encode(kind, payload, mask, &mut self.bytes);
        true
    }

    /// Is there room for `size` more bytes below `limit`, if what is written is dropped from the front?
    #[inline]
    fn make_room(&mut self, size: usize, limit: usize) -> bool {
        if self.bytes.len().saturating_add(size) <= limit {
            return true;
        }
        self.bytes.drain(..self.written);
        self.written = 0;
        self.bytes.len().saturating_add(size) <= limit
    }

    #[inline]
    fn write_to(&mut self, transport: &mut Transport) -> io::Result<()> {
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match transport.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written = self.written.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.clear();
        transport.flush()
    }

    #[inline]
    fn clear(&mut self) {
        self.bytes.clear();
        self.written = 0;
    }

    /// splitmix64: cannot be foretold by who does not know the seed, and costs a nanosecond.
    #[inline]
    fn next_mask(&mut self) -> u32 {
        self.masks = self.masks.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.masks ^ (self.masks >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) as u32
    }
}
