//! Compaction: runs are merged downwards, so that a key is looked for in few places and what is deleted goes.
//!
//! ```text
//!   level 0       sets, one for each flush         small ones are merged among themselves, many of them, too;
//!      |          of groups that overlap           group by group they go to the base level
//!      v
//!   base level    target: that of the next one / fan-out
//!      |          one run at a time, with those below that it overlaps
//!      v
//!   level 7       all that was ever moved down
//! ```
//!
//! The targets follow from the size of the last level, upwards, as in RocksDB's dynamic level sizes. Levels above the
//! base level are empty: where the tree has become smaller, the highest one with a run is the base level until it is.
//! Runs without anything below them in their way are moved by a new entry in the manifest alone.
//!
//! To merge late is to write little: level 0 holds up to half as much as the base level, in few sets. The group that has
//! most for what lies below it goes first, so what goes down meets about as much (near to the lazy levelling of
//! Dostoevsky: Dayan and Idreos, 2018).
//!
//! **What is dropped.** Each checkpoint has its own list of runs, and a snapshot reads the runs of its checkpoint
//! until it is gone. So a merge keeps the newest cell of each key alone, and where nothing lies below, no tombstone.

use super::batch::Batch;
use super::build::{union, Builder, OwnedRange, RunSink, Target};
use super::cell::Cell;
use super::groups::{cuts, groups, whole_fences, Group};
use super::levels::{Levels, List};
use super::memtable::Memtable;
use super::merge::{after_tree, full_key, write_full_key, Merge, View, Wanted, TREE_BYTES};
use super::run::{Run, LEVELS};
use crate::error::{Error, Result};
use crate::file::page::{get_u32, PageKind, PageNo, PAGE_BYTES};
use crate::file::pages::Pages;
use crate::file::tree;
use crate::int_map::IntSet;
use crate::plant::{planted, Bug};
use crate::record::extent::{self, HeapExtent};
use crate::sync::Arc;
use std::collections::BTreeMap;

/// A merge copies so many entries out of its runs, or so many bytes, before it writes.
const MERGED_AT_ONCE: usize = 64;
const MERGED_BYTES_AT_ONCE: usize = 64 << 10;

/// The sizes that shape a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Pages of a run.
    pub run_pages: u32,
    /// A level of more bytes has another above it.
    pub base_bytes: u64,
    /// A level has so many times the bytes of the one above it.
    pub fan_out: u64,
    /// Sets of level 0 that overlap, from which on they are merged, ...
    pub sets: usize,
    /// ... and if they are small.
    pub few_sets: usize,
    /// Runs of the base level between two cuts of level 0.
    pub apart: usize,
}

impl Shape {
    /// That of a file with such regions.
    pub fn new(region_pages: u32) -> Shape {
        let run_pages = region_pages.clamp(16, 256);
        Shape { run_pages, base_bytes: u64::from(run_pages) * 4096 * 4096, fan_out: 8, sets: 8, few_sets: 4, apart: 16 }
    }

    /// Bytes of a run.
    fn run_bytes(&self) -> u64 {
        u64::from(self.run_pages) * PAGE_BYTES as u64
    }
}

/// Level 0 is worth going down when it has this part of the bytes of the base level.
const DOWN_PART: u64 = 2;

/// Sets of less than this part of level 0, on top of it, stay where they are: they would make one group of all.
const SMALL_PART: u64 = 32;

/// To merge sets that are not worth more than so many runs costs little.
const CHEAP_RUNS: u64 = 32;

/// A run that a cut ends is to have so many parts of a whole one.
const CUT_PART: u64 = 4;

/// At rest, less than this above the last level may stay where it is.
const SETTLED_BYTES: u64 = 6 << 20;

/// At rest, what lies above the last level is less than this part of it.
const SETTLED_PART: u64 = 20;

/// What a checkpoint does to the runs.
pub struct Change<'a> {
    /// What it began with.
    pub before: Arc<Levels>,
    /// Runs as they are now.
    pub levels: Levels,
    /// Pages of runs, and of large values, that it needs no more.
    edits: BTreeMap<u64, Option<Vec<u8>>>,
    first_number: u64,
    next_number: u64,
    shape: Shape,
    seed: u64,
    /// Trees whose keys are gone.
    dropped: &'a IntSet<u32>,
    /// Bytes of the runs written.
    pub written: u64,
    /// Bytes of the keys and values flushed, those of large values not counted.
    pub flushed: u64,
}

