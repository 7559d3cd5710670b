//go:build cgo

package nyro

// Latency is how long operations of one kind took. All figures but Count are nanoseconds, right within 1 %.
type Latency struct {
	// Count is how many were timed. Where one of many is, there were that many times more.
	Count uint64 `nyro:"count"`
	// P50: half of them took no longer.
	P50 uint64 `nyro:"p50"`
	// P90: nine of ten took no longer.
	P90 uint64 `nyro:"p90"`
	// P99: 99 of 100 took no longer.
	P99 uint64 `nyro:"p99"`
	// P999: 999 of 1000 took no longer.
	P999 uint64 `nyro:"p999"`
	// Max is the longest.
	Max uint64 `nyro:"max"`
}

// Stats are figures as of one moment. Counters count since opening. Figures that belong together may be a commit
// apart where writers are at work.
type Stats struct {
	// Commit: the last commit that reads see.
	Commit uint64 `nyro:"commit"`
	// DurableCommit: the last commit known to be on the disk.
	DurableCommit uint64 `nyro:"durable_commit"`
	// Checkpoint: number of the last checkpoint.
	Checkpoint uint64 `nyro:"checkpoint"`
	// CheckpointCommit: the last commit in it.
	CheckpointCommit uint64 `nyro:"checkpoint_commit"`
	// CheckpointLagCommits: commits since the last checkpoint.
	CheckpointLagCommits uint64 `nyro:"checkpoint_lag_commits"`
	// CheckpointAgeMillis: milliseconds since the last checkpoint, or since opening if there was none since.
	CheckpointAgeMillis uint64 `nyro:"checkpoint_age_ms"`
	// FileBytes: length of the file in bytes.
	FileBytes uint64 `nyro:"file_bytes"`
	// DiskBytes: bytes of the disk that it takes: less, where holes were given back. 0 where the system does not tell.
	DiskBytes uint64 `nyro:"disk_bytes"`
	// UsedBytes: bytes of it in use by the last checkpoint.
	UsedBytes uint64 `nyro:"used_bytes"`
	// BlockBytes: bytes of all record blocks in it.
	BlockBytes uint64 `nyro:"block_bytes"`
	// BlockLiveBytes: bytes of them that live records take.
	BlockLiveBytes uint64 `nyro:"block_live_bytes"`
	// LogBytes: bytes of log since the last checkpoint.
	LogBytes uint64 `nyro:"log_bytes"`
	// LogMaxBytes: what LogBytes may be before writers are slowed down: the option, in bytes.
	LogMaxBytes uint64 `nyro:"log_max_bytes"`
	// LogDiskBytes: bytes that the files of the log take on the disk.
	LogDiskBytes uint64 `nyro:"log_disk_bytes"`
	// MemoryBytes: bytes in memory that are not in the file yet.
	MemoryBytes uint64 `nyro:"memory_bytes"`
	// CacheBytes: what MemoryBytes may be before writers are slowed down: the option, in bytes.
	CacheBytes uint64 `nyro:"cache_bytes"`
	// PoolIdleBytes: bytes of memory kept for the next writes. An idle database gives them back within a second.
	PoolIdleBytes uint64 `nyro:"pool_idle_bytes"`
	// DeltaEntries: versions in memory that are not in the file yet.
	DeltaEntries uint64 `nyro:"delta_entries"`
	// StatesKept: published states kept for readers, the current one included.
	StatesKept uint64 `nyro:"states_kept"`
	// Snapshots: snapshots and scans alive.
	Snapshots uint64 `nyro:"snapshots"`
	// OldestSnapshotAgeMillis: age in milliseconds of the oldest snapshot or scan that is alive; 0 if there is none. Ended ones count only if documents were borrowed from them.
	OldestSnapshotAgeMillis uint64 `nyro:"oldest_snapshot_age_ms"`
	// OldestSnapshotCommit: the commit that it shows; the current one if there is none.
	OldestSnapshotCommit uint64 `nyro:"oldest_snapshot_commit"`
	// OldestSnapshotCheckpointCommit: commit number of the oldest checkpoint that a snapshot still reads.
	OldestSnapshotCheckpointCommit uint64 `nyro:"oldest_snapshot_checkpoint_commit"`
	// PinnedFileBytes: bytes of the file that only snapshots and reads of older states keep from being used again.
	PinnedFileBytes uint64 `nyro:"pinned_file_bytes"`
	// PinnedMemoryBytes: bytes of memory that only snapshots and reads of older states keep, about.
	PinnedMemoryBytes uint64 `nyro:"pinned_memory_bytes"`
	// SnapshotsEnded: snapshots ended because of their age.
	SnapshotsEnded uint64 `nyro:"snapshots_ended"`
	// Gets: documents looked up one by one, found or not.
	Gets uint64 `nyro:"gets"`
	// GetManyIDs: documents looked up by GetMany, found or not.
	GetManyIDs uint64 `nyro:"get_many_ids"`
	// Scanned: documents given by scans. Those of a running scan are added by the thousand.
	Scanned uint64 `nyro:"scanned"`
	// Inserts: documents inserted by committed transactions. Several changes of one document in a transaction are one.
	Inserts uint64 `nyro:"inserts"`
	// Replaces: documents replaced by committed transactions.
	Replaces uint64 `nyro:"replaces"`
	// Deletes: documents deleted by committed transactions; those of dropped collections are not counted.
	Deletes uint64 `nyro:"deletes"`
	// Commits: transactions committed.
	Commits uint64 `nyro:"commits"`
	// Rollbacks: transactions rolled back.
	Rollbacks uint64 `nyro:"rollbacks"`
	// Checkpoints: checkpoints that succeeded.
	Checkpoints uint64 `nyro:"checkpoints"`
	// CheckpointsFailed: checkpoints that failed.
	CheckpointsFailed uint64 `nyro:"checkpoints_failed"`
	// LogSyncs: syncs of the log.
	LogSyncs uint64 `nyro:"log_syncs"`
	// LogBytesWritten: bytes written to the log.
	LogBytesWritten uint64 `nyro:"log_bytes_written"`
	// PageBytesWritten: bytes of pages written by checkpoints.
	PageBytesWritten uint64 `nyro:"page_bytes_written"`
	// BlockBytesWritten: bytes of record blocks and large documents written by commits, through checkpoints.
	BlockBytesWritten uint64 `nyro:"block_bytes_written"`
	// RunBytesWritten: bytes of runs of the sorted index written by checkpoints: flushed and merged.
	RunBytesWritten uint64 `nyro:"run_bytes_written"`
	// RelocatedBytes: bytes of records moved so that half-empty blocks became free. By BlockBytesWritten it is the price of the space bound.
	RelocatedBytes uint64 `nyro:"relocated_bytes"`
	// PunchedBytes: bytes inside the file whose space was given back to the file system.
	PunchedBytes uint64 `nyro:"punched_bytes"`
	// ReclaimPending: the background has more to reclaim without any further commit: garbage in blocks, or what is left of a dropped collection.
	ReclaimPending bool `nyro:"reclaim_pending"`
	// CachedBytes: bytes of pages read that are in memory under Pread; 0 where the file is mapped.
	CachedBytes uint64 `nyro:"cached_bytes"`
	// PagesVerified: units whose checksum was verified.
	PagesVerified uint64 `nyro:"pages_verified"`
	// PacedMicros: microseconds that writers were slowed down.
	PacedMicros uint64 `nyro:"paced_micros"`
	// ReplayedCommits: commits replayed from the log when the file was opened.
	ReplayedCommits uint64 `nyro:"replayed_commits"`
	// GetLatency: looking up one document by its id, without reading its fields: one of 256 is timed.
	GetLatency Latency `nyro:"get_latency"`
	// CommitLatency: a commit, from its beginning (the transaction's body is done) to its acknowledgement. Under Sync all are timed, else one of 16.
	CommitLatency Latency `nyro:"commit_latency"`
	// WriterWaitLatency: waiting for the writer's turn, of the transactions that had to: the others did not wait.
	WriterWaitLatency Latency `nyro:"writer_wait_latency"`
	// LogSyncLatency: a sync of the log.
	LogSyncLatency Latency `nyro:"log_sync_latency"`
	// CheckpointLatency: a checkpoint.
	CheckpointLatency Latency `nyro:"checkpoint_latency"`
}

