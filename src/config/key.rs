//! Where an account's key is. A [`Key`] names files and variables; the secret itself is read only when [`Key::read`] is called, goes straight
//! into [`Credentials`], and is in no error, no `Debug`, no resolved text.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::error::ConfigError;
use super::text::{Wrong, words};
use crate::venue::binance::sign::{Credentials, Signer};

words! {
    pub enum KeyKind {
        Ed25519 = "ed25519",
        Hmac = "hmac",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub kind: KeyKind,
    pub id: Source,
    pub secret: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The embedded venue's own keys file: the launcher knows it.
    Embedded,
    Variable(String),
    File(PathBuf),
}

impl Key {
    /// Reads the key; `Ok(None)` for the embedded venue's, which the launcher reads. `venue` is for messages: `venue[0]`.
    pub fn read(&self, venue: &str) -> Result<Option<Credentials>, ConfigError> {
        let (Some(id), Some(secret)) = (
            self.id.read(&format!("{venue}.key.id"), false)?,
            self.secret.read(&format!("{venue}.key.secret"), true)?,
        ) else {
            return Ok(None);
        };
        let wrong = |key: &str, problem: String| mistake(format!("{venue}.key.{key}"), problem);
        let signer = Signer::from_key_text(&secret).map_err(|error| wrong("secret", error.to_string()))?;
        if signer.can_log_on() != (self.kind == KeyKind::Ed25519) {
            return Err(wrong("kind", format!("says {}, but the secret is of the other kind", self.kind)));
        }
        Credentials::new(&id, signer).map(Some).map_err(|error| wrong("id", error.to_string()))
    }
}

impl Source {
    fn read(&self, key: &str, is_secret: bool) -> Result<Option<Zeroizing<String>>, ConfigError> {
        let wrong = |problem: String| mistake(key.to_owned(), problem);
        match self {
            Self::Embedded => Ok(None),
            Self::Variable(name) => match std::env::var(name) {
                Ok(text) if !text.trim().is_empty() => Ok(Some(Zeroizing::new(text))),
                Ok(_) => Err(wrong(format!("the environment variable {name} is empty"))),
                Err(std::env::VarError::NotPresent) => {
                    Err(wrong(format!("the environment variable {name} is not set")))
                }
                Err(_) => Err(wrong(format!("the environment variable {name} is not text"))),
            },
            Self::File(path) => {
                let shown = path.display();
                let unreadable = |error| wrong(format!("cannot read {shown}: {error}"));
                let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
                if is_secret && mode & 0o077 != 0 {
                    return Err(wrong(format!(
                        "{shown} can be read by others (mode {:03o}); make it private: chmod 600 {shown}",
                        mode & 0o777
                    )));
                }
                Ok(Some(Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?)))
            }
        }
    }
}

fn mistake(key: String, problem: String) -> ConfigError {
    ConfigError { place: String::new(), key, value: None, problem }
}

impl FromStr for Source {
    type Err = Wrong;

    /// Its error never quotes the text: it may be a secret that stands in the wrong place.
    fn from_str(text: &str) -> Result<Self, Wrong> {
        let is_variable = |name: &str| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        match text.split_once(':') {
            None if text == "embedded" => Ok(Self::Embedded),
            Some(("env", name)) if is_variable(name) => Ok(Self::Variable(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            _ => Err(Wrong::new(
                "expected \"env:VARIABLE\" or \"file:PATH\" (what stands there is not shown: it may be a secret)",
            )),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}
