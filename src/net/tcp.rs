//! TCP that never blocks.
//!
//! A [`Connecting`] is polled until it gives a connected stream, an error, or its deadline passes. Name resolution blocks
//! for as long as the system's resolver likes, so it is a function of its own for a cold thread.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("cannot resolve the name {host}: {source}")]
    Failed { host: String, source: io::Error },
    #[error("the name {host} has no address")]
    NoAddress { host: String },
}

/// The addresses of a host, in the resolver's order. Blocks: never on a hot thread.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    let found = (host, port).to_socket_addrs();
    let found: Vec<_> =
        found.map_err(|source| ResolveError::Failed { host: host.to_owned(), source })?.collect();
    if found.is_empty() { Err(ResolveError::NoAddress { host: host.to_owned() }) } else { Ok(found) }
}

/// What std does not set. `None` leaves the system's default.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpOptions {
    pub receive_buffer: Option<usize>,
    pub send_buffer: Option<usize>,
    /// `SO_BUSY_POLL`, microseconds: the kernel polls the network card while a read waits. Needs support of the card's driver.
    pub busy_poll: Option<u32>,
}

/// A connection being made.
#[derive(Debug)]
pub struct Connecting {
    /// Taken when the answer was given.
    stream: Option<TcpStream>,
}

impl Connecting {
    /// Begins to connect, without delay of small writes (`TCP_NODELAY`). Buffer sizes are set first: the window's scale is
    /// agreed in the first segment.
    pub fn start(address: SocketAddr, options: &TcpOptions) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(bytes) = options.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = options.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        #[cfg(target_os = "linux")]
        if let Some(microseconds) = options.busy_poll {
            socket.set_busy_poll(microseconds)?;
        }
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        Ok(Self { stream: Some(TcpStream::from_std(socket.into())) })
    }

    /// The connected stream once, `None` before and after; an error ends it.
    pub fn poll(&mut self) -> io::Result<Option<TcpStream>> {
        let Some(stream) = &self.stream else { return Ok(None) };
        if let Some(error) = stream.take_error()? {
            self.stream = None;
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(self.stream.take()),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(None),
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        }
    }

    /// To register with a `mio::Poll`, for threads that park.
    pub fn source(&mut self) -> Option<&mut TcpStream> {
        self.stream.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    fn finish(connecting: &mut Connecting) -> io::Result<TcpStream> {
        let began = Instant::now();
        loop {
            if let Some(stream) = connecting.poll()? {
                return Ok(stream);
            }
            assert!(began.elapsed() < Duration::from_secs(5), "never answered");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_connection_is_made_without_delay_of_small_writes_and_carries_bytes_both_ways() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let options =
            TcpOptions { receive_buffer: Some(1 << 16), send_buffer: Some(1 << 16), busy_poll: None };
        let mut connecting = Connecting::start(listener.local_addr().unwrap(), &options).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut stream = finish(&mut connecting).unwrap();
        assert!(connecting.poll().unwrap().is_none(), "the stream is given once");
        assert!(stream.nodelay().unwrap());
        let nothing = stream.read(&mut [0; 8]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        stream.write_all(b"ping").unwrap();
        let mut got = [0; 4];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"ping");
    }

    #[test]
    fn a_closed_port_is_refused() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused =
            Connecting::start(address, &TcpOptions::default()).and_then(|mut c| finish(&mut c)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn numbers_and_the_local_name_resolve_and_a_wrong_name_is_named() {
        assert_eq!(resolve("127.0.0.1", 80).unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert!(resolve("localhost", 80).unwrap().iter().all(|address| address.ip().is_loopback()));
        let said = resolve("no such name", 80).unwrap_err().to_string();
        assert!(said.contains("no such name"), "{said}");
    }
}
