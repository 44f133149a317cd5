//! The embedded venue's front door: Binance spot or USD-M futures as a client sees it, over TLS, HTTP and WebSocket.
//!
//! ```text
//!  accept (TLS) ── server ──┬─ rest ─────────┐
//!                           ├─ api_socket ───┤ params, requests      floor                 hub
//!                           └─ market_socket ┘ answers ───────────── Exchange::execute ──> outboxes ──> sockets
//!                                              limits, keys          Exchange::advance  ──/   (play: the market's clock)
//! ```
//!
//! Built on tokio, hyper and tokio-tungstenite, on one thread; the engine that dials it uses none of them, and shares no code with it, so both
//! ends of a socket do not share a bug. Promises: messages on a socket are in the matching engine's order; everything that waits is bounded; a recording's
//! messages leave byte for byte, and its end is a close frame (1001 "recording ended") behind the last of them.
//!
//! What a client should know of a recording: playback begins when one client has subscribed to depth, trades and best prices, or
//! 200 ms after the latest subscription; it waits for readers that fall behind by more than `high_water` bytes. In a live (agents') market a reader
//! that falls behind by more than `outbox_limit` bytes is disconnected instead.

mod algos;
mod answers;
mod api_socket;
mod authority;
mod diary;
mod faults;
mod floor;
mod hub;
pub mod json;
mod keys;
pub mod limits;
mod listen_keys;
mod market_socket;
mod outbox;
pub mod params;
mod refusal;
pub mod requests;
mod rest;
mod server;
pub mod shapes;
mod socket;
mod spot;
pub mod streams;
#[cfg(test)]
mod tests;
mod tickers;

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio_rustls::TlsAcceptor;

use super::{Ending, ExchangeConfig};
pub use authority::Authority;
use floor::Floor;
pub use hub::{RECORDING_DAMAGED, RECORDING_ENDED};
pub use keys::KeyRing;
pub use limits::LimitsConfig;

/// How the front behaves; the exchange behind it has its own configuration.
#[derive(Clone, Debug)]
pub struct FrontConfig {
    pub limits: LimitsConfig,
    pub listen_key_validity: Duration,
    /// Bytes that may wait for one reader before it is disconnected.
    pub outbox_limit: usize,
    /// Bytes that may wait for one reader before a recording's playback waits too.
    pub high_water: usize,
    /// A reader that keeps a recording waiting this long without taking a single message is disconnected.
    pub stall_timeout: Duration,
    /// How long a depth request may wait for a recording to reach its snapshot.
    pub depth_wait: Duration,
    pub ping_every: Duration,
    pub pong_timeout: Duration,
    pub longest_connection: Duration,
    /// Whether faults can be ordered: a port of its own takes them (see [`faults`]).
    pub control: bool,
    /// The folder in which the venue keeps what it is, to come back with it; `None`: each start is a new venue.
    pub state: Option<PathBuf>,
    /// Told when a recording turns out to be damaged; what was played before stays as it was.
    pub damaged: fn(&Ending),
}

impl Default for FrontConfig {
    fn default() -> Self {
        Self {
            limits: LimitsConfig::default(),
            listen_key_validity: Duration::from_secs(60 * 60),
            outbox_limit: 8 << 20,
            high_water: 1 << 20,
            stall_timeout: Duration::from_secs(60),
            depth_wait: Duration::from_secs(10),
            ping_every: Duration::from_secs(3 * 60),
            pong_timeout: Duration::from_secs(10 * 60),
            longest_connection: Duration::from_secs(24 * 60 * 60),
            control: false,
            state: None,
            damaged: |_| {},
        }
    }
}

/// A venue that has its ports, and is not serving yet.
pub struct Front {
    tls: TcpListener,
    plain: Option<TcpListener>,
    control: Option<TcpListener>,
    authority: Arc<Authority>,
    keys: KeyRing,
    config: FrontConfig,
}

