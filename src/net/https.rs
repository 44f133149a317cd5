//! The server's end of HTTPS, for a door with few clients: HTTP/1.1 over rustls, blocking, one thread a connection. Cold.
//!
//! Promises: a head and a body are bounded in bytes, and each step is bounded in time, however slowly the bytes come. A client's
//! certificate, where one is shown, was verified against the authorities that were named, or the handshake failed. What is
//! not plain HTTP/1.1 with a `Content-Length` is an error with words; nothing is guessed.
//!
//! It knows no path and no verb: what a request means is its caller's affair.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::tls::{Identity, TlsError, chosen_roots};
use crate::sys::clock::Clock;

/// Bytes of a request's first line and headers together.
const MOST_HEAD: usize = 8 << 10;
const MOST_HEADERS: usize = 48;
/// What is still read, and thrown away, of a client that is refused: else its kernel takes our answer for a broken connection.
const MOST_LINGER: usize = 8 << 20;
const LINGER: Duration = Duration::from_secs(2);

/// Certificate, key and whom to believe, read and checked once.
#[derive(Clone)]
pub struct HttpsServer {
    config: Arc<ServerConfig>,
}

#[derive(Debug, thiserror::Error)]
pub enum HttpsServerError {
    #[error(transparent)]
    Files(#[from] TlsError),
    #[error("{}: cannot be the authority of clients: {source}", .path.display())]
    ClientAuthority { path: PathBuf, source: rustls::server::VerifierBuilderError },
}

impl HttpsServer {
    /// `client_ca`: whose certificates are believed. A client may show none: whether that is enough is the caller's affair.
    pub fn new(identity: &Identity, client_ca: Option<&Path>) -> Result<Self, HttpsServerError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::from)?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let (roots, _): (RootCertStore, Vec<CertificateDer<'static>>) = chosen_roots(path)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier
                    .allow_unauthenticated()
                    .build()
                    .map_err(|source| HttpsServerError::ClientAuthority { path: path.to_owned(), source })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (chain, key) = (identity.chain().to_vec(), identity.private_key()?);
        let mut config = builder.with_single_cert(chain, key).map_err(TlsError::from)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }

    /// Takes a connection, and gives it so long for its handshake.
    pub fn welcome(&self, stream: TcpStream, clock: &Clock, patience: Duration) -> io::Result<Welcome> {
        let mut wire = Wire { stream, clock: clock.clone(), until: 0 };
        wire.allow(patience);
        // A TLS session begins with a handshake record (RFC 8446, section 5.1: type 22). Anything else is another protocol.
        let mut first = [0u8; 1];
        wire.bound()?;
        match wire.stream.peek(&mut first) {
            Ok(1) if first == [22] => {}
            Ok(1) => return Ok(Welcome::NotTls(NotTls { wire })),
            Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) => return Err(late(error)),
        }
        let session = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(session, wire);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(Welcome::Https(HttpsConnection { tls, read: Vec::new() }))
    }
}

#[allow(clippy::large_enum_variant, reason = "one at a time, taken apart as soon as it is there")]
pub enum Welcome {
    Https(HttpsConnection),
    NotTls(NotTls),
}

/// Somebody who speaks something else.
pub struct NotTls {
    wire: Wire,
}

impl NotTls {
    /// Says `words` as plain HTTP, which is what is usually spoken by mistake, and hangs up.
    pub fn refuse(mut self, answer: &Reply<'_>) -> io::Result<()> {
        self.wire.write_all(&answer.head())?;
        self.wire.write_all(answer.body)?;
        self.wire.linger()
    }
}

/// One client, its handshake done.
pub struct HttpsConnection {
    tls: StreamOwned<ServerConnection, Wire>,
    /// Read, and not yet taken.
    read: Vec<u8>,
}

