//! A quick self-measurement through the public API:
//! `cargo bench -p nyro --bench engine -- [documents …] [load|get|scan|commit|sequential|kilobytes|collections|repair …]`
//! (without a name, all of them; `opening`, the ways to open a file, only by its name).
//!
//! Prints one line a figure: what, how many a second or how long, and the aim it is held against. One
//! thread calls; checkpoints run on the engine's own. Figures of a shared machine are noisy: read them
//! as an order of magnitude, and compare within one run.

mod people;

use nyro::{doc, Control, Database, Document, Durability, InsertManyOptions};
use nyro::{Options, RawDocument, RawDocumentBuf, ReadMode, RepairOptions};
use people::{document, Random};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

fn options() -> Options {
    Options { durability: Durability::Manual, ..Options::default() }
}

/// A sum over all bytes: touches every one.
fn touch(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let sum = words
        .by_ref()
        .fold(0, |sum: u64, w| sum.wrapping_add(u64::from_le_bytes([w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]])));
    words.remainder().iter().fold(sum, |sum, b| sum.wrapping_add(u64::from(*b)))
}

/// Wall clock and processor time of the calling thread.
#[derive(Clone, Copy)]
struct Clock {
    wall: Instant,
    processor: Duration,
}

impl Clock {
    fn start() -> Clock {
        Clock { wall: Instant::now(), processor: processor_time() }
    }

    fn elapsed(&self) -> (Duration, Duration) {
        (self.wall.elapsed(), processor_time() - self.processor)
    }
}

fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the struct that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn report(what: &str, count: u64, time: (Duration, Duration), aim: &str) {
    let each = |time: Duration| time.as_nanos() as f64 / count as f64;
    let (wall, processor) = (each(time.0), each(time.1));
    println!("{what:<44} {:>10.0} /s {wall:>7.0} ns ({processor:>6.0} ns of processor)    {aim}", 1e9 / wall);
}

fn load(path: &Path, documents: &[RawDocumentBuf], what: &str, aim: &str) -> Database {
    let db = Database::open_with(path, options()).expect("open");
    let collection = db.collection::<Document>("people");
    let start = Clock::start();
    for batch in documents.chunks(1000) {
        let batch = batch.iter().map(|d| -> &RawDocument { d });
        collection.insert_many_raw(batch, InsertManyOptions::default()).expect("insert");
    }
    report(what, documents.len() as u64, start.elapsed(), aim);
    let stats = db.stats().expect("stats");
    if stats.paced_micros > 0 {
        println!("    slowed down for {} ms; {} checkpoints", stats.paced_micros / 1000, stats.checkpoints);
    }
    db
}

/// Opening, warming up, and reading by id, in each way to open the same file.
fn openings(path: &Path, ids: &[u64], documents: &[RawDocumentBuf], random: &mut Random) {
    load(path, documents, "load, random ids, batches of 1000", "").close().expect("close");
    file_size(path, documents, "file", "");
    let open = |options: &Options| Database::open_with(path, options.clone()).expect("open");
    let read_only = Options { read_only: true, ..options() };
    for (what, options) in [("open and close, read only", &read_only), ("open and close", &options())] {
        let start = Clock::start();
        (0..200).for_each(|_| open(options).close().expect("close"));
        report(what, 200, start.elapsed(), "");
    }
    let count = 500_000;
    let picks: Vec<u64> = (0..count).map(|_| ids[(random.next() % ids.len() as u64) as usize]).collect();
    let pread = Options { read_mode: ReadMode::Pread, cache_bytes: 4 << 30, ..read_only.clone() };
    let small = Options { cache_bytes: 16 << 20, ..pread.clone() };
    for (name, options) in [("Mapped", &read_only), ("Pread", &pread), ("Pread, 16 MiB of cache", &small)] {
        let db = open(options);
        let start = Clock::start();
        let warm = db.warm_up_with(u64::MAX, Control::new()).expect("warm up");
        report(&format!("warm_up, a page, {name}"), warm.index_pages + warm.block_pages, start.elapsed(), "");
        let people = db.collection::<Document>("people");
        for _ in 0..2 {
            let start = Clock::start();
            for id in &picks {
                black_box(people.get_raw_with(*id, |d| touch(d.as_bytes())).expect("get").expect("there"));
            }
            report(&format!("random get_raw_with, {name}"), count, start.elapsed(), "");
        }
        let start = Clock::start();
        let mut scan = people.scan().expect("scan");
        while let Some(document) = scan.next_raw().expect("next") {
            black_box(touch(document.as_bytes()));
        }
        report(&format!("scan, {name}"), ids.len() as u64, start.elapsed(), "");
        println!("    {} MB of pages in memory of its own", db.stats().expect("stats").cached_bytes >> 20);
        drop((scan, people));
        db.close().expect("close");
    }
    std::fs::remove_file(path).expect("remove");
}

fn file_size(path: &Path, documents: &[RawDocumentBuf], what: &str, aim: &str) {
    let file = std::fs::metadata(path).expect("file").len();
    let data: u64 = documents.iter().map(|d| d.as_bytes().len() as u64).sum();
    println!("{what:<44} {:>10.3} x data ({} MB)    {aim}", file as f64 / data as f64, file >> 20);
}

