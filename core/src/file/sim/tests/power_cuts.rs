//! Which states a power cut leaves.

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
    assert_eq!(after(&disk, CrashPolicy::LoseOne(0)), b"another");
    assert_eq!(after(&disk, CrashPolicy::LoseOne(2)), b"\0\0\0\0\0\0\0");
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
