//! The size of the file: what keeps it in bounds, what gives space back, what compaction promises.

use crate::common::{contents, item, Db, Place};
use nyro::testing::{seed, OsDisk, Rng, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{doc, CancelToken, Control, Database, Document, Durability, Error, Options};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A database on the real disk whose background work waits for [`nyro::testing::step`].
fn stepped(place: &Place, config: &TestConfig) -> Db {
    let disk = Arc::new(OsDisk::new(place.dir()));
    Db::new(nyro::testing::open(disk, Arc::new(SimEnv::new(1)), "test.nyro", config).expect("opens"))
}

/// The same on a simulated disk.
fn simulated(disk: &SimDisk, config: &TestConfig) -> Db {
    let env = Arc::new(SimEnv::new(1));
    Db::new(nyro::testing::open(Arc::new(disk.clone()), env, "test.nyro", config).expect("opens"))
}

fn simulated_disk() -> SimDisk {
    SimDisk::new(SimOptions { file_capacity: 64 << 20, ..SimOptions::default() })
}

fn length(disk: &SimDisk) -> u64 {
    disk.read_file("test.nyro").len() as u64
}

fn config(log_max_bytes: u64) -> TestConfig {
    let options = Options { durability: Durability::Manual, log_max_bytes, ..Options::default() };
    TestConfig {
        options,
        region_pages: 16,
        segment_bytes: 64 << 10,
        reclaim_bytes: 64 << 10,
        slice_pages: 64,
        ..TestConfig::default()
    }
}

/// Steps until the background has nothing left to reclaim; gives the number of steps.
fn settle(db: &Database) -> usize {
    for step in 0..10_000 {
        if !db.stats().expect("stats").reclaim_pending {
            return step;
        }
        nyro::testing::step(db).expect("a step");
    }
    panic!("the background never comes to rest");
}

fn padded(id: u64, version: u64, bytes: usize) -> Document {
    doc! { "_id": id, "version": version as i64, "padding": "x".repeat(bytes) }
}

fn document_bytes(documents: &BTreeMap<u64, Document>) -> u64 {
    documents.values().map(|d| nyro::RawDocumentBuf::from_serialize(d).expect("bytes").as_bytes().len() as u64).sum()
}

#[test]
fn random_updates_keep_the_file_within_one_and_a_half_times_its_documents_and_the_log() {
    let seed = seed(7);
    println!("NYRO_SEED={seed}");
    let mut rng = Rng::new(seed);
    let log_max = 1 << 20;
    let db = simulated(&simulated_disk(), &config(log_max));
    let c = db.docs("c");
    let documents: u64 = 30_000;
    let mut live = 0;
    for batch in (0..documents).collect::<Vec<_>>().chunks(500) {
        let batch: Vec<Document> = batch.iter().map(|id| padded(*id, 0, 100 + (*id % 150) as usize)).collect();
        live += document_bytes(&batch.iter().enumerate().map(|(i, d)| (i as u64, d.clone())).collect());
        c.insert_many(&batch).expect("inserts");
    }
    // Writers wait when the log has twice its limit.
    let bound = live * 3 / 2 + 2 * log_max;
    let (mut largest, mut at_most) = (0, 0);
    for version in 1..=10 * documents / 200 {
        db.write(|tx| {
            for _ in 0..200 {
                let id = rng.below(documents);
                tx.collection("c").put(&padded(id, version, 100 + (id % 150) as usize))?;
            }
            Ok(())
        })
        .expect("updates");
        if version % 2 == 0 {
            nyro::testing::step(&db).expect("a step");
            let stats = db.stats().expect("stats");
            largest = largest.max(stats.file_bytes);
            at_most = at_most.max(stats.file_bytes * 100 / live);
        }
    }
    let stats = db.stats().expect("stats");
    let price = stats.relocated_bytes as f64 / stats.block_bytes_written as f64;
    println!("live {live}, largest file {largest} ({at_most} %), bound {bound}, relocated for each written {price:.2}");
    assert!(largest <= bound, "the file grew to {largest} bytes; {live} are live, the bound is {bound}");
    assert!(stats.relocated_bytes > live, "nothing had to move: the test shows nothing");
    assert!(price < 3.0, "{price:.2} bytes were moved for each byte written");
}

#[test]
fn a_dropped_collection_is_freed_in_slices_that_go_on_after_a_crash() {
    let place = Place::new();
    let config = config(8 << 20);
    let mut db = stepped(&place, &config);
    db.docs("kept").put(&item(1, 1)).expect("puts");
    for from in (0..6_000).step_by(1000) {
        let documents: Vec<Document> = (from..from + 1000).map(|id| padded(id, 0, 200)).collect();
        db.docs("big").insert_many(&documents).expect("inserts");
    }
    db.docs("big").put(&padded(77_777, 0, 40_000)).expect("a large one");
    db.checkpoint().expect("a checkpoint");
    let before = db.stats().expect("stats").used_bytes;
    assert!(before > 1 << 20);
    db.drop_collection("big").expect("drops");
    db.checkpoint().expect("a checkpoint");
    let mut used = db.stats().expect("stats").used_bytes;
    assert!(used < before && used > before / 2, "one slice only: {used} of {before}");
    let mut slices = 0;
    while db.stats().expect("stats").reclaim_pending {
        db.verify().expect("verify, half freed");
        if slices == 2 {
            // The job is in the file: it goes on where it was, without the process that began it.
            db.abandon();
            db = stepped(&place, &config);
            assert!(db.stats().expect("stats").reclaim_pending, "the job is not known after recovery");
            used = db.stats().expect("stats").used_bytes;
        }
        nyro::testing::step(&db).expect("a step");
        let now = db.stats().expect("stats").used_bytes;
        assert!(used.saturating_sub(now) < 100 * 4096, "a slice of {} bytes", used - now);
        used = now;
        slices += 1;
    }
    assert!(slices > 3, "only {slices} slices");
    assert!(used < 64 << 10, "{used} bytes stay in use");
    assert_eq!(db.docs("big").count_documents().expect("counts"), 0);
    assert_eq!(db.docs("kept").count_documents().expect("counts"), 1);
}

#[test]
fn a_clean_reopening_goes_on_with_a_dropped_collection() {
    let place = Place::new();
    let config = config(8 << 20);
    let db = stepped(&place, &config);
    let documents: Vec<Document> = (0..4000).map(|id| padded(id, 0, 200)).collect();
    db.docs("big").insert_many(&documents).expect("inserts");
    db.checkpoint().expect("a checkpoint");
    db.drop_collection("big").expect("drops");
    db.close().expect("closes");
    let db = stepped(&place, &config);
    let before = db.stats().expect("stats").used_bytes;
    assert!(before > 512 << 10, "closing freed it all: {before}");
    nyro::testing::step(&db).expect("a step");
    assert!(settle(&db) > 0);
    assert!(db.stats().expect("stats").used_bytes < 64 << 10);
}

#[test]
fn what_is_free_goes_back_to_the_file_system() {
    let place = Place::new();
    let db = stepped(&place, &config(64 << 20));
    let allocated = || {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(place.path()).expect("the file");
        (file.len(), file.blocks() * 512)
    };
    for name in ["first", "middle", "last"] {
        for from in (0..20_000).step_by(2000) {
            let documents: Vec<Document> = (from..from + 2000).map(|id| padded(id, 0, 200)).collect();
            db.docs(name).insert_many(&documents).expect("inserts");
        }
        db.checkpoint().expect("a checkpoint");
    }
    let (full, _) = allocated();
    // The middle goes: the file stays as long, and takes less of the disk.
    db.drop_collection("middle").expect("drops");
    db.checkpoint().expect("a checkpoint");
    settle(&db);
    let (length, disk) = allocated();
    let punched = db.stats().expect("stats").punched_bytes;
    println!("full {full}, without the middle {length} long, {disk} on the disk, {punched} punched");
    assert!(length > full * 3 / 4, "the last third still lies at the end");
    assert!(punched > full / 16, "no holes were punched");
    assert!(disk < length - punched / 2, "{disk} bytes of the disk for a file of {length}, {punched} punched");
    db.verify().expect("verify");
    // The end goes: the file is shorter.
    db.drop_collection("last").expect("drops");
    db.checkpoint().expect("a checkpoint");
    settle(&db);
    db.docs("first").put(&padded(1, 1, 200)).expect("puts");
    db.checkpoint().expect("a checkpoint");
    let (length, _) = allocated();
    assert!(length < full / 2, "{length} of {full} bytes are left");
    assert_eq!(db.docs("first").count_documents().expect("counts"), 20_000);
    // Holes are used again.
    let documents: Vec<Document> = (0..20_000).map(|id| padded(id, 0, 200)).collect();
    db.docs("again").insert_many(&documents).expect("inserts");
}

#[test]
fn closing_gives_back_what_the_checkpoints_before_the_last_one_needed() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let config = config(2 << 20);
    let db = stepped(&place, &config);
    let mut rng = Rng::new(5);
    let documents: Vec<Document> = (0..20_000).map(|id| padded(id, 0, 200)).collect();
    db.docs("d").insert_many(&documents).expect("inserts");
    for version in 1..=60_000 {
        db.docs("d").put(&padded(rng.below(20_000), version, 200)).expect("puts");
        if version % 3000 == 0 {
            nyro::testing::step(&db).expect("a step");
        }
    }
    db.close().expect("closes");
    let disk = std::fs::metadata(place.path()).expect("the file").blocks() * 512;
    let db = stepped(&place, &config);
    let stats = db.stats().expect("stats");
    assert!(stats.file_bytes > stats.used_bytes * 4 / 3, "the file has no free space that could be given back");
    assert!(disk < stats.used_bytes * 6 / 5, "{disk} bytes on the disk for {} in use", stats.used_bytes);
    // Nothing that is in use was given back, and what was is used again.
    db.verify().expect("verify");
    assert_eq!(db.docs("d").scan().expect("a scan").count(), 20_000);
    db.docs("d").insert_many(&(20_000..40_000).map(|id| padded(id, 0, 200)).collect::<Vec<_>>()).expect("inserts");
    db.checkpoint().expect("a checkpoint");
    db.verify().expect("verify");
    assert_eq!(db.docs("d").scan().expect("a scan").count(), 40_000);
}

