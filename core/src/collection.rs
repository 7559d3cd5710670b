//! Collections as users see them: documents by id.

use crate::database::Database;
#[cfg(feature = "bindings")]
use crate::document::canonical::prepare_well_formed;
use crate::document::canonical::{prepare, with_integer_id, with_key, Prepared};
use crate::document::{from_msgpack, to_msgpack, Id, RawDocument};
use crate::engine::published::Pin;
use crate::engine::state::{self, State};
use crate::engine::transaction::Transaction;
use crate::engine::trees;
use crate::error::{Error, Result};
use crate::events::Operation;
use crate::hash::KeyHash;
use crate::name::{resolve, Name};
use crate::record::key::key_of;
use crate::snapshot::{Scan, Snapshot};
use serde::de::DeserializeOwned;
use serde::Serialize;
use std::borrow::Cow;
use std::cell::RefCell;
use std::marker::PhantomData;

/// Buffers kept for the next document, up to this size in bytes.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

/// Ids that room is made for at once.
const KEPT_IDS: usize = 1 << 16;

/// A collection of documents of type `T`, found by `_id` in constant time.
///
/// The handle is a name: cheap to make and to clone, `Send + Sync`. It stays valid when the collection is
/// dropped or renamed: it then means whatever bears the name. Reading methods never block. Writing
/// methods are a transaction each: they wait for the writer's turn and, under
/// [`Durability::Sync`](crate::Durability::Sync), for the disk.
pub struct Collection<T> {
    db: Database,
    name: Name,
    documents: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Collection { db: self.db.clone(), name: self.name.clone(), documents: PhantomData }
    }
}

impl<T> std::fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collection").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What [`Collection::insert_one`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InsertOneResult {
    /// The document's id, given or assigned.
    pub inserted_id: Id,
}

/// What [`Collection::insert_many`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InsertManyResult {
    /// The documents' ids, in the order they came.
    pub inserted_ids: Vec<Id>,
}

/// How [`Collection::insert_many_with`] goes on after a document that can't be inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InsertManyOptions {
    /// Stop at the first failure and keep what came before it (true, the default), or insert all but the
    /// failures.
    pub ordered: bool,
    /// Keep nothing if any document fails. Default: false.
    pub atomic: bool,
}

impl Default for InsertManyOptions {
    fn default() -> Self {
        InsertManyOptions { ordered: true, atomic: false }
    }
}

impl<T> Collection<T> {
    pub(crate) fn new(db: Database, name: &str) -> Collection<T> {
        Collection { db, name: Name::new(name, trees::Kind::Collection), documents: PhantomData }
    }

    /// The collection's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes of the document with this id, given to `read` without copying; `None` if there is none.
    pub fn get_raw_with<R>(&self, id: impl Into<Id>, read: impl FnOnce(&RawDocument) -> R) -> Result<Option<R>> {
        let id = id.into();
        let natural = id.natural();
        let key = natural.is_none().then(|| id.key()).transpose()?;
        let engine = self.db.open_engine()?;
        let start = engine.begin_get();
        let pin = engine.pin_open()?;
        let (pages, commit) = (&engine.pages, pin.commit());
        let document = match (self.name.tree(engine, &pin, commit)?, natural, &key) {
            (None, ..) => None,
            (Some(tree), Some(id), _) => pin.document_by_integer(pages, commit, tree, id)?,
            (Some(tree), None, key) => pin.document(pages, commit, tree, key.as_deref().unwrap_or_default())?,
        };
        let Some(start) = start else { return Ok(document.map(|document| read(RawDocument::from_stored(document)))) };
        let took = engine.time_get(start);
        let result = document.map(|document| read(RawDocument::from_stored(document)));
        drop(pin);
        engine.tell_if_slow(Operation::Get, took);
        Ok(result)
    }

    /// True if there is a document with this id.
    pub fn contains(&self, id: impl Into<Id>) -> Result<bool> {
        Ok(self.get_raw_with(id, |_| ())?.is_some())
    }

    /// The number of documents, exact.
    pub fn count_documents(&self) -> Result<u64> {
        let engine = self.db.open_engine()?;
        let pin = engine.pin_open()?;
        match self.name.tree(engine, &pin, pin.commit())? {
            Some(tree) => pin.count(&engine.pages, pin.commit(), tree),
            None => Ok(0),
        }
    }

