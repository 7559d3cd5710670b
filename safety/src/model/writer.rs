//! A writer of the threaded units, and what it knows of what the database holds.
//!
//! ```text
//!   own-t      nobody else writes it      -> documents, order and count are known exactly
//!   shared     its ids end in t           -> its documents are known exactly
//!   accounts   everybody moves money      -> the sum is known
//! ```
//!
//! 30 % of its transactions are rolled back, a few by a panic. It holds snapshots; each is compared in full after
//! three later checkpoints.

use super::threads::ACCOUNTS;
use crate::lane::Tally;
use nyro::testing::Rng;
use nyro::{doc, Collection, Database, Document, Error, Id, Result, Snapshot, Transaction};
use std::collections::BTreeMap;
use std::sync::Arc;

const ROLLED_BACK: f64 = 0.3;

/// What one writer knows: its own collection, and its documents in the shared one.
#[derive(Clone, Default)]
struct Known {
    /// With the number of the write, which gives the order of a scan.
    own: BTreeMap<Id, (u64, Arc<Document>)>,
    shared: BTreeMap<Id, Arc<Document>>,
    /// The largest integer id that the own collection ever held.
    largest: u64,
    writes: u64,
}

/// One writer: its random choices, what it knows, and the snapshots it holds.
pub struct Writer {
    number: u64,
    rng: Rng,
    known: Known,
    held: Vec<Held>,
    operations: u64,
    transactions: u64,
    rolled_back: u64,
    /// Snapshots that were compared after three checkpoints.
    compared: u64,
    dropped: u64,
}

/// A snapshot with all that it showed when it was taken.
struct Held {
    snapshot: Snapshot,
    collections: Vec<(String, Vec<Vec<u8>>)>,
    checkpoint: u64,
    compared: u32,
}

impl Held {
    fn new(db: &Database) -> Result<Held> {
        let snapshot = db.snapshot()?;
        let mut collections = Vec::new();
        for name in snapshot.collection_names()? {
            let documents = contents(&snapshot, &name)?;
            collections.push((name, documents));
        }
        Ok(Held { snapshot, collections, checkpoint: db.stats()?.checkpoint, compared: 0 })
    }

    /// Compares in full if there was a checkpoint since the last time. True when that happened three times.
    fn check(&mut self, db: &Database) -> Result<bool> {
        let checkpoint = db.stats()?.checkpoint;
        if checkpoint == self.checkpoint {
            return Ok(false);
        }
        self.checkpoint = checkpoint;
        self.compared += 1;
        let names: Vec<_> = self.collections.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(self.snapshot.collection_names()?, names, "names of a held snapshot");
        for (name, documents) in &self.collections {
            assert!(contents(&self.snapshot, name)? == *documents, "the scan of {name} moved");
        }
        Ok(self.compared == 3)
    }
}

/// All documents by scan; each is also found by its id, and they are as many as counted.
fn contents(snapshot: &Snapshot, name: &str) -> Result<Vec<Vec<u8>>> {
    let collection = snapshot.collection::<Document>(name)?;
    let mut scan = collection.scan();
    let mut documents = Vec::new();
    while let Some(document) = scan.next_raw()? {
        let id = document.id().expect("an id");
        let found = collection.get_raw(&id)?.unwrap_or_else(|| panic!("{id} of {name}: scanned, not found"));
        assert_eq!(found.as_bytes(), document.as_bytes(), "{id} of {name}");
        documents.push(document.as_bytes().to_vec());
    }
    assert_eq!(collection.count_documents()?, documents.len() as u64, "count of {name}");
    Ok(documents)
}

impl Writer {
    pub fn new(number: u64, seed: u64) -> Writer {
        let rng = Rng::new(seed ^ (number + 1).wrapping_mul(0x9e37_79b9));
        Writer {
            number,
            rng,
            known: Known::default(),
            held: Vec::new(),
            operations: 0,
            transactions: 0,
            rolled_back: 0,
            compared: 0,
            dropped: 0,
        }
    }

    /// Documents of its own in the shared collection.
    pub fn shared_documents(&self) -> usize {
        self.known.shared.len()
    }

    /// True where it holds no snapshot.
    pub fn holds_none(&self) -> bool {
        self.held.is_empty()
    }

