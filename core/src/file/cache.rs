//! Pages without a mapping: memory of our own, filled by positioned reads.
//!
//! ```text
//!   first touch     read into a buffer -> verify -> copy into the unit's place -> its code in the page table
//!   later touches   the page table alone, as with a mapping
//!
//!   room is needed  oldest units: codes cleared, "leaving"           --- turn --->  nobody who was reading then
//!                        |                                                          reads on: those still leaving
//!                        +-- touched meanwhile: it stays (no read)                  give their memory back
//! ```
//!
//! A device that fails is an error of the call that reads; nothing that was not verified ever lies in lent memory.
//!
//! **Who reads** may hold pointers into the memory of a unit, and is in one of two places: pinned to a published
//! state ([`Readers`]), for the length of a call; or in a [`Hold`]: a snapshot, a transaction, a checkpoint. A unit
//! may go once nobody is left who was reading when its code was cleared; whoever came later had to come by the
//! slow path, under the lock of the unit, and there took it back. Clearing codes and waiting like that is a *round*;
//! there is one at a time, and nobody waits for it: the next one who loads something looks whether it is over.
//!
//! **A page that is used again** is loaded again: [`Cache::discard`] forgets it when no state reaches it
//! (Invariants 4 and 12).
//!
//! What a long hold keeps is what was loaded since it began, beyond the limit if need be: reading never waits.

mod lent;

use super::disk::DiskFile;
use super::page::{PageNo, PAGE_BYTES};
use crate::error::{Error, Result};
use crate::fork;
use crate::int_map::IntMap;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
use lent::Lent;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Those who read for the length of a call.
pub trait Readers: Send + Sync + 'static {
    /// From here on readers are told from those before. Called again only after [`Readers::have_turned`].
    fn turn(&self);
    /// True when nobody is left who was reading before the last turn.
    fn have_turned(&self) -> bool;
}

/// Units are loaded and let go under one of so many locks, so that a unit is read once and others meanwhile.
const SHARDS: usize = 64;

/// The least and the most units of a round.
const LEAST_UNITS: usize = 64;
const MOST_UNITS: usize = 4096;

/// A unit in memory.
#[derive(Debug, Clone, Copy)]
pub struct Loaded {
    /// What it is, for the page table.
    pub code: u8,
    /// Its checksum is to be computed anew, from the file.
    pub check_again: bool,
    pages: u16,
    leaving: bool,
    /// Its place in the queue; an entry with another stamp is of an earlier life.
    stamp: u64,
}

/// The units of one lock.
pub type Shard = IntMap<u64, Loaded>;

/// See the module's text.
pub struct Cache {
    file: Arc<dyn DiskFile>,
    readers: Arc<dyn Readers>,
    /// Bytes of units from which on room is made.
    limit: u64,
    bytes: AtomicU64,
    segments: Mutex<Vec<Option<Box<Lent>>>>,
    shards: Box<[Mutex<Shard>]>,
    stamp: AtomicU64,
    clock: Mutex<Clock>,
    /// One more for each round.
    epoch: AtomicU64,
    /// How many hold on since before each round.
    holds: Mutex<BTreeMap<u64, usize>>,
    /// Generation of the process.
    born: u64,
}

#[derive(Debug, Default)]
struct Clock {
    /// Units in the order in which they were loaded or taken back.
    queue: VecDeque<(PageNo, u64)>,
    /// The round that is not over.
    round: Option<Round>,
}

