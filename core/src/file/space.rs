//! Free space: a bitmap tree, one bit a page, written copy on write and loaded when needed.
//!
//! ```text
//!   root -> node [chunk page, free count] x 500 -> chunk: 16 384 pages (64 MiB)
//!                                                    +-- a bit a page: reached by the checkpoint
//!                                                    +-- 2 bits a region: free, pages, extents
//! ```
//!
//! **What is written is a function of the checkpoint alone**: a bit is set when the checkpoint reaches
//! the page. In memory every loaded chunk has a second bitmap, *busy*: pages that a checkpoint does not
//! reach but somebody does: blocks still in the heap, pages of older checkpoints that a snapshot may
//! read. A page can be given out when neither bit is set (Invariant 12).
//!
//! ```text
//!             give to a heap block          fold it (adopt)
//!    free  ---------------------->  busy  ------------------->  used
//!     ^  ^                           |                           |
//!     |  +------- unpin -------------+ <-------- retire ---------+
//!     |            (no snapshot of an older generation lives)
//!     +-------------- take (checkpoint writes a page) ----------> used
//! ```
//!
//! The file is cut into regions; a region serves either single pages and blocks or extents, so that
//! large documents find runs of pages. Numbers beyond the end of the file may be given out: the file is
//! grown by the checkpoint that writes them.

#[cfg(not(loom))]
pub mod survey;

use super::page::{self, get_u16, get_u48, get_u64, put_u16, put_u48, put_u64};
use super::page::{PageBuf, PageKind, PageNo, PageSource, UnitHeader, PAGE_BYTES};
use crate::error::{Error, Result};
use crate::plant::{planted, Bug};
use std::collections::{BTreeMap, BTreeSet};

/// Pages that one chunk of the bitmap covers.
pub const CHUNK_PAGES: u64 = 1 << 14;
const WORDS: usize = CHUNK_PAGES as usize / 64;

/// Children of a node.
const NODE_CHILDREN: u64 = 500;
const MAX_HEIGHT: u8 = 4;

const BODY_AT: usize = 64;
const KINDS_AT: usize = BODY_AT + WORDS * 8;
const KINDS_BYTES: usize = CHUNK_PAGES as usize / 4 * 2 / 8;
const INDEX_AT: usize = page::UNIT_HEADER_BYTES;
const LEVEL_AT: usize = INDEX_AT + 8;
const CHILD_BYTES: usize = 8;
const _: () = assert!(KINDS_AT + KINDS_BYTES <= PAGE_BYTES);
const _: () = assert!(BODY_AT + NODE_CHILDREN as usize * CHILD_BYTES <= PAGE_BYTES);

/// Field names of `docs/file-format.md` and where the code has them: chunk, node, child of a node.
#[cfg(all(test, not(loom)))]
pub(crate) const LAYOUTS: [crate::format_tests::Layout; 3] = [
    &[
        ("unit header", 0),
        ("index", INDEX_AT),
        ("zero", INDEX_AT + 8),
        ("used", BODY_AT),
        ("regions", KINDS_AT),
        ("zero", KINDS_AT + KINDS_BYTES),
        ("", PAGE_BYTES),
    ],
    &[
        ("unit header", 0),
        ("index", INDEX_AT),
        ("level", LEVEL_AT),
        ("zero", LEVEL_AT + 1),
        ("children", BODY_AT),
        ("zero", BODY_AT + NODE_CHILDREN as usize * CHILD_BYTES),
        ("", PAGE_BYTES),
    ],
    &[("page", 0), ("free", 6), ("", CHILD_BYTES)],
];

/// Root of the bitmap tree, kept in the meta page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpaceRoot {
    /// The root page: a chunk when `height` is 0, else a node.
    pub page: PageNo,
    /// Levels of nodes above the chunks.
    pub height: u8,
}

impl SpaceRoot {
    /// Encoded size.
    pub const BYTES: usize = 8;

    /// Writes it.
    pub fn encode(&self, b: &mut [u8]) {
        put_u48(b, 0, self.page.0);
        b[6] = self.height;
        b[7] = 0;
    }

    /// Reads it.
    pub fn decode(b: &[u8]) -> SpaceRoot {
        SpaceRoot { page: PageNo(get_u48(b, 0)), height: b[6] }
    }
}

/// What a region serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum RegionKind {
    Free = 0,
    Pages = 1,
    Extents = 2,
}

struct Chunk {
    /// Reached by the checkpoint that is in the file, or in the making.
    used: [u64; WORDS],
    /// Not reached by it, and still not to be given out.
    busy: [u64; WORDS],
    kinds: Vec<RegionKind>,
    /// Free regions that [`Space::free_regions`] has told, since they were last used.
    told: Vec<bool>,
    /// Pages with neither bit.
    available: u32,
}

