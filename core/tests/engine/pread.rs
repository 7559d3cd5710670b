//! Reading without a mapping: memory stays within its limit, what is borrowed stays, and a device that fails is an
//! error.

use crate::common::{quick, Db, Place};
use nyro::testing::{self, HookedDisk, OsDisk, Rng, SystemEnv, TestConfig};
use nyro::{doc, Control, Database, Document, ErrorKind, Id, Options, RawDocument, RawValue, ReadMode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

const CACHE: u64 = 1 << 20;
/// What comes beyond the limit while a round is not over.
const SLACK: u64 = 2 << 20;

fn pread() -> Options {
    Options { read_mode: ReadMode::Pread, cache_bytes: CACHE, ..quick() }
}

const DOCUMENTS: u64 = 30_000;

fn text(id: u64) -> String {
    format!("{id:x}-").repeat(40 + id as usize % 40)
}

/// Some 10 MB, ten times the cache, and a few large documents.
fn fill(db: &Database) {
    for part in 0..DOCUMENTS / 1000 {
        let documents = (part * 1000..(part + 1) * 1000).map(|id| doc! { "_id": id, "text": text(id) });
        db.collection("c").insert_many(&documents.collect::<Vec<Document>>()).expect("inserts");
    }
    for id in 0..10_u64 {
        db.collection("large").put(&doc! { "_id": id, "text": "y".repeat(150_000) }).expect("puts");
    }
}

fn check(id: u64, document: &RawDocument) {
    let found = match document.get("text") {
        Some(RawValue::String(text)) => Some(text),
        _ => None,
    };
    assert!(found == Some(text(id).as_str()), "document {id} shows {:?}", found.map(|t| &t[..t.len().min(40)]));
}

fn cached(db: &Database) -> u64 {
    db.stats().expect("stats").cached_bytes
}

#[test]
fn scans_gets_checks_and_writes_of_a_file_larger_than_the_cache_stay_within_it() {
    let place = Place::new();
    let db = place.open_with(pread());
    fill(&db);
    assert!(cached(&db) < CACHE + SLACK);
    db.checkpoint().expect("a checkpoint");
    for read_only in [false, true] {
        db.close().expect("closes");
        let db = Db::new(Database::open_with(place.path(), Options { read_only, ..pread() }).expect("opens"));
        let c = db.docs("c");
        let mut most = 0;
        let mut scan = c.scan().expect("scans");
        let mut next = 0;
        while let Some(document) = scan.next_raw().expect("a document") {
            let Some(Id::Int(id)) = document.id() else { panic!("no id") };
            check(id as u64, document);
            next += 1;
            most = most.max(cached(&db));
        }
        assert_eq!(next, DOCUMENTS);
        let mut rng = Rng::new(testing::seed(5));
        for _ in 0..20_000 {
            let id = rng.below(DOCUMENTS);
            assert!(c.get_raw_with(id, |document| check(id, document)).expect("gets").is_some());
            most = most.max(cached(&db));
        }
        for id in (0..10_u64).cycle().take(50) {
            assert!(db.docs("large").contains(id).expect("looks"));
            most = most.max(cached(&db));
        }
        assert!(most > CACHE / 2 && most < CACHE + SLACK, "{most}");
        db.verify().expect("verifies");
        assert!(cached(&db) < CACHE + SLACK, "after verify: {}", cached(&db));
        db.warm_up_with(u64::MAX, Control::new()).expect("warms up");
        assert!(cached(&db) < CACHE + SLACK, "after warming up: {}", cached(&db));
        if !read_only {
            for _ in 0..20_000 {
                let id = rng.below(DOCUMENTS);
                assert!(db.docs("c").replace_one(id, &doc! { "_id": id, "text": text(id) }).expect("replaces"));
            }
            assert!(cached(&db) < CACHE + SLACK + (4 << 20), "after writing: {}", cached(&db));
        }
    }
}

/// Readers of all kinds at once, with a cache so small that every page comes and goes all the time, and a writer.
#[test]
fn what_is_read_is_right_while_pages_come_and_go_and_are_written_anew() {
    let place = Place::new();
    let options = Options { cache_bytes: 128 << 10, log_max_bytes: 256 << 10, ..pread() };
    let db = place.open_with(options);
    fill(&db);
    db.checkpoint().expect("a checkpoint");
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let seed = testing::seed(6);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (db, stop, reads) = (&db, &stop, &reads);
            scope.spawn(move || {
                let mut rng = Rng::new(seed + thread);
                let c = db.docs("c");
                while !stop.load(Ordering::Relaxed) {
                    let id = rng.below(DOCUMENTS);
                    assert!(c.get_raw_with(id, |document| check(id, document)).expect("gets").is_some());
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (db, stop) = (&db, &stop);
        scope.spawn(move || {
            // Borrowed documents, looked at again after many others were read.
            let mut rng = Rng::new(seed + 10);
            while !stop.load(Ordering::Relaxed) {
                let snapshot = db.snapshot().expect("a snapshot");
                let c = snapshot.collection::<Document>("c").expect("a collection");
                let ids: Vec<u64> = (0..300).map(|_| rng.below(DOCUMENTS)).collect();
                let borrowed: Vec<&RawDocument> = ids.iter().map(|id| c.get_raw(*id).unwrap().unwrap()).collect();
                let large = snapshot.collection::<Document>("large").expect("a collection");
                let large = large.get_raw(rng.below(10)).unwrap().unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
                ids.iter().zip(&borrowed).for_each(|(id, document)| check(*id, document));
                let Some(RawValue::String(text)) = large.get("text") else { panic!("no text") };
                assert!(text.len() == 150_000 && text.bytes().all(|b| b == b'y'));
            }
        });
        let mut rng = Rng::new(seed + 20);
        for round in 0..12 {
            for _ in 0..1000 {
                let id = rng.below(DOCUMENTS);
                db.docs("c").put(&doc! { "_id": id, "text": text(id) }).expect("puts");
            }
            if round % 4 == 0 {
                db.verify().expect("verifies");
            }
        }
        for (id, item) in [(3_u64, 'y'), (4, 'y')] {
            db.docs("large").put(&doc! { "_id": id, "text": item.to_string().repeat(150_000) }).expect("puts");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(reads.load(Ordering::Relaxed) > 1000);
    assert_eq!(db.docs("c").scan().expect("scans").count() as u64, DOCUMENTS);
    assert!(cached(&db) < (128 << 10) + SLACK, "{}", cached(&db));
}

#[test]
fn a_snapshot_keeps_what_was_read_through_it_and_no_longer() {
    let place = Place::new();
    let db = place.open_with(pread());
    fill(&db);
    db.checkpoint().expect("a checkpoint");
    let snapshot = db.snapshot().expect("a snapshot");
    let c = snapshot.collection::<Document>("c").expect("a collection");
    let borrowed: Vec<_> = (0..DOCUMENTS).map(|id| c.get_raw(id).expect("gets").expect("is there")).collect();
    assert!(cached(&db) > 5 << 20, "all of it is borrowed");
    (0..).zip(borrowed).for_each(|(id, document)| check(id, document));
    drop(snapshot);
    for id in (0..DOCUMENTS).rev() {
        assert!(db.docs("c").contains(id).expect("looks"));
    }
    assert!(cached(&db) < CACHE + SLACK, "{}", cached(&db));
}

#[test]
fn a_device_that_fails_to_read_is_an_error_of_the_call_and_no_more() {
    let place = Place::new();
    let db = place.open_with(pread());
    fill(&db);
    db.close().expect("closes");
    let disk = HookedDisk::new(Arc::new(OsDisk::new(place.dir())), |_| Ok(()));
    for read_only in [true, false] {
        let config = TestConfig { options: Options { read_only, ..pread() }, ..TestConfig::default() };
        let shared = Arc::new(disk.clone());
        let db = testing::open(shared, Arc::new(SystemEnv::new()), "test.nyro", &config).expect("opens");
        let c = db.collection::<Document>("c");
        assert!(c.contains(1).expect("looks"));
        disk.fail_reads(true);
        let failed = |result: nyro::Result<()>| {
            let error = result.expect_err("the device fails");
            assert!(error.kind() == ErrorKind::Io && error.to_string().contains("reading pages"), "{error}");
        };
        assert!(c.contains(1).expect("what was read is there"));
        failed(c.get(DOCUMENTS - 1).map(drop));
        failed(c.scan().expect("begins").try_for_each(|document| document.map(drop)));
        failed(db.verify().map(drop));
        failed(db.warm_up().map(drop));
        failed(db.collection::<Document>("large").get(1).map(drop));
        if !read_only {
            failed(c.put(&doc! { "_id": DOCUMENTS / 2, "text": "new" }).map(drop));
        }
        disk.fail_reads(false);
        assert_eq!(c.scan().expect("begins").count() as u64, DOCUMENTS);
        db.verify().expect("whole");
        db.close().expect("closes");
    }
}
