//! Write transactions as users see them.
//!
//! ```text
//!   Database::write(|tx| ..)      commits when the closure returns Ok       Transaction<'_>
//!   Database::begin()             commit() or rollback() end it             OwnedTransaction: the same, with the
//!                                                                           database that it borrows from
//! ```

use crate::collection::{self, key_for_replace};
use crate::database::Database;
use crate::document::{from_msgpack, Id, RawDocument, RawDocumentBuf};
use crate::engine::transaction::Transaction as Inner;
use crate::engine::trees::Kind;
use crate::error::{Error, Result};
use crate::keyspace::TransactionKeyspace;
use serde::de::DeserializeOwned;
use serde::Serialize;
use std::cell::RefCell;
use std::marker::PhantomData;

/// A write transaction, given to the closure of [`Database::write`](crate::Database::write).
pub struct Transaction<'e> {
    inner: RefCell<Inner<'e>>,
    max_document_bytes: usize,
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

impl<'e> Transaction<'e> {
    pub(crate) fn new(inner: Inner<'e>, max_document_bytes: usize) -> Transaction<'e> {
        Transaction { inner: RefCell::new(inner), max_document_bytes }
    }

    pub(crate) fn inner(&self) -> &RefCell<Inner<'e>> {
        &self.inner
    }

    pub(crate) fn max_document_bytes(&self) -> usize {
        self.max_document_bytes
    }

    /// A keyspace inside this transaction.
    pub fn keyspace(&self, name: &str) -> TransactionKeyspace<'_, 'e> {
        TransactionKeyspace::new(self, name)
    }

    /// Drops a keyspace with all its keys; false if there is none.
    pub fn drop_keyspace(&self, name: &str) -> Result<bool> {
        self.inner.borrow_mut().drop_named(name, Kind::Keyspace)
    }

    /// Gives a keyspace another name. Errors: `CollectionNotFound`, `CollectionExists`, `OtherKind`.
    pub fn rename_keyspace(&self, from: &str, to: &str) -> Result<()> {
        self.inner.borrow_mut().rename(from, to, Kind::Keyspace)
    }

    pub(crate) fn into_engine(self) -> Inner<'e> {
        self.inner.into_inner()
    }

    /// A collection inside this transaction.
    pub fn collection<T>(&self, name: &str) -> TransactionCollection<'_, 'e, T> {
        TransactionCollection { tx: self, name: name.to_owned(), documents: PhantomData }
    }

    /// Makes an empty collection. Error: `CollectionExists`.
    pub fn create_collection(&self, name: &str) -> Result<()> {
        let mut inner = self.inner.borrow_mut();
        match inner.resolve(name)? {
            Some(_) => Err(Error::CollectionExists(name.to_owned())),
            None => inner.create(name, Kind::Collection).map(|_| ()),
        }
    }

    /// Gives a collection another name. Errors: `CollectionNotFound`, `CollectionExists`.
    pub fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        self.inner.borrow_mut().rename(from, to, Kind::Collection)
    }

    /// Drops a collection; false if there is none.
    pub fn drop_collection(&self, name: &str) -> Result<bool> {
        self.inner.borrow_mut().drop_named(name, Kind::Collection)
    }
}

/// A collection inside a write transaction. What it reads are the newest documents, the transaction's own
/// writes included. Nothing is visible outside before the commit.
#[derive(Debug)]
pub struct TransactionCollection<'t, 'e, T> {
    tx: &'t Transaction<'e>,
    name: String,
    documents: PhantomData<fn() -> T>,
}

impl<T> TransactionCollection<'_, '_, T> {
    /// The stored bytes of the document with this id.
    pub fn get_raw(&self, id: impl Into<Id>) -> Result<Option<RawDocumentBuf>> {
        let key = id.into().key()?;
        let mut inner = self.tx.inner.borrow_mut();
        let Some(tree) = inner.resolve(&self.name)? else { return Ok(None) };
        Ok(inner.get(tree, &key)?.map(RawDocumentBuf::from_stored))
    }

    /// [`TransactionCollection::put`] for bytes that are already MessagePack.
    pub fn put_raw(&self, document: &RawDocument) -> Result<Id> {
        let mut inner = self.tx.inner.borrow_mut();
        collection::put(&mut inner, &self.name, document.as_bytes(), self.tx.max_document_bytes)
    }

    /// [`TransactionCollection::insert_one`] for bytes that are already MessagePack.
    pub fn insert_one_raw(&self, document: &RawDocument) -> Result<Id> {
        let mut inner = self.tx.inner.borrow_mut();
        collection::insert(&mut inner, &self.name, document.as_bytes(), self.tx.max_document_bytes)
    }