    /// Adds what it did to what the lane met.
    pub fn tell(&self, tally: &mut Tally) {
        tally.cases += self.operations;
        tally.count("transactions", self.transactions);
        tally.count("rolled back", self.rolled_back);
        tally.count("after three checkpoints", self.compared);
        tally.count("collections dropped", self.dropped);
    }

    fn own_name(&self) -> String {
        format!("own-{}", self.number)
    }

    /// An id of the own collection, one in two present.
    fn own_id(&mut self) -> Id {
        if self.rng.chance(0.5) && !self.known.own.is_empty() {
            let at = self.rng.below(self.known.own.len() as u64) as usize;
            return self.known.own.keys().nth(at).expect("one of them").clone();
        }
        let n = self.rng.below(150) as i64;
        match self.rng.below(5) {
            0 => Id::from(n - 75),
            // Ids near the end are rare, since none can be assigned after them.
            1 if self.rng.chance(0.02) => Id::from(u64::MAX - 1000 - n as u64),
            1 => Id::from(i64::MIN + n),
            2 => Id::from(format!("s{n}")),
            3 => Id::from(format!("a longer name, as long as ids come: {n:060}")),
            _ => Id::from(n.to_be_bytes()),
        }
    }

    /// An id of the shared collection that no other writer uses.
    fn shared_id(&mut self) -> Id {
        let n = self.rng.below(200);
        match self.rng.below(3) {
            0 => Id::from(format!("{}/{n}", self.number)),
            _ => Id::from(n * 16 + self.number),
        }
    }

    fn document(&mut self, id: Option<&Id>) -> Document {
        let mut document = doc! {};
        if let Some(id) = id {
            document.insert("_id", id);
        }
        let size = match self.rng.below(1000) {
            0..=3 => 20_000 + self.rng.below(120_000),
            4..=40 => self.rng.below(9_000),
            _ => self.rng.below(160),
        };
        let number = self.rng.next_u64();
        document.insert("number", number);
        document.insert("size", size);
        document.insert("text", text(number, size as usize));
        document
    }

    fn put_known(&mut self, id: Id, document: Document) {
        self.known.writes += 1;
        self.known.own.insert(id, (self.known.writes, Arc::new(document)));
    }

    /// One transaction, or one call outside of any.
    pub fn turn(&mut self, db: &Database) -> Result<()> {
        match self.rng.below(100) {
            0..=24 => self.single(db)?,
            25 => self.rename_or_drop(db)?,
            _ => self.transaction(db)?,
        }
        // What a transaction put and deleted again was never held by the collection.
        let largest = self.known.own.keys().filter_map(positive).max().unwrap_or(0);
        self.known.largest = self.known.largest.max(largest);
        if self.rng.chance(0.01) && self.held.len() < 3 {
            let held = Held::new(db)?;
            self.compare(&held.snapshot)?;
            self.held.push(held);
        }
        self.check_held(db)
    }

    pub fn check_held(&mut self, db: &Database) -> Result<()> {
        let mut held = std::mem::take(&mut self.held);
        let mut failed = None;
        held.retain_mut(|held| match held.check(db) {
            Ok(done) => {
                self.compared += u64::from(done);
                !done
            }
            Err(e) => {
                failed = Some(e);
                true
            }
        });
        self.held = held;
        failed.map_or(Ok(()), Err)
    }

