//! Checkpoints: folding what is in memory into the file.
//!
//! ```text
//!   freeze   (writer lock, O(1))   active delta -> frozen, a new one takes its place
//!   fold     (no lock)             blocks, tries, directories, tree table, free space -> new pages
//!   sync     data file, then the log through the freeze
//!   name     meta A, sync, meta B, sync
//!   swap     (writer lock, O(1))   roots of the new pages replace roots + frozen delta
//!   let go   pages, buffers and log that only older states reached
//! ```
//!
//! Nothing that a durable checkpoint, a snapshot or the published state reaches is written to (Invariant 12;
//! the order of syncs is Invariant 16). A
//! checkpoint that fails before its first meta page is taken back and tried again later with the same
//! frozen delta; one that fails after it stops all writing, since nobody can tell what is on the disk.

use super::delta::{Delta, Room};
use super::fold::{Plan, Totals};
use super::reclaim::{self, Goal, Job, Moved, Position};
use super::state::{Moves, State};
use super::trees::DROPPED;
use super::writer::{Counts, Heap};
use super::{pace, Engine};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::file::cache::Hold;
use crate::file::meta::Meta;
use crate::file::page::{self, PageBuf, PageKind, PageNo, PageSink, PageSource, PAGE_BYTES};
use crate::file::tree::{Cursor, TreeRoot};
use crate::int_map::IntSet;
use crate::log::Lsn;
use crate::plant::{planted, Bug};
use crate::record::block::ClosedBlock;
use crate::record::extent::{self, HeapExtent};
use crate::sorted::compact::Goal as Merges;
use crate::sorted::levels::Levels;
use crate::sorted::memtable::Memtable;
use crate::sync::{Arc, Ordering};

/// What a freeze took from the writer; kept until its checkpoint has succeeded.
pub struct Work {
    /// The frozen delta.
    pub frozen: Arc<Delta>,
    /// The frozen memtable.
    pub keys: Arc<Memtable>,
    /// Its blocks and large documents.
    pub heap: Heap,
    /// Counters of the collections it changed.
    pub counts: Vec<(u32, Counts)>,
    /// Trees dropped in it.
    pub dropped: Vec<u32>,
    /// Its last commit.
    pub commit: u64,
    /// Where the log goes on.
    pub lsn: u64,
    /// Checksum of the frame before.
    pub chain: u64,
    /// The next ordinal after it.
    pub next_ordinal: u64,
    /// The next tree number after it.
    pub next_tree: u32,
    /// Records that it knows by their addresses before.
    pub moved: Option<Arc<Moved>>,
}

/// What is given back when no state before a certain one is left (Invariant 4). Dropping it frees the memory.
pub enum Retired {
    /// A run of pages.
    Pages(PageNo, u64),
    /// A block's heap memory.
    Block(ClosedBlock),
    /// A large document's heap memory.
    Extent(HeapExtent),
}

impl Retired {
    /// Pages of the file that wait.
    pub fn pages(&self) -> u64 {
        match self {
            Retired::Pages(_, pages) => *pages,
            Retired::Block(_) | Retired::Extent(_) => 0,
        }
    }

    /// Bytes of memory that wait.
    pub fn memory_bytes(&self) -> u64 {
        match self {
            Retired::Pages(..) => 0,
            Retired::Block(block) => block.unit.bytes().len() as u64,
            Retired::Extent(extent) => extent.unit.bytes().len() as u64,
        }
    }
}

/// A checkpoint that is durable and not swapped in yet.
struct Done {
    meta: Arc<Meta>,
    outcome: Outcome,
    /// Runs that only older checkpoints reach.
    retired: Vec<(PageNo, u64)>,
}

/// What the fold decided about the units in the heap.
#[derive(Default)]
pub struct Outcome {
    /// Units that are part of the checkpoint: (page, pages).
    pub adopted: Vec<(PageNo, u64)>,
    /// Units with nothing alive in them.
    pub discarded: Vec<(PageNo, u64)>,
    /// What reclaim did.
    pub reclaimed: reclaim::Done,
    /// Pages of dropped trees are left to free.
    pub dropped_left: bool,
    /// Root of the manifest, and the number of the next run.
    pub manifest: (TreeRoot, u64),
    /// The runs, if they were looked at.
    pub levels: Option<Arc<Levels>>,
    /// Runs are left to merge.
    pub runs_left: bool,
    /// Bytes of the runs that were written.
    pub run_bytes: u64,
    /// Bytes of the keys and values that were flushed into them.
    pub flushed_bytes: u64,
}

