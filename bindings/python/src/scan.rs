//! A scan: an iterator over documents.

use crate::codec::{self, Fault, Owned};
use crate::error::{self, OrRaise};
use crate::gil::Held;
use nyro_owned::{Cursor, Database};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::{Arc, Mutex, PoisonError};

/// Documents one after the other, as of the moment when the scan began.
#[pyclass(module = "nyrodb", frozen, weakref)]
pub struct Scan {
    /// Never waited for: the GIL is held while it is locked. Empty once closed.
    state: Mutex<State>,
    /// Keeps the database open.
    #[expect(dead_code, reason = "held for its drop")]
    db: Arc<Held<Database>>,
}

struct State {
    cursor: Option<Held<Cursor>>,
    /// The token, once the cursor is gone.
    token: u64,
    /// Why the document behind those that `take` gave could not be read: for the next call.
    fault: Option<Fault>,
}

impl Scan {
    /// A scan that a cursor gives.
    pub fn new(db: Arc<Held<Database>>, cursor: Cursor) -> Scan {
        Scan { db, state: Mutex::new(State { cursor: Some(Held::new(cursor)), token: 0, fault: None }) }
    }

    /// Raises what the call before has left.
    fn pending(&self, py: Python<'_>) -> PyResult<()> {
        self.with(|state| state.fault.take()).map_or(Ok(()), |fault| Err(error::of_fault(py, fault)))
    }

    fn with<R>(&self, read: impl FnOnce(&mut State) -> R) -> R {
        read(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Scan {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.pending(py)?;
        let next = self.with(|state| {
            let Some(cursor) = &mut state.cursor else { return Ok(Ok(None)) };
            // SAFETY: `py` proves that the GIL is held.
            codec::decoding(py, |decoder| cursor.next_with(|bytes| unsafe { decoder.document(bytes) }))
        })?;
        match next.or_raise(py)? {
            Some(document) => Ok(Some(codec::bound(py, document.or_raise(py)?))),
            None => Ok(None),
        }
    }

    /// Up to ``count`` further documents in a list; an empty one at the end. Faster than one by one.
    #[pyo3(signature = (count, /))]
    fn take<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyList>> {
        let mut documents: Vec<Owned> = Vec::new();
        let mut fault: Option<Fault> = None;
        self.pending(py)?;
        let taken = self.with(|state| {
            let Some(cursor) = &mut state.cursor else { return Ok(Ok(0)) };
            codec::decoding(py, |decoder| {
                // SAFETY: `py` proves that the GIL is held.
                cursor.for_each(count, |bytes| match unsafe { decoder.document(bytes) } {
                    Ok(document) => {
                        documents.push(document);
                        true
                    }
                    Err(e) => {
                        fault = Some(e);
                        false
                    }
                })
            })
        })?;
        if let Some(fault) = fault {
            if documents.is_empty() {
                return Err(error::of_fault(py, fault));
            }
            self.with(|state| state.fault = Some(fault));
        }
        match taken {
            // What was read is given; the error comes with the next call.
            Err(e) if documents.is_empty() => Err(error::of(py, &e)),
            _ => PyList::new(py, documents.into_iter().map(|document| codec::bound(py, document))),
        }
    }

    /// Where the scan is: ``scan(after=token)``, now or later, goes on behind the last document given.
    #[getter]
    fn token(&self) -> u64 {
        self.with(|state| state.cursor.as_ref().map_or(state.token, |cursor| cursor.token()))
    }

    /// Ends the scan and lets its snapshot go. At the end, and when nobody has the scan any more, that happens by
    /// itself.
    fn close(&self) {
        let cursor = self.with(|state| {
            state.fault = None;
            state.token = state.cursor.as_ref().map_or(state.token, |cursor| cursor.token());
            state.cursor.take()
        });
        drop(cursor);
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (exc_type, exc_value, traceback, /))]
    fn __exit__(&self, exc_type: &Bound<'_, PyAny>, exc_value: &Bound<'_, PyAny>, traceback: &Bound<'_, PyAny>) {
        let _ = (exc_type, exc_value, traceback);
        self.close();
    }
}
