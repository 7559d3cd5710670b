//! Tests of the page table: what is verified, what is refused, and what happens when a unit moves.

use super::*;
use crate::error::ErrorKind;
use crate::file::page::{put_u32, Address, PageBuf, UnitHeader};
use crate::file::written_file::WrittenFile;
use crate::memory::Pool;
use crate::record::block::{self, OpenBlock};
use crate::record::extent::{self, HeapExtent};

const SEED: u64 = 5;
const TEXT: [u8; 5] = [0xa4, b't', b'e', b'x', b't'];

/// Pages of a file in the making.
struct Draft(PageBuf);

impl Draft {
    fn new(pages: usize) -> Draft {
        Draft(PageBuf::zeroed(pages))
    }

    fn unit(&mut self, page: PageNo, pages: usize) -> &mut [u8] {
        &mut self.0[page.offset() as usize..][..pages * PAGE_BYTES]
    }

    fn page(&mut self, page: PageNo, kind: PageKind) {
        let unit = self.unit(page, 1);
        UnitHeader { page, kind, order: 0, generation: 0, tree: 1 }.encode(unit);
        page::seal(unit, 1, SEED);
    }

    fn block(&mut self, page: PageNo, order: u8) -> Address {
        let (closed, at) = block(page, order);
        let unit = self.unit(page, 1 << order);
        unit.copy_from_slice(closed.unit.bytes());
        page::seal(unit, 1, SEED);
        at
    }

    fn extent(&mut self, page: PageNo, document: &[u8]) -> usize {
        let heap = HeapExtent::new(&Pool::new(0), page, 1, document);
        let unit = self.unit(page, heap.pages);
        unit.copy_from_slice(heap.unit.bytes());
        extent::seal(unit, 1, SEED);
        heap.pages
    }

    fn table(self) -> Pages {
        let pages = (self.0.len() / PAGE_BYTES) as u64;
        Pages::new(Arc::new(WrittenFile(self.0)), SEED, pages)
    }
}

fn block(page: PageNo, order: u8) -> (block::ClosedBlock, Address) {
    let mut open = OpenBlock::new(&Pool::new(0), page, order, 1, 1);
    let at = open.append(1, &[&TEXT], false);
    (open.close(), at)
}

