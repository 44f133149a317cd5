//! The Unix socket: one line in, one line out. Only the engine's own user and root are heard.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

use serde_json::Map;

use super::{Door, Place, SILENCE, SLOWNESS, ask};
use crate::control::request::refused;
use crate::control::{Answer, MAX_LINE, Refusal, Refused, Request, Who};
use crate::sys::peer::{Peer, own_uid};
use crate::threads::operator::Asked;

#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("cannot open the control socket {}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("the path of the control socket has {length} bytes, and the system takes 107: {}", path.display())]
    TooLong { path: PathBuf, length: usize },
    #[error("another engine answers at {}", path.display())]
    Taken { path: PathBuf },
    #[error("{} is no socket", path.display())]
    NotASocket { path: PathBuf },
}

/// The open door. Dropping it, after the operator's thread has ended, closes it and takes the socket away.
pub struct UnixDoor {
    path: PathBuf,
    door: Option<Door<UnixListener>>,
}

impl UnixDoor {
    /// Listens at `path`, mode 0600. A socket that a dead engine left is replaced.
    pub fn open(path: &Path, asked: SyncSender<Asked>) -> Result<Self, DoorError> {
        let failed = |source| DoorError::Open { path: path.to_owned(), source };
        let length = path.as_os_str().len();
        if length > 107 {
            return Err(DoorError::TooLong { path: path.to_owned(), length });
        }
        if let Ok(there) = std::fs::symlink_metadata(path) {
            if !there.file_type().is_socket() {
                return Err(DoorError::NotASocket { path: path.to_owned() });
            }
            if UnixStream::connect(path).is_ok() {
                return Err(DoorError::Taken { path: path.to_owned() });
            }
            std::fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let serves = move |stream, place: &Place<UnixStream>| serve(stream, place, &asked);
        let door = Door::open(listener, "door", serves).map_err(failed)?;
        Ok(Self { path: path.to_owned(), door: Some(door) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        drop(self.door.take());
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One client, from its first line to its last.
fn serve(stream: UnixStream, place: &Place<UnixStream>, asked: &SyncSender<Asked>) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SLOWNESS))?;
    let peer = Peer::of(&stream)?;
    let mut out = stream.try_clone()?;
    if peer.uid != own_uid() && peer.uid != 0 {
        let refusal = Refusal::new(Refused::NotAllowed, "only the engine's own user may command it");
        return say(&mut out, &refused(&refusal, Map::new()));
    }
    place.is_known();
    let who = Who::new(format!("uid {} pid {}", peer.uid, peer.pid));
    let mut lines = BufReader::new(stream);
    let mut line = Vec::with_capacity(512);
    loop {
        line.clear();
        // One byte more than a line may have tells a long one from a whole one.
        let read = lines.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        let too_long = place.answering(|| {
            let (answer, too_long) = match Request::parse(&line) {
                Ok(request) => (ask(asked, &who, request), false),
                Err(refusal) => (refused(&refusal, Map::new()), refusal.refused == Refused::TooLong),
            };
            say(&mut out, &answer).map(|()| too_long)
        })?;
        if too_long {
            return Ok(());
        }
    }
}

fn say(out: &mut UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    out.write_all(&line)
}
