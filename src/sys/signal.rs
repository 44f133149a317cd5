//! SIGINT, SIGTERM and SIGHUP as a flag that loops poll; a second one ends the process at once.
//!
//! SIGHUP comes when the terminal goes away: orders must not stay behind because a connection to a machine broke off. Under
//! `nohup` it stays ignored, which is what that is for.
//!
//! The first signal asks: the engine drains, seals its journal and stops. The second insists: exit code 130, nothing is
//! flushed (the journal survives that by its design). Stopping for a reason of our own sets the same flag, and does not
//! count as a first signal: whoever then presses Ctrl-C once still gets the orderly end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit code of the second signal: what shells report for a program ended by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Asks all loops to stop. Clones are one flag.
#[derive(Debug, Clone, Default)]
pub struct StopFlag {
    raised: Arc<AtomicBool>,
}

impl StopFlag {
    /// A flag that no signal raises, for tests and for loops inside of another program.
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that SIGINT, SIGTERM and (unless it is ignored already) SIGHUP raise. Once per process: a second flag would be raised as well, but the second
    /// signal ends the process for both.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::new();
        let signalled = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if signal == SIGHUP && is_ignored(signal) {
                continue;
            }
            // In this order: the handler that ends the process looks before the next one marks that a signal came.
            flag::register_conditional_shutdown(signal, i32::from(INTERRUPTED), signalled.clone())?;
            flag::register(signal, signalled.clone())?;
            flag::register(signal, stop.raised.clone())?;
        }
        Ok(stop)
    }

    #[inline]
    pub fn is_raised(&self) -> bool {
        // Relaxed: the flag carries no data with it, and a loop that sees it one pass later is as good.
        self.raised.load(Ordering::Relaxed)
    }

    /// Stops for a reason of our own.
    pub fn raise(&self) {
        // Relaxed: as in `is_raised`.
        self.raised.store(true, Ordering::Relaxed);
    }
}

/// Whoever started this process wanted it to overhear the signal.
fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only reads the present one into `action`, which lives through the call.
    let read = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all zeros are a valid `sigaction`, and the call has written nothing else than one.
    read == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    const ROLE: &str = "LINCHPIN_TEST_SIGNAL_ROLE";

    #[test]
    fn raising_one_clone_raises_all() {
        let flag = StopFlag::new();
        let other = flag.clone();
        assert!(!other.is_raised());
        flag.raise();
        assert!(other.is_raised());
    }

    #[test]
    fn the_first_signal_raises_the_flag_and_the_second_ends_the_process_with_130() {
        if std::env::var_os(ROLE).is_some() {
            return signalled_process();
        }
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if is_ignored(signal) {
                eprintln!(
                    "NOT TESTED: signal {signal}, which whoever started these tests has it ignore (nohup)"
                );
                continue;
            }
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture", "--test-threads=1"])
                .arg("sys::signal::tests::the_first_signal_raises_the_flag_and_the_second_ends_the_process_with_130")
                .env(ROLE, "child")
                .stderr(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let mut wait_for = |word: &str| {
                assert!(
                    lines.any(|line| line.unwrap().contains(word)),
                    "the child ended before it said {word}"
                );
            };
            let pid = libc::pid_t::try_from(child.id()).unwrap();
            // SAFETY: sends a signal to our own child, which has not been waited for, so the number is still its own.
            let kill = || unsafe { libc::kill(pid, signal) };
            wait_for("ready");
            assert_eq!(kill(), 0);
            wait_for("raised");
            assert_eq!(kill(), 0);
            assert_eq!(child.wait().unwrap().code(), Some(i32::from(INTERRUPTED)));
        }
    }

    /// The child of the test above: says when it is ready and when the flag is raised, then waits for its end.
    fn signalled_process() {
        let flag = StopFlag::on_signals().unwrap();
        flag.raise();
        assert!(flag.is_raised());
        flag.raised.store(false, Ordering::Relaxed);
        eprintln!("ready");
        let began = std::time::Instant::now();
        while !flag.is_raised() && began.elapsed().as_secs() < 20 {
            std::thread::yield_now();
        }
        assert!(flag.is_raised());
        eprintln!("raised");
        while began.elapsed().as_secs() < 20 {
            std::thread::park_timeout(std::time::Duration::from_secs(1));
        }
    }
}
