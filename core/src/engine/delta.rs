//! The delta: what was committed since the last checkpoint, in memory.
//!
//! One writer adds, any number of readers look things up without a lock.
//!
//! ```text
//!   filter (bits)          "surely not here": a few nanoseconds
//!      |
//!   table  [tag|entry] ... open addressing by keyed hash, newest version of each id
//!      |
//!   entries 0, 1, 2 ...    append only, in commit order; never moved
//!            |  address of the record, commit of birth and death,
//!            |  the older version of the same id, the next entry of the same collection,
//!            +- the slot in the file that this id had before the delta (base)
//!   marks                  folded slot -> commit of its death
//! ```
//!
//! *Visible at S* (Invariant 2): of the versions of an id the newest with birth <= S, unless that is a tombstone. For
//! scans: an entry lives at S when birth <= S < death, and a folded slot lives at S when its directory
//! says so and no mark <= S says otherwise.
//!
//! Publishing: an entry's fields are stored before its index is put into the table with release order,
//! and a reader takes the table's value with acquire order; commits not yet published are simply not
//! seen, because their birth lies beyond every reader's S.

use crate::file::page::{Address, PageNo};
use crate::int_map::{IntMap, IntSet};
use crate::memory::{Array, Plain, Pool};
use crate::sync::{Arc, AtomicPtr, AtomicU32, AtomicU64, Mutex, Ordering, RwLock};

/// "No entry".
const NONE: u32 = u32::MAX;
/// "Not dead".
const NEVER: u32 = u32::MAX;
/// "No address": page 0 holds no records.
const NO_ADDRESS: u64 = 0;

#[cfg(not(loom))]
const FIRST_CHUNK_BITS: u32 = 6;
#[cfg(not(loom))]
const CHUNKS: usize = 25;
/// Ids that the first table has room for, at least.
#[cfg(not(loom))]
const LEAST_ROOM: usize = 32;
#[cfg(not(loom))]
const FIRST_MARKS: usize = 16;

// The model checker follows every entry.
#[cfg(loom)]
const FIRST_CHUNK_BITS: u32 = 1;
#[cfg(loom)]
const CHUNKS: usize = 3;
#[cfg(loom)]
const LEAST_ROOM: usize = 1;
#[cfg(loom)]
const FIRST_MARKS: usize = 2;

/// A table of this many slots is not that of a small delta.
const FEW_SLOTS: usize = 1 << 13;

/// Entries that a delta can hold.
pub const MAX_ENTRIES: u32 = 1 << 30;

/// What a look-up reads stands together: three of four entries have it on one line.
#[repr(C)]
struct Entry {
    /// The record; for a tombstone the record that it ends, so that the id can be compared.
    address: AtomicU64,
    hash: AtomicU64,
    tree: AtomicU32,
    tombstone: AtomicU32,
    /// Commit numbers, counted from the delta's base.
    birth: AtomicU32,
    /// Older version of the same id in this delta.
    previous: AtomicU32,
    /// Slot in the file that the id had before this delta, 0 for none.
    base: AtomicU64,
    death: AtomicU32,
    /// Next entry of the same collection.
    next: AtomicU32,
}

// SAFETY: an entry is numbers only.
unsafe impl Plain for Entry {
    #[cfg(loom)]
    fn empty() -> Entry {
        Entry {
            address: AtomicU64::new(NO_ADDRESS),
            base: AtomicU64::new(NO_ADDRESS),
            hash: AtomicU64::new(0),
            birth: AtomicU32::new(0),
            death: AtomicU32::new(NEVER),
            previous: AtomicU32::new(NONE),
            next: AtomicU32::new(NONE),
            tree: AtomicU32::new(0),
            tombstone: AtomicU32::new(0),
        }
    }
}

/// A version found in a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Its number in the delta.
    pub index: u32,
    /// The record (for a tombstone, the record that it ended).
    pub address: Address,
    /// True when the id has no document in this version.
    pub tombstone: bool,
}

