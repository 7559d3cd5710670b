//! The records of one tree, in the order of their ordinals.
//!
//! ```text
//!   blocks by base ordinal   | 1 ... 90 | 91 ... 200 |     | 310 ... 400 |      named by the directory
//!                                 | 40 ... 120 (an old copy) |                  found by the search
//!   merged                   1 ... 39, 40, 40, 41, 41 ... 120, 120, 121 ...
//! ```
//!
//! The highest ordinal of an id comes last, so that putting them one after the other leaves the newest. Of a block
//! named by the directory only live records are taken. Of one that was found, a record is taken if the tree's
//! hash trie names its address, and left out if it does not; where the trie can't be read (or is not sure to
//! belong to this checkpoint) the record is taken as *uncertain*.

use super::basis::Basis;
use super::losses::Losses;
use super::structure::Structure;
use super::Limits;
use crate::control::{Control, Progress};
use crate::document::canonical::{prepare, Prepared};
use crate::error::{Error, Result};
use crate::file::copies::UnitCopy;
use crate::file::page::{Address, PageBuf, PageKind, PageNo, UnitHeader, PAGE_BYTES};
use crate::file::pages::BlockMemory;
use crate::file::tree::salvage::{self, salvage, Met, NodeContents};
use crate::hash::{self, HashKey, TrieRoot};
use crate::record::block::{self, Record};
use crate::record::directory::Entry;
use crate::record::key::key_of;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;

/// Blocks kept in memory while their ordinals overlap.
const KEPT_BLOCKS: usize = 32;

/// A block to read: 24 bytes.
struct BlockRef {
    base: u64,
    page: PageNo,
    /// The leaf of the directory that names it; none for one that was found.
    leaf: PageNo,
}

/// A block in memory.
struct Loaded {
    bytes: PageBuf,
    slots: usize,
    /// None for a block that was found.
    entry: Option<Entry>,
    is_checked: bool,
}

/// A record, as its tree gives it.
pub(super) struct Given<'a> {
    /// In stored form.
    pub(super) document: &'a [u8],
    /// It may have been deleted or replaced.
    pub(super) is_uncertain: bool,
    /// A checksum vouches for it.
    pub(super) is_checked: bool,
    pub(super) address: Address,
}

