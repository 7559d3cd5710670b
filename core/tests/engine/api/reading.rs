//! Snapshots and scans.

use crate::common::{ids, item, Db, Place};
use nyro::{doc, Document, Id, RawDocumentBuf, Snapshot};
use std::collections::BTreeMap;

#[test]
fn get_many_answers_in_the_order_asked_with_misses_marked() {
    let db = Db::memory();
    for n in 0..100 {
        db.docs("c").put(&item(n, n)).expect("puts");
    }
    let wanted: Vec<i64> = (0..200).map(|n| n * 37 % 150).collect();
    let expected: Vec<_> = wanted.iter().map(|&n| (n < 100).then(|| item(n, n))).collect();
    assert_eq!(db.docs("c").get_many(wanted.clone()).expect("gets"), expected);
    assert_eq!(db.docs("none").get_many(wanted.clone()).expect("gets"), vec![None; 200]);
    assert_eq!(db.docs("c").get_many(Vec::<Id>::new()).expect("gets"), []);
    let snapshot = db.snapshot().expect("snapshot");
    let mut places = Vec::new();
    let collection = snapshot.collection::<Document>("c").expect("collection");
    collection
        .get_many_raw(wanted, |place, document| {
            assert_eq!(document.is_some(), expected[place].is_some());
            places.push(place);
            Ok(())
        })
        .expect("gets");
    assert_eq!(places, (0..200).collect::<Vec<_>>());
}

#[test]
fn raw_reading_gives_the_bytes_that_were_put() {
    let db = Db::memory();
    let raw = RawDocumentBuf::from_serialize(&item("x", 5)).expect("a document");
    assert_eq!(db.docs("c").put_raw(&raw).expect("puts"), Id::from("x"));
    let read = db.docs("c").get_raw_with("x", |document| document.as_bytes().to_vec()).expect("gets");
    assert_eq!(read.as_deref(), Some(raw.as_bytes()));
    assert_eq!(db.docs("c").get_raw_with("y", |_| ()).expect("gets"), None);
}

fn shown(snapshot: &Snapshot) -> BTreeMap<String, Vec<Document>> {
    let mut all = BTreeMap::new();
    for name in snapshot.collection_names().expect("names") {
        let collection = snapshot.collection::<Document>(&name).expect("collection");
        let documents: Vec<_> = collection.scan().map(|d| d.expect("a document")).collect();
        assert_eq!(collection.count_documents().expect("counts"), documents.len() as u64);
        for document in &documents {
            let id = document.id().expect("an id");
            assert_eq!(collection.get(&id).expect("gets").as_ref(), Some(document));
        }
        all.insert(name, documents);
    }
    all
}

#[test]
fn a_snapshot_does_not_move_whatever_happens_after_it() {
    let place = Place::new();
    let db = place.open();
    let mut held = Vec::new();
    for round in 0..8 {
        for n in 0..60 {
            let id = (round * 17 + n * 7) % 100;
            match (round + n) % 4 {
                0 => drop(db.docs("a").delete(id).expect("deletes")),
                1 => drop(db.docs("b").put(&item(id, round)).expect("puts")),
                _ => drop(db.docs("a").put(&item(id, round * 100 + n)).expect("puts")),
            }
        }
        match round {
            2 => drop(db.docs("a").put(&doc! { "_id": "big", "text": "x".repeat(100_000) }).expect("puts")),
            4 => db.rename_collection("b", "c").expect("renames"),
            5 => drop(db.drop_collection("c").expect("drops")),
            6 => drop(db.docs("a").delete("big").expect("deletes")),
            _ => {}
        }
        let snapshot = db.snapshot().expect("snapshot");
        assert_eq!(snapshot.commit(), db.stats().expect("stats").commit);
        held.push((shown(&snapshot), snapshot));
        if round % 2 == 1 {
            db.checkpoint().expect("checkpoint");
        }
        for (before, snapshot) in &held {
            assert_eq!(shown(snapshot), *before, "snapshot of commit {} in round {round}", snapshot.commit());
        }
    }
    for _ in 0..4 {
        db.docs("z").put(&item(1, 1)).expect("puts");
        db.checkpoint().expect("checkpoint");
        assert!(held.iter().all(|(before, snapshot)| shown(snapshot) == *before));
    }
    db.verify().expect("verifies");
}