impl Chunk {
    fn empty(regions: usize) -> Box<Chunk> {
        Box::new(Chunk {
            used: [0; WORDS],
            busy: [0; WORDS],
            kinds: vec![RegionKind::Free; regions],
            told: vec![false; regions],
            available: CHUNK_PAGES as u32,
        })
    }

    fn word(&self, at: usize) -> u64 {
        !(self.used[at] | self.busy[at])
    }

    fn used_pages(&self) -> u32 {
        self.used.iter().map(|w| w.count_ones()).sum()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Child {
    page: PageNo,
    free: u16,
}

/// What a checkpoint changed, so that a failed one can be taken back.
#[derive(Debug, Clone, Copy)]
enum Change {
    Taken,
    Adopted,
    Retired,
}

/// The allocator of pages. Not shared by itself: the engine keeps it under a lock.
pub struct Space {
    region_pages: u64,
    chunks: BTreeMap<u64, Box<Chunk>>,
    dirty: BTreeSet<u64>,
    nodes: BTreeMap<(u8, u64), Vec<Child>>,
    root: SpaceRoot,
    /// Chunks that exist in the file's tree.
    chunk_count: u64,
    /// No word of the bitmap below (64 pages each) has a run of the order.
    hints: [u64; super::pages::MAX_ORDER as usize + 1],
    /// Where the last extent ended.
    extent_hint: u64,
    used_pages: u64,
    /// One past the highest page in use by the checkpoint in the making.
    end: u64,
    journal: Vec<(PageNo, u64, Change)>,
    journaling: bool,
    saved: (SpaceRoot, u64, u64),
}

impl std::fmt::Debug for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Space").field("root", &self.root).field("used_pages", &self.used_pages).finish_non_exhaustive()
    }
}

impl Space {
    /// The space of a new file: only the meta pages are used.
    pub fn create(region_pages: u32) -> Space {
        let mut space = Space::open(SpaceRoot::default(), region_pages, super::meta::META_PAGES, 0);
        let mut chunk = Chunk::empty(space.regions());
        chunk.used[0] = (1 << super::meta::META_PAGES) - 1;
        chunk.available -= super::meta::META_PAGES as u32;
        chunk.kinds[0] = RegionKind::Pages;
        space.chunks.insert(0, chunk);
        space.dirty.insert(0);
        space.chunk_count = 1;
        space
    }

    /// The space that a meta page names. Nothing is read yet.
    pub fn open(root: SpaceRoot, region_pages: u32, used_pages: u64, file_pages: u64) -> Space {
        Space {
            region_pages: region_pages.into(),
            chunks: BTreeMap::new(),
            dirty: BTreeSet::new(),
            nodes: BTreeMap::new(),
            root,
            chunk_count: file_pages.div_ceil(CHUNK_PAGES),
            hints: Default::default(),
            extent_hint: 0,
            used_pages,
            end: 0,
            journal: Vec::new(),
            journaling: false,
            saved: (root, used_pages, 0),
        }
    }

    fn regions(&self) -> usize {
        (CHUNK_PAGES / self.region_pages) as usize
    }

    /// Pages reached by the checkpoint, the meta pages included.
    pub fn used_pages(&self) -> u64 {
        self.used_pages
    }

    /// One past the highest page the checkpoint in the making uses, as far as it took any.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// One past the highest page that the checkpoint uses. Loads chunks from the end until one has any.
    pub fn used_end(&mut self, src: &dyn PageSource) -> Result<u64> {
        for index in (0..self.chunk_count).rev() {
            self.load(src, index)?;
            let Some(chunk) = self.chunks.get(&index) else { continue };
            if let Some(word) = chunk.used.iter().rposition(|word| *word != 0) {
                let bit = 63 - u64::from(chunk.used[word].leading_zeros());
                return Ok(index * CHUNK_PAGES + word as u64 * 64 + bit + 1);
            }
        }
        Ok(super::meta::META_PAGES)
    }

    // ---- loading -------------------------------------------------------------------------------

    fn load(&mut self, src: &dyn PageSource, index: u64) -> Result<()> {
        if self.chunks.contains_key(&index) {
            return Ok(());
        }
        let at = if index < self.chunk_count { self.chunk_page(src, index)? } else { PageNo::NONE };
        let chunk = if at.is_none() { Chunk::empty(self.regions()) } else { self.decode_chunk(src, at, index)? };
        // Whoever took them for free would write over them.
        let (metas, got) = ((1 << super::meta::META_PAGES) - 1, chunk.used[0]);
        if index == 0 && got & metas != metas {
            return Err(Error::corrupt(
                "space chunk (meta page marked free)",
                at.0,
                BODY_AT as u32,
                metas,
                got & metas,
            ));
        }
        self.chunks.insert(index, chunk);
        Ok(())
    }

