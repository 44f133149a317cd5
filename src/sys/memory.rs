//! Memory that answers at once: locked against being swapped out, touched before it is needed.
//!
//! Both are attempts with an honest answer. A host that refuses the lock still trades; the caller reports it.

use std::hint;
use std::io;

/// The page size that prefaulting steps by: the smallest of the supported hosts, so never too large a step.
const PAGE: usize = 4_096;

/// Touches and locks every page that the process has now. Fails without `CAP_IPC_LOCK` or enough `RLIMIT_MEMLOCK`. Later ones are not locked: where the
/// limit is near, a mapping that a lock refuses would end the run.
pub fn lock_present() -> io::Result<()> {
    // SAFETY: takes flags only; it changes where pages live, never what they hold.
    match unsafe { libc::mlockall(libc::MCL_CURRENT) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Writes each page of the range back to itself, so that the first real write meets no page fault. Contents do not change.
pub fn prefault(range: &mut [u8]) {
    for page in range.chunks_mut(PAGE) {
        let byte = hint::black_box(&mut page[0]);
        *byte = hint::black_box(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefault_keeps_what_is_there_also_in_a_range_that_is_no_multiple_of_a_page() {
        let mut range: Vec<u8> = (0..3 * PAGE + 17).map(|i| (i % 251) as u8).collect();
        let before = range.clone();
        prefault(&mut range);
        assert_eq!(range, before);
        prefault(&mut []);
    }
}
