//! The fold: from a frozen delta to new roots.
//!
//! ```text
//!   frozen delta --+-- newest versions, sorted by tree and hash --> hash tries
//!                  +-- entries alive at the freeze -------------->  directory entries of new blocks
//!                  +-- marks (slots of the file that died) ------>  directory entries of old blocks
//!   dropped trees ----------------------------------------------->  all their pages retired
//!                                                                   |
//!                                              tree table  <--------+
//! ```
//!
//! Each touched page is written once, whatever the number of its changes. Deaths after the freeze
//! belong to the next fold (Invariant 2).

use super::checkpoint::{Outcome, Sink, Work};
use super::state;
use super::trees::TreeEntry;
use crate::error::{Error, Result};
use crate::file::meta::Meta;
use crate::file::page::{Address, PageNo};
use crate::file::pages::Pages;
use crate::file::tree::{self, TreeRoot};
use crate::hash::{self, KeyHash};
use crate::int_map::{IntMap, IntSet};
use crate::record::block;
use crate::record::directory::{Entry, EntryBuilder};
use std::collections::BTreeMap;

/// Changes to one collection.
#[derive(Default)]
struct Changes {
    trie: Vec<hash::Edit>,
    directory: BTreeMap<u64, Option<Entry>>,
}

/// Folds `work` into the checkpoint `old` and returns the new tree table.
pub fn fold(sink: &mut Sink<'_>, work: &Work, old: &Meta, outcome: &mut Outcome) -> Result<TreeRoot> {
    let dropped: IntSet<u32> = work.dropped.iter().copied().collect();
    let mut changes: BTreeMap<u32, Changes> = BTreeMap::new();
    trie_edits(work, &dropped, &mut changes);
    new_blocks(sink, work, &dropped, &mut changes, outcome)?;
    old_blocks(sink, work, old, &dropped, &mut changes)?;
    let mut table: BTreeMap<u64, Option<Vec<u8>>> = BTreeMap::new();
    for &tree in &dropped {
        if let Some(bytes) = tree::get(sink.pages(), &old.tree_table, tree.into())? {
            retire_tree(sink, tree, &TreeEntry::decode(bytes, tree)?)?;
            table.insert(tree.into(), None);
        }
    }
    let counts: IntMap<u32, super::writer::Counts> = work.counts.iter().copied().collect();
    for &tree in counts.keys().filter(|tree| !dropped.contains(tree)) {
        changes.entry(tree).or_default();
    }
    for (tree, change) in changes {
        let entry = match tree::get(sink.pages(), &old.tree_table, tree.into())? {
            Some(bytes) => TreeEntry::decode(bytes, tree)?,
            None => TreeEntry::default(),
        };
        let new = fold_tree(sink, old, tree, entry, change, counts.get(&tree))?;
        table.insert(tree.into(), Some(new.encode()));
    }
    let edits: Vec<tree::Edit> = table.into_iter().map(|(key, value)| tree::Edit { key, value }).collect();
    tree::fold(sink, 0, &old.tree_table, &edits)
}

/// The trie's part: old slot and new slot of every id that changed.
fn trie_edits(work: &Work, dropped: &IntSet<u32>, changes: &mut BTreeMap<u32, Changes>) {
    let mut newest: Vec<_> = work
        .frozen
        .newest()
        .filter(|n| (n.base.is_some() || n.address.is_some()) && !dropped.contains(&n.tree))
        .collect();
    newest.sort_unstable_by_key(|n| (n.tree, n.hash));
    for part in newest.chunk_by(|a, b| a.tree == b.tree) {
        let edits = part.iter().map(|n| hash::Edit { hash: KeyHash(n.hash), old: n.base, new: n.address });
        changes.entry(part[0].tree).or_default().trie = edits.collect();
    }
}

/// Directory entries of the blocks that were in the heap; which of them, and of the large documents,
/// become part of the file.
fn new_blocks(
    sink: &mut Sink<'_>,
    work: &Work,
    dropped: &IntSet<u32>,
    changes: &mut BTreeMap<u32, Changes>,
    outcome: &mut Outcome,
) -> Result<()> {
    let pages = sink.pages();
    let mut builders: IntMap<PageNo, (u32, u64, EntryBuilder)> = IntMap::default();
    let by_page: IntMap<PageNo, &block::ClosedBlock> = work.heap.blocks.iter().map(|b| (b.page, b)).collect();
    let mut extents: IntSet<PageNo> = IntSet::default();
    for index in 0..work.frozen.len() {
        let item = work.frozen.item(index);
        let Some(address) = item.address.filter(|_| item.death > work.commit && !dropped.contains(&item.tree)) else {
            continue;
        };
        let page = address.page();
        let closed =
            by_page.get(&page).ok_or_else(|| Error::Internal(format!("page {} has no block in the heap", page.0)))?;
        let (_, _, builder) = builders
            .entry(page)
            .or_insert_with(|| (item.tree, closed.base, EntryBuilder::new(page, closed.order, closed.slots)));
        let memory = pages.block(page)?;
        let slot = block::slot_index(&memory, closed.slots, address.slot())?;
        let slot = slot.ok_or_else(|| Error::Internal(format!("page {} has no slot {}", page.0, address.slot())))?;
        let record = block::read(&memory, address.slot())?;
        builder.live(slot, record.bytes);
        extents.extend(record.large.then(|| record.extent()).flatten().map(|(page, _)| page));
    }
    for closed in &work.heap.blocks {
        let run = (closed.page, 1 << closed.order);
        match builders.remove(&closed.page).and_then(|(tree, base, b)| b.finish().map(|entry| (tree, base, entry))) {
            Some((tree, base, entry)) => {
                changes.entry(tree).or_default().directory.insert(base, Some(entry));
                sink.adopt(run.0, run.1);
                outcome.adopted.push(run);
            }
            None => outcome.discarded.push(run),
        }
    }
    for extent in &work.heap.extents {
        let run = (extent.page, extent.pages as u64);
        if extents.contains(&extent.page) {
            sink.adopt(run.0, run.1);
            outcome.adopted.push(run);
        } else {
            outcome.discarded.push(run);
        }
    }
    Ok(())
}

