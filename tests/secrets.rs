//! Keys and tokens are in no file that a run writes, in no answer, on no command line, and in no word of a thread that panics:
//! whole sessions with known secrets, each way in which a secret can be given, and a search through everything that they left.
//!
//! It has no harness, because it is the desk's program too: one with a strategy that panics on purpose.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use linchpin::core::intent::Intents;
use linchpin::core::snapshot::{Sink, SnapshotError, Words};
use linchpin::core::state::Change;
use linchpin::core::strategy::{Strategy, View};
use linchpin::program::Registry;
use rcgen::ExtendedKeyUsagePurpose;
use support::certificates::{Authority, secret};
use support::desk::Desk;
use support::{PATIENCE, Running, run, sessions};

/// Set for the process that is the program and not the test.
const ROLE: &str = "LINCHPIN_TEST_ROLE";
/// Where the environment holds the key, and where the token.
const KEY_VARIABLE: &str = "LINCHPIN_TEST_KEY";
const TOKEN_VARIABLE: &str = "LINCHPIN_TEST_TOKEN";

const TESTS: &[(&str, fn())] = &[
    ("a_secret_in_a_file_stays_there", || a_session(&Given::FILE)),
    ("a_secret_that_a_command_prints_goes_nowhere_else", || a_session(&Given::COMMAND)),
    ("a_secret_in_the_environment_stays_there", || a_session(&Given::ENVIRONMENT)),
    ("a_core_that_panics_says_no_secret", a_panic),
    ("the_search_finds_what_it_looks_for", the_search_finds),
];

fn main() -> ExitCode {
    if std::env::var(ROLE).is_ok() {
        let registry =
            Registry::built_in().with("panics", |_, _| Ok(Box::new(Panics(0)) as Box<dyn Strategy>));
        return linchpin::program::main(registry);
    }
    support::by_name::run(TESTS)
}

struct Panics(u32);

impl Strategy for Panics {
    fn decide(&mut self, view: &View<'_>, change: Change, _: &mut Intents) {
        self.0 += 1;
        // As much of what it can see as a careless author would print.
        assert!(self.0 != 40, "a strategy's bug, on purpose: {change:?} {:?}", view.now());
    }
    fn save(&self, _: &mut dyn Sink) {}
    fn load(&mut self, _: &mut Words<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }
}

/// How the key and the token are given.
struct Given {
    key: &'static str,
    token: &'static str,
    in_environment: bool,
}

impl Given {
    const FILE: Self = Self { key: "file:key.pem", token: "file:token", in_environment: false };
    const COMMAND: Self =
        Self { key: "command:/bin/cat key.pem", token: "command:/bin/cat token", in_environment: false };
    const ENVIRONMENT: Self =
        Self { key: "env:LINCHPIN_TEST_KEY", token: "env:LINCHPIN_TEST_TOKEN", in_environment: true };
}

const TOKEN: &str = "s3cret-token-0123456789-abcdefghijklmnop";

/// What must be nowhere: the key's body, in pieces that a line end or an escape does not hide, and the token.
fn needles(folder: &Path) -> Vec<Vec<u8>> {
    let key = std::fs::read_to_string(folder.join("key.pem")).expect("the key");
    let body: String = key.lines().filter(|line| !line.contains("-----")).collect();
    assert!(body.len() >= 40, "a private key is longer");
    // The head of the encoding is the same in all keys of the kind: the end is the secret.
    let end = &body[body.len() - 24..];
    vec![end.as_bytes().to_vec(), TOKEN.as_bytes().to_vec()]
}

fn a_session(given: &Given) {
    let desk = Desk::open("[journal]\nsnapshot_every = \"1s\"\n");
    prepare(&desk, given, "");
    let needles = needles(desk.folder());
    let mut command = desk.engine(&[]);
    give(&mut command, &desk, given);
    let mut engine = Running::start(command);
    let line = engine.wait_for("its HTTPS port", |line| line.starts_with("control https://"));
    let url = line.trim_start_matches("control ").trim_end_matches("/control").to_owned();

    let ctl = |words: &[&str]| run(desk.folder(), &[&["ctl", "--home", "home"], words].concat());
    let until = Instant::now() + PATIENCE;
    while !ctl(&["status", "--json"]).stdout.contains("\"trading_enabled\":true") {
        assert!(Instant::now() < until, "it does not begin to trade");
    }
    let mut said = Vec::new();
    for verb in ["status", "orders", "positions", "gates", "links"] {
        said.push(ctl(&[verb, "--json"]).expect_code(0));
    }
    let over_https = ["--url", &url, "--ca", "house.pem", "--token-file", "token"];
    said.push(
        run(desk.folder(), &[&["ctl"], &over_https[..], &["status", "--json"]].concat()).expect_code(0),
    );
    said.push(ctl(&["kill", "--reason", "to leave a flag"]).expect_code(0));
    let process = PathBuf::from(format!("/proc/{}", engine.id()));
    for (file, is_free) in [("cmdline", true), ("environ", !given.in_environment), ("comm", true)] {
        if is_free {
            let text = std::fs::read(process.join(file)).expect("a process of ours");
            assert!(!holds(&text, &needles), "{file} of the engine, key by {}", given.key);
        }
    }
    said.push(ctl(&["stop"]).expect_code(0));
    said.push(engine.ended().expect_code(0));

    for told in &said {
        assert!(!holds(told.stdout.as_bytes(), &needles), "stdout, key by {}", given.key);
        assert!(!holds(told.stderr.as_bytes(), &needles), "stderr, key by {}", given.key);
    }
    let newest = sessions(&desk.home()).pop().expect("a session");
    for file in ["summary.txt", "log.jsonl", "journal", "snapshots"] {
        assert!(newest.join(file).exists(), "{file} is searched, so it must be there");
    }
    assert_eq!(found(&desk.home(), &needles), Vec::<PathBuf>::new(), "key by {}", given.key);
}

