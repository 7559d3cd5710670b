//! `fork` with a database open: the child's handles refuse, and leave the parent's lock and data alone.
//!
//! ```text
//!   program (this binary again, one test in it)
//!     open, write, threads that go on
//!     fork ---------------------------------> child: every call is Forked; drops everything; opens: Locked
//!     goes on writing, checkpoints            exits
//!     the lock is still held; closes
//! ```

use nyro::testing::{HookedDisk, OsDisk, SystemEnv, TempDir, TestConfig};
use nyro::{doc, Control, Database, Document, Durability, Error, Options, Result, Scan, Snapshot, Ticket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::Arc;

/// The variable that makes the test below the program, and names the directory.
const PROGRAM: &str = "NYRO_FORK_PROGRAM";

fn options(pread: bool) -> Options {
    let read_mode = if pread { nyro::ReadMode::Pread } else { nyro::ReadMode::Mapped };
    Options { durability: Durability::Interval(1), log_max_bytes: 64 << 10, read_mode, ..Options::default() }
}

/// Runs `body` in a forked child and gives its exit code: 0 if it returned.
fn in_child(body: impl FnOnce()) -> i32 {
    // SAFETY: the child runs `body`, which uses memory, files and pipes alone, and ends by `_exit`; the C library
    // keeps its allocator usable in a child.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            // A child that waits for what never comes ends by a signal.
            // SAFETY: sets a timer of this process.
            unsafe { libc::alarm(30) };
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends the process without running what the parent registered.
            unsafe { libc::_exit(if done.is_ok() { 0 } else { 1 }) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for our own child and writes to a number of ours.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert!(libc::WIFEXITED(status), "the child ended with status {status:#x}");
            libc::WEXITSTATUS(status)
        }
    }
}

/// Ends the threads when it goes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Everything one can have of a database.
struct Everything {
    db: Database,
    snapshot: Snapshot,
    scan: Scan<Document>,
    ticket: Ticket,
}

fn everything(db: Database) -> Everything {
    let c = db.collection::<Document>("c");
    let snapshot = db.snapshot().expect("a snapshot");
    let (_, ticket) = db.write_async(|tx| tx.collection("c").put(&doc! { "_id": 1, "n": 2 })).expect("writes");
    Everything { snapshot, scan: c.scan().expect("scans"), ticket, db }
}

fn is_forked<T>(call: &str, result: Result<T>) {
    match result {
        Err(Error::Forked) => {}
        Err(e) => panic!("{call}: {e}"),
        Ok(_) => panic!("{call} works in the child"),
    }
}

/// In the child: every call is refused, and what is dropped goes without waiting for anyone.
fn refuse_everything(everything: Everything) {
    let Everything { db, snapshot, mut scan, ticket } = everything;
    let c = db.collection::<Document>("c");
    let document = doc! { "_id": 1 };
    is_forked("get", c.get(1));
    is_forked("get_raw_with", c.get_raw_with(1, |_| ()));
    is_forked("get_many", c.get_many([1]));
    is_forked("contains", c.contains(1));
    is_forked("count", c.count_documents());
    is_forked("scan", c.scan());
    is_forked("put", c.put(&document));
    is_forked("insert_one", c.insert_one(&document));
    is_forked("insert_many", c.insert_many([&document]));
    is_forked("replace_one", c.replace_one(1, &document));
    is_forked("delete", c.delete(1));
    is_forked("write", db.write(|_| Ok(())));
    is_forked("write_async", db.write_async(|_| Ok(())));
    is_forked("snapshot", db.snapshot());
    is_forked("collection_names", db.collection_names());
    is_forked("create_collection", db.create_collection("d"));
    is_forked("rename_collection", db.rename_collection("c", "d"));
    is_forked("drop_collection", db.drop_collection("c"));
    is_forked("sync", db.sync());
    is_forked("checkpoint", db.checkpoint());
    is_forked("verify", db.verify());
    is_forked("warm_up", db.warm_up());
    is_forked("warm_up_with", db.warm_up_with(0, Control::new()));
    is_forked("stats", db.stats());
    is_forked("ticket", ticket.wait());
    is_forked("snapshot's collection", snapshot.collection::<Document>("c"));
    is_forked("snapshot's names", snapshot.collection_names());
    is_forked("a scan that goes on", scan.next_raw());
    is_forked("close", db.close());
    assert!(!ticket.is_durable());
    db.on_event(|_| panic!("nothing happens here"));
    drop((c, scan, ticket, snapshot, db));
}

