//! Mistakes of a caller and failures of the machine: a clear error, and nothing changed.

use crate::common::{item, quick, Db, Place};
use crate::files::{self, PAGE};
use nyro::testing::{self, Persist, SimDisk, SimEnv, SimError, SimOptions, TestConfig};
use nyro::{doc, Database, Document, Durability, Error, ErrorKind, Id, InsertManyOptions, Options, RawDocument, Value};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

// ---- files that are not ours -------------------------------------------------------------------------

#[test]
fn a_file_that_is_not_ours_is_refused_before_a_byte_of_it_is_written() {
    let zip = [&b"PK\x03\x04"[..], &[7; 20_000]].concat();
    let almost = [&b"NyroDB\x1a\r"[..], &[0; 9000]].concat();
    let others: [Vec<u8>; 7] = [
        b"x".to_vec(),
        b"SQLite format 3\0".to_vec(),
        vec![0; PAGE],
        vec![0; 2 * PAGE],
        vec![0xff; 100_000],
        zip,
        almost,
    ];
    for other in others {
        let place = Place::new();
        std::fs::write(place.path(), &other).expect("writes");
        let refused = Database::open_with(place.path(), quick()).expect_err("not ours");
        assert!(matches!(&refused, Error::NotADatabase { path, .. } if path.ends_with("test.nyro")), "{refused}");
        assert_eq!(refused.kind(), ErrorKind::Corrupt);
        assert!(place.files() == [("test.nyro".to_owned(), other)], "something was written");
    }
    let place = Place::new();
    std::fs::create_dir(place.path()).expect("a directory");
    assert_eq!(Database::open_with(place.path(), quick()).expect_err("a directory").code(), 501);
}

#[test]
fn a_file_of_a_newer_version_is_refused_by_name() {
    let mut newer = files::clean();
    for page in 0..2 {
        newer.data()[page * PAGE + 8] = 2;
        newer.reseal_meta(page);
    }
    let disk = newer.on_disk();
    let refused = files::open(&disk).expect_err("newer");
    assert!(matches!(refused, Error::UnknownFormat { version: 2, known: 1, .. }), "{refused}");
    assert!(disk.read_file(files::NAME) == newer.bytes());
}

#[test]
fn damage_is_reported_with_its_page_and_what_was_expected() {
    let files = files::clean();
    let mut reported = 0;
    for page in (2..files.pages()).filter(|&page| files.is_unit(page)) {
        let mut damaged = files.clone();
        damaged.data()[page * PAGE + 100] ^= 4;
        let db = files::open(&damaged.on_disk()).expect("opens: pages are read when they are needed");
        match db.verify() {
            Ok(_) => {}
            Err(Error::Corrupt(damage)) => {
                assert_eq!(damage.page, page as u64, "{damage:?}");
                assert!(damage.expected != damage.got && (damage.offset as usize) < PAGE, "{damage:?}");
                reported += 1;
            }
            Err(e) => panic!("page {page}: {e}"),
        }
    }
    assert!(reported > 30);
}

#[test]
fn a_file_without_its_log_is_refused_and_opens_when_the_log_is_back() {
    let files = files::unclean();
    let mut alone = files.clone();
    alone.0.retain(|(name, _)| name == files::NAME);
    let disk = alone.on_disk();
    let refused = files::open(&disk).expect_err("no log");
    assert!(matches!(refused, Error::LogMissing { .. }), "{refused}");
    assert!(disk.read_file(files::NAME) == files.bytes(), "nothing was written");
    assert!(files::open(&files.on_disk()).expect("opens").verify().is_ok());
    // The log of another file.
    let mut foreign = alone;
    let other = files::unclean();
    let log = other.segments().into_iter().map(|i| (other.0[i].0.clone(), vec![b'N'; other.0[i].1.len()]));
    foreign.0.extend(log);
    assert_eq!(files::open(&foreign.on_disk()).expect_err("foreign log").code(), 404);
}

