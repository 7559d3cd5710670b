//! Segments: made ready before they are needed, at sizes that grow with the log.
//!
//! ```text
//!   create -> space, zeros -> sync data -> sync directory -> ready     (any thread, or the commit)
//!   spare  -> new name    ------------->  sync directory -> ready
//!   ready  -> header written -> end frame in the one before -> current (the commit that needs room)
//!   current ... -> wholly below the last checkpoint -> spare, or removed
//! ```
//!
//! A spare holds what it held but for its header, and should that come back after a crash, it names another sequence and is
//! as good as none. Its frames name places that lie before every place of the log now. Using it again saves writing zeros, a sync, and new memory of the
//! page cache (as PostgreSQL does with its segments). The oldest is used, or removed, first, so that the sequences of an
//! epoch have no gaps.
//!
//! Where each commit is synced, the zeros are too, so that a sync has only data to write. Where commits are not, only the
//! length is made durable: the zeros reach the disk with the frames that are written over them, once and not twice.
//!
//! A segment that could not be made ready is removed again; its sequence is used by the next attempt.

use super::format::{seed_of, SegmentHeader, HEADER_BYTES};
use super::{list_segments, remove_if_there, segment_name, Lsn};
use crate::error::{Error, Result};
use crate::file::disk::{Disk, DiskFile};
use crate::plant::{planted, Bug};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Length of the first segment of an epoch.
const FIRST_BYTES: u64 = 64 << 10;

/// Segment lengths are multiples of it.
pub(super) const UNIT_BYTES: u64 = 4096;

/// Zeros are written in pieces of this many bytes.
const ZEROS_BYTES: u64 = 256 << 10;

/// Segments that are kept to be used again: as many as a checkpoint makes superfluous at once.
const MOST_SPARES: usize = 4;

/// A segment that holds frames.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) name: String,
    pub(super) start: Lsn,
    pub(super) length: u64,
}

/// A segment that is durably there, with space that was written before, and holds nothing of its own yet.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) length: u64,
    /// It was a spare; else it is filled with zeros.
    reused: bool,
}

/// Makes the segments of one epoch.
#[derive(Debug)]
pub(super) struct Maker {
    disk: Arc<dyn Disk>,
    base_name: String,
    identity: [u8; 16],
    epoch: u64,
    /// Of the segment made next, or ready.
    sequence: u32,
    length: u64,
    max_length: u64,
    /// Zeros are on the disk before a segment is ready.
    syncs_zeros: bool,
    pub(super) ready: Option<Ready>,
    /// The oldest first.
    spares: VecDeque<Arc<Segment>>,
}

impl Maker {
    /// Begins an epoch. Segments of that epoch can only stem from an opening that came to nothing.
    pub(super) fn begin(
        disk: Arc<dyn Disk>,
        base_name: String,
        identity: [u8; 16],
        epoch: u64,
        max_length: u64,
        syncs_zeros: bool,
    ) -> Result<Maker> {
        for (found, sequence) in list_segments(&*disk, &base_name)? {
            if found == epoch {
                remove_if_there(&*disk, &segment_name(&base_name, found, sequence))?;
            }
        }
        let max_length = max_length.next_multiple_of(UNIT_BYTES).max(UNIT_BYTES);
        let length = FIRST_BYTES.min(max_length);
        Ok(Maker {
            disk,
            base_name,
            identity,
            epoch,
            sequence: 0,
            length,
            max_length,
            syncs_zeros,
            ready: None,
            spares: VecDeque::new(),
        })
    }

    /// Seed of the epoch's checksums.
    pub(super) fn seed(&self) -> u64 {
        seed_of(&self.identity, self.epoch)
    }

