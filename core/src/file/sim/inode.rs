//! One simulated file: what its users see, what is durable, and the changes in between.
//!
//! ```text
//!   durable bytes  +  changes in order                                =  visible bytes (lent memory)
//!                     pending | orphaned (their sync failed) | synced
//! ```
//!
//! A successful sync marks the pending changes as synced and moves them into the durable bytes. Changes
//! whose sync failed are *orphaned*: no later sync makes them durable (the operating system has marked the pages
//! clean), and they are visible only as long as the cache keeps them. They stay in the list, undecided, and what is synced after them
//! has to wait there too, so that each crash state is still built in the order of the changes.

use super::memory::Memory;
use crate::env_sim::Rng;
use crate::sync::DeviceMutex;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// A change of a file. The length is apart from the data: a power cut may keep one and lose the other.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// The file is at least this long.
    Grow(u64),
    /// The file is at most this long, and what lay beyond is gone.
    Cut(u64),
    /// Bytes at an offset.
    Write {
        offset: u64,
        data: Arc<[u8]>,
        /// What the device writes as a whole: a sector, or a word of a store.
        atom: usize,
    },
}

/// Bytes of a sector: a `write_at` is torn at multiples of it.
pub(super) const SECTOR_BYTES: usize = 512;

/// Bytes of a word: a `store` is torn at multiples of it.
pub(super) const WORD_BYTES: usize = 8;

/// What the system's cache keeps or drops as a whole, in bytes.
const CACHE_PAGE: u64 = 4096;

/// How far a change has come on its way to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// A power cut may lose it; the next sync makes it durable.
    Pending,
    /// Its sync failed: a power cut may lose it, and no sync makes it durable any more.
    Orphaned,
    /// Durable, but it follows an orphaned one.
    Synced,
}

/// A change and how far it has come.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) change: Change,
    pub(super) fate: Fate,
}

/// What changes of a file; see the picture above.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// Visible length.
    pub(super) len: u64,
    pub(super) durable: Arc<Vec<u8>>,
    pub(super) entries: Vec<Entry>,
    /// Ranges of visible space that was grown and never written: a store there would need new space,
    /// and on a real disk a full one then kills the process. Unknown, so empty, after a power cut.
    unwritten: Vec<Range<u64>>,
    pub(super) locked: bool,
    /// Holders of the shared lock.
    pub(super) readers: usize,
}

/// One file, reachable by name or only by open handles.
#[derive(Debug)]
pub(super) struct Inode {
    /// The same in every disk that descends from one another.
    pub(super) id: u64,
    /// The name it was created with.
    pub(super) name: Arc<str>,
    pub(super) memory: Memory,
    pub(super) content: DeviceMutex<Content>,
}

impl Inode {
    /// A file that holds `bytes`, durably.
    pub(super) fn new(id: u64, name: Arc<str>, capacity: u64, bytes: Arc<Vec<u8>>) -> Inode {
        let memory = Memory::zeroed(capacity);
        memory.write(&bytes, 0);
        let content = Content {
            len: bytes.len() as u64,
            durable: bytes,
            entries: Vec::new(),
            unwritten: Vec::new(),
            locked: false,
            readers: 0,
        };
        Inode { id, name, memory, content: DeviceMutex::new(content) }
    }

    /// The same file in another disk after the process died: what is visible stays visible, what is
    /// not durable stays so, and no lock is held.
    pub(super) fn after_process_crash(&self) -> Inode {
        let content = self.content.lock();
        let memory = Memory::zeroed(self.memory.capacity());
        memory.write(&self.visible(&content), 0);
        let content = Content { locked: false, readers: 0, ..content.clone() };
        Inode { id: self.id, name: self.name.clone(), memory, content: DeviceMutex::new(content) }
    }

    /// The visible bytes.
    pub(super) fn visible(&self, content: &Content) -> Vec<u8> {
        self.memory.look(content.len, <[u8]>::to_vec)
    }

