//! Documents as bytes, read in place.
//!
//! ```text
//!   RawDocument  &[u8]:  83 | a3 _id 07 | a4 name a3 Ada | a4 tags 92 a1 x a1 y
//!                             get("name") ---------^  walks the fields before it, decodes none
//!                                          get_path("tags.1") ------------^
//! ```
//!
//! A [`RawDocument`] may come from the file, and a file may be damaged or made by an adversary with
//! correct checksums. So nothing here relies on the bytes being a document: every step checks its
//! bounds, text is checked when it is read, and a fault ends an iteration or gives `None` or an error.

use std::fmt;
use std::io;

use serde::Deserialize;

use super::canonical::shortest_key;
use super::msgpack::{Fault, Head, Reader, TIMESTAMP_EXT};
use super::validate::validate;
use super::{codec, from_msgpack, json, Document, Id, Key, Timestamp, Value};
use crate::error::Result;

/// A document in its MessagePack form, borrowed. `get`, `get_path` and `iter` read in place.
///
/// ```
/// use nyro::{RawDocumentBuf, RawValue};
/// let document = RawDocumentBuf::new(b"\x82\xa3_id\x07\xa4name\xa3Ada")?;
/// assert_eq!(document.get("name"), Some(RawValue::String("Ada")));
/// assert_eq!(document.id(), Some(7.into()));
/// # Ok::<(), nyro::Error>(())
/// ```
#[derive(PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct RawDocument {
    bytes: [u8],
}

/// An array in its MessagePack form, borrowed.
#[derive(PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct RawArray {
    bytes: [u8],
}

