//! The database: opening, closing, transactions, snapshots, and the calls on the file as a whole.

use crate::collection::Collection;
use crate::control::Control;
use crate::document::validate::validate;
use crate::engine::compact::CompactReport;
use crate::engine::open::Place as OpenAt;
use crate::engine::snapshots::{self, Hold};
use crate::engine::transaction::Transaction as EngineTransaction;
use crate::engine::verify::VerifyReport;
use crate::engine::warm::WarmUpReport;
use crate::engine::{trees, verify, Committed, Engine};
use crate::env::SystemEnv;
use crate::error::{Error, Result};
use crate::events::{Early, Event, Hook};
use crate::file::disk::Disk;
use crate::file::memory::MemoryDisk;
use crate::file::os::OsDisk;
use crate::fork;
use crate::keyspace::Keyspace;
use crate::options::Options;
use crate::snapshot::Snapshot;
use crate::stats::{KeyspaceStats, Stats};
use crate::sync::{AtomicBool, AtomicPtr, AtomicUsize, Mutex, Ordering, Patience};
use crate::transaction::{OwnedTransaction, Transaction};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The path that opens a database in memory.
pub(crate) const MEMORY: &str = ":memory:";

/// How long to wait for this process's own closing of the same file.
const CLOSING_PATIENCE: Duration = Duration::from_secs(30);

/// An open database. Clones are handles to the same one; the last handle closes it.
///
/// A handle is `Send + Sync`; use it from as many threads as you like. Reads never wait for anything.
/// Writes take turns. The same path opened twice in a process gives the same database; in another
/// process it is an error that names the holder.
///
/// ```
/// use nyro::{doc, Database, Document};
/// # let dir = std::env::temp_dir().join(format!("nyro-doc-{}-{}", std::process::id(), line!()));
/// # std::fs::create_dir_all(&dir).expect("a temporary directory");
/// let db = Database::open(dir.join("app.nyro"))?;
/// let users = db.collection::<Document>("users");
/// let id = users.insert_one(&doc! { "name": "Ada" })?.inserted_id;
/// assert_eq!(users.get(id)?.expect("just stored").get("name").and_then(|v| v.as_str()), Some("Ada"));
/// # db.close()?;
/// # Ok::<(), nyro::Error>(())
/// ```
#[derive(Clone)]
pub struct Database {
    handle: Arc<Handle>,
}

/// One opening of a database. Clones of a [`Database`] share it; opening the path again makes another.
struct Handle {
    shared: Arc<Shared>,
    closed: AtomicBool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.shared.engine.is_forked() {
            return self.shared.forsake();
        }
        // The last clone went without `close`: nobody is there to be told of a failure, and a file that
        // was not closed is recovered when it is next opened.
        let _ = self.end();
    }
}

impl Handle {
    fn close(&self) -> Result<()> {
        self.shared.engine.check_fork()?;
        self.shared.engine.check_not_writing()?;
        self.end()
    }

    /// [`Handle::close`] wherever it is called: a transaction of this thread has a handle of its own, so that this one
    /// is not the last.
    fn end(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.shared.let_go()
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("name", &self.handle.shared.engine.name).finish_non_exhaustive()
    }
}

/// What all handles of one database share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) max_document_bytes: usize,
    options: Options,
    place: Option<PathBuf>,
    /// Handles not closed yet. Changed only under the lock of [`OPEN`].
    handles: AtomicUsize,
    /// Snapshots, whose borrowed documents lie in the mapped file.
    leases: AtomicUsize,
    /// The engine was closed; the file is let go with the last lease.
    closed: AtomicBool,
}

impl Shared {
    fn new(engine: Arc<Engine>, options: Options, place: Option<PathBuf>) -> Arc<Shared> {
        Arc::new(Shared {
            engine,
            max_document_bytes: options.max_document_bytes as usize,
            options,
            place,
            handles: AtomicUsize::new(1),
            leases: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        })
    }
}

/// A snapshot's claim on the file: as long as one lives, nobody in this process opens the file anew and
/// writes to pages that a borrowed document may lie in.
pub(crate) struct Lease {
    shared: Arc<Shared>,
    /// The snapshot's place in the engine's list, if it lives longer than a call.
    place: Option<snapshots::Place>,
}

