//! The options that must not change any answer.

use nyro::testing::{read_mode, Rng, TestConfig};
use nyro::{Durability, Options, ReadMode};

/// How a database is opened, and how often its background work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    pub durability: Durability,
    pub cache_bytes: u64,
    pub log_max_bytes: u64,
    pub read_mode: ReadMode,
    pub region_pages: u32,
    pub segment_bytes: u64,
    pub reclaim_bytes: u64,
    pub slice_pages: u64,
    pub shape: (u32, u64),
    /// Operations between two steps of the background work; 0 for none but when a writer has to wait.
    pub step_every: u32,
}

impl Default for Setup {
    fn default() -> Setup {
        let TestConfig { region_pages, segment_bytes, reclaim_bytes, slice_pages, shape, .. } = TestConfig::default();
        Setup {
            durability: Durability::Sync,
            cache_bytes: 16 << 20,
            log_max_bytes: 64 << 10,
            read_mode: read_mode(),
            region_pages,
            segment_bytes,
            reclaim_bytes,
            slice_pages,
            shape,
            step_every: 10,
        }
    }
}

impl Setup {
    /// One at random.
    pub fn random(rng: &mut Rng) -> Setup {
        Setup {
            durability: *rng.pick(&[Durability::Sync, Durability::Interval(5), Durability::Manual]),
            cache_bytes: *rng.pick(&[64 << 10, 256 << 10, 1 << 20, 16 << 20]),
            log_max_bytes: *rng.pick(&[16 << 10, 24 << 10, 64 << 10, 256 << 10, 4 << 20]),
            read_mode: *rng.pick(&[ReadMode::Mapped, ReadMode::Pread]),
            region_pages: *rng.pick(&[4, 8, 16, 64, 256]),
            segment_bytes: *rng.pick(&[8 << 10, 16 << 10, 64 << 10, 256 << 10]),
            reclaim_bytes: *rng.pick(&[0, 4 << 10, 16 << 10, 1 << 20]),
            slice_pages: *rng.pick(&[1, 6, 100, 1 << 16]),
            shape: (*rng.pick(&[2, 4, 16, 256]), *rng.pick(&[0, 24 << 10, 256 << 10])),
            step_every: *rng.pick(&[0, 1, 10, 100]),
        }
    }

    /// Commits made inside of a checkpoint do no checkpoint themselves, which would wait for the first one.
    pub fn roomy(&self) -> bool {
        self.log_max_bytes >= 64 << 10 && self.cache_bytes >= 256 << 10
    }

    pub fn config(&self) -> TestConfig {
        let options = Options {
            durability: self.durability,
            cache_bytes: self.cache_bytes,
            log_max_bytes: self.log_max_bytes,
            read_mode: self.read_mode,
            ..Options::default()
        };
        TestConfig {
            options,
            region_pages: self.region_pages,
            segment_bytes: self.segment_bytes,
            reclaim_bytes: self.reclaim_bytes,
            slice_pages: self.slice_pages,
            shape: self.shape,
            ..TestConfig::default()
        }
    }

    /// The same with one option as it is by default, for each that is not.
    pub fn plainer(&self) -> Vec<Setup> {
        let plain = Setup::default();
        let all = [
            Setup { durability: plain.durability, ..self.clone() },
            Setup { cache_bytes: plain.cache_bytes, ..self.clone() },
            Setup { log_max_bytes: plain.log_max_bytes, ..self.clone() },
            Setup { read_mode: plain.read_mode, ..self.clone() },
            Setup { region_pages: plain.region_pages, ..self.clone() },
            Setup { segment_bytes: plain.segment_bytes, ..self.clone() },
            Setup { reclaim_bytes: plain.reclaim_bytes, ..self.clone() },
            Setup { slice_pages: plain.slice_pages, ..self.clone() },
            Setup { shape: plain.shape, ..self.clone() },
            Setup { step_every: plain.step_every, ..self.clone() },
        ];
        all.into_iter().filter(|setup| setup != self).collect()
    }
}
