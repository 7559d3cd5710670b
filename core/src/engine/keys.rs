//! The changes that a transaction makes to keyspaces, before its commit: what it reads first.
//!
//! ```text
//!   ranges   [a ... f)     [m ... p)          deleted; disjoint
//!   points      b = 1   f = 2    n            put or deleted after any range that has the key
//! ```
//!
//! Only what counts in the end is kept, so the order in which the frame has them is ranges, then points.

use super::frame::{self, KeyOp};
use crate::log::Frame;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Bytes of memory that a change takes beside its key and value, about.
const CHANGE_BYTES: usize = 64;

/// Changes of one keyspace.
#[derive(Debug, Default)]
pub struct TreeKeys {
    points: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    ranges: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
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

/// See the module's text.
#[derive(Debug, Default)]
pub struct Keys {
    trees: BTreeMap<u32, TreeKeys>,
    bytes: usize,
}

impl TreeKeys {
    /// What is known of a key.
    pub fn get(&self, key: &[u8]) -> Own<'_> {
        if let Some(value) = self.points.get(key) {
            return Own::Point(value.as_deref());
        }
        let up_to = (Bound::Unbounded, Bound::Included(key));
        match self.ranges.range::<[u8], _>(up_to).next_back() {
            Some((start, end)) if end.as_deref().is_none_or(|end| key < end) => {
                Own::Deleted { start, end: end.as_deref() }
            }
            _ => Own::Nothing,
        }
    }

    /// The first point above a key, or the last one below it; with the key itself if `or_at`.
    pub fn beside(&self, key: &[u8], or_at: bool, back: bool) -> Option<(&[u8], Option<&[u8]>)> {
        let at = if or_at { Bound::Included(key) } else { Bound::Excluded(key) };
        let found = match back {
            false => self.points.range::<[u8], _>((at, Bound::Unbounded)).next(),
            true => self.points.range::<[u8], _>((Bound::Unbounded, at)).next_back(),
        };
        found.map(|(key, value)| (&key[..], value.as_deref()))
    }

    /// The last point.
    pub fn last(&self) -> Option<(&[u8], Option<&[u8]>)> {
        self.points.iter().next_back().map(|(key, value)| (&key[..], value.as_deref()))
    }
}

impl Keys {
    /// True without a change.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Bytes that they take, about: what was given, whether it still counts or not.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that one more takes.
    pub fn bytes_of(op: KeyOp<'_>) -> usize {
        let parts = match op {
            KeyOp::Put(key, value) => key.len() + value.len(),
            KeyOp::Delete(key) => key.len(),
            KeyOp::DeleteRange(start, end) => start.len() + end.map_or(0, <[u8]>::len),
        };
        parts + CHANGE_BYTES
    }

    /// The changes of one keyspace.
    pub fn tree(&self, tree: u32) -> Option<&TreeKeys> {
        self.trees.get(&tree)
    }

    /// Makes a change.
    pub fn push(&mut self, tree: u32, op: KeyOp<'_>) {
        self.bytes += Keys::bytes_of(op);
        let keys = self.trees.entry(tree).or_default();
        match op {
            KeyOp::Put(key, value) => drop(keys.points.insert(key.to_vec(), Some(value.to_vec()))),
            KeyOp::Delete(key) => drop(keys.points.insert(key.to_vec(), None)),
            KeyOp::DeleteRange(start, end) => keys.delete_range(start, end),
        }
    }

    /// Forgets a keyspace that is dropped.
    pub fn forget_tree(&mut self, tree: u32) {
        self.trees.remove(&tree);
    }

    /// All changes, in the order of the frame.
    pub fn iter(&self) -> impl Iterator<Item = (u32, KeyOp<'_>)> {
        self.trees.iter().flat_map(|(tree, keys)| {
            let ranges = keys.ranges.iter().map(|(start, end)| KeyOp::DeleteRange(start, end.as_deref()));
            let points = keys.points.iter().map(|(key, value)| match value {
                Some(value) => KeyOp::Put(key, value),
                None => KeyOp::Delete(key),
            });
            ranges.chain(points).map(|op| (*tree, op))
        })
    }

    /// Appends all to a frame.
    pub fn write(&self, out: &mut Frame) {
        for (tree, op) in self.iter() {
            frame::push_key(out, tree, op);
        }
    }
}

impl TreeKeys {
    fn delete_range(&mut self, start: &[u8], end: Option<&[u8]>) {
        if end.is_some_and(|end| end <= start) {
            return;
        }
        let within = (Bound::Included(start), end.map_or(Bound::Unbounded, Bound::Excluded));
        let gone: Vec<Vec<u8>> = self.points.range::<[u8], _>(within).map(|(key, _)| key.clone()).collect();
        gone.iter().for_each(|key| drop(self.points.remove(key)));
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
            let tree = keys.tree(1).expect("changed");
            for (n, expected) in model.iter().enumerate() {
                let got = match tree.get(&[n as u8]) {
                    Own::Nothing => 0,
                    Own::Deleted { .. } | Own::Point(None) => 1,
                    Own::Point(Some(value)) => value[0],
                };
                assert_eq!(got, *expected, "seed {seed}, key {n}");
            }
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
            let ranges: Vec<_> = tree.ranges.iter().collect();
            assert!(ranges.windows(2).all(|pair| pair[0].1.as_ref().is_some_and(|end| end < pair[1].0)), "seed {seed}");
        }
    }
}
