//! The resolver: looks a venue's names up again, so that a dial never goes on trying addresses that the name has left. It blocks for as long
//! as the system likes, on a thread of its own, and nobody waits for it.
//!
//! A dial asks at every try but its first, which uses what the start has found: so a renewal or a lost connection is followed by fresh
//! addresses, and a name that cannot be resolved leaves the dial those that it has.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use crate::net::Endpoint;
use crate::net::tcp::ResolveError;

/// It looks for wishes so often when nobody wakes it, and for whether anybody still has any.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One venue's resolver. Its thread ends when this and all who dial its names are gone.
pub struct Resolver {
    names: Arc<Mutex<Vec<Name>>>,
    thread: Thread,
}

struct Name {
    host: String,
    port: u16,
    wishes: Receiver<()>,
    found: Arc<Mutex<Vec<SocketAddr>>>,
}

/// Where a dial goes: each address in its turn.
#[derive(Clone, Debug)]
pub struct Addresses {
    now: Vec<SocketAddr>,
    next: usize,
    /// `None`: they stay as they are.
    resolved: Option<Resolved>,
}

#[derive(Clone, Debug)]
struct Resolved {
    wishes: SyncSender<()>,
    found: Arc<Mutex<Vec<SocketAddr>>>,
    resolver: Thread,
}

impl Resolver {
    pub fn start(
        lookup: impl Fn(&str, u16) -> Result<Vec<SocketAddr>, ResolveError> + Send + 'static,
    ) -> io::Result<Self> {
        let names = Arc::new(Mutex::new(Vec::new()));
        let listed = names.clone();
        let thread = std::thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            while serve(&listed, &lookup) {
                std::thread::park_timeout(LOOK_EVERY);
            }
        })?;
        Ok(Self { names, thread: thread.thread().clone() })
    }

    /// A name that has been resolved to `now`, of which there is at least one.
    pub fn name(&self, endpoint: &Endpoint, now: Vec<SocketAddr>) -> Addresses {
        let (host, port) = (endpoint.host().to_owned(), endpoint.port());
        let found = Arc::new(Mutex::new(now.clone()));
        // One wish is enough: a second would get the same answer.
        let (wish, wishes) = sync_channel(1);
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(Name { host, port, wishes, found: found.clone() });
        let resolved = Resolved { wishes: wish, found, resolver: self.thread.clone() };
        Addresses { resolved: Some(resolved), ..now.into() }
    }
}

/// One round: every name that somebody wishes to have looked up. False when nobody can wish anything any more.
fn serve(
    names: &Arc<Mutex<Vec<Name>>>,
    lookup: &impl Fn(&str, u16) -> Result<Vec<SocketAddr>, ResolveError>,
) -> bool {
    let mut held = names.lock().unwrap_or_else(PoisonError::into_inner);
    held.retain(|name| match name.wishes.try_recv() {
        Ok(()) => {
            // Where it fails the dial keeps what it has; that it gets nowhere, it says itself.
            if let Ok(found) = lookup(&name.host, name.port) {
                *name.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
            }
            true
        }
        Err(wish) => wish == TryRecvError::Empty,
    });
    !held.is_empty() || Arc::strong_count(names) > 1
}

impl From<Vec<SocketAddr>> for Addresses {
    fn from(now: Vec<SocketAddr>) -> Self {
        assert!(!now.is_empty(), "resolving a name gives at least one address or an error");
        Self { now, next: 0, resolved: None }
    }
}

impl Addresses {
    /// The address to try now. Never waits: what is being looked up is for the next try.
    pub fn next_to_try(&mut self) -> SocketAddr {
        if let Some(Resolved { wishes, found, resolver }) = &self.resolved {
            if let Ok(found) = found.try_lock()
                && *found != self.now
                && !found.is_empty()
            {
                self.now.clone_from(&found);
                self.next = 0;
            }
            // Full: it has been asked already.
            if self.next > 0 && wishes.try_send(()).is_ok() {
                resolver.unpark();
            }
        }
        let address = self.now[self.next % self.now.len()];
        self.next = self.next.wrapping_add(1).max(1);
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 443))
    }

    fn endpoint() -> Endpoint {
        "wss://venue.example:443".parse().expect("an address")
    }

    #[test]
    fn a_dial_that_gets_nowhere_tries_where_the_name_has_moved_to() {
        let moved = Arc::new(Mutex::new(vec![at(1)]));
        let says = moved.clone();
        let resolver =
            Resolver::start(move |_, _| Ok(says.lock().expect("a lock").clone())).expect("a thread");
        let mut dial = resolver.name(&endpoint(), vec![at(1), at(2)]);
        assert_eq!([dial.next_to_try(), dial.next_to_try()], [at(1), at(2)], "each in its turn");
        *moved.lock().expect("a lock") = vec![at(9)];
        let until = Instant::now() + Duration::from_secs(60);
        while dial.next_to_try() != at(9) {
            assert!(Instant::now() < until, "it never heard of the move");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(dial.next_to_try(), at(9), "and stays there");
    }

    #[test]
    fn a_name_that_is_not_found_leaves_the_addresses_as_they_are_and_nobody_waits_for_the_system() {
        let (stuck, never) = std::sync::mpsc::channel::<()>();
        let resolver = Resolver::start(move |host, _| {
            // As long as the test lives: a system that does not answer.
            let _ = never.recv();
            Err(ResolveError::NoAddress { host: host.to_owned() })
        })
        .expect("a thread");
        let mut dial = resolver.name(&endpoint(), vec![at(1), at(2)]);
        let tried: Vec<SocketAddr> = (0..6).map(|_| dial.next_to_try()).collect();
        assert_eq!(tried, [at(1), at(2), at(1), at(2), at(1), at(2)]);
        drop(stuck);
    }
}
