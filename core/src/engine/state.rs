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
use super::trees::TreeEntry;
use crate::error::{Error, Result};
use crate::file::meta::Meta;
use crate::file::page::Address;
use crate::file::pages::Pages;
use crate::file::tree;
use crate::hash::{self, HashKey, KeyHash};
use crate::record::block::{self, Record};
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
    remembered: Box<[OnceLock<(u32, TreeEntry)>]>,
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
    pub fn new(number: u64, meta: Arc<Meta>, frozen: Option<Arc<Delta>>, active: Arc<Delta>) -> State {
        let remembered = (0..REMEMBERED).map(|_| OnceLock::new()).collect();
        State { number, meta, frozen, active, remembered }
    }

    /// The roots of a collection in the checkpoint; empty roots where it has none yet.
    #[inline]
    pub fn tree(&self, pages: &Pages, tree: u32) -> Result<TreeEntry> {
        let slot = &self.remembered[tree as usize % REMEMBERED];
        if let Some((number, entry)) = slot.get() {
            if *number == tree {
                return Ok(*entry);
            }
        }
        let entry = match tree::get(pages, &self.meta.tree_table, tree.into())? {
            Some(bytes) => TreeEntry::decode(bytes, tree)?,
            None => TreeEntry::default(),
        };
        let _ = slot.set((tree, entry));
        Ok(entry)
    }

    /// The document with this key in collection `tree`, as of commit `at`.
    #[inline]
    pub fn get<'a>(
        &'a self,
        pages: &'a Pages,
        at: u64,
        tree: u32,
        key: &[u8],
        hash: KeyHash,
    ) -> Result<Option<Found<'a>>> {
        for delta in [Some(&self.active), self.frozen.as_ref()].into_iter().flatten() {
            if delta.may_hold(tree, hash.0) {
                if let Some(version) = delta.find(tree, hash.0, at, |a| has_key(pages, a, key))? {
                    return if version.tombstone { Ok(None) } else { read(pages, version.address).map(Some) };
                }
            }
        }
        let entry = self.tree(pages, tree)?;
        hash::lookup(pages, &entry.trie, hash, |address| {
            let found = read(pages, address)?;
            Ok((found.record.key() == Some(key)).then_some(found))
        })
    }

    /// The newest version of an id, whether published or not. For the writer (Invariant 10).
    pub fn tip(&self, pages: &Pages, tree: u32, key: &[u8], hash: KeyHash) -> Result<Tip> {
        if self.active.may_hold(tree, hash.0) {
            if let Some(version) = self.active.find(tree, hash.0, u64::MAX, |a| has_key(pages, a, key))? {
                return Ok(Tip::Active(version));
            }
        }
        if let Some(frozen) = self.frozen.as_ref().filter(|f| f.may_hold(tree, hash.0)) {
            if let Some(version) = frozen.find(tree, hash.0, u64::MAX, |a| has_key(pages, a, key))? {
                return Ok(if version.tombstone { Tip::Absent } else { Tip::Frozen(version) });
            }
        }
        let entry = self.tree(pages, tree)?;
        let found =
            hash::lookup(pages, &entry.trie, hash, |address| Ok(has_key(pages, address, key)?.then_some(address)))?;
        Ok(found.map_or(Tip::Absent, Tip::Base))
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

/// Asks for the lines that a [`State::get`] of these keys will touch, in two steps over the whole
/// batch, so that their misses overlap.
pub fn prefetch(state: &State, pages: &Pages, tree: u32, hashes: &[KeyHash]) -> Result<()> {
    let entry = state.tree(pages, tree)?;
    for hash in hashes {
        if !state.active.is_empty() {
            state.active.prefetch(tree, hash.0);
        }
        if let Some((_, line)) = hash::find_line(pages, &entry.trie, *hash)? {
            crate::sync::prefetch(line);
        }
    }
    for hash in hashes {
        hash::lookup(pages, &entry.trie, *hash, |address| {
            let block = pages.block(address.page())?;
            let at = usize::from(address.slot());
            // A record of some two hundred bytes lies on four lines.
            for line in 0..4 {
                crate::sync::prefetch(block.hint(at + line * 64));
            }
            Ok(Some(()))
        })?;
    }
    Ok(())
}

/// The record at an address.
#[inline]
pub fn read(pages: &Pages, address: Address) -> Result<Found<'_>> {
    let block = pages.block(address.page())?;
    let record = block::read(&block, address.slot())?;
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

fn has_key(pages: &Pages, address: Address, key: &[u8]) -> Result<bool> {
    Ok(read(pages, address)?.record.key() == Some(key))
}

/// Hash of a key, with the file's hash key.
pub fn hash_of(meta: &Meta, key: &[u8]) -> KeyHash {
    HashKey(meta.hash_key).hash(key)
}
