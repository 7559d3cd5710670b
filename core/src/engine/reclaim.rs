//! Reclaim: records move out of half-empty blocks, so that the blocks can be used again.
//!
//! ```text
//!   directory   [ 40 % ][ 90 % ][ 30 % ][ 55 % ] ...        live bytes of neighbouring blocks
//!                   |               \     /
//!                   |                merge                  into new blocks, at the same place in the
//!                   v                  v                    order, with the same ordinals
//!               [ smaller ][ 90 % ][  85 %  ] ...
//!
//!   trie        id -> old address   becomes   id -> new address
//! ```
//!
//! **Relocation is part of a checkpoint, never a version** (Invariant 3): a fold that has taken in its delta
//! may move any record that is still live, and the swap makes all addresses new at once. What a commit
//! noted about an old address while the checkpoint ran (a mark of a death, the slot an id had) lies in the
//! delta that was active at the swap; [`Moved`] leads from one to the other for as long as that delta lives.
//!
//! The idea of picking the segments that are cheapest to clean is that of log-structured file systems
//! (Rosenblum and Ousterhout, 1992).

use super::checkpoint::Sink;
use super::delta::Delta;
use super::fold::{Changes, Totals};
use super::state;
use crate::error::{Error, Result};
use crate::file::meta::Meta;
use crate::file::page::{put_u48, Address, PageNo, PAGE_BYTES};
use crate::file::pages::Pages;
use crate::file::tree::{Cursor, TreeRoot};
use crate::hash::{Edit, KeyHash};
use crate::int_map::{IntMap, IntSet};
use crate::plant::{planted, Bug};
use crate::record::block::{self, OpenBlock, Record, RECORDS_AT, SLOT_BYTES, STUB_TAIL_BYTES};
use crate::record::directory::{Entry, EntryBuilder};
use crate::record::extent::HeapExtent;
use std::collections::btree_map::{BTreeMap, Range};
use std::iter::Peekable;

/// Blocks looked at by one checkpoint: 8 192 blocks of 16 KiB are 128 MiB.
pub const WINDOW: usize = 1 << 16;

/// Most blocks merged at once.
const GROUP_BLOCKS: usize = 8;

/// What a checkpoint does beside folding its delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Nothing moves.
    Nothing,
    /// What holds the bound of the space.
    Bound,
    /// All that gains a page, as far as the budget goes: for compaction.
    Merge,
    /// Nothing that the checkpoint reaches shall lie at this page or beyond.
    Evacuate(PageNo),
}

/// A place in the order of all blocks: collection, then ordinal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The collection.
    pub tree: u32,
    /// Ordinal of a block's first record.
    pub base: u64,
}

/// What to do, and within which bounds.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// What for.
    pub goal: Goal,
    /// Where to begin to look.
    pub from: Position,
    /// Most bytes of records to move.
    pub budget: u64,
    /// Garbage below this many bytes is left alone.
    pub slack: u64,
    /// Blocks from this ordinal on are left alone; 0 for none.
    pub until: u64,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    /// Where the next checkpoint goes on looking; none when all blocks were seen.
    pub next: Option<Position>,
    /// Bytes of records that were moved.
    pub bytes: u64,
    /// Pages that became free by it.
    pub gained: u64,
    /// Pages of the blocks that were looked at.
    pub seen_pages: u64,
    /// Something is left to gain.
    pub more: bool,
    /// The way from new addresses to old ones.
    pub moved: Moved,
}

/// Where the records of new blocks were before, in the order of their slots.
#[derive(Debug, Default)]
pub struct Moved {
    from: IntMap<PageNo, Vec<Address>>,
    /// The blocks that they left: (page, pages).
    pub left: Vec<(PageNo, u64)>,
    /// Those of them that tombstones of the delta active at the swap point into: kept until it is folded.
    pub held: Vec<(PageNo, u64)>,
}