    /// The number of documents. Here it is as exact, and as cheap, as [`Collection::count_documents`].
    pub fn estimated_document_count(&self) -> Result<u64> {
        self.count_documents()
    }

    /// Deletes the document with this id; false if there is none.
    pub fn delete(&self, id: impl Into<Id>) -> Result<bool> {
        let key = id.into().key()?;
        self.db.write_one(|tx| match tx.resolve(&self.name)? {
            Some(tree) => tx.delete(tree, &key),
            None => Ok(false),
        })
    }

    /// Inserts the document, or replaces the one with its `_id`. For bytes that are already MessagePack.
    pub fn put_raw(&self, document: &RawDocument) -> Result<Id> {
        self.put_bytes(document.as_bytes())
    }

    /// All documents as of now, in the order they were last written.
    pub fn scan(&self) -> Result<Scan<T>> {
        self.scan_after(0)
    }

    /// The documents after the one whose [token](Scan::token) this is. What has not changed since comes
    /// exactly once; what was written since comes (again) at the end; nothing is missed.
    pub fn scan_after(&self, token: u64) -> Result<Scan<T>> {
        let snapshot = self.db.snapshot()?;
        Scan::new(&snapshot, &self.name, token)
    }

    /// [`Collection::insert_one`] for bytes that are already MessagePack.
    pub fn insert_one_raw(&self, document: &RawDocument) -> Result<InsertOneResult> {
        self.insert_bytes(document.as_bytes())
    }

    /// [`Collection::replace_one`] for bytes that are already MessagePack.
    pub fn replace_one_raw(&self, id: impl Into<Id>, document: &RawDocument) -> Result<bool> {
        self.replace_bytes(&id.into().key()?, document.as_bytes())
    }

    /// The documents with these ids, in their order, given to `each` with their place and without copying, `None` for
    /// each that is not there; all as of one commit.
    pub fn get_many_raw_with<I: Into<Id>>(
        &self,
        ids: impl IntoIterator<Item = I>,
        each: impl FnMut(usize, Option<&RawDocument>) -> Result<()>,
    ) -> Result<()> {
        self.db.open_engine()?;
        Snapshot::brief(self.db.shared()).collection::<T>(&self.name)?.get_many_raw_with(ids, each)
    }

    fn insert_bytes(&self, bytes: &[u8]) -> Result<InsertOneResult> {
        let ready = Ready::new(bytes, self.db.shared().max_document_bytes)?;
        let inserted_id = self.db.write_one(|tx| {
            let tree = self.name.tree_for_writing(tx)?;
            insert_ready(tx, tree, &self.name, &ready)
        })?;
        Ok(InsertOneResult { inserted_id })
    }

    fn replace_bytes(&self, key: &[u8], bytes: &[u8]) -> Result<bool> {
        // What the change will touch is on its way while the document is looked at.
        let ahead = self.ask_for(key);
        let document = key_for_replace(key, bytes, self.db.shared().max_document_bytes)?;
        let hash = ahead.map(|(pin, tree, hash)| {
            let pages = &self.db.engine().pages;
            let _hold = pages.hold();
            pin.prefetch_record(pages, tree, hash);
            hash
        });
        self.db.write_one(|tx| match tx.resolve(&self.name)? {
            Some(tree) => tx.replace(tree, &document, hash),
            None => Ok(false),
        })
    }

    /// Asks for the memory that a change of the document with this key will touch; a hint. Gives the state that was
    /// looked at, the tree, and the hash.
    fn ask_for(&self, key: &[u8]) -> Option<(Pin<'_, State>, u32, KeyHash)> {
        let engine = self.db.open_engine().ok()?;
        let _hold = engine.pages.hold();
        let pin = engine.pin_open().ok()?;
        let tree = self.name.tree(engine, &pin, pin.commit()).ok()??;
        let hash = state::hash_of(&pin.meta, key);
        pin.prefetch_tip(&engine.pages, tree, hash);
        Some((pin, tree, hash))
    }

    fn put_bytes(&self, bytes: &[u8]) -> Result<Id> {
        let ready = Ready::new(bytes, self.db.shared().max_document_bytes)?;
        self.db.write_one(|tx| {
            let tree = self.name.tree_for_writing(tx)?;
            put_ready(tx, tree, &self.name, &ready)
        })
    }

