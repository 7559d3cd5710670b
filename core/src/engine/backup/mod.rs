//! Backup of a live database, and restore.
//!
//! ```text
//!   checkpoint (all commits so far) --> its pages pinned --> meta page made for them: clean, ends at the last
//!                                                            used page, names this backup
//!      full          every used page, in order       (full.rs)      a database file
//!      incremental   pages newer than the base       (changed.rs, incremental.rs)
//!                          |
//!                          +--> copied, each unit checked --> written whole --> the name is remembered
//! ```
//!
//! Writers go on: what they write is in memory, in the log, and in pages that the pinned checkpoint does not
//! reach. The database remembers a named backup only when all of it was written. So a name that it knows stands
//! for a file that was there; a crash in between leaves a backup that can be restored, but nothing can be based
//! on it.

mod changed;
mod full;
mod incremental;
mod pieces;
mod restore;

#[cfg(test)]
pub(crate) use incremental::{run_head, Header, LAYOUTS};
pub use restore::{restore, Restore, Source};

use super::Engine;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::file::backups::{BackupId, BackupRecord, LONGEST_NAME};
use crate::file::disk::{Disk, DiskFile};
use crate::file::meta::{Meta, META_PAGES};
use crate::file::new_file::{self, NewFile};
use crate::file::page::PAGE_BYTES;
use crate::file::space::Space;
use crate::sync::Arc;
use std::io::Write;

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// The last commit in it.
    pub commit: u64,
    /// Number of the checkpoint that it holds.
    pub checkpoint: u64,
    /// Pages of the database that were copied, the meta pages not counted.
    pub pages: u64,
    /// Length in bytes. A full backup at a path takes less of the disk: pages not in use are holes.
    pub bytes: u64,
}

/// What kind of backup is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish<'a> {
    /// The name to remember it by.
    pub name: Option<&'a str>,
    /// Only what changed after the backup of that name.
    pub since: Option<&'a str>,
}

/// A backup about to be written: its pages are kept until this is dropped.
struct Backup<'e> {
    engine: &'e Engine,
    /// Number of the state that is pinned.
    pinned: u64,
    /// The meta page of the image.
    meta: Meta,
    /// Of this backup, also if it has no name.
    id: BackupId,
    named: Option<BackupRecord>,
    base: Option<BackupRecord>,
}

impl Drop for Backup<'_> {
    fn drop(&mut self) {
        self.engine.pins.unpin(self.pinned);
        self.engine.let_go();
    }
}

impl Engine {
    /// Writes a backup to `out`. Errors: `BackupMismatch` if no backup called `wish.since` is remembered; those of a
    /// checkpoint, of `out` and of `control`; `Corrupt`.
    pub fn backup_to(&self, wish: Wish<'_>, out: &mut dyn Write, control: &mut Control<'_>) -> Result<BackupReport> {
        let backup = self.begin_backup(wish)?;
        let report = backup.write_to(out, control)?;
        backup.remember()?;
        Ok(report)
    }

    /// Writes a backup to the file `name` on `disk`, which is there wholly or as it was. Further errors: `Locked`
    /// if somebody has a database open there, `InvalidArgument` if there is a file and not `overwrite`.
    pub fn backup_file(
        &self,
        wish: Wish<'_>,
        (disk, name): (&Arc<dyn Disk>, &str),
        overwrite: bool,
        control: &mut Control<'_>,
    ) -> Result<BackupReport> {
        let claim = || match new_file::claim(&**disk, name)? {
            Some(_) if !overwrite => Err(there_is_a_file(name)),
            old => Ok(old),
        };
        // Now, so as not to do the work in vain, and again when it is done.
        claim()?;
        let backup = self.begin_backup(wish)?;
        control.check()?;
        let new = NewFile::begin(disk.clone(), name, self.env.random())?;
        let report = backup.write_file(new.file(), control)?;
        let _old = claim()?;
        new.take_place()?;
        if backup.base.is_none() {
            // That of a database which was not closed and is not there any more.
            crate::log::remove_segments(&**disk, name, None)?;
        }
        backup.remember()?;
        Ok(report)
    }

