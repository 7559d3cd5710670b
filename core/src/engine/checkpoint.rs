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

use super::delta::Delta;
use super::state::State;
use super::writer::{Counts, Heap};
use super::Engine;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::file::meta::Meta;
use crate::file::page::{self, PageBuf, PageKind, PageNo, PageSink, PageSource, PAGE_BYTES};
use crate::log::Lsn;
use crate::record::block::ClosedBlock;
use crate::record::extent::{self, HeapExtent};
use crate::sync::{Arc, Ordering};

/// What a freeze took from the writer; kept until its checkpoint has succeeded.
pub struct Work {
    /// The frozen delta.
    pub frozen: Arc<Delta>,
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
}

impl Engine {
    /// Runs one checkpoint. `clean`: this is the last one before closing. Returns false if there was
    /// nothing to do. Blocks until done; writers go on meanwhile.
    pub fn checkpoint(&self, clean: bool) -> Result<bool> {
        let mut slot = self.work.lock();
        self.check_latch()?;
        // Invariant 15: commits may have come since an earlier freeze whose checkpoint failed.
        let clean = clean && slot.is_none();
        if slot.is_none() {
            *slot = self.freeze()?;
        }
        let Some(work) = slot.take() else {
            self.let_go();
            return if clean { self.mark_clean() } else { Ok(false) };
        };
        self.counters.checkpoints_started.fetch_add(1, Ordering::Relaxed);
        match self.run(&work, clean) {
            Ok(done) => {
                self.swap(work, done)?;
                self.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
                self.let_go();
                Ok(true)
            }
            Err(e) => {
                *slot = Some(work);
                self.counters.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
                Err(e)
            }
        }
    }

    /// Freezes the active delta under the writer lock.
    fn freeze(&self) -> Result<Option<Work>> {
        // Made before the lock is taken: the memory may have to be cleared.
        let expected = self.published.pin().active.distinct() as usize;
        let mut active = Delta::new(&self.pool, 0, expected);
        let mut writer = self.writer.lock(std::time::Duration::MAX)?;
        let writer = &mut *writer;
        if writer.tip == writer.state.meta.commit && writer.dropped.is_empty() {
            return Ok(None);
        }
        debug_assert!(writer.state.frozen.is_none());
        let frozen = writer.state.active.clone();
        active.set_base(writer.tip);
        let meta = writer.state.meta.clone();
        let state = State::new(writer.state.number + 1, meta, Some(frozen.clone()), Arc::new(active));
        let (lsn, chain) = match &writer.log {
            Some(log) => (log.end().0, log.chain()),
            None => (writer.state.meta.lsn, writer.state.meta.chain),
        };
        let work = Work {
            frozen,
            heap: writer.take_heap(),
            counts: writer.take_counts(),
            dropped: std::mem::take(&mut writer.dropped),
            commit: writer.tip,
            lsn,
            chain,
            next_ordinal: writer.next_ordinal,
            next_tree: writer.next_tree,
        };
        writer.state = Arc::new(state);
        self.published.publish(writer.state.clone());
        self.frozen_bytes.store(work.heap.bytes + work.frozen.bytes(), Ordering::Relaxed);
        self.active_bytes.store(0, Ordering::Relaxed);
        self.freeze_lsn.store(lsn, Ordering::Relaxed);
        Ok(Some(work))
    }

