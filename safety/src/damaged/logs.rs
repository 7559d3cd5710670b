//! Damage to the log, and logs that belong elsewhere.
//!
//! ```text
//!   data file --> segment 7 --> segment 8 --> segment 9
//!                    |             |             +- cut, flipped, removed, with the header of its earlier life
//!                    |             +- that of an older copy, of another database, of another epoch
//!                    +- swapped with another by name
//!
//!   what opens shows a state between the last one that the whole frames claim to have been durable and the newest
//! ```
//!
//! A frame that nothing behind it claims was durable may be the torn end of the log, so a flip in it costs it.

use super::look::{Damaged, Expect};
use super::pages::damaged;
use super::worlds::{Frame, World, Worlds};
use crate::batch::Case;
use crate::files::{u32_at, u64_at, Files};
use nyro::testing::Rng;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const HEADER: usize = 512;

/// What files of a world may show whose log is not what it was.
fn expect(world: &World, files: &Files) -> Expect {
    Expect::AtMost(world.claimed_by(files).max(world.base)..=world.last())
}

fn with_log_of<'w>(world: &'w World, what: String, files: Files, rng: &mut Rng) -> Damaged<'w> {
    let expect = expect(world, &files);
    damaged(world, what, files, expect, rng)
}

pub const LOG_BYTES: u64 = 64 << 10;

/// Every byte of a segment of 64 KiB.
pub fn every_byte<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let world = &worlds.log;
    let segment = world.files.segments()[0];
    flipped(world, segment, n as usize, rng).case()
}

fn flipped<'w>(world: &'w World, segment: usize, at: usize, rng: &mut Rng) -> Damaged<'w> {
    let mut files = world.files.clone();
    let mask = 1 + rng.below(255) as u8;
    files.0[segment].1[at] ^= mask;
    with_log_of(world, format!("segment {segment} offset {at}: {mask:#x} flipped"), files, rng)
}

/// Bytes of segments that are used a second time.
pub fn reused_byte<'w>(worlds: &'w Worlds, _: u64, rng: &mut Rng) -> Case<'w> {
    let world = &worlds.reused;
    let segment = *rng.pick(&world.files.segments());
    let length = world.files.0[segment].1.len() as u64;
    let at = if rng.below(4) == 0 { rng.below(HEADER as u64) } else { rng.below(length) };
    flipped(world, segment, at as usize, rng).case()
}

/// Segments cut off, removed, or longer than they should be.
pub fn cut<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let world = worlds.with_log()[n as usize % 2];
    let mut files = world.files.clone();
    let segment = *rng.pick(&files.segments());
    let length = files.0[segment].1.len() as u64;
    let what = match n / 2 % 8 {
        0 => {
            files.0.remove(segment);
            format!("segment {segment} removed")
        }
        1 => {
            let length = 1 + rng.below(5000) as usize;
            let garbage = rng.bytes(length);
            files.0[segment].1.extend(garbage);
            format!("segment {segment} with garbage behind it")
        }
        _ => {
            let to = rng.below(length);
            files.0[segment].1.truncate(to as usize);
            format!("segment {segment} cut to {to} bytes")
        }
    };
    let (name, was) = &world.files.0[segment];
    let is_shorter = files.0.get(segment).is_none_or(|(left, bytes)| left != name || bytes.len() < was.len());
    // A segment with commits was durable in its whole length before it had the first: this is no torn end.
    let holds_commits = world.frames.iter().any(|frame| frame.segment == *name && frame.state > world.base);
    if is_shorter && holds_commits {
        return damaged(world, what, files, Expect::Reported(world.last()), rng).case();
    }
    with_log_of(world, what, files, rng).case()
}

