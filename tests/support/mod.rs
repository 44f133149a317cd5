//! What the tests of the whole program share: the program as a child process in a folder of its own, patience with a bound,
//! and a look at what it left behind.
//!
//! Nothing here mocks anything: the program is the one that cargo built, its sockets are real, and its venue is its own child.
//! Every wait is for a condition; running out of patience is a failure that shows what the program said.
#![allow(dead_code, reason = "each test file uses its own part of it")]

#[cfg(feature = "embedded-venue")]
pub mod by_name;
pub mod certificates;
#[cfg(feature = "embedded-venue")]
pub mod desk;
#[cfg(feature = "embedded-venue")]
pub mod faulty;
pub mod held;
pub mod stranger;
pub mod truth;

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use linchpin::core::event::Event;
use linchpin::core::record::RecordKind;
use linchpin::journal::{Options, Reader, SessionHeader, Writer, journal_folder};

/// Far longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The program, to be run in `folder`, in a process group of its own as a shell would run it.
pub fn linchpin(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
    command.args(arguments).current_dir(folder).env_remove("LINCHPIN_MODE").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a program said, and how it ended.
pub struct Told {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Told {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Told {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    /// stdout has `text`.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Told {
        assert!(self.stdout.contains(text), "expected \"{text}\" on stdout\n{self}");
        self
    }

    /// It failed with one message on stderr, which has all of `words`, and it did not panic.
    #[track_caller]
    pub fn complains(&self, words: &[&str]) {
        assert!(!self.status.success(), "expected a failure\n{self}");
        for word in words {
            assert!(self.stderr.contains(word), "expected \"{word}\" on stderr\n{self}");
        }
        assert!(!self.stderr.contains("panicked"), "{self}");
        let messages = self.stderr.lines().filter(|line| {
            line.starts_with("linchpin: ")
                || line.starts_with("error: ")
                || line.starts_with("linchpin-venue")
        });
        assert_eq!(messages.count(), 1, "expected one message\n{self}");
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n--- stdout\n{}\n--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

/// Runs to the end.
#[track_caller]
pub fn run(folder: &Path, arguments: &[&str]) -> Told {
    Running::start(linchpin(folder, arguments)).ended()
}

/// Waits for what the newest engine of a home must come to. Running out of patience shows what that engine has said, and what its operator
/// would see now.
#[track_caller]
pub fn wait_until(home: &Path, what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain until {what}\n{}", all_that_is_known(home));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn all_that_is_known(home: &Path) -> String {
    let place = sessions(home).pop().map(|session| session.join("log.jsonl"));
    let mut known = place.and_then(|place| std::fs::read_to_string(place).ok()).unwrap_or_default();
    for verb in ["status", "gates", "orders", "positions"] {
        let told = run(home, &["ctl", "--home", ".", verb]);
        known += &format!("== {verb}\n{}{}", told.stdout, told.stderr);
    }
    known
}

/// A program under way.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    stdout: String,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        let mut child = command.spawn().expect("the program starts");
        let (tell, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let _ = tell.send(line);
                }
            });
        }
        let stderr = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = stderr.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        Running { child, lines, stdout: String::new(), stderr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads on until a line fulfils `wanted`; gives that line.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.keep(&line);
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(why) => panic!("no line about {what} ({why}); so far:\n{}", self.so_far()),
            }
        }
    }

    /// Waits until `is_so`, or until the program has ended by itself.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so() && self.child.try_wait().expect("a status").is_none() {
            assert!(Instant::now() < until, "waited in vain until {what}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What it has said; and, once it has ended, what it complained of.
    pub fn so_far(&mut self) -> String {
        let ended = !self.is_alive();
        let complaint = self.stderr.take_if(|_| ended).and_then(|reader| reader.join().ok());
        format!("{}{}", self.stdout, complaint.unwrap_or_default())
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// A signal to the whole group, as a terminal sends it on Ctrl-C: `-INT`, `-TERM`.
    pub fn signal_group(&self, signal: &str) {
        kill(signal, &format!("-{}", self.child.id()));
    }

    /// A signal to this process alone: `-KILL`.
    pub fn signal(&self, signal: &str) {
        kill(signal, &self.child.id().to_string());
    }

    /// The processes that it has started and that still run.
    pub fn children(&self) -> Vec<u32> {
        let id = self.child.id();
        let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    }

    /// What it said, when it has ended.
    #[track_caller]
    pub fn ended(self) -> Told {
        self.ended_within(PATIENCE)
    }

    #[track_caller]
    pub fn ended_within(mut self, patience: Duration) -> Told {
        let until = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                break status;
            }
            assert!(Instant::now() < until, "it did not end; so far:\n{}", self.stdout);
            std::thread::sleep(LOOK_EVERY);
        };
        while let Ok(line) = self.lines.recv() {
            self.keep(&line);
        }
        let stderr = self.stderr.take().map(|reader| reader.join().expect("a reader")).unwrap_or_default();
        Told { status, stdout: std::mem::take(&mut self.stdout), stderr }
    }

    fn keep(&mut self, line: &str) {
        self.stdout.push_str(line);
        self.stdout.push('\n');
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(signal: &str, target: &str) {
    // It may have ended already.
    let _ = Command::new("kill").args([signal, "--", target]).stderr(Stdio::null()).status();
}

/// True while such a process runs (a zombie does not).
pub fn is_running(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[track_caller]
pub fn expect_gone(processes: &[u32]) {
    let until = Instant::now() + Duration::from_secs(20);
    while processes.iter().any(|id| is_running(*id)) {
        assert!(Instant::now() < until, "still running: {processes:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Ended by this signal, without an exit code.
pub fn died_of(told: &Told, signal: i32) -> bool {
    told.status.signal() == Some(signal)
}

/// The sessions in a home, oldest first.
pub fn sessions(home: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(home.join("sessions")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    found.sort();
    found
}

/// The one session in a home.
#[track_caller]
pub fn session(home: &Path) -> PathBuf {
    let mut all = sessions(home);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[track_caller]
pub fn replay(session: &Path) -> Told {
    run(session, &["replay", &session.display().to_string()])
}

/// The number right before `unit` in the first line that has `label`.
#[track_caller]
pub fn number_before(text: &str, label: &str, unit: &str) -> u64 {
    let line =
        text.lines().find(|line| line.contains(label)).unwrap_or_else(|| panic!("no {label} in:\n{text}"));
    let before = line.split(unit).next().unwrap_or_default();
    let word = before.split_whitespace().next_back().unwrap_or_default().replace(',', "");
    word.parse().unwrap_or_else(|_| panic!("no number before \"{unit}\" in \"{line}\""))
}

/// One record of a journal, on its way through a test's hands.
#[derive(Clone)]
pub struct Kept {
    pub kind: RecordKind,
    pub sequence: u64,
    pub time: u64,
    pub payload: Vec<u8>,
}

/// All records of a journal.
pub fn records(session: &Path) -> (SessionHeader, Vec<Kept>) {
    let mut reader = Reader::open(session).expect("a journal");
    let header = reader.session().clone();
    let mut all = Vec::new();
    while let Some(record) = reader.next().expect("sound") {
        all.push(Kept {
            kind: RecordKind::from_code(record.kind).expect("a kind"),
            sequence: record.sequence,
            time: record.time,
            payload: record.payload.to_vec(),
        });
    }
    (header, all)
}

/// Every event of a journal with its processing time (ns). The journal may be still being written: what stands behind the last whole record is for later.
pub fn events(session: &Path) -> Vec<(u64, Event)> {
    let mut found = Vec::new();
    let Ok(mut reader) = Reader::open(session) else { return found };
    while let Ok(Some(record)) = reader.next() {
        if record.kind == RecordKind::Event.code()
            && let Ok(event) = Event::decode(record.payload)
        {
            found.push((record.time, event));
        }
    }
    found
}

/// Writes a journal of these records, with right checksums and a seal, into a new folder.
pub fn write_journal(session: &Path, header: SessionHeader, records: &[Kept]) {
    std::fs::create_dir_all(session).expect("a folder");
    let mut writer = Writer::create(session, header, Options::default()).expect("a journal");
    for record in records {
        writer.append(record.kind.code(), record.sequence, record.time, &record.payload).expect("appends");
    }
    writer.seal().expect("seals");
}

/// The journal's segment files, in order.
pub fn segments(session: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(journal_folder(session))
        .expect("a journal")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    found.sort();
    found
}

/// The folder of data made by others, or `None`, said aloud: then a test that needs it proves nothing.
pub fn shared(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LINCHPIN_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let place = root.join("data").join(file);
    if place.is_file() {
        return Some(place);
    }
    eprintln!("\n*** NOT TESTED: {} is not there (LINCHPIN_SHARED names its root) ***\n", place.display());
    None
}

/// A number from the environment, for tests that can be made longer by hand.
pub fn knob(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Numbers that look random and are the same in every run (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