    /// Makes `bytes` the content, durably, whatever was there.
    pub(super) fn replace(&self, bytes: Vec<u8>) {
        let mut content = self.content.lock();
        self.memory.fill_zeros(bytes.len() as u64, content.len);
        self.memory.write(&bytes, 0);
        content.len = bytes.len() as u64;
        content.durable = Arc::new(bytes);
        content.entries.clear();
        content.unwritten.clear();
    }

    /// Applies a change, visibly and pending.
    pub(super) fn apply(&self, change: &Change) {
        let mut content = self.content.lock();
        match change {
            Change::Grow(len) => content.grow(*len),
            Change::Cut(len) => {
                self.memory.fill_zeros(*len, content.len);
                content.len = content.len.min(*len);
                content.not_unwritten(*len..u64::MAX);
            }
            Change::Write { offset, data, .. } => {
                let end = offset + data.len() as u64;
                if end > content.len {
                    content.grow(end);
                    content.entries.push(Entry { change: Change::Grow(end), fate: Fate::Pending });
                }
                content.not_unwritten(*offset..end);
                self.memory.write(data, *offset);
            }
        }
        content.entries.push(Entry { change: change.clone(), fate: Fate::Pending });
    }

    /// A sync that succeeds.
    pub(super) fn sync(&self) {
        let mut content = self.content.lock();
        content.set_fate_of_pending(Fate::Synced);
        let undecided = content.entries.iter().position(|e| e.fate != Fate::Synced);
        let done = undecided.unwrap_or(content.entries.len());
        if done == 0 {
            return;
        }
        let Content { durable, entries, .. } = &mut *content;
        let mut image = Image::of(Arc::make_mut(durable));
        for entry in entries.drain(..done) {
            image.apply(&entry.change, &mut Keep::Whole);
        }
        image.finish();
    }

    /// A sync that fails. The system forgets that it had something to write: what it drops from its cache later reads
    /// as it is on the device. `seed` decides for each page of the cache.
    pub(super) fn fail_sync(&self, seed: u64) {
        let mut content = self.content.lock();
        let written = content.entries.iter().filter(|entry| entry.fate == Fate::Pending).filter_map(|entry| {
            let Change::Write { offset, data, .. } = &entry.change else { return None };
            Some(offset / CACHE_PAGE..(offset + data.len() as u64).div_ceil(CACHE_PAGE))
        });
        let written: BTreeSet<u64> = written.flatten().collect();
        content.set_fate_of_pending(Fate::Orphaned);
        let durable = content.after_power_cut(|_| Keep::Nothing);
        let mut rng = Rng::new(seed);
        for page in written.into_iter().filter(|_| rng.chance(0.4)) {
            let (from, to) = (page * CACHE_PAGE, ((page + 1) * CACHE_PAGE).min(content.len));
            self.memory.fill_zeros(from, to);
            let end = to.min(durable.len() as u64);
            if from < end {
                self.memory.write(&durable[from as usize..end as usize], from);
            }
        }
    }
}

impl Content {
    fn grow(&mut self, len: u64) {
        if len > self.len {
            self.unwritten.push(self.len..len);
            self.len = len;
        }
    }

    fn not_unwritten(&mut self, written: Range<u64>) {
        self.unwritten = self.unwritten.iter().flat_map(|range| without(range, &written)).collect();
    }

    /// True if all of `range` is inside the file and was written, not only allocated.
    pub(super) fn is_written(&self, range: Range<u64>) -> bool {
        range.end <= self.len && self.unwritten.iter().all(|r| r.end <= range.start || range.end <= r.start)
    }

    fn set_fate_of_pending(&mut self, fate: Fate) {
        for entry in self.entries.iter_mut().filter(|e| e.fate == Fate::Pending) {
            entry.fate = fate;
        }
    }

