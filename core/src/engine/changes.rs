//! The changes of a transaction, in the order they were made, and which of them is an id's last.
//!
//! ```text
//!   changes   [ put 7 ][ delete 3 ][ put 7 again ] ...    a later change of the same id replaces it
//!                 x         ^            ^
//!   slots     [ . . 2 . . 3 . . ]                          open addressing by hash: number of the change + 1
//!
//!   frame     [ header | ordinal | op 1 | op 2 | op 3 ]    the documents and keys themselves, as the log
//!                                                          will have them
//! ```
//!
//! Few changes are searched from the last to the first; from [`INDEX_FROM`] on the slots find them.

use super::frame;
use super::state::Tip;
use crate::hash::KeyHash;
use crate::log::Frame;
use crate::record::key;
use std::ops::Range;

/// Changes from which on they are found by the slots.
const INDEX_FROM: usize = 8;
/// Memory is kept for the next transaction up to these sizes.
const KEPT_FRAME_BYTES: usize = 4 << 20;
const KEPT_CHANGES: usize = 1 << 16;

/// One change of a transaction.
#[derive(Debug)]
pub struct Change {
    /// The collection.
    pub tree: u32,
    /// Hash of the key.
    pub hash: KeyHash,
    /// The id's newest version before the transaction.
    pub tip: Tip,
    /// Where in the frame the document of a put stands, or the key of a delete.
    pub bytes: Range<usize>,
    /// A put, not a delete.
    pub put: bool,
    /// The document's id if that is a positive integer, else 0.
    pub id: u64,
    /// Replaced by a later change of the same id, or of no effect.
    pub replaced: bool,
}

/// A change to add; see [`Change`].
#[derive(Debug, Clone, Copy)]
pub struct NewChange<'a> {
    /// The collection.
    pub tree: u32,
    /// Hash of the key.
    pub hash: KeyHash,
    /// The id's newest version before the transaction.
    pub tip: Tip,
    /// The document of a put, the key of a delete.
    pub bytes: &'a [u8],
    /// A put, not a delete.
    pub put: bool,
    /// The document's id if that is a positive integer, else 0.
    pub id: u64,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Changes {
    list: Vec<Change>,
    /// Empty as long as the list is short; a power of two, at most half full.
    slots: Vec<u32>,
    frame: Frame,
    /// Bytes of all documents and keys, those replaced included.
    given_bytes: usize,
    /// Something in the frame is not to be written.
    has_replaced: bool,
    /// The largest positive integer id put into each collection.
    largest: Vec<(u32, u64)>,
}

impl Changes {
    /// None yet; their first record will have this ordinal.
    pub fn begin(&mut self, first_ordinal: u64) {
        self.list.clear();
        self.slots.clear();
        self.frame.begin();
        frame::begin(&mut self.frame, first_ordinal);
        self.given_bytes = 0;
        self.has_replaced = false;
        self.largest.clear();
    }

