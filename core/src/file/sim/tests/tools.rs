//! Digest, damage, trace, observer.

use super::*;
use crate::sync::Mutex;

#[test]
fn the_digest_differs_exactly_if_the_image_does() {
    let base = || SimDisk::from_files(SimOptions::default(), [("a".to_owned(), vec![1; 10])]);
    let changes: [fn(&SimDisk); 10] = [
        |_| (),
        |disk| disk.flip_bit("a", 9, 7),
        |disk| disk.truncate_file("a", 9),
        |disk| disk.write_file("a", [vec![1; 10], vec![0]].concat()),
        |disk| disk.write_file("b", vec![]),
        |disk| {
            disk.remove("a").unwrap();
            disk.write_file("c", vec![1; 10]);
        },
        // What a digest without lengths takes for one another.
        |disk| disk.write_file("b", vec![9]),
        |disk| disk.write_file("a", [&[1; 10][..], &1u64.to_le_bytes(), b"b", &[9]].concat()),
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
    file.allocate(4).unwrap();
    assert_eq!(disk.read_file("a"), b"pm\0\0");
    disk.write_file("a", b"other".to_vec());
    let mut bytes = [0; 5];
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"other");
    assert_eq!(disk.operations(), 2);
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
        fn before_write(&self, name: &str, offset: u64, data: &[u8]) {
            let len = data.len();
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
    // The disk and what watches it hold each other.
    struct Nobody;
    impl Observer for Nobody {}
    disk.set_observer(Arc::new(Nobody));
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
