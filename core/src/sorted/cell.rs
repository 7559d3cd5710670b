//! What a key has in one place: a value, one that lies elsewhere, or the note that it is gone.

use crate::error::{Error, Result};
use crate::file::page::PageNo;
use crate::file::pages::Pages;

/// See the module's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// A value.
    Value(&'a [u8]),
    /// A value in an extent of its own.
    Large {
        /// The extent's first page.
        page: PageNo,
        /// Bytes of the value.
        length: u32,
    },
    /// The key is deleted, whatever older places say (a tombstone).
    Deleted,
}

impl<'a> Cell<'a> {
    /// The value that it stands for; none where the key is deleted.
    pub fn value(self, pages: &'a Pages) -> Result<Option<&'a [u8]>> {
        match self {
            Cell::Deleted => Ok(None),
            Cell::Value(value) => Ok(Some(value)),
            Cell::Large { page, length } => {
                let value = pages.extent(page)?;
                if value.len() != length as usize {
                    let (expected, got) = (length.into(), value.len() as u64);
                    return Err(Error::corrupt("large value (length)", page.0, 0, expected, got));
                }
                Ok(Some(value))
            }
        }
    }
}