    /// [`TransactionCollection::replace_one`] for bytes that are already MessagePack.
    pub fn replace_one_raw(&self, id: impl Into<Id>, document: &RawDocument) -> Result<bool> {
        let key = id.into().key()?;
        let document = key_for_replace(&key, document.as_bytes(), self.tx.max_document_bytes)?;
        let mut inner = self.tx.inner.borrow_mut();
        match inner.resolve(&self.name)? {
            Some(tree) => inner.replace(tree, &document, None),
            None => Ok(false),
        }
    }

    /// True if there is a document with this id.
    pub fn contains(&self, id: impl Into<Id>) -> Result<bool> {
        let key = id.into().key()?;
        let mut inner = self.tx.inner.borrow_mut();
        match inner.resolve(&self.name)? {
            Some(tree) => inner.contains(tree, &key),
            None => Ok(false),
        }
    }

    /// Deletes the document with this id; false if there is none.
    pub fn delete(&self, id: impl Into<Id>) -> Result<bool> {
        let key = id.into().key()?;
        let mut inner = self.tx.inner.borrow_mut();
        match inner.resolve(&self.name)? {
            Some(tree) => inner.delete(tree, &key),
            None => Ok(false),
        }
    }
}

impl<T: Serialize + DeserializeOwned> TransactionCollection<'_, '_, T> {
    /// The document with this id.
    pub fn get(&self, id: impl Into<Id>) -> Result<Option<T>> {
        self.get_raw(id)?.map(|document| from_msgpack(document.as_bytes())).transpose()
    }

    /// Inserts the document, or replaces the one with its `_id`; assigns an `_id` if it has none.
    pub fn put(&self, document: &T) -> Result<Id> {
        collection::with_bytes(document, |bytes| {
            let mut inner = self.tx.inner.borrow_mut();
            collection::put(&mut inner, &self.name, bytes, self.tx.max_document_bytes)
        })
    }

    /// Inserts the document. Error: `DuplicateId`; the transaction goes on and may still commit.
    pub fn insert_one(&self, document: &T) -> Result<Id> {
        collection::with_bytes(document, |bytes| {
            let mut inner = self.tx.inner.borrow_mut();
            collection::insert(&mut inner, &self.name, bytes, self.tx.max_document_bytes)
        })
    }

    /// Replaces the document with this id; false if there is none.
    pub fn replace_one(&self, id: impl Into<Id>, document: &T) -> Result<bool> {
        let key = id.into().key()?;
        collection::with_bytes(document, |bytes| {
            let document = key_for_replace(&key, bytes, self.tx.max_document_bytes)?;
            let mut inner = self.tx.inner.borrow_mut();
            match inner.resolve(&self.name)? {
                Some(tree) => inner.replace(tree, &document, None),
                None => Ok(false),
            }
        })
    }
}

/// A write transaction that is ended by a call, from [`Database::begin`].
///
/// It is begun and used by one thread. Dropped without [`commit`](OwnedTransaction::commit) it is rolled back.
pub struct OwnedTransaction {
    /// Declared before `db`, so that it is dropped before what it borrows from.
    tx: Transaction<'static>,
    db: Database,
}

impl std::fmt::Debug for OwnedTransaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnedTransaction").field("db", &self.db).finish_non_exhaustive()
    }
}

impl std::ops::Deref for OwnedTransaction {
    type Target = Transaction<'static>;

    fn deref(&self) -> &Transaction<'static> {
        &self.tx
    }
}

impl OwnedTransaction {
    pub(crate) fn begin(db: Database) -> Result<OwnedTransaction> {
        let shared = db.shared();
        let inner = db.open_engine()?.begin()?;
        // SAFETY: what `inner` borrows is the engine that `shared` holds in an `Arc`, so it stays where it is for as
        // long as `db` does. `db` stands beside it, is dropped after it, and never changes; and nothing that has the
        // lifetime of the borrow is handed out: documents are copied, collections borrow this transaction.
        let inner = unsafe { std::mem::transmute::<Inner<'_>, Inner<'static>>(inner) };
        Ok(OwnedTransaction { tx: Transaction::new(inner, shared.max_document_bytes), db })
    }

    /// Commits and gives the commit number. Blocks until the commit is durable under
    /// [`Durability::Sync`](crate::Durability::Sync). After an error nothing was changed, except after
    /// `OutcomeUnknown`.
    pub fn commit(self) -> Result<u64> {
        let OwnedTransaction { tx, db } = self;
        Ok(db.engine().acknowledge(tx.into_engine())?.commit)
    }

    /// Ends the transaction without a trace. Blocks, under [`Durability::Sync`](crate::Durability::Sync), until the
    /// state that it has read is durable, since its caller may tell of it.
    pub fn rollback(self) -> Result<()> {
        let OwnedTransaction { tx, db } = self;
        db.engine().wait(tx.into_engine().roll_back())
    }
}
