//! What the engine does when its own core thread is the trouble: a strategy that panics, and one that does not come back.
//!
//! It has no harness, because it is the desk's program too: it starts itself with such strategies registered, and then
//! commands that program with the `linchpin` that cargo built. Each test is a name on the command line, as with a harness.

#[path = "support/by_name.rs"]
mod by_name;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use linchpin::core::intent::Intents;
use linchpin::core::snapshot::{Sink, SnapshotError, Words};
use linchpin::core::state::Change;
use linchpin::core::strategy::{Strategy, View};
use linchpin::program::Registry;
use serde_json::Value;

/// Set for the processes that are the program and not the test.
const ROLE: &str = "LINCHPIN_TEST_ROLE";

const TESTS: &[(&str, fn())] = &[
    ("a_core_thread_that_dies_leaves_the_gate_shut_and_the_next_start_killed", a_core_that_dies),
    ("a_core_thread_that_hangs_is_found_out_while_it_hangs", a_core_that_hangs),
    ("a_core_thread_that_is_only_idle_is_left_alone", a_core_that_idles),
];

fn main() -> ExitCode {
    if std::env::var(ROLE).is_ok() {
        let registry = Registry::built_in()
            .with("panics", |_, _| Ok(Box::new(Trouble::Panics(0)) as Box<dyn Strategy>))
            .with("hangs", |_, _| Ok(Box::new(Trouble::Hangs(0)) as Box<dyn Strategy>))
            .with("rests", |_, _| Ok(Box::new(Trouble::Rests) as Box<dyn Strategy>));
        return linchpin::program::main(registry);
    }
    by_name::run(TESTS)
}

/// Counts its calls, and misbehaves at one of them.
enum Trouble {
    Panics(u32),
    Hangs(u32),
    Rests,
}

const AT: u32 = 40;
/// Longer than `stall_after` in the configuration below, and than the test takes to look.
const HANGS: Duration = Duration::from_secs(6);

impl Strategy for Trouble {
    fn decide(&mut self, _: &View<'_>, _: Change, _: &mut Intents) {
        match self {
            Self::Panics(calls) => {
                *calls += 1;
                assert!(*calls != AT, "a strategy's bug, on purpose");
            }
            Self::Hangs(calls) => {
                *calls += 1;
                if *calls == AT {
                    std::thread::sleep(HANGS);
                }
            }
            Self::Rests => {}
        }
    }
    fn save(&self, _: &mut dyn Sink) {}
    fn load(&mut self, _: &mut Words<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }
}

fn a_core_that_dies() {
    let home = tempfile::tempdir().expect("a folder");
    let mut engine = start(home.path(), "panics");
    let flag = wait_for_flag(home.path(), "died");
    assert_eq!(flag["mode"], "block");
    assert_eq!(flag["who"], "the engine itself");
    let ended = wait(&mut engine);
    assert_eq!(ended, Some(1), "a thread that panicked is a failure");
    drop(engine);

    // The next start is killed, whatever it runs, until a person resets it.
    let mut engine = start(home.path(), "rests");
    let status = ctl(home.path(), &["status", "--json"]);
    assert_eq!(status["control"]["kill"], "block", "{status}");
    assert_eq!(status["gate"], "block", "{status}");
    assert_eq!(status["venues"][0]["closed"], "kill", "{status}");
    let reset = ctl(home.path(), &["reset-kill", "--reason", "the bug is mended", "--json"]);
    assert_eq!(reset["ok"], true, "{reset}");
    assert!(!home.path().join("kill.json").exists());
    assert_eq!(ctl(home.path(), &["status", "--json"])["control"]["kill"], Value::Null);
    assert_eq!(ctl(home.path(), &["stop", "--json"])["ok"], true);
    assert_eq!(wait(&mut engine), Some(0));
}

