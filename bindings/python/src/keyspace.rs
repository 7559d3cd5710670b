//! Keyspaces: ordered maps from bytes to bytes, as they are, as of a snapshot, or inside a transaction.
//!
//! ```text
//!   KeyspaceReads                  get, in, len, range ..     Mapping
//!     SnapshotKeyspace
//!     KeyspaceWrites               put, del, update ..        MutableMapping
//!       Keyspace                   each call a commit
//!       TransactionKeyspace
//! ```
//!
//! The views (`keys()` and so on) and `==` are written in Python, in `nyrodb/_views.py`.

use crate::bytes::Bytes;
use crate::error::OrRaise;
use crate::gil::{released, Held};
use crate::range::{Keeper, KeyIterator, KeyRange, Part};
use crate::transaction::Transaction;
use nyro_owned::{prefix_bounds, Bounds, Change, Database, Error, Keys, Result, Snapshot};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use std::ops::Bound as Limit;
use std::sync::{Arc, OnceLock};

/// Where a keyspace is.
enum Place {
    /// Of the database or of a snapshot.
    Outside { keys: Held<Keys>, db: Arc<Held<Database>> },
    /// Of a transaction, which may be begun later than this is made.
    Inside { tx: Py<Transaction>, keys: OnceLock<Keys> },
}

/// What can be read of a keyspace. Keys are in the order of their bytes.
#[pyclass(module = "nyrodb", frozen, weakref, subclass, mapping)]
pub struct KeyspaceReads {
    place: Place,
    name: Box<str>,
}

/// What can be written to a keyspace.
#[pyclass(module = "nyrodb", frozen, subclass, mapping, extends = KeyspaceReads)]
pub struct KeyspaceWrites;

/// An ordered map from bytes to bytes: each read sees the newest commit, each write is a commit.
#[pyclass(module = "nyrodb", frozen, extends = KeyspaceWrites)]
pub struct Keyspace;

/// A keyspace inside a transaction.
#[pyclass(module = "nyrodb", frozen, extends = KeyspaceWrites)]
pub struct TransactionKeyspace;

/// A keyspace as of a snapshot, which it keeps.
#[pyclass(module = "nyrodb", frozen, extends = KeyspaceReads)]
pub struct SnapshotKeyspace;

/// The keyspace of that name.
pub fn live<'py>(py: Python<'py>, db: &Arc<Held<Database>>, name: &str) -> PyResult<Bound<'py, Keyspace>> {
    let place = Place::Outside { keys: Held::new(Keys::live(db, name)), db: db.clone() };
    let base = PyClassInitializer::from(KeyspaceReads { place, name: name.into() });
    Bound::new(py, base.add_subclass(KeyspaceWrites).add_subclass(Keyspace))
}

/// The keyspace as of a snapshot.
pub fn frozen<'py>(
    py: Python<'py>,
    db: &Arc<Held<Database>>,
    snapshot: &Snapshot,
    name: &str,
) -> PyResult<Bound<'py, SnapshotKeyspace>> {
    let keys = Held::new(Keys::frozen(snapshot, name).or_raise(py)?);
    let place = Place::Outside { keys, db: db.clone() };
    let base = PyClassInitializer::from(KeyspaceReads { place, name: name.into() });
    Bound::new(py, base.add_subclass(SnapshotKeyspace))
}

/// The keyspace inside a transaction.
pub fn within<'py>(tx: Bound<'py, Transaction>, name: &str) -> PyResult<Bound<'py, TransactionKeyspace>> {
    let py = tx.py();
    let place = Place::Inside { tx: tx.unbind(), keys: OnceLock::new() };
    let base = PyClassInitializer::from(KeyspaceReads { place, name: name.into() });
    Bound::new(py, base.add_subclass(KeyspaceWrites).add_subclass(TransactionKeyspace))
}

/// The bounds that the keywords of a call say.
pub struct Between<'py> {
    pub gt: Option<Bytes<'py>>,
    pub gte: Option<Bytes<'py>>,
    pub lt: Option<Bytes<'py>>,
    pub lte: Option<Bytes<'py>>,
    pub prefix: Option<Bytes<'py>>,
}

