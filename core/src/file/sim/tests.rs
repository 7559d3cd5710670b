//! What only the simulated disk promises: which crash states there are, and which there are not.

use super::*;
use crate::env_sim::{seed, Rng};
use crate::file::disk::LockError;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

fn disk() -> SimDisk {
    SimDisk::new(SimOptions { file_capacity: 1 << 20, seed: 1 })
}

/// A disk with one file `a` whose bytes and name are durable.
fn disk_with(bytes: &[u8]) -> (SimDisk, Arc<dyn DiskFile>) {
    let disk = SimDisk::from_files(SimOptions::default(), [("a".to_owned(), bytes.to_vec())]);
    let file = disk.open("a").unwrap();
    (disk, file)
}

fn after(disk: &SimDisk, policy: CrashPolicy) -> Vec<u8> {
    disk.crash_image(policy).read_file("a")
}

fn files(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    disk.file_names().into_iter().map(|name| (name.clone(), disk.read_file(&name))).collect()
}

mod power_cuts {
    use super::*;

    #[test]
    fn lose_all_gives_what_was_synced_and_keep_all_what_was_seen() {
        let (disk, file) = disk_with(b"old old old");
        file.write_at(b"new", 0).unwrap();
        file.sync_data().unwrap();
        file.write_at(b"NEW", 4).unwrap();
        file.write_at(b"longer", 8).unwrap();
        assert_eq!(after(&disk, CrashPolicy::LoseAll), b"new old old");
        assert_eq!(after(&disk, CrashPolicy::KeepAll), b"new NEW longer");
        assert_eq!(disk.read_file("a"), b"new NEW longer", "the disk itself goes on");
        assert_eq!(disk.crash_image(CrashPolicy::KeepAll).pending(), 0, "all in an image is durable");
    }

    #[test]
    fn each_change_can_be_the_only_one_lost_or_kept() {
        let (disk, file) = disk_with(b"....");
        file.write_at(b"A", 0).unwrap();
        file.write_at(b"B", 1).unwrap();
        file.store(b"C", 2).unwrap();
        assert_eq!(disk.pending(), 3);
        let all = |policy: fn(usize) -> CrashPolicy| [0, 1, 2].map(|i| after(&disk, policy(i)));
        assert_eq!(all(CrashPolicy::LoseOne), [b".BC.", b"A.C.", b"AB.."]);
        assert_eq!(all(CrashPolicy::KeepOne), [b"A...", b".B..", b"..C."]);
    }

    #[test]
    fn a_lost_length_takes_the_data_beyond_it_along() {
        let (disk, file) = disk_with(b"old");
        file.write_at(b"d and beyond", 2).unwrap(); // change 0: length, change 1: data
        assert_eq!(disk.pending(), 2);
        assert_eq!(after(&disk, CrashPolicy::LoseOne(0)), b"old");
        assert_eq!(after(&disk, CrashPolicy::KeepOne(0)), [&b"old"[..], &[0; 11]].concat());
    }

    #[test]
    fn a_later_growth_covers_data_whose_own_growth_was_lost() {
        let (disk, file) = disk_with(b"");
        file.write_at(b"first", 0).unwrap(); // 0, 1
        file.write_at(b"second", 5).unwrap(); // 2, 3
        assert_eq!(after(&disk, CrashPolicy::LoseOne(0)), b"firstsecond");
        assert_eq!(after(&disk, CrashPolicy::LoseOne(2)), b"first");
        assert_eq!(after(&disk, CrashPolicy::LoseOne(1)), b"\0\0\0\0\0second");
    }

    #[test]
    fn a_cut_and_what_is_written_after_it_are_lost_or_kept_apart() {
        let (disk, file) = disk_with(b"0123456789");
        file.truncate(4).unwrap(); // 0
        file.write_at(b"X", 8).unwrap(); // 1: length 9, 2: data
        assert_eq!(disk.read_file("a"), b"0123\0\0\0\0X");
        assert_eq!(after(&disk, CrashPolicy::KeepAll), b"0123\0\0\0\0X");
        assert_eq!(after(&disk, CrashPolicy::LoseOne(0)), b"01234567X9");
        assert_eq!(after(&disk, CrashPolicy::LoseOne(1)), b"0123");
        assert_eq!(after(&disk, CrashPolicy::KeepOne(0)), b"0123");
        assert_eq!(after(&disk, CrashPolicy::LoseAll), b"0123456789");
    }