fn reads(db: &Database, ids: &[u64], random: &mut Random) {
    let count = 1_000_000.min(ids.len() as u64 * 4);
    let snapshot = db.snapshot().expect("snapshot");
    let people = snapshot.collection::<Document>("people").expect("collection");
    let picks: Vec<u64> = (0..count).map(|_| ids[(random.next() % ids.len() as u64) as usize]).collect();
    for (round, note) in [("first touch", ""), ("warm", "aim: under 250 ns")] {
        let start = Clock::start();
        let mut sum = 0;
        for id in &picks {
            sum += touch(people.get_raw(*id).expect("get").expect("there").as_bytes());
        }
        black_box(sum);
        report(&format!("random get_raw in a snapshot, {round}"), count, start.elapsed(), note);
    }
    let start = Clock::start();
    let mut sum = 0;
    for id in &picks {
        sum += people.get_raw(*id).expect("get").expect("there").len() as u64;
    }
    black_box(sum);
    report("random get_raw in a snapshot, one field head", count, start.elapsed(), "");
    let collection = db.collection::<Document>("people");
    let start = Clock::start();
    let mut sum = 0;
    for id in &picks {
        sum += collection.get_raw_with(*id, |d| touch(d.as_bytes())).expect("get").expect("there");
    }
    black_box(sum);
    report("random get, one snapshot a call", count, start.elapsed(), "");
    let start = Clock::start();
    let mut sum = 0;
    for picks in picks.chunks(64) {
        people
            .get_many_raw(picks.iter().copied(), |_, d| {
                sum += touch(d.expect("there").as_bytes());
                Ok(())
            })
            .expect("get many");
    }
    black_box(sum);
    report("get_many of 64", count, start.elapsed(), "");
}

fn scan(db: &Database, count: u64) {
    for round in ["first", "second"] {
        let mut scan = db.collection::<Document>("people").scan().expect("scan");
        let start = Clock::start();
        let (mut sum, mut seen) = (0, 0);
        while let Some(document) = scan.next_raw().expect("next") {
            sum += touch(document.as_bytes());
            seen += 1;
        }
        black_box(sum);
        assert_eq!(seen, count);
        report(&format!("full scan, every byte, {round}"), count, start.elapsed(), "aim: over 15 M/s");
    }
}

fn opening(path: &Path, id: u64) {
    let start = Instant::now();
    let db = Database::open_with(path, options()).expect("open");
    let opened = start.elapsed();
    let people = db.collection::<Document>("people");
    assert!(people.contains(id).expect("get"));
    let got = start.elapsed();
    people.put(&doc! { "_id": id, "name": "first commit" }).expect("put");
    let committed = start.elapsed();
    println!(
        "{:<44} open {:.0} µs, get {:.0} µs, first commit with its syncs {:.0} µs    aim: under 1 ms before the sync",
        "clean open",
        opened.as_secs_f64() * 1e6,
        (got - opened).as_secs_f64() * 1e6,
        (committed - got).as_secs_f64() * 1e6
    );
    db.close().expect("close");
}

fn commits(path: &Path, documents: &[RawDocumentBuf]) {
    let db = Database::open_with(path, options()).expect("open");
    let collection = db.collection::<Document>("people");
    for what in ["insert", "update"] {
        let start = Clock::start();
        for document in documents {
            collection.put_raw(document).expect("put");
        }
        report(&format!("single-document commits, {what}"), documents.len() as u64, start.elapsed(), "aim: over 2 M/s");
    }
    db.close().expect("close");
    std::fs::remove_file(path).expect("remove");
}

fn many_collections(path: &Path) {
    let db = Database::open_with(path, options()).expect("open");
    db.write(|tx| {
        for i in 0..10_000u64 {
            tx.collection::<Document>(&format!("c{i}")).put(&doc! { "_id": i })?;
        }
        tx.collection::<Document>("people").put(&doc! { "_id": 1 }).map(|_| ())
    })
    .expect("write");
    db.close().expect("close");
    println!("10 000 collections of one document: file of {} MB", std::fs::metadata(path).expect("file").len() >> 20);
    opening(path, 1);
}

/// A load that is not measured, of a database that is closed only after it: a virtual machine gets much of
/// its memory from its host at the first touch, which takes twenty times as long as any later one.
fn warm_up(path: &Path, documents: &[RawDocumentBuf]) {
    let options = Options { log_max_bytes: 4 << 30, cache_bytes: 4 << 30, ..options() };
    let db = Database::open_with(path, options).expect("open");
    let collection = db.collection::<Document>("people");
    for _ in 0..2 {
        for document in documents {
            collection.put_raw(document).expect("put");
        }
    }
    db.close().expect("close");
    std::fs::remove_file(path).expect("remove");
}