impl Front {
    /// Takes the ports on loopback (`0`: any free one). A taken port is an error that names it.
    pub fn bind(
        port: u16,
        plain_port: Option<u16>,
        authority: Authority,
        keys: KeyRing,
        config: FrontConfig,
    ) -> anyhow::Result<Front> {
        Ok(Front {
            tls: listen(port)?,
            plain: plain_port.map(listen).transpose()?,
            control: config.control.then(|| listen(0)).transpose()?,
            authority: Arc::new(authority),
            keys,
            config,
        })
    }

    /// The port that speaks TLS.
    pub fn port(&self) -> u16 {
        local_port(&self.tls)
    }

    pub fn plain_port(&self) -> Option<u16> {
        self.plain.as_ref().map(local_port)
    }

    /// The port that takes faults.
    pub fn control_port(&self) -> Option<u16> {
        self.control.as_ref().map(local_port)
    }

    /// The certificate that clients trust.
    pub fn certificate_file(&self) -> PathBuf {
        self.authority.certificate_file().to_owned()
    }

    /// Serves until `stop` is ready, then says goodbye to every connection. Runs on the calling thread alone. `ready` is called when the
    /// exchange stands and clients are served. A recording with a line that cannot be used makes an error at the end.
    pub fn serve(
        self,
        exchange: ExchangeConfig,
        ready: impl FnOnce(),
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the network runtime")?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, self.run(exchange, ready, stop))
    }

    async fn run(
        self,
        exchange: ExchangeConfig,
        ready: impl FnOnce(),
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let acceptor = |authority: &Arc<Authority>| -> anyhow::Result<TlsAcceptor> {
            Ok(TlsAcceptor::from(Arc::new(authority.server_config()?)))
        };
        let stranger = self.config.control.then(|| acceptor(&Arc::new(Authority::stranger()?)));
        let tls = server::Tls { trusted: acceptor(&self.authority)?, stranger: stranger.transpose()? };
        let floor = Floor::new(self.config, self.keys, exchange)?;
        let open = Rc::new(Cell::new(0));
        let mut doors = vec![tokio::task::spawn_local(server::accept(
            tokio_listener(self.tls)?,
            Some(tls),
            floor.clone(),
            open.clone(),
        ))];
        if let Some(plain) = self.plain {
            doors.push(tokio::task::spawn_local(server::accept(
                tokio_listener(plain)?,
                None,
                floor.clone(),
                open.clone(),
            )));
        }
        if let Some(control) = self.control {
            doors.push(tokio::task::spawn_local(faults::control::accept(
                tokio_listener(control)?,
                floor.clone(),
            )));
        }
        let mut stop = std::pin::pin!(stop);
        // Looked at once before anybody is told: what it listens to (signals) is heard from here on.
        let stopped =
            std::future::poll_fn(|cx| std::task::Poll::Ready(stop.as_mut().poll(cx).is_ready())).await;
        ready();
        if !stopped {
            tokio::select! {
                () = floor.play() => {}
                () = stop => {}
            }
        }
        for door in doors {
            door.abort();
        }
        floor.shut_down();
        let goodbye = async {
            while floor.has_connections() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
        if let Some(broken) = floor.take_broken() {
            return Err(broken);
        }
        match floor.ending() {
            Some(damaged @ Ending::BadLine { .. }) => Err(anyhow::anyhow!("{damaged}")),
            _ => Ok(()),
        }
    }
}

fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = match TcpListener::bind(address) {
        Ok(listener) => listener,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!(
                "port {port} is taken: another program listens on {address}; choose another port, or 0 for any free one"
            )
        }
        Err(error) => return Err(error).with_context(|| format!("cannot listen on {address}")),
    };
    listener.set_nonblocking(true).with_context(|| format!("cannot listen on {address}"))?;
    Ok(listener)
}

fn tokio_listener(listener: TcpListener) -> anyhow::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(listener).context("cannot hand a listener to the network runtime")
}

fn local_port(listener: &TcpListener) -> u16 {
    listener.local_addr().map_or(0, |address| address.port())
}
