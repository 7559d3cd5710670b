//! Looking into a file, for people: a page, the log, the free space, a trie.
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

pub use describe::*;

use crate::error::{Error, Result};
use std::path::Path;

/// Describes page `number` of the file at `path`. Errors: `NoSuchFile`, `InvalidArgument` for a page that the file
/// does not have, I/O errors.
pub fn page(path: impl AsRef<Path>, number: u64) -> Result<PageReport> {
    let _ = (path.as_ref(), number);
    Err(Error::Internal("not built yet".into()))
}

/// Describes the log beside the file at `path`. Errors: `NoSuchFile`, I/O errors.
pub fn log(path: impl AsRef<Path>) -> Result<LogReport> {
    let _ = path.as_ref();
    Err(Error::Internal("not built yet".into()))
}

/// Describes the free space of the file at `path`. Errors: `NoSuchFile`, I/O errors, those of the meta pages
/// where neither can be used.
pub fn free(path: impl AsRef<Path>) -> Result<FreeReport> {
    let _ = path.as_ref();
    Err(Error::Internal("not built yet".into()))
}

/// Describes the hash trie of a collection of the file at `path`. Errors: `NoSuchFile`, `CollectionNotFound`, I/O
/// errors, those of the meta pages where neither can be used, `Corrupt` where the way to the collection's roots can't be read.
pub fn trie(path: impl AsRef<Path>, collection: &str) -> Result<TrieReport> {
    let _ = (path.as_ref(), collection);
    Err(Error::Internal("not built yet".into()))
}
