//! Snapshots and scans.

use crate::database::{Lease, Shared};
use crate::document::{from_msgpack, Id, Key, RawDocument};
use crate::engine::scan::Scan as EngineScan;
use crate::engine::snapshots::Hold;
use crate::engine::state::{self, State, BATCH};
use crate::engine::trees::Kind;
use crate::engine::Engine;
use crate::error::Result;
use crate::events::Operation;
use crate::file::cache::Hold as PageHold;
use crate::hash::KeyHash;
use crate::keyspace::SnapshotKeyspace;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::sync::Arc;

/// The whole database as of one commit. It never changes; clones are the same snapshot. While one lives,
/// pages that it may read are not used again, so the file may grow; let it go when you are done.
///
/// With [`Options::snapshot_max_age_ms`](crate::Options::snapshot_max_age_ms) a snapshot that is older is ended by
/// the background threads: its reads give `SnapshotTooOld`. What it kept is given back then, unless documents were
/// borrowed from it (`get_raw`, `get_many_raw`): those stay as they are, and what they lie in is kept until the
/// snapshot and its clones are dropped.
#[derive(Clone)]
pub struct Snapshot {
    lease: Arc<Lease>,
    hold: Hold,
    commit: u64,
    /// Without a mapping: documents that were borrowed stay in memory.
    #[expect(dead_code, reason = "held for its drop")]
    pages: Option<Arc<PageHold>>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("commit", &self.commit).finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(crate) fn new(shared: &Arc<Shared>) -> Snapshot {
        let pages = shared.engine.pages.hold().map(Arc::new);
        let (lease, hold, commit) = Lease::new(shared);
        Snapshot { lease, hold, commit, pages }
    }

    /// One that is gone when the call ends that takes it.
    pub(crate) fn brief(shared: &Arc<Shared>) -> Snapshot {
        let pages = shared.engine.pages.hold().map(Arc::new);
        let (lease, hold, commit) = Lease::brief(shared);
        Snapshot { lease, hold, commit, pages }
    }

    /// The same for a scan, which holds on to one document at a time by itself.
    pub(crate) fn for_scan(&self) -> Snapshot {
        self.clone().into_scan()
    }

    /// See [`Snapshot::for_scan`].
    pub(crate) fn into_scan(self) -> Snapshot {
        Snapshot { pages: None, ..self }
    }

    /// The commit number that it shows.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.lease.shared().engine
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    /// A collection as of this snapshot; empty if there was none of that name.
    pub fn collection<T>(&self, name: &str) -> Result<SnapshotCollection<'_, T>> {
        self.engine().check_open()?;
        Ok(SnapshotCollection { snapshot: self, tree: self.tree_of(name)?, documents: PhantomData })
    }

    /// A keyspace as of this snapshot; empty if there was none of that name. Error: `OtherKind`.
    pub fn keyspace(&self, name: &str) -> Result<SnapshotKeyspace> {
        SnapshotKeyspace::named(self, name)
    }

    /// Names of the keyspaces, sorted.
    pub fn keyspace_names(&self) -> Result<Vec<String>> {
        self.engine().check_open()?;
        crate::database::names(self.engine(), &*self.hold.lend()?, self.commit, Kind::Keyspace)
    }

    /// Names of the collections, sorted.
    pub fn collection_names(&self) -> Result<Vec<String>> {
        self.engine().check_open()?;
        crate::database::names(self.engine(), &*self.hold.lend()?, self.commit, Kind::Collection)
    }
}

/// A collection as of a snapshot.
#[derive(Debug)]
pub struct SnapshotCollection<'s, T> {
    snapshot: &'s Snapshot,
    tree: Option<u32>,
    documents: PhantomData<fn() -> T>,
}

impl<T> Clone for SnapshotCollection<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SnapshotCollection<'_, T> {}