    /// Fold, sync, name. On error everything is as before, or writing has stopped.
    fn run(&self, work: &Work, clean: bool) -> Result<Done> {
        let old = self.meta.lock().clone();
        self.space.lock().begin_checkpoint();
        let folded = self.fold_all(work, &old, clean);
        let synced = folded.and_then(|(meta, outcome)| {
            self.sync_data()?;
            if let (Some(log), true) = (self.log.get(), self.config.durable()) {
                log.sync_through(Lsn(work.lsn))?;
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
        meta.clean = clean;
        let meta = self.install_meta(meta)?;
        let retired = self.space.lock().finish_checkpoint();
        Ok(Done { meta, outcome, retired })
    }

    /// Makes all new pages of the checkpoint and returns the meta page that names them.
    fn fold_all(&self, work: &Work, old: &Meta, clean: bool) -> Result<(Meta, Outcome)> {
        let generation = old.generation + 1;
        let mut sink = Sink::new(self, generation);
        let mut outcome = Outcome::default();
        let tree_table = super::fold::fold(&mut sink, work, old, &mut outcome)?;
        sink.check()?;
        self.write_heap(&mut sink, &work.heap, &outcome)?;
        let space = {
            let mut space = self.space.lock();
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
        // The last checkpoint before closing gives back what the file was grown ahead.
        let file_pages = if clean { self.space.lock().used_end(&self.pages)? } else { self.pages.len() };
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
            ..old.clone()
        };
        Ok((meta, outcome))
    }

    fn write_heap(&self, sink: &mut Sink<'_>, heap: &Heap, outcome: &Outcome) -> Result<()> {
        let adopted: std::collections::HashSet<PageNo> = outcome.adopted.iter().map(|(page, _)| *page).collect();
        for block in heap.blocks.iter().filter(|block| adopted.contains(&block.page)) {
            sink.copy(block.page, block.unit.bytes(), page::seal)?;
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
        let ahead = (pages / 32).clamp(region.min(16), 1024);
        let want = (pages + ahead).next_multiple_of(region.min(16));
        self.file.allocate(want * PAGE_BYTES as u64).map_err(|e| Error::io("growing the file", e))?;
        self.pages.set_len(want);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        if !self.config.durable() {
            return Ok(());
        }
        // Invariant 6: the system may have dropped what it failed to write, lengths included, and will not tell
        // again: nothing more is written through this handle.
        self.file.sync_data().map_err(|e| self.latch(e))
    }

    /// Replaces roots and frozen delta by the folded roots.
    fn swap(&self, work: Work, done: Done) -> Result<()> {
        let Done { meta, outcome, retired } = done;
        let mut writer = self.writer.lock(std::time::Duration::MAX)?;
        debug_assert!(self.published.commit() >= work.commit, "Invariant 1: the freeze is published before the swap");
        // Before the new state is published: whoever pins it finds no pointer to the heap memory that goes
        // with the states before it. Invariant 5: the file was synced in `run`.
        for &(page, pages) in &outcome.adopted {
            // Only the first page of a unit has an entry in the table, but an extent has its pieces.
            self.pages.unit_written(page, pages);
        }
        let state = State::new(writer.state.number + 1, meta.clone(), None, writer.state.active.clone());
        writer.state = Arc::new(state);
        self.published.publish(writer.state.clone());
        let number = writer.state.number;
        drop(writer);
        let mut list = self.retired.lock();
        let pages = retired.into_iter().chain(outcome.discarded.iter().copied());
        list.extend(pages.map(|(page, pages)| (number, Retired::Pages(page, pages))));
        list.extend(work.heap.blocks.into_iter().map(|block| (number, Retired::Block(block))));
        list.extend(work.heap.extents.into_iter().map(|extent| (number, Retired::Extent(extent))));
        drop(list);
        self.frozen_bytes.store(0, Ordering::Relaxed);
        self.checkpoint_lsn.store(meta.lsn, Ordering::Relaxed);
        if let Some(log) = self.log.get() {
            log.release_before(Lsn(meta.lsn))?;
        }
        Ok(())
    }

    /// Cuts the file to the length that both meta pages name, unless a reader may still hold a page
    /// beyond: only states before the current one reach any (Invariant 12). A file that stays longer does no harm.
    pub(super) fn trim(&self) {
        self.let_go();
        let pages = self.meta.lock().file_pages;
        if self.published.kept() > 1 || pages >= self.pages.len() {
            return;
        }
        self.pages.shrink(pages);
        if let Err(e) = self.file.truncate(pages * PAGE_BYTES as u64) {
            self.event(Event::BackgroundError { error: Error::io("cutting the file", e) });
        }
    }

    /// Gives back what no state in use can reach any more (Invariant 4).
    pub fn let_go(&self) {
        let oldest = self.published.let_go();
        let mut list = self.retired.lock();
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut *list).into_iter().partition(|(n, _)| *n <= oldest);
        *list = kept;
        drop(list);
        let mut space = self.space.lock();
        for (_, retired) in &gone {
            if let Retired::Pages(page, pages) = retired {
                // A unit that never left the heap must not be found there once its memory is gone.
                self.pages.unit_written(*page, *pages);
                space.unpin(*page, *pages);
            }
        }
    }

    /// Writes both meta pages, one after the other, each synced (Invariant 16). A failure stops all writing
    /// (Invariant 6).
    pub fn install_meta(&self, mut meta: Meta) -> Result<Arc<Meta>> {
        let mut current = self.meta.lock();
        meta.sequence = current.sequence + 1;
        if self.config.durable() {
            self.check_latch()?;
            let page = meta.encode();
            for slot in 0..crate::file::meta::META_PAGES {
                let offset = slot * PAGE_BYTES as u64;
                let written = self.file.write_at(&page, offset).and_then(|()| self.file.sync_data());
                written.map_err(|e| self.latch(e))?;
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
}

/// Bytes gathered before they are written.
const GATHER_BYTES: usize = 1 << 20;

impl<'a> Sink<'a> {
    fn new(engine: &'a Engine, generation: u64) -> Sink<'a> {
        Sink { engine, generation, buffer: Vec::new(), first: PageNo::NONE, failed: None }
    }

    /// The page table.
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

    fn copy(&mut self, page: PageNo, bytes: &[u8], seal: impl FnOnce(&mut [u8], u64, u64)) -> Result<()> {
        let (generation, seed) = (self.generation, self.engine.pages.seed());
        seal(self.gather(page, bytes)?, generation, seed);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
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
