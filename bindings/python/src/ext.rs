//! MessagePack extensions that are nothing else in Python.

use crate::bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

/// A MessagePack extension: a code from -128 to 127 and bytes. Codes 48 to 63 are reserved for NyroDB. A timestamp
/// (code -1) that `datetime` can't say, outside the years 1 to 9999, is read as one, too.
#[pyclass(module = "nyrodb", frozen, eq, hash)]
#[derive(PartialEq, Eq, Hash)]
pub struct Ext {
    /// The extension's code.
    #[pyo3(get)]
    pub code: i8,
    /// Its bytes.
    pub data: Box<[u8]>,
}

#[pymethods]
impl Ext {
    #[new]
    #[pyo3(signature = (code, data))]
    fn new(code: i64, data: Bytes<'_>) -> PyResult<Ext> {
        let code = i8::try_from(code).map_err(|_| PyValueError::new_err("code must be from -128 to 127"))?;
        Ok(Ext { code, data: data.as_slice().into() })
    }

    /// Its bytes.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.data)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Ext({}, {})", self.code, self.data(py).repr()?))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let arguments = (self.code, self.data(py)).into_pyobject(py)?;
        Ok((py.get_type::<Ext>().into_any(), arguments))
    }
}
