//! Walks that pay for merges.
//!
//! ```text
//!   set of level 0    . . x . . . x . .      a walk stops at each x: a detour
//!   level 7           o o . o o o . o o
//!
//!   walked      bytes that detours are worth
//!   price       an eighth of the bytes of all runs
//!
//!   walked >= price     so many bytes of runs are merged, and no more, though commits go on
//! ```
//!
//! Where commits go on, level 0 stays as it is until it is large: merges that come late write less. But walks have to look
//! into each set, and a get does not. How many walks are to come nobody knows, so they rent until they have paid as much as
//! buying costs, which is never more than twice what the best choice would have cost (the ski rental problem; Karlin,
//! Manasse, Rudolph and Sleator, 1988); and they buy part by part. A database that is written to and not walked over pays
//! nothing.

use super::state::State;
use super::Engine;
use crate::error::Result;
use crate::sorted::compact::is_unsettled;
use crate::sync::Ordering;

/// A detour takes about as long as merging so many bytes.
const DETOUR_BYTES: u64 = 256;

/// What is bought at once is such a part of all runs.
const PART: u64 = 8;

/// Whether it is enough is looked at so often while the least comes together.
const LOOKS: u64 = 16;

impl Engine {
    /// A walk over runs made so many detours.
    #[inline]
    pub(crate) fn note_detours(&self, detours: u32) -> Result<()> {
        match detours {
            0 => Ok(()),
            detours => self.pay(u64::from(detours) * DETOUR_BYTES),
        }
    }

    fn pay(&self, bytes: u64) -> Result<()> {
        let before = self.walked.fetch_add(bytes, Ordering::Relaxed);
        let look = (self.config.walk_bytes / LOOKS).max(1);
        let is_time = before / look != (before + bytes) / look;
        if is_time && !self.config.read_only && self.merges_due()?.is_some() {
            self.request(|r| r.checkpoint());
        }
        Ok(())
    }

    /// The bytes of runs that walks have paid for, if it is enough to merge them although commits go on.
    pub(super) fn paid(&self) -> Result<Option<u64>> {
        let walked = self.walked.load(Ordering::Relaxed);
        if walked < self.config.walk_bytes {
            return Ok(None);
        }
        let state: &State = &self.published.pin();
        let levels = state.levels(&self.pages)?;
        if levels.sets.len() < 2 && !is_unsettled(levels, &self.config.shape) {
            self.walked.store(0, Ordering::Relaxed);
            return Ok(None);
        }
        let all: u64 = levels.lists().map(|list| list.bytes()).sum();
        Ok((walked >= all / PART).then_some(walked))
    }

    /// What was paid for was merged, so many bytes; or nothing is left to merge.
    pub(super) fn note_bought(&self, bytes: u64, runs_left: bool) {
        // Who makes a checkpoint is alone with this; walks only add.
        let walked = self.walked.load(Ordering::Relaxed);
        self.walked.fetch_sub(if runs_left { bytes.min(walked) } else { walked }, Ordering::Relaxed);
    }
}
