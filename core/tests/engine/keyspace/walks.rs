//! Walks: entries that are lent where they stand and those that are copied; walks that pay for merges.

use nyro::testing::{self, CrashPolicy, Disk, Rng, SimDisk, SimEnv, SimOptions, TempDir, TestConfig};
use nyro::{Database, Durability, Error, Options, ReadMode, Result, SnapshotKeyspace};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Most keys are short and their values, too; some are long, some values lie in extents of their own.
fn entry(n: u32, round: u8) -> (Vec<u8>, Vec<u8>) {
    let key = match n % 50 {
        7 => format!("{n:06}{}", "k".repeat(200)),
        8 => format!("{n:06}{}", "k".repeat(117)),
        _ => format!("{n:06}"),
    };
    let length = match n % 97 {
        0 => 20_000,
        1 => 2000,
        _ => n as usize % 90,
    };
    (key.into_bytes(), vec![round ^ n as u8; length])
}

/// Walks from random keys, some steps forward, some back from the end, turn by turn.
fn compare(keys: &SnapshotKeyspace, map: &Map, rng: &mut Rng) -> Result<()> {
    let all: Vec<_> = keys.iter()?.collect::<Result<_>>()?;
    assert!(all.iter().map(|(key, value)| (key, value)).eq(map.iter()), "{} entries, not {}", all.len(), map.len());
    for _ in 0..60 {
        let from = entry(rng.below(3000) as u32, 0).0;
        let mut range = keys.range(&from[..]..)?;
        let mut expected = map.range(from..);
        for _ in 0..rng.below(6) {
            let back = rng.below(4) == 0;
            for _ in 0..rng.below(80) {
                let next = if back { expected.next_back() } else { expected.next() };
                let got = if back { range.next_entry_back()? } else { range.next_entry()? };
                assert!(got == next.map(|(key, value)| (&key[..], &value[..])), "{got:?}, not {next:?}");
            }
        }
    }
    Ok(())
}

/// Each step gives the next key beyond the last one, as the transaction has it by then, from whichever step on it has changed
/// anything.
#[test]
fn a_walk_in_a_transaction_goes_on_from_its_last_key_whenever_changes_come() -> Result<()> {
    let db = Database::open_with(":memory:", Options::default())?;
    let keys = db.keyspace("keys");
    let name = |n: u64| format!("{n:03}").into_bytes();
    let mut rng = Rng::new(11);
    let mut committed = Map::new();
    for round in 0..300u32 {
        let (backward, before) = (rng.below(2) == 0, rng.below(4));
        let changes = db.write(|tx| {
            let keys = tx.keyspace("keys");
            let (mut map, mut last, mut count) = (committed.clone(), None::<Vec<u8>>, 0);
            let start = name(rng.below(200));
            let bounds = if backward {
                (Bound::Unbounded, Bound::Excluded(start.clone()))
            } else {
                (Bound::Included(start.clone()), Bound::Unbounded)
            };
            let mut walk = keys.range(bounds.clone(), backward)?;
            loop {
                let expected = match (&last, backward) {
                    (None, false) => map.range(start.clone()..).next(),
                    (None, true) => map.range(..start.clone()).next_back(),
                    (Some(last), false) => map.range((Bound::Excluded(last.clone()), Bound::Unbounded)).next(),
                    (Some(last), true) => map.range(..last.clone()).next_back(),
                };
                let expected = expected.map(|(key, value)| (key.clone(), value.clone()));
                let got = walk.next().transpose()?;
                assert_eq!(got, expected, "round {round}, step {count}, backward: {backward}");
                let Some((key, _)) = got else { break };
                last = Some(key.clone());
                count += 1;
                if count <= before * 8 || rng.below(3) > 0 {
                    continue;
                }
                let near: u64 = String::from_utf8_lossy(&key).parse().unwrap_or_default();
                let number = (near + 5).saturating_sub(rng.below(10));
                let changed = name(number);
                match rng.below(8) {
                    0 => {
                        let end = name(number + 1 + rng.below(5));
                        keys.delete_range(changed.clone()..end.clone())?;
                        map.retain(|key, _| *key < changed || *key >= end);
                    }
                    1 | 2 => {
                        keys.delete(&changed)?;
                        map.remove(&changed);
                    }
                    _ => {
                        keys.put(&changed, round.to_le_bytes())?;
                        map.insert(changed, round.to_le_bytes().to_vec());
                    }
                }
            }
            Ok::<_, Error>(map)
        })?;
        committed = changes;
        for _ in 0..rng.below(60) {
            let key = name(rng.below(200));
            keys.put(&key, b"between")?;
            committed.insert(key, b"between".to_vec());
        }
    }
    Ok(())
}

