//! Pages in memory, in place of a file, for tests of the structures that are made of pages.
//!
//! It is strict: a page is written once, after it was allocated; only written pages are read, and only
//! as the kind they are, and not before the checkpoint that wrote them is over; a released page is
//! neither read nor released again.

use super::page::{check, kind_of, seal, PageBuf, PageKind, PageNo, PageSink, PageSource};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

const SEED: u64 = 0x5eed;

/// A sink and source of pages.
#[derive(Debug, Default)]
pub struct MemoryPages {
    pages: BTreeMap<PageNo, PageBuf>,
    allocated: BTreeSet<PageNo>,
    next: u64,
    /// Written since the last commit: they may be on their way to the disk.
    unread: BTreeSet<PageNo>,
    /// Released pages stay readable, as they do in a file.
    lenient: bool,
    released: BTreeSet<PageNo>,
    /// Units written.
    pub writes: u64,
}

impl MemoryPages {
    /// No pages.
    pub fn new() -> Self {
        MemoryPages { next: 2, ..Default::default() }
    }

    /// Ends a checkpoint: from now on its pages can be read.
    pub fn commit(&mut self) {
        self.unread.clear();
    }

    /// The pages that are written and not released.
    pub fn live(&self) -> BTreeSet<PageNo> {
        assert!(self.allocated.is_empty(), "pages were allocated and never written: {:?}", self.allocated);
        self.pages.keys().copied().collect()
    }

    /// Changes a page in place and seals it again, as no fold would.
    pub fn tamper(&mut self, page: PageNo, change: impl FnOnce(&mut [u8])) {
        let unit = self.pages.get_mut(&page).expect("a live page");
        change(unit);
        seal(unit, 1, SEED);
    }

    /// A copy, to be damaged. It lets released pages be read, as a file does.
    pub fn copy(&self) -> MemoryPages {
        let copy = |unit: &PageBuf| {
            let mut new = PageBuf::zeroed(unit.len() / super::page::PAGE_BYTES);
            new.copy_from_slice(unit);
            new
        };
        let pages = self.pages.iter().map(|(&page, unit)| (page, copy(unit))).collect();
        MemoryPages { pages, next: self.next, lenient: true, ..Default::default() }
    }
}

impl PageSource for MemoryPages {
    fn unit(&self, page: PageNo, kind: PageKind) -> Result<&[u8]> {
        let unread = self.unread.contains(&page);
        assert!(!unread || self.lenient, "{page:?} is read in the checkpoint that wrote it");
        // A damaged page may name any page, so this is an error and no panic.
        let unit = self
            .pages
            .get(&page)
            .filter(|_| !unread)
            .ok_or_else(|| Error::corrupt("page that is not in use", page.0, 0, 0, 0))?;
        if kind_of(unit) != Some(kind) {
            return Err(Error::corrupt("unit header (kind)", page.0, 14, kind as u64, u64::from(unit[14])));
        }
        Ok(unit)
    }
}

impl PageSink for MemoryPages {
    fn allocate(&mut self, order: u8) -> Result<PageNo> {
        let run = 1u64 << order;
        let page = PageNo(self.next.next_multiple_of(run));
        self.next = page.0 + run;
        self.allocated.insert(page);
        Ok(page)
    }

    fn write(&mut self, page: PageNo, mut unit: PageBuf) -> Result<()> {
        assert!(self.allocated.remove(&page), "{page:?} was not allocated, or is written twice");
        seal(&mut unit, 1, SEED);
        check(&unit, page, SEED)?;
        self.writes += 1;
        self.unread.insert(page);
        assert!(self.pages.insert(page, unit).is_none());
        Ok(())
    }

    fn release(&mut self, page: PageNo, _order: u8) {
        assert!(self.pages.contains_key(&page), "{page:?} is released but not in use");
        assert!(self.released.insert(page), "{page:?} is released twice");
        if !self.lenient {
            self.pages.remove(&page);
        }
    }
}
