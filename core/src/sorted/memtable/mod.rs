//! The memtable: what keyspaces were told since the last checkpoint, in the order of the keys.
//!
//! ```text
//!   tree number --> points   key   -> newest version -> older -> ...        (`tree`, `arena`)
//!               --> ranges   start -> end, commit                            disjoint
//!
//!   at commit S     the newest version up to S, if there is one; else: deleted, if a range up to S covers the key;
//!                   else: whatever the layers below know
//! ```
//!
//! **A range deletes below the memtable only.** What it covers in the memtable gets a tombstone of its own when the
//! range is added, so a version that is there always decides. And of each key only the *first* commit that covered it
//! is kept, since what lies below is older than all of them: a new range adds only what no range before it covers, the
//! ranges stay disjoint, and no range is ever changed.

mod arena;
mod tree;

use super::cell::Cell;
use crate::file::page::{get_u32, get_u48, put_u32, put_u48, PageNo};
use crate::memory::Pool;
use crate::sync::{AtomicPtr, AtomicU64, Mutex, Ordering};
pub use arena::MOST_BYTES;
use arena::{Arena, Entry, Handle};
pub use tree::{head_of, Near, WARM};
use tree::{Cursor, Nodes, Parts, Tree};

const VALUE: u8 = 0;
const DELETED: u8 = 1;
const LARGE: u8 = 2;
/// Of a range: it goes to the end of the tree.
const UNBOUNDED: u8 = 1;

const LARGE_BYTES: usize = 10;

/// The part of one tree.
#[derive(Debug)]
struct Part {
    number: u32,
    points: Tree,
    ranges: Tree,
    has_ranges: AtomicU64,
    keys: AtomicU64,
}

/// See the module's text.
pub struct Memtable {
    arena: Arena,
    nodes: Nodes,
    /// Ascending by number; replaced by a longer one when a tree is first written to.
    parts: AtomicPtr<Vec<*const Part>>,
    /// All that `parts` pointed to, and the parts themselves.
    owned: Mutex<(Vec<*mut Vec<*const Part>>, Vec<*mut Part>)>,
}

// SAFETY: all shared state is atomic or locked; the raw pointers are owned by the memtable, made by the single
// writer, and freed only in `drop`.
unsafe impl Send for Memtable {}
// SAFETY: as above.
unsafe impl Sync for Memtable {}

impl std::fmt::Debug for Memtable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memtable").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

/// A range that is deleted below: from `start` to before `end`, or to the end of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range<'a> {
    /// The first key.
    pub start: &'a [u8],
    /// The first key that is not in it; none: all from `start` on are.
    pub end: Option<&'a [u8]>,
}

impl Range<'_> {
    fn has(&self, key: &[u8]) -> bool {
        self.start <= key && self.end.is_none_or(|end| key < end)
    }
}

