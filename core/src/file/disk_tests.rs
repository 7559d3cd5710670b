//! What `disk` promises, kept by every implementation: one list of promises, run over each disk.

use super::disk::{Disk, DiskFile, LockError};
use super::os::OsDisk;
use super::sim::{SimDisk, SimOptions};
use crate::env_sim::{seed, Rng};
use crate::testing::TempDir;
use std::io::ErrorKind;

/// Makes each promise a test of each implementation.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod os {
            use super::*;
            $(#[test] fn $promise() {
                let directory = TempDir::new().unwrap();
                super::$promise(&OsDisk::new(directory.path().to_owned()));
            })*
        }
        mod sim {
            use super::*;
            $(#[test] fn $promise() { super::$promise(&SimDisk::new(SimOptions::default())); })*
        }
    };
}

promises! {
    a_missing_file_is_not_found
    an_existing_file_is_not_created_again
    a_name_that_leads_elsewhere_is_refused
    a_removed_file_has_no_name_but_its_handles_work
    list_gives_the_names_with_the_prefix
    a_gap_before_a_write_reads_as_zeros
    reading_beyond_the_end_is_unexpected_eof
    allocate_grows_with_zeros_and_never_shrinks
    truncate_cuts_and_never_grows
    what_was_cut_off_reads_as_zeros_when_the_file_grows_again
    a_write_shows_through_lent_memory
    lent_memory_never_moves
    a_store_is_seen_like_a_write
    a_store_beyond_the_end_is_refused_and_changes_nothing
    a_store_follows_growth_and_cuts
    all_openings_of_a_file_see_the_same_bytes
    a_lock_keeps_other_openings_out_until_its_handle_is_dropped
    impossible_offsets_are_errors
    syncs_of_a_healthy_disk_succeed
    any_sequence_of_operations_matches_a_plain_vector
    threads_may_write_and_read_different_places
}

fn read(file: &dyn DiskFile, offset: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xEE; len];
    file.read_at(&mut buf, offset).unwrap();
    buf
}

/// The bytes as the engine sees them. `[offset, offset + len)` must be inside the file.
fn lent(file: &dyn DiskFile, offset: u64, len: usize) -> Vec<u8> {
    let segment = file.segment_bytes();
    assert!(offset % segment + len as u64 <= segment, "the test stays inside one segment");
    assert!(offset + len as u64 <= file.len().unwrap());
    let base = file.segment(offset / segment).unwrap();
    // SAFETY: the range is inside the segment and the file's length (checked above), and the file is
    // borrowed, so the memory is valid; it is copied out through the raw pointer.
    unsafe {
        let mut out = vec![0; len];
        std::ptr::copy_nonoverlapping(base.add((offset % segment) as usize), out.as_mut_ptr(), len);
        out
    }
}

fn a_missing_file_is_not_found(disk: &dyn Disk) {
    assert_eq!(disk.open("a").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.remove("a").unwrap_err().kind(), ErrorKind::NotFound);
}

