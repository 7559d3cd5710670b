//! The engine's part of the sorted index: which memtables and runs a state has, and what a checkpoint does to them.
//!
//! ```text
//!   state    { active memtable, frozen memtable or none, levels }         beside its deltas and roots
//!   freeze   active -> frozen                                             with the deltas, in the same step
//!   fold     frozen -> a set of level 0; merges as far as the budget goes; manifest
//!   swap     new levels; the frozen memtable goes
//! ```
//!
//! So the cut between what is in the log and what is in the file is one for all structures.

use super::checkpoint::{Outcome, Sink, Work};
use super::fold::Plan;
use super::reclaim;
use super::state::State;
use super::trees::DROPPED;
use super::Engine;
use crate::error::Result;
use crate::file::meta::Meta;
use crate::file::page::{self, PageNo};
use crate::file::pages::Pages;
use crate::file::tree::{self, Cursor as TreeCursor};
use crate::int_map::IntSet;
use crate::memory::Pool;
use crate::plant::{planted, Bug};
use crate::record::extent::HeapExtent;
use crate::sorted::build::RunSink;
use crate::sorted::cell::Cell;
use crate::sorted::compact::{Change, Goal};
use crate::sorted::filter::FilterHash;
use crate::sorted::levels::{Found, Levels};
use crate::sorted::memtable::{Known, Memtable};
use crate::sorted::merge::{after_tree, full_key, View};
use crate::sync::Arc;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A checkpoint merges up to so many bytes for each that it flushes.
const MERGED_PER_FLUSHED: u64 = 12;
/// And so many bytes at least.
const LEAST_MERGED: u64 = 96 << 20;

/// The sorted index of a state.
pub struct Sorted {
    /// Where commits go.
    pub active: Arc<Memtable>,
    /// What a checkpoint is folding.
    pub frozen: Option<Arc<Memtable>>,
    levels: OnceLock<Arc<Levels>>,
}

impl Sorted {
    /// An empty memtable over the runs that the meta page names, which are read when they are needed.
    pub fn new(active: Arc<Memtable>) -> Sorted {
        Sorted { active, frozen: None, levels: OnceLock::new() }
    }

    /// The same runs with other memtables.
    pub fn with_memtables(&self, active: Arc<Memtable>, frozen: Option<Arc<Memtable>>) -> Sorted {
        Sorted { active, frozen, levels: self.levels.clone() }
    }

    /// The same memtable over other runs.
    pub fn with_levels(&self, levels: Option<Arc<Levels>>) -> Sorted {
        let known = OnceLock::new();
        if let Some(levels) = levels.or_else(|| self.levels.get().cloned()) {
            let _ = known.set(levels);
        }
        Sorted { active: self.active.clone(), frozen: None, levels: known }
    }
}

impl State {
    /// The runs of the state's checkpoint.
    pub fn levels(&self, pages: &Pages) -> Result<&Arc<Levels>> {
        if let Some(levels) = self.sorted.levels.get() {
            return Ok(levels);
        }
        let levels = match self.meta.manifest.page.is_none() {
            true => Levels::default(),
            false => Levels::load(pages, pages, &self.meta.manifest, self.meta.next_run)?,
        };
        Ok(self.sorted.levels.get_or_init(|| Arc::new(levels)))
    }

    /// All that the state has of keyspaces, as of commit `at`.
    pub fn view<'s>(&'s self, pages: &'s Pages, at: u64) -> Result<View<'s>> {
        let memtables = [Some(&*self.sorted.active), self.sorted.frozen.as_deref()];
        Ok(View { pages, memtables, levels: self.levels(pages)?, at })
    }

