//! Warming up: bringing pages into memory, and verifying them, before somebody waits for them.
//!
//! ```text
//!   1  index     tree table, tries level by level, directories        in file order within each level
//!   2  blocks    of one collection after the other, as far as room is    in file order
//! ```
//!
//! Large documents are left out: who reads one reads all of it in one go.

use super::trees::TreeEntry;
use super::Engine;
use crate::control::{Control, Progress};
use crate::error::{Error, Result};
use crate::file::cache::Hold;
use crate::file::page::{PageNo, PAGE_BYTES};
use crate::file::tree;
use crate::hash;
use crate::record::directory::Entry;

/// What [`Database::warm_up`](crate::Database::warm_up) brought into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct WarmUpReport {
    /// Pages of the index: tree table, hash tries, directories.
    pub index_pages: u64,
    /// Pages of record blocks.
    pub block_pages: u64,
    /// False where the limit left something out.
    pub complete: bool,
}

/// Pages between two looks at whether to go on.
const STEP_PAGES: u64 = 256;

struct WarmUp<'w, 'c> {
    engine: &'w Engine,
    control: &'w mut Control<'c>,
    hold: Option<Hold>,
    /// Pages that may still come.
    left: u64,
    done: u64,
    phase: &'static str,
    total: u64,
}

/// The limit was reached: an end like any other.
const FULL: Error = Error::RolledBack;

impl WarmUp<'_, '_> {
    fn touch(&mut self, page: PageNo) -> Result<()> {
        if self.left == 0 {
            return Err(FULL);
        }
        self.hold.iter_mut().for_each(Hold::renew);
        let pages = self.engine.pages.touch(page)?;
        self.left = self.left.saturating_sub(pages);
        let before = self.done / STEP_PAGES;
        self.done += pages;
        if self.done / STEP_PAGES != before {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.control.step(Progress::new(self.phase, self.done, self.total, "pages"))
    }

    fn begin(&mut self, phase: &'static str, total: u64) -> Result<u64> {
        let done = std::mem::take(&mut self.done);
        (self.phase, self.total) = (phase, total);
        self.step()?;
        Ok(done)
    }
}

impl Engine {
    /// Brings the index of the last checkpoint into memory, then record blocks, `limit_bytes` in all at most;
    /// without a mapping no more than `cache_bytes`, as more would not stay.
    pub fn warm_up(&self, limit_bytes: u64, control: &mut Control<'_>) -> Result<WarmUpReport> {
        let limit_bytes = if self.config.pread { limit_bytes.min(self.config.cache_bytes) } else { limit_bytes };
        let (state, _) = self.published.snapshot();
        let pages = &self.pages;
        let hold = pages.hold();
        let left = limit_bytes / PAGE_BYTES as u64;
        let mut warm = WarmUp { engine: self, control, hold, left, done: 0, phase: "index", total: 0 };
        warm.begin("index", 0)?;
        let mut report = WarmUpReport { complete: true, ..WarmUpReport::default() };
        let mut blocks: Vec<(PageNo, u64)> = Vec::new();
        let mut index = || {
            let mut trees = Vec::new();
            tree::walk(pages, &state.meta.tree_table, &mut |page| warm.touch(page), &mut |number, bytes| {
                if let Ok(number) = u32::try_from(number) {
                    trees.push(TreeEntry::decode(bytes, number)?);
                }
                Ok(())
            })?;
            for entry in &trees {
                hash::by_level(pages, &entry.trie, &mut |page| warm.touch(page))?;
            }
            let mut wanted = 0;
            for entry in &trees {
                tree::walk(pages, &entry.directory, &mut |page| warm.touch(page), &mut |base, bytes| {
                    let entry = Entry::decode(bytes, base)?;
                    // More than fit need not be remembered.
                    if wanted < limit_bytes / PAGE_BYTES as u64 {
                        wanted += 1 << entry.order;
                        blocks.push((entry.page, 1 << entry.order));
                    } else {
                        report.complete = false;
                    }
                    Ok(())
                })?;
            }
            Ok(())
        };
        let done = index();
        let is_full = |done: Result<()>| match done {
            Err(Error::RolledBack) => Ok(true),
            other => other.map(|()| false),
        };
        if is_full(done)? {
            report.complete = false;
            report.index_pages = warm.done;
            return Ok(report);
        }
        let mut total = 0;
        let room = warm.left;
        // The order of the directory decides which, the order of the file when.
        blocks.retain(|(_, pages)| {
            total += pages;
            total <= room
        });
        report.complete &= total <= room;
        blocks.sort_unstable();
        report.index_pages = warm.begin("blocks", blocks.iter().map(|(_, pages)| pages).sum())?;
        let done = blocks.iter().try_for_each(|(page, _)| warm.touch(*page));
        report.complete &= !is_full(done)?;
        warm.step()?;
        report.block_pages = warm.done;
        Ok(report)
    }
}
