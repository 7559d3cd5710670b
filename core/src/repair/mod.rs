//! Repair: a new database with every document and every key of a damaged file that can still be read.
//!
//! ```text
//!   damaged file (read only, shared lock)                             new file
//!     basis       a meta page, or what is left of one
//!     structure   tree table, directories --> blocks; manifest --> runs
//!                 where they are damaged: all pages searched
//!     records     of each tree in the order of their ordinals ------> puts, in batches
//!     keyspaces   of each run, the oldest first --------------------> puts, deletes, in batches
//!     tail        the log, as far as it can be read ----------------> puts, deletes, names
//!                                                                     checkpoint, closed, renamed
//! ```
//!
//! The new database is made by the engine like any other, so that its indexes and directories are built by
//! inserting, and nothing of the damaged structures comes over. It grows under a temporary name.

pub(crate) mod basis;
mod keyspaces;
mod losses;
mod records;
mod report;
mod structure;
mod tail;
mod target;

pub use report::{Loss, RepairBasis, RepairOptions, RepairReport, RepairedCollection, RepairedKeyspace, RepairedLog};

use crate::control::Control;
use crate::engine::open::Place;
use crate::engine::trees::{self, Kind, CATALOG};
use crate::engine::{Config, Durability, Engine};
use crate::env::{Env, SystemEnv};
use crate::error::{Error, Result};
use crate::file::disk::{Disk, DiskFile, LockError};
use crate::file::os::OsDisk;
use crate::file::page::{PageNo, PAGE_BYTES};
use crate::file::read_only::ReadOnlyDisk;
use crate::options::{Options, LARGEST_DOCUMENT_BYTES};
use basis::Basis;
use keyspaces::Keyspaces;
use losses::{Losses, Lost};
use records::Records;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use structure::Structure;
use target::Target;

/// The file to read.
pub(crate) struct Damaged<'d> {
    pub(crate) file: &'d Arc<dyn DiskFile>,
    pub(crate) name: &'d str,
    /// The directory, for reading only.
    pub(crate) log: &'d dyn Disk,
}

/// What is taken.
pub(crate) struct Limits {
    trust_unchecked: bool,
    document_bytes: usize,
}

/// Makes a new database at `new` with all that can still be read of the file at `damaged`, and its log. Not a
/// byte of the damaged file or its log is written; both may lie on a read-only device. The new file grows under a
/// temporary name beside `new`, gets its own at the end, and is durable then. Blocks for reading all of the old file and
/// writing all of the new one.
///
/// A file that was closed and is whole is copied exactly: all collections, all documents, all keyspaces, all keys,
/// nothing else, and ids that were assigned before are not assigned again. The order of a scan stays. Where blocks, or the list of a
/// collection's blocks, are damaged, what was there is missing; where the list is damaged the blocks that it
/// named are searched for, and documents that had been deleted or replaced may come back. Of keyspaces the newest
/// value that can be read counts: where a newer one is lost, an older one may come back, or a key that had been deleted.
/// [`RepairReport`] tells all of that.
///
/// Errors: `NoSuchFile`; `Locked` if the damaged file is open for writing, or the new one is open;
/// `InvalidArgument` if there is a file at `new` and `overwrite` is off, or both paths are the same;
/// `NotADatabase` or `Corrupt` if nothing tells the file's identity, without which no checksum can be checked, and
/// `trust_unchecked` is off; `UnknownFormat` for a file of a newer version; `Cancelled`, `DeadlineExceeded`; I/O
/// errors and `DiskFull` of the new file. What can't be read of the damaged file is never an error, but a loss. After an error
/// there is no new file, and a file at `new` is as it was, unless the last sync of the directory failed: then the
/// new file is there, and its name may not survive a power cut. A temporary file that could not be removed is
/// replaced by the next repair.
///
/// ```
/// # use nyro::{doc, Control, Database, Document, RepairOptions};
/// # let dir = std::env::temp_dir().join(format!("nyro-doc-{}-{}", std::process::id(), line!()));
/// # std::fs::create_dir_all(&dir)?;
/// # let (damaged, new) = (dir.join("damaged.nyro"), dir.join("new.nyro"));
/// # let db = Database::open(&damaged)?;
/// # db.collection::<Document>("users").put(&doc! { "_id": 1 })?;
/// # db.close()?;
/// let report = nyro::repair(&damaged, &new, &RepairOptions::default(), Control::new())?;
/// println!("{} documents saved, {} places lost", report.documents, report.lost_total);
/// # assert!(report.is_complete() && report.documents == 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn repair(
    damaged: impl AsRef<Path>,
    new: impl AsRef<Path>,
    options: &RepairOptions,
    mut control: Control<'_>,
) -> Result<RepairReport> {
    let resolve = |path: &Path| {
        OsDisk::resolve(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::NoSuchFile(path.display().to_string()),
            _ => Error::io("resolving the path", e),
        })
    };
    let ((from, from_name), (to, to_name)) = (resolve(damaged.as_ref())?, resolve(new.as_ref())?);
    if from.directory() == to.directory() && from_name == to_name {
        return Err(same());
    }
    let config = config(options)?;
    let repair = Repair {
        from: Arc::new(from),
        from_name: &from_name,
        to: Arc::new(to),
        to_name: &to_name,
        env: Arc::new(SystemEnv::new()),
        options,
        config,
    };
    repair.run(&mut control).map_err(|e| match e {
        Error::NotADatabase { reason, .. } => {
            Error::NotADatabase { path: damaged.as_ref().display().to_string(), reason }
        }
        Error::NoSuchFile(_) => Error::NoSuchFile(damaged.as_ref().display().to_string()),
        e => e,
    })
}