/// What a checkpoint is asked to do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Order {
    /// It is the last one before closing.
    pub clean: bool,
    /// Make one even if nothing was committed.
    pub force: bool,
    /// How far runs are merged.
    pub runs: Merges,
    /// Bytes of runs after which no further merge begins, if it is said.
    pub run_budget: Option<u64>,
    /// Give back all free space at the end of the file.
    pub shrink: bool,
    /// What to move, if it is more than what holds the bound.
    pub goal: Option<Goal>,
    /// Where to begin with it.
    pub from: Position,
    /// Blocks from this ordinal on are left alone; 0 for none.
    pub until: u64,
}

/// What a checkpoint did beside folding.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    /// Where to go on with the order's goal; none when all is done.
    pub next: Option<Position>,
    /// Bytes of records that were moved.
    pub moved_bytes: u64,
    /// Pages of the blocks that were looked at.
    pub seen_pages: u64,
    /// Pages of dropped collections are left to free.
    pub dropped_left: bool,
    /// Runs are left to merge.
    pub runs_left: bool,
    /// Bytes of the runs that were written.
    pub run_bytes: u64,
}

impl Engine {
    /// Runs one checkpoint. `clean`: this is the last one before closing. Returns false if there was
    /// nothing to do. Blocks until done; writers go on meanwhile.
    pub fn checkpoint(&self, clean: bool) -> Result<bool> {
        Ok(self.checkpoint_as(Order { clean, ..Order::default() })?.is_some())
    }

    /// [`Engine::checkpoint`] with more to say about it, and more told of it.
    pub fn checkpoint_as(&self, order: Order) -> Result<Option<Summary>> {
        let start = self.env.monotonic();
        let done = self.checkpoint_untold(order);
        self.tell_of_checkpoint(start, &done);
        done
    }

    fn checkpoint_untold(&self, order: Order) -> Result<Option<Summary>> {
        self.check_writable()?;
        let mut slot = self.work.lock();
        self.check_latch()?;
        // Invariant 15: commits may have come since an earlier freeze whose checkpoint failed.
        if !order.clean {
            // The closing checkpoint was the last: the file may be somebody else's by now.
            self.check_open()?;
        }
        let closing = order.clean;
        let order = Order { clean: order.clean && slot.is_none(), ..order };
        if slot.is_none() {
            *slot = self.freeze(order.force, closing)?;
        }
        let Some(work) = slot.take() else {
            self.let_go();
            let marked = if order.clean { self.mark_clean()? } else { false };
            return Ok(marked.then(Summary::default));
        };
        self.counters.checkpoints_started.fetch_add(1, Ordering::Relaxed);
        let mut ran = self.run(&work, &order);
        let damage = match &ran {
            Err(e @ Error::Corrupt(_)) if self.reclaim.lock().note_damage() => Some(e.clone()),
            _ => None,
        };
        if let Some(e) = &damage {
            // What is optional met a damaged page. Commits must not wait for its repair.
            self.event(Event::BackgroundError { error: e.clone() });
            ran = self.run(&work, &Order { goal: Some(Goal::Nothing), ..order });
        }
        match ran {
            Ok(done) => {
                let summary = self.swap(work, done, &order)?;
                self.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
                self.let_go();
                if !order.clean {
                    self.cut_end();
                    self.punch_holes();
                }
                match damage {
                    // Whoever asked for more than the rest needs to know that it was not done.
                    Some(e) if order.goal.is_some() => Err(e),
                    _ => Ok(Some(summary)),
                }
            }
            Err(e) => {
                *slot = Some(work);
                self.counters.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
                Err(e)
            }
        }
    }

