//! Writes of many callers that are committed together: what `nyrodb.aio` sends to its worker thread.

use crate::bytes::Bytes;
use crate::codec;
use crate::collection::Many;
use crate::database::Database;
use crate::error::{self, OrRaise};
use crate::gil::released;
use crate::id;
use crate::keyspace::{self, Between};
use nyro_owned::{Change, Done, InsertManyOptions, Op};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Writes in the order they are added, encoded at once, committed together by ``commit``.
#[pyclass(module = "nyrodb", frozen)]
pub struct Batch {
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    batch: nyro_owned::Batch,
    /// Of each `insert_many`, by its place: what could not be encoded, for its result.
    many: HashMap<usize, Many>,
}

impl Batch {
    fn push(&self, collection: &str, op: Op) {
        self.with(|gathered| gathered.batch.push(Arc::from(collection), op));
    }

    fn change(&self, keyspace: &str, change: &Change<'_>) {
        self.push(keyspace, Op::Keys(vec![change.into()]));
    }

    fn with<R>(&self, call: impl FnOnce(&mut Gathered) -> R) -> R {
        call(&mut self.gathered.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn encoded(py: Python<'_>, document: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    codec::encoding(py, codec::write_document(document), <[u8]>::to_vec)
}

#[pymethods]
impl Batch {
    #[new]
    fn new() -> Batch {
        Batch { gathered: Mutex::default() }
    }

    fn __len__(&self) -> usize {
        self.with(|gathered| gathered.batch.len())
    }

    /// Adds a ``put``; its result is the id.
    fn put(&self, py: Python<'_>, collection: &str, document: &Bound<'_, PyAny>) -> PyResult<()> {
        self.push(collection, Op::Put(encoded(py, document)?));
        Ok(())
    }

    /// Adds a ``put_raw``; its result is the id.
    fn put_raw(&self, collection: &str, document: Bytes<'_>) {
        self.push(collection, Op::Put(document.as_slice().to_vec()));
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
        let options = InsertManyOptions { ordered, atomic };
        let mut many = Many::encode(py, documents, options)?;
        let (documents, ends) = (std::mem::take(&mut many.bytes), std::mem::take(&mut many.ends));
        self.with(|gathered| {
            gathered.many.insert(gathered.batch.len(), many);
            gathered.batch.push(Arc::from(collection), Op::InsertMany { documents, ends, options });
        });
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

    /// Adds a ``put`` to a keyspace.
    fn key_put(&self, keyspace: &str, key: Bytes<'_>, value: Bytes<'_>) {
        self.change(keyspace, &Change::Put(key.as_slice(), value.as_slice()));
    }

    /// Adds a ``delete`` of a key.
    fn key_delete(&self, keyspace: &str, key: Bytes<'_>) {
        self.change(keyspace, &Change::Delete(key.as_slice()));
    }

    /// Adds a ``delete_range`` of keys.
    #[pyo3(signature = (keyspace, *, gt=None, gte=None, lt=None, lte=None, prefix=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn key_delete_range<'py>(
        &self,
        py: Python<'py>,
        keyspace: &str,
        gt: Option<Bytes<'py>>,
        gte: Option<Bytes<'py>>,
        lt: Option<Bytes<'py>>,
        lte: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
    ) -> PyResult<()> {
        let bounds = Between { gt, gte, lt, lte, prefix }.bounds().or_raise(py)?;
        self.change(keyspace, &Change::DeleteRange(bounds));
        Ok(())
    }

    /// Adds a ``clear`` of a keyspace.
    fn key_clear(&self, keyspace: &str) {
        self.change(keyspace, &Change::Clear);
    }

    /// Adds an ``update`` of a keyspace: all of it, or, after an error, nothing.
    fn key_update(&self, keyspace: &str, changes: &Bound<'_, PyAny>) -> PyResult<()> {
        let pairs = keyspace::pairs(changes)?;
        let put = |(key, value): &(Bytes<'_>, Bytes<'_>)| (&Change::Put(key.as_slice(), value.as_slice())).into();
        self.push(keyspace, Op::Keys(pairs.iter().map(put).collect()));
        Ok(())
    }

    /// Adds a ``write_many`` to a keyspace: all of it, or, after an error, nothing.
    fn key_write_many(&self, keyspace: &str, changes: &Bound<'_, PyAny>) -> PyResult<()> {
        let changes = keyspace::gather(changes)?;
        self.push(keyspace, Op::Keys(changes.iter().map(|change| (&change.change()).into()).collect()));
        Ok(())
    }

    /// Commits all. Gives a result or an exception (not raised) for each, in their order; the batch is empty then.
    fn commit<'py>(&self, py: Python<'py>, database: &Bound<'py, Database>) -> PyResult<Bound<'py, PyList>> {
        let Gathered { batch, many } = self.with(std::mem::take);
        let db = &database.get().db;
        let results = released(py, || batch.commit(db));
        let results = results.into_iter().enumerate().map(|(place, result)| {
            let result = match (result, many.get(&place)) {
                (Ok(Done::Ids(ids)), Some(many)) => many.result(py, Ok(ids)).map(Bound::into_any),
                (Err(e), Some(many)) => many.result(py, Err(e)).map(Bound::into_any),
                (Ok(Done::Id(id)), _) => id::to_python(py, &id),
                (Ok(Done::Found(found)), _) => Ok(found.into_pyobject(py)?.to_owned().into_any()),
                (Ok(Done::Ids(ids)), None) => Many::default().result(py, Ok(ids)).map(Bound::into_any),
                (Ok(Done::Changed), _) => Ok(py.None().into_bound(py)),
                (Err(e), None) => Err(error::of(py, &e)),
            };
            Ok(result.unwrap_or_else(|e| e.into_value(py).into_bound(py).into_any()))
        });
        PyList::new(py, results.collect::<PyResult<Vec<_>>>()?)
    }
}
