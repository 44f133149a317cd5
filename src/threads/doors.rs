//! The Unix socket through which people reach the operator's thread: one line in, one line out, one thread a client.
//!
//! Promises: only the engine's own user and root are heard; a line is bounded, an answer is bounded in time, clients are
//! bounded in number. Whoever connects when all places are taken takes the place of the client that was silent longest, so a
//! crowd of idle connections keeps nobody from the kill switch. What a client does wrong ends that client, and nothing else.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Map;

use crate::control::request::refused;
use crate::control::{Answer, MAX_LINE, Refusal, Refused, Request, Who};
use crate::sys::peer::{Peer, own_uid};
use crate::sys::signal::StopFlag;
use crate::threads::operator::{Asked, What};

/// Clients at one time.
const MOST_CLIENTS: usize = 16;
/// A client that says nothing for so long is shown out.
const SILENCE: Duration = Duration::from_secs(60);
/// A client that does not take its answer for so long is shown out.
const SLOWNESS: Duration = Duration::from_secs(2);
/// The operator's thread answers within this, or the engine is in trouble.
const ANSWER: Duration = Duration::from_secs(40);

/// Milliseconds that the last answers may take to be written when the door closes.
const CLOSING: u32 = 3_000;

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
    stop: StopFlag,
    listening: Option<JoinHandle<()>>,
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
        let stop = StopFlag::new();
        let stopped = stop.clone();
        let listening = std::thread::Builder::new()
            .name("door".to_owned())
            .spawn(move || listen(&listener, &asked, &stopped))
            .map_err(failed)?;
        Ok(Self { path: path.to_owned(), stop, listening: Some(listening) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        self.stop.raise();
        // Wakes the listener, which then sees that it has stopped.
        let _ = UnixStream::connect(&self.path);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Who is inside, the one that spoke last at the end.
#[derive(Default)]
struct Inside {
    clients: Vec<(u64, UnixStream)>,
}

impl Inside {
    fn leave(&mut self, number: u64) {
        self.clients.retain(|(one, _)| *one != number);
    }

    fn spoke(&mut self, number: u64) {
        if let Some(at) = self.clients.iter().position(|(one, _)| *one == number) {
            let client = self.clients.remove(at);
            self.clients.push(client);
        }
    }
}

type Guests = Arc<Mutex<Inside>>;

fn of(guests: &Guests) -> std::sync::MutexGuard<'_, Inside> {
    // A client's thread that panicked has left the list whole.
    guests.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(listener: &UnixListener, asked: &SyncSender<Asked>, stop: &StopFlag) {
    let guests = Guests::default();
    let mut number = 0u64;
    loop {
        let accepted = listener.accept();
        if stop.is_raised() {
            break;
        }
        let Ok((stream, _)) = accepted else {
            // Too many open files, or the like: it passes or it does not, and a busy loop helps neither.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        number += 1;
        let Ok(kept) = stream.try_clone() else { continue };
        {
            let mut inside = of(&guests);
            if inside.clients.len() >= MOST_CLIENTS {
                let (_, silent) = inside.clients.remove(0);
                let _ = silent.shutdown(std::net::Shutdown::Both);
            }
            inside.clients.push((number, kept));
        }
        let (asked, list) = (asked.clone(), guests.clone());
        let client = move || {
            let _ = serve(stream, number, &asked, &list);
            of(&list).leave(number);
        };
        if std::thread::Builder::new().name("client".to_owned()).spawn(client).is_err() {
            of(&guests).leave(number);
        }
    }
    // Nobody asks any more; who has asked still gets the answer.
    for (_, client) in &of(&guests).clients {
        let _ = client.shutdown(std::net::Shutdown::Read);
    }
    for _ in 0..CLOSING {
        if of(&guests).clients.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One client, from its first line to its last.
fn serve(stream: UnixStream, number: u64, asked: &SyncSender<Asked>, guests: &Guests) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SLOWNESS))?;
    let peer = Peer::of(&stream)?;
    let mut out = stream.try_clone()?;
    if peer.uid != own_uid() && peer.uid != 0 {
        let refusal = Refusal::new(Refused::NotAllowed, "only the engine's own user may command it");
        return say(&mut out, &refused(&refusal, Map::new()));
    }
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
        of(guests).spoke(number);
        let answer = match Request::parse(&line) {
            Ok(request) => ask(asked, &who, request),
            Err(refusal) => {
                let too_long = refusal.refused == Refused::TooLong;
                say(&mut out, &refused(&refusal, Map::new()))?;
                if too_long {
                    return Ok(());
                }
                continue;
            }
        };
        say(&mut out, &answer)?;
    }
}

/// Hands a request to the operator's thread and waits for its answer.
pub fn ask(asked: &SyncSender<Asked>, who: &Who, request: Request) -> Answer {
    let (reply, answer) = sync_channel(1);
    let refusal = match asked.try_send(Asked { who: who.clone(), what: What::Person(request), reply }) {
        Ok(()) => match answer.recv_timeout(ANSWER) {
            Ok(answer) => return answer,
            Err(_) => Refusal::new(Refused::NoAnswer, "the operator's thread does not answer, or has ended"),
        },
        Err(TrySendError::Full(_)) => Refusal::new(Refused::Busy, "too many requests wait: ask again"),
        Err(TrySendError::Disconnected(_)) => Refusal::new(Refused::NoAnswer, "the engine is ending"),
    };
    refused(&refusal, Map::new())
}

fn say(out: &mut UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    out.write_all(&line)
}
