//! Transactions as plain values, for callers that can't hold what belongs to one thread.
//!
//! ```text
//!   Tx { number, thread }  --on its thread-->  thread-local: number -> OwnedTransaction
//!                          --elsewhere------>  WrongThread
//! ```
//!
//! So a `Tx` can be kept anywhere and dropped anywhere, and a thread that ends rolls back what it began: a worker
//! that is terminated in the middle leaves no writer lock behind.

use nyro::{Database, Error, OwnedTransaction, Result};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

thread_local! {
    /// The transactions that this thread has begun and not ended.
    static OPEN: RefCell<HashMap<u64, Rc<Kept>>> = RefCell::default();
}

/// A transaction and that it is counted, which ends after it.
struct Kept {
    transaction: OwnedTransaction,
    counted: Counted,
}

/// Transactions that are open in this process, and how often it was forked off.
static COUNT: AtomicI64 = AtomicI64::new(0);
static FORKS: AtomicU64 = AtomicU64::new(0);

/// One of [`COUNT`], until it is dropped: with its thread at the latest.
struct Counted {
    forks: u64,
}

impl Counted {
    fn new() -> Counted {
        COUNT.fetch_add(1, Ordering::SeqCst);
        Counted { forks: FORKS.load(Ordering::SeqCst) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.forks == FORKS.load(Ordering::SeqCst) {
            COUNT.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// A number for this thread, that no other thread of this process has had. Unlike the standard library's it can be
/// asked for while the thread ends.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

/// Numbers of transactions, never used twice in a process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A write transaction. Not ended, it is rolled back when its thread ends; dropping a `Tx` does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tx {
    number: u64,
    thread: u64,
}

impl Tx {
    /// Begins a transaction; waits for the writer's turn. Errors: as [`Database::begin`].
    pub fn begin(db: &Database) -> Result<Tx> {
        let transaction = Rc::new(Kept { transaction: db.begin()?, counted: Counted::new() });
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let kept = OPEN.try_with(|open| open.borrow_mut().insert(number, transaction));
        match kept {
            Ok(_) => Ok(Tx { number, thread: this_thread() }),
            Err(_) => Err(Error::InvalidArgument("this thread is ending".to_owned())),
        }
    }

    /// A number that no other transaction of this process has.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The transaction, for one call. Errors: `WrongThread`; `Closed` if it has ended.
    pub fn with<R>(&self, call: impl FnOnce(&OwnedTransaction) -> Result<R>) -> Result<R> {
        self.check_thread()?;
        let found = OPEN.try_with(|open| open.borrow().get(&self.number).cloned());
        let kept = found.ok().flatten().ok_or(Error::Closed)?;
        call(&kept.transaction)
    }

    /// Commits and gives the commit number; see [`OwnedTransaction::commit`]. Ended after an error too, but for
    /// `WrongThread`.
    pub fn commit(&self) -> Result<u64> {
        let Kept { transaction, counted } = self.take()?;
        let committed = transaction.commit();
        drop(counted);
        committed
    }

    /// Ends it without a trace.
    pub fn rollback(&self) -> Result<()> {
        let Kept { transaction, counted } = self.take()?;
        let ended = transaction.rollback();
        drop(counted);
        ended
    }

    /// How many are open, on whatever thread: begun, not ended, and their thread has not ended either.
    pub fn count_open() -> u64 {
        u64::try_from(COUNT.load(Ordering::SeqCst)).unwrap_or(0)
    }

    /// Rolls back those of this thread, for a thread that is about to end the program.
    pub fn rollback_of_this_thread() {
        let open = OPEN.try_with(|open| std::mem::take(&mut *open.borrow_mut()));
        drop(open);
    }

    /// In a forked child: the parent's transactions are not this process's.
    pub fn forget_after_fork() {
        FORKS.fetch_add(1, Ordering::SeqCst);
        COUNT.store(0, Ordering::SeqCst);
    }

    /// True on its thread, until it has ended.
    pub fn is_open(&self) -> bool {
        self.check_thread().is_ok() && OPEN.try_with(|open| open.borrow().contains_key(&self.number)).unwrap_or(false)
    }

    fn check_thread(&self) -> Result<()> {
        if self.thread == this_thread() {
            Ok(())
        } else {
            Err(Error::WrongThread)
        }
    }

    fn take(&self) -> Result<Kept> {
        self.check_thread()?;
        let taken = OPEN.try_with(|open| open.borrow_mut().remove(&self.number));
        let transaction = taken.ok().flatten().ok_or(Error::Closed)?;
        Rc::try_unwrap(transaction).map_err(|transaction| {
            // A call of this transaction is still under way, and has called back.
            let _ = OPEN.try_with(|open| open.borrow_mut().insert(self.number, transaction));
            Error::InvalidArgument("a call of this transaction is under way; end it after that".to_owned())
        })
    }
}