    #[test]
    fn a_sync_of_one_file_makes_no_other_file_durable() {
        let disk = disk();
        disk.write_file("b", b"old".to_vec());
        let (a, b) = (disk.create("a").unwrap(), disk.open("b").unwrap());
        disk.sync_dir().unwrap();
        a.write_at(b"new", 0).unwrap();
        b.write_at(b"new", 0).unwrap();
        a.sync_data().unwrap();
        let image = disk.crash_image(CrashPolicy::LoseAll);
        assert_eq!((image.read_file("a"), image.read_file("b")), (b"new".to_vec(), b"old".to_vec()));
    }

    #[test]
    fn a_created_file_is_durable_only_with_its_directory() {
        let disk = disk();
        let file = disk.create("a").unwrap();
        file.write_at(b"synced", 0).unwrap();
        file.sync_data().unwrap();
        assert_eq!(disk.crash_image(CrashPolicy::LoseAll).file_names(), [""; 0]);
        assert_eq!(files(&disk.crash_image(CrashPolicy::KeepAll))["a"], b"synced");
        disk.sync_dir().unwrap();
        file.write_at(b"later", 0).unwrap();
        assert_eq!(files(&disk.crash_image(CrashPolicy::LoseAll))["a"], b"synced");
    }

    #[test]
    fn a_removed_file_comes_back_until_the_directory_is_synced() {
        let (disk, file) = disk_with(b"old");
        disk.remove("a").unwrap();
        file.write_at(b"new", 0).unwrap();
        assert_eq!(after(&disk, CrashPolicy::LoseAll), b"old");
        let second = disk.create("a").unwrap();
        second.write_at(b"another", 0).unwrap();
        // Changes: 0 the write to the first file; 1, 2 the second's; 3 the removal; 4 the creation.
        assert_eq!(disk.pending(), 5);
        assert_eq!(after(&disk, CrashPolicy::KeepOne(0)), b"new");
        assert!(disk.crash_image(CrashPolicy::KeepOne(3)).file_names().is_empty());
        assert_eq!(after(&disk, CrashPolicy::KeepOne(4)), b"");
        assert_eq!(after(&disk, CrashPolicy::LoseOne(3)), b"new");
        assert_eq!(after(&disk, CrashPolicy::KeepAll), b"another");
        disk.sync_dir().unwrap();
        assert_eq!(after(&disk, CrashPolicy::LoseAll), b"");
    }

    #[test]
    fn the_directory_keeps_a_prefix_of_its_changes() {
        let disk = disk();
        for name in ["a", "b", "c"] {
            disk.create(name).unwrap();
        }
        disk.remove("b").unwrap();
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            seen.insert(disk.crash_image(CrashPolicy::Random(seed)).file_names().concat());
        }
        let expected = ["", "a", "ab", "abc", "ac"].map(str::to_owned);
        assert_eq!(seen, BTreeSet::from(expected));
    }

    /// Whether each atom of `bytes` is all `a` or all `b`.
    fn atoms(bytes: &[u8], from: usize, atom: usize) -> Vec<u8> {
        let borders = (0..bytes.len()).filter(|i| i % atom == 0 || *i == from).chain([bytes.len()]);
        let borders: Vec<usize> = borders.collect();
        borders
            .windows(2)
            .map(|w| {
                let piece = &bytes[w[0]..w[1]];
                assert!(piece.iter().all(|b| *b == piece[0]), "{atom}-byte atom at {} is in parts", w[0]);
                piece[0]
            })
            .collect()
    }

    fn torn_states(atom: usize, put: impl Fn(&dyn DiskFile)) -> BTreeSet<Vec<u8>> {
        let (disk, file) = disk_with(&vec![b'.'; atom * 5]);
        put(&*file);
        (0..3000).map(|seed| atoms(&after(&disk, CrashPolicy::Random(seed)), atom / 2, atom)).collect()
    }

    #[test]
    fn a_write_is_torn_at_sectors_and_every_mixture_occurs() {
        // From the middle of sector 0 to the end of sector 3.
        let states = torn_states(512, |file| file.write_at(&[b'W'; 512 * 4 - 256], 256).unwrap());
        assert!(states.iter().all(|s| s[0] == b'.' && s[5] == b'.'));
        assert_eq!(states.len(), 16, "{states:?}");
    }

    #[test]
    fn a_store_is_torn_at_words_and_every_mixture_occurs() {
        let states = torn_states(8, |file| file.store(&[b'W'; 28], 4).unwrap());
        assert!(states.iter().all(|s| s[0] == b'.' && s[5] == b'.'));
        assert_eq!(states.len(), 16, "{states:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_image_and_many_seeds_many() {
        let (disk, file) = disk_with(&[0; 8192]);
        for i in 0..8 {
            file.write_at(&[i + 1; 1024], u64::from(i) * 1024).unwrap();
        }
        let digest = |seed| disk.crash_image(CrashPolicy::Random(seed)).digest();
        assert_eq!(digest(5), digest(5));
        let distinct: BTreeSet<u64> = (0..500).map(digest).collect();
        assert!(distinct.len() > 200, "{}", distinct.len());
        assert!(distinct.contains(&disk.crash_image(CrashPolicy::KeepAll).digest()));
        assert!(distinct.contains(&disk.crash_image(CrashPolicy::LoseAll).digest()));
    }
}