/// What a delta has room for. A table that is full is copied to a larger one, and whoever commits waits for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Room {
    /// Ids from the beginning.
    pub ids: usize,
    /// Deaths before it, from the beginning.
    pub marks: usize,
    /// Either, from when it turns out not to stay small: as much as it will need until it is folded.
    pub most: usize,
}

impl Room {
    /// Slots of a table that follows one of `slots`.
    fn after(&self, slots: usize) -> usize {
        let most = if slots >= FEW_SLOTS { self.most * 2 } else { 0 };
        most.max(slots * 2).next_power_of_two()
    }
}

/// What the fold needs of the newest version of an id.
#[derive(Debug, Clone, Copy)]
pub struct Newest {
    /// The collection.
    pub tree: u32,
    /// Keyed hash of the id.
    pub hash: u64,
    /// Slot in the file before this delta.
    pub base: Option<Address>,
    /// Its record now; none when it was deleted.
    pub address: Option<Address>,
}

/// An entry as scans and folds see it.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// The collection.
    pub tree: u32,
    /// The record, none for a tombstone.
    pub address: Option<Address>,
    /// Visible from this commit on.
    pub birth: u64,
    /// Dead from this commit on (`u64::MAX`: alive).
    pub death: u64,
}

/// Hash table from a 64-bit hash to entry numbers; replaced by one twice the size when half full.
struct Table {
    /// `tag << 32 | entry + 1`; 0 is empty.
    slots: Array<AtomicU64>,
    filter: Array<AtomicU64>,
}

impl Table {
    fn new(pool: &Pool, capacity: usize) -> Table {
        debug_assert!(capacity.is_power_of_two());
        Table { slots: Array::zeroed(pool, capacity), filter: Array::zeroed(pool, (capacity / 8).max(1)) }
    }

    fn home(&self, tag: u32) -> usize {
        tag as usize & (self.slots.len() - 1)
    }

    /// The word of the filter for a tag, and the two bits of it: a word for every eight slots.
    fn filter_word(&self, tag: u32) -> (&AtomicU64, u64) {
        let word = (tag >> 3) as usize & (self.filter.len() - 1);
        (&self.filter[word], 1 << (tag >> 20 & 63) | 1 << (tag >> 26))
    }

    fn may_hold(&self, tag: u32) -> bool {
        let (word, bits) = self.filter_word(tag);
        word.load(Ordering::Acquire) & bits == bits
    }

    fn add_to_filter(&self, tag: u32) {
        let (word, bits) = self.filter_word(tag);
        // One writer: no need for one indivisible step.
        word.store(word.load(Ordering::Relaxed) | bits, Ordering::Release);
    }

    /// Puts a value into the first empty slot; used where the id is known to be new.
    fn place(&self, tag: u32, value: u64) {
        let mut at = self.home(tag);
        while self.slots[at].load(Ordering::Relaxed) != 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.add_to_filter(tag);
        self.slots[at].store(value, Ordering::Release);
    }
}

/// A folded slot that died since the checkpoint. Both on one line: a mark is made with one cache miss.
#[repr(C)]
struct Mark {
    /// `NO_ADDRESS`: none.
    address: AtomicU64,
    death: AtomicU32,
    unused: AtomicU32,
}

// SAFETY: a mark is numbers only.
unsafe impl Plain for Mark {
    #[cfg(loom)]
    fn empty() -> Mark {
        Mark { address: AtomicU64::new(NO_ADDRESS), death: AtomicU32::new(0), unused: AtomicU32::new(0) }
    }
}

/// Folded slots that died since the checkpoint: address -> commit.
struct Marks {
    slots: Array<Mark>,
    /// A bit for each page hash that has a mark, so that scans skip untouched blocks.
    pages: Array<AtomicU64>,
}

impl Marks {
    fn new(pool: &Pool, capacity: usize) -> Marks {
        debug_assert!(capacity.is_power_of_two());
        Marks { slots: Array::zeroed(pool, capacity), pages: Array::zeroed(pool, (capacity / 8).max(1)) }
    }

    fn home(&self, address: u64) -> usize {
        mix(address) as usize & (self.slots.len() - 1)
    }

