//! A walk over the keys of a keyspace, with the changes of a transaction in front of what is committed.
//!
//! ```text
//!   own changes     b = 2   d deleted   [ k .. p ) deleted     looked up anew for each step: they may change meanwhile
//!   committed     a     b        d      k       m     z         `sorted::merge`
//!                 |     |                             |
//!                 v     v                             v
//!                 a   b = 2                           z
//! ```

use super::keys::{Own, TreeKeys};
use crate::error::{Error, Result};
use crate::sorted::batch::Lent;
use crate::sorted::merge::{after_tree, full_key, Merge, View, Wanted, TREE_BYTES};
use crate::sorted::stretch::Stretch;
use crate::sync::Arc;
use std::ops::Bound;

/// Where a range of keys starts, and where it ends.
pub type KeyBounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Committed keys are read ahead: one, then four, sixteen, and then so many at a time, or this many bytes. What a step costs beside
/// its key, it costs once for all of these.
const AHEAD: usize = 32;
const AHEAD_BYTES: usize = 16 << 10;

/// Up to so many there is only room for them.
const FEW: usize = 4;

/// Bytes of an entry, for a first guess.
const ENTRY_BYTES: usize = 128;

/// Committed keys that were read ahead.
#[derive(Debug)]
struct Ahead {
    entries: Lent,
    /// The next one.
    next: usize,
    /// Entries of this batch, at most.
    most: usize,
    /// What comes behind them.
    stretch: Stretch,
    /// There is no key behind these.
    over: bool,
    /// What came behind them.
    failed: Option<Box<Error>>,
}

impl Ahead {
    /// Goes to the next one, if there is one, and says where it is.
    #[inline]
    fn step(&mut self) -> Option<Given> {
        if self.next < self.entries.len() {
            self.next += 1;
            return Some(Given::Batch);
        }
        self.stretch.step().then_some(Given::Stretch)
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.next = 0;
        self.most = match self.most {
            0 => 1,
            most => AHEAD.min(most * 4),
        };
        let room = if self.most > FEW { AHEAD } else { FEW };
        self.entries.reserve(room, room * ENTRY_BYTES);
    }
}

/// Where an entry is that a step gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    /// Here: key and value.
    Here,
    /// In the batch, in front of the next one.
    Batch,
    /// In the stretch.
    Stretch,
}

