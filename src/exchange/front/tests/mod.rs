//! The front, from the outside: real TLS sockets on loopback, a plain HTTP/1.1 client written here, and tokio-tungstenite's client.

mod api;
mod dialect;
mod faults;
mod limits;
mod recording;
mod rest;
mod shapes;
mod spot;
mod state;
mod streams;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signer, SigningKey};
use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::super::*;
use super::{Authority, Front, FrontConfig, KeyRing};

/// Patience of a test: nothing here takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(20);

const HMAC_KEY: &str = "hmacKeyOfAccountOne0123456789";
const HMAC_SECRET: &str = "a secret of account one";
const OTHER_KEY: &str = "hmacKeyOfAccountTwo0123456789";
const ED25519_KEY: &str = "ed25519KeyOfAccountOne0123456";
const ED25519_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

/// A running venue; stops when dropped.
struct Venue {
    port: u16,
    control: Option<u16>,
    tls: TlsConnector,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
    _folder: tempfile::TempDir,
}

/// Two accounts on one quiet instrument: nothing happens but what tests do.
fn quiet() -> ExchangeConfig {
    ExchangeConfig {
        market: MarketConfig::Quiet,
        accounts: vec![AccountSpec::default(); 2],
        ..ExchangeConfig::default()
    }
}

impl Venue {
    fn start(exchange: ExchangeConfig) -> Venue {
        Venue::start_with(exchange, FrontConfig::default())
    }

