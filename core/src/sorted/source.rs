//! One of the sources of a merge: a memtable, or runs that do not overlap.
//!
//! ```text
//!   memtable     walk --> version                                    the key is copied
//!   runs         run 3, leaf 17, entry 5 --> place of its cell       the key is copied, when it is compared
//! ```
//!
//! It holds a place and the key there. Each step is given the [`View`], and a slot for the leaf that it has opened
//! ([`Opened`]): a step within a leaf looks for no page.

use super::batch::Batch;
use super::cell::Cell;
use super::leaf::{prefetch_head, CellPlace, Leaf};
use super::levels::{Levels, List};
use super::memtable::{Version, Walk};
use super::merge::{after_tree, full_key, write_full_key, View, Wanted};
use super::run::Run;
use crate::error::{Error, Result};
use crate::file::page::PageNo;
use crate::file::pages::Pages;
use std::cmp::Ordering;
use std::ops::Range;

/// Longer keys than most: a copy of one finds room.
const KEY_ROOM: usize = 64;

/// Where a source is.
#[derive(Debug)]
enum Place {
    Memtable {
        which: usize,
        walk: Option<Walk>,
        version: Option<Version>,
    },
    /// Entry `entry` of `count` of leaf `leaf` of `leaves`, at `page`, of run `run` of list `list`; going backward, the
    /// entry before is the next.
    Runs {
        list: usize,
        run: usize,
        leaf: usize,
        page: PageNo,
        entry: usize,
        leaves: usize,
        count: usize,
    },
}

/// Leaves that the last steps have read, good as long as what their view reads is held.
#[derive(Debug, Default)]
pub struct Opened<'v> {
    slots: [Slot<'v>; OPENED],
}

const OPENED: usize = 4;

/// The leaf opened last, and its page.
pub type Slot<'v> = Option<(PageNo, Leaf<'v>)>;

impl<'v> Opened<'v> {
    /// That of a source.
    pub fn slot(&mut self, source: usize) -> &mut Slot<'v> {
        &mut self.slots[source % OPENED]
    }
}

