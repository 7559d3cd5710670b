//! The published state: one immutable struct that says what the database is at every commit of its
//! interval, and how it is read.
//!
//! ```text
//!   State  [ base ............................ end )
//!            |
//!            +-- roots (tree table of a checkpoint): everything up to commit `base`
//!            +-- frozen delta, if a checkpoint is in the making: base .. freeze
//!            +-- active delta: what came after
//! ```
//!
//! A read at commit S asks the active delta, then the frozen one, then the hash trie; S belongs to the state's
//! interval (Invariant 1), and what is not folded is visible by commits (Invariant 2). A new state is
//! published when a delta is frozen and when folded roots replace a frozen delta; commits in between
//! publish nothing but their number.

use super::delta::{Delta, Version};
use super::published::Numbered;
use super::reclaim::Moved;
use super::sorted::Sorted;
use super::trees::TreeEntry;
use crate::error::{Error, Result};
use crate::file::fault::{Fault, Slow};
use crate::file::meta::Meta;
use crate::file::page::{Address, PageNo};
use crate::file::pages::{BlockMemory, Pages};
use crate::file::tree;
use crate::hash::{self, HashKey, KeyHash, Leaf, Shortcut};
use crate::record::block::{self, Record};
use crate::record::key::Sought;
use crate::sync::Arc;
use std::sync::OnceLock;

/// Collections whose roots a state remembers once they were looked up.
const REMEMBERED: usize = 64;

/// See the module's text.
pub struct State {
    /// One more for each state.
    pub number: u64,
    /// The checkpoint that the roots belong to.
    pub meta: Arc<Meta>,
    /// The delta that a checkpoint is folding.
    pub frozen: Option<Arc<Delta>>,
    /// The delta that commits go to.
    pub active: Arc<Delta>,
    /// Where records were when the deltas began.
    pub moves: Moves,
    /// The sorted index.
    pub sorted: Sorted,
    remembered: Box<[OnceLock<Remembered>; REMEMBERED]>,
}

/// Records that the last relocation moved, for the one delta that knows them by their old addresses: the
/// one that was active at its swap.
#[derive(Debug, Default, Clone)]
pub struct Moves {
    /// That delta is the active one.
    pub active: Option<Arc<Moved>>,
    /// It is the frozen one.
    pub frozen: Option<Arc<Moved>>,
}

/// A collection's roots, and the way to the leaves of its trie.
struct Remembered {
    tree: u32,
    entry: TreeEntry,
    shortcut: Shortcut,
}

impl Numbered for State {
    fn number(&self) -> u64 {
        self.number
    }
}

/// A document found: its record, and its whole bytes.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Where the record is.
    pub address: Address,
    /// The record (a stub for a large document).
    pub record: Record<'a>,
}

/// Where the newest version of an id is, as the writer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tip {
    /// Never seen, or deleted before the active delta.
    Absent,
    /// In the active delta, perhaps as a tombstone.
    Active(Version),
    /// A live record in the frozen delta.
    Frozen(Version),
    /// A live record in the file.
    Base(Address),
}

impl Tip {
    /// The live record, if there is one.
    pub fn live(&self) -> Option<Address> {
        match self {
            Tip::Active(version) if version.tombstone => None,
            Tip::Active(version) | Tip::Frozen(version) => Some(version.address),
            Tip::Base(address) => Some(*address),
            Tip::Absent => None,
        }
    }
}

impl State {
    /// A state over the roots in `meta`.
    pub fn new(number: u64, meta: Arc<Meta>, frozen: Option<Arc<Delta>>, active: Arc<Delta>, sorted: Sorted) -> State {
        let remembered = Box::new([const { OnceLock::new() }; REMEMBERED]);
        State { number, meta, frozen, active, moves: Moves::default(), sorted, remembered }
    }

    /// This state with these moves.
    pub fn with_moves(self, moves: Moves) -> State {
        State { moves, ..self }
    }

    /// The old addresses of the records of a block that the last relocation made, with the delta that knows them
    /// by those.
    #[inline]
    pub fn moved_block(&self, page: PageNo) -> Option<(&Delta, &[Address])> {
        if let Some(moved) = &self.moves.active {
            return Some((&self.active, moved.of_block(page)?));
        }
        let moved = self.moves.frozen.as_ref()?;
        Some((self.frozen.as_ref()?, moved.of_block(page)?))
    }

