//! Keyspaces as users see them: values by key, in the order of the keys.

use crate::database::Database;
use crate::engine::frame::KeyOp;
pub use crate::engine::key_cursor::KeyBounds;
use crate::engine::key_cursor::KeyCursor;
use crate::engine::snapshots::Hold;
use crate::engine::state::State;
use crate::engine::transaction::Transaction as EngineTransaction;
use crate::engine::trees::Kind;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::name::{resolve, Name};
use crate::snapshot::Snapshot;
use crate::sorted::MAX_KEY_BYTES;
use crate::transaction::Transaction;
use std::cell::Cell;
use std::ops::{Bound, RangeBounds};

/// Longest key of a keyspace, in bytes.
pub const MAX_KEYSPACE_KEY_BYTES: usize = MAX_KEY_BYTES;

/// A key and its value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// An ordered map from byte strings to byte strings: keys of 0 to 65 535 bytes, in the order of their bytes, values up to
/// [`Options::max_document_bytes`](crate::Options::max_document_bytes).
///
/// The handle is a name, as a [`Collection`](crate::Collection) is: cheap to make and to clone, `Send + Sync`. The
/// keyspace is made by the first write to it. Reading methods never block. Writing methods are a transaction each: they
/// wait for the writer's turn and, under [`Durability::Sync`](crate::Durability::Sync), for the disk.
///
/// It is kept in an LSM tree (O'Neil, Cheng, Gawlick and O'Neil, 1996) inside the database's file.
///
/// ```
/// let db = nyro::Database::open(":memory:")?;
/// let scores = db.keyspace("scores");
/// scores.put("ada", "36")?;
/// scores.put("alan", "41")?;
/// assert_eq!(scores.get("ada")?.as_deref(), Some(&b"36"[..]));
/// let names: Vec<_> = scores.prefix("al")?.map(|entry| entry.map(|(name, _)| name)).collect::<nyro::Result<_>>()?;
/// assert_eq!(names, [b"alan"]);
/// # Ok::<(), nyro::Error>(())
/// ```
#[derive(Clone)]
pub struct Keyspace {
    db: Database,
    name: Name,
}

impl std::fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyspace").field("name", &self.name).finish_non_exhaustive()
    }
}

fn check_key(key: &[u8]) -> Result<()> {
    if key.len() > MAX_KEY_BYTES {
        return Err(Error::KeyTooLarge { bytes: key.len() as u64, limit: MAX_KEY_BYTES as u64 });
    }
    Ok(())
}

fn check_value(value: &[u8], limit: usize) -> Result<()> {
    if value.len() > limit {
        return Err(Error::ValueTooLarge { bytes: value.len() as u64, limit: limit as u64 });
    }
    Ok(())
}

fn owned<K: AsRef<[u8]>>(bound: Bound<&K>) -> Bound<Vec<u8>> {
    bound.map(|key| key.as_ref().to_vec())
}

/// The bounds, checked: in order, no key too long.
fn bounds_of<K: AsRef<[u8]>>(bounds: &impl RangeBounds<K>) -> Result<KeyBounds> {
    let (start, end) = (owned(bounds.start_bound()), owned(bounds.end_bound()));
    let keys = (key_of(&start), key_of(&end));
    [keys.0, keys.1].into_iter().flatten().try_for_each(check_key)?;
    match keys {
        (Some(start), Some(end)) if start > end => {
            Err(Error::InvalidArgument("a range must not end before it starts; exchange the bounds".to_owned()))
        }
        _ => Ok((start, end)),
    }
}

fn key_of(bound: &Bound<Vec<u8>>) -> Option<&[u8]> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    }
}

/// True for bounds, in order, between which no key can lie; two keys of which one is the next to the other, both
/// excluded, are such, too.
fn is_empty(bounds: &KeyBounds) -> bool {
    match bounds {
        (Bound::Included(start), Bound::Excluded(end)) | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
        (Bound::Excluded(_), Bound::Excluded(_)) => half_open(bounds).is_none(),
        _ => false,
    }
}

