//! The doors through which people reach the operator's thread, a thread a client: the Unix socket, and HTTPS on loopback
//! where it is configured. What is said at either is the same (`crate::control`).
//!
//! Promises: a request is bounded, an answer is bounded in time, clients are bounded in number, each door by itself: a crowd at
//! one keeps nobody from the other. Whoever connects when all places are taken takes the place of the client that was silent
//! longest; one that has shown who it is stays before one that has not, and one that waits for an answer stays longest. So
//! a crowd of idle connections keeps nobody from the kill switch. What a client does wrong ends that client, and nothing else.

pub mod https;
pub mod unix;

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Map;

use crate::control::request::refused;
use crate::control::{Answer, Refusal, Refused, Request, Who};
use crate::net::listen::end_listening;
use crate::sys::signal::StopFlag;
use crate::threads::operator::{Asked, What};

/// Clients at one door at one time.
const MOST_CLIENTS: usize = 16;
/// A client that says nothing for so long is shown out.
const SILENCE: Duration = Duration::from_secs(60);
/// A client that does not take its answer for so long is shown out.
const SLOWNESS: Duration = Duration::from_secs(2);
/// The operator's thread answers within this, or the engine is in trouble.
const ANSWER: Duration = Duration::from_secs(40);
/// Milliseconds that the last answers may take to be written when the door closes.
const CLOSING: u32 = 3_000;

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

/// A listener of either kind, and its connections.
trait Listens: AsFd + Send + Sync + 'static {
    type Stream: Stream;
    fn accept_one(&self) -> io::Result<Self::Stream>;
}

trait Stream: Sized + Send + 'static {
    fn another(&self) -> io::Result<Self>;
    fn end(&self, how: Shutdown);
}

impl Listens for UnixListener {
    type Stream = UnixStream;
    fn accept_one(&self) -> io::Result<UnixStream> {
        self.accept().map(|(stream, _)| stream)
    }
}

impl Listens for TcpListener {
    type Stream = TcpStream;
    fn accept_one(&self) -> io::Result<TcpStream> {
        self.accept().map(|(stream, _)| stream)
    }
}

impl Stream for UnixStream {
    fn another(&self) -> io::Result<Self> {
        self.try_clone()
    }
    fn end(&self, how: Shutdown) {
        // One that has gone by itself is no error.
        let _ = self.shutdown(how);
    }
}

impl Stream for TcpStream {
    fn another(&self) -> io::Result<Self> {
        self.try_clone()
    }
    fn end(&self, how: Shutdown) {
        let _ = self.shutdown(how);
    }
}

/// An open door. Dropping it, after the operator's thread has ended, closes it: who has asked still gets the answer.
struct Door<L: Listens> {
    listener: Arc<L>,
    stop: StopFlag,
    listening: Option<JoinHandle<()>>,
}

impl<L: Listens> Door<L> {
    /// `serve` has each client from its first byte to its last, on a thread of its own.
    fn open(listener: L, name: &str, serve: impl Serve<L::Stream>) -> io::Result<Self> {
        let listener = Arc::new(listener);
        let stop = StopFlag::new();
        let (heard, stopped) = (listener.clone(), stop.clone());
        let listening = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || listen(&*heard, &serve, &stopped))?;
        Ok(Self { listener, stop, listening: Some(listening) })
    }
}

impl<L: Listens> Drop for Door<L> {
    fn drop(&mut self) {
        self.stop.raise();
        // Wakes the listener, which then sees that it has stopped.
        let woken = end_listening(&*self.listener);
        if let Some(listening) = self.listening.take().filter(|_| woken.is_ok()) {
            let _ = listening.join();
        }
    }
}

trait Serve<S>: Fn(S, &Place<S>) -> io::Result<()> + Clone + Send + 'static {}
impl<S, F: Fn(S, &Place<S>) -> io::Result<()> + Clone + Send + 'static> Serve<S> for F {}

