//! The write-ahead log: commits in order, made durable by shared syncs, found again after a crash.
//!
//! ```text
//!   app.nyro-wal-<epoch>-00000000           ...-00000001                  ...-00000002
//!   +--------+-----+-----+-----+-----+      +--------+-----+-----+-----+  +---------------------+
//!   | header | c 1 | c 2 | cl. | end | ---> | header | c 3 | c 4 | 0.. |  | prepared: all zeros |
//!   +--------+-----+-----+-----+-----+      +--------+-----+-----+-----+  +---------------------+
//!            ^ LSN = byte position over all segments     ^ end of the log
//! ```
//!
//! * A segment is zero-filled, or was one before; it has its length and its name durably before the first frame goes
//!   into it, so that an append never needs space and a sync never has to write more than data.
//! * A frame verifies alone (its place, its epoch, a checksum seeded with the file's identity) and
//!   names the checksum of the frame before. It also *claims*: up to which LSN the log was known
//!   durable when it was written. A bad frame below a claim is damage, above all claims it is the tail
//!   that a crash tore, and is dropped.
//! * One thread appends at a time (the engine's writer lock); one thread syncs at a time, for all that
//!   wait. A failed sync ends all writing, for nobody knows what it left behind.
//! * Each opening that writes begins a new epoch; a log is never continued after it was replayed.
//!
//! Format: `docs/file-format.md`, "The log".

mod format;
mod frame;
mod inspect;
mod replay;
mod segment;
mod sync;
mod writer;

#[cfg(test)]
mod tests;

pub use frame::Frame;
pub use inspect::{first_start, identities, inspect_segment, segments, FrameView};
pub use replay::{replay, ReplayEnd, ReplayStart};
pub use writer::{Log, LogConfig};

#[cfg(test)]
pub(crate) use format::LAYOUTS;

use crate::error::{Error, Result};
use crate::file::disk::Disk;
use std::fmt;
use std::io;

/// A place in the log: a byte position over all its segments, headers not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The file name of a segment.
pub(crate) fn segment_name(base_name: &str, epoch: u64, sequence: u32) -> String {
    format!("{base_name}-wal-{epoch:016x}-{sequence:08x}")
}

/// Epoch and sequence of a segment's name; `None` for all other names.
fn parse_segment_name(base_name: &str, name: &str) -> Option<(u64, u32)> {
    let rest = name.strip_prefix(base_name)?.strip_prefix("-wal-")?;
    let (epoch, sequence) = rest.split_once('-')?;
    let epoch = u64::from_str_radix(epoch, 16).ok()?;
    let sequence = u32::from_str_radix(sequence, 16).ok()?;
    (segment_name(base_name, epoch, sequence) == name).then_some((epoch, sequence))
}

/// All segments of the database `base_name`, by epoch and sequence.
fn list_segments(disk: &dyn Disk, base_name: &str) -> Result<Vec<(u64, u32)>> {
    let names = disk.list(&format!("{base_name}-wal-")).map_err(|e| Error::io("listing the log", e))?;
    let mut found: Vec<_> = names.iter().filter_map(|name| parse_segment_name(base_name, name)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Removes a file; that it is not there is as good.
fn remove_if_there(disk: &dyn Disk, name: &str) -> Result<()> {
    match disk.remove(name) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("removing a log segment", e)),
        _ => Ok(()),
    }
}

/// Removes the segments of all epochs but `keep_epoch`, durably.
pub fn remove_segments(disk: &dyn Disk, base_name: &str, keep_epoch: Option<u64>) -> Result<()> {
    for (epoch, sequence) in list_segments(disk, base_name)? {
        if Some(epoch) != keep_epoch {
            remove_if_there(disk, &segment_name(base_name, epoch, sequence))?;
        }
    }
    disk.sync_dir().map_err(|e| Error::io("syncing the directory of the log", e))
}
