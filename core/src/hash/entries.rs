//! Edits of one leaf: in a copy of its page, or in a list of its entries.
//!
//! A leaf that keeps its size takes its edits in a copy of the page. One that is split, merged or
//! chained is taken apart into a list of entries, edited there, and built anew. What is known of an
//! entry's hash is the path to the leaf, the tag's 16 bits of the path, and the slot bits.

use super::fold::Edit;
use super::leaf::{self, Head, LeafImage, MAX_ENTRIES, MAX_TAG_BASE, TAG_PATH_BITS};
use super::{top, KeyHash, Page, PATH_BITS};
use crate::error::{Error, Result};
use crate::file::page::{Address, PageNo};

/// An entry of a leaf that is split, merged or chained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// What is known of its hash.
    pub hash: u64,
    /// Where its record is.
    pub address: Address,
    /// The hash is not known completely; unknown bits are 0.
    pub partial: bool,
}

/// The entries of a leaf with its chain, and how many path bits of all of them are known.
#[derive(Debug, Default)]
pub struct Entries {
    /// The entries, in any order.
    pub list: Vec<Entry>,
    /// Path bits known of all of them.
    pub known: u8,
}

/// The error for an edit of an entry that is not in the trie: of a record that the directory has and the trie
/// does not, or a bug.
pub fn missing(edit: &Edit) -> Error {
    let (page, slot) = edit.old.map_or((0, 0), |old| (old.page().0, old.slot().into()));
    Error::corrupt("hash trie (no entry of a record; expected is its hash)", page, slot, edit.hash.0, 0)
}

/// A copy of a leaf with `edits` made; they fit.
pub fn edit_copy(page: &Page, edits: &[Edit]) -> Result<LeafImage> {
    let mut image = LeafImage::copy_of(page);
    let mut removed = false;
    for edit in edits {
        let found = match (edit.old, edit.new) {
            (None, None) => true,
            (None, Some(new)) => {
                image.insert(edit.hash, new);
                true
            }
            (Some(old), Some(new)) => image.replace(edit.hash, old, new),
            (Some(old), None) => {
                removed = true;
                image.remove(edit.hash, old)
            }
        };
        if !found {
            return Err(missing(edit));
        }
    }
    if removed {
        image.repack();
    }
    Ok(image)
}

/// Makes `edits` in a list of entries: for leaves that are split or chained, whatever their size.
pub fn apply(mut entries: Entries, edits: &[Edit]) -> Result<Entries> {
    let known = top(entries.known) | 0xffff;
    entries.list.sort_unstable();
    let mut gone = vec![false; entries.list.len()];
    let mut added = Vec::with_capacity(edits.len());
    for edit in edits {
        if let Some(old) = edit.old {
            let key = (edit.hash.0 & known, old);
            let mut at = entries.list.partition_point(|entry| (entry.hash, entry.address) < key);
            while gone.get(at) == Some(&true) {
                at += 1;
            }
            match entries.list.get(at) {
                Some(entry) if (entry.hash, entry.address) == key => gone[at] = true,
                _ => return Err(missing(edit)),
            }
        }
        added.extend(edit.new.map(|address| Entry { hash: edit.hash.0, address, partial: false }));
    }
    let mut gone = gone.into_iter();
    entries.list.retain(|_| !gone.next().unwrap_or(false));
    entries.list.append(&mut added);
    Ok(entries)
}

impl Entries {
    /// Adds the entries of a leaf; its page was checked and `head` is its header.
    pub fn add(&mut self, page: &Page, no: PageNo, prefix: u64, head: &Head) -> Result<()> {
        let known = head.depth.max(head.known_bits());
        self.known = self.known.min(known);
        leaf::for_each(page, no, prefix, &mut |hash, address| {
            self.list.push(Entry { hash, address, partial: known < PATH_BITS });
            Ok(())
        })
    }

    /// Images with these entries, none if there are none; more than one if they do not fit.
    pub fn into_images(self, depth: u8) -> Vec<LeafImage> {
        // The tags begin as late as all their bits are known and a split still finds its bit in them.
        let known = if self.list.iter().any(|entry| entry.partial) { self.known } else { PATH_BITS };
        let tag_base = known.saturating_sub(TAG_PATH_BITS).min(depth).min(MAX_TAG_BASE);
        let image = |entries: &[Entry]| {
            let mut image = LeafImage::new(depth, tag_base);
            for entry in entries {
                image.insert(KeyHash(entry.hash), entry.address);
            }
            image
        };
        self.list.chunks(MAX_ENTRIES).map(image).collect()
    }
}
