//! The C ABI of NyroDB: `libnyro.so`, `libnyro.a`, `include/nyro.h`.
//!
//! ```text
//!   C program -> functions  (database, collection, keyspace, long: what nyro.h declares)
//!                  -> boundary: null checks, lengths, no panic crosses, errors filled in
//!                  -> handles:  64-bit number -> what it stands for; a stale number is an error
//!                       -> barrier: the fence that a lookup need not pay for
//!                  -> nyro-owned -> engine
//! ```
//!
//! `include/nyro.h` is written from this source by cbindgen (`make header`), and a test compares the two,
//! so the comments here are the manual of the C functions.

#![allow(non_camel_case_types, reason = "the names of the C API")]

mod barrier;
mod boundary;
mod code;
mod collection;
mod database;
mod handles;
mod keyspace;
mod long;
mod output;
mod types;

#[cfg(test)]
mod tests;

pub use boundary::nyro_error;
pub use code::nyro_code;
pub use collection::*;
pub use database::*;
pub use keyspace::*;
pub use long::*;
pub use output::{NYRO_FORMAT_JSON, NYRO_FORMAT_MSGPACK};
pub use types::*;
