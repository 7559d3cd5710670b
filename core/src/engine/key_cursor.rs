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
use crate::sorted::batch::{Batch, Lending};
use crate::sorted::merge::{after_tree, full_key, write_after_tree, write_full_key, Merge, View, Wanted, TREE_BYTES};
use crate::sorted::stretch::Stretch;
use std::cell::Cell;
use std::cmp::Ordering;
use std::ops::{Bound, Deref, DerefMut};

/// Where a range of keys starts, and where it ends.
pub type KeyBounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Committed keys are read ahead: one, then four, sixteen, and then so many at a time, or this many bytes. What a step costs beside
/// its key, it costs once for all of these. What is lent costs less: it begins with four.
const AHEAD: usize = 32;
const AHEAD_BYTES: usize = 16 << 10;
/// Where so many stretches had entries that are not of the usual kind, no more are asked for.
const MOST_MISFITS: u32 = 4;

/// An end of a walk: a key with the number of its tree in front.
#[derive(Debug, Default)]
struct End {
    key: Vec<u8>,
    /// The key itself is in the range.
    included: bool,
    /// There is none: the key is before, or behind, all of the tree.
    is_open: bool,
}

impl End {
    fn set(&mut self, tree: u32, bound: &Bound<Vec<u8>>, is_last: bool) {
        self.is_open = matches!(bound, Bound::Unbounded);
        self.included = matches!(bound, Bound::Included(_)) || (self.is_open && !is_last);
        match bound {
            Bound::Included(key) | Bound::Excluded(key) => write_full_key(&mut self.key, tree, key),
            Bound::Unbounded if is_last => write_after_tree(&mut self.key, tree),
            Bound::Unbounded => write_full_key(&mut self.key, tree, &[]),
        }
    }

    /// The key without the number of its tree; `None` where there is none.
    fn bound(&self) -> Option<&[u8]> {
        self.key.get(TREE_BYTES..).filter(|_| !self.is_open)
    }
}

/// What a walk needs memory for.
#[derive(Debug, Default)]
struct Room {
    /// Where the walk begins, and where it ends.
    ends: [End; 2],
    merge: Merge,
    /// Committed keys that were read ahead.
    entries: Batch,
    key: Vec<u8>,
    value: Vec<u8>,
}

thread_local! {
    /// One that is not in use: short walks would spend much of their time on asking for memory.
    static SPARE: Cell<Option<Box<Room>>> = const { Cell::new(None) };
}

/// What has taken more is let go of.
const SPARE_BYTES: usize = 64 << 10;

/// Room that is used for some time, the last one that this thread has let go of.
#[derive(Debug)]
struct Lent(Option<Box<Room>>);

impl Lent {
    fn new() -> Lent {
        Lent(Some(SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default()))
    }
}

impl Deref for Lent {
    type Target = Room;
    #[inline]
    fn deref(&self) -> &Room {
        match &self.0 {
            Some(room) => room,
            None => unreachable!("it is taken when this is dropped"),
        }
    }
}

impl DerefMut for Lent {
    #[inline]
    fn deref_mut(&mut self) -> &mut Room {
        match &mut self.0 {
            Some(room) => room,
            None => unreachable!("it is taken when this is dropped"),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut room) = self.0.take() else { return };
        room.entries.clear();
        let keys: usize = room.ends.iter().map(|end| end.key.capacity()).sum();
        let bytes = keys + room.key.capacity() + room.value.capacity() + room.merge.bytes() + room.entries.capacity();
        if bytes <= SPARE_BYTES {
            // The thread may be ending.
            let _ = SPARE.try_with(|spare| spare.set(Some(room)));
        }
    }
}