/// Runs to merge, the newest source first, and where to.
struct Job {
    sources: Vec<Vec<Arc<Run>>>,
    level: u8,
    set: u64,
    /// Where the new runs end, beside where they are full.
    cuts: Vec<Vec<u8>>,
}

impl Job {
    fn new(sources: Vec<Vec<Arc<Run>>>, level: u8, set: u64) -> Job {
        Job { sources, level, set, cuts: Vec::new() }
    }
}

/// What compaction is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Goal {
    /// Nothing.
    Nothing,
    /// What keeps the levels in shape.
    #[default]
    Shape,
    /// That, and what makes the levels above the last one small: for a database that is at rest.
    Settle,
    /// That, and what is left of level 0 in one set: for walks that have paid for it.
    Walks,
    /// One level.
    All,
}

impl<'a> Change<'a> {
    /// Nothing yet.
    pub fn new(before: Arc<Levels>, next_number: u64, shape: Shape, seed: u64, dropped: &'a IntSet<u32>) -> Change<'a> {
        let levels = (*before).clone();
        Change {
            before,
            levels,
            edits: BTreeMap::new(),
            first_number: next_number,
            next_number,
            shape,
            seed,
            dropped,
            written: 0,
            flushed: 0,
        }
    }

    /// The number of the next run.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// The changes of the manifest.
    pub fn edits(self) -> (Vec<tree::Edit>, Levels) {
        (self.edits.into_iter().map(|(key, value)| tree::Edit { key, value }).collect(), self.levels)
    }

    /// True if nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    fn replace(&mut self, pages: &Pages, gone: &[Arc<Run>], new: Vec<Arc<Run>>) -> Result<()> {
        let numbers: Vec<u64> = gone.iter().map(|run| run.number).collect();
        for number in &numbers {
            // One that this checkpoint made was never in the manifest.
            match *number < self.first_number {
                true if planted(Bug::RunStaysNamed) => {}
                true => drop(self.edits.insert(*number, None)),
                false => drop(self.edits.remove(number)),
            }
        }
        for run in &new {
            self.edits.insert(run.number, Some(run.encode()));
            self.written += run.pages() * PAGE_BYTES as u64;
        }
        self.levels = self.levels.with(pages, &numbers, new)?;
        Ok(())
    }

    /// Writes what a frozen memtable has as a set of level 0.
    pub fn flush<S: RunSink>(&mut self, sink: &mut S, memtable: &Memtable) -> Result<()> {
        // Where nothing lies below, there is nothing to delete.
        let bottom = self.levels.is_empty();
        let trees = || memtable.trees().filter(|tree| !self.dropped.contains(tree));
        let mut ranges: Vec<OwnedRange> = Vec::new();
        for tree in trees().filter(|_| !bottom) {
            ranges.extend(memtable.ranges(tree).map(|range| {
                let end = range.end.map_or_else(|| after_tree(tree), |end| full_key(tree, end));
                (full_key(tree, range.start), end)
            }));
        }
        let set = self.levels.sets.first().and_then(|set| set.runs().first()).map_or(1, |run| run.set + 1);
        let target = Target { level: 0, set, pages: self.shape.run_pages, seed: self.seed };
        let cuts = self.cuts(sink.table(), 0, memtable.bytes())?;
        let mut builder = Builder::new(target, &mut self.next_number, union(ranges), cuts);
        let (mut key, mut flushed) = (Vec::new(), 0);
        for tree in trees() {
            let mut walk = memtable.seek(tree, &[], false, u64::MAX);
            while let Some(version) = walk.step(memtable, false) {
                let cell = memtable.cell(version);
                if bottom && cell == Cell::Deleted {
                    continue;
                }
                write_full_key(&mut key, tree, memtable.key(version));
                builder.add(sink, &key, cell)?;
                flushed += memtable.key(version).len() as u64;
                if let Cell::Value(value) = cell {
                    flushed += value.len() as u64;
                }
            }
        }
        self.flushed += flushed;
        let new = builder.finish(sink)?;
        self.replace(sink.table(), &[], new)
    }

    /// True when a database at rest has nothing to merge.
    pub fn is_settled(&self, pages: &Pages) -> Result<bool> {
        Ok(self.pick(pages, Goal::Settle)?.is_none())
    }

