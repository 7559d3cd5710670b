//! The keys of keyspaces: the runs that hold them, the oldest first, so that what is newer comes over what is older.
//!
//! ```text
//!   leaves found by the search     by the checkpoints that wrote them: how old they are is not known
//!   level 7, 6 ... 1               each run: what of older runs it deletes by ranges, then its own keys
//!   level 0, the oldest set first
//!     |  puts, deletes, ranges
//!     v
//!   new keyspaces  <-- the log comes after
//! ```
//!
//! Only a leaf and the tail of its run are in memory. Where a tail can't be read its leaves still can: they lie one behind
//! the other, and the header of each says how long it is. The ranges in the tail are lost then.
//!
//! Where a place can't be read, what older runs say of its keys counts again: an older value, or a key that was deleted.
//! The keyspaces that this may have happened to are marked.

use super::basis::{Basis, PageSet};
use super::losses::Losses;
use super::structure::{FoundLeaf, Structure};
use super::target::Target;
use super::Limits;
use crate::control::{Control, Progress};
use crate::engine::frame::KeyOp;
use crate::engine::trees::{Kind, CATALOG};
use crate::error::{Error, Result};
use crate::file::copies::UnitCopy;
use crate::file::page::{PageBuf, PageKind, PageNo, UnitHeader, PAGE_BYTES};
use crate::file::pages::MAX_LEAF_ORDER;
use crate::keyspace::after_prefix;
use crate::sorted::cell::Cell;
use crate::sorted::leaf::Leaf;
use crate::sorted::merge::TREE_BYTES;
use crate::sorted::run::Run;
use crate::sorted::tail::Tail;
use crate::sorted::MAX_KEY_BYTES;
use std::cmp::Reverse;

/// Trees that a place of a run may have keys of: the first and the last one.
type Span = (u32, u32);

/// All trees.
const ANY: Span = (0, u32::MAX);

/// The number of the tree in front of a whole key, or of what one begins with.
fn tree_of(key: &[u8]) -> u32 {
    let mut tree = [0; TREE_BYTES];
    tree.iter_mut().zip(key).for_each(|(to, byte)| *to = *byte);
    u32::from_be_bytes(tree)
}

/// How sure the entries of a leaf are.
#[derive(Clone, Copy)]
struct Trust {
    /// A checksum vouches for them.
    is_checked: bool,
    /// No run names the leaf.
    is_found: bool,
}

/// Copies the keys of runs.
pub(super) struct Keyspaces<'r, 'c, 'e> {
    pub(super) basis: &'r Basis,
    pub(super) structure: &'r Structure,
    pub(super) limits: &'r Limits,
    pub(super) target: &'r mut Target<'e>,
    pub(super) lost: &'r mut Losses,
    pub(super) control: &'r mut Control<'c>,
    /// The catalog names all keyspaces.
    pub(super) names_complete: bool,
    done: u64,
    total: u64,
    /// Pages of leaves that were read.
    read: PageSet,
    /// Places that could not be read.
    gaps: u64,
    /// Something of any keyspace was lost.
    is_damaged: bool,
}

