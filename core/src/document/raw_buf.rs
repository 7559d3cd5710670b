//! A document as bytes, owned.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use serde::Serialize;

use super::validate::validate;
use super::{to_msgpack, RawDocument};
use crate::error::Result;

impl ToOwned for RawDocument {
    type Owned = RawDocumentBuf;

    fn to_owned(&self) -> RawDocumentBuf {
        RawDocumentBuf { bytes: self.as_bytes().to_vec() }
    }
}

/// A document in its MessagePack form, owned.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawDocumentBuf {
    bytes: Vec<u8>,
}

impl RawDocumentBuf {
    /// Copies `bytes` if they are a document; see [`RawDocument::from_bytes`].
    pub fn new(bytes: &[u8]) -> Result<RawDocumentBuf> {
        RawDocument::from_bytes(bytes).map(RawDocument::to_owned)
    }

    /// Takes `bytes` if they are a document; see [`RawDocument::from_bytes`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<RawDocumentBuf> {
        validate(&bytes, usize::MAX)?;
        Ok(RawDocumentBuf { bytes })
    }

    /// Makes a document of a type of yours, as MessagePack: a struct, or a map with string keys.
    ///
    /// ```
    /// #[derive(serde::Serialize)]
    /// struct Person { name: String, born: u16 }
    /// let ada = Person { name: "Ada".to_owned(), born: 1815 };
    /// let document = nyro::RawDocumentBuf::from_serialize(&ada)?;
    /// assert_eq!(document.to_json()?, r#"{"name":"Ada","born":1815}"#);
    /// # Ok::<(), nyro::Error>(())
    /// ```
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<RawDocumentBuf> {
        let mut bytes = Vec::with_capacity(128);
        to_msgpack(value, &mut bytes)?;
        RawDocumentBuf::from_bytes(bytes)
    }

    /// Takes bytes as a document without looking at them.
    pub(crate) fn from_stored(bytes: Vec<u8>) -> RawDocumentBuf {
        RawDocumentBuf { bytes }
    }

    /// The MessagePack bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Deref for RawDocumentBuf {
    type Target = RawDocument;

    fn deref(&self) -> &RawDocument {
        RawDocument::from_stored(&self.bytes)
    }
}

impl Borrow<RawDocument> for RawDocumentBuf {
    fn borrow(&self) -> &RawDocument {
        self
    }
}

impl AsRef<RawDocument> for RawDocumentBuf {
    fn as_ref(&self) -> &RawDocument {
        self
    }
}

impl fmt::Debug for RawDocumentBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl fmt::Display for RawDocumentBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
