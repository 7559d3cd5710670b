//! The id of a document, and its key.
//!
//! ```text
//!   Id::Int(7)            key  07
//!   Id::Int(-40)          key  d0 d8
//!   Id::UInt(2^63)        key  cf 80 00 00 00 00 00 00 00
//!   Id::String("ab")      key  a2 61 62
//!   Id::Bytes([1, 2])     key  c4 02 01 02
//! ```
//!
//! The key is the shortest MessagePack form of the id. Equal ids have equal keys and unequal ids unequal
//! ones, so the engine looks up bytes and never decodes an id.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use super::canonical::checked_len;
use super::msgpack::{self, Head, Out, Reader};
use crate::error::Result;
use crate::record::key::MAX_KEY_BYTES;

/// The value of the field `_id`: an integer from -2^63 to 2^64-1, or a string or binary of at most 1 024 bytes.
///
/// Ids are equal when they are the same number, the same string or the same bytes; a string and equal
/// bytes differ. They order as values do: integers, strings, binaries.
///
/// ```
/// use nyro::Id;
/// assert_eq!(Id::from(7_u8), Id::from(7_i64));
/// assert_ne!(Id::from("7"), Id::from(b"7"));
/// assert!(Id::from(u64::MAX) < Id::from("a"));
/// assert_eq!(Id::from("Ada").to_string(), "\"Ada\"");
/// ```
#[derive(Clone)]
pub enum Id {
    /// An integer.
    Int(i64),
    /// An integer above `i64::MAX`; conversions give smaller ones as [`Id::Int`].
    UInt(u64),
    /// A string.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Id {
    /// The key of this id, or an error if it is too long to be one.
    #[inline]
    pub(crate) fn key(&self) -> Result<Key> {
        match self.natural() {
            Some(id) => Ok(Key::integer(id)),
            None => self.long_key(),
        }
    }

    /// Its value, if it is a non-negative integer.
    #[inline]
    pub(crate) fn natural(&self) -> Option<u64> {
        match self {
            Id::Int(id) => u64::try_from(*id).ok(),
            Id::UInt(id) => Some(*id),
            _ => None,
        }
    }

    #[cold]
    fn long_key(&self) -> Result<Key> {
        let mut key = Key::new();
        match self {
            Id::Int(id) => msgpack::write_int(&mut key, *id),
            Id::UInt(id) => msgpack::write_uint(&mut key, *id),
            Id::String(id) => {
                checked_len("string", id.len())?;
                msgpack::write_str(&mut key, id)?;
            }
            Id::Bytes(id) => {
                checked_len("binary", id.len())?;
                msgpack::write_bin(&mut key, id)?;
            }
        }
        Ok(key)
    }

    /// The id that a key stands for; `None` if the bytes are not one whole key.
    pub(crate) fn from_key(key: &[u8]) -> Option<Id> {
        if key.len() > MAX_KEY_BYTES {
            return None;
        }
        let mut reader = Reader::new(key);
        let id = match reader.head().ok()? {
            Head::Int(id) => Id::Int(id),
            Head::UInt(id) => Id::UInt(id),
            Head::String(len) => Id::String(reader.text(len).ok()?.to_owned()),
            Head::Binary(len) => Id::Bytes(reader.take(len).ok()?.to_vec()),
            _ => return None,
        };
        (reader.at == key.len()).then_some(id)
    }

    fn number(&self) -> Option<i128> {
        match self {
            Id::Int(id) => Some(i128::from(*id)),
            Id::UInt(id) => Some(i128::from(*id)),
            Id::String(_) | Id::Bytes(_) => None,
        }
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Id) -> Ordering {
        match (self, other) {
            (Id::String(a), Id::String(b)) => a.cmp(b),
            // As values: the shorter binary is the smaller one.
            (Id::Bytes(a), Id::Bytes(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
            (Id::Bytes(_), _) | (Id::String(_), Id::Int(_) | Id::UInt(_)) => Ordering::Greater,
            (_, Id::Bytes(_)) | (Id::Int(_) | Id::UInt(_), Id::String(_)) => Ordering::Less,
            _ => self.number().cmp(&other.number()),
        }
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Id) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Id) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Id::String(id) => id.hash(state),
            Id::Bytes(id) => id.hash(state),
            Id::Int(_) | Id::UInt(_) => self.number().hash(state),
        }
    }
}