/// Takes records.
pub(super) type Sink<'s> = &'s mut dyn FnMut(Given<'_>, &mut Losses) -> Result<()>;

/// Reads the records of one tree.
pub(super) struct Records<'r, 'c> {
    pub(super) basis: &'r mut Basis,
    pub(super) structure: &'r Structure,
    pub(super) tree: u32,
    pub(super) limits: &'r Limits,
    pub(super) lost: &'r mut Losses,
    pub(super) control: &'r mut Control<'c>,
    /// Documents read so far, and those there may be, for the progress.
    pub(super) done: &'r mut u64,
    pub(super) total: u64,
}

impl Records<'_, '_> {
    /// Gives all records to `sink`. Errors: those of `sink`, and to be stopped.
    pub(super) fn read(mut self, sink: Sink<'_>) -> Result<()> {
        let blocks = self.blocks()?;
        let mut kept = Kept::default();
        let mut heads: BinaryHeap<Reverse<(u64, usize, usize)>> = BinaryHeap::new();
        let mut next = 0;
        loop {
            while let Some(block) = blocks
                .get(next)
                .filter(|block| heads.peek().is_none_or(|Reverse((ordinal, _, _))| block.base <= *ordinal))
            {
                self.control.step(Progress::new("documents", *self.done, self.total, "documents"))?;
                if let Some(loaded) = self.load(&mut kept, &blocks, next) {
                    heads.extend(self.head(&loaded, block, 0).map(|(ordinal, slot)| Reverse((ordinal, next, slot))));
                }
                next += 1;
            }
            let Some(Reverse((_, at, mut slot))) = heads.pop() else { return Ok(()) };
            let Some(loaded) = self.load(&mut kept, &blocks, at) else { continue };
            let block = &blocks[at];
            // On in the same block, as long as no other one comes in between.
            loop {
                self.give(&loaded, block, slot, sink)?;
                let Some((following, index)) = self.head(&loaded, block, slot + 1) else { break };
                let other = heads.peek().map_or(u64::MAX, |Reverse((ordinal, _, _))| *ordinal);
                let other = other.min(blocks.get(next).map_or(u64::MAX, |block| block.base));
                if following > other {
                    heads.push(Reverse((following, at, index)));
                    break;
                }
                slot = index;
            }
        }
    }

    /// All blocks of the tree, by their base ordinals.
    fn blocks(&mut self) -> Result<Vec<BlockRef>> {
        let mut blocks = Vec::new();
        let tree = self.tree;
        if let Some(entry) = self.structure.tree(tree).0 {
            let copies = &self.basis.copies;
            let mut read = |page, kind| copies.expect(page, kind).map(|unit| unit.bytes);
            salvage(&mut read, &entry.directory, tree.into(), &mut |met| {
                if let Met::Entry { key: base, value, page: leaf } = met {
                    // What is wrong here was reported when the directories were read first.
                    blocks.extend(Entry::decode(value, base).ok().map(|e| BlockRef { base, page: e.page, leaf }));
                }
                Ok(())
            })?;
        }
        let found = self.structure.found_of(tree);
        blocks.extend(found.iter().map(|found| BlockRef { base: found.base, page: found.page, leaf: PageNo::NONE }));
        if !found.is_empty() {
            blocks.sort_by_key(|block| (block.base, block.page));
        }
        Ok(blocks)
    }

    /// The block `blocks[at]`, from memory or from the file; what is wrong with it is reported.
    fn load(&mut self, kept: &mut Kept, blocks: &[BlockRef], at: usize) -> Option<Rc<Loaded>> {
        if let Some(loaded) = kept.get(at) {
            return Some(loaded);
        }
        let block = &blocks[at];
        let entry = match block.leaf.is_none() {
            true => None,
            false => Some(kept.entry(self.basis, block)?),
        };
        let live = entry.as_ref().map(|entry| u64::from(entry.live));
        match self.read_block(block, entry) {
            Ok(loaded) => Some(kept.keep(at, loaded)),
            Err(e) => {
                self.lost.add(Some(self.tree), block.page, "record block", live, e);
                None
            }
        }
    }

    fn read_block(&mut self, block: &BlockRef, entry: Option<Entry>) -> Result<Loaded> {
        let trust = self.limits.trust_unchecked;
        let likely = entry.as_ref().map_or(1, |entry| 1 << entry.order);
        let unit = match (self.basis.copies.unit_copy(block.page, likely), &entry) {
            (Err(_), Some(entry)) if trust => self.read_blindly(block.page, entry)?,
            (unit, _) => unit?,
        };
        let memory = BlockMemory::of_copy(&unit.bytes, block.page);
        let bad = |what, expected, got| Err(Error::corrupt(what, block.page.0, 0, expected, got));
        let is_checked = unit.verdict.is_ok() && self.basis.copies.seed().is_some();
        if !is_checked {
            if !trust {
                unit.verdict?;
            }
            // The directory knows better than a damaged block how many records there are.
            let slots =
                entry.as_ref().map_or_else(|| block::sealed_shape(&memory).map_or(0, |(slots, _)| slots), slots_of);
            return Ok(Loaded { bytes: unit.bytes, slots, entry, is_checked });
        }
        if unit.header.kind != PageKind::Block || unit.header.tree != u64::from(self.tree) {
            return bad("record block (tree)", self.tree.into(), unit.header.tree);
        }
        if block::base_ordinal(&memory) != block.base {
            return bad("record block (base ordinal)", block.base, block::base_ordinal(&memory));
        }
        let (slots, _) = block::sealed_shape(&memory)?;
        if let Some(entry) = entry.as_ref().filter(|entry| slots_of(entry) != slots || entry.order != unit.header.order)
        {
            return bad("directory entry (slots)", slots as u64, entry.slots.into());
        }
        Ok(Loaded { bytes: unit.bytes, slots, entry, is_checked })
    }

    /// A block whose header is damaged, as long as the directory says.
    fn read_blindly(&self, page: PageNo, entry: &Entry) -> Result<UnitCopy> {
        let pages = 1u64 << entry.order;
        if page.0 >= self.basis.copies.pages() || self.basis.copies.pages() - page.0 < pages {
            return Err(Error::corrupt("page number", page.0, 0, self.basis.copies.pages(), page.0));
        }
        let mut bytes = PageBuf::zeroed(pages as usize);
        self.basis.copies.read(page, &mut bytes)?;
        let header =
            UnitHeader { page, kind: PageKind::Block, order: entry.order, generation: 0, tree: self.tree.into() };
        let verdict = self.basis.copies.verdict(&bytes, page);
        Ok(UnitCopy { bytes, header, verdict })
    }

    /// Ordinal and slot of the first record from `slot` on that is to be taken; those that can't be read are
    /// reported.
    fn head(&mut self, loaded: &Loaded, block: &BlockRef, slot: usize) -> Option<(u64, usize)> {
        let memory = BlockMemory::of_copy(&loaded.bytes, block.page);
        for slot in slot..loaded.slots {
            if loaded.entry.as_ref().is_some_and(|entry| !entry.is_live(slot)) {
                continue;
            }
            match record_at(&memory, slot) {
                Ok((_, record)) => return Some((block.base.saturating_add(record.ordinal_delta), slot)),
                Err(e) => self.lost.add(Some(self.tree), block.page, "record", loaded.entry.as_ref().map(|_| 1), e),
            }
        }
        None
    }

    fn give(&mut self, loaded: &Loaded, block: &BlockRef, slot: usize, sink: Sink<'_>) -> Result<()> {
        let memory = BlockMemory::of_copy(&loaded.bytes, block.page);
        let Ok((position, record)) = record_at(&memory, slot) else { return Ok(()) };
        let address = Address::new(block.page, position);
        let is_live = loaded.entry.is_some().then_some(true).or_else(|| self.is_live(&record, address));
        if is_live == Some(false) {
            return Ok(());
        }
        *self.done += 1;
        let known = is_live.map(|_| 1);
        let (mut is_checked, large) = (loaded.is_checked, record.large);
        if large {
            self.control.check()?;
        }
        let copied;
        let document = match large {
            false => record.payload,
            true => match self.large(&record) {
                Ok((document, checked)) => {
                    is_checked &= checked;
                    copied = document;
                    &copied[..]
                }
                Err(e) => {
                    self.lost.add_at(Some(self.tree), block.page.0, position.into(), "large document", known, e);
                    return Ok(());
                }
            },
        };
        let rewritten;
        let document = match prepare(document, self.limits.document_bytes) {
            Ok(Prepared::AsIs(document)) => document,
            Ok(Prepared::Rewritten(document)) => {
                rewritten = document;
                &rewritten[..]
            }
            Ok(Prepared::MissingId) => {
                let e = Error::corrupt("record (no _id)", block.page.0, position.into(), 1, 0);
                self.lost.add_at(Some(self.tree), block.page.0, position.into(), "document", known, e);
                return Ok(());
            }
            Err(e) => {
                self.lost.add_at(Some(self.tree), block.page.0, position.into(), "document", known, e);
                return Ok(());
            }
        };
        sink(Given { document, is_uncertain: is_live.is_none(), is_checked, address }, self.lost)
    }

    /// The large document of a stub, and whether all its checksums are right.
    fn large(&self, record: &Record<'_>) -> Result<(Vec<u8>, bool)> {
        let no = |what, got| Error::corrupt(what, 0, 0, 1, got);
        let (page, length) = record.extent().ok_or_else(|| no("stub of a large document", 0))?;
        // The first piece tells, before all of it is read, whether it is the one.
        let first = self.basis.copies.unit_copy(page, 1)?;
        if first.verdict.is_ok() && first.header.tree != u64::from(self.tree) {
            return Err(Error::corrupt("large document (tree)", page.0, 24, self.tree.into(), first.header.tree));
        }
        let extent = self.basis.copies.extent_copy(page)?;
        let is_checked = extent.verdict.is_ok() && self.basis.copies.seed().is_some();
        if !is_checked && !self.limits.trust_unchecked {
            extent.verdict?;
            return Err(no("large document (no checksum can be checked)", 0));
        }
        if extent.tree != u64::from(self.tree) || extent.document().len() != length {
            let got = extent.document().len() as u64;
            return Err(Error::corrupt("stub of a large document", page.0, 0, length as u64, got));
        }
        if key_of(extent.document()) != record.key() {
            return Err(Error::corrupt("large document (another _id than its stub)", page.0, 0, 1, 0));
        }
        Ok((extent.document().to_vec(), is_checked))
    }

    /// Whether the tree's hash trie names this record; none where that can't be told.
    fn is_live(&mut self, record: &Record<'_>, address: Address) -> Option<bool> {
        let meta = self.basis.meta.as_ref().filter(|_| self.basis.is_certain())?;
        let trie: TrieRoot = self.structure.tree(self.tree).0?.trie;
        let hash = HashKey(meta.hash_key).hash(record.key()?);
        self.basis.copies.trim();
        let found = hash::lookup(&self.basis.copies, &trie, hash, |at| Ok((at == address).then_some(())));
        found.ok().map(|found| found.is_some())
    }
}

fn slots_of(entry: &Entry) -> usize {
    entry.slots.into()
}

fn record_at<'a>(memory: &BlockMemory<'a>, slot: usize) -> Result<(u16, Record<'a>)> {
    let position = block::slot_position(memory, slot)?;
    Ok((position, block::read(memory, position)?))
}

