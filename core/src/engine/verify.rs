//! The whole-database check.
//!
//! ```text
//!   meta --> free space ----------------------------------+
//!        --> tree table --> trie      ----+               |
//!                       --> directory     | every page    | is used exactly where
//!                       --> blocks        | is reached    | the bitmap says so
//!                       --> extents   ----+ at most once  +
//!
//!   every live record is found through the trie, at its own address; the trie has no other entries;
//!   counters agree; then every collection is scanned at a snapshot, deltas included
//! ```
//!
//! It reads only, checks every checksum anew, and runs on a live database: what it checks is the last
//! checkpoint, whose pages the snapshot pins, and what the snapshot sees on top. It tells how far it is, and looks
//! whether to go on, each 256 pages and each 1 024 documents.

use super::delta::{Delta, Room};
use super::fold::Totals;
use super::scan::Scan;
use super::sorted::Sorted;
use super::state::{self, State};
use super::trees::{self, Kind, TreeEntry, CATALOG};
use super::Engine;
use crate::control::{Control, Progress};
use crate::error::{Error, Result};
use crate::file::cache::Hold;
use crate::file::meta::META_PAGES;
use crate::file::page::{self, Address, PageNo, UNIT_HEADER_BYTES};
use crate::file::pages::Pages;
use crate::file::space::Space;
use crate::file::tree;
use crate::hash;
use crate::record::block;
use crate::record::directory::Entry;
use crate::sorted::memtable::Memtable;
use crate::sync::Arc;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Pages in the file.
    pub file_pages: u64,
    /// Pages in use, the meta pages included.
    pub used_pages: u64,
    /// Collections.
    pub collections: u64,
    /// Documents, as of the moment the check began.
    pub documents: u64,
    /// Record blocks.
    pub blocks: u64,
    /// Large documents in extents of their own.
    pub extents: u64,
    /// Runs of the sorted index.
    pub runs: u64,
    /// Keys in them, each run's by itself, and tombstones.
    pub run_entries: u64,
    /// Keyspaces.
    pub keyspaces: u64,
    /// The last commit seen.
    pub commit: u64,
}

/// What tells a document from other bytes: the layers above know, not this one.
pub type IsDocument<'a> = &'a dyn Fn(&[u8]) -> std::result::Result<(), u64>;

/// Pages and documents between two steps.
const STEP_PAGES: u64 = 256;
const STEP_DOCUMENTS: u64 = 1024;

/// Lets go of what was read so far.
type Renew<'a> = &'a dyn Fn();

/// Pages reached so far, a bit each; each page that is reached was, or is about to be, checked.
pub(super) struct Reached<'w, 'c> {
    bits: Vec<u64>,
    pages: u64,
    count: u64,
    /// Pages in use, as the meta page says.
    used: u64,
    /// The count at which the next step is due.
    next_step: u64,
    control: &'w mut Control<'c>,
}

impl<'w, 'c> Reached<'w, 'c> {
    fn new(pages: u64, used: u64, control: &'w mut Control<'c>) -> Reached<'w, 'c> {
        Reached { bits: vec![0; pages.div_ceil(64) as usize], pages, count: 0, used, next_step: 0, control }
    }

    fn step(&mut self) -> Result<()> {
        self.next_step = self.count + STEP_PAGES;
        self.control.step(Progress::new("pages", self.count, self.used, "pages"))
    }

    pub(super) fn claim(&mut self, first: PageNo, pages: u64) -> Result<()> {
        for number in first.0..first.0.saturating_add(pages) {
            if number >= self.pages {
                return Err(Error::corrupt("page beyond the file", number, 0, self.pages, number));
            }
            let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
            if self.bits[word] & bit != 0 {
                return Err(Error::corrupt("page reached twice", number, 0, 1, 2));
            }
            self.bits[word] |= bit;
            self.count += 1;
        }
        if self.count >= self.next_step {
            self.step()?;
        }
        Ok(())
    }

