//! The tail of a run: what leads to its leaves, its filter, and the ranges it deletes.
//!
//! ```text
//!   0       64            leaves x 8   x 2     + 1 x 4
//!   +------+--------+------------------+--------+---------+------------+--------+--------+------------+
//!   | head | prefix | heads            | places | offsets | separators | filter | ranges | first, last|
//!   +------+--------+------------------+--------+---------+------------+--------+--------+------------+
//!
//!   separator i   the shortest key above all of leaf i - 1 and not above the first of leaf i
//!   place i       the page of leaf i, counted from the first page of the run
//!   range         varint, start | varint, end     ascending, disjoint; deleted in the layers below
//! ```
//!
//! It lies in an extent behind the leaves. There is room for a model of the keys: where its place is named, a search
//! may begin with it instead of the heads.

use super::filter::{self, FilterHash, BLOCK_BYTES};
use super::merge::TREE_BYTES;
use super::{search, MAX_KEY_BYTES};
use crate::error::{Error, Result};
use crate::file::page::{get_u16, get_u32, get_u64, PageNo};
use std::ops::Range;

const LEAVES_AT: usize = 0;
const PREFIX_BYTES_AT: usize = 4;
const OFFSETS_AT: usize = 8;
const FILTER_AT: usize = 12;
const FILTER_BYTES_AT: usize = 16;
const RANGES_AT: usize = 20;
const RANGES_COUNT_AT: usize = 24;
const KEYS_AT: usize = 28;
const FIRST_BYTES_AT: usize = 32;
const LAST_BYTES_AT: usize = 36;
#[cfg(test)]
const MODEL_AT: usize = 40;
#[cfg(test)]
const MODEL_BYTES_AT: usize = 44;
const HEAD_BYTES: usize = 64;

/// Field names of `docs/file-format.md` and where the code has them.
#[cfg(test)]
pub(crate) const LAYOUT: crate::format_tests::Layout = &[
    ("leaves", LEAVES_AT),
    ("prefix bytes", PREFIX_BYTES_AT),
    ("offsets", OFFSETS_AT),
    ("filter", FILTER_AT),
    ("filter bytes", FILTER_BYTES_AT),
    ("ranges", RANGES_AT),
    ("range count", RANGES_COUNT_AT),
    ("keys", KEYS_AT),
    ("first bytes", FIRST_BYTES_AT),
    ("last bytes", LAST_BYTES_AT),
    ("model", MODEL_AT),
    ("model bytes", MODEL_BYTES_AT),
    ("zero", MODEL_BYTES_AT + 4),
    ("", HEAD_BYTES),
];

/// What a tail is made of.
#[derive(Debug, Default)]
pub struct TailParts {
    /// Of each leaf, its separator (of the first: the first key, or nothing) and its place.
    pub leaves: Vec<(Vec<u8>, u16)>,
    /// The keys with an entry.
    pub hashes: Vec<FilterHash>,
    /// The ranges that it deletes: start, end; ascending, disjoint. Whole keys.
    pub ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// The first key, of entries and ranges.
    pub first: Vec<u8>,
    /// The last key, or the end of the last range.
    pub last: Vec<u8>,
}

fn put(to: &mut [u8], at: usize, value: usize) {
    to[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len();
    while length >= 0x80 {
        to.push(length as u8 | 0x80);
        length >>= 7;
    }
    to.push(length as u8);
    to.extend_from_slice(bytes);
}

impl TailParts {
    /// The bytes of the tail.
    pub fn encode(&self) -> Vec<u8> {
        let prefix = match (self.leaves.first(), self.leaves.last()) {
            (Some((first, _)), Some((last, _))) => search::common(first, last),
            _ => 0,
        };
        let mut to = vec![0; HEAD_BYTES];
        put(&mut to, LEAVES_AT, self.leaves.len());
        put(&mut to, PREFIX_BYTES_AT, prefix);
        to.extend_from_slice(self.leaves.first().map_or(&[], |(first, _)| &first[..prefix]));
        for (separator, _) in &self.leaves {
            to.extend_from_slice(&super::memtable::head_of(&separator[prefix..]).to_le_bytes());
        }
        for (_, place) in &self.leaves {
            to.extend_from_slice(&place.to_le_bytes());
        }
        let at = to.len();
        put(&mut to, OFFSETS_AT, at);
        let mut offset = 0;
        for (separator, _) in &self.leaves {
            to.extend_from_slice(&(offset as u32).to_le_bytes());
            offset += separator.len() - prefix;
        }
        to.extend_from_slice(&(offset as u32).to_le_bytes());
        self.leaves.iter().for_each(|(separator, _)| to.extend_from_slice(&separator[prefix..]));
        let filter = filter::build(&self.hashes);
        let at = to.len();
        put(&mut to, FILTER_AT, at);
        put(&mut to, FILTER_BYTES_AT, filter.len());
        to.extend_from_slice(&filter);
        let at = to.len();
        put(&mut to, RANGES_AT, at);
        put(&mut to, RANGES_COUNT_AT, self.ranges.len());
        for (start, end) in &self.ranges {
            put_bytes(&mut to, start);
            put_bytes(&mut to, end);
        }
        let at = to.len();
        put(&mut to, KEYS_AT, at);
        put(&mut to, FIRST_BYTES_AT, self.first.len());
        put(&mut to, LAST_BYTES_AT, self.last.len());
        to.extend_from_slice(&self.first);
        to.extend_from_slice(&self.last);
        to
    }
}

/// A tail to read. Nothing in it is trusted.
#[derive(Debug, Clone, Copy)]
pub struct Tail<'a> {
    bytes: &'a [u8],
    page: PageNo,
    leaves: usize,
    prefix: &'a [u8],
    heads: &'a [u8],
    places: &'a [u8],
    offsets: &'a [u8],
    separators: &'a [u8],
}

