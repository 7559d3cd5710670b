//! The check of the sorted index: every run of the manifest, every leaf, every key.
//!
//! ```text
//!   manifest entry   fences, counts, flags       what the run has
//!   tail             separators                  lead to the leaf of each key
//!                    filter                      passes each key
//!                    ranges                      within the fences, in order
//!   leaves           keys                        ascend over the run, and over the level
//! ```

use super::sorted::filter_seed;
use super::state::State;
use super::verify::Reached;
use super::Engine;
use crate::error::{Error, Result};
use crate::file::page::{PageKind, PageNo};
use crate::file::tree;
use crate::sorted::cell::Cell;
use crate::sorted::filter::FilterHash;
use crate::sorted::levels::{Levels, List};
use crate::sorted::merge::TREE_BYTES;
use crate::sorted::run::Run;
use crate::sync::Arc;
use std::cmp::Ordering;

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    /// Runs.
    pub runs: u64,
    /// Their entries.
    pub entries: u64,
    /// Values in extents.
    pub large: u64,
}

fn bad(run: &Run, what: &'static str, expected: u64, got: u64) -> Error {
    Error::corrupt(what, run.page.0, 0, expected, got)
}

fn same(run: &Run, what: &'static str, expected: u64, got: u64) -> Result<()> {
    match expected == got {
        true => Ok(()),
        false => Err(bad(run, what, expected, got)),
    }
}

impl Engine {
    /// Checks the runs of the state's checkpoint; see the module's text.
    pub(super) fn verify_runs(
        &self,
        state: &State,
        reached: &mut Reached<'_, '_>,
        renew: &dyn Fn(),
    ) -> Result<Counted> {
        let pages = &self.pages;
        let mut runs = Vec::new();
        let mut claim = |page: PageNo| {
            renew();
            pages.forget(page);
            reached.claim(page, 1)
        };
        tree::walk(pages, &state.meta.manifest, &mut claim, &mut |number, bytes| {
            let run = Run::decode(bytes, number)?;
            if number >= state.meta.next_run {
                return Err(bad(&run, "manifest (number of a run)", state.meta.next_run, number));
            }
            runs.push(Arc::new(run));
            Ok(())
        })?;
        for run in &runs {
            (0..run.pages()).for_each(|at| pages.forget(PageNo(run.page.0 + at)));
            reached.claim(run.page, run.pages())?;
        }
        let levels = Levels::of(pages, runs)?;
        let mut counted = Counted::default();
        for list in levels.lists() {
            self.verify_list(list)?;
            for run in list.runs() {
                self.verify_run(state, run, reached, renew, &mut counted)?;
            }
        }
        Ok(counted)
    }

    /// The runs of a list do not overlap.
    fn verify_list(&self, list: &List) -> Result<()> {
        for pair in list.runs().windows(2) {
            let first = pair[1].tail(&self.pages)?.keys()?.0;
            let order = pair[0].compare_last(&self.pages, first)?;
            if order == Ordering::Greater || (order == Ordering::Equal && !pair[0].open_end) {
                return Err(bad(&pair[1], "runs of a level (overlap)", pair[0].number, pair[1].number));
            }
        }
        Ok(())
    }

