//! The MessagePack wire format: reading and writing the head of one value.
//!
//! ```text
//!   +------+-------------------+-----------------------+
//!   | head | length (0..4 B)   | payload or children   |
//!   +------+-------------------+-----------------------+
//! ```
//!
//! [`Reader`] walks bytes that nobody has checked: a length is compared with the bytes that are left
//! before it is used, a count with the fewest bytes that so many values can take. Writers use the
//! shortest form.

use crate::error::Error;

/// The extension code of timestamps, fixed by the MessagePack specification.
pub(crate) const TIMESTAMP_EXT: i8 = -1;

/// What is wrong with the bytes, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Offset in bytes from the start of what is read.
    pub offset: usize,
    /// The reason, or [`TOO_DEEP`].
    pub reason: &'static str,
}

/// The reason that becomes [`Error::DocumentTooDeep`].
pub(crate) const TOO_DEEP: &str = "nests too deep";
/// The reason for bytes that stop in the middle of a value.
pub(crate) const ENDS: &str = "the bytes end inside a value";
/// The reason for text that is not UTF-8.
pub(crate) const NOT_UTF8: &str = "a string is not valid UTF-8";
/// The reason for a map with a key of another type.
pub(crate) const KEY_NOT_STRING: &str = "a key is not a string";

impl From<Fault> for Error {
    #[cold]
    fn from(fault: Fault) -> Error {
        if fault.reason == TOO_DEEP {
            return Error::DocumentTooDeep { limit: super::MAX_DOCUMENT_DEPTH };
        }
        Error::MalformedDocument { offset: fault.offset, reason: fault.reason }
    }
}

/// The head of one value. Of strings, binaries and extensions the payload follows, of arrays and maps
/// that many children (a map's are pairs).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Head {
    Null,
    Bool(bool),
    Int(i64),
    /// Only above `i64::MAX`.
    UInt(u64),
    Float(f64),
    String(usize),
    Binary(usize),
    Ext(i8, usize),
    Array(usize),
    Map(usize),
}

