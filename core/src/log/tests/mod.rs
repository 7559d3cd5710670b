//! The promises of the log, each by name.

mod damage;
mod failures;
mod format;
mod groups;
mod races;

use super::*;
use crate::env_sim::Rng;
use crate::file::sim::{CrashPolicy, Persist, SimDisk, SimError, SimOptions};
use crate::meter::Timer;
use std::sync::Arc;

const IDENTITY: [u8; 16] = *b"identity of file";
const BASE: &str = "app.nyro";
const START: ReplayStart = ReplayStart { identity: IDENTITY, epoch: 7, lsn: Lsn(4096), chain: 0xc4a1 };

type Commits = Vec<(u64, Vec<u8>)>;

fn sim() -> SimDisk {
    SimDisk::new(SimOptions { file_capacity: 1 << 20, ..SimOptions::default() })
}

fn config(disk: &SimDisk) -> LogConfig {
    LogConfig {
        disk: Arc::new(disk.clone()),
        base_name: BASE.into(),
        identity: IDENTITY,
        epoch: START.epoch,
        start: START.lsn,
        chain: START.chain,
        commit: 100,
        segment_bytes: 4096,
        use_store: false,
        timer: Timer::of_nobody(),
    }
}

/// A frame whose payload is `parts`, one after the other.
fn frame_of(parts: &[&[u8]]) -> Frame {
    let mut frame = Frame::default();
    frame.begin();
    for part in parts {
        frame.extend(part);
    }
    frame
}

fn create(disk: &SimDisk) -> Log {
    Log::create(config(disk)).unwrap()
}

fn replay_from(disk: &SimDisk, start: &ReplayStart) -> Result<(Commits, ReplayEnd)> {
    let mut commits = Commits::new();
    let end = replay(disk, BASE, start, &mut |frame| {
        commits.push((frame.commit, frame.payload.to_vec()));
        Ok(())
    })?;
    assert_eq!(end.frames, commits.len() as u64);
    assert_eq!(end.last_commit, commits.last().map(|c| c.0));
    Ok((commits, end))
}

fn replayed(disk: &SimDisk) -> Result<(Commits, ReplayEnd)> {
    replay_from(disk, &START)
}

fn payload(rng: &mut Rng, most: u64) -> Vec<u8> {
    let len = rng.below(most + 1) as usize;
    rng.bytes(len)
}

#[test]
fn what_is_appended_is_replayed_over_many_segments() {
    for (use_store, seed) in [(false, crate::env_sim::seed(1)), (true, crate::env_sim::seed(2))] {
        let disk = sim();
        let log = Log::create(LogConfig { use_store, ..config(&disk) }).unwrap();
        let mut rng = Rng::new(seed);
        let mut commits = Commits::new();
        for commit in 101..300 {
            let bytes = payload(&mut rng, if commit % 37 == 0 { 20_000 } else { 700 });
            let cut = rng.below(bytes.len() as u64 + 1) as usize;
            let end = log.append(commit, &mut frame_of(&[&bytes[..cut], &[], &bytes[cut..]])).unwrap();
            assert_eq!(end, log.end());
            commits.push((commit, bytes));
            match rng.below(8) {
                0 => log.sync_through(log.end()).unwrap(),
                1 => log.claim().unwrap(),
                2 if log.needs_prepare() => log.prepare().unwrap(),
                _ => {}
            }
        }
        let (found, end) = replayed(&disk).unwrap();
        assert_eq!(found, commits, "NYRO_SEED={seed}");
        assert_eq!((end.end, end.chain, end.dropped_bytes), (log.end(), log.chain(), 0));
        assert!(disk.file_names().len() > 15);
        assert_eq!(log.counters().appended_bytes, log.end().0 - START.lsn.0);
    }
}

#[test]
fn replay_begins_at_any_place_the_log_ever_ended_at() {
    let disk = sim();
    let log = create(&disk);
    let mut places = vec![(log.end(), log.chain())];
    for commit in 101..200 {
        log.append(commit, &mut frame_of(&[&[commit as u8; 150]])).unwrap();
        places.push((log.end(), log.chain()));
        log.sync_through(log.end()).unwrap();
        assert_eq!(log.durable_commit(), commit);
    }
    for (i, (lsn, chain)) in places.into_iter().enumerate() {
        let start = ReplayStart { lsn, chain, ..START };
        assert_eq!(replay_from(&disk, &start).unwrap().0.len(), 99 - i);
        let foreign = ReplayStart { chain: chain ^ 1, ..start.clone() };
        assert!(matches!(replay_from(&disk, &foreign), Err(Error::LogMissing { .. })));
        let beside = ReplayStart { lsn: Lsn(lsn.0 + 8), ..start };
        assert!(matches!(replay_from(&disk, &beside), Err(Error::LogMissing { .. })));
    }
}