fn random_load(
    path: &Path,
    ids: &[u64],
    documents: &[RawDocumentBuf],
    random: &mut Random,
    run: &dyn Fn(&str) -> bool,
) {
    let db = load(path, documents, "load, random ids, batches of 1000", "aim: over 1.7 M/s");
    let start = Instant::now();
    db.close().expect("close");
    println!("{:<44} {:.0} ms", "close (checkpoint)", start.elapsed().as_secs_f64() * 1e3);
    file_size(path, documents, "file after random load", "aim: at most 1.2");
    let db = Database::open_with(path, options()).expect("open");
    if run("get") {
        reads(&db, ids, random);
    }
    if run("scan") {
        scan(&db, ids.len() as u64);
    }
    db.close().expect("close");
    opening(path, ids[0]);
    std::fs::remove_file(path).expect("remove");
}

/// Repair of a whole file, and of one whose directory is damaged; verify for comparison.
fn repair(path: &Path, documents: &[RawDocumentBuf]) {
    const PAGE: usize = 4096;
    const TREE_LEAF: u8 = 4;
    load(path, documents, "load, to be repaired", "").close().expect("close");
    let (count, new) = (documents.len() as u64, path.with_extension("new"));
    let db = Database::open_with(path, options()).expect("open");
    let start = Clock::start();
    db.verify().expect("verify");
    report("verify", count, start.elapsed(), "");
    db.close().expect("close");
    let options = RepairOptions { overwrite: true, ..RepairOptions::default() };
    let start = Clock::start();
    let repaired = nyro::repair(path, &new, &options, Control::new()).expect("repair");
    report("repair, whole file", count, start.elapsed(), "");
    assert_eq!(repaired.documents, count);
    let mut bytes = std::fs::read(path).expect("read");
    for (number, page) in bytes.chunks_mut(PAGE).enumerate() {
        let is_unit = page[8..14] == number.to_le_bytes()[..6];
        if is_unit && page[14] == TREE_LEAF && page[24..32] != [0; 8] {
            page[100] ^= 1;
        }
    }
    std::fs::write(path, &bytes).expect("write");
    drop(bytes);
    let start = Clock::start();
    let repaired = nyro::repair(path, &new, &options, Control::new()).expect("repair");
    report("repair, no directory left, all pages searched", count, start.elapsed(), "");
    assert!(repaired.documents == count && repaired.searched);
    std::fs::remove_file(path).expect("remove");
    std::fs::remove_file(&new).expect("remove");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let sizes: Vec<u64> = arguments.iter().filter_map(|a| a.replace('_', "").parse().ok()).collect();
    let wanted: Vec<&String> = arguments.iter().filter(|a| a.replace('_', "").parse::<u64>().is_err()).collect();
    let run = |part: &str| wanted.is_empty() || wanted.iter().any(|w| part.starts_with(w.as_str()));
    let sizes = if sizes.is_empty() { vec![1_000_000, 5_000_000] } else { sizes };
    let base = std::env::temp_dir().join(format!("nyro-bench-{}", std::process::id()));
    for &size in &sizes {
        std::fs::create_dir_all(&base).expect("directory");
        println!("--- {size} documents of about 180 bytes");
        let mut random = Random(42);
        let ids: Vec<u64> = (0..size).map(|_| random.next() >> 1).collect();
        let documents: Vec<_> = ids.iter().map(|id| document(*id, &mut random, 50)).collect();
        warm_up(&base.join("warm-up.nyro"), &documents[..documents.len().min(1_000_000)]);
        if run("load") || run("get") || run("scan") {
            random_load(&base.join("random.nyro"), &ids, &documents, &mut random, &run);
        }
        if wanted.iter().any(|w| *w == "opening") {
            openings(&base.join("openings.nyro"), &ids, &documents, &mut random);
        }
        if run("commit") {
            commits(&base.join("commits.nyro"), &documents);
        }
        if run("repair") {
            repair(&base.join("repair.nyro"), &documents);
        }
        if !run("sequential") {
            continue;
        }
        let sequential: Vec<_> = (0..size).map(|id| document(id, &mut random, 50)).collect();
        let path = base.join("sequential.nyro");
        load(&path, &sequential, "load, sequential ids, batches of 1000", "aim: over 3 M/s").close().expect("close");
        file_size(&path, &sequential, "file after sequential load", "aim: at most 1.2");
        std::fs::remove_file(&path).expect("remove");
        std::fs::remove_dir_all(&base).expect("remove");
    }
    std::fs::create_dir_all(&base).expect("directory");
    for kilobytes in [1usize, 2, 3, 5].into_iter().filter(|_| run("kilobytes")) {
        let mut random = Random(7);
        let documents: Vec<_> = (0..20_000).map(|id| document(id, &mut random, kilobytes * 1024 - 160)).collect();
        let path = base.join("large.nyro");
        load(&path, &documents, &format!("load, {kilobytes} KB documents"), "").close().expect("close");
        file_size(&path, &documents, &format!("file at {kilobytes} KB a document"), "aim: at most 1.25");
        std::fs::remove_file(&path).expect("remove");
    }
    if run("collections") {
        many_collections(&base.join("collections.nyro"));
    }
    std::fs::remove_dir_all(&base).expect("remove");
}
