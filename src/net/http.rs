//! A small blocking HTTP client for what REST is used for: hydration, keys, order entry as a fallback. Cold.
//!
//! Its answer always says how far a request can have come, because an order whose fate is unknown must be asked for and
//! never sent again on a guess:
//!
//! ```text
//!   NeverSent   no byte of the request left: name, connect, TLS, a malformed request
//!   Unknown     bytes of it left, and no whole answer came: the venue may have acted
//!   Ok          answered, with any status; 4xx and 5xx are answers
//! ```
//!
//! What separates the first two is not a guess from the kind of error: a layer above TLS counts the writes of HTTP bytes.
//!
//! It follows no redirect, takes no proxy from the environment, retries nothing, and reads no more than its bound.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector, Transport,
};

use super::Endpoint;
use super::tls::{Identity, TlsClient};

#[derive(Debug, Clone, Copy)]
pub struct HttpOptions {
    pub connect_timeout: Duration,
    /// From the resolution of the name to the last byte of the answer.
    pub total_timeout: Duration,
    /// The longest answer taken, in bytes.
    pub max_body: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(10),
            max_body: 32 << 20,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

#[derive(Debug, Clone, Copy)]
pub struct HttpRequest<'a> {
    pub method: Method,
    /// With the query in its path.
    pub endpoint: &'a Endpoint,
    pub headers: &'a [(&'a str, &'a str)],
    /// Sent with POST and PUT; a body with another method is an error, nothing is sent.
    pub body: &'a [u8],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Carries no address and no header: those may hold a key or a signature, and errors are logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    #[error("the request was not sent: {why}")]
    NeverSent { why: String },
    /// Nor will it be by trying again.
    #[error("the request was not sent, because the server's certificate is refused: {why}")]
    Distrusted { why: String },
    /// The status is known if the head of an answer came, but not all of its body.
    #[error("the request left and its outcome is unknown: {why}")]
    Unknown { status: Option<u16>, why: String },
}

/// One per thread. Keeps connections open between requests.
#[derive(Debug)]
pub struct HttpClient {
    agent: ureq::Agent,
    written: Written,
    max_body: usize,
}

impl HttpClient {
    /// Without `tls`, `https` addresses are refused.
    pub fn new(tls: Option<&TlsClient>, options: HttpOptions) -> Self {
        Self::of(tls, None, options)
    }

    /// One that shows who it is to a server that asks for a certificate.
    pub fn with_identity(tls: &TlsClient, identity: &Identity, options: HttpOptions) -> Self {
        let owned = |der| Certificate::from_der(der).to_owned();
        let chain: Vec<_> = identity.chain().iter().map(|der| owned(der)).collect();
        // Its form was checked when the identity was read.
        let key = PrivateKey::from_pem(identity.key_pem()).ok();
        Self::of(Some(tls), key.map(|key| ClientCert::new_with_certs(&chain, key)), options)
    }

    fn of(tls: Option<&TlsClient>, identity: Option<ClientCert>, options: HttpOptions) -> Self {
        let authorities = tls.map(TlsClient::authorities).unwrap_or_default();
        let authorities: Vec<_> =
            authorities.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            // An empty list trusts nobody.
            .root_certs(RootCerts::Specific(Arc::new(authorities)))
            .client_cert(identity)
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent("linchpin")
            .timeout_connect(Some(options.connect_timeout))
            .timeout_global(Some(options.total_timeout))
            .build();
        let written = Written::default();
        let connector =
            ().chain(TcpConnector::default())
                .chain(RustlsConnector::default())
                .chain(CountingConnector { written: written.clone() });
        let agent = ureq::Agent::with_parts(config, connector, DefaultResolver::default());
        Self { agent, written, max_body: options.max_body }
    }

    /// Sends one request and waits for the whole answer. Blocks up to the total timeout.
    pub fn send(&mut self, request: &HttpRequest<'_>) -> Result<HttpResponse, HttpError> {
        self.written.reset();
        let mut response = self.run(request).map_err(|error| self.fate(None, &error))?;
        let status = response.status().as_u16();
        let headers = response.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let headers = headers.collect();
        let body = response.body_mut().with_config().limit(self.max_body as u64).read_to_vec();
        let body = body.map_err(|error| self.fate(Some(status), &error))?;
        Ok(HttpResponse { status, headers, body })
    }