fn a_panic() {
    let desk = Desk::open("");
    prepare(&desk, &Given::FILE, "panics");
    let needles = needles(desk.folder());
    let mut command = Command::new(std::env::current_exe().expect("this file"));
    command.env(ROLE, "program").env("RUST_BACKTRACE", "full").current_dir(desk.folder());
    command.args(["run", "--config", "desk.toml", "--no-verify"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let told = Running::start(command).ended();
    assert_eq!(told.code(), Some(1), "{told}");
    assert!(told.stderr.contains("a strategy's bug, on purpose"), "the panic is shown\n{told}");
    assert!(!holds(told.stdout.as_bytes(), &needles) && !holds(told.stderr.as_bytes(), &needles));
    assert_eq!(found(&desk.home(), &needles), Vec::<PathBuf>::new());
}

/// A search that finds nothing proves something only if it would have found it.
fn the_search_finds() {
    let folder = tempfile::tempdir().expect("a folder");
    let deep = folder.path().join("a/b");
    std::fs::create_dir_all(&deep).expect("folders");
    std::fs::write(deep.join("journal"), [b"\0\x01".as_slice(), TOKEN.as_bytes(), b"\xff"].concat())
        .expect("written");
    std::fs::write(folder.path().join("log"), b"nothing").expect("written");
    assert_eq!(found(folder.path(), &[TOKEN.as_bytes().to_vec()]), [deep.join("journal")]);
}

/// The desk's configuration, with the key and a token given so, and the HTTPS port; `kind`: of its only strategy, instead of the makers.
fn prepare(desk: &Desk, given: &Given, kind: &str) {
    let folder = desk.folder();
    let path = folder.join("desk.toml");
    let mut text = std::fs::read_to_string(&path).expect("a configuration");
    let kept = folder.join("key.pem").display().to_string();
    assert!(text.contains(&kept), "the desk keeps its key elsewhere");
    text = text.replace(&format!("secret = \"file:{kept}\""), &format!("secret = \"{}\"", given.key));
    if !kind.is_empty() {
        let strategies = text.find("[[strategy]]").expect("strategies");
        let instrument =
            text[strategies..].find("[[instrument]]").map(|at| text[strategies + at..].to_owned());
        text.truncate(strategies);
        // The second instrument, and no maker.
        let second = instrument.unwrap_or_default();
        text.push_str(second.split("[[strategy]]").next().unwrap_or(""));
        text.push_str(&format!(
            "[[strategy]]\nname = \"{kind}\"\nkind = \"{kind}\"\ninstruments = [\"BTCUSDT\"]\n"
        ));
    }
    text.push_str(&format!(
        "[control.https]\nlisten = \"127.0.0.1:0\"\ncertificate = \"engine.pem\"\nkey = \"engine-key.pem\"\ntoken = \"{}\"\n",
        given.token
    ));
    std::fs::write(&path, text).expect("written");
    secret(folder, "token", TOKEN);
    Authority::new(folder, "house").sign(folder, "engine", ExtendedKeyUsagePurpose::ServerAuth);
}

fn give(command: &mut Command, desk: &Desk, given: &Given) {
    if given.in_environment {
        let key = std::fs::read_to_string(desk.folder().join("key.pem")).expect("the key");
        command.env(KEY_VARIABLE, key).env(TOKEN_VARIABLE, TOKEN);
    }
}

fn holds(text: &[u8], needles: &[Vec<u8>]) -> bool {
    needles.iter().any(|needle| text.windows(needle.len()).any(|part| part == needle.as_slice()))
}

/// The files below `folder` that hold one of them.
fn found(folder: &Path, needles: &[Vec<u8>]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(self::found(&path, needles));
        } else if std::fs::read(&path).is_ok_and(|bytes| holds(&bytes, needles)) {
            found.push(path);
        }
    }
    found
}
