"""What long calls and ``stats`` give. Each field has the name that it has in every language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = [
    "BackupInfo", "BackupReport", "CompactReport", "KeyspaceStats", "Latency", "LevelStats", "Progress", "RepairReport",
    "Stats", "VerifyReport", "WarmUpReport",
]  # fmt: skip


class Progress(NamedTuple):
    """How far a long call is."""

    phase: str
    """What is being done, in a word or two."""
    done: int
    """How much of this phase is done, in ``unit``."""
    total: int
    """How much there is to do, 0 where that is not known."""
    unit: str
    """What is counted: "pages", "bytes", "documents"."""


@dataclass(frozen=True)
class CompactReport:
    """What ``compact`` did."""

    bytes_before: int
    """Length of the file before, in bytes."""
    bytes_after: int
    """Length of the file after."""
    moved_bytes: int
    """Bytes of records and pages that were moved."""


@dataclass(frozen=True)
class VerifyReport:
    """What ``verify`` and ``restore`` found."""

    file_pages: int
    """Pages of the file."""
    used_pages: int
    """Pages of it in use."""
    collections: int
    """Collections."""
    documents: int
    """Documents in all of them."""
    blocks: int
    """Record blocks."""
    extents: int
    """Large documents outside of blocks."""
    runs: int
    """Runs of the sorted index."""
    run_entries: int
    """Keys in them, each run's by itself, and tombstones."""
    keyspaces: int
    """Keyspaces."""
    commit: int
    """The last commit."""


@dataclass(frozen=True)
class WarmUpReport:
    """What ``warm_up`` brought into memory."""

    index_pages: int
    """Pages of the index."""
    block_pages: int
    """Pages of record blocks."""
    complete: bool
    """All of the file is in memory."""


@dataclass(frozen=True)
class BackupReport:
    """What ``backup`` wrote."""

    commit: int
    """The last commit in it."""
    checkpoint: int
    """Number of the checkpoint that it holds."""
    pages: int
    """Pages written."""
    bytes: int
    """Bytes written."""


@dataclass(frozen=True)
class BackupInfo:
    """A backup that the database remembers."""

    name: str
    """Its name."""
    commit: int
    """The last commit in it."""
    checkpoint: int
    """Number of the checkpoint that it holds."""


@dataclass(frozen=True)
class RepairReport:
    """What ``repair`` saved, and what it could not."""

    is_complete: bool
    """All is in the new file, and nothing that should not be."""
    basis: str
    """How the file's structures were found."""
    file_pages: int
    """Pages of the damaged file."""
    searched: bool
    """All pages were searched for blocks and leaves of runs."""
    documents: int
    """Documents in the new file."""
    collections: list[dict[str, Any]]
    """The collections of the new file, by name."""
    keys: int
    """Keys of keyspaces in the new file."""
    keyspaces: list[dict[str, Any]]
    """The keyspaces of the new file, by name."""
    lost: list[dict[str, Any]]
    """What could not be saved: the first 1 000 places."""
    lost_total: int
    """How many places there were."""
    log: Any
    """What was done with the log."""


@dataclass(frozen=True)
class Latency:
    """Times in nanoseconds."""

    count: int
    """Operations that were timed."""
    p50: int
    """Half of them took no longer."""
    p90: int
    """Nine of ten took no longer."""
    p99: int
    """99 of 100 took no longer."""
    p999: int
    """999 of 1000 took no longer."""
    max: int
    """The longest."""