impl Between<'_> {
    /// Where the range starts and where it ends.
    pub fn bounds(&self) -> Result<Bounds> {
        let wrong = |message: &str| Error::InvalidArgument(message.to_owned());
        let limit = |without: &Option<Bytes<'_>>, with: &Option<Bytes<'_>>| match (without, with) {
            (None, None) => Ok(Limit::Unbounded),
            (Some(key), None) => Ok(Limit::Excluded(key.as_slice().to_vec())),
            (None, Some(key)) => Ok(Limit::Included(key.as_slice().to_vec())),
            (Some(_), Some(_)) => Err(wrong("a range has one start and one end: gt or gte, lt or lte")),
        };
        let bounds = (limit(&self.gt, &self.gte)?, limit(&self.lt, &self.lte)?);
        match &self.prefix {
            None => Ok(bounds),
            Some(prefix) if bounds == (Limit::Unbounded, Limit::Unbounded) => prefix_bounds(prefix.as_slice()),
            Some(_) => Err(wrong("a range has a prefix or bounds, not both")),
        }
    }
}

fn all() -> Bounds {
    (Limit::Unbounded, Limit::Unbounded)
}

type Entry<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

impl KeyspaceReads {
    /// The keyspace, for a call; of a transaction once that is begun.
    fn opened(&self, py: Python<'_>) -> PyResult<&Keys> {
        match &self.place {
            Place::Outside { keys, .. } => Ok(keys),
            Place::Inside { tx, keys } => match keys.get() {
                Some(keys) => Ok(keys),
                None => {
                    let tx = tx.get().tx().or_raise(py)?;
                    Ok(keys.get_or_init(|| Keys::within(tx, &self.name)))
                }
            },
        }
    }

    /// Makes a change: without Python's lock where it may wait. In a transaction it waits for nobody.
    fn write<R: Send>(&self, py: Python<'_>, call: impl FnOnce(&Keys) -> Result<R> + Send) -> PyResult<R> {
        let keys = self.opened(py)?;
        match self.place {
            Place::Outside { .. } => released(py, || call(keys)),
            Place::Inside { .. } => call(keys),
        }
        .or_raise(py)
    }

    fn keeper(&self, py: Python<'_>) -> Keeper {
        match &self.place {
            Place::Outside { db, .. } => Keeper::Database(db.clone()),
            Place::Inside { tx, .. } => Keeper::Transaction(tx.clone_ref(py)),
        }
    }

    fn iterator(&self, py: Python<'_>, part: Part, reverse: bool) -> PyResult<KeyIterator> {
        let range = self.opened(py)?.range(all(), reverse).or_raise(py)?;
        Ok(KeyIterator::new(self.keeper(py), range, part))
    }

    fn entries(&self, py: Python<'_>, bounds: Bounds, reverse: bool, limit: Option<usize>) -> PyResult<KeyRange> {
        let range = self.opened(py)?.range(bounds, reverse).or_raise(py)?;
        Ok(KeyRange::new(self.keeper(py), range, limit))
    }

    fn end<'py>(&self, py: Python<'py>, last: bool) -> PyResult<Option<Entry<'py>>> {
        let entry = self.opened(py)?.end(last).or_raise(py)?;
        Ok(entry.map(|(key, value)| (PyBytes::new(py, &key), PyBytes::new(py, &value))))
    }

    fn found<'py>(&self, py: Python<'py>, key: &Bytes<'_>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.opened(py)?.get_with(key.as_slice(), |value| PyBytes::new(py, value)).or_raise(py)
    }
}

/// A view or the comparison of `nyrodb/_views.py`.
fn of_views<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("nyrodb._views")?.getattr(name)
}

