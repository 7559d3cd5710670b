//! Bugs that test builds can put in, to prove that the tests would find them.
//!
//! ```text
//!   nyro-safety, lane planted: for each Bug   plant(bug) --> the other lanes, until one of them fails
//! ```
//!
//! The code asks [`planted`] at the place where the mistake would be made. In all builds but those of tests (feature
//! `testing`) the answer is no at compile time, and nothing of this is left.

/// A mistake that somebody could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // `Bug::ALL` says what each is.
pub enum Bug {
    NewestDeltaLost = 1,
    DeathsForgotten,
    RelocationUnknown,
    HeapPageReleasedEarly,
    UnitSwappedEarly,
    FailedSyncForgotten,
    ClaimsIgnored,
    ChainNotChecked,
    HeaderNotDurable,
    NumbersReused,
    PublishedTip,
    TreeNotNamed,
    SyncLeftOut,
    ToldBeforeDurable,
    DataNotSynced,
    LogNotSynced,
    GrowthNotDurable,
    MetasInOneSync,
    SecondMetaLeftOut,
    CleanTooEarly,
    LogReleasedEarly,
    LogRemovedBeforeRecovery,
    PageReusedEarly,
    SnapshotNotHeld,
    TailKept,
    ShortFrameKept,
    DeleteNotReplayed,
    DropNotReplayed,
    DeadRecordsMoved,
    EntryLost,
    LengthOfSixteenBits,
    MetaChecksumShort,
    PageChecksumNotChecked,
    PageNumberNotChecked,
    BlockNotSealed,
    AbortForgotten,
    LargeDocumentNotFreed,
    RunReleasedEarly,
    RangesForgotten,
    TombstonesDropped,
    RangeNotReplayed,
    RunStaysNamed,
    FilterWithoutLast,
    LargeValueNotAdopted,
}

#[cfg(any(test, feature = "testing"))]
impl Bug {
    /// All of them, with what each does.
    pub const ALL: &'static [(Bug, &'static str)] = &[
        (Bug::NewestDeltaLost, "rule 1: the swap publishes the folded roots without the delta of the commits since"),
        (Bug::DeathsForgotten, "rule 2: the death of a version that is frozen is noted for one of the two states only"),
        (Bug::RelocationUnknown, "rule 3: the delta that was active at a swap is not told where records went"),
        (Bug::HeapPageReleasedEarly, "rule 4: pages given to blocks that never reached the file are free at once"),
        (Bug::UnitSwappedEarly, "rule 5: a block is read from the file before the file was synced"),
        (Bug::FailedSyncForgotten, "rule 6: a sync that failed is taken for one that worked"),
        (Bug::ClaimsIgnored, "rule 7: the damaged middle of the log is taken for its end"),
        (Bug::ChainNotChecked, "rule 7: a frame need not name the one before it"),
        (Bug::HeaderNotDurable, "rule 8: a segment counts before its name and header are durable"),
        (Bug::NumbersReused, "rule 9: commit numbers given out before a crash are given out again"),
        (Bug::PublishedTip, "rule 10: duplicates are looked for in what is published, not in what is applied"),
        (Bug::TreeNotNamed, "rule 11: a block does not name its tree"),
        (Bug::SyncLeftOut, "a commit is acknowledged without a sync"),
        (Bug::ToldBeforeDurable, "a commit is visible before it is durable"),
        (Bug::DataNotSynced, "a meta page is written before the pages that it names are durable"),
        (Bug::LogNotSynced, "a checkpoint holds commits that the log does not hold durably"),
        (Bug::GrowthNotDurable, "the length that a meta page names is not durable"),
        (Bug::MetasInOneSync, "both meta pages are written before one sync"),
        (Bug::SecondMetaLeftOut, "what the checkpoint before reaches is let go when one meta page is written"),
        (Bug::CleanTooEarly, "a checkpoint that commits may follow says that no log is needed"),
        (Bug::LogReleasedEarly, "log is given up before the checkpoint that takes it in is durable"),
        (Bug::LogRemovedBeforeRecovery, "recovery removes the log before its own checkpoint is durable"),
        (Bug::PageReusedEarly, "a page is given out one checkpoint early"),
        (Bug::SnapshotNotHeld, "pages that a snapshot reaches are given out"),
        (Bug::TailKept, "recovery keeps a length of the file that may never become durable"),
        (Bug::ShortFrameKept, "a frame that was written in part is left in the log"),
        (Bug::DeleteNotReplayed, "replay leaves out deletes"),
        (Bug::DropNotReplayed, "replay leaves out drops of collections"),
        (Bug::DeadRecordsMoved, "compaction brings dead records along"),
        (Bug::EntryLost, "a leaf of the index leaves out an entry"),
        (Bug::LengthOfSixteenBits, "the length of a large document is cut to 16 bits"),
        (Bug::MetaChecksumShort, "fields of the meta page lie outside of its checksum"),
        (Bug::PageChecksumNotChecked, "the checksum of a page is not checked"),
        (Bug::PageNumberNotChecked, "a page that lies in the place of another is taken for it"),
        (Bug::BlockNotSealed, "a record block is written without its checksum"),
        (Bug::AbortForgotten, "a checkpoint that failed is not taken back in the free space"),
        (Bug::LargeDocumentNotFreed, "the pages of a deleted large document are never given back"),
        (Bug::RunReleasedEarly, "the pages of a run that was merged are given out while a snapshot reads them"),
        (Bug::RangesForgotten, "a merge leaves out the ranges that its runs delete"),
        (Bug::TombstonesDropped, "a merge drops tombstones although older runs lie below"),
        (Bug::RangeNotReplayed, "replay leaves out ranges of keys that were deleted"),
        (Bug::RunStaysNamed, "the manifest still names a run that was merged"),
        (Bug::FilterWithoutLast, "the filter of a run does not know its last key"),
        (Bug::LargeValueNotAdopted, "the extent of a large value stays in memory when its run is written"),
    ];

    /// The bug of that name.
    pub fn named(name: &str) -> Option<Bug> {
        Bug::ALL.iter().map(|(bug, _)| *bug).find(|bug| format!("{bug:?}") == name)
    }
}

#[cfg(any(test, feature = "testing"))]
mod switch {
    use super::Bug;
    use std::sync::atomic::{AtomicU8, Ordering};

    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Puts a bug into this process, in place of any before.
    pub fn plant(bug: Bug) {
        PLANTED.store(bug as u8, Ordering::Relaxed);
    }

    /// Whether this mistake is to be made here.
    #[inline]
    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u8
    }
}

/// Whether this mistake is to be made here: never.
#[cfg(not(any(test, feature = "testing")))]
#[inline(always)]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

#[cfg(any(test, feature = "testing"))]
pub use switch::plant;
#[cfg(any(test, feature = "testing"))]
pub(crate) use switch::planted;
