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
//! A merge holds places and copies of keys, nothing else: each step is given the [`View`], so what it reads may be let
//! go between two steps. It goes in one direction, and can begin at any key. Who takes several steps with one view keeps
//! what they have opened ([`Opened`]): a step within a leaf then looks for no page.

use super::batch::Batch;
use super::cell::Cell;
use super::leaf::{prefetch_head, CellPlace, Leaf};
use super::levels::{Levels, List};
use super::memtable::{Memtable, Version, Walk};
use super::run::Run;
use crate::error::{Error, Result};
use crate::file::page::PageNo;
use crate::file::pages::Pages;
use std::cmp::Ordering;

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
pub struct Opened<'v> {
    slots: [Slot<'v>; 4],
}

type Slot<'v> = Option<(PageNo, Leaf<'v>)>;

impl<'v> Opened<'v> {
    fn slot(&mut self, source: usize) -> &mut Slot<'v> {
        &mut self.slots[source % 4]
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
    /// The last time that it was tried, several keys of a leaf followed each other with none of another source between.
    runs_on: bool,
}

/// What [`Merge::run_on`] may take.
#[derive(Debug)]
pub struct Wanted<'k> {
    /// Bytes of each key, in front, that are left out.
    pub skip: usize,
    /// Keys from this one on are not wanted; if true, from behind it on.
    pub end: Option<(&'k [u8], bool)>,
    /// Keys that are deleted are wanted.
    pub deleted: bool,
    /// Entries in the batch, at most.
    pub most: usize,
    /// Bytes in the batch from which on nothing more is taken.
    pub bytes: usize,
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
    /// The item before the last one was of the same source.
    again: bool,
    /// Some source deletes ranges.
    ranges: bool,
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

    /// Finds the leaf that a seek looks into, and asks for its memory.
    fn locate(&mut self, view: &View<'_>, to: &Aim<'_>) -> Result<()> {
        let located = self.locate_unnamed(view, to);
        located.map_err(|e| self.name(view, e))
    }

    fn locate_unnamed(&mut self, view: &View<'_>, to: &Aim<'_>) -> Result<()> {
        let Place::Runs { list, run, leaf, page, entry, leaves, count } = &mut self.place else { return Ok(()) };
        let runs = list_of(view.levels, *list);
        *run = runs.count_below(view.pages, to.key, to.after || to.back)?.saturating_sub(1);
        (*leaf, *entry, *leaves, *count, *page) = (0, 0, 0, 0, PageNo::NONE);
        let Some(found) = runs.runs().get(*run) else { return Ok(()) };
        let tail = found.tail(view.pages)?;
        *leaves = tail.leaves();
        if *leaves > 0 {
            *leaf = tail.find(to.key, !to.after)?;
            *page = found.leaf_page(&tail, *leaf)?;
            prefetch_head(view.pages.leaf(*page)?.as_ptr());
        }
        Ok(())
    }

    fn seek_unnamed<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>, to: &Aim<'_>) -> Result<()> {
        let Aim { tree, key, after, back } = *to;
        match &mut self.place {
            Place::Memtable { which, walk, .. } => {
                let Some(memtable) = view.memtables[*which] else { return Ok(()) };
                let prefix = tree.to_be_bytes();
                *walk = Some(match key.strip_prefix(&prefix) {
                    Some(key) => memtable.seek(tree, key, after, view.at),
                    // Beside the tree: before all of it, or behind.
                    None if key < &prefix[..] => memtable.seek(tree, &[], false, view.at),
                    None => memtable.seek_end(tree, view.at),
                });
                self.step(view, slot, tree, back)
            }
            Place::Runs { list, run, page, entry, count, .. } => {
                let runs = list_of(view.levels, *list);
                if let (Some(found), true) = (runs.runs().get(*run), !page.is_none()) {
                    let opened = open(slot, found, view.pages, *page)?;
                    *count = opened.len();
                    *entry = opened.count_below(key, after)?;
                    if !back {
                        opened.prefetch_next();
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
    fn settle<'v>(&mut self, view: &View<'v>, slot: &mut Slot<'v>, mut near: bool) -> Result<()> {
        let Place::Runs { list, run, leaf, page, entry, leaves, count } = &mut self.place else { return Ok(()) };
        let runs = list_of(view.levels, *list).runs();
        loop {
            let Some(found) = runs.get(*run) else {
                self.live = false;
                return Ok(());
            };
            if *entry < *count {
                self.cell = read_key(&open(slot, found, view.pages, *page)?, *entry, &mut self.key, near)?;
                (self.head, self.live) = (head_of(&self.key), true);
                return Ok(());
            }
            near = false;
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
                opened.prefetch_next();
            }
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
            Source { place, key, head: 0, cell: CellPlace::default(), live: false, runs_on: true }
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
        let mut merge = Merge { sources, back, tree, current: None, bound: None, again: false, ranges, passed: None };
        merge.go_to(view, key, after)?;
        Ok(merge)
    }

    /// Goes to another key, as [`Merge::seek`] does.
    pub fn go_to(&mut self, view: &View<'_>, key: &[u8], after: bool) -> Result<()> {
        (self.current, self.again) = (None, false);
        let to = Aim { tree: self.tree, key, after, back: self.back };
        // Their leaves are waited for together.
        self.sources.iter_mut().try_for_each(|source| source.locate(view, &to))?;
        self.sources.iter_mut().try_for_each(|source| source.seek(view, &mut None, &to))
    }

    /// The next key and what it has; a key that is deleted is given, too. `None` at the end. `opened` is of steps with
    /// this view, or empty.
    #[inline]
    pub fn next<'v>(&mut self, view: &View<'v>, opened: &mut Opened<'v>) -> Result<Option<(&[u8], Cell<'v>)>> {
        let before = self.current.take();
        let mut first = None;
        if let Some(current) = before {
            self.sources[current].step(view, opened.slot(current), self.tree, self.back)?;
            first = self.first_after_step(current);
            if first == before && !self.ranges && self.is_alone(current) {
                (self.current, self.again) = (before, true);
                let source = &self.sources[current];
                return Ok(Some((&source.key, source.cell(view, opened.slot(current))?)));
            }
        }
        loop {
            let Some(best) = first.take().or_else(|| self.first_but(None)) else { return Ok(None) };
            self.pass_equals(view, opened, best)?;
            if self.ranges && self.pass_covered(view, opened, best)? {
                continue;
            }
            self.bound = self.first_but(Some(best));
            self.again = before == Some(best);
            self.current = Some(best);
            let source = &self.sources[best];
            return Ok(Some((&source.key, source.cell(view, opened.slot(best))?)));
        }
    }

    /// After a step: appends what follows in the leaf of the last item, as far as no other source has a key there. It may
    /// take none; what is next, and whether it is wanted, [`Merge::next`] says.
    #[inline]
    pub fn run_on<'v>(
        &mut self,
        view: &View<'v>,
        opened: &mut Opened<'v>,
        batch: &mut Batch,
        wanted: &Wanted<'_>,
    ) -> Result<()> {
        let Some(current) = self.current.filter(|_| !self.back && !self.ranges) else {
            return Ok(());
        };
        let source = &self.sources[current];
        let Place::Runs { list, run, page, entry, count, .. } = &source.place else { return Ok(()) };
        if *entry + 1 >= *count || !(self.again || source.runs_on) {
            return Ok(());
        }
        let run = &list_of(view.levels, *list).runs()[*run];
        let leaf = open(opened.slot(current), run, view.pages, *page)?;
        if leaf.prefix_bytes() < wanted.skip {
            return Ok(());
        }
        let count = *count;
        let mut to = (*entry + 1 + wanted.most.saturating_sub(batch.len())).min(leaf.len());
        if let Some(bound) = self.bound {
            let key = &self.sources[bound].key;
            to = to.min(leaf.count_below(key, false).map_err(|e| run.name(e))?);
        }
        if let Some((end, through)) = wanted.end {
            to = to.min(leaf.count_below(end, through).map_err(|e| run.name(e))?);
        }
        let at = leaf.append(*entry + 1..to.max(*entry + 1), wanted, batch).map_err(|e| run.name(e))?;
        let source = &mut self.sources[current];
        let Place::Runs { entry, .. } = &mut source.place else { return Ok(()) };
        source.runs_on = at > *entry + 2 || at >= count;
        *entry = at - 1;
        Ok(())
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

    /// The source of the next key, the newest of those; without looking at one of them.
    #[inline]
    fn first_but(&self, without: Option<usize>) -> Option<usize> {
        let mut first: Option<usize> = None;
        for (at, source) in self.sources.iter().enumerate() {
            if source.live && Some(at) != without {
                let is_first = |first: usize| source.order(&self.sources[first], self.back) == Ordering::Less;
                if first.is_none_or(is_first) {
                    first = Some(at);
                }
            }
        }
        first
    }

    /// What older sources have of the key is of no interest.
    #[inline]
    fn pass_equals<'v>(&mut self, view: &View<'v>, opened: &mut Opened<'v>, best: usize) -> Result<()> {
        let (newer, older) = self.sources.split_at_mut(best + 1);
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