    /// Makes the next segment ready, with room for at least `frames_bytes` of frames.
    pub(super) fn prepare(&mut self, frames_bytes: u64) -> Result<()> {
        let needed = (HEADER_BYTES as u64).saturating_add(frames_bytes);
        if self.ready.as_ref().is_some_and(|ready| ready.length >= needed) {
            return Ok(());
        }
        let length = self.length.max(needed.next_multiple_of(UNIT_BYTES));
        self.ready = None;
        let name = self.name();
        // What is there under that name was too small, or is the rest of an attempt that failed.
        remove_if_there(&*self.disk, &name)?;
        let spare = match self.spares.front() {
            Some(spare) if spare.length == length => self.spares.pop_front(),
            _ => None,
        };
        let reused = spare.is_some();
        let made = match &spare {
            Some(spare) => self.rename(spare, &name),
            None => self.make(&name, length),
        };
        match made {
            Ok(file) => {
                self.ready = Some(Ready { file, length, reused });
                Ok(())
            }
            Err(e) => {
                // Gives the space back; if that fails too, the next attempt removes it.
                let _ = self.disk.remove(&name);
                if let Some(spare) = spare {
                    let _ = self.disk.remove(&spare.name);
                }
                Err(Error::io("making a log segment", e))
            }
        }
    }

    /// All segments before it are spares, or gone, and no checkpoint needs it any more: keeps it, or removes it.
    pub(super) fn give_up(&mut self, segment: Arc<Segment>) -> Result<()> {
        // Without its header it is no place where a log begins, for `repair` of a file without meta pages. Nothing
        // depends on that this reaches the disk.
        let fits = segment.length == self.max_length && segment.file.write_at(&[0; HEADER_BYTES], 0).is_ok();
        self.spares.push_back(segment);
        // One that can't be used again would stand before those that can.
        self.keep_spares(if fits { MOST_SPARES } else { 0 })
    }

    /// Removes all but so many spares.
    pub(super) fn keep_spares(&mut self, most: usize) -> Result<()> {
        while self.spares.len() > most {
            remove_if_there(&*self.disk, &self.spares[0].name)?;
            self.spares.pop_front();
        }
        Ok(())
    }

    /// What the spares, and the one that is ready, take.
    pub(super) fn disk_bytes(&self) -> u64 {
        let spares: u64 = self.spares.iter().map(|spare| spare.length).sum();
        spares + self.ready.as_ref().map_or(0, |ready| ready.length)
    }

    fn rename(&self, spare: &Segment, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.rename(&spare.name, name)?;
        self.sync_dir()?;
        Ok(spare.file.clone())
    }

    fn sync_dir(&self) -> io::Result<()> {
        if planted(Bug::HeaderNotDurable) {
            return Ok(());
        }
        self.disk.sync_dir()
    }

    fn make(&self, name: &str, length: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.create(name)?;
        if self.syncs_zeros {
            write_zeros(&*file, length)?;
        } else {
            file.allocate(length)?;
        }
        file.sync_data()?;
        self.sync_dir()?;
        if !self.syncs_zeros {
            write_zeros(&*file, length)?;
        }
        Ok(file)
    }

    /// Gives the ready segment its header. It stays ready until [`Maker::take`], so that this can be
    /// done again with another start if what follows fails.
    pub(super) fn write_header(&self, start: Lsn, chain: u64) -> Result<()> {
        let Some(ready) = &self.ready else {
            return Err(Error::Internal("a log segment was used before it was ready".into()));
        };
        let (identity, epoch, sequence) = (self.identity, self.epoch, self.sequence);
        let (length, reused) = (ready.length, ready.reused);
        let header = SegmentHeader { identity, epoch, sequence, start, chain, length, reused };
        ready.file.write_at(&header.encode(), 0).map_err(|e| Error::io("writing the header of a log segment", e))
    }

    /// Hands out the ready segment, which begins at `start`.
    pub(super) fn take(&mut self, start: Lsn) -> Option<Segment> {
        let ready = self.ready.take()?;
        let segment = Segment { file: ready.file, name: self.name(), start, length: ready.length };
        self.sequence += 1;
        self.length = (self.length * 2).min(self.max_length);
        Some(segment)
    }

    fn name(&self) -> String {
        segment_name(&self.base_name, self.epoch, self.sequence)
    }
}

fn write_zeros(file: &dyn DiskFile, length: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES.min(length) as usize];
    let mut offset = 0;
    while offset < length {
        let piece = (length - offset).min(ZEROS_BYTES);
        file.write_at(&zeros[..piece as usize], offset)?;
        offset += piece;
    }
    Ok(())
}
