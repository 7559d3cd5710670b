//! Opening: a new file, a file that was closed, a file that was not.
//!
//! ```text
//!   no file, or empty --> marker file, pages, metas, syncs, marker removed --> clean
//!   clean             --> nothing is written until the first commit, which writes both metas again
//!                         as they are before it removes what they do not need
//!   not clean         --> replay the log in memory
//!                         write the chosen meta page again, then the other      (both durable)
//!                         checkpoint what was replayed, marked clean            (log not needed)
//!                         remove the log
//!   for reading only  --> a shared lock; not clean: replay the log in memory; nothing is written
//! ```
//!
//! What is read after an unclean open may sit in the system's cache and not on the disk (a sync may have
//! failed before), so nothing of it is trusted: the chosen meta page is written and synced again before
//! any page is used again, and what the log held goes into fresh pages. Until the new meta pages are
//! durable the old ones and their log stay as they were, so recovery may itself be cut at any point.
//! Commit numbers and ordinals move ahead by 2^32 (Invariant 9), so that no number given out before a power
//! loss is given out again.
//!
//! Who opens for reading only gives no number out, so the replayed commits keep theirs. A read-only opening sees
//! what is visible now; what of it a power loss would take is known only to the next opening for writing.
//!
//! The first commit after opening starts a log of a new epoch and makes both meta pages say so before it
//! is acknowledged.

use super::checkpoint::Reclaim;
use super::create::{find, find_or_create};
use super::delta::{Delta, Room};
use super::pins::PagePins;
use super::published::Published;
use super::snapshots::Snapshots;
use super::sorted::Sorted;
use super::state::State;
use super::writer::Writer;
use super::writer_lock::WriterLock;
use super::{pace, Config, Counters, Durability, Engine, Signal};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::events::{Event, Hook};
use crate::file::cache::Cache;
use crate::file::disk::{Disk, DiskFile, LockError};
use crate::file::meta::{Meta, MetaError, META_PAGES};
use crate::file::page::PAGE_BYTES;
use crate::file::pages::Pages;
use crate::file::space::Space;
use crate::log::{self, Log, LogConfig, Lsn, ReplayEnd, ReplayStart};
use crate::memory::Pool;
use crate::meter::{Meter, Timer};
use crate::plant::{planted, Bug};
use crate::sorted::memtable::Memtable;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, RwLock};
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

/// How far commit numbers and ordinals move after an unclean open (Invariant 9).
const JUMP: u64 = 1 << 32;

/// The meta pages as found.
pub(super) struct FoundMeta {
    pub(super) meta: Meta,
    /// The page it was read from.
    pub(super) slot: u64,
    /// The other page holds the same.
    pub(super) twin: bool,
    /// This process has synced both. What was only read may be in the system's cache alone: of two
    /// equal pages just one is sure to be on the disk.
    pub(super) durable: bool,
}

/// What is opened: where, and under which name.
#[derive(Clone)]
pub struct Place {
    /// The directory.
    pub disk: Arc<dyn Disk>,
    /// Clock, randomness, threads.
    pub env: Arc<dyn Env>,
    /// Name of the data file in the directory.
    pub name: String,
    /// Told about recovery, too.
    pub hook: Option<Hook>,
}

impl Engine {
    /// Opens or creates the database. Blocks for as long as recovery takes, if the file was not closed.
    pub fn open(place: Place, config: Config) -> Result<Arc<Engine>> {
        let born = crate::fork::watch()?;
        check_file_system(&place, &config)?;
        let (file, found) = match config.read_only {
            true => find(&place)?,
            false => find_or_create(&place, &config)?,
        };
        let engine = Arc::new(Engine::new(place, config, file, &found.meta, born));
        engine.bring_up(&found)?;
        engine.start_worker();
        Ok(engine)
    }

