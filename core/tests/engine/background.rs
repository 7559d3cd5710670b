//! What the background threads promise.

use nyro::testing::{HookedDisk, OsDisk, SystemEnv, TempDir, TestConfig};
use nyro::{doc, Document, Durability, Options};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn wait_for(what: &str, is_done: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets the checkpoint go on, when the test fails, too.
struct Held(Arc<(AtomicBool, AtomicBool, AtomicU64)>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0 .1.store(false, SeqCst);
    }
}

/// A checkpoint can take seconds; a power loss meanwhile must take no more than the interval.
#[test]
fn a_sync_that_is_due_does_not_wait_for_the_end_of_a_checkpoint() {
    let dir = TempDir::new().expect("a directory");
    let (is_stuck, hold, log_syncs) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    let shared = Arc::new((is_stuck, hold, log_syncs));
    let seen = shared.clone();
    let disk = HookedDisk::new(Arc::new(OsDisk::new(dir.path().to_owned())), move |name| {
        if name.contains("-wal-") {
            seen.2.fetch_add(1, SeqCst);
            return Ok(());
        }
        while seen.1.load(SeqCst) {
            seen.0.store(true, SeqCst);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    });
    let options = Options {
        durability: Durability::Interval(1),
        log_max_bytes: 1 << 20,
        read_mode: nyro::testing::read_mode(),
        ..Options::default()
    };
    let config = TestConfig { options, ..TestConfig::default() };
    let env = Arc::new(SystemEnv::new());
    let db = nyro::testing::open(Arc::new(disk), env, "test.nyro", &config).expect("opens");
    let people = db.collection::<Document>("people");
    people.put(&doc! { "_id": 1 }).expect("a commit");
    // From half of the log's limit on the background thread runs a checkpoint.
    shared.1.store(true, SeqCst);
    let held = Held(shared.clone());
    for id in 2.. {
        people.put(&doc! { "_id": id, "text": "x".repeat(1000) }).expect("a commit");
        if shared.0.load(SeqCst) {
            break;
        }
        assert!(id < 1000, "no checkpoint began");
        std::thread::sleep(Duration::from_millis(1));
    }
    for id in 0..8 {
        let before = shared.2.load(SeqCst);
        people.put(&doc! { "_id": id }).expect("a commit");
        wait_for("the sync of a commit", || shared.2.load(SeqCst) > before);
    }
    drop(held);
    db.verify().expect("whole");
    db.close().expect("closes");
}
