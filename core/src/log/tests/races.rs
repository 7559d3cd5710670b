//! Who is told what, and when: orders of events between threads.

use super::*;
use crate::testing::HookedDisk;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};

#[test]
fn a_commit_whose_frame_was_written_before_the_log_stopped_has_an_unknown_outcome() {
    let disk = sim();
    let log = create(&disk);
    let first = log.append(101, &mut frame_of(&[b"a"])).unwrap();
    let second = log.append(102, &mut frame_of(&[b"b"])).unwrap();
    disk.fail_at(disk.operations() + 1, SimError::Eio, Persist::Once);
    assert!(matches!(log.sync_through(first), Err(Error::OutcomeUnknown { .. })));
    // Its thread comes late. The frame may be found after reopening all the same.
    let error = log.sync_through(second).unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
}

#[test]
fn nobody_is_told_of_a_durable_commit_before_it_is_published() {
    let disk = sim();
    let log = Arc::new(create(&disk));
    let published = Arc::new(AtomicU64::new(0));
    let (entered, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    {
        let (published, entered, go) = (published.clone(), entered.clone(), go.clone());
        log.on_durable(Box::new(move |commit| {
            entered.store(true, Ordering::SeqCst);
            while !go.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            published.store(commit, Ordering::SeqCst);
        }));
    }
    let end = log.append(101, &mut frame_of(&[b"a"])).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| log.sync_through(end).unwrap());
        while !entered.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        // Publishing takes its time. Whoever asks meanwhile must wait for it.
        let early = log.durable() >= end;
        go.store(true, Ordering::SeqCst);
        assert!(!early, "durable() says so, and sync_through would return, before it is published");
    });
    assert_eq!(published.load(Ordering::SeqCst), 101);
}

/// The system reports a lost write once. If that is the sync after a failed append, a committer that waits for
/// its turn must not sync again and be told that all is well.
#[test]
fn after_the_failed_sync_of_an_erased_frame_no_waiting_commit_is_acknowledged() {
    let (mut wrong, rounds) = (0, 200);
    for seed in 0..rounds {
        let sim = SimDisk::new(SimOptions { file_capacity: 1 << 20, seed });
        let (armed, state) = (Arc::new(AtomicBool::new(false)), Arc::new((Mutex::new(false), Condvar::new())));
        let hook = {
            let (armed, state) = (armed.clone(), state.clone());
            move |_: &str| {
                if !armed.swap(false, Ordering::SeqCst) {
                    return Ok(());
                }
                // The sync of the erased frame: long enough that the other commit waits for it.
                *state.0.lock().unwrap() = true;
                state.1.notify_all();
                std::thread::sleep(std::time::Duration::from_millis(3));
                Err(io::Error::other("lost writes"))
            }
        };
        let disk = HookedDisk::new(Arc::new(sim.clone()), hook);
        let log = Log::create(LogConfig { disk: Arc::new(disk), ..config(&sim) }).unwrap();
        let end = log.append(101, &mut frame_of(&[b"waits"])).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut syncing = state.0.lock().unwrap();
                while !*syncing {
                    syncing = state.1.wait(syncing).unwrap();
                }
                drop(syncing);
                log.sync_through(end)
            });
            armed.store(true, Ordering::SeqCst);
            sim.fail_at(sim.operations() + 1, SimError::Eio, Persist::Once);
            log.append(102, &mut frame_of(&[&[7; 500]])).unwrap_err();
            wrong += u32::from(waiting.join().unwrap().is_ok());
        });
    }
    assert_eq!(wrong, 0, "of {rounds} commits acknowledged after a sync had lost writes");
}
