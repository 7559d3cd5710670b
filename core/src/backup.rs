//! Backup and restore, as users call them.
//!
//! ```text
//!   Database::backup, backup_with   -> a file          full: a database file
//!   Database::backup_to             -> a stream        since a name: what changed after it
//!
//!   restore(target, [full, incremental, ...])          verified as a whole before it takes the target's place
//! ```

use crate::control::Control;
use crate::database::{is_document, Database, Lease, MEMORY};
use crate::engine::backup::{self, BackupReport, Restore, Source, Wish};
use crate::engine::open::Place;
use crate::engine::verify::VerifyReport;
use crate::env::{Env, SystemEnv};
use crate::error::{Error, Result};
use crate::file::disk::{Disk, LockError};
use crate::file::os::OsDisk;
use crate::options::Options;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Which backup to make.
///
/// ```
/// use nyro::BackupOptions;
/// // A full one on Sunday, then every day what changed since the day before.
/// let full = BackupOptions { name: Some("sunday".into()), ..BackupOptions::default() };
/// let monday = BackupOptions { name: Some("monday".into()), since: Some("sunday".into()), ..BackupOptions::default() };
/// # let _ = (full, monday);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackupOptions {
    /// The name by which the database remembers it, so that an incremental one can be based on it: 1 to 63 bytes
    /// without NUL. The last 16 names are remembered; a name used again stands for the newer backup. Default:
    /// none.
    pub name: Option<String>,
    /// Incremental: write only what changed since the backup of this name. Default: none, a full backup.
    pub since: Option<String>,
    /// Replace a file that is there. Default: false.
    pub overwrite: bool,
}

impl BackupOptions {
    fn wish(&self) -> Wish<'_> {
        Wish { name: self.name.as_deref(), since: self.since.as_deref() }
    }
}

/// How to restore.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestoreOptions {
    /// Replace a file that is there, and its log. Default: false.
    pub overwrite: bool,
}

/// A backup that the database remembers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct BackupInfo {
    /// Its name.
    pub name: String,
    /// The last commit in it.
    pub commit: u64,
    /// Number of the checkpoint that it holds.
    pub checkpoint: u64,
}

impl Database {
    /// Writes a full backup to a new file at `path`: the whole database with every commit made before the call.
    /// The file is itself a database that can be opened. [`Database::backup_with`] with the default options.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<BackupReport> {
        self.backup_with(path, &BackupOptions::default(), Control::new())
    }

    /// Writes a backup to a file: written beside `path` under another name, synced, then renamed. After an error
    /// (a full disk, a cancellation) what was at `path` is as it was, and no temporary file is left.
    ///
    /// Blocks for a checkpoint and for copying the file (or what changed, for an incremental one). Reads and writes
    /// go on meanwhile; pages that they give up are used again only when the backup is done, so the file may
    /// grow. The checksum of every unit is verified on the way.
    ///
    /// The name is remembered, durably, when the file is in its place. If just that fails, the file can be
    /// restored, but no incremental backup can be based on it.
    ///
    /// Errors: `InvalidArgument` if there is a file and `overwrite` is off, or for a bad name; `BackupMismatch` if
    /// no backup called `since` is remembered; `Locked` if a database is open at `path`; `Corrupt` if a page is
    /// damaged; `Cancelled`, `DeadlineExceeded`; `Closed` if the database is closed meanwhile;
    /// `NestedTransaction` inside [`Database::write`]; I/O errors.
    pub fn backup_with(
        &self,
        path: impl AsRef<Path>,
        options: &BackupOptions,
        control: Control<'_>,
    ) -> Result<BackupReport> {
        let path = path.as_ref();
        let (disk, name) = resolve(path)?;
        let disk: Arc<dyn Disk> = Arc::new(disk);
        backup_file(self, &disk, &name, options, control).map_err(|e| with_path(e, path))
    }

    /// Writes a backup to `out`, in one pass: a full one is the bytes of a database file (pages not in use are
    /// zeros), an incremental one those of its file. What `out` got after an error is no backup. The name is
    /// remembered when `out` was flushed; making the bytes durable is up to the caller.
    ///
    /// Blocks and fails as [`Database::backup_with`]; `overwrite` is not looked at.
    pub fn backup_to(
        &self,
        mut out: impl Write,
        options: &BackupOptions,
        mut control: Control<'_>,
    ) -> Result<BackupReport> {
        let engine = self.open_engine()?;
        let _lease = Lease::bare(self.shared());
        engine.backup_to(options.wish(), &mut out, &mut control)
    }

    /// The named backups that the database remembers, the newest first.
    pub fn backups(&self) -> Result<Vec<BackupInfo>> {
        let records = self.open_engine()?.backups().into_iter();
        let info = |backup: crate::file::backups::BackupRecord| BackupInfo {
            name: backup.name,
            commit: backup.commit,
            checkpoint: backup.generation,
        };
        Ok(records.map(info).collect())
    }
}