    fn has(&self, number: u64) -> bool {
        number < self.pages && self.bits[(number / 64) as usize] >> (number % 64) & 1 == 1
    }
}

impl Engine {
    /// Checks everything; see the module's text. `is_document` is given the bytes of every document, and
    /// answers with the offset of the first that can't be right.
    pub fn verify(&self, is_document: IsDocument<'_>, control: &mut Control<'_>) -> Result<VerifyReport> {
        let hold = RefCell::new(self.pages.hold());
        // Called where nothing that was read is looked at any more: a file of any size is checked in bounded memory.
        let renew = &|| hold.borrow_mut().iter_mut().for_each(Hold::renew);
        let (state, commit) = self.published.snapshot();
        let meta = &state.meta;
        let mut report = VerifyReport { file_pages: meta.file_pages, commit, ..VerifyReport::default() };
        let mut reached = Reached::new(meta.file_pages, meta.used_pages, control);
        reached.claim(PageNo(0), META_PAGES)?;
        let mut blocks = Totals { pages: 0, live_bytes: 0 };
        let entries = self.verify_table(&state, &mut reached, &mut blocks, renew)?;
        for (&tree, entry) in &entries {
            self.verify_tree(tree, entry, &state, &mut reached, &mut blocks, &mut report, renew)?;
        }
        let runs = self.verify_runs(&state, &mut reached, renew)?;
        (report.runs, report.run_entries) = (runs.runs, runs.entries);
        report.extents += runs.large;
        let same = |what, expected, got| match expected == got {
            true => Ok(()),
            false => Err(Error::corrupt(what, 0, 0, expected, got)),
        };
        same("meta page (block pages)", blocks.pages, meta.block_pages)?;
        same("meta page (block live bytes)", blocks.live_bytes, meta.block_live_bytes)?;
        self.verify_catalog_of_roots(&state, &entries)?;
        self.verify_space(&state, &mut reached)?;
        report.used_pages = reached.count;
        reached.step()?;
        drop(reached);
        self.verify_snapshot(&state, commit, is_document, &mut report, control, renew)?;
        Ok(report)
    }

    fn verify_table(
        &self,
        state: &State,
        reached: &mut Reached<'_, '_>,
        blocks: &mut Totals,
        renew: Renew<'_>,
    ) -> Result<BTreeMap<u32, TreeEntry>> {
        let mut entries = BTreeMap::new();
        let mut claim = |page: PageNo| {
            renew();
            self.pages.forget(page);
            reached.claim(page, 1)
        };
        let mut dropped = Vec::new();
        tree::walk(&self.pages, &state.meta.tree_table, &mut claim, &mut |number, bytes| {
            if number & trees::DROPPED != 0 {
                let tree = (number & u64::from(u32::MAX)) as u32;
                dropped.push((tree, TreeEntry::decode(bytes, tree)?));
                return Ok(());
            }
            let tree = u32::try_from(number).ok().filter(|_| number < state.meta.next_tree);
            let tree = tree.ok_or_else(|| Error::corrupt("tree table (number)", 0, 0, state.meta.next_tree, number))?;
            entries.insert(tree, TreeEntry::decode(bytes, tree)?);
            Ok(())
        })?;
        for (tree, entry) in dropped {
            self.verify_dropped(tree, &entry, reached, blocks)?;
        }
        Ok(entries)
    }

