//! A collection as it is: documents by id.

use crate::bytes::Bytes;
use crate::codec::{self, Fault, Why};
use crate::error::{self, Failure, OrRaise};
use crate::gil::{released, Held};
use crate::results::{InsertManyResult, InsertOneResult, UpdateResult};
use crate::scan::Scan;
use crate::{id, reads};
use nyro_owned::{Coll, Database, Error, Id, InsertManyOptions};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use std::sync::Arc;

/// Bytes of documents that one `insert_many` gathers; far more than a transaction may hold.
const LARGEST_BYTES: usize = 256 << 20;

/// Documents, found by ``_id``.
#[pyclass(module = "nyrodb", frozen, weakref)]
pub struct Collection {
    db: Arc<Held<Database>>,
    coll: Held<Coll>,
    name: Box<str>,
}

impl Collection {
    /// The collection of that name.
    pub fn live(db: &Arc<Held<Database>>, name: &str) -> Collection {
        Collection { db: db.clone(), coll: Held::new(Coll::live(db, name)), name: name.into() }
    }
}

#[pymethods]
impl Collection {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    fn __repr__(&self) -> String {
        format!("<nyrodb.Collection {:?}>", self.name)
    }

    /// The document with this id, or None.
    #[pyo3(signature = (id, /))]
    fn get<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        reads::get(py, &self.coll, id)
    }

    /// The documents with these ids, in their order, None for each that is not there; all as of one commit.
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

    /// Inserts the document, or replaces the one with its ``_id``; gives the id.
    #[pyo3(signature = (document, /))]
    fn put<'py>(&self, py: Python<'py>, document: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let write = codec::write_document(document);
        let id = codec::encoding(py, write, |bytes| released(py, || self.coll.put(bytes)))?.or_raise(py)?;
        id::to_python(py, &id)
    }

    /// ``put`` for bytes that are already MessagePack.
    #[pyo3(signature = (document, /))]
    fn put_raw<'py>(&self, py: Python<'py>, document: Bytes<'py>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = document.as_slice();
        let id = released(py, || self.coll.put(bytes)).or_raise(py)?;
        id::to_python(py, &id)
    }

    /// Inserts the document. Error: ``DuplicateIdError``.
    #[pyo3(signature = (document, /))]
    fn insert_one(&self, py: Python<'_>, document: &Bound<'_, PyAny>) -> PyResult<InsertOneResult> {
        let write = codec::write_document(document);
        let id = codec::encoding(py, write, |bytes| released(py, || self.coll.insert_one(bytes)))?.or_raise(py)?;
        Ok(InsertOneResult { inserted_id: id::to_python(py, &id)?.unbind() })
    }

    /// Inserts documents in one commit. Ordered, it stops at the first that fails and keeps those before; unordered
    /// it inserts all but the failures; atomic, all or none. Error: ``BulkWriteError``.
    #[pyo3(signature = (documents, /, *, ordered=true, atomic=false))]
    fn insert_many(
        &self,
        py: Python<'_>,
        documents: &Bound<'_, PyAny>,
        ordered: bool,
        atomic: bool,
    ) -> PyResult<InsertManyResult> {
        let options = InsertManyOptions { ordered, atomic };
        let many = Many::encode(py, documents, options)?;
        let inserted = released(py, || match many.maybe_malformed {
            true => self.coll.insert_many(many.documents(), options),
            false => self.coll.insert_many_well_formed(many.documents(), options),
        });
        let inserted_ids = many.result(py, inserted.map(|result| result.inserted_ids));
        codec::keep_buffer(py, many.bytes);
        let inserted_ids = inserted_ids?;
        Ok(InsertManyResult { inserted_ids: inserted_ids.into_any().unbind() })
    }

    /// Replaces the document with this id; ``matched_count`` is 0, and nothing changed, if there is none.
    #[pyo3(signature = (id, document, /))]
    fn replace_one(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyAny>,
        document: &Bound<'_, PyAny>,
    ) -> PyResult<UpdateResult> {
        let id = id::from_python(id).or_raise(py)?;
        let write = codec::write_document(document);
        let found = codec::encoding(py, write, |bytes| released(py, || self.coll.replace_one(id, bytes)))?;
        Ok(UpdateResult::found(found.or_raise(py)?))
    }

    /// Deletes the document with this id; False if there is none.
    #[pyo3(signature = (id, /))]
    fn delete(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = id::from_python(id).or_raise(py)?;
        released(py, || self.coll.delete(id)).or_raise(py)
    }
}