/// Keys and values of a directory leaf.
type Leaf = Vec<(u64, Vec<u8>)>;

/// Blocks and one directory leaf in memory.
#[derive(Default)]
struct Kept {
    blocks: HashMap<usize, Rc<Loaded>>,
    /// In the order in which they came.
    order: std::collections::VecDeque<usize>,
    leaf: Option<(PageNo, Leaf)>,
}

impl Kept {
    fn get(&self, at: usize) -> Option<Rc<Loaded>> {
        self.blocks.get(&at).cloned()
    }

    fn keep(&mut self, at: usize, loaded: Loaded) -> Rc<Loaded> {
        if self.order.len() >= KEPT_BLOCKS {
            if let Some(oldest) = self.order.pop_front() {
                self.blocks.remove(&oldest);
            }
        }
        let loaded = Rc::new(loaded);
        self.blocks.insert(at, loaded.clone());
        self.order.push_back(at);
        loaded
    }

    /// The directory entry of a block; it was readable before.
    fn entry(&mut self, basis: &Basis, block: &BlockRef) -> Option<Entry> {
        if self.leaf.as_ref().is_none_or(|(page, _)| *page != block.leaf) {
            let unit = basis.copies.expect(block.leaf, PageKind::TreeLeaf).ok()?;
            match salvage::contents(&unit.bytes, block.leaf, PageKind::TreeLeaf) {
                Ok(NodeContents::Leaf(entries)) => self.leaf = Some((block.leaf, entries)),
                _ => return None,
            }
        }
        let (_, entries) = self.leaf.as_ref()?;
        let at = entries.binary_search_by_key(&block.base, |(key, _)| *key).ok()?;
        Entry::decode(&entries[at].1, block.base).ok()
    }
}

const _: () = assert!(std::mem::size_of::<BlockRef>() == 24 && PAGE_BYTES == 4096);
