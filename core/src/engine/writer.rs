//! The writer's own state: what only the holder of the writer lock sees and changes.
//!
//! A commit goes through it in three steps, of which only the first two can fail (Invariant 13):
//!
//! ```text
//!   place    records are appended to open blocks in the heap    (nobody can find them yet)
//!   log      the frame is appended to the log                   (fails: the records are garbage)
//!   apply    versions, deaths and counts go into the delta      (cannot fail)
//! ```

use super::changes::Changes;
use super::delta::{NewVersion, TreeDelta};
use super::frame::{self, KeyOp};
use super::keys::Keys;
use super::state::{State, Tip, BATCH};
use super::tree_writers::TreeWriters;
use super::trees::{self, Kind, TreeEntry, CATALOG};
use crate::error::Result;
use crate::file::page::{put_u32, put_u48, Address, PageKind, PageNo};
use crate::file::pages::Pages;
use crate::file::space::Space;
use crate::hash::KeyHash;
use crate::log::Log;
use crate::memory::Pool;
use crate::plant::{planted, Bug};
use crate::record::block::{self, ClosedBlock, OpenBlock};
use crate::record::extent::{self, HeapExtent};
use crate::record::key;
use crate::sorted::cell::Cell;
use crate::sorted::memtable::{Near, Range};
use crate::sorted::MAX_INLINE_BYTES;
use crate::sync::{Arc, Mutex};
use std::collections::HashMap;

/// A collection as the writer knows it: the newest counts, and the block it appends to.
#[derive(Debug)]
pub struct TreeWriter {
    open: Option<OpenBlock>,
    /// Its part of the active delta; none after a freeze.
    part: Option<Arc<TreeDelta>>,
    /// The counts that a checkpoint stores.
    pub counts: Counts,
    /// Changed since the last freeze.
    pub dirty: bool,
    /// The number of live documents before the commit that is being applied, once it has changed.
    before: Option<u64>,
}

/// Counters of one collection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Live documents.
    pub live: u64,
    /// Bytes of the live documents.
    pub live_bytes: u64,
    /// The largest positive integer id ever held.
    pub max_id: u64,
}

/// Everything that a freeze hands to the checkpoint.
#[derive(Debug, Default)]
pub struct Heap {
    /// Blocks that are complete.
    pub blocks: Vec<ClosedBlock>,
    /// Large documents.
    pub extents: Vec<HeapExtent>,
    /// Bytes of both.
    pub bytes: u64,
}

/// See the module's text.
pub struct Writer {
    /// The published state; only the holder of the lock publishes another.
    pub state: Arc<State>,
    /// The last commit applied.
    pub tip: u64,
    /// End of its frame in the log.
    pub tip_lsn: u64,
    /// The next ordinal to give out.
    pub next_ordinal: u64,
    /// The next tree number to give out.
    pub next_tree: u32,
    /// The log; none until the first commit after opening.
    pub log: Option<Arc<Log>>,
    /// Collections written to since opening.
    pub trees: TreeWriters,
    /// Those whose number of live documents the commit that is being applied has changed.
    counted: Vec<u32>,
    /// Trees dropped since the last freeze.
    pub dropped: Vec<u32>,
    /// Units in the heap since the last freeze.
    pub heap: Heap,
    /// Names resolved at the tip; emptied by every change of the catalog.
    pub names: HashMap<String, (Kind, u32)>,
    /// Buffers that are used again.
    pub scratch: Scratch,
}

/// Buffers of transactions, kept from one to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Its changes, with the frame that the log gets.
    pub changes: Changes,
    /// Its changes of keyspaces.
    pub keys: Keys,
    /// Where its documents were placed.
    pub addresses: Vec<Option<Address>>,
}

/// A change that is ready to be placed and applied.
#[derive(Debug, Clone, Copy)]
pub struct Op<'a> {
    /// The collection.
    pub tree: u32,
    /// Hash of the key.
    pub hash: KeyHash,
    /// The id's newest version before this change.
    pub tip: Tip,
    /// The new document; none for a delete.
    pub document: Option<&'a [u8]>,
    /// Its id if that is a positive integer, else 0.
    pub id: u64,
}

/// A change of the log whose memory was asked for.
struct Ahead<'p> {
    op: frame::Op<'p>,
    key: &'p [u8],
    /// The collection and the hash of the key; none for a change that has no key.
    place: Option<(u32, KeyHash)>,
}

/// What a commit needs of the engine.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The page table.
    pub pages: &'a Pages,
    /// The allocator.
    pub space: &'a Mutex<Space>,
    /// Memory for what is not in the file yet.
    pub pool: &'a Pool,
    /// Largest order of block in this file.
    pub max_order: u8,
}