fn same() -> Error {
    Error::InvalidArgument("the new file must have another path than the damaged one".to_owned())
}

/// How the new database is opened.
pub(crate) fn config(options: &RepairOptions) -> Result<Config> {
    let options = Options {
        durability: Durability::Manual,
        cache_bytes: options.cache_bytes,
        max_document_bytes: LARGEST_DOCUMENT_BYTES,
        ..Options::default()
    };
    options.config(false)
}

/// A repair on any disk.
pub(crate) struct Repair<'r> {
    pub(crate) from: Arc<dyn Disk>,
    pub(crate) from_name: &'r str,
    pub(crate) to: Arc<dyn Disk>,
    pub(crate) to_name: &'r str,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) options: &'r RepairOptions,
    pub(crate) config: Config,
}

impl Repair<'_> {
    /// See [`repair`].
    pub(crate) fn run(&self, control: &mut Control<'_>) -> Result<RepairReport> {
        let file = self.from.open_read(self.from_name).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::NoSuchFile(self.from_name.to_owned()),
            _ => Error::io("opening the damaged file", e),
        })?;
        file.lock_shared().map_err(|e| lock_error(e, self.from_name))?;
        let replaced = self.replaced()?;
        let log = ReadOnlyDisk(self.from.clone());
        let damaged = Damaged { file: &file, name: self.from_name, log: &log };
        let basis = basis::find(&damaged, self.options.trust_unchecked, control)?;
        let temporary = format!("{}-repairing", self.to_name);
        self.remove_leftovers(&temporary)?;
        let made = self.make(&temporary, &damaged, basis, control);
        let done = made.and_then(|report| self.put_in_place(&temporary, replaced.is_some()).map(|()| report));
        if done.is_err() {
            // Nobody is there to be told of a second failure; the next repair removes what is left.
            let _ = self.remove_all(&temporary);
        }
        drop(replaced);
        done
    }

    /// The file that is in the new one's place, locked.
    fn replaced(&self) -> Result<Option<Arc<dyn DiskFile>>> {
        let there = match self.to.open_read(self.to_name) {
            Ok(there) => there,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("looking for the new file", e)),
        };
        if !self.options.overwrite {
            let name = self.to_name;
            return Err(Error::InvalidArgument(format!(
                "{name:?} is there already; set overwrite, or choose another path"
            )));
        }
        there.lock().map_err(|e| lock_error(e, self.to_name))?;
        Ok(Some(there))
    }

    /// Removes what an earlier repair left, if none is going on.
    fn remove_leftovers(&self, temporary: &str) -> Result<()> {
        match self.to.open_read(temporary) {
            Ok(there) => there.lock().map_err(|e| lock_error(e, temporary))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("looking for the temporary file", e)),
        }
        self.remove_all(temporary)
    }

    fn remove_all(&self, temporary: &str) -> Result<()> {
        let doing = |e| Error::io("removing the temporary file", e);
        let ours = |name: &String| {
            let rest = name.strip_prefix(temporary).unwrap_or("?");
            rest.is_empty() || rest == "-creating" || rest.starts_with("-wal-")
        };
        let mut names: Vec<String> = self.to.list(temporary).map_err(doing)?.into_iter().filter(ours).collect();
        // The data file last: while it is there, the others are known for what they are.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let mut removed = Ok(());
        for name in names {
            match self.to.remove(&name) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => removed = Err(doing(e)),
                _ => {}
            }
        }
        removed
    }

    fn make(&self, name: &str, damaged: &Damaged<'_>, basis: Basis, control: &mut Control<'_>) -> Result<RepairReport> {
        let place = Place { disk: self.to.clone(), env: self.env.clone(), name: name.to_owned(), hook: None };
        let engine = Engine::open(place, self.config.clone())?;
        let limits =
            Limits { trust_unchecked: self.options.trust_unchecked, document_bytes: LARGEST_DOCUMENT_BYTES as usize };
        let made = fill(&engine, damaged, basis, &limits, control);
        let closed = made.and_then(|report| engine.close().map(|()| report));
        engine.abandon();
        closed
    }

    fn put_in_place(&self, temporary: &str, replaces: bool) -> Result<()> {
        let doing = |e| Error::io("renaming the new file", e);
        // A marker beside it would make the new file one that was never finished.
        match self.to.remove(&format!("{}-creating", self.to_name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(doing(e)),
            _ => {}
        }
        self.to.rename(temporary, self.to_name).map_err(doing)?;
        if let Err(e) = self.to.sync_dir() {
            if !replaces {
                let _ = self.to.remove(self.to_name);
            }
            return Err(Error::io("syncing the directory", e));
        }
        if replaces {
            // The log of the file that was replaced; the next commit would remove it, too.
            let _ = crate::log::remove_segments(&*self.to, self.to_name, None);
        }
        Ok(())
    }
}

