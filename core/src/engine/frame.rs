//! The payload of a commit frame: what the commit changed, resolved, so that replay makes no choice.
//!
//! ```text
//!   varint: ordinal of the first record | op | op | ...
//!
//!   put      01 | varint tree | varint length | document
//!   delete   02 | varint tree | varint length | key
//!   drop     03 | varint tree
//!
//!   key put     04 | varint tree | varint length | key | varint length | value        of a keyspace
//!   key delete  05 | varint tree | varint length | key
//!   key range   06 | varint tree | varint length | start | varint length | end        deleted up to before `end`
//!   key range   07 | varint tree | varint length | start                              deleted to the end of the tree
//! ```
//!
//! Records of the frame's puts get consecutive ordinals from the first one.

use crate::error::{Error, Result};
use crate::log::Frame;
use crate::sorted::MAX_KEY_BYTES;
use std::ops::Range;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const DROP_TREE: u8 = 3;
const KEY_PUT: u8 = 4;
const KEY_DELETE: u8 = 5;
const KEY_RANGE: u8 = 6;
const KEY_RANGE_OPEN: u8 = 7;

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op<'a> {
    /// The document with its `_id`, in stored form, replaces what was there.
    Put {
        /// The collection.
        tree: u32,
        /// The document.
        document: &'a [u8],
    },
    /// The document with this key is gone.
    Delete {
        /// The collection.
        tree: u32,
        /// Its canonical key.
        key: &'a [u8],
    },
    /// The collection or keyspace is gone.
    DropTree {
        /// The collection.
        tree: u32,
    },
    /// A key of a keyspace.
    Key {
        /// The keyspace.
        tree: u32,
        /// What happens to it.
        op: KeyOp<'a>,
    },
}

/// What happens to keys of a keyspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOp<'a> {
    /// The key has this value.
    Put(&'a [u8], &'a [u8]),
    /// The key is gone.
    Delete(&'a [u8]),
    /// All keys from the first to before the second, or to the end, are gone.
    DeleteRange(&'a [u8], Option<&'a [u8]>),
}

impl<'a> KeyOp<'a> {
    /// The key, or the first one.
    pub fn key(self) -> &'a [u8] {
        match self {
            KeyOp::Put(key, _) | KeyOp::Delete(key) | KeyOp::DeleteRange(key, _) => key,
        }
    }
}

/// Begins the payload of a frame.
pub fn begin(out: &mut Frame, first_ordinal: u64) {
    put_varint(out, first_ordinal);
}

/// Appends a put with its document, or a delete with its key, and says where in the frame that is.
pub fn push(out: &mut Frame, tree: u32, put: bool, bytes: &[u8]) -> Range<usize> {
    out.push(if put { PUT } else { DELETE });
    put_varint(out, tree.into());
    put_varint(out, bytes.len() as u64);
    out.extend(bytes)
}

/// Appends that a collection is gone.
pub fn push_drop(out: &mut Frame, tree: u32) {
    out.push(DROP_TREE);
    put_varint(out, tree.into());
}

/// Appends a change of a keyspace; of a put, says where in the frame the value stands.
pub fn push_key(out: &mut Frame, tree: u32, op: KeyOp<'_>) -> Range<usize> {
    let (code, parts) = match op {
        KeyOp::Put(key, value) => (KEY_PUT, [Some(key), Some(value)]),
        KeyOp::Delete(key) => (KEY_DELETE, [Some(key), None]),
        KeyOp::DeleteRange(start, Some(end)) => (KEY_RANGE, [Some(start), Some(end)]),
        KeyOp::DeleteRange(start, None) => (KEY_RANGE_OPEN, [Some(start), None]),
    };
    out.push(code);
    put_varint(out, tree.into());
    let mut last = 0..0;
    for part in parts.into_iter().flatten() {
        put_varint(out, part.len() as u64);
        last = out.extend(part);
    }
    last
}

