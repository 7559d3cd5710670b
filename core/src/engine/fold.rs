//! The fold: from a frozen delta to new roots.
//!
//! ```text
//!   frozen delta --+-- newest versions, sorted by tree and hash --> hash tries
//!                  +-- entries alive at the freeze -------------->  directory entries of new blocks
//!                  +-- marks (slots of the file that died) ------>  directory entries of old blocks
//!   blocks worth it ---- live records, to new blocks ------------>  both (`engine/reclaim.rs`)
//!   dropped trees ------ a slice of their pages retired --------->  what is left (`engine/dropped.rs`)
//!                                                                   |
//!                                              tree table  <--------+
//! ```
//!
//! Each touched page is written once, whatever the number of its changes. Deaths after the freeze
//! belong to the next fold (Invariant 2).

use super::checkpoint::{Outcome, Sink, Work};
use super::dropped;
use super::reclaim::{self, Goal, Job};
use super::sorted;
use super::state;
use super::trees::TreeEntry;
use crate::error::{Error, Result};
use crate::file::fault::Slow;
use crate::file::meta::Meta;
use crate::file::page::{Address, PageNo, PAGE_BYTES};
use crate::file::pages::Pages;
use crate::file::tree::{self, TreeRoot};
use crate::hash::{self, KeyHash};
use crate::int_map::{IntMap, IntSet};
use crate::plant::{planted, Bug};
use crate::record::block;
use crate::record::directory::{Entry, EntryBuilder};
use crate::sorted::compact::{Goal as Merges, Shape};
use std::collections::BTreeMap;

/// Bytes of records that a checkpoint may move for each byte of new blocks.
const RELOCATED_PER_WRITTEN: u64 = 2;

/// So many deaths before one is taken in, the memory that it touches is asked for.
const AHEAD: usize = 24;

/// Garbage that is left alone: a part of all blocks.
const GARBAGE_PART: u64 = 6;

/// Changes to one collection.
#[derive(Default)]
pub struct Changes {
    /// Entries of the trie, in the order of their hashes unless `relocated`.
    pub trie: Vec<hash::Edit>,
    /// Entries were added out of order.
    pub relocated: bool,
    /// New entries of the directory, none for a block that goes.
    pub directory: BTreeMap<u64, Option<Entry>>,
}

/// The record blocks of all collections, as the meta page counts them.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    /// Their pages.
    pub pages: u64,
    /// Bytes of the live records in them.
    pub live_bytes: u64,
}

impl Totals {
    /// A block more.
    pub fn add(&mut self, entry: &Entry) {
        self.pages += 1 << entry.order;
        self.live_bytes += u64::from(entry.live_bytes);
    }

    /// A block less. The counts come from the meta page, and those of a hostile one may be too small.
    pub fn remove(&mut self, entry: &Entry) {
        self.pages = self.pages.saturating_sub(1 << entry.order);
        self.live_bytes = self.live_bytes.saturating_sub(entry.live_bytes.into());
    }

    /// Bytes of the blocks.
    pub fn bytes(&self) -> u64 {
        self.pages * PAGE_BYTES as u64
    }

    /// Garbage above what is left alone: `slack`, and a part of all blocks.
    pub fn excess(&self, slack: u64) -> u64 {
        self.garbage().saturating_sub(slack.max(self.bytes() / GARBAGE_PART))
    }

    /// Bytes of them that no live record takes.
    pub fn garbage(&self) -> u64 {
        self.bytes().saturating_sub(self.live_bytes)
    }
}

/// What a fold is to do beside taking in its delta.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Records to move.
    pub reclaim: Job,
    /// Most pages of dropped collections to free.
    pub slice_pages: u64,
    /// The sizes that shape the sorted index.
    pub shape: Shape,
    /// How far runs are merged.
    pub runs: Merges,
    /// Bytes of runs after which no further merge begins, if it is said.
    pub run_budget: Option<u64>,
}

impl Plan {
    /// Nothing shall lie at this page or beyond.
    pub fn cut(&self) -> Option<PageNo> {
        match self.reclaim.goal {
            Goal::Evacuate(cut) => Some(cut),
            _ => None,
        }
    }
}