    /// Where chunk `index` is in the file; none if it was never written.
    fn chunk_page(&mut self, src: &dyn PageSource, index: u64) -> Result<PageNo> {
        if self.root.height == 0 {
            return Ok(if index == 0 { self.root.page } else { PageNo::NONE });
        }
        Ok(self.child(src, 1, index)?.page)
    }

    /// The entry for child `index` of level `level - 1`, nodes loaded from the root down.
    fn child(&mut self, src: &dyn PageSource, level: u8, index: u64) -> Result<Child> {
        if level > self.root.height {
            return Ok(Child::default());
        }
        let node = index / NODE_CHILDREN;
        if !self.nodes.contains_key(&(level, node)) {
            let at = match level == self.root.height {
                true if node == 0 => self.root.page,
                true => PageNo::NONE,
                false => self.child(src, level + 1, node)?.page,
            };
            let children = if at.is_none() { Vec::new() } else { decode_node(src, at, level, node)? };
            self.nodes.insert((level, node), children);
        }
        let children = &self.nodes[&(level, node)];
        Ok(children.get((index % NODE_CHILDREN) as usize).copied().unwrap_or_default())
    }

    fn decode_chunk(&self, src: &dyn PageSource, at: PageNo, index: u64) -> Result<Box<Chunk>> {
        let b = src.unit(at, PageKind::SpaceChunk)?;
        let got = get_u64(b, INDEX_AT);
        if got != index {
            return Err(Error::corrupt("space chunk (index)", at.0, INDEX_AT as u32, index, got));
        }
        let mut chunk = Chunk::empty(self.regions());
        for (i, word) in chunk.used.iter_mut().enumerate() {
            *word = get_u64(b, BODY_AT + i * 8);
        }
        for (i, kind) in chunk.kinds.iter_mut().enumerate() {
            *kind = match b[KINDS_AT + i / 4] >> (i % 4 * 2) & 3 {
                0 => RegionKind::Free,
                1 => RegionKind::Pages,
                2 => RegionKind::Extents,
                got => {
                    return Err(Error::corrupt("space chunk (region)", at.0, (KINDS_AT + i / 4) as u32, 2, got.into()))
                }
            };
        }
        chunk.available = CHUNK_PAGES as u32 - chunk.used_pages();
        Ok(chunk)
    }

    // ---- giving out ----------------------------------------------------------------------------

    /// A run of 2^order pages for a heap block: busy until adopted, retired or unpinned.
    pub fn give(&mut self, src: &dyn PageSource, order: u8) -> Result<PageNo> {
        let page = self.find(src, order)?;
        self.set_busy(page, 1 << order, true);
        Ok(page)
    }

    /// A run of `pages` pages for a large document in the heap: as [`Space::give`].
    pub fn give_extent(&mut self, src: &dyn PageSource, pages: u64) -> Result<PageNo> {
        let page = self.find_extent(src, pages)?;
        self.set_busy(page, pages, true);
        Ok(page)
    }

    /// A run of 2^order pages for a unit that the checkpoint in the making writes.
    pub fn take(&mut self, src: &dyn PageSource, order: u8) -> Result<PageNo> {
        let page = self.find(src, order)?;
        self.set_used(page, 1 << order, true);
        self.note(page, 1 << order, Change::Taken);
        Ok(page)
    }

    /// A run of `pages` pages for a large document that the checkpoint in the making moves.
    pub fn take_extent(&mut self, src: &dyn PageSource, pages: u64) -> Result<PageNo> {
        let page = self.find_extent(src, pages)?;
        self.set_used(page, pages, true);
        self.note(page, pages, Change::Taken);
        Ok(page)
    }

    /// Lets the next [`Space::persist`] write anew what of the bitmap lies at `limit` or beyond.
    pub fn evacuate(&mut self, src: &dyn PageSource, limit: PageNo) -> Result<()> {
        for index in 0..self.chunk_count {
            let mut beyond = self.chunk_page(src, index)? >= limit;
            let mut node = index;
            for level in 1..=self.root.height {
                if node % NODE_CHILDREN != 0 {
                    break;
                }
                node /= NODE_CHILDREN;
                let at = match level == self.root.height {
                    true => self.root.page,
                    false => self.child(src, level + 1, node)?.page,
                };
                beyond |= at >= limit;
            }
            if beyond {
                self.load(src, index)?;
                self.dirty.insert(index);
            }
        }
        Ok(())
    }

