//! Appending: one frame, one write.
//!
//! ```text
//!   append -> room in this segment? --no--> next segment: header, then the end frame of this one
//!                 | yes                     (ready beforehand, or made here)
//!                 v
//!          seal the frame in its buffer -> one write -> publish (end, commit) to the syncer
//! ```
//!
//! Locks, in the order in which they are taken: `appender` (one appender at a time, held over writes),
//! `maker` (making segments and changing over to one), `tail` and `sync` (short, nothing within).

use super::format::{frame_bytes, FrameHeader, FrameKind, ALIGN_BYTES, FRAME_HEADER_BYTES, HEADER_BYTES, MAX_START};
use super::frame::Frame;
use super::segment::{Maker, Segment};
use super::sync::{SyncState, Tail};
use super::Lsn;
use crate::error::{Error, Result};
use crate::file::disk::Disk;
use crate::meter::Timer;
use crate::plant::{planted, Bug};
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, Ordering};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Room kept at the end of each segment for its last frame.
const END_BYTES: u64 = FRAME_HEADER_BYTES as u64;

/// Longest payload of a frame. Far above the limit of a transaction, far below what the fields hold.
const MAX_PAYLOAD_BYTES: usize = 1 << 31;

/// What a log is made from.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Where its files are.
    pub disk: Arc<dyn Disk>,
    /// Name of the database file.
    pub base_name: String,
    /// Identity of the database file.
    pub identity: [u8; 16],
    /// Number of the opening; never used before with this file.
    pub epoch: u64,
    /// LSN of the first frame, a multiple of 8.
    pub start: Lsn,
    /// What the first frame names as its predecessor's checksum.
    pub chain: u64,
    /// Last commit before the first frame.
    pub commit: u64,
    /// Longest a segment grows for ordinary frames.
    pub segment_bytes: u64,
    /// Whether frames go through [`crate::file::disk::DiskFile::store`] where the file can.
    pub use_store: bool,
    /// Times the group syncs.
    pub timer: Timer,
}

/// A log that is being written.
pub struct Log {
    seed: u64,
    use_store: bool,
    pub(super) timer: Timer,
    appender: Mutex<Appender>,
    maker: Mutex<Maker>,
    is_ready: AtomicBool,
    half_full: AtomicBool,
    end: AtomicU64,
    chain: AtomicU64,
    pub(super) tail: Mutex<Tail>,
    pub(super) sync: Mutex<SyncState>,
    /// For [`Log::sync_alone`].
    pub(super) synced: Condvar,
    /// Threads that came to wait for a sync so far.
    pub(super) arrived: AtomicU64,
    pub(super) durable: AtomicU64,
    pub(super) durable_commit: AtomicU64,
    /// Set for good together with the failure in `sync`.
    pub(super) is_latched: AtomicBool,
    pub(super) syncs: AtomicU64,
    pub(super) appended_bytes: AtomicU64,
    pub(super) frames: AtomicU64,
}

/// Where the next frame goes.
struct Appender {
    segment: Arc<Segment>,
    /// Offset in the segment's file.
    offset: u64,
    lsn: Lsn,
    chain: u64,
    commit: u64,
    /// The highest claim written.
    claimed: Lsn,
    /// End of the last frame that a claim is worth being written for.
    commit_end: Lsn,
    /// For frames without a payload.
    empty: Frame,
}

impl Appender {
    /// A frame without a payload, in memory that was used for the last one.
    fn empty(&mut self) -> Frame {
        let mut frame = std::mem::take(&mut self.empty);
        frame.begin();
        frame
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("end", &self.end()).field("durable", &self.durable()).finish_non_exhaustive()
    }
}