    /// [`Collection::insert_many`] for bytes that are already MessagePack.
    pub fn insert_many_raw<'d>(
        &self,
        documents: impl IntoIterator<Item = &'d RawDocument>,
        options: InsertManyOptions,
    ) -> Result<InsertManyResult> {
        let documents = documents.into_iter().map(|document| Ok(Cow::Borrowed(document.as_bytes())));
        self.insert_all(documents, options, prepare)
    }

    /// [`Collection::put_many`] for bytes that are already MessagePack.
    pub fn put_many_raw<'d>(&self, documents: impl IntoIterator<Item = &'d RawDocument>) -> Result<Vec<Id>> {
        let documents = documents.into_iter().map(|document| Ok(Cow::Borrowed(document.as_bytes())));
        self.put_all(documents)
    }

    /// [`Collection::insert_many_raw`] without validation, for the bindings: the documents come from an encoder that
    /// makes only well-formed ones. Others would be stored and fail when they are read.
    #[cfg(feature = "bindings")]
    #[doc(hidden)]
    pub fn insert_many_well_formed<'d>(
        &self,
        documents: impl IntoIterator<Item = &'d RawDocument>,
        options: InsertManyOptions,
    ) -> Result<InsertManyResult> {
        let documents = documents.into_iter().map(|document| Ok(Cow::Borrowed(document.as_bytes())));
        self.insert_all(documents, options, prepare_well_formed)
    }

    /// Inserts in one transaction. What fails is told by its place among `documents`.
    fn insert_all<'d>(
        &self,
        documents: impl Iterator<Item = Result<Cow<'d, [u8]>>>,
        options: InsertManyOptions,
        prepare: impl Fn(&[u8], usize) -> Result<Prepared<'_>>,
    ) -> Result<InsertManyResult> {
        let mut failures = Vec::new();
        let inserted_ids = self.write_all(documents, prepare, |tx, tree, window, ids| {
            for (place, document) in window {
                let done = document.and_then(|ready| insert_ready(tx, tree, &self.name, &ready));
                match done {
                    Ok(id) => ids.push(id),
                    // Nothing can be kept of a transaction that grew too large.
                    Err(e @ Error::TransactionTooLarge { .. }) => return Err(e),
                    Err(e) if e.code() / 100 == 2 && !options.atomic => {
                        failures.push((place as u64, e));
                        if options.ordered {
                            return Ok(false);
                        }
                    }
                    Err(e) => return Err(e),
                }
            }
            Ok(true)
        })?;
        if failures.is_empty() {
            return Ok(InsertManyResult { inserted_ids });
        }
        Err(Error::BulkWrite { inserted: inserted_ids.len() as u64, failures })
    }

    /// Puts all or none, in one transaction.
    fn put_all<'d>(&self, documents: impl Iterator<Item = Result<Cow<'d, [u8]>>>) -> Result<Vec<Id>> {
        self.write_all(documents, prepare, |tx, tree, window, ids| {
            for (_, document) in &window {
                if let Ok(Ready { hash: Some(hash), .. }) = document {
                    tx.prefetch_record(tree, *hash);
                }
            }
            for (_, document) in window {
                let ready = document?;
                ids.push(put_ready(tx, tree, &self.name, &ready)?);
            }
            Ok(true)
        })
    }

    /// Gives documents to `store` in one transaction, some at a time: all of them are looked at before the first is
    /// stored, so that their cache misses overlap. `store` adds their ids, and says whether to go on.
    fn write_all<'d>(
        &self,
        documents: impl Iterator<Item = Result<Cow<'d, [u8]>>>,
        prepare: impl Fn(&[u8], usize) -> Result<Prepared<'_>>,
        mut store: impl FnMut(&mut Transaction<'_>, u32, Vec<(usize, Result<Ready<'_>>)>, &mut Vec<Id>) -> Result<bool>,
    ) -> Result<Vec<Id>> {
        let limit = self.db.shared().max_document_bytes;
        self.db.write_one(|tx| {
            let tree = self.name.tree_for_writing(tx)?;
            let mut documents = documents.enumerate();
            let mut ids = Vec::with_capacity(documents.size_hint().0.min(KEPT_IDS));
            let mut window = Vec::with_capacity(state::BATCH);
            loop {
                window.clear();
                window.extend(documents.by_ref().take(state::BATCH));
                if window.is_empty() {
                    return Ok(ids);
                }
                let ready = window.iter().map(|(place, document): &(usize, Result<Cow<'_, [u8]>>)| {
                    let ready = document.as_deref().map_err(Clone::clone).and_then(|bytes| {
                        let prepared = prepare(bytes, limit)?;
                        let hash = prepared.key().map(|key| tx.prefetch(tree, key));
                        Ok(Ready { bytes, prepared, hash })
                    });
                    (*place, ready)
                });
                let ready = ready.collect();
                if !store(tx, tree, ready, &mut ids)? {
                    return Ok(ids);
                }
            }
        })
    }
}

