//! From a caller's bytes to the stored form: `_id` first, its bytes shortest.
//!
//! ```text
//!   given    82 | a4 name a3 Ada | a3 _id d3 00..07 |
//!   stored   82 | a3 _id 07 | a4 name a3 Ada |          the other fields byte for byte, in their order
//! ```
//!
//! So the id's bytes in the document are its key (`crate::record::key`), and the same id has the same
//! key whatever width its writer chose. Most documents arrive in this form and are not copied.

use super::id::Key;
use super::msgpack::{self, Head, Out, Reader};
use super::validate::{validate, IdSpan, Shape};
use super::MAX_ID_BYTES;
use crate::error::{Error, Result};
use crate::record::key::ID_FIELD;

/// A validated document.
#[derive(Debug, PartialEq)]
pub(crate) enum Prepared<'a> {
    /// In the stored form as given.
    AsIs(&'a [u8]),
    /// Brought to the stored form.
    Rewritten(Vec<u8>),
    /// Well-formed, without `_id`: [`with_key`] makes the stored form once the id is known.
    MissingId,
}

impl Prepared<'_> {
    /// The key of the document, if it has one yet.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        match self {
            Prepared::AsIs(bytes) => crate::record::key::key_of(bytes),
            Prepared::Rewritten(bytes) => crate::record::key::key_of(bytes),
            Prepared::MissingId => None,
        }
    }
}

/// Validates `bytes` and brings them to the stored form.
pub(crate) fn prepare(bytes: &[u8], max_document_bytes: usize) -> Result<Prepared<'_>> {
    let shape = validate(bytes, max_document_bytes)?;
    let Some(id) = shape.id else { return Ok(Prepared::MissingId) };
    let first = id.key_at == shape.head_bytes && id.value_at == id.key_at + ID_FIELD.len();
    if first && is_plainly_shortest(&bytes[id.value_at..id.end]) {
        return Ok(Prepared::AsIs(bytes));
    }
    let mut key = Key::new();
    shortest_key(&bytes[id.value_at..id.end], &mut key)?;
    if first && *key == bytes[id.value_at..id.end] {
        return Ok(Prepared::AsIs(bytes));
    }
    Ok(Prepared::Rewritten(rewrite(bytes, shape, id, &key)?))
}

#[cfg(feature = "bindings")]
/// [`prepare`] for bytes of an encoder that makes only well-formed documents: mostly nothing but the `_id` is read.
pub(crate) fn prepare_well_formed(bytes: &[u8], max_document_bytes: usize) -> Result<Prepared<'_>> {
    let key = crate::record::key::key_of(bytes).filter(|key| is_plainly_shortest(key));
    if key.is_none() || bytes.len() > max_document_bytes {
        return prepare(bytes, max_document_bytes);
    }
    debug_assert!(matches!(prepare(bytes, max_document_bytes), Ok(Prepared::AsIs(_))), "a malformed document");
    Ok(Prepared::AsIs(bytes))
}

/// Whether `value` is one of the usual ids in shortest form: an integer from -32 on, or a string of at most 31
/// bytes. The others are compared with their shortest form.
#[inline]
fn is_plainly_shortest(value: &[u8]) -> bool {
    match *value {
        [0x00..=0x7f | 0xe0..=0xff | 0xa0..=0xbf, ..] => true,
        [0xcc, a] => a >= 0x80,
        [0xcd, a, _] => a != 0,
        [0xce, a, b, ..] => a | b != 0,
        [0xcf, a, b, c, d, ..] => a | b | c | d != 0,
        _ => false,
    }
}

/// Writes the key of the id that is encoded in `value` in any form.
pub(crate) fn shortest_key(value: &[u8], key: &mut impl Out) -> Result<()> {
    let mut reader = Reader::new(value);
    match reader.head()? {
        Head::Int(id) => msgpack::write_int(key, id),
        Head::UInt(id) => msgpack::write_uint(key, id),
        Head::String(len) => msgpack::write_str(key, reader.text(checked_len("string", len)?)?)?,
        Head::Binary(len) => msgpack::write_bin(key, reader.take(checked_len("binary", len)?)?)?,
        Head::Null => return Err(wrong_type("null")),
        Head::Bool(_) => return Err(wrong_type("a boolean")),
        Head::Float(_) => return Err(wrong_type("a float")),
        Head::Array(_) => return Err(wrong_type("an array")),
        Head::Map(_) => return Err(wrong_type("a map")),
        Head::Ext(msgpack::TIMESTAMP_EXT, _) => return Err(wrong_type("a timestamp")),
        Head::Ext(..) => return Err(wrong_type("an extension type")),
    }
    Ok(())
}

/// `len`, if an id may be that long.
pub(crate) fn checked_len(what: &str, len: usize) -> Result<usize> {
    if len > MAX_ID_BYTES {
        return Err(Error::InvalidId(format!("the {what} has {len} bytes")));
    }
    Ok(len)
}

#[cold]
fn wrong_type(what: &str) -> Error {
    Error::InvalidId(format!("it is {what}"))
}

fn rewrite(bytes: &[u8], shape: Shape, id: IdSpan, key: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    msgpack::write_map_head(&mut out, shape.fields)?;
    out.extend_from_slice(&ID_FIELD);
    out.extend_from_slice(key);
    out.extend_from_slice(&bytes[shape.head_bytes..id.key_at]);
    out.extend_from_slice(&bytes[id.end..]);
    Ok(out)
}

/// Appends to `out` the document `bytes` with the field `_id` in front, of which `key` is the key.
///
/// Requires: [`prepare`] said that `bytes` are well-formed and without `_id`.
pub(crate) fn with_key(bytes: &[u8], key: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut reader = Reader::new(bytes);
    let Head::Map(fields) = reader.head()? else {
        return Err(Error::MalformedDocument { offset: 0, reason: "the document is not a map" });
    };
    out.reserve(5 + ID_FIELD.len() + key.len() + bytes.len() - reader.at);
    msgpack::write_map_head(out, fields + 1)?;
    out.extend_from_slice(&ID_FIELD);
    out.extend_from_slice(key);
    out.extend_from_slice(&bytes[reader.at..]);
    Ok(())
}

/// [`with_key`] for an integer id.
pub(crate) fn with_integer_id(bytes: &[u8], id: u64, out: &mut Vec<u8>) -> Result<()> {
    let mut key = Key::new();
    msgpack::write_uint(&mut key, id);
    with_key(bytes, &key, out)
}
