//! Damage to the data file.
//!
//! ```text
//!   checksums wrong    bits of the meta pages, flips over the whole file, cuts, pages in the place of others
//!   checksums right    values of every width at every place, pages in the place of others, pointers to other pages
//!   nothing wrong      meta pages of an older copy
//! ```

use super::look::{Damaged, Expect};
use super::worlds::{Way, World, Worlds};
use crate::batch::Case;
use crate::files::{self, u64_at, Files, PAGE};
use nyro::testing::Rng;
use nyro::ReadMode;

/// Offset of the length in pages in a meta page.
const FILE_PAGES_AT: usize = 136;
pub const META_BITS: u64 = PAGE as u64 * 8;

/// One of the four ways to open a file: most often the usual one.
pub fn way(rng: &mut Rng) -> Way {
    let read_mode = if rng.below(4) == 0 { ReadMode::Pread } else { ReadMode::Mapped };
    Way { read_only: rng.below(3) == 0, read_mode }
}

/// A copy of the world's files, and what is to be expected of them.
pub fn damaged<'w>(world: &'w World, what: String, files: Files, expect: Expect, rng: &mut Rng) -> Damaged<'w> {
    let name = format!("{}: {what}", world.name);
    Damaged { name, world, files, expect, way: way(rng), work: rng.below(8) == 0, real: false }
}

/// Every bit of one meta page: the other one counts.
pub fn meta_bit<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let world = if n % 2 == 0 { &worlds.keys } else { &worlds.many };
    let (page, bit) = (n / META_BITS, n % META_BITS);
    let mut files = world.files.clone();
    flip(&mut files, page as usize * PAGE, bit);
    let what = format!("bit {bit} of meta page {page}");
    damaged(world, what, files, Expect::Whole(world.last()..=world.last()), rng).case()
}

/// The same bit of both.
pub fn both_meta_bits<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let world = &worlds.worn;
    let mut files = world.files.clone();
    flip(&mut files, 0, n);
    flip(&mut files, PAGE, n);
    damaged(world, format!("bit {n} of both meta pages"), files, Expect::Reported(world.last()), rng).case()
}

fn flip(files: &mut Files, from: usize, bit: u64) {
    files.data()[from + bit as usize / 8] ^= 1 << (bit % 8);
}

/// What a change to these pages may lead to.
fn expect(world: &World, pages: impl IntoIterator<Item = usize>) -> Expect {
    let hit = pages.into_iter().any(|page| world.used.get(page) == Some(&true));
    match (hit, world.frames.is_empty()) {
        (false, _) => Expect::Whole(world.last()..=world.last()),
        (true, true) => Expect::Reported(world.last()),
        // What the log holds may have replaced what was damaged.
        (true, false) => Expect::AtMost(world.last()..=world.last()),
    }
}

/// The place `n` of `of` over the data files of these worlds, anywhere in its step.
fn place<'w>(worlds: &[&'w World], n: u64, of: u64, rng: &mut Rng) -> (&'w World, usize) {
    let total: usize = worlds.iter().map(|world| world.files.bytes().len()).sum();
    let step = (total as u64 / of).max(1);
    let mut at = (n * total as u64 / of + rng.below(step)) as usize % total;
    for world in worlds {
        if at < world.files.bytes().len() {
            return (world, at);
        }
        at -= world.files.bytes().len();
    }
    (worlds[0], 0)
}

fn flipped<'w>(worlds: &[&'w World], n: u64, of: u64, rng: &mut Rng) -> Damaged<'w> {
    let (world, at) = place(worlds, n, of, rng);
    let mask = 1 + rng.below(255) as u8;
    let mut files = world.files.clone();
    files.data()[at] ^= mask;
    let page = at / PAGE;
    // Of the meta pages the other one counts.
    let expect = if page < 2 { expect(world, []) } else { expect(world, [page]) };
    damaged(world, format!("page {page} offset {}: {mask:#x} flipped", at % PAGE), files, expect, rng)
}