/// What of a request's head matters here.
pub struct Head {
    pub method: String,
    /// With its query.
    pub target: String,
    /// The `Authorization` header: wiped when dropped.
    pub authorization: Option<Zeroizing<String>>,
    pub content_type: Option<String>,
    pub content_length: Option<usize>,
    /// The client wishes the connection to end with the answer.
    pub closes: bool,
    expects_continue: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The client went, or the connection broke: nobody is left to be told.
    #[error(transparent)]
    Gone(#[from] io::Error),
    #[error("the request did not come whole in time")]
    Slow,
    #[error("the head of the request has more than {MOST_HEAD} bytes")]
    LongHead,
    #[error("{0}")]
    Malformed(String),
}

/// An answer on its way.
pub struct Reply<'a> {
    pub status: u16,
    /// More headers, as name and value.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub closes: bool,
}

impl HttpsConnection {
    /// The certificate that the client has shown, as the first 16 hexadecimal digits of its SHA-256; verified.
    pub fn client_certificate(&self) -> Option<String> {
        let shown = self.tls.conn.peer_certificates()?.first()?;
        let digest = Sha256::digest(shown.as_ref());
        Some(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The next request's head, `None` where the client is done. It may wait for `idle` before it begins; then it has `patience`
    /// for all of it, its body included.
    pub fn head(&mut self, idle: Duration, patience: Duration) -> Result<Option<Head>, RequestError> {
        self.tls.sock.allow(idle);
        if self.read.is_empty() {
            match self.fill() {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                // Nothing was begun: nothing is owed.
                Err(error) => return Err(error.into()),
            }
        }
        self.tls.sock.allow(patience);
        loop {
            if let Some((head, length)) = parse(&self.read)? {
                self.read.drain(..length);
                return Ok(Some(head));
            }
            if self.read.len() > MOST_HEAD {
                return Err(RequestError::LongHead);
            }
            if self.fill().map_err(slow)? == 0 {
                return Err(RequestError::Malformed("the connection ended within a request".to_owned()));
            }
        }
    }

    /// The body: `length` bytes, as its head said.
    pub fn body(&mut self, head: &Head, length: usize) -> Result<Vec<u8>, RequestError> {
        if head.expects_continue && self.read.is_empty() {
            self.tls.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(slow)?;
            self.tls.flush().map_err(slow)?;
        }
        while self.read.len() < length {
            if self.fill().map_err(slow)? == 0 {
                return Err(RequestError::Malformed("the connection ended within a request".to_owned()));
            }
        }
        Ok(self.read.drain(..length).collect())
    }

    pub fn answer(&mut self, reply: &Reply<'_>, patience: Duration) -> io::Result<()> {
        self.tls.sock.allow(patience);
        self.tls.write_all(&reply.head())?;
        self.tls.write_all(reply.body)?;
        self.tls.flush()
    }

    /// Ends the session so that the last answer arrives.
    pub fn hang_up(mut self) {
        self.tls.conn.send_close_notify();
        let _ = self.tls.flush();
        let _ = self.tls.sock.linger();
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0u8; 2048];
        match self.tls.read(&mut piece) {
            Ok(read) => {
                self.read.extend_from_slice(piece.get(..read).unwrap_or(&[]));
                Ok(read)
            }
            // Many clients end without TLS's own goodbye.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(error),
        }
    }
}

impl Reply<'_> {
    fn head(&self) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            409 => "Conflict",
            411 => "Length Required",
            413 => "Content Too Large",
            415 => "Unsupported Media Type",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "Error",
        };
        let mut head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nCache-Control: no-store\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(if self.closes { "Connection: close\r\n\r\n" } else { "\r\n" });
        head.into_bytes()
    }
}

