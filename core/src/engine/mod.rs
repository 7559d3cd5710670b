//! The engine: commits, snapshots, checkpoints, recovery, over bytes with keys. It knows records and
//! collections by number; what a document means is for the layers above.
//!
//! ```text
//!   transaction --> writer lock --> log frame --> delta --> commit number published
//!                                                   |
//!   reader ------> published state: delta, else trie, at its commit number
//!                                                   |
//!   checkpoint <-- freeze ---- fold ---- meta pages-+
//! ```
//!
//! Locks are taken in this order, and only downwards: `work`, the writer lock, `meta`, `space`.
//! The numbered invariants are in `docs/architecture.md`.

pub mod backup;
pub mod changes;
pub mod checkpoint;
pub mod compact;
mod create;
pub mod delta;
mod dropped;
pub mod fold;
pub mod frame;
pub mod key_cursor;
pub mod keys;
pub mod open;
pub mod pace;
mod pins;
pub mod published;
pub mod reclaim;
pub mod scan;
pub mod snapshots;
pub mod sorted;
pub mod state;
pub mod timing;
pub mod transaction;
mod tree_writers;
pub mod trees;
pub mod verify;
mod verify_sorted;
mod walks;
pub mod warm;
pub mod writer;
pub mod writer_lock;

use crate::env::Env;
use crate::error::{Error, Result};
use crate::events::{Event, Hook};
use crate::file::disk::{Disk, DiskFile};
use crate::file::meta::Meta;
use crate::file::pages::Pages;
use crate::file::space::Space;
use crate::fork;
use crate::log::{Log, Lsn};
use crate::memory::Pool;
use crate::meter::Meter;
use crate::sorted::compact::Goal as Merges;
use crate::sync::{Arc, AtomicBool, AtomicU64, Condvar, Mutex, Ordering, RwLock};
use checkpoint::{Order, Reclaim, Retired, Summary, Work};
use published::Published;
use snapshots::Snapshots;
use state::State;
use std::sync::OnceLock;
use std::time::Duration;
use writer::Writer;
use writer_lock::WriterLock;

/// What an acknowledged commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Power loss: a commit is acknowledged when it is on the disk. Commits that come at the same time
    /// share one sync.
    #[default]
    Sync,
    /// A crash of the process; of the last so many milliseconds (and one sync) a power loss may take
    /// everything, never a part out of the middle.
    Interval(u64),
    /// A crash of the process; a power loss goes back to the last [`sync`](crate::Database::sync).
    Manual,
}

/// How an engine is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// When commits are acknowledged.
    pub durability: Durability,
    /// Memory for what is not in the file yet, in bytes.
    pub cache_bytes: u64,
    /// Bytes of log from which writers are slowed down.
    pub log_max_bytes: u64,
    /// How long a writer waits for its turn.
    pub writer_timeout: Duration,
    /// Most bytes a transaction may write.
    pub max_transaction_bytes: u64,
    /// Pages in a region of a new file.
    pub region_pages: u32,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
    /// No file: no log, no meta pages, no syncs.
    pub memory: bool,
    /// Make the file if it is not there.
    pub create: bool,
    /// Snapshots older than this are ended.
    pub snapshot_max_age: Option<Duration>,
    /// Garbage in blocks below this many bytes is left alone, and so many bytes of records may be moved by any
    /// checkpoint.
    pub reclaim_bytes: u64,
    /// The sizes that shape the sorted index.
    pub shape: crate::sorted::compact::Shape,
    /// What a memtable takes at the most.
    pub memtable_bytes: u64,
    /// What walks have paid, in bytes, before runs are merged for it: see `walks`.
    pub walk_bytes: u64,
    /// Pages of dropped collections that one checkpoint frees.
    pub slice_pages: u64,
    /// Nothing is ever written.
    pub read_only: bool,
    /// Pages are read by positioned reads, not through a mapping.
    pub pread: bool,
    /// A network file system is no reason to refuse.
    pub allow_network_file_system: bool,
}

impl Config {
    /// True when there is a file to keep safe.
    pub fn durable(&self) -> bool {
        !self.memory
    }
}

/// Counters since opening. Each is one more for each event, or bytes.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) inserts: AtomicU64,
    pub(crate) replaces: AtomicU64,
    pub(crate) deletes: AtomicU64,
    pub(crate) rollbacks: AtomicU64,
    pub(crate) checkpoints_started: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) checkpoints_failed: AtomicU64,
    pub(crate) page_bytes_written: AtomicU64,
    pub(crate) paced_micros: AtomicU64,
    pub(crate) replayed: AtomicU64,
    pub(crate) snapshots_ended: AtomicU64,
    pub(crate) relocated_bytes: AtomicU64,
    pub(crate) punched_bytes: AtomicU64,
    pub(crate) block_bytes_written: AtomicU64,
    pub(crate) run_bytes_written: AtomicU64,
}

