//! `linchpin venue` as a process: what its parent reads, and when it ends.
#![cfg(feature = "embedded-venue")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A venue that has said that it is ready.
struct Venue {
    child: Child,
    /// The words of the ready line: `port`, `ca`, `keys`.
    told: BTreeMap<String, String>,
    _stdout: BufReader<ChildStdout>,
}

impl Venue {
    fn start(folder: &Path, flags: &[&str]) -> Venue {
        let mut child = command(folder, flags).spawn().expect("starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let words =
            line.trim_end().strip_prefix("linchpin-venue ready ").unwrap_or_else(|| panic!("{line:?}"));
        let told = words.split(' ').filter_map(|word| word.split_once('='));
        Venue { child, told: told.map(|(key, value)| (key.into(), value.into())).collect(), _stdout: stdout }
    }

    fn port(&self) -> u16 {
        self.told["port"].parse().expect("a port")
    }

    fn signal(&self, name: &str) {
        let done =
            Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(done.success());
    }

    fn ended(&mut self) -> ExitStatus {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(Instant::now() < patience, "the venue is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
    command.arg("venue").args(flags).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end: how, and what it said on stderr.
fn refused(folder: &Path, flags: &[&str]) -> String {
    let mut child = command(folder, flags).spawn().expect("starts");
    let mut told = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut told).expect("text");
    assert!(!child.wait().expect("ends").success(), "{told}");
    told
}

#[test]
fn it_says_where_it_is_and_serves_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let venue = Venue::start(folder.path(), &["--plain-port", "0"]);
    assert!(folder.path().join(&venue.told["ca"]).is_file());
    assert!(folder.path().join(&venue.told["keys"]).is_file());
    TcpStream::connect(("127.0.0.1", venue.port())).expect("listens");
    TcpStream::connect(("127.0.0.1", venue.told["plain_port"].parse().expect("a port"))).expect("listens");
}

#[test]
fn it_ends_with_its_parent_and_leaves_ctrl_c_to_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut venue = Venue::start(folder.path(), &["--with-parent"]);
    venue.signal("-INT");
    // An answered connection after the signal: it is still there.
    TcpStream::connect(("127.0.0.1", venue.port())).expect("still listens");
    assert_eq!(venue.child.try_wait().expect("a status"), None);
    // What the kernel does when the parent is killed.
    drop(venue.child.stdin.take());
    assert!(venue.ended().success());
}

#[test]
fn it_ends_well_on_either_signal_without_a_parent() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for signal in ["-TERM", "-INT"] {
        let mut venue = Venue::start(folder.path(), &[]);
        venue.signal(signal);
        assert!(venue.ended().success(), "{signal}");
    }
}

#[test]
fn what_cannot_be_is_one_clear_message_and_a_failure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let told = refused(folder.path(), &["--port", &port]);
    assert!(told.contains(&format!("port {port} is taken")), "{told}");
    let told = refused(folder.path(), &["--market", "recording:/no/such/tape.gz"]);
    assert!(told.contains("/no/such/tape.gz"), "{told}");
    let told = refused(folder.path(), &["--colour", "blue"]);
    assert!(told.contains("--colour"), "{told}");
    std::fs::write(folder.path().join("keys.toml"), "[[key]]\nkind = 'rsa'").expect("writes");
    let told = refused(folder.path(), &["--keys", "keys.toml"]);
    assert!(told.contains("keys.toml"), "{told}");
}
