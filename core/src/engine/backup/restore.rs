//! Restore: from a full backup and the incremental ones after it to a database file.
//!
//! ```text
//!   full ----> temporary file beside the target
//!   inc 1 ---->   |  its base is the backup before it? pages over pages
//!   inc 2 ---->   |
//!                 +--> meta pages, sync --> all of it verified --> takes the target's name --> old log removed
//! ```
//!
//! Nothing is trusted before the whole was verified, and the target is locked and untouched until then. A crash
//! behind the renaming leaves the new file beside the old log: its meta pages say clean, so no log is looked
//! at, and the first commit removes it.

use super::full::{Holes, Image};
use super::incremental::{self, decode_run_head, Header, HEADER_BYTES, RUN_BYTES};
use super::pieces::{FileReader, GATHER_BYTES};
use super::{there_is_a_file, METAS_BYTES};
use crate::control::{Control, Progress};
use crate::engine::open::{choose_meta, FoundMeta, Place};
use crate::engine::verify::{IsDocument, VerifyReport};
use crate::engine::{Config, Engine};
use crate::error::{Error, Result};
use crate::file::backups::BackupId;
use crate::file::disk::DiskFile;
use crate::file::meta::{self, Meta, MetaError, META_PAGES};
use crate::file::new_file::{self, NewFile};
use crate::file::page::{PageNo, PAGE_BYTES};
use crate::log;
use crate::sync::Arc;
use std::io::{self, Read};
use xxhash_rust::xxh3::Xxh3;

/// Where a backup is read from.
pub struct Source<'a> {
    /// What it is called in errors.
    label: String,
    reader: Box<dyn Read + 'a>,
}

impl<'a> Source<'a> {
    /// A backup that comes from a reader.
    pub fn reader(label: String, reader: impl Read + 'a) -> Source<'a> {
        Source { label, reader: Box::new(reader) }
    }

    /// A backup in a file.
    pub fn file(label: String, file: Arc<dyn DiskFile>) -> Source<'a> {
        Source::reader(label, FileReader::new(file))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.reader.read_exact(bytes).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Error::corrupt("backup (cut short)", 0, 0, bytes.len() as u64, 0),
            _ => Error::io("reading a backup", e),
        })
    }
}

/// What is restored, and where to.
pub struct Restore<'a> {
    /// The database file to be; the hook is not used.
    pub place: Place,
    /// How to open it for verifying.
    pub config: Config,
    /// Whether there may be a file of that name.
    pub overwrite: bool,
    /// A full backup, then incremental ones in their order.
    pub sources: Vec<Source<'a>>,
}

/// Restores and verifies; see the module's text. On error the target is as it was, or wholly the new one.
///
/// Errors: `BackupMismatch`, `Corrupt`, `NotADatabase`, `UnknownFormat`, `Locked`, I/O errors, those of `control`.
pub fn restore(restore: Restore<'_>, is_document: IsDocument<'_>, control: &mut Control<'_>) -> Result<VerifyReport> {
    let Restore { place, config, overwrite, sources } = restore;
    // Held to the end: what somebody commits to the old file meanwhile would be lost.
    let old = new_file::claim(&*place.disk, &place.name)?;
    if old.is_some() && !overwrite {
        return Err(there_is_a_file(&place.name));
    }
    let new = NewFile::begin(place.disk.clone(), &place.name, place.env.random())?;
    let meta = build(sources, new.file(), control)?;
    new.file().sync_data().map_err(|e| Error::io("syncing a restored file", e))?;
    control.step(Progress::new("verifying", 0, meta.used_pages, "pages"))?;
    let beside = Place { name: new.temporary().to_owned(), ..place.clone() };
    let report = verify(beside, config, new.file(), meta, is_document, control)?;
    control.check()?;
    if old.is_none() && new_file::claim(&*place.disk, &place.name)?.is_some() {
        return Err(there_is_a_file(&place.name));
    }
    new.take_place()?;
    log::remove_segments(&*place.disk, &place.name, None)?;
    Ok(report)
}

/// Writes the state that the sources lead to, meta pages included.
fn build(sources: Vec<Source<'_>>, file: &Arc<dyn DiskFile>, control: &mut Control<'_>) -> Result<Meta> {
    let mut sources = sources.into_iter();
    let none = || Error::InvalidArgument("a restore begins with a full backup".to_owned());
    let mut full = sources.next().ok_or_else(none)?;
    let mut state = copy_full(&mut full, file, control)?;
    for mut source in sources {
        state = apply(&mut source, &state, file, control)?;
    }
    let meta = state.meta;
    let doing = |e| Error::io("writing a restored file", e);
    file.truncate(PageNo(meta.file_pages).offset()).map_err(doing)?;
    Holes::new(file).end(meta.file_pages)?;
    file.write_at(&meta.encode().repeat(2), 0).map_err(doing)?;
    Ok(meta)
}

