//! What a key has in one place: a value, one that lies elsewhere, or the note that it is gone.

use crate::file::page::PageNo;

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
