//! What the database should hold: plain maps, and the plans that change both.
//!
//! ```text
//!   plan --> model   states[0], states[1], ...   one for each commit, remembered
//!        \-> database
//! ```

use nyro::testing::Rng;
use nyro::{doc, Database, Document, Error, Id, RawDocument, RawDocumentBuf, Result, Snapshot, Transaction};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The documents of a collection, as bytes.
pub type Documents = BTreeMap<Id, Arc<[u8]>>;

/// The keys of a keyspace with their values.
pub type Keys = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// The whole content of a database: collections, keyspaces.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model(pub BTreeMap<String, Arc<Documents>>, pub BTreeMap<String, Arc<Keys>>);

/// One change that a commit makes.
#[derive(Debug, Clone)]
pub enum Change {
    Put {
        to: String,
        id: Id,
        document: Document,
    },
    Delete {
        from: String,
        id: Id,
    },
    Create(String),
    Rename(String, String),
    Drop(String),
    KeyPut {
        to: String,
        key: Vec<u8>,
        value: Vec<u8>,
    },
    KeyDelete {
        from: String,
        key: Vec<u8>,
    },
    /// Up to before the second key, or to the end.
    KeyRange {
        from: String,
        start: Vec<u8>,
        end: Option<Vec<u8>>,
    },
    KeyClear(String),
    KeyDrop(String),
}

type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

fn bounds(start: &[u8], end: Option<&Vec<u8>>) -> Bounds {
    (Bound::Included(start.to_vec()), end.map_or(Bound::Unbounded, |end| Bound::Excluded(end.clone())))
}

/// Which calls make the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The call for one change: put, delete, create, rename, drop.
    One,
    /// The call that requires what the model says: insert where there is none, replace where there is one.
    Strict,
    /// `insert_many`.
    Many,
    /// A transaction; or `put_many`, where that does the same and their number is even.
    Transaction,
    /// Without waiting for the sync: what comes next must see it all the same.
    Ahead,
}

/// A commit to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    pub how: How,
    pub changes: Vec<Change>,
}

