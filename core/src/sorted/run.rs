//! A run: an immutable sorted table in the file, and the entry that names it.
//!
//! ```text
//!   manifest entry --> | leaf | leaf | leaf, 2 pages | ... | tail: an extent |        contiguous, at most 1 MiB
//!                                                             | separators, filter, ranges
//! ```
//!
//! The manifest is a page tree: number of the run -> entry. Numbers are not used again. An entry knows the first and
//! the last key of its run, or their first [`FENCE_BYTES`] bytes; where these do not decide, the tail has the whole
//! keys.

use super::cell::Cell;
use super::filter::{self, FilterHash};
use super::leaf::{prefetch_head, Leaf};
use super::tail::Tail;
use crate::error::{Damage, Error, Result};
use crate::file::page::{get_u16, get_u32, get_u48, get_u64, put_u16, put_u32, put_u48, put_u64, PageNo};
use crate::file::pages::{KnownPart, Pages};
use std::cmp::Ordering;

/// Most bytes of a key that an entry has.
pub const FENCE_BYTES: usize = 256;

/// Levels below level 0.
pub const LEVELS: u8 = 7;

const PAGE_AT: usize = 0;
const LEVEL_AT: usize = 6;
const FLAGS_AT: usize = 7;
const LEAF_PAGES_AT: usize = 8;
const TAIL_PAGES_AT: usize = 12;
const SET_AT: usize = 16;
const ENTRIES_AT: usize = 24;
const DELETED_AT: usize = 32;
const BYTES_AT: usize = 40;
const FIRST_BYTES_AT: usize = 48;
const LAST_BYTES_AT: usize = 50;
const KEYS_AT: usize = 56;

/// Field names of `docs/file-format.md` and where the code has them.
#[cfg(test)]
pub(crate) const LAYOUT: crate::format_tests::Layout = &[
    ("page", PAGE_AT),
    ("level", LEVEL_AT),
    ("flags", FLAGS_AT),
    ("leaf pages", LEAF_PAGES_AT),
    ("tail pages", TAIL_PAGES_AT),
    ("set", SET_AT),
    ("entries", ENTRIES_AT),
    ("deleted", DELETED_AT),
    ("bytes", BYTES_AT),
    ("first bytes", FIRST_BYTES_AT),
    ("last bytes", LAST_BYTES_AT),
    ("zero", LAST_BYTES_AT + 2),
    ("first, last", KEYS_AT),
];

const RANGES: u8 = 1;
const LARGE: u8 = 2;
const OPEN_END: u8 = 4;
const FIRST_CUT: u8 = 8;
const LAST_CUT: u8 = 16;

/// The first or last key of a run, or how it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The key, or its first bytes.
    pub bytes: Box<[u8]>,
    /// The whole key is longer.
    pub cut: bool,
}

impl Fence {
    /// Of a key.
    pub fn new(key: &[u8]) -> Fence {
        Fence { bytes: key[..key.len().min(FENCE_BYTES)].into(), cut: key.len() > FENCE_BYTES }
    }

    /// How the whole key compares with `key`; `None` if only the tail knows.
    fn compare(&self, key: &[u8]) -> Option<Ordering> {
        let common = self.bytes.len().min(key.len());
        match self.bytes[..common].cmp(&key[..common]) {
            Ordering::Equal if !self.cut => Some(self.bytes.len().cmp(&key.len())),
            // The key ends where the whole one goes on.
            Ordering::Equal if key.len() <= self.bytes.len() => Some(Ordering::Greater),
            Ordering::Equal => None,
            order => Some(order),
        }
    }
}

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub number: u64,
    /// 0: written by one flush, beside others; from 1 on one of the runs of the level, which do not overlap.
    pub level: u8,
    /// In level 0: which flush (or merge of flushes) wrote it; higher ones are newer.
    pub set: u64,
    /// The first page.
    pub page: PageNo,
    /// Pages of its leaves.
    pub leaf_pages: u32,
    /// Pages of its tail.
    pub tail_pages: u32,
    /// Entries, tombstones too.
    pub entries: u64,
    /// Tombstones.
    pub deleted: u64,
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// It deletes ranges.
    pub ranges: bool,
    /// It has values in extents.
    pub large: bool,
    /// The last key is the end of a range, and not in it.
    pub open_end: bool,
    /// The first key of entries and ranges.
    pub first: Fence,
    /// The last one.
    pub last: Fence,
    /// Where its filter is, once a key was looked for.
    pub filter: KnownPart,
}