/// A position in bytes that may hold anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Reads `N` bytes.
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let found = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let Some(found) = found else { return Err(Fault { offset: self.bytes.len(), reason: ENDS }) };
        self.at += N;
        Ok(*found)
    }

    /// Reads `len` bytes in place.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        if len > self.left() {
            return Err(Fault { offset: self.bytes.len(), reason: ENDS });
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    /// Reads `len` bytes of UTF-8 in place.
    #[inline]
    pub(crate) fn text(&mut self, len: usize) -> Result<&'a str, Fault> {
        let offset = self.at;
        std::str::from_utf8(self.take(len)?).map_err(|_| Fault { offset, reason: NOT_UTF8 })
    }

    /// Reads a map key.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<&'a str, Fault> {
        let offset = self.at;
        match self.head()? {
            Head::String(len) => self.text(len),
            _ => Err(Fault { offset, reason: KEY_NOT_STRING }),
        }
    }

    /// Reads the head of the next value and leaves the position behind it.
    #[inline]
    pub(crate) fn head(&mut self) -> Result<Head, Fault> {
        let start = self.at;
        let [byte] = self.array::<1>()?;
        let head = match byte {
            0x00..=0x7f => Head::Int(i64::from(byte)),
            0xe0..=0xff => Head::Int(i64::from(byte as i8)),
            0x80..=0x8f => Head::Map(usize::from(byte & 0x0f)),
            0x90..=0x9f => Head::Array(usize::from(byte & 0x0f)),
            0xa0..=0xbf => Head::String(usize::from(byte & 0x1f)),
            0xc0 => Head::Null,
            0xc1 => return Err(Fault { offset: start, reason: "byte 0xc1 is not used in MessagePack" }),
            0xc2 => Head::Bool(false),
            0xc3 => Head::Bool(true),
            0xc4..=0xc6 => Head::Binary(self.length(byte - 0xc4)?),
            0xc7..=0xc9 => {
                let len = self.length(byte - 0xc7)?;
                Head::Ext(self.ext_code()?, len)
            }
            0xca => Head::Float(f64::from(f32::from_be_bytes(self.array()?))),
            0xcb => Head::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Head::Int(i64::from(u8::from_be_bytes(self.array()?))),
            0xcd => Head::Int(i64::from(u16::from_be_bytes(self.array()?))),
            0xce => Head::Int(i64::from(u32::from_be_bytes(self.array()?))),
            0xcf => unsigned(u64::from_be_bytes(self.array()?)),
            0xd0 => Head::Int(i64::from(i8::from_be_bytes(self.array()?))),
            0xd1 => Head::Int(i64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => Head::Int(i64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => Head::Int(i64::from_be_bytes(self.array()?)),
            0xd4..=0xd8 => Head::Ext(self.ext_code()?, 1 << (byte - 0xd4)),
            0xd9..=0xdb => Head::String(self.length(byte - 0xd9)?),
            0xdc | 0xdd => Head::Array(self.length(byte - 0xdb)?),
            0xde | 0xdf => Head::Map(self.length(byte - 0xdd)?),
        };
        self.check_size(start, head)
    }

    /// A length or count of 1, 2 or 4 bytes.
    #[inline]
    fn length(&mut self, width_log2: u8) -> Result<usize, Fault> {
        Ok(match width_log2 {
            0 => usize::from(u8::from_be_bytes(self.array()?)),
            1 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    fn ext_code(&mut self) -> Result<i8, Fault> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    /// Refuses a head that promises more than the bytes that are left can hold.
    #[inline]
    fn check_size(&self, start: usize, head: Head) -> Result<Head, Fault> {
        let left = self.left();
        let (fits, reason) = match head {
            Head::String(len) | Head::Binary(len) | Head::Ext(_, len) => {
                (len <= left, "a length is larger than the bytes that are left")
            }
            Head::Array(count) => (count <= left, "an array has more elements than bytes are left"),
            Head::Map(count) => (count <= left / 2, "a map has more fields than bytes are left"),
            _ => return Ok(head),
        };
        if fits {
            Ok(head)
        } else {
            Err(Fault { offset: start, reason })
        }
    }

    /// Passes over one whole value. It needs no recursion: it counts the values that are still to come.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<(), Fault> {
        let mut pending = 1_u64;
        while pending > 0 {
            pending -= 1;
            match self.head()? {
                Head::String(len) | Head::Binary(len) | Head::Ext(_, len) => self.at += len,
                Head::Array(count) => pending += count as u64,
                Head::Map(count) => pending += 2 * count as u64,
                _ => {}
            }
        }
        Ok(())
    }
}

#[inline]
fn unsigned(value: u64) -> Head {
    i64::try_from(value).map_or(Head::UInt(value), Head::Int)
}

/// Where the writers write to.
pub(crate) trait Out {
    fn put(&mut self, bytes: &[u8]);
}

impl Out for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[inline]
pub(crate) fn write_uint(out: &mut impl Out, value: u64) {
    match value {
        0..=0x7f => out.put(&[value as u8]),
        0x80..=0xff => out.put(&[0xcc, value as u8]),
        0x100..=0xffff => write_tagged(out, 0xcd, (value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => write_tagged(out, 0xce, (value as u32).to_be_bytes()),
        _ => write_tagged(out, 0xcf, value.to_be_bytes()),
    }
}

pub(crate) fn write_int(out: &mut impl Out, value: i64) {
    match value {
        0.. => write_uint(out, value as u64),
        -32..=-1 => out.put(&[value as u8]),
        -0x80..=-33 => out.put(&[0xd0, value as u8]),
        -0x8000..=-0x81 => write_tagged(out, 0xd1, (value as i16).to_be_bytes()),
        -0x8000_0000..=-0x8001 => write_tagged(out, 0xd2, (value as i32).to_be_bytes()),
        _ => write_tagged(out, 0xd3, value.to_be_bytes()),
    }
}

pub(crate) fn write_float(out: &mut impl Out, value: f64) {
    write_tagged(out, 0xcb, value.to_be_bytes());
}

pub(crate) fn write_float32(out: &mut impl Out, value: f32) {
    write_tagged(out, 0xca, value.to_be_bytes());
}

pub(crate) fn write_bool(out: &mut impl Out, value: bool) {
    out.put(&[if value { 0xc3 } else { 0xc2 }]);
}

pub(crate) fn write_null(out: &mut impl Out) {
    out.put(&[0xc0]);
}

#[inline]
fn write_tagged<const N: usize>(out: &mut impl Out, tag: u8, bytes: [u8; N]) {
    out.put(&[tag]);
    out.put(&bytes);
}

/// Writes a string. A length of 4 GiB or more can't be expressed; the size limit of documents refuses it
/// long before, and until then the error is this one.
pub(crate) fn write_str(out: &mut impl Out, text: &str) -> Result<(), Error> {
    match count(text.len())? {
        len @ 0..=31 => out.put(&[0xa0 | len as u8]),
        len @ 32..=0xff => out.put(&[0xd9, len as u8]),
        len @ 0x100..=0xffff => write_tagged(out, 0xda, (len as u16).to_be_bytes()),
        len => write_tagged(out, 0xdb, len.to_be_bytes()),
    }
    out.put(text.as_bytes());
    Ok(())
}

pub(crate) fn write_bin(out: &mut impl Out, bytes: &[u8]) -> Result<(), Error> {
    match count(bytes.len())? {
        len @ 0..=0xff => out.put(&[0xc4, len as u8]),
        len @ 0x100..=0xffff => write_tagged(out, 0xc5, (len as u16).to_be_bytes()),
        len => write_tagged(out, 0xc6, len.to_be_bytes()),
    }
    out.put(bytes);
    Ok(())
}

pub(crate) fn write_ext(out: &mut impl Out, code: i8, bytes: &[u8]) -> Result<(), Error> {
    match count(bytes.len())? {
        1 => out.put(&[0xd4]),
        2 => out.put(&[0xd5]),
        4 => out.put(&[0xd6]),
        8 => out.put(&[0xd7]),
        16 => out.put(&[0xd8]),
        len @ 0..=0xff => out.put(&[0xc7, len as u8]),
        len @ 0x100..=0xffff => write_tagged(out, 0xc8, (len as u16).to_be_bytes()),
        len => write_tagged(out, 0xc9, len.to_be_bytes()),
    }
    out.put(&[code as u8]);
    out.put(bytes);
    Ok(())
}

pub(crate) fn write_array_head(out: &mut impl Out, len: usize) -> Result<(), Error> {
    match count(len)? {
        len @ 0..=15 => out.put(&[0x90 | len as u8]),
        len @ 16..=0xffff => write_tagged(out, 0xdc, (len as u16).to_be_bytes()),
        len => write_tagged(out, 0xdd, len.to_be_bytes()),
    }
    Ok(())
}

pub(crate) fn write_map_head(out: &mut impl Out, len: usize) -> Result<(), Error> {
    match count(len)? {
        len @ 0..=15 => out.put(&[0x80 | len as u8]),
        len @ 16..=0xffff => write_tagged(out, 0xde, (len as u16).to_be_bytes()),
        len => write_tagged(out, 0xdf, len.to_be_bytes()),
    }
    Ok(())
}

fn count(len: usize) -> Result<u32, Error> {
    u32::try_from(len)
        .map_err(|_| Error::DocumentTooLarge { bytes: len as u64, limit: super::DEFAULT_MAX_DOCUMENT_BYTES as u64 })
}
