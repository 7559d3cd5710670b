//! What is timed, and who is told when it took too long.
//!
//! ```text
//!   get       count --> one of 256: clock, look up, clock --> histogram --> slow? event
//!   commit    tx.commit, wait for durability -------------->     "
//!   checkpoint, wait for the writer ----------------------->     "
//! ```
//!
//! Events are told after the operation, with no lock held.

use super::transaction::Transaction;
use super::{Committed, Engine};
use crate::error::Result;
use crate::events::{Event, Operation};
use crate::meter::Histogram;
use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// What a transaction changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changed {
    /// Documents that were not there before.
    pub inserts: u64,
    /// Documents that were.
    pub replaces: u64,
    /// Documents deleted.
    pub deletes: u64,
}

impl Engine {
    /// Counts a get, and gives its beginning if it is to be timed: for [`Engine::time_get`].
    #[inline]
    pub fn begin_get(&self) -> Option<Duration> {
        self.meter.count_get().then(|| self.env.monotonic())
    }

    /// The end of a get that began at `start`: how long it took.
    #[cold]
    pub fn time_get(&self, start: Duration) -> Duration {
        let took = self.env.monotonic().saturating_sub(start);
        self.meter.get.record(took);
        took
    }

    /// Commits, and waits until the commit is as durable as this database promises.
    pub fn acknowledge(&self, tx: Transaction<'_>) -> Result<Committed> {
        let waited = tx.waited();
        // The number of the last commit: nobody else changes it meanwhile.
        let number = self.counters.commits.load(Ordering::Relaxed);
        let start = self.meter.times_commit(number).then(|| self.env.monotonic());
        let committed = tx.commit()?;
        self.wait(committed)?;
        if let Some(start) = start {
            self.timed(Operation::Commit, &self.meter.commit, start);
        }
        if let Some(waited) = waited {
            self.tell_if_slow(Operation::WriterWait, waited);
        }
        Ok(committed)
    }

    /// A checkpoint that began at `start` is over, or there was none to make. Requires: no lock is held.
    pub(super) fn tell_of_checkpoint<T>(&self, start: Duration, done: &Result<Option<T>>) {
        match done {
            Ok(Some(_)) => {
                let meta = self.meta.lock().clone();
                let now = self.env.monotonic();
                self.checkpointed_at.store(now.as_micros() as u64, Ordering::Relaxed);
                let took = now.saturating_sub(start);
                self.meter.checkpoint.record(took);
                let micros = took.as_micros() as u64;
                self.event(Event::Checkpoint { generation: meta.generation, commit: meta.commit, micros });
                self.tell_if_slow(Operation::Checkpoint, took);
            }
            Ok(None) => {}
            Err(e) => self.event(Event::CheckpointFailed { error: e.clone() }),
        }
    }

    fn timed(&self, operation: Operation, times: &Histogram, start: Duration) {
        let took = self.env.monotonic().saturating_sub(start);
        times.record(took);
        self.tell_if_slow(operation, took);
    }

    /// Tells the event hook if it took too long. Requires: no lock is held.
    pub fn tell_if_slow(&self, operation: Operation, took: Duration) {
        if self.meter.is_slow(took) {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.event(Event::SlowOperation { operation, nanos });
        }
    }

    /// Counts a commit. Requires: the writer lock.
    pub(super) fn count_commit(&self, changed: Changed) {
        // Nobody else writes to these, so that no atomic addition is needed.
        let add = |counter: &AtomicU64, n| counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        add(&self.counters.commits, 1);
        add(&self.counters.inserts, changed.inserts);
        add(&self.counters.replaces, changed.replaces);
        add(&self.counters.deletes, changed.deletes);
    }
}
