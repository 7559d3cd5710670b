//! Compaction: the file as small as its documents allow.
//!
//! ```text
//!   1. merge      all neighbouring blocks that become fewer by it, and what is left of dropped collections
//!        [ab ][c  ][..][ d ][  ]   ->   [abcd][    free    ]
//!   2. evacuate   what lies behind the cut moves into free pages before it
//!        [abcd][ free ][ free ][e]  ->  [abcd][e][   free  ]
//!   3. shrink     the meta pages name the shorter length, then the file is cut
//! ```
//!
//! Each step is a number of ordinary checkpoints with a bounded share of the work: readers and writers go on, a
//! crash finds the file as after any checkpoint, and the call can be stopped between two of them. Only the index moves
//! as a whole, in the last checkpoint of step 2.

use super::checkpoint::Order;
use super::reclaim::{Goal, Position};
use super::Engine;
use crate::control::{Control, Progress};
use crate::error::{Error, Result};
use crate::file::page::{PageNo, PAGE_BYTES};

/// How often all runs may be merged before the call ends whatever writers do.
const MERGES: u64 = 8;

/// How often everything moves where free space is in runs too short to be of use.
const SHAKES: usize = 2;

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct CompactReport {
    /// Length of the file before, in bytes, with everything in it that was committed before the call.
    pub bytes_before: u64,
    /// Length of the file after, in bytes.
    pub bytes_after: u64,
    /// Bytes of records that were moved.
    pub moved_bytes: u64,
}

impl Engine {
    /// Compacts the file; see the module's text. When it is stopped, what was gained so far stays.
    pub fn compact(&self, control: &mut Control<'_>) -> Result<CompactReport> {
        self.check_open()?;
        self.check_not_writing()?;
        // Damage that was met before is met again, and told to the caller.
        self.reclaim.lock().damaged = false;
        self.checkpoint(false)?;
        // What is committed from here on is not this call's business: it comes to an end beside any writer.
        let until = self.meta.lock().next_ordinal;
        let before = self.pages.len();
        let mut report = CompactReport { bytes_before: before * PAGE_BYTES as u64, ..CompactReport::default() };
        let done = self.merge_all(until, control, &mut report);
        let done = done.and_then(|()| self.move_down(until, control, &mut report));
        match done {
            // Stopped by its caller, it still leaves the file no longer than before.
            Ok(()) | Err(Error::Cancelled | Error::DeadlineExceeded) => self.finish(before, until, &mut report)?,
            Err(_) => {}
        }
        report.bytes_after = self.pages.len() * PAGE_BYTES as u64;
        done.map(|()| report)
    }

    fn merge_all(&self, until: u64, control: &mut Control<'_>, report: &mut CompactReport) -> Result<()> {
        let (mut from, mut seen) = (Position::default(), 0);
        let mut all_blocks = false;
        // Each key goes down level by level; what writers add meanwhile is not this call's business.
        let levels = self.levels_of(&self.meta.lock().clone())?;
        let mut run_bytes =
            levels.runs().map(|run| run.bytes).sum::<u64>().saturating_mul(MERGES) + self.config.shape.base_bytes;
        drop(levels);
        loop {
            let total = self.meta.lock().block_pages;
            self.step(control, Progress::new("merging blocks", seen.min(total), total, "pages"))?;
            let until = if all_blocks { 1 } else { until };
            let order = Order { force: true, goal: Some(Goal::Merge), from, until, ..Order::default() };
            let done = self.checkpoint_as(order)?.unwrap_or_default();
            report.moved_bytes += done.moved_bytes;
            seen += done.seen_pages;
            run_bytes = run_bytes.saturating_sub(done.run_bytes);
            match done.next {
                Some(next) => from = next,
                None if done.dropped_left => {}
                None if done.runs_left && run_bytes > 0 => all_blocks = true,
                None => return Ok(()),
            }
        }
    }

    /// Tells how far it is. A progress callback may have left a transaction open on this thread: the next checkpoint
    /// would wait for it, so that is the end, whatever else there is.
    fn step(&self, control: &mut Control<'_>, progress: Progress) -> Result<()> {
        let go_on = control.step(progress);
        self.check_not_writing()?;
        go_on
    }

    /// Moves what lies behind the pages that are needed, for as long as the end comes nearer.
    fn move_down(&self, until: u64, control: &mut Control<'_>, report: &mut CompactReport) -> Result<()> {
        let mut shaken = 0;
        loop {
            let (used, end) = self.used()?;
            // A little room is left for the pages that the moving itself makes anew.
            let cut = used + used / 64 + 4;
            if end <= cut {
                return Ok(());
            }
            self.evacuate_once((cut, until), control, report)?;
            if self.used()?.1 < end {
                continue;
            }
            // Free pages in many short runs are of no use to large documents: everything moves once, so that
            // whole regions become free.
            if shaken == SHAKES || end <= used + used / 4 {
                return Ok(());
            }
            shaken += 1;
            self.evacuate_once((0, until), control, report)?;
        }
    }

    fn evacuate_once(
        &self,
        (cut, until): (u64, u64),
        control: &mut Control<'_>,
        report: &mut CompactReport,
    ) -> Result<()> {
        let mut from = Position::default();
        loop {
            let (used, end) = self.used()?;
            self.step(control, Progress::new("moving pages", used.min(end), end, "pages"))?;
            self.space.lock().rewind();
            let goal = Some(Goal::Evacuate(PageNo(cut)));
            let order = Order { force: true, shrink: true, goal, from, until, ..Order::default() };
            let done = self.checkpoint_as(order)?.unwrap_or_default();
            report.moved_bytes += done.moved_bytes;
            match done.next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// Cuts the end off; also after the call was stopped, so that it leaves the file no longer than `before`.
    fn finish(&self, before: u64, until: u64, report: &mut CompactReport) -> Result<()> {
        while self.used()?.1 > before {
            let end = self.used()?.1;
            self.evacuate_once((before, until), &mut Control::new(), report)?;
            if self.used()?.1 >= end {
                break;
            }
        }
        let goal = Some(Goal::Nothing);
        self.checkpoint_as(Order { force: true, shrink: true, goal, ..Order::default() })?;
        self.trim_now();
        Ok(())
    }

    /// Pages in use, and one past the highest of them.
    fn used(&self) -> Result<(u64, u64)> {
        let _hold = self.pages.hold();
        let mut space = self.space.lock();
        let end = space.used_end(&self.pages)?;
        Ok((space.used_pages(), end))
    }
}
