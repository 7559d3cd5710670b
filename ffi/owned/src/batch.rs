//! The writes of many callers in one commit, each with a result of its own.
//!
//! ```text
//!   put a   insert b   delete c   insert_many [..]   put d        as they came
//!   \____ one transaction ____/   \_ its own one _/  \_ next _/
//! ```
//!
//! So an event loop pays for one commit a turn. What is wrong with one write (a duplicate, a bad document) is the
//! error of that write alone; what stops the transaction is the error of all in it. A transaction that grows too large
//! is committed and another one begun.

use crate::error::of_panic;
use crate::{Change, Keys, OwnedChange};
use nyro::{Database, Document, Error, Id, InsertManyOptions, OwnedTransaction, RawDocument, Result};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

/// One write.
#[derive(Debug, Clone)]
pub enum Op {
    /// Insert or replace.
    Put(Vec<u8>),
    /// Insert.
    Insert(Vec<u8>),
    /// Insert many; in a commit of its own.
    InsertMany {
        /// The documents, one behind the other.
        documents: Vec<u8>,
        /// Where each ends.
        ends: Vec<usize>,
        /// As for a call of its own.
        options: InsertManyOptions,
    },
    /// Replace.
    Replace(Id, Vec<u8>),
    /// Delete.
    Delete(Id),
    /// Change a keyspace.
    Change(OwnedChange),
    /// Make changes to a keyspace, all or none; in a commit of its own.
    Changes(Vec<OwnedChange>),
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The document's id.
    Id(Id),
    /// The documents' ids.
    Ids(Vec<Id>),
    /// Whether there was a document to replace or delete.
    Found(bool),
    /// A keyspace was changed.
    Changed,
}

/// Writes that wait to be committed together.
#[derive(Debug, Default)]
pub struct Batch {
    ops: Vec<(Arc<str>, Op)>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Adds a write to a collection, or a change to a keyspace; its result has the place that it has here.
    pub fn push(&mut self, collection: Arc<str>, op: Op) {
        self.ops.push((collection, op));
    }

    /// How many writes.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Commits all and gives each its result. Blocks for the writer's turn and, under `Sync`, for the disk; never
    /// panics.
    pub fn commit(self, db: &Database) -> Vec<Result<Done>> {
        let wanted = self.ops.len();
        let mut results = Vec::with_capacity(wanted);
        let run = catch_unwind(AssertUnwindSafe(|| self.run(db, &mut results)));
        if let Err(panic) = run {
            let error = of_panic(panic.as_ref());
            results.resize_with(wanted, || Err(error.clone()));
        }
        results
    }

    fn run(self, db: &Database, results: &mut Vec<Result<Done>>) {
        let mut group: Option<OwnedTransaction> = None;
        // Results from here on are of the open group.
        let mut from = 0;
        for (collection, op) in &self.ops {
            if let Op::InsertMany { .. } | Op::Changes(_) = op {
                end(&mut group, &mut results[from..]);
                results.push(alone(db, collection, op));
                from = results.len();
                continue;
            }
            let mut done = one(db, &mut group, collection, op);
            if matches!(done, Err(Error::TransactionTooLarge { .. })) && results.len() > from {
                end(&mut group, &mut results[from..]);
                from = results.len();
                done = one(db, &mut group, collection, op);
            }
            results.push(done);
        }
        end(&mut group, &mut results[from..]);
    }
}

/// Does one write in the group's transaction, which is begun if there is none.
fn one(db: &Database, group: &mut Option<OwnedTransaction>, collection: &str, op: &Op) -> Result<Done> {
    let tx = match group {
        Some(tx) => tx,
        None => group.insert(db.begin()?),
    };
    if let Op::Change(change) = op {
        return change.borrowed().apply(&tx.keyspace(collection)).map(|()| Done::Changed);
    }
    let collection = tx.collection::<Document>(collection);
    match op {
        Op::Put(document) => collection.put_raw(RawDocument::unvalidated(document)).map(Done::Id),
        Op::Insert(document) => collection.insert_one_raw(RawDocument::unvalidated(document)).map(Done::Id),
        Op::Replace(id, document) => {
            collection.replace_one_raw(id.clone(), RawDocument::unvalidated(document)).map(Done::Found)
        }
        Op::Delete(id) => collection.delete(id.clone()).map(Done::Found),
        Op::InsertMany { .. } | Op::Change(_) | Op::Changes(_) => {
            Err(Error::Internal("this write is none of a group's to a collection".to_owned()))
        }
    }
}

/// Does a write that has a commit of its own.
fn alone(db: &Database, name: &str, op: &Op) -> Result<Done> {
    match op {
        Op::InsertMany { documents, ends, options } => insert_many(db, name, documents, ends, *options),
        Op::Changes(changes) => {
            let changes: Vec<Change<'_>> = changes.iter().map(OwnedChange::borrowed).collect();
            Keys::live(db, name).change_all(&changes).map(|()| Done::Changed)
        }
        _ => Err(Error::Internal("this write is one of a group".to_owned())),
    }
}

fn insert_many(
    db: &Database,
    collection: &str,
    documents: &[u8],
    ends: &[usize],
    options: InsertManyOptions,
) -> Result<Done> {
    let documents = split(documents, ends)?;
    let documents = documents.into_iter().map(RawDocument::unvalidated);
    let result = db.collection::<Document>(collection).insert_many_raw(documents, options)?;
    Ok(Done::Ids(result.inserted_ids))
}

/// The documents that lie one behind the other in `bytes`. Error: `InvalidArgument` where the ends are not in order.
pub fn split<'b>(bytes: &'b [u8], ends: &[usize]) -> Result<Vec<&'b [u8]>> {
    let mut start = 0;
    let mut documents = Vec::new();
    let too_many = |_| Error::InvalidArgument(format!("no memory for {} documents", ends.len()));
    documents.try_reserve_exact(ends.len()).map_err(too_many)?;
    for end in ends {
        let document = bytes.get(start..*end).ok_or_else(|| {
            let bytes = bytes.len();
            Error::InvalidArgument(format!("a document from byte {start} to {end} does not lie in {bytes} bytes"))
        })?;
        documents.push(document);
        start = *end;
    }
    Ok(documents)
}

/// Commits the group; what was done in it failed if that fails.
fn end(group: &mut Option<OwnedTransaction>, results: &mut [Result<Done>]) {
    let Some(tx) = group.take() else { return };
    if let Err(error) = tx.commit() {
        results.iter_mut().for_each(|result| {
            if result.is_ok() {
                *result = Err(error.clone());
            }
        });
    }
}
