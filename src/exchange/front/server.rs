//! The doors: TCP, TLS, HTTP, and the switch to WebSockets, by path.
//!
//! One port serves REST (`/fapi/...`), streams (`/ws`, `/stream`, and the same under `/public`, `/market`, `/private`) and the WebSocket API (`/ws-fapi/v1`).
//! Connections, request bodies and header sizes are bounded; whatever is malformed ends its own connection only.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::super::{ApiError, Product};
use super::faults::Kind;
use super::faults::line::{Breakable, Line};
use super::floor::{Floor, note};
use super::hub::Connection;
use super::params::Params;
use super::refusal::Refusal;
use super::streams::Address;
use super::{api_socket, market_socket, rest, shapes, socket};

const LARGEST_BODY: usize = 64 * 1024;
const LARGEST_HEAD: usize = 64 * 1024;
/// For a TLS handshake, and for a request's body.
const HANDSHAKE: Duration = Duration::from_secs(10);
const MOST_CONNECTIONS: usize = 1024;

pub(super) type Answer = Response<Full<Bytes>>;

/// How a TLS connection begins: with the certificate that clients trust, or on order with one that they must not.
#[derive(Clone)]
pub struct Tls {
    pub trusted: TlsAcceptor,
    pub stranger: Option<TlsAcceptor>,
}

/// Accepts for ever; with `tls` every connection begins with a handshake.
pub async fn accept(mut listener: TcpListener, tls: Option<Tls>, floor: Rc<Floor>, open: Rc<Cell<usize>>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            until = floor.faults.away() => {
                listener = absence(listener, until).await;
                continue;
            }
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: wait for some to come back instead of spinning.
                note(&format_args!("cannot accept: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if open.get() >= MOST_CONNECTIONS {
            continue;
        }
        let _ = stream.set_nodelay(true);
        let held = Held::new(&open);
        let (floor, tls) = (floor.clone(), tls.clone());
        tokio::task::spawn_local(async move {
            let _held = held;
            if floor.config.control {
                let line = floor.faults.connected(peer.port());
                let stream = Breakable::new(stream, line.clone());
                begin(stream, peer, Some(line), tls, floor).await;
            } else {
                begin(stream, peer, None, tls, floor).await;
            }
        });
    }
}

