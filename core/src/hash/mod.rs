//! The hash trie: from the key of a document to the address of its record.
//!
//! ```text
//!   hash of the key   |<----------- path: 48 bits ----------->|<- slot bits: 16 ->|
//!                         9 bits     9 bits   3 bits                  |
//!   root (level 2) ---------+          |        |                     |
//!   node (level 1) --------------------+        |                     |
//!   leaf (level 0), responsible for these bits -+       line of the leaf, part of the tag
//! ```
//!
//! The path chooses the leaf, the slot bits choose a 64-byte line in it, and a tag of 32 bits in the
//! line tells with little doubt whether an address is the one sought; the record itself decides. A
//! lookup therefore touches one line of each node, one line of the leaf, and the record.
//!
//! Pages are never changed in place. A checkpoint *folds* a sorted batch of edits into the trie: each
//! touched page is built anew once, written to a free page, and the old one is released, so readers
//! of the old root go on undisturbed and without locks.
//!
//! All leaves are at level 0 and the trie grows at the top, like a B-tree: a node whose children need
//! more than 9 bits to be told apart becomes two nodes, and its parent gets both. Neighbouring leaves
//! and nodes that have become small merge.
//!
//! This module knows no records: [`fold`] asks its caller for the hash of a record when the bits in
//! the tags are used up. Format: `docs/file-format.md`, "Hash trie".

mod entries;
mod fold;
pub mod inspect;
mod key;
mod leaf;
mod moves;
mod node;
mod shortcut;
#[cfg(test)]
mod tests;
mod trie;

pub use fold::{fold, Edit};
pub use key::{HashKey, KeyHash};
pub use moves::{cut, evacuate};
pub use shortcut::Shortcut;
#[cfg(test)]
use trie::WalkEntry;
pub use trie::{find_leaf, lookup, walk, walk_where, Leaf, TrieRoot};

use crate::error::{Error, Result};
use crate::file::fault::Fault;
use crate::file::page::{PageKind, PageNo, PageSource, PAGE_BYTES, UNIT_HEADER_BYTES};

/// Bits of a hash that choose the leaf; the other 16 choose the line in it.
const PATH_BITS: u8 = 48;

/// The highest level a node may have. A node is split only when its children reach more than 9 bits
/// below it, so each level takes 9 of the 48 path bits, and 6 levels are the most that can arise.
const MAX_LEVEL: u8 = 8;

/// One page, as an array: indices that are known to be small need no check.
type Page = [u8; PAGE_BYTES];

/// Length of the header of a leaf or node; what follows is aligned to a line.
const HEADER_BYTES: usize = 64;
const _: () = assert!(HEADER_BYTES >= UNIT_HEADER_BYTES);

/// The page `no` of `src`, which must be exactly one page long.
fn read<S: PageSource + ?Sized>(src: &S, no: PageNo, kind: PageKind) -> Result<&Page> {
    look(src, no, kind)
}

/// [`read`], the fast look or the slow one.
#[inline]
fn look<S: PageSource + ?Sized, E: Fault>(src: &S, no: PageNo, kind: PageKind) -> Result<&Page, E> {
    if let Some(Ok(page)) = src.unit_at_hand(no, kind).map(<&Page>::try_from) {
        return Ok(page);
    }
    E::otherwise(|| {
        let unit = src.unit(no, kind)?;
        unit.try_into().map_err(|_| Error::corrupt("trie page (bytes)", no.0, 0, PAGE_BYTES as u64, unit.len() as u64))
    })
}

/// A mask of the `bits` highest bits.
#[inline]
fn top(bits: u8) -> u64 {
    u64::MAX.checked_shl(64 - u32::from(bits)).unwrap_or(0)
}

/// Layouts of the trie's structures, for the test of the specification.
#[cfg(test)]
pub(crate) mod layouts {
    pub(crate) use super::leaf::LAYOUTS as LEAF;
    pub(crate) use super::node::LAYOUTS as NODE;
    pub(crate) use super::trie::LAYOUT as ROOT;
}
