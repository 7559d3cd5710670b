//! Handles: 64-bit numbers that stand for what the library keeps for its caller.
//!
//! ```text
//!   handle   = generation (32 bits) | kind (4 bits) | slot + 1 (28 bits)        0 is never a handle
//!
//!   slots    [ gen 3: database ] [ gen 7: free ] [ gen 1: scan ] ...            never moved, never freed
//!
//!   thread 1 [ using: handle ]   thread 2 [ using: nothing ]                    what each thread looks at now
//! ```
//!
//! A slot's generation grows when its object is released, so a released handle names nothing any more, however often
//! its slot is used again: a use after release is an error and never a wild pointer. A slot whose generations are
//! used up is not used again.
//!
//! Looking at an object takes no lock and writes no memory that threads share: the thread says which handle it uses,
//! then looks whether the slot still has that handle. Who releases a handle takes it out of its slot first and then
//! waits until no thread uses it (hazard pointers, M. Michael, 2004). Between the two steps of each lies a fence, which
//! those who look do not pay for ([`barrier`]). So [`hold`] is for calls that are short and call nobody back; what may wait
//! takes a share of the object out ([`share`] and the like) and works on that.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::time::Duration;

use nyro_owned::{CancelToken, Coll, Cursor, Database, Error, KeyRange, Keys, Snapshot, Tx};

use crate::barrier::{self, Light};

/// What a handle may stand for.
pub(crate) enum Object {
    Database(Database),
    Snapshot(Snapshot),
    Collection(Collection),
    Transaction(Transaction),
    Scan(Box<Walk<Cursor>>),
    Cancel(CancelToken),
    Keyspace(Keys),
    Range(Box<Walk<KeyRange>>),
}

/// A collection handle.
#[derive(Clone)]
pub(crate) enum Collection {
    /// Of a database or of a snapshot.
    Of(Arc<Coll>),
    /// Inside a transaction.
    In(Tx, Arc<str>),
}

/// What a handle of a scan or range stands for.
pub(crate) struct Walk<T> {
    cursor: Mutex<T>,
    /// Number of forks when it was made: in a child the lock may be held by a thread that is not there.
    born: u64,
}

impl<T> Walk<T> {
    pub(crate) fn new(cursor: T) -> Box<Walk<T>> {
        Box::new(Walk { cursor: Mutex::new(cursor), born: FORKS.load(Ordering::Relaxed) })
    }

