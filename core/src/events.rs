//! The event hook: what the engine does behind the caller's back, told as it happens.

use crate::error::Error;
use crate::sync::Mutex;
use std::sync::Arc;

/// Something that happened in the background, or once. More kinds may come.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A checkpoint is durable.
    Checkpoint {
        /// Its number.
        generation: u64,
        /// The last commit in it.
        commit: u64,
        /// How long it took, in microseconds.
        micros: u64,
    },
    /// A checkpoint failed; it is tried again.
    CheckpointFailed {
        /// Why.
        error: Error,
    },
    /// The file had not been closed cleanly and was recovered.
    Recovered {
        /// Commits replayed from the log.
        commits: u64,
        /// Bytes at the end of the log that held no whole commit.
        dropped_bytes: u64,
        /// How long it took, in microseconds.
        micros: u64,
    },
    /// One of the two meta pages was damaged or behind and was written again from the other.
    MetaHealed {
        /// Number of the page, 0 or 1.
        page: u64,
    },
    /// A writer was slowed down because the log or the memory passed its limit.
    Paced {
        /// For how long, in microseconds.
        micros: u64,
    },
    /// An operation took longer than the [limit](crate::Database::tell_slow_operations). It is told by the
    /// thread that was slow, after the operation.
    SlowOperation {
        /// What it was.
        operation: Operation,
        /// How long it took, in nanoseconds.
        nanos: u64,
    },
    /// A snapshot was older than `Options::snapshot_max_age_ms` and was ended.
    SnapshotEnded {
        /// The commit that it showed.
        commit: u64,
        /// How old it was, in milliseconds.
        age_ms: u64,
    },
    /// Background work failed.
    BackgroundError {
        /// Why.
        error: Error,
    },
}

/// An operation that can be slow. More may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Looking up one document by its id.
    Get,
    /// A commit, from its beginning to its acknowledgement: log, memory and, under `Sync`, the disk.
    Commit,
    /// Waiting for the writer's turn.
    WriterWait,
    /// A checkpoint.
    Checkpoint,
}

/// A function that is told about events. It is called with no lock held, on the thread where the event
/// happened, and must return soon.
pub type Hook = Arc<dyn Fn(&Event) + Send + Sync>;

/// Keeps what happens while a database is opened, when locks of the table of open databases are held, and tells it
/// afterwards; later events go straight through.
pub struct Early {
    hook: Hook,
    /// `None` once it is told.
    events: Mutex<Option<Vec<Event>>>,
}

impl Early {
    /// Keeps events for `hook`.
    pub fn new(hook: Hook) -> Early {
        Early { hook, events: Mutex::new(Some(Vec::new())) }
    }

    /// What the engine is given.
    pub fn hook(self: &Arc<Self>) -> Hook {
        let early = self.clone();
        Arc::new(move |event| {
            if let Some(events) = &mut *early.events.lock() {
                events.push(event.clone());
                return;
            }
            (early.hook)(event);
        })
    }

    /// Tells what was kept.
    pub fn tell(&self) {
        let kept = self.events.lock().take();
        kept.iter().flatten().for_each(|event| (self.hook)(event));
    }
}