#[pymethods]
impl KeyspaceReads {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<nyrodb.{} {:?}>", slf.get_type().name()?, slf.get().name))
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.found(py, &key)?.ok_or_else(|| missing(&key))
    }

    /// The value of a key, or ``default``.
    #[pyo3(signature = (key, default=None, /))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: Bytes<'py>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.found(py, &key)?.map(Bound::into_any).or(default))
    }

    /// The values of these keys, in their order, None for each that is not there; all as of one commit.
    #[pyo3(signature = (keys, /))]
    fn get_many<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        // All keys first: what gives them may run any code.
        let keys = keys.try_iter()?.map(|key| key?.extract()).collect::<PyResult<Vec<Bytes<'_>>>>()?;
        let mut values = Vec::with_capacity(keys.len());
        let each = |_, value: Option<&[u8]>| {
            values.push(value.map(|value| PyBytes::new(py, value)));
            Ok(())
        };
        self.opened(py)?.get_many_with(keys.iter().map(Bytes::as_slice), each).or_raise(py)?;
        PyList::new(py, values)
    }

    fn __contains__(&self, py: Python<'_>, key: Bytes<'_>) -> PyResult<bool> {
        self.opened(py)?.contains(key.as_slice()).or_raise(py)
    }

    /// The number of keys, exact: it reads them all. See ``estimated_len``.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let keys = self.opened(py)?;
        let count = released(py, || keys.count()).or_raise(py)?;
        Ok(usize::try_from(count)?)
    }

    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.end(py, false)?.is_some())
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<KeyIterator> {
        self.iterator(py, Part::Keys, false)
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<KeyIterator> {
        self.iterator(py, Part::Keys, true)
    }

    /// The keys, in order.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        of_views(slf.py(), "KeysView")?.call1((slf,))
    }

    /// The values, in the order of their keys.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        of_views(slf.py(), "ValuesView")?.call1((slf,))
    }

    /// Keys with their values, in order.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        of_views(slf.py(), "ItemsView")?.call1((slf,))
    }

    #[pyo3(signature = (*, reverse=false))]
    fn _values(&self, py: Python<'_>, reverse: bool) -> PyResult<KeyIterator> {
        self.iterator(py, Part::Values, reverse)
    }

    fn __eq__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        of_views(slf.py(), "equal")?.call1((slf, other))
    }

    /// The keys between the bounds with their values, in order, or backward; at most ``limit``.
    #[pyo3(signature = (*, gt=None, gte=None, lt=None, lte=None, prefix=None, reverse=false, limit=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn range<'py>(
        &self,
        py: Python<'py>,
        gt: Option<Bytes<'py>>,
        gte: Option<Bytes<'py>>,
        lt: Option<Bytes<'py>>,
        lte: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
        reverse: bool,
        limit: Option<usize>,
    ) -> PyResult<KeyRange> {
        let bounds = Between { gt, gte, lt, lte, prefix }.bounds().or_raise(py)?;
        self.entries(py, bounds, reverse, limit)
    }

    /// The keys that begin with these bytes, with their values.
    #[pyo3(signature = (prefix, /, *, reverse=false, limit=None))]
    fn prefix(&self, py: Python<'_>, prefix: Bytes<'_>, reverse: bool, limit: Option<usize>) -> PyResult<KeyRange> {
        self.entries(py, prefix_bounds(prefix.as_slice()).or_raise(py)?, reverse, limit)
    }

    /// The first key and its value, or None.
    fn first<'py>(&self, py: Python<'py>) -> PyResult<Option<Entry<'py>>> {
        self.end(py, false)
    }

    /// The last key and its value, or None.
    fn last<'py>(&self, py: Python<'py>) -> PyResult<Option<Entry<'py>>> {
        self.end(py, true)
    }
}

fn missing(key: &Bytes<'_>) -> PyErr {
    PyKeyError::new_err((key.object().clone().unbind(),))
}

/// The base of a class that writes.
fn reads<'a>(slf: &'a Bound<'_, KeyspaceWrites>) -> &'a KeyspaceReads {
    slf.as_super().get()
}

#[pymethods]
impl KeyspaceWrites {
    fn __setitem__(slf: &Bound<'_, Self>, key: Bytes<'_>, value: Bytes<'_>) -> PyResult<()> {
        Self::put(slf, key, value)
    }

    fn __delitem__(slf: &Bound<'_, Self>, key: Bytes<'_>) -> PyResult<()> {
        let bytes = key.as_slice();
        let found = reads(slf).write(slf.py(), |keys| Ok(keys.take(bytes)?.is_some()))?;
        if found {
            Ok(())
        } else {
            Err(missing(&key))
        }
    }

    /// Gives a key a value, whether it had one or not.
    #[pyo3(signature = (key, value, /))]
    fn put(slf: &Bound<'_, Self>, key: Bytes<'_>, value: Bytes<'_>) -> PyResult<()> {
        let change = Change::Put(key.as_slice(), value.as_slice());
        reads(slf).write(slf.py(), |keys| keys.change(&change))
    }

