//! The writer lock: one writer at a time, first come first served, with a deadline.
//!
//! ```text
//!   free?  ---- yes: take it (one compare-and-swap under a short mutex)
//!     |
//!     no: queue up [ w1 | w2 | w3 ]; the one who leaves hands over to w1
//! ```

use crate::error::{Error, Result};
use crate::fork;
use crate::sync::{Arc, Condvar, Mutex};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
struct Queue {
    held: bool,
    waiting: VecDeque<Arc<Turn>>,
}

#[derive(Debug)]
struct Turn {
    /// Set when the lock was handed to this waiter. Guarded by the queue's mutex.
    called: Condvar,
    granted: std::sync::atomic::AtomicBool,
}

/// A fair lock around the writer's state.
#[derive(Debug)]
pub struct WriterLock<T> {
    /// Generation of the process that made it.
    born: u64,
    queue: Mutex<Queue>,
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
        WriterLock { born: fork::generation(), queue: Mutex::new(Queue::default()), value: Mutex::new(value) }
    }

    /// Waits for the lock, at most `timeout`.
    pub fn lock(&self, timeout: Duration) -> Result<WriterGuard<'_, T>> {
        let mut queue = self.queue.lock();
        if !queue.held && queue.waiting.is_empty() {
            queue.held = true;
            drop(queue);
            return Ok(self.guard(None));
        }
        let turn = Arc::new(Turn { called: Condvar::new(), granted: false.into() });
        queue.waiting.push_back(turn.clone());
        let start = Instant::now();
        while !turn.granted.load(std::sync::atomic::Ordering::Relaxed) {
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                queue.waiting.retain(|other| !Arc::ptr_eq(other, &turn));
                return Err(Error::WriterTimeout { waited_ms: start.elapsed().as_millis() as u64 });
            }
            turn.called.wait_for(&mut queue, left.min(Duration::from_secs(3600)));
        }
        drop(queue);
        Ok(self.guard(Some(start.elapsed())))
    }

    fn guard(&self, waited: Option<Duration>) -> WriterGuard<'_, T> {
        WriterGuard { lock: self, value: Some(self.value.lock()), waited }
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
        let mut queue = self.lock.queue.lock();
        match queue.waiting.pop_front() {
            Some(next) => {
                // `held` stays: the lock passes from hand to hand.
                next.granted.store(true, std::sync::atomic::Ordering::Relaxed);
                next.called.notify_one();
            }
            None => queue.held = false,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_gives_up_at_its_deadline_and_the_next_one_still_gets_its_turn() {
        let lock = Arc::new(WriterLock::new(0));
        let held = lock.lock(Duration::from_secs(1)).expect("free");
        assert!(matches!(lock.lock(Duration::from_millis(5)), Err(Error::WriterTimeout { .. })));
        let other = {
            let lock = lock.clone();
            std::thread::spawn(move || *lock.lock(Duration::from_secs(60)).expect("turn") += 1)
        };
        while lock.queue.lock().waiting.is_empty() {
            std::thread::yield_now();
        }
        drop(held);
        other.join().expect("joined");
        assert_eq!(*lock.lock(Duration::from_secs(1)).expect("free"), 1);
    }
}
