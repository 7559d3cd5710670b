//! Keyspaces as plain values: of a database, of a snapshot or of a transaction, and ranges of them.
//!
//! ```text
//!   Keys::Live    each read sees the newest commit      range: holds a snapshot of its own
//!   Keys::Frozen  as of a snapshot                      range: holds that one
//!   Keys::In      inside a transaction                  range: holds the transaction's number, and is used on its thread
//! ```

use crate::Tx;
use nyro::{
    Database, Error, KeyBounds, KeyValue, KeyWalk, Keyspace, KeyspaceRange, OwnedTransaction, Result, Snapshot,
    SnapshotKeyspace, TransactionKeyspace,
};
use std::ops::Bound;
use std::sync::Arc;

/// Where a range starts and where it ends.
pub type Bounds = KeyBounds;

/// A change to a keyspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'b> {
    /// Give a key a value.
    Put(&'b [u8], &'b [u8]),
    /// Delete a key.
    Delete(&'b [u8]),
    /// Delete the keys between the bounds.
    DeleteRange(Bounds),
    /// Delete all keys.
    Clear,
}

/// A [`Change`] that owns its bytes, to be made later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// Give a key a value.
    Put(Vec<u8>, Vec<u8>),
    /// Delete a key.
    Delete(Vec<u8>),
    /// Delete the keys between the bounds.
    DeleteRange(Bounds),
    /// Delete all keys.
    Clear,
}

impl KeyChange {
    /// The change, lent.
    pub fn as_change(&self) -> Change<'_> {
        match self {
            KeyChange::Put(key, value) => Change::Put(key, value),
            KeyChange::Delete(key) => Change::Delete(key),
            KeyChange::DeleteRange(bounds) => Change::DeleteRange(bounds.clone()),
            KeyChange::Clear => Change::Clear,
        }
    }
}

impl Change<'_> {
    pub(crate) fn apply(&self, keyspace: &TransactionKeyspace<'_, '_>) -> Result<()> {
        match self {
            Change::Put(key, value) => keyspace.put(key, value),
            Change::Delete(key) => keyspace.delete(key),
            Change::DeleteRange(bounds) => keyspace.delete_range(bounds.clone()),
            Change::Clear => keyspace.clear(),
        }
    }
}

impl From<&Change<'_>> for KeyChange {
    fn from(change: &Change<'_>) -> KeyChange {
        match change {
            Change::Put(key, value) => KeyChange::Put(key.to_vec(), value.to_vec()),
            Change::Delete(key) => KeyChange::Delete(key.to_vec()),
            Change::DeleteRange(bounds) => KeyChange::DeleteRange(bounds.clone()),
            Change::Clear => KeyChange::Clear,
        }
    }
}

/// A keyspace. Reading works on all kinds; writing to a snapshot's is the error `ReadOnly`.
#[derive(Debug, Clone)]
pub enum Keys {
    /// As it is: each read sees the newest commit.
    Live(Keyspace),
    /// As of a snapshot, which it keeps alive.
    Frozen(SnapshotKeyspace),
    /// Inside a transaction: calls on another thread are `WrongThread`.
    In(Tx, Arc<str>),
}

impl Keys {
    /// The keyspace of that name; a bad name is an error of its first call.
    pub fn live(db: &Database, name: &str) -> Keys {
        Keys::Live(db.keyspace(name))
    }

    /// The keyspace as of a snapshot.
    pub fn frozen(snapshot: &Snapshot, name: &str) -> Result<Keys> {
        Ok(Keys::Frozen(snapshot.keyspace(name)?))
    }

    /// The keyspace inside a transaction.
    pub fn within(tx: Tx, name: &str) -> Keys {
        Keys::In(tx, name.into())
    }

