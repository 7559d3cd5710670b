//! Keyspaces: beside a plain ordered map; what they refuse; what damage to a run says.

mod figures;
mod map;
mod walks;

use nyro::testing::{self, Disk, SimDisk, SimEnv, SimOptions, TempDir, TestConfig};
use nyro::{doc, Database, Document, Durability, Error, Options, Result, MAX_KEYSPACE_KEY_BYTES};
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::sync::Arc;

fn options() -> Options {
    Options { durability: Durability::Manual, ..Options::default() }
}

#[test]
fn what_is_out_of_range_is_refused_and_changes_nothing() -> Result<()> {
    let db = Database::open_with(":memory:", Options { max_document_bytes: 100_000, ..options() })?;
    let keys = db.keyspace("keys");
    keys.put("a", "1")?;
    let longest = vec![7; MAX_KEYSPACE_KEY_BYTES];
    let (long, large) = (vec![7; MAX_KEYSPACE_KEY_BYTES + 1], vec![7; 100_001]);
    let number = |result: Result<()>| result.map_err(|e| e.code());
    assert_eq!(number(keys.put(&long, "1")), Err(211));
    assert_eq!(number(keys.delete(&long)), Err(211));
    assert_eq!(number(keys.get(&long).map(drop)), Err(211));
    assert_eq!(number(keys.range(long..).map(drop)), Err(211));
    assert_eq!(number(keys.put("b", &large)), Err(212));
    assert_eq!(number(keys.delete_range("b".."a")), Err(101));
    assert_eq!(number(keys.range("b".."a").map(drop)), Err(101));
    let within = db.write(|tx| {
        let keys = tx.keyspace("keys");
        keys.put("b", "2")?;
        assert_eq!(number(keys.put("c", &large)), Err(212));
        assert_eq!(number(keys.range("b".."a", false).map(drop)), Err(101));
        keys.delete("b")
    });
    assert_eq!(number(within), Ok(()));
    assert_eq!(keys.iter()?.collect::<Result<Vec<_>>>()?, [(b"a".to_vec(), b"1".to_vec())]);

    // The longest key, the largest value, the empty ones.
    keys.put(&longest, &large[1..])?;
    keys.put("", "")?;
    db.checkpoint()?;
    assert_eq!(keys.get(&longest)?.as_deref(), Some(&large[1..]));
    assert_eq!(keys.get("")?.as_deref(), Some(&b""[..]));
    assert_eq!(keys.iter()?.count(), 3);
    assert_eq!(keys.range("a".."a")?.count(), 0);
    db.verify()?;
    db.close()
}

#[test]
fn a_name_is_a_collection_or_a_keyspace_and_never_both() -> Result<()> {
    let db = Database::open(":memory:")?;
    db.collection::<Document>("users").put(&doc! { "_id": 1 })?;
    db.keyspace("scores").put("a", "1")?;
    let other = |result: Result<()>| matches!(result, Err(Error::OtherKind { .. }));
    assert!(other(db.keyspace("users").put("a", "1")));
    assert!(other(db.keyspace("users").get("a").map(drop)));
    assert!(other(db.keyspace("users").iter().map(drop)));
    assert!(other(db.keyspace("users").clear()));
    assert!(other(db.drop_keyspace("users").map(drop)));
    assert!(other(db.collection::<Document>("scores").put(&doc! { "_id": 1 }).map(drop)));
    assert!(other(db.collection::<Document>("scores").get(1).map(drop)));
    assert!(other(db.create_collection("scores")));
    assert!(other(db.drop_collection("scores").map(drop)));
    assert_eq!(db.rename_keyspace("scores", "users").map_err(|e| e.code()), Err(208));
    assert_eq!((db.collection_names()?, db.keyspace_names()?), (vec!["users".to_owned()], vec!["scores".to_owned()]));
    db.rename_keyspace("scores", "points")?;
    assert_eq!(db.keyspace("points").get("a")?.as_deref(), Some(&b"1"[..]));
    assert!(db.keyspace("scores").get("a")?.is_none());
    // What was dropped leaves its name to either.
    assert!(db.drop_keyspace("points")?);
    db.create_collection("points")?;
    assert_eq!(db.collection::<Document>("points").count_documents()?, 0);
    db.close()
}

