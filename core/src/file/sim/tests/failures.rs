//! What a failing operation does, and what is left of it.

use super::*;

#[test]
fn a_failed_sync_is_not_made_good_by_a_later_one() {
    let (disk, file) = disk_with(b"....");
    file.write_at(b"A", 0).unwrap(); // 1
    disk.fail_at(2, SimError::Eio, Persist::Once);
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(libc::EIO));
    file.write_at(b"B", 1).unwrap();
    file.sync_data().unwrap();
    assert_eq!(disk.read_file("a"), b"AB..", "still visible");
    assert_eq!(after(&disk, CrashPolicy::LoseAll), b".B..", "A is lost, B is durable");
    assert_eq!(after(&disk, CrashPolicy::KeepAll), b"AB..", "or A was written before the failure");
    assert_eq!(disk.pending(), 1);
    file.write_at(b"a", 0).unwrap();
    file.sync_data().unwrap();
    for seed in 0..20 {
        assert_eq!(after(&disk, CrashPolicy::Random(seed)), b"aB..", "written again, it is durable");
    }
}

#[test]
fn a_failed_sync_of_the_directory_is_not_made_good_by_a_later_one() {
    let disk = disk();
    disk.create("a").unwrap();
    disk.fail_at(2, SimError::Eio, Persist::Once);
    disk.sync_dir().unwrap_err();
    disk.create("b").unwrap();
    disk.sync_dir().unwrap();
    assert_eq!(disk.file_names(), ["a", "b"]);
    assert_eq!(disk.crash_image(CrashPolicy::LoseAll).file_names(), ["b"]);
}

#[test]
fn a_failed_write_may_be_done_in_part() {
    let mut lengths = BTreeSet::new();
    for seed in 0..100 {
        let disk = SimDisk::new(SimOptions { seed, ..SimOptions::default() });
        let file = disk.create("a").unwrap();
        disk.fail_at(2, SimError::Eio, Persist::Once);
        file.write_at(b"0123456789", 0).unwrap_err();
        let seen = disk.read_file("a");
        assert!(b"0123456789".starts_with(&seen), "{seen:?}");
        lengths.insert(seen.len());
        file.write_at(b"0123456789", 0).expect("only once");
    }
    assert_eq!(lengths, (0..=10).collect());
}

#[test]
fn a_failed_growth_may_be_done_in_part() {
    let mut lengths = BTreeSet::new();
    for seed in 0..100 {
        let disk = SimDisk::new(SimOptions { seed, ..SimOptions::default() });
        let file = disk.create("a").unwrap();
        disk.fail_at(2, SimError::Enospc, Persist::Once);
        assert_eq!(file.allocate(10_000).unwrap_err().kind(), ErrorKind::StorageFull);
        lengths.insert(file.len().unwrap());
    }
    assert_eq!(lengths, BTreeSet::from([0, 4096, 8192, 10_000]));
}

#[test]
fn a_full_disk_still_overwrites_syncs_and_removes() {
    let (disk, file) = disk_with(&[0; 100]);
    disk.fail_at(1, SimError::Enospc, Persist::FromThenOn);
    file.write_at(b"inside", 0).unwrap();
    file.store(b"inside", 10).unwrap();
    for _ in 0..2 {
        assert_eq!(file.write_at(b"beyond", 1_000).unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.allocate(100_000).unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(disk.create("b").unwrap_err().kind(), ErrorKind::StorageFull);
    }
    file.sync_data().unwrap();
    file.truncate(50).unwrap();
    disk.remove("a").unwrap();
    disk.sync_dir().unwrap();
    disk.clear_faults();
    disk.create("b").unwrap();
}

#[test]
fn a_broken_disk_fails_every_change_and_still_reads() {
    let (disk, file) = disk_with(b"readable");
    disk.fail_at(1, SimError::Eio, Persist::FromThenOn);
    file.truncate(1).unwrap_err();
    file.store(b"x", 100).expect_err("beyond the end, so no operation");
    file.sync_data().unwrap_err();
    disk.create("b").unwrap_err();
    disk.remove("a").unwrap_err();
    disk.sync_dir().unwrap_err();
    assert_eq!(disk.operations(), 5);
    let mut bytes = [0; 8];
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"readable");
    assert_eq!(disk.file_names(), ["a"]);
}

#[test]
fn a_file_at_its_capacity_is_a_full_disk() {
    let disk = SimDisk::new(SimOptions { file_capacity: 5_000, seed: 0 });
    let file = disk.create("a").unwrap();
    assert_eq!(file.segment_bytes(), 8192);
    file.write_at(&[1; 8192], 0).unwrap();
    assert_eq!(file.write_at(&[1; 2], 8191).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.allocate(8193).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 8192);
}

#[test]
fn after_a_crash_every_call_fails_and_nothing_happens() {
    let (disk, file) = disk_with(b"old");
    disk.crash_at(2);
    file.write_at(b"one", 0).unwrap();
    let error = file.write_at(b"two", 0).unwrap_err();
    assert!(is_power_cut(&error), "{error}");
    assert!(!is_power_cut(&io::Error::other("else")));
    assert!(disk.is_off());
    let calls: [io::Error; 11] = [
        file.len().unwrap_err(),
        file.read_at(&mut [0], 0).unwrap_err(),
        file.write_at(b"", 0).unwrap_err(),
        file.store(b"x", 0).unwrap_err(),
        file.allocate(100).unwrap_err(),
        file.truncate(0).unwrap_err(),
        file.sync_data().unwrap_err(),
        disk.open("a").unwrap_err(),
        disk.create("b").unwrap_err(),
        disk.list("").unwrap_err(),
        disk.sync_dir().unwrap_err(),
    ];
    assert!(calls.iter().all(is_power_cut));
    assert!(matches!(file.lock(), Err(LockError::Io(e)) if is_power_cut(&e)));
    assert_eq!(disk.operations(), 2, "calls after the crash are no operations");
    assert_eq!(after(&disk, CrashPolicy::KeepAll), b"one");
    assert_eq!(disk.process_crash_image().read_file("a"), b"one");
}

#[test]
fn a_crash_partway_leaves_a_part_of_the_operation() {
    let mut seen = BTreeSet::new();
    let mut names = BTreeSet::new();
    for seed in 0..100 {
        let disk = SimDisk::new(SimOptions { seed, ..SimOptions::default() });
        disk.write_file("a", b"old".to_vec());
        disk.crash_partway_at(1);
        assert!(is_power_cut(&disk.open("a").unwrap().write_at(b"NEW", 0).unwrap_err()));
        seen.insert(disk.read_file("a"));
        disk.clear_faults();
        disk.crash_partway_at(2);
        disk.create("b").unwrap_err();
        names.insert(disk.file_names().concat());
    }
    assert_eq!(seen, BTreeSet::from(["old", "Nld", "NEd", "NEW"].map(|s| s.as_bytes().to_vec())));
    assert_eq!(names, BTreeSet::from(["a", "ab"].map(str::to_owned)));
}