    /// Gives the value of a key to `read` without copying it; `None` if the key is not there.
    #[inline]
    pub fn get_with<R>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        match self {
            Keys::Live(keyspace) => keyspace.get_with(key, read),
            Keys::Frozen(keyspace) => keyspace.get_with(key, read),
            Keys::In(tx, name) => tx.with(|tx| tx.keyspace(name).get_with(key, read)),
        }
    }

    /// The value of a key, copied.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_with(key, <[u8]>::to_vec)
    }

    /// Gives the values of these keys, in their order, to `each`; `None` for each that is not there. All are as of one
    /// commit.
    pub fn get_many_with<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k [u8]>,
        mut each: impl FnMut(usize, Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        let frozen;
        let keyspace = match self {
            Keys::Live(keyspace) => {
                frozen = Keys::Frozen(keyspace.freeze()?);
                &frozen
            }
            keyspace => keyspace,
        };
        for (place, key) in keys.into_iter().enumerate() {
            if keyspace.get_with(key, |value| each(place, Some(value)))?.transpose()?.is_none() {
                each(place, None)?;
            }
        }
        Ok(())
    }

    /// True if the key is there.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.get_with(key, |_| ())?.is_some())
    }

    /// The number of keys, about. Error: `InvalidArgument` inside a transaction.
    pub fn estimated_len(&self) -> Result<u64> {
        match self {
            Keys::Live(keyspace) => keyspace.estimated_len(),
            Keys::Frozen(keyspace) => keyspace.estimated_len(),
            Keys::In(..) => Err(Error::InvalidArgument(
                "this call is not for keyspaces of a transaction; use one of the database".to_owned(),
            )),
        }
    }

    /// Makes one change, in a commit of its own outside of a transaction.
    pub fn change(&self, change: &Change<'_>) -> Result<()> {
        match (self, change) {
            (Keys::Live(keyspace), Change::Put(key, value)) => keyspace.put(key, value),
            (Keys::Live(keyspace), Change::Delete(key)) => keyspace.delete(key),
            (Keys::Live(keyspace), Change::DeleteRange(bounds)) => keyspace.delete_range(bounds.clone()),
            (Keys::Live(keyspace), Change::Clear) => keyspace.clear(),
            (Keys::Frozen(_), _) => Err(Error::ReadOnly),
            (Keys::In(tx, name), change) => tx.with(|tx| change.apply(&tx.keyspace(name))),
        }
    }

    /// Makes changes in one commit, in their order: all, or none. In a transaction those before one that fails stay until
    /// the transaction is rolled back.
    pub fn change_all(&self, changes: &[Change<'_>]) -> Result<()> {
        self.in_one_commit(|keyspace| changes.iter().try_for_each(|change| change.apply(keyspace)))
    }

    /// Deletes a key and gives the value that it had; nobody else gets between.
    pub fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.in_one_commit(|keyspace| {
            let value = keyspace.get(key)?;
            if value.is_some() {
                keyspace.delete(key)?;
            }
            Ok(value)
        })
    }

    /// Deletes the first key, or the last one, and gives it with its value; `None` if there is no key.
    pub fn take_end(&self, last: bool) -> Result<Option<KeyValue>> {
        self.in_one_commit(|keyspace| {
            let entry = if last { keyspace.last()? } else { keyspace.first()? };
            if let Some((key, _)) = &entry {
                keyspace.delete(key)?;
            }
            Ok(entry)
        })
    }

    /// Gives a key a value if it has none. The value that it has already, else `None`.
    pub fn put_new(&self, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>> {
        self.in_one_commit(|keyspace| {
            let there = keyspace.get(key)?;
            if there.is_none() {
                keyspace.put(key, value)?;
            }
            Ok(there)
        })
    }

    fn in_one_commit<R>(&self, mut body: impl FnMut(&TransactionKeyspace<'_, '_>) -> Result<R>) -> Result<R> {
        match self {
            Keys::Live(keyspace) => keyspace.batch(body),
            Keys::Frozen(_) => Err(Error::ReadOnly),
            Keys::In(tx, name) => tx.with(|tx| body(&tx.keyspace(name))),
        }
    }

    /// The first key, or the last one, with its value.
    pub fn end(&self, last: bool) -> Result<Option<KeyValue>> {
        match self {
            Keys::Live(keyspace) if last => keyspace.last(),
            Keys::Live(keyspace) => keyspace.first(),
            Keys::Frozen(keyspace) if last => keyspace.last(),
            Keys::Frozen(keyspace) => keyspace.first(),
            Keys::In(tx, name) => tx.with(|tx| if last { tx.keyspace(name).last() } else { tx.keyspace(name).first() }),
        }
    }

    /// The number of keys, by reading them all.
    pub fn count(&self) -> Result<u64> {
        let mut range = self.range((Bound::Unbounded, Bound::Unbounded), false)?;
        let mut count = 0;
        while range.next_with(|_, _| ())?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// The keys between the bounds with their values, in order or backward. Error: `InvalidArgument` for bounds in the
    /// wrong order.
    pub fn range(&self, bounds: Bounds, backward: bool) -> Result<KeyRange> {
        let source = match self {
            Keys::Live(keyspace) => Source::of(keyspace.freeze()?, bounds.clone())?,
            Keys::Frozen(keyspace) => Source::of(keyspace.clone(), bounds.clone())?,
            Keys::In(tx, name) => Source::within(*tx, name.clone(), bounds.clone(), backward)?,
        };
        let (failed, left, lent) = (None, None, (Vec::new(), Vec::new()));
        Ok(KeyRange { source, bounds, backward, without: [false; 2], failed, left, lent })
    }
}

/// What a range reads.
#[derive(Debug)]
enum Source {
    Of(SnapshotKeyspace, Box<KeyspaceRange>),
    In(Tx, Arc<str>, Box<KeyWalk>),
    /// Nothing: a place was sought where there can't be a key.
    Ended(Box<Source>),
}

impl Source {
    fn of(keyspace: SnapshotKeyspace, bounds: Bounds) -> Result<Source> {
        let range = keyspace.range(bounds)?;
        Ok(Source::Of(keyspace, Box::new(range)))
    }

    fn within(tx: Tx, name: Arc<str>, bounds: Bounds, backward: bool) -> Result<Source> {
        let walk = tx.with(|tx: &OwnedTransaction| tx.keyspace(&name).walk(bounds, backward))?;
        Ok(Source::In(tx, name, Box::new(walk)))
    }

    /// The same keyspace from other bounds.
    fn again(&self, bounds: Bounds, backward: bool) -> Result<Source> {
        match self {
            Source::Of(keyspace, _) => Source::of(keyspace.clone(), bounds),
            Source::In(tx, name, _) => Source::within(*tx, name.clone(), bounds, backward),
            Source::Ended(source) => source.again(bounds, backward),
        }
    }

    fn next_with<R>(&mut self, backward: bool, read: impl FnOnce(&[u8], &[u8]) -> R) -> Result<Option<R>> {
        let entry = match self {
            Source::Of(_, range) if backward => range.next_entry_back()?,
            Source::Of(_, range) => range.next_entry()?,
            Source::In(tx, _, walk) => return tx.with(|tx| Ok(walk.next_entry(tx)?.map(|(k, v)| read(k, v)))),
            Source::Ended(_) => None,
        };
        Ok(entry.map(|(key, value)| read(key, value)))
    }
}

/// A range of keys with their values: it holds one entry at a time.
#[derive(Debug)]
pub struct KeyRange {
    source: Source,
    bounds: Bounds,
    backward: bool,
    /// Whether `fill` leaves out the keys, and the values.
    without: [bool; 2],
    /// The error that ended the range. It comes again, so that nobody takes an end for the end.
    failed: Option<Box<Error>>,
    /// An entry that was read and did not fit into the last batch.
    left: Option<(Vec<u8>, Vec<u8>)>,
    /// The one of these that was given last: a caller that was lent it reads it until the next call.
    lent: (Vec<u8>, Vec<u8>),
}

/// A batch of entries, one behind the other: each a key and then its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilledEntries {
    /// How many entries.
    pub entries: usize,
    /// Bytes that they take.
    pub bytes: usize,
    /// No entry fitted: the next one has this many bytes. 0 otherwise.
    pub needed: usize,
    /// There is no entry after these.
    pub ended: bool,
}