    /// How many changes a power cut may lose.
    pub(super) fn unsynced(&self) -> usize {
        self.entries.iter().filter(|e| e.fate != Fate::Synced).count()
    }

    /// The length after a power cut that takes all it can.
    pub(super) fn durable_len(&self) -> u64 {
        let synced = self.entries.iter().filter(|e| e.fate == Fate::Synced);
        synced.fold(self.durable.len() as u64, |len, entry| match &entry.change {
            Change::Grow(to) => len.max(*to),
            Change::Cut(to) => len.min(*to),
            Change::Write { .. } => len,
        })
    }

    /// The places of the writes that are not durable, but for what a durable one has written over since.
    pub(super) fn unsynced_ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for entry in &self.entries {
            let Change::Write { offset, data, .. } = &entry.change else { continue };
            let written = *offset..offset + data.len() as u64;
            if entry.fate == Fate::Synced {
                ranges = ranges.iter().flat_map(|range| without(range, &written)).collect();
            } else {
                ranges.push(written);
            }
        }
        ranges
    }

    /// The bytes after a power cut; `choose` decides on each change that is not durable.
    pub(super) fn after_power_cut(&self, mut choose: impl FnMut(&Change) -> Keep) -> Arc<Vec<u8>> {
        let mut bytes: Option<Vec<u8>> = None;
        let mut len = self.durable.len() as u64;
        for entry in &self.entries {
            let mut keep = if entry.fate == Fate::Synced { Keep::Whole } else { choose(&entry.change) };
            if matches!(keep, Keep::Nothing) {
                continue;
            }
            let mut image = Image { bytes: bytes.get_or_insert_with(|| self.durable.to_vec()), len };
            image.apply(&entry.change, &mut keep);
            len = image.len;
        }
        match bytes {
            None => self.durable.clone(),
            Some(mut bytes) => {
                Image { bytes: &mut bytes, len }.finish();
                Arc::new(bytes)
            }
        }
    }
}

/// What is left of a range.
fn without(range: &Range<u64>, gone: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let parts = [range.start..range.end.min(gone.start), range.start.max(gone.end)..range.end];
    parts.into_iter().filter(|part| !part.is_empty())
}

/// What a power cut leaves of one change.
pub(super) enum Keep {
    Whole,
    Nothing,
    /// The atoms for which this says true, asked in ascending order with their count.
    Atoms(Box<dyn FnMut(usize, usize) -> bool>),
}

/// Durable bytes while changes are applied. Data may lie beyond `len` until `finish`: a later growth
/// that is kept covers it, and without one it is lost.
struct Image<'a> {
    bytes: &'a mut Vec<u8>,
    len: u64,
}

impl<'a> Image<'a> {
    fn of(bytes: &'a mut Vec<u8>) -> Image<'a> {
        let len = bytes.len() as u64;
        Image { bytes, len }
    }

    fn apply(&mut self, change: &Change, keep: &mut Keep) {
        match change {
            Change::Grow(len) => self.len = self.len.max(*len),
            Change::Cut(len) => {
                self.len = self.len.min(*len);
                self.bytes.truncate(*len as usize);
            }
            Change::Write { offset, data, atom } => self.write(*offset as usize, data, *atom, keep),
        }
    }

    fn write(&mut self, offset: usize, data: &[u8], atom: usize, keep: &mut Keep) {
        let end = offset + data.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let Keep::Atoms(survives) = keep else {
            self.bytes[offset..end].copy_from_slice(data);
            return;
        };
        let first = offset / atom;
        let count = end.div_ceil(atom) - first;
        for i in 0..count {
            let from = ((first + i) * atom).max(offset);
            let to = ((first + i + 1) * atom).min(end);
            if survives(i, count) {
                self.bytes[from..to].copy_from_slice(&data[from - offset..to - offset]);
            }
        }
    }

    fn finish(self) {
        self.bytes.resize(self.len as usize, 0);
    }
}