/// A collection as of a snapshot, together with the snapshot, from [`SnapshotCollection::to_owned`].
pub struct OwnedSnapshotCollection<T> {
    snapshot: Snapshot,
    tree: Option<u32>,
    documents: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for OwnedSnapshotCollection<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnedSnapshotCollection").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl<T> OwnedSnapshotCollection<T> {
    /// The collection, borrowed; costs nothing.
    #[inline]
    pub fn lend(&self) -> SnapshotCollection<'_, T> {
        SnapshotCollection { snapshot: &self.snapshot, tree: self.tree, documents: PhantomData }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl<'s, T> SnapshotCollection<'s, T> {
    /// The same with a clone of the snapshot, for keeping where a borrow can't be kept.
    pub fn to_owned(&self) -> OwnedSnapshotCollection<T> {
        OwnedSnapshotCollection { snapshot: self.snapshot.clone(), tree: self.tree, documents: PhantomData }
    }

    /// The document with this id, given to `read` without copying; `None` if there is none. Unlike
    /// [`get_raw`](SnapshotCollection::get_raw) it keeps nothing that the snapshot's end would have to spare.
    pub fn get_raw_with<R>(&self, id: impl Into<Id>, read: impl FnOnce(&RawDocument) -> R) -> Result<Option<R>> {
        self.snapshot.engine().check_open()?;
        let state = self.snapshot.hold.lend()?;
        Ok(self.look_up(&state, id.into())?.map(read))
    }

    /// The documents with these ids, in their order, given to `each` with their place and without copying, `None`
    /// where there is none.
    pub fn get_many_raw_with<I: Into<Id>>(
        &self,
        ids: impl IntoIterator<Item = I>,
        each: impl FnMut(usize, Option<&RawDocument>) -> Result<()>,
    ) -> Result<()> {
        let state = self.snapshot.hold.lend()?;
        self.look_up_many(&state, ids, each)
    }

    /// The document with this id, borrowed from the snapshot: no copy, no allocation for an integer id.
    /// The bytes come from the file; reading a field of them never panics, whatever they are.
    #[inline]
    pub fn get_raw(&self, id: impl Into<Id>) -> Result<Option<&'s RawDocument>> {
        let engine = self.snapshot.engine();
        engine.check_open()?;
        self.look_up(self.snapshot.hold.borrow()?, id.into())
    }

    /// The document with this id, which lives as long as the state does that is read.
    #[inline]
    fn look_up<'a>(&self, state: &'a State, id: Id) -> Result<Option<&'a RawDocument>>
    where
        's: 'a,
    {
        let engine = self.snapshot.engine();
        let Some(tree) = self.tree else { return id.key().map(|_| None) };
        let (pages, commit) = (&engine.pages, self.snapshot.commit);
        let start = engine.begin_get();
        let document = match id.natural() {
            Some(id) => state.document_by_integer(pages, commit, tree, id),
            None => state.document(pages, commit, tree, &id.key()?),
        }?;
        if let Some(start) = start {
            engine.tell_if_slow(Operation::Get, engine.time_get(start));
        }
        Ok(document.map(RawDocument::from_stored))
    }

    /// The documents with these ids, in their order, borrowed from the snapshot; given to `each` with its
    /// place, `None` where there is none.
    pub fn get_many_raw<I: Into<Id>>(
        &self,
        ids: impl IntoIterator<Item = I>,
        each: impl FnMut(usize, Option<&'s RawDocument>) -> Result<()>,
    ) -> Result<()> {
        self.look_up_many(self.snapshot.hold.borrow()?, ids, each)
    }

    fn look_up_many<'a, I: Into<Id>>(
        &self,
        state: &'a State,
        ids: impl IntoIterator<Item = I>,
        mut each: impl FnMut(usize, Option<&'a RawDocument>) -> Result<()>,
    ) -> Result<()>
    where
        's: 'a,
    {
        let engine = self.snapshot.engine();
        let meta = &state.meta;
        let mut ids = ids.into_iter();
        let mut place = 0;
        let mut keys: Vec<Key> = Vec::with_capacity(BATCH);
        let mut hashes = [KeyHash(0); BATCH];
        loop {
            keys.clear();
            for (hash, id) in hashes.iter_mut().zip(ids.by_ref()) {
                let id = id.into();
                let key = id.key()?;
                *hash = id.natural().map_or_else(|| state::hash_of(meta, &key), |id| state::hash_of_integer(meta, id));
                keys.push(key);
            }
            if keys.is_empty() {
                return Ok(());
            }
            engine.check_open()?;
            engine.meter.count_ids(keys.len());
            let Some(tree) = self.tree else {
                for _ in 0..keys.len() {
                    each(place, None)?;
                    place += 1;
                }
                continue;
            };
            let hashes = &hashes[..keys.len()];
            state.get_batch(&engine.pages, self.snapshot.commit, tree, &keys, hashes, |found| {
                let document = found.map(|found| state::document(&engine.pages, &found)).transpose()?;
                each(place, document.map(RawDocument::from_stored))?;
                place += 1;
                Ok(())
            })?;
        }
    }

    /// All documents, in the order they were last written.
    pub fn scan(&self) -> Scan<T> {
        self.scan_after(0)
    }

    /// The documents after the one whose [token](Scan::token) this is.
    pub fn scan_after(&self, token: u64) -> Scan<T> {
        Scan::over(self.snapshot, self.tree, token)
    }

    /// The number of documents, exact.
    pub fn count_documents(&self) -> Result<u64> {
        let engine = self.snapshot.engine();
        engine.check_open()?;
        match self.tree {
            Some(tree) => self.snapshot.hold.lend()?.count(&engine.pages, self.snapshot.commit, tree),
            None => Ok(0),
        }
    }
}