/// The first key above all that begin with a prefix; none if there is no such key.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte < 0xff)?;
    let mut after = prefix[..=kept].to_vec();
    after[kept] += 1;
    Some(after)
}

/// The bounds of the keys that begin with these bytes, as [`Keyspace::prefix`] has them. Error: `KeyTooLarge`.
///
/// ```
/// use std::ops::Bound::{Excluded, Included};
///
/// assert_eq!(nyro::prefix_bounds(b"ab")?, (Included(b"ab".to_vec()), Excluded(b"ac".to_vec())));
/// # Ok::<(), nyro::Error>(())
/// ```
pub fn prefix_bounds(prefix: &[u8]) -> Result<KeyBounds> {
    check_key(prefix)?;
    let end = after_prefix(prefix).map_or(Bound::Unbounded, Bound::Excluded);
    Ok((Bound::Included(prefix.to_vec()), end))
}

/// The first key above another: that one with a zero byte more, as long as it may be longer. None if there is no such key.
fn above(key: &[u8]) -> Option<Vec<u8>> {
    match key.len() < MAX_KEY_BYTES {
        true => Some([key, &[0]].concat()),
        false => after_prefix(key),
    }
}

/// The bounds as a start that is in the range, and an end that is not; both are keys. `None` for no key at all.
fn half_open((start, end): &KeyBounds) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let start = match start {
        Bound::Included(key) => key.clone(),
        Bound::Excluded(key) => above(key)?,
        Bound::Unbounded => Vec::new(),
    };
    let end = match end {
        Bound::Included(key) => above(key),
        Bound::Excluded(key) => Some(key.clone()),
        Bound::Unbounded => None,
    };
    end.as_ref().is_none_or(|end| start < *end).then_some((start, end))
}

impl Keyspace {
    pub(crate) fn new(db: Database, name: &str) -> Keyspace {
        Keyspace { db, name: Name::new(name, Kind::Keyspace) }
    }

    /// The keyspace's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a key, given to `read` without copying; `None` if the key is not there.
    pub fn get_with<R>(&self, key: impl AsRef<[u8]>, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let key = key.as_ref();
        check_key(key)?;
        let engine = self.db.open_engine()?;
        let pin = engine.pin_open()?;
        let commit = pin.commit();
        match self.name.tree(engine, &pin, commit)? {
            Some(tree) => Ok(pin.value(&engine.pages, commit, tree, key)?.map(read)),
            None => Ok(None),
        }
    }

