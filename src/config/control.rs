//! `[control]`: how people reach a running engine, and what watches over it.

use std::net::SocketAddr;
use std::path::PathBuf;

use linchpin_core::time::Nanos;

use super::Mode;
use super::document::{Section, span_within, text, unless_none};
use super::key::Source;
use super::read::path;
use super::resolved::{Writer, toml_text};
use super::text::{Wrong, show_span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    pub socket: ControlSocket,
    pub https: Option<ControlHttps>,
    /// Without an answer of the core for so long the kill switch trips.
    pub stall_after: Option<Nanos>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlSocket {
    /// `ctl.sock` in the home.
    InHome,
    At(PathBuf),
    None,
}

/// HTTPS beside the socket. Its token or its clients' authority is there, or both: then either is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlHttps {
    /// On the loopback.
    pub listen: SocketAddr,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub token: Option<Source>,
    pub client_ca: Option<PathBuf>,
}

/// The longest path that a Unix socket may have.
const LONGEST_SOCKET: usize = 107;

pub(super) fn control(section: &Section<'_>, mode: Mode) -> Control {
    let stall_after = |text: &str| span_within(text, &(Nanos::from_millis(100)..=Nanos::from_secs(60)));
    let socket = section.read(
        "socket",
        text(|text| {
            Ok(match text {
                "auto" => ControlSocket::InHome,
                "none" => ControlSocket::None,
                _ if text.len() > LONGEST_SOCKET => {
                    return Err(Wrong::new("is longer than the 107 bytes that a socket's path may have"));
                }
                text => ControlSocket::At(path(text)?),
            })
        }),
    );
    if socket == ControlSocket::None && mode.reaches_an_exchange() {
        section.wrong("socket", "a run that sends to a venue needs a kill switch that people can reach");
    }
    Control {
        socket,
        https: https(&section.table("https")),
        stall_after: section.read("stall_after", unless_none(text(stall_after))),
    }
}

fn https(section: &Section<'_>) -> Option<ControlHttps> {
    let listen = section.read("listen", unless_none(text(loopback)));
    let file = |key| section.read(key, unless_none(text(path)));
    let (certificate, key, client_ca) = (file("certificate"), file("key"), file("client_ca"));
    let token = section.read("token", |value| match value {
        super::document::Value::Text(text) if text == "none" => Ok(None),
        super::document::Value::Text(text) => match text.parse::<Source>() {
            Ok(Source::Embedded) | Err(_) => Err(Wrong::new(
                "expected \"env:VARIABLE\", \"file:PATH\", \"command:/PATH ARGUMENTS\" or \"none\"",
            )),
            Ok(source) => Ok(Some(source)),
        },
        _ => Err(Wrong::new("expected text")),
    });
    let Some(listen) = listen else {
        let given = [
            ("certificate", certificate.is_some()),
            ("key", key.is_some()),
            ("token", token.is_some()),
            ("client_ca", client_ca.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given && !section.is_wrong("listen")) {
            section.wrong(key, "means nothing without `listen`, the address of the HTTPS port");
        }
        return None;
    };
    for (name, file) in [("certificate", &certificate), ("key", &key)] {
        if file.is_none() {
            section.wrong(name, "is needed with `listen`: a PEM file");
        }
    }
    if token.is_none() && client_ca.is_none() {
        section.wrong("token", "somebody must be known: give a `token`, or a `client_ca`, or both");
    }
    Some(ControlHttps {
        listen,
        certificate: certificate.unwrap_or_default(),
        key: key.unwrap_or_default(),
        token,
        client_ca,
    })
}

/// Commands do not travel over networks: whoever is elsewhere comes by ssh.
fn loopback(text: &str) -> Result<SocketAddr, Wrong> {
    let address: SocketAddr = text.parse().map_err(|_| {
        Wrong::new("expected an address with its port, such as \"127.0.0.1:7443\" or \"[::1]:7443\"")
    })?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(Wrong::new("is no loopback address; from elsewhere, forward the port (ssh -L)"))
    }
}

impl Control {
    pub(super) fn write(&self, out: &mut Writer) {
        out.table("[control]");
        let socket = match &self.socket {
            ControlSocket::InHome => "auto".to_owned(),
            ControlSocket::At(path) => path.display().to_string(),
            ControlSocket::None => "none".to_owned(),
        };
        out.local("socket", toml_text(&socket));
        let stall_after = self.stall_after.map_or("none".to_owned(), show_span);
        out.local("stall_after", format!("\"{stall_after}\""));
        out.table("[control.https]");
        let none = || "none".to_owned();
        let https = self.https.as_ref();
        let file =
            |path: Option<&PathBuf>| toml_text(&path.map_or_else(none, |path| path.display().to_string()));
        out.local("listen", toml_text(&https.map_or_else(none, |https| https.listen.to_string())));
        out.local("certificate", file(https.map(|https| &https.certificate)));
        out.local("key", file(https.map(|https| &https.key)));
        let token = https.and_then(|https| https.token.as_ref());
        out.local("token", toml_text(&token.map_or_else(none, ToString::to_string)));
        out.local("client_ca", file(https.and_then(|https| https.client_ca.as_ref())));
    }
}
