//! What a snapshot shows while others commit and sync.

use crate::common::Place;
use nyro::{doc, Document, Options};
use std::sync::atomic::{AtomicBool, Ordering};

const DOCUMENTS: u64 = 20_000;

/// The sync that one thread runs covers the frame of another thread's commit while that commit is still
/// being applied: it must not become visible before it is whole.
#[test]
fn a_snapshot_never_shows_a_part_of_a_transaction_that_others_sync() {
    let place = Place::new();
    let db = place.open_with(Options::default());
    let db = &*db;
    let write = |value: u64| {
        db.write(|tx| {
            let numbers = tx.collection::<Document>("numbers");
            (0..DOCUMENTS).try_for_each(|id| numbers.put(&doc! { "_id": id, "value": value }).map(|_| ()))
        })
        .expect("a commit");
    };
    write(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                db.sync().expect("a sync");
            }
        });
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                let snapshot = db.snapshot().expect("a snapshot");
                let numbers = snapshot.collection::<Document>("numbers").expect("a collection");
                let value = |id: u64| numbers.get(id).expect("a read").expect("there").get("value").cloned();
                assert_eq!(value(0), value(DOCUMENTS - 1), "at commit {}", snapshot.commit());
                seen += 1;
            }
            seen
        });
        (1..8).for_each(write);
        stop.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("the reader") > 0);
    });
}