pub const FLIPS: u64 = 32_000;
pub fn flip_closed<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    flipped(&worlds.closed(), n, FLIPS, rng).case()
}

pub const FLIPS_BESIDE_A_LOG: u64 = 8_000;
pub fn flip_beside_a_log<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    flipped(&worlds.with_log(), n, FLIPS_BESIDE_A_LOG, rng).case()
}

fn shortened<'w>(worlds: &[&'w World], n: u64, of: u64, rng: &mut Rng) -> Damaged<'w> {
    let (world, mut to) = place(worlds, n, of, rng);
    if n % 4 == 0 {
        to = to / PAGE * PAGE + [0, 1, PAGE - 1][rng.below(3) as usize];
    }
    let mut files = world.files.clone();
    let pages = u64_at(files.bytes(), FILE_PAGES_AT) as usize;
    if n % 16 == 15 {
        let length = 1 + rng.below(3 * PAGE as u64) as usize;
        let garbage = rng.bytes(length);
        files.data().extend(&garbage);
        let expect = expect(world, []);
        return damaged(world, format!("{} bytes of garbage behind it", garbage.len()), files, expect, rng);
    }
    files.data().truncate(to);
    let expect = match (to >= pages * PAGE, to) {
        (true, _) => expect(world, []),
        // An empty file is one that is being made.
        (false, 0) => Expect::Hostile,
        _ => Expect::Reported(world.last()),
    };
    damaged(world, format!("cut to {to} bytes"), files, expect, rng)
}

pub const CUTS: u64 = 5_000;
pub fn cut<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let all: Vec<&World> = worlds.closed().into_iter().chain(worlds.with_log()).collect();
    shortened(&all, n, CUTS, rng).case()
}

pub const REAL: u64 = 1_500;
pub fn on_the_real_disk<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let all: Vec<&World> = worlds.closed().into_iter().chain(worlds.with_log()).collect();
    let damaged = match n % 4 {
        0 => shortened(&all, n, REAL, rng),
        1 => flipped(&all, n, REAL, rng),
        2 => short_and_says_so(all[n as usize / 4 % all.len()], rng),
        _ => with_wrong_content(all[n as usize / 4 % all.len()], rng),
    };
    Damaged { real: true, name: format!("{}, on the real disk", damaged.name), ..damaged }.case()
}

/// Shorter in the meta pages, too: pages lie beyond the end of a file that is as long as it should be.
fn short_and_says_so<'w>(world: &'w World, rng: &mut Rng) -> Damaged<'w> {
    let mut files = world.files.clone();
    let pages = 4 + rng.below(files.pages() as u64 - 4);
    files.data().truncate(pages as usize * PAGE);
    for page in 0..2 {
        files.data()[page * PAGE + FILE_PAGES_AT..][..8].copy_from_slice(&pages.to_le_bytes());
        files.reseal_meta(page);
    }
    damaged(world, format!("cut to {pages} pages, and says so"), files, Expect::Hostile, rng)
}

/// Bytes of runs and of the manifest, one after the other.
pub const RUN_BYTES: u64 = 16_000;
pub fn flip_run<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let world = &worlds.keys;
    // Manifest and tails are a small part, and so have more than theirs.
    let class = rng.pick(&world.classes);
    let page = class[n as usize / 4 % class.len()];
    let at = match n % 4 {
        0 => rng.below(200) as usize,
        1 => PAGE - 1 - rng.below(200) as usize,
        _ => rng.below(PAGE as u64) as usize,
    };
    let mask = 1 + rng.below(255) as u8;
    let mut files = world.files.clone();
    files.data()[page * PAGE + at] ^= mask;
    let what = format!("page {page} of a run offset {at}: {mask:#x} flipped");
    damaged(world, what, files, expect(world, [page]), rng).case()
}