fn an_existing_file_is_not_created_again(disk: &dyn Disk) {
    disk.create("a").unwrap().write_at(b"kept", 0).unwrap();
    assert_eq!(disk.create("a").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(read(&*disk.open("a").unwrap(), 0, 4), b"kept");
}

fn a_name_that_leads_elsewhere_is_refused(disk: &dyn Disk) {
    for name in ["", ".", "..", "a/b", "/a", "../a", "a\0b"] {
        assert_eq!(disk.create(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(disk.open(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(disk.remove(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
    }
}

fn a_removed_file_has_no_name_but_its_handles_work(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    file.write_at(b"still here", 0).unwrap();
    disk.remove("a").unwrap();
    assert_eq!(disk.open("a").unwrap_err().kind(), ErrorKind::NotFound);
    file.write_at(b"S", 0).unwrap();
    assert_eq!(read(&*file, 0, 10), b"Still here");
    assert_eq!(lent(&*file, 0, 10), b"Still here");
    file.sync_data().unwrap();
    let other = disk.create("a").unwrap();
    assert_eq!(other.len().unwrap(), 0, "a new file of that name is another file");
    assert_eq!(file.len().unwrap(), 10);
}

fn list_gives_the_names_with_the_prefix(disk: &dyn Disk) {
    for name in ["db-wal-1", "db-wal-2", "db", "other"] {
        disk.create(name).unwrap();
    }
    let sorted = |prefix| {
        let mut names = disk.list(prefix).unwrap();
        names.sort();
        names
    };
    assert_eq!(sorted("db-wal-"), ["db-wal-1", "db-wal-2"]);
    assert_eq!(sorted(""), ["db", "db-wal-1", "db-wal-2", "other"]);
    assert!(sorted("none").is_empty());
    disk.remove("db-wal-1").unwrap();
    assert_eq!(sorted("db-wal-"), ["db-wal-2"]);
}

fn a_gap_before_a_write_reads_as_zeros(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    assert!(file.len().unwrap() == 0);
    file.write_at(b"end", 10_000).unwrap();
    assert_eq!(file.len().unwrap(), 10_003);
    assert_eq!(read(&*file, 0, 10_000), vec![0; 10_000]);
    assert_eq!(read(&*file, 10_000, 3), b"end");
    assert!(file.len().unwrap() != 0);
}

fn reading_beyond_the_end_is_unexpected_eof(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    file.write_at(b"12345", 0).unwrap();
    let kind = |offset, len| file.read_at(&mut vec![0; len], offset).map_err(|e| e.kind());
    assert_eq!(kind(0, 5), Ok(()));
    assert_eq!(kind(5, 0), Ok(()));
    assert_eq!(kind(0, 6), Err(ErrorKind::UnexpectedEof));
    assert_eq!(kind(5, 1), Err(ErrorKind::UnexpectedEof));
    assert_eq!(kind(1_000_000, 1), Err(ErrorKind::UnexpectedEof));
}

fn allocate_grows_with_zeros_and_never_shrinks(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    file.write_at(b"head", 0).unwrap();
    file.allocate(100_000).unwrap();
    assert_eq!(file.len().unwrap(), 100_000);
    assert_eq!(read(&*file, 0, 4), b"head");
    assert_eq!(read(&*file, 4, 99_996), vec![0; 99_996]);
    file.allocate(10).unwrap();
    assert_eq!(file.len().unwrap(), 100_000);
}

fn truncate_cuts_and_never_grows(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    file.write_at(&[7; 5000], 0).unwrap();
    file.truncate(100).unwrap();
    assert_eq!(file.len().unwrap(), 100);
    assert_eq!(read(&*file, 0, 100), vec![7; 100]);
    file.truncate(200).unwrap();
    assert_eq!(file.len().unwrap(), 100);
}

fn what_was_cut_off_reads_as_zeros_when_the_file_grows_again(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    file.write_at(&[7; 9000], 0).unwrap();
    assert_eq!(lent(&*file, 0, 9000), vec![7; 9000]);
    file.truncate(4100).unwrap();
    file.allocate(9000).unwrap();
    let expected = [vec![7; 4100], vec![0; 4900]].concat();
    assert_eq!(read(&*file, 0, 9000), expected);
    assert_eq!(lent(&*file, 0, 9000), expected);
}

fn a_write_shows_through_lent_memory(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    let mut rng = Rng::new(seed(1));
    let mut expected = vec![0; 40_000];
    file.allocate(40_000).unwrap();
    for _ in 0..200 {
        let len = rng.below(5000) as usize;
        let data = rng.bytes(len);
        let at = rng.below((40_000 - len) as u64) as usize;
        file.write_at(&data, at as u64).unwrap();
        expected[at..at + len].copy_from_slice(&data);
        assert_eq!(lent(&*file, at as u64, len), data);
    }
    assert_eq!(lent(&*file, 0, 40_000), expected);
}

fn lent_memory_never_moves(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    assert!(file.segment_bytes().is_power_of_two() && file.segment_bytes() % 4096 == 0);
    let before = file.segment(0).unwrap();
    assert_eq!(before as usize % 4096, 0);
    file.write_at(&[1; 10_000], 0).unwrap();
    file.allocate(100_000).unwrap();
    file.sync_data().unwrap();
    file.write_at(b"late", 99_996).unwrap();
    assert_eq!(file.segment(0).unwrap(), before);
    assert_eq!(lent(&*file, 99_996, 4), b"late");
}

fn a_store_is_seen_like_a_write(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    let _: bool = file.can_store();
    file.write_at(&[0; 8192], 0).unwrap();
    file.store(b"stored", 4093).unwrap();
    file.store(b"", 0).unwrap();
    assert_eq!(read(&*file, 4093, 6), b"stored");
    assert_eq!(lent(&*file, 4093, 6), b"stored");
    file.write_at(b"written", 4093).unwrap();
    assert_eq!(lent(&*file, 4093, 7), b"written");
    file.sync_data().unwrap();
}

fn a_store_beyond_the_end_is_refused_and_changes_nothing(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    file.write_at(&[7; 5000], 0).unwrap();
    for offset in [4999, 5000, 8191, 1 << 40, u64::MAX] {
        file.store(b"xy", offset).expect_err("beyond the end");
    }
    assert_eq!(file.len().unwrap(), 5000);
    assert_eq!(read(&*file, 0, 5000), vec![7; 5000]);
}

fn a_store_follows_growth_and_cuts(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    file.write_at(&[7; 5000], 0).unwrap();
    file.store(b"x", 4999).unwrap();
    file.write_at(&[8; 5000], 5000).unwrap();
    file.store(b"y", 9999).unwrap();
    assert_eq!(read(&*file, 9998, 2), b"\x08y");
    file.truncate(4096).unwrap();
    file.store(b"z", 4096).expect_err("beyond the new end");
    file.store(b"z", 4095).unwrap();
    assert_eq!(read(&*file, 4095, 1), b"z");
}

fn all_openings_of_a_file_see_the_same_bytes(disk: &dyn Disk) {
    let one = disk.create("a").unwrap();
    let two = disk.open("a").unwrap();
    one.write_at(b"from one", 0).unwrap();
    assert_eq!(read(&*two, 0, 8), b"from one");
    two.write_at(b"two", 5).unwrap();
    assert_eq!(lent(&*one, 0, 8), b"from two");
}

fn a_lock_keeps_other_openings_out_until_its_handle_is_dropped(disk: &dyn Disk) {
    let one = disk.create("a").unwrap();
    let two = disk.open("a").unwrap();
    one.lock().unwrap();
    for _ in 0..2 {
        match two.lock() {
            Err(LockError::Held(holder)) => assert!([0, std::process::id()].contains(&holder.pid)),
            other => panic!("{other:?}"),
        }
    }
    let segment = one.segment(0).unwrap();
    assert!(!segment.is_null());
    drop(one);
    two.lock().unwrap();
    assert!(matches!(disk.open("a").unwrap().lock(), Err(LockError::Held(_))));
    disk.create("b").unwrap().lock().unwrap();
}

fn impossible_offsets_are_errors(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    for offset in [u64::MAX, u64::MAX - 1, 1 << 63] {
        file.write_at(b"xy", offset).unwrap_err();
        file.read_at(&mut [0; 2], offset).unwrap_err();
        file.store(b"xy", offset).unwrap_err();
    }
    file.allocate(u64::MAX).unwrap_err();
    file.segment(u64::MAX).unwrap_err();
    assert_eq!(file.len().unwrap(), 0);
}

fn syncs_of_a_healthy_disk_succeed(disk: &dyn Disk) {
    let file = disk.create("a").unwrap();
    file.write_at(b"x", 0).unwrap();
    file.sync_data().unwrap();
    file.sync_data().unwrap();
    disk.sync_dir().unwrap();
    disk.remove("a").unwrap();
    disk.sync_dir().unwrap();
}

fn any_sequence_of_operations_matches_a_plain_vector(disk: &dyn Disk) {
    let mut rng = Rng::new(seed(2));
    let file = disk.create("a").unwrap();
    let mut model: Vec<u8> = Vec::new();
    let mut written: Vec<bool> = Vec::new(); // else only allocated: nothing may be stored there
    for step in 0..2_000 {
        let at = rng.below(60_000) as usize;
        let len = rng.below(3_000) as usize;
        let data = rng.bytes(len);
        match rng.below(6) {
            0 | 1 => {
                file.write_at(&data, at as u64).unwrap();
                if !data.is_empty() {
                    model.resize(model.len().max(at + len), 0);
                    model[at..at + len].copy_from_slice(&data);
                    written.resize(model.len(), false);
                    written[at..at + len].fill(true);
                }
            }
            2 if written.get(at..at + len).is_some_and(|range| range.iter().all(|&w| w)) => {
                file.store(&data, at as u64).unwrap();
                model[at..at + len].copy_from_slice(&data);
            }
            3 => {
                file.allocate(at as u64).unwrap();
                model.resize(model.len().max(at), 0);
            }
            4 if rng.chance(0.2) => {
                file.truncate(at as u64).unwrap();
                model.truncate(at);
                written.truncate(at);
            }
            5 if rng.chance(0.1) => file.sync_data().unwrap(),
            _ => {}
        }
        assert_eq!(file.len().unwrap(), model.len() as u64, "step {step}");
        if at + len <= model.len() {
            assert_eq!(read(&*file, at as u64, len), model[at..at + len], "step {step}");
            assert_eq!(lent(&*file, at as u64, len), model[at..at + len], "step {step}");
        }
    }
    assert_eq!(read(&*file, 0, model.len()), model);
}

fn threads_may_write_and_read_different_places(disk: &dyn Disk) {
    const PART: u64 = 64 << 10;
    let file = disk.create("a").unwrap();
    file.write_at(&vec![0; 4 * PART as usize], 0).unwrap();
    std::thread::scope(|scope| {
        for part in 0..4 {
            let file = &*file;
            scope.spawn(move || {
                let mut rng = Rng::new(part);
                for _ in 0..if cfg!(miri) { 5 } else { 300 } {
                    let data = rng.bytes(500);
                    let at = part * PART + rng.below(PART - 500);
                    match part % 2 {
                        0 => file.write_at(&data, at).unwrap(),
                        _ => file.store(&data, at).unwrap(),
                    }
                    assert_eq!(lent(file, at, 500), data);
                    assert_eq!(read(file, at, 500), data);
                }
            });
        }
    });
}
