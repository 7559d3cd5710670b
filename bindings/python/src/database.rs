//! The database: opening, closing, and the calls on the file as a whole.

use crate::cancel::CancelToken;
use crate::collection::Collection;
use crate::error::OrRaise;
use crate::gil::{released, Held};
use crate::keyspace::{self, Keyspace};
use crate::long::Limits;
use crate::report;
use crate::snapshot::Snapshot;
use crate::transaction::Transaction;
use nyro_owned::settings::{self, Setting};
use nyro_owned::{BackupOptions, Options, RepairOptions, RestoreOptions};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// How long the end of the program waits for databases to close.
const CLOSING_PATIENCE: Duration = Duration::from_secs(10);

/// An open database.
#[pyclass(module = "nyrodb", frozen, weakref)]
pub struct Database {
    /// The engine's handle.
    pub db: Arc<Held<nyro_owned::Database>>,
    path: PathBuf,
}

/// The databases that were opened and may still be open.
static OPENED: Mutex<Vec<Weak<Held<nyro_owned::Database>>>> = Mutex::new(Vec::new());

fn remember(db: &Arc<Held<nyro_owned::Database>>) {
    if let Ok(mut opened) = OPENED.lock() {
        opened.retain(|db| db.strong_count() > 0);
        opened.push(Arc::downgrade(db));
    }
}

/// Closes all databases, within some seconds. One that does not close in time is as after a crash: nothing
/// acknowledged is lost.
pub fn close_all() {
    let opened = OPENED.lock().map(|mut opened| std::mem::take(&mut *opened)).unwrap_or_default();
    let open: Vec<nyro_owned::Database> =
        opened.iter().filter_map(Weak::upgrade).map(|db| nyro_owned::Database::clone(&db)).collect();
    if open.is_empty() {
        return;
    }
    let (done, wait) = mpsc::channel();
    let closing = std::thread::Builder::new().name("nyrodb-exit".to_owned()).spawn(move || {
        for db in open {
            // There is nobody to tell any more, and the file stays sound.
            let _ = db.close();
        }
        let _ = done.send(());
    });
    if closing.is_ok() {
        let _ = wait.recv_timeout(CLOSING_PATIENCE);
    }
}

/// In a forked child: the parent's databases are not this process's to close.
pub fn forget_all() {
    if let Ok(mut opened) = OPENED.try_lock() {
        opened.clear();
    }
}

/// Opens the database at ``path``, making it if there is none; ``":memory:"`` opens one that lives in memory.
#[pyfunction]
#[pyo3(signature = (path, *, create=None, read_only=None, durability=None, cache_bytes=None, log_max_bytes=None,
    writer_timeout_ms=None, max_document_bytes=None, read_mode=None, snapshot_max_age_ms=None,
    allow_network_file_system=None))]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python, each with its type there")]
pub fn open(
    py: Python<'_>,
    path: PathBuf,
    create: Option<&Bound<'_, PyAny>>,
    read_only: Option<&Bound<'_, PyAny>>,
    durability: Option<&Bound<'_, PyAny>>,
    cache_bytes: Option<&Bound<'_, PyAny>>,
    log_max_bytes: Option<&Bound<'_, PyAny>>,
    writer_timeout_ms: Option<&Bound<'_, PyAny>>,
    max_document_bytes: Option<&Bound<'_, PyAny>>,
    read_mode: Option<&Bound<'_, PyAny>>,
    snapshot_max_age_ms: Option<&Bound<'_, PyAny>>,
    allow_network_file_system: Option<&Bound<'_, PyAny>>,
) -> PyResult<Database> {
    let mut options = Options::default();
    let given = [
        ("create", create),
        ("read_only", read_only),
        ("durability", durability),
        ("cache_bytes", cache_bytes),
        ("log_max_bytes", log_max_bytes),
        ("writer_timeout_ms", writer_timeout_ms),
        ("max_document_bytes", max_document_bytes),
        ("read_mode", read_mode),
        ("snapshot_max_age_ms", snapshot_max_age_ms),
        ("allow_network_file_system", allow_network_file_system),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            settings::set(&mut options, name, &setting(value)?).or_raise(py)?;
        }
    }
    let db = released(py, || nyro_owned::Database::open_with(&path, options)).or_raise(py)?;
    let db = Arc::new(Held::new(db));
    remember(&db);
    Ok(Database { db, path })
}

