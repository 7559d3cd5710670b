//! Ids between Python and the engine: `int`, `str` and bytes.

use crate::codec::{utf8, Fault, Like};
use nyro_owned::Id;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};
use std::os::raw::c_int;

/// The id that an object is.
#[inline]
pub fn from_python(object: &Bound<'_, PyAny>) -> Result<Id, Fault> {
    let pointer = object.as_ptr();
    // SAFETY: the bound object is alive and proves that the GIL is held; each call is given what its check allows.
    unsafe {
        if ffi::PyLong_Check(pointer) != 0 && ffi::PyBool_Check(pointer) == 0 {
            let mut overflow: c_int = 0;
            let value = ffi::PyLong_AsLongLongAndOverflow(pointer, &mut overflow);
            if overflow == 0 {
                return Ok(Id::Int(value));
            }
            return wide(object, overflow);
        }
        if ffi::PyUnicode_Check(pointer) != 0 {
            let text = utf8(pointer).map_err(|_| surrogate())?;
            // Python gives valid UTF-8. The engine says no to what is too long.
            return Ok(Id::String(String::from_utf8_unchecked(text.to_vec())));
        }
    }
    rare(object)
}

#[cold]
fn wide(object: &Bound<'_, PyAny>, overflow: c_int) -> Result<Id, Fault> {
    let value = if overflow > 0 { object.extract::<u64>().ok() } else { None };
    value.map(Id::UInt).ok_or_else(|| {
        Fault::invalid_id("invalid _id: integers must be from -2**63 to 2**64-1".to_owned(), Like::Overflow)
    })
}

#[cold]
fn surrogate() -> Fault {
    Fault::invalid_id("invalid _id: text with a lone surrogate is not Unicode".to_owned(), Like::Value)
}

#[cold]
fn rare(object: &Bound<'_, PyAny>) -> Result<Id, Fault> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Id::Bytes(bytes.as_bytes().to_vec()));
    }
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        return Ok(Id::Bytes(bytes.to_vec()));
    }
    if object.is_instance_of::<PyMemoryView>() {
        let bytes = object.call_method0("tobytes").and_then(|bytes| bytes.extract::<Vec<u8>>());
        return bytes.map(Id::Bytes).map_err(Fault::Raised);
    }
    let class = object.get_type().name().map_or_else(|_| "unknown".to_owned(), |name| name.to_string());
    Err(Fault::invalid_id(format!("invalid _id: it must be int, str or bytes, not {class}"), Like::Type))
}

/// The object for an id.
pub fn to_python<'py>(py: Python<'py>, id: &Id) -> PyResult<Bound<'py, PyAny>> {
    Ok(match id {
        Id::Int(id) => id.into_pyobject(py)?.into_any(),
        Id::UInt(id) => id.into_pyobject(py)?.into_any(),
        Id::String(id) => PyString::new(py, id).into_any(),
        Id::Bytes(id) => PyBytes::new(py, id).into_any(),
    })
}