#[derive(Debug)]
struct Round {
    epoch: u64,
    leaving: Vec<PageNo>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("limit", &self.limit).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Cache {
    /// Memory for units of `file`, of about `limit` bytes.
    pub fn new(file: Arc<dyn DiskFile>, readers: Arc<dyn Readers>, limit: u64) -> Arc<Cache> {
        Arc::new(Cache {
            file,
            readers,
            limit,
            bytes: AtomicU64::new(0),
            segments: Mutex::new(Vec::new()),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect(),
            stamp: AtomicU64::new(0),
            clock: Mutex::new(Clock::default()),
            epoch: AtomicU64::new(0),
            holds: Mutex::new(BTreeMap::new()),
            born: fork::generation(),
        })
    }

    /// Bytes of the units in memory.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Where the memory of a segment begins.
    pub fn segment(&self, index: u64) -> Result<*const u8> {
        let failed = |e| Error::io("taking memory for pages", e);
        let at = usize::try_from(index).map_err(|_| failed(std::io::ErrorKind::OutOfMemory.into()))?;
        let mut segments = self.segments.lock();
        if segments.len() <= at {
            segments.resize_with(at + 1, || None);
        }
        match &mut segments[at] {
            Some(lent) => Ok(lent.ptr()),
            empty => {
                let lent = Lent::new(self.file.segment_bytes() as usize).map_err(failed)?;
                Ok(empty.insert(Box::new(lent)).ptr())
            }
        }
    }

    /// Appends `bytes` bytes of the file from `page` on, the first `skip` pages left out, to `buffer`.
    pub fn read(&self, page: PageNo, skip: usize, bytes: usize, buffer: &mut Vec<u8>) -> Result<()> {
        let old = buffer.len();
        buffer.resize(old + bytes - skip * PAGE_BYTES, 0);
        let offset = page.offset() + (skip * PAGE_BYTES) as u64;
        self.file.read_at(&mut buffer[old..], offset).map_err(|e| Error::io("reading pages", e))
    }

    /// The units that share a lock with the one at `page`, locked.
    pub fn shard(&self, page: PageNo) -> MutexGuard<'_, Shard> {
        // Units begin at multiples of 16 pages or less: all bits count.
        let mixed = page.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
        self.shards[mixed as usize % SHARDS].lock()
    }

    /// Puts a unit that was read and verified into its place.
    pub fn insert(&self, shard: &mut Shard, page: PageNo, code: u8, unit: &[u8]) -> Result<()> {
        let (segment, within) = self.place(page);
        self.segment(segment)?;
        let segments = self.segments.lock();
        let lent = segments.get(segment as usize).and_then(Option::as_ref);
        if !lent.is_some_and(|lent| lent.fill(within, unit)) {
            return Err(Error::corrupt("unit over another unit", page.0, 0, 0, (unit.len() / PAGE_BYTES) as u64));
        }
        drop(segments);
        let pages = unit.len().div_ceil(PAGE_BYTES) as u16;
        self.bytes.fetch_add(u64::from(pages) * PAGE_BYTES as u64, Ordering::Relaxed);
        shard.insert(page.0, Loaded { code, check_again: false, pages, leaving: false, stamp: 0 });
        Ok(())
    }

    fn place(&self, page: PageNo) -> (u64, usize) {
        let segment_pages = self.file.segment_bytes() / PAGE_BYTES as u64;
        (page.0 / segment_pages, (page.0 % segment_pages) as usize)
    }

    /// The unit at `page` was touched by the slow path: it is the last to go. To be called with its lock.
    pub fn keep(&self, shard: &mut Shard, page: PageNo) -> Option<(PageNo, u64)> {
        let loaded = shard.get_mut(&page.0)?;
        if loaded.stamp != 0 && !loaded.leaving {
            return None;
        }
        loaded.leaving = false;
        loaded.stamp = self.stamp.fetch_add(1, Ordering::Relaxed) + 1;
        Some((page, loaded.stamp))
    }

    /// The unit at `page` is checked again, from the file, when it is next touched.
    pub fn check_again(&self, page: PageNo, clear_code: impl FnOnce()) {
        let mut shard = self.shard(page);
        if let Some(loaded) = shard.get_mut(&page.0) {
            loaded.check_again = true;
        }
        clear_code();
    }

    /// Forgets what is in memory of these pages.
    ///
    /// Requires: no state reaches them, so nobody reads them.
    pub fn discard(&self, page: PageNo, pages: u64) {
        for number in page.0..page.0.saturating_add(pages) {
            let mut shard = self.shard(PageNo(number));
            if let Some(loaded) = shard.remove(&number) {
                self.let_go(PageNo(number), &loaded);
            }
        }
    }