    /// Freezes the active delta under the writer lock. `force`: even if nothing was committed.
    fn freeze(&self, force: bool, closing: bool) -> Result<Option<Work>> {
        // Made before the lock is taken: the memory may have to be cleared.
        let mut active = {
            let before = self.published.pin();
            let (ids, marks) = (before.active.distinct() as usize, before.active.marks_made() as usize);
            let most = pace::entries_between_checkpoints(&self.config);
            Delta::new(&self.pool, 0, Room { ids, marks, most })
        };
        let mut writer = self.writer.lock(std::time::Duration::MAX)?;
        let writer = &mut *writer;
        if !closing {
            self.check_open()?;
        }
        if writer.tip == writer.state.meta.commit && writer.dropped.is_empty() {
            if !force {
                return Ok(None);
            }
            // Invariant 15: a checkpoint that commits may follow is not clean.
            self.begin_log(writer)?;
        }
        debug_assert!(writer.state.frozen.is_none());
        let frozen = writer.state.active.clone();
        active.set_base(writer.tip);
        let meta = writer.state.meta.clone();
        let keys = writer.state.sorted.active.clone();
        let sorted = writer
            .state
            .sorted
            .with_memtables(Arc::new(Memtable::new(&self.pool, self.config.memtable_bytes)), Some(keys.clone()));
        let state = State::new(writer.state.number + 1, meta, Some(frozen.clone()), Arc::new(active), sorted);
        let moved = writer.state.moves.active.clone();
        let state = state.with_moves(Moves { active: None, frozen: moved.clone() });
        let (lsn, chain) = match &writer.log {
            Some(log) => (log.end().0, log.chain()),
            None => (writer.state.meta.lsn, writer.state.meta.chain),
        };
        let work = Work {
            frozen,
            keys,
            heap: writer.take_heap(),
            counts: writer.take_counts(),
            dropped: std::mem::take(&mut writer.dropped),
            commit: writer.tip,
            lsn,
            chain,
            next_ordinal: writer.next_ordinal,
            next_tree: writer.next_tree,
            moved,
        };
        writer.state = Arc::new(state);
        self.published.publish(writer.state.clone());
        let bytes = work.heap.bytes + work.frozen.bytes() + work.keys.bytes();
        self.frozen_bytes.store(bytes, Ordering::Relaxed);
        self.active_bytes.store(0, Ordering::Relaxed);
        self.freeze_lsn.store(lsn, Ordering::Relaxed);
        Ok(Some(work))
    }

    /// Fold, sync, name. On error everything is as before, or writing has stopped.
    fn run(&self, work: &Work, order: &Order) -> Result<Done> {
        let old = self.meta.lock().clone();
        self.space.lock().begin_checkpoint();
        let folded = self.fold_all(work, &old, order);
        let synced = folded.and_then(|(meta, outcome)| {
            if planted(Bug::UnitSwappedEarly) {
                outcome.adopted.iter().for_each(|(page, pages)| self.pages.unit_written(*page, *pages));
            }
            self.sync_data()?;
            match self.log.get() {
                Some(log) if self.config.durable() && !planted(Bug::LogNotSynced) => log.sync_through(Lsn(work.lsn))?,
                _ => {}
            }
            Ok((meta, outcome))
        });
        let (mut meta, outcome) = match synced {
            Ok(done) => done,
            Err(e) => {
                self.space.lock().abort_checkpoint();
                return Err(e);
            }
        };
        meta.clean = order.clean || planted(Bug::CleanTooEarly);
        if planted(Bug::GrowthNotDurable) {
            self.grow_to(self.pages.len() + 1)?;
            meta.file_pages = self.pages.len();
        }
        if let (Some(log), true) = (self.log.get(), planted(Bug::LogReleasedEarly)) {
            log.release_before(Lsn(work.lsn))?;
        }
        let meta = self.install_meta(meta)?;
        let retired = self.space.lock().finish_checkpoint();
        Ok(Done { meta, outcome, retired })
    }

    /// Makes all new pages of the checkpoint and returns the meta page that names them.
    fn fold_all(&self, work: &Work, old: &Meta, order: &Order) -> Result<(Meta, Outcome)> {
        let generation = old.generation + 1;
        self.pages.allow_generation(generation);
        let mut sink = Sink::new(self, generation);
        let mut outcome = Outcome::default();
        let plan = self.plan(order);
        let (tree_table, blocks) = super::fold::fold(&mut sink, work, old, &plan, &mut outcome)?;
        sink.check()?;
        self.write_heap(&mut sink, &work.heap, &outcome)?;
        let space = {
            let mut space = self.space.lock();
            if let (Goal::Evacuate(cut), None) = (plan.reclaim.goal, outcome.reclaimed.next) {
                space.evacuate(&self.pages, cut)?;
            }
            // The bitmap is written by pages of its own, taken before it is encoded.
            let mut pages = Vec::new();
            let root = space.persist(&self.pages, &mut |page, unit| {
                pages.push((page, unit));
                Ok(())
            })?;
            drop(space);
            for (page, unit) in pages {
                sink.write(page, unit)?;
            }
            root
        };
        sink.flush()?;
        let (used_pages, end) = {
            let space = self.space.lock();
            (space.used_pages(), space.end())
        };
        self.grow_to(end)?;
        let file_pages = self.end_to_name(order)?;
        let meta = Meta {
            generation,
            commit: work.commit,
            lsn: work.lsn,
            chain: work.chain,
            next_ordinal: work.next_ordinal,
            next_tree: work.next_tree.into(),
            file_pages,
            used_pages,
            tree_table,
            space,
            block_pages: blocks.pages,
            block_live_bytes: blocks.live_bytes,
            manifest: outcome.manifest.0,
            next_run: outcome.manifest.1,
            flushed_bytes: old.flushed_bytes.saturating_add(outcome.flushed_bytes),
            run_bytes: old.run_bytes.saturating_add(outcome.run_bytes),
            ..old.clone()
        };
        Ok((meta, outcome))
    }