/// Nothing listens until then; the same port afterwards, for as long as it takes to get it back.
async fn absence(listener: TcpListener, until: Instant) -> TcpListener {
    let address = listener.local_addr();
    drop(listener);
    tokio::time::sleep_until(until.into()).await;
    loop {
        let again = match &address {
            Ok(address) => TcpListener::bind(address).await,
            Err(error) => Err(error.kind().into()),
        };
        match again {
            Ok(listener) => return listener,
            Err(error) => note(&format_args!("cannot listen again: {error}")),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn begin<S>(stream: S, peer: SocketAddr, line: Option<Arc<Line>>, tls: Option<Tls>, floor: Rc<Floor>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = tls else { return speak_http(stream, peer, line, floor).await };
    let acceptor = match &tls.stranger {
        Some(stranger) if floor.faults.shows_wrong_certificate() => stranger,
        _ => &tls.trusted,
    };
    // A client that does not trust us, or that speaks no TLS, is its own problem.
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        speak_http(stream, peer, line, floor).await;
    }
}

/// One place among [`MOST_CONNECTIONS`].
struct Held(Rc<Cell<usize>>);

impl Held {
    fn new(open: &Rc<Cell<usize>>) -> Held {
        open.set(open.get() + 1);
        Held(open.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn speak_http<S>(stream: S, peer: SocketAddr, line: Option<Arc<Line>>, floor: Rc<Floor>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = peer.ip();
    let service = service_fn(move |request| {
        let (floor, line) = (floor.clone(), line.clone());
        async move { serve(request, address, line, floor).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(60))
        .max_headers(64)
        .max_buf_size(LARGEST_HEAD);
    // An error here is a client that broke off or spoke no HTTP.
    let _ = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

/// Why there is no answer: the connection ends instead.
#[derive(Debug, thiserror::Error)]
#[error("no answer, on order")]
pub(super) struct NoAnswer;

async fn serve(
    request: Request<Incoming>,
    peer: IpAddr,
    line: Option<Arc<Line>>,
    floor: Rc<Floor>,
) -> Result<Answer, NoAnswer> {
    if let Some(door) = Door::of(floor.product, request.uri().path(), request.uri().query().unwrap_or("")) {
        return Ok(match upgrade(request, door, peer, line, floor) {
            Ok(answer) => answer,
            Err(refusal) => refused(&refusal),
        });
    }
    if floor.faults.is_shut(Kind::Rest) {
        return Ok(refused(&unavailable()));
    }
    let (head, body) = request.into_parts();
    let body = match tokio::time::timeout(HANDSHAKE, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let error = ApiError::with(
                -1101,
                format!("Request body is larger than {LARGEST_BODY} bytes, or broke off."),
            );
            return Ok(refused(&Refusal { status: 413, error, retry_after_ms: None, data: None }));
        }
        Err(_) => {
            return Ok(refused(&Refusal {
                status: 408,
                error: ApiError::TIMEOUT,
                retry_after_ms: None,
                data: None,
            }));
        }
    };
    rest::serve(&head, &body.to_bytes(), peer, line.as_deref(), &floor).await
}

/// What a WebSocket's path leads to.
struct Door {
    kind: DoorKind,
    address: Address,
}

enum DoorKind {
    Streams { combined: bool, names: Vec<String>, listen_key: Option<String>, events: Vec<String> },
    Api { return_rate_limits: bool },
}

impl Door {
    fn of(product: Product, path: &str, query: &str) -> Option<Door> {
        let api = match product {
            Product::UsdmPerpetual => "/ws-fapi/v1",
            Product::Spot => "/ws-api/v3",
        };
        if path.strip_suffix('/').unwrap_or(path) == api {
            let return_rate_limits = !query.split('&').any(|pair| pair == "returnRateLimits=false");
            return Some(Door { kind: DoorKind::Api { return_rate_limits }, address: Address::Api });
        }
        let (address, rest) =
            [("/public", Address::Public), ("/market", Address::Market), ("/private", Address::Private)]
                .into_iter()
                .find_map(|(prefix, address)| Some((address, path.strip_prefix(prefix)?)))
                .filter(|_| product == Product::UsdmPerpetual)
                .unwrap_or((Address::Unified, path));
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (query, _) = Params::from_http(query, "").ok()?;
        let split =
            |names: &str| names.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let (combined, names): (bool, Vec<String>) = match rest {
            "/ws" => (false, Vec::new()),
            "/stream" => (true, query.raw("streams").map(split).unwrap_or_default()),
            other => (false, split(&decoded(other.strip_prefix("/ws/")?))),
        };
        let listen_key = query.raw("listenKey").map(str::to_owned);
        let events = query.raw("events").map(split).unwrap_or_default();
        Some(Door { kind: DoorKind::Streams { combined, names, listen_key, events }, address })
    }
}

impl Door {
    fn kind_of_connection(&self) -> Kind {
        match &self.kind {
            DoorKind::Api { .. } => Kind::Api,
            DoorKind::Streams { listen_key: Some(_), .. } => Kind::Private,
            DoorKind::Streams { .. } if self.address == Address::Private => Kind::Private,
            DoorKind::Streams { .. } => Kind::Market,
        }
    }
}

fn unavailable() -> Refusal {
    let error = ApiError::new(-1016, "This service is no longer available.");
    Refusal { status: 503, error, retry_after_ms: None, data: None }
}

/// `%40` is how some clients write the `@` of a stream's name.
fn decoded(path: &str) -> String {
    path.replace("%40", "@").replace("%2F", "/")
}

fn upgrade(
    mut request: Request<Incoming>,
    door: Door,
    peer: IpAddr,
    line: Option<Arc<Line>>,
    floor: Rc<Floor>,
) -> Result<Answer, Refusal> {
    let accept = accept_key(&request)?;
    if floor.is_shutting_down() {
        return Err(unavailable());
    }
    let kind = door.kind_of_connection();
    if floor.faults.is_shut(kind) {
        return Err(unavailable());
    }
    if let Some(line) = &line {
        floor.faults.is_for(line, kind);
    }
    if let DoorKind::Streams { listen_key: Some(key), .. } = &door.kind
        && floor.listen_keys.borrow().account(floor.now_ms(), key).is_none()
    {
        return Err(ApiError::INVALID_LISTEN_KEY.into());
    }
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::task::spawn_local(async move {
        let Ok(upgraded) = upgrading.await else { return };
        let io = TokioIo::new(upgraded);
        let socket =
            WebSocketStream::from_raw_socket(io, Role::Server, Some(socket::websocket_config())).await;
        match door.kind {
            DoorKind::Api { return_rate_limits } => {
                let connection =
                    Connection::new(door.address, false, Vec::new(), floor.config.outbox_limit, line);
                api_socket::serve(socket, floor, connection, peer, return_rate_limits).await;
            }
            DoorKind::Streams { combined, mut names, listen_key, events } => {
                let limit = match door.address {
                    Address::Private => floor.config.outbox_limit,
                    _ => floor.outbox_limit(),
                };
                names.extend(listen_key);
                let connection = Connection::new(door.address, combined, events, limit, line);
                market_socket::serve(socket, floor, connection, names).await;
            }
        }
    });
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(answer)
}

/// The handshake's answer to the client's key, if it is a WebSocket handshake at all.
fn accept_key(request: &Request<Incoming>) -> Result<HeaderValue, Refusal> {
    let has = |name: header::HeaderName, word: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    let wrong = |text: &'static str| Refusal {
        status: 400,
        error: ApiError::new(-1000, text),
        retry_after_ms: None,
        data: None,
    };
    if request.method() != Method::GET
        || !has(header::UPGRADE, "websocket")
        || !has(header::CONNECTION, "upgrade")
    {
        return Err(wrong("This path speaks WebSocket: send an Upgrade request."));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(wrong("Only WebSocket version 13 is supported."));
    }
    let key = request
        .headers()
        .get(header::SEC_WEBSOCKET_KEY)
        .ok_or_else(|| wrong("Sec-WebSocket-Key is missing."))?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| wrong("Sec-WebSocket-Key is malformed."))
}

pub(super) fn json(status: u16, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    answer
}

pub(super) fn refused(refusal: &Refusal) -> Answer {
    let text = match &refusal.data {
        None => shapes::error(&refusal.error),
        Some(data) => shapes::error_with(&refusal.error, data),
    };
    let mut answer = json(refusal.status, text);
    if let Some(retry_after_ms) = refusal.retry_after_ms {
        number(answer.headers_mut(), "retry-after", retry_after_ms.div_ceil(1000));
    }
    answer
}

pub(super) fn number(headers: &mut HeaderMap, name: &'static str, value: u64) {
    headers.insert(name, HeaderValue::from(value));
}
