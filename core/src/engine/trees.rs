//! The tree table: tree number -> where the collection's structures are in the file, and its counters.
//!
//! ```text
//!   meta -> tree table (page tree) -> entry { trie, directory, live, bytes, largest id }
//!                                              |        |
//!                                              v        v
//!                                         hash trie   block directory
//! ```
//!
//! Tree 0 is the catalog: an ordinary collection whose documents are `{_id: name, tree: number}` for a collection and
//! `{_id: name, keyspace: number}` for a keyspace, so that names are versioned, logged and read like any document. Tree
//! numbers are never used again.

use crate::error::{Error, Result};
use crate::file::page::{get_u64, put_u64};
use crate::file::tree::TreeRoot;
use crate::hash::TrieRoot;
use crate::record::key;

/// Set in the key of a tree that was dropped and is not wholly freed yet.
pub const DROPPED: u64 = 1 << 32;

/// The tree of the catalog.
pub const CATALOG: u32 = 0;

const TRIE_AT: usize = 0;
const DIRECTORY_AT: usize = TRIE_AT + TrieRoot::BYTES;
const LIVE_AT: usize = DIRECTORY_AT + TreeRoot::BYTES;
const LIVE_BYTES_AT: usize = LIVE_AT + 8;
const MAX_ID_AT: usize = LIVE_BYTES_AT + 8;
/// Encoded size of an entry.
pub const ENTRY_BYTES: usize = MAX_ID_AT + 8;

/// Field names of `docs/file-format.md` and where the code has them.
#[cfg(test)]
pub(crate) const LAYOUT: crate::format_tests::Layout = &[
    ("trie", TRIE_AT),
    ("directory", DIRECTORY_AT),
    ("live", LIVE_AT),
    ("live bytes", LIVE_BYTES_AT),
    ("max id", MAX_ID_AT),
    ("", ENTRY_BYTES),
];

/// A collection as a checkpoint has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeEntry {
    /// id -> address.
    pub trie: TrieRoot,
    /// Its blocks.
    pub directory: TreeRoot,
    /// Live documents.
    pub live: u64,
    /// Bytes of the live documents.
    pub live_bytes: u64,
    /// The largest positive integer id it has ever held; 0 for none.
    pub max_id: u64,
}

impl TreeEntry {
    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut b = vec![0; ENTRY_BYTES];
        self.trie.encode(&mut b[TRIE_AT..DIRECTORY_AT]);
        self.directory.encode(&mut b[DIRECTORY_AT..LIVE_AT]);
        put_u64(&mut b, LIVE_AT, self.live);
        put_u64(&mut b, LIVE_BYTES_AT, self.live_bytes);
        put_u64(&mut b, MAX_ID_AT, self.max_id);
        b
    }

    /// Decodes the entry of `tree`.
    pub fn decode(b: &[u8], tree: u32) -> Result<TreeEntry> {
        if b.len() != ENTRY_BYTES {
            return Err(Error::corrupt("tree table entry", tree.into(), 0, ENTRY_BYTES as u64, b.len() as u64));
        }
        Ok(TreeEntry {
            trie: TrieRoot::decode(&b[TRIE_AT..DIRECTORY_AT]),
            directory: TreeRoot::decode(&b[DIRECTORY_AT..LIVE_AT]),
            live: get_u64(b, LIVE_AT),
            live_bytes: get_u64(b, LIVE_BYTES_AT),
            max_id: get_u64(b, MAX_ID_AT),
        })
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Documents by id.
    Collection,
    /// Values by key, in order.
    Keyspace,
}

impl Kind {
    /// The field of the catalog document that has the tree number.
    fn field(self) -> &'static [u8] {
        match self {
            Kind::Collection => b"\xa4tree",
            Kind::Keyspace => b"\xa8keyspace",
        }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Collection => "collection",
            Kind::Keyspace => "keyspace",
        }
    }
}

/// The catalog document of a name.
pub fn catalog_document(name_key: &[u8], kind: Kind, tree: u32) -> Vec<u8> {
    let mut doc = vec![0x82];
    doc.extend_from_slice(&key::ID_FIELD);
    doc.extend_from_slice(name_key);
    doc.extend_from_slice(kind.field());
    doc.push(0xce);
    doc.extend_from_slice(&tree.to_be_bytes());
    doc
}

