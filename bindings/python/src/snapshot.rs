//! Snapshots: the whole database as of one commit.

use crate::error::OrRaise;
use crate::gil::Held;
use crate::keyspace::{self, SnapshotKeyspace};
use crate::reads;
use crate::scan::Scan;
use nyro_owned::{Coll, Database, Error};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::sync::{Arc, Mutex, PoisonError};

/// The whole database as of one commit. It never changes; let it go when you are done (``with``, ``close``).
#[pyclass(module = "nyrodb", frozen, weakref)]
pub struct Snapshot {
    /// Never waited for: locked with the GIL held and for a moment. Empty once closed.
    snapshot: Mutex<Option<Held<nyro_owned::Snapshot>>>,
    #[pyo3(get)]
    commit: u64,
    /// Kept open.
    db: Arc<Held<Database>>,
}

impl Snapshot {
    /// Holds a snapshot.
    pub fn new(db: Arc<Held<Database>>, snapshot: nyro_owned::Snapshot) -> Snapshot {
        Snapshot { commit: snapshot.commit(), snapshot: Mutex::new(Some(Held::new(snapshot))), db }
    }

    fn with<R>(
        &self,
        py: Python<'_>,
        read: impl FnOnce(&nyro_owned::Snapshot) -> nyro_owned::Result<R>,
    ) -> PyResult<R> {
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let result = snapshot.as_ref().map_or(Err(Error::Closed), |snapshot| read(snapshot));
        drop(snapshot);
        result.or_raise(py)
    }
}

#[pymethods]
impl Snapshot {
    fn __repr__(&self) -> String {
        format!("<nyrodb.Snapshot of commit {}>", self.commit)
    }

    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<SnapshotCollection> {
        self.collection(py, name)
    }

    /// The collection of that name as of this snapshot; empty if there was none.
    fn collection(&self, py: Python<'_>, name: &str) -> PyResult<SnapshotCollection> {
        let coll = self.with(py, |snapshot| Coll::frozen(snapshot, name))?;
        Ok(SnapshotCollection { db: self.db.clone(), coll: Held::new(coll), name: name.into() })
    }

    /// The keyspace of that name as of this snapshot; empty if there was none.
    fn keyspace<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, SnapshotKeyspace>> {
        let snapshot = self.with(py, |snapshot| Ok(snapshot.clone()))?;
        keyspace::frozen(py, &self.db, &snapshot, name)
    }

    /// Names of the keyspaces, sorted.
    fn keyspace_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.with(py, |snapshot| snapshot.keyspace_names())
    }

    /// Names of the collections, sorted.
    fn collection_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.with(py, |snapshot| snapshot.collection_names())
    }

    /// Lets the snapshot go. Collections and scans that came from it keep it until they go, too.
    fn close(&self) {
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(snapshot);
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (exc_type, exc_value, traceback, /))]
    fn __exit__(&self, exc_type: &Bound<'_, PyAny>, exc_value: &Bound<'_, PyAny>, traceback: &Bound<'_, PyAny>) {
        let _ = (exc_type, exc_value, traceback);
        self.close();
    }
}

/// A collection as of a snapshot, which it keeps.
#[pyclass(module = "nyrodb", frozen, weakref)]
pub struct SnapshotCollection {
    db: Arc<Held<Database>>,
    coll: Held<Coll>,
    name: Box<str>,
}

#[pymethods]
impl SnapshotCollection {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    fn __repr__(&self) -> String {
        format!("<nyrodb.SnapshotCollection {:?}>", self.name)
    }

    /// The document with this id, or None.
    #[pyo3(signature = (id, /))]
    fn get<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        reads::get(py, &self.coll, id)
    }

    /// The documents with these ids, in their order, None for each that is not there.
    #[pyo3(signature = (ids, /))]
    fn get_many<'py>(&self, py: Python<'py>, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        reads::get_many(py, &self.coll, ids)
    }

    /// The MessagePack bytes of the document with this id, or None.
    #[pyo3(signature = (id, /))]
    fn get_raw<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        reads::get_raw(py, &self.coll, id)
    }

    /// True if there is a document with this id.
    #[pyo3(signature = (id, /))]
    fn contains(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        reads::contains(py, &self.coll, id)
    }

    fn __contains__(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        reads::contains(py, &self.coll, id)
    }

    /// The number of documents, exact.
    fn count_documents(&self, py: Python<'_>) -> PyResult<u64> {
        self.coll.count().or_raise(py)
    }

    /// The number of documents; here as exact as ``count_documents``.
    fn estimated_document_count(&self, py: Python<'_>) -> PyResult<u64> {
        self.coll.count().or_raise(py)
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Scan> {
        reads::scan(py, &self.db, &self.coll, 0)
    }

    /// All documents, in the order they were last written; with ``after``, those behind that token.
    #[pyo3(signature = (*, after=0))]
    fn scan(&self, py: Python<'_>, after: u64) -> PyResult<Scan> {
        reads::scan(py, &self.db, &self.coll, after)
    }
}