    /// Calls of a collection, each a transaction of its own.
    fn single(&mut self, db: &Database) -> Result<()> {
        let own: Collection<Document> = db.collection(&self.own_name());
        let id = self.own_id();
        self.operations += 1;
        let there = self.known.own.get(&id).map(|(_, document)| document.clone());
        match self.rng.below(8) {
            0 => assert_eq!(own.get(&id)?.as_ref(), there.as_deref(), "get {id}"),
            1 => {
                assert_eq!(own.delete(&id)?, there.is_some(), "delete {id}");
                self.known.own.remove(&id);
            }
            2 => {
                let document = self.document(Some(&id));
                match own.insert_one(&document) {
                    Ok(_) if there.is_none() => self.put_known(id, document),
                    Err(Error::DuplicateId { .. }) if there.is_some() => {}
                    other => panic!("insert {id}: {other:?}"),
                }
            }
            3 => {
                let document = self.document(Some(&id));
                assert_eq!(own.replace_one(&id, &document)?, there.is_some());
                if there.is_some() {
                    self.put_known(id, document);
                }
            }
            4 => {
                let wanted: Vec<Id> = (0..20).map(|_| self.own_id()).collect();
                let expected: Vec<_> =
                    wanted.iter().map(|id| self.known.own.get(id).map(|(_, d)| (**d).clone())).collect();
                assert!(own.get_many(&wanted)? == expected, "get_many {wanted:?}");
            }
            5 => {
                // Some of them more than once: the last one stays.
                let documents: Vec<(Id, Document)> = (0..1 + self.rng.below(70))
                    .map(|_| {
                        let id = self.own_id();
                        (id.clone(), self.document(Some(&id)))
                    })
                    .collect();
                let given = own.put_many(documents.iter().map(|(_, document)| document))?;
                assert!(given.iter().eq(documents.iter().map(|(id, _)| id)), "the ids of put_many");
                self.operations += documents.len() as u64;
                for (id, document) in documents {
                    self.put_known(id, document);
                }
            }
            6 if self.known.largest < u64::MAX - 100_000 => {
                let mut document = self.document(None);
                let given = own.put(&document)?;
                assert_eq!(given, Id::from(self.known.largest + 1));
                document = with_id(&given, document);
                self.put_known(given, document);
            }
            _ => {
                let document = self.document(Some(&id));
                assert_eq!(own.put(&document)?, id);
                self.put_known(id, document);
            }
        }
        Ok(())
    }

    fn rename_or_drop(&mut self, db: &Database) -> Result<()> {
        let own = self.own_name();
        if self.rng.chance(0.7) {
            let there = db.collection_names()?.contains(&own);
            let moved = format!("moved-{}", self.number);
            match db.rename_collection(&own, &moved) {
                Ok(()) => assert!(there),
                Err(Error::CollectionNotFound(_)) => assert!(!there),
                Err(e) => return Err(e),
            }
            if there {
                assert_eq!(db.collection::<Document>(&own).count_documents()?, 0);
                db.rename_collection(&moved, &own)?;
            }
        } else {
            self.dropped += u64::from(db.drop_collection(&own)?);
            self.known.own.clear();
            self.known.largest = 0;
        }
        Ok(())
    }