    /// Merges until `budget` bytes were written, writers are about to need the next checkpoint, or nothing is left to do;
    /// once at least, so that who calls it until nothing is left comes to an end. True if something is left.
    pub fn compact<S: RunSink>(&mut self, sink: &mut S, goal: Goal, budget: u64) -> Result<bool> {
        let most = self.written + budget;
        let mut jobs = 0;
        while let Some(job) = self.pick(sink.table(), goal)? {
            let yields = sink.is_pressed() && self.levels.sets.len() < 2 * self.shape.sets;
            if jobs > 0 && (self.written >= most || yields) {
                return Ok(true);
            }
            self.run(sink, job)?;
            jobs += 1;
        }
        Ok(false)
    }

    /// Writes the runs that have a page at `cut` or beyond anew, and what large values lie there.
    pub fn evacuate<S: RunSink>(&mut self, sink: &mut S, cut: PageNo) -> Result<()> {
        let runs: Vec<Arc<Run>> = self.levels.runs().cloned().collect();
        for run in runs {
            if run.page.0 + run.pages() <= cut.0 && !has_values_beyond(sink.table(), &run, cut)? {
                continue;
            }
            let (level, set) = (run.level, run.set);
            self.merge(sink, Job::new(vec![vec![run]], level, set), Some(cut))?;
        }
        Ok(())
    }

    /// The target of each level, and the first that is used.
    fn targets(&self) -> ([u64; LEVELS as usize], u8) {
        let last = usize::from(LEVELS) - 1;
        let mut targets = [0; LEVELS as usize];
        // What is on its way down counts as there, so that the levels above do not shrink when the last one is empty.
        let mut size = self.levels.levels.iter().map(List::bytes).max().unwrap_or(0).max(1);
        targets[last] = u64::MAX;
        let mut base = last;
        while base > 0 && size > self.shape.base_bytes {
            size /= self.shape.fan_out;
            base -= 1;
            targets[base] = size;
        }
        // Where the tree has become smaller, runs may still lie above: what comes from level 0 is newer than they are.
        let first = self.levels.levels.iter().position(|list| !list.runs().is_empty()).unwrap_or(base);
        (targets, base.min(first) as u8 + 1)
    }

    fn pick(&self, pages: &Pages, goal: Goal) -> Result<Option<Job>> {
        if goal == Goal::Nothing {
            return Ok(None);
        }
        if let Some(job) = self.pick_dropped(pages)? {
            return Ok(Some(job));
        }
        let (mut targets, base) = self.targets();
        let unsettled = matches!(goal, Goal::Settle | Goal::Walks) && is_unsettled(&self.levels, &self.shape);
        if unsettled {
            targets[..usize::from(LEVELS) - 1].fill(0);
        }
        let all = goal == Goal::All || unsettled;
        if let Some(job) = self.pick_sets(pages, base, all)? {
            return Ok(Some(job));
        }
        let sets = &self.levels.sets;
        if goal == Goal::Walks && sets.len() > 1 {
            return self.job_of_newest(pages, sets.iter().map(|set| set.runs().to_vec()).collect(), sets.len());
        }
        let mut worst: Option<(usize, u64)> = None;
        for (at, target) in targets.iter().enumerate().take(LEVELS as usize - 1) {
            let (bytes, target) = (self.levels.levels[at].bytes(), if all { 0 } else { *target });
            if self.levels.levels[at].runs().is_empty() || bytes <= target {
                continue;
            }
            let score = bytes.saturating_mul(100) / target.max(1);
            if worst.is_none_or(|(_, most)| score > most) {
                worst = Some((at, score));
            }
        }
        let Some((at, _)) = worst else { return Ok(None) };
        self.pick_run(pages, at).map(Some)
    }

    /// Where a set of so many bytes in front of those from number `behind` on ends its runs.
    fn cuts(&self, pages: &Pages, behind: usize, bytes: u64) -> Result<Vec<Vec<u8>>> {
        let least = self.shape.run_bytes() / CUT_PART;
        let (_, base) = self.targets();
        let below = &self.levels.levels[usize::from(base) - 1];
        cuts(pages, &groups(pages, &self.levels.sets[behind..])?, below, bytes, self.shape.apart, least)
    }

