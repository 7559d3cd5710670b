//! Tests of record blocks: what is appended is read again, and damage is an error.

use super::*;
use crate::file::page::PageBuf;
use crate::file::pages::Pages;
use crate::file::written_file::WrittenFile;
use crate::memory::Pool;
use crate::testing::{seed, Rng};
use std::sync::Arc;

fn table() -> Pages {
    Pages::new(Arc::new(WrittenFile(PageBuf::zeroed(4))), 1, 4)
}

/// A closed block of random records: (position, ordinal, payload, large).
type Written = (u16, u64, Vec<u8>, bool);

fn fill(rng: &mut Rng, order: u8, most: u64) -> (ClosedBlock, Vec<Written>) {
    let base = 1 + rng.below(1 << 40);
    let mut open = OpenBlock::new(&Pool::new(0), PageNo(2), order, 9, base);
    let (mut ordinal, mut records) = (base, Vec::new());
    loop {
        let length = rng.below(most) as usize;
        let payload = rng.bytes(length);
        if !open.fits(ordinal, payload.len()) {
            break;
        }
        let (large, cut) = (rng.chance(0.1), rng.below(payload.len() as u64 + 1) as usize);
        let at = open.append(ordinal, &[&payload[..cut], &payload[cut..]], large);
        assert_eq!(at.page(), PageNo(2));
        records.push((at.slot(), ordinal, payload, large));
        let gap = 1 << rng.below(20);
        ordinal += 1 + rng.below(gap);
    }
    assert_eq!(open.slots, records.len());
    (open.close(), records)
}

#[test]
fn what_was_appended_is_read_again_by_position_and_by_slot() {
    let mut rng = Rng::new(seed(3));
    let rounds = if cfg!(miri) { 1 } else { 200 };
    for round in 0..rounds {
        let order = (round % 5) as u8;
        let most = *rng.pick(if cfg!(miri) { &[300] } else { &[2, 40, 300, 3000] });
        let (closed, records) = fill(&mut rng, order, most);
        let pages = table();
        // SAFETY: the block outlives the table's use.
        unsafe { pages.put_heap(PageNo(2), PageKind::Block, order, closed.unit.ptr()).expect("a page") };
        let block = pages.block(PageNo(2)).expect("the block");
        let (slots, end) = sealed_shape(&block).expect("sealed");
        assert_eq!((slots, base_ordinal(&block)), (records.len(), closed.base));
        let mut expected_at = RECORDS_AT;
        for (index, (position, ordinal, payload, large)) in records.iter().enumerate() {
            assert_eq!(usize::from(*position), expected_at, "records follow each other");
            assert_eq!(slot_position(&block, index).expect("a slot"), *position);
            assert_eq!(slot_index(&block, slots, *position).expect("slots"), Some(index));
            assert_eq!(slot_index(&block, slots, position + 1).expect("slots"), None);
            let record = read(&block, *position).expect("a record");
            assert_eq!((record.payload, record.large), (&payload[..], *large));
            assert_eq!(closed.base + record.ordinal_delta, *ordinal);
            assert_eq!(record.bytes, record_bytes(payload.len(), record.ordinal_delta));
            expected_at += record.bytes;
        }
        assert_eq!(end, expected_at);
    }
}

#[test]
fn no_bytes_of_a_block_make_reading_panic_or_leave_the_block() {
    let mut rng = Rng::new(seed(4));
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    for _ in 0..rounds {
        let mut unit = HeapUnit::new(&Pool::new(0), 1);
        let filler = if rng.chance(0.5) { rng.bytes(PAGE_BYTES) } else { vec![rng.next_u64() as u8; PAGE_BYTES] };
        unit.write(0, &filler);
        let pages = table();
        // SAFETY: the unit outlives the table's use.
        unsafe { pages.put_heap(PageNo(2), PageKind::Block, 0, unit.ptr()).expect("a page") };
        let block = pages.block(PageNo(2)).expect("a unit of the heap is trusted");
        let slot = rng.below(1 << 16) as u16;
        if let Ok(record) = read(&block, slot) {
            assert!(usize::from(slot) + record.bytes <= PAGE_BYTES);
            let _ = (record.key(), record.extent());
        }
        if let Ok((slots, _)) = sealed_shape(&block) {
            let _ = slot_index(&block, slots, slot);
        }
        let _ = slot_position(&block, rng.below(5000) as usize);
    }
}

#[test]
fn a_block_takes_no_record_that_does_not_fit() {
    let mut open = OpenBlock::new(&Pool::new(0), PageNo(2), 0, 1, 1);
    let most = PAGE_BYTES - RECORDS_AT - 2 - 1 - 2;
    assert!(open.fits(1, most));
    assert!(!open.fits(1, most + 1));
    open.append(1, &[&vec![1; most]], false);
    assert!(!open.fits(2, 0));
    let mut many = OpenBlock::new(&Pool::new(0), PageNo(2), 4, 1, 1);
    while many.fits(many.slots as u64 + 1, 0) {
        many.append(many.slots as u64 + 1, &[], false);
    }
    assert_eq!(many.slots, MAX_SLOTS);
}
