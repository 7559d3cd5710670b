//! NyroDB through its Rust API.

use crate::engine::{Durability, Engine, Item, Outcome, Reading, Setup};
use crate::stores::NyroStore;
use nyro::{Collection, Database, Document, InsertManyOptions, Options, OwnedSnapshotCollection, RawDocument};
use std::path::Path;

/// NyroDB.
pub struct Nyro {
    db: Database,
    documents: Collection<Document>,
}

fn raw<'d>(item: &Item<'d>) -> &'d RawDocument {
    RawDocument::unvalidated(item.1)
}

/// Opens a database.
pub(crate) fn open_database(directory: &Path, setup: Setup) -> Outcome<Database> {
    let durability = match setup.durability {
        Durability::Relaxed => nyro::Durability::Manual,
        Durability::Durable => nyro::Durability::Sync,
    };
    let options = Options { durability, cache_bytes: setup.cache_bytes as u64, ..Options::default() };
    Ok(Database::open_with(directory.join("bench.nyro"), options)?)
}

impl Engine for Nyro {
    const NAME: &'static str = "nyro";
    type Snapshot<'e> = NyroSnapshot;
    type Store = NyroStore;

    fn version() -> String {
        format!("NyroDB {}", env!("CARGO_PKG_VERSION"))
    }

    fn settings(setup: Setup) -> String {
        let durability = match setup.durability {
            Durability::Relaxed => "Durability::Manual",
            Durability::Durable => "Durability::Sync",
        };
        format!("{durability}, {}, all else by default", setup.cache())
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<Nyro> {
        let db = open_database(directory, setup)?;
        let documents = db.collection("documents");
        Ok(Nyro { db, documents })
    }

    fn close(self) -> Outcome<()> {
        drop(self.documents);
        Ok(self.db.close()?)
    }

    fn settle(&self) -> Outcome<()> {
        Ok(self.db.checkpoint()?)
    }

    fn insert_batch(&self, items: &[Item<'_>]) -> Outcome<()> {
        self.documents.insert_many_raw(items.iter().map(raw), InsertManyOptions::default())?;
        Ok(())
    }

    fn update_batch(&self, items: &[Item<'_>]) -> Outcome<()> {
        self.documents.put_many_raw(items.iter().map(raw))?;
        Ok(())
    }

    fn insert(&self, item: Item<'_>) -> Outcome<()> {
        self.documents.insert_one_raw(raw(&item))?;
        Ok(())
    }

    fn update(&self, item: Item<'_>) -> Outcome<()> {
        match self.documents.replace_one_raw(item.0, raw(&item))? {
            true => Ok(()),
            false => Err("a document to update is not there".into()),
        }
    }

    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.documents.get_raw_with(id, |document| read(document.as_bytes()))?)
    }

    fn snapshot(&self) -> Outcome<NyroSnapshot> {
        Ok(NyroSnapshot(self.db.snapshot()?.collection("documents")?.to_owned()))
    }

    fn relocated_bytes(&self) -> Option<u64> {
        self.db.stats().ok().map(|stats| stats.relocated_bytes)
    }
}

/// A snapshot's collection.
pub struct NyroSnapshot(OwnedSnapshotCollection<Document>);

impl Reading for NyroSnapshot {
    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.0.lend().get_raw(id)?.map(|document| read(document.as_bytes())))
    }

    fn get_many(&self, ids: &[u64], mut read: impl FnMut(&[u8])) -> Outcome<()> {
        self.0.lend().get_many_raw_with(ids.iter().copied(), |_, document| {
            if let Some(document) = document {
                read(document.as_bytes());
            }
            Ok(())
        })?;
        Ok(())
    }

    fn scan(&self, mut read: impl FnMut(&[u8])) -> Outcome<()> {
        let mut scan = self.0.lend().scan();
        while let Some(document) = scan.next_raw()? {
            read(document.as_bytes());
        }
        Ok(())
    }
}