/// A unit of a world: of the sorted index, each of its kinds as often, or any.
fn some_unit(world: &World, rng: &mut Rng) -> usize {
    if world.classes.is_empty() || rng.below(4) == 0 {
        return *rng.pick(&world.units);
    }
    let class: Vec<usize> = rng.pick(&world.classes).iter().copied().filter(|page| world.is_unit(*page)).collect();
    *rng.pick(if class.is_empty() { &world.units } else { &class })
}

/// Wrong numbers in manifest entries, tails and leaves, with right checksums: the fields that lead somewhere.
pub fn sealed_run<'w>(worlds: &'w Worlds, _: u64, rng: &mut Rng) -> Case<'w> {
    let world = &worlds.keys;
    let mut files = world.files.clone();
    let what: Vec<String> = (0..1 + rng.below(3)).map(|_| wrong_number_in_a_run(world, &mut files, rng)).collect();
    damaged(world, what.join(", "), files, Expect::Hostile, rng).case()
}

fn wrong_number_in_a_run(world: &World, files: &mut Files, rng: &mut Rng) -> String {
    let run = rng.pick(&world.runs);
    let other = rng.pick(&world.runs);
    let (page, offset, width) = match rng.below(4) {
        0 => {
            // An entry of the manifest: its fields, or the beginning of its keys.
            let page = *rng.pick(&world.manifest);
            let count = usize::from(files.bytes()[page * PAGE + 48]).max(1);
            let slot = page * PAGE + 64 + rng.below(count as u64) as usize * 12;
            let offset = u64_at(files.bytes(), slot + 8) as usize & 0xffff;
            let (field, width) = [
                (0, 6),
                (6, 1),
                (7, 1),
                (8, 4),
                (12, 4),
                (16, 8),
                (24, 8),
                (32, 8),
                (40, 8),
                (48, 2),
                (50, 2),
                (60, 1),
            ][rng.below(12) as usize];
            (page, (offset + field).min(PAGE - 8), width)
        }
        1 => {
            let page = run.page + run.leaf_pages;
            // The head, or the heads, places and offsets of leaves.
            match rng.below(2) {
                0 => (page, 64 + rng.below(12) as usize * 4, 4),
                _ => (page, 128 + rng.below(300) as usize, [1, 2, 4, 8][rng.below(4) as usize]),
            }
        }
        _ if run.leaf_pages == 0 => (run.page, 64, 4),
        _ => {
            let page = run.page + rng.below(run.leaf_pages as u64) as usize;
            match rng.below(3) {
                0 => (page, 48 + 2 * rng.below(2) as usize, 2),
                1 => (page, 64 + rng.below(600) as usize, [1, 2, 4][rng.below(3) as usize]),
                _ => (page, 64 + rng.below(PAGE as u64 - 72) as usize, 1),
            }
        }
    };
    let value = match rng.below(7) {
        0 => 0,
        1 => u64::MAX,
        2 => other.page as u64,
        3 => (other.page + other.leaf_pages) as u64,
        4 => rng.below(12),
        5 => rng.below(files.pages() as u64 + 4),
        _ => rng.next_u64(),
    };
    files.data()[page * PAGE + offset..][..width].copy_from_slice(&value.to_le_bytes()[..width]);
    if files.bytes()[page * PAGE + 14] <= 9 {
        let covered = files.covered(page);
        files.reseal(page, covered);
    }
    format!("page {page} offset {offset}: {value:#x}, {width} bytes, sealed")
}

/// Whole pages of an older copy in their own places: right checksums, and not what belongs there.
pub fn stale_page<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let closed = worlds.closed();
    let world = if n % 2 == 0 { &worlds.keys } else { closed[n as usize / 2 % closed.len()] };
    let older = rng.pick(&world.older);
    let mut files = world.files.clone();
    let page = some_unit(world, rng);
    let count = 1 + rng.below(4) as usize;
    for page in page..page + count {
        let Some(stale) = older.files.bytes().get(page * PAGE..(page + 1) * PAGE) else { continue };
        if let Some(place) = files.data().get_mut(page * PAGE..(page + 1) * PAGE) {
            place.copy_from_slice(stale);
        }
    }
    let what = format!("{count} pages from {page} on as they were at the state {}", older.state);
    damaged(world, what, files, Expect::Hostile, rng).case()
}