/// Folds `work` into the checkpoint `old` and returns the new tree table and the counts of blocks.
pub fn fold(
    sink: &mut Sink<'_>,
    work: &Work,
    old: &Meta,
    plan: &Plan,
    outcome: &mut Outcome,
) -> Result<(TreeRoot, Totals)> {
    let dropped: IntSet<u32> = work.dropped.iter().copied().collect();
    let mut changes: BTreeMap<u32, Changes> = BTreeMap::new();
    let mut totals = Totals { pages: old.block_pages, live_bytes: old.block_live_bytes };
    let moved = work.moved.as_ref().map(|moved| moved.forward(sink.pages())).transpose()?.unwrap_or_default();
    trie_edits(work, &dropped, &moved, &mut changes);
    new_blocks(sink, work, &dropped, &mut changes, &mut totals, outcome)?;
    old_blocks(sink, work, old, &dropped, &moved, &mut changes, &mut totals)?;
    let mut table: BTreeMap<u64, Option<Vec<u8>>> = BTreeMap::new();
    outcome.dropped_left = dropped::free(sink, old, &dropped, plan.slice_pages, &mut table, &mut totals)?;
    sorted::fold(sink, work, old, plan, &dropped, &mut table, outcome)?;
    let fresh: IntSet<PageNo> = outcome.adopted.iter().map(|(page, _)| *page).collect();
    let mut job = plan.reclaim;
    if job.goal == Goal::Bound {
        // As much as the garbage that this checkpoint's own blocks will become asks for.
        let written: u64 = outcome.adopted.iter().map(|(_, pages)| pages * PAGE_BYTES as u64).sum();
        job.budget = job.budget.max(written * RELOCATED_PER_WRITTEN);
    }
    outcome.reclaimed = reclaim::reclaim(sink, old, &job, &fresh, &dropped, &mut changes, &mut totals)?;
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
    let mut root = tree::fold(sink, 0, &old.tree_table, &edits)?;
    // The index follows when all records have moved.
    if let (Goal::Evacuate(cut), None) = (plan.reclaim.goal, outcome.reclaimed.next) {
        root = evacuate(sink, &root, cut)?;
    }
    Ok((root, totals))
}

/// Moves the pages of all tries, directories and the tree table that lie at `cut` or beyond.
fn evacuate(sink: &mut Sink<'_>, table: &TreeRoot, cut: PageNo) -> Result<TreeRoot> {
    // What the fold wrote is read again here.
    sink.flush()?;
    let mut entries = Vec::new();
    tree::walk(sink.pages(), table, &mut |_| Ok(()), &mut |number, bytes| {
        entries.push((number, TreeEntry::decode(bytes, number as u32)?));
        Ok(())
    })?;
    let mut edits = Vec::new();
    for (number, entry) in entries {
        let tree = number & u64::from(u32::MAX);
        let trie = hash::evacuate(sink, tree, &entry.trie, cut)?;
        let directory = tree::evacuate(sink, tree, &entry.directory, cut)?;
        let moved = TreeEntry { trie, directory, ..entry };
        if moved != entry {
            edits.push(tree::Edit { key: number, value: Some(moved.encode()) });
        }
    }
    let root = tree::fold(sink, 0, table, &edits)?;
    sink.flush()?;
    tree::evacuate(sink, 0, &root, cut)
}

