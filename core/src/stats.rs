//! Figures about an open database.

use crate::engine::delta::Delta;
use crate::engine::state::State;
use crate::engine::Engine;
use crate::error::Result;
use crate::file::page::PAGE_BYTES;
use crate::meter::Latency;
use crate::sorted::memtable::Memtable;
use crate::sync::{Arc, Ordering};
use serde::Serialize;
use std::time::Duration;

/// Figures as of one moment; see each field for its unit. Counters count since opening. Figures that belong
/// together may be a commit apart where writers are at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// Commits since the last checkpoint.
    pub checkpoint_lag_commits: u64,
    /// Milliseconds since the last checkpoint, or since opening if there was none since.
    pub checkpoint_age_ms: u64,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Bytes of the disk that it takes: less, where holes were given back. 0 where the system does not tell.
    pub disk_bytes: u64,
    /// Bytes of it in use by the last checkpoint.
    pub used_bytes: u64,
    /// Bytes of all record blocks in it.
    pub block_bytes: u64,
    /// Bytes of them that live records take.
    pub block_live_bytes: u64,
    /// Bytes of log since the last checkpoint.
    pub log_bytes: u64,
    /// What [`log_bytes`](Stats::log_bytes) may be before writers are slowed down: the option, in bytes.
    pub log_max_bytes: u64,
    /// Bytes that the files of the log take on the disk.
    pub log_disk_bytes: u64,
    /// Bytes in memory that are not in the file yet.
    pub memory_bytes: u64,
    /// What [`memory_bytes`](Stats::memory_bytes) may be before writers are slowed down: the option, in bytes.
    pub cache_bytes: u64,
    /// Bytes of memory kept for the next writes. An idle database gives them back within a second.
    pub pool_idle_bytes: u64,
    /// Versions in memory that are not in the file yet.
    pub delta_entries: u64,
    /// Published states kept for readers, the current one included.
    pub states_kept: u64,
    /// Snapshots, scans and ranges alive.
    pub snapshots: u64,
    /// Age in milliseconds of the oldest snapshot or scan that is alive; 0 if there is none. Ended ones count
    /// only if documents were borrowed from them.
    pub oldest_snapshot_age_ms: u64,
    /// The commit that it shows; the current one if there is none.
    pub oldest_snapshot_commit: u64,
    /// Commit number of the oldest checkpoint that a snapshot still reads.
    pub oldest_snapshot_checkpoint_commit: u64,
    /// Bytes of the file that only snapshots and reads of older states keep from being used again.
    pub pinned_file_bytes: u64,
    /// Bytes of memory that only snapshots and reads of older states keep, about.
    pub pinned_memory_bytes: u64,
    /// Snapshots ended because of their age.
    pub snapshots_ended: u64,
    /// Documents looked up one by one, found or not.
    pub gets: u64,
    /// Documents looked up by `get_many`, found or not.
    pub get_many_ids: u64,
    /// Documents given by scans. Those of a running scan are added by the thousand.
    pub scanned: u64,
    /// Documents inserted by committed transactions. Several changes of one document in a transaction are one.
    pub inserts: u64,
    /// Documents replaced by committed transactions.
    pub replaces: u64,
    /// Documents deleted by committed transactions; those of dropped collections are not counted.
    pub deletes: u64,
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
    /// Bytes of runs of the sorted index written by checkpoints: flushed and merged. By the bytes of keys and values put
    /// it is the write amplification of keyspaces, the log not counted.
    pub run_bytes_written: u64,
    /// Bytes of records moved so that half-empty blocks became free. By `block_bytes_written` it is the price of
    /// the space bound.
    pub relocated_bytes: u64,
    /// Bytes inside the file whose space was given back to the file system.
    pub punched_bytes: u64,
    /// The background has more to reclaim without any further commit: garbage in blocks, what is left of a
    /// dropped collection, or runs to merge.
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
    /// Looking up one document by its id, without reading its fields: one of 256 is timed.
    pub get_latency: Latency,
    /// A commit, from its beginning (the transaction's body is done) to its acknowledgement. Under `Sync` all are
    /// timed, else one of 16; those of `write_async`, never.
    pub commit_latency: Latency,
    /// Waiting for the writer's turn, of the transactions that had to: the others did not wait.
    pub writer_wait_latency: Latency,
    /// A sync of the log.
    pub log_sync_latency: Latency,
    /// A checkpoint.
    pub checkpoint_latency: Latency,
}

