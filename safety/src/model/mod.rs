//! The lane `model`: random operations against plain maps.
//!
//! ```text
//!   list   operations as data --> run with several setups --> each answer as the plain maps say, and the same
//!                                       |                     with all options (simulated disk, one thread)
//!                                       +--> fails: made small, and printed
//!   threads, bank                        several threads, on real files and the simulated disk
//! ```

mod bank;
mod generate;
mod ops;
mod plain;
mod run;
mod setup;
mod shrink;
mod threads;
mod writer;

pub use bank::stay_open;

use crate::lane::{Failure, Lane, Tally};
use nyro::testing::Rng;
use ops::Op;
use run::Broken;
use setup::Setup;
use shrink::Case;
use std::fmt::Write;
use std::time::Duration;

/// See the module's text.
pub static MODEL: Lane = Lane {
    name: "model",
    what: "random operations against plain maps, the same with all options; threads; a bank",
    unit,
    standard: 60,
    goal: 3_000_000,
    weight: 4,
    jobs: 0,
    possible: || Ok(()),
    met,
};

/// Operations of a list.
const LENGTH: usize = 3000;
/// Setups that each list is run with, beside the plain one.
const SETUPS: usize = 3;
/// How long a failing list is made smaller.
const SHRINKING: Duration = Duration::from_secs(30);

fn unit(index: u64, seed: u64, tally: &mut Tally) {
    match index % 20 {
        1 => bank::unit(seed, tally),
        10 => threads::unit(seed, tally),
        _ => list(seed, tally),
    }
}

fn met(tally: &Tally) -> Result<(), String> {
    tally.at_least(&[
        ("after three checkpoints", 1000),
        ("collections dropped", 1000),
        ("checkpoints", 10_000),
        ("calls inside of checkpoints", 1000),
        ("compactions", 100),
        ("reopenings", 300),
        ("dead processes", 300),
        ("large documents", 1000),
        ("large values", 100),
        ("keys put", 50_000),
        ("ranges of keys deleted", 3_000),
        ("keyspaces dropped", 100),
        ("bytes of runs", 10_000_000),
        ("setups", 150),
        ("threads", 20),
    ])?;
    let (all, back) = (tally.counted("transactions"), tally.counted("rolled back"));
    match (25..=35).contains(&(back * 100 / all.max(1))) {
        true => Ok(()),
        false => Err(format!("{back} of {all} transactions rolled back")),
    }
}

/// One list, with several setups.
fn list(seed: u64, tally: &mut Tally) {
    let mut rng = Rng::new(seed ^ 0x5e7_0b5);
    let ops = generate::list(seed, LENGTH);
    let mut answers = None;
    for number in 0..=SETUPS {
        let setups = match number {
            0 => vec![Setup::default()],
            _ => (0..1 + rng.below(2)).map(|_| Setup::random(&mut rng)).collect(),
        };
        tally.count("setups", 1);
        match run::run(&ops, &setups, seed) {
            Ok((digest, counts)) => {
                counts.tell(tally);
                if *answers.get_or_insert(digest) != digest {
                    crate::lane::lost(format!("{setups:#?} gave other answers than the plain setup"));
                }
            }
            // Where a bug is hunted nobody reads the list.
            Err(Broken { failure, .. }) if tally.short => return tally.fail(failure),
            Err(Broken { at, failure }) => {
                let text = explain(ops, setups, seed, at, &failure);
                tally.fail(Failure { lost: failure.lost, text });
                return;
            }
        }
    }
}

/// The failure, with the smallest list that was found to fail.
fn explain(mut ops: Vec<Op>, setups: Vec<Setup>, seed: u64, at: usize, failure: &Failure) -> String {
    let mut text = format!("operation {at} of the list: {}\n", failure.text);
    // Said at once: what is smaller may hang.
    println!("model: seed {seed} fails and is made small: {text}");
    ops.truncate(at + 1);
    let case = Case { ops, setups, failure: String::new() };
    let mut tries = 0;
    let small = shrink::shrink(case, SHRINKING, &mut |ops, setups| {
        tries += 1;
        let broken = run::run(ops, setups, seed).err()?;
        Some((broken.at, broken.failure.text))
    });
    let _ = writeln!(text, "a list of {} fails, too ({tries} tried): {}", small.ops.len(), small.failure);
    for setup in &small.setups {
        let _ = writeln!(text, "  {setup:?}");
    }
    for (at, op) in small.ops.iter().enumerate() {
        let _ = writeln!(text, "  {at:>3} {op}");
    }
    text
}
