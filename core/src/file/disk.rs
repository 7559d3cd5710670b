//! The seam under all file access.
//!
//! ```text
//!   engine, log  ->  Disk (names in one directory)  ->  DiskFile (bytes of one file)
//!                      |                                   |
//!                      +-- OsDisk: the real one            +-- positioned reads and writes,
//!                      +-- SimDisk: records everything,        lent memory for reading,
//!                          builds crash states                 log stores as calls
//! ```
//!
//! Nothing else in the engine touches the file system. Reading goes through memory that the file
//! lends ([`DiskFile::segment`]): the real disk lends a read-only shared mapping, the simulated one its
//! own memory. Writing is always a call, so that a simulated disk sees every write there is.
//!
//! What an implementation must keep:
//! * lent memory never moves and stays valid until the file is dropped; it covers whole segments of
//!   [`DiskFile::segment_bytes`] bytes, though only the bytes inside the file's length may be touched;
//! * a finished `write_at` shows through lent memory;
//! * bytes are durable only after `sync_data` returned without error; a file's name only after
//!   [`Disk::sync_dir`].

use std::fmt;
use std::io;
use std::sync::Arc;

/// Who holds the lock of a database file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// Process id, 0 where the system does not tell.
    pub pid: u32,
    /// User name, empty where the system does not tell.
    pub user: String,
}

/// Why a lock was not had.
#[derive(Debug)]
pub enum LockError {
    /// Another process (or another opening) has it.
    Held(Holder),
    /// The operating system reported an error.
    Io(io::Error),
}

/// The directory that holds one database: the data file and its log files.
///
/// Names are plain file names without separators.
pub trait Disk: Send + Sync + fmt::Debug + 'static {
    /// Opens an existing file for reading and writing. `NotFound` if it is not there.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading only. `NotFound` if it is not there.
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates a file that must not exist yet. Durable only after [`Disk::sync_dir`].
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file. Durable only after [`Disk::sync_dir`]. Files already open stay usable.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives the file `from` the name `to`, in place of the file that has it, in one step. Durable only after
    /// [`Disk::sync_dir`]. Files already open stay usable.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// The kind of network file system that the directory lies on, if it is one.
    fn network_file_system(&self) -> io::Result<Option<String>> {
        Ok(None)
    }

    /// The names of all files that start with `prefix`, in no order.
    fn list(&self, prefix: &str) -> io::Result<Vec<String>>;

    /// Makes creations and removals durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// Refuses what is not a plain file name.
pub(crate) fn check_name(name: &str) -> io::Result<()> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not a plain file name")));
    }
    Ok(())
}

/// One open file.
#[allow(clippy::len_without_is_empty, reason = "a length on the disk, not that of a container")]
pub trait DiskFile: Send + Sync + fmt::Debug + 'static {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Fills `buf` from `offset`; `UnexpectedEof` where the file ends before.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `data` at `offset`, growing the file if it ends before.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Grows the file to `len` bytes with space that is really there, reading as zeros.
    /// Does nothing where it is already that long.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Gives the space of a range inside the file back to the file system; it reads as zeros then. False
    /// where the file system cannot. After a power cut without a sync it may be as before, in part or wholly.
    fn punch(&self, _offset: u64, _len: u64) -> io::Result<bool> {
        Ok(false)
    }

    /// Bytes of the device that the file takes.
    fn allocated_bytes(&self) -> io::Result<u64> {
        self.len()
    }

    /// Makes data and length durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Size of the pieces in which memory is lent, a power of two and a multiple of 4 096.
    fn segment_bytes(&self) -> u64;

    /// Lends the memory of segment `index` for reading. The pointer is valid, and never changes,
    /// until this file is dropped; only bytes inside the file's length may be read through it.
    fn segment(&self, index: u64) -> io::Result<*const u8>;

    /// True when [`DiskFile::store`] is cheaper than [`DiskFile::write_at`] on this file system.
    fn can_store(&self) -> bool;

    /// Stores `data` at `offset` through a writable mapping: the cheap write of the log when no sync
    /// follows at once. The range must lie inside space written (not just allocated) before.
    /// Made durable by [`DiskFile::sync_data`] like any write.
    fn store(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// No stores are expected any more: what they needed can go. A hint; a later store still works.
    fn end_stores(&self) {}

    /// Takes the exclusive lock of this file, without waiting. Released when the file is dropped.
    fn lock(&self) -> Result<(), LockError>;

    /// Takes a lock that other readers share and writers do not, without waiting. Released as the other.
    fn lock_shared(&self) -> Result<(), LockError>;

    /// Gives the lock back before the file is dropped. Does nothing where this handle has none.
    fn unlock(&self);

    /// In a process forked from the one that opened the file: gives the descriptor up, so that the lock ends with
    /// the process that took it. Every later call on this handle fails there; memory that was lent stays.
    fn forsake(&self) {}

    /// False if the file has no name any more: somebody removed it while it was being opened here.
    fn is_linked(&self) -> bool {
        true
    }
}
