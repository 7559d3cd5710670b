//! Everything concurrent comes from here: atomics, locks, threads.
//!
//! ```text
//!   normal build     std's, the locks without poisoning
//!   --cfg loom       loom's: the lock-free modules under the model checker, every interleaving
//!   --cfg shuttle    tasks of shuttle: the whole engine, random interleavings
//! ```
//!
//! So the shipped modules themselves are what is checked.
//!
//! `std`'s locks hold all their state in themselves. Those of `parking_lot` keep who waits in one table for the whole
//! process: a forked child inherits it with threads in it that it does not have, and what it opens anew for itself can
//! hang on them.

#[cfg(not(any(loom, shuttle)))]
mod imp {
    pub(crate) use std::sync::atomic::{fence, AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
    pub(crate) use std::sync::Arc;

    use std::ops::{Deref, DerefMut};
    use std::sync::{PoisonError, RwLockReadGuard, RwLockWriteGuard, TryLockError};
    use std::time::{Duration, Instant};

    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::thread::{sleep, yield_now};

    /// How long somebody is ready to wait.
    #[derive(Debug)]
    pub(crate) struct Patience {
        start: Instant,
        most: Duration,
    }

    impl Patience {
        /// From now on.
        pub(crate) fn new(most: Duration) -> Patience {
            Patience { start: Instant::now(), most }
        }
        /// What is left of it.
        pub(crate) fn left(&self) -> Duration {
            self.most.saturating_sub(self.start.elapsed())
        }
        /// What is gone of it.
        pub(crate) fn waited(&self) -> Duration {
            self.start.elapsed()
        }
    }

    /// `std::sync::Mutex` that a panic does not poison.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    /// The mutex, held.
    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T>(
        /// `None` only inside of [`Condvar::wait`].
        Option<std::sync::MutexGuard<'a, T>>,
    );

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Mutex(std::sync::Mutex::new(value))
        }
        #[inline]
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
        }
        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(MutexGuard(Some(guard))),
                Err(TryLockError::Poisoned(poisoned)) => Some(MutexGuard(Some(poisoned.into_inner()))),
                Err(TryLockError::WouldBlock) => None,
            }
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        #[inline]
        fn deref(&self) -> &T {
            self.0.as_deref().expect("a guard is held outside of a wait")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        #[inline]
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_deref_mut().expect("a guard is held outside of a wait")
        }
    }

    /// `std::sync::Condvar` that takes the guard by reference.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(std::sync::Condvar);

    impl Condvar {
        pub(crate) const fn new() -> Self {
            Condvar(std::sync::Condvar::new())
        }
        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            guard.0 = guard.0.take().map(|held| self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
        }
        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, most: Duration) {
            let wait = |held| self.0.wait_timeout(held, most).unwrap_or_else(PoisonError::into_inner).0;
            guard.0 = guard.0.take().map(wait);
        }
        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// `std::sync::RwLock` that a panic does not poison.
    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(std::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) const fn new(value: T) -> Self {
            RwLock(std::sync::RwLock::new(value))
        }
        #[inline]
        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }
        #[inline]
        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(loom)]
mod imp {
    //! loom's types behind the same signatures.
    pub(crate) use loom::sync::atomic::{fence, AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
    pub(crate) use loom::sync::{Arc, MutexGuard};

    /// The mutex, as far as models use it.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }
        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("a thread of the model panicked")
        }
    }

    /// The lock, as far as models use it.
    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            RwLock(loom::sync::RwLock::new(value))
        }
        pub(crate) fn read(&self) -> loom::sync::RwLockReadGuard<'_, T> {
            self.0.read().expect("a thread of the model panicked")
        }
        pub(crate) fn write(&self) -> loom::sync::RwLockWriteGuard<'_, T> {
            self.0.write().expect("a thread of the model panicked")
        }
    }
}

#[cfg(all(test, loom))]
pub(crate) mod model;

#[cfg(shuttle)]
#[path = "sync/tasks.rs"]
mod imp;

/// `thread_local!` for what tells a thread from another.
#[cfg(shuttle)]
pub(crate) use shuttle::thread_local as task_local;
#[cfg(not(shuttle))]
pub(crate) use std::thread_local as task_local;

/// The mutex of a simulated device: one like the others, unless tasks take turns.
#[cfg(all(any(test, feature = "testing"), not(any(loom, shuttle))))]
pub(crate) use imp::{Mutex as DeviceMutex, MutexGuard as DeviceGuard};

pub(crate) use imp::*;
pub(crate) use std::sync::atomic::Ordering;

/// Asks the processor to load the cache line at `at`; a hint without effect on meaning.
#[inline]
pub(crate) fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
