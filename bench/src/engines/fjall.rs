//! fjall.

use crate::engine::{Durability, Engine, Item, Outcome, Reading, Setup};
use crate::stores::FjallStore;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};
use std::path::Path;

/// fjall.
pub struct Fjall {
    db: Database,
    documents: Keyspace,
    durability: Durability,
}

impl Fjall {
    fn write<'i>(&self, items: impl IntoIterator<Item = Item<'i>>) -> Outcome<()> {
        let persist = (self.durability == Durability::Durable).then_some(PersistMode::SyncData);
        let mut batch = self.db.batch().durability(persist.or(Some(PersistMode::Buffer)));
        for (id, document) in items {
            batch.insert(&self.documents, id.to_be_bytes(), document);
        }
        Ok(batch.commit()?)
    }
}

/// Opens a database.
pub(crate) fn open_database(directory: &Path, setup: Setup) -> Outcome<Database> {
    Ok(Database::builder(directory.join("fjall")).cache_size(setup.cache_bytes as u64).open()?)
}

impl Engine for Fjall {
    const NAME: &'static str = "fjall";
    /// With LZ4, as it comes.
    const COMPRESSES: bool = true;
    type Snapshot<'e> = FjallSnapshot<'e>;
    type Store = FjallStore;

    fn version() -> String {
        "fjall 3".to_owned()
    }

    fn settings(setup: Setup) -> String {
        let journal = match setup.durability {
            Durability::Relaxed => "journal to the buffers of the system",
            Durability::Durable => "PersistMode::SyncData after each commit",
        };
        format!("{journal}, {}", setup.cache())
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<Fjall> {
        let db = open_database(directory, setup)?;
        let documents = db.keyspace("documents", KeyspaceCreateOptions::default)?;
        Ok(Fjall { db, documents, durability: setup.durability })
    }

    fn close(self) -> Outcome<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    fn insert_batch(&self, items: &[Item<'_>]) -> Outcome<()> {
        self.write(items.iter().copied())
    }

    fn insert(&self, (id, document): Item<'_>) -> Outcome<()> {
        self.documents.insert(id.to_be_bytes(), document)?;
        if self.durability == Durability::Durable {
            self.db.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.documents.get(id.to_be_bytes())?.map(|found| read(&found)))
    }

    fn snapshot(&self) -> Outcome<FjallSnapshot<'_>> {
        Ok(FjallSnapshot { snapshot: self.db.snapshot(), documents: &self.documents })
    }
}

/// A snapshot.
pub struct FjallSnapshot<'e> {
    snapshot: Snapshot,
    documents: &'e Keyspace,
}

impl Reading for FjallSnapshot<'_> {
    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.snapshot.get(self.documents, id.to_be_bytes())?.map(|found| read(&found)))
    }

    fn scan(&self, mut read: impl FnMut(&[u8])) -> Outcome<()> {
        for found in self.snapshot.iter(self.documents) {
            read(&found.value()?);
        }
        Ok(())
    }
}