    #[allow(clippy::too_many_arguments, reason = "one step of the walk above, split off for its length")]
    fn verify_tree(
        &self,
        tree: u32,
        entry: &TreeEntry,
        state: &State,
        reached: &mut Reached<'_, '_>,
        totals: &mut Totals,
        report: &mut VerifyReport,
        renew: Renew<'_>,
    ) -> Result<()> {
        let pages = &self.pages;
        let mut indexed = 0u64;
        let mut claim = |page: PageNo| {
            renew();
            pages.forget(page);
            reached.claim(page, 1)
        };
        hash::walk(pages, &entry.trie, &mut claim, &mut |indexed_entry| {
            indexed += 1;
            renew();
            let at = indexed_entry.address;
            let key = state::read(pages, at)?.record.key();
            if key.is_some_and(|key| indexed_entry.matches(state::hash_of(&state.meta, key))) {
                return Ok(());
            }
            Err(Error::corrupt("hash trie (entry of another record)", at.page().0, at.slot().into(), 1, 0))
        })?;
        let mut blocks = Vec::new();
        tree::walk(pages, &entry.directory, &mut claim, &mut |base, bytes| {
            blocks.push((base, Entry::decode(bytes, base)?));
            Ok(())
        })?;
        let (mut live, mut bytes, mut last) = (0, 0, 0);
        for (base, block) in &blocks {
            renew();
            pages.forget(block.page);
            reached.claim(block.page, 1 << block.order)?;
            bytes += self.verify_block(tree, *base, block, entry, state, reached, report, &mut last)?;
            live += u64::from(block.live);
            totals.add(block);
        }
        report.blocks += blocks.len() as u64;
        let same = |what, expected, got| {
            if expected == got {
                Ok(())
            } else {
                Err(Error::corrupt(what, tree.into(), 0, expected, got))
            }
        };
        same("tree table entry (live documents; tree in place of the page)", live, entry.live)?;
        same("tree table entry (live bytes; tree in place of the page)", bytes, entry.live_bytes)?;
        same("hash trie (entries; tree in place of the page)", live, indexed)?;
        same("hash trie (count; tree in place of the page)", live, entry.trie.entries)
    }

    /// What is left of a dropped tree: its pages are its own, and nothing else is asked of them.
    fn verify_dropped(
        &self,
        tree: u32,
        entry: &TreeEntry,
        reached: &mut Reached<'_, '_>,
        totals: &mut Totals,
    ) -> Result<()> {
        let pages = &self.pages;
        let mut claim = |page: PageNo| {
            pages.forget(page);
            reached.claim(page, 1)
        };
        hash::walk(pages, &entry.trie, &mut claim, &mut |_| Ok(()))?;
        let mut blocks = Vec::new();
        tree::walk(pages, &entry.directory, &mut claim, &mut |base, bytes| {
            blocks.push(Entry::decode(bytes, base)?);
            Ok(())
        })?;
        for block in &blocks {
            pages.forget(block.page);
            reached.claim(block.page, 1 << block.order)?;
            totals.add(block);
            if block.large {
                for extent in super::dropped::extents(tree, pages, block)? {
                    let (_, length) = pages.unit_shape(extent)?;
                    reached.claim(extent, length)?;
                }
            }
        }
        Ok(())
    }