    fn run(&self, request: &HttpRequest<'_>) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let method = match request.method {
            Method::Get => ureq::http::Method::GET,
            Method::Post => ureq::http::Method::POST,
            Method::Put => ureq::http::Method::PUT,
            Method::Delete => ureq::http::Method::DELETE,
        };
        let takes_body = matches!(request.method, Method::Post | Method::Put);
        let mut builder = ureq::http::Request::builder().method(method).uri(request.endpoint.to_string());
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        if takes_body || !request.body.is_empty() {
            self.agent.run(builder.body(request.body)?)
        } else {
            self.agent.run(builder.body(())?)
        }
    }

    fn fate(&self, status: Option<u16>, error: &ureq::Error) -> HttpError {
        let why = match error {
            // The only kinds whose text repeats the address.
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => "the address is refused".to_owned(),
            other => other.to_string(),
        };
        match self.written.is_zero() {
            true if is_about_the_certificate(error) => HttpError::Distrusted { why },
            true => HttpError::NeverSent { why },
            false => HttpError::Unknown { status, why },
        }
    }
}

/// TLS's own errors come as they are, or inside one of input.
fn is_about_the_certificate(error: &ureq::Error) -> bool {
    let tls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

/// How often HTTP bytes were handed to a connection since the reset. A lock, because ureq's connections must be `Sync`;
/// it is never contended: one client, one thread, one request at a time.
#[derive(Debug, Clone, Default)]
struct Written {
    count: Arc<Mutex<u64>>,
}

impl Written {
    fn reset(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    fn add(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn is_zero(&self) -> bool {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }
}

/// The last link of the chain: sees the HTTP bytes before TLS does, and nothing of TLS's own.
#[derive(Debug)]
struct CountingConnector {
    written: Written,
}

impl<In: Transport> Connector<In> for CountingConnector {
    type Out = CountingTransport<In>;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(chained.map(|inner| CountingTransport { inner, written: self.written.clone() }))
    }
}

#[derive(Debug)]
struct CountingTransport<T> {
    inner: T,
    written: Written,
}

impl<T: Transport> Transport for CountingTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        // Counted before it is tried: a write that fails may still have left in part.
        self.written.add();
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread::JoinHandle;

    /// A server for one connection: for each request, `answer` gives the bytes to say, or `None` to cut the connection.
    fn serve(answers: Vec<Option<&'static str>>, linger: Duration) -> (Endpoint, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/api?x=1", listener.local_addr().unwrap()).parse().unwrap();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut seen = Vec::new();
            for answer in answers {
                seen.push(read_request(&mut reader));
                let Some(answer) = answer else { break };
                (&stream).write_all(answer.as_bytes()).unwrap();
            }
            // Keeps the connection open as long as the client waits, at most.
            stream.set_read_timeout(Some(linger.max(Duration::from_millis(1)))).unwrap();
            let _ = (&stream).read(&mut [0; 1]);
            seen
        });
        (endpoint, server)
    }

    fn read_request(reader: &mut BufReader<TcpStream>) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap() == 0 {
                return head;
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).unwrap();
        head + std::str::from_utf8(&body).unwrap()
    }

    fn client(total: Duration) -> HttpClient {
        HttpClient::new(None, HttpOptions { total_timeout: total, max_body: 1_000, ..HttpOptions::default() })
    }

    const LONG: Duration = Duration::from_secs(20);

    fn send(
        client: &mut HttpClient,
        method: Method,
        endpoint: &Endpoint,
        body: &[u8],
    ) -> Result<HttpResponse, HttpError> {
        client.send(&HttpRequest { method, endpoint, headers: &[("X-MBX-APIKEY", "key")], body })
    }

    #[test]
    fn every_status_is_an_answer_with_its_headers_and_body_and_the_connection_is_kept() {
        let (endpoint, server) = serve(
            vec![
                Some("HTTP/1.1 200 OK\r\nX-MBX-USED-WEIGHT-1M: 7\r\nContent-Length: 2\r\n\r\n{}"),
                Some("HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nslow"),
                Some("HTTP/1.1 503 Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n"),
                Some("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            ],
            Duration::ZERO,
        );
        let mut client = client(LONG);
        let first = send(&mut client, Method::Get, &endpoint, b"").unwrap();
        assert_eq!((first.status, first.body.as_slice()), (200, &b"{}"[..]));
        assert_eq!(first.header("x-mbx-used-weight-1m"), Some("7"));
        let second = send(&mut client, Method::Post, &endpoint, b"a=b").unwrap();
        assert_eq!((second.status, second.header("Retry-After")), (429, Some("3")));
        let third = send(&mut client, Method::Delete, &endpoint, b"").unwrap();
        assert_eq!((third.status, third.body.as_slice()), (503, &b"bad"[..]));
        assert_eq!(
            send(&mut client, Method::Put, &endpoint, b"").unwrap().status,
            302,
            "no redirect is followed"
        );
        drop(client);
        let seen = server.join().unwrap();
        assert!(
            seen[0].starts_with("GET /api?x=1 HTTP/1.1\r\n")
                && seen[0].to_lowercase().contains("x-mbx-apikey: key")
        );
        assert!(seen[1].starts_with("POST /api?x=1 ") && seen[1].ends_with("\r\n\r\na=b"), "{}", seen[1]);
        assert!(seen[2].starts_with("DELETE ") && seen[3].starts_with("PUT "));
    }

    #[test]
    fn what_fails_before_the_request_leaves_was_never_sent() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for text in [format!("http://{closed}/"), "http://no-such-name.invalid/".to_owned()] {
            let error = send(&mut client(LONG), Method::Post, &text.parse().unwrap(), b"x").unwrap_err();
            assert!(matches!(error, HttpError::NeverSent { .. }), "{text}: {error}");
        }
        let get_with_body =
            send(&mut client(LONG), Method::Get, &format!("http://{closed}/").parse().unwrap(), b"x");
        assert!(matches!(get_with_body, Err(HttpError::NeverSent { .. })));
    }

    #[test]
    fn a_connection_cut_after_the_request_leaves_the_outcome_unknown() {
        let (endpoint, server) = serve(vec![None], Duration::ZERO);
        let error = send(&mut client(LONG), Method::Post, &endpoint, b"order").unwrap_err();
        assert!(matches!(error, HttpError::Unknown { status: None, .. }), "{error}");
        assert!(server.join().unwrap()[0].ends_with("order"), "and the server did get it");
    }

    #[test]
    fn no_answer_in_time_leaves_the_outcome_unknown() {
        let (endpoint, server) = serve(vec![Some("")], LONG);
        let error =
            send(&mut client(Duration::from_millis(100)), Method::Post, &endpoint, b"order").unwrap_err();
        assert!(matches!(error, HttpError::Unknown { status: None, .. }), "{error}");
        server.join().unwrap();
    }

    #[test]
    fn an_answer_whose_body_is_torn_or_too_long_keeps_its_status() {
        let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{}", "x".repeat(1001));
        for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_owned(), long] {
            let (endpoint, server) = serve(vec![Some(answer.leak()), None], Duration::ZERO);
            let mut client = client(Duration::from_millis(200));
            let error = send(&mut client, Method::Post, &endpoint, b"order").unwrap_err();
            assert!(matches!(error, HttpError::Unknown { status: Some(200), .. }), "{error}");
            drop(client);
            server.join().unwrap();
        }
    }

    #[test]
    fn a_pooled_connection_that_died_meanwhile_does_not_pretend_that_nothing_was_sent() {
        let (endpoint, server) =
            serve(vec![Some("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), None], Duration::ZERO);
        let mut client = client(LONG);
        send(&mut client, Method::Get, &endpoint, b"").unwrap();
        let error = send(&mut client, Method::Post, &endpoint, b"order").unwrap_err();
        assert!(matches!(error, HttpError::Unknown { .. }), "{error}");
        drop(client);
        server.join().unwrap();
    }

    #[test]
    fn https_without_a_trust_is_never_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let server = std::thread::spawn(move || drop(listener.accept()));
        let error = send(&mut client(LONG), Method::Post, &endpoint, b"order").unwrap_err();
        assert!(matches!(error, HttpError::NeverSent { .. }), "{error}");
        server.join().unwrap();
    }
}