    /// Sets of level 0 that have little, before those that have not.
    fn small_sets(&self) -> usize {
        let total: u64 = self.levels.sets.iter().map(List::bytes).sum();
        self.levels.sets.iter().take_while(|set| set.bytes() < total / SMALL_PART).count()
    }

    /// Runs of level 0: a group that goes down, or the newest of one that has too many.
    fn pick_sets(&self, pages: &Pages, base: u8, all: bool) -> Result<Option<Job>> {
        let sets = &self.levels.sets;
        if sets.is_empty() {
            return Ok(None);
        }
        let small = if all { 0 } else { self.small_sets() };
        // Those that do not fill a run: they need not overlap, or keys that come in order would make a run of each flush.
        let few = alike(sets.iter().map(List::bytes));
        if !all && few >= self.shape.few_sets && sets[0].bytes() < self.shape.run_bytes() {
            return self.job_of_newest(pages, sets[..few].iter().map(|set| set.runs().to_vec()).collect(), few);
        }
        if small >= self.shape.sets {
            return self.job_of_newest(pages, sets[..small].iter().map(|set| set.runs().to_vec()).collect(), small);
        }
        let large = &sets[small..];
        let groups = groups(pages, large)?;
        let total: u64 = sets.iter().map(List::bytes).sum();
        let down = all
            || total >= self.levels.levels[usize::from(base) - 1].bytes() / DOWN_PART
            || sets.len() >= 3 * self.shape.sets;
        let mut best: Option<(u64, usize)> = None;
        for (at, group) in groups.iter().enumerate() {
            let below: u64 = self.below(pages, group, base)?.iter().map(|run| run.bytes).sum();
            let cost = below.saturating_mul(1024) / (group.bytes + 1);
            let is_due = cost <= 1024 && group.bytes >= self.shape.run_bytes() / CUT_PART;
            if (down || is_due) && best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, at));
            }
        }
        if let Some((_, at)) = best {
            // Small groups go together, where nothing of the level below lies between them.
            let (mut group, mut next) = (groups[at].clone(), at + 1);
            let list = &self.levels.levels[usize::from(base) - 1];
            while let Some(other) = groups.get(next).filter(|_| group.bytes < self.shape.run_bytes() / CUT_PART) {
                let own = list.overlapping(pages, &group.first, &group.last)?;
                if list.overlapping(pages, &other.first, &other.last)?.start > own.end {
                    break;
                }
                group.join(other);
                next += 1;
            }
            let mut sources = group.runs(large);
            sources.push(self.below(pages, &group, base)?.to_vec());
            // No run below lies in two groups from then on.
            let cuts =
                [Some(&group), groups.get(next)].into_iter().flatten().map(|group| group.first.clone()).collect();
            return Ok(Some(Job { sources, level: base, set: 0, cuts }));
        }
        let Some(deepest) = groups.iter().max_by_key(|group| group.parts.len()) else { return Ok(None) };
        if deepest.parts.len() < self.shape.few_sets {
            return Ok(None);
        }
        let count = alike((0..deepest.parts.len()).map(|part| deepest.part_bytes(large, part)));
        // In the end all groups of these sets are merged.
        let whole: u64 = deepest.parts[..count].iter().map(|(set, _)| large[*set].bytes()).sum();
        let cheap = count >= self.shape.few_sets && whole <= self.shape.run_bytes() * CHEAP_RUNS;
        if !cheap && (count < 2 || (count < self.shape.sets && deepest.parts.len() < 2 * self.shape.sets)) {
            return Ok(None);
        }
        let mut sources = deepest.runs(large);
        sources.truncate(count);
        let behind = small + deepest.parts[count - 1].0 + 1;
        self.job_of_newest(pages, sources, behind)
    }

    /// A job that makes one set of these; `behind`: the number of the first set that is older than all of them.
    fn job_of_newest(&self, pages: &Pages, sources: Vec<Vec<Arc<Run>>>, behind: usize) -> Result<Option<Job>> {
        let bytes = sources.iter().flatten().map(|run| run.bytes).sum();
        let set = sources.first().and_then(|runs| runs.first()).map_or(0, |run| run.set);
        let cuts = self.cuts(pages, behind.min(self.levels.sets.len()), bytes)?;
        Ok(Some(Job { sources, level: 0, set, cuts }))
    }

    /// The run of a level whose move down costs least for what it brings, with what lies below it.
    fn pick_run(&self, pages: &Pages, at: usize) -> Result<Job> {
        let (list, below) = (&self.levels.levels[at], &self.levels.levels[at + 1]);
        let mut best: Option<(u64, usize, std::ops::Range<usize>)> = None;
        for (index, run) in list.runs().iter().enumerate() {
            let [first, last] = whole_fences(pages, run)?;
            let range = below.overlapping(pages, &first, &last)?;
            let bytes: u64 = below.runs()[range.clone()].iter().map(|run| run.bytes).sum();
            // Tombstones gain more by going down.
            let cost = bytes.saturating_mul(1024) / (run.bytes + 1) / (1 + run.deleted * 2 / (run.entries + 1));
            if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                best = Some((cost, index, range));
            }
        }
        let (index, range) = best.map_or((0, 0..0), |(_, index, range)| (index, range));
        let sources = vec![vec![list.runs()[index].clone()], below.runs()[range].to_vec()];
        Ok(Job::new(sources, at as u8 + 2, 0))
    }

    /// A run that has keys of a dropped tree, if any of the levels has.
    fn pick_dropped(&self, pages: &Pages) -> Result<Option<Job>> {
        for tree in self.dropped {
            if let Some(run) = self.run_of(pages, *tree)? {
                let (level, set) = (run.level, run.set);
                return Ok(Some(Job::new(vec![vec![run.clone()]], level, set)));
            }
        }
        Ok(None)
    }

    /// The first run that has keys or ranges of a tree.
    fn run_of(&self, pages: &Pages, tree: u32) -> Result<Option<&Arc<Run>>> {
        let (first, end) = (full_key(tree, &[]), after_tree(tree));
        for list in self.levels.lists() {
            for run in &list.runs()[list.overlapping(pages, &first, &end)?] {
                if has_keys_of(pages, run, tree)? {
                    return Ok(Some(run));
                }
            }
        }
        Ok(None)
    }

    /// The runs of a level that lie between the first and the last key of a group: what is merged of it may become one run
    /// over a gap between two of its runs.
    fn below(&self, pages: &Pages, group: &Group, level: u8) -> Result<&[Arc<Run>]> {
        let list = &self.levels.levels[usize::from(level) - 1];
        Ok(&list.runs()[list.overlapping(pages, &group.first, &group.last)?])
    }

    fn run<S: RunSink>(&mut self, sink: &mut S, job: Job) -> Result<()> {
        let own = job.sources.len() == 1;
        if let (true, [run]) = (own, &job.sources[0][..]) {
            if !run.large && is_wholly(run, self.dropped) {
                // Not read; it counts as work all the same.
                sink.retire_run(run.page, run.pages())?;
                self.written += 4 * PAGE_BYTES as u64;
                let gone = [run.clone()];
                return self.replace(sink.table(), &gone, Vec::new());
            }
        }
        if !own && self.move_down(sink.table(), &job)? {
            return Ok(());
        }
        self.merge(sink, job, None)
    }

    /// Runs that do not overlap each other or anything in the level they go to just get their new level.
    fn move_down(&mut self, pages: &Pages, job: &Job) -> Result<bool> {
        let (below, above) = match job.sources.split_last() {
            Some((below, above)) if job.level > 0 => (below, above),
            _ => return Ok(false),
        };
        let is_last = self.levels.levels[usize::from(job.level)..].iter().all(|list| list.runs().is_empty());
        let mut runs: Vec<Arc<Run>> = above.iter().flatten().cloned().collect();
        let bytes: u64 = runs.iter().map(|run| run.bytes).sum();
        if runs.len() > 1 && bytes < runs.len() as u64 * self.shape.run_bytes() / CUT_PART {
            return Ok(false);
        }
        // What can be dropped in the level it comes to is dropped by a merge.
        if !below.is_empty() || (is_last && runs.iter().any(|run| run.deleted > 0 || run.ranges)) {
            return Ok(false);
        }
        let mut fences = runs.iter().map(|run| whole_fences(pages, run)).collect::<Result<Vec<_>>>()?;
        fences.sort_unstable();
        let apart = fences.windows(2).all(|pair| pair[0][1] < pair[1][0]);
        if !apart {
            return Ok(false);
        }
        let gone = runs.clone();
        for run in &mut runs {
            *run = Arc::new(Run { level: job.level, set: 0, ..(**run).clone() });
        }
        let numbers: Vec<u64> = gone.iter().map(|run| run.number).collect();
        for run in &runs {
            self.edits.insert(run.number, Some(run.encode()));
        }
        self.levels = self.levels.with(pages, &numbers, runs)?;
        Ok(true)
    }

    /// Merges the sources of a job.
    fn merge<S: RunSink>(&mut self, sink: &mut S, job: Job, cut: Option<PageNo>) -> Result<()> {
        let gone: Vec<Arc<Run>> = job.sources.iter().flatten().cloned().collect();
        // Nothing older lies anywhere below these keys.
        let bottom = if job.level == 0 {
            let oldest = gone.iter().map(|run| run.set).min().unwrap_or(0);
            let older = self.levels.sets.iter().flat_map(List::runs).any(|run| run.set < oldest);
            !older && self.levels.levels.iter().all(|list| list.runs().is_empty())
        } else {
            self.levels.levels[usize::from(job.level)..].iter().all(|list| list.runs().is_empty())
        };
        let large = gone.iter().any(|run| run.large);
        let mut ranges: Vec<OwnedRange> = Vec::new();
        if !bottom && !planted(Bug::RangesForgotten) {
            for run in gone.iter().filter(|run| run.ranges) {
                let own = run.tail(sink.table())?.ranges()?;
                ranges.extend(own.into_iter().map(|(start, end)| (start.to_vec(), end.to_vec())));
            }
            ranges.retain(|(start, _)| !self.is_dropped(start));
        }
        let levels = Levels { sets: job.sources.into_iter().map(List::new).collect(), ..Levels::default() };
        let target = Target { level: job.level, set: job.set, pages: self.shape.run_pages, seed: self.seed };
        let mut builder = Builder::new(target, &mut self.next_number, union(ranges), job.cuts);
        let dropped = self.dropped;
        let is_dropped = |key: &[u8]| !dropped.is_empty() && dropped.contains(&tree_of(key));
        let mut merge = {
            let view = View { pages: sink.table(), memtables: [None; 2], levels: &levels, at: u64::MAX };
            let mut merge = Merge::default();
            merge.seek(&view, 0, &[], false, false)?;
            merge.passed = large.then(Vec::new);
            merge
        };
        let mut gone_values = Vec::new();
        let (mut batch, mut last) = (Batch::default(), None);
        let drops = bottom || planted(Bug::TombstonesDropped);
        loop {
            let view = View { pages: sink.table(), memtables: [None; 2], levels: &levels, at: u64::MAX };
            if !read_on(&mut merge, &view, &mut batch)? {
                break;
            }
            for (key, cell) in batch.iter() {
                if last.as_deref().is_some_and(|last: &[u8]| last >= key) {
                    let page = gone.first().map_or(0, |run| run.page.0);
                    return Err(Error::corrupt("run (order of the keys)", page, 0, 0, 0));
                }
                let last: &mut Vec<u8> = last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(key);
                let keep = !(is_dropped(key) || (drops && cell == Cell::Deleted));
                match (cell, keep) {
                    (Cell::Large { page, length }, true) => {
                        let page = match cut.filter(|cut| page >= *cut) {
                            Some(_) => move_value(sink, page, &mut gone_values)?,
                            None => page,
                        };
                        builder.add(sink, key, Cell::Large { page, length })?;
                    }
                    (Cell::Large { page, length }, false) => gone_values.push((page, length)),
                    (cell, true) => builder.add(sink, key, cell)?,
                    (_, false) => {}
                }
            }
        }
        gone_values.extend(merge.passed.take().unwrap_or_default());
        let new = builder.finish(sink)?;
        for (page, _) in gone_values {
            let (kind, pages) = sink.table().unit_shape(page)?;
            if kind != PageKind::Extent {
                return Err(Error::corrupt("large value (kind)", page.0, 14, PageKind::Extent as u64, kind as u64));
            }
            sink.retire_run(page, pages)?;
        }
        for run in &gone {
            sink.retire_run(run.page, run.pages())?;
        }
        self.replace(sink.table(), &gone, new)
    }

    fn is_dropped(&self, key: &[u8]) -> bool {
        !self.dropped.is_empty() && self.dropped.contains(&tree_of(key))
    }

    /// Dropped trees of which no run has a key any more.
    pub fn gone_trees(&self, pages: &Pages) -> Result<Vec<u32>> {
        let mut gone = Vec::new();
        for tree in self.dropped {
            if self.run_of(pages, *tree)?.is_none() {
                gone.push(*tree);
            }
        }
        Ok(gone)
    }
}