    /// Checks a block against its directory entry and the trie; returns the bytes of its documents.
    #[allow(clippy::too_many_arguments, reason = "one step of the walk above, split off for its length")]
    fn verify_block(
        &self,
        tree: u32,
        base: u64,
        entry: &Entry,
        roots: &TreeEntry,
        state: &State,
        reached: &mut Reached<'_, '_>,
        report: &mut VerifyReport,
        last: &mut u64,
    ) -> Result<u64> {
        let pages = &self.pages;
        let memory = pages.block(entry.page)?;
        let bad = |what, expected, got| Error::corrupt(what, entry.page.0, 0, expected, got);
        let head = memory.slice(0, UNIT_HEADER_BYTES).unwrap_or_default();
        if page::tree_of(head) != u64::from(tree) || block::base_ordinal(&memory) != base {
            return Err(bad("record block (tree or base ordinal)", base, block::base_ordinal(&memory)));
        }
        if page::order_of(head) != entry.order {
            return Err(bad("directory entry (order)", page::order_of(head).into(), entry.order.into()));
        }
        let (slots, end) = block::sealed_shape(&memory)?;
        if slots != usize::from(entry.slots) {
            return Err(bad("directory entry (slots)", slots as u64, entry.slots.into()));
        }
        let (mut position, mut live_bytes, mut bytes) = (block::RECORDS_AT, 0, 0);
        for slot in 0..slots {
            let at = block::slot_position(&memory, slot)?;
            if usize::from(at) != position {
                return Err(bad("record block (slot)", position as u64, at.into()));
            }
            let record = block::read(&memory, at)?;
            position += record.bytes;
            if !entry.is_live(slot) {
                continue;
            }
            if record.large && !entry.large {
                return Err(bad("directory entry (large)", 1, 0));
            }
            let ordinal = base.saturating_add(record.ordinal_delta);
            if ordinal <= *last {
                return Err(bad("record (ordinal)", *last, ordinal));
            }
            *last = ordinal;
            live_bytes += record.bytes as u64;
            let address = Address::new(entry.page, at);
            bytes += self.verify_record(address, roots, state, reached, report)?;
        }
        if position != end {
            return Err(bad("record block (end)", end as u64, position as u64));
        }
        if live_bytes != u64::from(entry.live_bytes) {
            return Err(bad("directory entry (live bytes)", live_bytes, entry.live_bytes.into()));
        }
        Ok(bytes)
    }

    fn verify_record(
        &self,
        address: Address,
        roots: &TreeEntry,
        state: &State,
        reached: &mut Reached<'_, '_>,
        report: &mut VerifyReport,
    ) -> Result<u64> {
        let pages = &self.pages;
        let found = state::read(pages, address)?;
        let bad = |what| Error::corrupt(what, address.page().0, address.slot().into(), 1, 0);
        let key = found.record.key().ok_or_else(|| bad("record (no _id)"))?;
        let hash = state::hash_of(&state.meta, key);
        let indexed = hash::lookup(pages, &roots.trie, hash, |at| Ok((at == address).then_some(())))?;
        indexed.ok_or_else(|| bad("record (not in the hash trie)"))?;
        if found.record.large {
            let (extent, _) = found.record.extent().ok_or_else(|| bad("stub of a large document"))?;
            let (_, length) = pages.unit_shape(extent)?;
            (0..length).for_each(|i| pages.forget(PageNo(extent.0 + i)));
            reached.claim(extent, length)?;
            report.extents += 1;
        }
        let document = state::document(pages, &found)?;
        if crate::record::key::key_of(document) != Some(key) {
            return Err(bad("large document (another _id than its stub)"));
        }
        Ok(document.len() as u64)
    }

    /// The trees in the table are those in the catalog of the same checkpoint.
    fn verify_catalog_of_roots(&self, state: &State, entries: &BTreeMap<u32, TreeEntry>) -> Result<()> {
        let commit = state.meta.commit;
        let active = Arc::new(Delta::new(&self.pool, commit, Room::default()));
        let sorted = Sorted::new(Arc::new(Memtable::new(&self.pool, self.config.memtable_bytes)));
        let roots = State::new(0, state.meta.clone(), None, active, sorted);
        let named: BTreeSet<u32> = catalog(&roots, &self.pages, commit)?.into_values().map(|(_, tree)| tree).collect();
        match entries.keys().find(|tree| **tree != CATALOG && !named.contains(tree)) {
            Some(tree) => Err(Error::corrupt("tree table (tree without a name)", 0, 0, 0, u64::from(*tree))),
            None => Ok(()),
        }
    }