    /// The value of a key of a keyspace as of commit `at`.
    pub fn value<'s>(&'s self, pages: &'s Pages, at: u64, tree: u32, key: &[u8]) -> Result<Option<&'s [u8]>> {
        for memtable in [Some(&self.sorted.active), self.sorted.frozen.as_ref()].into_iter().flatten() {
            match memtable.get(tree, key, at) {
                Known::Cell(cell) => return cell.value(pages),
                Known::Covered(_) => return Ok(None),
                Known::Nothing => {}
            }
        }
        let levels = self.levels(pages)?;
        let mut short = [0; SHORT_KEY];
        let long;
        let full = match short.get_mut(..4 + key.len()) {
            Some(full) => {
                full[..4].copy_from_slice(&tree.to_be_bytes());
                full[4..].copy_from_slice(key);
                &*full
            }
            None => {
                long = full_key(tree, key);
                &long[..]
            }
        };
        match levels.get(pages, full, FilterHash::of(filter_seed(&self.meta), full))? {
            Found::Cell(cell) => cell.value(pages),
            Found::Nothing => Ok(None),
        }
    }
}

/// Keys up to so many bytes, the tree's number included, are put together without asking for memory.
const SHORT_KEY: usize = 132;

/// The seed of all filters of a file.
pub fn filter_seed(meta: &Meta) -> u64 {
    meta.hash_key[0]
}

impl RunSink for Sink<'_> {
    fn table(&self) -> &Pages {
        self.pages()
    }

    fn memory(&self) -> Pool {
        self.pool().clone()
    }

    fn allocate_run(&mut self, pages: u64) -> Result<PageNo> {
        self.allocate_extent(pages)
    }

    fn write_leaf(&mut self, page: PageNo, leaf: &[u8]) -> Result<()> {
        self.copy(page, leaf, page::seal)?;
        self.pages().unit_written(page, (leaf.len() / page::PAGE_BYTES) as u64);
        Ok(())
    }

    fn write_extent(&mut self, extent: &HeapExtent) -> Result<()> {
        Sink::write_extent(self, extent)
    }

    fn retire_run(&mut self, page: PageNo, pages: u64) -> Result<()> {
        self.retire(page, pages)?;
        if planted(Bug::RunReleasedEarly) {
            self.unpin(page, pages);
        }
        Ok(())
    }

    fn is_pressed(&self) -> bool {
        Sink::is_pressed(self)
    }

    fn settle(&mut self) -> Result<()> {
        self.flush()?;
        self.let_go_of_pages();
        Ok(())
    }
}

/// Large values in the heap that the newest version of some key has.
pub fn large_values(work: &Work, dropped: &IntSet<u32>) -> IntSet<PageNo> {
    let mut found = IntSet::default();
    if work.heap.extents.is_empty() || planted(Bug::LargeValueNotAdopted) {
        return found;
    }
    for tree in work.keys.trees().filter(|tree| !dropped.contains(tree)) {
        let mut walk = work.keys.seek(tree, &[], false, u64::MAX);
        while let Some(version) = walk.step(&work.keys, false) {
            if let Cell::Large { page, .. } = work.keys.cell(version) {
                found.insert(page);
            }
        }
    }
    found
}

