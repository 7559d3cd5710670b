//! Pages and what all of them have in common: numbers, addresses, the header, the checksum.
//!
//! The file is an array of 4 096-byte pages. A *unit* is what is written and checked as a whole: one
//! page, a block of 2^order pages, or an extent. Every unit but the two meta pages begins with the
//! same header (format: `docs/file-format.md`, "Unit header"):
//!
//! ```text
//!   0        8              14     15      16           24        32               48
//!   +--------+--------------+------+-------+------------+---------+----------------+----------
//!   | check  | page number  | kind | order | generation |  tree   | reserved (tag) |  body ...
//!   +--------+--------------+------+-------+------------+---------+----------------+----------
//! ```
//!
//! The checksum is XXH3-64, seeded with the file's identity, over everything in the unit after it, so
//! a page of another file, of another place or of another kind never passes for this one.

use crate::error::{Error, Result};
use crate::plant::{planted, Bug};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes in a page.
pub const PAGE_BYTES: usize = 4096;

/// Bytes of the header that all units share.
pub const UNIT_HEADER_BYTES: usize = 48;

const CHECKSUM_AT: usize = 0;
const PAGE_AT: usize = CHECKSUM_AT + 8;
const KIND_AT: usize = PAGE_AT + 6;
const ORDER_AT: usize = KIND_AT + 1;
const GENERATION_AT: usize = ORDER_AT + 1;
const TREE_AT: usize = GENERATION_AT + 8;
const RESERVED_AT: usize = TREE_AT + 8;
const _: () = assert!(RESERVED_AT + 16 == UNIT_HEADER_BYTES);

/// Field names of `docs/file-format.md` and where the code has them.
#[cfg(all(test, not(loom)))]
pub(crate) const LAYOUT: crate::format_tests::Layout = &[
    ("checksum", CHECKSUM_AT),
    ("page", PAGE_AT),
    ("kind", KIND_AT),
    ("order", ORDER_AT),
    ("generation", GENERATION_AT),
    ("tree", TREE_AT),
    ("reserved", RESERVED_AT),
    ("", UNIT_HEADER_BYTES),
];

/// Largest page number: page numbers have 48 bits.
pub const MAX_PAGE: u64 = (1 << 48) - 1;

/// The number of a page; page 0 and 1 are the meta pages, so 0 also says "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PageNo(pub u64);

impl PageNo {
    /// No page.
    pub const NONE: PageNo = PageNo(0);

    /// True for [`PageNo::NONE`].
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Offset of the page's first byte in the file.
    pub fn offset(self) -> u64 {
        self.0 * PAGE_BYTES as u64
    }
}

/// Where a record is: the page on which its block begins and its slot.
///
/// `<page, slot>` in 64 bits: 48 bits of page, 16 bits of slot. The slot is the byte position of the
/// record in its block, so that finding a record touches no slot array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub u64);

impl Address {
    /// Builds an address.
    pub fn new(page: PageNo, slot: u16) -> Self {
        debug_assert!(page.0 <= MAX_PAGE);
        Address(page.0 << 16 | u64::from(slot))
    }

    /// The first page of the record's block.
    pub fn page(self) -> PageNo {
        PageNo(self.0 >> 16)
    }

    /// Byte position of the record in its block.
    pub fn slot(self) -> u16 {
        self.0 as u16
    }
}

/// What a unit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PageKind {
    /// Slotted records of one collection (`record::block`).
    Block = 1,
    /// Leaf of a hash trie (`hash::leaf`).
    TrieLeaf = 2,
    /// Interior node of a hash trie (`hash::node`).
    TrieNode = 3,
    /// Leaf of a page tree (`file::tree`).
    TreeLeaf = 4,
    /// Branch of a page tree (`file::tree`).
    TreeBranch = 5,
    /// Bitmap chunk of the free space (`file::space`).
    SpaceChunk = 6,
    /// Interior node of the free space (`file::space`).
    SpaceNode = 7,
    /// A large document (`record::extent`).
    Extent = 8,
    /// Leaf of a sorted run (`sorted::leaf`).
    RunLeaf = 9,
}

