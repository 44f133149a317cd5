//! Where an account's key is. A [`Key`] names files, variables and programs; the secret itself is read only when [`Key::read`] is called, goes straight
//! into [`Credentials`], and is in no error, no `Debug`, no resolved text.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::error::ConfigError;
use super::text::{Wrong, words};
use crate::venue::binance::sign::{Credentials, Signer};

words! {
    pub enum KeyKind {
        Ed25519 = "ed25519",
        Hmac = "hmac",
        Rsa = "rsa",
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
    /// What a program prints: its path and its arguments. No shell is between.
    Command(Vec<String>),
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
        if signer.kind() != self.kind.to_string() {
            return Err(wrong(
                "kind",
                format!("says {}, but the secret is of the kind {}", self.kind, signer.kind()),
            ));
        }
        Credentials::new(&id, signer).map(Some).map_err(|error| wrong("id", error.to_string()))
    }
}

impl Source {
    /// A secret that is no venue's key; `key` is for messages.
    pub fn read_secret(&self, key: &str) -> Result<Zeroizing<String>, ConfigError> {
        let embedded = || mistake(key.to_owned(), "\"embedded\" is only for a venue's key".to_owned());
        self.read(key, true)?.ok_or_else(embedded)
    }

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
                if is_secret {
                    check_private(path).map_err(wrong)?;
                }
                Ok(Some(Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?)))
            }
            Self::Command(words) => printed_by(words).map(Some).map_err(wrong),
        }
    }
}

/// A file that holds a secret is nobody else's to read.
pub fn check_private(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(format!("{shown} can be read by others (mode {mode:03o}); make it private: chmod 600 {shown}"))
}

/// A key is shorter than this; what prints more is not a key.
const LONGEST_KEY: u64 = 64 << 10;
/// A key store that asks a person may take a while.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a program prints on its stdout. Its stderr goes where ours goes, so that it can ask and complain; it is never read here,
/// and no message of ours quotes what it printed.
fn printed_by(words: &[String]) -> Result<Zeroizing<String>, String> {
    let Some((program, arguments)) = words.split_first() else { return Err("names no program".to_owned()) };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        // Sized at once: a vector that grew would leave pieces of the key in freed memory.
        let mut text = Zeroizing::new(Vec::with_capacity(LONGEST_KEY as usize + 1));
        let read = stdout.map(|out| out.take(LONGEST_KEY + 1).read_to_end(&mut text));
        read.transpose().map(|_| text)
    });
    let mut waited = Duration::ZERO;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if waited < PATIENCE => {}
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{program} had not ended after {} s", PATIENCE.as_secs()));
            }
            Err(error) => return Err(format!("cannot wait for {program}: {error}")),
        }
        std::thread::sleep(LOOK_EVERY);
        waited += LOOK_EVERY;
    };
    let mut bytes = match reader.join() {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(format!("cannot read what {program} printed: {error}")),
        Err(_) => return Err(format!("cannot read what {program} printed")),
    };
    if bytes.len() as u64 > LONGEST_KEY {
        return Err(format!("{program} printed more than a key can be long ({LONGEST_KEY} bytes)"));
    }
    if !status.success() {
        return Err(format!("{program} ended with {status}"));
    }
    match String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new) {
        Ok(text) if text.trim().is_empty() => Err(format!("{program} printed nothing")),
        Ok(text) => Ok(text),
        Err(error) => {
            // What is not text may be a key all the same.
            drop(Zeroizing::new(error.into_bytes()));
            Err(format!("what {program} printed is not text"))
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
            Some(("command", line)) if line.trim_start().starts_with('/') => {
                Ok(Self::Command(line.split_whitespace().map(str::to_owned).collect()))
            }
            Some(("command", _)) => {
                Err(Wrong::new("the program of \"command:\" needs its whole path, from / on"))
            }
            _ => Err(Wrong::new(
                "expected \"env:VARIABLE\", \"file:PATH\" or \"command:/PATH ARGUMENTS\" (what stands there is not shown: it may be a secret)",
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
            Self::Command(words) => write!(f, "command:{}", words.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let source: Source = text.parse().map_err(|wrong: Wrong| wrong.to_string())?;
        let secret = source.read("venue[0].key.secret", true).map_err(|error| error.to_string())?;
        Ok(secret.expect("it is not the embedded venue's").to_string())
    }

    #[test]
    fn a_program_prints_the_key_without_a_shell_between() {
        assert_eq!(read("command:/bin/echo a key  $HOME;id").unwrap().trim(), "a key $HOME;id");
    }

    #[test]
    fn a_program_that_fails_prints_nothing_or_too_much_is_named_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("key");
        let ran = |body: &str| {
            std::fs::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
            read(&format!("command:{}", script.display())).unwrap_err()
        };
        for (body, says) in [
            ("echo s3cr3t; exit 3", "exit status: 3"),
            ("true", "printed nothing"),
            ("head -c 70000 /dev/zero | tr '\\0' x", "more than a key can be long"),
            ("printf 's3cr3t\\377'", "is not text"),
        ] {
            let said = ran(body);
            assert!(
                said.contains(says) && said.contains("key") && !said.contains("s3cr3t"),
                "{body}: {said}"
            );
        }
        assert!(read("command:/no/such/program").unwrap_err().contains("cannot run /no/such/program"));
        assert!(read("command:pass show x").unwrap_err().contains("whole path"));
    }
}