#[test]
fn walks_give_what_is_there_whether_it_is_lent_or_copied() -> Result<()> {
    for (mode, limit) in [(ReadMode::Mapped, None), (ReadMode::Mapped, Some(3_600_000)), (ReadMode::Pread, None)] {
        let dir = TempDir::new().expect("a directory");
        let options = Options {
            durability: Durability::Manual,
            read_mode: mode,
            snapshot_max_age_ms: limit,
            ..Options::default()
        };
        let open = || Database::open_with(dir.path().join("app.nyro"), options.clone());
        let (mut db, mut map, mut rng) = (open()?, Map::new(), Rng::new(3));
        let put = |db: &Database, map: &mut Map, numbers: &mut dyn Iterator<Item = u32>, round: u8| {
            let numbers: Vec<u32> = numbers.collect();
            map.extend(numbers.iter().map(|n| entry(*n, round)));
            db.keyspace("keys")
                .batch(|keys| numbers.iter().try_for_each(|n| keys.put(entry(*n, round).0, entry(*n, round).1)))
        };
        let delete = |db: &Database, map: &mut Map, step: usize| {
            let gone: Vec<Vec<u8>> = (0..3000).step_by(step).map(|n| entry(n, 0).0).collect();
            gone.iter().for_each(|key| drop(map.remove(key)));
            db.keyspace("keys").batch(|keys| gone.iter().try_for_each(|key| keys.delete(key)))
        };
        put(&db, &mut map, &mut (0..3000).filter(|n| n % 13 > 0), 0)?;
        db.compact()?;
        compare(&db.snapshot()?.keyspace("keys")?, &map, &mut rng)?;
        // A set above it, then a memtable.
        put(&db, &mut map, &mut (0..3000).step_by(17), 1)?;
        delete(&db, &mut map, 11)?;
        db.checkpoint()?;
        compare(&db.snapshot()?.keyspace("keys")?, &map, &mut rng)?;
        put(&db, &mut map, &mut (0..3000).step_by(19), 2)?;
        delete(&db, &mut map, 23)?;
        compare(&db.snapshot()?.keyspace("keys")?, &map, &mut rng)?;

        // What a walk has yet to come to is written anew, and all that was there is merged away.
        let old = map.clone();
        let (mut range, held) = (db.keyspace("keys").iter()?, db.snapshot()?.keyspace("keys")?);
        let mut expected = old.iter();
        for _ in 0..9 {
            for _ in 0..200 {
                let next = expected.next().map(|(key, value)| (&key[..], &value[..]));
                assert!(range.next_entry()? == next, "{mode:?} {limit:?}: not {next:?}");
            }
            put(&db, &mut map, &mut (0..3000).step_by(7), 3)?;
            db.compact()?;
        }
        compare(&held, &old, &mut rng)?;
        compare(&db.snapshot()?.keyspace("keys")?, &map, &mut rng)?;
        db.close()?;
        assert!(matches!(range.next_entry(), Err(Error::Closed)), "{mode:?} {limit:?}");
        drop((range, held));
        db = open()?;
        compare(&db.snapshot()?.keyspace("keys")?, &map, &mut rng)?;
        db.verify()?;
        db.close()?;
    }
    Ok(())
}