/// A range that a run deletes in the layers below it: from the first key to before the second.
pub type RunRange<'a> = (&'a [u8], &'a [u8]);

impl<'a> Tail<'a> {
    /// The tail in the extent at `page`.
    #[inline]
    pub fn open(bytes: &'a [u8], page: PageNo) -> Result<Tail<'a>> {
        Tail::parse(bytes, page).ok_or_else(|| {
            let got = bytes.get(..4).map_or(0, |bytes| get_u32(bytes, 0));
            Error::corrupt("tail of a run", page.0, LEAVES_AT as u32, bytes.len() as u64, got.into())
        })
    }

    #[inline]
    fn parse(bytes: &'a [u8], page: PageNo) -> Option<Tail<'a>> {
        let head = bytes.first_chunk::<HEAD_BYTES>()?;
        let leaves = get_u32(head, LEAVES_AT) as usize;
        let prefix = get_u32(head, PREFIX_BYTES_AT) as usize;
        let (prefix, rest) = bytes.get(HEAD_BYTES..)?.split_at_checked(prefix)?;
        // No overflow: each is below 2^32.
        let (heads, rest) = rest.split_at_checked(leaves * 8)?;
        let (places, rest) = rest.split_at_checked(leaves * 2)?;
        let (offsets, separators) = rest.split_at_checked(leaves * 4 + 4)?;
        Some(Tail { bytes, page, leaves, prefix, heads, places, offsets, separators })
    }

    fn bad(&self, at: usize, what: &'static str, expected: usize, got: usize) -> Error {
        Error::corrupt(what, self.page.0, at as u32, expected as u64, got as u64)
    }

    /// Leaves of the run.
    pub fn leaves(&self) -> usize {
        self.leaves
    }

    /// The page of leaf `at`, which there is, counted from the first of the run.
    pub fn place(&self, at: usize) -> u64 {
        get_u16(self.places, at * 2).into()
    }

    /// The separator of leaf `at`, without the prefix.
    pub fn separator(&self, at: usize) -> Result<&'a [u8]> {
        let (from, to) = (get_u32(self.offsets, at * 4) as usize, get_u32(self.offsets, at * 4 + 4) as usize);
        let found = if from <= to { self.separators.get(from..to) } else { None };
        found.ok_or_else(|| self.bad(OFFSETS_AT, "tail of a run (separator)", self.separators.len(), to))
    }

    /// What all separators begin with.
    pub fn prefix(&self) -> &'a [u8] {
        self.prefix
    }

    /// The leaf that has the key, if any has it; the last one with a key below it for `before`.
    #[inline]
    pub fn find(&self, key: &[u8], before: bool) -> Result<usize> {
        let common = search::common(self.prefix, key);
        if common < self.prefix.len() {
            let below = key.get(common).is_none_or(|byte| *byte < self.prefix[common]);
            return Ok(if below { 0 } else { self.leaves.saturating_sub(1) });
        }
        let suffix = &key[common..];
        let head = |at: usize| get_u64(self.heads, at * 8);
        let is_below = |at: usize| {
            let separator = self.separator(at)?;
            Ok(if before { separator < suffix } else { separator <= suffix })
        };
        let sought = super::memtable::head_of(suffix);
        Ok(search::count_below(self.leaves, head, sought, is_below)?.saturating_sub(1))
    }

    /// Where the filter says that it is.
    pub fn filter_place(&self) -> Range<usize> {
        let (at, length) = (get_u32(self.bytes, FILTER_AT) as usize, get_u32(self.bytes, FILTER_BYTES_AT) as usize);
        at..at + length
    }