#[test]
fn pages_that_a_snapshot_held_are_used_again_after_it_is_gone() {
    let place = Place::new();
    let db = place.open();
    let write = |n: i64| {
        for id in 0..300 {
            db.docs("c").put(&doc! { "_id": id, "n": n, "text": "x".repeat(500) }).expect("puts");
        }
        db.checkpoint().expect("checkpoint");
    };
    write(0);
    let snapshot = db.snapshot().expect("snapshot");
    (1..6).for_each(write);
    let pinned = db.stats().expect("stats");
    assert!(pinned.oldest_snapshot_checkpoint_commit < pinned.checkpoint_commit);
    drop(snapshot);
    (6..9).for_each(write);
    let before = db.stats().expect("stats").file_bytes;
    (9..30).for_each(write);
    assert_eq!(db.stats().expect("stats").file_bytes, before, "the file grows no more");
}

#[test]
fn a_scan_gives_documents_in_the_order_they_were_last_written() {
    let place = Place::new();
    let db = place.open();
    for n in 0..50 {
        db.docs("c").put(&item(n, 0)).expect("puts");
    }
    db.checkpoint().expect("checkpoint");
    for n in [7, 3, 40] {
        db.docs("c").put(&item(n, 1)).expect("puts");
    }
    let mut expected: Vec<Id> = (0..50).filter(|n| ![7, 3, 40].contains(n)).map(Id::from).collect();
    expected.extend([7, 3, 40].map(Id::from));
    assert_eq!(ids(db.docs("c").scan().expect("scans")), expected);
    db.close().expect("closes");
    assert_eq!(ids(place.open().docs("c").scan().expect("scans")), expected);
}

#[test]
fn a_scan_goes_on_from_its_token_in_the_same_snapshot() {
    let db = Db::memory();
    for n in 0..40 {
        db.docs("c").put(&item(n, 0)).expect("puts");
    }
    let snapshot = db.snapshot().expect("snapshot");
    let collection = snapshot.collection::<Document>("c").expect("collection");
    for stop in [0, 1, 17, 39, 40] {
        let mut scan = collection.scan();
        let mut seen = ids(scan.by_ref().take(stop));
        db.docs("c").put(&item(stop as u64 % 40, 1)).expect("puts");
        seen.extend(ids(collection.scan_after(scan.token())));
        assert_eq!(seen, (0..40).map(Id::from).collect::<Vec<_>>());
    }
    assert_eq!(collection.scan_after(u64::MAX).count(), 0);
}

/// What is unchanged comes exactly once, what is changed may come again, nothing is missed.
#[test]
fn a_scan_goes_on_from_its_token_in_a_later_snapshot_and_after_reopening() {
    let place = Place::new();
    let mut db = place.open();
    for n in 0..200 {
        db.docs("c").put(&item(n, 0)).expect("puts");
    }
    let mut seen: BTreeMap<Id, Vec<i64>> = BTreeMap::new();
    let mut token = 0;
    for step in 0..12 {
        let mut scan = db.docs("c").scan_after(token).expect("scans");
        for document in scan.by_ref().take(20) {
            let document = document.expect("a document");
            seen.entry(document.id().expect("an id")).or_default().push(document["value"].as_i64().expect("a number"));
        }
        token = scan.token();
        drop(scan);
        // Some behind the token, some before it, one new, one gone.
        for id in [step * 3, 199 - step, 300 + step] {
            db.docs("c").put(&item(id, step + 1)).expect("puts");
        }
        db.docs("c").delete(100 + step).expect("deletes");
        match step % 4 {
            0 => db.checkpoint().expect("checkpoint"),
            1 => {
                db.close().expect("closes");
                db = place.open();
            }
            2 => {
                db.abandon();
                db = place.open();
            }
            _ => {}
        }
    }
    let rest = db.docs("c").scan_after(token).expect("scans");
    for document in rest {
        let document = document.expect("a document");
        seen.entry(document.id().expect("an id")).or_default().push(document["value"].as_i64().expect("a number"));
    }
    for document in db.docs("c").scan().expect("scans") {
        let document = document.expect("a document");
        let (id, value) = (document.id().expect("an id"), document["value"].as_i64().expect("a number"));
        let times = seen.get(&id).map_or(0, |values| values.iter().filter(|v| **v == value).count());
        assert_eq!(times, 1, "{id} with {value}: {:?}", seen.get(&id));
    }
}
