//! What the process takes: `cargo bench -p nyro --bench space -- memory`.
//!
//! Each row is measured in a process of its own, so that none sees the memory of another. Anonymous memory is the
//! process's own; the mapped file is not in it. A thread looks 200 times a second and keeps the largest.

use super::{anonymous_memory, document, insert, line, mib, settle, sizes, Random};
use nyro::{doc, Control, Database, Document, Durability, Options, ReadMode};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;

const CACHE: u64 = 8 << 20;

/// A row: its argument, and what it measures.
type Row = (&'static str, fn(&Path));

const ROWS: [Row; 8] = [
    ("memory:load", |path| load(path, ReadMode::Mapped)),
    ("memory:load-pread", |path| load(path, ReadMode::Pread)),
    ("memory:transaction-of-large-documents", |path| transaction(path, 15 << 20)),
    ("memory:transaction-of-small-documents", |path| transaction(path, 1)),
    ("memory:collections", collections),
    ("memory:no-snapshot", |path| snapshot(path, false)),
    ("memory:snapshot", |path| snapshot(path, true)),
    ("memory:large-cache-snapshot", |path| snapshot_with(path, true, Options::default().cache_bytes)),
];

/// Runs the row that is asked for, or each in a process; false if the arguments ask for something else.
pub fn run(base: &Path, argument: Option<&str>) -> bool {
    let Some(argument) = argument.filter(|a| a.starts_with("memory")) else { return false };
    if let Some((_, row)) = ROWS.iter().find(|(name, _)| *name == argument) {
        row(&base.join("memory.nyro"));
        return true;
    }
    for (name, _) in ROWS {
        let program = std::env::current_exe().expect("this program");
        assert!(Command::new(program).arg(name).status().expect("runs").success(), "{name}");
    }
    true
}

/// The largest anonymous memory since it was made.
struct Peak {
    largest: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    before: u64,
}

impl Peak {
    fn new() -> Peak {
        let peak = Peak { largest: Arc::default(), ended: Arc::default(), before: anonymous_memory() };
        let (largest, ended) = (peak.largest.clone(), peak.ended.clone());
        std::thread::spawn(move || {
            while !ended.load(Relaxed) {
                largest.fetch_max(anonymous_memory(), Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        peak
    }

    /// Largest and present memory beyond what there was before.
    fn say(&self) -> String {
        let largest = self.largest.load(Relaxed).max(anonymous_memory()).saturating_sub(self.before);
        let now = anonymous_memory().saturating_sub(self.before);
        format!("memory {:.0} MiB at most, {:.0} MiB now", mib(largest), mib(now))
    }
}

impl Drop for Peak {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
    }
}

fn options(cache_bytes: u64) -> Options {
    Options { durability: Durability::Manual, cache_bytes, ..Options::default() }
}

/// Lets the background end, and give memory back.
fn rest(db: &Database) {
    settle(db);
    std::thread::sleep(Duration::from_millis(1500));
}

fn load(path: &Path, read_mode: ReadMode) {
    let mut random = Random(1);
    let peak = Peak::new();
    let db = Database::open_with(path, Options { read_mode, ..options(CACHE) }).expect("opens");
    for from in (0..1_000_000).step_by(1000) {
        let documents: Vec<_> = (from..from + 1000).map(|id| document(id, &mut random)).collect();
        insert(&db, &documents);
    }
    let file = db.stats().expect("stats").file_bytes;
    line(&format!("load, {read_mode:?}, cache 8 MiB"), format!("{}; file {:.0} MiB", peak.say(), mib(file)));
    let read = db.collection::<Document>("people").scan().expect("a scan").count();
    rest(&db);
    line(&format!("  {read} documents scanned, at rest"), peak.say());
    db.close().expect("closes");
}

/// As many documents of `bytes` more than an id as one transaction takes.
fn transaction(path: &Path, bytes: usize) {
    let db = Database::open_with(path, options(CACHE)).expect("opens");
    db.create_collection("c").expect("creates");
    let text = "x".repeat(bytes);
    let peak = Peak::new();
    let mut changes = 0u64;
    db.write(|tx| {
        let c = tx.collection::<Document>("c");
        loop {
            match c.put(&doc! { "_id": changes, "t": text.as_str() }) {
                Ok(_) => changes += 1,
                Err(e) if e.code() == 601 => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    })
    .expect("commits");
    line(&format!("one transaction of {changes} documents, cache 8 MiB"), peak.say());
    rest(&db);
    line("  at rest", peak.say());
    db.close().expect("closes");
}

fn collections(path: &Path) {
    let peak = Peak::new();
    let db = Database::open_with(path, options(CACHE)).expect("opens");
    for n in 0..10_000u64 {
        db.collection::<Document>(&format!("collection {n}")).put(&doc! { "_id": 1, "n": n }).expect("puts");
    }
    rest(&db);
    let stats = db.stats().expect("stats");
    let each = stats.used_bytes as f64 / 10_000.0;
    let file = format!("file {:.0} MiB, {each:.0} bytes in use for each", mib(stats.file_bytes));
    line("10 000 collections of one document, cache 8 MiB", format!("{}; {file}", peak.say()));
    db.close().expect("closes");
    drop(peak);
    let peak = Peak::new();
    let db = Database::open_with(path, options(CACHE)).expect("opens");
    let found = (0..10_000u64)
        .filter(|n| db.collection::<Document>(&format!("collection {n}")).contains(1).expect("looks"))
        .count();
    line(&format!("  opened again, one document of {found} read"), peak.say());
    db.close().expect("closes");
}

fn snapshot(path: &Path, held: bool) {
    snapshot_with(path, held, CACHE);
}

/// A million updates of 100 000 documents, ten a transaction; with a snapshot twice, to see what the second finds.
fn snapshot_with(path: &Path, held: bool, cache_bytes: u64) {
    let mut random = Random(1);
    let options = Options { log_max_bytes: 64 << 20, ..options(cache_bytes) };
    let db = Database::open_with(path, options).expect("opens");
    let documents: Vec<_> = (0..100_000).map(|id| document(id, &mut random)).collect();
    insert(&db, &documents);
    drop(documents);
    rest(&db);
    let peak = Peak::new();
    for round in 0..1 + u64::from(held) {
        let snapshot = held.then(|| db.snapshot().expect("a snapshot"));
        let before = db.stats().expect("stats");
        million_updates(&db, &mut random);
        let stats = db.stats().expect("stats");
        let what = match (held, round) {
            (false, _) => "and no snapshot",
            (_, 0) => "beside a snapshot",
            _ => "beside another",
        };
        let file = format!(
            "file {:.0} -> {:.0} MiB, {:.0} MiB of pages written",
            mib(before.file_bytes),
            mib(stats.file_bytes),
            mib(stats.page_bytes_written - before.page_bytes_written),
        );
        let kept = format!(
            "kept: {:.0} MiB of file, {:.0} MiB of memory",
            mib(stats.pinned_file_bytes),
            mib(stats.pinned_memory_bytes)
        );
        let cache = format!("cache {:.0} MiB", mib(cache_bytes));
        line(&format!("a million updates {what}, {cache}"), format!("{}; {file}; {kept}", peak.say()));
        let Some(snapshot) = snapshot else { continue };
        let shown = snapshot.collection::<Document>("people").expect("a view").scan().count();
        drop(snapshot);
        rest(&db);
        line(&format!("  {shown} documents read, snapshot dropped, at rest"), peak.say());
        sizes("", path, &db);
    }
    if held {
        db.compact_with(Control::new()).expect("compacts");
        sizes("  compacted", path, &db);
    }
    db.close().expect("closes");
}

fn million_updates(db: &Database, random: &mut Random) {
    for _ in 0..100_000 {
        let batch: Vec<_> = (0..10).map(|_| document(random.next() % 100_000, random)).collect();
        db.write(|tx| {
            let people = tx.collection::<Document>("people");
            batch.iter().try_for_each(|document| people.put_raw(document).map(|_| ()))
        })
        .expect("updates");
    }
}
