//! The one pass over bytes that a caller gave us.
//!
//! ```text
//!   map ( key value )*      key    string, UTF-8, not there before in this map
//!    |                      value  any MessagePack value, children inside the bytes
//!    +- level 1 .. 100      end    exactly at the last byte
//! ```
//!
//! It is on the path of every write, so a field costs a few nanoseconds: one jump on the head byte, one
//! or two loads for a short string ([`super::fingerprint`]), and fingerprints in a small array for the
//! search of duplicate keys, or one comparison where the keys are those of the document before
//! ([`super::predict`]). Recursion is bounded by the levels a document may have. Nothing is allocated
//! unless a map has more than [`SMALL_MAP`] fields, and then 8 bytes a field that was really read.
//!
//! The pass also notes where `_id` stands, so that [`super::canonical`] need not look for it again.

use super::fingerprint::{fingerprint, is_short_text, is_utf8, KeySet};
use super::msgpack::{self, Fault, Reader};
use super::predict::{Mode, Prediction};
use super::{MAX_DOCUMENT_DEPTH, RESERVED_EXT_CODES};
use crate::error::{Error, Result};
use std::cell::RefCell;

thread_local! {
    /// What the thread's next document may look like. Nothing in it has to be dropped.
    static PREDICTION: RefCell<Prediction> = const { RefCell::new(Prediction::new()) };
}

/// Up to this many fields, a new key is compared with each one before it.
const SMALL_MAP: usize = 16;

/// What the pass found out about a well-formed document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Length of the head of the map in bytes.
    pub head_bytes: usize,
    /// Number of fields.
    pub fields: usize,
    /// Where the field `_id` stands, if there is one.
    pub id: Option<IdSpan>,
}

/// The place of the field `_id`, as offsets in bytes from the start of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdSpan {
    /// The head of the string `_id`.
    pub key_at: usize,
    /// The head of the value.
    pub value_at: usize,
    /// The end of the value.
    pub end: usize,
}

/// Checks that `bytes` are one well-formed document of at most `max_bytes`.
///
/// Ensures: a map, keys of every map are distinct strings, strings are UTF-8, lengths stay inside the
/// bytes, at most [`MAX_DOCUMENT_DEPTH`] levels, extension codes are not ours, timestamps are valid, and
/// nothing follows.
pub(crate) fn validate(bytes: &[u8], max_bytes: usize) -> Result<Shape> {
    // Offsets of keys are kept in 32 bits.
    let limit = max_bytes.min(u32::MAX as usize);
    if bytes.len() > limit {
        return Err(Error::DocumentTooLarge { bytes: bytes.len() as u64, limit: limit as u64 });
    }
    PREDICTION.with_borrow_mut(|prediction| validate_as(bytes, prediction)).map_err(Error::from)
}

/// [`validate`] with a prediction.
pub(super) fn validate_as(bytes: &[u8], prediction: &mut Prediction) -> Result<Shape, Fault> {
    let mut mode = prediction.mode();
    loop {
        let fault = Fault { offset: 0, reason: "" };
        let mut pass = Pass { bytes, at: 0, id: None, fault, prediction, mode, next: 0, arrays: 0 };
        let shape = pass.document();
        let Pass { fault, next, .. } = pass;
        match (shape, mode) {
            (Some(shape), Mode::Predict) => {
                prediction.hit();
                return Ok(shape);
            }
            (Some(shape), Mode::Learn) => {
                prediction.learnt();
                return Ok(shape);
            }
            // Its keys are others.
            (None, Mode::Predict) if next == MISS => mode = prediction.miss(),
            (shape, _) => return shape.ok_or(fault),
        }
    }
}

/// The running pass. Its methods return `None` after noting the fault: a return value in a register
/// instead of an error in memory.
struct Pass<'a> {
    bytes: &'a [u8],
    at: usize,
    id: Option<IdSpan>,
    fault: Fault,
    prediction: &'a mut Prediction,
    mode: Mode,
    /// The entry of the prediction that the next map or key is compared with; [`MISS`] after one that differed.
    next: usize,
    /// Arrays that the current value stands in.
    arrays: u32,
}

/// See [`Pass::next`].
const MISS: usize = usize::MAX;