mod failures {
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
}

mod process_crashes {
    use super::*;

    #[test]
    fn a_killed_process_loses_nothing_and_a_power_cut_after_it_may() {
        let (disk, file) = disk_with(b"....");
        file.write_at(b"A", 0).unwrap();
        file.sync_data().unwrap();
        file.write_at(b"B", 1).unwrap();
        disk.create("new").unwrap();
        file.lock().unwrap();

        let next = disk.process_crash_image();
        assert_eq!(files(&next), files(&disk));
        assert_eq!((next.pending(), next.operations()), (2, 0));
        assert_eq!(after(&next, CrashPolicy::LoseAll), b"A...");
        assert_eq!(next.crash_image(CrashPolicy::LoseAll).file_names(), ["a"]);

        let reopened = next.open("a").unwrap();
        reopened.lock().expect("a dead process holds no lock");
        reopened.sync_data().unwrap();
        next.sync_dir().unwrap();
        assert_eq!(files(&next.crash_image(CrashPolicy::LoseAll)), files(&disk));
        assert_eq!(after(&disk, CrashPolicy::LoseAll), b"A...", "the first disk is untouched");
    }

    #[test]
    fn what_a_failed_sync_left_stays_out_of_reach_for_the_next_process() {
        let (disk, file) = disk_with(b"....");
        file.write_at(b"A", 0).unwrap();
        disk.fail_at(2, SimError::Eio, Persist::Once);
        file.sync_data().unwrap_err();
        let next = disk.process_crash_image();
        next.open("a").unwrap().sync_data().unwrap();
        assert_eq!(next.read_file("a"), b"A...");
        assert_eq!(after(&next, CrashPolicy::LoseAll), b"....");
    }

    #[test]
    fn a_disk_and_its_images_share_nothing() {
        let (disk, file) = disk_with(&[1; 100]);
        let images = [disk.process_crash_image(), disk.crash_image(CrashPolicy::LoseAll)];
        file.write_at(&[2; 100], 0).unwrap();
        file.sync_data().unwrap();
        for image in &images {
            assert_eq!(image.read_file("a"), [1; 100]);
            let opened = image.open("a").unwrap();
            opened.write_at(&[3; 100], 0).unwrap();
            opened.sync_data().unwrap();
            assert_eq!(after(image, CrashPolicy::LoseAll), [3; 100]);
        }
        assert_eq!(after(&disk, CrashPolicy::LoseAll), [2; 100]);
    }
}

mod tools {
    use super::*;

    #[test]
    fn the_digest_differs_exactly_if_the_image_does() {
        let base = || SimDisk::from_files(SimOptions::default(), [("a".to_owned(), vec![1; 10])]);
        let changes: [fn(&SimDisk); 7] = [
            |_| (),
            |disk| disk.flip_bit("a", 9, 7),
            |disk| disk.truncate_file("a", 9),
            |disk| disk.write_file("a", [vec![1; 10], vec![0]].concat()),
            |disk| disk.write_file("b", vec![]),
            |disk| disk.remove("a").unwrap(),
            |disk| disk.open("a").unwrap().store(&[2], 3).unwrap(),
        ];
        let digests: BTreeSet<u64> = changes
            .iter()
            .map(|change| {
                let (one, two) = (base(), base());
                change(&one);
                change(&two);
                assert_eq!(one.digest(), two.digest());
                one.digest()
            })
            .collect();
        assert_eq!(digests.len(), changes.len());
    }

