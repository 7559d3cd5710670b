//! What a repair is asked for, and what it tells.

use crate::error::Error;
use serde::Serialize;

/// How a file is repaired.
///
/// ```
/// let options = nyro::RepairOptions { overwrite: true, ..Default::default() };
/// # assert!(!options.trust_unchecked);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairOptions {
    /// Replace the file at the new path, if there is one. Default: false.
    pub overwrite: bool,
    /// Also take documents, and keys of keyspaces, that no checksum vouches for, if they are well-formed: from a block,
    /// a leaf of a run or an extent with a wrong checksum, and, where no meta page tells the file's identity, from all of them. Some of their bytes
    /// may be wrong. Default: false.
    pub trust_unchecked: bool,
    /// Memory for what is not in the new file yet, in bytes. Default: 128 MiB; at least 64 KiB. Besides it a
    /// repair takes 24 bytes for each record block of the largest collection, some 200 bytes for each run of keyspaces
    /// (a MiB of keys), two bits for each page of the file, and a few MiB.
    pub cache_bytes: u64,
}

impl Default for RepairOptions {
    fn default() -> Self {
        RepairOptions { overwrite: false, trust_unchecked: false, cache_bytes: 128 << 20 }
    }
}

/// Most entries of [`RepairReport::lost`].
pub(super) const MOST_LOST: usize = 1000;

/// What a repair did, and what it could not save.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RepairReport {
    /// How the file's structures were found.
    pub basis: RepairBasis,
    /// Pages of the damaged file.
    pub file_pages: u64,
    /// All pages were searched for blocks and leaves of runs, as the way to some of them was damaged.
    pub searched: bool,
    /// Documents in the new file.
    pub documents: u64,
    /// The collections of the new file, by name.
    pub collections: Vec<RepairedCollection>,
    /// Keys of keyspaces in the new file.
    pub keys: u64,
    /// The keyspaces of the new file, by name.
    pub keyspaces: Vec<RepairedKeyspace>,
    /// What could not be saved: the first 1 000 places.
    pub lost: Vec<Loss>,
    /// How many places there were.
    pub lost_total: u64,
    /// What was done with the log.
    pub log: RepairedLog,
}

impl RepairReport {
    /// True if all is in the new file, and nothing that should not be: nothing was lost, no document or key may have
    /// come back, and the log was not needed or replayed to its end.
    pub fn is_complete(&self) -> bool {
        let log = matches!(self.log, RepairedLog::NotNeeded | RepairedLog::Replayed { .. });
        let collections = self.collections.iter().all(|c| c.complete && c.uncertain + c.unchecked == 0);
        let keyspaces = self.keyspaces.iter().all(|k| k.complete && !k.outdated && k.uncertain + k.unchecked == 0);
        self.lost_total == 0 && log && collections && keyspaces
    }
}

/// What a repair went by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum RepairBasis {
    /// A whole meta page.
    MetaPage,
    /// A damaged meta page, as what it says agrees with the file.
    DamagedMetaPage,
    /// No meta page. The identity was found in what is left of one, or in the log, so that checksums could be
    /// checked; all blocks that were found were taken, old ones too.
    Identity,
    /// Nothing: no checksum could be checked (`trust_unchecked`).
    Nothing,
}

/// A collection of the new file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairedCollection {
    /// Its name.
    pub name: String,
    /// False if the name was lost, and `name` is `recovered-` and the number of the collection.
    pub named: bool,
    /// Its documents in the new file.
    pub documents: u64,
    /// Documents that the last checkpoint had, where that is known.
    pub expected: Option<u64>,
    /// Of these the ones that could not be saved, or only an older version of them, where that is known.
    pub missing: Option<u64>,
    /// The list of its blocks was whole, and so were they, and what they say of large documents.
    pub complete: bool,
    /// Records of which it could not be told whether they were deleted or replaced before: each may have brought
    /// a document back, or an older version of one.
    pub uncertain: u64,
    /// Documents taken although no checksum vouches for them.
    pub unchecked: u64,
}

/// A keyspace of the new file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairedKeyspace {
    /// Its name.
    pub name: String,
    /// False if the name was lost, and `name` is `recovered-` and the number of the keyspace.
    pub named: bool,
    /// Its keys in the new file.
    pub keys: u64,
    /// All that may have had keys of it could be read. How many keys are missing where not is not known.
    pub complete: bool,
    /// Something could not be read that was newer than some of what was saved: values may be older ones, and keys
    /// that were deleted may have come back.
    pub outdated: bool,
    /// Values from places that nothing names any more, so that it could not be told which of them are older: each may
    /// have brought a key back, or an older value of one.
    pub uncertain: u64,
    /// Changes (values put and keys deleted) taken although no checksum vouches for them.
    pub unchecked: u64,
}

/// A place of the damaged file that could not be saved.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// The page; for the log the place in it.
    pub page: u64,
    /// Offset in bytes from the beginning of that page.
    pub offset: u32,
    /// What it was.
    pub what: &'static str,
    /// The collection, by its name in the new file, or `recovered-` and its number; none for what belongs to no
    /// collection.
    pub collection: Option<String>,
    /// The keyspace; none for what belongs to none, or to several.
    pub keyspace: Option<String>,
    /// Documents lost with it, where that is known; none for what belongs to keyspaces.
    pub documents: Option<u64>,
    /// Why it can't be read.
    pub reason: Error,
}

/// What a repair did with the log.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum RepairedLog {
    /// The file had been closed.
    NotNeeded,
    /// Replayed to its end.
    Replayed {
        /// Commits taken from it.
        commits: u64,
        /// The last of them.
        last_commit: Option<u64>,
    },
    /// Replayed up to a damaged place; what was committed behind it is lost.
    Partly {
        /// Commits taken from it.
        commits: u64,
        /// The last of them.
        last_commit: Option<u64>,
        /// Why it ends there.
        reason: Error,
    },
    /// The file had not been closed, and there is no log that belongs to it: what was committed after the last
    /// checkpoint is lost.
    Missing {
        /// What was found in its place.
        reason: Error,
    },
}