#[test]
fn a_log_that_another_file_or_epoch_wrote_is_missing() {
    let disk = sim();
    assert!(matches!(replayed(&disk), Err(Error::LogMissing { .. })));
    let log = create(&disk);
    log.append(101, &mut frame_of(&[b"x"])).unwrap();
    assert_eq!(replayed(&disk).unwrap().0.len(), 1);
    for start in [ReplayStart { identity: [0; 16], ..START }, ReplayStart { epoch: 8, ..START }] {
        assert!(matches!(replay_from(&disk, &start), Err(Error::LogMissing { .. })));
    }
    // Renamed, it is still the log of its epoch.
    let bytes = disk.read_file(&segment_name(BASE, 7, 0));
    disk.write_file(&segment_name(BASE, 8, 0), bytes);
    assert!(matches!(replay_from(&disk, &ReplayStart { epoch: 8, ..START }), Err(Error::LogMissing { .. })));
}

#[test]
fn segments_of_other_epochs_are_ignored_and_removed() {
    let disk = sim();
    let old = create(&disk);
    for commit in 101..150 {
        old.append(commit, &mut frame_of(&[&[1; 400]])).unwrap();
    }
    let log = Log::create(LogConfig { epoch: 8, ..config(&disk) }).unwrap();
    log.append(101, &mut frame_of(&[b"new"])).unwrap();
    let start = ReplayStart { epoch: 8, ..START };
    assert_eq!(replay_from(&disk, &start).unwrap().0, [(101, b"new".to_vec())]);
    disk.write_file("app.nyro-wal-old", vec![]);
    disk.write_file("app.nyro", vec![]);
    remove_segments(&disk, BASE, Some(8)).unwrap();
    assert_eq!(disk.file_names(), ["app.nyro", "app.nyro-wal-0000000000000008-00000000", "app.nyro-wal-old"]);
    remove_segments(&disk, BASE, None).unwrap();
    assert_eq!(disk.crash_image(CrashPolicy::LoseAll).file_names(), ["app.nyro", "app.nyro-wal-old"]);
}

#[test]
fn an_epoch_begun_again_holds_nothing_of_the_first_attempt() {
    let disk = sim();
    let first = create(&disk);
    for commit in 101..150 {
        first.append(commit, &mut frame_of(&[&[1; 400]])).unwrap();
    }
    let log = create(&disk);
    assert_eq!(disk.file_names().len(), 1);
    assert_eq!(replayed(&disk).unwrap().0, []);
    log.append(101, &mut frame_of(&[b"second"])).unwrap();
    assert_eq!(replayed(&disk).unwrap().0, [(101, b"second".to_vec())]);
}

#[test]
fn released_segments_are_gone_and_the_rest_replays() {
    let disk = sim();
    let log = create(&disk);
    for commit in 101..150 {
        log.append(commit, &mut frame_of(&[&[1; 400]])).unwrap();
    }
    let start = ReplayStart { lsn: log.end(), chain: log.chain(), ..START };
    for commit in 150..160 {
        log.append(commit, &mut frame_of(&[&[1; 400]])).unwrap();
    }
    let before = disk.file_names().len();
    log.release_before(START.lsn).unwrap();
    assert_eq!(disk.file_names().len(), before);
    log.release_before(start.lsn).unwrap();
    assert_eq!(replay_from(&disk, &start).unwrap().0.len(), 10);
    // For a file without meta pages the log begins behind what waits to be used again.
    let found = super::first_start(&disk, BASE, IDENTITY).unwrap();
    assert!(found.lsn > START.lsn && found.lsn <= start.lsn, "{found:?}");
    assert!(replay_from(&disk, &found).unwrap().0.ends_with(&replay_from(&disk, &start).unwrap().0));
    assert!(disk.file_names().len() < before, "{:?}", disk.file_names());
    log.trim().unwrap();
    assert!(disk.file_names().len() < 5, "{:?}", disk.file_names());
    assert_eq!(log.disk_bytes(), 4096 * disk.file_names().len() as u64);
    assert_eq!(replay_from(&disk, &start).unwrap().0.len(), 10);
    log.release_before(log.end()).unwrap();
    log.append(160, &mut frame_of(&[b"x"])).unwrap();
    assert!(matches!(replayed(&disk), Err(Error::LogMissing { .. })));
}