impl<'r, 'c, 'e> Keyspaces<'r, 'c, 'e> {
    pub(super) fn new(
        (basis, structure, limits): (&'r Basis, &'r Structure, &'r Limits),
        target: &'r mut Target<'e>,
        lost: &'r mut Losses,
        control: &'r mut Control<'c>,
        names_complete: bool,
    ) -> Self {
        // What was found is not counted anywhere.
        let total = match structure.manifest_complete {
            true => structure.runs.iter().fold(0, |sum: u64, run| sum.saturating_add(run.entries)),
            false => 0,
        };
        let (read, is_damaged) = (PageSet::new(basis.copies.pages()), !structure.manifest_complete);
        Keyspaces {
            basis,
            structure,
            limits,
            target,
            lost,
            control,
            names_complete,
            done: 0,
            total,
            read,
            gaps: 0,
            is_damaged,
        }
    }

    /// Copies all. Errors: those of the new database, and to be stopped.
    pub(super) fn copy(mut self) -> Result<()> {
        let structure = self.structure;
        for found in &structure.found_leaves {
            self.target.next_layer();
            self.found_leaf(*found)?;
        }
        let mut runs: Vec<&Run> = structure.runs.iter().collect();
        runs.sort_by(|a, b| age_of(a).cmp(&age_of(b)).then_with(|| a.first.bytes.cmp(&b.first.bytes)));
        let mut age = None;
        for run in runs {
            if age.replace(age_of(run)) != Some(age_of(run)) {
                self.target.next_layer();
            }
            self.run(run)?;
        }
        if !structure.manifest_complete {
            self.target.next_layer();
            self.mark(ANY);
        }
        let is_damaged = self.is_damaged;
        for (_, keyspace) in self.target.keyspaces_among(0, u32::MAX) {
            // One that was not known when something was lost.
            keyspace.complete &= keyspace.named || !is_damaged;
        }
        self.target.flush()
    }

    fn step(&mut self) -> Result<()> {
        self.control.step(Progress::new("keys", self.done, self.total, "keys"))
    }

    /// Something was lost that these trees may have had keys in, newer than what they were given.
    fn mark(&mut self, (first, last): Span) {
        self.is_damaged = true;
        for (_, keyspace) in self.target.keyspaces_among(first, last) {
            keyspace.complete = false;
            keyspace.outdated |= keyspace.has_older;
        }
    }

    fn lose(&mut self, page: PageNo, what: &'static str, span: Span, e: Error) {
        self.gaps += 1;
        if !self.may_hold_wanted(span) {
            return;
        }
        let one = Some(span.0).filter(|tree| *tree == span.1 && self.is_wanted(*tree));
        self.lost.add(one, page, what, None, e);
        self.mark(span);
    }

    /// True if the tree is, or may be, a keyspace that is to be saved.
    fn is_wanted(&self, tree: u32) -> bool {
        match self.target.trees.get(&tree) {
            Some(known) => known.kind == Kind::Keyspace,
            // A whole catalog names all keyspaces: another tree is one that was dropped.
            None => {
                let is_other = tree == CATALOG || self.structure.trees.contains_key(&tree);
                !self.names_complete && !is_other && !self.structure.is_dropped(tree)
            }
        }
    }

    /// False if all keys of these trees are of keyspaces that were dropped.
    fn may_hold_wanted(&mut self, (first, last): Span) -> bool {
        !self.names_complete || self.target.keyspaces_among(first, last).next().is_some()
    }

    fn found_leaf(&mut self, found: FoundLeaf) -> Result<()> {
        self.step()?;
        match self.basis.copies.unit_copy(found.page, 1) {
            Ok(unit) => {
                let is_checked = unit.verdict.is_ok() && self.basis.copies.seed().is_some();
                if let Some(e) = self.leaf(&unit, found.page, None, Trust { is_checked, is_found: true })? {
                    self.lose(found.page, "leaf of a run", ANY, e);
                }
            }
            // The device gave it a moment ago.
            Err(e) => self.lose(found.page, "leaf of a run", ANY, e),
        }
        Ok(())
    }

    fn run(&mut self, run: &Run) -> Result<()> {
        self.step()?;
        let span = (tree_of(&run.first.bytes), tree_of(&run.last.bytes));
        if (span.0..=span.1).is_empty() {
            let e = Error::corrupt("run (first and last key)", run.page.0, 0, span.0.into(), span.1.into());
            self.lose(run.page, "run", ANY, run.name(e));
            return Ok(());
        }
        if !self.may_hold_wanted(span) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let tail = self.read_tail(run, &mut bytes);
        let ranges = match &tail {
            Ok(tail) if run.ranges => tail.ranges(),
            Ok(_) => Ok(Vec::new()),
            // Only ranges are in the tail and nowhere else.
            Err(e) if run.ranges => Err(e.clone()),
            Err(_) => Ok(Vec::new()),
        };
        match ranges {
            Ok(ranges) => ranges.into_iter().try_for_each(|(start, end)| self.delete_range(start, end))?,
            Err(e) => self.lose(run.tail_page(), "ranges of a run", span, run.name(e)),
        }
        let before = (self.done, self.gaps);
        match tail.ok() {
            Some(tail) => self.leaves_by_tail(run, &tail, span)?,
            None => self.leaves_by_headers(run, span)?,
        }
        if self.gaps == before.1 && self.done - before.0 != run.entries {
            let e = Error::corrupt("manifest entry (entries)", run.page.0, 0, run.entries, self.done - before.0);
            self.lose(run.page, "run", span, run.name(e));
        }
        Ok(())
    }

    /// The tail of a run, if it is whole.
    fn read_tail<'b>(&self, run: &Run, bytes: &'b mut Vec<u8>) -> Result<Tail<'b>> {
        let page = run.tail_page();
        let extent = self.basis.copies.extent_copy(page)?;
        if extent.tree != 0 || extent.pages != u64::from(run.tail_pages) {
            return Err(Error::corrupt("tail of a run (pages)", page.0, 0, run.tail_pages.into(), extent.pages));
        }
        *bytes = extent.document().to_vec();
        extent.verdict?;
        let tail = Tail::open(bytes, page)?;
        if tail.leaves() > run.leaf_pages as usize {
            let (expected, got) = (run.leaf_pages.into(), tail.leaves() as u64);
            return Err(Error::corrupt("tail of a run (leaves)", page.0, 0, expected, got));
        }
        Ok(tail)
    }

    fn leaves_by_tail(&mut self, run: &Run, tail: &Tail<'_>, span: Span) -> Result<()> {
        let separator = |at: usize| -> Result<Option<Vec<u8>>> {
            let is_there = at < tail.leaves();
            is_there.then(|| Ok([tail.prefix(), tail.separator(at)?].concat())).transpose()
        };
        for at in 0..tail.leaves() {
            self.step()?;
            let place = tail.place(at);
            let next = if at + 1 < tail.leaves() { tail.place(at + 1) } else { run.leaf_pages.into() };
            let page = PageNo(run.page.0 + place);
            let (mut span, mut first) = (span, None);
            let read = separator(at).and_then(|low| Ok((low, separator(at + 1)?))).and_then(|(low, high)| {
                if place >= next || next > u64::from(run.leaf_pages) {
                    return Err(Error::corrupt("tail of a run (place of a leaf)", page.0, 0, next, place));
                }
                span.0 = span.0.max(low.as_deref().map_or(0, tree_of));
                span.1 = span.1.min(high.as_deref().map_or(u32::MAX, tree_of)).max(span.0);
                first = low;
                self.read_leaf(page, next - place)
            });
            match read {
                Ok((unit, trust)) => {
                    let below = self.leaf(&unit, page, first.as_deref(), trust);
                    self.note(run, page, span, below)?;
                }
                Err(e) => self.lose(page, "leaf of a run", span, run.name(e)),
            }
        }
        Ok(())
    }

    /// Leaf after leaf by the lengths in their headers. Behind one that can't be read it goes on with the next page at which
    /// a whole one begins.
    fn leaves_by_headers(&mut self, run: &Run, span: Span) -> Result<()> {
        let (mut place, mut is_lost) = (0, false);
        while place < u64::from(run.leaf_pages) {
            self.step()?;
            let page = PageNo(run.page.0 + place);
            if page.0 >= self.basis.copies.pages() {
                let pages = self.basis.copies.pages();
                if !is_lost {
                    let e = Error::corrupt("page number", page.0, 0, pages, page.0);
                    self.lose(page, "leaf of a run", span, run.name(e));
                }
                return Ok(());
            }
            let unit = self.basis.copies.expect(page, PageKind::RunLeaf);
            let length = unit.as_ref().map_or(1, |unit| 1 << unit.header.order);
            match unit {
                Ok(unit) if place + length <= u64::from(run.leaf_pages) => {
                    is_lost = false;
                    let below = self.leaf(&unit, page, None, Trust { is_checked: true, is_found: false });
                    self.note(run, page, span, below)?;
                }
                Ok(_) | Err(_) if is_lost => {}
                unit => {
                    let bad = || Error::corrupt("leaf of a run (pages)", page.0, 0, run.leaf_pages.into(), length);
                    self.lose(page, "leaf of a run", span, run.name(unit.err().unwrap_or_else(bad)));
                    is_lost = true;
                }
            }
            place += length;
        }
        Ok(())
    }

    /// What was wrong in a leaf that could be read.
    fn note(&mut self, run: &Run, page: PageNo, span: Span, read: Result<Option<Error>>) -> Result<()> {
        if let Some(e) = read? {
            self.lose(page, "leaf of a run", span, run.name(e));
        }
        Ok(())
    }

    /// The leaf of so many pages at `page`; one that no checksum vouches for only where that is wanted.
    fn read_leaf(&self, page: PageNo, pages: u64) -> Result<(UnitCopy, Trust)> {
        let copies = &self.basis.copies;
        if !pages.is_power_of_two() || pages > 1 << MAX_LEAF_ORDER || pages > copies.pages().saturating_sub(page.0) {
            return Err(Error::corrupt("page number", page.0, 0, copies.pages(), page.0.saturating_add(pages)));
        }
        let trust = |is_checked| Trust { is_checked, is_found: false };
        let order = pages.trailing_zeros() as u8;
        let e = match copies.expect(page, PageKind::RunLeaf) {
            Ok(unit) if unit.header.order == order => return Ok((unit, trust(copies.seed().is_some()))),
            Ok(unit) => {
                return Err(Error::corrupt("unit header (order)", page.0, 15, order.into(), unit.header.order.into()))
            }
            Err(e) => e,
        };
        if !self.limits.trust_unchecked {
            return Err(e);
        }
        // The tail knows better than a damaged header how long it is.
        let mut bytes = PageBuf::zeroed(pages as usize);
        copies.read(page, &mut bytes)?;
        let header = UnitHeader { page, kind: PageKind::RunLeaf, order, generation: 0, tree: 0 };
        Ok((UnitCopy { bytes, header, verdict: Err(e) }, trust(false)))
    }

    /// Gives all entries of a leaf to the new database. What is wrong with it, or with the last one of its bad entries.
    /// Errors: as of [`Keyspaces::copy`].
    fn leaf(&mut self, unit: &UnitCopy, page: PageNo, first: Option<&[u8]>, trust: Trust) -> Result<Option<Error>> {
        let pages = (unit.bytes.len() / PAGE_BYTES) as u64;
        if (page.0..page.0 + pages).any(|page| self.read.has(page)) {
            return Ok(Some(Error::corrupt("leaf of a run (named twice)", page.0, 0, 0, 1)));
        }
        (page.0..page.0 + pages).for_each(|page| self.read.add(page));
        let leaf = match Leaf::open(&unit.bytes, page) {
            Ok(leaf) => leaf,
            Err(e) => return Ok(Some(e)),
        };
        let (mut key, mut bad) = (Vec::new(), None);
        for at in 0..leaf.len() {
            let entry = match leaf.entry(at) {
                Ok(entry) => entry,
                Err(e) => {
                    bad = Some(e);
                    continue;
                }
            };
            leaf.key(&entry, &mut key);
            if key.len() < TREE_BYTES || first.is_some_and(|first| at == 0 && &key[..] < first) {
                bad = Some(Error::corrupt("leaf of a run (key)", page.0, 0, TREE_BYTES as u64, key.len() as u64));
                if at == 0 && trust.is_checked {
                    // It is the leaf of another run, or of another time.
                    return Ok(bad);
                }
                continue;
            }
            self.done += 1;
            let (tree, key) = key.split_at(TREE_BYTES);
            self.give(tree_of(tree), key, entry.cell, page, trust)?;
        }
        Ok(bad)
    }

    fn give(&mut self, tree: u32, key: &[u8], cell: Cell<'_>, page: PageNo, trust: Trust) -> Result<()> {
        if !self.is_wanted(tree) {
            return Ok(());
        }
        let (copied, mut is_checked) = match cell {
            Cell::Large { page: at, length } => {
                self.control.check()?;
                match self.large(tree, at, length as usize) {
                    Ok(read) => read,
                    Err(e) => {
                        // Made, if it is not there, so that the loss is told under its name.
                        self.target.keyspace(tree)?;
                        self.lost.add(Some(tree), at, "large value", None, e);
                        self.is_damaged = true;
                        // An older value would be taken for the one that it had. Of a leaf that was found it is not known
                        // which one is older.
                        return match trust.is_found {
                            true => Ok(()),
                            false => self.delete(tree, key),
                        };
                    }
                }
            }
            _ => (Vec::new(), true),
        };
        is_checked &= trust.is_checked;
        let value = match cell {
            Cell::Deleted => {
                self.delete(tree, key)?;
                return self.count(tree, false, is_checked);
            }
            Cell::Value(value) => value,
            Cell::Large { .. } => &copied,
        };
        if value.len() > self.limits.document_bytes {
            let (bytes, limit) = (value.len() as u64, self.limits.document_bytes as u64);
            self.lost.add(Some(tree), page, "value", None, Error::ValueTooLarge { bytes, limit });
            return self.delete(tree, key);
        }
        self.target.change_keys(tree, KeyOp::Put(key, value))?;
        self.count(tree, trust.is_found, is_checked)
    }

    fn count(&mut self, tree: u32, is_uncertain: bool, is_checked: bool) -> Result<()> {
        if let (true, Some(keyspace)) = (is_uncertain || !is_checked, self.target.keyspace(tree)?) {
            keyspace.uncertain += u64::from(is_uncertain);
            keyspace.unchecked += u64::from(!is_checked);
        }
        Ok(())
    }

    /// Deletes a key, if there is anything older.
    fn delete(&mut self, tree: u32, key: &[u8]) -> Result<()> {
        if self.target.trees.get(&tree).is_some_and(|keyspace| keyspace.has_older) {
            self.target.change_keys(tree, KeyOp::Delete(key))?;
        }
        Ok(())
    }

    /// A value in an extent of its own, and whether its checksums are right.
    fn large(&self, tree: u32, page: PageNo, length: usize) -> Result<(Vec<u8>, bool)> {
        let copies = &self.basis.copies;
        // The first piece tells, before all of it is read, whether it is the one. A value that was moved has no tree.
        let belongs = |got: u64| match got == 0 || got == u64::from(tree) {
            true => Ok(()),
            false => Err(Error::corrupt("large value (tree)", page.0, 24, tree.into(), got)),
        };
        let first = copies.unit_copy(page, 1)?;
        if first.verdict.is_ok() {
            belongs(first.header.tree)?;
        }
        let extent = copies.extent_copy(page)?;
        let is_checked = extent.verdict.is_ok() && copies.seed().is_some();
        if !is_checked && !self.limits.trust_unchecked {
            extent.verdict?;
            return Err(Error::corrupt("large value (no checksum can be checked)", page.0, 0, 1, 0));
        }
        belongs(extent.tree)?;
        if extent.document().len() != length {
            let got = extent.document().len() as u64;
            return Err(Error::corrupt("large value (length)", page.0, 0, length as u64, got));
        }
        Ok((extent.document().to_vec(), is_checked))
    }

    /// Deletes a range of whole keys in the keyspaces that have anything older.
    fn delete_range(&mut self, start: &[u8], end: &[u8]) -> Result<()> {
        let (first, last) = (tree_of(start), tree_of(end));
        let with_keys = self.target.keyspaces_among(first, last).filter(|(_, keyspace)| keyspace.has_older);
        let trees: Vec<u32> = with_keys.map(|(tree, _)| tree).collect();
        for tree in trees {
            // Where a range begins or ends in another tree, all of this one on that side is in it.
            let from = if tree == first { start.get(TREE_BYTES..).unwrap_or_default() } else { &[] };
            let to = (tree == last).then(|| end.get(TREE_BYTES..).unwrap_or_default());
            let (Some(from), to) = (bound(from), to.and_then(bound)) else { continue };
            if to.as_ref().is_none_or(|to| from < *to) {
                self.target.change_keys(tree, KeyOp::DeleteRange(&from, to.as_deref()))?;
            }
        }
        Ok(())
    }
}

/// Older runs are less.
fn age_of(run: &Run) -> (bool, Reverse<u8>, u64) {
    (run.level == 0, Reverse(run.level), if run.level == 0 { run.set } else { 0 })
}

/// The bound of a range as a key that can be: the next one above, if it is longer than any. None: there is none above.
fn bound(key: &[u8]) -> Option<Vec<u8>> {
    match key.get(..MAX_KEY_BYTES).filter(|_| key.len() > MAX_KEY_BYTES) {
        Some(longest) => after_prefix(longest),
        None => Some(key.to_vec()),
    }
}