/// Wrong content in frames and headers, with right checksums.
pub fn sealed<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let world = worlds.with_log()[n as usize % 2];
    let mut files = world.files.clone();
    let segment = *rng.pick(&files.segments());
    let found = frames(&files.0[segment].1);
    let value = [0, 0xff, 0x7f, 0x81, rng.next_u64() as u8][rng.below(5) as usize];
    let what = if found.is_empty() || n % 8 == 0 {
        let at = 8 + rng.below(60) as usize;
        files.0[segment].1[at] = value;
        let bytes = &mut files.0[segment].1;
        let sum = xxh3_64_with_seed(&bytes[..HEADER - 8], log_seed(&world.files));
        bytes[HEADER - 8..HEADER].copy_from_slice(&sum.to_le_bytes());
        format!("segment {segment} header offset {at}: {value:#x}, sealed")
    } else {
        let (at, size) = *rng.pick(&found);
        let offset = 8 + rng.below(size as u64 - 8) as usize;
        files.0[segment].1[at + offset] = value;
        reseal_frames(&mut files, segment, at);
        format!("segment {segment} frame at {at} offset {offset}: {value:#x}, sealed")
    };
    damaged(world, what, files, Expect::Hostile, rng).case()
}

/// Makes the checksums of all frames of a segment right, and each name the one before, from the frame at `from` on.
fn reseal_frames(files: &mut Files, segment: usize, from: usize) {
    let seed = log_seed(files);
    let bytes = &mut files.0[segment].1;
    let mut previous: Option<[u8; 8]> = None;
    for (at, size) in frames(bytes) {
        if at >= from {
            if let Some(previous) = previous {
                bytes[at + 40..at + 48].copy_from_slice(&previous);
            }
            let sum = xxh3_64_with_seed(&bytes[at + 8..at + size], seed);
            bytes[at..at + 8].copy_from_slice(&sum.to_le_bytes());
        }
        previous = Some(u64_at(bytes, at).to_le_bytes());
    }
}

/// Places and sizes of the frames of a segment.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut found) = (HEADER, Vec::new());
    while at + 48 <= bytes.len() && (1..=3).contains(&bytes[at + 12]) {
        let size = 48 + (u32_at(bytes, at + 8) as usize).next_multiple_of(8);
        if at + size > bytes.len() {
            break;
        }
        found.push((at, size));
        at += size;
    }
    found
}

/// The seed of the checksums of the log that the meta page names.
fn log_seed(files: &Files) -> u64 {
    let meta = files.bytes();
    xxh3_64(&[&meta[32..48], &meta[96..104]].concat())
}

/// The log of a closed file is of no use to it, whatever it is.
pub fn beside_a_closed_file<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let closed = worlds.closed();
    let world = closed[n as usize % closed.len()];
    let n = n / closed.len() as u64;
    let mut files = world.files.clone();
    let source = match n % 3 {
        0 => &worlds.log.files,
        1 => &rng.pick(&worlds.reused.older).files,
        _ => &rng.pick(&world.older).files,
    };
    files.0.extend(logs_of(source));
    let what = format!("the log {} beside a file that was closed", n % 3);
    damaged(world, what, files, Expect::Whole(world.last()..=world.last()), rng).case()
}

fn logs_of(files: &Files) -> Vec<(String, Vec<u8>)> {
    files.segments().into_iter().map(|segment| files.0[segment].clone()).collect()
}