    fn look<R>(&self, look: impl FnOnce(&mut T) -> Result<R, Error>) -> Result<R, Error> {
        if self.born != FORKS.load(Ordering::Relaxed) {
            return Err(Error::Forked);
        }
        // A panic in a walk ends it; what it holds is whole.
        look(&mut self.cursor.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A transaction handle: collections and keyspaces opened in it end with it.
pub(crate) struct Transaction {
    pub(crate) tx: Tx,
    opened: Mutex<Vec<u64>>,
}

impl Object {
    fn kind(&self) -> u64 {
        match self {
            Object::Database(_) => 1,
            Object::Snapshot(_) => 2,
            Object::Collection(_) => 3,
            Object::Transaction(_) => 4,
            Object::Scan(_) => 5,
            Object::Cancel(_) => 6,
            Object::Keyspace(_) => 7,
            Object::Range(_) => 8,
        }
    }
}

/// What a handle of each kind is called; 0 is none.
const KINDS: [&str; 9] =
    ["handle", "database", "snapshot", "collection", "transaction", "scan", "cancel token", "keyspace", "range"];

// ---- slots ---------------------------------------------------------------------------------------------

struct Slot {
    /// The handle that is valid, 0 if none is.
    handle: AtomicU64,
    object: UnsafeCell<Option<Object>>,
}

/// Slots of the first chunk are 2^6; each chunk has twice as many as the one before.
const FIRST_CHUNK_BITS: u32 = 6;
const CHUNKS: usize = 22;
const SLOT_BITS: u32 = 28;
const KIND_BITS: u32 = 4;

/// Chunks of slots, made as they are needed and never freed.
static SLOTS: [OnceLock<Box<[Slot]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];

// SAFETY: `object` is written by the holder of the table's lock, while no handle to the slot is valid and no thread
// uses one; it is read by threads that said so, as the module's text describes. What is in it is `Send + Sync`.
unsafe impl Sync for Slot {}

const fn assert_shared<T: Send + Sync>() {}
const _: () = assert_shared::<Object>();

/// Chunk and place in it of slot `index`: with the slots of the first chunk added, the highest bit says which chunk.
#[inline]
fn place_of(index: usize) -> Option<(usize, usize)> {
    let shifted = index.checked_add(1 << FIRST_CHUNK_BITS)?;
    let highest = shifted.ilog2();
    Some(((highest - FIRST_CHUNK_BITS) as usize, shifted ^ 1 << highest))
}

#[inline]
fn slot(index: usize) -> Option<&'static Slot> {
    let (chunk, at) = place_of(index)?;
    SLOTS.get(chunk)?.get()?.get(at)
}

fn make_slot(index: usize) -> Option<&'static Slot> {
    let (chunk, _) = place_of(index)?;
    let empty = || Slot { handle: AtomicU64::new(0), object: UnsafeCell::new(None) };
    let slots = 1 << FIRST_CHUNK_BITS << chunk;
    SLOTS.get(chunk)?.get_or_init(|| std::iter::repeat_with(empty).take(slots).collect());
    slot(index)
}

/// Which slots are in use, and the generation that each gives out next. A spin lock guards it, held for a few
/// instructions, so that a fork can hold it, too, and the child finds it free.
struct Table {
    locked: AtomicBool,
    free: UnsafeCell<Free>,
}

struct Free {
    generations: Vec<u32>,
    slots: Vec<u32>,
}

// SAFETY: `free` is reached only by `Table::lock`, which lets in one thread at a time.
unsafe impl Sync for Table {}

static TABLE: Table = Table {
    locked: AtomicBool::new(false),
    free: UnsafeCell::new(Free { generations: Vec::new(), slots: Vec::new() }),
};

impl Table {
    fn acquire(&self) {
        while self.locked.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            std::thread::yield_now();
        }
    }

    fn release(&self) {
        self.locked.store(false, Ordering::Release);
    }

    fn lock<R>(&self, f: impl FnOnce(&mut Free) -> R) -> R {
        struct Guard<'a>(&'a Table);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.release();
            }
        }
        self.acquire();
        let _guard = Guard(self);
        // SAFETY: the lock is held, and `f` can't call this again: it is given by this module alone.
        f(unsafe { &mut *self.free.get() })
    }
}

// ---- what each thread uses -----------------------------------------------------------------------------

/// A thread's word on what it uses, on cache lines of its own. Never freed; used again by other threads.
#[repr(align(128))]
struct Record {
    /// The handle that its thread looks at, 0 if none.
    using: AtomicU64,
    light: Light,
    /// A thread has it.
    taken: AtomicBool,
    next: AtomicPtr<Record>,
}

static RECORDS: AtomicPtr<Record> = AtomicPtr::new(std::ptr::null_mut());

impl Record {
    /// One that no thread has, or a new one.
    fn take() -> &'static Record {
        watch_forks();
        for record in records() {
            if record.taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return record;
            }
        }
        Record::add(Light::new())
    }

    fn add(light: Light) -> &'static Record {
        let record: &'static Record = Box::leak(Box::new(Record {
            using: AtomicU64::new(0),
            light,
            taken: AtomicBool::new(true),
            next: AtomicPtr::new(std::ptr::null_mut()),
        }));
        let mut first = RECORDS.load(Ordering::Acquire);
        loop {
            record.next.store(first, Ordering::Relaxed);
            let pushed = std::ptr::from_ref(record).cast_mut();
            // Comes before the fence of the first look: who takes out an object that this thread looks at finds the
            // record.
            match RECORDS.compare_exchange_weak(first, pushed, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return record,
                Err(other) => first = other,
            }
        }
    }

    /// Says that this thread uses a handle, before it looks whether its slot still has it. A release, so that who sees
    /// that the thread has gone on to another handle sees the first one's use as over.
    #[inline(always)]
    fn announce(&self, handle: u64) {
        self.using.store(handle, Ordering::Release);
        self.light.fence();
    }

    fn give_back(&self) {
        self.using.store(0, Ordering::Release);
        self.taken.store(false, Ordering::Release);
    }
}

