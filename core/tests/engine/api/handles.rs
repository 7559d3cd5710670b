//! Handles: sharing, closing, opening again.

use crate::common::{item, quick, Db, Place};
use nyro::{Database, Document, Durability, Error, Event, Options};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[test]
fn the_same_path_twice_is_the_same_database() {
    let place = Place::new();
    let db = place.open();
    let again = Database::open_with(place.dir().join(".").join("test.nyro"), quick()).expect("opens");
    db.docs("c").put(&item(1, 1)).expect("puts");
    assert_eq!(again.collection::<Document>("c").get(1).expect("gets"), Some(item(1, 1)));
    let other = Options { writer_timeout_ms: 1, ..quick() };
    assert!(matches!(Database::open_with(place.path(), other.clone()), Err(Error::OptionsDiffer(_))));
    std::os::unix::fs::symlink(place.path(), place.dir().join("link.nyro")).expect("links");
    let linked = Database::open_with(place.dir().join("link.nyro"), quick()).expect("opens");
    assert!(linked.collection::<Document>("c").contains(1).expect("looks"));
    again.close().expect("closes");
    assert!(matches!(again.collection::<Document>("c").get(1), Err(Error::Closed)), "this handle is closed");
    assert!(db.docs("c").contains(1).expect("the others are not") && linked.stats().is_ok());
    drop(linked);
    db.verify().expect("verifies");
    db.close().expect("closes");
    Database::open_with(place.path(), other).expect("other options, once closed").close().expect("closes");
}

#[test]
fn databases_in_memory_are_each_their_own() {
    let (a, b) = (Db::memory(), Db::memory());
    a.docs("c").put(&item(1, 1)).expect("puts");
    assert_eq!(b.docs("c").count_documents().expect("counts"), 0);
    a.checkpoint().expect("checkpoint");
    a.sync().expect("syncs");
    assert_eq!(a.docs("c").get(1).expect("gets"), Some(item(1, 1)));
    assert!(a.docs("c").delete(1).expect("deletes"));
    assert!(!std::path::Path::new(":memory:").exists());
}

#[test]
fn the_last_handle_closes_and_leaves_one_file() {
    let place = Place::new();
    let db = Database::open_with(place.path(), quick()).expect("opens");
    let collection = db.collection::<Document>("c");
    collection.put(&item(1, 1)).expect("puts");
    drop(db);
    collection.put(&item(2, 2)).expect("a collection holds the database");
    drop(collection);
    assert_eq!(place.files().len(), 1, "no log, no marker");
    assert_eq!(place.open().docs("c").count_documents().expect("counts"), 2);
}

#[test]
fn after_close_every_handle_says_closed() {
    let place = Place::new();
    let db = place.open();
    let c = db.docs("c");
    c.put(&item(1, 1)).expect("puts");
    let snapshot = db.snapshot().expect("snapshot");
    let view = snapshot.collection::<Document>("c").expect("collection");
    let (mut scan, mut raw_scan) = (c.scan().expect("scans"), view.scan());
    let (_, ticket) = db.write_async(|tx| tx.collection("c").put(&item(2, 2))).expect("commits");
    db.close().expect("closes");
    db.close().expect("closing again is fine");
    let closed: Vec<(&str, nyro::Result<()>)> = vec![
        ("get", c.get(1).map(|_| ())),
        ("get_raw_with", c.get_raw_with(1, |_| ()).map(|_| ())),
        ("get_many", c.get_many([1]).map(|_| ())),
        ("contains", c.contains(1).map(|_| ())),
        ("count", c.count_documents().map(|_| ())),
        ("scan", c.scan().map(|_| ())),
        ("put", c.put(&item(1, 1)).map(|_| ())),
        ("insert_one", c.insert_one(&item(1, 1)).map(|_| ())),
        ("insert_many", c.insert_many([&item(1, 1)]).map(|_| ())),
        ("replace_one", c.replace_one(1, &item(1, 1)).map(|_| ())),
        ("delete", c.delete(1).map(|_| ())),
        ("write", db.write(|_| Ok(()))),
        ("write_async", db.write_async(|_| Ok(())).map(|_| ())),
        ("snapshot", db.snapshot().map(|_| ())),
        ("collection_names", db.collection_names().map(|_| ())),
        ("create_collection", db.create_collection("d")),
        ("rename_collection", db.rename_collection("c", "d")),
        ("drop_collection", db.drop_collection("c").map(|_| ())),
        ("sync", db.sync()),
        ("checkpoint", db.checkpoint()),
        ("verify", db.verify().map(|_| ())),
        ("stats", db.stats().map(|_| ())),
        ("snapshot.collection", snapshot.collection::<Document>("c").map(|_| ())),
        ("snapshot.collection_names", snapshot.collection_names().map(|_| ())),
        ("view.get", view.get(1).map(|_| ())),
        ("view.get_raw", view.get_raw(1).map(|_| ())),
        ("view.get_many", view.get_many([1]).map(|_| ())),
        ("view.count", view.count_documents().map(|_| ())),
        ("scan.next", scan.next().expect("an item").map(|_| ())),
        ("scan.next_raw", raw_scan.next_raw().map(|_| ())),
    ];
    for (call, done) in closed {
        assert!(matches!(done, Err(Error::Closed)), "{call}: {done:?}");
    }
    assert!(scan.next().is_none(), "a scan ends after its first error");
    ticket.wait().expect("closing made the commit durable, and that is what a ticket tells");
    assert!(ticket.is_durable());
}

