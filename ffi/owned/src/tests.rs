//! What the layers above rely on.

use crate::{
    error, id, report, settings, Batch, Coll, Database, Document, Done, Error, Id, KeyChange, Op, Options, Result, Tx,
};
use std::sync::Arc;

fn memory() -> Database {
    Database::open(":memory:").expect("opens")
}

fn bytes(json: &str) -> Vec<u8> {
    Document::from_json(json).expect("json").to_msgpack().expect("encodes")
}

#[test]
fn the_list_of_errors_is_the_table_of_the_documentation() {
    let text = include_str!("../../../docs/errors.md");
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        Some((cells.next()?.parse::<u32>().ok()?, cells.next()?))
    });
    assert_eq!(rows.collect::<Vec<_>>(), error::ERRORS);
    assert_eq!(error::name(205), Some("DuplicateId"));
    assert_eq!(error::name(999), None);
}

#[test]
fn ids_cross_as_msgpack_and_as_json() {
    for (id, json) in [
        (Id::from(0_u8), "0"),
        (Id::from(-1_i64), "-1"),
        (Id::from(u64::MAX), "18446744073709551615"),
        (Id::from(i64::MIN), "-9223372036854775808"),
        (Id::from("ada"), "\"ada\""),
        (Id::from(b"\x00\xff".to_vec()), "{\"$binary\":{\"base64\":\"AP8=\",\"subType\":\"00\"}}"),
    ] {
        assert_eq!(id::from_msgpack(&id::to_msgpack(&id).expect("encodes")).expect("decodes"), id);
        assert_eq!(id::from_json(json).expect("decodes"), id);
    }
    for bad in ["1.5", "null", "[1]", "1,\"x\":2", ""] {
        assert!(id::from_json(bad).is_err(), "{bad}");
    }
    for bad in [&b""[..], b"\xc0", b"\xca\0\0\0\0", b"\x01\x02", b"\xa5ab"] {
        assert!(id::from_msgpack(bad).is_err(), "{bad:?}");
    }
    let many: Vec<Id> = (0..70_000_u32).map(Id::from).collect();
    for count in [0, 15, 16, 70_000] {
        let array = id::array_to_msgpack(&many[..count]).expect("encodes");
        let document = Document::from_msgpack(&[b"\x81\xa1a".as_slice(), &array].concat()).expect("an array");
        assert_eq!(document["a"].as_array().map(<[_]>::len), Some(count));
    }
}

#[test]
fn options_are_set_by_name_and_wrong_ones_named() {
    use settings::{set, Setting};
    let mut options = Options::default();
    set(&mut options, "durability", &Setting::Text("manual".into())).expect("set");
    set(&mut options, "cache_bytes", &Setting::Int(1 << 20)).expect("set");
    set(&mut options, "create", &Setting::Unset).expect("left alone");
    assert!(options.create && options.cache_bytes == 1 << 20 && options.durability == nyro::Durability::Manual);
    for (name, value) in [
        ("cache", Setting::Int(1)),
        ("cache_bytes", Setting::Int(-1)),
        ("cache_bytes", Setting::Text("1".into())),
        ("create", Setting::Int(1)),
        ("durability", Setting::Text("often".into())),
        ("read_mode", Setting::Bool(true)),
    ] {
        let refused = set(&mut options, name, &value).expect_err(name);
        assert_eq!(refused.code(), 101);
        assert!(refused.to_string().contains(name), "{refused}");
    }
}

#[test]
fn reports_have_the_names_of_their_fields() {
    let db = memory();
    db.collection::<Document>("c").put(&Document::from_json("{\"_id\":1}").expect("json")).expect("put");
    let stats = report::to_document(&db.stats().expect("stats")).expect("a document");
    assert_eq!(stats["commits"].as_u64(), Some(1));
    assert_eq!(stats.get_path("commit_latency.p50").map(|v| v.as_u64().is_some()), Some(true));
    let verified = report::to_document(&db.verify().expect("sound")).expect("a document");
    assert_eq!(verified["documents"].as_u64(), Some(1));
}