#[test]
fn one_transaction_spans_collections_and_keyspaces_and_is_there_wholly_after_reopening() -> Result<()> {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("app.nyro");
    let db = Database::open_with(&path, options())?;
    db.write(|tx| {
        tx.collection::<Document>("users").put(&doc! { "_id": 1, "name": "Ada" })?;
        tx.keyspace("by name").put("Ada", 1u64.to_be_bytes())
    })?;
    let back = db.write(|tx| {
        tx.collection::<Document>("users").delete(1)?;
        tx.keyspace("by name").delete_range::<&str>(..)?;
        assert!(tx.keyspace("by name").first()?.is_none());
        Err::<(), _>(Error::RolledBack)
    });
    assert!(matches!(back, Err(Error::RolledBack)));
    let snapshot = db.snapshot()?;
    db.keyspace("by name").clear()?;
    assert_eq!(snapshot.keyspace("by name")?.get("Ada")?, Some(1u64.to_be_bytes().to_vec()));
    drop(snapshot);
    db.close()?;
    let db = Database::open_with(&path, options())?;
    assert!(db.keyspace("by name").first()?.is_none());
    assert_eq!(db.collection::<Document>("users").count_documents()?, 1);
    db.verify()?;
    db.close()
}

#[test]
fn damage_to_a_run_names_run_page_and_offset() -> Result<()> {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("app.nyro");
    let db = Database::open_with(&path, options())?;
    let keys = db.keyspace("keys");
    keys.batch(|keys| (0..2000u32).try_for_each(|n| keys.put(n.to_be_bytes(), [7; 50])))?;
    db.close()?;
    let whole = std::fs::read(&path).expect("reads");
    let leaves: Vec<usize> = (2..whole.len() / 4096).filter(|page| whole[page * 4096 + 14] == 9).collect();
    assert!(leaves.len() > 20);
    for &page in &leaves[..3] {
        let mut bytes = whole.clone();
        bytes[page * 4096 + 2000] ^= 1;
        std::fs::write(&path, &bytes).expect("writes");
        let db = Database::open_with(&path, options())?;
        let keys = db.keyspace("keys");
        let mut failed = 0;
        for n in 0..2000u32 {
            match keys.get(n.to_be_bytes()) {
                Ok(value) => assert_eq!(value.as_deref(), Some(&[7; 50][..])),
                Err(Error::Corrupt(damage)) => {
                    assert_eq!((damage.page, damage.run.is_some()), (page as u64, true));
                    failed += 1;
                }
                Err(e) => panic!("{e}"),
            }
        }
        assert!((10..200).contains(&failed), "{failed}");
        let scanned: Result<Vec<_>> = keys.iter()?.collect();
        let text = scanned.expect_err("it meets the damage").to_string();
        assert!(text.contains("in run ") && text.contains(&format!("page {page} offset")), "{text}");
        assert!(db.verify().is_err());
        nyro::testing::abandon(db);
    }
    Ok(())
}

/// The manifest has only the first 256 bytes of the first and last key of a run.
#[test]
fn runs_whose_keys_are_alike_for_longer_than_the_manifest_has_them_are_told_apart() -> Result<()> {
    let dir = TempDir::new().expect("a directory");
    let open = || Database::open_with(dir.path().join("app.nyro"), options());
    let mut db = open()?;
    let keys = db.keyspace("keys");
    // One run a checkpoint, large enough to go down at once; none overlaps another, so all come to lie in one level.
    let name = |n: u8| [&[b'l'; 600][..], &[n]].concat();
    for n in [50, 10, 90, 30, 70] {
        keys.put(name(n), vec![n; 1_100_000])?;
        db.checkpoint()?;
    }
    assert_eq!(db.keyspace_stats()?.levels.iter().map(|level| level.runs).collect::<Vec<_>>(), [5]);
    for reopened in [false, true] {
        if reopened {
            db.close()?;
            db = open()?;
        }
        let keys = db.keyspace("keys");
        for n in 0..100 {
            let is_there = [50, 10, 90, 30, 70].contains(&n);
            assert_eq!(keys.get_with(name(n), |value| value[0])?, is_there.then_some(n), "{n}");
            let next = keys.range(name(n)..)?.next().transpose()?.map(|(_, value)| value[0]);
            assert_eq!(next, (n..100).find(|n| n % 20 == 10), "from {n}");
            let before = keys.range(..name(n))?.next_back().transpose()?.map(|(_, value)| value[0]);
            assert_eq!(before, (0..n).rev().find(|n| n % 20 == 10), "before {n}");
        }
    }
    db.close()
}

