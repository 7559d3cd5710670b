//! fjall.

use crate::engine::{Durability, Outcome, Setup};
use crate::engines::fjall::open_database;
use crate::store::{Entry, Key, Store, StoreReading};
use fjall::config::CompressionPolicy;
use fjall::{Database, Iter, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use std::path::Path;
use std::time::Duration;

/// So often in a row nothing is to be seen of work in the background before it is done.
const QUIET: usize = 10;

/// fjall.
pub struct FjallStore {
    db: Database,
    entries: Keyspace,
    durability: Durability,
}

impl Store for FjallStore {
    type Snapshot<'e> = FjallStoreSnapshot<'e>;

    fn settings() -> &'static str {
        "no compression, a major compaction before it is read"
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<FjallStore> {
        let db = open_database(directory, setup)?;
        let options = || KeyspaceCreateOptions::default().data_block_compression_policy(CompressionPolicy::disabled());
        let entries = db.keyspace("entries", options)?;
        Ok(FjallStore { db, entries, durability: setup.durability })
    }

    fn close(self) -> Outcome<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    /// It has no call for that: its counters tell.
    fn settle(&self) -> Outcome<()> {
        self.entries.rotate_memtable_and_wait()?;
        let (mut quiet, mut completed) = (0, self.db.compactions_completed());
        while quiet < QUIET {
            std::thread::sleep(Duration::from_millis(1));
            let now = self.db.compactions_completed();
            let busy = self.db.outstanding_flushes() > 0 || self.db.active_compactions() > 0 || now != completed;
            (quiet, completed) = (if busy { 0 } else { quiet + 1 }, now);
        }
        Ok(())
    }

    fn compact(&mut self) -> Outcome<()> {
        self.settle()?;
        Ok(self.entries.major_compact()?)
    }

    fn put_batch(&self, entries: &[Entry<'_>]) -> Outcome<()> {
        let persist = (self.durability == Durability::Durable).then_some(PersistMode::SyncData);
        let mut batch = self.db.batch().durability(persist.or(Some(PersistMode::Buffer)));
        for (key, value) in entries {
            batch.insert(&self.entries, &key[..], *value);
        }
        Ok(batch.commit()?)
    }

    fn put(&self, key: Key, value: &[u8]) -> Outcome<()> {
        self.entries.insert(&key[..], value)?;
        if self.durability == Durability::Durable {
            self.db.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.entries.get(key)?.map(|found| read(&found)))
    }

    fn range(&self, from: Key, count: usize, read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        walk(self.entries.range(from..), count, read)
    }

    fn snapshot(&self) -> Outcome<FjallStoreSnapshot<'_>> {
        Ok(FjallStoreSnapshot { snapshot: self.db.snapshot(), entries: &self.entries })
    }
}

fn walk(range: Iter, count: usize, mut read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
    for found in range.take(count) {
        let (key, value) = found.into_inner()?;
        read(&key, &value);
    }
    Ok(())
}

/// A snapshot.
pub struct FjallStoreSnapshot<'e> {
    snapshot: Snapshot,
    entries: &'e Keyspace,
}

impl StoreReading for FjallStoreSnapshot<'_> {
    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.snapshot.get(self.entries, key)?.map(|found| read(&found)))
    }

    fn range(&self, from: Key, count: usize, read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        walk(self.snapshot.range(self.entries, from..), count, read)
    }
}