#[test]
fn opening_and_closing_without_a_write_changes_no_byte() {
    let place = Place::new();
    let db = place.open();
    for n in 0..1000 {
        db.docs("c").put(&item(n, n)).expect("puts");
    }
    db.close().expect("closes");
    let before = place.files();
    for durability in [Durability::Sync, Durability::Manual, Durability::Interval(1)] {
        let db = place.open_with(Options { durability, ..quick() });
        assert_eq!(db.docs("c").scan().expect("scans").count(), 1000);
        let snapshot = db.snapshot().expect("snapshot");
        assert!(!db.docs("c").delete("none").expect("deletes nothing"));
        db.write(|tx| tx.collection::<Document>("c").delete("none")).expect("changes nothing");
        assert!(db.write(|tx| tx.collection("c").put(&item(1, 0)).and(Err::<(), _>(Error::RolledBack))).is_err());
        db.sync().expect("syncs");
        db.checkpoint().expect("nothing to do");
        drop(snapshot);
        drop(db);
        assert!(place.files() == before, "{durability:?}");
    }
}

// ---- documents, ids, names ---------------------------------------------------------------------------

/// Runs what must fail, and checks that the error has this code and that nothing changed.
fn refused(db: &Db, code: u32, call: &str, done: nyro::Result<()>) {
    let before = db.stats().expect("stats").commit;
    let error = done.expect_err(call);
    assert_eq!(error.code(), code, "{call}: {error}");
    assert_eq!(db.docs("c").get(1).expect("gets"), Some(item(1, 1)), "{call}");
    assert_eq!(db.docs("c").count_documents().expect("counts"), 1, "{call}");
    assert_eq!(db.collection_names().expect("names"), ["c"], "{call}");
    assert_eq!(db.stats().expect("stats").commit, before);
}

fn one_document() -> Db {
    let db = Db::memory();
    db.docs("c").put(&item(1, 1)).expect("puts");
    db
}

#[test]
fn malformed_messagepack_is_refused_with_the_place() {
    let malformed: [(&[u8], usize); 10] = [
        (b"", 0),
        (b"\xc1", 0),
        (b"\x93\x01\x02\x03", 0),
        (b"\x81\xa1a", 3),
        (b"\x81\xa1a\xc1", 3),
        (b"\x81\x01\x02", 1),
        (b"\x81\xa2\xff\xfe\x01", 1),
        (b"\x82\xa1a\x01\xa1a\x02", 4),
        (b"\x80\x00", 1),
        (b"\xdf\xff\xff\xff\xff", 0),
    ];
    for (bytes, offset) in malformed {
        match RawDocument::from_bytes(bytes) {
            Err(Error::MalformedDocument { offset: at, reason }) => {
                assert!(at.abs_diff(offset) <= 5 && !reason.is_empty(), "{bytes:02x?}: byte {at}, {reason}");
            }
            other => panic!("{bytes:02x?}: {other:?}"),
        }
    }
}

#[test]
fn a_document_over_the_limit_is_refused_and_one_at_it_is_not() {
    let place = Place::new();
    let db = place.open_with(Options { max_document_bytes: 1000, ..quick() });
    db.docs("c").put(&item(1, 1)).expect("puts");
    let of = |bytes: usize| {
        let empty = doc! { "_id": 2, "text": "x".repeat(300) }.to_msgpack().expect("encodes").len() - 300;
        doc! { "_id": 2, "text": "x".repeat(bytes - empty) }
    };
    assert_eq!(of(1000).to_msgpack().expect("encodes").len(), 1000);
    let over = of(1001);
    refused(&db, 202, "put", db.docs("c").put(&over).map(|_| ()));
    refused(&db, 202, "insert_one", db.docs("c").insert_one(&over).map(|_| ()));
    refused(&db, 202, "replace_one", db.docs("c").replace_one(2, &over).map(|_| ()));
    refused(&db, 202, "in a transaction", db.write(|tx| tx.collection("c").put(&over).map(|_| ())));
    let atomic = InsertManyOptions { atomic: true, ..Default::default() };
    refused(&db, 202, "insert_many", db.docs("c").insert_many_with([&item(5, 5), &over], atomic).map(|_| ()));
    let error = db.docs("c").put(&over).expect_err("over the limit");
    assert!(matches!(error, Error::DocumentTooLarge { bytes: 1001, limit: 1000 }), "{error}");
    db.docs("c").put(&of(1000)).expect("at the limit");
}

