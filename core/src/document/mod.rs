//! Documents: MessagePack maps with string keys, `_id` first.
//!
//! ```text
//!   caller's bytes --validate--> canonical --> stored bytes --> RawDocument   (read in place)
//!        ^                                                         |
//!        |  to_msgpack (serde), Document::to_bytes                 |  to_document, deserialize, JSON
//!   struct, Document, JSON  <--------------------------------------+
//!
//!   83           a3 5f 69 64   cd 03 e8        a4 6e 61 6d 65   a3 41 64 61   ...
//!   map of 3     "_id"         1000 (the key)  "name"           "Ada"
//! ```
//!
//! Bytes enter in one place, [`canonical::prepare`], which validates them and brings the id to its stored
//! form. What comes back from the file is read through [`RawDocument`], which trusts nothing: each
//! access checks its bounds, so a damaged or hostile file gives `None` or an error.

pub(crate) mod canonical;
pub(crate) mod codec;
mod fields;
mod fingerprint;
mod id;
pub(crate) mod json;
mod macros;
pub(crate) mod msgpack;
pub(crate) mod order;
mod predict;
mod raw;
mod raw_buf;
mod serde_impl;
mod timestamp;
pub(crate) mod validate;
mod value;

pub use fields::{Document, Fields};
pub use id::Id;
pub(crate) use id::Key;
pub use order::{compare, compare_raw};
pub use raw::{RawArray, RawDocument, RawElements, RawFields, RawValue};
pub use raw_buf::RawDocumentBuf;
pub(crate) use serde_impl::{from_msgpack, to_msgpack};
pub use timestamp::Timestamp;
pub use value::Value;

/// The deepest nesting of a document in levels; the document itself is level 1.
pub const MAX_DOCUMENT_DEPTH: u32 = 100;

/// The longest string or binary `_id` in bytes.
pub const MAX_ID_BYTES: usize = 1024;

/// MessagePack extension codes that documents of a caller may not use: NyroDB keeps them for types to come.
pub const RESERVED_EXT_CODES: std::ops::RangeInclusive<i8> = 48..=63;

/// The limit on a document's size in bytes where the caller sets none: 16 MiB.
pub const DEFAULT_MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// The examples of the guide are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/documents.md")]
struct Guide;

#[cfg(test)]
mod tests;
