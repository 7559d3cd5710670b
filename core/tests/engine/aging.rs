//! Snapshots with a largest age: they end, what they kept is given back, and what was borrowed from them stays.

use crate::common::{ids, item, quick, Place};
use nyro::testing::{SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{doc, Database, Document, Durability, Error, Event, Options, Snapshot};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT_MS: u64 = 1000;

/// A database with the limit (or without), and its clock.
fn database(limit: Option<u64>) -> (Database, Arc<SimEnv>) {
    let env = Arc::new(SimEnv::new(1));
    let disk = SimDisk::new(SimOptions::default());
    let options = Options { snapshot_max_age_ms: limit, ..quick() };
    let config = TestConfig { options, ..TestConfig::default() };
    (nyro::testing::open(Arc::new(disk), env.clone(), "test.nyro", &config).expect("opens"), env)
}

fn write(db: &Database, n: u64) {
    for id in 0..200u64 {
        let text = format!("{n} of {id} {}", "x".repeat(400));
        db.collection::<Document>("c").put(&doc! { "_id": id, "n": n, "text": text }).expect("puts");
    }
    db.checkpoint().expect("a checkpoint");
}

/// The background work, after so many milliseconds.
fn after(db: &Database, env: &SimEnv, ms: u64) {
    env.advance(Duration::from_millis(ms));
    nyro::testing::step(db).expect("background work");
}

#[track_caller]
fn is_too_old<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.expect_err("the snapshot is too old");
    assert!(matches!(error, Error::SnapshotTooOld { limit_ms: LIMIT_MS }), "{error:?}");
    assert_eq!(error.code(), 603);
}

#[track_caller]
fn all_reads_are_refused(snapshot: &Snapshot) {
    is_too_old(snapshot.collection::<Document>("c").map(|_| ()));
    is_too_old(snapshot.collection_names());
    let clone = snapshot.clone();
    is_too_old(clone.collection_names());
}

#[test]
fn every_read_of_a_snapshot_that_is_too_old_says_so() {
    let (db, env) = database(Some(LIMIT_MS));
    write(&db, 1);
    let snapshot = db.snapshot().expect("a snapshot");
    let old = snapshot.collection::<Document>("c").expect("a collection");
    let (mut typed, mut raw) = (old.scan(), db.collection::<Document>("c").scan().expect("a scan"));
    typed.next().expect("a document").expect("reads");
    raw.next_raw().expect("reads").expect("a document");
    let token = typed.token();
    after(&db, &env, LIMIT_MS - 1);
    assert!(old.get(1).expect("not too old yet").is_some());
    after(&db, &env, 1);
    all_reads_are_refused(&snapshot);
    is_too_old(old.get(1));
    is_too_old(old.get_raw(1));
    is_too_old(old.get_many([1, 2]));
    is_too_old(old.get_many_raw([1, 2], |_, _| Ok(())));
    is_too_old(old.count_documents());
    is_too_old(typed.next().expect("one error"));
    assert!(typed.next().is_none(), "a scan ends after its first error");
    is_too_old(raw.next_raw().map(|_| ()));
    assert!(raw.next_raw().expect("the end").is_none());
    // What a scan had to give goes on behind its token, as of now.
    assert_eq!(ids(db.collection::<Document>("c").scan_after(token).expect("a scan")).len(), 199);
    assert!(db.collection::<Document>("c").get(1).expect("new reads are fine").is_some());
    assert_eq!(db.stats().expect("stats").snapshots_ended, 2);
    db.verify().expect("whole");
}

#[test]
fn a_range_of_keys_is_counted_and_ended_as_a_scan_is() {
    let (db, env) = database(Some(LIMIT_MS));
    let keys = db.keyspace("k");
    for key in ["a", "b", "c"] {
        keys.put(key, "value").expect("puts");
    }
    let mut range = keys.range::<&str>(..).expect("a range");
    range.next().expect("an entry").expect("reads");
    assert_eq!(db.stats().expect("stats").snapshots, 1);
    keys.first().expect("reads").expect("an entry");
    assert_eq!(keys.estimated_len().expect("counts"), 3);
    assert_eq!(db.stats().expect("stats").snapshots, 1);
    after(&db, &env, LIMIT_MS);
    is_too_old(range.next().expect("one error"));
    assert_eq!(keys.iter().expect("a range").count(), 3);
    drop(range);
    assert_eq!(db.stats().expect("stats").snapshots, 0);
}

#[test]
fn a_forgotten_snapshot_keeps_no_page_beyond_its_age_and_the_file_stays_bounded() {
    let (db, env) = database(Some(LIMIT_MS));
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = told.clone();
    db.on_event(move |event| {
        if let Event::SnapshotEnded { commit, age_ms } = event {
            hear.lock().expect("not poisoned").push((*commit, *age_ms));
        }
    });
    (0..4).for_each(|n| write(&db, n));
    let bounded = db.stats().expect("stats").file_bytes;
    let snapshot = db.snapshot().expect("a snapshot");
    assert!(snapshot.collection::<Document>("c").expect("a collection").get(7).expect("reads").is_some());
    write(&db, 4);
    let pinned = db.stats().expect("stats");
    assert!(pinned.pinned_file_bytes > 0 && pinned.pinned_memory_bytes > 0 && pinned.states_kept > 1, "{pinned:?}");
    after(&db, &env, LIMIT_MS + 5);
    let free = db.stats().expect("stats");
    assert_eq!((free.pinned_file_bytes, free.pinned_memory_bytes, free.states_kept), (0, 0, 1));
    assert_eq!((free.snapshots, free.oldest_snapshot_age_ms, free.snapshots_ended), (1, 0, 1));
    assert_eq!(*told.lock().expect("not poisoned"), [(snapshot.commit(), LIMIT_MS + 5)]);
    (5..40).for_each(|n| write(&db, n));
    // The one round that the snapshot kept may have taken fresh pages.
    let grown = db.stats().expect("stats").file_bytes;
    assert!(grown <= bounded * 2, "{bounded} bytes became {grown}");
    all_reads_are_refused(&snapshot);
    db.verify().expect("whole");
}

