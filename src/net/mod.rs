//! Bytes to and from the kernel. Knows sockets, TLS, WebSocket and HTTP; knows no venue and no core.
//!
//! The parts that hot threads use are polled: they never block, start no thread, and are told the time. What blocks
//! ([`resolve`](tcp::resolve), [`http`]) is for cold threads and says so.
//!
//! ```text
//!   hot:   websocket  ->  frame          the protocol; frame is bytes in, messages out, and no socket
//!              |
//!           transport =  tcp | tls       stamps the moment at which bytes left the socket
//!
//!   cold:  http (blocking, ureq)         says whether a request can have reached the venue
//!          https (blocking)              the server's end, for the control surface
//! ```

use std::fmt;
use std::str::FromStr;

pub mod backoff;
pub mod frame;
pub mod http;
pub mod https;
pub mod listen;
pub mod tcp;
#[cfg(all(test, feature = "embedded-venue"))]
mod test_peer;
pub mod tls;
pub mod transport;
mod upgrade;
pub mod websocket;
#[cfg(all(test, feature = "embedded-venue"))]
mod websocket_tests;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Ws,
    Wss,
    Http,
    Https,
}

impl Scheme {
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Wss | Self::Https)
    }

    fn default_port(self) -> u16 {
        if self.is_tls() { 443 } else { 80 }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Where to connect, from text like `wss://fstream.example.com:443/public/ws?x=y`.
///
/// Its `Debug` leaves the path out, because venues put listen keys and signatures there; `Display` is the whole address.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

/// Carries the text up to its path, and never a user name: the rest may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {why}; expected for example wss://host:443/path")]
pub struct EndpointError {
    pub text: String,
    pub why: &'static str,
}

impl Endpoint {
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins with `/`; carries the query, if there is one.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn is_tls(&self) -> bool {
        self.scheme.is_tls()
    }

    /// `host` or `host:port`, as the `Host` header wants it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }

    /// The same host with another path, which must begin with `/`.
    pub fn with_path(&self, path: &str) -> Result<Self, EndpointError> {
        format!("{}://{}{path}", self.scheme.text(), self.authority()).parse()
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let wrong = |why| EndpointError { text: showable(text), why };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            // Also keeps line breaks out of the request line.
            return Err(wrong("it holds a space, a control character or a letter outside of ASCII"));
        }
        let (scheme, rest) = text.split_once("://").ok_or(wrong("it has no scheme"))?;
        let scheme = match scheme {
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(wrong("its scheme is not one of ws, wss, http, https")),
        };
        if rest.contains('#') {
            return Err(wrong("it has a fragment, which has no meaning here"));
        }
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let path = match path.as_bytes().first() {
            None => "/".to_owned(),
            Some(b'?') => format!("/{path}"),
            Some(_) => path.to_owned(),
        };
        if authority.contains('@') {
            return Err(wrong("it holds a user name; keys do not belong in an address"));
        }
        let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
            let (host, rest) =
                rest.split_once(']').ok_or(wrong("the bracket of its IPv6 address is not closed"))?;
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| wrong("what stands in brackets is no IPv6 address"))?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(wrong("something other than a port follows its IPv6 address")),
            }
        } else {
            match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            }
        };
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        let port = match port {
            None => scheme.default_port(),
            // `u16::from_str` takes a plus sign.
            Some(port) => match port.parse::<u16>() {
                Ok(port_number) if port_number > 0 && !port.starts_with('+') => port_number,
                _ => return Err(wrong("its port is not a number from 1 to 65535")),
            },
        };
        Ok(Self { scheme, host: host.to_owned(), port, path })
    }
}

/// What of an address may stand in a log.
fn showable(text: &str) -> String {
    let begin = text.find("://").map_or(0, |at| at + 3);
    let end = text[begin..].find(['/', '?', '#']).map_or(text.len(), |at| begin + at);
    let authority = &text[begin..end];
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let rest = if end < text.len() { "/.." } else { "" };
    format!("{}{}{rest}", text[..begin].escape_debug(), authority.escape_debug())
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/..", self.scheme.text(), self.authority())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.text(), self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_put_together_again() {
        #[rustfmt::skip]
        let table = [
            ("wss://fstream.example.com/public/ws", Scheme::Wss, "fstream.example.com", 443, "/public/ws"),
            ("ws://127.0.0.1:9443/ws?a=b&c=d", Scheme::Ws, "127.0.0.1", 9443, "/ws?a=b&c=d"),
            ("https://[::1]:8443/", Scheme::Https, "::1", 8443, "/"),
        ];
        for (text, scheme, host, port, path) in table {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(
                (endpoint.scheme(), endpoint.host(), endpoint.port(), endpoint.path()),
                (scheme, host, port, path)
            );
            assert_eq!(endpoint.to_string(), text);
        }
        let bare: Endpoint = "http://host".parse().unwrap();
        assert_eq!((bare.port(), bare.path(), bare.authority().as_str()), (80, "/", "host"));
        assert_eq!("ws://host?x".parse::<Endpoint>().unwrap().path(), "/?x");
        assert_eq!(bare.with_path("/a/b").unwrap().to_string(), "http://host/a/b");
    }

    #[test]
    fn a_wrong_address_is_refused_with_the_text_and_the_reason() {
        for (text, reason) in [
            ("fstream.example.com", "no scheme"),
            ("ftp://host/", "its scheme"),
            ("wss:///path", "no host"),
            ("wss://:443/", "no host"),
            ("wss://host:0/", "port"),
            ("wss://host:65536/", "port"),
            ("wss://host:+1/", "port"),
            ("wss://host:/", "port"),
            ("wss://key@host/", "user name"),
            ("wss://host/a b", "a space"),
            ("wss://host/\r\nx: y", "control"),
            ("wss://[::1/", "bracket"),
            ("wss://[zz]/", "IPv6"),
            ("wss://[::1]x/", "IPv6"),
            ("wss://host/#top", "fragment"),
        ] {
            let said = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(said.contains(reason) && said.contains(&showable(text)), "{said}");
        }
    }

    #[test]
    fn neither_an_error_nor_debug_shows_what_may_be_a_secret() {
        let endpoint: Endpoint = "wss://host:9443/ws/SECRET?signature=SECRET".parse().unwrap();
        assert_eq!(format!("{endpoint:?}"), "wss://host:9443/..");
        for text in [
            "wss://SECRET@host/",
            "wss://host:x/SECRET",
            "ftp://host?SECRET",
            "wss://host/SECRET#",
            "wss://h st/SECRET",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(!error.to_string().contains("SECRET") && error.to_string().contains('h'), "{error}");
        }
    }
}
