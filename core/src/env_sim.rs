//! Time, randomness and threads that a test decides.
//!
//! ```text
//!   seed -> Rng -> SimEnv::random        the same numbers in every run
//!   test -> SimEnv::advance -> monotonic the clock stands still until told
//!           SimEnv::spawn = None         background work waits until the test steps it
//! ```
//!
//! [`Rng`] is also what the tests draw their own random cases from.

use crate::env::{Env, Job};
use crate::sync::Mutex;
use std::time::Duration;

/// A small random generator with a fixed sequence for each seed (SplitMix64). Fit for test cases, not
/// for secrets.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The generator of `seed`.
    pub fn new(seed: u64) -> Self {
        Rng { state: seed }
    }

    /// The next number, uniform over all 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 where `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        ((self.next_u64() >> 11) as f64) < p * (1u64 << 53) as f64
    }

    /// `len` random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        out.truncate(len);
        out
    }

    /// Puts the items in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }

    /// One of the items, which must not be empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

/// The seed of a random test: `NYRO_SEED` if it is set (decimal, or hexadecimal after `0x`), else
/// `default`. It is printed, which a test shows when it fails.
pub fn seed(default: u64) -> u64 {
    let given = std::env::var("NYRO_SEED").ok().map(|text| {
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => text.parse(),
        };
        parsed.unwrap_or_else(|_| panic!("NYRO_SEED={text} is not a number"))
    });
    let seed = given.unwrap_or(default);
    println!("NYRO_SEED={seed}");
    seed
}

/// An environment that repeats exactly from its seed.
#[derive(Debug)]
pub struct SimEnv {
    rng: Mutex<Rng>,
    now: Mutex<Duration>,
}

impl SimEnv {
    /// An environment whose clock stands at zero.
    pub fn new(seed: u64) -> Self {
        SimEnv { rng: Mutex::new(Rng::new(seed)), now: Mutex::new(Duration::ZERO) }
    }

    /// Moves the clock ahead.
    pub fn advance(&self, by: Duration) {
        *self.now.lock() += by;
    }
}

impl Env for SimEnv {
    fn monotonic(&self) -> Duration {
        *self.now.lock()
    }

    fn random(&self) -> u64 {
        self.rng.lock().next_u64()
    }

    fn spawn(&self, _name: &str, _job: Job) -> Option<std::thread::JoinHandle<()>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_one_others() {
        let draw = |seed| {
            (0..8)
                .map({
                    let e = SimEnv::new(seed);
                    move |_| e.random()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        // First outputs of SplitMix64 for seed 0, as published with the algorithm.
        let mut rng = Rng::new(0);
        assert_eq!([rng.next_u64(), rng.next_u64()], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
    }

    #[test]
    fn below_reaches_every_number_and_none_beyond() {
        let mut rng = Rng::new(7);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[rng.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1200).contains(&n)), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn chance_bytes_and_shuffle_do_what_they_say() {
        let mut rng = Rng::new(7);
        let hits = (0..10_000).filter(|_| rng.chance(0.25)).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
        assert!(!(0..100).any(|_| rng.chance(0.0)) && (0..100).all(|_| rng.chance(1.0)));
        assert_eq!(rng.bytes(13).len(), 13);
        let mut orders = std::collections::BTreeMap::new();
        for _ in 0..6_000 {
            let mut items = ["a", "b", "c"];
            rng.shuffle(&mut items);
            *orders.entry(items.concat()).or_insert(0) += 1;
        }
        assert_eq!(orders.len(), 6, "{orders:?}");
        assert!(orders.values().all(|n| (850..1150).contains(n)), "{orders:?}");
    }

    #[test]
    fn the_clock_stands_still_until_it_is_advanced() {
        let env = SimEnv::new(0);
        assert_eq!(env.monotonic(), Duration::ZERO);
        env.advance(Duration::from_millis(5));
        assert_eq!(env.monotonic(), Duration::from_millis(5));
        assert!(env.spawn("none", Box::new(|| ())).is_none());
    }
}
