//! Writes of many callers that are committed together: what `nyrodb.aio` sends to its worker thread.

use crate::codec;
use crate::database::Database;
use crate::error::{self, OrRaise};
use crate::gil::released;
use crate::id;
use nyro_owned::{Done, InsertManyOptions, Op};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::sync::{Arc, Mutex, PoisonError};

/// Writes in the order they are added, encoded at once, committed together by ``commit``.
#[pyclass(module = "nyrodb", frozen)]
pub struct Batch {
    batch: Mutex<nyro_owned::Batch>,
}

impl Batch {
    fn push(&self, collection: &str, op: Op) {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::from(collection), op);
    }
}

fn encoded(py: Python<'_>, document: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    codec::encoding(py, codec::write_document(document), <[u8]>::to_vec)
}

#[pymethods]
impl Batch {
    #[new]
    fn new() -> Batch {
        Batch { batch: Mutex::default() }
    }

    fn __len__(&self) -> usize {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Adds a ``put``; its result is the id.
    fn put(&self, py: Python<'_>, collection: &str, document: &Bound<'_, PyAny>) -> PyResult<()> {
        self.push(collection, Op::Put(encoded(py, document)?));
        Ok(())
    }

    /// Adds a ``put_raw``; its result is the id.
    fn put_raw(&self, collection: &str, document: &Bound<'_, PyBytes>) {
        self.push(collection, Op::Put(document.as_bytes().to_vec()));
    }

    /// Adds an ``insert_one``; its result is the id.
    fn insert_one(&self, py: Python<'_>, collection: &str, document: &Bound<'_, PyAny>) -> PyResult<()> {
        self.push(collection, Op::Insert(encoded(py, document)?));
        Ok(())
    }

    /// Adds an ``insert_many``, which is committed by itself; its result is the list of ids.
    #[pyo3(signature = (collection, documents, *, ordered=true, atomic=false))]
    fn insert_many(
        &self,
        py: Python<'_>,
        collection: &str,
        documents: &Bound<'_, PyAny>,
        ordered: bool,
        atomic: bool,
    ) -> PyResult<()> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for document in documents.try_iter()? {
            codec::encode_behind(py, &mut bytes, &document?)?.or_raise(py)?;
            ends.push(bytes.len());
        }
        let options = InsertManyOptions { ordered, atomic };
        self.push(collection, Op::InsertMany { documents: bytes, ends, options });
        Ok(())
    }

    /// Adds a ``replace_one``; its result is whether there was a document.
    fn replace_one(
        &self,
        py: Python<'_>,
        collection: &str,
        id: &Bound<'_, PyAny>,
        document: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let id = id::from_python(id).or_raise(py)?;
        self.push(collection, Op::Replace(id, encoded(py, document)?));
        Ok(())
    }

    /// Adds a ``delete``; its result is whether there was a document.
    fn delete(&self, py: Python<'_>, collection: &str, id: &Bound<'_, PyAny>) -> PyResult<()> {
        self.push(collection, Op::Delete(id::from_python(id).or_raise(py)?));
        Ok(())
    }

    /// Commits all. Gives a result or an exception (not raised) for each, in their order; the batch is empty then.
    fn commit<'py>(&self, py: Python<'py>, database: &Bound<'py, Database>) -> PyResult<Bound<'py, PyList>> {
        let batch = std::mem::take(&mut *self.batch.lock().unwrap_or_else(PoisonError::into_inner));
        let db = &database.get().db;
        let results = released(py, || batch.commit(db));
        let results = results.into_iter().map(|result| match result {
            Ok(Done::Id(id)) => id::to_python(py, &id),
            Ok(Done::Ids(ids)) => {
                let ids = ids.iter().map(|id| id::to_python(py, id)).collect::<PyResult<Vec<_>>>()?;
                Ok(PyList::new(py, ids)?.into_any())
            }
            Ok(Done::Found(found)) => Ok(found.into_pyobject(py)?.to_owned().into_any()),
            Err(e) => Ok(error::of(py, &e).into_value(py).into_bound(py).into_any()),
        });
        PyList::new(py, results.collect::<PyResult<Vec<_>>>()?)
    }
}