impl PageKind {
    /// The kind with this number.
    pub fn from_u8(n: u8) -> Option<PageKind> {
        Some(match n {
            1 => PageKind::Block,
            2 => PageKind::TrieLeaf,
            3 => PageKind::TrieNode,
            4 => PageKind::TreeLeaf,
            5 => PageKind::TreeBranch,
            6 => PageKind::SpaceChunk,
            7 => PageKind::SpaceNode,
            8 => PageKind::Extent,
            9 => PageKind::RunLeaf,
            _ => return None,
        })
    }

    /// Its name in messages and in the format specification.
    pub fn name(self) -> &'static str {
        match self {
            PageKind::Block => "record block",
            PageKind::TrieLeaf => "trie leaf",
            PageKind::TrieNode => "trie node",
            PageKind::TreeLeaf => "page-tree leaf",
            PageKind::TreeBranch => "page-tree branch",
            PageKind::SpaceChunk => "space chunk",
            PageKind::SpaceNode => "space node",
            PageKind::Extent => "extent",
            PageKind::RunLeaf => "leaf of a run",
        }
    }
}

/// The fields of a unit header, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitHeader {
    /// Number of the unit's first page.
    pub page: PageNo,
    /// What it holds.
    pub kind: PageKind,
    /// The unit has 2^order pages; for an extent always 0, its length is in its own header.
    pub order: u8,
    /// Checkpoint that wrote it.
    pub generation: u64,
    /// Tree (collection) it belongs to, 0 for the catalog and for structures of the file.
    pub tree: u64,
}

impl UnitHeader {
    /// Writes the header to the front of `unit`; the checksum is left for [`seal`].
    pub fn encode(&self, unit: &mut [u8]) {
        unit[PAGE_AT..KIND_AT].copy_from_slice(&self.page.0.to_le_bytes()[..6]);
        unit[KIND_AT] = self.kind as u8;
        unit[ORDER_AT] = self.order;
        unit[GENERATION_AT..TREE_AT].copy_from_slice(&self.generation.to_le_bytes());
        unit[TREE_AT..RESERVED_AT].copy_from_slice(&self.tree.to_le_bytes());
        unit[RESERVED_AT..UNIT_HEADER_BYTES].fill(0);
    }

    /// Reads the header of `unit`, which must be at least [`UNIT_HEADER_BYTES`] long. Only the kind
    /// is checked here; [`check`] does the rest.
    pub fn decode(unit: &[u8], page: PageNo) -> Result<UnitHeader> {
        let kind = PageKind::from_u8(unit[KIND_AT]).ok_or_else(|| {
            Error::corrupt(
                "unit header (kind)",
                page.0,
                KIND_AT as u32,
                PageKind::Block as u64,
                u64::from(unit[KIND_AT]),
            )
        })?;
        Ok(UnitHeader {
            page: PageNo(get_u48(unit, PAGE_AT)),
            kind,
            order: unit[ORDER_AT],
            generation: get_u64(unit, GENERATION_AT),
            tree: get_u64(unit, TREE_AT),
        })
    }
}

/// Order of the unit (its length is 2^order pages) as its header says, unchecked.
pub fn order_of(unit: &[u8]) -> u8 {
    unit[ORDER_AT]
}

/// Kind of the unit as its header says, unchecked.
pub fn kind_of(unit: &[u8]) -> Option<PageKind> {
    PageKind::from_u8(unit[KIND_AT])
}

/// Checkpoint that wrote the unit as its header says, unchecked.
pub fn generation_of(unit: &[u8]) -> u64 {
    get_u64(unit, GENERATION_AT)
}

/// Tree of the unit as its header says, unchecked.
pub fn tree_of(unit: &[u8]) -> u64 {
    get_u64(unit, TREE_AT)
}

/// Stamps the generation and computes the checksum; `covered` is the part of the unit it covers.
pub fn seal(covered: &mut [u8], generation: u64, seed: u64) {
    covered[GENERATION_AT..TREE_AT].copy_from_slice(&generation.to_le_bytes());
    let sum = xxh3_64_with_seed(&covered[PAGE_AT..], seed);
    covered[CHECKSUM_AT..PAGE_AT].copy_from_slice(&sum.to_le_bytes());
}

/// Checks checksum and page number of a unit whose covered part is `covered`.
pub fn check(covered: &[u8], page: PageNo, seed: u64) -> Result<()> {
    let got = get_u64(covered, CHECKSUM_AT);
    let expected = xxh3_64_with_seed(&covered[PAGE_AT..], seed);
    if got != expected && !planted(Bug::PageChecksumNotChecked) {
        let what = kind_of(covered).map_or("unit checksum", PageKind::name);
        return Err(Error::corrupt(what, page.0, CHECKSUM_AT as u32, expected, got));
    }
    check_number(covered, page)
}