    /// Looks for the next runs from the front of the file: what became free is used first.
    pub fn rewind(&mut self) {
        self.hints = Default::default();
        self.extent_hint = 0;
    }

    /// Regions of the file that nothing uses, neither the checkpoint nor anybody in memory, among the loaded
    /// chunks: (first page, pages), the highest first, without the lowest `keep`, and up to `most` of them that were
    /// not told before.
    pub fn free_regions(&mut self, file_pages: u64, keep: usize, most: usize) -> Vec<(PageNo, u64)> {
        let region_pages = self.region_pages;
        // The kinds come from the file; the bits decide.
        let is_free = |index: u64, chunk: &Chunk, region: usize| {
            let first = region * region_pages as usize;
            let inside = index * CHUNK_PAGES + first as u64 + region_pages <= file_pages;
            let mut bits = first..first + region_pages as usize;
            inside && chunk.kinds[region] == RegionKind::Free && bits.all(|i| chunk.word(i / 64) >> (i % 64) & 1 == 1)
        };
        let mut regions = Vec::new();
        for (&index, chunk) in &self.chunks {
            let free = (0..chunk.kinds.len()).filter(|region| is_free(index, chunk, *region));
            regions.extend(free.map(|region| (index, region)));
        }
        let mut found = Vec::new();
        for (index, region) in regions.into_iter().skip(keep).rev() {
            let Some(chunk) = self.chunks.get_mut(&index) else { continue };
            if found.len() == most {
                break;
            }
            if !std::mem::replace(&mut chunk.told[region], true) {
                found.push((PageNo(index * CHUNK_PAGES + region as u64 * region_pages), region_pages));
            }
        }
        found
    }

    /// Runs of at least `least` pages of the file that nothing uses, among the loaded chunks: (first page, pages), the
    /// longest first.
    pub fn free_runs(&self, file_pages: u64, least: u64) -> Vec<(PageNo, u64)> {
        let mut runs = Vec::new();
        for (&index, chunk) in &self.chunks {
            let free = std::array::from_fn(|at| chunk.word(at));
            // It never fails.
            let _ = for_runs(&free, |at, pages| {
                // Whatever the bitmap of a hostile file says of the meta pages.
                let first = (index * CHUNK_PAGES + at).max(super::meta::META_PAGES);
                let pages = (index * CHUNK_PAGES + at + pages).min(file_pages).saturating_sub(first);
                if pages >= least {
                    runs.push((PageNo(first), pages));
                }
                Ok(())
            });
        }
        runs.sort_unstable_by_key(|(_, pages)| std::cmp::Reverse(*pages));
        runs
    }

    /// A heap unit becomes part of the checkpoint in the making.
    pub fn adopt(&mut self, page: PageNo, pages: u64) {
        // In this order, so that the region never looks empty in between and keeps its kind.
        self.set_used(page, pages, true);
        self.set_busy(page, pages, false);
        self.note(page, pages, Change::Adopted);
    }

    /// The checkpoint in the making no longer reaches these pages; older ones may. They stay busy
    /// until [`Space::unpin`].
    pub fn retire(&mut self, src: &dyn PageSource, page: PageNo, pages: u64) -> Result<()> {
        self.load(src, page.0 / CHUNK_PAGES)?;
        if !self.is_used(page, pages) {
            return Err(Error::corrupt("space chunk (page in use and marked free)", page.0, 0, 1, 0));
        }
        if planted(Bug::PageReusedEarly) {
            self.set_used(page, pages, false);
            return Ok(());
        }
        self.set_busy(page, pages, true);
        self.set_used(page, pages, false);
        self.note(page, pages, Change::Retired);
        Ok(())
    }

    /// Nobody can reach these busy pages any more.
    pub fn unpin(&mut self, page: PageNo, pages: u64) {
        self.set_busy(page, pages, false);
        for hint in &mut self.hints {
            *hint = (*hint).min(page.0 / 64);
        }
        self.extent_hint = self.extent_hint.min(page.0);
    }

    fn is_used(&self, page: PageNo, pages: u64) -> bool {
        let Some(chunk) = self.chunks.get(&(page.0 / CHUNK_PAGES)) else { return false };
        let first = (page.0 % CHUNK_PAGES) as usize;
        first + pages as usize <= CHUNK_PAGES as usize
            && (first..first + pages as usize).all(|i| chunk.used[i / 64] >> (i % 64) & 1 == 1)
    }

