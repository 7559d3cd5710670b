//! The leaf of a run: some keys with their cells, in order.
//!
//! ```text
//!   0             48      50       64                                                   2^order pages
//!   +-------------+-------+--------+-------------+--------------+--------+-----------+- - - -+
//!   | unit header | count | prefix | heads 4 x n | places 2 x n | prefix | entry ... |  zero |
//!   +-------------+-------+--------+-------------+--------------+--------+-----------+- - - -+
//!
//!   key      prefix | head, 4 bytes | rest
//!   entry    varint: bytes of the key behind the prefix | varint: bytes of the value x 4 + kind | rest | value
//! ```
//!
//! What all keys have in front is stored once, and the next four bytes stand together, as numbers: a search reads a
//! line or two of them, and mostly one entry. A key that ends within its head is filled up with zeros; its length
//! tells. A leaf whose entries are large has more pages, so that little room is lost at its end.

use super::batch::{Batch, Lead, Lending, Plain, HEAD_BYTES, LEAD_BYTES, REST_BYTES};
use super::cell::Cell;
use super::merge::{Wanted, TREE_BYTES};
use super::{search, MAX_INLINE_BYTES, MAX_KEY_BYTES};
use crate::error::{Error, Result};
use crate::file::page::{get_u16, get_u32, get_u48, put_u16, put_u32, put_u48, PageNo, PAGE_BYTES, UNIT_HEADER_BYTES};
use crate::sync::prefetch;
use std::cmp::Ordering;
use std::ops::Range;

const COUNT_AT: usize = UNIT_HEADER_BYTES;
const PREFIX_BYTES_AT: usize = COUNT_AT + 2;
const HEADS_AT: usize = 64;
const SLOT_BYTES: usize = HEAD_BYTES + 2;
/// Most bytes of a key with the number of its tree in front.
const MAX_WHOLE_KEY_BYTES: usize = TREE_BYTES + MAX_KEY_BYTES;
/// Bytes of the cell of a large value: page, length.
const LARGE_BYTES: usize = 10;

const VALUE: u64 = 0;
const DELETED: u64 = 1;
const LARGE: u64 = 2;

/// Field names of `docs/file-format.md` and where the code has them.
#[cfg(test)]
pub(crate) const LAYOUT: crate::format_tests::Layout = &[
    ("unit header", 0),
    ("count", COUNT_AT),
    ("prefix bytes", PREFIX_BYTES_AT),
    ("zero", PREFIX_BYTES_AT + 2),
    ("heads", HEADS_AT),
];

/// Leaves that hold several entries have up to 2^4 pages, one that holds a single one up to 2^5.
pub const MAX_ORDER: u8 = 5;
const MAX_SHARED_ORDER: u8 = 4;

/// So many entries of the mean size find room in a leaf.
const LEAST_ENTRIES: usize = 10;

/// Bytes of a line of the cache.
const LINE_BYTES: usize = 64;
/// Bytes of entries that are asked for before they are read.
const PREFETCHED_BYTES: usize = 16 * LINE_BYTES;
/// What a search looks at first: the header and the heads and places of as many entries as a page mostly holds.
const SEARCHED_BYTES: usize = 6 * LINE_BYTES;

/// Asks for what a search of a leaf at this address looks at.
#[inline]
pub fn prefetch_head(leaf: *const u8) {
    (0..SEARCHED_BYTES).step_by(LINE_BYTES).for_each(|at| prefetch(leaf.wrapping_add(at)));
}

fn varint_bytes(v: u64) -> usize {
    (64 - (v | 1).leading_zeros() as usize).div_ceil(7)
}

fn put_varint(to: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        to.push(v as u8 | 0x80);
        v >>= 7;
    }
    to.push(v as u8);
}

fn head_of(suffix: &[u8]) -> u32 {
    match suffix.first_chunk::<HEAD_BYTES>() {
        Some(head) => u32::from_be_bytes(*head),
        None => {
            let mut head = [0; HEAD_BYTES];
            head[..suffix.len()].copy_from_slice(suffix);
            u32::from_be_bytes(head)
        }
    }
}

