//! Units of a file that may be damaged, copied by positioned reads.
//!
//! ```text
//!   file --read_at--> copy --> header --> rest of the unit --> checksum: a verdict, not an end
//! ```
//!
//! The page table ([`super::pages`]) is for files that are whole: it maps them, and a device that fails under a
//! mapping ends the process. Here each read can fail and the next one goes on; what a header says is believed
//! only as far as the file is long, and a wrong checksum is told beside the bytes.
//!
//! As a [`PageSource`] it keeps a bounded number of pages, for a lookup in a trie; [`Copies::trim`] between two
//! lookups makes room again.

use super::disk::DiskFile;
use super::page::{self, get_u32, get_u64, PageBuf, PageKind, PageNo, PageSource, UnitHeader, PAGE_BYTES};
use super::pages::{extent_data_at, EXTENT_HEADER_BYTES, EXTENT_LENGTH_AT, EXTENT_PAGES_AT};
use super::pages::{EXTENT_PIECE_BYTES, MAX_LEAF_ORDER, MAX_ORDER};
use super::space::CHUNK_PAGES;
use crate::error::{Error, Result};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Pages kept for lookups: 4 MiB.
const KEPT_PAGES: usize = 1024;

/// A copy of the part of a unit that its header's checksum covers.
#[derive(Debug)]
pub struct UnitCopy {
    /// The bytes.
    pub bytes: PageBuf,
    /// Its header.
    pub header: UnitHeader,
    /// Whether checksum and page number are right. Where the seed is not known, the page number alone.
    pub verdict: Result<()>,
}

/// A large document, copied.
#[derive(Debug)]
pub struct ExtentCopy {
    /// All bytes of the extent.
    bytes: Vec<u8>,
    document: Range<usize>,
    /// Tree in its header.
    pub tree: u64,
    /// Its length in pages.
    pub pages: u64,
    /// The first damage found: in a checksum, or none where all are right or the seed is not known.
    pub verdict: Result<()>,
    /// Pieces with a wrong checksum.
    pub damaged: Vec<u32>,
}

impl ExtentCopy {
    /// The document.
    pub fn document(&self) -> &[u8] {
        &self.bytes[self.document.clone()]
    }

    /// Offset of the document in the extent.
    pub fn document_at(&self) -> usize {
        self.document.start
    }
}

/// See the module's text.
pub struct Copies {
    file: Arc<dyn DiskFile>,
    seed: Option<u64>,
    pages: u64,
    kept: Box<[OnceCell<PageBuf>]>,
    places: RefCell<HashMap<(PageNo, u8), usize>>,
    used: Cell<usize>,
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copies").field("pages", &self.pages).finish_non_exhaustive()
    }
}

impl Copies {
    /// Reads `file`, of which `pages` pages are looked at. Without a seed no checksum can be checked.
    pub fn new(file: Arc<dyn DiskFile>, seed: Option<u64>, pages: u64) -> Copies {
        let kept = (0..KEPT_PAGES).map(|_| OnceCell::new()).collect();
        Copies { file, seed, pages, kept, places: RefCell::default(), used: Cell::new(0) }
    }

    /// Pages that are looked at.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Seed of the checksums, if it is known.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The same file with another seed.
    pub fn with_seed(&self, seed: u64) -> Copies {
        Copies::new(self.file.clone(), Some(seed), self.pages)
    }

    /// Fills `buf` from the beginning of a page on.
    pub fn read(&self, page: PageNo, buf: &mut [u8]) -> Result<()> {
        self.file.read_at(buf, page.offset()).map_err(|e| Error::io("reading the damaged file", e))
    }

    fn check_inside(&self, page: PageNo, pages: u64) -> Result<()> {
        if page.0 < super::meta::META_PAGES || page.0 >= self.pages || self.pages - page.0 < pages {
            return Err(Error::corrupt("page number", page.0, 0, self.pages, page.0.saturating_add(pages)));
        }
        Ok(())
    }

    /// The unit that begins at `page`, which most likely has `likely` pages. Error: it can't be read, or what is
    /// there is no unit.
    pub fn unit_copy(&self, page: PageNo, likely: usize) -> Result<UnitCopy> {
        self.check_inside(page, 1)?;
        let first = likely.clamp(1, 1 << MAX_ORDER).min((self.pages - page.0) as usize);
        let mut bytes = PageBuf::zeroed(first);
        self.read(page, &mut bytes)?;
        let (header, covered) = shape(&bytes, page)?;
        self.check_inside(page, covered as u64)?;
        if covered != first {
            let mut whole = PageBuf::zeroed(covered);
            let common = covered.min(first) * PAGE_BYTES;
            whole[..common].copy_from_slice(&bytes[..common]);
            if covered > first {
                self.read(PageNo(page.0 + first as u64), &mut whole[common..])?;
            }
            bytes = whole;
        }
        let verdict = self.verdict(&bytes, page);
        Ok(UnitCopy { bytes, header, verdict })
    }

    /// Whether checksum and number of a unit are right; `covered` is what the checksum covers.
    pub fn verdict(&self, covered: &[u8], page: PageNo) -> Result<()> {
        match self.seed {
            Some(seed) => page::check(covered, page, seed),
            None => page::check_number(covered, page),
        }
    }

