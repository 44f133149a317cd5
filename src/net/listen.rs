//! Ending a listener from another thread: an `accept` that waits returns at once, with an error. No connection has to be made
//! for it, so it works as well where the socket's path is gone.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;

/// Whoever waits in `accept` is woken, and nobody can connect any more.
pub fn end_listening(listener: &impl AsFd) -> io::Result<()> {
    socket2::SockRef::from(listener).shutdown(Shutdown::Both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;

    #[test]
    fn an_accept_that_waits_ends_although_the_path_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = Arc::new(UnixListener::bind(&path).unwrap());
        let waiting = std::thread::spawn({
            let listener = listener.clone();
            move || listener.accept().map(|_| ())
        });
        std::fs::remove_file(&path).unwrap();
        end_listening(&listener).unwrap();
        assert!(waiting.join().unwrap().is_err());

        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let waiting = std::thread::spawn({
            let listener = listener.clone();
            move || listener.accept().map(|_| ())
        });
        end_listening(&listener).unwrap();
        assert!(waiting.join().unwrap().is_err());
    }
}
