//! What is left when only the process dies.

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
