//! The entries that all stores get, from one seed, and which of them are asked for.

use crate::data::{below, Random, SEED};
use crate::store::{Entry, Key, VALUE_BYTES};

/// Random bytes that values are parts of: more than any compression looks back for a match.
const POOL_BYTES: usize = 1 << 20;
/// The first number of those whose keys no store has.
pub const ABSENT: u64 = 1 << 40;
/// How uneven the zipfian choice is, as in YCSB.
const ZIPFIAN: f64 = 0.99;

/// A number for a number, different for different ones.
fn mix(number: u64) -> u64 {
    Random(number).next()
}

/// The key of a number: in no order that a number would tell.
pub fn key(number: u64) -> Key {
    let mut key = [0; 16];
    let first = mix(number + SEED);
    key[..8].copy_from_slice(&first.to_be_bytes());
    key[8..].copy_from_slice(&mix(first ^ SEED).to_be_bytes());
    key
}

/// Values, random bytes all of them.
pub struct Values(Vec<u8>);

impl Values {
    /// Makes them.
    pub fn new() -> Values {
        let mut random = Random(SEED + 20);
        Values((0..POOL_BYTES / 8).flat_map(|_| random.next().to_le_bytes()).collect())
    }

    /// The value that the key of a number has after so many changes.
    pub fn of(&self, number: u64, changes: u64) -> &[u8] {
        let from = mix(number ^ changes << 48) as usize % (POOL_BYTES - VALUE_BYTES);
        &self.0[from..][..VALUE_BYTES]
    }

    /// The entry of a number.
    pub fn entry(&self, number: u64, changes: u64) -> Entry<'_> {
        (key(number), self.of(number, changes))
    }
}

/// `count` numbers below `limit`, each chosen anew.
pub fn picks(count: usize, limit: usize, seed: u64) -> Vec<u64> {
    let mut random = Random(SEED + seed);
    (0..count).map(|_| below(&mut random, limit as u64)).collect()
}

/// Ranks by Zipf's law, the lowest ones most often (Gray and others, 1994; as YCSB does it).
pub struct Zipfian {
    count: u64,
    sum: f64,
    alpha: f64,
    eta: f64,
}

impl Zipfian {
    /// Of so many ranks.
    pub fn new(count: u64) -> Zipfian {
        let zeta = |count: u64| (1..=count).map(|rank| (rank as f64).powf(-ZIPFIAN)).sum::<f64>();
        let sum = zeta(count);
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - ZIPFIAN)) / (1.0 - zeta(2) / sum);
        Zipfian { count, sum, alpha: 1.0 / (1.0 - ZIPFIAN), eta }
    }

    /// The next rank.
    pub fn next(&self, random: &mut Random) -> u64 {
        let unit = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let scaled = unit * self.sum;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(ZIPFIAN) {
            return 1;
        }
        let rank = self.count as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.count - 1)
    }

    /// The next number: a rank, scattered over all numbers.
    pub fn scattered(&self, random: &mut Random) -> u64 {
        mix(self.next(random) ^ SEED << 32) % self.count
    }
}