/// A document that was looked at.
struct Ready<'d> {
    bytes: &'d [u8],
    prepared: Prepared<'d>,
    /// Of its key, if it has one; the memory that storing it touches was asked for.
    hash: Option<KeyHash>,
}

impl<'d> Ready<'d> {
    /// Validates; nothing is asked for.
    fn new(bytes: &'d [u8], limit: usize) -> Result<Ready<'d>> {
        Ok(Ready { bytes, prepared: prepare(bytes, limit)?, hash: None })
    }
}

impl<T: Serialize> Collection<T> {
    /// Inserts the document, or replaces the one with its `_id`; assigns the next integer `_id` if it has
    /// none. Returns the id.
    ///
    /// Errors: 2xx if the document can't be stored; nothing was changed.
    pub fn put(&self, document: &T) -> Result<Id> {
        with_bytes(document, |bytes| self.put_bytes(bytes))
    }

    /// [`Collection::put`] of many documents in one transaction, and faster than as many calls: their cache misses
    /// overlap. All or none; of documents with the same `_id` the last one stays. Returns the ids.
    ///
    /// Errors: as for `put`, of the first document that fails; nothing was changed.
    pub fn put_many<'d>(&self, documents: impl IntoIterator<Item = &'d T>) -> Result<Vec<Id>>
    where
        T: 'd,
    {
        self.put_all(documents.into_iter().map(encoded))
    }

    /// Inserts a document; assigns the next integer `_id` if it has none. Error: `DuplicateId`.
    pub fn insert_one(&self, document: &T) -> Result<InsertOneResult> {
        with_bytes(document, |bytes| self.insert_bytes(bytes))
    }

    /// Inserts documents in one transaction. It stops at the first that fails and keeps those before it,
    /// as MongoDB does; the error `BulkWrite` says how many that are.
    pub fn insert_many<'d>(&self, documents: impl IntoIterator<Item = &'d T>) -> Result<InsertManyResult>
    where
        T: 'd,
    {
        self.insert_many_with(documents, InsertManyOptions::default())
    }

    /// [`Collection::insert_many`] with options.
    pub fn insert_many_with<'d>(
        &self,
        documents: impl IntoIterator<Item = &'d T>,
        options: InsertManyOptions,
    ) -> Result<InsertManyResult>
    where
        T: 'd,
    {
        self.insert_all(documents.into_iter().map(encoded), options, prepare)
    }

    /// Replaces the document with this id; false, and nothing changed, if there is none. The new document
    /// may leave out its `_id`; another one than `id` is the error `InvalidId`.
    pub fn replace_one(&self, id: impl Into<Id>, document: &T) -> Result<bool> {
        let key = id.into().key()?;
        with_bytes(document, |bytes| self.replace_bytes(&key, bytes))
    }
}

impl<T: DeserializeOwned> Collection<T> {
    /// The document with this id. Never blocks; allocates what `T` does.
    pub fn get(&self, id: impl Into<Id>) -> Result<Option<T>> {
        self.get_raw_with(id, |document| from_msgpack(document.as_bytes()))?.transpose()
    }

    /// The documents with these ids, in their order, `None` for each that is not there; all as of one
    /// commit. Faster than so many calls of `get`: their cache misses overlap.
    pub fn get_many<I: Into<Id>>(&self, ids: impl IntoIterator<Item = I>) -> Result<Vec<Option<T>>> {
        self.db.open_engine()?;
        Snapshot::brief(self.db.shared()).collection::<T>(&self.name)?.get_many(ids)
    }
}