/// Where a walk is. Holds copies, unless it may lend; every step is given what it reads, which must be the same state each
/// time.
#[derive(Debug)]
pub struct KeyCursor {
    tree: u32,
    back: bool,
    bounds: Arc<KeyBounds>,
    /// After an error.
    failed: bool,
    /// The last key with the number of the tree in front, and whether it is in the range.
    limit: (Vec<u8>, bool),
    merge: Option<Merge>,
    /// The next committed key and value, where a step before has read them and not used them.
    ahead: Option<(Vec<u8>, Vec<u8>)>,
    /// The last committed key that was read ahead.
    read: Option<Vec<u8>>,
    /// The committed ones have ended.
    ended: bool,
    /// The last key given.
    last: Option<Vec<u8>>,
    committed: Ahead,
    /// Where the entry of the last step is.
    given: Given,
    /// What is read may be lent: see [`KeyCursor::lending`].
    lends: bool,
    key: Vec<u8>,
    value: Vec<u8>,
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// True for a key that does not lie beyond the end of the walk.
fn is_within(back: bool, start: Bound<&[u8]>, end: Bound<&[u8]>, key: &[u8]) -> bool {
    match if back { start } else { end } {
        Bound::Unbounded => true,
        Bound::Included(bound) if back => key >= bound,
        Bound::Excluded(bound) if back => key > bound,
        Bound::Included(bound) => key <= bound,
        Bound::Excluded(bound) => key < bound,
    }
}

impl KeyCursor {
    /// A walk over the keys between the bounds, or backward from the end.
    pub fn new(tree: u32, bounds: Arc<KeyBounds>, back: bool) -> KeyCursor {
        let limit = match if back { &bounds.0 } else { &bounds.1 } {
            Bound::Included(key) => (full_key(tree, key), true),
            Bound::Excluded(key) => (full_key(tree, key), false),
            Bound::Unbounded if back => (full_key(tree, &[]), true),
            Bound::Unbounded => (after_tree(tree), false),
        };
        KeyCursor {
            limit,
            tree,
            back,
            bounds,
            failed: false,
            merge: None,
            ahead: None,
            read: None,
            ended: false,
            last: None,
            committed: Ahead {
                entries: Lent::new(),
                next: 0,
                most: 0,
                stretch: Stretch::default(),
                over: false,
                failed: None,
            },
            given: Given::Here,
            lends: false,
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// A walk that lends what it reads where it stands.
    ///
    /// # Safety
    ///
    /// The state that every step is given, and its pages, must be held until the cursor is dropped, pages must be mapped
    /// whole, and the changes of a transaction must not be given.
    pub unsafe fn lending(self) -> KeyCursor {
        KeyCursor { lends: true, ..self }
    }

    /// The tree that it walks over.
    pub fn tree(&self) -> u32 {
        self.tree
    }

    /// The key that the last step gave.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.entry().0
    }

    /// The key that the last step gave, and its value.
    #[inline]
    pub fn entry(&self) -> (&[u8], &[u8]) {
        match self.given {
            Given::Batch => self.committed.entries.entry(self.committed.next - 1),
            Given::Stretch => self.committed.stretch.entry(),
            Given::Here => (&self.key, &self.value),
        }
    }

    /// Times that the walk looked into runs beside the oldest ones, since this was asked last.
    #[inline]
    pub fn take_detours(&mut self) -> u32 {
        self.merge.as_mut().map_or(0, Merge::take_detours)
    }

    fn is_within(&self, key: &[u8]) -> bool {
        is_within(self.back, as_slice(&self.bounds.0), as_slice(&self.bounds.1), key)
    }

    /// Goes to the next committed key; false at the end.
    #[inline]
    fn committed(&mut self, view: &View<'_>) -> Result<bool> {
        loop {
            if let Some(given) = self.committed.step() {
                self.given = given;
                return Ok(true);
            }
            if self.committed.over {
                (self.ended, self.given) = (true, Given::Here);
                return Ok(false);
            }
            self.read_ahead(view)?;
        }
    }

    /// Goes to the next key, if that was read ahead and nothing else is to be looked at; false says nothing.
    #[inline]
    pub fn step_ahead(&mut self) -> bool {
        if self.given == Given::Here {
            return false;
        }
        let stepped = self.committed.step();
        self.given = stepped.unwrap_or(self.given);
        stepped.is_some()
    }

    /// Reads the next committed keys with their values; none at the end.
    fn read_ahead(&mut self, view: &View<'_>) -> Result<()> {
        if let Some(failed) = self.committed.failed.take() {
            return Err(*failed);
        }
        self.committed.clear();
        match self.fill(view) {
            Err(e) if !self.committed.entries.is_empty() => self.committed.failed = Some(Box::new(e)),
            filled => filled?,
        }
        Ok(())
    }

    fn fill(&mut self, view: &View<'_>) -> Result<()> {
        let merge = match &mut self.merge {
            Some(merge) => merge,
            none => {
                let (bound, unbounded) = match self.back {
                    false => (as_slice(&self.bounds.0), full_key(self.tree, &[])),
                    true => (as_slice(&self.bounds.1), after_tree(self.tree)),
                };
                let (key, after) = match bound {
                    Bound::Included(key) => (full_key(self.tree, key), self.back),
                    Bound::Excluded(key) => (full_key(self.tree, key), !self.back),
                    Bound::Unbounded => (unbounded, false),
                };
                none.insert(Merge::seek(view, self.tree, &key, after, self.back)?)
            }
        };
        let ahead = &mut self.committed;
        // What is left of a stretch can't be lent, and is read once more.
        let left = ahead.stretch.end();
        merge.give_back(left);
        let (end, most, lend) = (Some((&self.limit.0[..], self.limit.1)), ahead.most, self.lends && left == 0);
        let wanted = Wanted { skip: TREE_BYTES, end, deleted: false, values: true, most, bytes: AHEAD_BYTES, lend };
        let filled = merge.fill(view, &mut ahead.entries, &wanted)?;
        ahead.over = filled.over;
        if let Some((leaf, range)) = filled.stretch {
            // SAFETY: stretches are asked for by those alone who keep what they read, by the promise of `lending`.
            unsafe { ahead.stretch.set(leaf, range, TREE_BYTES) };
        }
        Ok(())
    }

    /// Goes to the next key; false at the end. After an error the walk has ended.
    pub fn step(&mut self, view: &View<'_>, own: Option<TreeKeys<'_>>) -> Result<bool> {
        if self.failed {
            return Ok(false);
        }
        let stepped = match own {
            None if self.ahead.is_none() && self.last.is_none() => {
                if self.ended {
                    return Ok(false);
                }
                self.committed(view)
            }
            _ => self.step_among(view, own),
        };
        self.failed = stepped.is_err();
        stepped
    }

    fn step_among(&mut self, view: &View<'_>, own: Option<TreeKeys<'_>>) -> Result<bool> {
        loop {
            if self.ahead.is_none() && !self.ended && self.committed(view)? {
                let (key, value) = self.entry();
                // Passing over ranges goes back in a run whose keys do not ascend, and so for ever.
                let is_beyond = |read: &Vec<u8>| if self.back { key < &read[..] } else { key > &read[..] };
                if !self.read.as_ref().is_none_or(is_beyond) {
                    return Err(Error::corrupt("run (order of the keys)", 0, 0, 0, 0));
                }
                let ahead = (key.to_vec(), value.to_vec());
                self.read.get_or_insert_default().clone_from(&ahead.0);
                self.ahead = Some(ahead);
            }
            self.given = Given::Here;
            let next = own.and_then(|own| self.next_own(own)).filter(|(key, _)| self.is_within(key));
            let own_first = match (&next, &self.ahead) {
                (None, None) => return Ok(false),
                (Some((own, _)), Some((ahead, _))) if *own == ahead => {
                    self.ahead = None;
                    true
                }
                (Some((own, _)), Some((ahead, _))) => (*own < ahead) != self.back,
                (own, _) => own.is_some(),
            };
            if let (true, Some((key, value))) = (own_first, next) {
                self.last = Some(key.to_vec());
                let Some(value) = value else { continue };
                self.key = key.to_vec();
                self.value = value.to_vec();
                return Ok(true);
            }
            let Some((key, value)) = self.ahead.take() else { return Ok(false) };
            match own.map_or(Own::Nothing, |own| own.get(&key)) {
                Own::Deleted { start, end } => self.pass(view, start.to_vec(), end.map(<[u8]>::to_vec))?,
                // Deleted or changed since it was read ahead, behind the place.
                Own::Point(_) => {}
                Own::Nothing => {
                    self.last = Some(key.clone());
                    (self.key, self.value) = (key, value);
                    return Ok(true);
                }
            }
        }
    }

    /// Own changes beyond the last key given.
    fn next_own<'o>(&self, own: TreeKeys<'o>) -> Option<(&'o [u8], Option<&'o [u8]>)> {
        if let Some(last) = &self.last {
            return own.beside(last, false, self.back);
        }
        match (if self.back { as_slice(&self.bounds.1) } else { as_slice(&self.bounds.0) }, self.back) {
            (Bound::Included(key), back) => own.beside(key, true, back),
            (Bound::Excluded(key), back) => own.beside(key, false, back),
            (Bound::Unbounded, false) => own.beside(&[], true, false),
            (Bound::Unbounded, true) => own.last(),
        }
    }

    /// Passes over committed keys in a range that the transaction deletes.
    fn pass(&mut self, view: &View<'_>, start: Vec<u8>, end: Option<Vec<u8>>) -> Result<()> {
        let is_in = |key: &[u8]| match self.back {
            true => key >= &start[..],
            false => end.as_ref().is_none_or(|end| key < &end[..]),
        };
        while self.committed.next < self.committed.entries.len() {
            if !is_in(self.committed.entries.entry(self.committed.next).0) {
                return Ok(());
            }
            self.committed.next += 1;
        }
        let Some(merge) = self.merge.as_mut().filter(|_| !self.committed.over) else { return Ok(()) };
        let to = match (self.back, end) {
            (true, _) => full_key(self.tree, &start),
            (false, Some(end)) => full_key(self.tree, &end),
            (false, None) => after_tree(self.tree),
        };
        merge.go_to(view, &to, false)
    }
}
