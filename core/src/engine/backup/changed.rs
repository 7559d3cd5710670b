//! What changed after a checkpoint: the units of an incremental backup.
//!
//! ```text
//!   tree table   old | NEW | old              a page is never changed in place, so below an old one
//!                      |                      all is old: the walk turns back there
//!                trie NEW, directory NEW
//!                              |
//!                 block old, block NEW        the header of each block of a new directory leaf is looked at
//!                              |
//!                     stub -> extent NEW      one that a moved record still points to may be old
//! ```
//!
//! So it costs what changed: the pages written since, and a look at the headers of their neighbours.

use crate::control::{Control, Progress};
use crate::engine::trees::TreeEntry;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file::meta::Meta;
use crate::file::page::{PageKind, PageNo, UnitHeader, UNIT_HEADER_BYTES};
use crate::file::space::Space;
use crate::file::tree;
use crate::hash;
use crate::record::block;
use crate::record::directory::Entry;
use crate::sorted::cell::Cell;
use crate::sorted::run::Run;
use std::cell::RefCell;

/// Steps of the walk between two looks at the control.
const STEP: u64 = 64;

/// A set of pages, a bit each.
pub struct PageSet {
    words: Vec<u64>,
    pages: u64,
    /// Pages in it.
    pub count: u64,
}

impl PageSet {
    fn new(pages: u64) -> PageSet {
        PageSet { words: vec![0; pages.div_ceil(64) as usize], pages, count: 0 }
    }

    fn has(&self, page: u64) -> bool {
        page < self.pages && self.words[(page / 64) as usize] >> (page % 64) & 1 == 1
    }

    fn add(&mut self, first: PageNo, pages: u64) -> Result<()> {
        for page in first.0..first.0.saturating_add(pages) {
            if page >= self.pages {
                return Err(Error::corrupt("page beyond the file", page, 0, self.pages, page));
            }
            if self.has(page) {
                return Err(Error::corrupt("page reached twice", page, 0, 1, 2));
            }
            self.words[(page / 64) as usize] |= 1 << (page % 64);
            self.count += 1;
        }
        Ok(())
    }

    /// Its maximal runs, in ascending order: first page and number of pages.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            while next < self.pages && !self.has(next) {
                // Whole words without a page are passed at once.
                let empty = next % 64 == 0 && self.words[(next / 64) as usize] == 0;
                next += if empty { 64 } else { 1 };
            }
            let first = next;
            while self.has(next) {
                next += 1;
            }
            (next > first).then_some((first, next - first))
        })
    }
}

struct Walk<'w, 'c> {
    engine: &'w Engine,
    since: u64,
    found: PageSet,
    steps: u64,
    control: &'w mut Control<'c>,
}

impl Walk<'_, '_> {
    /// The header of a unit, read from the file and not verified; the page number in it is that of the place.
    fn header(&self, page: PageNo) -> Result<UnitHeader> {
        let mut head = [0; UNIT_HEADER_BYTES];
        let read = self.engine.file.read_at(&mut head, page.offset());
        read.map_err(|e| Error::io("reading pages for a backup", e))?;
        let header = UnitHeader::decode(&head, page)?;
        if header.page != page {
            return Err(Error::corrupt("unit header (page number)", page.0, 8, page.0, header.page.0));
        }
        Ok(header)
    }

    /// Takes a single page if it is new, and says whether it is.
    fn take(&mut self, page: PageNo) -> Result<bool> {
        self.step()?;
        let new = self.header(page)?.generation > self.since;
        if new {
            self.found.add(page, 1)?;
        }
        Ok(new)
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps % STEP != 0 {
            return Ok(());
        }
        self.engine.check_open()?;
        self.control.step(Progress::new("looking for changes", self.found.count, 0, "pages"))
    }

    /// Takes a run if it is new, and the new extents of the large values that it names.
    fn take_run(&mut self, run: &Run) -> Result<()> {
        self.step()?;
        let header = self.header(run.tail_page())?;
        if header.kind != PageKind::Extent {
            let (expected, got) = (PageKind::Extent as u64, header.kind as u64);
            return Err(Error::corrupt("unit header (kind)", run.tail_page().0, 14, expected, got));
        }
        if header.generation <= self.since {
            return Ok(());
        }
        self.found.add(run.page, run.pages())?;
        if !run.large {
            return Ok(());
        }
        let pages = &self.engine.pages;
        let tail = run.tail(pages)?;
        for at in 0..tail.leaves() {
            let leaf = run.leaf(pages, &tail, at)?;
            for index in 0..leaf.len() {
                if let Cell::Large { page, .. } = leaf.entry(index)?.cell {
                    self.take_extent(page)?;
                }
            }
        }
        Ok(())
    }