fn lock_error(e: LockError, name: &str) -> Error {
    match e {
        LockError::Held(holder) => Error::Locked { path: name.to_owned(), pid: holder.pid, user: holder.user },
        LockError::Io(e) => Error::io("locking the file", e),
    }
}

/// Fills the new database.
fn fill(
    engine: &Engine,
    damaged: &Damaged<'_>,
    mut basis: Basis,
    limits: &Limits,
    control: &mut Control<'_>,
) -> Result<RepairReport> {
    let length = damaged.file.len().map_err(|e| Error::io("reading the file's length", e))?;
    let file_pages = length.div_ceil(PAGE_BYTES as u64);
    let mut lost = Losses::default();
    if let Some(meta) = basis.meta.as_ref().filter(|meta| meta.file_pages > basis.copies.pages()) {
        let (expected, got) = (meta.file_pages, basis.copies.pages());
        lost.add_at(
            None,
            got,
            0,
            "end of the file",
            None,
            Error::corrupt("file length (pages)", got, 0, expected, got),
        );
    }
    let structure = Structure::read(&basis, limits.trust_unchecked, &mut lost, control)?;
    let mut target = Target::new(engine);
    let (mut done, total) = (0, structure.trees.values().filter_map(|tree| tree.entry.as_ref()).map(|e| e.live).sum());
    let names = read_catalog(&mut basis, &structure, limits, &mut lost, control)?;
    for (tree, (kind, name)) in &names.names {
        target.name(*tree, name, *kind)?;
    }
    for tree in structure.collections() {
        let (entry, complete) = structure.tree(tree);
        let (max_id, expected) = (entry.map_or(0, |entry| entry.max_id), entry.map(|entry| entry.live));
        let in_table = structure.trees.contains_key(&tree);
        // A whole catalog names all collections: another tree is one that was dropped.
        if structure.is_dropped(tree) || (names.complete && !in_table && !names.names.contains_key(&tree)) {
            continue;
        }
        if matches!(names.names.get(&tree), Some((Kind::Keyspace, _))) {
            let e = Error::corrupt("tree table (a keyspace)", tree.into(), 0, 0, 1);
            lost.add(Some(tree), PageNo::NONE, "documents of a keyspace", None, e);
            continue;
        }
        let records = Records {
            basis: &mut basis,
            structure: &structure,
            tree,
            limits,
            lost: &mut lost,
            control,
            done: &mut done,
            total,
        };
        records.read(&mut |given, _| {
            target.put(tree, given.document)?;
            if let Some(collection) = target.collection(tree)? {
                collection.uncertain += u64::from(given.is_uncertain);
                collection.unchecked += u64::from(!given.is_checked);
            }
            Ok(())
        })?;
        target.saw_id(tree, max_id);
        target.flush()?;
        let counted = target.trees.get(&tree).map(|c| target.count(c)).transpose()?;
        if let (Some(counted), Ok(Some(collection))) = (counted, target.collection(tree)) {
            collection.expected = expected;
            collection.missing = expected.map(|expected| expected.saturating_sub(counted));
            collection.complete = complete;
        }
    }
    for (tree, collection) in target.trees.iter_mut().filter(|(_, new)| new.kind == Kind::Collection) {
        if !structure.trees.contains_key(tree) {
            collection.complete &= structure.table_complete;
        }
    }
    Keyspaces::new((&basis, &structure, limits), &mut target, &mut lost, control, names.complete).copy()?;
    let log = tail::replay(damaged.log, damaged.name, &basis, limits, &mut target, &mut lost, control)?;
    target.flush()?;
    target.settle_ids()?;
    finish(&basis, &structure, &target, lost, file_pages, log, control)
}

