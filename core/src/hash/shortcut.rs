//! The way to the leaves of one trie, remembered in memory.
//!
//! ```text
//!   hash of the key   |<--- first bits --->|<------- the rest -------|
//!                              |
//!   leaves   [ page | page | 0 | page | ... ]        0: not looked up yet, or the leaf is deeper
//! ```
//!
//! A trie never changes, so what its nodes say needs to be read once. There are about as many entries as
//! leaves: 8 bytes for 75 to 150 keys. Only the number of the leaf's page is kept; the page itself is looked
//! up and checked as on any other way to it.

use super::{KeyHash, TrieRoot};
use crate::file::page::PageNo;
use crate::sync::{AtomicU64, Ordering};

/// Keys of a leaf, roughly: it is split at twice as many.
const LEAF_KEYS: u64 = 150;

/// The most bits: 8 MiB.
const MAX_BITS: u32 = 20;

/// See the module's text.
#[derive(Debug)]
pub struct Shortcut {
    bits: u32,
    leaves: Box<[AtomicU64]>,
}

impl Shortcut {
    /// For the trie of this root, in a file of `pages` pages; nothing is remembered yet.
    pub fn new(root: &TrieRoot, pages: u64) -> Shortcut {
        // Invariant 17: what the root says costs no more memory than the file could hold leaves.
        let leaves = root.entries.div_ceil(LEAF_KEYS).min(pages).clamp(1, 1 << MAX_BITS).next_power_of_two();
        Shortcut { bits: leaves.trailing_zeros(), leaves: (0..leaves).map(|_| AtomicU64::new(0)).collect() }
    }

    #[inline]
    fn entry(&self, hash: KeyHash) -> Option<&AtomicU64> {
        // In two steps, as a shift by all 64 bits is not allowed.
        self.leaves.get((hash.0 >> 1 >> (63 - self.bits)) as usize)
    }

    /// The leaf that the path of `hash` leads to, if that is known.
    #[inline]
    pub(super) fn leaf(&self, hash: KeyHash) -> PageNo {
        // Relaxed: the number is all that is passed on.
        PageNo(self.entry(hash).map_or(0, |entry| entry.load(Ordering::Relaxed)))
    }

    /// The path of `hash` leads to the leaf at `page`, which is responsible for its first `depth` bits.
    #[inline]
    pub(super) fn remember(&self, hash: KeyHash, depth: u8, page: PageNo) {
        if u32::from(depth) <= self.bits {
            if let Some(entry) = self.entry(hash) {
                entry.store(page.0, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_holds_for_the_bits_of_the_leaf_only() {
        let root = |entries| TrieRoot { page: PageNo(2), level: 1, entries };
        let shortcut = Shortcut::new(&root(1000), 100);
        assert_eq!(shortcut.bits, 3);
        shortcut.remember(KeyHash(0b101 << 61), 3, PageNo(7));
        shortcut.remember(KeyHash(0b0110 << 60), 4, PageNo(8));
        let leaf = |path: u64| shortcut.leaf(KeyHash(path << 60 | 0xabc)).0;
        assert_eq!([leaf(0b1010), leaf(0b1011), leaf(0b1000), leaf(0b0110)], [7, 7, 0, 0]);
        // One leaf, and more leaves than are remembered.
        let one = Shortcut::new(&root(1), 100);
        one.remember(KeyHash(u64::MAX), 0, PageNo(3));
        assert_eq!(one.leaf(KeyHash(5)), PageNo(3));
        assert_eq!(Shortcut::new(&root(u64::MAX), u64::MAX).bits, MAX_BITS);
        assert_eq!(Shortcut::new(&root(u64::MAX), 60).bits, 6, "no more than the file has pages");
    }
}
