//! The filter of a run: says "surely not here" of nearly all keys that are not there.
//!
//! ```text
//!   hash  ->  one block of 32 bytes (half a cache line)  ->  one bit in each of its 8 words
//! ```
//!
//! A split-block Bloom filter (Putze, Sanders and Singler, 2007; the layout is that of Apache Parquet): one cache miss
//! a question. At [`BITS_A_KEY`] about one of a hundred keys that are not there passes.

use crate::file::page::get_u32;
use crate::plant::{planted, Bug};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bits for each key.
pub const BITS_A_KEY: u64 = 11;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 32;

const WORDS: usize = BLOCK_BYTES / 4;
const SALTS: [u32; WORDS] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// What filters know of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterHash(pub u64);

impl FilterHash {
    /// Of a key with the number of its tree in front; `seed` is the file's own.
    pub fn of(seed: u64, key: &[u8]) -> FilterHash {
        FilterHash(xxh3_64_with_seed(key, seed))
    }

    fn block(self, blocks: usize) -> usize {
        ((u128::from(self.0) * blocks as u128) >> 64) as usize
    }

    fn mask(self, word: usize) -> u32 {
        1 << ((self.0 as u32).wrapping_mul(SALTS[word]) >> 27)
    }
}

/// Makes the filter of these keys.
pub fn build(hashes: &[FilterHash]) -> Vec<u8> {
    let hashes = if planted(Bug::FilterWithoutLast) { hashes.split_last().map_or(hashes, |it| it.1) } else { hashes };
    let blocks = (hashes.len() as u64 * BITS_A_KEY).div_ceil(BLOCK_BYTES as u64 * 8) as usize;
    let mut words = vec![0u32; blocks * WORDS];
    for hash in hashes {
        let block = hash.block(blocks) * WORDS;
        for (word, bits) in words[block..block + WORDS].iter_mut().enumerate() {
            *bits |= hash.mask(word);
        }
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// False when the key is surely not among those that the filter was made of. `blocks`: whole blocks.
#[inline]
pub fn may_hold(blocks: &[u8], hash: FilterHash) -> bool {
    let count = blocks.len() / BLOCK_BYTES;
    if count == 0 {
        return false;
    }
    let at = hash.block(count) * BLOCK_BYTES;
    let block = &blocks[at..at + BLOCK_BYTES];
    (0..WORDS).fold(true, |all, word| all & (get_u32(block, word * 4) & hash.mask(word) != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_always_passes_and_of_the_rest_one_in_a_hundred() {
        let hash = |n: u64| FilterHash::of(7, &n.to_be_bytes());
        for count in [0, 1, 10, 1000, 20_000] {
            let filter = build(&(0..count).map(hash).collect::<Vec<_>>());
            assert!((0..count).all(|n| may_hold(&filter, hash(n))));
            let passed = (1_000_000..1_100_000).filter(|n| may_hold(&filter, hash(*n))).count();
            assert!(passed < 1200, "{passed} of 100 000, {count} keys");
        }
    }
}