    fn start_with(exchange: ExchangeConfig, config: FrontConfig) -> Venue {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::open_or_create(&folder.path().join("ca")).expect("an authority");
        let keys = KeyRing::parse(&format!(
            "[[key]]\nkind='hmac'\naccount=1\napi_key='{HMAC_KEY}'\nsecret='{HMAC_SECRET}'\n\
             [[key]]\nkind='hmac'\naccount=2\napi_key='{OTHER_KEY}'\nsecret='{HMAC_SECRET}'\n\
             [[key]]\nkind='ed25519'\naccount=1\napi_key='{ED25519_KEY}'\nprivate_key='''{ED25519_PRIVATE}'''\n"
        ))
        .expect("keys");
        let front = Front::bind(0, None, authority, keys, config).expect("a port");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(front.certificate_file()).expect("ca.pem")).expect("a root");
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (port, control) = (front.port(), front.control_port());
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || front.serve(exchange, || {}, async { drop(stopped.await) }));
        Venue {
            port,
            control,
            tls: TlsConnector::from(Arc::new(client)),
            stop: Some(stop),
            thread: Some(thread),
            _folder: folder,
        }
    }

    /// Stops it and tells how it ended.
    fn end(mut self) -> anyhow::Result<()> {
        self.stop.take();
        self.thread.take().expect("still there").join().expect("the venue does not panic")
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).await.expect("connects");
        tcp.set_nodelay(true).expect("nodelay");
        self.handshake(tcp).await
    }

    async fn handshake(&self, tcp: TcpStream) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        self.tls.connect(name, tcp).await.expect("the certificate is trusted by file")
    }

    async fn http(&self, method: &str, target: &str, api_key: Option<&str>, body: &str) -> Answer {
        let mut stream = self.connect().await;
        let key = api_key.map(|key| format!("X-MBX-APIKEY: {key}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{key}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("writes");
        let mut bytes = Vec::new();
        // A server may close without saying so in TLS.
        let _ =
            tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("answers in time");
        Answer::read(&String::from_utf8(bytes).expect("text"))
    }

    async fn get(&self, target: &str) -> Answer {
        self.http("GET", target, None, "").await
    }

    /// A request signed with account one's HMAC key.
    async fn signed(&self, method: &str, path: &str, query: &str) -> Answer {
        self.signed_as(HMAC_KEY, method, path, query).await
    }

    async fn signed_as(&self, api_key: &str, method: &str, path: &str, query: &str) -> Answer {
        let query = stamped(query);
        let signature = hmac(&query);
        self.http(method, &format!("{path}?{query}&signature={signature}"), Some(api_key), "").await
    }

    async fn websocket(&self, path: &str) -> Socket {
        let url = format!("wss://127.0.0.1:{}{path}", self.port);
        let stream = self.connect().await;
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.expect("upgrades");
        Socket { socket }
    }

    /// A WebSocket whose end of the wire holds next to nothing, so that not reading is felt soon.
    async fn narrow_websocket(&self, path: &str) -> Socket {
        let tcp = tokio::net::TcpSocket::new_v4().expect("a socket");
        tcp.set_recv_buffer_size(4096).expect("a small buffer");
        let tcp = tcp.connect(([127, 0, 0, 1], self.port).into()).await.expect("connects");
        let url = format!("wss://127.0.0.1:{}{path}", self.port);
        let (socket, _) =
            tokio_tungstenite::client_async(url, self.handshake(tcp).await).await.expect("upgrades");
        Socket { socket }
    }

    async fn listen_key(&self) -> String {
        let answer = self.http("POST", "/fapi/v1/listenKey", Some(HMAC_KEY), "").await;
        answer.json()["listenKey"].as_str().expect("a listen key").to_owned()
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn read(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.into()));
        Answer { status: status.expect("a status line"), headers: headers.collect(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Status, code and text of a refusal.
    fn refusal(&self) -> (u16, i64, String) {
        let json = self.json();
        (
            self.status,
            json["code"].as_i64().expect("a code"),
            json["msg"].as_str().expect("a text").to_owned(),
        )
    }

    fn header(&self, name: &str) -> Option<u64> {
        self.headers.get(name).and_then(|value| value.parse().ok())
    }
}

struct Socket {
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl Socket {
    async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("sends");
    }

    async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a message in time");
            match next.expect("a message").expect("no error") {
                Message::Ping(_) | Message::Pong(_) => {}
                other => return other,
            }
        }
    }

    async fn text(&mut self) -> String {
        match self.next().await {
            Message::Text(text) => text.to_string(),
            other => panic!("expected a text, got {other:?}"),
        }
    }

    async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The next event of this kind, others skipped.
    async fn event(&mut self, kind: &str) -> Value {
        loop {
            let event = self.json().await;
            if event["e"] == kind {
                return event;
            }
        }
    }

    /// Sends a WebSocket API request and waits for its answer.
    async fn ask(&mut self, request: &str) -> Value {
        self.send(request).await;
        self.json().await
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

fn stamped(query: &str) -> String {
    let join = if query.is_empty() { "" } else { "&" };
    format!("{query}{join}timestamp={}", now_ms())
}

fn hmac(payload: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(HMAC_SECRET.as_bytes()).expect("any length");
    mac.update(payload.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn ed25519(payload: &str) -> String {
    let key = SigningKey::from_pkcs8_pem(ED25519_PRIVATE).expect("PEM");
    base64::engine::general_purpose::STANDARD.encode(key.sign(payload.as_bytes()).to_bytes())
}

/// A WebSocket API request signed on its own with `sign`. `params` are already sorted, and have no `apiKey`.
fn api_request(method: &str, api_key: &str, sign: fn(&str) -> String, params: &[(&str, &str)]) -> String {
    let timestamp = now_ms().to_string();
    let mut all: BTreeMap<&str, &str> = params.iter().copied().collect();
    all.insert("apiKey", api_key);
    all.insert("timestamp", &timestamp);
    let payload = all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let signature = sign(&payload);
    all.insert("signature", &signature);
    let params = all.iter().map(|(name, value)| {
        // A number where it can be one: the signature is over its text.
        let numeric = *name != "apiKey" && *name != "signature" && value.parse::<f64>().is_ok();
        if numeric { format!("\"{name}\":{value}") } else { format!("\"{name}\":\"{value}\"") }
    });
    format!(
        "{{\"id\":\"r-1\",\"method\":\"{method}\",\"params\":{{{}}}}}",
        params.collect::<Vec<_>>().join(",")
    )
}

/// The folder of data made by others, if this machine has it.
fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("LINCHPIN_SHARED").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    if folder.join("data").is_dir() {
        return Some(folder.join("data"));
    }
    eprintln!("SKIPPED: no shared data at {} (set LINCHPIN_SHARED)", folder.display());
    None
}
