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
//!
//! Changes to a keyspace that belong together are all made or none. If one of them fails when others are made already,
//! the transaction is rolled back, and what was done in it before is done again without them. Then it is committed, so
//! that no write is done more than twice.

use crate::error::of_panic;
use crate::keyspace::KeyChange;
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
    /// Change the keys of a keyspace: all of it, or nothing.
    Keys(Vec<KeyChange>),
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
    /// Keys were changed: there is nothing to tell.
    Changed,
}

/// Why a write failed.
struct Failed {
    error: Error,
    /// A part of it is made in the transaction.
    is_halfway: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed { error, is_halfway: false }
    }
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

    /// Adds a write to a collection or keyspace; its result has the place that it has here.
    pub fn push(&mut self, name: Arc<str>, op: Op) {
        self.ops.push((name, op));
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
        for (at, (name, op)) in self.ops.iter().enumerate() {
            if let Op::InsertMany { documents, ends, options } = op {
                end(&mut group, &mut results[from..]);
                results.push(insert_many(db, name, documents, ends, *options));
                from = results.len();
                continue;
            }
            let mut done = one(db, &mut group, name, op);
            if let Err(failed) = &done {
                let is_too_large = matches!(failed.error, Error::TransactionTooLarge { .. }) && at > from;
                if failed.is_halfway {
                    roll_back(&mut group);
                    again(db, &mut group, &self.ops[from..at], &mut results[from..]);
                }
                if failed.is_halfway || is_too_large {
                    end(&mut group, &mut results[from..]);
                    from = at;
                }
                if is_too_large {
                    done = one(db, &mut group, name, op);
                    if matches!(done, Err(Failed { is_halfway: true, .. })) {
                        roll_back(&mut group);
                    }
                }
            }
            results.push(done.map_err(|failed| failed.error));
        }
        end(&mut group, &mut results[from..]);
    }
}

/// Does the writes of a group that was rolled back anew. Each can be done or fails without a trace, as it did before.
fn again(db: &Database, group: &mut Option<OwnedTransaction>, ops: &[(Arc<str>, Op)], results: &mut [Result<Done>]) {
    for (at, (name, op)) in ops.iter().enumerate() {
        match one(db, group, name, op) {
            Ok(done) => results[at] = Ok(done),
            Err(failed) => {
                if failed.is_halfway {
                    // Nothing that was wrong with the write: it could be made before. It stops all of them.
                    roll_back(group);
                    results.fill(Err(failed.error));
                    return;
                }
                results[at] = Err(failed.error);
            }
        }
    }
}

fn roll_back(group: &mut Option<OwnedTransaction>) {
    if let Some(tx) = group.take() {
        // The error that led here is told.
        let _ = tx.rollback();
    }
}

/// Does one write in the group's transaction, which is begun if there is none.
fn one(db: &Database, group: &mut Option<OwnedTransaction>, name: &str, op: &Op) -> std::result::Result<Done, Failed> {
    let tx = match group {
        Some(tx) => tx,
        None => group.insert(db.begin()?),
    };
    if let Op::Keys(changes) = op {
        return change_keys(tx, name, changes);
    }
    let collection = tx.collection::<Document>(name);
    let done = match op {
        Op::Put(document) => collection.put_raw(RawDocument::unvalidated(document)).map(Done::Id),
        Op::Insert(document) => collection.insert_one_raw(RawDocument::unvalidated(document)).map(Done::Id),
        Op::Replace(id, document) => {
            collection.replace_one_raw(id.clone(), RawDocument::unvalidated(document)).map(Done::Found)
        }
        Op::Delete(id) => collection.delete(id.clone()).map(Done::Found),
        Op::InsertMany { .. } | Op::Keys(_) => Err(Error::Internal("not a write of one document".to_owned())),
    };
    Ok(done?)
}

fn change_keys(tx: &OwnedTransaction, name: &str, changes: &[KeyChange]) -> std::result::Result<Done, Failed> {
    let keyspace = tx.keyspace(name);
    for (at, change) in changes.iter().enumerate() {
        if let Err(error) = change.as_change().apply(&keyspace) {
            // Clearing is two steps, dropping and making anew.
            return Err(Failed { error, is_halfway: at > 0 || *change == KeyChange::Clear });
        }
    }
    Ok(Done::Changed)
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
