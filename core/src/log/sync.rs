//! Group commit: who waits, who syncs, and what a failed sync does.
//!
//! ```text
//!   commit 7  sync_through ---- becomes the syncer --[ sync_data ]--> durable = end --> callback
//!   commit 8  sync_through --------- waits -----------------------------^ told: next syncer --[ gathers, sync_data ]
//!   commit 9  sync_through --------- waits ---------------------------------------------------------^ told: durable
//! ```
//!
//! One thread syncs at a time, for all that is in the log at its beginning; there is no thread for it. When it is done,
//! it wakes those whose commits it covered, who need no lock any more, and one of the others, who syncs next. Those who
//! were just woken mostly commit again at once; a syncer therefore lets others run until as many have come as there were
//! around the last sync, or a quarter of the time that it took is over (the idea of PostgreSQL's `commit_delay`). Else groups of one
//! and of all the others would take turns.
//! Invariant 6: what is durable and whether a sync failed change under one lock, and after a failure what is
//! durable never changes again: the operating system may report a lost write once only.

use super::segment::Segment;
use super::writer::Log;
use super::Lsn;
use crate::error::{Error, Result};
use crate::file::disk::DiskFile;
use crate::plant::{planted, Bug};
use crate::signal::Signal;
use crate::sync::{yield_now, MutexGuard, Ordering, Patience};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest that a syncer waits for others, whatever a sync takes.
const LONGEST_GATHER: Duration = Duration::from_micros(200);

/// Called with the last durable commit.
type OnDurable = Box<dyn Fn(u64) + Send + Sync>;

/// The end of the log as the syncer needs it.
pub(super) struct Tail {
    end: Lsn,
    commit: u64,
    /// Segments with something that no sync has covered, in order.
    unsynced: Vec<Arc<Segment>>,
    /// All segments not yet released, in order; the last is the current one.
    segments: VecDeque<Arc<Segment>>,
}

impl Tail {
    pub(super) fn new(end: Lsn, commit: u64, segment: Arc<Segment>) -> Tail {
        Tail { end, commit, unsynced: Vec::new(), segments: VecDeque::from([segment]) }
    }

    /// A frame was written to `segment`, and the log ends here now.
    pub(super) fn extend(&mut self, end: Lsn, commit: u64, segment: &Arc<Segment>) {
        (self.end, self.commit) = (end, commit);
        self.mark_unsynced(segment);
    }

    fn mark_unsynced(&mut self, segment: &Arc<Segment>) {
        if !self.unsynced.iter().any(|s| Arc::ptr_eq(s, segment)) {
            self.unsynced.push(segment.clone());
        }
    }

    /// The header of the next segment was written, and the end frame of the current one.
    pub(super) fn begin_segment(&mut self, segment: Arc<Segment>) {
        if let Some(current) = self.segments.back().cloned() {
            self.mark_unsynced(&current);
        }
        self.mark_unsynced(&segment);
        self.segments.push_back(segment);
    }

    /// The oldest segment, if all of it is below `lsn` and it is not the current one.
    pub(super) fn first_below(&self, lsn: Lsn) -> Option<Arc<Segment>> {
        let second = self.segments.get(1)?;
        (second.start <= lsn).then(|| self.segments[0].clone())
    }

    /// Length of all segments that hold frames.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    pub(super) fn forget(&mut self, segment: &Arc<Segment>) {
        self.segments.retain(|s| !Arc::ptr_eq(s, segment));
    }
}

/// What the last sync was like.
#[derive(Clone, Default)]
struct Group {
    /// How many had come to wait for a sync when it began.
    arrived: u64,
    /// How many came from when the one before it began until it ended.
    size: u64,
    took: Duration,
}

/// Who syncs, and what came of it.
#[derive(Default)]
pub(super) struct SyncState {
    is_syncing: bool,
    /// Those who wait, each for its LSN.
    waiting: Vec<(Lsn, Arc<Signal>)>,
    group: Group,
    /// The first failure; set once.
    failure: Option<Arc<io::Error>>,
    on_durable: Option<OnDurable>,
}

