//! The sorted index: one LSM tree (O'Neil, Cheng, Gawlick and O'Neil, 1996) for all keyspaces, in the file.
//!
//! ```text
//!   commit --> memtable (`memtable`)                     in memory, and in the log
//!                 |  checkpoint: flush
//!                 v
//!   level 0    sets of runs (`run`), newest first        immutable, in extents of the file
//!                 |  checkpoint: merges (`compact`)
//!                 v
//!   levels 1 to 7   one list of runs each (`levels`)     what lies below is older
//!
//!   read: memtables, then the levels downwards; of each the one run that may have the key, if its filter
//!         (`filter`) says so. Ranges are merged (`merge`).
//! ```
//!
//! A key in a run has the number of its tree in front, so one tree serves all keyspaces. A run has one cell for a key:
//! which runs and memtables a reader looks at decides what it sees, versions in time there are in memtables alone.

pub mod batch;
pub mod build;
pub mod cell;
pub mod compact;
pub mod filter;
pub mod groups;
pub mod leaf;
pub mod levels;
pub mod memtable;
pub mod merge;
pub mod run;
pub mod search;
pub mod source;
pub mod stretch;
pub mod tail;

/// Most bytes of a key.
pub const MAX_KEY_BYTES: usize = 65_535;

/// Larger values lie in extents of their own, where the file's regions do not ask for less.
pub const MAX_INLINE_BYTES: usize = 8 << 10;