    fn find(&self, address: u64) -> Result<&Mark, &Mark> {
        let mut at = self.home(address);
        loop {
            let slot = &self.slots[at];
            match slot.address.load(Ordering::Acquire) {
                NO_ADDRESS => return Err(slot),
                found if found == address => return Ok(slot),
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    fn page_bit(&self, address: u64) -> (&AtomicU64, u64) {
        let mixed = mix(address >> 16);
        (&self.pages[(mixed >> 6) as usize & (self.pages.len() - 1)], 1 << (mixed & 63))
    }

    fn insert(&self, address: u64, death: u32) {
        if let Err(slot) = self.find(address) {
            let (word, bit) = self.page_bit(address);
            word.store(word.load(Ordering::Relaxed) | bit, Ordering::Release);
            slot.death.store(death, Ordering::Relaxed);
            slot.address.store(address, Ordering::Release);
        }
    }

    /// Those that are there: address and death.
    fn iter(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let marks = self.slots.iter();
        let marks = marks.map(|mark| (mark.address.load(Ordering::Acquire), mark.death.load(Ordering::Relaxed)));
        marks.filter(|(address, _)| *address != NO_ADDRESS)
    }
}

/// Per collection: where its entries begin, and its counts.
#[derive(Debug)]
pub struct TreeDelta {
    first: AtomicU32,
    /// Only the writer uses it.
    last: AtomicU32,
    /// (commit, live documents after it), in commit order.
    counts: Mutex<Vec<(u32, u64)>>,
}

/// See the module's text.
pub struct Delta {
    pool: Pool,
    room: Room,
    base: u64,
    chunks: [AtomicPtr<Entry>; CHUNKS],
    len: AtomicU32,
    table: AtomicPtr<Table>,
    marks: AtomicPtr<Marks>,
    mark_count: AtomicU32,
    distinct: AtomicU32,
    /// What `chunks` points to.
    entries: Mutex<Vec<Array<Entry>>>,
    /// Tables that were outgrown; readers may still look at them.
    outgrown: Mutex<(Vec<*mut Table>, Vec<*mut Marks>)>,
    trees: RwLock<IntMap<u32, Arc<TreeDelta>>>,
    /// Blocks before this delta in which a tombstone's record lies.
    tombstones: Mutex<IntSet<PageNo>>,
}

// SAFETY: all shared state is atomic or locked; the raw pointers are owned by the delta, written by the
// single writer and freed only in `drop`.
unsafe impl Send for Delta {}
// SAFETY: as above.
unsafe impl Sync for Delta {}

impl std::fmt::Debug for Delta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delta").field("base", &self.base).field("entries", &self.len()).finish_non_exhaustive()
    }
}

/// Mixes all bits of a number into all others (a step of SplitMix64).
fn mix(v: u64) -> u64 {
    let v = (v ^ v >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let v = (v ^ v >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    v ^ v >> 32
}

/// What a table knows of an id: its low bits choose the slot, all of them are compared. So a table can be
/// grown without a look at the entries.
fn tag_of(tree: u32, hash: u64) -> u32 {
    mix(hash ^ u64::from(tree).wrapping_mul(0x9e37_79b9_7f4a_7c15)) as u32
}

fn chunk_of(index: u32) -> (usize, usize, usize) {
    let chunk = (index >> FIRST_CHUNK_BITS) + 1;
    let chunk = 31 - chunk.leading_zeros();
    let size = 1usize << (FIRST_CHUNK_BITS + chunk);
    let first = size - (1 << FIRST_CHUNK_BITS);
    (chunk as usize, index as usize - first, size)
}

impl Delta {
    /// An empty delta for the commits after `base`.
    pub fn new(pool: &Pool, base: u64, room: Room) -> Delta {
        let capacity = (room.ids.max(LEAST_ROOM) * 2).next_power_of_two();
        let marks = (room.marks * 2).next_power_of_two().max(FIRST_MARKS);
        Delta {
            pool: pool.clone(),
            room,
            base,
            chunks: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
            len: AtomicU32::new(0),
            table: AtomicPtr::new(Box::into_raw(Box::new(Table::new(pool, capacity)))),
            marks: AtomicPtr::new(Box::into_raw(Box::new(Marks::new(pool, marks)))),
            mark_count: AtomicU32::new(0),
            distinct: AtomicU32::new(0),
            entries: Mutex::new(Vec::new()),
            outgrown: Mutex::new((Vec::new(), Vec::new())),
            trees: RwLock::new(IntMap::default()),
            tombstones: Mutex::new(IntSet::default()),
        }
    }

    /// The delta is for the commits after `base`. Requires: it is empty.
    pub fn set_base(&mut self, base: u64) {
        debug_assert!(self.is_empty());
        self.base = base;
    }

    /// Entries so far.
    pub fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// True when nothing was committed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ids with at least one entry.
    pub fn distinct(&self) -> u32 {
        self.distinct.load(Ordering::Relaxed)
    }

    /// Slots before it that died in it.
    pub fn marks_made(&self) -> u32 {
        self.mark_count.load(Ordering::Relaxed)
    }

    /// Memory that it uses, about, in bytes.
    pub fn bytes(&self) -> u64 {
        let table = self.table().slots.len() as u64 * 9;
        let marks = self.marks().slots.len() as u64 * 17;
        u64::from(self.len()) * std::mem::size_of::<Entry>() as u64 + table + marks
    }

    fn table(&self) -> &Table {
        // SAFETY: never null; a table is freed only in `drop` (outgrown ones are kept).
        unsafe { &*self.table.load(Ordering::Acquire) }
    }

    fn marks(&self) -> &Marks {
        // SAFETY: as in `table`.
        unsafe { &*self.marks.load(Ordering::Acquire) }
    }

    fn entry(&self, index: u32) -> &Entry {
        let (chunk, at, size) = chunk_of(index);
        debug_assert!(at < size);
        let chunk = self.chunks[chunk].load(Ordering::Acquire);
        debug_assert!(!chunk.is_null());
        // SAFETY: an index is published only after its chunk; chunks have `size` initialised entries,
        // `at` is below it by construction, and they are freed only in `drop`.
        unsafe { &*chunk.add(at) }
    }

    fn relative(&self, commit: u64) -> u32 {
        u32::try_from(commit.saturating_sub(self.base)).unwrap_or(NEVER - 1)
    }

    fn absolute_death(&self, death: u32) -> u64 {
        if death == NEVER {
            u64::MAX
        } else {
            self.base + u64::from(death)
        }
    }

    // ---- readers -------------------------------------------------------------------------------

    /// False when no id of this hash is in the delta. Cheap; may be true for nothing.
    #[inline]
    pub fn may_hold(&self, tree: u32, hash: u64) -> bool {
        if self.len.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let (tag, table) = (tag_of(tree, hash), self.table());
        // If the filter says yes, the slot's line is on its way already.
        crate::sync::prefetch(std::ptr::from_ref(&table.slots[table.home(tag)]).cast());
        table.may_hold(tag)
    }

    /// The newest version at `snapshot` of the id with this hash for whose record `is_id` says yes
    /// (hashes may collide). `None`: the delta knows nothing of the id at that time.
    #[inline]
    pub fn find<E>(
        &self,
        tree: u32,
        hash: u64,
        snapshot: u64,
        mut is_id: impl FnMut(Address) -> Result<bool, E>,
    ) -> Result<Option<Version>, E> {
        let tag = tag_of(tree, hash);
        let table = self.table();
        if !table.may_hold(tag) {
            return Ok(None);
        }
        let mut at = table.home(tag);
        loop {
            let value = table.slots[at].load(Ordering::Acquire);
            if value == 0 {
                return Ok(None);
            }
            if (value >> 32) as u32 == tag {
                let index = value as u32 - 1;
                let entry = self.entry(index);
                if entry.hash.load(Ordering::Relaxed) == hash
                    && entry.tree.load(Ordering::Relaxed) == tree
                    && is_id(Address(entry.address.load(Ordering::Relaxed)))?
                {
                    return Ok(self.visible(index, snapshot));
                }
            }
            at = (at + 1) & (table.slots.len() - 1);
        }
    }

    fn visible(&self, mut index: u32, snapshot: u64) -> Option<Version> {
        if snapshot < self.base {
            return None;
        }
        let snapshot = self.relative(snapshot);
        loop {
            let entry = self.entry(index);
            if entry.birth.load(Ordering::Relaxed) <= snapshot {
                return Some(Version {
                    index,
                    address: Address(entry.address.load(Ordering::Relaxed)),
                    tombstone: entry.tombstone.load(Ordering::Relaxed) != 0,
                });
            }
            index = entry.previous.load(Ordering::Relaxed);
            if index == NONE {
                return None;
            }
        }
    }

    /// Asks the processor for the lines that [`Delta::find`] will touch.
    pub fn prefetch(&self, tree: u32, hash: u64) {
        let tag = tag_of(tree, hash);
        let table = self.table();
        crate::sync::prefetch(std::ptr::from_ref(table.filter_word(tag).0).cast());
    }

    /// Asks for the lines that [`Delta::insert`] will touch, too.
    pub fn prefetch_to_insert(&self, tree: u32, hash: u64) {
        self.prefetch(tree, hash);
        let table = self.table();
        crate::sync::prefetch(std::ptr::from_ref(&table.slots[table.home(tag_of(tree, hash))]).cast());
    }

    /// Asks for the line that [`Delta::mark`] will touch.
    pub fn prefetch_mark(&self, address: Address) {
        let marks = self.marks();
        crate::sync::prefetch(std::ptr::from_ref(&marks.slots[marks.home(address.0)]).cast());
    }

    /// True when some folded slot of the block at this address may be marked dead.
    pub fn may_mark_block(&self, address: Address) -> bool {
        if self.mark_count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let (word, bit) = self.marks().page_bit(address.0);
        word.load(Ordering::Acquire) & bit != 0
    }

    /// True when the folded slot died at or before `snapshot`.
    pub fn is_marked(&self, address: Address, snapshot: u64) -> bool {
        let marks = self.marks();
        match marks.find(address.0) {
            Ok(mark) => self.base + u64::from(mark.death.load(Ordering::Relaxed)) <= snapshot,
            Err(_) => false,
        }
    }

    /// True when a tombstone is compared by a record in the block at `page`, which lies outside this delta.
    pub fn has_tombstone_in(&self, page: PageNo) -> bool {
        self.tombstones.lock().contains(&page)
    }

    /// The part of the delta that belongs to one collection.
    pub fn tree(&self, tree: u32) -> Option<Arc<TreeDelta>> {
        self.trees.read().get(&tree).cloned()
    }

    /// Live documents of the collection at `snapshot`, if the delta says so.
    pub fn count_at(&self, tree: u32, snapshot: u64) -> Option<u64> {
        let part = self.tree(tree)?;
        if snapshot < self.base {
            return None;
        }
        let snapshot = self.relative(snapshot);
        let counts = part.counts.lock();
        let at = counts.partition_point(|(commit, _)| *commit <= snapshot);
        at.checked_sub(1).map(|at| counts[at].1)
    }

    /// The first entry of a collection.
    pub fn first(&self, tree: &TreeDelta) -> Option<u32> {
        some(tree.first.load(Ordering::Acquire))
    }

    /// The entry after `index` of the same collection.
    pub fn next(&self, index: u32) -> Option<u32> {
        some(self.entry(index).next.load(Ordering::Acquire))
    }

    /// Entry `index`.
    pub fn item(&self, index: u32) -> Item {
        let entry = self.entry(index);
        let live = entry.tombstone.load(Ordering::Relaxed) == 0;
        Item {
            tree: entry.tree.load(Ordering::Relaxed),
            address: live.then(|| Address(entry.address.load(Ordering::Relaxed))),
            birth: self.base + u64::from(entry.birth.load(Ordering::Relaxed)),
            death: self.absolute_death(entry.death.load(Ordering::Acquire)),
        }
    }

    // ---- the writer ----------------------------------------------------------------------------

    /// Adds a version. `previous` is the id's newest version in this delta; `base` its slot in the
    /// file if it has none. Only the single writer calls this.
    pub fn insert(&self, part: &TreeDelta, new: NewVersion) -> u32 {
        let index = self.len.load(Ordering::Relaxed);
        debug_assert!(index < MAX_ENTRIES);
        self.make_room(index);
        let entry = self.entry(index);
        let base = match new.previous {
            Some(previous) => self.entry(previous).base.load(Ordering::Relaxed),
            None => new.base.map_or(NO_ADDRESS, |a| a.0),
        };
        entry.address.store(new.address.0, Ordering::Relaxed);
        entry.base.store(base, Ordering::Relaxed);
        entry.hash.store(new.hash, Ordering::Relaxed);
        entry.birth.store(self.relative(new.commit), Ordering::Relaxed);
        // The memory may hold what another delta left there.
        entry.death.store(NEVER, Ordering::Relaxed);
        entry.next.store(NONE, Ordering::Relaxed);
        entry.previous.store(new.previous.unwrap_or(NONE), Ordering::Relaxed);
        entry.tree.store(new.tree, Ordering::Relaxed);
        entry.tombstone.store(new.tombstone.into(), Ordering::Relaxed);
        self.len.store(index + 1, Ordering::Release);
        self.put_in_table(&new, index);
        if !new.tombstone {
            self.link(part, index);
        } else if new.previous.is_none() {
            self.tombstones.lock().insert(new.address.page());
        }
        index
    }

    fn make_room(&self, index: u32) {
        let (chunk, at, size) = chunk_of(index);
        if at == size / 2 {
            self.pool.expect(2 * size * std::mem::size_of::<Entry>());
        }
        if at == 0 && self.chunks[chunk].load(Ordering::Relaxed).is_null() {
            let entries: Array<Entry> = Array::dirty(&self.pool, size);
            self.chunks[chunk].store(entries.as_ptr().cast_mut(), Ordering::Release);
            self.entries.lock().push(entries);
        }
    }

    fn put_in_table(&self, new: &NewVersion, index: u32) {
        let tag = tag_of(new.tree, new.hash);
        let value = u64::from(tag) << 32 | u64::from(index + 1);
        if let Some(previous) = new.previous {
            let table = self.table();
            let old = u64::from(tag) << 32 | u64::from(previous + 1);
            let mut at = table.home(tag);
            loop {
                let found = table.slots[at].load(Ordering::Relaxed);
                if found == old {
                    table.slots[at].store(value, Ordering::Release);
                    return;
                }
                debug_assert_ne!(found, 0, "the previous version is in the table");
                at = (at + 1) & (table.slots.len() - 1);
            }
        }
        let distinct = self.distinct.load(Ordering::Relaxed) + 1;
        self.distinct.store(distinct, Ordering::Relaxed);
        let slots = self.table().slots.len();
        if distinct as usize * 2 > slots {
            self.grow_table();
        } else if distinct as usize == slots / 16 * 5 {
            self.pool.expect(self.room.after(slots) * std::mem::size_of::<AtomicU64>());
        }
        self.table().place(tag, value);
    }

    fn grow_table(&self) {
        let old = self.table();
        let bigger = Table::new(&self.pool, self.room.after(old.slots.len()));
        for slot in old.slots.iter() {
            let value = slot.load(Ordering::Relaxed);
            if value != 0 {
                bigger.place((value >> 32) as u32, value);
            }
        }
        let old = self.table.swap(Box::into_raw(Box::new(bigger)), Ordering::AcqRel);
        self.outgrown.lock().0.push(old);
    }

    fn link(&self, part: &TreeDelta, index: u32) {
        let last = part.last.load(Ordering::Relaxed);
        part.last.store(index, Ordering::Relaxed);
        if last == NONE {
            part.first.store(index, Ordering::Release);
        } else {
            self.entry(last).next.store(index, Ordering::Release);
        }
    }

    /// The part of one collection, made if it is missing.
    pub fn part(&self, tree: u32) -> Arc<TreeDelta> {
        if let Some(part) = self.trees.read().get(&tree) {
            return part.clone();
        }
        let fresh =
            TreeDelta { first: AtomicU32::new(NONE), last: AtomicU32::new(NONE), counts: Mutex::new(Vec::new()) };
        self.trees.write().entry(tree).or_insert_with(|| Arc::new(fresh)).clone()
    }

    /// Entry `index` died at `commit` (a commit of this delta or of the one after it).
    pub fn kill(&self, index: u32, commit: u64) {
        self.entry(index).death.store(self.relative(commit), Ordering::Release);
    }

    /// A slot that lies outside this delta (in the file, or in the frozen delta before this one) died
    /// at `commit`.
    pub fn mark(&self, address: Address, commit: u64) {
        let count = self.mark_count.load(Ordering::Relaxed) + 1;
        let slots = self.marks().slots.len();
        if count as usize * 2 > slots {
            self.grow_marks();
        } else if count as usize == slots / 16 * 5 {
            self.pool.expect(self.room.after(slots) * std::mem::size_of::<Mark>());
        }
        self.marks().insert(address.0, self.relative(commit));
        self.mark_count.store(count, Ordering::Release);
    }

    fn grow_marks(&self) {
        let old = self.marks();
        let bigger = Marks::new(&self.pool, self.room.after(old.slots.len()));
        for (address, death) in old.iter() {
            bigger.insert(address, death);
        }
        let old = self.marks.swap(Box::into_raw(Box::new(bigger)), Ordering::AcqRel);
        self.outgrown.lock().1.push(old);
    }

    /// The collection has `live` documents from `commit` on.
    pub fn set_count(&self, part: &TreeDelta, commit: u64, live: u64) {
        let commit = self.relative(commit);
        let mut counts = part.counts.lock();
        match counts.last_mut() {
            Some(last) if last.0 == commit => last.1 = live,
            _ => counts.push((commit, live)),
        }
    }

    // ---- the fold ------------------------------------------------------------------------------

    /// The newest version of every id, the last one first. For the fold, of a frozen delta. Reads the entries in their
    /// order, which the table does not have.
    pub fn newest(&self) -> impl Iterator<Item = Newest> + '_ {
        let len = self.len();
        let mut older = vec![0u64; (len as usize).div_ceil(64)];
        (0..len).rev().filter_map(move |index| {
            let entry = self.entry(index);
            if let Some(previous) = some(entry.previous.load(Ordering::Relaxed)) {
                older[previous as usize / 64] |= 1 << (previous % 64);
            }
            let base = entry.base.load(Ordering::Relaxed);
            let live = entry.tombstone.load(Ordering::Relaxed) == 0;
            let newest = Newest {
                tree: entry.tree.load(Ordering::Relaxed),
                hash: entry.hash.load(Ordering::Relaxed),
                base: (base != NO_ADDRESS).then_some(Address(base)),
                address: live.then(|| Address(entry.address.load(Ordering::Relaxed))),
            };
            (older[index as usize / 64] >> (index % 64) & 1 == 0).then_some(newest)
        })
    }

    /// All marks: slots of the file that died in this delta.
    pub fn marked(&self) -> Vec<Address> {
        self.marks().iter().map(|(address, _)| Address(address)).collect()
    }
}

/// A version to add; see [`Delta::insert`].
#[derive(Debug, Clone, Copy)]
pub struct NewVersion {
    /// The collection.
    pub tree: u32,
    /// Keyed hash of the id.
    pub hash: u64,
    /// The commit that makes it.
    pub commit: u64,
    /// Its record; for a tombstone the record that it ends.
    pub address: Address,
    /// True for a delete.
    pub tombstone: bool,
    /// The id's newest version in this delta.
    pub previous: Option<u32>,
    /// The id's slot before this delta, if `previous` is none.
    pub base: Option<Address>,
}

fn some(index: u32) -> Option<u32> {
    (index != NONE).then_some(index)
}

impl Drop for Delta {
    fn drop(&mut self) {
        let mut outgrown = self.outgrown.lock();
        outgrown.0.push(self.table.load(Ordering::Acquire));
        outgrown.1.push(self.marks.load(Ordering::Acquire));
        for table in outgrown.0.drain(..) {
            // SAFETY: each pointer came from `Box::into_raw` and is in this list once.
            drop(unsafe { Box::from_raw(table) });
        }
        for marks in outgrown.1.drain(..) {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(marks) });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