fn descriptors_of(path: &Path) -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").expect("the descriptors").flatten();
    entries.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == path)).count()
}

fn program(dir: &Path, pread: bool) {
    let path = dir.join("a.nyro");
    let open = || Database::open_with(&path, options(pread)).expect("opens");
    let db = open();
    let c = db.collection::<Document>("c");
    c.put(&doc! { "_id": 1, "n": 1 }).expect("puts");
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(10));
    std::thread::scope(|scope| {
        // When something fails here, too.
        let _ends = Ends(&stop);
        // Threads that are in the middle of something whenever the process forks.
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                let id = written.load(SeqCst);
                c.put(&doc! { "_id": id, "text": "x".repeat(200) }).expect("puts");
                written.store(id + 1, SeqCst);
            }
        });
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                c.get(1).expect("gets").expect("is there");
                let _ = open().verify().expect("verifies");
            }
        });
        for round in 0..40 {
            let mine = everything(open());
            let before = written.load(SeqCst);
            let code = in_child(|| {
                refuse_everything(mine);
                assert_eq!(descriptors_of(&path), 0, "the child holds the data file");
                let refused = Database::open_with(&path, options(pread)).expect_err("the parent has it");
                assert!(matches!(refused, Error::Locked { pid, .. } if pid == std::os::unix::process::parent_id()));
            });
            assert_eq!(code, 0, "round {round}");
            while written.load(SeqCst) < before + 10 {
                std::thread::yield_now();
            }
        }
        // Inside a transaction, and inside a read.
        let code = in_child(|| {
            let _ = db.write(|_| Ok(()));
        });
        assert_eq!(code, 0);
        db.write(|tx| {
            tx.collection("c").put(&doc! { "_id": 2, "n": 2 })?;
            let code = in_child(|| {
                let put = tx.collection::<Document>("c").put(&doc! { "_id": 3, "n": 3 });
                is_forked("put in a transaction", put);
                is_forked("get in a transaction", tx.collection::<Document>("c").get(2));
            });
            assert_eq!(code, 0);
            Ok(())
        })
        .expect("the parent's transaction goes on");
    });
    assert!(matches!(other_process(&path), Err(Error::Locked { .. })));
    db.verify().expect("whole");
    let last = written.load(SeqCst) - 1;
    drop(c);
    db.close().expect("closes");
    let db = open();
    let c = db.collection::<Document>("c");
    assert!(c.contains(last).expect("looks") && c.contains(2).expect("looks") && !c.contains(3).expect("looks"));
    assert_eq!(c.count_documents().expect("counts"), last - 9 + 2);
    db.verify().expect("whole");
    // A child opens what its parent has closed, with a table of its own.
    let leave = everything(open());
    drop(leave);
    drop(c);
    db.close().expect("closes");
    let code = in_child(|| {
        let db = Database::open_with(&path, options(pread)).expect("opens in the child");
        db.collection::<Document>("c").put(&doc! { "_id": "child" }).expect("puts");
        db.close().expect("closes");
    });
    assert_eq!(code, 0);
    assert!(open().collection::<Document>("c").contains("child").expect("looks"));
}

/// Opens the file as another process would: through a description of its own, past the table of this process.
fn other_process(path: &Path) -> Result<Database> {
    let disk = HookedDisk::new(Arc::new(OsDisk::new(path.parent().expect("a directory").to_owned())), |_| Ok(()));
    nyro::testing::open(Arc::new(disk), Arc::new(SystemEnv::new()), "a.nyro", &TestConfig::default())
}

#[test]
fn the_program_that_forks() {
    let Ok(dir) = std::env::var(PROGRAM) else { return };
    let (mode, dir) = dir.split_once(' ').expect("mode and directory");
    program(Path::new(dir), mode == "pread");
    println!("\nforked and went on");
}

#[test]
fn a_forked_child_is_refused_everything_and_its_parent_goes_on() {
    for mode in ["mapped", "pread"] {
        let dir = TempDir::new().expect("a directory");
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["--exact", "fork::the_program_that_forks", "--nocapture", "--test-threads=1"]);
        command.env(PROGRAM, format!("{mode} {}", dir.path().display())).stdin(Stdio::null());
        let output = command.output().expect("runs");
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{mode}: {}\n{said}\n{complained}", output.status);
        assert!(said.contains("forked and went on"), "{said}\n{complained}");
    }
}
