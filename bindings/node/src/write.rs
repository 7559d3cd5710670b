//! The word form into MessagePack: what JavaScript wants stored.
//!
//! ```text
//!   Source { words, floats, text } --> one value after the other, appended to a Vec<u8>
//! ```
//!
//! JavaScript writes the words, so they are ours; still nothing here trusts them: a wrong word is an error, never
//! a read outside the buffer. What only Rust sees is found here: lone surrogates, which are refused.

use crate::words::{self, MAX_SAFE};
use nyro_owned::Id;

/// Levels that are followed. JavaScript stops at 100 with the proper error.
const MAX_DEPTH: u32 = 110;

/// A byte that MessagePack does not use: no document begins with it.
pub const NO_DOCUMENT: u8 = 0xc1;

/// Why a value could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A string holds half of a surrogate pair.
    LoneSurrogate,
    /// A word that means nothing: a bug of ours.
    BadWord,
}

/// The keys of a map that JavaScript writes, each with its MessagePack head.
pub struct WriteShape {
    head: Vec<u8>,
    keys: Vec<Vec<u8>>,
}

impl WriteShape {
    /// From the keys in UTF-16; `None` if one holds a lone surrogate.
    pub fn new(keys: &[Vec<u16>]) -> Option<WriteShape> {
        let mut head = Vec::new();
        put_map_head(&mut head, keys.len());
        let key = |key: &Vec<u16>| {
            let key = String::from_utf16(key).ok()?;
            let mut out = Vec::with_capacity(key.len() + 5);
            put_str(&mut out, key.as_bytes());
            Some(out)
        };
        Some(WriteShape { head, keys: keys.iter().map(key).collect::<Option<_>>()? })
    }
}

/// The text of a batch.
pub enum SourceText<'a> {
    /// All of it is ASCII.
    Ascii(&'a [u8]),
    /// Some of it is not.
    Wide(&'a [u16]),
}

/// What JavaScript wrote, and how far it was read.
pub struct Source<'a> {
    /// The words.
    pub words: &'a [i32],
    /// The floats.
    pub floats: &'a [f64],
    /// The text.
    pub text: SourceText<'a>,
    /// The shapes that words name.
    pub shapes: &'a [WriteShape],
    /// Words read.
    pub w: usize,
    /// Floats read.
    pub f: usize,
    /// Text read, in UTF-16 units.
    pub t: usize,
}

type Written = Result<(), Refusal>;

impl<'a> Source<'a> {
    /// The next word.
    #[inline]
    pub fn word(&mut self) -> Result<i32, Refusal> {
        let word = *self.words.get(self.w).ok_or(Refusal::BadWord)?;
        self.w += 1;
        Ok(word)
    }

    /// Words, floats and text not read yet.
    pub fn left(&self) -> (usize, usize, usize) {
        let units = match self.text {
            SourceText::Ascii(text) => text.len(),
            SourceText::Wide(text) => text.len(),
        };
        (
            self.words.len().saturating_sub(self.w),
            self.floats.len().saturating_sub(self.f),
            units.saturating_sub(self.t),
        )
    }

    /// Three words that say where the value behind them ends.
    pub fn ends(&mut self) -> Result<[usize; 3], Refusal> {
        Ok([self.word()? as usize, self.word()? as usize, self.word()? as usize])
    }

    /// Goes on there.
    pub fn move_to(&mut self, [w, f, t]: [usize; 3]) {
        (self.w, self.f, self.t) = (w, f, t);
    }

