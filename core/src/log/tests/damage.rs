//! Damaged and hostile logs.

use super::*;
use crate::file::page::{put_u32, put_u64};
use crate::log::format::{seal_frame, seed_of, FrameHeader, FrameKind, SegmentHeader};
use crate::log::format::{FRAME_HEADER_BYTES, HEADER_BYTES};

/// A log over two segments, with a sync and a claim in the middle; how many commits are claimed.
fn small_log(disk: &SimDisk) -> (Commits, usize) {
    let log = create(disk);
    let mut commits = Commits::new();
    let mut rng = Rng::new(3);
    for commit in 101..115 {
        let bytes = payload(&mut rng, 600);
        log.append(commit, &mut frame_of(&[&bytes])).unwrap();
        commits.push((commit, bytes));
        if commit == 110 {
            log.sync_through(log.end()).unwrap();
            log.claim().unwrap();
        }
    }
    assert_eq!(disk.file_names().len(), 2);
    (commits, 10)
}

/// What may come of a damaged log: an error, or a prefix with at least what was claimed.
fn check(disk: &SimDisk, commits: &Commits, claimed: usize, what: &str) {
    match replayed(disk) {
        Ok((found, _)) => {
            assert!(commits.starts_with(&found), "{what}: not a prefix");
            assert!(found.len() >= claimed, "{what}: {} of {claimed} claimed commits", found.len());
        }
        Err(Error::Corrupt(damage)) => assert!(["log frame", "log segment length"].contains(&damage.what), "{what}"),
        Err(Error::LogMissing { .. }) => {}
        Err(e) => panic!("{what}: {e}"),
    }
}

#[test]
fn a_flipped_byte_gives_a_prefix_or_an_error_and_never_another_payload() {
    let disk = sim();
    let (commits, claimed) = small_log(&disk);
    let mut errors = 0;
    for name in disk.file_names() {
        let whole = disk.read_file(&name);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            disk.write_file(&name, bytes);
            check(&disk, &commits, claimed, &format!("{name} byte {at}"));
            errors += u32::from(replayed(&disk).is_err());
        }
        disk.write_file(&name, whole);
    }
    assert!(errors > 2000, "{errors}");
    assert_eq!(replayed(&disk).unwrap().0, commits);
}

#[test]
fn a_log_that_was_cut_off_is_an_error_wherever_it_was_cut() {
    let disk = sim();
    small_log(&disk);
    for name in disk.file_names() {
        let whole = disk.read_file(&name);
        for len in 0..whole.len() {
            disk.write_file(&name, whole[..len].to_vec());
            let found = replayed(&disk);
            assert!(matches!(found, Err(Error::Corrupt(_) | Error::LogMissing { .. })), "{name} cut to {len}");
        }
        disk.write_file(&name, whole);
    }
    disk.remove(&disk.file_names()[1]).unwrap();
    assert!(matches!(replayed(&disk), Err(Error::LogMissing { .. })), "an end frame announces a segment");
}

