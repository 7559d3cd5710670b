//! The bytes of segment headers and frames.
//!
//! ```text
//!   segment  | header 512 | frame | frame | ... | end frame | zeros |
//!
//!   frame    | checksum 8 | payload bytes 4 | kind 1 | 0 3 | LSN 8 | commit 8 | claim 8 | previous 8 |
//!            | payload ... | zeros to a multiple of 8 |
//! ```
//!
//! Format: `docs/file-format.md`, "The log". Integers are little endian.

use super::Lsn;
use crate::file::page::{get_u32, get_u64, put_u32, put_u64};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const MAGIC: [u8; 8] = *b"NyroWAL\n";

/// The version of the log's format that this program writes, and the newest it reads.
pub(super) const LOG_VERSION: u32 = 1;

/// Bytes before the first frame of a segment: one sector, which devices write as a whole.
pub(super) const HEADER_BYTES: usize = 512;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 8;
const SEQUENCE_AT: usize = VERSION_AT + 4;
const IDENTITY_AT: usize = SEQUENCE_AT + 4;
const EPOCH_AT: usize = IDENTITY_AT + 16;
const START_AT: usize = EPOCH_AT + 8;
const CHAIN_AT: usize = START_AT + 8;
const LENGTH_AT: usize = CHAIN_AT + 8;
const REUSED_AT: usize = LENGTH_AT + 8;
const HEADER_CHECKSUM_AT: usize = HEADER_BYTES - 8;
const _: () = assert!(REUSED_AT < HEADER_CHECKSUM_AT);

const CHECKSUM_AT: usize = 0;
const PAYLOAD_BYTES_AT: usize = CHECKSUM_AT + 8;
const KIND_AT: usize = PAYLOAD_BYTES_AT + 4;
const LSN_AT: usize = KIND_AT + 4;
const COMMIT_AT: usize = LSN_AT + 8;
const CLAIM_AT: usize = COMMIT_AT + 8;
const PREVIOUS_AT: usize = CLAIM_AT + 8;

/// Highest LSN a log may start at: from here no disk is large enough to overflow one.
pub(super) const MAX_START: u64 = 1 << 62;

/// Bytes of a frame before its payload.
pub(super) const FRAME_HEADER_BYTES: usize = PREVIOUS_AT + 8;

/// Frames begin at multiples of it, of the file and of the LSN alike.
pub(super) const ALIGN_BYTES: usize = 8;
const _: () = assert!(FRAME_HEADER_BYTES % ALIGN_BYTES == 0 && HEADER_BYTES % ALIGN_BYTES == 0);

/// Field names of `docs/file-format.md` and where the code has them: segment header, frame.
#[cfg(test)]
pub(crate) const LAYOUTS: [crate::format_tests::Layout; 2] = [
    &[
        ("magic", MAGIC_AT),
        ("version", VERSION_AT),
        ("sequence", SEQUENCE_AT),
        ("identity", IDENTITY_AT),
        ("epoch", EPOCH_AT),
        ("start lsn", START_AT),
        ("chain", CHAIN_AT),
        ("length", LENGTH_AT),
        ("reused", REUSED_AT),
        ("zero", REUSED_AT + 1),
        ("checksum", HEADER_CHECKSUM_AT),
        ("", HEADER_BYTES),
    ],
    &[
        ("checksum", CHECKSUM_AT),
        ("payload bytes", PAYLOAD_BYTES_AT),
        ("kind", KIND_AT),
        ("zero", KIND_AT + 1),
        ("lsn", LSN_AT),
        ("commit", COMMIT_AT),
        ("claim", CLAIM_AT),
        ("previous", PREVIOUS_AT),
        ("payload", FRAME_HEADER_BYTES),
    ],
];

/// Bytes of a whole frame with that much payload.
pub(super) fn frame_bytes(payload_bytes: usize) -> u64 {
    FRAME_HEADER_BYTES as u64 + (payload_bytes as u64).next_multiple_of(ALIGN_BYTES as u64)
}

/// Seeds all checksums of an epoch, so that nothing of another file or epoch is ever taken for ours.
pub(super) fn seed_of(identity: &[u8; 16], epoch: u64) -> u64 {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(identity);
    put_u64(&mut bytes, 16, epoch);
    xxh3_64(&bytes)
}

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) identity: [u8; 16],
    pub(super) epoch: u64,
    /// Position in the row of the epoch's segments, from 0.
    pub(super) sequence: u32,
    /// LSN of the first frame.
    pub(super) start: Lsn,
    /// Checksum of the frame before the first.
    pub(super) chain: u64,
    /// Bytes of the file, header included.
    pub(super) length: u64,
    /// It was another segment before: behind its last frame there may be frames of that one, instead of zeros.
    pub(super) reused: bool,
}

