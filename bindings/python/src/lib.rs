//! The native module of the Python package `nyrodb`.
//!
//! ```text
//!   nyrodb (python/nyrodb)      errors, reports, asyncio, types        Python
//!   nyrodb._nyrodb              database, collection, snapshot,        this crate
//!                               scan, transaction, batch,
//!                               keyspace, range
//!     codec                     dict <-> MessagePack
//!     gil                       when Python's lock is given up, and how a program ends
//!   nyro_owned                  owned handles, bytes in and out
//! ```
//!
//! The rules for Python's lock (the GIL): a call that may wait for others or for the disk gives it up; a point read
//! keeps it, as giving it up costs more than the read. While the engine runs code of ours in the middle of a read, no
//! code of Python's runs. So nobody ever waits for the GIL while holding what a holder of the GIL waits for.

mod batch;
mod bytes;
mod cancel;
mod codec;
mod collection;
mod database;
mod error;
mod ext;
mod gil;
mod id;
mod keyspace;
mod long;
mod range;
mod reads;
mod report;
mod results;
mod scan;
mod snapshot;
mod transaction;

use pyo3::prelude::*;

/// What Python imports.
#[pymodule(gil_used = true)]
mod _nyrodb {
    #[pymodule_export]
    use super::batch::Batch;
    #[pymodule_export]
    use super::bytes::{decode, encode};
    #[pymodule_export]
    use super::cancel::CancelToken;
    #[pymodule_export]
    use super::collection::Collection;
    #[pymodule_export]
    use super::database::{open, repair, restore, Database};
    #[pymodule_export]
    use super::error::error_numbers;
    #[pymodule_export]
    use super::ext::Ext;
    #[pymodule_export]
    use super::gil::{after_fork, at_exit};
    #[pymodule_export]
    use super::keyspace::{Keyspace, KeyspaceReads, KeyspaceWrites, SnapshotKeyspace, TransactionKeyspace};
    #[pymodule_export]
    use super::range::{KeyIterator, KeyRange};
    #[pymodule_export]
    use super::results::{InsertManyResult, InsertOneResult, UpdateResult};
    #[pymodule_export]
    use super::scan::Scan;
    #[pymodule_export]
    use super::snapshot::{Snapshot, SnapshotCollection};
    #[pymodule_export]
    use super::transaction::{Transaction, TransactionCollection};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("version", env!("CARGO_PKG_VERSION"))
    }
}
