//! One thread of another process, held where it is while the rest of the process runs on: how a test makes the gap between two threads as
//! long as it needs.

use std::fs;
use std::ptr;

/// Held from `seize` until this is dropped, which waits for the end of its process: so kill that first.
pub struct Held {
    thread: libc::pid_t,
}

impl Held {
    /// Stops the thread that bears `name`. The caller must be the process's parent, or may be refused by the system.
    #[track_caller]
    pub fn seize(process: u32, name: &str) -> Held {
        let thread = thread_named(process, name);
        trace(libc::PTRACE_SEIZE, thread, "seize");
        trace(libc::PTRACE_INTERRUPT, thread, "interrupt");
        let held = Held { thread };
        held.wait();
        held
    }

    fn wait(&self) {
        // SAFETY: a null status is allowed, and nothing else of ours is touched.
        unsafe { libc::waitpid(self.thread, ptr::null_mut(), libc::__WALL) };
    }
}

/// A traced thread that nobody waits for would keep its whole process from ending.
impl Drop for Held {
    fn drop(&mut self) {
        self.wait();
    }
}

#[track_caller]
fn thread_named(process: u32, name: &str) -> libc::pid_t {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let mut names = Vec::new();
    for task in tasks.flatten() {
        let found = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if found.trim_end() == name {
            return task.file_name().to_string_lossy().parse().expect("a number");
        }
        names.push(found.trim_end().to_owned());
    }
    panic!("no thread {name} in {names:?}")
}

#[track_caller]
fn trace(request: libc::c_uint, thread: libc::pid_t, doing: &str) {
    let none = ptr::null_mut::<libc::c_void>();
    // SAFETY: neither request reads or writes memory of ours.
    let done = unsafe { libc::ptrace(request, thread, none, none) };
    assert_eq!(done, 0, "cannot {doing} thread {thread}: {}", std::io::Error::last_os_error());
}