    fn write_heap(&self, sink: &mut Sink<'_>, heap: &Heap, outcome: &Outcome) -> Result<()> {
        let adopted: std::collections::HashSet<PageNo> = outcome.adopted.iter().map(|(page, _)| *page).collect();
        for block in heap.blocks.iter().filter(|block| adopted.contains(&block.page)) {
            let seal = if planted(Bug::BlockNotSealed) { |_: &mut [u8], _, _| {} } else { page::seal };
            sink.copy(block.page, block.unit.bytes(), seal)?;
        }
        for extent in heap.extents.iter().filter(|extent| adopted.contains(&extent.page)) {
            sink.copy(extent.page, extent.unit.bytes(), extent::seal)?;
        }
        Ok(())
    }

    /// Makes the file at least `pages` long, with room to spare.
    pub fn grow_to(&self, pages: u64) -> Result<()> {
        let have = self.pages.len();
        if pages <= have {
            return Ok(());
        }
        let region = u64::from(self.config.region_pages);
        let want = (pages + self.ahead(pages)).next_multiple_of(region.min(16));
        self.file.allocate(want * PAGE_BYTES as u64).map_err(|e| Error::io("growing the file", e))?;
        self.pages.set_len(want);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        if !self.config.durable() || planted(Bug::DataNotSynced) {
            return Ok(());
        }
        // Invariant 6: the system may have dropped what it failed to write, lengths included, and will not tell
        // again: nothing more is written through this handle.
        self.file.sync_data().map_err(|e| self.latch(e))
    }

    /// Replaces roots and frozen delta by the folded roots.
    fn swap(&self, work: Work, done: Done, order: &Order) -> Result<Summary> {
        let Done { meta, outcome, retired } = done;
        let Outcome { adopted, discarded, reclaimed, dropped_left, levels, runs_left, run_bytes, .. } = outcome;
        self.counters.run_bytes_written.fetch_add(run_bytes, Ordering::Relaxed);
        let written: u64 = adopted.iter().map(|(_, pages)| pages * PAGE_BYTES as u64).sum();
        self.reclaim.lock().runs = runs_left;
        self.note_bought(order.run_budget.map_or(0, |_| run_bytes), runs_left);
        self.note_reclaimed(&reclaimed, dropped_left, written, &meta, order);
        let summary = Summary {
            next: reclaimed.next,
            moved_bytes: reclaimed.bytes,
            seen_pages: reclaimed.seen_pages,
            dropped_left,
            runs_left,
            run_bytes,
        };
        self.counters.block_bytes_written.fetch_add(written, Ordering::Relaxed);
        let mut moved = reclaimed.moved;
        let mut writer = self.writer.lock(std::time::Duration::MAX)?;
        debug_assert!(self.published.commit() >= work.commit, "Invariant 1: the freeze is published before the swap");
        // Before the new state is published: whoever pins it finds no pointer to the heap memory that goes
        // with the states before it. Invariant 5: the file was synced in `run`.
        for &(page, pages) in &adopted {
            // Only the first page of a unit has an entry in the table, but an extent has its pieces.
            self.pages.unit_written(page, pages);
        }
        // Invariant 3: the active delta goes on to know what it saw by the old addresses.
        moved.hold(&writer.state.active);
        let held: IntSet<PageNo> = moved.held.iter().map(|(page, _)| *page).collect();
        let moved = (!moved.is_empty()).then(|| Arc::new(moved));
        let active = match planted(Bug::NewestDeltaLost) {
            true => Arc::new(Delta::new(&self.pool, work.commit, Room::default())),
            false => writer.state.active.clone(),
        };
        let sorted = writer.state.sorted.with_levels(levels);
        let state = State::new(writer.state.number + 1, meta.clone(), None, active, sorted);
        let moved = moved.filter(|_| !planted(Bug::RelocationUnknown));
        let state = state.with_moves(Moves { active: moved, frozen: None });
        writer.state = Arc::new(state);
        self.published.publish(writer.state.clone());
        let number = writer.state.number;
        drop(writer);
        let mut list = self.retired.lock();
        let before = work.moved.iter().flat_map(|moved| moved.held.iter().copied());
        let now = retired.into_iter().filter(|(page, _)| !held.contains(page));
        let discarded = match planted(Bug::HeapPageReleasedEarly) {
            true => {
                let mut space = self.space.lock();
                discarded.iter().for_each(|(page, pages)| space.unpin(*page, *pages));
                Vec::new()
            }
            false => discarded,
        };
        let pages = now.chain(discarded.iter().copied()).chain(before);
        list.extend(pages.map(|(page, pages)| (number, Retired::Pages(page, pages))));
        list.extend(work.heap.blocks.into_iter().map(|block| (number, Retired::Block(block))));
        list.extend(work.heap.extents.into_iter().map(|extent| (number, Retired::Extent(extent))));
        drop(list);
        self.frozen_bytes.store(0, Ordering::Relaxed);
        self.checkpoint_lsn.store(meta.lsn, Ordering::Relaxed);
        if let Some(log) = self.log.get() {
            log.release_before(Lsn(meta.lsn))?;
        }
        Ok(summary)
    }