/// Deaths in blocks of the file.
fn old_blocks(
    sink: &mut Sink<'_>,
    work: &Work,
    old: &Meta,
    dropped: &IntSet<u32>,
    changes: &mut BTreeMap<u32, Changes>,
) -> Result<()> {
    let mut marks = work.frozen.marked();
    marks.sort_unstable();
    for part in marks.chunk_by(|a, b| a.page() == b.page()) {
        sink.let_go_of_pages();
        let pages = sink.pages();
        let memory = pages.block(part[0].page())?;
        let base = block::base_ordinal(&memory);
        let tree = block_tree(&memory);
        if dropped.contains(&tree) {
            continue;
        }
        let directory = match tree::get(pages, &old.tree_table, tree.into())? {
            Some(bytes) => TreeEntry::decode(bytes, tree)?.directory,
            None => TreeRoot::default(),
        };
        let bytes = tree::get(pages, &directory, base)?;
        let bytes = bytes.ok_or_else(|| Error::corrupt("directory (block missing)", part[0].page().0, 0, base, 0))?;
        let mut entry = Entry::decode(bytes, base)?;
        for address in part {
            kill(sink, &memory, &mut entry, *address)?;
        }
        let edit = if entry.live == 0 {
            sink.retire(entry.page, 1 << entry.order)?;
            None
        } else {
            Some(entry)
        };
        changes.entry(tree).or_default().directory.insert(base, edit);
    }
    Ok(())
}

fn kill(
    sink: &mut Sink<'_>,
    memory: &crate::file::pages::BlockMemory<'_>,
    entry: &mut Entry,
    address: Address,
) -> Result<()> {
    let slot = block::slot_index(memory, entry.slots.into(), address.slot())?;
    let record = block::read(memory, address.slot())?;
    let killed = slot.is_some_and(|slot| entry.kill(slot, record.bytes));
    if !killed {
        let (page, slot) = (address.page().0, address.slot().into());
        return Err(Error::corrupt("directory entry (slot is not live)", page, slot, 1, 0));
    }
    match record.large.then(|| record.extent()).flatten() {
        Some((page, _)) => retire_extent(sink, page),
        None => Ok(()),
    }
}

fn retire_extent(sink: &mut Sink<'_>, page: PageNo) -> Result<()> {
    let (_, pages) = sink.pages().unit_shape(page)?;
    sink.retire(page, pages)
}

fn block_tree(memory: &crate::file::pages::BlockMemory<'_>) -> u32 {
    memory.slice(0, crate::file::page::UNIT_HEADER_BYTES).map_or(0, crate::file::page::tree_of) as u32
}

fn fold_tree(
    sink: &mut Sink<'_>,
    old: &Meta,
    tree: u32,
    entry: TreeEntry,
    change: Changes,
    counts: Option<&super::writer::Counts>,
) -> Result<TreeEntry> {
    let trie = if change.trie.is_empty() {
        entry.trie
    } else {
        hash::fold(sink, tree.into(), &entry.trie, &change.trie, &mut |sink, address| {
            rehash(sink.pages(), old, address)
        })?
    };
    let mut edits = Vec::with_capacity(change.directory.len());
    for (key, value) in change.directory {
        let value = value.map(|entry| {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            bytes
        });
        edits.push(tree::Edit { key, value });
    }
    let directory =
        if edits.is_empty() { entry.directory } else { tree::fold(sink, tree.into(), &entry.directory, &edits)? };
    Ok(match counts {
        Some(c) => TreeEntry { trie, directory, live: c.live, live_bytes: c.live_bytes, max_id: c.max_id },
        None => TreeEntry { trie, directory, ..entry },
    })
}

/// The hash of the record at an address, for a leaf whose stored bits are used up.
fn rehash(pages: &Pages, meta: &Meta, address: Address) -> Result<KeyHash> {
    let found = state::read(pages, address)?;
    let key = found.record.key();
    let key = key.ok_or_else(|| Error::corrupt("record (no _id)", address.page().0, address.slot().into(), 0xa3, 0))?;
    Ok(state::hash_of(meta, key))
}

/// Retires every page of a dropped collection.
fn retire_tree(sink: &mut Sink<'_>, number: u32, entry: &TreeEntry) -> Result<()> {
    let pages = sink.pages();
    // Retired as they are met: a page that stands twice in a damaged file ends the walk.
    hash::walk(pages, &entry.trie, &mut |page| sink.retire(page, 1), &mut |_| Ok(()))?;
    let mut blocks = Vec::new();
    tree::walk(pages, &entry.directory, &mut |page| sink.retire(page, 1), &mut |base, bytes| {
        blocks.push(Entry::decode(bytes, base)?);
        Ok(())
    })?;
    for entry in blocks {
        sink.let_go_of_pages();
        let memory = pages.block(entry.page)?;
        let mut position = block::RECORDS_AT;
        for slot in 0..usize::from(entry.slots) {
            let at =
                u16::try_from(position).map_err(|_| Error::corrupt("record", entry.page.0, 0, number.into(), 0))?;
            let record = block::read(&memory, at)?;
            position += record.bytes;
            if let Some((page, _)) = record.large.then(|| record.extent()).flatten().filter(|_| entry.is_live(slot)) {
                retire_extent(sink, page)?;
            }
        }
        sink.retire(entry.page, 1 << entry.order)?;
    }
    Ok(())
}