/// What the memtable knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<'a> {
    /// This.
    Cell(Cell<'a>),
    /// It is in this range.
    Covered(Range<'a>),
    /// Nothing.
    Nothing,
}

impl Memtable {
    /// An empty one that takes so many bytes, [`MOST_BYTES`] at most.
    pub fn new(pool: &Pool, most_bytes: u64) -> Memtable {
        Memtable {
            arena: Arena::new(pool, most_bytes),
            nodes: Nodes::new(pool),
            parts: AtomicPtr::new(std::ptr::null_mut()),
            owned: Mutex::new((Vec::new(), Vec::new())),
        }
    }

    /// True when nothing was put yet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.parts.load(Ordering::Relaxed).is_null()
    }

    /// Memory in use, about, in bytes.
    pub fn bytes(&self) -> u64 {
        self.arena.bytes() + self.nodes.bytes()
    }

    /// False when a transaction of so many bytes might not fit. `ranges`: it deletes ranges, so that each key here may get
    /// a tombstone.
    pub fn has_room(&self, bytes: usize, ranges: bool) -> bool {
        self.arena.has_room(bytes as u64 + if ranges { self.arena.bytes() } else { 0 })
    }

    fn all(&self) -> &[*const Part] {
        // SAFETY: a list is published whole by a release store and freed only in `drop`.
        unsafe { self.parts.load(Ordering::Acquire).as_ref() }.map_or(&[], Vec::as_slice)
    }

    fn part(&self, tree: u32) -> Option<&Part> {
        let all = self.all();
        // SAFETY: parts are freed only in `drop`.
        let number = |part: &*const Part| unsafe { &**part }.number;
        let at = all.binary_search_by_key(&tree, number).ok()?;
        // SAFETY: as above.
        Some(unsafe { &*all[at] })
    }

    fn part_or_make(&self, tree: u32) -> &Part {
        if let Some(part) = self.part(tree) {
            return part;
        }
        let part = Part {
            number: tree,
            points: self.nodes.tree(),
            ranges: self.nodes.tree(),
            has_ranges: AtomicU64::new(0),
            keys: AtomicU64::new(0),
        };
        let part = Box::into_raw(Box::new(part));
        let mut list = self.all().to_vec();
        // SAFETY: parts are freed only in `drop`.
        let at = list.partition_point(|other| unsafe { &**other }.number < tree);
        list.insert(at, part);
        let list = Box::into_raw(Box::new(list));
        let mut owned = self.owned.lock();
        owned.0.push(list);
        owned.1.push(part);
        drop(owned);
        self.parts.store(list, Ordering::Release);
        // SAFETY: made above, freed only in `drop`.
        unsafe { &*part }
    }

    fn handles(&self) -> Parts<'_> {
        Parts { nodes: &self.nodes, arena: &self.arena }
    }

    /// Trees with anything in them, ascending.
    pub fn trees(&self) -> impl Iterator<Item = u32> + '_ {
        // SAFETY: parts are freed only in `drop`.
        self.all().iter().map(|part| unsafe { &**part }.number)
    }

    // ---- the writer ----------------------------------------------------------------------------

    /// A new version of a key. Only the single writer calls this.
    #[cfg(test)]
    pub fn put(&self, tree: u32, key: &[u8], cell: Cell<'_>, commit: u64) {
        self.put_near(tree, key, cell, commit, Near::NOWHERE);
    }

    /// A new version of a key, whose place [`Memtable::warm`] may have found. Only the single writer calls this.
    pub fn put_near(&self, tree: u32, key: &[u8], cell: Cell<'_>, commit: u64, near: Near) {
        let part = self.part_or_make(tree);
        self.put_in(part, key, cell, commit, near);
    }

    fn put_in(&self, part: &Part, key: &[u8], cell: Cell<'_>, commit: u64, near: Near) {
        let mut large = [0; LARGE_BYTES];
        let (kind, value) = match cell {
            Cell::Value(value) => (VALUE, value),
            Cell::Deleted => (DELETED, &[][..]),
            Cell::Large { page, length } => {
                put_u48(&mut large, 0, page.0);
                put_u32(&mut large, 6, length);
                (LARGE, &large[..])
            }
        };
        if self.handles().put(&part.points, Entry { commit, older: 0, kind, key, value }, near) {
            part.keys.store(part.keys.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Finds the places of keys that are put next, up to [`WARM`] of them, all at the same time. Only the single writer
    /// calls this.
    pub fn warm(&self, tree: u32, keys: &[&[u8]]) -> [Near; WARM] {
        match self.part(tree) {
            Some(part) => self.handles().warm(&part.points, keys),
            None => [Near::NOWHERE; WARM],
        }
    }

    /// Deletes a range. Takes time for what the memtable holds of it. Only the single writer calls this.
    pub fn delete_range(&self, tree: u32, range: Range<'_>, commit: u64) {
        let part = self.part_or_make(tree);
        let parts = self.handles();
        let mut points = Cursor::seek(parts, &part.points, range.start, false);
        while let Some(handle) = points.next(parts) {
            let entry = self.arena.get(handle);
            if !range.has(entry.key) {
                break;
            }
            if entry.kind != DELETED {
                self.put_in(part, entry.key, Cell::Deleted, commit, Near::NOWHERE);
            }
        }
        // What no range before covers.
        let mut from = match self.covering(part, range.start, u64::MAX) {
            Some(Range { end: None, .. }) => return,
            Some(Range { end: Some(end), .. }) => end.to_vec(),
            None => range.start.to_vec(),
        };
        let mut gaps = Vec::new();
        let mut ranges = Cursor::seek(parts, &part.ranges, &from, false);
        loop {
            if range.end.is_some_and(|end| from.as_slice() >= end) {
                break;
            }
            let next = ranges.next(parts).map(|handle| range_of(self.arena.get(handle)));
            let Some(next) = next.filter(|next| range.has(next.start)) else {
                gaps.push((from, range.end.map(<[u8]>::to_vec)));
                break;
            };
            if from.as_slice() < next.start {
                gaps.push((from, Some(next.start.to_vec())));
            }
            match next.end {
                Some(end) => from = end.to_vec(),
                None => break,
            }
        }
        for (start, end) in gaps {
            let kind = if end.is_none() { UNBOUNDED } else { 0 };
            let value = end.as_deref().unwrap_or_default();
            parts.put(&part.ranges, Entry { commit, older: 0, kind, key: &start, value }, Near::NOWHERE);
        }
        part.has_ranges.store(1, Ordering::Release);
    }

    // ---- readers -------------------------------------------------------------------------------

    /// What is known of a key at commit `at`.
    #[inline]
    pub fn get(&self, tree: u32, key: &[u8], at: u64) -> Known<'_> {
        if self.is_empty() {
            return Known::Nothing;
        }
        let Some(part) = self.part(tree) else { return Known::Nothing };
        let newest = self.handles().find(&part.points, key);
        if let Some(version) = newest.and_then(|newest| self.version(newest, at)) {
            return Known::Cell(self.cell(version));
        }
        self.covering(part, key, at).map_or(Known::Nothing, Known::Covered)
    }

    /// The range that covers a key at commit `at`.
    pub fn covered(&self, tree: u32, key: &[u8], at: u64) -> Option<Range<'_>> {
        self.covering(self.part(tree)?, key, at)
    }

    fn covering(&self, part: &Part, key: &[u8], at: u64) -> Option<Range<'_>> {
        if part.has_ranges.load(Ordering::Acquire) == 0 {
            return None;
        }
        let parts = self.handles();
        let handle = Cursor::seek(parts, &part.ranges, key, true).back(parts, &part.ranges)?;
        let entry = self.arena.get(handle);
        Some(range_of(entry)).filter(|range| entry.commit <= at && range.has(key))
    }

    /// The version of a key at commit `at`.
    fn version(&self, mut handle: Handle, at: u64) -> Option<Version> {
        while handle != 0 {
            let entry = self.arena.get(handle);
            if entry.commit <= at {
                return Some(Version(handle));
            }
            handle = entry.older;
        }
        None
    }

    /// The key of a version.
    pub fn key(&self, version: Version) -> &[u8] {
        self.arena.get(version.0).key
    }

    /// What the key has in a version.
    pub fn cell(&self, version: Version) -> Cell<'_> {
        cell_of(self.arena.get(version.0))
    }

    /// Keys of a tree with a version, tombstones too.
    pub fn keys(&self, tree: u32) -> u64 {
        self.part(tree).map_or(0, |part| part.keys.load(Ordering::Relaxed))
    }

    /// All ranges of a tree, ascending. Of a memtable that is not written to any more.
    pub fn ranges(&self, tree: u32) -> impl Iterator<Item = Range<'_>> {
        let part = self.part(tree);
        let parts = self.handles();
        let mut cursor = part.map(|part| Cursor::end(parts, &part.ranges, false));
        std::iter::from_fn(move || Some(range_of(self.arena.get(cursor.as_mut()?.next(parts)?))))
    }

    /// True when any tree has a range.
    pub fn has_ranges(&self, tree: u32) -> bool {
        self.part(tree).is_some_and(|part| part.has_ranges.load(Ordering::Acquire) != 0)
    }

    /// The keys of a tree with their cells at a commit, from a key on; see [`Walk`].
    pub fn seek(&self, tree: u32, key: &[u8], after: bool, at: u64) -> Walk {
        let parts = self.handles();
        Walk { tree, at, cursor: self.part(tree).map(|part| Cursor::seek(parts, &part.points, key, after)) }
    }

    /// [`Memtable::seek`] to the end of the tree: nothing is next, the last key is before.
    pub fn seek_end(&self, tree: u32, at: u64) -> Walk {
        let parts = self.handles();
        Walk { tree, at, cursor: self.part(tree).map(|part| Cursor::end(parts, &part.points, true)) }
    }
}