impl Lease {
    /// Takes a snapshot: a lease, what it reads, and its commit.
    pub(crate) fn new(shared: &Arc<Shared>) -> (Arc<Lease>, Hold, u64) {
        shared.leases.fetch_add(1, Ordering::SeqCst);
        let (hold, commit, place) = shared.engine.take_snapshot();
        (Arc::new(Lease { shared: shared.clone(), place: Some(place) }), hold, commit)
    }

    /// [`Lease::new`] for a snapshot that is gone when the call ends that takes it: without an age.
    pub(crate) fn brief(shared: &Arc<Shared>) -> (Arc<Lease>, Hold, u64) {
        shared.leases.fetch_add(1, Ordering::SeqCst);
        let (state, commit) = shared.engine.published.snapshot();
        (Arc::new(Lease { shared: shared.clone(), place: None }), Hold::Free(state), commit)
    }

    /// A lease alone, for a call that reads by other means.
    pub(crate) fn bare(shared: &Arc<Shared>) -> Lease {
        shared.leases.fetch_add(1, Ordering::SeqCst);
        Lease { shared: shared.clone(), place: None }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.shared.engine.is_forked() {
            return self.shared.forsake();
        }
        if let Some(place) = self.place {
            self.shared.engine.snapshots.remove(place);
        }
        let last = self.shared.leases.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.shared.closed.load(Ordering::SeqCst) {
            self.shared.leave();
        }
    }
}

/// How long a closing waits itself for reads that are under way.
const READERS_PATIENCE: Duration = Duration::from_millis(if cfg!(shuttle) { 3_600_000 } else { 50 });

/// Names in [`Error::Locked`] what of this process keeps a closed file.
const KEPT_BY_SNAPSHOT: &str = "this program: a snapshot or scan of the closed database is still alive";

/// The databases open in a process, by resolved path.
struct Open {
    /// Generation of the process.
    process: u64,
    databases: Mutex<HashMap<PathBuf, Weak<Shared>>>,
}

/// The table of this process. A forked child makes one of its own: its parent's may be locked for ever, and
/// names databases that are not the child's.
static OPEN: AtomicPtr<Open> = AtomicPtr::new(std::ptr::null_mut());

fn with_open<R>(f: impl FnOnce(&mut HashMap<PathBuf, Weak<Shared>>) -> R) -> R {
    // A panic while the lock was held left a map of weak handles, which is always whole.
    let mut open = table().databases.lock();
    f(&mut open)
}

fn table() -> &'static Open {
    let process = fork::generation();
    let found = OPEN.load(Ordering::Acquire);
    // SAFETY: tables are leaked when they are made, so one that was published is valid for ever.
    if let Some(table) = unsafe { found.as_ref() }.filter(|table| table.process == process) {
        return table;
    }
    let made = Box::into_raw(Box::new(Open { process, databases: Mutex::default() }));
    match OPEN.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: leaked just now.
        Ok(_) => unsafe { &*made },
        // Another thread of this process was first.
        Err(other) => {
            // SAFETY: `made` came from a box and was never shared; `other` was published, as above.
            unsafe {
                drop(Box::from_raw(made));
                &*other
            }
        }
    }
}

impl Shared {
    /// A handle was closed; the last one closes the engine.
    fn let_go(self: &Arc<Self>) -> Result<()> {
        let last = with_open(|_| self.handles.fetch_sub(1, Ordering::AcqRel) == 1);
        if !last {
            return Ok(());
        }
        let closed = self.engine.close();
        self.closed.store(true, Ordering::SeqCst);
        self.leave_after_readers();
        closed
    }

    /// [`Shared::leave`] when those are done who were in the middle of reading as the engine was closed; who comes later
    /// finds it closed. One that takes its time (a callback that was given a document) is waited for elsewhere.
    fn leave_after_readers(self: &Arc<Self>) {
        let mut gone = Vec::new();
        let patience = Patience::new(READERS_PATIENCE);
        while !self.engine.published.note_gone(&mut gone) {
            if patience.left().is_zero() {
                let shared = self.clone();
                std::thread::spawn(move || {
                    while !shared.engine.published.note_gone(&mut gone) {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    shared.leave();
                });
                return;
            }
            crate::sync::yield_now();
        }
        self.leave();
    }

    /// Lets others have the file, once nobody may look at it any more. Until then the table says that the
    /// file is being closed, to those who open it again. Takes this database, and no later one of the same
    /// path, out of the table.
    fn leave(&self) {
        with_open(|open| {
            if self.leases.load(Ordering::SeqCst) > 0 {
                return;
            }
            self.engine.file.unlock();
            let Some(place) = &self.place else { return };
            if open.get(place).is_some_and(|entry| std::ptr::eq(entry.as_ptr(), self)) {
                open.remove(place);
            }
        });
    }

    /// In a forked child: only the descriptor that holds the parent's lock goes. The rest is a copy of what other
    /// threads were in the middle of, and is never looked at, nor freed.
    fn forsake(self: &Arc<Self>) {
        self.engine.file.forsake();
        std::mem::forget(self.clone());
    }

    /// Ends without writing anything, as a crash of the process would.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn abandon(&self) {
        self.engine.abandon();
        self.closed.store(true, Ordering::SeqCst);
        self.leave();
    }
}

