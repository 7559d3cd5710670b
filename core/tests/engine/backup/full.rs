//! One full backup.

use super::*;
use crate::common::{item, Place};
use nyro::testing::{CrashPolicy, HookedDisk};
use nyro::{restore_from, CancelToken, Error, ErrorKind};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Mutex};
use std::time::Duration;

#[test]
fn a_backup_is_a_database_that_holds_every_commit_before_it() {
    let (place, other) = (Place::new(), Place::new());
    let db = place.open();
    for i in 0..500 {
        db.docs("items").put(&item(i, i)).expect("puts");
    }
    db.docs("big").put(&doc! { "_id": 1, "text": "x".repeat(300_000) }).expect("puts");
    let report = db.backup(other.path()).expect("backs up");
    assert_eq!(report.commit, 501);
    assert_eq!(std::fs::metadata(other.path()).expect("there").len(), report.bytes);
    db.docs("items").put(&item(1000, 1)).expect("goes on");
    assert_eq!(other.files().len(), 1, "nothing but the backup");
    let copy = other.open();
    assert_eq!(copy.docs("items").count_documents().expect("counts"), 500);
    let big = copy.docs("big").get(1).expect("reads").expect("there");
    assert_eq!(big.get("text").and_then(|t| t.as_str()).map(str::len), Some(300_000));
    // It is a database of its own from here on.
    copy.docs("items").put(&item(2000, 1)).expect("puts");
    drop(copy);
    assert_eq!(other.open().docs("items").count_documents().expect("counts"), 501);
}

#[test]
fn pages_not_in_use_are_holes_in_a_file_and_zeros_in_a_stream() {
    let mut bed = Bed::new(1);
    for i in 0..300 {
        bed.put("gone", i, "x".repeat(2000));
    }
    bed.db.checkpoint().expect("checkpoint");
    bed.put("kept", 1, "y".repeat(100));
    bed.db.drop_collection("gone").expect("drops");
    bed.content.remove("gone");
    bed.db.checkpoint().expect("checkpoint");
    while bed.db.stats().expect("stats").reclaim_pending {
        testing::step(&bed.db).expect("a step");
    }
    let mut stream = Vec::new();
    let report = bed.db.backup_to(&mut stream, &BackupOptions::default(), Control::new()).expect("streams");
    bed.backup("full", &BackupOptions::default()).expect("backs up");
    assert_eq!(stream.len() as u64, report.bytes);
    let zeros = stream.chunks(4096).filter(|page| page.iter().all(|b| *b == 0)).count() as u64;
    // Some pages of a used block are zero, too.
    assert!(zeros + report.pages + 2 >= report.bytes / 4096);
    assert!(zeros > 50, "a test of free pages has some");
    assert_eq!(bed.disk.read_file("full"), stream, "the same pages either way");
    assert_eq!(bed.content_of("full"), bed.content);
    let target = Place::new();
    let verified = restore_from(target.path(), &mut [&mut &stream[..]], &RestoreOptions::default(), Control::new());
    assert_eq!(verified.expect("restores").documents, 1);
    assert_eq!(content(&target.open()), bed.content);
}

#[test]
fn a_database_in_memory_is_backed_up_and_based_on_while_it_is_open() {
    let (db, place) = (Database::open(":memory:").expect("opens"), Place::new());
    for i in 0..200_u64 {
        db.collection("a").put(&doc! { "_id": i, "text": "t" }).expect("puts");
    }
    let inc = place.dir().join("inc");
    db.backup_with(place.path(), &named("full", None), Control::new()).expect("backs up");
    db.collection("a").put(&doc! { "_id": 200, "text": "t" }).expect("puts");
    db.backup_with(&inc, &named("inc", Some("full")), Control::new()).expect("backs up");
    let copy = place.dir().join("copy");
    let report = nyro::restore(&copy, &[place.path(), inc], &RestoreOptions::default(), Control::new());
    assert_eq!(report.expect("restores").documents, 201);
}

/// Changes the database in the middle of the copying: on each write, before it is taken.
struct Meddling<'a> {
    bed: &'a mut Bed,
    out: Vec<u8>,
}

