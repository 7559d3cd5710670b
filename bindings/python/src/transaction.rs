//! Write transactions.
//!
//! ```text
//!   db.transaction()  --with-->  begun  --end of with-->  committed, or rolled back by an exception
//! ```
//!
//! A transaction belongs to the thread that began it. One that is left open ends, rolled
//! back, when its thread lets it go, and with its thread at the latest.

use crate::bytes::Bytes;
use crate::codec;
use crate::error::OrRaise;
use crate::gil::{released, released_even_at_exit, Held};
use crate::id;
use crate::keyspace::{self, TransactionKeyspace};
use crate::results::{InsertOneResult, UpdateResult};
use nyro_owned::{Document, Error, OwnedTransaction, RawDocument, Result, Tx};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::OnceLock;

/// Changes to any number of collections that are committed together. Reads its own writes.
#[pyclass(module = "nyrodb", frozen, weakref)]
pub struct Transaction {
    db: Held<nyro_owned::Database>,
    tx: OnceLock<Tx>,
}

impl Transaction {
    /// One that is not begun yet.
    pub fn new(db: nyro_owned::Database) -> Transaction {
        Transaction { db: Held::new(db), tx: OnceLock::new() }
    }

    /// Begins; waits for the writer's turn.
    pub fn begin(&self, py: Python<'_>) -> PyResult<()> {
        let begin = || {
            if self.tx.get().is_some() {
                return Err(Error::InvalidArgument("a transaction can be begun only once".to_owned()));
            }
            let tx = Tx::begin(&self.db)?;
            if self.tx.set(tx).is_err() {
                tx.rollback()?;
                return Err(Error::InvalidArgument("a transaction can be begun only once".to_owned()));
            }
            Ok(())
        };
        released(py, begin).or_raise(py)
    }

    /// The transaction, once it is begun.
    pub fn tx(&self) -> Result<Tx> {
        let not_begun =
            || Error::InvalidArgument("the transaction is not begun: use it in a with statement".to_owned());
        self.tx.get().copied().ok_or_else(not_begun)
    }

    fn with<R>(&self, py: Python<'_>, call: impl FnOnce(&OwnedTransaction) -> Result<R>) -> PyResult<R> {
        self.tx().and_then(|tx| tx.with(call)).or_raise(py)
    }

    /// Commits or rolls back, unless that was done already.
    pub fn end(&self, py: Python<'_>, commit: bool) -> PyResult<()> {
        let was_open = self.tx().or_raise(py)?.is_open();
        match self.finish(py, commit)? {
            // It was ended by hand.
            Err(Error::Closed) if !was_open => Ok(()),
            ended => ended.or_raise(py),
        }
    }

    fn finish(&self, py: Python<'_>, commit: bool) -> PyResult<Result<()>> {
        let tx = self.tx().or_raise(py)?;
        let end = || if commit { tx.commit().map(|_| ()) } else { tx.rollback() };
        Ok(released_even_at_exit(py, end))
    }
}

impl Drop for Transaction {
    /// Nobody can end it any more. On another thread than its own it can't be ended either, but with that thread.
    fn drop(&mut self) {
        let Some(tx) = self.tx.get().filter(|tx| tx.is_open()) else { return };
        // There is nobody to tell.
        let _ = Python::try_attach(|py| released_even_at_exit(py, || tx.rollback()));
    }
}

#[pymethods]
impl Transaction {
    fn __enter__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, Self>> {
        slf.get().begin(py)?;
        Ok(slf)
    }

    #[pyo3(signature = (exc_type, exc_value, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exc_value, traceback);
        self.end(py, exc_type.is_none())
    }

    fn __getitem__(slf: Bound<'_, Self>, name: &str) -> TransactionCollection {
        Transaction::collection(slf, name)
    }

    /// The collection of that name inside this transaction.
    fn collection(slf: Bound<'_, Self>, name: &str) -> TransactionCollection {
        TransactionCollection { tx: slf.unbind(), name: name.into() }
    }

    /// The keyspace of that name inside this transaction.
    fn keyspace<'py>(slf: Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, TransactionKeyspace>> {
        keyspace::within(slf, name)
    }

    /// Commits now; the transaction has ended then.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        self.finish(py, true)?.or_raise(py)
    }

    /// Rolls back now: nothing was changed, and the transaction has ended.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        self.finish(py, false)?.or_raise(py)
    }

    /// Makes an empty collection. Error: ``CollectionExistsError``.
    fn create_collection(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.with(py, |tx| tx.create_collection(name))
    }

    /// Gives a collection another name.
    fn rename_collection(&self, py: Python<'_>, old: &str, new: &str) -> PyResult<()> {
        self.with(py, |tx| tx.rename_collection(old, new))
    }

    /// Drops a collection; False if there is none.
    fn drop_collection(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        self.with(py, |tx| tx.drop_collection(name))
    }

    /// Gives a keyspace another name.
    fn rename_keyspace(&self, py: Python<'_>, old: &str, new: &str) -> PyResult<()> {
        self.with(py, |tx| tx.rename_keyspace(old, new))
    }

    /// Drops a keyspace; False if there is none.
    fn drop_keyspace(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        self.with(py, |tx| tx.drop_keyspace(name))
    }
}