    fn verify_run(
        &self,
        state: &State,
        run: &Run,
        reached: &mut Reached<'_, '_>,
        renew: &dyn Fn(),
        counted: &mut Counted,
    ) -> Result<()> {
        let pages = &self.pages;
        let seed = filter_seed(&state.meta);
        let (mut entries, mut deleted, mut bytes, mut place) = (0, 0, 0, 0);
        let (mut key, mut last): (Vec<u8>, Option<Vec<u8>>) = (Vec::new(), None);
        let mut large = Vec::new();
        let leaves = run.tail(pages)?.leaves();
        for at in 0..leaves {
            renew();
            let tail = run.tail(pages)?;
            same(run, "tail of a run (place of a leaf)", place, tail.place(at))?;
            let leaf = run.leaf(pages, &tail, at)?;
            let number = PageNo(run.page.0 + place);
            let (kind, length) = pages.unit_shape(number)?;
            same(run, "run (kind of a leaf)", PageKind::RunLeaf as u64, kind as u64)?;
            place += length;
            let separator = [tail.prefix(), tail.separator(at)?].concat();
            if last.as_ref().is_some_and(|last| *last >= separator) {
                return Err(bad(run, "tail of a run (separator below the leaf before)", 1, at as u64));
            }
            for index in 0..leaf.len() {
                let entry = leaf.entry(index)?;
                leaf.key(&entry, &mut key);
                if key < separator {
                    return Err(bad(run, "tail of a run (separator above its leaf)", 1, at as u64));
                }
                if key.len() < TREE_BYTES || last.as_ref().is_some_and(|last| *last >= key) {
                    return Err(bad(run, "run (order of the keys)", at as u64, index as u64));
                }
                if !tail.may_hold(FilterHash::of(seed, &key))? {
                    return Err(bad(run, "filter of a run (a key it does not pass)", at as u64, index as u64));
                }
                if tail.find(&key, false)? != at {
                    return Err(bad(run, "tail of a run (search)", at as u64, index as u64));
                }
                entries += 1;
                bytes += key.len() as u64;
                match entry.cell {
                    Cell::Deleted => deleted += 1,
                    Cell::Value(value) => bytes += value.len() as u64,
                    Cell::Large { page, length } => {
                        bytes += u64::from(length);
                        large.push((page, length));
                    }
                }
                if last.is_none() {
                    self.verify_first(run, &key)?;
                }
                last.get_or_insert_with(Vec::new).clone_from(&key);
            }
        }
        let tail = run.tail(pages)?;
        same(run, "manifest entry (leaf pages)", place, run.leaf_pages.into())?;
        same(run, "manifest entry (entries)", entries, run.entries)?;
        same(run, "manifest entry (deleted)", deleted, run.deleted)?;
        same(run, "manifest entry (bytes)", bytes, run.bytes)?;
        same(run, "manifest entry (large)", (!large.is_empty()).into(), run.large.into())?;
        let (kind, length) = pages.unit_shape(run.tail_page())?;
        same(run, "run (kind of the tail)", PageKind::Extent as u64, kind as u64)?;
        same(run, "manifest entry (tail pages)", length, run.tail_pages.into())?;
        let ranges = tail.ranges()?;
        same(run, "manifest entry (ranges)", (!ranges.is_empty()).into(), run.ranges.into())?;
        let first = [last.is_some().then(|| tail.keys().map(|keys| keys.0)).transpose()?, ranges.first().map(|r| r.0)];
        let lowest = first.into_iter().flatten().min().unwrap_or_default();
        let highest = last.as_deref().into_iter().chain(ranges.last().map(|range| range.1)).max().unwrap_or_default();
        if run.compare_first(pages, lowest)? != Ordering::Equal || run.compare_last(pages, highest)? != Ordering::Equal
        {
            return Err(bad(run, "manifest entry (first and last key)", run.number, 0));
        }
        let open = ranges.last().is_some_and(|(_, end)| last.as_deref().is_none_or(|last| last < *end));
        same(run, "manifest entry (open end)", open.into(), run.open_end.into())?;
        for (page, length) in large {
            let (_, extent) = pages.unit_shape(page)?;
            (0..extent).for_each(|at| pages.forget(PageNo(page.0 + at)));
            reached.claim(page, extent)?;
            Cell::Large { page, length }.value(pages)?;
            counted.large += 1;
            renew();
        }
        counted.runs += 1;
        counted.entries += entries;
        Ok(())
    }

    /// The first key of a run is not below what its entry says.
    fn verify_first(&self, run: &Run, key: &[u8]) -> Result<()> {
        match run.compare_first(&self.pages, key)? {
            Ordering::Greater => Err(bad(run, "manifest entry (first key)", run.number, 0)),
            _ => Ok(()),
        }
    }
}
