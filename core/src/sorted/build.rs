//! Writing runs: entries in order go in, runs of at most so many pages come out.
//!
//! ```text
//!   entries --> leaf in the making --> leaves of the run in the making --> file, when the run is full
//!   ranges  --> cut where a run ends: each run deletes what of them lies between its first key and the next run's
//! ```

use super::cell::Cell;
use super::filter::FilterHash;
use super::leaf::LeafBuilder;
use super::merge::TREE_BYTES;
use super::run::{Fence, Run, FENCE_BYTES};
use super::search;
use super::tail::TailParts;
use crate::error::Result;
use crate::file::page::{PageKind, PageNo, UnitHeader, PAGE_BYTES};
use crate::file::pages::Pages;
use crate::memory::Pool;
use crate::record::extent::{self, HeapExtent};
use crate::sync::Arc;
use std::collections::VecDeque;

/// A checkpoint, as those see it who write runs.
pub trait RunSink {
    /// The page table.
    fn table(&self) -> &Pages;
    /// Memory for units in the making.
    fn memory(&self) -> Pool;
    /// A run of pages, next to each other.
    fn allocate_run(&mut self, pages: u64) -> Result<PageNo>;
    /// Writes a leaf, its header filled but for generation and checksum.
    fn write_leaf(&mut self, page: PageNo, leaf: &[u8]) -> Result<()>;
    /// Writes an extent.
    fn write_extent(&mut self, extent: &HeapExtent) -> Result<()>;
    /// Gives back pages of the checkpoint before.
    fn retire_run(&mut self, page: PageNo, pages: u64) -> Result<()>;
    /// Writers are about to need another checkpoint.
    fn is_pressed(&self) -> bool;
    /// Nothing that was read so far is looked at again; what was written can be read.
    fn settle(&mut self) -> Result<()>;
}

/// A range that is deleted below, of whole keys: from the first to before the second.
pub type OwnedRange = (Vec<u8>, Vec<u8>);

/// Bytes of key that a first separator has at most: enough for a prefix that all keys of the run share.
const FIRST_SEPARATOR_BYTES: usize = FENCE_BYTES;

/// What the runs are to be.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Their level.
    pub level: u8,
    /// Their set, in level 0.
    pub set: u64,
    /// Pages of a run, about.
    pub pages: u32,
    /// Seed of the filters.
    pub seed: u64,
}

/// See the module's text.
pub struct Builder<'n> {
    target: Target,
    next_number: &'n mut u64,
    leaves: Vec<u8>,
    /// Where each leaf begins in `leaves`, and its order.
    shapes: Vec<(usize, u8)>,
    leaf: LeafBuilder,
    order: u8,
    /// The last key before the leaf in the making.
    before: Vec<u8>,
    tail: TailParts,
    separators: usize,
    entries: u64,
    deleted: u64,
    bytes: u64,
    large: bool,
    ranges: VecDeque<OwnedRange>,
    cuts: VecDeque<Vec<u8>>,
    runs: Vec<Arc<Run>>,
}

