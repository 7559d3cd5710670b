//! Some keys with what they have, out of where a merge found them.
//!
//! ```text
//!   items   | key            | kind, lengths | ---> value, lent where it stands
//!           | key            | kind, lengths |
//!           | (a long one)   | kind, lengths |
//!                     |              |
//!   bytes             key .......... value, copied
//! ```
//!
//! A merge may let go of what it reads between two batches only, and what a step costs beside its key is paid once for
//! all of a batch. Who keeps what the merge reads for longer may have values lent ([`Lending`]): neither a leaf of a run nor
//! an entry of a memtable ever changes.
//!
//! Most keys are short, and are written into their item by words of fixed length: what is behind a key there is of no
//! meaning.

use super::cell::Cell;
use crate::file::page::PageNo;

/// The longest lead of a key that is written by words.
pub const LEAD_BYTES: usize = 31;
/// Bytes behind the lead that are written as one.
pub const HEAD_BYTES: usize = 4;
/// Bytes behind the head of a key that is written by words, at most.
pub const REST_BYTES: usize = 32;
/// Mostly so many are enough.
const SHORT_REST_BYTES: usize = REST_BYTES / 2;
/// The longest key that is in its item.
const KEY_BYTES: usize = LEAD_BYTES + HEAD_BYTES + REST_BYTES;

/// The first bytes of many keys.
#[derive(Debug, Clone, Copy)]
pub struct Lead {
    word: [u8; LEAD_BYTES + 1],
    length: usize,
}

