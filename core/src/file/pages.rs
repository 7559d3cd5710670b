//! The page table: where the memory of each page is, and whether its checksum was verified.
//!
//! ```text
//!   page number
//!      |  top (4096) -> middle (4096) -> 1024 groups of 64 pages each
//!      v
//!   group  +--------+--------+-------------------------------+
//!          |  base  |  heap  |  codes: 64 x 4 bits           |     one cache line
//!          +--------+--------+-------------------------------+
//!             |        |          0 = not verified yet
//!             |        |          else kind and order of the unit that begins here
//!             |        +-> 64 pointers to units still in the heap (null: in the mapping)
//!             +-> memory of the group's first page in the mapping
//! ```
//!
//! One line answers all that a reader asks of a page. Tables are made when first needed, published by a
//! release store and never moved or freed while the file is open. A unit is verified (checksum, own
//! number, kind) when it is first touched after opening or after it was written; every later touch pays
//! a load and a compare.
//!
//! Without a mapping (`ReadMode::Pread`) the memory is the [`Cache`]'s, and the first touch reads the unit into it.
//!
//! What comes from the file is verified first (Invariant 17); units in the heap are trusted, as this process
//! made them. A unit leaves the heap for the mapping after a successful data sync (Invariant 5;
//! [`Pages::unit_written`]); its buffer lives on until no reader can hold it (the engine's retire list sees
//! to that).

use super::cache::{Cache, Hold};
use super::disk::DiskFile;
use super::fault::Fault;
use super::page::{self, get_u32, get_u64, PageKind, PageNo, PageSource, PAGE_BYTES};
use crate::error::{Error, Result};
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use std::marker::PhantomData;
use std::sync::Arc;

/// Pages a file may have: 2^40, that is 4 PiB.
pub const MAX_PAGES: u64 = 1 << (TOP_BITS + MIDDLE_BITS + CHUNK_BITS + GROUP_BITS);

/// Largest order of a record block: 16 pages, 64 KiB.
pub const MAX_ORDER: u8 = 4;

/// Bytes of an extent that one checksum covers.
pub const EXTENT_PIECE_BYTES: usize = 64 * 1024;

/// Bytes of an extent's header before its table of checksums.
pub const EXTENT_HEADER_BYTES: usize = 64;
/// Offset of the number of pages in an extent's header (u32).
pub const EXTENT_PAGES_AT: usize = 48;
/// Offset of the document's length in an extent's header (u32).
pub const EXTENT_LENGTH_AT: usize = 52;

/// Field names of `docs/file-format.md` and where the code has them: an extent's header.
#[cfg(all(test, not(loom)))]
pub(crate) const LAYOUT: crate::format_tests::Layout = &[
    ("unit header", 0),
    ("pages", EXTENT_PAGES_AT),
    ("length", EXTENT_LENGTH_AT),
    ("zero", EXTENT_LENGTH_AT + 4),
    ("checksums", EXTENT_HEADER_BYTES),
];

/// Bits of a page number that select the entry of each table.
#[cfg(not(loom))]
const BITS: [u32; 4] = [12, 12, 10, 6];
/// Small enough for the model checker, which follows every entry.
#[cfg(loom)]
const BITS: [u32; 4] = [1, 1, 1, 2];
const TOP_BITS: u32 = BITS[0];
const MIDDLE_BITS: u32 = BITS[1];
const CHUNK_BITS: u32 = BITS[2];
const GROUP_BITS: u32 = BITS[3];
const GROUP_PAGES: usize = 1 << GROUP_BITS;

/// What a verified unit is: 1..=5 a block of order 0..=4, then the other kinds.
type Code = u8;
const BLOCK: Code = 1;
const LAST_BLOCK: Code = BLOCK + MAX_ORDER;
const EXTENT_HEAD: Code = 12;
const EXTENT_PIECE: Code = 13;
/// A leaf of a run of one page, and one of more: its header says how many.
const RUN_LEAF: Code = 14;
const LONG_RUN_LEAF: Code = 15;

/// Largest order of a leaf of a run: 32 pages, 128 KiB.
pub const MAX_LEAF_ORDER: u8 = 5;

fn code_of(kind: PageKind, order: u8) -> Code {
    match kind {
        PageKind::Block => BLOCK + order,
        PageKind::TrieLeaf => 6,
        PageKind::TrieNode => 7,
        PageKind::TreeLeaf => 8,
        PageKind::TreeBranch => 9,
        PageKind::SpaceChunk => 10,
        PageKind::SpaceNode => 11,
        PageKind::Extent => EXTENT_HEAD,
        PageKind::RunLeaf if order == 0 => RUN_LEAF,
        PageKind::RunLeaf => LONG_RUN_LEAF,
    }
}