impl Moved {
    /// The old addresses of the records of a block, by slot, if it was made by the last relocation.
    #[inline]
    pub fn of_block(&self, page: PageNo) -> Option<&[Address]> {
        self.from.get(&page).map(Vec::as_slice)
    }

    /// True when nothing was moved.
    pub fn is_empty(&self) -> bool {
        self.from.is_empty()
    }

    /// From old addresses to new ones.
    pub fn forward(&self, pages: &Pages) -> Result<IntMap<Address, Address>> {
        let mut forward = IntMap::default();
        for (&page, olds) in &self.from {
            let memory = pages.block(page)?;
            for (slot, &old) in olds.iter().enumerate() {
                forward.insert(old, Address::new(page, block::slot_position(&memory, slot)?));
            }
        }
        Ok(forward)
    }

    /// Sets apart the blocks that must stay until `active` is folded: its tombstones are compared by the
    /// records that they ended.
    pub fn hold(&mut self, active: &Delta) {
        let held = |(page, _): &(PageNo, u64)| active.has_tombstone_in(*page);
        self.held = self.left.iter().copied().filter(held).collect();
    }
}

/// Neighbouring blocks of one collection that may become fewer.
struct Group {
    tree: u32,
    blocks: Vec<(u64, Entry)>,
    /// Ordinal of the next block.
    limit: u64,
    live_bytes: u64,
    gain: u64,
}

impl Group {
    fn pages(&self) -> u64 {
        self.blocks.iter().map(|(_, entry)| 1 << entry.order).sum()
    }

    /// Bytes to move for each page gained.
    fn price(&self) -> u64 {
        self.live_bytes / self.gain.max(1)
    }
}

/// Chooses blocks and moves their records. `changes` are those of the fold so far; what relocation changes
/// is added. Blocks in `fresh` are new in this checkpoint and stay.
pub fn reclaim(
    sink: &mut Sink<'_>,
    old: &Meta,
    job: &Job,
    fresh: &IntSet<PageNo>,
    dropped: &IntSet<u32>,
    changes: &mut BTreeMap<u32, Changes>,
    totals: &mut Totals,
) -> Result<Done> {
    let mut done = Done::default();
    let mut excess = totals.excess(job.slack);
    if job.goal == Goal::Nothing {
        return Ok(done);
    }
    if job.goal == Goal::Bound && excess == 0 {
        return Ok(Done { next: Some(job.from), ..done });
    }
    let mut look = Look { job, fresh, groups: Vec::new(), seen: 0, seen_pages: 0, next: None };
    look.at_trees(sink.pages(), old, dropped, changes)?;
    let Look { mut groups, next, seen_pages, .. } = look;
    done.next = next;
    done.seen_pages = seen_pages;
    done.more = next.is_some();
    if job.goal == Goal::Bound {
        groups.sort_by_key(Group::price);
    }
    let mut budget = job.budget;
    for (index, group) in groups.iter().enumerate() {
        let enough = job.goal == Goal::Bound && excess == 0;
        if enough || (group.live_bytes > budget && index > 0) {
            done.more = !enough;
            if job.goal != Goal::Bound {
                done.next = groups.get(index).map(|g| Position { tree: g.tree, base: g.blocks[0].0 });
            }
            break;
        }
        let moved = relocate(sink, old, job.goal, group, changes, totals, &mut done)?;
        sink.let_go_of_pages();
        budget = budget.saturating_sub(group.live_bytes);
        if !moved {
            continue;
        }
        excess = excess.saturating_sub(group.gain * PAGE_BYTES as u64);
    }
    Ok(done)
}

/// The directories of the checkpoint before with the fold's changes over them, looked at in order.
struct Look<'a> {
    job: &'a Job,
    fresh: &'a IntSet<PageNo>,
    groups: Vec<Group>,
    seen: usize,
    seen_pages: u64,
    next: Option<Position>,
}

