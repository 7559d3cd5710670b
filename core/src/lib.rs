//! NyroDB: an embedded document store.

// A model exercises a part; what only the rest of the engine calls is idle there.
#![cfg_attr(loom, allow(dead_code, unused_imports))]

// Under the model checker (`--cfg loom`) only what it runs is compiled.

#[cfg(not(loom))]
pub(crate) mod backup;
#[cfg(not(loom))]
pub(crate) mod collection;
#[cfg(not(loom))]
pub(crate) mod control;
#[cfg(not(loom))]
pub(crate) mod database;
#[cfg(not(loom))]
pub(crate) mod document;
#[cfg_attr(loom, path = "engine/modelled.rs")]
pub(crate) mod engine;
#[cfg(not(loom))]
pub(crate) mod env;
#[cfg(all(any(test, feature = "testing"), not(loom)))]
pub(crate) mod env_sim;
pub(crate) mod error;
#[cfg(not(loom))]
pub(crate) mod events;
pub(crate) mod file;
pub(crate) mod fork;
#[cfg(all(test, not(loom)))]
mod format_tests;
#[cfg(not(loom))]
pub(crate) mod hash;
#[cfg(not(loom))]
pub mod inspect;
pub(crate) mod int_map;
#[cfg(not(loom))]
pub(crate) mod keyspace;
#[cfg(not(loom))]
pub(crate) mod log;
pub(crate) mod memory;
#[cfg(not(loom))]
pub(crate) mod meter;
#[cfg(not(loom))]
pub(crate) mod name;
#[cfg(not(loom))]
pub(crate) mod options;
pub(crate) mod plant;
pub(crate) mod record;
#[cfg(not(loom))]
pub(crate) mod repair;
#[cfg(not(loom))]
pub(crate) mod signal;
#[cfg(not(loom))]
pub(crate) mod snapshot;
#[cfg(not(loom))]
pub(crate) mod sorted;
#[cfg(not(loom))]
pub(crate) mod stats;
pub(crate) mod sync;
#[cfg(all(any(test, feature = "testing"), not(loom)))]
pub mod testing;
#[cfg(not(loom))]
pub(crate) mod transaction;

#[cfg(not(loom))]
pub use backup::{restore, restore_from, BackupInfo, BackupOptions, RestoreOptions};
#[cfg(not(loom))]
pub use collection::{Collection, InsertManyOptions, InsertManyResult, InsertOneResult};
#[cfg(not(loom))]
pub use control::{CancelToken, Control, Progress};
#[cfg(not(loom))]
pub use database::{Database, Ticket};
#[cfg(not(loom))]
pub use document::{
    compare, compare_raw, Document, Fields, Id, RawArray, RawDocument, RawDocumentBuf, RawElements, RawFields,
    RawValue, Timestamp, Value, DEFAULT_MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, MAX_ID_BYTES, RESERVED_EXT_CODES,
};
#[cfg(not(loom))]
pub use engine::backup::BackupReport;
#[cfg(not(loom))]
pub use engine::compact::CompactReport;
#[cfg(not(loom))]
pub use engine::verify::VerifyReport;
#[cfg(not(loom))]
pub use engine::warm::WarmUpReport;
#[cfg(not(loom))]
pub use engine::Durability;
pub use error::{Damage, Error, ErrorKind, Result};
#[cfg(not(loom))]
pub use events::{Event, Operation};
#[cfg(not(loom))]
pub use keyspace::{
    prefix_bounds, KeyBounds, KeyValue, KeyWalk, Keyspace, KeyspaceRange, SnapshotKeyspace, TransactionKeyspace,
    TransactionRange, MAX_KEYSPACE_KEY_BYTES,
};
#[cfg(not(loom))]
pub use meter::Latency;
#[cfg(not(loom))]
pub use options::{Options, ReadMode};
#[cfg(not(loom))]
pub use repair::{
    repair, Loss, RepairBasis, RepairOptions, RepairReport, RepairedCollection, RepairedKeyspace, RepairedLog,
};
#[cfg(not(loom))]
pub use snapshot::{OwnedSnapshotCollection, Scan, Snapshot, SnapshotCollection};
#[cfg(not(loom))]
pub use stats::{KeyspaceStats, LevelStats, Stats};
#[cfg(not(loom))]
pub use transaction::{OwnedTransaction, Transaction, TransactionCollection};

/// The code in README.md runs as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