fn meta_of(cell: Cell<'_>) -> (u64, usize) {
    match cell {
        Cell::Value(value) => ((value.len() as u64) << 2 | VALUE, value.len()),
        Cell::Deleted => (DELETED, 0),
        Cell::Large { .. } => ((LARGE_BYTES as u64) << 2 | LARGE, LARGE_BYTES),
    }
}

/// Bytes of an entry, its slot included, whose key has `suffix` bytes behind the prefix.
fn entry_bytes(suffix: usize, cell: Cell<'_>) -> usize {
    let (meta, value) = meta_of(cell);
    SLOT_BYTES + varint_bytes(suffix as u64) + varint_bytes(meta) + suffix.saturating_sub(HEAD_BYTES) + value
}

/// A leaf in the making. Keys are given in ascending order.
#[derive(Debug, Default)]
pub struct LeafBuilder {
    bytes: Vec<u8>,
    /// Key and value of each entry, in `bytes`, and the second number of its entry.
    entries: Vec<(Range<usize>, Range<usize>, u64)>,
    prefix: usize,
    /// Bytes of the entries with this prefix.
    size: usize,
}

impl LeafBuilder {
    /// True without an entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first key.
    pub fn first(&self) -> Option<&[u8]> {
        self.entries.first().map(|(key, ..)| &self.bytes[key.clone()])
    }

    /// The last key.
    pub fn last(&self) -> Option<&[u8]> {
        self.entries.last().map(|(key, ..)| &self.bytes[key.clone()])
    }

    fn sum(&self, prefix: usize) -> usize {
        let of = |(key, value, meta): &(Range<usize>, Range<usize>, u64)| {
            let suffix = key.len() - prefix;
            SLOT_BYTES
                + varint_bytes(suffix as u64)
                + varint_bytes(*meta)
                + suffix.saturating_sub(HEAD_BYTES)
                + value.len()
        };
        self.entries.iter().map(of).sum()
    }

    /// Adds an entry, if the leaf keeps within `order` with it.
    pub fn push(&mut self, key: &[u8], cell: Cell<'_>, order: u8) -> bool {
        // A place has 16 bits.
        if order > MAX_SHARED_ORDER && !self.is_empty() {
            return false;
        }
        let (prefix, size) = match self.first() {
            None => (key.len(), 0),
            Some(first) => match search::common(first, key).min(self.prefix) {
                prefix if prefix == self.prefix => (prefix, self.size),
                prefix => (prefix, self.sum(prefix)),
            },
        };
        let size = size + entry_bytes(key.len() - prefix, cell);
        if HEADS_AT + prefix + size > PAGE_BYTES << order {
            return false;
        }
        (self.prefix, self.size) = (prefix, size);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        match cell {
            Cell::Value(value) => self.bytes.extend_from_slice(value),
            Cell::Large { page, length } => {
                let mut large = [0; LARGE_BYTES];
                put_u48(&mut large, 0, page.0);
                put_u32(&mut large, 6, length);
                self.bytes.extend_from_slice(&large);
            }
            Cell::Deleted => {}
        }
        self.entries.push((at..middle, middle..self.bytes.len(), meta_of(cell).0));
        true
    }

    /// The order for a leaf that begins with this entry, where entries were of `mean` bytes so far.
    pub fn order_for(key: &[u8], cell: Cell<'_>, mean: usize) -> u8 {
        let own = entry_bytes(key.len(), cell);
        let mut order = 0;
        while order < MAX_SHARED_ORDER && PAGE_BYTES << order < mean.max(own / 2) * LEAST_ENTRIES {
            order += 1;
        }
        while PAGE_BYTES << order < HEADS_AT + own + HEAD_BYTES && order < MAX_ORDER {
            order += 1;
        }
        order
    }