    #[test]
    fn damage_is_durable_and_leaves_open_handles_valid() {
        let (disk, file) = disk_with(&[0; 10]);
        file.write_at(b"pending", 0).unwrap();
        disk.flip_bit("a", 1, 3);
        assert_eq!(after(&disk, CrashPolicy::LoseAll), b"pmnding\0\0\0");
        assert_eq!(disk.pending(), 0);
        disk.truncate_file("a", 2);
        assert_eq!(file.len().unwrap(), 2);
        disk.write_file("a", b"other".to_vec());
        let mut bytes = [0; 5];
        file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"other");
        assert_eq!(disk.operations(), 1);
    }

    #[test]
    fn the_trace_names_every_operation() {
        let disk = disk();
        disk.record();
        let file = disk.create("a").unwrap();
        file.allocate(4096).unwrap();
        file.write_at(b"0123456789", 100).unwrap();
        disk.fail_at(4, SimError::Eio, Persist::Once);
        file.sync_data().unwrap_err();
        file.store(b"12", 105).unwrap();
        file.truncate(70).unwrap();
        file.truncate(70).unwrap(); // changes nothing, so it is no operation
        disk.sync_dir().unwrap();
        let expected = "     1  create    a
     2  allocate  a to 4096
     3  write     a offset 100 length 10
     4  sync      a  FAILED
     5  store     a offset 105 length 2
     6  truncate  a to 70
     7  sync dir
";
        let trace = disk.trace();
        assert_eq!(trace.lines().map(str::trim_end).collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>());
    }

    #[test]
    fn the_observer_sees_writes_before_and_syncs_after_they_happen() {
        struct Watch(SimDisk, Mutex<Vec<String>>);
        impl Watch {
            fn note(&self, what: String) {
                let visible = String::from_utf8(self.0.read_file("a")).unwrap();
                self.1.lock().push(format!("{what} {visible}"));
            }
        }
        impl Observer for Watch {
            fn before_write(&self, name: &str, offset: u64, len: u64) {
                self.note(format!("write {name} {offset} {len}"));
            }
            fn before_truncate(&self, name: &str, len: u64) {
                self.note(format!("truncate {name} {len}"));
            }
            fn after_sync(&self, name: &str) {
                let durable = self.0.crash_image(CrashPolicy::LoseAll).read_file(name);
                self.note(format!("synced {}", String::from_utf8(durable).unwrap()));
            }
            fn after_sync_dir(&self) {
                self.note("synced dir".to_owned());
            }
        }
        let (disk, file) = disk_with(b"old");
        let watch = Arc::new(Watch(disk.clone(), Mutex::new(Vec::new())));
        disk.set_observer(watch.clone());
        file.write_at(b"N", 0).unwrap();
        file.store(b"EW", 1).unwrap();
        file.sync_data().unwrap();
        file.truncate(2).unwrap();
        disk.sync_dir().unwrap();
        disk.fail_at(6, SimError::Eio, Persist::Once);
        file.sync_data().unwrap_err();
        let seen = watch.1.lock().clone();
        assert_eq!(seen, ["write a 0 1 old", "write a 1 2 Nld", "synced NEW NEW", "truncate a 2 NEW", "synced dir NE"]);
    }

    #[test]
    fn a_store_into_space_that_was_only_allocated_is_refused() {
        let (disk, file) = disk_with(b"old ");
        file.allocate(100).unwrap();
        file.store(b"d", 2).unwrap();
        assert_eq!(file.store(b"xy", 3).unwrap_err().kind(), ErrorKind::InvalidInput);
        file.write_at(&[0; 20], 4).unwrap();
        file.write_at(&[0; 20], 40).unwrap();
        file.store(&[1; 21], 3).unwrap();
        file.store(&[1; 20], 40).unwrap();
        for (at, len) in [(23, 2), (24, 16), (39, 1), (59, 2), (99, 1), (0, 100)] {
            assert_eq!(file.store(&vec![2; len], at).unwrap_err().kind(), ErrorKind::InvalidInput, "{at} {len}");
        }
        file.write_at(&[0; 16], 24).unwrap();
        file.store(&[1; 60], 0).unwrap();
        file.truncate(10).unwrap();
        file.write_at(b"gap before", 20).unwrap();
        file.store(b"x", 15).unwrap_err();
        file.store(b"x", 25).unwrap();
        assert!(disk.process_crash_image().open("a").unwrap().store(b"x", 15).is_err());
    }

    #[test]
    fn whether_stores_are_offered_is_for_the_test_to_say_and_is_inherited() {
        let (disk, file) = disk_with(b"a");
        assert!(file.can_store());
        disk.set_can_store(false);
        assert!(!file.can_store());
        assert!(!disk.crash_image(CrashPolicy::LoseAll).open("a").unwrap().can_store());
    }
}