/// Some collections with documents of many sizes, changed at random.
fn scramble(db: &Database, rng: &mut Rng, model: &mut BTreeMap<(String, u64), Document>, steps: u64) {
    for version in 0..steps {
        let name = *rng.pick(&["a", "b", "c"]);
        if rng.below(400) == 0 {
            let there = model.keys().any(|(n, _)| n == name);
            assert!(db.drop_collection(name).is_ok() || !there);
            model.retain(|(n, _), _| n != name);
            continue;
        }
        db.write(|tx| {
            for _ in 0..1 + rng.below(30) {
                let id = rng.below(400);
                if rng.below(3) == 0 {
                    tx.collection::<Document>(name).delete(id)?;
                    model.remove(&(name.to_owned(), id));
                    continue;
                }
                let bytes = match rng.below(50) {
                    0 => 17_000 + rng.below(60_000),
                    1..=5 => 1000 + rng.below(8000),
                    _ => rng.below(400),
                };
                let document = padded(id, version, bytes as usize);
                tx.collection(name).put(&document)?;
                model.insert((name.to_owned(), id), document);
            }
            Ok(())
        })
        .expect("changes");
        if rng.below(40) == 0 {
            db.checkpoint().expect("a checkpoint");
        }
    }
}

fn expect_model(db: &Database, model: &BTreeMap<(String, u64), Document>) {
    let found: BTreeMap<(String, u64), Document> = contents(db);
    assert!(found == *model, "{} documents found, {} expected", found.len(), model.len());
}