// LevelStats are figures about a level of the tree that the keyspaces lie in.
type LevelStats struct {
	// Level: 0 to 7; what lies below, in levels of higher numbers, is older.
	Level uint64 `nyro:"level"`
	// Sets: lists of runs that do not overlap: in level 0 one for each flush that was not merged yet, else one.
	Sets uint64 `nyro:"sets"`
	// Runs: runs.
	Runs uint64 `nyro:"runs"`
	// Entries: keys in them, deleted ones too.
	Entries uint64 `nyro:"entries"`
	// Tombstones: keys that are deleted there.
	Tombstones uint64 `nyro:"tombstones"`
	// Bytes: bytes of keys and values; a key counts 4 bytes more, for the number of its keyspace.
	Bytes uint64 `nyro:"bytes"`
	// FileBytes: bytes of the file that the runs take. Values in extents of their own are not among them.
	FileBytes uint64 `nyro:"file_bytes"`
	// FilterBytes: bytes of their filters.
	FilterBytes uint64 `nyro:"filter_bytes"`
}

// KeyspaceStats are figures about what keyspaces lie in: one LSM tree for all of them.
type KeyspaceStats struct {
	// Levels: the levels with anything in them, the newest first.
	Levels []LevelStats `nyro:"levels"`
	// MemtableBytes: bytes in memory that are not in the file yet.
	MemtableBytes uint64 `nyro:"memtable_bytes"`
	// FlushedBytes: bytes of keys and values that checkpoints took from memory, since the file was made. Values in extents of their own are not counted here, nor in RunBytesWritten: they are written once.
	FlushedBytes uint64 `nyro:"flushed_bytes"`
	// RunBytesWritten: bytes of runs that checkpoints wrote, flushed and merged, since the file was made.
	RunBytesWritten uint64 `nyro:"run_bytes_written"`
	// ReadAmplification: places that may have a key, of which a get looks into one after the other until one has it.
	ReadAmplification uint64 `nyro:"read_amplification"`
}