/// Calls `f` with the MessagePack of a value, in a buffer that the thread uses again.
pub(crate) fn with_bytes<T: Serialize, R>(document: &T, f: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // While the thread ends there may be none kept any more.
    let mut buffer = BUFFER.try_with(RefCell::take).unwrap_or_default();
    buffer.clear();
    let result = to_msgpack(document, &mut buffer).and_then(|()| f(&buffer));
    if buffer.capacity() <= KEPT_BUFFER_BYTES {
        let _ = BUFFER.try_with(|kept| kept.replace(buffer));
    }
    result
}

fn encoded<'d, T: Serialize>(document: &T) -> Result<Cow<'d, [u8]>> {
    let mut bytes = Vec::new();
    to_msgpack(document, &mut bytes)?;
    Ok(Cow::Owned(bytes))
}

fn id_of(document: &[u8]) -> Result<Id> {
    let id = key_of(document).and_then(Id::from_key);
    id.ok_or_else(|| Error::Internal("a stored document without an id".to_owned()))
}

/// The document with its id, assigned if it has none.
fn complete<'d>(tx: &mut Transaction<'_>, tree: u32, name: &str, ready: &'d Ready<'_>) -> Result<Cow<'d, [u8]>> {
    Ok(match &ready.prepared {
        Prepared::AsIs(bytes) => Cow::Borrowed(bytes),
        Prepared::Rewritten(bytes) => Cow::Borrowed(bytes),
        Prepared::MissingId => {
            let mut document = Vec::with_capacity(ready.bytes.len() + 16);
            with_integer_id(ready.bytes, tx.next_id(tree, name)?, &mut document)?;
            Cow::Owned(document)
        }
    })
}

fn put_ready(tx: &mut Transaction<'_>, tree: u32, name: &str, ready: &Ready<'_>) -> Result<Id> {
    let document = complete(tx, tree, name, ready)?;
    tx.put(tree, &document, ready.hash)?;
    id_of(&document)
}

fn insert_ready(tx: &mut Transaction<'_>, tree: u32, name: &str, ready: &Ready<'_>) -> Result<Id> {
    let document = complete(tx, tree, name, ready)?;
    let id = id_of(&document)?;
    if tx.insert(tree, &document, ready.hash)? {
        return Ok(id);
    }
    Err(Error::DuplicateId { collection: name.to_owned(), id: id.to_string() })
}

/// Validates and puts. The collection is made only for a document that can be stored.
pub(crate) fn put(tx: &mut Transaction<'_>, name: &str, bytes: &[u8], limit: usize) -> Result<Id> {
    let ready = Ready::new(bytes, limit)?;
    let tree = tx.resolve_or_create(name)?;
    put_ready(tx, tree, name, &ready)
}

/// Validates and inserts, as [`put`] does.
pub(crate) fn insert(tx: &mut Transaction<'_>, name: &str, bytes: &[u8], limit: usize) -> Result<Id> {
    let ready = Ready::new(bytes, limit)?;
    let tree = tx.resolve_or_create(name)?;
    insert_ready(tx, tree, name, &ready)
}

/// The stored form of a document that replaces the one with `key`.
pub(crate) fn key_for_replace<'d>(key: &[u8], bytes: &'d [u8], limit: usize) -> Result<Cow<'d, [u8]>> {
    let document = match prepare(bytes, limit)? {
        Prepared::AsIs(bytes) => Cow::Borrowed(bytes),
        Prepared::Rewritten(bytes) => Cow::Owned(bytes),
        Prepared::MissingId => {
            let mut document = Vec::with_capacity(bytes.len() + key.len() + 8);
            with_key(bytes, key, &mut document)?;
            Cow::Owned(document)
        }
    };
    if key_of(&document) != Some(key) {
        return Err(Error::InvalidId("the document's _id is not the id to replace; _id never changes".to_owned()));
    }
    Ok(document)
}

impl Snapshot {
    /// A snapshot's view of a database's collection; see [`Snapshot::collection`].
    pub(crate) fn tree_of(&self, name: &str) -> Result<Option<u32>> {
        resolve(self.engine(), &*self.hold().lend()?, self.commit(), (name, trees::Kind::Collection))
    }
}
