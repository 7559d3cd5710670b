//! How a database is opened.

use crate::engine::{Config, Durability};
use crate::error::{Error, Result};
use crate::sorted::compact::Shape;
use std::time::Duration;

/// Largest transaction in bytes.
const MAX_TRANSACTION_BYTES: u64 = 64 << 20;

/// Most garbage left alone, and most records moved by any checkpoint, in bytes; less with a small log.
const MAX_RECLAIM_BYTES: u64 = 4 << 20;

/// Pages of a dropped collection freed at once: 256 MiB.
const SLICE_PAGES: u64 = 1 << 16;

/// Largest value of `max_document_bytes`: an extent lies within one chunk of the free space.
pub(crate) const LARGEST_DOCUMENT_BYTES: u64 = 30 << 20;

/// How pages of the file are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadMode {
    /// Through a read-only mapping of the file: documents are borrowed from the page cache without a copy. A
    /// device that fails while a mapped page is read raises a signal (SIGBUS), which ends the process.
    #[default]
    Mapped,
    /// By positioned reads into memory of the database's own, about `cache_bytes` of it: a device that fails is
    /// an error of the call. A snapshot keeps what was read through it, and a scan its last document, beyond that if
    /// need be. The first read of a page costs a call of the system and a copy.
    Pread,
}

/// How a database is opened. The defaults are the benchmarked configuration.
///
/// ```
/// use nyro::{Database, Durability, Options};
/// # let dir = std::env::temp_dir().join(format!("nyro-doc-{}-{}", std::process::id(), line!()));
/// # std::fs::create_dir_all(&dir).expect("a temporary directory");
/// let options = Options { durability: Durability::Interval(50), ..Options::default() };
/// let db = Database::open_with(dir.join("app.nyro"), options)?;
/// # db.close()?;
/// # Ok::<(), nyro::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Make the file if there is none. Default: true.
    pub create: bool,
    /// When a commit is acknowledged. Default: [`Durability::Sync`].
    pub durability: Durability,
    /// Memory for what is committed and not in the file yet, in bytes: writers are slowed down from here
    /// on (from 32 GiB on, if it is more). Under [`ReadMode::Pread`] as much again for pages that were read. Default: 512 MiB; at least 64 KiB.
    pub cache_bytes: u64,
    /// Bytes of log since the last checkpoint from which on writers are slowed down. A checkpoint begins
    /// at half of it. Default: 128 MiB; at least 16 KiB.
    pub log_max_bytes: u64,
    /// How long a write waits for the writer's turn, in milliseconds. Default: 60 000.
    pub writer_timeout_ms: u64,
    /// Largest document in bytes. Default: 16 MiB; at most 30 MiB.
    pub max_document_bytes: u64,
    /// Open for reading only, beside other readers: nothing is written, and a file that was not closed has
    /// its log replayed in memory. `create` means nothing then. Default: false.
    pub read_only: bool,
    /// How pages are read. Default: [`ReadMode::Mapped`].
    pub read_mode: ReadMode,
    /// Snapshots, scans and ranges older than this many milliseconds are ended, within 0.2 s: their next read gives
    /// `SnapshotTooOld`, and what they kept is given back, but for those that documents were borrowed from (see
    /// [`Snapshot`](crate::Snapshot)). Reads of a snapshot cost some 30 ns more with it. Default: none.
    pub snapshot_max_age_ms: Option<u64>,
    /// Open a file on a network file system (NFS, SMB and the like), where locks and syncs can't be relied
    /// on. Default: false.
    pub allow_network_file_system: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            create: true,
            durability: Durability::Sync,
            cache_bytes: 512 << 20,
            log_max_bytes: 128 << 20,
            writer_timeout_ms: 60_000,
            max_document_bytes: crate::document::DEFAULT_MAX_DOCUMENT_BYTES as u64,
            read_only: false,
            read_mode: ReadMode::Mapped,
            snapshot_max_age_ms: None,
            allow_network_file_system: false,
        }
    }
}

impl Options {
    /// Checks the ranges and makes the engine's configuration.
    pub(crate) fn config(&self, memory: bool) -> Result<Config> {
        let range = |ok: bool, what: &str| if ok { Ok(()) } else { Err(Error::InvalidArgument(what.to_owned())) };
        range(self.cache_bytes >= 64 << 10, "cache_bytes must be at least 65536")?;
        range(self.log_max_bytes >= 16 << 10, "log_max_bytes must be at least 16384")?;
        let documents = 64..=LARGEST_DOCUMENT_BYTES;
        range(documents.contains(&self.max_document_bytes), "max_document_bytes must be from 64 to 31457280")?;
        range(!(memory && self.read_only), "read_only needs a file: a database in memory is new and empty")?;
        Ok(Config {
            durability: self.durability,
            cache_bytes: self.cache_bytes,
            log_max_bytes: self.log_max_bytes,
            writer_timeout: Duration::from_millis(self.writer_timeout_ms),
            max_transaction_bytes: MAX_TRANSACTION_BYTES,
            region_pages: 256,
            segment_bytes: (self.log_max_bytes / 8).clamp(64 << 10, 16 << 20).next_multiple_of(4096),
            memory,
            create: self.create || memory,
            snapshot_max_age: self.snapshot_max_age_ms.map(Duration::from_millis),
            shape: Shape::new(256),
            memtable_bytes: crate::sorted::memtable::MOST_BYTES,
            walk_bytes: 16 << 20,
            reclaim_bytes: (self.log_max_bytes / 64).clamp(16 << 10, MAX_RECLAIM_BYTES),
            slice_pages: SLICE_PAGES,
            read_only: self.read_only,
            // What lives in memory has no device that could fail.
            pread: self.read_mode == ReadMode::Pread && !memory,
            allow_network_file_system: self.allow_network_file_system,
        })
    }
}