impl Run {
    /// All of its pages.
    pub fn pages(&self) -> u64 {
        u64::from(self.leaf_pages) + u64::from(self.tail_pages)
    }

    /// The page of its tail.
    pub fn tail_page(&self) -> PageNo {
        PageNo(self.page.0 + u64::from(self.leaf_pages))
    }

    /// Its entry in the manifest.
    pub fn encode(&self) -> Vec<u8> {
        let mut b = vec![0; KEYS_AT];
        put_u48(&mut b, PAGE_AT, self.page.0);
        b[LEVEL_AT] = self.level;
        let flags = [
            (self.ranges, RANGES),
            (self.large, LARGE),
            (self.open_end, OPEN_END),
            (self.first.cut, FIRST_CUT),
            (self.last.cut, LAST_CUT),
        ];
        b[FLAGS_AT] = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum();
        put_u32(&mut b, LEAF_PAGES_AT, self.leaf_pages);
        put_u32(&mut b, TAIL_PAGES_AT, self.tail_pages);
        put_u64(&mut b, SET_AT, self.set);
        put_u64(&mut b, ENTRIES_AT, self.entries);
        put_u64(&mut b, DELETED_AT, self.deleted);
        put_u64(&mut b, BYTES_AT, self.bytes);
        put_u16(&mut b, FIRST_BYTES_AT, self.first.bytes.len() as u16);
        put_u16(&mut b, LAST_BYTES_AT, self.last.bytes.len() as u16);
        b.extend_from_slice(&self.first.bytes);
        b.extend_from_slice(&self.last.bytes);
        b
    }

    /// Reads the entry of run `number`.
    pub fn decode(b: &[u8], number: u64) -> Result<Run> {
        let bad = |at: usize, got: u64| {
            Error::corrupt("manifest entry (number of the run in place of the page)", number, at as u32, 0, got)
        };
        if b.len() < KEYS_AT {
            return Err(bad(0, b.len() as u64));
        }
        let (first, last) = (usize::from(get_u16(b, FIRST_BYTES_AT)), usize::from(get_u16(b, LAST_BYTES_AT)));
        if b.len() != KEYS_AT + first + last || first.max(last) > FENCE_BYTES {
            return Err(bad(FIRST_BYTES_AT, b.len() as u64));
        }
        let flag = |flag: u8| b[FLAGS_AT] & flag != 0;
        let run = Run {
            number,
            level: b[LEVEL_AT],
            set: get_u64(b, SET_AT),
            page: PageNo(get_u48(b, PAGE_AT)),
            leaf_pages: get_u32(b, LEAF_PAGES_AT),
            tail_pages: get_u32(b, TAIL_PAGES_AT),
            entries: get_u64(b, ENTRIES_AT),
            deleted: get_u64(b, DELETED_AT),
            bytes: get_u64(b, BYTES_AT),
            ranges: flag(RANGES),
            large: flag(LARGE),
            open_end: flag(OPEN_END),
            first: Fence { bytes: b[KEYS_AT..KEYS_AT + first].into(), cut: flag(FIRST_CUT) },
            last: Fence { bytes: b[KEYS_AT + first..].into(), cut: flag(LAST_CUT) },
            filter: KnownPart::default(),
        };
        let is_whole = |fence: &Fence| !fence.cut || fence.bytes.len() == FENCE_BYTES;
        if !is_whole(&run.first) || !is_whole(&run.last) {
            return Err(bad(FLAGS_AT, b[FLAGS_AT].into()));
        }
        if run.level > LEVELS {
            return Err(bad(LEVEL_AT, run.level.into()));
        }
        if run.tail_pages == 0 || run.pages() > 1 << 16 {
            return Err(bad(LEAF_PAGES_AT, run.pages()));
        }
        if run.bytes >= 1 << 48 || run.deleted > run.entries || run.entries >= 1 << 40 || run.set >= 1 << 62 {
            return Err(bad(ENTRIES_AT, run.entries));
        }
        Ok(run)
    }