    /// Cuts the file to the length that both meta pages name, unless a reader, a backup or a tombstone of the active
    /// delta may still need a page beyond: only states before the current one reach any (Invariant 12). A file that
    /// stays longer does no harm.
    pub(super) fn trim(&self) {
        self.let_go();
        self.cut_end();
    }

    /// [`Engine::trim`] for a database that stays open.
    pub(super) fn trim_now(&self) {
        let _turn = self.work.lock();
        if self.check_open().is_ok() {
            self.trim();
        }
    }

    fn cut_end(&self) {
        let pages = self.meta.lock().file_pages;
        let state = self.published.pin();
        let moves = [&state.moves.active, &state.moves.frozen];
        let held = moves.into_iter().flatten().flat_map(|moved| &moved.held);
        let needed = held.map(|(page, pages)| page.0 + pages).max().unwrap_or(0);
        if self.published.kept() > 1 || !self.pins.is_empty() || pages >= self.pages.len() || needed > pages {
            return;
        }
        self.pages.shrink(pages);
        if let Err(e) = self.file.truncate(pages * PAGE_BYTES as u64) {
            self.event(Event::BackgroundError { error: Error::io("cutting the file", e) });
        }
    }

    /// What the next checkpoint moves and frees.
    fn plan(&self, order: &Order) -> Plan {
        let damaged = self.reclaim.lock().damaged;
        let goal = if damaged { Goal::Nothing } else { order.goal.unwrap_or(Goal::Bound) };
        let least = self.config.reclaim_bytes;
        // Where a user waits for it, more at once.
        let budget = if goal == Goal::Bound { least } else { least * 8 };
        let from = if order.goal.is_some() { order.from } else { self.reclaim.lock().from };
        Plan {
            reclaim: Job { goal, from, budget, slack: least, until: order.until },
            slice_pages: if damaged { 0 } else { self.config.slice_pages },
            shape: self.config.shape,
            runs: order.runs,
            run_budget: order.run_budget,
        }
    }

    /// Where reclaim goes on, and whether there is something left to do without any further commit.
    fn note_reclaimed(&self, done: &reclaim::Done, dropped_left: bool, written: u64, meta: &Meta, order: &Order) {
        let blocks = Totals { pages: meta.block_pages, live_bytes: meta.block_live_bytes };
        self.counters.relocated_bytes.fetch_add(done.bytes, Ordering::Relaxed);
        let mut reclaim = self.reclaim.lock();
        if order.goal.is_none() {
            reclaim.from = done.next.unwrap_or_default();
        }
        // New blocks may hold garbage, too, and are looked at next time; what gains nothing is not tried again.
        let worth = done.bytes > 0 || written > 0 || (done.more && done.next.is_some());
        let more = worth && order.goal.is_none() && blocks.excess(self.config.reclaim_bytes) > 0;
        reclaim.pending = (dropped_left || more) && !reclaim.damaged;
        reclaim.known = true;
    }

