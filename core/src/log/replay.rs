//! Replay: the frames of a log in order, up to the first that is not whole.
//!
//! ```text
//!   start                    first bad frame
//!     v                           v
//!   | c 4 | c 5 | end | -> | c 6 |???????| c 8, claim = behind c 6 | ...   dropped: nobody was told of c 7
//!   | c 4 | c 5 | end | -> | c 6 |???????| c 8, claim = behind c 7 | ...   damage: c 7 was durable
//! ```
//!
//! Invariant 7. The walk goes from frame to frame and accepts one that stands in its place, has its checksum right and
//! names the checksum of the one before. At the first that does not, everything behind it in this and all
//! later segments is searched for a frame that is valid by itself and claims that the log was durable
//! beyond the bad place: then the bad place is damage and reported, else it is the torn tail.
//!
//! Nothing here trusts the file: one segment at a time is held in memory, no longer than its file, and
//! the search has a budget, so that no log, however made, takes more than a few passes over its bytes.

use super::format::{seed_of, FrameKind, HeaderFault, RawFrame, SegmentHeader, ALIGN_BYTES, HEADER_BYTES, LOG_VERSION};
use super::segment::UNIT_BYTES;
use super::{list_segments, segment_name, Lsn};
use crate::error::{Error, Result};
use crate::file::disk::Disk;
use crate::plant::{planted, Bug};
use std::io;
use std::sync::Arc;

/// The search may compute checksums of so many times the bytes of a segment. Frames that claim beyond
/// the bad place and stand where they say are one behind the other in an honest log, so one pass does.
const SEARCH_PASSES: u64 = 16;

/// Where replay begins: what the meta page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayStart {
    /// Identity of the database file.
    pub identity: [u8; 16],
    /// Epoch of the log.
    pub epoch: u64,
    /// Place of the first frame wanted.
    pub lsn: Lsn,
    /// Checksum of the frame before it.
    pub chain: u64,
}

/// One commit found in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its place.
    pub lsn: Lsn,
    /// The place behind it.
    pub end: Lsn,
    /// Number of the commit.
    pub commit: u64,
    /// What was appended.
    pub payload: &'a [u8],
}

/// How far replay came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayEnd {
    /// The place behind the last whole frame.
    pub end: Lsn,
    /// Its checksum.
    pub chain: u64,
    /// The last commit visited.
    pub last_commit: Option<u64>,
    /// How many commits were visited.
    pub frames: u64,
    /// Bytes behind the end that held something, now dropped.
    pub dropped_bytes: u64,
}

/// Visits all commits from `start` on, in order.
///
/// `LogMissing`: there is no such log. `Corrupt`: a frame is damaged that was durable. Errors of `visit` are
/// handed on.
pub fn replay(
    disk: &dyn Disk,
    base_name: &str,
    start: &ReplayStart,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
) -> Result<ReplayEnd> {
    let log = EpochFiles::list(disk, base_name, start)?;
    let mut segment = log.find_start(start)?;
    let mut end = ReplayEnd { end: start.lsn, chain: start.chain, last_commit: None, frames: 0, dropped_bytes: 0 };
    let follows = |frame: &RawFrame<'_>, chain| frame.header.previous == chain || planted(Bug::ChainNotChecked);
    while let Some(frame) = segment.frame_at(end.end, log.seed).filter(|frame| follows(frame, end.chain)) {
        let lsn = end.end;
        end.end = Lsn(lsn.0 + frame.size());
        end.chain = frame.checksum;
        match frame.header.kind {
            FrameKind::Claim => {}
            FrameKind::Commit => {
                let commit = frame.header.commit;
                visit(Frame { lsn, end: end.end, commit, payload: frame.payload() })?;
                end.last_commit = Some(commit);
                end.frames += 1;
            }
            FrameKind::End => match log.next(&segment, &end)? {
                Some(next) => segment = next,
                None => break,
            },
        }
    }
    end.dropped_bytes = log.search_claim(&segment, end.end)?;
    Ok(end)
}

/// The segments of one epoch.
struct EpochFiles<'a> {
    disk: &'a dyn Disk,
    base_name: &'a str,
    identity: [u8; 16],
    epoch: u64,
    seed: u64,
    /// In order.
    sequences: Vec<u32>,
}

/// One segment in memory.
struct Loaded {
    sequence: u32,
    /// `None` where the header is not whole.
    header: Option<SegmentHeader>,
    bytes: Vec<u8>,
}