    /// Deletes a key, whether it is there or not.
    #[pyo3(signature = (key, /))]
    fn delete(slf: &Bound<'_, Self>, key: Bytes<'_>) -> PyResult<()> {
        let change = Change::Delete(key.as_slice());
        reads(slf).write(slf.py(), |keys| keys.change(&change))
    }

    /// Deletes the keys between the bounds, in a short time whatever their number; without bounds, all.
    #[pyo3(signature = (*, gt=None, gte=None, lt=None, lte=None, prefix=None))]
    fn delete_range<'py>(
        slf: &Bound<'py, Self>,
        gt: Option<Bytes<'py>>,
        gte: Option<Bytes<'py>>,
        lt: Option<Bytes<'py>>,
        lte: Option<Bytes<'py>>,
        prefix: Option<Bytes<'py>>,
    ) -> PyResult<()> {
        let change = Change::DeleteRange(Between { gt, gte, lt, lte, prefix }.bounds().or_raise(slf.py())?);
        reads(slf).write(slf.py(), |keys| keys.change(&change))
    }

    /// Deletes all keys, in the same short time whatever their number.
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        reads(slf).write(slf.py(), |keys| keys.change(&Change::Clear))
    }

    /// Deletes a key and gives the value that it had; without the key ``default``, or a KeyError.
    #[pyo3(signature = (key, /, *default))]
    fn pop<'py>(slf: &Bound<'py, Self>, key: Bytes<'py>, default: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            return Err(PyTypeError::new_err("pop takes a key and at most one default"));
        }
        let bytes = key.as_slice();
        match reads(slf).write(slf.py(), |keys| keys.take(bytes))? {
            Some(value) => Ok(PyBytes::new(slf.py(), &value).into_any()),
            None => default.get_item(0).map_err(|_| missing(&key)),
        }
    }

    /// Deletes the last key, or the first, and gives it with its value; a KeyError if there is none.
    #[pyo3(signature = (*, last=true))]
    fn popitem<'py>(slf: &Bound<'py, Self>, last: bool) -> PyResult<Entry<'py>> {
        let py = slf.py();
        let taken = reads(slf).write(py, |keys| keys.take_end(last))?;
        let (key, value) = taken.ok_or_else(|| PyKeyError::new_err("popitem(): the keyspace is empty"))?;
        Ok((PyBytes::new(py, &key), PyBytes::new(py, &value)))
    }

    /// The value of a key; if it has none, it gets this one.
    #[pyo3(signature = (key, default, /))]
    fn setdefault<'py>(slf: &Bound<'py, Self>, key: Bytes<'py>, default: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let (bytes, value) = (key.as_slice(), default.as_slice());
        let there = reads(slf).write(slf.py(), |keys| keys.put_new(bytes, value))?;
        Ok(there.map_or_else(|| default.object().clone(), |value| PyBytes::new(slf.py(), &value)))
    }

    /// Puts all of a mapping, or of pairs, in one commit: all or, after an error, none.
    #[pyo3(signature = (changes=None, /))]
    fn update(slf: &Bound<'_, Self>, changes: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let pairs = changes.map_or_else(|| Ok(Vec::new()), pairs)?;
        let changes: Vec<Change<'_>> =
            pairs.iter().map(|(key, value)| Change::Put(key.as_slice(), value.as_slice())).collect();
        reads(slf).write(slf.py(), |keys| keys.change_all(&changes))
    }

    /// Makes changes in one commit, in their order; all or, after an error, none. Each is a tuple: ``("put", key,
    /// value)``, ``("delete", key)``, ``("delete_range", start, end)`` with the start and without the end, None for no
    /// limit, or ``("clear",)``.
    #[pyo3(signature = (changes, /))]
    fn write_many(slf: &Bound<'_, Self>, changes: &Bound<'_, PyAny>) -> PyResult<()> {
        let changes = gather(changes)?;
        let changes: Vec<Change<'_>> = changes.iter().map(Gathered::change).collect();
        reads(slf).write(slf.py(), |keys| keys.change_all(&changes))
    }
}