fn a_core_that_hangs() {
    let home = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    let mut engine = start(home.path(), "hangs");
    let flag = wait_for_flag(home.path(), "stalled");
    assert_eq!(flag["mode"], "block");
    assert!(begun.elapsed() < Duration::from_secs(60));
    // While it hangs, a status says so, and a kill is a kill.
    let killed = ctl(home.path(), &["kill", "--mode", "block", "--reason", "by hand too", "--json"]);
    assert_eq!(killed["gate"], "block", "{killed}");
    // Once it is back, it learns that it is killed.
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let status = ctl(home.path(), &["status", "--json"]);
        if status["control"]["kill"] == "block" {
            break;
        }
        assert!(Instant::now() < until, "{status}");
    }
    assert_eq!(ctl(home.path(), &["stop", "--json"])["ok"], true);
    assert_eq!(wait(&mut engine), Some(0));
}

fn a_core_that_idles() {
    let home = tempfile::tempdir().expect("a folder");
    let mut engine = start(home.path(), "rests");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(ctl(home.path(), &["status", "--json"])["control"]["kill"], Value::Null);
    assert!(!home.path().join("kill.json").exists());
    assert_eq!(ctl(home.path(), &["stop", "--json"])["ok"], true);
    assert_eq!(wait(&mut engine), Some(0));
}

/// The program with a strategy of this kind, once it can be commanded.
fn start(home: &Path, kind: &str) -> Engine {
    let config = home.join(format!("{kind}.toml"));
    let text = format!(
        "mode = \"DEMO\"\n[run]\nduration = \"none\"\nverify = false\n[control]\nstall_after = \"1s\"\n[[strategy]]\nname = \"{kind}\"\nkind = \"{kind}\"\ninstruments = [\"BTCUSDT\"]\n"
    );
    std::fs::write(&config, text).expect("a file");
    let program = std::env::current_exe().expect("this file");
    let out = std::fs::File::create(home.join(format!("{kind}.out"))).expect("a file");
    let err = out.try_clone().expect("a file");
    let child = Command::new(program)
        .env(ROLE, "program")
        // A backtrace of a debug build takes seconds, in which the core is stalled and not yet dead.
        .env("RUST_BACKTRACE", "0")
        .args(["run", "--config"])
        .arg(&config)
        .arg("--home")
        .arg(home)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .expect("starts");
    let engine = Engine { child, said: home.join(format!("{kind}.out")) };
    let until = Instant::now() + Duration::from_secs(60);
    while !home.join("ctl.sock").exists() && kind != "panics" {
        assert!(Instant::now() < until, "no socket: {}", engine.said());
        std::thread::sleep(Duration::from_millis(10));
    }
    engine
}

struct Engine {
    child: Child,
    said: PathBuf,
}

impl Engine {
    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(engine: &mut Engine) -> Option<i32> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = engine.child.try_wait().expect("a status") {
            return status.code();
        }
        assert!(Instant::now() < until, "it does not end: {}", engine.said());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The flag is there as soon as the gate is shut, and says why as soon as that is known.
fn wait_for_flag(home: &Path, why: &str) -> Value {
    let until = Instant::now() + Duration::from_secs(60);
    let mut flag = Value::Null;
    while !flag["reason"].as_str().is_some_and(|reason| reason.contains(why)) {
        assert!(Instant::now() < until, "no flag that says {why}: {flag}");
        std::thread::sleep(Duration::from_millis(5));
        if let Ok(bytes) = std::fs::read(home.join("kill.json")) {
            flag = serde_json::from_slice(&bytes).expect("a flag is JSON");
        }
    }
    flag
}

fn ctl(home: &Path, words: &[&str]) -> Value {
    let out = Command::new(env!("CARGO_BIN_EXE_linchpin"))
        .args(["ctl", "--home"])
        .arg(home)
        .args(words)
        .output()
        .expect("starts");
    serde_json::from_slice(&out.stdout).unwrap_or_else(|error| {
        panic!("{words:?}: {error}: {}", String::from_utf8_lossy(&out.stderr));
    })
}
