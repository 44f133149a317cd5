//! The world as loops see it: a clock and sockets. Real in production, seeded in the simulator; never chosen by the loop.

use crate::core::time::Nanos;
use crate::net::tls::TlsClient;
use crate::net::websocket::{Closed, Message, Phase, SendError, WebSocket, WebSocketOptions};
use crate::net::{Endpoint, EndpointError};
use crate::threads::resolver::Addresses;

pub trait Clock: Clone + Send {
    fn now(&self) -> Nanos;
}

impl Clock for crate::sys::clock::Clock {
    #[inline]
    fn now(&self) -> Nanos {
        Nanos::new(crate::sys::clock::Clock::now(self))
    }
}

/// A message stream that is polled. `net::websocket` is the real one.
pub trait Socket {
    fn poll(&mut self, now: Nanos) -> Phase;
    fn read(&mut self, now: Nanos) -> Result<Option<Message<'_>>, Closed>;
    fn send_text(&mut self, text: &[u8]) -> Result<(), SendError>;
    fn is_flushed(&self) -> bool;
    fn close(&mut self, now: Nanos);
    fn ending(&self) -> Option<&Closed>;
}

/// Makes sockets of one endpoint.
pub trait Dial {
    type Socket: Socket;
    /// Begins to connect to a path of the endpoint; what is wrong shows at the first poll.
    fn dial(&mut self, path: &str, now: Nanos) -> Result<Self::Socket, EndpointError>;
}

impl Socket for WebSocket {
    #[inline]
    fn poll(&mut self, now: Nanos) -> Phase {
        WebSocket::poll(self, now.raw())
    }
    #[inline]
    fn read(&mut self, now: Nanos) -> Result<Option<Message<'_>>, Closed> {
        WebSocket::read(self, now.raw())
    }
    #[inline]
    fn send_text(&mut self, text: &[u8]) -> Result<(), SendError> {
        WebSocket::send_text(self, text)
    }
    #[inline]
    fn is_flushed(&self) -> bool {
        WebSocket::is_flushed(self)
    }
    fn close(&mut self, now: Nanos) {
        WebSocket::close(self, now.raw());
    }
    fn ending(&self) -> Option<&Closed> {
        WebSocket::ending(self)
    }
}

/// Dials the kernel. Names are resolved off the hot threads (`resolver`); addresses are tried in turn.
#[derive(Clone, Debug)]
pub struct NetDial {
    endpoint: Endpoint,
    addresses: Addresses,
    tls: Option<TlsClient>,
    options: WebSocketOptions,
    clock: crate::sys::clock::Clock,
}

impl NetDial {
    pub fn new(
        endpoint: Endpoint,
        addresses: impl Into<Addresses>,
        tls: Option<TlsClient>,
        options: WebSocketOptions,
        clock: crate::sys::clock::Clock,
    ) -> Self {
        Self { endpoint, addresses: addresses.into(), tls, options, clock }
    }
}

impl Dial for NetDial {
    type Socket = WebSocket;

    fn dial(&mut self, path: &str, now: Nanos) -> Result<WebSocket, EndpointError> {
        let endpoint = self.endpoint.with_path(path)?;
        let address = self.addresses.next_to_try();
        let (tls, clock) = (self.tls.as_ref(), self.clock.clone());
        Ok(WebSocket::connect(&endpoint, address, tls, self.options, clock, now.raw()))
    }
}