    /// Appends the leaf to `to`, as few pages as hold it, all but the unit header; forgets the entries. Gives the order.
    pub fn finish(&mut self, to: &mut Vec<u8>) -> u8 {
        let (start, count) = (to.len(), self.entries.len());
        let size = HEADS_AT + self.prefix + self.size;
        let order = (0..MAX_ORDER).find(|order| size <= PAGE_BYTES << order).unwrap_or(MAX_ORDER);
        to.resize(start + HEADS_AT + count * SLOT_BYTES, 0);
        put_u16(to, start + COUNT_AT, count as u16);
        // A prefix of more can't be said; a leaf with such a key has it alone, and its key needs none.
        let prefix = if count == 1 { 0 } else { self.prefix };
        put_u16(to, start + PREFIX_BYTES_AT, prefix as u16);
        let places = start + HEADS_AT + count * HEAD_BYTES;
        if let Some(first) = self.entries.first().map(|(key, ..)| key.clone()) {
            to.extend_from_slice(&self.bytes[first][..prefix]);
        }
        for (at, (key, value, meta)) in self.entries.iter().enumerate() {
            let suffix = &self.bytes[key.clone()][prefix..];
            let place = to.len() - start;
            put_u32(to, start + HEADS_AT + at * HEAD_BYTES, head_of(suffix));
            put_u16(to, places + at * 2, place as u16);
            put_varint(to, suffix.len() as u64);
            put_varint(to, *meta);
            to.extend_from_slice(suffix.get(HEAD_BYTES..).unwrap_or_default());
            to.extend_from_slice(&self.bytes[value.clone()]);
        }
        let order =
            order.max((0..MAX_ORDER).find(|order| to.len() - start <= PAGE_BYTES << order).unwrap_or(MAX_ORDER));
        to.resize(start + (PAGE_BYTES << order), 0);
        self.bytes.clear();
        self.entries.clear();
        (self.prefix, self.size) = (0, 0);
        order
    }
}

/// A leaf to read. Nothing in it is trusted.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    bytes: &'a [u8],
    page: PageNo,
    count: usize,
    prefix: &'a [u8],
}

/// An entry of a leaf.
#[derive(Debug, Clone, Copy)]
pub struct LeafEntry<'a> {
    /// Bytes of the key behind the prefix.
    suffix: usize,
    head: u32,
    /// What follows the head.
    rest: &'a [u8],
    /// What the key has.
    pub cell: Cell<'a>,
    /// Where that stands in the leaf; for [`Leaf::cell_at`].
    pub place: CellPlace,
}

/// The lengths in an entry of the usual kind, a short key and a value that is no long one. Many entries of a leaf have the
/// same, and they are made out once.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// The bytes that say it.
    numbers: [u8; 3],
    /// Bytes of the key behind the prefix.
    suffix: usize,
    /// Where the rest of the key begins, from the beginning of the entry.
    rest_at: usize,
    /// Where the value begins.
    value_at: usize,
    /// Bytes of the value.
    value: usize,
}

impl Shape {
    /// Of no entry: there are no such places in a leaf.
    const NONE: Shape = Shape { numbers: [0xff; 3], suffix: 0, rest_at: usize::MAX, value_at: usize::MAX, value: 0 };

    /// None of an entry of another kind.
    #[inline]
    fn new(numbers: [u8; 3]) -> Option<Shape> {
        let (meta, rest_at) = match numbers {
            [_, low @ 0..=0x7f, _] => (usize::from(low), 2),
            [_, low, high @ 0..=0x7f] => (usize::from(low & 0x7f) | usize::from(high) << 7, 3),
            _ => return None,
        };
        let suffix = usize::from(numbers[0]);
        let rest = suffix.saturating_sub(HEAD_BYTES);
        let is_usual = meta as u64 & 3 == VALUE && rest <= REST_BYTES;
        is_usual.then_some(Shape { numbers, suffix, rest_at, value_at: rest_at + rest, value: meta >> 2 })
    }
}

/// Where a cell stands in its leaf.
#[derive(Debug, Clone, Copy, Default)]
pub struct CellPlace {
    at: u32,
    bytes: u32,
    kind: u8,
}

