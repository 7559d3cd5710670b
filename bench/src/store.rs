//! What an engine has to do with entries: keys of 16 bytes and their values, in the order of the keys.

use crate::engine::{Outcome, Setup};
use crate::machine;
use std::path::Path;

/// Bytes of a key.
pub const KEY_BYTES: usize = 16;
/// Bytes of a value.
pub const VALUE_BYTES: usize = 100;
/// Bytes of an entry.
pub const ENTRY_BYTES: usize = KEY_BYTES + VALUE_BYTES;

/// A key.
pub type Key = [u8; KEY_BYTES];

/// A key and its value.
pub type Entry<'a> = (Key, &'a [u8]);

/// An ordered store under test.
pub trait Store: Sized + Sync {
    /// All reads of it see one state.
    type Snapshot<'e>: StoreReading
    where
        Self: 'e;

    /// What is set for it besides what the engine's documents have, in a line.
    fn settings() -> &'static str;

    /// Opens the store in a directory, or makes it.
    fn open(directory: &Path, setup: Setup) -> Outcome<Self>;

    /// Closes it cleanly.
    fn close(self) -> Outcome<()>;

    /// Blocks until nothing is left to do in the background: all that is in memory flushed, all merges done.
    fn settle(&self) -> Outcome<()>;

    /// Brings it into the shape that is best for reading, where it has a call for that.
    fn compact(&mut self) -> Outcome<()> {
        self.settle()
    }

    /// Gives keys these values, in one transaction.
    fn put_batch(&self, entries: &[Entry<'_>]) -> Outcome<()>;

    /// Gives a key a value, in a transaction of its own.
    fn put(&self, key: Key, value: &[u8]) -> Outcome<()> {
        self.put_batch(&[(key, value)])
    }

    /// Gives the value of a key to `read`, in a snapshot of its own.
    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        self.snapshot()?.get(key, read)
    }

    /// Gives up to `count` entries from a key on to `read`, in order, in a snapshot of its own.
    fn range(&self, from: Key, count: usize, read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        self.snapshot()?.range(from, count, read)
    }

    /// The state as of now.
    fn snapshot(&self) -> Outcome<Self::Snapshot<'_>>;

    /// Bytes that this process has handed to the system for files until now: by the engine's own counters where it
    /// writes through mappings, else as the system counts calls.
    fn handed_bytes(&self) -> Outcome<u64> {
        Ok(machine::handed_bytes())
    }
}

/// Reads that see one state.
pub trait StoreReading {
    /// Gives the value of a key to `read`.
    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>>;

    /// Gives up to `count` entries from a key on to `read`, in order.
    fn range(&self, from: Key, count: usize, read: impl FnMut(&[u8], &[u8])) -> Outcome<()>;
}