#[test]
fn a_read_under_way_keeps_a_closed_file_to_itself() {
    let place = Place::new();
    let db = Database::open_with(place.path(), quick()).expect("opens");
    let c = db.collection::<Document>("c");
    c.put(&item(1, 1)).expect("puts");
    let (reading, is_reading) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let bytes = c.get_raw_with(1, |document| {
                let before = document.as_bytes().to_vec();
                reading.send(()).expect("told");
                may_go_on.recv().expect("told");
                (before, document.as_bytes().to_vec())
            });
            let (before, after) = bytes.expect("reads").expect("is there");
            assert_eq!(before, after, "nobody wrote to what was being read");
        });
        is_reading.recv().expect("told");
        db.close().expect("closes while somebody reads");
        let next = scope.spawn(|| {
            let db = Database::open_with(place.path(), quick()).expect("opens when the read is over");
            for round in 0..20 {
                db.collection("c").put(&item(1, round)).expect("puts");
                db.checkpoint().expect("checkpoint");
            }
            db.close().expect("closes");
        });
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!next.is_finished(), "the file was opened under a reader");
        go_on.send(()).expect("told");
    });
}

#[test]
fn a_verification_keeps_a_closed_file_to_itself() {
    let place = Place::new();
    let db = Database::open_with(place.path(), quick()).expect("opens");
    db.collection("c").put(&item(1, 1)).expect("puts");
    let mut told = 0;
    let watch = nyro::Control::new().on_progress(|_| {
        told += 1;
        db.close().expect("closes");
        let again = Database::open_with(place.path(), quick());
        assert!(matches!(again, Err(Error::Locked { .. })), "opened under a verification: {again:?}");
    });
    let verified = db.verify_with(watch);
    assert!(matches!(verified, Ok(_) | Err(Error::Closed)), "{verified:?}");
    assert!(told > 0);
    place.open();
}

#[test]
fn a_handle_dropped_inside_a_transaction_is_not_lost() {
    let place = Place::new();
    let (db, other) = (place.open(), Database::open_with(place.path(), quick()).expect("opens"));
    let mut other = Some(other);
    db.write(|tx| {
        drop(other.take());
        tx.collection("c").put(&item(1, 1)).map(|_| ())
    })
    .expect("commits");
    db.close().expect("closes");
    assert_eq!(place.files().len(), 1, "the last handle closed the database");
    let tx = {
        let db = Database::open_with(place.path(), quick()).expect("opens");
        db.begin().expect("begins")
    };
    tx.collection("c").put(&item(2, 2)).expect("puts");
    tx.commit().expect("commits");
    assert_eq!(place.files().len(), 1, "the end of the transaction closed it");
    assert_eq!(place.open().docs("c").count_documents().expect("counts"), 2);
}