#[test]
fn a_document_of_more_than_100_levels_is_refused_and_one_of_100_is_not() {
    let db = one_document();
    let nested = |levels: usize| {
        let mut value = Value::Int(1);
        for _ in 1..levels {
            value = Value::Array(vec![value]);
        }
        doc! { "_id": 2, "deep": value }
    };
    refused(&db, 203, "put", db.docs("c").put(&nested(101)).map(|_| ()));
    db.docs("c").put(&nested(100)).expect("100 levels");
    assert_eq!(db.docs("c").get(2).expect("gets"), Some(nested(100)));
    db.docs("c").delete(2).expect("deletes");
    let raw = [&b"\x82\xa3_id\x02\xa1d"[..], &vec![0x91; 1_000_000], &[0x01]].concat();
    refused(&db, 203, "raw", RawDocument::from_bytes(&raw).and_then(|raw| db.docs("c").put_raw(raw)).map(|_| ()));
}

#[test]
fn an_id_of_a_wrong_type_or_too_long_is_refused() {
    let db = one_document();
    let wrong: Vec<Value> = vec![
        Value::Null,
        true.into(),
        1.0.into(),
        f64::NAN.into(),
        Value::Array(vec![1.into()]),
        doc! { "x": 1 }.into(),
        nyro::Timestamp::from_millis(5).into(),
        Value::Ext(5, vec![1]),
        "x".repeat(1025).into(),
        Value::Binary(vec![1; 1025]),
    ];
    for id in wrong {
        let document = doc! { "x": 1, "_id": id.clone() };
        let call = format!("{id:?}");
        refused(&db, 204, &call, db.docs("c").put(&document).map(|_| ()));
        refused(&db, 204, &call, db.docs("c").insert_one(&document).map(|_| ()));
        refused(&db, 204, &call, db.docs("new").put(&document).map(|_| ()));
        refused(&db, 204, &call, db.write(|tx| tx.collection("c").insert_one(&document).map(|_| ())));
    }
    for id in [Id::from("x".repeat(1025)), Id::from(vec![1; 1025])] {
        refused(&db, 204, "get", db.docs("c").get(&id).map(|_| ()));
        refused(&db, 204, "get_many", db.docs("c").get_many([&id]).map(|_| ()));
        refused(&db, 204, "delete", db.docs("c").delete(&id).map(|_| ()));
        refused(&db, 204, "replace_one", db.docs("c").replace_one(&id, &doc! { "x": 1 }).map(|_| ()));
    }
}

#[test]
fn a_bad_name_is_refused_by_every_call() {
    let db = one_document();
    for name in ["", "a\0b", "a$b", "$", "system.", "system.users", &"x".repeat(256), &"x".repeat(100_000)] {
        let c = db.docs(name);
        let snapshot = db.snapshot().expect("snapshot");
        let calls: Vec<(&str, nyro::Result<()>)> = vec![
            ("get", c.get(1).map(|_| ())),
            ("contains", c.contains(1).map(|_| ())),
            ("count", c.count_documents().map(|_| ())),
            ("get_many", c.get_many([1]).map(|_| ())),
            ("scan", c.scan().map(|_| ())),
            ("put", c.put(&item(1, 1)).map(|_| ())),
            ("insert_one", c.insert_one(&item(1, 1)).map(|_| ())),
            ("insert_many", c.insert_many([&item(1, 1)]).map(|_| ())),
            ("replace_one", c.replace_one(1, &item(1, 1)).map(|_| ())),
            ("delete", c.delete(1).map(|_| ())),
            ("create", db.create_collection(name)),
            ("drop", db.drop_collection(name).map(|_| ())),
            ("rename from", db.rename_collection(name, "d")),
            ("rename to", db.rename_collection("c", name)),
            ("snapshot", snapshot.collection::<Document>(name).map(|_| ())),
            ("tx.get", db.write(|tx| tx.collection::<Document>(name).get(1).map(|_| ()))),
            ("tx.contains", db.write(|tx| tx.collection::<Document>(name).contains(1).map(|_| ()))),
            ("tx.put", db.write(|tx| tx.collection(name).put(&item(1, 1)).map(|_| ()))),
            ("tx.delete", db.write(|tx| tx.collection::<Document>(name).delete(1).map(|_| ()))),
            ("tx.drop", db.write(|tx| tx.drop_collection(name).map(|_| ()))),
        ];
        for (call, done) in calls {
            refused(&db, 102, call, done);
        }
    }
    db.create_collection(&"é".repeat(127)).expect("254 bytes");
    db.create_collection("systems.a b/c").expect("anything else");
}

