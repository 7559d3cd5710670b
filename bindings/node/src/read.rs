//! Stored MessagePack into the word form.
//!
//! ```text
//!   bytes of a document --> Sink { words, floats } in the shared buffer, and the text beside it
//! ```
//!
//! The bytes come from a file and may be anything: every read of them is checked, nesting is bounded, text is
//! checked to be UTF-8. Room in the buffer is checked once a document: a value never takes more words
//! than it has bytes, nor more than one float for every two.

use crate::shapes::{Shapes, ROOT};
use crate::words::{self, word, INT_RANGE, MAX_DATE_MS, MAX_SAFE};

/// Levels that are followed; stored documents have at most 100, and results wrap them.
const MAX_DEPTH: u32 = 110;
/// Maps of a document that may turn out, behind a value, to be of no known shape and are read again; the rest is
/// read without shapes, so that reading stays linear.
const MAX_SECOND_READS: u32 = 16;
/// Words and floats left free behind every document, for marks between documents.
const SPARE: usize = 16;

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    /// The buffer is too small; how many bytes of it the document may need.
    Room(usize),
    /// Not a document, at this offset.
    Malformed(usize),
}

/// Where the word form is written: words and floats in a buffer that JavaScript allocated, and the text.
pub struct Sink {
    words: *mut i32,
    max_words: usize,
    floats: *mut f64,
    max_floats: usize,
    /// Words written.
    pub w: usize,
    /// Floats written.
    pub f: usize,
    /// The text so far.
    pub text: Text,
}

/// A place in a sink to come back to.
#[derive(Clone, Copy)]
struct Mark {
    w: usize,
    f: usize,
    text: usize,
}

impl Sink {
    /// A sink without a buffer: everything needs more room.
    pub fn new() -> Sink {
        let (words, floats) = (std::ptr::null_mut(), std::ptr::null_mut());
        Sink { words, max_words: 0, floats, max_floats: 0, w: 0, f: 0, text: Text::default() }
    }

    /// Writes into this buffer from now on.
    ///
    /// # Safety
    /// `memory` is aligned to 8 bytes and stays valid for `bytes` bytes until another buffer is set; nobody else
    /// looks at it while a method runs.
    pub unsafe fn set_buffer(&mut self, memory: *mut u8, bytes: usize) {
        // Half for each, in whole floats.
        let half = bytes / 16 * 8;
        (self.words, self.max_words) = (memory.cast(), half / 4);
        // SAFETY: `half` is at most `bytes`.
        (self.floats, self.max_floats) = (unsafe { memory.add(half) }.cast(), half / 8);
    }

    /// Begins anew.
    #[inline]
    pub fn clear(&mut self) {
        (self.w, self.f) = (0, 0);
        self.text.clear();
    }

    /// Checks that a document of so many bytes fits.
    #[inline]
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Stop> {
        let (words, floats) = (self.w + bytes + SPARE, self.f + bytes / 2 + SPARE);
        self.text.reserve(bytes);
        if words > self.max_words || floats > self.max_floats {
            return Err(Stop::Room((words * 4).max(floats * 8) * 2));
        }
        Ok(())
    }

    #[inline]
    fn mark(&self) -> Mark {
        Mark { w: self.w, f: self.f, text: self.text.units() }
    }

    fn back_to(&mut self, mark: Mark) {
        (self.w, self.f) = (mark.w, mark.f);
        self.text.truncate(mark.text);
    }

    /// Writes one word.
    #[inline]
    pub fn put(&mut self, value: i32) {
        // Room was reserved for the document, and each of its values takes at most as many words as it has bytes.
        assert!(self.w < self.max_words);
        // SAFETY: just checked.
        unsafe { *self.words.add(self.w) = value };
        self.w += 1;
    }

    #[inline]
    fn put_at(&mut self, at: usize, value: i32) {
        assert!(at < self.w);
        // SAFETY: words were put up to there.
        unsafe { *self.words.add(at) = value };
    }

    #[inline]
    fn hold(&mut self) -> usize {
        self.put(0);
        self.w - 1
    }

    /// Writes one float.
    #[inline]
    pub fn put_float(&mut self, value: f64) {
        // As in `put`: a float takes at least 2 bytes of the document.
        assert!(self.f < self.max_floats);
        // SAFETY: just checked.
        unsafe { *self.floats.add(self.f) = value };
        self.f += 1;
    }