#[repr(C, align(64))]
struct Group {
    base: AtomicPtr<u8>,
    heap: AtomicPtr<HeapGroup>,
    codes: [AtomicU64; 4],
}

struct HeapGroup {
    /// Tagged pointers: the unit's memory (64-byte aligned) plus its code; null when in the mapping.
    units: [AtomicPtr<u8>; GROUP_PAGES],
}

impl Group {
    fn code(&self, at: usize) -> Code {
        (self.codes[at / 16].load(Ordering::Acquire) >> (at % 16 * 4) & 15) as Code
    }

    fn set_code(&self, at: usize, code: Code) {
        self.codes[at / 16].fetch_or(u64::from(code) << (at % 16 * 4), Ordering::Release);
    }

    fn clear_code(&self, at: usize) {
        self.codes[at / 16].fetch_and(!(15 << (at % 16 * 4)), Ordering::Release);
    }
}

struct Chunk {
    groups: [Group; 1 << CHUNK_BITS],
}

struct Middle {
    chunks: [AtomicPtr<Chunk>; 1 << MIDDLE_BITS],
}

/// The page table of one open file. See the module's text.
pub struct Pages {
    file: Arc<dyn DiskFile>,
    /// Where units are read to; none where the file is mapped.
    cache: Option<Arc<Cache>>,
    seed: u64,
    segment_pages: u64,
    /// Pages that the file has; nothing beyond is touched through the mapping.
    len: AtomicU64,
    /// The newest generation that a unit may be of.
    newest: AtomicU64,
    top: Box<[AtomicPtr<Middle>; 1 << TOP_BITS]>,
    /// Units verified so far.
    verified: AtomicU64,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The memory of a record block, to which the writer may still be appending.
///
/// It hands out only slices of bytes that were written before they could be found: a record whose
/// address was published, the header, the slots of a sealed block.
#[derive(Clone, Copy)]
pub struct BlockMemory<'a> {
    ptr: *const u8,
    bytes: usize,
    page: PageNo,
    table: PhantomData<&'a Pages>,
}

impl<'a> BlockMemory<'a> {
    /// A block that was copied to `bytes`.
    pub fn of_copy(bytes: &'a [u8], page: PageNo) -> BlockMemory<'a> {
        BlockMemory { ptr: bytes.as_ptr(), bytes: bytes.len(), page, table: PhantomData }
    }

    /// Length of the block in bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// The block's first page.
    pub fn page(&self) -> PageNo {
        self.page
    }

    /// One published byte, or `None` past the end.
    #[inline]
    pub fn byte(&self, at: usize) -> Option<u8> {
        // SAFETY: inside the unit, whose memory is valid as long as the table is borrowed (mapping)
        // or as `put_heap` promised (heap), or the copy is.
        (at < self.bytes).then(|| unsafe { *self.ptr.add(at) })
    }

    /// `len` published bytes from `at`, or `None` where the block ends before.
    #[inline]
    pub fn slice(&self, at: usize, len: usize) -> Option<&'a [u8]> {
        if at > self.bytes || len > self.bytes - at {
            return None;
        }
        // SAFETY: as in `byte`; the caller asks only for bytes that were written before they were
        // published and are never written again.
        Some(unsafe { std::slice::from_raw_parts(self.ptr.add(at), len) })
    }

    /// Address of byte `at`, for prefetching only.
    #[inline]
    pub fn hint(&self, at: usize) -> *const u8 {
        self.ptr.wrapping_add(at)
    }
}

/// Where some bytes of an extent lie, once it was verified: with it [`Pages::known`] reads nothing else of the extent.
/// Bytes from the beginning of its memory, and how many: 32 bits each; 0: nobody has looked. It is a cache, so what has one
/// is equal to what has another.
#[derive(Debug, Default)]
pub struct KnownPart(AtomicU64);

/// Not to be known: a place of no bytes, which is not 0.
const UNKNOWABLE: u64 = 1 << 32;

impl Clone for KnownPart {
    fn clone(&self) -> KnownPart {
        KnownPart::default()
    }
}

impl PartialEq for KnownPart {
    fn eq(&self, _: &KnownPart) -> bool {
        true
    }
}

impl Eq for KnownPart {}