    /// What is to be merged although no commit asks for it: what walks have paid for; what is left, if nothing was
    /// committed since the last checkpoint, so that one more does not only flush a little.
    pub fn merges_due(&self) -> Result<Option<Order>> {
        let (left, damaged) = {
            let reclaim = self.reclaim.lock();
            (reclaim.runs, reclaim.damaged)
        };
        // Walks ask, too: they must not wait for whoever writes a meta page, who is not at rest anyway.
        let is_at_rest = || self.meta.try_lock().is_some_and(|meta| self.published.commit() == meta.commit);
        let order = Order { force: true, ..Order::default() };
        Ok(match self.paid()? {
            _ if damaged => None,
            Some(bytes) => Some(Order { runs: Merges::Walks, run_budget: Some(bytes), ..order }),
            None => (left && is_at_rest()).then_some(Order { runs: Merges::Settle, ..order }),
        })
    }

    /// Whether the background has something to reclaim. Looked up once after opening; then checkpoints say so.
    pub fn reclaim_pending(&self) -> Result<bool> {
        let mut reclaim = self.reclaim.lock();
        if !reclaim.known {
            let state = self.published.pin();
            let meta = &state.meta;
            let left = Cursor::seek(&self.pages, &meta.tree_table, DROPPED)?.next(&self.pages)?.is_some();
            let blocks = Totals { pages: meta.block_pages, live_bytes: meta.block_live_bytes };
            reclaim.pending = left || blocks.excess(self.config.reclaim_bytes) > 0;
            reclaim.known = true;
        }
        Ok(reclaim.pending)
    }

    /// The length that a checkpoint's meta pages name: the last one before closing gives back what the file was
    /// grown ahead, and any one a large free part at the end.
    fn end_to_name(&self, order: &Order) -> Result<u64> {
        let len = self.pages.len();
        let end = self.space.lock().used_end(&self.pages)?;
        if order.clean || order.shrink {
            return Ok(end);
        }
        let region = u64::from(self.config.region_pages);
        let ahead = self.ahead(end);
        let free = len.saturating_sub(end + ahead);
        Ok(if free > (len / 4).max(region * 4) { (end + ahead).next_multiple_of(region.min(16)) } else { len })
    }

    /// Pages that the file is grown ahead.
    fn ahead(&self, pages: u64) -> u64 {
        (pages / 64).clamp(u64::from(self.config.region_pages).min(16), 1024)
    }

    /// Gives the space of free regions back to the file system where more than a quarter of the file is free,
    /// but for the first ones, which are used next. Only pages are punched that neither the durable checkpoint nor
    /// any state in use reaches (Invariant 12).
    fn punch_holes(&self) {
        let len = self.meta.lock().file_pages.min(self.pages.len());
        let regions = {
            let mut space = self.space.lock();
            let free = len.saturating_sub(space.used_pages());
            let region = u64::from(self.config.region_pages);
            let keep = (len / 8).max(4 * region);
            if free <= (len / 4).max(keep) {
                return;
            }
            space.free_regions(len, (keep / region) as usize, PUNCHED_AT_ONCE)
        };
        self.punch(regions);
    }

    fn punch(&self, runs: Vec<(PageNo, u64)>) {
        for (page, pages) in runs {
            match self.file.punch(page.offset(), pages * PAGE_BYTES as u64) {
                Ok(true) => {}
                Ok(false) => return,
                Err(e) => {
                    return self.event(Event::BackgroundError { error: Error::io("punching a hole", e) });
                }
            }
            self.counters.punched_bytes.fetch_add(pages * PAGE_BYTES as u64, Ordering::Relaxed);
        }
    }

    /// Gives the free space of a file that is being closed back to the file system: what the checkpoints before the
    /// last one needed lies between its pages. Requires: the last checkpoint is durable in both meta pages.
    pub(super) fn give_back_free(&self) {
        let len = self.meta.lock().file_pages.min(self.pages.len());
        // What an earlier opening has left free, it gave back.
        let written = self.counters.page_bytes_written.load(Ordering::Relaxed) / PAGE_BYTES as u64;
        if written <= len / FREE_AT_CLOSE || self.is_looked_at() {
            return;
        }
        let runs = {
            let space = self.space.lock();
            if len.saturating_sub(space.used_pages()) <= len / FREE_AT_CLOSE {
                return;
            }
            space.free_runs(len, PUNCHED_RUN_PAGES)
        };
        self.punch(runs.into_iter().take(MOST_RUNS).collect());
    }

    /// Whether a reader, a backup or a tombstone may still need pages that the present state does not reach.
    fn is_looked_at(&self) -> bool {
        let state = self.published.pin();
        let moves = [&state.moves.active, &state.moves.frozen];
        let held = moves.into_iter().flatten().any(|moved| !moved.held.is_empty());
        held || self.published.kept() > 1 || !self.pins.is_empty()
    }