#[test]
fn a_value_that_is_no_document_is_refused() {
    let db = one_document();
    refused(&db, 201, "a number", db.collection::<i32>("c").put(&5).map(|_| ()));
    let keys = BTreeMap::from([(5, 5)]);
    let done = db.collection::<BTreeMap<i32, i32>>("c").put(&keys).map(|_| ());
    assert!([201, 206].contains(&done.as_ref().expect_err("keys are no strings").code()), "{done:?}");
}

// ---- the machine -------------------------------------------------------------------------------------

fn sim_config(durability: Durability) -> TestConfig {
    let options =
        Options { durability, log_max_bytes: 32 << 10, read_mode: nyro::testing::read_mode(), ..Options::default() };
    TestConfig { options, ..TestConfig::default() }
}

fn open_sim(disk: &SimDisk, durability: Durability) -> nyro::Result<Database> {
    testing::open(Arc::new(disk.clone()), Arc::new(SimEnv::new(3)), "a", &sim_config(durability))
}

type Contents = BTreeMap<Id, Document>;

fn contents(db: &Database) -> Contents {
    let documents = db.collection::<Document>("c").scan().expect("scans");
    documents.map(|d| d.expect("a document")).map(|d| (d.id().expect("an id"), d)).collect()
}

/// Commits until one fails; what was acknowledged, and what the failing one would have made of it.
fn commit_until_failure(db: &Database) -> (Contents, Option<(Contents, Error)>) {
    let mut acknowledged = Contents::new();
    for n in 0..60_u64 {
        let mut next = acknowledged.clone();
        let done = db.write(|tx| {
            let c = tx.collection::<Document>("c");
            for id in [n % 7, n] {
                let document = doc! { "_id": id, "n": n, "text": "x".repeat((n * 37 % 900) as usize) };
                c.put(&document)?;
                next.insert(Id::from(id), document);
            }
            if c.delete(n / 2)? {
                next.remove(&Id::from(n / 2));
            }
            Ok(())
        });
        if let Err(e) = done {
            return (acknowledged, Some((next, e)));
        }
        acknowledged = next;
        if n % 20 == 19 {
            let _ = testing::step(db);
        }
    }
    (acknowledged, None)
}

#[test]
fn on_a_full_disk_a_commit_fails_changes_nothing_and_works_again_when_there_is_space() {
    for durability in [Durability::Sync, Durability::Manual] {
        let mut failures = 0;
        for operation in 1.. {
            let disk = SimDisk::new(SimOptions::default());
            disk.fail_at(operation, SimError::Enospc, Persist::FromThenOn);
            let db = match open_sim(&disk, durability) {
                Ok(db) => Db::new(db),
                Err(e) => {
                    assert_eq!(e.code(), 502, "{e}");
                    disk.clear_faults();
                    drop(Db::new(open_sim(&disk, durability).expect("a half-made file is made anew")));
                    continue;
                }
            };
            let (acknowledged, failed) = commit_until_failure(&db);
            assert_eq!(contents(&db), acknowledged, "operation {operation}");
            if disk.operations() < operation {
                break;
            }
            if let Some((_, error)) = failed {
                assert!([502, 602].contains(&error.code()), "operation {operation}: {error}");
                failures += 1;
            }
            disk.clear_faults();
            db.docs("c").put(&item("after", 1)).expect("space is free again");
            assert_eq!(contents(&db).len(), acknowledged.len() + 1);
        }
        assert!(failures > 0, "{durability:?}");
    }
}

