//! Ways to open: for reading only, on a network file system, warming up.

use crate::common::{ids, item, quick, Db, Place};
use crate::files;
use crate::sealed::SealedDisk;
use nyro::testing::{self, HookedDisk, OsDisk, SimDisk, SimOptions, SystemEnv, TestConfig};
use nyro::{
    doc, CancelToken, Control, Database, Document, Durability, Error, ErrorKind, Event, Options, ReadMode, Result,
};
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

fn reading(read_mode: ReadMode) -> Options {
    Options { read_only: true, read_mode, ..quick() }
}

const BOTH: [ReadMode; 2] = [ReadMode::Mapped, ReadMode::Pread];

/// Documents of all kinds: `c` with 1 to 500 less every third, `large`, and `gone`, which was dropped.
fn fill(db: &Database) {
    let c = db.collection::<Document>("c");
    c.insert_many(&(1..=500).map(|n| item(n, n)).collect::<Vec<_>>()).expect("inserts");
    db.collection::<Document>("gone").put(&item(1, 1)).expect("puts");
    db.checkpoint().expect("a checkpoint");
    for n in (3..=500).step_by(3) {
        assert!(c.delete(n).expect("deletes"));
    }
    let text = "x".repeat(200_000);
    db.collection("large").put(&doc! { "_id": "l", "text": text }).expect("puts");
    db.drop_collection("gone").expect("drops");
}

fn check(db: &Database) {
    assert_eq!(db.collection_names().expect("names"), ["c", "large"]);
    let c = db.collection::<Document>("c");
    assert_eq!(c.count_documents().expect("counts"), 334);
    assert_eq!(ids(c.scan().expect("scans")).len(), 334);
    assert_eq!(c.get(500).expect("gets"), Some(item(500, 500)));
    assert_eq!(c.get(300).expect("gets"), None);
    let large = db.collection::<Document>("large").get("l").expect("gets").expect("is there");
    assert_eq!(large.get("text").and_then(|text| text.as_str()).map(str::len), Some(200_000));
    assert_eq!(db.verify().expect("verifies").documents, 335);
}

/// Every call that writes.
fn refused_calls(db: &Database) -> Vec<(&'static str, Result<()>)> {
    let c = db.collection::<Document>("c");
    vec![
        ("put", c.put(&item(1, 2)).map(drop)),
        ("insert_one", c.insert_one(&item(1000, 2)).map(drop)),
        ("insert_many", c.insert_many([&item(1000, 2)]).map(drop)),
        ("replace_one", c.replace_one(1, &item(1, 2)).map(drop)),
        ("delete", c.delete(1).map(drop)),
        ("write", db.write(|tx| tx.collection("c").put(&item(1, 2)).map(drop))),
        ("an empty write", db.write(|_| Ok(()))),
        ("write_async", db.write_async(|_| Ok(())).map(drop)),
        ("create_collection", db.create_collection("new")),
        ("rename_collection", db.rename_collection("c", "d")),
        ("drop_collection", db.drop_collection("c").map(drop)),
        ("checkpoint", db.checkpoint()),
        ("sync", db.sync()),
    ]
}

fn refuses_to_write(db: &Database) {
    for (call, result) in refused_calls(db) {
        let error = result.expect_err(call);
        assert!(matches!(error, Error::ReadOnly) && error.code() == 105, "{call}: {error}");
    }
}

#[test]
fn a_file_opened_for_reading_only_shows_everything_and_refuses_every_write() {
    for read_mode in BOTH {
        let place = Place::new();
        let db = place.open();
        fill(&db);
        drop(db);
        let before = place.files();
        let db = Database::open_with(place.path(), reading(read_mode)).expect("opens");
        check(&db);
        refuses_to_write(&db);
        let snapshot = db.snapshot().expect("a snapshot");
        assert_eq!(snapshot.collection_names().expect("names").len(), 2);
        let stats = db.stats().expect("stats");
        assert_eq!((stats.replayed_commits, stats.memory_bytes, stats.delta_entries), (0, 0, 0));
        let other = Options { read_only: false, ..reading(read_mode) };
        assert!(matches!(Database::open_with(place.path(), other), Err(Error::OptionsDiffer(_))));
        let again = Database::open_with(place.path(), reading(read_mode)).expect("the same options");
        check(&again);
        db.close().expect("closes");
        check(&again);
        drop((again, snapshot));
        assert!(place.files() == before, "{read_mode:?}: something was written");
        check(&place.open());
    }
}