    /// Gives back what no state in use can reach any more (Invariant 4).
    pub fn let_go(&self) {
        let _hold = self.pages.hold();
        let oldest = self.published.let_go();
        let oldest = if planted(Bug::SnapshotNotHeld) { u64::MAX } else { oldest };
        let mut list = self.retired.lock();
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut *list).into_iter().partition(|(n, _)| *n <= oldest);
        *list = kept;
        drop(list);
        let runs = gone.iter().filter_map(|(number, retired)| match retired {
            Retired::Pages(page, pages) => Some((*number, *page, *pages)),
            Retired::Block(_) | Retired::Extent(_) => None,
        });
        // A unit that never left the heap must not be found there once its memory is gone.
        let runs = runs.inspect(|(_, page, pages)| self.pages.unit_written(*page, *pages));
        let free = self.pins.sift(runs);
        let mut space = self.space.lock();
        for (page, pages) in free {
            space.unpin(page, pages);
        }
    }

    /// Writes both meta pages, one after the other, each synced (Invariant 16). A failure stops all writing
    /// (Invariant 6). The named backups are those of the present meta page, whatever `meta` says:
    /// [`Engine::remember_backup`] may have come between.
    pub fn install_meta(&self, meta: Meta) -> Result<Arc<Meta>> {
        let mut current = self.meta.lock();
        let backups = current.backups.clone();
        self.write_metas(&mut current, Meta { backups, ..meta })
    }

    /// Writes `meta` over both meta pages, as the successor of `current`, and puts it in its place.
    pub(super) fn write_metas(&self, current: &mut Arc<Meta>, mut meta: Meta) -> Result<Arc<Meta>> {
        meta.sequence = current.sequence + 1;
        if self.config.durable() {
            self.check_latch()?;
            let page = meta.encode();
            for slot in 0..crate::file::meta::META_PAGES {
                let offset = slot * PAGE_BYTES as u64;
                let later = planted(Bug::MetasInOneSync) && slot == 0;
                let sync = || if later { Ok(()) } else { self.file.sync_data() };
                let written = self.file.write_at(&page, offset).and_then(|()| sync());
                written.map_err(|e| self.latch(e))?;
                if planted(Bug::SecondMetaLeftOut) {
                    break;
                }
            }
        }
        let meta = Arc::new(meta);
        *current = meta.clone();
        Ok(meta)
    }

    /// Nothing changed since the last checkpoint: says so in the meta pages, if they don't yet.
    fn mark_clean(&self) -> Result<bool> {
        let meta = self.meta.lock().clone();
        if meta.clean {
            return Ok(false);
        }
        self.install_meta(Meta { clean: true, ..(*meta).clone() })?;
        Ok(true)
    }
}

/// Gathers the pages of a checkpoint and writes neighbours together.
pub struct Sink<'a> {
    engine: &'a Engine,
    generation: u64,
    buffer: Vec<u8>,
    first: PageNo,
    failed: Option<Error>,
    /// What the fold reads stays while it may look at it.
    hold: Option<Hold>,
}

/// Regions given back to the file system by one checkpoint.
const PUNCHED_AT_ONCE: usize = 256;

/// When a file is closed, free space below this part of it is left where it is, ...
const FREE_AT_CLOSE: u64 = 128;
/// ... and so are shorter runs, ...
const PUNCHED_RUN_PAGES: u64 = 4;
/// ... and all but the longest ones: each is a call of the system.
const MOST_RUNS: usize = 1 << 15;

/// Where reclaim stands.
#[derive(Debug, Default)]
pub struct Reclaim {
    /// Where the next checkpoint looks for blocks.
    pub from: Position,
    /// There is something to do without any further commit.
    pub pending: bool,
    /// Whether there is was looked at since opening.
    pub known: bool,
    /// Runs are left to merge, which is done when the database is at rest.
    pub runs: bool,
    /// It met a damaged page: nothing is moved or freed that need not be until the file is opened again.
    pub damaged: bool,
}

impl Reclaim {
    /// Notes that a checkpoint met damage; true if it was the first.
    fn note_damage(&mut self) -> bool {
        !std::mem::replace(&mut self.damaged, true)
    }
}

/// Bytes gathered before they are written.
const GATHER_BYTES: usize = 1 << 20;

