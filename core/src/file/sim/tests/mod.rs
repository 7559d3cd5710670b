//! What only the simulated disk promises: which crash states there are, and which there are not.

use super::*;
use crate::env_sim::{seed, Rng};
use crate::file::disk::LockError;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

mod failures;
mod model;
mod power_cuts;
mod process_crashes;
mod tools;

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
