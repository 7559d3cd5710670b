//! NyroDB's keyspaces.

use crate::engine::{Outcome, Setup};
use crate::engines::nyro::open_database;
use crate::store::{Entry, Key, Store, StoreReading};
use nyro::{Database, Keyspace, KeyspaceRange, SnapshotKeyspace};
use std::path::Path;

const NAME: &str = "entries";

/// A keyspace.
pub struct NyroStore {
    db: Database,
    entries: Keyspace,
}

impl Store for NyroStore {
    type Snapshot<'e> = NyroStoreSnapshot;

    fn settings() -> &'static str {
        "a keyspace"
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<NyroStore> {
        let db = open_database(directory, setup)?;
        let entries = db.keyspace(NAME);
        Ok(NyroStore { db, entries })
    }

    fn close(self) -> Outcome<()> {
        drop(self.entries);
        Ok(self.db.close()?)
    }

    /// A checkpoint merges as far as its budget goes: another one goes on.
    fn settle(&self) -> Outcome<()> {
        self.db.checkpoint()?;
        while self.db.stats()?.reclaim_pending {
            self.db.checkpoint()?;
        }
        Ok(())
    }

    fn compact(&mut self) -> Outcome<()> {
        self.db.compact()?;
        Ok(())
    }

    fn put_batch(&self, entries: &[Entry<'_>]) -> Outcome<()> {
        Ok(self.entries.batch(|keyspace| entries.iter().try_for_each(|(key, value)| keyspace.put(key, value)))?)
    }

    fn put(&self, key: Key, value: &[u8]) -> Outcome<()> {
        Ok(self.entries.put(key, value)?)
    }

    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.entries.get_with(key, read)?)
    }

    fn range(&self, from: Key, count: usize, read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        walk(self.entries.range(from..)?, count, read)
    }

    fn snapshot(&self) -> Outcome<NyroStoreSnapshot> {
        Ok(NyroStoreSnapshot(self.db.snapshot()?.keyspace(NAME)?))
    }

    fn handed_bytes(&self) -> Outcome<u64> {
        let stats = self.db.stats()?;
        Ok(stats.log_bytes_written + stats.page_bytes_written + stats.block_bytes_written)
    }
}

fn walk(mut range: KeyspaceRange, count: usize, mut read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
    for _ in 0..count {
        let Some((key, value)) = range.next_entry()? else { break };
        read(key, value);
    }
    Ok(())
}

/// A snapshot's keyspace.
pub struct NyroStoreSnapshot(SnapshotKeyspace);

impl StoreReading for NyroStoreSnapshot {
    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.0.get_with(key, read)?)
    }

    fn range(&self, from: Key, count: usize, read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        walk(self.0.range(from..)?, count, read)
    }
}
