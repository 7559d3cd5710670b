//! NyroDB: an embedded document store.
#![allow(dead_code)]

pub(crate) mod env;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod env_sim;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod log;
pub(crate) mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub use error::{Damage, Error, ErrorKind, Result};
