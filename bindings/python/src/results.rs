//! What writing calls give, named as in pymongo.

use pyo3::prelude::*;

/// What ``insert_one`` did.
#[pyclass(module = "nyrodb", frozen)]
pub struct InsertOneResult {
    /// The document's id, given or assigned.
    #[pyo3(get)]
    pub inserted_id: Py<PyAny>,
}

/// What ``insert_many`` did.
#[pyclass(module = "nyrodb", frozen)]
pub struct InsertManyResult {
    /// The documents' ids, in the order they came.
    #[pyo3(get)]
    pub inserted_ids: Py<PyAny>,
}

/// What ``replace_one`` did.
#[pyclass(module = "nyrodb", frozen)]
pub struct UpdateResult {
    /// Documents with that id: 0 or 1.
    #[pyo3(get)]
    pub matched_count: u64,
    /// Documents written: 0 or 1.
    #[pyo3(get)]
    pub modified_count: u64,
}

impl UpdateResult {
    /// The result for a document that was found or not.
    pub fn found(found: bool) -> UpdateResult {
        UpdateResult { matched_count: found.into(), modified_count: found.into() }
    }
}

#[pymethods]
impl InsertOneResult {
    #[new]
    fn new(inserted_id: Py<PyAny>) -> InsertOneResult {
        InsertOneResult { inserted_id }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("InsertOneResult(inserted_id={})", self.inserted_id.bind(py).repr()?))
    }
}

#[pymethods]
impl InsertManyResult {
    #[new]
    fn new(inserted_ids: Py<PyAny>) -> InsertManyResult {
        InsertManyResult { inserted_ids }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("InsertManyResult(inserted_ids={})", self.inserted_ids.bind(py).repr()?))
    }
}

#[pymethods]
impl UpdateResult {
    #[new]
    fn new(matched_count: u64, modified_count: u64) -> UpdateResult {
        UpdateResult { matched_count, modified_count }
    }

    fn __repr__(&self) -> String {
        format!("UpdateResult(matched_count={}, modified_count={})", self.matched_count, self.modified_count)
    }
}
