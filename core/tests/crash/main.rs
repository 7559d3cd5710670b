//! The proof of crash safety: a seeded workload on the simulated disk, cut at every operation in many
//! ways, and failed at every operation in turn. See `docs/testing.md`.
//!
//! ```text
//!   workload (seed) --> model: the state after each commit
//!                   \-> simulated disk --> every crash state, every failure --> open, verify, compare
//! ```
//!
//! A failing case names its seed; `NYRO_SEED` runs all lanes from another one.

mod crashes;
mod errors;
mod history;
mod model;
mod watch;
mod workload;

use crashes::{cut_everywhere, record, Tally};
use errors::fail_everywhere;
use nyro::testing::seed;
use nyro::Durability;
use std::time::Instant;
use workload::{Parameters, Shape};

fn crash_lane(name: &str, first_seed: u64, seeds: u64, base: Parameters, stride: u64, random: u64) -> Tally {
    let start = Instant::now();
    let mut tally = Tally::default();
    for seed in first_seed..first_seed + seeds {
        let p = Parameters { seed, ..base };
        println!("{name}: NYRO_SEED={seed}");
        let run = record(&p, &mut tally);
        cut_everywhere(&p, &run, stride, random, &mut tally);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{name} | {} cases | {} distinct | {} nested | {seconds:.1} s",
        tally.cases,
        tally.distinct.len(),
        tally.nested
    );
    println!("{name}: {:?}", tally.counts);
    tally
}

#[test]
fn a_crash_at_any_operation_leaves_a_prefix_of_the_commits_that_holds_every_acknowledged_one() {
    let base = Parameters { seed: 0, shape: Shape::Mixed, steps: 120, durability: Durability::Sync, tight: false };
    crash_lane("crash sync", seed(100), 4, base, 1, 3);
}

fn error_lane(name: &str, first_seed: u64, seeds: u64, base: Parameters, stride: u64) -> Tally {
    let start = Instant::now();
    let mut tally = Tally::default();
    for seed in first_seed..first_seed + seeds {
        println!("{name}: NYRO_SEED={seed}");
        fail_everywhere(&Parameters { seed, ..base }, stride, &mut tally);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{name} | {} cases | {} distinct | {seconds:.1} s", tally.cases, tally.distinct.len());
    println!("{name}: {:?}", tally.counts);
    tally
}

#[test]
fn an_error_at_any_operation_changes_nothing_or_stops_writing_and_loses_nothing_acknowledged() {
    let base = Parameters { seed: 0, shape: Shape::Mixed, steps: 60, durability: Durability::Sync, tight: false };
    error_lane("errors sync", seed(200), 8, base, 1);
}