#[test]
fn a_transaction_belongs_to_its_thread_and_ends_with_it() {
    let db = memory();
    let tx = Tx::begin(&db).expect("begun");
    assert!(matches!(Tx::begin(&db), Err(Error::NestedTransaction)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(tx.with(|_| Ok(())), Err(Error::WrongThread)));
            assert!(matches!(tx.commit(), Err(Error::WrongThread)));
            assert!(matches!(tx.rollback(), Err(Error::WrongThread)));
        });
    });
    tx.with(|tx| tx.collection::<Document>("c").put_raw(crate::RawDocument::unvalidated(&bytes("{\"_id\":1}"))))
        .expect("put");
    assert!(matches!(tx.with(|_| tx.commit()), Err(Error::InvalidArgument(_))), "a call is under way");
    assert!(tx.commit().expect("committed") > 0);
    assert!(matches!(tx.commit(), Err(Error::Closed)));
    assert!(!tx.is_open());

    let other = db.clone();
    let left = std::thread::spawn(move || Tx::begin(&other).expect("begun")).join().expect("ended");
    assert!(matches!(left.commit(), Err(Error::WrongThread)));
    let next = Tx::begin(&db).expect("the thread that ended gave up the writer's turn");
    next.rollback().expect("rolled back");
}

#[test]
fn a_batch_is_one_commit_and_each_write_has_its_own_result() {
    let db = memory();
    let name: Arc<str> = "c".into();
    let mut batch = Batch::new();
    batch.push(name.clone(), Op::Put(bytes("{\"_id\":1}")));
    batch.push(name.clone(), Op::Insert(bytes("{\"_id\":1}")));
    batch.push(name.clone(), Op::Insert(bytes("{\"a\":1}")));
    batch.push(name.clone(), Op::Put(vec![0xc1]));
    batch.push(name.clone(), Op::Replace(1.into(), bytes("{\"b\":2}")));
    batch.push(name.clone(), Op::Delete(7.into()));
    batch.push("bad$name".into(), Op::Delete(7.into()));
    let before = db.stats().expect("stats").commits;
    let results = batch.commit(&db);
    let codes: Vec<u32> = results.iter().map(|r| r.as_ref().map_or_else(Error::code, |_| 0)).collect();
    assert_eq!(codes, [0, 205, 0, 201, 0, 0, 102]);
    assert_eq!(results[2].as_ref().ok(), Some(&Done::Id(2.into())));
    assert_eq!(results[4].as_ref().ok(), Some(&Done::Found(true)));
    assert_eq!(results[5].as_ref().ok(), Some(&Done::Found(false)));
    assert_eq!(db.stats().expect("stats").commits, before + 1);

    let mut batch = Batch::new();
    batch.push(name.clone(), Op::Put(bytes("{\"_id\":10}")));
    let (first, second) = (bytes("{\"_id\":11}"), bytes("{\"_id\":10}"));
    let ends = vec![first.len(), first.len() + second.len()];
    let op = Op::InsertMany { documents: [first, second].concat(), ends, options: Default::default() };
    batch.push(name.clone(), op);
    batch.push(name.clone(), Op::Delete(11.into()));
    let results = batch.commit(&db);
    assert!(matches!(&results[1], Err(Error::BulkWrite { inserted: 1, failures }) if failures[0].0 == 1));
    assert_eq!(results[2].as_ref().ok(), Some(&Done::Found(true)));

    db.close().expect("closed");
    let mut batch = Batch::new();
    batch.push(name.clone(), Op::Delete(1.into()));
    assert!(matches!(batch.commit(&db)[0], Err(Error::Closed)));
}

#[test]
fn a_batch_larger_than_a_transaction_is_several() {
    let db = memory();
    let text = "x".repeat(9 << 20);
    let mut batch = Batch::new();
    for id in 0..10 {
        batch.push("c".into(), Op::Put(bytes(&format!("{{\"_id\":{id},\"t\":\"{text}\"}}"))));
    }
    assert!(batch.commit(&db).iter().all(Result::is_ok));
    assert_eq!(db.collection::<Document>("c").count_documents().expect("counts"), 10);
    assert_eq!(db.stats().expect("stats").commits, 2);
}