/// Where a walk is. Holds copies, unless it may lend; every step is given what it reads, which must be the same state each
/// time.
#[derive(Debug)]
pub struct KeyCursor {
    room: Lent,
    tree: u32,
    back: bool,
    /// After an error.
    failed: bool,
    /// The merge is at a place.
    sought: bool,
    /// Of the committed keys that were read ahead, the next one.
    next: usize,
    /// So many were wanted, at most.
    most: usize,
    /// Entries that come behind those.
    stretch: Option<Stretch>,
    /// Stretches of which the next entry could not be lent.
    misfits: u32,
    /// There is no committed key behind these.
    over: bool,
    /// What came behind them.
    failed_ahead: Option<Box<Error>>,
    /// The next committed key and value, where a step before has read them and not used them.
    ahead: Option<(Vec<u8>, Vec<u8>)>,
    /// The last committed key that was read ahead.
    read: Option<Vec<u8>>,
    /// The committed ones have ended.
    ended: bool,
    /// The last key given.
    last: Option<Vec<u8>>,
    /// The entry of the last step is the one in front of the next that was read ahead, and not `key` and `value`.
    is_ahead: bool,
    /// What is read may be lent: see [`KeyCursor::lending`].
    lend: Option<Lending>,
}

impl KeyCursor {
    /// A walk over the keys between the bounds, or backward from the end.
    pub fn new(tree: u32, bounds: &KeyBounds, back: bool) -> KeyCursor {
        let mut room = Lent::new();
        let [start, end] = &mut room.ends;
        start.set(tree, if back { &bounds.1 } else { &bounds.0 }, back);
        end.set(tree, if back { &bounds.0 } else { &bounds.1 }, !back);
        room.key.clear();
        room.value.clear();
        KeyCursor {
            room,
            tree,
            back,
            failed: false,
            sought: false,
            next: 0,
            most: 0,
            stretch: None,
            misfits: 0,
            over: false,
            failed_ahead: None,
            ahead: None,
            read: None,
            ended: false,
            last: None,
            is_ahead: false,
            lend: None,
        }
    }

    /// A walk that lends what it reads where it stands.
    ///
    /// # Safety
    ///
    /// The state that every step is given, and its pages, must be held until the cursor is dropped, pages must be mapped
    /// whole, and the changes of a transaction must not be given.
    pub unsafe fn lending(self) -> KeyCursor {
        // SAFETY: the batch is the cursor's, and all that it is given is of the state and its pages.
        KeyCursor { lend: Some(unsafe { Lending::new() }), ..self }
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
        match self.is_ahead {
            true => self.room.entries.get(self.next.wrapping_sub(1)).unwrap_or_default(),
            false => (&self.room.key, &self.room.value),
        }
    }

    /// Times that the walk looked into runs beside the oldest ones, since this was asked last.
    #[inline]
    pub fn take_detours(&mut self) -> u32 {
        self.room.merge.take_detours()
    }

    /// True for a key that does not lie beyond the end of the walk.
    fn is_within(&self, key: &[u8]) -> bool {
        let [_, end] = &self.room.ends;
        match end.bound().map(|bound| key.cmp(bound)) {
            None => true,
            Some(Ordering::Equal) => end.included,
            Some(order) => (order == Ordering::Less) != self.back,
        }
    }

    /// Goes to the next committed key; false at the end.
    #[inline]
    fn committed(&mut self, view: &View<'_>) -> Result<bool> {
        loop {
            if self.next_lent() {
                self.is_ahead = true;
                return Ok(true);
            }
            if self.over {
                (self.ended, self.is_ahead) = (true, false);
                return Ok(false);
            }
            self.read_ahead(view)?;
        }
    }

    /// True if the next key was read ahead and nothing else is to be looked at.
    #[inline]
    pub fn has_ahead(&self) -> bool {
        self.is_ahead && self.next < self.room.entries.len()
    }

    /// Goes to the next key, if that was read ahead or can be lent, and nothing else is to be looked at; false says nothing.
    #[inline]
    pub fn step_ahead(&mut self) -> bool {
        self.is_ahead && self.next_lent()
    }

    /// The next committed key, if it was read ahead or can be lent.
    #[inline]
    fn next_lent(&mut self) -> bool {
        let is_ahead = self.next < self.room.entries.len() || self.lend_more();
        self.next += usize::from(is_ahead);
        is_ahead
    }

    /// Lends the next entries of the stretch.
    fn lend_more(&mut self) -> bool {
        let Some(stretch) = &mut self.stretch else { return false };
        let entries = &mut self.room.entries;
        entries.clear();
        self.next = 0;
        stretch.lend(TREE_BYTES, entries);
        !entries.is_empty()
    }

