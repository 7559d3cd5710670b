//! A slow, obvious validator: the oracle of the fast one.

use std::collections::HashSet;

use super::super::{Timestamp, MAX_DOCUMENT_DEPTH, RESERVED_EXT_CODES};

/// Whether `bytes` are one valid document.
pub(super) fn is_valid(bytes: &[u8]) -> bool {
    let is_map = matches!(bytes.first(), Some(0x80..=0x8f | 0xde | 0xdf));
    is_map && value(bytes, 1) == Some(bytes.len())
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    Some(bytes.get(at..at + width)?.iter().fold(0, |number, &byte| number * 256 + usize::from(byte)))
}

/// The length of the valid value at the front of `bytes`.
fn value(bytes: &[u8], level: u32) -> Option<usize> {
    let head = *bytes.first()?;
    let sized = |head_len: usize, len: usize| (bytes.len() >= head_len + len).then_some(head_len + len);
    match head {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Some(1),
        0xcc | 0xd0 => sized(1, 1),
        0xcd | 0xd1 => sized(1, 2),
        0xca | 0xce | 0xd2 => sized(1, 4),
        0xcb | 0xcf | 0xd3 => sized(1, 8),
        0xa0..=0xbf | 0xd9..=0xdb => text(bytes).map(|(end, _)| end),
        0xc4 => sized(2, number(bytes, 1, 1)?),
        0xc5 => sized(3, number(bytes, 1, 2)?),
        0xc6 => sized(5, number(bytes, 1, 4)?),
        0xd4..=0xd8 => ext(bytes, 1, 1 << (head - 0xd4)),
        0xc7 => ext(bytes, 2, number(bytes, 1, 1)?),
        0xc8 => ext(bytes, 3, number(bytes, 1, 2)?),
        0xc9 => ext(bytes, 5, number(bytes, 1, 4)?),
        0x90..=0x9f => children(bytes, 1, usize::from(head) - 0x90, level, false),
        0xdc => children(bytes, 3, number(bytes, 1, 2)?, level, false),
        0xdd => children(bytes, 5, number(bytes, 1, 4)?, level, false),
        0x80..=0x8f => children(bytes, 1, usize::from(head) - 0x80, level, true),
        0xde => children(bytes, 3, number(bytes, 1, 2)?, level, true),
        0xdf => children(bytes, 5, number(bytes, 1, 4)?, level, true),
        0xc1 => None,
    }
}

fn text(bytes: &[u8]) -> Option<(usize, &str)> {
    let (from, len) = match *bytes.first()? {
        head @ 0xa0..=0xbf => (1, usize::from(head) - 0xa0),
        0xd9 => (2, number(bytes, 1, 1)?),
        0xda => (3, number(bytes, 1, 2)?),
        0xdb => (5, number(bytes, 1, 4)?),
        _ => return None,
    };
    let text = std::str::from_utf8(bytes.get(from..from + len)?).ok()?;
    Some((from + len, text))
}

fn ext(bytes: &[u8], code_at: usize, len: usize) -> Option<usize> {
    let code = *bytes.get(code_at)? as i8;
    let payload = bytes.get(code_at + 1..code_at + 1 + len)?;
    let fine = if code == -1 { Timestamp::from_ext(payload).is_some() } else { !RESERVED_EXT_CODES.contains(&code) };
    fine.then_some(code_at + 1 + len)
}

fn children(bytes: &[u8], from: usize, count: usize, level: u32, map: bool) -> Option<usize> {
    if level > MAX_DOCUMENT_DEPTH {
        return None;
    }
    let mut at = from;
    let mut names = HashSet::new();
    for _ in 0..count {
        if map {
            let (len, name) = text(&bytes[at..])?;
            if !names.insert(name) {
                return None;
            }
            at += len;
        }
        at += value(&bytes[at..], level + 1)?;
    }
    Some(at)
}