#[test]
fn after_a_failed_operation_reads_go_on_and_reopening_shows_the_commit_wholly_or_not_at_all() {
    let mut seen = BTreeMap::new();
    for operation in 1.. {
        let disk = SimDisk::new(SimOptions::default());
        let db = open_sim(&disk, Durability::Sync).expect("opens");
        let first = disk.operations();
        disk.fail_at(first + operation, SimError::Eio, Persist::Once);
        let (acknowledged, failed) = commit_until_failure(&db);
        assert_eq!(contents(&db), acknowledged, "reads go on, with the state before");
        let Some((next, error)) = failed else {
            if disk.operations() < first + operation {
                break;
            }
            continue;
        };
        *seen.entry(error.code()).or_insert(0) += 1;
        match error {
            Error::OutcomeUnknown { durable, .. } | Error::WritesStopped { durable, .. } => {
                assert!(durable <= db.stats().expect("stats").commit);
                let again = db.collection::<Document>("c").put(&item("again", 1)).expect_err("writing has stopped");
                assert!([503, 504].contains(&again.code()), "{again}");
                *seen.entry(again.code()).or_insert(0) += 1;
                let (checkpoint, sync) = (db.checkpoint(), db.sync());
                assert!(checkpoint.is_err(), "operation {operation}");
                let stats = db.stats().expect("stats");
                assert!(sync.is_err() || stats.commit <= stats.durable_commit, "operation {operation}: {error}");
                assert_eq!(contents(&db), acknowledged);
                let _ = db.close();
            }
            Error::Io { .. } => {
                db.collection::<Document>("c").put(&item("again", 1)).expect("nothing was changed; the next one works");
                db.collection::<Document>("c").delete("again").expect("deletes");
                testing::abandon(db);
            }
            other => panic!("operation {operation}: {other}"),
        }
        let db = Db::new(open_sim(&disk.process_crash_image(), Durability::Sync).expect("reopens"));
        let found = contents(&db);
        assert!(found == acknowledged || found == next, "operation {operation}: a part of a commit");
        db.docs("c").put(&item("again", 1)).expect("writes go on after reopening");
    }
    println!("{seen:?}");
    assert!(seen.contains_key(&503) && seen.contains_key(&504), "{seen:?}");
}

#[test]
fn when_no_checkpoint_succeeds_commits_are_refused_at_twice_the_limit() {
    let disk = SimDisk::new(SimOptions { file_capacity: 64 << 10, seed: 0 });
    let db = Db::new(open_sim(&disk, Durability::Manual).expect("opens"));
    let mut acknowledged = 0;
    let full = loop {
        match db.docs("c").put(&doc! { "_id": acknowledged, "text": "x".repeat(1000) }) {
            Ok(_) => acknowledged += 1,
            Err(e) => break e,
        }
        assert!(acknowledged < 1000, "a file of 64 KiB does not hold this");
    };
    assert!(matches!(full, Error::Full { log_bytes, limit, .. } if log_bytes >= 2 * limit), "{full}");
    assert_eq!(full.kind(), ErrorKind::Full);
    assert_eq!(db.docs("c").count_documents().expect("counts"), acknowledged);
    assert!(db.stats().expect("stats").checkpoints_failed > 0);
    db.verify().expect("verifies");
    testing::abandon(db.handle());
}

#[test]
fn in_a_directory_that_takes_no_files_a_commit_fails_and_changes_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.open().docs("c").put(&item(1, 1)).expect("puts");
    let before = place.files();
    let allow = |mode| std::fs::set_permissions(place.dir(), std::fs::Permissions::from_mode(mode)).expect("sets");
    allow(0o555);
    let writable = std::fs::write(place.dir().join("probe"), b"").is_ok();
    if writable {
        // The superuser may write everywhere; the simulated disk has the same test without permissions.
        std::fs::remove_file(place.dir().join("probe")).expect("removes");
    } else {
        let db = place.open();
        assert_eq!(db.docs("c").put(&item(2, 2)).expect_err("no log can be made").code(), 501);
        assert_eq!(db.docs("c").count_documents().expect("counts"), 1);
        drop(db);
    }
    allow(0o755);
    assert!(place.files() == before);
}

// ---- other processes ---------------------------------------------------------------------------------

const HOLD: &str = "NYRO_TEST_HOLD";

/// Not a test of its own: the second process of the next one. It holds the file until its input ends.
#[test]
fn child_that_holds_a_database() {
    let Ok(path) = std::env::var(HOLD) else { return };
    let db = Database::open_with(path, quick()).expect("opens");
    db.collection::<Document>("c").put(&item(1, 1)).expect("puts");
    println!("\nholding");
    let _ = std::io::stdin().lines().next();
    nyro::testing::abandon(db);
}

