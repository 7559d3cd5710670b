//! A frame while it is made: its payload is put where it will be written from.
//!
//! ```text
//!   begin         [ room for the header ]
//!   push, extend  [ room for the header | payload .. ]
//!   seal          [ header              | payload    | zeros up to a multiple of 8 ]     (`Log::append`)
//! ```

use super::format::{seal_frame, FrameHeader, FRAME_HEADER_BYTES};
use std::ops::Range;

/// See the module's text. Empty until [`Frame::begin`].
#[derive(Debug, Default)]
pub struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    /// Forgets what it held, and keeps the memory.
    pub fn begin(&mut self) {
        self.bytes.clear();
        self.bytes.resize(FRAME_HEADER_BYTES, 0);
    }

    /// Appends a byte to the payload.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Appends bytes to the payload, and says where in the frame they are.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// What [`Frame::extend`] put there.
    #[inline]
    pub fn get(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// Bytes of the payload.
    pub fn payload_bytes(&self) -> usize {
        self.bytes.len().saturating_sub(FRAME_HEADER_BYTES)
    }

    /// The payload, until the frame is sealed.
    #[cfg(test)]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default()
    }

    /// Bytes that it has memory for.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Completes it; gives its checksum.
    pub(super) fn seal(&mut self, header: &FrameHeader, seed: u64) -> u64 {
        seal_frame(&mut self.bytes, header, seed)
    }

    /// All its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
