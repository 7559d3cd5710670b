//! When Python's lock is given up, and how a program ends in the middle of it.
//!
//! ```text
//!   call --- release --- engine works, waits --- take back --- result
//!                  inside: +1                -1
//!
//!   exit:  nobody is let in any more; wait until all are out; close what is open
//! ```
//!
//! Python ends threads that still run at its exit (daemon threads) when they want the lock back. In the middle of
//! native code that is no good place, so the exit first waits for them to come out. A thread that comes later stays
//! where it is until the process is gone.

use crate::database;
use nyro_owned::Tx;
use pyo3::prelude::*;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::Mutex;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// Threads that have given the lock up for a call.
static INSIDE: AtomicI64 = AtomicI64::new(0);

/// Set when the program begins to end, with the thread that ends it.
static EXITING: AtomicBool = AtomicBool::new(false);
static EXITS: Mutex<Option<ThreadId>> = Mutex::new(None);

/// How long the end of the program waits for calls that are under way.
const PATIENCE: Duration = Duration::from_secs(2);

struct Inside;

impl Inside {
    fn enter() -> Inside {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs `call` without Python's lock.
pub fn released<R: Send>(py: Python<'_>, call: impl FnOnce() -> R + Send) -> R {
    if EXITING.load(Ordering::SeqCst) && !is_exiting_thread() {
        py.detach(stay);
    }
    released_even_at_exit(py, call)
}

/// [`released`] for a call that ends a transaction: others, the exit among them, wait for it.
pub fn released_even_at_exit<R: Send>(py: Python<'_>, call: impl FnOnce() -> R + Send) -> R {
    let inside = Inside::enter();
    let result = py.detach(call);
    drop(inside);
    result
}

/// Until the process is gone.
fn stay() {
    loop {
        std::thread::park();
    }
}

fn is_exiting_thread() -> bool {
    EXITS.lock().is_ok_and(|thread| *thread == Some(std::thread::current().id()))
}

/// A handle of the engine's whose end may wait (the last one closes the database): it ends without Python's lock.
pub struct Held<T: Send>(ManuallyDrop<T>);

impl<T: Send> Held<T> {
    /// Holds a handle.
    pub fn new(handle: T) -> Held<T> {
        Held(ManuallyDrop::new(handle))
    }
}

impl<T: Send> std::ops::Deref for Held<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send> std::ops::DerefMut for Held<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Send> Drop for Held<T> {
    fn drop(&mut self) {
        // SAFETY: this is the drop of the only owner, so it is taken once.
        let handle = unsafe { ManuallyDrop::take(&mut self.0) };
        let mut handle = Some(handle);
        // Where this is no thread of Python's any more, there is no lock to give up.
        let _ = Python::try_attach(|py| released(py, || drop(handle.take())));
        drop(handle);
    }
}

/// Called when the program ends: waits for calls that are under way, and closes what is open.
#[pyfunction]
pub fn at_exit(py: Python<'_>) {
    if let Ok(mut thread) = EXITS.lock() {
        *thread = Some(std::thread::current().id());
    }
    EXITING.store(true, Ordering::SeqCst);
    py.detach(|| {
        // What this thread has left open nobody else can end.
        Tx::rollback_of_this_thread();
        let start = Instant::now();
        let busy = || INSIDE.load(Ordering::SeqCst) > 0 || Tx::count_open() > 0;
        while busy() && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        // A transaction that nobody ends keeps its database from being closed; that is then as after a crash.
        if Tx::count_open() == 0 {
            database::close_all();
        }
    });
}

/// Called in a forked child: its parent's threads and databases are not here.
#[pyfunction]
pub fn after_fork() {
    INSIDE.store(0, Ordering::SeqCst);
    Tx::forget_after_fork();
    database::forget_all();
}
