//! Making a new file.
//!
//! ```text
//!   data file, marker file --> names synced --> pages, synced --> metas, synced --> marker removed
//! ```
//!
//! While the marker `<name>-creating` is there, nothing was ever committed to the file: whatever is found
//! beside it is thrown away and made anew, names included. What an attempt before left may be visible
//! without being on the disk, and where one of its syncs failed it may never get there.

use super::open::{lock, lock_shared, open_file, read_metas, FoundMeta, Place};
use super::Config;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::file::backups::Backups;
use crate::file::disk::{Disk, DiskFile};
use crate::file::meta::{Meta, META_PAGES};
use crate::file::page::{self, PageNo, PAGE_BYTES};
use crate::file::space::{Space, SpaceRoot};
use crate::file::tree::TreeRoot;
use crate::sync::Arc;
use std::io;

/// Sequence number of the meta pages of a new file. The first commit makes both durable with a higher one
/// before it is acknowledged.
const FIRST_SEQUENCE: u64 = 1;

/// Pages of a new file.
const FIRST_PAGES: u64 = 4;

/// How often a file may vanish between opening and locking it.
const ATTEMPTS: usize = 16;

/// Opens and locks the file and reads its meta pages; makes it, if it is not there or was never finished.
pub(super) fn find_or_create(place: &Place, config: &Config) -> Result<(Arc<dyn DiskFile>, FoundMeta)> {
    let (disk, name) = (&*place.disk, place.name.as_str());
    let marker = format!("{name}-creating");
    for _ in 0..ATTEMPTS {
        let file = open_file(disk, name, config.create)?;
        lock(&*file, name)?;
        // Only who holds the lock of a file takes its name away; it may have happened just before.
        if !file.is_linked() {
            continue;
        }
        let length = file.len().map_err(|e| Error::io("reading the file's length", e))?;
        let marked = disk.list(&marker).map_err(|e| Error::io("listing the directory", e))?.contains(&marker);
        let found = read_metas(&*file, name, length);
        let unfinished = match &found {
            Ok(found) => found.meta.sequence == FIRST_SEQUENCE,
            Err(_) => length <= FIRST_PAGES * PAGE_BYTES as u64,
        };
        if marked && unfinished {
            remove_unfinished(disk, name, &marker)?;
            continue;
        }
        let found = match found {
            Err(_) if length == 0 => create(place, config, &*file, &marker)?,
            Ok(found) if marked => {
                remove_marker(disk, &marker)?;
                found
            }
            other => other?,
        };
        return Ok((file, found));
    }
    Err(vanishes())
}

/// Opens the file for reading, beside other readers, and reads its meta pages. Makes, removes and writes nothing.
pub(super) fn find(place: &Place) -> Result<(Arc<dyn DiskFile>, FoundMeta)> {
    let (disk, name) = (&*place.disk, place.name.as_str());
    let marker = format!("{name}-creating");
    for _ in 0..ATTEMPTS {
        let file = disk.open_read(name).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::NoSuchFile(name.to_owned()),
            _ => Error::io("opening the file", e),
        })?;
        lock_shared(&*file, name)?;
        if !file.is_linked() {
            continue;
        }
        let length = file.len().map_err(|e| Error::io("reading the file's length", e))?;
        let marked = disk.list(&marker).map_err(|e| Error::io("listing the directory", e))?.contains(&marker);
        return match read_metas(&*file, name, length) {
            Err(_) if marked && length <= FIRST_PAGES * PAGE_BYTES as u64 => Err(Error::NotADatabase {
                path: name.to_owned(),
                reason: "its making was cut short, so it holds nothing: open it for writing once".to_owned(),
            }),
            found => Ok((file, found?)),
        };
    }
    Err(vanishes())
}

fn vanishes() -> Error {
    Error::io("opening the file", io::Error::other("it is removed again and again"))
}

/// The data file first: the marker alone is harmless, a half-made file without it is not.
fn remove_unfinished(disk: &dyn Disk, name: &str, marker: &str) -> Result<()> {
    for name in [name, marker] {
        match disk.remove(name) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("removing a file that was never finished", e))
            }
            _ => {}
        }
    }
    Ok(())
}

fn remove_marker(disk: &dyn Disk, marker: &str) -> Result<()> {
    match disk.remove(marker) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("removing the marker of a new file", e)),
        _ => disk.sync_dir().map_err(|e| Error::io("syncing the directory", e)),
    }
}

/// Makes an empty database in an empty file.
fn create(place: &Place, config: &Config, file: &dyn DiskFile, marker: &str) -> Result<FoundMeta> {
    let disk = &*place.disk;
    let doing = |e| Error::io("creating the file", e);
    if config.durable() {
        match disk.create(marker) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(doing(e)),
            _ => disk.sync_dir().map_err(doing)?,
        }
    }
    file.truncate(0).map_err(doing)?;
    file.allocate(FIRST_PAGES * PAGE_BYTES as u64).map_err(doing)?;
    let mut meta = first_meta(&*place.env, config);
    let mut space = Space::create(config.region_pages);
    let pages = NoPages;
    let (seed, mut units) = (meta.seed(), Vec::new());
    meta.space = space.persist(&pages, &mut |page, unit| {
        units.push((page, unit));
        Ok(())
    })?;
    meta.used_pages = space.used_pages();
    for (number, mut unit) in units {
        page::seal(&mut unit, 1, seed);
        file.write_at(&unit, number.offset()).map_err(doing)?;
    }
    if config.durable() {
        file.sync_data().map_err(doing)?;
    }
    for slot in 0..META_PAGES {
        file.write_at(&meta.encode(), slot * PAGE_BYTES as u64).map_err(doing)?;
    }
    if config.durable() {
        file.sync_data().map_err(doing)?;
        disk.sync_dir().map_err(doing)?;
        remove_marker(disk, marker)?;
    }
    Ok(FoundMeta { meta, slot: 0, twin: true, durable: config.durable() })
}

fn first_meta(env: &dyn Env, config: &Config) -> Meta {
    let mut identity = [0; 16];
    identity[..8].copy_from_slice(&env.random().to_le_bytes());
    identity[8..].copy_from_slice(&env.random().to_le_bytes());
    Meta {
        identity,
        hash_key: [env.random(), env.random()],
        sequence: FIRST_SEQUENCE,
        generation: 1,
        clean: true,
        commit: 0,
        epoch: 0,
        lsn: 0,
        chain: 0,
        next_ordinal: 1,
        next_tree: 1,
        file_pages: FIRST_PAGES,
        used_pages: META_PAGES,
        region_pages: config.region_pages,
        tree_table: TreeRoot::default(),
        space: SpaceRoot::default(),
        block_pages: 0,
        block_live_bytes: 0,
        manifest: TreeRoot::default(),
        next_run: 1,
        flushed_bytes: 0,
        run_bytes: 0,
        backups: Backups::default(),
    }
}

/// The pages of a file that has none yet.
struct NoPages;

impl page::PageSource for NoPages {
    fn unit(&self, page: PageNo, kind: page::PageKind) -> Result<&[u8]> {
        Err(Error::corrupt(kind.name(), page.0, 0, 0, 0))
    }
}