    /// The changes to be made.
    pub fn iter(&self) -> std::slice::Iter<'_, Change> {
        self.list.iter()
    }

    /// Change `at`, if there are so many.
    pub fn get(&self, at: usize) -> Option<&Change> {
        self.list.get(at)
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Bytes of memory that they need, about.
    pub fn bytes(&self) -> usize {
        self.given_bytes + self.list.len() * 16
    }

    /// The document of a put, the key of a delete.
    pub fn bytes_of(&self, change: &Change) -> &[u8] {
        self.frame.get(&change.bytes)
    }

    fn key_of(&self, change: &Change) -> Option<&[u8]> {
        let bytes = self.bytes_of(change);
        if change.put {
            key::key_of(bytes)
        } else {
            Some(bytes)
        }
    }

    /// The last change of an id, if there is one.
    pub fn find(&self, tree: u32, key: &[u8], hash: KeyHash) -> Option<usize> {
        let is = |at: usize| {
            let change = &self.list[at];
            change.tree == tree && change.hash == hash && !change.replaced && self.key_of(change) == Some(key)
        };
        if self.slots.is_empty() {
            return (0..self.list.len()).rev().find(|at| is(*at));
        }
        let mut slot = self.home(tree, hash);
        loop {
            match self.slots[slot] {
                0 => return None,
                number if is(number as usize - 1) => return Some(number as usize - 1),
                _ => slot = (slot + 1) & (self.slots.len() - 1),
            }
        }
    }

    /// Adds a change; `before` is the id's last one, which it replaces.
    pub fn push(&mut self, new: NewChange<'_>, before: Option<usize>) {
        let NewChange { tree, hash, tip, bytes, put, id } = new;
        self.given_bytes += bytes.len();
        let bytes = frame::push(&mut self.frame, tree, put, bytes);
        let at = self.list.len();
        self.list.push(Change { tree, hash, tip, bytes, put, id, replaced: false });
        if id > 0 {
            self.saw_id(tree, id);
        }
        if let Some(before) = before {
            self.list[before].replaced = true;
            self.has_replaced = true;
        }
        if self.slots.is_empty() {
            if self.list.len() >= INDEX_FROM {
                self.index_all();
            }
            return;
        }
        match before {
            Some(before) => self.replace_slot(tree, hash, before, at),
            None if self.list.len() * 2 > self.slots.len() => self.index_all(),
            None => self.fill_slot(tree, hash, at),
        }
    }

    fn saw_id(&mut self, tree: u32, id: u64) {
        // Few collections in a transaction, mostly one.
        match self.largest.iter_mut().find(|(other, _)| *other == tree) {
            Some((_, largest)) => *largest = id.max(*largest),
            None => self.largest.push((tree, id)),
        }
    }

    /// The largest positive integer id that was put into a collection, 0 if none was.
    pub fn largest_id(&self, tree: u32) -> u64 {
        self.largest.iter().find(|(other, _)| *other == tree).map_or(0, |(_, id)| *id)
    }

    fn home(&self, tree: u32, hash: KeyHash) -> usize {
        let mixed = (hash.0 ^ u64::from(tree).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed >> 32) as usize & (self.slots.len() - 1)
    }

    fn index_all(&mut self) {
        let slots = (self.list.len() * 4).next_power_of_two();
        self.slots.clear();
        self.slots.resize(slots, 0);
        for at in 0..self.list.len() {
            let Change { tree, hash, replaced, .. } = self.list[at];
            if !replaced {
                self.fill_slot(tree, hash, at);
            }
        }
    }

    fn fill_slot(&mut self, tree: u32, hash: KeyHash, at: usize) {
        let mut slot = self.home(tree, hash);
        while self.slots[slot] != 0 {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = at as u32 + 1;
    }

    /// The slot of change `before` is that of change `at` from now on: a chain does not grow with each change of
    /// one id.
    fn replace_slot(&mut self, tree: u32, hash: KeyHash, before: usize, at: usize) {
        let mut slot = self.home(tree, hash);
        while self.slots[slot] != before as u32 + 1 {
            debug_assert_ne!(self.slots[slot], 0, "the change before has a slot");
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = at as u32 + 1;
    }

    /// Forgets the changes of a collection that is dropped.
    pub fn forget_tree(&mut self, tree: u32) {
        for change in self.list.iter_mut().filter(|change| change.tree == tree) {
            change.replaced = true;
            self.has_replaced = true;
        }
    }

    /// Leaves the changes that have an effect, before the commit. `first_ordinal` as for [`Changes::begin`].
    pub fn settle(&mut self, first_ordinal: u64) {
        for change in &mut self.list {
            // A document that this transaction made and deleted.
            change.replaced |= !change.put && change.tip.live().is_none();
            self.has_replaced |= change.replaced;
        }
        if !std::mem::take(&mut self.has_replaced) {
            return;
        }
        let before = std::mem::take(&mut self.frame);
        self.frame.begin();
        frame::begin(&mut self.frame, first_ordinal);
        self.list.retain(|change| !change.replaced);
        for change in &mut self.list {
            change.bytes = frame::push(&mut self.frame, change.tree, change.put, before.get(&change.bytes));
        }
        self.slots.clear();
    }

    /// The frame for the log, with the dropped collections at its end.
    pub fn frame(&mut self, dropped: &[u32]) -> &mut Frame {
        dropped.iter().for_each(|tree| frame::push_drop(&mut self.frame, *tree));
        &mut self.frame
    }

    /// Gives up what is too much to keep for the next transaction.
    pub fn shrink(&mut self) {
        if self.list.capacity() > KEPT_CHANGES {
            (self.list, self.slots) = (Vec::new(), Vec::new());
        }
        if self.frame.capacity() > KEPT_FRAME_BYTES {
            self.frame = Frame::default();
        }
    }
}