impl Log {
    /// Begins an epoch. Its first segment is durable, with its name, when this returns.
    pub fn create(config: LogConfig) -> Result<Log> {
        let LogConfig { disk, base_name, identity, epoch, start, chain, commit, segment_bytes, use_store, timer } =
            config;
        if start.0 % ALIGN_BYTES as u64 != 0 || start.0 > MAX_START {
            return Err(Error::InvalidArgument(format!("a log can't start at LSN {start}")));
        }
        let mut maker = Maker::begin(disk, base_name, identity, epoch, segment_bytes, !use_store)?;
        maker.prepare(END_BYTES)?;
        maker.write_header(start, chain)?;
        let seed = maker.seed();
        let segment = maker.take(start).map(Arc::new).ok_or_else(|| Error::Internal("no first log segment".into()))?;
        segment.file.sync_data().map_err(|e| Error::io("syncing the first log segment", e))?;
        let appender = Appender {
            segment: segment.clone(),
            offset: HEADER_BYTES as u64,
            lsn: start,
            chain,
            commit,
            claimed: start,
            commit_end: start,
            empty: Frame::default(),
        };
        Ok(Log {
            seed,
            use_store,
            timer,
            appender: Mutex::new(appender),
            maker: Mutex::new(maker),
            is_ready: AtomicBool::new(false),
            half_full: AtomicBool::new(false),
            end: AtomicU64::new(start.0),
            chain: AtomicU64::new(chain),
            tail: Mutex::new(Tail::new(start, commit, segment)),
            sync: Mutex::new(SyncState::default()),
            synced: Condvar::new(),
            arrived: AtomicU64::new(0),
            durable: AtomicU64::new(start.0),
            durable_commit: AtomicU64::new(commit),
            is_latched: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
            appended_bytes: AtomicU64::new(0),
            frames: AtomicU64::new(0),
        })
    }

    /// Completes and appends the frame of a commit, and gives the LSN behind it. Requires: the writer lock.
    ///
    /// On an error the commit is not in the log and the next one takes its place; only the end of a
    /// full segment may have been written. `OutcomeUnknown` alone leaves that open, and ends all writing.
    pub fn append(&self, commit: u64, frame: &mut Frame) -> Result<Lsn> {
        let payload_bytes = frame.payload_bytes();
        if payload_bytes > MAX_PAYLOAD_BYTES {
            let (bytes, limit) = (payload_bytes as u64, MAX_PAYLOAD_BYTES as u64);
            return Err(Error::TransactionTooLarge { bytes, limit });
        }
        let mut a = self.appender.lock();
        self.check_latch()?;
        debug_assert!(commit > a.commit, "commit {commit} after {}", a.commit);
        self.make_room(&mut a, frame_bytes(payload_bytes))?;
        self.put(&mut a, FrameKind::Commit, commit, frame)?;
        a.commit_end = a.lsn;
        Ok(a.lsn)
    }

    /// Writes down how much is durable, if that is more than the log says yet, so that damage there is
    /// seen as damage. For idle times and before closing. Requires: the writer lock.
    pub fn claim(&self) -> Result<()> {
        let mut a = self.appender.lock();
        // A claim is not worth a claim: otherwise an idle log would grow with each sync.
        if self.durable() <= a.claimed || a.claimed >= a.commit_end {
            return Ok(());
        }
        self.check_latch()?;
        self.make_room(&mut a, END_BYTES)?;
        let (commit, mut frame) = (a.commit, a.empty());
        let done = self.put(&mut a, FrameKind::Claim, commit, &mut frame);
        a.empty = frame;
        done
    }

    /// The LSN behind the last frame.
    pub fn end(&self) -> Lsn {
        Lsn(self.end.load(Ordering::Acquire))
    }

    /// The checksum of the last frame. Belongs to [`Log::end`] while no frame is appended.
    pub fn chain(&self) -> u64 {
        self.chain.load(Ordering::Acquire)
    }

    /// True when it is time for [`Log::prepare`].
    pub fn needs_prepare(&self) -> bool {
        self.half_full.load(Ordering::Acquire)
            && !self.is_ready.load(Ordering::Acquire)
            && !self.is_latched.load(Ordering::Acquire)
    }

    /// Makes the next segment ready, if it is not yet. Commits go on meanwhile, and wait for it only if
    /// this segment is full before.
    pub fn prepare(&self) -> Result<()> {
        self.check_latch()?;
        let mut maker = self.maker.lock();
        maker.prepare(END_BYTES)?;
        self.is_ready.store(true, Ordering::Release);
        Ok(())
    }

    /// Bytes that its segments take on the disk; one in the making is not among them.
    pub fn disk_bytes(&self) -> u64 {
        // Whoever makes a segment holds the lock for as long as that takes.
        let others = self.maker.try_lock().map_or(0, |maker| maker.disk_bytes());
        self.tail.lock().disk_bytes() + others
    }

    /// Gives up the segments that lie wholly below `lsn`, which a checkpoint durable in both meta pages has taken in:
    /// some are used again, the others are removed.
    pub fn release_before(&self, lsn: Lsn) -> Result<()> {
        loop {
            // Bound apart: in a `while let`, the guard would live through the body.
            let below = self.tail.lock().first_below(lsn);
            let Some(segment) = below else { return Ok(()) };
            self.tail.lock().forget(&segment);
            self.maker.lock().give_up(segment)?;
        }
    }

