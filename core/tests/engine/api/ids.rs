//! Ids: what can be one, and how they are assigned.

use crate::common::{item, Db, Place};
use nyro::{doc, Document, Error, Id, InsertManyOptions, RawDocument};

fn id_kinds() -> Vec<Id> {
    let edges = [0_i64, 1, 127, 128, 255, 256, 65_535, 65_536, i64::from(u32::MAX), 1 << 32, i64::MAX];
    let mut ids: Vec<Id> = edges.iter().flat_map(|&n| [Id::from(n), Id::from(-n), Id::from(-n - 1)]).collect();
    ids.extend([Id::from(i64::MAX as u64 + 1), Id::from(u64::MAX)]);
    for length in [0, 1, 31, 32, 255, 256, 1023, 1024] {
        ids.push(Id::from("s".repeat(length)));
        ids.push(Id::from(vec![b's'; length]));
    }
    ids.extend([Id::from("é"), Id::from("7"), Id::from(b"7"), Id::from("\0"), Id::from([0xff_u8, 0])]);
    ids.sort();
    ids.dedup();
    ids
}

#[test]
fn ids_of_every_kind_find_their_documents_before_and_after_reopening() {
    let place = Place::new();
    let ids = id_kinds();
    assert!(ids.len() > 45);
    let db = place.open();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(db.docs("c").insert_one(&item(id, n as i64)).expect("inserts").inserted_id, *id);
    }
    let check = |db: &Db| {
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(db.docs("c").get(id).expect("gets"), Some(item(id, n as i64)), "{id}");
        }
        assert_eq!(db.docs("c").count_documents().expect("counts"), ids.len() as u64);
    };
    check(&db);
    db.checkpoint().expect("checkpoint");
    check(&db);
    drop(db);
    check(&place.open());
}

#[test]
fn the_same_number_in_any_width_is_the_same_id() {
    let db = Db::memory();
    let widths: [&[u8]; 7] = [
        b"\x07",
        b"\xcc\x07",
        b"\xcd\0\x07",
        b"\xce\0\0\0\x07",
        b"\xcf\0\0\0\0\0\0\0\x07",
        b"\xd0\x07",
        b"\xd3\0\0\0\0\0\0\0\x07",
    ];
    for width in widths {
        let bytes = [b"\x81\xa3_id", width].concat();
        let document = RawDocument::from_bytes(&bytes).expect("well-formed");
        assert_eq!(db.docs("c").put_raw(document).expect("puts"), Id::from(7));
    }
    assert_eq!(db.docs("c").count_documents().expect("counts"), 1);
    assert!(db.docs("c").contains(7_u64).expect("looks") && db.docs("c").contains(7_i8).expect("looks"));
}

#[test]
fn a_string_and_equal_bytes_are_different_ids() {
    let db = Db::memory();
    db.docs("c").put(&item("a", 1)).expect("puts");
    db.docs("c").put(&item(b"a", 2)).expect("puts");
    assert_eq!(db.docs("c").get("a").expect("gets"), Some(item("a", 1)));
    assert_eq!(db.docs("c").get(b"a").expect("gets"), Some(item(b"a", 2)));
    assert!(db.docs("c").delete(b"a").expect("deletes"));
    assert!(db.docs("c").contains("a").expect("looks"));
}

fn assign(db: &Db, name: &str) -> Id {
    db.docs(name).insert_one(&doc! { "x": 1 }).expect("inserts").inserted_id
}

#[test]
fn an_assigned_id_is_the_next_above_any_the_collection_ever_held() {
    let place = Place::new();
    let db = place.open();
    assert_eq!(assign(&db, "c"), Id::from(1));
    db.docs("c").put(&item(40, 0)).expect("puts");
    db.docs("c").put(&item(-99, 0)).expect("puts");
    db.docs("c").put(&item("text", 0)).expect("puts");
    assert_eq!(assign(&db, "c"), Id::from(41));
    assert!(db.docs("c").delete(41).expect("deletes") && db.docs("c").delete(40).expect("deletes"));
    assert_eq!(assign(&db, "c"), Id::from(42), "also above what was deleted");
    assert!(db.docs("c").delete(42).expect("deletes"));
    db.close().expect("closes");
    let db = place.open();
    assert_eq!(assign(&db, "c"), Id::from(43), "kept over a clean close");
    assert!(db.docs("c").delete(43).expect("deletes"));
    db.abandon();
    let db = place.open();
    assert_eq!(assign(&db, "c"), Id::from(44), "kept over a crash of the process");
    assert_eq!(db.docs("c").get(44).expect("gets"), Some(doc! { "_id": 44, "x": 1 }), "_id comes first");
    assert!(db.drop_collection("c").expect("drops"));
    assert_eq!(assign(&db, "c"), Id::from(1), "a new collection of that name begins anew");
}

#[test]
fn ids_assigned_in_one_transaction_follow_each_other_and_are_given_back_by_a_rollback() {
    let db = Db::memory();
    let rolled_back = db.write(|tx| {
        let c = tx.collection::<Document>("c");
        assert_eq!(c.put(&doc! { "x": 1 })?, Id::from(1));
        assert_eq!(c.insert_one(&doc! { "x": 1 })?, Id::from(2));
        assert!(c.delete(2)?);
        assert_eq!(c.insert_one(&doc! { "x": 1 })?, Id::from(3));
        Err::<(), _>(Error::RolledBack)
    });
    assert_eq!(rolled_back.expect_err("rolled back").code(), 107);
    assert_eq!(assign(&db, "c"), Id::from(1));
}

#[test]
fn after_the_last_integer_id_none_is_assigned_and_others_still_go_in() {
    let place = Place::new();
    let db = place.open();
    db.docs("c").put(&item(u64::MAX - 1, 0)).expect("puts");
    assert_eq!(assign(&db, "c"), Id::from(u64::MAX));
    for _ in 0..2 {
        let db = place.open();
        let refused = db.docs("c").insert_one(&doc! { "x": 1 }).expect_err("used up");
        assert!(matches!(refused, Error::IdsExhausted(ref name) if name == "c"), "{refused}");
        let many = db.docs("c").insert_many_with([&doc! { "x": 1 }], InsertManyOptions::default());
        assert_eq!(many.expect_err("used up").code(), 210);
        db.docs("c").put(&item("own", 1)).expect("puts");
        assert_eq!(db.docs("c").count_documents().expect("counts"), 3);
        assert!(db.docs("c").delete("own").expect("deletes"));
        db.close().expect("closes");
    }
}

/// A collection without documents lives only in the catalog: its number must not be given to the next.
#[test]
fn a_collection_made_empty_and_recovered_shares_nothing_with_one_made_later() {
    let place = Place::new();
    let db = place.open();
    db.create_collection("empty").expect("creates");
    db.abandon();
    let db = place.open();
    db.docs("later").put(&item(1, 1)).expect("puts");
    assert_eq!(db.docs("empty").count_documents().expect("counts"), 0);
    assert_eq!(db.docs("empty").get(1).expect("gets"), None);
    db.write(|tx| {
        tx.create_collection("first")?;
        tx.drop_collection("first")?;
        tx.create_collection("second")
    })
    .expect("commits");
    db.abandon();
    let db = place.open();
    db.docs("third").put(&item(1, 1)).expect("puts");
    assert_eq!(db.docs("second").count_documents().expect("counts"), 0);
    assert_eq!(db.collection_names().expect("names"), ["empty", "later", "second", "third"]);
}
