//! Serde: types of a user to documents and back, and our own types in any format.
//!
//! ```text
//!   T: Serialize    -- ser.rs -->  MessagePack  -- rmp-serde -->  T: Deserialize
//!   Value, Document, Id, Timestamp, RawDocument    both ways in every self-describing format
//! ```
//!
//! In MessagePack, timestamps and other extensions are the newtype `_ExtStruct` around (code, bytes), the
//! convention of rmp-serde. In formats for people (`is_human_readable`) a timestamp is RFC 3339 text.

mod de;
mod parts;
mod ser;

use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::msgpack::{Fault, TIMESTAMP_EXT};
use super::{Document, Id, RawArray, RawDocument, RawDocumentBuf, RawValue, Timestamp, Value, MAX_DOCUMENT_DEPTH};
use crate::error::Error;

pub(crate) use de::from_msgpack;
pub(crate) use ser::to_msgpack;

/// Name of the newtype that stands for a MessagePack extension, the same as in rmp-serde.
const EXT_STRUCT: &str = "_ExtStruct";

/// Name of the newtype around the fields of a raw document.
const RAW_STRUCT: &str = "$nyro::RawDocument";

/// Bytes that serialize as bytes, not as a sequence.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

fn serialize_ext<S: Serializer>(code: i8, bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(EXT_STRUCT, &(code, Bytes(bytes)))
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let (payload, len) = self.to_ext();
        serialize_ext(TIMESTAMP_EXT, &payload[..len], serializer)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Id::Int(id) => serializer.serialize_i64(*id),
            Id::UInt(id) => serializer.serialize_u64(*id),
            Id::String(id) => serializer.serialize_str(id),
            Id::Bytes(id) => serializer.serialize_bytes(id),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::UInt(value) => serializer.serialize_u64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::String(value) => serializer.serialize_str(value),
            Value::Binary(value) => serializer.serialize_bytes(value),
            Value::Array(elements) => serializer.collect_seq(elements),
            Value::Document(document) => document.serialize(serializer),
            Value::Timestamp(value) => value.serialize(serializer),
            Value::Ext(code, bytes) => serialize_ext(*code, bytes, serializer),
        }
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl Serialize for RawValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            RawValue::Document(document) => document.serialize(serializer),
            RawValue::Array(array) => array.serialize(serializer),
            value => AtLevel(value, 1).serialize(serializer),
        }
    }
}

/// In NyroDB's own serializer the bytes as they are, also inside of other types; in others a map.
impl Serialize for RawDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RAW_STRUCT, &Whole(self.as_bytes(), RawValue::Document(self)))
    }
}

/// In NyroDB's own serializer the bytes as they are; in others a sequence.
impl Serialize for RawArray {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RAW_STRUCT, &Whole(self.as_bytes(), RawValue::Array(self)))
    }
}

impl Serialize for RawDocumentBuf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

/// A raw document or array inside the newtype that our own serializer knows.
struct Whole<'a>(&'a [u8], RawValue<'a>);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if parts::takes_raw_bytes(&serializer) {
            return serializer.serialize_bytes(self.0);
        }
        AtLevel(self.1, 1).serialize(serializer)
    }
}

/// A raw value and its level: other serializers do not bound the depth, and the bytes may be hostile.
struct AtLevel<'a>(RawValue<'a>, u32);

impl Serialize for AtLevel<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let AtLevel(value, level) = *self;
        match value {
            RawValue::Null => serializer.serialize_unit(),
            RawValue::Bool(value) => serializer.serialize_bool(value),
            RawValue::Int(value) => serializer.serialize_i64(value),
            RawValue::UInt(value) => serializer.serialize_u64(value),
            RawValue::Float(value) => serializer.serialize_f64(value),
            RawValue::String(value) => serializer.serialize_str(value),
            RawValue::Binary(value) => serializer.serialize_bytes(value),
            RawValue::Timestamp(value) => value.serialize(serializer),
            RawValue::Ext(code, bytes) => serialize_ext(code, bytes, serializer),
            RawValue::Array(_) | RawValue::Document(_) if level > MAX_DOCUMENT_DEPTH => {
                Err(S::Error::custom(Error::DocumentTooDeep { limit: MAX_DOCUMENT_DEPTH }))
            }
            RawValue::Array(array) => {
                let mut elements = array.elements().map_err(damaged)?;
                let mut seq = serializer.serialize_seq(Some(array.len()))?;
                while let Some(element) = elements.try_next().map_err(damaged)? {
                    seq.serialize_element(&AtLevel(element, level + 1))?;
                }
                seq.end()
            }
            RawValue::Document(document) => {
                let mut fields = document.fields().map_err(damaged)?;
                let mut map = serializer.serialize_map(Some(document.len()))?;
                while let Some((name, value)) = fields.try_next().map_err(damaged)? {
                    map.serialize_entry(name, &AtLevel(value, level + 1))?;
                }
                map.end()
            }
        }
    }
}

fn damaged<E: serde::ser::Error>(fault: Fault) -> E {
    E::custom(Error::from(fault))
}