#[test]
fn compaction_never_leaves_the_file_longer_and_loses_nothing() {
    let first = seed(11);
    let (mut gained, mut cancelled) = (0, 0);
    for seed in first..first + 8 {
        println!("NYRO_SEED={seed}");
        let (disk, mut rng) = (simulated_disk(), Rng::new(seed));
        let small = TestConfig { reclaim_bytes: 8 << 10, region_pages: 4, ..config(256 << 10) };
        let db = simulated(&disk, &small);
        let mut model = BTreeMap::new();
        for _ in 0..4 {
            scramble(&db, &mut rng, &mut model, 150);
            db.checkpoint().expect("a checkpoint");
            let before = db.stats().expect("stats").file_bytes;
            let (token, mut steps) = (CancelToken::new(), rng.below(12));
            let stops = rng.below(2) == 0;
            let control = Control::new().cancel(&token).on_progress(|p| {
                assert!(p.total == 0 || p.done <= p.total, "{p:?}");
                match steps {
                    0 if stops => token.cancel(),
                    _ => steps = steps.saturating_sub(1),
                }
            });
            match db.compact_with(control) {
                Ok(report) => {
                    assert_eq!(report.bytes_after, length(&disk));
                    gained += before - report.bytes_after.min(before);
                }
                Err(Error::Cancelled) if stops => cancelled += 1,
                Err(e) => panic!("compacts: {e}"),
            }
            let after = length(&disk);
            assert!(after <= before, "seed {seed}: the file had {before} bytes and has {after}");
            db.verify().expect("verify");
            expect_model(&db, &model);
        }
        let before = length(&disk);
        db.compact().expect("compacts");
        let used = db.stats().expect("stats").used_bytes;
        let after = length(&disk);
        assert!(after <= before && after <= used * 2, "{used} in use of {after}");
        db.close().expect("closes");
        let db = simulated(&disk, &small);
        expect_model(&db, &model);
    }
    println!("{gained} bytes gained, {cancelled} times cancelled");
    assert!(gained > 0 && cancelled > 0);
}

