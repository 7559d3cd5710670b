//! The lane of the fuzzer's targets: each input of the corpus, and seeded mutations of them.
//!
//! ```text
//!   fuzz/corpus/<target>/*  --> as it is                                     --> target: no panic, no hang, memory
//!                           \-> bits, bytes, cuts, pieces of other inputs   -->
//! ```
//!
//! `make test-fuzz` lets libFuzzer look for new ones. What it finds becomes a file of the corpus.

#[cfg(test)]
mod seeds;
mod targets;

use crate::batch::{self, Case, Mark};
use crate::lane::{Lane, Tally};
use nyro::testing::Rng;
use std::path::Path;
use targets::TARGETS;

/// Mutations of a unit.
const CASES: u64 = 1_000;
/// Units of a target.
const UNITS: u64 = 5;
/// Longest input.
const MOST_BYTES: usize = 64 << 10;

pub static FUZZ: Lane = Lane {
    name: "fuzz",
    what: "the fuzzer's targets over their corpus and mutations of it",
    unit: mutations,
    standard: UNITS * TARGETS.len() as u64,
    goal: 20_000,
    weight: 2,
    // As in the lane of damaged files.
    jobs: 1,
    possible: || Ok(()),
    met: |tally| {
        let targets: Vec<(&str, u64)> = TARGETS.iter().map(|(name, _, _)| (*name, UNITS * CASES)).collect();
        tally.at_least(&targets)?;
        // A document that was changed anywhere is seldom one any more.
        let least = |name: &str| if name == "document" { 150 } else { 1_000 };
        let taken: Vec<(&str, u64)> = TARGETS.iter().map(|(name, taken, _)| (*taken, least(name))).collect();
        tally.at_least(&taken)
    },
};

/// The inputs of a target, in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut inputs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            (path.file_name().expect("a name").to_string_lossy().into_owned(), std::fs::read(&path).expect("reads"))
        })
        .collect();
    inputs.sort();
    inputs
}

fn mutations(index: u64, seed: u64, tally: &mut Tally) {
    let (name, taken, target) = TARGETS[(index % TARGETS.len() as u64) as usize];
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "the corpus of {name} is empty");
    // The first unit of a target begins with the corpus itself.
    let as_they_are = if index < TARGETS.len() as u64 { corpus.len() as u64 } else { 0 };
    let count = as_they_are + CASES;
    let case = |at: u64| {
        let (what, input) = match corpus.get(at as usize).filter(|_| at < as_they_are) {
            Some((file, input)) => (file.clone(), input.clone()),
            None => {
                let mut rng = Rng::new(seed << 20 ^ at);
                let (file, input) = rng.pick(&corpus).clone();
                (format!("{file}, mutated"), mutate(input, &corpus, &mut rng))
            }
        };
        let shown: String = input.iter().take(200).map(|byte| format!("{byte:02x}")).collect();
        let run = Box::new(move |marks: &batch::Marks<'_>| marks.count(Mark::Deep, u64::from(target(&input))));
        Case { name: format!("{name} {at} ({what}: {shown})"), bytes: 1 << 20, run }
    };
    batch::run(count, &case, tally);
    tally.count(name, count);
    tally.count(taken, tally.counted("inputs that were taken"));
}

/// A few changes of the kinds that libFuzzer makes.
fn mutate(mut input: Vec<u8>, corpus: &[(String, Vec<u8>)], rng: &mut Rng) -> Vec<u8> {
    // Mostly one or two: what is changed in many places is seldom taken.
    let most = 1 + rng.below(6);
    for _ in 0..1 + rng.below(most) {
        let length = input.len() as u64;
        let at = rng.below(length.max(1)) as usize;
        match rng.below(8) {
            _ if input.is_empty() => input.push(rng.next_u64() as u8),
            0 => input[at] ^= 1 << rng.below(8),
            1 => input[at] = rng.next_u64() as u8,
            2 => input[at] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            3 => input.insert(at, rng.next_u64() as u8),
            4 => drop(input.drain(at..(at + 1 + rng.below(8) as usize).min(input.len()))),
            5 => input.truncate(at.max(1)),
            6 => {
                let other = &rng.pick(corpus).1;
                let from = rng.below(other.len().max(1) as u64) as usize;
                let to = (from + rng.below(64) as usize).min(other.len());
                let piece = other.get(from..to).unwrap_or_default().to_vec();
                input.splice(at..at, piece);
            }
            _ => {
                let piece = input[at..(at + 1 + rng.below(32) as usize).min(input.len())].to_vec();
                let to = rng.below(length) as usize;
                input.splice(to..to, piece);
            }
        }
    }
    input.truncate(MOST_BYTES);
    input
}