/// A unit's memory and what it is.
#[derive(Clone, Copy)]
pub struct Unit {
    ptr: *const u8,
    code: Code,
    /// In this process's heap: trusted, and not sealed yet.
    heap: bool,
}

impl Pages {
    /// A table for `file`, which has `len` pages and the checksum seed `seed`; the file is mapped.
    #[cfg(test)]
    pub fn new(file: Arc<dyn DiskFile>, seed: u64, len: u64) -> Pages {
        Pages::over(file, None, seed, len, u64::MAX)
    }

    /// A table for `file`, whose units are read into `cache`, where there is one; `newest` is the generation of the
    /// checkpoint that they belong to.
    pub fn over(file: Arc<dyn DiskFile>, cache: Option<Arc<Cache>>, seed: u64, len: u64, newest: u64) -> Pages {
        let segment_pages = file.segment_bytes() / PAGE_BYTES as u64;
        Pages {
            file,
            cache,
            seed,
            segment_pages,
            len: AtomicU64::new(len),
            newest: AtomicU64::new(newest),
            top: Box::new(std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut()))),
            verified: AtomicU64::new(0),
        }
    }

    /// Seed of this file's checksums.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Length of the file in pages.
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// Tells the table that the file has grown (never that it shrank).
    pub fn set_len(&self, pages: u64) {
        self.len.fetch_max(pages, Ordering::AcqRel);
    }

    /// The file is about to be cut to `pages`. Nothing beyond may be reachable by anyone.
    pub fn shrink(&self, pages: u64) {
        self.len.fetch_min(pages, Ordering::AcqRel);
    }

    /// From here on a unit may be of this generation, too: its checkpoint is in the making.
    pub fn allow_generation(&self, generation: u64) {
        self.newest.fetch_max(generation, Ordering::Relaxed);
    }

    /// Checks a unit whose covered part is `covered`. A whole one of a checkpoint that is still to come shows that its
    /// page was used again: the meta page that leads here is an old one.
    fn check(&self, covered: &[u8], page: PageNo) -> Result<()> {
        page::check(covered, page, self.seed)?;
        let (newest, got) = (self.newest.load(Ordering::Relaxed), page::generation_of(covered));
        if got > newest {
            return Err(Error::corrupt("unit header (generation)", page.0, 16, newest, got));
        }
        Ok(())
    }

    /// Units whose checksum was verified since opening.
    pub fn verified_units(&self) -> u64 {
        self.verified.load(Ordering::Relaxed)
    }

    /// Bytes of units in memory of our own: 0 where the file is mapped.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.as_ref().map_or(0, |cache| cache.bytes())
    }

    /// Keeps what is read while it lives; none is needed where the file is mapped. To be had before the first
    /// page is looked at by whoever is not pinned to a published state.
    #[inline]
    pub fn hold(&self) -> Option<Hold> {
        self.cache.as_ref().map(Cache::hold)
    }

    /// Whether pages lie in a mapping, where they stay as long as a state that has them is held.
    pub fn are_mapped(&self) -> bool {
        self.cache.is_none()
    }

    #[inline]
    fn group(&self, page: PageNo) -> Option<&Group> {
        // The first entry, and so the first tebibyte, without a load that depends on the number.
        let middle = match page.0 >> (MIDDLE_BITS + CHUNK_BITS + GROUP_BITS) {
            0 => &self.top[0],
            top => self.top.get(usize::try_from(top).ok()?)?,
        };
        let middle = middle.load(Ordering::Acquire);
        // SAFETY: tables are published fully built by a release store and freed only in `drop`.
        let middle = unsafe { middle.as_ref()? };
        let at = (page.0 >> (CHUNK_BITS + GROUP_BITS)) as usize & ((1 << MIDDLE_BITS) - 1);
        let chunk = middle.chunks[at].load(Ordering::Acquire);
        // SAFETY: as above.
        let chunk = unsafe { chunk.as_ref()? };
        Some(&chunk.groups[(page.0 >> GROUP_BITS) as usize & ((1 << CHUNK_BITS) - 1)])
    }

    /// The group of `page`, its tables made if they are missing.
    #[cold]
    fn group_or_make(&self, page: PageNo) -> Result<&Group> {
        let top = (page.0 >> (MIDDLE_BITS + CHUNK_BITS + GROUP_BITS)) as usize;
        let slot = self.top.get(top).ok_or_else(|| Error::corrupt("page number", page.0, 0, MAX_PAGES, page.0))?;
        let middle = get_or_make(slot);
        let at = (page.0 >> (CHUNK_BITS + GROUP_BITS)) as usize & ((1 << MIDDLE_BITS) - 1);
        let chunk = get_or_make(&middle.chunks[at]);
        Ok(&chunk.groups[(page.0 >> GROUP_BITS) as usize & ((1 << CHUNK_BITS) - 1)])
    }

    /// The unit that begins at `page` if it is in the heap or was verified before.
    #[inline]
    fn at_hand(&self, page: PageNo) -> Option<Unit> {
        let at = page.0 as usize % GROUP_PAGES;
        let group = self.group(page)?;
        let heap = group.heap.load(Ordering::Acquire);
        if !heap.is_null() {
            // SAFETY: heap tables are published by a release store and freed only in `drop`.
            let tagged = unsafe { &(*heap).units[at] }.load(Ordering::Acquire);
            if !tagged.is_null() {
                let code = tagged.addr() as u8 & 63;
                return Some(Unit { ptr: tagged.map_addr(|a| a & !63), code, heap: true });
            }
        }
        let code = group.code(at);
        if code == 0 {
            return None;
        }
        let base = group.base.load(Ordering::Acquire);
        Some(Unit { ptr: base.wrapping_add(at * PAGE_BYTES), code, heap: false })
    }

    /// The unit that begins at `page`, verified.
    #[inline]
    pub fn resolve(&self, page: PageNo) -> Result<Unit> {
        match self.at_hand(page) {
            Some(unit) => Ok(unit),
            None => self.verify_unit(page),
        }
    }

    /// Where the memory of a segment begins.
    fn segment(&self, index: u64) -> Result<*const u8> {
        match &self.cache {
            Some(cache) => cache.segment(index),
            None => self.file.segment(index).map_err(|e| Error::io("mapping the file", e)),
        }
    }

    /// Memory of `pages` pages of the mapping from `page`, inside the file and inside one segment.
    fn mapped(&self, page: PageNo, pages: u64) -> Result<*const u8> {
        self.check_inside(page, pages)?;
        let memory = self.segment(page.0 / self.segment_pages)?;
        Ok(memory.wrapping_add((page.0 % self.segment_pages) as usize * PAGE_BYTES))
    }

    /// An error unless `pages` pages from `page` on lie inside the file and inside one segment. Takes no lock: where a
    /// unit is at hand, so is its segment.
    #[inline]
    fn check_inside(&self, page: PageNo, pages: u64) -> Result<()> {
        let len = self.len();
        if page.0 < super::meta::META_PAGES || page.0 >= len || len - page.0 < pages {
            return Err(Error::corrupt("page number", page.0, 0, len, page.0.saturating_add(pages)));
        }
        let within = page.0 % self.segment_pages;
        if within + pages > self.segment_pages {
            return Err(Error::corrupt("unit across segments", page.0, 0, self.segment_pages, within + pages));
        }
        Ok(())
    }

    #[cold]
    fn verify_unit(&self, page: PageNo) -> Result<Unit> {
        let ptr = self.mapped(page, 1)?;
        if let Some(cache) = &self.cache {
            let code = self.load(cache, page, |unit| self.read_unit(cache, page, unit))?;
            return Ok(Unit { ptr, code, heap: false });
        }
        // SAFETY: `mapped` checked that the page lies inside the file and its segment.
        let head = unsafe { std::slice::from_raw_parts(ptr, PAGE_BYTES) };
        let (code, covered) = self.shape(page, head)?;
        // SAFETY: the line before checked that all `covered` bytes lie inside file and segment.
        let unit = unsafe { std::slice::from_raw_parts(ptr, covered) };
        self.check(unit, page)?;
        self.set_verified(page, code)?;
        Ok(Unit { ptr, code, heap: false })
    }

    /// What the unit is, and how many bytes its first checksum covers, from a header that is not verified yet; all
    /// of them lie inside the file and its segment.
    fn shape(&self, page: PageNo, head: &[u8]) -> Result<(Code, usize)> {
        let kind = page::UnitHeader::decode(head, page)?.kind;
        let order = page::order_of(head);
        let covered = match kind {
            PageKind::Extent => PAGE_BYTES.min(EXTENT_PIECE_BYTES).max(self.first_piece(page, head)?),
            PageKind::Block if order <= MAX_ORDER => PAGE_BYTES << order,
            PageKind::RunLeaf if order <= MAX_LEAF_ORDER => PAGE_BYTES << order,
            _ if order == 0 => PAGE_BYTES,
            _ => return Err(Error::corrupt("unit header (order)", page.0, 15, 0, order.into())),
        };
        self.mapped(page, (covered / PAGE_BYTES) as u64)?;
        Ok((code_of(kind, order), covered))
    }

    /// Reads a unit (of an extent, the part under its first checksum) and verifies it.
    fn read_unit(&self, cache: &Cache, page: PageNo, unit: &mut Vec<u8>) -> Result<Code> {
        cache.read(page, 0, PAGE_BYTES, unit)?;
        let (code, covered) = self.shape(page, unit)?;
        cache.read(page, 1, covered, unit)?;
        self.check(unit, page)?;
        Ok(code)
    }

    /// Brings what begins at `page` into memory, if it is not there, by `read`, which verifies it, too.
    fn load(&self, cache: &Cache, page: PageNo, read: impl FnOnce(&mut Vec<u8>) -> Result<Code>) -> Result<Code> {
        let mut shard = cache.shard(page);
        let code = match shard.get_mut(&page.0) {
            Some(loaded) if !loaded.check_again => loaded.code,
            Some(loaded) => {
                // Others may read what is in memory, so the file is compared with it and not read over it.
                let code = read(&mut Vec::new())?;
                if code != loaded.code {
                    return Err(Error::corrupt("unit header (kind)", page.0, 14, loaded.code.into(), code.into()));
                }
                loaded.check_again = false;
                self.verified.fetch_add(1, Ordering::Relaxed);
                code
            }
            None => {
                let mut unit = Vec::with_capacity(PAGE_BYTES);
                let code = read(&mut unit)?;
                cache.insert(&mut shard, page, code, &unit)?;
                self.verified.fetch_add(1, Ordering::Relaxed);
                code
            }
        };
        self.set_code(page, code)?;
        let kept = cache.keep(&mut shard, page);
        drop(shard);
        cache.make_room(kept, |page| self.clear_code(page));
        Ok(code)
    }

    /// Bytes of an extent under its first checksum, from a header that is not verified yet.
    fn first_piece(&self, page: PageNo, head: &[u8]) -> Result<usize> {
        let pages = get_u32(head, EXTENT_PAGES_AT);
        if pages == 0 || u64::from(pages) > super::space::CHUNK_PAGES {
            let most = super::space::CHUNK_PAGES;
            return Err(Error::corrupt("extent header (pages)", page.0, EXTENT_PAGES_AT as u32, most, pages.into()));
        }
        Ok((pages as usize * PAGE_BYTES).min(EXTENT_PIECE_BYTES))
    }

    fn set_verified(&self, page: PageNo, code: Code) -> Result<()> {
        self.set_code(page, code)?;
        self.verified.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn set_code(&self, page: PageNo, code: Code) -> Result<()> {
        let group = self.group_or_make(page)?;
        if group.base.load(Ordering::Acquire).is_null() {
            let first = PageNo(page.0 & !(GROUP_PAGES as u64 - 1));
            let segment = first.0 / self.segment_pages;
            let base = self.segment(segment)?;
            let at = (first.0 % self.segment_pages) as usize * PAGE_BYTES;
            group.base.store(base.wrapping_add(at).cast_mut(), Ordering::Release);
        }
        group.set_code(page.0 as usize % GROUP_PAGES, code);
        Ok(())
    }

    /// Puts a unit that this process made in the table; it stays in the heap until
    /// [`Pages::unit_written`].
    ///
    /// # Safety
    /// `ptr` must be 64-byte aligned memory of the whole unit, valid until the unit was taken out
    /// again and no reader that could have seen it is left.
    pub unsafe fn put_heap(&self, page: PageNo, kind: PageKind, order: u8, ptr: *mut u8) -> Result<()> {
        debug_assert!(ptr.addr() % 64 == 0);
        let group = self.group_or_make(page)?;
        let heap = get_or_make(&group.heap);
        let at = page.0 as usize % GROUP_PAGES;
        let code = code_of(kind, order);
        heap.units[at].store(ptr.map_addr(|a| a | usize::from(code)), Ordering::Release);
        Ok(())
    }

    /// The unit at `page` was written to the file (and synced, if it was in the heap): readers take it
    /// from the mapping from now on and verify it when they first touch it. `pages` is its length.
    pub fn unit_written(&self, page: PageNo, pages: u64) {
        if let Some(cache) = &self.cache {
            // First, and all of it: what is loaded once the heap's pointer is gone has readers.
            cache.discard(page, pages);
        }
        for number in page.0..page.0 + pages {
            if let Some(group) = self.group(PageNo(number)) {
                let at = number as usize % GROUP_PAGES;
                group.clear_code(at);
                let heap = group.heap.load(Ordering::Acquire);
                if !heap.is_null() {
                    // SAFETY: heap tables are freed only in `drop`.
                    unsafe { &(*heap).units[at] }.store(std::ptr::null_mut(), Ordering::Release);
                }
            }
        }
    }

    /// The unit at `page` is verified again when it is next touched.
    pub fn forget(&self, page: PageNo) {
        match &self.cache {
            Some(cache) => cache.check_again(page, || self.clear_code(page)),
            None => self.clear_code(page),
        }
    }

    fn clear_code(&self, page: PageNo) {
        if let Some(group) = self.group(page) {
            group.clear_code(page.0 as usize % GROUP_PAGES);
        }
    }

    /// The record block at `page`.
    #[inline]
    pub fn block(&self, page: PageNo) -> Result<BlockMemory<'_>> {
        self.look_block(page)
    }

    /// [`Pages::block`], the fast look or the slow one.
    #[inline]
    pub fn look_block<E: Fault>(&self, page: PageNo) -> Result<BlockMemory<'_>, E> {
        let unit = match self.at_hand(page) {
            Some(unit) => unit,
            None => E::otherwise(|| self.verify_unit(page))?,
        };
        if unit.code.wrapping_sub(BLOCK) > MAX_ORDER {
            return E::otherwise(|| Err(self.wrong_kind(page, PageKind::Block)));
        }
        Ok(BlockMemory { ptr: unit.ptr, bytes: PAGE_BYTES << (unit.code - BLOCK), page, table: PhantomData })
    }

    /// The leaf of a run at `page`.
    #[inline]
    pub fn leaf(&self, page: PageNo) -> Result<&[u8]> {
        let unit = self.resolve(page)?;
        let bytes = match unit.code {
            RUN_LEAF => PAGE_BYTES,
            // SAFETY: the first page of a verified unit is valid memory.
            LONG_RUN_LEAF => PAGE_BYTES << page::order_of(unsafe { std::slice::from_raw_parts(unit.ptr, PAGE_BYTES) }),
            _ => return Err(self.wrong_kind(page, PageKind::RunLeaf)),
        };
        // SAFETY: a verified unit is valid for its whole length as long as the file is open; `shape` checked the order.
        Ok(unsafe { std::slice::from_raw_parts(unit.ptr, bytes) })
    }

    /// The document in the extent at `page`: every piece verified.
    pub fn extent(&self, page: PageNo) -> Result<&[u8]> {
        let unit = self.resolve(page)?;
        self.document(page, unit).map(|(_, document)| document)
    }

    /// The document in an extent, and how far behind the extent's beginning it begins.
    fn document(&self, page: PageNo, unit: Unit) -> Result<(usize, &[u8])> {
        if unit.code != EXTENT_HEAD {
            return Err(self.wrong_kind(page, PageKind::Extent));
        }
        // SAFETY: the unit's first page is valid memory, and an extent does not change.
        let head = unsafe { std::slice::from_raw_parts(unit.ptr, PAGE_BYTES) };
        let pages = get_u32(head, EXTENT_PAGES_AT) as usize;
        let length = get_u32(head, EXTENT_LENGTH_AT) as usize;
        let bytes = pages * PAGE_BYTES;
        let start = extent_data_at(pages);
        if start > PAGE_BYTES || length > bytes - start {
            let at = EXTENT_LENGTH_AT as u32;
            return Err(Error::corrupt("extent header (length)", page.0, at, bytes as u64, length as u64));
        }
        if !unit.heap {
            self.check_inside(page, pages as u64)?;
            self.verify_pieces(page, unit.ptr, pages, head)?;
        }
        // SAFETY: all `bytes` of the extent are valid memory: in the heap by `put_heap`'s promise, in
        // the mapping by `check_inside`.
        Ok((start, unsafe { std::slice::from_raw_parts(unit.ptr.add(start), length) }))
    }

    /// The part of the extent at `page` that [`Pages::make_known`] was told of, if the extent is at hand. Touches its
    /// place in the table and the part itself: a look into the extent's header is a cache miss more.
    #[inline]
    pub fn known(&self, page: PageNo, part: &KnownPart) -> Option<&[u8]> {
        let place = part.0.load(Ordering::Relaxed);
        let (at, length) = ((place >> 32) as usize, place as u32 as usize);
        let unit = self.at_hand(page).filter(|unit| length > 0 && !unit.heap && unit.code == EXTENT_HEAD)?;
        self.check_inside(page, (at + length).div_ceil(PAGE_BYTES) as u64).ok()?;
        // SAFETY: `make_known` saw that the part lies in the extent at this page (a part goes with one page), which does not
        // change as long as it is read, and under its first checksum, which was verified: the unit is at hand.
        Some(unsafe { std::slice::from_raw_parts(unit.ptr.add(at), length) })
    }

    /// Notes in `part` where some bytes of the document in the extent at `page` lie, or that they are not known that are
    /// under another checksum than the first. Not yet where the extent is in the heap still.
    #[inline]
    pub fn make_known(&self, page: PageNo, within: std::ops::Range<usize>, part: &KnownPart) {
        if part.0.load(Ordering::Relaxed) == 0 {
            part.0.store(self.place_in(page, within).unwrap_or_default(), Ordering::Relaxed);
        }
    }

    #[cold]
    fn place_in(&self, page: PageNo, within: std::ops::Range<usize>) -> Option<u64> {
        let unit = self.resolve(page).ok().filter(|unit| !unit.heap)?;
        let (start, document) = self.document(page, unit).ok()?;
        document.get(within.clone())?;
        let is_first = start + within.end <= EXTENT_PIECE_BYTES;
        Some(if is_first { ((start + within.start) as u64) << 32 | within.len() as u64 } else { UNKNOWABLE })
    }

    fn verify_pieces(&self, page: PageNo, ptr: *const u8, pages: usize, head: &[u8]) -> Result<()> {
        let bytes = pages * PAGE_BYTES;
        for piece in 1..bytes.div_ceil(EXTENT_PIECE_BYTES) {
            let at = piece * EXTENT_PIECE_BYTES;
            let first = PageNo(page.0 + (at / PAGE_BYTES) as u64);
            if self.group(first).is_some_and(|g| g.code(first.0 as usize % GROUP_PAGES) == EXTENT_PIECE) {
                continue;
            }
            let length = EXTENT_PIECE_BYTES.min(bytes - at);
            let expected = get_u64(head, EXTENT_HEADER_BYTES + (piece - 1) * 8);
            let check = |data: &[u8]| match xxhash_rust::xxh3::xxh3_64_with_seed(data, self.seed) {
                got if got == expected => Ok(EXTENT_PIECE),
                got => Err(Error::corrupt("extent piece", first.0, 0, expected, got)),
            };
            if let Some(cache) = &self.cache {
                self.load(cache, first, |data| cache.read(first, 0, length, data).and_then(|()| check(data)))?;
                continue;
            }
            // SAFETY: the caller checked that the whole extent lies inside file and segment.
            self.set_verified(first, check(unsafe { std::slice::from_raw_parts(ptr.add(at), length) })?)?;
        }
        Ok(())
    }

    #[cold]
    fn wrong_kind(&self, page: PageNo, expected: PageKind) -> Error {
        let got = self.resolve(page).map_or(0, |u| u.code);
        Error::corrupt("unit header (kind)", page.0, 14, expected as u64, got.into())
    }

    /// Brings the unit at `page` into memory, verified; gives its number of pages. Of an extent, the head alone.
    pub fn touch(&self, page: PageNo) -> Result<u64> {
        let unit = self.resolve(page)?;
        let pages = if unit.code <= LAST_BLOCK { 1 << (unit.code - BLOCK) } else { 1 };
        for at in 0..pages {
            // SAFETY: the pages of a resolved unit are valid memory. A unit verified long ago may have left the
            // memory of the system: it is back once a byte of each page was read.
            unsafe { unit.ptr.add(at as usize * PAGE_BYTES).read_volatile() };
        }
        Ok(pages)
    }

    /// Number of pages of the unit at `page`, and its kind, as verified.
    pub fn unit_shape(&self, page: PageNo) -> Result<(PageKind, u64)> {
        let unit = self.resolve(page)?;
        // SAFETY: the first page of a resolved unit is valid memory; these bytes are written before it is
        // put in the table and never again.
        let head = unsafe { std::slice::from_raw_parts(unit.ptr, EXTENT_LENGTH_AT) };
        let kind = page::UnitHeader::decode(head, page)?.kind;
        let pages =
            if kind == PageKind::Extent { get_u32(head, EXTENT_PAGES_AT).into() } else { 1 << page::order_of(head) };
        Ok((kind, pages))
    }
}