/// Logs, segments and parts of them where they don't belong.
pub fn mixed<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let (world, other) = match n % 4 {
        0 => (&worlds.log, &worlds.reused),
        _ => (&worlds.reused, &worlds.log),
    };
    let mut files = world.files.clone();
    let older = rng.pick(&world.older);
    let segments = files.segments();
    let segment = *rng.pick(&segments);
    let name = files.0[segment].0.clone();
    let of_older = |name: &str| older.files.0.iter().find(|(known, _)| known == name).map(|(_, bytes)| bytes.clone());
    let any_older = || rng_pick_log(&older.files, n);
    let what = match n / 4 % 11 {
        0 => {
            files.0.retain(|(name, _)| !name.contains("-wal-"));
            files.0.extend(logs_of(&older.files));
            format!("the log of the state {}", older.state)
        }
        1 => {
            *files.data() = older.files.bytes().to_vec();
            let what = format!("the data file of the state {} beside the newest log", older.state);
            let least = world.claimed_by(&files).max(older.state.min(world.base));
            return damaged(world, what, files, Expect::AtMost(least..=world.last()), rng).case();
        }
        2 => {
            files.0.retain(|(name, _)| !name.contains("-wal-"));
            files.0.extend(logs_of(&other.files));
            "the log of another database".to_owned()
        }
        3 => {
            let foreign = logs_of(&other.files);
            files.0[segment].1 = rng.pick(&foreign).1.clone();
            format!("a segment of another database as {name}")
        }
        4 => {
            let second = *rng.pick(&segments);
            let (a, b) = (files.0[segment].1.clone(), files.0[second].1.clone());
            (files.0[segment].1, files.0[second].1) = (b, a);
            format!("segments {segment} and {second} swapped")
        }
        5 => {
            files.0[segment].1 = of_older(&name).or_else(any_older).unwrap_or_default();
            format!("{name} as of the state {}, or another of it", older.state)
        }
        6 => {
            let header = of_older(&name).or_else(any_older).unwrap_or_default();
            let length = HEADER.min(header.len());
            files.0[segment].1[..length].copy_from_slice(&header[..length]);
            format!("{name} with the header that a segment had at the state {}", older.state)
        }
        7 => {
            let header = files.0[*rng.pick(&segments)].1[..HEADER].to_vec();
            files.0[segment].1[..HEADER].copy_from_slice(&header);
            format!("{name} with the header of another segment")
        }
        8 => {
            files.0[segment].1[..HEADER].fill(0);
            format!("{name} without its header")
        }
        9 => {
            // Frames of an earlier life where the newest of this one are, or behind them.
            let source = any_older().unwrap_or_default();
            let length = source.len().min(files.0[segment].1.len());
            let from = HEADER.max(rng.below(length.max(1) as u64) as usize / 8 * 8).min(length);
            files.0[segment].1[from..length].copy_from_slice(&source[from..length]);
            format!("{name} from {from} on as a segment was at the state {}", older.state)
        }
        _ => {
            let epoch = format!("{:016x}", rng.below(6));
            let at = name.len() - 25;
            files.0[segment].0.replace_range(at..at + 16, &epoch);
            let renamed = files.0[segment].0.clone();
            let mut seen = 0;
            files.0.retain(|(name, _)| *name != renamed || std::mem::replace(&mut seen, 1) == 0);
            format!("{name} under the epoch {epoch}")
        }
    };
    with_log_of(world, what, files, rng).case()
}

/// Frames of a copy of the database that went another way: whole, in their place, and not what follows.
pub fn apart<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let (world, other) = (&worlds.log, &worlds.apart);
    // The first frame that differs follows what both share. Those behind it name another predecessor.
    let differs = |frame: &Frame| bytes_of(&world.files, frame) != bytes_of(other, frame);
    let shared = world.frames.iter().take_while(|frame| !differs(frame)).count();
    let first = shared + 1 + n as usize % (world.frames.len() - shared - 1);
    let count = if rng.chance(0.5) { 1 } else { world.frames.len() - first };
    let mut files = world.files.clone();
    for frame in &world.frames[first..first + count] {
        let (Some(bytes), place) = (bytes_of(other, frame), frame.at..frame.at + frame.size) else { continue };
        if let Some((_, here)) = files.0.iter_mut().find(|(name, _)| *name == frame.segment) {
            here[place].copy_from_slice(bytes);
        }
    }
    let at = world.frames[first].at;
    let what = format!("{count} frames from the one at {at} on are those of a copy that went another way");
    with_log_of(world, what, files, rng).case()
}

fn bytes_of<'f>(files: &'f Files, frame: &Frame) -> Option<&'f [u8]> {
    let (_, segment) = files.0.iter().find(|(name, _)| *name == frame.segment)?;
    segment.get(frame.at..frame.at + frame.size)
}

fn rng_pick_log(files: &Files, n: u64) -> Option<Vec<u8>> {
    let segments = files.segments();
    let segment = segments.get(n as usize / 44 % segments.len().max(1))?;
    Some(files.0[*segment].1.clone())
}