    /// A binary as it is.
    pub fn raw(&mut self) -> Result<&'a [u8], Refusal> {
        let word = self.word()?;
        if word & 7 != words::BYTES {
            return Err(Refusal::BadWord);
        }
        self.bytes((word as u32 >> words::TAG_BITS) as usize)
    }

    #[inline]
    fn float(&mut self) -> Result<f64, Refusal> {
        let float = *self.floats.get(self.f).ok_or(Refusal::BadWord)?;
        self.f += 1;
        Ok(float)
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], Refusal> {
        let count = len.div_ceil(8);
        let floats = self.floats.get(self.f..self.f + count).ok_or(Refusal::BadWord)?;
        self.f += count;
        // SAFETY: any floats are so many times eight bytes, which live as long.
        let bytes = unsafe { std::slice::from_raw_parts(floats.as_ptr().cast::<u8>(), count * 8) };
        Ok(&bytes[..len])
    }

    #[inline]
    fn string(&mut self, out: &mut Vec<u8>, units: usize) -> Written {
        let end = self.t + units;
        match self.text {
            SourceText::Ascii(text) => put_str(out, text.get(self.t..end).ok_or(Refusal::BadWord)?),
            SourceText::Wide(text) => {
                let text = text.get(self.t..end).ok_or(Refusal::BadWord)?;
                self.t = end;
                return put_wide(out, text);
            }
        }
        self.t = end;
        Ok(())
    }

    /// Appends the bytes of a string, in UTF-8, or of a binary.
    pub fn octets(&mut self, out: &mut Vec<u8>) -> Written {
        let word = self.word()?;
        let payload = (word as u32 >> words::TAG_BITS) as usize;
        match word & 7 {
            words::BYTES => out.extend_from_slice(self.bytes(payload)?),
            words::STR => {
                let end = self.t + payload;
                match self.text {
                    SourceText::Ascii(text) => out.extend_from_slice(text.get(self.t..end).ok_or(Refusal::BadWord)?),
                    SourceText::Wide(text) => {
                        let text = String::from_utf16(text.get(self.t..end).ok_or(Refusal::BadWord)?);
                        out.extend_from_slice(text.map_err(|_| Refusal::LoneSurrogate)?.as_bytes());
                    }
                }
                self.t = end;
            }
            _ => return Err(Refusal::BadWord),
        }
        Ok(())
    }

    /// Appends the next value as MessagePack.
    pub fn value(&mut self, out: &mut Vec<u8>, depth: u32) -> Written {
        if depth > MAX_DEPTH {
            return Err(Refusal::BadWord);
        }
        let word = self.word()?;
        let payload = (word as u32 >> words::TAG_BITS) as usize;
        match word & 7 {
            words::INT => put_int(out, i64::from(word >> words::TAG_BITS)),
            words::STR => return self.string(out, payload),
            words::FLOAT => {
                let float = self.float()?;
                put_number(out, float);
            }
            words::MAP => {
                let shapes = self.shapes;
                let shape = shapes.get(payload).ok_or(Refusal::BadWord)?;
                out.extend_from_slice(&shape.head);
                for key in &shape.keys {
                    out.extend_from_slice(key);
                    self.value(out, depth + 1)?;
                }
            }
            words::ARRAY => {
                put_array_head(out, payload);
                for _ in 0..payload {
                    self.value(out, depth + 1)?;
                }
            }
            words::OPEN => {
                put_map_head(out, payload);
                for _ in 0..2 * payload {
                    self.value(out, depth + 1)?;
                }
            }
            words::BYTES => {
                let bytes = self.bytes(payload)?;
                put_bytes(out, bytes);
            }
            _ => return self.other(out, word),
        }
        Ok(())
    }

    fn other(&mut self, out: &mut Vec<u8>, word: i32) -> Written {
        match word {
            words::NULL => out.push(0xc0),
            words::FALSE => out.push(0xc2),
            words::TRUE => out.push(0xc3),
            words::BIG => {
                let value = self.float()?.to_bits() as i64;
                put_int(out, value);
            }
            words::BIG_UNSIGNED => {
                let value = self.float()?.to_bits();
                put_uint(out, value);
            }
            words::DATE => {
                let millis = self.float()? as i64;
                put_timestamp(out, millis.div_euclid(1000), millis.rem_euclid(1000) as u32 * 1_000_000);
            }
            words::EXT => {
                let code = self.word()? as i8;
                let head = self.word()?;
                if head & 7 != words::BYTES {
                    return Err(Refusal::BadWord);
                }
                let bytes = self.bytes((head as u32 >> words::TAG_BITS) as usize)?;
                put_ext(out, code, bytes);
            }
            // In place of a document that JavaScript could not put into words; the engine refuses it in its place.
            words::BAD => out.push(NO_DOCUMENT),
            _ => return Err(Refusal::BadWord),
        }
        Ok(())
    }
}

/// A number of JavaScript: an integer if it is one that JavaScript is sure of, else a float.
#[inline]
fn put_number(out: &mut Vec<u8>, number: f64) {
    let integer = number as i64;
    let same = integer as f64 == number && (integer != 0 || number.is_sign_positive());
    if same && (-MAX_SAFE..=MAX_SAFE).contains(&integer) {
        return put_int(out, integer);
    }
    out.push(0xcb);
    out.extend_from_slice(&number.to_be_bytes());
}

fn tagged<const N: usize>(out: &mut Vec<u8>, tag: u8, bytes: [u8; N]) {
    out.push(tag);
    out.extend_from_slice(&bytes);
}