/// Offset of the document in an extent of `pages` pages: header, then a checksum for every piece but
/// the first.
pub fn extent_data_at(pages: usize) -> usize {
    EXTENT_HEADER_BYTES + ((pages * PAGE_BYTES).div_ceil(EXTENT_PIECE_BYTES) - 1) * 8
}

impl PageSource for Pages {
    #[inline]
    fn unit(&self, page: PageNo, kind: PageKind) -> Result<&[u8]> {
        let unit = self.resolve(page)?;
        debug_assert!(kind != PageKind::Block && kind != PageKind::Extent);
        if unit.code != code_of(kind, 0) || unit.code <= LAST_BLOCK {
            return Err(self.wrong_kind(page, kind));
        }
        // SAFETY: a verified single-page unit is valid for one page as long as the file is open.
        Ok(unsafe { std::slice::from_raw_parts(unit.ptr, PAGE_BYTES) })
    }

    #[inline]
    fn unit_at_hand(&self, page: PageNo, kind: PageKind) -> Option<&[u8]> {
        debug_assert!(kind != PageKind::Block && kind != PageKind::Extent);
        let unit = self.at_hand(page).filter(|unit| unit.code == code_of(kind, 0))?;
        // SAFETY: as in `unit`.
        Some(unsafe { std::slice::from_raw_parts(unit.ptr, PAGE_BYTES) })
    }
}