    /// Removes most of what is kept to be used again: nothing is written at the time.
    pub fn trim(&self) -> Result<()> {
        self.maker.lock().keep_spares(1)
    }

    fn make_room(&self, a: &mut Appender, bytes: u64) -> Result<()> {
        if a.offset + bytes + END_BYTES <= a.segment.length {
            return Ok(());
        }
        self.change_over(a, bytes)
    }

    /// Goes on in the next segment. The header comes first: only the end frame makes it count, so that
    /// a failure at either leaves the log as it was.
    fn change_over(&self, a: &mut Appender, bytes: u64) -> Result<()> {
        let mut maker = self.maker.lock();
        self.is_ready.store(false, Ordering::Release);
        maker.prepare(bytes + END_BYTES)?;
        self.is_ready.store(true, Ordering::Release);
        let start = Lsn(a.lsn.0 + END_BYTES);
        let (commit, mut frame) = (a.commit, a.empty());
        let (chain, claim) = self.seal(a, FrameKind::End, commit, &mut frame);
        maker.write_header(start, chain)?;
        self.write(a, &frame)?;
        let Some(next) = maker.take(start).map(Arc::new) else {
            return Err(self.stop(io::Error::other("no log segment is ready")));
        };
        self.is_ready.store(false, Ordering::Release);
        drop(maker);
        // Its header must be durable before the end is called so, frames or not.
        self.tail.lock().begin_segment(next.clone());
        self.advance(a, &frame, commit, chain, claim);
        a.empty = frame;
        (a.segment, a.offset) = (next, HEADER_BYTES as u64);
        self.half_full.store(false, Ordering::Release);
        Ok(())
    }

    /// Writes a frame for which there is room.
    fn put(&self, a: &mut Appender, kind: FrameKind, commit: u64, frame: &mut Frame) -> Result<()> {
        let (chain, claim) = self.seal(a, kind, commit, frame);
        self.write(a, frame)?;
        self.advance(a, frame, commit, chain, claim);
        if a.offset > a.segment.length / 2 {
            self.half_full.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Completes a frame; gives its checksum and its claim.
    fn seal(&self, a: &Appender, kind: FrameKind, commit: u64, frame: &mut Frame) -> (u64, Lsn) {
        let claim = self.durable();
        let header = FrameHeader { kind, lsn: a.lsn, commit, claim, previous: a.chain };
        (frame.seal(&header, self.seed), claim)
    }

    /// Writes the frame; on failure leaves nothing there.
    fn write(&self, a: &Appender, frame: &Frame) -> Result<()> {
        debug_assert!(a.offset + frame.bytes().len() as u64 <= a.segment.length);
        self.write_at(a, frame.bytes()).map_err(|e| self.erase(a, e))
    }

    fn write_at(&self, a: &Appender, data: &[u8]) -> io::Result<()> {
        let file = &a.segment.file;
        if self.use_store && file.can_store() {
            file.store(data, a.offset)
        } else {
            file.write_at(data, a.offset)
        }
    }

    /// Undoes a failed write, of which any part may have happened. It has to be undone durably: after a
    /// power cut the frame could otherwise be there and the zeros over it not.
    fn erase(&self, a: &Appender, failure: io::Error) -> Error {
        let file = &a.segment.file;
        if planted(Bug::ShortFrameKept) {
            return Error::io("writing to the log", failure);
        }
        let erased = self.write_at(a, &[0; FRAME_HEADER_BYTES]).and_then(|()| self.sync_alone(&**file));
        match erased {
            Ok(()) => Error::io("writing to the log", failure),
            Err(e) => self.stop(e),
        }
    }

    /// Counts the frame as written.
    fn advance(&self, a: &mut Appender, frame: &Frame, commit: u64, chain: u64, claim: Lsn) {
        let bytes = frame.bytes().len() as u64;
        a.offset += bytes;
        a.lsn = Lsn(a.lsn.0 + bytes);
        a.chain = chain;
        a.commit = commit;
        a.claimed = a.claimed.max(claim);
        self.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.tail.lock().extend(a.lsn, commit, &a.segment);
        self.chain.store(chain, Ordering::Release);
        self.end.store(a.lsn.0, Ordering::Release);
    }
}
