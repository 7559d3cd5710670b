//! Walks that pay for merges.
//!
//! ```text
//!   set of level 0    . . x . . . x . .      a walk stops at each x: a detour
//!   level 7           o o . o o o . o o
//!
//!   walked      bytes that detours are worth, since the runs were settled last
//!   price       bytes of all runs
//!
//!   walked >= price     all runs are merged, though commits go on
//! ```
//!
//! Where commits go on, level 0 stays as it is until it is large: merges that come late write less. But walks have to look
//! into each set, and a get does not. How many walks are to come nobody knows, so they rent until they have paid as much as
//! buying costs, which is never more than twice what the best choice would have cost (the ski rental problem; Karlin,
//! Manasse, Rudolph and Sleator, 1988). A database that is written to and not walked over pays nothing.

use super::state::State;
use super::Engine;
use crate::error::Result;
use crate::sync::Ordering;

/// A detour takes about as long as merging so many bytes.
const DETOUR_BYTES: u64 = 256;

/// Runs of less are merged when detours have come to this.
const LEAST_PRICE: u64 = 16 << 20;

/// Whether it is enough is looked at so often.
const LOOK_BYTES: u64 = 1 << 20;

impl Engine {
    /// Walks over the runs of a state made so many detours.
    #[inline]
    pub(crate) fn note_detours(&self, detours: u32) -> Result<()> {
        match detours {
            0 => Ok(()),
            detours => self.pay(u64::from(detours) * DETOUR_BYTES),
        }
    }

    fn pay(&self, bytes: u64) -> Result<()> {
        let before = self.walked.fetch_add(bytes, Ordering::Relaxed);
        let is_time = before / LOOK_BYTES != (before + bytes) / LOOK_BYTES;
        if is_time && !self.config.read_only && self.walks_have_paid()? {
            self.request(|r| r.checkpoint());
        }
        Ok(())
    }

    /// Whether runs are to be merged although commits go on.
    pub(super) fn walks_have_paid(&self) -> Result<bool> {
        let walked = self.walked.load(Ordering::Relaxed);
        if walked < LEAST_PRICE {
            return Ok(false);
        }
        let state: &State = &self.published.pin();
        let price: u64 = state.levels(&self.pages)?.lists().map(|list| list.bytes()).sum();
        Ok(walked >= price)
    }

    /// Nothing is left to merge.
    pub(super) fn note_settled(&self) {
        self.walked.store(0, Ordering::Relaxed);
    }
}
