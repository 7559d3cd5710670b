//! Some keys with what they have, copied out of where a merge found them.
//!
//! ```text
//!   bytes   key | value | key | key | value | ...
//!   items       ^       ^     ^     ^       ^        where each key ends, and what belongs to it; what kind of cell it is
//! ```
//!
//! A merge may let go of what it reads between two batches only, and what a step costs beside its key is paid once for
//! all of a batch.

use super::cell::Cell;
use crate::file::page::PageNo;
use std::ops::{Deref, DerefMut};

#[derive(Debug, Clone, Copy)]
enum Kind {
    Value,
    Large(PageNo, u32),
    Deleted,
}

/// Where key and value stand, and what kind of cell it is.
#[derive(Debug, Clone, Copy)]
struct Item {
    start: u32,
    middle: u32,
    end: u32,
    kind: Kind,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Batch {
    /// Of which `end` are in use; all others are of no meaning, and need not be made again.
    bytes: Vec<u8>,
    end: usize,
    items: Vec<Item>,
}

/// Bytes behind what is in use that may be written to: pieces are copied by words of fixed length.
pub const SLACK: usize = 64;

/// Longer pieces are copied by a call.
const SHORT: usize = 512;

/// The longest lead of an entry that is copied so.
pub const LEAD_BYTES: usize = 16;

/// An entry as a leaf has it: key and value stand behind each other, but for what all its keys have in front.
#[derive(Debug, Clone, Copy)]
pub struct Plain<'a> {
    /// What all keys have in front: the first bytes of this, so many.
    pub lead: (&'a [u8; LEAD_BYTES], usize),
    /// The next bytes of the key, or those that there are and zeros.
    pub head: [u8; 4],
    /// Bytes of the key behind the lead.
    pub suffix: usize,
    /// The rest of the key, the value, and whatever follows.
    pub rest: &'a [u8],
    /// Bytes of the value.
    pub value: usize,
}

/// Copies the first `len` bytes of `from` to the beginning of `to`, of which up to [`SLACK`] more may be written to.
#[inline(always)]
pub fn copy(to: &mut [u8], from: &[u8], len: usize) {
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

thread_local! {
    /// One that is not in use: its memory is written to before it is read, so it need not be made again.
    static SPARE: std::cell::Cell<Option<Batch>> = const { std::cell::Cell::new(None) };
}

/// What has taken more is let go of.
const SPARE_BYTES: usize = 64 << 10;

/// A batch for a short time, made of the last one that this thread has let go of.
#[derive(Debug)]
pub struct Lent(Batch);

impl Lent {
    /// An empty one.
    pub fn new() -> Lent {
        Lent(SPARE.try_with(std::cell::Cell::take).ok().flatten().unwrap_or_default())
    }
}

impl Deref for Lent {
    type Target = Batch;
    #[inline]
    fn deref(&self) -> &Batch {
        &self.0
    }
}

impl DerefMut for Lent {
    #[inline]
    fn deref_mut(&mut self) -> &mut Batch {
        &mut self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut batch = std::mem::take(&mut self.0);
        batch.clear();
        if batch.bytes.len() <= SPARE_BYTES {
            // The thread may be ending.
            let _ = SPARE.try_with(|spare| spare.set(Some(batch)));
        }
    }
}

impl Batch {
    /// How many keys.
    #[inline]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of all keys and values.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.end
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.end = 0;
        self.items.clear();
    }

    /// Makes room for so many entries that take so many bytes.
    pub fn reserve(&mut self, entries: usize, bytes: usize) {
        self.items.reserve(entries);
        self.bytes.resize(self.bytes.len().max(self.end + bytes + SLACK), 0);
    }

    /// Adds a key.
    #[inline]
    pub fn push(&mut self, key: &[u8], cell: Cell<'_>) {
        self.push_parts([key], cell);
    }

    /// Adds a key that is put together of parts.
    #[inline]
    pub fn push_parts<const N: usize>(&mut self, parts: [&[u8]; N], cell: Cell<'_>) {
        let (value, kind) = match cell {
            Cell::Value(value) => (value, Kind::Value),
            Cell::Large { page, length } => (&[][..], Kind::Large(page, length)),
            Cell::Deleted => (&[][..], Kind::Deleted),
        };
        let mut to = self.room(parts.iter().map(|part| part.len()).sum(), value.len(), kind);
        for part in parts {
            copy(to, part, part.len());
            to = &mut to[part.len()..];
        }
        copy(to, value, value.len());
    }

    /// Adds an entry of a leaf.
    #[inline(always)]
    pub fn push_plain(&mut self, entry: Plain<'_>) {
        let Plain { lead: (lead, len), head, suffix, rest, value } = entry;
        let to = self.room(len + suffix, value, Kind::Value);
        to[..LEAD_BYTES].copy_from_slice(lead);
        to[len..len + head.len()].copy_from_slice(&head);
        let front = suffix.min(head.len());
        copy(&mut to[len + front..], rest, suffix - front + value);
    }

    /// Room for an entry, with slack behind it.
    #[inline(always)]
    fn room(&mut self, key: usize, value: usize, kind: Kind) -> &mut [u8] {
        let (start, middle) = (self.end, self.end + key);
        let end = middle + value;
        if self.bytes.len() < end + SLACK {
            self.grow(end + SLACK);
        }
        self.end = end;
        self.items.push(Item { start: start as u32, middle: middle as u32, end: end as u32, kind });
        &mut self.bytes[start..]
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        self.bytes.resize(bytes.max(self.bytes.len() * 2), 0);
    }

    #[inline]
    fn parts(&self, at: usize) -> Option<(&[u8], &[u8], Kind)> {
        let Item { start, middle, end, kind } = *self.items.get(at)?;
        let (key, value) = self.bytes[start as usize..end as usize].split_at((middle - start) as usize);
        Some((key, value, kind))
    }

    /// Key `at` and its value; empty where there is none.
    #[inline]
    pub fn entry(&self, at: usize) -> (&[u8], &[u8]) {
        self.parts(at).map_or((&[], &[]), |(key, value, _)| (key, value))
    }

    /// All keys and what they have.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Cell<'_>)> {
        (0..self.len()).filter_map(|at| {
            let (key, value, kind) = self.parts(at)?;
            Some(match kind {
                Kind::Value => (key, Cell::Value(value)),
                Kind::Large(page, length) => (key, Cell::Large { page, length }),
                Kind::Deleted => (key, Cell::Deleted),
            })
        })
    }
}