#[test]
fn compaction_goes_on_beside_writers_and_readers() {
    let place = Place::new();
    let db = place.open();
    let c = db.docs("c");
    let documents: Vec<Document> = (0..20_000).map(|id| padded(id, 0, 150)).collect();
    c.insert_many(&documents).expect("inserts");
    db.checkpoint().expect("a checkpoint");
    (0..20_000).filter(|id| id % 3 != 0).for_each(|id| assert!(c.delete(id).expect("deletes")));
    let held = db.snapshot().expect("a snapshot");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut rng = Rng::new(3);
            let mut last = BTreeMap::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let id = rng.below(20_000) / 3 * 3;
                let version = rng.next_u64() >> 1;
                db.docs("c").put(&padded(id, version, 150)).expect("puts");
                last.insert(id, version);
                let found = db.docs("c").get(id).expect("gets").expect("there");
                assert_eq!(found.get("version").and_then(|v| v.as_i64()), Some(version as i64));
            }
            last
        });
        for _ in 0..2 {
            db.compact().expect("compacts");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let last = writer.join().expect("the writer");
        assert!(!last.is_empty());
        for (id, version) in last {
            let found = db.docs("c").get(id).expect("gets").expect("there");
            assert_eq!(found.get("version").and_then(|v| v.as_i64()), Some(version as i64));
        }
    });
    let view = held.collection::<Document>("c").expect("a view");
    assert_eq!(view.scan().count(), 6667, "the snapshot moved");
    assert!(view.scan().all(|d| d.expect("a document").get("version").and_then(|v| v.as_i64()) == Some(0)));
    assert!(matches!(db.write(|_| db.compact().map(|_| ())), Err(Error::NestedTransaction)));
}