    fn note(&mut self, page: PageNo, pages: u64, change: Change) {
        if self.journaling {
            self.journal.push((page, pages, change));
        }
    }

    fn find(&mut self, src: &dyn PageSource, order: u8) -> Result<PageNo> {
        let hint = self.hints[usize::from(order)];
        let mut index = hint / WORDS as u64;
        let mut word = (hint % WORDS as u64) as usize;
        loop {
            if index >= super::pages::MAX_PAGES / CHUNK_PAGES {
                return Err(Error::DiskFull { doing: "allocating a page (the file has 2^40)" });
            }
            if self.may_have(src, index, 1 << order)? {
                self.load(src, index)?;
                let region_pages = self.region_pages;
                if let Some(chunk) = self.chunks.get_mut(&index) {
                    if let Some(at) = find_run(chunk, order, region_pages, word) {
                        self.hints[usize::from(order)] = index * WORDS as u64 + at / 64;
                        return Ok(PageNo(index * CHUNK_PAGES + at));
                    }
                }
            }
            index += 1;
            word = 0;
        }
    }

    /// False when chunk `index` is known to have fewer than `pages` pages left, without loading it.
    fn may_have(&mut self, src: &dyn PageSource, index: u64, pages: u32) -> Result<bool> {
        if let Some(chunk) = self.chunks.get(&index) {
            return Ok(chunk.available >= pages);
        }
        if index >= self.chunk_count || self.root.height == 0 {
            return Ok(true);
        }
        let child = self.child(src, 1, index)?;
        Ok(child.page.is_none() || u32::from(child.free) >= pages)
    }

    fn find_extent(&mut self, src: &dyn PageSource, pages: u64) -> Result<PageNo> {
        if pages > CHUNK_PAGES / 2 {
            return Err(Error::Internal(format!("an extent of {pages} pages")));
        }
        let hint = self.extent_hint;
        for index in hint / CHUNK_PAGES..super::pages::MAX_PAGES / CHUNK_PAGES {
            if !self.may_have(src, index, pages as u32)? {
                continue;
            }
            self.load(src, index)?;
            let region_pages = self.region_pages;
            let from = hint.saturating_sub(index * CHUNK_PAGES);
            if let Some(chunk) = self.chunks.get_mut(&index) {
                if let Some(at) = find_extent_run(chunk, pages, region_pages, from) {
                    self.extent_hint = index * CHUNK_PAGES + at + pages;
                    return Ok(PageNo(index * CHUNK_PAGES + at));
                }
            }
        }
        Err(Error::DiskFull { doing: "allocating an extent (the file has 2^40 pages)" })
    }

    fn set_used(&mut self, page: PageNo, pages: u64, on: bool) {
        self.dirty.insert(page.0 / CHUNK_PAGES);
        if on {
            self.used_pages += pages;
            self.end = self.end.max(page.0 + pages);
        } else {
            // The count comes from the meta page, and a hostile one may say less than the bitmap.
            self.used_pages = self.used_pages.saturating_sub(pages);
        }
        self.set_bits(page, pages, on, |chunk| &mut chunk.used);
    }

    fn set_busy(&mut self, page: PageNo, pages: u64, on: bool) {
        self.set_bits(page, pages, on, |chunk| &mut chunk.busy);
    }

    fn set_bits(&mut self, page: PageNo, pages: u64, on: bool, which: fn(&mut Chunk) -> &mut [u64; WORDS]) {
        let region_pages = self.region_pages as usize;
        let Some(chunk) = self.chunks.get_mut(&(page.0 / CHUNK_PAGES)) else {
            debug_assert!(false, "a page of a chunk that was never loaded");
            return;
        };
        let first = (page.0 % CHUNK_PAGES) as usize;
        for i in first..first + pages as usize {
            let (word, bit) = (i / 64, 1u64 << (i % 64));
            let was_free = chunk.word(word) & bit != 0;
            let bits = which(chunk);
            debug_assert_eq!(bits[word] & bit == 0, on, "Invariant 12: page {} set or cleared twice", page.0);
            if on {
                bits[word] |= bit;
            } else {
                bits[word] &= !bit;
            }
            match (was_free, chunk.word(word) & bit != 0) {
                (true, false) => chunk.available -= 1,
                (false, true) => {
                    chunk.available += 1;
                    free_region_if_empty(chunk, i / region_pages, region_pages);
                }
                _ => {}
            }
        }
    }

    // ---- checkpoints ---------------------------------------------------------------------------