fn setting(value: &Bound<'_, PyAny>) -> PyResult<Setting> {
    if let Ok(value) = value.cast::<pyo3::types::PyBool>() {
        return Ok(Setting::Bool(value.is_true()));
    }
    if value.is_instance_of::<pyo3::types::PyInt>() {
        // Beyond 64 bits is out of every range.
        return Ok(Setting::Int(value.extract().unwrap_or(-1)));
    }
    match value.extract() {
        Ok(text) => Ok(Setting::Text(text)),
        Err(_) => {
            Err(PyTypeError::new_err(format!("an option must be bool, int or str, not {}", value.get_type().name()?)))
        }
    }
}

#[pymethods]
impl Database {
    /// The path that it was opened with.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Closes this handle; later calls on it are ``ClosedError``. The last handle closes the file.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        released(py, || self.db.close()).or_raise(py)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (exc_type, exc_value, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exc_type, exc_value, traceback);
        self.close(py)
    }

    fn __repr__(&self) -> String {
        format!("<nyrodb.Database {:?}>", self.path)
    }

    fn __getitem__(&self, name: &str) -> Collection {
        self.collection(name)
    }

    /// The collection of that name: made by its first write, empty before.
    fn collection(&self, name: &str) -> Collection {
        Collection::live(&self.db, name)
    }

    /// The keyspace of that name, an ordered map: made by its first write, empty before.
    fn keyspace<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, Keyspace>> {
        keyspace::live(py, &self.db, name)
    }

    /// A transaction, for ``with``: committed at the end, rolled back by an exception.
    fn transaction(&self) -> Transaction {
        Transaction::new((**self.db).clone())
    }

    /// Calls ``function`` with a transaction, commits, and gives what it returned; an exception rolls back.
    #[pyo3(signature = (function, /))]
    fn write<'py>(&self, py: Python<'py>, function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let tx = Bound::new(py, self.transaction())?;
        tx.get().begin(py)?;
        match function.call1((&tx,)) {
            Ok(result) => tx.get().end(py, true).map(|()| result),
            Err(e) => {
                // Should that fail, too: the caller's own error says why nothing was written.
                let _ = tx.get().end(py, false);
                Err(e)
            }
        }
    }

    /// The whole database as of now; it never changes.
    fn snapshot(&self, py: Python<'_>) -> PyResult<Snapshot> {
        Ok(Snapshot::new(self.db.clone(), self.db.snapshot().or_raise(py)?))
    }

    /// Makes every commit so far durable, whatever the durability.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        released(py, || self.db.sync()).or_raise(py)
    }

    /// Moves everything from memory and log into the file now.
    fn checkpoint(&self, py: Python<'_>) -> PyResult<()> {
        released(py, || self.db.checkpoint()).or_raise(py)
    }

    /// Makes the file as small as its documents allow.
    #[pyo3(signature = (*, progress=None, cancel=None, timeout=None))]
    fn compact<'py>(
        &self,
        py: Python<'py>,
        progress: Option<Bound<'py, PyAny>>,
        cancel: Option<Bound<'py, CancelToken>>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limits = Limits { progress, cancel, timeout };
        let made = limits.run(py, |control| self.db.compact_with(control))?;
        report::new(py, "CompactReport", &made)
    }

    /// Brings pages of the file into memory, up to ``limit_bytes`` (by default ``cache_bytes``).
    #[pyo3(signature = (*, limit_bytes=None, progress=None, cancel=None, timeout=None))]
    fn warm_up<'py>(
        &self,
        py: Python<'py>,
        limit_bytes: Option<u64>,
        progress: Option<Bound<'py, PyAny>>,
        cancel: Option<Bound<'py, CancelToken>>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limits = Limits { progress, cancel, timeout };
        let made = limits.run(py, |control| {
            let limit_bytes = limit_bytes.map_or_else(|| self.db.stats().map(|stats| stats.cache_bytes), Ok)?;
            self.db.warm_up_with(limit_bytes, control)
        })?;
        report::new(py, "WarmUpReport", &made)
    }

    /// Writes a backup to a file: all of it, or what changed since the backup named ``since``.
    #[pyo3(signature = (path, *, name=None, since=None, overwrite=false, progress=None, cancel=None, timeout=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn backup<'py>(
        &self,
        py: Python<'py>,
        path: PathBuf,
        name: Option<String>,
        since: Option<String>,
        overwrite: bool,
        progress: Option<Bound<'py, PyAny>>,
        cancel: Option<Bound<'py, CancelToken>>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = BackupOptions { name, since, overwrite };
        let limits = Limits { progress, cancel, timeout };
        let made = limits.run(py, |control| self.db.backup_with(&path, &options, control))?;
        report::new(py, "BackupReport", &made)
    }

    /// The named backups that the database remembers, the newest first.
    fn backups<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let backups = released(py, || self.db.backups()).or_raise(py)?;
        let made = backups.iter().map(|backup| report::new(py, "BackupInfo", backup));
        PyList::new(py, made.collect::<PyResult<Vec<_>>>()?)
    }

    /// Checks the whole database: every page, checksum and document.
    #[pyo3(signature = (*, progress=None, cancel=None, timeout=None))]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        progress: Option<Bound<'py, PyAny>>,
        cancel: Option<Bound<'py, CancelToken>>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limits = Limits { progress, cancel, timeout };
        let made = limits.run(py, |control| self.db.verify_with(control))?;
        report::new(py, "VerifyReport", &made)
    }

    /// Figures about the database as of now.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let made = released(py, || self.db.stats()).or_raise(py)?;
        report::new(py, "Stats", &made)
    }

    /// Names of all collections, sorted.
    fn collection_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        released(py, || self.db.collection_names()).or_raise(py)
    }

    /// Makes an empty collection. Error: ``CollectionExistsError``.
    fn create_collection(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        released(py, || self.db.create_collection(name)).or_raise(py)
    }

    /// Gives a collection another name.
    fn rename_collection(&self, py: Python<'_>, old: &str, new: &str) -> PyResult<()> {
        released(py, || self.db.rename_collection(old, new)).or_raise(py)
    }

    /// Drops a collection with all its documents; False if there is none.
    fn drop_collection(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        released(py, || self.db.drop_collection(name)).or_raise(py)
    }

    /// Names of all keyspaces, sorted.
    fn keyspace_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        released(py, || self.db.keyspace_names()).or_raise(py)
    }

    /// Gives a keyspace another name. Errors: ``CollectionNotFoundError``, ``CollectionExistsError``.
    fn rename_keyspace(&self, py: Python<'_>, old: &str, new: &str) -> PyResult<()> {
        released(py, || self.db.rename_keyspace(old, new)).or_raise(py)
    }

    /// Drops a keyspace with all its keys; False if there is none.
    fn drop_keyspace(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        released(py, || self.db.drop_keyspace(name)).or_raise(py)
    }

    /// Figures about what the keyspaces lie in: one tree for all of them.
    fn keyspace_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let made = released(py, || self.db.keyspace_stats()).or_raise(py)?;
        report::new(py, "KeyspaceStats", &made)
    }
}