type Pair<'py> = (Bytes<'py>, Bytes<'py>);

/// Keys and values of what `update` is given: all of them before the first is written, as it may run any code.
pub fn pairs<'py>(changes: &Bound<'py, PyAny>) -> PyResult<Vec<Pair<'py>>> {
    if let Ok(dict) = changes.cast_exact::<PyDict>() {
        return dict.iter().map(|(key, value)| Ok((key.extract()?, value.extract()?))).collect();
    }
    if changes.is_instance_of::<KeyspaceReads>() {
        return changes.call_method0("range")?.try_iter()?.map(|pair| pair?.extract()).collect();
    }
    if changes.hasattr("keys")? {
        let keys = changes.call_method0("keys")?;
        return keys
            .try_iter()?
            .map(|key| key.and_then(|key| Ok((key.extract()?, changes.get_item(key)?.extract()?))))
            .collect();
    }
    let pair = |(place, pair): (usize, PyResult<Bound<'py, PyAny>>)| {
        let parts = pair?.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        match &parts[..] {
            [key, value] => Ok((key.extract()?, value.extract()?)),
            parts => {
                Err(PyValueError::new_err(format!("change number {place} has {} parts instead of 2", parts.len())))
            }
        }
    };
    changes.try_iter()?.enumerate().map(pair).collect()
}

/// A change of `write_many`.
pub enum Gathered<'py> {
    Put(Bytes<'py>, Bytes<'py>),
    Delete(Bytes<'py>),
    DeleteRange(Option<Bytes<'py>>, Option<Bytes<'py>>),
    Clear,
}

impl Gathered<'_> {
    /// The change for the engine.
    pub fn change(&self) -> Change<'_> {
        match self {
            Gathered::Put(key, value) => Change::Put(key.as_slice(), value.as_slice()),
            Gathered::Delete(key) => Change::Delete(key.as_slice()),
            Gathered::DeleteRange(start, end) => {
                let start = start.as_ref().map_or(Limit::Unbounded, |key| Limit::Included(key.as_slice().to_vec()));
                let end = end.as_ref().map_or(Limit::Unbounded, |key| Limit::Excluded(key.as_slice().to_vec()));
                Change::DeleteRange((start, end))
            }
            Gathered::Clear => Change::Clear,
        }
    }
}

/// The changes that `write_many` is given, all of them before the first is made.
pub fn gather<'py>(changes: &Bound<'py, PyAny>) -> PyResult<Vec<Gathered<'py>>> {
    let one = |(place, change): (usize, PyResult<Bound<'py, PyAny>>)| {
        let parts = change?.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        let (what, parts) = parts.split_first().ok_or_else(|| unknown(place))?;
        let what: String = what.extract().map_err(|_| unknown(place))?;
        match (what.as_str(), parts) {
            ("put", [key, value]) => Ok(Gathered::Put(key.extract()?, value.extract()?)),
            ("delete", [key]) => Ok(Gathered::Delete(key.extract()?)),
            ("delete_range", [start, end]) => Ok(Gathered::DeleteRange(start.extract()?, end.extract()?)),
            ("clear", []) => Ok(Gathered::Clear),
            _ => Err(unknown(place)),
        }
    };
    changes.try_iter()?.enumerate().map(one).collect()
}

fn unknown(place: usize) -> PyErr {
    PyValueError::new_err(format!(
        "change number {place} is none of (\"put\", key, value), (\"delete\", key), (\"delete_range\", start, end), \
         (\"clear\",)"
    ))
}

#[pymethods]
impl Keyspace {
    /// The number of keys, about; in a short time whatever it is.
    fn estimated_len(slf: &Bound<'_, Self>) -> PyResult<u64> {
        estimated_len(slf.as_super().as_super())
    }
}

#[pymethods]
impl SnapshotKeyspace {
    /// The number of keys, about; in a short time whatever it is.
    fn estimated_len(slf: &Bound<'_, Self>) -> PyResult<u64> {
        estimated_len(slf.as_super())
    }
}

fn estimated_len(slf: &Bound<'_, KeyspaceReads>) -> PyResult<u64> {
    let keys = slf.get().opened(slf.py())?;
    released(slf.py(), || keys.estimated_len()).or_raise(slf.py())
}
