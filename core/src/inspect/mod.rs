//! Looking into a file, for people: a page, the log, the free space, a trie, a run.
//!
//! ```text
//!   path --> read handle, no lock --> meta pages --> what was asked for, decoded as far as it can be
//! ```
//!
//! Nothing is written and nobody is kept from writing: the file may be damaged, and it may be in use. Of a
//! file in use these calls see the last checkpoint; where the next one comes meanwhile they may meet pages that
//! were used again, which looks like damage. Errors are given for a file that can't be opened or read at all, or
//! has no meta page where one is needed; all other damage stands in the description.

mod describe;
mod log;
mod page;
mod run;
mod space;
mod trie;

pub use describe::*;

use crate::control::Control;
use crate::error::{Error, Result};
use crate::file::copies::Copies;
use crate::file::disk::{Disk, DiskFile};
use crate::file::meta::Meta;
use crate::file::os::OsDisk;
use crate::file::page::PAGE_BYTES;
use crate::file::read_only::ReadOnlyDisk;
use crate::repair::basis;
use crate::repair::Damaged;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Most entries of a list of damage.
const MOST_DAMAGE: usize = 100;

/// Describes page `number` of the file at `path`. Errors: `NoSuchFile`, `InvalidArgument` for a page that the file
/// does not have, I/O errors.
pub fn page(path: impl AsRef<Path>, number: u64) -> Result<PageReport> {
    File::open(path.as_ref())?.page(number)
}

/// Describes the log beside the file at `path`. Errors: `NoSuchFile`, I/O errors.
pub fn log(path: impl AsRef<Path>) -> Result<LogReport> {
    File::open(path.as_ref())?.log()
}

/// Describes the free space of the file at `path`. Errors: `NoSuchFile`, I/O errors, those of the meta pages
/// where neither can be used.
pub fn free(path: impl AsRef<Path>) -> Result<FreeReport> {
    File::open(path.as_ref())?.free()
}

/// Describes the hash trie of a collection of the file at `path`. Errors: `NoSuchFile`, `CollectionNotFound`,
/// `OtherKind`, I/O errors, those of the meta pages where neither can be used, `Corrupt` where the way to the
/// collection's roots can't be read.
pub fn trie(path: impl AsRef<Path>, collection: &str) -> Result<TrieReport> {
    File::open(path.as_ref())?.trie(collection)
}

/// The runs of the sorted index of the file at `path`, as the manifest has them. Errors: `NoSuchFile`, I/O errors,
/// those of the meta pages where neither can be used.
pub fn runs(path: impl AsRef<Path>) -> Result<RunsReport> {
    File::open(path.as_ref())?.runs()
}

/// Describes run `number` of the sorted index of the file at `path`, with all of its keys if `entries`. Errors:
/// `NoSuchFile`, `InvalidArgument` for a run that is not in the manifest, I/O errors, those of the meta pages where
/// neither can be used, `Corrupt` where the way to the run's entry can't be read.
pub fn run(path: impl AsRef<Path>, number: u64, entries: bool) -> Result<RunDetails> {
    File::open(path.as_ref())?.run(number, entries)
}

/// A file that is looked into.
struct File {
    disk: ReadOnlyDisk,
    name: String,
    file: Arc<dyn DiskFile>,
    /// Its length in pages; one that is not whole counts.
    pages: u64,
    copies: Copies,
    /// The meta page that counts.
    meta: Option<Meta>,
    identity: Option<[u8; 16]>,
}

impl File {
    fn open(path: &Path) -> Result<File> {
        let no_such = |e: io::Error, doing| match e.kind() {
            io::ErrorKind::NotFound => Error::NoSuchFile(path.display().to_string()),
            _ => Error::io(doing, e),
        };
        let (disk, name) = OsDisk::resolve(path).map_err(|e| no_such(e, "resolving the path"))?;
        let disk = ReadOnlyDisk(Arc::new(disk));
        let file = disk.open_read(&name).map_err(|e| no_such(e, "opening the file"))?;
        let pages = file.len().map_err(|e| Error::io("reading the file's length", e))?.div_ceil(PAGE_BYTES as u64);
        let damaged = Damaged { file: &file, name: &name, log: &disk };
        let (copies, meta, identity) = match basis::find(&damaged, true, &mut Control::new()) {
            Ok(basis) => (basis.copies, basis.meta, basis.identity),
            // A newer format: what is not of the meta pages may still be read.
            Err(_) => (Copies::new(file.clone(), None, pages), None, None),
        };
        Ok(File { disk, name, file, pages, copies, meta, identity })
    }

    /// The meta page that counts, or why there is none.
    fn need_meta(&self) -> Result<&Meta> {
        if let Some(meta) = &self.meta {
            return Ok(meta);
        }
        let damaged = Damaged { file: &self.file, name: &self.name, log: &self.disk };
        basis::find(&damaged, false, &mut Control::new())?;
        Err(Error::corrupt("meta page", 0, 0, 1, 0))
    }
}
