//! Serializers for the places where few types may stand: a map key, an extension, a raw document.

use std::cell::Cell;

use serde::ser::{self, Impossible, Serialize};

use super::super::msgpack as wire;
use super::ser::refused;
use crate::error::{Error, Result};

/// The methods of a serializer that takes few types: all others are refused.
macro_rules! refuse {
    ($reason:expr; $($method:ident($($argument:ty),*))*) => {
        type Ok = ();
        type Error = Error;
        type SerializeSeq = Impossible<(), Error>;
        type SerializeTupleStruct = Impossible<(), Error>;
        type SerializeTupleVariant = Impossible<(), Error>;
        type SerializeMap = Impossible<(), Error>;
        type SerializeStruct = Impossible<(), Error>;
        type SerializeStructVariant = Impossible<(), Error>;

        $(fn $method(self, $(_: $argument),*) -> Result<()> {
            refused($reason)
        })*

        fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<()> {
            refused($reason)
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<()> {
            refused($reason)
        }

        fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq> {
            refused($reason)
        }

        fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct> {
            refused($reason)
        }

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant> {
            refused($reason)
        }

        fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap> {
            refused($reason)
        }

        fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct> {
            refused($reason)
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant> {
            refused($reason)
        }
    };
}

/// Writes the key of a map.
pub(super) struct KeySerializer<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> KeySerializer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        KeySerializer { out }
    }
}

impl ser::Serializer for KeySerializer<'_> {
    type SerializeTuple = Impossible<(), Error>;

    refuse! {
        "a map key is not a string";
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64) serialize_bytes(&[u8]) serialize_none() serialize_unit()
        serialize_unit_struct(&'static str)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        wire::write_str(self.out, value)
    }

    fn serialize_char(self, value: char) -> Result<()> {
        wire::write_str(self.out, value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        wire::write_str(self.out, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        refused("a map key is not a string")
    }
}

/// Writes an extension from a tuple of its code and its bytes. The same type takes the tuple and both parts.
pub(super) struct ExtSerializer<'o> {
    out: &'o mut Vec<u8>,
    code: Option<i8>,
}

impl<'o> ExtSerializer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        ExtSerializer { out, code: None }
    }
}

const NOT_EXT: &str = "an extension is a tuple of an i8 and bytes";

impl<'o> ser::Serializer for ExtSerializer<'o> {
    type SerializeTuple = ExtSerializer<'o>;

    refuse! {
        NOT_EXT;
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64) serialize_none() serialize_unit() serialize_unit_struct(&'static str)
        serialize_str(&str) serialize_char(char) serialize_unit_variant(&'static str, u32, &'static str)
        serialize_bytes(&[u8])
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<()> {
        refused(NOT_EXT)
    }

    fn serialize_tuple(self, _: usize) -> Result<ExtSerializer<'o>> {
        Ok(self)
    }
}

impl ser::SerializeTuple for ExtSerializer<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(ExtPart { ext: self })
    }

    fn end(self) -> Result<()> {
        // The code is taken when the bytes are written.
        if self.code.is_some() {
            return refused(NOT_EXT);
        }
        Ok(())
    }
}

struct ExtPart<'e, 'o> {
    ext: &'e mut ExtSerializer<'o>,
}

impl ser::Serializer for ExtPart<'_, '_> {
    type SerializeTuple = Impossible<(), Error>;

    refuse! {
        NOT_EXT;
        serialize_bool(bool) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64) serialize_none() serialize_unit() serialize_unit_struct(&'static str)
        serialize_str(&str) serialize_char(char) serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_i8(self, code: i8) -> Result<()> {
        self.ext.code = Some(code);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        match self.ext.code.take() {
            Some(code) => wire::write_ext(self.ext.out, code, bytes),
            None => refused(NOT_EXT),
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        refused(NOT_EXT)
    }
}

/// Takes the bytes of a raw document as they are.
///
/// A raw document has to find out that this serializer, and no other, is asking: to others it gives a map. It
/// asks twice whether the format is human-readable, and only this one gives two different answers.
pub(super) struct RawSerializer<'o> {
    out: &'o mut Vec<u8>,
    asked: Cell<bool>,
}

impl<'o> RawSerializer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        RawSerializer { out, asked: Cell::new(false) }
    }
}

/// Whether `serializer` takes the bytes of a raw document.
pub(super) fn takes_raw_bytes<S: ser::Serializer>(serializer: &S) -> bool {
    let (first, second) = (serializer.is_human_readable(), serializer.is_human_readable());
    first != second
}

impl ser::Serializer for RawSerializer<'_> {
    type SerializeTuple = Impossible<(), Error>;

    refuse! {
        NOT_RAW;
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64) serialize_none() serialize_unit() serialize_unit_struct(&'static str)
        serialize_str(&str) serialize_char(char) serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn is_human_readable(&self) -> bool {
        self.asked.replace(!self.asked.get())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<()> {
        refused(NOT_RAW)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        refused(NOT_RAW)
    }
}

const NOT_RAW: &str = "only a raw document has this type";