impl Stats {
    pub(crate) fn of(engine: &Engine) -> Stats {
        let get = |counter: &crate::sync::AtomicU64| counter.load(Ordering::Relaxed);
        let meta = engine.meta.lock().clone();
        let (state, commit) = engine.published.snapshot();
        let log = engine.log.get();
        let counters = &engine.counters;
        let oldest = engine.published.oldest();
        let now = engine.env.monotonic();
        let age_ms = |since: Duration| now.saturating_sub(since).as_millis() as u64;
        let snapshots = engine.snapshots.alive();
        let (pinned_file_bytes, pinned_memory_bytes) = pinned(engine, &state);
        let reads = engine.meter.reads();
        Stats {
            commit,
            durable_commit: log.map_or(meta.commit, |log| log.durable_commit()),
            checkpoint: meta.generation,
            checkpoint_commit: meta.commit,
            checkpoint_lag_commits: commit.saturating_sub(meta.commit),
            checkpoint_age_ms: age_ms(Duration::from_micros(get(&engine.checkpointed_at))),
            file_bytes: engine.pages.len() * PAGE_BYTES as u64,
            disk_bytes: engine.file.allocated_bytes().unwrap_or(0),
            used_bytes: meta.used_pages * PAGE_BYTES as u64,
            block_bytes: meta.block_pages * PAGE_BYTES as u64,
            block_live_bytes: meta.block_live_bytes,
            log_bytes: engine.log_bytes(),
            log_max_bytes: engine.config.log_max_bytes,
            log_disk_bytes: log.map_or(0, |log| log.disk_bytes()),
            memory_bytes: get(&engine.active_bytes) + get(&engine.frozen_bytes),
            cache_bytes: engine.config.cache_bytes,
            pool_idle_bytes: engine.pool.idle_bytes() as u64,
            delta_entries: u64::from(state.active.len()) + state.frozen.as_ref().map_or(0, |f| f.len().into()),
            states_kept: engine.published.kept() as u64,
            snapshots: snapshots.count,
            oldest_snapshot_age_ms: snapshots.oldest.map_or(0, |(taken, _)| age_ms(taken)),
            oldest_snapshot_commit: snapshots.oldest.map_or(commit, |(_, commit)| commit),
            oldest_snapshot_checkpoint_commit: oldest.map_or(commit, |state| state.meta.commit),
            pinned_file_bytes,
            pinned_memory_bytes,
            snapshots_ended: get(&counters.snapshots_ended),
            gets: reads.gets,
            get_many_ids: reads.ids,
            scanned: reads.scanned,
            inserts: get(&counters.inserts),
            replaces: get(&counters.replaces),
            deletes: get(&counters.deletes),
            commits: get(&counters.commits),
            rollbacks: get(&counters.rollbacks),
            checkpoints: get(&counters.checkpoints),
            checkpoints_failed: get(&counters.checkpoints_failed),
            log_syncs: log.map_or(0, |log| log.counters().syncs),
            log_bytes_written: log.map_or(0, |log| log.counters().appended_bytes),
            page_bytes_written: get(&counters.page_bytes_written),
            block_bytes_written: get(&counters.block_bytes_written),
            run_bytes_written: get(&counters.run_bytes_written),
            relocated_bytes: get(&counters.relocated_bytes),
            punched_bytes: get(&counters.punched_bytes),
            reclaim_pending: {
                let reclaim = engine.reclaim.lock();
                reclaim.pending || reclaim.runs
            },
            cached_bytes: engine.pages.cached_bytes(),
            pages_verified: engine.pages.verified_units(),
            paced_micros: get(&counters.paced_micros),
            replayed_commits: get(&counters.replayed),
            get_latency: engine.meter.get.latency(),
            commit_latency: engine.meter.commit.latency(),
            writer_wait_latency: engine.meter.writer_wait.latency(),
            log_sync_latency: engine.meter.log_sync.latency(),
            checkpoint_latency: engine.meter.checkpoint.latency(),
        }
    }
}

/// Figures about what keyspaces lie in: one LSM tree for all of them. See each field for its unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyspaceStats {
    /// The levels with anything in them, the newest first.
    pub levels: Vec<LevelStats>,
    /// Bytes in memory that are not in the file yet.
    pub memtable_bytes: u64,
    /// Bytes of keys and values that checkpoints took from memory, since the file was made. Values in extents of their own are
    /// not counted here, nor in `run_bytes_written`: they are written once.
    pub flushed_bytes: u64,
    /// Bytes of runs that checkpoints wrote, flushed and merged, since the file was made.
    pub run_bytes_written: u64,
    /// Places that may have a key, of which a get looks into one after the other until one has it: what is in memory,
    /// the sets of level 0, the levels below. The filters let it skip nearly all that have not.
    pub read_amplification: u64,
}

