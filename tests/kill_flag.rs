//! A power cut between the gate and the flag: in which order the kill reaches the disk, as the kernel sees it.
//!
//! `kill -9` leaves the page cache as it is, so it cannot show a flag that was written and not brought to the disk. What decides is the order of the system
//! calls: `strace` watches another run of this program, which keeps a kill and takes it back. Without `strace` nothing is proved, and that is said.
//! Why this order suffices: `docs/decisions/kill-flag.md`.

use std::path::Path;
use std::process::{Command, Stdio};

use linchpin::kill_flag::{KillFlag, Killed};

/// Where the watched run finds its home.
const HOME: &str = "LINCHPIN_WATCHED_HOME";

#[test]
fn the_flag_is_on_the_disk_under_its_name_before_anybody_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let own = std::env::current_exe().expect("this program");
    let mut watched = Command::new("strace");
    watched.args([
        "-f",
        "-y",
        "-e",
        "trace=write,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat",
        "-o",
    ]);
    watched.arg(&trace).arg(own).args(["--exact", "what_is_watched", "--nocapture"]);
    watched.env(HOME, folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
    match watched.status() {
        Ok(status) if status.success() => {}
        _ => return eprintln!("\n*** NOT TESTED: strace is not there, or may not watch ***\n"),
    }
    let trace = std::fs::read_to_string(&trace).expect("a trace");
    let acts: Vec<&str> = trace.lines().filter_map(|line| act(line, folder.path())).collect();
    assert_eq!(
        acts,
        [
            // Kept: whole under another name, then under its own, then the name itself; the history last.
            "write draft",
            "sync draft",
            "rename draft to flag",
            "sync home",
            "write history",
            "sync history",
            "told kept",
            // Taken back: the reason first, so that no flag goes without one.
            "write history",
            "sync history",
            "remove flag",
            "sync home",
            "told cleared",
        ],
        "{trace}"
    );
}

/// Does nothing but where it is watched.
#[test]
fn what_is_watched() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let flag = KillFlag::of(Path::new(&home));
    let word = |text: &str| text.to_owned();
    let killed = Killed {
        mode: word("block"),
        reason: word("a test"),
        who: word("a test"),
        at: word("now"),
        session: word("none"),
    };
    flag.keep(&killed).expect("kept");
    std::fs::write(Path::new(&home).join("told"), "kept").expect("told");
    assert!(flag.clear("a test", "it is over", "now").expect("cleared"));
    std::fs::write(Path::new(&home).join("told"), "cleared").expect("told");
}

/// What a line of the trace did in the home; nothing where it did nothing there.
fn act(line: &str, home: &Path) -> Option<&'static str> {
    let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let name = call.split('(').next()?;
    let has = |file: &str| call.contains(&format!("{}/{file}", home.display()));
    let on = |file: &str| call.contains(&format!("<{}/{file}>", home.display()));
    match name {
        "write" if on("kill.json.draft") => Some("write draft"),
        "write" if on("kills.jsonl") => Some("write history"),
        "write" if on("told") && call.contains("\"kept\"") => Some("told kept"),
        "write" if on("told") => Some("told cleared"),
        "fsync" | "fdatasync" if on("kill.json.draft") => Some("sync draft"),
        "fsync" | "fdatasync" if on("kills.jsonl") => Some("sync history"),
        "fsync" | "fdatasync" if call.contains(&format!("<{}>", home.display())) => Some("sync home"),
        "rename" | "renameat" | "renameat2" if has("kill.json.draft\"") && has("kill.json\"") => {
            Some("rename draft to flag")
        }
        "unlink" | "unlinkat" if has("kill.json\"") => Some("remove flag"),
        _ => None,
    }
}