/// A head, and its length in bytes; `None` while it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, RequestError> {
    let malformed = |words: &str| RequestError::Malformed(words.to_owned());
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(malformed(&format!("not HTTP/1.1: {error}"))),
    };
    if length > MOST_HEAD {
        return Err(RequestError::LongHead);
    }
    let only = |name: &str| -> Result<Option<&str>, RequestError> {
        let mut all = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        match (all.next(), all.next()) {
            (None, _) => Ok(None),
            (Some(one), None) => match std::str::from_utf8(one.value) {
                Ok(value) => Ok(Some(value.trim())),
                Err(_) => Err(malformed(&format!("the header {name} is not text"))),
            },
            _ => Err(malformed(&format!("the header {name} stands there twice"))),
        }
    };
    if only("transfer-encoding")?.is_some() {
        return Err(malformed("Transfer-Encoding is not understood here: send a Content-Length"));
    }
    let content_length = match only("content-length")? {
        None => None,
        // Digits only: `parse` would take a sign.
        Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(text.parse().unwrap_or(usize::MAX))
        }
        Some(_) => return Err(malformed("Content-Length is no number")),
    };
    let connection = only("connection")?.unwrap_or("").to_ascii_lowercase();
    let is_old = request.version == Some(0);
    Ok(Some((
        Head {
            method: request.method.unwrap_or("").to_owned(),
            target: request.path.unwrap_or("").to_owned(),
            authorization: only("authorization")?.map(|value| Zeroizing::new(value.to_owned())),
            content_type: only("content-type")?.map(str::to_owned),
            content_length,
            closes: is_old || connection.split(',').any(|word| word.trim() == "close"),
            expects_continue: only("expect")?.is_some_and(|value| value.eq_ignore_ascii_case("100-continue")),
        },
        length,
    )))
}

/// The socket, and until when its owner waits for it.
struct Wire {
    stream: TcpStream,
    clock: Clock,
    until: u64,
}

impl Wire {
    fn allow(&mut self, patience: Duration) {
        let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        self.until = self.clock.now().saturating_add(patience);
    }

    /// The kernel waits no longer than is left.
    fn bound(&self) -> io::Result<()> {
        let left = self.until.saturating_sub(self.clock.now());
        if left == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = Duration::from_nanos(left).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left))?;
        self.stream.set_write_timeout(Some(left))
    }

    fn linger(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.allow(LINGER);
        let mut rest = [0u8; 4096];
        let mut read = 0;
        while read < MOST_LINGER {
            match self.read(&mut rest)? {
                0 => break,
                more => read += more,
            }
        }
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bound()?;
        self.stream.read(buffer).map_err(late)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bound()?;
        self.stream.write(bytes).map_err(late)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A socket's timeout comes as `WouldBlock`, which rustls would take for a reason to try again.
fn late(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

fn slow(error: io::Error) -> RequestError {
    match error.kind() {
        io::ErrorKind::TimedOut => RequestError::Slow,
        _ => RequestError::Gone(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<(Head, usize)>, String> {
        parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_head_is_whole_or_not_yet_there() {
        let text =
            "POST /control HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nAuthorization: Bearer t\r\n\r\n";
        for end in 0..text.len() {
            assert!(head(&text[..end]).unwrap().is_none(), "{end}");
        }
        let (found, length) = head(&format!("{text}{{}}")).unwrap().unwrap();
        assert_eq!((found.method.as_str(), found.target.as_str(), length), ("POST", "/control", text.len()));
        assert_eq!(found.content_length, Some(2));
        assert_eq!(found.authorization.as_deref().map(String::as_str), Some("Bearer t"));
        assert!(!found.closes && !found.expects_continue);
    }

    #[test]
    fn what_two_servers_could_read_differently_is_refused() {
        for (lines, says) in [
            ("Content-Length: 2\r\nContent-Length: 3", "twice"),
            ("Authorization: Bearer a\r\nauthorization: Bearer b", "twice"),
            ("Transfer-Encoding: chunked\r\nContent-Length: 2", "Content-Length"),
            ("Content-Length: +2", "no number"),
            ("Content-Length: -1", "no number"),
            ("Content-Length: 0x2", "no number"),
            ("Content Length: 2", "not HTTP/1.1"),
        ] {
            let refused = head(&format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n")).err().unwrap_or_default();
            assert!(refused.contains(says), "{lines}: {refused:?}");
        }
        let endless = format!("POST / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(MOST_HEAD));
        assert!(head(&endless).err().unwrap_or_default().contains("more than 8192"));
        let huge = "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n";
        assert_eq!(head(huge).unwrap().unwrap().0.content_length, Some(usize::MAX));
    }
}
