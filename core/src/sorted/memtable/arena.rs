//! Memory for the entries of a memtable: append only, one writer, read by anyone who was given a handle.
//!
//! ```text
//!   chunk 0 [ 128 KiB ]  chunk 1 [ 256 KiB ]  chunk 2 [ 512 KiB ] ...     never moved, freed together
//!
//!   entry   | commit 8 | older 4 | value bytes 4 | key bytes 2 | kind 1 | 0 5 | key | value |   at a multiple of 8
//! ```
//!
//! A handle is the place of an entry in units of 8 bytes, chunks counted through; 0 is none.

use crate::memory::{Memory, Pool};
use crate::sync::{AtomicU32, Ordering};
use std::sync::OnceLock;

const UNIT_BYTES: usize = 8;
/// Units of the first chunk. It holds the largest entry.
const FIRST_BITS: u32 = 14;
const CHUNKS: usize = 18;
const OLDER_AT: usize = 8;
const VALUE_BYTES_AT: usize = 12;
const KEY_BYTES_AT: usize = 16;
const KIND_AT: usize = 18;
const HEAD_BYTES: usize = 24;

/// Bytes that may be given out, so that handles have room: 24 GiB.
pub const MOST_BYTES: u64 = 24 << 30;
const _: () = assert!(MOST_BYTES / UNIT_BYTES as u64 <= 3 << 30);

/// The place of an entry; 0 is none.
pub type Handle = u32;

/// See the module's text.
#[derive(Debug)]
pub struct Arena {
    pool: Pool,
    most_bytes: u64,
    chunks: [OnceLock<Memory>; CHUNKS],
    /// The first free unit. Only the writer looks at it.
    next: AtomicU32,
}

/// An entry, as it was put.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The commit that made it.
    pub commit: u64,
    /// The version before it; 0 for none.
    pub older: Handle,
    /// What its value means.
    pub kind: u8,
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

fn chunk_of(handle: Handle) -> (usize, usize, usize) {
    let chunk = 31 - ((handle >> FIRST_BITS) + 1).leading_zeros();
    let size = 1usize << (FIRST_BITS + chunk);
    (chunk as usize, handle as usize - (size - (1 << FIRST_BITS)), size)
}

/// Bytes that an entry takes.
pub fn entry_bytes(key: usize, value: usize) -> usize {
    (HEAD_BYTES + key + value).next_multiple_of(UNIT_BYTES)
}

impl Arena {
    /// An empty one that gives out so many bytes, [`MOST_BYTES`] at most.
    pub fn new(pool: &Pool, most_bytes: u64) -> Arena {
        let most_bytes = most_bytes.min(MOST_BYTES);
        Arena { pool: pool.clone(), most_bytes, chunks: [const { OnceLock::new() }; CHUNKS], next: AtomicU32::new(1) }
    }

    /// False when so many more bytes might not fit.
    pub fn has_room(&self, bytes: u64) -> bool {
        // As much again may be lost at the ends of chunks.
        self.bytes().saturating_add(bytes.saturating_mul(2)) < self.most_bytes
    }

    /// Bytes given out, the ends of chunks included.
    pub fn bytes(&self) -> u64 {
        u64::from(self.next.load(Ordering::Relaxed) - 1) * UNIT_BYTES as u64
    }

