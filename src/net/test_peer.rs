//! The other ends of the network tests, on loopback: servers on tokio-tungstenite and tokio-rustls (a stack that is not
//! ours), and raw ones that say exactly the bytes they are told, whole, torn or cut off.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tungstenite::handshake::derive_accept_key;

use super::tls::{TlsClient, TlsTrust};

/// A certificate authority of the test's own, and a server certificate that it signed.
pub(super) struct Authority {
    folder: tempfile::TempDir,
    pub server: Arc<ServerConfig>,
}

impl Authority {
    /// `name` is what the server's certificate carries.
    pub fn new(name: &str) -> Self {
        Self::with_versions(name, rustls::ALL_VERSIONS)
    }

    /// As `new`; the server speaks these versions of TLS only.
    pub fn with_versions(name: &str, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&server_key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("authority.pem"), root.pem()).unwrap();
        Self { folder, server: Arc::new(server) }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A client that trusts this authority alone.
    pub fn client(&self) -> TlsClient {
        TlsClient::new(&TlsTrust::CaFile(self.file())).unwrap()
    }
}

/// The address of a peer, and the thread whose end gives its findings.
pub(super) struct Peer<T> {
    pub address: SocketAddr,
    thread: JoinHandle<T>,
}

impl<T> Peer<T> {
    /// What the peer found; its panic is the test's.
    pub fn findings(self) -> T {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// One connection, accepted by tokio-tungstenite over TLS.
pub(super) fn tls_peer<T, F>(
    authority: &Authority,
    serve: impl FnOnce(WebSocketStream<TlsStream<tokio::net::TcpStream>>) -> F + Send + 'static,
) -> Peer<T>
where
    F: Future<Output = T>,
    T: Send + 'static,
{
    let acceptor = TlsAcceptor::from(authority.server.clone());
    peer(move |stream| {
        runtime().block_on(async {
            stream.set_nonblocking(true).unwrap();
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            let session = acceptor.accept(stream).await.unwrap();
            serve(tokio_tungstenite::accept_async(session).await.unwrap()).await
        })
    })
}

/// One connection, accepted by tokio-tungstenite without TLS.
pub(super) fn plain_peer<T, F>(
    serve: impl FnOnce(WebSocketStream<tokio::net::TcpStream>) -> F + Send + 'static,
) -> Peer<T>
where
    F: Future<Output = T>,
    T: Send + 'static,
{
    peer(move |stream| {
        runtime().block_on(async {
            stream.set_nonblocking(true).unwrap();
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            serve(tokio_tungstenite::accept_async(stream).await.unwrap()).await
        })
    })
}

/// One connection, upgraded by hand; `first` follows the answer in the same write.
pub(super) fn raw_peer<T: Send + 'static>(
    first: &'static [u8],
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> Peer<T> {
    peer(move |mut stream| {
        let request = read_head(&mut stream);
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = derive_accept_key(key.as_bytes());
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        answer.extend_from_slice(first);
        stream.write_all(&answer).unwrap();
        serve(stream)
    })
}

/// One bare connection.
pub(super) fn peer<T: Send + 'static>(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> Peer<T> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        serve(stream)
    });
    Peer { address, thread }
}

pub(super) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Closes with a reset instead of an orderly end.
pub(super) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