impl Pass<'_> {
    #[cold]
    #[inline(never)]
    fn fail<T>(&mut self, offset: usize, reason: &'static str) -> Option<T> {
        self.fault = Fault { offset, reason };
        None
    }

    fn document(&mut self) -> Option<Shape> {
        let fields = match self.bytes.first() {
            None => return self.fail(0, "the document is empty: a map was expected"),
            Some(&head @ 0x80..=0x8f) => {
                self.at = 1;
                usize::from(head & 0x0f)
            }
            Some(0xde) => self.length(2)?,
            Some(0xdf) => self.length(4)?,
            Some(_) => return self.fail(0, "the document is not a map"),
        };
        let head_bytes = self.at;
        self.map(0, fields, 1)?;
        if self.at != self.bytes.len() {
            return self.fail(self.at, "bytes follow the end of the document");
        }
        Some(Shape { head_bytes, fields, id: self.id })
    }

    /// Reads a length of `width` bytes that stands behind the head byte, and moves behind it.
    #[inline]
    fn length(&mut self, width: usize) -> Option<usize> {
        let from = self.at + 1;
        let Some(digits) = self.bytes.get(from..from + width) else { return self.fail(self.at, msgpack::ENDS) };
        self.at = from + width;
        Some(digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)))
    }

    /// Moves over `count` bytes, of which the head is the first.
    #[inline]
    fn advance(&mut self, count: usize) -> Option<()> {
        if count > self.bytes.len() - self.at {
            return self.fail(self.at, msgpack::ENDS);
        }
        self.at += count;
        Some(())
    }

    /// Moves over `len` bytes of payload of the value at `start`.
    #[inline]
    fn payload(&mut self, start: usize, len: usize) -> Option<usize> {
        let at = self.at;
        if len > self.bytes.len() - at {
            return self.fail(start, "a length is larger than the bytes that are left");
        }
        self.at = at + len;
        Some(at)
    }

    #[inline]
    fn string(&mut self, start: usize, len: usize) -> Option<()> {
        let at = self.payload(start, len)?;
        if !is_utf8(self.bytes, at, len) {
            return self.fail(at, msgpack::NOT_UTF8);
        }
        Some(())
    }

    /// Checks one value that stands inside `level - 1` arrays and maps.
    fn value(&mut self, level: u32) -> Option<()> {
        let start = self.at;
        let Some(&head) = self.bytes.get(start) else { return self.fail(start, msgpack::ENDS) };
        match head {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => {
                self.at = start + 1;
                Some(())
            }
            0xa0..=0xbf => {
                self.at = start + 1;
                self.string(start, usize::from(head & 0x1f))
            }
            0x80..=0x8f => {
                self.at = start + 1;
                self.map(start, usize::from(head & 0x0f), level)
            }
            0x90..=0x9f => {
                self.at = start + 1;
                self.array(start, usize::from(head & 0x0f), level)
            }
            0xcc | 0xd0 => self.advance(2),
            0xcd | 0xd1 => self.advance(3),
            0xca | 0xce | 0xd2 => self.advance(5),
            0xcb | 0xcf | 0xd3 => self.advance(9),
            0xd9..=0xdb => {
                let len = self.length(1 << (head - 0xd9))?;
                self.string(start, len)
            }
            0xc4..=0xc6 => {
                let len = self.length(1 << (head - 0xc4))?;
                self.payload(start, len).map(|_| ())
            }
            0xdc | 0xdd => {
                let count = self.length(2 << (head - 0xdc))?;
                self.array(start, count, level)
            }
            0xde | 0xdf => {
                let count = self.length(2 << (head - 0xde))?;
                self.map(start, count, level)
            }
            0xc7..=0xc9 => {
                let len = self.length(1 << (head - 0xc7))?;
                self.ext(start, len)
            }
            0xd4..=0xd8 => {
                self.at = start + 1;
                self.ext(start, 1 << (head - 0xd4))
            }
            0xc1 => self.fail(start, "byte 0xc1 is not used in MessagePack"),
        }
    }

    fn array(&mut self, start: usize, count: usize, level: u32) -> Option<()> {
        if level > MAX_DOCUMENT_DEPTH {
            return self.fail(start, msgpack::TOO_DEEP);
        }
        if count > self.bytes.len() - self.at {
            return self.fail(start, "an array has more elements than bytes are left");
        }
        self.arrays += 1;
        for _ in 0..count {
            self.value(level + 1)?;
        }
        self.arrays -= 1;
        Some(())
    }

    fn map(&mut self, start: usize, count: usize, level: u32) -> Option<()> {
        if level > MAX_DOCUMENT_DEPTH {
            return self.fail(start, msgpack::TOO_DEEP);
        }
        if count > (self.bytes.len() - self.at) / 2 {
            return self.fail(start, "a map has more fields than bytes are left");
        }
        match self.mode {
            // What lies in arrays differs too much from one document to the next.
            _ if self.arrays > 0 => {}
            Mode::Predict => return self.predicted_map(count, level),
            Mode::Learn => self.prediction.learn_map(count),
            Mode::Rest => {}
        }
        if count > SMALL_MAP {
            return self.large_map(count, level);
        }
        let mut fingerprints = [0_u64; SMALL_MAP];
        let mut heads = [0_u32; SMALL_MAP];
        let mut bits = 0;
        for index in 0..count {
            let key_at = self.at;
            let fingerprint = self.key(level)?;
            // One bit of 64 for each fingerprint: mostly the bit is free, and the key new.
            let bit = 1_u64 << (fingerprint >> 58);
            let seen = bits & bit != 0 && fingerprints[..index].contains(&fingerprint);
            if seen && heads[..index].iter().any(|&other| self.key_at(other as usize) == self.key_at(key_at)) {
                return self.fail(key_at, DUPLICATE);
            }
            bits |= bit;
            fingerprints[index] = fingerprint;
            heads[index] = key_at as u32;
            self.field_value(key_at, level)?;
        }
        Some(())
    }

    /// A map whose keys are known to be distinct strings if they are those remembered.
    fn predicted_map(&mut self, count: usize, level: u32) -> Option<()> {
        let (bytes, mut index, mut at) = (self.bytes, self.next, self.at);
        if !self.prediction.is_map(index, count) {
            self.next = MISS;
            return None;
        }
        for _ in 0..count {
            index += 1;
            let Some(key_bytes) = self.prediction.key(index, bytes, at) else {
                self.next = MISS;
                return None;
            };
            let (key, key_at, value_at) = (index, at, at + key_bytes);
            at = match plain_value(bytes, value_at) {
                Some(end) => end,
                None => {
                    (self.at, self.next) = (value_at, index + 1);
                    self.value(level + 1)?;
                    index = self.next - 1;
                    self.at
                }
            };
            if key == self.prediction.id() {
                self.id = Some(IdSpan { key_at, value_at, end: at });
            }
        }
        (self.at, self.next) = (at, index + 1);
        Some(())
    }

    fn large_map(&mut self, count: usize, level: u32) -> Option<()> {
        let mut keys = KeySet::default();
        for _ in 0..count {
            let key_at = self.at;
            let fingerprint = self.key(level)?;
            keys.push(fingerprint, key_at);
            self.field_value(key_at, level)?;
        }
        match keys.duplicate(|at| self.key_at(at)) {
            Some(at) => self.fail(at, DUPLICATE),
            None => Some(()),
        }
    }

    /// Checks a key and gives its fingerprint.
    #[inline]
    fn key(&mut self, level: u32) -> Option<u64> {
        let start = self.at;
        let Some(&head) = self.bytes.get(start) else { return self.fail(start, msgpack::ENDS) };
        let len = match head {
            0xa0..=0xbf => {
                self.at = start + 1;
                usize::from(head & 0x1f)
            }
            0xd9..=0xdb => self.length(1 << (head - 0xd9))?,
            _ => return self.fail(start, msgpack::KEY_NOT_STRING),
        };
        let at = self.payload(start, len)?;
        let (fingerprint, ascii) = fingerprint(self.bytes, at, len);
        if !ascii && std::str::from_utf8(&self.bytes[at..at + len]).is_err() {
            return self.fail(at, msgpack::NOT_UTF8);
        }
        if self.mode == Mode::Learn && self.arrays == 0 {
            let key = &self.bytes[start..at + len];
            self.prediction.learn_key(key, level == 1 && self.bytes[at..at + len] == *b"_id");
        }
        Some(fingerprint)
    }

    /// Checks the value behind the key whose head is at `key_at`, and notes it if it is the document's `_id`.
    #[inline]
    fn field_value(&mut self, key_at: usize, level: u32) -> Option<()> {
        let value_at = self.at;
        self.value(level + 1)?;
        if level == 1 && self.bytes[..value_at].ends_with(b"_id") && self.key_at(key_at) == b"_id" {
            self.id = Some(IdSpan { key_at, value_at, end: self.at });
        }
        Some(())
    }

    /// The bytes of a key that was checked before.
    fn key_at(&self, head_at: usize) -> &[u8] {
        let mut reader = Reader { bytes: self.bytes, at: head_at };
        match reader.head() {
            Ok(msgpack::Head::String(len)) => reader.take(len).unwrap_or_default(),
            _ => &[],
        }
    }

    fn ext(&mut self, start: usize, len: usize) -> Option<()> {
        let Some(&code) = self.bytes.get(self.at) else { return self.fail(start, msgpack::ENDS) };
        self.at += 1;
        let at = self.payload(start, len)?;
        let code = code as i8;
        if RESERVED_EXT_CODES.contains(&code) {
            return self.fail(start, "this extension code is reserved for NyroDB");
        }
        if code == msgpack::TIMESTAMP_EXT && super::Timestamp::from_ext(&self.bytes[at..at + len]).is_none() {
            return self.fail(start, "a timestamp is not of 4, 8 or 12 bytes with less than 10^9 nanoseconds");
        }
        Some(())
    }
}

/// The end of the value at `at`, if it is of the most usual kinds and well-formed: a number, a boolean, null, ASCII
/// text of up to 31 bytes. `None` says nothing.
#[inline(always)]
fn plain_value(bytes: &[u8], at: usize) -> Option<usize> {
    let head = *bytes.get(at)?;
    let size = usize::from(FIXED_BYTES[usize::from(head)]);
    if size != 0 {
        return (size <= bytes.len() - at).then_some(at + size);
    }
    let (text, len) = (at + 1, usize::from(head & 0x1f));
    if head & 0xe0 != 0xa0 || len > bytes.len() - text || !is_short_text(bytes, text, len) {
        return None;
    }
    Some(text + len)
}

/// Bytes of the values that a head byte fixes the length of, head included, strings and containers excepted.
const FIXED_BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut head = 0;
    while head < 256 {
        bytes[head] = match head {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 1,
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 => 3,
            0xca | 0xce | 0xd2 => 5,
            0xcb | 0xcf | 0xd3 => 9,
            _ => 0,
        };
        head += 1;
    }
    bytes
};

const DUPLICATE: &str = "a key is in the map twice";
