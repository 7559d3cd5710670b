//! What one crash state costs: it decides how many a test run can afford.

use crate::workload::NAME;
use nyro::testing::{self, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{doc, Document};
use std::sync::Arc;
use std::time::{Duration, Instant};

const RUNS: usize = 300;

fn open(disk: &SimDisk) -> nyro::Database {
    testing::open(Arc::new(disk.clone()), Arc::new(SimEnv::new(1)), NAME, &TestConfig::default()).unwrap()
}

/// A closed database of about 100 KB.
fn file_of_100_kb() -> Vec<u8> {
    let disk = SimDisk::new(SimOptions::default());
    let db = open(&disk);
    let documents: Vec<Document> = (0..290u64).map(|i| doc! {"_id": i, "text": "x".repeat(200)}).collect();
    db.collection::<Document>("a").insert_many(&documents).unwrap();
    db.close().unwrap();
    disk.read_file(NAME)
}

#[test]
fn opening_verifying_and_closing_100_kb_takes_less_than_a_millisecond() {
    let file = file_of_100_kb();
    let mut parts = [const { Vec::new() }; 3];
    let mut total = Vec::new();
    for _ in 0..RUNS {
        let disk = SimDisk::from_files(SimOptions::default(), [(NAME.to_owned(), file.clone())]);
        let start = Instant::now();
        let db = open(&disk);
        let opened = Instant::now();
        let report = db.verify().unwrap();
        let verified = Instant::now();
        db.close().unwrap();
        drop(db);
        let closed = Instant::now();
        assert_eq!(report.documents, 290);
        parts[0].push(opened - start);
        parts[1].push(verified - opened);
        parts[2].push(closed - verified);
        total.push(closed - start);
    }
    // One thread, nothing to wait for: the shortest run is processor time.
    let [open, verify, close] = parts.map(|times| times.into_iter().min().unwrap_or_default());
    total.sort_unstable();
    let (least, median) = (total[0], total[RUNS / 2]);
    println!("cost | {} bytes | open {open:?}, verify {verify:?}, close {close:?}", file.len());
    println!("cost | least {least:?}, median {median:?}");
    assert!(least < Duration::from_millis(1), "{least:?}");
}
