//! A connected stream, plain or under TLS, that knows when its bytes left the socket.
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

use std::io::{self, IoSlice, Read, Write};

use mio::net::TcpStream;

use super::tls::TlsStream;
use crate::sys::clock::Clock;

/// A TCP stream that takes the time right after each read that brought bytes, before anything looks at them.
#[derive(Debug)]
pub struct Stamped {
    stream: TcpStream,
    clock: Clock,
    read_at: u64,
}

impl Stamped {
    pub fn new(stream: TcpStream, clock: Clock) -> Self {
        Self { stream, clock, read_at: 0 }
    }

    /// When the last read that brought bytes returned, unix nanoseconds; 0 before the first.
    #[inline]
    pub fn read_at(&self) -> u64 {
        self.read_at
    }

    /// To register with a `mio::Poll`.
    pub fn source(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

impl Read for Stamped {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        if read > 0 {
            self.read_at = self.clock.now();
        }
        Ok(read)
    }
}

impl Write for Stamped {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    /// rustls hands over several records at once: one system call for all.
    #[inline]
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(pieces)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The two kinds behind one face. Both never block: `WouldBlock` says "not now".
#[derive(Debug)]
pub enum Transport {
    Plain(Stamped),
    Tls(Box<TlsStream>),
}

impl Transport {
    #[inline]
    pub fn read_at(&self) -> u64 {
        match self {
            Self::Plain(stream) => stream.read_at(),
            Self::Tls(session) => session.stream().read_at(),
        }
    }

    /// Everything written is with the kernel.
    #[inline]
    pub fn is_flushed(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(session) => session.is_flushed(),
        }
    }

    pub fn source(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream.source(),
            Self::Tls(session) => session.stream_mut().source(),
        }
    }

    /// Says goodbye as far as the socket takes it now.
    pub fn finish(&mut self) {
        if let Self::Tls(session) = self {
            session.send_close_notify();
            // Whether or not it goes out: the connection ends here.
            let _ = session.flush();
        }
    }
}

impl Read for Transport {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(session) => session.read(buffer),
        }
    }
}

impl Write for Transport {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(session) => session.write(bytes),
        }
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(session) => session.flush(),
        }
    }
}