/// One open database.
pub struct Engine {
    pub(crate) config: Config,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) name: String,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) pages: Pages,
    pub(crate) space: Mutex<Space>,
    pub(crate) pool: Pool,
    pub(crate) published: Arc<Published<State>>,
    pub(crate) writer: WriterLock<Writer>,
    pub(crate) log: OnceLock<Arc<Log>>,
    /// The checkpoint in the making, or one that failed; also the lock that makes checkpoints take turns.
    pub(crate) work: Mutex<Option<Work>>,
    /// What the meta pages say.
    pub(crate) meta: Mutex<Arc<Meta>>,
    /// This process has synced both meta pages.
    pub(crate) metas_durable: AtomicBool,
    /// Waits for the states before the number to be gone.
    pub(crate) retired: Mutex<Vec<(u64, Retired)>>,
    pub(crate) snapshots: Snapshots,
    pub(crate) reclaim: Mutex<Reclaim>,
    /// What walks have paid for merges, in bytes.
    walked: AtomicU64,
    /// Pages kept for backups.
    pub(crate) pins: pins::PagePins,
    latched: Mutex<Option<Error>>,
    closed: AtomicBool,
    /// Generation of the process that opened it.
    born: u64,
    /// One more for each change of the catalog, and the last commit that made one.
    pub(crate) catalog_version: AtomicU64,
    pub(crate) catalog_commit: AtomicU64,
    pub(crate) active_bytes: AtomicU64,
    pub(crate) frozen_bytes: AtomicU64,
    pub(crate) freeze_lsn: AtomicU64,
    pub(crate) checkpoint_lsn: AtomicU64,
    pub(crate) tip_lsn: AtomicU64,
    pub(crate) counters: Counters,
    pub(crate) meter: Meter,
    /// When the last checkpoint was done, or the file was opened, by the clock of `env`, in microseconds.
    pub(crate) checkpointed_at: AtomicU64,
    pub(crate) hook: RwLock<Option<Hook>>,
    pub(crate) signal: Signal,
    workers: Mutex<Vec<Worker>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the background thread is asked to do, and news of what it did.
#[derive(Debug, Default)]
pub struct Signal {
    wants: Mutex<Wants>,
    /// Wakes the thread of checkpoints, and that of the log.
    wake: Condvar,
    wake_log: Condvar,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Wants {
    checkpoint: bool,
    prepare: bool,
    sync: bool,
    stop: bool,
    /// Whether there is a thread at all.
    thread: bool,
    /// Why the last checkpoint failed.
    failure: Option<String>,
}

/// A commit that was made and may not be durable yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub commit: u64,
    /// End of its frame.
    pub lsn: u64,
}

impl Engine {
    /// Calls the event hook, if there is one.
    pub(crate) fn event(&self, event: Event) {
        let hook = self.hook.read().clone();
        if let Some(hook) = hook {
            hook(&event);
        }
    }

    /// True in a process forked from the one that opened the database: what is here is a copy that nobody
    /// keeps in order, with locks in whatever state they were.
    #[inline]
    pub fn is_forked(&self) -> bool {
        fork::generation() != self.born
    }

    /// An error if this process was forked from the one that opened the database.
    #[inline]
    pub fn check_fork(&self) -> Result<()> {
        if self.is_forked() {
            return Err(Error::Forked);
        }
        Ok(())
    }

    /// An error if the database was closed, or opened by another process.
    #[inline]
    pub fn check_open(&self) -> Result<()> {
        self.check_fork()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        Ok(())
    }