fn records() -> impl Iterator<Item = &'static Record> {
    // SAFETY: records are leaked when they are made, so a pointer to one is valid for ever.
    let load = |at: &AtomicPtr<Record>| unsafe { at.load(Ordering::SeqCst).as_ref() };
    std::iter::successors(load(&RECORDS), move |record| load(&record.next))
}

/// The record of a thread, until that ends.
struct Owned(&'static Record);

impl Drop for Owned {
    fn drop(&mut self) {
        MINE.set(None);
        self.0.give_back();
    }
}

thread_local! {
    /// That of `OWNED`, once there is one and as long as it is there. A plain pointer with nothing to drop: it is read
    /// without asking whether it was made yet, or is gone already.
    static MINE: Cell<Option<&'static Record>> = const { Cell::new(None) };
    static OWNED: Owned = {
        let record = Record::take();
        MINE.set(Some(record));
        Owned(record)
    };
}

/// A thread's use of a handle, until it is dropped.
struct Using {
    record: &'static Record,
    /// The record is for this use alone: the thread's own is in use, or the thread is ending and has given it up.
    once: bool,
}

impl Using {
    #[inline(always)]
    fn new(handle: u64) -> Using {
        let using = match MINE.get() {
            Some(record) if record.using.load(Ordering::Relaxed) == 0 => Using { record, once: false },
            mine => Using::another(mine.is_none()),
        };
        using.record.announce(handle);
        using
    }

    #[cold]
    #[inline(never)]
    fn another(first: bool) -> Using {
        match OWNED.try_with(|owned| owned.0) {
            Ok(record) if first => Using { record, once: false },
            _ => Using { record: Record::take(), once: true },
        }
    }
}

impl Drop for Using {
    #[inline(always)]
    fn drop(&mut self) {
        if self.once {
            self.record.give_back();
        } else {
            self.record.using.store(0, Ordering::Release);
        }
    }
}

/// Forks between the process that loaded this library and this one.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Holds the table's lock over a fork, and clears in the child what the threads that are not there used.
fn watch_forks() {
    extern "C" fn before() {
        TABLE.acquire();
    }
    extern "C" fn in_parent() {
        TABLE.release();
    }
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
        TABLE.release();
        for record in records() {
            record.using.store(0, Ordering::Relaxed);
        }
    }
    static REGISTER: Once = Once::new();
    // SAFETY: the handlers live as long as the library, and only store to atomics, which a forked child may do. Without
    // them (no memory) only handles in forked children are worse off.
    REGISTER.call_once(|| unsafe {
        libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child));
    });
}

// ---- the calls -----------------------------------------------------------------------------------------

#[inline]
fn index_of(handle: u64) -> Option<usize> {
    ((handle & ((1 << SLOT_BITS) - 1)) as usize).checked_sub(1)
}

fn kind_of(handle: u64) -> u64 {
    handle >> SLOT_BITS & ((1 << KIND_BITS) - 1)
}

/// True if a handle stands for something now.
fn is_valid(handle: u64) -> bool {
    index_of(handle).and_then(slot).is_some_and(|slot| slot.handle.load(Ordering::SeqCst) == handle)
}