impl Writer {
    /// The writer of a database that was just opened (or created) at `state`.
    pub fn new(state: Arc<State>) -> Writer {
        let meta = state.meta.clone();
        Writer {
            state,
            tip: meta.commit,
            tip_lsn: meta.lsn,
            next_ordinal: meta.next_ordinal,
            next_tree: meta.next_tree as u32,
            log: None,
            trees: TreeWriters::default(),
            counted: Vec::new(),
            dropped: Vec::new(),
            heap: Heap::default(),
            names: HashMap::new(),
            scratch: Scratch::default(),
        }
    }

    /// The collection's writer, made from the roots when it is first needed.
    pub fn tree(&mut self, pages: &Pages, tree: u32) -> Result<&mut TreeWriter> {
        let state = &self.state;
        self.trees.get_or_make(tree, || {
            let TreeEntry { live, live_bytes, max_id, .. } = state.tree(pages, tree)?;
            let counts = Counts { live, live_bytes, max_id };
            Ok(TreeWriter { open: None, part: None, counts, dirty: false, before: None })
        })
    }

    /// Appends the document as a record with the next ordinal. Nothing finds it until it is applied.
    pub fn place(&mut self, context: Context<'_>, tree: u32, document: &[u8]) -> Result<Address> {
        let ordinal = self.next_ordinal;
        let large = document.len() > block::inline_limit(context.max_order);
        let stub = if large { self.place_large(context, tree, document)? } else { Vec::new() };
        let payload = if large { &stub } else { document };
        self.tree(context.pages, tree)?;
        let Some(writer) = self.trees.get(tree) else { unreachable!("made above") };
        if writer.open.as_ref().is_none_or(|open| !open.fits(ordinal, payload.len())) {
            self.heap.blocks.extend(writer.open.take().map(OpenBlock::close));
            let mean = match writer.counts.live {
                0 => payload.len(),
                live => (writer.counts.live_bytes / live) as usize,
            };
            let mut order = block::order_for(mean.max(payload.len() / 4), context.max_order);
            // A record larger than the mean would suggest still needs a block that holds it.
            while order < context.max_order && !fits_empty(order, payload.len()) {
                order += 1;
            }
            let page = context.space.lock().give(context.pages, order)?;
            let named = if planted(Bug::TreeNotNamed) { CATALOG } else { tree };
            let open = OpenBlock::new(context.pool, page, order, named.into(), ordinal);
            // SAFETY: the block's memory lives in `heap` and then in the checkpoint's and the retire
            // list, which free it only when no state that could reach it is left.
            unsafe { context.pages.put_heap(page, PageKind::Block, order, open.memory())? };
            self.heap.bytes += (crate::file::page::PAGE_BYTES as u64) << order;
            writer.open = Some(open);
        }
        self.next_ordinal += 1;
        match &mut writer.open {
            Some(open) => Ok(open.append(ordinal, &[payload], large)),
            None => unreachable!("opened above"),
        }
    }

    /// Puts a large document into an extent and builds its stub.
    fn place_large(&mut self, context: Context<'_>, tree: u32, document: &[u8]) -> Result<Vec<u8>> {
        let page = self.place_extent(context, tree, document)?;
        let key = key::key_of(document).unwrap_or_default();
        let mut stub = vec![0x81];
        stub.extend_from_slice(&key::ID_FIELD);
        stub.extend_from_slice(key);
        let mut tail = [0; block::STUB_TAIL_BYTES];
        put_u48(&mut tail, 0, page.0);
        let sixteen = |length: u32| if planted(Bug::LengthOfSixteenBits) { length & 0xffff } else { length };
        put_u32(&mut tail, 6, sixteen(document.len() as u32));
        stub.extend_from_slice(&tail);
        Ok(stub)
    }

    fn place_extent(&mut self, context: Context<'_>, tree: u32, bytes: &[u8]) -> Result<PageNo> {
        let pages = extent::pages_for(bytes.len());
        let page = context.space.lock().give_extent(context.pages, pages as u64)?;
        let extent = HeapExtent::new(context.pool, page, tree.into(), bytes);
        // SAFETY: as for blocks.
        unsafe { context.pages.put_heap(page, PageKind::Extent, 0, extent.unit.ptr())? };
        self.heap.bytes += extent.unit.len() as u64;
        self.heap.extents.push(extent);
        Ok(page)
    }

    /// Gives a large value of a keyspace its extent; none for any other change.
    pub fn place_value(&mut self, context: Context<'_>, tree: u32, op: KeyOp<'_>) -> Result<Option<PageNo>> {
        match op {
            KeyOp::Put(_, value) if is_large(context, value) => self.place_extent(context, tree, value).map(Some),
            _ => Ok(None),
        }
    }