/// Random operations against a naive model: plain maps, one for what is seen and one for what is safe.
mod model {
    use super::*;

    type Files = BTreeMap<String, (u64, Vec<u8>)>; // id of the file, bytes

    #[derive(Default)]
    struct Model {
        seen: Files,
        safe_names: BTreeMap<String, u64>,
        safe_bytes: BTreeMap<u64, Vec<u8>>,
        /// Of each file, every byte value that each place may have after a power cut.
        possible: BTreeMap<u64, Vec<BTreeSet<u8>>>,
        next: u64,
    }

    impl Model {
        fn change(&mut self, name: &str, at: usize, data: &[u8]) {
            let (id, bytes) = self.seen.get_mut(name).unwrap();
            bytes.resize(bytes.len().max(at + data.len()), 0);
            bytes[at..at + data.len()].copy_from_slice(data);
            let possible = self.possible.get_mut(id).unwrap();
            possible.resize(possible.len().max(at + data.len()), BTreeSet::from([0]));
            for (place, byte) in possible[at..].iter_mut().zip(data) {
                place.insert(*byte);
            }
        }

        fn cut(&mut self, name: &str, len: usize) {
            let (id, bytes) = self.seen.get_mut(name).unwrap();
            bytes.truncate(len);
            let possible = self.possible.get_mut(id).unwrap();
            for place in &mut possible[len..] {
                place.insert(0);
            }
        }

        fn sync(&mut self, name: &str) {
            let (id, bytes) = &self.seen[name];
            self.safe_bytes.insert(*id, bytes.clone());
            self.possible.insert(*id, bytes.iter().map(|b| BTreeSet::from([*b])).collect());
        }

        fn sync_dir(&mut self) {
            self.safe_names = self.seen.iter().map(|(name, (id, _))| (name.clone(), *id)).collect();
        }

        fn lose_all(&self) -> BTreeMap<String, Vec<u8>> {
            self.safe_names.iter().map(|(name, id)| (name.clone(), self.safe_bytes[id].clone())).collect()
        }

        fn keep_all(&self) -> BTreeMap<String, Vec<u8>> {
            self.seen.iter().map(|(name, (_, bytes))| (name.clone(), bytes.clone())).collect()
        }

        fn create(&mut self, name: &str) {
            self.next += 1;
            self.seen.insert(name.to_owned(), (self.next, Vec::new()));
            self.safe_bytes.insert(self.next, Vec::new());
            self.possible.insert(self.next, Vec::new());
        }
    }

    const NAMES: [&str; 3] = ["a", "b", "c"];

