//! The way to an engine: its Unix socket, or its HTTPS port. What is said on either is the same.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Place, SOCKET};
use crate::config::{DEFAULT_HOME, Source, check_private};
use crate::control::Request;
use crate::net::http::{HttpClient, HttpError, HttpOptions, HttpRequest, Method};
use crate::net::tls::{Identity, TlsClient, TlsTrust};
use crate::net::{Endpoint, Scheme};
use crate::program::Failure;
use crate::threads::doors::https::PATH;

/// A connection to an engine.
pub(super) enum Line {
    Socket { out: UnixStream, lines: BufReader<UnixStream>, timeout: Duration, path: PathBuf },
    Https { client: Box<HttpClient>, endpoint: Endpoint, token: Option<Zeroizing<String>>, timeout: Duration },
}

/// An answer with every order of a full table fits.
const MOST_BYTES: usize = 256 << 20;

impl Line {
    pub fn open(place: &Place, timeout: Duration) -> Result<Self, Failure> {
        match &place.url {
            Some(url) => Self::https(url, place, timeout).map_err(Failure::Usage),
            None => Self::socket(place, timeout),
        }
    }

    pub fn ask(&mut self, request: &Request) -> Result<Value, Failure> {
        match self {
            Self::Socket { out, lines, timeout, path } => {
                let silent = |why: String| Failure::Unreachable(anyhow!("{}: {why}", path.display()));
                ask_socket(out, lines, *timeout, request).map_err(silent)
            }
            Self::Https { client, endpoint, token, timeout } => {
                let silent =
                    |why: String| Failure::Unreachable(anyhow!("https://{}: {why}", endpoint.authority()));
                ask_https(client, endpoint, token.as_deref().map(String::as_str), *timeout, request)
                    .map_err(silent)
            }
        }
    }

    fn socket(place: &Place, timeout: Duration) -> Result<Self, Failure> {
        let only_https = [
            ("--token-file", &place.token_file),
            ("--cert", &place.cert),
            ("--key", &place.key),
            ("--ca", &place.ca),
        ];
        if let Some((flag, _)) = only_https.iter().find(|(_, given)| given.is_some()) {
            let words = format!("{flag} is for the HTTPS port: say which with --url https://127.0.0.1:PORT");
            return Err(Failure::Usage(anyhow!(words)));
        }
        let path = match (&place.socket, &place.home) {
            (Some(socket), _) => socket.clone(),
            (None, Some(home)) => home.join(SOCKET),
            (None, None) => Path::new(DEFAULT_HOME).join(SOCKET),
        };
        let nobody =
            || format!("no engine answers at {}: is one running, and is this its home?", path.display());
        let connect = || -> std::io::Result<Self> {
            let stream = UnixStream::connect(&path)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            let lines = BufReader::new(stream.try_clone()?);
            Ok(Self::Socket { out: stream, lines, timeout, path: path.clone() })
        };
        connect().with_context(nobody).map_err(Failure::Unreachable)
    }

    fn https(url: &str, place: &Place, timeout: Duration) -> anyhow::Result<Self> {
        let endpoint: Endpoint = url.parse().map_err(|error| anyhow!("--url: {error}"))?;
        if endpoint.scheme() != Scheme::Https || !["/", PATH].contains(&endpoint.path()) {
            return Err(anyhow!("--url: expected https://HOST:PORT, such as https://127.0.0.1:7443"));
        }
        let endpoint = endpoint.with_path(PATH)?;
        let trust = place.ca.clone().map_or(TlsTrust::SystemRoots, TlsTrust::CaFile);
        let tls = TlsClient::new(&trust).context("--ca")?;
        let options = HttpOptions { connect_timeout: timeout, total_timeout: timeout, max_body: MOST_BYTES };
        let client = match (&place.cert, &place.key) {
            (Some(cert), Some(key)) => {
                check_private(key).map_err(|problem| anyhow!("--key: {problem}"))?;
                let identity = Identity::read(cert, key).context("--cert, --key")?;
                HttpClient::with_identity(&tls, &identity, options)
            }
            (None, None) => HttpClient::new(Some(&tls), options),
            (Some(_), None) => return Err(anyhow!("--cert needs its private key: --key FILE")),
            (None, Some(_)) => return Err(anyhow!("--key needs its certificate: --cert FILE")),
        };
        let token = match &place.token_file {
            None if place.cert.is_none() => {
                return Err(anyhow!("--url needs --token-file FILE, or --cert FILE with --key FILE"));
            }
            None => None,
            Some(file) => Some(Source::File(file.clone()).read_secret("--token-file")?),
        };
        Ok(Self::Https { client: Box::new(client), endpoint, token, timeout })
    }
}

fn ask_socket(
    out: &mut UnixStream,
    lines: &mut BufReader<UnixStream>,
    timeout: Duration,
    request: &Request,
) -> Result<Value, String> {
    let mut asked = request.to_line();
    asked.push('\n');
    out.write_all(asked.as_bytes()).map_err(|error| format!("the engine does not listen: {error}"))?;
    let mut answer = Vec::new();
    match lines.by_ref().take(MOST_BYTES as u64).read_until(b'\n', &mut answer) {
        Ok(0) => Err("the engine closed the connection without an answer".to_owned()),
        Ok(_) => serde_json::from_slice(&answer).map_err(|error| format!("the answer is no JSON: {error}")),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(format!("no answer within {} s", timeout.as_secs_f64()))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn ask_https(
    client: &mut HttpClient,
    endpoint: &Endpoint,
    token: Option<&str>,
    timeout: Duration,
    request: &Request,
) -> Result<Value, String> {
    let bearer = token.map(|token| Zeroizing::new(format!("Bearer {}", token.trim())));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(bearer.as_ref().map(|bearer| ("Authorization", bearer.as_str())));
    let body = request.to_line();
    let asked = HttpRequest { method: Method::Post, endpoint, headers: &headers, body: body.as_bytes() };
    match client.send(&asked) {
        Ok(answer) => serde_json::from_slice(&answer.body)
            .map_err(|_| format!("HTTP {} and no JSON: is this the engine's port?", answer.status)),
        Err(HttpError::NeverSent { why } | HttpError::Distrusted { why }) => {
            Err(format!("no engine answers: {why}"))
        }
        Err(HttpError::Unknown { why, .. }) => {
            Err(format!("no answer within {} s, or it was cut off: {why}", timeout.as_secs_f64()))
        }
    }
}
