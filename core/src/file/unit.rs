//! Units as they lie in a file, one behind the other: how long each is, and whether it is whole.
//!
//! ```text
//!   a run of used pages   | block, 4 pages | leaf | extent: piece 0 | piece 1 | piece 2 | leaf |
//!                         |<-------------- each checked by itself as its bytes come ----------->|
//! ```
//!
//! For those who copy pages without asking what reaches them. The page table checks a unit in the same way
//! when it is first touched.

use super::page::{self, get_u32, get_u64, PageKind, PageNo, UnitHeader, PAGE_BYTES};
use super::pages::{extent_data_at, EXTENT_HEADER_BYTES, EXTENT_PAGES_AT, EXTENT_PIECE_BYTES};
use super::pages::{MAX_LEAF_ORDER, MAX_ORDER};
use crate::error::{Error, Result};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Most bytes that are checked at once: a leaf of a run of the largest order; blocks and pieces of extents have less.
pub const MOST_AT_ONCE: usize = PAGE_BYTES << MAX_LEAF_ORDER;
const _: () = assert!(PAGE_BYTES << MAX_ORDER <= MOST_AT_ONCE && EXTENT_PIECE_BYTES <= MOST_AT_ONCE);

/// What the first page of a unit says about it: possible, and not verified yet.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Length of the whole unit.
    pub pages: u64,
    /// Bytes under the checksum in its header.
    pub covered: usize,
}

/// Reads the shape of the unit that begins with the page `head`.
pub fn shape(head: &[u8], page: PageNo) -> Result<Shape> {
    let header = UnitHeader::decode(head, page)?;
    let pages = match header.kind {
        PageKind::Extent => {
            let pages = get_u32(head, EXTENT_PAGES_AT);
            if pages == 0 || u64::from(pages) > super::space::CHUNK_PAGES {
                let (at, most) = (EXTENT_PAGES_AT as u32, super::space::CHUNK_PAGES);
                return Err(Error::corrupt("extent header (pages)", page.0, at, most, pages.into()));
            }
            pages.into()
        }
        PageKind::Block if header.order <= MAX_ORDER => 1 << header.order,
        PageKind::RunLeaf if header.order <= MAX_LEAF_ORDER => 1 << header.order,
        _ if header.order == 0 => 1,
        _ => return Err(Error::corrupt("unit header (order)", page.0, 15, 0, header.order.into())),
    };
    let whole = pages as usize * PAGE_BYTES;
    let covered = if header.kind == PageKind::Extent { whole.min(EXTENT_PIECE_BYTES) } else { whole };
    Ok(Shape { pages, covered })
}

/// Checks units that lie one behind the other, as their bytes come along.
#[derive(Debug)]
pub struct UnitCheck {
    seed: u64,
    generations: std::ops::RangeInclusive<u64>,
    /// Of an extent whose pieces are still to come.
    extent: Option<Pieces>,
}

#[derive(Debug)]
struct Pieces {
    checksums: Vec<u64>,
    next: usize,
    bytes_left: usize,
}

impl UnitCheck {
    /// For units of a file with this checksum seed that were written by one of these checkpoints.
    pub fn new(seed: u64, generations: std::ops::RangeInclusive<u64>) -> UnitCheck {
        UnitCheck { seed, generations, extent: None }
    }

    /// Checks what is whole at the front of `bytes`, which begin with `page` and go on where the call before
    /// ended. Returns how many bytes that were: 0 only if there are fewer than [`MOST_AT_ONCE`].
    pub fn check(&mut self, page: PageNo, bytes: &[u8]) -> Result<usize> {
        let mut done = 0;
        while let Some(length) = self.check_one(PageNo(page.0 + (done / PAGE_BYTES) as u64), &bytes[done..])? {
            done += length;
        }
        Ok(done)
    }

    /// True if no extent is half read.
    pub fn is_between_units(&self) -> bool {
        self.extent.is_none()
    }

