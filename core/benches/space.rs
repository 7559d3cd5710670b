//! The size of the file, and what holding it costs, through the public API:
//! `cargo bench -p nyro --bench space -- [documents]` (a million without a number).
//!
//! Prints the largest file under steady random updates against its bound, the bytes moved for each byte written,
//! what a mass delete leaves and whether commits cost the same after it, and what compaction does. One thread
//! writes; checkpoints run on the engine's own.
//!
//! `cargo bench -p nyro --bench space -- memory` prints what loads, transactions, collections and a snapshot that
//! stays open cost in memory instead.

#[path = "space/memory.rs"]
mod memory;
mod people;

use nyro::{Control, Database, Document, Durability, InsertManyOptions, Options, RawDocument, RawDocumentBuf};
use people::Random;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A document of about 180 bytes.
fn document(id: u64, random: &mut Random) -> RawDocumentBuf {
    people::document(id, random, 50)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

fn line(what: &str, value: String) {
    println!("{what:<56} {value}");
}

/// Memory of the process that is not the mapped file, in bytes: now.
fn anonymous_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|l| l.strip_prefix("RssAnon:")).and_then(|l| l.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

fn updates(db: &Database, ids: u64, batches: u64, random: &mut Random, mut each: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..batches {
        let batch: Vec<RawDocumentBuf> = (0..1000).map(|_| document(random.next() % ids, random)).collect();
        db.write(|tx| {
            let people = tx.collection::<Document>("people");
            batch.iter().try_for_each(|document| people.put_raw(document).map(|_| ()))
        })
        .expect("updates");
        each();
    }
    batches as f64 * 1000.0 / start.elapsed().as_secs_f64()
}

/// Commits of one document each and a batch of new ones, a second.
fn commits(db: &Database, ids: impl Fn(u64) -> u64, first_new: u64, random: &mut Random) -> (f64, f64) {
    let people = db.collection::<Document>("people");
    let documents: Vec<_> = (0..100_000).map(|_| document(ids(random.next()), random)).collect();
    let start = Instant::now();
    documents.iter().for_each(|d| drop(people.put_raw(d).expect("puts")));
    let singles = documents.len() as f64 / start.elapsed().as_secs_f64();
    let documents: Vec<_> = (first_new..first_new + 100_000).map(|id| document(id, random)).collect();
    let start = Instant::now();
    insert(db, &documents);
    (singles, documents.len() as f64 / start.elapsed().as_secs_f64())
}

fn insert(db: &Database, documents: &[RawDocumentBuf]) {
    let people = db.collection::<Document>("people");
    for batch in documents.chunks(1000) {
        let batch = batch.iter().map(|d| -> &RawDocument { d });
        people.insert_many_raw(batch, InsertManyOptions::default()).expect("inserts");
    }
}

/// Waits until the background has nothing left to reclaim.
fn settle(db: &Database) -> Duration {
    db.checkpoint().expect("a checkpoint");
    let start = Instant::now();
    while db.stats().expect("stats").reclaim_pending && start.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(50));
    }
    start.elapsed()
}