/// The leaf of a run at a page, out of the slot if it is there.
#[inline]
fn open<'v>(slot: &mut Slot<'v>, run: &Run, pages: &'v Pages, page: PageNo) -> Result<Leaf<'v>> {
    match slot {
        Some((opened, leaf)) if *opened == page => Ok(*leaf),
        _ => {
            let leaf = run.leaf_at(pages, page)?;
            *slot = Some((page, leaf));
            Ok(leaf)
        }
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Source {
    place: Place,
    /// The key it is at; of no meaning when `live` is false.
    pub key: Vec<u8>,
    /// The first bytes of it as a number: mostly they decide.
    pub head: u128,
    /// Where its cell stands, in a leaf.
    cell: CellPlace,
    /// There is a key.
    pub live: bool,
}

/// How far [`Source::append`] came.
#[derive(Debug, Clone)]
pub enum Reached<'v> {
    /// The batch is full.
    Full,
    /// All before the bound was taken; `true`: the next entry is the bound itself.
    Bound(bool),
    /// Entries of a leaf that come next, and are left to who may keep the leaf; and what is behind them, if that is known:
    /// the bound, as above.
    Stretch(Leaf<'v>, Range<usize>, Option<bool>),
}

/// Fewer entries in a row are not worth a stretch.
const LEAST: usize = 4;

/// A list by its number: the sets of level 0, then the levels.
pub fn list_of(levels: &Levels, at: usize) -> &List {
    match at.checked_sub(levels.sets.len()) {
        None => &levels.sets[at],
        Some(level) => &levels.levels[level],
    }
}

/// The first bytes of a key as a number, so that numbers are ordered as keys are, but for those that are equal.
#[inline]
fn head_of(key: &[u8]) -> u128 {
    match key.first_chunk::<16>() {
        Some(head) => u128::from_be_bytes(*head),
        None => {
            let mut head = [0; 16];
            head[..key.len()].copy_from_slice(key);
            u128::from_be_bytes(head)
        }
    }
}

impl Source {
    /// One that is nowhere.
    pub fn new() -> Source {
        let place = Place::Memtable { which: 0, walk: None, version: None };
        Source { place, key: Vec::with_capacity(KEY_ROOM), head: 0, cell: CellPlace::default(), live: false }
    }

    /// Sets it to the memtable of this number in the view.
    pub fn set_memtable(&mut self, which: usize) {
        (self.place, self.live) = (Place::Memtable { which, walk: None, version: None }, false);
    }

    /// Sets it to the runs of a list.
    pub fn set_runs(&mut self, list: usize) {
        self.live = false;
        self.place = Place::Runs { list, run: 0, leaf: 0, page: PageNo::NONE, entry: 0, leaves: 0, count: 0 };
    }

    /// Which of two comes first.
    #[inline]
    pub fn order(&self, other: &Source, back: bool) -> Ordering {
        let order = self.head.cmp(&other.head).then_with(|| self.key.cmp(&other.key));
        if back {
            order.reverse()
        } else {
            order
        }
    }

    /// After [`Source::locate`]: goes to the first key not below `key` (`after`: above it); backward, to the last one below
    /// it (`after`: not above it).
    pub fn seek<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>, to: &Aim<'_>) -> Result<()> {
        let sought = self.seek_unnamed(view, slot, to);
        sought.map_err(|e| self.name(view, e))
    }

    /// Puts the run into an error.
    #[cold]
    fn name(&self, view: &View<'_>, e: Error) -> Error {
        match &self.place {
            Place::Runs { list, run, .. } => match list_of(view.levels, *list).runs().get(*run) {
                Some(run) => run.name(e),
                None => e,
            },
            Place::Memtable { .. } => e,
        }
    }

    /// Finds the leaf, or node of a memtable, that a seek looks into, and asks for its memory.
    pub fn locate(&mut self, view: &View<'_>, to: &Aim<'_>) -> Result<()> {
        let located = self.locate_unnamed(view, to);
        located.map_err(|e| self.name(view, e))
    }

    fn locate_unnamed(&mut self, view: &View<'_>, to: &Aim<'_>) -> Result<()> {
        let Aim { tree, key, after, back } = *to;
        let (list, run, leaf, page, entry, leaves, count) = match &mut self.place {
            Place::Runs { list, run, leaf, page, entry, leaves, count } => {
                (list, run, leaf, page, entry, leaves, count)
            }
            Place::Memtable { which, walk, .. } => {
                let Some(memtable) = view.memtables[*which] else { return Ok(()) };
                let prefix = tree.to_be_bytes();
                *walk = Some(match key.strip_prefix(&prefix) {
                    Some(key) => memtable.seek(tree, key, after, view.at),
                    // Beside the tree: before all of it, or behind.
                    None if key < &prefix[..] => memtable.seek(tree, &[], false, view.at),
                    None => memtable.seek_end(tree, view.at),
                });
                return Ok(());
            }
        };
        let runs = list_of(view.levels, *list);
        *run = runs.count_below(view.pages, key, after || back)?.saturating_sub(1);
        (*leaf, *entry, *leaves, *count, *page) = (0, 0, 0, 0, PageNo::NONE);
        let Some(found) = runs.runs().get(*run) else { return Ok(()) };
        let tail = found.tail(view.pages)?;
        *leaves = tail.leaves();
        if *leaves > 0 {
            *leaf = tail.find(key, !after)?;
            *page = found.leaf_page(&tail, *leaf)?;
            prefetch_head(view.pages.leaf(*page)?.as_ptr());
        }
        Ok(())
    }

    fn seek_unnamed<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>, to: &Aim<'_>) -> Result<()> {
        let Aim { tree, key, after, back } = *to;
        match &mut self.place {
            Place::Memtable { .. } => self.step(view, slot, tree, back),
            Place::Runs { list, run, page, entry, count, .. } => {
                let runs = list_of(view.levels, *list);
                if let (Some(found), true) = (runs.runs().get(*run), !page.is_none()) {
                    let opened = open(slot, found, view.pages, *page)?;
                    *count = opened.len();
                    *entry = opened.count_below(key, after)?;
                    if !back {
                        opened.prefetch_entries(*entry);
                    }
                }
                if back {
                    self.settle_back(view, slot)
                } else {
                    self.settle(view, slot, false)
                }
            }
        }
    }

    /// The next item.
    #[inline]
    pub fn step<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>, tree: u32, back: bool) -> Result<()> {
        let stepped = self.step_unnamed(view, slot, tree, back);
        stepped.map_err(|e| self.name(view, e))
    }

    #[inline]
    fn step_unnamed<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>, tree: u32, back: bool) -> Result<()> {
        match &mut self.place {
            Place::Memtable { which, walk, version } => {
                let memtable = view.memtables[*which];
                *version = memtable.zip(walk.as_mut()).and_then(|(memtable, walk)| walk.step(memtable, back));
                self.live = false;
                if let (Some(memtable), Some(version)) = (memtable, *version) {
                    write_full_key(&mut self.key, tree, memtable.key(version));
                    (self.head, self.live) = (head_of(&self.key), true);
                }
                Ok(())
            }
            Place::Runs { .. } if back => self.settle_back(view, slot),
            Place::Runs { entry, .. } => {
                *entry += 1;
                self.settle(view, slot, true)
            }
        }
    }

    /// Goes on to the next leaf, or run, where the place is behind the last entry; reads the key. `near`: the key that
    /// was read last is of the same leaf.
    #[inline]
    fn settle<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>, near: bool) -> Result<()> {
        let before = self.position();
        let opened = self.settle_unread(view, slot)?;
        let near = near && before == self.position();
        let (Some(opened), Place::Runs { entry, .. }) = (opened, &self.place) else {
            self.live = false;
            return Ok(());
        };
        self.cell = read_key(&opened, *entry, &mut self.key, near)?;
        (self.head, self.live) = (head_of(&self.key), true);
        Ok(())
    }

    /// Goes on to the next leaf, or run, where the place is behind the last entry, and gives the leaf; none at the end.
    #[inline]
    fn settle_unread<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>) -> Result<Option<Leaf<'v>>> {
        let Place::Runs { list, run, leaf, page, entry, leaves, count } = &mut self.place else { return Ok(None) };
        let runs = list_of(view.levels, *list).runs();
        loop {
            let Some(found) = runs.get(*run) else { return Ok(None) };
            if *entry < *count {
                return open(slot, found, view.pages, *page).map(Some);
            }
            if *leaf + 1 < *leaves {
                *leaf += 1;
            } else {
                *run += 1;
                *leaf = 0;
                *leaves = match runs.get(*run) {
                    Some(next) => next.tail(view.pages)?.leaves(),
                    None => 0,
                };
            }
            (*entry, *count) = (0, 0);
            if let (Some(next), true) = (runs.get(*run), *leaves > 0) {
                *page = next.leaf_page(&next.tail(view.pages)?, *leaf)?;
                let opened = open(slot, next, view.pages, *page)?;
                *count = opened.len();
            }
        }
    }

    /// Appends what lies before the bound, or up to it, if true. Where it stands is the next key that it has not given, and
    /// what it knows of the key there is of no meaning.
    pub fn append<'v>(
        &mut self,
        view: &View<'v>,
        slot: &mut Slot<'v>,
        bound: Option<(&[u8], bool)>,
        batch: &mut Batch,
        wanted: &Wanted<'_>,
    ) -> Result<Reached<'v>> {
        let appended = self.append_unnamed(view, slot, bound, batch, wanted);
        appended.map_err(|e| self.name(view, e))
    }

    fn append_unnamed<'v>(
        &mut self,
        view: &View<'v>,
        slot: &mut Slot<'v>,
        bound: Option<(&[u8], bool)>,
        batch: &mut Batch,
        wanted: &Wanted<'_>,
    ) -> Result<Reached<'v>> {
        while !wanted.is_full(batch) {
            let Some(leaf) = self.settle_unread(view, slot)? else { return Ok(Reached::Bound(false)) };
            let Place::Runs { entry, count, .. } = &mut self.place else { return Ok(Reached::Bound(false)) };
            let (end, is_there) = match bound {
                Some((key, through)) => {
                    let (end, is_there) = leaf.find(*entry, key)?;
                    (end + usize::from(is_there && through), is_there && !through)
                }
                None => (*count, false),
            };
            // What is common to keys of several trees is less than the number of a tree.
            let is_of_one = leaf.prefix().len() >= wanted.skip;
            if wanted.stretches && is_of_one && end >= *entry + LEAST && leaf.may_lend(wanted.skip) {
                let range = *entry..end;
                *entry = end;
                return Ok(Reached::Stretch(leaf, range, (end < *count).then_some(is_there)));
            }
            let to = end.min(*entry + wanted.most.saturating_sub(batch.len()));
            if is_of_one {
                *entry = leaf.append(*entry..to, wanted, batch)?;
            }
            if *entry < to && !wanted.is_full(batch) {
                let next = leaf.entry(*entry)?;
                leaf.key(&next, &mut self.key);
                wanted.push(view.pages, &self.key, next.cell, batch)?;
                *entry += 1;
            }
            if *entry >= end && end < *count {
                return Ok(Reached::Bound(is_there));
            }
        }
        Ok(Reached::Full)
    }

    /// So many of the last entries of a stretch were not used: they come again.
    pub fn give_back(&mut self, entries: usize) {
        if let Place::Runs { entry, .. } = &mut self.place {
            *entry = entry.saturating_sub(entries);
        }
    }

    /// Passes over the entry that is next.
    #[inline]
    pub fn pass(&mut self) {
        if let Place::Runs { entry, .. } = &mut self.place {
            *entry += 1;
        }
    }

    /// Goes to the entry before the place.
    fn settle_back<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>) -> Result<()> {
        let Place::Runs { list, run, leaf, page, entry, leaves, count } = &mut self.place else { return Ok(()) };
        let runs = list_of(view.levels, *list).runs();
        self.live = false;
        loop {
            let Some(found) = runs.get(*run) else { return Ok(()) };
            if *entry > 0 {
                *entry -= 1;
                self.cell = read_key(&open(slot, found, view.pages, *page)?, *entry, &mut self.key, false)?;
                (self.head, self.live) = (head_of(&self.key), true);
                return Ok(());
            }
            if *leaf > 0 {
                *leaf -= 1;
            } else {
                let Some(before) = run.checked_sub(1) else { return Ok(()) };
                *run = before;
                *leaves = runs[before].tail(view.pages)?.leaves();
                *leaf = leaves.saturating_sub(1);
            }
            *count = 0;
            if let (Some(next), true) = (runs.get(*run), *leaves > 0) {
                *page = next.leaf_page(&next.tail(view.pages)?, *leaf)?;
                *count = open(slot, next, view.pages, *page)?.len();
            }
            *entry = *count;
        }
    }

    /// Whether it is runs.
    #[inline]
    pub fn has_runs(&self) -> bool {
        matches!(self.place, Place::Runs { .. })
    }

    /// Which run, leaf and entry, where it has runs: ascends with the keys.
    pub fn position(&self) -> Option<[usize; 3]> {
        match self.place {
            Place::Memtable { .. } => None,
            Place::Runs { run, leaf, entry, .. } => Some([run, leaf, entry]),
        }
    }

    /// The keys of a run do not ascend.
    pub fn unordered(&self, view: &View<'_>) -> Error {
        let run = match self.place {
            Place::Memtable { .. } => None,
            Place::Runs { list, run, .. } => list_of(view.levels, list).runs().get(run),
        };
        Error::corrupt("run (order of the keys)", run.map_or(0, |run| run.page.0), 0, 0, 0)
    }

    /// What the key has here.
    #[inline]
    pub fn cell<'v>(&self, view: &View<'v>, slot: &mut Slot<'v>) -> Result<Cell<'v>> {
        match &self.place {
            Place::Memtable { which, version, .. } => {
                Ok(view.memtables[*which].zip(*version).map_or(Cell::Deleted, |(table, version)| table.cell(version)))
            }
            Place::Runs { list, run, page, .. } => {
                let found = &list_of(view.levels, *list).runs()[*run];
                open(slot, found, view.pages, *page)?.cell_at(self.cell).map_err(|e| found.name(e))
            }
        }
    }

    /// The range of this source that has the key: its first key, and the first one behind it.
    pub fn covering(&self, view: &View<'_>, tree: u32, key: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        match &self.place {
            Place::Memtable { which, .. } => {
                // A run's next key may be of another tree.
                let own = key.strip_prefix(&tree.to_be_bytes());
                let (Some(memtable), Some(own)) = (view.memtables[*which], own) else { return Ok(None) };
                let range = memtable.covered(tree, own, view.at);
                Ok(range.map(|range| {
                    let end = range.end.map_or_else(|| after_tree(tree), |end| full_key(tree, end));
                    (full_key(tree, range.start), end)
                }))
            }
            Place::Runs { list, .. } => {
                let list = list_of(view.levels, *list);
                if !list.has_ranges() {
                    return Ok(None);
                }
                let Some(run) = list.find(view.pages, key)? else { return Ok(None) };
                Ok(run.covering(view.pages, key)?.map(|(start, end)| (start.to_vec(), end.to_vec())))
            }
        }
    }
}

/// Reads a key over `key`; `near`: over another one of the same leaf.
#[inline]
fn read_key(leaf: &Leaf<'_>, at: usize, key: &mut Vec<u8>, near: bool) -> Result<CellPlace> {
    let entry = leaf.entry(at)?;
    match near {
        true => leaf.next_key(&entry, key),
        false => leaf.key(&entry, key),
    }
    Ok(entry.place)
}

/// Where a source is to go.
pub struct Aim<'k> {
    /// The tree, of memtables.
    pub tree: u32,
    /// The key, the number of its tree in front.
    pub key: &'k [u8],
    /// Not the key itself.
    pub after: bool,
    /// In descending order.
    pub back: bool,
}
