//! NyroDB as other languages want it: the one safe layer below the C functions, the Node package and the Python
//! package. Handles are owned, documents are MessagePack bytes, nothing has a lifetime, nothing panics.
//!
//! ```text
//!   C functions     Node crate     Python crate
//!        \              |              /
//!         +-------------+-------------+
//!         |  Coll     documents by id: of the database as it is, or of a snapshot
//!         |  Tx       a transaction as a plain number, used by the thread that began it
//!         |  Cursor   a scan, document by document or by the batch
//!         |  Batch    the writes of many callers in one commit, each with a result of its own
//!         |  id, settings, report, error     what crosses the border as bytes, by name, as text
//!         +-------------+-------------+
//!                    engine
//! ```
//!
//! What the engine gives owned already ([`Database`], [`Snapshot`], [`CancelToken`]) is used as it is.

#![forbid(unsafe_code)]

mod batch;
mod collection;
mod cursor;
pub mod error;
pub mod id;
mod keyspace;
pub mod report;
pub mod settings;
#[cfg(test)]
mod tests;
mod transaction;

pub use batch::{split, Batch, Done, Op};
pub use collection::Coll;
pub use cursor::{Cursor, Filled};
pub use keyspace::{Bounds, Change, FilledEntries, KeyChange, KeyRange, Keys};
pub use nyro::{
    prefix_bounds, repair, restore, BackupOptions, CancelToken, Control, Database, Document, Durability, Error,
    ErrorKind, Id, InsertManyOptions, InsertManyResult, Options, OwnedTransaction, Progress, RawDocument, ReadMode,
    RepairOptions, RestoreOptions, Result, Snapshot, Value,
};
pub use transaction::Tx;
