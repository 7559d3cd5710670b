//! Failures and crashes at every operation.

use super::*;
use crate::env_sim::seed;

/// What a run did, by the number of the disk's last operation then.
#[derive(Default)]
struct Run {
    /// `u64::MAX` where no log came to be.
    created_at: u64,
    /// Commits that `append` took.
    accepted: Commits,
    /// How many commits were acknowledged as durable, from which operation on.
    acknowledged: Vec<(u64, usize)>,
    /// Checkpoints: from which operation on nothing before is needed, where the log is replayed from then, and how many
    /// commits lie before.
    checkpoints: Vec<(u64, ReplayStart, usize)>,
    /// Commits that `append` refused: after how many accepted, what, and at which operation.
    refused: Vec<(usize, (u64, Vec<u8>), u64)>,
    stopped: bool,
}

/// Appends, syncs, claims, prepares, gives up what a checkpoint would no longer need, and goes on after errors. A commit that was refused is followed
/// by another one with the same number.
fn run(disk: &SimDisk, use_store: bool, workload_seed: u64) -> Run {
    let mut run = Run { created_at: u64::MAX, ..Run::default() };
    let mut rng = Rng::new(workload_seed);
    let log = loop {
        match Log::create(LogConfig { use_store, ..config(disk) }) {
            Ok(log) => break log,
            Err(_) if rng.chance(0.9) => {}
            Err(_) => return run,
        }
    };
    run.created_at = disk.operations();
    for step in 0..60 {
        let commit = 101 + run.accepted.len() as u64;
        let bytes = payload(&mut rng, if step % 15 == 14 { 6000 } else { 500 });
        match log.append(commit, &mut frame_of(&[&bytes])) {
            Ok(_) => run.accepted.push((commit, bytes)),
            Err(Error::OutcomeUnknown { .. }) => {
                run.refused.push((run.accepted.len(), (commit, bytes), u64::MAX));
                run.stopped = true;
            }
            Err(_) => run.refused.push((run.accepted.len(), (commit, bytes), disk.operations())),
        }
        let choice = rng.below(6);
        match choice {
            0 | 1 | 4 => {
                let before = log.durable();
                match log.sync_through(log.end()) {
                    Ok(()) => run.acknowledged.push((disk.operations(), run.accepted.len())),
                    Err(_) => {
                        assert!(log.latched().is_some());
                        assert_eq!(log.durable(), before);
                        run.stopped = true;
                    }
                }
            }
            2 => drop(log.claim()),
            3 if log.needs_prepare() => drop(log.prepare()),
            5 if step % 20 == 19 => drop(log.trim()),
            _ => {}
        }
        if choice == 4 && log.latched().is_none() {
            let start = ReplayStart { lsn: log.end(), chain: log.chain(), ..START };
            run.checkpoints.push((disk.operations(), start.clone(), run.accepted.len()));
            drop(log.release_before(start.lsn));
        }
        // A claim that failed may have stopped it, too.
        assert!(log.latched().is_some() || !run.stopped);
        run.stopped = log.latched().is_some();
    }
    run
}

impl Run {
    /// The commits up to the last checkpoint before operation `at`, and those that are replayed from there.
    fn found(&self, image: &SimDisk, at: u64, what: &dyn Fn() -> String) -> Commits {
        let last = self.checkpoints.iter().rev().find(|(from, _, _)| *from <= at);
        let (start, before) = last.map_or((&START, 0), |(_, start, before)| (start, *before));
        let (found, end) = replay_from(image, start).unwrap_or_else(|e| panic!("{}: {e}", what()));
        assert!(end.dropped_bytes < 16 << 10, "{}: {} bytes dropped", what(), end.dropped_bytes);
        self.accepted[..before].iter().cloned().chain(found).collect()
    }
}

/// Checks a disk found after a crash behind operation `at`.
fn check(run: &Run, image: &SimDisk, at: u64, what: &dyn Fn() -> String) {
    if at < run.created_at {
        return;
    }
    let found = run.found(image, at, what);
    let acknowledged = run.acknowledged.iter().filter(|(from, _)| *from <= at).map(|a| a.1).max().unwrap_or(0);
    assert!(found.len() >= acknowledged, "{}: {} commits of {acknowledged}", what(), found.len());
    let same = found.iter().zip(&run.accepted).take_while(|(a, b)| a == b).count();
    // A commit may be seen before it is refused, as the last one.
    let seen = |r: &(usize, (u64, Vec<u8>), u64)| r.0 == same && at < r.2 && r.1 == found[same];
    let fine = same == found.len() || (same + 1 == found.len() && run.refused.iter().any(seen));
    assert!(fine, "{}: commit {} was never accepted", what(), same);
}

