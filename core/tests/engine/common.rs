//! What the tests share: a place for a database, and a handle that verifies when it goes.

use nyro::testing::TempDir;
use nyro::{doc, Database, Document, Durability, Error, Id, Options, Result};
use std::ops::Deref;
use std::path::PathBuf;

/// A directory for one database.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: TempDir::new().expect("a temporary directory") }
    }

    /// The path of the database in it.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("test.nyro")
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn open(&self) -> Db {
        self.open_with(quick())
    }

    pub fn open_with(&self, options: Options) -> Db {
        Db::new(Database::open_with(self.path(), options).expect("opens"))
    }

    /// Names and bytes of all files, sorted.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(self.dir.path())
            .expect("the directory")
            .map(|entry| entry.expect("an entry"))
            .map(|entry| (entry.file_name().into_string().expect("UTF-8"), std::fs::read(entry.path()).expect("bytes")))
            .collect();
        files.sort();
        files
    }
}

/// Options for tests that are not about power loss: no sync for each commit, a small log.
pub fn quick() -> Options {
    Options {
        durability: Durability::Manual,
        log_max_bytes: 1 << 20,
        read_mode: nyro::testing::read_mode(),
        ..Options::default()
    }
}

/// A database that is verified and closed when this handle goes, unless it was closed or the test failed.
pub struct Db {
    db: Database,
}

impl Db {
    pub fn new(db: Database) -> Db {
        Db { db }
    }

    pub fn memory() -> Db {
        Db::new(Database::open(":memory:").expect("opens"))
    }

    pub fn docs(&self, name: &str) -> nyro::Collection<Document> {
        self.db.collection(name)
    }

    /// Another handle, not verified when it goes.
    pub fn handle(&self) -> Database {
        self.db.clone()
    }

    /// Verifies, then ends as a killed process would.
    pub fn abandon(self) {
        self.db.verify().expect("verify");
        nyro::testing::abandon(self.db.clone());
    }
}

impl Deref for Db {
    type Target = Database;
    fn deref(&self) -> &Database {
        &self.db
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        match self.db.verify() {
            Ok(_) => self.db.close().expect("closes"),
            Err(Error::Closed) => {}
            Err(e) => panic!("verify: {e}"),
        }
    }
}

/// A document with an id and one field.
pub fn item(id: impl Into<Id>, value: i64) -> Document {
    doc! { "_id": id.into(), "value": value }
}

/// All documents with integer ids, by collection and id.
pub fn contents(db: &Database) -> std::collections::BTreeMap<(String, u64), Document> {
    let snapshot = db.snapshot().expect("a snapshot");
    let mut found = std::collections::BTreeMap::new();
    for name in snapshot.collection_names().expect("names") {
        for document in snapshot.collection::<Document>(&name).expect("a view").scan() {
            let document = document.expect("a document");
            let id = document.get("_id").and_then(|v| v.as_i64()).expect("an integer");
            assert!(found.insert((name.clone(), id as u64), document).is_none(), "{id} twice");
        }
    }
    found
}

/// The ids of a scan, in order.
pub fn ids(scan: impl Iterator<Item = Result<Document>>) -> Vec<Id> {
    scan.map(|document| document.expect("a document").id().expect("an id")).collect()
}

/// Key number `n` of a keyspace: of many lengths, with much in common, and numbers in and out of order.
pub fn mixed_key(n: u64) -> Vec<u8> {
    match n % 8 {
        0 => n.to_be_bytes().to_vec(),
        1 => format!("user:{n}").into_bytes(),
        2 => vec![n as u8; (n % 5) as usize],
        3 => [&[b'l'; 300][..], &n.to_be_bytes()].concat(),
        _ => n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec(),
    }
}
