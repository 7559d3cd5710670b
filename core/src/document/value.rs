//! A value of a document, decoded.

use std::fmt;

use super::{json, Document, Id, Timestamp};
use crate::error::Result;

/// Any value of a document.
///
/// Two values are equal when they have the same type and content: `Int(1)` and `Float(1.0)` differ, and NaN
/// differs from itself. [`compare`](crate::compare) orders values of all types, numbers by their value.
///
/// ```
/// use nyro::{doc, Value};
/// assert_eq!(Value::from(7_u8), Value::Int(7));
/// assert_eq!(Value::from(vec!["a", "b"]), doc! { "x": ["a", "b"] }["x"]);
/// ```
#[derive(Clone, PartialEq, Default)]
pub enum Value {
    /// Null.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer above `i64::MAX`; conversions give smaller ones as [`Value::Int`].
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// A string.
    String(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// An array.
    Array(Vec<Value>),
    /// A map with string keys.
    Document(Document),
    /// A point in time.
    Timestamp(Timestamp),
    /// A MessagePack extension of another type: its code and its bytes.
    Ext(i8, Vec<u8>),
}

impl Value {
    /// The integer, if it is one that an `i64` holds.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            Value::UInt(value) => i64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The integer, if it is one that a `u64` holds.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Int(value) => u64::try_from(*value).ok(),
            Value::UInt(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, integers rounded to the nearest float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::UInt(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(value) => Some(value),
            _ => None,
        }
    }

    /// The bytes of a binary.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Binary(value) => Some(value),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(value) => Some(value),
            _ => None,
        }
    }

    /// The map.
    pub fn as_document(&self) -> Option<&Document> {
        match self {
            Value::Document(value) => Some(value),
            _ => None,
        }
    }

    /// The point in time.
    pub fn as_timestamp(&self) -> Option<Timestamp> {
        match self {
            Value::Timestamp(value) => Some(*value),
            _ => None,
        }
    }

    /// Reads one value of relaxed Extended JSON; see [`Document::from_json`].
    pub fn from_json(text: &str) -> Result<Value> {
        json::parse_value(text)
    }

    /// This value as relaxed Extended JSON on one line.
    pub fn to_json(&self) -> String {
        self.to_string()
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

impl fmt::Display for Value {
    /// Relaxed Extended JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json::write_value(self, f)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! value_from {
    ($($from:ty => |$value:ident| $to:expr;)*) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Value {
                $to
            }
        })*
    };
}

value_from! {
    () => |_none| Value::Null;
    bool => |value| Value::Bool(value);
    i8 => |value| Value::Int(i64::from(value));
    i16 => |value| Value::Int(i64::from(value));
    i32 => |value| Value::Int(i64::from(value));
    i64 => |value| Value::Int(value);
    isize => |value| Value::Int(value as i64);
    u8 => |value| Value::Int(i64::from(value));
    u16 => |value| Value::Int(i64::from(value));
    u32 => |value| Value::Int(i64::from(value));
    u64 => |value| i64::try_from(value).map_or(Value::UInt(value), Value::Int);
    usize => |value| Value::from(value as u64);
    f32 => |value| Value::Float(f64::from(value));
    f64 => |value| Value::Float(value);
    char => |value| Value::String(value.into());
    &str => |value| Value::String(value.to_owned());
    String => |value| Value::String(value);
    &String => |value| Value::String(value.clone());
    std::borrow::Cow<'_, str> => |value| Value::String(value.into_owned());
    &[u8] => |value| Value::Binary(value.to_vec());
    Document => |value| Value::Document(value);
    &Document => |value| Value::Document(value.clone());
    Timestamp => |value| Value::Timestamp(value);
    std::time::SystemTime => |value| Value::Timestamp(value.into());
    &Value => |value| value.clone();
    Id => |value| match value {
        Id::Int(id) => Value::Int(id),
        Id::UInt(id) => Value::from(id),
        Id::String(id) => Value::String(id),
        Id::Bytes(id) => Value::Binary(id),
    };
    &Id => |value| Value::from(value.clone());
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Value {
        Value::Binary(value.to_vec())
    }
}

/// An array; bytes become a binary through `&[u8]` or [`Value::Binary`].
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Value {
        Value::Array(elements.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(elements: [T; N]) -> Value {
        Value::Array(elements.into_iter().map(Into::into).collect())
    }
}

/// `None` becomes null.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Value {
        Value::Array(elements.into_iter().map(Into::into).collect())
    }
}
