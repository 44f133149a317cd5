//! The demo's venue: the embedded venue as a child process that ends with its parent.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::config::{Addresses, Config, Demo, Market};
use crate::venue::binance::sign::{Credentials, Signer};

/// How long the venue may take until it serves: it makes its authority at the first start.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Venue {
    child: Child,
    pub addresses: Addresses,
    pub ca_file: PathBuf,
    pub keys_file: PathBuf,
}

impl Venue {
    /// Starts it and waits until it serves. Its own words go to `venue.log` in the session's folder.
    pub fn start(config: &Config, session: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find the program's own file")?;
        let log = session.join("venue.log");
        let log_file =
            std::fs::File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = Command::new(program);
        command.arg("venue").arg("--with-parent");
        command.args(arguments(&config.demo, config));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log_file);
        let mut child = command.spawn().context("cannot start the embedded venue")?;
        let said = first_line(&mut child);
        let ready = said.as_deref().and_then(Ready::parse);
        let Some(ready) = ready else {
            let _ = child.kill();
            let _ = child.wait();
            let words = std::fs::read_to_string(&log).unwrap_or_default();
            let words = words.trim();
            let why = if words.is_empty() { "it said nothing" } else { words };
            bail!("the embedded venue did not start: {}", why.trim_start_matches("linchpin: "));
        };
        let addresses = Addresses::embedded(ready.port).context("the embedded venue serves on port 0")?;
        Ok(Self { child, addresses, ca_file: ready.ca, keys_file: ready.keys })
    }

    /// The demo account's key, of the kind that logs a session on.
    pub fn credentials(&self) -> anyhow::Result<Credentials> {
        let place = self.keys_file.display();
        let text =
            std::fs::read_to_string(&self.keys_file).with_context(|| format!("cannot read {place}"))?;
        let text = Zeroizing::new(text);
        let file: KeysFile =
            toml::from_str(&text).map_err(|error| anyhow::anyhow!("{place}: {}", error.message()))?;
        let key = file.key.into_iter().find(|key| key.kind == "ed25519" && key.private_key.is_some());
        let key = key.with_context(|| format!("{place} holds no ed25519 key with its private half"))?;
        let secret = Zeroizing::new(key.private_key.unwrap_or_default());
        let signer = Signer::from_key_text(&secret).with_context(|| format!("{place}: the ed25519 key"))?;
        Credentials::new(&key.api_key, signer).with_context(|| format!("{place}: the API key"))
    }

    /// True while it runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Venue {
    /// Its stdin closes, which ends it; a venue that does not listen is killed.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        for _ in 0..100 {
            if !self.is_alive() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Deserialize)]
struct KeysFile {
    key: Vec<DemoKey>,
}

#[derive(Deserialize)]
struct DemoKey {
    api_key: String,
    kind: String,
    private_key: Option<String>,
}

struct Ready {
    port: u16,
    ca: PathBuf,
    keys: PathBuf,
}

impl Ready {
    /// `linchpin-venue ready port=<n> [plain_port=<n>] ca=<file> keys=<file>`
    fn parse(line: &str) -> Option<Self> {
        let rest = line.trim_end().strip_prefix("linchpin-venue ready ")?;
        let (front, keys) = rest.split_once(" keys=")?;
        let (front, ca) = front.split_once(" ca=")?;
        let port = front.split(' ').find_map(|word| word.strip_prefix("port="))?;
        Some(Self { port: port.parse().ok()?, ca: ca.into(), keys: keys.into() })
    }
}

fn arguments(demo: &Demo, config: &Config) -> Vec<String> {
    let home = &config.run.home;
    let symbols: Vec<&str> = config.instruments.iter().map(|instrument| instrument.symbol.as_str()).collect();
    let mut arguments = vec![
        format!("--ca-dir={}", home.join("ca").display()),
        format!("--keys={}", home.join("venue-keys.toml").display()),
        format!("--market={}", demo.market),
        format!("--symbols={}", symbols.join(",")),
        format!("--balance={}", demo.balance),
    ];
    match demo.market {
        Market::Agents => arguments.push(format!("--seed={}", demo.seed)),
        Market::Recording(_) => arguments.push(format!("--speed={}", demo.speed)),
    }
    arguments
}

/// The first line of the child's stdout, or nothing if it ends or takes too long.
fn first_line(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        let _ = reader.read_line(&mut line);
        let _ = tell.send(line);
        // Whatever else it prints is taken, so that it never blocks.
        let _ = reader.read_to_end(&mut Vec::new());
    });
    told.recv_timeout(PATIENCE).ok().filter(|line| !line.is_empty())
}
