//! Dropped collections: freed in slices.
//!
//! ```text
//!   drop            the catalog names the tree no more; its entry moves in the tree table
//!                     [ 3 | 7 | 12 ]   ->   [ 3 | 12 | 2^32 + 7 ]
//!   each checkpoint a slice of blocks, with their extents, from the front of its directory;
//!                   when that is empty, a slice of its trie
//!   the last one    removes the entry
//! ```
//!
//! What is left of the job is in the tree table of every checkpoint, so it goes on after a crash or a reopening where
//! it stopped, and nothing has to be looked for: the entries of dropped trees are the last ones of the table.

use super::checkpoint::Sink;
use super::fold::{retire_extent, Totals};
use super::trees::{TreeEntry, DROPPED};
use crate::error::{Error, Result};
use crate::file::meta::Meta;
use crate::file::page::PageNo;
use crate::file::pages::Pages;
use crate::file::tree::{self, Cursor};
use crate::hash;
use crate::int_map::IntSet;
use crate::record::block;
use crate::record::directory::Entry;
use std::collections::BTreeMap;

/// Frees up to `budget` pages of dropped trees: of those that the checkpoint `old` has left, and of those in
/// `dropped`, dropped since. Their entries go to `table`. True if something is left.
pub fn free(
    sink: &mut Sink<'_>,
    old: &Meta,
    dropped: &IntSet<u32>,
    mut budget: u64,
    table: &mut BTreeMap<u64, Option<Vec<u8>>>,
    totals: &mut Totals,
) -> Result<bool> {
    let pages = sink.pages();
    let mut left = false;
    for &tree in dropped {
        let Some(bytes) = tree::get(pages, &old.tree_table, tree.into())? else { continue };
        let entry = TreeEntry::decode(bytes, tree)?;
        table.insert(tree.into(), None);
        if let Some(rest) = free_slice(sink, tree, entry, &mut budget, totals)? {
            table.insert(DROPPED | u64::from(tree), Some(rest.encode()));
            left = true;
        }
    }
    let mut before = Cursor::seek(pages, &old.tree_table, DROPPED)?;
    while let Some((key, bytes)) = before.next(pages)? {
        if budget == 0 {
            return Ok(true);
        }
        let tree = (key & u64::from(u32::MAX)) as u32;
        let rest = free_slice(sink, tree, TreeEntry::decode(bytes, tree)?, &mut budget, totals)?;
        left |= rest.is_some();
        table.insert(key, rest.map(|rest| rest.encode()));
    }
    Ok(left)
}

/// Frees a slice of a tree; returns what is left of it.
fn free_slice(
    sink: &mut Sink<'_>,
    tree: u32,
    entry: TreeEntry,
    budget: &mut u64,
    totals: &mut Totals,
) -> Result<Option<TreeEntry>> {
    let pages = sink.pages();
    let mut blocks = Cursor::seek(pages, &entry.directory, 0)?;
    let mut edits = Vec::new();
    while *budget > 0 {
        let Some((base, bytes)) = blocks.next(pages)? else { break };
        let block = Entry::decode(bytes, base)?;
        if block.large {
            for extent in extents(tree, pages, &block)? {
                retire_extent(sink, extent)?;
            }
        }
        sink.retire(block.page, 1 << block.order)?;
        totals.remove(&block);
        *budget = budget.saturating_sub(1 << block.order);
        edits.push(tree::Edit { key: base, value: None });
    }
    let directory = tree::fold(sink, tree.into(), &entry.directory, &edits)?;
    let mut trie = entry.trie;
    if directory.page.is_none() && *budget > 0 {
        trie = hash::cut(sink, tree.into(), &entry.trie, budget)?;
    }
    let gone = directory.page.is_none() && trie.page.is_none();
    Ok((!gone).then_some(TreeEntry { trie, directory, ..entry }))
}

/// The extents of the live large documents of a block of `tree`.
pub fn extents(tree: u32, pages: &Pages, entry: &Entry) -> Result<Vec<PageNo>> {
    let memory = pages.block(entry.page)?;
    let mut found = Vec::new();
    let mut position = block::RECORDS_AT;
    for slot in 0..usize::from(entry.slots) {
        let at = u16::try_from(position)
            .map_err(|_| Error::corrupt("record", entry.page.0, 0, tree.into(), position as u64))?;
        let record = block::read(&memory, at)?;
        position += record.bytes;
        if record.large && entry.is_live(slot) {
            found.extend(record.extent().map(|(page, _)| page));
        }
    }
    Ok(found)
}