/// Makes a database file at ``target`` from a full backup and the incremental ones after it.
#[pyfunction]
#[pyo3(signature = (target, backups, *, overwrite=false, progress=None, cancel=None, timeout=None))]
pub fn restore<'py>(
    py: Python<'py>,
    target: PathBuf,
    backups: &Bound<'py, PyAny>,
    overwrite: bool,
    progress: Option<Bound<'py, PyAny>>,
    cancel: Option<Bound<'py, CancelToken>>,
    timeout: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    // One path stands for a list of one.
    let backups: Vec<PathBuf> = match backups.extract() {
        Ok(path) => vec![path],
        Err(_) => backups.try_iter()?.map(|path| path?.extract()).collect::<PyResult<_>>()?,
    };
    let options = RestoreOptions { overwrite };
    let limits = Limits { progress, cancel, timeout };
    let made = limits.run(py, |control| nyro_owned::restore(&target, &backups, &options, control))?;
    report::new(py, "VerifyReport", &made)
}

/// Saves what can be saved of a damaged file into a new one.
#[pyfunction]
#[pyo3(signature = (damaged, target, *, overwrite=false, trust_unchecked=false, progress=None, cancel=None,
    timeout=None))]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn repair<'py>(
    py: Python<'py>,
    damaged: PathBuf,
    target: PathBuf,
    overwrite: bool,
    trust_unchecked: bool,
    progress: Option<Bound<'py, PyAny>>,
    cancel: Option<Bound<'py, CancelToken>>,
    timeout: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = RepairOptions { overwrite, trust_unchecked, ..RepairOptions::default() };
    let limits = Limits { progress, cancel, timeout };
    let made = limits.run(py, |control| nyro_owned::repair(&damaged, &target, &options, control))?;
    report::of(py, "RepairReport", &nyro_owned::report::of_repair(&made).or_raise(py)?)
}