    /// Runs a checkpoint and pins what it wrote.
    fn begin_backup(&self, wish: Wish<'_>) -> Result<Backup<'_>> {
        let Wish { name, since } = wish;
        self.check_open()?;
        self.check_not_writing()?;
        if name.is_some_and(|name| name.is_empty() || name.len() > LONGEST_NAME || name.contains('\0')) {
            let what = format!("the name of a backup has 1 to {LONGEST_NAME} bytes without NUL");
            return Err(Error::InvalidArgument(what));
        }
        let base = since.map(|since| self.base(since)).transpose()?;
        let (pinned, meta) = self.pin_everything_committed()?;
        let mut backup = Backup { engine: self, pinned, meta, id: self.random_id(), named: None, base };
        let Meta { space, region_pages, used_pages, file_pages, .. } = backup.meta;
        backup.meta.file_pages = Space::open(space, region_pages, used_pages, file_pages).used_end(&self.pages)?;
        {
            let current = self.meta.lock();
            backup.meta.sequence = current.sequence + 1;
            backup.meta.backups = current.backups.clone();
        }
        // One that was remembered since the pages were pinned may be of a later checkpoint.
        backup.meta.backups.forget_after(backup.meta.generation);
        backup.meta.clean = true;
        if let Some(name) = name {
            let Meta { generation, commit, .. } = backup.meta;
            let record = BackupRecord { id: backup.id, name: name.to_owned(), generation, commit };
            backup.meta.backups.remember(record.clone());
            backup.named = Some(record);
        }
        Ok(backup)
    }

    fn base(&self, since: &str) -> Result<BackupRecord> {
        let meta = self.meta.lock();
        meta.backups.find(since).cloned().ok_or_else(|| {
            let known: Vec<&str> = meta.backups.iter().map(|backup| backup.name.as_str()).collect();
            Error::BackupMismatch(format!(
                "the database remembers no backup called {since:?}, only {known:?}; make a full one"
            ))
        })
    }

    fn random_id(&self) -> BackupId {
        let mut id = BackupId::default();
        id[..8].copy_from_slice(&self.env.random().to_le_bytes());
        id[8..].copy_from_slice(&self.env.random().to_le_bytes());
        id
    }

    /// A checkpoint that holds all commits of before, and a pin on its pages: number of the state, its meta page.
    fn pin_everything_committed(&self) -> Result<(u64, Meta)> {
        let wanted = self.published.commit();
        loop {
            let ran = self.checkpoint(false)?;
            let (state, _) = self.published.snapshot();
            if state.meta.commit >= wanted {
                self.pins.pin(state.number);
                return Ok((state.number, (*state.meta).clone()));
            }
            // One that had failed before is made up for first, and holds less.
            if !ran {
                return Err(Error::Internal("a checkpoint without the last commits".to_owned()));
            }
        }
    }

    /// Puts a backup on the list in the meta pages, durably. As in a checkpoint one page names what both did until
    /// the other does: before the first commit after opening, the log that the second page may still need is there.
    fn remember_backup(&self, record: BackupRecord) -> Result<()> {
        let mut current = self.meta.lock();
        self.check_open()?;
        self.check_latch()?;
        let mut meta = (**current).clone();
        meta.backups.remember(record);
        self.write_metas(&mut current, meta).map(|_| ())
    }

    /// The named backups that are remembered, the newest first.
    pub fn backups(&self) -> Vec<BackupRecord> {
        self.meta.lock().backups.iter().cloned().collect()
    }
}

impl Backup<'_> {
    /// Writes the backup to `out`, in one go from its first byte to its last.
    fn write_to(&self, out: &mut dyn Write, control: &mut Control<'_>) -> Result<BackupReport> {
        match &self.base {
            None => self.write_full(&mut full::Stream::new(out), control),
            Some(base) => self.write_incremental(base, out, control),
        }
    }

    /// Writes the backup to an empty file; pages not in use become holes.
    fn write_file(&self, file: &Arc<dyn DiskFile>, control: &mut Control<'_>) -> Result<BackupReport> {
        match &self.base {
            None => self.write_full(&mut full::Holes::new(file), control),
            Some(base) => {
                let mut out = std::io::BufWriter::with_capacity(pieces::GATHER_BYTES, pieces::FileWriter::new(file));
                let report = self.write_incremental(base, &mut out, control)?;
                out.flush().map_err(writing)?;
                Ok(report)
            }
        }
    }

    /// All of it was written: the database remembers its name, if it has one.
    fn remember(mut self) -> Result<()> {
        match self.named.take() {
            Some(record) => self.engine.remember_backup(record),
            None => Ok(()),
        }
    }

    fn report(&self, pages: u64, bytes: u64) -> BackupReport {
        BackupReport { commit: self.meta.commit, checkpoint: self.meta.generation, pages, bytes }
    }

    /// The copying goes on only as long as the database is open.
    fn check(&self) -> Result<()> {
        self.engine.check_open()
    }
}

fn there_is_a_file(name: &str) -> Error {
    Error::InvalidArgument(format!("there is a file {name:?} already; ask to overwrite it, or remove it"))
}

fn writing(e: std::io::Error) -> Error {
    Error::io("writing a backup", e)
}

/// Bytes of the meta pages.
const METAS_BYTES: u64 = META_PAGES * PAGE_BYTES as u64;