/// Makes a database file at `target` from a full backup and the incremental ones after it, in their order. Any
/// database file that was closed may stand for a full backup. Returns what the verification of the whole found.
///
/// The file is built under another name beside `target`, synced, verified as a whole, and only then put in the
/// target's place; after an error (a damaged backup, a wrong order, a full disk, a cancellation) the target and
/// its log are as they were. The target is locked meanwhile.
///
/// Each backup names the one that it is based on by a random id: one of another database, of another order, or
/// of a copy of this database that went on by itself is refused. The restored database has the identity of the
/// one that was backed up, and its commit numbers.
///
/// Errors: `BackupMismatch`; `Corrupt`, `NotADatabase`, `UnknownFormat` for a file that is no whole backup;
/// `InvalidArgument` if there is a file and `overwrite` is off; `Locked` if the target, or the full backup, is open
/// as a database; `Cancelled`, `DeadlineExceeded`; I/O errors.
///
/// ```
/// use nyro::{doc, restore, BackupOptions, Control, Database, Document, RestoreOptions};
/// # let dir = std::env::temp_dir().join(format!("nyro-doc-{}-{}", std::process::id(), line!()));
/// # std::fs::create_dir_all(&dir).expect("a temporary directory");
/// let db = Database::open(dir.join("app.nyro"))?;
/// let notes = db.collection::<Document>("notes");
/// notes.insert_one(&doc! { "text": "in the full backup" })?;
/// let full = BackupOptions { name: Some("full".into()), ..BackupOptions::default() };
/// db.backup_with(dir.join("full.nyro"), &full, Control::new())?;
/// notes.insert_one(&doc! { "text": "only in the second" })?;
/// let second = BackupOptions { since: Some("full".into()), ..BackupOptions::default() };
/// db.backup_with(dir.join("second.inc"), &second, Control::new())?;
///
/// let backups = [dir.join("full.nyro"), dir.join("second.inc")];
/// let restored = restore(dir.join("copy.nyro"), &backups, &RestoreOptions::default(), Control::new())?;
/// assert_eq!(restored.documents, 2);
/// # db.close()?;
/// # std::fs::remove_dir_all(&dir).expect("removed");
/// # Ok::<(), nyro::Error>(())
/// ```
pub fn restore(
    target: impl AsRef<Path>,
    backups: &[impl AsRef<Path>],
    options: &RestoreOptions,
    control: Control<'_>,
) -> Result<VerifyReport> {
    let target = target.as_ref();
    let mut sources = Vec::new();
    for (at, path) in backups.iter().map(AsRef::as_ref).enumerate() {
        let (disk, name) = resolve(path)?;
        let source = open_source(&disk, &name, path.display().to_string(), at == 0);
        sources.push(source.map_err(|e| with_path(e, path))?);
    }
    restore_to(target, sources, options, control)
}

/// [`restore`] from streams: a full backup first, then incremental ones in their order. Each is read once, from
/// its beginning.
pub fn restore_from(
    target: impl AsRef<Path>,
    backups: &mut [&mut dyn Read],
    options: &RestoreOptions,
    control: Control<'_>,
) -> Result<VerifyReport> {
    let sources = backups.iter_mut().enumerate();
    let sources = sources.map(|(at, reader)| Source::reader(format!("backup {}", at + 1), reader)).collect();
    restore_to(target.as_ref(), sources, options, control)
}

fn restore_to(
    target: &Path,
    sources: Vec<Source<'_>>,
    options: &RestoreOptions,
    control: Control<'_>,
) -> Result<VerifyReport> {
    let (disk, name) = resolve(target)?;
    let env = Arc::new(SystemEnv::new());
    restore_file(Arc::new(disk), env, &name, sources, options, control).map_err(|e| match e {
        // Other errors with a path name the backup.
        Error::Locked { .. } => with_path(e, target),
        other => other,
    })
}

/// [`Database::backup_with`] to a file on a given disk.
pub(crate) fn backup_file(
    db: &Database,
    disk: &Arc<dyn Disk>,
    name: &str,
    options: &BackupOptions,
    mut control: Control<'_>,
) -> Result<BackupReport> {
    let engine = db.open_engine()?;
    let _lease = Lease::bare(db.shared());
    engine.backup_file(options.wish(), (disk, name), options.overwrite, &mut control)
}

/// [`restore`] on a given disk.
pub(crate) fn restore_file(
    disk: Arc<dyn Disk>,
    env: Arc<dyn Env>,
    name: &str,
    sources: Vec<Source<'_>>,
    options: &RestoreOptions,
    mut control: Control<'_>,
) -> Result<VerifyReport> {
    let place = Place { disk, env, name: name.to_owned(), hook: None };
    let config = Options::default().config(false)?;
    backup::restore(Restore { place, config, overwrite: options.overwrite, sources }, &is_document, &mut control)
}

/// Opens a backup for reading. A full one may be a database: nobody may have it open for writing.
pub(crate) fn open_source(disk: &dyn Disk, name: &str, label: String, full: bool) -> Result<Source<'static>> {
    let file = disk.open_read(name).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::NoSuchFile(label.clone()),
        _ => Error::io("opening a backup", e),
    })?;
    if full {
        file.lock_shared().map_err(|e| match e {
            LockError::Held(holder) => Error::Locked { path: label.clone(), pid: holder.pid, user: holder.user },
            LockError::Io(e) => Error::io("locking a backup", e),
        })?;
    }
    Ok(Source::file(label, file))
}

fn resolve(path: &Path) -> Result<(OsDisk, String)> {
    if path == Path::new(MEMORY) {
        return Err(Error::InvalidArgument(format!("{MEMORY} is no place for a backup or to restore to")));
    }
    OsDisk::resolve(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::NoSuchFile(path.display().to_string()),
        _ => Error::io("resolving the path", e),
    })
}

/// The error with the whole path in place of the name on its disk.
fn with_path(e: Error, path: &Path) -> Error {
    match e {
        Error::Locked { pid, user, .. } => Error::Locked { path: path.display().to_string(), pid, user },
        other => other,
    }
}
