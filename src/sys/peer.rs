//! Who is at the other end of a Unix socket, as the kernel knows it: nothing that the other end says about itself.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// The process that connected, at the time when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub pid: i32,
}

impl Peer {
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut size = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: `found` and `size` live through the call, and `size` says how much room there is.
        let done = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut found).cast(),
                &raw mut size,
            )
        };
        if done == 0 { Ok(Self { uid: found.uid, pid: found.pid }) } else { Err(io::Error::last_os_error()) }
    }
}

/// The user that this process acts as.
pub fn own_uid() -> u32 {
    // SAFETY: it has no conditions and cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_in_this_process_is_this_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        assert_eq!(peer.uid, own_uid());
        assert_eq!(peer.pid, i32::try_from(std::process::id()).unwrap());
    }
}