impl Look<'_> {
    /// Looks at a window of blocks from the job's position on.
    fn at_trees(
        &mut self,
        pages: &Pages,
        old: &Meta,
        dropped: &IntSet<u32>,
        changes: &BTreeMap<u32, Changes>,
    ) -> Result<()> {
        let from = self.job.from;
        let mut trees = Cursor::seek(pages, &old.tree_table, from.tree.into())?;
        while let Some((number, bytes)) = trees.next(pages)? {
            let Ok(tree) = u32::try_from(number) else { break };
            if dropped.contains(&tree) {
                continue;
            }
            let entry = super::trees::TreeEntry::decode(bytes, tree)?;
            let first = if tree == from.tree { from.base } else { 0 };
            let none = BTreeMap::new();
            let edits = changes.get(&tree).map_or(&none, |change| &change.directory);
            if !self.at_blocks(pages, tree, &entry.directory, edits, first)? {
                return Ok(());
            }
            self.seen += 1;
        }
        Ok(())
    }

    /// False when the window ended.
    fn at_blocks(
        &mut self,
        pages: &Pages,
        tree: u32,
        directory: &TreeRoot,
        edits: &BTreeMap<u64, Option<Entry>>,
        first: u64,
    ) -> Result<bool> {
        let mut blocks = Overlay::new(pages, directory, edits, first)?;
        let mut run: Vec<(u64, Entry)> = Vec::new();
        while let Some((base, entry)) = blocks.next(pages)? {
            if self.job.until > 0 && base >= self.job.until {
                break;
            }
            if run.len() == GROUP_BLOCKS {
                self.close(tree, &mut run, base);
            }
            if self.seen >= WINDOW {
                self.close(tree, &mut run, base);
                self.next = Some(Position { tree, base });
                return Ok(false);
            }
            self.seen += 1;
            self.seen_pages += 1 << entry.order;
            if self.fresh.contains(&entry.page) || !self.wants(pages, &entry)? {
                self.close(tree, &mut run, base);
                continue;
            }
            run.push((base, entry));
        }
        self.close(tree, &mut run, u64::MAX);
        Ok(true)
    }

    /// Whether a block may be part of a group.
    fn wants(&self, pages: &Pages, entry: &Entry) -> Result<bool> {
        match self.job.goal {
            Goal::Evacuate(cut) => {
                let end = entry.page.0 + (1 << entry.order);
                Ok(end > cut.0 || (entry.large && has_extent_beyond(pages, entry, cut)))
            }
            Goal::Nothing => Ok(false),
            Goal::Bound | Goal::Merge => Ok(filled(entry) * 8 <= ((PAGE_BYTES as u64) << entry.order) * 7),
        }
    }

    fn close(&mut self, tree: u32, run: &mut Vec<(u64, Entry)>, limit: u64) {
        let blocks = std::mem::take(run);
        if blocks.is_empty() {
            return;
        }
        let pages: u64 = blocks.iter().map(|(_, entry)| 1 << entry.order).sum();
        let live_bytes = blocks.iter().map(|(_, entry)| u64::from(entry.live_bytes)).sum();
        let gain = pages.saturating_sub(pages_after(&blocks));
        let worth = match self.job.goal {
            Goal::Bound => gain * 8 >= pages,
            Goal::Merge => gain > 0,
            Goal::Nothing => false,
            Goal::Evacuate(_) => true,
        };
        if worth {
            self.groups.push(Group { tree, blocks, limit, live_bytes, gain });
        }
    }
}

/// Bytes of a block that its live records need.
fn filled(entry: &Entry) -> u64 {
    RECORDS_AT as u64 + u64::from(entry.live_bytes) + u64::from(entry.live) * SLOT_BYTES as u64
}