/// A collection inside a transaction.
#[pyclass(module = "nyrodb", frozen)]
pub struct TransactionCollection {
    tx: Py<Transaction>,
    name: Box<str>,
}

impl TransactionCollection {
    fn with<R>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&nyro::TransactionCollection<'_, 'static, Document>) -> Result<R>,
    ) -> PyResult<R> {
        self.tx.get().with(py, |tx| call(&tx.collection(&self.name)))
    }
}

#[pymethods]
impl TransactionCollection {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The document with this id, or None.
    #[pyo3(signature = (id, /))]
    fn get<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let id = id::from_python(id).or_raise(py)?;
        let found = self.with(py, |coll| coll.get_raw(id))?;
        found.map(|document| codec::decode(py, document.as_bytes())).transpose()
    }

    /// The MessagePack bytes of the document with this id, or None.
    #[pyo3(signature = (id, /))]
    fn get_raw<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let id = id::from_python(id).or_raise(py)?;
        let found = self.with(py, |coll| coll.get_raw(id))?;
        Ok(found.map(|document| PyBytes::new(py, document.as_bytes())))
    }

    /// True if there is a document with this id.
    #[pyo3(signature = (id, /))]
    fn contains(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = id::from_python(id).or_raise(py)?;
        self.with(py, |coll| coll.contains(id))
    }

    fn __contains__(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.contains(py, id)
    }

    /// Inserts the document, or replaces the one with its ``_id``; gives the id.
    #[pyo3(signature = (document, /))]
    fn put<'py>(&self, py: Python<'py>, document: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let write = codec::write_document(document);
        let put = |bytes: &[u8]| self.with(py, |coll| coll.put_raw(RawDocument::unvalidated(bytes)));
        id::to_python(py, &codec::encoding(py, write, put)??)
    }

    /// ``put`` for bytes that are already MessagePack.
    #[pyo3(signature = (document, /))]
    fn put_raw<'py>(&self, py: Python<'py>, document: Bytes<'py>) -> PyResult<Bound<'py, PyAny>> {
        let id = self.with(py, |coll| coll.put_raw(RawDocument::unvalidated(document.as_slice())))?;
        id::to_python(py, &id)
    }

    /// Inserts the document. Error: ``DuplicateIdError``; the transaction goes on.
    #[pyo3(signature = (document, /))]
    fn insert_one(&self, py: Python<'_>, document: &Bound<'_, PyAny>) -> PyResult<InsertOneResult> {
        let write = codec::write_document(document);
        let insert = |bytes: &[u8]| self.with(py, |coll| coll.insert_one_raw(RawDocument::unvalidated(bytes)));
        let id = codec::encoding(py, write, insert)??;
        Ok(InsertOneResult { inserted_id: id::to_python(py, &id)?.unbind() })
    }

    /// Replaces the document with this id; ``matched_count`` is 0 if there is none.
    #[pyo3(signature = (id, document, /))]
    fn replace_one(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyAny>,
        document: &Bound<'_, PyAny>,
    ) -> PyResult<UpdateResult> {
        let id = id::from_python(id).or_raise(py)?;
        let write = codec::write_document(document);
        let replace = |bytes: &[u8]| self.with(py, |coll| coll.replace_one_raw(id, RawDocument::unvalidated(bytes)));
        Ok(UpdateResult::found(codec::encoding(py, write, replace)??))
    }

    /// Deletes the document with this id; False if there is none.
    #[pyo3(signature = (id, /))]
    fn delete(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = id::from_python(id).or_raise(py)?;
        self.with(py, |coll| coll.delete(id))
    }
}