impl<'a> EpochFiles<'a> {
    fn list(disk: &'a dyn Disk, base_name: &'a str, start: &ReplayStart) -> Result<EpochFiles<'a>> {
        let found = list_segments(disk, base_name)?;
        let sequences = found.into_iter().filter(|(epoch, _)| *epoch == start.epoch).map(|(_, s)| s).collect();
        let seed = seed_of(&start.identity, start.epoch);
        Ok(EpochFiles { disk, base_name, identity: start.identity, epoch: start.epoch, seed, sequences })
    }

    fn name(&self, sequence: u32) -> String {
        segment_name(self.base_name, self.epoch, sequence)
    }

    fn missing(&self, sequence: u32, reason: impl Into<String>) -> Error {
        Error::LogMissing { name: self.name(sequence), reason: reason.into() }
    }

    /// The segment that holds `start`. The last that begins before it need not be the one: its header
    /// may have been written ahead of an end frame that was not.
    fn find_start(&self, start: &ReplayStart) -> Result<Loaded> {
        let mut reason = "no such file";
        for &sequence in self.sequences.iter().rev() {
            match self.read_header(sequence)? {
                Ok(header) if header.start > start.lsn => reason = "it begins behind the last checkpoint",
                Ok(header) if start.lsn.0 - header.start.0 >= header.length => {
                    reason = "it ends before the last checkpoint"
                }
                Ok(_) => {
                    let segment = self.load(sequence)?;
                    segment.check_length(start.lsn)?;
                    if segment.leads_to(start, self.seed) {
                        return Ok(segment);
                    }
                    reason = "the last checkpoint is not a place in it";
                }
                Err(HeaderFault::Bad(why)) => reason = why,
                Err(HeaderFault::Version(version)) => {
                    return Err(Error::UnknownFormat { version, known: LOG_VERSION, features: 0 })
                }
            }
        }
        Err(self.missing(self.sequences.first().copied().unwrap_or(0), reason))
    }

    /// The segment that an end frame announced; `None` if its header is not whole. That can be after a
    /// crash, but the file as such was durable before the end frame was written.
    fn next(&self, before: &Loaded, end: &ReplayEnd) -> Result<Option<Loaded>> {
        let Some(sequence) = before.sequence.checked_add(1) else { return Ok(None) };
        if self.sequences.binary_search(&sequence).is_err() {
            return Err(self.missing(sequence, "the segment before it says that the log goes on"));
        }
        let segment = self.load(sequence)?;
        segment.check_length(end.end)?;
        let follows = |header: &SegmentHeader| header.chain == end.chain || planted(Bug::ChainNotChecked);
        let fits = |header: &SegmentHeader| header.start == end.end && follows(header);
        Ok(segment.header.as_ref().is_some_and(fits).then_some(segment))
    }

    fn read_header(&self, sequence: u32) -> Result<Result<SegmentHeader, HeaderFault>> {
        let file = self.open(sequence)?;
        let mut bytes = [0; HEADER_BYTES];
        match file.read_at(&mut bytes, 0) {
            Ok(()) => Ok(SegmentHeader::decode(&bytes, &self.identity, self.epoch, sequence)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(Err(HeaderFault::Bad("it is cut off"))),
            Err(e) => Err(reading(e)),
        }
    }

    fn open(&self, sequence: u32) -> Result<Arc<dyn crate::file::disk::DiskFile>> {
        self.disk.open_read(&self.name(sequence)).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => self.missing(sequence, "no such file"),
            _ => reading(e),
        })
    }

    /// Reads a whole segment, as much as there is of it.
    fn load(&self, sequence: u32) -> Result<Loaded> {
        let header = self.read_header(sequence)?.ok();
        let file = self.open(sequence)?;
        let there = file.len().map_err(reading)?;
        let length = header.as_ref().map_or(there, |header| there.min(header.length));
        let too_large = || reading(io::Error::from(io::ErrorKind::OutOfMemory));
        let length = usize::try_from(length).map_err(|_| too_large())?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| too_large())?;
        bytes.resize(length, 0);
        file.read_at(&mut bytes, 0).map_err(reading)?;
        Ok(Loaded { sequence, header, bytes })
    }

    /// Looks behind the bad place `bad` for a claim that it was durable: then that is the error. Else
    /// gives how many bytes there were.
    fn search_claim(&self, segment: &Loaded, bad: Lsn) -> Result<u64> {
        let mut dropped = segment.search_claim(bad, segment.offset_of(bad), self.seed)?;
        let later = self.sequences.partition_point(|sequence| *sequence <= segment.sequence);
        for &sequence in &self.sequences[later..] {
            dropped += self.load(sequence)?.search_claim(bad, Some(HEADER_BYTES), self.seed)?;
        }
        Ok(dropped)
    }
}

