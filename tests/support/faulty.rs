//! A venue with a control port, as a process, and an engine that trades at it: for tests of what the engine does when the world fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use linchpin::core::event::{Body, Event, HydrationPhase, HydrationScope, LinkState, Verdict};
use serde_json::Value;

use super::{PATIENCE, Running, Told, linchpin, session};

/// `linchpin venue --control`, alone on its ports. It keeps its state, so that it can be killed and come back.
pub struct Venue {
    child: Child,
    pub port: u16,
    control: u16,
    pub authority: PathBuf,
    folder: PathBuf,
    flags: Vec<String>,
}

impl Venue {
    pub fn start(folder: &Path, flags: &[&str]) -> Venue {
        Self::start_on(0, folder, flags.iter().map(|flag| (*flag).to_owned()).collect())
    }

    fn start_on(port: u16, folder: &Path, flags: Vec<String>) -> Venue {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
        command.args(["venue", "--control", "--with-parent", "--ca-dir", "ca", "--keys", "keys.toml"]);
        command.args(["--state", "venue", "--port", &port.to_string()]);
        command.args(&flags).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the venue starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut line).expect("a line");
        let word = |name: &str| {
            let found = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("no {name} in {line:?}")).to_owned()
        };
        // The pipe is read on, so that the venue never waits for it.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let port = |name| word(name).parse().expect("a port");
        let authority = folder.join(word("ca"));
        let folder = folder.to_owned();
        Venue { child, port: port("port"), control: port("control"), authority, folder, flags }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("it was there");
        self.child.wait().expect("it is gone");
    }

    /// Another process in the place of the killed one, on the same port, with what that one kept.
    pub fn come_back(&mut self) {
        *self = Self::start_on(self.port, &self.folder, self.flags.clone());
    }

    /// Orders a fault; gives the numbers of the connections that it hit.
    #[track_caller]
    pub fn fault(&self, order: &str) -> Vec<u64> {
        let answer = self.ask("POST", "/faults", order);
        assert_eq!(answer["done"], true, "{order}: {answer}");
        answer["connections"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.ask("DELETE", "/faults", "");
    }

    /// The numbers of the connections of a kind, oldest first.
    pub fn connections(&self, kind: &str) -> Vec<u64> {
        let all = self.ask("GET", "/connections", "");
        let of_kind = all.as_array().expect("a list").iter().filter(|one| one["kind"] == kind);
        of_kind.filter_map(|one| one["number"].as_u64()).collect()
    }

    /// Every client order id of which the venue heard: how often as a new order, and how often it made one.
    pub fn orders(&self) -> Vec<(String, u64, u64)> {
        let all = self.ask("GET", "/orders", "");
        let count = |placed: &Value, what: &str| placed[what].as_u64().unwrap_or(u64::MAX);
        all.as_object()
            .expect("a map")
            .iter()
            .map(|(id, placed)| (id.clone(), count(placed, "asked"), count(placed, "taken")))
            .collect()
    }

    pub fn orders_taken(&self) -> u64 {
        self.orders().iter().map(|(_, _, taken)| taken).sum()
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.control)).expect("the control port");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: venue\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("asked");
        stream.write_all(body.as_bytes()).expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{method} {path}: {error}: {answer}"))
    }

    /// The `[[venue]]` table of a configuration, named `name`. Its times are out of reach of a busy machine: who tries one says so in
    /// `more`, which goes before its subtables.
    pub fn table(&self, name: &str, dialect: &str, more: &str) -> String {
        let (id, secret) = self.key_files();
        let (port, authority) = (self.port, self.authority.display());
        let api = if dialect == "binance-spot" { "/ws-api/v3" } else { "/ws-fapi/v1" };
        let unless = |key: &str, line: &'static str| if more.contains(key) { "" } else { line };
        let silence = unless("silence_timeout", "silence_timeout = \"5m\"");
        // A round of its own could take the fault that is meant for another request.
        let rounds = unless("heartbeat", "heartbeat = \"none\"\naudit = \"none\"");
        format!(
            r#"
[[venue]]
name = "{name}"
dialect = "{dialect}"
rest = "https://127.0.0.1:{port}"
market = "wss://127.0.0.1:{port}"
private = "wss://127.0.0.1:{port}"
order_entry = "wss://127.0.0.1:{port}{api}"
ca_file = "{authority}"
connect_timeout = "30s"
ping_interval = "1s"
reconnect_first = "50ms"
reconnect_longest = "500ms"
{silence}
{rounds}
{more}
[venue.key]
kind = "ed25519"
id = "file:{id}"
secret = "file:{secret}"
"#
        )
    }

    /// The demo key: its name, and its secret as PEM.
    pub fn key(&self) -> [String; 2] {
        let text = std::fs::read_to_string(self.folder.join("keys.toml")).expect("the keys");
        let keys: toml::Table = text.parse().expect("TOML");
        let key =
            keys["key"].as_array().expect("keys").iter().find(|key| key["kind"].as_str() == Some("ed25519"));
        let key = key.expect("an ed25519 key");
        ["api_key", "private_key"].map(|field| key[field].as_str().expect("text").to_owned())
    }

    /// The demo key's two halves as files, as a desk keeps them.
    fn key_files(&self) -> (String, String) {
        let [id, secret] = self.key();
        let keep = |file: &str, half: &str| {
            let place = self.folder.join(file);
            std::fs::write(&place, half).expect("written");
            std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600)).expect("private");
            place.display().to_string()
        };
        (keep("key.id", &id), keep("key.pem", &secret))
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An engine that trades, its venue, and what has happened since a moment.
pub struct Desk {
    folder: tempfile::TempDir,
    pub venue: Venue,
    engine: Running,
    since: u64,
    /// There a replacement is a new order of the same id.
    is_spot: bool,
}

