//! The changes that a transaction makes to keyspaces, before its commit.
//!
//! ```text
//!   list     put b   put f   delete range [a..d)   put b          in the order they were made, as the log will have them
//!   bytes    b 1     f 2     a d                   b 3
//!
//!   index    points   b -> 3   f -> 1                             made by the first read, kept from then on
//!            ranges   [a ... d)                                   disjoint; points in one were changed after it
//! ```
//!
//! Most transactions never read what they have written, so to write costs two copies and no search. Who does read
//! sees only what counts in the end, and what is known not to count any more is not logged.

use super::frame::{self, KeyOp};
use crate::log::Frame;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Bytes of memory that a change takes beside its key and value, about.
const CHANGE_BYTES: usize = 64;
/// Memory is kept for the next transaction up to these sizes.
const KEPT_BYTES: usize = 4 << 20;
const KEPT_ITEMS: usize = 1 << 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Put,
    Delete,
    Range,
    OpenRange,
}

/// A change: its key or the start of its range, and behind that its value or the end of its range.
#[derive(Debug)]
struct Item {
    tree: u32,
    kind: Kind,
    /// A later change is known to make it of no effect.
    replaced: Cell<bool>,
    start: usize,
    middle: usize,
    end: usize,
}

#[derive(Debug, Default)]
struct TreeIndex {
    /// The last change of each key.
    points: BTreeMap<Vec<u8>, usize>,
    ranges: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

type Index = BTreeMap<u32, TreeIndex>;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Keys {
    list: Vec<Item>,
    bytes: Vec<u8>,
    given: usize,
    index: OnceCell<Index>,
}

/// The changes of one keyspace, to read.
#[derive(Debug, Clone, Copy)]
pub struct TreeKeys<'a> {
    keys: &'a Keys,
    index: &'a TreeIndex,
}

/// What a transaction itself says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own<'a> {
    /// It has this value, or is deleted.
    Point(Option<&'a [u8]>),
    /// It is in a range that was deleted; the range's end, if it has one.
    Deleted {
        /// The first key of the range.
        start: &'a [u8],
        /// The first key behind it.
        end: Option<&'a [u8]>,
    },
    /// Nothing.
    Nothing,
}

impl<'a> TreeKeys<'a> {
    fn value(self, at: usize) -> Option<&'a [u8]> {
        let item = &self.keys.list[at];
        (item.kind == Kind::Put).then(|| &self.keys.bytes[item.middle..item.end])
    }

    /// What is known of a key.
    pub fn get(self, key: &[u8]) -> Own<'a> {
        if let Some(at) = self.index.points.get(key) {
            return Own::Point(self.value(*at));
        }
        let up_to = (Bound::Unbounded, Bound::Included(key));
        match self.index.ranges.range::<[u8], _>(up_to).next_back() {
            Some((start, end)) if end.as_deref().is_none_or(|end| key < end) => {
                Own::Deleted { start, end: end.as_deref() }
            }
            _ => Own::Nothing,
        }
    }

    /// The first point above a key, or the last one below it; with the key itself if `or_at`.
    pub fn beside(self, key: &[u8], or_at: bool, back: bool) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let at = if or_at { Bound::Included(key) } else { Bound::Excluded(key) };
        let found = match back {
            false => self.index.points.range::<[u8], _>((at, Bound::Unbounded)).next(),
            true => self.index.points.range::<[u8], _>((Bound::Unbounded, at)).next_back(),
        };
        found.map(|(key, at)| (&key[..], self.value(*at)))
    }

    /// The last point.
    pub fn last(self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        self.index.points.iter().next_back().map(|(key, at)| (&key[..], self.value(*at)))
    }
}

impl Keys {
    /// Forgets all, and keeps memory for the next transaction.
    pub fn clear(&mut self) {
        self.list.clear();
        self.bytes.clear();
        self.given = 0;
        self.index = OnceCell::new();
        if self.list.capacity() > KEPT_ITEMS || self.bytes.capacity() > KEPT_BYTES {
            *self = Keys::default();
        }
    }