    fn let_go(&self, page: PageNo, loaded: &Loaded) {
        let (segment, within) = self.place(page);
        if let Some(Some(lent)) = self.segments.lock().get(segment as usize) {
            // SAFETY: `insert` has put the unit there, and nobody reads it: the callers see to that.
            unsafe { lent.give_back(within, loaded.pages.into()) }
        }
        self.bytes.fetch_sub(u64::from(loaded.pages) * PAGE_BYTES as u64, Ordering::Relaxed);
    }

    /// Notes a unit that was loaded or taken back, and makes room if there is too little. Never waits for readers.
    pub fn make_room(&self, kept: Option<(PageNo, u64)>, clear_code: impl Fn(PageNo)) {
        let is_full = || self.bytes() > self.limit;
        let Some(kept) = kept else { return };
        let mut clock = self.clock.lock();
        clock.queue.push_back(kept);
        if clock.queue.len() % 4096 == 0 {
            self.forget_old_lives(&mut clock.queue);
        }
        if !is_full() {
            return;
        }
        if let Some(round) = clock.round.take_if(|round| self.is_over(round)) {
            for page in round.leaving {
                let mut shard = self.shard(page);
                if shard.get(&page.0).is_some_and(|loaded| loaded.leaving) {
                    if let Some(loaded) = shard.remove(&page.0) {
                        self.let_go(page, &loaded);
                    }
                }
            }
        }
        if clock.round.is_none() && is_full() {
            self.begin_round(&mut clock, clear_code);
        }
    }

    /// Drops queue entries of units that have gone, or have a later entry.
    fn forget_old_lives(&self, queue: &mut VecDeque<(PageNo, u64)>) {
        queue.retain(|(page, stamp)| self.shard(*page).get(&page.0).is_some_and(|loaded| loaded.stamp == *stamp));
    }

    fn is_over(&self, round: &Round) -> bool {
        let is_held = self.holds.lock().first_key_value().is_some_and(|(epoch, _)| *epoch < round.epoch);
        !is_held && self.readers.have_turned()
    }

    fn begin_round(&self, clock: &mut Clock, clear_code: impl Fn(PageNo)) {
        let wanted = self.bytes().saturating_sub(self.limit);
        let (mut leaving, mut bytes) = (Vec::new(), 0);
        while leaving.len() < LEAST_UNITS || bytes < wanted && leaving.len() < MOST_UNITS {
            let Some((page, stamp)) = clock.queue.pop_front() else { break };
            let mut shard = self.shard(page);
            let Some(loaded) = shard.get_mut(&page.0).filter(|loaded| loaded.stamp == stamp) else { continue };
            loaded.leaving = true;
            bytes += u64::from(loaded.pages) * PAGE_BYTES as u64;
            clear_code(page);
            leaving.push(page);
        }
        let holds = self.holds.lock();
        let epoch = self.epoch.load(Ordering::Relaxed) + 1;
        self.epoch.store(epoch, Ordering::Release);
        drop(holds);
        self.readers.turn();
        clock.round = Some(Round { epoch, leaving });
    }

    /// Keeps what is read from here on until the hold is dropped or renewed.
    pub fn hold(self: &Arc<Self>) -> Hold {
        Hold { epoch: self.enter(), cache: self.clone() }
    }

    fn enter(&self) -> u64 {
        let mut holds = self.holds.lock();
        let epoch = self.epoch.load(Ordering::Relaxed);
        *holds.entry(epoch).or_default() += 1;
        epoch
    }

    fn leave(&self, epoch: u64) {
        let mut holds = self.holds.lock();
        if let Some(count) = holds.get_mut(&epoch) {
            *count -= 1;
            if *count == 0 {
                holds.remove(&epoch);
            }
        }
    }
}

/// While it lives, units that were touched since it was made (or last renewed) stay in memory.
pub struct Hold {
    cache: Arc<Cache>,
    epoch: u64,
}

impl Hold {
    /// Lets go of what was read so far, and holds on from here.
    #[inline]
    pub fn renew(&mut self) {
        if self.cache.epoch.load(Ordering::Acquire) != self.epoch {
            let before = std::mem::replace(&mut self.epoch, self.cache.enter());
            self.cache.leave(before);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // In a forked child the lock may be held for ever, and nothing is read any more.
        if fork::generation() == self.cache.born {
            self.cache.leave(self.epoch);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