#[test]
fn a_token_meets_every_unchanged_document_once_however_often_records_move() {
    let place = Place::new();
    let config = TestConfig { reclaim_bytes: 4 << 10, ..config(1 << 20) };
    let db = stepped(&place, &config);
    let c = db.docs("c");
    let documents: Vec<Document> = (0..3000).map(|id| padded(id, 0, 150)).collect();
    c.insert_many(&documents).expect("inserts");
    db.checkpoint().expect("a checkpoint");
    let (mut token, mut met) = (0, Vec::new());
    let mut rng = Rng::new(5);
    loop {
        let mut scan = c.scan_after(token).expect("a scan");
        let some: Vec<Document> = scan.by_ref().take(100).map(|d| d.expect("a document")).collect();
        token = scan.token();
        if some.is_empty() {
            break;
        }
        met.extend(some.iter().filter_map(|d| d.get("_id").and_then(|v| v.as_i64())).filter(|id| id % 4 == 0));
        // All but every fourth document change or go, and the blocks they leave are merged.
        for _ in 0..150 {
            let id = rng.below(3000);
            match (id % 4, rng.below(2)) {
                (0, _) => {}
                (_, 0) => drop(c.delete(id).expect("deletes")),
                _ if met.len() < 600 => drop(c.put(&padded(id, 1, 150)).expect("puts")),
                _ => {}
            }
        }
        db.checkpoint().expect("a checkpoint");
        nyro::testing::step(&db).expect("a step");
    }
    assert!(db.stats().expect("stats").relocated_bytes > 100_000, "records hardly moved");
    assert_eq!(met, (0..3000).filter(|id| id % 4 == 0).collect::<Vec<i64>>());
}

#[test]
fn a_block_that_cannot_be_read_stays_where_it_is_and_checkpoints_go_on() {
    let place = Place::new();
    let config = TestConfig { reclaim_bytes: 4 << 10, ..config(1 << 20) };
    let db = stepped(&place, &config);
    let documents: Vec<Document> = (0..2000).map(|id| padded(id, 0, 150)).collect();
    db.docs("c").insert_many(&documents).expect("inserts");
    db.docs("d").insert_many(&documents).expect("inserts");
    db.checkpoint().expect("a checkpoint");
    (0..2000).filter(|id| id % 2 == 0).for_each(|id| assert!(db.docs("d").delete(id).expect("deletes")));
    db.close().expect("closes");
    // One record of a block of `d` is damaged on the disk.
    let mut bytes = std::fs::read(place.path()).expect("the file");
    let needle = nyro::RawDocumentBuf::from_serialize(&padded(1001, 0, 150)).expect("bytes");
    let places: Vec<usize> = (0..bytes.len() - 200).filter(|at| bytes[*at..].starts_with(needle.as_bytes())).collect();
    let at = *places.last().expect("the record of 1001");
    bytes[at + 100] ^= 1;
    std::fs::write(place.path(), bytes).expect("written");
    let db = stepped(&place, &config);
    for round in 0..20 {
        db.docs("other").put(&padded(round, 0, 100)).expect("puts");
        db.checkpoint().expect("checkpoints go on");
        nyro::testing::step(&db).expect("a step");
    }
    db.compact().expect("compaction goes on");
    let damaged = ["c", "d"].iter().filter(|name| db.docs(name).get(1001).is_err()).count();
    assert_eq!(damaged, 1, "the damage is reported by the read that meets it");
    assert!(matches!(db.verify(), Err(Error::Corrupt(_))));
    db.close().expect("closes");
}

#[test]
fn a_file_cut_by_more_than_a_chunk_of_its_bitmap_is_whole_and_grows_again() {
    let place = Place::new();
    let options = Options { durability: Durability::Manual, ..Options::default() };
    let fill = |db: &Database| {
        for from in (0..5000).step_by(500) {
            let documents: Vec<Document> = (from..from + 500).map(|id| padded(id, 0, 16_000)).collect();
            db.collection::<Document>("big").insert_many(&documents).expect("inserts");
        }
        db.checkpoint().expect("a checkpoint");
        assert!(db.stats().expect("stats").file_bytes > 72 << 20);
    };
    let db = place.open_with(options.clone());
    db.docs("kept").put(&item(1, 1)).expect("puts");
    fill(&db);
    assert!(db.drop_collection("big").expect("drops"));
    let report = db.compact().expect("compacts");
    assert!(report.bytes_after < 1 << 20, "{report:?}");
    db.verify().expect("verify, cut");
    db.close().expect("closes");
    let db = place.open_with(options);
    db.docs("kept").put(&item(2, 2)).expect("puts");
    db.checkpoint().expect("a checkpoint");
    db.verify().expect("verify, reopened");
    fill(&db);
    assert_eq!(db.docs("big").count_documents().expect("counts"), 5000);
}

