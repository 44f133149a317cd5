//! Files as memory, for the journal.
//!
//! A [`Mapping`] is made at its full size with its disk blocks reserved, so that a full disk is an error here and not a
//! `SIGBUS` in the middle of an append; it is faulted in, so that the first append to a page costs no more than the next.
//! It never overwrites a file that exists, and holds an exclusive advisory lock, so that two writers cannot meet.
//!
//! A [`ReadMapping`] is for files that nobody writes any more. A file that is cut shorter under a reader ends the reader's
//! process with `SIGBUS`; who wants to watch a file that is still being written reads it with `read(2)`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap, MmapMut, MmapOptions};

use super::memory;

#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    #[error("{}: already exists; it is not overwritten", .path.display())]
    Exists { path: PathBuf },
    #[error("{}: no room on the device for {bytes} bytes", .path.display())]
    NoRoom { path: PathBuf, bytes: u64 },
    #[error("{}: another process is writing to it", .path.display())]
    Busy { path: PathBuf },
    #[error("{}: a mapping of zero bytes has no meaning", .path.display())]
    Empty { path: PathBuf },
    #[error("{}: cannot {act}: {source}", .path.display())]
    Io { path: PathBuf, act: &'static str, source: io::Error },
}

/// A file that this process alone writes, as memory.
#[derive(Debug)]
pub struct Mapping {
    map: MmapMut,
    file: File,
    path: PathBuf,
}

impl Mapping {
    /// Makes the file with `bytes` reserved zero bytes, maps and prefaults it. After an error no file is left behind.
    /// The name itself is on disk only after [`sync_directory`].
    pub fn create(path: &Path, bytes: u64) -> Result<Self, MappingError> {
        if bytes == 0 {
            return Err(MappingError::Empty { path: path.to_owned() });
        }
        let file = match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(MappingError::Exists { path: path.to_owned() });
            }
            Err(source) => return Err(MappingError::Io { path: path.to_owned(), act: "create", source }),
        };
        let made =
            lock(&file, path).and_then(|()| reserve(&file, path, bytes)).and_then(|()| Self::of(file, path));
        if made.is_err() {
            // We made it a moment ago, so it is ours to remove. A failure here cannot be helped and loses nothing.
            let _ = std::fs::remove_file(path);
        }
        made
    }

    /// Maps an existing file for writing, at the size it has.
    pub fn open(path: &Path) -> Result<Self, MappingError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| MappingError::Io { path: path.to_owned(), act: "open for writing", source })?;
        lock(&file, path)?;
        let length = length(&file, path)?;
        if length == 0 {
            return Err(MappingError::Empty { path: path.to_owned() });
        }
        // A file with holes would bring back the SIGBUS on a full disk that `create` excludes.
        reserve(&file, path, length)?;
        Self::of(file, path)
    }

    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns when everything written so far survives a power loss. Milliseconds, on a busy disk many: never on a hot thread.
    pub fn sync(&self) -> Result<(), MappingError> {
        // On Linux, pages written through a shared mapping are the file's own pages, so fdatasync covers them.
        self.file.sync_data().map_err(|source| self.error("sync", source))
    }

    /// As [`Mapping::sync`], for a part: starts at the page that holds `offset`. The range must lie in the mapping.
    pub fn sync_range(&self, offset: usize, bytes: usize) -> Result<(), MappingError> {
        self.map.flush_range(offset, bytes).map_err(|source| self.error("sync a range of", source))
    }

    /// A second handle on the file, with which another thread can call `sync_data` while this one goes on appending.
    pub fn sync_handle(&self) -> Result<File, MappingError> {
        self.file.try_clone().map_err(|source| self.error("duplicate the handle of", source))
    }

    /// Ends the writing: cuts the file to its first `bytes` bytes and returns when that is on disk.
    pub fn seal(self, bytes: u64) -> Result<(), MappingError> {
        let Self { map, file, path } = self;
        let io = |act| {
            let path = path.clone();
            move |source| MappingError::Io { path, act, source }
        };
        if bytes > map.len() as u64 {
            return Err(io("seal")(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the seal lies beyond the end",
            )));
        }
        // The mapping goes first: touching pages beyond the new end would be fatal, and now nobody can.
        drop(map);
        file.set_len(bytes).map_err(io("cut to its sealed length"))?;
        file.sync_all().map_err(io("sync"))
    }

    fn of(file: File, path: &Path) -> Result<Self, MappingError> {
        // SAFETY: the file is locked by us against other writers and its blocks are reserved; only `seal` cuts it, after
        // the mapping is gone. A foreign process that ignores the lock is outside of what this program can promise.
        let map = unsafe { MmapOptions::new().map_mut(&file) };
        let map = map.map_err(|source| MappingError::Io { path: path.to_owned(), act: "map", source })?;
        let mut mapping = Self { map, file, path: path.to_owned() };
        // The kernel can fault all pages in at once since 5.14; else each is touched.
        if mapping.map.advise(Advice::PopulateWrite).is_err() {
            memory::prefault(&mut mapping.map);
        }
        Ok(mapping)
    }

    fn error(&self, act: &'static str, source: io::Error) -> MappingError {
        MappingError::Io { path: self.path.clone(), act, source }
    }
}

/// A finished file as read-only memory. An empty file is an empty slice.
#[derive(Debug)]
pub struct ReadMapping {
    map: Option<Mmap>,
}