#[test]
fn with_a_claim_written_at_idle_a_damaged_last_commit_is_an_error() {
    for with_claim in [false, true] {
        let disk = sim();
        let log = create(&disk);
        log.append(101, &mut frame_of(&[b"first"])).unwrap();
        let last = log.end();
        log.append(102, &mut frame_of(&[b"last"])).unwrap();
        log.sync_through(log.end()).unwrap();
        if with_claim {
            log.claim().unwrap();
        }
        disk.flip_bit(&disk.file_names()[0], 512 + last.0 - START.lsn.0 + 50, 0);
        match replayed(&disk) {
            Ok((found, end)) => {
                assert!(!with_claim);
                assert_eq!((found.len(), end.end), (1, last));
                assert!(end.dropped_bytes > 48);
            }
            Err(Error::Corrupt(damage)) => {
                assert!(with_claim);
                assert_eq!((damage.what, damage.page), ("log frame", last.0));
            }
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn a_claim_in_any_later_segment_counts() {
    let disk = sim();
    let log = create(&disk);
    for commit in 101..140 {
        log.append(commit, &mut frame_of(&[&[7; 500]])).unwrap();
    }
    log.sync_through(log.end()).unwrap();
    log.append(140, &mut frame_of(&[b"claims all before"])).unwrap();
    let names = disk.file_names();
    assert!(names.len() > 4);
    for name in &names[..names.len() - 1] {
        let whole = disk.read_file(name);
        for at in [3, 50, 520, 600, 1100] {
            disk.flip_bit(name, at, 2);
            assert!(replayed(&disk).is_err(), "{name} byte {at}");
            disk.write_file(name, whole.clone());
        }
    }
    // The header of the segment with the claim, too.
    disk.flip_bit(&names[names.len() - 1], 60, 0);
    assert!(matches!(replayed(&disk), Err(Error::Corrupt(_))));
}

#[test]
fn a_document_that_holds_log_frames_is_not_taken_for_them() {
    let disk = sim();
    let log = create(&disk);
    log.append(101, &mut frame_of(&[b"x"])).unwrap();
    log.append(102, &mut frame_of(&[b"y"])).unwrap();
    log.sync_through(log.end()).unwrap();
    log.claim().unwrap();
    let copy = disk.read_file(&disk.file_names()[0])[HEADER_BYTES..HEADER_BYTES + 200].to_vec();
    let torn = log.end();
    log.append(103, &mut frame_of(&[&copy, &copy])).unwrap();
    disk.flip_bit(&disk.file_names()[0], 512 + torn.0 - START.lsn.0, 0);
    let (found, end) = replayed(&disk).unwrap();
    assert_eq!((found.len(), end.end), (2, torn));
}

#[test]
fn hostile_bytes_never_panic_nor_take_long() {
    let seed = crate::env_sim::seed(11);
    let mut rng = Rng::new(seed);
    let disk = sim();
    let names = [segment_name(BASE, 7, 0), segment_name(BASE, 7, 1), segment_name(BASE, 7, u32::MAX)];
    let key = seed_of(&IDENTITY, START.epoch);
    for round in 0..300 {
        for (i, name) in names.iter().enumerate() {
            let mut bytes = if rng.chance(0.5) { rng.bytes(3000) } else { vec![0; 3000] };
            let sequence = [0, 1, u32::MAX][i];
            let odd = [0, 8, 4096, 4144, u64::MAX - 7, rng.next_u64() & !7];
            let (start, chain) = (Lsn(*rng.pick(&odd)), *rng.pick(&[START.chain, 0]));
            let start = if i == 0 && rng.chance(0.8) { START.lsn } else { start };
            let length = *rng.pick(&[0, 1, 511, 513, 3000, u64::MAX]);
            let header = SegmentHeader { identity: IDENTITY, epoch: 7, sequence, start, chain, length, reused: false };
            bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
            let (mut at, mut previous) = (HEADER_BYTES, chain);
            while at < 2900 && rng.chance(0.9) {
                let kind = *rng.pick(&[FrameKind::Commit, FrameKind::Claim, FrameKind::End]);
                let lsn = Lsn(start.0.wrapping_add((at - HEADER_BYTES) as u64));
                let claim = Lsn(*rng.pick(&[0, u64::MAX, lsn.0]));
                let mut frame = [&[0; FRAME_HEADER_BYTES], &rng.bytes(9)[..]].concat();
                let header = FrameHeader { kind, lsn, commit: rng.next_u64(), claim, previous };
                previous = seal_frame(&mut frame, &header, key);
                if rng.chance(0.2) {
                    put_u32(&mut frame, 8, u32::MAX);
                }
                if rng.chance(0.2) {
                    put_u64(&mut frame, 16, u64::MAX);
                }
                let n = frame.len().min(bytes.len() - at);
                bytes[at..at + n].copy_from_slice(&frame[..n]);
                at += n;
            }
            let cut = if rng.chance(0.2) { rng.below(3000) as usize } else { 3000 };
            bytes.truncate(cut);
            disk.write_file(name, bytes);
        }
        let lsn = Lsn(*rng.pick(&[4096, 4096, 4096, 4100, 0, u64::MAX]));
        let _ = std::hint::black_box((round, replay_from(&disk, &ReplayStart { lsn, ..START })));
    }
}

#[test]
fn a_log_made_to_exhaust_the_search_is_refused() {
    let disk = SimDisk::new(SimOptions::default());
    let len = 8 << 20;
    let mut bytes = vec![0; len];
    let (identity, epoch, start, chain) = (IDENTITY, START.epoch, START.lsn, START.chain);
    let header = SegmentHeader { identity, epoch, sequence: 0, start, chain, length: len as u64, reused: false };
    bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
    // Each 48 bytes look like a frame that goes on to the end and claims all.
    for at in (HEADER_BYTES + 48..len - 48).step_by(48) {
        put_u32(&mut bytes, at + 8, (len - at - 48) as u32);
        bytes[at + 12] = 1;
        put_u64(&mut bytes, at + 16, start.0 + (at - HEADER_BYTES) as u64);
        put_u64(&mut bytes, at + 32, u64::MAX);
    }
    disk.write_file(&segment_name(BASE, 7, 0), bytes);
    assert!(matches!(replayed(&disk), Err(Error::Corrupt(_))));
}

#[test]
fn a_valid_frame_that_names_another_predecessor_ends_the_log() {
    let (disk, other) = (sim(), sim());
    let (log, second) = (create(&disk), create(&other));
    log.append(101, &mut frame_of(&[b"one"])).unwrap();
    second.append(101, &mut frame_of(&[b"two"])).unwrap();
    let place = log.end();
    second.append(102, &mut frame_of(&[b"follows two"])).unwrap();
    let name = segment_name(BASE, 7, 0);
    let (mut bytes, foreign) = (disk.read_file(&name), other.read_file(&name));
    let at = 512 + (place.0 - START.lsn.0) as usize;
    bytes[at..].copy_from_slice(&foreign[at..]);
    disk.write_file(&name, bytes);
    let (found, end) = replayed(&disk).unwrap();
    assert_eq!((found, end.end), (vec![(101, b"one".to_vec())], place));
}