impl Model {
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Put { to, id, document } => {
                let bytes = RawDocumentBuf::from_serialize(document).expect("a document").into_bytes();
                Arc::make_mut(self.0.entry(to.clone()).or_default()).insert(id.clone(), bytes.into());
            }
            Change::Delete { from, id } => {
                if let Some(documents) = self.0.get_mut(from) {
                    Arc::make_mut(documents).remove(id);
                }
            }
            Change::Create(name) => {
                self.0.insert(name.clone(), Arc::default());
            }
            Change::Rename(from, to) => {
                let documents = self.0.remove(from).expect("planned from the model");
                self.0.insert(to.clone(), documents);
            }
            Change::Drop(name) => {
                self.0.remove(name);
            }
            Change::KeyPut { to, key, value } => {
                let keys = Arc::make_mut(self.1.entry(to.clone()).or_default());
                keys.insert(key.clone(), value.as_slice().into());
            }
            // The first write to a keyspace makes it, whatever it writes.
            Change::KeyDelete { from, key } => {
                Arc::make_mut(self.1.entry(from.clone()).or_default()).remove(key);
            }
            // Nothing is in such a range, and nothing is written.
            Change::KeyRange { start, end: Some(end), .. } if start == end => {}
            Change::KeyRange { from, start, end } => {
                let keys = Arc::make_mut(self.1.entry(from.clone()).or_default());
                keys.retain(|key, _| key < start || end.as_ref().is_some_and(|end| key >= end));
            }
            Change::KeyClear(name) => {
                if let Some(keys) = self.1.get_mut(name) {
                    *keys = Arc::default();
                }
            }
            Change::KeyDrop(name) => {
                self.1.remove(name);
            }
        }
    }

    pub fn after(&self, plan: &Plan) -> Model {
        let mut after = self.clone();
        plan.changes.iter().for_each(|change| after.apply(change));
        after
    }

    pub fn has(&self, collection: &str, id: &Id) -> bool {
        self.0.get(collection).is_some_and(|documents| documents.contains_key(id))
    }

    pub fn documents(&self) -> usize {
        self.0.values().map(|documents| documents.len()).sum()
    }

    /// In which collections, and how, another content differs; for messages.
    pub fn difference(&self, found: &Model) -> String {
        let mut text = String::new();
        for name in self.0.keys().chain(found.0.keys().filter(|name| !self.0.contains_key(*name))) {
            match (self.0.get(name), found.0.get(name)) {
                (Some(_), None) => text += &format!(" collection {name} is missing;"),
                (None, Some(documents)) => text += &format!(" collection {name} ({}) is too many;", documents.len()),
                (Some(expected), Some(got)) => {
                    let missing: Vec<_> = expected.keys().filter(|id| !got.contains_key(id)).take(5).collect();
                    let more: Vec<_> = got.keys().filter(|id| !expected.contains_key(id)).take(5).collect();
                    let other: Vec<_> = expected
                        .iter()
                        .filter(|(id, b)| got.get(id).is_some_and(|g| g != *b))
                        .map(|(id, _)| id)
                        .take(5)
                        .collect();
                    if !(missing.is_empty() && more.is_empty() && other.is_empty()) {
                        text += &format!(" {name}: missing {missing:?}, too many {more:?}, other {other:?};");
                    }
                }
                (None, None) => {}
            }
        }
        for name in self.1.keys().chain(found.1.keys().filter(|name| !self.1.contains_key(*name))) {
            let keys = |model: &Model| model.1.get(name).cloned().unwrap_or_default();
            let (expected, got) = (keys(self), keys(found));
            let there = (self.1.contains_key(name), found.1.contains_key(name));
            let missing: Vec<_> = expected.keys().filter(|key| !got.contains_key(*key)).take(5).collect();
            let more: Vec<_> = got.keys().filter(|key| !expected.contains_key(*key)).take(5).collect();
            let other: Vec<_> = expected.iter().filter(|(key, v)| got.get(*key).is_some_and(|g| g != *v)).collect();
            let other: Vec<_> = other.iter().map(|(key, _)| key).take(5).collect();
            if there.0 != there.1 || expected != got {
                text +=
                    &format!(" keyspace {name} {there:?}: missing {missing:?}, too many {more:?}, other {other:?};");
            }
        }
        text
    }
}

/// Reads the whole content through a snapshot, and each document again by its id.
pub fn contents(db: &Database) -> Result<Model> {
    let found = contents_of(&db.snapshot()?)?;
    for (name, documents) in &found.0 {
        let collection = db.collection::<Document>(name);
        assert_eq!(collection.count_documents()?, documents.len() as u64, "count of {name}");
        for (id, bytes) in documents.iter() {
            let same = collection.get_raw_with(id, |document| document.as_bytes() == &bytes[..])?;
            assert_eq!(same, Some(true), "{name} {id}: the scan finds it, get does not");
        }
    }
    for (name, keys) in &found.1 {
        let keyspace = db.keyspace(name);
        for (key, value) in keys.iter() {
            let got = keyspace.get(key)?;
            assert_eq!(got.as_deref(), Some(&value[..]), "{name} {key:?}: the range has it, get does not");
        }
    }
    Ok(found)
}

