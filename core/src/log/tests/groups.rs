//! Group commit with real threads.

use super::*;
use crate::file::sim::Observer;
use crate::sync::Mutex;
use std::time::Duration;

/// Makes syncs as slow as those of a device.
struct SlowSync;

impl Observer for SlowSync {
    fn after_sync(&self, _name: &str) {
        std::thread::sleep(Duration::from_micros(300));
    }
}

#[test]
fn sixteen_threads_share_syncs() {
    let disk = sim();
    let log = Log::create(LogConfig { segment_bytes: 64 << 10, ..config(&disk) }).unwrap();
    disk.set_observer(Arc::new(SlowSync));
    let announced = Arc::new(Mutex::new(Vec::new()));
    let sink = announced.clone();
    log.on_durable(Box::new(move |commit| sink.lock().push(commit)));
    let writer = Mutex::new(100);
    const EACH: u64 = 50;
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let (commit, end) = {
                        let mut last = writer.lock();
                        *last += 1;
                        (*last, log.append(*last, &mut frame_of(&[&last.to_le_bytes()])).unwrap())
                    };
                    log.sync_through(end).unwrap();
                    assert!(log.durable() >= end && log.durable_commit() >= commit);
                    assert!(*announced.lock().last().unwrap() >= commit);
                }
            });
        }
        scope.spawn(|| {
            while log.durable_commit() < 100 + 16 * EACH {
                if log.needs_prepare() {
                    log.prepare().unwrap();
                }
                std::thread::yield_now();
            }
        });
    });
    let commits = 16 * EACH;
    let syncs = log.counters().syncs;
    assert!(syncs < commits / 2, "{syncs} syncs for {commits} commits");
    let announced = announced.lock();
    assert!(announced.windows(2).all(|w| w[0] <= w[1]));
    assert_eq!(announced.len() as u64, syncs);
    let (found, _) = replayed(&disk.crash_image(CrashPolicy::LoseAll)).unwrap();
    let expected: Commits = (101..=100 + commits).map(|c| (c, c.to_le_bytes().to_vec())).collect();
    assert_eq!(found, expected);
}

#[test]
fn all_who_wait_for_a_failed_sync_are_told() {
    let disk = sim();
    let log = create(&disk);
    disk.set_observer(Arc::new(SlowSync));
    let writer = Mutex::new(100);
    let outcomes = Mutex::new(Vec::new());
    disk.fail_at(disk.operations() + 20, SimError::Eio, Persist::FromThenOn);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| loop {
                let end = {
                    let mut last = writer.lock();
                    *last += 1;
                    log.append(*last, &mut frame_of(&[b"x"]))
                };
                if let Err(e) = end.and_then(|end| log.sync_through(end)) {
                    outcomes.lock().push(e.code());
                    if matches!(e, Error::OutcomeUnknown { .. } | Error::WritesStopped { .. }) {
                        return;
                    }
                }
            });
        }
    });
    let durable = log.durable_commit();
    assert!(log.latched().is_some());
    assert!(outcomes.lock().iter().filter(|code| **code == 503).count() >= 1);
    let (found, _) = replayed(&disk.crash_image(CrashPolicy::LoseAll)).unwrap();
    assert!(found.last().map_or(100, |c| c.0) >= durable);
}
