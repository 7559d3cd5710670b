//! Decoded documents to MessagePack and back.
//!
//! Decoding reads bytes that need not be valid (they may come from the file): recursion ends at the deepest
//! level of a document, and space is taken for what was read, not for what a count promises.

use super::msgpack::{self, Fault, Head, Reader, TIMESTAMP_EXT, TOO_DEEP};
use super::{Document, Timestamp, Value, MAX_DOCUMENT_DEPTH};
use crate::error::{Error, Result};

/// Appends `document` to `out`.
pub(crate) fn encode(document: &Document, out: &mut Vec<u8>) -> Result<()> {
    encode_map(document, 1, out)
}

/// Appends `value` to `out`; an array or map is at level `level`.
pub(crate) fn encode_value(value: &Value, level: u32, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Null => msgpack::write_null(out),
        Value::Bool(value) => msgpack::write_bool(out, *value),
        Value::Int(value) => msgpack::write_int(out, *value),
        Value::UInt(value) => msgpack::write_uint(out, *value),
        Value::Float(value) => msgpack::write_float(out, *value),
        Value::String(value) => msgpack::write_str(out, value)?,
        Value::Binary(value) => msgpack::write_bin(out, value)?,
        Value::Timestamp(value) => value.write(out)?,
        Value::Ext(code, bytes) => msgpack::write_ext(out, *code, bytes)?,
        Value::Document(document) => encode_map(document, level, out)?,
        Value::Array(elements) => {
            check_level(level)?;
            msgpack::write_array_head(out, elements.len())?;
            for element in elements {
                encode_value(element, level + 1, out)?;
            }
        }
    }
    Ok(())
}

fn encode_map(document: &Document, level: u32, out: &mut Vec<u8>) -> Result<()> {
    check_level(level)?;
    msgpack::write_map_head(out, document.len())?;
    for (name, value) in document {
        msgpack::write_str(out, name)?;
        encode_value(value, level + 1, out)?;
    }
    Ok(())
}

fn check_level(level: u32) -> Result<()> {
    if level > MAX_DOCUMENT_DEPTH {
        return Err(Error::DocumentTooDeep { limit: MAX_DOCUMENT_DEPTH });
    }
    Ok(())
}

/// Decodes one document; `bytes` may be anything.
pub(crate) fn decode(bytes: &[u8]) -> Result<Document> {
    let mut reader = Reader::new(bytes);
    let Head::Map(fields) = reader.head()? else {
        return Err(Fault { offset: 0, reason: "the document is not a map" }.into());
    };
    Ok(decode_map(&mut reader, fields, 1)?)
}

/// Decodes the next value; an array or map is at level `level`.
pub(crate) fn decode_value(reader: &mut Reader<'_>, level: u32) -> Result<Value, Fault> {
    Ok(match reader.head()? {
        Head::Null => Value::Null,
        Head::Bool(value) => Value::Bool(value),
        Head::Int(value) => Value::Int(value),
        Head::UInt(value) => Value::UInt(value),
        Head::Float(value) => Value::Float(value),
        Head::String(len) => Value::String(reader.text(len)?.to_owned()),
        Head::Binary(len) => Value::Binary(reader.take(len)?.to_vec()),
        Head::Ext(code, len) => {
            let payload = reader.take(len)?;
            match Timestamp::from_ext(payload) {
                Some(timestamp) if code == TIMESTAMP_EXT => Value::Timestamp(timestamp),
                _ => Value::Ext(code, payload.to_vec()),
            }
        }
        Head::Array(count) => Value::Array(decode_array(reader, count, level)?),
        Head::Map(count) => Value::Document(decode_map(reader, count, level)?),
    })
}

fn decode_array(reader: &mut Reader<'_>, count: usize, level: u32) -> Result<Vec<Value>, Fault> {
    if level > MAX_DOCUMENT_DEPTH {
        return Err(Fault { offset: reader.at, reason: TOO_DEEP });
    }
    let mut elements = Vec::with_capacity(count.min(CAPACITY));
    for _ in 0..count {
        elements.push(decode_value(reader, level + 1)?);
    }
    Ok(elements)
}

fn decode_map(reader: &mut Reader<'_>, count: usize, level: u32) -> Result<Document, Fault> {
    if level > MAX_DOCUMENT_DEPTH {
        return Err(Fault { offset: reader.at, reason: TOO_DEEP });
    }
    let mut fields = Vec::with_capacity(count.min(CAPACITY));
    for _ in 0..count {
        let name = reader.key()?.to_owned();
        fields.push((name, decode_value(reader, level + 1)?));
    }
    Ok(Document::from_distinct(fields))
}

/// The most elements or fields to take space for before they were read.
const CAPACITY: usize = 64;