    /// Its tail, verified.
    #[inline]
    pub fn tail<'p>(&self, pages: &'p Pages) -> Result<Tail<'p>> {
        let page = self.tail_page();
        let tail = pages.extent(page).and_then(|bytes| Tail::open(bytes, page)).map_err(|e| self.name(e))?;
        if tail.leaves() > self.leaf_pages as usize {
            let (expected, got) = (self.leaf_pages.into(), tail.leaves() as u64);
            return Err(self.name(Error::corrupt("tail of a run (leaves)", page.0, 0, expected, got)));
        }
        Ok(tail)
    }

    /// Leaf `at` by its tail.
    #[inline]
    pub fn leaf<'p>(&self, pages: &'p Pages, tail: &Tail<'p>, at: usize) -> Result<Leaf<'p>> {
        self.leaf_at(pages, self.leaf_page(tail, at)?)
    }

    /// The leaf at a page that [`Run::leaf_page`] gave.
    #[inline]
    pub fn leaf_at<'p>(&self, pages: &'p Pages, page: PageNo) -> Result<Leaf<'p>> {
        pages.leaf(page).and_then(|bytes| Leaf::open(bytes, page)).map_err(|e| self.name(e))
    }

    /// The page of leaf `at`.
    #[inline]
    pub fn leaf_page(&self, tail: &Tail<'_>, at: usize) -> Result<PageNo> {
        if at >= tail.leaves() || tail.place(at) >= self.leaf_pages.into() {
            let expected = self.leaf_pages.into();
            let bad = Error::corrupt("tail of a run (place of a leaf)", self.tail_page().0, 0, expected, at as u64);
            return Err(self.name(bad));
        }
        Ok(PageNo(self.page.0 + tail.place(at)))
    }

    /// Puts the number of the run into an error about a page of it.
    #[cold]
    pub fn name(&self, e: Error) -> Error {
        match e {
            Error::Corrupt(damage) => Error::Corrupt(Damage { run: damage.run.or(Some(self.number)), ..damage }),
            other => other,
        }
    }

    /// How its first key compares with `key`.
    #[inline]
    pub fn compare_first(&self, pages: &Pages, key: &[u8]) -> Result<Ordering> {
        match self.first.compare(key) {
            Some(order) => Ok(order),
            None => Ok(self.tail(pages)?.keys().map_err(|e| self.name(e))?.0.cmp(key)),
        }
    }

    /// How its last key compares with `key`.
    #[inline]
    pub fn compare_last(&self, pages: &Pages, key: &[u8]) -> Result<Ordering> {
        match self.last.compare(key) {
            Some(order) => Ok(order),
            None => Ok(self.tail(pages)?.keys().map_err(|e| self.name(e))?.1.cmp(key)),
        }
    }

    /// The range that covers a key, if the run deletes one.
    pub fn covering<'p>(&self, pages: &'p Pages, key: &[u8]) -> Result<Option<(&'p [u8], &'p [u8])>> {
        if !self.ranges {
            return Ok(None);
        }
        let ranges = self.tail(pages)?.ranges().map_err(|e| self.name(e))?;
        let after = ranges.partition_point(|(start, _)| *start <= key);
        Ok(after.checked_sub(1).map(|at| ranges[at]).filter(|(_, end)| key < *end))
    }

    /// What the run has of a key.
    #[inline]
    pub fn get<'p>(&self, pages: &'p Pages, key: &[u8], hash: FilterHash) -> Result<Option<Cell<'p>>> {
        self.look(pages, key, hash).map_err(|e| self.name(e))
    }

    #[inline]
    fn look<'p>(&self, pages: &'p Pages, key: &[u8], hash: FilterHash) -> Result<Option<Cell<'p>>> {
        let known = pages.known(self.tail_page(), &self.filter);
        if known.is_some_and(|blocks| !filter::may_hold(blocks, hash)) {
            return Ok(None);
        }
        let tail = self.tail(pages)?;
        if known.is_none() {
            let may_hold = tail.may_hold(hash)?;
            pages.make_known(self.tail_page(), tail.filter_place(), &self.filter);
            if !may_hold {
                return Ok(None);
            }
        }
        if tail.leaves() == 0 {
            return Ok(None);
        }
        let page = self.leaf_page(&tail, tail.find(key, false)?)?;
        let bytes = pages.leaf(page)?;
        // Its header is not waited for before the rest is asked for.
        prefetch_head(bytes.as_ptr());
        Leaf::open(bytes, page)?.get(key)
    }
}