impl<'n> Builder<'n> {
    /// `ranges`: what the runs delete below them, ascending, disjoint; `cuts`: ascending.
    pub fn new(target: Target, next_number: &'n mut u64, ranges: Vec<OwnedRange>, cuts: Vec<Vec<u8>>) -> Builder<'n> {
        Builder {
            target,
            next_number,
            leaves: Vec::new(),
            shapes: Vec::new(),
            leaf: LeafBuilder::default(),
            order: 0,
            before: Vec::new(),
            tail: TailParts::default(),
            separators: 0,
            entries: 0,
            deleted: 0,
            bytes: 0,
            large: false,
            ranges: ranges.into(),
            cuts: cuts.into(),
            runs: Vec::new(),
        }
    }

    /// Adds an entry; keys ascend.
    pub fn add<S: RunSink>(&mut self, sink: &mut S, key: &[u8], cell: Cell<'_>) -> Result<()> {
        if self.cuts.front().is_some_and(|cut| &cut[..] <= key) {
            self.cut(sink, Some(key))?;
        }
        if self.leaf.is_empty() {
            self.order = self.order_for(key, cell);
        }
        if !self.leaf.push(key, cell, self.order) {
            self.finish_leaf();
            if self.is_full() {
                self.finish_run(sink, Some(key))?;
            }
            self.order = self.order_for(key, cell);
            let pushed = self.leaf.push(key, cell, self.order);
            debug_assert!(pushed, "an empty leaf of its order takes any entry");
        }
        self.tail.hashes.push(FilterHash::of(self.target.seed, key));
        self.entries += 1;
        let value = match cell {
            Cell::Value(value) => value.len() as u64,
            Cell::Large { length, .. } => {
                self.large = true;
                length.into()
            }
            Cell::Deleted => {
                self.deleted += 1;
                0
            }
        };
        self.bytes += key.len() as u64 + value;
        Ok(())
    }

    /// Ends runs at the cuts up to a key, or all.
    #[cold]
    fn cut<S: RunSink>(&mut self, sink: &mut S, up_to: Option<&[u8]>) -> Result<()> {
        self.finish_leaf();
        while let Some(cut) = self.cuts.pop_front() {
            if up_to.is_some_and(|key| &cut[..] > key) {
                self.cuts.push_front(cut);
                break;
            }
            self.finish_run(sink, Some(&cut))?;
        }
        Ok(())
    }

    fn order_for(&self, key: &[u8], cell: Cell<'_>) -> u8 {
        let mean = (self.leaves.len() as u64).checked_div(self.entries).unwrap_or(0) as usize;
        LeafBuilder::order_for(key, cell, mean)
    }

    fn is_full(&self) -> bool {
        // The filter, the separators, the head.
        let tail = self.tail.hashes.len() * 3 / 2 + self.separators + self.shapes.len() * 14 + 1024;
        self.leaves.len() + tail >= self.target.pages as usize * PAGE_BYTES
    }

    fn finish_leaf(&mut self) {
        let Some((first, last)) = self.leaf.first().zip(self.leaf.last()) else { return };
        let separator = match self.shapes.is_empty() {
            true => &first[..first.len().min(FIRST_SEPARATOR_BYTES)],
            false => &first[..search::common(&self.before, first) + 1],
        };
        if self.tail.first.is_empty() {
            self.tail.first = first.to_vec();
        }
        self.separators += separator.len();
        self.tail.leaves.push((separator.to_vec(), (self.leaves.len() / PAGE_BYTES) as u16));
        self.before.clear();
        self.before.extend_from_slice(last);
        let at = self.leaves.len();
        let order = self.leaf.finish(&mut self.leaves);
        self.shapes.push((at, order));
    }

    /// Takes the ranges that begin before `next`; one that goes on behind it is cut.
    fn take_ranges(&mut self, next: Option<&[u8]>) -> Vec<OwnedRange> {
        let mut taken = Vec::new();
        while let Some((start, end)) = self.ranges.front_mut() {
            match next {
                Some(next) if &start[..] >= next => break,
                Some(next) if &end[..] > next => {
                    taken.push((std::mem::replace(start, next.to_vec()), next.to_vec()));
                    break;
                }
                _ => taken.extend(self.ranges.pop_front()),
            }
        }
        taken
    }

    /// Writes the run. `next` is the first key that does not belong to it.
    fn finish_run<S: RunSink>(&mut self, sink: &mut S, next: Option<&[u8]>) -> Result<()> {
        let ranges = self.take_ranges(next);
        if self.shapes.is_empty() && ranges.is_empty() {
            return Ok(());
        }
        let mut tail = std::mem::take(&mut self.tail);
        tail.last.clone_from(&self.before);
        let mut open_end = false;
        if let (Some((start, _)), Some((_, end))) = (ranges.first(), ranges.last()) {
            if self.shapes.is_empty() || *start < tail.first {
                tail.first.clone_from(start);
            }
            if self.shapes.is_empty() || *end > tail.last {
                tail.last.clone_from(end);
                open_end = true;
            }
        }
        tail.ranges = ranges;
        let bytes = tail.encode();
        let leaf_pages = self.leaves.len() / PAGE_BYTES;
        let tail_pages = extent::pages_for(bytes.len());
        let page = sink.allocate_run((leaf_pages + tail_pages) as u64)?;
        for &(at, order) in &self.shapes {
            let leaf = &mut self.leaves[at..at + (PAGE_BYTES << order)];
            let number = PageNo(page.0 + (at / PAGE_BYTES) as u64);
            UnitHeader { page: number, kind: PageKind::RunLeaf, order, generation: 0, tree: 0 }.encode(leaf);
            sink.write_leaf(number, leaf)?;
        }
        let number = PageNo(page.0 + leaf_pages as u64);
        sink.write_extent(&HeapExtent::new(&sink.memory(), number, 0, &bytes))?;
        let run = Run {
            number: *self.next_number,
            level: self.target.level,
            set: if self.target.level == 0 { self.target.set } else { 0 },
            page,
            leaf_pages: leaf_pages as u32,
            tail_pages: tail_pages as u32,
            entries: std::mem::take(&mut self.entries),
            deleted: std::mem::take(&mut self.deleted),
            bytes: std::mem::take(&mut self.bytes),
            ranges: !tail.ranges.is_empty(),
            large: std::mem::take(&mut self.large),
            open_end,
            first: Fence::new(&tail.first),
            last: Fence::new(&tail.last),
            filter: Default::default(),
        };
        *self.next_number += 1;
        self.runs.push(Arc::new(run));
        self.leaves.clear();
        self.shapes.clear();
        self.before.clear();
        self.separators = 0;
        sink.settle()
    }

    /// Writes what is left, and gives all runs.
    pub fn finish<S: RunSink>(mut self, sink: &mut S) -> Result<Vec<Arc<Run>>> {
        self.cut(sink, None)?;
        self.finish_run(sink, None)?;
        Ok(self.runs)
    }
}

/// Ranges in any order, as the ascending ones that cover the same and do not touch, but where one tree ends and the next
/// begins: a tree can be dropped.
pub fn union(mut ranges: Vec<OwnedRange>) -> Vec<OwnedRange> {
    ranges.sort_unstable();
    let mut union: Vec<OwnedRange> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match union.last_mut() {
            Some((_, last)) if *last > start || (*last == start && start.len() > TREE_BYTES) => {
                if end > *last {
                    *last = end;
                }
            }
            _ => union.push((start, end)),
        }
    }
    union
}