    /// Pins the published state for a read without a lease. Closing waits for those who pinned before it; who pins
    /// after it learns here that the file may be another's by now.
    #[inline]
    pub(crate) fn pin_open(&self) -> Result<published::Pin<'_, state::State>> {
        let pin = self.published.pin();
        self.check_open()?;
        Ok(pin)
    }

    /// An error if writing has stopped.
    pub(crate) fn check_latch(&self) -> Result<()> {
        if let Some(e) = self.latched.lock().clone() {
            return Err(e);
        }
        self.log.get().and_then(|log| log.latched()).map_or(Ok(()), Err)
    }

    /// Stops all writing through this handle: a write of a meta page or a sync of the data file
    /// failed, and what is on the disk now is known only after reopening.
    pub(crate) fn latch(&self, e: std::io::Error) -> Error {
        let again = std::io::Error::new(e.kind(), e.to_string());
        let durable = self.log.get().map_or(0, |log| log.durable_commit());
        let error = Error::WritesStopped { durable, source: Arc::new(e) };
        self.latched.lock().get_or_insert_with(|| error.clone());
        if let Some(log) = self.log.get() {
            log.latch(again);
        }
        error
    }

    /// Waits until the commit is as durable as this database promises.
    pub fn wait(&self, committed: Committed) -> Result<()> {
        self.check_fork()?;
        match (self.config.durability, self.log.get()) {
            (Durability::Sync, Some(log)) => log.sync_through(Lsn(committed.lsn)),
            _ => Ok(()),
        }
    }

    /// An error if the database was opened for reading only.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.config.read_only {
            return Err(Error::ReadOnly);
        }
        Ok(())
    }

    /// Makes everything committed so far durable, whatever the durability.
    pub fn sync(&self) -> Result<()> {
        self.check_open()?;
        self.check_writable()?;
        match self.log.get() {
            Some(log) => log.sync_through(log.end()),
            None => self.check_latch(),
        }
    }

    /// One pass of background work, in a fixed order: the next log segment, a sync that is due, a
    /// checkpoint that is due. Called by the background thread, or by the owner where there is none.
    pub fn background_step(&self) -> Result<()> {
        self.log_step()?;
        self.checkpoint_step()
    }

    /// The log's part of the background work.
    fn log_step(&self) -> Result<()> {
        let (prepare, sync) = {
            let mut wants = self.signal.wants.lock();
            (std::mem::take(&mut wants.prepare), std::mem::take(&mut wants.sync))
        };
        // Here, too: the other thread may be in a checkpoint for seconds.
        self.end_old_snapshots();
        self.pool.prepare_slabs();
        if let Some(log) = self.log.get() {
            if prepare && log.needs_prepare() {
                log.prepare()?;
            }
            if sync {
                log.sync_through(log.end())?;
            }
        }
        // Last: clearing many MiB takes a while, and nobody waits for them yet.
        self.pool.prepare_arrays();
        Ok(())
    }

    /// The other part: a checkpoint that is due; what an idle database does.
    fn checkpoint_step(&self) -> Result<()> {
        let merges = self.merges_due()?;
        if std::mem::take(&mut self.signal.wants.lock().checkpoint) {
            return self.background_checkpoint(merges.unwrap_or_default());
        }
        self.end_old_snapshots();
        self.let_go_of_snapshots();
        if merges.is_some() || self.reclaim_pending()? {
            let at_rest = Order { force: true, runs: Merges::Settle, ..Order::default() };
            return self.go_on(self.checkpoint_as(merges.unwrap_or(at_rest))?);
        }
        self.pool.trim();
        if let Some(log) = self.log.get().filter(|log| log.durable() == log.end()) {
            // The claim makes damage to what was synced last an error instead of a shorter log.
            if let Ok(_writer) = self.writer.lock(Duration::ZERO) {
                log.claim()?;
            }
            log.trim()?;
        }
        Ok(())
    }

    /// Asks for the next checkpoint at once where the last one merged runs and left some.
    fn go_on(&self, done: Option<Summary>) -> Result<()> {
        if done.is_some_and(|done| done.run_bytes > 0) && self.merges_due()?.is_some() {
            self.request(|r| r.checkpoint());
        }
        Ok(())
    }

    fn background_checkpoint(&self, order: Order) -> Result<()> {
        let done = self.checkpoint_as(order);
        let mut wants = self.signal.wants.lock();
        wants.failure = done.as_ref().err().map(|e| e.to_string());
        drop(wants);
        self.signal.done.notify_all();
        self.go_on(done?)
    }

    /// Starts the background threads, where the environment has threads. Who only reads has no use for them.
    pub(crate) fn start_worker(self: &Arc<Self>) {
        if self.config.read_only {
            return;
        }
        let engine = Arc::downgrade(self);
        let checkpoints = move || worker(&engine, &CHECKPOINTS, IDLE);
        let mut handles: Vec<_> = self.spawn("nyro-background", checkpoints).into_iter().collect();
        self.signal.wants.lock().thread = !handles.is_empty();
        if self.config.durable() {
            // Of its own: syncs that are due, and the next segment, can't wait for a checkpoint to end.
            let engine = Arc::downgrade(self);
            let pause = match self.config.durability {
                Durability::Interval(ms) => Duration::from_millis(ms.max(1)),
                _ => IDLE,
            };
            let job = move || worker(&engine, &LOG, pause);
            handles.extend(self.spawn("nyro-log", job));
        }
        *self.workers.lock() = handles;
    }

    fn spawn(&self, name: &str, job: impl FnOnce() + Send + 'static) -> Option<Worker> {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let job = move || {
            WORKER.with(|own| own.set(number));
            job();
        };
        Some(Worker { number, thread: self.env.spawn(name, Box::new(job))? })
    }

    /// Asks for background work; where there is no thread it waits for the next step.
    pub(crate) fn request(&self, change: impl FnOnce(&mut Request<'_>)) {
        let mut wants = self.signal.wants.lock();
        let before = (wants.checkpoint, wants.prepare || wants.sync);
        change(&mut Request(&mut wants));
        let (checkpoint, log) = (wants.checkpoint && !before.0, (wants.prepare || wants.sync) && !before.1);
        drop(wants);
        if checkpoint {
            self.signal.wake.notify_one();
        }
        if log {
            self.signal.wake_log.notify_one();
        }
    }

    /// Stops the background threads and waits for them.
    fn stop_worker(&self) {
        self.signal.wants.lock().stop = true;
        self.signal.wake.notify_all();
        self.signal.wake_log.notify_all();
        let workers = std::mem::take(&mut *self.workers.lock());
        for worker in workers {
            if worker.number != WORKER.with(std::cell::Cell::get) {
                let _ = worker.thread.join();
            }
        }
    }

    /// Ends without writing anything, as a crash of the process would.
    pub(crate) fn abandon(&self) {
        self.stop_worker();
        self.closed.store(true, Ordering::Release);
        self.file.unlock();
    }

    /// Closes: everything into the file, the file marked clean, the log removed. Later calls on any
    /// handle give `Closed`. On error the file is left as a crash would leave it; inside a transaction of
    /// this thread it is an error and nothing is closed.
    pub fn close(&self) -> Result<()> {
        self.check_not_writing()?;
        self.stop_worker();
        {
            let _writer = self.writer.lock(Duration::MAX)?;
            if self.closed.swap(true, Ordering::AcqRel) {
                return Ok(());
            }
        }
        if self.config.read_only {
            return Ok(());
        }
        self.check_latch()?;
        while self.checkpoint(true)? {}
        if self.log.get().is_some() && self.config.durable() {
            crate::log::remove_segments(&*self.disk, &self.name, None)?;
            self.trim();
            self.give_back_free();
        }
        Ok(())
    }
}