impl fmt::Display for Id {
    /// As JSON: a number, a string in quotes, or `{"$binary": ..}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::json::write_id(self, f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! id_from_integer {
    ($($small:ty)*; $($wide:ty)*) => {
        $(impl From<$small> for Id {
            #[inline]
            fn from(id: $small) -> Id {
                Id::Int(i64::from(id))
            }
        })*
        $(impl From<$wide> for Id {
            #[inline]
            fn from(id: $wide) -> Id {
                i64::try_from(id).map_or(Id::UInt(id as u64), Id::Int)
            }
        })*
    };
}

id_from_integer!(i8 i16 i32 i64 u8 u16 u32; isize u64 usize);

impl From<&str> for Id {
    fn from(id: &str) -> Id {
        Id::String(id.to_owned())
    }
}

impl From<String> for Id {
    fn from(id: String) -> Id {
        Id::String(id)
    }
}

impl From<&String> for Id {
    fn from(id: &String) -> Id {
        Id::String(id.clone())
    }
}

impl From<&[u8]> for Id {
    fn from(id: &[u8]) -> Id {
        Id::Bytes(id.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Id {
    fn from(id: &[u8; N]) -> Id {
        Id::Bytes(id.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Id {
    fn from(id: [u8; N]) -> Id {
        Id::Bytes(id.to_vec())
    }
}

impl From<Vec<u8>> for Id {
    fn from(id: Vec<u8>) -> Id {
        Id::Bytes(id)
    }
}

impl From<&Id> for Id {
    fn from(id: &Id) -> Id {
        id.clone()
    }
}

/// Bytes up to this length stand in a [`Key`] itself: a UUID as text with its head just fits.
const INLINE_BYTES: usize = 38;

/// The key of a document: its id in the shortest MessagePack form. Short ones need no heap.
#[derive(Clone)]
pub(crate) enum Key {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Vec<u8>),
}

impl Key {
    /// The empty key, to be written to.
    pub(crate) fn new() -> Key {
        Key::Inline { len: 0, bytes: [0; INLINE_BYTES] }
    }

    /// The key of a non-negative integer.
    #[inline]
    pub(crate) fn integer(id: u64) -> Key {
        let mut bytes = [0; INLINE_BYTES];
        let len = match id {
            0..=0x7f => {
                bytes[0] = id as u8;
                1
            }
            0x80..=0xff => {
                bytes[..2].copy_from_slice(&[0xcc, id as u8]);
                2
            }
            0x100..=0xffff => {
                bytes[0] = 0xcd;
                bytes[1..3].copy_from_slice(&(id as u16).to_be_bytes());
                3
            }
            0x1_0000..=0xffff_ffff => {
                bytes[0] = 0xce;
                bytes[1..5].copy_from_slice(&(id as u32).to_be_bytes());
                5
            }
            _ => {
                bytes[0] = 0xcf;
                bytes[1..9].copy_from_slice(&id.to_be_bytes());
                9
            }
        };
        Key::Inline { len, bytes }
    }

    /// Copies a key. The bytes are not looked at.
    #[cfg(test)]
    pub(crate) fn from_slice(key: &[u8]) -> Key {
        let mut copy = Key::new();
        copy.put(key);
        copy
    }
}

impl Out for Key {
    #[inline]
    fn put(&mut self, more: &[u8]) {
        match self {
            Key::Heap(bytes) => bytes.extend_from_slice(more),
            Key::Inline { len, bytes } => {
                let (from, to) = (usize::from(*len), usize::from(*len) + more.len());
                if let Some(free) = bytes.get_mut(from..to) {
                    free.copy_from_slice(more);
                    *len = to as u8;
                } else {
                    *self = Key::Heap([&bytes[..from], more].concat());
                }
            }
        }
    }
}

impl Deref for Key {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            // Never more than there are: `put` checks.
            Key::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Key::Heap(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        **self == **other
    }
}

impl Eq for Key {}

/// By bytes, which is not the order of the ids.
impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As the bytes hash, so that a table of keys can be asked with a slice.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Id::from_key(self) {
            Some(id) => write!(f, "Key({id})"),
            None => write!(f, "Key({:02x?})", &**self),
        }
    }
}