impl<'a> Leaf<'a> {
    /// The leaf in the unit `bytes` at `page`.
    #[inline]
    pub fn open(bytes: &'a [u8], page: PageNo) -> Result<Leaf<'a>> {
        let count = usize::from(get_u16(bytes, COUNT_AT));
        let prefix_at = HEADS_AT + count * SLOT_BYTES;
        let length = usize::from(get_u16(bytes, PREFIX_BYTES_AT));
        match bytes.get(prefix_at..prefix_at + length) {
            Some(prefix) if count > 0 => Ok(Leaf { bytes, page, count, prefix }),
            _ => Err(Error::corrupt("leaf of a run (count)", page.0, COUNT_AT as u32, 1, count as u64)),
        }
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.count
    }

    fn bad(&self, at: usize, what: &'static str, expected: usize, got: usize) -> Error {
        Error::corrupt(what, self.page.0, at as u32, expected as u64, got as u64)
    }

    #[inline]
    fn head(&self, at: usize) -> u32 {
        get_u32(self.bytes, HEADS_AT + at * HEAD_BYTES)
    }

    #[inline]
    fn varint(&self, at: &mut usize) -> Result<u64> {
        match self.bytes.get(*at..*at + 2) {
            Some([byte @ 0..=0x7f, _]) => {
                *at += 1;
                Ok(u64::from(*byte))
            }
            Some([low, high @ 0..=0x7f]) => {
                *at += 2;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(at),
        }
    }

    #[inline(never)]
    fn long_varint(&self, at: &mut usize) -> Result<u64> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = *self.bytes.get(*at).ok_or_else(|| self.bad(*at, "leaf of a run (entry)", 0, 1))?;
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.bad(*at, "leaf of a run (number)", 0, 1))
    }