fn put_varint(out: &mut Frame, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// An error that names the commit whose payload makes no sense, and where.
pub fn damaged(commit: u64, at: usize) -> Error {
    Error::corrupt("payload of a log frame (commit number in place of the page)", commit, at as u32, 0, 0)
}

/// Reads a payload; checks everything.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    commit: u64,
    first_ordinal: u64,
}

impl<'a> Reader<'a> {
    /// Over the payload of commit `commit`.
    pub fn new(bytes: &'a [u8], commit: u64) -> Result<Reader<'a>> {
        let mut reader = Reader { bytes, at: 0, commit, first_ordinal: 0 };
        reader.first_ordinal = reader.varint()?;
        if reader.first_ordinal > u64::MAX >> 2 {
            return Err(damaged(commit, 0));
        }
        Ok(reader)
    }

    /// Ordinal of the first put.
    pub fn first_ordinal(&self) -> u64 {
        self.first_ordinal
    }

    /// The next change.
    #[allow(clippy::should_implement_trait, reason = "it can fail, and ends at its first error")]
    pub fn next(&mut self) -> Result<Option<Op<'a>>> {
        let Some(&kind) = self.bytes.get(self.at) else { return Ok(None) };
        self.at += 1;
        let at = self.at;
        let tree = u32::try_from(self.varint()?).map_err(|_| damaged(self.commit, at))?;
        Ok(Some(match kind {
            PUT => Op::Put { tree, document: self.slice()? },
            DELETE => Op::Delete { tree, key: self.slice()? },
            DROP_TREE => Op::DropTree { tree },
            KEY_PUT => Op::Key { tree, op: KeyOp::Put(self.key()?, self.slice()?) },
            KEY_DELETE => Op::Key { tree, op: KeyOp::Delete(self.key()?) },
            KEY_RANGE => Op::Key { tree, op: KeyOp::DeleteRange(self.key()?, Some(self.key()?)) },
            KEY_RANGE_OPEN => Op::Key { tree, op: KeyOp::DeleteRange(self.key()?, None) },
            _ => return Err(damaged(self.commit, at)),
        }))
    }

    fn key(&mut self) -> Result<&'a [u8]> {
        let at = self.at;
        let key = self.slice()?;
        match key.len() <= MAX_KEY_BYTES {
            true => Ok(key),
            false => Err(damaged(self.commit, at)),
        }
    }

    fn slice(&mut self) -> Result<&'a [u8]> {
        let len = usize::try_from(self.varint()?).map_err(|_| damaged(self.commit, self.at))?;
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| damaged(self.commit, self.at))?;
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in 0..10 {
            let byte = *self.bytes.get(self.at).ok_or_else(|| damaged(self.commit, self.at))?;
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift * 7).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged(self.commit, self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_and_every_cut_of_it_is_an_error_or_a_prefix() {
        let ops = [
            Op::Put { tree: 300, document: &[7; 200] },
            Op::Delete { tree: 0, key: b"\x01" },
            Op::DropTree { tree: u32::MAX },
            Op::Key { tree: 3, op: KeyOp::Put(b"key", b"value") },
            Op::Key { tree: 3, op: KeyOp::Delete(b"") },
            Op::Key { tree: 3, op: KeyOp::DeleteRange(b"a", Some(b"b")) },
            Op::Key { tree: 3, op: KeyOp::DeleteRange(b"a", None) },
        ];
        let mut frame = Frame::default();
        frame.begin();
        begin(&mut frame, 1 << 40);
        push(&mut frame, 300, true, &[7; 200]);
        push(&mut frame, 0, false, b"\x01");
        push_drop(&mut frame, u32::MAX);
        for op in &ops[3..] {
            let Op::Key { tree, op } = op else { unreachable!() };
            push_key(&mut frame, *tree, *op);
        }
        let out = frame.payload();
        for len in 0..=out.len() {
            let Ok(mut reader) = Reader::new(&out[..len], 9) else { continue };
            let mut read = Vec::new();
            while let Ok(Some(op)) = reader.next() {
                read.push(op);
            }
            assert_eq!(read, ops[..read.len()]);
            assert_eq!(read.len() == ops.len(), len == out.len());
        }
    }
}
