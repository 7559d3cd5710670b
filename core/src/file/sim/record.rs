//! The record of all operations, and playing it again.
//!
//! ```text
//!   workload runs once on a disk that records:   1 create  2 allocate  3 write  4 sync  5 write ...
//!   replay:  state before 1 -> step -> crash images -> step -> crash images -> ...
//! ```
//!
//! So a workload of n operations gives all its crash states in one run and one replay.

use super::inode::{Change, Inode};
use super::SimDisk;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// What an operation has done to the disk, failed or not.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    Nothing,
    Change(Change),
    Sync,
    SyncFailed,
    Create,
    Remove,
    /// The name that the file had before.
    Rename(Arc<str>),
    SyncDir,
    SyncDirFailed,
}

/// One operation as it was asked for, and what it did.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) number: u64,
    /// The call, in the words of the trace.
    pub(super) call: &'static str,
    pub(super) name: Arc<str>,
    /// The file's id, 0 for the directory.
    pub(super) inode: u64,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) failed: bool,
    pub(super) effect: Effect,
}

/// The disk as it was when recording began, and what was done since.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) start: SimDisk,
    pub(super) operations: Vec<Operation>,
}

impl Recording {
    /// One line for each operation.
    pub(super) fn trace(&self) -> String {
        let mut text = String::new();
        for o in &self.operations {
            let _ = write!(text, "{:>6}  {:<9} {}", o.number, o.call, o.name);
            let _ = match o.call {
                "write" | "store" | "punch" => write!(text, " offset {} length {}", o.offset, o.len),
                "allocate" | "truncate" => write!(text, " to {}", o.len),
                _ => Ok(()),
            };
            text.push_str(if o.failed { "  FAILED\n" } else { "\n" });
        }
        text
    }
}

/// Plays the recorded operations again, one by one, on a disk of its own.
#[derive(Debug)]
pub struct Replay {
    disk: SimDisk,
    inodes: HashMap<u64, Arc<Inode>>,
    rest: std::vec::IntoIter<Operation>,
}

impl Replay {
    pub(super) fn new(recording: &Recording) -> Replay {
        let disk = recording.start.process_crash_image_numbered();
        let inodes = disk.inodes().into_iter().map(|inode| (inode.id, inode)).collect();
        Replay { disk, inodes, rest: recording.operations.clone().into_iter() }
    }

    /// The disk at this point; crash images are taken from it. Do not write to it.
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// Applies the next operation and gives its number, or `None` after the last.
    pub fn step(&mut self) -> Option<u64> {
        let operation = self.rest.next()?;
        if matches!(operation.effect, Effect::Create) {
            let inode = self.disk.new_inode(operation.inode, operation.name.clone());
            self.inodes.insert(operation.inode, inode);
        }
        let inode = self.inodes.get(&operation.inode);
        self.disk.replay_one(&operation, inode);
        Some(operation.number)
    }
}