/// What a log has done since it was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogCounters {
    /// Group syncs.
    pub syncs: u64,
    /// Bytes of all frames.
    pub appended_bytes: u64,
    /// Frames, with claims and segment ends.
    pub frames: u64,
}

impl Log {
    /// Everything before this is durable.
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// The last commit known to be durable.
    pub fn durable_commit(&self) -> u64 {
        self.durable_commit.load(Ordering::Acquire)
    }

    /// Returns when everything before `lsn` is durable; `lsn` must not lie beyond the end.
    ///
    /// An error is `OutcomeUnknown`, whenever it was that writing stopped: the frames are in the log, and
    /// may be found after reopening.
    pub fn sync_through(&self, lsn: Lsn) -> Result<()> {
        if self.durable() >= lsn {
            return Ok(());
        }
        if lsn > self.end() {
            return Err(Error::Internal(format!("sync through LSN {lsn}, but the log ends at {}", self.end())));
        }
        self.arrived.fetch_add(1, Ordering::Relaxed);
        while self.durable() < lsn {
            let mut state = self.sync.lock();
            if self.durable() >= lsn {
                break;
            }
            if let Some(failure) = &state.failure {
                return Err(self.unknown(failure.clone()));
            }
            if !state.is_syncing {
                self.sync_group(state);
                continue;
            }
            let waiter = Arc::new(Signal::default());
            state.waiting.push((lsn, waiter.clone()));
            drop(state);
            waiter.wait();
        }
        Ok(())
    }

    /// Gives up the role of the syncer; then wakes those who have nothing more to wait for, and one of the others to be
    /// the next syncer.
    fn end_sync(&self, mut state: MutexGuard<'_, SyncState>) {
        state.is_syncing = false;
        let woken = self.take_woken(&mut state);
        drop(state);
        // Without the lock: each is a call of the system, and the first of them may want it at once.
        woken.iter().for_each(|waiter| waiter.tell());
        self.synced.notify_all();
    }

    fn take_woken(&self, state: &mut SyncState) -> Vec<Arc<Signal>> {
        let (durable, failed) = (self.durable(), state.failure.is_some());
        let (mut next, mut woken) = (true, Vec::with_capacity(state.waiting.len()));
        state.waiting.retain(|(lsn, waiter)| {
            let wakes = failed || *lsn <= durable || std::mem::take(&mut next);
            if wakes {
                woken.push(waiter.clone());
            }
            !wakes
        });
        woken
    }

    /// Lets others run until as many wait as are likely to come, or a quarter of the time that a sync takes is over.
    fn gather(&self, before: &Group) {
        let come = || self.arrived.load(Ordering::Relaxed).wrapping_sub(before.arrived) >= before.size;
        if before.size <= 1 || come() {
            return;
        }
        let patience = Patience::new((before.took / 4).min(LONGEST_GATHER));
        while !come() && !patience.left().is_zero() {
            yield_now();
        }
    }

