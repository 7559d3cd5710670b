//! What an engine has to do. Keys are 8 bytes, big-endian, where the engine has no integers of its own; values are the
//! documents as MessagePack.

use crate::store::Store;
use std::path::Path;

/// Whatever went wrong.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// An id and its document.
pub type Item<'a> = (u64, &'a [u8]);

/// How a commit is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A commit survives the end of the process; a power cut may take the last ones.
    Relaxed,
    /// A commit is on the disk when it returns.
    Durable,
}

/// Memory that engines with a cache of their own get for it, in bytes: what NyroDB has by default.
pub const CACHE_BYTES: usize = 512 << 20;

/// How an engine is opened.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// How commits are kept.
    pub durability: Durability,
    /// Memory for a cache of its own, in bytes.
    pub cache_bytes: usize,
}

impl Setup {
    /// The cache in words.
    pub fn cache(&self) -> String {
        format!("{} MiB of cache", self.cache_bytes >> 20)
    }
}

/// A store under test.
pub trait Engine: Sized + Sync {
    /// Its name in tables and arguments.
    const NAME: &'static str;

    /// True if it compresses documents.
    const COMPRESSES: bool = false;

    /// All reads of it see one state.
    type Snapshot<'e>: Reading
    where
        Self: 'e;

    /// Its ordered map of keys and values.
    type Store: Store;

    /// Name and version.
    fn version() -> String;

    /// How it is configured, in a line.
    fn settings(setup: Setup) -> String;

    /// Opens the database in a directory, or makes it.
    fn open(directory: &Path, setup: Setup) -> Outcome<Self>;

    /// Closes it cleanly.
    fn close(self) -> Outcome<()>;

    /// Lets it finish what it does in the background, so that it is measured at its best.
    fn settle(&self) -> Outcome<()> {
        Ok(())
    }

    /// Sees to it that the end of the process loses nothing that was committed, where commits alone do not.
    fn outlive_process(&self) -> Outcome<()> {
        Ok(())
    }

    /// Inserts documents with new ids, in one transaction.
    fn insert_batch(&self, items: &[Item<'_>]) -> Outcome<()>;

    /// The same, ids ascending and above all that are there.
    fn append_batch(&self, items: &[Item<'_>]) -> Outcome<()> {
        self.insert_batch(items)
    }

    /// Replaces documents, in one transaction. Most engines know one kind of write for both.
    fn update_batch(&self, items: &[Item<'_>]) -> Outcome<()> {
        self.insert_batch(items)
    }

    /// Inserts a document, in a transaction of its own.
    fn insert(&self, item: Item<'_>) -> Outcome<()> {
        self.insert_batch(&[item])
    }

    /// Replaces a document, in a transaction of its own.
    fn update(&self, item: Item<'_>) -> Outcome<()> {
        self.insert(item)
    }

    /// Gives a document to `read`, in a snapshot of its own.
    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>>;

    /// The state as of now.
    fn snapshot(&self) -> Outcome<Self::Snapshot<'_>>;

    /// Bytes that were moved to make room, if it tells.
    fn relocated_bytes(&self) -> Option<u64> {
        None
    }
}

/// Reads that see one state.
pub trait Reading {
    /// Gives a document to `read`.
    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>>;

    /// Gives the documents of many ids to `read`, each as it comes; the best way that it has.
    fn get_many(&self, ids: &[u64], mut read: impl FnMut(&[u8])) -> Outcome<()> {
        for id in ids {
            self.get(*id, &mut read)?;
        }
        Ok(())
    }

    /// Gives all documents to `read`, in whatever order is its own.
    fn scan(&self, read: impl FnMut(&[u8])) -> Outcome<()>;
}
