//! Looking into a log that may be damaged, or of another file: each segment by itself, each frame.

use super::format::{seed_of, FrameKind, HeaderFault, RawFrame, SegmentHeader, HEADER_BYTES};
use super::{list_segments, segment_name, Lsn, ReplayStart};
use crate::error::{Error, Result};
use crate::file::disk::Disk;
use std::io;

/// Offset of the identity in a segment header.
const IDENTITY_AT: usize = 16;

/// A segment of the log.
#[derive(Debug, Clone)]
pub struct SegmentView {
    /// Name of the file.
    pub name: String,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// LSN of the first frame and checksum of the frame before it, or why the header is not taken.
    pub start: std::result::Result<(Lsn, u64), String>,
    /// Identity that the header names.
    pub identity: Option<[u8; 16]>,
    /// Offset behind the last frame.
    pub frames_end: u64,
    /// Bytes behind that up to the last that is not zero; 0 where the segment was another one before.
    pub bytes_behind: u64,
}

/// A frame, whatever its checksum.
#[derive(Debug, Clone, Copy)]
pub struct FrameView<'a> {
    /// Offset in the file.
    pub offset: u64,
    /// What it is for.
    pub kind: &'static str,
    /// The place it names.
    pub lsn: Lsn,
    /// Bytes of the whole frame.
    pub bytes: u64,
    /// The commit, or the last one before.
    pub commit: u64,
    /// What it claims to be durable.
    pub claim: Lsn,
    /// Checksum of the bytes that are there.
    pub expected: u64,
    /// Checksum written there.
    pub got: u64,
    /// It names the checksum of the frame before, or the header's for the first.
    pub follows: bool,
    /// The payload of a commit.
    pub payload: Option<&'a [u8]>,
}

/// Epoch and sequence of all segments of the database `base_name`, in order.
pub fn segments(disk: &dyn Disk, base_name: &str) -> Result<Vec<(u64, u32)>> {
    list_segments(disk, base_name)
}

/// The identities that the segments beside a file name, each once; what can't be read is left out.
pub fn identities(disk: &dyn Disk, base_name: &str) -> Vec<[u8; 16]> {
    let mut found = Vec::new();
    for (epoch, sequence) in list_segments(disk, base_name).unwrap_or_default() {
        let Some(header) = read_header(disk, &segment_name(base_name, epoch, sequence)) else { continue };
        let identity = identity_of(&header);
        if !found.contains(&identity) && SegmentHeader::decode(&header, &identity, epoch, sequence).is_ok() {
            found.push(identity);
        }
    }
    found
}

/// Where the newest log of a file begins, for a file whose meta pages are lost: at the first segment with a header. Those
/// before it wait to be used again, or are damaged.
pub fn first_start(disk: &dyn Disk, base_name: &str, identity: [u8; 16]) -> Option<ReplayStart> {
    let segments = list_segments(disk, base_name).ok()?;
    let mut epochs: Vec<u64> = segments.iter().map(|(epoch, _)| *epoch).collect();
    epochs.dedup();
    epochs.into_iter().rev().find_map(|epoch| {
        let mut sequences = segments.iter().filter(|(other, _)| *other == epoch);
        sequences.find_map(|&(_, sequence)| {
            let header = read_header(disk, &segment_name(base_name, epoch, sequence))?;
            let header = SegmentHeader::decode(&header, &identity, epoch, sequence).ok()?;
            Some(ReplayStart { identity, epoch, lsn: header.start, chain: header.chain })
        })
    })
}

fn identity_of(header: &[u8; HEADER_BYTES]) -> [u8; 16] {
    let mut identity = [0; 16];
    identity.copy_from_slice(&header[IDENTITY_AT..IDENTITY_AT + 16]);
    identity
}

fn read_header(disk: &dyn Disk, name: &str) -> Option<[u8; HEADER_BYTES]> {
    let mut header = [0; HEADER_BYTES];
    disk.open_read(name).ok()?.read_at(&mut header, 0).ok()?;
    Some(header)
}

/// Shows a segment and its frames, one behind the other from the first, up to the first place that can't be one.
/// `identity` is that of the file, if it is known.
pub fn inspect_segment(
    disk: &dyn Disk,
    base_name: &str,
    (epoch, sequence): (u64, u32),
    identity: Option<[u8; 16]>,
    visit: &mut dyn FnMut(FrameView<'_>),
) -> Result<SegmentView> {
    let doing = |e| Error::io("reading the log", e);
    let name = segment_name(base_name, epoch, sequence);
    let file = disk.open_read(&name).map_err(doing)?;
    let file_bytes = file.len().map_err(doing)?;
    let too_large = || doing(io::Error::from(io::ErrorKind::OutOfMemory));
    let length = usize::try_from(file_bytes).map_err(|_| too_large())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| too_large())?;
    bytes.resize(length, 0);
    file.read_at(&mut bytes, 0).map_err(doing)?;
    let mut view = SegmentView {
        name,
        file_bytes,
        start: Err("it is cut off".to_owned()),
        identity: None,
        frames_end: HEADER_BYTES as u64,
        bytes_behind: 0,
    };
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(view) };
    let named = identity_of(header);
    let identity = identity.unwrap_or(named);
    view.identity = header.iter().any(|byte| *byte != 0).then_some(named);
    let decoded = SegmentHeader::decode(header, &identity, epoch, sequence);
    let reused_from = decoded.as_ref().ok().filter(|header| header.reused).map(|header| header.start);
    view.start = match decoded {
        Ok(header) => Ok((header.start, header.chain)),
        Err(HeaderFault::Bad(_)) if view.identity.is_none() => Err("made ready and not used".to_owned()),
        Err(HeaderFault::Bad(why)) => Err(why.to_owned()),
        Err(HeaderFault::Version(version)) => Err(format!("of version {version}, which is not known")),
    };
    let seed = seed_of(&identity, epoch);
    let (mut at, mut chain) = (HEADER_BYTES, view.start.as_ref().ok().map(|(_, chain)| *chain));
    while let Some(frame) = bytes.get(at..).and_then(RawFrame::read) {
        let header = frame.header;
        let place = reused_from.map(|start| Lsn(start.0.saturating_add((at - HEADER_BYTES) as u64)));
        if place.is_some_and(|place| place != header.lsn) {
            break;
        }
        visit(FrameView {
            offset: at as u64,
            kind: match header.kind {
                FrameKind::Commit => "commit",
                FrameKind::Claim => "claim",
                FrameKind::End => "end",
            },
            lsn: header.lsn,
            bytes: frame.size(),
            commit: header.commit,
            claim: header.claim,
            expected: frame.sum(seed),
            got: frame.checksum,
            follows: chain == Some(header.previous),
            payload: (header.kind == FrameKind::Commit).then(|| frame.payload()),
        });
        at += frame.size() as usize;
        chain = Some(frame.checksum);
    }
    let behind = if reused_from.is_some() { &[] } else { bytes.get(at..).unwrap_or_default() };
    view.frames_end = at as u64;
    view.bytes_behind = behind.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
    Ok(view)
}
