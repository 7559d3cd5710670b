//! Every limit that a caller can meet: the last value that is taken and the first that is not, and what memory and
//! file take at most. The table for users is in `docs/operations.md`, "Limits".
//!
//! Edges that have their test elsewhere:
//!
//! | limit | test |
//! | --- | --- |
//! | a smaller `max_document_bytes`, every call | `bad_input::a_document_over_the_limit_is_refused_and_one_at_it_is_not` |
//! | 100 levels | `bad_input::a_document_of_more_than_100_levels_is_refused_and_one_of_100_is_not` |
//! | types of ids; too long ones, every call | `bad_input::an_id_of_a_wrong_type_or_too_long_is_refused` |
//! | ids at the edges of their encodings | `api::ids`, its first test |
//! | the last integer id | `api::ids::after_the_last_integer_id_none_is_assigned_and_others_still_go_in` |
//! | characters of names, every call | `bad_input::a_bad_name_is_refused_by_every_call` |
//! | options at their least, and below | `api::handles::options_out_of_range_are_refused_before_anything_is_made` |
//! | the writer's timeout | `api::transactions::a_writer_gives_up_after_its_timeout_and_says_how_long_it_waited` |
//! | twice `log_max_bytes`, checkpoints failing | `bad_input`, the test of `Full` |
//! | sixteen backups remembered, after reopening | `backup::chains::names_are_remembered_after_reopening_and_carried_by_their_own_backup` |
//! | the age of snapshots | `aging` |
//! | memory under `Pread` | `pread` |