/// Why a segment header is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Damaged, never written, or of another log.
    Bad(&'static str),
    /// Written by a newer program.
    Version(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut b = [0; HEADER_BYTES];
        b[MAGIC_AT..MAGIC_AT + 8].copy_from_slice(&MAGIC);
        put_u32(&mut b, VERSION_AT, LOG_VERSION);
        put_u32(&mut b, SEQUENCE_AT, self.sequence);
        b[IDENTITY_AT..IDENTITY_AT + 16].copy_from_slice(&self.identity);
        put_u64(&mut b, EPOCH_AT, self.epoch);
        put_u64(&mut b, START_AT, self.start.0);
        put_u64(&mut b, CHAIN_AT, self.chain);
        put_u64(&mut b, LENGTH_AT, self.length);
        b[REUSED_AT] = self.reused.into();
        let sum = xxh3_64_with_seed(&b[..HEADER_CHECKSUM_AT], seed_of(&self.identity, self.epoch));
        put_u64(&mut b, HEADER_CHECKSUM_AT, sum);
        b
    }

    /// Reads the header of segment `sequence` of that file's epoch.
    pub(super) fn decode(
        b: &[u8; HEADER_BYTES],
        identity: &[u8; 16],
        epoch: u64,
        sequence: u32,
    ) -> Result<SegmentHeader, HeaderFault> {
        if b[MAGIC_AT..MAGIC_AT + 8] != MAGIC {
            return Err(HeaderFault::Bad("not a log segment"));
        }
        if b[IDENTITY_AT..IDENTITY_AT + 16] != identity[..] {
            return Err(HeaderFault::Bad("belongs to another file"));
        }
        if get_u64(b, EPOCH_AT) != epoch || get_u32(b, SEQUENCE_AT) != sequence {
            return Err(HeaderFault::Bad("its name is not its own"));
        }
        if get_u64(b, HEADER_CHECKSUM_AT) != xxh3_64_with_seed(&b[..HEADER_CHECKSUM_AT], seed_of(identity, epoch)) {
            return Err(HeaderFault::Bad("its header is damaged"));
        }
        let version = get_u32(b, VERSION_AT);
        if version != LOG_VERSION {
            return Err(HeaderFault::Version(version));
        }
        let start = get_u64(b, START_AT);
        if start % ALIGN_BYTES as u64 != 0 || start > MAX_START {
            return Err(HeaderFault::Bad("its start is no place of a log"));
        }
        let (chain, length, reused) = (get_u64(b, CHAIN_AT), get_u64(b, LENGTH_AT), b[REUSED_AT] != 0);
        Ok(SegmentHeader { identity: *identity, epoch, sequence, start: Lsn(start), chain, length, reused })
    }
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// One commit.
    Commit = 1,
    /// Nothing but its claim.
    Claim = 2,
    /// The last of its segment; the log goes on in the next.
    End = 3,
}

/// What a frame says besides its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) kind: FrameKind,
    /// Its own place.
    pub(super) lsn: Lsn,
    /// The commit, or the last one before.
    pub(super) commit: u64,
    /// All before this was known durable when the frame was written.
    pub(super) claim: Lsn,
    /// Checksum of the frame before.
    pub(super) previous: u64,
}

/// Completes the frame in `buffer`, which has room for its header, then the payload; gives its checksum.
pub(super) fn seal_frame(buffer: &mut Vec<u8>, header: &FrameHeader, seed: u64) -> u64 {
    debug_assert!(buffer.len() >= FRAME_HEADER_BYTES);
    let payload_bytes = buffer.len() - FRAME_HEADER_BYTES;
    debug_assert!(u32::try_from(payload_bytes).is_ok());
    buffer.resize(buffer.len().next_multiple_of(ALIGN_BYTES), 0);
    put_u32(buffer, PAYLOAD_BYTES_AT, payload_bytes as u32);
    put_u32(buffer, KIND_AT, header.kind as u32);
    put_u64(buffer, LSN_AT, header.lsn.0);
    put_u64(buffer, COMMIT_AT, header.commit);
    put_u64(buffer, CLAIM_AT, header.claim.0);
    put_u64(buffer, PREVIOUS_AT, header.previous);
    let checksum = xxh3_64_with_seed(&buffer[PAYLOAD_BYTES_AT..], seed);
    put_u64(buffer, CHECKSUM_AT, checksum);
    checksum
}

/// A frame as it lies in a buffer, perhaps a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawFrame<'a> {
    pub(super) header: FrameHeader,
    pub(super) checksum: u64,
    /// From the frame's first byte to its last.
    bytes: &'a [u8],
    payload_bytes: usize,
}

impl<'a> RawFrame<'a> {
    /// Reads what stands at the front of `bytes`, which go on to the end of the segment. `None` if that
    /// can't be a frame; what it gives must still be asked for [`RawFrame::is_valid`].
    pub(super) fn read(bytes: &'a [u8]) -> Option<RawFrame<'a>> {
        let head = bytes.get(..FRAME_HEADER_BYTES)?;
        let kind = match get_u32(head, KIND_AT) {
            1 => FrameKind::Commit,
            2 => FrameKind::Claim,
            3 => FrameKind::End,
            _ => return None,
        };
        let payload_bytes = get_u32(head, PAYLOAD_BYTES_AT) as usize;
        let size = usize::try_from(frame_bytes(payload_bytes)).ok()?;
        let bytes = bytes.get(..size)?;
        let header = FrameHeader {
            kind,
            lsn: Lsn(get_u64(head, LSN_AT)),
            commit: get_u64(head, COMMIT_AT),
            claim: Lsn(get_u64(head, CLAIM_AT)),
            previous: get_u64(head, PREVIOUS_AT),
        };
        Some(RawFrame { header, checksum: get_u64(head, CHECKSUM_AT), bytes, payload_bytes })
    }

    /// Whether the checksum is right.
    pub(super) fn is_valid(&self, seed: u64) -> bool {
        self.sum(seed) == self.checksum
    }

    /// The checksum of the bytes that are there.
    pub(super) fn sum(&self, seed: u64) -> u64 {
        xxh3_64_with_seed(&self.bytes[PAYLOAD_BYTES_AT..], seed)
    }

    /// Bytes of the whole frame.
    pub(super) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn payload(&self) -> &'a [u8] {
        &self.bytes[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + self.payload_bytes]
    }
}