    fn check_one(&mut self, page: PageNo, bytes: &[u8]) -> Result<Option<usize>> {
        if let Some(pieces) = &mut self.extent {
            let length = pieces.bytes_left.min(EXTENT_PIECE_BYTES);
            let Some(piece) = bytes.get(..length) else { return Ok(None) };
            let got = xxh3_64_with_seed(piece, self.seed);
            let expected = pieces.checksums[pieces.next];
            if expected != got {
                return Err(Error::corrupt("extent piece", page.0, 0, expected, got));
            }
            pieces.next += 1;
            pieces.bytes_left -= length;
            if pieces.bytes_left == 0 {
                self.extent = None;
            }
            return Ok(Some(length));
        }
        let Some(head) = bytes.get(..PAGE_BYTES) else { return Ok(None) };
        let shape = shape(head, page)?;
        let Some(covered) = bytes.get(..shape.covered) else { return Ok(None) };
        page::check(covered, page, self.seed)?;
        let generation = page::generation_of(head);
        if !self.generations.contains(&generation) {
            let newest = *self.generations.end();
            return Err(Error::corrupt("unit header (generation)", page.0, 16, newest, generation));
        }
        let bytes_left = shape.pages as usize * PAGE_BYTES - shape.covered;
        if bytes_left > 0 {
            if extent_data_at(shape.pages as usize) > PAGE_BYTES {
                let at = EXTENT_PAGES_AT as u32;
                return Err(Error::corrupt("extent header (pages)", page.0, at, PAGE_BYTES as u64, shape.pages));
            }
            let count = bytes_left.div_ceil(EXTENT_PIECE_BYTES);
            let checksums = (0..count).map(|i| get_u64(head, EXTENT_HEADER_BYTES + i * 8)).collect();
            self.extent = Some(Pieces { checksums, next: 0, bytes_left });
        }
        Ok(Some(shape.covered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Pool;
    use crate::record::extent::{self, HeapExtent};

    const SEED: u64 = 7;

    fn units() -> Vec<u8> {
        let mut all = Vec::new();
        let kinds = [(8u64, 2u8, PageKind::Block), (12, 0, PageKind::TrieLeaf), (13, 5, PageKind::RunLeaf)];
        for (page, order, kind) in kinds {
            let mut unit = vec![page as u8; PAGE_BYTES << order];
            UnitHeader { page: PageNo(page), kind, order, generation: 0, tree: 1 }.encode(&mut unit);
            page::seal(&mut unit, 5, SEED);
            all.extend(unit);
        }
        let heap = HeapExtent::new(&Pool::new(0), PageNo(45), 1, &[3; 200_000]);
        let mut unit = heap.unit.bytes().to_vec();
        extent::seal(&mut unit, 5, SEED);
        all.extend(unit);
        all
    }

    #[test]
    fn units_are_checked_in_pieces_as_their_bytes_come() {
        let all = units();
        for step in [PAGE_BYTES, 5 * PAGE_BYTES, 1 << 20] {
            let (mut check, mut at, mut have) = (UnitCheck::new(SEED, 1..=5), 0, 0);
            while at < all.len() {
                have = (have + step).min(all.len());
                at += check.check(PageNo(8 + (at / PAGE_BYTES) as u64), &all[at..have]).expect("whole");
                assert!(have < all.len() || at == all.len());
            }
            assert!(check.is_between_units());
        }
    }

    #[test]
    fn a_flipped_byte_of_any_page_and_a_unit_of_another_time_or_place_are_damage() {
        let all = units();
        for at in (0..all.len()).step_by(PAGE_BYTES).chain([20, 100, PAGE_BYTES * 5 + 3000]) {
            let mut bad = all.clone();
            bad[at] ^= 0x40;
            let found = UnitCheck::new(SEED, 1..=5).check(PageNo(8), &bad);
            assert!(matches!(found, Err(Error::Corrupt(_))), "byte {at}: {found:?}");
        }
        assert!(UnitCheck::new(SEED, 6..=9).check(PageNo(8), &all).is_err());
        assert!(UnitCheck::new(SEED, 1..=4).check(PageNo(8), &all).is_err());
        assert!(UnitCheck::new(SEED, 1..=5).check(PageNo(9), &all).is_err());
        assert!(UnitCheck::new(SEED + 1, 1..=5).check(PageNo(8), &all).is_err());
    }
}