#[inline]
fn put_uint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0x7f => out.push(value as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, value as u8]),
        0x100..=0xffff => tagged(out, 0xcd, (value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => tagged(out, 0xce, (value as u32).to_be_bytes()),
        _ => tagged(out, 0xcf, value.to_be_bytes()),
    }
}

/// Appends an integer.
#[inline]
pub fn put_int(out: &mut Vec<u8>, value: i64) {
    match value {
        0.. => put_uint(out, value as u64),
        -32..=-1 => out.push(value as u8),
        -0x80..=-33 => out.extend_from_slice(&[0xd0, value as u8]),
        -0x8000..=-0x81 => tagged(out, 0xd1, (value as i16).to_be_bytes()),
        -0x8000_0000..=-0x8001 => tagged(out, 0xd2, (value as i32).to_be_bytes()),
        _ => tagged(out, 0xd3, value.to_be_bytes()),
    }
}

fn put_str_head(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=31 => out.push(0xa0 | len as u8),
        32..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        0x100..=0xffff => tagged(out, 0xda, (len as u16).to_be_bytes()),
        _ => tagged(out, 0xdb, (len as u32).to_be_bytes()),
    }
}

/// Appends a string.
#[inline]
pub fn put_str(out: &mut Vec<u8>, text: &[u8]) {
    put_str_head(out, text.len());
    out.extend_from_slice(text);
}

#[inline(never)]
fn put_wide(out: &mut Vec<u8>, text: &[u16]) -> Written {
    if text.iter().all(|&unit| unit < 0x80) {
        put_str_head(out, text.len());
        out.extend(text.iter().map(|&unit| unit as u8));
        return Ok(());
    }
    let text = String::from_utf16(text).map_err(|_| Refusal::LoneSurrogate)?;
    put_str(out, text.as_bytes());
    Ok(())
}

/// Appends a binary.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..=0xff => out.extend_from_slice(&[0xc4, len as u8]),
        len @ 0x100..=0xffff => tagged(out, 0xc5, (len as u16).to_be_bytes()),
        len => tagged(out, 0xc6, (len as u32).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

/// Appends the head of an array.
pub fn put_array_head(out: &mut Vec<u8>, count: usize) {
    match count {
        0..=15 => out.push(0x90 | count as u8),
        16..=0xffff => tagged(out, 0xdc, (count as u16).to_be_bytes()),
        _ => tagged(out, 0xdd, (count as u32).to_be_bytes()),
    }
}

/// Appends the head of a map.
pub fn put_map_head(out: &mut Vec<u8>, count: usize) {
    match count {
        0..=15 => out.push(0x80 | count as u8),
        16..=0xffff => tagged(out, 0xde, (count as u16).to_be_bytes()),
        _ => tagged(out, 0xdf, (count as u32).to_be_bytes()),
    }
}

fn put_ext(out: &mut Vec<u8>, code: i8, bytes: &[u8]) {
    match bytes.len() {
        1 => out.push(0xd4),
        2 => out.push(0xd5),
        4 => out.push(0xd6),
        8 => out.push(0xd7),
        16 => out.push(0xd8),
        len @ 0..=0xff => out.extend_from_slice(&[0xc7, len as u8]),
        len @ 0x100..=0xffff => tagged(out, 0xc8, (len as u16).to_be_bytes()),
        len => tagged(out, 0xc9, (len as u32).to_be_bytes()),
    }
    out.push(code as u8);
    out.extend_from_slice(bytes);
}

/// A timestamp in its shortest form.
fn put_timestamp(out: &mut Vec<u8>, seconds: i64, nanos: u32) {
    let small = u64::try_from(seconds).ok().filter(|seconds| seconds >> 34 == 0);
    match small {
        Some(seconds) if nanos == 0 && seconds >> 32 == 0 => put_ext(out, -1, &(seconds as u32).to_be_bytes()),
        Some(seconds) => put_ext(out, -1, &(u64::from(nanos) << 34 | seconds).to_be_bytes()),
        None => {
            let mut bytes = [0; 12];
            bytes[..4].copy_from_slice(&nanos.to_be_bytes());
            bytes[4..].copy_from_slice(&seconds.to_be_bytes());
            put_ext(out, -1, &bytes);
        }
    }
}

/// Appends null.
pub fn put_null(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// Appends a boolean.
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(0xc2 | u8::from(value));
}

/// Appends an id.
pub fn put_id(out: &mut Vec<u8>, id: &Id) {
    match id {
        Id::Int(id) => put_int(out, *id),
        Id::UInt(id) => put_uint(out, *id),
        Id::String(id) => put_str(out, id.as_bytes()),
        Id::Bytes(id) => put_bytes(out, id),
    }
}
