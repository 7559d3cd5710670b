//! Large documents: one contiguous extent of whole pages each.
//!
//! ```text
//!   0             48      52       64
//!   +-------------+-------+--------+------------------------------+---------------------------+
//!   | unit header | pages | length | checksums of pieces 1, 2 ... | document, contiguous      |
//!   +-------------+-------+--------+------------------------------+---------------------------+
//!   |<------------------ piece 0: 64 KiB, checked by the unit header ----->|<-- piece 1 ... -->|
//! ```
//!
//! A piece is 64 KiB; each but the first has its checksum in the table, so that one damaged byte is
//! found by reading 64 KiB, and reading a document checks each piece once.

use super::block::HeapUnit;
use crate::file::page::{put_u32, put_u64, PageKind, PageNo, UnitHeader, PAGE_BYTES};
use crate::file::pages::{extent_data_at, EXTENT_HEADER_BYTES, EXTENT_LENGTH_AT, EXTENT_PAGES_AT, EXTENT_PIECE_BYTES};
use crate::memory::Pool;
use crate::plant::{planted, Bug};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Pages that an extent for a document of `length` bytes has.
pub fn pages_for(length: usize) -> usize {
    let mut pages = (EXTENT_HEADER_BYTES + length).div_ceil(PAGE_BYTES);
    while extent_data_at(pages) + length > pages * PAGE_BYTES {
        pages += 1;
    }
    pages
}

/// A large document in the heap, waiting to be written.
#[derive(Debug)]
pub struct HeapExtent {
    /// Its memory; readers may hold it.
    pub unit: HeapUnit,
    /// Its first page.
    pub page: PageNo,
    /// Its length in pages.
    pub pages: usize,
}

impl HeapExtent {
    /// An extent at `page` that holds `document` of collection `tree`.
    pub fn new(pool: &Pool, page: PageNo, tree: u64, document: &[u8]) -> HeapExtent {
        let pages = pages_for(document.len());
        let mut unit = HeapUnit::new(pool, pages);
        let (start, bytes) = (extent_data_at(pages), unit.len());
        let mut head = [0; EXTENT_HEADER_BYTES];
        UnitHeader { page, kind: PageKind::Extent, order: 0, generation: 0, tree }.encode(&mut head);
        put_u32(&mut head, EXTENT_PAGES_AT, pages as u32);
        let length = document.len() as u32;
        let length = if planted(Bug::LengthOfSixteenBits) { length & 0xffff } else { length };
        put_u32(&mut head, EXTENT_LENGTH_AT, length);
        unit.write(0, &head);
        unit.clear(EXTENT_HEADER_BYTES, start);
        unit.write(start, document);
        unit.clear(start + document.len(), bytes);
        HeapExtent { unit, page, pages }
    }
}

/// Fills the table of checksums and seals the first piece of a copy of an extent.
pub fn seal(extent: &mut [u8], generation: u64, seed: u64) {
    let pieces = extent.len().div_ceil(EXTENT_PIECE_BYTES);
    for piece in 1..pieces {
        let end = extent.len().min((piece + 1) * EXTENT_PIECE_BYTES);
        let sum = xxh3_64_with_seed(&extent[piece * EXTENT_PIECE_BYTES..end], seed);
        put_u64(extent, EXTENT_HEADER_BYTES + (piece - 1) * 8, sum);
    }
    let first = extent.len().min(EXTENT_PIECE_BYTES);
    crate::file::page::seal(&mut extent[..first], generation, seed);
}