    /// The unit of a kind, whole.
    pub fn expect(&self, page: PageNo, kind: PageKind) -> Result<UnitCopy> {
        let mut unit = self.unit_copy(page, 1)?;
        std::mem::replace(&mut unit.verdict, Ok(()))?;
        if unit.header.kind != kind {
            return Err(Error::corrupt("unit header (kind)", page.0, 14, kind as u64, unit.header.kind as u64));
        }
        Ok(unit)
    }

    /// The large document in the extent at `page`. Error: it can't be read, or what is there is no extent.
    pub fn extent_copy(&self, page: PageNo) -> Result<ExtentCopy> {
        let first = self.unit_copy(page, 1)?;
        if first.header.kind != PageKind::Extent {
            let (expected, got) = (PageKind::Extent as u64, first.header.kind as u64);
            return Err(Error::corrupt("unit header (kind)", page.0, 14, expected, got));
        }
        let pages = get_u32(&first.bytes, EXTENT_PAGES_AT) as usize;
        let length = get_u32(&first.bytes, EXTENT_LENGTH_AT) as usize;
        let (start, end) = (extent_data_at(pages), pages * PAGE_BYTES);
        if start > PAGE_BYTES || length > end - start {
            let at = EXTENT_LENGTH_AT as u32;
            return Err(Error::corrupt("extent header (length)", page.0, at, end as u64, length as u64));
        }
        self.check_inside(page, pages as u64)?;
        let mut bytes = vec![0; end];
        bytes[..first.bytes.len()].copy_from_slice(&first.bytes);
        let (mut verdict, mut damaged) = (first.verdict, Vec::new());
        if verdict.is_err() {
            damaged.push(0);
        }
        for (piece, data) in bytes.chunks_mut(EXTENT_PIECE_BYTES).enumerate().skip(1) {
            let at = PageNo(page.0 + (piece * EXTENT_PIECE_BYTES / PAGE_BYTES) as u64);
            let done = self.read(at, data).and_then(|()| self.check_piece(&first.bytes, piece, at, data));
            if let Err(e) = done {
                damaged.push(piece as u32);
                verdict = verdict.and(Err(e));
            }
        }
        let (tree, pages) = (first.header.tree, pages as u64);
        Ok(ExtentCopy { bytes, document: start..start + length, tree, pages, verdict, damaged })
    }

    fn check_piece(&self, head: &[u8], piece: usize, at: PageNo, data: &[u8]) -> Result<()> {
        let Some(seed) = self.seed else { return Ok(()) };
        let expected = get_u64(head, EXTENT_HEADER_BYTES + (piece - 1) * 8);
        let got = xxh3_64_with_seed(data, seed);
        if expected != got {
            return Err(Error::corrupt("extent piece", at.0, 0, expected, got));
        }
        Ok(())
    }

    /// Makes room for the next lookup.
    pub fn trim(&mut self) {
        if self.used.get() > KEPT_PAGES / 2 {
            self.kept.iter_mut().take(self.used.get()).for_each(|cell| drop(cell.take()));
            self.places.borrow_mut().clear();
            self.used.set(0);
        }
    }
}

/// Header of the unit that begins with `bytes`, one page at least, and how many pages its checksum covers.
pub fn shape(bytes: &[u8], page: PageNo) -> Result<(UnitHeader, usize)> {
    let header = UnitHeader::decode(bytes, page)?;
    let covered = match header.kind {
        PageKind::Extent => {
            let pages = get_u32(bytes, EXTENT_PAGES_AT);
            if pages == 0 || u64::from(pages) > CHUNK_PAGES {
                let at = EXTENT_PAGES_AT as u32;
                return Err(Error::corrupt("extent header (pages)", page.0, at, CHUNK_PAGES, pages.into()));
            }
            (pages as usize).min(EXTENT_PIECE_BYTES / PAGE_BYTES)
        }
        PageKind::Block if header.order <= MAX_ORDER => 1 << header.order,
        PageKind::RunLeaf if header.order <= MAX_LEAF_ORDER => 1 << header.order,
        _ if header.order == 0 => 1,
        _ => return Err(Error::corrupt("unit header (order)", page.0, 15, 0, header.order.into())),
    };
    Ok((header, covered))
}

impl PageSource for Copies {
    fn unit(&self, page: PageNo, kind: PageKind) -> Result<&[u8]> {
        let known = self.places.borrow().get(&(page, kind as u8)).copied();
        let place = match known {
            Some(place) => place,
            None => self.used.get(),
        };
        let full = || Error::corrupt("a path of too many pages", page.0, 0, KEPT_PAGES as u64, place as u64);
        let cell = self.kept.get(place).ok_or_else(full)?;
        if known.is_none() {
            let unit = self.expect(page, kind)?;
            let _ = cell.set(unit.bytes);
            self.places.borrow_mut().insert((page, kind as u8), place);
            self.used.set(place + 1);
        }
        match cell.get() {
            Some(bytes) => Ok(bytes),
            None => Err(Error::Internal("a kept page is gone".into())),
        }
    }
}

/// One page as a source, for the decoders that take one.
#[derive(Debug)]
pub struct Only<'a> {
    /// Its number.
    pub page: PageNo,
    /// What it is.
    pub kind: PageKind,
    /// Its bytes, whole.
    pub bytes: &'a [u8],
}

impl PageSource for Only<'_> {
    fn unit(&self, page: PageNo, kind: PageKind) -> Result<&[u8]> {
        if page != self.page || kind != self.kind {
            return Err(Error::corrupt("unit header (kind)", page.0, 14, kind as u64, self.kind as u64));
        }
        Ok(self.bytes)
    }
}