    fn verify_space(&self, state: &State, reached: &mut Reached) -> Result<()> {
        let meta = &state.meta;
        let (mut own, mut used) = (Vec::new(), Vec::new());
        let mut page = |page: PageNo| {
            self.pages.forget(page);
            own.push(page);
            Ok(())
        };
        let mut run = |first: u64, pages: u64| {
            used.push((first, pages));
            Ok(())
        };
        Space::walk(&self.pages, meta.space, meta.region_pages, meta.file_pages, &mut page, &mut run)?;
        for page in own {
            reached.claim(page, 1)?;
        }
        let mut count = 0;
        for (first, pages) in used {
            count += pages;
            if let Some(leaked) = (first..first + pages).find(|page| !reached.has(*page)) {
                return Err(Error::corrupt("free space (page used but not reached)", leaked, 0, 0, 1));
            }
        }
        if count != reached.count {
            return Err(Error::corrupt("free space (pages reached but marked free)", 0, 0, reached.count, count));
        }
        if count != meta.used_pages {
            return Err(Error::corrupt("meta page (used pages)", 0, 0, count, meta.used_pages));
        }
        Ok(())
    }

    /// What a snapshot sees: every scanned document is found by its id, and the counts are exact.
    fn verify_snapshot(
        &self,
        state: &State,
        commit: u64,
        is_document: IsDocument<'_>,
        report: &mut VerifyReport,
        control: &mut Control<'_>,
        renew: Renew<'_>,
    ) -> Result<()> {
        let pages = &self.pages;
        let (mut done, mut total) = (0, 0);
        let named = || Ok::<_, Error>(catalog(state, pages, commit)?.into_values());
        report.keyspaces = named()?.filter(|(kind, _)| *kind == Kind::Keyspace).count() as u64;
        let collections: Vec<u32> =
            named()?.filter(|(kind, _)| *kind == Kind::Collection).map(|(_, tree)| tree).collect();
        for &tree in &collections {
            total += state.count(pages, commit, tree)?;
        }
        for &tree in &collections {
            report.collections += 1;
            let (mut scan, mut count, mut last) = (Scan::new(tree, commit, 0), 0, 0);
            while let Some(item) = scan.next(state, pages)? {
                let at = item.found.address;
                let bad = |what| Error::corrupt(what, at.page().0, at.slot().into(), 1, 0);
                let key = item.found.record.key().ok_or_else(|| bad("record (no _id)"))?;
                let found = state.get(pages, commit, tree, key, state::hash_of(&state.meta, key))?;
                if found.map(|f| f.address) != Some(at) {
                    return Err(bad("scan (a document that its _id does not find)"));
                }
                if item.ordinal <= last {
                    return Err(bad("scan (ordinals not ascending)"));
                }
                last = item.ordinal;
                is_document(state::document(pages, &item.found)?).map_err(|offset| {
                    let slot = at.slot().into();
                    Error::corrupt("record (its document is malformed from the byte on)", at.page().0, slot, 0, offset)
                })?;
                count += 1;
                done += 1;
                if done % STEP_DOCUMENTS == 0 {
                    control.step(Progress::new("documents", done, total, "documents"))?;
                }
                renew();
            }
            let counted = state.count(pages, commit, tree)?;
            if count != counted {
                return Err(Error::corrupt("count (tree in place of the page)", tree.into(), 0, count, counted));
            }
            report.documents += count;
        }
        control.step(Progress::new("documents", done, total, "documents"))
    }
}

/// The catalog as of a commit: name -> tree.
pub fn catalog(state: &State, pages: &Pages, commit: u64) -> Result<BTreeMap<String, (Kind, u32)>> {
    let mut names = BTreeMap::new();
    let mut scan = Scan::new(CATALOG, commit, 0);
    while let Some(item) = scan.next(state, pages)? {
        let at = item.found.address;
        let name = item.found.record.key().and_then(trees::name_of_key);
        let name = name.ok_or_else(|| Error::corrupt("catalog (name)", at.page().0, at.slot().into(), 0, 0))?;
        let named = trees::named_by_document(state::document(pages, &item.found)?)?;
        if names.insert(name.to_owned(), named).is_some() {
            return Err(Error::corrupt("catalog (name twice)", at.page().0, at.slot().into(), 1, 2));
        }
    }
    Ok(names)
}
