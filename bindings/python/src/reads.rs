//! Reading calls, the same for a collection as it is and as of a snapshot.

use crate::codec;
use crate::error::OrRaise;
use crate::gil::Held;
use crate::id;
use crate::scan::Scan;
use nyro_owned::{Coll, Database, Error};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::sync::Arc;

/// `get`: the lock is kept, see the crate's rules.
#[inline]
pub fn get<'py>(py: Python<'py>, coll: &Coll, id: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let id = id::from_python(id).or_raise(py)?;
    // SAFETY: `py` proves that the GIL is held.
    let found = codec::decoding(py, |decoder| coll.get_with(id, |bytes| unsafe { decoder.document(bytes) }))?;
    match found.or_raise(py)? {
        Some(document) => Ok(Some(codec::bound(py, document.or_raise(py)?))),
        None => Ok(None),
    }
}

/// `get_raw`.
pub fn get_raw<'py>(py: Python<'py>, coll: &Coll, id: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let id = id::from_python(id).or_raise(py)?;
    coll.get_with(id, |bytes| PyBytes::new(py, bytes)).or_raise(py)
}

/// `contains`.
pub fn contains(py: Python<'_>, coll: &Coll, id: &Bound<'_, PyAny>) -> PyResult<bool> {
    let id = id::from_python(id).or_raise(py)?;
    coll.contains(id).or_raise(py)
}

/// `get_many`.
pub fn get_many<'py>(py: Python<'py>, coll: &Coll, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    // All ids first: what gives them may run any code.
    let ids = ids.try_iter()?.map(|id| id::from_python(&id?).or_raise(py)).collect::<PyResult<Vec<_>>>()?;
    let mut documents = Vec::with_capacity(ids.len());
    let mut fault = None;
    let found = codec::decoding(py, |decoder| {
        coll.get_many_with(ids, |_, bytes| {
            // SAFETY: `py` proves that the GIL is held.
            match bytes.map(|bytes| unsafe { decoder.document(bytes) }).transpose() {
                Ok(document) => {
                    documents.push(document.map(|document| codec::bound(py, document)));
                    Ok(())
                }
                Err(e) => {
                    fault = Some(e);
                    Err(Error::Internal("a stored document can't be read".to_owned()))
                }
            }
        })
    })?;
    match fault {
        Some(fault) => Err(fault).or_raise(py),
        None => found.or_raise(py).and_then(|()| PyList::new(py, documents)),
    }
}

/// `scan`.
pub fn scan(py: Python<'_>, db: &Arc<Held<Database>>, coll: &Coll, after: u64) -> PyResult<Scan> {
    Ok(Scan::new(db.clone(), coll.scan(after).or_raise(py)?))
}
