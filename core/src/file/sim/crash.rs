//! Which of the changes that are not durable a power cut keeps.
//!
//! ```text
//!   file 1: w w g w   file 2: w g w w   directory: c r c
//!           0 1 2 3           4 5 6 7              8 9 10       index of each change
//! ```
//!
//! Changes of files are chosen one by one. The directory is a journal: of its changes a prefix is kept.

use super::inode::{Change, Keep};
use crate::env_sim::Rng;

/// What a power cut keeps of the changes that no sync has made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPolicy {
    /// Nothing.
    LoseAll,
    /// Everything.
    KeepAll,
    /// Each change is kept, lost or torn, as this seed has it.
    Random(u64),
    /// Everything but the change with this index, below [`super::SimDisk::pending`]. If it is one of the
    /// directory, the later ones of the directory are lost with it.
    LoseOne(usize),
    /// Only the change with this index. If it is one of the directory, the earlier ones of the
    /// directory are kept with it.
    KeepOne(usize),
    /// Like `KeepOne`, but a write is torn, as the seed has it.
    TearOne(usize, u64),
}

/// Takes the decisions of a policy, change by change in the order of their indexes.
pub(super) struct Chooser {
    policy: CrashPolicy,
    index: usize,
    rng: Rng,
    /// Of 100 changes, so many are kept whole, and so many more are torn.
    keep_percent: u64,
    tear_percent: u64,
}

impl Chooser {
    pub(super) fn new(policy: CrashPolicy) -> Chooser {
        let mut rng = Rng::new(match policy {
            CrashPolicy::Random(seed) | CrashPolicy::TearOne(_, seed) => seed,
            _ => 0,
        });
        // One bias for a whole image: states in which nearly all or nearly nothing survived are where
        // ordering mistakes show, and fair coins would hardly ever give them.
        let keep_percent = *rng.pick(&[5, 35, 60, 90]);
        let tear_percent = *rng.pick(&[0, 10, 25]);
        Chooser { policy, index: 0, rng, keep_percent, tear_percent }
    }

    /// Passes over `count` changes of a file that is gone anyway.
    pub(super) fn skip(&mut self, count: usize) {
        self.index += count;
    }

    /// What is kept of the next change of a file.
    pub(super) fn next(&mut self, change: &Change) -> Keep {
        let index = self.index;
        self.index += 1;
        let keep = match self.policy {
            CrashPolicy::LoseAll => false,
            CrashPolicy::KeepAll => true,
            CrashPolicy::LoseOne(i) => i != index,
            CrashPolicy::KeepOne(i) => i == index,
            CrashPolicy::TearOne(i, _) if i == index && matches!(change, Change::Write { .. }) => return self.tear(),
            CrashPolicy::TearOne(i, _) => i == index,
            CrashPolicy::Random(_) => return self.random(change),
        };
        if keep {
            Keep::Whole
        } else {
            Keep::Nothing
        }
    }

    /// How many of the `count` changes of the directory are kept; the first has index `first`.
    pub(super) fn directory_prefix(&mut self, first: usize, count: usize) -> usize {
        let at = |i: usize| i.checked_sub(first).filter(|&i| i < count);
        match self.policy {
            CrashPolicy::LoseAll => 0,
            CrashPolicy::KeepAll => count,
            CrashPolicy::LoseOne(i) => at(i).unwrap_or(count),
            CrashPolicy::KeepOne(i) | CrashPolicy::TearOne(i, _) => at(i).map_or(0, |i| i + 1),
            CrashPolicy::Random(_) => self.rng.below(count as u64 + 1) as usize,
        }
    }

    fn random(&mut self, change: &Change) -> Keep {
        let draw = self.rng.below(100);
        if draw < self.keep_percent {
            return Keep::Whole;
        }
        if draw >= self.keep_percent + self.tear_percent || !matches!(change, Change::Write { .. }) {
            return Keep::Nothing;
        }
        self.tear()
    }

    fn tear(&mut self) -> Keep {
        let mut rng = Rng::new(self.rng.next_u64());
        let style = rng.below(3);
        let mut border = None;
        Keep::Atoms(Box::new(move |i, count| {
            let border = *border.get_or_insert_with(|| rng.below(count as u64 + 1) as usize);
            match style {
                0 => i < border,
                1 => i >= border,
                _ => rng.chance(0.5),
            }
        }))
    }
}
