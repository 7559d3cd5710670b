//! The mixes of YCSB (Cooper and others, 2010), with entries of the size that all workloads of stores have.

use crate::data::{below, Random, SEED};
use crate::entries::Zipfian;

/// Entries that a walk gives at the most.
const LONGEST_WALK: u64 = 100;
/// The first number of those that `E` inserts.
const INSERTED: u64 = 1 << 32;

/// A mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Half reads, half updates.
    A,
    /// 95 % reads, 5 % updates.
    B,
    /// Reads alone.
    C,
    /// 95 % reads, of the latest ones most often, 5 % inserts.
    D,
    /// 95 % walks, 5 % inserts.
    E,
    /// Half reads, half reads that are followed by an update of the same key.
    F,
}

/// An operation on the entry of a number.
#[derive(Debug, Clone, Copy)]
pub enum Operation {
    /// A get.
    Read(u64),
    /// A put of a key that is there, or of one that is new.
    Write(u64),
    /// A get, then a put.
    Modify(u64),
    /// A walk over so many entries.
    Walk(u64, usize),
}

/// `count` operations of a mix, on a store of so many entries.
pub fn operations(mix: Mix, entries: usize, count: usize) -> Vec<Operation> {
    let (mut random, zipfian) = (Random(SEED + 30 + mix as u64), Zipfian::new(entries as u64));
    let (mut end, mut inserted) = (entries as u64, INSERTED);
    let mut operation = || {
        let percent = below(&mut random, 100);
        match mix {
            Mix::D if percent >= 95 => {
                end += 1;
                Operation::Write(end - 1)
            }
            Mix::D => Operation::Read(end - 1 - zipfian.next(&mut random)),
            Mix::E if percent >= 95 => {
                inserted += 1;
                Operation::Write(inserted)
            }
            Mix::E => {
                let length = 1 + below(&mut random, LONGEST_WALK) as usize;
                Operation::Walk(zipfian.scattered(&mut random), length)
            }
            Mix::A if percent >= 50 => Operation::Write(zipfian.scattered(&mut random)),
            Mix::B if percent >= 95 => Operation::Write(zipfian.scattered(&mut random)),
            Mix::F if percent >= 50 => Operation::Modify(zipfian.scattered(&mut random)),
            Mix::A | Mix::B | Mix::C | Mix::F => Operation::Read(zipfian.scattered(&mut random)),
        }
    };
    (0..count).map(|_| operation()).collect()
}