/// Gives an object a handle.
pub(crate) fn insert(object: Object) -> Result<u64, Error> {
    watch_forks();
    let full = || Error::InvalidArgument("2^28 handles are open; release what is not needed".to_owned());
    let (index, generation) = TABLE
        .lock(|table| {
            if let Some(index) = table.slots.pop() {
                let index = index as usize;
                return Some((index, *table.generations.get(index)?));
            }
            let index = table.generations.len();
            if index >= (1 << SLOT_BITS) - 1 {
                return None;
            }
            // Under the lock, so that no fork finds it half made.
            make_slot(index)?;
            table.generations.push(1);
            Some((index, 1))
        })
        .ok_or_else(full)?;
    let slot = slot(index).ok_or_else(full)?;
    let handle = u64::from(generation) << 32 | object.kind() << SLOT_BITS | (index as u64 + 1);
    // SAFETY: the slot was taken off the free list under the lock, so this thread alone has it, and no handle to it is
    // valid: nobody reads it.
    unsafe { *slot.object.get() = Some(object) };
    slot.handle.store(handle, Ordering::SeqCst);
    Ok(handle)
}

/// The object of a handle, which stays until this is dropped: whoever releases the handle waits for that. So it is kept
/// for calls that are short and call nobody back.
pub(crate) struct Held {
    object: &'static Object,
    handle: u64,
    _using: Using,
}

impl Deref for Held {
    type Target = Object;

    #[inline(always)]
    fn deref(&self) -> &Object {
        self.object
    }
}

/// Holds the object of a handle. The usual calls do it with no closure between, which the compiler may or may not see
/// through.
#[inline(always)]
pub(crate) fn hold(handle: u64) -> Result<Held, Error> {
    let Some(slot) = index_of(handle).and_then(slot) else { return Err(Error::Closed) };
    let using = Using::new(handle);
    if slot.handle.load(Ordering::Acquire) != handle {
        return Err(Error::Closed);
    }
    // SAFETY: the slot had this handle after the thread said that it uses it, with `Light::fence` between the two. Who
    // takes the object out clears the slot's handle first, then passes `barrier::heavy`, and then waits for the threads
    // that say they use it; of the two, one at least sees the other. So the object stays until `using` is dropped, and
    // `Held` lends it no longer than it lives itself.
    match unsafe { &*slot.object.get() } {
        Some(object) => Ok(Held { object, handle, _using: using }),
        None => Err(Error::Closed),
    }
}

impl Held {
    /// The collection that it must be.
    #[inline(always)]
    pub(crate) fn collection(&self) -> Result<&Collection, Error> {
        match self.object {
            Object::Collection(collection) => Ok(collection),
            _ => Err(wrong(self.handle, KINDS[3])),
        }
    }

    /// The keyspace that it must be.
    #[inline(always)]
    pub(crate) fn keyspace(&self) -> Result<&Keys, Error> {
        match self.object {
            Object::Keyspace(keyspace) => Ok(keyspace),
            _ => Err(wrong(self.handle, KINDS[7])),
        }
    }
}

/// Calls `look` with the object of a handle, as held by [`hold`].
fn with<R>(handle: u64, look: impl FnOnce(&Object) -> Result<R, Error>) -> Result<R, Error> {
    look(&*hold(handle)?)
}