fn sizes(what: &str, path: &Path, db: &Database) {
    let file = std::fs::metadata(path).expect("the file");
    let stats = db.stats().expect("stats");
    line(
        what,
        format!(
            "file {:.0} MiB, {:.0} MiB of the disk, {:.0} MiB in use",
            mib(file.len()),
            mib(file.blocks() * 512),
            mib(stats.used_bytes)
        ),
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let count: u64 = arguments.iter().find_map(|a| a.replace('_', "").parse().ok()).unwrap_or(1_000_000);
    let base = std::env::temp_dir().join(format!("nyro-space-{}", std::process::id()));
    std::fs::create_dir_all(&base).expect("a directory");
    if memory::run(&base, arguments.first().map(String::as_str)) {
        std::fs::remove_dir_all(&base).expect("removed");
        return;
    }
    let path = base.join("space.nyro");
    let options = Options { durability: Durability::Manual, ..Options::default() };
    let log_max = options.log_max_bytes;
    let db = Database::open_with(&path, options).expect("opens");
    let mut random = Random(42);
    println!("--- {count} documents of about 180 bytes, defaults but for Manual durability");

    let start = Instant::now();
    let mut live = 0;
    for from in (0..count).step_by(100_000) {
        let documents: Vec<_> = (from..count.min(from + 100_000)).map(|id| document(id, &mut random)).collect();
        live += documents.iter().map(|d| d.as_bytes().len() as u64).sum::<u64>();
        insert(&db, &documents);
    }
    line("load", format!("{:.0} documents/s", count as f64 / start.elapsed().as_secs_f64()));
    settle(&db);
    sizes("after the load", &path, &db);

    let (mut largest, mut memory) = (0, 0);
    let before = db.stats().expect("stats");
    let rate = updates(&db, count, count / 100, &mut random, || {
        largest = largest.max(std::fs::metadata(&path).expect("the file").len());
        memory = memory.max(anonymous_memory());
    });
    let stats = db.stats().expect("stats");
    let written = stats.block_bytes_written - before.block_bytes_written;
    let moved = stats.relocated_bytes - before.relocated_bytes;
    line("10 random updates for each document", format!("{rate:.0} updates/s"));
    let bound = live * 3 / 2 + log_max;
    line(
        "largest file meanwhile",
        format!(
            "{:.0} MiB = {:.2} x live data ({:.0} MiB); 1.5 x live data + log_max_bytes = {:.0} MiB",
            mib(largest),
            largest as f64 / live as f64,
            mib(live),
            mib(bound)
        ),
    );
    line(
        "moved for each byte written",
        format!("{:.2} ({:.0} of {:.0} MiB)", moved as f64 / written as f64, mib(moved), mib(written)),
    );
    line("largest memory that is not the mapped file", format!("{:.0} MiB (cache_bytes: 512 MiB)", mib(memory)));
    let rest = settle(&db);
    sizes(&format!("at rest, {:.1} s later", rest.as_secs_f64()), &path, &db);

    let (singles, inserts) = commits(&db, |r| r % count, count, &mut random);
    let start = Instant::now();
    for from in (0..count).step_by(10_000) {
        db.write(|tx| {
            let people = tx.collection::<Document>("people");
            (from..count.min(from + 10_000)).filter(|id| id % 10 != 0).try_for_each(|id| people.delete(id).map(|_| ()))
        })
        .expect("deletes");
    }
    line("90 % deleted", format!("{:.0} deletes/s", count as f64 * 0.9 / start.elapsed().as_secs_f64()));
    let rest = settle(&db);
    sizes(&format!("at rest, {:.1} s later", rest.as_secs_f64()), &path, &db);
    let (singles_after, inserts_after) = commits(&db, |r| r % count / 10 * 10, count + 200_000, &mut random);
    line(
        "commits of one document, before and after the deletes",
        format!("{singles:.0} /s, {singles_after:.0} /s: {:.2}", singles_after / singles),
    );
    line(
        "inserts in batches, before and after the deletes",
        format!("{inserts:.0} /s, {inserts_after:.0} /s: {:.2}", inserts_after / inserts),
    );

    let start = Instant::now();
    let mut steps = 0;
    let report = db.compact_with(Control::new().on_progress(|_| steps += 1)).expect("compacts");
    line(
        "compact",
        format!(
            "{:.0} -> {:.0} MiB, {:.0} MiB moved, {steps} steps, {:.1} s",
            mib(report.bytes_before),
            mib(report.bytes_after),
            mib(report.moved_bytes),
            start.elapsed().as_secs_f64()
        ),
    );
    sizes("after it", &path, &db);
    db.verify().expect("verify");
    db.close().expect("closes");
    std::fs::remove_dir_all(&base).expect("removed");
}
