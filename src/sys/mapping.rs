//! Files as memory: a file of a fixed size whose bytes are a slice, with every block of it owned before the first store.
//!
//! Promises: `Mapping::create` either has all its disk space or says cleanly that there is none. A store into a *sparse* map on a
//! full disk is a SIGBUS, so the blocks are allocated first (`posix_fallocate`) and mapped after. A fresh mapping reads as zeros.
//! Errors name the path and what was being done.
//!
//! Must never: take over a file that exists already, or shrink a file under a living map (a load past the end is a SIGBUS too).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::{Advice, Mmap, MmapOptions, MmapRaw};

/// What could not be done to which file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}", path.display())]
pub struct MappingError {
    pub doing: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl MappingError {
    /// The file system has no block (or the user no quota) left.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    pub fn is_already_there(&self) -> bool {
        self.source.kind() == io::ErrorKind::AlreadyExists
    }
}

/// A file mapped for reading and writing, all its blocks allocated.
#[derive(Debug)]
pub struct Mapping {
    /// Shared with warmers, which never look at a byte of it.
    map: Arc<MmapRaw>,
    file: File,
    path: PathBuf,
}

impl Mapping {
    /// Makes a new file of `size` zero bytes and maps it. A file that was begun and cannot be completed is removed again.
    pub fn create(path: &Path, size: u64) -> Result<Self, MappingError> {
        let failed = |doing, source| MappingError { doing, path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| failed("create", error))?;
        match allocate(&file, size).and_then(|()| map_shared(&file, size)) {
            Ok(map) => Ok(Self { map: Arc::new(map), file, path: path.to_owned() }),
            Err((doing, error)) => {
                // What was begun would stand in the way of a later try. The first error is the one worth telling.
                let _ = std::fs::remove_file(path);
                Err(failed(doing, error))
            }
        }
    }

    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the map is this long and lives as long as `self`; the only way to store into it is `bytes_mut`, which borrows `self` alone.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr(), self.map.len()) }
    }

    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` is the only one: a mapping is not `Clone`, and a warmer makes no reference into the map.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr(), self.map.len()) }
    }

    /// The path that errors name. A file that was renamed after it was mapped says so here.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn renamed(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Faults in every page, writable, so that the first store to it costs what every store costs.
    pub fn prefault(&mut self) {
        if self.map.advise(Advice::PopulateWrite).is_ok() {
            return;
        }
        // A kernel before 5.14: touch each page ourselves, and keep what is there.
        for page in self.bytes_mut().chunks_mut(PAGE) {
            if let Some(first) = page.first_mut() {
                *first = std::hint::black_box(*first);
            }
        }
    }

    /// Keeps this mapping's pages warm from another thread.
    pub fn warmer(&self) -> Warmer {
        Warmer { map: Arc::clone(&self.map) }
    }

    /// Waits until what was stored is on the disk (`fdatasync`, which covers pages that a shared map made dirty).
    pub fn sync(&self) -> Result<(), MappingError> {
        self.file.sync_data().map_err(|source| self.failed("sync", source))
    }

    /// Ends the mapping and cuts the file to `size` bytes, on the disk when this returns. The map goes first: a load beyond the new end would be a SIGBUS.
    pub fn shrink(self, size: u64) -> Result<(), MappingError> {
        let Self { map, file, path } = self;
        drop(map);
        let failed = |doing, source| MappingError { doing, path: path.clone(), source };
        file.set_len(size).map_err(|error| failed("shrink", error))?;
        file.sync_data().map_err(|error| failed("sync", error))
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> MappingError {
        MappingError { doing, path: self.path.clone(), source }
    }
}

/// Makes pages of another thread's mapping writable again, without looking at them.
///
/// Some 30 s after a page was faulted in or stored to, the kernel writes it to the disk and takes the right to write away, so as to
/// learn of the next store by a fault: 1 to 7 us, measured, at the first store to each page. A warmer takes these faults instead.
#[derive(Debug)]
pub struct Warmer {
    map: Arc<MmapRaw>,
}

impl Warmer {
    /// As much of the range as there is. A kernel that does not know how leaves the pages as they are: slower, and no less right.
    pub fn warm(&self, from: usize, size: usize) {
        let from = from.min(self.map.len());
        let size = size.min(self.map.len() - from);
        if size > 0 {
            let _ = self.map.advise_range(Advice::PopulateWrite, from, size);
        }
    }
}

/// An existing file mapped for reading only: for files of a fixed size that another process may still be writing, such as counters.
///
/// Not for a file that its writer may shrink; read such a file with `read`, where an early end is an error and not a signal.
#[derive(Debug)]
pub struct ReadMapping {
    map: Mmap,
    path: PathBuf,
}

impl ReadMapping {
    pub fn open(path: &Path) -> Result<Self, MappingError> {
        let failed = |doing, source| MappingError { doing, path: path.to_owned(), source };
        let file = File::open(path).map_err(|error| failed("open", error))?;
        // SAFETY: the map is private to this value and read-only; that no one shrinks the file is the caller's contract, in the type's text.
        let map = unsafe { MmapOptions::new().map(&file) }.map_err(|error| failed("map", error))?;
        Ok(Self { map, path: path.to_owned() })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

const PAGE: usize = 4096;

type Step<T> = Result<T, (&'static str, io::Error)>;

fn allocate(file: &File, size: u64) -> Step<()> {
    const DOING: &str = "allocate the blocks of";
    let length =
        libc::off_t::try_from(size).map_err(|_| (DOING, io::Error::from(io::ErrorKind::FileTooLarge)))?;
    loop {
        // SAFETY: the descriptor is open for writing as long as `file` lives, and no memory is passed.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
            0 => return Ok(()),
            libc::EINTR => continue,
            code => return Err((DOING, io::Error::from_raw_os_error(code))),
        }
    }
}

fn map_shared(file: &File, size: u64) -> Step<MmapRaw> {
    const DOING: &str = "map";
    let length = usize::try_from(size).map_err(|_| (DOING, io::Error::from(io::ErrorKind::FileTooLarge)))?;
    MmapOptions::new().len(length).map_raw(file).map_err(|error| (DOING, error))
}

/// A tiny file system of its own, for tests of a full disk; `None` where this process may not mount one.
#[cfg(test)]
pub(crate) struct SmallDisk(tempfile::TempDir);

#[cfg(test)]
impl SmallDisk {
    pub(crate) fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("SKIPPED: no right to mount a tmpfs, so a full disk was NOT tested");
        }
        mounted.then_some(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

#[cfg(test)]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_through_the_map_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut mapping = Mapping::create(&path, 8192).unwrap();
        mapping.prefault();
        assert!(mapping.bytes().iter().all(|byte| *byte == 0), "a fresh mapping reads as zeros");
        mapping.bytes_mut()[5000..5003].copy_from_slice(b"abc");
        mapping.sync().unwrap();
        assert_eq!(&std::fs::read(&path).unwrap()[5000..5003], b"abc");
        assert_eq!(&ReadMapping::open(&path).unwrap().bytes()[5000..5003], b"abc");
        mapping.shrink(5003).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 5003);
    }

    #[test]
    fn a_file_that_exists_is_not_taken_over_and_the_error_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        std::fs::write(&path, b"precious").unwrap();
        let error = Mapping::create(&path, 4096).unwrap_err();
        assert!(error.is_already_there());
        assert!(error.to_string().contains("kept"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_missing_file_or_folder_is_an_error_that_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent").join("file");
        assert!(Mapping::create(&absent, 4096).unwrap_err().to_string().contains("absent"));
        assert!(ReadMapping::open(&absent).unwrap_err().to_string().contains("absent"));
    }

    #[test]
    fn a_folder_that_may_not_be_written_is_an_error_that_names_the_path() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
        match Mapping::create(&folder.path().join("refused"), 4096) {
            Err(error) => assert!(error.to_string().contains("refused"), "{error}"),
            Ok(_) => {
                eprintln!("SKIPPED: this user writes everywhere, so a refused permission was NOT tested")
            }
        }
    }

    #[test]
    fn a_warmer_changes_no_byte_and_may_outlive_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut mapping = Mapping::create(&folder.path().join("a"), 64 * 1024).unwrap();
        mapping.bytes_mut().fill(7);
        let warmer = mapping.warmer();
        warmer.warm(0, 64 * 1024);
        warmer.warm(5_000, usize::MAX);
        warmer.warm(usize::MAX, 1);
        assert!(mapping.bytes().iter().all(|byte| *byte == 7));
        mapping.shrink(0).unwrap();
        warmer.warm(0, 64 * 1024);
    }

    #[test]
    fn a_full_disk_is_a_clean_error_and_leaves_no_file_behind() {
        let Some(disk) = SmallDisk::mount("256k") else { return };
        let first = Mapping::create(&disk.path().join("fits"), 128 * 1024).unwrap();
        let path = disk.path().join("does-not-fit");
        let error = Mapping::create(&path, 256 * 1024).unwrap_err();
        assert!(error.is_disk_full(), "{error}");
        assert!(error.to_string().contains("does-not-fit"), "{error}");
        assert!(!path.exists());
        drop(first);
    }
}