impl KeyRange {
    /// Gives the next key and value to `read` without copying them; `None` at the end. After an error it gives that
    /// again. The bytes stay where they are until the next call.
    pub fn next_with<R>(&mut self, read: impl FnOnce(&[u8], &[u8]) -> R) -> Result<Option<R>> {
        if let Some(left) = self.left.take() {
            self.lent = left;
            return Ok(Some(read(&self.lent.0, &self.lent.1)));
        }
        if let Some(failed) = &self.failed {
            return Err(Error::clone(failed));
        }
        let next = self.source.next_with(self.backward, read);
        if let Err(e) = &next {
            if !matches!(e, Error::WrongThread) {
                self.failed = Some(Box::new(e.clone()));
            }
        }
        next
    }

    /// Goes to a key, whether it is there or not: the next entry is that key's or the first one behind it (backward:
    /// before it). A key outside of the bounds is the nearest one inside.
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.go_to(Bound::Included(key.to_vec()), key)
    }

    /// As [`KeyRange::seek`], but the next entry is the first one behind that key (backward: before it). Who has read
    /// ahead in a transaction goes back to its place so, to see what has changed since.
    pub fn seek_behind(&mut self, key: &[u8]) -> Result<()> {
        self.go_to(Bound::Excluded(key.to_vec()), key)
    }

    fn go_to(&mut self, place: Bound<Vec<u8>>, key: &[u8]) -> Result<()> {
        let (mut start, mut end) = self.bounds.clone();
        let bound = if self.backward { &mut end } else { &mut start };
        // Behind the key that a bound includes is inside as well.
        let is_inside = match bound {
            Bound::Unbounded => true,
            Bound::Included(limit) if key == &limit[..] => matches!(place, Bound::Excluded(_)),
            Bound::Included(limit) | Bound::Excluded(limit) if self.backward => key < &limit[..],
            Bound::Included(limit) | Bound::Excluded(limit) => key > &limit[..],
        };
        if is_inside {
            *bound = place;
        }
        let is_empty = match (&start, &end) {
            (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
                start > end
            }
            _ => false,
        };
        self.source = match is_empty {
            true => Source::Ended(Box::new(self.source.again(self.bounds.clone(), self.backward)?)),
            false => self.source.again((start, end), self.backward)?,
        };
        self.left = None;
        self.failed = None;
        Ok(())
    }

    /// Leaves the keys, or the values, out of what `fill` copies.
    pub fn leave_out(&mut self, keys: bool, values: bool) {
        self.without = [keys, values];
    }

    /// Copies entries into `out`, as many as fit and at most `ends.len() / 2`. `ends[2 * i]` is where key number i ends
    /// and `ends[2 * i + 1]` where its value does.
    pub fn fill(&mut self, out: &mut [u8], ends: &mut [usize]) -> Result<FilledEntries> {
        let mut filled = FilledEntries::default();
        let [no_keys, no_values] = self.without;
        for ends in ends.chunks_exact_mut(2) {
            let room = out.get_mut(filled.bytes..).unwrap_or_default();
            let copied = self.next_with(|key, value| {
                let (key, value) = (if no_keys { &[] } else { key }, if no_values { &[] } else { value });
                match room.get_mut(..key.len() + value.len()) {
                    Some(place) => {
                        let (first, second) = place.split_at_mut(key.len());
                        first.copy_from_slice(key);
                        second.copy_from_slice(value);
                        Ok((key.len(), value.len()))
                    }
                    None => Err((key.to_vec(), value.to_vec())),
                }
            });
            match copied {
                // What was copied is given; the error comes again with the next call.
                Err(_) if filled.entries > 0 => return Ok(filled),
                Err(e) => return Err(e),
                Ok(None) => {
                    filled.ended = true;
                    return Ok(filled);
                }
                Ok(Some(Ok((key, value)))) => {
                    ends[0] = filled.bytes + key;
                    filled.bytes = ends[0] + value;
                    ends[1] = filled.bytes;
                    filled.entries += 1;
                }
                Ok(Some(Err(entry))) => {
                    if filled.entries == 0 {
                        filled.needed = entry.0.len() + entry.1.len();
                    }
                    self.left = Some(entry);
                    return Ok(filled);
                }
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Database, Keys) {
        let db = Database::open(":memory:").expect("opens");
        let keys = Keys::live(&db, "k");
        for (key, value) in [("a", "1"), ("b", "22"), ("d", "")] {
            keys.change(&Change::Put(key.as_bytes(), value.as_bytes())).expect("put");
        }
        (db, keys)
    }

    fn next(range: &mut KeyRange) -> Option<String> {
        range.next_with(|key, _| String::from_utf8_lossy(key).into_owned()).expect("next")
    }

    fn all() -> Bounds {
        (Bound::Unbounded, Bound::Unbounded)
    }

    #[test]
    fn ranges_seek_in_both_directions_and_stay_within_their_bounds() {
        let (_db, keys) = three();
        let within = || (Bound::Excluded(b"a".to_vec()), Bound::Included(b"d".to_vec()));
        let mut forward = keys.range(within(), false).expect("range");
        for (key, wanted) in [("c", "d"), ("b", "b"), ("", "b"), ("a", "b"), ("d", "d")] {
            forward.seek(key.as_bytes()).expect("seek");
            assert_eq!(next(&mut forward).as_deref(), Some(wanted), "{key}");
        }
        forward.seek(b"e").expect("seek");
        assert_eq!(next(&mut forward), None);
        forward.seek(b"b").expect("seek after an end");
        assert_eq!(next(&mut forward).as_deref(), Some("b"));
        let mut backward = keys.range(within(), true).expect("range");
        for (key, wanted) in [("c", Some("b")), ("z", Some("d")), ("b", Some("b")), ("a", None), ("", None)] {
            backward.seek(key.as_bytes()).expect("seek");
            assert_eq!(next(&mut backward).as_deref(), wanted, "{key}");
        }
    }

    #[test]
    fn a_range_goes_on_behind_a_key_and_leaves_out_what_is_not_wanted() {
        let (_db, keys) = three();
        for (backward, key, wanted) in [(false, "a", Some("b")), (false, "d", None), (true, "d", Some("b"))] {
            let mut range = keys.range(all(), backward).expect("range");
            range.seek_behind(key.as_bytes()).expect("seek");
            assert_eq!(next(&mut range).as_deref(), wanted, "{key}");
        }
        let within = (Bound::Included(b"a".to_vec()), Bound::Included(b"d".to_vec()));
        for (backward, key, wanted) in [(false, "a", Some("b")), (true, "d", Some("b")), (false, "d", None)] {
            let mut range = keys.range(within.clone(), backward).expect("range");
            range.seek_behind(key.as_bytes()).expect("seek");
            assert_eq!(next(&mut range).as_deref(), wanted, "{key}, at a bound");
        }
        let (mut out, mut ends) = ([0; 8], [0; 8]);
        for (keys_too, values_too, wanted) in [(true, false, &b"abd"[..]), (false, true, b"122"), (false, false, b"")] {
            let mut range = keys.range(all(), false).expect("range");
            range.leave_out(!keys_too, !values_too);
            let filled = range.fill(&mut out, &mut ends).expect("fills");
            assert_eq!((filled.entries, &out[..filled.bytes]), (3, wanted));
        }
    }

    #[test]
    fn batches_lose_no_entry_that_does_not_fit() {
        let (_db, keys) = three();
        let mut range = keys.range(all(), false).expect("range");
        let (mut out, mut ends) = ([0; 4], [0; 8]);
        let filled = range.fill(&mut out, &mut ends).expect("fills");
        assert_eq!((filled, &ends[..2]), (FilledEntries { entries: 1, bytes: 2, ..Default::default() }, &[1, 2][..]));
        let filled = range.fill(&mut out[..1], &mut ends).expect("fills");
        assert_eq!(filled, FilledEntries { needed: 3, ..Default::default() });
        let filled = range.fill(&mut out, &mut ends).expect("fills");
        assert_eq!((filled.entries, filled.bytes, filled.ended, &ends[..4]), (2, 4, true, &[1, 3, 4, 4][..]));
        assert_eq!(&out, b"b22d");
    }

    #[test]
    fn what_is_taken_is_gone_and_what_is_there_stays() {
        let (db, keys) = three();
        assert_eq!((keys.take(b"b").expect("takes"), keys.take(b"b").expect("takes")), (Some(b"22".to_vec()), None));
        assert_eq!(keys.put_new(b"a", b"x").expect("is there"), Some(b"1".to_vec()));
        assert_eq!(keys.put_new(b"c", b"3").expect("puts"), None);
        assert_eq!(keys.count().expect("counts"), 3);
        assert_eq!(keys.end(false).expect("reads"), Some((b"a".to_vec(), b"1".to_vec())));
        assert_eq!(keys.end(true).expect("reads"), Some((b"d".to_vec(), Vec::new())));
        assert_eq!(keys.take_end(true).expect("takes"), Some((b"d".to_vec(), Vec::new())));
        assert_eq!(keys.take_end(false).expect("takes"), Some((b"a".to_vec(), b"1".to_vec())));
        let frozen = Keys::frozen(&db.snapshot().expect("snapshot"), "k").expect("frozen");
        assert_eq!(keys.take_end(false).expect("takes"), Some((b"c".to_vec(), b"3".to_vec())));
        assert_eq!(keys.take_end(false).expect("takes"), None);
        assert_eq!((keys.count().expect("counts"), frozen.count().expect("counts")), (0, 1));
        assert_eq!(frozen.take(b"c").expect_err("is frozen").code(), Error::ReadOnly.code());
    }

    #[test]
    fn a_transaction_sees_its_own_changes_and_its_range_stays_on_its_thread() {
        let (db, keys) = three();
        let tx = Tx::begin(&db).expect("begins");
        let own = Keys::within(tx, "k");
        own.change_all(&[Change::Delete(b"a"), Change::Put(b"c", b"3")]).expect("changes");
        let mut range = own.range(all(), false).expect("range");
        assert_eq!(next(&mut range).as_deref(), Some("b"));
        let moved = std::thread::spawn(move || (range.next_with(|_, _| ()).expect_err("wrong thread").code(), range));
        let (code, mut range) = moved.join().expect("no panic");
        assert_eq!(code, Error::WrongThread.code());
        assert_eq!(next(&mut range).as_deref(), Some("c"));
        assert!(keys.contains(b"a").expect("contains") && !own.contains(b"a").expect("contains"));
        tx.commit().expect("commits");
        assert_eq!(range.next_with(|_, _| ()).expect_err("ended").code(), Error::Closed.code());
        assert!(!keys.contains(b"a").expect("contains"));
    }
}
