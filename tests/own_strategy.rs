//! The example of a desk's own strategy, as a desk runs it: this test is the example's program, and starts itself as one.
//!
//! It has no harness, because the program finds the embedded venue in its own file. A name on the command line that is not
//! this test's skips it, as a harness would.

#[path = "../examples/own_strategy.rs"]
mod own_strategy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use linchpin::core::intent::Intents;
use linchpin::core::snapshot::{Sink, SnapshotError, Words};
use linchpin::core::state::Change;
use linchpin::core::strategy::{Strategy, View};
use linchpin::program::Registry;

const NAME: &str = "a_strategy_of_ones_own_trades_and_replays";
/// Set for the processes that are the program and not the test.
const ROLE: &str = "LINCHPIN_TEST_ROLE";
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/own_strategy.toml");

fn main() -> ExitCode {
    match std::env::var(ROLE).as_deref() {
        Ok("example") => return own_strategy::main(),
        Ok("impostor") => {
            let impostor = |_: &_, _: &[_]| Ok(Box::new(Silent) as Box<dyn Strategy>);
            return linchpin::program::main(Registry::built_in().with("avellaneda-stoikov", impostor));
        }
        _ => {}
    }
    let names: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if !names.is_empty() && !names.iter().any(|name| NAME.contains(name.as_str())) {
        return ExitCode::SUCCESS;
    }
    if std::env::args().any(|word| word == "--list") {
        println!("{NAME}: test");
        return ExitCode::SUCCESS;
    }
    a_strategy_of_ones_own_trades_and_replays();
    println!("test {NAME} ... ok\n\ntest result: ok. 1 passed; 0 failed");
    ExitCode::SUCCESS
}

fn a_strategy_of_ones_own_trades_and_replays() {
    let home = tempfile::tempdir().expect("a folder");
    let home_text = home.path().display().to_string();
    let run = start("example", &["--config", CONFIG, "--duration", "6s", "--home", &home_text]);
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{}: {said}\n{}", run.status, String::from_utf8_lossy(&run.stderr));
    assert!(count(&said, "fills") > 0, "it trades: {said}");
    for symbol in ["BTCUSDT", "ETHUSDT", "SOLUSDT"] {
        assert!(line(&said, "position").contains(symbol), "{symbol} is shown: {said}");
    }
    assert!(line(&said, "replay").contains("identical"), "{said}");

    let session = only_session(home.path());
    let session = session.display().to_string();
    let replay = start("example", &["replay", &session]);
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));

    // The comparison can fail: another strategy under the same name decides otherwise.
    let other = start("impostor", &["replay", &session]);
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!(other.status.code(), Some(3), "{told}");
}

/// Under the name of the example's strategy, and wishes nothing.
struct Silent;

impl Strategy for Silent {
    fn decide(&mut self, _: &View<'_>, _: Change, _: &mut Intents) {}
    fn save(&self, _: &mut dyn Sink) {}
    fn load(&mut self, _: &mut Words<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }
}

fn start(role: &str, words: &[&str]) -> Output {
    let program = std::env::current_exe().expect("this file");
    Command::new(program).env(ROLE, role).args(words).output().expect("starts")
}

/// The line of the summary that begins with a word.
fn line<'a>(said: &'a str, word: &str) -> &'a str {
    said.lines().find(|line| line.trim_start().starts_with(word)).unwrap_or_default()
}

fn count(said: &str, word: &str) -> u64 {
    let numbers = line(said, word).split_whitespace().nth(1).map(|text| text.replace(',', ""));
    numbers.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn only_session(home: &Path) -> PathBuf {
    let mut sessions = std::fs::read_dir(home.join("sessions")).expect("sessions");
    sessions.next().expect("a session").expect("readable").path()
}
