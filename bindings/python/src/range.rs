//! Ranges of a keyspace: iterators over its keys, values, or both.

use crate::bytes::Bytes;
use crate::error::{self, OrRaise};
use crate::gil::Held;
use crate::transaction::Transaction;
use nyro_owned::{Database, Error, Result};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::sync::{Arc, Mutex, PoisonError};

/// What a range keeps open.
pub enum Keeper {
    Database(Arc<Held<Database>>),
    Transaction(Py<Transaction>),
}

/// A place in a range.
struct Walk {
    /// Empty once closed.
    range: Option<Held<nyro_owned::KeyRange>>,
    /// How many entries may still be given.
    left: usize,
}

impl Walk {
    fn next<R>(&mut self, read: impl FnOnce(&[u8], &[u8]) -> R) -> Result<Option<R>> {
        let Some(range) = self.range.as_mut().filter(|_| self.left > 0) else { return Ok(None) };
        let entry = range.next_with(read)?;
        self.left -= usize::from(entry.is_some());
        Ok(entry)
    }
}

/// The walk of an iterator. Never waited for: the GIL is held while it is locked, and nothing of Python's runs.
struct Shared(Mutex<Walk>);

impl Shared {
    fn new(range: nyro_owned::KeyRange, left: usize) -> Shared {
        Shared(Mutex::new(Walk { range: Some(Held::new(range)), left }))
    }

    fn with<R>(&self, call: impl FnOnce(&mut Walk) -> R) -> R {
        call(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the range go, once the lock is free again.
    fn close(&self) {
        let range = self.with(|walk| walk.range.take());
        drop(range);
    }
}

type Entry<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// Keys with their values, one after the other, as of the moment when the range began; those of a transaction as they
/// are when they are reached.
#[pyclass(module = "nyrodb", frozen, weakref)]
pub struct KeyRange {
    walk: Shared,
    #[expect(dead_code, reason = "held for its drop")]
    keeper: Keeper,
}

impl KeyRange {
    /// A range that gives at most `limit` entries.
    pub fn new(keeper: Keeper, range: nyro_owned::KeyRange, limit: Option<usize>) -> KeyRange {
        KeyRange { walk: Shared::new(range, limit.unwrap_or(usize::MAX)), keeper }
    }
}

#[pymethods]
impl KeyRange {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Entry<'py>>> {
        let entry = |key: &[u8], value: &[u8]| (PyBytes::new(py, key), PyBytes::new(py, value));
        self.walk.with(|walk| walk.next(entry)).or_raise(py)
    }

    /// Up to ``count`` further entries in a list; an empty one at the end. Faster than one by one.
    #[pyo3(signature = (count, /))]
    fn take<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyList>> {
        let entry = |key: &[u8], value: &[u8]| (PyBytes::new(py, key), PyBytes::new(py, value));
        let mut entries = Vec::new();
        let failed = self.walk.with(|walk| {
            while entries.len() < count {
                match walk.next(entry) {
                    Ok(Some(entry)) => entries.push(entry),
                    Ok(None) => break,
                    Err(e) => return Some(e),
                }
            }
            None
        });
        match failed {
            // What was read is given; the error comes with the next call.
            Some(e) if entries.is_empty() => Err(error::of(py, &e)),
            _ => PyList::new(py, entries),
        }
    }

    /// Goes to a key, whether it is there or not: the next entry is that key's or the first one behind it, backward the
    /// first one before it. A key outside of the bounds is the nearest one inside. Error: ``ClosedError`` once closed.
    #[pyo3(signature = (key, /))]
    fn seek(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<()> {
        let sought = self.walk.with(|walk| match &mut walk.range {
            Some(range) => range.seek(key.as_slice()),
            None => Err(Error::Closed),
        });
        sought.or_raise(py)
    }

    /// Ends the range and lets its snapshot go. When nobody has the range any more that happens by itself.
    fn close(&self) {
        self.walk.close();
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

/// What an iterator gives of each entry.
#[derive(Clone, Copy)]
pub enum Part {
    Keys,
    Values,
}

/// Keys of a keyspace, or values, one after the other.
#[pyclass(module = "nyrodb", frozen, weakref)]
pub struct KeyIterator {
    walk: Shared,
    part: Part,
    #[expect(dead_code, reason = "held for its drop")]
    keeper: Keeper,
}

impl KeyIterator {
    /// An iterator over one part of a range's entries.
    pub fn new(keeper: Keeper, range: nyro_owned::KeyRange, part: Part) -> KeyIterator {
        KeyIterator { walk: Shared::new(range, usize::MAX), part, keeper }
    }
}

#[pymethods]
impl KeyIterator {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let part = |key: &[u8], value: &[u8]| match self.part {
            Part::Keys => PyBytes::new(py, key),
            Part::Values => PyBytes::new(py, value),
        };
        let next = self.walk.with(|walk| walk.next(part)).or_raise(py)?;
        if next.is_none() {
            self.walk.close();
        }
        Ok(next)
    }
}
