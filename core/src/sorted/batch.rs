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

/// See the module's text.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// End of the key, end of the value, kind of the cell.
    items: Vec<(usize, usize, Kind)>,
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
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
    }

    /// Makes room for so many entries that take so many bytes.
    pub fn reserve(&mut self, entries: usize, bytes: usize) {
        self.items.reserve(entries);
        self.bytes.reserve(bytes);
    }

    /// Adds a key.
    #[inline]
    pub fn push(&mut self, key: &[u8], cell: Cell<'_>) {
        self.push_with(|bytes| bytes.extend_from_slice(key), cell);
    }

    /// Adds a key that `key` appends.
    #[inline]
    pub fn push_with(&mut self, key: impl FnOnce(&mut Vec<u8>), cell: Cell<'_>) {
        key(&mut self.bytes);
        let middle = self.bytes.len();
        let kind = match cell {
            Cell::Value(value) => {
                self.bytes.extend_from_slice(value);
                Kind::Value
            }
            Cell::Large { page, length } => Kind::Large(page, length),
            Cell::Deleted => Kind::Deleted,
        };
        self.items.push((middle, self.bytes.len(), kind));
    }

    #[inline]
    fn parts(&self, at: usize) -> Option<(&[u8], &[u8], Kind)> {
        let start = at.checked_sub(1).and_then(|before| self.items.get(before)).map_or(0, |(_, end, _)| *end);
        let (middle, end, kind) = *self.items.get(at)?;
        Some((&self.bytes[start..middle], &self.bytes[middle..end], kind))
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