/// What a memtable has room for ends at 24 GiB; here sooner.
#[test]
fn a_memtable_that_is_full_refuses_and_takes_more_after_a_checkpoint() -> Result<()> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(SimOptions::default()));
    let config = TestConfig { options: options(), memtable_bytes: 1 << 20, ..TestConfig::default() };
    let open = || testing::open(disk.clone(), Arc::new(SimEnv::new(1)), "app.nyro", &config);
    let db = open()?;
    let keys = db.keyspace("keys");
    let (mut n, mut refused) = (0u32, 0);
    while n < 40_000 {
        match keys.batch(|k| (n..n + 100).try_for_each(|n| k.put(n.to_be_bytes(), [7; 100]))) {
            Ok(()) => n += 100,
            Err(e) => {
                assert_eq!(e.code(), Error::MemtableFull.code(), "{e}");
                assert_eq!(keys.get(n.to_be_bytes())?, None);
                // A range may need a tombstone for each key, and is refused sooner.
                let range = keys.delete_range(0u32.to_be_bytes()..1u32.to_be_bytes());
                assert_eq!(range.map_err(|e| e.code()), Err(Error::MemtableFull.code()));
                db.checkpoint()?;
                refused += 1;
            }
        }
    }
    assert!(refused >= 3, "{refused}");
    db.checkpoint()?;
    keys.delete_range(0u32.to_be_bytes()..10u32.to_be_bytes())?;
    db.close()?;
    let db = open()?;
    assert_eq!(db.keyspace("keys").iter()?.count(), 39_990);
    db.verify()?;
    db.close()
}

/// The key just above one of full length is no longer one: what a range ends at must still be a key, or the log is damage.
#[test]
fn ranges_that_end_or_start_at_a_key_of_full_length_are_replayed() -> Result<()> {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("app.nyro");
    let (low, high) = (vec![b'm'; MAX_KEYSPACE_KEY_BYTES], vec![0xff; MAX_KEYSPACE_KEY_BYTES]);
    let all = [&b"a"[..], &low, b"mz", b"z", &high];
    type Case<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>, &'a [usize]);
    let cases: [Case<'_>; 6] = [
        (Unbounded, Included(&low), &[2, 3, 4]),
        (Included(b"b"), Included(&high), &[0]),
        (Excluded(&low), Unbounded, &[0, 1]),
        (Excluded(&high), Unbounded, &[0, 1, 2, 3, 4]),
        (Excluded(&low), Excluded(b"z"), &[0, 1, 3, 4]),
        (Unbounded, Included(&high), &[]),
    ];
    for (start, end, left) in cases {
        let db = Database::open_with(&path, options())?;
        let keys = db.keyspace("keys");
        keys.batch(|keys| all.iter().try_for_each(|key| keys.put(key, "v")))?;
        keys.delete_range::<&[u8]>((start, end))?;
        let expected: Vec<&[u8]> = left.iter().map(|at| all[*at]).collect();
        let found = |db: &Database| -> Result<bool> {
            let keys: Result<Vec<_>> = db.keyspace("keys").iter()?.map(|entry| entry.map(|(key, _)| key)).collect();
            Ok(keys? == expected)
        };
        assert!(found(&db)?, "{left:?}");
        testing::abandon(db);
        let db = Database::open_with(&path, options())?;
        assert!(found(&db)?, "replayed: {left:?}");
        db.close()?;
    }
    Ok(())
}

/// Each flush of keys that come in order overlaps nothing, and is less than a run.
#[test]
fn small_flushes_of_ascending_keys_do_not_stay_runs_of_their_own() -> Result<()> {
    let db = Database::open_with(":memory:", options())?;
    let keys = db.keyspace("keys");
    for flush in 0..400u32 {
        keys.batch(|k| (0..5u32).try_for_each(|n| k.put((flush * 5 + n).to_be_bytes(), [1; 20])))?;
        db.checkpoint()?;
    }
    let stats = db.keyspace_stats()?;
    let runs: u64 = stats.levels.iter().map(|level| level.runs).sum();
    assert!(runs <= 24, "{stats:?}");
    assert!(stats.levels.iter().map(|level| level.sets).sum::<u64>() <= 12, "{stats:?}");
    assert!(stats.run_bytes_written < 400 * 5 * 24 * 200, "{stats:?}");
    assert_eq!(keys.iter()?.count(), 2000);
    db.verify()?;
    db.close()
}

/// Random keys, twenty flushes of some runs each: what merges write stays within what the rules of level 0 promise.
#[test]
fn a_load_of_random_keys_is_not_written_often() -> Result<()> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(SimOptions { file_capacity: 64 << 20, seed: 0 }));
    let options = Options { log_max_bytes: 16 << 20, ..options() };
    let config = TestConfig { options, shape: (16, 1 << 30), region_pages: 256, ..TestConfig::default() };
    let db = testing::open(disk, Arc::new(SimEnv::new(1)), "app.nyro", &config)?;
    let keys = db.keyspace("keys");
    let mut rng = testing::Rng::new(7);
    for _ in 0..20 {
        keys.batch(|k| (0..3000).try_for_each(|_| k.put(rng.below(u64::MAX).to_be_bytes(), [5; 100])))?;
        db.checkpoint()?;
    }
    let stats = db.keyspace_stats()?;
    let times = stats.write_amplification().expect("flushed");
    assert!((1.5..4.1).contains(&times), "{times}, {stats:?}");
    assert_eq!(keys.iter()?.count(), 60_000);
    db.verify()?;
    db.close()
}
