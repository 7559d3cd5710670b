//! Short strings in a few instructions: is it ASCII, and what is its fingerprint?
//!
//! A document of eight fields holds a dozen short strings, and each key has to be compared with the keys
//! before it. Both questions are answered from the same 8-byte loads:
//!
//! ```text
//!   "name"                load 8 bytes, keep 4:   6e 61 6d 65 00 00 00 00   -> high bits, fingerprint
//!   "measurement"         two loads that overlap: [measurem] [surement]
//! ```
//!
//! Equal keys have equal fingerprints. The reverse is not promised: whoever finds equal fingerprints
//! compares the bytes.

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// The fingerprint of `bytes[at..at + len]`, and whether it is all ASCII.
///
/// Requires: `at + len <= bytes.len()`.
#[inline]
pub(crate) fn fingerprint(bytes: &[u8], at: usize, len: usize) -> (u64, bool) {
    if len <= 8 {
        let word = load_prefix(bytes, at, len);
        return ((word ^ len as u64).wrapping_mul(MIX), word & HIGH_BITS == 0);
    }
    let (mut hash, mut seen) = (len as u64, 0);
    let mut offset = 0;
    while offset < len {
        // The last load overlaps the one before it, so that no bytes outside are read.
        let word = load(bytes, at + offset.min(len - 8));
        seen |= word;
        hash = (hash.rotate_left(23) ^ word).wrapping_mul(MIX);
        offset += 8;
    }
    (hash, seen & HIGH_BITS == 0)
}

/// Whether `bytes[at..at + len]` is valid UTF-8.
///
/// Requires: `at + len <= bytes.len()`.
#[inline]
pub(crate) fn is_utf8(bytes: &[u8], at: usize, len: usize) -> bool {
    let high_bits = match len {
        0..=8 => load_prefix(bytes, at, len),
        9..=16 => load(bytes, at) | load(bytes, at + len - 8),
        17..=128 => {
            let mut seen = load(bytes, at + len - 8);
            for word in bytes[at..at + len].chunks_exact(16) {
                seen |= load(word, 0) | load(word, 8);
            }
            seen | load(bytes, at + len - 16)
        }
        // The library's loop is the faster one for long text.
        _ => HIGH_BITS,
    };
    high_bits & HIGH_BITS == 0 || std::str::from_utf8(&bytes[at..at + len]).is_ok()
}

/// [`is_utf8`] for at most 31 bytes: without a branch on the length, unless they are among the last of all.
///
/// Requires: `at + len <= bytes.len()`, `len < 32`.
#[inline(always)]
pub(crate) fn is_short_text(bytes: &[u8], at: usize, len: usize) -> bool {
    let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<32>()) else {
        return is_utf8(bytes, at, len);
    };
    let mask = &HIGH_BITS_OF_FIRST[len % 32];
    let high_bits =
        load(chunk, 0) & mask[0] | load(chunk, 8) & mask[1] | load(chunk, 16) & mask[2] | load(chunk, 24) & mask[3];
    high_bits == 0 || is_utf8(bytes, at, len)
}

/// The high bits of the first bytes of 32, by their number.
const HIGH_BITS_OF_FIRST: [[u64; 4]; 32] = {
    let mut masks = [[0; 4]; 32];
    let mut len = 0;
    while len < 32 {
        let mut at = 0;
        while at < len {
            masks[len][at / 8] |= 0x80 << (at % 8 * 8);
            at += 1;
        }
        len += 1;
    }
    masks
};

#[inline(always)]
fn load(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(HIGH_BITS, |word| u64::from_le_bytes(*word))
}

/// The first `len <= 8` bytes at `at`, the others zero.
#[inline]
fn load_prefix(bytes: &[u8], at: usize, len: usize) -> u64 {
    let keep = if len == 0 { 0 } else { u64::MAX >> (64 - 8 * len) };
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(word) => u64::from_le_bytes(*word) & keep,
        // The last bytes of the document: no eight of them are left.
        None => bytes[at..at + len].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// Keys of one map with more than a few fields, to be searched for a duplicate at its end.
///
/// An entry is (upper 32 bits of the fingerprint, offset of the key's head), so sorting integers brings
/// equal keys together, and only neighbours with equal fingerprints are compared as bytes. An
/// adversary who makes fingerprints equal gets a sort by bytes: n log n comparisons, never n².
#[derive(Default)]
pub(crate) struct KeySet {
    entries: Vec<u64>,
}

impl KeySet {
    #[inline]
    pub(crate) fn push(&mut self, fingerprint: u64, head_at: usize) {
        debug_assert!(u32::try_from(head_at).is_ok());
        self.entries.push(fingerprint & !0xffff_ffff | head_at as u64);
    }

    /// The offset of the head of a key that is there twice (the first one found, its later place).
    /// `key_at` gives the bytes of the key whose head stands at an offset.
    pub(crate) fn duplicate<'a>(mut self, key_at: impl Fn(usize) -> &'a [u8]) -> Option<usize> {
        let offset = |entry: u64| (entry & 0xffff_ffff) as usize;
        self.entries.sort_unstable();
        for run in self.entries.chunk_by_mut(|a, b| a >> 32 == b >> 32) {
            if run.len() > 1 {
                run.sort_unstable_by(|&a, &b| key_at(offset(a)).cmp(key_at(offset(b))).then(a.cmp(&b)));
                let twin = run.windows(2).find(|pair| key_at(offset(pair[0])) == key_at(offset(pair[1])));
                if let Some(pair) = twin {
                    return Some(offset(pair[1]));
                }
            }
        }
        None
    }
}