    fn transaction(&mut self, db: &Database) -> Result<()> {
        let before = self.known.clone();
        let end = match self.rng.chance(ROLLED_BACK) {
            false => End::Commit,
            true if self.rng.chance(0.1) => End::Panic,
            true => End::RollBack,
        };
        self.transactions += 1;
        self.rolled_back += u64::from(end != End::Commit);
        let steps = 1 + self.rng.below(12);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            db.write(|tx| {
                for _ in 0..steps {
                    self.step(tx)?;
                }
                match end {
                    End::Commit => Ok(()),
                    End::RollBack => Err(Error::RolledBack),
                    End::Panic => std::panic::resume_unwind(Box::new(End::Panic)),
                }
            })
        }));
        match (done, end) {
            (Ok(Ok(())), End::Commit) => {}
            (Ok(Err(Error::RolledBack)), End::RollBack) => self.known = before,
            (Err(panic), End::Panic) if panic.is::<End>() => self.known = before,
            (Ok(Err(e)), _) => return Err(e),
            (Err(panic), _) => std::panic::resume_unwind(panic),
            (Ok(Ok(())), _) => panic!("committed what was rolled back"),
        }
        Ok(())
    }

    fn step(&mut self, tx: &Transaction<'_>) -> Result<()> {
        self.operations += 1;
        match self.rng.below(100) {
            0 => {
                let name = self.own_name();
                tx.drop_collection(&name)?;
                self.known.own.clear();
                self.known.largest = 0;
                Ok(())
            }
            1..=10 => self.transfer(tx),
            11..=45 => self.step_shared(tx),
            _ => self.step_own(tx),
        }
    }

    fn transfer(&mut self, tx: &Transaction<'_>) -> Result<()> {
        let accounts = tx.collection::<Document>("accounts");
        let (from, to) = (self.rng.below(ACCOUNTS), self.rng.below(ACCOUNTS));
        for (id, amount) in [(from, -7), (to, 7)] {
            let mut account = accounts.get(id)?.expect("an account");
            let balance = account["balance"].as_i64().expect("a number");
            account.insert("balance", balance + amount);
            assert!(accounts.replace_one(id, &account)?);
        }
        Ok(())
    }

    fn step_shared(&mut self, tx: &Transaction<'_>) -> Result<()> {
        let shared = tx.collection::<Document>("shared");
        let id = self.shared_id();
        assert_eq!(shared.get(&id)?.as_ref(), self.known.shared.get(&id).map(|d| &**d), "shared {id}");
        if self.rng.chance(0.3) {
            assert_eq!(shared.delete(&id)?, self.known.shared.remove(&id).is_some());
        } else {
            let document = self.document(Some(&id));
            shared.put(&document)?;
            self.known.shared.insert(id, Arc::new(document));
        }
        Ok(())
    }

    fn step_own(&mut self, tx: &Transaction<'_>) -> Result<()> {
        let own = tx.collection::<Document>(&self.own_name());
        let id = self.own_id();
        let there = self.known.own.get(&id).map(|(_, document)| document.clone());
        match self.rng.below(8) {
            0 => assert_eq!(own.get(&id)?.as_ref(), there.as_deref(), "get {id}"),
            1 => assert_eq!(own.contains(&id)?, there.is_some(), "contains {id}"),
            2 => {
                assert_eq!(own.delete(&id)?, there.is_some(), "delete {id}");
                self.known.own.remove(&id);
            }
            3 => {
                let document = self.document(Some(&id));
                match own.insert_one(&document) {
                    Ok(_) if there.is_none() => self.put_known(id, document),
                    Err(Error::DuplicateId { .. }) if there.is_some() => {}
                    other => panic!("insert {id}: {other:?}"),
                }
            }
            4 => {
                let document = self.document(Some(&id));
                assert_eq!(own.replace_one(&id, &document)?, there.is_some());
                if there.is_some() {
                    self.put_known(id, document);
                }
            }
            _ => {
                let document = self.document(Some(&id));
                own.put(&document)?;
                self.put_known(id, document);
            }
        }
        Ok(())
    }

    /// Compares all that this writer knows with what a snapshot shows.
    pub fn compare(&self, snapshot: &Snapshot) -> Result<()> {
        let own = snapshot.collection::<Document>(&self.own_name())?;
        let mut expected: Vec<_> = self.known.own.values().cloned().collect();
        expected.sort_by_key(|(write, _)| *write);
        assert_eq!(own.count_documents()?, expected.len() as u64, "count of the own collection");
        let mut scan = own.scan();
        for (write, document) in &expected {
            let found = scan.next().unwrap_or_else(|| panic!("write {write} is missing"))?;
            assert_eq!(found, **document, "write {write}");
        }
        assert!(scan.next().is_none(), "more documents than were put");
        let shared = snapshot.collection::<Document>("shared")?;
        for n in 0..200 {
            for id in [Id::from(format!("{}/{n}", self.number)), Id::from(n * 16 + self.number)] {
                assert_eq!(shared.get(&id)?.as_ref(), self.known.shared.get(&id).map(|d| &**d), "shared {id}");
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Commit,
    RollBack,
    Panic,
}

fn positive(id: &Id) -> Option<u64> {
    match id {
        Id::Int(id) => u64::try_from(*id).ok(),
        Id::UInt(id) => Some(*id),
        _ => None,
    }
}

fn with_id(id: &Id, rest: Document) -> Document {
    let mut document = doc! {};
    document.insert("_id", id);
    for (name, value) in &rest {
        document.insert(name, value.clone());
    }
    document
}

/// Text that follows from a number, so that a torn document shows.
fn text(number: u64, size: usize) -> String {
    let pattern = format!("{number:016x}");
    pattern.chars().cycle().take(size).collect()
}

pub fn assert_whole(document: &Document) {
    let number = document["number"].as_u64().expect("a number");
    let size = document["size"].as_u64().expect("a size") as usize;
    assert_eq!(document["text"].as_str().map(str::len), Some(size));
    assert_eq!(document["text"].as_str(), Some(text(number, size).as_str()));
}