/// One client's place inside. Dropping it, by a panic too, makes the place free.
struct Place<S> {
    guests: Guests<S>,
    number: u64,
}

struct Guest<S> {
    number: u64,
    stream: S,
    /// It has shown who it is.
    known: bool,
    /// It has asked, and has no answer yet.
    waits: bool,
}

/// Who is inside, the one that spoke last at the end.
type Guests<S> = Arc<Mutex<Vec<Guest<S>>>>;

fn inside<S>(guests: &Guests<S>) -> MutexGuard<'_, Vec<Guest<S>>> {
    // A client's thread that panicked has left the list whole.
    guests.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> Place<S> {
    /// It has said something, and is answered when this returns.
    fn answering<T>(&self, answer: impl FnOnce() -> T) -> T {
        self.note(|guest| guest.waits = true);
        let answered = answer();
        self.note(|guest| guest.waits = false);
        answered
    }

    /// It has shown who it is.
    fn is_known(&self) {
        self.note(|guest| guest.known = true);
    }

    fn note(&self, what: impl FnOnce(&mut Guest<S>)) {
        let mut guests = inside(&self.guests);
        if let Some(at) = guests.iter().position(|guest| guest.number == self.number) {
            let mut guest = guests.remove(at);
            what(&mut guest);
            guests.push(guest);
        }
    }
}

impl<S> Drop for Place<S> {
    fn drop(&mut self) {
        inside(&self.guests).retain(|guest| guest.number != self.number);
    }
}

/// Whose place a newcomer takes.
fn least_missed<S>(guests: &[Guest<S>]) -> Option<usize> {
    // The first of several equals: the one that was silent longest.
    (0..guests.len()).min_by_key(|at| guests.get(*at).map(|guest| (guest.waits, guest.known)))
}

fn listen<L: Listens>(listener: &L, serve: &impl Serve<L::Stream>, stop: &StopFlag) {
    let guests = Guests::<L::Stream>::default();
    let mut number = 0u64;
    loop {
        let accepted = listener.accept_one();
        // Who had knocked when the door closed is let in all the same, and hears that the engine is ending.
        if stop.is_raised() && accepted.is_err() {
            break;
        }
        let Ok(stream) = accepted else {
            // Too many open files, or the like: it passes or it does not, and a busy loop helps neither.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        number += 1;
        let Ok(kept) = stream.another() else { continue };
        {
            let mut guests = inside(&guests);
            if guests.len() >= MOST_CLIENTS
                && let Some(at) = least_missed(&guests)
            {
                guests.remove(at).stream.end(Shutdown::Both);
            }
            guests.push(Guest { number, stream: kept, known: false, waits: false });
        }
        // The place goes with the thread, or with the attempt to start one.
        let place = Place { guests: guests.clone(), number };
        let serve = serve.clone();
        let client = move || drop(serve(stream, &place));
        let _ = std::thread::Builder::new().name("client".to_owned()).spawn(client);
    }
    // Nobody asks any more; who has asked still gets the answer.
    for guest in inside(&guests).iter() {
        guest.stream.end(Shutdown::Read);
    }
    for _ in 0..CLOSING {
        if inside(&guests).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_takes_the_place_of_who_is_missed_least() {
        let guests = |all: &[(bool, bool)]| -> Vec<Guest<()>> {
            let numbered = all.iter().zip(1..);
            numbered
                .map(|((known, waits), number)| Guest { number, stream: (), known: *known, waits: *waits })
                .collect()
        };
        assert_eq!(least_missed(&guests(&[])), None);
        // In the order of their last words: (known, waits).
        assert_eq!(
            least_missed(&guests(&[(false, true), (true, false), (false, false), (false, false)])),
            Some(2)
        );
        assert_eq!(least_missed(&guests(&[(false, true), (true, false), (true, false)])), Some(1));
        assert_eq!(least_missed(&guests(&[(true, true), (false, true)])), Some(1));
    }
}