#[test]
fn released_segments_are_used_again_with_what_they_held() {
    for use_store in [false, true] {
        let disk = sim();
        let log = Log::create(LogConfig { use_store, ..config(&disk) }).unwrap();
        let mut rng = Rng::new(7);
        let (mut commit, mut start, mut since) = (101, START, Commits::new());
        for round in 0..60 {
            for _ in 0..=rng.below(24) {
                let bytes = payload(&mut rng, 700);
                log.append(commit, &mut frame_of(&[&bytes])).unwrap();
                since.push((commit, bytes));
                commit += 1;
            }
            let (found, end) = replay_from(&disk, &start).unwrap();
            assert_eq!((found, end.end, end.chain, end.dropped_bytes), (since.clone(), log.end(), log.chain(), 0));
            if round % 2 == 1 {
                log.sync_through(log.end()).unwrap();
                start = ReplayStart { lsn: log.end(), chain: log.chain(), ..START };
                log.release_before(start.lsn).unwrap();
                since.clear();
                // What was not needed any more is there, without a gap before what is.
                let names = disk.file_names();
                let number = |name: &String| u32::from_str_radix(&name[name.len() - 8..], 16).unwrap();
                assert!(names.windows(2).all(|pair| number(&pair[0]) + 1 == number(&pair[1])), "{names:?}");
                assert!(names.len() < 9, "{names:?}");
            }
        }
    }
}

#[test]
fn a_prepared_segment_is_used_and_counts_for_nothing_before() {
    let disk = sim();
    let log = create(&disk);
    assert!(!log.needs_prepare());
    log.append(101, &mut frame_of(&[&[1; 2500]])).unwrap();
    assert!(log.needs_prepare());
    log.prepare().unwrap();
    assert!(!log.needs_prepare());
    assert_eq!(disk.file_names().len(), 2);
    assert_eq!(replayed(&disk).unwrap().1.dropped_bytes, 0);
    let operations = disk.operations();
    log.append(102, &mut frame_of(&[&[1; 2500]])).unwrap();
    assert_eq!(disk.operations() - operations, 3, "header, end frame, frame");
    assert_eq!(replayed(&disk).unwrap().0.len(), 2);
}

#[test]
fn an_idle_log_claims_once() {
    let disk = sim();
    let log = create(&disk);
    log.claim().unwrap();
    assert_eq!(log.end(), START.lsn);
    log.append(101, &mut frame_of(&[b"x"])).unwrap();
    log.claim().unwrap();
    assert_eq!(log.counters().frames, 1, "nothing to claim yet");
    for _ in 0..5 {
        log.sync_through(log.end()).unwrap();
        log.claim().unwrap();
    }
    assert_eq!(log.counters().frames, 2);
    assert_eq!(replayed(&disk).unwrap().0.len(), 1);
}

#[test]
fn arguments_out_of_range_are_refused() {
    let disk = sim();
    for start in [Lsn(4), Lsn(u64::MAX - 7)] {
        assert!(matches!(Log::create(LogConfig { start, ..config(&disk) }), Err(Error::InvalidArgument(_))));
    }
    let log = create(&disk);
    assert!(matches!(log.sync_through(Lsn(START.lsn.0 + 8)), Err(Error::Internal(_))));
}

#[test]
fn the_log_keeps_its_promises_on_the_real_disk_too() {
    for use_store in [false, true] {
        let dir = crate::testing::TempDir::new().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(crate::file::os::OsDisk::new(dir.path().to_owned()));
        let config = LogConfig { disk: disk.clone(), use_store, segment_bytes: 256 << 10, ..config(&sim()) };
        let log = Log::create(config).unwrap();
        for commit in 101..1101 {
            log.append(commit, &mut frame_of(&[&commit.to_le_bytes(), &[7; 600]])).unwrap();
            if log.needs_prepare() {
                log.prepare().unwrap();
            }
            if commit % 200 == 0 {
                log.sync_through(log.end()).unwrap();
            }
        }
        let mut next = 101;
        let end = replay(&*disk, BASE, &START, &mut |frame| {
            assert_eq!((frame.commit, frame.payload.len()), (next, 608));
            next += 1;
            Ok(())
        });
        assert_eq!((end.unwrap().end, next), (log.end(), 1101));
        remove_segments(&*disk, BASE, None).unwrap();
        assert!(disk.list("").unwrap().is_empty());
    }
}