/// A version of a key, found in this memtable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(Handle);

/// A walk over the keys of a tree as of a commit. Holds nothing: each step is given the memtable.
#[derive(Debug, Clone)]
pub struct Walk {
    tree: u32,
    at: u64,
    cursor: Option<Cursor>,
}

impl Walk {
    /// The next key that has a cell, as of the commit; `back`: the one before.
    pub fn step(&mut self, memtable: &Memtable, back: bool) -> Option<Version> {
        let (cursor, parts) = (self.cursor.as_mut()?, memtable.handles());
        loop {
            let newest = match back {
                false => cursor.next(parts)?,
                true => cursor.back(parts, &memtable.part(self.tree)?.points)?,
            };
            if let Some(version) = memtable.version(newest, self.at) {
                return Some(version);
            }
        }
    }
}

fn cell_of(entry: Entry<'_>) -> Cell<'_> {
    match entry.kind {
        VALUE => Cell::Value(entry.value),
        LARGE => Cell::Large { page: PageNo(get_u48(entry.value, 0)), length: get_u32(entry.value, 6) },
        _ => Cell::Deleted,
    }
}

fn range_of(entry: Entry<'_>) -> Range<'_> {
    Range { start: entry.key, end: (entry.kind != UNBOUNDED).then_some(entry.value) }
}

impl Drop for Memtable {
    fn drop(&mut self) {
        let (lists, parts) = &mut *self.owned.lock();
        for list in lists.drain(..) {
            // SAFETY: each came from `Box::into_raw` and is in this list once.
            drop(unsafe { Box::from_raw(list) });
        }
        for part in parts.drain(..) {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(part) });
        }
    }
}

#[cfg(test)]
mod tests;
