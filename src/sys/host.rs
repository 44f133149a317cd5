//! What the kernel says of this host: read-only facts for the doctor. Nothing here changes a setting.
//!
//! The files of `/proc` and `/sys` are read below a root, so that a test can describe another host by a folder. A file that is not
//! there, or may not be read, is `None`: the doctor then says that it does not know.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// The machine that this runs on.
    pub fn this() -> Self {
        Self::below(Path::new("/"))
    }

    /// A host described by the files below `root`.
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// A file's text without the white space around it. `path` is relative: `proc/swaps`.
    pub fn text(&self, path: &str) -> Option<String> {
        // A kernel file need not be UTF-8, and one odd byte is no reason to know nothing.
        let bytes = std::fs::read(self.root.join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    pub fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Names in a folder, sorted; empty where it is not there.
    pub fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.root.join(path)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The soft limit of a row in `/proc/self/limits`; `u64::MAX` is "unlimited".
    pub fn soft_limit(&self, row: &str) -> Option<u64> {
        let limits = self.text("proc/self/limits")?;
        let line = limits.lines().find(|line| line.starts_with(row))?;
        let soft = line.get(row.len()..)?.split_whitespace().next()?;
        if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
    }
}

/// The kernel's CPU list format: `0-3,8,10-11`. `None` where it is not one.
pub fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last > 65_535 {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub free: u64,
    pub total: u64,
}

/// Bytes that this user may still write on the file system of `path`.
pub fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut answer = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is NUL-ended and `answer` is writable memory of the size that the call fills.
    if unsafe { libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled the whole structure.
    let answer = unsafe { answer.assume_init() };
    let size = answer.f_frsize;
    Ok(Space { free: size.saturating_mul(answer.f_bavail), total: size.saturating_mul(answer.f_blocks) })
}

/// How the kernel's clock is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// A daemon (chrony, ntpd, ptp4l with phc2sys) says that it steers the clock.
    pub synchronised: bool,
    /// Its own bound on the error, in microseconds.
    pub largest_error: u64,
}

pub fn clock_discipline() -> io::Result<Discipline> {
    let mut state = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: zeroed memory of the right size; `modes` 0 only reads.
    let answer = unsafe { libc::adjtimex(state.as_mut_ptr()) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a `timex` of zeros is valid, and the call succeeded.
    let state = unsafe { state.assume_init() };
    Ok(Discipline {
        synchronised: state.status & libc::STA_UNSYNC == 0,
        largest_error: u64::try_from(state.maxerror).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_list_is_read_as_the_kernel_writes_it_and_nothing_else_is() {
        assert_eq!(cpu_list("0-2,5,7-8"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(cpu_list(""), Some(vec![]));
        for wrong in ["a", "3-1", "1-", "0-99999999", "-1"] {
            assert_eq!(cpu_list(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_limit_is_read_from_its_row() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max core file size        0                    unlimited            bytes\n\
                    Max locked memory         unlimited            unlimited            bytes\n";
        std::fs::write(root.path().join("proc/self/limits"), text).unwrap();
        let host = Host::below(root.path());
        assert_eq!(host.soft_limit("Max core file size"), Some(0));
        assert_eq!(host.soft_limit("Max locked memory"), Some(u64::MAX));
        assert_eq!(host.soft_limit("Max nice priority"), None);
    }

    #[test]
    fn this_host_has_space_and_a_clock() {
        let space = space(Path::new("/")).unwrap();
        assert!(space.total >= space.free && space.total > 0);
        clock_discipline().unwrap();
        assert!(super::space(Path::new("/no/such/folder")).is_err());
    }
}