/// Whether there is more above the last level than a database at rest keeps there: it may hide as much in it.
pub fn is_unsettled(levels: &Levels, shape: &Shape) -> bool {
    let last = levels.levels[usize::from(LEVELS) - 1].bytes();
    let above = levels.lists().map(List::bytes).sum::<u64>() - last;
    above > last / SETTLED_PART && above > SETTLED_BYTES.min(shape.base_bytes / 16)
}

/// How many of the newest sets, or parts of them, of these bytes go well together: as long as the next is not much larger
/// than all before it.
fn alike(newest_first: impl Iterator<Item = u64>) -> usize {
    let (mut sum, mut count) = (0, 0);
    for bytes in newest_first {
        if count >= 2 && bytes > 2 * sum {
            break;
        }
        sum += bytes;
        count += 1;
    }
    count
}

/// True if a run has an entry or a range of a tree.
fn has_keys_of(pages: &Pages, run: &Run, tree: u32) -> Result<bool> {
    let prefix = tree.to_be_bytes();
    let tail = run.tail(pages)?;
    let of_tree = |key: &[u8]| key.starts_with(&prefix);
    if run.ranges && tail.ranges()?.iter().any(|(start, _)| of_tree(start)) {
        return Ok(true);
    }
    if tail.leaves() == 0 {
        return Ok(false);
    }
    let mut key = Vec::new();
    // The first key that is not below the tree is in this leaf, or is the first of the next.
    let from = tail.find(&prefix, true)?;
    for at in from..tail.leaves().min(from + 2) {
        let leaf = run.leaf(pages, &tail, at)?;
        let below = leaf.count_below(&prefix, false)?;
        if below < leaf.len() {
            leaf.key(&leaf.entry(below)?, &mut key);
            return Ok(of_tree(&key));
        }
    }
    Ok(false)
}

