//! Damaged backups, and backups of a damaged file.

use super::*;
use crate::allocator::{peak_since, watch};
use nyro::Error;
use xxhash_rust::xxh3::xxh3_64;

/// A small full backup and an incremental one after it.
fn small() -> Bed {
    let mut bed = Bed::new(40);
    for i in 0..30 {
        bed.put("a", i, "text".into());
    }
    bed.backup("full", &named("full", None)).expect("backs up");
    bed.put("a", 7, "changed".into());
    bed.backup("inc", &named("inc", Some("full"))).expect("backs up");
    bed.disk.write_file("target", b"untouched".to_vec());
    bed
}

/// The restore fails with an error that says what is wrong, and leaves everything as it was.
fn refused(bed: &Bed, backups: &[&str], what: &str) {
    let files = bed.disk.file_names();
    match bed.restore("target", backups) {
        Err(
            Error::Corrupt(_) | Error::BackupMismatch(_) | Error::NotADatabase { .. } | Error::UnknownFormat { .. },
        ) => {}
        other => panic!("{what}: {other:?}"),
    }
    assert_eq!(bed.disk.read_file("target"), b"untouched", "{what}");
    assert_eq!(bed.disk.file_names(), files, "{what}");
}

#[test]
fn a_flipped_byte_anywhere_in_an_incremental_backup_is_noticed() {
    let bed = small();
    let bytes = bed.disk.read_file("inc");
    println!("{} bytes", bytes.len());
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        bed.disk.write_file("inc", bad);
        refused(&bed, &["full", "inc"], &format!("byte {at}"));
    }
    bed.disk.write_file("inc", bytes);
    bed.restore("target", &["full", "inc"]).expect("restores");
    assert_eq!(bed.content_of("target"), bed.content);
}

#[test]
fn a_backup_that_was_cut_is_refused_wherever_it_was_cut() {
    let bed = small();
    for (name, step) in [("inc", 97), ("full", 1021)] {
        let bytes = bed.disk.read_file(name);
        for length in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
            bed.disk.write_file(name, bytes[..length].to_vec());
            refused(&bed, &["full", "inc"], &format!("{name} cut to {length} bytes"));
        }
        bed.disk.write_file(name, bytes);
    }
}

#[test]
fn a_flipped_byte_in_a_used_page_of_a_full_backup_is_noticed() {
    let bed = small();
    let bytes = bed.disk.read_file("full");
    let mut damaged = 0;
    for page in 2..bytes.len() / 4096 {
        if bytes[page * 4096..][..4096].iter().all(|b| *b == 0) {
            continue;
        }
        for at in [0, 9, 50, 2000, 4095] {
            let mut bad = bytes.clone();
            bad[page * 4096 + at] ^= 0x10;
            bed.disk.write_file("full", bad);
            refused(&bed, &["full"], &format!("page {page}, byte {at}"));
            damaged += 1;
        }
    }
    assert!(damaged > 20);
}

/// The header made right again after a change.
fn reseal(header: &mut [u8]) {
    let sum = xxh3_64(&header[..120]);
    header[120..128].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn hostile_lengths_in_an_incremental_backup_allocate_nothing() {
    let bed = small();
    let bytes = bed.disk.read_file("inc");
    // Runs, pages, and the generations, with the checksum of the header made right again.
    for at in [48, 72, 80, 88] {
        for value in [0, 1, 1 << 20, 1 << 40, u64::MAX >> 1, u64::MAX] {
            let mut bad = bytes.clone();
            bad[at..at + 8].copy_from_slice(&value.to_le_bytes());
            reseal(&mut bad[..128]);
            if bad == bytes {
                continue;
            }
            bed.disk.write_file("inc", bad);
            let held = watch();
            refused(&bed, &["full", "inc"], &format!("{value} at {at}"));
            assert!(peak_since(held) < 16 << 20, "{value} at {at}: {} bytes", peak_since(held));
        }
    }
    // First page and length of the first run, with all checksums made right again.
    for at in [4224, 4232] {
        for value in [0, 1, 1 << 20, 1 << 40, u64::MAX >> 1, u64::MAX] {
            let mut bad = bytes.clone();
            bad[at..at + 8].copy_from_slice(&value.to_le_bytes());
            if bad == bytes {
                continue;
            }
            let end = bad.len() - 8;
            let sum = xxh3_64(&bad[..end]);
            bad[end..].copy_from_slice(&sum.to_le_bytes());
            bed.disk.write_file("inc", bad);
            let held = watch();
            refused(&bed, &["full", "inc"], &format!("{value} at {at}"));
            assert!(peak_since(held) < 16 << 20, "{value} at {at}: {} bytes", peak_since(held));
        }
    }
}

#[test]
fn an_incremental_backup_whose_checksums_are_right_and_whose_pages_are_not_is_refused() {
    let bed = small();
    let bytes = bed.disk.read_file("inc");
    for at in (4240..bytes.len() - 8).step_by(331) {
        let mut bad = bytes.clone();
        bad[at] ^= 0x20;
        let end = bad.len() - 8;
        let sum = xxh3_64(&bad[..end]);
        bad[end..].copy_from_slice(&sum.to_le_bytes());
        bed.disk.write_file("inc", bad);
        refused(&bed, &["full", "inc"], &format!("byte {at}"));
    }
}

#[test]
fn a_damaged_page_of_the_database_fails_its_backup() {
    let mut bed = Bed::new(41);
    bed.work(300);
    bed.put("a", 1, "L".repeat(200_000));
    bed.backup("full", &named("full", None)).expect("backs up");
    bed.put("b", 1, "new".into());
    bed.put("b", 2, "L".repeat(200_000));
    bed.backup("inc", &named("inc", Some("full"))).expect("backs up");
    let (image, mut full, mut inc) = (bed.disk.read_file("full"), 0, 0);
    let (file, pages) = (bed.disk.read_file("db"), bed.disk.read_file("db").len() / 4096);
    for page in 2..pages {
        let used = !file[page * 4096..][..4096].iter().all(|b| *b == 0);
        if !used {
            continue;
        }
        bed.disk.flip_bit("db", page as u64 * 4096 + 4000, 3);
        for (since, noticed) in [(None, &mut full), (Some("full"), &mut inc)] {
            match bed.backup("again", &BackupOptions { since: since.map(str::to_owned), ..BackupOptions::default() }) {
                Err(Error::Corrupt(_)) => *noticed += 1,
                // A page that is not in use, or, for the incremental one, that did not change.
                Ok(_) => bed.disk.remove("again").expect("removed"),
                other => panic!("{other:?}"),
            }
            assert!(!bed.disk.file_names().iter().any(|name| name.starts_with("again")));
        }
        bed.disk.flip_bit("db", page as u64 * 4096 + 4000, 3);
    }
    let used = image.chunks(4096).filter(|page| !page.iter().all(|b| *b == 0)).count();
    println!("{full} of {used} noticed by a full backup, {inc} by an incremental one");
    assert!(full >= used - 2, "{full} of {used}");
    assert!(inc > 50 && inc < full, "{inc}");
}