/// One value of a [`RawDocument`], borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RawValue<'a> {
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// A string.
    String(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// An array.
    Array(&'a RawArray),
    /// A map.
    Document(&'a RawDocument),
    /// A point in time.
    Timestamp(Timestamp),
    /// A MessagePack extension of another type: its code and its bytes.
    Ext(i8, &'a [u8]),
}

impl RawDocument {
    /// Takes bytes as a document without looking at them.
    #[inline]
    pub(crate) fn from_stored(bytes: &[u8]) -> &RawDocument {
        // SAFETY: `RawDocument` is a transparent wrapper of `[u8]` without further rules, so the reference
        // has the same layout and lifetime.
        unsafe { &*(std::ptr::from_ref(bytes) as *const RawDocument) }
    }

    /// Takes `bytes` as a document if they are well-formed MessagePack: a map with distinct string keys at
    /// every level.
    pub fn from_bytes(bytes: &[u8]) -> Result<&RawDocument> {
        validate(bytes, usize::MAX)?;
        Ok(RawDocument::from_stored(bytes))
    }

    /// Takes `bytes` as a document without looking at them, for a call that stores it: that one validates it, so
    /// nothing is done twice. Reading it is safe whatever the bytes are: what is malformed is not found.
    pub fn unvalidated(bytes: &[u8]) -> &RawDocument {
        RawDocument::from_stored(bytes)
    }

    /// The MessagePack bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The id, or `None` if the document has none that can be one.
    pub fn id(&self) -> Option<Id> {
        Id::from_key(&self.key()?)
    }

    /// The key of this document, in whatever form the id is written.
    pub(crate) fn key(&self) -> Option<Key> {
        let mut fields = self.iter();
        while let Some((name, value)) = fields.next_raw()? {
            if name == "_id" {
                let mut key = Key::new();
                shortest_key(value, &mut key).ok()?;
                return Some(key);
            }
        }
        None
    }

    /// The value of the field `name`, or `None` if there is no such field.
    #[inline]
    pub fn get(&self, name: &str) -> Option<RawValue<'_>> {
        let mut reader = Reader::new(&self.bytes);
        let Head::Map(fields) = reader.head().ok()? else { return None };
        for _ in 0..fields {
            let Head::String(len) = reader.head().ok()? else { return None };
            if reader.take(len).ok()? == name.as_bytes() {
                return read_value(&mut reader).ok();
            }
            reader.skip().ok()?;
        }
        None
    }

    /// The value at a path of field names and array positions with dots between them, such as `"address.lines.0"`.
    pub fn get_path(&self, path: &str) -> Option<RawValue<'_>> {
        let mut names = path.split('.');
        let mut value = self.get(names.next()?)?;
        for name in names {
            value = match value {
                RawValue::Document(document) => document.get(name)?,
                RawValue::Array(array) => array.get(name.parse().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// The fields in their order. It ends early where the bytes are damaged.
    pub fn iter(&self) -> RawFields<'_> {
        self.fields().unwrap_or(RawFields { reader: Reader::new(&[]), left: 0 })
    }

    /// [`RawDocument::iter`], or what is wrong with the head.
    pub(crate) fn fields(&self) -> Result<RawFields<'_>, Fault> {
        let mut reader = Reader::new(&self.bytes);
        match reader.head()? {
            Head::Map(left) => Ok(RawFields { reader, left }),
            _ => Err(Fault { offset: 0, reason: "the document is not a map" }),
        }
    }

    /// Decodes the document.
    pub fn to_document(&self) -> Result<Document> {
        codec::decode(&self.bytes)
    }

    /// Reads the document into a type of yours; it may borrow strings and bytes from the document.
    ///
    /// ```
    /// use serde::Deserialize;
    /// #[derive(Deserialize)]
    /// struct Person<'a> {
    ///     #[serde(rename = "_id")]
    ///     id: u64,
    ///     name: &'a str,
    /// }
    /// let document = nyro::RawDocumentBuf::new(b"\x82\xa3_id\x07\xa4name\xa3Ada")?;
    /// let person: Person = document.deserialize()?;
    /// assert_eq!((person.id, person.name), (7, "Ada"));
    /// # Ok::<(), nyro::Error>(())
    /// ```
    pub fn deserialize<'de, T: Deserialize<'de>>(&'de self) -> Result<T> {
        from_msgpack(&self.bytes)
    }

    /// The document as relaxed Extended JSON on one line.
    pub fn to_json(&self) -> Result<String> {
        json::raw_to_string(self, false)
    }

    /// The document as relaxed Extended JSON with one field on a line.
    pub fn to_json_pretty(&self) -> Result<String> {
        json::raw_to_string(self, true)
    }

    /// Writes the document as relaxed Extended JSON on one line, without decoding it as a whole.
    pub fn write_json(&self, out: &mut dyn io::Write) -> Result<()> {
        json::raw_to_writer(self, false, out)
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.iter().left
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl RawArray {
    fn from_stored(bytes: &[u8]) -> &RawArray {
        // SAFETY: as in `RawDocument::from_stored`.
        unsafe { &*(std::ptr::from_ref(bytes) as *const RawArray) }
    }

    /// The MessagePack bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The element at `index`.
    pub fn get(&self, index: usize) -> Option<RawValue<'_>> {
        let mut reader = Reader::new(&self.bytes);
        match reader.head().ok()? {
            Head::Array(count) if index < count => {}
            _ => return None,
        }
        for _ in 0..index {
            reader.skip().ok()?;
        }
        read_value(&mut reader).ok()
    }

    /// The elements in their order. It ends early where the bytes are damaged.
    pub fn iter(&self) -> RawElements<'_> {
        self.elements().unwrap_or(RawElements { reader: Reader::new(&[]), left: 0 })
    }

    /// [`RawArray::iter`], or what is wrong with the head.
    pub(crate) fn elements(&self) -> Result<RawElements<'_>, Fault> {
        let mut reader = Reader::new(&self.bytes);
        match reader.head()? {
            Head::Array(left) => Ok(RawElements { reader, left }),
            _ => Err(Fault { offset: 0, reason: "not an array" }),
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.iter().left
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads the next value in place; arrays and maps are passed over, not looked into.
#[inline]
fn read_value<'a>(reader: &mut Reader<'a>) -> Result<RawValue<'a>, Fault> {
    let start = reader.at;
    Ok(match reader.head()? {
        Head::Null => RawValue::Null,
        Head::Bool(value) => RawValue::Bool(value),
        Head::Int(value) => RawValue::Int(value),
        Head::UInt(value) => RawValue::UInt(value),
        Head::Float(value) => RawValue::Float(value),
        Head::String(len) => RawValue::String(reader.text(len)?),
        Head::Binary(len) => RawValue::Binary(reader.take(len)?),
        Head::Ext(code, len) => ext(code, reader.take(len)?),
        Head::Array(_) => RawValue::Array(RawArray::from_stored(whole(reader, start)?)),
        Head::Map(_) => RawValue::Document(RawDocument::from_stored(whole(reader, start)?)),
    })
}

/// The bytes of the value that starts at `start`; the position moves behind it.
fn whole<'a>(reader: &mut Reader<'a>, start: usize) -> Result<&'a [u8], Fault> {
    reader.at = start;
    reader.skip()?;
    let bytes = reader.bytes;
    Ok(&bytes[start..reader.at])
}

/// An extension as a value; a timestamp that is none stays an extension.
fn ext(code: i8, payload: &[u8]) -> RawValue<'_> {
    match Timestamp::from_ext(payload) {
        Some(timestamp) if code == TIMESTAMP_EXT => RawValue::Timestamp(timestamp),
        _ => RawValue::Ext(code, payload),
    }
}