impl ReadMapping {
    pub fn open(path: &Path) -> Result<Self, MappingError> {
        let file = File::open(path).map_err(|source| MappingError::Io {
            path: path.to_owned(),
            act: "open",
            source,
        })?;
        if length(&file, path)? == 0 {
            return Ok(Self { map: None });
        }
        // SAFETY: the caller opens files that nobody writes (this module's contract); we only read.
        let map = unsafe { MmapOptions::new().map(&file) };
        let map = map.map_err(|source| MappingError::Io { path: path.to_owned(), act: "map", source })?;
        // Journals are read from front to back; a kernel that ignores the hint only reads ahead less.
        let _ = map.advise(Advice::Sequential);
        Ok(Self { map: Some(map) })
    }

    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

/// Returns when the names in the directory survive a power loss: what was created, renamed or removed in it.
pub fn sync_directory(directory: &Path) -> Result<(), MappingError> {
    let synced = File::open(directory).and_then(|handle| handle.sync_all());
    synced.map_err(|source| MappingError::Io {
        path: directory.to_owned(),
        act: "sync the directory",
        source,
    })
}

fn lock(file: &File, path: &Path) -> Result<(), MappingError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(MappingError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => {
            Err(MappingError::Io { path: path.to_owned(), act: "lock", source })
        }
    }
}

fn reserve(file: &File, path: &Path, bytes: u64) -> Result<(), MappingError> {
    let no_room = || MappingError::NoRoom { path: path.to_owned(), bytes };
    let Ok(length) = libc::off_t::try_from(bytes) else { return Err(no_room()) };
    // SAFETY: the descriptor is open for writing for the length of the call.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
        0 => Ok(()),
        libc::ENOSPC | libc::EFBIG => Err(no_room()),
        code => Err(MappingError::Io {
            path: path.to_owned(),
            act: "reserve the blocks of",
            source: io::Error::from_raw_os_error(code),
        }),
    }
}

fn length(file: &File, path: &Path) -> Result<u64, MappingError> {
    let metadata = file.metadata();
    metadata.map(|m| m.len()).map_err(|source| MappingError::Io {
        path: path.to_owned(),
        act: "measure",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn what_is_written_sealed_and_opened_again_reads_the_same_and_has_the_sealed_length() {
        let folder = scratch();
        let path = folder.path().join("0.journal");
        let mut mapping = Mapping::create(&path, 1 << 20).unwrap();
        assert_eq!(mapping.bytes().len(), 1 << 20);
        assert!(mapping.bytes().iter().all(|byte| *byte == 0));
        mapping.bytes_mut()[..5].copy_from_slice(b"hello");
        mapping.sync().unwrap();
        mapping.sync_range(0, 5).unwrap();
        mapping.sync_handle().unwrap().sync_data().unwrap();
        mapping.seal(5).unwrap();
        sync_directory(folder.path()).unwrap();
        assert_eq!(ReadMapping::open(&path).unwrap().bytes(), b"hello");
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let folder = scratch();
        let path = folder.path().join("0.journal");
        std::fs::write(&path, b"precious").unwrap();
        assert!(matches!(Mapping::create(&path, 4_096), Err(MappingError::Exists { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_second_writer_is_refused_while_the_first_lives_and_welcome_after() {
        let folder = scratch();
        let path = folder.path().join("0.journal");
        let first = Mapping::create(&path, 4_096).unwrap();
        assert!(matches!(Mapping::open(&path), Err(MappingError::Busy { .. })));
        drop(first);
        assert_eq!(Mapping::open(&path).unwrap().bytes().len(), 4_096);
    }

    #[test]
    fn a_full_device_is_an_error_that_says_so_and_leaves_no_file() {
        let folder = scratch();
        let mount = folder.path().join("small");
        std::fs::create_dir(&mount).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(&mount).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: a full device needs the right to mount a small tmpfs");
            return;
        }
        let path = mount.join("0.journal");
        let refused = Mapping::create(&path, 1 << 20);
        let left = path.exists();
        let fits = Mapping::create(&path, 32 << 10).is_ok();
        let unmounted = Command::new("umount").arg("-l").arg(&mount).status().unwrap();
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("no room") && said.contains("1048576") && said.contains("0.journal"), "{said}");
        assert!(!left && fits && unmounted.success());
    }

    #[test]
    fn senseless_sizes_missing_files_and_a_seal_beyond_the_end_name_the_file() {
        let folder = scratch();
        let path = folder.path().join("0.journal");
        for refused in [
            Mapping::create(&path, 0).unwrap_err(),
            Mapping::create(&path, u64::MAX).unwrap_err(),
            Mapping::open(&path).unwrap_err(),
            ReadMapping::open(&path).unwrap_err(),
            Mapping::create(&path, 4_096).unwrap().seal(4_097).unwrap_err(),
            sync_directory(&folder.path().join("0.journal.d")).unwrap_err(),
        ] {
            assert!(refused.to_string().contains("0.journal"), "{refused}");
        }
    }

    #[test]
    fn an_empty_file_reads_as_nothing() {
        let folder = scratch();
        let path = folder.path().join("empty");
        std::fs::write(&path, b"").unwrap();
        assert!(ReadMapping::open(&path).unwrap().bytes().is_empty());
        assert!(matches!(Mapping::open(&path), Err(MappingError::Empty { .. })));
    }
}