    /// The value of a key, copied.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.get_with(key, <[u8]>::to_vec)
    }

    /// True if the key is there.
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.get_with(key, |_| ())?.is_some())
    }

    /// Gives a key a value, whether it had one or not. Errors: `KeyTooLarge`, `ValueTooLarge`, `OtherKind`.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let (key, value) = (key.as_ref(), value.as_ref());
        check_key(key)?;
        check_value(value, self.db.shared().max_document_bytes)?;
        self.change(KeyOp::Put(key, value))
    }

    /// Deletes a key, whether it is there or not.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<()> {
        let key = key.as_ref();
        check_key(key)?;
        self.change(KeyOp::Delete(key))
    }

    /// Deletes all keys in a range, in a short time whatever their number. Error: `InvalidArgument` for bounds in the
    /// wrong order.
    pub fn delete_range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<()> {
        match half_open(&bounds_of(&bounds)?) {
            Some((start, end)) => self.change(KeyOp::DeleteRange(&start, end.as_deref())),
            None => Ok(()),
        }
    }

    fn change(&self, op: KeyOp<'_>) -> Result<()> {
        self.db.write_one(|tx| {
            let tree = self.name.tree_for_writing(tx)?;
            tx.change_keys(tree, op)
        })
    }

    /// Makes several changes in one commit: all of them, or none if `body` fails or panics. Inside, reads see the
    /// changes. See [`Database::write`] for one that spans keyspaces and collections.
    pub fn batch<R>(&self, mut body: impl FnMut(&TransactionKeyspace<'_, '_>) -> Result<R>) -> Result<R> {
        self.db.write(|tx| body(&tx.keyspace(&self.name)))
    }

    /// Deletes all keys, in the same short time whatever their number. Snapshots still see them.
    pub fn clear(&self) -> Result<()> {
        self.db.write_one(|tx| tx.clear_keyspace(&self.name).map(drop))
    }

    /// The keys in a range with their values, as of now; backward by `rev()`, at most `n` by `take(n)`. It reads a
    /// snapshot, step by step: let go of it when you are done. Error: `InvalidArgument` for bounds in the wrong order.
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<KeyspaceRange> {
        self.freeze()?.range(bounds)
    }

    /// The keys that begin with these bytes, as [`Keyspace::range`].
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<KeyspaceRange> {
        self.freeze()?.prefix(prefix)
    }

    /// All keys, as [`Keyspace::range`].
    pub fn iter(&self) -> Result<KeyspaceRange> {
        self.range::<&[u8]>(..)
    }

    /// The first key and its value.
    pub fn first(&self) -> Result<Option<KeyValue>> {
        self.glance()?.first()
    }

    /// The last key and its value.
    pub fn last(&self) -> Result<Option<KeyValue>> {
        self.glance()?.last()
    }

    /// The number of keys, about: what runs and memtables hold is added up, and a key that was changed or deleted since
    /// counts again until its runs are merged. Costs a look at the list of runs.
    pub fn estimated_len(&self) -> Result<u64> {
        self.glance()?.estimated_len()
    }

    /// The keyspace as of now, in a snapshot of its own. As every snapshot, and so is a range's, it is counted, and may be
    /// ended by [`Options::snapshot_max_age_ms`](crate::Options::snapshot_max_age_ms).
    pub fn freeze(&self) -> Result<SnapshotKeyspace> {
        self.within(self.db.snapshot()?)
    }

    fn within(&self, snapshot: Snapshot) -> Result<SnapshotKeyspace> {
        SnapshotKeyspace::new(snapshot, |engine, state, commit| self.name.tree(engine, state, commit))
    }

    /// The same for a call that lets go of it at its end.
    fn glance(&self) -> Result<SnapshotKeyspace> {
        self.db.open_engine()?;
        self.within(Snapshot::brief(self.db.shared()))
    }
}

/// A keyspace as of a snapshot, which it keeps. It never changes.
#[derive(Clone)]
pub struct SnapshotKeyspace {
    snapshot: Snapshot,
    tree: Option<u32>,
}

impl std::fmt::Debug for SnapshotKeyspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotKeyspace").field("commit", &self.snapshot.commit()).finish_non_exhaustive()
    }
}

impl SnapshotKeyspace {
    /// The keyspace whose tree `find` says, given the state as of a commit.
    fn new(
        snapshot: Snapshot,
        find: impl FnOnce(&Engine, &State, u64) -> Result<Option<u32>>,
    ) -> Result<SnapshotKeyspace> {
        let engine = snapshot.engine();
        engine.check_open()?;
        let hold = engine.pages.hold();
        let tree = find(engine, &*snapshot.hold().lend()?, snapshot.commit())?;
        drop(hold);
        Ok(SnapshotKeyspace { snapshot: snapshot.into_scan(), tree })
    }

    pub(crate) fn named(snapshot: &Snapshot, name: &str) -> Result<SnapshotKeyspace> {
        let find = |engine: &Engine, state: &State, commit| resolve(engine, state, commit, (name, Kind::Keyspace));
        SnapshotKeyspace::new(snapshot.clone(), find)
    }