    /// Entry `at`.
    pub fn entry(&self, at: usize) -> Result<LeafEntry<'a>> {
        if at >= self.count {
            return Err(self.bad(COUNT_AT, "leaf of a run (count)", self.count, at));
        }
        let slot = self.places_at() + at * 2;
        let place = usize::from(get_u16(self.bytes, slot));
        if place < self.entries_at() {
            return Err(self.bad(slot, "leaf of a run (place)", HEADS_AT, place));
        }
        let mut from = place;
        let suffix = self.varint(&mut from)? as usize;
        let meta = self.varint(&mut from)?;
        let (rest, value) = (suffix.saturating_sub(HEAD_BYTES), (meta >> 2) as usize);
        // What a merge reads it can write.
        if self.prefix.len() + suffix > MAX_WHOLE_KEY_BYTES || value > MAX_INLINE_BYTES {
            return Err(self.bad(place, "leaf of a run (length of a key or value)", MAX_WHOLE_KEY_BYTES, suffix));
        }
        let Some(bytes) = self.bytes.get(from..from + rest + value) else {
            return Err(self.bad(place, "leaf of a run (length of an entry)", self.bytes.len(), from + rest + value));
        };
        let at_value = from + rest;
        let (rest, value) = bytes.split_at(rest);
        let kind = (meta & 3) as u8;
        let cell = cell_of(kind, value)
            .ok_or_else(|| self.bad(place, "leaf of a run (kind of an entry)", 0, usize::from(kind)))?;
        let place = CellPlace { at: at_value as u32, bytes: value.len() as u32, kind };
        Ok(LeafEntry { suffix, head: self.head(at), rest, cell, place })
    }

    /// The cell of an entry that was read before.
    #[inline]
    pub fn cell_at(&self, place: CellPlace) -> Result<Cell<'a>> {
        let (at, bytes) = (place.at as usize, place.bytes as usize);
        let value = self.bytes.get(at..at + bytes);
        let cell = value.and_then(|value| cell_of(place.kind, value));
        cell.ok_or_else(|| self.bad(at, "leaf of a run (another than before)", 0, bytes))
    }

    /// Writes the key of an entry over `key`.
    #[inline]
    pub fn key(&self, entry: &LeafEntry<'_>, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(self.prefix);
        self.next_key(entry, key);
    }

    /// Writes the key of an entry over that of another entry of this leaf.
    #[inline]
    pub fn next_key(&self, entry: &LeafEntry<'_>, key: &mut Vec<u8>) {
        key.truncate(self.prefix.len());
        append_suffix(entry, key);
    }

    /// Appends entries to a batch, as it is wanted, and says up to which one: a large value ends it, for it may want more
    /// than to be given. Of each key the first `wanted.skip` bytes, which must be in the prefix, are left out.
    pub fn append(&self, range: Range<usize>, wanted: &Wanted<'_>, batch: &mut Batch) -> Result<usize> {
        let Range { start, end } = range;
        if start >= end || end > self.count {
            return Ok(start);
        }
        let prefix = self.prefix.get(wanted.skip..).unwrap_or_default();
        let lead = Lead::new(prefix);
        batch.reserve(end - start);
        let mut at = start;
        while at < end && batch.bytes() < wanted.bytes {
            at = match (&lead, wanted.lend) {
                (Some(lead), Some(lending)) => self.append_plain(at..end, lead, Some(lending), wanted.bytes, batch),
                (Some(lead), None) => self.append_plain(at..end, lead, None, wanted.bytes, batch),
                (None, _) => at,
            };
            if at == end || batch.bytes() >= wanted.bytes {
                break;
            }
            if !self.append_any(at, prefix, wanted, batch)? {
                break;
            }
            at += 1;
        }
        Ok(at)
    }

    /// Whether entries of the usual kind can be lent, of each key without `skip` bytes.
    #[inline]
    pub fn may_lend(&self, skip: usize) -> bool {
        self.prefix.len() <= skip + LEAD_BYTES
    }

    /// Lends entries of the usual kind to a batch as long as there are, and says up to which one. Of each key `skip` bytes,
    /// which must be in the prefix, are left out.
    pub fn lend(&self, range: Range<usize>, skip: usize, lending: Lending, batch: &mut Batch) -> usize {
        if range.start >= range.end || range.end > self.count {
            return range.start;
        }
        batch.reserve(range.len());
        match self.prefix.get(skip..).and_then(Lead::new) {
            Some(lead) => self.append_plain(range, &lead, Some(lending), usize::MAX, batch),
            None => range.start,
        }
    }

    /// Appends entries of the usual kind as long as there are, and says up to which one. What a walk comes to later is asked
    /// for.
    #[inline(always)]
    fn append_plain(
        &self,
        range: Range<usize>,
        lead: &Lead,
        lending: Option<Lending>,
        most_bytes: usize,
        batch: &mut Batch,
    ) -> usize {
        let heads = self.bytes[HEADS_AT + range.start * HEAD_BYTES..].chunks_exact(HEAD_BYTES);
        let places = self.bytes[self.places_at() + range.start * 2..].chunks_exact(2);
        let (first, end) = (self.entries_at(), range.end);
        let mut shape = Shape::NONE;
        for (at, (head, place)) in range.zip(heads.zip(places)) {
            if lending.is_none() && batch.bytes() >= most_bytes {
                return at;
            }
            let place = usize::from(get_u16(place, 0));
            self.prefetch_at(place + PREFETCHED_BYTES, 2);
            let bytes = self.bytes.get(place..).and_then(|bytes| bytes.first_chunk().map(|numbers| (bytes, numbers)));
            let Some((bytes, numbers)) = bytes.filter(|_| place >= first) else { return at };
            if *numbers != shape.numbers {
                match Shape::new(*numbers) {
                    Some(new) => shape = new,
                    None => return at,
                }
            }
            let value = bytes.get(shape.value_at..).filter(|value| shape.value <= value.len());
            let rest = bytes.get(shape.rest_at..).and_then(|rest| rest.first_chunk());
            let (Some(rest), Some(value)) = (rest, value) else { return at };
            let head = get_u32(head, 0).to_be_bytes();
            let plain = Plain { head, suffix: shape.suffix, rest, value, length: shape.value };
            if !batch.push_plain(lead, plain, lending) {
                return at;
            }
        }
        end
    }

    /// Appends an entry of any kind, `prefix` in front; false where it is a large value.
    #[inline(never)]
    fn append_any(&self, at: usize, prefix: &[u8], wanted: &Wanted<'_>, batch: &mut Batch) -> Result<bool> {
        let entry = self.entry(at)?;
        let head = entry.head.to_be_bytes();
        match entry.cell {
            Cell::Large { .. } => return Ok(false),
            Cell::Deleted if !wanted.deleted => {}
            cell => batch.push_parts([prefix, &head[..entry.suffix.min(HEAD_BYTES)], entry.rest], cell, wanted.lend),
        }
        Ok(true)
    }

    /// What all keys have in front.
    pub fn prefix(&self) -> &'a [u8] {
        self.prefix
    }

    /// Where the places of the entries stand.
    #[inline]
    fn places_at(&self) -> usize {
        HEADS_AT + self.count * HEAD_BYTES
    }

    /// Where the prefix stands, and behind it the entries.
    #[inline]
    fn entries_at(&self) -> usize {
        HEADS_AT + self.count * SLOT_BYTES
    }

    /// Asks for the memory of an entry and of what follows it. Who appends goes on asking, so far in front of where it is
    /// that it does not wait; behind this leaf, mostly, there is the next one.
    pub fn prefetch_entries(&self, at: usize) {
        if at < self.count {
            let place = usize::from(get_u16(self.bytes, self.places_at() + at * 2));
            self.prefetch_at(place, PREFETCHED_BYTES / LINE_BYTES);
        }
    }

    #[inline(always)]
    fn prefetch_at(&self, at: usize, lines: usize) {
        (0..lines).for_each(|line| prefetch(self.bytes.as_ptr().wrapping_add(at + line * LINE_BYTES)));
    }

    /// Entries below the key; `after`: up to it.
    #[inline]
    pub fn count_below(&self, key: &[u8], after: bool) -> Result<usize> {
        let (at, is_there) = self.find(0, key)?;
        Ok(at + usize::from(is_there && after))
    }

    /// The number of entries below the key, where the first `from` are, and whether the next one is the key.
    #[inline]
    pub fn find(&self, from: usize, key: &[u8]) -> Result<(usize, bool)> {
        let Some(suffix) = key.strip_prefix(self.prefix) else {
            return Ok((if key < self.prefix { from } else { self.count }, false));
        };
        let sought = head_of(suffix);
        // Mostly nothing that is near.
        if sought > self.head(self.count - 1) {
            return Ok((self.count, false));
        }
        let heads = &self.bytes[HEADS_AT + from.min(self.count) * HEAD_BYTES..self.places_at()];
        let mut is_there = false;
        let is_below = |at: usize| {
            let order = self.order(from + at, suffix)?;
            is_there |= order == Ordering::Equal;
            Ok(order == Ordering::Less)
        };
        let below = search::count_below_short(heads, sought, is_below)?;
        Ok((from + below, is_there))
    }

    /// How the key of an entry whose head is that of `suffix` compares with it.
    #[inline]
    fn order(&self, at: usize, suffix: &[u8]) -> Result<Ordering> {
        let rest = suffix.get(HEAD_BYTES..).unwrap_or_default();
        let place = usize::from(get_u16(self.bytes, self.places_at() + at * 2));
        // Mostly it is of this form, and all else of it is of no interest.
        let found = match self.bytes.get(place..) {
            Some([own @ 0..=0x7f, 0..=0x7f, rest @ ..]) => Some((*own, rest)),
            Some([own @ 0..=0x7f, _, 0..=0x7f, rest @ ..]) => Some((*own, rest)),
            _ => None,
        };
        let found = found.map(|(own, bytes)| (usize::from(own), bytes));
        match found.and_then(|(own, bytes)| Some((own, bytes.get(..own.saturating_sub(HEAD_BYTES))?))) {
            Some((own, bytes)) => Ok(bytes.cmp(rest).then(own.cmp(&suffix.len()))),
            None => {
                let entry = self.entry(at)?;
                Ok(entry.rest.cmp(rest).then(entry.suffix.cmp(&suffix.len())))
            }
        }
    }

    /// What the leaf has of a key.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Result<Option<Cell<'a>>> {
        match self.find(0, key)? {
            (at, true) => Ok(Some(self.entry(at)?.cell)),
            _ => Ok(None),
        }
    }
}

