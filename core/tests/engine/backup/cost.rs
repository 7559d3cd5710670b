//! What a backup costs.
//!
//! The figures of docs/operations.md, "Backup and restore":
//! `cargo test --release -p nyro --test engine -- --ignored --nocapture figures_of_backup`

use super::*;
use crate::common::Place;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Header, meta page and checksum of an incremental backup.
const FIXED_BYTES: u64 = 128 + 4096 + 8;

#[test]
fn an_incremental_backup_of_an_unchanged_database_is_tiny() {
    let mut bed = Bed::new(50);
    bed.work(400);
    bed.backup("full", &named("full", None)).expect("backs up");
    let report = bed.backup("inc", &named("inc", Some("full"))).expect("backs up");
    assert_eq!((report.bytes, report.pages), (FIXED_BYTES, 0));
    bed.restore("copy", &["full", "inc"]).expect("restores");
    assert_eq!(bed.content_of("copy"), bed.content);
}

#[test]
fn an_incremental_backup_holds_what_checkpoints_wrote_and_no_more() {
    let mut bed = Bed::new(51);
    for id in 0..6000 {
        bed.put("many", id, "some text".repeat(10));
    }
    let full = bed.backup("0", &named("0", None)).expect("backs up");
    let mut smallest = u64::MAX;
    for round in 1..12 {
        let before = bed.db.stats().expect("stats").page_bytes_written;
        bed.work(if round % 2 == 0 { 2 } else { 60 });
        let since = (round - 1).to_string();
        let report = bed.backup(&round.to_string(), &named(&round.to_string(), Some(&since))).expect("backs up");
        let written = bed.db.stats().expect("stats").page_bytes_written - before;
        let bound = written + FIXED_BYTES + 16 * report.pages;
        assert!(report.bytes <= bound, "round {round}: {} bytes, bound {bound}", report.bytes);
        assert_eq!(report.bytes, bed.disk.read_file(&round.to_string()).len() as u64);
        smallest = smallest.min(report.bytes);
    }
    assert!(smallest < full.bytes / 10, "a small change: {smallest} of {} bytes", full.bytes);
}

fn document(id: u64, version: u64) -> Document {
    doc! { "_id": id, "version": version, "name": format!("user {id}"), "text": "x".repeat(120) }
}

/// Prints throughput, slowdown of writers, and sizes.
#[test]
#[ignore = "prints figures"]
fn figures_of_backup() {
    const DOCUMENTS: u64 = 200_000;
    let place = Place::new();
    let db = Database::open_with(place.path(), Options { durability: Durability::Interval(50), ..Options::default() });
    let db = db.expect("opens");
    let users = db.collection::<Document>("users");
    for base in (0..DOCUMENTS).step_by(1000) {
        let batch: Vec<Document> = (base..base + 1000).map(|id| document(id, 0)).collect();
        users.insert_many(&batch).expect("inserts");
    }
    db.checkpoint().expect("checkpoint");
    let full = BackupOptions { name: Some("full".into()), ..BackupOptions::default() };
    let file = |name: &str| place.dir().join(name);
    let start = Instant::now();
    let report = db.backup_with(file("full"), &full, Control::new()).expect("backs up");
    let seconds = start.elapsed().as_secs_f64();
    let mib = report.bytes as f64 / (1 << 20) as f64;
    println!("full, to a file: {mib:.1} MiB in {seconds:.2} s, {:.0} MiB/s, synced", mib / seconds);
    let start = Instant::now();
    for _ in 0..10 {
        db.backup_to(std::io::sink(), &BackupOptions::default(), Control::new()).expect("backs up");
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("full, read and verified, written nowhere: {:.0} MiB/s", mib * 10.0 / seconds);

    for (what, share, scattered) in [("1 %, ids scattered", 100, true), ("1 %, neighbouring ids", 100, false)] {
        let count = DOCUMENTS / share;
        for i in 0..count {
            let id = if scattered { i * share + i % share } else { i };
            users.put(&document(id, 1)).expect("puts");
        }
        let start = Instant::now();
        let options = BackupOptions { since: Some("full".into()), overwrite: true, name: None };
        let report = db.backup_with(file("inc"), &options, Control::new()).expect("backs up");
        let seconds = start.elapsed().as_secs_f64();
        println!("incremental, {what}: {:.2} MiB in {seconds:.3} s", report.bytes as f64 / (1 << 20) as f64);
        db.backup_with(file("full again"), &BackupOptions { overwrite: true, ..full.clone() }, Control::new())
            .expect("backs up");
        std::fs::rename(file("full again"), file("full")).expect("renamed");
    }
    let start = Instant::now();
    let verified = nyro::restore(file("copy"), &[file("full")], &RestoreOptions::default(), Control::new());
    let seconds = start.elapsed().as_secs_f64();
    println!("restore of the full one, {} documents verified: {seconds:.2} s", verified.expect("restores").documents);

    // Writers with and without a backup that never stops.
    let rate = |with_backup: bool| {
        let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
        let mut backups = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut id = 1_u64;
                while !stop.load(Ordering::Relaxed) {
                    id = id.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    users.put(&document((id >> 33) % DOCUMENTS, 2)).expect("puts");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(6) {
                if with_backup {
                    let options = BackupOptions { overwrite: true, ..BackupOptions::default() };
                    db.backup_with(file("again"), &options, Control::new()).expect("backs up");
                    backups += 1;
                } else {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            stop.store(true, Ordering::Relaxed);
            (count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64(), backups)
        })
    };
    rate(false);
    let ((alone, _), (beside, backups)) = (rate(false), rate(true));
    println!("one writer: {alone:.0} puts/s alone, {beside:.0} beside {backups} full backups one after the other");
    db.close().expect("closes");
}
