//! What NyroDB wants to reach, each against a peer of the same run.

use crate::workload::Workload;

/// What a goal is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Against {
    /// So many times the operations of a peer in the same workload.
    Peer(&'static str),
    /// So many times the operations of the best peer.
    Best,
    /// So many times our own operations in another workload.
    Own(Workload),
    /// At most so many times the bytes of the documents.
    Data,
    /// At most so many seconds.
    Seconds,
    /// At most so many times the anonymous memory that a load may take.
    Memory,
    /// At most so many times the bytes of the smallest peer that does not compress.
    Smallest,
    /// At most so many times what a peer has in the same workload.
    AtMost(&'static str),
    /// At most so much.
    Itself,
}

/// A goal.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// The workload.
    pub workload: Workload,
    /// How much.
    pub factor: f64,
    /// Of what.
    pub against: Against,
    /// Whether it is meant to hold with the few documents of `--quick`, too.
    pub quick: bool,
}

const fn goal(workload: Workload, factor: f64, against: Against, quick: bool) -> Goal {
    Goal { workload, factor, against, quick }
}

/// All of them.
pub const GOALS: &[Goal] = {
    use Against::{AtMost, Best, Data, Itself, Memory, Own, Peer, Seconds};
    use Workload::*;
    &[
        goal(GetEach, 5.0, Peer("lmdb"), false),
        goal(GetSnapshot, 5.0, Peer("lmdb"), false),
        goal(GetMany, 8.0, Peer("lmdb"), false),
        goal(GetMany, 1.5, Own(GetSnapshot), true),
        goal(Get2threads, 1.8, Own(GetSnapshot), true),
        goal(LoadRandom, 3.5, Best, false),
        goal(LoadRandom, 1.0, Memory, true),
        goal(LoadSequential, 1.0, Best, false),
        goal(CommitInsert, 3.0, Best, false),
        goal(CommitUpdate, 4.0, Best, false),
        goal(UpdateBatch100, 4.0, Best, false),
        goal(Durable1, 1.0, Best, true),
        goal(Durable16, 1.5, Best, true),
        goal(Scan, 1.5, Best, true),
        goal(FileSize, 1.2, Data, true),
        goal(FileSizeUpdated, 1.5, Data, true),
        goal(OpenClean, 0.001, Seconds, true),
        goal(OpenKilled, 1.0, Seconds, true),
        goal(KvLoadRandom, 1.5, Best, false),
        goal(KvPut, 1.5, Best, false),
        goal(KvPutDurable16, 1.5, Best, false),
        goal(KvGet, 1.0, Peer("lmdb"), false),
        goal(KvGet, 3.0, Peer("rocksdb"), false),
        goal(KvGet, 3.0, Peer("fjall"), false),
        goal(KvGetAbsent, 3.0, Peer("rocksdb"), false),
        goal(KvRange100, 1.0, Peer("lmdb"), false),
        goal(KvYcsbA, 1.2, Best, false),
        goal(KvYcsbB, 1.2, Best, false),
        goal(KvYcsbC, 1.2, Best, false),
        goal(KvYcsbE, 1.2, Best, false),
        goal(KvYcsbF, 1.2, Best, false),
        goal(KvSpace, 1.15, Itself, false),
        goal(KvWriteAmplification, 1.0, AtMost("rocksdb"), false),
        goal(KvStall, 0.5, AtMost("rocksdb"), false),
        goal(KvStall, 0.5, AtMost("fjall"), false),
    ]
};

/// Those of the size of the file, with documents of some KB.
pub const SIZE_GOALS: &[Goal] = {
    use Against::{Data, Smallest};
    &[goal(Workload::FileSize, 1.25, Data, true), goal(Workload::FileSize, 1.0, Smallest, true)]
};

impl Goal {
    /// In words.
    pub fn describe(&self) -> String {
        let factor = self.factor;
        match self.against {
            Against::Peer(name) => format!("at least {factor} × {name}"),
            Against::Best => format!("at least {factor} × the best"),
            Against::Own(other) => format!("at least {factor} × own {}", other.name()),
            Against::Data => format!("at most {factor} × the data"),
            Against::Seconds => format!("at most {} ms", factor * 1000.0),
            Against::Memory => format!("memory at most {factor} × (the cache and 32 MiB)"),
            Against::Smallest => format!("at most {factor} × the smallest that does not compress"),
            Against::AtMost(name) => format!("at most {factor} × {name}"),
            Against::Itself => format!("at most {factor}"),
        }
    }

    /// Whether `ratio` reaches it.
    pub fn is_met(&self, ratio: f64) -> bool {
        match self.against {
            Against::Data
            | Against::Seconds
            | Against::Memory
            | Against::Smallest
            | Against::AtMost(_)
            | Against::Itself => ratio <= self.factor,
            _ => ratio >= self.factor,
        }
    }
}