    /// The value of a key, given to `read` without copying; `None` if the key is not there.
    pub fn get_with<R>(&self, key: impl AsRef<[u8]>, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let key = key.as_ref();
        check_key(key)?;
        let engine = self.snapshot.engine();
        engine.check_open()?;
        let Some(tree) = self.tree else { return Ok(None) };
        let _hold = engine.pages.hold();
        let state = self.snapshot.hold().lend()?;
        Ok(state.value(&engine.pages, self.snapshot.commit(), tree, key)?.map(read))
    }

    /// The value of a key, copied.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.get_with(key, <[u8]>::to_vec)
    }

    /// True if the key is there.
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.get_with(key, |_| ())?.is_some())
    }

    /// The keys in a range with their values; see [`Keyspace::range`].
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<KeyspaceRange> {
        let bounds = bounds_of(&bounds)?;
        self.snapshot.engine().check_open()?;
        Ok(KeyspaceRange::new(self.clone(), bounds))
    }

    /// The keys that begin with these bytes.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<KeyspaceRange> {
        self.range(prefix_bounds(prefix.as_ref())?)
    }

    /// All keys.
    pub fn iter(&self) -> Result<KeyspaceRange> {
        self.range::<&[u8]>(..)
    }

    /// The first key and its value.
    pub fn first(&self) -> Result<Option<KeyValue>> {
        self.iter()?.next().transpose()
    }

    /// The last key and its value.
    pub fn last(&self) -> Result<Option<KeyValue>> {
        self.iter()?.next_back().transpose()
    }

    /// The number of keys, about; see [`Keyspace::estimated_len`].
    pub fn estimated_len(&self) -> Result<u64> {
        let engine = self.snapshot.engine();
        engine.check_open()?;
        let Some(tree) = self.tree else { return Ok(0) };
        let _hold = engine.pages.hold();
        self.snapshot.hold().lend()?.estimated_keys(&engine.pages, tree)
    }

    /// A cursor that must be dropped before this keyspace is.
    fn cursor(&self, bounds: &KeyBounds, back: bool) -> KeyCursor {
        let cursor = KeyCursor::new(self.tree.unwrap_or_default(), bounds, back);
        match self.snapshot.hold() {
            // SAFETY: `self` holds the state, and the engine with its pages; steps are given no changes.
            Hold::Free(_) if self.snapshot.engine().pages.are_mapped() => unsafe { cursor.lending() },
            _ => cursor,
        }
    }

    fn step(&self, cursor: &mut KeyCursor) -> Result<bool> {
        let engine = self.snapshot.engine();
        engine.check_open()?;
        if cursor.step_ahead() {
            return Ok(true);
        }
        let _hold = engine.pages.hold();
        let state = self.snapshot.hold().lend()?;
        let stepped = cursor.step(&state.view(&engine.pages, self.snapshot.commit())?, None)?;
        engine.note_detours(cursor.take_detours())?;
        Ok(stepped)
    }
}

/// Keys with their values, in order, from either end: an iterator that holds a snapshot, and entries that it has read
/// ahead, 32 at most.
pub struct KeyspaceRange {
    // Cursors before what they read.
    front: Option<KeyCursor>,
    back: Option<KeyCursor>,
    keyspace: SnapshotKeyspace,
    bounds: KeyBounds,
    ended: bool,
}