#[test]
fn a_database_in_memory_says_closed_too() {
    let db = Db::memory();
    db.docs("c").put(&item(1, 1)).expect("puts");
    db.close().expect("closes");
    assert!(matches!(db.docs("c").get(1), Err(Error::Closed)));
}

#[test]
fn a_file_can_be_opened_again_at_once_from_several_threads() {
    let place = Place::new();
    let total = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (place, total) = (&place, &total);
            scope.spawn(move || {
                for n in 0..40_u64 {
                    let db = Database::open_with(place.path(), quick()).expect("opens");
                    db.collection::<Document>("c").insert_one(&item(thread * 1000 + n, 0)).expect("inserts");
                    total.fetch_add(1, Ordering::SeqCst);
                    // While this thread has it open: alone, other options would be the first ones.
                    let other = Options { writer_timeout_ms: 7, ..quick() };
                    assert!(matches!(Database::open_with(place.path(), other), Err(Error::OptionsDiffer(_))));
                    if n % 2 == 0 {
                        db.close().expect("closes");
                        let again = Database::open_with(place.path(), quick()).expect("opens again at once");
                        drop(again);
                    }
                }
            });
        }
    });
    let db = place.open();
    assert_eq!(db.docs("c").count_documents().expect("counts"), total.into_inner());
}

#[test]
fn options_out_of_range_are_refused_before_anything_is_made() {
    let place = Place::new();
    for options in [
        Options { cache_bytes: 65_535, ..quick() },
        Options { log_max_bytes: 16_383, ..quick() },
        Options { max_document_bytes: 63, ..quick() },
        Options { max_document_bytes: (30 << 20) + 1, ..quick() },
    ] {
        let refused = Database::open_with(place.path(), options).expect_err("out of range");
        assert_eq!(refused.code(), 101, "{refused}");
    }
    let missing = Database::open_with(place.path(), Options { create: false, ..quick() }).expect_err("no file");
    assert!(matches!(missing, Error::NoSuchFile(ref path) if path.ends_with("test.nyro")), "{missing}");
    let no_directory = Database::open(place.dir().join("none").join("a.nyro")).expect_err("no directory");
    assert_eq!(no_directory.code(), 405, "{no_directory}");
    assert_eq!(place.files().len(), 0);
    let smallest = Options { cache_bytes: 64 << 10, log_max_bytes: 16 << 10, max_document_bytes: 64, ..quick() };
    let db = place.open_with(smallest);
    for n in 0..2000 {
        db.docs("c").put(&item(n, n)).expect("puts");
    }
}

#[test]
fn events_tell_of_checkpoints_and_recovery_is_counted() {
    let place = Place::new();
    let db = place.open();
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let kept = events.clone();
    db.on_event(move |event| kept.lock().expect("no panic").push(event.clone()));
    for n in 0..20_000 {
        db.docs("c").put(&item(n, n)).expect("puts");
    }
    let seen =
        |events: &[Event]| events.iter().any(|event| matches!(event, Event::Checkpoint { commit, .. } if *commit > 0));
    let start = std::time::Instant::now();
    while !seen(&events.lock().expect("no panic")) && start.elapsed().as_secs() < 20 {
        std::thread::yield_now();
    }
    assert!(seen(&events.lock().expect("no panic")), "background checkpoints are told");
    let stats = db.stats().expect("stats");
    assert!(stats.commits == 20_000 && stats.commit == 20_000 && stats.checkpoints > 0, "{stats:?}");
    db.close().expect("closes");
    // With a log this long no checkpoint takes the last commit away from the replay.
    let db = place.open_with(Options { durability: Durability::Manual, ..Options::default() });
    db.docs("c").put(&item("last", 1)).expect("puts");
    db.abandon();
    let db = place.open();
    assert!(db.stats().expect("stats").replayed_commits > 0);
    assert!(db.snapshot().expect("snapshot").commit() > 1 << 32, "numbers given out before are not given out again");
    assert_eq!(db.docs("c").count_documents().expect("counts"), 20_001);
}