impl Write for Meddling<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.bed.work(30);
        self.bed.db.checkpoint().expect("checkpoint");
        // Small pieces: many moments to meddle at.
        let length = data.len().min(64 << 10);
        self.out.extend_from_slice(&data[..length]);
        Ok(length)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn commits_and_checkpoints_while_pages_are_copied_do_not_show_in_the_backup() {
    for seed in 0..4 {
        let mut bed = Bed::new(seed);
        bed.work(300);
        for round in 0..3 {
            let before = bed.content.clone();
            let since = (round > 0).then(|| format!("{}", round - 1));
            let db = bed.db.clone();
            let mut out = Meddling { bed: &mut bed, out: Vec::new() };
            let options = named(&round.to_string(), since.as_deref());
            db.backup_to(&mut out, &options, Control::new()).expect("backs up");
            let bytes = out.out;
            bed.disk.write_file(&format!("file {round}"), bytes);
            let files: Vec<String> = (0..=round).map(|round| format!("file {round}")).collect();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            bed.restore("copy", &files).expect("restores");
            assert_eq!(bed.content_of("copy"), before, "seed {seed}, round {round}");
            bed.db.verify().expect("verify");
        }
        // What was kept for the backups is given back: the database does not grow for ever.
        bed.db.checkpoint().expect("checkpoint");
        bed.db.verify().expect("verify");
    }
}

#[test]
fn a_long_backup_keeps_pages_and_no_memory_of_what_is_written_meanwhile() {
    let mut bed = Bed::new(2);
    bed.work(200);
    struct Watching<'a>(&'a mut Bed, u64);
    impl Write for Watching<'_> {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.work(20);
            self.0.db.checkpoint().expect("checkpoint");
            self.1 = self.1.max(self.0.db.stats().expect("stats").states_kept);
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let db = bed.db.clone();
    let mut out = Watching(&mut bed, 0);
    db.backup_to(&mut out, &BackupOptions::default(), Control::new()).expect("backs up");
    assert_eq!(out.1, 1, "states kept behind a checkpoint");
}

#[test]
fn writers_in_threads_go_on_while_a_file_is_backed_up() {
    let place = Place::new();
    let db = place.open();
    for i in 0..2000 {
        db.docs("items").put(&item(i, 0)).expect("puts");
    }
    let stop = AtomicBool::new(false);
    let start = db.stats().expect("stats").commits;
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let (db, stop) = (db.handle(), &stop);
            scope.spawn(move || {
                let (items, mut n) = (db.collection::<Document>("items"), 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    // All three documents of a commit, or none, are in a backup.
                    db.write(|tx| {
                        let items = tx.collection::<Document>("items");
                        (0..3).try_for_each(|i| items.put(&item(10_000 + thread * 10 + i, n as i64)).map(|_| ()))
                    })
                    .expect("commits");
                    items.put(&item((n * 7 + thread) % 2000, n as i64)).expect("puts");
                    if n % 50 == 0 {
                        db.checkpoint().expect("checkpoint");
                    }
                }
            });
        }
        let mut files = Vec::new();
        for round in 0..8 {
            let file = place.dir().join(format!("backup {round}"));
            let since = (round > 0).then(|| format!("{}", round - 1));
            db.backup_with(&file, &named(&round.to_string(), since.as_deref()), Control::new()).expect("backs up");
            files.push(file);
            let target = place.dir().join("copy");
            let options = RestoreOptions { overwrite: true };
            let report = nyro::restore(&target, &files, &options, Control::new()).expect("restores");
            assert!(report.documents >= 2000);
            let copy = Database::open(&target).expect("opens");
            for thread in 0..3_u64 {
                let get = |i: u64| copy.collection::<Document>("items").get(10_000 + thread * 10 + i).expect("reads");
                let values: Vec<_> = (0..3).map(|i| get(i).map(|d| d.get("value").and_then(|v| v.as_i64()))).collect();
                assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
            }
            copy.close().expect("closes");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(db.stats().expect("stats").commits > start + 100);
}

#[test]
fn an_existing_file_is_replaced_only_on_demand_and_never_a_database_that_is_open() {
    let (place, other) = (Place::new(), Place::new());
    let db = place.open();
    db.docs("items").put(&item(1, 1)).expect("puts");
    std::fs::write(other.path(), b"something else").expect("writes");
    let refused = db.backup(other.path()).expect_err("there is a file");
    assert!(matches!(&refused, Error::InvalidArgument(why) if why.contains("overwrite")), "{refused}");
    assert_eq!(std::fs::read(other.path()).expect("there"), b"something else");
    let over = BackupOptions { overwrite: true, ..BackupOptions::default() };
    db.backup_with(other.path(), &over, Control::new()).expect("replaces it");
    let copy = other.open();
    for target in [place.path(), other.path()] {
        let refused = db.backup_with(&target, &over, Control::new()).expect_err("open");
        assert!(matches!(&refused, Error::Locked { path, .. } if *path == target.display().to_string()), "{refused}");
        let backups = [other.path()];
        let refused = nyro::restore(&target, &backups, &RestoreOptions { overwrite: true }, Control::new());
        assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    }
    assert!(matches!(db.backup(":memory:"), Err(Error::InvalidArgument(_))));
    assert!(matches!(db.backup(other.dir().join("no/where")), Err(Error::NoSuchFile(_))));
    drop(copy);
    let refused = nyro::restore(place.path(), &[other.path()], &RestoreOptions::default(), Control::new());
    assert!(refused.is_err(), "open here, and overwriting not asked for");
}