/// The fold's part of it: flushes and merges. Trees that were dropped and of which runs still have keys stay in
/// `table`. The manifest goes to `outcome`.
pub fn fold(
    sink: &mut Sink<'_>,
    work: &Work,
    old: &Meta,
    plan: &Plan,
    dropped: &IntSet<u32>,
    table: &mut BTreeMap<u64, Option<Vec<u8>>>,
    outcome: &mut Outcome,
) -> Result<()> {
    outcome.manifest = (old.manifest, old.next_run);
    if work.keys.is_empty() && old.manifest.page.is_none() {
        return Ok(());
    }
    let pages = sink.pages();
    let mut gone = dropped.clone();
    let mut before = TreeCursor::seek(pages, &old.tree_table, DROPPED)?;
    while let Some((key, _)) = before.next(pages)? {
        gone.insert((key & u64::from(u32::MAX)) as u32);
    }
    let goal = match plan.reclaim.goal {
        reclaim::Goal::Nothing => Goal::Nothing,
        reclaim::Goal::Merge => Goal::All,
        _ => plan.runs,
    };
    if goal == Goal::Nothing && work.keys.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let mut change = Change::new(sink.levels(old)?, old.next_run, plan.shape, filter_seed(old), &gone);
    change.flush(sink, &work.keys)?;
    let budget = (change.written * MERGED_PER_FLUSHED).max(plan.shape.base_bytes.min(LEAST_MERGED));
    let budget = plan.run_budget.unwrap_or(budget);
    outcome.runs_left = change.compact(sink, goal, budget)? || (goal == Goal::Shape && !change.is_settled(pages)?);
    if let Some(cut) = plan.cut() {
        change.evacuate(sink, cut)?;
    }
    let settled = change.gone_trees(pages)?;
    for tree in gone.iter().filter(|tree| !settled.contains(tree)) {
        let key = DROPPED | u64::from(*tree);
        let rest = match table.get(&key) {
            Some(Some(rest)) => rest.clone(),
            _ => super::trees::TreeEntry::default().encode(),
        };
        table.insert(key, Some(rest));
        outcome.runs_left = outcome.runs_left || goal != Goal::Nothing;
    }
    (outcome.run_bytes, outcome.flushed_bytes) = (change.written, change.flushed);
    let next = change.next_number();
    if change.is_empty() {
        outcome.levels = Some(change.before.clone());
    } else {
        let (edits, levels) = change.edits();
        outcome.manifest = (tree::fold(sink, 0, &old.manifest, &edits)?, next);
        outcome.levels = Some(Arc::new(levels));
    }
    if let Some(cut) = plan.cut() {
        sink.flush()?;
        outcome.manifest.0 = tree::evacuate(sink, 0, &outcome.manifest.0, cut)?;
    }
    Ok(())
}

impl State {
    /// The number of keys of a tree, about: all entries of what it may lie in, less the tombstones and what they end.
    /// Of a run that has keys of other trees, too, the part that its pages suggest.
    pub fn estimated_keys(&self, pages: &Pages, tree: u32) -> Result<u64> {
        let (first, end) = (full_key(tree, &[]), after_tree(tree));
        let mut keys: u64 = 0;
        let mut deleted: u64 = 0;
        for list in self.levels(pages)?.lists() {
            for run in &list.runs()[list.overlapping(pages, &first, &end)?] {
                let whole = run.compare_first(pages, &first)?.is_ge() && run.compare_last(pages, &end)?.is_lt();
                let (part, of): (u64, u64) = match whole {
                    true => (1, 1),
                    false => {
                        let tail = run.tail(pages)?;
                        let leaves = tail.leaves().max(1) as u64;
                        let (from, to) = (tail.find(&first, true)? as u64, tail.find(&end, true)? as u64);
                        (to.saturating_sub(from) + 1, leaves)
                    }
                };
                let share = |entries: u64| (u128::from(entries) * u128::from(part) / u128::from(of)) as u64;
                keys = keys.saturating_add(share(run.entries.saturating_sub(run.deleted)));
                deleted = deleted.saturating_add(share(run.deleted));
            }
        }
        let memtables = [Some(&self.sorted.active), self.sorted.frozen.as_ref()].into_iter().flatten();
        let in_memory: u64 = memtables.map(|memtable| memtable.keys(tree)).sum();
        Ok(keys.saturating_add(in_memory).saturating_sub(deleted))
    }
}

impl Engine {
    /// The runs of a checkpoint, which the published state has or is about to have.
    pub(super) fn levels_of(&self, meta: &Meta) -> Result<Arc<Levels>> {
        let state = self.published.pin();
        match state.meta.generation == meta.generation {
            true => state.levels(&self.pages).cloned(),
            false => Levels::load(&self.pages, &self.pages, &meta.manifest, meta.next_run).map(Arc::new),
        }
    }
}
