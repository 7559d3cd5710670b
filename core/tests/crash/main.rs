//! The proof of crash safety: a seeded workload on the simulated disk, cut at every operation in many
//! ways, and failed at every operation in turn. See `docs/testing.md`.
//!
//! ```text
//!   workload (seed) --> model: the state after each commit
//!                   \-> simulated disk --> every crash state, every failure --> open, verify, compare
//! ```
//!
//! A failing case names its seed; `NYRO_SEED` runs all lanes from another one.

mod backup;
mod cost;
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

/// Runs a lane, and asserts that each of its runs held enough of what it is for.
fn crash_lane(name: &str, first_seed: u64, seeds: u64, base: Parameters, stride: u64, random: u64) -> Tally {
    let start = Instant::now();
    let mut tally = Tally::default();
    for seed in first_seed..first_seed + seeds {
        let p = Parameters { seed, ..base };
        println!("{name}: NYRO_SEED={seed}");
        let before = tally.counts;
        let run = record(&p, &mut tally);
        assert!(tally.counts.checkpoints >= before.checkpoints + 5, "{name}: few checkpoints: {:?}", tally.counts);
        println!("{name}: {} operations, {} commits", run.disk.operations(), run.history.states.len());
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
    let c = &tally.counts;
    assert!(c.busy_checkpoints >= 5 * seeds || base.tight, "{name}: few commits inside of checkpoints");
    assert!(c.large > 0 && c.drops > 0 && c.reopenings > 0 && c.segments > 2 * seeds, "{name}: {c:?}");
    let churn = base.shape == Shape::Churn;
    assert!(!churn || c.compactions > 0 && c.moved > 20_000 * seeds, "{name}: records hardly moved: {c:?}");
    assert!(!churn || c.pending > 0, "{name}: nothing was ever left to reclaim: {c:?}");
    assert!(c.waves > 0 || base.shape != Shape::Waves, "{name}: no leaf split and merged");
    tally
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
    println!("{name}: {} failed calls, {} handles stopped", tally.counts.failures, tally.counts.stopped);
    assert!(tally.counts.failures > tally.cases / 2 && tally.counts.stopped > 0, "{name}: {:?}", tally.counts);
    tally
}

const SYNC: Parameters =
    Parameters { seed: 0, shape: Shape::Mixed, steps: 100, durability: Durability::Sync, tight: false };

#[test]
fn a_crash_at_any_operation_leaves_a_prefix_of_the_commits_that_holds_every_acknowledged_one() {
    crash_lane("crash sync", seed(100), 3, SYNC, 1, 3);
}

#[test]
fn a_crash_while_leaves_split_and_merge_leaves_a_prefix_of_the_commits() {
    crash_lane("crash waves", seed(300), 2, Parameters { shape: Shape::Waves, ..SYNC }, 3, 1);
}

#[test]
fn a_crash_while_records_move_leaves_a_prefix_of_the_commits() {
    crash_lane("crash churn", seed(900), 2, Parameters { shape: Shape::Churn, ..SYNC }, 5, 1);
}

#[test]
fn an_error_while_records_move_changes_nothing_or_stops_writing_and_loses_nothing_acknowledged() {
    let churn = Parameters { shape: Shape::Churn, steps: 60, ..SYNC };
    error_lane("errors churn", seed(950), 1, churn, 3);
}

#[test]
fn a_crash_under_the_least_limits_leaves_a_prefix_of_the_commits() {
    crash_lane("crash tight", seed(400), 2, Parameters { tight: true, ..SYNC }, 1, 2);
}

#[test]
fn a_crash_without_sync_on_commit_leaves_a_prefix_that_holds_the_last_sync() {
    crash_lane("crash manual", seed(500), 2, Parameters { durability: Durability::Manual, ..SYNC }, 1, 3);
    crash_lane("crash interval", seed(600), 1, Parameters { durability: Durability::Interval(5), ..SYNC }, 1, 3);
}

#[test]
fn an_error_at_any_operation_changes_nothing_or_stops_writing_and_loses_nothing_acknowledged() {
    error_lane("errors sync", seed(200), 2, Parameters { steps: 60, ..SYNC }, 1);
    error_lane("errors tight", seed(700), 1, Parameters { steps: 60, tight: true, ..SYNC }, 1);
}

#[test]
fn an_error_without_sync_on_commit_loses_nothing_promised() {
    let manual = Parameters { steps: 60, durability: Durability::Manual, ..SYNC };
    error_lane("errors manual", seed(800), 2, manual, 1);
}