#[test]
fn a_borrowed_document_stays_as_it_is_after_its_snapshot_was_ended() {
    let (db, env) = database(Some(LIMIT_MS));
    write(&db, 1);
    let snapshot = db.snapshot().expect("a snapshot");
    let old = snapshot.collection::<Document>("c").expect("a collection");
    let document = old.get_raw(7).expect("reads").expect("there");
    let mut many = Vec::new();
    old.get_many_raw(0..50, |_, d| {
        many.push(d.expect("there"));
        Ok(())
    })
    .expect("reads");
    let mut scan = db.collection::<Document>("c").scan().expect("a scan");
    let scanned = scan.next_raw().expect("reads").expect("a document");
    let bytes = (document.as_bytes().to_vec(), scanned.as_bytes().to_vec());
    after(&db, &env, LIMIT_MS);
    // In debug builds memory that was given back is overwritten.
    (2..12).for_each(|n| write(&db, n));
    assert_eq!((document.as_bytes(), scanned.as_bytes()), (&bytes.0[..], &bytes.1[..]));
    assert!(many.iter().all(|d| d.to_json().expect("whole").contains("\"n\":1,")));
    is_too_old(old.get_raw(7));
    let stats = db.stats().expect("stats");
    assert!(stats.states_kept > 1 && stats.pinned_file_bytes > 0, "what was borrowed is kept: {stats:?}");
    assert!(stats.oldest_snapshot_age_ms >= LIMIT_MS);
    drop((snapshot, scan));
    after(&db, &env, 0);
    let stats = db.stats().expect("stats");
    assert_eq!((stats.states_kept, stats.pinned_file_bytes, stats.snapshots), (1, 0, 0));
    db.verify().expect("whole");
}

#[test]
fn without_the_option_nothing_ends() {
    let (db, env) = database(None);
    write(&db, 1);
    let snapshot = db.snapshot().expect("a snapshot");
    let mut scan = db.collection::<Document>("c").scan().expect("a scan");
    write(&db, 2);
    after(&db, &env, 1000 * 3600 * 24 * 365);
    let old = snapshot.collection::<Document>("c").expect("a collection");
    let n = old.get(3).expect("reads").expect("there").get("n").and_then(|n| n.as_u64());
    assert_eq!(n, Some(1));
    assert_eq!(scan.by_ref().count(), 200);
    assert_eq!(db.stats().expect("stats").snapshots_ended, 0);
}

/// Readers of each kind go on while their snapshots are ended under them: every read is whole, or says that the
/// snapshot is too old; and what they borrowed stays.
#[test]
fn snapshots_end_under_reading_threads() {
    let place = Place::new();
    let options = Options {
        durability: Durability::Manual,
        log_max_bytes: 256 << 10,
        snapshot_max_age_ms: Some(1),
        ..Options::default()
    };
    let db = place.open_with(options);
    let db = &*db;
    let round = |n: u64| {
        db.write(|tx| {
            let docs = tx.collection::<Document>("c");
            (0..100u64).try_for_each(|id| docs.put(&doc! { "_id": id, "n": n, "text": "x".repeat(300) }).map(|_| ()))
        })
        .expect("commits");
    };
    round(0);
    let (stop, ended) = (AtomicBool::new(false), AtomicU64::new(0));
    let refused = |e: &Error| {
        assert_eq!(e.code(), 603, "{e}");
        ended.fetch_add(1, Relaxed);
    };
    let n_of = |d: &Document| d.get("n").and_then(|n| n.as_u64()).expect("a number");
    let until_stopped = |read: &dyn Fn() -> Result<(), Error>| {
        while !stop.load(Relaxed) {
            let _ = read().inspect_err(refused);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until_stopped(&|| {
                let snapshot = db.snapshot()?;
                let docs = snapshot.collection::<Document>("c")?;
                let n = n_of(&docs.get(0)?.expect("there"));
                loop {
                    for id in 0..100 {
                        assert_eq!(n_of(&docs.get(id)?.expect("there")), n);
                    }
                    assert!(docs.get_many(0..100)?.iter().flatten().all(|d| n_of(d) == n));
                    std::thread::yield_now();
                }
            });
        });
        scope.spawn(|| {
            until_stopped(&|| {
                let mut n = None;
                for document in db.collection::<Document>("c").scan()? {
                    let document = document?;
                    assert_eq!(*n.get_or_insert(n_of(&document)), n_of(&document));
                    std::thread::sleep(Duration::from_micros(200));
                }
                Ok(())
            });
        });
        scope.spawn(|| {
            until_stopped(&|| {
                let snapshot = db.snapshot()?;
                let docs = snapshot.collection::<Document>("c")?;
                let borrowed = docs.get_raw(5)?.expect("there");
                let bytes = borrowed.as_bytes().to_vec();
                while docs.get_raw(6).is_ok() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(Duration::from_millis(20));
                assert_eq!(borrowed.as_bytes(), bytes);
                docs.get_raw(6).map(|_| ())
            });
        });
        for n in 1..150 {
            round(n);
            if n % 10 == 0 {
                db.checkpoint().expect("a checkpoint");
                std::thread::sleep(Duration::from_millis(30));
            }
        }
        stop.store(true, Relaxed);
        // Whoever loops over one snapshot ends with it.
    });
    assert!(ended.load(Relaxed) > 3, "{ended:?}");
    let _ = db.collection::<Document>("c").put(&item(1, 1)).expect("puts");
}