/// A table that can be made empty.
///
/// # Safety
/// Zero bytes must be a valid and empty value: arrays of atomics (null pointers, code 0).
unsafe trait Table: Sized {
    /// The model checker's atomics are more than their bytes.
    #[cfg(loom)]
    fn empty() -> Self;
}

// SAFETY: an array of pointers.
unsafe impl Table for HeapGroup {
    #[cfg(loom)]
    fn empty() -> Self {
        HeapGroup { units: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())) }
    }
}

// SAFETY: an array of groups, which are pointers and numbers.
unsafe impl Table for Chunk {
    #[cfg(loom)]
    fn empty() -> Self {
        let null = || AtomicPtr::new(std::ptr::null_mut());
        let group = || Group { base: null(), heap: AtomicPtr::new(std::ptr::null_mut()), codes: Default::default() };
        Chunk { groups: std::array::from_fn(|_| group()) }
    }
}

// SAFETY: an array of pointers.
unsafe impl Table for Middle {
    #[cfg(loom)]
    fn empty() -> Self {
        Middle { chunks: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())) }
    }
}

#[cfg(not(loom))]
fn empty<T: Table>() -> Box<T> {
    let layout = std::alloc::Layout::new::<T>();
    // SAFETY: tables are not of size zero; zero bytes are a valid value by the trait's promise, and the
    // memory is allocated as `Box` frees it.
    unsafe {
        let memory = std::alloc::alloc_zeroed(layout).cast::<T>();
        if memory.is_null() {
            std::alloc::handle_alloc_error(layout);
        }
        Box::from_raw(memory)
    }
}

