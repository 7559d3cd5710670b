//! The lane of damaged and hostile files. See `docs/testing.md`.
//!
//! ```text
//!   worlds.rs   small files of different character, and what they held after each commit
//!      |  pages.rs, logs.rs: one kind of damage each, from a number
//!      v
//!   batch.rs    batches of cases in children: crashes, hangs and memory are told by the name of the case
//!      |  look.rs: open, read all, verify, work, open again      repairs.rs: repair, account for all documents and keys
//!      v
//!   tally
//! ```

mod logs;
mod look;
mod pages;
mod repairs;
mod worlds;

use crate::batch::{self, Case};
use crate::lane::{Lane, Tally};
use nyro::testing::Rng;
use worlds::Worlds;

/// One kind of damage.
struct Kind {
    name: &'static str,
    cases: u64,
    case: for<'w> fn(&'w Worlds, u64, &mut Rng) -> Case<'w>,
}

const fn kind(name: &'static str, cases: u64, case: for<'w> fn(&'w Worlds, u64, &mut Rng) -> Case<'w>) -> Kind {
    Kind { name, cases, case }
}

const KINDS: &[Kind] = &[
    kind("bits of a meta page", 2 * pages::META_BITS, pages::meta_bit),
    kind("bits of both meta pages", pages::META_BITS, pages::both_meta_bits),
    kind("flips", pages::FLIPS, pages::flip_closed),
    kind("flips in runs", pages::RUN_BYTES, pages::flip_run),
    kind("flips beside a log", pages::FLIPS_BESIDE_A_LOG, pages::flip_beside_a_log),
    kind("cuts", pages::CUTS, pages::cut),
    kind("pages in the place of others", 5_000, pages::in_place_of_another),
    kind("pages in the place of others, sealed", 3_000, pages::sealed_in_place_of_another),
    kind("pointers and cycles", 4_000, pages::pointer),
    kind("wrong content, sealed", 10_000, pages::sealed_content),
    kind("runs, sealed", 10_000, pages::sealed_run),
    kind("pages of an older copy", 4_000, pages::stale_page),
    kind("meta pages, sealed", 6_000, pages::meta_values),
    kind("older meta pages", 4_000, pages::older_meta),
    kind("bytes of a log", logs::LOG_BYTES, logs::every_byte),
    kind("bytes of a log used again", 16_000, logs::reused_byte),
    kind("logs cut", 4_000, logs::cut),
    kind("logs, sealed", 8_000, logs::sealed),
    kind("logs mixed", 20_000, logs::mixed),
    kind("logs that went apart", 2_000, logs::apart),
    kind("logs beside a closed file", 2_000, logs::beside_a_closed_file),
    kind("real disk", pages::REAL, pages::on_the_real_disk),
    kind("repairs", repairs::REPAIRS, repairs::repair),
];

/// Cases of a unit.
const BATCH: u64 = 2048;

/// Cases of a short unit; each kind has more. A build with AddressSanitizer is slow and does these, some of each kind in
/// turn, so that it has tried them all in a minute.
const SHORT: u64 = 150;

/// Units of all kinds: one round over every place.
const fn units() -> u64 {
    let (mut all, mut at) = (0, 0);
    while at < KINDS.len() {
        all += KINDS[at].cases.div_ceil(BATCH);
        at += 1;
    }
    all
}

pub static DAMAGED: Lane = Lane {
    name: "damaged",
    what: "damaged and hostile files and logs: an error or the truth, no crash, no hang, no huge allocation",
    unit: batch,
    standard: units(),
    goal: 120_000,
    weight: 4,
    // Each unit forks as many children as there are processors, from one thread.
    jobs: 1,
    possible: || Ok(()),
    met: |tally| {
        let kinds: Vec<(&str, u64)> = KINDS.iter().map(|kind| (kind.name, kind.cases)).collect();
        tally.at_least(&kinds)?;
        tally.at_least(&[
            ("damage reported", 10_000),
            ("answers whole", 50_000),
            ("older states", 1_000),
            ("opens refused", 10_000),
            ("worked on", 10_000),
            ("documents saved", 100_000),
            ("keys saved", 100_000),
            ("documents lost and told", 10_000),
        ])
    },
};

/// The unit `index`: a part of the places of one kind. Each round over all units has worlds of its own.
fn batch(index: u64, seed: u64, tally: &mut Tally) {
    let round = index / units();
    let base = seed.wrapping_sub(index).wrapping_add(round);
    let worlds = Worlds::of(base);
    let (number, first, count) = match tally.short || cfg!(asan) {
        true => short_place(index),
        false => place(index % units()),
    };
    let kind = &KINDS[number];
    let case = |at: u64| {
        let mut rng = Rng::new(base ^ (number as u64) << 56 ^ (first + at) << 20);
        let case = (kind.case)(&worlds, first + at, &mut rng);
        Case { name: format!("{} {}: {}", kind.name, first + at, case.name), ..case }
    };
    batch::run(count, &case, tally);
    tally.count(kind.name, count);
}

/// The cases of a unit: their kind, the first, and how many.
fn place(mut unit: u64) -> (usize, u64, u64) {
    for (number, kind) in KINDS.iter().enumerate() {
        let parts = kind.cases.div_ceil(BATCH);
        if unit < parts {
            return (number, unit * BATCH, BATCH.min(kind.cases - unit * BATCH));
        }
        unit -= parts;
    }
    (0, 0, 0)
}

/// The same where a bug is hunted: one kind after the other, some cases anywhere among its own.
fn short_place(index: u64) -> (usize, u64, u64) {
    let number = (index % KINDS.len() as u64) as usize;
    let parts = KINDS[number].cases / SHORT;
    (number, index / KINDS.len() as u64 * 7 % parts * SHORT, SHORT)
}
