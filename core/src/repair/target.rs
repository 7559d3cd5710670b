//! The new database: collections and keyspaces by the numbers of the old file, documents and keys in batches.
//!
//! ```text
//!   old tree number --> NewTree { kind, new tree number, name, counters }     made when its first document or key
//!                                                                             comes, or at once where its name is known
//!   put, delete --> transaction, committed at 1 MiB --> engine --> checkpoints as memory fills
//! ```

use crate::control::{Control, Progress};
use crate::document::Id;
use crate::engine::frame::KeyOp;
use crate::engine::key_cursor::KeyCursor;
use crate::engine::transaction::Transaction;
use crate::engine::trees::Kind;
use crate::engine::trees::{self, check_name};
use crate::engine::Engine;
use crate::error::Result;
use crate::record::key::{key_of, ID_FIELD};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

/// A batch is committed when it has so many bytes or changes.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_CHANGES: usize = 4096;

/// Keys counted between two steps.
const STEP_KEYS: u64 = 1024;

/// A collection or keyspace of the new database.
#[derive(Debug)]
pub(super) struct NewTree {
    pub(super) kind: Kind,
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
    /// Of a keyspace: values given to it so far.
    given: u64,
    /// Of a keyspace: it was given values that are older than those that come now.
    pub(super) has_older: bool,
    /// Of a keyspace: something newer than what it was given is lost.
    pub(super) outdated: bool,
}