impl std::fmt::Debug for KeyspaceRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyspaceRange").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl KeyspaceRange {
    fn new(keyspace: SnapshotKeyspace, bounds: KeyBounds) -> KeyspaceRange {
        let ended = keyspace.tree.is_none() || is_empty(&bounds);
        KeyspaceRange { keyspace, bounds, front: None, back: None, ended }
    }

    /// The next entry of one end, lent until the next step; `None` when the ends have met.
    fn step(&mut self, back: bool) -> Result<Option<(&[u8], &[u8])>> {
        if self.ended {
            return Ok(None);
        }
        let own = if back { &mut self.back } else { &mut self.front };
        let cursor = match own {
            Some(cursor) => cursor,
            none => none.insert(self.keyspace.cursor(&self.bounds, back)),
        };
        let stepped = self.keyspace.step(cursor);
        self.ended = !matches!(stepped, Ok(true));
        if !stepped? {
            return Ok(None);
        }
        let (own, other) = if back { (&self.back, &self.front) } else { (&self.front, &self.back) };
        let Some(own) = own else { return Ok(None) };
        // Where both ends are in use, neither goes beyond the other.
        let met = other.as_ref().is_some_and(|other| (own.key() <= other.key()) == back || own.key() == other.key());
        self.ended = met;
        Ok((!met).then(|| own.entry()))
    }

    /// The next key and value, lent until the next call: an iterator step without copies for the caller.
    #[inline]
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        // Mostly it was read ahead, and nothing comes from the other end.
        let is_ahead = |front: &KeyCursor| self.back.is_none() && !self.ended && front.has_ahead();
        if !self.front.as_ref().is_some_and(is_ahead) {
            return self.step(false);
        }
        self.keyspace.snapshot.engine().check_open()?;
        Ok(self.front.as_mut().and_then(KeyCursor::next_ahead))
    }

    /// [`KeyspaceRange::next_entry`] from the other end.
    pub fn next_entry_back(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.step(true)
    }
}

impl Iterator for KeyspaceRange {
    type Item = Result<KeyValue>;

    fn next(&mut self) -> Option<Result<KeyValue>> {
        self.next_entry().map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).transpose()
    }
}

impl DoubleEndedIterator for KeyspaceRange {
    fn next_back(&mut self) -> Option<Result<KeyValue>> {
        self.step(true).map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).transpose()
    }
}

impl std::iter::FusedIterator for KeyspaceRange {}

/// A keyspace inside a write transaction: reads see what the transaction has changed.
#[derive(Debug)]
pub struct TransactionKeyspace<'t, 'e> {
    tx: &'t Transaction<'e>,
    name: String,
    /// The tree that the name meant last, after so many changes of the catalog.
    resolved: Cell<Option<(u32, u32)>>,
}

impl<'t, 'e> TransactionKeyspace<'t, 'e> {
    pub(crate) fn new(tx: &'t Transaction<'e>, name: &str) -> TransactionKeyspace<'t, 'e> {
        TransactionKeyspace { tx, name: name.to_owned(), resolved: Cell::new(None) }
    }

    /// The keyspace's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tree of the name, out of the cache or as `find` says.
    fn resolve(
        &self,
        inner: &mut EngineTransaction<'_>,
        find: impl FnOnce(&mut EngineTransaction<'_>) -> Result<Option<u32>>,
    ) -> Result<Option<u32>> {
        match self.resolved.get() {
            Some((tree, changes)) if changes == inner.catalog_changes() => Ok(Some(tree)),
            _ => {
                let tree = find(inner)?;
                self.resolved.set(tree.map(|tree| (tree, inner.catalog_changes())));
                Ok(tree)
            }
        }
    }

    fn tree(&self) -> Result<Option<u32>> {
        self.resolve(&mut self.tx.inner().borrow_mut(), |inner| inner.resolve_keyspace(&self.name))
    }

    fn change(&self, op: KeyOp<'_>) -> Result<()> {
        let mut inner = self.tx.inner().borrow_mut();
        let made = |inner: &mut EngineTransaction<'_>| inner.resolve_or_create_keyspace(&self.name).map(Some);
        let Some(tree) = self.resolve(&mut inner, made)? else { unreachable!("it is made if there is none") };
        inner.change_keys(tree, op)
    }

    /// The value of a key, given to `read`; `None` if the key is not there. `read` must not use the transaction.
    pub fn get_with<R>(&self, key: impl AsRef<[u8]>, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let key = key.as_ref();
        check_key(key)?;
        match self.tree()? {
            Some(tree) => self.tx.inner().borrow().value(tree, key, read),
            None => Ok(None),
        }
    }

    /// The value of a key, copied.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.get_with(key, <[u8]>::to_vec)
    }