    /// Goes to the next key, if [`KeyCursor::has_ahead`]; `None` says nothing.
    #[inline]
    pub fn next_ahead(&mut self) -> Option<(&[u8], &[u8])> {
        let entry = self.room.entries.get(self.next).filter(|_| self.is_ahead)?;
        self.next += 1;
        Some(entry)
    }

    /// Reads the next committed keys with their values; none at the end.
    fn read_ahead(&mut self, view: &View<'_>) -> Result<()> {
        if let Some(failed) = self.failed_ahead.take() {
            return Err(*failed);
        }
        self.room.entries.clear();
        (self.next, self.is_ahead) = (0, false);
        self.most = match self.most {
            0 if self.lend.is_none() => 1,
            0 => 4,
            most => AHEAD.min(most * 4),
        };
        match self.fill(view) {
            Err(e) if !self.room.entries.is_empty() => self.failed_ahead = Some(Box::new(e)),
            filled => filled?,
        }
        Ok(())
    }

    fn fill(&mut self, view: &View<'_>) -> Result<()> {
        let Room { ends: [start, end], merge, entries, .. } = &mut *self.room;
        if !self.sought {
            // From behind all of the tree backward it goes to the last key before that.
            let after = !start.is_open && start.included == self.back;
            merge.seek(view, self.tree, &start.key, after, self.back)?;
            self.sought = true;
        }
        // What is left of a stretch can't be lent, and is read once more.
        let left = self.stretch.take().map_or(0, |stretch| stretch.len());
        if left > 0 {
            merge.give_back(left);
            self.misfits += 1;
        }
        let (end, most, lend) = (Some((&end.key[..], end.included)), self.most, self.lend);
        let (bytes, stretches) = (AHEAD_BYTES, lend.is_some() && left == 0 && self.misfits < MOST_MISFITS);
        let wanted = Wanted { skip: TREE_BYTES, end, deleted: false, values: true, most, bytes, lend, stretches };
        let filled = merge.fill(view, entries, &wanted)?;
        self.over = filled.over;
        self.stretch = lend.zip(filled.stretch).map(|(lending, (leaf, range))| Stretch::new(leaf, range, lending));
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
        if self.is_ahead && self.last.is_none() {
            // The first change came amid the walk.
            self.last = Some(self.key().to_vec());
            self.read.clone_from(&self.last);
        }
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
            self.is_ahead = false;
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
                (self.room.key, self.room.value) = (key.to_vec(), value.to_vec());
                return Ok(true);
            }
            let Some((key, value)) = self.ahead.take() else { return Ok(false) };
            match own.map_or(Own::Nothing, |own| own.get(&key)) {
                Own::Deleted { start, end } => self.pass(view, start.to_vec(), end.map(<[u8]>::to_vec))?,
                // Deleted or changed since it was read ahead, behind the place.
                Own::Point(_) => {}
                Own::Nothing => {
                    self.last = Some(key.clone());
                    (self.room.key, self.room.value) = (key, value);
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
        let [start, _] = &self.room.ends;
        match (start.bound(), self.back) {
            (Some(key), back) => own.beside(key, start.included, back),
            (None, false) => own.beside(&[], true, false),
            (None, true) => own.last(),
        }
    }

    /// Passes over committed keys in a range that the transaction deletes.
    fn pass(&mut self, view: &View<'_>, start: Vec<u8>, end: Option<Vec<u8>>) -> Result<()> {
        let is_in = |key: &[u8]| match self.back {
            true => key >= &start[..],
            false => end.as_ref().is_none_or(|end| key < &end[..]),
        };
        while self.next < self.room.entries.len() {
            if !self.room.entries.get(self.next).is_some_and(|(key, _)| is_in(key)) {
                return Ok(());
            }
            self.next += 1;
        }
        if self.over || !self.sought {
            return Ok(());
        }
        let to = match (self.back, end) {
            (true, _) => full_key(self.tree, &start),
            (false, Some(end)) => full_key(self.tree, &end),
            (false, None) => after_tree(self.tree),
        };
        self.room.merge.go_to(view, &to, false)
    }
}
