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

use super::batch::{Batch, Lending};
use super::cell::Cell;
use super::leaf::Leaf;
use super::levels::Levels;
use super::memtable::Memtable;
use super::source::{list_of, Aim, Opened, Reached, Slot, Source};
use crate::error::Result;
use crate::file::page::PageNo;
use crate::file::pages::Pages;
use std::cmp::Ordering;
use std::ops::Range;

/// Bytes of the number of a tree in front of a key.
pub const TREE_BYTES: usize = 4;

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
    /// Values need not be copied.
    pub lend: Option<Lending>,
    /// Entries of a leaf that follow each other need not be put into the batch: see [`Filled::stretch`].
    pub stretches: bool,
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
    /// Nothing more is to be appended.
    #[inline]
    pub fn is_full(&self, batch: &Batch) -> bool {
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
    pub fn push(&self, pages: &Pages, key: &[u8], cell: Cell<'_>, batch: &mut Batch) -> Result<()> {
        let key = key.get(self.skip..).unwrap_or_default();
        match cell {
            Cell::Deleted if !self.deleted => {}
            Cell::Large { .. } if self.values => {
                if let Some(value) = cell.value(pages)? {
                    batch.push(key, Cell::Value(value));
                }
            }
            cell => batch.push_parts([key], cell, self.lend),
        }
        Ok(())
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Merge {
    sources: Vec<Source>,
    back: bool,
    tree: u32,
    /// The source of the last item given.
    current: Option<usize>,
    /// The source of the key behind it, among the others, if that is known: as long as `current` alone moves.
    bound: Option<usize>,
    /// The oldest runs are before the next key of the others, with nothing in between; they are at the same key, if true.
    at_bound: Option<bool>,
    /// Some source deletes ranges.
    ranges: bool,
    /// Times that something was read of runs beside the oldest ones.
    detours: u32,
    /// Takes notice of each cell that is passed over.
    pub passed: Option<Vec<(PageNo, u32)>>,
}

/// A key of a tree.
pub fn full_key(tree: u32, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(TREE_BYTES + key.len());
    write_full_key(&mut full, tree, key);
    full
}

/// Writes a key of a tree over what `full` has.
pub fn write_full_key(full: &mut Vec<u8>, tree: u32, key: &[u8]) {
    full.clear();
    full.extend_from_slice(&tree.to_be_bytes());
    full.extend_from_slice(key);
}

/// The first key above all of a tree.
pub fn after_tree(tree: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(TREE_BYTES + 1);
    write_after_tree(&mut key, tree);
    key
}

/// Writes the first key above all of a tree over what `key` has.
pub fn write_after_tree(key: &mut Vec<u8>, tree: u32) {
    match tree.checked_add(1) {
        Some(next) => write_full_key(key, next, &[]),
        None => write_full_key(key, tree, &[0xff]),
    }
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

impl Merge {
    /// Begins a merge of tree `tree` (of the memtables; the runs' keys name theirs), its first item the first key not below
    /// `key` (`after`: above it); `back`: the last key below it (`after`: not above it), then on backward.
    pub fn seek(&mut self, view: &View<'_>, tree: u32, key: &[u8], after: bool, back: bool) -> Result<()> {
        let levels = view.levels;
        (self.back, self.tree, self.bound, self.ranges) = (back, tree, None, false);
        self.passed = None;
        let mut sources = 0;
        for (which, memtable) in view.memtables.iter().enumerate() {
            let Some(memtable) = memtable.filter(|memtable| !memtable.is_empty()) else { continue };
            self.ranges |= memtable.has_ranges(tree);
            self.source(sources).set_memtable(which);
            sources += 1;
        }
        let before = sources;
        for list in 0..levels.sets.len() + levels.levels.len() {
            let runs = list_of(levels, list);
            if !runs.runs().is_empty() {
                self.ranges |= runs.has_ranges();
                self.source(sources).set_runs(list);
                sources += 1;
            }
        }
        self.sources.truncate(sources);
        self.detours = (sources - before).saturating_sub(1) as u32;
        self.go_to(view, key, after)
    }

    /// The source at a place, in the memory of one that is done with.
    fn source(&mut self, at: usize) -> &mut Source {
        if at == self.sources.len() {
            self.sources.push(Source::new());
        }
        &mut self.sources[at]
    }

    /// Bytes of memory that it has, about.
    pub fn bytes(&self) -> usize {
        self.sources.iter().map(|source| size_of::<Source>() + source.key.capacity()).sum()
    }

    /// Times that something was read of runs beside the oldest ones, since this was asked last.
    #[inline]
    pub fn take_detours(&mut self) -> u32 {
        std::mem::take(&mut self.detours)
    }

    /// Goes to another key, as [`Merge::seek`] does.
    pub fn go_to(&mut self, view: &View<'_>, key: &[u8], after: bool) -> Result<()> {
        (self.current, self.at_bound) = (None, None);
        let to = Aim { tree: self.tree, key, after, back: self.back };
        // Their leaves are waited for together.
        self.sources.iter_mut().try_for_each(|source| source.locate(view, &to))?;
        self.sources.iter_mut().try_for_each(|source| source.seek(view, &mut None, &to))
    }

    /// So many of the last entries of a stretch were not used: they come again.
    pub fn give_back(&mut self, entries: usize) {
        self.at_bound = None;
        if let Some(oldest) = self.sources.last_mut() {
            oldest.give_back(entries);
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

    /// The oldest runs have most keys, and mostly many of them lie between two of the others: they are taken leaf by leaf
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
            let reached = match self.at_bound.take() {
                Some(is_there) => Reached::Bound(is_there),
                None => runs.append(view, opened.slot(oldest), bound, batch, wanted)?,
            };
            match reached {
                Reached::Full => return Ok(Filled::to(false)),
                Reached::Stretch(leaf, range, behind) => {
                    self.at_bound = behind;
                    return Ok(Filled { over: false, stretch: Some((leaf, range)) });
                }
                // A newer one knows better.
                Reached::Bound(true) if first.is_some() => runs.pass(),
                Reached::Bound(_) => {}
            }
            let Some(first) = first else { return Ok(Filled::to(true)) };
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