    /// The filter's blocks.
    pub fn filter(&self) -> Result<&'a [u8]> {
        let place = self.filter_place();
        let (at, length) = (place.start, place.len());
        let blocks = self.bytes.get(place).filter(|blocks| blocks.len() % BLOCK_BYTES == 0);
        blocks.ok_or_else(|| self.bad(FILTER_AT, "tail of a run (filter)", self.bytes.len(), at + length))
    }

    /// False when the run surely has no entry of a key.
    #[inline]
    pub fn may_hold(&self, hash: FilterHash) -> Result<bool> {
        Ok(filter::may_hold(self.filter()?, hash))
    }

    /// Reads the ranges.
    pub fn ranges(&self) -> Result<Vec<RunRange<'a>>> {
        let mut at = get_u32(self.bytes, RANGES_AT) as usize;
        let count = get_u32(self.bytes, RANGES_COUNT_AT) as usize;
        let mut found = Vec::new();
        for _ in 0..count {
            let range = (self.part(&mut at)?, self.part(&mut at)?);
            if range.0 >= range.1 || found.last().is_some_and(|(_, end): &RunRange<'_>| *end > range.0) {
                return Err(self.bad(at, "tail of a run (order of the ranges)", 1, 0));
            }
            found.push(range);
        }
        Ok(found)
    }

    fn part(&self, at: &mut usize) -> Result<&'a [u8]> {
        let mut length = 0usize;
        for shift in [0, 7, 14, 21] {
            let byte = *self.bytes.get(*at).ok_or_else(|| self.bad(*at, "tail of a run (range)", 1, 0))?;
            *at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let part = self.bytes.get(*at..*at + length);
                *at += length;
                return part.ok_or_else(|| self.bad(*at, "tail of a run (range)", self.bytes.len(), *at));
            }
        }
        Err(self.bad(*at, "tail of a run (range)", 1, 0))
    }

    /// The first key, and the last one or the end of the last range.
    pub fn keys(&self) -> Result<(&'a [u8], &'a [u8])> {
        let [at, first, last] =
            [KEYS_AT, FIRST_BYTES_AT, LAST_BYTES_AT].map(|field| get_u32(self.bytes, field) as usize);
        if first.max(last) > TREE_BYTES + MAX_KEY_BYTES + 1 {
            return Err(self.bad(KEYS_AT, "tail of a run (length of a key)", MAX_KEY_BYTES, first.max(last)));
        }
        let keys = self.bytes.get(at..at + first).zip(self.bytes.get(at + first..at + first + last));
        keys.ok_or_else(|| self.bad(KEYS_AT, "tail of a run (first and last key)", self.bytes.len(), at + first + last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> TailParts {
        let leaves = [&b"aa"[..], b"aab", b"aac00000001", b"aac00000002", b"aad"];
        TailParts {
            leaves: leaves.iter().zip([0, 1, 3, 4, 5]).map(|(key, place)| (key.to_vec(), place)).collect(),
            hashes: (0..50u8).map(|n| FilterHash::of(1, &[n])).collect(),
            ranges: vec![(b"a".to_vec(), b"aa".to_vec()), (b"ab".to_vec(), vec![b'b'; 300])],
            first: b"a".to_vec(),
            last: vec![b'b'; 300],
        }
    }

    #[test]
    fn a_tail_leads_to_the_leaf_of_each_key() {
        let (parts, bytes) = (sample(), sample().encode());
        let tail = Tail::open(&bytes, PageNo(5)).expect("whole");
        assert_eq!((tail.leaves(), tail.prefix(), tail.place(2)), (5, &b"aa"[..], 3));
        let find = |key: &[u8], before| tail.find(key, before).expect("whole");
        for (key, at) in [
            (&b""[..], 0),
            (b"aa", 0),
            (b"aaa", 0),
            (b"aab", 1),
            (b"aac00000001", 2),
            (b"aac000000011", 2),
            (b"aac00000002", 3),
            (b"aad", 4),
            (b"b", 4),
        ] {
            assert_eq!(find(key, false), at, "{key:?}");
        }
        assert_eq!((find(b"aab", true), find(b"aac00000002", true), find(b"aac00000003", true)), (0, 2, 3));
        assert!((0..50u8).all(|n| tail.may_hold(FilterHash::of(1, &[n])).expect("whole")));
        let ranges: Vec<(Vec<u8>, Vec<u8>)> =
            tail.ranges().expect("whole").into_iter().map(|(a, b)| (a.to_vec(), b.to_vec())).collect();
        assert_eq!(ranges, parts.ranges);
        assert_eq!(tail.keys().expect("whole"), (&parts.first[..], &parts.last[..]));
    }

    #[test]
    fn a_key_longer_than_any_is_an_error() {
        for (length, fits) in [(65_540, true), (65_541, false)] {
            let bytes = TailParts { last: vec![7; length], ..sample() }.encode();
            assert_eq!(Tail::open(&bytes, PageNo(5)).expect("whole").keys().is_ok(), fits);
        }
    }

    #[test]
    fn no_byte_of_a_tail_makes_reading_it_panic() {
        let whole = sample().encode();
        for at in 0..whole.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = byte;
                let Ok(tail) = Tail::open(&bytes, PageNo(5)) else { continue };
                let _ = tail.find(b"aac00000002", false);
                let _ = (tail.may_hold(FilterHash(77)), tail.ranges(), tail.keys());
                for leaf in 0..tail.leaves() {
                    let _ = (tail.place(leaf), tail.separator(leaf));
                }
            }
        }
        for length in 0..whole.len() {
            if let Ok(tail) = Tail::open(&whole[..length], PageNo(5)) {
                let _ = (tail.find(b"aab", true), tail.may_hold(FilterHash(7)), tail.ranges(), tail.keys());
            }
        }
    }
}
