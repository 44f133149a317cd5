//! A desk for tests that outlive an engine: the embedded venue as a process of its own, a configuration that points to it, and
//! the venue's own word about the account.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use linchpin::net::Endpoint;
use linchpin::net::http::{HttpClient, HttpOptions};
use linchpin::net::tls::{TlsClient, TlsTrust};
use linchpin::sys::clock::Clock;
use linchpin::threads::requester::{Read as _, Rest, measure_clock};
use linchpin::venue::binance::hydrate::{Hydrator, Requests, TradesFrom};
use linchpin::venue::binance::sign::{Credentials, Signer};

use super::Running;

pub const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];

pub struct Desk {
    folder: tempfile::TempDir,
    _venue: Running,
    control: u16,
    rest: Rest<Clock>,
}

/// The venue's own word.
pub struct Account {
    /// As decimal text without trailing zeros.
    pub positions: Vec<(String, String)>,
    pub open_orders: usize,
    pub trades: u64,
}

impl Desk {
    /// `journal`: lines of the configuration's `[journal]`.
    pub fn open(journal: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let symbols = SYMBOLS.join(",");
        let limits =
            ["--weight-limit", "100000", "--order-limit-10s", "100000", "--order-limit-1m", "100000"];
        let mut arguments = vec![
            "venue",
            "--control",
            "--with-parent",
            "--ca-dir",
            "ca",
            "--keys",
            "keys.toml",
            "--symbols",
            &symbols,
        ];
        arguments.extend(limits);
        let mut command = super::linchpin(folder.path(), &arguments);
        command.stdin(std::process::Stdio::piped());
        let mut venue = Running::start(command);
        let ready = venue.wait_for("the venue", |line| line.starts_with("linchpin-venue ready"));
        let port = |name: &str| -> u16 {
            let word = ready.split(' ').find_map(|word| word.strip_prefix(name)).expect("a port");
            word.parse().expect("a number")
        };
        let (port, control) = (port("port="), port("control="));
        let credentials = keep_key(folder.path());
        std::fs::write(folder.path().join("desk.toml"), configuration(port, journal)).expect("written");
        let tls = TlsClient::new(&TlsTrust::CaFile(folder.path().join("ca/ca.pem"))).expect("trust");
        let base: Endpoint = format!("https://localhost:{port}").parse().expect("an address");
        let http = HttpClient::new(Some(&tls), HttpOptions::default());
        let rest = Rest::new(http, base, Some(credentials.into()), Clock::new());
        Self { folder, _venue: venue, control, rest }
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `linchpin run` on this desk's configuration.
    pub fn engine(&self, arguments: &[&str]) -> Command {
        let mut all = vec!["run", "--config", "desk.toml", "--no-verify"];
        all.extend(arguments);
        super::linchpin(self.folder.path(), &all)
    }

    /// What the venue itself says of the account.
    pub fn account(&mut self) -> Account {
        let requests = Requests::of(linchpin::core::instrument::Product::LinearPerpetual);
        measure_clock(&mut self.rest, &Clock::new(), requests, &mut Hydrator::default())
            .expect("the venue's time");
        let mut rows = |request: &linchpin::venue::binance::hydrate::RestRequest| -> Vec<serde_json::Value> {
            let body = self.rest.read(request).expect("an answer");
            serde_json::from_slice(&body).expect("a list")
        };
        let risk = rows(&requests.position_risk().expect("futures have one"));
        let position = |symbol: &str| {
            let row = risk.iter().find(|row| row["symbol"] == symbol);
            let text = row.and_then(|row| row["positionAmt"].as_str()).unwrap_or("0").to_owned();
            plain(&text)
        };
        let mut trades = 0;
        for symbol in SYMBOLS {
            let mut from = TradesFrom::Id(0);
            loop {
                let page = rows(&requests.user_trades(symbol, from));
                trades += page.len() as u64;
                let Some(last) = page.last().filter(|_| page.len() >= 1_000) else { break };
                from = TradesFrom::Id(last["id"].as_u64().expect("a number") + 1);
            }
        }
        Account {
            positions: SYMBOLS.iter().map(|symbol| (symbol.to_string(), position(symbol))).collect(),
            open_orders: rows(&requests.open_orders()).len(),
            trades,
        }
    }

    /// How often the venue was asked to place each order, by its client id.
    pub fn asked(&self) -> Vec<(String, u64)> {
        let body = control(self.control, "GET", "/orders", "");
        let orders: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&body).expect("an object");
        orders.into_iter().map(|(id, counts)| (id, counts["asked"].as_u64().unwrap_or(0))).collect()
    }

    /// A position as the engine's summary shows it.
    pub fn position_in(&self, summary: &str, symbol: &str) -> String {
        let line = summary.lines().find(|line| line.trim_start().starts_with("position")).expect("positions");
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| word.trim_end_matches(',') == symbol);
        at.and_then(|at| words.get(at + 1)).map_or("0".to_owned(), |text| plain(text.trim_end_matches(',')))
    }
}

/// A failed test leaves its folder to look at.
impl Drop for Desk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("the desk is kept in {}", self.folder.path().display());
        }
    }
}

/// `+0.0100` and `0.01` are one.
fn plain(text: &str) -> String {
    let text = text.trim_start_matches('+');
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text.is_empty() || text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The demo key of the venue, in the files that the configuration names.
fn keep_key(folder: &Path) -> Credentials {
    use std::os::unix::fs::PermissionsExt;
    let text = std::fs::read_to_string(folder.join("keys.toml")).expect("keys");
    let keys: toml::Table = text.parse().expect("TOML");
    let key = &keys["key"].as_array().expect("a list")[0];
    let part = |name: &str| key[name].as_str().expect("text").trim().to_owned();
    let (id, secret) = (part("api_key"), part("private_key"));
    std::fs::write(folder.join("id"), &id).expect("written");
    std::fs::write(folder.join("secret"), &secret).expect("written");
    std::fs::set_permissions(folder.join("secret"), std::fs::Permissions::from_mode(0o600)).expect("private");
    Credentials::new(&id, Signer::from_key_text(&secret).expect("a key")).expect("credentials")
}

fn configuration(port: u16, journal: &str) -> String {
    let mut text = format!(
        r#"mode = "DEMO"
[run]
home = "home"
duration = "none"
[journal]
{journal}
[[venue]]
name = "sim"
rest = "https://localhost:{port}"
market = "wss://localhost:{port}"
private = "wss://localhost:{port}"
order_entry = "wss://localhost:{port}/ws-fapi/v1"
ca_file = "ca/ca.pem"
reconnect_first = "50ms"
[venue.key]
id = "file:id"
secret = "file:secret"
[[venue.limit]]
name = "orders-10s"
burst = 5000
refill = 50000
interval = "10s"
new = 1
replace = 1
cancel = 0
cancel_reserve = 0
"#
    );
    for symbol in SYMBOLS {
        text.push_str(&format!(
            r#"[[instrument]]
venue = "sim"
symbol = "{symbol}"
max_order_quantity = "1"
max_order_notional = "50000"
max_position = "1"
max_open_orders = 10
collar = "2%"
stale_after = "30s"
[[strategy]]
name = "maker-{symbol}"
kind = "market-maker"
instruments = ["{symbol}"]
max_daily_loss = "none"
[strategy.parameters]
quantity = "0.01"
max_position = "0.1"
requote_ticks = 1
"#
        ));
    }
    text
}

/// One request to the venue's control port.
pub fn control(port: u16, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the control port");
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}