/// The trie's part: old slot and new slot of every id that changed.
fn trie_edits(
    work: &Work,
    dropped: &IntSet<u32>,
    moved: &IntMap<Address, Address>,
    changes: &mut BTreeMap<u32, Changes>,
) {
    let now = |address: Address| moved.get(&address).copied().unwrap_or(address);
    let mut newest: Vec<_> = work
        .frozen
        .newest()
        .filter(|n| (n.base.is_some() || n.address.is_some()) && !dropped.contains(&n.tree))
        .collect();
    newest.sort_unstable_by_key(|n| (n.tree, n.hash));
    for part in newest.chunk_by(|a, b| a.tree == b.tree) {
        let edits = part.iter().map(|n| hash::Edit { hash: KeyHash(n.hash), old: n.base.map(now), new: n.address });
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
    totals: &mut Totals,
    outcome: &mut Outcome,
) -> Result<()> {
    let pages = sink.pages();
    // By the block's place in the heap. Documents written one after the other mostly share a block.
    let mut builders: Vec<Option<(u32, EntryBuilder)>> = work.heap.blocks.iter().map(|_| None).collect();
    let by_page: IntMap<PageNo, usize> = work.heap.blocks.iter().enumerate().map(|(at, b)| (b.page, at)).collect();
    let mut last = (PageNo::NONE, 0);
    let mut extents = sorted::large_values(work, dropped);
    for index in 0..work.frozen.len() {
        let item = work.frozen.item(index);
        let Some(address) = item.address.filter(|_| item.death > work.commit && !dropped.contains(&item.tree)) else {
            continue;
        };
        let page = address.page();
        if last.0 != page {
            let at = by_page.get(&page).copied();
            last = (page, at.ok_or_else(|| Error::Internal(format!("page {} has no block in the heap", page.0)))?);
        }
        let closed = &work.heap.blocks[last.1];
        let (_, builder) =
            builders[last.1].get_or_insert_with(|| (item.tree, EntryBuilder::new(page, closed.order, closed.slots)));
        let memory = pages.block(page)?;
        let slot = block::slot_index(&memory, closed.slots, address.slot())?;
        let slot = slot.ok_or_else(|| Error::Internal(format!("page {} has no slot {}", page.0, address.slot())))?;
        let record = block::read(&memory, address.slot())?;
        builder.live(slot, record.bytes, record.large);
        extents.extend(record.large.then(|| record.extent()).flatten().map(|(page, _)| page));
    }
    for (closed, builder) in work.heap.blocks.iter().zip(builders) {
        let run = (closed.page, 1 << closed.order);
        match builder.and_then(|(tree, builder)| builder.finish().map(|entry| (tree, entry))) {
            Some((tree, entry)) => {
                totals.add(&entry);
                changes.entry(tree).or_default().directory.insert(closed.base, Some(entry));
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
    moved: &IntMap<Address, Address>,
    changes: &mut BTreeMap<u32, Changes>,
    totals: &mut Totals,
) -> Result<()> {
    let mut marks = work.frozen.marked();
    for mark in &mut marks {
        *mark = moved.get(mark).copied().unwrap_or(*mark);
    }
    marks.sort_unstable();
    let (mut done, mut asked) = (0, 0);
    for part in marks.chunk_by(|a, b| a.page() == b.page()) {
        sink.let_go_of_pages();
        let pages = sink.pages();
        done += part.len();
        while let Some(ahead) = marks.get(asked).filter(|_| asked < done + AHEAD) {
            ask_for_record(pages, *ahead);
            asked += 1;
        }
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
        totals.remove(&entry);
        for address in part {
            kill(sink, &memory, &mut entry, *address)?;
        }
        let edit = if entry.live == 0 {
            sink.retire(entry.page, 1 << entry.order)?;
            None
        } else {
            totals.add(&entry);
            Some(entry)
        };
        changes.entry(tree).or_default().directory.insert(base, edit);
    }
    Ok(())
}

/// Asks for the lines that [`kill`] will touch; nothing more than a hint.
fn ask_for_record(pages: &Pages, address: Address) {
    if let Ok(memory) = pages.look_block::<Slow>(address.page()) {
        for at in [0, usize::from(address.slot()), memory.len().saturating_sub(1)] {
            crate::sync::prefetch(memory.hint(at));
        }
    }
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
        Some((page, _)) if !planted(Bug::LargeDocumentNotFreed) => retire_extent(sink, page),
        _ => Ok(()),
    }
}

/// Retires the extent of a large document.
pub fn retire_extent(sink: &mut Sink<'_>, page: PageNo) -> Result<()> {
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
    mut change: Changes,
    counts: Option<&super::writer::Counts>,
) -> Result<TreeEntry> {
    if change.relocated {
        change.trie.sort_unstable_by_key(|edit| edit.hash);
    }
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