    /// The roots of a collection in the checkpoint; empty roots where it has none yet.
    #[inline]
    pub fn tree(&self, pages: &Pages, tree: u32) -> Result<TreeEntry> {
        let slot = &self.remembered[tree as usize % REMEMBERED];
        if let Some(known) = slot.get().filter(|known| known.tree == tree) {
            return Ok(known.entry);
        }
        let entry = match tree::get(pages, &self.meta.tree_table, tree.into())? {
            Some(bytes) => TreeEntry::decode(bytes, tree)?,
            None => TreeEntry::default(),
        };
        let _ = slot.set(Remembered { tree, shortcut: Shortcut::new(&entry.trie, pages.len()), entry });
        Ok(entry)
    }

    /// The leaf of a collection's trie in the checkpoint that the path of `hash` leads to.
    #[inline(always)]
    fn leaf<'a, E: Fault>(&self, pages: &'a Pages, tree: u32, hash: KeyHash) -> Result<Option<Leaf<'a>>, E> {
        match self.remembered[tree as usize % REMEMBERED].get() {
            Some(known) if known.tree == tree => hash::find_leaf(pages, &known.entry.trie, Some(&known.shortcut), hash),
            _ => E::otherwise(|| hash::find_leaf(pages, &self.tree(pages, tree)?.trie, None, hash)),
        }
    }

    /// The record with this key in collection `tree`, as of commit `at`.
    pub fn get<'a>(
        &'a self,
        pages: &'a Pages,
        at: u64,
        tree: u32,
        key: &[u8],
        hash: KeyHash,
    ) -> Result<Option<Found<'a>>> {
        let key = Sought::Bytes(key);
        match self.look::<Slow>(pages, at, tree, key, hash) {
            Ok(found) => Ok(found),
            Err(Slow) => self.look(pages, at, tree, key, hash),
        }
    }

    /// The document with this key in collection `tree`, as of commit `at`.
    pub fn document<'a>(&'a self, pages: &'a Pages, at: u64, tree: u32, key: &[u8]) -> Result<Option<&'a [u8]>> {
        self.look_document(pages, at, tree, Sought::Bytes(key), hash_of(&self.meta, key))
    }

    /// [`State::document`] by a non-negative integer.
    pub fn document_by_integer<'a>(
        &'a self,
        pages: &'a Pages,
        at: u64,
        tree: u32,
        id: u64,
    ) -> Result<Option<&'a [u8]>> {
        self.look_document(pages, at, tree, Sought::Natural(id), hash_of_integer(&self.meta, id))
    }

    #[inline(always)]
    fn look_document<'a>(
        &'a self,
        pages: &'a Pages,
        at: u64,
        tree: u32,
        key: Sought<'_>,
        hash: KeyHash,
    ) -> Result<Option<&'a [u8]>> {
        match self.look::<Slow>(pages, at, tree, key, hash) {
            Ok(None) => Ok(None),
            Ok(Some(found)) if !found.record.large => Ok(Some(found.record.payload)),
            _ => self.look_again(pages, at, tree, key, hash),
        }
    }

    #[cold]
    fn look_again<'a>(
        &'a self,
        pages: &'a Pages,
        at: u64,
        tree: u32,
        key: Sought<'_>,
        hash: KeyHash,
    ) -> Result<Option<&'a [u8]>> {
        let found = self.look::<Error>(pages, at, tree, key, hash)?;
        found.map(|found| document(pages, &found)).transpose()
    }

    #[inline(always)]
    fn look<'a, E: Fault>(
        &'a self,
        pages: &'a Pages,
        at: u64,
        tree: u32,
        key: Sought<'_>,
        hash: KeyHash,
    ) -> Result<Option<Found<'a>>, E> {
        if self.deltas_may_hold(tree, hash) {
            if let Some(version) = self.look_in_deltas(pages, at, tree, key, hash)? {
                return if version.tombstone { Ok(None) } else { look(pages, version.address).map(Some) };
            }
        }
        let Some(leaf) = self.leaf(pages, tree, hash)? else { return Ok(None) };
        let mut search = leaf.search(pages, hash)?;
        while let Some(address) = search.next()? {
            let block = pages.look_block(address.page())?;
            let record = block::look(&block, address.slot())?;
            if key.is_key_of(record.payload) {
                return Ok(Some(Found { address, record }));
            }
        }
        Ok(None)
    }

    /// False when neither delta holds an id of this hash.
    #[inline]
    fn deltas_may_hold(&self, tree: u32, hash: KeyHash) -> bool {
        self.active.may_hold(tree, hash.0) || self.frozen.as_ref().is_some_and(|frozen| frozen.may_hold(tree, hash.0))
    }

    #[inline(never)]
    fn look_in_deltas<E: Fault>(
        &self,
        pages: &Pages,
        at: u64,
        tree: u32,
        key: Sought<'_>,
        hash: KeyHash,
    ) -> Result<Option<Version>, E> {
        for delta in [Some(&self.active), self.frozen.as_ref()].into_iter().flatten() {
            if let Some(version) = delta.find(tree, hash.0, at, |a| is_of(pages, a, key))? {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// The documents with these keys, as [`State::get`] finds them, given to `each` in their order. All
    /// take each step of the way together, so that their misses overlap.
    ///
    /// Requires: as many hashes as keys, [`BATCH`] at most.
    pub fn get_batch<'a, K: AsRef<[u8]>>(
        &'a self,
        pages: &'a Pages,
        at: u64,
        tree: u32,
        keys: &[K],
        hashes: &[KeyHash],
        mut each: impl FnMut(Option<Found<'a>>) -> Result<()>,
    ) -> Result<()> {
        let mut on_the_way = [OnTheWay::Unusual; BATCH];
        self.tree(pages, tree)?;
        for (place, hash) in on_the_way.iter_mut().zip(hashes) {
            if !self.active.is_empty() {
                self.active.prefetch(tree, hash.0);
            }
            *place = match self.leaf::<Slow>(pages, tree, *hash) {
                Ok(Some(leaf)) => {
                    leaf.prefetch(*hash);
                    OnTheWay::Leaf(leaf)
                }
                Ok(None) => OnTheWay::Absent,
                Err(Slow) => OnTheWay::Unusual,
            };
        }
        for (place, hash) in on_the_way.iter_mut().zip(hashes) {
            if self.deltas_may_hold(tree, *hash) {
                *place = OnTheWay::Unusual;
            }
            if let OnTheWay::Leaf(leaf) = *place {
                *place = look_for_record(pages, &leaf, *hash).unwrap_or(OnTheWay::Unusual);
            }
        }
        for ((place, key), hash) in on_the_way.iter().zip(keys).zip(hashes) {
            let found = match *place {
                OnTheWay::Absent => None,
                OnTheWay::Record(address) => match look::<Slow>(pages, address) {
                    Ok(found) if Sought::Bytes(key.as_ref()).is_key_of(found.record.payload) => Some(found),
                    _ => self.get(pages, at, tree, key.as_ref(), *hash)?,
                },
                _ => self.get(pages, at, tree, key.as_ref(), *hash)?,
            };
            each(found)?;
        }
        Ok(())
    }

    /// Asks for the lines that [`State::tip`] and a change of the id will touch.
    #[inline]
    pub fn prefetch_tip(&self, pages: &Pages, tree: u32, hash: KeyHash) {
        self.active.prefetch_to_insert(tree, hash.0);
        if let Some(frozen) = &self.frozen {
            frozen.prefetch(tree, hash.0);
        }
        if let Ok(Some(leaf)) = self.leaf::<Slow>(pages, tree, hash) {
            leaf.prefetch(hash);
        }
    }

    /// Asks for what [`State::tip`] and a change of the id will touch next, when the lines of
    /// [`State::prefetch_tip`] are there: the record, and the mark of its death.
    pub fn prefetch_record(&self, pages: &Pages, tree: u32, hash: KeyHash) {
        if self.deltas_may_hold(tree, hash) {
            return;
        }
        let Ok(Some(leaf)) = self.leaf::<Slow>(pages, tree, hash) else { return };
        if let Ok(OnTheWay::Record(address)) = look_for_record(pages, &leaf, hash) {
            self.active.prefetch_mark(address);
        }
    }

    /// The newest version of an id, whether published or not. For the writer (Invariant 10).
    pub fn tip(&self, pages: &Pages, tree: u32, key: &[u8], hash: KeyHash) -> Result<Tip> {
        let key = Sought::Bytes(key);
        if self.active.may_hold(tree, hash.0) {
            if let Some(version) = self.active.find(tree, hash.0, u64::MAX, |a| is_of::<Error>(pages, a, key))? {
                return Ok(Tip::Active(version));
            }
        }
        if let Some(frozen) = self.frozen.as_ref().filter(|f| f.may_hold(tree, hash.0)) {
            if let Some(version) = frozen.find(tree, hash.0, u64::MAX, |a| is_of::<Error>(pages, a, key))? {
                return Ok(if version.tombstone { Tip::Absent } else { Tip::Frozen(version) });
            }
        }
        let Some(leaf) = self.leaf::<Error>(pages, tree, hash)? else { return Ok(Tip::Absent) };
        let mut search = leaf.search::<_, Error>(pages, hash)?;
        while let Some(address) = search.next::<Error>()? {
            if is_of::<Error>(pages, address, key)? {
                return Ok(Tip::Base(address));
            }
        }
        Ok(Tip::Absent)
    }

    /// Live documents of a collection as of commit `at`.
    pub fn count(&self, pages: &Pages, at: u64, tree: u32) -> Result<u64> {
        let deltas = [Some(&self.active), self.frozen.as_ref()].into_iter().flatten();
        match deltas.filter_map(|delta| delta.count_at(tree, at)).next() {
            Some(count) => Ok(count),
            None => Ok(self.tree(pages, tree)?.live),
        }
    }
}

/// Ids whose cache misses overlap: looked up together by [`State::get_batch`], inserted together by `insert_many`.
pub const BATCH: usize = 32;

/// How far a key of a batch has come.
#[derive(Clone, Copy)]
enum OnTheWay<'a> {
    Leaf(Leaf<'a>),
    Record(Address),
    Absent,
    /// To be looked up as a single one.
    Unusual,
}

/// The address that is most likely the one sought, its record asked for.
#[inline]
fn look_for_record<'a>(pages: &'a Pages, leaf: &Leaf<'a>, hash: KeyHash) -> Result<OnTheWay<'a>, Slow> {
    let Some(address) = leaf.search(pages, hash)?.next()? else { return Ok(OnTheWay::Absent) };
    prefetch(&pages.look_block(address.page())?, address);
    Ok(OnTheWay::Record(address))
}

/// Asks for the first lines of a record, all at once. One of some two hundred bytes lies on four.
#[inline]
fn prefetch(block: &BlockMemory<'_>, address: Address) {
    for line in 0..4 {
        crate::sync::prefetch(block.hint(usize::from(address.slot()) + line * 64));
    }
}

/// The record at an address.
#[inline]
pub fn read(pages: &Pages, address: Address) -> Result<Found<'_>> {
    look(pages, address)
}

#[inline(always)]
fn look<E: Fault>(pages: &Pages, address: Address) -> Result<Found<'_>, E> {
    let block = pages.look_block(address.page())?;
    let record = block::look(&block, address.slot())?;
    Ok(Found { address, record })
}

/// The whole document of a record.
#[inline]
pub fn document<'a>(pages: &'a Pages, found: &Found<'a>) -> Result<&'a [u8]> {
    if !found.record.large {
        return Ok(found.record.payload);
    }
    let bad = |got: usize| {
        Error::corrupt("stub of a large document", found.address.page().0, found.address.slot().into(), 10, got as u64)
    };
    let (page, length) = found.record.extent().ok_or_else(|| bad(found.record.payload.len()))?;
    let document = pages.extent(page)?;
    if document.len() != length {
        return Err(bad(document.len()));
    }
    Ok(document)
}

/// True if the record at `address` has this key.
#[inline]
fn is_of<E: Fault>(pages: &Pages, address: Address, key: Sought<'_>) -> Result<bool, E> {
    Ok(key.is_key_of(look(pages, address)?.record.payload))
}

/// Hash of a key, with the file's hash key.
#[inline]
pub fn hash_of(meta: &Meta, key: &[u8]) -> KeyHash {
    HashKey(meta.hash_key).hash(key)
}

/// Hash of the key of a non-negative integer.
#[inline]
pub fn hash_of_integer(meta: &Meta, id: u64) -> KeyHash {
    HashKey(meta.hash_key).hash_integer(id)
}
