//! Which CPU a thread runs on, what it is called, and how often the host took the CPU away from it.
//!
//! CPUs are named by number, as the topology table and the kernel do. The list of those that the process may use is
//! recorded once, at start, because the kernel's answer shrinks to one as soon as the asking thread is pinned, and threads
//! inherit that.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("CPU {cpu} is not available to this process; available: {available:?}")]
    NotAvailable { cpu: usize, available: Vec<usize> },
    #[error("the kernel refused to pin the thread to CPU {cpu}: {source}")]
    Refused { cpu: usize, source: io::Error },
}

/// The CPUs that this process may use, as they were at the first call. `main` must call it before any thread is pinned.
pub fn available() -> &'static [usize] {
    static AVAILABLE: OnceLock<Vec<usize>> = OnceLock::new();
    AVAILABLE.get_or_init(|| {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        cores.into_iter().map(|core| core.id).collect()
    })
}

/// Pins the calling thread. Threads that it starts later inherit the pin, so start them first, or let each pin itself.
pub fn pin_current(cpu: usize) -> Result<(), PinError> {
    // Checked first, also because the set of a `cpu_set_t` is indexed by this number.
    if !available().contains(&cpu) {
        return Err(PinError::NotAvailable { cpu, available: available().to_vec() });
    }
    if core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        Ok(())
    } else {
        Err(PinError::Refused { cpu, source: io::Error::last_os_error() })
    }
}

/// The CPU that the calling thread is on at this moment.
pub fn current() -> Option<usize> {
    // SAFETY: takes no pointer and has no precondition.
    let cpu = unsafe { libc::sched_getcpu() };
    usize::try_from(cpu).ok()
}

/// Names the calling thread as `top`, `perf` and `/proc` show it. The kernel keeps 15 bytes; the rest is cut off.
pub fn name_current(name: &str) -> io::Result<()> {
    let kept: String = name.chars().filter(|c| c.is_ascii_graphic()).take(15).collect();
    let kept = CString::new(kept).expect("graphic characters hold no NUL");
    // SAFETY: names the calling thread, which is alive; no precondition.
    let thread = unsafe { libc::pthread_self() };
    // SAFETY: `kept` is a NUL-ended string of at most 16 bytes that outlives the call.
    match unsafe { libc::pthread_setname_np(thread, kept.as_ptr()) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// How often the kernel took the CPU from the calling thread against its will, since it began. On an isolated CPU this
/// stands still. A system call, so for the cold end of a pass.
pub fn involuntary_switches() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: `usage` is writable memory of the size that the call fills.
    let answer = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    if answer != 0 {
        return 0;
    }
    // SAFETY: the call succeeded, so it filled the whole structure.
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_nivcsw).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_pinned_thread_runs_on_its_cpu_and_the_recorded_list_does_not_shrink() {
        let before = available().to_vec();
        let cpu = *before.last().expect("a process has a CPU");
        thread::spawn(move || {
            pin_current(cpu).unwrap();
            assert_eq!(current(), Some(cpu));
            assert_eq!(core_affinity::get_core_ids().unwrap().len(), 1, "the kernel's own answer shrinks");
        })
        .join()
        .unwrap();
        assert_eq!(available(), before);
    }

    #[test]
    fn an_unknown_cpu_is_refused_by_number_with_the_available_ones() {
        for cpu in [4_095, usize::MAX] {
            let said = pin_current(cpu).unwrap_err().to_string();
            assert!(said.contains(&cpu.to_string()) && said.contains("available: ["), "{said}");
        }
    }

    #[test]
    fn a_thread_carries_its_name_cut_to_what_the_kernel_keeps() {
        thread::spawn(|| {
            name_current("receiver-binance-usdm").unwrap();
            let shown = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            assert_eq!(shown.trim_end(), "receiver-binanc");
        })
        .join()
        .unwrap();
    }

    #[test]
    fn involuntary_switches_are_counted_for_the_thread_that_spins_against_another() {
        let cpu = available()[0];
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let other = {
            let stop = stop.clone();
            thread::spawn(move || {
                pin_current(cpu).unwrap();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        thread::spawn(move || {
            pin_current(cpu).unwrap();
            let start = involuntary_switches();
            let began = std::time::Instant::now();
            while involuntary_switches() == start {
                assert!(began.elapsed().as_secs() < 10, "two spinners on one CPU never took turns");
            }
        })
        .join()
        .unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        other.join().unwrap();
    }
}