/// Takes the handle's object out; the handle is stale from here on. Waits for calls that look at it.
pub(crate) fn remove(handle: u64) -> Result<Object, Error> {
    let (index, slot) = index_of(handle).and_then(|index| Some((index, slot(index)?))).ok_or(Error::Closed)?;
    slot.handle.compare_exchange(handle, 0, Ordering::SeqCst, Ordering::SeqCst).map_err(|_| Error::Closed)?;
    // After an error nothing is known of who looks at the object, so it stays, and its slot is not used again.
    let doing = "waiting for other threads (membarrier); what the handle stood for stays in memory";
    barrier::heavy().map_err(|e| Error::Io { doing, source: Arc::new(e) })?;
    for record in records() {
        let mut rounds = 0;
        while record.using.load(Ordering::SeqCst) == handle {
            rounds += 1;
            if rounds < 100 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }
    // SAFETY: this thread alone cleared the handle, nobody finds the object any more, and nobody looks at it.
    let object = unsafe { (*slot.object.get()).take() };
    TABLE.lock(|table| {
        let next = table.generations.get_mut(index).and_then(|generation| {
            *generation = generation.checked_add(1)?;
            Some(())
        });
        if next.is_some() {
            table.slots.push(index as u32);
        }
    });
    object.ok_or(Error::Closed)
}

#[cold]
fn wrong(handle: u64, wanted: &str) -> Error {
    let kind = KINDS.get(kind_of(handle) as usize).copied().unwrap_or("handle");
    Error::InvalidArgument(format!("the handle is a {kind}, where a {wanted} is wanted"))
}

/// The database of a handle; it stays open for the call that holds it.
pub(crate) fn database(handle: u64) -> Result<Database, Error> {
    with(handle, |object| match object {
        Object::Database(db) => Ok(db.clone()),
        _ => Err(wrong(handle, KINDS[1])),
    })
}

/// The snapshot of a handle.
pub(crate) fn snapshot(handle: u64) -> Result<Snapshot, Error> {
    with(handle, |object| match object {
        Object::Snapshot(snapshot) => Ok(snapshot.clone()),
        _ => Err(wrong(handle, KINDS[2])),
    })
}

/// A share of the collection of a handle, for calls that may wait.
pub(crate) fn share(handle: u64) -> Result<Collection, Error> {
    hold(handle)?.collection().cloned()
}

/// The transaction of a handle.
pub(crate) fn transaction(handle: u64) -> Result<Tx, Error> {
    with(handle, |object| match object {
        Object::Transaction(transaction) => Ok(transaction.tx),
        _ => Err(wrong(handle, KINDS[4])),
    })
}

/// Looks at the scan of a handle.
pub(crate) fn with_scan<R>(handle: u64, look: impl FnOnce(&mut Cursor) -> Result<R, Error>) -> Result<R, Error> {
    with(handle, |object| match object {
        Object::Scan(scan) => scan.look(look),
        _ => Err(wrong(handle, KINDS[5])),
    })
}

/// Looks at the range of a handle.
pub(crate) fn with_range<R>(handle: u64, look: impl FnOnce(&mut KeyRange) -> Result<R, Error>) -> Result<R, Error> {
    with(handle, |object| match object {
        Object::Range(range) => range.look(look),
        _ => Err(wrong(handle, KINDS[8])),
    })
}

/// A share of the keyspace of a handle, for calls that may wait.
pub(crate) fn share_keyspace(handle: u64) -> Result<Keys, Error> {
    hold(handle)?.keyspace().cloned()
}

/// The cancel token of a handle.
pub(crate) fn cancel(handle: u64) -> Result<CancelToken, Error> {
    with(handle, |object| match object {
        Object::Cancel(token) => Ok(token.clone()),
        _ => Err(wrong(handle, KINDS[6])),
    })
}

/// Takes out a handle that must be of a kind.
pub(crate) fn remove_kind(handle: u64, kind: usize) -> Result<Object, Error> {
    let wanted = KINDS.get(kind).copied().unwrap_or("handle");
    with(handle, |object| if object.kind() == kind as u64 { Ok(()) } else { Err(wrong(handle, wanted)) })?;
    remove(handle)
}

/// The transactions that a thread has begun and not ended. Their handles end with the thread, as they do themselves.
struct Begun(RefCell<Vec<u64>>);

thread_local! {
    static BEGUN: Begun = const { Begun(RefCell::new(Vec::new())) };
}

impl Drop for Begun {
    fn drop(&mut self) {
        for handle in std::mem::take(self.0.get_mut()) {
            release_transaction(handle);
        }
    }
}

/// A handle for a transaction, until that or this thread ends.
pub(crate) fn insert_transaction(tx: Tx) -> Result<u64, Error> {
    let handle = insert(Object::Transaction(Transaction { tx, opened: Mutex::default() }))?;
    if BEGUN.try_with(|begun| begun.0.borrow_mut().push(handle)).is_err() {
        release_transaction(handle);
        return Err(Error::InvalidArgument("this thread is ending".to_owned()));
    }
    Ok(handle)
}

/// A handle for a collection or keyspace of the transaction `handle`; it ends with the transaction.
pub(crate) fn insert_in_transaction(handle: u64, object: Object) -> Result<u64, Error> {
    let made = insert(object)?;
    let noted = with(handle, |object| match object {
        Object::Transaction(transaction) => {
            let mut opened = transaction.opened.lock().unwrap_or_else(PoisonError::into_inner);
            if opened.len() >= 64 && opened.len().is_power_of_two() {
                // Those that the caller has released are not kept.
                opened.retain(|handle| is_valid(*handle));
            }
            opened.push(made);
            Ok(())
        }
        _ => Err(wrong(handle, KINDS[4])),
    });
    if let Err(e) = noted {
        remove(made)?;
        return Err(e);
    }
    Ok(made)
}

/// Releases a transaction that this thread has ended, with what was opened in it.
pub(crate) fn end_transaction(handle: u64) {
    let _ = BEGUN.try_with(|begun| begun.0.borrow_mut().retain(|other| *other != handle));
    release_transaction(handle);
}

fn release_transaction(handle: u64) {
    let Ok(Object::Transaction(transaction)) = remove(handle) else { return };
    for opened in transaction.opened.into_inner().unwrap_or_else(PoisonError::into_inner) {
        // One that the caller released already is stale.
        let _ = remove(opened);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// A token is cancelled as soon as it was taken out, so who holds one that is cancelled holds what is gone.
    fn nobody_holds_what_was_taken_out(light: fn() -> Light) {
        // One such test at a time, with as many threads as there are processors at least.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        const ROUNDS: u64 = 200_000;
        const CELLS: usize = 1 << 21;
        let (current, held, over) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let record = Record::add(light());
                MINE.set(Some(record));
                let cells: Vec<AtomicU64> = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
                let mut random = 1_usize;
                while !over.load(Ordering::Relaxed) {
                    // Stores that miss the cache: what is stored after them is seen late by other threads.
                    for _ in 0..24 {
                        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                        cells[(random >> 32) % CELLS].store(1, Ordering::Relaxed);
                    }
                    let Ok(token) = hold(current.load(Ordering::Acquire)) else { continue };
                    let Object::Cancel(token) = &*token else { unreachable!("only tokens are made here") };
                    for _ in 0..2000 {
                        assert!(!token.is_cancelled(), "held, and taken out all the same");
                    }
                    held.fetch_add(1, Ordering::Relaxed);
                }
                MINE.set(None);
                record.give_back();
            });
            for round in 0..ROUNDS {
                let handle = insert(Object::Cancel(CancelToken::new())).expect("a handle");
                current.store(handle, Ordering::Release);
                for _ in 0..round % 64 {
                    std::hint::spin_loop();
                }
                let Ok(Object::Cancel(token)) = remove(handle) else { unreachable!("a token was put in") };
                token.cancel();
                if reader.is_finished() {
                    break;
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(held.into_inner() > 0, "nobody ever held one");
    }

    #[test]
    fn nobody_holds_what_was_taken_out_when_looking_is_free() {
        nobody_holds_what_was_taken_out(Light::new);
    }

    #[test]
    fn nobody_holds_what_was_taken_out_when_looking_takes_a_fence() {
        nobody_holds_what_was_taken_out(Light::full);
    }

    #[test]
    fn one_thread_may_hold_two_objects() {
        let handles = [0, 1].map(|_| insert(Object::Cancel(CancelToken::new())).expect("a handle"));
        let [first, second] = handles.map(|handle| hold(handle).expect("held"));
        std::thread::scope(|scope| {
            for handle in handles {
                scope.spawn(move || {
                    let Ok(Object::Cancel(token)) = remove(handle) else { unreachable!("a token was put in") };
                    token.cancel();
                });
            }
            std::thread::sleep(Duration::from_millis(20));
            for object in [&first, &second] {
                let Object::Cancel(token) = &**object else { unreachable!("a token was put in") };
                assert!(!token.is_cancelled(), "held, and taken out all the same");
            }
            drop((second, first));
        });
        assert!(handles.into_iter().all(|handle| hold(handle).is_err()));
    }
}