#[inline]
fn append_suffix(entry: &LeafEntry<'_>, to: &mut Vec<u8>) {
    let head = entry.head.to_be_bytes();
    match entry.suffix {
        HEAD_BYTES.. => to.extend_from_slice(&head),
        short => to.extend_from_slice(&head[..short]),
    }
    to.extend_from_slice(entry.rest);
}

#[inline]
fn cell_of(kind: u8, value: &[u8]) -> Option<Cell<'_>> {
    match u64::from(kind) {
        VALUE => Some(Cell::Value(value)),
        DELETED if value.is_empty() => Some(Cell::Deleted),
        LARGE if value.len() == LARGE_BYTES => {
            Some(Cell::Large { page: PageNo(get_u48(value, 0)), length: get_u32(value, 6) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;
    use std::collections::BTreeMap;

    fn build(entries: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Vec<u8> {
        let (mut builder, mut bytes) = (LeafBuilder::default(), Vec::new());
        for (key, value) in entries {
            let cell = value.as_deref().map_or(Cell::Deleted, Cell::Value);
            assert!(builder.push(key, cell, MAX_SHARED_ORDER));
        }
        let order = builder.finish(&mut bytes);
        assert_eq!(bytes.len(), PAGE_BYTES << order);
        bytes
    }

    #[test]
    fn every_key_of_a_leaf_is_found_and_no_other() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let prefix = vec![b'p'; rng.below(40) as usize];
            let mut keys = || {
                let tail: Vec<u8> = (0..rng.below(9)).map(|_| rng.below(3) as u8).collect();
                [&prefix[..], &tail].concat()
            };
            let some: Vec<Vec<u8>> = (0..60).map(|_| keys()).collect();
            let model: BTreeMap<Vec<u8>, Option<Vec<u8>>> = some[..30]
                .iter()
                .enumerate()
                .map(|(n, key)| (key.clone(), (n % 4 > 0).then(|| vec![n as u8; n])))
                .collect();
            let bytes = build(&model);
            let leaf = Leaf::open(&bytes, PageNo(9)).expect("whole");
            assert_eq!(leaf.len(), model.len());
            let mut key = Vec::new();
            for (at, (expected, value)) in model.iter().enumerate() {
                let entry = leaf.entry(at).expect("whole");
                leaf.key(&entry, &mut key);
                assert_eq!(&key, expected, "seed {seed}");
                assert_eq!(entry.cell, value.as_deref().map_or(Cell::Deleted, Cell::Value));
            }
            for key in some.iter().chain(&[vec![], vec![b'p'], vec![0xff], vec![b'p'; 50]]) {
                let expected = model.get(key).map(|value| value.as_deref().map_or(Cell::Deleted, Cell::Value));
                assert_eq!(leaf.get(key).expect("whole"), expected, "seed {seed} {key:?}");
                for after in [false, true] {
                    let below = model.keys().filter(|k| *k < key || (after && *k == key)).count();
                    assert_eq!(leaf.count_below(key, after).expect("whole"), below);
                }
            }
        }
    }

    #[test]
    fn the_largest_entries_fit_and_a_full_leaf_says_so() {
        let key = vec![7; 4 + 65_535];
        for value in [0, 100, 8192] {
            let value = vec![1; value];
            let order = LeafBuilder::order_for(&key, Cell::Value(&value), 0);
            let (mut builder, mut bytes) = (LeafBuilder::default(), Vec::new());
            assert!(builder.push(&key, Cell::Value(&value), order));
            assert_eq!(builder.finish(&mut bytes), order);
            let leaf = Leaf::open(&bytes, PageNo(1)).expect("whole");
            assert_eq!(leaf.get(&key).expect("whole"), Some(Cell::Value(&value[..])));
            assert!(builder.push(&key, Cell::Value(&value), order));
            assert!(order < MAX_ORDER || !builder.push(&[8], Cell::Deleted, order), "a place has 16 bits");
        }
        let mut builder = LeafBuilder::default();
        let pushed = (0u32..1000).take_while(|n| builder.push(&n.to_be_bytes(), Cell::Value(&[0; 100]), 0)).count();
        assert!((34..40).contains(&pushed), "{pushed}");
    }

    #[test]
    fn what_no_leaf_could_be_made_of_is_an_error() {
        let model: BTreeMap<_, _> = (0u8..3).map(|n| (vec![n; 5], Some(vec![n; 9]))).collect();
        let whole = build(&model);
        let leaf = Leaf::open(&whole, PageNo(1)).expect("whole");
        assert!(leaf.entry(2).is_ok() && leaf.entry(3).is_err() && leaf.entry(60_000).is_err());
        // An entry with a key, then one with a value, that is longer than any: the unit has room for both.
        for (key, value, fits) in [(65_539, 0, true), (65_540, 0, false), (5, 8192, true), (5, 8193, false)] {
            let mut bytes = vec![0; PAGE_BYTES << MAX_ORDER];
            put_u16(&mut bytes, COUNT_AT, 1);
            put_u16(&mut bytes, HEADS_AT + HEAD_BYTES, 100);
            let mut entry = Vec::new();
            put_varint(&mut entry, key);
            put_varint(&mut entry, value << 2 | VALUE);
            bytes[100..100 + entry.len()].copy_from_slice(&entry);
            let leaf = Leaf::open(&bytes, PageNo(1)).expect("whole");
            assert_eq!(leaf.entry(0).is_ok(), fits, "{key} {value}");
        }
    }

    /// What many entries at once are is what each of them is, up to the first that is damaged, and that is told.
    #[test]
    fn many_entries_at_once_are_what_they_are_one_by_one_in_damaged_leaves_too() {
        type Entries = Vec<(Vec<u8>, Vec<u8>)>;
        let one_by_one = |leaf: &Leaf<'_>| -> (Entries, bool) {
            let (mut found, mut key) = (Vec::new(), Vec::new());
            for at in 0..leaf.len() {
                let Ok(entry) = leaf.entry(at) else { return (found, false) };
                leaf.key(&entry, &mut key);
                if let Cell::Value(value) = entry.cell {
                    found.push((key.get(4..).unwrap_or_default().to_vec(), value.to_vec()));
                }
            }
            (found, true)
        };
        let at_once = |leaf: &Leaf<'_>, lend: Option<Lending>| -> (Entries, bool) {
            let (mut batch, mut at, mut whole) = (Batch::default(), 0, true);
            let (most, bytes) = (usize::MAX, usize::MAX);
            let wanted =
                Wanted { skip: 4, end: None, deleted: false, values: false, most, bytes, lend, stretches: false };
            while at < leaf.len() {
                match leaf.append(at..leaf.len(), &wanted, &mut batch) {
                    // A large value, or what damage has made one.
                    Ok(to) => at = to + 1,
                    Err(_) => (at, whole) = (usize::MAX, false),
                }
            }
            let entries = (0..batch.len()).filter_map(|at| batch.get(at));
            (entries.map(|(key, value)| (key.to_vec(), value.to_vec())).collect(), whole)
        };
        let model: BTreeMap<_, _> = (0u32..20)
            .map(|n| ([&b"key "[..], &n.to_be_bytes(), &b"long"[..n as usize % 5]].concat(), Some(vec![n as u8; 40])))
            .collect();
        let whole = build(&model);
        let mut told = 0;
        for at in HEADS_AT + 20 * HEAD_BYTES..1200 {
            for damage in [&[0][..], &[1], &[0x7f], &[0x80], &[0xff], &[0xff; 3]] {
                let mut bytes = whole.clone();
                bytes[at..at + damage.len()].copy_from_slice(damage);
                let Ok(leaf) = Leaf::open(&bytes, PageNo(1)) else { continue };
                let expected = one_by_one(&leaf);
                // SAFETY: the bytes live longer than the batches.
                let lending = unsafe { Lending::new() };
                for lend in [None, Some(lending)] {
                    assert!(at_once(&leaf, lend) == expected, "{damage:?} at {at}, lent: {}", lend.is_some());
                }
                told += u32::from(!expected.1);
            }
        }
        assert!(told > 100, "{told}");
    }

    #[test]
    fn no_byte_of_a_leaf_makes_reading_it_panic() {
        let model: BTreeMap<_, _> =
            (0u32..20).map(|n| ([&b"key "[..], &n.to_be_bytes()].concat(), Some(vec![n as u8; 9]))).collect();
        let whole = build(&model);
        for at in COUNT_AT..700 {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = byte;
                let Ok(leaf) = Leaf::open(&bytes, PageNo(1)) else { continue };
                let _ = leaf.get(b"key \0\0\0\x07");
                let _ = leaf.count_below(b"key \0\0\0\x07", true);
                let mut key = Vec::new();
                for at in 0..leaf.len() {
                    if let Ok(entry) = leaf.entry(at) {
                        leaf.key(&entry, &mut key);
                    }
                }
            }
        }
    }
}