/// Level 0 stays as it is while commits go on, until walks have looked into it for as long as merging it takes.
#[test]
fn walks_pay_for_merges_and_gets_do_not() -> Result<()> {
    for walks in [true, false] {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(SimOptions { file_capacity: 256 << 20, seed: 0 }));
        let options = Options { durability: Durability::Manual, ..Options::default() };
        let shape = (16, 1 << 30);
        let config = TestConfig { options, shape, region_pages: 256, walk_bytes: 16 << 20, ..TestConfig::default() };
        let db = testing::open(disk, Arc::new(SimEnv::new(1)), "app.nyro", &config)?;
        let keys = db.keyspace("keys");
        // The base is large enough for what is above it to be much.
        let put = |of: u32, step: usize| {
            keys.batch(|k| {
                (0..100_000u32)
                    .skip(of as usize)
                    .step_by(step)
                    .try_for_each(|n| k.put(n.to_be_bytes(), [of as u8; 300]))
            })
        };
        put(0, 1)?;
        db.compact()?;
        for of in [1, 2, 3] {
            put(of, 8)?;
            db.checkpoint()?;
        }
        let above = || -> Result<(u64, u64)> {
            let levels = db.keyspace_stats()?.levels;
            let level = levels.iter().find(|level| level.level == 0);
            Ok(level.map_or((0, 0), |level| (level.sets, level.bytes)))
        };
        let (before, written) = (above()?, db.stats()?.run_bytes_written);
        assert!(before.0 >= 3 && before.1 > 10 << 20, "{before:?}");
        for n in 0..60u32 {
            // Not at rest.
            keys.put(n.to_be_bytes(), "x")?;
            if walks {
                let (mut range, mut count) = (keys.range(5u32.to_be_bytes()..)?, 0);
                while range.next_entry()?.is_some() && count < 20_000 {
                    count += 1;
                }
            } else {
                (0..20_000u32).try_for_each(|n| keys.contains(n.to_be_bytes()).map(drop))?;
            }
            testing::step(&db)?;
        }
        let (after, written) = (above()?, db.stats()?.run_bytes_written - written);
        match walks {
            // A sixteenth of the base, or a little: the rest of a database at rest.
            true => assert!(after.0 <= 2 && after.1 < 6 << 20 && written > before.1, "{after:?} {written}"),
            false => assert_eq!((after, written), (before, 0)),
        }
        // It is bought once.
        assert!(written < 132 << 20, "{written}");
        db.verify()?;
        db.close()?;
    }
    Ok(())
}

/// The power is cut behind every operation of the disk while merges that walks have paid for go on beside commits.
#[test]
fn a_crash_amid_merges_that_walks_paid_for_loses_nothing() -> Result<()> {
    let disk = SimDisk::new(SimOptions { file_capacity: 16 << 20, seed: 5 });
    let config = TestConfig { shape: (4, 64 << 10), walk_bytes: 1024, ..TestConfig::default() };
    let open = |disk: &SimDisk| {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        testing::open(disk, Arc::new(SimEnv::new(1)), "app.nyro", &config)
    };
    let db = open(&disk)?;
    let keys = db.keyspace("keys");
    keys.batch(|k| (0..600u32).try_for_each(|n| k.put(n.to_be_bytes(), [0; 60])))?;
    db.compact()?;
    for round in 1..4u8 {
        keys.batch(|k| {
            (0..600u32).step_by(20).try_for_each(|n| k.put((n + u32::from(round)).to_be_bytes(), [round; 60]))
        })?;
        db.checkpoint()?;
    }
    let before = db.stats()?.run_bytes_written;
    disk.record();
    // After which operation of the disk how many were acknowledged.
    let mut acknowledged = vec![];
    for n in 0..12u32 {
        keys.put(n.to_be_bytes(), "new")?;
        acknowledged.push(disk.operations());
        assert_eq!(keys.iter()?.count(), 600);
        testing::step(&db)?;
    }
    let written = db.stats()?.run_bytes_written - before;
    assert!(written > 600 * 64, "merged: {written}");
    testing::abandon(db);
    let (mut replay, mut images) = (disk.replay().expect("recorded"), 0);
    while let Some(operation) = replay.step() {
        for policy in (0..8).map(|n| if n == 0 { CrashPolicy::LoseAll } else { CrashPolicy::Random(operation * 8 + n) })
        {
            let db = open(&replay.disk().crash_image(policy))?;
            db.verify()?;
            let keys = db.keyspace("keys");
            let new = (0..12u32)
                .take_while(|n| keys.get(n.to_be_bytes()).is_ok_and(|v| v.as_deref() == Some(b"new")))
                .count();
            let least = acknowledged.iter().take_while(|at| **at <= operation).count();
            assert!(new >= least, "operation {operation}: {new} of {least}");
            for (n, entry) in keys.iter()?.enumerate() {
                let (key, value) = entry?;
                assert_eq!(key, (n as u32).to_be_bytes());
                let round = if (1..4).contains(&(n % 20)) { (n % 20) as u8 } else { 0 };
                assert!(n < new || value == [round; 60], "operation {operation}, key {n}");
            }
            testing::abandon(db);
            images += 1;
        }
    }
    assert!(images > 100, "{images}");
    Ok(())
}