/// Pages that the live records of neighbouring blocks take once they are merged, not less than it will be but
/// for what is lost at the ends of blocks.
fn pages_after(blocks: &[(u64, Entry)]) -> u64 {
    let order = blocks.iter().map(|(_, entry)| entry.order).max().unwrap_or(0);
    let bytes: u64 = blocks.iter().map(|(_, entry)| filled(entry) - RECORDS_AT as u64).sum();
    let records: u64 = blocks.iter().map(|(_, entry)| u64::from(entry.live)).sum();
    let mean = bytes / records.max(1);
    let usable = ((PAGE_BYTES as u64) << order).saturating_sub(RECORDS_AT as u64 + mean / 2);
    let (full, rest) = (bytes / usable.max(1), bytes % usable.max(1));
    let rest = if rest == 0 { 0 } else { (rest + RECORDS_AT as u64).div_ceil(PAGE_BYTES as u64).next_power_of_two() };
    (full << order) + rest
}

/// True if a large document of the block lies at `cut` or beyond. What can't be read is not moved.
fn has_extent_beyond(pages: &Pages, entry: &Entry, cut: PageNo) -> bool {
    let beyond = |record: &Record<'_>| extent_of(pages, record).is_some_and(|(page, pages)| page.0 + pages > cut.0);
    live_records(pages, 0, entry).is_ok_and(|records| records.iter().any(|(_, _, record)| beyond(record)))
}

/// The extent of a large document: first page and pages.
fn extent_of(pages: &Pages, record: &Record<'_>) -> Option<(PageNo, u64)> {
    let (page, _) = record.large.then(|| record.extent()).flatten()?;
    Some((page, pages.unit_shape(page).ok()?.1))
}

