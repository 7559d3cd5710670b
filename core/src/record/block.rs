//! Slotted record blocks.
//!
//! ```text
//!   +-------------+---------------+----------+----------+----------+ . . . . . +--------+--------+
//!   | unit header | base ordinal, | record 0 | record 1 | record 2 >   free    < slot 1 | slot 0 |
//!   |             | slots, end    |          |          |          |           |        |        |
//!   +-------------+---------------+----------+----------+----------+ . . . . . +--------+--------+
//!   0             48              64                                                       2^k pages
//!
//!   record  +------------------------+----------------------+------------------+
//!           | varint: length*2+large | varint: ordinal-base | document or stub |
//!           +------------------------+----------------------+------------------+
//! ```
//!
//! A block holds records of one collection (its tree number stands in the unit header), in the order of
//! their ordinals. Records are only appended; a checkpoint seals the block (slots, end, checksum) and it
//! never changes again. An address names the block's first page and the record's byte position, so a
//! read goes straight to the record; the slots list the same positions for scans and `verify`.
//!
//! A document begins with its `_id` (see [`super::key`]), so the id is compared on the line that is read
//! anyway. A large document leaves a *stub*: a map of just its `_id`, then the extent that holds it.

use super::key;
use crate::error::{Error, Result};
use crate::file::fault::Fault;
use crate::file::page::{put_u16, put_u32, put_u64, Address, PageKind, PageNo, UnitHeader};
use crate::file::page::{PAGE_BYTES, UNIT_HEADER_BYTES};
use crate::file::pages::BlockMemory;
use crate::memory::{Memory, Pool};

/// Offset of the first record.
pub const RECORDS_AT: usize = END_AT + 4;
const BASE_AT: usize = UNIT_HEADER_BYTES;
const SLOTS_AT: usize = BASE_AT + 8;
const END_AT: usize = SLOTS_AT + 4;
const _: () = assert!(RECORDS_AT == 64);

/// Bytes of a slot at the block's end.
pub const SLOT_BYTES: usize = 2;

/// Bytes of a stub after its `_id`: page of the extent (6), length of the document (4).
pub const STUB_TAIL_BYTES: usize = 10;

/// Most slots in a block: bitmaps of the directory stay small.
pub const MAX_SLOTS: usize = 2048;

/// The longest document kept in a block of the largest order; longer ones get an extent.
pub const MAX_INLINE_BYTES: usize = 16 * 1024;

/// Field names of `docs/file-format.md` and where the code has them: block, tail of a stub.
#[cfg(all(test, not(loom)))]
pub(crate) const LAYOUTS: [crate::format_tests::Layout; 2] = [
    &[("unit header", 0), ("base ordinal", BASE_AT), ("slots", SLOTS_AT), ("end", END_AT), ("records", RECORDS_AT)],
    &[("extent", 0), ("length", 6), ("", STUB_TAIL_BYTES)],
];

/// A record, as found at an address.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Ordinal less the block's base ordinal.
    pub ordinal_delta: u64,
    /// The document, or the stub of a large one.
    pub payload: &'a [u8],
    /// True for a stub.
    pub large: bool,
    /// Bytes from the record's start to its end, heads included.
    pub bytes: usize,
}

impl<'a> Record<'a> {
    /// The record's key.
    pub fn key(&self) -> Option<&'a [u8]> {
        key::key_of(self.payload)
    }

    /// For a stub: first page of the extent and length of the document in bytes.
    pub fn extent(&self) -> Option<(PageNo, usize)> {
        let at = self.payload.len().checked_sub(STUB_TAIL_BYTES)?;
        let tail = &self.payload[at..];
        Some((PageNo(crate::file::page::get_u48(tail, 0)), crate::file::page::get_u32(tail, 6) as usize))
    }
}

/// Reads the record at `slot`. Every length is checked against the block.
#[inline]
pub fn read<'a>(block: &BlockMemory<'a>, slot: u16) -> Result<Record<'a>> {
    look(block, slot)
}

/// [`read`], the fast look or the slow one.
#[inline(always)]
pub fn look<'a, E: Fault>(block: &BlockMemory<'a>, slot: u16) -> Result<Record<'a>, E> {
    let start = usize::from(slot);
    let bad = |got: u64| {
        E::otherwise(|| Err(Error::corrupt("record", block.page().0, start as u32, block.len() as u64, got)))
    };
    if start < RECORDS_AT {
        return bad(start as u64);
    }
    let Some((head, at)) = varint(block, start) else { return bad(0) };
    let Some((ordinal_delta, at)) = varint(block, at) else { return bad(0) };
    let Ok(len) = usize::try_from(head >> 1) else { return bad(head) };
    let Some(payload) = block.slice(at, len) else { return bad(head) };
    Ok(Record { ordinal_delta, payload, large: head & 1 == 1, bytes: at + len - start })
}