    /// From here on changes can be taken back by [`Space::abort_checkpoint`].
    pub fn begin_checkpoint(&mut self) {
        debug_assert!(self.journal.is_empty());
        self.saved = (self.root, self.used_pages, self.end);
        self.journaling = true;
    }

    /// The checkpoint failed before any meta page named it: everything is as it was before.
    pub fn abort_checkpoint(&mut self) {
        self.journaling = false;
        let journal = std::mem::take(&mut self.journal);
        if planted(Bug::AbortForgotten) {
            return;
        }
        for (page, pages, change) in journal.into_iter().rev() {
            match change {
                Change::Taken => self.set_used(page, pages, false),
                Change::Adopted => {
                    self.set_busy(page, pages, true);
                    self.set_used(page, pages, false);
                }
                Change::Retired => {
                    self.set_used(page, pages, true);
                    self.set_busy(page, pages, false);
                }
            }
        }
        self.end = self.saved.2;
        // A hostile count may have met its floor on the way.
        self.used_pages = self.saved.1;
        // Nothing differs from the file any more.
        self.dirty.clear();
        // `persist` may have moved nodes; they are loaded again from the old root.
        self.nodes.clear();
        self.root = self.saved.0;
        self.hints = Default::default();
        self.extent_hint = 0;
    }

    /// The checkpoint is durable. Returns the runs it retired; they are free once unpinned.
    pub fn finish_checkpoint(&mut self) -> Vec<(PageNo, u64)> {
        self.journaling = false;
        self.dirty.clear();
        let journal = std::mem::take(&mut self.journal);
        journal.into_iter().filter(|(_, _, change)| matches!(change, Change::Retired)).map(|(p, n, _)| (p, n)).collect()
    }

    /// Writes all changed chunks and the nodes above them to new pages and returns the new root.
    /// No page may be taken or retired after this until the checkpoint ends.
    pub fn persist(
        &mut self,
        src: &dyn PageSource,
        write: &mut dyn FnMut(PageNo, PageBuf) -> Result<()>,
    ) -> Result<SpaceRoot> {
        let chunk_count = self.chunks.keys().next_back().map_or(0, |last| last + 1).max(self.chunk_count);
        let mut height = 0;
        while NODE_CHILDREN.pow(height) < chunk_count {
            height += 1;
        }
        // A tree that was higher stays so: the file was cut, and will grow again.
        let height = (height as u8).max(self.root.height);
        if height > MAX_HEIGHT {
            return Err(Error::Internal(format!("a space tree of {height} levels")));
        }
        self.grow_tree(src, height)?;
        let fresh = self.place(src, height)?;
        self.chunk_count = chunk_count;
        self.write_levels(height, &fresh, write)?;
        let root = fresh.get(&(height, 0)).copied().unwrap_or(self.root.page);
        self.root = SpaceRoot { page: root, height };
        Ok(self.root)
    }

    /// Puts new roots above the old one until the tree has `height` levels.
    fn grow_tree(&mut self, src: &dyn PageSource, height: u8) -> Result<()> {
        while self.root.height < height {
            let mut free = 0;
            if self.root.height == 0 && !self.root.page.is_none() {
                self.load(src, 0)?;
                free = self.chunks.get(&0).map_or(0, |c| CHUNK_PAGES as u16 - c.used_pages() as u16);
            }
            let level = self.root.height + 1;
            self.nodes.insert((level, 0), vec![Child { page: self.root.page, free }]);
            // The node exists only in memory: its page is chosen by `place`, as it has none to retire.
            self.root = SpaceRoot { page: PageNo::NONE, height: level };
            self.dirty.insert(0);
        }
        Ok(())
    }

    /// Chooses new pages for every changed chunk and its ancestors. Choosing one may change another
    /// chunk, so this goes on until nothing new has changed; it ends because each round adds pages to
    /// a finite set.
    fn place(&mut self, src: &dyn PageSource, height: u8) -> Result<BTreeMap<(u8, u64), PageNo>> {
        let mut fresh = BTreeMap::new();
        loop {
            let mut todo = Vec::new();
            for &chunk in &self.dirty {
                let mut index = chunk;
                for level in 0..=height {
                    if !fresh.contains_key(&(level, index)) && !todo.contains(&(level, index)) {
                        todo.push((level, index));
                    }
                    index /= NODE_CHILDREN;
                }
            }
            if todo.is_empty() {
                return Ok(fresh);
            }
            for (level, index) in todo {
                let old = match level == height {
                    true => self.root.page,
                    false => self.child(src, level + 1, index)?.page,
                };
                if !old.is_none() {
                    self.retire(src, old, 1)?;
                }
                let page = self.take(src, 0)?;
                fresh.insert((level, index), page);
            }
        }
    }

