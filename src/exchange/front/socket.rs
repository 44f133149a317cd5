//! Drives one WebSocket: reads frames for its owner, writes its queue, pings, and ends it in good order.
//!
//! Reading and writing are independent, so a client that does not read can still be heard. Server pings every three minutes, no
//! pong for ten minutes ends the connection, and so does its age ("a single connection is valid for 24 hours").

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::floor::Floor;
use super::hub::Connection;
use super::outbox::Next;

/// How long a close handshake and the last bytes may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// A client's message is a request; the longest is a list of streams.
const LONGEST_MESSAGE: usize = 64 * 1024;

pub fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(32 * 1024)
        .max_message_size(Some(LONGEST_MESSAGE))
        .max_frame_size(Some(LONGEST_MESSAGE))
}

/// Runs until either side ends the connection. `on_text` gets every text message, in order.
pub async fn drive<S>(
    socket: WebSocketStream<S>,
    floor: &Floor,
    connection: &Rc<Connection>,
    messages_per_second: u32,
    on_text: impl FnMut(&str),
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut stream) = socket.split();
    let alive = Cell::new(Instant::now());
    tokio::select! {
        () = read(&mut stream, connection, &alive, messages_per_second, on_text) => {}
        _ = write(&mut sink, floor, connection) => {}
        () = keep_time(floor, connection, &alive) => {}
    }
    if connection.outbox.is_cut() {
        return;
    }
    // A clean end: the client's TLS layer is told too, so it cannot take it for a truncated stream.
    if let Ok(mut socket) = sink.reunite(stream) {
        let _ = tokio::time::timeout(GOODBYE, async {
            let _ = socket.flush().await;
            let _ = socket.get_mut().shutdown().await;
        })
        .await;
    }
}

async fn read<S>(
    stream: &mut SplitStream<WebSocketStream<S>>,
    connection: &Connection,
    alive: &Cell<Instant>,
    messages_per_second: u32,
    mut on_text: impl FnMut(&str),
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut second = (Instant::now(), 0);
    while let Some(Ok(message)) = stream.next().await {
        alive.set(Instant::now());
        match message {
            Message::Text(text) => {
                if second.0.elapsed() > Duration::from_secs(1) {
                    second = (Instant::now(), 0);
                }
                second.1 += 1;
                if second.1 > messages_per_second {
                    connection.outbox.close(CloseCode::Policy, "Too many requests");
                    continue;
                }
                on_text(&text);
            }
            // The library has queued the answer; the writer has to flush it.
            Message::Ping(_) | Message::Close(_) => connection.outbox.poke(),
            Message::Binary(_) => connection.outbox.close(CloseCode::Unsupported, "text messages only"),
            Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

async fn write<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    floor: &Floor,
    connection: &Connection,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let outbox = &connection.outbox;
    loop {
        match outbox.next() {
            Some(Next::Send { message, queued }) => {
                let lag = connection.lag();
                if !lag.is_zero() {
                    tokio::select! {
                        () = tokio::time::sleep_until((queued + lag).into()) => {}
                        () = outbox.cut_requested() => return Ok(()),
                    }
                }
                tokio::select! {
                    sent = sink.feed(message) => sent?,
                    () = outbox.cut_requested() => return Ok(()),
                }
                connection.progress.set(Instant::now());
                floor.drained();
            }
            Some(Next::Close(message)) => {
                tokio::select! {
                    sent = sink.send(message) => sent?,
                    () = outbox.cut_requested() => return Ok(()),
                }
                // The reader ends when the client has answered; a silent client is not waited for.
                tokio::time::sleep(GOODBYE).await;
                return Ok(());
            }
            Some(Next::Cut) => return Ok(()),
            None => {
                tokio::select! {
                    flushed = sink.flush() => flushed?,
                    () = outbox.cut_requested() => return Ok(()),
                }
                // A push during the flush has used up its notification.
                if outbox.is_empty() {
                    outbox.changed().await;
                }
            }
        }
    }
}

async fn keep_time(floor: &Floor, connection: &Connection, alive: &Cell<Instant>) {
    let born = Instant::now();
    let mut next_ping = born + floor.config.ping_every;
    loop {
        let old = born + floor.config.longest_connection;
        tokio::time::sleep_until(next_ping.min(old).into()).await;
        if Instant::now() >= old {
            connection.outbox.close(CloseCode::Away, "connection is 24 hours old");
            tokio::time::sleep(GOODBYE).await;
            return;
        }
        if alive.get().elapsed() > floor.config.pong_timeout {
            connection.outbox.cut();
            return;
        }
        connection.outbox.push(Message::Ping(Bytes::from(floor.now_ms().to_string())));
        next_ping += floor.config.ping_every;
    }
}