    /// Changes a word that was put.
    pub fn set_word(&mut self, at: usize, value: i32) {
        self.put_at(at, value);
    }

    /// Changes a float that was put.
    pub fn set_float(&mut self, at: usize, value: f64) {
        assert!(at < self.f);
        // SAFETY: it was put there.
        unsafe { *self.floats.add(at) = value };
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put(word(words::BYTES, bytes.len()));
        // As in `put`: the bytes, rounded up to 8, are at most half as many floats as the value has bytes.
        assert!(self.f + bytes.len().div_ceil(8) <= self.max_floats);
        // SAFETY: just checked.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.floats.add(self.f).cast(), bytes.len()) };
        self.f += bytes.len().div_ceil(8);
    }

    #[inline]
    fn put_int(&mut self, value: i64) {
        if INT_RANGE.contains(&value) {
            return self.put((value as i32) << words::TAG_BITS);
        }
        if (-MAX_SAFE..=MAX_SAFE).contains(&value) {
            self.put(words::FLOAT);
            return self.put_float(value as f64);
        }
        self.put(words::BIG);
        self.put_float(f64::from_bits(value as u64));
    }

    #[inline]
    fn put_uint(&mut self, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.put_int(value),
            Err(_) => {
                self.put(words::BIG_UNSIGNED);
                self.put_float(f64::from_bits(value));
            }
        }
    }

    /// A timestamp becomes a `Date` where that can hold it; the nanoseconds below a millisecond are cut off.
    fn put_ext(&mut self, code: i8, payload: &[u8]) {
        if code == -1 {
            if let Some(millis) = millis(payload) {
                self.put(words::DATE);
                return self.put_float(millis as f64);
            }
        }
        self.put(words::EXT);
        self.put(i32::from(code));
        self.put_bytes(payload);
    }

    /// Writes one value from its MessagePack bytes. Room for it must have been reserved.
    pub fn put_msgpack(&mut self, bytes: &[u8], shapes: &mut Shapes) -> Result<(), Stop> {
        let mut pass = Pass { bytes, at: 0, sink: self, shapes, second_reads: 0 };
        pass.value(0).ok_or(Stop::Malformed(pass.at))
    }
}

/// The milliseconds of a timestamp's payload, if a `Date` can hold them.
fn millis(payload: &[u8]) -> Option<i64> {
    let (seconds, nanos) = match *payload {
        [a, b, c, d] => (i64::from(u32::from_be_bytes([a, b, c, d])), 0),
        [a, b, c, d, e, f, g, h] => {
            let both = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            ((both & 0x3_ffff_ffff) as i64, (both >> 34) as u32)
        }
        [n0, n1, n2, n3, a, b, c, d, e, f, g, h] => {
            (i64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([n0, n1, n2, n3]))
        }
        _ => return None,
    };
    let millis = seconds.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))?;
    (-MAX_DATE_MS..=MAX_DATE_MS).contains(&millis).then_some(millis)
}

/// One walk over the bytes of a value. `None` is a fault at `at`.
struct Pass<'a> {
    bytes: &'a [u8],
    at: usize,
    sink: &'a mut Sink,
    shapes: &'a mut Shapes,
    second_reads: u32,
}