impl Loaded {
    /// Offset in the file of the frame at `lsn`, if that is within this segment.
    fn offset_of(&self, lsn: Lsn) -> Option<usize> {
        let from_start = lsn.0.checked_sub(self.header.as_ref()?.start.0)?;
        let offset = usize::try_from(from_start).ok()?.checked_add(HEADER_BYTES)?;
        (offset <= self.bytes.len()).then_some(offset)
    }

    /// A segment of which the log makes use had all its length, durably, before it got its header: a
    /// shorter one was cut off, maybe with all claims that would tell of it.
    fn check_length(&self, lsn: Lsn) -> Result<()> {
        let expected = self.header.as_ref().map_or(UNIT_BYTES, |header| header.length);
        let got = self.bytes.len() as u64;
        if got < expected {
            return Err(Error::corrupt("log segment length", lsn.0, 0, expected, got));
        }
        Ok(())
    }

    /// The frame at `lsn`, valid in itself and in its place.
    fn frame_at(&self, lsn: Lsn, seed: u64) -> Option<RawFrame<'_>> {
        let frame = RawFrame::read(self.bytes.get(self.offset_of(lsn)?..)?)?;
        (frame.header.lsn == lsn && frame.is_valid(seed)).then_some(frame)
    }

    /// Whether `start` is a place of this log: a frame with that predecessor is there, or the frames
    /// before it lead there. Without this, a place behind the last frame of a segment would look like
    /// the end of the log although the next segment is what was meant.
    fn leads_to(&self, start: &ReplayStart, seed: u64) -> bool {
        let Some(header) = &self.header else { return false };
        if start.lsn.0 % ALIGN_BYTES as u64 != 0 {
            return false;
        }
        if let Some(frame) = self.frame_at(start.lsn, seed) {
            return frame.header.previous == start.chain;
        }
        let (mut lsn, mut chain) = (header.start, header.chain);
        while lsn < start.lsn {
            let Some(frame) = self.frame_at(lsn, seed) else { return false };
            if frame.header.previous != chain || frame.header.kind == FrameKind::End {
                return false;
            }
            (lsn, chain) = (Lsn(lsn.0 + frame.size()), frame.checksum);
        }
        lsn == start.lsn && chain == start.chain
    }

    /// Searches from `offset` to the end for a valid frame that claims beyond `bad`, and gives how many
    /// bytes there were if there is none. A frame of an earlier use of the segment names a place before `bad`.
    fn search_claim(&self, bad: Lsn, offset: Option<usize>, seed: u64) -> Result<u64> {
        let Some(first) = offset else { return Ok(0) };
        let tail = self.bytes.get(first..).unwrap_or_default();
        let used = tail.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // Where a segment may have been another one before, not all that is there was written to this one.
        let mut dropped = if self.header.as_ref().is_some_and(|header| !header.reused) { used } else { 0 };
        let mut budget = (self.bytes.len() as u64).saturating_mul(SEARCH_PASSES);
        for at in (0..used).step_by(ALIGN_BYTES) {
            let Some(frame) = RawFrame::read(&tail[at..]) else { continue };
            if frame.header.lsn < bad || !self.is_place(first + at, frame.header.lsn) {
                continue;
            }
            dropped = dropped.max(used.min(at + frame.size() as usize));
            if frame.header.claim <= bad || planted(Bug::ClaimsIgnored) {
                continue;
            }
            let within_budget = frame.size() <= budget;
            budget = budget.saturating_sub(frame.size());
            // A log made to exhaust the search is no honest one: it is refused, not cut.
            if !within_budget || frame.is_valid(seed) {
                return Err(Error::corrupt("log frame", bad.0, 0, frame.header.claim.0, bad.0));
            }
        }
        Ok(dropped as u64)
    }

    /// Whether `lsn` can be the place at `offset`. Where the header is lost, a frame's word is taken.
    fn is_place(&self, offset: usize, lsn: Lsn) -> bool {
        match &self.header {
            Some(header) => header.start.0.checked_add((offset - HEADER_BYTES) as u64) == Some(lsn.0),
            None => true,
        }
    }
}

fn reading(e: io::Error) -> Error {
    Error::io("reading the log", e)
}
