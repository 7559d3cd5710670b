//! The page tree: a small copy-on-write B+tree from a number to some bytes.
//!
//! ```text
//!                          root (TreeRoot: page, level)
//!                            |
//!                   branch [ 3 | 40 | 71 ]           key = first key of the child, exactly
//!                           /    |     \
//!      leaf [ 3 7 9 .. ]   [ 40 41 .. ]  [ 71 80 .. ]    level 0
//! ```
//!
//! It holds what is looked up by number and written by checkpoints only: the tree table (number of a
//! collection -> its roots) and the block directory of a collection (ordinal of a block's first record
//! -> the block's entry).
//!
//! * **Reading** ([`get`], [`floor`], [`Cursor`], [`walk`]) takes no lock: pages never change.
//! * **Writing** is [`fold`]: one sorted batch of edits makes a new root; pages on the touched paths
//!   are written anew, all others are shared with the old tree.
//!
//! **Rules** (checked wherever a page is read; a page that breaks one is reported as damage):
//!
//! 1. The keys of a page ascend strictly, and no page is empty.
//! 2. A branch's key is the first key of the child's subtree; all keys there are below the next one.
//! 3. The level on a page is one less than its parent's; a leaf has level 0, the root at most 9.
//!
//! From 2 and 3 follows that no page can stand twice in a tree, so no walk over a damaged file is
//! longer than the file.

mod fold;
mod node;
#[cfg(not(loom))]
pub mod salvage;
#[cfg(all(test, not(loom)))]
mod tests;

use super::page::{get_u48, put_u48, PageNo, PageSource};
use crate::error::Result;
use node::{Fence, Node, MAX_LEVEL};

pub use fold::{evacuate, fold, Edit};
#[cfg(test)]
pub use node::MAX_VALUE_BYTES;

#[cfg(all(test, not(loom)))]
pub(crate) use node::LAYOUTS;

/// Where a tree begins.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct TreeRoot {
    /// The root page, [`PageNo::NONE`] for the empty tree.
    pub page: PageNo,
    /// Its level: 0 for a leaf.
    pub level: u8,
}

impl TreeRoot {
    /// Encoded size.
    pub const BYTES: usize = 8;

    /// Writes it to the first [`TreeRoot::BYTES`] of `b`.
    pub fn encode(&self, b: &mut [u8]) {
        put_u48(b, 0, self.page.0);
        b[6] = self.level;
        b[7] = 0;
    }

    /// Reads it; a level that cannot be is found by the first use.
    pub fn decode(b: &[u8]) -> TreeRoot {
        TreeRoot { page: PageNo(get_u48(b, 0)), level: b[6] }
    }
}

/// The value of `key`.
pub fn get<'s, S: PageSource + ?Sized>(src: &'s S, root: &TreeRoot, key: u64) -> Result<Option<&'s [u8]>> {
    match floor(src, root, key)? {
        Some((found, value)) if found == key => Ok(Some(value)),
        _ => Ok(None),
    }
}

/// The last entry whose key is at most `key`.
pub fn floor<'s, S: PageSource + ?Sized>(src: &'s S, root: &TreeRoot, key: u64) -> Result<Option<(u64, &'s [u8])>> {
    if root.page.is_none() {
        return Ok(None);
    }
    let mut node = Node::open(src, root.page, root.level, None)?;
    for level in (0..root.level).rev() {
        let Some(index) = node.last_up_to(key) else { return Ok(None) };
        node = Node::open(src, node.child(index)?, level, Some(node.key(index)))?;
    }
    match node.last_up_to(key) {
        Some(index) => Ok(Some((node.key(index), node.value(index)?))),
        None => Ok(None),
    }
}

/// A place between two entries, from which the entries are read in ascending order.
///
/// It borrows nothing and is read with the source it was made with, or a newer one in which the pages
/// of its tree are still kept.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// From the root down to a leaf: page and index of the entry. In branches that is the entry the
    /// next element belongs to; in the leaf, the entry to return next.
    path: [(PageNo, u16); MAX_LEVEL as usize + 1],
    /// Level of the root; `path[i]` has level `level - i`.
    level: u8,
    /// The smallest key that may come next; `None` at the end.
    from: Option<u64>,
}

