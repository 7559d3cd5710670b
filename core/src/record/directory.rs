//! The directory of a collection: which blocks it has, and which of their records live.
//!
//! A page tree (`file::tree`) from the base ordinal of a block to an entry:
//!
//! ```text
//!   0          6       7       8       10      12           16
//!   +----------+-------+-------+-------+-------+------------+---------------------------+
//!   |   page   | order | flags | slots | live  | live bytes | bitmap: a bit a slot      |
//!   +----------+-------+-------+-------+-------+------------+ (only if not all are live)|
//!                                                           +---------------------------+
//! ```
//!
//! A full scan walks it in ordinal order and needs no index. Deletes and updates between checkpoints are
//! marks in memory; a checkpoint folds them in here.

use crate::error::{Error, Result};
use crate::file::page::{get_u16, get_u32, get_u48, put_u16, put_u32, put_u48, PageNo};

const HEAD_BYTES: usize = 16;
const FLAG_BITMAP: u8 = 1;
const FLAG_LARGE: u8 = 2;

/// Field names of `docs/file-format.md` and where the code has them.
#[cfg(all(test, not(loom)))]
pub(crate) const LAYOUT: crate::format_tests::Layout =
    &[("page", 0), ("order", 6), ("flags", 7), ("slots", 8), ("live", 10), ("live bytes", 12), ("bitmap", HEAD_BYTES)];

/// The entry of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The block's first page.
    pub page: PageNo,
    /// It has 2^order pages.
    pub order: u8,
    /// Records in the block, dead ones included.
    pub slots: u16,
    /// Live records.
    pub live: u16,
    /// Bytes of the live records in the block, heads included, extents not.
    pub live_bytes: u32,
    /// Some live record is, or was, the stub of a large document.
    pub large: bool,
    /// A bit for each slot, set where the record lives; empty when all live.
    pub bitmap: Vec<u8>,
}

impl Entry {
    /// True when slot `index` holds a live record.
    pub fn is_live(&self, index: usize) -> bool {
        index < usize::from(self.slots)
            && (self.bitmap.is_empty() || self.bitmap.get(index / 8).is_some_and(|b| b >> (index % 8) & 1 == 1))
    }

    /// Marks slot `index` dead; false if it was dead already.
    pub fn kill(&mut self, index: usize, bytes: usize) -> bool {
        if !self.is_live(index) {
            return false;
        }
        if self.bitmap.is_empty() {
            self.bitmap = all_live(usize::from(self.slots));
        }
        self.bitmap[index / 8] &= !(1 << (index % 8));
        self.live -= 1;
        self.live_bytes = self.live_bytes.saturating_sub(bytes as u32);
        true
    }

    /// Appends the encoded entry to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut head = [0; HEAD_BYTES];
        put_u48(&mut head, 0, self.page.0);
        head[6] = self.order;
        head[7] = u8::from(!self.bitmap.is_empty()) * FLAG_BITMAP | u8::from(self.large) * FLAG_LARGE;
        put_u16(&mut head, 8, self.slots);
        put_u16(&mut head, 10, self.live);
        put_u32(&mut head, 12, self.live_bytes);
        out.extend_from_slice(&head);
        out.extend_from_slice(&self.bitmap);
    }

    /// Reads an entry; `base` names it in an error.
    pub fn decode(b: &[u8], base: u64) -> Result<Entry> {
        let bad = |expected: u64, got: u64| Error::corrupt("directory entry", base, 0, expected, got);
        if b.len() < HEAD_BYTES {
            return Err(bad(HEAD_BYTES as u64, b.len() as u64));
        }
        let entry = Entry {
            page: PageNo(get_u48(b, 0)),
            order: b[6],
            slots: get_u16(b, 8),
            live: get_u16(b, 10),
            live_bytes: get_u32(b, 12),
            large: b[7] & FLAG_LARGE != 0,
            bitmap: b[HEAD_BYTES..].to_vec(),
        };
        let bitmap = if b[7] & FLAG_BITMAP != 0 { usize::from(entry.slots).div_ceil(8) } else { 0 };
        if entry.bitmap.len() != bitmap || usize::from(entry.slots) > super::block::MAX_SLOTS {
            return Err(bad(bitmap as u64, entry.bitmap.len() as u64));
        }
        let live = match entry.bitmap.is_empty() {
            true => u32::from(entry.slots),
            false => entry.bitmap.iter().map(|b| b.count_ones()).sum(),
        };
        if live != u32::from(entry.live) || entry.order > crate::file::pages::MAX_ORDER {
            return Err(bad(live.into(), entry.live.into()));
        }
        Ok(entry)
    }
}

/// A bitmap of `slots` bits, all set.
fn all_live(slots: usize) -> Vec<u8> {
    let mut bitmap = vec![0xff; slots.div_ceil(8)];
    if slots % 8 != 0 {
        if let Some(last) = bitmap.last_mut() {
            *last = (1 << (slots % 8)) - 1;
        }
    }
    bitmap
}

/// Collects the live slots of a new block.
#[derive(Debug)]
pub struct EntryBuilder {
    entry: Entry,
}

impl EntryBuilder {
    /// For a block of `slots` records, none live so far.
    pub fn new(page: PageNo, order: u8, slots: usize) -> EntryBuilder {
        let bitmap = vec![0; slots.div_ceil(8)];
        EntryBuilder { entry: Entry { page, order, slots: slots as u16, live: 0, live_bytes: 0, large: false, bitmap } }
    }

    /// Slot `index`, of `bytes` bytes, lives; `large` if it is a stub.
    pub fn live(&mut self, index: usize, bytes: usize, large: bool) {
        self.entry.large |= large;
        self.entry.bitmap[index / 8] |= 1 << (index % 8);
        self.entry.live += 1;
        self.entry.live_bytes += bytes as u32;
    }

    /// The entry, or `None` if no record lives.
    pub fn finish(mut self) -> Option<Entry> {
        if self.entry.live == self.entry.slots {
            self.entry.bitmap.clear();
        }
        (self.entry.live > 0).then_some(self.entry)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_as_written_and_counts_its_deaths() {
        for slots in [1u16, 7, 8, 9, 22, 300] {
            let mut builder = EntryBuilder::new(PageNo(77), 2, slots.into());
            (0..slots.into()).for_each(|i| builder.live(i, 10, i == 5));
            let mut entry = builder.finish().expect("live");
            assert!(entry.bitmap.is_empty());
            for dead in (0..usize::from(slots)).step_by(3) {
                assert!(entry.kill(dead, 10) && !entry.kill(dead, 10));
                assert!(!entry.is_live(dead));
                let mut bytes = Vec::new();
                entry.encode(&mut bytes);
                assert_eq!(Entry::decode(&bytes, 5).expect("whole"), entry);
                bytes[10] ^= 1;
                assert!(Entry::decode(&bytes, 5).is_err());
            }
        }
    }
}
