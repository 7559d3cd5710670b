//! Documents as bytes, without a database.

use crate::codec;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};

/// The MessagePack bytes of a document, as ``put_raw`` takes them.
#[pyfunction]
#[pyo3(signature = (document, /))]
pub fn encode<'py>(py: Python<'py>, document: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    codec::encoding(py, codec::write_document(document), |bytes| PyBytes::new(py, bytes))
}

/// The document that MessagePack bytes are, such as ``get_raw`` gives.
#[pyfunction]
#[pyo3(signature = (document, /))]
pub fn decode<'py>(py: Python<'py>, document: Bytes<'py>) -> PyResult<Bound<'py, PyAny>> {
    codec::decode(py, document.as_slice())
}

/// Bytes that a caller gives: `bytes`, or a copy of a `bytearray` or `memoryview`.
pub struct Bytes<'py>(Bound<'py, PyBytes>);

impl<'py> Bytes<'py> {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The bytes as Python has them.
    pub fn object(&self) -> &Bound<'py, PyBytes> {
        &self.0
    }
}

impl<'py> FromPyObject<'_, 'py> for Bytes<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Bytes<'py>> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Bytes(bytes.to_owned()));
        }
        let py = object.py();
        if object.is_instance_of::<PyByteArray>() || object.is_instance_of::<PyMemoryView>() {
            let copy = py.get_type::<PyBytes>().call1((object,))?;
            return Ok(Bytes(copy.cast_into()?));
        }
        let class = object.get_type().name()?;
        Err(pyo3::exceptions::PyTypeError::new_err(format!("a bytes-like object is required, not {class}")))
    }
}
