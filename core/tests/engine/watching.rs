//! What `stats` counts and times, and what the event hook is told. The clock is the test's own.

use crate::common::{item, quick, Place};
use nyro::testing::{HookedDisk, OsDisk, SimDisk, SimEnv, SimOptions, SystemEnv, TempDir, TestConfig};
use nyro::{doc, Database, Document, Durability, Error, Event, Operation, Options};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A database on a simulated disk whose syncs take so many milliseconds of simulated time: those of the log, those
/// of the file.
fn slow_disk(durability: Durability, log_ms: u64, file_ms: u64) -> (Database, Arc<SimEnv>) {
    let env = Arc::new(SimEnv::new(1));
    let clock = env.clone();
    let disk = HookedDisk::new(Arc::new(SimDisk::new(SimOptions::default())), move |name| {
        clock.advance(Duration::from_millis(if name.contains("-wal-") { log_ms } else { file_ms }));
        Ok(())
    });
    let config = TestConfig { options: Options { durability, ..quick() }, ..TestConfig::default() };
    let db = nyro::testing::open(Arc::new(disk), env.clone(), "test.nyro", &config).expect("opens");
    (db, env)
}

/// Right within a hundredth.
#[track_caller]
fn about(nanos: u64, ms: u64) {
    let is = ms * 1_000_000;
    assert!(nanos >= is && nanos - is <= is / 100, "{nanos} ns, not {ms} ms");
}

#[test]
fn every_read_and_every_change_is_counted_once() {
    let place = Place::new();
    let db = place.open();
    let docs = db.docs("c");
    for id in 0..10 {
        docs.insert_one(&item(id, 0)).expect("inserts");
    }
    docs.put(&item(3, 1)).expect("replaces");
    docs.replace_one(4, &item(4, 1)).expect("replaces");
    assert!(docs.delete(5).expect("deletes") && !docs.delete(5).expect("nothing there"));
    db.write(|tx| {
        let docs = tx.collection::<Document>("c");
        docs.put(&item(20, 0))?;
        docs.put(&item(20, 1))?;
        docs.put(&item(21, 0))?;
        docs.delete(21)?;
        docs.get(3).map(|_| ())
    })
    .expect("commits");
    let failed = db.write(|tx| {
        tx.collection::<Document>("c").put(&item(99, 0))?;
        Err::<(), _>(Error::RolledBack)
    });
    assert!(failed.is_err());
    let stats = db.stats().expect("stats");
    assert_eq!((stats.inserts, stats.replaces, stats.deletes), (11, 2, 1));
    assert_eq!((stats.commits, stats.rollbacks), (14, 1));

    let before = db.stats().expect("stats");
    assert!(docs.get(1).expect("reads").is_some() && docs.get(77).expect("reads").is_none());
    assert!(docs.contains(1).expect("reads"));
    let snapshot = db.snapshot().expect("a snapshot");
    let old = snapshot.collection::<Document>("c").expect("a collection");
    old.get(1).expect("reads");
    old.get_raw("no such id").expect("reads");
    docs.get_many(0..100).expect("reads");
    old.get_many_raw(0..7, |_, _| Ok(())).expect("reads");
    assert_eq!(docs.scan().expect("scans").count(), 10);
    let mut scan = old.scan();
    scan.next_raw().expect("reads").expect("a document");
    drop(scan);
    let stats = db.stats().expect("stats");
    assert_eq!((stats.gets - before.gets, stats.get_many_ids, stats.scanned), (5, 107, 11));
}

#[test]
fn gets_of_many_threads_are_all_counted() {
    let place = Place::new();
    let db = place.open();
    let docs = db.docs("c");
    docs.put(&item(1, 1)).expect("puts");
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| (0..300).for_each(|_| assert!(docs.contains(1).expect("reads"))));
        }
    });
    let stats = db.stats().expect("stats");
    assert_eq!(stats.gets, 60_000);
    // One of 256 of each thread, whose counters go from one thread to the next.
    assert!((60_000 / 256 - 200..=60_000 / 256 + 200).contains(&stats.get_latency.count), "{stats:?}");
}

