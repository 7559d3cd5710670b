//! A decoded document: fields in their order.
//!
//! ```text
//!   fields   [ ("_id", 7), ("name", "Ada"), ("tags", [..]) ]      order of insertion
//!   index    { "_id" -> 0, "name" -> 1, .. }                      only from INDEX_FROM fields on
//! ```
//!
//! Documents have few fields, and looking through a dozen short names is faster than hashing one. Larger
//! ones carry an index, so that building a document field by field never becomes quadratic.

use std::collections::HashMap;
use std::fmt;
use std::ops::Index;

use super::{codec, json, Id, RawDocument, Value};
use crate::error::Result;

/// From this many fields on, names are found through a hash table.
const INDEX_FROM: usize = 24;

/// A document: an ordered map from field names to [`Value`]s.
///
/// ```
/// use nyro::{doc, Document, Value};
/// let mut ada = doc! { "_id": 7, "name": "Ada", "tags": ["math", null, { "x": 1 }] };
/// ada.insert("born", 1815);
/// assert_eq!(ada["name"], Value::from("Ada"));
/// assert_eq!(ada.get("absent"), None);
/// let again = Document::from_json(&ada.to_json())?;
/// assert_eq!(again, ada);
/// # Ok::<(), nyro::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Document {
    fields: Vec<(String, Value)>,
    index: HashMap<String, usize>,
}

impl Document {
    /// A document without fields.
    pub fn new() -> Document {
        Document::default()
    }

    fn position(&self, name: &str) -> Option<usize> {
        if self.index.is_empty() {
            return self.fields.iter().position(|(other, _)| other == name);
        }
        self.index.get(name).copied()
    }

    fn build_index(&mut self) {
        self.index.clear();
        if self.fields.len() >= INDEX_FROM {
            // Backwards, so that of equal names (only bytes that were not validated have them) the first one counts.
            self.index = self.fields.iter().enumerate().rev().map(|(at, (name, _))| (name.clone(), at)).collect();
        }
    }

    /// Sets the field `name` and returns the value it had. A new field becomes the last one.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        if let Some(at) = self.position(&name) {
            return Some(std::mem::replace(&mut self.fields[at].1, value));
        }
        if !self.index.is_empty() {
            self.index.insert(name.clone(), self.fields.len());
        }
        self.fields.push((name, value));
        if self.fields.len() == INDEX_FROM {
            self.build_index();
        }
        None
    }

    /// Takes out the field `name`; the others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.position(name)?;
        let (_, value) = self.fields.remove(at);
        self.build_index();
        Some(value)
    }

    /// The value of the field `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).map(|at| &self.fields[at].1)
    }

    /// The value of the field `name`, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.position(name).map(|at| &mut self.fields[at].1)
    }

    /// The value at a path of field names and array positions with dots between them, such as `"address.lines.0"`.
    pub fn get_path(&self, path: &str) -> Option<&Value> {
        let mut names = path.split('.');
        let mut value = self.get(names.next()?)?;
        for name in names {
            value = match value {
                Value::Document(document) => document.get(name)?,
                Value::Array(elements) => elements.get(name.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// Whether there is a field `name`.
    pub fn contains_key(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// The field `_id`, if it is there and can be an id.
    pub fn id(&self) -> Option<Id> {
        match self.get("_id")? {
            Value::Int(id) => Some(Id::Int(*id)),
            Value::UInt(id) => Some(Id::from(*id)),
            Value::String(id) => Some(Id::String(id.clone())),
            Value::Binary(id) => Some(Id::Bytes(id.clone())),
            _ => None,
        }
    }

    /// The fields in their order.
    pub fn iter(&self) -> Fields<'_> {
        Fields { fields: self.fields.iter() }
    }

    /// The names of the fields in their order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// The values of the fields in their order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.fields.iter().map(|(_, value)| value)
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Decodes a document from MessagePack. It must be well-formed; see [`RawDocument::from_bytes`].
    pub fn from_msgpack(bytes: &[u8]) -> Result<Document> {
        codec::decode(RawDocument::from_bytes(bytes)?.as_bytes())
    }

    /// Encodes this document as MessagePack: integers, strings and extensions in their shortest form.
    pub fn to_msgpack(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(128);
        codec::encode(self, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads relaxed Extended JSON. The text must be one JSON object; a name that is in an object twice is an
    /// error, as are integers that 64 bits can't hold.
    ///
    /// ```
    /// use nyro::{doc, Document, Timestamp};
    /// let document = Document::from_json(r#"{ "n": 1, "f": 1.0, "at": { "$date": "1970-01-01T00:00:01Z" } }"#)?;
    /// assert_eq!(document, doc! { "n": 1, "f": 1.0, "at": Timestamp::from_millis(1000) });
    /// # Ok::<(), nyro::Error>(())
    /// ```
    pub fn from_json(text: &str) -> Result<Document> {
        json::parse_document(text)
    }

    /// This document as relaxed Extended JSON on one line.
    pub fn to_json(&self) -> String {
        json::document_to_string(self, false)
    }

    /// This document as relaxed Extended JSON with one field on a line.
    pub fn to_json_pretty(&self) -> String {
        json::document_to_string(self, true)
    }

    /// Makes a document of fields whose names are distinct.
    pub(crate) fn from_distinct(fields: Vec<(String, Value)>) -> Document {
        let mut document = Document { fields, index: HashMap::new() };
        document.build_index();
        document
    }
}

/// The fields of a [`Document`] in their order.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    fields: std::slice::Iter<'a, (String, Value)>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.fields.next().map(|(name, value)| (name.as_str(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.fields.size_hint()
    }
}

impl DoubleEndedIterator for Fields<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.fields.next_back().map(|(name, value)| (name.as_str(), value))
    }
}

impl ExactSizeIterator for Fields<'_> {}

impl<'a> IntoIterator for &'a Document {
    type Item = (&'a str, &'a Value);
    type IntoIter = Fields<'a>;

    fn into_iter(self) -> Fields<'a> {
        self.iter()
    }
}

impl IntoIterator for Document {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.into_iter()
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Document {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Document {
        let mut document = Document::new();
        document.extend(fields);
        document
    }
}

impl<N: Into<String>, V: Into<Value>> Extend<(N, V)> for Document {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, fields: I) {
        for (name, value) in fields {
            self.insert(name, value);
        }
    }
}

/// Equal when the same fields are there in the same order.
impl PartialEq for Document {
    fn eq(&self, other: &Document) -> bool {
        self.fields == other.fields
    }
}

/// Panics if the field is not there; [`Document::get`] does not.
impl Index<&str> for Document {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or_else(|| panic!("no field {name:?} in the document"))
    }
}

impl fmt::Display for Document {
    /// Relaxed Extended JSON; `{:#}` puts one field on a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json::write_document(self, f.alternate(), f)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