#[test]
fn a_database_closed_during_compaction_ends_it_and_opens_whole() {
    let place = Place::new();
    let config = TestConfig { reclaim_bytes: 4 << 10, ..config(1 << 20) };
    for closes_at in [1, 2, 3] {
        let db = stepped(&place, &config);
        let documents: Vec<Document> = (0..4000).map(|id| padded(id, 0, 150)).collect();
        documents.chunks(500).for_each(|batch| {
            batch.iter().for_each(|document| drop(db.docs("c").put(document).expect("puts")));
        });
        db.checkpoint().expect("a checkpoint");
        (0..4000).filter(|id| id % 3 != 0).for_each(|id| assert!(db.docs("c").delete(id).expect("deletes")));
        let (handle, mut steps) = (db.handle(), 0);
        let ended = db.compact_with(Control::new().on_progress(|_| {
            steps += 1;
            if steps == closes_at {
                handle.close().expect("closes");
            }
        }));
        assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
        let db = stepped(&place, &config);
        assert_eq!(db.docs("c").count_documents().expect("counts"), 1334);
        db.verify().expect("verify");
    }
}

#[test]
fn a_damaged_page_that_only_reclaim_reads_stops_neither_checkpoints_nor_opening() {
    let place = Place::new();
    let config = TestConfig { reclaim_bytes: 4 << 10, ..config(4 << 20) };
    let db = stepped(&place, &config);
    let documents: Vec<Document> = (0..10_000).map(|id| padded(id, 0, 60)).collect();
    db.docs("c").insert_many(&documents).expect("inserts");
    db.docs("gone").insert_many(&documents).expect("inserts");
    db.close().expect("closes");
    // All leaves of the tries but the first, where the checksums of their last bytes no longer fit.
    let mut bytes = std::fs::read(place.path()).expect("the file");
    let leaves: Vec<usize> = (2..bytes.len() / 4096).filter(|page| bytes[page * 4096 + 14] == 2).collect();
    assert!(leaves.len() > 40, "the kind of a unit stands elsewhere: {} leaves", leaves.len());
    leaves.iter().skip(1).for_each(|page| bytes[page * 4096 + 4000] ^= 1);
    std::fs::write(place.path(), bytes).expect("written");
    let db = stepped(&place, &config);
    assert!(db.drop_collection("gone").expect("drops"));
    let mut deleted = 0;
    for id in 0..10_000 {
        // Where the way to a document is damaged, it can't be deleted; elsewhere it is.
        deleted += u64::from(id % 2 == 0 && db.docs("c").delete(id).is_ok_and(|there| there));
        if id % 1000 == 0 {
            db.docs("other").put(&padded(id, 0, 100)).expect("puts");
            db.checkpoint().expect("checkpoints go on");
            nyro::testing::step(&db).expect("a step");
        }
    }
    println!("{deleted} deleted, {} leaves", leaves.len());
    db.close().expect("closes");
    let db = stepped(&place, &config);
    assert_eq!(db.docs("other").count_documents().expect("counts"), 10);
    assert!(db.verify().is_err());
    db.close().expect("closes again");
}

#[test]
fn records_that_do_not_fill_blocks_better_are_left_in_peace() {
    let place = Place::new();
    let config = TestConfig { reclaim_bytes: 64 << 10, region_pages: 256, ..config(64 << 20) };
    let db = stepped(&place, &config);
    for id in 0..600 {
        db.docs("c").put(&padded(id, 0, 16_340)).expect("puts");
    }
    db.checkpoint().expect("a checkpoint");
    let before = db.stats().expect("stats");
    assert!(before.block_live_bytes * 10 < before.block_bytes * 8, "these fill their blocks well: {before:?}");
    let steps = settle(&db);
    let after = db.stats().expect("stats");
    assert!(steps < 5, "{steps} steps");
    assert!(after.relocated_bytes < after.block_bytes, "{} bytes were moved", after.relocated_bytes);
}