#[test]
fn a_backup_of_an_open_database_file_is_refused_as_a_source() {
    let place = Place::new();
    let db = place.open();
    db.docs("items").put(&item(1, 1)).expect("puts");
    let copy = place.dir().join("copy");
    let refused = nyro::restore(&copy, &[place.path()], &RestoreOptions::default(), Control::new());
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    db.abandon();
    let refused = nyro::restore(&copy, &[place.path()], &RestoreOptions::default(), Control::new());
    assert!(matches!(&refused, Err(Error::BackupMismatch(why)) if why.contains("not closed")), "{refused:?}");
    place.open().close().expect("closes");
    // One that was closed is as good as a full backup.
    let report = nyro::restore(&copy, &[place.path()], &RestoreOptions::default(), Control::new());
    assert_eq!(report.expect("restores").documents, 1);
}

fn names_but_the_log(disk: &SimDisk) -> Vec<String> {
    disk.file_names().into_iter().filter(|name| !name.contains("-wal-")).collect()
}

#[test]
fn a_cancelled_backup_or_restore_leaves_what_was_there() {
    let mut bed = Bed::new(5);
    bed.work(200);
    bed.backup("full", &named("full", None)).expect("backs up");
    bed.work(50);
    let before = bed.disk.read_file("full");
    let names = names_but_the_log(&bed.disk);
    let (mut steps, mut cancelled) = (0, 0);
    loop {
        let (token, mut left) = (CancelToken::new(), steps);
        let tell = |_| {
            left -= 1;
            if left == 0 {
                token.cancel();
            }
        };
        steps += 1;
        if steps == 1 {
            token.cancel();
        }
        let control = Control::new().on_progress(tell).cancel(&token);
        let options = BackupOptions { name: Some("next".into()), overwrite: true, since: None };
        match testing::backup(&bed.db, shared(&bed.disk), "full", &options, control) {
            Err(e) => assert!(matches!(e, Error::Cancelled), "{e}"),
            Ok(_) => break,
        }
        cancelled += 1;
        assert_eq!(bed.disk.read_file("full"), before);
        assert_eq!(names_but_the_log(&bed.disk), names, "no temporary file");
        assert_eq!(bed.db.backups().expect("open").len(), 1, "the name is not remembered");
    }
    assert!(cancelled > 2);
    bed.content_of("full");

    bed.disk.write_file("target", b"what was there".to_vec());
    let names = bed.disk.file_names();
    let control = || Control::new().deadline(std::time::Instant::now());
    let options = RestoreOptions { overwrite: true };
    let env = Arc::new(SimEnv::new(1));
    let late = testing::restore(shared(&bed.disk), env, "target", &["full"], &options, control());
    assert_eq!(late.expect_err("too late").kind(), ErrorKind::Cancelled);
    assert_eq!(bed.disk.read_file("target"), b"what was there");
    assert_eq!(bed.disk.file_names(), names);
}

