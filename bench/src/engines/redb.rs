//! redb.

use crate::engine::{Durability, Engine, Item, Outcome, Reading, Setup};
use crate::stores::RedbStore;
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::Path;

const DOCUMENTS: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("documents");

/// redb.
pub struct Redb {
    db: Database,
    durability: redb::Durability,
}

impl Redb {
    fn write<'i>(&self, items: impl IntoIterator<Item = Item<'i>>) -> Outcome<()> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(self.durability)?;
        {
            let mut table = transaction.open_table(DOCUMENTS)?;
            for (id, document) in items {
                table.insert(id, document)?;
            }
        }
        Ok(transaction.commit()?)
    }
}

/// Opens a database.
pub(crate) fn open_database(directory: &Path, setup: Setup) -> Outcome<Database> {
    Ok(Database::builder().set_cache_size(setup.cache_bytes).create(directory.join("bench.redb"))?)
}

/// Its durability.
pub(crate) fn durability(setup: Setup) -> redb::Durability {
    match setup.durability {
        Durability::Relaxed => redb::Durability::None,
        Durability::Durable => redb::Durability::Immediate,
    }
}

impl Engine for Redb {
    const NAME: &'static str = "redb";
    type Snapshot<'e> = RedbSnapshot;
    type Store = RedbStore;

    fn version() -> String {
        "redb 4".to_owned()
    }

    fn settings(setup: Setup) -> String {
        let durability = match setup.durability {
            Durability::Relaxed => "Durability::None",
            Durability::Durable => "Durability::Immediate",
        };
        format!("{durability}, {}", setup.cache())
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<Redb> {
        let opened = Redb { db: open_database(directory, setup)?, durability: durability(setup) };
        // The table has to be there for readers.
        opened.write([])?;
        Ok(opened)
    }

    fn close(self) -> Outcome<()> {
        self.settle()
    }

    /// Commits without durability are kept by the next one with it.
    fn settle(&self) -> Outcome<()> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(redb::Durability::Immediate)?;
        Ok(transaction.commit()?)
    }

    fn outlive_process(&self) -> Outcome<()> {
        self.settle()
    }

    fn insert_batch(&self, items: &[Item<'_>]) -> Outcome<()> {
        self.write(items.iter().copied())
    }

    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        self.snapshot()?.get(id, read)
    }

    fn snapshot(&self) -> Outcome<RedbSnapshot> {
        Ok(RedbSnapshot(self.db.begin_read()?.open_table(DOCUMENTS)?))
    }
}

/// A table as of a read transaction.
pub struct RedbSnapshot(ReadOnlyTable<u64, &'static [u8]>);

impl Reading for RedbSnapshot {
    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.0.get(id)?.map(|found| read(found.value())))
    }

    fn scan(&self, mut read: impl FnMut(&[u8])) -> Outcome<()> {
        for found in self.0.iter()? {
            read(found?.1.value());
        }
        Ok(())
    }
}
