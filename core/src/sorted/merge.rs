//! One ordered view over memtables and runs.
//!
//! ```text
//!   0  active memtable   b .... d* ............ k          sources, the newest first
//!   1  frozen memtable   ...... d ... f* ......            * deleted
//!   2  set of level 0    a .... d ............. k
//!   3  level 6           a . c  d ... f .. [h..j) deletes a range below
//!   4  level 7           . b .. d ... f .... i ... m
//!                        |
//!                        v   the smallest key; of equal ones the newest source's; unless a newer source deletes a
//!                            range that has it
//! ```
//!
//! A merge holds places and copies of keys, nothing else: each time it goes on it is given the [`View`], so what it reads may
//! be let go between two times. It goes in one direction, and can begin at any key.
//!
//! ```text
//!   the newer ones       d = 1          k                   compared key by key
//!   the oldest runs   a b | d e f g h i | k l m             their leaf is cut at d and at k; what lies between is taken whole
//! ```

use super::batch::Batch;
use super::cell::Cell;
use super::leaf::{prefetch_head, CellPlace, Leaf};
use super::levels::{Levels, List};
use super::memtable::{Memtable, Version, Walk};
use super::run::Run;
use super::stretch::LEAST;
use crate::error::{Error, Result};
use crate::file::page::PageNo;
use crate::file::pages::Pages;
use std::cmp::Ordering;
use std::ops::Range;

/// Bytes of the number of a tree in front of a key.
pub const TREE_BYTES: usize = 4;

/// Longer keys than most: a copy of one finds room.
const KEY_ROOM: usize = 64;

/// What a merge reads.
#[derive(Clone, Copy)]
pub struct View<'v> {
    /// The page table.
    pub pages: &'v Pages,
    /// Memtables, the newest first.
    pub memtables: [Option<&'v Memtable>; 2],
    /// The runs.
    pub levels: &'v Levels,
    /// As of this commit.
    pub at: u64,
}

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
struct Opened<'v> {
    slots: [Slot<'v>; OPENED],
}

const OPENED: usize = 4;

type Slot<'v> = Option<(PageNo, Leaf<'v>)>;

impl<'v> Opened<'v> {
    fn slot(&mut self, source: usize) -> &mut Slot<'v> {
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

#[derive(Debug)]
struct Source {
    place: Place,
    /// The key it is at; of no meaning when `live` is false.
    key: Vec<u8>,
    /// The first bytes of it as a number: mostly they decide.
    head: u128,
    /// Where its cell stands, in a leaf.
    cell: CellPlace,
    live: bool,
}

/// What [`Merge::fill`] is to take.
#[derive(Debug)]
pub struct Wanted<'k> {
    /// Bytes of each key, in front, that are left out.
    pub skip: usize,
    /// Keys beyond this one are not wanted; it is itself, if true.
    pub end: Option<(&'k [u8], bool)>,
    /// Keys that are deleted are wanted.
    pub deleted: bool,
    /// Large values themselves are wanted, and not where they lie.
    pub values: bool,
    /// Entries in the batch, at most.
    pub most: usize,
    /// Bytes in the batch from which on nothing more is taken.
    pub bytes: usize,
    /// Entries of a leaf that follow each other may be lent: see [`Filled::stretch`].
    pub lend: bool,
}

/// What [`Merge::fill`] has found beside what it appended.
#[derive(Debug, Default)]
pub struct Filled<'v> {
    /// No key is behind these.
    pub over: bool,
    /// Entries of a leaf that come next, and are not in the batch.
    pub stretch: Option<(Leaf<'v>, Range<usize>)>,
}

impl Filled<'_> {
    fn to(over: bool) -> Self {
        Filled { over, stretch: None }
    }
}

impl Wanted<'_> {
    #[inline]
    fn is_full(&self, batch: &Batch) -> bool {
        batch.len() >= self.most || batch.bytes() >= self.bytes
    }

    #[inline]
    fn is_beyond(&self, key: &[u8], back: bool) -> bool {
        let Some((end, through)) = self.end else { return false };
        match key.cmp(end) {
            Ordering::Equal => !through,
            order => (order == Ordering::Greater) != back,
        }
    }

    /// Appends a key with what it has.
    #[inline]
    fn push(&self, pages: &Pages, key: &[u8], cell: Cell<'_>, batch: &mut Batch) -> Result<()> {
        let key = key.get(self.skip..).unwrap_or_default();
        match cell {
            Cell::Deleted if !self.deleted => {}
            Cell::Large { .. } if self.values => {
                if let Some(value) = cell.value(pages)? {
                    batch.push(key, Cell::Value(value));
                }
            }
            cell => batch.push(key, cell),
        }
        Ok(())
    }
}