    /// True if the key is there.
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.get_with(key, |_| ())?.is_some())
    }

    /// Gives a key a value. Errors: `KeyTooLarge`, `ValueTooLarge`, `OtherKind`, `TransactionTooLarge`.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let (key, value) = (key.as_ref(), value.as_ref());
        check_key(key)?;
        check_value(value, self.tx.max_document_bytes())?;
        self.change(KeyOp::Put(key, value))
    }

    /// Deletes a key, whether it is there or not.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<()> {
        let key = key.as_ref();
        check_key(key)?;
        self.change(KeyOp::Delete(key))
    }

    /// Deletes all keys in a range. Error: `InvalidArgument` for bounds in the wrong order.
    pub fn delete_range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<()> {
        match half_open(&bounds_of(&bounds)?) {
            Some((start, end)) => self.change(KeyOp::DeleteRange(&start, end.as_deref())),
            None => Ok(()),
        }
    }

    /// Deletes all keys.
    pub fn clear(&self) -> Result<()> {
        self.tx.inner().borrow_mut().clear_keyspace(&self.name).map(drop)
    }

    /// The keys in a range with their values, in order or backward, step by step. The transaction may be written to
    /// meanwhile: a change beyond the place of the walk is seen.
    pub fn range<K: AsRef<[u8]>>(
        &self,
        bounds: impl RangeBounds<K>,
        backward: bool,
    ) -> Result<TransactionRange<'t, 'e>> {
        Ok(TransactionRange { tx: self.tx, walk: self.walk(bounds, backward)? })
    }

    /// The keys that begin with these bytes, as [`TransactionKeyspace::range`].
    pub fn prefix(&self, prefix: impl AsRef<[u8]>, backward: bool) -> Result<TransactionRange<'t, 'e>> {
        self.range(prefix_bounds(prefix.as_ref())?, backward)
    }

    /// As [`TransactionKeyspace::range`], for callers that can't keep a reference to the transaction: each step is given
    /// it anew.
    pub fn walk<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>, backward: bool) -> Result<KeyWalk> {
        let bounds = bounds_of(&bounds)?;
        let tree = self.tree()?.filter(|_| !is_empty(&bounds));
        Ok(KeyWalk { cursor: tree.map(|tree| KeyCursor::new(tree, &bounds, backward)) })
    }

    /// The first key and its value.
    pub fn first(&self) -> Result<Option<KeyValue>> {
        self.range::<&[u8]>(.., false)?.next().transpose()
    }

    /// The last key and its value.
    pub fn last(&self) -> Result<Option<KeyValue>> {
        self.range::<&[u8]>(.., true)?.next().transpose()
    }
}

/// Where a walk over a keyspace inside of a transaction is; see [`TransactionKeyspace::walk`].
#[derive(Debug)]
pub struct KeyWalk {
    cursor: Option<KeyCursor>,
}

impl KeyWalk {
    /// The next key and value, lent until the next call; `None` at the end. After an error the walk has ended. `tx` is the
    /// transaction that the walk was begun in: in another one its keys are those of whatever lies there.
    pub fn next_entry(&mut self, tx: &Transaction<'_>) -> Result<Option<(&[u8], &[u8])>> {
        let Some(cursor) = self.cursor.as_mut() else { return Ok(None) };
        let stepped = tx.inner().borrow().next_key(cursor);
        if !matches!(stepped, Ok(true)) {
            self.cursor = None;
        }
        stepped?;
        Ok(self.cursor.as_ref().map(KeyCursor::entry))
    }
}

/// Keys of a keyspace inside of a transaction, with their values.
#[derive(Debug)]
pub struct TransactionRange<'t, 'e> {
    tx: &'t Transaction<'e>,
    walk: KeyWalk,
}

impl Iterator for TransactionRange<'_, '_> {
    type Item = Result<KeyValue>;

    fn next(&mut self) -> Option<Result<KeyValue>> {
        let entry = self.walk.next_entry(self.tx);
        entry.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).transpose()
    }
}