impl Lead {
    /// None where it is too long.
    pub fn new(bytes: &[u8]) -> Option<Lead> {
        let mut word = [0; LEAD_BYTES + 1];
        word[..LEAD_BYTES].get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Lead { word, length: bytes.len() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// In `bytes`.
    Value,
    /// Lent.
    Lent,
    /// Page and length, in `bytes`.
    Large,
    Deleted,
}

/// Where a value is lent.
#[derive(Debug, Clone, Copy)]
struct Place(*const u8);

// SAFETY: what is lent is read alone, and does not change: see `Lending::new`.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

/// A key and where its value is.
#[derive(Debug, Clone, Copy)]
struct Item {
    lent: Place,
    /// In `bytes`: where the value begins; a key that is not in the item is in front of it.
    at: u32,
    key_bytes: u32,
    value_bytes: u32,
    kind: Kind,
    key: [u8; KEY_BYTES],
}

impl Item {
    const EMPTY: Item = Item {
        lent: Place(std::ptr::null()),
        at: 0,
        key_bytes: 0,
        value_bytes: 0,
        kind: Kind::Deleted,
        key: [0; KEY_BYTES],
    };

    /// Writes the key of `suffix` bytes behind the lead: its head, and what is behind that, the first bytes of `rest`,
    /// [`REST_BYTES`] at most.
    #[inline(always)]
    fn set_key(&mut self, lead: &Lead, head: [u8; HEAD_BYTES], suffix: usize, rest: &[u8; REST_BYTES]) {
        // So that the compiler knows.
        let length = lead.length.min(LEAD_BYTES);
        let front = suffix.min(HEAD_BYTES);
        self.key[..=LEAD_BYTES].copy_from_slice(&lead.word);
        self.key[length..length + HEAD_BYTES].copy_from_slice(&head);
        let behind = length + front;
        if suffix - front <= SHORT_REST_BYTES {
            self.key[behind..behind + SHORT_REST_BYTES].copy_from_slice(&rest[..SHORT_REST_BYTES]);
        } else {
            self.key[behind..behind + REST_BYTES].copy_from_slice(rest);
        }
        self.key_bytes = (length + suffix) as u32;
    }
}

/// Says that values may be lent to a batch.
#[derive(Debug, Clone, Copy)]
pub struct Lending(());

impl Lending {
    /// Lets who has it push values that are not copied.
    ///
    /// # Safety
    ///
    /// What is lent by it must stay where it is, and as it is, until the batch is cleared or dropped; and so must each leaf
    /// of a stretch that has it, until that is dropped.
    pub unsafe fn new() -> Lending {
        Lending(())
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Batch {
    /// Of which `len` are in use; all others are of no meaning, and need not be made again.
    items: Vec<Item>,
    len: usize,
    /// Of which `end` are in use; so are these.
    bytes: Vec<u8>,
    end: usize,
}

/// Bytes behind what is in use that may be written to: pieces are copied by words of fixed length.
const SLACK: usize = 64;

/// Longer pieces are copied by a call.
const SHORT: usize = 512;

/// Bytes of page and length of a large value.
const LARGE_BYTES: usize = 12;

/// An entry of a leaf whose key is written by words.
#[derive(Debug, Clone, Copy)]
pub struct Plain<'a> {
    /// The four bytes of the key behind the lead, or those that there are, and zeros.
    pub head: [u8; HEAD_BYTES],
    /// Bytes of the key behind the lead: not more than head and [`REST_BYTES`].
    pub suffix: usize,
    /// What is behind the head of the key.
    pub rest: &'a [u8; REST_BYTES],
    /// The value, and whatever follows.
    pub value: &'a [u8],
    /// Bytes of the value.
    pub length: usize,
}

/// Copies the first `len` bytes of `from` to the beginning of `to`, of which up to [`SLACK`] more may be written to.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8], len: usize) {
    let whole = len.next_multiple_of(SLACK);
    match (to.get_mut(..whole), from.get(..whole)) {
        (Some(mut to), Some(mut from)) if len <= SHORT => {
            while let (Some((next, rest)), Some((word, others))) =
                (to.split_first_chunk_mut(), from.split_first_chunk())
            {
                let word: &[u8; SLACK] = word;
                *next = *word;
                (to, from) = (rest, others);
            }
        }
        _ => copy_long(to, from, len),
    }
}

/// Of any length. Not where short ones are copied, or the compiler makes one call of both.
#[inline(never)]
fn copy_long(to: &mut [u8], from: &[u8], len: usize) {
    to[..len].copy_from_slice(&from[..len]);
}

impl Batch {
    /// How many keys.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that are copied, but for short keys.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.end
    }

    /// Bytes of memory that it has.
    pub fn capacity(&self) -> usize {
        self.bytes.len() + self.items.len() * size_of::<Item>()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        (self.len, self.end) = (0, 0);
    }

    /// Makes room for so many entries.
    #[inline]
    pub fn reserve(&mut self, entries: usize) {
        if self.items.len() < self.len + entries {
            self.grow_items(self.len + entries);
        }
    }

    #[cold]
    fn grow_items(&mut self, items: usize) {
        self.items.resize(items.max(self.items.len() * 2), Item::EMPTY);
    }

    /// Adds a key.
    #[inline]
    pub fn push(&mut self, key: &[u8], cell: Cell<'_>) {
        self.push_parts([key], cell, None);
    }

    /// Adds a key that is put together of parts, with a value that may be lent.
    #[inline]
    pub fn push_parts<const N: usize>(&mut self, parts: [&[u8]; N], cell: Cell<'_>, lending: Option<Lending>) {
        let mut large = [0; LARGE_BYTES];
        let (value, copied, kind) = match cell {
            Cell::Value(value) if lending.is_some() => (value, 0, Kind::Lent),
            Cell::Value(value) => (value, value.len(), Kind::Value),
            Cell::Large { page, length } => {
                large[..8].copy_from_slice(&page.0.to_ne_bytes());
                large[8..].copy_from_slice(&length.to_ne_bytes());
                (&large[..], LARGE_BYTES, Kind::Large)
            }
            Cell::Deleted => (&[][..], 0, Kind::Deleted),
        };
        let key: usize = parts.iter().map(|part| part.len()).sum();
        let is_long = key > KEY_BYTES;
        self.reserve(1);
        self.reserve_bytes(if is_long { key } else { 0 } + copied);
        let item = &mut self.items[self.len];
        let mut to = if is_long { &mut self.bytes[self.end..] } else { &mut item.key[..] };
        for part in parts {
            let (here, behind) = to.split_at_mut(part.len());
            here.copy_from_slice(part);
            to = behind;
        }
        self.end += if is_long { key } else { 0 };
        (item.lent, item.kind) = (Place(value.as_ptr()), kind);
        (item.at, item.key_bytes, item.value_bytes) = (self.end as u32, key as u32, value.len() as u32);
        copy(&mut self.bytes[self.end..], value, copied);
        (self.len, self.end) = (self.len + 1, self.end + copied);
    }

    /// Adds an entry of a leaf, its key behind `lead`. [`Batch::reserve`] has made room for it; without that, it is not
    /// added, and false is returned.
    #[inline(always)]
    pub fn push_plain(&mut self, lead: &Lead, entry: Plain<'_>, lending: Option<Lending>) -> bool {
        let Plain { head, suffix, rest, value, length } = entry;
        let Some(item) = self.items.get_mut(self.len) else { return false };
        item.set_key(lead, head, suffix, rest);
        item.value_bytes = length as u32;
        self.len += 1;
        if lending.is_some() {
            (item.lent, item.kind) = (Place(value.as_ptr()), Kind::Lent);
            return true;
        }
        (item.at, item.kind) = (self.end as u32, Kind::Value);
        self.reserve_bytes(length);
        copy(&mut self.bytes[self.end..], value, length);
        self.end += length;
        true
    }

    /// Room for so many bytes, with slack behind them.
    #[inline]
    fn reserve_bytes(&mut self, bytes: usize) {
        if self.bytes.len() < self.end + bytes + SLACK {
            self.grow_bytes(self.end + bytes + SLACK);
        }
    }

    #[cold]
    fn grow_bytes(&mut self, bytes: usize) {
        self.bytes.resize(bytes.max(self.bytes.len() * 2), 0);
    }

    #[inline]
    fn key<'s>(&'s self, item: &'s Item) -> &'s [u8] {
        let length = item.key_bytes as usize;
        item.key.get(..length).unwrap_or_else(|| &self.bytes[item.at as usize - length..item.at as usize])
    }

    #[inline]
    fn value(&self, item: &Item) -> &[u8] {
        let (at, length) = (item.at as usize, item.value_bytes as usize);
        match item.kind {
            // SAFETY: it was made of a slice of this length, which is there until the batch is cleared or dropped, as who
            // made the `Lending` promised; items in use were pushed since.
            Kind::Lent => unsafe { std::slice::from_raw_parts(item.lent.0, length) },
            _ => &self.bytes[at..at + length],
        }
    }

    /// Key `at` and its value.
    #[inline]
    pub fn get(&self, at: usize) -> Option<(&[u8], &[u8])> {
        let item = self.items[..self.len].get(at)?;
        Some((self.key(item), self.value(item)))
    }

    /// All keys and what they have.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Cell<'_>)> {
        self.items[..self.len].iter().map(|item| {
            let cell = match (item.kind, self.value(item)) {
                (Kind::Deleted, _) => Cell::Deleted,
                (Kind::Large, bytes) => {
                    let (page, length) = bytes.split_at(8);
                    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
                    Cell::Large { page: PageNo(number(page)), length: number(length) as u32 }
                }
                (_, value) => Cell::Value(value),
            };
            (self.key(item), cell)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    /// Random cells with keys of all lengths, pushed in all ways, come out as they went in.
    #[test]
    fn what_is_pushed_is_given() {
        let mut rng = Rng::new(3);
        let source: Vec<u8> = (0..4000).map(|_| rng.below(256) as u8).collect();
        // SAFETY: `source` lives longer than all batches here.
        let lending = unsafe { Lending::new() };
        let mut batch = Batch::default();
        for round in 0..200 {
            batch.clear();
            let mut expected: Vec<(Vec<u8>, Cell<'_>)> = Vec::new();
            for _ in 0..rng.below(80) {
                let lend = (rng.below(2) == 0).then_some(lending);
                let value = &source[rng.below(900) as usize..][..rng.below(900) as usize];
                let cell = match rng.below(5) {
                    0 => Cell::Deleted,
                    1 => Cell::Large { page: PageNo(rng.below(1 << 48)), length: rng.below(1 << 32) as u32 },
                    _ => Cell::Value(value),
                };
                let key = &source[rng.below(1000) as usize..][..rng.below(120) as usize];
                let suffix = rng.below((HEAD_BYTES + REST_BYTES) as u64 + 1) as usize;
                let rest = source[rng.below(900) as usize..].first_chunk().expect("there are more");
                let lead = &source[1000..][..rng.below(LEAD_BYTES as u64 + 1) as usize];
                match (rng.below(3), cell) {
                    (0, Cell::Value(value)) => {
                        batch.reserve(1);
                        let head = *key.first_chunk().unwrap_or(&[0; 4]);
                        let from = value.as_ptr().addr() - source.as_ptr().addr();
                        let plain = Plain { head, suffix, rest, value: &source[from..], length: value.len() };
                        assert!(batch.push_plain(&Lead::new(lead).expect("short"), plain, lend));
                        expected.push(([lead, &[&head[..], &rest[..]].concat()[..]].concat(), cell));
                        expected.last_mut().expect("pushed").0.truncate(lead.len() + suffix);
                    }
                    (1, _) => {
                        let cut = key.len() / 3;
                        batch.push_parts([&key[..cut], &[], &key[cut..]], cell, lend);
                        expected.push((key.to_vec(), cell));
                    }
                    _ => {
                        batch.push(key, cell);
                        expected.push((key.to_vec(), cell));
                    }
                }
            }
            assert!(batch.iter().eq(expected.iter().map(|(key, cell)| (&key[..], *cell))), "round {round}");
            for (at, (key, cell)) in expected.iter().enumerate() {
                let (got, value) = batch.get(at).expect("it was pushed");
                assert_eq!(got, &key[..]);
                assert!(!matches!(cell, Cell::Value(expected) if *expected != value));
            }
            assert_eq!((batch.len(), batch.get(expected.len())), (expected.len(), None));
        }
    }
}
