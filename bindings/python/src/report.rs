//! Reports and figures: each becomes a class of `nyrodb/_reports.py`, field by field under the same name.

use crate::codec;
use crate::error::OrRaise;
use nyro_owned::{report, Document};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// An instance of the class `name` from a report's fields.
pub fn of<'py>(py: Python<'py>, name: &str, document: &Document) -> PyResult<Bound<'py, PyAny>> {
    let bytes = document.to_msgpack().or_raise(py)?;
    let fields = codec::decode(py, &bytes)?;
    py.import("nyrodb._reports")?.getattr(name)?.call((), Some(fields.cast::<PyDict>()?))
}

/// An instance of the class `name` from a report.
pub fn new<'py>(py: Python<'py>, name: &str, made: &impl serde::Serialize) -> PyResult<Bound<'py, PyAny>> {
    of(py, name, &report::to_document(made).or_raise(py)?)
}
