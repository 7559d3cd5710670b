//! Reading: MessagePack into any `Deserialize` type, and our types out of any self-describing format.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};

use super::super::msgpack::TIMESTAMP_EXT;
use super::super::{Document, Id, RawDocumentBuf, Timestamp, Value, MAX_DOCUMENT_DEPTH};
use super::EXT_STRUCT;
use crate::error::{Error, Result};

/// Reads a `T` from MessagePack, which may be anything: lengths are checked and the depth is bounded.
pub(crate) fn from_msgpack<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    // One more for the extension inside the deepest array, and it stops at zero, not below.
    deserializer.set_max_depth(MAX_DOCUMENT_DEPTH as usize + 2);
    T::deserialize(&mut deserializer).map_err(|error| match error {
        rmp_serde::decode::Error::DepthLimitExceeded => Error::DocumentTooDeep { limit: MAX_DOCUMENT_DEPTH },
        other => Error::Serialization(other.to_string()),
    })
}

/// Bytes, from bytes.
struct ByteBuf(Vec<u8>);

impl<'de> Deserialize<'de> for ByteBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = ByteBuf;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<ByteBuf, E> {
                Ok(ByteBuf(bytes.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<ByteBuf, E> {
                Ok(ByteBuf(bytes))
            }
        }
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

/// Reads the inside of an extension.
fn deserialize_ext<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let (code, ByteBuf(bytes)) = <(i8, ByteBuf)>::deserialize(deserializer)?;
    Ok(match Timestamp::from_ext(&bytes) {
        Some(timestamp) if code == TIMESTAMP_EXT => Value::Timestamp(timestamp),
        _ => Value::Ext(code, bytes),
    })
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a document")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Binary(value.to_vec()))
    }

    fn visit_byte_buf<E: de::Error>(self, value: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Binary(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Value, A::Error> {
        DocumentVisitor.visit_map(fields).map(Value::Document)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserialize_ext(deserializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with string keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Document, A::Error> {
        let mut document = Document::new();
        while let Some((name, value)) = fields.next_entry::<String, Value>()? {
            if document.contains_key(&name) {
                return Err(A::Error::custom(format!("the key {name:?} is in the map twice")));
            }
            document.insert(name, value);
        }
        Ok(document)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

/// Reads any map, and encodes it.
impl<'de> Deserialize<'de> for RawDocumentBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawDocumentBuf, D::Error> {
        let bytes = Document::deserialize(deserializer)?.to_msgpack().map_err(D::Error::custom)?;
        Ok(RawDocumentBuf::from_stored(bytes))
    }
}

struct TimestampVisitor;

impl<'de> Visitor<'de> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        Timestamp::parse(text).map_err(|reason| E::custom(format!("timestamp {text:?}: {reason}")))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Timestamp, D::Error> {
        match deserialize_ext(deserializer)? {
            Value::Timestamp(timestamp) => Ok(timestamp),
            _ => Err(D::Error::invalid_type(Unexpected::Other("an extension of another type"), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        // What serde buffered (for a flattened struct or an untagged enum) calls itself human-readable and
        // still holds the extension, so this asks what is there.
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(TimestampVisitor);
        }
        deserializer.deserialize_newtype_struct(EXT_STRUCT, TimestampVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id: an integer, a string or bytes")
    }

    fn visit_i64<E: de::Error>(self, id: i64) -> Result<Id, E> {
        Ok(Id::Int(id))
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<Id, E> {
        Ok(Id::from(id))
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<Id, E> {
        Ok(Id::from(id))
    }

    fn visit_string<E: de::Error>(self, id: String) -> Result<Id, E> {
        Ok(Id::String(id))
    }

    fn visit_bytes<E: de::Error>(self, id: &[u8]) -> Result<Id, E> {
        Ok(Id::from(id))
    }

    fn visit_byte_buf<E: de::Error>(self, id: Vec<u8>) -> Result<Id, E> {
        Ok(Id::Bytes(id))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}