impl<'a> Sink<'a> {
    fn new(engine: &'a Engine, generation: u64) -> Sink<'a> {
        let hold = engine.pages.hold();
        Sink { engine, generation, buffer: Vec::new(), first: PageNo::NONE, failed: None, hold }
    }

    /// Another checkpoint is due soon.
    pub fn is_pressed(&self) -> bool {
        self.engine.is_checkpoint_near()
    }

    /// The page table. What is read through it directly must not be held over a [`PageSink::write`] or
    /// [`Sink::let_go_of_pages`].
    pub fn pages(&self) -> &'a crate::file::pages::Pages {
        &self.engine.pages
    }

    /// Marks a heap unit as part of the checkpoint.
    pub fn adopt(&mut self, page: PageNo, pages: u64) {
        self.engine.space.lock().adopt(page, pages);
    }

    /// Gives back a run of pages of the checkpoint before.
    pub fn retire(&mut self, page: PageNo, pages: u64) -> Result<()> {
        self.engine.space.lock().retire(&self.engine.pages, page, pages)
    }

    /// Lets retired pages be given out, whoever reads them: a planted mistake.
    pub fn unpin(&mut self, page: PageNo, pages: u64) {
        self.engine.space.lock().unpin(page, pages);
    }

    /// Memory for units in the making.
    pub fn pool(&self) -> &'a crate::memory::Pool {
        &self.engine.pool
    }

    /// A run of pages for a large document that moves.
    pub fn allocate_extent(&mut self, pages: u64) -> Result<PageNo> {
        self.engine.space.lock().take_extent(&self.engine.pages, pages)
    }

    /// Takes a block for writing.
    pub fn write_block(&mut self, block: &ClosedBlock) -> Result<()> {
        self.copy(block.page, block.unit.bytes(), page::seal)?;
        self.engine.pages.unit_written(block.page, 1 << block.order);
        Ok(())
    }

    /// Takes a large document for writing.
    pub fn write_extent(&mut self, extent: &HeapExtent) -> Result<()> {
        self.copy(extent.page, extent.unit.bytes(), extent::seal)?;
        self.engine.pages.unit_written(extent.page, extent.pages as u64);
        Ok(())
    }

    /// Nothing that was read so far is looked at again.
    pub fn let_go_of_pages(&mut self) {
        self.hold.iter_mut().for_each(Hold::renew);
    }

    fn check(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn gather(&mut self, page: PageNo, bytes: &[u8]) -> Result<&mut [u8]> {
        let next = self.first.0 + (self.buffer.len() / PAGE_BYTES) as u64;
        if page.0 != next || self.buffer.len() + bytes.len() > GATHER_BYTES {
            self.flush()?;
            self.first = page;
        }
        let at = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        Ok(&mut self.buffer[at..])
    }

    /// The runs of the checkpoint before.
    pub fn levels(&self, old: &Meta) -> Result<Arc<Levels>> {
        self.engine.levels_of(old)
    }

    /// Takes a unit for writing; `seal` is given the copy, the generation and the seed of the checksums.
    pub(super) fn copy(&mut self, page: PageNo, bytes: &[u8], seal: impl FnOnce(&mut [u8], u64, u64)) -> Result<()> {
        let (generation, seed) = (self.generation, self.engine.pages.seed());
        seal(self.gather(page, bytes)?, generation, seed);
        Ok(())
    }

    /// Writes what was gathered.
    pub fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let pages = (self.buffer.len() / PAGE_BYTES) as u64;
        self.engine.grow_to(self.first.0 + pages)?;
        let written = self.engine.file.write_at(&self.buffer, self.first.offset());
        written.map_err(|e| Error::io("writing pages", e))?;
        self.engine.counters.page_bytes_written.fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
        self.buffer.clear();
        Ok(())
    }
}

impl PageSource for Sink<'_> {
    fn unit(&self, page: PageNo, kind: PageKind) -> Result<&[u8]> {
        self.engine.pages.unit(page, kind)
    }
}

impl PageSink for Sink<'_> {
    fn allocate(&mut self, order: u8) -> Result<PageNo> {
        self.engine.space.lock().take(&self.engine.pages, order)
    }

    fn write(&mut self, page: PageNo, unit: PageBuf) -> Result<()> {
        let pages = (unit.len() / PAGE_BYTES) as u64;
        // What was read through this sink is borrowed from it, so nobody holds any of it now.
        self.let_go_of_pages();
        self.copy(page, &unit, page::seal)?;
        // A page that is used again may have been verified in its earlier life.
        self.engine.pages.unit_written(page, pages);
        Ok(())
    }

    fn release(&mut self, page: PageNo, order: u8) {
        if let Err(e) = self.retire(page, 1 << order) {
            self.failed.get_or_insert(e);
        }
    }
}
