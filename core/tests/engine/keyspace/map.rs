//! Random operations on keyspaces, each answer as a `BTreeMap` gives it, through flushes, merges, reopenings.

use crate::common::mixed_key;
use nyro::testing::{self, Disk, Rng, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{Database, Error, Keyspace, Options, ReadMode, Result, SnapshotKeyspace};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;
type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

fn open(disk: &SimDisk, read_mode: ReadMode) -> Result<Database> {
    let options = Options { cache_bytes: 1 << 20, log_max_bytes: 1 << 20, read_mode, ..Options::default() };
    let config = TestConfig { options, ..TestConfig::default() };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    testing::open(disk, Arc::new(SimEnv::new(1)), "test.nyro", &config)
}

fn key(rng: &mut Rng, keys: u64) -> Vec<u8> {
    mixed_key(rng.below(keys))
}

fn value(rng: &mut Rng) -> Vec<u8> {
    let length = match rng.below(40) {
        0 => rng.below(20_000),
        1 => rng.below(3000),
        _ => rng.below(120),
    };
    vec![rng.below(256) as u8; length as usize]
}

fn bounds(rng: &mut Rng, keys: u64) -> Bounds {
    let (a, b) = (key(rng, keys), key(rng, keys));
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    let bound = |rng: &mut Rng, key| match rng.below(5) {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Excluded(key),
        _ => Bound::Included(key),
    };
    (bound(rng, a), bound(rng, b))
}

fn within(map: &Map, (start, end): &Bounds) -> Vec<(Vec<u8>, Vec<u8>)> {
    let inside = |key: &Vec<u8>| {
        (match start {
            Bound::Included(start) => key >= start,
            Bound::Excluded(start) => key > start,
            Bound::Unbounded => true,
        }) && (match end {
            Bound::Included(end) => key <= end,
            Bound::Excluded(end) => key < end,
            Bound::Unbounded => true,
        })
    };
    map.iter().filter(|(key, _)| inside(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn short(key: &[u8]) -> String {
    let skipped = if key.len() > 40 { key.len() - 20 } else { 0 };
    format!("..{skipped} {:?}", &key[skipped..])
}

/// Fails with the first difference alone: entries are long.
#[track_caller]
fn same(got: &[(Vec<u8>, Vec<u8>)], expected: &[(Vec<u8>, Vec<u8>)], bounds: &Bounds, what: &str) {
    if got == expected {
        return;
    }
    let at = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let show = |entries: &[(Vec<u8>, Vec<u8>)]| {
        entries.get(at).map(|(key, value)| format!("{} = {} bytes of {:?}", short(key), value.len(), value.first()))
    };
    let bounds = [&bounds.0, &bounds.1].map(|bound| format!("{:?}", bound.clone().map(|key| short(&key))));
    panic!(
        "{what} {bounds:?}: entry {at} is {:?}, not {:?}; {} entries, not {}",
        show(got),
        show(expected),
        got.len(),
        expected.len()
    );
}

/// Everything that can be asked of a snapshot of a keyspace.
fn compare(keyspace: &SnapshotKeyspace, map: &Map, rng: &mut Rng, keys: u64) -> Result<()> {
    let all: Vec<_> = keyspace.iter()?.collect::<Result<_>>()?;
    assert!(all.iter().map(|(key, value)| (key, value)).eq(map.iter()), "{} keys, not {}", all.len(), map.len());
    let mut back: Vec<_> = keyspace.iter()?.rev().collect::<Result<_>>()?;
    back.reverse();
    assert!(back == all, "backward");
    for _ in 0..20 {
        let key = key(rng, keys);
        assert_eq!(keyspace.get(&key)?.as_ref(), map.get(&key), "{key:?}");
        let bounds = bounds(rng, keys);
        let expected = within(map, &bounds);
        let mut range = keyspace.range(bounds.clone())?;
        let (mut front, mut back) = (Vec::new(), Vec::new());
        loop {
            let from_back = rng.below(2) == 0;
            let Some(entry) = (if from_back { range.next_back() } else { range.next() }).transpose()? else { break };
            if from_back { &mut back } else { &mut front }.push(entry);
            if rng.below(200) == 0 {
                break;
            }
        }
        same(&front, &expected[..front.len().min(expected.len())], &bounds, "from the front");
        back.reverse();
        same(&back, &expected[expected.len().saturating_sub(back.len())..], &bounds, "from the back");
    }
    assert_eq!(keyspace.first()?.as_ref().map(|(key, value)| (key, value)), map.first_key_value());
    assert_eq!(keyspace.last()?.as_ref().map(|(key, value)| (key, value)), map.last_key_value());
    Ok(())
}

fn change(rng: &mut Rng, keyspace: &Keyspace, map: &mut Map, keys: u64) -> Result<()> {
    match rng.below(12) {
        0 => {
            let bounds = bounds(rng, keys);
            keyspace.delete_range(bounds.clone())?;
            within(map, &bounds).iter().for_each(|(key, _)| drop(map.remove(key)));
        }
        1..=3 => {
            let key = key(rng, keys);
            keyspace.delete(&key)?;
            map.remove(&key);
        }
        _ => {
            let (key, value) = (key(rng, keys), value(rng));
            keyspace.put(&key, &value)?;
            map.insert(key, value);
        }
    }
    Ok(())
}

/// A transaction with reads of its own writes in between; half of them are taken back.
fn transaction(rng: &mut Rng, db: &Database, name: &str, map: &mut Map, keys: u64) -> Result<()> {
    let mut own = map.clone();
    let keep = rng.below(2) == 0;
    let seed = rng.next_u64();
    let done = db.write(|tx| {
        let mut rng = Rng::new(seed);
        let rng = &mut rng;
        own.clone_from(map);
        let keyspace = tx.keyspace(name);
        for _ in 0..rng.below(60) {
            let (key, bounds) = (key(rng, keys), bounds(rng, keys));
            match rng.below(9) {
                0 => {
                    keyspace.delete_range(bounds.clone())?;
                    within(&own, &bounds).iter().for_each(|(key, _)| drop(own.remove(key)));
                }
                1 => {
                    keyspace.delete(&key)?;
                    own.remove(&key);
                }
                2 => assert_eq!(keyspace.get(&key)?.as_ref(), own.get(&key)),
                3 | 4 => {
                    let back = rng.below(2) == 0;
                    let mut expected = within(&own, &bounds);
                    if back {
                        expected.reverse();
                    }
                    let got: Vec<_> = keyspace.range(bounds.clone(), back)?.take(20).collect::<Result<_>>()?;
                    expected.truncate(20);
                    same(&got, &expected, &bounds, if back { "backward in a transaction" } else { "in a transaction" });
                }
                5 if rng.below(20) == 0 => {
                    keyspace.clear()?;
                    own.clear();
                }
                _ => {
                    let value = value(rng);
                    keyspace.put(&key, &value)?;
                    own.insert(key, value);
                }
            }
        }
        if keep {
            Ok(())
        } else {
            Err(Error::RolledBack)
        }
    });
    match (done, keep) {
        (Ok(()), true) => *map = own,
        (Err(Error::RolledBack), false) => {}
        (done, _) => panic!("{done:?}"),
    }
    Ok(())
}

fn run(seed: u64, turns: u64, keys: u64) -> Result<()> {
    let mut rng = Rng::new(seed);
    let rng = &mut rng;
    let disk = SimDisk::new(SimOptions { file_capacity: 256 << 20, seed });
    let mode = if seed % 2 == 0 { ReadMode::Mapped } else { ReadMode::Pread };
    let mut db = open(&disk, mode)?;
    let names = ["a", "b", "c"];
    let mut maps: BTreeMap<&str, Map> = BTreeMap::new();
    let mut held: Vec<(SnapshotKeyspace, Map)> = Vec::new();
    for turn in 0..turns {
        if std::env::var("NYRO_CHECK_EACH").is_ok() {
            // To find where it goes wrong first.
            for (name, map) in &maps {
                let all: Vec<_> = db.keyspace(name).iter()?.collect::<Result<_>>()?;
                let expected = within(map, &(Bound::Unbounded, Bound::Unbounded));
                same(
                    &all,
                    &expected,
                    &(Bound::Unbounded, Bound::Unbounded),
                    &format!("seed {seed} turn {turn} {name}"),
                );
            }
        }
        let name = *rng.pick(&names);
        let map = maps.entry(name).or_default();
        let keyspace = db.keyspace(name);
        let op = rng.below(400);
        if std::env::var("NYRO_CHECK_EACH").is_ok() {
            eprintln!("{turn} {name} {op}");
        }
        match op {
            0 => compare(&db.snapshot()?.keyspace(name)?, map, rng, keys)?,
            1 => held.push((db.snapshot()?.keyspace(name)?, map.clone())),
            2 | 3 => drop(held.pop().map(|(keyspace, map)| compare(&keyspace, &map, rng, keys)).transpose()?),
            4..=11 => db.checkpoint()?,
            12 => {
                held.clear();
                match rng.below(3) {
                    0 => testing::abandon(db),
                    _ => db.close()?,
                }
                db = open(&disk, mode)?;
            }
            13 => {
                db.verify()?;
            }
            14 => drop(db.compact()?),
            15 if rng.below(4) == 0 => {
                keyspace.clear()?;
                map.clear();
            }
            16 if rng.below(4) == 0 => {
                db.drop_keyspace(name)?;
                map.clear();
            }
            17..=30 => transaction(rng, &db, name, map, keys)?,
            31..=60 => {
                let key = key(rng, keys);
                assert_eq!(keyspace.get(&key)?.as_ref(), map.get(&key));
            }
            _ => change(rng, &keyspace, map, keys)?,
        }
    }
    for (keyspace, map) in &held {
        compare(keyspace, map, rng, keys)?;
    }
    drop(held);
    db.verify()?;
    for (name, map) in &maps {
        compare(&db.snapshot()?.keyspace(name)?, map, rng, keys)?;
    }
    db.close()?;
    let db = open(&disk, mode)?;
    db.verify()?;
    for (name, map) in &maps {
        compare(&db.snapshot()?.keyspace(name)?, map, rng, keys)?;
    }
    db.close()
}

/// `NYRO_KEY_OPERATIONS=10000000` runs so many, with seeds of their own.
#[test]
fn keyspaces_answer_as_plain_ordered_maps_do() {
    let wanted = std::env::var("NYRO_KEY_OPERATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000u64);
    let turns = (wanted / 16).clamp(6250, 200_000);
    for seed in 0..wanted.div_ceil(turns) {
        run(seed, turns, [60, 2000, 20_000][seed as usize % 3]).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}