/// The same of a snapshot alone.
pub fn contents_of(snapshot: &Snapshot) -> Result<Model> {
    let mut found = Model::default();
    for name in snapshot.collection_names()? {
        let collection = snapshot.collection::<Document>(&name)?;
        let mut documents = Documents::new();
        let mut scan = collection.scan();
        while let Some(document) = scan.next_raw()? {
            let id = document.id().expect("a stored document has an id");
            assert!(documents.insert(id, document.as_bytes().into()).is_none(), "the scan of {name} gave an id twice");
        }
        assert_eq!(collection.count_documents()?, documents.len() as u64, "count of {name} in a snapshot");
        for (id, bytes) in &documents {
            assert_eq!(collection.get_raw(id)?.map(RawDocument::as_bytes), Some(&bytes[..]), "{name} {id}");
        }
        for id in (1..80u64).step_by(7).map(Id::from).filter(|id| !documents.contains_key(id)) {
            assert!(collection.get_raw(&id)?.is_none(), "{name} {id}: get finds it, the scan does not");
        }
        found.0.insert(name, Arc::new(documents));
    }
    for name in snapshot.keyspace_names()? {
        let keyspace = snapshot.keyspace(&name)?;
        let keys: Result<Vec<(Vec<u8>, Vec<u8>)>> = keyspace.iter()?.collect();
        let keys = keys?;
        let mut back = keyspace.iter()?.rev();
        for (key, value) in keys.iter().rev() {
            assert_eq!(back.next().transpose()?.as_ref(), Some(&(key.clone(), value.clone())), "{name} backward");
            assert_eq!(keyspace.get(key)?.as_ref(), Some(value), "{name} {key:?}");
        }
        assert!(back.next().transpose()?.is_none(), "{name} backward has more keys");
        for key in (0..60u8).step_by(7).map(|n| vec![b'k', n]).filter(|key| keys.iter().all(|(k, _)| k != key)) {
            assert!(keyspace.get(&key)?.is_none(), "{name} {key:?}: get finds it, the range does not");
        }
        let keys = keys.into_iter().map(|(key, value)| (key, value.into())).collect();
        found.1.insert(name, Arc::new(keys));
    }
    Ok(found)
}

/// Makes the commit. Panics where a call succeeds with a result that the model does not expect.
pub fn execute(db: &Database, before: &Model, plan: &Plan) -> Result<()> {
    match plan.how {
        How::One | How::Strict => {
            let strict = plan.how == How::Strict;
            plan.changes.iter().try_for_each(|change| execute_one(db, before, change, strict))
        }
        How::Ahead => execute_ahead(db, &plan.changes),
        How::Many => {
            let mut name = "";
            let mut documents = Vec::new();
            for change in &plan.changes {
                if let Change::Put { to, document, .. } = change {
                    name = to;
                    documents.push(document);
                }
            }
            let inserted = db.collection::<Document>(name).insert_many(documents)?.inserted_ids;
            assert_eq!(inserted.len(), plan.changes.len());
            Ok(())
        }
        How::Transaction => match puts_into_one(&plan.changes) {
            Some((name, documents)) if documents.len() % 2 == 0 => {
                let ids = db.collection::<Document>(name).put_many(documents)?;
                assert_eq!(ids.len(), plan.changes.len());
                Ok(())
            }
            _ => execute_in_transaction(db, &plan.changes),
        },
    }
}

fn execute_ahead(db: &Database, changes: &[Change]) -> Result<()> {
    let ((), ticket) = db.write_async(|tx| apply_all(tx, changes))?;
    if let [Change::Put { to, document, .. }] = changes {
        match db.collection::<Document>(to).insert_one(document) {
            Ok(inserted) => panic!("{to} {} is inserted, and was put before", inserted.inserted_id),
            // Told of a duplicate, one may count on the commit that it rests on.
            Err(Error::DuplicateId { .. }) => assert!(ticket.is_durable(), "a duplicate of what may not last is told"),
            // A failure of the machine is the ticket's to tell.
            Err(_) => {}
        }
    }
    ticket.wait()
}

/// The documents, if the changes are puts into one collection and nothing else.
fn puts_into_one(changes: &[Change]) -> Option<(&str, Vec<&Document>)> {
    let puts = changes.iter().map(|change| match change {
        Change::Put { to, document, .. } => Some((to.as_str(), document)),
        _ => None,
    });
    let puts: Vec<_> = puts.collect::<Option<_>>()?;
    let name = puts.first()?.0;
    puts.iter().all(|(to, _)| *to == name).then(|| (name, puts.iter().map(|(_, document)| *document).collect()))
}

fn execute_in_transaction(db: &Database, changes: &[Change]) -> Result<()> {
    db.write(|tx| apply_all(tx, changes))
}

