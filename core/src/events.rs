//! The event hook: what the engine does behind the caller's back, told as it happens.

use crate::error::Error;
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
    /// Background work failed.
    BackgroundError {
        /// Why.
        error: Error,
    },
}

/// A function that is told about events. It is called with no lock held, on the thread where the event
/// happened, and must return soon.
pub type Hook = Arc<dyn Fn(&Event) + Send + Sync>;
