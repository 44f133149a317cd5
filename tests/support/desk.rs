//! A desk for tests that outlive an engine: the embedded venue as a process of its own, a configuration that points to it, and
//! the venue's own word about the account.

use std::path::{Path, PathBuf};
use std::process::Command;

use linchpin::exchange::Decimal;
use linchpin::telemetry::status::Money;
use serde_json::Value;

use super::Told;
use super::faulty::Venue;
use super::truth::{Account, Truth, plain};

pub const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];

pub struct Desk {
    folder: tempfile::TempDir,
    pub venue: Venue,
    truth: Truth,
}

impl Desk {
    /// `tables`: lines of the configuration before its venue, such as a whole `[journal]`.
    pub fn open(tables: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let symbols = SYMBOLS.join(",");
        let mut flags = vec!["--symbols", &symbols];
        flags.extend(GENEROUS);
        let venue = Venue::start(folder.path(), &flags);
        std::fs::write(folder.path().join("desk.toml"), configuration(&venue, tables)).expect("written");
        let truth = Truth::at(venue.port, &venue.authority, &venue.key());
        Self { folder, venue, truth }
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

    /// One command to the engine, and what came back.
    pub fn ctl(&self, words: &[&str]) -> Told {
        super::run(self.folder.path(), &[&["ctl", "--home", "home"], words].concat())
    }

    /// The answer as a program reads it; nothing while the engine does not answer.
    pub fn look(&self, words: &[&str]) -> Value {
        let told = self.ctl(&[words, &["--json"]].concat());
        serde_json::from_str(&told.stdout).unwrap_or_default()
    }

    #[track_caller]
    pub fn wait_until(&self, what: &str, is_so: impl FnMut() -> bool) {
        super::wait_until(&self.home(), what, is_so);
    }

    /// What the venue itself says of the account.
    pub fn account(&mut self) -> Account {
        self.truth.account(&SYMBOLS)
    }

    /// What a session that has drained says of itself is what the venue says, and no order was sent twice. `context` is told on failure.
    #[track_caller]
    pub fn agrees_with_the_venue(&mut self, told: &Told, context: &str) {
        let (truth, summary) = (self.account(), &told.stdout);
        assert_eq!(truth.positions.len(), SYMBOLS.len());
        for (symbol, position) in &truth.positions {
            let ours = position_in(summary, symbol);
            assert_eq!(ours, *position, "{context}: {symbol} is {ours} here and {position} there\n{summary}");
        }
        assert_eq!(
            truth.open_orders,
            Vec::<String>::new(),
            "{context}: the drain left orders open\n{summary}"
        );
        let fills = super::number_before(summary, "  fills  ", "(");
        assert_eq!(fills, truth.trades, "{context}: fills here and trades there\n{summary}");
        assert_eq!(fees_in(summary), in_summary(truth.fees), "{context}: fees here and there\n{summary}");
        for (order, asked, taken) in self.venue.orders() {
            let times = format!("asked for {asked} times and made {taken} times");
            assert!(asked <= 1 && taken <= 1, "{context}: {order} was {times}");
        }
        assert!(!summary.contains("position_mismatch"), "{context}\n{summary}");
    }
}

/// A position as the engine's summary shows it, as decimal text without trailing zeros.
pub fn position_in(summary: &str, symbol: &str) -> String {
    let line = summary.lines().find(|line| line.trim_start().starts_with("position")).expect("positions");
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| word.trim_end_matches(',') == symbol);
    at.and_then(|at| words.get(at + 1)).map_or("0".to_owned(), |text| plain(text.trim_end_matches(',')))
}

/// The fees of a summary.
pub fn fees_in(summary: &str) -> String {
    let line = summary.lines().find(|line| line.trim_start().starts_with("fees")).expect("fees");
    line.split_whitespace().nth(1).expect("an amount").to_owned()
}

/// An amount that was paid, as a summary shows it.
pub fn in_summary(paid: Decimal) -> String {
    format!("{:+}", Money { units: -i128::from(paid.0), decimals: 2 })
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

/// Limits of a venue that are never the reason for anything.
pub const GENEROUS: [&str; 6] =
    ["--weight-limit", "100000", "--order-limit-10s", "100000", "--order-limit-1m", "100000"];

/// Their counterpart in the engine's configuration, behind a `[[venue]]` table.
pub const GENEROUS_LIMIT: &str = r#"
[[venue.limit]]
name = "orders-10s"
burst = 5000
refill = 50000
interval = "10s"
new = 1
replace = 1
cancel = 0
cancel_reserve = 0
"#;

/// An instrument, and a maker of its own that follows every tick.
pub fn made(venue: &str, symbol: &str) -> String {
    // Whole lots, worth some hundreds each.
    let [quantity, position] = if symbol == "SOLUSDT" { ["4", "40"] } else { ["0.01", "0.1"] };
    format!(
        r#"
[[instrument]]
venue = "{venue}"
symbol = "{symbol}"
max_order_quantity = "100"
max_order_notional = "50000"
max_position = "100"
max_open_orders = 10
collar = "2%"
stale_after = "30s"
[[strategy]]
name = "{venue}-{symbol}"
kind = "market-maker"
instruments = ["{venue}/{symbol}"]
max_daily_loss = "none"
[strategy.parameters]
quantity = "{quantity}"
max_position = "{position}"
requote_ticks = 1
"#
    )
}

fn configuration(venue: &Venue, tables: &str) -> String {
    let mut text = format!(
        "mode = \"DEMO\"\n[run]\nhome = \"home\"\nduration = \"none\"\n{tables}\n{}{GENEROUS_LIMIT}",
        venue.table("sim", "binance-usdm", "")
    );
    SYMBOLS.iter().for_each(|symbol| text.push_str(&made("sim", symbol)));
    text
}