use crate::common::{item, quick, Db, Place};
use nyro::testing::{seed, Rng, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{doc, BackupOptions, Control, Document, Durability, Error, Id, InsertManyOptions, Options};
use nyro::{RawDocumentBuf, Value};
use std::sync::{Arc, Barrier};

const TRANSACTION_BYTES: usize = 64 << 20;

/// A document of so many bytes as it is stored.
fn document_of(id: i64, bytes: usize) -> Document {
    let of = |length: usize| doc! { "_id": id, "b": Value::Binary(vec![7; length]) };
    let around = of(1 << 17).to_msgpack().expect("encodes").len() - (1 << 17);
    let document = of(bytes - around);
    assert_eq!(document.to_msgpack().expect("encodes").len(), bytes);
    document
}

// ---- transactions ------------------------------------------------------------------------------------

/// Four documents that fill a transaction but for `less` bytes. A change counts its bytes, and 16 for each before it.
fn filling(less: usize) -> Vec<Document> {
    let quarter = TRANSACTION_BYTES / 4;
    (0..4).map(|id| document_of(id, quarter - if id == 3 { 3 * 16 + less } else { 0 })).collect()
}

#[test]
fn a_transaction_of_the_limit_commits_and_one_byte_more_changes_nothing() {
    let place = Place::new();
    let db = place.open_with(Options { max_document_bytes: 30 << 20, ..quick() });
    db.create_collection("c").expect("creates");
    let put_all = |documents: &[Document]| {
        db.write(|tx| documents.iter().try_for_each(|d| tx.collection("c").put(d).map(|_| ())))
    };
    let mut over = filling(0);
    over[0] = document_of(0, TRANSACTION_BYTES / 4 + 1);
    let before = db.stats().expect("stats");
    for refused in [put_all(&over), db.docs("c").insert_many(&over).map(|_| ())] {
        let refused = refused.expect_err("a byte too many");
        assert_eq!(refused.code(), 601);
        let (one_more, most) = (TRANSACTION_BYTES as u64 + 1, TRANSACTION_BYTES as u64);
        assert!(
            matches!(refused, Error::TransactionTooLarge { bytes, limit } if bytes == one_more && limit == most),
            "{refused}"
        );
    }
    let after = db.stats().expect("stats");
    assert_eq!((after.commit, after.log_bytes), (before.commit, before.log_bytes));
    assert_eq!(db.docs("c").count_documents().expect("counts"), 0);
    put_all(&filling(0)).expect("at the limit");
    db.close().expect("closes");
    let db = place.open();
    for document in filling(0) {
        assert!(db.docs("c").get(document.id().expect("an id")).expect("gets") == Some(document));
    }
}

#[test]
fn a_body_that_goes_on_after_the_limit_commits_what_was_taken_before() {
    let db = Db::memory();
    db.create_collection("c").expect("creates");
    db.write(|tx| {
        let c = tx.collection::<Document>("c");
        filling(100).iter().try_for_each(|document| c.put(document).map(|_| ()))?;
        assert_eq!(c.put(&document_of(9, 1 << 20)).expect_err("no room").code(), 601);
        assert_eq!(c.get(9)?, None, "the change that had no room was not made");
        c.put(&item(5, 5)).map(|_| ())
    })
    .expect("commits");
    assert_eq!(db.docs("c").count_documents().expect("counts"), 5);
}

#[test]
fn changes_that_were_replaced_count_as_well() {
    let db = Db::memory();
    db.create_collection("c").expect("creates");
    let document = document_of(1, 10 << 20);
    let mut taken = 0;
    let refused: nyro::Result<()> = db.write(|tx| loop {
        tx.collection("c").put(&document)?;
        taken += 1;
    });
    assert_eq!(refused.expect_err("no room").code(), 601);
    assert_eq!(taken, 6);
    assert_eq!(db.docs("c").count_documents().expect("counts"), 0);
}

#[test]
fn a_bulk_write_has_as_many_documents_as_a_transaction_holds_and_assigns_no_id_if_it_fails() {
    let db = Db::memory();
    db.docs("c").insert_many(&vec![doc! {}; 300_000]).expect("inserts");
    let many = vec![doc! { "b": Value::Binary(vec![1; 1 << 10]) }; 64 << 10];
    for options in [InsertManyOptions::default(), InsertManyOptions { ordered: false, atomic: false }] {
        let refused = db.docs("c").insert_many_with(&many, options).expect_err("no room");
        assert_eq!(refused.code(), 601, "{refused}");
    }
    assert_eq!(db.docs("c").count_documents().expect("counts"), 300_000);
    assert_eq!(db.docs("c").put(&doc! {}).expect("puts"), Id::from(300_001));
}

// ---- documents, ids, names ---------------------------------------------------------------------------

#[test]
fn the_largest_documents_are_stored_whole_and_one_byte_more_is_refused() {
    for (limit, options) in [(16 << 20, quick()), (30 << 20, Options { max_document_bytes: 30 << 20, ..quick() })] {
        let place = Place::new();
        let db = place.open_with(options);
        let document = document_of(1, limit);
        let error = db.docs("c").put(&document_of(1, limit + 1)).expect_err("too large");
        assert!(matches!(error, Error::DocumentTooLarge { bytes, limit: l } if bytes == l + 1 && l == limit as u64));
        assert_eq!(db.docs("c").count_documents().expect("counts"), 0);
        db.docs("c").put(&document).expect("at the limit");
        // An id that is assigned comes on top, the widest one, too.
        db.docs("c").put(&item(u64::MAX - 1, 0)).expect("puts");
        let mut without_id = document.clone();
        without_id.remove("_id");
        let rest = limit - without_id.to_msgpack().expect("encodes").len();
        without_id.insert("r", "r".repeat(rest - 3));
        assert_eq!(without_id.to_msgpack().expect("encodes").len(), limit);
        assert_eq!(db.docs("c").put(&without_id).expect("at the limit"), Id::from(u64::MAX));
        db.close().expect("closes");
        let db = place.open();
        assert!(db.docs("c").get(1).expect("gets").as_ref() == Some(&document));
        let stored = db.docs("c").get(u64::MAX).expect("gets").expect("is there");
        assert!(stored.get("b") == without_id.get("b") && stored.get("r") == without_id.get("r"));
    }
}

#[test]
fn ids_of_1024_bytes_work_in_every_call_and_those_of_1025_in_none() {
    let place = Place::new();
    let db = place.open();
    let c = db.docs("c");
    let ids = |length: usize| [Id::from("é".repeat(length / 2) + &"x".repeat(length % 2)), Id::from(vec![9; length])];
    for id in ids(1024) {
        c.insert_one(&item(id.clone(), 1)).expect("inserts");
        assert!(c.replace_one(&id, &doc! { "value": 2 }).expect("replaces"), "the id is not repeated in the document");
        assert_eq!(c.get_many([&id, &id]).expect("gets"), vec![Some(item(id.clone(), 2)); 2]);
        assert!(c.delete(&id).expect("deletes"));
        c.insert_many([&item(id.clone(), 3)]).expect("inserts");
        db.write(|tx| tx.collection("c").put(&item(id.clone(), 4))).expect("puts");
    }
    for id in ids(1025) {
        let refused = [
            c.insert_one(&item(id.clone(), 1)).map(|_| ()),
            c.get(&id).map(|_| ()),
            c.contains(&id).map(|_| ()),
            c.delete(&id).map(|_| ()),
            db.write(|tx| tx.collection("c").put(&item(id.clone(), 1)).map(|_| ())),
        ];
        refused.into_iter().for_each(|call| assert_eq!(call.expect_err("too long").code(), 204));
        let many = c.insert_many([&item(id.clone(), 1)]).expect_err("too long");
        assert!(matches!(&many, Error::BulkWrite { inserted: 0, failures } if failures[0].1.code() == 204), "{many}");
    }
    db.abandon();
    let db = place.open();
    for id in ids(1024) {
        assert_eq!(db.docs("c").get(&id).expect("gets"), Some(item(id.clone(), 4)));
    }
    assert_eq!(db.docs("c").count_documents().expect("counts"), 2);
}

#[test]
fn names_have_up_to_255_bytes() {
    let place = Place::new();
    let db = place.open();
    let (longest, other) = ("é".repeat(127) + "x", "y".repeat(255));
    db.docs(&longest).put(&item(1, 1)).expect("puts");
    db.rename_collection(&longest, &other).expect("renames");
    db.create_collection(&longest).expect("creates");
    for name in ["é".repeat(128), "y".repeat(256)] {
        assert!(matches!(db.create_collection(&name), Err(Error::InvalidName(refused)) if refused == name));
        assert_eq!(db.rename_collection(&other, &name).expect_err("too long").code(), 102);
    }
    db.close().expect("closes");
    let db = place.open();
    assert_eq!(db.collection_names().expect("names"), [other.clone(), longest]);
    assert_eq!(db.docs(&other).get(1).expect("gets"), Some(item(1, 1)));
}

// ---- options, readers, backups -----------------------------------------------------------------------

#[test]
fn options_without_a_largest_value_take_every_value() {
    let largest = Options {
        durability: Durability::Interval(u64::MAX),
        cache_bytes: u64::MAX,
        log_max_bytes: u64::MAX,
        writer_timeout_ms: u64::MAX,
        max_document_bytes: 30 << 20,
        snapshot_max_age_ms: Some(u64::MAX),
        ..quick()
    };
    let place = Place::new();
    for round in 0..2 {
        let db = place.open_with(largest.clone());
        let scan = db.docs("c").scan().expect("a scan");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let db = &db;
                scope.spawn(move || {
                    for n in 0..200 {
                        db.docs("c").put(&item(thread * 1000 + n, round)).expect("puts");
                    }
                });
            }
        });
        assert_eq!(scan.count(), round as usize * 800);
        if round == 0 {
            db.checkpoint().expect("a checkpoint");
            db.docs("c").put(&item(0, 7)).expect("puts");
            db.abandon();
        } else {
            assert_eq!(db.docs("c").count_documents().expect("counts"), 800);
        }
    }
    let least =
        Options { durability: Durability::Interval(0), writer_timeout_ms: 0, snapshot_max_age_ms: Some(0), ..quick() };
    let db = place.open_with(least);
    db.docs("c").put(&item(1, 1)).expect("puts");
    assert_eq!(db.docs("c").count_documents().expect("counts"), 800);
}