    fn take_extent(&mut self, extent: PageNo) -> Result<()> {
        if self.header(extent)?.generation > self.since {
            let (kind, length) = self.engine.pages.unit_shape(extent)?;
            if kind != PageKind::Extent {
                let (expected, got) = (PageKind::Extent as u64, kind as u64);
                return Err(Error::corrupt("unit header (kind)", extent.0, 14, expected, got));
            }
            self.found.add(extent, length)?;
        }
        Ok(())
    }

    /// Takes a block if it is new, and the new extents of the live records in it.
    fn take_block(&mut self, entry: &Entry) -> Result<()> {
        self.step()?;
        let header = self.header(entry.page)?;
        let bad = |what, expected, got| Error::corrupt(what, entry.page.0, 0, expected, got);
        if header.kind != PageKind::Block || header.order != entry.order {
            return Err(bad("unit header (kind and order of a block)", entry.order.into(), header.order.into()));
        }
        if header.generation <= self.since {
            return Ok(());
        }
        self.found.add(entry.page, 1 << entry.order)?;
        let pages = &self.engine.pages;
        let memory = pages.block(entry.page)?;
        let (slots, _) = block::sealed_shape(&memory)?;
        for slot in (0..slots).filter(|slot| entry.is_live(*slot)) {
            let at = block::slot_position(&memory, slot)?;
            let record = block::read(&memory, at)?;
            if !record.large {
                continue;
            }
            let (extent, _) = record.extent().ok_or_else(|| bad("stub of a large document", 1, 0))?;
            self.take_extent(extent)?;
        }
        Ok(())
    }
}

/// The pages of all units that the checkpoint of `meta` reaches and a checkpoint after `since` has written.
pub fn changed(engine: &Engine, meta: &Meta, since: u64, control: &mut Control<'_>) -> Result<PageSet> {
    let _hold = engine.pages.hold();
    let pages = &engine.pages;
    let found = PageSet::new(meta.file_pages);
    let walk = RefCell::new(Walk { engine, since, found, steps: 0, control });
    let mut take = |page: PageNo| walk.borrow_mut().take(page);
    Space::walk_where(pages, meta.space, meta.region_pages, meta.file_pages, &mut take, &mut |_, _| Ok(()))?;
    let mut trees = Vec::new();
    tree::walk_where(pages, &meta.tree_table, &mut take, &mut |number, bytes| {
        // The number only names the entry in an error.
        trees.push(TreeEntry::decode(bytes, number as u32)?);
        Ok(())
    })?;
    let mut runs = Vec::new();
    tree::walk_where(pages, &meta.manifest, &mut take, &mut |number, bytes| {
        runs.push(Run::decode(bytes, number)?);
        Ok(())
    })?;
    for run in runs {
        walk.borrow_mut().take_run(&run)?;
    }
    for entry in trees {
        hash::walk_where(pages, &entry.trie, &mut take, &mut |_| Ok(()))?;
        tree::walk_where(pages, &entry.directory, &mut take, &mut |base, bytes| {
            walk.borrow_mut().take_block(&Entry::decode(bytes, base)?)
        })?;
    }
    Ok(walk.into_inner().found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_set_are_maximal_and_a_page_is_reached_once() {
        let mut set = PageSet::new(300);
        for (first, pages) in [(2, 1), (3, 4), (64, 64), (190, 10), (299, 1)] {
            set.add(PageNo(first), pages).expect("new");
        }
        let runs: Vec<_> = set.runs().collect();
        assert_eq!(runs, [(2, 5), (64, 64), (190, 10), (299, 1)]);
        assert_eq!(set.count, 80);
        assert!(set.add(PageNo(127), 2).is_err() && set.add(PageNo(300), 1).is_err());
        assert_eq!(PageSet::new(0).runs().count(), 0);
    }
}