#[test]
fn latencies_are_what_the_clock_says() {
    let (db, _env) = slow_disk(Durability::Sync, 30, 50);
    let docs = db.collection::<Document>("c");
    docs.put(&item(1, 1)).expect("puts");
    let first = db.stats().expect("stats");
    for id in 2..12 {
        docs.put(&item(id, 1)).expect("puts");
    }
    let stats = db.stats().expect("stats");
    assert_eq!(stats.log_sync_latency.count, stats.log_syncs);
    assert_eq!(stats.commit_latency.count, 11, "under Sync all commits are timed");
    for nanos in [stats.commit_latency.p50, stats.commit_latency.p90, stats.log_sync_latency.p999] {
        about(nanos, 30);
    }
    // The first commit made the log and wrote the meta pages.
    assert_eq!(stats.commit_latency.max, first.commit_latency.max);
    assert!(stats.commit_latency.max > 100_000_000);
    db.checkpoint().expect("a checkpoint");
    let stats = db.stats().expect("stats");
    assert_eq!((stats.checkpoint_latency.count, stats.writer_wait_latency.count), (1, 0));
    about(stats.checkpoint_latency.p50, 150);
    db.verify().expect("whole");
}

#[test]
fn one_commit_of_sixteen_is_timed_where_none_waits_for_the_disk() {
    let (db, _env) = slow_disk(Durability::Manual, 30, 50);
    let docs = db.collection::<Document>("c");
    for id in 0..64 {
        docs.put(&item(id, 1)).expect("puts");
    }
    assert_eq!(db.stats().expect("stats").commit_latency.count, 4);
    db.tell_slow_operations(Some(Duration::from_secs(1)));
    for id in 0..10 {
        docs.put(&item(id, 1)).expect("puts");
    }
    assert_eq!(db.stats().expect("stats").commit_latency.count, 14);
}

#[test]
fn a_writer_that_waits_for_another_is_timed() {
    let place = Place::new();
    let db = place.open();
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = told.clone();
    db.on_event(move |event| {
        if let Event::SlowOperation { operation, nanos } = event {
            hear.lock().expect("not poisoned").push((*operation, *nanos));
        }
    });
    db.tell_slow_operations(Some(Duration::from_millis(15)));
    let inside = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            db.write(|_| {
                inside.store(true, SeqCst);
                std::thread::sleep(Duration::from_millis(40));
                Ok(())
            })
            .expect("commits");
        });
        while !inside.load(SeqCst) {
            std::thread::yield_now();
        }
        db.docs("c").put(&item(1, 1)).expect("puts");
    });
    let stats = db.stats().expect("stats");
    assert_eq!(stats.writer_wait_latency.count, 1);
    let waited = stats.writer_wait_latency.max;
    assert!(waited > 15_000_000, "{waited}");
    let told = told.lock().expect("not poisoned");
    assert!(told.iter().any(|(what, nanos)| *what == Operation::WriterWait && *nanos > 15_000_000), "{told:?}");
}

#[test]
fn lag_age_and_sizes_follow_what_happens() {
    let (db, env) = slow_disk(Durability::Manual, 0, 0);
    let docs = db.collection::<Document>("c");
    for id in 0..100 {
        docs.put(&item(id, 1)).expect("puts");
    }
    env.advance(Duration::from_secs(7));
    let stats = db.stats().expect("stats");
    assert_eq!((stats.checkpoint_lag_commits, stats.checkpoint_age_ms), (100, 7000));
    assert!(stats.log_bytes > 1000 && stats.log_disk_bytes >= stats.log_bytes, "{stats:?}");
    assert_eq!((stats.cache_bytes, stats.log_max_bytes), (quick().cache_bytes, 1 << 20));
    let snapshot = db.snapshot().expect("a snapshot");
    env.advance(Duration::from_secs(2));
    db.checkpoint().expect("a checkpoint");
    for id in 0..100 {
        docs.put(&item(id, 2)).expect("puts");
    }
    db.checkpoint().expect("a checkpoint");
    env.advance(Duration::from_secs(1));
    let stats = db.stats().expect("stats");
    assert_eq!((stats.checkpoint_lag_commits, stats.checkpoint_age_ms), (0, 1000));
    assert_eq!((stats.snapshots, stats.oldest_snapshot_age_ms), (1, 3000));
    assert_eq!(stats.oldest_snapshot_commit, snapshot.commit());
    assert!(stats.pinned_file_bytes >= 4096 && stats.pinned_memory_bytes > 4096, "{stats:?}");
    drop(snapshot);
    db.checkpoint().expect("nothing to do but to let go");
    let stats = db.stats().expect("stats");
    assert_eq!((stats.snapshots, stats.oldest_snapshot_age_ms), (0, 0));
    assert_eq!((stats.pinned_file_bytes, stats.pinned_memory_bytes, stats.states_kept), (0, 0, 1));
    assert_eq!(stats.oldest_snapshot_commit, stats.commit);
    db.verify().expect("whole");
}