#[test]
fn more_readers_at_once_than_there_are_slots_all_read() {
    let db = Db::memory();
    db.docs("c").put(&item(1, 1)).expect("puts");
    let readers = 300;
    let (all_inside, written) = (Barrier::new(readers + 1), Barrier::new(readers + 1));
    std::thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| {
                let read = db.docs("c").get_raw_with(1, |document| {
                    all_inside.wait();
                    written.wait();
                    document.to_document().expect("decodes")
                });
                assert_eq!(read.expect("gets"), Some(item(1, 1)), "what is lent stays");
            });
        }
        all_inside.wait();
        db.docs("c").put(&item(1, 2)).expect("puts");
        db.checkpoint().expect("a checkpoint beside them");
        assert_eq!(db.docs("c").get(1).expect("gets"), Some(item(1, 2)));
        written.wait();
    });
}

#[test]
fn names_of_backups_have_up_to_63_bytes_and_the_seventeenth_forgets_the_first() {
    let place = Place::new();
    let db = place.open();
    db.docs("c").put(&item(1, 1)).expect("puts");
    let backup = |name: &str, since: Option<&str>| {
        let options = BackupOptions { name: Some(name.to_owned()), since: since.map(str::to_owned), overwrite: true };
        db.backup_with(place.dir().join("backup"), &options, Control::new()).map(|_| ())
    };
    for name in [String::new(), "x".repeat(64), "é".repeat(32), "a\0b".to_owned()] {
        assert_eq!(backup(&name, None).expect_err("a bad name").code(), 101, "{name:?}");
    }
    assert_eq!(db.backups().expect("names").len(), 0);
    let first = "é".repeat(31) + "x";
    backup(&first, None).expect("63 bytes");
    for n in 2..=16 {
        backup(&format!("backup {n}"), None).expect("backs up");
    }
    assert_eq!(db.backups().expect("names").last().map(|backup| backup.name.clone()), Some(first.clone()));
    backup("backup 17", Some(&first)).expect("the first is known still");
    let refused = backup("backup 18", Some(&first)).expect_err("forgotten");
    assert!(matches!(refused, Error::BackupMismatch(_)), "{refused}");
    assert_eq!(db.backups().expect("names").len(), 16);
}

