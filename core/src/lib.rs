//! NyroDB: an embedded document store.
#![allow(dead_code)]

pub(crate) mod document;
pub(crate) mod env;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod record;
pub(crate) mod sync;
pub use document::{
    compare, Document, Fields, Id, RawArray, RawDocument, RawDocumentBuf, RawElements, RawFields, RawValue, Timestamp,
    Value, DEFAULT_MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH, MAX_ID_BYTES, RESERVED_EXT_CODES,
};
pub use error::{Damage, Error, ErrorKind, Result};