/// What a finished session tells.
pub struct Story {
    pub told: Told,
    /// In the order of processing, since `Desk::mark`: each in short, and never the same twice in a row.
    pub events: Vec<String>,
    /// When the venue made each update of a book (ms).
    updates: Vec<u64>,
    /// The pauses that the venue asked for: when it did, and until when.
    pub pauses: Vec<(u64, u64)>,
    /// When each answer to a request came.
    pub answers: Vec<u64>,
    pub log: String,
    /// Every client order id, how often it was asked for as a new order, and how often it made one.
    pub orders: Vec<(String, u64, u64)>,
}

impl Story {
    /// Updates of books that the venue made in a second, by its own clock.
    pub fn updates_per_second(&self) -> u64 {
        let made = self.updates.iter().filter(|at| **at > 0);
        let (first, last) = (made.clone().min().unwrap_or(&0), made.clone().max().unwrap_or(&0));
        1_000 * made.count() as u64 / (last - first).max(1_000)
    }
}

impl Desk {
    /// Starts both and waits until orders are taken. `flags` are the venue's, and say which product it is; `more` goes into the `[[venue]]` table,
    /// `rest` after it.
    pub fn open(flags: &[&str], more: &str, rest: &str) -> Desk {
        let is_spot = flags.contains(&"spot");
        let folder = tempfile::tempdir().expect("a folder");
        let venue = Venue::start(folder.path(), &[&["--symbols", "BTCUSDT,ETHUSDT"], flags].concat());
        let config = format!(
            "mode = \"DEMO\"\n[run]\nhome = \"home\"\nduration = \"none\"\n[threads]\nlayout = \"merged\"\nwait = \"park\"\n{}{rest}",
            venue.table("demo", if is_spot { "binance-spot" } else { "binance-usdm" }, more)
        );
        std::fs::write(folder.path().join("desk.toml"), config).expect("written");
        let engine = Running::start(linchpin(folder.path(), &["run", "--config", "desk.toml"]));
        let mut desk = Desk { folder, venue, engine, since: 0, is_spot };
        desk.wait_for("the first orders", |desk| desk.venue.orders_taken() >= 3);
        desk
    }

    /// What happens from here on is the story.
    pub fn mark(&mut self) {
        self.since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    }

