//! Backup and restore through the public interface.
//!
//! ```text
//!   full     one backup: what it holds, what it leaves behind, who is in the way
//!   chains   full and incremental backups of a seeded workload, restored and compared with a model
//!   damage   damaged backups and damaged sources: an error, and the target as it was
//!   cost     how large an incremental backup is, what a backup costs (figures of docs/operations.md)
//! ```

mod chains;
mod cost;
mod damage;
mod full;

use nyro::testing::{self, Disk, Rng, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{
    doc, BackupOptions, BackupReport, Control, Database, Document, Durability, Id, Options, RestoreOptions, Result,
    VerifyReport,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Collection -> id -> value, as the documents of [`Bed`] have them.
pub type Content = BTreeMap<String, BTreeMap<Id, String>>;

/// A database on a simulated disk, and what it should hold.
pub struct Bed {
    pub disk: SimDisk,
    pub db: Database,
    pub content: Content,
    rng: Rng,
}

pub fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

pub fn open(disk: &SimDisk, name: &str) -> Result<Database> {
    let options = Options { durability: Durability::Manual, log_max_bytes: 1 << 20, ..Options::default() };
    testing::open(shared(disk), Arc::new(SimEnv::new(3)), name, &TestConfig { options, ..TestConfig::default() })
}

pub fn named(name: &str, since: Option<&str>) -> BackupOptions {
    BackupOptions { name: Some(name.to_owned()), since: since.map(str::to_owned), overwrite: false }
}

/// Everything in the database.
pub fn content(db: &Database) -> Content {
    let mut all = Content::new();
    let snapshot = db.snapshot().expect("open");
    for name in snapshot.collection_names().expect("names") {
        let documents = snapshot.collection::<Document>(&name).expect("there").scan();
        let documents = documents.map(|document| {
            let document = document.expect("a document");
            let text = document.get("text").and_then(|text| text.as_str()).expect("a text").to_owned();
            (document.id().expect("an id"), text)
        });
        all.insert(name, documents.collect());
    }
    all
}

impl Bed {
    pub fn new(seed: u64) -> Bed {
        let disk = SimDisk::new(SimOptions { seed, file_capacity: 16 << 20 });
        let db = open(&disk, "db").expect("opens");
        Bed { disk, db, content: Content::new(), rng: Rng::new(seed) }
    }

    pub fn put(&mut self, collection: &str, id: u64, text: String) {
        self.db.collection::<Document>(collection).put(&doc! { "_id": id, "text": text.as_str() }).expect("puts");
        self.content.entry(collection.to_owned()).or_default().insert(Id::from(id), text);
    }

    /// Some commits of any kind; now and then a checkpoint.
    pub fn work(&mut self, steps: usize) {
        for _ in 0..steps {
            let collection = ["a", "b", "c"][self.rng.below(3) as usize];
            let id = self.rng.below(400);
            match self.rng.below(40) {
                0 => self.db.checkpoint().expect("checkpoint"),
                1 => {
                    let length = 1000 + self.rng.below(100_000) as usize;
                    self.put(collection, id, "L".repeat(length));
                }
                2 => {
                    self.db.drop_collection(collection).expect("drops");
                    self.content.remove(collection);
                }
                3..=12 => {
                    self.db.collection::<Document>(collection).delete(id).expect("deletes");
                    if let Some(documents) = self.content.get_mut(collection) {
                        documents.remove(&Id::from(id));
                    }
                    // A delete in a collection that is not there makes none.
                }
                _ => {
                    let text = format!("{id}").repeat(1 + self.rng.below(60) as usize);
                    self.put(collection, id, text);
                }
            }
        }
    }

    pub fn backup(&self, file: &str, options: &BackupOptions) -> Result<BackupReport> {
        testing::backup(&self.db, shared(&self.disk), file, options, Control::new())
    }

    pub fn restore(&self, target: &str, backups: &[&str]) -> Result<VerifyReport> {
        restore(&self.disk, target, backups, true)
    }

    /// What a file holds that is a database.
    pub fn content_of(&self, name: &str) -> Content {
        let db = open(&self.disk, name).expect("opens");
        db.verify().expect("verify");
        let found = content(&db);
        db.close().expect("closes");
        found
    }
}

pub fn restore(disk: &SimDisk, target: &str, backups: &[&str], overwrite: bool) -> Result<VerifyReport> {
    let (env, options) = (Arc::new(SimEnv::new(4)), RestoreOptions { overwrite });
    testing::restore(shared(disk), env, target, backups, &options, Control::new())
}