/// What can be asked of the background thread.
pub struct Request<'a>(&'a mut Wants);

impl Request<'_> {
    /// A checkpoint.
    pub fn checkpoint(&mut self) {
        self.0.checkpoint = true;
    }
    /// The next log segment, the next memory.
    pub fn prepare(&mut self) {
        self.0.prepare = true;
    }
    /// A sync of the log.
    pub fn sync(&mut self) {
        self.0.sync = true;
    }
}

/// How long a background thread sleeps when nobody asks it for anything.
const IDLE: Duration = Duration::from_millis(200);

/// What one of the background threads does.
struct Job {
    wake: fn(&Signal) -> &Condvar,
    is_wanted: fn(&Wants) -> bool,
    step: fn(&Engine) -> Result<()>,
}

const CHECKPOINTS: Job =
    Job { wake: |signal| &signal.wake, is_wanted: |wants| wants.checkpoint, step: Engine::checkpoint_step };

const LOG: Job = Job {
    wake: |signal| &signal.wake_log,
    is_wanted: |wants| wants.prepare || wants.sync,
    step: |engine| {
        if matches!(engine.config.durability, Durability::Interval(_)) {
            engine.signal.wants.lock().sync = true;
        }
        engine.log_step()
    },
};

/// A background thread, and the number by which it knows itself.
#[derive(Debug)]
struct Worker {
    number: u64,
    thread: std::thread::JoinHandle<()>,
}

thread_local! {
    /// The number of this thread, if it is a [`Worker`]. The standard library's own ids can't be asked for while a
    /// thread, or the process, ends; a database may be closed then.
    static WORKER: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// A background thread: sleeps until it is asked, or for a while. It holds the engine weakly while it decides
/// whether to go on.
fn worker(engine: &std::sync::Weak<Engine>, job: &Job, pause: Duration) {
    while let Some(engine) = engine.upgrade() {
        {
            let mut wants = engine.signal.wants.lock();
            if !wants.stop && !(job.is_wanted)(&wants) {
                (job.wake)(&engine.signal).wait_for(&mut wants, pause);
            }
            if wants.stop {
                return;
            }
        }
        if let Err(e) = (job.step)(&engine) {
            // Nobody waits for this result: it is told to the hook, and to the next writer as pacing.
            engine.event(Event::BackgroundError { error: e });
            let mut wants = engine.signal.wants.lock();
            if !wants.stop {
                (job.wake)(&engine.signal).wait_for(&mut wants, Duration::from_millis(50));
            }
        }
    }
}