fn finish(
    basis: &Basis,
    structure: &Structure,
    target: &Target<'_>,
    lost: Losses,
    file_pages: u64,
    log: RepairedLog,
    control: &mut Control<'_>,
) -> Result<RepairReport> {
    let (mut collections, mut keyspaces, mut keys) = (Vec::new(), Vec::new(), 0);
    for (tree, c) in &target.trees {
        if c.kind == Kind::Keyspace {
            keyspaces.push(RepairedKeyspace {
                name: c.name.clone(),
                named: c.named,
                keys: target.count_keys(c, &mut keys, control)?,
                complete: c.complete && !lost.trees.contains(tree),
                outdated: c.outdated,
                uncertain: c.uncertain,
                unchecked: c.unchecked,
            });
            continue;
        }
        collections.push(RepairedCollection {
            name: c.name.clone(),
            named: c.named,
            documents: target.count(c)?,
            expected: c.expected,
            missing: c.missing,
            complete: c.complete && !lost.trees.contains(tree),
            uncertain: c.uncertain,
            unchecked: c.unchecked,
        });
    }
    collections.sort_by(|a, b| a.name.cmp(&b.name));
    keyspaces.sort_by(|a, b| a.name.cmp(&b.name));
    let keyspace_of = |tree: u32| target.trees.get(&tree).filter(|tree| tree.kind == Kind::Keyspace);
    let name_of = |tree: u32| match (tree, target.trees.get(&tree)) {
        (CATALOG, _) => None,
        (_, Some(tree)) => Some(tree.name.clone()).filter(|_| tree.kind == Kind::Collection),
        _ => Some(format!("recovered-{tree}")),
    };
    let loss = |lost: Lost| Loss {
        page: lost.page,
        offset: lost.offset,
        what: lost.what,
        collection: lost.tree.and_then(name_of),
        keyspace: lost.tree.and_then(keyspace_of).map(|keyspace| keyspace.name.clone()),
        documents: lost.documents,
        reason: lost.reason,
    };
    Ok(RepairReport {
        basis: basis.kind,
        file_pages,
        searched: structure.searched,
        documents: collections.iter().map(|c| c.documents).sum(),
        collections,
        keys,
        keyspaces,
        lost_total: lost.total,
        lost: lost.list.into_iter().map(loss).collect(),
        log,
    })
}

/// The names that the catalog gives.
struct Names {
    names: BTreeMap<u32, (Kind, String)>,
    /// There are no others.
    complete: bool,
}

fn read_catalog(
    basis: &mut Basis,
    structure: &Structure,
    limits: &Limits,
    lost: &mut Losses,
    control: &mut Control<'_>,
) -> Result<Names> {
    // In the order of the ordinals, so that the last name of a collection, and the last collection of a name, stay.
    let mut by_tree: BTreeMap<u32, (Kind, String)> = BTreeMap::new();
    let mut by_name: BTreeMap<String, u32> = BTreeMap::new();
    let mut uncertain = false;
    let records = Records { basis, structure, tree: CATALOG, limits, lost, control, done: &mut 0, total: 0 };
    records.read(&mut |given, lost| {
        uncertain |= given.is_uncertain;
        let name = crate::record::key::key_of(given.document).and_then(trees::name_of_key);
        match (name, trees::named_by_document(given.document)) {
            (Some(name), Ok((kind, tree))) if tree != CATALOG && trees::check_name(name).is_ok() => {
                by_tree.insert(tree, (kind, name.to_owned()));
                by_name.insert(name.to_owned(), tree);
            }
            (_, tree) => {
                let bad = Error::corrupt("catalog (name)", given.address.page().0, given.address.slot().into(), 0, 0);
                let (page, at) = (given.address.page().0, given.address.slot().into());
                lost.add_at(
                    Some(CATALOG),
                    page,
                    at,
                    "name of a collection or keyspace",
                    None,
                    tree.err().unwrap_or(bad),
                );
            }
        }
        Ok(())
    })?;
    by_tree.retain(|tree, (_, name)| by_name.get(name) == Some(tree) && !structure.is_dropped(*tree));
    let complete = structure.tree(CATALOG).1 && !uncertain && !lost.trees.contains(&CATALOG);
    Ok(Names { names: by_tree, complete })
}