    #[track_caller]
    pub fn wait_for(&mut self, what: &str, mut is_so: impl FnMut(&Desk) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(self.engine.is_alive(), "the engine has ended while the test waited until {what}");
            assert!(
                Instant::now() < until,
                "waited in vain until {what}\n{:#?}\n{}",
                self.events(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the log has these words.
    #[track_caller]
    pub fn wait_for_log(&mut self, words: &str) {
        self.wait_for(words, |desk| desk.log().contains(words));
    }

    /// Waits until the journal tells this of what happened since `mark`.
    #[track_caller]
    pub fn wait_for_event(&mut self, event: &str) {
        self.wait_for(event, |desk| desk.events().iter().any(|found| found == event));
    }

    /// Waits until the venue has taken so many orders more: the engine trades again.
    #[track_caller]
    pub fn trades_on(&mut self, orders: u64) {
        let before = self.venue.orders_taken();
        self.wait_for("it trades again", |desk| desk.venue.orders_taken() >= before + orders);
    }

    /// While the market goes on for so many updates more, the venue hears of no new order. What was on its way is let arrive first.
    #[track_caller]
    pub fn holds_its_orders_for(&mut self, updates: usize) {
        self.market_goes_on(updates / 4);
        let before = self.venue.orders();
        self.market_goes_on(updates);
        assert_eq!(self.venue.orders(), before, "something new went out meanwhile");
    }

    #[track_caller]
    fn market_goes_on(&mut self, updates: usize) {
        let so_far = |desk: &Desk| {
            let depth = |event: &Event| matches!(event.body, Body::Depth(_));
            happened(&desk.home(), desk.since).filter(depth).count()
        };
        let before = so_far(self);
        self.wait_for("the market goes on", |desk| so_far(desk) >= before + updates);
    }

    /// A word of the operator, which must succeed.
    #[track_caller]
    pub fn ctl(&self, words: &[&str]) -> Told {
        let all = [&["ctl", "--home", "home"], words].concat();
        super::run(self.folder.path(), &all).expect_code(0)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The engine ends as by a power cut; its venue and its folder stay.
    pub fn crash(&mut self) {
        self.engine.signal("-KILL");
        let engine = &mut self.engine;
        let until = Instant::now() + PATIENCE;
        while engine.is_alive() {
            assert!(Instant::now() < until, "it does not die");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(session(&self.home()).join("log.jsonl")).unwrap_or_default()
    }

    /// Ctrl-C, and what the session left. It must have drained, sealed and replayed; and no order was asked for twice.
    #[track_caller]
    pub fn close(self) -> Story {
        let Desk { folder, venue, engine, since, is_spot } = self;
        let home = folder.path().join("home");
        venue.heal();
        engine.signal_group("-INT");
        let told = engine.ended().expect_code(0);
        told.says("0 left open").says("replay                 identical");
        let log = std::fs::read_to_string(session(&home).join("log.jsonl")).unwrap_or_default();
        let orders = venue.orders();
        let twice: Vec<_> =
            orders.iter().filter(|(_, asked, taken)| *asked > 1 || (*taken > 1 && !is_spot)).collect();
        assert!(twice.is_empty(), "sent twice: {twice:?}\n{log}");
        assert!(orders.len() >= 3, "{orders:?}");
        let depth = happened(&home, since).filter(|event| matches!(event.body, Body::Depth(_)));
        let updates = depth.map(|event| event.event_time.as_millis()).collect();
        let answered = happened(&home, since).filter(|event| matches!(event.body, Body::Outcome(_)));
        let answers = answered.map(|event| event.received.raw()).collect();
        Story {
            told,
            events: in_words(&home, since),
            updates,
            pauses: pauses(&home, since),
            answers,
            log,
            orders,
        }
    }

    /// The pauses that the venue has asked for since `mark`: when it did, and until when.
    pub fn pauses(&self) -> Vec<(u64, u64)> {
        pauses(&self.home(), self.since)
    }

    /// The events since `mark`, as far as they are written: each in short, and never the same twice in a row.
    pub fn events(&self) -> Vec<String> {
        in_words(&self.home(), self.since)
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }
}

fn happened(home: &Path, since: u64) -> impl Iterator<Item = Event> {
    let all = super::events(&session(home));
    all.into_iter().filter(move |(time, _)| *time >= since).map(|(_, event)| event)
}

fn pauses(home: &Path, since: u64) -> Vec<(u64, u64)> {
    let pause = |event: Event| match event.body {
        Body::RateUsage(usage) if !usage.retry_at.is_zero() => {
            Some((event.received.raw(), usage.retry_at.raw()))
        }
        _ => None,
    };
    happened(home, since).filter_map(pause).collect()
}

fn in_words(home: &Path, since: u64) -> Vec<String> {
    let mut events: Vec<String> = Vec::new();
    for event in happened(home, since) {
        if let Some(words) = in_short(&event)
            && events.last() != Some(&words)
        {
            events.push(words);
        }
    }
    events
}

/// What the fault table speaks of; nothing for what is everyday.
fn in_short(event: &Event) -> Option<String> {
    Some(match &event.body {
        Body::Link(change) if change.state == LinkState::Up => format!("{} up", change.link.name()),
        Body::Link(change) => {
            format!("{} {} ({})", change.link.name(), change.state.name(), change.reason.name())
        }
        Body::BookLost(loss) => format!("book {} lost ({})", event.instrument.0, loss.name()),
        Body::Depth(depth) if depth.part.snapshot => format!("book {} anew", event.instrument.0),
        Body::Outcome(outcome) if outcome.verdict != Verdict::Accepted => {
            format!("request {} ({})", outcome.verdict.name(), outcome.reason.name())
        }
        Body::NotSent(not_sent) => format!("not sent ({})", not_sent.reason.name()),
        Body::Hydration(hydration) => match (hydration.scope, hydration.phase) {
            (_, HydrationPhase::Begin) => return None,
            (HydrationScope::Account, HydrationPhase::Failed) => "account not read back".into(),
            (HydrationScope::Account, _) => "account read back".into(),
            (_, HydrationPhase::Failed) => "order not read back".into(),
            _ => "order read back".into(),
        },
        _ => return None,
    })
}