    /// Makes a change of a keyspace visible to commit `commit` and later. Cannot fail. `values`: the extents of large
    /// values, in the order of their changes. `near`: see [`put_near`](crate::sorted::memtable::Memtable::put_near).
    pub fn apply_key(
        &mut self,
        context: Context<'_>,
        tree: u32,
        op: KeyOp<'_>,
        values: &mut dyn Iterator<Item = PageNo>,
        commit: u64,
        near: Near,
    ) {
        let keys = &self.state.sorted.active;
        match op {
            KeyOp::Put(key, value) => {
                let large = if is_large(context, value) { values.next() } else { None };
                let cell = match large {
                    Some(page) => Cell::Large { page, length: value.len() as u32 },
                    None => Cell::Value(value),
                };
                keys.put_near(tree, key, cell, commit, near);
            }
            KeyOp::Delete(key) => keys.put_near(tree, key, Cell::Deleted, commit, near),
            KeyOp::DeleteRange(start, end) => keys.delete_range(tree, Range { start, end }, commit),
        }
    }

    /// Makes the change visible to commit `commit` and later. Cannot fail: everything it needs was
    /// made before. `address` is where the document was placed.
    pub fn apply(&mut self, pages: &Pages, op: &Op<'_>, address: Option<Address>, commit: u64) {
        let (active, live) = (&self.state.active, op.tip.live());
        if let Some(old) = live {
            match op.tip {
                Tip::Active(version) => active.kill(version.index, commit),
                Tip::Frozen(version) => {
                    // Seen by states that still hold the frozen delta, and by those after the swap.
                    if let Some(frozen) = &self.state.frozen {
                        frozen.kill(version.index, commit);
                    }
                    if !planted(Bug::DeathsForgotten) {
                        active.mark(old, commit);
                    }
                }
                Tip::Base(_) => active.mark(old, commit),
                Tip::Absent => {}
            }
        }
        let (previous, base) = match op.tip {
            Tip::Active(version) => (Some(version.index), None),
            Tip::Frozen(version) => (None, Some(version.address)),
            Tip::Base(address) => (None, Some(address)),
            Tip::Absent => (None, None),
        };
        let Some(at) = address.or(live) else { return };
        let dead_bytes = live.map_or(0, |old| document_bytes(pages, old));
        let Some(writer) = self.trees.get(op.tree) else { return };
        let part = writer.part.get_or_insert_with(|| active.part(op.tree));
        let version = NewVersion {
            tree: op.tree,
            hash: op.hash.0,
            commit,
            address: at,
            tombstone: op.document.is_none(),
            previous,
            base,
        };
        active.insert(part, version);
        writer.dirty = true;
        let counts = &mut writer.counts;
        counts.live_bytes = counts.live_bytes.saturating_sub(dead_bytes);
        let before = counts.live;
        counts.live = counts.live.saturating_sub(live.is_some().into());
        if let Some(document) = op.document {
            counts.live += 1;
            counts.live_bytes += document.len() as u64;
            counts.max_id = counts.max_id.max(op.id);
        }
        if counts.live != before && writer.before.is_none() {
            writer.before = Some(before);
            self.counted.push(op.tree);
        }
    }

    /// Makes known how many documents the collections changed by `commit` have. After its last change.
    pub fn note_counts(&mut self, commit: u64) {
        for tree in self.counted.drain(..) {
            let Some(writer) = self.trees.get(tree) else { continue };
            let before = writer.before.take();
            if let (Some(part), false) = (&writer.part, before == Some(writer.counts.live)) {
                self.state.active.set_count(part, commit, writer.counts.live);
            }
        }
    }

    /// A dropped collection: nothing reads it any more from `commit` on, the fold frees it.
    pub fn drop_tree(&mut self, tree: u32) {
        if let Some(writer) = self.trees.remove(tree) {
            self.heap.blocks.extend(writer.open.map(OpenBlock::close));
        }
        self.dropped.push(tree);
    }

    /// Closes all open blocks and hands over what was written since the last freeze; nothing is appended to
    /// these blocks again (Invariant 5).
    pub fn take_heap(&mut self) -> Heap {
        for (_, writer) in self.trees.iter_mut() {
            self.heap.blocks.extend(writer.open.take().map(OpenBlock::close));
            writer.part = None;
        }
        std::mem::take(&mut self.heap)
    }

    /// Counters of the collections changed since the last freeze.
    pub fn take_counts(&mut self) -> Vec<(u32, Counts)> {
        let dirty = self.trees.iter_mut().filter(|(_, writer)| writer.dirty);
        let mut counts: Vec<_> = dirty
            .map(|(tree, writer)| (tree, std::mem::take(&mut writer.dirty), writer.counts))
            .map(|(tree, _, counts)| (tree, counts))
            .collect();
        counts.sort_unstable_by_key(|(tree, _)| *tree);
        counts
    }