/// See the module's text.
pub(super) struct Target<'e> {
    engine: &'e Engine,
    batch: Option<Transaction<'e>>,
    bytes: usize,
    changes: usize,
    /// By tree number of the old file.
    pub(super) trees: BTreeMap<u32, NewTree>,
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
            trees: BTreeMap::new(),
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

    /// The collection or keyspace is there, under this name; who had the name before gets another. False, and nothing
    /// done, if the tree is known to be of the other kind.
    pub(super) fn name(&mut self, old: u32, name: &str, kind: Kind) -> Result<bool> {
        check_name(name)?;
        if self.trees.get(&old).is_some_and(|tree| tree.kind != kind) {
            return Ok(false);
        }
        match self.names.get(name).copied() {
            Some(other) if other == old => {
                self.trees.entry(old).and_modify(|c| c.named = true);
                return Ok(true);
            }
            Some(other) => {
                let spare = self.spare_name(other);
                self.rename(other, &spare, false)?;
            }
            None => {}
        }
        match self.trees.contains_key(&old) {
            true => self.rename(old, name, true)?,
            false => self.create(old, name.to_owned(), true, kind)?,
        }
        Ok(true)
    }

    fn rename(&mut self, old: u32, to: &str, named: bool) -> Result<()> {
        let Some((from, kind)) = self.trees.get(&old).map(|c| (c.name.clone(), c.kind)) else { return Ok(()) };
        self.batch(to.len())?.rename(&from, to, kind)?;
        self.names.remove(&from);
        self.names.insert(to.to_owned(), old);
        if let Some(tree) = self.trees.get_mut(&old) {
            (tree.name, tree.named) = (to.to_owned(), named);
        }
        Ok(())
    }

    fn create(&mut self, old: u32, name: String, named: bool, kind: Kind) -> Result<()> {
        let tree = self.batch(name.len())?.create(&name, kind)?;
        self.names.insert(name.clone(), old);
        let new = NewTree {
            kind,
            tree,
            name,
            named,
            max_id: 0,
            uncertain: 0,
            unchecked: 0,
            expected: None,
            missing: None,
            complete: true,
            given: 0,
            has_older: false,
            outdated: false,
        };
        self.trees.insert(old, new);
        Ok(())
    }

    /// What a tree of the old file is here; made if there is nothing yet. None for one that was dropped, or that is of
    /// the other kind.
    fn tree(&mut self, old: u32, kind: Kind) -> Result<Option<&mut NewTree>> {
        if self.gone.contains(&old) {
            return Ok(None);
        }
        if !self.trees.contains_key(&old) {
            let name = self.spare_name(old);
            self.create(old, name, false, kind)?;
        }
        Ok(self.trees.get_mut(&old).filter(|tree| tree.kind == kind))
    }

    /// The collection for a tree of the old file, as [`Target::tree`] has it.
    pub(super) fn collection(&mut self, old: u32) -> Result<Option<&mut NewTree>> {
        self.tree(old, Kind::Collection)
    }

    /// The keyspace for a tree of the old file, as [`Target::tree`] has it.
    pub(super) fn keyspace(&mut self, old: u32) -> Result<Option<&mut NewTree>> {
        self.tree(old, Kind::Keyspace)
    }

    /// Keyspaces whose numbers in the old file are from `first` to `last`.
    pub(super) fn keyspaces_among(&mut self, first: u32, last: u32) -> impl Iterator<Item = (u32, &mut NewTree)> {
        let trees = self.trees.range_mut(first..=last.max(first)).map(|(number, tree)| (*number, tree));
        trees.filter(move |(number, tree)| tree.kind == Kind::Keyspace && *number <= last)
    }

    /// What comes from now on is newer than what came before.
    pub(super) fn next_layer(&mut self) {
        self.trees.values_mut().for_each(|tree| tree.has_older = tree.given > 0);
    }

    /// Changes keys of a keyspace. False, and nothing done, if the tree is of a collection.
    pub(super) fn change_keys(&mut self, old: u32, op: KeyOp<'_>) -> Result<bool> {
        if self.gone.contains(&old) {
            return Ok(true);
        }
        let Some(keyspace) = self.keyspace(old)? else { return Ok(false) };
        keyspace.given += u64::from(matches!(op, KeyOp::Put(..)));
        let tree = keyspace.tree;
        let bytes = match op {
            KeyOp::Put(key, value) => key.len() + value.len(),
            KeyOp::Delete(key) => key.len(),
            KeyOp::DeleteRange(start, end) => start.len() + end.map_or(0, <[u8]>::len),
        };
        self.batch(bytes)?.change_keys(tree, op)?;
        Ok(true)
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

    /// Drops a collection or keyspace.
    pub(super) fn drop_tree(&mut self, old: u32) -> Result<()> {
        self.gone.insert(old);
        let Some(tree) = self.trees.remove(&old) else { return Ok(()) };
        self.names.remove(&tree.name);
        self.batch(0)?.drop_named(&tree.name, tree.kind).map(|_| ())
    }

    /// The collection has held this id; none below is assigned.
    pub(super) fn saw_id(&mut self, old: u32, id: u64) {
        if let Some(collection) = self.trees.get_mut(&old) {
            collection.max_id = collection.max_id.max(id);
        }
    }

    /// Lets the new database know of the largest ids that were ever held: an id that was once assigned is not
    /// assigned again, even if its document is gone.
    pub(super) fn settle_ids(&mut self) -> Result<()> {
        let largest: Vec<(u32, u64)> = self.trees.values().map(|c| (c.tree, c.max_id)).collect();
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
    pub(super) fn count(&self, collection: &NewTree) -> Result<u64> {
        let (state, commit) = self.engine.published.snapshot();
        state.count(&self.engine.pages, commit, collection.tree)
    }

    /// Keys of a keyspace, as committed. No place knows their number, so they are walked over; `done` counts those of all
    /// keyspaces.
    pub(super) fn count_keys(&self, keyspace: &NewTree, done: &mut u64, control: &mut Control<'_>) -> Result<u64> {
        let (state, commit) = self.engine.published.snapshot();
        let pages = &self.engine.pages;
        let mut cursor = KeyCursor::new(keyspace.tree, &(Bound::Unbounded, Bound::Unbounded), false);
        let before = *done;
        loop {
            control.step(Progress::new("count", *done, 0, "keys"))?;
            let _hold = pages.hold();
            let view = state.view(pages, commit)?;
            let end = *done + STEP_KEYS;
            while *done < end {
                if !cursor.step(&view, None)? {
                    return Ok(*done - before);
                }
                *done += 1;
            }
        }
    }
}