/// Pages zeroed, swapped, or in the place of others; with a checksum for that place in some cases.
pub fn in_place_of_another<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let closed = worlds.closed();
    let world = closed[n as usize % closed.len()];
    let n = n / closed.len() as u64;
    let mut files = world.files.clone();
    let pages = files.pages() as u64;
    let (mut from, mut to) = (rng.below(pages) as usize, 2 + rng.below(pages - 2) as usize);
    if rng.below(2) == 0 {
        (from, to) = (some_unit(world, rng), some_unit(world, rng));
    }
    let read = |page: usize| world.files.bytes()[page * PAGE..][..PAGE].to_vec();
    let what = match n % 4 {
        0 => {
            files.data()[to * PAGE..][..PAGE].fill(0);
            format!("page {to} zeroed")
        }
        1 => {
            files.data()[to * PAGE..][..PAGE].copy_from_slice(&read(from));
            format!("page {from} in place of {to}")
        }
        2 => {
            files.data()[to * PAGE..][..PAGE].copy_from_slice(&read(from));
            files.data()[from * PAGE..][..PAGE].copy_from_slice(&read(to));
            format!("pages {from} and {to} swapped")
        }
        _ => {
            let older = rng.pick(&world.older);
            let other = rng.pick(&closed);
            // A page of the same place in another file.
            let source = other.files.bytes().get(to * PAGE..(to + 1) * PAGE);
            let source = source.unwrap_or(&older.files.bytes()[..PAGE]);
            files.data()[to * PAGE..][..PAGE].copy_from_slice(source);
            format!("page {to} of another file in its place")
        }
    };
    let changed = (0..files.pages()).filter(|page| files.bytes()[page * PAGE..][..PAGE] != read(*page)[..]);
    let changed: Vec<usize> = changed.collect();
    let expect = match changed.contains(&0) || changed.contains(&1) {
        true if changed.iter().all(|page| *page < 2 || !world.used[*page]) => expect(world, []),
        _ => expect(world, changed),
    };
    damaged(world, what, files, expect, rng).case()
}

pub fn sealed_in_place_of_another<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let closed = worlds.closed();
    let world = closed[n as usize % closed.len()];
    let (from, to) = (some_unit(world, rng), some_unit(world, rng));
    let mut files = world.files.clone();
    let mut pairs = vec![(from, to)];
    if rng.below(2) == 0 {
        pairs.push((to, from));
    }
    for (source, target) in &pairs {
        let bytes = &world.files.bytes()[source * PAGE..][..PAGE];
        files.data()[target * PAGE..][..PAGE].copy_from_slice(bytes);
        files.data()[target * PAGE + 8..][..6].copy_from_slice(&(*target as u64).to_le_bytes()[..6]);
        let covered = files.covered(*target);
        files.reseal(*target, covered);
    }
    let what = format!("page {from} in place of {to}, sealed, {} times", pairs.len());
    damaged(world, what, files, Expect::Hostile, rng).case()
}

/// A page number in a page becomes that of another one: cycles, pages reached twice, children of the wrong kind.
pub fn pointer<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let closed = worlds.closed();
    let world = closed[n as usize % closed.len()];
    let units = &world.units;
    let mut files = world.files.clone();
    let page = some_unit(world, rng);
    let covered = files.covered(page);
    let number = |at: usize| (u64_at(files.bytes(), page * PAGE + at) & 0xffff_ffff_ffff) as usize;
    let pointers: Vec<usize> = (48..covered - 8).filter(|at| units.binary_search(&number(*at)).is_ok()).collect();
    let at = if pointers.is_empty() { 48 } else { *rng.pick(&pointers) };
    let to = if n / 4 % 4 == 0 { page } else { *rng.pick(units) };
    files.data()[page * PAGE + at..][..6].copy_from_slice(&(to as u64).to_le_bytes()[..6]);
    files.reseal(page, covered);
    damaged(world, format!("page {page} offset {at} points to {to}"), files, Expect::Hostile, rng).case()
}