/// A level of the LSM tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LevelStats {
    /// 0 to 7; what lies below, in levels of higher numbers, is older.
    pub level: u8,
    /// Lists of runs that do not overlap: in level 0 one for each flush that was not merged yet, else one.
    pub sets: u64,
    /// Runs.
    pub runs: u64,
    /// Keys in them, deleted ones too.
    pub entries: u64,
    /// Keys that are deleted there.
    pub tombstones: u64,
    /// Bytes of keys and values; a key counts 4 bytes more, for the number of its keyspace.
    pub bytes: u64,
    /// Bytes of the file that the runs take. Values in extents of their own are not among them.
    pub file_bytes: u64,
    /// Bytes of their filters.
    pub filter_bytes: u64,
}

impl KeyspaceStats {
    /// Bytes of runs written for each byte of keys and values, since the file was made; the log is not counted. `None` while
    /// nothing was flushed.
    pub fn write_amplification(&self) -> Option<f64> {
        (self.flushed_bytes > 0).then(|| self.run_bytes_written as f64 / self.flushed_bytes as f64)
    }

    pub(crate) fn of(engine: &Engine, state: &State) -> Result<KeyspaceStats> {
        let levels = {
            let _hold = engine.pages.hold();
            state.levels(&engine.pages)?.clone()
        };
        let mut stats: Vec<LevelStats> = Vec::new();
        let mut lists = 0;
        for list in levels.lists() {
            lists += 1;
            for (at, run) in list.runs().iter().enumerate() {
                if stats.last().is_none_or(|last| last.level != run.level) {
                    stats.push(LevelStats::new(run.level));
                }
                let Some(level) = stats.last_mut() else { continue };
                level.sets += u64::from(at == 0);
                level.runs += 1;
                level.entries += run.entries;
                level.tombstones += run.deleted;
                level.bytes += run.bytes;
                level.file_bytes += run.pages() * PAGE_BYTES as u64;
                // Without a mapping: one tail after the other stays in memory, not all.
                let _hold = engine.pages.hold();
                level.filter_bytes += run.tail(&engine.pages)?.filter()?.len() as u64;
            }
        }
        let memtables = || [Some(&state.sorted.active), state.sorted.frozen.as_ref()].into_iter().flatten();
        let in_memory = memtables().filter(|memtable| !memtable.is_empty()).count() as u64;
        Ok(KeyspaceStats {
            levels: stats,
            memtable_bytes: memtables().map(|memtable| memtable.bytes()).sum(),
            flushed_bytes: state.meta.flushed_bytes,
            run_bytes_written: state.meta.run_bytes,
            read_amplification: in_memory + lists,
        })
    }
}

impl LevelStats {
    fn new(level: u8) -> LevelStats {
        LevelStats { level, sets: 0, runs: 0, entries: 0, tombstones: 0, bytes: 0, file_bytes: 0, filter_bytes: 0 }
    }
}

/// Bytes of the file and of memory that only states before `current` reach.
fn pinned(engine: &Engine, current: &State) -> (u64, u64) {
    let (mut pages, mut memory) = (0, 0);
    for (_, retired) in engine.retired.lock().iter() {
        pages += retired.pages();
        memory += retired.memory_bytes();
    }
    let is_current = |delta: &Arc<Delta>| {
        Arc::ptr_eq(delta, &current.active) || current.frozen.as_ref().is_some_and(|frozen| Arc::ptr_eq(frozen, delta))
    };
    let mut counted: Vec<Arc<Delta>> = Vec::new();
    let is_current_keys = |keys: &Arc<Memtable>| {
        let current = [Some(&current.sorted.active), current.sorted.frozen.as_ref()];
        current.into_iter().flatten().any(|other| Arc::ptr_eq(other, keys))
    };
    let mut counted_keys: Vec<Arc<Memtable>> = Vec::new();
    for state in engine.published.older() {
        for delta in [Some(&state.active), state.frozen.as_ref()].into_iter().flatten() {
            if !is_current(delta) && !counted.iter().any(|other| Arc::ptr_eq(other, delta)) {
                memory += delta.bytes();
                counted.push(delta.clone());
            }
        }
        for keys in [Some(&state.sorted.active), state.sorted.frozen.as_ref()].into_iter().flatten() {
            if !is_current_keys(keys) && !counted_keys.iter().any(|other| Arc::ptr_eq(other, keys)) {
                memory += keys.bytes();
                counted_keys.push(keys.clone());
            }
        }
    }
    (pages * PAGE_BYTES as u64, memory)
}
