//! Where one session's files are: `<home>/sessions/<stamp>-<tag>`, made once and never shared by two runs.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::config::Mode;
use crate::journal::SessionId;
use crate::telemetry::utc::Utc;

/// Where one session's files are: `<home>/sessions/<stamp>-<tag>`.
pub(super) struct SessionFolder {
    pub path: PathBuf,
    pub tag: [u8; 5],
    pub id: SessionId,
    pub created: u64,
    /// Held as long as the session lives, where nobody else may trade from the same home.
    _alone: Option<File>,
}

impl SessionFolder {
    pub fn create(home: &Path, mode: Mode) -> anyhow::Result<Self> {
        let created = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let sessions = home.join("sessions");
        std::fs::create_dir_all(&sessions)
            .with_context(|| format!("cannot create {}", sessions.display()))?;
        let mut alone = mode.reaches_an_exchange().then(|| lock(home)).transpose()?;
        let mut nanos = created.as_nanos() as u64;
        loop {
            let tag = tag_of(nanos);
            let name = format!("{}-{}", stamp(nanos / 1_000_000_000), String::from_utf8_lossy(&tag));
            let path = sessions.join(name);
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    let mut id = [0; 16];
                    id[..8].copy_from_slice(&nanos.to_le_bytes());
                    id[8..12].copy_from_slice(&std::process::id().to_le_bytes());
                    return Ok(Self { path, tag, id: SessionId(id), created: nanos, _alone: alone.take() });
                }
                // Two runs in one tick of the tag: the later one takes the next.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => nanos += TAG_TICK,
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot create {}", path.display()));
                }
            }
        }
    }
}

/// Two engines that trade one account from one home would cancel each other's orders, and one `ctl kill` would stop one of them.
fn lock(home: &Path) -> anyhow::Result<File> {
    let held = crate::sys::lock::hold(home).with_context(|| format!("cannot lock {}", home.display()))?;
    held.with_context(|| {
        format!(
            "another engine trades from {0}: stop it (linchpin ctl --home {0} stop), or give this one a home of its own (--home, or run.home)",
            home.display()
        )
    })
}

/// A start that failed leaves no folder that looks like a session: one without a journal goes, and one with a journal says what happened.
pub(super) fn put_away(session: &Path, why: &anyhow::Error) {
    if crate::journal::journal_folder(session).exists() {
        let _ = std::fs::write(session.join("START_FAILED.txt"), format!("{why:#}\n"));
    } else {
        // What it holds is the embedded venue's words, which the error repeats.
        let _ = std::fs::remove_dir_all(session);
    }
}

/// A tag lasts so long: 2^25 of them are 388 days.
const TAG_TICK: u64 = 1_000_000_000;

fn tag_of(nanos: u64) -> [u8; 5] {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut rest = nanos / TAG_TICK;
    let mut tag = [b'0'; 5];
    for slot in tag.iter_mut().rev() {
        *slot = DIGITS[(rest % 32) as usize];
        rest /= 32;
    }
    tag
}

/// `20261121T073500Z`.
fn stamp(seconds: u64) -> String {
    let text = Utc(seconds * 1_000_000_000).to_string();
    let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    format!("{}Z", digits.get(..15).unwrap_or(&digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_money_is_at_stake_a_home_has_one_engine_at_a_time() {
        let home = tempfile::tempdir().expect("a folder");
        let first = SessionFolder::create(home.path(), Mode::Live).expect("the first");
        for mode in [Mode::Live, Mode::Testnet] {
            let refused = SessionFolder::create(home.path(), mode).err().expect("refused").to_string();
            assert!(
                refused.contains("another engine trades from") && refused.contains("--home"),
                "{refused}"
            );
        }
        let beside = SessionFolder::create(home.path(), Mode::DryRun).expect("it sends nothing");
        assert_ne!(first.path, beside.path);
        drop(first);
        SessionFolder::create(home.path(), Mode::Live).expect("after the first has ended");
    }
}