    /// True without a change.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Bytes that they take, about: what was given, whether it still counts or not.
    pub fn bytes(&self) -> usize {
        self.given
    }

    /// True if it deletes ranges.
    pub fn has_ranges(&self) -> bool {
        self.list.iter().any(|item| matches!(item.kind, Kind::Range | Kind::OpenRange))
    }

    /// Bytes that one more takes.
    #[inline]
    pub fn bytes_of(op: KeyOp<'_>) -> usize {
        let parts = match op {
            KeyOp::Put(key, value) => key.len() + value.len(),
            KeyOp::Delete(key) => key.len(),
            KeyOp::DeleteRange(start, end) => start.len() + end.map_or(0, <[u8]>::len),
        };
        parts + CHANGE_BYTES
    }

    /// The changes of one keyspace, if there are any.
    pub fn tree(&self, tree: u32) -> Option<TreeKeys<'_>> {
        if self.list.is_empty() {
            return None;
        }
        let index = self.index.get_or_init(|| {
            let mut index = Index::new();
            (0..self.list.len()).for_each(|at| add(&mut index, &self.list, &self.bytes, at));
            index
        });
        index.get(&tree).map(|index| TreeKeys { keys: self, index })
    }

    /// Makes a change.
    pub fn push(&mut self, tree: u32, op: KeyOp<'_>) {
        self.given += Keys::bytes_of(op);
        let (kind, second) = match op {
            KeyOp::Put(_, value) => (Kind::Put, value),
            KeyOp::Delete(_) => (Kind::Delete, &[][..]),
            // No key is in it.
            KeyOp::DeleteRange(start, Some(end)) if end <= start => return,
            KeyOp::DeleteRange(_, Some(end)) => (Kind::Range, end),
            KeyOp::DeleteRange(_, None) => (Kind::OpenRange, &[][..]),
        };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(op.key());
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(second);
        self.list.push(Item { tree, kind, replaced: Cell::new(false), start, middle, end: self.bytes.len() });
        if let Some(index) = self.index.get_mut() {
            add(index, &self.list, &self.bytes, self.list.len() - 1);
        }
    }

    /// Forgets a keyspace that is dropped.
    pub fn forget_tree(&mut self, tree: u32) {
        self.list.retain(|item| item.tree != tree);
        self.index = OnceCell::new();
    }

    /// All changes, in the order of the frame.
    pub fn iter(&self) -> impl Iterator<Item = (u32, KeyOp<'_>)> {
        self.list.iter().filter(|item| !item.replaced.get()).map(|item| {
            let (key, second) = (&self.bytes[item.start..item.middle], &self.bytes[item.middle..item.end]);
            let op = match item.kind {
                Kind::Put => KeyOp::Put(key, second),
                Kind::Delete => KeyOp::Delete(key),
                Kind::Range => KeyOp::DeleteRange(key, Some(second)),
                Kind::OpenRange => KeyOp::DeleteRange(key, None),
            };
            (item.tree, op)
        })
    }

    /// Appends all to a frame.
    pub fn write(&self, out: &mut Frame) {
        for (tree, op) in self.iter() {
            frame::push_key(out, tree, op);
        }
    }
}

/// Adds change `at`, the last one, to the index.
fn add(index: &mut Index, list: &[Item], bytes: &[u8], at: usize) {
    let item = &list[at];
    let tree = index.entry(item.tree).or_default();
    let (key, second) = (&bytes[item.start..item.middle], &bytes[item.middle..item.end]);
    match item.kind {
        Kind::Range => tree.delete_range(list, key, Some(second)),
        Kind::OpenRange => tree.delete_range(list, key, None),
        Kind::Put | Kind::Delete => {
            if let Some(last) = tree.points.get_mut(key) {
                list[std::mem::replace(last, at)].replaced.set(true);
            } else {
                tree.points.insert(key.to_vec(), at);
            }
        }
    }
}