/// What has been restored so far.
struct Restored {
    meta: Meta,
    /// The backups that this state is.
    ids: Vec<BackupId>,
}

impl Restored {
    fn new(meta: Meta, own: Option<BackupId>) -> Restored {
        // No checkpoint comes twice on the way of a database, so a record of this one is a record of this state.
        let named = meta.backups.iter().filter(|backup| backup.generation == meta.generation);
        let ids = named.map(|backup| backup.id).chain(own).collect();
        Restored { meta, ids }
    }

    /// The backups that this state is, for an error.
    fn names(&self) -> String {
        let names: Vec<String> = self.ids.iter().map(|id| name_of(&self.meta, id)).collect();
        let names = if names.is_empty() { "a backup without a name".to_owned() } else { names.join(", ") };
        format!("{names} (checkpoint {})", self.meta.generation)
    }
}

/// Name and id of a backup.
fn name_of(meta: &Meta, id: &BackupId) -> String {
    let hex: String = id.iter().map(|b| format!("{b:02x}")).collect();
    match meta.backups.by_id(id) {
        Some(record) => format!("{:?} with id {hex}", record.name),
        None => format!("the one with id {hex}"),
    }
}

/// Copies a full backup, the meta pages left out.
fn copy_full(source: &mut Source<'_>, file: &Arc<dyn DiskFile>, control: &mut Control<'_>) -> Result<Restored> {
    let mut metas = vec![0; METAS_BYTES as usize];
    let (start, rest) = metas.split_at_mut(HEADER_BYTES);
    source.read(start)?;
    let label = &source.label;
    if start.starts_with(&incremental::MAGIC) {
        let what = format!("{label} is an incremental backup; a restore begins with a full one");
        return Err(Error::BackupMismatch(what));
    }
    if !start.starts_with(&meta::MAGIC) {
        return Err(not_a_backup(label));
    }
    source.read(rest)?;
    let meta = choose_meta(&metas, &source.label)?.meta;
    if !meta.clean {
        let what = format!("{} is a database that was not closed, not a backup", source.label);
        return Err(Error::BackupMismatch(what));
    }
    let mut image = Holes::new(file);
    let mut buffer = buffer_for(meta.file_pages);
    let mut page = META_PAGES;
    while page < meta.file_pages {
        let pages = (meta.file_pages - page).min((buffer.len() / PAGE_BYTES) as u64);
        let bytes = &mut buffer[..pages as usize * PAGE_BYTES];
        source.read(bytes)?;
        for (number, bytes) in (page..).zip(bytes.chunks_exact(PAGE_BYTES)) {
            if bytes.iter().any(|b| *b != 0) {
                image.put(number, bytes)?;
            }
        }
        page += pages;
        control.step(Progress::new("copying", page, meta.file_pages, "pages"))?;
    }
    image.end(meta.file_pages)?;
    Ok(Restored::new(meta, None))
}

fn not_a_backup(label: &str) -> Error {
    Error::NotADatabase { path: label.to_owned(), reason: "it does not begin like a backup".to_owned() }
}

/// Reads, and sums up what it read.
struct Summed<'s, 'r> {
    source: &'s mut Source<'r>,
    sum: Xxh3,
}

impl Summed<'_, '_> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.source.read(bytes)?;
        self.sum.update(bytes);
        Ok(())
    }
}