/// The live records of a block: ordinal, address, record. The block is checked against its entry.
fn live_records<'a>(pages: &'a Pages, base: u64, entry: &Entry) -> Result<Vec<(u64, Address, Record<'a>)>> {
    let memory = pages.block(entry.page)?;
    let (slots, end) = block::sealed_shape(&memory)?;
    let bad = |expected: u64, got: u64| Error::corrupt("record block (slots)", entry.page.0, 0, expected, got);
    if slots != usize::from(entry.slots) {
        return Err(bad(entry.slots.into(), slots as u64));
    }
    let mut records = Vec::with_capacity(entry.live.into());
    let mut position = RECORDS_AT;
    for slot in 0..slots {
        let at = u16::try_from(position).map_err(|_| bad(end as u64, position as u64))?;
        let record = block::read(&memory, at)?;
        position += record.bytes;
        if entry.is_live(slot) || planted(Bug::DeadRecordsMoved) {
            records.push((base.saturating_add(record.ordinal_delta), Address::new(entry.page, at), record));
        }
    }
    let live: u64 = records.iter().map(|(_, _, record): &(u64, Address, Record<'_>)| record.bytes as u64).sum();
    let fits = live == u64::from(entry.live_bytes) || planted(Bug::DeadRecordsMoved);
    if position != end || !fits {
        return Err(bad(end as u64, position as u64));
    }
    Ok(records)
}

/// Moves the records of a group. False if a block of it can't be read: it stays where it is, for `verify` and
/// `repair` to find, and checkpoints go on. False, too, where the records would not take fewer pages: they do
/// not always fill blocks as well as their mean suggests.
fn relocate(
    sink: &mut Sink<'_>,
    old: &Meta,
    goal: Goal,
    group: &Group,
    changes: &mut BTreeMap<u32, Changes>,
    totals: &mut Totals,
    done: &mut Done,
) -> Result<bool> {
    let pages = sink.pages();
    let mut records = Vec::new();
    for (base, entry) in &group.blocks {
        match live_records(pages, *base, entry) {
            Ok(found) if found.iter().all(|(_, _, record)| record.key().is_some()) => records.extend(found),
            _ => return Ok(false),
        }
    }
    let ascend = records.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if !ascend || records.last().is_some_and(|(ordinal, _, _)| *ordinal >= group.limit) {
        return Ok(false);
    }
    let order = group.blocks.iter().map(|(_, entry)| entry.order).max().unwrap_or(0);
    let (before, after) = (group.pages(), packed_pages(order, &records));
    let worth = match goal {
        Goal::Bound => before.saturating_sub(after) * 8 >= before,
        _ => after < before || matches!(goal, Goal::Evacuate(_)),
    };
    if !worth {
        return Ok(false);
    }
    let change = changes.entry(group.tree).or_default();
    for (base, entry) in &group.blocks {
        sink.retire(entry.page, 1 << entry.order)?;
        change.directory.insert(*base, None);
        totals.remove(entry);
        done.moved.left.push((entry.page, 1 << entry.order));
        done.gained += 1 << entry.order;
    }
    let mut left = bytes_of(&records);
    let mut packer = Packer { tree: group.tree, order, open: None };
    for (ordinal, from, record) in records {
        let stub = match goal {
            Goal::Evacuate(cut) => move_extent(sink, group.tree, &record, cut)?,
            _ => None,
        };
        let payload = stub.as_deref().unwrap_or(record.payload);
        if !packer.open.as_ref().is_some_and(|open| open.block.fits(ordinal, payload.len())) {
            packer.close(sink, change, totals, done)?;
            packer.begin(sink, ordinal, payload.len(), left)?;
        }
        left = left.saturating_sub(record.bytes + SLOT_BYTES + 2);
        let Some(open) = &mut packer.open else { continue };
        let to = open.block.append(ordinal, &[payload], record.large);
        open.live.push((block::record_bytes(payload.len(), ordinal - open.base), record.large));
        open.from.push(from);
        let hash = state::hash_of(old, record.key().unwrap_or_default());
        change.trie.push(Edit { hash: KeyHash(hash.0), old: Some(from), new: Some(to) });
        change.relocated = true;
        done.bytes += record.bytes as u64;
    }
    packer.close(sink, change, totals, done)?;
    Ok(true)
}

/// Bytes that records take in blocks, about.
fn bytes_of(records: &[(u64, Address, Record<'_>)]) -> usize {
    records.iter().map(|(_, _, record)| record.bytes + SLOT_BYTES + 2).sum()
}

/// The order of the next block, for a record of `payload` bytes when some `left` bytes are still to come.
fn next_order(most: u8, payload: usize, left: usize) -> u8 {
    let fits = |order: u8, bytes: usize| RECORDS_AT + bytes <= PAGE_BYTES << order;
    let one = block::record_bytes(payload, 0) + SLOT_BYTES;
    let mut order = 0;
    while order < most && !fits(order, left) {
        order += 1;
    }
    while !fits(order, one) && order < crate::file::pages::MAX_ORDER {
        order += 1;
    }
    order
}

/// Pages of the blocks that [`Packer`] makes of these records.
fn packed_pages(most: u8, records: &[(u64, Address, Record<'_>)]) -> u64 {
    let (mut pages, mut left) = (0, bytes_of(records));
    // First ordinal, order, end and slots of the block that is being filled.
    let mut open: Option<(u64, u8, usize, usize)> = None;
    for (ordinal, _, record) in records {
        let payload = record.payload.len();
        let room = open.filter(|&(base, order, end, slots)| {
            let need = block::record_bytes(payload, ordinal - base) + (slots + 1) * SLOT_BYTES;
            slots < block::MAX_SLOTS && end <= usize::from(u16::MAX) && end + need <= PAGE_BYTES << order
        });
        let (base, order, end, slots) = room.unwrap_or_else(|| {
            let order = next_order(most, payload, left);
            pages += 1 << order;
            (*ordinal, order, RECORDS_AT, 0)
        });
        open = Some((base, order, end + block::record_bytes(payload, ordinal - base), slots + 1));
        left = left.saturating_sub(record.bytes + SLOT_BYTES + 2);
    }
    pages
}

/// Copies the extent of a large document if it lies at `cut` or beyond, and returns the stub that names the copy.
fn move_extent(sink: &mut Sink<'_>, tree: u32, record: &Record<'_>, cut: PageNo) -> Result<Option<Vec<u8>>> {
    let Some((page, pages)) = extent_of(sink.pages(), record).filter(|(page, pages)| page.0 + pages > cut.0) else {
        return Ok(None);
    };
    // One that can't be read stays: its stub is copied as it is.
    let Ok(document) = sink.pages().extent(page) else { return Ok(None) };
    let Some(at) = record.payload.len().checked_sub(STUB_TAIL_BYTES) else { return Ok(None) };
    let to = sink.allocate_extent(pages)?;
    let copy = HeapExtent::new(sink.pool(), to, tree.into(), document);
    sink.write_extent(&copy)?;
    sink.retire(page, pages)?;
    let mut stub = record.payload.to_vec();
    put_u48(&mut stub[at..], 0, to.0);
    Ok(Some(stub))
}

/// Fills new blocks with records, one after the other.
struct Packer {
    tree: u32,
    order: u8,
    open: Option<Filling>,
}

struct Filling {
    block: OpenBlock,
    page: PageNo,
    base: u64,
    order: u8,
    /// Bytes of each record, and whether it is a stub.
    live: Vec<(usize, bool)>,
    from: Vec<Address>,
}

impl Packer {
    /// Begins a block for a record of `payload` bytes with this ordinal; some `left` bytes are still to come.
    fn begin(&mut self, sink: &mut Sink<'_>, ordinal: u64, payload: usize, left: usize) -> Result<()> {
        let order = next_order(self.order, payload, left);
        let page = crate::file::page::PageSink::allocate(sink, order)?;
        let block = OpenBlock::new(sink.pool(), page, order, self.tree.into(), ordinal);
        self.open = Some(Filling { block, page, base: ordinal, order, live: Vec::new(), from: Vec::new() });
        Ok(())
    }

    fn close(&mut self, sink: &mut Sink<'_>, change: &mut Changes, totals: &mut Totals, done: &mut Done) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let mut entry = EntryBuilder::new(open.page, open.order, open.live.len());
        for (slot, (bytes, large)) in open.live.iter().enumerate() {
            entry.live(slot, *bytes, *large);
        }
        let Some(entry) = entry.finish() else { return Ok(()) };
        totals.add(&entry);
        done.gained = done.gained.saturating_sub(1 << entry.order);
        change.directory.insert(open.base, Some(entry));
        done.moved.from.insert(open.page, open.from);
        sink.write_block(&open.block.close())
    }
}

/// The blocks of a collection in order: its directory with a fold's changes over it.
struct Overlay<'a> {
    cursor: Cursor,
    stored: Option<(u64, Entry)>,
    edits: Peekable<Range<'a, u64, Option<Entry>>>,
}

impl<'a> Overlay<'a> {
    fn new(
        pages: &Pages,
        directory: &TreeRoot,
        edits: &'a BTreeMap<u64, Option<Entry>>,
        first: u64,
    ) -> Result<Overlay<'a>> {
        let mut cursor = Cursor::seek(pages, directory, first)?;
        let stored = advance(&mut cursor, pages)?;
        Ok(Overlay { cursor, stored, edits: edits.range(first..).peekable() })
    }

    fn next(&mut self, pages: &Pages) -> Result<Option<(u64, Entry)>> {
        loop {
            let edited = self.edits.peek().map(|(base, _)| **base);
            let stored = self.stored.as_ref().map(|(base, _)| *base);
            let Some(base) = edited.into_iter().chain(stored).min() else { return Ok(None) };
            let mut entry = None;
            if stored == Some(base) {
                entry = self.stored.take().map(|(_, entry)| entry);
                self.stored = advance(&mut self.cursor, pages)?;
            }
            if edited == Some(base) {
                entry = self.edits.next().and_then(|(_, entry)| entry.clone());
            }
            if let Some(entry) = entry {
                return Ok(Some((base, entry)));
            }
        }
    }
}

fn advance(cursor: &mut Cursor, pages: &Pages) -> Result<Option<(u64, Entry)>> {
    cursor.next(pages)?.map(|(base, bytes)| Ok((base, Entry::decode(bytes, base)?))).transpose()
}
