//! All runs of a checkpoint, as readers see them.
//!
//! ```text
//!   level 0   set 9   [ a ... f ][ h ... z ]       what one flush wrote; newer sets first, sets overlap
//!             set 7   [ b ............... x ]
//!   level 6   [ a . c ][ d ... k ][ m ... y ]      one list of runs that do not overlap
//!   level 7   [ a ][ b ][ c ] ... [ y ][ z ]       the oldest
//! ```
//!
//! Who is further up knows better. The lists are read from the manifest when a checkpoint's sorted index is first used;
//! from then on each checkpoint hands its own on.

use super::cell::Cell;
use super::filter::FilterHash;
use super::run::{Run, FENCE_BYTES, LEVELS};
use super::search;
use crate::error::{Error, Result};
use crate::file::page::PageSource;
use crate::file::pages::Pages;
use crate::file::tree::{self, TreeRoot};
use crate::sync::Arc;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Bytes of the head of a key.
const HEAD_BYTES: usize = 8;

/// Runs that do not overlap, in the order of their keys.
#[derive(Debug, Default, Clone)]
pub struct List {
    runs: Vec<Arc<Run>>,
    prefix: Box<[u8]>,
    heads: Vec<u64>,
    bytes: u64,
    ranges: bool,
}

impl List {
    /// Requires: in order, without overlap.
    pub fn new(runs: Vec<Arc<Run>>) -> List {
        let prefix: Box<[u8]> = match (runs.first(), runs.last()) {
            (Some(first), Some(last)) => {
                let common = search::common(&first.first.bytes, &last.first.bytes);
                // A fence that is cut goes on: its head is to be whole, and where heads are equal, whole keys decide.
                let whole = if runs.iter().any(|run| run.first.cut) { FENCE_BYTES - HEAD_BYTES } else { common };
                first.first.bytes[..common.min(whole)].into()
            }
            _ => Box::default(),
        };
        let heads = runs.iter().map(|run| super::memtable::head_of(&run.first.bytes[prefix.len()..])).collect();
        let bytes = runs.iter().map(|run| run.bytes).sum();
        let ranges = runs.iter().any(|run| run.ranges);
        List { runs, prefix, heads, bytes, ranges }
    }

    /// The runs.
    pub fn runs(&self) -> &[Arc<Run>] {
        &self.runs
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True when any of them deletes a range.
    pub fn has_ranges(&self) -> bool {
        self.ranges
    }

    /// Runs whose first key is below `key`; `after`: not above it.
    pub fn count_below(&self, pages: &Pages, key: &[u8], after: bool) -> Result<usize> {
        let common = search::common(&self.prefix, key);
        if common < self.prefix.len() {
            let below = key.get(common).is_none_or(|byte| *byte < self.prefix[common]);
            return Ok(if below { 0 } else { self.runs.len() });
        }
        let is_below = |at: usize| match self.runs[at].compare_first(pages, key)? {
            Ordering::Less => Ok(true),
            Ordering::Equal => Ok(after),
            Ordering::Greater => Ok(false),
        };
        let sought = super::memtable::head_of(&key[common..]);
        search::count_below(self.runs.len(), |at| self.heads[at], sought, is_below)
    }

    /// The one run that may know something of a key.
    #[inline]
    pub fn find(&self, pages: &Pages, key: &[u8]) -> Result<Option<&Arc<Run>>> {
        let at = self.count_below(pages, key, true)?;
        Ok(at.checked_sub(1).map(|at| &self.runs[at]))
    }

    /// The runs that have any key from `first` to `last`, both included.
    pub fn overlapping(&self, pages: &Pages, first: &[u8], last: &[u8]) -> Result<std::ops::Range<usize>> {
        let mut from = self.count_below(pages, first, true)?;
        if from > 0 && self.runs[from - 1].compare_last(pages, first)? != Ordering::Less {
            from -= 1;
        }
        let to = self.count_below(pages, last, true)?;
        Ok(from..to.max(from))
    }
}

/// See the module's text.
#[derive(Debug, Default, Clone)]
pub struct Levels {
    /// Level 0, the newest set first.
    pub sets: Vec<List>,
    /// Levels 1 and so on; level `n` at `n - 1`.
    pub levels: [List; LEVELS as usize],
}

/// What was found of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// This, perhaps that it is gone.
    Cell(Cell<'a>),
    /// Nothing anywhere.
    Nothing,
}

impl Levels {
    /// Reads the manifest, whose runs have numbers below `next_run`.
    pub fn load<S: PageSource + ?Sized>(src: &S, pages: &Pages, manifest: &TreeRoot, next_run: u64) -> Result<Levels> {
        let mut runs = Vec::new();
        tree::walk(src, manifest, &mut |_| Ok(()), &mut |number, bytes| {
            if number >= next_run {
                return Err(Error::corrupt("manifest (number of a run)", manifest.page.0, 0, next_run, number));
            }
            runs.push(Arc::new(Run::decode(bytes, number)?));
            Ok(())
        })?;
        Levels::of(pages, runs)
    }