    /// Adds an entry. Only the single writer calls this; [`Arena::has_room`] said yes before.
    pub fn put(&self, entry: Entry<'_>) -> Handle {
        let bytes = entry_bytes(entry.key.len(), entry.value.len());
        let units = bytes / UNIT_BYTES;
        let mut handle = self.next.load(Ordering::Relaxed);
        let (chunk, at, size) = chunk_of(handle);
        let mut place = (chunk, at);
        if at + units > size {
            handle += (size - at) as u32;
            place = (chunk + 1, 0);
        }
        let (chunk, at) = place;
        assert!(chunk < CHUNKS && bytes <= (UNIT_BYTES << FIRST_BITS), "the caller asked for room");
        let memory = self.chunks[chunk].get_or_init(|| self.pool.take(UNIT_BYTES << (FIRST_BITS + chunk as u32)));
        self.next.store(handle + units as u32, Ordering::Relaxed);
        let mut head = [0; HEAD_BYTES];
        head[..OLDER_AT].copy_from_slice(&entry.commit.to_ne_bytes());
        head[OLDER_AT..VALUE_BYTES_AT].copy_from_slice(&entry.older.to_ne_bytes());
        head[VALUE_BYTES_AT..KEY_BYTES_AT].copy_from_slice(&(entry.value.len() as u32).to_ne_bytes());
        head[KEY_BYTES_AT..KIND_AT].copy_from_slice(&(entry.key.len() as u16).to_ne_bytes());
        head[KIND_AT] = entry.kind;
        // SAFETY: `at * 8 + bytes` lies inside the chunk, as the check above made sure. Nobody else has these bytes:
        // they are given out once, and their handle is told only after this.
        unsafe {
            let mut to = memory.ptr().add(at * UNIT_BYTES);
            for part in [&head[..], entry.key, entry.value] {
                std::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len());
                to = to.add(part.len());
            }
        }
        handle
    }

    /// Has the beginning of an entry brought into the cache.
    pub fn prefetch(&self, handle: Handle) {
        let (chunk, at, size) = chunk_of(handle);
        if let Some(memory) = self.chunks[chunk].get().filter(|_| at < size) {
            crate::sync::prefetch(memory.ptr().wrapping_add(at * UNIT_BYTES));
        }
    }

    /// The entry with this handle, which came from [`Arena::put`], through something that orders the two.
    #[inline]
    pub fn get(&self, handle: Handle) -> Entry<'_> {
        let (chunk, at, size) = chunk_of(handle);
        let Some(memory) = self.chunks[chunk].get() else { unreachable!("a handle names a chunk that was made") };
        debug_assert!(handle != 0 && at < size);
        // SAFETY: `put` wrote a whole entry here, inside the chunk, and never writes it again.
        unsafe {
            let from = memory.ptr().add(at * UNIT_BYTES).cast_const();
            let key_bytes = usize::from(from.add(KEY_BYTES_AT).cast::<u16>().read());
            let value_bytes = from.add(VALUE_BYTES_AT).cast::<u32>().read() as usize;
            Entry {
                commit: from.cast::<u64>().read(),
                older: from.add(OLDER_AT).cast::<u32>().read(),
                kind: from.add(KIND_AT).read(),
                key: std::slice::from_raw_parts(from.add(HEAD_BYTES), key_bytes),
                value: std::slice::from_raw_parts(from.add(HEAD_BYTES + key_bytes), value_bytes),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_all_sizes_read_back_over_the_ends_of_chunks() {
        let arena = Arena::new(&Pool::new(0), MOST_BYTES);
        let key = |n: usize| vec![n as u8; [0, 1, 16, 70, 65_535][n % 5]];
        let value = |n: usize| vec![(n * 7) as u8; [0, 3, 100, 8192][n % 4]];
        let handles: Vec<Handle> = (0..400)
            .map(|n| {
                let (key, value) = (key(n), value(n));
                assert!(arena.has_room((key.len() + value.len()) as u64));
                arena.put(Entry { commit: n as u64, older: n as u32, kind: (n % 3) as u8, key: &key, value: &value })
            })
            .collect();
        for (n, handle) in handles.into_iter().enumerate() {
            let entry = arena.get(handle);
            assert_eq!((entry.commit, entry.older, entry.kind), (n as u64, n as u32, (n % 3) as u8));
            assert_eq!((entry.key, entry.value), (&key(n)[..], &value(n)[..]));
        }
        assert!(!arena.has_room(u64::MAX / 64));
    }
}