#[test]
fn changes_of_keys_share_the_commit_in_their_order_and_each_is_whole_or_not_made() {
    let db = memory();
    let put = |key: &str, value: &str| KeyChange::Put(key.into(), value.into());
    let long = || KeyChange::Put(vec![0; 70_000], Vec::new());
    let mut batch = Batch::new();
    batch.push("k".into(), Op::Keys(vec![put("a", "1"), put("b", "2")]));
    batch.push("c".into(), Op::Put(bytes("{\"_id\":1}")));
    batch.push("k".into(), Op::Keys(vec![KeyChange::Delete("a".into())]));
    batch.push("c".into(), Op::Keys(vec![put("a", "1")]));
    batch.push("k".into(), Op::Keys(vec![long()]));
    let before = db.stats().expect("stats").commits;
    let results = batch.commit(&db);
    let codes = |results: &[Result<Done>]| -> Vec<u32> {
        results.iter().map(|r| r.as_ref().map_or_else(Error::code, |_| 0)).collect()
    };
    assert_eq!(codes(&results), [0, 0, 0, 213, 211]);
    assert_eq!(results[0].as_ref().ok(), Some(&Done::Changed));
    assert_eq!(db.stats().expect("stats").commits, before + 1);
    let keys = || {
        let all = db.keyspace("k").iter().expect("range").map(|entry| entry.map(|(key, _)| key));
        all.collect::<Result<Vec<_>>>().expect("keys").concat()
    };
    assert_eq!(keys(), b"b");

    // One that fails halfway leaves no trace, and the others are as they would be without it.
    let mut batch = Batch::new();
    batch.push("c".into(), Op::Insert(bytes("{\"x\":1}")));
    batch.push("k".into(), Op::Keys(vec![put("d", "")]));
    batch.push("c".into(), Op::Insert(bytes("{\"_id\":1}")));
    batch.push("k".into(), Op::Keys(vec![KeyChange::Clear, put("e", ""), long()]));
    batch.push("k".into(), Op::Keys(vec![put("f", "")]));
    let results = batch.commit(&db);
    assert_eq!(codes(&results), [0, 0, 205, 211, 0]);
    assert_eq!(results[0].as_ref().ok(), Some(&Done::Id(2.into())));
    assert_eq!(db.collection::<Document>("c").count_documents().expect("counts"), 2);
    assert_eq!(keys(), b"bdf");

    // One that is too large for what is left of the transaction has one of its own, too large for any has none.
    let large = || KeyChange::Put(b"l".to_vec(), vec![0; 9 << 20]);
    let mut batch = Batch::new();
    batch.push("k".into(), Op::Keys(vec![large(), large(), large(), large()]));
    batch.push("k".into(), Op::Keys(vec![put("g", ""), large(), large(), large(), large()]));
    batch.push("k".into(), Op::Keys([put("h", "")].into_iter().chain((0..8).map(|_| large())).collect()));
    batch.push("k".into(), Op::Keys(vec![put("i", "")]));
    assert_eq!(codes(&batch.commit(&db)), [0, 0, 601, 0]);
    assert_eq!(keys(), b"bdfgil");
}