#[test]
fn a_file_that_was_not_closed_is_replayed_in_memory_and_left_as_it_is() {
    for read_mode in BOTH {
        let place = Place::new();
        let db = place.open();
        fill(&db);
        let commit = db.stats().expect("stats").commit;
        db.abandon();
        let before = place.files();
        assert!(before.len() > 1, "there is a log");
        for _ in 0..2 {
            let db = Database::open_with(place.path(), reading(read_mode)).expect("opens");
            check(&db);
            refuses_to_write(&db);
            let stats = db.stats().expect("stats");
            assert!(stats.replayed_commits > 160 && stats.delta_entries > 160, "{stats:?}");
            assert_eq!(stats.commit, commit, "nothing is given out, so no number moves ahead");
            assert!(stats.memory_bytes > 200_000 && stats.log_bytes > 200_000, "{stats:?}");
            db.close().expect("closes");
            assert!(place.files() == before, "{read_mode:?}: something was written");
        }
        let db = place.open();
        check(&db);
        assert!(db.stats().expect("stats").replayed_commits > 160, "the log was still there");
    }
}

#[test]
fn reading_only_asks_the_disk_for_nothing_but_to_read() {
    for (files, read_mode) in [files::clean(), files::unclean()].iter().flat_map(|files| BOTH.map(|mode| (files, mode)))
    {
        for damaged_meta in [None, Some(0), Some(1)] {
            let mut files = files.clone();
            if let Some(page) = damaged_meta {
                files.data()[page * files::PAGE + 700] ^= 1;
            }
            let simulated = files.on_disk();
            let (operations, digest) = (simulated.operations(), simulated.digest());
            let disk = SealedDisk::new(simulated.clone());
            let env = Arc::new(SystemEnv::new());
            let config = TestConfig { options: reading(read_mode), ..files::config() };
            let db = testing::open(Arc::new(disk.clone()), env, files::NAME, &config).expect("opens");
            let report = db.verify().expect("verifies");
            assert!(report.documents > 2000, "{report:?}");
            refuses_to_write(&db);
            assert!(db.warm_up().expect("warms up").complete);
            db.close().expect("closes");
            drop(db);
            assert_eq!(disk.attempts(), 0, "{read_mode:?}, {damaged_meta:?}");
            assert!(simulated.operations() == operations && simulated.digest() == digest);
        }
    }
}

#[test]
fn a_read_only_file_in_a_read_only_directory_opens_for_reading() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let db = place.open();
    fill(&db);
    db.abandon();
    let set = |file: u32, directory: u32| {
        for (name, _) in place.files() {
            let path = place.dir().join(name);
            std::fs::set_permissions(path, PermissionsExt::from_mode(file)).expect("permissions");
        }
        std::fs::set_permissions(place.dir(), PermissionsExt::from_mode(directory)).expect("permissions");
    };
    set(0o444, 0o555);
    for read_mode in BOTH {
        let db = Database::open_with(place.path(), reading(read_mode)).expect("opens");
        check(&db);
        db.close().expect("closes");
    }
    set(0o644, 0o755);
    check(&place.open());
}

#[test]
fn a_missing_file_is_never_made_by_who_only_reads_and_memory_is_not_for_reading_only() {
    let place = Place::new();
    let missing = Database::open_with(place.path(), reading(ReadMode::Mapped)).expect_err("missing");
    assert!(matches!(&missing, Error::NoSuchFile(path) if path.ends_with("test.nyro")), "{missing}");
    assert!(place.files().is_empty());
    for bytes in [0, 10, 5000, 50_000] {
        std::fs::write(place.path(), vec![7; bytes]).expect("writes");
        let refused = Database::open_with(place.path(), reading(ReadMode::Mapped)).expect_err("not ours");
        assert!(matches!(refused, Error::NotADatabase { .. }), "{refused}");
        assert_eq!(place.files()[0].1, vec![7; bytes]);
    }
    let memory = Database::open_with(":memory:", reading(ReadMode::Mapped)).expect_err("memory");
    assert!(matches!(memory, Error::InvalidArgument(_)), "{memory}");
    let without_mapping = Options { read_mode: ReadMode::Pread, ..Options::default() };
    let db = Database::open_with(":memory:", without_mapping).expect("memory has no use for it, and does no harm");
    fill(&db);
    db.checkpoint().expect("a checkpoint");
    check(&db);
}

#[test]
fn a_newer_file_is_refused_by_name_by_who_only_reads_too() {
    for (at, value) in [(8, 2), (16, 0x80)] {
        let mut newer = files::clean();
        for page in 0..2 {
            newer.data()[page * files::PAGE + at] = value;
            newer.reseal_meta(page);
        }
        let disk = newer.on_disk();
        for options in BOTH.map(reading).into_iter().chain([quick()]) {
            let refused = files::open_with(&disk, options).expect_err("newer");
            assert_eq!(refused.code(), 402, "byte {at}: {refused}");
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
        }
        assert_eq!(disk.operations(), 0);
    }
}

// ---- other openings ----------------------------------------------------------------------------------

/// The variable that makes `child_that_reads` one, and names the file; its second half says how to open it.
const READ: &str = "NYRO_TEST_READ";

