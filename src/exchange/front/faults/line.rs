//! One TCP connection that can be broken on purpose: below TLS, so that what the client meets is what a network does.
//!
//! A [`Line`] is what the control endpoint holds; a [`Breakable`] is the stream that obeys it. Promise: without an order to the contrary bytes pass
//! unchanged. Only a venue that was started with its control endpoint wraps its connections at all.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::Kind;

/// How often a silent or slow line looks whether it may go on.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// The interval over which a slow line counts its bytes.
const SLOW_TICK: Duration = Duration::from_millis(20);

/// The control endpoint's end of one connection.
pub struct Line {
    pub number: u64,
    pub peer_port: u16,
    pub since: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kind: Kind,
    silent_until: Option<Instant>,
    /// Bytes per second that the venue reads, at most.
    read_rate: Option<u32>,
    /// How much longer each message waits before it is written.
    lag: Duration,
    ending: Ending,
    /// What has been read in the current tick of a slow line.
    tick: Option<(Instant, usize)>,
    wakers: [Option<Waker>; 2],
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    No,
    /// Half of the next write leaves, then a reset.
    InNextWrite,
    Now,
}

#[derive(Clone, Copy)]
enum Way {
    In = 0,
    Out = 1,
}

impl Line {
    pub fn new(number: u64, peer_port: u16) -> Arc<Line> {
        Arc::new(Line { number, peer_port, since: Instant::now(), state: Mutex::default() })
    }

    pub fn kind(&self) -> Kind {
        self.state().kind
    }

    pub fn set_kind(&self, kind: Kind) {
        self.state().kind = kind;
    }

    /// Nothing is read and nothing written until then; the connection stays open.
    pub fn silence(&self, until: Instant) {
        self.state().silent_until = Some(until);
        self.wake();
    }

    pub fn read_slowly(&self, bytes_per_second: u32) {
        self.state().read_rate = Some(bytes_per_second.max(1));
        self.wake();
    }

    pub fn lag(&self) -> Duration {
        self.state().lag
    }

    pub fn set_lag(&self, lag: Duration) {
        self.state().lag = lag;
    }

    /// Ends the connection with a TCP reset: at once, or in the middle of the next write.
    pub fn reset(&self, in_frame: bool) {
        self.state().ending = if in_frame { Ending::InNextWrite } else { Ending::Now };
        self.wake();
    }

    /// Takes back everything but a reset.
    pub fn heal(&self) {
        let mut state = self.state();
        state.silent_until = None;
        state.read_rate = None;
        state.lag = Duration::ZERO;
        if state.ending == Ending::InNextWrite {
            state.ending = Ending::No;
        }
        drop(state);
        self.wake();
    }

    fn wake(&self) {
        let wakers = std::mem::take(&mut self.state().wakers);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A TCP stream that obeys its [`Line`].
pub struct Breakable {
    stream: TcpStream,
    line: Arc<Line>,
    pauses: [Option<Pin<Box<Sleep>>>; 2],
}

impl Breakable {
    pub fn new(stream: TcpStream, line: Arc<Line>) -> Breakable {
        Breakable { stream, line, pauses: [None, None] }
    }

    /// Pending while the line is silent, an error when it is broken; how much may pass otherwise.
    fn allowed(&mut self, way: Way, wanted: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let pause = {
                let mut state = self.line.state();
                if state.ending == Ending::Now {
                    drop(state);
                    return Poll::Ready(Err(self.broken()));
                }
                let silent = state.silent_until.is_some_and(|until| Instant::now() < until);
                let room = match (silent, way, state.read_rate) {
                    (true, ..) => 0,
                    (false, Way::In, Some(rate)) => state.room(rate),
                    _ => return Poll::Ready(Ok(wanted)),
                };
                if room > 0 {
                    return Poll::Ready(Ok(room.min(wanted)));
                }
                state.wakers[way as usize] = Some(cx.waker().clone());
                &mut self.pauses[way as usize]
            };
            let sleep = pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(LOOK_AGAIN)));
            match sleep.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => *pause = None,
            }
        }
    }

    /// The reset itself happens when the stream is dropped, which is what an error makes its owner do.
    fn broken(&self) -> io::Error {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        io::ErrorKind::ConnectionReset.into()
    }

    fn remember(&self, way: Way, cx: &Context<'_>) {
        self.line.state().wakers[way as usize] = Some(cx.waker().clone());
    }
}

impl State {
    /// Bytes that a slow line may still read in this tick.
    fn room(&mut self, rate: u32) -> usize {
        let now = Instant::now();
        let per_tick = (rate as usize * SLOW_TICK.as_millis() as usize / 1000).max(1);
        match self.tick {
            Some((began, read)) if now.duration_since(began) < SLOW_TICK => per_tick.saturating_sub(read),
            _ => {
                self.tick = Some((now, 0));
                per_tick
            }
        }
    }
}

impl AsyncRead for Breakable {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = match this.allowed(Way::In, buffer.remaining(), cx) {
            Poll::Ready(Ok(room)) => room,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        let mut part = buffer.take(room);
        let polled = Pin::new(&mut this.stream).poll_read(cx, &mut part);
        let read = part.filled().len();
        match polled {
            Poll::Ready(Ok(())) => {
                // The part is the beginning of what was unfilled, and the stream has written all of it.
                let bytes = part.filled().to_vec();
                buffer.put_slice(&bytes);
                if let Some((_, sum)) = &mut this.line.state().tick {
                    *sum += read;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                this.remember(Way::In, cx);
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.allowed(Way::Out, bytes.len(), cx) {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
        let in_frame = this.line.state().ending == Ending::InNextWrite;
        let part = if in_frame { &bytes[..bytes.len().div_ceil(2)] } else { bytes };
        let polled = Pin::new(&mut this.stream).poll_write(cx, part);
        match polled {
            Poll::Ready(Ok(_)) if in_frame => {
                this.line.reset(false);
                Poll::Ready(Err(this.broken()))
            }
            Poll::Pending => {
                this.remember(Way::Out, cx);
                Poll::Pending
            }
            done => done,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.line.state().ending == Ending::Now {
            return Poll::Ready(Err(this.broken()));
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
