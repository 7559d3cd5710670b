//! Ids, as one MessagePack value or as JSON text.
//!
//! The engine reads ids where they stand in a document, so an id alone is read as the only field of one.

use nyro::{Document, Error, Id, RawDocument, Result, Value};

/// Head of a document whose only field is `_id`.
const HEAD: &[u8] = b"\x81\xa3_id";

/// The id in one MessagePack value of any width.
pub fn from_msgpack(id: &[u8]) -> Result<Id> {
    let document = [HEAD, id].concat();
    RawDocument::from_bytes(&document)?.id().ok_or_else(not_an_id)
}

/// The id in JSON text: `42`, `"ada"`, `{"$binary": ..}`.
pub fn from_json(id: &str) -> Result<Id> {
    let document = Document::from_json(&format!("{{\"_id\":{id}}}"))?;
    document.id().filter(|_| document.len() == 1).ok_or_else(not_an_id)
}

/// The id as one MessagePack value in its shortest form.
pub fn to_msgpack(id: &Id) -> Result<Vec<u8>> {
    let value = match id {
        Id::Int(n) => Value::Int(*n),
        Id::UInt(n) => Value::UInt(*n),
        Id::String(text) => Value::String(text.clone()),
        Id::Bytes(bytes) => Value::Binary(bytes.clone()),
    };
    let mut document = Document::new();
    document.insert("_id", value);
    Ok(document.to_msgpack()?.split_off(HEAD.len()))
}

/// Ids as one MessagePack array.
pub fn array_to_msgpack(ids: &[Id]) -> Result<Vec<u8>> {
    let count = u32::try_from(ids.len()).map_err(|_| Error::InvalidArgument("more than 2^32 ids".to_owned()))?;
    let mut out = Vec::with_capacity(5 + ids.len() * 5);
    match count {
        0..=15 => out.push(0x90 | count as u8),
        16..=0xffff => {
            out.push(0xdc);
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdd);
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
    for id in ids {
        out.extend_from_slice(&to_msgpack(id)?);
    }
    Ok(out)
}

fn not_an_id() -> Error {
    Error::InvalidId("the value is none of integer, string and binary, or it is too long".to_owned())
}