    /// An engine over the checkpoint of a meta page, its background work not started yet.
    pub(super) fn new(place: Place, mut config: Config, file: Arc<dyn DiskFile>, meta: &Meta, born: u64) -> Engine {
        config.region_pages = meta.region_pages;
        let meta = Arc::new(meta.clone());
        let space = Space::open(meta.space, meta.region_pages, meta.used_pages, meta.file_pages);
        // Who only reads makes no checkpoint that would use the memory again.
        let kept = if config.read_only { 0 } else { config.cache_bytes / 2 };
        let pool = Pool::new(usize::try_from(kept).unwrap_or(usize::MAX));
        let meter = Meter::new(config.durability == Durability::Sync && config.durable());
        let checkpointed_at = AtomicU64::new(place.env.monotonic().as_micros() as u64);
        let room = Room { most: pace::entries_between_checkpoints(&config), ..Room::default() };
        let sorted = Sorted::new(Arc::new(Memtable::new(&pool, config.memtable_bytes)));
        let active = Arc::new(Delta::new(&pool, meta.commit, room));
        let state = Arc::new(State::new(1, meta.clone(), None, active, sorted));
        let published = Arc::new(Published::new(state.clone(), meta.commit));
        let cache = config.pread.then(|| Cache::new(file.clone(), published.clone(), config.cache_bytes));
        let pages = Pages::over(file.clone(), cache, meta.seed(), meta.file_pages, meta.generation);
        Engine {
            config,
            disk: place.disk,
            env: place.env,
            name: place.name,
            file,
            pages,
            space: Mutex::new(space),
            pool,
            published,
            writer: WriterLock::new(Writer::new(state)),
            log: OnceLock::new(),
            work: Mutex::new(None),
            retired: Mutex::new(Vec::new()),
            snapshots: Snapshots::new(),
            reclaim: Mutex::new(Reclaim::default()),
            walked: AtomicU64::new(0),
            pins: PagePins::default(),
            latched: Mutex::new(None),
            closed: AtomicBool::new(false),
            born,
            catalog_version: AtomicU64::new(1),
            catalog_commit: AtomicU64::new(meta.commit),
            active_bytes: AtomicU64::new(0),
            frozen_bytes: AtomicU64::new(0),
            freeze_lsn: AtomicU64::new(meta.lsn),
            checkpoint_lsn: AtomicU64::new(meta.lsn),
            tip_lsn: AtomicU64::new(meta.lsn),
            meta: Mutex::new(meta),
            metas_durable: AtomicBool::new(false),
            counters: Counters::default(),
            meter,
            checkpointed_at,
            hook: RwLock::new(place.hook),
            signal: Signal::default(),
            workers: Mutex::new(Vec::new()),
        }
    }

    /// Recovery, or healing of a meta page, or nothing.
    pub(super) fn bring_up(&self, found: &FoundMeta) -> Result<()> {
        if !self.config.durable() {
            return Ok(());
        }
        if !self.config.pread {
            self.check_mapping(found)?;
        }
        let have = self.file.len().map_err(|e| Error::io("reading the file's length", e))? / PAGE_BYTES as u64;
        if have < found.meta.file_pages {
            let expected = found.meta.file_pages;
            return Err(Error::corrupt("file length (pages; the file was cut)", have, 0, expected, have));
        }
        if self.config.read_only {
            return if found.meta.clean { Ok(()) } else { self.replay_in_memory(found) };
        }
        self.metas_durable.store(found.durable, Ordering::Relaxed);
        if !found.meta.clean {
            return self.recover(found);
        }
        if !found.twin {
            self.rewrite(found)?;
            log::remove_segments(&*self.disk, &self.name, None)?;
        }
        Ok(())
    }

    /// A positioned write must show through the mapping: compares what both say of the meta page.
    fn check_mapping(&self, found: &FoundMeta) -> Result<()> {
        let memory = self.file.segment(0).map_err(|e| Error::io("mapping the file", e))?;
        let expected = found.meta.encode();
        // SAFETY: the meta pages lie inside the file (they were read), and so inside its first segment.
        let mapped = unsafe { std::slice::from_raw_parts(memory.add(found.slot as usize * PAGE_BYTES), PAGE_BYTES) };
        if mapped != &expected[..] {
            return Err(Error::Io {
                doing: "comparing the mapping with the file",
                source: Arc::new(io::Error::other("this file system does not map files coherently")),
            });
        }
        Ok(())
    }

    /// Writes the chosen meta page again as it was, first where it stands, then over the other; both are
    /// durable before anything else is changed (Invariant 16).
    fn rewrite(&self, found: &FoundMeta) -> Result<()> {
        let page = found.meta.encode();
        for slot in [found.slot, 1 - found.slot] {
            let written = self.file.write_at(&page, slot * PAGE_BYTES as u64).and_then(|()| self.file.sync_data());
            written.map_err(|e| Error::io("writing a meta page", e))?;
        }
        self.metas_durable.store(true, Ordering::Relaxed);
        if !found.twin {
            self.event(Event::MetaHealed { page: 1 - found.slot });
        }
        Ok(())
    }