impl TreeIndex {
    fn delete_range(&mut self, list: &[Item], start: &[u8], end: Option<&[u8]>) {
        let within = (Bound::Included(start), end.map_or(Bound::Unbounded, Bound::Excluded));
        let gone: Vec<Vec<u8>> = self.points.range::<[u8], _>(within).map(|(key, _)| key.clone()).collect();
        for at in gone.iter().filter_map(|key| self.points.remove(key)) {
            list[at].replaced.set(true);
        }
        // Ranges that touch it become one with it.
        let (mut start, mut end) = (start.to_vec(), end.map(<[u8]>::to_vec));
        let up_to = (Bound::Unbounded, end.as_ref().map_or(Bound::Unbounded, Bound::Included));
        let mut met = Vec::new();
        for (from, to) in self.ranges.range::<Vec<u8>, _>(up_to).rev() {
            if to.as_ref().is_some_and(|to| *to < start) {
                break;
            }
            met.push((from.clone(), to.clone()));
        }
        for (from, to) in met {
            self.ranges.remove(&from);
            start = start.min(from);
            end = match (end, to) {
                (Some(a), Some(b)) => Some(a.max(b)),
                _ => None,
            };
        }
        self.ranges.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    #[test]
    fn what_counts_in_the_end_is_what_a_plain_map_has() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let mut keys = Keys::default();
            // 0: nothing was said; 1: deleted; more: a value.
            let mut model = [0u8; 24];
            for turn in 2..40u8 {
                if rng.below(30) == 0 {
                    keys.tree(1);
                }
                let (a, b) = (rng.below(24) as u8, rng.below(25) as u8);
                match rng.below(4) {
                    0 => {
                        keys.push(1, KeyOp::Delete(&[a]));
                        model[usize::from(a)] = 1;
                    }
                    1 => {
                        let end = [b];
                        keys.push(1, KeyOp::DeleteRange(&[a], (b < 24).then_some(&end)));
                        (a..b.min(24)).for_each(|n| model[usize::from(n)] = 1);
                    }
                    _ => {
                        keys.push(1, KeyOp::Put(&[a], &[turn]));
                        model[usize::from(a)] = turn;
                    }
                }
            }
            // Once as it was written, and once with what does not count left out.
            for read_before in [false, true] {
                let mut again = [0u8; 24];
                for (_, op) in keys.iter() {
                    match op {
                        KeyOp::Put(key, value) => again[usize::from(key[0])] = value[0],
                        KeyOp::Delete(key) => again[usize::from(key[0])] = 1,
                        KeyOp::DeleteRange(start, end) => {
                            (start[0]..end.map_or(24, |end| end[0])).for_each(|n| again[usize::from(n)] = 1);
                        }
                    }
                }
                assert_eq!(again, model, "seed {seed}");
                let tree = keys.tree(1).expect("changed");
                for (n, expected) in model.iter().enumerate() {
                    let got = match tree.get(&[n as u8]) {
                        Own::Nothing => 0,
                        Own::Deleted { .. } | Own::Point(None) => 1,
                        Own::Point(Some(value)) => value[0],
                    };
                    assert_eq!(got, *expected, "seed {seed}, key {n}");
                }
                let points = keys.iter().filter(|(_, op)| !matches!(op, KeyOp::DeleteRange(..)));
                assert!(!read_before || points.count() == tree.index.points.len(), "seed {seed}");
            }
            let tree = keys.tree(1).expect("changed");
            let ranges: Vec<_> = tree.index.ranges.iter().collect();
            assert!(ranges.windows(2).all(|pair| pair[0].1.as_ref().is_some_and(|end| end < pair[1].0)), "seed {seed}");
        }
    }
}