#[test]
fn a_file_that_another_process_has_open_is_refused_with_its_process_and_user() {
    let place = Place::new();
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["child_that_holds_a_database", "--nocapture", "--test-threads=1"])
        .env(HOLD, place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert!(lines.by_ref().any(|line| line.expect("a line") == "holding"));
    let refused = Database::open_with(place.path(), quick()).expect_err("locked");
    let Error::Locked { path, pid, user } = &refused else { panic!("{refused}") };
    assert!(path.ends_with("test.nyro"));
    assert_eq!(*pid, child.id(), "{refused}");
    assert!(!user.is_empty(), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Busy);
    drop(child.stdin.take());
    assert!(child.wait().expect("ends").success());
    assert_eq!(place.open().docs("c").count_documents().expect("counts"), 1, "and recovered after it");
}

// ---- the numbers -------------------------------------------------------------------------------------

/// These numbers are the same in every language and never change. 901 is for our own mistakes; every other one that
/// something gives already is reached by a test.
#[test]
fn the_numbers_of_errors_are_stable() {
    let io = || Arc::new(std::io::Error::other("x"));
    let name = || "x".to_owned();
    let damage = nyro::Damage { what: "x", page: 1, offset: 2, expected: 3, got: 4, run: None };
    let table = [
        (Error::InvalidArgument(name()), 101, ErrorKind::InvalidArgument),
        (Error::InvalidName(name()), 102, ErrorKind::InvalidArgument),
        (Error::Closed, 103, ErrorKind::Closed),
        (Error::NestedTransaction, 104, ErrorKind::InvalidArgument),
        (Error::WrongThread, 111, ErrorKind::InvalidArgument),
        (Error::ReadOnly, 105, ErrorKind::InvalidArgument),
        (Error::OptionsDiffer(name()), 106, ErrorKind::InvalidArgument),
        (Error::RolledBack, 107, ErrorKind::InvalidArgument),
        (Error::MalformedDocument { offset: 1, reason: "x" }, 201, ErrorKind::InvalidDocument),
        (Error::DocumentTooLarge { bytes: 2, limit: 1 }, 202, ErrorKind::InvalidDocument),
        (Error::DocumentTooDeep { limit: 100 }, 203, ErrorKind::InvalidDocument),
        (Error::InvalidId(name()), 204, ErrorKind::InvalidDocument),
        (Error::DuplicateId { collection: name(), id: name() }, 205, ErrorKind::Exists),
        (Error::Serialization(name()), 206, ErrorKind::InvalidDocument),
        (Error::CollectionNotFound(name()), 207, ErrorKind::NotFound),
        (Error::CollectionExists(name()), 208, ErrorKind::Exists),
        (Error::IdsExhausted(name()), 209, ErrorKind::Full),
        (Error::BulkWrite { inserted: 1, failures: vec![(0, Error::Closed)] }, 210, ErrorKind::Closed),
        (Error::Locked { path: name(), pid: 1, user: name() }, 301, ErrorKind::Busy),
        (Error::WriterTimeout { waited_ms: 1 }, 302, ErrorKind::Busy),
        (Error::NotADatabase { path: name(), reason: name() }, 401, ErrorKind::Corrupt),
        (Error::UnknownFormat { version: 2, known: 1, features: 0 }, 402, ErrorKind::Unsupported),
        (Error::Corrupt(damage), 403, ErrorKind::Corrupt),
        (Error::LogMissing { name: name(), reason: name() }, 404, ErrorKind::Corrupt),
        (Error::NoSuchFile(name()), 405, ErrorKind::NotFound),
        (Error::Io { doing: "x", source: io() }, 501, ErrorKind::Io),
        (Error::DiskFull { doing: "x" }, 502, ErrorKind::Full),
        (Error::OutcomeUnknown { durable: 1, source: io() }, 503, ErrorKind::Io),
        (Error::WritesStopped { durable: 1, source: io() }, 504, ErrorKind::Io),
        (Error::TransactionTooLarge { bytes: 2, limit: 1 }, 601, ErrorKind::Full),
        (Error::Full { log_bytes: 2, limit: 1, reason: name() }, 602, ErrorKind::Full),
        (Error::Internal(name()), 901, ErrorKind::Internal),
    ];
    for (error, code, kind) in &table {
        assert_eq!((error.code(), error.kind()), (*code, *kind), "{error:?}");
        assert!(error.to_string().len() > 10, "{error:?}");
        let caused = matches!(code, 501 | 503 | 504);
        assert_eq!(std::error::Error::source(error).is_some(), caused, "{error:?}");
    }
}
