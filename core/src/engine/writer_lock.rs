//! The writer lock: one writer at a time, first come first served, with a deadline.
//!
//! ```text
//!   free?  ---- yes: take it (one compare-and-swap)
//!     |
//!     no: look again for as long as a small commit takes
//!     |
//!     no: queue up [ w1 | w2 | w3 ] and sleep; the one who leaves hands over to w1
//! ```
//!
//! To be woken costs more than a commit. Who finds the lock held therefore looks again for a moment before it queues up;
//! it overtakes nobody who has, for the lock is never free while somebody waits.

use crate::error::{Error, Result};
use crate::fork;
use crate::signal::Signal;
use crate::sync::{spin_loop, Arc, AtomicU32, Mutex, Ordering, Patience};
use std::collections::VecDeque;
use std::time::Duration;

/// Nobody has it.
const FREE: u32 = 0;
/// Somebody has it, and nobody is queued up.
const HELD: u32 = 1;
/// Somebody has it, and somebody may be queued up.
const WANTED: u32 = 2;

/// How often it is looked at before queueing up: some microseconds.
const LOOKS: u32 = if cfg!(shuttle) { 2 } else { 100 };

/// A fair lock around the writer's state.
#[derive(Debug)]
pub struct WriterLock<T> {
    /// Generation of the process that made it.
    born: u64,
    state: AtomicU32,
    /// Who is queued up. A signal is told, and so the lock handed over, under this mutex.
    queue: Mutex<VecDeque<Arc<Signal>>>,
    /// Taken by whoever has the lock, and so never waited for.
    value: Mutex<T>,
}

/// The lock, held.
pub struct WriterGuard<'a, T> {
    lock: &'a WriterLock<T>,
    /// `None` only while dropping.
    value: Option<crate::sync::MutexGuard<'a, T>>,
    waited: Option<Duration>,
}

impl<T> WriterGuard<'_, T> {
    /// How long its taker waited for others; `None` if the lock was free.
    pub fn waited(&self) -> Option<Duration> {
        self.waited
    }
}

impl<T> WriterLock<T> {
    /// A free lock.
    pub fn new(value: T) -> WriterLock<T> {
        WriterLock {
            born: fork::generation(),
            state: AtomicU32::new(FREE),
            queue: Mutex::new(VecDeque::new()),
            value: Mutex::new(value),
        }
    }

    /// Waits for the lock, at most `timeout`.
    #[inline]
    pub fn lock(&self, timeout: Duration) -> Result<WriterGuard<'_, T>> {
        if self.take_free() {
            return Ok(self.guard(None));
        }
        self.wait(timeout)
    }

    fn take_free(&self) -> bool {
        self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self, timeout: Duration) -> Result<WriterGuard<'_, T>> {
        let patience = Patience::new(timeout);
        for _ in 0..LOOKS {
            match self.state.load(Ordering::Relaxed) {
                FREE if self.take_free() => return Ok(self.guard(Some(patience.waited()))),
                // Those who are queued up are before it.
                WANTED => break,
                _ => spin_loop(),
            }
        }
        let turn = Arc::new(Signal::default());
        {
            let mut queue = self.queue.lock();
            if self.state.swap(WANTED, Ordering::Acquire) == FREE {
                // Who unlocks will find nobody queued up, which does no harm.
                return Ok(self.guard(Some(patience.waited())));
            }
            queue.push_back(turn.clone());
        }
        if !turn.wait_for(patience.left()) {
            let mut queue = self.queue.lock();
            // It may have been handed over at the last moment.
            if !turn.is_told() {
                queue.retain(|other| !Arc::ptr_eq(other, &turn));
                return Err(Error::WriterTimeout { waited_ms: patience.waited().as_millis() as u64 });
            }
        }
        Ok(self.guard(Some(patience.waited())))
    }

    fn guard(&self, waited: Option<Duration>) -> WriterGuard<'_, T> {
        WriterGuard { lock: self, value: Some(self.value.lock()), waited }
    }

    fn unlock(&self) {
        if self.state.compare_exchange(HELD, FREE, Ordering::Release, Ordering::Relaxed).is_err() {
            self.hand_over();
        }
    }

    #[cold]
    fn hand_over(&self) {
        let mut queue = self.queue.lock();
        match queue.pop_front() {
            // The lock passes from hand to hand, and is not free in between.
            Some(next) => next.tell(),
            None => self.state.store(FREE, Ordering::Release),
        }
    }
}

impl<T> std::ops::Deref for WriterGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("the guard is being dropped"),
        }
    }
}

impl<T> std::ops::DerefMut for WriterGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("the guard is being dropped"),
        }
    }
}

impl<T> Drop for WriterGuard<'_, T> {
    fn drop(&mut self) {
        if fork::generation() != self.lock.born {
            // A child forked inside a transaction: those who waited are not here, and the locks may be held for
            // ever.
            std::mem::forget(self.value.take());
            return;
        }
        self.value = None;
        self.lock.unlock();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_waiter_gives_up_at_its_deadline_and_the_next_one_still_gets_its_turn() {
        let lock = Arc::new(WriterLock::new(0));
        let held = lock.lock(Duration::from_secs(1)).expect("free");
        assert!(matches!(lock.lock(Duration::from_millis(5)), Err(Error::WriterTimeout { .. })));
        let other = {
            let lock = lock.clone();
            std::thread::spawn(move || *lock.lock(Duration::from_secs(60)).expect("turn") += 1)
        };
        while lock.queue.lock().is_empty() {
            std::thread::yield_now();
        }
        drop(held);
        other.join().expect("joined");
        assert_eq!(*lock.lock(Duration::from_secs(1)).expect("free"), 1);
    }

    #[test]
    fn those_who_queue_up_get_their_turn_in_the_order_they_came() {
        let lock = Arc::new(WriterLock::new(Vec::new()));
        let held = lock.lock(Duration::from_secs(1)).expect("free");
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let other = lock.clone();
                let thread = thread::spawn(move || other.lock(Duration::from_secs(60)).expect("turn").push(number));
                while lock.queue.lock().len() <= number {
                    thread::yield_now();
                }
                thread
            })
            .collect();
        drop(held);
        threads.into_iter().for_each(|thread| thread.join().expect("joined"));
        assert_eq!(*lock.lock(Duration::from_secs(1)).expect("free"), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn many_writers_are_one_at_a_time() {
        let lock = WriterLock::new((0u64, false));
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..rounds {
                        let timeout = if round % 5 == 0 { Duration::from_micros(5) } else { Duration::from_secs(60) };
                        let Ok(mut value) = lock.lock(timeout) else { continue };
                        assert!(!std::mem::replace(&mut value.1, true), "somebody else has it");
                        value.0 += 1;
                        assert!(std::mem::replace(&mut value.1, false));
                    }
                });
            }
        });
        assert!(lock.lock(Duration::ZERO).expect("free").0 >= 4 * rounds * 4 / 5);
    }
}