/// Documents of one `insert_many`, encoded one behind the other. One that can't be encoded is a failure as one that
/// the engine refuses.
#[derive(Default)]
pub struct Many {
    /// The documents that could be encoded, one behind the other.
    pub bytes: Vec<u8>,
    /// Where each ends.
    pub ends: Vec<usize>,
    failures: Vec<Failure>,
    ordered: bool,
    /// One of them has to be validated.
    maybe_malformed: bool,
}

impl Many {
    /// Encodes all, or those before the first that can't be, if ordered. Error: as the first, if atomic.
    pub fn encode(py: Python<'_>, documents: &Bound<'_, PyAny>, options: InsertManyOptions) -> PyResult<Many> {
        if documents.is_instance_of::<PyDict>() || documents.is_instance_of::<PyString>() {
            let class = documents.get_type().name()?;
            return Err(pyo3::exceptions::PyTypeError::new_err(format!(
                "documents must be a list of dicts, not {class}"
            )));
        }
        let mut many = Many { bytes: codec::kept_buffer(py), ordered: options.ordered, ..Many::default() };
        let mut encode = |place: usize, document: Bound<'_, PyAny>| many.add(py, place, &document, options);
        if let Ok(list) = documents.cast::<PyList>() {
            many_of_list(list, &mut encode)?;
        } else {
            for (place, document) in documents.try_iter()?.enumerate() {
                if !encode(place, document?)? {
                    break;
                }
            }
        }
        Ok(many)
    }

    /// Adds a document; says whether to go on.
    fn add(
        &mut self,
        py: Python<'_>,
        place: usize,
        document: &Bound<'_, PyAny>,
        options: InsertManyOptions,
    ) -> PyResult<bool> {
        let start = self.bytes.len();
        match codec::encode_behind(py, &mut self.bytes, document)? {
            Ok(_) if self.bytes.len() > LARGEST_BYTES => Err(error::of_fault(py, Fault::too_many(LARGEST_BYTES))),
            Ok(well_formed) => {
                self.maybe_malformed |= !well_formed;
                self.ends.push(self.bytes.len());
                Ok(true)
            }
            Err(fault) if options.atomic => Err(error::of_fault(py, fault)),
            Err(fault) => match fault.why() {
                Why::Raised(raised) => Err(raised),
                Why::Ours { code, message, path, .. } => {
                    self.bytes.truncate(start);
                    self.failures.push((place as u64, code, Fault::text(&message, &path)));
                    Ok(!options.ordered)
                }
            },
        }
    }

    fn documents(&self) -> impl Iterator<Item = &[u8]> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| self.bytes.get(start..end).unwrap_or_default())
    }

    /// The ids, or the error, with the documents that could not be encoded.
    pub fn result<'py>(&self, py: Python<'py>, inserted: Result<Vec<Id>, Error>) -> PyResult<Bound<'py, PyList>> {
        let (count, failures) = match inserted {
            Ok(ids) if self.failures.is_empty() => {
                let ids = ids.iter().map(|id| id::to_python(py, id)).collect::<PyResult<Vec<_>>>()?;
                return PyList::new(py, ids);
            }
            Ok(ids) => (ids.len() as u64, Vec::new()),
            Err(Error::BulkWrite { inserted, failures }) if !self.failures.is_empty() => {
                let failures = failures.iter();
                (inserted, failures.map(|(at, e)| (self.place(*at), e.code(), e.to_string())).collect())
            }
            Err(e) => return Err(error::of(py, &e)),
        };
        Err(error::of_bulk(py, count, self.all_failures(failures)))
    }

    /// The place among the caller's documents of one among those that were encoded.
    fn place(&self, mut at: u64) -> u64 {
        for (failed, ..) in &self.failures {
            at += u64::from(*failed <= at);
        }
        at
    }

    /// The failures of both kinds in their order; only the first, if the write was ordered.
    fn all_failures(&self, engine: Vec<Failure>) -> Vec<Failure> {
        let mut all = engine;
        all.extend(self.failures.iter().cloned());
        all.sort_by_key(|(place, ..)| *place);
        if self.ordered {
            all.truncate(1);
        }
        all
    }
}

/// Calls `encode` with the elements of a list, which may change meanwhile.
fn many_of_list<'py>(
    list: &Bound<'py, PyList>,
    encode: &mut impl FnMut(usize, Bound<'py, PyAny>) -> PyResult<bool>,
) -> PyResult<()> {
    let mut place = 0;
    while place < list.len() {
        if !encode(place, list.get_item(place)?)? {
            break;
        }
        place += 1;
    }
    Ok(())
}
