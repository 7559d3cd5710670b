//! Pages in memory, for tests of the structures that are written copy on write.
//!
//! Keeps the rules of [`PageSink`]: a page is written once after it was allocated, released once, and
//! not read afterwards. What breaks a rule panics, or, where damaged pages are tried on purpose
//! ([`TestPages::tolerant`]), is an error.

use super::page::{self, PageBuf, PageKind, PageNo, PageSink, PageSource, PAGE_BYTES};
use crate::error::{Error, Result};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// The pages; numbers are never given out twice.
pub struct TestPages {
    units: BTreeMap<u64, PageBuf>,
    /// Allocated and not written yet.
    open: BTreeSet<u64>,
    released: BTreeSet<u64>,
    /// Released since the last [`TestPages::commit`].
    dying: Vec<u64>,
    /// Written since the last [`TestPages::commit`]: a sink need not be able to read these.
    fresh: BTreeSet<u64>,
    next: u64,
    /// Broken rules are errors, not panics.
    pub tolerant: bool,
    /// Calls of `unit`.
    pub reads: Cell<u64>,
}

impl TestPages {
    /// No pages.
    pub fn new() -> TestPages {
        TestPages {
            units: BTreeMap::new(),
            open: BTreeSet::new(),
            released: BTreeSet::new(),
            dying: Vec::new(),
            fresh: BTreeSet::new(),
            next: 2,
            tolerant: false,
            reads: Cell::new(0),
        }
    }

    /// The checkpoint is over: what it wrote can be read, what it released is gone.
    pub fn commit(&mut self) {
        assert!(self.open.is_empty(), "allocated and never written: {:?}", self.open);
        self.fresh.clear();
        for page in std::mem::take(&mut self.dying) {
            self.units.remove(&page);
        }
    }

    /// Pages that are in use.
    pub fn live(&self) -> BTreeSet<u64> {
        self.units.keys().copied().filter(|page| !self.released.contains(page)).collect()
    }

    /// The bytes of a page, to look at.
    pub fn bytes(&self, page: PageNo) -> &[u8] {
        &self.units[&page.0]
    }

    /// The bytes of a page, to damage.
    pub fn bytes_mut(&mut self, page: PageNo) -> &mut [u8] {
        self.units.get_mut(&page.0).expect("page in use")
    }

    /// A copy whose broken rules are errors.
    pub fn tolerant_copy(&self) -> TestPages {
        let copy = |unit: &PageBuf| {
            let mut copy = PageBuf::zeroed(unit.len() / PAGE_BYTES);
            copy.copy_from_slice(unit);
            copy
        };
        TestPages {
            units: self.units.iter().map(|(&page, unit)| (page, copy(unit))).collect(),
            open: self.open.clone(),
            released: self.released.clone(),
            dying: self.dying.clone(),
            fresh: self.fresh.clone(),
            next: self.next,
            tolerant: true,
            reads: Cell::new(0),
        }
    }

    fn broken(&self, what: &'static str, page: PageNo) -> Error {
        assert!(self.tolerant, "{what}: page {}", page.0);
        Error::corrupt(what, page.0, 0, 0, 0)
    }
}

impl PageSource for TestPages {
    fn unit(&self, page: PageNo, kind: PageKind) -> Result<&[u8]> {
        self.reads.set(self.reads.get() + 1);
        if self.released.contains(&page.0) || self.fresh.contains(&page.0) {
            return Err(self.broken("read of a page that is released or just written", page));
        }
        let unit = self.units.get(&page.0).ok_or_else(|| self.broken("read of an unknown page", page))?;
        if page::kind_of(unit) != Some(kind) {
            return Err(self.broken("page of another kind", page));
        }
        Ok(unit)
    }
}

impl PageSink for TestPages {
    fn allocate(&mut self, order: u8) -> Result<PageNo> {
        let pages = 1 << order;
        let page = self.next.next_multiple_of(pages);
        self.next = page + pages;
        self.open.insert(page);
        Ok(PageNo(page))
    }

    fn write(&mut self, page: PageNo, mut unit: PageBuf) -> Result<()> {
        assert!(self.open.remove(&page.0), "page {} written twice or never allocated", page.0);
        page::seal(&mut unit, 7, 1);
        page::check(&unit, page, 1)?;
        self.fresh.insert(page.0);
        self.units.insert(page.0, unit);
        Ok(())
    }

    fn release(&mut self, page: PageNo, _order: u8) {
        assert!(self.units.contains_key(&page.0), "page {} released and not in use", page.0);
        assert!(self.released.insert(page.0), "page {} released twice", page.0);
        self.dying.push(page.0);
    }
}
