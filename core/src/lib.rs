//! NyroDB: an embedded document store.
#![allow(dead_code)]

pub(crate) mod document;
pub(crate) mod engine;
pub(crate) mod env;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod env_sim;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod file;
pub(crate) mod hash;
pub(crate) mod log;
pub(crate) mod record;
pub(crate) mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use document::{
    compare, Document, Fields, Id, RawArray, RawDocument, RawDocumentBuf, RawElements, RawFields, RawValue, Timestamp,
    Value, DEFAULT_MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, MAX_ID_BYTES, RESERVED_EXT_CODES,
};
pub use error::{Damage, Error, ErrorKind, Result};