fn policies(replay: &SimDisk, random: u64) -> Vec<CrashPolicy> {
    let mut policies = vec![CrashPolicy::LoseAll, CrashPolicy::KeepAll];
    policies.extend((0..random).map(CrashPolicy::Random));
    policies.extend((0..replay.pending()).flat_map(|i| [CrashPolicy::LoseOne(i), CrashPolicy::KeepOne(i)]));
    policies
}

#[test]
fn after_a_crash_at_any_operation_replay_gives_a_prefix_with_all_that_was_acknowledged() {
    let base = seed(21);
    for (use_store, workload) in [(false, base), (true, base + 1)] {
        let disk = sim();
        disk.record();
        let run = run(&disk, use_store, workload);
        assert!(run.acknowledged.len() > 3 && run.checkpoints.len() > 3 && run.refused.is_empty());
        assert!(disk.trace().contains("rename"), "no segment was used again");
        let mut replay = disk.replay().unwrap();
        let mut images = 0;
        while let Some(at) = replay.step() {
            for policy in policies(replay.disk(), 30) {
                let what = || format!("NYRO_SEED={base} {policy:?} after operation {at} of\n{}", disk.trace());
                check(&run, &replay.disk().crash_image(policy), at, &what);
                images += 1;
            }
        }
        assert!(images > 2000, "{images}");
    }
}

#[test]
fn after_a_failure_of_any_operation_no_refused_commit_is_ever_replayed() {
    let base = seed(31);
    for use_store in [false, true] {
        let operations = {
            let disk = sim();
            run(&disk, use_store, base);
            disk.operations()
        };
        for (error, persist) in [
            (SimError::Eio, Persist::Once),
            (SimError::Eio, Persist::FromThenOn),
            (SimError::Enospc, Persist::Once),
            (SimError::Enospc, Persist::FromThenOn),
        ] {
            for fault in 1..=operations {
                fail_once(base, use_store, fault, error, persist);
            }
        }
    }
}

fn fail_once(base: u64, use_store: bool, fault: u64, error: SimError, persist: Persist) {
    let disk = SimDisk::new(SimOptions { file_capacity: 1 << 20, seed: base ^ fault });
    disk.record();
    disk.fail_at(fault, error, persist);
    let run = run(&disk, use_store, base);
    let what = || format!("NYRO_SEED={base} store {use_store}, {error:?} {persist:?} at {fault} of\n{}", disk.trace());
    let end = disk.operations();
    if run.created_at < u64::MAX && !run.stopped {
        let found = run.found(&disk.process_crash_image(), end, &what);
        assert!(found == run.accepted, "{}", what());
    }
    for policy in policies(&disk, 6) {
        check(&run, &disk.crash_image(policy), end, &|| format!("{policy:?} at the end, {}", what()));
    }
    let mut replay = disk.replay().unwrap();
    while let Some(at) = replay.step() {
        if (fault..fault + 12).contains(&at) {
            for policy in
                [CrashPolicy::LoseAll, CrashPolicy::KeepAll, CrashPolicy::Random(at), CrashPolicy::Random(!at)]
            {
                check(&run, &replay.disk().crash_image(policy), at, &|| format!("{policy:?} after {at}, {}", what()));
            }
        }
    }
}

