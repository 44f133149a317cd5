//! The demo's venues: the embedded venue as a child process that ends with its parent, one for each product that the configuration trades there.

use std::io::{BufRead, BufReader};
use std::num::NonZeroU16;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::config::{Config, Dialect, Market};
use crate::core::instrument::Product;
use crate::sys::signal::StopFlag;
use crate::venue::binance::sign::{Credentials, Signer};

/// How long the venue may take until it serves: it makes its authority at the first start.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Every embedded venue of a configuration. They share one authority and one file of keys.
pub(super) struct Venues {
    all: Vec<Venue>,
    pub ca_file: PathBuf,
    keys_file: PathBuf,
}

impl Venues {
    /// Starts them one after the other, each when the one before serves (the first makes the authority and the keys), and gives the configuration
    /// their addresses. A raised `stop` ends it.
    pub fn start(config: &mut Config, session: &Path, stop: &StopFlag) -> anyhow::Result<Self> {
        let home = config.run.home.clone();
        let dialects = config.embedded_dialects();
        let (mut all, mut ca_file) = (Vec::new(), home.join("ca").join("ca.pem"));
        for dialect in &dialects {
            let log = if dialects.len() == 1 { "venue.log".to_owned() } else { format!("{dialect}.log") };
            let (venue, ready) = Venue::start(config, *dialect, session.join(log), stop)?;
            config.connect_embedded(*dialect, ready.port);
            all.push(venue);
            ca_file = ready.ca;
        }
        Ok(Self { all, ca_file, keys_file: keys_file(&home) })
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

    /// What went wrong there, if anything did: one has ended, or its recording is damaged.
    pub fn trouble(&mut self) -> Option<String> {
        self.all.iter_mut().find_map(Venue::trouble)
    }
}

/// One process.
struct Venue {
    child: Child,
    /// Further lines of its stdout.
    told: mpsc::Receiver<String>,
    /// Its own words.
    log: PathBuf,
}

impl Venue {
    /// Starts it and waits until it serves.
    fn start(
        config: &Config,
        dialect: Dialect,
        log: PathBuf,
        stop: &StopFlag,
    ) -> anyhow::Result<(Self, Ready)> {
        let program = std::env::current_exe().context("cannot find the program's own file")?;
        let log_file =
            std::fs::File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = Command::new(program);
        command.arg("venue").arg("--with-parent").args(arguments(config, dialect));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log_file);
        // Out of the terminal's group: Ctrl-C is for the engine alone, also before the venue listens to signals.
        command.process_group(0);
        let mut child = command.spawn().context("cannot start the embedded venue")?;
        let told = lines(&mut child);
        let said = first_line(&told, stop);
        let ready = said.as_deref().and_then(Ready::parse);
        let Some(ready) = ready else {
            let _ = child.kill();
            let _ = child.wait();
            if stop.is_raised() {
                bail!("stopped while the embedded venue was starting");
            }
            let words = std::fs::read_to_string(&log).unwrap_or_default();
            let words = words.trim();
            let why = if words.is_empty() { "it said nothing" } else { words };
            bail!("the embedded venue did not start: {}", why.trim_start_matches("linchpin: "));
        };
        Ok((Self { child, told, log }, ready))
    }

    /// What went wrong there, if anything did: it has ended, or its recording is damaged.
    fn trouble(&mut self) -> Option<String> {
        if let Some(why) = self.told.try_iter().find_map(|line| {
            line.strip_prefix("linchpin-venue damaged ").map(|why| format!("the embedded venue's {why}"))
        }) {
            return Some(why);
        }
        if self.is_alive() {
            return None;
        }
        let words = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = words.lines().next_back().map_or(String::new(), |line| format!(": {line}"));
        Some(format!("the embedded venue has ended by itself{last}"))
    }

    /// True while it runs.
    fn is_alive(&mut self) -> bool {
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
    port: NonZeroU16,
    ca: PathBuf,
}

impl Ready {
    /// `linchpin-venue ready port=<n> [plain_port=<n>] ca=<file> keys=<file>`
    fn parse(line: &str) -> Option<Self> {
        let rest = line.trim_end().strip_prefix("linchpin-venue ready ")?;
        let (front, _keys) = rest.split_once(" keys=")?;
        let (front, ca) = front.split_once(" ca=")?;
        let port = front.split(' ').find_map(|word| word.strip_prefix("port="))?;
        Some(Self { port: port.parse().ok()?, ca: ca.into() })
    }
}

fn keys_file(home: &Path) -> PathBuf {
    home.join("venue-keys.toml")
}

fn arguments(config: &Config, dialect: Dialect) -> Vec<String> {
    let (demo, home) = (&config.demo, &config.run.home);
    let mut symbols: Vec<&str> = Vec::new();
    for instrument in &config.instruments {
        let venue = config.venues.get(usize::from(instrument.venue));
        if venue.is_some_and(|venue| venue.is_embedded() && venue.dialect == dialect)
            && !symbols.contains(&instrument.symbol.as_str())
        {
            symbols.push(&instrument.symbol);
        }
    }
    let mut arguments = vec![
        format!("--product={}", if dialect.product() == Product::Spot { "spot" } else { "usdm" }),
        format!("--ca-dir={}", home.join("ca").display()),
        format!("--keys={}", keys_file(home).display()),
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

/// The lines of the child's stdout, read by a thread so that the child never blocks on them; it ends with the child.
fn lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
    }
    told
}

/// The first line, or nothing if the child ends, takes too long, or `stop` is raised.
fn first_line(told: &mpsc::Receiver<String>, stop: &StopFlag) -> Option<String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && !stop.is_raised() {
        match told.recv_timeout(LOOK_EVERY) {
            Ok(line) => return Some(line),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}