impl Database {
    /// Opens the database at `path`, making it if there is none, with the default options. `":memory:"`
    /// opens one that lives in memory until its last handle is gone.
    ///
    /// Blocks for recovery if the file was not closed: about a second for a full log.
    ///
    /// Errors: `Locked`, `NotADatabase`, `UnknownFormat`, `Corrupt`, `LogMissing`, `NetworkFileSystem`, I/O
    /// errors. A file that is not ours is refused before a byte of it is written.
    ///
    /// After `fork` the child's handles refuse every call with `Forked`, and dropping them there touches nothing:
    /// the child opens a database anew if it needs one.
    pub fn open(path: impl AsRef<Path>) -> Result<Database> {
        Database::open_with(path, Options::default())
    }

    /// [`Database::open`] with options. A path already open in this process gives the same database, and
    /// `OptionsDiffer` if the options are others.
    ///
    /// With [`Options::read_only`] nothing is written, anywhere, ever: a read-only file in a read-only directory
    /// will do. Any number of processes may have a file open so at a time; a writer excludes them, and they
    /// exclude a writer (`Locked`). A file that was not closed has its log replayed in memory, which takes about
    /// as much memory as the log is long; [`Stats::replayed_commits`] says how many commits that were. A
    /// missing file is `NoSuchFile`; every call that would write is `ReadOnly`.
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Database> {
        Database::open_telling(path.as_ref(), options, None)
    }