#[cfg(loom)]
fn empty<T: Table>() -> Box<T> {
    Box::new(T::empty())
}

/// The table behind `slot`, made if there is none. Two makers race to publish; one wins.
fn get_or_make<T: Table>(slot: &AtomicPtr<T>) -> &T {
    let found = slot.load(Ordering::Acquire);
    if !found.is_null() {
        // SAFETY: published by a release store, freed only in `Pages::drop`.
        return unsafe { &*found };
    }
    let fresh = Box::into_raw(empty::<T>());
    match slot.compare_exchange(std::ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: just published by us.
        Ok(_) => unsafe { &*fresh },
        Err(other) => {
            // SAFETY: `fresh` came from a box and was never shared; `other` is the published winner.
            unsafe {
                drop(Box::from_raw(fresh));
                &*other
            }
        }
    }
}

fn free_table<T: Table>(slot: &AtomicPtr<T>, then: impl FnOnce(&T)) {
    let found = slot.load(Ordering::Acquire);
    if !found.is_null() {
        // SAFETY: called only from `Pages::drop`, when nobody else holds the table; it came from a box
        // in `get_or_make`.
        let table = unsafe { Box::from_raw(found) };
        then(&table);
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        for top in self.top.iter() {
            free_table(top, |middle| {
                for chunk in &middle.chunks {
                    free_table(chunk, |chunk| {
                        for group in &chunk.groups {
                            free_table(&group.heap, |_| ());
                        }
                    });
                }
            });
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