    fn write_levels(
        &mut self,
        height: u8,
        fresh: &BTreeMap<(u8, u64), PageNo>,
        write: &mut dyn FnMut(PageNo, PageBuf) -> Result<()>,
    ) -> Result<()> {
        for (&(level, index), &page) in fresh {
            let mut free = u16::MAX;
            if level == 0 {
                let Some(chunk) = self.chunks.get(&index) else { continue };
                free = (CHUNK_PAGES as u32 - chunk.used_pages()) as u16;
                write(page, encode_chunk(chunk, index, page, self.region_pages as usize))?;
            } else {
                let children = self.nodes.entry((level, index)).or_default();
                write(page, encode_node(children, level, index, page))?;
            }
            if level < height {
                let node = self.nodes.entry((level + 1, index / NODE_CHILDREN)).or_default();
                let at = (index % NODE_CHILDREN) as usize;
                if node.len() <= at {
                    node.resize(at + 1, Child::default());
                }
                node[at] = Child { page, free };
            }
        }
        Ok(())
    }

    // ---- inspection ----------------------------------------------------------------------------

    /// Calls `page` for each page of the bitmap tree itself and `used` for each run of used pages, as
    /// the file has them at `root`. Reads only.
    pub fn walk(
        src: &dyn PageSource,
        root: SpaceRoot,
        region_pages: u32,
        file_pages: u64,
        page: &mut dyn FnMut(PageNo) -> Result<()>,
        used: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        Space::walk_where(src, root, region_pages, file_pages, &mut |at| page(at).map(|()| true), used)
    }

    /// [`Space::walk`] that leaves out the chunks for which `page` says false.
    pub fn walk_where(
        src: &dyn PageSource,
        root: SpaceRoot,
        region_pages: u32,
        file_pages: u64,
        page: &mut dyn FnMut(PageNo) -> Result<bool>,
        used: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let mut space = Space::open(root, region_pages, 0, file_pages);
        if root.height > MAX_HEIGHT {
            return Err(Error::corrupt("space tree (height)", root.page.0, 0, MAX_HEIGHT.into(), root.height.into()));
        }
        // Not by the file's length: where that was cut, empty chunks stay in the tree.
        space.walk_part(src, (root.height, 0, root.page), None, page, used)
    }

    /// [`Space::walk_where`] below one page; calls itself at most `level` deep. `free`: what the node above says of
    /// a chunk.
    fn walk_part(
        &mut self,
        src: &dyn PageSource,
        at: (u8, u64, PageNo),
        free: Option<u16>,
        page: &mut dyn FnMut(PageNo) -> Result<bool>,
        used: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let (level, index, at) = at;
        if at.is_none() || !page(at)? {
            return Ok(());
        }
        if level > 0 {
            for (i, child) in decode_node(src, at, level, index)?.into_iter().enumerate() {
                let below = index * NODE_CHILDREN + i as u64;
                let free = (level == 1).then_some(child.free);
                self.walk_part(src, (level - 1, below, child.page), free, page, used)?;
            }
            return Ok(());
        }
        let chunk = self.decode_chunk(src, at, index)?;
        let counted = CHUNK_PAGES - u64::from(chunk.used_pages());
        if let Some(free) = free.map(u64::from).filter(|free| *free != counted) {
            return Err(Error::corrupt("space node (free count)", at.0, 0, counted, free));
        }
        for_runs(&chunk.used, |first, pages| used(index * CHUNK_PAGES + first, pages))
    }
}

/// Calls `f` for each maximal run of set bits.
fn for_runs(words: &[u64; WORDS], mut f: impl FnMut(u64, u64) -> Result<()>) -> Result<()> {
    let bit = |i: u64| words[(i / 64) as usize] >> (i % 64) & 1 == 1;
    let mut i = 0;
    while i < CHUNK_PAGES {
        if i % 64 == 0 && words[(i / 64) as usize] == 0 {
            i += 64;
            continue;
        }
        let first = i;
        while i < CHUNK_PAGES && bit(i) {
            i += 1;
        }
        if i > first {
            f(first, i - first)?;
        }
        i += 1;
    }
    Ok(())
}