#[inline(always)]
fn varint(block: &BlockMemory<'_>, at: usize) -> Option<(u64, usize)> {
    let first = block.byte(at)?;
    if first < 0x80 {
        return Some((u64::from(first), at + 1));
    }
    let second = block.byte(at + 1)?;
    if second < 0x80 {
        return Some((u64::from(first & 0x7f) | u64::from(second) << 7, at + 2));
    }
    long_varint(block, at)
}

#[cold]
fn long_varint(block: &BlockMemory<'_>, mut at: usize) -> Option<(u64, usize)> {
    let first = block.byte(at)?;
    let mut value = u64::from(first & 0x7f);
    for shift in 1..10 {
        at += 1;
        let byte = block.byte(at)?;
        value |= u64::from(byte & 0x7f).checked_shl(shift * 7)?;
        if byte < 0x80 {
            return Some((value, at + 1));
        }
    }
    None
}

fn put_varint(out: &mut [u8], mut v: u64) -> usize {
    let mut at = 0;
    while v >= 0x80 {
        out[at] = v as u8 | 0x80;
        v >>= 7;
        at += 1;
    }
    out[at] = v as u8;
    at + 1
}

/// Number of slots and end of the records of a sealed block, checked against its length.
pub fn sealed_shape(block: &BlockMemory<'_>) -> Result<(usize, usize)> {
    let head = block.slice(SLOTS_AT, 8).ok_or_else(|| Error::Internal("a block without a header".into()))?;
    let slots = crate::file::page::get_u32(head, 0) as usize;
    let end = crate::file::page::get_u32(head, 4) as usize;
    if slots > MAX_SLOTS || end < RECORDS_AT || end + slots * SLOT_BYTES > block.len() {
        let (page, len) = (block.page().0, block.len() as u64);
        return Err(Error::corrupt("record block (slots)", page, SLOTS_AT as u32, len, slots as u64));
    }
    Ok((slots, end))
}

/// Position of slot `index` of a sealed block.
pub fn slot_position(block: &BlockMemory<'_>, index: usize) -> Result<u16> {
    let at = block.len().checked_sub((index + 1) * SLOT_BYTES);
    let bytes = at.and_then(|at| block.slice(at, SLOT_BYTES));
    let bytes = bytes.ok_or_else(|| Error::corrupt("record block (slot)", block.page().0, 0, 0, index as u64))?;
    Ok(crate::file::page::get_u16(bytes, 0))
}

/// Index of the slot whose record begins at `position`, in a sealed block of `slots` slots.
pub fn slot_index(block: &BlockMemory<'_>, slots: usize, position: u16) -> Result<Option<usize>> {
    let (mut low, mut high) = (0, slots);
    while low < high {
        let middle = (low + high) / 2;
        match slot_position(block, middle)?.cmp(&position) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return Ok(Some(middle)),
        }
    }
    Ok(None)
}

/// Ordinal of the block's first record, from its header.
pub fn base_ordinal(block: &BlockMemory<'_>) -> u64 {
    block.slice(BASE_AT, 8).map_or(0, |b| crate::file::page::get_u64(b, 0))
}

/// Bytes of a record with a payload of `payload` bytes and this ordinal delta.
pub fn record_bytes(payload: usize, ordinal_delta: u64) -> usize {
    varint_bytes((payload as u64) << 1) + varint_bytes(ordinal_delta) + payload
}

fn varint_bytes(v: u64) -> usize {
    (64 - (v | 1).leading_zeros() as usize).div_ceil(7)
}

/// The order (2^order pages) of the blocks of a collection whose documents have `mean` bytes on
/// average: at least some eighty records a block where the largest block allows it, so that what is
/// lost at a block's end, and its header, stay near one percent.
pub fn order_for(mean: usize, max_order: u8) -> u8 {
    let order = match mean {
        0..=48 => 0,
        49..=96 => 1,
        97..=220 => 2,
        221..=440 => 3,
        _ => 4,
    };
    order.min(max_order)
}

/// Length from which documents go to an extent, given the largest order of block.
pub fn inline_limit(max_order: u8) -> usize {
    MAX_INLINE_BYTES.min((PAGE_BYTES << max_order) / 4)
}

/// Memory of one unit that is not in the file yet, shared with readers by address.
#[derive(Debug)]
pub struct HeapUnit(Memory);

