//! NyroDB: an embedded document store.
#![allow(dead_code)]

pub(crate) mod env;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod hash;
pub(crate) mod record;
pub(crate) mod sync;
pub use error::{Damage, Error, ErrorKind, Result};
