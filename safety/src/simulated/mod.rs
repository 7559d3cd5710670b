//! The lanes on the simulated disk: a seeded workload, cut at every operation in many ways, and failed at every
//! operation in turn. See `docs/testing.md`.
//!
//! ```text
//!   workload (seed) --> model: the state after each commit
//!                   \-> simulated disk --> every crash state, every failure --> open, verify, compare
//!
//!   crash      each state once: distinct disk images
//!   nested     the recovery of some, cut in the same way; and the recovery of some of those
//!   io_error   each operation fails in turn, then the machine goes on, dies, or loses its power
//! ```

mod backup;
mod cut;
mod errors;
mod history;
mod model;
mod read_only;
mod scenarios;
mod watch;
mod workload;

use crate::lane::{Lane, Tally};
use cut::Cutting;
use nyro::Durability;
use workload::{Parameters, Shape};

/// Crash states.
pub static CRASH: Lane = Lane {
    name: "crash",
    what: "power cuts and dead processes at every disk operation of a workload",
    unit: crash,
    standard: 200,
    goal: 300_000,
    weight: 6,
    jobs: 0,
    possible: || Ok(()),
    met: |tally| {
        tally.at_least(&[
            ("checkpoints", 100),
            ("busy checkpoints", 100),
            ("large documents", 50),
            ("drops", 50),
            ("reopenings", 50),
            ("segments", 50),
            ("compactions", 10),
            ("bytes moved", 100_000),
            ("left to reclaim", 1),
            ("waves", 2),
            ("ranges", 100),
            ("bytes of runs", 1 << 20),
        ])
    },
};

/// Crashes of recoveries.
pub static NESTED: Lane = Lane {
    name: "nested",
    what: "the recovery after a crash is cut, too, and the recovery after that",
    unit: nested,
    standard: 14,
    goal: 30_000,
    weight: 3,
    jobs: 0,
    possible: || Ok(()),
    met: |tally| tally.at_least(&[("recoveries cut", 200), ("recoveries of recoveries cut", 20)]),
};

/// Failing operations.
pub static IO_ERROR: Lane = Lane {
    name: "io_error",
    what: "every disk operation fails in turn, once or from then on; then on, dead, or cut",
    unit: io_error,
    standard: 20,
    goal: 8_000,
    weight: 4,
    jobs: 0,
    possible: || Ok(()),
    met: |tally| tally.at_least(&[("failed calls", 5_000), ("handles stopped", 500)]),
};

const SYNC: Parameters =
    Parameters { seed: 0, shape: Shape::Mixed, steps: 40, durability: Durability::Sync, tight: false, light: false };

/// The kinds of workload, one after another.
fn parameters(index: u64, seed: u64) -> Parameters {
    let base = Parameters { seed, ..SYNC };
    match index % 10 {
        0 if index % 40 != 0 => base,
        1 | 6 => Parameters { tight: true, ..base },
        2 => Parameters { durability: Durability::Manual, ..base },
        3 => Parameters { shape: Shape::Waves, ..base },
        4 => Parameters { durability: Durability::Interval(5), ..base },
        5 => Parameters { shape: Shape::Churn, ..base },
        // The crash lane has other things to do at most of 7 and 9.
        0 | 7 => Parameters { shape: Shape::Keys, ..base },
        9 => Parameters { shape: Shape::Keys, tight: true, ..base },
        _ => base,
    }
}

fn crash(index: u64, seed: u64, tally: &mut Tally) {
    match index % 50 {
        7 | 27 => return read_only::read_everywhere(&parameters(index / 7, seed), 1, 4, tally),
        17 => return backup::cut(seed, tally),
        37 => return backup::cut_after_dying(seed, tally),
        8 | 28 | 48 => return scenarios::rot(&parameters(index / 9, seed), tally),
        9 | 29 => return scenarios::stricter(&Parameters { seed, ..SYNC }, tally),
        18 => return scenarios::moved(&parameters(index / 9, seed), tally),
        19 | 39 => return scenarios::dropped(&Parameters { seed, ..SYNC }, tally),
        _ => {}
    }
    let p = Parameters { steps: if tally.short { 16 } else { 40 }, ..parameters(index, seed) };
    let run = cut::record(&p, tally);
    let stride = match p.shape {
        Shape::Mixed => 1,
        Shape::Waves | Shape::Churn => 4,
        Shape::Keys => 4,
    };
    let random = if tally.short { 3 } else { 9 };
    cut::everywhere(&p, &run, Cutting { stride, random, nest: None }, tally);
}

fn nested(index: u64, seed: u64, tally: &mut Tally) {
    let p = Parameters { steps: if tally.short { 10 } else { 40 }, ..parameters(index, seed) };
    let run = cut::record(&p, &mut Tally::default());
    cut::everywhere(&p, &run, Cutting { stride: 1, random: 1, nest: Some(400) }, tally);
}

fn io_error(index: u64, seed: u64, tally: &mut Tally) {
    match index {
        7 => return backup::fail(tally),
        17 => return backup::fail_elsewhere(tally),
        _ => {}
    }
    let p = Parameters { steps: if tally.short { 8 } else { 30 }, ..parameters(index, seed) };
    errors::everywhere(&p, if p.shape == Shape::Mixed { 1 } else { 3 }, tally);
}