fn document(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

fn check_block(pages: &Pages, at: Address) {
    let block = pages.block(at.page()).expect("a good block");
    assert_eq!(block::read(&block, at.slot()).expect("a record").payload, TEXT);
}

fn is_corrupt<T>(result: Result<T>) -> bool {
    matches!(result, Err(e) if e.kind() == ErrorKind::Corrupt)
}

#[test]
fn every_kind_of_unit_is_found_in_the_mapping_and_verified_once() {
    let mut draft = Draft::new(24);
    draft.page(PageNo(2), PageKind::TrieLeaf);
    draft.page(PageNo(3), PageKind::SpaceNode);
    let at = draft.block(PageNo(4), 1);
    let large = document(70_000);
    let length = draft.extent(PageNo(6), &large);
    assert!(length > 17, "two pieces");
    let pages = draft.table();
    for _ in 0..2 {
        assert!(pages.unit(PageNo(2), PageKind::TrieLeaf).is_ok());
        assert!(pages.unit(PageNo(3), PageKind::SpaceNode).is_ok());
        check_block(&pages, at);
        assert_eq!(pages.block(PageNo(4)).expect("a block").len(), 2 * PAGE_BYTES);
        assert!(pages.extent(PageNo(6)).expect("an extent") == large);
        assert_eq!(pages.verified_units(), 5, "four units and the second piece");
    }
    assert_eq!(pages.unit_shape(PageNo(4)).expect("a block"), (PageKind::Block, 2));
    assert_eq!(pages.unit_shape(PageNo(6)).expect("an extent"), (PageKind::Extent, length as u64));
    pages.forget(PageNo(2));
    assert!(pages.unit(PageNo(2), PageKind::TrieLeaf).is_ok());
    assert_eq!(pages.verified_units(), 6);
}

#[test]
fn a_unit_of_another_kind_or_at_another_place_is_refused() {
    let mut draft = Draft::new(20);
    draft.page(PageNo(2), PageKind::TrieLeaf);
    draft.block(PageNo(4), 0);
    let moved: Vec<u8> = draft.unit(PageNo(2), 1).to_vec();
    draft.unit(PageNo(5), 1).copy_from_slice(&moved);
    let pages = draft.table();
    assert!(is_corrupt(pages.unit(PageNo(2), PageKind::TrieNode)));
    assert!(is_corrupt(pages.block(PageNo(2))));
    assert!(is_corrupt(pages.extent(PageNo(4))));
    assert!(is_corrupt(pages.unit(PageNo(5), PageKind::TrieLeaf)), "it carries the number of page 2");
    assert!(is_corrupt(pages.resolve(PageNo(6))), "zeros");
    for outside in [0, 1, 20, 1 << 20, MAX_PAGES - 1, MAX_PAGES, u64::MAX] {
        assert!(is_corrupt(pages.resolve(PageNo(outside))), "page {outside}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "checksums of large documents take minutes")]
fn a_damaged_byte_is_found_wherever_it_is() {
    for i in 0..4000 {
        let mut draft = Draft::new(24);
        draft.block(PageNo(2), 1);
        let large = document(70_000);
        let length = draft.extent(PageNo(4), &large);
        let (first, bytes) = if i % 2 == 0 { (PageNo(2), 2 * PAGE_BYTES) } else { (PageNo(4), length * PAGE_BYTES) };
        let at = i * 7919 % bytes;
        draft.unit(first, bytes / PAGE_BYTES)[at] ^= 1 << (i % 8);
        let pages = draft.table();
        let result = if i % 2 == 0 { pages.block(first).map(|_| ()) } else { pages.extent(first).map(|_| ()) };
        assert!(is_corrupt(result), "byte {at} of the unit at {first:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "checksums of large documents take minutes")]
fn lengths_in_a_sealed_header_are_checked_against_the_file() {
    for (count, length) in [(0, 0), (1, u32::MAX), (21, 70_000), (u32::MAX, 8), (18, 18 * PAGE_BYTES as u32)] {
        let mut draft = Draft::new(24);
        draft.extent(PageNo(4), &document(70_000));
        let unit = draft.unit(PageNo(4), 18);
        put_u32(unit, EXTENT_PAGES_AT, count);
        put_u32(unit, EXTENT_LENGTH_AT, length);
        extent::seal(unit, 1, SEED);
        assert!(is_corrupt(draft.table().extent(PageNo(4))), "{count} pages, {length} bytes");
    }
    let mut draft = Draft::new(4);
    let unit = draft.unit(PageNo(3), 1);
    UnitHeader { page: PageNo(3), kind: PageKind::Block, order: 4, generation: 0, tree: 1 }.encode(unit);
    page::seal(unit, 1, SEED);
    assert!(is_corrupt(draft.table().block(PageNo(3))), "a block beyond the end of the file");
}

#[test]
fn a_unit_in_the_heap_comes_before_what_the_file_holds_and_leaves_for_it() {
    let mut draft = Draft::new(24);
    let at = draft.block(PageNo(2), 0);
    let large = document(70_000);
    draft.extent(PageNo(4), &large);
    let pages = draft.table();
    let mut open = OpenBlock::new(&Pool::new(0), PageNo(2), 0, 1, 1);
    // SAFETY: the block lives until the end of the test.
    unsafe { pages.put_heap(PageNo(2), PageKind::Block, 0, open.memory()).expect("a page") };
    let heap = HeapExtent::new(&Pool::new(0), PageNo(4), 1, &large);
    // SAFETY: as above.
    unsafe { pages.put_heap(PageNo(4), PageKind::Extent, 0, heap.unit.ptr()).expect("a page") };
    let memory = pages.block(PageNo(2)).expect("the block");
    let first = open.append(1, &[&TEXT], false);
    let kept = block::read(&memory, first.slot()).expect("a record").payload;
    let second = open.append(2, &[b"\xa5later"], false);
    // A slice lent before the second record was written is as good as ever.
    assert_eq!(kept, TEXT);
    assert_eq!(block::read(&memory, second.slot()).expect("a record").payload, b"\xa5later");
    let closed = open.close();
    assert_eq!(kept, TEXT);
    assert!(pages.extent(PageNo(4)).expect("in the heap") == large);
    assert_eq!(pages.verified_units(), 0, "nothing was looked for in the file");
    pages.unit_written(PageNo(2), 1);
    pages.unit_written(PageNo(4), heap.pages as u64);
    drop((closed, heap));
    check_block(&pages, at);
    assert!(pages.extent(PageNo(4)).expect("in the file") == large);
    assert_eq!(pages.verified_units(), 3);
}

#[test]
fn a_part_of_an_extent_is_known_while_the_extent_is_at_hand() {
    let mut draft = Draft::new(24);
    let large = document(70_000);
    draft.extent(PageNo(4), &large);
    let (pages, part) = (draft.table(), KnownPart::default());
    assert!(pages.known(PageNo(4), &part).is_none(), "nobody has looked");
    let heap = HeapExtent::new(&Pool::new(0), PageNo(4), 1, &large);
    // SAFETY: the extent lives until it was taken out.
    unsafe { pages.put_heap(PageNo(4), PageKind::Extent, 0, heap.unit.ptr()).expect("a page") };
    pages.make_known(PageNo(4), 100..300, &part);
    assert!(pages.known(PageNo(4), &part).is_none(), "it is in the heap");
    pages.unit_written(PageNo(4), heap.pages as u64);
    drop(heap);
    pages.make_known(PageNo(4), 100..300, &part);
    assert_eq!(pages.known(PageNo(4), &part), Some(&large[100..300]));
    assert!(part == KnownPart::default() && pages.known(PageNo(4), &part.clone()).is_none());
    pages.forget(PageNo(4));
    assert!(pages.known(PageNo(4), &part).is_none(), "it is to be verified again");
    pages.extent(PageNo(4)).expect("an extent");
    assert_eq!(pages.known(PageNo(4), &part), Some(&large[100..300]));
    for range in [65_000..66_000, 69_999..70_001, 0..0] {
        let part = KnownPart::default();
        pages.make_known(PageNo(4), range.clone(), &part);
        assert!(pages.known(PageNo(4), &part).is_none(), "{range:?}");
    }
}

#[test]
fn tables_far_apart_are_made_when_first_needed() {
    let pages = Draft::new(4).table();
    let mut blocks = Vec::new();
    for shift in 3..40 {
        let page = PageNo(1 << shift);
        let (closed, at) = block(page, 0);
        // SAFETY: the block lives until the end of the test.
        unsafe { pages.put_heap(page, PageKind::Block, 0, closed.unit.ptr()).expect("below the limit") };
        blocks.push((closed, at));
        if cfg!(miri) && shift > 12 {
            break;
        }
    }
    blocks.iter().for_each(|(_, at)| check_block(&pages, *at));
    let (closed, _) = block(PageNo(MAX_PAGES), 0);
    // SAFETY: as above.
    assert!(unsafe { pages.put_heap(PageNo(MAX_PAGES), PageKind::Block, 0, closed.unit.ptr()) }.is_err());
}

#[test]
fn readers_see_whole_records_while_the_writer_appends_beside_them() {
    let pages = Draft::new(4).table();
    let records = if cfg!(miri) { 12 } else { 250 };
    let mut open = OpenBlock::new(&Pool::new(0), PageNo(2), 0, 1, 1);
    // SAFETY: the block lives until the readers are joined.
    unsafe { pages.put_heap(PageNo(2), PageKind::Block, 0, open.memory()).expect("a page") };
    let published = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| loop {
                let at = Address(published.load(Ordering::Acquire));
                if at.0 == 0 {
                    std::thread::yield_now();
                    continue;
                }
                let memory = pages.block(at.page()).expect("the block");
                let record = block::read(&memory, at.slot()).expect("a record");
                let number = record.ordinal_delta as usize;
                assert_eq!(record.payload, [number as u8; 9]);
                assert_eq!(block::base_ordinal(&memory), 1);
                if number + 1 == records {
                    break;
                }
            });
        }
        for number in 0..records {
            let at = open.append(1 + number as u64, &[&[number as u8; 4], &[number as u8; 5]], false);
            published.store(at.0, Ordering::Release);
        }
        let closed = open.close();
        assert_eq!(closed.slots, records);
        closed
    });
}