@dataclass(frozen=True)
class Stats:
    """Figures as of one moment. Counters count since opening."""

    commit: int
    """The last commit that reads see."""
    durable_commit: int
    """The last commit known to be on the disk."""
    checkpoint: int
    """Number of the last checkpoint."""
    checkpoint_commit: int
    """The last commit in it."""
    checkpoint_lag_commits: int
    """Commits since the last checkpoint."""
    checkpoint_age_ms: int
    """Milliseconds since the last checkpoint, or since opening if there was none since."""
    file_bytes: int
    """Length of the file in bytes."""
    disk_bytes: int
    """Bytes of the disk that it takes: less, where holes were given back. 0 where the system does not tell."""
    used_bytes: int
    """Bytes of it in use by the last checkpoint."""
    block_bytes: int
    """Bytes of all record blocks in it."""
    block_live_bytes: int
    """Bytes of them that live records take."""
    log_bytes: int
    """Bytes of log since the last checkpoint."""
    log_max_bytes: int
    """What log_bytes may be before writers are slowed down: the option, in bytes."""
    log_disk_bytes: int
    """Bytes that the files of the log take on the disk."""
    memory_bytes: int
    """Bytes in memory that are not in the file yet."""
    cache_bytes: int
    """What memory_bytes may be before writers are slowed down: the option, in bytes."""
    pool_idle_bytes: int
    """Bytes of memory kept for the next writes. An idle database gives them back within a second."""
    delta_entries: int
    """Versions in memory that are not in the file yet."""
    states_kept: int
    """Published states kept for readers, the current one included."""
    snapshots: int
    """Snapshots and scans alive."""
    oldest_snapshot_age_ms: int
    """Age in milliseconds of the oldest snapshot or scan that is alive; 0 if there is none. Ended ones count only if
    documents were borrowed from them."""
    oldest_snapshot_commit: int
    """The commit that it shows; the current one if there is none."""
    oldest_snapshot_checkpoint_commit: int
    """Commit number of the oldest checkpoint that a snapshot still reads."""
    pinned_file_bytes: int
    """Bytes of the file that only snapshots and reads of older states keep from being used again."""
    pinned_memory_bytes: int
    """Bytes of memory that only snapshots and reads of older states keep, about."""
    snapshots_ended: int
    """Snapshots ended because of their age."""
    gets: int
    """Documents looked up one by one, found or not."""
    get_many_ids: int
    """Documents looked up by ``get_many``, found or not."""
    scanned: int
    """Documents given by scans. Those of a running scan are added by the thousand."""
    inserts: int
    """Documents inserted by committed transactions. Several changes of one document in a transaction are one."""
    replaces: int
    """Documents replaced by committed transactions."""
    deletes: int
    """Documents deleted by committed transactions; those of dropped collections are not counted."""
    commits: int
    """Transactions committed."""
    rollbacks: int
    """Transactions rolled back."""
    checkpoints: int
    """Checkpoints that succeeded."""
    checkpoints_failed: int
    """Checkpoints that failed."""
    log_syncs: int
    """Syncs of the log."""
    log_bytes_written: int
    """Bytes written to the log."""
    page_bytes_written: int
    """Bytes of pages written by checkpoints."""
    block_bytes_written: int
    """Bytes of record blocks and large documents written by commits, through checkpoints."""
    run_bytes_written: int
    """Bytes of runs of the sorted index written by checkpoints: flushed and merged."""
    relocated_bytes: int
    """Bytes of records moved so that half-empty blocks became free. By ``block_bytes_written`` it is the price of the
    space bound."""
    punched_bytes: int
    """Bytes inside the file whose space was given back to the file system."""
    reclaim_pending: bool
    """The background has more to reclaim without any further commit: garbage in blocks, or what is left of a dropped
    collection."""
    cached_bytes: int
    """Bytes of pages read that are in memory under ReadMode::Pread; 0 where the file is mapped."""
    pages_verified: int
    """Units whose checksum was verified."""
    paced_micros: int
    """Microseconds that writers were slowed down."""
    replayed_commits: int
    """Commits replayed from the log when the file was opened."""
    get_latency: Latency
    """Looking up one document by its id, without reading its fields: one of 256 is timed."""
    commit_latency: Latency
    """A commit, from its beginning (the transaction's body is done) to its acknowledgement. Under ``Sync`` all are
    timed, else one of 16; those of ``write_async``, never."""
    writer_wait_latency: Latency
    """Waiting for the writer's turn, of the transactions that had to: the others did not wait."""
    log_sync_latency: Latency
    """A sync of the log."""
    checkpoint_latency: Latency
    """A checkpoint."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, dict):
                object.__setattr__(self, name, Latency(**value))


@dataclass(frozen=True)
class LevelStats:
    """A level of the tree that the keyspaces lie in."""

    level: int
    """0 to 7; what lies below, in levels of higher numbers, is older."""
    sets: int
    """Lists of runs that do not overlap: in level 0 one for each flush that was not merged yet, else one."""
    runs: int
    """Runs."""
    entries: int
    """Keys in them, deleted ones too."""
    tombstones: int
    """Keys that are deleted there."""
    bytes: int
    """Bytes of keys and values; a key counts 4 bytes more, for the number of its keyspace."""
    file_bytes: int
    """Bytes of the file that the runs take. Values in extents of their own are not among them."""
    filter_bytes: int
    """Bytes of their filters."""


@dataclass(frozen=True)
class KeyspaceStats:
    """Figures about what keyspaces lie in: one LSM tree for all of them."""

    levels: list[LevelStats]
    """The levels with anything in them, the newest first."""
    memtable_bytes: int
    """Bytes in memory that are not in the file yet."""
    flushed_bytes: int
    """Bytes of keys and values that checkpoints took from memory, since the file was made. Values in extents of
    their own are not counted here, nor in ``run_bytes_written``: they are written once."""
    run_bytes_written: int
    """Bytes of runs that checkpoints wrote, flushed and merged, since the file was made."""
    read_amplification: int
    """Places that may have a key, of which a get looks into one after the other until one has it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", [LevelStats(**level) for level in self.levels])  # type: ignore[arg-type]
