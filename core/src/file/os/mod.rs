//! The real disk: files of one directory, through the operating system.
//!
//! ```text
//!              OsDisk (directory)
//!                 | open, create: O_CLOEXEC, no symbolic link as last component
//!              OsFile
//!   write_at ----+---- positioned write --------+
//!   store -------+---- memcpy, writable map ----+--> page cache --(sync_data)--> device
//!   segment <----+---- read-only shared map ----+
//!                      1 GiB each, mapped when first asked for, unmapped when the file is dropped
//! ```
//!
//! Writes and mappings meet in the page cache, so a finished `write_at` shows through lent memory. A
//! segment is mapped in full even where the file is shorter: growing the file later makes more of
//! the same mapping readable, and no pointer ever moves. Touching a mapping beyond the end of the
//! file raises SIGBUS; that is why the contract lets nobody do it.
//!
//! Neither `segment` nor `store` needs `madvise`: the kernel's defaults are used as they are.

mod holder;
mod sys;

use crate::file::disk::{check_name, Disk, DiskFile, LockError};
use crate::sync::{AtomicU32, Mutex, Ordering};
use memmap2::{MmapOptions, MmapRaw};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size of the pieces in which a file is mapped.
const SEGMENT_BYTES: u64 = 1 << 30;

/// Most segments of one file: 2^48 pages of 4 096 bytes. Bounds the table of mappings whatever index
/// a damaged file leads to.
const MAX_SEGMENTS: u64 = (1 << 60) / SEGMENT_BYTES;

/// How much is written at once where the file system cannot allocate.
const ZEROS_BYTES: usize = 1 << 18;

/// The files of one directory.
#[derive(Debug, Clone)]
pub struct OsDisk {
    directory: PathBuf,
}

impl OsDisk {
    #[cfg(any(test, feature = "testing"))]
    /// The disk of `directory`, which is made absolute, so that a later change of the working
    /// directory does not matter. Nothing is touched yet.
    pub fn new(directory: PathBuf) -> Self {
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        OsDisk { directory }
    }

    /// Splits the path of a database file into its disk and its name there.
    ///
    /// Symbolic links are followed first: the log stands beside the file itself, so two links to one
    /// file must lead to one log. A file that does not exist yet is looked up by its directory.
    pub fn resolve(path: &Path) -> io::Result<(OsDisk, String)> {
        let real = match std::fs::canonicalize(path) {
            Ok(real) => real,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // A link that leads nowhere: creating there would surprise. A file has been made since.
                if path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
                    return Err(e);
                }
                let name = path.file_name().ok_or_else(|| bad_name(&path.to_string_lossy()))?;
                let parent = match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
                std::fs::canonicalize(parent)?.join(name)
            }
            Err(e) => return Err(e),
        };
        let name = real.file_name().and_then(|n| n.to_str()).ok_or_else(|| bad_name(&path.to_string_lossy()))?;
        let directory = real.parent().ok_or_else(|| bad_name(name))?;
        Ok((OsDisk { directory: directory.to_owned() }, name.to_owned()))
    }

    /// The directory whose files these are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        check_name(name)?;
        Ok(self.directory.join(name))
    }

    fn open_file(&self, name: &str, how: How) -> io::Result<OsFile> {
        // The standard library adds O_CLOEXEC.
        let file = OpenOptions::new()
            .read(true)
            .write(how != How::Read)
            .create_new(how == How::Create)
            .custom_flags(libc::O_NOFOLLOW)
            .open(self.path(name)?)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not a regular file")));
        }
        let can_store = sys::overwrites_in_place(&file);
        Ok(OsFile {
            file,
            can_store,
            segments: Mutex::new(Vec::new()),
            writable: Mutex::new(None),
            locked_by: AtomicU32::new(0),
        })
    }
}

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Read,
    Write,
    Create,
}

fn bad_name(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not a plain file name"))
}

impl Disk for OsDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.open_file(name, How::Write)?))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.open_file(name, How::Read)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.open_file(name, How::Create)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from)?, self.path(to)?)
    }

    fn network_file_system(&self) -> io::Result<Option<String>> {
        Ok(sys::network_file_system(&File::open(&self.directory)?).map(str::to_owned))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            // A name that is not UTF-8 is none of ours.
            match entry?.file_name().into_string() {
                Ok(name) if name.starts_with(prefix) => names.push(name),
                _ => {}
            }
        }
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        match File::open(&self.directory)?.sync_all() {
            // Some file systems (FUSE ones) have nothing to sync for a directory and say so like this.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            result => result,
        }
    }
}

/// One open file of an [`OsDisk`].
#[derive(Debug)]
struct OsFile {
    file: File,
    can_store: bool,
    /// Read-only mappings by segment; an entry, once there, stays until drop.
    segments: Mutex<Vec<Option<MmapRaw>>>,
    /// Writable mapping of `[0, its length)`, never longer than the file; `store` runs under this lock.
    writable: Mutex<Option<MmapRaw>>,
    /// Process that took the lock through this handle, 0 for none. Not behind a lock, which a forked child might
    /// find held for ever.
    locked_by: AtomicU32,
}