#[test]
fn what_a_dropped_snapshot_kept_is_given_back_by_an_idle_database() {
    let (db, _env) = slow_disk(Durability::Manual, 0, 0);
    let docs = db.collection::<Document>("c");
    docs.put(&item(1, 1)).expect("puts");
    let snapshot = db.snapshot().expect("a snapshot");
    db.checkpoint().expect("a checkpoint");
    drop(snapshot);
    assert!(db.stats().expect("stats").pinned_memory_bytes > 0);
    nyro::testing::step(&db).expect("a step");
    assert_eq!(db.stats().expect("stats").pinned_memory_bytes, 0);
}

#[test]
fn what_happens_while_a_file_is_opened_is_told_when_it_is_open() {
    let place = Place::new();
    let db = place.open();
    (0..9).for_each(|id| assert!(db.docs("c").put(&item(id, 1)).is_ok()));
    db.abandon();
    let told = Arc::new(Mutex::new(Vec::new()));
    let (hear, other) = (told.clone(), Place::new());
    let db = Database::open_with_events(place.path(), quick(), move |event| {
        // Opening another file from the hook needs the table of open databases.
        let db = Database::open_with(other.path(), quick()).expect("opens");
        db.close().expect("closes");
        hear.lock().expect("not poisoned").push(event.clone());
    })
    .expect("opens");
    db.collection::<Document>("c").put(&item(1, 2)).expect("puts");
    db.checkpoint().expect("a checkpoint");
    db.close().expect("closes");
    let told = told.lock().expect("not poisoned");
    let checkpoints = told.iter().filter(|event| matches!(event, Event::Checkpoint { .. })).count();
    assert_eq!(checkpoints, 3, "recovery, checkpoint, close: {told:?}");
    let recovered = |event: &Event| matches!(event, Event::Recovered { commits: 9, dropped_bytes: 0, .. });
    assert!(told.iter().any(recovered), "{told:?}");
}

#[test]
fn slow_gets_commits_and_checkpoints_are_told_and_fast_ones_are_not() {
    let (db, _env) = slow_disk(Durability::Sync, 30, 50);
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = told.clone();
    db.on_event(move |event| {
        if let Event::SlowOperation { operation, nanos } = event {
            hear.lock().expect("not poisoned").push((*operation, nanos / 1_000_000));
        }
    });
    let docs = db.collection::<Document>("c");
    docs.put(&item(1, 1)).expect("puts");
    assert!(told.lock().expect("not poisoned").is_empty(), "nothing is slow before somebody says what slow is");
    db.tell_slow_operations(Some(Duration::from_millis(20)));
    docs.put(&item(2, 1)).expect("puts");
    docs.get(2).expect("reads");
    db.checkpoint().expect("a checkpoint");
    db.tell_slow_operations(Some(Duration::from_millis(40)));
    docs.put(&item(3, 1)).expect("puts");
    assert_eq!(*told.lock().expect("not poisoned"), [(Operation::Commit, 30), (Operation::Checkpoint, 150)]);
}