/// How far [`Source::append`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// The batch is full.
    Full,
    /// All before the bound was taken.
    Bound,
}

/// See the module's text.
#[derive(Debug)]
pub struct Merge {
    sources: Vec<Source>,
    back: bool,
    tree: u32,
    /// The source of the last item given.
    current: Option<usize>,
    /// The source of the key behind it, among the others, if that is known: as long as `current` alone moves.
    bound: Option<usize>,
    /// Some source deletes ranges.
    ranges: bool,
    /// Times that something was read of runs beside the oldest ones.
    detours: u32,
    /// Takes notice of each cell that is passed over.
    pub passed: Option<Vec<(PageNo, u32)>>,
}

fn list_of(levels: &Levels, at: usize) -> &List {
    match at.checked_sub(levels.sets.len()) {
        None => &levels.sets[at],
        Some(level) => &levels.levels[level],
    }
}

/// A key of a tree.
pub fn full_key(tree: u32, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(TREE_BYTES + key.len());
    full.extend_from_slice(&tree.to_be_bytes());
    full.extend_from_slice(key);
    full
}

/// The first key above all of a tree.
pub fn after_tree(tree: u32) -> Vec<u8> {
    tree.checked_add(1).map_or_else(|| vec![0xff; TREE_BYTES + 1], |next| next.to_be_bytes().to_vec())
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
    /// Which of two comes first.
    #[inline]
    fn order(&self, other: &Source, back: bool) -> Ordering {
        let order = self.head.cmp(&other.head).then_with(|| self.key.cmp(&other.key));
        if back {
            order.reverse()
        } else {
            order
        }
    }

    /// After [`Source::locate`]: goes to the first key not below `key` (`after`: above it); backward, to the last one below
    /// it (`after`: not above it).
    fn seek<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>, to: &Aim<'_>) -> Result<()> {
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
    fn locate(&mut self, view: &View<'_>, to: &Aim<'_>) -> Result<()> {
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
    fn step<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>, tree: u32, back: bool) -> Result<()> {
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
                    self.key.clear();
                    self.key.extend_from_slice(&tree.to_be_bytes());
                    self.key.extend_from_slice(memtable.key(version));
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
    fn append<'v>(
        &mut self,
        view: &View<'v>,
        slot: &mut Slot<'v>,
        bound: Option<(&[u8], bool)>,
        batch: &mut Batch,
        wanted: &Wanted<'_>,
    ) -> Result<Reached> {
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
    ) -> Result<Reached> {
        while !wanted.is_full(batch) {
            let Some(leaf) = self.settle_unread(view, slot)? else { return Ok(Reached::Bound) };
            let Place::Runs { entry, count, .. } = &mut self.place else { return Ok(Reached::Bound) };
            let end = match bound {
                Some((key, through)) => leaf.count_below_from(*entry, key, through)?,
                None => *count,
            };
            let to = end.min(*entry + wanted.most.saturating_sub(batch.len()));
            // What is common to keys of several trees is less than the number of a tree.
            if leaf.prefix().len() >= wanted.skip {
                *entry = leaf.append(*entry..to, wanted, batch)?;
            }
            if *entry < to && !wanted.is_full(batch) {
                let next = leaf.entry(*entry)?;
                leaf.key(&next, &mut self.key);
                wanted.push(view.pages, &self.key, next.cell, batch)?;
                *entry += 1;
            }
            if *entry >= end && end < *count {
                return Ok(Reached::Bound);
            }
        }
        Ok(Reached::Full)
    }

    /// Takes what lies before the bound in the leaf where it stands, if that is worth it.
    fn stretch<'v>(
        &mut self,
        view: &View<'v>,
        slot: &mut Slot<'v>,
        bound: Option<(&[u8], bool)>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<(Leaf<'v>, Range<usize>)>> {
        let taken = self.settle_unread(view, slot).and_then(|leaf| {
            let (Some(leaf), Place::Runs { entry, count, .. }) = (leaf, &mut self.place) else { return Ok(None) };
            if *entry + LEAST > *count || leaf.prefix().len() < wanted.skip {
                return Ok(None);
            }
            let end = match bound {
                Some((key, through)) => leaf.count_below_from(*entry, key, through)?,
                None => *count,
            };
            if *entry + LEAST > end {
                return Ok(None);
            }
            let range = *entry..end;
            *entry = end;
            Ok(Some((leaf, range)))
        });
        taken.map_err(|e| self.name(view, e))
    }

    /// After [`Source::append`] up to a key: passes over that key, if it is the next one.
    #[inline]
    fn pass_key<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>, key: &[u8]) -> Result<()> {
        let passed = self.settle_unread(view, slot).and_then(|leaf| {
            let (Some(leaf), Place::Runs { entry, .. }) = (leaf, &mut self.place) else { return Ok(()) };
            *entry += usize::from(leaf.is_at(*entry, key)?);
            Ok(())
        });
        passed.map_err(|e| self.name(view, e))
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

    #[inline]
    fn has_runs(&self) -> bool {
        matches!(self.place, Place::Runs { .. })
    }

    /// Which run, leaf and entry, where it has runs: ascends with the keys.
    fn position(&self) -> Option<[usize; 3]> {
        match self.place {
            Place::Memtable { .. } => None,
            Place::Runs { run, leaf, entry, .. } => Some([run, leaf, entry]),
        }
    }

    fn unordered(&self, view: &View<'_>) -> Error {
        let run = match self.place {
            Place::Memtable { .. } => None,
            Place::Runs { list, run, .. } => list_of(view.levels, list).runs().get(run),
        };
        Error::corrupt("run (order of the keys)", run.map_or(0, |run| run.page.0), 0, 0, 0)
    }

    /// What the key has here.
    #[inline]
    fn cell<'v>(&self, view: &View<'v>, slot: &mut Slot<'v>) -> Result<Cell<'v>> {
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
    fn covering(&self, view: &View<'_>, tree: u32, key: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
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

/// The source of the next key, the newest of those; without looking at one of them.
#[inline]
fn first_of(sources: &[Source], without: Option<usize>, back: bool) -> Option<usize> {
    let mut first: Option<usize> = None;
    for (at, source) in sources.iter().enumerate() {
        if source.live && Some(at) != without {
            let is_first = |first: usize| source.order(&sources[first], back) == Ordering::Less;
            if first.is_none_or(is_first) {
                first = Some(at);
            }
        }
    }
    first
}

/// Where a source is to go.
struct Aim<'k> {
    tree: u32,
    key: &'k [u8],
    after: bool,
    back: bool,
}

impl Merge {
    /// A merge of tree `tree` (of the memtables; the runs' keys name theirs), its first item the first key not below
    /// `key` (`after`: above it); `back`: the last key below it (`after`: not above it), then on backward.
    pub fn seek(view: &View<'_>, tree: u32, key: &[u8], after: bool, back: bool) -> Result<Merge> {
        let levels = view.levels;
        let mut sources = Vec::with_capacity(view.memtables.len() + levels.sets.len() + levels.levels.len());
        let new = |place| {
            let key = Vec::with_capacity(KEY_ROOM);
            Source { place, key, head: 0, cell: CellPlace::default(), live: false }
        };
        let mut ranges = false;
        for (which, memtable) in view.memtables.iter().enumerate() {
            let Some(memtable) = memtable.filter(|memtable| !memtable.is_empty()) else { continue };
            ranges |= memtable.has_ranges(tree);
            let place = Place::Memtable { which, walk: None, version: None };
            sources.push(new(place));
        }
        for list in 0..levels.sets.len() + levels.levels.len() {
            let runs = list_of(levels, list);
            if !runs.runs().is_empty() {
                ranges |= runs.has_ranges();
                let place = Place::Runs { list, run: 0, leaf: 0, page: PageNo::NONE, entry: 0, leaves: 0, count: 0 };
                sources.push(new(place));
            }
        }
        let runs = sources.iter().filter(|source| source.has_runs()).count();
        let mut merge = Merge {
            sources,
            back,
            tree,
            current: None,
            bound: None,
            ranges,
            detours: runs.saturating_sub(1) as u32,
            passed: None,
        };
        merge.go_to(view, key, after)?;
        Ok(merge)
    }

    /// Times that something was read of runs beside the oldest ones, since this was asked last.
    #[inline]
    pub fn take_detours(&mut self) -> u32 {
        std::mem::take(&mut self.detours)
    }

    /// Goes to another key, as [`Merge::seek`] does.
    pub fn go_to(&mut self, view: &View<'_>, key: &[u8], after: bool) -> Result<()> {
        self.current = None;
        let to = Aim { tree: self.tree, key, after, back: self.back };
        // Their leaves are waited for together.
        self.sources.iter_mut().try_for_each(|source| source.locate(view, &to))?;
        self.sources.iter_mut().try_for_each(|source| source.seek(view, &mut None, &to))
    }

    /// So many of the last entries of a stretch were not used: they come again.
    pub fn give_back(&mut self, entries: usize) {
        if let Some(Source { place: Place::Runs { entry, .. }, .. }) = self.sources.last_mut() {
            *entry = entry.saturating_sub(entries);
        }
    }

    /// Appends the next keys to a batch, as it is wanted.
    pub fn fill<'v>(&mut self, view: &View<'v>, batch: &mut Batch, wanted: &Wanted<'_>) -> Result<Filled<'v>> {
        let mut opened = Opened::default();
        let is_plain = !self.back && !self.ranges && self.passed.is_none();
        match self.sources.split_last() {
            Some((oldest, _)) if is_plain && oldest.has_runs() => self.fill_between(view, &mut opened, batch, wanted),
            _ => self.fill_by_steps(view, &mut opened, batch, wanted).map(Filled::to),
        }
    }

    fn fill_by_steps<'v>(
        &mut self,
        view: &View<'v>,
        opened: &mut Opened<'v>,
        batch: &mut Batch,
        wanted: &Wanted<'_>,
    ) -> Result<bool> {
        let back = self.back;
        while !wanted.is_full(batch) {
            match self.next(view, opened)? {
                Some((key, cell)) if !wanted.is_beyond(key, back) => wanted.push(view.pages, key, cell, batch)?,
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    /// The oldest runs have most keys, and mostly many of them lie between two of the others: they are copied leaf by leaf
    /// up to the next key of the others, and never compared one by one.
    fn fill_between<'v>(
        &mut self,
        view: &View<'v>,
        opened: &mut Opened<'v>,
        batch: &mut Batch,
        wanted: &Wanted<'_>,
    ) -> Result<Filled<'v>> {
        let oldest = self.sources.len() - 1;
        loop {
            let (newer, runs) = self.sources.split_at_mut(oldest);
            let first = first_of(newer, None, false).filter(|first| !wanted.is_beyond(&newer[*first].key, false));
            let bound = match first {
                Some(first) => Some((&newer[first].key[..], false)),
                None => wanted.end,
            };
            let [runs] = runs else { return Ok(Filled::to(true)) };
            if wanted.lend {
                let stretch = runs.stretch(view, opened.slot(oldest), bound, wanted)?;
                if stretch.is_some() {
                    return Ok(Filled { over: false, stretch });
                }
            }
            if runs.append(view, opened.slot(oldest), bound, batch, wanted)? == Reached::Full {
                return Ok(Filled::to(false));
            }
            let Some(first) = first else { return Ok(Filled::to(true)) };
            runs.pass_key(view, opened.slot(oldest), &newer[first].key)?;
            self.pass_equals(view, opened, first, oldest)?;
            let source = &mut self.sources[first];
            let cell = source.cell(view, opened.slot(first))?;
            wanted.push(view.pages, &source.key, cell, batch)?;
            source.step(view, opened.slot(first), self.tree, false)?;
            self.note_detour(first, None);
            if wanted.is_full(batch) {
                return Ok(Filled::to(false));
            }
        }
    }

    #[inline]
    fn note_detour(&mut self, source: usize, before: Option<usize>) {
        let is_newer = source + 1 < self.sources.len() && self.sources[source].has_runs();
        self.detours += u32::from(is_newer && before != Some(source));
    }

    /// The next key and what it has; a key that is deleted is given, too. `None` at the end. `opened` is of steps with
    /// this view, or empty.
    #[inline]
    fn next<'v>(&mut self, view: &View<'v>, opened: &mut Opened<'v>) -> Result<Option<(&[u8], Cell<'v>)>> {
        let before = self.current.take();
        let mut first = None;
        if let Some(current) = before {
            self.sources[current].step(view, opened.slot(current), self.tree, self.back)?;
            first = self.first_after_step(current);
            if first == before && !self.ranges && self.is_alone(current) {
                self.current = before;
                let source = &self.sources[current];
                return Ok(Some((&source.key, source.cell(view, opened.slot(current))?)));
            }
        }
        loop {
            let Some(best) = first.take().or_else(|| first_of(&self.sources, None, self.back)) else { return Ok(None) };
            self.pass_equals(view, opened, best, self.sources.len())?;
            if self.ranges && self.pass_covered(view, opened, best)? {
                continue;
            }
            self.bound = first_of(&self.sources, Some(best), self.back);
            self.current = Some(best);
            self.note_detour(best, before);
            let source = &self.sources[best];
            return Ok(Some((&source.key, source.cell(view, opened.slot(best))?)));
        }
    }

    /// The source of the next key after the source of the last item has moved, and no other.
    #[inline]
    fn first_after_step(&self, current: usize) -> Option<usize> {
        let source = &self.sources[current];
        let Some(bound) = self.bound else { return source.live.then_some(current) };
        if !source.live {
            return Some(bound);
        }
        Some(match source.order(&self.sources[bound], self.back) {
            Ordering::Less => current,
            Ordering::Greater => bound,
            Ordering::Equal => current.min(bound),
        })
    }

    /// True if no other source has the key of the first one.
    #[inline]
    fn is_alone(&self, first: usize) -> bool {
        let source = &self.sources[first];
        self.bound.is_none_or(|bound| self.sources[bound].head != source.head || self.sources[bound].key != source.key)
    }

    /// What older sources have of the key, up to one of them, is of no interest.
    #[inline]
    fn pass_equals<'v>(&mut self, view: &View<'v>, opened: &mut Opened<'v>, best: usize, end: usize) -> Result<()> {
        let (newer, older) = self.sources[..end].split_at_mut(best + 1);
        let Source { key, head, .. } = &newer[best];
        let is_equal = |source: &Source| source.live && source.head == *head && source.key == *key;
        for (at, source) in older.iter_mut().enumerate().filter(|(_, source)| is_equal(source)) {
            let slot = opened.slot(best + 1 + at);
            note(&mut self.passed, source, view, slot)?;
            source.step(view, slot, self.tree, self.back)?;
        }
        Ok(())
    }

    /// Passes over what a newer source deletes by a range; true if that was so.
    fn pass_covered<'v>(&mut self, view: &View<'v>, opened: &mut Opened<'v>, best: usize) -> Result<bool> {
        let mut range = None;
        for newer in 0..best {
            let key = &self.sources[best].key;
            range = self.sources[newer].covering(view, self.tree, key)?;
            if range.is_some() {
                break;
            }
        }
        let Some((start, end)) = range else { return Ok(false) };
        let (source, slot) = (&mut self.sources[best], opened.slot(best));
        if self.passed.is_some() {
            note(&mut self.passed, source, view, slot)?;
            source.step(view, slot, self.tree, self.back)?;
            return Ok(true);
        }
        let before = source.position();
        let key = if self.back { &start } else { &end };
        let to = Aim { tree: self.tree, key, after: false, back: self.back };
        source.locate(view, &to)?;
        source.seek(view, slot, &to)?;
        // Where the keys of a run do not ascend, this could go on for ever.
        let (from, to) = if self.back { (source.position(), before) } else { (before, source.position()) };
        if source.live && from >= to && from.is_some() {
            return Err(source.unordered(view));
        }
        Ok(true)
    }
}

fn note<'v>(
    passed: &mut Option<Vec<(PageNo, u32)>>,
    source: &Source,
    view: &View<'v>,
    slot: &mut Slot<'v>,
) -> Result<()> {
    if let Some(passed) = passed {
        if let Cell::Large { page, length } = source.cell(view, slot)? {
            passed.push((page, length));
        }
    }
    Ok(())
}