/// True if all of a run lies within dropped trees.
fn is_wholly(run: &Run, dropped: &IntSet<u32>) -> bool {
    let (first, last) = (tree_of(&run.first.bytes), tree_of(&run.last.bytes));
    let last = if run.open_end && run.last.bytes.len() == TREE_BYTES { last.saturating_sub(1) } else { last };
    first == last && dropped.contains(&first)
}

/// True if a run names a large value at this page or beyond.
fn has_values_beyond(pages: &Pages, run: &Run, cut: PageNo) -> Result<bool> {
    if !run.large {
        return Ok(false);
    }
    let tail = run.tail(pages)?;
    for at in 0..tail.leaves() {
        let leaf = run.leaf(pages, &tail, at)?;
        for index in 0..leaf.len() {
            if matches!(leaf.entry(index)?.cell, Cell::Large { page, .. } if page >= cut) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Reads the next keys of a merge; false at its end.
fn read_on(merge: &mut Merge, view: &View<'_>, batch: &mut Batch) -> Result<bool> {
    batch.clear();
    let (most, bytes) = (MERGED_AT_ONCE, MERGED_BYTES_AT_ONCE);
    let wanted = Wanted { skip: 0, end: None, deleted: true, values: false, most, bytes, lend: None, stretches: false };
    merge.fill(view, batch, &wanted)?;
    Ok(!batch.is_empty())
}

/// Copies a large value to other pages.
fn move_value<S: RunSink>(sink: &mut S, page: PageNo, gone: &mut Vec<(PageNo, u32)>) -> Result<PageNo> {
    let bytes = sink.table().extent(page)?.to_vec();
    let to = sink.allocate_run(extent::pages_for(bytes.len()) as u64)?;
    sink.write_extent(&HeapExtent::new(&sink.memory(), to, 0, &bytes))?;
    gone.push((page, bytes.len() as u32));
    Ok(to)
}

/// The tree that a whole key names.
pub fn tree_of(key: &[u8]) -> u32 {
    key.first_chunk::<TREE_BYTES>().map_or(u32::MAX, |tree| get_u32(tree, 0).swap_bytes())
}
