//! redb.

use crate::engine::{Durability, Outcome, Setup};
use crate::engines::redb::{durability, open_database};
use crate::store::{Entry, Key, Store, StoreReading, KEY_BYTES};
use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition};
use std::path::Path;

/// Keys of a fixed size, so that it need not keep where each ends.
const ENTRIES: TableDefinition<'static, &'static [u8; KEY_BYTES], &'static [u8]> = TableDefinition::new("entries");

/// redb.
pub struct RedbStore {
    db: Database,
    durability: redb::Durability,
}

impl RedbStore {
    fn write(&self, entries: &[Entry<'_>], durability: redb::Durability) -> Outcome<()> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(durability)?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for (key, value) in entries {
                table.insert(key, value)?;
            }
        }
        Ok(transaction.commit()?)
    }
}

impl Store for RedbStore {
    type Snapshot<'e> = RedbStoreSnapshot;

    fn settings() -> &'static str {
        "keys of a fixed size, compacted before it is read"
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<RedbStore> {
        let store = RedbStore { db: open_database(directory, setup)?, durability: durability(setup) };
        // The table has to be there for readers.
        store.write(&[], store.durability)?;
        Ok(store)
    }

    fn close(self) -> Outcome<()> {
        self.settle()
    }

    /// Commits without durability are kept by the next one with it.
    fn settle(&self) -> Outcome<()> {
        self.write(&[], durability(Setup { durability: Durability::Durable, cache_bytes: 0 }))
    }

    fn compact(&mut self) -> Outcome<()> {
        self.settle()?;
        self.db.compact()?;
        Ok(())
    }

    fn put_batch(&self, entries: &[Entry<'_>]) -> Outcome<()> {
        self.write(entries, self.durability)
    }

    fn snapshot(&self) -> Outcome<RedbStoreSnapshot> {
        Ok(RedbStoreSnapshot(self.db.begin_read()?.open_table(ENTRIES)?))
    }
}

/// A table as of a read transaction.
pub struct RedbStoreSnapshot(ReadOnlyTable<&'static [u8; KEY_BYTES], &'static [u8]>);

impl StoreReading for RedbStoreSnapshot {
    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.0.get(&key)?.map(|found| read(found.value())))
    }

    fn range(&self, from: Key, count: usize, mut read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        for found in self.0.range::<&Key>(&from..)?.take(count) {
            let (key, value) = found?;
            read(key.value(), value.value());
        }
        Ok(())
    }
}
