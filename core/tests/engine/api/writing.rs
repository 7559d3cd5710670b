//! The writing calls of a collection, and the calls on collections as a whole.

use crate::common::{ids, item, Db, Place};
use nyro::{doc, Document, Error, Id, InsertManyOptions, RawDocumentBuf, Timestamp, Value};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Person {
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    name: String,
    tags: Vec<String>,
    score: Option<f64>,
    inner: Inner,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Inner {
    Nothing,
    Number(i64),
    Named { x: u8 },
}

#[test]
fn values_of_your_own_types_go_in_and_come_back_through_serde() {
    let place = Place::new();
    let db = place.open();
    let people = db.collection::<Person>("people");
    let inners = [Inner::Nothing, Inner::Number(i64::MIN), Inner::Named { x: 255 }];
    let all: Vec<Person> = inners
        .into_iter()
        .map(|inner| Person {
            id: None,
            name: "Ada".into(),
            tags: vec!["a".into(), "é".into()],
            score: Some(0.1),
            inner,
        })
        .collect();
    let given = people.insert_many(&all).expect("inserts").inserted_ids;
    assert_eq!(given, [Id::from(1), Id::from(2), Id::from(3)]);
    db.close().expect("closes");
    let db = place.open();
    let back: Vec<Person> = db.collection("people").scan().expect("scans").map(|p| p.expect("a person")).collect();
    for (n, (person, back)) in all.iter().zip(&back).enumerate() {
        assert_eq!(Person { id: Some(n as u64 + 1), ..person.clone() }, *back);
    }
    let wrong = db.collection::<Inner>("people").get(1);
    assert_eq!(wrong.expect_err("another type").code(), 206);
}

#[test]
fn a_document_of_every_type_of_value_comes_back_as_it_was() {
    let place = Place::new();
    let all = doc! {
        "_id": "all", "null": null, "bool": true, "int": (i64::MIN), "uint": (u64::MAX), "float": 1.5,
        "nan": (f64::NEG_INFINITY), "text": "é", "bytes": (b"\x00\xff"), "array": [1, [2, null], {"x": 1}],
        "map": { "deep": { "er": 1 } }, "when": (Timestamp::from_millis(-1)), "ext": (Value::Ext(7, vec![1, 2])),
    };
    let db = place.open();
    db.docs("c").put(&all).expect("puts");
    assert_eq!(db.docs("c").get("all").expect("gets"), Some(all.clone()));
    db.close().expect("closes");
    assert_eq!(place.open().docs("c").get("all").expect("gets"), Some(all));
}

#[test]
fn put_inserts_or_replaces_and_delete_says_whether_there_was_one() {
    let db = Db::memory();
    let c = db.docs("c");
    assert!(!c.delete(1).expect("deletes") && c.get(1).expect("gets").is_none());
    assert_eq!(c.put(&item(1, 1)).expect("puts"), Id::from(1));
    assert_eq!(c.put(&item(1, 2)).expect("puts"), Id::from(1));
    assert_eq!(c.get(1).expect("gets"), Some(item(1, 2)));
    assert_eq!((c.count_documents().expect("counts"), c.estimated_document_count().expect("counts")), (1, 1));
    assert!(c.delete(1).expect("deletes") && !c.delete(1).expect("deletes"));
    assert_eq!(c.count_documents().expect("counts"), 0);
}

#[test]
fn a_duplicate_id_is_an_error_that_names_it_and_changes_nothing() {
    let db = Db::memory();
    db.docs("c").insert_one(&item("x", 1)).expect("inserts");
    let refused = db.docs("c").insert_one(&item("x", 2)).expect_err("a duplicate");
    assert!(
        matches!(&refused, Error::DuplicateId { collection, id } if collection == "c" && id == "\"x\""),
        "{refused}"
    );
    assert_eq!(db.docs("c").get("x").expect("gets"), Some(item("x", 1)));
}

#[test]
fn insert_many_ordered_keeps_what_came_before_the_failure() {
    let db = Db::memory();
    db.docs("c").put(&item(3, 0)).expect("puts");
    let documents: Vec<_> = (1..=5).map(|n| item(n, n)).collect();
    let failed = db.docs("c").insert_many(&documents).expect_err("3 is there");
    let Error::BulkWrite { inserted, failures } = &failed else { panic!("{failed}") };
    assert_eq!((*inserted, failures.len(), failures[0].0, failures[0].1.code()), (2, 1, 2, 205));
    assert_eq!(ids(db.docs("c").scan().expect("scans")), [Id::from(3), Id::from(1), Id::from(2)]);
}

#[test]
fn insert_many_unordered_inserts_all_but_the_failures() {
    let db = Db::memory();
    db.docs("c").put(&item(3, 0)).expect("puts");
    let documents = [item(1, 1), item(3, 3), item(1, 4), doc! { "_id": 1.5 }, doc! { "x": 1 }, item(5, 5)];
    let options = InsertManyOptions { ordered: false, atomic: false };
    let failed = db.docs("c").insert_many_with(&documents, options).expect_err("some are wrong");
    let Error::BulkWrite { inserted, failures } = &failed else { panic!("{failed}") };
    let failures: Vec<_> = failures.iter().map(|(index, e)| (*index, e.code())).collect();
    assert_eq!((*inserted, failures), (3, vec![(1, 205), (2, 205), (3, 204)]));
    let mut left = ids(db.docs("c").scan().expect("scans"));
    left.sort();
    assert_eq!(left, [Id::from(1), Id::from(3), Id::from(4), Id::from(5)], "4 was assigned");
}

#[test]
fn insert_many_atomic_keeps_nothing_on_failure() {
    let db = Db::memory();
    for ordered in [false, true] {
        let options = InsertManyOptions { ordered, atomic: true };
        let failed = db.docs("c").insert_many_with(&[item(1, 1), item(2, 2), item(1, 3)], options);
        assert_eq!(failed.expect_err("a duplicate").code(), 205);
        assert_eq!(db.docs("c").count_documents().expect("counts"), 0);
    }
    let raw = RawDocumentBuf::from_serialize(&item(9, 9)).expect("a document");
    let done = db.docs("c").insert_many_raw([&*raw], InsertManyOptions::default()).expect("inserts");
    assert_eq!(done.inserted_ids, [Id::from(9)]);
    assert_eq!(db.docs("c").insert_many(&Vec::<Document>::new()).expect("nothing to do").inserted_ids, []);
}

#[test]
fn put_many_inserts_and_replaces_in_the_order_given() {
    let place = Place::new();
    let db = place.open();
    let c = db.docs("c");
    c.insert_many(&(0..100).map(|n| item(n, n)).collect::<Vec<_>>()).expect("inserts");
    db.checkpoint().expect("a checkpoint");
    c.put_many(&(0..10).map(|n| item(n, n + 500)).collect::<Vec<_>>()).expect("in the delta, too");
    let mut documents: Vec<Document> = (0..90).map(|n| item(n * 2, n + 1000)).collect();
    documents.push(doc! { "n": "assigned" });
    documents.push(item(4, 7));
    let before = db.stats().expect("stats").commits;
    let given = c.put_many(&documents).expect("puts");
    assert_eq!(db.stats().expect("stats").commits, before + 1, "one transaction");
    assert_eq!((given[3].clone(), given[90].clone(), given[91].clone()), (Id::from(6), Id::from(179), Id::from(4)));
    let check = |c: &nyro::Collection<Document>| {
        assert_eq!(c.count_documents().expect("counts"), 100 + 40 + 1, "40 evens from 100 to 178, one assigned");
        assert_eq!(c.get(4).expect("gets"), Some(item(4, 7)), "the last one of an id");
        assert_eq!(c.get(6).expect("gets"), Some(item(6, 1003)));
        assert_eq!(c.get(5).expect("gets"), Some(item(5, 505)));
        assert_eq!(c.get(51).expect("gets"), Some(item(51, 51)));
        assert_eq!(c.get(179).expect("gets"), Some(doc! { "_id": 179, "n": "assigned" }));
    };
    check(&c);
    drop(c);
    db.close().expect("closes");
    check(&place.open().docs("c"));
}

#[test]
fn put_many_keeps_nothing_on_failure() {
    let db = Db::memory();
    let c = db.docs("c");
    c.put(&item(1, 1)).expect("puts");
    let bad = doc! { "_id": 1.5 };
    let refused = c.put_many([&item(1, 2), &item(2, 2), &bad, &item(3, 3)]).expect_err("a float is no id");
    assert_eq!(refused.code(), 204);
    assert_eq!(c.get(1).expect("gets"), Some(item(1, 1)));
    assert_eq!(c.count_documents().expect("counts"), 1);
    assert_eq!(c.put_many(&Vec::<Document>::new()).expect("nothing to do"), []);
    let raw = RawDocumentBuf::from_serialize(&item(9, 9)).expect("a document");
    assert_eq!(c.put_many_raw([&*raw, &*raw]).expect("puts"), [Id::from(9), Id::from(9)]);
    assert_eq!(c.count_documents().expect("counts"), 2);
}

#[test]
fn replace_one_takes_the_same_id_or_none_and_refuses_another() {
    let db = Db::memory();
    let c = db.docs("c");
    assert!(!c.replace_one(1, &doc! { "x": 1 }).expect("replaces"), "nothing there");
    assert_eq!(db.collection_names().expect("names"), Vec::<String>::new(), "and no collection made for it");
    c.put(&item(1, 1)).expect("puts");
    assert!(c.replace_one(1, &doc! { "x": 2 }).expect("replaces"));
    assert_eq!(c.get(1).expect("gets"), Some(doc! { "_id": 1, "x": 2 }));
    assert!(c.replace_one(1, &item(1, 3)).expect("replaces"));
    assert_eq!(c.replace_one(1, &item(2, 3)).expect_err("another _id").code(), 204);
    assert_eq!(c.get(1).expect("gets"), Some(item(1, 3)));
}

#[test]
fn collections_are_created_listed_renamed_and_dropped_and_stay_so() {
    let place = Place::new();
    let db = place.open();
    db.create_collection("b").expect("creates");
    db.docs("a").put(&item(1, 1)).expect("puts");
    assert_eq!(db.collection_names().expect("names"), ["a", "b"]);
    assert_eq!(db.create_collection("a").expect_err("exists").code(), 208);
    assert_eq!(db.rename_collection("a", "b").expect_err("exists").code(), 208);
    assert_eq!(db.rename_collection("x", "y").expect_err("none").code(), 207);
    db.rename_collection("a", "c").expect("renames");
    assert_eq!(db.docs("a").get(1).expect("gets"), None);
    assert_eq!(db.docs("c").get(1).expect("gets"), Some(item(1, 1)));
    assert!(db.drop_collection("b").expect("drops") && !db.drop_collection("b").expect("drops"));
    db.abandon();
    let db = place.open();
    assert_eq!(db.collection_names().expect("names"), ["c"]);
    assert_eq!(db.docs("c").get(1).expect("gets"), Some(item(1, 1)));
}

#[test]
fn a_handle_means_whatever_bears_its_name() {
    let db = Db::memory();
    let (a, b) = (db.docs("a"), db.docs("b"));
    a.put(&item(1, 1)).expect("puts");
    assert!(a.contains(1).expect("looks") && !b.contains(1).expect("looks"));
    db.rename_collection("a", "b").expect("renames");
    assert!(!a.contains(1).expect("looks") && b.contains(1).expect("looks"));
    a.put(&item(2, 2)).expect("puts");
    assert_eq!((a.count_documents().expect("counts"), b.count_documents().expect("counts")), (1, 1));
    db.drop_collection("b").expect("drops");
    assert!(!b.contains(1).expect("looks") && a.contains(2).expect("looks"));
}

#[test]
fn a_document_may_go_and_come_back_within_one_delta() {
    let place = Place::new();
    let db = place.open();
    let c = db.docs("c");
    c.put(&item(1, 0)).expect("puts");
    db.checkpoint().expect("checkpoint");
    for n in 1..20 {
        assert!(c.delete(1).expect("deletes"));
        c.insert_one(&item(1, n)).expect("inserts");
        c.insert_one(&item(2, n)).expect("inserts");
        assert!(c.delete(2).expect("deletes"));
    }
    assert_eq!(ids(c.scan().expect("scans")), [Id::from(1)]);
    db.verify().expect("verifies");
    db.checkpoint().expect("checkpoint");
    assert_eq!(ids(c.scan().expect("scans")), [Id::from(1)]);
    assert_eq!(c.get(1).expect("gets"), Some(item(1, 19)));
    drop(db);
    assert_eq!(place.open().docs("c").get(1).expect("gets"), Some(item(1, 19)));
}

#[test]
fn large_documents_are_put_updated_and_deleted_like_small_ones() {
    let place = Place::new();
    let sizes = [4_000, 16_300, 16_400, 65_400, 65_536, 70_000, 1 << 20, 5 << 20];
    let large = |size: usize, n: u8| {
        let text: String = (0..size).map(|i| char::from(b'a' + ((i / 100 + usize::from(n)) % 26) as u8)).collect();
        doc! { "_id": (size as u64), "text": text }
    };
    let db = place.open();
    for size in sizes {
        db.docs("c").put(&large(size, 0)).expect("puts");
    }
    let check = |db: &Db, n: u8| {
        for size in sizes {
            assert!(db.docs("c").get(size as u64).expect("gets") == Some(large(size, n)), "{size} bytes, {n}");
        }
        assert_eq!(db.docs("c").count_documents().expect("counts"), sizes.len() as u64);
    };
    check(&db, 0);
    db.close().expect("closes");
    let db = place.open();
    check(&db, 0);
    for size in sizes {
        db.docs("c").put(&large(size, 1)).expect("puts");
    }
    db.abandon();
    let db = place.open();
    check(&db, 1);
    for size in sizes {
        assert!(db.docs("c").delete(size as u64).expect("deletes"));
    }
    db.checkpoint().expect("checkpoint");
    assert_eq!(db.docs("c").count_documents().expect("counts"), 0);
    let used = db.stats().expect("stats").used_bytes;
    assert!(used < 100 << 10, "the space is free again: {used} bytes used");
}