/// For each kind of event: whatever the hook asks for, or another thread does meanwhile, nobody waits for the hook.
#[test]
fn the_hook_is_called_with_no_lock_held() {
    let dir = TempDir::new().expect("a directory");
    let failing = Arc::new(AtomicBool::new(false));
    let fail = failing.clone();
    let disk = HookedDisk::new(Arc::new(OsDisk::new(dir.path().to_owned())), move |name| {
        match fail.load(SeqCst) && name.contains("-wal-") {
            true => Err(std::io::Error::other("no")),
            false => Ok(()),
        }
    });
    let options = Options {
        durability: Durability::Manual,
        log_max_bytes: 64 << 10,
        snapshot_max_age_ms: Some(1),
        ..Options::default()
    };
    let config = TestConfig { options, ..TestConfig::default() };
    let env = Arc::new(SystemEnv::new());
    let db = nyro::testing::open(Arc::new(disk), env, "test.nyro", &config).expect("opens");
    db.tell_slow_operations(Some(Duration::ZERO));
    let seen = Arc::new(Mutex::new(std::collections::BTreeMap::<String, u64>::new()));
    let waited_in_vain = Arc::new(Mutex::new(Vec::new()));
    let (kinds, stuck, mine, busy) = (seen.clone(), waited_in_vain.clone(), db.clone(), AtomicU64::new(0));
    db.on_event(move |event| {
        let kind = format!("{event:?}").split(' ').next().expect("a name").to_owned();
        let count = {
            let mut kinds = kinds.lock().expect("not poisoned");
            let count = kinds.entry(kind).or_default();
            *count += 1;
            *count
        };
        // A few of each kind, and not what the thread below causes.
        if count > 3 || busy.swap(1, SeqCst) == 1 {
            return;
        }
        let db = mine.clone();
        let (done, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let docs = db.collection::<Document>("other");
            let _ = (docs.put(&item(1, 1)), docs.get(1), db.snapshot(), db.stats(), db.checkpoint(), db.verify());
            db.tell_slow_operations(Some(Duration::ZERO));
            let _ = done.send(());
        });
        if wait.recv_timeout(Duration::from_secs(20)).is_err() {
            // Not a panic: it would only end a thread of the background.
            stuck.lock().expect("not poisoned").push(event.clone());
        }
        let _ = mine.stats().and(mine.verify().map(|_| ()));
        busy.store(0, SeqCst);
    });
    let has = |kind: &str| seen.lock().expect("not poisoned").contains_key(kind);
    let docs = db.collection::<Document>("c");
    let start = std::time::Instant::now();
    let mut kept = Vec::new();
    for id in 0.. {
        let snapshot = db.snapshot().expect("a snapshot");
        docs.put(&doc! { "_id": id % 50, "text": "x".repeat(40_000) }).expect("puts");
        docs.get(id % 50).expect("reads");
        if !has("SnapshotEnded") {
            kept.push(snapshot);
        }
        if ["Checkpoint", "Paced", "SlowOperation", "SnapshotEnded"].into_iter().all(has) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{seen:?}");
    }
    failing.store(true, SeqCst);
    // It may need the next segment of the log, which can't be made any more.
    let _ = docs.put(&item(1, 1));
    assert!(db.checkpoint().is_err());
    assert!(has("CheckpointFailed"));
    let stuck = waited_in_vain.lock().expect("not poisoned");
    assert!(stuck.is_empty(), "a lock is held while these are told: {stuck:?}");
    // The hook holds a handle: without another in its place the database would never go.
    db.on_event(|_| {});
    nyro::testing::abandon(db);
}

#[test]
fn a_bad_meta_page_is_healed_from_the_other_and_told() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("a.nyro");
    let db = Database::open_with(&path, quick()).expect("opens");
    db.collection::<Document>("c").put(&item(1, 1)).expect("puts");
    db.close().expect("closes");
    let whole = std::fs::read(&path).expect("the file");
    for page in 0..2_usize {
        for offset in [0, 9, 64, 200, 4000, 4095] {
            let mut damaged = whole.clone();
            damaged[page * 4096 + offset] ^= 4;
            std::fs::write(&path, &damaged).expect("writes");
            let told = Arc::new(Mutex::new(Vec::new()));
            let hook = told.clone();
            let db = Database::open_with_events(&path, quick(), move |event| {
                hook.lock().expect("a lock").push(format!("{event:?}"));
            });
            let db = db.expect("opens with one meta page");
            assert_eq!(db.collection::<Document>("c").get(1).expect("reads"), Some(item(1, 1)));
            db.close().expect("closes");
            let told = told.lock().expect("a lock").join(" ");
            assert!(told.contains("MetaHealed") && told.contains(&format!("page: {page}")), "{page} {offset}: {told}");
            assert_eq!(std::fs::read(&path).expect("the file"), whole, "page {page} at {offset}");
        }
    }
}