#[test]
fn child_that_reads() {
    let Ok(path) = std::env::var(READ) else { return };
    let read_only = std::env::var("NYRO_TEST_READ_ONLY").is_ok();
    let db = Database::open_with(path, Options { read_only, ..quick() }).expect("opens");
    println!("\nopen {}", db.collection::<Document>("c").count_documents().expect("counts"));
    let _ = std::io::stdin().lines().next();
    nyro::testing::abandon(db);
}

/// A process that has the file open, and what it says.
struct Other {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

fn other(place: &Place, read_only: bool) -> Other {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["child_that_reads", "--nocapture", "--test-threads=1"]).env(READ, place.path());
    if read_only {
        command.env("NYRO_TEST_READ_ONLY", "1");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert!(lines.by_ref().any(|line| line.expect("a line") == "open 334"));
    Other { process: child, lines }
}

fn end(mut other: Other) {
    drop(other.process.stdin.take());
    other.lines.for_each(drop);
    assert!(other.process.wait().expect("ends").success());
}

#[test]
fn readers_of_several_processes_share_a_file_and_a_writer_and_they_exclude_each_other() {
    let place = Place::new();
    let db = place.open();
    fill(&db);
    drop(db);
    let (first, second) = (other(&place, true), other(&place, true));
    let db = Database::open_with(place.path(), reading(ReadMode::Mapped)).expect("a third reader");
    check(&db);
    db.close().expect("closes");
    let refused = Database::open_with(place.path(), quick()).expect_err("they read");
    let Error::Locked { pid, .. } = &refused else { panic!("{refused}") };
    assert!([first.process.id(), second.process.id()].contains(pid), "{refused}");
    end(first);
    assert!(matches!(Database::open_with(place.path(), quick()), Err(Error::Locked { .. })), "one still reads");
    end(second);
    let writer = other(&place, false);
    let refused = Database::open_with(place.path(), reading(ReadMode::Mapped)).expect_err("it writes");
    assert!(matches!(&refused, Error::Locked { pid, .. } if *pid == writer.process.id()), "{refused}");
    end(writer);
    check(&place.open());
}

// ---- damage ------------------------------------------------------------------------------------------

#[test]
fn a_damaged_meta_page_is_told_to_nobody_and_healed_by_the_next_writer() {
    let place = Place::new();
    let db = place.open();
    fill(&db);
    drop(db);
    let mut bytes = std::fs::read(place.path()).expect("bytes");
    bytes[1000] ^= 1;
    std::fs::write(place.path(), &bytes).expect("writes");
    for read_mode in BOTH {
        let db = Database::open_with(place.path(), reading(read_mode)).expect("opens");
        check(&db);
        drop(db);
        assert!(std::fs::read(place.path()).expect("bytes") == bytes);
    }
    check(&place.open());
    let healed = std::fs::read(place.path()).expect("bytes");
    assert!(healed[..4096] == healed[4096..8192]);
}

// ---- network file systems ------------------------------------------------------------------------------

#[test]
fn a_network_file_system_is_refused_before_anything_is_opened_unless_allowed() {
    let simulated = SimDisk::new(SimOptions::default());
    let disk = || Arc::new(HookedDisk::new(Arc::new(simulated.clone()), |_| Ok(())).on_network_file_system("NFS"));
    let open = |options: Options| {
        testing::open(disk(), Arc::new(SystemEnv::new()), "a", &TestConfig { options, ..TestConfig::default() })
    };
    let allowed = Options { allow_network_file_system: true, ..quick() };
    for exists in [false, true] {
        if exists {
            let db = open(allowed.clone()).expect("allowed");
            fill(&db);
            db.close().expect("closes");
        }
        let (operations, names) = (simulated.operations(), simulated.file_names());
        for options in [quick(), reading(ReadMode::Mapped), reading(ReadMode::Pread)] {
            let refused = open(options).expect_err("a network");
            assert!(matches!(&refused, Error::NetworkFileSystem { file_system, .. } if file_system == "NFS"));
            assert_eq!((refused.code(), refused.kind()), (406, ErrorKind::Unsupported));
            assert!(refused.to_string().contains("allow_network_file_system"), "{refused}");
        }
        assert!(simulated.operations() == operations && simulated.file_names() == names);
    }
    check(&Db::new(open(allowed).expect("allowed")));
}

// ---- warming up ----------------------------------------------------------------------------------------

/// Some 6 MB in 20 000 documents, closed.
fn large_place() -> Place {
    let place = Place::new();
    let db = place.open();
    for part in 0..20 {
        let documents = (0..1000_u64).map(|n| doc! { "_id": part * 1000 + n, "text": "x".repeat(250) });
        db.docs("c").insert_many(&documents.collect::<Vec<_>>()).expect("inserts");
    }
    db.close().expect("closes");
    place
}

#[test]
fn after_warming_up_no_page_is_read_or_verified_for_the_first_time() {
    let place = large_place();
    for options in BOTH.map(reading).into_iter().chain(BOTH.map(|read_mode| Options { read_mode, ..quick() })) {
        let db = Db::new(Database::open_with(place.path(), options.clone()).expect("opens"));
        let told = Mutex::new(Vec::new());
        let control = Control::new().on_progress(|p| told.lock().expect("no panic").push((p.phase, p.done, p.total)));
        let report = db.warm_up_with(u64::MAX, control).expect("warms up");
        assert!(report.complete && report.index_pages > 50 && report.block_pages > 1000, "{report:?}");
        let told = told.into_inner().expect("no panic");
        assert_eq!(told.last(), Some(&("blocks", report.block_pages, report.block_pages)));
        assert!(told.iter().any(|(phase, ..)| *phase == "index"));
        let before = db.stats().expect("stats");
        for id in (0..20_000_u64).step_by(37) {
            assert!(db.docs("c").contains(id).expect("looks"));
        }
        assert_eq!(db.docs("c").scan().expect("scans").count(), 20_000);
        let after = db.stats().expect("stats");
        // The bitmap of free space is no part of the index.
        assert!(after.pages_verified <= before.pages_verified + 2, "{options:?}: {before:?} {after:?}");
        assert_eq!(db.warm_up().expect("again"), report);
    }
}

#[test]
fn warming_up_stops_at_its_limit_and_when_it_is_told_to() {
    let place = large_place();
    for read_mode in BOTH {
        let db = Db::new(Database::open_with(place.path(), reading(read_mode)).expect("opens"));
        assert_eq!(db.warm_up_with(0, Control::new()).expect("nothing"), Default::default());
        let report = db.warm_up_with(1 << 20, Control::new()).expect("warms up");
        let pages = report.index_pages + report.block_pages;
        assert!(!report.complete && pages <= 256 && pages > 200 && report.block_pages > 0, "{report:?}");
        let token = CancelToken::new();
        let stop = token.clone();
        let control = Control::new().cancel(&token).on_progress(move |p| {
            if p.phase == "blocks" && p.done > 0 {
                stop.cancel();
            }
        });
        assert!(matches!(db.warm_up_with(u64::MAX, control), Err(Error::Cancelled)));
        let late = Control::new().deadline(std::time::Instant::now());
        assert!(matches!(db.warm_up_with(u64::MAX, late), Err(Error::DeadlineExceeded)));
        assert_eq!(db.docs("c").count_documents().expect("goes on"), 20_000);
    }
    let options = Options { cache_bytes: 1 << 20, ..reading(ReadMode::Pread) };
    let db = Database::open_with(place.path(), options).expect("opens");
    assert!(!db.warm_up_with(u64::MAX, Control::new()).expect("warms up").complete, "no more than the cache holds");
    db.close().expect("closes");
    assert!(matches!(db.warm_up(), Err(Error::Closed)));
}

#[test]
fn warming_up_reports_damage() {
    let files = files::clean();
    let mut reported = 0;
    for page in (2..files.pages()).filter(|&page| files.is_unit(page)) {
        let mut damaged = files.clone();
        damaged.data()[page * files::PAGE + 100] ^= 4;
        for read_mode in BOTH {
            let db = files::open_with(&damaged.on_disk(), reading(read_mode)).expect("opens");
            match db.warm_up() {
                Ok(_) => {}
                Err(Error::Corrupt(damage)) if damage.page == page as u64 => reported += 1,
                Err(e) => panic!("page {page}: {e}"),
            }
        }
    }
    assert!(reported > 60, "{reported}");
}

// ---- threads -------------------------------------------------------------------------------------------

#[test]
fn who_only_reads_is_told_of_no_event_and_has_no_threads() {
    let place = Place::new();
    let db = place.open_with(Options { durability: Durability::Interval(1), ..quick() });
    fill(&db);
    db.abandon();
    let disk = Arc::new(OsDisk::new(place.dir()));
    let config = TestConfig { options: reading(ReadMode::Mapped), ..TestConfig::default() };
    let db = testing::open(disk, Arc::new(NoThreads), "test.nyro", &config).expect("opens");
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let told = events.clone();
    db.on_event(move |event| told.lock().expect("no panic").push(event.clone()));
    check(&db);
    db.close().expect("closes");
    assert!(events.lock().expect("no panic").is_empty());
}

/// An environment that nobody may start a thread in.
struct NoThreads;

impl testing::Env for NoThreads {
    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
    fn random(&self) -> u64 {
        panic!("nothing is made, so nothing random is needed")
    }
    fn spawn(&self, name: &str, _: testing::Job) -> Option<std::thread::JoinHandle<()>> {
        panic!("a thread {name} was started")
    }
}