#[test]
fn a_failed_sync_stops_the_log_and_nothing_becomes_durable_any_more() {
    let disk = sim();
    let log = create(&disk);
    log.append(101, &mut frame_of(&[b"durable"])).unwrap();
    log.sync_through(log.end()).unwrap();
    let durable = log.durable();
    let end = log.append(102, &mut frame_of(&[b"lost"])).unwrap();
    disk.fail_at(disk.operations() + 1, SimError::Eio, Persist::Once);
    match log.sync_through(end).unwrap_err() {
        Error::OutcomeUnknown { durable, source } => {
            assert_eq!((durable, source.raw_os_error()), (101, Some(libc::EIO)));
        }
        e => panic!("{e}"),
    }
    for _ in 0..3 {
        assert!(matches!(log.sync_through(end), Err(Error::OutcomeUnknown { durable: 101, .. })));
        assert!(matches!(log.append(103, &mut frame_of(&[b"x"])), Err(Error::WritesStopped { durable: 101, .. })));
        assert!(matches!(log.prepare(), Err(Error::WritesStopped { .. })));
        assert!(matches!(log.latched(), Some(Error::WritesStopped { durable: 101, .. })));
    }
    log.sync_through(durable).unwrap();
    assert_eq!((log.durable(), log.durable_commit(), log.end()), (durable, 101, end));
    assert_eq!(replayed(&disk.crash_image(CrashPolicy::LoseAll)).unwrap().0, [(101, b"durable".to_vec())]);
}

#[test]
fn on_a_full_disk_an_append_fails_cleanly_and_goes_on_when_there_is_room() {
    let disk = sim();
    let log = create(&disk);
    disk.fail_at(disk.operations() + 1, SimError::Enospc, Persist::FromThenOn);
    let mut commits = Commits::new();
    let refused = loop {
        let commit = 101 + commits.len() as u64;
        match log.append(commit, &mut frame_of(&[&[1; 300]])) {
            Ok(_) => commits.push((commit, vec![1; 300])),
            Err(e) => break e,
        }
    };
    assert!(matches!(refused, Error::DiskFull { .. }));
    let (end, chain) = (log.end(), log.chain());
    assert!(log.append(200, &mut frame_of(&[&[2; 3000]])).is_err());
    assert_eq!((log.end(), log.chain()), (end, chain));
    assert!(log.latched().is_none());
    assert_eq!(disk.file_names().len(), 1, "the space is given back");
    log.sync_through(end).unwrap();
    disk.clear_faults();
    log.append(200, &mut frame_of(&[b"room"])).unwrap();
    log.append(201, &mut frame_of(&[&[2; 3000]])).unwrap();
    commits.extend([(200, b"room".to_vec()), (201, vec![2; 3000])]);
    assert_eq!(replayed(&disk).unwrap().0, commits);
}

#[test]
fn a_write_that_failed_but_happened_does_not_come_back_after_a_power_cut() {
    let mut happened = 0;
    for seed in 0..300 {
        let disk = SimDisk::new(SimOptions { file_capacity: 1 << 20, seed });
        let log = create(&disk);
        disk.fail_at(disk.operations() + 1, SimError::Eio, Persist::Once);
        disk.record();
        let refused = log.append(101, &mut frame_of(&[b"refused"])).unwrap_err();
        assert!(matches!(refused, Error::Io { .. }));
        let mut replay = disk.replay().unwrap();
        replay.step();
        happened += replayed(replay.disk()).unwrap().0.len();
        for policy in policies(&disk, 4) {
            assert_eq!(replayed(&disk.crash_image(policy)).unwrap().0, [], "seed {seed}, {policy:?}");
        }
        log.append(101, &mut frame_of(&[b"taken"])).unwrap();
        for policy in policies(&disk, 4) {
            let (found, _) = replayed(&disk.crash_image(policy)).unwrap();
            assert!(found.is_empty() || found == [(101, b"taken".to_vec())], "seed {seed}, {policy:?}");
        }
    }
    assert!(happened > 0, "in none of the runs the failed write happened as a whole");
}

#[test]
fn an_empty_segment_is_a_place_to_replay_from_once_it_was_synced_through() {
    let disk = sim();
    let log = create(&disk);
    log.append(101, &mut frame_of(&[&[1; 3000]])).unwrap();
    log.prepare().unwrap();
    // Header, end frame, and the frame that fails.
    disk.fail_at(disk.operations() + 3, SimError::Eio, Persist::Once);
    log.append(102, &mut frame_of(&[&[2; 3000]])).unwrap_err();
    let start = ReplayStart { lsn: log.end(), chain: log.chain(), ..START };
    log.sync_through(log.end()).unwrap();
    assert_eq!(log.durable(), start.lsn);
    for policy in policies(&disk, 4) {
        let image = disk.crash_image(policy);
        assert_eq!(replay_from(&image, &start).unwrap().0, []);
        assert_eq!(replayed(&image).unwrap().0.len(), 1);
    }
}