/// The fields of a [`RawDocument`].
#[derive(Debug, Clone)]
pub struct RawFields<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> RawFields<'a> {
    /// The next field with the bytes of its value: the outer `None` is damage, the inner one the end.
    fn next_raw(&mut self) -> Option<Option<(&'a str, &'a [u8])>> {
        if self.left == 0 {
            return Some(None);
        }
        self.left -= 1;
        let name = self.reader.key().ok()?;
        let start = self.reader.at;
        let value = whole(&mut self.reader, start).ok()?;
        Some(Some((name, value)))
    }

    /// The next field, or the fault that stands in its place.
    pub(crate) fn try_next(&mut self) -> Result<Option<(&'a str, RawValue<'a>)>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let name = self.reader.key()?;
        Ok(Some((name, read_value(&mut self.reader)?)))
    }
}

impl<'a> Iterator for RawFields<'a> {
    type Item = (&'a str, RawValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.try_next();
        if field.is_err() {
            self.left = 0;
        }
        field.ok().flatten()
    }
}

/// The elements of a [`RawArray`].
#[derive(Debug, Clone)]
pub struct RawElements<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> RawElements<'a> {
    /// The next element, or the fault that stands in its place.
    pub(crate) fn try_next(&mut self) -> Result<Option<RawValue<'a>>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        read_value(&mut self.reader).map(Some)
    }
}

impl<'a> Iterator for RawElements<'a> {
    type Item = RawValue<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.try_next();
        if element.is_err() {
            self.left = 0;
        }
        element.ok().flatten()
    }
}

impl RawValue<'_> {
    /// Decodes the value.
    pub fn to_value(self) -> Result<Value> {
        Ok(match self {
            RawValue::Null => Value::Null,
            RawValue::Bool(value) => Value::Bool(value),
            RawValue::Int(value) => Value::Int(value),
            RawValue::UInt(value) => Value::UInt(value),
            RawValue::Float(value) => Value::Float(value),
            RawValue::String(value) => Value::String(value.to_owned()),
            RawValue::Binary(value) => Value::Binary(value.to_vec()),
            RawValue::Timestamp(value) => Value::Timestamp(value),
            RawValue::Ext(code, bytes) => Value::Ext(code, bytes.to_vec()),
            RawValue::Document(document) => Value::Document(document.to_document()?),
            RawValue::Array(array) => codec::decode_value(&mut Reader::new(&array.bytes), 1)?,
        })
    }
}

impl fmt::Display for RawDocument {
    /// Relaxed Extended JSON; `{:#}` puts one field on a line. Where the bytes are damaged, the text ends and says so.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(json::write_raw(self, f.alternate(), f), f)
    }
}

impl fmt::Debug for RawDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for RawArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(json::write_raw_array(self, f), f)
    }
}

fn display(written: Result<(), json::Stop>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match written {
        Ok(()) => Ok(()),
        Err(json::Stop::Out) => Err(fmt::Error),
        Err(json::Stop::Bytes(fault)) => write!(f, " <malformed: {}>", fault.reason),
    }
}

impl<'a> IntoIterator for &'a RawDocument {
    type Item = (&'a str, RawValue<'a>);
    type IntoIter = RawFields<'a>;

    fn into_iter(self) -> RawFields<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a RawArray {
    type Item = RawValue<'a>;
    type IntoIter = RawElements<'a>;

    fn into_iter(self) -> RawElements<'a> {
        self.iter()
    }
}

impl AsRef<RawDocument> for RawDocument {
    fn as_ref(&self) -> &RawDocument {
        self
    }
}