#[test]
fn a_name_remembered_in_the_middle_of_a_checkpoint_outlives_it() {
    let (disk, place) = (SimDisk::new(SimOptions::default()), "db");
    let (resume, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let hooked = HookedDisk::new(shared(&disk), move |name| {
        // The first sync of the data file by the other thread: its checkpoint has read the meta page before.
        if name == place && std::thread::current().name() == Some("checkpoint") {
            let _ = held.lock().expect("no panic").recv_timeout(Duration::from_secs(20));
        }
        Ok(())
    });
    let options = Options { durability: Durability::Manual, ..Options::default() };
    let config = TestConfig { options, ..TestConfig::default() };
    let db = testing::open(Arc::new(hooked), Arc::new(SimEnv::new(1)), place, &config).expect("opens");
    let items = db.collection::<Document>("items");
    items.put(&item(1, 1)).expect("puts");

    /// Starts a checkpoint when everything was written, and goes on when it waits for its sync.
    struct Starting<'a>(&'a Database, Option<std::thread::JoinHandle<Result<()>>>);
    impl Write for Starting<'_> {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            let before = self.0.stats().expect("stats").page_bytes_written;
            self.0.collection::<Document>("items").put(&item(2, 2)).expect("puts");
            let db = self.0.clone();
            let thread = std::thread::Builder::new().name("checkpoint".into());
            self.1 = Some(thread.spawn(move || db.checkpoint()).expect("starts"));
            while self.0.stats().expect("stats").page_bytes_written == before {
                std::thread::yield_now();
            }
            Ok(())
        }
    }
    let mut out = Starting(&db, None);
    db.backup_to(&mut out, &named("kept", None), Control::new()).expect("backs up");
    drop(resume);
    out.1.take().expect("started").join().expect("no panic").expect("checkpoint");
    assert_eq!(db.backups().expect("open").len(), 1);
    testing::abandon(db);
    let db = open(&disk, place).expect("opens");
    assert_eq!(db.backups().expect("open")[0].name, "kept");
    assert_eq!(db.collection::<Document>("items").count_documents().expect("counts"), 2);
}

#[test]
fn closing_the_database_ends_its_backups() {
    let mut bed = Bed::new(6);
    bed.work(200);
    struct Closing(Database);
    impl Write for Closing {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.close().expect("closes");
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let ended = bed.db.backup_to(Closing(bed.db.clone()), &named("x", None), Control::new());
    assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
    let found = bed.content_of("db");
    assert_eq!(found, bed.content);
}

#[test]
fn a_backup_inside_of_a_transaction_is_an_error() {
    let bed = Bed::new(7);
    let nested = bed.db.write(|_| bed.backup("full", &BackupOptions::default()).map(|_| ()));
    assert!(matches!(nested, Err(Error::NestedTransaction)), "{nested:?}");
}

#[test]
fn a_full_disk_fails_the_backup_and_nothing_else() {
    let mut bed = Bed::new(8);
    bed.work(200);
    // The disk of the backup has less room than the database.
    let small = SimDisk::new(SimOptions { seed: 1, file_capacity: 64 << 10 });
    let full = testing::backup(&bed.db, shared(&small), "full", &named("full", None), Control::new());
    assert!(matches!(full, Err(Error::DiskFull { .. })), "{full:?}");
    assert_eq!(small.file_names(), [""; 0]);
    assert!(bed.db.backups().expect("open").is_empty());
    bed.work(20);
    bed.backup("full", &named("full", None)).expect("elsewhere there is room");
    assert_eq!(bed.content_of("full"), bed.content);
}

#[test]
fn a_restore_over_a_database_that_was_not_closed_removes_its_log() {
    let mut bed = Bed::new(9);
    bed.work(200);
    bed.backup("full", &named("full", None)).expect("backs up");
    let before = bed.content.clone();
    bed.work(100);
    testing::abandon(bed.db.clone());
    assert!(bed.disk.file_names().iter().any(|name| name.starts_with("db-wal-")));
    bed.restore("db", &["full"]).expect("restores");
    assert_eq!(bed.disk.file_names(), ["db", "full"]);
    assert_eq!(bed.disk.crash_image(CrashPolicy::LoseAll).file_names(), ["db", "full"]);
    assert_eq!(bed.content_of("db"), before);
}

#[test]
fn the_bitmap_of_a_file_that_shrank_is_whole_in_the_backup() {
    let place = Place::new();
    let db = place.open();
    // More than one chunk of the bitmap, which stands for 64 MiB.
    for i in 0..90 {
        db.docs("big").put(&doc! { "_id": i, "text": "x".repeat(1 << 20) }).expect("puts");
    }
    db.checkpoint().expect("checkpoint");
    db.drop_collection("big").expect("drops");
    db.docs("small").put(&item(1, 1)).expect("puts");
    db.checkpoint().expect("checkpoint");
    db.docs("small").put(&item(2, 2)).expect("puts");
    let file = place.dir().join("backup");
    db.backup(&file).expect("backs up");
    let copy = crate::common::Db::new(Database::open(&file).expect("opens"));
    assert_eq!(copy.docs("small").count_documents().expect("counts"), 2);
    copy.verify().expect("verify");
    drop(copy);
    // So it is in a file that was closed, and cut.
    db.docs("small").put(&item(3, 3)).expect("puts");
    drop(db);
    let db = place.open();
    db.verify().expect("verify");
}