    /// Of these runs, in any order.
    pub fn of(pages: &Pages, runs: Vec<Arc<Run>>) -> Result<Levels> {
        let mut sets: BTreeMap<u64, Vec<Arc<Run>>> = BTreeMap::new();
        let mut levels: [Vec<Arc<Run>>; LEVELS as usize] = Default::default();
        for run in runs {
            match run.level.checked_sub(1) {
                None => sets.entry(run.set).or_default().push(run),
                Some(level) => levels[usize::from(level)].push(run),
            }
        }
        let list = |runs: Vec<Arc<Run>>| in_order(pages, runs).map(List::new);
        let mut found = Levels::default();
        for (_, runs) in sets.into_iter().rev() {
            found.sets.push(list(runs)?);
        }
        for (to, runs) in found.levels.iter_mut().zip(levels) {
            *to = list(runs)?;
        }
        Ok(found)
    }

    /// Without the runs of these numbers, and with these.
    pub fn with(&self, pages: &Pages, gone: &[u64], new: Vec<Arc<Run>>) -> Result<Levels> {
        let kept = self.runs().filter(|run| !gone.contains(&run.number)).cloned();
        Levels::of(pages, kept.chain(new).collect())
    }

    /// All lists, the newest first.
    pub fn lists(&self) -> impl Iterator<Item = &List> {
        self.sets.iter().chain(&self.levels).filter(|list| !list.runs.is_empty())
    }

    /// All runs.
    pub fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.lists().flat_map(|list| &list.runs)
    }

    /// True without a run.
    pub fn is_empty(&self) -> bool {
        self.runs().next().is_none()
    }

    /// What is known of a key, the number of its tree in front.
    #[inline]
    pub fn get<'p>(&self, pages: &'p Pages, key: &[u8], hash: FilterHash) -> Result<Found<'p>> {
        for list in self.lists() {
            let Some(run) = list.find(pages, key)? else { continue };
            if let Some(cell) = run.get(pages, key, hash)? {
                return Ok(Found::Cell(cell));
            }
            // A range deletes what lies below, not what its own run has.
            if run.covering(pages, key)?.is_some() {
                return Ok(Found::Nothing);
            }
        }
        Ok(Found::Nothing)
    }
}

/// Sorts runs that do not overlap by their first keys.
fn in_order(pages: &Pages, mut runs: Vec<Arc<Run>>) -> Result<Vec<Arc<Run>>> {
    runs.sort_by(|a, b| a.first.bytes.cmp(&b.first.bytes));
    // Where cut fences are equal the whole keys decide. They are read before: a sort wants one order, and tails may
    // say anything.
    for equal in runs.chunk_by_mut(|a, b| a.first.bytes == b.first.bytes) {
        if equal.len() == 1 || !equal.iter().any(|run| run.first.cut) {
            continue;
        }
        let short = equal[0].first.bytes.clone();
        let mut whole = Vec::with_capacity(equal.len());
        for run in &*equal {
            whole.push((if run.first.cut { run.tail(pages)?.keys()?.0 } else { &short }, run.clone()));
        }
        whole.sort_by_key(|(key, _)| *key);
        equal.iter_mut().zip(whole).for_each(|(to, (_, run))| *to = run);
    }
    Ok(runs)
}