    fn open_telling(path: &Path, options: Options, hook: Option<Hook>) -> Result<Database> {
        if path == Path::new(MEMORY) {
            let disk = Arc::new(MemoryDisk::new());
            let env = Arc::new(SystemEnv::new());
            return Database::start(OpenAt { disk, env, name: MEMORY.to_owned(), hook }, options, None, true);
        }
        let (disk, name) = OsDisk::resolve(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::NoSuchFile(path.display().to_string()),
            _ => Error::io("resolving the path", e),
        })?;
        let place = disk.directory().join(&name);
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let start = std::time::Instant::now();
        loop {
            match Database::open_or_share(&disk, &name, &place, &options, hook.clone()) {
                // Another thread is still closing the same file.
                Err(Error::Locked { pid, user, .. })
                    if pid == std::process::id() && user.is_empty() && start.elapsed() < CLOSING_PATIENCE =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(Error::Locked { pid, user, .. }) => {
                    return Err(Error::Locked { path: path.display().to_string(), pid, user });
                }
                Err(Error::NotADatabase { reason, .. }) => {
                    return Err(Error::NotADatabase { path: path.display().to_string(), reason });
                }
                Err(Error::NetworkFileSystem { file_system, .. }) => {
                    return Err(Error::NetworkFileSystem { path: path.display().to_string(), file_system });
                }
                Err(Error::NoSuchFile(_)) => return Err(Error::NoSuchFile(path.display().to_string())),
                other => return other,
            }
        }
    }

    /// [`Database::open_with`], and [`Database::on_event`] from the beginning: the hook is told of recovery, too,
    /// as soon as the database is open (or has failed to).
    pub fn open_with_events(
        path: impl AsRef<Path>,
        options: Options,
        hook: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<Database> {
        let early = Arc::new(Early::new(Arc::new(hook)));
        let opened = Database::open_telling(path.as_ref(), options, Some(early.hook()));
        early.tell();
        if let Ok(db) = &opened {
            // The path may have been open already.
            *db.engine().hook.write() = Some(early.hook());
        }
        opened
    }

    fn open_or_share(
        disk: &Arc<dyn Disk>,
        name: &str,
        place: &Path,
        options: &Options,
        hook: Option<Hook>,
    ) -> Result<Database> {
        with_open(|open| {
            if let Some(shared) = open.get(place).and_then(Weak::upgrade) {
                if shared.handles.load(Ordering::Acquire) == 0 {
                    // The system may not tell who holds a lock; here it is known to be this process.
                    let path = place.display().to_string();
                    // Closed and without leases it is about to leave: that is worth waiting for.
                    let closed = shared.closed.load(Ordering::SeqCst);
                    let kept = closed && shared.leases.load(Ordering::SeqCst) > 0;
                    let user = if kept { KEPT_BY_SNAPSHOT.to_owned() } else { String::new() };
                    return Err(Error::Locked { path, pid: std::process::id(), user });
                }
                if shared.options != *options {
                    let what = format!("open with {:?}", shared.options);
                    return Err(Error::OptionsDiffer(what));
                }
                shared.handles.fetch_add(1, Ordering::AcqRel);
                return Ok(Database::of(shared));
            }
            let env = Arc::new(SystemEnv::new());
            let place = place.to_owned();
            let at = OpenAt { disk: disk.clone(), env, name: name.to_owned(), hook };
            let db = Database::start(at, options.clone(), Some(place.clone()), false)?;
            open.insert(place, Arc::downgrade(db.shared()));
            Ok(db)
        })
    }

    fn start(at: OpenAt, options: Options, place: Option<PathBuf>, memory: bool) -> Result<Database> {
        let config = options.config(memory)?;
        let engine = Engine::open(at, config)?;
        Ok(Database::of(Shared::new(engine, options, place)))
    }

    fn of(shared: Arc<Shared>) -> Database {
        Database { handle: Arc::new(Handle { shared, closed: AtomicBool::new(false) }) }
    }

    /// A database over an engine that a test configured.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn over(engine: Arc<Engine>, options: Options) -> Database {
        Database::of(Shared::new(engine, options, None))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.handle.shared.engine
    }

    /// The engine, if neither this handle nor the database was closed.
    #[inline]
    pub(crate) fn open_engine(&self) -> Result<&Engine> {
        if self.handle.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let engine = &self.handle.shared.engine;
        engine.check_open()?;
        Ok(engine)
    }

    /// Closes this handle and its clones: later calls on them give `Closed`. The last handle in this
    /// process (the same path may have been opened more than once) closes the database: everything goes
    /// into the file, which is marked clean, and the log is removed; snapshots and cursors end with
    /// `Closed`. Blocks until that is done. The path can be opened again at once, but for snapshots and
    /// scans still alive: their borrowed documents lie in the file, so opening is `Locked` until they go. After an error the file is as a crash would leave it: nothing
    /// acknowledged is lost. Inside [`Database::write`] it is the error `NestedTransaction`, and nothing is
    /// closed.
    pub fn close(&self) -> Result<()> {
        self.handle.close()
    }

    /// [`Database::compact_with`] without progress, to the end.
    pub fn compact(&self) -> Result<CompactReport> {
        self.compact_with(Control::new())
    }

    /// Makes the file as small as its documents allow: records move out of half-empty blocks, pages move from
    /// the end of the file into free space, and the end is given back to the file system.
    ///
    /// Readers and writers go on meanwhile. Blocks until all is done, in steps of some tens of MiB, after each of
    /// which progress is told and the call can be stopped; what was gained stays. The file is never longer
    /// afterwards than a checkpoint before the call leaves it. Pages that a snapshot keeps can't be moved: what it
    /// keeps is given back by later checkpoints.
    ///
    /// Errors: `Cancelled`, `DeadlineExceeded`, `NestedTransaction` inside [`Database::write`], `DiskFull` and
    /// other I/O errors. After an error the file is as a checkpoint left it.
    pub fn compact_with(&self, mut control: Control<'_>) -> Result<CompactReport> {
        let engine = self.open_engine()?;
        let _lease = Lease::bare(self.shared());
        engine.compact(&mut control)
    }

    /// The collection of that name, with documents of type `T` (your own serde type, or
    /// [`Document`](crate::Document)). Reads and writes nothing: a collection is made by its first write
    /// and is empty before. A bad name is an error of the first call.
    pub fn collection<T>(&self, name: &str) -> Collection<T> {
        Collection::new(self.clone(), name)
    }

    /// Runs `body` as one atomic transaction over any number of collections: committed when it returns
    /// `Ok`, rolled back without a trace when it returns `Err` or panics. It reads its own writes. Other
    /// writers wait meanwhile; readers do not. Calling a writing method of a [`Collection`] or another
    /// `write` inside `body` is the error `NestedTransaction`: use the transaction's own collections.
    ///
    /// Blocks for the writer's turn, and (under [`Durability::Sync`](crate::Durability::Sync)) until the
    /// commit is durable.
    ///
    /// ```
    /// # use nyro::{doc, Database, Document};
    /// # let db = Database::open(":memory:")?;
    /// db.write(|tx| {
    ///     let accounts = tx.collection::<Document>("accounts");
    ///     accounts.put(&doc! { "_id": "a", "balance": 70 })?;
    ///     accounts.put(&doc! { "_id": "b", "balance": 30 })?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), nyro::Error>(())
    /// ```
    pub fn write<R>(&self, mut body: impl FnMut(&Transaction<'_>) -> Result<R>) -> Result<R> {
        let (result, tx) = self.run(|tx| body(tx))?;
        self.engine().acknowledge(tx)?;
        Ok(result)
    }

    /// [`Database::write`] that does not wait for durability: the ticket does. Whether the commit is
    /// visible before it is durable depends on the durability, as always.
    pub fn write_async<R>(&self, mut body: impl FnMut(&Transaction<'_>) -> Result<R>) -> Result<(R, Ticket)> {
        let (result, tx) = self.run(|tx| body(tx))?;
        let committed = tx.commit()?;
        self.engine().request(|r| r.sync());
        Ok((result, Ticket { shared: self.shared().clone(), committed }))
    }

    /// Begins a write transaction that is ended by a call: what a closure can't hold. Prefer [`Database::write`],
    /// which can't forget the end: other writers wait until then.
    ///
    /// Blocks for the writer's turn. Errors: `WriterTimeout`, `NestedTransaction` if this thread has begun one of
    /// this database already.
    ///
    /// ```
    /// # use nyro::{doc, Database, Document};
    /// # let db = Database::open(":memory:")?;
    /// let tx = db.begin()?;
    /// tx.collection::<Document>("users").put(&doc! { "_id": 1 })?;
    /// tx.commit()?;
    /// # assert_eq!(db.collection::<Document>("users").count_documents()?, 1);
    /// # Ok::<(), nyro::Error>(())
    /// ```
    pub fn begin(&self) -> Result<OwnedTransaction> {
        OwnedTransaction::begin(self.clone())
    }

    /// Runs the body of a transaction; what it gives is to be committed.
    fn run<R>(&self, body: impl FnOnce(&Transaction<'_>) -> Result<R>) -> Result<(R, EngineTransaction<'_>)> {
        let tx = Transaction::new(self.open_engine()?.begin()?, self.shared().max_document_bytes);
        match body(&tx) {
            Ok(result) => Ok((result, tx.into_engine())),
            Err(e) => {
                let committed = tx.into_engine().roll_back();
                self.engine().wait(committed)?;
                Err(e)
            }
        }
    }

    /// A transaction of one call, below the public types.
    pub(crate) fn write_one<R>(&self, body: impl FnOnce(&mut EngineTransaction<'_>) -> Result<R>) -> Result<R> {
        let engine = self.open_engine()?;
        let mut tx = engine.begin()?;
        match body(&mut tx) {
            Ok(result) => {
                engine.acknowledge(tx)?;
                Ok(result)
            }
            Err(e) => {
                // The error may rest on a commit that is not durable yet.
                engine.wait(tx.roll_back())?;
                Err(e)
            }
        }
    }

    /// A frozen view of the whole database as of now. It costs nothing to take and never waits or
    /// changes; while it lives, what is written is kept in the file and in memory, beyond `cache_bytes`
    /// (`docs/operations.md`, "Limits"; see [`Options::snapshot_max_age_ms`]).
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.open_engine()?;
        Ok(Snapshot::new(self.shared()))
    }

    /// A keyspace: an ordered map of bytes. It is made by the first write to it.
    pub fn keyspace(&self, name: &str) -> Keyspace {
        Keyspace::new(self.clone(), name)
    }

    /// Names of all keyspaces, sorted.
    pub fn keyspace_names(&self) -> Result<Vec<String>> {
        self.snapshot()?.keyspace_names()
    }

    /// Drops a keyspace with all its keys; false if there is none. Takes the same short time whatever its size: its
    /// runs are freed by the next checkpoints. Snapshots still see it.
    pub fn drop_keyspace(&self, name: &str) -> Result<bool> {
        self.write_one(|tx| tx.drop_named(name, trees::Kind::Keyspace))
    }

    /// Gives a keyspace another name. Errors: `CollectionNotFound`, `CollectionExists`, `OtherKind`.
    pub fn rename_keyspace(&self, from: &str, to: &str) -> Result<()> {
        self.write_one(|tx| tx.rename(from, to, trees::Kind::Keyspace))
    }

    /// Names of all collections, sorted.
    pub fn collection_names(&self) -> Result<Vec<String>> {
        self.snapshot()?.collection_names()
    }

    /// Makes an empty collection. Error: `CollectionExists`.
    pub fn create_collection(&self, name: &str) -> Result<()> {
        self.write_one(|tx| match tx.resolve(name)? {
            Some(_) => Err(Error::CollectionExists(name.to_owned())),
            None => tx.create(name, trees::Kind::Collection).map(|_| ()),
        })
    }

    /// Gives a collection another name. Errors: `CollectionNotFound`, `CollectionExists`.
    pub fn rename_collection(&self, from: &str, to: &str) -> Result<()> {
        self.write_one(|tx| tx.rename(from, to, trees::Kind::Collection))
    }

    /// Drops a collection with all its documents; false if there is none. Takes the same short time
    /// whatever its size: its pages are freed by the next checkpoint. Snapshots still see it.
    pub fn drop_collection(&self, name: &str) -> Result<bool> {
        self.write_one(|tx| tx.drop_named(name, trees::Kind::Collection))
    }

    /// Makes every commit so far durable, whatever the durability. Blocks for one sync of the log. Error:
    /// `ReadOnly` where it can't: a read-only opening may show commits that a power loss would still take.
    pub fn sync(&self) -> Result<()> {
        self.open_engine()?.sync()
    }

    /// Moves everything from memory and log into the file now. Blocks until done; writers and readers go
    /// on meanwhile. Never needed for safety: it happens in the background. Error: `NestedTransaction` inside
    /// [`Database::write`].
    pub fn checkpoint(&self) -> Result<()> {
        let engine = self.open_engine()?;
        engine.check_not_writing()?;
        engine.checkpoint(false).map(|_| ())
    }

    /// Checks the whole database: every page is reachable once or free, checksums, order, counters, and
    /// that every document is found by its id and is well-formed. Reads the whole file; reads and writes
    /// go on meanwhile. Error: `Corrupt`, with the first damage found.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.verify_with(Control::new())
    }

    /// [`Database::verify`] that tells how far it is (pages checked of the pages in use, then documents), and can
    /// be stopped: it looks each 256 pages and each 1 024 documents. Errors: `Corrupt`, `Cancelled`,
    /// `DeadlineExceeded`; stopped or not, nothing is changed.
    pub fn verify_with(&self, mut control: Control<'_>) -> Result<VerifyReport> {
        let engine = self.open_engine()?;
        let _lease = Lease::bare(self.shared());
        engine.check_open()?;
        engine.verify(&is_document, &mut control)
    }

    /// Brings pages of the file into memory and verifies their checksums, so that the reads to come need not: the
    /// index first, then record blocks, up to [`Options::cache_bytes`] in all. Useful after opening. Blocks until
    /// done; reads and writes go on meanwhile. Error: `Corrupt`, with the first damage found.
    pub fn warm_up(&self) -> Result<WarmUpReport> {
        self.warm_up_with(self.shared().options.cache_bytes, Control::new())
    }

    /// [`Database::warm_up`], with a limit in bytes, told how far it is and stopped by `control`.
    ///
    /// Under [`ReadMode::Mapped`](crate::ReadMode::Mapped) the pages come into the system's page cache, and stay as
    /// long as that sees fit: a limit far above the free memory is of no use. Under
    /// [`ReadMode::Pread`](crate::ReadMode::Pread) they come into the database's own memory, of which there is no
    /// more than `cache_bytes`, whatever the limit. Errors: `Cancelled` and `DeadlineExceeded`, which leave what was
    /// brought so far.
    pub fn warm_up_with(&self, limit_bytes: u64, mut control: Control<'_>) -> Result<WarmUpReport> {
        let engine = self.open_engine()?;
        let _lease = Lease::bare(self.shared());
        engine.check_open()?;
        engine.warm_up(limit_bytes, &mut control)
    }

    /// Figures about the database as of now, see [`Stats`]. Cheap; reads no page that is not in memory.
    pub fn stats(&self) -> Result<Stats> {
        Ok(Stats::of(self.open_engine()?))
    }

    /// Figures about the levels in which the keyspaces lie, see [`KeyspaceStats`]. Reads the tail of every run: about a
    /// hundredth of what keyspaces take in the file.
    ///
    /// ```
    /// let db = nyro::Database::open(":memory:")?;
    /// db.keyspace("scores").put("ada", "36")?;
    /// db.checkpoint()?;
    /// let stats = db.keyspace_stats()?;
    /// // Nothing lies below it, so it goes to the last level.
    /// assert_eq!((stats.levels[0].level, stats.levels[0].entries), (7, 1));
    /// assert_eq!(stats.flushed_bytes, 5);
    /// # Ok::<(), nyro::Error>(())
    /// ```
    pub fn keyspace_stats(&self) -> Result<KeyspaceStats> {
        self.open_engine()?;
        let snapshot = Snapshot::brief(self.shared());
        let state = snapshot.hold().lend()?;
        KeyspaceStats::of(snapshot.engine(), &state)
    }

    /// Tells `hook` from now on what happens behind the caller's back: checkpoints, pacing, slow operations,
    /// snapshots that were ended, failures of background work. One hook at a time. What happens while a file is
    /// opened is told by [`Database::open_with_events`].
    ///
    /// The hook is called with no lock held, on the thread where the thing happened, and must return soon: a
    /// checkpoint or a commit waits for it. It may read, and ask for [`stats`](Database::stats); a write from it
    /// can be the error `NestedTransaction`.
    ///
    /// ```
    /// # let db = nyro::Database::open(":memory:")?;
    /// db.on_event(|event| eprintln!("{event:?}"));
    /// db.tell_slow_operations(Some(std::time::Duration::from_millis(50)));
    /// # Ok::<(), nyro::Error>(())
    /// ```
    pub fn on_event(&self, hook: impl Fn(&Event) + Send + Sync + 'static) {
        if self.engine().is_forked() {
            return;
        }
        *self.engine().hook.write() = Some(Arc::new(hook));
    }

    /// From now on an operation that takes longer than `threshold` is an event
    /// ([`Event::SlowOperation`]). `None`, as in the beginning: none is. So that none is missed every get and
    /// every commit is timed meanwhile, which costs some 50 ns each.
    pub fn tell_slow_operations(&self, threshold: Option<Duration>) {
        self.engine().meter.set_slow(threshold);
    }
}

/// What `verify` asks of every document; the offset of the first byte that can't be right, else.
pub(crate) fn is_document(document: &[u8]) -> std::result::Result<(), u64> {
    match validate(document, usize::MAX) {
        Ok(_) => Ok(()),
        Err(Error::MalformedDocument { offset, .. }) => Err(offset as u64),
        Err(_) => Err(0),
    }
}

/// A commit on its way to the disk, from [`Database::write_async`].
#[derive(Clone)]
pub struct Ticket {
    shared: Arc<Shared>,
    committed: Committed,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("commit", &self.committed.commit).finish_non_exhaustive()
    }
}

impl Ticket {
    /// The commit number.
    pub fn commit(&self) -> u64 {
        self.committed.commit
    }

    /// Waits until the commit is on the disk, whatever the durability; closing the database puts it there,
    /// so it may be asked afterwards too. Error: `OutcomeUnknown`.
    pub fn wait(&self) -> Result<()> {
        self.shared.engine.check_fork()?;
        match self.shared.engine.log.get() {
            Some(log) => log.sync_through(crate::log::Lsn(self.committed.lsn)),
            None => Ok(()),
        }
    }

    /// True once it is on the disk. Never blocks.
    pub fn is_durable(&self) -> bool {
        !self.shared.engine.is_forked()
            && self.shared.engine.log.get().is_none_or(|log| log.durable().0 >= self.committed.lsn)
    }
}

/// Names of the collections, or keyspaces, in a state.
pub(crate) fn names(
    engine: &Engine,
    state: &crate::engine::state::State,
    commit: u64,
    wanted: trees::Kind,
) -> Result<Vec<String>> {
    let named = verify::catalog(state, &engine.pages, commit)?.into_iter();
    Ok(named.filter(|(_, (kind, _))| *kind == wanted).map(|(name, _)| name).collect())
}
