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

/// Short pieces are copied so many bytes at once, if both sides have them: a call costs more.
const SHORT: usize = 16;

/// Copies the first `len` bytes of `from`, and gives what is left of `to`, of which some may have been written to.
#[inline]
fn copy<'t>(to: &'t mut [u8], from: &[u8], len: usize) -> &'t mut [u8] {
    match (to.first_chunk_mut::<SHORT>(), from.first_chunk::<SHORT>()) {
        (Some(to), Some(from)) if len <= SHORT => *to = *from,
        _ => copy_long(to, from, len),
    }
    &mut to[len..]
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
        self.bytes.resize(self.bytes.len().max(self.end + bytes), 0);
    }

    /// Adds a key.
    #[inline]
    pub fn push(&mut self, key: &[u8], cell: Cell<'_>) {
        self.push_parts([(key, key.len())], cell);
    }

    /// Adds a key that is put together of parts: of each slice so many bytes in front.
    #[inline]
    pub fn push_parts<const N: usize>(&mut self, parts: [(&[u8], usize); N], cell: Cell<'_>) {
        match cell {
            Cell::Value(value) => self.push_value(parts, value),
            Cell::Large { page, length } => self.push_item(parts, &[], Kind::Large(page, length)),
            Cell::Deleted => self.push_item(parts, &[], Kind::Deleted),
        }
    }

    /// [`Batch::push_parts`] of a value.
    #[inline]
    pub fn push_value<const N: usize>(&mut self, parts: [(&[u8], usize); N], value: &[u8]) {
        self.push_item(parts, value, Kind::Value);
    }

    #[inline(always)]
    fn push_item<const N: usize>(&mut self, parts: [(&[u8], usize); N], value: &[u8], kind: Kind) {
        let key: usize = parts.iter().map(|(_, len)| len).sum();
        let (start, middle) = (self.end, self.end + key);
        let end = middle + value.len();
        if self.bytes.len() < end {
            self.grow(end);
        }
        let mut to = &mut self.bytes[start..];
        for (part, len) in parts {
            to = copy(to, part, len);
        }
        to[..value.len()].copy_from_slice(value);
        self.end = end;
        self.items.push(Item { start: start as u32, middle: middle as u32, end: end as u32, kind });
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
