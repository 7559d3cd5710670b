//! A seeded database to damage, with a model of what is in it.

use super::layout::{key_of, Layout};
use crate::files::{self, Files, NAME};
use nyro::testing::{self, Rng, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{doc, Database, Document, Id, RawDocumentBuf, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Documents by the bytes of their ids.
pub type Documents = BTreeMap<Vec<u8>, Vec<u8>>;

/// All collections by name.
pub type Contents = BTreeMap<String, Documents>;

/// A database and what should be in it. Collections have a number here that no renaming changes.
pub struct World {
    pub files: Files,
    pub layout: Layout,
    pub names: BTreeMap<String, usize>,
    pub documents: Vec<Documents>,
    /// The names as of the last checkpoint.
    pub names_before: BTreeMap<String, usize>,
    /// What was changed after the last checkpoint.
    pub touched: BTreeSet<(usize, Vec<u8>)>,
    /// All ids there ever were.
    pub ever: BTreeSet<(usize, Vec<u8>)>,
    /// All names there ever were.
    pub ever_names: BTreeSet<String>,
}

pub fn config() -> TestConfig {
    files::config()
}

pub fn open(disk: &SimDisk, name: &str) -> Result<Database> {
    testing::open(Arc::new(disk.clone()), Arc::new(SimEnv::new(11)), name, &config())
}

/// Everything in a database.
pub fn contents(db: &Database) -> Result<Contents> {
    let snapshot = db.snapshot()?;
    let mut found = Contents::new();
    for name in snapshot.collection_names()? {
        let collection = snapshot.collection::<Document>(&name)?;
        let mut documents = Documents::new();
        let mut scan = collection.scan();
        while let Some(document) = scan.next_raw()? {
            let bytes = document.as_bytes().to_vec();
            assert!(documents.insert(key_of(&bytes).to_vec(), bytes).is_none(), "an id twice");
        }
        assert_eq!(documents.len() as u64, collection.count_documents()?);
        found.insert(name, documents);
    }
    Ok(found)
}

struct Builder {
    db: Database,
    rng: Rng,
    world: World,
}

impl Builder {
    fn put(&mut self, name: &str, id: Id, bytes: usize) {
        let text = format!("{:016x}", self.rng.next_u64()).repeat(bytes / 16 + 1)[..bytes].to_owned();
        let document = match id {
            Id::Int(id) => doc! {"_id": id, "text": text},
            Id::String(id) => doc! {"_id": id, "text": text},
            _ => unreachable!("only integers and strings are used"),
        };
        self.db.collection::<Document>(name).put(&document).expect("puts");
        let bytes = RawDocumentBuf::from_serialize(&document).expect("a document").into_bytes().to_vec();
        let (collection, key) = (self.number(name), key_of(&bytes).to_vec());
        self.world.documents[collection].insert(key.clone(), bytes);
        self.world.touched.insert((collection, key.clone()));
        self.world.ever.insert((collection, key));
    }

    fn number(&mut self, name: &str) -> usize {
        let next = self.world.documents.len();
        let number = *self.world.names.entry(name.to_owned()).or_insert(next);
        if number == next {
            self.world.documents.push(Documents::new());
        }
        self.world.ever_names.insert(name.to_owned());
        number
    }

    fn delete(&mut self, name: &str) {
        let collection = self.number(name);
        let Some(key) = self.world.documents[collection].keys().nth(self.rng.below(20) as usize).cloned() else {
            return;
        };
        let bytes = self.world.documents[collection].remove(&key).expect("it is there");
        let id = RawDocumentBuf::from_bytes(bytes).expect("whole").id().expect("an id");
        assert!(self.db.collection::<Document>(name).delete(id).expect("deletes"));
        self.world.touched.insert((collection, key));
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.db.rename_collection(from, to).expect("renames");
        let number = self.world.names.remove(from).expect("it is there");
        self.world.names.insert(to.to_owned(), number);
        self.world.ever_names.insert(to.to_owned());
    }

    fn drop_collection(&mut self, name: &str) {
        assert!(self.db.drop_collection(name).expect("drops"));
        self.world.names.remove(name);
    }

    fn checkpoint(&mut self) {
        self.db.checkpoint().expect("a checkpoint");
        self.world.touched.clear();
        self.world.names_before = self.world.names.clone();
    }

    /// Some changes of every kind.
    fn work(&mut self, changes: u64) {
        for _ in 0..changes {
            match self.rng.below(20) {
                0..=8 => {
                    let (id, bytes) = (self.rng.below(2500), self.rng.below(300) as usize);
                    self.put("many", Id::from(id), bytes);
                }
                9..=12 => {
                    let (id, bytes) = (format!("key {}", self.rng.below(300)), self.rng.below(900) as usize);
                    self.put("text", Id::from(id), bytes);
                }
                13 => {
                    let (id, bytes) = (self.rng.below(6), 18_000 + self.rng.below(60_000) as usize);
                    self.put("large", Id::from(id), bytes);
                }
                14 => self.delete("text"),
                15 if self.rng.chance(0.1) => self.delete("large"),
                15..=17 => self.delete("many"),
                _ => {
                    let id = self.rng.below(100);
                    self.put("few", Id::from(id), 20);
                }
            }
        }
    }
}

/// The database of a seed: several checkpoints, the last one at the end where it is to be clean.
pub fn build(seed: u64, clean: bool) -> World {
    let disk = SimDisk::new(SimOptions { file_capacity: 16 << 20, seed: 0 });
    let world = World {
        files: Files(Vec::new()),
        layout: Layout { roles: Vec::new(), documents: Vec::new(), names: BTreeMap::new() },
        names: BTreeMap::new(),
        documents: Vec::new(),
        names_before: BTreeMap::new(),
        touched: BTreeSet::new(),
        ever: BTreeSet::new(),
        ever_names: BTreeSet::new(),
    };
    let mut b = Builder { db: open(&disk, NAME).expect("opens"), rng: Rng::new(seed), world };
    b.work(1800);
    b.put("gone", Id::from(1), 50);
    b.db.create_collection("empty").expect("creates");
    b.number("empty");
    b.put("before", Id::from(5), 50);
    b.checkpoint();
    b.rename("before", "renamed");
    b.drop_collection("gone");
    b.work(500);
    b.checkpoint();
    b.work(500);
    if clean {
        b.checkpoint();
        b.db.close().expect("closes");
    } else {
        b.checkpoint();
        b.work(120);
        b.rename("renamed", "at the end");
        b.put("new at the end", Id::from(3), 70);
        b.drop_collection("few");
        testing::abandon(b.db);
    }
    let mut world = b.world;
    world.files = Files(disk.file_names().into_iter().map(|name| (name.clone(), disk.read_file(&name))).collect());
    world.layout = Layout::of(&world.files);
    world
}

impl World {
    /// What the database holds.
    pub fn contents(&self) -> Contents {
        self.names.iter().map(|(name, number)| (name.clone(), self.documents[*number].clone())).collect()
    }
}
