//! NyroDB: an embedded document store.

pub(crate) mod collection;
pub(crate) mod database;
pub(crate) mod document;
pub(crate) mod engine;
pub(crate) mod env;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod env_sim;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod file;
#[cfg(test)]
mod format_tests;
pub(crate) mod hash;
pub(crate) mod int_map;
pub(crate) mod log;
pub(crate) mod options;
pub(crate) mod record;
pub(crate) mod snapshot;
pub(crate) mod stats;
pub(crate) mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub(crate) mod transaction;

pub use collection::{Collection, InsertManyOptions, InsertManyResult, InsertOneResult};
pub use database::{Database, Ticket};
pub use document::{
    compare, compare_raw, Document, Fields, Id, RawArray, RawDocument, RawDocumentBuf, RawElements, RawFields,
    RawValue, Timestamp, Value, DEFAULT_MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, MAX_ID_BYTES, RESERVED_EXT_CODES,
};
pub use engine::verify::VerifyReport;
pub use engine::Durability;
pub use error::{Damage, Error, ErrorKind, Result};
pub use events::Event;
pub use options::Options;
pub use snapshot::{Scan, Snapshot, SnapshotCollection};
pub use stats::Stats;
pub use transaction::{Transaction, TransactionCollection};

/// The code in README.md runs as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