/// The part of [`check`] that needs no seed.
pub fn check_number(covered: &[u8], page: PageNo) -> Result<()> {
    let number = get_u48(covered, PAGE_AT);
    if number != page.0 && !planted(Bug::PageNumberNotChecked) {
        return Err(Error::corrupt("unit header (page number)", page.0, PAGE_AT as u32, page.0, number));
    }
    Ok(())
}

/// Some bytes at an offset: one look at the length for all of them.
#[inline]
fn chunk<const N: usize>(b: &[u8], at: usize) -> &[u8; N] {
    match b[at..].first_chunk() {
        Some(chunk) => chunk,
        None => too_short(b.len(), at),
    }
}

#[cold]
fn too_short(len: usize, at: usize) -> ! {
    panic!("a field at {at} goes beyond the {len} bytes of its slice")
}

/// Little-endian reads at a fixed offset of a slice that is known to be long enough.
#[inline]
pub fn get_u16(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(*chunk(b, at))
}

/// See [`get_u16`].
#[inline]
pub fn get_u32(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*chunk(b, at))
}

/// See [`get_u16`]; 6 bytes.
#[inline]
pub fn get_u48(b: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes[..6].copy_from_slice(chunk::<6>(b, at));
    u64::from_le_bytes(bytes)
}

/// See [`get_u16`].
#[inline]
pub fn get_u64(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*chunk(b, at))
}

/// Little-endian writes at a fixed offset of a slice that is known to be long enough.
pub fn put_u16(b: &mut [u8], at: usize, v: u16) {
    b[at..at + 2].copy_from_slice(&v.to_le_bytes());
}

/// See [`put_u16`].
pub fn put_u32(b: &mut [u8], at: usize, v: u32) {
    b[at..at + 4].copy_from_slice(&v.to_le_bytes());
}

/// See [`put_u16`]; 6 bytes.
pub fn put_u48(b: &mut [u8], at: usize, v: u64) {
    b[at..at + 6].copy_from_slice(&v.to_le_bytes()[..6]);
}

/// See [`put_u16`].
pub fn put_u64(b: &mut [u8], at: usize, v: u64) {
    b[at..at + 8].copy_from_slice(&v.to_le_bytes());
}

/// An owned, zeroed, 64-byte-aligned buffer for one unit of 2^order pages, on its way to the disk.
#[derive(Debug)]
pub struct PageBuf {
    data: Vec<Line>,
    bytes: usize,
}

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl PageBuf {
    /// A zeroed buffer of `pages` pages.
    pub fn zeroed(pages: usize) -> PageBuf {
        let bytes = pages * PAGE_BYTES;
        PageBuf { data: vec![Line([0; 64]); bytes / 64], bytes }
    }
}

impl std::ops::Deref for PageBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `Line` is `repr(C)` over bytes without padding (64 bytes, align 64), so `data` is
        // `bytes` initialised, contiguous bytes owned by `self`.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast::<u8>(), self.bytes) }
    }
}

impl std::ops::DerefMut for PageBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_mut_ptr().cast::<u8>(), self.bytes) }
    }
}

/// Where verified units are read from: the page table, or a map of pages in tests.
pub trait PageSource {
    /// The whole unit that begins at `page`, its checksum verified, its kind as expected.
    /// 64-byte aligned.
    fn unit(&self, page: PageNo, kind: PageKind) -> Result<&[u8]>;

    /// [`PageSource::unit`] where that is at hand, verified before; else `None`.
    #[inline]
    fn unit_at_hand(&self, _page: PageNo, _kind: PageKind) -> Option<&[u8]> {
        None
    }
}

/// Where a checkpoint's new units go. Copy on write: a unit that changes gets a new page, and the old
/// one is released.
pub trait PageSink: PageSource {
    /// A free run of 2^order pages, aligned to 2^order.
    fn allocate(&mut self, order: u8) -> Result<PageNo>;

    /// Takes a finished unit for writing; stamps generation and checksum.
    fn write(&mut self, page: PageNo, unit: PageBuf) -> Result<()>;

    /// Gives back a unit of the checkpoint before (or one allocated in this checkpoint).
    fn release(&mut self, page: PageNo, order: u8);
}