    /// Takes the commits of the log into the writer's state.
    fn replay(&self, meta: &Meta, writer: &mut Writer) -> Result<ReplayEnd> {
        let from = ReplayStart { identity: meta.identity, epoch: meta.epoch, lsn: Lsn(meta.lsn), chain: meta.chain };
        let end = log::replay(&*self.disk, &self.name, &from, &mut |frame| {
            self.replay_frame(writer, frame.commit, frame.payload)
        })?;
        self.counters.replayed.store(end.frames, Ordering::Relaxed);
        Ok(end)
    }

    /// What the log holds becomes visible, and stays in memory. No number is given out, so none moves ahead.
    fn replay_in_memory(&self, found: &FoundMeta) -> Result<()> {
        let mut writer = self.writer.lock(Duration::MAX)?;
        let end = self.replay(&found.meta, &mut writer)?;
        let memory = writer.heap.bytes + writer.state.active.bytes() + writer.state.sorted.active.bytes();
        self.active_bytes.store(memory, Ordering::Relaxed);
        self.tip_lsn.store(end.end.0, Ordering::Relaxed);
        self.catalog_commit.store(writer.tip, Ordering::Release);
        self.published.publish_commit(writer.tip);
        Ok(())
    }

    fn recover(&self, found: &FoundMeta) -> Result<()> {
        let start = self.env.monotonic();
        let meta = &found.meta;
        let end = {
            let mut writer = self.writer.lock(Duration::MAX)?;
            let end = self.replay(meta, &mut writer)?;
            writer.tip += if planted(Bug::NumbersReused) { 0 } else { JUMP };
            writer.next_ordinal += JUMP;
            self.published.publish_commit(writer.tip);
            self.catalog_commit.store(writer.tip, Ordering::Release);
            end
        };
        self.rewrite(found)?;
        // A length that is only visible may never become durable, where a sync failed: what the
        // checkpoint does not reach goes, so that growing is growing again.
        let reached = meta.file_pages * PAGE_BYTES as u64;
        let reached = if planted(Bug::TailKept) { u64::MAX } else { reached };
        if planted(Bug::LogRemovedBeforeRecovery) {
            log::remove_segments(&*self.disk, &self.name, None)?;
        }
        if self.file.len().map_err(|e| Error::io("reading the file's length", e))? > reached {
            self.file.truncate(reached).map_err(|e| Error::io("cutting the file", e))?;
        }
        while self.checkpoint(true)? {}
        log::remove_segments(&*self.disk, &self.name, None)?;
        self.trim();
        let micros = (self.env.monotonic() - start).as_micros() as u64;
        self.event(Event::Recovered { commits: end.frames, dropped_bytes: end.dropped_bytes, micros });
        Ok(())
    }