impl OsFile {
    fn write_zeros(&self, mut at: u64, end: u64) -> io::Result<()> {
        let zeros = vec![0; ZEROS_BYTES.min((end - at) as usize)];
        while at < end {
            let n = (end - at).min(zeros.len() as u64);
            self.file.write_all_at(&zeros[..n as usize], at)?;
            at += n;
        }
        Ok(())
    }

    fn lock_as(&self, kind: i32) -> Result<(), LockError> {
        match sys::lock(&self.file, kind) {
            Ok(true) => {
                self.locked_by.store(std::process::id(), Ordering::Release);
                Ok(())
            }
            Ok(false) => Err(LockError::Held(holder::find(&self.file).unwrap_or_default())),
            Err(e) => Err(LockError::Io(e)),
        }
    }

    /// Maps `[0, length of the file)` for writing if the present mapping ends before `end`.
    fn map_for_store(&self, writable: &mut Option<MmapRaw>, end: u64) -> io::Result<()> {
        if writable.as_ref().is_some_and(|map| map.len() as u64 >= end) {
            return Ok(());
        }
        let len = self.len()?;
        if len < end {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("store up to byte {end} in a file of {len} bytes"),
            ));
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        *writable = Some(MmapOptions::new().len(len).map_raw(&self.file)?);
        Ok(())
    }
}

impl DiskFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    /// After an error the length may be anything from the old one to `len`.
    fn allocate(&self, len: u64) -> io::Result<()> {
        let old = self.len()?;
        if len <= old || sys::allocate(&self.file, old, len - old)? {
            return Ok(());
        }
        self.write_zeros(old, len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        // Under this lock no store can meet the part that goes away.
        let mut writable = self.writable.lock();
        if len >= self.len()? {
            return Ok(());
        }
        if writable.as_ref().is_some_and(|map| map.len() as u64 > len) {
            *writable = None;
        }
        self.file.set_len(len)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        sys::punch(&self.file, offset, len)
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        use std::os::unix::fs::MetadataExt;
        Ok(self.file.metadata()?.blocks() * 512)
    }

    fn sync_data(&self) -> io::Result<()> {
        // fdatasync, or F_FULLFSYNC on Apple systems, where fsync stops at the drive's cache. Only an
        // interrupted call is repeated; an error is final.
        self.file.sync_data()
    }

    fn segment_bytes(&self) -> u64 {
        SEGMENT_BYTES
    }

    fn segment(&self, index: u64) -> io::Result<*const u8> {
        if index >= MAX_SEGMENTS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no segment {index}")));
        }
        let at = index as usize;
        let mut segments = self.segments.lock();
        if let Some(Some(map)) = segments.get(at) {
            return Ok(map.as_ptr());
        }
        let mut options = MmapOptions::new();
        options.offset(index * SEGMENT_BYTES).len(SEGMENT_BYTES as usize);
        let map = options.map_raw_read_only(&self.file)?;
        let pointer = map.as_ptr();
        if segments.len() <= at {
            segments.resize_with(at + 1, || None);
        }
        segments[at] = Some(map);
        Ok(pointer)
    }

    fn can_store(&self) -> bool {
        self.can_store
    }

    fn store(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(data.len() as u64).ok_or(io::ErrorKind::InvalidInput)?;
        let mut writable = self.writable.lock();
        self.map_for_store(&mut writable, end)?;
        match writable.as_ref() {
            Some(map) => sys::store(map, data, offset as usize),
            None => Err(io::Error::other("no mapping to store to")),
        }
    }

    /// A sync cleans the pages of a mapping one by one, with an interrupt of the other processors for each.
    fn end_stores(&self) {
        *self.writable.lock() = None;
    }

    fn lock(&self) -> Result<(), LockError> {
        self.lock_as(libc::LOCK_EX)
    }

    fn lock_shared(&self) -> Result<(), LockError> {
        self.lock_as(libc::LOCK_SH)
    }

    fn unlock(&self) {
        if self.locked_by.swap(0, Ordering::AcqRel) == std::process::id() {
            sys::unlock(&self.file);
        }
    }

    fn forsake(&self) {
        sys::forsake(&self.file);
    }

    fn is_linked(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        self.file.metadata().map_or(true, |metadata| metadata.nlink() > 0)
    }
}

impl Drop for OsFile {
    /// Closing would release the lock too, but not while a forked child still has the descriptor. A
    /// child that drops its copy of this handle, on the other hand, must leave its parent's lock alone.
    fn drop(&mut self) {
        self.unlock();
    }
}

#[cfg(test)]
mod tests;