impl HeapUnit {
    /// Memory of `pages` pages, with anything in it.
    pub fn new(pool: &Pool, pages: usize) -> HeapUnit {
        HeapUnit(pool.take(pages * PAGE_BYTES))
    }

    /// Its first byte.
    pub fn ptr(&self) -> *mut u8 {
        self.0.ptr()
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes `data` at `at`. Only the owner calls this, for bytes not published yet.
    pub fn write(&mut self, at: usize, data: &[u8]) {
        assert!(at <= self.len() && data.len() <= self.len() - at);
        // SAFETY: in bounds by the line above; no reader looks at bytes that were not published.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), self.ptr().add(at), data.len()) }
    }

    /// Makes the bytes from `from` to `to` zero. As [`HeapUnit::write`].
    pub fn clear(&mut self, from: usize, to: usize) {
        assert!(from <= to && to <= self.len());
        // SAFETY: as in `write`.
        unsafe { self.ptr().add(from).write_bytes(0, to - from) }
    }

    /// All bytes, for the checkpoint that writes the unit. The writer must be done with it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: all of the memory is initialised; the caller is past the last write.
        unsafe { std::slice::from_raw_parts(self.ptr(), self.len()) }
    }
}

/// A block that the writer still appends to.
#[derive(Debug)]
pub struct OpenBlock {
    unit: HeapUnit,
    page: PageNo,
    order: u8,
    base: u64,
    slots: usize,
    end: usize,
}

impl OpenBlock {
    /// An empty block for the records of `tree`, the first of which gets ordinal `base`.
    pub fn new(pool: &Pool, page: PageNo, order: u8, tree: u64, base: u64) -> OpenBlock {
        let mut unit = HeapUnit::new(pool, 1 << order);
        let mut head = [0; RECORDS_AT];
        UnitHeader { page, kind: PageKind::Block, order, generation: 0, tree }.encode(&mut head);
        put_u64(&mut head, BASE_AT, base);
        unit.write(0, &head);
        OpenBlock { unit, page, order, base, slots: 0, end: RECORDS_AT }
    }

    /// Its memory.
    pub fn memory(&self) -> *mut u8 {
        self.unit.ptr()
    }

    /// True when a record with this ordinal and payload length fits.
    pub fn fits(&self, ordinal: u64, payload: usize) -> bool {
        let need = record_bytes(payload, ordinal - self.base) + (self.slots + 1) * SLOT_BYTES;
        self.slots < MAX_SLOTS && self.end <= usize::from(u16::MAX) && self.end + need <= self.unit.len()
    }

    /// Appends a record whose payload is the concatenation of `parts`. Requires: it fits.
    pub fn append(&mut self, ordinal: u64, parts: &[&[u8]], large: bool) -> Address {
        let payload: usize = parts.iter().map(|p| p.len()).sum();
        debug_assert!(self.fits(ordinal, payload));
        let position = self.end;
        let mut head = [0; 20];
        let mut used = put_varint(&mut head, (payload as u64) << 1 | u64::from(large));
        used += put_varint(&mut head[used..], ordinal - self.base);
        self.unit.write(position, &head[..used]);
        let mut at = position + used;
        for part in parts {
            self.unit.write(at, part);
            at += part.len();
        }
        let mut slot = [0; SLOT_BYTES];
        put_u16(&mut slot, 0, position as u16);
        self.unit.write(self.unit.len() - (self.slots + 1) * SLOT_BYTES, &slot);
        self.slots += 1;
        self.end = at;
        Address::new(self.page, position as u16)
    }

    /// Nothing is appended any more: writes slots and end into the header, and zeros in between.
    pub fn close(mut self) -> ClosedBlock {
        self.unit.clear(self.end, self.unit.len() - self.slots * SLOT_BYTES);
        let mut tail = [0; RECORDS_AT - SLOTS_AT];
        put_u32(&mut tail, 0, self.slots as u32);
        put_u32(&mut tail, 4, self.end as u32);
        self.unit.write(SLOTS_AT, &tail);
        ClosedBlock { unit: self.unit, page: self.page, order: self.order, base: self.base, slots: self.slots }
    }
}

/// A block that is complete and waits in the heap to be written.
#[derive(Debug)]
pub struct ClosedBlock {
    /// Its memory; readers may hold it.
    pub unit: HeapUnit,
    /// Its first page.
    pub page: PageNo,
    /// It has 2^order pages.
    pub order: u8,
    /// Ordinal of its first record.
    pub base: u64,
    /// Number of records.
    pub slots: usize,
}

#[cfg(all(test, not(loom)))]
mod tests;