    /// Makes sure that both meta pages are on the disk, when they were only read so far: the process
    /// before may have died between writing the second and syncing it. Without this a power cut while
    /// the first is written anew could leave the second as it was a checkpoint ago, its log removed.
    /// One of the two is on the disk already, and the same bytes over it do no harm.
    ///
    /// `meta` is what the meta pages say, its lock held.
    fn settle_metas(&self, meta: &Meta) -> Result<()> {
        if self.metas_durable.load(Ordering::Relaxed) {
            return Ok(());
        }
        let page = meta.encode();
        let written = (0..META_PAGES).try_for_each(|slot| self.file.write_at(&page, slot * PAGE_BYTES as u64));
        written.and_then(|()| self.file.sync_data()).map_err(|e| Error::io("writing the meta pages again", e))?;
        self.metas_durable.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The log that commits go to; begun by the first commit after opening, which makes the file unclean
    /// before its frame is written (Invariant 15).
    pub(crate) fn begin_log(&self, writer: &mut Writer) -> Result<()> {
        if writer.log.is_some() || !self.config.durable() {
            return Ok(());
        }
        let meta = {
            let meta = self.meta.lock();
            self.settle_metas(&meta)?;
            meta.clone()
        };
        log::remove_segments(&*self.disk, &self.name, None)?;
        let sync = self.config.durability == Durability::Sync;
        let log = Arc::new(Log::create(LogConfig {
            disk: self.disk.clone(),
            base_name: self.name.clone(),
            identity: meta.identity,
            epoch: meta.epoch + 1,
            start: Lsn(meta.lsn),
            chain: meta.chain,
            commit: meta.commit,
            segment_bytes: self.config.segment_bytes,
            // With a sync after every frame a positioned write is cheaper than a store: the store would
            // fault on the page that the sync before made clean. And who reads without a mapping wants no signal
            // from one.
            use_store: !sync && !self.config.pread,
            timer: Timer::new(self.env.clone(), self.meter.log_sync.clone()),
        })?);
        if sync {
            // Invariant 14: nobody sees a commit that a power loss could take back.
            let published = self.published.clone();
            log.on_durable(Box::new(move |commit| published.set_durable(commit)));
        }
        // From here on the file is not clean. If this fails, what is on the disk is not known.
        let _ = self.log.set(log.clone());
        let meta = self.install_meta(Meta { clean: false, epoch: meta.epoch + 1, ..(*meta).clone() })?;
        let before = &writer.state;
        let sorted = before.sorted.with_memtables(before.sorted.active.clone(), before.sorted.frozen.clone());
        let state = State::new(before.number + 1, meta, before.frozen.clone(), before.active.clone(), sorted);
        let state = state.with_moves(writer.state.moves.clone());
        writer.state = Arc::new(state);
        self.published.publish(writer.state.clone());
        writer.log = Some(log);
        Ok(())
    }
}

/// Refuses a network file system, before anything is opened or made.
fn check_file_system(place: &Place, config: &Config) -> Result<()> {
    if !config.durable() || config.allow_network_file_system {
        return Ok(());
    }
    match place.disk.network_file_system().map_err(|e| Error::io("asking for the file system", e))? {
        Some(file_system) => Err(Error::NetworkFileSystem { path: place.name.clone(), file_system }),
        None => Ok(()),
    }
}

pub(super) fn open_file(disk: &dyn Disk, name: &str, create: bool) -> Result<Arc<dyn DiskFile>> {
    match disk.open(name) {
        Ok(file) => Ok(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound && create => match disk.create(name) {
            // Somebody else was faster.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                disk.open(name).map_err(|e| Error::io("opening the file", e))
            }
            created => created.map_err(|e| Error::io("creating the file", e)),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::NoSuchFile(name.to_owned())),
        Err(e) => Err(Error::io("opening the file", e)),
    }
}

pub(super) fn lock(file: &dyn DiskFile, name: &str) -> Result<()> {
    file.lock().map_err(|e| lock_error(e, name))
}

pub(super) fn lock_shared(file: &dyn DiskFile, name: &str) -> Result<()> {
    file.lock_shared().map_err(|e| lock_error(e, name))
}

fn lock_error(e: LockError, name: &str) -> Error {
    match e {
        LockError::Held(holder) => Error::Locked { path: name.to_owned(), pid: holder.pid, user: holder.user },
        LockError::Io(e) => Error::io("locking the file", e),
    }
}

/// Reads both meta pages and chooses. Writes nothing.
pub(super) fn read_metas(file: &dyn DiskFile, name: &str, length: u64) -> Result<FoundMeta> {
    let not_ours = |reason: String| Error::NotADatabase { path: name.to_owned(), reason };
    if length < META_PAGES * PAGE_BYTES as u64 {
        return Err(not_ours(format!("it has only {length} bytes")));
    }
    let mut pages = vec![0; META_PAGES as usize * PAGE_BYTES];
    file.read_at(&mut pages, 0).map_err(|e| Error::io("reading the meta pages", e))?;
    choose_meta(&pages, name)
}

/// Chooses between the two meta pages of the file called `name`.
pub(super) fn choose_meta(pages: &[u8], name: &str) -> Result<FoundMeta> {
    let not_ours = |reason: String| Error::NotADatabase { path: name.to_owned(), reason };
    let read = |slot: u64| {
        let page = &pages[slot as usize * PAGE_BYTES..][..PAGE_BYTES];
        Meta::decode(page, slot)
    };
    match (read(0), read(1)) {
        (Ok(a), Ok(b)) if a == b => Ok(FoundMeta { meta: a, slot: 0, twin: true, durable: false }),
        (Ok(a), Ok(b)) if a.sequence >= b.sequence => Ok(FoundMeta { meta: a, slot: 0, twin: false, durable: false }),
        (Ok(_), Ok(b)) => Ok(FoundMeta { meta: b, slot: 1, twin: false, durable: false }),
        (Ok(a), Err(_)) => Ok(FoundMeta { meta: a, slot: 0, twin: false, durable: false }),
        (Err(_), Ok(b)) => Ok(FoundMeta { meta: b, slot: 1, twin: false, durable: false }),
        (Err(MetaError::Bad(e @ Error::UnknownFormat { .. })), Err(_)) => Err(e),
        (Err(_), Err(MetaError::Bad(e @ Error::UnknownFormat { .. }))) => Err(e),
        (Err(MetaError::NotOurs), Err(MetaError::NotOurs)) => Err(not_ours("it does not begin like one".to_owned())),
        (Err(MetaError::Bad(e)), Err(_)) | (Err(_), Err(MetaError::Bad(e))) => Err(e),
    }
}