    /// Replays one frame of the log: the same steps as a commit, without the log, with the same ordinals
    /// (Invariant 9).
    pub fn replay(&mut self, context: Context<'_>, commit: u64, payload: &[u8]) -> Result<()> {
        let mut reader = frame::Reader::new(payload, commit)?;
        self.next_ordinal = self.next_ordinal.max(reader.first_ordinal());
        // Some at a time, so that their cache misses overlap.
        let mut window = Vec::with_capacity(BATCH.min(payload.len() / 16 + 1));
        loop {
            window.clear();
            while window.len() < BATCH {
                let Some(op) = reader.next()? else { break };
                window.push(self.prefetch_replay(context, commit, op)?);
            }
            if window.is_empty() {
                break;
            }
            for (tree, hash) in window.iter().filter_map(|ahead| ahead.place) {
                self.state.prefetch_record(context.pages, tree, hash);
            }
            for ahead in window.drain(..) {
                self.replay_op(context, commit, ahead)?;
            }
        }
        self.note_counts(commit);
        self.tip = commit;
        Ok(())
    }

    /// Asks for the memory that the change will touch.
    fn prefetch_replay<'p>(&self, context: Context<'_>, commit: u64, op: frame::Op<'p>) -> Result<Ahead<'p>> {
        let (tree, key) = match op {
            frame::Op::Put { tree, document } => (tree, key::key_of(document)),
            frame::Op::Delete { tree, key } => (tree, Some(key)),
            frame::Op::DropTree { .. } | frame::Op::Key { .. } => return Ok(Ahead { op, key: &[], place: None }),
        };
        let key = key.ok_or_else(|| frame::damaged(commit, 0))?;
        let hash = super::state::hash_of(&self.state.meta, key);
        self.state.prefetch_tip(context.pages, tree, hash);
        Ok(Ahead { op, key, place: Some((tree, hash)) })
    }

    fn replay_op(&mut self, context: Context<'_>, commit: u64, ahead: Ahead<'_>) -> Result<()> {
        let document = match ahead.op {
            frame::Op::Put { document, .. } => Some(document),
            frame::Op::Delete { .. } if planted(Bug::DeleteNotReplayed) => return Ok(()),
            frame::Op::Delete { .. } => None,
            frame::Op::DropTree { .. } if planted(Bug::DropNotReplayed) => return Ok(()),
            frame::Op::Key { op: KeyOp::DeleteRange(..), .. } if planted(Bug::RangeNotReplayed) => return Ok(()),
            frame::Op::Key { tree, op } => {
                self.saw_tree(tree);
                let mut placed = self.place_value(context, tree, op)?.into_iter();
                self.apply_key(context, tree, op, &mut placed, commit, Near::NOWHERE);
                return Ok(());
            }
            frame::Op::DropTree { tree } => {
                self.saw_tree(tree);
                self.drop_tree(tree);
                return Ok(());
            }
        };
        let Some((tree, hash)) = ahead.place else { return Ok(()) };
        let key = ahead.key;
        self.saw_tree(tree);
        if let (CATALOG, Some(document)) = (tree, document) {
            // An empty collection has its number from here alone.
            self.saw_tree(trees::tree_of_document(document)?);
        }
        let tip = self.state.tip(context.pages, tree, key, hash)?;
        if document.is_none() && tip.live().is_none() {
            return Ok(());
        }
        self.tree(context.pages, tree)?;
        let address = document.map(|document| self.place(context, tree, document)).transpose()?;
        let id = if document.is_some() { trees::positive_id(key) } else { 0 };
        self.apply(context.pages, &Op { tree, hash, tip, document, id }, address, commit);
        Ok(())
    }
}

impl Writer {
    /// No collection made from here on gets this tree number.
    fn saw_tree(&mut self, tree: u32) {
        self.next_tree = self.next_tree.max(tree.saturating_add(1));
    }
}

/// True for a value that gets an extent.
fn is_large(context: Context<'_>, value: &[u8]) -> bool {
    value.len() > MAX_INLINE_BYTES.min(block::inline_limit(context.max_order))
}

fn fits_empty(order: u8, payload: usize) -> bool {
    block::RECORDS_AT + block::record_bytes(payload, 0) + 2 <= crate::file::page::PAGE_BYTES << order
}

/// Bytes of the document at an address, 0 where it can't be read (counts only).
fn document_bytes(pages: &Pages, address: Address) -> u64 {
    super::state::read(pages, address).map_or(0, |found| match found.record.large {
        false => found.record.payload.len() as u64,
        true => found.record.extent().map_or(0, |(_, length)| length as u64),
    })
}