impl<T: DeserializeOwned> SnapshotCollection<'_, T> {
    /// The document with this id.
    pub fn get(&self, id: impl Into<Id>) -> Result<Option<T>> {
        self.snapshot.engine().check_open()?;
        let state = self.snapshot.hold.lend()?;
        self.look_up(&state, id.into())?.map(|document| from_msgpack(document.as_bytes())).transpose()
    }

    /// The documents with these ids, in their order, `None` for each that is not there.
    pub fn get_many<I: Into<Id>>(&self, ids: impl IntoIterator<Item = I>) -> Result<Vec<Option<T>>> {
        let mut documents = Vec::new();
        let state = self.snapshot.hold.lend()?;
        self.look_up_many(&state, ids, |_, document| {
            documents.push(document.map(|document| from_msgpack(document.as_bytes())).transpose()?);
            Ok(())
        })?;
        Ok(documents)
    }
}

/// Documents of a scan that are counted together.
const COUNTED_TOGETHER: u64 = 1024;

/// A full scan: an iterator that holds its own snapshot, and one block at a time.
///
/// It ends after its first error. One of them is `SnapshotTooOld`, where snapshots have a largest age: go on with
/// `scan_after` and the [token](Scan::token) then.
pub struct Scan<T> {
    inner: Option<EngineScan>,
    pages: Option<PageHold>,
    snapshot: Snapshot,
    /// Where the snapshot may be ended: what the document lies in that was given last.
    lent: Option<Arc<State>>,
    token: u64,
    /// Documents given that were not counted yet.
    uncounted: u64,
    documents: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Scan<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("token", &self.token).finish_non_exhaustive()
    }
}

impl<T> Scan<T> {
    pub(crate) fn new(snapshot: &Snapshot, name: &str, token: u64) -> Result<Scan<T>> {
        let tree = snapshot.tree_of(name)?;
        Ok(Scan::over(snapshot, tree, token))
    }

    fn over(snapshot: &Snapshot, tree: Option<u32>, token: u64) -> Scan<T> {
        let inner = tree.map(|tree| EngineScan::new(tree, snapshot.commit, token));
        let pages = snapshot.engine().pages.hold();
        let snapshot = snapshot.for_scan();
        Scan { inner, pages, snapshot, lent: None, token, uncounted: 0, documents: PhantomData }
    }

    /// Where the scan is: give it to `scan_after`, now or after reopening, to go on behind the last
    /// document returned.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// The next document without copying it.
    pub fn next_raw(&mut self) -> Result<Option<&RawDocument>> {
        let Some(inner) = &mut self.inner else { return Ok(None) };
        let engine = &self.snapshot.lease.shared().engine;
        let state: &State = match (engine.check_open(), &self.snapshot.hold) {
            (Ok(()), Hold::Free(state)) => state,
            (Ok(()), Hold::Limited(limited)) => match limited.lend() {
                Ok(state) => self.lent.insert(state),
                Err(e) => {
                    (self.inner, self.lent) = (None, None);
                    return Err(e);
                }
            },
            (Err(e), _) => {
                self.inner = None;
                return Err(e);
            }
        };
        // The document before is not looked at any more.
        self.pages.iter_mut().for_each(PageHold::renew);
        match inner.next(state, &engine.pages)? {
            Some(item) => {
                self.token = item.ordinal;
                self.uncounted += 1;
                if self.uncounted == COUNTED_TOGETHER {
                    engine.meter.count_scanned(std::mem::take(&mut self.uncounted));
                }
                let document = state::document(&engine.pages, &item.found)?;
                Ok(Some(RawDocument::from_stored(document)))
            }
            None => {
                (self.inner, self.pages) = (None, None);
                Ok(None)
            }
        }
    }
}

impl<T> Drop for Scan<T> {
    fn drop(&mut self) {
        self.snapshot.engine().meter.count_scanned(self.uncounted);
    }
}

impl<T: DeserializeOwned> Iterator for Scan<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let item = match self.next_raw() {
            Ok(None) => None,
            Ok(Some(document)) => Some(from_msgpack(document.as_bytes())),
            Err(e) => Some(Err(e)),
        };
        // The document was copied.
        self.lent = None;
        if let Some(Err(_)) = item {
            self.inner = None;
        }
        item
    }
}

impl<T: DeserializeOwned> std::iter::FusedIterator for Scan<T> {}