/// The lowest aligned run of 2^order pages in a region for pages; takes a free region if need be.
fn find_run(chunk: &mut Chunk, order: u8, region_pages: u64, from_word: usize) -> Option<u64> {
    let region_pages = region_pages as usize;
    for word in from_word..WORDS {
        let mut starts = chunk.word(word);
        if starts == 0 {
            continue;
        }
        for k in 0..order {
            starts &= starts >> (1 << k);
        }
        starts &= aligned_starts(order);
        while starts != 0 {
            let at = word * 64 + starts.trailing_zeros() as usize;
            let region = at / region_pages;
            if chunk.kinds[region] != RegionKind::Extents {
                chunk.kinds[region] = RegionKind::Pages;
                chunk.told[region] = false;
                return Some(at as u64);
            }
            let next = ((region + 1) * region_pages).saturating_sub(word * 64);
            starts = if next >= 64 { 0 } else { starts >> next << next };
        }
    }
    None
}

fn aligned_starts(order: u8) -> u64 {
    match order {
        0 => u64::MAX,
        1 => 0x5555_5555_5555_5555,
        2 => 0x1111_1111_1111_1111,
        3 => 0x0101_0101_0101_0101,
        _ => 0x0001_0001_0001_0001,
    }
}

/// The lowest run of `pages` pages in regions for extents, adjoining free regions taken as needed.
fn find_extent_run(chunk: &mut Chunk, pages: u64, region_pages: u64, from: u64) -> Option<u64> {
    let (mut run, mut i) = (0, from);
    while i < CHUNK_PAGES {
        let region = (i / region_pages) as usize;
        let usable = chunk.kinds[region] != RegionKind::Pages;
        if !usable {
            run = 0;
            i = (region as u64 + 1) * region_pages;
            continue;
        }
        let word = chunk.word((i / 64) as usize);
        if word == 0 {
            run = 0;
            i = (i / 64 + 1) * 64;
            continue;
        }
        let free = word >> (i % 64) & 1 == 1;
        run = if free { run + 1 } else { 0 };
        i += 1;
        if run == pages {
            let first = i - pages;
            for region in first / region_pages..=(i - 1) / region_pages {
                chunk.kinds[region as usize] = RegionKind::Extents;
                chunk.told[region as usize] = false;
            }
            return Some(first);
        }
    }
    None
}

fn free_region_if_empty(chunk: &mut Chunk, region: usize, region_pages: usize) {
    let first = region * region_pages;
    if (first..first + region_pages).all(|i| chunk.word(i / 64) >> (i % 64) & 1 == 1) {
        chunk.kinds[region] = RegionKind::Free;
    }
}

fn header(kind: PageKind, page: PageNo) -> UnitHeader {
    UnitHeader { page, kind, order: 0, generation: 0, tree: 0 }
}

fn encode_chunk(chunk: &Chunk, index: u64, page: PageNo, region_pages: usize) -> PageBuf {
    let mut b = PageBuf::zeroed(1);
    header(PageKind::SpaceChunk, page).encode(&mut b);
    put_u64(&mut b, INDEX_AT, index);
    for (i, word) in chunk.used.iter().enumerate() {
        put_u64(&mut b, BODY_AT + i * 8, *word);
    }
    for (i, kind) in chunk.kinds.iter().enumerate() {
        // A region whose pages only heap blocks or snapshots hold is free in the checkpoint.
        let first = i * region_pages;
        let used = (first..first + region_pages).any(|p| chunk.used[p / 64] >> (p % 64) & 1 == 1);
        let kind = if used { *kind } else { RegionKind::Free };
        b[KINDS_AT + i / 4] |= (kind as u8) << (i % 4 * 2);
    }
    b
}

fn encode_node(children: &[Child], level: u8, index: u64, page: PageNo) -> PageBuf {
    let mut b = PageBuf::zeroed(1);
    header(PageKind::SpaceNode, page).encode(&mut b);
    put_u64(&mut b, INDEX_AT, index);
    b[LEVEL_AT] = level;
    for (i, child) in children.iter().enumerate() {
        put_u48(&mut b, BODY_AT + i * CHILD_BYTES, child.page.0);
        put_u16(&mut b, BODY_AT + i * CHILD_BYTES + 6, child.free);
    }
    b
}

fn decode_node(src: &dyn PageSource, at: PageNo, level: u8, index: u64) -> Result<Vec<Child>> {
    let b = src.unit(at, PageKind::SpaceNode)?;
    let (got_index, got_level) = (get_u64(b, INDEX_AT), b[LEVEL_AT]);
    if got_index != index || got_level != level {
        return Err(Error::corrupt("space node (index)", at.0, INDEX_AT as u32, index, got_index));
    }
    let child = |i: usize| Child {
        page: PageNo(get_u48(b, BODY_AT + i * CHILD_BYTES)),
        free: get_u16(b, BODY_AT + i * CHILD_BYTES + 6),
    };
    Ok((0..NODE_CHILDREN as usize).map(child).collect())
}

#[cfg(all(test, not(loom)))]
mod tests;