#[test]
fn a_scan_fills_buffers_and_says_what_a_document_needs() {
    let db = memory();
    let coll = Coll::live(&db, "c");
    for id in 0..10 {
        let text = "x".repeat(id * 10);
        coll.put(&bytes(&format!("{{\"_id\":{id},\"t\":\"{text}\"}}"))).expect("put");
    }
    let mut cursor = coll.scan(0).expect("scan");
    let (mut out, mut ends) = (vec![0; 60], [0; 4]);
    let (mut ids, mut needed) = (Vec::new(), 0);
    loop {
        let filled = cursor.fill(&mut out, &mut ends).expect("fills");
        for document in crate::split(&out[..filled.bytes], &ends[..filled.documents]).expect("in order") {
            ids.push(Document::from_msgpack(document).expect("a document")["_id"].as_u64());
        }
        let token = cursor.token();
        let rest = coll.scan(token).expect("scan").for_each(100, |_| true).expect("scans");
        assert_eq!(rest + ids.len(), 10, "the token is behind what was given");
        if filled.ended {
            break;
        }
        if filled.documents == 0 {
            needed += 1;
            out.resize(filled.needed, 0);
        }
    }
    assert!(needed > 0 && cursor.has_ended());
    assert_eq!(ids, (0..10).map(Some).collect::<Vec<_>>());

    // Behind each document of a batch, too.
    let (mut out, mut ends, mut tokens) = (vec![0; 4096], [0; 8], [0; 8]);
    let filled = coll.scan(0).expect("scan").fill_with_tokens(&mut out, &mut ends, &mut tokens).expect("fills");
    for (place, token) in tokens[..filled.documents].iter().enumerate() {
        let rest = coll.scan(*token).expect("scan").for_each(100, |_| true).expect("scans");
        assert_eq!(rest, 9 - place, "behind number {place}");
    }

    let snapshot = db.snapshot().expect("snapshot");
    let frozen = Coll::frozen(&snapshot, "c").expect("frozen");
    drop(snapshot);
    coll.delete(3.into()).expect("deleted");
    assert!(frozen.contains(3.into()).expect("reads") && !coll.contains(3.into()).expect("reads"));
    assert!(matches!(frozen.delete(4.into()), Err(Error::ReadOnly)));
    assert_eq!(frozen.count().expect("counts"), 10);
    let mut found = Vec::new();
    let look = |_, document: Option<&[u8]>| {
        found.push(document.is_some());
        Ok(())
    };
    frozen.get_many_with([3.into(), 77.into(), 0.into()], look).expect("reads");
    assert_eq!(found, [true, false, true]);
}

#[test]
fn a_document_that_did_not_fit_stays_where_it_is_when_it_is_lent() {
    let db = memory();
    let coll = Coll::live(&db, "c");
    let document = bytes(&format!("{{\"_id\":1,\"t\":\"{}\"}}", "x".repeat(5000)));
    coll.put(&document).expect("put");
    let mut cursor = coll.scan(0).expect("scan");
    assert_eq!(cursor.fill(&mut [0], &mut [0]).expect("fills").needed, document.len());
    let lent = cursor.next_with(|document| document.as_ptr_range()).expect("reads").expect("the document");
    assert!(cursor.lent.as_ptr_range() == lent && cursor.lent == document);
    assert!(cursor.next_with(|_| ()).expect("reads").is_none());
}

#[test]
fn a_scan_that_failed_gives_its_error_again_and_no_end() {
    let fill = |db: &Database| {
        let coll = Coll::live(db, "c");
        for id in 0..10 {
            coll.put(&bytes(&format!("{{\"_id\":{id},\"text\":\"x\"}}"))).expect("put");
        }
        coll.scan(0).expect("scan")
    };
    let db = memory();
    let mut cursor = fill(&db);
    let closing = |_: &[u8]| db.close().is_ok();
    assert!(matches!(cursor.for_each(10, closing), Err(Error::Closed)));
    assert!(matches!(cursor.next_with(|_| ()), Err(Error::Closed)), "not the end");
    assert!(matches!(cursor.fill(&mut [0; 100], &mut [0; 4]), Err(Error::Closed)));

    let db = memory();
    let mut cursor = fill(&db);
    let mut out = [0; 100];
    assert_eq!(cursor.fill(&mut out[..1], &mut [0; 4]).expect("none fits").documents, 0);
    db.close().expect("closed");
    let filled = cursor.fill(&mut out, &mut [0; 4]).expect("the one that was read before");
    assert_eq!((filled.documents, filled.ended), (1, false));
    assert!(matches!(cursor.fill(&mut out, &mut [0; 4]), Err(Error::Closed)), "not the end");
}
