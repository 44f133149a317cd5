//! The third layer of the kill switch: a file in the home that outlives the process.
//!
//! ```text
//! <home>/kill.json     is there: killed. What it says is for people; that it is there is what counts.
//! <home>/kills.jsonl   every kill and every reset, one a line, newest last: never read by the engine
//! ```
//!
//! Promises: when `keep` has returned, a power cut does not lose the kill; when `clear` has returned, it does not bring it
//! back. A flag that cannot be read is a flag: whoever cannot tell is killed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a home keeps its kill.
#[derive(Clone, Debug)]
pub struct KillFlag {
    home: PathBuf,
}

/// What a person finds in the flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killed {
    /// block, cancel or flatten, as the engine was killed. The next start is killed with `block` whatever it was.
    pub mode: String,
    pub reason: String,
    /// A person, or the engine itself.
    pub who: String,
    /// UTC.
    pub at: String,
    /// The session's folder.
    pub session: String,
}

/// One line of the history.
#[derive(Serialize)]
struct Chapter<'a> {
    act: &'a str,
    at: &'a str,
    who: &'a str,
    reason: &'a str,
}

const FLAG: &str = "kill.json";
const DRAFT: &str = "kill.json.draft";
const HISTORY: &str = "kills.jsonl";

impl KillFlag {
    pub fn of(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    pub fn path(&self) -> PathBuf {
        self.home.join(FLAG)
    }

    /// The kill that stands, if one does.
    pub fn read(&self) -> Option<Killed> {
        let unreadable = |why: String| Killed {
            mode: "block".into(),
            reason: format!("the flag is there and cannot be read: {why}"),
            who: "unknown".into(),
            at: "unknown".into(),
            session: "unknown".into(),
        };
        match fs::read(self.path()) {
            Ok(bytes) => {
                Some(serde_json::from_slice(&bytes).unwrap_or_else(|error| unreadable(error.to_string())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(unreadable(error.to_string())),
        }
    }

    /// Makes the kill outlive this process: draft, fsync, rename, fsync of the folder.
    pub fn keep(&self, killed: &Killed) -> io::Result<()> {
        fs::create_dir_all(&self.home)?;
        let draft = self.home.join(DRAFT);
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(killed)?)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&draft, self.path())?;
        self.sync_home()?;
        // The flag is what counts: without its line in the history the engine is as dead.
        let _ = self.tell(&Chapter { act: "kill", at: &killed.at, who: &killed.who, reason: &killed.reason });
        Ok(())
    }

    /// Takes the flag away. True where there was one.
    pub fn clear(&self, who: &str, reason: &str, at: &str) -> io::Result<bool> {
        self.tell(&Chapter { act: "reset", at, who, reason })?;
        let was_there = match fs::remove_file(self.path()) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        self.sync_home()?;
        Ok(was_there)
    }

    fn tell(&self, chapter: &Chapter<'_>) -> io::Result<()> {
        let mut line = serde_json::to_vec(chapter)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().create(true).append(true).open(self.home.join(HISTORY))?;
        file.write_all(&line)?;
        file.sync_all()
    }

    fn sync_home(&self) -> io::Result<()> {
        File::open(&self.home)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn killed() -> Killed {
        Killed {
            mode: "cancel".into(),
            reason: "a test \"quoted\"".into(),
            who: "uid 1000".into(),
            at: "2026-11-21T00:00:00Z".into(),
            session: "s".into(),
        }
    }

    #[test]
    fn a_kill_is_kept_until_it_is_cleared_and_the_history_has_both() {
        let home = tempfile::tempdir().unwrap();
        let flag = KillFlag::of(home.path());
        assert_eq!(flag.read(), None);
        flag.keep(&killed()).unwrap();
        assert_eq!(KillFlag::of(home.path()).read(), Some(killed()), "another process sees it");
        assert!(flag.clear("uid 1000", "looked into", "2026-11-21T00:01:00Z").unwrap());
        assert_eq!(flag.read(), None);
        let history = fs::read_to_string(home.path().join(HISTORY)).unwrap();
        let acts: Vec<String> = history
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["act"].to_string())
            .collect();
        assert_eq!(acts, ["\"kill\"", "\"reset\""]);
    }

    #[test]
    fn what_cannot_be_read_counts_as_killed() {
        let home = tempfile::tempdir().unwrap();
        let flag = KillFlag::of(home.path());
        fs::write(flag.path(), "{ torn").unwrap();
        assert!(flag.read().unwrap().reason.contains("cannot be read"));
        fs::remove_file(flag.path()).unwrap();
        fs::create_dir(flag.path()).unwrap();
        assert!(flag.read().is_some());
    }

    #[test]
    fn a_draft_that_a_power_cut_left_behind_is_no_flag_and_no_obstacle() {
        let home = tempfile::tempdir().unwrap();
        let flag = KillFlag::of(home.path());
        fs::write(home.path().join(DRAFT), "{ half").unwrap();
        assert_eq!(flag.read(), None);
        flag.keep(&killed()).unwrap();
        assert_eq!(flag.read(), Some(killed()));
    }

    #[test]
    fn a_home_that_cannot_be_written_is_an_error_and_no_silence() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(KillFlag::of(&file).keep(&killed()).is_err());
    }
}