fn with_wrong_content<'w>(world: &'w World, rng: &mut Rng) -> Damaged<'w> {
    let mut files = world.files.clone();
    let what = wrong_content(world, &mut files, rng);
    damaged(world, what, files, Expect::Hostile, rng)
}

/// A value of any width at any place of a unit, and the checksum made right.
pub fn wrong_content(world: &World, files: &mut Files, rng: &mut Rng) -> String {
    let page = some_unit(world, rng);
    let covered = files.covered(page);
    let (offset, width) = files::place_in_unit(covered, rng);
    let value = match rng.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX >> 1,
        3 => rng.below(files.pages() as u64 + 2),
        4 => rng.below(1 << 16),
        _ => rng.next_u64(),
    };
    files.data()[page * PAGE + offset..][..width].copy_from_slice(&value.to_le_bytes()[..width]);
    files.reseal(page, covered);
    let kind = files.bytes()[page * PAGE + 14];
    format!("page {page} (kind {kind}) offset {offset}: {value:#x}, {width} bytes, sealed")
}

pub fn sealed_content<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let world = if n % 5 == 4 { &worlds.log } else { worlds.closed()[n as usize % 5] };
    with_wrong_content(world, rng).case()
}

/// Any value in both meta pages, with right checksums.
pub fn meta_values<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let world = [&worlds.worn, &worlds.log, &worlds.reused, &worlds.many, &worlds.keys][n as usize % 5];
    let offset = (n as usize / 5 * 4) % 320;
    let value = [0, 1, 5, 1 << 20, 1 << 31, u64::MAX >> 1, u64::MAX, rng.next_u64()][rng.below(8) as usize];
    let width = [4, 8][rng.below(2) as usize];
    let mut files = world.files.clone();
    for page in 0..2 {
        files.data()[page * PAGE + offset..][..width].copy_from_slice(&value.to_le_bytes()[..width]);
        files.reseal_meta(page);
    }
    let what = format!("meta offset {offset}: {value:#x}, {width} bytes, sealed");
    damaged(world, what, files, Expect::Hostile, rng).case()
}

/// Meta pages of an older copy, in one place or in both.
pub fn older_meta<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let all = [&worlds.worn, &worlds.many, &worlds.large, &worlds.keys, &worlds.reused, &worlds.log];
    let world = all[n as usize % all.len()];
    let older = rng.pick(&world.older);
    let mut files = world.files.clone();
    let page = rng.below(2) as usize;
    let source = rng.below(2) as usize;
    let meta = &older.files.bytes()[source * PAGE..][..PAGE];
    files.data()[page * PAGE..][..PAGE].copy_from_slice(meta);
    let states = match n / 6 % 3 {
        0 => world.last()..=world.last(),
        1 => {
            files.data()[(1 - page) * PAGE..][..PAGE].copy_from_slice(meta);
            older.state..=world.last()
        }
        _ => {
            files.data()[(1 - page) * PAGE + rng.below(200) as usize] ^= 1;
            older.state..=world.last()
        }
    };
    let what = format!("meta page of the state {} in place of {page}, way {}", older.state, n / 6 % 3);
    let expect = match (n / 6 % 3, world.frames.is_empty()) {
        (0, _) => Expect::Whole(states),
        // That checkpoint, or an error: its pages may be used for others by now. A closed file has nothing newer.
        (_, true) => Expect::AtMost(older.state..=older.state),
        // With a log that goes on from there the newest state may be what it leads to.
        _ => Expect::AtMost(world.claimed_by(&files).max(*states.start())..=*states.end()),
    };
    damaged(world, what, files, expect, rng).case()
}
