//! Pacing: writers never stop for a checkpoint; they slow down when it can't keep up.
//!
//! ```text
//!   log since the last checkpoint (or memory not yet in the file), as a part of its limit
//!
//!   0        1/2             1                          2
//!   |---------|--------------|--------------------------|
//!    nothing   a checkpoint   short delays, growing      wait; `Full` if checkpoints fail
//!              is asked for
//! ```

use super::delta::MAX_ENTRIES;
use super::{Config, Engine};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::sync::Ordering;
use std::time::Duration;

/// The longest delay of one commit short of twice the limit.
const MAX_DELAY: Duration = Duration::from_millis(2);

/// An entry of a delta counts as so many bytes of memory.
pub const ENTRY_BYTES: u64 = 80;

/// Bytes that a small document takes in the log.
const SMALL_BYTES: u64 = 128;

/// No more is expected, however large the log may grow.
const MOST_EXPECTED_BYTES: u64 = 256 << 20;

/// Memory from which writers are slowed down, whatever `cache_bytes` says: a delta has room for so many entries and
/// no more. At twice of it writers wait, and one transaction goes on.
const MAX_WRITTEN_BYTES: u64 = 32 << 30;
const _: () = assert!(2 * MAX_WRITTEN_BYTES / ENTRY_BYTES + (1 << 27) < MAX_ENTRIES as u64);

/// Entries that a delta is likely to have when it is frozen, if documents are small.
pub fn entries_between_checkpoints(config: &Config) -> usize {
    (config.log_max_bytes.min(config.cache_bytes).min(MOST_EXPECTED_BYTES) / 2 / SMALL_BYTES) as usize
}

impl Engine {
    /// Bytes of log since the last checkpoint.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.tip_lsn.load(Ordering::Relaxed).saturating_sub(self.checkpoint_lsn.load(Ordering::Relaxed))
    }

    /// Memory for what is not in the file yet from which writers are slowed down.
    fn written_limit(&self) -> u64 {
        self.config.cache_bytes.clamp(1, MAX_WRITTEN_BYTES)
    }

    /// How much of its limits the database uses, in thousandths.
    fn load(&self) -> u64 {
        let log = self.log_bytes() * 1000 / self.config.log_max_bytes.max(1);
        let memory = self.active_bytes.load(Ordering::Relaxed) + self.frozen_bytes.load(Ordering::Relaxed);
        log.max(memory * 1000 / self.written_limit())
    }

    /// Called before a write, with no lock held: waits as long as the load asks for.
    pub(crate) fn admit(&self) -> Result<()> {
        let load = self.load();
        if load < 1000 {
            return Ok(());
        }
        let start = self.env.monotonic();
        let thread = self.signal.wants.lock().thread;
        self.request(|r| r.checkpoint());
        if !thread {
            return self.admit_without_thread(load);
        }
        if load < 2000 {
            crate::sync::sleep(MAX_DELAY * (load - 1000) as u32 / 1000);
        } else {
            self.wait_for_checkpoint()?;
        }
        let micros = (self.env.monotonic() - start).as_micros() as u64;
        self.counters.paced_micros.fetch_add(micros, Ordering::Relaxed);
        self.event(Event::Paced { micros });
        Ok(())
    }

    /// Without a background thread the writer does the work itself.
    fn admit_without_thread(&self, load: u64) -> Result<()> {
        match self.background_step() {
            Err(e) if load >= 2000 => Err(self.full(e.to_string())),
            _ => Ok(()),
        }
    }

    fn wait_for_checkpoint(&self) -> Result<()> {
        while self.load() >= 2000 {
            self.check_open()?;
            let mut wants = self.signal.wants.lock();
            if let Some(reason) = wants.failure.clone() {
                return Err(self.full(reason));
            }
            wants.checkpoint = true;
            self.signal.wake.notify_one();
            self.signal.done.wait_for(&mut wants, Duration::from_millis(20));
        }
        Ok(())
    }

    fn full(&self, reason: String) -> Error {
        Error::Full { log_bytes: self.log_bytes(), limit: self.config.log_max_bytes, reason }
    }

    /// True when so many eighths of a limit were written since the last freeze.
    #[inline]
    fn has_written(&self, eighths: u64) -> bool {
        let log = self.tip_lsn.load(Ordering::Relaxed).saturating_sub(self.freeze_lsn.load(Ordering::Relaxed));
        let memory = self.active_bytes.load(Ordering::Relaxed);
        log >= self.config.log_max_bytes / 8 * eighths || memory >= self.written_limit() / 8 * eighths
    }

    /// The next checkpoint is due soon: one that is at work comes to an end.
    pub(super) fn is_checkpoint_near(&self) -> bool {
        self.has_written(3)
    }

    /// Called after a commit: asks for background work that has become due.
    #[inline]
    pub(crate) fn after_commit(&self) {
        if self.has_written(4) {
            self.request(|r| r.checkpoint());
        }
        if self.pool.needs_prepare() || self.log.get().is_some_and(|log| log.needs_prepare()) {
            self.request(|r| r.prepare());
        }
    }
}