// ---- memory ------------------------------------------------------------------------------------------

/// Which measurement a child process makes.
const MEASURE: &str = "NYRO_TEST_MEASURE";

/// Anonymous memory of this process, in bytes; the mapped file is not in it.
fn anonymous_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
}

/// Runs a measurement in a process of its own: the memory of tests beside this one is not in it.
fn measure(what: &str) {
    let output = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["limits::child_that_measures_memory", "--exact", "--nocapture", "--test-threads=1"])
        .env(MEASURE, what)
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(output.status.success() && text.contains("measured"), "{what}: {text}");
}

/// Not a test of its own: what [`measure`] runs.
#[test]
fn child_that_measures_memory() {
    match std::env::var(MEASURE).as_deref() {
        Ok("load") => load_beyond_the_cache(),
        Ok("transaction") => large_transactions(),
        Ok("collections") => many_collections(),
        _ => return,
    }
    println!("measured");
}

const CACHE: u64 = 8 << 20;

fn small_cache() -> Options {
    Options {
        cache_bytes: CACHE,
        durability: Durability::Manual,
        read_mode: nyro::testing::read_mode(),
        ..Options::default()
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_load_twelve_times_its_cache_takes_no_more_memory_than_four_caches() {
    measure("load");
}

fn load_beyond_the_cache() {
    let place = Place::new();
    let db = place.open_with(small_cache());
    let before = anonymous_memory();
    let (mut counted, mut memory) = (0, 0);
    for from in (0..100_000).step_by(100) {
        let documents: Vec<Document> =
            (from..from + 100).map(|id| doc! { "_id": id, "text": "x".repeat(1000) }).collect();
        db.docs("c").insert_many(&documents).expect("inserts");
        counted = counted.max(db.stats().expect("stats").memory_bytes);
        memory = memory.max(anonymous_memory().saturating_sub(before));
    }
    println!("{counted} bytes counted, {memory} bytes of memory");
    assert!(counted <= 2 * CACHE + (1 << 20), "{counted} bytes counted");
    assert!(memory <= 4 * CACHE + (16 << 20), "{memory} bytes of memory");
    assert_eq!(db.docs("c").count_documents().expect("counts"), 100_000);
}

#[cfg(target_os = "linux")]
#[test]
fn one_large_transaction_takes_a_bounded_multiple_of_its_limit() {
    measure("transaction");
}

fn large_transactions() {
    let place = Place::new();
    let db = place.open_with(small_cache());
    db.create_collection("c").expect("creates");
    for (bytes, most) in [(15 << 20, 256 << 20), (40, 384 << 20)] {
        let before = anonymous_memory();
        let text = "x".repeat(bytes);
        let mut changes = 0;
        let mut in_the_body = 0;
        db.write(|tx| loop {
            match tx.collection("c").put(&doc! { "_id": changes, "t": text.as_str() }) {
                Ok(_) => changes += 1,
                Err(Error::TransactionTooLarge { .. }) => {
                    in_the_body = anonymous_memory().saturating_sub(before);
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        })
        .expect("commits");
        let memory = anonymous_memory().saturating_sub(before);
        println!("{changes} changes, {in_the_body} bytes in the body, {memory} bytes committed");
        assert!(in_the_body.max(memory) <= most, "{in_the_body} and {memory} bytes of memory");
        db.checkpoint().expect("a checkpoint");
        db.checkpoint().expect("a checkpoint");
        let rest = anonymous_memory().saturating_sub(before);
        println!("{rest} bytes after a checkpoint");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_collections_take_a_few_pages_each_and_little_memory() {
    measure("collections");
}

fn many_collections() {
    let place = Place::new();
    let db = place.open_with(small_cache());
    let before = anonymous_memory();
    let collections = 10_000;
    let mut memory = 0;
    for n in 0..collections {
        db.docs(&format!("collection {n}")).put(&item(1, n)).expect("puts");
        if n % 100 == 0 {
            memory = memory.max(anonymous_memory().saturating_sub(before));
        }
    }
    db.checkpoint().expect("a checkpoint");
    let used = db.stats().expect("stats").used_bytes;
    println!("{} bytes of the file each, {memory} bytes of memory", used / collections as u64);
    assert!(used / collections as u64 <= 13_000, "{used} bytes of the file");
    assert!(memory <= 4 * CACHE + (16 << 20), "{memory} bytes of memory");
    db.close().expect("closes");
    let db = place.open_with(small_cache());
    assert_eq!(db.collection_names().expect("names").len(), collections as usize);
    for n in [0, 1, collections / 2, collections - 1] {
        assert_eq!(db.docs(&format!("collection {n}")).get(1).expect("gets"), Some(item(1, n)));
    }
}

// ---- a reader that stays -----------------------------------------------------------------------------

#[test]
fn a_snapshot_beside_fifty_thousand_updates_keeps_what_was_written_and_gives_all_of_it_back() {
    let seed = seed(11);
    println!("NYRO_SEED={seed}");
    let mut rng = Rng::new(seed);
    let options = Options { durability: Durability::Manual, log_max_bytes: 1 << 20, ..Options::default() };
    let config = TestConfig { options, ..TestConfig::default() };
    let disk = SimDisk::new(SimOptions { file_capacity: 256 << 20, ..SimOptions::default() });
    let db = nyro::testing::open(Arc::new(disk), Arc::new(SimEnv::new(1)), "test.nyro", &config).expect("opens");
    let db = Db::new(db);
    let c = db.docs("c");
    let document = |id: i64, version: i64| doc! { "_id": id, "version": version, "text": "x".repeat(150) };
    let bytes = RawDocumentBuf::from_serialize(&document(499, 49_999)).expect("bytes").as_bytes().len() as u64;
    c.insert_many(&(0..500).map(|id| document(id, 0)).collect::<Vec<_>>()).expect("inserts");
    db.checkpoint().expect("a checkpoint");
    let settle = || {
        db.checkpoint().expect("a checkpoint");
        for _ in 0..1000 {
            nyro::testing::step(&db).expect("a step");
            if !db.stats().expect("stats").reclaim_pending {
                return db.stats().expect("stats");
            }
        }
        panic!("the background never comes to rest");
    };
    let before = settle();
    let snapshot = db.snapshot().expect("a snapshot");
    let mut unfolded = 0;
    for n in 1..=50_000 {
        c.put(&document(rng.below(500) as i64, n)).expect("puts");
        if n % 500 == 0 {
            nyro::testing::step(&db).expect("a step");
            unfolded = unfolded.max(db.stats().expect("stats").memory_bytes);
        }
    }
    let held = db.stats().expect("stats");
    let updates = 50_000 * bytes;
    let written = held.page_bytes_written - before.page_bytes_written;
    println!(
        "updates of {updates} bytes, {written} bytes of pages written; file {} -> {}; kept: {} bytes of the file, {} of memory, {} states; not in the file yet: {unfolded}",
        before.file_bytes, held.file_bytes, held.pinned_file_bytes, held.pinned_memory_bytes, held.states_kept,
    );
    assert!(held.checkpoints > before.checkpoints + 10, "too few checkpoints: the test shows nothing");
    // The file: what it was, what checkpoints wrote since, and what is in the making.
    let file_bound = before.file_bytes + written + (2 << 20);
    assert!(held.file_bytes <= file_bound, "the file has {} bytes, the bound is {file_bound}", held.file_bytes);
    assert!(held.pinned_memory_bytes <= 2 * updates, "{} bytes of memory", held.pinned_memory_bytes);
    assert!(unfolded <= 8 << 20, "{unfolded} bytes not in the file");
    let view = snapshot.collection::<Document>("c").expect("a view");
    for id in 0..500 {
        assert_eq!(view.get(id).expect("gets"), Some(document(id, 0)), "the snapshot shows its moment");
    }
    assert_eq!(view.scan().count(), 500);
    drop(snapshot);
    let after = settle();
    assert_eq!((after.pinned_file_bytes, after.pinned_memory_bytes, after.states_kept), (0, 0, 1));
    println!(
        "afterwards: file {}, {} in use (before {}), {} are holes",
        after.file_bytes, after.used_bytes, before.used_bytes, after.punched_bytes
    );
    assert!(after.punched_bytes > 0, "{} bytes went back to the disk", after.punched_bytes);
    assert!(after.used_bytes <= 2 * before.used_bytes + (256 << 10), "{} bytes are in use", after.used_bytes);
    // Nothing stays lost: the next updates fit in what came back.
    for n in 50_001..=60_000 {
        c.put(&document(rng.below(500) as i64, n)).expect("puts");
        if n % 500 == 0 {
            nyro::testing::step(&db).expect("a step");
        }
    }
    let later = db.stats().expect("stats").file_bytes;
    assert!(later <= after.file_bytes.max(before.file_bytes + (4 << 20)), "the file grew to {later}");
    let compacted = db.compact_with(Control::new()).expect("compacts").bytes_after;
    assert!(compacted <= 2 * before.file_bytes + (1 << 20), "compaction leaves {compacted} bytes");
}
