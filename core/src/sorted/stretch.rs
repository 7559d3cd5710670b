//! Entries of one leaf that are lent where they stand, one by one, and not copied.
//!
//! ```text
//!   leaf      . . [ e4  e5  e6  e7 ] .         between two keys of the newer sources
//!                       |
//!                       next: its key is put together of its parts; its value is lent
//! ```
//!
//! A leaf does not change as long as a state that has its run is held. So who holds the state of a walk for as long as the
//! walk need not copy what it reads, and has read nothing in vain when the walk ends early.

use super::batch;
use super::leaf::{Leaf, MAX_SPOT_KEY_BYTES};
use std::ops::Range;

/// Fewer are copied: that is less work.
pub const LEAST: usize = 4;

const KEY_ROOM: usize = MAX_SPOT_KEY_BYTES + batch::SLACK;

/// See the module's text.
pub struct Stretch {
    leaf: Option<Leaf<'static>>,
    range: Range<usize>,
    /// The key of the entry given last, `length` bytes; `lead` of them are the same in all.
    key: [u8; KEY_ROOM],
    lead: usize,
    length: usize,
    value: &'static [u8],
}

impl std::fmt::Debug for Stretch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stretch").field("range", &self.range).finish_non_exhaustive()
    }
}

impl Default for Stretch {
    /// Without an entry.
    fn default() -> Stretch {
        Stretch { leaf: None, range: 0..0, key: [0; KEY_ROOM], lead: 0, length: 0, value: &[] }
    }
}

impl Stretch {
    /// Sets it to some entries of a leaf. Of each key the first `skip` bytes are left out.
    ///
    /// # Safety
    ///
    /// The leaf must stay where it is, and as it is, until the stretch is dropped or set to others.
    pub unsafe fn set(&mut self, leaf: Leaf<'_>, range: Range<usize>, skip: usize) {
        // SAFETY: the caller keeps the leaf, and what is read of it is lent for no longer than the stretch is.
        let leaf = unsafe { std::mem::transmute::<Leaf<'_>, Leaf<'static>>(leaf) };
        (self.leaf, self.range, self.lead) = (Some(leaf), range, 0);
        // A longer one has no entry of the usual kind.
        if let Some(lead) = leaf.prefix().get(skip..).filter(|lead| lead.len() <= MAX_SPOT_KEY_BYTES) {
            self.key[..lead.len()].copy_from_slice(lead);
            self.lead = lead.len();
        }
    }

    /// Goes to the next entry; false where none is left, or the next one is of another kind.
    #[inline]
    pub fn step(&mut self) -> bool {
        let at = self.range.start;
        let Some(leaf) = self.leaf.filter(|_| at < self.range.end) else { return false };
        let Some(next) = leaf.spot(at) else { return false };
        let Some(value) = next.read(leaf.head_bytes(at), &mut self.key, self.lead) else { return false };
        (self.value, self.length) = (value, self.lead + next.suffix);
        self.range.start += 1;
        true
    }

    /// The entry that the last step went to.
    #[inline]
    pub fn entry(&self) -> (&[u8], &[u8]) {
        (&self.key[..self.length], self.value)
    }

    /// Forgets the entries that are left, and says how many they were.
    pub fn end(&mut self) -> usize {
        let left = self.range.len();
        self.range.start = self.range.end;
        left
    }
}
