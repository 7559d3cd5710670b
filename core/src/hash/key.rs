//! From a key to its hash.
//!
//! ```text
//!   integer  v >> 4 --SipHash--> h          hash = h ^ (v & 15) << 12
//!            v & 15 ------------------------------------^
//!   other    all bytes --SipHash--> hash
//! ```
//!
//! The low 4 bits of an integer stay out of the path: 16 neighbouring ids share a leaf, so ids that
//! are given in order are also loaded in order, leaf by leaf. In the leaf they are spread evenly over
//! the lines, as the highest of the slot bits. The hash is keyed with random numbers of the file, so
//! nobody outside can choose ids that collide.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// Hashed in front of an integer without its low 4 bits.
const INTEGER: u8 = 0;
/// Hashed in front of the bytes of any other key.
const BYTES: u8 = 1;

/// Bits of an integer that do not take part in the path.
const NEIGHBOUR_BITS: u32 = 4;
/// Where they go: to the top of the 16 slot bits.
const NEIGHBOUR_SHIFT: u32 = 16 - NEIGHBOUR_BITS;

/// The hash of a key: 48 bits of path, then 16 slot bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub u64);

/// The key of the hash function, drawn at random when a file is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashKey(pub [u64; 2]);

impl HashKey {
    /// The hash of `key`, the canonical MessagePack bytes of an id.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        if let Some(id) = integer(key) {
            // Shifted right by 4, every 64-bit integer, signed or not, fits in an i64.
            return self.hash_group((id >> NEIGHBOUR_BITS) as i64, id as u64);
        }
        let mut sip = SipHasher13::new_with_keys(self.0[0], self.0[1]);
        sip.write(&[BYTES]);
        sip.write(key);
        KeyHash(sip.finish())
    }

    /// The hash of the key of a non-negative integer, without looking at its bytes.
    #[inline]
    pub fn hash_integer(&self, id: u64) -> KeyHash {
        self.hash_group((id >> NEIGHBOUR_BITS) as i64, id)
    }

    /// The hash of the integer whose bits but the lowest are `group`, and whose lowest are those of `low`.
    #[inline]
    fn hash_group(&self, group: i64, low: u64) -> KeyHash {
        let neighbour = low & ((1 << NEIGHBOUR_BITS) - 1);
        KeyHash(sip_13_of_9(self.0, INTEGER, group as u64) ^ neighbour << NEIGHBOUR_SHIFT)
    }
}

/// SipHash-1-3 of the 9 bytes of `first` and of `rest`, little-endian: the first word, the last byte
/// with the length, and the three rounds of the end.
#[inline]
fn sip_13_of_9(key: [u64; 2], first: u8, rest: u64) -> u64 {
    fn round(v: &mut [u64; 4]) {
        v[0] = v[0].wrapping_add(v[1]);
        v[2] = v[2].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[1]);
        v[0] = v[0].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].rotate_left(32);
    }
    let mut v = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    for word in [rest << 8 | u64::from(first), 9 << 56 | rest >> 56] {
        v[3] ^= word;
        round(&mut v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    (0..3).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

/// The value of a MessagePack integer, or `None` if `key` is anything else.
fn integer(key: &[u8]) -> Option<i128> {
    let (&head, rest) = key.split_first()?;
    Some(match (head, rest) {
        (0x00..=0x7f, []) => i128::from(head),
        (0xe0..=0xff, []) => i128::from(head as i8),
        (0xcc, &[a]) => i128::from(a),
        (0xd0, &[a]) => i128::from(a as i8),
        (0xcd, &[a, b]) => i128::from(u16::from_be_bytes([a, b])),
        (0xd1, &[a, b]) => i128::from(i16::from_be_bytes([a, b])),
        (0xce, _) => i128::from(u32::from_be_bytes(rest.try_into().ok()?)),
        (0xd2, _) => i128::from(i32::from_be_bytes(rest.try_into().ok()?)),
        (0xcf, _) => i128::from(u64::from_be_bytes(rest.try_into().ok()?)),
        (0xd3, _) => i128::from(i64::from_be_bytes(rest.try_into().ok()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: HashKey = HashKey([1, 2]);

    #[test]
    fn sixteen_neighbouring_integers_share_the_path_and_no_slot() {
        for group in [0u64, 1, 7, 1 << 27, (1 << 60) - 1] {
            let hashes: Vec<u64> = (0..16)
                .map(|low| {
                    let mut key = vec![0xcf];
                    key.extend_from_slice(&(group << 4 | low).to_be_bytes());
                    KEY.hash(&key).0
                })
                .collect();
            assert!(hashes.iter().all(|h| h >> 16 == hashes[0] >> 16));
            let slots: std::collections::HashSet<u64> = hashes.iter().map(|h| h & 0xffff).collect();
            assert_eq!(slots.len(), 16);
        }
    }

    #[test]
    fn the_hash_of_an_integer_depends_on_its_value_only() {
        let seven = KEY.hash(&[7]);
        assert_eq!(KEY.hash(&[0xcc, 7]), seven);
        assert_eq!(KEY.hash(&[0xd1, 0, 7]), seven);
        assert_eq!(KEY.hash(&[0xd3, 0, 0, 0, 0, 0, 0, 0, 7]), seven);
        assert_eq!(KEY.hash(&[0xff]), KEY.hash(&[0xd2, 0xff, 0xff, 0xff, 0xff]));
        assert_ne!(KEY.hash(&[0xff]), KEY.hash(&[0xcf, 255, 255, 255, 255, 255, 255, 255, 255]));
    }

    #[test]
    fn the_hash_of_an_integer_is_that_of_its_nine_bytes() {
        let mut v = 1u64;
        for i in 0..100_000u64 {
            v = v.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i) >> (i % 7);
            let key = HashKey([v.rotate_left(17), v ^ i]);
            for group in [v, !v, i, u64::MAX - i] {
                let mut bytes = [INTEGER; 9];
                bytes[1..].copy_from_slice(&group.to_le_bytes());
                let expected = SipHasher13::new_with_keys(key.0[0], key.0[1]).hash(&bytes);
                assert_eq!(sip_13_of_9(key.0, INTEGER, group), expected);
            }
            assert_eq!(key.hash_integer(v), key.hash(&[&[0xcf][..], &v.to_be_bytes()].concat()));
        }
        assert_eq!(KEY.hash_integer(7), KEY.hash(&[7]));
    }

    #[test]
    fn integers_strings_and_malformed_keys_hash_apart() {
        let keys: [&[u8]; 9] =
            [b"", b"\x07", b"\xa1\x07", b"\xc4\x01\x07", b"\x07\x07", b"\xcd\x07", b"\xce\x07", b"\xcf", b"\xc1"];
        let hashes: std::collections::HashSet<u64> = keys.iter().map(|key| KEY.hash(key).0 >> 16).collect();
        assert_eq!(hashes.len(), keys.len());
    }

    #[test]
    fn hashes_never_change() {
        // They are in files: a change here is a change of the format. The numbers come from another
        // implementation of SipHash-1-3.
        assert_eq!(KEY.hash(&[7]).0, GOLDEN_INTEGER);
        assert_eq!(KEY.hash(b"\xa3abc").0, GOLDEN_STRING);
    }

    const GOLDEN_INTEGER: u64 = 10637598562817161733;
    const GOLDEN_STRING: u64 = 8669681301072668509;
}
