//! HTTPS on loopback: `POST /control` with the very line that the Unix socket takes, and the very answer that it gives.
//!
//! ```text
//! POST /control HTTP/1.1
//! Authorization: Bearer TOKEN           or: a client certificate of the configured authority
//! Content-Type: application/json
//! Content-Length: 17
//!
//! {"verb":"status"}
//! ```
//!
//! Every user of the host can reach a port of the loopback, so nobody is heard who has not shown a token or a certificate, and
//! nothing but the door itself is said to them. The content type must be JSON: a page in a browser, which may hold a certificate, cannot send
//! that to another origin without asking first, and is refused then.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use serde_json::Map;

use super::{Door, Place, SILENCE, SLOWNESS, ask};
use crate::config::{ConfigError, ControlHttps, check_private};
use crate::control::request::refused;
use crate::control::token::{Token, TokenError};
use crate::control::{Answer, MAX_LINE, Refusal, Refused, Request, Who};
use crate::net::https::{Head, HttpsConnection, HttpsServer, HttpsServerError, Reply, RequestError, Welcome};
use crate::net::tls::{Identity, TlsError};
use crate::sys::clock::Clock;
use crate::threads::operator::Asked;

/// The only path that there is.
pub const PATH: &str = "/control";

/// A handshake, and then a request, comes whole within this, or not at all.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum HttpsDoorError {
    #[error("cannot open the control port https://{address}: {source}")]
    Open { address: SocketAddr, source: io::Error },
    #[error("control.https.key: {}: {problem}", path.display())]
    KeyFile { path: PathBuf, problem: String },
    #[error("control.https: {0}")]
    Files(#[from] TlsError),
    #[error("control.https: {0}")]
    Server(#[from] HttpsServerError),
    #[error("{0}")]
    TokenSource(#[from] ConfigError),
    #[error("control.https.token: {0}")]
    Token(#[from] TokenError),
}

/// The open door. Dropping it, after the operator's thread has ended, closes it.
pub struct HttpsDoor {
    address: SocketAddr,
    _door: Door<TcpListener>,
}

/// What every client's thread needs.
struct House {
    server: HttpsServer,
    token: Option<Token>,
    asked: SyncSender<Asked>,
    clock: Clock,
}

impl HttpsDoor {
    /// Reads certificate, key and token, and listens. The configuration has made sure that the address is a loopback's and that
    /// somebody can be known.
    pub fn open(
        options: &ControlHttps,
        asked: SyncSender<Asked>,
        clock: &Clock,
    ) -> Result<Self, HttpsDoorError> {
        check_private(&options.key)
            .map_err(|problem| HttpsDoorError::KeyFile { path: options.key.clone(), problem })?;
        let identity = Identity::read(&options.certificate, &options.key)?;
        let server = HttpsServer::new(&identity, options.client_ca.as_deref())?;
        let token = match &options.token {
            Some(source) => Some(Token::new(&source.read_secret("control.https.token")?)?),
            None => None,
        };
        let failed = |source| HttpsDoorError::Open { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let house = Arc::new(House { server, token, asked, clock: clock.clone() });
        let serves = move |stream, place: &Place<TcpStream>| house.serve(stream, place);
        let door = Door::open(listener, "https door", serves).map_err(failed)?;
        Ok(Self { address, _door: door })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl House {
    /// One client, from its handshake to its last answer.
    fn serve(&self, stream: TcpStream, place: &Place<TcpStream>) -> io::Result<()> {
        let peer = stream.peer_addr()?;
        let mut client = match self.server.welcome(stream, &self.clock, PATIENCE)? {
            Welcome::Https(client) => client,
            Welcome::NotTls(other) => {
                let words = "this port speaks HTTPS, and this was no TLS handshake";
                let body = line(&refused(&Refusal::new(Refused::BadRequest, words), Map::new()));
                return other.refuse(&Reply { status: 400, headers: &[], body: &body, closes: true });
            }
        };
        loop {
            let head = match client.head(SILENCE, PATIENCE) {
                Ok(Some(head)) => head,
                Ok(None) | Err(RequestError::Gone(_)) => return Ok(()),
                Err(error) => return turn_away(client, &no_request(&error)),
            };
            let who = match self.who(&client, &head, peer) {
                Ok(who) => who,
                Err(no) => return turn_away(client, &no),
            };
            place.is_known();
            let closes = head.closes;
            let request = match read(&mut client, &head) {
                Ok(request) => request,
                Err(no) => return turn_away(client, &no),
            };
            place.answering(|| {
                let answer = match request {
                    Ok(request) => ask(&self.asked, &who, request),
                    Err(refusal) => refused(&refusal, Map::new()),
                };
                let reply = Reply { status: status_of(&answer), headers: &[], body: &line(&answer), closes };
                client.answer(&reply, SLOWNESS)
            })?;
            if closes {
                client.hang_up();
                return Ok(());
            }
        }
    }

    /// Who asks, by certificate or by token.
    fn who(&self, client: &HttpsConnection, head: &Head, peer: SocketAddr) -> Result<Who, No> {
        if let Some(fingerprint) = client.client_certificate() {
            return Ok(Who::new(format!("https {peer} certificate {fingerprint}")));
        }
        let no = |words: &str| Err(No { status: 401, refusal: Refusal::new(Refused::NotAllowed, words) });
        let Some(token) = &self.token else {
            return no("a client certificate is needed here, and none was shown");
        };
        let Some(given) = &head.authorization else {
            return no("no token: send the header Authorization: Bearer TOKEN");
        };
        match given.split_once(' ') {
            Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") => {
                if token.is(given.trim()) {
                    Ok(Who::new(format!("https {peer} token")))
                } else {
                    no("this is not the token")
                }
            }
            _ => no("the header Authorization must be: Bearer TOKEN"),
        }
    }
}

/// A request that ends its connection: what follows it on the wire is not known to be a request.
struct No {
    status: u16,
    refusal: Refusal,
}

/// The request in the body; what is wrong with its words is an answer like any other.
fn read(client: &mut HttpsConnection, head: &Head) -> Result<Result<Request, Refusal>, No> {
    let no = |status, refused, words: String| Err(No { status, refusal: Refusal::new(refused, words) });
    if head.target != PATH {
        return no(404, Refused::BadRequest, format!("there is only {PATH} here"));
    }
    if head.method != "POST" {
        return no(
            405,
            Refused::BadRequest,
            format!("there is only POST {PATH} here, with one JSON object as its body"),
        );
    }
    let kind = head
        .content_type
        .as_deref()
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    if kind != "application/json" {
        return no(415, Refused::BadRequest, "the header Content-Type must be: application/json".to_owned());
    }
    let Some(length) = head.content_length else {
        return no(411, Refused::BadRequest, "the header Content-Length is missing".to_owned());
    };
    if length > MAX_LINE {
        return no(413, Refused::TooLong, format!("a request has at most {MAX_LINE} bytes"));
    }
    client.body(head, length).map(|body| Request::parse(&body)).map_err(|error| no_request(&error))
}

fn no_request(error: &RequestError) -> No {
    let (status, refused) = match error {
        RequestError::Slow => (408, Refused::BadRequest),
        RequestError::LongHead => (431, Refused::TooLong),
        RequestError::Malformed(_) | RequestError::Gone(_) => (400, Refused::BadRequest),
    };
    No { status, refusal: Refusal::new(refused, error.to_string()) }
}

fn turn_away(mut client: HttpsConnection, no: &No) -> io::Result<()> {
    let headers: &[(&str, &str)] = match no.status {
        401 => &[("WWW-Authenticate", "Bearer realm=\"linchpin\"")],
        405 => &[("Allow", "POST")],
        _ => &[],
    };
    let body = line(&refused(&no.refusal, Map::new()));
    client.answer(&Reply { status: no.status, headers, body: &body, closes: true }, SLOWNESS)?;
    client.hang_up();
    Ok(())
}

/// The status that goes with an answer: its own words say more.
fn status_of(answer: &Answer) -> u16 {
    let error = answer["error"].as_str();
    Refused::ALL.iter().find(|row| Some(row.name) == error).map_or(200, |row| row.status)
}

fn line(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    line
}