impl<'a> Pass<'a> {
    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let found = *self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(found)
    }

    /// A length of 1, 2 or 4 bytes.
    #[inline]
    fn length(&mut self, width_log2: u8) -> Option<usize> {
        Some(match width_log2 {
            0 => usize::from(u8::from_be_bytes(self.array()?)),
            1 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    #[inline]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    #[inline]
    fn string(&mut self, len: usize) -> Option<()> {
        let end = self.at.checked_add(len)?;
        if end > self.bytes.len() {
            return None;
        }
        let units = self.sink.text.push(self.bytes, self.at, len)?;
        self.at = end;
        self.sink.put(word(words::STR, units));
        Some(())
    }

    fn value(&mut self, depth: u32) -> Option<()> {
        let [head] = self.array::<1>()?;
        match head {
            0x00..=0x7f => self.sink.put(i32::from(head) << words::TAG_BITS),
            0xe0..=0xff => self.sink.put(i32::from(head as i8) << words::TAG_BITS),
            0xa0..=0xbf => return self.string(usize::from(head & 0x1f)),
            0x80..=0x8f => return self.map(usize::from(head & 0x0f), depth),
            0x90..=0x9f => return self.list(usize::from(head & 0x0f), depth),
            0xc0 => self.sink.put(words::NULL),
            0xc1 => return None,
            0xc2 => self.sink.put(words::FALSE),
            0xc3 => self.sink.put(words::TRUE),
            0xc4..=0xc6 => {
                let len = self.length(head - 0xc4)?;
                let bytes = self.take(len)?;
                self.sink.put_bytes(bytes);
            }
            0xc7..=0xc9 => {
                let len = self.length(head - 0xc7)?;
                return self.ext(len);
            }
            0xca => {
                let value = f32::from_be_bytes(self.array()?);
                self.sink.put(words::FLOAT);
                self.sink.put_float(f64::from(value));
            }
            0xcb => {
                let value = f64::from_be_bytes(self.array()?);
                self.sink.put(words::FLOAT);
                self.sink.put_float(value);
            }
            0xcc => {
                let [value] = self.array::<1>()?;
                self.sink.put(i32::from(value) << words::TAG_BITS);
            }
            0xcd => {
                let value = u16::from_be_bytes(self.array()?);
                self.sink.put(i32::from(value) << words::TAG_BITS);
            }
            0xce => {
                let value = u32::from_be_bytes(self.array()?);
                self.sink.put_int(i64::from(value));
            }
            0xcf => {
                let value = u64::from_be_bytes(self.array()?);
                self.sink.put_uint(value);
            }
            0xd0 => {
                let value = i8::from_be_bytes(self.array()?);
                self.sink.put_int(i64::from(value));
            }
            0xd1 => {
                let value = i16::from_be_bytes(self.array()?);
                self.sink.put_int(i64::from(value));
            }
            0xd2 => {
                let value = i32::from_be_bytes(self.array()?);
                self.sink.put_int(i64::from(value));
            }
            0xd3 => {
                let value = i64::from_be_bytes(self.array()?);
                self.sink.put_int(value);
            }
            0xd4..=0xd8 => return self.ext(1 << (head - 0xd4)),
            0xd9..=0xdb => {
                let len = self.length(head - 0xd9)?;
                return self.string(len);
            }
            0xdc | 0xdd => {
                let count = self.length(head - 0xdb)?;
                return self.list(count, depth);
            }
            0xde | 0xdf => {
                let count = self.length(head - 0xdd)?;
                return self.map(count, depth);
            }
        }
        Some(())
    }

    fn ext(&mut self, len: usize) -> Option<()> {
        let [code] = self.array::<1>()?;
        let payload = self.take(len)?;
        self.sink.put_ext(code as i8, payload);
        Some(())
    }

    fn list(&mut self, count: usize, depth: u32) -> Option<()> {
        // Every element is at least a byte.
        if depth >= MAX_DEPTH || count > self.bytes.len() - self.at {
            return None;
        }
        self.sink.put(word(words::ARRAY, count));
        for _ in 0..count {
            self.value(depth + 1)?;
        }
        Some(())
    }

    fn map(&mut self, count: usize, depth: u32) -> Option<()> {
        if depth >= MAX_DEPTH || count > (self.bytes.len() - self.at) / 2 {
            return None;
        }
        if self.second_reads >= MAX_SECOND_READS {
            return self.open_map(count, depth);
        }
        let (start, mark) = (self.at, self.sink.mark());
        let place = self.sink.hold();
        let mut node = ROOT;
        for _ in 0..count {
            match self.shapes.step(node, &self.bytes[self.at..]) {
                Some((child, length)) => (node, self.at) = (child, self.at + length),
                None => {
                    node = ROOT;
                    break;
                }
            }
            self.value(depth + 1)?;
        }
        let shape = self.shapes.shape(node);
        if shape == 0 {
            self.second_reads += u32::from(self.at != start);
            self.at = start;
            self.sink.back_to(mark);
            return self.open_map(count, depth);
        }
        self.sink.put_at(place, word(words::MAP, shape as usize));
        Some(())
    }

    /// A map with its keys. It may become a shape on the way.
    #[inline(never)]
    fn open_map(&mut self, count: usize, depth: u32) -> Option<()> {
        let mut keys = Vec::with_capacity(if count > crate::shapes::MAX_FIELDS { 0 } else { count });
        self.sink.put(word(words::OPEN, count));
        for _ in 0..count {
            let key_at = self.at;
            let [head] = self.array::<1>()?;
            let len = match head {
                0xa0..=0xbf => usize::from(head & 0x1f),
                0xd9..=0xdb => self.length(head - 0xd9)?,
                _ => return None,
            };
            self.string(len)?;
            if count <= crate::shapes::MAX_FIELDS {
                keys.push(&self.bytes[key_at..self.at]);
            }
            self.value(depth + 1)?;
        }
        // It crosses with its keys this time, whatever comes of it.
        self.shapes.meet(&keys);
        Some(())
    }
}

/// Text that becomes one JavaScript string: a byte a character while all of it is Latin-1, else UTF-16.
#[derive(Default)]
pub struct Text {
    narrow: Vec<u8>,
    wide: Vec<u16>,
    is_wide: bool,
}

/// Characters that a copy may go beyond the end of a short string.
const OVERRUN: usize = 16;

impl Text {
    fn clear(&mut self) {
        self.narrow.clear();
        self.wide.clear();
        self.is_wide = false;
    }

    /// Makes it this text.
    pub fn set(&mut self, text: &str) {
        self.clear();
        // Text that is UTF-8 is always taken.
        let _ = self.push(text.as_bytes(), 0, text.len());
    }

    #[inline]
    fn reserve(&mut self, bytes: usize) {
        self.narrow.reserve(bytes + OVERRUN);
    }

    /// Its length in UTF-16 units.
    #[inline]
    pub fn units(&self) -> usize {
        if self.is_wide {
            self.wide.len()
        } else {
            self.narrow.len()
        }
    }

    fn truncate(&mut self, units: usize) {
        if self.is_wide {
            self.wide.truncate(units);
        } else {
            self.narrow.truncate(units);
        }
    }

    /// As UTF-16, if it is that, or as Latin-1.
    pub fn get(&self) -> Result<&[u8], &[u16]> {
        if self.is_wide {
            Err(&self.wide)
        } else {
            Ok(&self.narrow)
        }
    }

    /// Adds `len` bytes of UTF-8 that lie in `bytes` from `at`; how many UTF-16 units that are.
    #[inline]
    fn push(&mut self, bytes: &[u8], at: usize, len: usize) -> Option<usize> {
        let text = &bytes[at..at + len];
        if self.is_wide {
            return self.push_wide(text);
        }
        // A short string is copied as 16 bytes, which costs no call. What is too much is overwritten later.
        if len <= OVERRUN && self.narrow.capacity() - self.narrow.len() >= OVERRUN {
            if let Some(chunk) = bytes[at..].first_chunk::<OVERRUN>() {
                let chunk = u128::from_le_bytes(*chunk);
                let mask = !(u128::MAX.checked_shl(len as u32 * 8).unwrap_or(0));
                if chunk & mask & 0x8080_8080_8080_8080_8080_8080_8080_8080 != 0 {
                    return self.push_foreign(text);
                }
                let used = self.narrow.len();
                // SAFETY: there is room for `OVERRUN` bytes behind `used`, and the first `len` are ours.
                unsafe {
                    let end = self.narrow.as_mut_ptr().add(used);
                    end.cast::<[u8; OVERRUN]>().write(chunk.to_le_bytes());
                    self.narrow.set_len(used + len);
                }
                return Some(len);
            }
        }
        if !text.is_ascii() {
            return self.push_foreign(text);
        }
        self.narrow.extend_from_slice(text);
        Some(len)
    }

    /// Adds text that is not ASCII.
    #[inline(never)]
    fn push_foreign(&mut self, text: &[u8]) -> Option<usize> {
        let text = std::str::from_utf8(text).ok()?;
        if text.chars().all(|c| u32::from(c) < 0x100) {
            let before = self.narrow.len();
            self.narrow.extend(text.chars().map(|c| u32::from(c) as u8));
            return Some(self.narrow.len() - before);
        }
        self.is_wide = true;
        self.wide.extend(self.narrow.iter().map(|&byte| u16::from(byte)));
        self.push_wide(text.as_bytes())
    }

    #[inline(never)]
    fn push_wide(&mut self, text: &[u8]) -> Option<usize> {
        let before = self.wide.len();
        if text.is_ascii() {
            self.wide.extend(text.iter().map(|&byte| u16::from(byte)));
        } else {
            self.wide.extend(std::str::from_utf8(text).ok()?.encode_utf16());
        }
        Some(self.wide.len() - before)
    }
}