impl Cursor {
    /// The place before the first entry whose key is at least `from`.
    pub fn seek<S: PageSource + ?Sized>(src: &S, root: &TreeRoot, from: u64) -> Result<Cursor> {
        let mut cursor = Cursor { path: Default::default(), level: root.level, from: Some(from) };
        if root.page.is_none() {
            cursor.from = None;
            return Ok(cursor);
        }
        let mut node = Node::open(src, root.page, root.level, None)?;
        let mut page = root.page;
        for level in (0..root.level).rev() {
            let index = node.last_up_to(from).unwrap_or(0);
            cursor.path[usize::from(root.level - level) - 1] = (page, index as u16);
            page = node.child(index)?;
            node = Node::open(src, page, level, Some(node.key(index)))?;
        }
        cursor.path[usize::from(root.level)] = (page, node.below(from) as u16);
        Ok(cursor)
    }

    /// The next entry, or `None` behind the last one.
    pub fn next<'s, S: PageSource + ?Sized>(&mut self, src: &'s S) -> Result<Option<(u64, &'s [u8])>> {
        let Some(from) = self.from else { return Ok(None) };
        let depth = usize::from(self.level);
        let (page, index) = self.path[depth];
        let mut leaf = Node::open(src, page, 0, None)?;
        let mut index = usize::from(index);
        if index >= leaf.count() {
            let Some(next) = self.next_leaf(src)? else {
                self.from = None;
                return Ok(None);
            };
            (leaf, index) = (next, 0);
        }
        let key = leaf.key(index);
        if key < from {
            return Err(leaf.corrupt("page tree (key order)", index, from, key));
        }
        let value = leaf.value(index)?;
        self.path[depth].1 = index as u16 + 1;
        self.from = key.checked_add(1);
        Ok(Some((key, value)))
    }

    /// Moves to the leaf right of this one.
    fn next_leaf<'s, S: PageSource + ?Sized>(&mut self, src: &'s S) -> Result<Option<Node<'s>>> {
        let root_level = self.level;
        for above in 1..=root_level {
            let at = usize::from(root_level - above);
            let (page, index) = self.path[at];
            let mut node = Node::open(src, page, above, None)?;
            let mut index = usize::from(index) + 1;
            if index >= node.count() {
                continue;
            }
            for level in (0..above).rev() {
                let at = usize::from(root_level - level);
                let child = node.child(index)?;
                self.path[at - 1].1 = index as u16;
                node = Node::open(src, child, level, Some(node.key(index)))?;
                self.path[at] = (child, 0);
                index = 0;
            }
            return Ok(Some(node));
        }
        Ok(None)
    }
}

/// Visits the whole tree in key order and checks every rule on the way: `page` sees each page before
/// it is read, `entry` each entry.
pub fn walk<S: PageSource + ?Sized>(
    src: &S,
    root: &TreeRoot,
    page: &mut dyn FnMut(PageNo) -> Result<()>,
    entry: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    walk_where(src, root, &mut |at| page(at).map(|()| true), entry)
}

/// [`walk`] that goes only where `page` says so: what is below a page for which it says false is left out.
pub fn walk_where<S: PageSource + ?Sized>(
    src: &S,
    root: &TreeRoot,
    page: &mut dyn FnMut(PageNo) -> Result<bool>,
    entry: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    if root.page.is_none() {
        return Ok(());
    }
    walk_node(src, root.page, root.level, Fence::ROOT, page, entry)
}

/// [`walk_where`] below one page; calls itself at most `level` deep.
fn walk_node<S: PageSource + ?Sized>(
    src: &S,
    at: PageNo,
    level: u8,
    fence: Fence,
    page: &mut dyn FnMut(PageNo) -> Result<bool>,
    entry: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    if !page(at)? {
        return Ok(());
    }
    let node = Node::open(src, at, level, fence.first)?;
    node.validate(fence)?;
    for index in 0..node.count() {
        match level {
            0 => entry(node.key(index), node.value(index)?)?,
            _ => walk_node(src, node.child(index)?, level - 1, node.fence(index, fence), page, entry)?,
        }
    }
    Ok(())
}