/// What a catalog document names, and its tree number.
pub fn named_by_document(doc: &[u8]) -> Result<(Kind, u32)> {
    if let Some((head, [0xce, a, b, c, d])) = doc.split_last_chunk::<5>() {
        for kind in [Kind::Collection, Kind::Keyspace] {
            if head.ends_with(kind.field()) {
                return Ok((kind, u32::from_be_bytes([*a, *b, *c, *d])));
            }
        }
    }
    Err(Error::corrupt("catalog document", 0, 0, 0x82, doc.first().copied().unwrap_or(0).into()))
}

/// The tree number in a catalog document.
pub fn tree_of_document(doc: &[u8]) -> Result<u32> {
    named_by_document(doc).map(|(_, tree)| tree)
}

/// The error for a name that stands for something of this kind, where another is wanted.
pub fn of_other_kind(name: &str, kind: Kind) -> Error {
    Error::OtherKind { name: name.to_owned(), kind: kind.name() }
}

/// The canonical key of a name.
pub fn name_key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 2);
    match name.len() {
        len @ 0..=31 => key.push(0xa0 | len as u8),
        len => key.extend_from_slice(&[0xd9, len as u8]),
    }
    key.extend_from_slice(name.as_bytes());
    key
}

/// The name that a catalog key stands for.
pub fn name_of_key(key: &[u8]) -> Option<&str> {
    let head = match *key.first()? {
        0xa0..=0xbf => 1,
        0xd9 => 2,
        _ => return None,
    };
    std::str::from_utf8(key.get(head..)?).ok()
}

/// Checks a collection's name: 1 to 255 bytes, no NUL, no `$`, not `system.…`.
pub fn check_name(name: &str) -> Result<()> {
    let good = (1..=255).contains(&name.len()) && !name.contains(['\0', '$']) && !name.starts_with("system.");
    if good {
        Ok(())
    } else {
        Err(Error::InvalidName(name.to_owned()))
    }
}

/// The value of a positive integer key; 0 for every other key.
pub fn positive_id(key: &[u8]) -> u64 {
    match key {
        [small @ 0x01..=0x7f] => u64::from(*small),
        [0xcc..=0xcf, bytes @ ..] => bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
        _ => 0,
    }
}

/// The canonical key of a non-negative integer.
#[cfg(test)]
pub fn integer_key(id: u64) -> Vec<u8> {
    let bytes = id.to_be_bytes();
    match id {
        0..=0x7f => vec![id as u8],
        0x80..=0xff => vec![0xcc, bytes[7]],
        0x100..=0xffff => [&[0xcd], &bytes[6..]].concat(),
        0x1_0000..=0xffff_ffff => [&[0xce], &bytes[4..]].concat(),
        _ => [&[0xcf], &bytes[..]].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalog_documents_and_names_read_back() {
        for name in ["a", "users", &"x".repeat(31), &"x".repeat(32), &"é".repeat(127)] {
            let key = name_key(name);
            assert_eq!(name_of_key(&key), Some(name));
            for kind in [Kind::Collection, Kind::Keyspace] {
                let doc = catalog_document(&key, kind, 0xdead_beef);
                assert_eq!(key::key_of(&doc), Some(&key[..]));
                assert_eq!(named_by_document(&doc).expect("whole"), (kind, 0xdead_beef));
            }
        }
        assert!(tree_of_document(b"\x81\xa3_id\x01").is_err());
    }

    #[test]
    fn positive_ids_are_read_from_their_keys() {
        for id in [1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 1 << 32, u64::MAX] {
            assert_eq!(positive_id(&integer_key(id)), id);
        }
        for key in [&b"\x00"[..], b"\xff", b"\xd0\x80", b"\xa1a", b""] {
            assert_eq!(positive_id(key), 0);
        }
    }

    #[test]
    fn names_outside_the_rules_are_refused() {
        for bad in ["", "a\0b", "a$b", "system.users", &"x".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_name("systems").is_ok() && check_name(&"x".repeat(255)).is_ok());
    }
}
