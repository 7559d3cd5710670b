//! The new database: collections by the numbers of the old file, documents in batches.
//!
//! ```text
//!   old tree number --> Collection { new tree number, name, counters }        made when its first document comes,
//!                                                                             or at once where its name is known
//!   put, delete --> transaction, committed at 1 MiB --> engine --> checkpoints as memory fills
//! ```

use crate::document::Id;
use crate::engine::transaction::Transaction;
use crate::engine::trees::Kind;
use crate::engine::trees::{self, check_name};
use crate::engine::Engine;
use crate::error::Result;
use crate::record::key::{key_of, ID_FIELD};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A batch is committed when it has so many bytes or changes.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_CHANGES: usize = 4096;

/// A collection of the new database.
#[derive(Debug)]
pub(super) struct Collection {
    /// Its tree in the new database.
    tree: u32,
    pub(super) name: String,
    pub(super) named: bool,
    /// The largest positive integer id it is known to have held.
    max_id: u64,
    pub(super) uncertain: u64,
    pub(super) unchecked: u64,
    pub(super) expected: Option<u64>,
    pub(super) missing: Option<u64>,
    pub(super) complete: bool,
}

/// See the module's text.
pub(super) struct Target<'e> {
    engine: &'e Engine,
    batch: Option<Transaction<'e>>,
    bytes: usize,
    changes: usize,
    /// By tree number of the old file.
    pub(super) collections: BTreeMap<u32, Collection>,
    names: HashMap<String, u32>,
    /// Trees of the old file that the log drops.
    gone: BTreeSet<u32>,
}

impl<'e> Target<'e> {
    pub(super) fn new(engine: &'e Engine) -> Target<'e> {
        Target {
            engine,
            batch: None,
            bytes: 0,
            changes: 0,
            collections: BTreeMap::new(),
            names: HashMap::new(),
            gone: BTreeSet::new(),
        }
    }

    /// Room in the batch for so many more bytes.
    fn batch(&mut self, bytes: usize) -> Result<&mut Transaction<'e>> {
        if self.bytes + bytes > BATCH_BYTES || self.changes >= BATCH_CHANGES {
            self.flush()?;
        }
        self.bytes += bytes;
        self.changes += 1;
        if self.batch.is_none() {
            self.batch = Some(self.engine.begin()?);
        }
        match &mut self.batch {
            Some(batch) => Ok(batch),
            None => unreachable!("begun above"),
        }
    }

    /// Commits what was put so far.
    pub(super) fn flush(&mut self) -> Result<()> {
        (self.bytes, self.changes) = (0, 0);
        match self.batch.take() {
            Some(batch) => batch.commit().map(|_| ()),
            None => Ok(()),
        }
    }

    /// A name for what has none.
    fn spare_name(&self, old: u32) -> String {
        let mut name = format!("recovered-{old}");
        while self.names.contains_key(&name) {
            name.push('\'');
        }
        name
    }

    /// The collection is there, under this name; who had the name before gets another.
    pub(super) fn name(&mut self, old: u32, name: &str) -> Result<()> {
        check_name(name)?;
        match self.names.get(name).copied() {
            Some(other) if other == old => {
                self.collections.entry(old).and_modify(|c| c.named = true);
                return Ok(());
            }
            Some(other) => {
                let spare = self.spare_name(other);
                self.rename(other, &spare, false)?;
            }
            None => {}
        }
        match self.collections.contains_key(&old) {
            true => self.rename(old, name, true),
            false => self.create(old, name.to_owned(), true),
        }
    }

    fn rename(&mut self, old: u32, to: &str, named: bool) -> Result<()> {
        let Some(from) = self.collections.get(&old).map(|c| c.name.clone()) else { return Ok(()) };
        self.batch(to.len())?.rename(&from, to, Kind::Collection)?;
        self.names.remove(&from);
        self.names.insert(to.to_owned(), old);
        if let Some(collection) = self.collections.get_mut(&old) {
            (collection.name, collection.named) = (to.to_owned(), named);
        }
        Ok(())
    }

    fn create(&mut self, old: u32, name: String, named: bool) -> Result<()> {
        let tree = self.batch(name.len())?.create(&name, Kind::Collection)?;
        self.names.insert(name.clone(), old);
        let collection = Collection {
            tree,
            name,
            named,
            max_id: 0,
            uncertain: 0,
            unchecked: 0,
            expected: None,
            missing: None,
            complete: true,
        };
        self.collections.insert(old, collection);
        Ok(())
    }

    /// The collection for a tree of the old file; made if there is none. None for one that was dropped.
    pub(super) fn collection(&mut self, old: u32) -> Result<Option<&mut Collection>> {
        if self.gone.contains(&old) {
            return Ok(None);
        }
        if !self.collections.contains_key(&old) {
            let name = self.spare_name(old);
            self.create(old, name, false)?;
        }
        Ok(self.collections.get_mut(&old))
    }

    /// Puts a document in stored form.
    pub(super) fn put(&mut self, old: u32, document: &[u8]) -> Result<()> {
        let id = key_of(document).map_or(0, trees::positive_id);
        let Some(collection) = self.collection(old)? else { return Ok(()) };
        collection.max_id = collection.max_id.max(id);
        let tree = collection.tree;
        self.batch(document.len())?.put(tree, document, None)
    }

    /// Deletes by key.
    pub(super) fn delete(&mut self, old: u32, key: &[u8]) -> Result<()> {
        let Some(collection) = self.collection(old)? else { return Ok(()) };
        let tree = collection.tree;
        self.batch(key.len())?.delete(tree, key).map(|_| ())
    }

    /// Drops a collection.
    pub(super) fn drop_collection(&mut self, old: u32) -> Result<()> {
        self.gone.insert(old);
        let Some(collection) = self.collections.remove(&old) else { return Ok(()) };
        self.names.remove(&collection.name);
        self.batch(0)?.drop_named(&collection.name, Kind::Collection).map(|_| ())
    }

    /// The collection has held this id; none below is assigned.
    pub(super) fn saw_id(&mut self, old: u32, id: u64) {
        if let Some(collection) = self.collections.get_mut(&old) {
            collection.max_id = collection.max_id.max(id);
        }
    }

    /// Lets the new database know of the largest ids that were ever held: an id that was once assigned is not
    /// assigned again, even if its document is gone.
    pub(super) fn settle_ids(&mut self) -> Result<()> {
        let largest: Vec<(u32, u64)> = self.collections.values().map(|c| (c.tree, c.max_id)).collect();
        for (tree, id) in largest.into_iter().filter(|(_, id)| *id > 0) {
            self.flush()?;
            let key = Id::from(id).key()?;
            let mut document = vec![0x81];
            document.extend_from_slice(&ID_FIELD);
            document.extend_from_slice(&key);
            let batch = self.batch(document.len())?;
            if batch.contains(tree, &key)? {
                continue;
            }
            batch.put(tree, &document, None)?;
            self.flush()?;
            self.batch(0)?.delete(tree, &key)?;
        }
        self.flush()
    }

    /// Documents of a collection, as committed.
    pub(super) fn count(&self, collection: &Collection) -> Result<u64> {
        let (state, commit) = self.engine.published.snapshot();
        state.count(&self.engine.pages, commit, collection.tree)
    }
}
