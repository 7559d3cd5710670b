//! Ids, as one MessagePack value or as JSON text.
//!
//! The engine reads ids where they stand in a document, so an id alone is read as the only field of one.

use nyro::{Document, Error, Id, RawDocument, Result};

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
    let mut out = Vec::new();
    append(&mut out, id)?;
    Ok(out)
}

/// Writes the id behind what is in `out`.
fn append(out: &mut Vec<u8>, id: &Id) -> Result<()> {
    match id {
        Id::Int(n) => match u64::try_from(*n) {
            Ok(n) => append_uint(out, n),
            Err(_) => append_negative(out, *n),
        },
        Id::UInt(n) => append_uint(out, *n),
        Id::String(text) => {
            match text.len() {
                bytes @ 0..=31 => out.push(0xa0 | bytes as u8),
                bytes => append_length(out, 0xd9, bytes)?,
            }
            out.extend_from_slice(text.as_bytes());
        }
        Id::Bytes(bytes) => {
            append_length(out, 0xc4, bytes.len())?;
            out.extend_from_slice(bytes);
        }
    }
    Ok(())
}

/// A length of one byte behind `code`, or of two behind the code that follows it: no id is longer.
fn append_length(out: &mut Vec<u8>, code: u8, bytes: usize) -> Result<()> {
    match u8::try_from(bytes) {
        Ok(short) => out.extend_from_slice(&[code, short]),
        Err(_) => {
            let bytes = u16::try_from(bytes).map_err(|_| not_an_id())?;
            out.push(code + 1);
            out.extend_from_slice(&bytes.to_be_bytes());
        }
    }
    Ok(())
}

fn append_uint(out: &mut Vec<u8>, n: u64) {
    let bytes = n.to_be_bytes();
    let (code, from) = match n {
        0..=0x7f => return out.push(n as u8),
        0x80..=0xff => (0xcc, 7),
        0x100..=0xffff => (0xcd, 6),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        _ => (0xcf, 0),
    };
    out.push(code);
    out.extend_from_slice(&bytes[from..]);
}

fn append_negative(out: &mut Vec<u8>, n: i64) {
    let bytes = n.to_be_bytes();
    let (code, from) = match n {
        -32.. => return out.push(n as u8),
        -0x80.. => (0xd0, 7),
        -0x8000.. => (0xd1, 6),
        -0x8000_0000.. => (0xd2, 4),
        _ => (0xd3, 0),
    };
    out.push(code);
    out.extend_from_slice(&bytes[from..]);
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
        append(&mut out, id)?;
    }
    Ok(out)
}

fn not_an_id() -> Error {
    Error::InvalidId("the value is none of integer, string and binary, or it is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nyro::Value;

    /// What the engine's own encoder writes.
    fn by_the_engine(id: &Id) -> Vec<u8> {
        let value = match id {
            Id::Int(n) => Value::Int(*n),
            Id::UInt(n) => Value::UInt(*n),
            Id::String(text) => Value::String(text.clone()),
            Id::Bytes(bytes) => Value::Binary(bytes.clone()),
        };
        let mut document = Document::new();
        document.insert("_id", value);
        document.to_msgpack().expect("encodes").split_off(HEAD.len())
    }

    #[test]
    fn ids_have_the_form_that_the_engine_gives_them() {
        let edges = (0..63).map(|bit| 1_i64 << bit).flat_map(|n| [n - 1, n, -n, -n - 1]);
        let integers = edges.chain([i64::MIN, i64::MAX, -31, -32, -33]).map(Id::Int);
        let large = [1 << 63, u64::MAX].map(Id::UInt);
        let lengths = [0, 1, 31, 32, 255, 256, 1024];
        let texts = lengths.map(|bytes| Id::String("x".repeat(bytes)));
        let binaries = lengths.map(|bytes| Id::Bytes(vec![7; bytes]));
        for id in integers.chain(large).chain(texts).chain(binaries) {
            assert_eq!(to_msgpack(&id).expect("encodes"), by_the_engine(&id), "{id:?}");
        }
    }
}
