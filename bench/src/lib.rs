//! NyroDB beside its peers: the same documents, the same seed, the same run, equal durability.
//!
//! ```text
//!   nyro-bench (driver)   -- round by round, workload by workload, engine by engine -->   worker process
//!        |                                                                                opens, works, measures
//!        +<-- one line of JSON each ----------------------------------------------------------+
//!        v
//!   medians -> table, --json, --report (text and a picture of each workload)
//! ```
//!
//! Each measurement is a process of its own, so that no engine inherits another's memory, and so that what a
//! process takes can be told. The engines take turns, so that a slow minute of the machine is everybody's.

mod data;
pub mod driver;
pub mod engine;
pub mod engines;
mod entries;
pub mod floors;
pub mod goals;
mod kv;
pub mod machine;
pub mod picture;
pub mod report;
pub mod series;
pub mod store;
pub mod stores;
mod sustained;
pub mod table;
pub mod worker;
pub mod workload;
mod written;
mod ycsb;