    /// Syncs all that is in the log, in the role of the syncer.
    fn sync_group(&self, mut state: MutexGuard<'_, SyncState>) {
        state.is_syncing = true;
        let before = state.group.clone();
        drop(state);
        self.gather(&before);
        let (arrived, start) = (self.arrived.load(Ordering::Relaxed), Instant::now());
        let (end, commit, unsynced, current) = {
            let mut tail = self.tail.lock();
            (tail.end, tail.commit, std::mem::take(&mut tail.unsynced), tail.segments.back().cloned())
        };
        for segment in unsynced.iter().filter(|segment| current.as_ref().is_none_or(|c| !Arc::ptr_eq(c, segment))) {
            segment.file.end_stores();
        }
        let sync = |segment: &Arc<Segment>| match planted(Bug::SyncLeftOut) {
            true => Ok(()),
            false => segment.file.sync_data(),
        };
        let result = self.timer.time(|| unsynced.iter().try_for_each(sync));
        let result = result.or_else(|e| if planted(Bug::FailedSyncForgotten) { Ok(()) } else { Err(e) });
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let mut state = self.sync.lock();
        // Those whom this sync covers, and those who came meanwhile.
        let size = self.arrived.load(Ordering::Relaxed).wrapping_sub(before.arrived);
        state.group = Group { arrived, size, took: start.elapsed() };
        match result {
            Err(e) => self.set_failure(&mut state, e),
            // Invariant 6: whoever stopped the log meanwhile must not see it move on.
            Ok(()) if state.failure.is_some() => {}
            Ok(()) => {
                // Invariant 14: first, so that nobody is told of a commit before it is published: `durable` is read
                // without the lock.
                if let Some(call) = &state.on_durable {
                    call(commit);
                }
                self.durable_commit.store(commit, Ordering::Release);
                self.durable.store(end.0, Ordering::Release);
            }
        }
        self.end_sync(state);
    }

    /// Syncs one file in the role of the syncer, so that no two syncs of a file overlap and one takes
    /// the other's error. What is durable is not moved.
    pub(super) fn sync_alone(&self, file: &dyn DiskFile) -> io::Result<()> {
        let mut state = self.sync.lock();
        while state.is_syncing {
            self.synced.wait(&mut state);
        }
        if state.failure.is_some() {
            return Err(io::Error::other("an earlier sync of the log failed"));
        }
        state.is_syncing = true;
        drop(state);
        let result = file.sync_data();
        let mut state = self.sync.lock();
        let result = result.map_err(|e| {
            // Before the role is given up: a second sync would not be told of what this one has lost.
            let copy = e.raw_os_error().map_or_else(|| io::Error::other(e.to_string()), io::Error::from_raw_os_error);
            self.set_failure(&mut state, e);
            copy
        });
        self.end_sync(state);
        result
    }

    /// Sets what is called, under the syncer's lock and so in order, each time more is durable. It must
    /// be quick and must not call the log.
    pub fn on_durable(&self, callback: OnDurable) {
        self.sync.lock().on_durable = Some(callback);
    }

    /// Stops all writing for good.
    pub fn latch(&self, failure: io::Error) {
        let mut state = self.sync.lock();
        self.set_failure(&mut state, failure);
        let woken = self.take_woken(&mut state);
        drop(state);
        woken.iter().for_each(|waiter| waiter.tell());
        self.synced.notify_all();
    }

    /// The error that every write gets, if writing has stopped.
    pub fn latched(&self) -> Option<Error> {
        if !self.is_latched.load(Ordering::Acquire) {
            return None;
        }
        self.stopped(&self.sync.lock())
    }

    /// What was done so far.
    pub fn counters(&self) -> LogCounters {
        LogCounters {
            syncs: self.syncs.load(Ordering::Relaxed),
            appended_bytes: self.appended_bytes.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
        }
    }

    pub(super) fn check_latch(&self) -> Result<()> {
        self.latched().map_or(Ok(()), Err)
    }

    /// Stops writing; gives the error of the call in which that happens.
    pub(super) fn stop(&self, failure: io::Error) -> Error {
        self.latch(failure);
        let first = self.sync.lock().failure.clone();
        self.unknown(first.unwrap_or_else(|| Arc::new(io::Error::other("the log has stopped"))))
    }

    fn set_failure(&self, state: &mut SyncState, failure: io::Error) {
        state.failure.get_or_insert_with(|| Arc::new(failure));
        self.is_latched.store(true, Ordering::Release);
    }

    fn stopped(&self, state: &SyncState) -> Option<Error> {
        let source = state.failure.clone()?;
        Some(Error::WritesStopped { durable: self.durable_commit(), source })
    }

    fn unknown(&self, source: Arc<io::Error>) -> Error {
        Error::OutcomeUnknown { durable: self.durable_commit(), source }
    }
}
