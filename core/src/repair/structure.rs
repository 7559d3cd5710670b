//! What the structures of the file still say: which collections there are, and where their blocks are; which runs
//! there are of keyspaces.
//!
//! ```text
//!   meta --> tree table --> entry of each tree --> block directory --> blocks, with their live records
//!                 |                                       |
//!                 unreadable: any tree may be missing     unreadable: the tree is incomplete
//!                                         \               /
//!                                          search of all pages for blocks of such trees, leaves of such runs
//!                                         /
//!   meta --> manifest --> runs     unreadable: any run may be missing
//! ```

use super::basis::{looks_like_unit, page_of, read_stride, Basis, PageSet, Used, STRIDE_PAGES};
use super::losses::Losses;
use crate::control::{Control, Progress};
use crate::engine::trees::{TreeEntry, CATALOG, DROPPED};
use crate::error::{Error, Result};
use crate::file::copies::UnitCopy;
use crate::file::meta::{Meta, META_PAGES};
use crate::file::page::{PageKind, PageNo, PAGE_BYTES};
use crate::file::pages::BlockMemory;
use crate::file::tree::salvage::{salvage, Met};
use crate::file::tree::TreeRoot;
use crate::record::block;
use crate::record::directory::Entry;
use crate::sorted::run::Run;
use std::collections::{BTreeMap, BTreeSet};

/// A tree as the tree table has it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// None where the table does not say.
    pub(super) entry: Option<TreeEntry>,
    /// All of its directory can be read.
    pub(super) complete: bool,
}

/// A block that the search of all pages found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundBlock {
    pub(super) tree: u32,
    pub(super) base: u64,
    pub(super) page: PageNo,
}

/// A leaf of a run that the search of all pages found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundLeaf {
    /// The checkpoint that wrote it.
    pub(super) generation: u64,
    pub(super) page: PageNo,
}

/// See the module's text.
pub(super) struct Structure {
    pub(super) trees: BTreeMap<u32, Tree>,
    /// The tree table is whole: there are no others.
    pub(super) table_complete: bool,
    dropped: BTreeSet<u32>,
    reached: PageSet,
    /// Blocks of incomplete trees, sorted.
    pub(super) found: Vec<FoundBlock>,
    /// The runs that the manifest names, as far as it can be read.
    pub(super) runs: Vec<Run>,
    /// The manifest is whole: there are no others.
    pub(super) manifest_complete: bool,
    /// Leaves of runs that an incomplete manifest may have named, sorted.
    pub(super) found_leaves: Vec<FoundLeaf>,
    /// All pages were searched.
    pub(super) searched: bool,
}

impl Structure {
    pub(super) fn read(
        basis: &Basis,
        trust_unchecked: bool,
        lost: &mut Losses,
        control: &mut Control<'_>,
    ) -> Result<Structure> {
        let mut structure = Structure {
            trees: BTreeMap::new(),
            table_complete: basis.meta.is_some(),
            dropped: BTreeSet::new(),
            reached: PageSet::new(basis.copies.pages()),
            found: Vec::new(),
            runs: Vec::new(),
            manifest_complete: basis.meta.is_some(),
            found_leaves: Vec::new(),
            searched: false,
        };
        if let Some(meta) = &basis.meta {
            structure.read_table(basis, &meta.tree_table, lost)?;
            structure.read_directories(basis, lost, control)?;
            structure.read_manifest(basis, meta, lost)?;
        }
        let complete = structure.table_complete && structure.manifest_complete;
        if !complete || structure.trees.values().any(|tree| !tree.complete) {
            structure.search(basis, trust_unchecked, lost, control)?;
        }
        Ok(structure)
    }

    fn read_table(&mut self, basis: &Basis, root: &TreeRoot, lost: &mut Losses) -> Result<()> {
        let mut read = |page, kind| basis.copies.expect(page, kind).map(|unit| unit.bytes);
        salvage(&mut read, root, CATALOG.into(), &mut |met| {
            match met {
                Met::Damage { page, error } => {
                    self.table_complete = false;
                    lost.add(None, page, "tree table", None, error);
                }
                // What was dropped is gone, even where its pages are not free yet.
                Met::Entry { key, .. } if key >= DROPPED => drop(self.dropped.insert(key as u32)),
                Met::Entry { key, value, page } => {
                    let entry = TreeEntry::decode(value, key as u32);
                    let complete = entry.is_ok();
                    if let Err(e) = &entry {
                        lost.add(Some(key as u32), page, "tree table entry", None, e.clone());
                    }
                    self.trees.insert(key as u32, Tree { entry: entry.ok(), complete });
                }
            }
            Ok(())
        })
    }

