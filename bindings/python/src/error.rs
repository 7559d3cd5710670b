//! Errors of the engine's and of the codec's as Python's exceptions.
//!
//! The classes are Python's own, in `nyrodb/errors.py`: one for each number, below one for each kind. Here an error
//! becomes the arguments of `errors.make`.

use crate::codec::{Fault, Like};
use nyro_owned::error::Parts;
use nyro_owned::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// What was not written of a bulk write: place, number, text.
pub type Failure = (u64, u32, String);

/// The exception for an error of the engine's.
#[cold]
pub fn of(py: Python<'_>, error: &Error) -> PyErr {
    let parts = Parts::of(error);
    let details = PyDict::new(py);
    let filled = (|| {
        if let Some(inserted) = parts.inserted {
            details.set_item("inserted", inserted)?;
            details.set_item("failures", parts.failures)?;
        }
        if let Some(errno) = os_errno(error) {
            details.set_item("os_errno", errno)?;
        }
        PyResult::Ok(())
    })();
    filled.map_or_else(|e| e, |()| make(py, parts.code, &parts.message, &details))
}

/// The exception for a bulk write of which some documents could not even be encoded.
#[cold]
pub fn of_bulk(py: Python<'_>, inserted: u64, failures: Vec<Failure>) -> PyErr {
    let mut message = format!("{inserted} documents were inserted and {} failed", failures.len());
    if let Some((place, _, text)) = failures.first() {
        message += &format!("; the first is number {place}: {text}");
    }
    let details = PyDict::new(py);
    let filled = details.set_item("inserted", inserted).and_then(|()| details.set_item("failures", failures));
    filled.map_or_else(|e| e, |()| make(py, 210, &message, &details))
}

/// The exception for a value that can't cross.
#[cold]
pub fn of_fault(py: Python<'_>, fault: Fault) -> PyErr {
    match fault {
        Fault::Raised(raised) => raised,
        Fault::Ours { code, like, message, path } => {
            let details = PyDict::new(py);
            let like = match like {
                Like::Value => "value",
                Like::Type => "type",
                Like::Overflow => "overflow",
            };
            match details.set_item("like", like) {
                Ok(()) => make(py, code, &Fault::text(&message, &path), &details),
                Err(e) => e,
            }
        }
    }
}

fn make(py: Python<'_>, code: u32, message: &str, details: &Bound<'_, PyDict>) -> PyErr {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = MAKE.get_or_try_init(py, || PyResult::Ok(py.import("nyrodb.errors")?.getattr("make")?.unbind()));
    let made = make.and_then(|make| make.bind(py).call((code, message), Some(details)));
    made.map_or_else(|e| e, PyErr::from_value)
}

fn os_errno(error: &Error) -> Option<i32> {
    match error {
        Error::Io { source, .. } | Error::OutcomeUnknown { source, .. } | Error::WritesStopped { source, .. } => {
            source.raw_os_error()
        }
        // ENOSPC, on every system that this is built for.
        Error::DiskFull { .. } => Some(28),
        Error::NoSuchFile(_) => Some(2),
        _ => None,
    }
}

/// Results of the engine's as Python's.
pub trait OrRaise<T> {
    /// The value, or the exception.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for nyro_owned::Result<T> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|e| of(py, &e))
    }
}

impl<T> OrRaise<T> for Result<T, Fault> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|fault| of_fault(py, fault))
    }
}

/// The number and the name of each error.
#[pyfunction]
pub fn error_numbers() -> Vec<(u32, &'static str)> {
    nyro_owned::error::ERRORS.to_vec()
}