    /// Stores where something was written before; false where not.
    fn store(file: &dyn DiskFile, data: &[u8], offset: u64) -> io::Result<bool> {
        match file.store(data, offset) {
            Err(e) if e.kind() == ErrorKind::InvalidInput => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// One random operation on the disk and, if there is one, on the model.
    fn step(disk: &SimDisk, rng: &mut Rng, mut model: Option<&mut Model>) -> io::Result<()> {
        let name = *rng.pick(&NAMES);
        let draw = rng.below(100);
        let (at, len) = (rng.below(3000) as usize, rng.below(1500) as usize);
        let data = rng.bytes(len);
        let Ok(file) = disk.open(name) else {
            if draw < 50 && !disk.is_off() {
                disk.create(name)?;
                if let Some(model) = &mut model {
                    model.create(name);
                }
            }
            return Ok(());
        };
        let now = file.len()? as usize;
        match draw {
            0..50 if len > 0 => {
                let stored = at + len <= now && draw % 2 == 0 && store(&*file, &data, at as u64)?;
                if !stored {
                    file.write_at(&data, at as u64)?;
                }
                if let Some(model) = model {
                    model.change(name, at, &data);
                }
            }
            50..60 => {
                file.allocate(at as u64)?;
                if let Some(model) = model {
                    model.change(name, now.max(at), b"");
                }
            }
            60..65 if at < now => {
                file.truncate(at as u64)?;
                if let Some(model) = model {
                    model.cut(name, at);
                }
            }
            65..68 => {
                disk.remove(name)?;
                if let Some(model) = model {
                    model.seen.remove(name);
                }
            }
            68..78 => {
                disk.sync_dir()?;
                if let Some(model) = model {
                    model.sync_dir();
                }
            }
            78..90 => {
                file.sync_data()?;
                if let Some(model) = model {
                    model.sync(name);
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[test]
    fn every_image_lies_between_what_was_synced_and_what_was_seen() {
        let mut rng = Rng::new(seed(3));
        for _ in 0..20 {
            let (disk, mut model) = (disk(), Model::default());
            for _ in 0..200 {
                step(&disk, &mut rng, Some(&mut model)).unwrap();
                assert_eq!(files(&disk), model.keep_all());
                assert_eq!(files(&disk.process_crash_image()), model.keep_all());
                assert_eq!(files(&disk.crash_image(CrashPolicy::KeepAll)), model.keep_all());
                assert_eq!(files(&disk.crash_image(CrashPolicy::LoseAll)), model.lose_all());
                let random = disk.crash_image(CrashPolicy::Random(rng.next_u64()));
                for inode in random.inodes() {
                    let possible = &model.possible[&inode.id];
                    let bytes = random.read_file(&inode.name);
                    assert!(bytes.len() <= possible.len());
                    assert!(bytes.iter().zip(possible).all(|(byte, place)| place.contains(byte)));
                }
            }
        }
    }

    #[test]
    fn a_replay_reaches_the_very_states_that_running_again_does() {
        let seed = seed(4);
        let policies = [CrashPolicy::LoseAll, CrashPolicy::KeepAll, CrashPolicy::Random(9), CrashPolicy::LoseOne(2)];
        let run = |disk: &SimDisk| {
            let mut rng = Rng::new(seed);
            while disk.operations() < 100 && step(disk, &mut rng, None).is_ok() {}
        };
        let start = SimDisk::from_files(SimOptions::default(), [("a".to_owned(), vec![7; 2000])]);
        start.open("a").unwrap().write_at(b"pending from the start", 0).unwrap();
        let recorded = start.process_crash_image();
        recorded.record();
        run(&recorded);
        let mut replay = recorded.replay().unwrap();
        let mut number = 0;
        loop {
            let again = start.process_crash_image();
            again.crash_at(number + 1);
            run(&again);
            for policy in policies {
                let (one, two) = (replay.disk().crash_image(policy), again.crash_image(policy));
                assert_eq!(files(&one), files(&two), "{policy:?} after operation {number}\n{}", recorded.trace());
                assert_eq!(one.digest(), two.digest());
            }
            match replay.step() {
                Some(next) => number = next,
                None => break,
            }
        }
        assert_eq!(number, recorded.operations());
    }

    #[test]
    fn a_replay_repeats_failures_with_all_they_left() {
        for seed in 0..50 {
            let disk = SimDisk::new(SimOptions { seed, ..SimOptions::default() });
            disk.record();
            let mut rng = Rng::new(seed);
            for n in 1..60 {
                if n % 3 == 0 {
                    disk.fail_at(n, SimError::Eio, Persist::Once);
                }
                let _ = step(&disk, &mut rng, None);
            }
            let mut replay = disk.replay().unwrap();
            while replay.step().is_some() {}
            for policy in [CrashPolicy::LoseAll, CrashPolicy::KeepAll, CrashPolicy::Random(seed)] {
                assert_eq!(files(&replay.disk().crash_image(policy)), files(&disk.crash_image(policy)), "seed {seed}");
            }
        }
    }
}

#[test]
fn a_crash_image_of_a_small_database_costs_far_under_a_millisecond() {
    let (disk, file) = disk_with(&[1; 100 << 10]);
    for i in 0..20 {
        file.write_at(&[2; 4096], i * 4096).unwrap();
    }
    let start = std::time::Instant::now();
    for seed in 0..1000 {
        let image = disk.crash_image(CrashPolicy::Random(seed));
        let opened = image.open("a").unwrap();
        opened.write_at(&[3; 4096], 0).unwrap();
        opened.sync_data().unwrap();
    }
    let each = start.elapsed() / 1000;
    println!("{each:?} an image");
    assert!(each.as_micros() < 1000, "{each:?}");
}