fn apply_all(tx: &Transaction<'_>, changes: &[Change]) -> Result<()> {
    for change in changes {
        match change {
            Change::Put { to, document, .. } => drop(tx.collection::<Document>(to).put(document)?),
            Change::Delete { from, id } => drop(tx.collection::<Document>(from).delete(id)?),
            Change::Create(name) => tx.create_collection(name)?,
            Change::Rename(from, to) => tx.rename_collection(from, to)?,
            Change::Drop(name) => drop(tx.drop_collection(name)?),
            Change::KeyPut { to, key, value } => {
                let keyspace = tx.keyspace(to);
                keyspace.put(key, value)?;
                assert_eq!(keyspace.get(key)?.as_ref(), Some(value), "{to} {key:?} in its own transaction");
            }
            Change::KeyDelete { from, key } => {
                let keyspace = tx.keyspace(from);
                keyspace.delete(key)?;
                assert_eq!(keyspace.get(key)?, None, "{from} {key:?} in its own transaction");
            }
            Change::KeyRange { from, start, end } => {
                let keyspace = tx.keyspace(from);
                keyspace.delete_range(bounds(start, end.as_ref()))?;
                let left = keyspace.range(bounds(start, end.as_ref()), false)?.next().transpose()?;
                assert_eq!(left, None, "{from} in its own transaction");
            }
            Change::KeyClear(name) => tx.keyspace(name).clear()?,
            Change::KeyDrop(name) => drop(tx.drop_keyspace(name)?),
        }
    }
    Ok(())
}

fn execute_one(db: &Database, before: &Model, change: &Change, strict: bool) -> Result<()> {
    match change {
        Change::Put { to, id, document } => {
            let collection = db.collection::<Document>(to);
            match (strict, before.has(to, id)) {
                (false, _) => assert_eq!(collection.put(document)?, *id),
                (true, true) => assert!(collection.replace_one(id, document)?, "{to} {id} is there"),
                (true, false) => assert_eq!(collection.insert_one(document)?.inserted_id, *id),
            }
        }
        Change::Delete { from, id } => {
            assert_eq!(db.collection::<Document>(from).delete(id)?, before.has(from, id), "{from} {id}");
        }
        Change::Create(name) => db.create_collection(name)?,
        Change::Rename(from, to) => db.rename_collection(from, to)?,
        Change::Drop(name) => assert_eq!(db.drop_collection(name)?, before.0.contains_key(name)),
        Change::KeyPut { to, key, value } => db.keyspace(to).put(key, value)?,
        Change::KeyDelete { from, key } => db.keyspace(from).delete(key)?,
        Change::KeyRange { from, start, end } => db.keyspace(from).delete_range(bounds(start, end.as_ref()))?,
        Change::KeyClear(name) => db.keyspace(name).clear()?,
        Change::KeyDrop(name) => assert_eq!(db.drop_keyspace(name)?, before.1.contains_key(name)),
    }
    Ok(())
}

/// Calls that must be refused and change nothing: a duplicate, a name that exists, a body that fails.
pub fn refused(db: &Database, model: &Model, rng: &mut Rng) -> Result<()> {
    let Some((name, documents)) = model.0.iter().next() else { return Ok(()) };
    let expect = |result: Result<()>, code: u32| match result {
        Err(e) if e.code() == code => Ok(()),
        Err(e) => Err(e),
        Ok(()) => panic!("error {code} expected"),
    };
    if let Some(id) = documents.keys().next() {
        let document = document(id, rng.next_u64(), 10);
        expect(db.collection::<Document>(name).insert_one(&document).map(drop), 205)?;
    }
    expect(db.create_collection(name), 208)?;
    let put = document(&Id::from(1), rng.next_u64(), 5000);
    let failing = db.write(|tx| {
        tx.collection::<Document>(name).put(&put)?;
        tx.drop_collection(name)?;
        tx.create_collection("never")?;
        Err::<(), _>(Error::RolledBack)
    });
    expect(failing, Error::RolledBack.code())
}

/// A document of about `bytes` bytes.
pub fn document(id: &Id, version: u64, bytes: usize) -> Document {
    let text = format!("{version:016x}").repeat(bytes / 16 + 1)[..bytes].to_owned();
    match id {
        Id::Int(id) => doc! {"_id": *id, "v": version >> 8, "text": text},
        Id::String(id) => doc! {"_id": id.clone(), "v": version >> 8, "text": text},
        _ => unreachable!("only integers and strings are planned"),
    }
}