/// Writes the pages of an incremental backup over what was restored before; meta pages are left out.
fn apply(
    source: &mut Source<'_>,
    before: &Restored,
    file: &Arc<dyn DiskFile>,
    control: &mut Control<'_>,
) -> Result<Restored> {
    let label = source.label.clone();
    let mut source = Summed { source, sum: Xxh3::new() };
    let mut head = [0; HEADER_BYTES];
    source.read(&mut head)?;
    if head.starts_with(&meta::MAGIC) {
        return Err(Error::BackupMismatch(format!("{label} is a full backup; only the first of a restore may be one")));
    }
    if !head.starts_with(&incremental::MAGIC) {
        return Err(not_a_backup(&label));
    }
    let header = Header::decode(&head)?;
    if header.identity != before.meta.identity {
        return Err(Error::BackupMismatch(format!("{label} is of another database")));
    }
    let mut page = [0; PAGE_BYTES];
    source.read(&mut page)?;
    let meta = Meta::decode(&page, 0).map_err(|e| match e {
        MetaError::Bad(e) => e,
        MetaError::NotOurs => bad("meta page in an incremental backup", 0, 0, 0),
    })?;
    if !before.ids.contains(&header.base_id) {
        let (base, found) = (name_of(&meta, &header.base_id), before.names());
        let what =
            format!("{label} is based on {base} (checkpoint {}), and before it comes {found}", header.base_generation);
        return Err(Error::BackupMismatch(what));
    }
    check_meta(&header, &meta, &before.meta)?;
    copy_runs(&mut source, &header, &meta, file, control)?;
    let expected = source.sum.digest();
    let mut got = [0; 8];
    source.source.read(&mut got)?;
    if u64::from_le_bytes(got) != expected {
        return Err(bad("checksum of an incremental backup", 0, expected, u64::from_le_bytes(got)));
    }
    Ok(Restored::new(meta, Some(header.id)))
}

fn bad(what: &'static str, page: u64, expected: u64, got: u64) -> Error {
    Error::corrupt(what, page, 0, expected, got)
}

/// Header and meta page agree with each other and with what was restored before.
fn check_meta(header: &Header, meta: &Meta, before: &Meta) -> Result<()> {
    let same = |what, expected: u64, got: u64| if expected == got { Ok(()) } else { Err(bad(what, 0, expected, got)) };
    same("incremental backup (base generation)", before.generation, header.base_generation)?;
    same("incremental backup (generation)", header.generation, meta.generation)?;
    same("incremental backup (clean)", 1, meta.clean.into())?;
    same("incremental backup (identity)", 1, (meta.identity == header.identity).into())?;
    same("incremental backup (hash key)", 1, (meta.hash_key == before.hash_key).into())?;
    same("incremental backup (region pages)", before.region_pages.into(), meta.region_pages.into())
}

/// For that many pages, or a part of them at a time.
fn buffer_for(pages: u64) -> Vec<u8> {
    vec![0; pages.clamp(1, (GATHER_BYTES / PAGE_BYTES) as u64) as usize * PAGE_BYTES]
}

/// Writes the runs where they belong. Each is checked against the length of the file; what the units in them
/// hold is for the verification of the whole.
fn copy_runs(
    source: &mut Summed<'_, '_>,
    header: &Header,
    meta: &Meta,
    file: &Arc<dyn DiskFile>,
    control: &mut Control<'_>,
) -> Result<()> {
    let mut buffer = buffer_for(header.pages);
    let (mut next, mut done) = (META_PAGES, 0);
    for _ in 0..header.runs {
        let mut head = [0; RUN_BYTES];
        source.read(&mut head)?;
        let (first, pages) = decode_run_head(&head);
        let end = first.checked_add(pages).filter(|end| *end <= meta.file_pages);
        let end = end.ok_or_else(|| bad("incremental backup (run beyond the file)", first, meta.file_pages, pages))?;
        if first < next || pages == 0 {
            return Err(bad("incremental backup (order of the runs)", first, next, pages));
        }
        let mut page = first;
        while page < end {
            let length = (end - page).min((buffer.len() / PAGE_BYTES) as u64) as usize * PAGE_BYTES;
            source.read(&mut buffer[..length])?;
            let written = file.write_at(&buffer[..length], PageNo(page).offset());
            written.map_err(|e| Error::io("writing a restored file", e))?;
            page += (length / PAGE_BYTES) as u64;
            done += (length / PAGE_BYTES) as u64;
            control.step(Progress::new("applying", done, header.pages, "pages"))?;
        }
        next = end;
    }
    if done != header.pages {
        return Err(bad("incremental backup (pages)", 0, header.pages, done));
    }
    Ok(())
}

/// Opens the file as it is, and verifies all of it. Writes nothing.
fn verify(
    place: Place,
    config: Config,
    file: &Arc<dyn DiskFile>,
    meta: Meta,
    is_document: IsDocument<'_>,
    control: &mut Control<'_>,
) -> Result<VerifyReport> {
    let engine = Engine::new(place, config, file.clone(), &meta);
    engine.bring_up(&FoundMeta { meta, slot: 0, twin: true, durable: true })?;
    engine.verify(is_document, control)
}
