//! Any `Serialize` type to MessagePack, as a document takes it.
//!
//! ```text
//!   struct, map          map, names as strings, in their order
//!   enum                 "Unit"   { "Newtype": value }   { "Tuple": [..] }   { "Struct": {..} }
//!   Option               null or the value
//!   serde bytes          binary
//!   newtype _ExtStruct   extension (code, bytes), as rmp-serde has it
//!   RawDocument          its bytes, copied
//! ```
//!
//! It is our own, and not rmp-serde's, for what has to be refused rather than stored as something else: a
//! 128-bit integer beyond 64 bits, a map key that is not a string, more than 100 levels. Levels are
//! counted on the way down, so recursion is bounded. Reading goes through rmp-serde.

use std::fmt;

use serde::ser::{self, Serialize};

use super::super::msgpack as wire;
use super::super::MAX_DOCUMENT_DEPTH;
use super::parts::{ExtSerializer, KeySerializer, RawSerializer};
use super::{EXT_STRUCT, RAW_STRUCT};
use crate::error::{Error, Result};

impl ser::Error for Error {
    fn custom<T: fmt::Display>(reason: T) -> Error {
        Error::Serialization(reason.to_string())
    }
}

/// Appends `value` as MessagePack to `out`; after an error `out` is as before.
pub(crate) fn to_msgpack<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let result = value.serialize(Serializer { out, level: 1 });
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Writes one value; an array or map is at level `level`.
struct Serializer<'o> {
    out: &'o mut Vec<u8>,
    level: u32,
}

#[cold]
pub(super) fn refused<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Serialization(what.into()))
}

impl<'o> Serializer<'o> {
    /// Opens an array or map of a promised number of children.
    fn open(self, kind: Kind, promised: usize) -> Result<Children<'o>> {
        if self.level > MAX_DOCUMENT_DEPTH {
            return Err(Error::DocumentTooDeep { limit: MAX_DOCUMENT_DEPTH });
        }
        let start = self.out.len();
        kind.write_head(self.out, promised)?;
        let body = self.out.len();
        Ok(Children { out: self.out, level: self.level + 1, kind, start, body, promised, count: 0 })
    }

    /// Opens the value of an enum variant: a map of one field.
    fn variant(self, variant: &'static str) -> Result<Serializer<'o>> {
        let Children { out, level, .. } = self.open(Kind::Map, 1)?;
        wire::write_str(out, variant)?;
        Ok(Serializer { out, level })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Array,
    Map,
}

impl Kind {
    fn write_head(self, out: &mut Vec<u8>, count: usize) -> Result<()> {
        match self {
            Kind::Array => wire::write_array_head(out, count),
            Kind::Map => wire::write_map_head(out, count),
        }
    }
}

/// An array or map that is being written. Its head is written for the promised number of children, and
/// again at the end if there were more or fewer.
struct Children<'o> {
    out: &'o mut Vec<u8>,
    level: u32,
    kind: Kind,
    start: usize,
    body: usize,
    promised: usize,
    count: usize,
}

impl Children<'_> {
    fn child<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.count += 1;
        value.serialize(Serializer { out: self.out, level: self.level })
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        wire::write_str(self.out, name)?;
        self.child(value)
    }

    fn close(self) -> Result<()> {
        if self.count != self.promised {
            let mut head = Vec::with_capacity(5);
            self.kind.write_head(&mut head, self.count)?;
            self.out.splice(self.start..self.body, head);
        }
        Ok(())
    }
}

impl<'o> ser::Serializer for Serializer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Children<'o>;
    type SerializeTuple = Children<'o>;
    type SerializeTupleStruct = Children<'o>;
    type SerializeTupleVariant = Children<'o>;
    type SerializeMap = Children<'o>;
    type SerializeStruct = Children<'o>;
    type SerializeStructVariant = Children<'o>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        wire::write_bool(self.out, value);
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<()> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i16(self, value: i16) -> Result<()> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i32(self, value: i32) -> Result<()> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i64(self, value: i64) -> Result<()> {
        wire::write_int(self.out, value);
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<()> {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.serialize_i64(value),
            (_, Ok(value)) => self.serialize_u64(value),
            _ => refused(format!("the integer {value} does not fit 64 bits")),
        }
    }

    fn serialize_u8(self, value: u8) -> Result<()> {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u16(self, value: u16) -> Result<()> {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u32(self, value: u32) -> Result<()> {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u64(self, value: u64) -> Result<()> {
        wire::write_uint(self.out, value);
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<()> {
        match u64::try_from(value) {
            Ok(value) => self.serialize_u64(value),
            Err(_) => refused(format!("the integer {value} does not fit 64 bits")),
        }
    }

    /// Kept as 32 bits: that is exact, and half the size.
    fn serialize_f32(self, value: f32) -> Result<()> {
        wire::write_float32(self.out, value);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        wire::write_float(self.out, value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        wire::write_str(self.out, value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        wire::write_str(self.out, value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        wire::write_bin(self.out, value)
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        wire::write_null(self.out);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<()> {
        match name {
            EXT_STRUCT => value.serialize(ExtSerializer::new(self.out)),
            RAW_STRUCT => value.serialize(RawSerializer::new(self.out)),
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self.variant(variant)?)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Children<'o>> {
        self.open(Kind::Array, len.unwrap_or(0))
    }

    fn serialize_tuple(self, len: usize) -> Result<Children<'o>> {
        self.open(Kind::Array, len)
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Children<'o>> {
        self.open(Kind::Array, len)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Children<'o>> {
        self.variant(variant)?.open(Kind::Array, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Children<'o>> {
        self.open(Kind::Map, len.unwrap_or(0))
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Children<'o>> {
        self.open(Kind::Map, len)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Children<'o>> {
        self.variant(variant)?.open(Kind::Map, len)
    }
}

macro_rules! elements {
    ($($of:ident $method:ident),*) => {
        $(impl ser::$of for Children<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.child(value)
            }

            fn end(self) -> Result<()> {
                self.close()
            }
        })*
    };
}

elements!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

macro_rules! named_fields {
    ($($of:ident),*) => {
        $(impl ser::$of for Children<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
                self.field(name, value)
            }

            fn end(self) -> Result<()> {
                self.close()
            }
        })*
    };
}

named_fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Children<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        key.serialize(KeySerializer::new(self.out))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.child(value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}
