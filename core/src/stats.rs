//! Figures about an open database.

use crate::engine::Engine;
use crate::sync::Ordering;

/// Figures as of one moment; see each field for its unit. Counters count since opening.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The last commit that reads see.
    pub commit: u64,
    /// The last commit known to be on the disk.
    pub durable_commit: u64,
    /// Number of the last checkpoint.
    pub checkpoint: u64,
    /// The last commit in it.
    pub checkpoint_commit: u64,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Bytes of it in use by the last checkpoint.
    pub used_bytes: u64,
    /// Bytes of all record blocks in it.
    pub block_bytes: u64,
    /// Bytes of them that live records take.
    pub block_live_bytes: u64,
    /// Bytes of log since the last checkpoint.
    pub log_bytes: u64,
    /// Bytes in memory that are not in the file yet.
    pub memory_bytes: u64,
    /// Versions in memory that are not in the file yet.
    pub delta_entries: u64,
    /// Published states kept for readers, the current one included.
    pub states_kept: u64,
    /// Commit number of the oldest checkpoint that a snapshot still reads.
    pub oldest_snapshot_checkpoint_commit: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Transactions rolled back.
    pub rollbacks: u64,
    /// Checkpoints that succeeded.
    pub checkpoints: u64,
    /// Checkpoints that failed.
    pub checkpoints_failed: u64,
    /// Syncs of the log.
    pub log_syncs: u64,
    /// Bytes written to the log.
    pub log_bytes_written: u64,
    /// Bytes of pages written by checkpoints.
    pub page_bytes_written: u64,
    /// Bytes of record blocks and large documents written by commits, through checkpoints.
    pub block_bytes_written: u64,
    /// Bytes of records moved so that half-empty blocks became free. By `block_bytes_written` it is the price of
    /// the space bound.
    pub relocated_bytes: u64,
    /// Bytes inside the file whose space was given back to the file system.
    pub punched_bytes: u64,
    /// The background has more to reclaim without any further commit: garbage in blocks, or what is left of a
    /// dropped collection.
    pub reclaim_pending: bool,
    /// Bytes of pages read that are in memory under [`ReadMode::Pread`](crate::ReadMode::Pread); 0 where the file
    /// is mapped.
    pub cached_bytes: u64,
    /// Units whose checksum was verified.
    pub pages_verified: u64,
    /// Microseconds that writers were slowed down.
    pub paced_micros: u64,
    /// Commits replayed from the log when the file was opened.
    pub replayed_commits: u64,
}

impl Stats {
    pub(crate) fn of(engine: &Engine) -> Stats {
        let get = |counter: &crate::sync::AtomicU64| counter.load(Ordering::Relaxed);
        let meta = engine.meta.lock().clone();
        let (state, commit) = engine.published.snapshot();
        let log = engine.log.get();
        let counters = &engine.counters;
        let oldest = engine.published.oldest();
        Stats {
            commit,
            durable_commit: log.map_or(meta.commit, |log| log.durable_commit()),
            checkpoint: meta.generation,
            checkpoint_commit: meta.commit,
            file_bytes: engine.pages.len() * crate::file::page::PAGE_BYTES as u64,
            used_bytes: meta.used_pages * crate::file::page::PAGE_BYTES as u64,
            block_bytes: meta.block_pages * crate::file::page::PAGE_BYTES as u64,
            block_live_bytes: meta.block_live_bytes,
            log_bytes: engine.log_bytes(),
            memory_bytes: get(&engine.active_bytes) + get(&engine.frozen_bytes),
            delta_entries: u64::from(state.active.len()) + state.frozen.as_ref().map_or(0, |f| f.len().into()),
            states_kept: engine.published.kept() as u64,
            oldest_snapshot_checkpoint_commit: oldest.map_or(commit, |state| state.meta.commit),
            commits: get(&counters.commits),
            rollbacks: get(&counters.rollbacks),
            checkpoints: get(&counters.checkpoints),
            checkpoints_failed: get(&counters.checkpoints_failed),
            log_syncs: log.map_or(0, |log| log.counters().syncs),
            log_bytes_written: log.map_or(0, |log| log.counters().appended_bytes),
            page_bytes_written: get(&counters.page_bytes_written),
            block_bytes_written: get(&counters.block_bytes_written),
            relocated_bytes: get(&counters.relocated_bytes),
            punched_bytes: get(&counters.punched_bytes),
            reclaim_pending: engine.reclaim.lock().pending,
            cached_bytes: engine.pages.cached_bytes(),
            pages_verified: engine.pages.verified_units(),
            paced_micros: get(&counters.paced_micros),
            replayed_commits: get(&counters.replayed),
        }
    }
}