    fn read_directories(&mut self, basis: &Basis, lost: &mut Losses, control: &mut Control<'_>) -> Result<()> {
        let (mut blocks, reached) = (0, &mut self.reached);
        for (&number, tree) in &mut self.trees {
            let Some(root) = tree.entry.as_ref().map(|entry| entry.directory) else { continue };
            let mut read = |page, kind| basis.copies.expect(page, kind).map(|unit| unit.bytes);
            salvage(&mut read, &root, number.into(), &mut |met| {
                match met {
                    Met::Damage { page, error } => {
                        tree.complete = false;
                        lost.add(Some(number), page, "block directory", None, error);
                    }
                    Met::Entry { key, value, page } => match Entry::decode(value, key) {
                        Ok(entry) => reached.add(entry.page.0),
                        Err(e) => {
                            tree.complete = false;
                            lost.add(Some(number), page, "block directory (entry)", None, e);
                        }
                    },
                }
                blocks += 1;
                if blocks % 256 == 0 {
                    control.step(Progress::new("structure", blocks, 0, "blocks"))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn read_manifest(&mut self, basis: &Basis, meta: &Meta, lost: &mut Losses) -> Result<()> {
        let root = meta.manifest;
        if !basis.is_certain() {
            // Of a damaged meta page this part may be wrong, too: without a run there must never have been one, and the
            // root must be in use.
            let used = Used::read(basis, &mut |_, _| {})?;
            let agrees = if root.page.is_none() { meta.next_run == 1 } else { used.may_be_used(root.page.0) };
            if !agrees {
                self.manifest_complete = false;
                let e = Error::corrupt("meta page (manifest)", 0, 0, meta.next_run, root.page.0);
                lost.add(None, root.page, "manifest", None, e);
                return Ok(());
            }
        }
        let mut read = |page, kind| basis.copies.expect(page, kind).map(|unit| unit.bytes);
        salvage(&mut read, &root, 0, &mut |met| {
            let (page, what, error) = match met {
                Met::Damage { page, error } => (page, "manifest", error),
                Met::Entry { key, value, page } => match Run::decode(value, key) {
                    Ok(run) => {
                        let end = (run.page.0.saturating_add(run.leaf_pages.into())).min(basis.copies.pages());
                        (run.page.0..end).for_each(|page| self.reached.add(page));
                        self.runs.push(run);
                        return Ok(());
                    }
                    Err(e) => (page, "manifest entry", e),
                },
            };
            self.manifest_complete = false;
            lost.add(None, page, what, None, error);
            Ok(())
        })
    }

    /// True if blocks of the tree may lie where no directory says.
    fn is_wanted(&self, tree: u64) -> bool {
        let Some(number) = u32::try_from(tree).ok().filter(|number| *number != u32::MAX) else { return false };
        match self.trees.get(&number) {
            Some(tree) => !tree.complete,
            None => !self.table_complete && !self.dropped.contains(&number),
        }
    }

    fn search(
        &mut self,
        basis: &Basis,
        trust_unchecked: bool,
        lost: &mut Losses,
        control: &mut Control<'_>,
    ) -> Result<()> {
        self.searched = true;
        let copies = &basis.copies;
        let used = Used::read(basis, &mut |page, error| lost.add(None, page, "free space", Some(0), error))?;
        let mut stride = vec![0; STRIDE_PAGES * PAGE_BYTES];
        let mut page = META_PAGES;
        while page < copies.pages() {
            control.step(Progress::new("search", page, copies.pages(), "pages"))?;
            let have = read_stride(copies, page, &mut stride);
            for at in 0..have {
                let number = PageNo(page + at as u64);
                let bytes = &stride[at * PAGE_BYTES..have * PAGE_BYTES];
                if !used.may_be_used(number.0) || self.reached.has(number.0) || !looks_like_unit(bytes, number) {
                    continue;
                }
                let Ok(unit) = basis.copies.unit_copy(number, 1) else { continue };
                match unit.header.kind {
                    PageKind::Block => self.found.extend(self.block_at(unit, number, trust_unchecked, &used, lost)),
                    PageKind::RunLeaf if !self.manifest_complete => match unit.verdict {
                        Err(e) if !trust_unchecked => {
                            // As with blocks.
                            if used.is_used(number.0) {
                                lost.add(None, number, "leaf of a run", None, e);
                            }
                        }
                        _ => self.found_leaves.push(FoundLeaf { generation: unit.header.generation, page: number }),
                    },
                    _ => {}
                }
            }
            page += STRIDE_PAGES as u64;
        }
        self.found.sort_unstable();
        self.found_leaves.sort_unstable();
        Ok(())
    }

    fn block_at(
        &self,
        unit: UnitCopy,
        page: PageNo,
        trust_unchecked: bool,
        used: &Used,
        lost: &mut Losses,
    ) -> Option<FoundBlock> {
        if !self.is_wanted(unit.header.tree) {
            return None;
        }
        let tree = unit.header.tree as u32;
        let memory = BlockMemory::of_copy(&unit.bytes, page);
        if let Some(error) = unit.verdict.err().or(block::sealed_shape(&memory).err()) {
            if !trust_unchecked {
                // What is not used any more was overwritten in part; that is no loss.
                if used.is_used(page.0) {
                    lost.add(Some(tree), page, "record block", None, error);
                }
                return None;
            }
        }
        Some(FoundBlock { tree, base: block::base_ordinal(&memory), page })
    }

    /// The blocks of a tree that the search found.
    pub(super) fn found_of(&self, tree: u32) -> &[FoundBlock] {
        let from = self.found.partition_point(|found| found.tree < tree);
        let to = self.found.partition_point(|found| found.tree <= tree);
        &self.found[from..to]
    }

    /// All trees of which there is an entry or a block, but for the catalog.
    pub(super) fn collections(&self) -> BTreeSet<u32> {
        let found = self.found.iter().map(|found| found.tree);
        self.trees.keys().copied().chain(found).filter(|tree| *tree != CATALOG).collect()
    }

    /// What is known of a tree. Without an entry in a whole table it is empty.
    pub(super) fn tree(&self, number: u32) -> (Option<&TreeEntry>, bool) {
        match self.trees.get(&number) {
            Some(tree) => (tree.entry.as_ref(), tree.complete),
            None => (None, self.table_complete),
        }
    }

    /// The tree was dropped, and its pages are not all free yet.
    pub(super) fn is_dropped(&self, tree: u32) -> bool {
        self.dropped.contains(&tree) && !self.trees.contains_key(&tree)
    }
}

/// The place of an error about a page of the file, for those that carry none.
pub(super) fn place_of(error: &Error, page: PageNo) -> (PageNo, u32) {
    match error {
        Error::Corrupt(damage) if page_of(error) == page => (page, damage.offset),
        _ => (page, 0),
    }
}
