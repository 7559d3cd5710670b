//! A collection: as it is, or as of a snapshot.

use crate::cursor::Cursor;
use nyro::{
    Collection, Database, Document, Error, Id, InsertManyOptions, InsertManyResult, OwnedSnapshotCollection,
    RawDocument, Result, Snapshot,
};

/// A collection of documents as MessagePack bytes. Reading works on both kinds; writing to a snapshot's is the
/// error `ReadOnly`.
#[derive(Debug)]
pub enum Coll {
    /// As it is: each read sees the newest commit.
    Live(Collection<Document>),
    /// As of a snapshot, which it keeps alive.
    Frozen(OwnedSnapshotCollection<Document>),
}

impl Coll {
    /// The collection of that name; a bad name is an error of its first call.
    pub fn live(db: &Database, name: &str) -> Coll {
        Coll::Live(db.collection(name))
    }

    /// The collection as of a snapshot.
    pub fn frozen(snapshot: &Snapshot, name: &str) -> Result<Coll> {
        Ok(Coll::Frozen(snapshot.collection(name)?.to_owned()))
    }

    fn writable(&self) -> Result<&Collection<Document>> {
        match self {
            Coll::Live(collection) => Ok(collection),
            Coll::Frozen(_) => Err(Error::ReadOnly),
        }
    }

    /// Gives the document with this id to `read` without copying it; `None` if there is none.
    #[inline]
    pub fn get_with<R>(&self, id: impl Into<Id>, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        match self {
            Coll::Live(collection) => collection.get_raw_with(id, |document| read(document.as_bytes())),
            Coll::Frozen(collection) => collection.lend().get_raw_with(id, |document| read(document.as_bytes())),
        }
    }

    /// The document with this id, copied.
    pub fn get(&self, id: Id) -> Result<Option<Vec<u8>>> {
        self.get_with(id, <[u8]>::to_vec)
    }

    /// Gives the documents with these ids, in their order, to `each`; `None` for each that is not there. All are as of
    /// one commit.
    pub fn get_many_with(
        &self,
        ids: impl IntoIterator<Item = Id>,
        mut each: impl FnMut(usize, Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        let each = |place, document: Option<&RawDocument>| each(place, document.map(RawDocument::as_bytes));
        match self {
            Coll::Live(collection) => collection.get_many_raw_with(ids, each),
            Coll::Frozen(collection) => collection.lend().get_many_raw_with(ids, each),
        }
    }

    /// True if there is a document with this id.
    pub fn contains(&self, id: Id) -> Result<bool> {
        Ok(self.get_with(id, |_| ())?.is_some())
    }

    /// The number of documents, exact.
    pub fn count(&self) -> Result<u64> {
        match self {
            Coll::Live(collection) => collection.count_documents(),
            Coll::Frozen(collection) => collection.lend().count_documents(),
        }
    }

    /// A scan of the documents after `token`; 0 for all.
    pub fn scan(&self, token: u64) -> Result<Cursor> {
        Ok(Cursor::new(match self {
            Coll::Live(collection) => collection.scan_after(token)?,
            Coll::Frozen(collection) => collection.lend().scan_after(token),
        }))
    }

    /// Inserts the document, or replaces the one with its `_id`.
    pub fn put(&self, document: &[u8]) -> Result<Id> {
        self.writable()?.put_raw(RawDocument::unvalidated(document))
    }

    /// Inserts the document. Error: `DuplicateId`.
    pub fn insert_one(&self, document: &[u8]) -> Result<Id> {
        Ok(self.writable()?.insert_one_raw(RawDocument::unvalidated(document))?.inserted_id)
    }

    /// Inserts documents in one commit.
    pub fn insert_many<'d>(
        &self,
        documents: impl IntoIterator<Item = &'d [u8]>,
        options: InsertManyOptions,
    ) -> Result<InsertManyResult> {
        self.writable()?.insert_many_raw(documents.into_iter().map(RawDocument::unvalidated), options)
    }

    /// [`Coll::insert_many`] for documents that the caller's own encoder made, all of them well-formed: they are not
    /// validated.
    pub fn insert_many_well_formed<'d>(
        &self,
        documents: impl IntoIterator<Item = &'d [u8]>,
        options: InsertManyOptions,
    ) -> Result<InsertManyResult> {
        self.writable()?.insert_many_well_formed(documents.into_iter().map(RawDocument::unvalidated), options)
    }

    /// Replaces the document with this id; false if there is none.
    pub fn replace_one(&self, id: Id, document: &[u8]) -> Result<bool> {
        self.writable()?.replace_one_raw(id, RawDocument::unvalidated(document))
    }

    /// Deletes the document with this id; false if there is none.
    pub fn delete(&self, id: Id) -> Result<bool> {
        self.writable()?.delete(id)
    }
}
